# SPDX-License-Identifier: ISC
"""What an older program left is read by this one, and nothing of it is lost: letters in mailboxes, letters that wait, those that are held, and
those that were answered with 250 the moment before everything ended.

The mail directories in older/ were left by programs built from the commits they are named after, which wrote formats that are not written any
more: 16eaee0 envelopes of version 2 and 3, an index of version 4.  What is in them is what a client had put in (older/make).

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_older.py
"""

import collections
import contextlib
import imaplib
import json
import os
import pathlib
import re
import sqlite3
import ssl
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import House, wait_for
from test_sending import Sink, empty

OLDER = pathlib.Path(__file__).resolve().parent / "older"
OFFERS = ("PIPELINING", "8BITMIME", "SIZE 10000000", "SMTPUTF8", "DSN")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: what lies there belongs to the roles")


def letter(name):
    """As older/make sent it, without the line ends."""
    return f"From: a@here.example\nTo: b@there.example\nMessage-ID: <{name}@here.example>\nSubject: {name}\n\nbody\n.a dot\n"


def older(name, **settings):
    """A house in such a directory, which does not run yet."""
    h = House(**{"mynetworks": "127.0.0.0/8", "dns_resolver": "none", "minimal_backoff_time": "1s", "maximal_backoff_time": "1s",
                 "maximal_queue_lifetime": "36500d", "bounce_queue_lifetime": "36500d", "delay_warning_time": "0", "smtp_tls_security_level": "none",
                 "spool_segment_size": "1M", "receiver_processes": "1", "keeper_processes": "1", "verifier_processes": "1", "sender_processes": "1",
                 **settings})
    subprocess.run(["tar", "-C", h.directory, "--numeric-owner", "--same-owner", "-xJf", OLDER / f"{name}.tar.xz"], check=True)
    return h


def mailboxes(h, said):
    found = {}
    with imaplib.IMAP4_SSL("127.0.0.1", h.ports["imaps"], ssl_context=ssl._create_unverified_context()) as m:
        m.login("jill@here.example", said["password"])
        for box in said["mailboxes"]:
            m.select(box, readonly=True)
            rows = []
            for uid in m.uid("SEARCH", "ALL")[1][0].split():
                _, got = m.uid("FETCH", uid, "(FLAGS INTERNALDATE BODY.PEEK[])")
                head = (got[0][0] + (got[-1] if isinstance(got[-1], bytes) else b"")).decode()
                rows.append({"uid": int(uid), "flags": sorted(re.search(r"FLAGS \(([^)]*)\)", head)[1].replace("\\Recent", "").split()),
                             "date": re.search(r'INTERNALDATE "([^"]+)"', head)[1], "text": got[0][1].decode()})
            found[box] = {"uidvalidity": int(m.response("UIDVALIDITY")[1][0]), "letters": rows}
    return found


@pytest.mark.parametrize("name", sorted(p.name.partition(".")[0] for p in OLDER.glob("*.json")))
def test_nothing_of_it_is_lost(name):
    said = json.loads((OLDER / f"{name}.json").read_text())
    with Sink(offers=OFFERS) as sink, older(name, relayhost=f"[127.0.0.1]:{sink.port}") as h:
        assert mailboxes(h, said) == said["mailboxes"]
        # What was put off there has a time of its own, an hour later.
        wait_for(lambda: h.command("queue", "flush", check=False).returncode == 0)
        wait_for(lambda: len(sink.got()) >= len(said["waits"]), 60)
        rows = json.loads(h.command("queue", "list", "--json").stdout)
        assert sorted(r["address"] for r in rows) == said["held"] and {r["state"] for r in rows} == {"hold"}
        h.command("queue", "release", "ALL")
        wait_for(lambda: empty(h))
        # Each once, and none of those that had gone before.
        wanted = said["waits"] | dict.fromkeys(said["held"], "held")
        got = collections.Counter(r.encode("latin-1").decode() for r in sink.got())
        assert got == collections.Counter(list(wanted))
        for mail, rcpt, text in sink.letters:
            subject = wanted[rcpt[0].encode("latin-1").decode()]
            assert text.decode().replace("\r\n", "\n").endswith("\n" + letter(subject)), (rcpt, text)
        assert "RCPT TO:<dsn@there.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;Old+40x" in sink.commands
        assert any(re.fullmatch(r"MAIL FROM:<a@here\.example>.* RET=HDRS ENVID=QQ314159", c) for c in sink.commands)
        assert any(c.startswith("MAIL FROM:<> ") for c in sink.commands) and any("SMTPUTF8" in c for c in sink.commands if c.startswith("MAIL"))
        # And what comes now lies beside it.
        with h.smtp() as s:
            s.sendmail("a@here.example", ["jill@here.example"], "Subject: new\r\n\r\nnew\r\n")
        more = wait_for(lambda: (m := mailboxes(h, said)) and len(m["INBOX"]["letters"]) > len(said["mailboxes"]["INBOX"]["letters"]) and m)
        assert more["INBOX"]["letters"][:-1] == said["mailboxes"]["INBOX"]["letters"] and more["Sent"] == said["mailboxes"]["Sent"]
        assert h.stop() == 0
        h.start()
        assert mailboxes(h, said) == more and h.command("store", "check").returncode == 0


def test_an_index_is_brought_to_this_version_once(tmp_path):
    """What lies there says which version it is; the expected one is that of docs/format.md."""
    version = int(re.search(r"(?m)^\| index \| (\d+) \|", (OLDER.parents[2] / "docs/format.md").read_text())[1])
    h = older("16eaee0", relayhost="[127.0.0.1]:1", defer_transports="smtp")
    path, = (h.directory / "mail/store/accounts").glob("*/*/index.db")

    def of():
        """Of a copy: whoever opens the index itself leaves files of their own beside it."""
        copy = pathlib.Path(tempfile.mkdtemp(dir=tmp_path))
        subprocess.run(["cp", *path.parent.glob("index.db*"), copy], check=True)
        with contextlib.closing(sqlite3.connect(copy / "index.db")) as db:
            return db.execute("PRAGMA user_version").fetchone()[0]
    assert of() == 4
    said = json.loads((OLDER / "16eaee0.json").read_text())
    with h:
        assert mailboxes(h, said) == said["mailboxes"]
        assert h.stop() == 0
        assert of() == version > 4
        h.start()
        assert mailboxes(h, said) == said["mailboxes"]
