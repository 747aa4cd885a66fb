# SPDX-License-Identifier: ISC
"""doveadm beside Debian's doveadm: the same letters, the same commands, the same bytes and exit statuses, but for ids and moments.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_doveadm_beside.py
"""

import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import BINARY, wait_for
from test_roles import Village

THEIRS = "/usr/bin/doveadm"
JACK, JILL = "jack@example.com", "jill@example.com"
pytestmark = pytest.mark.skipif(not pathlib.Path(THEIRS).exists(), reason="no dovecot")

ONE = "From: jill@example.com\nTo: jack@example.com\nSubject: one\nDate: Sun, 22 Nov 2026 12:00:00 +0000\nMessage-ID: <one@x>\n\nHello.\n"
TWO = ("Received: from a\n by b\nReceived: from c\nFrom: jill@example.com\nTo: jack@example.com,\n\tb@example.com\nSubject: =?utf-8?q?zw=C3=A4i?=\n"
       "Date: Sun, 22 Nov 2026 23:30:00 -0130\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
       "X-Odd: \"a\\b\" \x0c\x7f/\u2028\n\nLine \"a\" \\ \t tab\n.dot 驿站\nlast without end")
EMPTY = "From: jill@example.com\n\n"
LETTERS = [("INBOX", ONE), ("INBOX", TWO), ("Lists", EMPTY), ("Lists/deep", ONE)]

CONFIG = """
log_path = {at}/log
protocols =
ssl = no
base_dir = {at}/run
first_valid_uid = 1
mail_location = maildir:{at}/%u
mail_plugins = acl quota
mail_uid = {uid}
mail_gid = {gid}
mail_attribute_dict = file:%h/attributes
passdb {{
  driver = passwd-file
  args = {at}/users
}}
userdb {{
  driver = passwd-file
  args = {at}/users
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=1G
  acl = vfile
}}
"""


class Dovecot:
    def __init__(self):
        owner = pwd.getpwnam("mail")
        self.at = pathlib.Path(tempfile.mkdtemp(prefix="beside-doveadm-", dir="/tmp"))
        self.at.chmod(0o755)
        self.config = self.at / "dovecot.conf"
        self.config.write_text(CONFIG.format(at=self.at, uid=owner.pw_uid, gid=owner.pw_gid))
        (self.at / "users").write_text("".join(f"{who}:{{PLAIN}}x:{owner.pw_uid}:{owner.pw_gid}::{self.at}/{who}::\n" for who in (JACK, JILL)))
        for who in (JACK, JILL):
            (self.at / who).mkdir()
            shutil.chown(self.at / who, "mail", "mail")
        subprocess.run(["dovecot", "-c", self.config], check=True, timeout=60)
        wait_for(lambda: self.run(["user", JACK]).returncode == 0)

    def run(self, words, text=""):
        return subprocess.run([THEIRS, "-c", self.config, *words], input=text.encode(), capture_output=True, timeout=60, env={"PATH": "/usr/bin"})

    def close(self):
        subprocess.run(["doveadm", "-c", self.config, "stop"], capture_output=True, timeout=60)
        shutil.rmtree(self.at, ignore_errors=True)


class Ours:
    def __init__(self, village):
        self.config = village.config

    def run(self, words, text=""):
        return subprocess.run([BINARY, "-c", self.config, "doveadm", *words], input=text.encode(), capture_output=True, timeout=60,
                              env={"PATH": "/usr/bin"})


@pytest.fixture(scope="module")
def pair():
    with Village("jack", "jill", quota_storage="1G", quota_messages="0", imap_server_comment="x") as village:
        theirs = Dovecot()
        try:
            ours = Ours(village)
            for side in (ours, theirs):
                for folder in ("Archive", "Drafts", "Junk", "Sent", "Trash"):
                    for who in (JACK, JILL):
                        side.run(["mailbox", "create", "-u", who, folder])
                for folder in ("Lists", "Lists/deep"):
                    assert side.run(["mailbox", "create", "-u", JACK, folder]).returncode == 0
                for folder, text in LETTERS:
                    assert side.run(["save", "-u", JACK, "-m", folder], text).returncode == 0
                assert side.run(["save", "-u", JILL], ONE).returncode == 0
                for words in [["flags", "add", "-u", JACK, "\\Seen \\Draft \\Answered", "mailbox", "INBOX", "uid", "1"],
                              ["flags", "remove", "-u", JACK, "\\Draft", "mailbox", "INBOX", "uid", "1"],
                              ["flags", "replace", "-u", JACK, "\\Flagged \\Deleted word", "mailbox", "INBOX", "uid", "2"],
                              ["acl", "set", "-u", JACK, "Archive", f"user={JILL}", "lookup", "read", "write"],
                              ["acl", "add", "-u", JACK, "Archive", f"user={JILL}", "write-seen"],
                              ["acl", "remove", "-u", JACK, "Archive", f"user={JILL}", "write"]]:
                    done = side.run(words)
                    assert done.returncode == 0, done.stderr
            yield ours, theirs
        finally:
            theirs.close()


def ids_of(side):
    """Names for what each side calls a mailbox, and its uidvalidity: only where they stand is compared."""
    names = {}
    for who in (JACK, JILL):
        for line in side.run(["-f", "tab", "mailbox", "status", "-u", who, "uidvalidity guid", "*"]).stdout.decode().splitlines()[1:]:
            name, validity, guid = line.split("\t")
            names[guid] = f"GUID({who} {name})"
            names.setdefault(validity, "SECONDS")
    return names


def plain(text, names, loose):
    for word in sorted(names, key=len, reverse=True):
        text = text.replace(word, names[word])
    # A mailbox id of ours is shorter than their guid, so columns behind it, and their share of a table's blanks, stand elsewhere.
    if loose:
        text = re.sub("(?<=[^ ]) +", " ", text).replace(" \n", "\n")
    text = re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d(?! \()", "MOMENT", text)
    return re.sub(r"\b1[78]\d{8}\b(?<!1795402800)", "SECONDS", text)


FORMS = [None, "flow", "tab", "pager", "json", "table"]
IN_EVERY_FORM = [
    ["mailbox", "list", "-u", JACK, "INBOX"],
    ["mailbox", "list", "-u", JACK, "Lists/*"],
    ["mailbox", "list", "-A", "INBOX"],
    ["mailbox", "list", "-u", JACK, "Nope/*"],
    ["mailbox", "status", "-u", JACK, "messages vsize", "INBOX"],
    ["mailbox", "status", "-u", JACK, "unseen messages", "INBOX"],
    ["mailbox", "status", "-u", JACK, "guid", "Lists"],
    ["mailbox", "status", "-u", JACK, "firstsaved uidvalidity uidnext", "INBOX"],
    ["mailbox", "status", "-u", JACK, "firstsaved", "Sent"],
    ["mailbox", "status", "-A", "messages vsize", "INBOX"],
    ["mailbox", "status", "-u", JACK, "-t", "messages vsize", "*"],
    ["mailbox", "status", "-A", "-t", "messages unseen", "INBOX"],
    ["search", "-u", JACK, "mailbox", "INBOX"],
    ["search", "-u", JACK, "mailbox", "Lists/deep", "subject", "one"],
    ["search", "-u", JACK, "mailbox", "INBOX", "subject", "nothing"],
    ["search", "-A", "mailbox", "INBOX", "subject", "one"],
    ["fetch", "-u", JACK, "uid", "mailbox", "INBOX"],
    ["fetch", "-u", JACK, "uid flags hdr.subject", "mailbox", "INBOX", "uid", "1"],
    ["fetch", "-u", JACK, "seq uid user mailbox size.virtual", "mailbox", "INBOX"],
    ["fetch", "-u", JACK, "flags", "mailbox", "INBOX"],
    ["fetch", "-u", JACK, "mailbox-guid uid", "mailbox", "Lists"],
    ["fetch", "-u", JACK, "date.received date.saved date.sent", "mailbox", "INBOX"],
    ["fetch", "-u", JACK, "date.received.unixtime date.saved.unixtime date.sent.unixtime", "mailbox", "INBOX"],
    ["fetch", "-u", JACK, "hdr.nope uid hdr.to.utf8 hdr.subject.utf8", "mailbox", "INBOX"],
    ["fetch", "-u", JACK, "uid", "mailbox", "INBOX", "subject", "nothing"],
    ["fetch", "-A", "uid flags", "mailbox", "INBOX", "subject", "one"],
    ["quota", "get", "-u", JILL],
    ["acl", "get", "-u", JACK, "Sent"],
    ["acl", "get", "-u", JACK, "Archive"],
    ["acl", "rights", "-u", JACK, "Sent"],
]
# A table has no room for these.
LARGE = [
    ["fetch", "-u", JACK, "text", "mailbox", "INBOX"],
    ["fetch", "-u", JACK, "uid text", "mailbox", "INBOX"],
    ["fetch", "-u", JACK, "text uid", "mailbox", "INBOX"],
    ["fetch", "-u", JACK, "hdr body uid", "mailbox", "INBOX"],
    ["fetch", "-u", JACK, "body", "mailbox", "INBOX", "uid", "1"],
    ["fetch", "-u", JACK, "body uid", "mailbox", "Lists"],
    ["fetch", "-u", JACK, "uid body", "mailbox", "Lists"],
    ["fetch", "-u", JACK, "body.1", "mailbox", "INBOX"],
    ["fetch", "-u", JACK, "binary.1 uid", "mailbox", "INBOX"],
    ["fetch", "-u", JACK, "hdr.to hdr.received hdr.x-odd uid", "mailbox", "INBOX"],
    ["fetch", "-A", "text uid", "mailbox", "INBOX", "subject", "one"],
]
ONCE = [
    ["mailbox", "status", "-u", JACK, "all", "INBOX"],
    ["mailbox", "status", "-u", JACK, "-t", "all", "*"],
    ["mailbox", "status", "-u", JACK, "bogus", "INBOX"],
    ["mailbox", "status", "-u", JACK, "messages", "Nope"],
    ["mailbox", "status", "-u", JACK, "messages"],
    ["fetch", "-u", JACK, "bogus", "all"],
    ["fetch", "-u", JACK, "uid"],
    ["search", "-u", JACK, "bogus"],
    ["search", "-u", JACK, "mailbox", "Nope"],
    ["search", "-u", JACK],
    ["-f", "xml", "search", "-u", JACK, "all"],
    ["-f", "table", "fetch", "-u", JACK, "text", "mailbox", "INBOX"],
    ["search", "-u", "nobody@example.com", "all"],
    ["mailbox", "mutf7", "Entwürfe", "a&b", "plain"],
    ["mailbox", "mutf7", "-7", "Entw&APw-rfe", "a&-b", "&A"],
    ["mailbox", "mutf7"],
    ["mailbox", "metadata", "set", "-u", JACK, "Sent", "/private/comment", "for, me"],
    ["mailbox", "metadata", "get", "-u", JACK, "Sent", "/private/comment"],
    ["-f", "json", "mailbox", "metadata", "get", "-u", JACK, "Sent", "/private/comment"],
    ["-f", "tab", "mailbox", "metadata", "get", "-u", JACK, "Sent", "/private/comment"],
    ["mailbox", "metadata", "unset", "-u", JACK, "Sent", "/private/comment"],
    ["mailbox", "metadata", "get", "-u", JACK, "Sent", "/private/comment"],
    ["mailbox", "metadata", "get", "-u", JACK, "Sent"],
    ["acl", "recalc", "-u", JACK],
    ["quota", "recalc", "-u", JACK],
    ["index", "-u", JACK, "INBOX"],
    ["index", "-A", "-q", "*"],
    ["index", "-u", JACK],
    ["purge", "-u", JACK],
    ["force-resync", "-u", JACK, "INBOX"],
    ["force-resync", "-u", JACK, "*"],
    ["force-resync", "-u", JACK, "Nope"],
    ["force-resync", "-u", JACK],
    ["force-resync", "-A", "INBOX"],
    ["import", "-u", JACK, "nothing:/tmp", "", "all"],
    ["import", "-u", JACK],
    ["copy", "-u", JACK, "Nope", "mailbox", "INBOX", "all"],
    ["move", "-u", JACK, "Nope", "mailbox", "INBOX", "all"],
    ["copy", "-u", JACK, "Sent", "mailbox", "Nope", "all"],
    ["copy", "-u", JACK, "Sent"],
    ["copy", "-u", JACK, "Drafts", "user", JILL, "mailbox", "INBOX", "all"],
    ["fetch", "-u", JACK, "hdr.subject", "mailbox", "Drafts"],
    ["move", "-u", JACK, "Trash", "mailbox", "Drafts", "all"],
    ["fetch", "-u", JACK, "mailbox hdr.subject", "(", "mailbox", "Drafts", "or", "mailbox", "Trash", ")"],
    ["expunge", "-u", JACK, "mailbox", "Trash", "subject", "one"],
    ["mailbox", "status", "-u", JACK, "messages", "Trash"],
    ["flags", "add", "-u", JACK, "\\Bogus", "mailbox", "INBOX"],
    ["flags", "add", "-u", JACK],
    ["flags", "add", "-u", JACK, "\\Seen", "mailbox", "Nope"],
    ["expunge", "-u", JACK, "mailbox", "Nope", "all"],
    ["save", "-u", JACK, "-m", "Nope"],
    ["mailbox", "rename", "-u", JACK, "Nope", "Other"],
    ["mailbox", "rename", "-u", JACK, "Drafts", "Sent"],
    ["mailbox", "create", "-u", JACK, "INBOX"],
    ["mailbox", "create", "-u", JACK, "-s", "New"],
    ["mailbox", "list", "-u", JACK, "-s", "New"],
    ["mailbox", "delete", "-u", JACK, "-s", "New"],
    ["mailbox", "list", "-u", JACK, "-s", "New*"],
    ["mailbox", "delete", "-u", JACK, "-e", "Lists"],
    ["mailbox", "delete", "-u", JACK, "Nope"],
    ["mailbox", "unsubscribe", "-u", JACK, "Nope"],
    ["acl", "set", "-u", JACK, "Nope", f"user={JILL}", "read"],
    ["acl", "set", "-u", JACK, "Sent", f"user={JILL}", "fly"],
    ["kick", "nobody@example.com"],
    ["kick", "nobody@example.com", "192.0.2.0/24"],
    ["kick", "192.0.2.0/24", "nobody@example.com"],
    ["kick", "nobody@example.com", JACK],
    ["kick", "192.0.2.0/24", "::1"],
    ["who", JACK, "192.0.2.0/24"],
    ["who", JACK, JILL],
    ["user", "-f", "home", "nobody@example.com"],
    ["search", "-u", JACK, "mailbox", "INBOX", "(", "seen"],
    ["search", "-u", JACK, "mailbox", "INBOX", "since", "lately"],
    ["search", "-u", JACK, "mailbox", "INBOX", "or", "subject", "one", "flagged"],
    ["search", "-u", JACK, "mailbox", "INBOX", "(", "seen", "or", "flagged", ")"],
    ["search", "-u", JACK, "mailbox", "INBOX", "not", "seen"],
    ["search", "-u", JACK, "mailbox", "INBOX", "1"],
    ["search", "-u", JACK, "mailbox", "INBOX", "1:*"],
    ["search", "-u", JACK, "mailbox", "INBOX", "larger", "1k"],
    ["search", "-u", JACK, "mailbox", "INBOX", "keyword", "word"],
    ["search", "-u", JACK, "mailbox", "INBOX", "header", "x-odd", "a"],
    ["search", "-u", JACK, "mailbox", "INBOX", "savedsince", "1d"],
    ["search", "-u", JACK, "mailbox", "INBOX", "sentbefore", "2026-11-22"],
]


@pytest.fixture(scope="module")
def ids(pair):
    return [ids_of(side) for side in pair]


def said(pair, ids, words):
    outs, loose = [], "table" in words and any(word in " ".join(words) for word in ("guid", "search"))
    for side, names in zip(pair, ids):
        done = side.run(words)
        outs.append((plain(done.stdout.decode("utf-8", "surrogateescape"), names, loose), done.returncode))
    return outs


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("words", IN_EVERY_FORM, ids=" ".join)
def test_the_same_bytes(pair, ids, form, words):
    ours, theirs = said(pair, ids, ["-f", form, *words] if form else words)
    assert ours == theirs


@pytest.mark.parametrize("form", [f for f in FORMS if f != "table"], ids=str)
@pytest.mark.parametrize("words", LARGE, ids=" ".join)
def test_the_same_bytes_of_what_is_large(pair, ids, form, words):
    ours, theirs = said(pair, ids, ["-f", form, *words] if form else words)
    assert ours == theirs


@pytest.mark.parametrize("words", ONCE, ids=" ".join)
def test_the_same_bytes_and_statuses(pair, ids, words):
    ours, theirs = said(pair, ids, words)
    if "highestmodseq=" in theirs[0]:
        ours, theirs = [(re.sub(r"highestmodseq=\d+", "highestmodseq=N", text), status) for text, status in (ours, theirs)]
    assert ours == theirs


def test_an_import_takes_the_same_letters(pair):
    at = pathlib.Path(tempfile.mkdtemp(prefix="beside-import-", dir="/tmp"))
    try:
        for folder in ["", ".Sent"]:
            for part in ["cur", "new", "tmp"]:
                (at / folder / part).mkdir(parents=True, exist_ok=True)
        for n in range(3):
            (at / "cur" / f"{n}.x:2,S").write_text(ONE.replace("one", f"import{n}"))
            (at / ".Sent" / "cur" / f"{n}.x:2,F").write_text(ONE.replace("one", f"sent{n}"))
        at.chmod(0o755)
        subprocess.run(["chown", "-R", "mail:", at], check=True)
        outs = []
        for side in pair:
            assert side.run(["import", "-u", JILL, f"maildir:{at}", "", "all"]).returncode == 0
            outs.append(side.run(["-f", "tab", "fetch", "-u", JILL, "mailbox hdr.subject", "mailbox", "INBOX", "seen"]).stdout +
                        side.run(["-f", "tab", "fetch", "-u", JILL, "mailbox hdr.subject", "mailbox", "Sent", "flagged"]).stdout)
        assert outs[0] == outs[1] and outs[0].count(b"import") == 3 and outs[0].count(b"sent") == 3
        below = []
        for side in pair:
            assert side.run(["import", "-u", JILL, f"maildir:{at}", "Imp3", "all"]).returncode == 0
            below.append(sorted(side.run(["-f", "tab", "fetch", "-u", JILL, "mailbox hdr.subject", "mailbox", "Imp3*"]).stdout.splitlines()))
        assert below[0] == below[1] and sum(line.startswith(b"Imp3/INBOX\t") for line in below[0]) == 3
        for n, query in enumerate([["subject", "import1"], ["mailbox", "Sent", "subject", "sent2"], ["flagged"], ["not", "subject", "sent"],
                                   ["(", "subject", "import0", "or", "subject", "sent0", ")"], ["seen", "since", "2020-01-01"],
                                   ["header", "subject", "sent"], ["larger", "100k"], ["sentbefore", "2000-01-01"], ["subject import2"]]):
            came = []
            for side in pair:
                done = side.run(["import", "-u", JILL, f"maildir:{at}", f"Q{n}", *query])
                came.append((done.returncode, sorted(side.run(["-f", "tab", "fetch", "-u", JILL, "mailbox hdr.subject", "mailbox", f"Q{n}*"]).stdout.splitlines())))
            assert came[0] == came[1] or query == ["subject import2"], (query, came)
    finally:
        shutil.rmtree(at)


def commands_of(theirs):
    """Each command of Debian's list, with its verbs where it has some."""
    for line in theirs.run(["help"]).stdout.decode().splitlines() + theirs.run(["help"]).stderr.decode().splitlines():
        found = re.match(r"  ([a-z][-a-z]*) +([a-z][-a-z|0-9]*)?", line)
        if found:
            for verb in (found[2] or "").split("|"):
                yield [found[1], verb] if verb else [found[1]]


def test_every_command_of_theirs_is_done_or_has_a_sentence(pair):
    ours, theirs = pair
    commands = list(commands_of(theirs))
    assert ["log", "errors"] in commands and ["backup"] in commands and ["replicator", "status"] in commands and len(commands) > 70
    for words in commands:
        if words[0] in ("stop", "reload"):
            continue
        said = ours.run(words).stderr.decode()
        assert "there is no such command" not in said, words
    said = ours.run(["sync", "-u", JACK, "maildir:/tmp/x"])
    assert said.returncode == 64 and b"mbsync" in said.stderr


@pytest.mark.parametrize("layout", ["", ":LAYOUT=fs"])
def test_paths_of_mailboxes(pair, layout):
    _, theirs = pair
    with tempfile.TemporaryDirectory(prefix="beside-paths-", dir="/tmp") as place:
        place = pathlib.Path(place)
        place.chmod(0o777)
        location = f"maildir:{place}/%u" + layout
        config = theirs.at / "paths.conf"
        config.write_text(theirs.config.read_text() + f"mail_location = {location}\n")
        with Village("jack", "jill", mail_location=location) as village:
            ours = Ours(village)
            for words in [[*form, "mailbox", "path", "-u", JACK, *kind, name]
                          for name in ("INBOX", "Sent", "Entwürfe", "Lists/deep", "小明", "Nope")
                          for form in ([], ["-f", "tab"], ["-f", "json"]) for kind in ([], ["-t", "mailbox"], ["-t", "alt-dir"])
                          if kind == [] or form == []] + [["mailbox", "path", "-A", "INBOX"], ["mailbox", "path", "-u", "nobody@example.com", "x"]]:
                done, other = ours.run(words), theirs.run(["-c", config, *words])
                assert (done.stdout, done.returncode) == (other.stdout, other.returncode), words
            assert ours.run(["mailbox", "path", "-u", JACK, "-t", "bogus", "INBOX"]).returncode == 64


def test_letters_of_the_log_have_no_path(pair):
    ours, _ = pair
    done = ours.run(["mailbox", "path", "-u", JACK, "INBOX"])
    assert done.returncode == 65 and not done.stdout and b"message export" in done.stderr


def subjects(side, who, *more):
    out = side.run([*more, "-f", "tab", "fetch", "-u", who, "mailbox flags hdr.subject", "all"])
    assert out.returncode == 0, out.stderr
    return sorted(line.replace("\\\\Recent", "").replace("\\Recent", "").strip() for line in out.stdout.decode().splitlines())


def test_backups_go_into_a_maildir_and_come_back(pair):
    ours, theirs = pair
    with tempfile.TemporaryDirectory(prefix="beside-backup-", dir="/tmp") as place:
        place = pathlib.Path(place)
        place.chmod(0o777)
        for verb in (["backup"], ["sync", "-1"]):
            assert ours.run([*verb, "-u", JACK, f"maildir:{place}/ours:LAYOUT=maildir++"]).returncode == 0
        subprocess.run(["chown", "-R", "mail:", place / "ours"], check=True)
        mine = subjects(ours, JACK)
        assert len(mine) > 4
        assert [s.split() for s in subjects(theirs, JACK, "-o", f"mail_location=maildir:{place}/ours")] == [s.split() for s in mine], \
            "Dovecot reads there what is here"
        assert theirs.run(["backup", "-u", JILL, f"maildir:{place}/theirs"]).returncode == 0
        had = set(subjects(ours, JILL))
        for _ in range(2):
            assert ours.run(["backup", "-R", "-u", JILL, f"maildir:{place}/theirs"]).returncode == 0
        assert had | set(subjects(theirs, JILL)) == set(subjects(ours, JILL)), "what is there already is not taken twice"
    for words in (["backup", "-u", JACK, "imapc:"], ["backup", "-A", "maildir:/tmp/x"], ["backup", "-u", JACK],
                  ["backup", "-u", JACK, "maildir:/nowhere/x:LAYOUT=fs"],  # its folders would lie otherwise than was asked for
                  ["backup", "-R", "-m", "Sent", "-u", JACK, "maildir:/nowhere/x"]):  # and what is not Sent would come into it
        assert ours.run(words).returncode == 64


def test_a_batch_does_one_after_the_other(pair):
    ours, theirs = pair
    one = ["-f", "tab", "batch", "-u", JACK, "+", "mailbox", "list", "Lists*"]
    other = ["+", "search", "mailbox", "INBOX", "subject", "nothing"]
    done = [(side.run(one).stdout, side.run(one + other).returncode) for side in pair]
    assert done[0] == done[1] == (b"mailbox\nLists\nLists/deep\n", 0)
    # Of two commands Dovecot makes one table, whose columns are those of both.
    assert ours.run(one + other).stdout == done[0][0] + b"mailbox-guid\tuid\n"
    for words in (["+", "mailbox", "list", "+", "bogus"], ["+"], [], ["+", "mailbox", "status", "messages", "Nope", "+", "mailbox", "list"]):
        statuses = [side.run(["batch", "-u", JACK, *words]) for side in pair]
        assert statuses[0].returncode == statuses[1].returncode and statuses[0].stdout == statuses[1].stdout == b"", words
    for words in (["+", "who"], ["+", "batch", "x", "who"], ["+", "+", "mailbox", "list"]):
        assert ours.run(["batch", "-u", JACK, *words]).returncode == 64


def test_the_log_is_tried_and_opened_anew(pair):
    ours, _ = pair
    log = pathlib.Path(re.search(r"^maillog_file\s*=\s*(\S+)", pathlib.Path(ours.config).read_text(), re.M)[1])
    moved = log.with_suffix(".1")
    log.rename(moved)
    done = ours.run(["log", "reopen"])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert log.exists()
    done = ours.run(["log", "test"])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    for word in ("info", "warning", "error"):
        assert re.search(rf"mansio/doveadm\[\d+\]: .*This is Mansio's {word} log \(\d+\)$", log.read_text(), re.M), word
    assert log.read_text().count("This is") == 3
    log.write_text(moved.read_text() + log.read_text())


def test_cache_purge_wants_a_mailbox(pair):
    for name, status in (("INBOX", 0), ("Nope", 68)):
        assert [side.run(["mailbox", "cache", "purge", "-u", JACK, name]).returncode for side in pair] == [status, status]


def test_log_errors(pair):
    ours, _ = pair
    log = pathlib.Path(re.search(r"^maillog_file\s*=\s*(\S+)", pathlib.Path(ours.config).read_text(), re.M)[1])
    with open(log, "a") as f:
        f.write("Nov 23 05:00:00 mail mansio/keeper[7]: warning: the disk is nearly full\n"
                "Nov 23 05:00:01 mail mansio/keeper[7]: all is well: error: no\n"
                "Nov 23 05:00:02 mail mansio/queue[8]: error: the disk is full\n")
    done = ours.run(["log", "errors"])
    assert done.returncode == 0
    assert done.stdout.decode().endswith("Nov 23 05:00:00 Warning: mansio/keeper: the disk is nearly full\n"
                                         "Nov 23 05:00:02 Error: mansio/queue: the disk is full\n")
    assert ours.run(["-f", "tab", "log", "errors"]).stdout.decode().splitlines()[0] == "timestamp\tprefix\ttype\ttext"
    assert ours.run(["log", "errors", "-s", "4102444800"]).stdout == b""
    assert ours.run(["log", "errors", "-s", "soon"]).returncode == 65


def test_doveconf_by_names_of_theirs(pair):
    ours, _ = pair
    show = lambda *words: ours.run(["config", *words]).stdout.decode()
    assert show("-h", "log_path") == show("-h", "maillog_file") != "\n"
    assert show("managesieve_sieve_capability") == "managesieve_sieve_capability =\n"
    assert show("-h", "managesieve_sieve_capability") == "\n"
    assert show("-n").startswith("# ") and "maillog_file = " in show("-n")


@pytest.mark.parametrize("words", [["mailbox", "list"], ["-f", "tab", "mailbox", "status", "messages unseen vsize", "*"],
                                   ["-f", "tab", "fetch", "mailbox uid hdr.subject", "all"]], ids=" ".join)
def test_all_mailboxes_each_in_its_own_order(pair, words):
    """Dovecot tells those made last first, as its list of mailboxes has them; we tell the INBOX first and the others by name."""
    at = words.index("mailbox") + 2 if "mailbox" in words else words.index("fetch") + 1
    ours, theirs = [side.run([*words[:at], "-u", JACK, *words[at:]]) for side in pair]
    assert sorted(ours.stdout.splitlines()) == sorted(theirs.stdout.splitlines()) and ours.returncode == theirs.returncode == 0
    names = [line.split(b"\t")[0] for line in ours.stdout.splitlines()[words[0] == "-f":]]
    assert names == sorted(names, key=lambda name: (name != b"INBOX", name))
