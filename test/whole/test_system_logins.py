# SPDX-License-Identifier: ISC
"""People who are made with useradd and passwd, as the tutorials have it: mail comes to them, and they log in by PAM.
Each test is named after the item of the catalogue that it shows.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_system_logins.py
"""

import os
import pathlib
import pwd
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import wait_for
from test_credentials import LATER, NO, Unix, scram, village
from test_guard import imap_login, pop_login, submission_login
from test_userdb import QUIET, rcpt, reader

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="operating-system users are made by root")


@pytest.fixture
def unix():
    u = Unix()
    yield u
    u.remove()


def tutorial(unix, **settings):
    """main.cf of the tutorials."""
    return village(**{"mydestination": "$myhostname, localhost.$mydomain, localhost", "home_mailbox": "Maildir/",
                      "auth_backends": f"pam:{unix.service}", **QUIET, **settings})


def test_R216_useradd_and_passwd_make_a_mail_user(unix):
    with tutorial(unix) as house:
        address = f"{unix.name}@mail.example.com"
        assert rcpt(house, address)[0] == 250
        assert rcpt(house, f"{unix.name}x@mail.example.com")[0] == 550
        house.send([address], "first")
        wait_for(house.queue_is_empty)
        new = list((pathlib.Path(pwd.getpwnam(unix.name).pw_dir) / "Maildir").glob("[nc]*/*"))
        assert len(new) == 1 and new[0].stat().st_uid == pwd.getpwnam(unix.name).pw_uid
        with reader(house, unix.name, "geheim") as c:
            assert c.select("INBOX")[1] == [b"1"], "it is the same mailbox that he logs in to"
        late = "m" + unix.name
        subprocess.run(["useradd", "-d", f"/tmp/{late}", "-m", late], check=True, capture_output=True)
        try:
            subprocess.run(["chpasswd"], input=f"{late}:anders\n", text=True, check=True)
            wait_for(lambda: rcpt(house, f"{late}@mail.example.com")[0] == 250)
            house.send([f"{late}@mail.example.com"], "second")
            wait_for(house.queue_is_empty)
            with reader(house, late, "anders") as c:
                assert c.select("INBOX")[1] == [b"1"], "made while the server runs"
        finally:
            subprocess.run(["userdel", "-r", late], capture_output=True)


def test_R259_R260_the_password_is_asked_of_pam_by_a_service_of_its_own(unix):
    with tutorial(unix) as house:
        for login in (imap_login, pop_login, submission_login):
            assert login(house, "geheim", unix.name) is True
            assert login(house, "falsch", unix.name) is not True
        assert NO in imap_login(house, "geheim", unix.name + "x")
        subprocess.run(["chpasswd"], input=f"{unix.name}:anders\n", text=True, check=True)
        assert imap_login(house, "anders", unix.name) is True and NO in imap_login(house, "geheim", unix.name)


def test_R260_session_and_credentials_are_opened_where_settings_say_so(unix, tmp_path):
    log = tmp_path / "said"
    script = tmp_path / "say"
    script.write_text(f"#!/bin/sh\necho $PAM_TYPE $PAM_USER $PAM_SERVICE $PAM_RHOST >> {log}\n")
    script.chmod(0o755)
    unix.write("auth required pam_unix.so nodelay", "account required pam_unix.so", f"session required pam_exec.so {script}")
    with tutorial(unix) as house:
        assert imap_login(house, "geheim", unix.name) is True
        assert not log.exists()
    with tutorial(unix, auth_pam_session="yes", auth_pam_setcred="yes") as house:
        assert imap_login(house, "geheim", unix.name) is True
        assert log.read_text().splitlines() == [f"{word} {unix.name} {unix.service} 127.0.0.1" for word in ("open_session", "close_session")]
        assert NO in imap_login(house, "falsch", unix.name)
        assert len(log.read_text().splitlines()) == 2
        unix.write("auth required pam_unix.so nodelay", "account required pam_unix.so", "session required pam_deny.so")
        assert imap_login(house, "geheim", unix.name) is not True, "a service that is written anew holds at once"


def test_R261_the_account_phase_decides_after_the_password(unix):
    with tutorial(unix) as house:
        assert imap_login(house, "geheim", unix.name) is True
        subprocess.run(["chage", "-E", "2001-01-01", unix.name], check=True)
        assert imap_login(house, "geheim", unix.name) is not True
        subprocess.run(["chage", "-E", "-1", unix.name], check=True)
        subprocess.run(["usermod", "-L", unix.name], check=True)
        assert NO in imap_login(house, "geheim", unix.name)
        subprocess.run(["usermod", "-U", unix.name], check=True)
        nologin = pathlib.Path("/etc/nologin")
        had = nologin.exists()
        try:
            nologin.touch()
            assert LATER in imap_login(house, "geheim", unix.name), "closed for a while is no wrong password"
        finally:
            if not had:
                nologin.unlink()
        assert imap_login(house, "geheim", unix.name) is True


def test_R261_a_closed_system_is_no_wrong_password_in_the_phase_of_passwords_either(unix, tmp_path):
    """The service that is shipped; and one whose pam_nologin stands before the password, where PAM says the same of both."""
    shipped = pathlib.Path(__file__).parents[2] / "packaging/debian/mansio.pam"
    closed = tmp_path / "closed"
    tmp_path.chmod(0o755)
    its_own = shipped.read_text().replace("pam_nologin.so", f"pam_nologin.so file={closed}")
    unix.write(*its_own.splitlines())
    with tutorial(unix) as house:
        assert imap_login(house, "geheim", unix.name) is True
        closed.write_text("closed for an hour\n")
        assert LATER in imap_login(house, "geheim", unix.name)
        assert NO in imap_login(house, "wrong", unix.name), "the account phase is asked of who has the password"
        unix.write(f"auth requisite pam_nologin.so file={closed}", "auth required pam_unix.so nodelay", "account required pam_unix.so")
        assert LATER in imap_login(house, "geheim", unix.name)
        closed.unlink()
        assert NO in imap_login(house, "wrong", unix.name)
        assert imap_login(house, "geheim", unix.name) is True


@pytest.mark.parametrize("how", ["itself", "included", "substack"])
def test_R261_a_file_of_its_own_closes_the_system_too(unix, tmp_path, how):
    """pam_nologin's file=: the login comes later; an account that has expired does not."""
    closed = tmp_path / "closed"
    tmp_path.chmod(0o755)
    other = pathlib.Path(f"/etc/pam.d/{unix.service}-other")
    line = f"account [success=ok ignore=ignore default=bad] pam_nologin.so file={closed}"
    lines = {"itself": line, "included": f"@include {other.name}", "substack": f"account substack {other.name}"}
    other.write_text(f"{line}\n")
    unix.write("auth required pam_unix.so nodelay", lines[how], "account required pam_unix.so")
    try:
        with tutorial(unix) as house:
            assert imap_login(house, "geheim", unix.name) is True
            closed.write_text("closed for an hour\n")
            assert LATER in imap_login(house, "geheim", unix.name)
            assert NO in imap_login(house, "wrong", unix.name)
            closed.unlink()
            subprocess.run(["chage", "-E", "2001-01-01", unix.name], check=True)
            assert "CONTACTADMIN" in imap_login(house, "geheim", unix.name)
    finally:
        other.unlink()


def test_R262_R264_the_home_is_that_of_passwd_and_the_name_may_have_a_domain(unix):
    with tutorial(unix, auth_username_format="%Ln") as house:
        house.send([f"{unix.name.upper()}@localhost"], "first")
        wait_for(house.queue_is_empty)
        for name in (unix.name, f"{unix.name.upper()}@Mail.Example.com"):
            with reader(house, name, "geheim") as c:
                assert c.select("INBOX")[1] == [b"1"], name
        assert (pathlib.Path(pwd.getpwnam(unix.name).pw_dir) / "Maildir").is_dir()


def test_R260_the_service_may_know_users_of_a_file_of_its_own(unix, tmp_path):
    """pam_userdb: no user of the operating system, and a mailbox of the house."""
    db = tmp_path / "people"
    subprocess.run(["db_load", "-T", "-t", "hash", f"{db}.db"], input="virtual\ngeheim\n", text=True, check=True)
    tmp_path.chmod(0o755)
    unix.write(f"auth required pam_userdb.so db={db}", f"account required pam_userdb.so db={db}")
    with tutorial(unix) as house:
        assert imap_login(house, "geheim", "virtual") is True
        assert NO in imap_login(house, "falsch", "virtual")
        assert NO in imap_login(house, "geheim", "nobody2")
