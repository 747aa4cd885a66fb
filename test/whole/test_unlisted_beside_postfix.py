# SPDX-License-Identifier: ISC
"""Who is unlisted, beside Postfix: senders and recipients whose transport takes nothing, and names of this machine when
local_recipient_maps cannot be asked but alias_maps know them."""

import os
import shutil
import socket
import time

import pytest
from beside import Postfix, Talk, tables_of
from house import House, free_ports

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")



def grave():
    """Bound, and nobody listens: connections are refused, and no other test gets the port.  Not one where a connection has just
    ended: it could be had only by an option that would let others have it, too."""
    for port in free_ports(50):
        s = socket.socket()
        try:
            s.bind(("127.0.0.1", port))
            return s
        except OSError:
            s.close()
    raise RuntimeError("no port without a past")


GRAVE = grave()
DEAD = f"socketmap:inet:127.0.0.1:{GRAVE.getsockname()[1]}:x"
TABLES = {
    "transport": """a@here.example error:5.7.9 not today
b@here.example error:closed
c@here.example error:
e@here.example retry:4.3.9 come again
nosuch@here.example error:5.7.1 he left
g@here.example discard:
known@relay.example error:5.4.4 no way
unknown@relay.example error:5.4.4 no way to nobody
later@relay.example retry:4.4.4 not now
shut.example error:5.1.2 domain is closed
words.example error:no status here
retry.example retry:
m@boxes.example error:4.7.9 for a moment
nosuch@boxes.example error:5.7.2 no box
""",
    "boxes": "m@boxes.example x\nn@boxes.example x\n",
    "relayed": "known@relay.example x\nlater@relay.example x\nfine@relay.example x\n",
}
NAMES = "abceg"
ASKED = [*(f"{c}@here.example" for c in NAMES), "nosuch@here.example", "nobody@here.example", "known@relay.example", "unknown@relay.example",
         "other@relay.example", "later@relay.example", "fine@relay.example", "x@shut.example", "x@words.example", "x@retry.example",
         "m@boxes.example", "n@boxes.example", "nosuch@boxes.example", "other@boxes.example", "x@elsewhere.example"]
RULES = ("smtpd_relay_restrictions", "smtpd_recipient_restrictions", "smtpd_sender_restrictions", "smtpd_reject_unlisted_sender",
         "smtpd_reject_unlisted_recipient", "local_recipient_maps", "mynetworks")
OPEN = {"mynetworks": "127.0.0.0/8", "smtpd_relay_restrictions": "permit_mynetworks, reject"}
CASES = {
    "a list asks of senders": {**OPEN, "smtpd_sender_restrictions": "reject_unlisted_sender"},
    "a setting asks of senders": {**OPEN, "smtpd_reject_unlisted_sender": "yes"},
    "recipients of strangers": {"smtpd_relay_restrictions": "reject_unauth_destination"},
    "recipients of the network": OPEN,
    "recipients of the network, unlisted ones too": {**OPEN, "smtpd_reject_unlisted_recipient": "no"},
    "a list asks of recipients": {**OPEN, "smtpd_recipient_restrictions": "reject_unlisted_recipient, permit"},
    "local_recipient_maps are dead": {"local_recipient_maps": DEAD, **OPEN},
    "dead before alias_maps": {"local_recipient_maps": f"{DEAD} $alias_maps", **OPEN},
    "dead behind alias_maps": {"local_recipient_maps": f"$alias_maps {DEAD}", **OPEN},
    "dead, strangers": {"local_recipient_maps": DEAD, "smtpd_relay_restrictions": "reject_unauth_destination"},
    "dead, senders": {"local_recipient_maps": DEAD, **OPEN, "smtpd_sender_restrictions": "reject_unlisted_sender"},
}


@pytest.fixture(scope="module")
def both():
    aliases = "postmaster: p@far.example\nu: u@far.example\n" + "".join(f"{c}: {c}@far.example\n" for c in NAMES)
    with tables_of({**TABLES, "aliases": aliases}) as tables:
        settings = {"transport_maps": f"hash:{tables}/transport", "virtual_mailbox_domains": "boxes.example",
                    "virtual_mailbox_maps": f"hash:{tables}/boxes", "relay_domains": "relay.example", "relay_recipient_maps": f"hash:{tables}/relayed",
                    "smtpd_error_sleep_time": "0", "smtpd_soft_error_limit": "1000", "smtpd_hard_error_limit": "1000"}
        # The port of a case is Postfix's service for it, whose -o is what House is told by main.cf.
        postfix = Postfix(tables, {name: (own, []) for name, own in CASES.items()}, "".join(f"{k} = {v}\n" for k, v in settings.items()))
        common = {"myhostname": "mail.here.example", "mydomain": "here.example", "myorigin": "$mydomain",
                  "mydestination": "$myhostname, here.example", "recipient_delimiter": "+", "alias_maps": f"hash:{tables}/aliases",
                  "local_recipient_maps": "$alias_maps", "smtpd_sender_login_check": "none", "smtpd_sasl_auth_enable": "no", "local_transport": "local:"}
        try:
            with House(**{**common, **settings}) as house:
                yield postfix, house
        finally:
            postfix.close()


@pytest.mark.parametrize("case", CASES)
def test_who_is_unlisted_is_told_so_as_by_postfix(both, case):
    postfix, house = both
    own = CASES[case]
    if "senders" in case:
        said = [line for a in ASKED for line in (f"MAIL FROM:<{a}>", "RCPT TO:<u@here.example>", "RSET")]
    else:
        said = ["MAIL FROM:<a@x.example>", *(f"RCPT TO:<{a}>" for a in ASKED)]
    said.insert(0, "EHLO client.example")
    house.write_settings(**{"local_recipient_maps": "$alias_maps", **{name: own.get(name) for name in RULES if name in own or name != "local_recipient_maps"}})
    house.command("reload")
    theirs = Talk(postfix.ports[case]).all(said)
    for _ in range(5):                     # a busy machine has not reloaded everywhere yet
        ours = Talk(house.ports["smtp"]).all(said)
        if ours == theirs:
            break
        time.sleep(1)
    different = [p for p in zip(["", *said], theirs, ours) if p[1].rstrip() != p[2].rstrip()]
    assert different == [], "\n".join(map(str, different))
