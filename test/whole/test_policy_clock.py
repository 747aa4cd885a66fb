# SPDX-License-Identifier: ISC
"""Somebody sets the clock while the policy remembers: a client of the greylist comes too early, in time and too late, networks and
addresses are forgotten when they are old, and an address that was verified is asked again as verify(8) has it."""

import contextlib
import pathlib
import struct
import subprocess

import pytest
from house import House, wait_for
from ports import free_port
from witness import Exchanger, ask

MINUTE, HOUR, DAY = 60, 3600, 86400
FINAL = "reject_unauth_destination"
LATER = "450 4.7.1 <jill@example.com>: Recipient address rejected: Greylisted, please try again later"


@pytest.fixture
def moved(tmp_path):
    """A house whose clock is set with `h.at(seconds)`: so long after its start."""
    shim, clock = tmp_path / "clock.so", tmp_path / "clock"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", shim, pathlib.Path(__file__).with_name("clock.c")], check=True)
    clock.write_bytes(b"\0" * 4096)

    def at(seconds):
        with open(clock, "r+b") as file:
            file.write(struct.pack("l", seconds))

    @contextlib.contextmanager
    def house(rules, **settings):
        with House(wrapper=["env", f"LD_PRELOAD={shim}", f"TEST_CLOCK={clock}"], dns_resolver="none", smtpd_recipient_restrictions=rules,
                   smtpd_authorized_xclient_hosts="127.0.0.0/8", smtpd_client_connection_count_limit="0", **settings) as h:
            h.at = at
            h.command("domain", "add", "example.com")
            h.command("account", "add", "jill@example.com", input="way-station\n")
            yield h
    return house


def test_who_comes_again_in_time_is_let_in(moved):
    """rfc6647: five minutes at least, two days at most; then for as long as a letter comes in 35 days."""
    with moved(f"{FINAL}, check_greylist", greylist_auto_allow="0") as h:
        def came(at, sender="jack@good.example"):
            h.at(at)
            return ask(h.ports["smtp"], "jill@example.com", sender=sender)
        late = "late@good.example"
        assert came(0) == LATER and came(0, late) == LATER
        assert came(1 * MINUTE) == LATER, "too early"
        assert came(4 * MINUTE) == LATER, "the first time counts, not the last"
        assert came(6 * MINUTE).startswith("250")
        assert came(6 * MINUTE + 1).startswith("250"), "and it does not wait again"
        assert came(2 * DAY + MINUTE, late) == LATER, "too late: it is new"
        assert came(2 * DAY + 2 * MINUTE, late) == LATER
        assert came(2 * DAY + 8 * MINUTE, late).startswith("250")
        assert came(34 * DAY).startswith("250"), "it is remembered"
        assert came(68 * DAY).startswith("250"), "from when it came last"
        assert came(104 * DAY) == LATER, "and then it is forgotten"
        assert came(0, "back@good.example") == LATER, "a clock that was set back"
        assert came(6 * MINUTE, "back@good.example").startswith("250")


def test_a_network_is_allowed_for_as_long_as_it_comes(moved):
    with moved(f"{FINAL}, check_greylist", greylist_auto_allow="2") as h:
        def came(at, sender):
            h.at(at)
            return ask(h.ports["smtp"], "jill@example.com", sender=f"{sender}@good.example")
        assert came(0, "a") == LATER and came(10 * MINUTE, "a").startswith("250")
        assert came(20 * MINUTE, "b") == LATER and came(30 * MINUTE, "b").startswith("250")
        assert came(40 * MINUTE, "c") == LATER, "two in an hour are one"
        assert came(2 * HOUR, "c").startswith("250")
        assert came(2 * HOUR, "d").startswith("250"), "now it need not wait"
        assert came(34 * DAY, "e").startswith("250"), "all but 35 days on"
        assert came(72 * DAY, "f") == LATER, "38 days after it came last"


@pytest.fixture
def exchanger():
    answers = {"good": "250 2.1.5 ok"}
    port = free_port()
    with contextlib.closing(Exchanger("127.0.0.1", answers, port)) as e:
        e.port = port
        yield e


def test_what_was_verified_is_asked_again_when_it_is_old(moved, exchanger):
    """verify(8): asked anew after the time to refresh while the old answer holds; forgotten when it expires; a good one is not
    lost by one refusal before that."""
    with moved(f"{FINAL}, reject_unverified_sender", address_verify_relayhost=f"[127.0.0.1]:{exchanger.port}", address_verify_poll_delay="20s",
               unverified_sender_reject_code="550") as h:
        def came(at, who):
            h.at(at)
            return ask(h.ports["smtp"], "jill@example.com", sender=f"{who}@far.example")[:3]

        def asked(who, times):
            wait_for(lambda: exchanger.asked.count(who) >= times)
            return exchanger.asked.count(who) == times
        assert came(0, "good") == "250" and came(0, "bad") == "550"
        assert came(2 * HOUR, "bad") == "550" and asked("bad", 1)
        exchanger.answers["bad"] = "250 2.1.5 here I am"
        assert came(4 * HOUR, "bad") == "550", "the old answer holds"
        assert asked("bad", 2), "and it is asked again"
        wait_for(lambda: came(4 * HOUR, "bad") == "250")
        assert came(6 * DAY, "good") == "250" and asked("good", 1)
        assert came(8 * DAY, "good") == "250" and asked("good", 2)
        exchanger.answers["good"] = "550 5.1.1 gone"
        assert came(16 * DAY, "good") == "250" and asked("good", 3), "one refusal does not make a good one bad"
        assert came(17 * DAY, "good") == "250"
        assert came(40 * DAY, "good") == "550", "32 days after it was good last"
        exchanger.answers["good"] = "250 2.1.5 ok"
        assert came(44 * DAY, "good") == "250", "four days after it was bad: it is not waited for"
