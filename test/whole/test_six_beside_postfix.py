# SPDX-License-Identifier: ISC
"""Clients that come by IPv6: networks, tables, literals and limits, beside Debian's Postfix with the same lines.  A proxy tells both who
the client is, so that no address of the kind is needed here.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_six_beside_postfix.py
"""

import contextlib
import os
import shutil
import socket

import pytest
from beside import Postfix, plain, settings_for, tables_of
from house import House
from ports import free_ports

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

HERE, NEAR, FAR, MAPPED = "2001:db8:1:2::1", "2001:db8:1:2:3::4", "2001:db8:9::1", "::ffff:192.0.2.1"
NET, SIBLING = "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"        # of HERE's /64, and beside it
MAIL, AWAY = "MAIL FROM:<a@x.example>", "RCPT TO:<a@away.example>"
US = "RCPT TO:<u@here.example>"
EHLO = "EHLO test.example"
RELAY = [EHLO, MAIL, AWAY]
TABLES = {
    "aliases": "u: u@far.example\npostmaster: p@far.example\n",
    "six": f"2001:db8:1 REJECT of that network\n{FAR} 450 4.7.0 later\n2001:db8:7:0:0:0:0:1 REJECT in full\n",
    "literal": "x@[IPv6:2001:db8::1] REJECT that one\n[IPv6:2001:db8::2] REJECT that host\n",
}
PLAIN = {"cidr": "[2001:db8:1::]/48 REJECT by cidr\n2001:db8:9::/64 450 4.7.0 by cidr\n::ffff:192.0.2.0/120 REJECT mapped\n::/0 DUNNO\n",
         "nets": "[2001:db8:9::]/48\n# none\n[2001:db8:1:2::1]\n"}


def relays(networks):
    return {"mynetworks": networks, "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination"}


def rule(words, **more):
    return {"smtpd_recipient_restrictions": f"{words}, reject_unauth_destination", **more}


# Settings; who comes, one after the other, and what each says.  True: the connection stays while the next come.
CASES = {
    "a network of ours": (relays("[2001:db8:1::]/48"), [(HERE, RELAY), (NEAR, RELAY), (FAR, RELAY)]),
    "one address": (relays(f"[{HERE}]"), [(HERE, RELAY), (NEAR, RELAY)]),
    "one address in full": (relays("[2001:0db8:0001:0002:0000:0000:0000:0001]/128"), [(HERE, RELAY), (NEAR, RELAY)]),
    "all but one": (relays(f"![{HERE}], [2001:db8::]/32"), [(HERE, RELAY), (NEAR, RELAY), (FAR, RELAY)]),
    "all but a network": (relays("![2001:db8:1:2::]/64 [2001:db8::]/32"), [(HERE, RELAY), (NEAR, RELAY), (FAR, RELAY)]),
    "a prefix within an octet": (relays("[2001:db8:8::]/45"), [("2001:db8:f::1", RELAY), ("2001:db8:10::1", RELAY)]),
    "this machine": (relays("[::1]/128"), [("::1", RELAY), ("::2", RELAY)]),
    "a file of networks": (relays("{t}/nets"), [(HERE, RELAY), (NEAR, RELAY), (FAR, RELAY)]),
    "a table of networks": (relays("cidr:{t}/nets_cidr"), [(HERE, RELAY), (FAR, RELAY)]),
    "networks of the other kind": (relays("0.0.0.0/2, 192.0.2.0/24"), [(HERE, RELAY), ("::c000:201", RELAY)]),
    "a mapped address is what it maps": (relays("192.0.2.0/24"), [(MAPPED, RELAY)]),
    "cidr": (rule("check_client_access cidr:{t}/cidr"), [(HERE, [EHLO, MAIL, US]), (FAR, [EHLO, MAIL, US]), ("2001:db8:5::1", [EHLO, MAIL, US]), ("192.0.2.9", [EHLO, MAIL, US])]),
    "by the front of the address": (rule("check_client_access hash:{t}/six"), [(HERE, [EHLO, MAIL, US]), (FAR, [EHLO, MAIL, US]), ("2001:db8:7::1", [EHLO, MAIL, US]), ("2001:db8:17::1", [EHLO, MAIL, US])]),
    "inline cidr": (rule("check_client_access cidr:{{ {{ 2001:db8:9::/48 REJECT inline }} }}"), [(FAR, [EHLO, MAIL, US]), (HERE, [EHLO, MAIL, US])]),
    "pcre": (rule("check_client_access pcre:{{ {{ /^2001:db8:9:/ REJECT pcre }} }}"), [(FAR, [EHLO, MAIL, US]), (HERE, [EHLO, MAIL, US])]),
    "literals in HELO": (rule("reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname"),
                         [(HERE, [f"EHLO {name}", MAIL, US]) for name in (f"[IPv6:{HERE}]", f"[{HERE}]", "[IPv6:]", "[IPv6:2001:db8::g]", "[IPv6:::ffff:192.0.2.1]", "[ipv6:::1]", HERE)]),
    "literals of senders": (rule("reject_non_fqdn_sender, check_sender_access hash:{t}/literal"),
                            [(HERE, [EHLO, f"MAIL FROM:<x@{d}>", US]) for d in ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::2]", "[IPv6:2001:db8::3]", "[2001:db8::1]", "[IPv6:zz]", "[192.0.2.300]")]),
    "literals of recipients": (rule("reject_non_fqdn_recipient"),
                               [(HERE, [EHLO, MAIL, *[f"RCPT TO:<u@{d}>" for d in ("[IPv6:2001:db8::1]", "[IPv6:2001:db8:9::1]", "[2001:db8::1]", "[IPv6:]", "[::1]")]])]),
    "letters of one client": ({"smtpd_client_message_rate_limit": "1"}, [(HERE, [EHLO, MAIL, "RSET", MAIL]), (HERE, [EHLO, MAIL]), (FAR, [EHLO, MAIL])]),
    "connections of one client": ({"smtpd_client_connection_count_limit": "1"}, [(HERE, ["NOOP", True]), (HERE, []), (FAR, ["NOOP"])]),
    "who is excepted": ({"smtpd_client_message_rate_limit": "1", "smtpd_client_event_limit_exceptions": "[2001:db8:9::]/48"},
                        [(HERE, [EHLO, MAIL, "RSET", MAIL]), (FAR, [EHLO, MAIL, "RSET", MAIL])]),
    "XCLIENT by IPv6": ({"smtpd_authorized_xclient_hosts": "[2001:db8:1::]/48", **rule("check_client_access cidr:{t}/cidr")},
                        [(HERE, [EHLO, f"XCLIENT ADDR=IPV6:{FAR}", EHLO, MAIL, US]), (HERE, [EHLO, "XCLIENT ADDR=IPV6:192.0.2.1"]),
                         (HERE, [EHLO, "XCLIENT ADDR=IPV6:2001:db8::g"]), (FAR, [EHLO, f"XCLIENT ADDR=IPV6:{HERE}"])]),
    "XFORWARD by IPv6": ({"smtpd_authorized_xforward_hosts": "[2001:db8:1::]/48"},
                         [(HERE, [EHLO, f"XFORWARD ADDR=IPV6:{FAR} NAME=x.example", MAIL]), (FAR, [EHLO, f"XFORWARD ADDR=IPV6:{HERE}"])]),
}
LISTENERS = 13
ALL = {"smtpd_relay_restrictions": "reject_unauth_destination", "smtpd_error_sleep_time": "0", "smtpd_upstream_proxy_protocol": "haproxy", "smtpd_authorized_xclient_hosts": ""}


class Client:
    def __init__(self, port, source):
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        six = "TCP6" if ":" in source else "TCP4"
        self.sock.sendall(f"PROXY {six} {source} {'2001:db8::25' if ':' in source else '192.0.2.25'} 40000 25\r\n".encode())
        self.file = self.sock.makefile("rb")
        self.heard = [self.reply()]

    def reply(self):
        try:
            while True:
                line = self.file.readline().decode()
                if line[3:4] != "-":
                    return plain(line.rstrip("\r\n"))
        except ConnectionError:
            return ""

    def say(self, words):
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(words.encode() + b"\r\n")
        self.heard.append(self.reply())


def all_of(port, clients):
    heard, held = [], []
    for source, said in clients:
        client = Client(port, source)
        for words in said:
            if words is not True:
                client.say(words)
        heard.append(client.heard)
        if True in said:
            held.append(client)
        else:
            client.say("QUIT")
            client.sock.close()
    for client in held:
        client.sock.close()
    return heard


@pytest.fixture(scope="module")
def both():
    with tables_of(TABLES, nets_cidr="2001:db8:1::/48 OK\n", **PLAIN) as tables:
        settings = dict(line.split(" =", 1) for line in settings_for(tables).strip().split("\n"))
        settings = {name: value.strip() for name, value in settings.items()}
        postfix = Postfix(tables, CASES, "".join(f"{n} = {v}\n" for n, v in ALL.items()) + "inet_protocols = all\n")
        ports = dict(zip(CASES, free_ports(len(CASES))))
        cases = list(CASES)
        try:
            with contextlib.ExitStack() as houses:
                for at in range(0, len(cases), LISTENERS):
                    houses.enter_context(street(tables, {**settings, **ALL}, {case: ports[case] for case in cases[at:at + LISTENERS]}))
                yield postfix, ports
        finally:
            postfix.close()


@contextlib.contextmanager
def street(tables, settings, ports, cases=CASES):
    """A listener for each case."""
    names = {case: f"case{i}" for i, case in enumerate(ports)}
    house = House(**settings, dns_resolver="none", smtpd_peername_lookup="no", listeners=" ".join(names.values()))
    with open(house.config, "a") as f:
        for case, name in names.items():
            f.write(f"{name}/listener_service = smtp\n{name}/listener_address = 127.0.0.1:{ports[case]}\n")
            f.write("".join(f"{name}/{n} = {v.format(t=tables)}\n" for n, v in cases[case][0].items()))
    with house:
        house.at_work()
        yield house


@pytest.mark.parametrize("case", CASES)
def test_clients_by_ipv6_hear_what_postfix_says(both, case):
    postfix, ports = both
    theirs, ours = (all_of(port, CASES[case][1]) for port in (postfix.ports[case], ports[case]))
    # Domains are in lower case here, and literals with them.
    theirs, ours = ([[line.replace("[IPv6:", "[ipv6:") for line in one] for one in all_] for all_ in (theirs, ours))
    assert [(who, o, t) for (who, _), o, t in zip(CASES[case][1], ours, theirs) if o != t] == []


# What Postfix takes for the name of a table, or does not look at; and limits, which are for a network here.
MORE = {
    "no brackets": (relays("2001:db8:1::/48"), [(HERE, RELAY), (FAR, RELAY)], ["250", "554"]),
    "no brackets, and not one": (relays(f"!{HERE} 2001:db8::/32"), [(HERE, RELAY), (NEAR, RELAY)], ["554", "250"]),
    "too few parts in HELO": (rule("reject_invalid_helo_hostname"), [(HERE, ["EHLO [IPv6:1:2:3]", MAIL, US])], ["501"]),
    "XCLIENT without IPV6:": ({"smtpd_authorized_xclient_hosts": "[2001:db8:1::]/48", **relays("[2001:db8:9::]/48")}, [(HERE, [EHLO, f"XCLIENT ADDR={FAR}", *RELAY])], ["250"]),
    "one /64 counts together": ({"smtpd_client_message_rate_limit": "1"}, [(HERE, [EHLO, MAIL]), (NET, [EHLO, MAIL]), (SIBLING, [EHLO, MAIL])], ["250", "450", "250"]),
    "one /48 where so set": ({"smtpd_client_message_rate_limit": "1", "smtpd_client_ipv6_prefix_length": "48"}, [(HERE, [EHLO, MAIL]), (SIBLING, [EHLO, MAIL]), (FAR, [EHLO, MAIL])], ["250", "450", "250"]),
    "each address where so set": ({"smtpd_client_message_rate_limit": "1", "smtpd_client_ipv6_prefix_length": "128"}, [(HERE, [EHLO, MAIL]), (NET, [EHLO, MAIL]), (HERE, [EHLO, MAIL])], ["250", "250", "450"]),
    "connections of a /64": ({"smtpd_client_connection_count_limit": "1"}, [(HERE, ["NOOP", True]), (NET, []), (SIBLING, ["NOOP"])], ["250", "421", "250"]),
    "recipients of a /64": ({"smtpd_client_recipient_rate_limit": "1"}, [(HERE, [EHLO, MAIL, US]), (NET, [EHLO, MAIL, US]), (SIBLING, [EHLO, MAIL, US])], ["250", "450", "250"]),
    "the greylist knows a /64": ({"greylist_delay": "0", **rule("check_greylist")}, [(HERE, [EHLO, MAIL, US]), (NET, [EHLO, MAIL, US]), (SIBLING, [EHLO, MAIL, US])], ["450", "250", "450"]),
}


@pytest.fixture(scope="module")
def alone():
    with tables_of(TABLES, nets_cidr="2001:db8:1::/48 OK\n", **PLAIN) as tables:
        settings = {name: value.strip() for name, value in (line.split(" =", 1) for line in settings_for(tables).strip().split("\n"))}
        ports = dict(zip(MORE, free_ports(len(MORE))))
        with street(tables, {**settings, **ALL}, ports, MORE):
            yield ports


@pytest.mark.parametrize("case", MORE)
def test_what_is_our_own(alone, case):
    _, clients, wanted = MORE[case]
    last = [next(line for line in reversed(heard) if line not in ("", "221")) for heard in all_of(alone[case], clients)]
    assert [line[:3] for line in last] == wanted
