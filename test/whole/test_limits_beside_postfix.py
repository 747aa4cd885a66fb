# SPDX-License-Identifier: ISC
"""What one client may ask, and how much of it, in Debian's Postfix and here: connections, letters, recipients, logins, handshakes,
mistakes, idle commands, sizes, time.  Each case is a service of its own on both sides, so none counts for another."""

import contextlib
import os
import pathlib
import shutil
import socket
import ssl

import pytest
from beside import Postfix, plain, settings_for, tables_of
from house import House, make_certificate
from ports import free_ports

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

HELLO = "EHLO test.example"
MAIL = "MAIL FROM:<a@x.example>"
RCPT = "RCPT TO:<u@here.example>"
SHAKE, AGAIN = object(), object()       # the handshake; the same, going on with the session before
EXCEPTED = {"smtpd_client_event_limit_exceptions": "127.0.0.0/8"}
LISTENERS = 20          # of one house; it may have some more
OPEN, CLOSED = True, False      # whether a connection stays while the next come


def one(*said):
    return [(CLOSED, said)]


LETTER = [HELLO, MAIL, RCPT, "DATA"]
# Settings, and connections: what each says, in pieces that are sent as they stand, and whether it stays open.
CASES = {
    "connections at once": ({"smtpd_client_connection_count_limit": "2"}, [(OPEN, ["NOOP"])] * 2 + [(CLOSED, [])]),
    "no more connections than left": ({"smtpd_client_connection_count_limit": "2"}, [(CLOSED, ["QUIT"])] * 4),
    "connections of who is excepted": ({"smtpd_client_connection_count_limit": "1", **EXCEPTED}, [(OPEN, ["NOOP"])] * 3),
    "new connections": ({"smtpd_client_connection_rate_limit": "2"}, [(CLOSED, ["QUIT"])] * 2 + [(CLOSED, [])]),
    "letters": ({"smtpd_client_message_rate_limit": "2"}, one(HELLO, MAIL, "RSET", MAIL, "RSET", MAIL, "RSET", "NOOP")),
    "letters in two sessions": ({"smtpd_client_message_rate_limit": "1"}, one(HELLO, MAIL) + one(HELLO, MAIL)),
    "letters that were refused": ({"smtpd_client_message_rate_limit": "2", "smtpd_sender_restrictions": "reject", "smtpd_delay_reject": "no"},
                                  one(HELLO, MAIL, MAIL, MAIL)),
    "letters of who is excepted": ({"smtpd_client_message_rate_limit": "1", **EXCEPTED}, one(HELLO, MAIL, "RSET", MAIL)),
    "recipients": ({"smtpd_client_recipient_rate_limit": "2"}, one(HELLO, MAIL, RCPT, RCPT, RCPT, "RSET")),
    "recipients nobody is": ({"smtpd_client_recipient_rate_limit": "2"}, one(HELLO, MAIL, "RCPT TO:<none@here.example>", RCPT, RCPT)),
    "logins": ({"smtpd_client_auth_rate_limit": "1", "smtpd_sasl_auth_enable": "yes", "smtpd_tls_auth_only": "no"},
               one(HELLO, "AUTH PLAIN", "*", "AUTH PLAIN")),
    "handshakes": ({"smtpd_client_new_tls_session_rate_limit": "1"},
                   one(HELLO, "STARTTLS", SHAKE, HELLO) + one(HELLO, "STARTTLS", SHAKE, None) + one(HELLO, "STARTTLS", "NOOP")),
    "handshakes before all": ({"smtpd_client_new_tls_session_rate_limit": "1", "smtpd_tls_wrappermode": "yes"},
                              one(SHAKE, HELLO) + one(SHAKE) + one(SHAKE)),
    "handshakes of old sessions": ({"smtpd_client_new_tls_session_rate_limit": "1"}, one(HELLO, "STARTTLS", AGAIN, HELLO) * 4),
    "mistakes": ({"smtpd_hard_error_limit": "3"}, one("BAD", "BAD", "BAD", "NOOP")),
    "mistakes of several kinds": ({"smtpd_hard_error_limit": "4"}, one(HELLO, "MAIL FROM:<", "RCPT TO:<x>", "BAD", "RCPT TO:<y>")),
    "recipients that are mistakes": ({"smtpd_hard_error_limit": "3"}, one(HELLO, MAIL, *["RCPT TO:<none@here.example>"] * 3)),
    "mistakes do not go with a letter": ({"smtpd_hard_error_limit": "3"}, one(HELLO, "BAD", "RSET", "BAD", "RSET", "BAD")),
    "mistakes before a letter": ({"smtpd_hard_error_limit": "3"}, one(HELLO, "BAD", "BAD", MAIL, RCPT, "DATA", ".", "BAD", "BAD", "NOOP", "BAD", "NOOP")),
    "mistakes in a letter": ({"smtpd_hard_error_limit": "3"}, one(HELLO, MAIL, "BAD", "RCPT TO:<none@here.example>", RCPT, "DATA", ".", MAIL, "BAD", "BAD", RCPT, "BAD")),
    "idle commands": ({"smtpd_junk_command_limit": "2", "smtpd_hard_error_limit": "3"}, one(HELLO, *["NOOP"] * 7)),
    "idle commands of several kinds": ({"smtpd_junk_command_limit": "2", "smtpd_hard_error_limit": "3"},
                                       one(HELLO, "RSET", "VRFY u@here.example", "NOOP", "RSET", "NOOP", "RSET")),
    "hello is no idle command": ({"smtpd_junk_command_limit": "1", "smtpd_hard_error_limit": "2"}, one(*[HELLO] * 6)),
    "a letter begins the count anew": ({"smtpd_junk_command_limit": "2", "smtpd_hard_error_limit": "2"},
                                       one(HELLO, "NOOP", "NOOP", MAIL, RCPT, "DATA", ".", "NOOP", "NOOP", "NOOP", "NOOP", "NOOP")),
    "a size that is told": ({"message_size_limit": "2000"}, one(HELLO, MAIL + " SIZE=2001", MAIL + " SIZE=2000")),
    "a size that is not": ({"message_size_limit": "2000"}, one(*LETTER, "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 40 + ".", "NOOP")),
    "a half command": ({"smtpd_timeout": "2s"}, [(CLOSED, [HELLO, b"MAIL FRO", None])]),
    "silence": ({"smtpd_timeout": "2s"}, [(CLOSED, [None])]),
    "silence in a letter": ({"smtpd_timeout": "2s"}, [(CLOSED, [*LETTER, b"Subject: x\r\n", None])]),
    "more than was asked": ({"smtpd_forbid_unauth_pipelining": "yes"}, one(HELLO + "\r\n" + MAIL)),
    **{f"more than was asked, {what}": ({"smtpd_forbid_unauth_pipelining": "yes", **more}, one(*said, *[None] * said[-1].count("\r\n")))
       for what, more, said in (("by HELO", {}, ["HELO test.example", MAIL + "\r\n" + RCPT]), ("before hello", {}, ["NOOP\r\nNOOP"]), ("no word at all", {}, [HELLO, "BAD\r\nRSET"]),
                                ("one by one", {}, ["HELO test.example", MAIL, RCPT, "RSET"]), ("by who is excepted", EXCEPTED, [HELLO, MAIL, RCPT, "DATA\r\n."]),
                                ("in one piece", {}, [HELLO, MAIL + "\r\n" + RCPT + "\r\nRSET\r\n" + MAIL]), ("NOOP in one piece", {}, [HELLO, "NOOP\r\nNOOP"]),
                                ("VRFY in one piece", {}, [HELLO, "VRFY u@here.example\r\nNOOP"]))},
    "a letter behind its DATA": ({"smtpd_forbid_unauth_pipelining": "yes"}, [(CLOSED, [HELLO, MAIL, RCPT, b"DATA\r\nSubject: x\r\n\r\nx\r\n.\r\n", None])]),
}


class Client:
    def __init__(self, port, sessions, wrapped=False):
        self.sessions, self.wrapped = sessions, wrapped
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.file = self.sock.makefile("rb")
        self.heard = [] if wrapped else [self.reply()]

    def reply(self):
        try:
            while True:
                line = self.file.readline().decode()
                if line[3:4] != "-":
                    return plain(line.rstrip("\r\n"))
        except ConnectionError:
            return ""

    def say(self, said):
        if said in (SHAKE, AGAIN):
            return self.shake(said is AGAIN)
        try:
            if isinstance(said, bytes):
                self.sock.sendall(said)
            elif said is not None:
                self.sock.sendall(said.encode() + b"\r\n")
        except ConnectionError:
            pass
        if not isinstance(said, bytes):
            self.heard.append(self.reply())


    def shake(self, again):
        """TLS 1.2, whose tickets come within the handshake."""
        if not self.sessions:
            self.sessions.append(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
            self.sessions[0].check_hostname, self.sessions[0].verify_mode = False, ssl.CERT_NONE
            self.sessions[0].maximum_version = ssl.TLSVersion.TLSv1_2
        try:
            self.sock = self.sessions[0].wrap_socket(self.sock, session=self.sessions[1] if again and len(self.sessions) > 1 else None)
            self.sessions[1:] = [self.sock.session]
            self.file = self.sock.makefile("rb")
        except OSError:
            self.heard.append("no handshake")
            return
        if self.wrapped:
            self.heard.append(self.reply())


def all_of(port, connections, wrapped=False):
    """Every reply, connection by connection; "" is the end."""
    heard, held, sessions = [], [], []
    for stays, said in connections:
        client = Client(port, sessions, wrapped)
        for piece in said:
            client.say(piece)
        heard.append(client.heard)
        if stays:
            held.append(client)
        else:
            if "QUIT" in said:
                client.reply()      # the end: it does not count any more
            client.sock.close()
    for client in held:
        client.sock.close()
    return heard


@pytest.fixture(scope="module")
def both():
    with tables_of({"aliases": "u: u@far.example\npostmaster: p@far.example\n"}) as tables:
        settings = dict(line.split(" =", 1) for line in settings_for(tables).strip().split("\n"))
        settings = {name: value.strip() for name, value in settings.items()}
        settings |= {"smtpd_relay_restrictions": "reject_unauth_destination", "smtpd_error_sleep_time": "0"}
        cert, key = make_certificate(pathlib.Path(tables), "mail.example.com")
        certificate = {"smtpd_tls_cert_file": cert, "smtpd_tls_key_file": key}
        # Postfix limits nobody who may say XCLIENT.
        more = "smtpd_authorized_xclient_hosts =\n" + "".join(f"{n} = {v}\n" for n, v in certificate.items()) + "smtpd_relay_restrictions = reject_unauth_destination\nsmtpd_error_sleep_time = 0\n"
        more += "smtpd_tls_security_level = may\n"
        postfix = Postfix(tables, CASES, more)
        ports = dict(zip(CASES, free_ports(len(CASES))))
        cases = list(CASES)
        try:
            with contextlib.ExitStack() as houses:
                for at in range(0, len(cases), LISTENERS):
                    houses.enter_context(street(settings, {case: ports[case] for case in cases[at:at + LISTENERS]}))
                yield postfix, ports
        finally:
            postfix.close()


@contextlib.contextmanager
def street(settings, ports):
    """A listener for each case."""
    names = {case: f"case{i}" for i, case in enumerate(ports)}
    house = House(**settings | {"smtpd_authorized_xclient_hosts": ""}, smtpd_tls_security_level="may", smtpd_client_event_limit_exceptions="$mynetworks", listeners=" ".join(names.values()))
    with open(house.config, "a") as f:
        for case, name in names.items():
            f.write(f"{name}/listener_service = smtp\n{name}/listener_address = 127.0.0.1:{ports[case]}\n")
            f.write("".join(f"{name}/{n} = {v}\n" for n, v in CASES[case][0].items()))
    with house:
        house.at_work()
        yield house


@pytest.mark.parametrize("case", CASES)
def test_limits_are_those_of_postfix(both, case):
    postfix, ports = both
    settings, connections = CASES[case]
    theirs, ours = (all_of(port, connections, "smtpd_tls_wrappermode" in settings) for port in (postfix.ports[case], ports[case]))
    assert ours == theirs
