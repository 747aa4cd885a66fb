# SPDX-License-Identifier: ISC
"""What doveadm says of users: ours beside Dovecot's own, of the same passwd-file.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_doveadm_user.py
"""

import pathlib
import shutil
import sqlite3
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from test_credential_servers import Server, file_for, place, slapd  # noqa: F401 (fixtures)
from house import wait_for
from test_credentials import village

USERS = ("eva@elsewhere.example:{PLAIN}geheim:1000:1000::/srv/eva::userdb_quota_rule=*:storage=20M userdb_mail=maildir:/srv/eva/M\n"
         "adam@elsewhere.example:{PLAIN}geheim:1001:1002::/srv/adam::\n")


@pytest.mark.skipif(not shutil.which("dovecot"), reason="no dovecot")
def test_as_dovecot_prints_it(place):  # noqa: F811
    users, conf = place / "users", place / "dovecot.conf"
    users.write_text(USERS)
    users.chmod(0o644)
    conf.write_text(f"base_dir = {place}/run\nlog_path = {place}/log\nprotocols =\nssl = no\nauth_username_chars =\n"
                    f"passdb {{\n  driver = passwd-file\n  args = {users}\n}}\nuserdb {{\n  driver = passwd-file\n  args = {users}\n}}\n")
    dovecot = Server("dovecot", "-F", "-c", conf, ready=lambda: (place / "run" / "auth-userdb").exists())
    try:
        dovecot.start()
        with village(auth_backends=f"directory passwd-file:{users}") as house:
            for words in (["user", "eva@elsewhere.example"], ["user", "adam@elsewhere.example"], ["user", "ADAM@elsewhere.example"],
                          ["user", "-f", "home", "eva@elsewhere.example"], ["user", "-f", "nothing", "eva@elsewhere.example"],
                          ["user", "nobody@elsewhere.example"], ["user", "-f", "home", "nobody@elsewhere.example"],
                          ["auth", "lookup", "adam@elsewhere.example"], ["auth", "lookup", "nobody@elsewhere.example"],
                          ["auth", "lookup", "-f", "user", "adam@elsewhere.example"]):
                theirs = subprocess.run(["doveadm", "-c", conf, *words], capture_output=True, text=True, timeout=30)
                ours = house.command("doveadm", *words, check=False)
                assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout), words
            assert house.command("doveadm", "user", "jack@example.com").stdout == "field\tvalue\nmail\t\n"
            assert house.command("doveadm", "user", "*@example.com").stdout == "jack@example.com\njill@example.com\n"
            assert house.command("doveadm", "user", "zz*").stdout == ""
            users.unlink()
    finally:
        subprocess.run(["dovecot", "-c", conf, "stop"], capture_output=True)
        dovecot.stop()


def test_users_are_those_for_whom_mail_is_taken():
    """The system's user `games` is nobody in a virtual domain, the origin's or another, nor where users below first_valid_uid have no mail; a mailbox of a table is somebody."""
    import pwd
    games = pwd.getpwnam("games")
    with village(mydestination="localhost", alias_maps="", virtual_mailbox_domains="virtual.example",
                 virtual_mailbox_maps="inline:{ann@virtual.example=ann/}", myorigin="example.com") as house:
        def said(who):
            done = house.command("doveadm", "user", "-f", "uid", who, check=False)
            return done.returncode, done.stdout.strip()

        def taken(who):
            with house.smtp() as s:
                s.ehlo("x")
                s.mail("x@example.net")
                return s.rcpt(who)[0] == 250
        for who in ("games@example.com", "games@virtual.example", "games@elsewhere.example", "nobody-here@localhost", "games@localhost"):
            assert said(who)[0] == 67 and not taken(who), who
        house.write_settings(first_valid_uid=games.pw_uid)
        house.command("reload")
        wait_for(lambda: taken("games@localhost"))
        assert said("games@localhost") == (0, str(games.pw_uid))
        assert said("games") == (0, str(games.pw_uid)), "a name for the login"
        for who in ("ann@virtual.example", "jack@example.com"):
            assert said(who) == (0, "") and taken(who), who


def names(house, mask="*"):
    done = house.command("doveadm", "user", mask, check=False)
    return done.returncode, done.stdout.split(), done.stderr


@pytest.mark.skipif(not shutil.which("dovecot"), reason="no dovecot")
def test_everybody_as_dovecot_lists_them(place):  # noqa: F811
    """Of a passwd-file and of the operating system: each once, by any mask."""
    users, conf = place / "users", place / "dovecot.conf"
    users.write_text(USERS + "bare:{PLAIN}x::::::\n# nobody:x\n")
    users.chmod(0o644)
    conf.write_text(f"base_dir = {place}/run\nlog_path = {place}/log\nprotocols =\nssl = no\nauth_username_chars =\nfirst_valid_uid = 1000\n"
                    f"passdb {{\n  driver = passwd-file\n  args = {users}\n}}\nuserdb {{\n  driver = passwd-file\n  args = {users}\n}}\n"
                    "userdb {\n  driver = passwd\n}\n")
    dovecot = Server("dovecot", "-F", "-c", conf, ready=lambda: (place / "run" / "auth-userdb").exists())
    try:
        dovecot.start()
        with village(auth_backends=f"directory passwd-file:{users} pam", first_valid_uid="1000") as house:
            for mask in ("*", "*@elsewhere.example", "e*", "?are", "nobody", "no*y", "zz*"):
                def both():
                    """Others make users of the system and remove them while we look."""
                    theirs = subprocess.run(["doveadm", "-c", conf, "user", mask], capture_output=True, text=True, timeout=30)
                    status, ours, _ = names(house, mask)
                    ours = [n for n in ours if not n.endswith("@example.com")]
                    return (status, sorted(ours)) == (theirs.returncode, sorted(set(theirs.stdout.split())))
                if mask != "nobody":
                    wait_for(both)
            assert {"eva@elsewhere.example", "adam@elsewhere.example", "bare", "nobody", "jack@example.com"} <= set(names(house)[1])
            assert "root" not in names(house)[1]
    finally:
        subprocess.run(["dovecot", "-c", conf, "stop"], capture_output=True)
        dovecot.stop()


def test_everybody_of_a_database(place):  # noqa: F811
    path = place / "people.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE people(name TEXT, domain TEXT, hash TEXT)")
        db.executemany("INSERT INTO people VALUES(?, ?, '{PLAIN}geheim')", [(f"u{i}", "example.net") for i in range(30000)] + [("Jack", "example.com"), ("bare", None)])
    place.chmod(0o777)
    query = "password_query = SELECT hash AS password FROM people WHERE name = '%n' AND domain = '%d'\n"
    cf = file_for(place, "users.cf", f"driver = sqlite\ndbpath = {path}\n{query}")
    with village(auth_backends=f"directory sql:{cf}") as house:
        everybody = {f"u{i}@example.net" for i in range(30000)} | {"jack@example.com", "jill@example.com", "bare"}
        assert names(house)[:2] == (0, ["jack@example.com", "jill@example.com"]), "without iterate_query it does not tell"
        for select in ("SELECT name AS username, domain FROM people", "SELECT name || coalesce('@' || domain, '') AS user FROM people"):
            cf.write_text(f"driver = sqlite\ndbpath = {path}\n{query}iterate_query = {select}\n")
            status, found, _ = names(house)
            assert status == 0 and set(found) == everybody and len(found) == len(everybody), "each once, whatever the case"
            assert names(house, "U1?@EXAMPLE.net") == (0, [f"u1{i}@example.net" for i in range(10)], ""), "nor is the directory said to lack them"
        cf.write_text(f"driver = sqlite\ndbpath = {path}\n{query}iterate_query = SELECT name AS user FROM elsewhere\n")
        status, found, said = names(house)
        assert status == 75 and found == ["jack@example.com", "jill@example.com"] and "no such table: elsewhere" in said


def test_everybody_of_a_server(place, slapd):  # noqa: F811
    bind = f"uris = {slapd.uri}\nbase = dc=example\nscope = subtree\ntimeout = 1s\ndnpass = pa$$\ndn = cn=admin,dc=example\n"
    cf = file_for(place, "ldap.cf", f"{bind}pass_filter = (mail=%u)\npass_attrs = mail=user, userPassword=password\n")
    with village(auth_backends=f"directory ldap:{cf}") as house:
        assert names(house)[:2] == (0, ["jack@example.com", "jill@example.com"]), "nobody is a posixAccount"
        cf.write_text(cf.read_text() + "iterate_filter = (objectClass=inetOrgPerson)\niterate_attrs = mail=user\n")
        assert names(house, "*@elsewhere.example")[1] == ["eva@elsewhere.example", "adam@elsewhere.example"]
        slapd.stop()
        status, found, said = names(house)
        assert status == 75 and found == ["jack@example.com", "jill@example.com"] and "user listing failed" in said
