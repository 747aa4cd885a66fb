# SPDX-License-Identifier: ISC
"""What hosts are called and which there are: smtp_dns_reply_filter and smtp_cname_overrides_servername, in Debian's Postfix and here,
with the same name server and the same hosts.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_hosts_beside_postfix.py
"""

import base64
import os
import pathlib
import re
import shutil
import smtplib
import sqlite3
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import free_ports, wait_for
from nameservers import Nsd
from test_sending import Sink, empty, house, send
from witness import Postfix, own_address

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or any(shutil.which(w) is None for w in ("postfix", "nsd", "unshare")),
                                reason="needs root, Postfix and nsd")

ZONE = """best.example. MX 10 a.host.example.
best.example. MX 20 b.host.example.
all.example. MX 10 a.host.example.
all.example. A {b}
noaddress.example. MX 10 gone.host.example.
some.example. MX 10 gone.host.example.
some.example. MX 20 b.host.example.
plain.example. A {a}
two.example. A {a}
two.example. A {b}
null.example. MX 0 .
wrong.example. MX 10 b.host.example.
wrongaddress.example. MX 10 wrong.host.example.
open.example. MX 10 a.host.example.
byalias.example. MX 10 aka.example.
alias.example. CNAME open.example.
aka.example. CNAME aka2.example.
aka2.example. CNAME a.host.example.
a.host.example. A {a}
b.host.example. A {b}
gone.host.example. A {a}
wrong.host.example. A {a}
"""
FILTER = r"""/^best\.example\. \d+ IN MX 10 A\.host\.example\.$/ IGNORE
/^all\.example\. \S+ IN MX/ ignore
/^gone\.host\.example\. \d+ IN A/ IGNORE
/^plain\.example\. \d+ IN A/ IGNORE
/^two\.example\. \d+ IN A {a}$/ IGNORE
/^null\.example\. \d+ IN MX/ IGNORE
/^wrong\.example\. \d+ IN MX/ DROP
/^wrong\.host\.example\. \d+ IN A/ DROP
"""
# The same in a database, which is asked in lower case: '%s' GLOB k.
ROWS = {"best.example. * in mx 10 a.host.example.": "IGNORE", "all.example. * in mx *": "ignore", "gone.host.example. * in a *": "IGNORE",
        "plain.example. * in a *": "IGNORE", "two.example. * in a {a}": "IGNORE", "null.example. * in mx *": "IGNORE",
        "wrong.example. * in mx *": "DROP", "wrong.host.example. * in a *": "DROP"}
FILTERED = ["best", "all", "noaddress", "some", "plain", "two", "null", "wrong", "wrongaddress", "open"]


class World:
    """Two hosts, a name server, and what both kinds of server are told of them."""

    def __init__(self):
        self.tables = tempfile.mkdtemp(prefix="hosts-tables-")
        os.chmod(self.tables, 0o755)
        self.port = free_ports(1)[0]
        self.a, self.b = own_address(), own_address()
        with open(f"{self.tables}/filter", "w") as f:
            f.write(FILTER.replace("{a}", re.escape(self.a)))
        with sqlite3.connect(f"{self.tables}/said.sqlite") as db:
            db.execute("CREATE TABLE said (k TEXT, v TEXT)")
            db.executemany("INSERT INTO said VALUES (?, ?)", [(key.replace("{a}", self.a), value) for key, value in ROWS.items()])
        with open(f"{self.tables}/said.cf", "w") as f:
            f.write(f"dbpath = {self.tables}/said.sqlite\nquery = SELECT v FROM said WHERE '%s' GLOB k\n")
        self.server = Nsd({".": "ns.example. A 127.0.0.1\n" + ZONE.format(a=self.a, b=self.b)}, own_address(), 53)
        self.hosts = [Sink(host=self.a, port=self.port), Sink(host=self.b, port=self.port)]

    def settings(self, more):
        return {"inet_protocols": "ipv4", "smtp_tcp_port": str(self.port), "smtp_connection_cache_on_demand": "no", **more}

    def postfix(self, **more):
        return Postfix(self.server.address, self.settings({"mynetworks": "127.0.0.0/8", "myhostname": "mail.here.example", "mydestination": "",
                                                           "smtp_host_lookup": "dns", "smtpd_peername_lookup": "no", **more}))

    def house(self, **more):
        return house(**self.settings({"dns_resolver": f"{self.server.address}:53", "dns_validation": "no", "inet_interfaces": "127.0.0.1",
                                      "smtp_tls_security_level": "may", "smtp_mta_sts": "no", "minimal_backoff_time": "300s",
                                      "maximal_backoff_time": "300s", **more}))

    def close(self):
        for host in self.hosts:
            host.close()
        self.server.close()
        shutil.rmtree(self.tables, ignore_errors=True)


@pytest.fixture(scope="module")
def world():
    w = World()
    yield w
    w.close()


def ends(log, domain):
    """What became of the letter for x@DOMAIN: its status, its code, and the host."""
    found = re.search(rf"to=<x@{domain}\.example>.* relay=([^,\s]+),.* dsn=([\d.]+), status=(\w+)", log)
    return found and (found[3], found[2], found[1])


def both(world, domains, **settings):
    """What becomes of a letter to each, in Postfix and here."""
    postfix = world.postfix(**settings)
    try:
        with world.house(**settings) as h:
            for domain in domains:
                send(h, [f"x@{domain}.example"])
                with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as s:
                    s.sendmail("a@here.example", [f"x@{domain}.example"], "Subject: hello\n\nhello\n")
            wait_for(lambda: all(ends(log(), d) for d in domains for log in (postfix.log, h.text)), 60)
            return {d: (ends(postfix.log(), d), ends(h.text(), d)) for d in domains}
    finally:
        postfix.close()


# rfc7505:4.1 has 5.1.10 for it, which Postfix does not say.
OTHERWISE = {"null": (("bounced", "5.1.0", "none"), ("bounced", "5.1.10", "none"))}


@pytest.mark.parametrize("table", ["pcre:{}/filter", "sqlite:{}/said.cf"])
def test_what_the_filter_leaves_out_is_not_there(world, table):
    said = both(world, FILTERED, smtp_dns_reply_filter=table.format(world.tables))
    assert said["open"][0] == ("sent", "2.0.0", f"a.host.example[{world.a}]:{world.port}")
    assert said["best"][0][2].startswith("b.host.example[") and said["two"][0][2].startswith(f"two.example[{world.b}]")
    assert {d: pair for d, pair in said.items() if pair[0] != pair[1]} == OTHERWISE


def test_of_a_transport_of_lmtp_its_own_filter_counts(world):
    """smtp_dns_reply_filter is not for it."""
    with Sink(host=world.b, port=free_ports(1)[0], lmtp=True) as lmtp, world.house(
            relay_domains="two.example", relay_transport="lmtp:inet:two.example", lmtp_tcp_port=str(lmtp.port),
            lmtp_dns_reply_filter=f"pcre:{world.tables}/filter", smtp_dns_reply_filter="inline:{nothing=IGNORE}") as h:
        send(h, ["x@two.example"])
        wait_for(lambda: lmtp.got() == ["x@two.example"])
        assert f"lmtp_dns_reply_filter: ignored: two.example. 5 IN A {world.a}" in h.text()


def test_R402_a_filter_in_a_database_that_is_away_puts_off(world):
    with world.house(smtp_dns_reply_filter=f"socketmap:inet:127.0.0.1:{free_ports(1)[0]}:x") as h:
        send(h, ["x@open.example"])
        wait_for(lambda: ends(h.text(), "open"))
        assert ends(h.text(), "open")[0] == "deferred"


@pytest.mark.parametrize("word", ["no", "yes"])
def test_a_host_goes_by_its_alias_or_by_what_that_stands_for(world, word):
    said = both(world, ["byalias", "alias", "open"], smtp_cname_overrides_servername=word)
    assert all(theirs == ours for theirs, ours in said.values()), said
    assert said["byalias"][0][2].startswith("a.host.example[" if word == "yes" else "aka.example[")


@pytest.mark.parametrize("word, name", [("no", "aka.example"), ("yes", "a.host.example")])
def test_the_password_is_looked_for_by_that_name(world, word, name):
    seen = []

    def reply(verb, argument, session):
        if verb == "AUTH":
            seen.append(base64.b64decode(argument.split()[1]).decode())
            return "235 2.7.0 welcome"
        return None
    port = free_ports(1)[0]
    with Sink(reply, offers=("AUTH PLAIN",), host=world.a, port=port) as sink, world.house(
            smtp_tcp_port=str(port), smtp_cname_overrides_servername=word, smtp_sasl_auth_enable="yes",
            smtp_sasl_password_maps="inline:{{%s=jack:way-station}}" % name, smtp_sasl_security_options="noanonymous") as h:
        send(h, ["x@byalias.example"])
        wait_for(lambda: empty(h))
        assert sink.got() == ["x@byalias.example"] and seen == ["\0jack\0way-station"]
