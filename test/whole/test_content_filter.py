# SPDX-License-Identifier: ISC
"""A letter goes to a content filter and comes back by another listener, with what receive_override_options leaves out;
checks that are taken up anew, that hide where users are, and that cost too much."""

import os
import smtplib
import socket
import socketserver
import threading
import time

import pytest
from house import House, free_ports, wait_for
from test_checks_beside_postfix import send, ssl_context
from test_clamd import Scanned


class Filter(socketserver.StreamRequestHandler):
    """Takes a letter by SMTP, and gives it on with a field more."""

    def handle(self):
        say = lambda words: self.wfile.write(words + b"\r\n")
        say(b"220 filter")
        sender, to = "", []
        for line in self.rfile:
            verb = line.strip()
            if verb.upper().startswith(b"MAIL"):
                sender = verb.split(b"<")[1].split(b">")[0].decode()
            elif verb.upper().startswith(b"RCPT"):
                to.append(verb.split(b"<")[1].split(b">")[0].decode())
            elif verb.upper() == b"DATA":
                say(b"354 go on")
                letter = b""
                for text in self.rfile:
                    if text == b".\r\n":
                        break
                    letter += text[1:] if text.startswith(b".") else text
                with smtplib.SMTP("127.0.0.1", self.server.back, timeout=20) as s:
                    s.sendmail(sender, to, b"X-Filtered: yes\r\n" + letter)
                self.server.seen.append((sender, tuple(to)))
                say(b"250 2.0.0 given on")
                sender, to = "", []
                continue
            elif verb.upper() == b"QUIT":
                say(b"221 bye")
                return
            say(b"250 ok")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@pytest.fixture
def filtered():
    server = Server(("127.0.0.1", 0), Filter)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    house = Scanned("", content_filter=f"smtp:[127.0.0.1]:{server.server_address[1]}",
                    header_checks="pcre:{ {/^X-Filtered:/ REJECT twice}, {/^X-Way: (.*)/ FILTER $1} }",
                    virtual_alias_maps="inline:{ {alias@here.example = u@here.example} }", virtual_alias_domains="",
                    **{"submission/content_filter": "", "submission/smtpd_tls_security_level": "may", "submission/smtpd_sasl_auth_required": "no",
                       "submission/receive_override_options": "no_header_body_checks, no_unknown_recipient_checks, no_milters"})
    server.back = house.ports["submission"]
    with house:
        yield house, server
    server.shutdown()
    server.server_close()


def test_R174_a_letter_goes_to_the_filter_and_comes_back(filtered):
    house, server = filtered
    assert house.post(b"Subject: x\r\n\r\nx\r\n").startswith("250")
    got = wait_for(house.letters)
    assert b"X-Filtered: yes\r\n" in got[0] and server.seen == [("a@example.org", ("u@here.example",))]


def test_R136_a_listener_of_any_name_takes_what_the_filter_gives_back():
    """As a master.cf has it: 127.0.0.1:10026 inet ... smtpd -o content_filter= -o receive_override_options=..."""
    server = Server(("127.0.0.1", 0), Filter)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    [server.back, extra] = free_ports(2)
    house = Scanned("", content_filter=f"smtp:[127.0.0.1]:{server.server_address[1]}", listeners="reinject, second.mx",
                    header_checks="pcre:{ {/^X-Filtered:/ REJECT twice} }",
                    **{"reinject/listener_service": "smtp", "reinject/listener_address": f"127.0.0.1:{server.back}", "reinject/content_filter": "",
                       "reinject/receive_override_options": "no_header_body_checks, no_unknown_recipient_checks, no_milters",
                       "reinject/smtpd_client_restrictions": "permit_mynetworks, reject", "reinject/mynetworks": "127.0.0.0/8",
                       "second.mx/listener_service": "submission", "second.mx/listener_address": f"127.0.0.1:{extra}",
                       "second.mx/syslog_name": "postfix/second", "second.mx/smtpd_banner": "second"})
    try:
        with house:
            assert house.post(b"Subject: x\r\n\r\nx\r\n").startswith("250")
            got = wait_for(house.letters)
            assert b"X-Filtered: yes\r\n" in got[0] and len(server.seen) == 1
            assert house.count("mansio/reinject/smtpd[") > 0
            with socket.create_connection(("127.0.0.1", extra), timeout=20) as c:
                assert c.recv(200).startswith(b"220 second")
                c.sendall(b"EHLO x\r\n")
                assert b"STARTTLS" in c.recv(2000)
                c.sendall(b"MAIL FROM:<a@b.example>\r\n")
                assert c.recv(200).startswith(b"530")
            wait_for(lambda: house.count("postfix/second/smtpd[") > 0)
            assert "reinject   inet" in house.command("postconf", "-M").stdout
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("lines, said", [
    ({"listeners": "smtp"}, "is there already"),
    ({"listeners": "Up"}, "is no name"),
    ({"listeners": "a a", "a/listener_service": "smtp", "a/listener_address": "127.0.0.1:1"}, "twice"),
    ({"listeners": "a", "a/listener_address": "127.0.0.1:1"}, "a speaks nothing"),
    ({"listeners": "a", "a/listener_service": "smtp"}, "a listens nowhere"),
    ({"listeners": "a", "a/listener_service": "uucp"}, "uucp"),
    ({"listeners": "a", "a/listener_service": "smtp", "a/listener_address": "here"}, "where nobody can"),
    ({"a/listener_service": "smtp"}, "there is no such listener"),
    ({"listener_service": "smtp"}, "for one listener"),
])
def test_names_of_listeners_are_looked_at(lines, said):
    house = House(**lines)
    try:
        done = house.command("config", "check", check=False)
        assert done.returncode != 0 and said in done.stdout + done.stderr
    finally:
        house.close()


def test_aliases_are_for_the_way_back(filtered):
    house, server = filtered
    assert send(house.ports["smtp"], b"Subject: x\r\n\r\nx\r\n", to=("alias@here.example",)).startswith("250")
    wait_for(house.letters)
    assert server.seen == [("a@example.org", ("alias@here.example",))]


def test_override_options_are_looked_at():
    with House() as house:
        house.write_settings(receive_override_options="no_such_thing")
        done = house.command("config", "check", check=False)
        assert done.returncode != 0 and "no_unknown_recipient_checks" in done.stdout + done.stderr
        house.write_settings(receive_override_options="", content_filter="scan")
        done = house.command("config", "check", check=False)
        assert done.returncode != 0 and "smtp:[127.0.0.1]:10025" in done.stdout + done.stderr
        house.write_settings(content_filter="", header_checks="pgsql:/etc/nothing.cf")
        done = house.command("config", "check", check=False)
        assert done.returncode != 0 and "/etc/nothing.cf" in done.stdout + done.stderr


def test_unknown_recipients_are_taken_when_nobody_looks():
    with Scanned("", receive_override_options="no_unknown_recipient_checks") as house:
        assert send(house.ports["smtp"], b"Subject: x\r\n\r\nx\r\n", to=("nobody@here.example",)).startswith("250")


def test_virtual_aliases_are_not_for_letters_taken_as_they_are():
    maps = "inline:{ {alias@here.example = u@here.example} }"
    with Scanned("", virtual_alias_maps=maps, virtual_alias_domains="", **{"lmtp/receive_override_options": "no_address_mappings"}) as house:
        with smtplib.LMTP("127.0.0.1", house.ports["lmtp"]) as s:
            s.sendmail("", ["alias@here.example"], b"Subject: as written\r\n\r\nx\r\n")
        wait_for(lambda: house.count(": removed") == 1)
        assert house.letters() == []
        assert send(house.ports["smtp"], b"Subject: mapped\r\n\r\nx\r\n", to=("alias@here.example",)).startswith("250")
        assert b"mapped" in wait_for(house.letters)[0]


def test_a_table_that_changes_is_taken_up(tmp_path):
    os.chmod(tmp_path, 0o755)
    table = tmp_path / "checks"
    table.write_text("/^Subject: one/ REJECT one\n")
    with Scanned("", header_checks=f"regexp:{table}") as house:
        assert house.post(b"Subject: one\r\n\r\nx\r\n") == "550 5.7.1 one"
        assert house.post(b"Subject: two\r\n\r\nx\r\n").startswith("250")
        table.write_text("/^Subject: two/ REJECT two\n")
        wait_for(lambda: house.post(b"Subject: two\r\n\r\nx\r\n") == "550 5.7.1 two")
        table.write_text("/^Subject: (/ REJECT broken\n")
        wait_for(lambda: "not taken over" in house.text())
        assert house.post(b"Subject: two\r\n\r\nx\r\n") == "550 5.7.1 two"


def test_the_address_of_a_user_can_be_hidden():
    hide = r"pcre:{ {/^Received: from .*\s+by (\S+) .* with (\w+) id (\w+)/ REPLACE Received: by $$1 with $$2 id $$3} }"
    with Scanned("", header_checks=hide) as house:
        reply = house.post(b"Subject: x\r\n\r\nx\r\n")
        got = wait_for(house.letters)[0]
        assert f"Received: by mail.example.com with ESMTP id {reply.split()[-1]}\r\n".encode() in got
        assert b"127.0.0.1" not in got


def test_a_pattern_that_costs_too_much_puts_the_letter_off_and_nobody_else():
    with Scanned("", body_checks="pcre:{ {/^(a+)+$$/ REJECT a} }") as house:
        assert house.post(b"Subject: x\r\n\r\n" + b"a" * 1000 + b"b\r\n").startswith("451")
        assert house.post(b"Subject: x\r\n\r\naaaa\r\n") == "550 5.7.1 a"
        assert house.post(b"Subject: x\r\n\r\nb\r\n").startswith("250")
        assert all(p["restarts"] == 0 for p in house.status() if p.get("role", "").startswith("verifier") and "restarts" in p)


def test_a_large_letter_is_edited_on_the_disk():
    with Scanned("", header_checks="pcre:{ {/^X-Gone:/ IGNORE}, {/^Subject:/ PREPEND X-New: 1} }", body_checks="pcre:{ {/^drop/ IGNORE} }") as house:
        lines = b"0123456789abcdef\r\n" * 60000
        assert house.post(b"X-Gone: 1\r\nSubject: large\r\n\r\ndrop me\r\n" + lines).startswith("250")
        got = wait_for(house.letters)[0]
        assert got.endswith(b"X-New: 1\r\nSubject: large\r\n\r\n" + lines) and b"X-Gone" not in got


def test_missing_fields_of_strangers_are_added_when_asked():
    with Scanned("") as house:
        assert house.post(b"Subject: x\r\nBcc: secret@example.org\r\nContent-Length: 7\r\n\r\nx\r\n").startswith("250")
        got = wait_for(house.letters)[0]
        assert b"\r\nDate: " not in got and b"Bcc" not in got and b"Content-Length" not in got
        house.write_settings(always_add_missing_headers="yes", message_drop_headers="x-own")
        house.command("reload")
        assert house.post(b"Subject: y\r\nBcc: kept@example.org\r\nX-Own: 1\r\n 2\r\n\r\nx\r\n").startswith("250")
        got = wait_for(lambda: len(l := house.letters()) == 2 and [m for m in l if b"Subject: y" in m])[0]
        assert b"\r\nDate: " in got and b"\r\nMessage-ID: <" in got and b"From: <a@example.org>" in got
        assert b"Bcc: kept" in got and b"X-Own" not in got


def submit(house, letter):
    with smtplib.SMTP("127.0.0.1", house.ports["submission"], timeout=20) as s:
        s.starttls(context=ssl_context())
        s.login("u@here.example", "secret-of-theirs")
        try:
            s.sendmail("u@here.example", ["u@here.example"], letter)
        except smtplib.SMTPDataError as no:
            return f"{no.smtp_code} {no.smtp_error.decode()}"
        return "250"


def test_R23_every_author_is_looked_at():
    """rfc5322:3.6.2 lets a letter have several; and some letters have several From fields."""
    with Scanned("", **{"submission/smtpd_header_from_check": "reject"}) as house:
        for mine in (b"From: u@here.example", b"From: U <u@here.example>, (me) u+x@here.example", b"From: Us: u@here.example, U <U@HERE.example>;",
                     b"From: u@here.example <u@here.example>", b'From: "boss@here.example" <u@here.example> (of boss@here.example)', b"From: =?utf-8?q?boss@here.example?= <u@here.example>",
                     b"From: <@here.example,@else.example:u@here.example>"):
            assert submit(house, mine + b"\r\nSubject: own\r\n\r\nx\r\n") == "250", mine
        for other in (b"From: u@here.example, boss@here.example", b"From: boss@here.example,\r\n u@here.example", b"From: u@here.example\r\nFrom: boss@here.example",
                      b"From: Us: u@here.example, boss@here.example;", b'From: "boss@here.example"', b"From: undisclosed:;",
                      b"From: <u@here.example> <boss@here.example>", b"From: <boss@here.example> <u@here.example>", b"From: boss@here.example <u@here.example>",
                      b"From: u@here.example\rFrom: boss@here.example", b"From: u@here.example boss@here.example", b"From: U <u@here.example> (x) boss@here.example",
                      b"From: u@here.example (never ends boss@here.example\r\nFrom: boss@here.example",
                      b"From: " + b", ".join(b"a%d@here.example" % n for n in range(60))):
            assert submit(house, other + b"\r\nSubject: other\r\n\r\nx\r\n").startswith("553 5.7.1"), other
        house.write_settings(**{"submission/smtpd_header_from_check": "rewrite"})
        house.command("reload")
        wait_for(lambda: submit(house, b"From: Boss <boss@here.example>,\r\n U <u@here.example>, c@else.example\r\nFrom: d@else.example\r\nSubject: mended\r\n\r\nx\r\n") == "250")
        assert submit(house, b"From: <u@here.example> <boss@here.example>\r\nSubject: one of two\r\n\r\nx\r\n") == "250"
        got = wait_for(lambda: [m for m in house.letters() if b"one of two" in m])[0]
        assert b"boss" not in got, got
        got = wait_for(lambda: [m for m in house.letters() if b"mended" in m])[0]
        assert b"From: Boss <u@here.example>,\r\n U <u@here.example>, u@here.example\r\nFrom: u@here.example\r\n" in got, got


def test_R23_the_author_of_a_submitted_letter_is_its_user():
    with Scanned("", **{"submission/smtpd_header_from_check": "reject"}) as house:
        assert submit(house, b"From: <u@here.example>\r\nSubject: own\r\n\r\nx\r\n") == "250"
        assert submit(house, b"Subject: none\r\n\r\nx\r\n") == "250"
        assert submit(house, b"From: Boss <boss@here.example>\r\nSubject: other\r\n\r\nx\r\n").startswith("553 5.7.1")
        assert house.post(b"From: boss@elsewhere.example\r\nSubject: stranger\r\n\r\nx\r\n").startswith("250")
        house.write_settings(**{"submission/smtpd_header_from_check": "rewrite"})
        house.command("reload")
        filling = b"0123456789abcdef\r\n" * 40000
        wait_for(lambda: submit(house, b"From: boss@here.example\r\nSubject: new settings\r\n\r\nx\r\n") == "250")
        assert submit(house, b"To: x@y.example\r\nFrom: \"boss@here.example\"\r\n <boss@here.example>\r\nSubject: other\r\n\r\nx\r\n") == "250"
        assert submit(house, b"From: boss@here.example\r\nSubject: large\r\n\r\n" + filling) == "250"
        got = wait_for(lambda: len(l := house.letters()) == 6 and l)
        one = [m for m in got if b"Subject: other" in m][0]
        assert b"From: \"boss@here.example\"\r\n <u@here.example>\r\n" in one
        assert b"From: u@here.example\r\nSubject: large\r\n\r\n" + filling in [m for m in got if b"large" in m][0]
