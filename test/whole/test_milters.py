# SPDX-License-Identifier: ISC
"""Mail filters: one on Debian's libmilter that does what it is told, given to Postfix and to us with the same letters; filters
that fail; OpenDKIM and clamav-milter.

Postfix runs as an instance of its own in a directory under /tmp, on the loopback.
"""

import email
import os
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import threading
import time

import pytest
from house import ROOT, House, free_ports, wait_for
from test_checks_beside_postfix import Both, ssl_context

TOLD = os.environ.get("MANSIO_TOLD", str(ROOT / "build/test/whole/told"))
pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists(TOLD), reason="needs root and libmilter")
besides_postfix = pytest.mark.skipif(shutil.which("postfix") is None, reason="needs Postfix")

LETTER = (b"Received: from a by b;\r\n\tSun, 1 Jan 2023 00:00:00 +0000\r\nFrom: <s@out.example>\r\nTo: <u@here.example>\r\n"
          b"Subject:  two blanks\r\nX-Fold: one\r\n  two\r\n\tthree\r\nX-A: 1\r\nX-A: 2\r\nX-NoBlank:z\r\nX-Empty:\r\n"
          b"Message-ID: <1@out.example>\r\nDate: Sun, 1 Jan 2023 00:00:00 +0000\r\n\r\nBody line 1\r\n..dot\r\n")
BEGIN = ["EHLO c.example", "MAIL FROM:<s@out.example> SIZE=300"]
WHOLE = [*BEGIN, "RCPT TO:<u@here.example>", "DATA", LETTER, "QUIT"]
MACROS = "macros=i,j,_,v,{daemon_name},{daemon_addr},{client_addr},{mail_addr},{mail_host},{rcpt_addr},{rcpt_host},{auth_authen}"

# Why, what the filter does, what the client says.
BESIDE = [
    ("nothing", [], WHOLE),
    ("refused at connect", ["connect=reject"], ["EHLO c", "MAIL FROM:<a@b.example>", "NOOP", "RSET", "QUIT"]),
    ("put off at connect", ["connect=tempfail"], ["EHLO c", "MAIL FROM:<a@b.example>", "QUIT"]),
    ("a reply at connect", ["connect=reply:554:5.7.9:go 10%% away"], ["EHLO c", "MAIL FROM:<a@b.example>", "QUIT"]),
    ("accepted at connect", ["connect=accept"], WHOLE),
    ("a reply to EHLO", ["helo=reply:550:5.7.9:bad helo"], ["EHLO c", "NOOP", "MAIL FROM:<a@b.example>", "RCPT TO:<u@here.example>", "QUIT"]),
    ("a reply to HELO", ["helo=reply:550:5.7.9:bad helo"], ["HELO c", "MAIL FROM:<a@b.example>", "QUIT"]),
    ("put off at HELO", ["helo=tempfail"], ["HELO c", "MAIL FROM:<a@b.example>", "QUIT"]),
    ("refused at MAIL, and the next is another", ["mail@s@out=lines:550:5.7.9:one|two"], [*BEGIN, BEGIN[1], "MAIL FROM:<a@b.example>", "RCPT TO:<u@here.example>", "RSET", "QUIT"]),
    ("421 is the end", ["mail=reply:421:4.7.9:go away"], BEGIN),
    ("discarded at MAIL", ["mail=discard"], WHOLE),
    ("recipients one by one", ["rcpt@other=reject", "rcpt@x@here=tempfail"], [*BEGIN, "RCPT TO:<other@here.example> NOTIFY=NEVER", "RCPT TO:<u@here.example>", "DATA", LETTER, "QUIT"]),
    ("accepted at RCPT", ["rcpt=accept"], [*BEGIN, "RCPT TO:<u@here.example>", "RSET", BEGIN[1], "QUIT"]),
    ("discarded at RCPT", ["rcpt=discard"], [*BEGIN, "RCPT TO:<u@here.example>", "RCPT TO:<other@here.example>", "DATA", LETTER, "QUIT"]),
    ("refused at DATA", ["data=reject"], [*BEGIN, "RCPT TO:<u@here.example>", "DATA", "RSET", "QUIT"]),
    ("unknown commands", ["unknown=reply:555:5.5.9:what?"], [BEGIN[0], "XYZZY", "QUIT"]),
    ("refused in the header", ["header@X-A=reject"], WHOLE),
    ("refused at the end of the header", ["eoh=tempfail"], WHOLE),
    ("refused in the body", ["body=reply:554:5.6.1:no"], WHOLE),
    ("no more of the body", ["steps=400", "body=skip"], WHOLE),
    ("refused at the end", ["eom=reply:554:5.6.0:no way"], WHOLE),
    ("lines at the end", ["eom=lines:451:4.6.0:no|way"], WHOLE),
    ("discarded at the end", ["eom=discard"], WHOLE),
    ("accepted at the end", ["eom=accept"], WHOLE),
    ("fields", ["eom=insert:0:X-I0:zero", "eom=insert:1:X-I1:one", "eom=insert:2:X-I2:two", "eom=insert:99:X-I99:n", "eom=add:X-Add: lead",
                "eom=add:X-Fold2:a\\n b\\nc", "eom=change:2:X-A:changed", "eom=change:1:X-A:", "eom=change:5:X-B:new", "eom=change:1:Subject:sss"], WHOLE),
    ("our own Received field is not theirs to change", ["eom=change:1:Received:rrr", "eom=insert:3:X-I3:three", "eom=change:1:From:"], WHOLE),
    ("a name again and again", ["eom=insert:1:X-I1:one", "eom=insert:1:X-I1:two", "eom=change:2:Received:r2", "eom=change:2:X-I1:three"], WHOLE),
    ("blanks are the filter's", ["steps=100000", "eom=insert:0:X-I0:zero", "eom=add:X-Add: lead", "eom=change:2:X-A: changed"], WHOLE),
    ("another body", ["eom=body:New body\\n", "eom=body: and more\\n"], WHOLE),
    ("another envelope", ["eom=from:<new@x.example>", "eom=rcpt:other@here.example", "eom=unrcpt:<U@here.example>"], WHOLE),
    ("the null sender", ["eom=from:<>"], WHOLE),
    ("it takes its time", ["eom=sleep:0.3", "eom=progress", "eom=sleep:0.3"], WHOLE),
    ("it wants neither fields nor body", ["steps=30"], WHOLE),
    ("it hears nothing but the end", ["steps=37f", "eom=add:X-A:3"], WHOLE),
    ("it answers nothing but the end", ["steps=ff080", "eom=add:X-A:3"], WHOLE),
    ("it asks for nothing and does it", ["actions=0", "eom=add:X-A:3"], WHOLE),
    ("two letters in a session", ["eom=add:X-A:3"], [*WHOLE[:-1], *WHOLE[1:]]),
    ("EHLO ends a transaction", [], [*BEGIN, "RCPT TO:<u@here.example>", "EHLO d.example", "QUIT"]),
    ("recipients that are refused are told of", ["steps=800", MACROS], [*BEGIN, "RCPT TO:<nobody@else.example>", "RCPT TO:<u@here.example>", "QUIT"]),
    ("macros", [MACROS], WHOLE),
    ("its own macros", [MACROS, "symbols:2={mail_addr} {nothing}", "symbols:5=i"], WHOLE),
]


class Told:
    """The filter of libmilter."""

    def __init__(self, where, *options):
        self.process = subprocess.Popen([TOLD, where, *options], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        family, place = (socket.AF_INET, ("127.0.0.1", int(where.split(":")[1].split("@")[0]))) if where.startswith("inet") else (socket.AF_UNIX, where.partition(":")[2])

        def takes():
            try:
                with socket.socket(family) as s:
                    s.connect(place)
                return True
            except OSError:
                return False
        wait_for(takes)

    def heard(self):
        self.process.kill()
        text = self.process.stdout.read()
        self.process.wait()
        return text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def talk(port, said):
    """The replies, without what only one of the two can say."""
    replies = []
    with socket.create_connection(("127.0.0.1", port), 20) as s, s.makefile("rb") as f:
        def hear():
            lines = []
            while True:
                line = f.readline().decode().rstrip()
                lines.append(line)
                if line[3:4] != "-":
                    return lines
        banner = hear()[0]
        replies.append(banner[:3] + (" not accepting" if "not accepting" in banner else ""))
        for one in said:
            try:
                s.sendall(one + b".\r\n" if isinstance(one, bytes) else one.encode() + b"\r\n")
                reply = hear()
            except ConnectionError:
                reply = [""]
            if isinstance(one, str) and one[1:4] in ("HLO", "ELO"):
                reply = [f"{len(reply) > 2}"]
            elif reply[0].startswith("250 2.0.0 Ok: queued"):
                reply = ["queued"]
            elif isinstance(one, str) and one.startswith("RCPT") and "denied" in reply[0]:
                reply = ["denied"]
            replies.append(reply)
    return replies


def events(text):
    """What the filter heard, without names that differ from server to server, and i, which Postfix knows at DATA."""
    found = []
    for line in text.splitlines():
        line = re.sub(r"\[(\[127\.0\.0\.1\]|localhost)\]", "[client]", line)
        line = re.sub(r" i=\S+", " i=ID", line)
        line = re.sub(r"_=(unknown|localhost) ", "_=client ", line)
        line = re.sub(r"v=\S+.*", "v=version", line)
        line = re.sub(r"denied.*", "denied", re.sub(r"rcpt_addr\}=<\S+>: ", "rcpt_addr}=", line))
        line = re.sub(r"rcpt_host\}=[45]\.7\.1", "rcpt_host}=X.7.1", line)
        if not re.search(r"\d   (close|abort) |\d (close|abort)$|mail_host\}|rcpt_host\}=[^X]|   (mail|rcpt) i=", line):
            found.append(line)
    return found


@pytest.fixture(scope="module")
def both():
    port = free_ports(1)[0]
    pair = Both(smtpd_milters=f"inet:127.0.0.1:{port}", milter_macro_v="version", myhostname="mail.here.example")
    talk(pair.postfix.port, ["QUIT"])
    pair.milter = f"inet:{port}@127.0.0.1"
    yield pair
    pair.close()


def from_postfix(postfix, who):
    """Letters as they lie there: the mailbox's own fields taken off, and our Received field made plain."""
    found = []
    box = f"{postfix.home}/mail/{who}/new"
    for name in sorted(os.listdir(box)) if os.path.isdir(box) else []:
        with open(f"{box}/{name}", "rb") as f:
            found.append(plain(f.read().replace(b"\n", b"\r\n")))
        os.unlink(f"{box}/{name}")
    return found


def plain(letter):
    letter = re.sub(rb"\A(?:(?:X-Original-To|Delivered-To):.*\r\n|Return-Path: <(.*)>\r\n)+", lambda m: b"From-envelope: " + (m[1] or b"") + b"\r\n", letter)
    return re.sub(rb"^Received: from c\.example .*\r\n(?:[ \t].*\r\n)*", b"Received: own\r\n", letter, flags=re.M)


def from_ours(both, who):
    import imaplib
    with imaplib.IMAP4("127.0.0.1", both.ours.ports["imap"]) as i:
        i.starttls(ssl_context())
        i.login(f"{who}@here.example", "secret-of-theirs")
        i.select()
        found = []
        for n in i.search(None, "ALL")[1][0].split():
            found.append(plain(i.fetch(n, "(BODY.PEEK[])")[1][0][1]))
            i.store(n, "+FLAGS", "\\Deleted")
        i.expunge()
    return found


def quiet(both):
    wait_for(lambda: not os.listdir(f"{both.postfix.home}/queue/incoming") and not os.listdir(f"{both.postfix.home}/queue/active"))
    wait_for(lambda: "empty" in (out := both.ours.command("queue", check=False).stdout) or not out.strip())


@besides_postfix
@pytest.mark.parametrize("why,options,said", BESIDE, ids=[why for why, *_ in BESIDE])
def test_a_filter_sees_and_does_what_it_does_in_postfix(both, why, options, said):
    with Told(both.milter, *options) as told:
        theirs = talk(both.postfix.port, said), None
        theirs = theirs[0], events(told.heard())
    with Told(both.milter, *options) as told:
        ours = talk(both.ours.ports["smtp"], said), None
        ours = ours[0], events(told.heard())
    assert ours[0] == theirs[0]
    assert ours[1] == theirs[1]
    quiet(both)
    for who in ("u", "other"):
        letters = from_postfix(both.postfix, who)
        wait_for(lambda: True)
        assert from_ours(both, who) == letters
