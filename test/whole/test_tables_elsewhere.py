# SPDX-License-Identifier: ISC
"""Tables that other servers keep (R202 R203 R213 R215 R402): the answers of Postfix's own postmap for every
key, hostile ones too; and a server that dies, stops, or comes again never makes a user unknown."""

import contextlib
import os
import pathlib
import shutil
import signal
import smtplib
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

import pytest
from elsewhere import Maria, Postgres, Program, Slapd, certificates
from house import BINARY, House, wait_for
from ports import free_port
from test_roles import PASSWORD, Village, trusting

POSTMAP = "/usr/sbin/postmap"
ROWS = [
    ("a@example.com", "b@example.org"), ("o'brien@example.com", "quote@x.org"), ('d"q@example.com', "dq@x"),
    ("multi@example.com", "one@x"), ("multi@example.com", "two@x"), ("%s@example.com", "pct@x"),
    ("back\\slash@example.com", "bs@x"), ("bare", "bare@x"), ("star*@example.com", "star@x"),
    ("par(en)@example.com", "par@x"), ("sp ace@example.com", "sp@x"), ("ключ@example.com", "key@x"),
    ("x@sub.example.net", "sub@x"), *[("many@example.com", f"{n}@x") for n in range(4)],
]
HOSTILE = [
    b"A@EXAMPLE.com", b"nobody@example.com", b"x' OR '1'='1", b"x\\' OR 1=1 -- ", b'x" OR "1"="1', b"*",
    b"*@example.com", b"a)(mail=*", b"\xbf\x27 OR 1=1 -- ", b"\xbf\x5c' OR 1=1 -- @x", b"@example.com", b"a@", b"@",
    b"x" * 60000, b"a@other.net", b"%", b"a%", b"a_example.com", b"x;DROP TABLE a", b"\\", b"'", b'"', b"''",
]
KEYS = [k.encode() for k in dict(ROWS)] + HOSTILE

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="servers run as users of their own")


@pytest.fixture(scope="module")
def place():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="mansio-elsewhere-"))
    directory.chmod(0o755)
    (directory / "postfix").mkdir()
    (directory / "postfix/main.cf").write_text("compatibility_level = 3.6\n")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


@pytest.fixture(scope="module")
def tls(place):
    return certificates(place / "tls")


@pytest.fixture(scope="module")
def postgres(place):
    with Postgres(place / "pg") as server:
        server.sql("CREATE TABLE a(k text, v text);" +
                   "".join(f"INSERT INTO a VALUES({quoted(k)},{quoted(v)});" for k, v in ROWS))
        yield server


@pytest.fixture(scope="module")
def maria(place, tls):
    server = Maria(place / "my")
    server.tls = tls
    with server:
        server.sql("CREATE DATABASE m CHARACTER SET utf8mb4; CREATE USER mail@'%' IDENTIFIED BY 'se$cret';"
                   "GRANT ALL ON m.* TO mail@'%'; USE m;"
                   "CREATE TABLE a(k varchar(200) COLLATE utf8mb4_bin, v varchar(200));"
                   "CREATE TABLE g(k varchar(200) CHARACTER SET gbk, v varchar(200)); INSERT INTO g VALUES('x','y');"
                   "CREATE PROCEDURE p(IN x text) SELECT v FROM a WHERE k=x;" +
                   "".join("INSERT INTO a VALUES(%s,%s);" % (quoted(k).replace("\\", "\\\\"), quoted(v))
                           for k, v in ROWS))
        yield server


def person(dn, mail, drops, more=""):
    return (f"dn: {dn}\nobjectClass: inetOrgPerson\nobjectClass: mailThing\ncn: p\nsn: p\nmail: {mail}\n" +
            "".join(f"maildrop: {d}\n" for d in drops) + more + "\n")


@pytest.fixture(scope="module")
def slapd(place, tls):
    server = Slapd(place / "ldap")
    server.tls = tls
    with server:
        by_key = {}
        for k, v in ROWS:
            by_key.setdefault(k, []).append(v)
        ldif = f"dn: {server.suffix}\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: example\n\n"
        for ou in ("people", "groups", "example.com"):
            ldif += f"dn: ou={ou},{server.suffix}\nobjectClass: organizationalUnit\nou: {ou}\n\n"
        for n, (k, v) in enumerate((k, v) for k, v in by_key.items() if k.isascii()):
            ldif += person(f"uid=u{n},ou=people,{server.suffix}", k, v)
        ldif += person(f"uid=jack,ou=example.com,{server.suffix}", "jack@example.com", ["jack@x"])
        groups, first = f"ou=groups,{server.suffix}", f"uid=u0,ou=people,{server.suffix}"
        ldif += person(f"cn=g1,{groups}", "group@example.com", [],
                       f"member: {first}\nmember: uid=nobody,ou=people,{server.suffix}\n")
        ldif += person(f"cn=g2,{groups}", "leaf@example.com", ["own@x"], f"member: {first}\n")
        ldif += person(f"cn=g3,{groups}", "term@example.com", ["own@x"], f"member: {first}\nterminaldrop: term@x\n")
        ldif += person(f"cn=g4,{groups}", "url@example.com", [],
                       f"memberurl: ldap:///ou=people,{server.suffix}?maildrop?sub?(mail=multi@example.com)\n")
        server.add(ldif)
        yield server


def cf(place, name, text):
    path = place / name
    path.write_text(text)
    path.chmod(0o644)
    return path


def outcome(done):
    """(FOUND, value), NONE or LATER, of postmap's exit status and words."""
    if done.returncode == 0:
        return ("FOUND", done.stdout.rstrip(b"\n"))
    return "LATER" if b"fatal" in done.stderr or b"later" in done.stderr.lower() else "NONE"


def ask(program, table, key):
    return outcome(subprocess.run([*program, "-q", key, table], capture_output=True, timeout=60))


def compare(place, table, keys=KEYS):
    theirs = [POSTMAP, "-c", str(place / "postfix")]
    wrong = []
    for key in keys:
        wanted, got = ask(theirs, table, key), ask([BINARY, "postmap"], table, key)
        if wanted != got:
            wrong.append((key[:60], wanted, got))
    assert not wrong


SQL = {
    "query": "query = SELECT v FROM a WHERE k = '%s'\n",
    "parts": "query = SELECT v FROM a WHERE k = '%u@%d'\nresult_format = %u+%U@%d\n",
    "domain": "query = SELECT v FROM a WHERE k = '%s'\ndomain = example.com, other.net\n",
    "labels": "query = SELECT v FROM a WHERE k = '%u@%3.%2.%1'\n",
    "older": "table = a\nselect_field = v\nwhere_field = k\nadditional_conditions = AND 1=1\n",
    "limit": "query = SELECT v FROM a WHERE k = '%s'\nexpansion_limit = 3\n",
}


@pytest.fixture(scope="module")
def sqlite(place):
    with sqlite3.connect(place / "a.db") as db:
        db.execute("CREATE TABLE a(k text, v text)")
        db.executemany("INSERT INTO a VALUES(?,?)", ROWS)
    (place / "a.db").chmod(0o644)
    return place / "a.db"


@pytest.mark.parametrize("what", SQL)
def test_sqlite_answers_as_postmap_does(place, sqlite, what):
    compare(place, f"sqlite:{cf(place, f's-{what}.cf', f'dbpath = {sqlite}' + chr(10) + SQL[what])}")


@needs_root
@pytest.mark.parametrize("what", SQL)
def test_R202_postgresql_answers_as_postmap_does(place, postgres, what):
    head = f"hosts = 127.0.0.1:{postgres.port}\nuser = mail\npassword = secret\ndbname = postgres\n"
    table = f"pgsql:{cf(place, f'p-{what}.cf', head + SQL[what])}"
    # Debian 12's Postfix speaks LATIN1 with PostgreSQL.
    compare(place, table, [k for k in KEYS if k.isascii()])
    assert ask([BINARY, "postmap"], table, "ключ@example.com".encode()) != "LATER"


@needs_root
@pytest.mark.parametrize("what", [*SQL, "gbk", "procedure", "double"])
def test_R213_mariadb_answers_as_postmap_does(place, maria, what):
    more = {"gbk": "charset = gbk\nquery = SELECT v FROM g WHERE k = '%s'\n", "procedure": "query = CALL p('%s')\n",
            "double": 'query = SELECT v FROM a WHERE k = "%s"\n'}
    hosts = f"unix:{maria.directory}/sock" if what == "query" else f"inet:127.0.0.1:{maria.port}"
    head = f"hosts = {hosts}\nuser = mail\npassword = se$cret\ndbname = m\n"
    compare(place, f"mysql:{cf(place, f'm-{what}.cf', head + {**SQL, **more}[what])}")


LDAP = {
    "plain": "query_filter = (mail=%s)\n",
    "groups": "query_filter = (mail=%s)\nspecial_result_attribute = member, memberurl\n"
              "terminal_result_attribute = terminaldrop\n",
    "leaves": "query_filter = (mail=%s)\nresult_attribute =\nleaf_result_attribute = maildrop\n"
              "special_result_attribute = member\n",
    "base": "query_filter = (mail=%s)\nsearch_base = ou=%d,dc=example,dc=com\nscope = one\n",
    "size": "query_filter = (|(mail=%s)(mail=a@example.com))\nsize_limit = 1\n",
    "format": "query_filter = (mail=%u@%d)\nresult_format = %u/%U/%D\ndomain = example.com\n",
}


@needs_root
@pytest.mark.parametrize("what", LDAP)
def test_ldap_answers_as_postmap_does(place, slapd, what):
    head = (f"server_host = ldap://127.0.0.1:{slapd.port}\nversion = 3\nsearch_base = {slapd.suffix}\n"
            f"bind = yes\nbind_dn = cn=admin,{slapd.suffix}\nbind_pw = secret\n")
    compare(place, f"ldap:{cf(place, f'l-{what}.cf', head + LDAP[what])}",
            [*KEYS, b"group@example.com", b"leaf@example.com", b"term@example.com", b"url@example.com",
             b"jack@example.com"])


MEMBERS = 1100
DEPTHS = [1, 2, 3, 4, 5, 6]


@pytest.fixture(scope="module")
def groups(slapd):
    """A group of more than a thousand, and groups in groups: c0 has c1, that has c2 ... c4 has the first of the thousand, who all have a mailbox."""
    members = [f"uid=m{i},ou=people,{slapd.suffix}" for i in range(MEMBERS)]
    at = f"ou=groups,{slapd.suffix}"
    ldif = "".join(person(dn, f"m{i}@many.example", [f"m{i}@x"]) for i, dn in enumerate(members))
    ldif += person(f"cn=many,{at}", "many@many.example", [], "".join(f"member: {dn}\n" for dn in members))
    for i in range(5):
        ldif += person(f"cn=c{i},{at}", f"c{i}@many.example", [f"own{i}@x"], f"member: {f'cn=c{i + 1},{at}' if i < 4 else members[0]}\n")
    ldif += person(f"cn=ring,{at}", "ring@many.example", ["ring@x"], f"member: cn=ring,{at}\n")
    slapd.add(ldif)
    return slapd


@needs_root
@pytest.mark.parametrize("limits", ["", "expansion_limit = 1000\n", f"expansion_limit = {MEMBERS}\n", "size_limit = 1\n", "size_limit = 2\n", *(f"recursion_limit = {n}\n" for n in DEPTHS)],
                         ids=lambda text: text.strip() or "none")
def test_limits_of_ldap_are_those_of_postmap(place, groups, limits):
    head = (f"server_host = ldap://127.0.0.1:{groups.port}\nversion = 3\nsearch_base = {groups.suffix}\n"
            f"bind = yes\nbind_dn = cn=admin,{groups.suffix}\nbind_pw = secret\nquery_filter = (mail=%s)\n"
            "result_attribute = maildrop\nspecial_result_attribute = member\n")
    keys = [b"m0@many.example", b"m1@many.example", b"ring@many.example", *(f"c{i}@many.example".encode() for i in range(5))]
    table = f"ldap:{cf(place, 'limits.cf', head + limits)}"
    compare(place, table, keys + ([b"many@many.example"] if "recursion" not in limits else []))


@needs_root
@pytest.mark.parametrize("most", [1, 2, 3])
def test_who_is_more_than_size_limit_is_answered_as_by_postmap(place, groups, most):
    head = (f"server_host = ldap://127.0.0.1:{groups.port}\nversion = 3\nsearch_base = {groups.suffix}\n"
            f"bind = yes\nbind_dn = cn=admin,{groups.suffix}\nbind_pw = secret\nquery_filter = (|(mail=%s)(mail=m2@many.example))\nresult_attribute = maildrop\nsize_limit = {most}\n")
    compare(place, f"ldap:{cf(place, 'size.cf', head)}", [b"m1@many.example", b"m2@many.example", b"nobody@many.example"])


def test_programs_answer_as_they_do_to_postmap(place):
    values = {k.encode(): v.encode() for k, v in ROWS} | {b"later@example.com": b"TEMP not now"}
    for kind in ("socketmap", "tcp"):
        program = Program(values, kind)
        name = f"socketmap:inet:127.0.0.1:{program.port}:x" if kind == "socketmap" else f"tcp:127.0.0.1:{program.port}"
        try:
            compare(place, name, [k for k in KEYS if len(k) < 4000] + [b"later@example.com"])
        finally:
            program.close()


def test_the_operating_system_answers_as_to_postmap(place):
    compare(place, "unix:passwd.byname", [b"root", b"ROOT", b"nobody", b"no-such-user", b"../x", b"root:"])
    compare(place, "unix:group.byname", [b"root", b"daemon", b"no-such-group"])


@needs_root
@pytest.mark.parametrize("how", ["ldaps", "start_tls"])
def test_ldap_is_asked_inside_of_tls_of_a_certificate_that_holds(place, slapd, tls, how):
    where = f"ldaps://127.0.0.1:{slapd.ldaps}" if how == "ldaps" else f"ldap://127.0.0.1:{slapd.port}"
    head = (f"server_host = {where}\nversion = 3\nsearch_base = {slapd.suffix}\nbind = no\nquery_filter = (mail=%s)\n"
            f"timeout = 3\nstart_tls = {'yes' if how == 'start_tls' else 'no'}\n")
    for ca, demanded in (("ca", "yes"), ("other", "yes"), ("other", "no")):
        table = f"ldap:{cf(place, 'tls.cf', head + f'tls_require_cert = {demanded}' + chr(10) + f'tls_ca_cert_file = {tls}/{ca}.pem' + chr(10))}"
        wanted = ask([POSTMAP, "-c", str(place / "postfix")], table, "a@example.com")
        assert ask([BINARY, "postmap"], table, "a@example.com") == wanted
        assert wanted == ("LATER" if (ca, demanded) == ("other", "yes") else ("FOUND", b"b@example.org"))


@needs_root
def test_mariadb_is_asked_inside_of_tls_of_a_certificate_that_holds(place, maria, tls):
    maria.sql("CREATE USER IF NOT EXISTS tls@'%' IDENTIFIED BY 'x' REQUIRE SSL; GRANT ALL ON m.* TO tls@'%'")
    head = (f"hosts = inet:127.0.0.1:{maria.port}\nuser = tls\npassword = x\ndbname = m\ntimeout = 3s\n"
            + SQL["query"])
    for ca, wanted in (("ca", ("FOUND", b"b@example.org")), ("other", "LATER")):
        table = f"mysql:{cf(place, 'mytls.cf', head + f'tls_CAfile = {tls}/{ca}.pem' + chr(10) + 'tls_verify_cert = yes' + chr(10))}"
        assert ask([BINARY, "postmap"], table, "a@example.com") == wanted, ca
        assert ask([POSTMAP, "-c", str(place / "postfix")], table, "a@example.com") == wanted, ca
    # Without a word of TLS the account that demands it is refused: not "unknown".
    assert ask([BINARY, "postmap"], f"mysql:{cf(place, 'myplain.cf', head)}", "a@example.com") in ("LATER", wanted)


@needs_root
def test_the_second_host_is_asked_when_the_first_is_dead(place, postgres, maria, slapd):
    dead = free_port()
    for name, text in (
            ("pgsql", f"hosts = 127.0.0.1:{dead} 127.0.0.1:{postgres.port}\nuser = mail\npassword = secret\ndbname = postgres\n" + SQL["query"]),
            ("mysql", f"hosts = inet:127.0.0.1:{dead} inet:127.0.0.1:{maria.port}\nuser = mail\npassword = se$cret\ndbname = m\n" + SQL["query"]),
            ("ldap", f"server_host = ldap://127.0.0.1:{dead} ldap://127.0.0.1:{slapd.port}\nsearch_base = {slapd.suffix}\nbind = no\n"
             + LDAP["plain"])):
        compare(place, f"{name}:{cf(place, f'two-{name}.cf', text + 'timeout = 5' + chr(10))}", [b"a@example.com", b"nobody@example.com"])


def test_domain_may_name_files_and_tables(place, sqlite):
    (place / "list").write_text("example.net, x.example\nexample.com\n")
    (place / "domains").write_text("example.com anything\n")
    for what in (f"{place}/list", f"texthash:{place}/domains", f"!sub.example.net {place}/list", f"!example.com {place}/list",
                 "inline:{example.com=x}"):
        compare(place, f"sqlite:{cf(place, 'dom.cf', f'dbpath = {sqlite}' + chr(10) + SQL['query'] + f'domain = {what}' + chr(10))}")


def test_a_nul_in_a_key_is_no_end_of_it(place, sqlite):
    """postmap -q - reads lines of any bytes; Postfix's keys end at the NUL there, ours are not to be found at all."""
    table = f"sqlite:{cf(place, 'nul.cf', f'dbpath = {sqlite}' + chr(10) + SQL['query'])}"
    for name in (table, f"texthash:{cf(place, 'nul', 'a@example.com b@example.org' + chr(10))}"):
        done = subprocess.run([BINARY, "postmap", "-q", "-", name], input=b"a@example.com\0x\na@example.com\n", capture_output=True, timeout=60)
        assert done.stdout == b"a@example.com\tb@example.org\n"
        theirs = subprocess.run([POSTMAP, "-c", str(place / "postfix"), "-q", "-", name], input=b"a@example.com\0x\na@example.com\n",
                                capture_output=True, timeout=60)
        assert theirs.stdout.endswith(b"a@example.com\tb@example.org\n")


WRONG = {
    "unknown parameter": ("dbpath = /x\nqery = SELECT 1\nquery = SELECT v FROM a WHERE k = '%s'\n", ":2:", "query"),
    "no query": ("dbpath = /x\n", "query", "SELECT"),
    "an expansion nobody knows": ("dbpath = /x\nquery = SELECT '%z'\n", ":2:", "%s"),
    "a key outside of quotes": ("dbpath = /x\nquery = SELECT v FROM a WHERE k = %s\n", ":2:", "'%s'"),
    "a line that is no setting": ("dbpath = /x\npassword hush\nquery = SELECT '%s'\n", ":2:", "name = value"),
    "a number that is none": ("dbpath = /x\nquery = SELECT '%s'\nexpansion_limit = many\n", ":3:", "number"),
}


@pytest.mark.parametrize("what", WRONG)
def test_the_settings_check_names_the_line_and_what_would_be_right(place, what):
    text, where, right = WRONG[what]
    path = cf(place, "wrong.cf", text)
    main = cf(place, "main.cf", f"mail_directory = {place}/mail\nmydestination =\nvirtual_alias_maps = sqlite:{path}\n")
    done = subprocess.run([BINARY, "-c", main, "config", "check"], capture_output=True, text=True, timeout=30)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert str(path) in said and where in said and right in said
    assert "hush" not in said


@needs_root
def test_who_asks_databases_is_nobody(place, sqlite):
    """An account of its own, no capabilities, no new privileges, seccomp; it sees no mail."""
    table = cf(place, "cage.cf", f"dbpath = {sqlite}\n" + SQL["query"])
    with house_with(f"sqlite:{table}") as house:
        process = next(p for p in house.status() if p["role"] == "proxymap")
        facts = pathlib.Path(f"/proc/{process['pid']}/status").read_text()
        uids = {p["uid"] for p in house.status() if p["role"] != "proxymap"}
        assert process["uid"] not in uids
        for wanted in ("NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000",
                       "CapPrm:\t0000000000000000"):
            assert wanted in facts
        if "no-seccomp" not in process["cage"]:
            assert "Seccomp:\t2" in facts
        if "view" in process["cage"].split():
            seen = set(os.listdir(f"/proc/{process['pid']}/root"))
            assert not seen & {"home", "root", "spool", "store", "directory", "boot"}


# A whole server, its aliases in a table of somebody else.

class Asker:
    """RCPT again and again: how often each reply came."""

    def __init__(self, house, address):
        self.house, self.address = house, address
        self.replies = {}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over.is_set():
            try:
                s = self.house.smtp()
                s.timeout = 60
                s.ehlo("client.example.net")
                s.mail("x@example.net")
                code, text = s.rcpt(self.address)
                self.replies.setdefault(code, text)
                s.close()
            except (OSError, smtplib.SMTPException):
                pass
            time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(60)


def rcpt(house, address):
    with house.smtp() as s:
        s.ehlo("client.example.net")
        s.mail("x@example.net")
        return s.rcpt(address)[0]


def house_with(table, **more):
    # Nothing is believed for long: every question is asked.
    return House(virtual_alias_domains="example.com", virtual_alias_maps=table, table_cache_time="0",
                 smtpd_client_connection_count_limit="0", **more)


def backends(place, postgres, maria, slapd):
    pg = f"hosts = 127.0.0.1:{postgres.port}\nuser = mail\npassword = secret\ndbname = postgres\n"
    my = f"hosts = inet:127.0.0.1:{maria.port}\nuser = mail\npassword = se$cret\ndbname = m\n"
    ld = f"server_host = ldap://127.0.0.1:{slapd.port}\nsearch_base = {slapd.suffix}\nbind = no\n"
    short = "timeout = 1s\n"
    yield postgres, "pgsql:" + str(cf(place, "h-p.cf", pg + SQL["query"] + short))
    yield maria, "mysql:" + str(cf(place, "h-m.cf", my + SQL["query"] + short))
    yield slapd, "ldap:" + str(cf(place, "h-l.cf", ld + LDAP["plain"] + short))


@needs_root
@pytest.mark.parametrize("which", [0, 1, 2], ids=["pgsql", "mysql", "ldap"])
def test_a_server_that_dies_or_stops_makes_nobody_unknown(place, postgres, maria, slapd, which):
    server, table = list(backends(place, postgres, maria, slapd))[which]
    with house_with(table) as house:
        assert wait_for(lambda: rcpt(house, "a@example.com") in (250, 554))
        right = rcpt(house, "a@example.com")
        assert rcpt(house, "nobody@example.com") == 550
        with Asker(house, "a@example.com") as asker:
            server.pause()
            wait_for(lambda: 451 in asker.replies)
            server.resume()
            wait_for(lambda: rcpt(house, "a@example.com") == right, 60)
            asker.replies.clear()
            server.stop(signal.SIGKILL if which else signal.SIGQUIT)
            wait_for(lambda: 451 in asker.replies)
            server.start()
            wait_for(lambda: rcpt(house, "a@example.com") == right, 60)
        assert 550 not in asker.replies, asker.replies
        assert rcpt(house, "nobody@example.com") == 550
        text = house.log.read_text()
        assert "secret" not in text and "se$cret" not in text
        assert "answers again" in text


@needs_root
def test_a_dead_server_holds_up_no_other_table(place, postgres, maria, slapd):
    tables = [table for _, table in backends(place, postgres, maria, slapd)]
    with house_with(f"{tables[0]}") as house, house_with(f"{tables[1]}") as other:
        postgres.pause()
        try:
            assert rcpt(house, "a@example.com") == 451
            assert rcpt(other, "a@example.com") in (250, 554)
        finally:
            postgres.resume()


@needs_root
def test_a_dead_table_puts_off_its_own_addresses_and_nothing_else(place, postgres, maria):
    """Inside of one server and one session: 451 for those it is asked for; other tables and addresses go on."""
    pg = f"hosts = 127.0.0.1:{postgres.port}\nuser = mail\npassword = secret\ndbname = postgres\ntimeout = 2s\ndomain = example.com\n"
    my = f"hosts = inet:127.0.0.1:{maria.port}\nuser = mail\npassword = se$cret\ndbname = m\n"
    tables = f"pgsql:{cf(place, 'one-p.cf', pg + SQL['query'])} mysql:{cf(place, 'one-m.cf', my + SQL['query'])}"
    maria.sql("INSERT INTO a VALUES('y@other.example','jack@here.example')", "m")
    with House(virtual_alias_domains="example.com other.example", virtual_alias_maps=tables, table_cache_time="0") as house:
        house.command("domain", "add", "here.example")
        house.command("account", "add", "jack@here.example", input="secret\n")
        assert wait_for(lambda: rcpt(house, "y@other.example") == 250)
        assert wait_for(lambda: rcpt(house, "a@example.com") in (250, 554))
        postgres.pause()
        try:
            with house.smtp() as slow, house.smtp() as other:
                for s in (slow, other):
                    s.ehlo("client.example.net")
                    s.mail("x@example.net")
                # It waits for the dead one; its answer comes within the time-out, those of the others meanwhile.
                slow.putcmd("RCPT TO:<a@example.com>")
                for _ in range(3):
                    assert other.rcpt("y@other.example")[0] == 250
                    assert other.rcpt("jack@here.example")[0] == 250
                slow.sock.settimeout(20)
                assert slow.getreply()[0] == 451
                assert slow.rcpt("jack@here.example")[0] == 250
                assert slow.rcpt("y@other.example")[0] == 250
                assert slow.rcpt("a@example.com")[0] == 451
                assert slow.data(b"Subject: one\r\n\r\nx\r\n")[0] == 250
        finally:
            postgres.resume()


@needs_root
def test_a_connection_nobody_uses_is_closed_in_time(place, maria):
    my = f"hosts = inet:127.0.0.1:{maria.port}\nuser = mail\npassword = se$cret\ndbname = m\nidle_interval = 1s\n"

    def count():
        return int(maria.sql("SELECT count(*) FROM information_schema.processlist WHERE user = 'mail'"))

    with house_with(f"mysql:{cf(place, 'idle.cf', my + SQL['query'])}") as house:
        assert wait_for(lambda: rcpt(house, "nobody@example.com") == 550)
        assert wait_for(lambda: count() == 0, 30)
        assert rcpt(house, "nobody@example.com") == 550


def test_the_role_is_there_only_when_it_is_needed(place, sqlite):
    with House() as house:
        assert "proxymap" not in house.command("status").stdout
    table = cf(place, "role.cf", f"dbpath = {sqlite}\n" + SQL["query"])
    with house_with(f"sqlite:{table}") as house:
        assert "proxymap" in house.command("status").stdout
        assert rcpt(house, "nobody@example.com") == 550
        # A change is seen without a reload (R215).
        with sqlite3.connect(sqlite) as db:
            db.execute("INSERT INTO a VALUES('new@example.com', 'a@example.com')")
        assert rcpt(house, "new@example.com") in (250, 554)
        # It dies with questions open: they are asked of its successor.
        pid = next(p["pid"] for p in house.status() if p["role"] == "proxymap")
        os.kill(pid, signal.SIGKILL)
        assert rcpt(house, "a@example.com") in (250, 451, 554)
        wait_for(lambda: rcpt(house, "nobody@example.com") == 550)


DEAD = "socketmap:inet:127.0.0.1:{port}:x"


@pytest.mark.parametrize("settings, who, sender", [
    ({"transport_maps": DEAD}, "jack@example.com", False),
    ({"transport_maps": DEAD}, "nobody@example.com", False),
    ({"virtual_alias_maps": DEAD}, "nobody@example.com", False),
    ({"canonical_maps": DEAD}, "nobody@example.com", False),
    ({"virtual_mailbox_domains": "v.example", "virtual_mailbox_maps": DEAD}, "who@v.example", False),
    ({"smtpd_recipient_restrictions": "check_recipient_access " + DEAD + ", permit"}, "nobody@example.com", False),
    ({"smtpd_sender_restrictions": "check_sender_access " + DEAD}, "jack@example.com", False),
    ({"smtpd_sender_login_maps": DEAD}, "x@else.example", True),
])
def test_a_dead_table_is_later_and_never_no(settings, who, sender):
    """Whatever asks it at RCPT: 451, not "User unknown"; and nobody is kept from logging in by it."""
    port = free_port()
    with Village("jack", **{k: v.format(port=port) for k, v in settings.items()}) as house:
        if sender:
            client = smtplib.SMTP_SSL("127.0.0.1", house.ports["submissions"], timeout=60, context=trusting())
        else:
            client = smtplib.SMTP("127.0.0.1", house.ports["smtp"], timeout=60)
        with client as s:
            s.ehlo("client.example")
            if sender:
                assert s.login("jack@example.com", PASSWORD)[0] == 235
            assert s.mail("jack@example.com" if sender else "a@there.example")[0] == 250
            code, said = s.rcpt(who)
            assert code == 451 and b"Temporary lookup failure" in said, said


class Chatterer(Program):
    """It says one reply more than it was asked for, when the first is long gone."""

    def serve(self, connection):
        file = connection.makefile("rb")
        with contextlib.suppress(OSError):
            while (reply := (self.socketmap if self.protocol == "socketmap" else self.tcp)(file)) is not None:
                connection.sendall(reply)
                time.sleep(0.2)
                connection.sendall(b"9:OK REJECT," if self.protocol == "socketmap" else b"200 REJECT\n")


@pytest.mark.parametrize("kind", ["socketmap", "tcp"])
def test_what_a_program_says_unasked_is_not_the_answer_to_the_next_question(kind):
    program = Chatterer({b"first": b"OK"}, kind)
    table = f"socketmap:inet:127.0.0.1:{program.port}:x" if kind == "socketmap" else f"tcp:127.0.0.1:{program.port}"
    names = ["first", "second", "third", "fourth"]
    try:
        with Village("jack", smtpd_helo_restrictions=f"check_helo_access {table}") as house:
            for name in names:
                with house.smtp() as s:
                    s.ehlo(name)
                    assert s.mail("a@there.example")[0] == 250
                    assert s.rcpt("jack@example.com")[0] == 250, name
                time.sleep(0.4)       # until the rest of it has come
        assert [k.decode() for k in program.asked] == names
    finally:
        program.close()


def wish(house, http, domain):
    s = socket.create_connection(("127.0.0.1", http), timeout=60)
    s.sendall(f"GET /mail/config-v1.1.xml HTTP/1.1\r\nHost: autoconfig.{domain}\r\n\r\n".encode())
    return s, lambda: s.recv(12)[9:]


def rcpt_begun(house, http, to):
    s = house.smtp()
    s.ehlo("client.example")
    s.mail("a@there.example")
    s.putcmd("rcpt", f"TO:<{to}>")
    return s, lambda: b"%d" % s.getreply()[0]


@pytest.mark.parametrize("role, table, begin, first, second, right", [
    ("guide", "virtual_mailbox_domains", wish, "v.example", "elsewhere.example", b"404"),
    ("receiver", "virtual_mailbox_maps", rcpt_begun, "jane@w.example", "nobody@w.example", b"550"),
])
def test_what_one_who_died_has_asked_is_no_answer_to_who_comes_after_it(role, table, begin, first, second, right):
    """The table is slow; who asked it dies, and the next one asks something else before the first answer is there."""
    program, http = Program({b"v.example": b"x", b"jane@w.example": b"x"}, "tcp"), free_port()
    try:
        with Village("jack", **{"virtual_mailbox_domains": "w.example", table: f"tcp:127.0.0.1:{program.port}"}, autoconfig="yes",
                     autoconfig_http_listen=f"127.0.0.1:{http}", autoconfig_https_listen="") as house:
            house.back(role, house.kill(role))      # both have asked nothing yet
            program.delay, before = 3, house.pid_of(role)
            gone, _ = begin(house, http, first)
            wait_for(lambda: first.encode() in program.asked)
            house.kill(role)
            house.back(role, before)
            there, answer = begin(house, http, second)
            assert answer() == right, program.asked
            for s in (gone, there):
                s.close()
    finally:
        program.close()


def test_who_asks_the_guide_of_a_table_that_stands_still_hears_that_it_may_ask_again():
    program, http = Program({}, "tcp"), free_port()
    program.delay = 30
    try:
        with Village("jack", virtual_mailbox_domains=f"tcp:127.0.0.1:{program.port}", autoconfig="yes", autoconfig_http_listen=f"127.0.0.1:{http}",
                     autoconfig_https_listen="") as house:
            asks, answer = wish(house, http, "v.example")
            assert answer() == b"503"
            asks.close()
    finally:
        program.close()
