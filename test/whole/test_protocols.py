# SPDX-License-Identifier: ISC
"""Which protocols are spoken, on which listeners, and when TLS is asked for.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_protocols.py
"""

import imaplib
import pathlib
import poplib
import re
import socket
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import BINARY, PATIENCE, SERVICES, wait_for
from test_roles import PASSWORD, Village, trusting


def open_doors(house):
    doors = set()
    for service in SERVICES:
        try:
            socket.create_connection(("127.0.0.1", house.ports[service]), timeout=PATIENCE).close()
            doors.add(service)
        except OSError:
            pass
    return doors


def reload(house, **changes):
    before = house.count("reload")
    house.write_settings(**changes)
    house.command("reload")
    wait_for(lambda: house.count("reload") > before)


SMTP = {"smtp", "submission", "submissions"}


@pytest.mark.parametrize("protocols, doors", [
    ("imap", {"imap", "imaps"}),
    ("pop3 lmtp", {"pop3", "pop3s", "lmtp"}),
    ("none", set()),
])
def test_protocols_are_spoken_one_by_one(protocols, doors):
    with Village("jack", protocols=protocols) as house:
        assert open_doors(house) == doors | SMTP
        reload(house, protocols="imap pop3 lmtp")
        wait_for(lambda: open_doors(house) == set(SERVICES))
        reload(house, protocols=protocols)
        wait_for(lambda: open_doors(house) == doors | SMTP)


def test_the_clear_listener_may_be_off_while_the_other_stays():
    with Village("jack", listen_imap="", listen_pop3="", listen_submission="") as house:
        assert open_doors(house) == {"smtp", "submissions", "lmtp", "imaps", "pop3s"}
        house.imap().logout()


def test_an_unknown_protocol_is_named():
    with Village("jack") as house:
        house.write_settings(protocols="imap finger")
        done = house.command("config", "check", check=False)
        assert done.returncode == 1 and "protocols = finger: write imap, pop3, lmtp, or none alone" in done.stderr


def clear_imap(house):
    return imaplib.IMAP4("127.0.0.1", house.ports["imap"], timeout=PATIENCE)


def test_ssl_required_lets_nobody_in_without_tls():
    with Village("jack", ssl="required", disable_plaintext_auth="no") as house:
        box = clear_imap(house)
        assert "LOGINDISABLED" in box.capabilities and not [c for c in box.capabilities if c.startswith("AUTH=")]
        with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
            box.login("jack@example.com", PASSWORD)
        with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
            box.authenticate("SCRAM-SHA-256", lambda _: b"n,,n=jack@example.com,r=abc")
        drop = poplib.POP3("127.0.0.1", house.ports["pop3"], timeout=PATIENCE)
        with pytest.raises(poplib.error_proto):
            drop.user("jack@example.com")
            drop.pass_(PASSWORD)
        box.starttls(trusting())
        assert box.login("jack@example.com", PASSWORD)[0] == "OK"
        box.logout()


def test_ssl_of_one_listener():
    with Village("jack", **{"disable_plaintext_auth": "no", "pop3/ssl": "required"}) as house:
        clear_imap(house).login("jack@example.com", PASSWORD)
        drop = poplib.POP3("127.0.0.1", house.ports["pop3"], timeout=PATIENCE)
        with pytest.raises(poplib.error_proto):
            drop.user("jack@example.com")
            drop.pass_(PASSWORD)


def test_ssl_no_offers_no_starttls():
    with Village("jack", ssl="no", disable_plaintext_auth="no") as house:
        box = clear_imap(house)
        assert "STARTTLS" not in box.capabilities
        with pytest.raises(imaplib.IMAP4.error):
            box.starttls(trusting())
        drop = poplib.POP3("127.0.0.1", house.ports["pop3"], timeout=PATIENCE)
        assert "STLS" not in drop.capa()
        clear_imap(house).login("jack@example.com", PASSWORD)
        house.imap().logout()


def test_the_log_tells_of_a_login_and_its_end_as_dovecot_does():
    """Catalogue R370: fail2ban and the like read these lines."""
    with Village("jack") as house:
        box = house.imap()
        box.select("INBOX")
        box.send(b"x IDLE\r\n")
        box.readline()
        box.shutdown()
        line = wait_for(lambda: re.search(r"imap-login\[\d+\]: Login: (.*)", house.text()))[1]
        assert re.fullmatch(r"user=<jack@example.com>, method=\w+, rip=127.0.0.1, lip=127.0.0.1, mpid=\d+, TLS, session=<\w+>", line), line
        session = re.search(r"session=<(\w+)>", line)[1]
        mpid = re.search(r"mpid=(\d+)", line)[1]
        end = wait_for(lambda: re.search(rf"imap\(jack@example.com\)<{mpid}><{session}>: Disconnected(.*)", house.text()))[1]
        assert re.match(r" in IDLE in=\d+ out=\d+ ", end), end


BIG = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 200000


@pytest.fixture(scope="module")
def big():
    """A house with one letter that no buffer on the way holds."""
    with Village("jack") as house:
        box = house.imap()
        assert box.append("INBOX", None, None, BIG)[0] == "OK"
        box.logout()
        yield house


@pytest.mark.parametrize("said, named", [
    (b"x FETCH 1 BODY[]\r\n", "FETCH"),
    (b"x UID FETCH 1:* (BODY[] FLAGS)\r\n", "UID FETCH"),
    (b"x APPEND INBOX {100+}\r\nabc", "APPEND"),
], ids=["FETCH", "UID FETCH", "APPEND"])
def test_the_log_names_the_command_that_was_cut_off(big, said, named):
    """Catalogue R370: the client goes in the midst of it; Dovecot, too, names the command in the line of the end."""
    before = len(big.text())
    box = big.imap()
    box.select("INBOX")
    box.send(said)
    if "FETCH" in named:
        assert box.read(1000)
    box.shutdown()
    line = wait_for(lambda: re.search(r"imap\(jack@example.com\)<\d+><\w+>: Disconnected(.*)", big.text()[before:]))[1]
    assert re.match(rf" in {named}: Connection closed(: [\w ]+)? in=\d+ out=\d+ ", line), line


def test_the_log_names_no_command_between_commands(big):
    before = len(big.text())
    box = big.imap()
    box.select("INBOX")
    box.shutdown()
    line = wait_for(lambda: re.search(r"imap\(jack@example.com\)<\d+><\w+>: Disconnected(.*)", big.text()[before:]))[1]
    assert line.startswith(": Connection closed"), line
    before = len(big.text())
    big.imap().logout()
    line = wait_for(lambda: re.search(r"imap\(jack@example.com\)<\d+><\w+>: Disconnected(.*)", big.text()[before:]))[1]
    assert line.startswith(": Logged out in="), line
