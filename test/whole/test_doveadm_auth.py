# SPDX-License-Identifier: ISC
"""`doveadm auth test` and `doveadm pw` say what Dovecot's own say, and end as they do.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_doveadm_auth.py
"""

import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import wait_for
from test_credential_servers import Server, file_for
from test_credentials import post, pw, village
from test_mailbox_commands import doveadm
from test_roles import PASSWORD
from test_sasl import Talk as SaslTalk

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot's processes run under accounts of their own")
JACK = "jack@example.com"
CONF = """
base_dir = {place}/run
log_path = {place}/log
protocols =
ssl = no
default_internal_user = dovecot
auth_failure_delay = 0
auth_master_user_separator = *
service auth {{
  unix_listener auth-client {{
    mode = 0666
  }}
}}
passdb {{
  driver = passwd-file
  args = {place}/masters
  master = yes
  result_success = continue
}}
passdb {{
  driver = passwd-file
  args = {place}/users
}}
userdb {{
  driver = passwd-file
  args = {place}/users
}}
"""


@pytest.fixture
def place():
    path = pathlib.Path(tempfile.mkdtemp(prefix="mda-"))
    path.chmod(0o755)
    (path / "masters").write_text(f"admin:{pw('SSHA512', 'haupt')}\n")
    (path / "users").write_text(f"{JACK}:{pw('SSHA512', PASSWORD)}:65534:65534::/nonexistent::\n")
    (path / "dovecot.conf").write_text(CONF.format(place=path))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def theirs(place, *words):
    """Dovecot's own program."""
    return subprocess.run(["doveadm", "-c", place / "dovecot.conf", *map(str, words)], capture_output=True, text=True, timeout=60)


LOGINS = [
    ((JACK, PASSWORD), 0),
    ((JACK, "falsch"), 77),
    (("nobody@example.com", "falsch"), 77),
    (("-M", "admin", JACK, "haupt"), 0),
    (("-M", "admin", JACK, PASSWORD), 77),
    (("-M", "nobody", JACK, "haupt"), 77),
    (("-M", JACK, JACK, PASSWORD), 0),
    ((f"{JACK}*admin", "haupt"), 0),
    ((f"{JACK}*admin", PASSWORD), 77),
    (("-x", "service=imap", "-x", "rip=192.0.2.1", JACK, PASSWORD), 0),
]


def test_a_tried_login_is_told_as_there(place):
    """At Dovecot by its program and by ours, and of ours by both: the same words, but for the last of a master user."""
    server = Server("dovecot", "-F", "-c", place / "dovecot.conf", ready=lambda: (place / "run" / "auth-client").exists())
    lines = lambda done: [line for line in done.stdout.splitlines() if line.strip()]
    try:
        server.start()
        with village(auth_socket=place / "auth", auth_socket_mode="0666", auth_master_user_separator="*", auth_master_passwd_file=place / "masters") as house:
            wait_for((place / "auth").exists)
            for words, status in LOGINS:
                right = theirs(place, "auth", "test", *words)
                assert right.returncode == status, (words, right)
                for done in (doveadm(house, "auth", "test", *words), doveadm(house, "auth", "test", "-a", place / "run" / "auth-client", *words)):
                    assert (done.returncode, lines(done)) == (status, lines(right)), words
                for done in (theirs(place, "auth", "test", "-a", place / "auth", *words), doveadm(house, "auth", "test", "-a", place / "auth", *words)):
                    assert (done.returncode, lines(done)[0]) == (status, lines(right)[0]), words
                    assert status != 0 or lines(done)[2] == lines(right)[2]
            # Nobody there, and nobody answers.
            with socket.socket(socket.AF_UNIX) as shut:
                shut.bind(str(place / "shut"))
                for path in (place / "none", place / "shut"):
                    mine, right = doveadm(house, "auth", "test", "-a", path, JACK, PASSWORD), theirs(place, "auth", "test", "-a", path, JACK, PASSWORD)
                    assert (mine.returncode, mine.stdout) == (right.returncode, right.stdout) == (77, "")
                    assert str(path) in mine.stderr and str(path) in right.stderr
            for wrong in (("-A", "PLAIN", JACK, PASSWORD), (), ("-M",)):
                assert doveadm(house, "auth", "test", *wrong).returncode == theirs(place, "auth", "test", *wrong).returncode == 64
            # The password may come from elsewhere.
            assert doveadm(house, "auth", "test", "-M", "admin", JACK, input="haupt\n").returncode == 0
    finally:
        subprocess.run(["dovecot", "-c", place / "dovecot.conf", "stop"], capture_output=True)
        server.stop()


def test_a_login_that_is_put_off_ends_as_there(place):
    """The file of users is gone: neither program says that the password is wrong, and both end with 77."""
    server = Server("dovecot", "-F", "-c", place / "dovecot.conf", ready=lambda: (place / "run" / "auth-client").exists())
    (place / "users").rename(place / "away")
    try:
        server.start()
        right = theirs(place, "auth", "test", JACK, PASSWORD)
        assert right.returncode == 77 and "auth failed" in right.stdout, right
        with village(auth_backends=f"passwd-file:{place}/users") as house:
            mine = doveadm(house, "auth", "test", JACK, PASSWORD)
            assert (mine.returncode, mine.stdout.splitlines()[0]) == (77, right.stdout.splitlines()[0]), mine
            assert "later" in mine.stderr
            assert house.command("auth", "test", JACK, input=PASSWORD + "\n", check=False).returncode == 1, "our own words are as they were"
    finally:
        subprocess.run(["dovecot", "-c", place / "dovecot.conf", "stop"], capture_output=True)
        server.stop()


# What stands in the file, and who logs in by it: of the fields only the name matters.
NAMES = [
    ("anna@a.example", ""),
    ("tom", "user=tom domain=sql.org"),
    ("bob", "domain=sql.org"),
    ("carl@a.example", "username=charles"),
    ("dora@a.example", "username=d domain=sql.org"),
    ("emil@a.example", "domain=sql.org username=e"),
    ("fred@a.example", "username=f@sql.org"),
    ("greg", "username=g domain=sql.org"),
    ("hugo@a.example", "user=h@b.example domain=sql.org"),
    ("ida@a.example", "user=i@sql.org"),
]


def named(done):
    """The name somebody has after a login."""
    return [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("user=")]


def test_fields_make_the_same_name_as_there(place):
    """user, username and domain of a passwd-file, and of the query that tutorials of Dovecot have: he is who he is there, and his address is his own."""
    (place / "users").write_text("".join(f"{name}:{{PLAIN}}geheim:65534:65534::/nonexistent::{fields}\n" for name, fields in NAMES))
    with sqlite3.connect(place / "users.db") as db:
        db.execute("CREATE TABLE users(username TEXT, domain TEXT, password TEXT, quota TEXT)")
        db.execute("INSERT INTO users VALUES('tom', 'sql.org', '{PLAIN}geheim', '*:storage=20M')")
    (place / "users.db").chmod(0o644)
    place.chmod(0o777)
    cf = file_for(place, "sql.cf", f"driver = sqlite\ndbpath = {place}/users.db\n"
                                   "password_query = SELECT username AS user, domain, password FROM users WHERE username = '%n'\n"
                                   "user_query = SELECT quota AS quota_rule FROM users WHERE username = '%n' AND domain = '%d'\n")
    server = Server("dovecot", "-F", "-c", place / "dovecot.conf", ready=lambda: (place / "run" / "auth-client").exists())
    try:
        server.start()
        with village(auth_backends=f"directory passwd-file:{place}/users") as house:
            for name, fields in NAMES:
                right, mine = theirs(place, "auth", "test", name, "geheim"), doveadm(house, "auth", "test", name, "geheim")
                assert right.returncode == 0 and len(named(right)) == 1, right
                assert (mine.returncode, named(mine)) == (0, named(right)), fields
            assert post(house, "bob", "own", "bob@sql.org") is True
        with village(auth_backends=f"directory sql:{cf}") as house:
            assert named(doveadm(house, "auth", "test", "tom", "geheim")) == named(theirs(place, "auth", "test", "tom", "geheim"))
            assert post(house, "tom", "own", "tom@sql.org") is True, "user_query is asked for the new name"
            assert post(house, "tom", "other", "bob@sql.org").startswith("553 5.7.1 <bob@sql.org>")
            assert "20" in house.command("quota", "get", "tom@sql.org").stdout
            assert doveadm(house, "auth", "test", "tom", "falsch").returncode == 77
    finally:
        subprocess.run(["dovecot", "-c", place / "dovecot.conf", "stop"], capture_output=True)
        server.stop()


def test_a_file_for_each_domain_has_names_without_it_as_there(place):
    """username_format=%n with %d in the path, as tutorials have it: the same names in two files are two people, and stay in their domains."""
    for domain, password in (("a.example", "geheim-a"), ("b.example", "geheim")):
        (place / domain).mkdir()
        (place / domain / "users").write_text("".join(f"{name}:{{PLAIN}}{password}:65534:65534::/nonexistent::{fields}\n"
                                                      for name, fields in (("jim", ""), ("kim", "username=tim"), ("lim", "domain=sql.org"), (f"whole@{domain}", ""))))
    conf = (place / "dovecot.conf").read_text()
    (place / "dovecot.conf").write_text(conf.replace(f"args = {place}/users", f"args = username_format=%n {place}/%d/users"))
    server = Server("dovecot", "-F", "-c", place / "dovecot.conf", ready=lambda: (place / "run" / "auth-client").exists())
    try:
        server.start()
        with village(auth_backends=f"directory a.example=passwd-file:{place}/a.example/users b.example=passwd-file:{place}/b.example/users") as house:
            for name in ("jim", "kim", "lim"):
                for domain, password, status in (("a.example", "geheim-a", 0), ("b.example", "geheim", 0), ("a.example", "geheim", 77), ("c.example", "geheim-a", 77)):
                    right, mine = (done(where, "auth", "test", f"{name}@{domain}", password) for done, where in ((theirs, place), (doveadm, house)))
                    assert mine.returncode == right.returncode == status, (name, domain, mine, right)
                    assert status != 0 or named(mine) == named(right), (mine, right)
            assert doveadm(house, "auth", "test", "jim", "geheim-a").returncode == 77
            assert doveadm(house, "auth", "test", "whole@b.example", "geheim").returncode == 0
            assert post(house, "jim@b.example", "own") is True
    finally:
        subprocess.run(["dovecot", "-c", place / "dovecot.conf", "stop"], capture_output=True)
        server.stop()


def test_no_master_users(place):
    with village() as house:
        done = doveadm(house, "auth", "test", "-M", "admin", JACK, PASSWORD)
        assert done.returncode == 77 and "auth_master_passwd_file is not set" in done.stderr


def test_a_master_user_may_say_whom_he_means_by_plain(place):
    """As imapsync --authuser1 does: rfc4616's authorization identity."""
    plain = lambda acting, name, password: f"{acting}\0{name}\0{password}".encode()

    def login(house, *words):
        with SaslTalk(house, "imap") as t:
            return t.good(t.auth("PLAIN", initial=plain(*words))[0])
    with village(auth_master_user_separator="*", auth_master_passwd_file=place / "masters") as house:
        assert login(house, JACK, "admin", "haupt")
        assert not login(house, JACK, "admin", PASSWORD)
        assert not login(house, "nobody@example.com", "admin", "haupt")
        assert not login(house, "jill@example.com", JACK, PASSWORD), "whoever is no master acts for nobody"
        assert login(house, JACK, JACK, PASSWORD)
        assert house.count(f"auth: master user <admin> as user=<{JACK}> by imap") == 1
    with village() as house:
        assert not login(house, JACK, "admin", "haupt"), "off by default"


@pytest.mark.parametrize("words", [
    ("-s", "DIGEST-MD5", "-p", "x"),
    ("-s", "NOSUCH", "-p", "x"),
    ("-t", "{PLAIN}a", "-p", "b"),
    ("-t", "{NOSUCH}a", "-p", "b"),
    ("-t", "{PLAIN}a", "-p", "a"),
    ("-s", "DIGEST-MD5", "-u", JACK, "-p", "x"),
    ("-s", "CRAM-MD5", "-p", "x"),
    ("-l",),
])
def test_pw_ends_as_there(house, place, words):
    mine, right = doveadm(house, "pw", *words), theirs(place, "pw", *words)
    assert mine.returncode == right.returncode
    assert bool(mine.stdout) == bool(right.stdout) and bool(mine.stderr) == bool(right.stderr)
    if words[:2] in (("-s", "DIGEST-MD5"), ("-s", "CRAM-MD5")):
        assert mine.stdout == right.stdout, "no salt in it"


@pytest.fixture(scope="module")
def house():
    with village() as house:
        yield house
