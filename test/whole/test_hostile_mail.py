# SPDX-License-Identifier: ISC
"""Clients and letters that mean harm: exactly one letter arrives, memory and time stay bounded, the others go on."""

import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest
from kit import BINARY, Demo, letter, wait_for, word

AS_ROOT = os.geteuid() == 0
SENDER, RCPT = "a@example.org", "jill@example.com"


class Raw:
    """A socket, by lines."""

    def __init__(self, demo, service, tls=False, source=None):
        self.s = socket.create_connection(("127.0.0.1", demo.port(service)), 20, (source, 0) if source else None)
        self.data = b""
        if tls:
            self.s = demo.local().wrap_socket(self.s, server_hostname="mail.example.com")

    def line(self):
        while b"\n" not in self.data:
            more = self.s.recv(65536)
            if not more:
                raise EOFError(self.data)
            self.data += more
        line, self.data = self.data.split(b"\n", 1)
        return line.rstrip(b"\r")

    def reply(self):
        while (line := self.line())[3:4] == b"-":
            pass
        return line

    def say(self, text):
        self.s.sendall(text + b"\r\n")
        return self.reply()

    def rest(self):
        """All until the server closes."""
        try:
            while more := self.s.recv(65536):
                self.data += more
        except ConnectionResetError:
            pass
        return self.data

    def tagged(self, tag, command):
        self.s.sendall(tag + b" " + command + b"\r\n")
        return self.until(tag)

    def until(self, tag):
        while not (line := self.line()).startswith((tag + b" ", b"* BYE")):
            pass
        return line


def at_data(demo):
    c = Raw(demo, "smtp")
    c.reply()
    for line in (b"EHLO client.example.org", b"MAIL FROM:<a@example.org>", b"RCPT TO:<jill@example.com>"):
        assert c.say(line)[:3] == b"250"
    assert c.say(b"DATA")[:3] == b"354"
    return c


def session(demo, user=b"jill"):
    c = Raw(demo, "imaps", tls=True)
    c.line()
    assert c.tagged(b"l", b"LOGIN %s@example.com %s" % (user, demo.password.encode())).startswith(b"l OK")
    return c


# Smuggling: what is no CR LF . CR LF ends no letter

SEPARATORS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\n.\r\r\n", b"\r\n\0.\r\n",
              b"\r\n.\0\r\n", b"\r\n.\r\0\n", b"\n\r.\n\r", b"\n\r.\r\n", b"\r\n. \r\n", b"\r\n.\x85", b"\r\n.\x0b\r\n",
              b"\r\n..\r\n"]


@pytest.mark.parametrize("piecewise", [False, True])
def test_nothing_can_be_smuggled(demo, piecewise):
    sent = []
    for separator in SEPARATORS:
        w = word()
        sent.append(w)
        c = at_data(demo)
        c.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        text = (b"Subject: outer %s\r\n\r\nbefore%sMAIL FROM:<evil@example.org>\r\nRCPT TO:<jack@example.com>\r\nDATA\r\n"
                b"Subject: smuggled %s\r\n\r\nsmuggled\r\n.\r\nQUIT\r\n" % (w.encode(), separator, w.encode()))
        if piecewise:
            at = text.find(b"before") + 6
            c.s.sendall(text[:at])
            for i in range(at, at + len(separator) + 1):
                c.s.sendall(text[i:i + 1])
            c.s.sendall(text[at + len(separator) + 1:])
        else:
            c.s.sendall(text)
        said = c.rest()
        assert said.count(b"250 ") == 1 and b"221 " in said, (separator, said)
    for w in sent:
        got = demo.find(w)
        assert b"smuggled\r\n" in got, "the rest is the letter's body"
        assert b"\n" not in got.replace(b"\r\n", b"") and b"\r" not in got.replace(b"\r\n", b"")
    assert demo.count("smuggled", "jack") == 0


# STARTTLS: what was said before it is not heard after

@pytest.mark.parametrize("service,hello,ask,injected,probe,want", [
    ("smtp", b"EHLO x\r\n", b"STARTTLS\r\n", b"EHLO y\r\nMAIL FROM:<e@example.org>\r\n", b"DATA\r\n", b"503 "),
    ("submission", b"EHLO x\r\n", b"STARTTLS\r\n", b"EHLO y\r\n", b"NOOP\r\n", b"250 2.0.0 "),
    ("imap", b"", b"a STARTTLS\r\n", b"b LOGOUT\r\n", b"c NOOP\r\n", b"c OK"),
    ("pop3", b"", b"STLS\r\n", b"QUIT\r\n", b"NOOP\r\n", b"+OK\r\n"),
])
def test_nothing_is_injected_before_starttls(demo, service, hello, ask, injected, probe, want):
    c = Raw(demo, service)
    c.reply()
    if hello:
        c.say(hello.strip())
    c.s.sendall(ask + injected)
    assert c.line().startswith((b"220", b"a OK", b"+OK"))
    assert c.data == b""
    c.s = demo.local().wrap_socket(c.s, server_hostname="mail.example.com")
    c.s.sendall(probe)
    assert (c.line() + b"\r\n").startswith(want)


# Relaying

@pytest.mark.parametrize("address", [
    "jill@example.net", "jill%example.net@example.com", '"jill@example.net"@example.com', '"jill@example.net"',
    "jill@example.net@example.com", "example.net!jill@example.com", "@example.com:jill@example.net",
    "@example.net,@example.com:jill@example.net", "jill@[127.0.0.1]", "jill@[IPv6:::1]", "jill@localhost",
    "jill@example.com..", "jill@mail.example.com", '"a%b@example.net"@example.com', "jill@example.net%example.com",
    "postmaster@example.net", "jill@xn--example.com", "jill@example\u3002com", "*@example.com", "jill@example.com\0.net",
    "jill@example.com\r.net", "jill @example.com", "jill@", "@", "<jill@example.net>",
])
def test_no_trick_makes_a_relay_of_us(demo, address):
    for sender in (b"<>", b"<jack@example.com>", b"<postmaster@example.com>"):
        c = Raw(demo, "smtp")
        c.reply()
        c.say(b"EHLO mail.example.com")
        c.say(b"MAIL FROM:" + sender)
        assert c.say(b"RCPT TO:<%s>" % address.encode())[:1] == b"5"


def test_nothing_forges_the_trace_or_the_log(demo):
    for evil in (b"x\rReceived: by evil", b"x\0y", b"x\ty", b"x\x1b[31my", b"x)\xff", b"a" * 300, b"x by evil", b'"'):
        c = Raw(demo, "smtp")
        c.reply()
        assert c.say(b"EHLO " + evil)[:3] in ([b"501"] if re.search(rb"[\r\0]", evil) else [b"501", b"250"]), evil
        assert c.say(b"MAIL FROM:<a\x1b[2Jb@example.org>")[:3] == b"501"
        c.say(b"\x1b[2J\x07\xff\x80 verb")
    assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f-\xff]", (demo.dir / "mail.log").read_bytes())
    c = Raw(demo, "imaps", tls=True)
    c.line()
    c.tagged(b"a", b'LOGIN {15+}\r\na\x1b[2J>, rip=1.2 x')
    assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f-\xff]", (demo.dir / "mail.log").read_bytes())


# Letters made to be hard to read

def head(w):
    return b"From: a@example.org\r\nTo: jill@example.com\r\nSubject: %s\r\nMIME-Version: 1.0\r\n" % w.encode()


def multipart(i):
    return b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (i, i)


LETTERS = {
    "nesting": b"".join(map(multipart, range(10000))) + b"x\r\n",
    "messages in messages": b"Content-Type: message/rfc822\r\n\r\n" * 20000 + b"x\r\n",
    "parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100000 + b"--b--\r\n",
    "one boundary again and again": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" * 20000,
    "lines that look like boundaries": b"".join(map(multipart, range(99))) + b"--b\r\n--\r\n--b1x\r\n" * 100000,
    "addresses": b"Cc: " + b"a@b.c," * 15000 + b"\r\n\r\nx\r\n",
    "comments": b"Cc: " + b"(" * 100000 + b"\r\n\r\nx\r\n",
    "encoded words": b"X-A: b\r\nComments: " + b"=?utf-8?q?a?= " * 7000 + b"\r\n\r\nx\r\n",
    "parameters": b"Content-Type: text/plain" + b"".join(b";\r\n x*%d*=%%41" % i for i in range(7000)) + b"\r\n\r\nx\r\n",
    "quoted-printable": b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=\r\n" * 1000000 + b"=ZZ=\r\n",
    "base64": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"!!!!=A==\r\n" * 500000,
    "html": b"Content-Type: text/html\r\n\r\n" + b"<a <!-- &" * 500000 + b"\r\n",
    "charset": b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + b"\x1b$B" * 500000 + b"\r\n",
    "fields": b"X: y\r\n" * 50000 + b"\r\nx\r\n",
    "a long boundary": b'Content-Type: multipart/mixed; boundary="' + b"b" * 50000 + b'"\r\n\r\n--' + b"b" * 50000 + b"\r\n\r\nx\r\n",
    "no boundary": b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\nx\r\n----\r\n',
}


@pytest.mark.parametrize("kind", LETTERS)
def test_a_letter_that_is_hard_to_read_is_read_in_bounded_time_and_memory(demo, kind):
    verifiers = {p["pid"] for p in demo.processes() if p["role"] == "verifier"}
    w, box = word(), demo.imap()
    raw = head(w) + LETTERS[kind]
    began = time.monotonic()
    with demo.smtp() as s:
        s.sendmail(SENDER, [RCPT], raw)
    assert box.append("INBOX", None, None, raw)[0] == "OK"
    assert demo.find(w).endswith(raw)
    box.select()
    wait_for(lambda: len(box.search(None, "SUBJECT", w)[1][0].split()) == 2)
    for number in box.search(None, "SUBJECT", w)[1][0].split():
        assert box.fetch(number, "(BODYSTRUCTURE ENVELOPE)")[0] == "OK"
    box.store("1:*", "+FLAGS", r"\Deleted")
    box.expunge()
    box.logout()
    assert time.monotonic() - began < 30
    assert {p["pid"] for p in demo.processes() if p["role"] == "verifier"} == verifiers, "nobody died of it"
    if AS_ROOT:
        for pid in verifiers:
            peak = re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]
            assert int(peak) < 256 << 10


def test_a_field_without_end_is_cut(demo):
    c, w = at_data(demo), word()
    c.s.sendall(b"Subject: " + w.encode() + b"\r\nX: " + b"y" * 20000000 + b"\r\nX-Behind: it\r\n\r\nx\r\n.\r\n")
    assert c.reply()[:3] == b"250"
    whole = demo.find(w)
    assert b"y" * 100000 in whole and len(whole) < 110000 and whole.endswith(b"yyy\r\nX-Behind: it\r\n\r\nx\r\n")


@pytest.mark.skipif(not AS_ROOT, reason="needs root to stop a role")
def test_a_verifier_that_dies_of_a_letter_is_asked_once_more(own):
    demo = own("--set", "verifier_processes=2").start()

    def verifiers():
        return {p["pid"] for p in demo.processes() if p["role"] == "verifier" and p["state"] == "working" and p["pid"] > 0}

    def send(deaths):
        """Each verifier that holds the letter is stopped before, and killed then."""
        c = at_data(demo)
        now = wait_for(lambda: len(v := verifiers()) == 2 and v)
        for pid in now:
            os.kill(pid, signal.SIGSTOP)
        c.s.sendall(b"Subject: x\r\n\r\nx\r\n.\r\n")
        time.sleep(0.3)
        if deaths == 1:                 # one lives on, and answers whatever it is asked
            first = now.pop()
            os.kill(first, signal.SIGKILL)
            time.sleep(0.3)
            for pid in now:
                os.kill(pid, signal.SIGCONT)
        else:
            for pid in now:
                os.kill(pid, signal.SIGKILL)
        return c.reply()[:3]
    assert send(1) == b"250"
    assert send(2) in (b"451", b"250")
    wait_for(lambda: len(verifiers()) == 2)
    with demo.smtp() as s:
        s.send_message(letter(word()))


# IMAP and POP3

@pytest.mark.parametrize("bomb", [
    b"a LOGIN {4294967295}\r\n", b"a LOGIN {4294967295+}\r\n", b"a LOGIN {5000+}\r\n" + b"x" * 5000 + b" y\r\n",
    b"a " + b"x" * 100000 + b"\r\n", b"x\r\n" * 30, b"GET / HTTP/1.0\r\nHost: x\r\nAccept: x\r\nX: y\r\n\r\n",
    b"a LOGIN " + (b"{4000+}\r\n" + b"x" * 4000) * 4,
])
def test_who_has_not_logged_in_may_not_say_much(demo, bomb):
    c = Raw(demo, "imaps", tls=True)
    c.line()
    try:
        c.s.sendall(bomb)
    except OSError:
        pass
    c.s.settimeout(10)
    assert b"BYE" in c.rest()


@pytest.mark.parametrize("command", [
    b"SEARCH " + b"(" * 30000, b"SEARCH " + b"NOT " * 15000 + b"ALL", b"SEARCH " + b"OR ALL " * 9000 + b"ALL",
    b"SEARCH " + b"BODY a " * 9000 + b"ALL", b"FETCH " + b"1:*," * 15000 + b"1 FLAGS",
    b"FETCH 1 (" + b"BODY.PEEK[] " * 5000 + b"FLAGS)", b"FETCH 1 BODY[" + b"1." * 20000 + b"1]",
    b"FETCH 1 BODY[]<18446744073709551615.1>", b"UID FETCH 4294967296 FLAGS", b"APPEND INBOX {9223372036854775808}",
    b"APPEND INBOX {4294967295}", b"SEARCH SUBJECT {100000}", b"STORE 1 +FLAGS (" + b"k" * 5000 + b")",
])
def test_a_command_that_is_too_much_is_refused_and_the_session_goes_on(demo, command):
    demo.send(letter(word()))
    c = session(demo)
    c.tagged(b"s", b"SELECT INBOX")
    assert not c.tagged(b"a", command).startswith((b"a OK", b"* BYE"))
    assert c.tagged(b"b", b"NOOP").startswith(b"b OK")


@pytest.mark.parametrize("name", [
    b"../../etc/passwd", b'"a/../../b"', b"..", b".", b'"./x"', b'"/etc"', b'"a//b"', b'"&AC8-"', b'"&AAA-"', b'"&2AA-"',
    b'"&"', b'"&AGE-"', b'"&Jjo-&Jjo-"', b'"&AC4ALg-"', b'"a\x01b"', b'"a\x7fb"', b"{3+}\r\na\0b", b'"a\xff\xfe"', b'""',
    b'"' + b"x" * 1100 + b'"', b'"' + b"a/" * 30 + b'b"',
])
def test_names_that_lead_elsewhere_are_no_mailboxes(demo, name):
    c = session(demo, b"ataylor")
    assert not c.tagged(b"a", b"CREATE " + name).startswith(b"a OK")
    assert not c.tagged(b"b", b"RENAME Junk " + name).startswith(b"b OK")


def test_twenty_thousand_commands_in_one_piece(demo):
    c = session(demo)
    c.s.sendall(b"a NOOP\r\n" * 20000 + b"z NOOP\r\n")
    assert c.until(b"z").startswith(b"z OK")


def test_half_an_append_leaves_nothing(demo):
    box = demo.imap("jsmith")
    before = box.select()[1]
    for _ in range(10):
        c = session(demo, b"jsmith")
        c.s.sendall(b"a APPEND INBOX {10000000}\r\n")
        assert c.line()[:1] == b"+"
        c.s.sendall(b"x" * 1000000)
        c.s.close()
    assert box.select()[1] == before
    box.logout()


def test_who_reads_nothing_costs_little(demo):
    w = word()
    demo.send(letter(w, "y" * 70 + "\n" + "z\n" * 200000))
    demo.find(w)
    before = sum(p["memory_kib"] for p in demo.processes())
    held = []
    for service in ("imaps", "pop3s"):
        for _ in range(4):
            if service == "imaps":
                c = session(demo)
                c.tagged(b"s", b"SELECT INBOX")
                c.s.sendall(b"f FETCH 1:* (BODY.PEEK[])\r\n" * 500)
            else:
                c = Raw(demo, service, tls=True)
                c.line()
                c.s.sendall(b"USER jill@example.com\r\nPASS %s\r\n" % demo.password.encode() + b"RETR 1\r\n" * 500)
            held.append(c)
    time.sleep(1)
    assert sum(p["memory_kib"] for p in demo.processes()) - before < 24 << 10
    demo.imap("jack").logout()
    for c in held:
        c.s.close()


# Many

def test_a_thousand_silent_clients_disturb_nobody(own):
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, max(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    demo = own("--set", "smtpd_client_connection_count_limit=0", "--set", "login_client_connection_limit=0").start()
    before = sum(p["memory_kib"] for p in demo.processes())
    held = []
    for i in range(1000):
        service = ("smtp", "imap", "pop3", "submission")[i % 4]
        held.append(socket.create_connection(("127.0.0.1", demo.port(service)), 20, (f"127.0.2.{i % 200 + 1}", 0)))
        held[-1].sendall((b"EHL", b"a LOG", b"USE", b"")[i % 4])
        if i % 3 == 0:
            held[-1].shutdown(socket.SHUT_WR)
    assert sum(p["memory_kib"] for p in demo.processes()) - before < 24 << 10
    w = word()
    demo.send(letter(w))
    demo.find(w)
    for s in held:
        s.close()


def welcome(demo, service, source=None):
    """A connection that is greeted, or None: refused in words or closed."""
    c = Raw(demo, service, source=source)
    try:
        return c if c.line().startswith((b"220 ", b"* OK", b"+OK")) else None
    except (EOFError, ConnectionResetError):
        return None


@pytest.mark.parametrize("service,name", [
    ("smtp", "concurrency limit"), ("imap", "login_client_connection_limit"), ("pop3", "login_client_connection_limit"),
])
def test_one_address_has_so_many_connections_and_no_more(few, service, name):
    held = [wait_for(lambda: welcome(few, service, "127.0.0.76")) for _ in range(3)]
    assert welcome(few, service, "127.0.0.76") is None
    wait_for(lambda: name in few.log())
    assert welcome(few, service, "127.0.0.77"), "others are not meant"
    for c in held:
        c.s.close()
    wait_for(lambda: welcome(few, service, "127.0.0.76"))


@pytest.fixture(scope="module")
def few():
    place = tempfile.mkdtemp(prefix="mansio-demo-")
    d = Demo(place + "/demo", "--set", "smtpd_client_connection_count_limit=3", "--set", "login_client_connection_limit=3")
    try:
        yield d.start()
    finally:
        d.stop()
        shutil.rmtree(place, ignore_errors=True)


# The program itself

def test_the_program_is_built_hard():
    show = subprocess.run(["readelf", "-hlWd", BINARY], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Type:\s+DYN", show) and "GNU_RELRO" in show and re.search(r"FLAGS_1.*NOW.*PIE", show)
    assert re.search(r"GNU_STACK.* RW  ", show), "no code on the stack"
    assert not re.search(r"LOAD.* RWE ", show)


# Passwords

def test_guesses_are_slowed_and_lock_nobody_out(own):
    demo = own("--set", "auth_failure_network_limit=4", "--set", "auth_failure_delay=1s", "--set", "login_client_connection_limit=0").start()
    held = []
    for _ in range(4):
        c = Raw(demo, "imaps", tls=True, source="127.0.0.66")
        c.line()
        c.s.sendall(b"a LOGIN jill@example.com wrong\r\nb LOGIN jill@example.com wrong\r\nc LOGIN jill@example.com wrong\r\n")
        held.append(c)
    for c in held:
        c.until(b"a")
    began = time.monotonic()
    c = Raw(demo, "imaps", tls=True, source="127.0.0.66")
    c.line()
    assert b"UNAVAILABLE" in c.tagged(b"a", b"LOGIN jill@example.com wrong")
    assert time.monotonic() - began > 0.5, "later is not told at once either"
    for user in ("jill", "jack"):       # from where they have been before, and from elsewhere
        began = time.monotonic()
        demo.imap(user).logout()
        assert time.monotonic() - began < 10
    for source in ("127.0.0.67", "127.0.0.68"):
        c = Raw(demo, "imaps", tls=True, source=source)
        c.line()
        assert c.tagged(b"l", b"LOGIN jill@example.com " + demo.password.encode()).startswith(b"l OK")
