# SPDX-License-Identifier: ISC
"""kill -9 while an account goes from one kind of mailbox to another, and while an mbox is rewritten: asked again it goes
on, and nothing is lost, nothing there twice."""

import contextlib
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess

import pytest

from kit import BINARY, open_to_all, wait_for, word
from test_outside import BODY, Mbox, demo_with, state

LETTERS = 40


def subjects(demo):
    """{folder: subjects in order}, once all is in."""
    box, out = demo.imap("jack"), {}
    for folder in ("INBOX", "Kept"):
        assert box.select(folder, readonly=True)[0] == "OK"
        said = box.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        out[folder] = [re.search(rb"letter \d+", part[1]).group() for part in said if isinstance(part, tuple)]
    box.logout()
    return out


def fill(demo):
    box = demo.imap("jack")
    for n in range(LETTERS):
        flags = r"(\Seen kw%d)" % (n % 3) if n % 2 else ""
        assert box.append("INBOX", flags, None, (BODY % f"letter {n}" + "y" * (n * 997)).encode())[0] == "OK"
    box.create("Kept")
    box.select()
    assert box.copy("3:20", "Kept")[0] == "OK"
    box.logout()


def die(demo):
    """All its processes at once."""
    os.killpg(demo.process.pid, signal.SIGKILL)
    demo.process.wait()
    demo.output.close()
    demo.process = None


def die_and_live(demo):
    die(demo)
    demo.start()


def entered(directory, beside):
    """Of how many files a dead server's indexes tell; they are looked into as copies."""
    most = 0
    for n, path in enumerate(directory.glob("**/index.db")):
        for end in ("", "-wal"):
            if path.with_name(path.name + end).exists():
                shutil.copy(path.with_name(path.name + end), beside / f"{n}.db{end}")
        with contextlib.closing(sqlite3.connect(beside / f"{n}.db")) as db, contextlib.suppress(sqlite3.OperationalError):
            most = max(most, db.execute("SELECT count(*) FROM file").fetchone()[0])     # it may have no tables yet
    return most


def convert(demo, to):
    return subprocess.Popen([BINARY, "-c", demo.config, "mailbox", "convert", "jack@example.com", "--to", to],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("to", ["log", "maildir:%s/other/m/%%n", "mbox:%s/other/b/%%n"])
@pytest.mark.parametrize("first", ["", "maildir:%s/first/%%n"])
def test_a_conversion_goes_on_after_a_crash(tmp_path, first, to):
    if to == "log" and not first:
        return
    chance = random.Random(f"{first} {to}")
    demo = demo_with(tmp_path, f"mail_location_directories = {tmp_path}/other {tmp_path}/first",
                     *(["mail_location = " + first % tmp_path] if first else []))
    to = to if to == "log" else to % tmp_path
    try:
        fill(demo)
        before = state(demo)
        for n in range(6):
            # Each time it comes further.
            asked = convert(demo, to)
            wait = chance.choice([0, 0.002, 0.005, 0.01, 0.02])
            try:
                asked.wait(wait)
            except subprocess.TimeoutExpired:
                pass
            die_and_live(demo)
            asked.kill()
            asked.wait()
            asked.stdout.close()
            assert state(demo) == before, n
        said = demo.command("mailbox", "convert", "jack@example.com", "--to", to, check=False)
        assert said.returncode == 0 or "lies there" in said.stderr + said.stdout, said
        assert state(demo) == before
        die_and_live(demo)
        assert state(demo) == before
        demo.command("store", "check")                  # fails when there is anything to complain of
    finally:
        demo.stop()


def test_an_mbox_that_was_being_rewritten_is_whole(tmp_path):
    """Flags and expunges go into the file some time after they are answered: killed in between, and all is done once."""
    chance = random.Random("mbox")
    root = tmp_path / "outside"
    demo = demo_with(tmp_path, "mail_location = " + Mbox.location % root)
    try:
        fill(demo)
        folders = Mbox(root)
        wanted = [f"letter {n}".encode() for n in range(LETTERS)]
        for n in range(8):
            box = demo.imap("jack")
            box.select()
            gone = chance.randrange(len(wanted)) + 1
            assert box.store(f"1:{gone}", "+FLAGS", f"(kw{n} \\Flagged)")[0] == "OK"
            assert box.store(str(gone), "+FLAGS", r"\Deleted")[0] == "OK"
            assert box.expunge()[0] == "OK"
            del wanted[gone - 1]
            try:
                demo.process.wait(chance.choice([0.0005, 0.002, 0.005, 0.01, 0.02]))
            except subprocess.TimeoutExpired:
                pass
            die_and_live(demo)
            assert subjects(demo)["INBOX"] == wanted, n
        box = demo.imap("jack")
        box.select()
        box.noop()
        wait_for(lambda: folders.count() == len(wanted))
        assert not list((tmp_path / "demo").glob("**/mbox-*.journal"))
    finally:
        demo.stop()


def test_a_take_over_from_dovecot_goes_on_after_a_crash(tmp_path):
    """Of thousands of letters some are in when it dies, and again: the rest have the uids they had all the same."""
    root, there, fresh, following = tmp_path / "outside/example.com/jack", 6000, 5, 90000
    open_to_all(tmp_path)
    for part in ("tmp", "new", "cur"):
        (root / part).mkdir(parents=True)
    wanted = {}
    for n in range(there):
        name = f"17{n:08}.a.b"
        (root / "cur" / f"{name}:2,S").write_text(BODY % f"letter {n}")
        wanted[n] = 1000 + 3 * n
    (root / "dovecot-uidlist").write_text(f"3 V1275660208 N{following}\n" + "".join(f"{uid} :17{n:08}.a.b\n" for n, uid in wanted.items()))
    for n in range(there, there + fresh):
        (root / "new" / f"17{n:08}.a.b").write_text(BODY % f"letter {n}")
        wanted[n] = following + n - there
    demo = demo_with(tmp_path, f"mail_location = maildir:{tmp_path}/outside/%d/%n")
    try:
        if os.geteuid() == 0:
            keeper = next(p for p in demo.processes() if p["role"] == "keeper")
            owner = os.stat(f"/proc/{keeper['pid']}")
            subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", tmp_path / "outside"], check=True)
        counts = []
        for wait in range(1, 40):           # each lives a little longer than the one before
            asked = subprocess.Popen([BINARY, "-c", demo.config, "mailbox", "status", "jack@example.com", "messages", "INBOX"],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                asked.wait(wait * 0.01)
            except subprocess.TimeoutExpired:
                pass
            die(demo)
            asked.kill()
            asked.wait()
            (beside := tmp_path / word()).mkdir()
            counts.append(entered(tmp_path / "demo", beside))
            demo.start()
            if counts[-1] == there + fresh:
                break
        box = demo.imap("jack")
        assert box.select()[1] == [str(there + fresh).encode()]
        assert box.response("UIDVALIDITY")[1] == [b"1275660208"]
        said = box.uid("FETCH", "1:*", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        uids = {int(re.search(rb"letter (\d+)", part[1]).group(1)): int(re.search(rb"UID (\d+)", part[0]).group(1))
                for part in said if isinstance(part, tuple)}
        assert uids == wanted
        assert any(0 < n < there for n in counts), (counts, "it never died in the middle")
    finally:
        demo.stop()
