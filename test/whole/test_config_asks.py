# SPDX-License-Identifier: ISC
"""config check asks the databases that settings name: what they do not want is told with file and line, before a letter waits for it.
Beside PostgreSQL, MariaDB, slapd and SQLite.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_config_asks.py
"""

import os
import pathlib
import socket
import sqlite3
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import free_ports
from test_credential_servers import file_for, mariadb, place, postgresql, slapd, table  # noqa: F401  (fixtures)
from test_credentials import village

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the servers run under accounts of their own")


@pytest.fixture(scope="module")
def house():
    with village() as v:
        yield v


def check(house, *options, **settings):
    before = house.config.read_text()
    try:
        house.config.write_text(before + "".join(f"{name} = {value}\n" for name, value in settings.items()))
        done = house.command("config", "check", *options, check=False)
        return done.returncode, done.stdout + done.stderr
    finally:
        house.config.write_text(before)


def check_rows(house, cf, good, rows, setting, word):
    """Each row: a line that is wrong in place of the one that begins so, and what is said of it."""
    kept = good.splitlines()
    cf.write_text(good)
    status, said = check(house, **{setting: word})
    assert status == 0 and str(cf) not in said, said
    for wrong, words in rows:
        name = wrong.partition(" ")[0]
        line = next(n for n, l in enumerate(kept, 1) if l.startswith(f"{name} ="))
        cf.write_text("\n".join([*kept[:line - 1], wrong, *kept[line:]]) + "\n")
        status, said = check(house, **{setting: word})
        assert status == 1 and f"{cf}:{line}: " in said and words in said, (wrong, said)
        status, said = check(house, "--offline", **{setting: word})
        assert status == 0 and words not in said, said


def away(house, cf, good, old, new, setting, word):
    """Nobody's mistake: told of, and the settings can be used."""
    cf.write_text(good.replace(old, new))
    line = next(n for n, l in enumerate(good.splitlines(), 1) if old in l)
    status, said = check(house, **{setting: word})
    assert status == 0 and f"{cf}:{line}: " in said, said


@pytest.fixture(scope="module")
def postgres():
    path = pathlib.Path(tempfile.mkdtemp(prefix="mca-"))
    try:
        with postgresql(path, *table(), "CREATE TABLE box(name TEXT, path TEXT)", "CREATE USER mail PASSWORD 'right'",
                        "GRANT SELECT ON people, box TO mail",
                        networks="local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n") as server:
            yield server
    finally:
        subprocess.run(["rm", "-rf", path], check=True)


SQL = [("query = SELECT path FROM boxes WHERE name = '%s'", "box"), ("query = SELECT way FROM box WHERE name = '%s'", "way"),
       ("query = SELECT path FRM box WHERE name = '%s'", "syntax")]
PASSWORDS = [("password_query = SELECT name AS user, hash AS password FROM persons WHERE name = '%u'", "persons"),
             ("user_query = SELECT house AS home FROM people WHERE name = '%u'", "house")]
PEOPLE = ("password_query = SELECT name AS user, hash AS password FROM people WHERE name = '%u'\n"
          "user_query = SELECT quota AS quota_rule FROM people WHERE name = '%u'\n")


def test_postgresql(house, place, postgres):
    host = f"127.0.0.1:{postgres.port}"
    good = f"hosts = {host}\nuser = mail\npassword = right\ndbname = postgres\ntimeout = 3s\n"
    cf = file_for(place, "boxes.cf", "")
    box = good + "query = SELECT path FROM box WHERE name = '%s'\n"
    check_rows(house, cf, box, [("password = wrong", "password authentication failed"), ("dbname = nowhere", 'database "nowhere" does not exist'), *SQL],
               "virtual_alias_maps", f"pgsql:{cf}")
    away(house, cf, box, host, f"127.0.0.1:{free_ports(1)[0]}", "virtual_alias_maps", f"pgsql:{cf}")
    check_rows(house, cf, "driver = pgsql\n" + good + PEOPLE, PASSWORDS, "auth_backends", f"directory sql:{cf}")


def test_mysql(house, place):
    with mariadb(place, *table(), "CREATE TABLE box(name TEXT, path TEXT)", password="right") as server:
        good = f"hosts = unix:{server.at}\nuser = mail\npassword = right\ndbname = mail\ntimeout = 3s\n"
        cf = file_for(place, "boxes.cf", "")
        box = good + "query = SELECT path FROM box WHERE name = '%s'\n"
        check_rows(house, cf, box, [("password = wrong", "Access denied"), ("dbname = nowhere", "nowhere"), *SQL], "virtual_alias_maps", f"mysql:{cf}")
        away(house, cf, box, str(server.at), f"{place}/other.sock", "virtual_alias_maps", f"mysql:{cf}")
        check_rows(house, cf, "driver = mysql\n" + good + PEOPLE, PASSWORDS, "auth_backends", f"directory sql:{cf}")


def test_ldap(house, place, slapd):  # noqa: F811
    good = (f"server_host = {slapd.uri}\nsearch_base = dc=example\nquery_filter = (mail=%s)\nresult_attribute = uid\nbind = yes\n"
            "bind_dn = cn=admin,dc=example\nbind_pw = pa$$\nversion = 3\ntimeout = 3\n")
    cf = file_for(place, "boxes.cf", "")
    check_rows(house, cf, good, [("bind_pw = wrong", "Invalid credentials"), ("search_base = dc=other", "No such object"),
                                 ("search_base = nonsense", "Invalid DN")], "virtual_alias_maps", f"ldap:{cf}")
    away(house, cf, good, slapd.uri, f"ldap://127.0.0.1:{free_ports(1)[0]}", "virtual_alias_maps", f"ldap:{cf}")
    cf.write_text(good)
    # As lines of main.cf.
    inline = {f"boxes_{name.strip()}": value.strip() for name, _, value in (l.partition("=") for l in good.splitlines())}
    status, said = check(house, virtual_alias_maps="ldap:boxes", **{**inline, "boxes_bind_pw": "wrong"})
    assert status == 1 and "Invalid credentials" in said and f"{house.config}:" in said, said
    backend = (f"uris = {slapd.uri}\nbase = dc=example\nscope = subtree\ntimeout = 3s\ndn = cn=admin,dc=example\ndnpass = pa$$\npass_filter = (mail=%u)\n"
               "pass_attrs = mail=user, userPassword=password\n")
    check_rows(house, cf, backend, [("dnpass = wrong", "Invalid credentials"), ("base = dc=other", "No such object")],
               "auth_backends", f"directory ldap:{cf}")


def test_sqlite(house, place):
    with sqlite3.connect(place / "boxes.db") as db:
        db.execute("CREATE TABLE box(name TEXT, path TEXT)")
    cf = file_for(place, "boxes.cf", "")
    check_rows(house, cf, f"dbpath = {place}/boxes.db\nquery = SELECT path FROM box WHERE name = '%s'\n", SQL[:2], "virtual_alias_maps", f"sqlite:{cf}")


def test_tables_of_some_domains_and_in_others(house, place):
    """A table that is asked for its domains alone is asked all the same, and one inside another."""
    with sqlite3.connect(place / "boxes.db") as db:
        db.execute("CREATE TABLE box(name TEXT, path TEXT)")
    cf = file_for(place, "boxes.cf", f"dbpath = {place}/boxes.db\ndomain = example.org\nquery = SELECT path FROM bx WHERE name = '%s'\n")
    for word in (f"sqlite:{cf}", f"proxy:sqlite:{cf}", f"unionmap:{{static:x, sqlite:{cf}}}"):
        status, said = check(house, virtual_alias_maps=word)
        assert status == 1 and f"{cf}:3: " in said and "bx" in said, said


def test_servers_that_say_nothing_take_their_time_and_no_more(house, place):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        cf = file_for(place, "boxes.cf", f"hosts = 127.0.0.1:{silent.getsockname()[1]}\nuser = mail\ndbname = mail\ntimeout = 1s\n"
                                         "query = SELECT path FROM box WHERE name = '%s'\n")
        status, said = check(house, virtual_alias_maps=f"pgsql:{cf}", auth_backends=f"directory saslauthd:{place}/none/mux")
    assert status == 0 and f"{cf}:1: virtual_alias_maps = pgsql:{cf}: " in said and f"auth_backends = saslauthd:{place}/none/mux: " in said, said


def test_what_else_follows_is_refused(house):
    done = house.command("config", "check", "--online", check=False)
    assert done.returncode != 0 and "--online" in done.stderr
