# SPDX-License-Identifier: ISC
"""How mail servers have been broken by SMTP, tried on this one.  docs/threats-smtp.md says which class is which test."""

import base64
import imaplib
import os
import re
import socket
import ssl
import subprocess
import time

import pytest
from house import House, wait_for

PATIENCE = 30


@pytest.fixture(scope="module")
def house():
    with House(smtpd_client_connection_count_limit="0", smtpd_error_sleep_time="0", message_size_limit="30M",
               disable_plaintext_auth="no", smtpd_timeout="20s") as house:
        house.at_work()
        house.command("domain", "add", "example.com")
        for user in ("jill", "jack"):
            house.command("account", "add", f"{user}@example.com", "--password-file", "/dev/stdin", input="secret-secret\n")
        house.command("alias", "add", "all@example.com", "jill@example.com", "jack@example.com", check=False)
        yield house


class Talk:
    """One raw connection."""

    def __init__(self, house, service="smtp"):
        self.sock = socket.create_connection(("127.0.0.1", house.ports[service]), timeout=PATIENCE)
        if service == "submissions":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock)
        self.file = self.sock.makefile("rb")
        assert self.reply().startswith("220")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def reply(self):
        while True:
            line = self.file.readline().decode("latin-1")
            if not line or line[3:4] != "-":
                return line.rstrip("\r\n")

    def say(self, *lines):
        """Each line, and the last reply."""
        for line in lines:
            self.sock.sendall(line.encode("latin-1") + b"\r\n")
            reply = self.reply()
        return reply

    def begin(self, sender="eva@example.org", to="jill@example.com"):
        assert self.say("EHLO client.example").startswith("250")
        assert self.say(f"MAIL FROM:<{sender}>").startswith("250")
        assert self.say(f"RCPT TO:<{to}>").startswith("250")

    def letter(self, content):
        assert self.say("DATA").startswith("354")
        self.sock.sendall(content + b"\r\n.\r\n")
        return self.reply()


def inbox(house, user="jill"):
    box = imaplib.IMAP4("127.0.0.1", house.ports["imap"], timeout=PATIENCE)
    box.login(f"{user}@example.com", "secret-secret")
    box.select("INBOX")
    return box


def arrived(house, subject, user="jill"):
    def look():
        box = inbox(house, user)
        try:
            return box.search(None, "HEADER", "Subject", subject)[1][0].split()
        finally:
            box.logout()
    return wait_for(look)


def good_letter_passes(house, subject):
    with Talk(house) as t:
        t.begin()
        assert t.letter(f"Subject: {subject}\r\n\r\nHello.".encode()).startswith("250")


ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n\r.\n\r", b"\r\n\0.\r\n", b"\r\n.\r\r\n", b"\r\n.\0\r\n"]


@pytest.mark.parametrize("end", ENDS, ids=[repr(e) for e in ENDS])
def test_no_other_line_end_ends_a_letter(house, end):
    """SMTP smuggling, inwards: what stands behind is content, never a second letter."""
    name = "smuggle" + end.hex()
    with Talk(house) as t:
        t.begin()
        inner = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<jack@example.com>\r\nDATA\r\nSubject: " + name.encode() + b"-in\r\n\r\nx"
        assert t.letter(b"Subject: " + name.encode() + b"\r\n\r\nfirst" + end + inner).startswith("250")
        assert t.say("NOOP").startswith("250")
    assert len(arrived(house, name)) == 1
    box = inbox(house, "jack")
    assert box.search(None, "HEADER", "Subject", name)[1][0] == b""
    box.logout()


@pytest.mark.parametrize("user", ["jill"])
def test_what_goes_on_is_stuffed(house, user):
    """Smuggling outwards: lines with dots and bare line ends are read back as they came, in one letter."""
    with Talk(house, "lmtp") as t:
        assert t.say("LHLO client.example").startswith("250")
        assert t.say("MAIL FROM:<eva@example.org>", "RCPT TO:<jill@example.com>").startswith("250")
        assert t.letter(b"Subject: stuffed\r\n\r\n..\r\n...x\r\na\n.\nb\rc").startswith("250")
    found = arrived(house, "stuffed")
    box = inbox(house)
    body = box.fetch(found[0], "(BODY[TEXT])")[1][0][1]
    box.logout()
    assert body.startswith(b".\r\n..x\r\n") and len(found) == 1


def test_starttls_takes_nothing_along(house):
    """CVE-2011-0411: what stood in the buffer before the handshake is not heard after it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with Talk(house) as t:
        t.say("EHLO client.example")
        t.sock.sendall(b"STARTTLS\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<jill@example.com>\r\n")
        assert t.reply().startswith("220")
        secure = context.wrap_socket(t.sock)
        secure.sendall(b"RCPT TO:<jill@example.com>\r\n")
        assert secure.recv(1000).startswith(b"503")


@pytest.mark.parametrize("line", [
    "AUTH PLAIN " + "A" * 12000, "AUTH PLAIN " + "A" * 20000, "AUTH PLAIN =", "AUTH PLAIN AGphY2sA=", "AUTH PLAIN \0", "AUTH LOGIN " + "=" * 100,
    "AUTH " + "X" * 1000, "AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,,n=" + b"=" * 3000).decode(), "AUTH PLAIN " + base64.b64encode(b"\0" * 900).decode(),
    "AUTH PLAIN " + base64.b64encode(b"\0jack@example.com\0" + b"p" * 8000).decode()])
def test_auth_may_be_as_long_as_it_likes(house, line):
    """CVE-2018-6789 and its kin: base64 at every length, and passwords without end."""
    with Talk(house, "submissions") as t:
        t.say("EHLO client.example")
        said = t.say(line)
        assert said[:1] in "45" or said == ""
    with Talk(house, "submissions") as t:
        t.say("EHLO client.example")
        assert t.say("AUTH PLAIN " + base64.b64encode(b"\0jack@example.com\0secret-secret").decode()).startswith("235")


@pytest.mark.parametrize("path", [
    "<jill@example.com\rRCPT TO:<x@y.example>>", "<jill@example.com>\0", "<\"a\rb\"@example.com>", "<jill\n@example.com>",
    "<\"a\x01b\"@example.com>", "<jill@exam\0ple.com>"])
def test_no_address_brings_a_line_of_its_own(house, path):
    """Header and log injection: a control byte in an address is no address."""
    with Talk(house) as t:
        t.begin()
        t.sock.sendall(b"RCPT TO:" + path.encode("latin-1") + b"\r\n")
        assert t.reply()[:1] == "5"
    assert "\nRCPT TO" not in house.text()


@pytest.mark.parametrize("name", ["a\rb", "a b", "x" * 2000, "[127.0.0.1] (evil)", "a\tb", "(x)\x01"])
def test_no_name_brings_a_field_of_its_own(house, name):
    """HELO goes into Received and the log: blanks, control bytes and what could end a comment do not."""
    to = f"x{name.encode().hex()[:40]}@elsewhere.example"
    with Talk(house) as t:
        t.sock.sendall(b"EHLO " + name.encode("latin-1") + b"\r\n")
        if t.reply()[:1] == "5":
            return
        assert t.say("MAIL FROM:<eva@example.org>", f"RCPT TO:<{to}>")[:3] == "554"
    line = wait_for(lambda: [one for one in house.text().splitlines() if f"to=<{to}>" in one])[0]
    assert re.search(r" helo=<[!#-'*+,./0-9:=?A-Z\[\]^-~-]{1,255}>( |$)", line), line


@pytest.mark.parametrize("to", [
    "x%elsewhere.example@example.com", "elsewhere.example!x@example.com", "@example.com:x@elsewhere.example", "x@elsewhere.example@example.com",
    "\"x@elsewhere.example\"@example.com", "x%elsewhere.example", "elsewhere.example!x", "x@[127.0.0.1]@elsewhere.example",
    "x@elsewhere.example", "x@[192.0.2.1]", "x@[IPv6:2001:db8::1]", "\"x%elsewhere.example\"@example.com", "@a,@b:x@elsewhere.example"])
def test_no_form_of_an_address_makes_us_a_relay(house, to):
    with Talk(house) as t:
        t.say("EHLO client.example", "MAIL FROM:<eva@example.org>")
        assert t.say(f"RCPT TO:<{to}>")[:1] == "5"


def test_a_million_recipients_are_not_taken(house):
    """CVE-2020-28021: the count is a limit, and what is past it costs nothing."""
    with Talk(house) as t:
        t.say("EHLO client.example", "MAIL FROM:<eva@example.org>")
        taken = 0
        for _ in range(20):
            t.sock.sendall(b"RCPT TO:<jill@example.com>\r\n" * 500)
            try:
                taken += sum(t.reply().startswith("250") for _ in range(500))
            except OSError:
                break
        assert taken == 100
    good_letter_passes(house, "after-recipients")


LIMIT = 102400  # header_size_limit, as Postfix has it


@pytest.mark.parametrize("header", [b"X: y\r\n" * 1000000], ids=["many"])
def test_a_million_fields_are_not_taken(house, header):
    """CVE-2024-23185: a header has so many fields and no more."""
    with Talk(house) as t:
        t.begin()
        assert t.letter(header + b"\r\nx").startswith("552")
        assert t.say("NOOP").startswith("250")


@pytest.mark.parametrize("name, header", [
    ("long", b"X: " + b"y" * 3000000 + b"\r\n"), ("folded", b"X:\r\n" + b" y\r\n" * 300000),
    ("addresses", b"To: " + b"a@b.example,\r\n " * 60000 + b"c@d.example\r\n")], ids=["long", "folded", "addresses"])
def test_a_field_without_end_is_cut(house, name, header):
    """What is past header_size_limit is gone; what stands before and behind the field arrives as it came."""
    subject = b"cut-" + name.encode()
    with Talk(house) as t:
        t.begin()
        assert t.letter(b"Subject: " + subject + b"\r\n" + header + b"X-Behind: it\r\n\r\nthe body").startswith("250")
    box = inbox(house)
    number = arrived(house, subject.decode())[0]
    whole = box.fetch(number, "(BODY.PEEK[])")[1][0][1]
    box.logout()
    field = header.partition(b":")[0]
    start = whole.index(b"\r\n" + field + b":") + 2
    kept = whole[start:whole.index(b"\r\nX-Behind: it\r\n")]
    long = len(kept.replace(b"\r\n", b"\n"))
    assert LIMIT - 2000 < long <= LIMIT + 1, long
    assert header.startswith(kept), "it is the beginning that is left"
    assert whole.endswith(b"X-Behind: it\r\n\r\nthe body\r\n")


def test_mime_as_deep_as_it_likes(house):
    """CVE-2020-12100: parts within parts end at a depth, and the letter is still there."""
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (i, i) for i in range(5000))
    wide = b'Content-Type: multipart/mixed; boundary="w"\r\n\r\n' + b"--w\r\n\r\nx\r\n" * 50000
    for name, content in [("mime-deep", deep), ("mime-wide", wide)]:
        with Talk(house) as t:
            t.begin()
            said = t.letter(b"Subject: " + name.encode() + b"\r\nMIME-Version: 1.0\r\n" + content)
            assert said.startswith("250") or said.startswith("552"), said
        if said.startswith("250"):
            found = arrived(house, name)
            box = inbox(house)
            assert box.fetch(found[-1], "(BODYSTRUCTURE)")[0] == "OK"
            box.logout()


def test_those_who_drip_hold_up_nobody(house):
    """Slowloris: many half commands and half letters, and mail goes on; each has an end of its own."""
    slow = []
    for i in range(200):
        s = socket.create_connection(("127.0.0.1", house.ports["smtp"]), timeout=PATIENCE)
        s.sendall(b"EHLO slow.example\r\nMAIL FROM:<" if i % 2 else
                  b"EHLO slow.example\r\nMAIL FROM:<eva@example.org>\r\nRCPT TO:<jill@example.com>\r\nDATA\r\nSubject: slow")
        slow.append(s)
    begun = time.monotonic()
    good_letter_passes(house, "beside-slow")
    assert arrived(house, "beside-slow")
    assert time.monotonic() - begun < PATIENCE
    for s in slow:
        s.close()


def test_a_flood_of_nonsense(house):
    """Lines without end, bytes of all kinds, TLS and HTTP where SMTP is spoken."""
    floods = [b"A" * 3000000, os.urandom(200000), b"\r\n" * 100000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500),
              b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"NOOP\r\n" * 50000, b"BDAT 18446744073709551615\r\n" + b"x" * 100000,
              b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<jill@example.com>\r\nBDAT 1000000000\r\n" + b"x" * 100000]
    for flood in floods:
        with Talk(house) as t:
            t.sock.settimeout(5)
            try:
                t.sock.sendall(flood)
                t.sock.shutdown(socket.SHUT_WR)
                while t.sock.recv(65536):
                    pass
            except OSError:
                pass
    good_letter_passes(house, "after-floods")


def test_a_letter_that_has_been_here_goes_no_further(house):
    """Loops: more Received fields than hopcount_limit."""
    with Talk(house) as t:
        t.begin()
        assert t.letter(b"Received: from a by b; Sun, 22 Nov 2026 12:00:00 +0000\r\n" * 51 + b"\r\nx").startswith("554 5.4.6")


def test_the_null_sender_is_never_blocked(house):
    """R106: a notice comes with <>, to postmaster and to users alike."""
    for to in ("postmaster", "postmaster@example.com", "jill@example.com"):
        with Talk(house) as t:
            t.say("EHLO client.example")
            assert t.say("MAIL FROM:<>").startswith("250")
            assert t.say(f"RCPT TO:<{to}>").startswith("250")


def test_nobody_gets_a_notice_for_what_was_refused(house):
    """Backscatter: an unknown user is refused while the client is there, so that we write to nobody."""
    before = house.text().count("sender non-delivery notification")
    with Talk(house) as t:
        t.say("EHLO client.example", "MAIL FROM:<victim@elsewhere.example>")
        assert t.say("RCPT TO:<nobody-at-all@example.com>").startswith("550 5.1.1")
        assert t.say("DATA")[:1] == "5"
    assert house.text().count("sender non-delivery notification") == before


def test_a_text_that_looks_like_a_pattern_costs_nothing(house):
    """ReDoS: what a client says is never a pattern of ours, nor a text that one runs away on."""
    with Talk(house) as t:
        begun = time.monotonic()
        t.say("EHLO " + "a" * 200 + "!")
        t.say("MAIL FROM:<" + "a." * 100 + "@example.org>")
        t.say("VRFY " + "(" * 400)
        t.say("EXPN " + "*" * 400)
        assert time.monotonic() - begun < PATIENCE
        assert t.say("QUIT").startswith("221")


@pytest.mark.parametrize("words", [["-tls1"], ["-tls1_1"], ["-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"],
                                   ["-tls1_2", "-cipher", "RC4:3DES:EXPORT:AES128-SHA:@SECLEVEL=0"]])
def test_tls_that_is_weak_is_not_spoken(house, words):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{house.ports['submissions']}", *words], input="Q\n",
                          capture_output=True, text=True, timeout=PATIENCE)
    assert "Cipher is (NONE)" in done.stdout or "no ciphers available" in done.stderr or "no cipher match" in done.stderr, done.stdout + done.stderr


def test_handshakes_that_come_to_nothing_count():
    """Whoever begins one and goes away has had our signature: smtpd_client_new_tls_session_rate_limit is for them, too."""
    with House(smtpd_client_new_tls_session_rate_limit="2", mynetworks="", smtpd_client_event_limit_exceptions="") as house:
        for _ in range(3):
            with Talk(house) as t:
                t.say("EHLO client.example")
                assert t.say("STARTTLS").startswith("220")
                t.sock.sendall(b"\x16\x03\x01\x00\x05hello" * 20)
                while t.sock.recv(1000):
                    pass
        with Talk(house) as t:
            t.say("EHLO client.example")
            assert t.say("STARTTLS").startswith("454 4.7.0 Error: too many new TLS sessions")
            assert t.say("NOOP").startswith("250")


def test_nobody_has_the_handshake_again_and_again(house):
    """A handshake costs us more than who asks for it: one for each connection (CVE-2011-1473)."""
    p = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{house.ports['submissions']}", "-tls1_2"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=0)
    try:
        while not p.stdout.readline().startswith("220 "):
            assert p.poll() is None
        p.stdin.write("R\n")
        p.stdin.flush()
        assert "no renegotiation" in p.communicate(timeout=PATIENCE)[0]
    finally:
        p.kill()
        p.wait()
    with Talk(house, "submissions") as t:
        assert t.say("NOOP").startswith("250")
