# SPDX-License-Identifier: ISC
"""Virtual mailboxes as the tutorials set them up: files of domains and mailboxes, and where the letters lie then."""

import mailbox
import os
import shutil
import tempfile

import pytest
from house import House, unnamed, wait_for

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
    assert letter["Subject"] == "hello" and letter["Delivered-To"] == "info@example.com"


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


def test_a_filter_is_refused_by_the_check(house, place):                 # R208, R209
    with open(f"{place}/filtered", "w") as f:
        f.write("example.com FILTER smtp:[127.0.0.1]:10025\n")
    status, said = check(house, virtual_mailbox_domains=f"hash:{place}/filtered")
    house.write_settings(**settings(place))
    assert status != 0 and "filtered: example.com: FILTER: a filter is for a whole letter" in said and "check_recipient_access" in said


def test_owners_that_cannot_be_given_are_told(house):
    status, said = check(house, virtual_uid_maps="static:5000", virtual_gid_maps="static:5000", virtual_minimum_uid="1000")
    assert status == 0
    for name in ["virtual_uid_maps", "virtual_gid_maps", "virtual_minimum_uid"]:
        assert f"{name} is read and cannot be obeyed: mailboxes of virtual users belong to the account of the keepers" in said
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
