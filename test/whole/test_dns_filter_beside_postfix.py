# SPDX-License-Identifier: ISC
"""smtpd_dns_reply_filter: records of the DNS that are taken for not there, in Debian's Postfix and here, with the same name server.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_dns_filter_beside_postfix.py
"""

import os
import shutil
import sqlite3
import subprocess
import tempfile

import pytest
from house import House, free_ports, wait_for
from witness import RECORDS, NameServer, Postfix, ask, own_address

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or any(shutil.which(w) is None for w in ("postfix", "nsd", "unshare")),
                                reason="needs root, Postfix and nsd")

FILTER = r"""/^9\.0\.0\.127\.dnsbl\.example\. \d+ IN A 127\.0\.0\.4$/ IGNORE
/^good\.example\. \d+ IN MX 10 MX\.good\.example\.$/ ignore
/^client\.example\. \S+ IN MX/ IGNORE
/^plain\.example\. \d+ IN A 192\.0\.2\.44$/ IGNORE
/^six\.example\. \d+ IN AAAA 2001:db8::44$/ IGNORE
/^nullmx\.example\. \d+ IN MX/ IGNORE
/^bad\.example\.rhsbl\.example\. \d+ IN TXT bad domain$/ IGNORE
/^badmxhost\.example\. \d+ IN MX/ DROP
/^mx\.spam\.example\. \d+ IN A/ IGNORE
/^two\.example\. \d+ IN A 192\.0\.2\.1$/ IGNORE
"""
# The same for a database, which is asked in lower case: `'%s' GLOB k`.
ROWS = {
    "9.0.0.127.dnsbl.example. * in a 127.0.0.4": "IGNORE", "good.example. * in mx 10 *.good.example.": "ignore", "client.example. * in mx *": "IGNORE",
    "plain.example. * in a 192.0.2.44": "IGNORE", "six.example. * in aaaa 2001:db8::44": "IGNORE", "nullmx.example. * in mx *": "IGNORE",
    "bad.example.rhsbl.example. * in txt bad domain": "IGNORE", "badmxhost.example. * in mx *": "DROP", "mx.spam.example. * in a *": "IGNORE",
    "two.example. * in a 192.0.2.1": "IGNORE",
}
ANOTHER = r"""/^two\.example\. \d+ IN A 192\.0\.2\.7$/ IGNORE
/^plain\.example\. \d+ IN A/ IGNORE
"""
# Listeners that have a filter of their own.
DOORS = {"all": None, "another": "pcre:{t}/another", "none": ""}
MORE = "two.example. A 192.0.2.1\ntwo.example. A 192.0.2.7\nmxspam.example. MX 10 mx.spam.example.\n"
NINE, TEN = "127.0.0.9", "127.0.0.10"
# Rules, and what is told of whom.
CASES = {
    "a list's answer": ("reject_rbl_client dnsbl.example", {"client": NINE}),
    "another answer of the list": ("reject_rbl_client dnsbl.example", {"client": TEN}),
    "a list's text": ("reject_rhsbl_sender rhsbl.example", {"sender": "x@bad.example"}),
    "an exchanger, and an address is left": ("reject_unknown_sender_domain", {"sender": "x@good.example"}),
    "all exchangers": ("reject_unknown_sender_domain", {"sender": "x@client.example"}),
    "all addresses": ("reject_unknown_sender_domain", {"sender": "x@plain.example"}),
    "all of IPv6": ("reject_unknown_sender_domain", {"sender": "x@six.example"}),
    "one of two": ("reject_unknown_sender_domain", {"sender": "x@two.example"}),
    "the word that there is none": ("reject_unknown_sender_domain", {"sender": "x@nullmx.example"}),
    "another word than IGNORE": ("reject_unknown_sender_domain", {"sender": "x@badmxhost.example"}),
    "a name of hello": ("reject_unknown_helo_hostname", {"helo": "plain.example"}),
    "a name of hello with an exchanger": ("reject_unknown_helo_hostname", {"helo": "client.example"}),
    "a name of hello that stays": ("reject_unknown_helo_hostname", {"helo": "mail.client.example"}),
    "an exchanger's address": ("check_sender_mx_access hash:{t}/servers", {"sender": "x@mxspam.example"}),
    "an address": ("check_sender_a_access hash:{t}/servers", {"sender": "x@two.example"}),
    "the address that stays": ("check_sender_a_access hash:{t}/stays", {"sender": "x@two.example"}),
    "no name": ("reject_unknown_sender_domain", {"sender": "x@gone.example"}),
}


def name(case):
    return "c_" + "".join(c if c.isalpha() else "_" for c in case)


@pytest.fixture(scope="module", params=["pcre", "sqlite"])
def both(request):
    tables = tempfile.mkdtemp(prefix="filter-tables-")
    os.chmod(tables, 0o755)
    server = postfix = None
    try:
        files = {"filter": FILTER, "another": ANOTHER, "servers": "192.0.2.99 REJECT spammers' address\n192.0.2.1 REJECT one\n", "stays": "192.0.2.7 REJECT seven\n",
                 "cases": "".join(f"{name(c)}@vm.example {name(c)}\n" for c in CASES), "mailbox": "@vm.example vm/all/\n"}
        for file, content in files.items():
            with open(f"{tables}/{file}", "w") as f:
                f.write(content)
            if file not in ("filter", "another"):
                subprocess.run(["postmap", f"hash:{tables}/{file}"], check=True)
        with sqlite3.connect(f"{tables}/said.sqlite") as db:
            db.execute("CREATE TABLE said (k TEXT, v TEXT)")
            db.executemany("INSERT INTO said VALUES (?, ?)", ROWS.items())
        with open(f"{tables}/said.cf", "w") as f:
            f.write(f"dbpath = {tables}/said.sqlite\nquery = SELECT v FROM said WHERE '%s' GLOB k\n")
        settings = {
            "myhostname": "mail.here.example", "mydomain": "here.example", "mydestination": "here.example",
            "virtual_mailbox_domains": "vm.example", "virtual_mailbox_maps": f"hash:{tables}/mailbox", "mynetworks": "192.0.2.200/32",
            "smtpd_restriction_classes": ", ".join(name(c) for c in CASES), "smtpd_relay_restrictions": "",
            **{name(c): rules.format(t=tables) for c, (rules, _) in CASES.items()},
            "smtpd_recipient_restrictions": f"check_recipient_access hash:{tables}/cases, reject_unauth_destination",
            "smtpd_dns_reply_filter": f"pcre:{tables}/filter" if request.param == "pcre" else f"sqlite:{tables}/said.cf",
        }
        server = NameServer(RECORDS + MORE, own_address(), 53)
        doors = {d: f.format(t=tables) for d, f in DOORS.items() if f is not None}
        ports = {side: dict(zip(doors, free_ports(len(doors)))) for side in ("theirs", "ours")}
        services = "".join(f"127.0.0.1:{ports['theirs'][d]} inet n - n - - smtpd\n  -o {{ smtpd_dns_reply_filter = {f} }}\n" for d, f in doors.items())
        postfix = Postfix(server.address, settings, services)
        settings |= {f"{d}/{n}": v for d, f in doors.items() for n, v in (("listener_service", "smtp"), ("listener_address", f"127.0.0.1:{ports['ours'][d]}"),
                                                                         ("smtpd_dns_reply_filter", f))}
        with House(listeners=" ".join(doors), dns_resolver=f"{server.address}:53", smtpd_authorized_xclient_hosts="127.0.0.0/8", smtpd_client_connection_count_limit="0",
                   **settings) as house:
            house.at_work()
            wait_for(lambda: ask(house.ports["smtp"], f"{name('one of two')}@vm.example", sender="x@two.example").startswith("250"))
            ports["theirs"]["all"], ports["ours"]["all"] = postfix.port, house.ports["smtp"]
            yield ports
    finally:
        if postfix:
            postfix.close()
        if server:
            server.close()
        shutil.rmtree(tables, ignore_errors=True)


@pytest.mark.parametrize("case, door", [(c, d) for d in DOORS for c in CASES if d == "all" or c in ("all addresses", "an address", "the address that stays", "a list's answer")])
def test_what_is_left_out_is_not_there(both, case, door):
    theirs, ours = (ask(both[side][door], f"{name(case)}@vm.example", **CASES[case][1]) for side in ("theirs", "ours"))
    if theirs.startswith("250"):
        assert ours.startswith("250"), (ours, theirs)
    else:
        assert ours == theirs


def test_R402_a_filter_that_is_away_puts_off():
    """A record of which cannot be told whether it counts: nobody is refused for good by it."""
    server = NameServer(RECORDS + MORE, own_address(), 53)
    try:
        with House(dns_resolver=f"{server.address}:53", mydestination="here.example", virtual_mailbox_domains="vm.example", virtual_mailbox_maps="inline:{@vm.example=x}",
                   mynetworks="192.0.2.200/32", smtpd_recipient_restrictions="reject_unknown_sender_domain",
                   smtpd_dns_reply_filter=f"socketmap:inet:127.0.0.1:{free_ports(1)[0]}:x") as house:
            for sender in ("x@plain.example", "x@good.example"):
                assert ask(house.ports["smtp"], "a@vm.example", sender=sender).startswith("450 4.1.8"), sender
    finally:
        server.close()
