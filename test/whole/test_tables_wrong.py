# SPDX-License-Identifier: ISC
"""Wrong lines and hostile keys, for every type of table: the check names file and line and what would be right, a running
server keeps the last good table and says so; a key is data, whatever bytes it has."""

import pathlib
import re
import shutil
import sqlite3
import subprocess
import tempfile

import pytest
from elsewhere import Maria, Postgres, Program, Slapd
from house import BINARY, House, wait_for
from kit import open_to_all

SQL = "user = u\ndbname = d\nhosts = h\n"
# type: what is right, what is wrong, where, and what would be right.
WRONG = {
    **{kind: ("a@x b\n", "a@x b\n\nonlykey\n", ":3: ", "write: key, blanks, value") for kind in ("hash", "btree", "lmdb", "cdb", "dbm", "texthash")},
    "regexp": ("/a/ b\n", "/a/ b\n/(/ x\n", ":2: ", "missing closing parenthesis"),
    "pcre": ("/a/ b\n", "/a/ b\n/a{2,1}/ x\n", ":2: ", "the pattern is wrong"),
    "cidr": ("192.0.2.0/24 OK\n", "192.0.2.0/24 OK\n300.1 x\n", ":2: ", "write it as 192.0.2.0/24"),
    "sqlite": ("dbpath = /x\nquery = SELECT '%s'\n", "dbpath = /x\nqeury = x\nquery = SELECT '%s'\n", ":2: ", "did you mean query?"),
    "pgsql": (SQL + "query = SELECT '%s'\n", SQL + "query = SELECT %s\n", ":4: ", "write '%s', with quotes"),
    "mysql": (SQL + "query = SELECT '%s'\n", SQL + "query = SELECT '%q'\n", ":4: ", "there are %s %u %d"),
    "ldap": ("server_host = h\nsearch_base = b\nquery_filter = (m=%s)\n", "server_host = h\nsearch_base = b\nquery_filter = (m=%s\n", ":3: ", "write it as (mail=%s)"),
}


def check(main, *lines):
    main.write_text("myhostname = mail.example.com\n" + "".join(f"{line}\n" for line in lines))
    done = subprocess.run([BINARY, "-c", main, "config", "check"], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("kind", WRONG)
def test_the_check_names_file_and_line_and_what_is_right(tmp_path, kind):
    good, bad, where, right = WRONG[kind]
    file = tmp_path / "table.cf"
    for text, status in ((good, 0), (bad, 1)):
        file.write_text(text)
        code, said = check(tmp_path / "main.cf", "# here", f"virtual_alias_maps = {kind}:{file}")
        assert code == status, said
    assert f"{file}{where}" in said and right in said, said
    assert f"main.cf:3: virtual_alias_maps = {kind}:{file}: this table cannot be used" in said, said


@pytest.mark.parametrize("table, right", [
    ("inline:{a=b, c}", "write inline:{key=value"), ("pcre:{{/(/ x}}", "missing closing parenthesis"), ("regexp:{{/a/}}", ""),
    ("cidr:{{300.1 x}}", "write it as 192.0.2.0/24"), ("unionmap:{static:a, nothing:b}", "nothing"), ("hsah:/x", "postconf -m"),
    ("socketmap:inet:h:1", "socketmap:"), ("tcp:h", "tcp:"), ("pipemap:{}", "")])
def test_what_stands_in_main_cf_is_told_with_its_line(tmp_path, table, right):
    code, said = check(tmp_path / "main.cf", "#", "#", f"virtual_alias_maps = {table}")
    assert code == 1 and "main.cf:4: " in said and right in said, said


def test_aliases_and_passwd_files_name_their_lines(tmp_path):
    (tmp_path / "aliases").write_text("lead: a@x\n# a remark\nno colon here\n")
    code, said = check(tmp_path / "main.cf", f"alias_maps = hash:{tmp_path}/aliases")
    assert code == 1 and f"{tmp_path}/aliases:3: " in said and "write: name: target" in said, said
    (tmp_path / "users").write_text("a:{PLAIN}b\nnone\n")
    code, said = check(tmp_path / "main.cf", f"auth_backends = passwd-file:{tmp_path}/users")
    assert code == 1 and f"{tmp_path}/users:2: write user:" in said, said


def rcpt(h, address):
    with h.smtp() as s:
        s.ehlo("client.example")
        s.mail("a@client.example")
        return s.rcpt(address)[0]


RUNNING = {**{k: ("{k}@v.example jack@example.com\n", "onlykey\n") for k in ("hash", "btree", "lmdb", "cdb", "dbm", "texthash")},
           "regexp": ("/^{k}@v.example$/ jack@example.com\n", "/(/ x\n"), "pcre": ("/^{k}@v.example$/ jack@example.com\n", "/(/ x\n"),
           "sqlite": ("dbpath = {at}/db\nquery = SELECT v FROM t WHERE k = '%s'\n", "qeury = x\n"),
           "aliases": ("alias: jack@example.com\n", "no colon\n"), "cidr": ("127.0.0.9 REJECT go away\n", "300.1 x\n")}


def test_a_running_server_keeps_the_last_good_table_of_every_type():
    at = pathlib.Path(tempfile.mkdtemp(prefix="mansio-wrong-"))
    at.chmod(0o755)
    try:
        with sqlite3.connect(at / "db") as db:
            db.execute("CREATE TABLE t (k, v)")
            db.execute("INSERT INTO t VALUES ('sqlite@v.example', 'jack@example.com')")
        for kind, (good, _) in RUNNING.items():
            (at / f"{kind}.cf").write_text(good.format(k=kind, at=at))
        open_to_all(at / "db")
        kinds = [k for k in RUNNING if k not in ("aliases", "cidr")]
        with House(virtual_alias_domains="v.example", virtual_alias_maps=" ".join(f"{k}:{at}/{k}.cf" for k in kinds), mydestination="local.example",
                   alias_maps=f"hash:{at}/aliases.cf", table_cache_time="0",
                   smtpd_client_restrictions=f"check_client_access cidr:{at}/cidr.cf", smtpd_delay_reject="no") as h:
            h.command("domain", "add", "example.com")
            h.command("account", "add", "jack@example.com", input="secret\n")

            def all_is_well():
                said = {k: rcpt(h, f"{k}@v.example") for k in kinds} | {"aliases": rcpt(h, "alias@local.example")}
                return set(said.values()) == {250}

            wait_for(all_is_well, 60)
            for kind, (good, bad) in RUNNING.items():
                file = at / f"{kind}.cf"
                good = good.format(k=kind, at=at)
                file.write_text(good + bad)
                line = good.count("\n") + 1
                wait_for(lambda: f"{file}:{line}: " in h.text(), 60)
                wait_for(lambda: re.search(re.escape(f"{file}") + r"[^\n]*last good one stays", h.text()), 60)
            assert all_is_well()
            with h.smtp() as s:
                assert s.noop()[0] == 250
    finally:
        shutil.rmtree(at, ignore_errors=True)


def test_a_wrong_line_of_main_cf_leaves_the_settings_as_they_were():
    with House(virtual_alias_domains="v.example", virtual_alias_maps="inline:{a@v.example=b@far.example}", relayhost="[127.0.0.1]:1") as h:
        assert rcpt(h, "a@v.example") == 250
        h.write_settings(virtual_alias_maps="inline:{a@v.example=b@far.example, wrong}")
        done = h.command("reload", check=False)
        assert done.returncode != 0 and "write inline:{key=value" in done.stdout + done.stderr
        assert rcpt(h, "a@v.example") == 250 and rcpt(h, "x@v.example") == 550


# ---- keys ----

KEYS = [b"x" * 65536, b"x" * 65535 + b"'", b"a\0b", b"\0", b"' OR '1'='1", b'" OR ""="', b"a\\", b"\\'", b"%s%n%x", b"%", b"*", b"a*", b"*)(uid=*", b")(|(a=*",
        b"\xff\xfe\x80", b"a b", b" a", b"a ", b"\t", b"a\nb", b"a\r\nb", b"#a", b"{a}", b"$1", b"${x}", b"../../etc/passwd", b"/etc/passwd", b"'; DROP TABLE t; --",
        "é@ü.example".encode(), b"\x1b[31m", b"a" * 300 + b"@" + b"b." * 100 + b"example", b"()*\\\0", b"A", b"known"]


def ask(table, keys, main):
    """What is found: those without line ends go together (postmap -q -), the others one by one."""
    lines = [k for k in keys if b"\n" not in k and b"\r" not in k and k.strip()]
    done = subprocess.run([BINARY, "-c", main, "postmap", "-q", "-", table], input=b"\n".join(lines) + b"\n", capture_output=True, timeout=120)
    assert done.returncode in (0, 1), done
    found = {line.split(b"\t")[0] for line in done.stdout.splitlines()}
    for key in keys:
        if key in lines or b"\0" in key:
            continue
        done = subprocess.run([BINARY, "-c", main, "postmap", "-q", key, table], capture_output=True, timeout=60)
        assert done.returncode in (0, 1) and b"fatal" not in done.stderr, (key[:40], done)
        found |= {key} if done.returncode == 0 else set()
    return found


def tables(at):
    (at / "text").write_text("known yes\n")
    (at / "rules").write_text("/^known$/ yes\n")
    (at / "nets").write_text("192.0.2.0/24 yes\n")
    with sqlite3.connect(at / "db") as db:
        db.executescript("CREATE TABLE t (k, v); INSERT INTO t VALUES ('known', 'yes');")
    (at / "sqlite.cf").write_text(f"dbpath = {at}/db\nquery = SELECT v FROM t WHERE k = '%s'\n")
    return {**{k: f"{k}:{at}/text" for k in ("hash", "btree", "lmdb", "cdb", "dbm", "texthash")}, "regexp": f"regexp:{at}/rules", "pcre": f"pcre:{at}/rules",
            "cidr": f"cidr:{at}/nets", "inline": "inline:{known=yes}", "unionmap": f"unionmap:{{hash:{at}/text,inline:{{x=y}}}}",
            "pipemap": f"pipemap:{{hash:{at}/text,inline:{{yes=yes}}}}", "sqlite": f"sqlite:{at}/sqlite.cf", "unix": "unix:passwd.byname"}


@pytest.mark.parametrize("kind", ["hash", "btree", "lmdb", "cdb", "dbm", "texthash", "regexp", "pcre", "cidr", "inline", "unionmap", "pipemap", "sqlite", "unix"])
def test_hostile_keys_are_data(tmp_path, kind):
    table = tables(tmp_path)[kind]
    main = tmp_path / "main.cf"
    main.write_text("myhostname = mail.example.com\n")
    found = ask(table, KEYS, main)
    assert found == (set() if kind in ("cidr", "unix") else {b"known"}), found


@pytest.mark.parametrize("kind", ["socketmap", "tcp"])
def test_hostile_keys_come_to_a_program_as_they_are(tmp_path, kind):
    program = Program({b"known": b"yes"}, kind)
    main = tmp_path / "main.cf"
    main.write_text("myhostname = mail.example.com\n")
    try:
        found = ask(f"{kind}:inet:127.0.0.1:{program.port}:x" if kind == "socketmap" else f"tcp:127.0.0.1:{program.port}", KEYS, main)
        assert found == {b"known"}
        assert all(k in KEYS or k.lower() in [x.lower() for x in KEYS] or len(k) > 60000 for k in program.asked), program.asked
    finally:
        program.close()


@pytest.mark.parametrize("kind", ["pgsql", "mysql", "ldap"])
def test_hostile_keys_are_data_for_real_servers(tmp_path, kind):
    open_to_all(tmp_path)
    main = tmp_path / "main.cf"
    main.write_text("myhostname = mail.example.com\n")
    server = {"pgsql": Postgres, "mysql": Maria, "ldap": Slapd}[kind](tmp_path / "server")
    with server as s:
        if kind == "pgsql":
            s.sql("CREATE TABLE t (k text, v text); INSERT INTO t VALUES ('known', 'yes');")
            text = f"hosts = 127.0.0.1:{s.port}\nuser = mail\npassword = secret\ndbname = postgres\nquery = SELECT v FROM t WHERE k = '%s'\n"
        elif kind == "mysql":
            s.sql("CREATE DATABASE m CHARACTER SET utf8mb4; USE m; CREATE TABLE t (k varchar(200) COLLATE utf8mb4_bin, v text); INSERT INTO t VALUES ('known', 'yes');"
                  "CREATE USER mail@'127.0.0.1' IDENTIFIED BY 'secret'; GRANT ALL ON m.* TO mail@'127.0.0.1';")
            text = f"hosts = 127.0.0.1:{s.port}\nuser = mail\npassword = secret\ndbname = m\nquery = SELECT v FROM t WHERE k = '%s'\n"
        else:
            s.add(f"dn: {s.suffix}\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: example\n\n"
                  f"dn: uid=k,{s.suffix}\nobjectClass: inetOrgPerson\nobjectClass: mailThing\ncn: p\nsn: p\nmail: known\nmaildrop: yes\n")
            text = f"server_host = 127.0.0.1\nserver_port = {s.port}\nversion = 3\nsearch_base = {s.suffix}\nquery_filter = (mail=%s)\nresult_attribute = maildrop\n"
        (tmp_path / "t.cf").write_text(text)
        found = ask(f"{kind}:{tmp_path}/t.cf", KEYS, main)
        assert found == {b"known"}, found
        assert ask(f"{kind}:{tmp_path}/t.cf", [b"known"], main) == {b"known"}, "nothing was done to it"


ACCESS = [  # the line, and what is said of it
    ("ok.example OK", None), ("dunno.example dunno", None), ("a.example REJECT go", None), ("b.example 550 5.7.1 go", None), ("c.example 1234567", None),
    ("rules.example permit_mynetworks, reject_unknown_sender_domain", None), ("class.example special", None), ("d.example FILTER smtp:[127.0.0.1]:10025", None),
    ("wrong.example REJCT", '"REJCT" is no action'), ("wrong.example 650 no", '"650" is no action'), ("wrong.example other", '"other" is no action'),
    ("wrong.example permit_mynetworks, rejekt", "rejekt is no rule"), ("wrong.example check_client_access hash:/x", "a table's answer names no tables"),
    ("wrong.example 550", "550 alone means OK"), ("wrong.example FILTER nothing", "FILTER requires transport:destination"),
    ("wrong.example REDIRECT nobody", "REDIRECT requires user@domain"), ("wrong.example BCC", "BCC requires user@domain"),
    ("wrong.example PREPEND no field", "PREPEND requires header: text")]


@pytest.mark.parametrize("line, why", ACCESS)
def test_lines_of_access_tables_that_cannot_be_obeyed_are_named(tmp_path, line, why):
    """What Postfix says of each in its log, when it meets it, is in test_restrictions_beside_postfix.py."""
    (tmp_path / "access").write_text(f"# access\n\nfirst.example OK\n{line}\n")
    (tmp_path / "main.cf").unlink(missing_ok=True)
    code, said = check(tmp_path / "main.cf", "smtpd_restriction_classes = special", "special = reject",
                       f"smtpd_sender_restrictions = hash:{tmp_path}/access")
    assert code == 0 and (f"{tmp_path}/access:4: " in said) == (why is not None) and (why or "") in said, said


@pytest.mark.parametrize("table, text, line", [
    ("pcre:{at}/t", "/a/ REJECT\nif /b/\n/b/  NONSENSE\n/(c)/ $1\nendif\n", "t:3: "), ("cidr:{at}/t", "192.0.2.0/24 REJECT\n198.51.100.0/24 BLOCK\n", "t:2: "),
    ("texthash:{at}/t", "a OK\nb\n  nonsense\n", "t:2: "), ("inline:{{a=OK, b=nonsense}}", "", "inline: "), ("static:nonsense", "", "static: ")])
def test_access_tables_of_every_type_are_looked_at(tmp_path, table, text, line):
    (tmp_path / "t").write_text(text)
    code, said = check(tmp_path / "main.cf", f"smtpd_client_restrictions = check_client_access {table.format(at=tmp_path)}")
    assert code == 0 and said.count(line) == 1 and said.count("is no action") == 1, said
    # The same words are nobody's business in a table of another kind.
    code, said = check(tmp_path / "main.cf", f"virtual_alias_maps = {table.format(at=tmp_path)}")
    assert "is no action" not in said, said


@pytest.mark.parametrize("setting, line, why", [
    ("header_checks", "REJECT no", None), ("header_checks", "replace X-Was: $1", None), ("header_checks", "DUNNO", None), ("body_checks", "PREPEND a line", None),
    ("header_checks", "REJCT", '"REJCT" is no action'), ("mime_header_checks", "550 no", '"550 no" is no action'), ("body_checks", "DEFER", '"DEFER" is no action'),
    ("nested_header_checks", "FILTER nothing", "FILTER requires transport:destination"), ("header_checks", "REDIRECT nobody", "REDIRECT requires user@domain"),
    ("header_checks", "BCC", "BCC requires user@domain"), ("header_checks", "PREPEND no field", "PREPEND requires a field"), ("body_checks", "REPLACE", "REPLACE requires text"),
    ("smtp_header_checks", "REPLACE", "REPLACE requires text"), ("milter_header_checks", "NONSENSE", '"NONSENSE" is no action')])
def test_lines_of_checks_that_cannot_be_obeyed_are_named(tmp_path, setting, line, why):
    (tmp_path / "t").write_text(f"/(a)/ WARN\n\n/(b)/ {line}\n")
    code, said = check(tmp_path / "main.cf", f"{setting} = pcre:{tmp_path}/t")
    assert code == 0 and (f"{tmp_path}/t:3: " in said) == (why is not None) and (why or "") in said, said
