# SPDX-License-Identifier: ISC
"""Configurations of Dovecot as the tutorials have them, taken over by `config import`: the server starts with what is printed, and the
same people log in.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_dovecot_import.py
"""

import imaplib
import pathlib
import pwd
import shutil
import sqlite3
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import PATIENCE, House
from test_roles import trusting

pytestmark = pytest.mark.skipif(shutil.which("doveconf") is None, reason="needs Dovecot")

# Operating-system users, as Debian has it.
SYSTEM = """
mail_location = mbox:~/mail:INBOX=/var/mail/%u
mail_privileged_group = mail
protocols = imap pop3
namespace inbox {{
  inbox = yes
  mailbox Drafts {{
    special_use = \\Drafts
  }}
}}
passdb {{
  driver = pam
}}
userdb {{
  driver = passwd
}}
ssl_cert = <{cert}
ssl_key = <{key}
"""
# Virtual users in a database, one home for all of them, LMTP and SASL for Postfix, quotas.
DATABASE = """
protocols = imap lmtp
mail_location = maildir:~/Maildir
mail_privileged_group = mail
disable_plaintext_auth = yes
auth_mechanisms = plain login
passdb {{
  driver = sql
  args = {at}/sql.conf
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={at}/vmail/%Ld/%n
}}
service lmtp {{
  unix_listener {at}/lmtp {{
    mode = 0600
    user = root
  }}
}}
service auth {{
  unix_listener {at}/auth {{
    mode = 0660
    user = root
    group = root
  }}
}}
ssl = required
ssl_min_protocol = TLSv1.3
ssl_cert = <{cert}
ssl_key = <{key}
protocol imap {{
  mail_plugins = quota imap_quota
  mail_max_userip_connections = 50
}}
protocol pop3 {{
  mail_max_userip_connections = 10
}}
plugin {{
  quota = maildir:User quota
  quota_rule = *:storage=100M:messages=500
  quota_rule2 = Trash:storage=+10M
  quota_grace = 5%%
  quota_warning = storage=95%% quota-warning 95 %u
  quota_warning2 = storage=80%% quota-warning 80 %u
}}
"""
# Virtual users in a file.
FILE = """
protocols = imap
mail_location = maildir:{at}/vmail/%d/%n
passdb {{
  driver = passwd-file
  args = scheme=CRYPT username_format=%u {at}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {at}/users
}}
passdb {{
  driver = passwd-file
  master = yes
  args = {at}/masters
}}
passdb {{
  driver = static
  args = nopassword=y
}}
ssl_cert = <{cert}
ssl_key = <{key}
plugin {{
  quota_rule = *:storage=2048
}}
"""


def hashed(password):
    return subprocess.run(["doveadm", "pw", "-s", "SHA512-CRYPT", "-p", password], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def house():
    with House(myhostname="mail.example.com") as house:
        at = house.directory / "theirs"
        (at / "vmail").mkdir(parents=True)
        at.chmod(0o777)
        (at / "vmail").chmod(0o777)
        for name in ("users", "masters"):
            (at / name).write_text(f"eva@elsewhere.example:{hashed('geheim')}::::::\n" if name == "users" else "")
        with sqlite3.connect(at / "people.db") as db:
            db.execute("CREATE TABLE users(email TEXT, password TEXT)")
            db.execute("INSERT INTO users VALUES('eva@elsewhere.example', ?)", (hashed("geheim"),))
        (at / "sql.conf").write_text(f"driver = sqlite\nconnect = {at}/people.db\ndefault_pass_scheme = SHA512-CRYPT\n"
                                     "password_query = SELECT email AS user, password FROM users WHERE email = '%u'\n")
        for name in ("people.db", "sql.conf", "users", "masters"):
            (at / name).chmod(0o644)
        yield house


def taken_over(house, text):
    """The lines that are printed, and the settings among them, which are in force now."""
    at = house.directory / "theirs"
    conf = at / "dovecot.conf"
    conf.write_text(text.format(at=at, cert=house.settings["smtpd_tls_cert_file"], key=house.settings["smtpd_tls_key_file"]))
    theirs = subprocess.run(["doveconf", "-nP", "-c", conf], capture_output=True, text=True, check=True).stdout
    said = house.command("config", "import", "-", input=theirs).stdout
    names = [line.split(" =", 1)[0] for line in said.splitlines() if not line.startswith("#")]
    assert len(names) == len(set(names)), said
    settings = {n: v.strip() for n, v in (line.split(" =", 1) for line in said.splitlines() if not line.startswith("#"))}
    house.write_settings(**settings)
    checked = house.command("config", "check", check=False)
    assert checked.returncode == 0, checked.stderr
    assert house.stop() == 0
    house.start()
    house.at_work()
    return said, settings


def read_and_write(house, place):
    box = imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], ssl_context=trusting(), timeout=PATIENCE)
    box.login("eva@elsewhere.example", "geheim")
    assert box.append("INBOX", None, None, b"Subject: one\r\n\r\nx\r\n")[0] == "OK"
    quota = box.getquotaroot("INBOX")[1][1][0].decode()
    box.logout()
    assert list(place.glob("cur/*")) + list(place.glob("new/*"))
    return quota


def test_operating_system_users(house):
    said, settings = taken_over(house, SYSTEM)
    assert settings["auth_backends"] == "directory pam:dovecot" and settings["mail_spool_directory"] == "/var/mail"
    assert "mail_location" not in settings and settings["protocols"] == "imap pop3"


def test_virtual_users_in_a_database(house):
    said, settings = taken_over(house, DATABASE)
    at = house.directory / "theirs"
    assert settings["mail_home"] == f"{at}/vmail/%d/%n" and settings["mail_location"] == "maildir:~/Maildir"
    assert settings["auth_backends"] == f"directory sql:{at}/sql.conf" and settings["quota_storage"] == "100M"
    assert (settings["quota_messages"], settings["quota_grace"], settings["quota_warning"]) == ("500", "5", "95 80")
    assert settings["mail_max_userip_connections"] == "50" and settings["smtpd_tls_protocols"] == ">=TLSv1.3"
    assert "# not taken over: plugin / quota_rule2 = Trash:storage=+10M" in said
    assert (settings["mail_uid"], settings["mail_gid"]) == ("nobody", "nogroup")
    quota = read_and_write(house, at / "vmail/elsewhere.example/eva/Maildir")
    assert (at / "vmail/elsewhere.example/eva/Maildir").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert "STORAGE" in quota and str(100 << 10) in quota and "500" in quota
    assert (at / "lmtp").is_socket() and (at / "auth").is_socket()


def test_virtual_users_in_a_file(house):
    said, settings = taken_over(house, FILE)
    at = house.directory / "theirs"
    assert settings["auth_backends"] == f"directory passwd-file:{at}/users"
    assert settings["auth_master_passwd_file"] == f"{at}/masters" and settings["quota_storage"] == "2048K"
    assert "# not taken over: passdb / driver = static (right would be passwd-file, sql, ldap or pam)" in said
    assert str(2 << 10) in read_and_write(house, at / "vmail/elsewhere.example/eva")


def test_a_place_that_needs_a_home_and_has_none_is_a_remark(house):
    said, settings = taken_over(house, FILE.replace("maildir:{at}/vmail/%d/%n", "maildir:~/Maildir"))
    assert "mail_location" not in settings
    assert "# not taken over: mail_location = maildir:~/Maildir (~ and %h are the user's home: set mail_home" in said


def test_a_passwd_file_for_each_domain_is_a_remark(house):
    """It says what to write for it, and with that written her domain's file lets her in."""
    at = house.directory / "theirs"
    (at / "elsewhere.example").mkdir()
    (at / "users").rename(at / "elsewhere.example/passwd")
    said, settings = taken_over(house, FILE.replace("{at}/users", "{at}/%Ld/passwd"))
    assert "auth_backends" not in settings
    assert ("# not taken over: passdb / driver = passwd-file (a file for each domain: name every one of them in auth_backends, "
            f"as example.com=passwd-file:{at}/%Ld/passwd with the domain where the percent sign is)") in said
    house.write_settings(**settings, auth_backends=f"directory elsewhere.example=passwd-file:{at}/elsewhere.example/passwd")
    assert house.stop() == 0
    house.start()
    house.at_work()
    read_and_write(house, at / "vmail/elsewhere.example/eva")
