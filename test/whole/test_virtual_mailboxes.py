# SPDX-License-Identifier: ISC
"""Virtual mailboxes as the tutorials set them up: files of domains and mailboxes, and where the letters lie then."""

import mailbox
import os
import shutil
import tempfile
import threading

import pytest
from house import House, free_ports, unnamed, wait_for
from test_content_filter import Filter, Server

DOMAINS = "example.com OK\nexample.net OK\ngone.example REJECT we have moved\nhole.example DISCARD\n"
MAILBOXES = """info@example.com     example.com/info/
sales@example.com    example.com/sales/
info@example.net     example.net/info
root@example.net     ../../etc/passwd
copied@example.net   BCC info@example.com
shut@example.net     REJECT not any more
"""


@pytest.fixture(scope="module")
def place():
    # Keepers go into it under their own account.
    place = tempfile.mkdtemp(prefix="virtual-", dir="/var/tmp")
    os.chmod(place, 0o755)
    with open(f"{place}/virt_domains", "w") as f:
        f.write(DOMAINS)
    with open(f"{place}/virt_mailbox", "w") as f:
        f.write(MAILBOXES)
    yield place
    shutil.rmtree(place, ignore_errors=True)


def settings(place, **more):
    return {"mydestination": "localhost", "virtual_mailbox_domains": f"hash:{place}/virt_domains",
            "virtual_mailbox_maps": f"hash:{place}/virt_mailbox", "virtual_mailbox_base": f"{place}/vhosts", **more}


@pytest.fixture(scope="module")
def house(place):
    with House(**settings(place)) as house:
        house.at_work()
        yield house


def send(house, *to):
    with house.smtp() as s:
        return s.sendmail("eva@example.org", list(to), "Subject: hello\r\n\r\nHello.\r\n")


def rcpt(house, to):
    with house.smtp() as s:
        s.ehlo("test.example")
        s.mail("eva@example.org")
        code, text = s.rcpt(to)
    return code, text.decode()


def test_a_path_with_a_slash_is_a_maildir(house, place):                # R208, R209
    send(house, "info@example.com", "info+tag@example.com")
    there = f"{place}/vhosts/example.com/info"
    wait_for(lambda: os.path.isdir(f"{there}/new") and len(os.listdir(f"{there}/new")) == 1)
    [letter] = mailbox.Maildir(there)
    assert letter["Subject"] == "hello" and letter["Delivered-To"] == "info+tag@example.com"


def test_the_place_is_told(house, place):
    said = house.command("address", "test", "sales@example.com").stdout
    assert f"goes to: sales@example.com (mailbox), in {place}/vhosts/example.com/sales/" in said


def test_a_path_without_one_is_a_file(house, place):
    send(house, "info@example.net")
    there = f"{place}/vhosts/example.net/info"
    wait_for(lambda: os.path.isfile(there) and os.path.getsize(there) > 0)
    [letter] = mailbox.mbox(there)
    assert letter["Subject"] == "hello"


def test_no_path_leads_out_of_the_directory(house):
    assert rcpt(house, "root@example.net")[0] == 451
    assert "virtual_mailbox_maps" in house.text() and "../../etc/passwd" in house.text()


def test_who_is_not_listed_is_unknown(house):                            # R209
    code, words = rcpt(house, "nobody@example.com")
    assert (code, unnamed(words)) == (
        550, "5.1.1 <nobody@example.com>: Recipient address rejected: User unknown in virtual mailbox table")


def test_words_of_a_domain_are_obeyed(house):                            # R208
    assert rcpt(house, "anybody@gone.example")[0] == 550
    assert "we have moved" in rcpt(house, "anybody@gone.example")[1]
    assert rcpt(house, "anybody@hole.example")[0] == 250


def test_words_of_a_mailbox_are_obeyed(house):                           # R209
    code, text = rcpt(house, "shut@example.net")
    assert code == 550 and "not any more" in text
    ends = house.command("address", "test", "copied@example.net").stdout
    assert "goes to: copied@example.net" in ends and "goes to: info@example.com" in ends


def check(house, **more):
    house.write_settings(**more)
    done = house.command("config", "check", check=False)
    house.write_settings(**{name: None for name in more})
    return done.returncode, done.stdout + done.stderr


def test_a_filter_without_a_destination_is_refused_by_the_check(house, place):   # R208, R209
    with open(f"{place}/filtered", "w") as f:
        f.write("example.com FILTER scan\n")
    status, said = check(house, virtual_mailbox_domains=f"hash:{place}/filtered")
    house.write_settings(**settings(place))
    assert status != 0 and "filtered: example.com: FILTER wants a transport and a destination" in said


@pytest.fixture
def screened():
    """Two filters; what they give back comes in by a listener that says content_filter = and nothing else."""
    servers = []
    for _ in range(2):
        servers.append(Server(("127.0.0.1", 0), Filter))
        servers[-1].seen = []
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
    one, two = (f"smtp:[127.0.0.1]:{s.server_address[1]}" for s in servers)
    [back] = free_ports(1)
    boxes = (f"{{careful@example.net = FILTER {one}}}, {{plain@example.net = example.net/plain/}}, {{any@example.org = OK}}, "
             f"{{own@example.org = FILTER {one}}}, {{shut@example.org = REJECT not here}}")
    house = House(mydestination="localhost", virtual_mailbox_domains=f"inline:{{{{example.net = OK}}, {{example.org = FILTER {two}}}}}",
                  virtual_mailbox_maps=f"inline:{{{boxes}}}", virtual_alias_maps="inline:{info@example.net=careful@example.net}",
                  smtpd_recipient_restrictions=f"reject_unauth_destination, check_sender_access inline:{{{{listed@example.org = FILTER {two}}}}}",
                  listeners="back", **{"back/listener_service": "smtp", "back/listener_address": f"127.0.0.1:{back}", "back/content_filter": "",
                                       "back/smtpd_recipient_restrictions": "permit_mynetworks, reject", "back/mynetworks": "127.0.0.0/8"})
    for s in servers:
        s.back = back
    with house:
        house.at_work()
        yield house, servers
    for s in servers:
        s.shutdown()
        s.server_close()


WAYS = {        # sender, recipients: what the first filter and the second had
    "a mailbox": ("eva@example.org", ["careful@example.net"], 1, 0),
    "and all who get the same letter": ("eva@example.org", ["plain@example.net", "careful@example.net"], 1, 0),
    "a domain": ("eva@example.org", ["any@example.org"], 0, 1),
    "a mailbox before its domain": ("eva@example.org", ["own@example.org"], 1, 0),
    "by an alias": ("eva@example.org", ["info@example.net"], 1, 0),
    "a list goes before both": ("listed@example.org", ["careful@example.net"], 0, 1),
    "nobody else's": ("eva@example.org", ["plain@example.net"], 0, 0),
}


def test_R208_R209_a_filter_has_the_letter_first_and_once(screened):
    house, servers = screened
    for why, (sender, to, first, second) in WAYS.items():
        for s in servers:
            s.seen.clear()
        before = house.count("status=sent (delivered to mailbox)")
        with house.smtp() as s:
            assert s.sendmail(sender, to, f"Subject: {why}\r\n\r\nHello.\r\n") == {}
        wait_for(lambda: house.count("status=sent (delivered to mailbox)") == before + len(to))
        assert [len(s.seen) for s in servers] == [first, second], why
        assert all(set(at[1]) == set(to) for s in servers for at in s.seen), why
    assert rcpt(house, "shut@example.org")[0] == 550
    assert rcpt(house, "nobody@example.org")[0] == 550
    said = house.command("address", "test", "careful@example.net").stdout
    assert f"FILTER: the letter goes to smtp:[127.0.0.1]:{servers[0].server_address[1]} first" in said


def test_owners_that_cannot_be_given_are_told(house):
    """Of what is said with virtual_mailbox_base see test_owners.py."""
    status, said = check(house, virtual_uid_maps="static:5000", virtual_gid_maps="static:5000", virtual_minimum_uid="1000")
    assert status == 0 and "virtual_uid_maps" not in said, said
    status, said = check(house, virtual_uid_maps="static:5000", virtual_gid_maps="static:5000", virtual_mailbox_base="")
    assert status == 0
    for name in ["virtual_uid_maps", "virtual_gid_maps"]:
        assert f"{name}: letters of the letter log belong to our own accounts; write virtual_mailbox_base or mail_location" in said
    assert check(house, virtual_minimum_uid="some")[0] != 0
    assert check(house, virtual_uid_maps="statics:5000")[0] != 0


def test_mail_location_says_otherwise(place):                            # R213
    with House(**settings(place, mail_location=f"maildir:{place}/elsewhere/%u",
                          virtual_mailbox_base=f"{place}/not-here")) as house:
        house.at_work()
        send(house, "sales@example.com")
        there = f"{place}/elsewhere/sales@example.com/new"
        wait_for(lambda: os.path.isdir(there) and os.listdir(there))
        assert not os.path.exists(f"{place}/not-here/example.com")
