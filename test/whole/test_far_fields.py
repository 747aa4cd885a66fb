# SPDX-License-Identifier: ISC
"""Headers of 10 MiB: what stands at their end is found and fetched as what stands at their beginning.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_far_fields.py
"""

import email.parser
import pathlib
import re

import pytest
from kit import wait_for, word

MIB = 1 << 20
NEAR = b"From: Near <near@example.org>\r\nX-Near: begins\r\n"


def far(w):
    return (b"To: far@example.org\r\nSubject: =?utf-8?q?F=C3=A4r?= %s\r\nX-Far: ends\r\n here %s\r\nCc: last@example.org\r\n"
            b"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n\r\nbody\r\n" % (w, w))


SHAPES = {
    "many fields": b"".join(b"X-%07d: y\r\n" % n for n in range(10 * MIB // 14)),
    "long fields": b"".join(b"X-Long-%d: %s\r\n" % (n, b"\r\n ".join([b"z" * 900] * 280)) for n in range(40)),
    "one field": b"X-One: " + b"\r\n ".join([b"z" * 900] * 11000) + b"\r\n",
    "many recipients": b"".join(b"To: someone%d@example.net\r\n" % n for n in range(10 * MIB // 32)),
}
LARGE = 9 * MIB


def fields_as_python_has_them(raw, names, others=False):
    """Name and value of each, unfolded as they stand."""
    head = raw[:raw.index(b"\r\n\r\n") + 4]
    parsed = email.parser.BytesHeaderParser().parsebytes(head)
    return [(k.lower(), re.sub(r"\r?\n", "", str(v))) for k, v in parsed.raw_items() if (k.lower() in names) != others]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_stands_far_behind_is_there(demo, shape):
    w = word().encode()
    raw = NEAR + SHAPES[shape] + far(w)
    assert raw.index(b"Subject:") > LARGE
    box = demo.imap("ataylor")
    assert box.append("INBOX", None, None, raw)[0] == "OK"
    box.select()
    number = wait_for(lambda: box.noop() and box.search(None, "HEADER", "X-Far", f'"here {w.decode()}"')[1][0]).decode()
    wanted = ("x-near", "x-far", "subject", "cc", "date")
    said = box.fetch(number, f"(BODY.PEEK[HEADER.FIELDS ({' '.join(wanted)})])")[1][0][1]
    assert fields_as_python_has_them(said, wanted) == fields_as_python_has_them(raw, wanted)
    assert said.startswith(b"X-Near: begins\r\nSubject: ") and said.endswith(b"+0000\r\n\r\n")
    part = box.fetch(number, f"(BODY.PEEK[HEADER.FIELDS (x-far)]<3.9>)")[1][0][1]
    assert part == b"ar: ends\r"
    left = ("x-near", "from", "to", "subject", "x-far", "cc", "date")
    rest = box.fetch(number, f"(BODY.PEEK[HEADER.FIELDS.NOT ({' '.join(left)})])")[1][0][1]
    if shape == "many recipients":
        assert rest == b"\r\n"
    else:
        assert rest == SHAPES[shape] + b"\r\n"
    assert box.fetch(number, "(BODY.PEEK[HEADER])")[1][0][1] == raw[:-len(b"body\r\n")]
    for key in (("SUBJECT", w.decode()), ("CC", "last@example.org"), ("TO", "far@example.org"), ("FROM", "near@"),
                ("TEXT", f'"here {w.decode()}"'), ("HEADER", "X-Near", "begins"), ("HEADER", "Subject", w.decode()),
                ("SENTON", "22-Nov-2026")):
        assert number.encode() in box.search(None, *key)[1][0].split(), key
    for key in (("SUBJECT", "neverthere"), ("CC", "first@example.org"), ("HEADER", "X-Far", "begins")):
        assert number.encode() not in box.search(None, *key)[1][0].split(), key
    envelope = box.fetch(number, "(ENVELOPE)")[1][0]
    envelope = envelope if isinstance(envelope, bytes) else b" ".join(envelope)
    assert b'"near" "example.org"' in envelope and b'"Sun, 22 Nov 2026 12:00:00 +0000"' in envelope and w in envelope
    box.store(number, "+FLAGS", r"\Deleted")
    box.expunge()
    box.logout()
    verifiers = [p["pid"] for p in demo.processes() if p["role"] == "verifier"]
    for pid in verifiers:
        peak = re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]
        assert int(peak) < 256 << 10
