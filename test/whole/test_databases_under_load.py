# SPDX-License-Identifier: ISC
"""Addresses, mailboxes and passwords in PostgreSQL, MariaDB and slapd, with twenty senders and some readers at work, while the database is killed, frozen,
slow, full, without a table, without our password, and back with other people in it: nobody who is there is unknown, no right password is wrong, what got
250 is in a mailbox once, all goes on by itself, and memory does not grow.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_databases_under_load.py
    LOAD_SECONDS=20 ...       each trouble as long
"""

import collections
import imaplib
import os
import pathlib
import random
import shutil
import signal
import smtplib
import tempfile
import threading
import time

import pytest
from elsewhere import Maria, Postgres, Slapd, wait_until
from house import wait_for
from kit import word
from test_credentials import pw, village
from test_roles import trusting

SECONDS = float(os.environ.get("LOAD_SECONDS", "3"))
PEOPLE, SENDERS, READERS = 8, 20, 3
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="databases are started as their own users")


def people():
    return [f"p{i}@v.example" for i in range(PEOPLE)]


def aliases(shift=0):
    return [(f"a{i}@v.example", f"p{(i + shift) % PEOPLE}@v.example") for i in range(PEOPLE)]


class Sql:
    """What is the same for both.  mailboxes and targets are views, so that an answer can be made slow."""
    slow_rows = ""

    def fill(self):
        self.tell("CREATE TABLE people(name VARCHAR(200) PRIMARY KEY, hash VARCHAR(400))")
        for name in people():
            self.tell(f"INSERT INTO people VALUES('{name}', '{self.hash}')")
        self.tell("CREATE TABLE aliases(name VARCHAR(200) PRIMARY KEY, target VARCHAR(200))")
        for name, target in aliases():
            self.tell(f"INSERT INTO aliases VALUES('{name}', '{target}')")
        self.slow(0)

    def other(self, shift):
        for name, target in aliases(shift):
            self.tell(f"UPDATE aliases SET target = '{target}' WHERE name = '{name}'")

    def slow(self, seconds):
        for view, of, columns in (("mailboxes", "people", "name, hash"), ("targets", "aliases", "name, target")):
            self.tell(f"CREATE OR REPLACE VIEW {view} AS SELECT {columns} FROM {of} " + (self.slow_rows.format(seconds=seconds) if seconds else ""))

    def lost(self, gone):
        self.tell("DROP VIEW mailboxes" if gone else "CREATE VIEW mailboxes AS SELECT name, hash FROM people")
        if not gone:
            self.permit()

    def permit(self):
        pass


class OfPostgres(Sql):
    slow_rows = "CROSS JOIN (SELECT pg_sleep({seconds}) OFFSET 0) s"

    def __init__(self, server):
        self.server, self.hash = server, pw("SSHA256")
        self.tell("CREATE ROLE reader LOGIN PASSWORD 'secret'")
        self.tell("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader")
        self.fill()

    def tell(self, text):
        self.server.sql(text + ";\n")

    def where(self):
        return f"hosts = 127.0.0.1:{self.server.port}\nuser = reader\npassword = secret\ndbname = postgres\ntimeout = 2s\n"

    def full(self, is_full):
        self.tell(f"ALTER ROLE reader CONNECTION LIMIT {0 if is_full else -1}")
        self.part()

    def password(self, changed):
        self.tell(f"ALTER ROLE reader PASSWORD '{'other' if changed else 'secret'}'")
        self.part()

    def part(self):
        self.tell("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'")

    kind = "pgsql"


class OfMaria(Sql):
    kind = "mysql"
    slow_rows = "WHERE SLEEP({seconds}) = 0"

    def __init__(self, server):
        self.server, self.hash = server, pw("SSHA256")
        server.sql("CREATE DATABASE m; CREATE USER reader@'%' IDENTIFIED BY 'secret'; GRANT SELECT ON m.* TO reader@'%'")
        # One that has gone meanwhile cannot be killed, and need not.
        self.tell("DELIMITER //\nCREATE PROCEDURE part() BEGIN DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END; "
                  "FOR r IN (SELECT id FROM information_schema.processlist WHERE user = 'reader' AND command = 'Sleep') DO KILL r.id; END FOR; END//\n")
        self.fill()

    def tell(self, text):
        """root may come when all places are taken, but for a root that has not quite gone."""
        wait_until(lambda: [self.server.sql(text, "m")])

    def where(self):
        return f"hosts = inet:127.0.0.1:{self.server.port}\nuser = reader\npassword = secret\ndbname = m\ntimeout = 2s\n"

    def full(self, is_full):
        """Somebody else has all the places there are."""
        self.tell(f"SET GLOBAL max_connections = {10 if is_full else 151}")
        if is_full:
            self.held = []
            wait_until(self.take_all)
        else:
            for one in self.held:
                one.kill()
                one.wait()

    def take_all(self):
        """Those of the mail server go, and whoever comes first has the places: again until it was us."""
        self.part()
        self.held += [self.server.run(["mariadb", "--no-defaults", f"--socket={self.server.directory}/sock", "-u", "reader", "-psecret", "-e", "SELECT SLEEP(600)"])
                      for _ in range(5)]
        time.sleep(0.3)
        return int(self.server.sql("SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(600)%'")) == 10

    def password(self, changed):
        self.tell(f"ALTER USER reader@'%' IDENTIFIED BY '{'other' if changed else 'secret'}'")
        self.part()

    def part(self):
        """Connections of the mail server; one that is held is asleep in a query."""
        self.tell("CALL part()")


class OfSlapd:
    kind = "ldap"

    def __init__(self, server):
        self.server = server
        hashed = pw("SSHA")
        server.add(f"dn: {server.suffix}\nobjectClass: dcObject\nobjectClass: organization\no: e\ndc: example\n\n" +
                   "".join(f"dn: cn={name},{server.suffix}\nobjectClass: inetOrgPerson\nobjectClass: mailThing\ncn: {name}\nsn: x\nuserPassword: {hashed}\n\n" for name in people()))
        self.lines(aliases(), "add")

    def lines(self, pairs, how):
        for name, target in pairs:
            dn = f"dn: cn={name},{self.server.suffix}\n"
            text = dn + (f"objectClass: inetOrgPerson\nobjectClass: mailThing\ncn: {name}\nsn: y\nmaildrop: {target}\n\n" if how == "add"
                         else f"changetype: modify\nreplace: maildrop\nmaildrop: {target}\n\n")
            self.server.add(text)

    def other(self, shift):
        self.lines(aliases(shift), "modify")

    def where(self):
        return f"server_host = ldap://127.0.0.1:{self.server.port}\nsearch_base = {self.server.suffix}\nbind = no\ntimeout = 2s\n"


def files(place, base):
    """The tables and the credentials, as an administrator writes them."""
    of_mailboxes, of_aliases, of_users = (place / n for n in ("mailboxes.cf", "aliases.cf", "users.cf"))
    if base.kind == "ldap":
        of_mailboxes.write_text(base.where() + "query_filter = (&(cn=%s)(sn=x))\nresult_attribute = cn\n")
        of_aliases.write_text(base.where() + "query_filter = (&(cn=%s)(sn=y))\nresult_attribute = maildrop\n")
        of_users.write_text(f"uris = ldap://127.0.0.1:{base.server.port}\nbase = {base.server.suffix}\nscope = subtree\ntimeout = 2s\nauth_bind = yes\n"
                            "pass_filter = (&(cn=%u)(sn=x))\npass_attrs = cn=user\n")
        auth = f"ldap:{of_users}"
    else:
        of_mailboxes.write_text(base.where() + "query = SELECT name FROM mailboxes WHERE name = '%s'\n")
        of_aliases.write_text(base.where() + "query = SELECT target FROM targets WHERE name = '%s'\n")
        of_users.write_text(f"driver = {base.kind}\n{base.where()}password_query = SELECT name AS user, hash AS password FROM mailboxes WHERE name = '%Lu'\n")
        auth = f"sql:{of_users}"
    for path in (of_mailboxes, of_aliases, of_users):
        path.chmod(0o600)
    return {"auth_backends": f"directory {auth}", "virtual_mailbox_domains": "v.example", "virtual_mailbox_maps": f"{base.kind}:{of_mailboxes}",
            "virtual_alias_maps": f"{base.kind}:{of_aliases}", "table_cache_time": "0"}


class Load:
    """Who sends and who reads, and what was said to them."""

    def __init__(self, house):
        self.house, self.over = house, threading.Event()
        self.codes, self.words = collections.Counter(), collections.Counter()
        self.wrong, self.taken, self.lock = [], {}, threading.Lock()
        self.threads = [threading.Thread(target=self.send, daemon=True) for _ in range(SENDERS)] + [threading.Thread(target=self.read, daemon=True) for _ in range(READERS)]
        for t in self.threads:
            t.start()

    def send(self):
        chance = random.Random()
        while not self.over.is_set():
            try:
                with smtplib.SMTP("127.0.0.1", self.house.ports["smtp"], timeout=90, local_hostname="client.example") as s:
                    for _ in range(5):
                        self.letter(s, chance)
                        if self.over.wait(0.2 + chance.random() * 0.3):
                            break
            except (OSError, smtplib.SMTPException):
                self.over.wait(0.2)

    def letter(self, s, chance):
        name = chance.choice(["p", "a", "a", "nobody"])
        to = f"{name}{chance.randrange(PEOPLE)}@v.example"
        s.ehlo_or_helo_if_needed()
        s.docmd("MAIL FROM:<x@else.example>")
        code, text = s.docmd(f"RCPT TO:<{to}>")
        with self.lock:
            self.codes[name == "nobody", code] += 1
            if code >= 500 and name != "nobody" or code == 250 and name == "nobody":
                self.wrong.append((to, code, text))
        if code != 250:
            s.docmd("RSET")
            return
        id = word()
        s.docmd("DATA")
        s.send(f"Subject: {id}\r\n\r\nx\r\n.\r\n".encode())
        code, text = s.getreply()
        with self.lock:
            if code == 250:
                self.taken[id] = to
            elif code >= 500:
                self.wrong.append((to, code, text))

    def login(self, user, password):
        """True, or what was said."""
        try:
            box = imaplib.IMAP4_SSL("127.0.0.1", self.house.ports["imaps"], ssl_context=trusting(), timeout=90)
        except OSError as e:
            return repr(e)
        try:
            box.login(user, password)
            return True
        except imaplib.IMAP4.abort as e:
            return repr(e)
        except imaplib.IMAP4.error as e:
            return str(e)
        finally:
            try:
                box.logout()
            except (OSError, imaplib.IMAP4.error):
                pass

    def read(self):
        chance = random.Random()
        while not self.over.is_set():
            right = chance.random() < 0.7
            said = self.login(chance.choice(people()), "geheim" if right else "falsch")
            with self.lock:
                self.words[right, said if said is True else "UNAVAILABLE" if "UNAVAILABLE" in said else "AUTHENTICATIONFAILED" if "AUTHENTICATIONFAILED" in said else said] += 1
                if right and said is not True and "UNAVAILABLE" not in said or not right and said is True:
                    self.wrong.append((right, said))
            self.over.wait(0.2)

    def seen(self, what, patience=60):
        """A fresh answer of this kind comes: how long it took."""
        with self.lock:
            before = dict(self.codes)
        since = time.monotonic()
        wait_for(lambda: any(not nobody and what(code) and n > before.get((nobody, code), 0) for (nobody, code), n in list(self.codes.items())), patience)
        return time.monotonic() - since

    def back(self):
        """Both are served again: seconds until each."""
        since = time.monotonic()
        wait_for(lambda: self.login(people()[0], "geheim") is True, 60)
        return time.monotonic() - since, self.seen(lambda code: code == 250)

    def end(self):
        self.over.set()
        for t in self.threads:
            t.join(100)


def memory(house):
    """Of the processes that ask and are asked, in KiB."""
    total = 0
    for p in house.status():
        if p["role"] in ("proxymap", "clerk", "receiver", "login"):
            for line in pathlib.Path(f"/proc/{p['pid']}/smaps_rollup").read_text().splitlines():
                if line.startswith("Private_Dirty"):
                    total += int(line.split()[1])
    return total


def letters_of(house):
    """Subject -> whose mailbox."""
    found = collections.defaultdict(list)
    for user in people():
        with imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], ssl_context=trusting(), timeout=60) as box:
            box.login(user, "geheim")
            box.select(readonly=True)
            for part in box.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
                if isinstance(part, tuple):
                    found[part[1].decode().split(":", 1)[1].strip()].append(user)
    return found


def troubles(base, load, told):
    """One after the other, each with what ends it; what was seen is told."""
    server = base.server

    def trouble(name, begin, end, puts_off=True):
        begin()
        if puts_off:
            load.seen(lambda code: 400 <= code < 500)
        time.sleep(SECONDS)
        end()
        told[name] = load.back()

    trouble("killed", lambda: server.stop(signal.SIGQUIT if base.kind == "pgsql" else signal.SIGKILL), server.start)
    trouble("frozen", server.pause, server.resume)
    if base.kind != "ldap":
        trouble("slow", lambda: base.slow(0.4), lambda: base.slow(0), puts_off=False)
        trouble("too slow", lambda: base.slow(6), lambda: base.slow(0))
        trouble("full", lambda: base.full(True), lambda: base.full(False))
        trouble("without a table", lambda: base.lost(True), lambda: base.lost(False))
        trouble("another password", lambda: base.password(True), lambda: base.password(False))

    def other_people():
        base.other(3)
        server.stop(signal.SIGINT if base.kind == "pgsql" else signal.SIGTERM)
    trouble("other people", other_people, server.start)


@needs_root
@pytest.mark.parametrize("kind, base", [(Postgres, OfPostgres), (Maria, OfMaria), (Slapd, OfSlapd)], ids=["pgsql", "mysql", "ldap"])
def test_nobody_is_unknown_and_nothing_is_lost(kind, base):
    place = pathlib.Path(tempfile.mkdtemp(prefix="mdl-"))
    place.chmod(0o755)
    told = {}
    try:
        with kind(place / "base") as server:
            there = base(server)
            with village(**files(place, there), smtpd_client_connection_count_limit="0", minimal_backoff_time="2s", maximal_backoff_time="5s",
                         mail_max_userip_connections="0") as house:
                load = Load(house)
                try:
                    load.back()
                    load.seen(lambda code: code == 250)
                    time.sleep(SECONDS)
                    before = memory(house)
                    troubles(there, load, told)
                    wait_for(lambda: load.codes[True, 550], 60)
                finally:
                    load.end()
                after = memory(house)
                assert load.wrong == []
                assert load.words[True, True] and load.words[True, "UNAVAILABLE"] and load.words[False, "AUTHENTICATIONFAILED"], load.words
                wait_for(lambda: "is empty" in house.command("queue", "list").stdout, 120)
                found, shifted = letters_of(house), dict(aliases(3))
                assert {id: found[id] for id in load.taken if len(found[id]) != 1} == {}
                now = dict(aliases())
                assert all(found[id][0] in (now.get(to, to), shifted.get(to, to)) for id, to in load.taken.items())
                assert any(found[id][0] == shifted.get(to) for id, to in load.taken.items()), "the other people"
                assert set(load.taken) <= set(found) and "status=bounced" not in house.log.read_text()
                assert after < before * 1.5 + 8192, (before, after)
                print(server.__class__.__name__, dict(load.codes), dict(load.words), len(load.taken), "KiB", before, after, {n: tuple(round(s, 1) for s in t) for n, t in told.items()})
    finally:
        shutil.rmtree(place, ignore_errors=True)
