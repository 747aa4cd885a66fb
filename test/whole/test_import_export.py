# SPDX-License-Identifier: ISC
"""Letters come in from mbox, Maildir and files, and go out again, nothing lost on the way.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_import_export.py
"""

import imaplib
import mailbox
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from test_mailbox_commands import JACK, found, jack, names, put, rows  # noqa: F401 (a fixture)
from test_roles import PASSWORD, Village


@pytest.fixture(scope="module")
def house():
    with Village("jack") as village:
        yield village


def letter(n, body="Hello.\n", **more):
    fields = {"From": "jill@example.com", "To": JACK, "Subject": f"letter {n}",
              "Date": f"Sun, {n:02} Nov 2026 12:00:00 +0000", "Message-ID": f"<{n}@x>", **more}
    return "".join(f"{k}: {v}\n" for k, v in fields.items()) + "\n" + body


def make_mbox(path, letters):
    """By Python's own hand, which quotes "From " in bodies."""
    box = mailbox.mbox(path)
    for text, flags in letters:
        m = mailbox.mboxMessage(text)
        m.set_from("jill@example.com", (2026, 11, 3, 10, 20, 30, 0, 0, 0))
        m.set_flags(flags)
        box.add(m)
    box.close()


def whole(house, *query):
    """The bytes of every letter in the INBOX as IMAP gives them."""
    with house.imap() as box:
        box.select("INBOX", readonly=True)
        _, data = box.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
        return [(d[0], d[1]) for d in data if isinstance(d, tuple)]


def said(done):
    return done.stdout.strip()


def dovecot_counts(maildir):
    """How many letters Debian's Dovecot finds in the mailboxes of a copy of it."""
    owner = pwd.getpwnam("mail")
    with tempfile.TemporaryDirectory(prefix="export-", dir="/tmp") as place:
        shutil.copytree(maildir, f"{place}/Maildir")
        pathlib.Path(place, "dovecot.conf").write_text(
            f"log_path = {place}/log\nprotocols =\nssl = no\nbase_dir = {place}/run\nfirst_valid_uid = 1\nmail_location = maildir:{place}/Maildir\n"
            f"mail_uid = {owner.pw_uid}\nmail_gid = {owner.pw_gid}\nnamespace inbox {{\n  inbox = yes\n  separator = /\n}}\n")
        subprocess.run(["chown", "-R", "mail:", place], check=True)
        told = subprocess.run(["/usr/bin/doveadm", "-c", f"{place}/dovecot.conf", "-f", "tab", "mailbox", "status", "messages", "*"], capture_output=True,
                              text=True, timeout=30, check=True, env={**os.environ, "USER": "mail", "HOME": place}).stdout
        rows = [line.split("\t") for line in told.splitlines()[1:]]
        return {name: int(n) for name, n in rows if n != "0"}


def test_an_mbox_comes_in(jack, tmp_path):
    make_mbox(tmp_path / "mbox", [(letter(1), "RO"), (letter(2, "One\nFrom the hill\n\nlast"), "ROAF"), (letter(3, ""), "")])
    assert said(jack.command("message", "import", JACK, tmp_path / "mbox")) == "3 taken in, 0 there already, 0 refused"
    got = whole(jack)
    assert got[0][1] == letter(1).replace("\n", "\r\n").encode()
    assert got[1][1].split(b"\r\n\r\n", 1)[1].rstrip() == b"One\r\nFrom the hill\r\n\r\nlast"
    assert b"03-Nov-2026 10:20:30" in got[0][0].replace(b'" 3', b'"03') and b"\\Seen" in got[0][0]
    assert b"\\Answered" in got[1][0] and b"\\Flagged" in got[1][0]
    assert b"\\Seen" not in got[2][0] and b"Status:" not in got[0][1]


def test_an_import_can_be_run_again(jack, tmp_path):
    make_mbox(tmp_path / "mbox", [(letter(n), "") for n in range(1, 6)])
    jack.command("message", "import", JACK, tmp_path / "mbox")
    make_mbox(tmp_path / "mbox", [(letter(6), "")])
    assert said(jack.command("message", "import", JACK, tmp_path / "mbox")) == "1 taken in, 5 there already, 0 refused"
    assert len(found(jack, "all")) == 6
    assert said(jack.command("message", "import", JACK, tmp_path / "mbox", "--duplicates")).startswith("6 taken in")


def test_a_maildir_comes_in_with_folders_flags_and_dates(jack, tmp_path):
    root = tmp_path / "Maildir"
    for folder in ["", ".Lists.debian", ".&U,BTFw-", ".Empty"]:
        for part in ["cur", "new", "tmp"]:
            (root / folder / part).mkdir(parents=True)
    (root / "dovecot-keywords").write_text("0 $Later\n1 Work\n")
    one = root / "cur/1700000000.M1P1.host,S=3:2,FSab"
    one.write_text(letter(1))
    os.utime(one, (1700000000, 1700000000))
    (root / "new/1700000001.M2P1.host").write_text(letter(2))
    (root / ".Lists.debian/cur/1.x:2,RT").write_bytes(letter(3).replace("\n", "\r\n").encode())
    (root / ".&U,BTFw-/cur/2.x:2,P").write_text(letter(4))
    assert said(jack.command("message", "import", JACK, root)) == "4 taken in, 0 there already, 0 refused"
    all_rows = {r["hdr.subject"]: r for r in rows(jack, "message", "fetch", JACK, "hdr.subject mailbox flags date.received", "all")}
    first = all_rows["letter 1"]
    assert {"\\Flagged", "\\Seen", "$Later", "Work"} <= set(first["flags"].split()) and first["mailbox"] == "INBOX"
    assert "\\Seen" not in all_rows["letter 2"]["flags"]
    assert all_rows["letter 3"]["mailbox"] == "Lists/debian" and "\\Answered" in all_rows["letter 3"]["flags"]
    assert all_rows["letter 4"]["mailbox"] == "台北" and "$Forwarded" in all_rows["letter 4"]["flags"]
    with jack.imap() as box:
        box.select("INBOX", readonly=True)
        assert b"14-Nov-2023 22:13:20" in box.fetch("1", "(INTERNALDATE)")[1][0]
    assert said(jack.command("message", "import", JACK, root, "--mailbox", "Old", "--quiet")) == ""
    assert "Old/Lists/debian" in names(jack) and found(jack, "mailbox", "Old", "all") == [("Old", "1"), ("Old", "2")]


def test_letters_come_in_as_files_and_from_the_standard_input(jack, tmp_path):
    for n in [1, 2]:
        (tmp_path / f"{n}.eml").write_text(letter(n))
    (tmp_path / "notes.txt").write_text("no letter")
    assert said(jack.command("message", "import", JACK, tmp_path)).startswith("2 taken in")
    jack.command("message", "append", JACK, "Drafts", "--flags", "\\Draft \\Seen", input=letter(3))
    assert found(jack, "mailbox", "Drafts", "draft", "seen") == [("Drafts", "1")]
    jack.command("doveadm", "save", "-u", JACK, "-m", "Sent", input=letter(4))
    assert found(jack, "mailbox", "Sent", "subject", "letter 4") == [("Sent", "1")]


def test_a_large_letter_streams_in_and_out(jack, tmp_path):
    body = ("0123456789abcdef" * 4 + "\n") * 200_000
    (tmp_path / "large.eml").write_text(letter(1, body))
    jack.command("message", "import", JACK, tmp_path / "large.eml")
    jack.command("message", "export", JACK, tmp_path / "out", "--format", "maildir")
    out, = (tmp_path / "out/cur").iterdir()
    assert out.read_text() == letter(1, body)


@pytest.mark.parametrize("path, status, what", [
    ("nowhere", 1, "nowhere: No such file or directory"),
    ("empty", 1, "no message was found in"),
    ("nothing", 1, "no message was found in"),
])
def test_what_cannot_be_read_is_named(jack, tmp_path, path, status, what):
    (tmp_path / "empty").write_text("")
    (tmp_path / "nothing/in/here").mkdir(parents=True)
    done = jack.command("message", "import", JACK, tmp_path / path, check=False)
    assert done.returncode == status and what in done.stdout + done.stderr


def test_a_letter_too_large_is_named_and_the_rest_comes_in(tmp_path):
    with Village("jack", message_size_limit="100K") as house:
        make_mbox(tmp_path / "mbox", [(letter(1), ""), (letter(2, "x" * 70 + "\n" * 200_000), ""), (letter(3), "")])
        done = house.command("message", "import", JACK, tmp_path / "mbox", check=False)
        assert done.returncode == 1 and said(done) == "2 taken in, 0 there already, 1 refused"
        assert "mbox, message 2: " in done.stderr


def fill(house):
    put(house, "INBOX", "one", body="Hello.\r\nFrom here on\r\n>From there", flags="(\\Seen $Later)",
        date='"14-Nov-2023 22:13:20 +0000"')
    put(house, "INBOX", "two", flags="(\\Answered \\Flagged)")
    put(house, "Lists/de.bian", "three")


def test_out_to_a_maildir_as_python_reads_it(jack, tmp_path):
    fill(jack)
    out = tmp_path / "Maildir"
    assert said(jack.command("message", "export", JACK, out)) == "3 written, 0 there already"
    box = mailbox.Maildir(out, create=False)
    by_subject = {m["subject"]: m for m in box}
    assert set(by_subject) == {"one", "two"}
    assert by_subject["one"].get_flags().replace("a", "") == "S" and by_subject["two"].get_flags() == "FR"
    assert by_subject["one"].get_payload().startswith("Hello.\nFrom here on\n>From there")
    assert int(by_subject["one"].get_date()) == 1700000000
    assert box.list_folders() == ["Lists.de&AC4-bian"]
    put(jack, "INBOX", "four")
    assert said(jack.command("message", "export", JACK, out)) == "1 written, 3 there already"


def test_out_to_an_mbox_as_python_reads_it(jack, tmp_path):
    fill(jack)
    assert said(jack.command("message", "export", JACK, tmp_path / "all.mbox", "mailbox", "INBOX")) == "2 written, 0 there already"
    box = mailbox.mbox(tmp_path / "all.mbox", create=False)
    one, two = box
    assert one["subject"] == "one" and one.get_flags() == "RO" and one["x-keywords"].strip() == "$Later"
    assert sorted(two.get_flags()) == ["A", "F", "O"]
    assert one.get_from().endswith("Tue Nov 14 22:13:20 2023")
    assert one.get_payload() == "Hello.\n>From here on\n>>From there\n"
    (tmp_path / "boxes").mkdir()
    jack.command("message", "export", JACK, tmp_path / "boxes", "--format", "mbox")
    assert len(mailbox.mbox(tmp_path / "boxes/INBOX")) == 2 and len(mailbox.mbox(tmp_path / "boxes/Lists/de.bian")) == 1


def test_a_header_without_end_of_line_goes_out_and_comes_back(jack, tmp_path):
    with jack.imap() as box:
        assert box.append("INBOX", None, None, b"Subject: onlyhdr")[0] == "OK"
    jack.command("message", "export", JACK, tmp_path / "all.mbox", "mailbox", "INBOX")
    one, = mailbox.mbox(tmp_path / "all.mbox", create=False)
    assert (one["subject"], one["status"]) == ("onlyhdr", "O")
    jack.command("message", "import", JACK, tmp_path / "all.mbox", "--mailbox", "Back")
    assert found(jack, "mailbox", "Back", "subject", "onlyhdr") and not found(jack, "mailbox", "Back", "subject", "Status")


def test_out_to_files(jack, tmp_path):
    fill(jack)
    jack.command("message", "export", JACK, tmp_path / "files", "--format", "eml")
    assert len(list((tmp_path / "files").glob("*.eml"))) == 2 and len(list((tmp_path / "files/Lists/de.bian").glob("*.eml"))) == 1
    assert said(jack.command("message", "export", JACK, tmp_path / "files", "--format", "eml")) == "0 written, 3 there already"


def test_the_name_of_a_mailbox_leads_nowhere_else(jack, tmp_path):
    with jack.imap() as box:
        box.create('"a/..b/.c"')
    put(jack, "a/..b/.c", "hidden")
    jack.command("message", "export", JACK, tmp_path / "files", "--format", "eml")
    assert len(list((tmp_path / "files/a/_.b/_c").glob("*.eml"))) == 1


@pytest.mark.parametrize("form, where", [("maildir", "out"), ("mbox", "out.mbox"), ("eml", "out")])
def test_there_and_back_nothing_changes(jack, tmp_path, form, where):
    put(jack, "INBOX", "one", body="Hello.\r\nFrom here on\r\n>From there\r\n\r\n", flags="(\\Seen $Later)",
        date='"14-Nov-2023 22:13:20 +0000"')
    put(jack, "INBOX", "two", body="no end of line", date='"15-Nov-2023 22:13:20 +0000"')
    before = sorted((b, f.split(b"INTERNALDATE")[1].split(b"BODY")[0] if form != "eml" else b"") for f, b in whole(jack))
    jack.command("message", "export", JACK, tmp_path / where, "--format", form)
    jack.command("account", "delete", JACK)
    jack.command("account", "add", JACK, input=PASSWORD + "\n")
    jack.command("message", "import", JACK, tmp_path / where)
    after = sorted((b, f.split(b"INTERNALDATE")[1].split(b"BODY")[0] if form != "eml" else b"") for f, b in whole(jack))
    assert before == after
    if form != "eml":
        assert found(jack, "keyword", "$Later", "seen") == [("INBOX", "1")]


def test_a_directory_of_mboxes_comes_in(jack, tmp_path):
    """As Thunderbird keeps them, and Dovecot (names in modified UTF-7); beside them lies what is no mbox."""
    at = tmp_path / "Mail"
    for folder in ["Archives.sbd", "Lists/sub", ".imap/INBOX"]:
        (at / folder).mkdir(parents=True)
    for number, path in enumerate(["Inbox", "Sent", "Archives.sbd/2025", "Archives.sbd/2026.mbox", "Lists/sub/&ZeVnLIqe-", "台北", "R&D"]):
        make_mbox(at / path, [(letter(2 * number), "RO"), (letter(2 * number + 1), "")])
    (at / "Inbox.msf").write_text("// <!-- <mdb:mork:z v=\"1.4\"/> -->\n")
    (at / "filters.dat").write_text("From here on it is no mbox\n")
    (at / ".subscriptions").write_text("From a@b Sun Nov 22 01:02:03 2026\n")
    (at / "Empty").write_text("")
    (at / "link").symlink_to(at / "Sent")
    assert said(jack.command("message", "import", JACK, at)) == "14 taken in, 0 there already, 0 refused"
    wanted = sorted((folder, uid) for folder in ["INBOX", "Sent", "Archives/2025", "Archives/2026", "Lists/sub/日本語", "台北", "R&D"] for uid in "12")
    assert sorted(found(jack, "all")) == wanted
    assert sorted(found(jack, "seen")) == [pair for pair in wanted if pair[1] == "1"]
    assert said(jack.command("message", "import", JACK, at)) == "0 taken in, 14 there already, 0 refused"
    jack.command("message", "import", JACK, at, "--mailbox", "Old")
    assert len(found(jack, "mailbox", "Old/Archives/*", "all")) == 4 and len(found(jack, "mailbox", "Old", "all")) == 2


def test_mboxes_go_out_and_come_back(jack, tmp_path):
    for folder in ["INBOX", "Sent", "Lists/debian", "Lists/de.bian"]:
        put(jack, folder, folder.encode().hex())
    before = sorted(found(jack, "all"))
    (tmp_path / "out").mkdir()
    jack.command("message", "export", JACK, tmp_path / "out", "--format", "mbox")
    jack.command("account", "delete", JACK)
    jack.command("account", "add", JACK, input=PASSWORD + "\n")
    jack.command("message", "import", JACK, tmp_path / "out")
    assert sorted(found(jack, "all")) == before and len(before) == 4


@pytest.mark.parametrize("form", ["maildir", "eml"])
@pytest.mark.parametrize("inbox", [True, False])
def test_all_mailboxes_go_out_and_come_back(jack, tmp_path, form, inbox):
    """Also where the INBOX has nothing."""
    folders = {"Sent": 2, "Lists/debian": 1, "Lists/debian/user": 1, "台北": 1, **({"INBOX": 1} if inbox else {})}
    for folder, count in folders.items():
        for n in range(count):
            with jack.imap() as box:
                box.enable("UTF8=ACCEPT")
                box.create(f'"{folder}"')
                assert box.append(f'"{folder}"', "", None, letter(n + 1, **{"Message-ID": f"<{n}-{len(folder.encode())}@x>"}).replace("\n", "\r\n").encode())[0] == "OK"
    before = sorted(found(jack, "all"))
    assert len(before) == sum(folders.values())
    out = tmp_path / "out"
    jack.command("message", "export", JACK, out, "--format", form)
    if form == "maildir":
        assert sorted(p.name for p in out.iterdir() if p.name[0] != ".") == ["cur", "new", "tmp"]
        if shutil.which("doveadm"):
            assert dovecot_counts(out) == folders
    jack.command("account", "delete", JACK)
    jack.command("account", "add", JACK, input=PASSWORD + "\n")
    assert said(jack.command("message", "import", JACK, out)) == f"{len(before)} taken in, 0 there already, 0 refused"
    assert sorted(found(jack, "all")) == before


def test_a_maildir_without_a_top_and_directories_that_lead_back(jack, tmp_path):
    root = tmp_path / "Maildir"
    for part in ["cur", "new", "tmp"]:
        (root / ".Old" / part).mkdir(parents=True)
    (root / ".Old/cur/1.x:2,S").write_text(letter(1))
    assert said(jack.command("message", "import", JACK, root)) == "1 taken in, 0 there already, 0 refused"
    assert found(jack, "mailbox", "Old", "seen") == [("Old", "1")]
    files = tmp_path / "files"
    (files / "Sent/deep.eml").mkdir(parents=True)
    (files / "Sent/back").symlink_to(files)
    (files / ".cache").mkdir()
    (files / ".cache/9.eml").write_text(letter(9))
    (files / "Sent/deep.eml/2.eml").write_text(letter(2))
    assert said(jack.command("message", "import", JACK, files, "--mailbox", "New")) == "1 taken in, 0 there already, 0 refused"
    assert found(jack, "mailbox", "New/Sent/deep.eml", "all") == [("New/Sent/deep.eml", "1")]


def test_one_of_several_without_letters_is_named(jack, tmp_path):
    (tmp_path / "empty").write_text("")
    (tmp_path / "1.eml").write_text(letter(1))
    done = jack.command("message", "import", JACK, tmp_path / "1.eml", tmp_path / "empty")
    assert said(done) == "1 taken in, 0 there already, 0 refused" and done.stderr.strip().endswith(f"no message was found in {tmp_path}/empty")


def test_many_letters_go_together_and_one_that_is_refused_keeps_no_other_out(jack, tmp_path):
    """In batches; what does not fit is refused by itself."""
    big = letter(3, "x" * 70 + "\n") + ("y" * 70 + "\n") * 6000
    letters = [(letter(1 + n % 28, **{"Message-ID": f"<m{n}@x>"}), "") for n in range(1200)]
    make_mbox(tmp_path / "mbox", letters[:700] + [(big, "")] + letters[700:])
    jack.command("message", "import", JACK, tmp_path / "mbox", "--mailbox", "All")
    with jack.imap() as box:
        box.select("All", readonly=True)
        _, data = box.fetch("1:*", "(RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        ids = [d[1].decode().split("<")[1].split("@")[0] for d in data if isinstance(d, tuple)]
    want = [f"m{n}" for n in range(1200)]
    assert ids == want[:700] + ["3"] + want[700:]
    jack.command("account", "set", JACK, "--quota-messages", "1300")
    with jack.imap():
        done = jack.command("message", "import", JACK, tmp_path / "mbox", "--mailbox", "More", check=False)
    # 1201 in All, 98, and the letter that warns; where that one came after the last that fitted, 99
    assert done.returncode == 1 and said(done) in ("98 taken in, 0 there already, 1103 refused", "99 taken in, 0 there already, 1102 refused")
    assert "[OVERQUOTA]" in done.stderr
