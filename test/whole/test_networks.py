# SPDX-License-Identifier: ISC
"""Whose clients may send anywhere: mynetworks with tables and files in it, and where we listen."""

import os
import pathlib
import shutil
import smtplib
import subprocess
import tempfile

import pytest
from house import House, wait_for


@pytest.fixture
def place():
    place = pathlib.Path(tempfile.mkdtemp(prefix="mansio-networks-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place, ignore_errors=True)


def relays(house, source):
    """Whether a client from there may send to anybody."""
    with smtplib.SMTP("127.0.0.1", house.ports["smtp"], timeout=20, source_address=(source, 0)) as s:
        s.ehlo("client.example")
        s.mail("eva@example.org")
        return s.rcpt("somebody@elsewhere.example")[0] == 250


def put(path, text):
    """As editors do it: a new file under the old name."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def test_tables_and_files_are_looked_into_and_followed(place):           # R152, R205
    put(place / "access", "127.0.0.3 OK\n127.0.0.4 OK\n")
    put(place / "clients.cidr", "127.0.1.0/24 OK\n127.0.2.1 OK\n")
    put(place / "clients", "# more of them\n127.0.3.0/24\n127.0.4.1\n")
    with House(mynetworks=f"127.0.0.9/32, !127.0.0.4, hash:{place}/access, cidr:{place}/clients.cidr, {place}/clients") as house:
        house.at_work()
        for yes in ["127.0.0.9", "127.0.0.3", "127.0.1.77", "127.0.2.1", "127.0.3.5", "127.0.4.1"]:
            assert relays(house, yes), yes
        for no in ["127.0.0.1", "127.0.0.4", "127.0.2.2", "127.0.4.2"]:
            assert not relays(house, no), no
        put(place / "access", "127.0.0.5 OK\n")
        wait_for(lambda: relays(house, "127.0.0.5"))
        assert not relays(house, "127.0.0.3")
        put(place / "clients.cidr", "127.0.9.0/24 OK\n")
        wait_for(lambda: relays(house, "127.0.9.9"))
        # A table that is not as it should be trusts nobody.
        put(place / "clients.cidr", "127.0.9.0/64 OK\n")
        wait_for(lambda: not relays(house, "127.0.9.9"))
        assert relays(house, "127.0.0.5") and relays(house, "127.0.0.9")
        assert "clients.cidr:1:" in house.text()


def check(settings):
    house = House(**settings)
    done = house.command("config", "check", check=False)
    house.close()
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("value", ["0.0.0.0/0", "127.0.0.0/8 [::]/0"])
def test_everybody_is_warned_of(value):                                  # R152
    status, said = check({"mynetworks": value})
    assert status == 0 and "is everybody: anybody may send mail to anybody through this machine" in said


def test_what_is_no_network_is_refused():
    assert check({"mynetworks": "300.1.2.3"})[0] != 0
    status, said = check({"mynetworks": "pgsql:/etc/postfix/clients.cf"})
    assert status != 0 and "is looked for in tables of files alone" in said
