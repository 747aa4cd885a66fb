# SPDX-License-Identifier: ISC
"""Whose clients may send anywhere: mynetworks with tables and files in it, and where we listen."""

import os
import pathlib
import shutil
import re
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


def test_R152_R205_tables_and_files_are_looked_into_and_followed(place):           # R152, R205
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
        # Of a table that is not as it should be the last good one stays.
        put(place / "clients.cidr", "127.0.10.0/64 OK\n")
        wait_for(lambda: re.search(r"smtpd\[.*clients\.cidr:1:", house.text()))
        assert relays(house, "127.0.9.9") and not relays(house, "127.0.10.9")
        assert relays(house, "127.0.0.5") and relays(house, "127.0.0.9")


def check(settings):
    house = House(**settings)
    done = house.command("config", "check", check=False)
    house.close()
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("value", ["0.0.0.0/0", "127.0.0.0/8 [::]/0"])
def test_everybody_is_warned_of(value):                                  # R152
    status, said = check({"mynetworks": value})
    assert status == 0 and "everybody may send to anybody, which makes an open relay" in said


def test_what_is_no_network_is_refused():
    assert check({"mynetworks": "300.1.2.3"})[0] != 0
    status, said = check({"mynetworks": "pgsql:/etc/postfix/clients.cf"})
    assert status != 0 and "/etc/postfix/clients.cf" in said


def listening(house):
    """The addresses somebody listens on in the network of its own that the server has."""
    done = subprocess.run(["nsenter", "-t", str(house.process.pid), "-n", "ss", "-Hltn"], capture_output=True, text=True, check=True)
    return {line.split()[3] for line in done.stdout.splitlines()}


APART = ["unshare", "-n", "sh", "-c",
         "ip link set lo up; ip link add nic0 type bridge; ip addr add 192.0.2.7/24 dev nic0; "
         "ip -6 addr add 2001:db8::7/64 dev nic0 nodad; ip link set nic0 up; exec \"$@\"", "sh"]


def can_be_apart():
    return os.geteuid() == 0 and shutil.which("nsenter") and shutil.which("ss") and \
        subprocess.run([*APART, "ip", "addr", "show", "dev", "nic0"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_be_apart(), reason="needs a network of its own with an interface in it")
@pytest.mark.parametrize("interfaces, protocols, smtp", [                # R149, R150
    ("all", "all", {"*:25"}),
    ("all", "ipv4", {"0.0.0.0:25"}),
    ("all", "ipv6", {"[::]:25"}),
    ("loopback-only", "all", {"127.0.0.1:25", "[::1]:25"}),
    ("loopback-only", "ipv4", {"127.0.0.1:25"}),
    ("nic0", "all", {"192.0.2.7:25", "[2001:db8::7]:25"}),
    ("nic0, 127.0.0.1", "ipv4", {"192.0.2.7:25", "127.0.0.1:25"}),
    ("192.0.2.7, [2001:db8::7]", "ipv4, ipv6", {"192.0.2.7:25", "[2001:db8::7]:25"}),
    # An address of IPv6 that is not here stops nothing.
    ("127.0.0.1, 2001:db8::99", "all", {"127.0.0.1:25"}),
])
def test_R149_R150_interfaces_say_where_mail_comes_in(interfaces, protocols, smtp):
    with House(wrapper=APART, listen_smtp=None, listen_submission="127.0.0.1:5587", inet_interfaces=interfaces,
               inet_protocols=protocols) as house:
        there = listening(house)
    assert {a for a in there if a.endswith(":25")} == smtp
    assert "127.0.0.1:5587" in there            # what is set for the service itself holds


@pytest.mark.skipif(not can_be_apart(), reason="needs a network of its own with an interface in it")
@pytest.mark.parametrize("style, client, server, may", [
    ("host", "192.0.2.7", "192.0.2.7", True), ("subnet", "192.0.2.7", "192.0.2.7", True),
])
def test_mynetworks_style_is_of_this_machine(style, client, server, may):
    with House(wrapper=APART, listen_smtp="192.0.2.7:25", mynetworks=None, mynetworks_style=style) as house:
        house.at_work()
        talk = subprocess.run(
            ["nsenter", "-t", str(house.process.pid), "-n", "/usr/bin/python3", "-c",
             f"import smtplib\ns = smtplib.SMTP('{server}', 25, source_address=('{client}', 0))\ns.ehlo('x')\n"
             "s.mail('eva@example.org')\nprint(s.rcpt('a@elsewhere.example')[0])"], capture_output=True, text=True, timeout=30)
        assert (talk.stdout.strip() == "250") == may, talk.stderr


def test_interfaces_that_cannot_be_are_refused():
    assert check({"inet_protocols": "ipv5"})[0] != 0
    assert check({"inet_interfaces": ""})[0] != 0
    assert check({"mynetworks_style": "world"})[0] != 0
