# SPDX-License-Identifier: ISC
"""What one account may send: past that its letters are held, and the postmaster hears of it once."""

import imaplib
import os
import re
import signal
import smtplib
import socket
import ssl

import pytest
from house import House, wait_for

SECRET = "secret-secret"


def send(house, user, count):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP_SSL("127.0.0.1", house.ports["submissions"], timeout=20, context=context) as s:
        s.login(f"{user}@example.com", SECRET)
        for i in range(count):
            s.sendmail(f"{user}@example.com", ["jill@example.com"], f"Subject: {user}{i}\r\n\r\nHello.\r\n")


def subjects(house, user):
    box = imaplib.IMAP4("127.0.0.1", house.ports["imap"], timeout=20)
    box.login(f"{user}@example.com", SECRET)
    box.select("INBOX")
    found = box.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
    box.logout()
    return [f[1].decode().strip()[len("Subject: "):] for f in found if isinstance(f, tuple)]


def people(house):
    house.at_work()
    house.command("domain", "add", "example.com")
    for user in ("jill", "jack", "ann", "postmaster"):
        house.command("account", "add", f"{user}@example.com", "--password-file", "/dev/stdin", input=SECRET + "\n")


def test_what_is_past_the_limit_is_held_and_told_once():
    with House(smtpd_account_hour_limit="2", smtpd_account_limits="ann@example.com=0/4, @example.com=2/0",
               disable_plaintext_auth="no", myorigin="example.com") as house:
        people(house)
        send(house, "jack", 4)
        send(house, "ann", 4)
        wait_for(lambda: len(subjects(house, "jill")) == 6)
        assert sorted(subjects(house, "jill")) == ["ann0", "ann1", "ann2", "ann3", "jack0", "jack1"]
        listed = house.command("queue", "list").stdout
        assert listed.count("[hold]") == 2
        assert "jack@example.com has sent to more than 2 recipients in an hour" in listed
        wait_for(lambda: subjects(house, "postmaster"))
        one = re.search(r"^([0-9A-F]{10,}) ", listed, re.MULTILINE).group(1)
        house.command("queue", "release", one)
        wait_for(lambda: len(subjects(house, "jill")) == 7)
        house.command("queue", "release", "ALL")
        wait_for(lambda: len(subjects(house, "jill")) == 8)
        assert subjects(house, "postmaster") == ["An account sends too much"]
        assert house.command("queue", "release", one, check=False).returncode == 1


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["in order", "killed"])
def test_what_was_sent_counts_after_a_restart(end):
    """What is held before is held after; killed, the postmaster had written it down within its seconds."""
    with House(smtpd_account_day_limit="3", disable_plaintext_auth="no", myorigin="example.com") as house:
        people(house)
        send(house, "jack", 3)
        wait_for(lambda: len(subjects(house, "jill")) == 3)
        if end == signal.SIGKILL:
            kept = house.directory / "mail" / "tally"
            wait_for(lambda: kept.exists() and kept.stat().st_size > 24)
            os.kill(house.process.pid, end)
            house.process.wait()
        else:
            assert house.stop() == 0
        house.start()
        house.at_work()
        send(house, "jack", 1)
        wait_for(lambda: house.command("queue", "list").stdout.count("[hold]") == 1)
        assert len(subjects(house, "jill")) == 3
        (house.directory / "mail" / "tally").write_bytes(b"what is this")
        assert house.stop() == 0 and "tally" in os.listdir(house.directory / "mail")


def test_limits_that_cannot_be_read_are_refused():
    house = House(smtpd_account_limits="jack@example.com=many")
    done = house.command("config", "check", check=False)
    house.close()
    assert done.returncode != 0 and "smtpd_account_limits" in done.stdout + done.stderr


@pytest.mark.parametrize("bits, taken", [(32, True), (24, False), (25, True), (31, True), (16, False)])
def test_limits_of_clients_are_for_networks_where_a_setting_says_so(bits, taken):
    """Each limit counts for a network of so many bits: another address of it has no place of its own."""
    with House(mynetworks="192.0.2.0/24", smtpd_client_event_limit_exceptions="", smtpd_client_connection_count_limit="1", smtpd_client_ipv4_prefix_length=str(bits),
               smtpd_peername_lookup="no") as house:
        def greeted(source):
            s = socket.create_connection(("127.0.0.1", house.ports["smtp"]), 20, source_address=(source, 0))
            return s, s.recv(4)
        first, said = greeted("127.0.7.5")
        assert said == b"220 "
        second, said = greeted("127.0.7.200")
        assert said == (b"220 " if taken else b"421 ")
        first.close(), second.close()
