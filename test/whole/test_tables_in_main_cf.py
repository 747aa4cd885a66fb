# SPDX-License-Identifier: ISC
"""ldap:accounts, pgsql:people, mysql:, sqlite: whose parameters stand in main.cf (ldap_table(5), BACKWARDS COMPATIBILITY):
Postfix's own postmap with the same lines; what nobody but proxymap is told; the settings check, postconf, a reload."""

import os
import pathlib
import sqlite3
import subprocess

import pytest
from elsewhere import Maria, Postgres, Slapd
from house import BINARY, House, wait_for
from kit import open_to_all

POSTMAP = "/usr/sbin/postmap"
KEYS = [b"a@example.com", b"A@Example.Com", b"o'brien@example.com", b"nobody@example.com", b"multi@example.com", b"*",
        b"x' OR '1'='1", b"a)(mail=*", b"%s@example.com"]
ROWS = [("a@example.com", "b@example.org"), ("o'brien@example.com", "quote@x.org"), ("multi@example.com", "one@x"),
        ("multi@example.com", "two@x"), ("%s@example.com", "pct@x")]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="servers run as users of their own")


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def inserts():
    return "".join(f"INSERT INTO a VALUES({quoted(k)},{quoted(v)});" for k, v in ROWS)


def sqlite_lines(place):
    with sqlite3.connect(place / "a.db") as db:
        db.execute("CREATE TABLE a(k text, v text)")
        db.executemany("INSERT INTO a VALUES(?,?)", ROWS)
    (place / "a.db").chmod(0o644)
    return {"dbpath": str(place / "a.db"), "query": "SELECT v FROM a WHERE k = '%s'"}


class Nothing:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def server(kind, place):
    if kind == "pgsql":
        return Postgres(place / "pg")
    if kind == "mysql":
        return Maria(place / "my")
    return Slapd(place / "ldap") if kind == "ldap" else Nothing()


def lines_of(kind, s, place):
    """What a main.cf says of it, without the prefix."""
    if kind == "sqlite":
        return sqlite_lines(place)
    if kind == "ldap":
        ldif = f"dn: {s.suffix}\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: example\n\n"
        for n, key in enumerate(dict(ROWS)):
            drops = "".join(f"maildrop: {v}\n" for k, v in ROWS if k == key)
            ldif += (f"dn: uid=u{n},{s.suffix}\nobjectClass: inetOrgPerson\nobjectClass: mailThing\ncn: p\nsn: p\n"
                     f"mail: {key}\n{drops}\n")
        s.add(ldif)
        return {"server_host": "127.0.0.1", "server_port": str(s.port), "version": "3", "search_base": s.suffix, "bind": "yes",
                "bind_dn": f"cn=admin,{s.suffix}", "bind_pw": "secret", "query_filter": "(mail=%s)",
                "result_attribute": "maildrop"}
    if kind == "pgsql":
        s.sql("CREATE TABLE a(k text, v text);" + inserts())
        return {"hosts": f"127.0.0.1:{s.port}", "user": "mail", "password": "secret", "dbname": "postgres",
                "query": "SELECT v FROM a WHERE k = '%s'"}
    s.sql("CREATE DATABASE m CHARACTER SET utf8mb4; CREATE USER mail@'%' IDENTIFIED BY 'secret'; GRANT ALL ON m.* TO mail@'%';"
          "USE m; CREATE TABLE a(k varchar(200) COLLATE utf8mb4_bin, v varchar(200));" + inserts())
    return {"hosts": f"inet:127.0.0.1:{s.port}", "user": "mail", "password": "secret", "dbname": "m",
            "table": "a", "select_field": "v", "where_field": "k"}


def main_cf(place, kind, lines, **more):
    """Continued and remarked lines, and $names, as an administrator has them."""
    text = f"# of {kind}\n" + "".join(f"people_{k} =\n    {v}\n# and\n" for k, v in lines.items())
    text += "".join(f"{k} = {v}\n" for k, v in more.items())
    (place / "main.cf").write_text(text)
    (place / "main.cf").chmod(0o644)
    return place / "main.cf"


def ask(command, table, key):
    done = subprocess.run([*command, "-q", key, table], capture_output=True, timeout=60)
    assert b"fatal" not in done.stderr, done.stderr
    return done.returncode, done.stdout


@needs_root
@pytest.mark.parametrize("kind", ["sqlite", "pgsql", "mysql", "ldap"])
def test_R402_what_main_cf_says_of_a_database_is_what_postfix_takes_it_for(tmp_path, kind):
    open_to_all(tmp_path)
    with server(kind, tmp_path) as s:
        lines = lines_of(kind, s, tmp_path)
        main = main_cf(tmp_path, kind, lines, compatibility_level="3.6", virtual_alias_maps=f"{kind}:people")
        for table in (f"{kind}:people", f"proxy:{kind}:people"):
            for key in KEYS:
                theirs = ask([POSTMAP, "-c", str(tmp_path)], table.removeprefix("proxy:"), key)
                assert ask([BINARY, "-c", main, "postmap"], table, key) == theirs, key
        # A whole server: RCPT knows them, and after the server is gone nobody is unknown.
        house = House(virtual_alias_domains="example.com", virtual_alias_maps=f"{kind}:people", table_cache_time="0",
                      **{f"people_{k}": v for k, v in lines.items()}, people_timeout="2s")
        with house:
            assert wait_for(lambda: rcpt(house, "a@example.com")) in (250, 554)
            assert rcpt(house, "nobody@example.com") == 550
            if kind != "sqlite":
                s.stop(9 if kind != "pgsql" else 3)
            else:
                with open(tmp_path / "a.db", "r+b") as file:
                    file.write(b"no database any more " * 400)
            wait_for(lambda: rcpt(house, "a@example.com") == 451)
            assert rcpt(house, "nobody@example.com") == 451


def rcpt(house, address):
    with house.smtp() as s:
        s.ehlo("client.example.net")
        s.mail("x@example.net")
        return s.rcpt(address)[0]


WRONG = {
    "a number that is none": ({"query": "SELECT '%s'", "expansion_limit": "many"}, ":5: people_expansion_limit", "number"),
    "no query": ({}, "people_query", "SELECT"),
    "a key outside of quotes": ({"query": "SELECT v FROM a WHERE k = %s"}, ":4: people_query", "'%s'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_the_settings_check_names_the_line_of_main_cf(tmp_path, what):
    lines, where, right = WRONG[what]
    main = tmp_path / "main.cf"
    main.write_text("myhostname = mail.example.com\nvirtual_alias_maps = sqlite:people\npeople_dbpath = /x\n" +
                    "".join(f"people_{k} = {v}\n" for k, v in lines.items()))
    done = subprocess.run([BINARY, "-c", main, "config", "check"], capture_output=True, text=True, timeout=30)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert where in said and right in said and "main.cf" in said, said


def test_a_name_of_no_table_is_no_setting(tmp_path):
    main = tmp_path / "main.cf"
    main.write_text("myhostname = mail.example.com\nvirtual_alias_maps = sqlite:people\npeople_dbpath = /x\n"
                    "people_query = SELECT '%s'\npeople_qery = x\nothers_query = y\n")
    done = subprocess.run([BINARY, "-c", main, "config", "check"], capture_output=True, text=True, timeout=30)
    said = done.stdout + done.stderr
    assert "people_qery" in said and "others_query" in said, said
    assert "main.cf:3:" not in said and "main.cf:4:" not in said, said


def test_a_name_without_lines_is_told_what_to_write(tmp_path):
    main = tmp_path / "main.cf"
    main.write_text("myhostname = mail.example.com\nvirtual_alias_maps = pgsql:users.cf\n")
    done = subprocess.run([BINARY, "-c", main, "config", "check"], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert "absolute path" in done.stderr and "users.cf_" in done.stderr, done.stderr


def test_postconf_knows_their_names_and_edits_them(tmp_path):
    main = tmp_path / "main.cf"
    main.write_text("myhostname = mail.example.com\nvirtual_alias_maps = ldap:people\npeople_server_host = ldap.example.com\n")

    def postconf(*words):
        done = subprocess.run([BINARY, "-c", main, "postconf", *words], capture_output=True, text=True, timeout=30)
        return done.stdout

    def theirs(*words):
        return subprocess.run(["/usr/sbin/postconf", "-c", tmp_path, *words], capture_output=True, text=True, timeout=30).stdout

    assert postconf("people_server_host") == theirs("people_server_host") == "people_server_host = ldap.example.com\n"
    assert postconf("-n") == "".join(line for line in theirs("-n").splitlines(True) if not line.startswith("config_directory"))
    postconf("-e", "people_server_port=1389")
    assert theirs("people_server_port") == postconf("people_server_port") == "people_server_port = 1389\n"
    assert "people_server_port = 1389" in postconf("-n").splitlines()


@needs_root
def test_passwords_of_main_cf_are_told_to_proxymap_alone(tmp_path):
    """No other process has ever seen them: not in what it was sent, nor in its memory."""
    open_to_all(tmp_path)
    lines = sqlite_lines(tmp_path) | {"query": "SELECT v FROM a WHERE k = '%s' AND 'xyzzy-plugh' = 'xyzzy-plugh'"}
    with House(virtual_alias_domains="example.com", virtual_alias_maps="sqlite:people", table_cache_time="0",
               **{f"people_{k}": v for k, v in lines.items()}) as house:
        assert rcpt(house, "a@example.com") in (250, 554)
        knows = {p["role"] for p in house.at_work() if memory_has(p["pid"], b"xyzzy-plugh")}
        assert "proxymap" in knows
        assert knows <= {"proxymap", "postmaster"}
        # Another line counts after a reload, a line that is wrong leaves the last good one.
        house.write_settings(people_query="SELECT 'b@example.org' WHERE '%s' = 'new@example.com'")
        house.command("reload")
        wait_for(lambda: rcpt(house, "new@example.com") != 550)
        wait_for(lambda: rcpt(house, "a@example.com") == 550)


@needs_root
def test_what_only_such_lines_ask_for_is_told_to_proxymap_alone(tmp_path):
    """people_query = ... $mark, mark = $part, part = xyzzy-plugh: none of these lines is read by another role; a name that others
    ask for too stays what it is."""
    open_to_all(tmp_path)
    lines = sqlite_lines(tmp_path) | {"query": "SELECT v FROM a WHERE k = '%s' AND '${mark}' = '$mark'"}
    with House(virtual_alias_domains="$shared", virtual_alias_maps="sqlite:people", table_cache_time="0", mark="${part?{$part}}", part="xyzzy-$other",
               other="plugh", shared="example.com", people_user="$shared", **{f"people_{k}": v for k, v in lines.items()}) as house:
        assert rcpt(house, "a@example.com") in (250, 554)
        for word in (b"xyzzy-plugh", b"xyzzy-$other"):
            knows = {p["role"] for p in house.at_work() if memory_has(p["pid"], word)}
            assert knows <= {"proxymap", "postmaster"}, word
        assert rcpt(house, "nobody@example.com") == 550


def memory_has(pid, words):
    """What the process can write to: the program's own text does not count."""
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, rights = line.split()[:2]
        if "w" not in rights or "r" not in rights:
            continue
        begin, end = (int(x, 16) for x in span.split("-"))
        try:
            with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
                memory.seek(begin)
                if words in memory.read(end - begin):
                    return True
        except OSError:
            continue
    return False
