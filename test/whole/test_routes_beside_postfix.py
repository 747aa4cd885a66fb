# SPDX-License-Identifier: ISC
"""Where letters go, and what becomes of those that cannot: Debian's Postfix and we ask the same name server, and have the same hosts before us.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_routes_beside_postfix.py
"""

import os
import re
import shutil
import smtplib
import sys

import pytest
from house import wait_for
from test_sending import Sink, house
from witness import NameServer, Postfix, own_address

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or any(shutil.which(w) is None for w in ("postfix", "nsd", "unshare")),
                                reason="needs root, Postfix and nsd")

# FIVE and FOUR are addresses of hosts that take mail, at TWO nobody is; 127.0.0.1 is ourselves.
FIVE, FOUR, TWO = own_address(), own_address(), own_address()
RECORDS = f"""ns.example. A 127.0.0.1
ns.bad.example. A 127.0.0.1
ns.good.example. A 127.0.0.1
mail.here.example. A 127.0.0.1
five.example. A {FIVE}
four.example. A {FOUR}
two.example. A {TWO}
one.example. A 127.0.0.1
aka.example. CNAME five.example.
onlytxt.example. TXT "nothing else"
null.example. MX 0 .
null.example. A {FIVE}
lost.example. MX 10 nowhere.example.
half.example. MX 10 nowhere.example.
half.example. MX 20 five.example.
byalias.example. MX 10 aka.example.
alias.example. CNAME half.example.
dangling.example. CNAME nowhere.example.
literal.example. MX 10 {FIVE}.
dead.example. MX 10 two.example.
deadfirst.example. MX 10 two.example.
deadfirst.example. MX 20 five.example.
own.example. MX 10 mail.here.example.
worse.example. MX 10 mail.here.example.
worse.example. MX 20 five.example.
backed.example. MX 10 two.example.
backed.example. MX 20 mail.here.example.
backed.example. MX 30 five.example.
better.example. MX 10 five.example.
better.example. MX 20 mail.here.example.
byaddress.example. MX 10 one.example.
six.example. AAAA 2001:db8::6
"""
DOMAINS = ["five.example", "nothing.example", "onlytxt.example", "null.example", "lost.example", "half.example", "byalias.example", "alias.example",
           "dangling.example", "literal.example", "dead.example", "deadfirst.example", "own.example", "worse.example", "backed.example", "better.example",
           "byaddress.example", "six.example", f"[{FIVE}]", "a.broken.example"]
# name -> (settings, domains).
CASES = {
    "by the DNS": ({}, DOMAINS),
    "a relay host that is not there": ({"relayhost": "nowhere.example"}, ["five.example"]),
    "one in brackets": ({"relayhost": "[nowhere.example]"}, ["five.example"]),
    "one that takes no mail": ({"relayhost": "null.example"}, ["five.example"]),
    "one that is ourselves": ({"relayhost": "own.example"}, ["five.example"]),
    "one by its MX": ({"relayhost": "deadfirst.example"}, ["nothing.example", "null.example"]),
    "one in brackets has no MX": ({"relayhost": "[four.example]"}, ["five.example"]),
    "one that nobody can look up": ({"relayhost": "a.broken.example"}, ["five.example"]),
    "a fallback": ({"smtp_fallback_relay": "[four.example]"}, ["five.example", "nothing.example", "null.example", "dead.example", "worse.example", "lost.example", "six.example"]),
    "a fallback that is not there": ({"smtp_fallback_relay": "nowhere.example"}, ["nothing.example", "null.example", "own.example", "five.example"]),
    "a table that leads to nowhere": ({"transport_maps": "inline:{five.example=smtp:nowhere.example}"}, ["five.example"]),
    "a table of several hosts": ({"transport_maps": "inline:{{nothing.example=smtp:[two.example], [four.example]}}"}, ["nothing.example"]),
    "a relay host of nobody's": ({"sender_dependent_relayhost_maps": "inline:{ {<>=[four.example]} }"}, ["five.example"]),
    "nobody by another word": ({"sender_dependent_relayhost_maps": "inline:{ {<>=[two.example]}, {nobody=[four.example]} }",
                                "empty_address_relayhost_maps_lookup_key": "nobody"}, ["five.example"]),
    "a transport of nobody's": ({"sender_dependent_default_transport_maps": "inline:{ {<>=smtp:[four.example]} }"}, ["five.example"]),
    "that by another word": ({"sender_dependent_default_transport_maps": "inline:{ {nobody=smtp:[four.example]} }",
                              "empty_address_default_transport_maps_lookup_key": "nobody"}, ["five.example"]),
    "without IPv6": ({"inet_protocols": "ipv4"}, ["six.example", "five.example"]),
    "no MX address is waited for": ({"smtp_defer_if_no_mx_address_found": "yes"}, ["lost.example"]),
}
# Where we mean to say something else: a domain that does not exist is told so (rfc3463:3.2) and not that there was no road, and one that takes no mail,
# too (rfc7505:4.1).
OTHER_CODES = {"5.4.4": "5.1.2", "5.1.0": "5.1.10"}


@pytest.fixture(scope="module")
def names():
    with NameServer(RECORDS, own_address(), 53) as server:
        yield server


def send(port, domains):
    for domain in domains:
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as s:
            s.ehlo("client.example")
            assert s.docmd("MAIL FROM:<>")[0] == 250
            assert s.docmd(f"RCPT TO:<x@{domain}>")[0] == 250, domain
            assert s.data("Subject: x\r\n\r\nx\r\n")[0] == 250


def ends(text, domains):
    """domain -> (who took it, code, end), or None while there is none."""
    found = {}
    for domain in domains:
        m = re.search(rf"to=<x@{re.escape(domain)}>, (?:orig_to=<[^>]*>, )?relay=([^,]+), .*dsn=([\d.]+), status=(\w+)", text)
        # What was tried in vain is named by us, and is "none" of Postfix.
        found[domain] = m and (m.group(1) if m.group(3) == "sent" else "", m.group(2), m.group(3))
    return found if all(found.values()) else None


@pytest.mark.parametrize("case", CASES)
def test_a_letter_goes_where_postfix_takes_it(names, case):
    settings, domains = CASES[case]
    settings = {"myhostname": "mail.here.example", "smtp_tls_security_level": "none", "mydestination": "here.example", "inet_protocols": "all", **settings}
    with Sink(host=FIVE, port=25), Sink(host=FOUR, port=25):
        postfix = Postfix(names.address, {**settings, "mynetworks": "127.0.0.0/8", "smtp_host_lookup": "dns", "smtpd_peername_lookup": "no"})
        try:
            send(postfix.port, domains)
            theirs = wait_for(lambda: ends(postfix.log(), domains), 90)
        finally:
            log = postfix.log()
            postfix.close()
        with house(**settings, dns_resolver=f"{names.address}:53", dns_validation="no", minimal_backoff_time="300s") as h:
            send(h.ports["smtp"], domains)
            ours = wait_for(lambda: ends(h.text(), domains), 90)
    differ = {d: (theirs[d], ours[d]) for d in domains if ours[d] != theirs[d] and ours[d] != (theirs[d][0], OTHER_CODES.get(theirs[d][1]), theirs[d][2])}
    print(log) if differ else None
    assert not differ, "\n".join(f"{d}: Postfix {a}, we {b}" for d, (a, b) in differ.items())


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q", *sys.argv[1:]]))
