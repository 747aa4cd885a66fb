# SPDX-License-Identifier: ISC
"""Our log and Postfix's of the same day, both read by Debian's pflogsumm."""

import os
import pathlib
import re
import shutil
import smtplib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from beside import MASTER, Instance, named
from house import House, free_ports, wait_for
from test_sending import Sink

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("pflogsumm") or not shutil.which("postfix"), reason="wants Postfix, pflogsumm and root")

LETTER = "From: {}\r\nTo: x@x.example\r\nSubject: x\r\n\r\nbody\r\n"
SETTINGS = """
myhostname = mail.here.example
mydomain = here.example
mydestination =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = here.example
virtual_mailbox_maps = inline:{{ jill@here.example=jill, jack@here.example=jack }}
virtual_alias_maps = inline:{{ {{ list@here.example = jill@here.example jack@here.example }} }}
relayhost = [127.0.0.1]:{sink}
smtpd_recipient_restrictions = reject_unauth_pipelining, check_sender_access inline:{{ bad@sender.example=REJECT }}, permit_mynetworks, reject
smtpd_peername_lookup = no
smtp_tls_security_level = none
minimal_backoff_time = 1000s
notify_classes =
"""


class Postfix(Instance):
    text = Instance.log

    def __init__(self, settings):
        self.port = free_ports(1)[0]
        super().__init__({**named(settings), "virtual_mailbox_base": "{home}/mail", "virtual_uid_maps": "static:65534", "virtual_gid_maps": "static:65534",
                          "alias_maps": ""}, MASTER.format(port=f"127.0.0.1:{self.port}") + "virtual unix - n n - - virtual\n")


def the_day(port):
    """What both are given."""
    def send(sender, to, count=1, size=0):
        for _ in range(count):
            with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=30) as s:
                try:
                    s.sendmail(sender, to, LETTER.format(sender) + "x" * 70 * size)
                except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused):
                    pass
    send("a@one.example", ["jill@here.example"], 3)
    send("a@one.example", ["jill@here.example", "jack@here.example"], 2)
    send("b@two.example", ["list@here.example"], 2)
    send("b@two.example", ["x@there.example", "y@else.example"], 2)
    send("c@two.example", ["bounce@there.example"], 1)
    send("c@two.example", ["later@there.example"], 1)
    send("bad@sender.example", ["jill@here.example"], 4)
    send("a@one.example", ["nobody@here.example"], 2)


def reply(verb, argument, session):
    if verb == "RCPT" and "bounce@" in argument:
        return "550 5.1.1 who is that?"
    if verb == "RCPT" and "later@" in argument:
        return "450 4.2.1 try again"


def tables(log, name):
    out = subprocess.run(["pflogsumm", f"--syslog-name={name}", "--problems-first", log], capture_output=True, text=True, check=True).stdout
    found = {"totals": {m[2]: int(m[1]) for m in re.finditer(r"(?m)^ +(\d+) +(received|delivered|forwarded|deferred|bounced|rejected|reject warnings|held|discarded|senders|sending hosts/domains|recipients|recipient hosts/domains)\b", out)}}
    for title in ("Host/Domain Summary: Message Delivery", "Host/Domain Summary: Messages Received", "Per-Hour Traffic Summary", "Senders by message count", "Recipients by message count"):
        part = re.search(rf"(?m)^{re.escape(title)}.*\n-+\n((?:.+\n)*)", out)
        rows = [re.sub(r" +", " ", line).strip() for line in (part[1] if part else "").splitlines()]
        found[title] = rows
    return found, out


def counted(rows, columns, name=-1):
    """Of tables by domain: counts and names; bytes and seconds are the server's own."""
    return sorted((*[r.split()[c] for c in columns], r.split()[name]) for r in rows if r and r.split()[0].isdigit())


LIMITS = {"one session each": {"smtp_mx_session_limit": "1"}, "the usual": {}, "one address each": {"smtp_mx_address_limit": "1"}}


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("last", ["good", "away"])
@pytest.mark.parametrize("by", ["a list", "a fallback"])
def test_hosts_that_were_no_good_have_lines_of_their_own(limits, by, last):
    """The limits of sessions and addresses hold for each destination that is named: one behind them gets the letter."""
    def host(which):
        when, words = {1: ("CONNECT", "421 4.3.2 no service"), 2: ("RCPT", "452 4.2.2 full"), 3: (None, None)}[which]
        return Sink(lambda verb, *_: words if verb == when else None)

    with host(1) as closed, host(2) as full, host(3) as theirs, host(3) as ours:
        said, away = [], free_ports(1)[0]
        for good in (theirs, ours):
            hosts = [f"[127.0.0.1]:{port}" for port in (free_ports(1)[0], closed.port, full.port, good.port if last == "good" else away)]
            settings = {"myhostname": "mail.example.com", "mydestination": "", "mynetworks": "127.0.0.0/8", "smtp_tls_security_level": "none", **LIMITS[limits],
                        "relayhost": ", ".join(hosts) if by == "a list" else hosts[0], "smtp_fallback_relay": "" if by == "a list" else " ".join(hosts[1:])}
            if good is theirs:
                server = Postfix("".join(f"{n} = {v}\n" for n, v in settings.items()))
                port = server.port
            else:
                server = House(**settings)
                server.start()
                port = server.ports["smtp"]
            try:
                with smtplib.SMTP("127.0.0.1", port, timeout=30) as s:
                    s.sendmail("a@one.example", ["x@there.example", "z@there.example"], LETTER.format("a"))
                wait_for(lambda: server.text().count("status=") == 2, 30)        # noqa: B023
                lines = re.findall(r"/smtp\[\d+\]: (.*)", server.text())
                said.append([re.sub(r"^[0-9A-F]{8,}: |\]:\d+|delays?=[^ ]+ | tls=none$", "", line) for line in lines])
            finally:
                server.close()
        assert theirs.got() == ours.got() == (["x@there.example", "z@there.example"] if last == "good" else [])
        # In which order lines of two things at once come is chance, with Postfix too.
        assert sorted(said[1]) == sorted(said[0]) and len(said[0]) == (6 if last == "good" else 7), said


def test_a_letter_without_a_message_id_has_an_empty_one_in_the_log():
    settings = {"myhostname": "mail.example.com", "mydestination": "", "mynetworks": "127.0.0.0/8", "local_header_rewrite_clients": "", "relayhost": "[127.0.0.1]:1"}
    said = []
    for server in (Postfix("".join(f"{n} = {v}\n" for n, v in settings.items())), House(**settings)):
        try:
            if isinstance(server, House):
                server.start()
                port = server.ports["smtp"]
            else:
                port = server.port
            with smtplib.SMTP("127.0.0.1", port, timeout=30) as s:
                s.sendmail("a@one.example", ["x@there.example"], LETTER.format("a"))
            said.append(wait_for(lambda: re.search(r"message-id=.*", server.text()))[0])     # noqa: B023
        finally:
            server.close()
    assert said == ["message-id=<>"] * 2


def test_R373_pflogsumm_has_the_same_tables_for_both():
    with Sink(reply) as sink:
        settings = SETTINGS.format(sink=sink.port)
        postfix = Postfix(settings)
        ours = House(**dict(line.split(" = ", 1) if " = " in line else (line.rstrip(" ="), "") for line in settings.strip().split("\n")))
        try:
            ours.start()
            ours.command("domain", "add", "here.example", check=False)
            for who in ("jill", "jack"):
                ours.command("account", "add", f"{who}@here.example", input="secret-of-theirs\n", check=False)
            wait_for(lambda: "daemon started" in postfix.text())
            for port in (postfix.port, ours.ports["smtp"]):
                the_day(port)
            for log in (postfix, ours):
                # ten letters and the notice; one waits
                try:
                    wait_for(lambda: log.text().count(": removed") >= 11 and "status=deferred" in log.text(), 25)
                except TimeoutError:
                    raise AssertionError(log.text())
            theirs, their_text = tables(f"{postfix.home}/log", "postfix")
            mine, my_text = tables(ours.log, "mansio")
        finally:
            postfix.close()
            ours.close()
    both = "\n\nPOSTFIX\n" + their_text + "\n\nOURS\n" + my_text
    assert mine["totals"] == theirs["totals"], both
    assert mine["totals"]["delivered"] >= 15 and mine["totals"]["rejected"] == 6 and mine["totals"]["bounced"] == 1 and mine["totals"]["deferred"] == 1, both
    # sent cnt, defers, domain; message cnt, domain
    delivery, received = "Host/Domain Summary: Message Delivery", "Host/Domain Summary: Messages Received"
    assert counted(mine[delivery], [0, 2]) == counted(theirs[delivery], [0, 2]) != [], both
    assert counted(mine[received], [0]) == counted(theirs[received], [0]) != [], both
    for title in ("Senders by message count", "Recipients by message count"):
        assert sorted(mine[title]) == sorted(theirs[title]) != [], both

    def hours(rows):
        return [sum(int(n) for n in column) for column in zip(*[r.split()[1:] for r in rows if re.match(r"\d{4}-\d{4}", r)])]
    # received, delivered, deferred, bounced, rejected
    assert hours(mine["Per-Hour Traffic Summary"]) == hours(theirs["Per-Hour Traffic Summary"]) != [], both
