# SPDX-License-Identifier: ISC
"""One Maildir and one mbox, and other programs in it at the same time: Dovecot, mutt, s-nail, procmail, maildrop,
mbsync."""

import imaplib
import os
import pathlib
import poplib
import re
import shlex
import shutil
import subprocess
import threading

import pytest

from kit import letter, open_to_all, wait_for, word
from test_outside import BODY, Maildir, Mbox, demo_with

IMAP = "/usr/lib/dovecot/imap"
MAILDROP = shutil.which("maildrop")


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"no {program} here")


class Dovecot(imaplib.IMAP4_stream):
    """Its imap process over a place, as the place's owner."""

    def __init__(self, folder, location, owner, more=""):
        folder.mkdir(exist_ok=True)
        open_to_all(folder)
        if os.getuid() == 0:
            os.chown(folder, owner.st_uid, owner.st_gid)
        config = folder / "dovecot.conf"
        config.write_text(
            f"protocols = imap\nssl = no\nbase_dir = {folder}/run\nstate_dir = {folder}/state\nlog_path = {folder}/log\n"
            f"mail_location = {location}\nmail_uid = {owner.st_uid}\nmail_gid = {owner.st_gid}\n"
            "mbox_read_locks = fcntl\nmbox_write_locks = dotlock fcntl\nmbox_lazy_writes = no\nmbox_min_index_size = 0\n"
            f"first_valid_uid = 0\nfirst_valid_gid = 0\nmail_home = {folder}\n{more}")
        super().__init__(f"exec env USER=jack HOME={folder} {IMAP} -c {config} 2>>{folder}/errors")


@pytest.fixture(params=[Maildir, Mbox])
def place(request, tmp_path):
    open_to_all(tmp_path)
    root = tmp_path / "outside"
    demo = demo_with(tmp_path, "mail_location = " + request.param.location % root)
    demo.imap("jack").logout()
    yield demo, request.param(root), tmp_path
    demo.stop()


def dovecot(folders, tmp_path):
    if not os.access(IMAP, os.X_OK):
        pytest.skip("no Dovecot here")
    location = f"maildir:{folders.root}" if isinstance(folders, Maildir) else f"mbox:{folders.root}:INBOX={folders.inbox}"
    return Dovecot(tmp_path / "dovecot", location, os.stat(folders.root))


def ask(box, what):
    kind, data = what
    assert kind == "OK", data
    return data


def text_of(subject):
    return (BODY % subject).replace("\n", "\r\n").encode()


def look(box):
    """What others did is seen.  In an mbox that grew Dovecot looks for changed flags only when it is to CHECK
    (its mbox_dirty_syncs)."""
    ask(box, box.check() if isinstance(box, Dovecot) else box.noop())


def mails(box):
    """{subject: its flags} of the mailbox that is selected, as it is now."""
    look(box)
    found = {}
    if ask(box, box.search(None, "ALL"))[0]:
        for head, body in (d for d in ask(box, box.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")) if isinstance(d, tuple)):
            flags = re.search(rb"FLAGS \(([^)]*)\)", head).group(1).split()
            subject = re.search(rb"Subject: (.*?)\r\n", body).group(1).decode()
            assert subject not in found
            found[subject] = {f.decode() for f in flags} - {r"\Recent"}
    return found


def uid_of(box, subject):
    look(box)
    return ask(box, box.uid("SEARCH", "SUBJECT", f'"{subject}"'))[0].split()[-1].decode()


def both_see(ours, theirs, wanted):
    for box in (ours, theirs):
        wait_for(lambda: mails(box) == wanted or None)


def test_dovecot_at_the_same_time(place):
    demo, folders, tmp_path = place
    ours, theirs = demo.imap("jack"), dovecot(folders, tmp_path)
    ours.create("Work")
    for box in (ours, theirs):
        ask(box, box.select())
    ask(ours, ours.append("INBOX", r"(\Flagged)", None, text_of("by us")))
    wait_for(lambda: "by us" in mails(theirs))
    ask(theirs, theirs.append("INBOX", r"(\Answered kw)", None, text_of("by them")))
    both_see(ours, theirs, {"by us": {r"\Flagged"}, "by them": {r"\Answered", "kw"}})

    ask(theirs, theirs.uid("STORE", uid_of(theirs, "by us"), "+FLAGS", r"(\Seen)"))
    both_see(ours, theirs, {"by us": {r"\Flagged", r"\Seen"}, "by them": {r"\Answered", "kw"}})
    ask(ours, ours.uid("STORE", uid_of(ours, "by them"), "+FLAGS", r"(\Draft)"))
    ask(ours, ours.uid("STORE", uid_of(ours, "by us"), "-FLAGS", r"(\Flagged)"))
    both_see(ours, theirs, {"by us": {r"\Seen"}, "by them": {r"\Answered", "kw", r"\Draft"}})

    ask(theirs, theirs.uid("MOVE", uid_of(theirs, "by them"), "Work"))
    both_see(ours, theirs, {"by us": {r"\Seen"}})
    ask(ours, ours.select("Work"))
    wait_for(lambda: "by them" in mails(ours))
    ask(ours, ours.uid("MOVE", uid_of(ours, "by them"), "INBOX"))
    ask(ours, ours.select("INBOX"))
    wait_for(lambda: len(mails(theirs)) == 2)
    both_see(ours, theirs, {"by us": {r"\Seen"}, "by them": {r"\Answered", "kw", r"\Draft"}})

    ask(ours, ours.uid("STORE", uid_of(ours, "by them"), "+FLAGS", r"(\Deleted)"))
    ask(ours, ours.expunge())
    both_see(ours, theirs, {"by us": {r"\Seen"}})
    ask(theirs, theirs.uid("STORE", uid_of(theirs, "by us"), "+FLAGS", r"(\Deleted)"))
    ask(theirs, theirs.expunge())
    both_see(ours, theirs, {})


def test_dovecot_and_we_in_turn(place):
    """Many letters, each program changing what the other left; at the end both have the same."""
    demo, folders, tmp_path = place
    ours, theirs = demo.imap("jack"), dovecot(folders, tmp_path)
    wanted = {}
    for box in (ours, theirs):
        ask(box, box.select())
    for n in range(12):
        box, other = (ours, theirs) if n % 2 else (theirs, ours)
        ask(box, box.append("INBOX", None, None, text_of(f"letter {n:02}")))
        wanted[f"letter {n:02}"] = set()
        wait_for(lambda: mails(other).keys() == wanted.keys())
        if n % 3 == 2:
            ask(other, other.uid("STORE", uid_of(other, f"letter {n - 1:02}"), "+FLAGS", r"(\Seen \Flagged)"))
            wanted[f"letter {n - 1:02}"] = {r"\Seen", r"\Flagged"}
            both_see(ours, theirs, wanted)
        if n % 4 == 3:
            ask(box, box.uid("STORE", uid_of(box, f"letter {n - 3:02}"), "+FLAGS", r"(\Deleted)"))
            ask(box, box.expunge())
            del wanted[f"letter {n - 3:02}"]
            both_see(ours, theirs, wanted)
    for box in (ours, theirs):
        for subject in wanted:
            [got] = [d[1] for d in ask(box, box.uid("FETCH", uid_of(box, subject), "(BODY.PEEK[TEXT])")) if isinstance(d, tuple)]
            # Of an mbox Dovecot shows the '>' that keeps a line from beginning a message.
            assert got.rstrip() in (b"From here\r\nend", b">From here\r\nend" if box is theirs and isinstance(folders, Mbox) else b"")


@pytest.mark.skipif(not os.access(IMAP, os.X_OK), reason="no Dovecot here")
@pytest.mark.parametrize("layout, work", [("", ".Work"), (":LAYOUT=fs", "Work")])
def test_what_dovecot_made_keeps_its_uids(tmp_path, layout, work):
    open_to_all(tmp_path)
    root = tmp_path / "outside"
    demo = demo_with(tmp_path, f"mail_location = maildir:{root}/%d/%n{layout}")
    try:
        keeper = next(p for p in demo.processes() if p["role"] == "keeper")
        owner = os.stat(f"/proc/{keeper['pid']}")
        home = root / "example.com/jack"
        home.mkdir(parents=True)
        if os.getuid() == 0:
            for path in (home.parent, home):
                os.chown(path, owner.st_uid, owner.st_gid)
        theirs, known = Dovecot(tmp_path / "dovecot", f"maildir:{home}{layout}", owner), {}
        ask(theirs, theirs.create("Work"))
        for folder in ("INBOX", "Work"):
            for n in range(8):
                flags = [None, r"(\Seen $Label1)", r"(\Flagged other)"][n % 3]
                ask(theirs, theirs.append(folder, flags, f'"{n + 1:02}-Feb-2020 01:02:03 +0000"', text_of(f"{folder} {n}")))
            ask(theirs, theirs.select(folder))
            ask(theirs, theirs.store("2,5,8", "+FLAGS", r"(\Deleted)"))
            ask(theirs, theirs.expunge())
        ask(theirs, theirs.subscribe("Work"))

        def told(box):
            out = {}
            for folder in ("INBOX", "Work"):
                ask(box, box.select(folder, readonly=True))
                status = ask(box, box.status(folder, "(UIDNEXT UIDVALIDITY MESSAGES)"))[0]
                out[folder] = sorted(re.findall(rb"(\w+) (\d+)", status.partition(b"(")[2])), [
                    (re.search(rb"UID (\d+)", head).group(1), re.search(rb'INTERNALDATE "([^"]*)"', head).group(1),
                     set(re.search(rb"FLAGS \(([^)]*)\)", head).group(1).split()) - {rb"\Recent"}, body)
                    for head, body in (d for d in ask(box, box.fetch("1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")) if isinstance(d, tuple))]
            out[""] = sorted(re.findall(rb"(\S+)$", line)[0] for line in box.lsub()[1])
            return out
        known = told(theirs)
        theirs.logout()
        for folder in ("", work):   # a delivery program's, after Dovecot's last look
            for n in range(2):
                fresh = home / folder / "new" / f"160000000{n}.M{n}P1.elsewhere"
                fresh.write_text(BODY % f"{folder} fresh {n}")
                os.utime(fresh, (1600000000 + n, 1600000000 + n))
                if os.getuid() == 0:
                    os.chown(fresh, owner.st_uid, owner.st_gid)
        # What Dovecot itself makes of them, in a place that is the same.
        shutil.copytree(home, tmp_path / "same", copy_function=shutil.copy2)
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", tmp_path / "same"], check=True)
        theirs = Dovecot(tmp_path / "dovecot", f"maildir:{tmp_path}/same{layout}", owner)
        before, known = known, told(theirs)
        theirs.logout()
        for folder in ("INBOX", "Work"):
            assert known[folder][1][:-2] == before[folder][1] and len(known[folder][1]) == len(before[folder][1]) + 2
        ours = told(demo.imap("jack"))
        assert b"Work" in ours[""]
        assert {k: v for k, v in ours.items() if k} == {k: v for k, v in known.items() if k}
    finally:
        demo.stop()


def names_of(box):
    """Every mailbox that can be selected."""
    return sorted(re.search(rb'"/" "?([^"]*)"?$', line)[1].decode() for line in ask(box, box.list()) if b"Noselect" not in line and b"NonExist" not in line)


@pytest.mark.skipif(not os.access(IMAP, os.X_OK), reason="no Dovecot here")
def test_directories_in_directories(tmp_path):
    """LAYOUT=fs: each makes, moves and removes folders, and the other sees the same, with the letters in them."""
    open_to_all(tmp_path)
    root = tmp_path / "outside"
    demo = demo_with(tmp_path, f"mail_location = maildir:{root}/%d/%n:LAYOUT=fs:INDEX=MEMORY")
    ours = demo.imap("jack")
    try:
        home = root / "example.com/jack"
        # With its index of mailboxes it does not look whether others made or moved directories.
        theirs = Dovecot(tmp_path / "dovecot", f"maildir:{home}:LAYOUT=fs", os.stat(home), "mailbox_list_index = no\n")

        def same():
            wait_for(lambda: names_of(ours) == names_of(theirs))
            for name in names_of(ours):
                mine, others = (ask(box, box.status(f'"{name}"', "(MESSAGES UIDNEXT UNSEEN)"))[0].partition(b"(")[2] for box in (ours, theirs))
                assert sorted(re.findall(rb"(\w+) (\d+)", mine)) == sorted(re.findall(rb"(\w+) (\d+)", others)), name

        made = ["Work", "Work/Sub", "Work/Sub/deep", "a.b", ".dot", "New", "Entw&APw-rfe", "INBOX/child", "only", "only/below"]
        for n, name in enumerate(made):
            box = (ours, theirs)[n % 2]
            ask(box, box.create(name))
            ask(box, box.append(name, None, None, text_of(f"in {name}".replace("&", "and"))))
        ask(theirs, theirs.append("INBOX", r"(\Seen)", None, text_of("in the root")))
        for box in (ours, theirs):
            for name in ("cur", "x/new", "tmp/x"):
                assert box.create(name)[0] == "NO", name
        # Where there is a directory of such a name Dovecot cannot open the mailbox above it any more.
        for name in ("subscriptions", "dovecot-uidlist", "Task/dovecot.index.log", "x/dovecot-keywords/y", "maildirfolder"):
            assert ours.create(name)[0] == "NO", name
            assert ours.rename("New", name)[0] == "NO", name
        assert not (home / "x").exists()
        ask(ours, ours.create("Dovecot-talk/subscriptions"))
        same()
        ask(ours, ours.rename("Work", "Job"))
        same()
        assert {"Job", "Job/Sub", "Job/Sub/deep"} <= set(names_of(theirs)) and not (home / "Work").exists()
        ask(theirs, theirs.rename("Job", "Task"))
        same()
        ask(ours, ours.rename("Task", "only/Task"))
        ask(ours, ours.rename("only/Task/Sub", "only/Sub"))
        same()
        ask(ours, ours.delete("only/Sub"))
        same()
        assert "only/Sub/deep" in names_of(ours) and not (home / "only/Sub/cur").exists()
        ask(ours, ours.rename("New", "only/Sub"))
        ask(ours, ours.rename("a.b", "only/Sub/a"))
        same()
        for name in ("only/Sub/deep", "only/Sub/a", "only/Sub"):
            ask(ours, ours.delete(name))
        same()
        assert not (home / "only/Sub").exists()
        ask(ours, ours.select("only/Task"))
        ask(theirs, theirs.append("only/Task", r"(\Flagged)", None, text_of("one more")))
        wait_for(lambda: mails(ours).get("one more") == {r"\Flagged"})
        ask(ours, ours.uid("MOVE", "1:*", "Entw&APw-rfe"))
        same()
        (home / "away").symlink_to(tmp_path)
        assert "away" not in names_of(ours)
        ask(theirs, theirs.subscribe("only/Task"))
    finally:
        demo.stop()


def as_owner(folders, home, command):
    """The command as the owner of the place, who has a name there: delivery programs and readers want one."""
    st = os.stat(folders.root)
    if os.geteuid() != 0:
        return command
    etc = home / "etc"
    if not etc.exists():
        # The directory: useradd renames a new file over /etc/passwd, and what is mounted on a file goes when another is put in its place.
        subprocess.run(["cp", "-a", "/etc", etc], stderr=subprocess.DEVNULL)   # what others make and take away meanwhile is not missed
        with open(etc / "passwd", "a") as f:
            f.write(f"jack:x:{st.st_uid}:{st.st_gid}::{home}:/bin/sh\n")
    return ["unshare", "-m", "sh", "-c", 'mount --bind "$1" /etc && shift && exec setpriv "$@"', "sh", str(etc),
            f"--reuid={st.st_uid}", f"--regid={st.st_gid}", "--clear-groups", *command]


@needs("mutt")
def test_mutt_while_a_session_is_open(place):
    demo, folders, tmp_path = place
    box = demo.imap("jack")
    ask(box, box.select())
    for n in range(4):
        ask(box, box.append("INBOX", None, None, text_of(f"letter {n}")))
    wait_for(lambda: folders.count() == 4)
    home = tmp_path / "home"
    home.mkdir()
    rc = home / "rc"
    rc.write_text(f"set quit=yes delete=yes wait_key=no mark_old=no sleep_time=0 move=no folder={home} record='' sort=mailbox-order "
                  "mbox_type=mbox dotlock_program=/usr/bin/mutt_dotlock\n")
    st = os.stat(folders.root)
    if os.getuid() == 0:
        os.chown(home, st.st_uid, st.st_gid)
    path = folders.root if isinstance(folders, Maildir) else folders.inbox
    # The first command of all only wakes it.
    keys = ("<untag-pattern>~A<enter><tag-pattern>~s letter.1<enter><tag-prefix><flag-message><untag-pattern>~A<enter>"
            "<tag-pattern>~s letter.3<enter><tag-prefix><clear-flag>N<untag-pattern>~A<enter><delete-pattern>~s letter.2<enter>"
            "<sync-mailbox><exit>")
    mutt = ["mutt", "-n", "-F", str(rc), "-f", str(path), "-e", f"push '{keys}'"]
    done = subprocess.run(["script", "-qec", shlex.join(as_owner(folders, home, mutt)), "/dev/null"], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60, env={**os.environ, "HOME": str(home), "TERM": "xterm"})
    wanted = {"letter 0": set(), "letter 1": {r"\Flagged"}, "letter 3": {r"\Seen"}}
    try:
        wait_for(lambda: mails(box) == wanted)
    except TimeoutError:
        raise AssertionError((mails(box), done.stdout[-2000:])) from None
    ask(box, box.append("INBOX", r"(\Seen)", None, text_of("letter 4")))
    assert mails(box).keys() == wanted.keys() | {"letter 4"}


def filters(folders, tmp_path):
    """The programs that deliver, as commands."""
    maildir = isinstance(folders, Maildir)
    target = f"{folders.root}/" if maildir else str(folders.inbox)
    out = {}
    home = tmp_path / "home"
    home.mkdir()
    if shutil.which("procmail"):
        rules = home / "rc"
        rules.write_text(f":0{'' if maildir else ':'}\n{target}\n")
        out["procmail"] = ["procmail", "-f", "eva@example.org", str(rules)]
    if MAILDROP:
        rules = home / "filter"
        rules.write_text(f'to "{target}"\n')
        rules.chmod(0o600)
        out["maildrop"] = ["maildrop", "-f", "eva@example.org", str(rules)]
    st = os.stat(folders.root)
    if os.getuid() == 0:
        for path in (home, *home.iterdir()):
            os.chown(path, st.st_uid, st.st_gid)
    return home, {name: as_owner(folders, home, command) for name, command in out.items()}


def test_filters_deliver_while_we_read_and_deliver(place):
    demo, folders, tmp_path = place
    home, programs = filters(folders, tmp_path)
    if not programs:
        pytest.skip("neither procmail nor maildrop here")
    box = demo.imap("jack")
    ask(box, box.select())
    failed = []

    def deliver(name, command):
        for n in range(10):
            done = subprocess.run(command, input=(BODY % f"{name} {n}").encode(), capture_output=True,
                                  env={**os.environ, "HOME": str(home)}, timeout=60)
            if done.returncode != 0:
                failed.append((name, n, done.stderr))

    def send():
        for n in range(10):
            demo.send(letter(f"smtp {n}", "From here\nend\n", to="jack@example.com"), to="jack@example.com")

    threads = [threading.Thread(target=deliver, args=one) for one in programs.items()] + [threading.Thread(target=send)]
    for t in threads:
        t.start()
    wanted = {f"{name} {n}" for name in (*programs, "smtp") for n in range(10)}
    while any(t.is_alive() for t in threads):
        there = mails(box)
        assert there.keys() <= wanted
        for subject in [s for s, flags in there.items() if not flags][:2]:
            ask(box, box.uid("STORE", uid_of(box, subject), "+FLAGS", r"(\Seen)"))
    assert not failed
    wait_for(lambda: mails(box).keys() == wanted)
    for head, body in (d for d in ask(box, box.fetch("1:*", "(UID BODY.PEEK[TEXT])")) if isinstance(d, tuple)):
        assert body.rstrip() == b"From here\r\nend", head
    wait_for(lambda: folders.count() == len(wanted))


@needs("mbsync")
def test_mbsync_of_an_account_others_write_to(place):
    from test_clients import mbsync
    demo, folders, tmp_path = place
    first = folders.add(word())
    box = mbsync(demo, tmp_path, "jack@example.com")
    [here] = [p for p in (box / "INBOX").glob("*/*") if p.is_file() and "From here" in p.read_text()]
    here.rename(box / "INBOX/cur" / (here.name.split(":")[0] + ":2,FS"))
    second = word()
    (box / "INBOX/new" / f"1234567890.{second}.here").write_bytes(letter(second).as_bytes())
    mbsync(demo, tmp_path, "jack@example.com")
    wait_for(lambda: folders.count() == 2)
    assert wait_for(lambda: any({"F", "S"} <= set(f) or {"F", "R"} <= set(f) for f in folders.flags()))
    folders.remove(first)
    mbsync(demo, tmp_path, "jack@example.com")
    assert not any("From here" in p.read_text() for p in (box / "INBOX").glob("*/*") if p.is_file())
    assert any(second in p.read_text() for p in (box / "INBOX").glob("*/*") if p.is_file())


@needs("s-nail")
def test_s_nail_while_a_session_is_open(place):
    demo, folders, tmp_path = place
    if isinstance(folders, Maildir):
        pytest.skip("s-nail is for the mbox here")
    box = demo.imap("jack")
    ask(box, box.select())
    for n in range(3):
        ask(box, box.append("INBOX", None, None, text_of(f"letter {n}")))
    wait_for(lambda: folders.count() == 3)
    uids = {subject: uid_of(box, subject) for subject in ("letter 0", "letter 2")}
    home = tmp_path / "home"
    home.mkdir()
    st = os.stat(folders.root)
    if os.getuid() == 0:
        os.chown(home, st.st_uid, st.st_gid)
    nail = ["s-nail", "-n", "-N", "-Shold", "-Skeep", "-f", str(folders.inbox)]
    done = subprocess.run(as_owner(folders, home, nail), input=b"delete 2\nflag 3\nquit\n", capture_output=True, timeout=60,
                          env={**os.environ, "HOME": str(home), "MAILRC": "/dev/null"})
    assert wait_for(lambda: mails(box) == {"letter 0": set(), "letter 2": {r"\Flagged"}} or None), done
    assert {subject: uid_of(box, subject) for subject in uids} == uids
    ask(box, box.uid("STORE", uids["letter 0"], "+FLAGS", r"(\Deleted)"))
    ask(box, box.expunge())
    wait_for(lambda: folders.count() == 1)


def test_a_locked_mbox_is_waited_for(place):
    """Another program holds the lock for a while: nobody hears of damage, other sessions go on, and then all is as it was."""
    import fcntl
    demo, folders, tmp_path = place
    if isinstance(folders, Maildir):
        pytest.skip("a Maildir has no locks")
    box, other = demo.imap("jack"), demo.imap("jill")
    ask(box, box.select())
    ask(box, box.append("INBOX", None, None, text_of("first")))
    wait_for(lambda: folders.count() == 1)
    with open(folders.inbox, "r+b") as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        f.seek(0, os.SEEK_END)
        f.write(b"From eva@example.org Mon Jan  1 00:00:00 2024\n" + (BODY % "second").encode().replace(b"\nFrom here", b"\n>From here"))
        f.flush()
        tag = box._new_tag()
        box.send(tag + b" UID FETCH 1:* (UID BODY.PEEK[])\r\n")
        demo.send(letter("third", "From here\nend\n", to="jack@example.com"), to="jack@example.com")
        for _ in range(20):
            ask(other, other.select())                  # of the same keeper or not: it is not held up
    while not (line := box.readline()).startswith(tag):
        assert b"CORRUPTION" not in line
    assert line.startswith(tag + b" OK"), line
    wait_for(lambda: mails(box).keys() == {"first", "second", "third"})
    wait_for(lambda: folders.count() == 3)


def test_an_mbox_that_is_another_users_is_the_servers_trouble(place):
    """The client has every right; the log names the file and what the system said."""
    demo, folders, tmp_path = place
    if isinstance(folders, Maildir):
        pytest.skip("a Maildir is no file")
    box = demo.imap("jack")
    ask(box, box.append("INBOX", None, None, text_of("first")))
    wait_for(lambda: folders.count() == 1)
    os.chown(folders.inbox, 0, 0)
    os.chmod(folders.inbox, 0o600)
    kind, said = box.append("INBOX", None, None, text_of("second"))
    assert kind == "NO" and said[0].startswith(b"[UNAVAILABLE]"), said
    wait_for(lambda: f"{folders.inbox}: Permission denied" in demo.log() or f"{folders.inbox} cannot be read: Permission denied" in demo.log())


def test_all_that_reads_waits_for_a_locked_mbox(place):
    """SEARCH of a text, RETR and STATUS are answered when another program gives its lock back, and rightly; IDLE hears of the news."""
    import fcntl
    demo, folders, tmp_path = place
    if isinstance(folders, Maildir):
        pytest.skip("a Maildir has no locks")
    box, second, watcher, other = (demo.imap("jack") for _ in range(4))
    ask(box, box.append("INBOX", None, None, text_of("first")))
    wait_for(lambda: folders.count() == 1)
    ask(box, box.select())
    ask(watcher, watcher.select())
    pop = poplib.POP3("127.0.0.1", demo.port("pop3"), timeout=20)
    pop.stls(demo.local())
    pop.user("jack")
    pop.pass_("way-station")
    watcher.send(b"w1 IDLE\r\n")
    assert watcher.readline().startswith(b"+")
    with open(folders.inbox, "r+b") as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        f.seek(0, os.SEEK_END)
        f.write(b"From eva@example.org Mon Jan  1 00:00:00 2024\n" + (BODY % "second").encode().replace(b"\nFrom here", b"\n>From here"))
        f.flush()
        box.send(b's1 SEARCH BODY "e\\"" NOT BODY "m here"\r\ns2 SEARCH BODY "m he"\r\n')
        second.send(b"t1 STATUS INBOX (MESSAGES)\r\n")
        pop._putcmd("RETR 1")
        for _ in range(20):
            ask(other, other.noop())                    # answered all the while
    assert watcher.readline() == b"* 2 EXISTS\r\n"
    assert second.readline() == b"* STATUS INBOX (MESSAGES 2)\r\n"
    said = b""
    while b"s2 " not in said:
        said += box.readline()
    assert b"s1 OK" in said and b"s2 OK" in said, said
    first, then = re.findall(rb"^\* SEARCH(.*)\r\n", said, re.M)
    assert first == b"" and then in (b" 1", b" 1 2"), said      # the new one may be known by then
    lines = pop._getlongresp()[1]
    assert b"Subject: first" in lines and lines[-2:] == [b"From here", b"end"], lines
    watcher.send(b"DONE\r\n")
    pop.quit()
    assert folders.count() == 2
