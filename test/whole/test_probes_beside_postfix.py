# SPDX-License-Identifier: ISC
"""address_verify_*: by which ways, and as whom, other servers are asked about an address; beside Debian's Postfix with the same lines.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_probes_beside_postfix.py
"""

import os
import re
import shutil
import socket

import pytest
from house import House, wait_for
from ports import free_ports
from witness import Exchanger, Postfix, ask

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or any(shutil.which(w) is None for w in ("postfix", "unshare")), reason="needs root and Postfix")

ANSWERS = {"good": "250 2.1.5 ok", "later": "450 4.2.1 not now"}
BASE = {
    "myhostname": "mail.here.example", "mydomain": "here.example", "myorigin": "here.example", "mydestination": "here.example",
    "local_recipient_maps": "", "virtual_mailbox_domains": "virt.example", "virtual_mailbox_maps": "static:box/", "relay_domains": "relay.example",
    "mynetworks": "", "smtpd_relay_restrictions": "", "address_verify_poll_delay": "1s", "address_verify_poll_count": "30",
    "smtpd_recipient_restrictions": "reject_unauth_destination, reject_unverified_sender",
    "unverified_sender_reject_code": "550", "unverified_recipient_reject_code": "550",
}
# Letters go to {a}, who takes everything; {b} knows who there is.
PLACES = {
    "by relayhost": {"relayhost": "[127.0.0.1]:{a}", "address_verify_relayhost": "[127.0.0.1]:{b}"},
    "as letters": {"relayhost": "[127.0.0.1]:{b}"},
    "by transport_maps": {"transport_maps": "static:smtp:[127.0.0.1]:{a}", "address_verify_transport_maps": "inline:{{{{far.example=smtp:[127.0.0.1]:{b}}}}}"},
    "by no transport_maps": {"transport_maps": "inline:{{{{far.example=smtp:[127.0.0.1]:{a}}}}}", "address_verify_transport_maps": "",
                             "relayhost": "[127.0.0.1]:{b}"},
    "by classes": {"default_transport": "smtp:[127.0.0.1]:{a}", "address_verify_default_transport": "smtp:[127.0.0.1]:{b}",
                   "relay_transport": "smtp:[127.0.0.1]:{a}", "address_verify_relay_transport": "smtp:[127.0.0.1]:{b}",
                   "smtpd_recipient_restrictions": "reject_unauth_destination, reject_unverified_recipient, reject_unverified_sender",
                   "address_verify_local_transport": "smtp:[127.0.0.1]:{b}", "address_verify_virtual_transport": "smtp:[127.0.0.1]:{b}"},
    "by senders' relayhosts": {"sender_dependent_relayhost_maps": "static:[127.0.0.1]:{a}", "address_verify_sender": "probe@here.example",
                               "address_verify_sender_dependent_relayhost_maps": "inline:{{{{probe@here.example=[127.0.0.1]:{b}}}}}"},
    "by senders' transports": {"sender_dependent_default_transport_maps": "static:smtp:[127.0.0.1]:{a}", "address_verify_sender": "probe@here.example",
                               "address_verify_sender_dependent_default_transport_maps": "inline:{{{{probe@here.example=smtp:[127.0.0.1]:{b}}}}}"},
    "as nobody": {"relayhost": "[127.0.0.1]:{b}", "address_verify_sender": "<>"},
    "as a bare name": {"relayhost": "[127.0.0.1]:{b}", "address_verify_sender": "$double_bounce_sender"},
    "as a name that changes": {"relayhost": "[127.0.0.1]:{b}", "address_verify_sender_ttl": "3600000"},
    "as another name that changes": {"relayhost": "[127.0.0.1]:{b}", "address_verify_sender": "probe@there.example", "address_verify_sender_ttl": "90d"},
}
ASKED = [("jill@virt.example", s) for s in ("good@far.example", "bad@far.example", "later@far.example")]
CLASSES = [(f"{who}@{d}", "") for d in ("here.example", "virt.example", "relay.example") for who in ("good", "bad", "later")]


class Side:
    """Who takes everything, and who knows; whoever asks is `server`."""

    def __init__(self, lines):
        a, b = free_ports(2)
        self.careless = Exchanger("127.0.0.1", type("All", (dict,), {"get": lambda *_: "250 2.1.5 ok"})(), a)
        self.careful = Exchanger("127.0.0.1", ANSWERS, b)
        self.port = b
        self.lines = {**BASE, **{n: v.format(a=a, b=b).replace("{{", "{").replace("}}", "}") for n, v in lines.items()}}

    def said(self, port, asked):
        return [re.sub(rf":{self.port}\b", ":PORT", re.sub(r"^250.*", "250", ask(port, to, sender=sender))) for to, sender in asked]

    def heard(self):
        """Which recipients each was asked for, and by whom; parameters of MAIL are each server's own."""
        return set(self.careless.asked), set(self.careful.asked), {re.sub(r"^(FROM:<[^>]*>).*", r"\1", s) for s in self.careful.senders}

    def close(self):
        self.careless.close()
        self.careful.close()


@pytest.mark.parametrize("place", PLACES)
def test_addresses_are_asked_of_whom_and_as_whom_postfix_asks(place):
    asked = CLASSES + ASKED if place == "by classes" else ASKED
    theirs, ours = Side(PLACES[place]), Side(PLACES[place])
    postfix = None
    try:
        postfix = Postfix("127.0.0.1", {**theirs.lines, "default_database_type": "hash"})
        wait_for(lambda: connects(postfix.port))
        wanted = theirs.said(postfix.port, asked)
        with House(**{"dns_resolver": "none", "smtpd_client_connection_count_limit": "0", **ours.lines}) as house:
            house.at_work()
            assert ours.said(house.ports["smtp"], asked) == wanted
        assert ours.heard() == theirs.heard()
    finally:
        if postfix:
            postfix.close()
        theirs.close()
        ours.close()


def changed(port, exchanger, log, who, answers):
    """What is said of an address after its server has changed its mind, and has been asked again: a probe that was on its way meanwhile has the
    answer from before, so the log must have this one, as no other is like it."""
    said = []
    for answer in answers:
        exchanger.answers[who] = answer
        wait_for(lambda: [ask(port, "jill@virt.example", sender=f"{who}@far.example")] and
                 re.search(rf"(?:to=|verify: )<{who}@far\.example>.*{re.escape(answer)}", log()))
        said.append(ask(port, "jill@virt.example", sender=f"{who}@far.example")[:3])
    return said


@pytest.mark.parametrize("answers", [["250 2.1.5 ok", "550 5.1.1 gone"], ["250 2.1.5 ok", "450 4.2.1 not now"], ["550 5.1.1 no", "250 2.1.5 ok"],
                                     ["450 4.2.1 not now", "550 5.1.1 no", "250 2.1.5 ok"]], ids=str)
def test_what_is_known_of_an_address_when_its_server_changes_its_mind(answers):
    """postconf(5), address_verify_positive_refresh_time: a refusal does not end what holds of a good address; one that is bad is good
    as soon as its server says so."""
    quick = {"address_verify_positive_refresh_time": "1s", "address_verify_negative_refresh_time": "1s", "relayhost": "[127.0.0.1]:{b}"}
    theirs, ours = Side(quick), Side(quick)
    postfix = None
    try:
        postfix = Postfix("127.0.0.1", {**theirs.lines, "default_database_type": "hash"})
        wait_for(lambda: connects(postfix.port))
        wanted = changed(postfix.port, theirs.careful, postfix.log, "who", answers)
        with House(**{"dns_resolver": "none", "smtpd_client_connection_count_limit": "0", **ours.lines}) as house:
            house.at_work()
            assert changed(house.ports["smtp"], ours.careful, house.text, "who", answers) == wanted
    finally:
        if postfix:
            postfix.close()
        theirs.close()
        ours.close()


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except OSError:
        return False
