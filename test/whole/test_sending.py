# SPDX-License-Identifier: ISC
"""Letters go elsewhere: to real servers, to servers that misbehave, and through sudden deaths of our own.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sending.py
"""

import collections
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import House, free_ports, make_certificate, wait_for
from nameservers import Nsd

LETTER = "From: a@here.example\r\nTo: b@there.example\r\nSubject: {}\r\n\r\n.a dot\r\nbody\r\n"


class Sink:
    """A server of our own that keeps what it is given, and misbehaves as told.

    `reply(verb, argument, session)` gives a reply, None for the usual one, or "" to close."""

    def __init__(self, reply=lambda *_: None, offers=("PIPELINING", "8BITMIME", "SIZE 10000000"), lmtp=False, host="127.0.0.1", port=0,
                 path=None):
        self.reply, self.offers, self.lmtp = reply, offers, lmtp
        self.letters, self.connections, self.commands, self.lock = [], 0, [], threading.Lock()
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(path)
            os.chmod(path, 0o666)
        else:
            self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind((host, port))
        self.socket.listen(100)
        self.port = None if path else self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def accept(self):
        while True:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        with self.lock:
            self.connections += 1
            session = type("Session", (), {"number": self.connections, "rcpt": [], "mail": None, "socket": s})()
        f = s.makefile("rwb")
        try:
            self.converse(f, session)
        except OSError:
            pass
        finally:
            f.close()
            s.close()

    def say(self, f, text):
        if text == "":
            raise OSError
        f.write((text + "\r\n").encode("latin-1"))
        f.flush()

    def converse(self, f, session):
        said = self.reply("CONNECT", "", session)
        self.say(f, "220 sink.example ESMTP" if said is None else said)
        while line := f.readline():
            verb, _, argument = line.decode("latin-1").strip().partition(" ")
            with self.lock:
                self.commands.append(line.decode("latin-1").strip())
            said = self.reply(verb.upper(), argument, session)
            usual = "250 2.0.0 ok"
            if verb.upper() in ("EHLO", "LHLO"):
                usual = "\r\n".join(f"250-{o}" for o in ("sink.example", *self.offers)) + "\r\n250 ENHANCEDSTATUSCODES"
            elif verb.upper() == "MAIL":
                session.mail, session.rcpt = argument, []
            elif verb.upper() == "QUIT":
                self.say(f, "221 bye")
                return
            elif verb.upper() == "DATA":
                usual = "354 go" if session.rcpt else "503 no recipients"
            if verb.upper() == "RCPT" and (said is None or said[:1] == "2"):
                session.rcpt.append(re.search("<(.*)>", argument).group(1))
            self.say(f, usual if said is None else said)
            if verb.upper() == "DATA" and (said or usual)[0] == "3":
                self.data(f, session)

    def data(self, f, session):
        lines = []
        while (line := f.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b"..") else line)
        if line == b"":
            return
        text = b"".join(lines)
        said = self.reply("END", text, session)
        for to in session.rcpt if self.lmtp else session.rcpt[:1]:
            one = said or self.reply("END " + to, text, session) or "250 2.0.0 kept"
            if one[0] == "2":
                with self.lock:
                    self.letters.append((session.mail, [to] if self.lmtp else list(session.rcpt), text))
            self.say(f, one)

    def got(self):
        with self.lock:
            return sorted(to for _, rcpt, _ in self.letters for to in rcpt)


def house(**settings):
    return House(**{"mynetworks": "127.0.0.0/8", "dns_resolver": "none", "minimal_backoff_time": "1s", "maximal_backoff_time": "1s",
                    "verifier_processes": "1", "receiver_processes": "1", "sender_processes": "1", **settings})


def send(h, to, subject="hello", sender="a@here.example", text=None):
    with h.smtp() as s:
        s.sendmail(sender, to, text or LETTER.format(subject))


def empty(h):
    return "Mail queue is empty" in h.command("queue", "list").stdout


def test_a_letter_goes_to_the_relayhost_with_all_its_recipients_at_once():
    with Sink() as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        send(h, ["b@there.example", "c@else.example"])
        wait_for(lambda: empty(h))
        assert sink.got() == ["b@there.example", "c@else.example"]
        assert len(sink.letters) == 1 and b"\r\n.a dot\r\n" in sink.letters[0][2]
        assert sink.letters[0][2].startswith(b"Received: ")
        assert re.search(r"smtp\[\d+\]: \w+: to=<b@there\.example>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, delay=[\d.e-]+, "
                         r"delays=[\d.e-]+/[\d.e-]+/[\d.e-]+/[\d.e-]+, dsn=2\.0\.0, status=sent \(250 2\.0\.0 kept\) tls=none\n" % sink.port, h.text())
        totals = subprocess.run(["pflogsumm", "--syslog-name=mansio", str(h.log)], capture_output=True, text=True).stdout
        assert re.search(r"\n\s+2\s+delivered\n", totals), totals


def test_one_bad_recipient_delays_nobody_and_comes_back():
    def reply(verb, argument, session):
        if verb == "RCPT" and "bad@" in argument:
            return "550 5.1.1 who is that?"
        if verb == "RCPT" and "late@" in argument and session.number == 1:
            return "450 4.2.1 try again"
    with Sink(reply) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        send(h, ["bad@there.example", "late@there.example", "good@there.example"])
        wait_for(lambda: sink.got() == ["a@here.example", "good@there.example", "late@there.example"])
        wait_for(lambda: empty(h))
        notice = next(text for _, to, text in sink.letters if to == ["a@here.example"])
        assert b"550 5.1.1 who is that?" in notice and b"Status: 5.1.1" in notice
        assert "status=bounced (host 127.0.0.1[127.0.0.1] said: 550 5.1.1 who is that? (in reply to RCPT TO command))" in h.text()


FAULTS = {
    "it talks nonsense": lambda v, a, s: "HTTP/1.1 200 OK" if v == "CONNECT" else None,
    "it greets with 554": lambda v, a, s: "554 not you" if v == "CONNECT" else None,
    "it greets with 421": lambda v, a, s: "421 busy" if v == "CONNECT" else None,
    "it closes at once": lambda v, a, s: "" if v == "CONNECT" else None,
    "it closes at EHLO": lambda v, a, s: "" if v == "EHLO" else None,
    "it knows no verb": lambda v, a, s: "" if v in ("EHLO", "HELO") else None,
    "it closes at MAIL": lambda v, a, s: "" if v == "MAIL" else None,
    "it closes at RCPT": lambda v, a, s: "" if v == "RCPT" else None,
    "it closes at DATA": lambda v, a, s: "" if v == "DATA" else None,
    "it says 421 at MAIL": lambda v, a, s: "421 later" if v == "MAIL" else None,
    "it says 451 at MAIL": lambda v, a, s: "451 later" if v == "MAIL" else None,
    "it says 451 at DATA": lambda v, a, s: "451 later" if v == "DATA" else None,
    "it says 250 to DATA": lambda v, a, s: "250 what?" if v == "DATA" else None,
    "it says 451 at the end": lambda v, a, s: "451 full" if v == "END" else None,
    "it says 354 at the end": lambda v, a, s: "354 more" if v == "END" else None,
    "its line has no end": lambda v, a, s: "220 " + "x" * 20000 if v == "CONNECT" else None,
    "its answer has no end": lambda v, a, s: "250-x\r\n" * 600 + "250 x" if v == "EHLO" else None,
    "it says more than it was asked": lambda v, a, s: "250 ok\r\n250 ok\r\n250 ok\r\n999 ok" if v == "MAIL" else None,
    "it is silent at the greeting": lambda v, a, s: time.sleep(8) or "" if v == "CONNECT" else None,
    "it is silent at RCPT": lambda v, a, s: time.sleep(8) or "" if v == "RCPT" else None,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_misbehaves_once_and_the_letter_comes_once(fault):
    """The first sessions go wrong; then all is well: the letter is there, and once."""
    def reply(verb, argument, session):
        return FAULTS[fault](verb, argument, session) if session.number <= 2 else None
    with Sink(reply, offers=()) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", smtp_helo_timeout="1s", smtp_rcpt_timeout="1s",
                                               smtp_mail_timeout="1s") as h:
        send(h, ["b@there.example"])
        wait_for(lambda: sink.got() and empty(h))
        assert sink.got() == ["b@there.example"]
        assert "status=deferred" in h.text() and "status=bounced" not in h.text()


def test_small_letters_that_wait_are_kept_by_compaction_and_not_copied_each_time():
    port = free_ports(1)[0]
    with house(relayhost=f"[127.0.0.1]:{port}") as h:
        names = [f"b{i}@there.example" for i in range(6)]
        for name in names:
            send(h, [name])
        h.stop()
        h.start()
        h.at_work()

        def done():
            return re.search(r"(\d+) segments removed, (\d+) letters copied", h.command("store", "compact", check=False).stdout)
        wait_for(lambda: (said := done()) and (time.sleep(1) or int(said[2]) == 0))
        time.sleep(2.5)
        assert done()[2] == "0"
        with Sink(port=port) as sink:
            wait_for(lambda: len(sink.got()) == len(names) and empty(h), 40)
            assert sink.got() == names


def test_a_server_that_repeats_the_password_has_it_in_no_log():
    def reply(verb, argument, session):
        return f"535 5.7.8 no such thing: {verb} {argument}" if verb == "AUTH" else None
    with Sink(reply, offers=("AUTH PLAIN",)) as sink, house(
            relayhost=f"[127.0.0.1]:{sink.port}", smtp_sasl_auth_enable="yes", smtp_sasl_security_options="noanonymous",
            smtp_sasl_password_maps=f"inline:{{[127.0.0.1]:{sink.port}=tim:sEcReT-pw9}}") as h:
        send(h, ["b@there.example"])
        wait_for(lambda: h.count("SASL authentication failed"))
        said = sink.commands[-1] if sink.commands[-1][:4] == "AUTH" else next(c for c in sink.commands if c[:4] == "AUTH")
        assert said.split()[2] not in h.text() + h.command("queue", "list").stdout
        assert "said: 535, and what had been said to it" in h.text()


def test_a_server_that_drops_in_the_midst_of_the_letter():
    def reply(verb, argument, session):
        if verb == "DATA" and session.number <= 2:
            session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            session.socket.sendall(b"354 go\r\n")
            session.socket.recv(100000)
            return ""
    with Sink(reply) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        send(h, ["b@there.example"], text=LETTER.format("big") + "x" * 70 * 30000 + "\r\n")
        wait_for(lambda: sink.got() and empty(h), 40)
        assert sink.got() == ["b@there.example"]


def test_a_dead_destination_is_left_alone_and_others_go():
    port = free_ports(1)[0]
    with Sink() as sink, house(transport_maps=f"inline:{{{{dead.example=smtp:[127.0.0.1]:{port}}}, {{*=smtp:[127.0.0.1]:{sink.port}}}}}",
                               minimal_backoff_time="300s", maximal_backoff_time="300s", initial_destination_concurrency="1") as h:
        for i in range(5):
            send(h, [f"x{i}@dead.example", f"y{i}@there.example"])
        wait_for(lambda: len(sink.got()) == 5 and h.count("status=deferred") == 5)
        assert h.count("delivery temporarily suspended: connect to 127.0.0.1") >= 1
        assert f"connect to 127.0.0.1[127.0.0.1]:{port}: Connection refused" in h.command("queue", "list").stdout


def test_R214_transports_by_table():
    """`error:` is said at RCPT, as Postfix says it (test_transports_beside_postfix); what an alias leads there bounces."""
    with Sink() as one, Sink(lmtp=True) as two, house(
            virtual_alias_domains="alias.example", virtual_alias_maps="inline:{no@alias.example=no@b.example}",
            transport_maps=f"inline:{{{{a.example=smtp:[127.0.0.1]:{one.port}}}, {{.a.example=lmtp:inet:127.0.0.1:{two.port}}}, "
            "{no@b.example=error:5.7.1 not for you}, {b.example=discard:}, {c.example=hold:}, {d.example=retry:4.3.2 not today}, "
            "{e.example=nothing:}}") as h:
        with h.smtp() as s:
            s.ehlo("client.example")
            assert s.mail("")[0] == 250
            code, words = s.rcpt("no@b.example")
            assert code == 550 and words.startswith(b"5.7.1 <no@b.example>: Recipient address rejected: not for you"), words
            code, words = s.rcpt("x@d.example")
            assert code == 450 and words.startswith(b"4.3.2 <x@d.example>: Recipient address rejected: not today"), words
        send(h, ["x@a.example", "x@sub.a.example", "no@alias.example", "x@b.example", "x@c.example", "x@e.example"], sender="")
        wait_for(lambda: h.count("status=") >= 6)
        log = h.text()
        assert one.got() == ["x@a.example"] and two.got() == ["x@sub.a.example"]
        assert re.search(r"lmtp\[\d+\]: \w+: to=<x@sub\.a\.example>, relay=127\.0\.0\.1", log)
        assert re.search(r"error\[\d+\]: \w+: to=<no@b\.example>, orig_to=<no@alias\.example>, relay=none, .*dsn=5\.7\.1, "
                         r"status=bounced \(not for you\)", log)
        assert re.search(r"discard\[\d+\]: \w+: to=<x@b\.example>.*status=sent", log)
        assert 'there is no transport "nothing"' in log
        listed = h.command("queue", "list").stdout
        assert "x@c.example  [hold]" in listed
        assert re.search(r"mansio/qmgr\[\d+\]: \w+: to=<x@c\.example>, relay=none, .*status=hold \(transport_maps say hold\)", h.text())


def test_R214_what_a_table_holds_goes_past_it_when_it_is_released():
    """Each line that holds is as if it were not there: then the next less exact one counts, the default, or our own mailbox."""
    often = {}

    def later_at_first(verb, argument, _):
        often[argument] = often.get(argument, 0) + 1
        return "451 4.2.0 not yet" if verb == "RCPT" and often[argument] == 1 else None

    with Sink(later_at_first) as one, Sink() as two, \
            house(relayhost=f"[127.0.0.1]:{one.port}", transport_maps="inline:{ {x@c.example = hold:look at it} {y@d.example = hold:} "
                  "{d.example = smtp:[127.0.0.1]:%d} {jill@here.example = hold:} }" % two.port) as h:
        h.command("domain", "add", "here.example")
        h.command("account", "add", "jill@here.example", input="way-station\n")
        to = ["jill@here.example", "x@c.example", "y@d.example"]
        send(h, to)

        def waiting(state):
            return sorted(r["address"] for r in json.loads(h.command("queue", "list", "--json", "--state", state).stdout))

        wait_for(lambda: waiting("hold") == to)
        # Who tries it does not let it go.
        h.command("queue", "hold", "ALL")
        h.command("queue", "retry", "ALL")
        h.command("reload")
        assert waiting("hold") == to and one.got() == two.got() == []
        h.command("queue", "release", "--recipient", "x@c.example")
        # Put off by a host, it is not held again, nor when the queue begins anew.
        wait_for(lambda: waiting("deferred") == ["x@c.example"] or one.got())
        h.stop()
        h.start()
        wait_for(lambda: one.got() == ["x@c.example"])
        h.command("queue", "release", "ALL")
        wait_for(lambda: two.got() == ["y@d.example"] and empty(h))
        assert re.search(r"to=<jill@here\.example>.*status=sent \(delivered to mailbox\)", h.text()), h.text()
        # Who comes now is held.
        send(h, ["x@c.example"])
        wait_for(lambda: waiting("hold") == ["x@c.example"])


def test_lmtp_by_a_socket(tmp_path):
    where = tempfile.mkdtemp(prefix="mansio-lmtp-", dir="/run")
    os.chmod(where, 0o755)
    try:
        def reply(verb, argument, session):
            return "452 4.2.2 full" if verb == "END full@x.example" and session.number == 1 else None
        with Sink(reply, lmtp=True, path=f"{where}/lmtp") as sink, house(default_transport=f"lmtp:unix:{where}/lmtp") as h:
            send(h, ["full@x.example", "well@x.example"])
            wait_for(lambda: empty(h))
            assert sink.got() == ["full@x.example", "well@x.example"]
    finally:
        shutil.rmtree(where)


def test_R172_a_login_at_the_smarthost_with_a_secret_only_senders_have(tmp_path):
    secret = tempfile.NamedTemporaryFile("w", prefix="mansio-secret-", delete=False)
    def reply(verb, argument, session):
        if verb == "AUTH":
            session.login = argument
            return "235 welcome"
        if verb == "MAIL" and getattr(session, "login", "") != "PLAIN AGphY2sAd2F5LXN0YXRpb24=":
            return "530 5.7.0 log in"
    try:
        with Sink(reply, offers=("AUTH PLAIN LOGIN",)) as sink:
            secret.write(f"[127.0.0.1]:{sink.port} jack:way-station\n")
            secret.close()
            with house(relayhost=f"[127.0.0.1]:{sink.port}", smtp_sasl_auth_enable="yes", smtp_sasl_password_maps=f"texthash:{secret.name}",
                       smtp_sasl_security_options="noanonymous") as h:
                send(h, ["b@there.example"])
                wait_for(lambda: sink.got() == ["b@there.example"])
                assert "way-station" not in h.text()
                for p in h.status():
                    held = [os.path.realpath(f"/proc/{p['pid']}/fd/{n}") for n in os.listdir(f"/proc/{p['pid']}/fd")]
                    assert (secret.name in held) == (p["role"] in ("sender", "postmaster")), p["role"]
    finally:
        os.unlink(secret.name)


def test_connections_are_used_again_while_more_waits():
    """The first letter is not answered before all have come: then nineteen wait, however slowly they were brought."""
    brought = threading.Event()

    def reply(verb, argument, session):
        if verb == "MAIL":
            brought.wait(60)

    with Sink(reply) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", default_destination_concurrency_limit="1",
                                    initial_destination_concurrency="1") as h:
        for i in range(20):
            send(h, [f"b{i}@there.example"])
        brought.set()
        wait_for(lambda: empty(h))
        assert len(sink.got()) == 20 and sink.connections < 20


@pytest.mark.parametrize("victim", ["sender", "queue"])
def test_nothing_is_lost_when_we_die_in_the_midst(victim):
    """kill -9 again and again while letters go out; what comes twice is counted."""
    with Sink() as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        count, stop = 120, threading.Event()

        def killer():
            while not stop.is_set():
                time.sleep(0.4)
                for p in h.status():
                    if p["role"] == victim and p["state"] == "working":
                        try:
                            os.kill(p["pid"], signal.SIGKILL)
                        except ProcessLookupError:
                            pass
        thread = threading.Thread(target=killer)
        thread.start()
        try:
            for i in range(count):
                for _ in range(50):
                    try:
                        send(h, [f"b{i}@there.example"])
                        break
                    except Exception:
                        time.sleep(0.1)
        finally:
            stop.set()
            thread.join()
        wanted = [f"b{i}@there.example" for i in range(count)]
        wait_for(lambda: set(sink.got()) == set(wanted) and empty(h), 60)
        often = collections.Counter(sink.got())
        twice = sum(n - 1 for n in often.values())
        print(f"{victim}: {count} letters, {twice} came twice")
        assert twice <= count // 10


ZONE = """$TTL 300
. IN SOA ns.example. host.example. 1 3600 600 86400 300
. IN NS ns.example.
ns.example. A 127.0.0.1
four.example. MX 10 a.four.example.
four.example. MX 10 b.four.example.
four.example. MX 20 c.four.example.
four.example. MX 30 d.four.example.
a.four.example. A 127.0.0.2
b.four.example. A 127.0.0.3
c.four.example. A 127.0.0.4
d.four.example. A 127.0.0.5
plain.example. A 127.0.0.5
null.example. MX 0 .
null.example. A 127.0.0.5
lost.example. MX 10 nowhere.example.
loop.example. MX 10 mail.example.com.
loop.example. MX 20 d.four.example.
backed.example. MX 10 a.four.example.
backed.example. MX 20 mail.example.com.
backed.example. MX 30 d.four.example.
mail.example.com. A 127.0.0.1
alias.example. CNAME four.example.
byalias.example. MX 10 aka.example.
aka.example. CNAME d.four.example.
further.example. CNAME further1.example.
further1.example. CNAME plain.example.
ring.example. CNAME ring2.example.
ring2.example. CNAME ring.example.
nowhere-at-all.example. CNAME not-there.example.
six.example. MX 10 host.six.example.
host.six.example. AAAA ::1
both.example. MX 10 host.both.example.
host.both.example. AAAA ::1
host.both.example. A 127.0.0.5
""" + "".join(f"crowd.example. MX {400 - i} h{i}.crowd.example.\n" for i in range(300)) + "h299.crowd.example. A 127.0.0.2\nh298.crowd.example. A 127.0.0.3\n"


@pytest.fixture(scope="module")
def names():
    """nsd with the zone above; its port."""
    with Nsd({".": ZONE}) as server:
        yield server.port


def test_mail_exchangers_in_their_order(names):
    """The example of preferences 10, 10, 20, 30; one host after another comes back."""
    port = free_ports(1)[0]
    with house(dns_resolver=f"127.0.0.1:{names}", dns_validation="no", smtp_tcp_port=str(port), smtp_mx_session_limit="0") as h:
        send(h, ["x0@four.example", "y@null.example", "y@lost.example", "y@nothing.example", "y@loop.example"], sender="")
        wait_for(lambda: h.count("status=") >= 5)
        log = h.text()
        assert re.search(r"to=<y@null\.example>.*dsn=5\.1\.10, status=bounced \(Domain null\.example does not accept mail \(nullMX\)\)", log)
        assert re.search(r"to=<y@lost\.example>.*dsn=5\.4\.4, status=bounced", log)
        assert re.search(r"to=<y@nothing\.example>.*dsn=5\.1\.2, status=bounced \(Host or domain name not found", log)
        assert re.search(r"to=<y@loop\.example>.*dsn=5\.4\.6, status=bounced \(mail for loop\.example loops back to myself\)", log)
        assert re.search(r"to=<x0@four\.example>.*status=deferred \(connect to d\.four\.example\[127\.0\.0\.5\]:", log)
        with Sink(host="127.0.0.5", port=port) as d:
            wait_for(lambda: d.got() == ["x0@four.example"])
            send(h, ["p@plain.example"])
            wait_for(lambda: d.got() == ["p@plain.example", "x0@four.example"])
            with Sink(host="127.0.0.4", port=port) as c:
                send(h, ["x1@four.example"])
                wait_for(lambda: c.got() == ["x1@four.example"])
                with Sink(host="127.0.0.2", port=port) as a, Sink(host="127.0.0.3", port=port) as b:
                    for i in range(24):
                        send(h, [f"z{i}@four.example"])
                    wait_for(lambda: len(a.got()) + len(b.got()) == 24)
                    assert a.got() and b.got()
        assert len(c.got()) == 1 and len(d.got()) == 2


def test_of_three_hundred_exchangers_the_best_are_tried(names):
    """rfc5321:5.1 wants at least two addresses tried, and smtp_mx_address_limit says where it ends."""
    port = free_ports(1)[0]
    with house(dns_resolver=f"127.0.0.1:{names}", dns_validation="no", smtp_tcp_port=str(port)) as h, Sink(host="127.0.0.3", port=port) as second:
        send(h, ["x@crowd.example"])
        wait_for(lambda: second.got() == ["x@crowd.example"])
        wait_for(lambda: h.command("trace", "x@crowd.example").stdout.find("h299.crowd.example[127.0.0.2]") >= 0)


def test_R170_tls_where_it_is_offered_and_where_it_is_demanded(tmp_path):
    """Ourselves at the other end: STARTTLS is used, and without it nothing goes where it is demanded."""
    with House() as there:
        there.command("domain", "add", "there.example")
        there.command("account", "add", "b@there.example", input="way-station\n")
        port = there.ports["smtp"]
        with house(relayhost=f"[127.0.0.1]:{port}", smtp_tls_security_level="may") as h:
            send(h, ["b@there.example"])
            wait_for(lambda: empty(h))
            assert h.count("status=sent (250") == 1
            assert f"Untrusted TLS connection established to 127.0.0.1[127.0.0.1]:{port}: TLSv1.3 with cipher" in h.text()
            wait_for(lambda: "starttls=1" in there.text())     # when the session has ended
    with Sink() as plain, house(relayhost=f"[127.0.0.1]:{plain.port}", smtp_tls_security_level="encrypt") as h:
        send(h, ["b@there.example"])
        wait_for(lambda: "TLS is required, but was not offered by host 127.0.0.1[127.0.0.1]" in h.text())
        assert plain.got() == []


def test_broken_tls_is_done_without_where_it_is_only_welcome():
    def reply(verb, argument, session):
        if verb == "STARTTLS":
            session.socket.sendall(b"220 go\r\nthis is no handshake\r\n")
            return ""
    with Sink(reply, offers=("STARTTLS",)) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", smtp_tls_security_level="may") as h:
        send(h, ["b@there.example"])
        wait_for(lambda: sink.got() == ["b@there.example"])


class Receiver:
    """Debian's Postfix, which throws away what it takes; `more`: lines of main.cf, which may speak of {home}, `services`: of master.cf."""

    def __init__(self, more="", services=()):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="sending-postfix-"))
        self.home.chmod(0o755)
        self.port = free_ports(1)[0]
        for name in ("etc", "queue", "data"):
            (self.home / name).mkdir()
        shutil.chown(self.home / "data", "postfix")
        said = (f"""compatibility_level = 3.6
myhostname = there.example
mydestination =
relay_domains = there.example
relay_transport = discard:
default_transport = error:no
queue_directory = {self.home}/queue
data_directory = {self.home}/data
maillog_file = {self.home}/log
maillog_file_prefixes = {self.home}
inet_interfaces = 127.0.0.1
smtpd_peername_lookup = no
default_database_type = hash
alias_maps =
alias_database =
smtpd_recipient_restrictions = check_recipient_access inline:{{bad@there.example=REJECT}}, reject_unauth_destination
""" + more.format(home=self.home))
        # Each name once, the last (beside.py says why).
        lines = {s.split("=")[0].strip(): s for s in re.sub(r"\n[ \t]+", " ", said).splitlines() if "=" in s}
        (self.home / "etc/main.cf").write_text("\n".join(lines.values()) + "\n")
        words = [*services] + [f"127.0.0.1:{self.port} inet n - n - - smtpd"] + [f"{a} unix {b} - n {c} {d} {e}" for a, b, c, d, e in [
            ("pickup", "n", "60", "1", "pickup"), ("cleanup", "n", "-", "0", "cleanup"), ("qmgr", "n", "300", "1", "qmgr"),
            ("rewrite", "-", "-", "-", "trivial-rewrite"), ("bounce", "-", "-", "0", "bounce"), ("defer", "-", "-", "0", "bounce"),
            ("trace", "-", "-", "0", "bounce"), ("error", "-", "-", "-", "error"), ("retry", "-", "-", "-", "error"),
            ("discard", "-", "-", "-", "discard"), ("proxymap", "-", "-", "-", "proxymap"), ("anvil", "-", "-", "1", "anvil")]]
        (self.home / "etc/master.cf").write_text("\n".join([*words, "postlog unix-dgram n - n - 1 postlogd"]) + "\n")
        subprocess.run(["postfix", "-c", self.home / "etc", "start"], check=True, capture_output=True, timeout=60)

    def log(self):
        return (self.home / "log").read_text() if (self.home / "log").exists() else ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["postfix", "-c", self.home / "etc", "stop"], capture_output=True, timeout=60)
        shutil.rmtree(self.home, ignore_errors=True)


def test_postfix_takes_our_letters_by_chunks_and_several_a_connection():
    with Receiver() as postfix, house(relayhost=f"[127.0.0.1]:{postfix.port}", initial_destination_concurrency="1",
                                      default_destination_concurrency_limit="1") as h:
        for i in range(10):
            send(h, [f"u{i}@there.example", "bad@there.example"], sender="", text=LETTER.format(i))
        wait_for(lambda: empty(h))
        wait_for(lambda: postfix.log().count("status=sent") >= 10)       # it takes a letter before it says what became of it
        log = postfix.log()
        for i in range(10):
            assert len(re.findall(rf"to=<u{i}@there\.example>.*status=sent", log)) == 1
        assert h.count("554 5.7.1 <bad@there.example>: Recipient address rejected: Access denied") == 10
        assert log.count("]: connect from") < 10


def test_dovecot_takes_our_letters_by_lmtp(tmp_path):
    home = pathlib.Path(tempfile.mkdtemp(prefix="sending-dovecot-"))
    home.chmod(0o755)
    port = free_ports(1)[0]
    (home / "mail").mkdir()
    (home / "mail").chmod(0o777)
    (home / "users").write_text("good@there.example:{PLAIN}x\nfull@there.example:{PLAIN}x\n")
    (home / "dovecot.conf").write_text(f"""protocols = lmtp
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
ssl = no
mail_location = maildir:{home}/mail/%u
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = dovecot
default_login_user = dovenull
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
passdb {{
  driver = passwd-file
  args = {home}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={home}/mail/%u
}}
""")
    process = subprocess.Popen(["dovecot", "-F", "-c", home / "dovecot.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def up():
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                return False
        wait_for(up)
        with house(transport_maps=f"inline:{{there.example=lmtp:inet:127.0.0.1:{port}}}") as h:
            send(h, ["good@there.example", "nobody@there.example"], sender="")
            wait_for(lambda: empty(h))
            assert re.search(r"to=<good@there\.example>.*status=sent \(250 2\.0\.0", h.text())
            assert re.search(r"to=<nobody@there\.example>.*dsn=5\.1\.1, status=bounced", h.text())
            assert len(list((home / "mail/good@there.example/new").iterdir())) == 1
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q", *sys.argv[1:]]))
