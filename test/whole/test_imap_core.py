# SPDX-License-Identifier: ISC
"""IMAP beyond single dialogues: what needs a client that can compress, go back to the login, or send much."""

import base64
import pathlib
import quopri
import random
import re
import signal
import socket
import ssl
import subprocess
import zlib

import pytest
from kit import BINARY, word

ME = "jack@example.com"


class Client:
    """IMAP by hand, so that every byte on the wire is ours."""

    def __init__(self, demo, service):
        self.sock = socket.create_connection(("127.0.0.1", demo.port(service)), 20)
        if service == "imaps":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock)
        self.data, self.into, self.outof, self.count = b"", None, None, 0
        self.line()

    def fill(self):
        more = self.sock.recv(65536)
        assert more, "closed"
        self.data += self.outof.decompress(more) if self.outof else more

    def line(self):
        while b"\r\n" not in self.data:
            self.fill()
        line, self.data = self.data.split(b"\r\n", 1)
        return line

    def take(self, n):
        while len(self.data) < n:
            self.fill()
        part, self.data = self.data[:n], self.data[n:]
        return part

    def send(self, data):
        if self.into:
            data = self.into.compress(data) + self.into.flush(zlib.Z_SYNC_FLUSH)
        self.sock.sendall(data)

    def ask(self, command):
        """The lines of the answer; literals stand in them as bytes of their own."""
        self.count += 1
        tag = b"t%d" % self.count
        self.send(tag + b" " + command + b"\r\n")
        got = []
        while True:
            line = self.line()
            got.append(line)
            if line.startswith(tag + b" "):
                return got
            if line.endswith(b"}") and b"{" in line:
                got.append(self.take(int(line[line.rindex(b"{") + 1:-1])))

    def login(self, demo):
        return self.ask(b'LOGIN "%s" "%s"' % (ME.encode(), demo.password.encode()))

    def compress(self):
        assert b" OK" in self.ask(b"COMPRESS DEFLATE")[-1]
        self.into, self.outof = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)


def message(size, seed):
    chance = random.Random(seed)
    body = b"\r\n".join(b"%x" % chance.getrandbits(280) for _ in range(size // 72))
    return b"Subject: large\r\n\r\n" + body + b"\r\n"


def test_everything_goes_through_deflate(demo):
    c, box = Client(demo, "imaps"), word().encode()
    assert b"COMPRESS=DEFLATE" in c.login(demo)[-1]
    assert b" BAD " in c.ask(b"COMPRESS LZW")[-1]
    c.compress()
    assert b"COMPRESS=DEFLATE" not in c.ask(b"CAPABILITY")[0]
    assert b"NO [COMPRESSIONACTIVE]" in c.ask(b"COMPRESS DEFLATE")[-1]
    assert b" OK" in c.ask(b"CREATE " + box)[-1]
    texts = [message(n, n) for n in (100, 70_000, 3_000_000)]
    for text in texts:
        assert b" OK" in c.ask(b"APPEND %s {%d+}\r\n%s" % (box, len(text), text))[-1]
    assert b" OK" in c.ask(b"SELECT " + box)[-1]
    got = c.ask(b"FETCH 1:* BODY.PEEK[]")
    assert [g for g in got if g.startswith(b"Subject: large")] == texts
    assert b" OK" in c.ask(b"UNSELECT")[-1]
    assert b" OK" in c.ask(b"DELETE " + box)[-1]


def test_a_few_bytes_that_unfold_to_many_are_bounded(demo):
    c = Client(demo, "imaps")
    c.login(demo)
    c.compress()
    bomb = c.into.compress(b"x" * (64 << 20)) + c.into.compress(b"\r\n") + c.into.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 100_000
    c.sock.sendall(bomb)
    assert b"BAD [TOOBIG]" in c.line()
    assert b" OK" in c.ask(b"NOOP")[-1]


def test_what_is_not_deflate_ends_the_session(demo):
    c = Client(demo, "imaps")
    c.login(demo)
    c.compress()
    c.sock.sendall(b"\xff" * 64)
    with pytest.raises((AssertionError, OSError, zlib.error)):
        while True:
            c.line()


def ahead_of(demo):
    return b'y LOGIN "jill@example.com" "%s"\r\nz SELECT INBOX\r\n' % demo.password.encode()


def told(c, tag):
    while not c.line().startswith(tag + b" OK"):
        pass


@pytest.mark.parametrize("ending", ["Z_SYNC_FLUSH", "Z_FINISH"])
@pytest.mark.parametrize("ahead", [False, True])
def test_unauthenticate_ends_compression(demo, ahead, ending):
    """rfc8437:4.1: ours ends behind the OK, the client's behind the command; zlib itself sees ours end."""
    c = Client(demo, "imaps")
    c.login(demo)
    c.compress()
    assert b"UNAUTHENTICATE" in c.ask(b"CAPABILITY")[0]
    assert b" OK" in c.ask(b"SELECT INBOX")[-1]
    last = c.into.compress(b"x UNAUTHENTICATE\r\n") + c.into.flush(getattr(zlib, ending))
    c.sock.sendall(last + (ahead_of(demo) if ahead else b""))
    told(c, b"x")
    while not c.outof.eof:
        c.fill()
    c.data, c.into, c.outof = c.data + c.outof.unused_data, None, None
    if not ahead:
        c.sock.sendall(ahead_of(demo))
    told(c, b"y")
    told(c, b"z")
    c.compress()
    assert b" OK" in c.ask(b"NOOP")[-1]


@pytest.mark.parametrize("compressed", [False, True])
def test_unauthenticate_waits_for_a_slow_reader(demo, compressed):
    """The answers before it go first, however long that takes, and the connection lives on."""
    c, box = Client(demo, "imaps"), word().encode()
    c.login(demo)
    c.ask(b"CREATE " + box)
    text = message(3_000_000, 8437)
    assert b" OK" in c.ask(b"APPEND %s {%d+}\r\n%s" % (box, len(text), text))[-1]
    if compressed:
        c.compress()
    asked = b"v SELECT %s\r\nw FETCH 1:* BODY.PEEK[]\r\nx UNAUTHENTICATE\r\n" % box
    c.sock.sendall((c.into.compress(asked) + c.into.flush(zlib.Z_FINISH) if compressed else asked) + ahead_of(demo))
    c.sock.settimeout(60)
    size = 0
    while not (line := c.line()).startswith(b"x OK"):
        size += len(line) + 2
    assert size > len(text)
    if compressed:
        while not c.outof.eof:
            c.fill()
        c.data, c.into, c.outof = c.data + c.outof.unused_data, None, None
    told(c, b"y")
    told(c, b"z")


def test_unauthenticate_can_be_off(own):
    """rfc8437:8: behind a proxy that decides who may log in it is not there."""
    demo = own("--set", "imap_unauthenticate=no").start()
    c = Client(demo, "imaps")
    assert b"UNAUTHENTICATE" not in c.login(demo)[-1]
    assert b" BAD " in c.ask(b"UNAUTHENTICATE")[-1]
    assert b" OK" in c.ask(b"SELECT INBOX")[-1]


def test_many_letters_of_one_command_come_at_once(demo):
    c, box = Client(demo, "imaps"), word().encode()
    c.login(demo)
    c.ask(b"CREATE " + box)
    assert b"APPENDUID" in c.ask(b"APPEND " + box + b" {3+}\r\na:b" * 4097)[-1]
    assert b"(MESSAGES 4097)" in c.ask(b"STATUS %s (MESSAGES)" % box)[0]
    assert b" NO " in c.ask(b"APPEND " + box + b" {3+}\r\na:b" * 300 + b" {0+}\r\n")[-1]
    assert b"(MESSAGES 4097)" in c.ask(b"STATUS %s (MESSAGES)" % box)[0]
    assert b" OK" in c.ask(b"DELETE " + box)[-1]


def test_a_signed_url_outlives_a_crash_and_not_its_signer(own):
    demo, box = own().start(), word().encode()
    rump = b"imap://jack@example.com/%s/;uid=1/;section=TEXT;urlauth=anonymous" % box
    c = Client(demo, "imaps")
    c.login(demo)
    c.ask(b"CREATE " + box)
    c.ask(b"APPEND %s {9+}\r\na:b\r\n\r\nxy" % box)
    url = c.ask(b'GENURLAUTH "%s" INTERNAL' % rump)[0].split(b'"')[1]
    demo.stop(signal.SIGKILL)
    demo.start()
    c = Client(demo, "imaps")
    c.ask(b'LOGIN "jill@example.com" "%s"' % demo.password.encode())
    assert c.ask(b'URLFETCH "%s"' % url)[:2] == [b'* URLFETCH "%s" {2}' % url, b"xy"]
    demo.command("account", "set", ME, "enabled", "no")
    assert c.ask(b'URLFETCH "%s"' % url)[0] == b'* URLFETCH "%s" NIL' % url
    demo.command("account", "set", ME, "enabled", "yes")
    assert c.ask(b'URLFETCH "%s"' % url)[1] == b"xy"


def test_large_parts_lose_their_encoding_piece_by_piece(demo):
    c, box = Client(demo, "imaps"), word().encode()
    plain = random.Random(5).randbytes(3_000_001)
    noisy = re.sub(rb"((?:[^\n]*\n){501})", rb"\1 - \r\n", base64.encodebytes(plain).replace(b"\n", b"\r\n"))
    words = b"\n".join(b"Gr\xc3\xbc\xc3\x9fe %d " % i * 9 for i in range(20_000))
    text = quopri.encodestring(words).replace(b"\n", b"\r\n")
    letter = b"\r\n".join([b"MIME-Version: 1.0", b"Content-Type: multipart/mixed; boundary=x", b"", b"--x",
                           b"Content-Type: application/x", b"Content-Transfer-Encoding: base64", b"", noisy, b"--x",
                           b"Content-Type: text/plain", b"Content-Transfer-Encoding: quoted-printable", b"", text, b"--x--", b""])
    c.login(demo)
    c.ask(b"CREATE " + box)
    assert b"APPENDUID" in c.ask(b"APPEND %s {%d+}\r\n%s" % (box, len(letter), letter))[-1]
    c.ask(b"SELECT " + box)
    assert c.ask(b"FETCH 1 BINARY.SIZE[1]")[0] == b"* 1 FETCH (BINARY.SIZE[1] 3000001)"
    assert c.ask(b"FETCH 1 BINARY.PEEK[1]")[1] == plain
    assert c.ask(b"FETCH 1 BINARY.PEEK[1]<65536.1500000>")[1] == plain[65536:1565536]
    assert c.ask(b"FETCH 1 BINARY.PEEK[2]")[1] == words.replace(b"\n", b"\r\n")
    c.ask(b"CLOSE")
    assert b" OK" in c.ask(b"DELETE " + box)[-1]


@pytest.mark.parametrize("command", [
    b"FETCH " + b"1," * 30_000 + b"1 FLAGS",
    b"SEARCH " + b"NOT " * 15_000 + b"ALL",
    b"SEARCH " + b"(" * 60_000,
    b"SEARCH " + b"OR ALL " * 9_000 + b"ALL",
    b"FETCH 1 (" + b"FLAGS UID " * 6_000 + b")",
    b"FETCH 1 BODY[" + b"1." * 30_000 + b"TEXT]",
    b"STORE 1 FLAGS (" + b"k " * 30_000 + b"k)",
    b"LIST \"\" (" + b"* " * 30_000 + b"*)",
    b"LIST \"\" " + b"%*" * 20_000,
    b"STATUS INBOX (" + b"MESSAGES " * 7_000 + b")",
    b"CREATE " + b"a/" * 30_000,
    b"APPEND INBOX (" + b"k " * 30_000 + b"k) {3+}\r\na:b",
    b"APPEND INBOX CATENATE (URL \"/" + b"%41" * 20_000 + b"/;UID=1\")",
    b"ENABLE " + b"X " * 30_000 + b"X",
    b"ID (" + b"\"a\" \"b\" " * 7_000 + b"\"a\" NIL)",
], ids=lambda c: c[:20].decode())
def test_what_is_endless_is_answered_at_once(demo, command):
    """Nothing of this takes time or memory beyond its own length: another session is served meanwhile."""
    c, other = Client(demo, "imaps"), Client(demo, "imaps")
    c.login(demo)
    other.login(demo)
    c.ask(b"SELECT INBOX")
    c.send(b"x " + command + b"\r\n")
    assert b" OK" in other.ask(b"NOOP")[-1]
    while not (line := c.line()).startswith(b"x "):
        pass
    assert line.split()[1] in (b"BAD", b"NO", b"OK"), line
    assert b" OK" in c.ask(b"NOOP")[-1]


def test_the_page_of_conformance_is_what_the_rows_say():
    script = pathlib.Path(__file__).resolve().parents[2] / "scripts/conformance-imap"
    done = subprocess.run([script, BINARY, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_shows_an_extension_is_there():
    top = pathlib.Path(__file__).resolve().parents[1]
    for line in (top.parent / "docs/conformance-imap.md").read_text().splitlines():
        for kind, name in re.findall(r"\b(dialogue|whole) ([\w.-]+)", line.rsplit("|", 2)[1] if line.count("|") > 4 else ""):
            assert (top / {"dialogue": "dialogue/imap", "whole": "whole"}[kind] / name).exists(), line
