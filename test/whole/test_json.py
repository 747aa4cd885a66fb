# SPDX-License-Identifier: ISC
"""What the queue and the traces say as JSON of addresses, host's words and fields that were made to break it: jq and Python read each of it,
and what they read is what was sent.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_json.py
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import BINARY, ROOT, wait_for
from test_sending import Sink, house

pytestmark = pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")

ADDRESSES = [
    r'"quo\"te"@there.example', r'"back\\slash\\"@there.example', '"a, b; c: d"@there.example', '"<x>"@there.example', '"}],{\\""@there.example',
    "%s%n%d@there.example", "$`reboot`@there.example", "'x'@there.example", "{x}|1@there.example", "null@there.example", "0@there.example",
    "\"&amp;</script>\"@there.example", "用户@例え.example", "\u202erevers\u202c@there.example", "emoji😀@there.example", "line\u2028sep@there.example",
    "nbsp\u00a0x@there.example", "zero\u200bwidth@there.example", "c1\u0085x@there.example", "-rf@there.example", "a" * 64 + "@there.example",
]
ASCII = [a.replace("例え", "xn--r8jz45g") for a in ADDRESSES]       # domains are kept as the DNS has them
SENDER = r'"j\"a\\ck"@here.example'
WORDS = b'451 4.3.0 "quoted" \\ back\\u0000 \xff\xfe \x1b[2J <x> {"a": [1}} \xe2\x80\xae and \xed\xa0\x80 more\r\n'


class Rude(Sink):
    """A host whose answer to RCPT has all that JSON does not like."""

    def say(self, f, text):
        f.write(WORDS if text == "WORDS" else (text + "\r\n").encode("latin-1"))
        f.flush()


def read(text, lines=False):
    """As Python reads it, when jq does the same."""
    raw = text.encode("utf-8", "surrogateescape")
    done = subprocess.run(["jq", "-c", "."], input=raw, capture_output=True, timeout=60)
    assert done.returncode == 0, (done.stderr, raw[:500])
    raw.decode()        # jq is content with what is no UTF-8
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", raw)
    return [json.loads(line) for line in text.split("\n") if line] if lines else json.loads(text)


def ask(h, *words):
    done = subprocess.run([BINARY, "-c", h.config, *words], capture_output=True, timeout=60)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout.decode("utf-8", "surrogateescape")


@pytest.fixture(scope="module")
def letters():
    """A letter to each, which waits, and one that was refused."""
    with Rude(lambda verb, argument, session: "WORDS" if verb == "RCPT" else None, offers=("SMTPUTF8", "8BITMIME")) as sink, house(
            relayhost=f"[127.0.0.1]:{sink.port}", minimal_backoff_time="300s", maximal_backoff_time="300s", smtputf8_enable="yes",
            allow_min_user="yes") as h:
        with h.smtp() as s:
            s.ehlo('[IPv6:::1]')
            for i, to in enumerate(ADDRESSES):
                utf8 = "" if to.isascii() else " SMTPUTF8"
                s.command_encoding = "utf-8"
                assert s.docmd(f"MAIL FROM:<{SENDER}>{utf8}")[0] == 250
                code, words = s.docmd(f"RCPT TO:<{to}>")
                assert code == 250, (to, words)
                code, words = s.data(b'Subject: x\r\nMessage-ID: <"\\' + str(i).encode() + b'\xff\x01\xe2\x80\xae"@x.example>\r\n\r\nx\r\n')
                assert code == 250, words
            assert s.docmd(f'MAIL FROM:<{SENDER}>')[0] == 250
            code, words = s.docmd('RCPT TO:<"x\\"y"@[0.0.0.300]>')
            assert code >= 500
        wait_for(lambda: h.count("status=deferred") >= len(ASCII), 60)
        yield h


def test_what_waits(letters):
    rows = read(ask(letters, "queue", "list", "--json"))
    assert {r["address"] for r in rows} == set(ASCII) and {r["sender"] for r in rows} == {SENDER}
    assert all('"quoted" \\ back\\u0000' in r["reason"] for r in rows)
    for row in rows:
        shown = read(ask(letters, "queue", "show", "--json", row["id"]))
        assert [r["address"] for r in shown] == [row["address"]]
        if not row["address"].startswith("-"):
            assert [r["id"] for r in read(ask(letters, "queue", "list", "--json", f"--recipient={row['address']}"))] == [row["id"]] or \
                re.search(r"[\\*?\[]", row["address"])


def test_summaries_and_orders(letters):
    assert sum(int(r["deferred"]) for r in read(ask(letters, "queue", "summary", "--json"))) == len(ASCII)
    said = read(ask(letters, "queue", "hold", "--json", "--dry-run", "--sender", "*"))
    assert said["letters"] == len(ASCII) and len(set(said["ids"])) == len(ASCII)


def test_as_postqueue_says_it(letters, tmp_path):
    (tmp_path / "postqueue").symlink_to(BINARY)
    text = subprocess.run([tmp_path / "postqueue", "-c", letters.config.parent, "-j"], capture_output=True, timeout=60).stdout
    found = read(text.decode("utf-8", "surrogateescape"), lines=True)
    assert {r["address"] for o in found for r in o["recipients"]} == set(ASCII) and {o["sender"] for o in found} == {SENDER}


def test_the_lives_of_letters(letters):
    rows = read(ask(letters, "queue", "list", "--json"))
    every = read(ask(letters, "trace", "--json", "--all", SENDER), lines=True)
    assert {life["letter"] for life in every} >= {r["id"] for r in rows}
    for row in rows:
        life, = read(ask(letters, "trace", "--json", row["id"]), lines=True)
        queued = next(e for e in life["events"] if e["event"] == "queued")
        assert queued["recipient"] == [row["address"]] and queued["sender"] == SENDER
        attempt = next(e for e in life["events"] if e["event"] == "attempt")
        assert attempt["recipient"] == row["address"] and '"quoted" \\ back' in attempt["reply"]
        if not row["address"].startswith("-"):
            assert row["id"] in [one["letter"] for one in read(ask(letters, "trace", "--json", "--all", row["address"]), lines=True)]


def test_every_field_is_in_the_manual(letters):
    """What is said, and what the manual says is said."""
    manual = re.sub(r"\\f.|\\-", lambda m: "-" if m[0] == "\\-" else "", ask(letters, "manual", "mansio"))
    told = set()
    for life in read(ask(letters, "trace", "--json", "--all", SENDER), lines=True):
        told |= set(life) | {k for e in life["events"] for k in e} | {e["event"] for e in life["events"]}
    told |= {k for r in read(ask(letters, "queue", "list", "--json")) for k in r}
    told |= {k for r in read(ask(letters, "queue", "summary", "--json")) for k in r}
    told |= set(read(ask(letters, "queue", "hold", "--json", "--dry-run", "--sender", "*")))
    assert {word for word in told if not re.search(rf"\b{word}\b", manual)} == set()
