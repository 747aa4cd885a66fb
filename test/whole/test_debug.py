# SPDX-License-Identifier: ISC
"""Transcripts of chosen sessions: debug_peer_list, mansio debug; without passwords and letters."""

import base64
import imaplib
import os
import poplib
import re
import signal
import smtplib
import ssl
import subprocess

import pytest

from elsewhere import Postgres, Program
from house import BINARY, House, wait_for

PASSWORD = "xyzzy-plugh-1"
SECRETS = [PASSWORD, base64.b64encode(f"\0jill@example.com\0{PASSWORD}".encode()).decode(),
           base64.b64encode(PASSWORD.encode()).decode()]


def trusting():
    c = ssl.create_default_context()
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    return c


def smtp(h, login=False, subject="the subject"):
    s = smtplib.SMTP("127.0.0.1", h.ports["submission" if login else "smtp"], timeout=20)
    s.ehlo("client.example")
    if login:
        s.starttls(context=trusting())
        s.login("jill@example.com", PASSWORD)
    s.sendmail("jill@example.com", ["jill@example.com"], f"Subject: {subject}\r\n\r\nthe body\r\n")
    s.quit()


def imap(h):
    b = imaplib.IMAP4("127.0.0.1", h.ports["imap"], timeout=20)
    b.starttls(trusting())
    b.login("jill@example.com", PASSWORD)

    def look():
        b.select("INBOX")
        return b.search(None, "ALL")[1][0].split()
    found = wait_for(look)
    assert b"the body" in b.fetch(found[0], "(ENVELOPE BODY[])")[1][0][1]
    b.logout()


def pop3(h):
    b = poplib.POP3_SSL("127.0.0.1", h.ports["pop3s"], context=trusting(), timeout=20)
    b.user("jill@example.com")
    b.pass_(PASSWORD)
    assert b"the body" in b.retr(1)[1]
    b.quit()


@pytest.fixture
def house():
    with House(dns_resolver="none") as h:
        h.command("domain", "add", "example.com")
        h.command("account", "add", "jill@example.com", "--password-file", "-", input=PASSWORD + "\n")
        yield h


def told(h):
    return [line for line in h.text().splitlines() if ": < " in line or ": > " in line]


def is_told(h, words, begin=0):
    return wait_for(lambda: any(words.lower() in line.lower() for line in told(h)[begin:]))


def test_nobody_is_told_of_unless_asked_for(house):
    smtp(house)
    imap(house)
    assert told(house) == []


def test_all_that_one_address_says_in_every_protocol(house):
    assert "127.0.0.1" in house.command("debug", "on", "127.0.0.1", "--for", "2m").stdout
    smtp(house)
    smtp(house, login=True)
    imap(house)
    pop3(house)
    wait_for(lambda: any("< 127.0.0.1" in line and "QUIT" in line and "/pop3" in line for line in told(house)))
    text = "\n".join(told(house)).lower()
    for words in ["smtpd", "EHLO client.example", "354 End data", "[letter of ", "STARTTLS", "AUTH PLAIN [not shown]",
                  "235 ", "imap-login", "LOGIN [not shown]", "SELECT INBOX", "[literal of ", "FETCH (", "USER jill@example.com",
                  "PASS [not shown]", "RETR 1"]:
        assert words.lower() in text, (words, text)
    for secret in SECRETS + ["the body", "the subject"]:
        assert secret not in house.text(), secret
    assert "debug: sessions of 127.0.0.1 are told in the log for" in house.command("status", check=False).stdout


def test_a_network_a_name_and_a_user(house):
    house.command("debug", "on", "127.0.0.0/8")
    smtp(house)
    assert is_told(house, "EHLO client.example") and is_told(house, "221 2.0.0")
    house.command("debug", "off", "127.0.0.0/8")
    before = len(told(house))
    smtp(house)
    assert len(told(house)) == before
    # the user, from the login on
    house.command("debug", "on", "jill@example.com")
    smtp(house)
    assert len(told(house)) == before
    smtp(house, login=True)
    imap(house)
    assert is_told(house, "MAIL FROM", before) and is_told(house, "SELECT INBOX", before)
    assert not any("[not shown]" in line for line in told(house)[before:])
    assert house.command("debug", "off", "nobody@example.com", check=False).returncode == 1
    house.command("debug", "off")
    assert house.command("debug", "list").stdout == ""


def test_switches_outlive_a_reload_and_end_by_themselves(house):
    house.command("debug", "on", "192.0.2.1", "--for", "1h")
    house.command("debug", "on", "127.0.0.1", "--for", "1h")
    house.command("reload")
    listed = house.command("debug", "list").stdout
    assert "192.0.2.1" in listed and ("59m" in listed or "60m" in listed)
    smtp(house)
    assert is_told(house, "221 2.0.0")
    house.command("debug", "on", "127.0.0.1", "--for", "2s")
    wait_for(lambda: "127.0.0.1" not in house.command("debug", "list").stdout)
    before = len(told(house))
    smtp(house)
    assert len(told(house)) == before
    for words in [["on"], ["on", "a b"], ["on", "!192.0.2.1"], ["on", "192.0.2.1/33"], ["on", "192.0.2.1", "--for", "2d"],
                  ["on", "192.0.2.1", "--for", "soon"], ["sideways"]]:
        assert house.command("debug", *words, check=False).returncode == 2, words


def test_R177_debug_peer_list_stays_and_its_level_shows_letters(house):
    house.write_settings(debug_peer_list="192.0.2.0/24 localhost", debug_peer_level="3")
    house.command("reload")
    smtp(house, subject="seen-by-level-three")
    wait_for(lambda: "seen-by-level-three" in house.text())
    house.write_settings(debug_peer_list="192.0.2.0/40")
    assert "debug_peer_list" in house.command("config", "check", check=False).stderr


def test_peers_stand_in_files_and_tables(house):
    place = house.config.parent
    (place / "peers").write_text("# whom we look at\n192.0.2.1\njill@example.com\n")
    (place / "peers-table").write_text("127.0.0.1 x\n")
    house.write_settings(debug_peer_list=f"{place}/peers")
    house.command("reload")
    smtp(house)
    assert told(house) == []
    smtp(house, login=True)
    assert is_told(house, "MAIL FROM")
    before = len(told(house))
    house.write_settings(debug_peer_list=f"hash:{place}/peers-table")
    house.command("reload")
    smtp(house)
    assert is_told(house, "EHLO client.example", before)


@pytest.mark.parametrize("key", ["127.0.0.1", "localhost", "jill@example.com", ""])
def test_R177_peers_stand_in_a_database(house, key):
    """Nobody waits for it: what was said before it answers is kept and told then, of those it has and of nobody else."""
    program = Program({key.encode(): b"x"}, "socketmap")
    program.delay = 0.3
    try:
        house.write_settings(debug_peer_list=f"socketmap:inet:127.0.0.1:{program.port}:x", table_cache_time="0")
        house.command("reload")
        smtp(house)
        smtp(house, login=True)
        imap(house)
        pop3(house)
        wait_for(lambda: b"127.0.0.1" in program.asked and (not key or key.encode() in program.asked))
        if key == "127.0.0.1":
            assert is_told(house, "SELECT INBOX") and is_told(house, "RETR 1") and is_told(house, "LOGIN [not shown]")
            assert is_told(house, "EHLO client.example") and is_told(house, ": 220 ")
        elif key == "jill@example.com":
            assert is_told(house, "SELECT INBOX") and is_told(house, "MAIL FROM")
        elif key == "localhost":
            assert is_told(house, "> localhost[127.0.0.1]: 220 ")
        else:
            with smtplib.SMTP("127.0.0.1", house.ports["smtp"], timeout=60) as s:
                s.ehlo("client.example")
                wait_for(lambda: b"localhost" in program.asked)
            assert told(house) == []
        assert not any(secret in house.text() for secret in SECRETS)
    finally:
        program.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="operating-system users are made by root")
def test_R177_the_keeper_of_a_system_user_asks_postgresql(tmp_path):
    """It runs as that user, and is told of its own sessions alone."""
    from test_credentials import Unix
    from test_system_logins import rcpt, reader, tutorial
    unix = Unix()
    for above in [tmp_path, *tmp_path.parents]:
        if above.stat().st_uid == os.getuid() and str(above) not in ("/", "/tmp"):
            above.chmod(0o755)
    try:
        with Postgres(tmp_path / "postgres") as postgres:
            postgres.sql("CREATE TABLE peers (who text PRIMARY KEY)")
            postgres.sql(f"INSERT INTO peers VALUES ('{unix.name}@mail.example.com')")
            table = tmp_path / "peers.cf"
            table.write_text(f"hosts = 127.0.0.1:{postgres.port}\nuser = mail\npassword = secret\ndbname = postgres\n"
                             "query = SELECT who FROM peers WHERE who = '%s'\n")
            with tutorial(unix, debug_peer_list=f"pgsql:{table}") as house:
                assert rcpt(house, f"{unix.name}@mail.example.com")[0] == 250
                with reader(house, unix.name, "geheim") as c:
                    c.select("INBOX")
                assert is_told(house, f"{unix.name}@mail.example.com: ") and is_told(house, "SELECT INBOX") and is_told(house, "LOGOUT")
                assert not any("RCPT" in line for line in told(house)) and "geheim" not in house.text()
    finally:
        unix.remove()


def test_a_database_of_peers_that_is_away_leaves_sessions_as_they_are(house):
    house.write_settings(debug_peer_list="socketmap:inet:127.0.0.1:1:x")
    house.command("reload")
    smtp(house)
    smtp(house, login=True)
    imap(house)
    pop3(house)
    assert told(house) == []
    house.write_settings(debug_peer_list="sideways:/x")
    assert "debug_peer_list" in house.command("config", "check", check=False).stderr


def test_a_reload_is_over_when_all_have_it_whatever_happens_beside_it(house):
    """A table that changes while the signer is being told hurries the others, and does not make them have heard."""
    place = house.config.parent
    (place / "peers-table").write_text("192.0.2.1 x\n")
    house.write_settings(smtpd_client_restrictions=f"check_client_access hash:{place}/peers-table")
    house.command("reload")
    deaf = [p["pid"] for p in house.at_work() if p["role"] in ("signer", "receiver")]
    try:
        for pid in deaf:
            os.kill(pid, signal.SIGSTOP)
        house.write_settings(debug_peer_list="127.0.0.1")
        reload = subprocess.Popen([BINARY, "-c", house.config, "reload"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: house.count("reload -- version") == 2)
        news = house.count("peers-table is new")
        (place / "peers-table").write_text("192.0.2.2 x\n")
        wait_for(lambda: house.count("peers-table is new") > news)
        assert house.command("debug", "on", "192.0.2.1").returncode == 0     # the postmaster has said what it had to say
        assert reload.poll() is None, reload.communicate()
    finally:
        for pid in deaf:
            os.kill(pid, signal.SIGCONT)
    said, complaint = reload.communicate(timeout=60)
    assert reload.returncode == 0 and "is in force" in said, (said, complaint)
    smtp(house)
    assert is_told(house, "EHLO client.example")


def test_transcripts_go_to_a_file_of_their_own(house):
    """The file is root's alone, has a number for each session, and the log has none of it; a user's keeper writes there, too."""
    path = house.config.parent / "transcripts"
    path.touch()
    path.chmod(0o644)
    house.write_settings(debug_peer_list="127.0.0.1", debug_peer_file=str(path))
    house.command("reload")
    smtp(house)
    smtp(house, login=True)
    imap(house)
    pop3(house)

    def whole():
        text = path.read_text() if path.exists() else ""
        return any("/pop3[" in line and "QUIT" in line.upper() for line in text.splitlines()) and text
    text = wait_for(whole)
    assert path.stat().st_mode & 0o777 == 0o600
    lines = text.splitlines()
    form = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6} mansio/[\w/-]+\[\d+\.\d+\] [<>] .*: .*")
    assert all(form.fullmatch(line) for line in lines), lines
    for words in ("EHLO client.example", "354 End data", "[letter of ", "AUTH PLAIN [not shown]", "SELECT INBOX", "PASS [not shown]"):
        assert words.lower() in text.lower(), words
    for secret in SECRETS + ["the body", "the subject"]:
        assert secret not in text, secret
    assert told(house) == []
    one = re.search(r"smtpd(\[\d+\.\d+\])", text)[1]
    session = [line for line in lines if f"smtpd{one}" in line]
    assert "EHLO client.example" in session[0] or "220 " in session[0]
    assert sum("QUIT" in line.upper() for line in session) == 1, "a session can be told from the others"
    # rotated: a reload makes it anew
    path.rename(path.with_suffix(".1"))
    house.command("reload")
    smtp(house)
    assert wait_for(lambda: path.exists() and "QUIT" in path.read_text().upper())
    # nobody is waited for who would read a pipe
    pipe = path.with_suffix(".pipe")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    house.write_settings(debug_peer_list="127.0.0.1", debug_peer_file=str(pipe))
    house.command("reload")
    wait_for(lambda: f"debug_peer_file = {pipe}: it is no file; transcripts go to the log" in house.text())
    os.close(reader)
    house.command("reload")
    smtp(house)
    wait_for(lambda: told(house))
    done = house.command("config", "set", "debug_peer_file=transcripts", check=False)
    assert done.returncode != 0 and "write an absolute path" in done.stdout + done.stderr


def test_a_password_behind_a_tab_is_hidden(house):
    """The receiver takes a tab for a blank; so must whoever hides what comes behind AUTH."""
    house.command("debug", "on", "127.0.0.1")
    s = smtplib.SMTP("127.0.0.1", house.ports["submission"], timeout=20)
    s.starttls(context=trusting())
    s.ehlo("client.example")
    assert s.docmd(f"AUTH\tPLAIN {SECRETS[1]}")[0] == 235
    s.quit()
    assert is_told(house, "[not shown]") and is_told(house, "221 2.0.0")
    assert not any(secret in house.text() for secret in SECRETS)


@pytest.mark.parametrize("trap", ["pipe", "link", "second name", "of somebody else", "for all to read"])
def test_transcripts_go_to_no_file_that_others_have_a_hand_on(house, trap):
    """A pipe nobody reads stops no server; what others made, link to or have a second name for is not written to."""
    path, other = house.config.parent / "transcripts", house.config.parent / "other"
    if trap == "pipe":
        os.mkfifo(path)
    elif trap == "link":
        path.symlink_to(other)
    else:
        path.touch()
    if trap == "second name":
        os.link(path, other)
    elif trap == "of somebody else":
        os.chown(path, 12345, 12345)
    elif trap == "for all to read":
        path.chmod(0o666)
    house.write_settings(debug_peer_list="127.0.0.1", debug_peer_file=str(path))
    house.command("reload")
    if trap == "for all to read":
        # Each time anew: a receiver may hear of the reload after the first.
        wait_for(lambda: smtp(house) or "EHLO client.example" in path.read_text().replace("ehlo", "EHLO"))
        assert path.stat().st_mode & 0o777 == 0o600
        return
    wait_for(lambda: smtp(house) or any("ehlo client.example" in line.lower() for line in told(house)))     # the log has them
    assert "transcripts go to the log" in house.text()
    assert not other.exists() or other.read_text() == ""


@pytest.mark.parametrize("peer, why", [("!192.0.2.1", "nobody can be taken out here"), ("pgsql:/etc/mansio/x", "this table cannot be used as it is")])
def test_what_cannot_be_a_peer_is_said(house, peer, why):
    done = house.command("config", "set", f"debug_peer_list={peer}", check=False)
    assert done.returncode != 0 and why in done.stdout + done.stderr


def test_a_switch_is_for_no_file(house):
    done = house.command("debug", "on", "/etc/mansio/peers", check=False)
    assert done.returncode != 0 and "write files and tables in debug_peer_list" in done.stdout + done.stderr
