# SPDX-License-Identifier: ISC
"""What policy services hear at each moment of a session: the same bytes from Debian's Postfix and from us.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_services_beside_postfix.py
"""

import base64
import os
import pathlib
import shutil
import socket
import ssl
import tempfile

import pytest
from house import House, make_certificate, wait_for
from witness import RECORDS, NameServer, Postfix, Service, own_address

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or any(shutil.which(w) is None for w in ("postfix", "nsd", "unshare")),
                                reason="needs root, Postfix and nsd")

LISTS = ["client", "helo", "sender", "recipient", "data", "end_of_data", "etrn"]
TLS, TLS_CERT = object(), object()
LETTER = b"Subject: x\r\n\r\nHello.\r\n.\r\n"
LOGIN = base64.b64encode(b"\0jack@login.example\0secret-secret").decode()
SESSIONS = {
    "a letter": ["EHLO mail.client.example", "MAIL FROM:<jack@good.example>", "RCPT TO:<jill@vm.example>", "DATA", LETTER],
    "by HELO": ["HELO mail.client.example", "MAIL FROM:<jack@good.example>", "RCPT TO:<jill@vm.example>", "DATA", LETTER],
    "to two": ["EHLO mail.client.example", "MAIL FROM:<jack@good.example> SIZE=1234", "RCPT TO:<jill@vm.example>", "RCPT TO:<jo@vm.example>", "DATA", LETTER],
    "two letters": ["EHLO mail.client.example"] + ["MAIL FROM:<jack@good.example>", "RCPT TO:<jill@vm.example>", "DATA", LETTER] * 2,
    "from nobody": ["EHLO mail.client.example", "MAIL FROM:<>", "RCPT TO:<jill@vm.example>", "DATA", LETTER],
    "forms of addresses": ["EHLO [127.0.0.1]", 'MAIL FROM:<"a@b"@good.example>', "RSET", 'MAIL FROM:<"a b"@good.example>', 'RCPT TO:<"jill"@VM.example>', "RCPT TO:<@a.example:jo@vm.example>",
                           "RCPT TO:<postmaster>", "RCPT TO:<jill+tag@vm.example>", "DATA", LETTER],
    "refused on the way": ["EHLO mail.client.example", "MAIL FROM:<jack@good.example>", "RCPT TO:<x@far.example>", "RCPT TO:<jill@vm.example>", "RSET",
                           "MAIL FROM:<joe@good.example>", "RCPT TO:<jo@vm.example>", "DATA", LETTER],
    "VRFY": ["EHLO mail.client.example", "VRFY jill@vm.example", "VRFY x@far.example", "MAIL FROM:<jack@good.example>"],
    "VRFY before all": ["VRFY jill@vm.example"],
    "ETRN": ["EHLO mail.client.example", "ETRN relay.example", "ETRN far.example"],
    "ETRN in a letter": ["EHLO mail.client.example", "MAIL FROM:<jack@good.example>", "ETRN relay.example"],
    "chunks": ["EHLO mail.client.example", "MAIL FROM:<jack@good.example>", "RCPT TO:<jill@vm.example>", b"BDAT 12\r\nSubject: x\r\n", b"BDAT 6 LAST\r\n\r\nabc\n"],
    "within TLS": ["EHLO mail.client.example", "STARTTLS", TLS, "EHLO mail.client.example", "MAIL FROM:<jack@good.example>", "RCPT TO:<jill@vm.example>", "DATA", LETTER],
    "with a certificate": ["EHLO mail.client.example", "STARTTLS", TLS_CERT, "EHLO mail.client.example", "MAIL FROM:<jack@good.example>", "RCPT TO:<jill@vm.example>"],
    "of a user": ["EHLO mail.client.example", f"AUTH PLAIN {LOGIN}", "MAIL FROM:<jack@login.example> AUTH=ann+40login.example", "RCPT TO:<jill@vm.example>", "DATA", LETTER,
                  "MAIL FROM:<jack@login.example> AUTH=<>", "RCPT TO:<jill@vm.example>"],
    "of another client": ["EHLO proxy.example", "XCLIENT ADDR=192.0.2.77 NAME=far.good.example REVERSE_NAME=other.good.example PORT=4711 HELO=far.example PROTO=SMTP", "EHLO mail.client.example",
                          "MAIL FROM:<jack@good.example>", "RCPT TO:<jill@vm.example>"],
    "of a client of IPv6": ["EHLO proxy.example", "XCLIENT ADDR=IPV6:2001:db8::77 NAME=[UNAVAILABLE]", "EHLO [IPv6:2001:db8::77]",
                            "MAIL FROM:<jack@[IPv6:2001:db8::77]>", "RCPT TO:<jill@vm.example>", "DATA", LETTER],
    "at another door": ["EHLO proxy.example", "XCLIENT ADDR=192.0.2.77 NAME=far.good.example DESTADDR=192.0.2.25 DESTPORT=587", "EHLO mail.client.example",
                        "MAIL FROM:<jack@good.example>", "RCPT TO:<jill@vm.example>", "DATA", LETTER],
    "at another address": ["EHLO proxy.example", "XCLIENT DESTADDR=IPV6:2001:db8::25", "EHLO mail.client.example", "MAIL FROM:<jack@good.example>"],
    "at a door nobody knows": ["EHLO proxy.example", "XCLIENT DESTADDR=[UNAVAILABLE] DESTPORT=[UNAVAILABLE]", "EHLO mail.client.example", "MAIL FROM:<jack@good.example>"],
    "at a door of a client without a port": ["EHLO proxy.example", "XCLIENT PORT=[UNAVAILABLE]", "EHLO mail.client.example", "MAIL FROM:<jack@good.example>"],
    "in other letters": ["EHLO mail.client.example", "MAIL FROM:<j\u00e4ck@good.example> SMTPUTF8", "RCPT TO:<jill@vm.example>", "DATA", LETTER],
}


def said(port, steps, context, certificate):
    """Every reply of the session, by its code."""
    heard = []
    sock = socket.create_connection(("127.0.0.1", port), 20, source_address=("127.0.0.9", 0))
    file = sock.makefile("rb")

    def reply():
        while True:
            line = file.readline().decode()
            if line[3:4] != "-":
                heard.append(line[:3])
                return
    reply()
    for step in steps:
        if step in (TLS, TLS_CERT):
            sock = (certificate if step is TLS_CERT else context).wrap_socket(sock)
            file = sock.makefile("rb")
            continue
        sock.sendall(step if isinstance(step, bytes) else step.encode() + b"\r\n")
        reply()
    sock.sendall(b"QUIT\r\n")
    reply()
    sock.close()
    return heard


@pytest.fixture(scope="module")
def world():
    place = tempfile.mkdtemp(prefix="services-")
    os.chmod(place, 0o755)
    service = Service(lambda r: "action=DUNNO\n\n")
    cert, key = make_certificate(pathlib.Path(place), "client.example")
    with open(f"{place}/mailbox", "w") as f:
        f.write("@vm.example vm/all/\n")
    asks = f"check_policy_service {{ inet:127.0.0.1:{service.port}, policy_context=door }}"
    settings = {
        "myhostname": "mail.here.example", "mydomain": "here.example", "mydestination": "here.example", "mynetworks": "192.0.2.200/32",
        "virtual_mailbox_domains": "vm.example", "virtual_mailbox_maps": f"texthash:{place}/mailbox", "relay_domains": "relay.example",
        "recipient_delimiter": "+", "smtpd_delay_reject": "no", "smtpd_tls_security_level": "may", "smtpd_tls_ask_ccert": "yes",
        "smtpd_tls_CAfile": str(cert), "fast_flush_domains": "", "smtpd_tls_fingerprint_digest": "sha256",
        **{f"smtpd_{name}_restrictions": asks + (", reject_unauth_destination" if name == "recipient" else "") for name in LISTS},
        "smtpd_relay_restrictions": "",
    }
    login = {"smtpd_sasl_auth_enable": "yes", "smtpd_tls_auth_only": "no", "smtpd_sasl_security_options": "noanonymous"}
    server = NameServer(RECORDS, own_address(), 53)
    mine, own = make_certificate(pathlib.Path(place), "mail.here.example")
    plain, certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for c in (plain, certificate):
        c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    certificate.load_cert_chain(cert, key)
    house = House(dns_resolver=f"{server.address}:53", smtpd_authorized_xclient_hosts="127.0.0.0/8", smtpd_client_connection_count_limit="0",
                  auth_socket=f"{place}/auth", auth_socket_mode="0666", **login, **settings)
    postfix = None
    try:
        with house:
            house.at_work()
            house.command("domain", "add", "login.example")
            house.command("account", "add", "jack@login.example", input="secret-secret\n")
            wait_for(lambda: os.path.exists(f"{place}/auth"))
            postfix = Postfix(server.address, {**settings, **login, "smtpd_sasl_type": "dovecot", "smtpd_sasl_path": f"{place}/auth", "smtpd_tls_cert_file": mine,
                                               "smtpd_tls_key_file": own}, services="tlsmgr unix - - n 1000? 1 tlsmgr\n")

            def session(port, name):
                before = len(service.requests)
                codes = said(port, SESSIONS[name], plain, certificate)
                return codes, [lines for lines, _ in service.requests[before:]]
            yield postfix.port, house.ports["smtp"], session
    finally:
        if postfix:
            postfix.close()
        server.close()
        service.close()
        shutil.rmtree(place, ignore_errors=True)


OWN = ("client_port=", "server_port=", "instance=", "queue_id=")


def of_letters(requests):
    """The instances of what is asked at RCPT and later, by the order they come in: which requests are about one letter.  Postfix gives
    MAIL the instance of the session still."""
    seen = {}
    states = ("protocol_state=RCPT", "protocol_state=DATA", "protocol_state=END-OF-MESSAGE")
    return [seen.setdefault(v, len(seen)) for r in requests if r[1] in states for n, _, v in [l.partition("=") for l in r] if n == "instance"]


def said_of_doors(requests, own):
    """server_address and server_port; `own`: the port the client is connected to."""
    return [l.replace(f"_port={own}", "_port=own") for r in requests if r[1] != "protocol_state=CONNECT"
            for l in r if l.startswith(("server_address=", "server_port=", "client_port=unknown"))]


def named(requests):
    """Whether each has a queue_id, and which of them have the same."""
    seen = {}
    return [seen.setdefault(v, len(seen)) if v else None for r in requests for n, _, v in [l.partition("=") for l in r] if n == "queue_id"]


def differences(wanted, heard):
    """At which moment, what Postfix says and what we say, line by line.  Domains come in lower case from us."""
    assert [[l.partition("=")[0] for l in r] for r in heard] == [[l.partition("=")[0] for l in r] for r in wanted]
    return [(i, one[1], one[k], other[k]) for i, (one, other) in enumerate(zip(wanted, heard)) for k in range(len(one))
            if one[k] != other[k] and not one[k].startswith(OWN) and not (one[k].startswith(("sender=", "recipient=")) and one[k].lower() == other[k])]


@pytest.mark.parametrize("name", SESSIONS)
def test_services_hear_the_same_at_every_moment(world, name):
    theirs, ours, session = world
    (codes, wanted), (mine, heard) = session(theirs, name), session(ours, name)

    assert mine == codes
    assert [r[1] for r in heard] == [r[1] for r in wanted]
    assert differences(wanted, heard) == []
    assert of_letters(heard) == of_letters(wanted)
    # A name of the transaction stands for the id, from the first recipient on.
    assert named(heard) == named(wanted)
    if name.startswith("at "):
        assert said_of_doors(heard, ours) == said_of_doors(wanted, theirs)
