# SPDX-License-Identifier: ISC
"""A role that was taken over says what it likes to those it may speak to: whoever hears nonsense ends the speaker and goes on, and
what nobody asked for changes nothing."""

import os
import pathlib
import re
import shutil
import struct
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import ROOT, House, wait_for
import test_house
from test_house import word_number

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not hasattr(os, "pidfd_open") or not shutil.which("ss"), reason="needs root, pidfd and ss")
SPEAKERS = ["policy", "sender", "verifier"]
NONSENSE = {
    "lengths that are too large": struct.pack("<I", 0xfffffff0) + b"x" * 30,
    "zeros": bytes(300),
}


def words():
    """Who may say what to whom, as wire.h has it."""
    text = (ROOT / "src/role/wire.h").read_text()
    for word, mouths, ears in re.findall(r"^\tX\((\w+),([^,]*),(.*?)\)[^()]*$", text, re.MULTILINE):
        for mouth in re.findall(r"FROM\((\w+)", mouths):
            for ear in re.findall(r"FROM\((\w+)", ears):
                if mouth.lower() in SPEAKERS and ear not in ("POSTMASTER", "COMMAND", "PROXYMAP"):
                    yield mouth.lower(), word, ear.lower()
    # A malformed answer of the clerk.
    yield from (("clerk", "ROUTED", ear) for ear in ("policy", "queue"))


@pytest.fixture
def house():
    with House(dns_resolver="none", receiver_processes="1", verifier_processes="1", sender_processes="1", keeper_processes="1",
               smtpd_recipient_restrictions="reject_unauth_destination, check_greylist", greylist_delay="0s", greylist_auto_allow="1") as h:
        h.command("domain", "add", "example.com")
        h.command("account", "add", "jill@example.com", input="secret\n")
        yield h


def one_of(house, role):
    return next(p for p in house.at_work() if p["role"] == role)


def speak(house, speaker, ear, bodies, word, tickets=(0,)):
    """Says it with the speaker's own socket; False: they are not connected."""
    link = test_house.Deaths.link_between(None, one_of(house, speaker), one_of(house, ear))
    if link is None:
        return False
    try:
        for ticket in tickets:
            for body in bodies:
                link.sendall(struct.pack("<IHHI", len(body), word_number(word), 0, ticket) + body)
    except OSError:
        pass                                                  # the other end has heard enough
    link.close()
    return True


def mail_goes(house, subject):
    def sent():
        with house.smtp() as s:
            s.ehlo("client.example")
            return s.mail("a@out.example")[0] == 250 and s.rcpt("jill@example.com")[0] == 250 and \
                s.data(f"Subject: {subject}\r\nMessage-ID: <{subject}@out.example>\r\n\r\nx\r\n")[0] == 250
    wait_for(sent)
    id = wait_for(lambda: re.search(rf"(\w+): message-id=<{subject}@out", house.text()))[1]
    wait_for(lambda: re.search(rf"{id}: to=<jill@example.com>.*status=sent", house.text()))


@pytest.mark.parametrize("speaker, word, ear", [pytest.param(*w, id="-".join(w)) for w in words()])
def test_nonsense_harms_nobody_but_who_said_it(house, speaker, word, ear):
    for why, body in NONSENSE.items():
        before = {p["pid"]: p["role"] for p in house.at_work()}
        assert speak(house, speaker, ear, [body], word), "they are not connected"
        house.at_work()
        # Answered: whoever hears has taken the word from its socket.
        assert house.command("status").returncode == 0
        gone = {role for pid, role in before.items() if pid not in {p["pid"] for p in house.at_work()}}
        assert gone <= {speaker}, (why, gone)
    mail_goes(house, "afterwards")
    assert "broken promise" not in house.text()


def test_a_verifier_that_speaks_unasked_names_nobody(house):
    """LOOKED for sessions that wait for nothing: they keep the names they have."""
    with house.smtp() as s:
        s.ehlo("client.example")
        receiver = one_of(house, "receiver")["pid"]
        name = b"forged.example"
        looked = b"\0" + (struct.pack("<I", len(name)) + name) * 2
        assert speak(house, "verifier", "receiver", [looked], "LOOKED", range(300))
        assert s.mail("a@out.example")[0] == 250 and s.noop()[0] == 250
    mail_goes(house, "unasked")
    assert one_of(house, "receiver")["pid"] == receiver
    assert "forged.example" not in house.text()
