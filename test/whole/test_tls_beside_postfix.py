# SPDX-License-Identifier: ISC
"""Versions and ciphers of TLS in Postfix's words, in Debian's Postfix and here: with each line of main.cf the same clients come through.
What is gone here, TLS before 1.2 and what is weak, is gone whatever a line says; that is the only difference."""

import contextlib
import os
import pathlib
import shutil
import socket
import ssl
import warnings

import pytest
from beside import Postfix, settings_for, tables_of
from house import House, make_certificate
from ports import free_ports

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

MAY, MUST = {"smtpd_tls_security_level": "may"}, {"smtpd_tls_security_level": "encrypt"}
CASES = {
    "as it is": MAY,
    "as it is, demanded": MUST,
    "at least 1.2": {**MAY, "smtpd_tls_protocols": ">=TLSv1.2"},
    "at least 1.3": {**MAY, "smtpd_tls_protocols": ">=TLSv1.3"},
    "at most 1.2": {**MAY, "smtpd_tls_protocols": "<=TLSv1.2"},
    "from to": {**MAY, "smtpd_tls_protocols": ">=TLSv1.2, <=TLSv1.2"},
    "in hex": {**MAY, "smtpd_tls_protocols": ">=0304"},
    "not the old": {**MAY, "smtpd_tls_protocols": "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"},
    "not 1.3": {**MAY, "smtpd_tls_protocols": "!TLSv1.3"},
    "not 1.2": {**MAY, "smtpd_tls_protocols": "!TLSv1.2"},
    "one alone": {**MAY, "smtpd_tls_protocols": "TLSv1.2"},
    "by colons": {**MAY, "smtpd_tls_protocols": "!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.2"},
    "the other level's": {**MAY, "smtpd_tls_mandatory_protocols": ">=TLSv1.3"},
    "demanded, its own": {**MUST, "smtpd_tls_mandatory_protocols": ">=TLSv1.3", "smtpd_tls_protocols": ">=TLSv1"},
    "high": {**MAY, "smtpd_tls_ciphers": "high"},
    "medium": {**MAY, "smtpd_tls_ciphers": "medium"},
    "demanded high": {**MUST, "smtpd_tls_mandatory_ciphers": "high"},
    "without some": {**MAY, "smtpd_tls_exclude_ciphers": "AES256, aRSA"},
    "without some, demanded": {**MUST, "smtpd_tls_mandatory_exclude_ciphers": "CHACHA20", "smtpd_tls_exclude_ciphers": "AES128"},
    "without some, not demanded": {**MAY, "smtpd_tls_mandatory_exclude_ciphers": "CHACHA20"},
    "a list of one's own": {**MAY, "smtpd_tls_ciphers": "high", "tls_high_cipherlist": "ECDHE+CHACHA20"},
    "the server's order": {**MAY, "tls_preempt_cipherlist": "yes", "smtpd_tls_ciphers": "high", "tls_high_cipherlist": "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"},
    "the client's order": {**MAY, "tls_preempt_cipherlist": "no", "smtpd_tls_ciphers": "high", "tls_high_cipherlist": "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"},
}
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
# A client: versions from and to, and ciphers of 1.2.
CLIENTS = {
    "any": (V12, V13, None),
    "1.2": (V12, V12, None),
    "1.3": (V13, V13, None),
    "AES128": (V12, V12, "ECDHE-RSA-AES128-GCM-SHA256"),
    "AES256": (V12, V12, "ECDHE-RSA-AES256-GCM-SHA384"),
    "CHACHA20": (V12, V12, "ECDHE-RSA-CHACHA20-POLY1305"),
    "128 first": (V12, V12, "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"),
}
LISTENERS = 20


def shaken(port, client):
    """The version and cipher, or None."""
    low, high, ciphers = CLIENTS[client]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.minimum_version, context.maximum_version = low, high
    if ciphers:
        context.set_ciphers(ciphers)
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        file = s.makefile("rb")
        for line in (None, b"EHLO x.example\r\n", b"STARTTLS\r\n"):
            if line:
                s.sendall(line)
            while (said := file.readline())[3:4] == b"-":
                pass
        assert said.startswith(b"220"), said
        try:
            with context.wrap_socket(s) as t:
                t.sendall(b"NOOP\r\n")
                return (t.version(), t.cipher()[0]) if t.recv(3) else None
        except OSError:
            return None


@pytest.fixture(scope="module")
def both():
    with tables_of({"aliases": "u: u@far.example\n"}) as tables, contextlib.ExitStack() as houses:
        cert, key = make_certificate(pathlib.Path(tables), "mail.example.com", ("rsa:2048",))
        settings = {name: value.strip() for name, value in (line.split(" =", 1) for line in settings_for(tables).strip().split("\n"))}
        settings |= {"smtpd_tls_cert_file": str(cert), "smtpd_tls_key_file": str(key), "smtpd_authorized_xclient_hosts": "",
                     "tls_preempt_cipherlist": "no",          # our standard is the server's order
                     "smtpd_client_connection_count_limit": "0"}
        postfix = Postfix(tables, {case: (of, []) for case, of in CASES.items()}, "".join(f"{n} = {v}\n" for n, v in settings.items()))
        houses.callback(postfix.close)
        ports = dict(zip(CASES, free_ports(len(CASES))))
        for at in range(0, len(CASES), LISTENERS):
            cases = list(CASES)[at:at + LISTENERS]
            names = {case: f"case{i}" for i, case in enumerate(cases)}
            house = House(**settings, smtpd_relay_restrictions="reject_unauth_destination", listeners=" ".join(names.values()))
            with open(house.config, "a") as f:
                for case, name in names.items():
                    f.write(f"{name}/listener_service = smtp\n{name}/listener_address = 127.0.0.1:{ports[case]}\n")
                    f.write("".join(f"{name}/{n} = {v}\n" for n, v in CASES[case].items()))
            houses.enter_context(house)
            house.at_work()
        yield postfix, ports


@pytest.mark.parametrize("case", CASES)
def test_who_comes_through_is_who_comes_through_with_postfix(both, case):
    postfix, ports = both
    ours, theirs = ({client: shaken(port, client) for client in CLIENTS} for port in (ports[case], postfix.ports[case]))
    assert ours == theirs
