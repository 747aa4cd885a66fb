# SPDX-License-Identifier: ISC
"""What senders look up in tables that other servers keep: passwords, levels of TLS, other addresses; and who may ask for them.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sending_tables.py
"""

import base64
import os
import pathlib
import shutil
import signal
import smtplib
import socket
import sqlite3
import struct
import sys
import tempfile
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from elsewhere import Maria, Postgres, Slapd
from house import wait_for
from kit import open_to_all
from test_house import borrow, word_number
from test_sending import Sink, empty, house, send

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: servers run as users of their own")
KINDS = ("sqlite", "pgsql", "mysql", "ldap")
KEPT = {"jack@home.example": "jack.black@isp.example", "@home.example": "@isp.example"}
LETTER = "From: Jack <jack@home.example>\r\nTo: b@there.example\r\nCc: jill@home.example\r\nSubject: x\r\n\r\nx\r\n"


class Shelf:
    """One back end: put() keeps a value for a key, `table` is its name in main.cf."""

    def __init__(self, kind, place):
        self.kind, self.place, self.server, self.count = kind, place / kind, None, 0
        self.place.mkdir()
        self.place.chmod(0o755)
        text = getattr(self, "open_" + kind)()
        (self.place / "table.cf").write_text(text)
        (self.place / "table.cf").chmod(0o644)
        self.table = f"{kind}:{self.place}/table.cf"

    def open_sqlite(self):
        with sqlite3.connect(self.place / "a.db") as db:
            db.execute("CREATE TABLE a(k text, v text)")
        (self.place / "a.db").chmod(0o644)
        return f"dbpath = {self.place}/a.db\nquery = SELECT v FROM a WHERE k = '%s'\n"

    def open_pgsql(self):
        self.server = Postgres(self.place / "data")
        self.server.__enter__()
        self.server.sql("CREATE TABLE a(k text, v text)")
        return f"hosts = 127.0.0.1:{self.server.port}\nuser = mail\npassword = secret\ndbname = postgres\nquery = SELECT v FROM a WHERE k = '%s'\n"

    def open_mysql(self):
        self.server = Maria(self.place / "data")
        self.server.tls = None
        self.server.__enter__()
        self.server.sql("CREATE DATABASE m; CREATE USER mail@'%' IDENTIFIED BY 'se$cret'; GRANT ALL ON m.* TO mail@'%'; USE m;"
                        "CREATE TABLE a(k varchar(200), v varchar(200));")
        return f"hosts = inet:127.0.0.1:{self.server.port}\nuser = mail\npassword = se$cret\ndbname = m\nquery = SELECT v FROM a WHERE k = '%s'\n"

    def open_ldap(self):
        self.server = Slapd(self.place / "data")
        self.server.tls = None
        self.server.__enter__()
        self.server.add(f"dn: {self.server.suffix}\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: example\n\n")
        return (f"server_host = ldap://127.0.0.1:{self.server.port}\nsearch_base = {self.server.suffix}\nbind = no\n"
                "query_filter = (mail=%s)\nresult_attribute = maildrop\n")

    def put(self, key, value):
        self.count += 1
        if self.kind == "sqlite":
            with sqlite3.connect(self.place / "a.db") as db:
                db.execute("INSERT INTO a VALUES(?, ?)", (key, value))
        elif self.kind == "ldap":
            self.server.add(f"dn: cn=k{self.count},{self.server.suffix}\nobjectClass: inetOrgPerson\nobjectClass: mailThing\ncn: k\nsn: k\n"
                            f"mail: {key}\nmaildrop: {value}\n")
        else:
            self.server.sql(f"INSERT INTO a VALUES('{key}', '{value}');", *(["m"] if self.kind == "mysql" else []))

    def close(self):
        if self.server:
            self.server.__exit__(None, None, None)


@pytest.fixture(scope="module", params=KINDS)
def shelf(request):
    place = pathlib.Path(tempfile.mkdtemp(prefix="mansio-shelf-"))
    place.chmod(0o755)
    one = Shelf(request.param, place)
    for key, value in KEPT.items():
        one.put(key, value)
    yield one
    one.close()
    shutil.rmtree(place, ignore_errors=True)


def login(user, password):
    return "PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def wants_login(verb, argument, session):
    if verb == "AUTH":
        session.login = argument
        return "235 welcome"
    if verb == "MAIL" and getattr(session, "login", "") != login("jack", "way-station"):
        return "530 5.7.0 log in"


@pytest.mark.parametrize("by", ["smtp", "lmtp"])
def test_R172_passwords_for_other_hosts_are_in_any_table(shelf, by):
    with Sink(wants_login, offers=("AUTH PLAIN",), lmtp=by == "lmtp") as sink:
        where = f"[127.0.0.1]:{sink.port}"
        shelf.put(where, "jack:way-station")
        with house(**{"default_transport": f"{by}:{where}", f"{by}_sasl_auth_enable": "yes", f"{by}_sasl_password_maps": shelf.table,
                      f"{by}_sasl_security_options": "noanonymous", "table_cache_time": "0"}) as h:
            send(h, "b@there.example")
            wait_for(lambda: sink.got() == ["b@there.example"])
            assert "way-station" not in h.text() and "secret" not in h.text() and "se$cret" not in h.text()


@pytest.mark.parametrize("by", ["smtp", "lmtp"])
def test_R170_levels_of_tls_are_in_any_table(shelf, by):
    with Sink(lmtp=by == "lmtp") as strict, Sink(lmtp=by == "lmtp") as free:
        shelf.put(f"[127.0.0.1]:{strict.port}", "encrypt")
        with house(**{"transport_maps": f"inline:{{strict.example={by}:[127.0.0.1]:{strict.port}, free.example={by}:[127.0.0.1]:{free.port}}}",
                      f"{by}_tls_security_level": "may", f"{by}_tls_policy_maps": shelf.table}) as h:
            send(h, ["b@strict.example", "b@free.example"])
            wait_for(lambda: free.got() == ["b@free.example"])
            wait_for(lambda: "TLS is required, but was not offered by host 127.0.0.1[127.0.0.1]" in h.text())
            assert strict.got() == []


@pytest.mark.parametrize("by", ["smtp", "lmtp"])
def test_other_addresses_are_in_any_table(shelf, by):
    with Sink(lmtp=by == "lmtp") as sink, house(**{"default_transport": f"{by}:[127.0.0.1]:{sink.port}", f"{by}_generic_maps": shelf.table}) as h:
        send(h, ["b@there.example"], sender="jack@home.example", text=LETTER)
        wait_for(lambda: empty(h))
        sender, _, got = sink.letters[0]
        assert "<jack.black@isp.example>" in sender
        assert b"From: Jack <jack.black@isp.example>\r\n" in got and b"Cc: jill@isp.example\r\n" in got


def test_a_server_that_is_away_keeps_the_mail(shelf):
    """Without a password, or a level, nothing goes: a table that cannot be asked is not one without the key."""
    if shelf.server is None:
        pytest.skip("a file is not away")
    with Sink(offers=("AUTH PLAIN",)) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", smtp_sasl_auth_enable="yes", smtp_sasl_password_maps=shelf.table,
                                                     smtp_sasl_security_options="noanonymous") as h:
        shelf.server.stop()
        try:
            send(h, "b@there.example")
            wait_for(lambda: "status=deferred" in h.text(), 60)
            assert sink.got() == [] and "status=bounced" not in h.text()
        finally:
            shelf.server.start()
        wait_for(lambda: sink.got() == ["b@there.example"], 60)


# Where a letter is asked for behind the door: its hosts, its copies, its addresses.
BEHIND_THE_DOOR = ["smtp_generic_maps", "sender_bcc_maps", "recipient_bcc_maps", "transport_maps"]


@pytest.mark.parametrize("setting", BEHIND_THE_DOOR)
def test_R402_a_server_that_is_killed_loses_and_returns_nothing(shelf, setting):
    """The real thing, by SIGKILL (PostgreSQL: SIGQUIT) while letters come: each of them arrives, once, and none goes back."""
    if shelf.server is None:
        pytest.skip("a file is not killed")
    with Sink() as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", table_cache_time="0", **{setting: shelf.table}) as h:
        send(h, "first@there.example")
        wait_for(lambda: sink.got() == ["first@there.example"], 60)
        shelf.server.stop(signal.SIGQUIT if shelf.kind == "pgsql" else signal.SIGKILL)
        taken = []
        try:
            for n in range(3):
                try:
                    send(h, f"n{n}@there.example")
                    taken.append(f"n{n}@there.example")
                except smtplib.SMTPRecipientsRefused as e:
                    assert 400 <= e.recipients[f"n{n}@there.example"][0] < 500
                except smtplib.SMTPResponseException as e:
                    assert 400 <= e.smtp_code < 500
            if taken:
                wait_for(lambda: h.text().count("status=deferred") >= len(taken), 60)
            assert sink.got() == ["first@there.example"]
        finally:
            shelf.server.start()

        def comes():
            try:
                return send(h, "last@there.example") or True
            except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException):
                return False
        wait_for(comes, 60)
        wait_for(lambda: empty(h), 120)
        assert sink.got() == sorted(["first@there.example", "last@there.example", *taken])
        assert "status=bounced" not in h.text()


def links_of(pid):
    for fd in sorted(map(int, os.listdir(f"/proc/{pid}/fd"))):
        link = borrow(pid, fd) if fd > 3 else None
        if link is None:
            continue
        if link.family == socket.AF_UNIX and link.type == socket.SOCK_STREAM and not link.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            link.settimeout(2)
            yield link
        else:
            link.close()


def asked(link, ticket, table):
    """What role proxymap says to this question of the clerk's; None: something else is at the other end."""
    body = b"".join(struct.pack("<I", len(x)) + x for x in (table.encode(), b"[mail.isp.example]"))
    try:
        link.sendall(struct.pack("<IHHI", len(body), word_number("TABLE_ASK"), 0, ticket) + body)
        while True:
            length, word, _, of = struct.unpack("<IHHI", link.recv(12, socket.MSG_WAITALL))
            said = link.recv(length, socket.MSG_WAITALL) if length else b""
            if (word, of) == (word_number("TABLE_SAID"), ticket):
                return said
    except (OSError, struct.error):
        return None


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd_open")
def test_passwords_for_other_hosts_are_told_to_senders_alone(tmp_path):
    """Somebody who has become the clerk asks role proxymap for one, and gets what is the clerk's to know, but not that."""
    one, other = Shelf("sqlite", tmp_path), tmp_path / "aliases.cf"
    open_to_all(tmp_path)
    one.put("[mail.isp.example]", "jack:way-station")
    other.write_text((one.place / "table.cf").read_text())
    other.chmod(0o644)
    with house(smtp_sasl_auth_enable="yes", smtp_sasl_password_maps=one.table, virtual_alias_maps=f"sqlite:{other}") as h:
        answers, number, end = {}, 0, time.monotonic() + 90
        while len(answers) < 2 and time.monotonic() < end:
            # Whoever hears what is not for it has the clerk ended: then the next one's next link is tried (they are in no order).
            clerk = wait_for(lambda: [p["pid"] for p in h.status() if p["role"] == "clerk" and p["pid"]])[0]
            os.kill(clerk, signal.SIGSTOP)
            links = list(links_of(clerk))
            for ticket, table in ((70001, f"sqlite:{other}"), (70002, one.table)):
                if ticket not in answers and links and (got := asked(links[number % len(links)], ticket, table)):
                    answers[ticket] = got
            for link in links:
                link.close()
            number += 1
            try:
                os.kill(clerk, signal.SIGCONT)
            except ProcessLookupError:
                continue
        assert b"way-station" in answers[70001], answers
        assert b"way-station" not in answers[70002]
        assert answers[70002][1:].endswith(b"this table is for others to ask")


CHECKED = ("Subject: one\r\nX-Top: 1\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
           "--b\r\nContent-Type: text/plain; name=secret.txt\r\n\r\nwhat\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in it\r\nX-In: 1\r\n\r\nx\r\n--b--\r\n")


@pytest.mark.parametrize("by", ["smtp", "lmtp"])
def test_checks_of_parts_and_letters_inside(by):
    """header_checks(5): mime_ for fields of parts, nested_ for those of letters inside; each sees its own alone."""
    gone = "pcre:{{ {{/^(%s):/ IGNORE}} }}".replace("{{", "{").replace("}}", "}")
    with Sink(lmtp=by == "lmtp") as sink, house(**{
            "default_transport": f"{by}:[127.0.0.1]:{sink.port}", f"{by}_header_checks": gone % "X-Top|X-In", f"{by}_nested_header_checks": gone % "X-In|X-Top",
            f"{by}_mime_header_checks": r"pcre:{ {/^(Content-Type: text\/plain); name=.*/ REPLACE $1} }"}) as h:
        send(h, ["b@there.example"], text=CHECKED)
        wait_for(lambda: empty(h))
        got = sink.letters[0][2]
        assert b"X-Top" not in got and b"X-In" not in got and b"Subject: in it\r\n\r\nx\r\n" in got
        assert b"--b\r\nContent-Type: text/plain\r\n\r\nwhat\r\n" in got


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q", *sys.argv[1:]]))
