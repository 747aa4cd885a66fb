# SPDX-License-Identifier: ISC
"""Mailboxes that other programs read and write: Maildir++ and mbox, and the way from one to another."""

import imaplib
import json
import mailbox
import os
import pathlib
import poplib
import pwd
import re
import signal
import smtplib
import ssl
import subprocess
import threading

import pytest

from kit import BINARY, Demo, letter, open_to_all, wait_for, word

BODY = "From: eva@example.org\nTo: jack@example.com\nSubject: %s\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n\nFrom here\nend\n"


def demo_with(tmp_path, *lines):
    demo = Demo(tmp_path / "demo").start()
    demo.stop()
    with open(demo.config, "a") as f:
        f.write("".join(line + "\n" for line in lines))
    return demo.start()


class Folders:
    """What another program does, as the owner of the place."""

    def __init__(self, root):
        self.root = pathlib.Path(root)

    def own(self, path):
        st = os.stat(self.root)
        os.chown(path, st.st_uid, st.st_gid)


class Maildir(Folders):
    location = "maildir:%s/%%d/%%n"

    def __init__(self, root):
        super().__init__(root / "example.com/jack")

    def add(self, subject, name=None):
        name = name or f"1700000000.{word()}.elsewhere"
        path = self.root / "tmp" / name
        path.write_text(BODY % subject)
        self.own(path)
        path.rename(self.root / "new" / name)
        return name

    def flags(self):
        return sorted(p.name.partition(":2,")[2] for p in (self.root / "cur").iterdir())

    def reply(self, name):
        [now] = self.root.glob(f"*/{name}*")
        now.rename(self.root / "cur" / f"{name}:2,RS")

    def remove(self, name):
        [now] = self.root.glob(f"*/{name}*")
        now.unlink()

    def count(self):
        return sum(1 for part in ("new", "cur") for _ in (self.root / part).iterdir())


class Mbox(Folders):
    location = "mbox:%s/%%d/%%n"

    def __init__(self, root):
        super().__init__(root / "example.com/jack")
        self.inbox = self.root / "inbox"

    def change(self, what):
        box = mailbox.mbox(self.inbox)
        box.lock()
        try:
            what(box)
            box.flush()
        finally:
            box.unlock()
            box.close()
        self.own(self.inbox)

    def add(self, subject):
        self.change(lambda box: box.add(BODY % subject))
        return subject

    def key(self, box, subject):
        return next(k for k in box.keys() if box[k]["Subject"] == subject)

    def flags(self):
        return sorted(m.get_flags().replace("O", "") for m in mailbox.mbox(self.inbox))

    def reply(self, subject):
        def change(box):
            key = self.key(box, subject)
            m = box[key]
            m.set_flags("ROA")
            box[key] = m
        self.change(change)

    def remove(self, subject):
        self.change(lambda box: box.remove(self.key(box, subject)))

    def count(self):
        return len(mailbox.mbox(self.inbox))


@pytest.fixture(params=[Maildir, Mbox])
def place(request, tmp_path):
    root = tmp_path / "outside"
    demo = demo_with(tmp_path, "mail_location = " + request.param.location % root,
                     f"mail_location_directories = {tmp_path}/other")
    demo.imap("jack").logout()
    yield demo, request.param(root), tmp_path
    demo.stop()


def fetched(box, what="(UID FLAGS)"):
    lines = box.fetch("1:*", what)[1]
    return [line[0] if isinstance(line, tuple) else line for line in lines if line not in (b")", None)]


def test_two_write_into_one_mailbox(place):
    demo, folders, _ = place
    box = demo.imap("jack")
    assert box.select()[1] == [b"0"]
    name = folders.add("one")
    box.noop()
    assert b"UID 1 " in fetched(box)[0]
    whole = box.fetch("1", "(BODY.PEEK[])")[1][0][1]
    assert whole == (BODY % "one").replace("\n", "\r\n").encode()
    demo.send(letter("two", to="jack@example.com"), to="jack@example.com")
    wait_for(lambda: (box.noop(), len(fetched(box)))[1] == 2)
    wait_for(lambda: folders.count() == 2)          # the letter is told while its file is being made safe
    folders.reply(name)
    box.noop()
    assert rb"\Answered" in fetched(box)[0] and rb"\Seen" in fetched(box)[0]
    box.store("2", "+FLAGS", r"(\Flagged word)")
    assert wait_for(lambda: any("F" in f for f in folders.flags()))
    folders.remove(name)
    box.noop()
    assert len(fetched(box)) == 1 and b"UID 2 " in fetched(box)[0] and b"word" in fetched(box)[0]
    box.store("1", "+FLAGS", r"\Deleted")
    box.expunge()
    wait_for(lambda: folders.count() == 0)
    demo.stop()
    demo.start()
    box = demo.imap("jack")
    assert box.select()[1] == [b"0"]


def state(demo):
    box = demo.imap("jack")
    all_of = {}
    for line in box.list()[1]:
        name = line.decode().split(' "/" ')[1]
        if b"Noselect" in line:
            continue
        count = int(box.select(name, readonly=True)[1][0])
        items = "(UID FLAGS INTERNALDATE RFC822.SIZE EMAILID THREADID SAVEDATE ENVELOPE BODYSTRUCTURE BODY.PEEK[])"
        said = box.fetch("1:*", items)[1] if count else []
        all_of[name] = box.response("UIDVALIDITY")[1], [
            [re.sub(rb" ?\\Recent", b"", part) for part in one] if isinstance(one, tuple) else one for one in said]
    all_of[""] = sorted(box.lsub()[1])
    box.logout()
    return all_of


def test_a_delete_the_directory_refuses_keeps_what_is_selected(tmp_path):
    demo = demo_with(tmp_path, f"mail_location = mbox:{tmp_path}/outside/%n")
    root = tmp_path / "outside/jack"
    try:
        box = demo.imap("jack")
        box.create("Kept")
        assert box.append("Kept", None, None, (BODY % "kept").replace("\n", "\r\n").encode())[0] == "OK"
        assert box.select("Kept")[1] == [b"1"]
        root.chmod(0o500)
        assert box.delete("Kept")[0] == "NO"
        assert box.fetch("1", "(UID)") == ("OK", [b"1 (UID 1)"])
        root.chmod(0o700)
        assert box.delete("Kept")[0] == "OK"
        with pytest.raises(imaplib.IMAP4.error):
            box.fetch("1", "(UID)")
    finally:
        root.chmod(0o700)
        demo.stop()


@pytest.mark.parametrize("renamed", [False, True])
def test_what_has_others_below_it_becomes_a_directory_of_mboxes(tmp_path, renamed):
    """Whichever was made first; and never with letters of its own, which would be lost."""
    demo = demo_with(tmp_path, f"mail_location_directories = {tmp_path}/other")
    to = f"mbox:{tmp_path}/other/%n"
    convert = lambda: demo.command("mailbox", "convert", "jack@example.com", "--to", to, check=False)
    text = (BODY % "kept").replace("\n", "\r\n").encode()
    try:
        box = demo.imap("jack")
        for name in ("kid", "par") if renamed else ("par", "par/kid"):
            assert box.create(name)[0] == "OK"
        if renamed:
            assert box.rename("kid", "par/kid")[0] == "OK"
        assert box.append("par/kid", None, None, text)[0] == "OK"
        assert box.append("par", None, None, text)[0] == "OK"
        box.logout()
        refused = convert()
        assert refused.returncode == 1 and "a mailbox with others below it cannot be an mbox file" in refused.stderr, refused.stderr
        box = demo.imap("jack")
        assert box.select("par/kid")[1] == [b"1"] and box.select("par")[1] == [b"1"]
        box.store("1", "+FLAGS", r"\Deleted")
        box.expunge()
        box.logout()
        done = convert()
        assert done.returncode == 0, done.stderr
        assert [m["Subject"] for m in mailbox.mbox(tmp_path / "other/jack/par/kid", create=False)] == ["kept"]
        box = demo.imap("jack")
        assert box.select("par/kid")[1] == [b"1"]
        assert any(b"HasChildren" in line and line.endswith(b" par") for line in box.list()[1])
    finally:
        demo.stop()


def test_an_account_moves_and_its_readers_see_no_difference(place):
    demo, folders, tmp_path = place
    box = demo.imap("jack")
    for i in range(20):
        text = (BODY % f"letter {i}" + "x" * (i * 977)).replace("\n", "\r\n").encode()
        assert box.append("INBOX", r"(\Seen kw%d)" % (i % 3) if i % 2 else "",
                          '"%02d-Feb-2020 01:02:03 +0100"' % (i + 1), text)[0] == "OK"
    box.create("Kept")
    box.select()
    box.copy("3:9", "Kept")
    box.store("5:8", "+FLAGS", r"\Flagged")
    box.logout()
    before = state(demo)
    for to in ("log", f"maildir:{tmp_path}/other/a/%n", f"mbox:{tmp_path}/other/b/%n", f"maildir:{tmp_path}/other/c/%n"):
        said = demo.command("mailbox", "convert", "jack@example.com", "--to", to).stdout
        assert f"{27 + (to != 'log')} messages converted" in said
        assert state(demo) == before, to
        if to == "log":
            demo.send(letter("delivered", to="jack@example.com"), to="jack@example.com")
            demo.find("delivered", "jack")
            before = state(demo)
    demo.command("store", "check")


@pytest.mark.parametrize("kind", ["maildir:%s", "maildir:%s:LAYOUT=fs", "mbox:%s"])
def test_a_place_where_letters_lie_is_not_moved_into(tmp_path, kind):
    """What an earlier stay left there, or another program, would come in beside what is converted."""
    demo = demo_with(tmp_path, f"mail_location_directories = {tmp_path}/other")
    to = kind % f"{tmp_path}/other/%n"
    convert = lambda where: demo.command("mailbox", "convert", "jack@example.com", "--to", where, check=False)
    try:
        box = demo.imap("jack")
        box.create("Kept")
        assert box.append("Kept", r"(\Seen)", None, (BODY % "one").replace("\n", "\r\n").encode())[0] == "OK"
        box.logout()
        before = state(demo)
        assert convert(to).returncode == 0 and convert("log").returncode == 0
        refused = convert(to)
        assert refused.returncode == 1 and "letters lie there already" in refused.stderr
        assert state(demo) == before
        (tmp_path / "other/jack").rename(tmp_path / "other/before")
        assert convert(to).returncode == 0 and state(demo) == before
    finally:
        demo.stop()


def test_a_move_waits_for_the_lock_of_another_program(tmp_path):
    demo = demo_with(tmp_path, f"mail_location_directories = {tmp_path}/other")
    to, kept = f"mbox:{tmp_path}/other/%n", tmp_path / "other/jack/Kept"
    try:
        box = demo.imap("jack")
        assert box.append("INBOX", None, None, (BODY % "one").replace("\n", "\r\n").encode())[0] == "OK"
        box.create("Kept")
        box.select()
        assert box.copy("1", "Kept")[0] == "OK"
        box.logout()
        assert demo.command("mailbox", "convert", "jack@example.com", "--to", to).returncode == 0
        assert demo.command("mailbox", "convert", "jack@example.com", "--to", "log").returncode == 0
        before = state(demo)
        for path in (tmp_path / "other/jack").glob("*"):
            path.unlink() if path.is_file() else None
        lock = kept.with_name("Kept.lock")
        lock.write_text("1\n")
        asked = subprocess.Popen([BINARY, "-c", demo.config, "mailbox", "convert", "jack@example.com", "--to", to], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            asked.wait(2)
        lock.unlink()
        assert "messages converted" in asked.communicate(timeout=60)[0] and state(demo) == before
    finally:
        demo.stop()


def test_a_damaged_file_is_refused_alone(place):
    demo, folders, _ = place
    if not isinstance(folders, Maildir):
        pytest.skip("of a Maildir")
    box = demo.imap("jack")
    box.select()
    first, second = folders.add("one", "1700000001.a.b"), folders.add("two", "1700000002.c.d")
    box.noop()
    assert len(fetched(box)) == 2
    path = next(folders.root.glob(f"*/{first}*"))
    path.write_text("cut")
    assert box.fetch("1:2", "(BODY.PEEK[])")[0] == "NO"
    assert box.fetch("2", "(BODY.PEEK[])")[0] == "OK"
    assert first in demo.log()


def test_a_file_that_vanished_is_missed_alone(place):
    demo, folders, _ = place
    if not isinstance(folders, Maildir):
        pytest.skip("of a Maildir")
    box = demo.imap("jack")
    box.select()
    first, second = folders.add("one", "1700000001.a.b"), folders.add("two", "1700000002.c.d")
    box.noop()
    subjects = dict(zip(box.search(None, "ALL")[1][0].split(), fetched(box)))
    assert len(subjects) == 2
    next(folders.root.glob(f"*/{first}*")).unlink()
    status, said = box.fetch("1:2", "(BODY.PEEK[])")
    if status == "NO":                  # imaplib keeps what came before it
        assert b"EXPUNGEISSUED" in said[0] or first in demo.log()
        said = box.response("FETCH")[1]
    whole = [item[1] for item in said if isinstance(item, tuple)]
    assert len(whole) == 1 and b"Subject: two" in whole[0], (status, said)
    box.noop()
    assert len(box.search(None, "ALL")[1][0].split()) == 1, "and then it is gone"
    assert b"Subject: two" in box.fetch(box.search(None, "ALL")[1][0].split()[0], "(BODY.PEEK[])")[1][0][1]


def test_what_goes_before_the_text_index_has_read_it_is_no_fault(place):
    demo, _, _ = place
    box = demo.imap("jack")
    box.select()
    for n in range(40):
        assert box.append("INBOX", None, None, (BODY % f"letter {n}").replace("\n", "\r\n").encode())[0] == "OK"
        if n % 4 != 3:
            box.store("*", "+FLAGS", r"(\Deleted)")
            box.expunge()
    indexed = lambda: re.search(r'"letters": "(\d+)', demo.command("mailbox", "index", "jack@example.com", "--json").stdout)
    wait_for(lambda: (found := indexed()) and int(found[1]) >= 10)
    assert "has no digest" not in demo.log()


def test_a_file_of_somebody_else_is_shown_when_everybody_may_read_it_and_named_when_not(place):
    demo, folders, tmp_path = place
    if not isinstance(folders, Maildir) or os.getuid() != 0:
        pytest.skip("of a Maildir, and root alone gives files away")
    other = pwd.getpwnam("nobody").pw_uid
    for name, mode in (("1700000001.open", 0o644), ("1700000002.shut", 0o640)):
        path = folders.root / "new" / name
        path.write_text(BODY % name)
        os.chown(path, other, os.stat(folders.root).st_gid)
        path.chmod(mode)
    box = demo.imap("jack")
    box.select()
    assert len(fetched(box)) == 1
    assert b"1700000001.open" in box.fetch("1", "(BODY.PEEK[])")[1][0][1]
    wait_for(lambda: re.search(r"new/1700000002.shut cannot be read: .*chown", demo.log()))
    # It is renamed and copied as any other; the copy is ours.
    assert box.store("1", "+FLAGS", r"\Flagged")[0] == "OK"
    wait_for(lambda: folders.flags() == ["F"])
    assert box.create("Copies")[0] == "OK" and box.copy("1", "Copies")[0] == "OK"
    wait_for(lambda: [p.stat().st_uid for p in (folders.root / ".Copies/cur").iterdir()] == [os.stat(folders.root).st_uid])
    assert box.select("Copies")[1] == [b"1"]
    assert b"1700000001.open" in box.fetch("1", "(BODY.PEEK[])")[1][0][1]
    os.chown(folders.root / "new/1700000002.shut", os.stat(folders.root).st_uid, -1)
    box.select()
    wait_for(lambda: (box.noop(), len(fetched(box)))[1] == 2)


def test_nothing_is_below_a_file_of_messages(place):
    """rfc9051:7.3.1 \\NoInferiors, as Dovecot says it of an mbox; a Maildir can hold both."""
    demo, folders, _ = place
    box = demo.imap("jack")
    assert box.create("one")[0] == "OK"
    [said] = box.list('""', "one")[1]
    below = box.create("one/two")
    if isinstance(folders, Maildir):
        assert said == rb'(\HasNoChildren) "/" one' and below[0] == "OK"
    else:
        assert said == rb'(\NoInferiors) "/" one'
        assert below == ("NO", [b"[CANNOT] A mailbox above it holds messages, and can hold no mailboxes."])
        assert box.rename("Sent", "one/Sent")[0] == "NO"
        assert box.create("level/two")[0] == "OK"
        assert sorted(box.list('""', "level*")[1]) == [rb'(\NoInferiors) "/" level/two', rb'(\Noselect \HasChildren) "/" level']


def test_links_lead_nowhere(place):
    demo, folders, tmp_path = place
    if not isinstance(folders, Maildir):
        pytest.skip("of a Maildir")
    secret = tmp_path / "secret"
    secret.write_text(BODY % "secret")
    secret.chmod(0o644)
    os.symlink(secret, folders.root / "new" / "1700000003.link")
    os.symlink(tmp_path, folders.root / ".Out")
    folders.add("real")
    box = demo.imap("jack")
    box.select()
    assert len(fetched(box)) == 1
    assert not any(b"Out" in line for line in box.list()[1])


def test_what_dovecot_called_them(tmp_path):
    """uids, uidvalidity, keywords and subscriptions of a Maildir somebody else served before"""
    root = tmp_path / "outside/example.com/jack"
    for folder in ("", ".Work.2026"):
        for part in ("tmp", "new", "cur"):
            (root / folder / part).mkdir(parents=True)
    for name in ("1700000002.c.d:2,S", "1700000001.a.b:2,Fa"):
        (root / "cur" / name).write_text(BODY % name)
    (root / "dovecot-uidlist").write_text("3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n"
                                          "25006 :1700000001.a.b\n25010 W2481 :1700000002.c.d,S=9:2,S\n")
    (root / "dovecot-uidlist").write_text((root / "dovecot-uidlist").read_text().replace(",S=9", ""))
    (root / "dovecot-keywords").write_text("0 $Label1\n")
    (root / "subscriptions").write_text("V\t2\n\nWork\t2026\n")
    subprocess.run(["chmod", "-R", "a+rwX", tmp_path / "outside"], check=True)
    demo = demo_with(tmp_path, f"mail_location = maildir:{tmp_path}/outside/%d/%n")
    keeper = next(p for p in demo.processes() if p["role"] == "keeper")
    if os.geteuid() == 0:
        owner = os.stat(f"/proc/{keeper['pid']}")
        subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", tmp_path / "outside"], check=True)
    try:
        box = demo.imap("jack")
        box.select()
        assert box.response("UIDVALIDITY")[1] == [b"1275660208"]
        said = fetched(box)
        assert b"UID 25006 " in said[0] and b"$Label1" in said[0] and rb"\Flagged" in said[0]
        assert b"UID 25010 " in said[1] and rb"\Seen" in said[1]
        assert any(b"Work/2026" in line for line in box.lsub()[1])
    finally:
        demo.stop()


def test_a_letter_comes_before_its_reader(tmp_path):
    """It is the first that is said of the Maildir somebody else served: it waits until the others have their uids."""
    open_to_all(tmp_path)
    root = tmp_path / "outside/example.com/jack"
    for part in ("tmp", "new", "cur"):
        (root / part).mkdir(parents=True)
    names = [f"17000000{n:02}.a.b" for n in range(1, 41)]
    for name in names:
        (root / "cur" / f"{name}:2,S").write_text(BODY % name)
    (root / "dovecot-uidlist").write_text("3 V1275660208 N50\n" + "".join(f"{uid} :{name}\n" for uid, name in enumerate(names, 1)))
    demo = demo_with(tmp_path, f"mail_location = maildir:{tmp_path}/outside/%d/%n")
    try:
        if os.geteuid() == 0:
            keeper = next(p for p in demo.processes() if p["role"] == "keeper")
            owner = os.stat(f"/proc/{keeper['pid']}")
            subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", tmp_path / "outside"], check=True)
        subject = word()
        demo.send(letter(subject, to="jack@example.com"), sender="jill@example.com", to="jack@example.com")
        demo.find(subject, "jack")
        box = demo.imap("jack")
        box.select()
        uids = [int(re.search(rb"UID (\d+)", line).group(1)) for line in fetched(box)]
        assert uids == [*range(1, 41), 50]
    finally:
        demo.stop()


@pytest.mark.parametrize("line, right", [
    ("mail_location = mailbox:/var/mail", "maildir:/var/vmail/%d/%n"),
    ("mail_location = maildir:~/Maildir", "mail_home"),
    ("mail_location = maildir:/var/vmail/%x", "%n"),
    ("mail_location = maildir:/v/%n:LAYOUT=index", "LAYOUT=maildir++ and LAYOUT=fs"),
    ("mail_location = maildir:/v/%n:CONTROL=/c/%n", "leave it out"),
    ("mbox_write_locks = lockf", "dotlock"),
])
def test_a_bad_location_is_refused_with_what_would_be_right(tmp_path, line, right):
    (tmp_path / "main.cf").write_text(f"mail_directory = {tmp_path}/mail\n{line}\n")
    done = subprocess.run([BINARY, "-c", tmp_path / "main.cf", "config", "check"], capture_output=True, text=True)
    assert done.returncode != 0 and right in done.stderr + done.stdout


def test_a_domain_and_an_account_say_where(tmp_path):
    demo = demo_with(tmp_path, f"mail_location_directories = {tmp_path}/other")
    other = tmp_path / "other"
    try:
        demo.imap("ataylor").append("INBOX", None, None, (BODY % "before").replace("\n", "\r\n").encode())
        said = demo.command("domain", "set", "example.com", "--mail-location", f"maildir:{other}/%d/%n").stdout
        assert "mailbox convert" in said
        refused = demo.command("account", "set", "jsmith@example.com", "--mail-location", "maildir:/etc/%n", check=False)
        assert refused.returncode == 1 and "mail_location_directories" in refused.stderr
        refused = demo.command("account", "set", "jsmith@example.com", "--mail-location", f"maildir:{other}x/%n", check=False)
        assert refused.returncode == 1
        refused = demo.command("domain", "set", "example.com", "--mail-location", f"mailbox:{other}", check=False)
        assert refused.returncode == 1 and "maildir:/var/vmail/%d/%n" in refused.stderr
        assert demo.command("account", "set", "jsmith@example.com", "--quota-storage", "1G", "--quota-messages", "100",
                            "--mail-location", f"mbox:{other}/mbox/%n").stdout == ""
        for who in "jack", "jsmith", "ataylor":
            demo.send(letter("placed", to=f"{who}@example.com"), to=f"{who}@example.com")
            demo.find("placed", who)
        assert (other / "example.com/jack/new").is_dir()
        assert b"placed" in (other / "mbox/jsmith/inbox").read_bytes()
        assert not (other / "example.com/ataylor").exists()
        said = demo.command("account", "set", "ataylor@example.com", "--mail-location", f"maildir:{other}/%d/%n").stdout
        assert f"mailbox convert ataylor@example.com --to 'maildir:{other}/%d/%n'" in said
        demo.command("mailbox", "convert", "ataylor@example.com", "--to", f"maildir:{other}/%d/%n")
        said = demo.command("account", "set", "ataylor@example.com", "--mail-location", f"maildir:{other}/%d/%n").stdout
        assert said == "" and demo.count("before", "ataylor") == 1
        demo.command("domain", "set", "example.com", "--mail-location", "default")
        demo.stop()
        demo.start()
        assert demo.count("placed", "jsmith") == 1
    finally:
        demo.stop()


def test_what_was_cut_off_is_not_copied(place):
    demo, folders, _ = place
    if not isinstance(folders, Maildir):
        pytest.skip("in an mbox that is another letter")
    box = demo.imap("jack")
    box.select()
    whole, cut = folders.add("whole"), folders.add("cut")
    box.noop()
    assert len(fetched(box)) == 2
    [path] = folders.root.glob(f"*/{cut}*")
    os.truncate(path, 60)
    [at] = box.search(None, "SUBJECT", "cut")[1][0].split()
    [other] = box.search(None, "SUBJECT", "whole")[1][0].split()
    for command in (box.copy, lambda which, where: box._simple_command("MOVE", which, where)):
        kind, words = command(at.decode(), "Trash")
        assert kind == "NO", words
    assert box.copy(other.decode(), "Trash")[0] == "OK"
    assert box.select("Trash")[1] == [b"1"]
    assert cut in demo.log()


def test_a_wide_copy_lets_others_have_their_turns(place):
    """Counted, not timed: another session of the same keeper is answered again and again while the copy goes on."""
    demo, folders, _ = place
    box, other = demo.imap("jack"), demo.imap("jack")
    box.select()
    other.select("Sent")
    for half in range(10):
        kind, words = box.append("INBOX", r"(\Seen)" if half % 2 else None, None, (BODY % f"letter {half}").encode()) if half == 0 else \
            box.copy("1:*", "INBOX")
        assert kind == "OK", words
        box.noop()
    assert len(box.search(None, "ALL")[1][0].split()) == 512
    box.create("Kept")
    tag = box._new_tag()
    box.send(tag + b" COPY 1:* Kept\r\n")
    answered = 0
    box.sock.setblocking(False)
    said = b""
    while tag not in said:
        assert other.noop()[0] == "OK"
        answered += 1
        try:
            said += box.sock.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
    assert answered >= 3
    box.sock.setblocking(True)
    assert b" OK [COPYUID " in said and b" 1:512 1:512]" in said, said
    assert other.select("Kept")[1] == [b"512"]
    assert len(other.search(None, "UID", "1:512")[1][0].split()) == 512
    kind, words = box._simple_command("MOVE", "1:*", "Trash")
    assert kind == "OK", words
    assert box.select("INBOX")[1] == [b"0"] and box.select("Trash")[1] == [b"512"]
    demo.stop()
    demo.start()
    box = demo.imap("jack")
    assert [box.select(name)[1] for name in ("INBOX", "Trash", "Kept")] == [[b"0"], [b"512"], [b"512"]]


def far_club(demo):
    """Jill's mailbox lies in the letter log, and jack may do there what he likes."""
    demo.command("account", "set", "jill@example.com", "--mail-location", "log")
    jill = demo.imap("jill")
    assert jill.create("Club")[0] == "OK"
    assert jill.setacl("Club", "jack@example.com", "lrswipkxte")[0] == "OK"
    return jill


def subjects(box, mailbox):
    """{subject: its flags}"""
    kind, [count] = box.select(mailbox, readonly=True)
    assert kind == "OK", count
    found = {}
    if count != b"0":
        for head, body in (d for d in box.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1] if isinstance(d, tuple)):
            found[re.search(rb"Subject: (.*?)\r\n", body).group(1).decode()] = re.search(rb"FLAGS \(([^)]*)\)", head).group(1).decode()
    return found


def bodies(box, which):
    return [d[1] for d in box.fetch(which, "(BODY.PEEK[])")[1] if isinstance(d, tuple)]


def test_files_move_into_the_log_of_another_account(place):
    demo, folders, _ = place
    jill = far_club(demo)
    box = demo.imap("jack")
    box.select()
    for n in range(12):
        assert box.append("INBOX", r"(\Flagged)" if n % 2 else None, None, (BODY % f"letter {n}").replace("\n", "\r\n").encode())[0] == "OK"
    box.noop()
    before = bodies(box, "1:10")
    kind, words = box._simple_command("MOVE", "1:10", '"Other Users/jill/Club"')
    assert kind == "OK", words
    there = {f"letter {n}": r"\Flagged" if n % 2 else "" for n in range(12)}
    here = {subject: there.pop(subject) for subject in ("letter 10", "letter 11")}
    for _ in range(2):
        assert {s: f.replace(r" \Recent", "").replace(r"\Recent", "") for s, f in subjects(jill, "Club").items()} == there
        assert bodies(jill, "1:*") == before
        assert {s: f.replace(r" \Recent", "").replace(r"\Recent", "") for s, f in subjects(box, "INBOX").items()} == here
        wait_for(lambda: folders.count() == 2)
        demo.stop()
        demo.start()
        box, jill = demo.imap("jack"), demo.imap("jill")


def test_a_move_into_the_log_that_is_killed_loses_nothing(place):
    """Wherever the keepers died: each letter is in the one mailbox or in the other, or in both when nobody said OK."""
    demo, folders, _ = place
    far_club(demo)
    box = demo.imap("jack")
    box.select()
    all_of_them = {f"letter {n}" for n in range(40)}
    for subject in all_of_them:
        assert box.append("INBOX", None, None, (BODY % subject).replace("\n", "\r\n").encode())[0] == "OK"
    for n in range(3):
        box = demo.imap("jack")
        box.select()
        tag = box._new_tag()
        box.send(tag + b' UID MOVE 1:* "Other Users/jill/Club"\r\n')
        if n > 0:                                       # at once, and when it has begun to say something
            box.readline()
        for process in demo.processes():
            if process["role"] == "keeper":
                os.kill(process["pid"], signal.SIGKILL)
        wait_for(lambda: can_select(demo, "jack") and can_select(demo, "jill"))
        here, there = subjects(demo.imap("jack"), "INBOX"), subjects(demo.imap("jill"), "Club")
        assert here.keys() | there.keys() == all_of_them


def can_select(demo, user):
    try:
        return demo.imap(user).select()[0] == "OK"
    except (imaplib.IMAP4.error, OSError):
        return False


def put_off(demo, where, why):
    """A letter for new@example.com by LMTP waits in the queue, and nobody logs in; the log says where it cannot go, and why."""
    with smtplib.LMTP("127.0.0.1", demo.port("lmtp"), timeout=60) as lmtp:
        lmtp.sendmail("eva@example.org", ["new@example.com"], letter("waits", to="new@example.com").as_bytes())
    wait_for(lambda: re.search(rf"to=<new@example\.com>.*dsn=4\.3\.0, status=deferred \(maildir:{re.escape(str(where))}.*{why}",
                               demo.log()))
    with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
        demo.imap("new")
    pop = poplib.POP3_SSL("127.0.0.1", demo.port("pop3s"), context=demo.local(), timeout=60)
    pop.user("new@example.com")
    with pytest.raises(poplib.error_proto, match="SYS/TEMP"):
        pop.pass_(demo.password)
    pop.close()
    assert re.search(rf"new@example\.com: maildir:{re.escape(str(where))}.*{why}", demo.log())


def comes(demo, place):
    """What waited comes into the Maildir it was to come into."""
    demo.command("queue", "flush")
    assert demo.find("waits", "new")
    assert sum(1 for part in ("new", "cur") for _ in (place / part).iterdir()) == 1


def files(place):
    return sum(1 for part in ("new", "cur") for _ in (place / part).iterdir()) if place.exists() else 0


def appended(box, subject):
    return box.append("INBOX", None, None, (BODY % subject).encode())[0]


def test_who_has_an_empty_account_open_goes_on_in_its_place(tmp_path):
    """The place is set while sessions are open: nothing of theirs, and nothing that comes, is in the letter log."""
    demo = demo_with(tmp_path, f"mail_location_directories = {tmp_path}/other")
    other = tmp_path / "other"
    try:
        for user in ("one", "two", "three"):
            demo.command("account", "add", f"{user}@example.com", input=demo.password + "\n")
        boxes = {user: demo.imap(user) for user in ("one", "two", "three")}
        for box in boxes.values():
            assert box.select()[1] == [b"0"]
        # A delivery is the next that happens.
        demo.command("account", "set", "one@example.com", "--mail-location", f"maildir:{other}/first/%n")
        demo.send(letter("came", to="one@example.com"), to="one@example.com")
        wait_for(lambda: (boxes["one"].noop(), boxes["one"].search(None, "ALL")[1] == [b"1"])[1])
        assert appended(boxes["one"], "appended") == "OK"
        wait_for(lambda: files(other / "first/one") == 2)
        # One that cannot be had is nobody's: the session goes on, and in the next that can.
        (other / "shut").mkdir()
        (other / "shut").chmod(0)
        said = demo.command("account", "set", "three@example.com", "--mail-location", f"maildir:{other}/shut/%n", check=False)
        assert said.returncode == 1 and f"{other}/shut belongs to uid 0, and uid " in said.stderr and "may not make anything in it" in said.stderr
        assert boxes["three"].noop()[0] == "OK"
        demo.command("account", "set", "three@example.com", "--mail-location", f"maildir:{other}/third/%n")
        assert appended(boxes["three"], "appended") == "OK"
        wait_for(lambda: files(other / "third/three") == 1)
        box = demo.imap("three")
        assert box.select()[1] == [b"1"]
        # What the session itself does, is.
        demo.command("domain", "set", "example.com", "--mail-location", f"maildir:{other}/second/%n")
        assert appended(boxes["two"], "appended") == "OK"
        wait_for(lambda: files(other / "second/two") == 1)
    finally:
        demo.stop()


def test_who_comes_before_it_is_known_where_waits(tmp_path):
    """A keeper that has just begun has not heard from the clerk yet."""
    demo = demo_with(tmp_path, f"mail_location_directories = {tmp_path}/other")
    try:
        for n in range(4):
            demo.command("account", "add", f"u{n}@example.com", input=demo.password + "\n")
            demo.imap(f"u{n}").logout()
        demo.command("domain", "set", "example.com", "--mail-location", f"maildir:{tmp_path}/other/place/%n")
        for n in range(4):
            for p in demo.processes():
                if p["role"] == "keeper":
                    os.kill(p["pid"], signal.SIGKILL)

            def comes(n=n):
                try:
                    return appended(demo.imap(f"u{n}"), "appended") == "OK"
                except (imaplib.IMAP4.error, OSError):
                    return False
            wait_for(comes)
            wait_for(lambda n=n: files(tmp_path / f"other/place/u{n}") >= 1)
    finally:
        demo.stop()


def test_a_place_set_by_reload_is_there_after_a_restart_and_nothing_is_in_the_log(tmp_path):
    demo = Demo(tmp_path / "demo").start()
    try:
        where = tmp_path / "later"
        demo.command("config", "set", f"mail_location=maildir:{where}/%d/%n")
        said = demo.command("reload").stderr
        assert str(where) in said and "restart mansio" in said
        demo.command("account", "add", "new@example.com", input=demo.password + "\n")
        put_off(demo, where, "restart")
        assert not where.exists()
        demo.stop()
        demo.start()
        assert "restarted" not in demo.command("reload").stderr
        comes(demo, where / "example.com/new")
    finally:
        demo.stop()


def test_a_place_that_cannot_be_written_to_is_named_and_the_mail_waits(tmp_path):
    where = tmp_path / "shut"
    where.mkdir(mode=0o755)
    demo = demo_with(tmp_path, f"mail_location_directories = {where}")
    try:
        os.chown(where, 0, 0)
        where.chmod(0o755)
        demo.command("account", "add", "new@example.com", input=demo.password + "\n")
        done = demo.command("account", "set", "new@example.com", "--mail-location", f"maildir:{where}/%n", check=False)
        assert done.returncode == 1 and f"{where} belongs to uid 0, and uid " in done.stderr and "may not make anything in it" in done.stderr
        # What a domain says is not tried for each of its accounts.
        demo.command("domain", "set", "example.com", "--mail-location", f"maildir:{where}/%n")
        put_off(demo, where, "may not make anything in it")
        where.chmod(0o777)
        comes(demo, where / "new")
    finally:
        demo.stop()


def test_a_place_that_cannot_be_had_is_not_kept(tmp_path):
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o755)
    demo = demo_with(tmp_path, f"mail_location_directories = {shut} {tmp_path}/other")
    try:
        refused = demo.command("account", "set", "jack@example.com", "--quota-messages", "7", "--mail-location", f"maildir:{shut}/%n", check=False)
        assert refused.returncode == 1 and "nothing was changed" in refused.stderr and f"{shut}" in refused.stderr
        assert demo.command("account", "show", "jack@example.com").stdout.rstrip().endswith(" mail_location=log")
        box = demo.imap("jack")
        assert box.select()[0] == "OK" and box.append("INBOX", None, None, (BODY % "kept").replace("\n", "\r\n").encode())[0] == "OK"
        box.logout()
        assert not list(shut.iterdir())
        unknown = demo.command("account", "set", "nobody@example.com", "--mail-location", f"maildir:{tmp_path}/other/%n", check=False)
        assert unknown.returncode != 0 and "nobody@example.com" in unknown.stderr
        # What would be done of these words is not half done, nor twice.
        mixed = demo.command("account", "set", "jack@example.com", "enabled", "no", "--mail-location", f"maildir:{tmp_path}/other/%n", check=False)
        assert mixed.returncode == 2 and "usage: mansio account set" in mixed.stderr
        assert " enabled=yes " in demo.command("account", "show", "jack@example.com").stdout
    finally:
        demo.stop()


def test_where_letters_lie_is_told_after_they_moved(tmp_path):
    """A backup by the path that is told must have the mail that is read."""
    demo = demo_with(tmp_path, f"mail_location = maildir:{tmp_path}/first/%n", f"mail_location_directories = {tmp_path}/other")
    path = lambda: demo.command("doveadm", "mailbox", "path", "-u", "jack@example.com", "INBOX", check=False)
    shown = lambda: json.loads(demo.command("account", "show", "jack@example.com", "--json").stdout)[0]["mail_location"]
    new = f"maildir:{tmp_path}/other/%n"
    try:
        demo.imap("jack").append("INBOX", None, None, (BODY % "one").replace("\n", "\r\n").encode())
        assert path().stdout.strip() == f"{tmp_path}/first/jack" and shown() == f"maildir:{tmp_path}/first/%n"
        demo.command("mailbox", "convert", "jack@example.com", "--to", new)
        for _ in range(2):
            assert path().stdout.strip() == f"{tmp_path}/other/jack"
            assert [m["Subject"] for m in mailbox.Maildir(path().stdout.strip())] == ["one"]
            assert shown() == f"maildir:{tmp_path}/other/jack"
            assert demo.command("account", "show", "jack@example.com").stdout.endswith(f" mail_location=maildir:{tmp_path}/other/jack\n")
            demo.stop()
            demo.start()
        demo.command("account", "set", "jack@example.com", "--mail-location", new)
        assert shown() == new
        demo.command("mailbox", "convert", "jack@example.com", "--to", "log")
        assert shown() == "log" and path().returncode != 0
        assert demo.command("account", "show", "jsmith@example.com").stdout.endswith(f" mail_location=maildir:{tmp_path}/first/%n\n"), "no mail yet"
    finally:
        demo.stop()


def test_a_move_that_fails_says_of_what(tmp_path):
    demo = demo_with(tmp_path, f"mail_location = maildir:{tmp_path}/first/%n", f"mail_location_directories = {tmp_path}/other")
    convert = lambda where: demo.command("mailbox", "convert", "jack@example.com", "--to", where, check=False)
    try:
        box = demo.imap("jack")
        box.create("Kept")
        for subject in "one", "two":
            assert box.append("Kept", None, None, (BODY % subject).replace("\n", "\r\n").encode())[0] == "OK"
        box.logout()
        refused = convert(f"maildir:{tmp_path}/elsewhere/%n")
        assert refused.returncode == 1 and f"{tmp_path}/elsewhere/jack" in refused.stderr and "mail_location_directories" in refused.stderr
        damaged = sorted((tmp_path / "first/jack/.Kept").glob("[cn][ue][rw]/*"))[0]
        whole, owner = damaged.read_text(), damaged.stat()
        damaged.write_text("cut")
        for to in (f"maildir:{tmp_path}/other/%n", "log"):
            refused = convert(to)
            assert refused.returncode == 1 and "mailbox Kept" in refused.stderr and f"{damaged}; bring it back" in refused.stderr, refused.stderr
        damaged.write_text(whole)
        os.utime(damaged, ns=(owner.st_atime_ns, owner.st_mtime_ns))
        assert "2 messages converted" in convert("log").stdout
    finally:
        demo.stop()
