# SPDX-License-Identifier: ISC
"""`mansio mailbox`, `mansio message`, and the names tutorials know for them, as an administrator calls them.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_mailbox_commands.py
"""

import ctypes
import json
import os
import pathlib
import poplib
import pwd
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import BINARY, wait_for
from test_roles import PASSWORD, Village, trusting

JACK, JILL = "jack@example.com", "jill@example.com"


@pytest.fixture(scope="module")
def house():
    with Village("jack", "jill", keeper_processes="2") as village:
        yield village


@pytest.fixture
def jack(house):
    """Jack's mailboxes as new."""
    house.command("account", "delete", JACK)
    house.command("account", "add", JACK, input=PASSWORD + "\n")
    return house


def rows(house, *words):
    return json.loads(house.command(*words, "--json").stdout)


def put(house, folder, subject, body="Hello.", flags="", date=None, user="jack"):
    with house.imap(user) as box:
        box.create(f'"{folder}"')
        text = f"From: jill@example.com\r\nTo: {JACK}\r\nSubject: {subject}\r\n" \
               f"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{subject}@x>\r\n\r\n{body}\r\n"
        assert box.append(f'"{folder}"', flags, date, text.encode())[0] == "OK"


def names(house, *words):
    return [r["mailbox"] for r in rows(house, "mailbox", "list", JACK, *words)]


def doveadm(house, *words, **more):
    """By its own name, as a link in somebody's path."""
    link = house.directory / "doveadm"
    if not link.exists():
        link.symlink_to(BINARY)
    return subprocess.run([link, "-c", house.config, *words], capture_output=True, text=True, timeout=60, **more)


# ---- mailbox ------------------------------------------------------------------------------

def test_a_new_account_has_its_mailboxes(jack):
    assert names(jack) == ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]
    assert {r["mailbox"]: r["use"] for r in rows(jack, "mailbox", "list", JACK)}["Sent"] == "Sent"
    assert names(jack, "*a*") == ["Drafts", "Trash"]


def test_made_renamed_subscribed_and_deleted(jack):
    jack.command("mailbox", "create", JACK, "Lists/日本語", 'A "b" \\ c', "--subscribe")
    assert set(names(jack)) >= {"Lists/日本語", 'A "b" \\ c'}
    assert "Lists/日本語" in names(jack, "--subscribed")
    jack.command("mailbox", "unsubscribe", JACK, "Lists/日本語")
    assert "Lists/日本語" not in names(jack, "--subscribed")
    jack.command("mailbox", "subscribe", JACK, "Lists/日本語")
    jack.command("mailbox", "rename", JACK, "Lists", "Ex lists")
    assert "Ex lists/日本語" in names(jack) and "Lists" not in names(jack)
    jack.command("mailbox", "delete", JACK, "Ex lists", "--recursive")
    assert not [n for n in names(jack) if n.startswith("Ex")]
    jack.command("mailbox", "create", JACK, "Sent mail", "--use", "archive")
    assert {r["mailbox"]: r["use"] for r in rows(jack, "mailbox", "list", JACK)}["Sent mail"] == "Archive"


def test_delete_may_spare_what_is_not_empty(jack):
    put(jack, "Full", "kept")
    done = jack.command("mailbox", "delete", JACK, "Full", "--empty", check=False)
    assert done.returncode == 1 and "Full is not empty" in done.stderr and "Full" in names(jack)
    jack.command("mailbox", "delete", JACK, "Full")
    assert "Full" not in names(jack)


def test_status_counts(jack):
    put(jack, "INBOX", "one")
    put(jack, "INBOX", "two", flags="\\Seen")
    assert jack.command("mailbox", "status", JACK, "INBOX", "--fields", "messages unseen", "-f", "flow").stdout == \
        "mailbox=INBOX messages=2 unseen=1\n"
    whole = rows(jack, "mailbox", "status", JACK, "INBOX")[0]
    assert whole["uidnext"] == "3" and int(whole["size"]) > 200 and len(whole["id"]) >= 3
    everybody = rows(jack, "mailbox", "status", "*@example.com", "INBOX", "--fields", "messages")
    assert {r["user"]: r["messages"] for r in everybody}[JACK] == "2" and len(everybody) == 2


@pytest.mark.parametrize("words, status, said", [
    (("mailbox", "status", JACK, "Nope"), 1, "there is no mailbox Nope"),
    (("mailbox", "delete", JACK, "Nope"), 1, "Nope: "),
    (("mailbox", "list", "nobody@example.com"), 1, "there is no account nobody@example.com"),
    (("mailbox", "list", "x*@example.com"), 1, 'no account is like "x*@example.com"'),
    (("mailbox", "status", JACK, "--fields", "weight"), 1, '"weight" is not a field; right would be messages'),
    (("mailbox", "rename", JACK, "Sent"), 2, "mailbox rename ACCOUNT MAILBOX NEW"),
    (("mailbox", "list", JACK, "--jsn"), 2, 'does not know "--jsn"'),
    (("mailbox", "list", JACK, "-f", "xml"), 2, "right would be table, flow, tab, pager, json or values"),
    (("message", "search", JACK, "from"), 1, "FROM wants a word behind it"),
    (("message", "search", JACK, "or", "from", "a"), 1, "the second search key behind OR (OR KEY KEY) is missing"),
    (("message", "search", JACK, "or", "(", "from", "a", "or", ")", "seen"), 1, "the search key behind OR is missing"),
    (("message", "search", JACK, "seen", "not"), 1, "the search key behind NOT is missing"),
    (("message", "search", JACK, "since", "lately"), 1, '"lately" is not a date; right would be 22-Nov-2026'),
    (("message", "search", JACK, "frm", "x"), 1, '"frm" is not a search key'),
    (("message", "search", JACK, "(", "seen"), 1, 'a ")" is missing'),
    (("message", "search", JACK, "seen", "or", "deleted", "draft"), 1, "stand in parentheses"),
    (("message", "fetch", JACK, "uid colour", "all"), 1, '"colour" is not a field'),
    (("message", "flags", JACK, "add", "(x", "all"), 1, "are not flags"),
    (("message", "copy", JACK, "Nowhere", "mailbox", "INBOX", "all"), 1, "Nowhere"),
])
def test_what_is_wrong_is_said(house, words, status, said):
    if words[1] == "copy":
        put(house, "INBOX", "somewhere")
    done = house.command(*words, check=False)
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr


def test_mailbox_check(house):
    assert house.command("mailbox", "check", JACK).stdout == f"all is well in {JACK}\n"


# ---- message ------------------------------------------------------------------------------

def found(house, *query):
    return [(r["mailbox"], r["uid"]) for r in rows(house, "message", "search", JACK, *query)]


def test_search_as_imap_and_as_doveadm(jack):
    put(jack, "INBOX", "one", flags="\\Seen")
    put(jack, "INBOX", "two", date='"01-Nov-2026 10:00:00 +0000"')
    put(jack, "Lists/a", "three", body="x" * 3000)
    assert found(jack, "all") == [("INBOX", "1"), ("INBOX", "2"), ("Lists/a", "1")]
    assert found(jack, "mailbox", "Lists/*", "all") == [("Lists/a", "1")]
    assert found(jack, "subject", "two") == [("INBOX", "2")]
    assert found(jack, "mailbox", "INBOX", "unseen") == [("INBOX", "2")]
    assert found(jack, "on", "2026-11-01") == [("INBOX", "2")]
    assert found(jack, "since", "7d", "mailbox", "INBOX") in ([("INBOX", "1")], [("INBOX", "1"), ("INBOX", "2")])
    assert found(jack, "before", "2w", "mailbox", "Lists/*") == []
    assert found(jack, "larger", "2k") == [("Lists/a", "1")]
    assert found(jack, "not", "(", "mailbox", "INBOX", "or", "seen", ")") == [("Lists/a", "1")]
    assert found(jack, "or", "subject", "one", "subject", "two") == [("INBOX", "1"), ("INBOX", "2")]
    assert found(jack, 'subject "two" mailbox INBOX') == [("INBOX", "2")]
    assert found(jack, "header", "message-id", "<three@x>") == [("Lists/a", "1")]
    assert found(jack, "body", "nowhere to be found") == []


def test_fetch_small_and_large_fields(jack):
    put(jack, "INBOX", "one", body="Line.\r\n.dot and 驿站", flags="(\\Seen $Todo)")
    row, = rows(jack, "message", "fetch", JACK, "uid flags mailbox size date.sent hdr.subject seq user body", "all")
    assert row["hdr.subject"] == "one" and row["mailbox"] == "INBOX" and row["body"] == "Line.\n.dot and 驿站\n"
    assert set(row["flags"].split()) - {"\\Recent"} == {"\\Seen", "$Todo"} and row["user"] == JACK and row["seq"] == "1"
    whole, = rows(jack, "message", "fetch", JACK, "text", "all")
    assert whole["text"].startswith("From: jill@example.com\nTo: ")
    page = jack.command("message", "fetch", JACK, "uid hdr.from", "all").stdout
    assert page == "uid: 1\nhdr.from: jill@example.com\n"


def test_the_uidl_is_what_pop3_says(jack):
    put(jack, "INBOX", "one")
    drop = poplib.POP3_SSL("127.0.0.1", jack.ports["pop3s"], context=trusting())
    drop.user(JACK)
    drop.pass_(PASSWORD)
    said = drop.uidl()[1][0].split()[1].decode()
    assert rows(jack, "message", "fetch", JACK, "pop3.uidl", "all") == [{"pop3.uidl": said}]
    # A line for POP3 that is not as it should be: who asks for this field hears of it, nobody else needs it.
    before = jack.config.read_text()
    try:
        jack.config.write_text(before + "pop3_expire = soon\n")
        done = jack.command("message", "fetch", JACK, "pop3.uidl", "all", check=False)
        assert done.returncode == 1 and "pop3_expire = soon" in done.stderr
        assert rows(jack, "message", "fetch", JACK, "uid", "all") == [{"uid": "1"}]
    finally:
        jack.config.write_text(before)


def test_a_large_letter_passes_through(jack):
    body = "0123456789abcdef" * 4 + "\r\n"
    put(jack, "INBOX", "large", body=body * 100_000)
    text = jack.command("message", "fetch", JACK, "body", "all", "-f", "values").stdout
    assert text.rstrip("\n") == (body * 100_000).replace("\r", "").rstrip("\n")


def test_flags_copy_move_expunge(jack):
    put(jack, "INBOX", "one")
    put(jack, "INBOX", "two")
    jack.command("message", "flags", JACK, "add", "\\Flagged $Later", "subject", "one")
    assert found(jack, "flagged", "keyword", "$Later") == [("INBOX", "1")]
    jack.command("message", "flags", JACK, "remove", "$Later", "all")
    jack.command("message", "flags", JACK, "replace", "\\Seen", "subject", "two")
    assert found(jack, "keyword", "$Later") == [] and found(jack, "seen") == [("INBOX", "2")]
    jack.command("message", "copy", JACK, "Archive", "mailbox", "INBOX", "all")
    assert found(jack, "mailbox", "Archive") == [("Archive", "1"), ("Archive", "2")]
    jack.command("message", "move", JACK, "Trash", "mailbox", "Archive", "subject", "two")
    assert found(jack, "mailbox", "Trash") == [("Trash", "1")] and found(jack, "mailbox", "Archive") == [("Archive", "1")]
    jack.command("message", "copy", JACK, "INBOX", "mailbox", "INBOX", "subject", "one", "--to", JILL)
    copied, = rows(jack, "message", "fetch", JILL, "hdr.subject flags", "subject", "one")
    assert copied["hdr.subject"] == "one" and "\\Flagged" in copied["flags"]
    jack.command("message", "expunge", JACK, "mailbox", "INBOX", "subject", "two")
    assert found(jack, "mailbox", "INBOX") == [("INBOX", "1")]
    put(jack, "Once", "only")
    jack.command("message", "expunge", JACK, "mailbox", "Once", "all", "--delete-empty-mailbox")
    assert "Once" not in names(jack)


# ---- the names of the tutorials -------------------------------------------------------------

def test_doveadm_mailbox(jack):
    listed = doveadm(jack, "mailbox", "list", "-u", JACK)
    assert (listed.returncode, listed.stdout.split("\n")[0]) == (0, "INBOX")
    assert doveadm(jack, "mailbox", "create", "-u", JACK, "-s", "Spam").returncode == 0
    assert doveadm(jack, "mailbox", "rename", "-u", JACK, "Spam", "Ham").returncode == 0
    assert doveadm(jack, "mailbox", "list", "-u", JACK, "H*").stdout == "Ham\n"
    assert doveadm(jack, "mailbox", "delete", "-u", JACK, "-s", "Ham").returncode == 0
    put(jack, "INBOX", "one")
    flow = doveadm(jack, "mailbox", "status", "-u", JACK, "messages unseen", "INBOX")
    assert flow.stdout == "INBOX messages=1 unseen=1\n"
    table = doveadm(jack, "-f", "tab", "mailbox", "status", "-u", JACK, "messages", "INBOX")
    assert table.stdout == "mailbox\tmessages\nINBOX\t1\n"


def test_doveadm_search_and_fetch_as_scripts_do(jack):
    put(jack, "INBOX", "one")
    put(jack, "Lists", "two")
    lines = doveadm(jack, "search", "-u", JACK, "subject", "two").stdout.splitlines()
    guid, uid = lines[0].split()
    again = doveadm(jack, "fetch", "-u", JACK, "mailbox hdr.subject", "mailbox-guid", guid, "uid", uid)
    assert again.stdout == "mailbox: Lists\nhdr.subject: two\n"
    assert doveadm(jack, "flags", "add", "-u", JACK, "\\Seen", "mailbox", "Lists").returncode == 0
    assert doveadm(jack, "move", "-u", JACK, "INBOX", "mailbox", "Lists", "seen").returncode == 0
    assert doveadm(jack, "expunge", "-u", JACK, "mailbox", "INBOX", "all").returncode == 0
    assert doveadm(jack, "search", "-A", "mailbox", "INBOX", "subject", "two").stdout == ""


HALF_SAID = ["all", "seen", "all seen", "mailbox INBOX", "mailbox *", "mailbox INBOX not mailbox Sent", "( mailbox INBOX )", "not mailbox INBOX",
             "( mailbox INBOX or mailbox Sent )", "( mailbox INBOX or seen )", "( mailbox INBOX or seen ) mailbox Sent",
             "( ( mailbox INBOX seen ) or ( flagged ) )", "( ( mailbox INBOX seen ) or mailbox Sent )", "mailbox-guid 0123456789abcdef0123456789abcdef"]
SAID = ["mailbox INBOX deleted", "deleted mailbox INBOX", "mailbox * deleted", "deleted not mailbox INBOX", "( mailbox INBOX or mailbox Sent ) deleted",
        "( ( mailbox INBOX deleted ) or ( mailbox Sent deleted ) )", "not ( not mailbox INBOX ) deleted", "mailbox INBOX all"]


@pytest.mark.skipif(not pathlib.Path("/usr/bin/doveadm").exists(), reason="no dovecot")
def test_doveadm_expunges_nothing_by_a_query_half_said(jack):
    """Refused for the same reason where Dovecot's own refuses, and nothing removed; done where it does it."""
    owner = pwd.getpwnam("mail")
    place = pathlib.Path(tempfile.mkdtemp(prefix="expunge-", dir="/tmp"))
    try:
        for name in ["", ".Sent"]:
            for part in ["cur", "new", "tmp"]:
                (place / "Maildir" / name / part).mkdir(parents=True)
        (place / "dovecot.conf").write_text(f"log_path = {place}/log\nprotocols =\nssl = no\nbase_dir = {place}/run\nfirst_valid_uid = 1\n"
                                            f"mail_location = maildir:{place}/Maildir\nmail_uid = {owner.pw_uid}\nmail_gid = {owner.pw_gid}\n")
        subprocess.run(["chown", "-R", "mail:", place], check=True)
        for folder in ["INBOX", "Sent", "Lists"]:
            put(jack, folder, f"in {folder}")
        for query in HALF_SAID + SAID:
            theirs = subprocess.run(["/usr/bin/doveadm", "-c", place / "dovecot.conf", "expunge", *query.split()], capture_output=True, text=True,
                                    timeout=30, env={**os.environ, "USER": "mail", "HOME": str(place)})
            ours = doveadm(jack, "expunge", "-u", JACK, *query.split())
            assert ours.returncode == theirs.returncode == (64 if query in HALF_SAID else 0), (query, theirs.stderr, ours.stderr)
            said = theirs.stderr + (place / "log").read_text() if (place / "log").exists() else theirs.stderr
            (place / "log").unlink(missing_ok=True)
            if query in HALF_SAID:
                assert ("besides MAILBOX" in said) == ("besides MAILBOX" in ours.stderr), (query, said, ours.stderr)
                assert ("contain MAILBOX" in said) == ("lacks MAILBOX" in ours.stderr), (query, said, ours.stderr)
            assert len(found(jack, "all")) == (3 if query != SAID[-1] else 2), query
    finally:
        shutil.rmtree(place)


def test_our_own_expunge_wants_more_than_a_mailbox(jack):
    put(jack, "INBOX", "one")
    done = jack.command("message", "expunge", JACK, "mailbox", "INBOX", check=False)
    assert done.returncode == 1 and "says nothing besides MAILBOX" in done.stderr
    assert found(jack, "all") == [("INBOX", "1")]
    jack.command("message", "expunge", JACK, "all")
    assert found(jack, "all") == []


@pytest.mark.parametrize("status, words", [
    (64, ("mailbox", "lst", "-u", JACK)),
    (64, ("mailbox", "list", "-q", "-u", JACK)),
    (67, ("mailbox", "list", "-u", "nobody@example.com")),
    (67, ("user", "nobody@example.com")),
    (68, ("mailbox", "status", "-u", JACK, "all", "Nope")),
    (68, ("kick", "nobody")),
    (77, ("auth", "test", JACK, "wrong")),
    (0, ("auth", "test", JACK, PASSWORD)),
    (0, ("user", JACK)),
    (0, ("who",)),
    (0, ("log", "find")),
    (0, ("reload",)),
    (0, ("force-resync", "-u", JACK, "INBOX")),
])
def test_doveadm_exit_statuses(house, status, words):
    done = doveadm(house, *words)
    assert done.returncode == status, done.stdout + done.stderr


def test_doveadm_as_a_command_of_ours(house):
    assert house.command("doveadm", "mailbox", "list", "-u", JACK).stdout.startswith("INBOX\n")


def test_doveconf(house):
    assert "mail_directory = " in house.command("doveconf", "-n").stdout
    assert "pop3_autologout = " in house.command("doveconf", "-a").stdout
    assert house.command("doveconf", "-h", "myhostname").stdout == "mail.example.com\n"
    assert house.command("doveconf", "no_such_name", check=False).returncode == 1


def test_maildirmake(tmp_path):
    for name in ["maildirmake", "maildirmake.dovecot"]:
        os.symlink(BINARY, tmp_path / name)
    box = tmp_path / "Maildir"
    subprocess.run([tmp_path / "maildirmake.dovecot", box], check=True)
    subprocess.run([tmp_path / "maildirmake", "-f", "Sent", box], check=True)
    assert sorted(str(p.relative_to(box)) for p in box.rglob("*")) == [
        ".Sent", ".Sent/cur", ".Sent/maildirfolder", ".Sent/new", ".Sent/tmp", "cur", "new", "tmp"]
    assert box.stat().st_mode & 0o777 == 0o700 and (box / "cur").stat().st_mode & 0o777 == 0o700
    wrong = subprocess.run([tmp_path / "maildirmake", "-f", "a/b", box], capture_output=True, text=True)
    assert wrong.returncode == 2 and "is not the name of a folder" in wrong.stderr


@pytest.mark.parametrize("theirs, rows", [
    ("/usr/bin/maildirmake.dovecot", [["a"], ["a"], ["no/such/b"], ["a/.Sent"], ["c", "mail"], ["d/"]]),
    ("/usr/bin/maildirmake", [["a"], ["-f", "Sent", "a"], ["-f", "x.y", "a"]]),
])
def test_maildirmake_beside_theirs(tmp_path, theirs, rows):
    if not os.path.exists(theirs) or os.getuid() != 0:
        pytest.skip("it is not here, or we are not root")
    made = []
    for side in (BINARY, theirs):
        home = tmp_path / ("ours" if side == BINARY else "theirs") / "home"
        home.mkdir(parents=True)
        program = tmp_path / pathlib.Path(theirs).name
        if side == BINARY:
            os.symlink(BINARY, program)
        for words in rows:
            assert subprocess.run([program if side == BINARY else theirs, *words], cwd=home, timeout=30).returncode == 0, words
        made.append(sorted((str(p.relative_to(home)), oct(p.stat().st_mode), p.owner()) for p in home.rglob("*") if p.is_dir()))
    assert made[0] == made[1]


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes them for others")
def test_maildirmake_gives_away_nothing_behind_links_of_the_owner(tmp_path):
    tmp_path.chmod(0o755)
    program, home, victim = tmp_path / "maildirmake", tmp_path / "home", tmp_path / "victim"
    os.symlink(BINARY, program)
    home.mkdir()
    shutil.chown(home, "mail", "mail")
    victim.write_text("secret")
    (tmp_path / "root" / "tmp").mkdir(parents=True)

    def owners(*paths):
        return [p.owner() for p in paths]

    def make(*words):
        return subprocess.run([program, *words], capture_output=True, text=True, timeout=30)

    box = home / "box"
    assert make(box, "mail").returncode == make("-f", "Sent", box, "mail").returncode == 0
    assert owners(box, box / "tmp", box / ".Sent", box / ".Sent/maildirfolder") == ["mail"] * 4
    (box / ".Sent/maildirfolder").unlink()
    os.symlink(victim, box / ".Sent/maildirfolder")
    make("-f", "Sent", box, "mail")
    assert (victim.read_text(), victim.owner()) == ("secret", "root")
    os.symlink("../root", home / "link")
    for words in ([home / "link"], [home / "link/tmp"], ["-f", "x", home / "link"]):
        done = make(*words, "mail")
        assert done.returncode == 1 and "links of root" in done.stderr, words
    assert owners(tmp_path / "root", tmp_path / "root/tmp") == ["root"] * 2 and os.listdir(tmp_path / "root") == ["tmp"]
    os.symlink("home", tmp_path / "by-root")
    assert make(tmp_path / "by-root/other", "mail").returncode == 0 and owners(home / "other/cur") == ["mail"]


def test_maildirmake_keeps_no_quota(tmp_path):
    os.symlink(BINARY, tmp_path / "maildirmake")
    done = subprocess.run([tmp_path / "maildirmake", "-q", "1000S", tmp_path / "box"], capture_output=True, text=True)
    assert done.returncode == 2 and "mansio quota set" in done.stderr and not (tmp_path / "box").exists()


# ---- rights, notes, quota ---------------------------------------------------------------------

def test_acl(jack):
    jack.command("mailbox", "create", JACK, "Club")
    owner, = rows(jack, "mailbox", "acl", JACK, "Club")
    assert owner["who"] == JACK and set("lrswipkxtea") <= set(owner["rights"])
    for words in [("Club", JILL, "?!"), ("Nope",)]:
        done = jack.command("mailbox", "acl", JACK, *words, check=False)
        assert done.returncode == 1 and f"{words[0]}: " in done.stderr


def test_acl_of_who_is_not_there_is_warned_of(jack):
    """rfc4314 lets an identifier be of nobody yet, and doveadm takes it in silence; one that is written wrongly is seen so."""
    jack.command("mailbox", "create", JACK, "Club")
    jack.command("group", "add", "readers@example.com")
    for who, nobody in [("jil@example.com", "account jil@example.com"), ("-jil", "account jil@example.com"), ("$reader", "group reader@example.com"), (JILL, None), ("jill", None),
                        ("$readers", None), ("anyone", None), ("-Anyone", None), ("authenticated", None)]:
        done = jack.command("mailbox", "acl", JACK, "Club", who, "lr")
        assert done.stderr.startswith(f"mansio: warning: there is no {nobody};") if nobody else done.stderr == "", (who, done.stderr)
        assert done.stdout == ""
        assert jack.command("mailbox", "acl", JACK, "Club", who, "none").stderr == ""
    assert len(rows(jack, "mailbox", "acl", JACK, "Club")) == 1
    jack.command("group", "delete", "readers@example.com")


def test_acl_in_the_words_of_doveadm(jack):
    jack.command("mailbox", "create", JACK, "Club")
    assert doveadm(jack, "acl", "set", "-u", JACK, "Club", f"user={JILL}", "lookup", "read").returncode == 0
    assert doveadm(jack, "acl", "add", "-u", JACK, "Club", f"user={JILL}", "write-seen").returncode == 0
    told = doveadm(jack, "-f", "tab", "acl", "get", "-u", JACK, "Club").stdout.splitlines()
    assert told == ["ID\tGlobal\tRights", f"user={JILL}\t\tlookup read write-seen"]
    assert {"who": JILL, "rights": "lrs"} in rows(jack, "mailbox", "acl", JACK, "Club")
    with jack.imap("jill") as box:
        assert box.select('"Other Users/jack/Club"', readonly=True)[0] == "OK"
    assert doveadm(jack, "acl", "remove", "-u", JACK, "Club", f"user={JILL}", "read").returncode == 0
    assert {"who": JILL, "rights": "ls"} in rows(jack, "mailbox", "acl", JACK, "Club")
    assert doveadm(jack, "acl", "delete", "-u", JACK, "Club", f"user={JILL}").returncode == 0
    assert len(rows(jack, "mailbox", "acl", JACK, "Club")) == 1
    assert doveadm(jack, "acl", "set", "-u", JACK, "Club", f"user={JILL}", "fly").returncode == 64


def test_rights_by_command(jack):
    """The rights of every account can be set, whatever keeper has it."""
    for owner, reader in [(JACK, JILL), (JILL, JACK)]:
        jack.command("mailbox", "acl", owner, "Drafts", reader, "lr")
        assert {"who": reader, "rights": "lr"} in rows(jack, "mailbox", "acl", owner, "Drafts")
        jack.command("mailbox", "acl", owner, "Drafts", reader, "none")
        assert len(rows(jack, "mailbox", "acl", owner, "Drafts")) == 1


def test_metadata(jack):
    jack.command("mailbox", "metadata", JACK, "INBOX", "/private/comment", "Mine, 驿站")
    assert rows(jack, "mailbox", "metadata", JACK, "INBOX") == [{"entry": "/private/comment", "value": "Mine, 驿站"}]
    assert rows(jack, "mailbox", "metadata", JACK, "INBOX", "/private/comment")[0]["value"] == "Mine, 驿站"
    jack.command("mailbox", "metadata", JACK, "INBOX", "/private/comment", "")
    assert rows(jack, "mailbox", "metadata", JACK, "INBOX") == []


def test_what_the_server_says_of_itself_is_a_setting(jack):
    for entry, setting in [("/shared/comment", "imap_server_comment"), ("/shared/admin", "imap_admin_contact")]:
        done = jack.command("mailbox", "metadata", JACK, "", entry, "x", check=False)
        assert done.returncode == 1 and f"mansio config set {setting}=" in done.stderr


def test_account_show_tells_the_place(jack):
    assert jack.command("account", "show", JACK).stdout.rstrip().endswith(" mail_location=log")
    row, = json.loads(jack.command("account", "show", JACK, "--json").stdout)
    assert row["mail_location"] == "log"


def test_everybodys_mailboxes_are_each_listed_once(jack):
    jack.command("mailbox", "create", JACK, "Club")
    jack.command("mailbox", "acl", JACK, "Club", JILL, "lr")
    assert "Other Users/" in doveadm(jack, "mailbox", "list", "-u", JILL).stdout
    everybody = doveadm(jack, "mailbox", "list", "-A").stdout.splitlines()
    assert f"{JACK} Club" in everybody and not [line for line in everybody if "Other Users" in line]
    jack.command("mailbox", "acl", JACK, "Club", JILL, "none")


def test_quota(jack):
    put(jack, "INBOX", "one", body="x" * 5000)
    mine, = rows(jack, "quota", "get", JACK)
    assert mine["user"] == JACK and mine["messages"] == "1" and 5000 < int(mine["bytes"]) < 6000
    assert len(rows(jack, "quota", "list")) == 2
    counted = jack.command("quota", "recalculate", JACK).stdout
    assert counted == f"{JACK}: {mine['bytes']} bytes, 1 messages\n"
    table = doveadm(jack, "-f", "tab", "quota", "get", "-u", JACK).stdout.splitlines()
    assert table[0] == "Quota name\tType\tValue\tLimit\t%" and table[2] == "User quota\tMESSAGE\t1\t-\t0"
    assert doveadm(jack, "quota", "recalc", "-u", JACK).returncode == 0


def test_dates_of_saving_and_ids(jack):
    put(jack, "INBOX", "one", date='"01-Nov-2020 10:00:00 +0000"')
    row, = rows(jack, "message", "fetch", JACK, "guid date.saved date.received", "savedsince", "2d")
    assert row["date.received"].startswith("2020-11-01") and not row["date.saved"].startswith("2020") and row["guid"]
    assert found(jack, "savedbefore", "30d") == [] and found(jack, "before", "30d") == [("INBOX", "1")]


def test_quota_set(jack):
    jack.command("quota", "set", JACK, "--storage", "5M", "--messages", "7")
    mine, = rows(jack, "quota", "get", JACK)
    assert (mine["bytes_limit"], mine["messages_limit"]) == (str(5 << 20), "7")
    jack.command("quota", "set", "example.com", "--messages", "9")
    jack.command("quota", "set", JACK, "--messages", "default")
    with jack.imap("jack"), jack.imap("jill"):
        assert {r["user"]: r["messages_limit"] for r in rows(jack, "quota", "list")} == {JACK: "9", JILL: "9"}
    jack.command("quota", "set", "example.com", "--messages", "default")
    jack.command("quota", "set", JACK, "--storage", "none")
    assert jack.command("quota", "set", JACK, check=False).returncode == 2
    for words, right in [(("--storage", "much"), "--storage much is no limit; right would be 500M, 2G, none or default"),
                         (("--messages", "5M"), "--messages 5M is no limit; right would be 10000, none or default"),
                         (("--storage", "-1"), "--storage -1 is no limit")]:
        wrong = jack.command("quota", "set", JACK, *words, check=False)
        assert wrong.returncode == 2 and right in wrong.stderr and "mail-location" not in wrong.stderr


def test_the_text_index_is_told_and_made_anew(jack):
    for n in range(3):
        put(jack, "INBOX", f"letter {n}", body="驿站")
    with jack.imap("jack"):
        count = lambda: rows(jack, "mailbox", "index", JACK)[0]["letters"]
        wait_for(lambda: count() == "3")
        assert int(rows(jack, "mailbox", "index", JACK)[0]["bytes"]) > 0
        jack.command("mailbox", "index", JACK, "--rebuild")
        wait_for(lambda: count() == "3")


# ---- as doveadm says it -----------------------------------------------------------------------

def test_doveadm_who_is_by_user_and_protocol(jack):
    with jack.imap("jack"), jack.imap("jack"), jack.imap("jill"):
        told = doveadm(jack, "-f", "tab", "who").stdout.splitlines()
        assert told[0] == "username\t#\tproto\t(pids)\t(ips)"
        found = {line.split("\t")[0]: line.split("\t")[1:] for line in told[1:]}
        assert found[JACK][:2] == ["2", "imap"] and found[JACK][3] == "(127.0.0.1)"
        assert found[JILL][0] == "1" and found[JILL][2].strip("()").isdigit()
        assert len(doveadm(jack, "-f", "tab", "who", "-1").stdout.splitlines()) == 4
        assert len(doveadm(jack, "-f", "tab", "who", "jill*").stdout.splitlines()) == 2


def test_doveadm_kick_says_whom(jack):
    boxes = [jack.imap(user) for user in ("jack", "jack", "jill")]
    try:
        done = doveadm(jack, "kick", "jack*")
        assert (done.returncode, done.stdout) == (0, f"kicked connections from the following users:\n{JACK} \n")
        wait_for(lambda: len(doveadm(jack, "-f", "tab", "who").stdout.splitlines()) == 2)
        done = doveadm(jack, "kick", "jack*")
        assert (done.returncode, done.stdout) == (68, "no users kicked\n")
    finally:
        for box in boxes:
            box.shutdown()


@pytest.mark.parametrize("scheme", ["SHA512-CRYPT", "SHA256-CRYPT", "BLF-CRYPT", "CRYPT", "ARGON2ID", "SCRAM-SHA-256", "PLAIN"])
def test_doveadm_pw(house, scheme):
    made = doveadm(house, "pw", "-s", scheme, "-p", "geheim").stdout.strip()
    assert made.startswith("{%s}" % scheme)
    assert doveadm(house, "pw", "-t", made, "-p", "geheim").stdout.strip() == made + " (verified)"
    assert doveadm(house, "pw", "-t", made, "-p", "other").returncode == 75
    if scheme.endswith("-CRYPT"):
        crypt = ctypes.CDLL("libcrypt.so.1").crypt
        crypt.restype = ctypes.c_char_p
        assert crypt(b"geheim", made.partition("}")[2].encode()) == made.partition("}")[2].encode()


def test_doveadm_pw_knows_the_hashes_of_others(house):
    """The vector of rfc7677:3, and one of the SHA-crypt specification."""
    scram = "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
            "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    assert doveadm(house, "pw", "-t", scram, "-p", "pencil").returncode == 0
    crypt = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
    assert doveadm(house, "pw", "-t", crypt, "-p", "Hello world!").returncode == 0
    assert doveadm(house, "pw", "-s", "PLAIN-MD4", "-p", "x").returncode == 75
