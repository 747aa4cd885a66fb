# SPDX-License-Identifier: ISC
"""Who is not in the directory has the rights of those who are: operating-system users (PAM) and users of back ends who have never logged
in are suspended, bounded, and have app passwords; and whoever comes after somebody inherits nothing from him in silence.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_system_accounts.py
"""

import imaplib
import json
import os
import pathlib
import pwd
import secrets
import sqlite3
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import PATIENCE, free_ports, wait_for
from kit import open_to_all
from test_auth_bridge import Bridge
from test_credential_servers import file_for, place  # noqa: F401 (fixture)
from test_credentials import LATER, NO, pw, village
from test_guard import code_of, imap_login, listed, pop_login, submission_login
from test_roles import PASSWORD, trusting
from test_system_logins import tutorial, unix  # noqa: F401 (fixture)
from test_userdb import QUIET, SQL, database, rcpt, reader

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="operating-system users are made by root")
CLOSED = "CONTACTADMIN"


def shown(house, name):
    row, = json.loads(house.command("account", "show", name, "--json").stdout)
    return row


def app_password(house, user, name, *options):
    return house.command("account", "app-password", "add", user, name, *options).stdout.strip()


def letters(unix):  # noqa: F811
    return list((pathlib.Path(pwd.getpwnam(unix.name).pw_dir) / "Maildir").glob("[nc]*/*"))


def as_administrator(house, *words):
    """usermod(8) wants nothing to run under the uid; a keeper does."""
    house.stop()
    subprocess.run(words, check=True, capture_output=True)
    house.start()


def test_a_suspended_user_gets_mail_and_logs_in_by_nothing(unix, place):  # noqa: F811
    masters, bridge = place / "masters", place / "auth"
    masters.write_text(f"admin:{pw('SSHA512', 'haupt')}::::::\n")
    place.chmod(0o755)
    with tutorial(unix, auth_master_user_separator="*", auth_master_passwd_file=masters, auth_socket=bridge, auth_socket_mode="0666",
                  auth_username_format="%Ln", auth_backends=f"directory pam:{unix.service}") as house:
        name, address = unix.name, f"{unix.name}@mail.example.com"
        phone = app_password(house, name, "phone")
        assert imap_login(house, phone, name) is True
        assert imap_login(house, "haupt", f'"{name}*admin"') is True
        c = reader(house, name, "geheim")
        c.select("INBOX")
        with Bridge(bridge) as b:
            assert b.ask(f"auth:{name}:mail.example.com:geheim")
            house.command("account", "suspend", name, "--until", "2d", "--reason", "unpaid bill")
            with pytest.raises((imaplib.IMAP4.abort, OSError)):
                for _ in range(50):
                    c.noop()
            for password in ("geheim", phone):
                assert CLOSED in imap_login(house, password, name)
                assert pop_login(house, password, name) is not True
                assert submission_login(house, password, name).startswith("535 5.7.8")
            assert imap_login(house, "haupt", f'"{name}*admin"') is not True
            assert not b.ask(f"auth:{name}:mail.example.com:geheim")
        assert "unpaid bill" in house.text()
        assert "account is suspended" in house.command("auth", "test", name, input="geheim\n", check=False).stderr
        # Mail still comes.
        assert rcpt(house, address)[0] == 250
        house.send([address], "while-away")
        wait_for(lambda: len(letters(unix)) == 1)
        row = shown(house, name)
        assert row["suspended"] and row["suspended_reason"] == "unpaid bill" and row["system_user"] == pwd.getpwnam(name).pw_uid
        assert row["account"] == name and row["app_passwords"] == 1 and row["enabled"] and row["gone"] is None
        assert f"{name} " in house.command("account", "list").stdout
        house.command("account", "resume", name)
        assert imap_login(house, "geheim", name) is True and imap_login(house, phone, name) is True
        with reader(house, name, "geheim") as c:
            assert c.select("INBOX")[1] == [b"1"]
        assert house.command("account", "resume", name, check=False).returncode == 1
        # As for accounts: disabled.
        house.command("account", "set", name, "enabled", "no")
        assert CLOSED in imap_login(house, "geheim", name) and CLOSED in imap_login(house, phone, name)
        house.command("account", "set", name, "enabled", "yes")
        assert imap_login(house, phone, name) is True
        # What was said is forgotten; the user is as he was.
        house.command("account", "delete", name)
        assert NO in imap_login(house, phone, name) and imap_login(house, "geheim", name) is True
        assert f"{name} " not in house.command("account", "list").stdout and pwd.getpwnam(name) and len(letters(unix)) == 1
        assert house.command("account", "delete", name, check=False).returncode == 1


def test_app_passwords_of_users_are_for_what_they_are_for(unix):  # noqa: F811
    with tutorial(unix) as house:
        name = unix.name
        phone = app_password(house, name, "phone", "--protocols", "imap")
        printer = app_password(house, name, "printer", "--protocols", "submission")
        fetch = app_password(house, name, "fetch", "--protocols", "pop3")
        assert imap_login(house, phone, name) is True and pop_login(house, fetch, name) is True
        assert submission_login(house, printer, name) is True
        for login, wrong in ((imap_login, printer), (imap_login, fetch), (pop_login, phone), (pop_login, printer),
                             (submission_login, phone), (submission_login, fetch)):
            assert login(house, wrong, name) is not True
        assert NO in imap_login(house, phone, "jack@example.com")
        assert imap_login(house, "geheim", name) is True
        one = {r["name"]: r for r in listed(house, name)}
        assert one["phone"]["used_from"] == "127.0.0.1" and one["phone"]["used_by"] == "imap"
        assert one["fetch"]["used_by"] == "pop3" and one["printer"]["used_by"] == "submissions"
        # The account phase of PAM holds for them, too.
        subprocess.run(["chage", "-E", "2001-01-01", name], check=True)
        assert imap_login(house, phone, name) is not True
        subprocess.run(["chage", "-E", "-1", name], check=True)
        assert imap_login(house, phone, name) is True
        # With a second factor the password itself opens nothing.
        said = house.command("account", "totp", "enable", name).stdout
        secret = next(line.split()[1] for line in said.splitlines() if line.startswith("secret:"))
        house.command("account", "totp", "confirm", name, input=code_of(secret))
        assert NO in imap_login(house, "geheim", name) and imap_login(house, phone, name) is True
        house.command("account", "totp", "disable", name)
        c = imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], timeout=PATIENCE, ssl_context=trusting())
        c.login(name, phone)
        house.command("account", "app-password", "revoke", name, "phone")
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            for _ in range(50):
                c.noop()
        assert imap_login(house, phone, name) is not True


def test_networks_protocols_and_quota_of_users(unix):  # noqa: F811
    with tutorial(unix) as house:
        name, address = unix.name, f"{unix.name}@mail.example.com"
        house.command("account", "set", name, "--networks", "127.0.0.2,192.0.2.0/24", "--protocols", "imap")
        assert NO in imap_login(house, "geheim", name)
        assert imap_login(house, "geheim", name, source="127.0.0.2") is True
        assert submission_login(house, "geheim", name, source="127.0.0.2").startswith("535 5.7.8")
        row = shown(house, name)
        assert row["networks"] == "127.0.0.2 192.0.2.0/24" and row["protocols"] == "imap"
        house.command("account", "set", name, "--networks", "all", "--protocols", "all")
        assert submission_login(house, "geheim", name) is True
        # By his address in a local domain he is the same.
        house.command("account", "suspend", address)
        assert CLOSED in imap_login(house, "geheim", name)
        house.command("account", "resume", name)
        house.command("account", "set", name, "--quota-messages", "1")
        house.send([address], "fits")
        wait_for(lambda: len(letters(unix)) == 1)
        wait_for(lambda: rcpt(house, address)[0] == 552)
        assert "1" in house.command("quota", "get", name).stdout
        house.command("account", "set", name, "--quota-messages", "default")
        wait_for(lambda: rcpt(house, address)[0] == 250)
        for words in (["--mail-location", "log"], ["--quota-messages", "many"]):
            assert house.command("account", "set", name, *words, check=False).returncode != 0
        gone = house.command("account", "suspend", name + "x", check=False)
        assert gone.returncode == 1 and f"there is no account {name}x" in gone.stderr
        assert house.command("account", "suspend", f"{name}x@mail.example.com", check=False).returncode == 1
        assert house.command("account", "suspend", "root", check=False).returncode == 1


def test_an_account_that_is_bound_to_a_user_keeps_its_limit(unix):  # noqa: F811
    """When nothing is said of the user himself any more."""
    with tutorial(unix, auth_backends=f"directory pam:{unix.service}") as house:
        house.command("account", "set", "jack@example.com", "system-user", unix.name)
        house.command("account", "set", "jack@example.com", "--quota-messages", "7")
        house.send(["jack@example.com"], "one")
        wait_for(lambda: len(letters(unix)) == 1)

        def limit():
            return house.command("quota", "get", "jack@example.com", "-f", "tab").stdout.splitlines()[1].split("\t")[4]
        assert limit() == "7"
        app_password(house, unix.name, "phone")
        house.command("account", "set", unix.name, "--quota-messages", "3")
        wait_for(lambda: limit() == "3")
        house.command("account", "set", unix.name, "--quota-messages", "default")
        wait_for(lambda: limit() == "7")
        house.command("account", "delete", unix.name)
        assert limit() == "7"


def test_a_full_domain_keeps_no_letter_from_a_command(unix, tmp_path):  # noqa: F811
    """Of what a domain holds together commands and files of aliases use nothing, nor of what a user may hold."""
    file = tmp_path / "letters"
    file.touch()
    open_to_all(tmp_path)
    file.chmod(0o666)
    with tutorial(unix, alias_maps=f"inline:{{ {{list = |/bin/cat >> {file}}}, {{joe = {unix.name}}} }}", message_size_limit="1M",
                  default_privs=unix.name, allow_mail_to_commands="alias") as house:
        origin = "mail.example.com"
        house.send([f"{unix.name}@{origin}"], "fits")
        wait_for(lambda: len(letters(unix)) == 1)
        house.command("domain", "set", origin, "--total-messages", "1")
        house.command("account", "set", unix.name, "--quota-storage", "20K")
        wait_for(lambda: rcpt(house, f"{unix.name}@{origin}")[0] == 552)
        assert rcpt(house, f"joe@{origin}")[0] == 552
        assert rcpt(house, f"list@{origin}")[0] == 250
        with house.smtp() as s:
            s.ehlo("client.example")
            s.mail("a@out.example", ["size=100000"])
            assert s.rcpt(f"list@{origin}")[0] == 250
        house.send([f"list@{origin}"], "for-the-command")
        wait_for(lambda: "for-the-command" in file.read_text())


def test_who_is_meant_is_who_would_be_let_in(unix, place):  # noqa: F811
    """By one name there may be a user of a passwd-file, whose account stays when the file goes, and one of the operating system."""
    users, name = place / "users", unix.name
    users.write_text(f"{name}:{pw('SSHA512', 'anders')}::::::\n")
    users.chmod(0o644)
    place.chmod(0o755)
    with tutorial(unix, auth_backends=f"directory passwd-file:{users} pam:{unix.service}") as house:
        assert imap_login(house, "anders", name) is True
        house.command("account", "suspend", name)
        assert CLOSED in imap_login(house, "anders", name)
        assert shown(house, f"{name}@mail.example.com")["suspended"]
        users.write_text("")
        wait_for(lambda: imap_login(house, "geheim", name) is True)
        phone = app_password(house, name, "phone")
        assert shown(house, name)["app_passwords"] == 1
        assert imap_login(house, phone, name) is True
        house.command("account", "suspend", name)
        assert CLOSED in imap_login(house, "geheim", name) and CLOSED in imap_login(house, phone, name)
        house.command("account", "resume", name)
        # What is of the one opens nothing of the other.
        users.write_text(f"{name}:{pw('SSHA512', 'anders')}::::::\n")
        wait_for(lambda: CLOSED in str(imap_login(house, "anders", name)))
        assert imap_login(house, phone, name) is not True


def test_users_of_pam_alone_have_an_account_after_the_first_login(unix, tmp_path):  # noqa: F811
    db = tmp_path / "people"
    subprocess.run(["db_load", "-T", "-t", "hash", f"{db}.db"], input="virtual\ngeheim\n", text=True, check=True)
    tmp_path.chmod(0o755)
    unix.write(f"auth required pam_userdb.so db={db}", f"account required pam_userdb.so db={db}")
    with tutorial(unix) as house:
        early = house.command("account", "suspend", "virtual", check=False)
        assert early.returncode == 1 and "there is no account virtual (back ends that tell nothing without a password" in early.stderr
        assert imap_login(house, "geheim", "virtual") is True
        phone = app_password(house, "virtual", "phone")
        assert imap_login(house, phone, "virtual") is True
        house.command("account", "suspend", "virtual")
        assert CLOSED in imap_login(house, "geheim", "virtual") and CLOSED in imap_login(house, phone, "virtual")


def test_who_has_another_uid_or_name_inherits_nothing_in_silence(unix):  # noqa: F811
    """Somebody else, or the same: only an administrator knows."""
    with tutorial(unix) as house:
        name, late = unix.name, "n" + unix.name
        uid = pwd.getpwnam(name).pw_uid
        phone = app_password(house, name, "phone")
        assert imap_login(house, phone, name) is True
        as_administrator(house, "usermod", "-l", late, name)
        try:
            # The uid under another name: his password opens it, what was made for the other does not.
            assert imap_login(house, "geheim", late) is True
            assert NO in imap_login(house, phone, late) and NO in imap_login(house, phone, name)
            assert house.count(f"what is said of {name} was said of uid {uid}, and uid {uid} is {late} now") == 1
            assert house.count(f"mansio account set {name} system-user {late}") == 1 and house.count(f"mansio account delete {name}") >= 1
            said = house.command("account", "suspend", late, check=False)
            assert said.returncode == 1 and f"mansio account set NAME system-user {late}" in said.stderr
            house.command("account", "suspend", name, check=False)
            house.command("account", "set", name, "system-user", late)
            assert shown(house, late)["app_passwords"] == 1
            assert imap_login(house, phone, late) is True, "he is the same, and so is the uid"
            # Another uid under the name: what kept him out does so still.
            house.command("account", "suspend", late)
            as_administrator(house, "usermod", "-u", str(uid + 7000), late)
            assert CLOSED in imap_login(house, "geheim", late) and NO in imap_login(house, phone, late)
            assert house.count(f"what is said of {late} was said of uid {uid}, and uid {uid + 7000} is {late} now") == 1
            said = house.command("account", "set", late, "system-user", late).stdout
            assert f"{late} has uid {uid + 7000} now; app passwords and recovery codes are void" in said
            assert CLOSED in imap_login(house, "geheim", late)
            house.command("account", "resume", late)
            assert imap_login(house, "geheim", late) is True and NO in imap_login(house, phone, late)
            assert shown(house, late)["app_passwords"] == 0
        finally:
            subprocess.run(["userdel", "-r", "-f", late], capture_output=True)


def test_who_was_away_and_is_made_anew_inherits_nothing_in_silence(unix):  # noqa: F811
    """The same name and the same uid: that he was away was seen."""
    subprocess.run(["usermod", "-u", str(30000 + secrets.randbelow(20000)), unix.name], check=True, capture_output=True)
    with tutorial(unix, table_cache_time="1s") as house:
        name, uid = unix.name, pwd.getpwnam(unix.name).pw_uid
        phone = app_password(house, name, "phone")
        house.command("account", "set", name, "--protocols", "imap")
        assert imap_login(house, phone, name) is True
        as_administrator(house, "userdel", "-r", name)
        assert NO in imap_login(house, phone, name), "who is no user logs in by nothing"
        wait_for(lambda: house.count(f"{name} with uid {uid} is no user of the operating system any more"), 150)
        assert shown(house, name)["gone"] is not None
        subprocess.run(["useradd", "-m", "-u", str(uid), name], check=True, capture_output=True)
        subprocess.run(["chpasswd"], input=f"{name}:anders\n", text=True, check=True, capture_output=True)
        time.sleep(2)  # table_cache_time: that he is nobody was heard a moment ago
        assert NO in imap_login(house, phone, name) and imap_login(house, "anders", name) is True
        assert submission_login(house, "anders", name).startswith("535 5.7.8"), "what bounded him does so until somebody says who he is"
        assert house.count("who was away meanwhile") == 1
        assert house.command("account", "app-password", "add", name, "new", check=False).returncode == 1
        house.command("account", "delete", name)
        assert submission_login(house, "anders", name) is True
        assert NO in imap_login(house, phone, name)
        assert imap_login(house, app_password(house, name, "new"), name) is True


def test_people_of_back_ends_before_the_first_login(place):  # noqa: F811
    path = database(place, "eva@example.com", "adam@example.com", "kain@example.com")
    cf = file_for(place, "users.cf", f"driver = sqlite\ndbpath = {path}\n{SQL}")
    users = place / "users"
    users.write_text(f"seth@example.com:{pw('SSHA512')}::::::\n")
    users.chmod(0o644)
    with village(auth_backends=f"directory passwd-file:{users} sql:{cf}", table_cache_time="0", **{k: v for k, v in QUIET.items() if "limit" not in k}) as house:
        house.command("account", "suspend", "Eva@example.com", "--reason", "not yet")
        assert CLOSED in imap_login(house, "geheim", "eva@example.com")
        house.send(["eva@example.com"], "early")
        wait_for(house.queue_is_empty)
        house.command("account", "resume", "eva@example.com")
        with reader(house, "eva@example.com", "geheim") as c:
            assert c.select("INBOX")[1] == [b"1"]
        phone = app_password(house, "adam@example.com", "phone", "--protocols", "imap")
        assert imap_login(house, phone, "adam@example.com") is True and pop_login(house, phone, "adam@example.com") is not True
        assert imap_login(house, "geheim", "adam@example.com") is True
        house.command("account", "set", "seth@example.com", "--protocols", "pop3", "--networks", "all")
        assert NO in imap_login(house, "geheim", "seth@example.com") and pop_login(house, "geheim", "seth@example.com") is True
        house.command("account", "set", "kain@example.com", "--quota-storage", "30M")
        assert str(30 << 20) in house.command("quota", "get", "kain@example.com").stdout
        nobody = house.command("account", "suspend", "nobody@example.com", check=False)
        assert nobody.returncode == 1 and "there is no account nobody@example.com" in nobody.stderr
        assert imap_login(house, PASSWORD) is True
        house.command("account", "suspend", "jack@example.com")
        assert CLOSED in imap_login(house, PASSWORD)
        # A database that is away is not asked for whom the directory has, and tells of nobody that he is not there.
        with sqlite3.connect(path) as db:
            db.execute("ALTER TABLE people RENAME TO elsewhere")
        house.command("account", "resume", "jack@example.com")
        for words in ("suspend abel@example.com", "set abel@example.com --protocols imap", "app-password add abel@example.com phone"):
            dead = house.command("account", *words.split(), check=False)
            assert dead.returncode == 1 and "cannot be told now" in dead.stderr, dead.stderr
        with sqlite3.connect(path) as db:
            db.execute("ALTER TABLE elsewhere RENAME TO people")
        wait_for(lambda: house.command("account", "suspend", "abel@example.com", check=False).returncode == 1)


def test_a_server_that_is_away_is_later(place):  # noqa: F811
    cf = file_for(place, "users.cf", f"driver = pgsql\nhosts = 127.0.0.1:{free_ports(1)[0]}\nuser = x\npassword = x\ndbname = x\n{SQL}")
    with village(auth_backends=f"directory sql:{cf}", table_cache_time="0") as house:
        said = house.command("account", "suspend", "eva@example.com", check=False)
        assert said.returncode == 1 and "cannot be told now" in said.stderr, said.stderr
        assert LATER in imap_login(house, "geheim", "eva@example.com")
