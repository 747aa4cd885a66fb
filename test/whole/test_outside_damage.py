# SPDX-License-Identifier: ISC
"""A Maildir that others damage while it is served: what is wrong is named in the log, with its path, and refused alone; the rest is
served, and all is well again when it was mended."""

import imaplib
import os
import re
import shutil
import signal
import subprocess

import pytest

from kit import letter, wait_for, word
from test_outside import BODY, Maildir, demo_with
from test_outside_hostile import place_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="its keeper is somebody else than who does the damage")


class Place:
    """In a file system of its own, so that it can be full, or take nothing."""

    def __init__(self, tmp_path):
        location, self.top = place_of(Maildir, tmp_path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=777", "none", self.top], check=True)
        self.demo = demo_with(tmp_path, f"mail_location = {location}", "maximal_backoff_time = 2s", "minimal_backoff_time = 1s")
        self.reader = self.demo.imap("jack")
        self.reader.select()
        self.box = Maildir(self.top)

    def subjects(self, reader=None):
        """Of all that can be read; what is refused is refused alone."""
        reader, found = reader or self.reader, set()
        for n in reader.search(None, "ALL")[1][0].split():
            status, said = reader.fetch(n, "(BODY.PEEK[])")
            if status == "OK" and isinstance(said[0], tuple):
                found.update(re.findall(r"(?m)^Subject: (\S+)", said[0][1].decode("utf-8", "replace"))[:1])
        return found

    def remount(self, how):
        subprocess.run(["mount", "-o", f"remount,{how}", self.top], check=True)

    def new_mail(self):
        """It comes and is read, by who is there and by who comes."""
        subject = word()
        self.demo.send(letter(subject), to="jack@example.com")
        wait_for(lambda: self.reader.noop() and subject in self.subjects())
        assert self.demo.find(subject, "jack")

    def named(self, *words):
        wait_for(lambda: any(all(w in line for w in words) for line in self.demo.log().splitlines()))


@pytest.fixture
def place(tmp_path):
    try:
        p = Place(tmp_path)
        yield p
        assert p.demo.stop() == 0
        assert not re.search("signal (6|11)", p.demo.log())
    finally:
        subprocess.run(["umount", "-l", tmp_path / "boxes"], check=True)


def three(place):
    names = {subject: place.box.add(subject) for subject in ("one", "two", "three")}
    wait_for(lambda: place.reader.noop() and place.subjects() == set(names))
    return names


def at(place, name):
    return next(place.box.root.glob(f"*/{name}*"))


def test_a_letter_that_may_not_be_read(place):
    names = {subject: place.box.add(subject) for subject in ("one", "two", "three")}
    wait_for(lambda: place.reader.noop() and len(place.reader.search(None, "ALL")[1][0].split()) == 3)
    path = at(place, names["two"])
    path.chmod(0)                                   # and nobody has read it yet
    assert place.subjects() == {"one", "three"}
    place.named(names["two"], "Permission denied")
    place.new_mail()
    path.chmod(0o600)
    assert {"one", "two", "three"} <= place.subjects()


def test_a_directory_a_device_and_a_pipe_in_the_place_of_letters(place):
    names = three(place)
    os.mkdir(place.box.root / "cur/1700000001.directory:2,S")
    os.mkfifo(place.box.root / "cur/1700000002.pipe:2,S", 0o666)
    path = at(place, names["two"])
    path.unlink()
    path.mkdir()
    place.box.own(path)
    assert place.subjects() == {"one", "three"}
    wait_for(lambda: re.search(rf"(cur/1700000001.directory:2,S|cur/1700000002.pipe:2,S|{names['two']}\S*) is no file", place.demo.log()))
    place.new_mail()


def test_an_empty_letter_a_name_of_many_bytes_and_one_with_a_line_end(place):
    three(place)
    for name in ["1700000003.empty", "1700000004." + "x" * 240, "1700000005.a\nb", "1700000006.\xff\u8baf:2,S", "1700000007.:2,:2,S"]:
        path = place.box.root / "cur" / name
        path.write_text("" if "empty" in name else BODY % f"odd{name[9]}")
        place.box.own(path)
    wait_for(lambda: place.reader.noop() and {"odd4", "odd6", "one"} <= place.subjects())
    assert place.reader.store("1:*", "+FLAGS", r"(\Flagged)")[0] == "OK"
    assert not any("\nb" in line or line.startswith("b ") for line in place.demo.log().splitlines())
    place.new_mail()


@pytest.mark.parametrize("part", ["cur", "new", "tmp"])
def test_a_part_is_missing(place, part):
    names = three(place)
    place.reader.store("1", "+FLAGS", r"(\Seen)")
    kept = place.box.root / "kept"
    wait_for(lambda: place.box.flags())
    os.rename(place.box.root / part, kept)
    place.reader.noop()
    assert place.demo.imap("jill").select()[0] == "OK"
    if part == "tmp":
        place.new_mail()
        return
    place.demo.send(letter("waits"), to="jack@example.com")
    shutil.rmtree(place.box.root / part, ignore_errors=True)
    os.rename(kept, place.box.root / part)
    wait_for(lambda: place.reader.noop() and set(names) | {"waits"} <= place.subjects())


@pytest.mark.parametrize("damage", ["cut", "garbage", "uids twice", "empty", "a directory"])
def test_the_list_of_uids_of_the_one_before_is_damaged(tmp_path, damage):
    _, top = place_of(Maildir, tmp_path)
    root = top / "example.com/jack"
    for part in ("cur", "new", "tmp"):
        (root / part).mkdir(parents=True)
    for n in range(1, 21):
        (root / "cur" / f"17000000{n:02}.x.y:2,S").write_text(BODY % f"letter{n}")
    lines = ["3 V1600000000 N100 G0123456789abcdef0123456789abcdef"] + [f"{n * 2} :17000000{n:02}.x.y" for n in range(1, 21)]
    whole = "\n".join(lines) + "\n"
    text = {"cut": whole[:len(whole) // 2].encode(), "garbage": os.urandom(3000),
            "uids twice": "\n".join(lines[:10] + [f"4 :17000000{n:02}.x.y" for n in range(10, 21)]).encode() + b"\n", "empty": b""}.get(damage)
    if text is None:
        (root / "dovecot-uidlist").mkdir()
    else:
        (root / "dovecot-uidlist").write_bytes(text)
    for path in [top, *top.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)
    demo = demo_with(tmp_path, f"mail_location = maildir:{top}/%d/%n")
    try:
        reader = demo.imap("jack")
        assert reader.select()[1] == [b"20"]
        uids = [int(line.split()[2].rstrip(b")")) for line in reader.fetch("1:*", "(UID)")[1]]
        assert uids == sorted(set(uids))
        if damage == "cut":                       # what it says is believed, of the rest the uids are new
            assert uids[:5] == [2, 4, 6, 8, 10] and reader.response("UIDVALIDITY")[1][0] in (b"1600000000", None)
        subjects = {re.search(rb"letter\d+", item[1])[0] for item in reader.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(item, tuple)}
        assert len(subjects) == 20
        again = demo.imap("jack")
        again.select()
        assert [int(line.split()[2].rstrip(b")")) for line in again.fetch("1:*", "(UID)")[1]] == uids
    finally:
        assert demo.stop() == 0


def test_a_file_system_that_takes_nothing(place):
    names = three(place)
    root = place.box.root
    place.remount("ro")
    try:
        reader = place.demo.imap("jack")
        assert reader.select()[0] == "OK" and place.subjects(reader) == set(names)
        status, said = reader.append("INBOX", None, None, b"Subject: no\r\n\r\nno\r\n")
        assert status == "NO" and str(root).encode() not in said[0]
        reader.store("1", "+FLAGS", r"(\Flagged)")
        place.demo.send(letter("waits"), to="jack@example.com")
        place.named(str(root), "Read-only file system")
        assert place.demo.imap("jill").select()[0] == "OK"
    finally:
        place.remount("rw")
    wait_for(lambda: place.demo.count("waits", "jack"), 60)


def test_a_file_system_that_is_full(place):
    names, root = three(place), place.box.root
    fills = place.top / "fills"
    fd = os.open(fills, os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError):
        while True:
            os.write(fd, b"x" * 4096)
    os.close(fd)
    status, said = place.reader.append("INBOX", None, None, b"Subject: no\r\n\r\n" + b"x\r\n" * 4000)
    assert status == "NO" and str(root).encode() not in said[0], said
    assert place.subjects() == set(names)
    assert not list((root / "tmp").iterdir()), "what could not be written is taken away"
    place.demo.send(letter("waits", "y\n" * 60000), to="jack@example.com")
    place.named(str(root), "No space left on device")
    assert place.reader.store("1", "+FLAGS", r"(\Flagged)")[0] == "OK"
    fills.unlink()
    wait_for(lambda: place.demo.count("waits", "jack"), 60)
    wait_for(lambda: any("F" in flags for flags in place.box.flags()))


def test_a_place_that_cannot_be_reached_any_more_is_named_in_the_log_alone(place):
    names = three(place)
    above = place.box.root.parent
    st = above.stat()
    os.chown(above, 0, 0)
    above.chmod(0o700)
    for keeper in [p for p in place.demo.processes() if p["role"] == "keeper"]:
        os.kill(keeper["pid"], signal.SIGKILL)          # what it has open it would go on using
    try:
        wait_for(lambda: all(p["state"] == "working" for p in place.demo.processes()))
        place.demo.send(letter("waits"), to="jack@example.com")
        place.named(str(place.box.root))
        with pytest.raises((imaplib.IMAP4.error, OSError)) as said:
            reader = place.demo.imap("jack")
            assert reader.select()[0] == "OK"
        print(place.demo.log()[-3000:], said.value, place.demo.command("queue", "list", "--json").stdout)
        assert str(place.top) not in str(said.value)
    finally:
        os.chown(above, st.st_uid, st.st_gid)
        above.chmod(st.st_mode & 0o777)
    wait_for(lambda: place.demo.count("waits", "jack"), 60)
    reader = place.demo.imap("jack")
    reader.select()
    assert set(names) <= place.subjects(reader)
