# SPDX-License-Identifier: ISC
"""Rules that ask others: the greylist, lists in the DNS that are slow or dead, real policy services, addresses asked of
their own servers."""

import contextlib
import email
import os
import re
import shutil
import socket
import sqlite3
import struct
import subprocess
import tempfile
import threading

import pytest
from beside import Postfix as Beside, Talk, tables_of
from house import House, free_ports, wait_for
from witness import RECORDS, Exchanger, NameServer, Resolver, Service, answers, ask, own_address

FINAL = "reject_unauth_destination"


@pytest.fixture
def place():
    directory = tempfile.mkdtemp(prefix="witness-")
    os.chmod(directory, 0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def house(rules, **settings):
    with House(**{"dns_resolver": "none", "smtpd_recipient_restrictions": rules, "smtpd_authorized_xclient_hosts": "127.0.0.0/8",
                  "smtpd_client_connection_count_limit": "0", **settings}) as h:
        h.at_work()
        h.command("domain", "add", "example.com")
        h.command("account", "add", "jill@example.com", input="way-station\n")
        yield h


def rcpt(h, to="jill@example.com", **how):
    return ask(h.ports["smtp"], to, **how)


# ---- the greylist

GREYLISTED = "450 4.7.1 <jill@example.com>: Recipient address rejected: Greylisted, please try again later"


def test_who_comes_again_is_let_in_and_remembered():
    with house(f"{FINAL}, check_greylist", greylist_delay="1s", greylist_auto_allow="0") as h:
        assert rcpt(h) == GREYLISTED
        assert rcpt(h, sender="other@good.example") == GREYLISTED
        wait_for(lambda: rcpt(h).startswith("250"))
        assert rcpt(h, xclient="ADDR=127.0.1.1").startswith("450")      # another network
        listed = h.command("policy", "greylist", "list").stdout
        assert "127.0.0.0/24\t<jack@good.example>\t<jill@example.com>\tpassed" in listed
        assert "127.0.0.0/24\tnetwork\t1 let in" in listed
        assert h.stop() == 0
        h.start()
        h.at_work()
        wait_for(lambda: rcpt(h).startswith("250"))                       # without waiting a second time
        assert h.command("policy", "greylist", "delete", "127.0.0.0/24", "jack@good.example").stdout == "1 removed\n"
        assert rcpt(h) == GREYLISTED
        assert h.command("policy", "greylist", "flush").stdout.endswith(" removed\n")
        assert h.command("policy", "greylist", "list").stdout == ""
        assert "came again" in h.text()


def test_explain_asks_the_greylist_and_changes_nothing():
    with house(f"{FINAL}, check_greylist", greylist_delay="1s", greylist_auto_allow="0") as h:
        def explained():
            return h.command("policy", "explain", "--client", "127.0.0.1", "--helo", "c.good.example", "--from", "jack@good.example",
                             "--to", "jill@example.com", check=False).stdout
        for _ in range(3):
            assert "Greylisted" in explained()
        assert h.command("policy", "greylist", "list").stdout == ""
        assert rcpt(h) == GREYLISTED
        listed = h.command("policy", "greylist", "list").stdout
        wait_for(lambda: "Greylisted" not in explained())
        assert h.command("policy", "greylist", "list").stdout == listed, "the triplet still waits"
        assert rcpt(h).startswith("250")


def test_a_network_that_came_again_often_need_not_wait(place):
    table = os.path.join(place, "exceptions")
    with open(table, "w") as f:
        f.write("198.51.100 x\nkind.example x\nimpatient@example.com x\n")
    with house(f"{FINAL}, check_greylist", greylist_delay="0s", greylist_auto_allow="2", greylist_client_exceptions=f"hash:{table}",
              greylist_recipient_exceptions=f"hash:{table}") as h:
        h.command("account", "add", "impatient@example.com", input="way-station\n")
        assert rcpt(h, sender="").startswith("250")                       # R106: notices never wait
        assert rcpt(h, "impatient@example.com").startswith("250")
        assert rcpt(h, xclient="ADDR=198.51.100.7").startswith("250")
        assert rcpt(h, xclient="ADDR=192.0.2.7 NAME=mx.kind.example").startswith("250")
        for sender in ("a@good.example", "b@good.example"):
            assert rcpt(h, sender=sender) == GREYLISTED
            assert rcpt(h, sender=sender).startswith("250")
        assert rcpt(h, sender="c@good.example") == GREYLISTED             # twice in an hour is once
        h.stop()
        with contextlib.closing(sqlite3.connect(h.directory / "mail/policy/policy.db")) as db:
            assert db.execute("UPDATE client SET last = last - 3601").rowcount == 1
            db.commit()
        h.start()
        h.at_work()
        assert rcpt(h, sender="d@good.example") == GREYLISTED
        assert rcpt(h, sender="d@good.example").startswith("250")
        assert rcpt(h, sender="e@good.example").startswith("250")
        assert rcpt(h, sender="c@good.example", xclient="ADDR=IPV6:2001:db8::1") == GREYLISTED
        assert rcpt(h, sender="c@good.example", xclient="ADDR=IPV6:2001:db8::2").startswith("250")   # one /64


def test_a_damaged_database_is_put_aside():
    with house(f"{FINAL}, check_greylist", greylist_delay="0s") as h:
        assert rcpt(h) == GREYLISTED
        assert h.stop() == 0
        path = h.directory / "mail/policy/policy.db"
        path.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
        for more in ("-wal", "-shm"):
            (h.directory / f"mail/policy/policy.db{more}").unlink(missing_ok=True)
        h.start()
        h.at_work()
        assert rcpt(h) == GREYLISTED
        assert rcpt(h).startswith("250")
        assert "begun anew" in h.text()


# ---- the DNS

class Names(threading.Thread):
    """A name server that answers with what `reply` says of (name, type): an address, a list of them, "" no such name, or
    None: silence; it may be told later by say()."""

    def __init__(self, reply):
        super().__init__(daemon=True)
        self.reply, self.asked, self.kept = reply, [], []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                question, who = self.socket.recvfrom(4096)
            except OSError:
                return
            at, labels = 12, []
            while question[at]:
                labels.append(question[at + 1:at + 1 + question[at]].decode().lower())
                at += 1 + question[at]
            name, kind = ".".join(labels), struct.unpack(">H", question[at + 1:at + 3])[0]
            self.asked.append(name)
            self.say(question[:2], question[12:at + 5], who, self.reply(name, kind))

    def say(self, number, question, who, answer):
        if answer is None:
            return
        flags = 0x8180 if answer else 0x8183
        body = b"".join(b"\xc0\x0c" + struct.pack(">2HIH", 1, 1, 5, 4) + socket.inet_aton(a) for a in ([answer] if answer else []))
        self.socket.sendto(number + struct.pack(">5H", flags, 1, 1 if answer else 0, 0, 0) + question + body, who)

    def close(self):
        self.socket.close()


def test_a_dead_list_is_left_alone_and_refuses_nobody():
    names = Names(lambda name, kind: None if name.endswith("dead.example") else "")
    with house(f"{FINAL}, reject_rbl_client dead.example, reject_rbl_client alive.example", dns_resolver=f"127.0.0.1:{names.port}",
              dnsbl_timeout="300ms", dnsbl_failure_limit="2") as h:
        for i in range(2):
            assert rcpt(h, client=f"127.0.0.{20 + i}").startswith("250")
        wait_for(lambda: "dnsbl dead.example: 2 questions failed" in h.text())
        before = len([n for n in names.asked if n.endswith("dead.example") and n.startswith("30.")])
        assert rcpt(h, client="127.0.0.30").startswith("250")
        assert len([n for n in names.asked if n.startswith("30.") and n.endswith("dead.example")]) == before == 0
        assert any(n == "30.0.0.127.alive.example" for n in names.asked)
        assert "RBL lookup error" in h.text()
        policy = [p for p in h.status() if p["role"] == "policy"][0]
        assert policy["facts"]["resting"] == "1"
    names.close()


def test_T21_a_list_that_does_not_answer_to_us_refuses_nobody():
    names = Names(lambda name, kind: "127.255.255.254" if name.endswith("public.example") and kind == 1 else "")
    with house(f"{FINAL}, reject_rbl_client public.example", dns_resolver=f"127.0.0.1:{names.port}") as h:
        assert rcpt(h, client="127.0.0.40").startswith("250")
        wait_for(lambda: "public.example does not answer to us, it says 127.255.255.254" in h.text())
    names.close()


def test_lists_are_asked_at_once():
    """Each is answered only when all have been asked: who asks one after another waits in vain."""
    lists, seen, all_there = ["a.example", "b.example", "c.example", "d.example"], set(), threading.Event()
    waiting = []

    def reply(name, kind):
        for l in lists:
            if name == f"40.0.0.127.{l}" and kind == 1:
                seen.add(l)
                if len(seen) == len(lists):
                    all_there.set()
                if not all_there.is_set():
                    return None
                return "127.0.0.2" if l == "d.example" else ""
        return ""
    names = Names(reply)
    rules = ", ".join(f"reject_rbl_client {l}" for l in lists)
    with house(f"{FINAL}, {rules}", dns_resolver=f"127.0.0.1:{names.port}", dnsbl_timeout="20s", dns_timeout="20s") as h:
        assert rcpt(h, client="127.0.0.40") == "554 5.7.1 Service unavailable; Client host [127.0.0.40] blocked using d.example"
    names.close()


def test_R100_a_resolver_that_dies_and_comes_again():
    server = NameServer(RECORDS)
    resolver = Resolver(server)
    with house(f"{FINAL}, reject_unknown_sender_domain, reject_rbl_client dnsbl.example", dns_resolver=f"127.0.0.1:{resolver.port}",
              dns_timeout="1s", dnsbl_timeout="1s", dnsbl_failure_limit="1") as h:
        assert rcpt(h, client="127.0.0.9").startswith("554 5.7.1 Service unavailable; Client host [127.0.0.9] blocked using dnsbl.example; Listed")
        assert rcpt(h, sender="a@gone.example") == "450 4.1.8 <a@gone.example>: Sender address rejected: Domain not found"
        resolver.stop()
        # What is not known is put off, and a list that cannot be asked refuses nobody.
        assert rcpt(h, sender="a@six.example") == "450 4.1.8 <a@six.example>: Sender address rejected: Domain not found"
        assert rcpt(h, client="127.0.0.11", sender="").startswith("250")
        resolver.start()
        wait_for(lambda: rcpt(h, sender="a@plain.example").startswith("250"))
        assert rcpt(h, client="127.0.0.10", sender="a@plain.example").startswith("554 5.7.1 Service unavailable; Client host [127.0.0.10]")
    resolver.close()
    server.close()


# ---- policy services

def test_a_connection_serves_many_and_what_is_lost_is_tried_again():
    served = []

    def reply(request):
        served.append(request["sender"])
        return False if request["sender"].startswith("drop") and served.count(request["sender"]) == 1 else "action=DUNNO\n\n"
    service = Service(reply)
    with house(f"{FINAL}, check_policy_service inet:localhost:{service.port}") as h:
        for i in range(5):
            assert rcpt(h, sender=f"a{i}@good.example").startswith("250")
        assert service.connections == 1
        assert rcpt(h, sender="drop@good.example").startswith("250")
        assert served.count("drop@good.example") == 2
        asked = service.requests[0]
        assert asked[1]["recipient"] == "jill@example.com" and asked[1]["protocol_state"] == "RCPT"
        assert asked[1]["client_address"] == "127.0.0.1" and asked[1]["instance"] != ""
    service.close()


def test_what_was_said_before_it_was_asked_is_no_answer():
    service = Service(lambda r: "action=DUNNO\n\naction=REJECT said too early\n\n")
    with house(f"{FINAL}, check_policy_service inet:localhost:{service.port}") as h:
        for i in range(3):
            assert rcpt(h, sender=f"a{i}@good.example").startswith("250")
    service.close()


def test_an_answer_that_never_ends_is_no_answer():
    service = Service(lambda r: b"a=b\n" * 5000)
    with house(f"{FINAL}, check_policy_service {{ inet:127.0.0.1:{service.port}, try_limit=1 }}") as h:
        assert rcpt(h).startswith("451 4.3.5")
        assert all(p["restarts"] == 0 for p in h.status())
    service.close()


def test_time_limits_of_services_are_taken():
    """R176: as the tutorials have it for policyd-spf."""
    service = Service(lambda r: "action=DUNNO\n\n")
    with house(f"{FINAL}, check_policy_service inet:127.0.0.1:{service.port}", **{"policyd-spf_time_limit": "3600"}) as h:
        assert "policyd-spf_time_limit" not in h.command("config", "check").stderr + h.text()
        assert rcpt(h).startswith("250")
    service.close()


@pytest.mark.skipif(shutil.which("postgrey") is None or os.geteuid() != 0, reason="needs postgrey and root")
def test_postgrey(place):
    port = free_ports(1)[0]
    empty = os.path.join(place, "none")
    open(empty, "w").close()
    process = subprocess.Popen(["postgrey", f"--inet=127.0.0.1:{port}", f"--dbdir={place}", "--user=root", "--group=root", "--delay=1",
                                "--auto-whitelist-clients=0", f"--whitelist-clients={empty}", f"--whitelist-recipients={empty}"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def there():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0
        wait_for(there)
        with house(f"{FINAL}, check_policy_service inet:127.0.0.1:{port}") as h:
            said = rcpt(h)
            assert said.startswith("450 4.2.0 <jill@example.com>: Recipient address rejected: Greylisted, see http")
            wait_for(lambda: rcpt(h).startswith("250"))
    finally:
        process.terminate()
        process.wait(10)


class Spawn(threading.Thread):
    """What spawn(8) of Postfix does: a process for each connection to a socket."""

    def __init__(self, path, words):
        super().__init__(daemon=True)
        self.words = words
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        os.chmod(path, 0o777)
        self.socket.listen(10)
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                subprocess.Popen(self.words, stdin=connection, stdout=connection, stderr=subprocess.DEVNULL)

    def close(self):
        self.socket.close()


@pytest.mark.skipif(shutil.which("policyd-spf") is None or os.geteuid() != 0, reason="needs policyd-spf and root")
def test_R176_policyd_spf(place):
    records = RECORDS + 'spf.example. TXT "v=spf1 ip4:192.0.2.50 -all"\nspf.example. A 192.0.2.50\n'
    server = NameServer(records, own_address(), 53)
    with open(f"{place}/resolv.conf", "w") as f:
        f.write(f"nameserver {server.address}\n")
    with open(f"{place}/conf", "w") as f:
        f.write("debugLevel = 0\nTestOnly = 1\nHELO_reject = False\nMail_From_reject = Fail\nPermError_reject = False\n"
                "TempError_Defer = False\nskip_addresses = 127.0.0.1\n")
    spawn = Spawn(f"{place}/policyd-spf", ["unshare", "-m", "--propagation", "private", "sh", "-c",
                  f"mount --bind {place}/resolv.conf /etc/resolv.conf && exec policyd-spf {place}/conf"])
    try:
        with house(f"{FINAL}, check_policy_service unix:{place}/policyd-spf", **{"policyd-spf_time_limit": "3600"}) as h:
            assert rcpt(h, sender="a@spf.example", xclient="ADDR=192.0.2.50").startswith("250")
            said = rcpt(h, sender="a@spf.example", xclient="ADDR=192.0.2.51")
            assert said.startswith("550 5.7.23 <jill@example.com>: Recipient address rejected: Message rejected due to: SPF fail"), said
    finally:
        spawn.close()
        server.close()


SPF_PERL = shutil.which("postfix-policyd-spf-perl", path="/usr/sbin:/usr/bin")
# What rfc7208:2.6 calls the result of each sender at 192.0.2.51, and whether the letter is taken.
SPF_RESULTS = {"pass.example": ('"v=spf1 ip4:192.0.2.51 -all"', "pass"), "fail.example": ('"v=spf1 ip4:192.0.2.50 -all"', None), "soft.example": ('"v=spf1 ~all"', "softfail"),
               "neutral.example": ('"v=spf1 ?all"', "neutral"), "none.example": ('"nothing of the kind"', "none"), "through.example": ('"v=spf1 include:pass.example -all"', "pass"),
               "loop.example": ('"v=spf1 include:loop.example -all"', "permerror"), "six.example": ('"v=spf1 ip6:2001:db8::/32 -all"', None)}


@pytest.mark.skipif(SPF_PERL is None or shutil.which("postfix") is None or os.geteuid() != 0, reason="needs postfix-policyd-spf-perl, Postfix and root")
def test_R176_policyd_spf_perl_beside_postfix(place):
    """The same service, clients and senders: what both say, and the field that the letter then has (R337)."""
    server = NameServer(RECORDS + "".join(f"{domain}. TXT {text}\n" for domain, (text, _) in SPF_RESULTS.items()), own_address(), 53)
    with open(f"{place}/resolv.conf", "w") as f:
        f.write(f"nameserver {server.address}\n")
    spawn = Spawn(f"{place}/spf", ["unshare", "-m", "--propagation", "private", "sh", "-c", f"mount --bind {place}/resolv.conf /etc/resolv.conf && exec {SPF_PERL}"])
    rules = f"{FINAL}, check_policy_service unix:{place}/spf"
    commands = {domain: ["XCLIENT NAME=mail.there.example ADDR=192.0.2.51", "EHLO mail.there.example", f"MAIL FROM:<a@{domain}>", "RCPT TO:<jill@example.com>"] for domain in SPF_RESULTS}
    try:
        with tables_of({"aliases": "x: y\n"}) as tables:
            postfix = Beside(tables, {"spf": ({"smtpd_recipient_restrictions": rules}, [])}, "relay_domains = example.com\nmynetworks = 127.0.0.1\n")
            try:
                theirs = {domain: Talk(postfix.ports["spf"]).all(said) for domain, said in commands.items()}
            finally:
                postfix.close()
        with house(rules, mynetworks="127.0.0.1") as h:
            ours = {domain: Talk(h.ports["smtp"]).all(said) for domain, said in commands.items()}
            assert ours == theirs
            for domain, (_, result) in SPF_RESULTS.items():
                assert ours[domain][-1].startswith("550 5.7.1 <jill@example.com>: Recipient address rejected: Please see http" if result is None else "250"), ours[domain]
            for domain in SPF_RESULTS:
                with h.smtp() as s:
                    heard = [s.docmd(said)[0] for said in commands[domain]]
                    assert heard[-1] == 550 or s.data(f"Subject: {domain}\r\n\r\nx\r\n")[0] == 250

            def fields():
                text = h.command("doveadm", "fetch", "-u", "jill@example.com", "hdr", "mailbox", "INBOX").stdout
                return {m["Subject"]: m["Received-SPF"].split()[0] for m in map(email.message_from_string, re.split(r"(?m)^hdr:\n", text)[1:])}

            wanted = {domain: result for domain, (_, result) in SPF_RESULTS.items() if result}
            assert wait_for(lambda: len(found := fields()) == len(wanted) and found) == wanted
    finally:
        spawn.close()
        server.close()


# ---- addresses asked of their own servers

@pytest.mark.skipif(os.geteuid() != 0, reason="needs port 25 of an address of its own")
def test_an_address_is_asked_of_its_server_once():
    at = own_address()
    exchanger = Exchanger(at, {"good": "250 2.1.5 ok"})
    server = NameServer(RECORDS + f"probe.example. MX 10 mx.probe.example.\nmx.probe.example. A {at}\n")
    with house(f"{FINAL}, reject_unverified_sender", dns_resolver=f"127.0.0.1:{server.port}", address_verify_poll_delay="5s",
              unverified_sender_reject_code="550") as h:
        for _ in range(3):
            assert rcpt(h, sender="good@probe.example").startswith("250")
            assert rcpt(h, sender="bad@probe.example") == (
                f"550 5.1.7 <bad@probe.example>: Sender address rejected: undeliverable address: host mx.probe.example[{at}] "
                "said: 550 5.1.1 no such user (in reply to RCPT TO command)")
            assert rcpt(h, sender="jill@example.com").startswith("250")
            assert rcpt(h, sender="nobody@example.com").startswith("550 5.1.7 <nobody@example.com>: Sender address rejected: undeliverable")
        assert sorted(exchanger.asked) == ["bad", "good"] and exchanger.letters == 0
        assert exchanger.senders[0] == "FROM:<double-bounce@mail.example.com>" or "double-bounce@" in exchanger.senders[0]
        listed = h.command("policy", "verify", "list").stdout
        assert "good@probe.example\tdeliverable\t" in listed and "bad@probe.example\tundeliverable\t" in listed
        h.command("policy", "verify", "delete", "good@probe.example")
        assert rcpt(h, sender="good@probe.example").startswith("250")
        assert exchanger.asked.count("good") == 2
    exchanger.close()
    server.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs port 25 of an address of its own")
def test_a_client_does_not_wait_for_a_server_for_ever():
    at = own_address()
    silent = socket.create_server((at, 25))
    server = NameServer(RECORDS + f"probe.example. MX 10 mx.probe.example.\nmx.probe.example. A {at}\n")
    with house(f"{FINAL}, reject_unverified_sender", dns_resolver=f"127.0.0.1:{server.port}", address_verify_poll_delay="1s",
              address_verify_poll_count="1") as h:
        assert rcpt(h, sender="good@probe.example") == (
            "450 4.1.7 <good@probe.example>: Sender address rejected: unverified address: Address verification in progress")
    silent.close()
    server.close()
