# SPDX-License-Identifier: ISC
"""Tables that a session looks into, kept by a database: lists of clients, what EHLO tells of whom, lines instead of lines,
ETRN.  They are asked before they are looked into; who cannot be told of is trusted with nothing, and comes in all the same."""

import os
import shutil
import smtplib
import subprocess

import pytest
from elsewhere import Program
from house import BINARY, House, free_ports, unnamed, wait_for
from test_sending import Receiver

FROM = "127.0.0.9"
ANSWER = b"DENY"


def talk(h, *lines, source=FROM):
    """What is answered to each line."""
    with smtplib.SMTP("127.0.0.1", h.ports["smtp"], timeout=60, source_address=(source, 0), local_hostname="client.example") as s:
        return [s.docmd(line) for line in lines]


def relays(h):
    return talk(h, "EHLO x.example", "MAIL FROM:<a@x.example>", "RCPT TO:<b@far.example>")[2][0] == 250


class Client:
    """What a list has: the setting, what else is to be set, and a question that tells whether this client is in it."""

    def __init__(self, name, told, **more):
        self.name, self.told, self.more = name, told, more


LISTS = [
    Client("mynetworks", relays),
    Client("smtpd_authorized_xclient_hosts", lambda h: b"XCLIENT" in talk(h, "EHLO x.example")[0][1]),
    Client("smtpd_authorized_xforward_hosts", lambda h: b"XFORWARD" in talk(h, "EHLO x.example")[0][1]),
    Client("smtpd_authorized_verp_clients", lambda h: b"XVERP" in talk(h, "EHLO x.example")[0][1]),
    Client("smtpd_discard_ehlo_keyword_address_maps", lambda h: b"SIZE" not in talk(h, "EHLO x.example")[0][1]),
    Client("smtpd_sasl_exceptions_networks", lambda h: b"AUTH" not in talk(h, "EHLO x.example")[0][1], smtpd_sasl_auth_enable="yes",
           smtpd_tls_auth_only="no", smtpd_sasl_security_options="noanonymous"),
    Client("smtpd_client_event_limit_exceptions",
           lambda h: [talk(h, "EHLO x.example", "MAIL FROM:<a@x.example>")[1][0] for _ in range(3)] == [250] * 3, smtpd_client_message_rate_limit="1"),
]


def house_of(client, port):
    more = {"mynetworks": "192.0.2.1", "relayhost": "[127.0.0.1]:1", **client.more}
    return House(**{**more, client.name: f"socketmap:inet:127.0.0.1:{port}:x"})


@pytest.mark.parametrize("client", LISTS, ids=[c.name for c in LISTS])
def test_R199_a_list_of_clients_may_be_in_a_database(client):
    program = Program({FROM.encode(): b"SIZE" if "keyword" in client.name else b"yes"}, "socketmap")
    try:
        with house_of(client, program.port) as h:
            assert client.told(h), client.name
            assert FROM.encode() in program.asked
            program.values = {}
            wait_for(lambda: not client.told(h), 60)
    finally:
        program.close()


@pytest.mark.parametrize("client", LISTS, ids=[c.name for c in LISTS])
def test_R402_who_cannot_be_told_of_is_not_in_the_list_and_comes_in(client):
    port = free_ports(1)[0]
    with house_of(client, port) as h:
        assert not client.told(h), client.name
        program = Program({FROM.encode(): b"SIZE" if "keyword" in client.name else b"yes"}, "socketmap", port)
        try:
            wait_for(lambda: client.told(h), 60)
        finally:
            program.close()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("postfix"), reason="needs root and Postfix")
def test_R402_whose_place_in_mynetworks_cannot_be_told_is_put_off_as_by_postfix():
    """The database of mynetworks is away: what Postfix says to RCPT, of a stranger's domain and of ours, and of who is named before the table."""
    said = {}
    for name in ("postfix", "ours"):
        for before in ("", "127.0.0.9, "):
            settings = {"mynetworks": f"{before}socketmap:inet:127.0.0.1:{free_ports(1)[0]}:x", "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
                        "smtpd_recipient_restrictions": "", "smtpd_client_event_limit_exceptions": "", "relay_domains": "there.example", "smtpd_peername_lookup": "no"}
            server = Receiver("".join(f"{n} = {v}\n" for n, v in settings.items()) + "default_transport = discard:\n") if name == "postfix" \
                else House(**settings, relayhost="[127.0.0.1]:1")
            with server as s:
                port = s.port if name == "postfix" else s.ports["smtp"]
                with smtplib.SMTP("127.0.0.1", port, timeout=60, source_address=(FROM, 0), local_hostname="client.example") as c:
                    words = [c.docmd(line) for line in ("EHLO x.example", "MAIL FROM:<a@x.example>", "RCPT TO:<b@far.example>", "RCPT TO:<b@there.example>")][2:]
                said.setdefault(name, []).append([(code, unnamed(text.decode()) if b" (P" in text else text.decode()) for code, text in words])
    assert said["ours"] == said["postfix"]
    assert said["ours"][0][0] == (451, "4.3.0 <b@far.example>: Temporary lookup failure")


def test_the_first_that_has_the_client_decides_also_with_a_bang():
    no = Program({FROM.encode(): b"x"}, "socketmap")
    try:
        with House(mynetworks=f"!socketmap:inet:127.0.0.1:{no.port}:x 127.0.0.0/8", relayhost="[127.0.0.1]:1") as h:
            assert not relays(h)
            no.values = {}
            wait_for(lambda: relays(h), 60)
    finally:
        no.close()


def test_xclient_is_another_client_and_asked_for():
    program = Program({b"192.0.2.77": b"yes"}, "socketmap")
    try:
        with House(mynetworks=f"socketmap:inet:127.0.0.1:{program.port}:x", smtpd_authorized_xclient_hosts="127.0.0.0/8", relayhost="[127.0.0.1]:1") as h:
            said = talk(h, "EHLO x.example", "XCLIENT ADDR=192.0.2.77 NAME=c.example", "EHLO y.example", "MAIL FROM:<a@x.example>", "RCPT TO:<b@far.example>")
            assert [code for code, _ in said] == [250, 220, 250, 250, 250]
            said = talk(h, "EHLO x.example", "XCLIENT ADDR=192.0.2.78 NAME=c.example", "EHLO y.example", "MAIL FROM:<a@x.example>", "RCPT TO:<b@far.example>")
            assert said[4][0] == 554 and {b"192.0.2.77", b"192.0.2.78"} <= set(program.asked)
    finally:
        program.close()


def test_lines_of_a_client_become_others_by_a_database():
    """smtpd_command_filter, also of lines that come together: each is answered in its turn."""
    program = Program({b"HELLO there": b"EHLO there.example", b"PING": b"NOOP"}, "socketmap")
    program.delay = 0.02
    try:
        with House(smtpd_command_filter=f"socketmap:inet:127.0.0.1:{program.port}:x") as h:
            said = talk(h, "HELLO there", "PING", "PONG", "NOOP")
            assert [code for code, _ in said] == [250, 250, 500, 250]
            with smtplib.SMTP("127.0.0.1", h.ports["smtp"], timeout=60, local_hostname="c.example") as s:
                s.ehlo("c.example")
                s.send(b"PING\r\n  PING\r\nPONG\r\nMAIL FROM:<a@x.example>\r\nRSET\r\n")
                assert [s.getreply()[0] for _ in range(5)] == [250, 250, 500, 250, 250]
            assert b"PING" in program.asked and b"  PING" not in program.asked
    finally:
        program.close()


def test_words_that_do_nothing_and_words_no_client_says_are_asked_for():
    """smtpd_noop_commands and smtpd_forbidden_commands, also of lines that come together."""
    noops = Program({b"ping": b"x"}, "socketmap")
    forbidden = Program({b"get": b"x"}, "socketmap")
    noops.delay = forbidden.delay = 0.02
    tables = [f"socketmap:inet:127.0.0.1:{p.port}:x" for p in (noops, forbidden)]
    try:
        with House(smtpd_noop_commands=tables[0], smtpd_forbidden_commands=tables[1]) as h:
            with smtplib.SMTP("127.0.0.1", h.ports["smtp"], timeout=60, local_hostname="c.example") as s:
                s.ehlo("c.example")
                s.send(b"Ping all\r\nPONG\r\nMAIL FROM:<a@x.example>\r\nping\r\nRSET\r\nGET / HTTP/1.0\r\nNOOP\r\n")
                assert [s.getreply()[0] for _ in range(6)] == [250, 500, 250, 250, 250, 221]
                assert s.sock.recv(100) == b""
            assert b"ping" in noops.asked and b"mail" in noops.asked and b"Ping" not in noops.asked
            assert forbidden.asked == [b"pong", b"get"]
    finally:
        noops.close()
        forbidden.close()


def test_R402_words_that_cannot_be_asked_for_are_what_they_are_without_a_list():
    port = free_ports(1)[0]
    dead = f"socketmap:inet:127.0.0.1:{port}:x"
    with House(smtpd_noop_commands=dead, smtpd_forbidden_commands=dead) as h:
        assert [code for code, _ in talk(h, "EHLO x.example", "GET / HTTP/1.0", "MAIL FROM:<a@x.example>", "NOOP")] == [250, 500, 250, 250]


def test_etrn_asks_a_database_for_the_domain_and_those_above_it():
    program = Program({b"flush.example": b"x"}, "socketmap")
    try:
        with House(fast_flush_domains=f"socketmap:inet:127.0.0.1:{program.port}:x", mynetworks="127.0.0.0/8") as h:
            said = talk(h, "EHLO x.example", "ETRN flush.example", "ETRN mx.flush.example", "ETRN other.example")
            assert [code for code, _ in said] == [250, 251, 251, 459]
            assert {b"flush.example", b"mx.flush.example", b"example", b"other.example"} <= set(program.asked)
    finally:
        program.close()


def test_a_slow_table_holds_up_its_own_client_alone():
    program = Program({}, "socketmap")
    program.delay = 1
    try:
        with House(smtpd_command_filter=f"socketmap:inet:127.0.0.1:{program.port}:x") as h:
            with smtplib.SMTP("127.0.0.1", h.ports["smtp"], timeout=60, local_hostname="c.example") as one, \
                    smtplib.SMTP("127.0.0.1", h.ports["smtp"], timeout=60, local_hostname="c.example") as two:
                one.send(b"NOOP slow\r\n")
                two.send(b"NOOP too\r\n")
                assert two.getreply()[0] == one.getreply()[0] == 250
    finally:
        program.close()


def test_the_settings_check_takes_them(tmp_path):
    main = tmp_path / "main.cf"
    names = [c.name for c in LISTS] + ["smtpd_authorized_expn_hosts", "smtpd_forbid_bare_newline_exclusions", "postscreen_allow_list", "smtpd_command_filter",
                                       "fast_flush_domains", "relay_clientcerts", "local_header_rewrite_clients", "smtpd_noop_commands", "smtpd_forbidden_commands",
                                       "smtpd_dns_reply_filter"]
    main.write_text("myhostname = mail.example.com\n" + "".join(f"{n} = socketmap:inet:127.0.0.1:1:x\n" for n in names))
    done = subprocess.run([BINARY, "-c", main, "config", "check"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
