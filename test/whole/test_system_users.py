# SPDX-License-Identifier: ISC
"""Operating-system users are mail users: a keeper under their uid, their own Maildir or mbox, read by their own programs."""

import imaplib
import mailbox
import os
import pathlib
import poplib
import pwd
import shutil
import signal
import smtplib
import subprocess
import tempfile

import pytest

from kit import BINARY, Demo, letter, wait_for, word
from test_sending import Sink
from test_srs import mail_srs

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a process another uid")


class User:
    """Somebody with a home, made for one test and removed after it."""

    def __init__(self):
        self.name = "m" + word()[:8]
        subprocess.run(["useradd", "-m", "-s", "/bin/sh", self.name], check=True, capture_output=True)
        self.entry = pwd.getpwnam(self.name)
        self.uid, self.home = self.entry.pw_uid, pathlib.Path(self.entry.pw_dir)
        self.spool = pathlib.Path("/var/mail") / self.name

    def remove(self):
        subprocess.run(["userdel", "-r", "-f", self.name], capture_output=True)
        if self.spool.is_dir() and not self.spool.is_symlink():
            shutil.rmtree(self.spool)
        self.spool.unlink(missing_ok=True)

    def write(self, name, text, mode=0o600, owner=None):
        path = self.home / name
        path.write_text(text)
        path.chmod(mode)
        os.chown(path, self.uid if owner is None else owner, self.entry.pw_gid)
        return path

    def run(self, *words, **more):
        """A command as this user."""
        return subprocess.run(["runuser", "-u", self.name, "--", *words], capture_output=True, text=True, timeout=30,
                              cwd=self.home, **more)

    def maildir(self):
        return mailbox.Maildir(self.home / "Maildir", create=False) if (self.home / "Maildir/tmp").exists() and (self.home / "Maildir/cur").exists() else []

    def mbox(self):
        return mailbox.mbox(self.spool, create=False) if self.spool.exists() else []


@pytest.fixture
def user():
    u = User()
    yield u
    u.remove()


def demo_with(tmp_path, user, **settings):
    """Jill's mail is the operating-system user's."""
    demo = Demo(tmp_path / "demo").start()
    demo.stop()
    with open(demo.config, "a") as f:
        f.write("".join(f"{name} = {value}\n" for name, value in settings.items()))
    demo.start()
    demo.command("account", "set", "jill@example.com", "system-user", user.name)
    return demo


@pytest.fixture
def served(tmp_path, user):
    demos = []

    def serve(**settings):
        demos.append(demo_with(tmp_path, user, **settings))
        return demos[-1]
    yield serve
    for demo in demos:
        demo.stop()


def keeper_of(demo, user):
    """The process that keeps this user's mail, or None."""
    for line in demo.command("status").stdout.splitlines():
        fields = line.split()
        if fields[:2] == ["keeper", str(user.uid)]:
            return int(fields[2])
    return None


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def lands_in(box, count=1):
    return wait_for(lambda: len(list(box())) >= count and list(box()))


def test_a_letter_lies_in_the_maildir_and_belongs_to_the_user(served, user):
    demo = served(home_mailbox="Maildir/")
    subject = word()
    demo.send(letter(subject))
    [found] = lands_in(user.maildir)
    assert found["Subject"] == subject
    assert found["Delivered-To"] == "jill@example.com" and found["Return-Path"] == "<jack@example.com>"
    for path in [user.home / "Maildir", *(user.home / "Maildir").rglob("*")]:
        st = path.lstat()
        assert (st.st_uid, st.st_mode & 0o777) == (user.uid, 0o700 if path.is_dir() else 0o600), path
    wait_for(lambda: "status=sent (delivered to maildir)" in demo.log())
    assert "relay=local" in demo.log()


def test_the_keeper_has_the_uid_of_the_user_and_nothing_more(served, user):
    demo = served(home_mailbox="Maildir/")
    demo.send(letter(word()))
    lands_in(user.maildir)
    pid = keeper_of(demo, user)
    status = status_of(pid)
    assert status["Uid"].split() == [str(user.uid)] * 4
    assert status["Gid"].split() == [str(user.entry.pw_gid)] * 4
    assert {status[f"Cap{kind}"] for kind in ["Inh", "Prm", "Eff", "Bnd", "Amb"]} == {"0" * 16}
    sanitized = b"__asan_init" in pathlib.Path(BINARY).read_bytes()        # sanitizers and seccomp exclude each other
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == ("0" if sanitized else "2")
    links = [os.readlink(p) for p in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
    assert not [path for path in links if "/letters" in path or "/store" in path or "/directory" in path]
    assert user.run("ls", f"/proc/{pid}/fd").returncode != 0


def test_the_user_reads_it_by_imap_and_appends(served, user):
    demo = served(home_mailbox="Maildir/")
    subject = word()
    with demo.imap() as box:
        box.select()
        demo.send(letter(subject))
        wait_for(lambda: box.noop() and box.search(None, "SUBJECT", subject)[1] == [b"1"])
        box.store("1", "+FLAGS", r"(\Flagged)")
        assert box.append("Drafts", "", None, letter("small").as_bytes())[0] == "OK"
        assert box.append("Drafts", "", None, b"Subject: large\r\n\r\n" + b"x" * 78 + b"\r\n" * 400000)[0] == "OK"
    assert [p.name.rpartition(",")[2] for p in (user.home / "Maildir/cur").iterdir()] == ["F"]
    drafts = mailbox.Maildir(user.home / "Maildir/.Drafts", create=False)
    assert sorted(m["Subject"] for m in drafts) == ["large", "small"]


def test_the_commands_of_the_administrator_reach_the_users_keeper(served, user):
    demo = served(home_mailbox="Maildir/", user_keeper_idle_time="1s")
    subject = word()
    demo.send(letter(subject))
    lands_in(user.maildir)
    wait_for(lambda: keeper_of(demo, user) is None)
    assert "INBOX" in demo.command("mailbox", "list", "jill@example.com").stdout          # the keeper was away
    assert subject in demo.command("doveadm", "fetch", "-u", "jill@example.com", "hdr.subject", "ALL").stdout
    demo.command("mailbox", "create", user.name, "Made")                                # by the user's own name
    assert (user.home / "Maildir/.Made/cur").is_dir() and (user.home / "Maildir/.Made").stat().st_uid == user.uid
    assert "Made" in demo.command("doveadm", "mailbox", "list", "-u", user.name).stdout
    assert f"uid\t{user.uid}\ngid\t{user.entry.pw_gid}\nhome\t{user.home}\n" in demo.command("doveadm", "user", user.name).stdout
    assert "jill@example.com" in demo.command("quota", "get", "jill@example.com").stdout
    assert "STORAGE" in demo.command("doveadm", "quota", "get", "-u", "jill@example.com").stdout
    assert "all is well" in demo.command("store", "check", "jill@example.com").stdout
    wait_for(lambda: keeper_of(demo, user) is None)
    assert "all is well" in demo.command("store", "check").stdout and keeper_of(demo, user)
    with demo.imap() as box:
        assert "jill@example.com" in demo.command("who").stdout
        assert "1 session ended" in demo.command("kick", "jill@example.com").stdout
        with pytest.raises(Exception):
            box.noop() and box.noop()
    wait_for(lambda: keeper_of(demo, user) is None)
    assert "ended with status" not in demo.log() and "was killed" not in demo.log()
    assert demo.command("mailbox", "list", "root", check=False).returncode != 0
    assert "goes by an alias" in demo.command("mailbox", "list", "mail", check=False).stderr


def test_a_home_mailbox_that_is_new_for_one_who_has_mail_is_warned_of_and_converted(served, user):
    demo = served(home_mailbox="Maildir/")
    demo.send(letter("before"))
    lands_in(user.maildir)
    with open(demo.config, "a") as f:
        f.write("home_mailbox = Other/\n")
    demo.command("reload")
    demo.send(letter("after"))
    lands_in(user.maildir, 2)
    where = f"maildir:{user.home}/Other/"
    wait_for(lambda: f"mansio mailbox convert {user.name} --to '{where}'" in demo.log())
    assert "2 messages converted" in demo.command("mailbox", "convert", user.name, "--to", where).stdout
    demo.send(letter("moved"))
    wait_for(lambda: len([p for p in (user.home / "Other").glob("*/*:2,*")] + list((user.home / "Other/new").iterdir())) >= 3)
    with demo.imap() as box:
        assert box.select()[1] == [b"3"]
    assert "letter log" in demo.command("mailbox", "convert", user.name, "--to", "log", check=False).stderr


def test_a_keeper_with_nothing_to_do_ends_and_comes_again(served, user):
    demo = served(home_mailbox="Maildir/", user_keeper_idle_time="1s")
    demo.send(letter(word()))
    lands_in(user.maildir)
    first = keeper_of(demo, user)
    wait_for(lambda: keeper_of(demo, user) is None)
    with demo.imap() as box:
        assert box.select()[1] == [b"1"]
        assert keeper_of(demo, user) != first
    assert "was killed" not in demo.log() and "ended with status" not in demo.log()


def test_a_killed_keeper_loses_nothing_and_delivers_nothing_twice(served, user):
    demo = served(home_mailbox="Maildir/")
    sent = [word() for _ in range(60)]
    with demo.smtp() as s:
        for n, subject in enumerate(sent):
            s.sendmail("jack@example.com", ["jill@example.com"], letter(subject).as_bytes())
            if n % 12 == 6 and (pid := keeper_of(demo, user)):
                os.kill(pid, signal.SIGKILL)
    wait_for(lambda: "is empty" in demo.command("queue", "list").stdout or len(list(user.maildir())) >= len(sent), 60)
    wait_for(lambda: len(list(user.maildir())) >= len(sent), 60)
    assert sorted(m["Subject"] for m in user.maildir()) == sorted(sent)
    with demo.imap() as box:
        assert box.select()[1] == [str(len(sent)).encode()]


def test_var_mail_is_an_mbox_that_mail_reads(served, user):
    demo = served()
    subject = word()
    demo.send(letter(subject, body="From here\nto there\n"))
    [found] = lands_in(user.mbox)
    assert found["Subject"] == subject and found["X-Original-To"] == "jill@example.com"
    assert user.spool.read_text().startswith("From jack@example.com ")
    assert "\n>From here\n" in user.spool.read_text()
    assert user.spool.stat().st_uid == user.uid and user.spool.stat().st_mode & 0o077 in (0, 0o060)
    wait_for(lambda: "relay=local" in demo.log() and "status=sent (delivered to mailbox)" in demo.log())
    shown = user.run("s-nail", "-H", "-f", str(user.spool))
    assert subject in shown.stdout, shown
    with demo.imap() as box:
        assert box.select()[1] == [b"1"]


def test_var_mail_with_a_slash_is_a_maildir_for_each(served, user):
    demo = served(mail_spool_directory="/var/mail/")
    subject = word()
    demo.send(letter(subject))
    [found] = lands_in(lambda: mailbox.Maildir(user.spool, create=False) if (user.spool / "new").exists() else [])
    assert found["Subject"] == subject and user.spool.stat().st_uid == user.uid
    wait_for(lambda: "status=sent (delivered to maildir)" in demo.log())
    with demo.imap() as box:
        assert box.select()[1] == [b"1"]
        assert box.append("Drafts", "", None, letter("small").as_bytes())[0] == "OK"
        pop = poplib.POP3_SSL("127.0.0.1", demo.port("pop3s"), timeout=30, context=demo.local())
        pop.user("jill@example.com")
        pop.pass_(demo.password)
        assert f"Subject: {subject}".encode() in pop.top(1, 0)[1]
        pop.quit()
    assert [m["Subject"] for m in mailbox.Maildir(user.spool / ".Drafts", create=False)] == ["small"]


def test_a_letter_waits_for_a_locked_mbox(served, user):
    """Another program has it locked for a while: the letter waits in the keeper, is not deferred, and comes once."""
    import fcntl
    demo = served()
    sent = [word() for _ in range(3)]
    demo.send(letter(sent[0]))
    lands_in(user.mbox)
    with demo.imap() as box, open(user.spool, "r+b") as f:
        assert box.select()[1] == [b"1"]
        fcntl.lockf(f, fcntl.LOCK_EX)
        size = user.spool.stat().st_size
        for subject in sent[1:]:
            demo.send(letter(subject))
        for _ in range(40):
            assert box.noop()[0] == "OK"                 # its keeper goes on meanwhile
        assert user.spool.stat().st_size == size
        fcntl.lockf(f, fcntl.LOCK_UN)
    assert [m["Subject"] for m in lands_in(user.mbox, 3)] == sent
    wait_for(lambda: "is empty" in demo.command("queue", "list").stdout)
    assert "status=deferred" not in demo.log()
    assert len(user.mbox()) == 3


def test_R153_the_location_of_another_file_in_the_home(served, user):
    demo = served(home_mailbox="Mailbox")
    demo.send(letter(word()))
    wait_for(lambda: (user.home / "Mailbox").exists() and (user.home / "Mailbox").stat().st_size > 0)
    assert len(mailbox.mbox(user.home / "Mailbox")) == 1


def test_R153_mail_stays_where_it_is_when_the_setting_changes_and_the_log_says_so(served, user):
    demo = served(home_mailbox="Maildir/")
    demo.send(letter(word()))
    lands_in(user.maildir)
    main = pathlib.Path(demo.config)
    wait_for(lambda: "status=sent (delivered to maildir)" in demo.log())
    before = len(demo.log())
    main.write_text(main.read_text().replace("home_mailbox = Maildir/", "home_mailbox = Mailbox"))
    demo.command("reload")
    wait_for(lambda: f"the settings say mbox:{user.home}/mail:INBOX={user.home}/Mailbox" in demo.log() or demo.send(letter(word())))
    demo.send(letter(word()), to="jill@example.com")
    wait_for(lambda: "is empty" in demo.command("queue", "list").stdout)
    assert f"{user.name} has the mailboxes in maildir:{user.home}/Maildir/, where new mail goes on to be laid" in demo.log()
    assert not (user.home / "Mailbox").exists() and len(lands_in(user.maildir, 2)) >= 2
    assert "status=sent (delivered to maildir)" in demo.log()[before:] and "status=sent (delivered to mailbox)" not in demo.log()[before:]


def test_root_and_those_below_first_valid_uid_get_no_keeper(served, user):
    demo = served(home_mailbox="Maildir/", first_valid_uid=str(user.uid + 1))
    assert demo.command("account", "set", "jill@example.com", "system-user", "root", check=False).returncode == 1
    demo.send(letter(word()))
    wait_for(lambda: "status=bounced (mail of this user goes by an alias to somebody else)" in demo.log())
    assert not (user.home / "Maildir").exists()


def test_without_root_the_log_says_what_is_needed(tmp_path, user):
    where = pathlib.Path("/tmp") / f"mansio-{word()}"
    where.mkdir(mode=0o755)
    nobody = pwd.getpwnam("nobody")
    os.chown(where, nobody.pw_uid, nobody.pw_gid)
    base = ["runuser", "-u", "nobody", "--"]
    demo = Demo(where / "demo")
    import kit
    binary, kit.BINARY = kit.BINARY, where / "run"
    kit.BINARY.write_text(f"#!/bin/sh\nexec {' '.join(base)} {binary} \"$@\"\n")
    kit.BINARY.chmod(0o755)
    try:
        demo.start()
        demo.command("account", "set", "jill@example.com", "system-user", user.name)
        demo.send(letter(word()))
        wait_for(lambda: "only a server started by root can do that" in demo.log())
        wait_for(lambda: "status=bounced" in demo.log() or "status=deferred" in demo.log())
    finally:
        os.system(f"kill {demo.pid}")
        demo.process.wait(30)
        kit.BINARY = binary
        shutil.rmtree(where, ignore_errors=True)


SAVE = """#!/bin/sh
env > {home}/env.new
id > {home}/id.new
cat > {home}/said.new
mv {home}/env.new {home}/env; mv {home}/id.new {home}/id; mv {home}/said.new {home}/said
"""


def test_R157_a_mailbox_command_runs_as_the_user_with_its_environment(served, user):
    script = user.write("save", SAVE.format(home=user.home), 0o700)
    demo = served(mailbox_command=str(script))
    demo.send(letter("commanded"), sender="strange`id`@example.com", to="jill+Lists@example.com")
    wait_for((user.home / "said").exists)
    variables = dict(line.split("=", 1) for line in (user.home / "env").read_text().splitlines() if "=" in line)
    assert variables["USER"] == variables["LOGNAME"] == user.name and variables["HOME"] == str(user.home)
    assert variables["SHELL"] == "/bin/sh" and variables["EXTENSION"] == "lists"
    assert variables["SENDER"] == "strange_id_@example.com"
    assert variables["RECIPIENT"] == "jill+Lists@example.com" and variables["LOCAL"] == "jill+lists" and variables["DOMAIN"] == "example.com"
    assert variables["ORIGINAL_RECIPIENT"] == "jill+Lists@example.com"
    assert variables["CLIENT_ADDRESS"] == "127.0.0.1" and variables["CLIENT_PROTOCOL"] == "ESMTP"
    assert f"uid={user.uid}" in (user.home / "id").read_text() and "(mail)" not in (user.home / "id").read_text()
    said = (user.home / "said").read_bytes()
    assert said.startswith(b"From strange`id`@example.com ") and b"\r" not in said
    assert b"\nDelivered-To: jill+Lists@example.com\n" in said and b"\nSubject: commanded\n" in said
    wait_for(lambda: f"status=sent (delivered to command: {script})" in demo.log())


def environment_of(user):
    wait_for((user.home / "said").exists)
    return dict(line.split("=", 1) for line in (user.home / "env").read_text().splitlines() if "=" in line)


def test_mailbox_command_maps_are_asked_before_mailbox_command(served, user, tmp_path):
    script = user.write("save", SAVE.format(home=user.home), 0o700)
    maps = tmp_path / "commands"
    maps.write_text(f"{user.name} {script}\nsomebody /bin/false\n")
    demo = served(mailbox_command="/bin/false", mailbox_command_maps=f"hash:{maps}")
    demo.send(letter(word()), to="jill+Lists@example.com")
    assert environment_of(user)["EXTENSION"] == "lists"
    wait_for(lambda: f"status=sent (delivered to command: {script})" in demo.log())
    maps.write_text("somebody /bin/true\n")
    wait_for(lambda: demo.send(letter(word()), sender="x@example.net") or "Command died with status 1: \"/bin/false\"" in demo.log())


def test_a_command_of_forward_hears_the_extension(served, user):
    script = user.write("save", SAVE.format(home=user.home), 0o700)
    user.write(".forward", f"|{script}\n", 0o644)
    demo = served(home_mailbox="Maildir/", allow_mail_to_commands="forward")
    demo.send(letter(word()), to="jill+Deep@example.com")
    variables = environment_of(user)
    assert variables["EXTENSION"] == "deep" and variables["LOCAL"] == "jill+deep" and variables["USER"] == user.name


def test_R158_mailbox_transport_after_forward(served, user):
    demo = served(home_mailbox="Maildir/", allow_mail_to_commands="forward", mailbox_transport="error:5.2.1 this mailbox is closed")
    demo.send(letter(word()), sender="x@example.net")
    wait_for(lambda: "dsn=5.2.1, status=bounced (this mailbox is closed)" in demo.log())
    user.write(".forward", f"\"|cat > {user.home}/piped\"\n", 0o644)
    demo.send(letter("kept"), sender="x@example.net")
    wait_for((user.home / "piped").exists)
    (user.home / ".forward").unlink()
    main = pathlib.Path(demo.config)
    main.write_text(main.read_text().replace("error:5.2.1 this mailbox is closed", "discard:"))
    demo.command("reload")
    demo.send(letter("gone"), sender="x@example.net")
    wait_for(lambda: "status=sent (discarded by mailbox_transport)" in demo.log())
    assert len(user.maildir()) == 0


@pytest.mark.parametrize("setting, value, words", [
    ("mailbox_transport", "maildrop:", "there is no transport maildrop"),
    ("fallback_transport", "maildrop:", "there is no transport maildrop"),
    ("virtual_transport", "maildrop:", "there is no transport maildrop"),
    ("default_transport", "maildrop:", "there is no transport maildrop"),
])
def test_a_transport_that_is_not_there_is_refused_with_the_settings(tmp_path, setting, value, words):
    main = tmp_path / "main.cf"
    main.write_text(f"mail_directory = {tmp_path}/mail\n{setting} = {value}\n")
    import kit
    said = subprocess.run([kit.BINARY, "-c", main, "config", "check"], capture_output=True, text=True)
    assert said.returncode != 0 and f"{main}:2: {setting} = {value}: " in said.stderr + said.stdout and words in said.stderr + said.stdout


LOCAL = dict(mydestination="localhost", local_recipient_maps="", myorigin="localhost")


@pytest.fixture
def local(tmp_path):
    """A server whose local users have a domain of their own."""
    demos = []

    def serve(**settings):
        demo = Demo(tmp_path / "demo").start()
        demo.stop()
        with open(demo.config, "a") as f:
            f.write("".join(f"{name} = {value}\n" for name, value in {**LOCAL, **settings}.items()))
        demos.append(demo.start())
        return demo
    yield serve
    for demo in demos:
        demo.stop()


def test_mail_for_a_user_at_localhost(local, user):
    demo = local(home_mailbox="Maildir/", alias_maps="")
    demo.send(letter("to localhost"), to=f"{user.name}@localhost", sender="x@example.net")
    [found] = lands_in(user.maildir)
    assert found["Delivered-To"] == f"{user.name}@localhost"
    wait_for(lambda: f"to=<{user.name}@localhost>" in demo.log() and "status=sent (delivered to maildir)" in demo.log())
    assert "INBOX" in demo.command("mailbox", "list", user.name).stdout


def test_a_command_of_an_alias_runs_as_nobody_or_as_who_owns_the_file(local, user, tmp_path):
    place = pathlib.Path("/tmp") / f"mansio-{word()}"
    place.mkdir()
    place.chmod(0o1777)
    aliases, theirs = tmp_path / "aliases", tmp_path / "theirs"
    aliases.write_text(f'rooted: "|(id -un; echo $EXTENSION) > {place}/rooted"\n')
    theirs.write_text(f'owned: "|id -un > {place}/owned"\nfiled: {place}/filed\n')
    os.chown(theirs, user.uid, -1)
    try:
        demo = local(alias_maps=f"hash:{aliases}, hash:{theirs}", allow_mail_to_commands="alias")
        for name in ["rooted+More", "owned", "filed"]:
            demo.send(letter(name), to=f"{name}@localhost", sender="x@example.net")
        for name in ["rooted", "owned", "filed"]:
            wait_for(lambda: (place / name).exists() and (place / name).stat().st_size > 0)
        wait_for(lambda: (place / "rooted").read_text() == "nobody\nmore\n")
        assert (place / "owned").read_text() == f"{user.name}\n" and (place / "filed").stat().st_uid == user.uid
    finally:
        shutil.rmtree(place)


def test_fallback_transport_for_names_that_nobody_has(local, user, tmp_path):
    maps = tmp_path / "fallback"
    maps.write_text("thrown discard:\nmoved virtual:\n")
    boxes = tmp_path / "boxes"
    boxes.write_text("moved@localhost moved/\n")
    demo = local(home_mailbox="Maildir/", alias_maps="", fallback_transport_maps=f"hash:{maps}", virtual_mailbox_maps=f"hash:{boxes}",
                 virtual_mailbox_domains="", fallback_transport="error:5.1.1 ask the postmaster", luser_relay="jill@example.com")

    def refused(to):
        try:
            demo.send(letter(word()), to=to, sender="x@example.net")
        except smtplib.SMTPRecipientsRefused as e:
            return e.recipients[to]
    demo.send(letter("kept"), to=f"{user.name}@localhost", sender="x@example.net")
    lands_in(user.maildir)
    assert refused("thrown@localhost") is None and refused("moved@localhost") is None
    code, text = refused("stranger@localhost")
    assert code == 550 and b"5.1.1 " in text and b"ask the postmaster" in text
    wait_for(lambda: "to=<moved@localhost>" in demo.log() and "delivered to" in demo.log().split("to=<moved@localhost>")[-1])


@pytest.mark.parametrize("status, dsn, state, words", [
    (67, "5.1.1", "bounced", "user unknown. Command output: who is that"),
    (75, "4.3.0", "deferred", "temporary failure. Command output: who is that"),
    (3, "5.3.0", "bounced", "Command died with status 3: "),
])
def test_what_a_command_says_becomes_of_the_letter(served, user, status, dsn, state, words):
    script = user.write("fail", f"#!/bin/sh\ncat >/dev/null\necho who is that >&2\nexit {status}\n", 0o700)
    demo = served(mailbox_command=f"{script} ; exit $?")
    demo.send(letter(word()))
    wait_for(lambda: f"dsn={dsn}, status={state} ({words}" in demo.log())


def test_a_command_that_takes_too_long_is_ended(served, user):
    script = user.write("slow", "#!/bin/sh\necho $$ > $HOME/pid\nexec sleep 600\n", 0o700)
    demo = served(mailbox_command=str(script), command_time_limit="2s")
    demo.send(letter(word()))
    wait_for(lambda: "status=bounced (Command time limit exceeded" in demo.log())
    wait_for(lambda: not pathlib.Path("/proc", (user.home / "pid").read_text().strip()).exists())


def test_a_slow_command_holds_up_neither_others_nor_memory(served, user):
    """What waits for one user waits on disk."""
    script = user.write("slow", "#!/bin/sh\ncat >/dev/null\nuntil [ -e $HOME/go ]; do sleep 0.1; done\n"
                                "mktemp $HOME/had.XXXXXX\nmkdir $HOME/one && (yes &)\nexit 0\n", 0o700)
    demo = served(mailbox_command=str(script), minimal_backoff_time="1s", maximal_backoff_time="1s")
    count = 60
    with demo.smtp() as s:
        for _ in range(count):
            s.sendmail("jack@example.com", ["jill@example.com"], letter(word()).as_bytes())
        s.sendmail("jack@example.com", ["jack@example.com"], letter("in between").as_bytes())
    with demo.imap("jack") as box:
        wait_for(lambda: box.select() and box.search(None, "SUBJECT", "between")[1] != [b""])

    def held():
        pids = [line.split()[2] for line in demo.command("status").stdout.splitlines() if line.split()[:1] in (["queue"], ["keeper"])]
        return sum("memfd:letter" in os.readlink(p) for pid in pids for p in pathlib.Path("/proc", pid, "fd").iterdir() if p.is_symlink())
    assert held() <= 2 * 32, "in the queue and the keeper"
    (user.home / "go").write_text("")
    try:
        wait_for(lambda: len(list(user.home.glob("had.*"))) >= count)
        wait_for(lambda: "is empty" in demo.command("queue", "list").stdout)
    finally:
        subprocess.run(["pkill", "-9", "-u", str(user.uid), "-x", "yes"])


def test_procmail_sorts_into_the_maildir_that_imap_shows(served, user):
    user.write(".procmailrc", "DEFAULT=$HOME/Maildir/\n:0\n* ^Subject:.*list\n$HOME/Maildir/.Lists/\n")
    demo = served(mailbox_command='/usr/bin/procmail -a "$EXTENSION"', home_mailbox="Maildir/")
    demo.send(letter("a friend"))
    lands_in(lambda: list((user.home / "Maildir").glob("new/*")))
    demo.send(letter("a list"))
    lands_in(lambda: list((user.home / "Maildir/.Lists").glob("new/*")))
    with demo.imap() as box:
        assert box.select()[1] == [b"1"]
        assert box.select("Lists")[1] == [b"1"]


def test_maildrop_delivers_as_its_filter_says(served, user):
    user.write(".mailfilter", 'DEFAULT="$HOME/Maildir"\nif (/^Subject:.*urgent/)\n{\n  to "$HOME/Maildir/.Urgent"\n}\n')
    for name in ["Maildir", "Maildir/.Urgent"]:
        assert user.run("maildirmake.maildrop", str(user.home / name)).returncode == 0 or (user.home / name).exists()
    demo = served(mailbox_command='/usr/bin/maildrop', home_mailbox="Maildir/")
    demo.send(letter("urgent matter"))
    lands_in(lambda: list((user.home / "Maildir/.Urgent").glob("new/*")))


def test_forward_gives_it_to_others_and_to_the_mailbox(served, user):
    user.write(".forward", f"\\{user.name}, jack@example.com, \"|cat > $HOME/piped\", {user.home}/kept\n", 0o644)
    demo = served(home_mailbox="Maildir/", allow_mail_to_commands="forward")
    demo.send(letter("onward"), to="jill@example.com")
    [own] = lands_in(user.maildir)
    assert own["Subject"] == "onward"
    wait_for((user.home / "piped").exists)
    wait_for(lambda: (user.home / "kept").exists() and len(mailbox.mbox(user.home / "kept")) == 1)
    assert (user.home / "kept").stat().st_uid == user.uid
    with demo.imap("jack") as box:
        wait_for(lambda: box.select() and box.search(None, "SUBJECT", "onward")[1] == [b"2"] or
                 box.search(None, "SUBJECT", "onward")[1] == [b"1"])
    wait_for(lambda: "status=sent (forwarded)" in demo.log() and "is empty" in demo.command("queue", "list").stdout)
    assert len(user.maildir()) == 1 and len(mailbox.mbox(user.home / "kept")) == 1


def test_a_new_directory_of_forward_path_counts_from_the_reload_on(served, user):
    """The user's keeper runs, with a reader, and begins anew; a command that is under way is not executed twice."""
    elsewhere = pathlib.Path(tempfile.mkdtemp(prefix="mansio-forwards-", dir="/var/tmp"))
    elsewhere.chmod(0o755)
    slow = user.write("slow", "#!/bin/sh\ncat > /dev/null\necho one >> $HOME/runs\nsleep 3\n", 0o700)
    try:
        demo = served(home_mailbox="Maildir/", allow_mail_to_commands="forward")
        demo.send(letter("before"))
        lands_in(user.maildir)
        keeper = keeper_of(demo, user)
        reader = demo.imap()
        reader.select()
        for text, where in ((f"|{slow}\n", user.home / ".forward"), ("jack@example.com\n", elsewhere / user.name)):
            where.write_text(text)
            os.chown(where, user.uid, user.entry.pw_gid)
        demo.send(letter("of the slow one"))
        wait_for((user.home / "runs").exists)
        with open(demo.config, "a") as f:
            f.write(f"forward_path = {elsewhere}/$user, $home/.forward\n")
        said = demo.command("reload")
        assert "restart" not in said.stdout + said.stderr
        wait_for(lambda: f"delivered to command: {slow}" in demo.log())
        wait_for(lambda: keeper_of(demo, user) not in (None, keeper))
        demo.send(letter("behind"))
        assert demo.find("behind", "jack")
        assert (user.home / "runs").read_text() == "one\n" and len(user.maildir()) == 1
        with pytest.raises((OSError, imaplib.IMAP4.error)):
            reader.noop()
        assert f"{user.name}: starting anew" in demo.log() and "ended with status" not in demo.log()
    finally:
        shutil.rmtree(elsewhere)


def test_a_new_place_of_mailboxes_is_told_of_in_one_sentence(served, user):
    demo = served()
    with open(demo.config, "a") as f:
        f.write(f"virtual_mailbox_base = /var/tmp/mansio-none-{user.name}\n")
    said = demo.command("reload")
    told = [line for line in (said.stdout + said.stderr).splitlines() if "mansio-none" in line]
    assert told == [f"{demo.config}: mailboxes may lie in /var/tmp/mansio-none-{user.name} from the next start on: restart mansio; "
                    "until then mail for accounts there waits, and they cannot log in"]


def test_forward_to_oneself_ends_in_the_mailbox(served, user):
    user.write(".forward", "jill@example.com\n", 0o644)
    demo = served(home_mailbox="Maildir/")
    demo.send(letter(word()))
    assert len(lands_in(user.maildir)) == 1


def test_R198_what_a_forward_file_sends_elsewhere_has_a_sender_of_ours(served, user, tmp_path):
    """srs_domain, as Debian's Mail::SRS has it; who wrote it is found by that name."""
    secrets = tmp_path / "srs"
    secrets.write_text("sesame\n")
    user.write(".forward", "bob@far.example\n", 0o644)
    with Sink() as sink:
        demo = served(home_mailbox="Maildir/", relayhost=f"[127.0.0.1]:{sink.port}", srs_domain="srs.example", srs_secrets=str(secrets))
        demo.send(letter(word()), to="jill@example.com", sender="eva@elsewhere.example")
        wait_for(lambda: sink.letters)
        [(sender, to, _)] = sink.letters
        assert to == ["bob@far.example"] and mail_srs("reverse", sender.partition("<")[2].partition(">")[0], secrets=("sesame",)) == "eva@elsewhere.example"


def test_forward_in_a_circle_is_returned(served, user):
    """As local(8) of Postfix does it (test_loops_beside_postfix.py)."""
    other = User()
    try:
        user.write(".forward", "jack@example.com\n", 0o644)
        other.write(".forward", "jill@example.com\n", 0o644)
        demo = served(home_mailbox="Maildir/")
        demo.command("account", "set", "jack@example.com", "system-user", other.name)
        demo.send(letter(word()), sender="x@example.net")
        wait_for(lambda: "dsn=5.4.6, status=bounced (mail forwarding loop for jill@example.com)" in demo.log())
        assert len(user.maildir()) == 0 and len(other.maildir()) == 0
    finally:
        other.remove()


def test_a_letter_that_was_here_before_is_not_forwarded_again(served, user):
    user.write(".forward", "jack@example.com\n", 0o644)
    demo = served(home_mailbox="Maildir/")
    m = letter(word())
    m["Delivered-To"] = "jill@example.com"
    demo.send(m, sender="x@example.net")
    wait_for(lambda: "dsn=5.4.6, status=bounced (mail forwarding loop for jill@example.com)" in demo.log())


@pytest.mark.parametrize("how", ["writable", "foreign", "directory", "fifo", "huge", "broken"])
def test_a_forward_others_could_have_written_does_not_count(served, user, how):
    other = 4321 if how == "foreign" else None
    if how == "directory":
        (user.home / ".forward").mkdir()
    elif how == "fifo":
        os.mkfifo(user.home / ".forward")
        os.chown(user.home / ".forward", user.uid, -1)
    elif how == "huge":
        user.write(".forward", "jack@example.com\n" * 10000)
    elif how == "broken":
        user.write(".forward", "\"|never closed\n,,\n:include:nowhere\n")
    else:
        user.write(".forward", "jack@example.com\n", 0o666 if how == "writable" else 0o644, other)
    demo = served(home_mailbox="Maildir/")
    demo.send(letter(word()), sender="x@example.net")
    assert len(lands_in(user.maildir)) == 1
    assert ".forward" in demo.log()


def test_a_hostile_forward_reaches_nobody_else(served, user):
    other = User()
    try:
        secret = other.write("secret", "nobody reads this\n")
        user.write(".forward", f"{other.home}/inbox, \"|cat {secret} > $HOME/stolen; id -u > $HOME/me\", "
                               f":include:{secret}, {user.home}/link, \"|kill -9 $PPID\"\n", 0o644)
        (user.home / "link").symlink_to(other.home / "linked")
        demo = served(home_mailbox="Maildir/", allow_mail_to_commands="forward")
        demo.send(letter(word()), sender="x@example.net")
        lands_in(user.maildir)                       # an :include: that cannot be read: nothing is lost
        wait_for(lambda: (user.home / "me").exists() and (user.home / "me").read_text())
        assert (user.home / "me").read_text().strip() == str(user.uid)
        assert (user.home / "stolen").read_text() == ""
        wait_for(lambda: "/link is a link" in demo.log())
        assert not (other.home / "inbox").exists() and not (other.home / "linked").exists()
        demo.send(letter(word()), sender="x@example.net")
        lands_in(user.maildir, 2)
    finally:
        other.remove()


@pytest.mark.parametrize("more", [{}, {"allow_mail_to_commands": "alias"}], ids=["by themselves", "of others alone"])
def test_commands_of_forward_are_not_allowed(served, user, more):
    user.write(".forward", "\"|cat > $HOME/piped\"\n", 0o644)
    demo = served(home_mailbox="Maildir/", **more)
    demo.send(letter(word()), sender="x@example.net")
    lands_in(user.maildir)
    assert not (user.home / "piped").exists() and "and the mailbox has the letter: allow_mail_to_commands lacks forward" in demo.log()


@pytest.mark.parametrize("how", ["link", "foreign", "directory"])
def test_a_mailbox_that_is_not_the_users_gets_nothing(served, user, how):
    target = user.home / "elsewhere"
    if how == "link":
        target.write_text("")
        os.chown(target, user.uid, -1)
        user.spool.symlink_to(target)
    elif how == "foreign":
        user.spool.write_text("")
        os.chown(user.spool, 4321, 4321)
        user.spool.chmod(0o600)
    else:
        user.spool.unlink(missing_ok=True)
        user.spool.mkdir()
        os.chown(user.spool, user.uid, -1)
    demo = served()
    try:
        demo.send(letter(word()), sender="x@example.net")
        wait_for(lambda: "status=deferred" in demo.log() or "status=bounced" in demo.log())
        assert how != "link" or target.read_text() == ""
    finally:
        if how == "directory":
            user.spool.rmdir()


def test_a_full_disk_defers_and_leaves_no_half_letter(served, user):
    size = 3 << 20
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},uid={user.uid},mode=700", "none", user.home], check=True)
    try:
        demo = served(home_mailbox="Maildir/", minimal_backoff_time="2s", maximal_backoff_time="2s")
        filler = user.write("filler", "x" * (2 << 20))
        subject = word()
        demo.send(letter(subject, body="x" * 70 * 1000 + ("y" * 70 + "\n") * 20000), sender="x@example.net")
        wait_for(lambda: "status=deferred" in demo.log())
        assert not [p for p in (user.home / "Maildir").rglob("*") if p.is_file() and p.parent.name == "new"]
        filler.unlink()
        [found] = lands_in(user.maildir)
        assert found["Subject"] == subject
    finally:
        demo.stop()
        subprocess.run(["umount", "-l", user.home], check=True)


def test_a_login_by_another_back_end_takes_no_mail_from_a_system_user(tmp_path, user):
    """The domain is the directory's and in mydestination: the row a login made in the directory stands behind the user."""
    users = tmp_path / "users"
    users.write_text(f"{user.name}:{{PLAIN}}geheim::::::\nnobody-else:{{PLAIN}}geheim::::::\n")
    demo = Demo(tmp_path / "demo").start()
    try:
        with open(demo.config, "a") as f:
            f.write(f"mydestination = example.com\nauth_backends = directory passwd-file:{users}\nauth_default_realm = example.com\n")
        demo.command("reload")
        for name, goes in ((user.name, f"(user, uid {user.uid})"), ("nobody-else", "(mailbox)")):
            demo.command("auth", "test", name, input="geheim\n")
            assert f"goes to: {name}@example.com {goes}" in demo.command("address", "test", f"{name}@example.com").stdout
    finally:
        demo.stop()
