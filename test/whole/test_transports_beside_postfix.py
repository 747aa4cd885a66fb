# SPDX-License-Identifier: ISC
"""error:, retry:, discard: of transport_maps and of the transports of classes, for addresses of every class: what Postfix
says at RCPT and what we say.  It is the recipient's own transport that counts: what an alias leads away is taken."""

import os
import re
import shutil
import time

import pytest
from beside import Postfix, Talk, tables_of
from house import House

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

NAMES = "abcdefghijklmnop"
TABLES = {
    "transport": """a@here.example error:5.7.9 not today
b@here.example error:closed
c@here.example error
d@here.example error:
e@here.example retry:4.3.9 come again
f@here.example retry:
g@here.example discard:
h@here.example retry:5.3.9 five
i@here.example error:4.7.1 four
j@here.example error:550 5.9.9 words
k@here.example error:mailbox 5.1.2 closed
l@here.example error:5.7.9.1 odd
aliased.example error:gone
shut.relay.example error:5.4.4 no way
r@relay.example error:5.4.4 no way
f@else.example error:no way
shut.example error:5.1.2 domain is closed
retry.example retry:
m@boxes.example error:4.7.9 for a moment
n@boxes.example :
""",
    "senders": """a@x.example error:5.7.8 nothing leaves for you
b@x.example retry:4.3.2 come again
c@x.example error
d@x.example discard:
e@x.example DUNNO
@shut.sender.example error:you are closed
<> error:5.7.1 no notices
""",
    "virtual": "x@aliased.example a@here.example\ny@here.example a@here.example\n",
    "boxes": "m@boxes.example x\nn@boxes.example x\n",
}
SETTINGS = {
    "virtual_alias_domains": "aliased.example", "virtual_alias_maps": "hash:{t}/virtual",
    "smtpd_error_sleep_time": "0", "smtpd_soft_error_limit": "1000", "smtpd_hard_error_limit": "1000",
    "virtual_mailbox_domains": "boxes.example", "virtual_mailbox_maps": "hash:{t}/boxes",
}
ADDRESSES = [*(f"{c}@here.example" for c in NAMES), "a+tag@here.example", "nosuch@here.example", "y@here.example", "x@aliased.example",
             "nosuch@aliased.example", "r@relay.example", "s@relay.example", "t@shut.relay.example", "f@else.example", "g@else.example",
             "any@shut.example", "any@retry.example", "m@boxes.example", "n@boxes.example", "nosuch@boxes.example", "a@[127.0.0.1]"]
CASES = {
    "stranger": ({"smtpd_relay_restrictions": "reject_unauth_destination"}, []),
    "network": ({"mynetworks": "127.0.0.0/8", "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination"}, []),
    "listed": ({"mynetworks": "127.0.0.0/8", "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
                "smtpd_recipient_restrictions": "reject_unlisted_recipient, reject"}, []),
}
# What a whole class is told: the client without mail of its own, the domain that is closed for a day.
WAYS = {
    "by table": {"transport_maps": "hash:{t}/transport"},
    "of classes": {"local_transport": "error:local mail delivery is disabled", "virtual_transport": "retry:4.2.1 boxes are moved",
                   "relay_transport": "error:5.4.4 relay is shut", "default_transport": "error"},
    "of senders": {"sender_dependent_default_transport_maps": "hash:{t}/senders"},
    "of senders, and a table": {"sender_dependent_default_transport_maps": "hash:{t}/senders", "transport_maps": "hash:{t}/transport"},
    "of senders, where all is shut": {"sender_dependent_default_transport_maps": "hash:{t}/senders", "default_transport": "error:5.4.9 all is shut"},
}


SENDERS = {way: ["a@x.example"] for way in WAYS} | {way: ["a@x.example", "b@x.example", "c@x.example", "d@x.example", "e@x.example", "z@x.example",
                                                        "any@shut.sender.example", ""] for way in WAYS if way.startswith("of senders")}


def compare(postfix, tables, settings, senders, way):
    common = {"myhostname": "mail.here.example", "mydomain": "here.example", "myorigin": "$mydomain",
              "mydestination": "$myhostname, here.example", "recipient_delimiter": "+", "alias_maps": f"hash:{tables}/aliases",
              "local_recipient_maps": "$alias_maps", "relay_domains": "relay.example", "relay_recipient_maps": "",
              "smtpd_sender_login_check": "none", "smtpd_sasl_auth_enable": "no", "local_transport": "local:", **settings}
    said = ["EHLO client.example"]
    for sender in senders:
        said += [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{a}>" for a in ADDRESSES), "RSET"]
    with House(**common) as house:
        for case, (own, _) in CASES.items():
            house.write_settings(**{name: own.get(name) for name in ("mynetworks", "smtpd_relay_restrictions",
                                                                     "smtpd_recipient_restrictions")})
            house.command("reload")
            theirs = Talk(postfix.ports[case]).all(said)
            for _ in range(3):                     # a busy machine has not reloaded everywhere yet
                ours = Talk(house.ports["smtp"]).all(said)
                if ours == theirs:
                    break
                time.sleep(1)
            pairs = list(zip(["", *said], theirs, ours))
            assert [p for p in pairs if p[1].rstrip() != p[2].rstrip()] == [], case
            if case == "network" and not way.startswith("of senders"):
                foretold(house, {address: reply for address, reply in zip(ADDRESSES, theirs[3:])})


def foretold(house, replies):
    """`address test` and `address lookup`, which know of no sender, beside what Postfix says at RCPT: an address that it refuses is no good."""
    for address, reply in replies.items():
        done = house.command("address", "test", address, check=False)
        assert done.returncode == (0 if reply.startswith("250") else 1), (address, reply, done.stdout)
        if re.match(r"[45]50 [45]\.\S+ <.*Recipient address rejected: (?!User unknown)", reply):
            said = re.sub(r"^(\d+ \S+) <.*?>: Recipient address rejected: ", r"\1 ", reply.strip())
            assert f": {said}\n" in done.stdout, (address, reply, done.stdout)
        if not reply.startswith("250"):
            found = house.command("address", "lookup", address, check=False)
            assert (found.returncode, found.stdout) == (1, ""), (address, reply, found.stdout)


@pytest.mark.parametrize("way", WAYS)
def test_R214_error_and_retry_are_said_at_rcpt_as_postfix_does(way):
    aliases = "postmaster: p@far.example\n" + "".join(f"{c}: {c}@far.example\n" for c in NAMES)
    with tables_of({**TABLES, "aliases": aliases}) as tables:
        settings = {k: v.format(t=tables) for k, v in {**SETTINGS, **WAYS[way]}.items()}
        postfix = Postfix(tables, CASES, "".join(f"{k} = {v}\n" for k, v in settings.items()))
        try:
            compare(postfix, tables, settings, SENDERS[way], way)
        finally:
            postfix.close()
