# SPDX-License-Identifier: ISC
"""Bytes that have changed on the disk, links where files should be, directories anybody may write to: what is
wrong is named and set aside, the rest is served, nobody dies of it again and again."""

import imaplib
import os
import re
import sqlite3
import subprocess
import time

import pytest
from kit import BINARY, letter, wait_for, word

AS_ROOT = os.geteuid() == 0
BODY = "so many horses\n" * 20


def segments(demo):
    return sorted((demo.dir / "mail/spool/letters").glob("*.seg"))


def index(demo, user="jill"):
    """The account's; jill is the first of all."""
    number = ["jill", "jack", "ataylor", "jsmith"].index(user) + 1
    return demo.dir / f"mail/store/accounts/{number:02x}/{number}/index.db"


def holder(demo, subject):
    """The segment with the letter, and where it lies there."""
    for path in segments(demo):
        at = path.read_bytes().find(subject.encode())
        if at >= 0:
            return path, at
    raise AssertionError("the letter is in no segment")


def flip(path, at, count=1):
    with open(path, "r+b") as f:
        f.seek(at)
        was = f.read(count)
        f.seek(at)
        f.write(bytes(b ^ 0x5a for b in was))


def restarts(demo):
    return sum(p["restarts"] for p in demo.processes())


def still_works(demo):
    """New mail comes and can be read; nobody dies."""
    subject = word()
    demo.send(letter(subject), to="jack@example.com")
    demo.find(subject, "jack")
    before = restarts(demo)
    time.sleep(0.7)
    assert restarts(demo) == before, demo.log()[-3000:]
    assert "signal 6" not in demo.log() and "signal 11" not in demo.log(), demo.log()[-3000:]


def stopped_with(own, subjects, *more):
    demo = own(*more).start()
    for s in subjects:
        demo.send(letter(s, BODY))
        demo.find(s)
    assert demo.stop() == 0
    return demo


def fetched(demo, subject, user="jill"):
    """What the IMAP client gets: its bytes, or the reply in words."""
    box = demo.imap(user)
    try:
        typ, said = box.select()
        if typ != "OK":
            return str(said)
        found = box.search(None, "SUBJECT", subject)[1][0].split()
        if not found:
            return "not found"
        typ, said = box.fetch(found[0], "(BODY.PEEK[])")
        return said[0][1] if typ == "OK" and isinstance(said[0], tuple) else f"{typ} {said}"
    finally:
        box.logout()


@pytest.mark.parametrize("where", ["content", "record header", "digest"])
def test_a_changed_byte_in_a_letter_is_told_and_the_others_are_served(own, where):
    hurt, whole = word(), word()
    demo = stopped_with(own, [hurt, whole])
    path, at = holder(demo, hurt)
    record = path.read_bytes().rfind(b"MtrL", 0, at)
    flip(path, {"content": at, "record header": record + 16, "digest": at + 900}[where])
    done = demo.command("store", "check", check=False)
    assert done.returncode == 1 and path.stem.lower() in (done.stdout + done.stderr).lower(), done.stdout + done.stderr
    demo.start()
    got = fetched(demo, whole)
    assert isinstance(got, bytes) and whole.encode() in got, got
    got = fetched(demo, hurt)
    assert not (isinstance(got, bytes) and where == "content"), "changed bytes are not given out as mail"
    still_works(demo)
    assert demo.stop() == 0


def test_a_segment_of_an_unknown_version_is_left_alone(own):
    hurt = word()
    demo = stopped_with(own, [hurt])
    path, _ = holder(demo, hurt)
    raw = path.read_bytes()
    path.write_bytes(raw[:8] + b"\x07" + raw[9:])
    done = demo.command("store", "check", check=False)
    assert done.returncode == 1 and path.stem in done.stdout + done.stderr, done.stdout + done.stderr
    demo.start()
    still_works(demo)
    assert not isinstance(fetched(demo, hurt), bytes)
    assert demo.stop() == 0
    path.write_bytes(raw)
    demo.start()
    assert hurt.encode() in fetched(demo, hurt), "nothing was lost meanwhile"


def test_a_segment_that_is_gone_or_cut(own):
    gone, cut, whole = word(), word(), word()
    demo = stopped_with(own, [gone, cut, whole])
    path, at = holder(demo, gone)
    other = word()
    demo.start()
    demo.send(letter(other, BODY))
    demo.find(other)
    assert demo.stop() == 0
    os.truncate(path, at + 10)
    assert demo.command("store", "check", check=False).returncode == 1
    demo.start()
    still_works(demo)
    assert not isinstance(fetched(demo, gone), bytes)
    assert demo.stop() == 0
    assert path.exists() or path.with_suffix(".torn").exists(), "what is left of it is kept"
    path.unlink(missing_ok=True)
    assert demo.command("store", "check", check=False).returncode == 1
    demo.start()
    still_works(demo)
    assert not isinstance(fetched(demo, gone), bytes)


@pytest.mark.parametrize("how", ["header", "middle", "empty", "version", "text", "cut"])
def test_a_damaged_index_of_one_account_is_told_and_the_others_are_served(own, how):
    mine, theirs = word(), word()
    demo = own().start()
    demo.send(letter(mine, BODY), to="ataylor@example.com")
    demo.find(mine, "ataylor")
    demo.send(letter(theirs, BODY), to="jack@example.com")
    demo.find(theirs, "jack")
    assert demo.stop() == 0
    hurt = index(demo, "ataylor")       # the demo's own proof reads jill's
    size = hurt.stat().st_size
    if how == "header":
        flip(hurt, 0, 100)
    elif how == "middle":
        for at in range(4096, size, 512):
            flip(hurt, at, 64)
    elif how == "empty":
        os.truncate(hurt, 0)
    elif how == "cut":
        os.truncate(hurt, size // 2)
    elif how == "text":
        hurt.write_bytes(b"this is no database\n" * 1000)
    else:
        db = sqlite3.connect(hurt)
        db.execute("PRAGMA user_version = 77")
        db.commit()
        db.close()
    done = demo.command("store", "check", check=False)
    assert done.returncode == 1 and f"account {hurt.parent.name}" in done.stdout + done.stderr, done.stdout + done.stderr
    demo.start()
    assert theirs.encode() in fetched(demo, theirs, "jack")
    try:
        assert fetched(demo, mine, "ataylor")
    except imaplib.IMAP4.error as e:    # a refusal in words, not silence
        assert "UNAVAILABLE" in str(e) or "damaged" in str(e), e
    late = word()
    demo.send(letter(late), to="ataylor@example.com")           # taken, and kept in the queue: a mailbox's fault is none of the letter's
    still_works(demo)
    wait_for(lambda: re.search(r"to=<ataylor@example\.com>.* status=(deferred|sent)", demo.log()))
    assert "status=bounced" not in demo.log()
    assert "account 3" in demo.log(), demo.log()[-3000:]
    assert demo.stop() == 0


@pytest.mark.parametrize("how", ["cut", "empty", "noise", "version"])
def test_the_queues_memory_is_no_proof_and_may_be_lost(own, how):
    subject = word()
    demo = stopped_with(own, [subject])
    db = demo.dir / "mail/spool/queue.db"
    if how == "cut":
        os.truncate(db, db.stat().st_size // 2 + 100)
    elif how == "empty":
        os.truncate(db, 0)
    elif how == "noise":
        db.write_bytes(os.urandom(20000))
    else:
        q = sqlite3.connect(db)
        q.execute("PRAGMA user_version = 77")
        q.commit()
        q.close()
    try:
        demo.start()
    except RuntimeError:
        # refused in words is an answer to an unknown version, and to nothing else
        assert how == "version" and "version" in demo.said() + demo.log(), demo.said() + demo.log()
        return
    still_works(demo)
    assert demo.count(subject) == 1, "delivered once, and not again"
    assert demo.stop() == 0


def test_letters_not_yet_delivered_survive_the_loss_of_the_queues_memory(own):
    demo = own().start()
    subject = word()
    demo.send(letter(subject, BODY))
    demo.find(subject)
    # kill all at once behind an accepted letter, then forget the queue's memory
    late = word()
    demo.send(letter(late, BODY))
    os.killpg(demo.pid, 9)
    demo.process.wait(30)
    for p in (demo.dir / "mail/spool").glob("queue.db*"):
        p.unlink()
    demo.start()
    demo.find(late)
    assert demo.count(late) == 1 and demo.count(subject) == 1


# Files

@pytest.mark.skipif(not AS_ROOT, reason="needs root")
@pytest.mark.parametrize("what", ["spool", "spool/letters", "store", "directory", "run"])
@pytest.mark.parametrize("how", ["anybody may write", "somebody else's", "a link"])
def test_a_place_that_others_may_change_is_not_used(own, what, how):
    demo = stopped_with(own, [])
    place = demo.dir / "mail" / what
    if how == "anybody may write":
        os.chmod(place, 0o777)
    elif how == "somebody else's":
        os.chown(place, 54321, 54321)
    else:
        place.rename(place.with_name("moved"))
        place.symlink_to("moved")
    out = subprocess.run(["timeout", "20", BINARY, "-c", demo.config, "run"], capture_output=True, text=True)
    assert out.returncode == 1, (out.returncode, out.stdout, out.stderr, demo.log()[-1500:])
    assert what in out.stdout + out.stderr + demo.log(), out.stderr


@pytest.mark.skipif(not AS_ROOT, reason="needs root")
def test_a_link_in_place_of_a_file_is_not_followed(own):
    demo = stopped_with(own, [])
    target = demo.dir / "target"
    for what in ("mail/spool/letters/00000077.seg", "mail/spool/letters/00000078.torn"):
        target.write_text("keep me\n")
        link = demo.dir / what
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    demo.start()
    still_works(demo)
    assert target.read_text() == "keep me\n"
    assert demo.stop() == 0
    for name in ("queue.sock", "mansio.pid"):
        link = demo.dir / "mail/run" / name
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        try:
            demo.start()
            assert demo.stop() == 0
        except RuntimeError as e:       # refused in words is right, too
            assert name in str(e)
        link.unlink(missing_ok=True)
        assert target.read_text() == "keep me\n"


def test_control_sockets_are_for_their_owner(demo):
    run = demo.dir / "mail/run"
    for sock in run.glob("*.sock"):
        mode = sock.stat().st_mode & 0o777
        # Who may ask the queue what, and who may submit, is asked of the system: test_queue_users
        if sock.name not in ("lmtp.sock", "queue.sock", "pickup.sock"):
            assert mode & 0o077 == 0 or run.stat().st_mode & 0o007 == 0, (sock.name, oct(mode))


@pytest.mark.skipif(not AS_ROOT, reason="needs root")
def test_others_cannot_command_the_server(demo):
    for sock in ("postmaster", "clerk", "queue", "keeper"):
        code = (f"import socket; s=socket.socket(socket.AF_UNIX); s.connect('{demo.dir}/mail/run/{sock}.sock'); "
                "s.sendall(b'x'); print(len(s.recv(10)))")
        done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3",
                               "-c", code], capture_output=True, text=True, timeout=20, cwd="/")
        assert done.returncode != 0 and "Permission" in done.stderr or done.stdout.strip() == "0", done.stdout + done.stderr


def test_a_password_on_the_command_line_is_refused(demo):
    for words in (["account", "add", "eva@example.com", "--password", "x"], ["account", "add", "eva@example.com", "x"],
                  ["account", "set", "jill@example.com", "--password", "x"]):
        done = demo.command(*words, check=False)
        assert done.returncode == 2, (words, done.stdout, done.stderr)
    assert "eva" not in demo.command("account", "list").stdout
