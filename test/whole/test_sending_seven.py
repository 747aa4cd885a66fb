# SPDX-License-Identifier: ISC
"""Letters with bytes above 127 for a host that knows no 8BITMIME: whatever their parts say of their encoding they arrive, without such a byte, and Python's
own reader of mail sees what stood there."""

import email
import email.policy

import pytest

from house import wait_for
from test_sending import Sink, house

TEXT = "café a=b\r\n"
# The field, how the text stands in the letter, and what is read at the other end.
LETTERS = {
    "8bit": ("8bit", TEXT.encode("latin-1"), TEXT),
    "7bit, which is not so": ("7bit", TEXT.encode("latin-1"), TEXT),
    "no field": (None, TEXT.encode("latin-1"), TEXT),
    "a name nobody knows": ("8-bit", TEXT.encode("latin-1"), TEXT),
    "a charset for an encoding": ("iso-8859-1", TEXT.encode("latin-1"), TEXT),
    "one of its own": ("x-mine", TEXT.encode("latin-1"), TEXT),
    "quoted-printable with bytes of its own": ("quoted-printable", b"caf\xe9 a=3Db\r\n", TEXT),
    "and an = that says nothing before one": ("quoted-printable", b"caf=\xe9 a=\r\n=3Db\r\n", "caf=é a=b\r\n"),
}


@pytest.fixture(scope="module")
def world():
    with Sink(offers=("PIPELINING",)) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        yield sink, h


@pytest.mark.parametrize("multipart", [False, True], ids=["alone", "in a multipart"])
@pytest.mark.parametrize("why", LETTERS)
def test_a_part_of_any_encoding_can_be_read_at_a_host_of_seven_bits(world, why, multipart):
    sink, h = world
    encoding, body, read = LETTERS[why]
    field = f"Content-Transfer-Encoding: {encoding}\r\n" if encoding else ""
    part = f"Content-Type: text/plain; charset=iso-8859-1\r\n{field}\r\n".encode() + body
    head = b"From: a@here.example\r\nTo: b@there.example\r\nSubject: seven\r\nMIME-Version: 1.0\r\n"
    letter = head + (b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + part + b"--x--\r\n" if multipart else part)
    before = len(sink.letters)
    with h.smtp() as s:
        s.sendmail("a@here.example", ["b@there.example"], letter, ["BODY=8BITMIME"])
    wait_for(lambda: len(sink.letters) > before)
    came = sink.letters[before]
    raw = came[-1] if isinstance(came, tuple) else came
    raw = raw if isinstance(raw, bytes) else raw.encode("latin-1")
    assert max(raw) < 128
    seen = email.message_from_bytes(raw, policy=email.policy.default)
    seen = next(seen.iter_parts()) if multipart else seen
    assert seen.get_content().replace("\r\n", "\n").rstrip("\n") == read.replace("\r\n", "\n").rstrip("\n")
    if encoding in ("8-bit", "iso-8859-1", "x-mine"):
        assert seen["X-Content-Transfer-Encoding"] == encoding


@pytest.mark.parametrize("body, told", [(b"caf\xe9\r\n", 1), (b"cafe\r\n", 0)])
def test_that_a_signature_does_not_hold_any_more_is_in_the_log(body, told):
    with Sink(offers=("PIPELINING",)) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        with h.smtp() as s:
            s.sendmail("a@here.example", ["b@there.example"], b"DKIM-Signature: v=1; d=here.example; b=x\r\nSubject: signed\r\nMIME-Version: 1.0\r\n"
                       b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body, ["BODY=8BITMIME"])
        wait_for(lambda: len(sink.letters) == 1)
        wait_for(lambda: h.count("status=sent") == 1)
        assert h.count("so the signature (DKIM) that the letter has does not hold there") == told
