# SPDX-License-Identifier: ISC
"""Postfix's smtp-source as the client: many sessions at once, several letters in each, by SMTP and LMTP; every letter arrives.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_smtp_source.py
"""

import imaplib
import shutil
import ssl
import subprocess

import pytest
from house import House, wait_for

SOURCE = shutil.which("smtp-source") or shutil.which("smtp-source", path="/usr/sbin")
pytestmark = pytest.mark.skipif(SOURCE is None, reason="needs smtp-source")
PASSWORD = "secret-enough"


@pytest.fixture(scope="module")
def house():
    with House(dns_resolver="none", smtpd_client_connection_count_limit="0") as h:
        h.command("domain", "add", "example.com")
        h.command("account", "add", "jill@example.com", "--password-file", "-", input=PASSWORD + "\n")
        yield h


def count(h):
    with imaplib.IMAP4_SSL("127.0.0.1", h.ports["imaps"], ssl_context=ssl._create_unverified_context()) as box:
        box.login("jill@example.com", PASSWORD)
        return int(box.select("INBOX", readonly=True)[1][0])


@pytest.mark.parametrize("service, options, letters", [
    ("smtp", ["-s", "20", "-m", "200", "-l", "2000"], 200),            # a connection for each letter
    ("smtp", ["-s", "20", "-m", "200", "-d", "-l", "2000"], 200),      # several in each
    ("smtp", ["-s", "3", "-m", "9", "-d", "-l", "300000"], 9),         # written to the disk as they come
    ("smtp", ["-s", "5", "-m", "50", "-o"], 50),                       # HELO
    ("lmtp", ["-L", "-s", "10", "-m", "100", "-d", "-l", "2000"], 100),
], ids=["one a connection", "many a connection", "large", "helo", "lmtp"])
def test_every_letter_of_smtp_source_arrives(house, service, options, letters):
    before = count(house)
    done = subprocess.run([SOURCE, *options, "-f", "eva@example.org", "-t", "jill@example.com", f"127.0.0.1:{house.ports[service]}"],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and not done.stderr, done.stderr
    wait_for(lambda: count(house) == before + letters, 60)
