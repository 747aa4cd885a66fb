# SPDX-License-Identifier: ISC
"""Every mechanism with every back end: what config check says is what GNU SASL's client finds.  What lets nobody in is refused or told
of before anybody tries, and what is not complained of lets in.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_mechanisms_by_backend.py
"""

import os
import pathlib
import sqlite3
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import wait_for
from test_credential_servers import file_for, place, slapd  # noqa: F401  (fixtures)
from test_credentials import pw, unix, village  # noqa: F401
from test_roles import PASSWORD
from test_sasl import Talk, gsasl

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes users of the operating system")
MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]
USER = "eva@elsewhere.example"
LDAP = "base = dc=example\nscope = subtree\ntimeout = 1s\npass_attrs = mail=user, userPassword=password\npass_filter = (mail=%u)\ndn = cn=admin,dc=example\ndnpass = pa$$\n"


def in_a_file(place, stored):
    return f"passwd-file:{file_for(place, 'users', f'{USER}:{stored}::::::')}"


def in_sql(place, stored):
    with sqlite3.connect(place / "people.db") as db:
        db.execute("CREATE TABLE people(name TEXT, hash TEXT)")
        db.execute("INSERT INTO people VALUES(?, ?)", [USER, stored])
    (place / "people.db").chmod(0o644)
    place.chmod(0o777)
    query = "password_query = SELECT name AS user, hash AS password FROM people WHERE name = '%Lu'"
    return f"sql:{file_for(place, 'sql.cf', f'driver = sqlite{chr(10)}dbpath = {place}/people.db{chr(10)}{query}{chr(10)}')}"


@pytest.mark.parametrize("keeps, works", [
    ("file PLAIN", "PLAIN LOGIN CRAM-MD5 DIGEST-MD5"), ("file SSHA512", "PLAIN LOGIN"), ("file SCRAM-SHA-256", "PLAIN LOGIN SCRAM-SHA-256"),
    ("file SCRAM-SHA-1", "PLAIN LOGIN SCRAM-SHA-1"), ("file CRAM-MD5", "PLAIN LOGIN CRAM-MD5"), ("sql PLAIN", "PLAIN LOGIN CRAM-MD5 DIGEST-MD5"),
    ("sql SSHA512", "PLAIN LOGIN"), ("sql SCRAM-SHA-256", "PLAIN LOGIN SCRAM-SHA-256"), ("ldap compare", "PLAIN LOGIN"), ("ldap bind", "PLAIN LOGIN"),
    ("pam", "PLAIN LOGIN"), ("directory", "PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256"), ("directory kept", " ".join(MECHANISMS)),
], ids=lambda x: x.replace(" ", "-"))
def test_what_the_check_says_is_what_clients_find(place, slapd, unix, keeps, works):  # noqa: F811
    kind, _, what = keeps.partition(" ")
    user, password = USER, "geheim"
    if kind == "file":
        backend = in_a_file(place, pw(what))
    elif kind == "sql":
        backend = in_sql(place, pw(what))
    elif kind == "ldap":
        backend = f"ldap:{file_for(place, 'ldap.cf', f'uris = {slapd.uri}{chr(10)}{LDAP}' + ('auth_bind = yes' if what == 'bind' else '') + chr(10))}"
    elif kind == "pam":
        backend, user = f"pam:{unix.service}", unix.name
    else:
        backend, user, password = "directory", "jack@example.com", PASSWORD
    with village(auth_backends=backend) as house:
        if keeps == "directory kept":
            house.command("account", "set", user, "password", "--keep-plain-secret", input=PASSWORD + "\n")
        for mechanism in MECHANISMS:
            house.write_settings(sasl_mechanisms=mechanism)
            done = house.command("config", "check", check=False)
            said = done.stdout + done.stderr
            if done.returncode != 0:
                assert mechanism not in works.split() and mechanism in said, (mechanism, said)
                continue
            house.command("reload")

            def offered():
                with Talk(house, "imap") as t:
                    return t.mechanisms() == [mechanism]
            wait_for(offered)
            more = ["--quality-of-protection=qop-auth", "--realm", "mail.example.com"] if mechanism == "DIGEST-MD5" else []
            good = gsasl(house, "imap", mechanism, "--no-cb", *more, user=user, password=password).returncode == 0
            assert good == (mechanism in works.split()), mechanism
            assert good or f"by {mechanism}" in said, (mechanism, said)
            assert gsasl(house, "imap", mechanism, "--no-cb", *more, user=user, password="falsch").returncode != 0
