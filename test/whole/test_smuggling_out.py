# SPDX-License-Identifier: ISC
"""SMTP smuggling, outwards: whatever stood in a letter, what the next server hears has no line end but CR LF, and one dot alone.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_smuggling_out.py
"""

import re
import socket
import threading

import pytest
from house import wait_for
from test_sending import house
from test_threats_smtp import ENDS

INNER = b"MAIL FROM:<evil@out.example>\r\nRCPT TO:<victim@there.example>\r\nDATA\r\nSubject: in\r\n\r\nx\r\n"


class Ear:
    """A server that keeps each byte of a letter, up to CR LF . CR LF."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.letters, self.commands = [], []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(s,), daemon=True).start()

    def talk(self, s):
        there = b""

        def until(end):
            nonlocal there
            while end not in there:
                if not (more := s.recv(65536)):
                    raise EOFError
                there += more
            found, _, there = there.partition(end)
            return found
        try:
            s.sendall(b"220 ear ESMTP\r\n")
            while True:
                line = until(b"\r\n")
                self.commands.append(line)
                verb = line[:4].upper()
                s.sendall(b"354 go\r\n" if verb == b"DATA" else b"250-ear\r\n250-PIPELINING\r\n250 8BITMIME\r\n" if verb == b"EHLO" else b"250 ok\r\n")
                if verb == b"DATA":
                    self.letters.append(until(b"\r\n.\r\n"))
                    s.sendall(b"250 ok\r\n")
                if verb == b"QUIT":
                    s.close()
                    return
        except (EOFError, OSError):
            s.close()

    def close(self):
        self.socket.close()


@pytest.fixture(scope="module")
def way():
    ear = Ear()
    with house(relayhost=f"[127.0.0.1]:{ear.port}", smtpd_forbid_bare_newline="yes",
               smtpd_forbid_bare_newline_exclusions="") as h:
        yield ear, h
    ear.close()


def say(h, by, content):
    with socket.create_connection(("127.0.0.1", h.ports["smtp"]), 30) as s, s.makefile("rb") as f:
        def reply():
            while (line := f.readline())[3:4] == b"-":
                pass
            return line
        reply()
        for line in (b"EHLO c.example", b"MAIL FROM:<a@out.example>" + (b" BODY=BINARYMIME" if by == "binary" else b""), b"RCPT TO:<b@there.example>"):
            s.sendall(line + b"\r\n")
            assert reply().startswith(b"250")
        if by == "DATA":
            s.sendall(b"DATA\r\n")
            assert reply().startswith(b"354")
            s.sendall(content + b"\r\n.\r\n")
        else:
            s.sendall(b"BDAT %d LAST\r\n" % len(content) + content)
        assert reply().startswith(b"250")


@pytest.mark.parametrize("by", ["DATA", "BDAT"])
@pytest.mark.parametrize("end", [*ENDS, b"\r\n.\r\n"], ids=[repr(e) for e in [*ENDS, b"\r\n.\r\n"]])
def test_no_line_end_of_a_letter_ends_it_for_the_next_server(way, by, end):
    ear, h = way
    if by == "DATA" and end == b"\r\n.\r\n":
        pytest.skip("that is its end")
    del ear.letters[:], ear.commands[:]
    say(h, by, b"Subject: out\r\n\r\nfirst" + end + INNER)
    wait_for(lambda: "Mail queue is empty" in h.command("queue", "list").stdout)
    assert len(ear.letters) == 1, ear.letters
    letter = ear.letters[0]
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", letter), "a line end is CR LF"
    assert not re.search(rb"\r\n\.(?!\.)", letter), "a dot at the beginning of a line is said twice"
    assert b"first" in letter and letter.endswith(b"x") or letter.endswith(b"x\r\n")
    assert not any(b"evil" in c or b"victim" in c for c in ear.commands), ear.commands
