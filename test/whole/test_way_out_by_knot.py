# SPDX-License-Identifier: ISC
"""The way out where the far zones are knot's, which signs them, and unbound proves what it says: exchangers in their order, ourselves as the second of
them, addresses of our own for domains and senders, and a host that is known by its TLSA record."""

import os
import random
import re
import shutil

import pytest

from house import free_ports, wait_for
from nameservers import Knot, Unbound
from proved import Authority, Host, tlsa
from test_sending import Sink, empty, house, send

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("knotd"), reason="needs root and knot")
NET = f"127.{random.randrange(20, 250)}.{random.randrange(1, 250)}"
PORT = free_ports(1)[0]


@pytest.fixture(scope="module")
def far():
    """What mansio is told of the name service, and the certificate that the zone proves."""
    with Authority() as ca:
        cert, key = ca.certificate("mx.proved.example")
        zone = "".join(f"four.example. MX {p} {n}.four.example.\n{n}.four.example. A {NET}.{i}\n" for i, (n, p) in enumerate([("a", 10), ("b", 10), ("c", 20), ("d", 30)], 1))
        zone += f"backed.example. MX 10 first.backed.example.\nbacked.example. MX 20 second.backed.example.\nbacked.example. MX 30 third.backed.example.\n"
        zone += f"first.backed.example. A {NET}.11\nsecond.backed.example. A {NET}.12\nthird.backed.example. A {NET}.13\n"
        zone += f"ours.example. MX 10 second.backed.example.\nalias.example. CNAME ours.example.\n"
        zone += "".join(f"{d}.example. MX 10 mx.{d}.example.\nmx.{d}.example. A {NET}.21\n" for d in ("one", "two", "three"))
        zone += f"implicit.example. A {NET}.21\nnull.example. MX 0 .\nempty.example. TXT \"nothing\"\n"
        zone += f"proved.example. MX 10 mx.proved.example.\nmx.proved.example. A {NET}.31\n_{PORT}._tcp.mx.proved.example. TLSA {tlsa(cert)}\n"
        zone += f"forged.example. MX 10 mx.forged.example.\nmx.forged.example. A {NET}.32\n_{PORT}._tcp.mx.forged.example. TLSA {tlsa(cert, spoil=True)}\n"
        with Knot(zone) as knot, Unbound(knot, f'  module-config: "validator iterator"\n  trust-anchor-file: "{knot.anchor}"\n') as resolver:
            yield dict(dns_resolver=f"127.0.0.1:{resolver.port}", dns_trust_anchor_file=str(knot.anchor), smtp_tcp_port=str(PORT), inet_protocols="ipv4"), cert, key


def out(far, **more):
    return house(**{**far[0], "smtp_connection_cache_on_demand": "no", **more})


def sink(n, **more):
    return Sink(host=f"{NET}.{n}", port=PORT, **more)


def test_R89_R90_R92_four_exchangers_10_10_20_30(far):
    """Two best ones share; when they are away the third has all, then the last, and when nobody is there the letter is kept and tried again."""
    with out(far, smtp_mx_session_limit="0") as h, sink(4) as d:
        with sink(3) as c:
            with sink(1) as a, sink(2) as b:
                for i in range(30):
                    send(h, [f"best{i}@four.example"])
                wait_for(lambda: len(a.got()) + len(b.got()) == 30)
                assert a.got() and b.got() and not c.connections and not d.connections
            send(h, ["third@four.example"])
            wait_for(lambda: c.got() == ["third@four.example"])
            assert not d.connections
        send(h, ["last@four.example"])
        wait_for(lambda: d.got() == ["last@four.example"])
        d.close()
        send(h, ["kept@four.example"])
        wait_for(lambda: re.search(r"to=<kept@four\.example>.*status=deferred", h.text()))
        with sink(2) as b:
            wait_for(lambda: b.got() == ["kept@four.example"], 60)
        wait_for(lambda: empty(h))


def test_R86_R88_where_there_is_no_exchanger(far):
    with out(far) as h, sink(21) as there:
        send(h, ["a@implicit.example", "b@null.example", "c@empty.example", "d@nobody.example"], sender="")
        wait_for(lambda: h.count("status=") == 4)
        assert there.got() == ["a@implicit.example"]
        codes = dict(re.findall(r"to=<(\w)@\w+\.example>.* dsn=([\d.]+), status=bounced", h.text()))
        assert codes == {"b": "5.1.10", "c": "5.1.2", "d": "5.1.2"}, codes     # rfc7505:4.1, rfc3463:3.2


def test_R93_we_are_the_second_by_an_address_only_proxy_interfaces_know(far, tmp_path):
    """Who is in the primary's table of recipients is taken while it is away, kept for it alone and given back; nobody else is."""
    table = tmp_path / "recipients"
    table.write_text("jack@backed.example yes\n")
    tmp_path.chmod(0o755)
    with out(far, mynetworks="", relay_domains="backed.example", relay_recipient_maps=f"texthash:{table}", proxy_interfaces=f"{NET}.12") as h, sink(13) as third:
        with h.smtp() as s:
            s.ehlo()
            s.mail("x@else.example")
            assert s.rcpt("nobody@backed.example")[0] == 550 and s.rcpt("jack@backed.example")[0] == 250
            assert s.data("Subject: hello\r\n\r\nhello\r\n")[0] == 250
        wait_for(lambda: re.search(r"to=<jack@backed\.example>.*status=deferred", h.text()))
        with sink(11) as first:
            wait_for(lambda: first.got() == ["jack@backed.example"], 60)
        assert not third.connections


@pytest.mark.parametrize("domain", ["ours.example", "alias.example"])
def test_R93_a_letter_that_would_come_back_to_us_is_returned(far, domain):
    with out(far, proxy_interfaces=f"{NET}.12") as h, sink(12) as ourselves:
        send(h, [f"x@{domain}"], sender="")
        wait_for(lambda: h.count("status=bounced"))
        assert re.search(r"dsn=5\.4\.6, status=bounced \(mail for \S+ loops back to myself\)", h.text()) and not ourselves.connections


def test_R115_each_domain_and_each_sender_may_leave_from_an_address_of_its_own(far):
    """By a transport of the domain, by one of the sender, and else by the address that is set for all."""
    seen = {}

    def reply(verb, argument, session):
        if verb == "RCPT":
            seen[argument] = session.socket.getpeername()[0]
    ways = {f"out{n}/transport": "smtp" for n in (1, 2)} | {f"out{n}/smtp_bind_address": f"{NET}.5{n}" for n in (1, 2)}
    with out(far, smtp_bind_address=f"{NET}.50", transport_maps="inline:{one.example=out1:}", sender_dependent_default_transport_maps="inline:{boss@here.example=out2:}",
             **ways) as h, sink(21, reply=reply):
        for sender, to in [("a@here.example", "x@one.example"), ("boss@here.example", "x@two.example"), ("a@here.example", "x@three.example"), ("boss@here.example", "y@one.example")]:
            send(h, [to], sender=sender)
        wait_for(lambda: len(seen) == 4)
    assert {re.search("<(.*)>", k).group(1): v for k, v in seen.items()} == {"x@one.example": f"{NET}.51", "x@two.example": f"{NET}.52", "x@three.example": f"{NET}.50",
                                                                             "y@one.example": f"{NET}.51"}


def test_R230_what_knot_signs_proves_a_host_and_another_key_is_not_trusted(far):
    _, cert, key = far
    with Host(f"{NET}.31", PORT, cert, key), Host(f"{NET}.32", PORT, cert, key), out(far, smtp_tls_security_level="dane") as h:
        send(h, ["x@proved.example"])
        send(h, ["x@forged.example"])
        wait_for(lambda: h.count("status=") == 2)
        assert re.search(r"to=<x@proved\.example>.*status=sent", h.text()) and "Verified TLS connection established to mx.proved.example" in h.text()
        assert re.search(r"to=<x@forged\.example>.*status=deferred \(Server certificate not verified\)", h.text())
