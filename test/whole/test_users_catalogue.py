# SPDX-License-Identifier: ISC
"""The catalogue's section on operating-system users (R216 to R228), each example with the programs it names."""

import imaplib
import mailbox
import os
import pathlib
import re
import shlex
import shutil
import smtplib
import subprocess
import threading

import pytest

from kit import letter, wait_for, word
from test_beside_others import Dovecot
from test_system_users import LOCAL, User, keeper_of, lands_in, local, served, user  # noqa: F401 (fixtures)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a process another uid")


def to(user):
    return f"{user.name}@localhost"


def send(demo, user, subject, **more):
    demo.send(letter(subject, **more), to=to(user), sender="x@example.net")


def as_user(user, *words):
    return ["runuser", "-u", user.name, "--", "env", f"HOME={user.home}", f"USER={user.name}", f"MAIL={user.spool}", *words]


@pytest.fixture
def service():
    """A service of PAM, made for one test."""
    file = pathlib.Path("/etc/pam.d") / f"mansio{word()[:8]}"
    file.write_text("auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n")
    yield file.name
    file.unlink()


def test_r216_a_user_with_a_password_is_a_mail_user(local, user, service):
    """useradd and passwd are all that is done: mail comes, and PAM opens the mailbox under the user's uid."""
    subprocess.run(["chpasswd"], input=f"{user.name}:geheim\n", text=True, check=True, capture_output=True)
    demo = local(home_mailbox="Maildir/", alias_maps="", auth_backends=f"directory pam:{service}")
    send(demo, user, "for the master")
    lands_in(user.maildir)
    box = imaplib.IMAP4_SSL("127.0.0.1", demo.port("imaps"), ssl_context=demo.local())
    box.login(user.name, "geheim")
    assert box.select()[1] == [b"1"]
    assert b"for the master" in box.fetch("1", "(BODY[HEADER])")[1][0][1]
    assert box.store("1", "+FLAGS", r"(\Seen)")[0] == "OK"
    box.logout()
    [name] = [p.name for p in (user.home / "Maildir/cur").iterdir()]
    assert name.endswith(":2,S") and (user.home / "Maildir/cur" / name).stat().st_uid == user.uid
    assert keeper_of(demo, user)


def test_r217_r218_the_mbox_and_a_link_to_it(local, user):
    """/var/spool/mail is a link to /var/mail on this system, or stands for one."""
    assert pathlib.Path("/var/spool/mail").resolve() == pathlib.Path("/var/mail").resolve()
    demo = local(alias_maps="", mail_spool_directory="/var/spool/mail")
    send(demo, user, "first", body="Hello\nFrom the beginning\n>From quoted\n")
    [found] = lands_in(user.mbox)
    lines = user.spool.read_text().split("\n")
    assert re.fullmatch(r"From x@example\.net  ?\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}", lines[0]), lines[0]
    assert [line.split(":")[0] for line in lines[1:5]] == ["Return-Path", "X-Original-To", "Delivered-To", "Received"]
    assert found["Return-Path"] == "<x@example.net>" and found["X-Original-To"] == found["Delivered-To"] == to(user)
    assert re.search(rf"for <{re.escape(to(user))}>", found["Received"])
    assert "\n>From the beginning\n" in user.spool.read_text()
    wait_for(lambda: f"to=<{to(user)}>" in demo.log() and "status=sent (delivered to mailbox)" in demo.log())


def test_r219_r220_mail_moves_to_mbox_while_letters_come(local, user):
    """s-nail moves what was read to ~/mbox; nothing is lost and nothing twice, whoever writes meanwhile."""
    demo = local(alias_maps="")
    sent = [f"{n:02d}-{word()}" for n in range(30)]

    def bring():
        for subject in sent:
            send(demo, user, subject)
    bringing = threading.Thread(target=bring)
    bringing.start()
    moved = lambda: [m["Subject"] for m in mailbox.mbox(user.home / "mbox")] if (user.home / "mbox").exists() else []
    while bringing.is_alive() or len(moved()) < len(sent):
        wait_for(lambda: user.spool.exists() and user.spool.stat().st_size > 0)
        done = subprocess.run(as_user(user, "s-nail", "-n", "-N"), input="mbox *\nquit\n", capture_output=True,
                              text=True, timeout=30, cwd=user.home)
        assert done.returncode == 0, done
        if len(moved()) + len(list(user.mbox())) >= len(sent) and not bringing.is_alive() and not list(user.mbox()):
            break
    bringing.join()
    assert sorted(moved() + [m["Subject"] for m in user.mbox()]) == sorted(sent)


def test_r221_r222_r223_a_maildir_made_at_the_first_delivery(local, user):
    demo = local(home_mailbox="Maildir/", alias_maps="")
    assert not (user.home / "Maildir").exists()
    send(demo, user, "first")
    lands_in(user.maildir)
    [file] = (user.home / "Maildir/new").iterdir()
    assert re.fullmatch(r"\d+\.[A-Za-z0-9_,=]+\.[\w.-]+(,S=\d+)?(,W=\d+)?", file.name), file.name
    assert not list((user.home / "Maildir/tmp").iterdir())
    for part in ["", "/new", "/cur", "/tmp"]:
        st = (user.home / f"Maildir{part}").stat()
        assert (st.st_uid, st.st_gid, st.st_mode & 0o777) == (user.uid, user.entry.pw_gid, 0o700)
    assert file.stat().st_mode & 0o777 == 0o600 and file.stat().st_uid == user.uid


def test_r224_skel_and_maildirmake(local, tmp_path):
    """A Maildir that useradd copied from a skeleton, and folders that maildirmake made in it."""
    skel = tmp_path / "skel"
    subprocess.run(["maildirmake.dovecot", str(skel / "Maildir")], check=True)
    name = "m" + word()[:8]
    subprocess.run(["useradd", "-m", "-k", str(skel), "-s", "/bin/sh", name], check=True, capture_output=True)
    owner = User.__new__(User)
    owner.__dict__.update(name=name, entry=__import__("pwd").getpwnam(name), spool=pathlib.Path("/var/mail") / name)
    owner.uid, owner.home = owner.entry.pw_uid, pathlib.Path(owner.entry.pw_dir)
    try:
        for folder in ["Sent", "Trash", "Drafts", "Spam"]:
            subprocess.run(as_user(owner, "maildirmake.dovecot", f"{owner.home}/Maildir/.{folder}"), check=True)
        demo = local(home_mailbox="Maildir/", alias_maps="")
        send(demo, owner, "into the skeleton's")
        [found] = lands_in(owner.maildir)
        assert found["Subject"] == "into the skeleton's"
        listed = demo.command("mailbox", "list", name).stdout
        assert all(folder in listed for folder in ["INBOX", "Sent", "Trash", "Drafts", "Spam"])
    finally:
        owner.remove()


def test_r225_r226_folders_lie_as_maildir_names_them(local, user):
    demo = local(home_mailbox="Maildir/", alias_maps="")
    demo.command("mailbox", "create", user.name, "Work/With blanks")
    assert (user.home / "Maildir/.Work.With blanks/cur").is_dir()
    send(demo, user, "one file")
    lands_in(user.maildir)
    [file] = (user.home / "Maildir/new").iterdir()
    assert b"Subject: one file" in file.read_bytes()


def test_r227_procmail_and_maildrop_by_mailbox_command_maps(local, user, tmp_path):
    """Each by its own file in the home; the table says who has which."""
    other = User()
    try:
        subprocess.run(as_user(user, "maildirmake.dovecot", f"{user.home}/Maildir"), check=True)
        user.write(".procmailrc", "MAILDIR=$HOME/Maildir\nDEFAULT=$MAILDIR/\n:0\n* ^X-List:\n.Lists/\n\n"
                                  ":0 c\n* ^Subject: copy\n| cat > $HOME/copied\n")
        other.write(".mailfilter", 'DEFAULT="$HOME/Maildir/"\nif (/^X-List:/)\n{\n  to "$HOME/Maildir/.Lists/"\n}\n')
        for name in ["Maildir", "Maildir/.Lists"]:
            subprocess.run(as_user(other, "maildirmake.dovecot", f"{other.home}/{name}"), check=True)
        maps = tmp_path / "commands"
        maps.write_text(f"{other.name} /usr/bin/maildrop\n")
        demo = local(home_mailbox="Maildir/", alias_maps="", mailbox_command='/usr/bin/procmail -a "$EXTENSION"',
                     mailbox_command_maps=f"hash:{maps}")
        listed = letter("listed")
        listed["X-List"] = "yes"
        for who in [user, other]:
            demo.send(listed, to=to(who), sender="x@example.net")
            lands_in(lambda: list((who.home / "Maildir/.Lists").glob("new/*")))
        send(demo, other, "plain")
        lands_in(lambda: list((other.home / "Maildir").glob("new/*")))
        send(demo, user, "copy")
        wait_for((user.home / "copied").exists)
        lands_in(user.maildir)
        wait_for(lambda: "status=sent (delivered to command: /usr/bin/maildrop)" in demo.log())
        wait_for(lambda: "status=sent (delivered to command: /usr/bin/procmail" in demo.log())
    finally:
        other.remove()


def test_r228_the_log_says_where_it_went(local, user):
    demo = local(alias_maps="")
    send(demo, user, "logged")
    wait_for(lambda: re.search(rf"to=<{re.escape(to(user))}>, relay=local, delay=[\d.]+, delays=[\d./]+, dsn=2\.0\.0, "
                               r"status=sent \(delivered to mailbox\)", demo.log()))


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_dovecot_and_mutt_beside_the_users_keeper(served, user, tmp_path, kind):
    """All three in one place at once, each under the user's uid."""
    demo = served(**({"home_mailbox": "Maildir/"} if kind == "maildir" else {}))
    box = user.home / "Maildir" if kind == "maildir" else user.spool
    inside = user.maildir if kind == "maildir" else user.mbox
    demo.send(letter("came"), sender="x@example.net")
    lands_in(inside)
    place = pathlib.Path("/tmp") / f"mansio-{word()}"
    theirs = Dovecot(place, f"maildir:{box}" if kind == "maildir" else f"mbox:{user.home}/mail:INBOX={box}\nmail_access_groups = mail", os.stat(user.home))
    try:
        with demo.imap() as ours:
            ours.select()
            theirs.select()
            assert theirs.append("INBOX", "", None, letter("by dovecot").as_bytes())[0] == "OK"
            wait_for(lambda: ours.noop() and ours.search(None, "SUBJECT", '"by dovecot"')[1] == [b"2"])
            ours.store("2", "+FLAGS", r"(\Flagged)")
            wait_for(lambda: theirs.check() and theirs.search(None, "FLAGGED")[1] == [b"2"])
            rc = user.write("muttrc", "set mbox_type=mbox folder=~ record='' confirmappend=no delete=yes quit=yes move=no "
                                      "dotlock_program=/usr/bin/mutt_dotlock\n")
            mutt = as_user(user, "mutt", "-n", "-F", str(rc), "-f", str(box), "-e", "push '1<enter><delete-pattern>~s came<enter><sync-mailbox><quit>'")
            done = subprocess.run(["script", "-qec", shlex.join(mutt), "/dev/null"], stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=60, env={**os.environ, "TERM": "xterm", "LINES": "24", "COLUMNS": "80"}, cwd=user.home)
            assert done.returncode == 0, done
            wait_for(lambda: ours.noop() and ours.search(None, "ALL")[1] == [b"1"])
            assert b"by dovecot" in ours.fetch("1", "(BODY.PEEK[HEADER])")[1][0][1]
            demo.send(letter("came later"), sender="x@example.net")
            wait_for(lambda: theirs.check() and len(theirs.search(None, "ALL")[1][0].split()) == 2)
    finally:
        theirs.logout()
        shutil.rmtree(place, ignore_errors=True)
    assert sorted(m["Subject"] for m in inside()) == ["by dovecot", "came later"]


def test_the_quota_of_a_user(served, user):
    demo = served(home_mailbox="Maildir/", quota_messages="2", quota_warning="")
    for n in range(2):
        demo.send(letter(f"fits {n}"), sender="x@example.net")
    lands_in(user.maildir, 2)
    wait_for(lambda: re.search(rf"jill@example.com +\d+ +0 +2 +2", demo.command("quota", "get", "jill@example.com").stdout))
    try:
        demo.send(letter("too much"), sender="x@example.net")
        wait_for(lambda: "dsn=5.2.2, status=bounced (Quota exceeded" in demo.log())
    except smtplib.SMTPRecipientsRefused as e:
        assert e.recipients["jill@example.com"][0] == 552
    with demo.imap() as box:
        assert box.getquotaroot("INBOX")[1][1][0].endswith(b"(MESSAGE 2 2)")
        box.select()
        box.store("1", "+FLAGS", r"(\Deleted)")
        box.expunge()

    def fits_again():
        try:
            demo.send(letter("fits now"), sender="x@example.net")
            return True
        except smtplib.SMTPRecipientsRefused:
            return False
    wait_for(fits_again)
    lands_in(user.maildir, 2)
    wait_for(lambda: "fits now" in [m["Subject"] for m in user.maildir()])
