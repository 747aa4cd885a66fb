# SPDX-License-Identifier: ISC
"""header_checks, body_checks and their kin asked of databases: the same letters through Postfix and through us say the
same; a database that is away or slow puts off and refuses nothing; and who reads letters can ask no other table (R199, R402)."""

import pathlib
import shutil
import smtplib
import sqlite3
import subprocess
import tempfile

import pytest
from elsewhere import Maria, Postgres, Program
from house import BINARY, free_ports, wait_for
from kit import open_to_all
from test_checks_beside_postfix import Both, pytestmark  # noqa: F401
from test_sending import Sink, empty, house

KINDS = ("header_checks", "mime_header_checks", "nested_header_checks", "body_checks")
SAYS = {
    "header_checks": {
        "Subject: no sir": "REJECT no please", "Subject: plain no": "REJECT", "Subject: later": "REJECT 4.7.9 come again",
        "Subject: info": "INFO told", "Subject: warn": "WARN be warned", "Subject: replace me": "REPLACE Subject: instead",
        "Subject: prepend": "PREPEND X-Before: it", "X-Gone: 1": "IGNORE", "X-Strip: 4": "STRIP why not", "X-Pass: 1": "PASS good friend",
        "X-Discard: 1": "DISCARD not wanted", "X-Folded: one\n two": "WARN folded", "Subject: '; DROP TABLE x; --": "WARN quoted",
        'Subject: %s %u "\\': "WARN signs", "X-Bcc: 1": "BCC other@here.example",
    },
    "mime_header_checks": {"Content-Disposition: attachment": "IGNORE", 'Content-Type: text/plain; name="a.exe"': "REJECT no programs"},
    "nested_header_checks": {"Subject: inner": "REJECT inside", "X-Inner: 1": "IGNORE"},
    "body_checks": {"bad words": "REJECT", "drop this": "IGNORE", "strip this": "STRIP stripped", "replace this": "REPLACE with that",
                    "prepend here": "PREPEND before it", "warn": "WARN in the body", "it's 4.4.4": "REJECT 4.4.4 later"},
}
MULTIPART = (b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n"
             b"Content-Disposition: attachment\r\n\r\ndrop this\r\nstays\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nX-Inner: 1\r\nSubject: %s\r\n\r\nwarn\r\n--b--\r\n")
LETTERS = {
    "nothing": b"Subject: nothing\r\n\r\nnothing\r\n",
    "refused": b"Subject: no sir\r\n\r\nx\r\n",
    "refused without words": b"Subject: plain no\r\n\r\nx\r\n",
    "later": b"Subject: later\r\n\r\nx\r\n",
    "told": b"Subject: info\r\n\r\nwarn\r\nwarn\r\n",
    "replaced": b"X-A: 1\r\nSubject: replace me\r\nX-B: 2\r\n\r\nx\r\n",
    "before": b"X-A: 1\r\nSubject: prepend\r\nX-B: 2\r\n\r\nx\r\n",
    "gone": b"X-Gone: 1\r\nSubject: x\r\nX-Gone: 2\r\nX-Strip: 4\r\n\r\nx\r\n",
    "pass is the end": b"X-Pass: 1\r\nSubject: plain no\r\n\r\nbad words\r\n",
    "discarded": b"Subject: x\r\nX-Discard: 1\r\n\r\nbad words\r\n",
    "folded": b"Subject: x\r\nX-Folded: one\r\n two\r\n\r\nx\r\n",
    "syntax of theirs": b"Subject: '; DROP TABLE x; --\r\n\r\nx\r\n",
    "signs": b"Subject: %s %u \"\\\r\n\r\n%s\r\n",
    "case counts": b"SUBJECT: no sir\r\nsubject: NO SIR\r\n\r\nBAD WORDS\r\n",
    "a copy": b"Subject: x\r\nX-Bcc: 1\r\n\r\nx\r\n",
    "lines": b"Subject: x\r\n\r\na\r\ndrop this\r\nb\r\nstrip this\r\nreplace this\r\nprepend here\r\nc\r\n",
    "a line refuses": b"Subject: x\r\n\r\nwarn\r\nbad words\r\nwarn\r\n",
    "a line puts off": b"Subject: x\r\n\r\nit's 4.4.4\r\nbad words\r\n",
    "parts": MULTIPART % b"outer",
    "a part refuses": MULTIPART % b"inner",
    "a program": b'Subject: x\r\nContent-Type: text/plain; name="a.exe"\r\n\r\nx\r\n',
    "many lines": b"Subject: many\r\n\r\n" + b"".join(b"line %d\r\n" % i for i in range(400)) + b"warn\r\nreplace this\r\n",
}


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def rows(escape=lambda s: s):
    return "".join(f"INSERT INTO said VALUES ({quoted(kind)}, {quoted(escape(key))}, {quoted(escape(value))});"
                   for kind, all_of in SAYS.items() for key, value in all_of.items())


def sqlite_tables(at):
    with sqlite3.connect(at / "said.sqlite") as db:
        db.executescript("CREATE TABLE said (kind TEXT, k TEXT, v TEXT); CREATE INDEX i ON said (k);" + rows())
    open_to_all(at / "said.sqlite")
    for kind in KINDS:
        (at / f"{kind}.cf").write_text(f"dbpath = {at}/said.sqlite\nquery = SELECT v FROM said WHERE kind = '{kind}' AND k = '%s'\n")
    return lambda kind: f"sqlite:{at}/{kind}.cf"


def server_tables(at, kind, hosts, more):
    for one in KINDS:
        (at / f"{one}.cf").write_text(f"hosts = {hosts}\nuser = mail\npassword = secret\ndbname = {more}\n"
                                      f"query = SELECT v FROM said WHERE kind = '{one}' AND k = '%s'\n")
    return lambda one: f"{kind}:{at}/{one}.cf"


class Kept:
    """Tables of one kind, and Postfix and our house that ask them."""

    def __init__(self, kind):
        self.at = pathlib.Path(tempfile.mkdtemp(prefix="checks-elsewhere-"))
        self.at.chmod(0o755)
        self.server, self.programs = None, []
        named = getattr(self, kind)()
        for path in self.at.glob("*.cf"):
            open_to_all(path)
        self.both = Both(**{one: named(one) for one in KINDS})

    def sqlite(self):
        return sqlite_tables(self.at)

    def socketmap(self):
        def named(kind):
            program = Program({k.encode(): v.encode() for k, v in SAYS[kind].items()}, "socketmap")
            self.programs.append(program)
            return f"socketmap:inet:127.0.0.1:{program.port}:{kind}"
        return named

    def pgsql(self):
        self.server = Postgres(self.at / "server")
        self.server.prepare()
        self.server.start()
        self.server.sql("CREATE TABLE said (kind TEXT, k TEXT, v TEXT);" + rows())
        return server_tables(self.at, "pgsql", f"127.0.0.1:{self.server.port}", "postgres")

    def mysql(self):
        self.server = Maria(self.at / "server")
        self.server.prepare()
        self.server.start()
        self.server.sql("CREATE DATABASE m CHARACTER SET utf8mb4 COLLATE utf8mb4_bin; USE m; CREATE TABLE said (kind TEXT, k TEXT, v TEXT);" +
                        rows(lambda s: s.replace("\\", "\\\\")) + "CREATE USER mail@'127.0.0.1' IDENTIFIED BY 'secret'; GRANT ALL ON m.* TO mail@'127.0.0.1';")
        return server_tables(self.at, "mysql", f"127.0.0.1:{self.server.port}", "m")

    def close(self):
        self.both.close()
        for program in self.programs:
            program.close()
        if self.server is not None:
            self.server.stop()
        shutil.rmtree(self.at, ignore_errors=True)


@pytest.fixture(scope="module", params=["sqlite", "socketmap", "pgsql", "mysql"])
def kept(request):
    tables = Kept(request.param)
    yield tables
    tables.close()


@pytest.mark.parametrize("why", LETTERS)
def test_R199_checks_of_databases_say_what_postfix_says(kept, why):
    theirs, ours, their_reply, _ = kept.both.said(LETTERS[why])
    assert ours == theirs
    if theirs[0].startswith("250") and not any(note[0] == "discard" for note in theirs[1]):
        wait_for(lambda: kept.both.postfix.removed(their_reply), 60)
        of_postfix = kept.both.postfix.letters("u")
        of_ours = []
        wait_for(lambda: of_ours.extend(kept.both.mailbox("u")) or len(of_ours) >= len(of_postfix), 60)
        assert of_ours == of_postfix


# Where a letter comes in, and where it leaves.
PLACES = [(f"{of}{kind}", of) for of in ("", "smtp_", "slow/smtp_") for kind in KINDS]
LETTER = "Subject: x\r\n\r\nFrom: inside\r\n\r\nx\r\n"
MIME = ("Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nbody\r\n")


def offer(h, text=MIME):
    try:
        with h.smtp() as s:
            s.sendmail("a@here.example", "b@there.example", text)
            return 250
    except smtplib.SMTPResponseException as e:
        return e.smtp_code


@pytest.mark.parametrize("setting, of", PLACES, ids=[name for name, _ in PLACES])
def test_R402_a_dead_table_of_checks_puts_off_and_nothing_is_lost(setting, of):
    port = free_ports(1)[0]
    with Sink() as sink:
        more = {"transport_maps": "inline:{there.example=slow:[127.0.0.1]:%d}" % sink.port, "slow/transport": "smtp"} if "/" in of \
            else {"relayhost": f"[127.0.0.1]:{sink.port}"}
        with house(**{setting: f"socketmap:inet:127.0.0.1:{port}:x"}, **more) as h:
            assert offer(h) == (250 if of else 451)
            if of:
                wait_for(lambda: "status=deferred" in h.text(), 60)
            assert sink.got() == [] and "status=bounced" not in h.text()
            program = Program({b"body": b"WARN seen", b"Subject: x": b"WARN seen", b"Subject: y": b"WARN seen"}, "socketmap", port)
            try:
                if not of:
                    wait_for(lambda: offer(h) == 250, 60)
                wait_for(lambda: sink.got() and empty(h), 90)
                assert sink.got() == ["b@there.example"] and program.asked
            finally:
                program.close()


def test_a_slow_table_of_checks_is_waited_for_and_other_letters_are_not_in_its_way():
    program = Program({b"Subject: slow": b"REJECT at last"}, "socketmap")
    program.delay = 0.5
    try:
        with house(header_checks=f"socketmap:inet:127.0.0.1:{program.port}:x", relayhost="[127.0.0.1]:1") as h:
            assert offer(h, "Subject: slow\r\n\r\nx\r\n") == 550
            with h.smtp() as s:  # the session that waits is not the only one
                s.ehlo()
                assert s.mail("a@here.example")[0] == 250
    finally:
        program.close()


def test_a_table_that_ends_in_the_midst_of_a_letter_puts_it_off():
    """After some answers the database is gone: 451, nothing is taken and nothing refused for good."""
    program = Program({b"line 150": b"TEMP gone for now", b"bad": b"REJECT no"}, "socketmap")
    try:
        with house(body_checks=f"socketmap:inet:127.0.0.1:{program.port}:x", relayhost="[127.0.0.1]:1") as h:
            text = "Subject: x\r\n\r\n" + "".join(f"line {i}\r\n" for i in range(400)) + "bad\r\n"
            assert offer(h, text) == 451
            assert "gone for now" in h.text()
            program.values = {b"bad": b"REJECT no"}
            assert offer(h, text) == 550
            # Lines that are alike are asked for once, and each line once in a letter.
            program.asked.clear()
            assert offer(h, "Subject: x\r\n\r\n" + "same\r\n" * 500) == 250
            assert program.asked == [b"same"]
    finally:
        program.close()


def test_checks_of_unions_and_of_several_tables_go_in_their_order():
    first = Program({b"Subject: both": b"WARN the first", b"Subject: one": b"WARN the first"}, "socketmap")
    second = Program({b"Subject: both": b"REJECT the second", b"Subject: two": b"REJECT the second"}, "socketmap")
    try:
        tables = [f"socketmap:inet:127.0.0.1:{p.port}:x" for p in (first, second)]
        with house(header_checks=f"{tables[0]} pcre:{{{{/^Subject: files/ REJECT of files}}}} {tables[1]}", relayhost="[127.0.0.1]:1") as h:
            assert [offer(h, f"Subject: {s}\r\n\r\nx\r\n") for s in ("both", "one", "two", "files", "none")] == [250, 250, 550, 550, 250]
            assert b"Subject: one" not in second.asked and b"Subject: files" not in second.asked
    finally:
        first.close()
        second.close()


def test_the_settings_check_takes_them(tmp_path):
    """Of every place where letters are looked at, in and out; what cannot be is still told."""
    cf = tmp_path / "x.cf"
    cf.write_text("dbpath = /nowhere\nquery = SELECT v FROM t WHERE k = '%s'\n")
    main = tmp_path / "main.cf"
    names = [f"{of}{kind}" for of in ("", "submission/", "smtp_", "lmtp_", "slow/smtp_") for kind in KINDS] + ["milter_header_checks"]
    main.write_text("myhostname = mail.example.com\nslow/transport = smtp\n" + "".join(f"{n} = sqlite:{cf} proxy:tcp:127.0.0.1:1\n" for n in names))
    done = subprocess.run([BINARY, "-c", main, "config", "check"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
