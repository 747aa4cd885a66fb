# SPDX-License-Identifier: ISC
"""What is written instead of addresses, who gets a copy, and lists with an owner: seen in the letters that arrive."""

import imaplib
import ssl

import pytest
from house import House, wait_for

PASSWORD = "horse-post"
TABLES = {
    "canonical_maps": "inline:{ jack@example.com=Jack.Jones@example.com jills@example.com=jill@example.com }",
    "masquerade_domains": "example.com",
    "sender_bcc_maps": "inline:{ jack.jones@example.com=archive@example.com }",
    "always_bcc": "all@example.com",
    "mydestination": "lists.example",
    "alias_maps": "inline:{ {team = jill@example.com, archive@example.com} owner-team=jack@example.com }",
}


@pytest.fixture(scope="module")
def house():
    with House(myorigin="example.com", mydomain="example.com", local_header_rewrite_clients="permit_sasl_authenticated", **TABLES) as house:
        house.at_work()
        house.command("domain", "add", "example.com")
        for name in ["jack", "jill", "archive", "all"]:
            house.command("account", "add", f"{name}@example.com", input=PASSWORD + "\n")
        yield house


def submit(house, subject, to, lines=1):
    with house.smtp("submission") as s:
        context = ssl._create_unverified_context()
        s.starttls(context=context)
        s.login("jack@example.com", PASSWORD)
        s.sendmail("jack@example.com", to,
                   f"Subject: {subject}\r\nFrom: \"jack@example.com\" <jack@example.com>\r\n"
                   "To: jills@example.com, bob@host.example.com,\r\n joe\r\n\r\n" + "x" * 70 * lines + "\r\n")


def heads(house, user, subject):
    """Of all letters with this subject: a text each."""
    def look():
        box = imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], ssl_context=ssl._create_unverified_context())
        box.login(f"{user}@example.com", PASSWORD)
        box.select()
        numbers = box.search(None, "SUBJECT", subject)[1][0].split()
        found = [box.fetch(n, "(BODY.PEEK[HEADER])")[1][0][1].decode() for n in numbers]
        box.logout()
        return found
    return wait_for(look)


# The second does not fit into memory: it flows to the disk while it comes.
@pytest.mark.parametrize("subject, lines", [("small", 1), ("large", 8000)])
def test_addresses_are_rewritten_once_and_copies_go_out(house, subject, lines):
    submit(house, subject, ["jills@example.com"], lines)
    [head] = heads(house, "jill", subject)
    assert head.startswith("Return-Path: <Jack.Jones@example.com>\r\n")
    assert "\r\nX-Original-To: jills@example.com\r\nDelivered-To: jill@example.com\r\n" in head
    assert '\r\nFrom: "jack@example.com" <Jack.Jones@example.com>\r\n' in head
    assert "\r\nTo: jill@example.com, bob@example.com,\r\n joe@example.com\r\n" in head
    for other in ["archive", "all"]:
        [copy] = heads(house, other, subject)
        # T22: each copy knows its own recipient alone
        assert f"X-Original-To: {other}@example.com\r\nDelivered-To: {other}@example.com\r\n" in copy
        assert "X-Original-To: jills" not in copy


def test_mail_of_strangers_is_not_touched(house):
    with house.smtp() as s:
        s.sendmail("jack@example.com", ["jill@example.com"],
                   "Subject: signed\r\nFrom: jack@example.com\r\nTo: jills@example.com\r\n\r\nx\r\n")
    [head] = heads(house, "jill", "signed")
    assert "\r\nFrom: jack@example.com\r\nTo: jills@example.com\r\n" in head


def test_a_list_is_sent_by_its_owner(house):
    with house.smtp() as s:
        s.sendmail("stranger@example.org", ["team@lists.example"], "Subject: list\r\n\r\nx\r\n")
    [head] = heads(house, "jill", "list")
    assert head.startswith("Return-Path: <owner-team@example.com>\r\nX-Original-To: team@lists.example\r\n")


def test_recipients_of_one_letter_do_not_see_one_another(house):
    with house.smtp() as s:
        s.sendmail("stranger@example.org", ["jill@example.com", "archive@example.com"], "Subject: hidden\r\n\r\nx\r\n")
    [head] = heads(house, "jill", "hidden")
    assert "archive" not in head
    assert len(heads(house, "archive", "hidden")) == 1
