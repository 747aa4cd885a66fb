# SPDX-License-Identifier: ISC
"""Roads a letter takes: names behind names, addresses of the other kind, ports that mean something, what goes along with it.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_routes.py
"""

import email
import imaplib
import os
import pathlib
import random
import re
import shutil
import socket
import ssl
import struct
import sys
import tempfile
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import free_ports, make_certificate, wait_for
from nameservers import Nsd, Unbound
from test_sending import LETTER, Sink, empty, house, names, send  # noqa: F401

OFFERS = ("SIZE 10000000",)


def by_names(names, port, **more):  # noqa: F811
    """::1 is another host's here."""
    return house(inet_interfaces="127.0.0.1", dns_resolver=f"127.0.0.1:{names}", dns_validation="no", smtp_tcp_port=str(port), **more)


# ---- names behind names --------------------------------------------------------------------------

@pytest.mark.parametrize("domain", ["alias.example", "byalias.example", "further.example"],
                         ids=["the domain", "its exchanger", "two, to an address"])
def test_R85_an_alias_in_the_DNS_is_followed(names, domain):  # noqa: F811
    """rfc5321:5.1: what the alias stands for is treated as if it had been said; the recipient stays what it was."""
    port = free_ports(1)[0]
    with Sink(host="127.0.0.5", port=port) as sink, by_names(names, port, smtp_mx_session_limit="0") as h:
        send(h, [f"x@{domain}"])
        wait_for(lambda: sink.got() and empty(h), 60)
        assert sink.got() == [f"x@{domain}"]


def test_aliases_that_lead_nowhere(names):  # noqa: F811
    """A ring is waited for, since somebody may mend it; an alias of nothing comes back."""
    with by_names(names, free_ports(1)[0]) as h:
        send(h, ["x@ring.example", "y@nowhere-at-all.example"], sender="")
        wait_for(lambda: re.search(r"to=<x@ring\.example>.*status=(deferred|bounced)", h.text()) and
                 re.search(r"to=<y@nowhere-at-all\.example>.*dsn=5\.1\.2, status=bounced", h.text()))


@pytest.mark.parametrize("proved", [False, True], ids=["as they come", "with DNSSEC"])
def test_names_of_a_network_of_its_own_are_asked_for(proved):
    """rfc8375:4, rfc6761:6.1, 6.2: who keeps a resolver for home.arpa, .test and the addresses of a private network has mail there; the root, which is
    signed, knows nothing of them.  rfc6761:6.3, 6.4, rfc7686:2: of what nobody is to be asked nobody is, whatever he would say."""
    ours = ["box.home.arpa", "there.test", "box.10.in-addr.arpa"]
    nobodys = ["hidden.onion", "there.invalid"]
    zones = {".": "ns.example. A 127.0.0.1\n"}
    for domain in ours + nobodys:
        zone = domain.partition(".")[2] + "."
        zones[zone] = f"{domain}. MX 10 mx.{zone}\nmx.{zone} A 127.0.0.5\n"
    port = free_ports(1)[0]
    lines = "".join(f'  local-zone: "{zone}" nodefault\n' for zone in zones if zone != ".")
    with Nsd(zones, sign=["."]) as server, Unbound(server, lines) as resolver, Sink(host="127.0.0.5", port=port) as sink:
        by = {"dns_validation": "yes", "dns_trust_anchor_file": str(server.anchor)} if proved else {"dns_validation": "no"}
        with house(inet_interfaces="127.0.0.1", dns_resolver=f"127.0.0.1:{resolver.port}", smtp_tcp_port=str(port), **by) as h:
            send(h, [f"x@{domain}" for domain in ours + nobodys], sender="")
            wait_for(lambda: empty(h), 60)
            assert sorted(sink.got()) == sorted(f"x@{domain}" for domain in ours)
            for domain in nobodys:
                assert re.search(rf"to=<x@{re.escape(domain)}>.*dsn=5\.1\.2, status=bounced", h.text()), domain


def test_a_letter_led_another_way_without_a_host_goes_to_its_domain(names):  # noqa: F811
    """transport(5): "smtp:" is the domain of the recipient, as with Postfix's content filters that name no next hop; and it is told where it was led."""
    port, closed = free_ports(2)
    with Sink(host="127.0.0.5", port=port) as sink, by_names(names, port, transport_maps=f"inline:{{plain.example=smtp:[127.0.0.1]:{closed}}}",
                                                             minimal_backoff_time="300s") as h:
        send(h, ["p@plain.example"])
        wait_for(lambda: h.count("status=deferred"))
        h.command("queue", "reroute", "--to", "smtp:", "ALL")
        wait_for(lambda: empty(h))
        assert sink.got() == ["p@plain.example"]
        assert "led another way by an administrator, to smtp:\n" in wait_for(lambda: (t := h.command("trace", "p@plain.example").stdout) and "done: " in t and t)


# ---- hosts that are ourselves ---------------------------------------------------------------------

def named(name):
    return lambda verb, argument, session: f"250-{name} at your service\r\n250 SIZE 10000000" if verb == "EHLO" else None


def test_a_best_host_with_our_own_name_is_ourselves(names):  # noqa: F811
    """By an address that we do not know for one of ours: its answer to EHLO has our name, and the mail comes back instead of going round."""
    port = free_ports(1)[0]
    with Sink(named("MAIL.example.com"), host="127.0.0.5", port=port) as sink, by_names(names, port) as h:
        send(h, ["p@plain.example"], sender="")
        wait_for(lambda: h.count("status=bounced"))
        assert re.search(r"to=<p@plain\.example>.*dsn=5\.4\.6, status=bounced \(mail for plain\.example loops back to myself\)", h.text())
        assert "replied to HELO/EHLO with my own hostname mail.example.com" in h.text() and sink.got() == []
        assert not [c for c in sink.commands if c.startswith("MAIL")] and sink.commands[-1] == "QUIT"


def test_one_that_says_HELO_with_our_name_is_ourselves(names):  # noqa: F811
    def reply(verb, argument, session):
        return {"EHLO": "502 what?", "HELO": "250 mail.example.com"}.get(verb)
    port = free_ports(1)[0]
    with Sink(reply, host="127.0.0.5", port=port) as sink, by_names(names, port) as h:
        send(h, ["p@plain.example"], sender="")
        wait_for(lambda: h.count("status=bounced"))
        assert "dsn=5.4.6, status=bounced" in h.text() and sink.got() == []


def test_a_worse_host_with_our_own_name_is_passed_over(names):  # noqa: F811
    """four.example: nobody answers at 10, the one at 20 says that it is we; there is another at 30."""
    port = free_ports(1)[0]
    with Sink(named("mail.example.com"), host="127.0.0.4", port=port) as us, Sink(host="127.0.0.5", port=port) as last, \
            by_names(names, port, smtp_mx_session_limit="0") as h:
        send(h, ["x@four.example"])
        wait_for(lambda: last.got() == ["x@four.example"])
        assert us.connections == 1 and us.got() == []


def test_one_that_is_named_with_another_port_may_have_our_name():
    """Behind a translation, or two of us on one machine: whoever writes a port means it."""
    with Sink(named("mail.example.com")) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        send(h, ["x@there.example"])
        wait_for(lambda: sink.got() == ["x@there.example"])


def test_mail_does_not_go_round_between_addresses_of_ours(names):  # noqa: F811
    """We listen wherever we have an address; plain.example's exchanger is one of them, and nothing says so but our name."""
    port = free_ports(1)[0]
    with by_names(names, port, **{"listeners": "outside", "outside/listener_service": "smtp", "outside/listener_address": f"127.0.0.5:{port}"}) as h:
        send(h, ["p@plain.example"], sender="")
        wait_for(lambda: h.count("status=bounced"))
        assert "dsn=5.4.6, status=bounced (mail for plain.example loops back to myself)" in h.text()


@pytest.mark.parametrize("how", ["by its address", "by its name"])
def test_best_mx_transport_has_what_would_come_back(names, how):  # noqa: F811
    """plain.example is in no list of ours, and its best host is ourselves: users and aliases of mydestination have it, or another transport; nobody's
    mail comes back, and what the transport leads back here does, too."""
    port = free_ports(1)[0]
    known = {"proxy_interfaces": "127.0.0.5"} if how == "by its address" else {}
    with Sink(named("mail.example.com"), host="127.0.0.5", port=port) as us, Sink() as kept, by_names(names, port, best_mx_transport="local",
            alias_maps="inline:{p=x@kept.example}", transport_maps=f"inline:{{kept.example=smtp:[127.0.0.1]:{kept.port}}}", minimal_backoff_time="300s", **known) as h:
        send(h, ["p@plain.example"], sender="")
        send(h, ["nobody-is-called-so@plain.example"], sender="")
        wait_for(lambda: kept.got() == ["x@kept.example"])
        wait_for(lambda: h.count("status=bounced"))
        assert re.search(r"to=<nobody-is-called-so@plain\.example>.*dsn=5\.1\.1, status=bounced \(unknown user: \"nobody-is-called-so\"", h.text())
        wait_for(lambda: empty(h))

        def until(value, name, seen):
            """The queue hears of new settings in its own time: letters go until one shows that it has."""
            h.write_settings(best_mx_transport=value)
            h.command("reload")
            for n in range(60):
                send(h, [f"{name}{n}@plain.example"], sender="")
                wait_for(lambda: re.search(rf"to=<{name}{n}@plain\.example>.*status=", h.text()) or f"{name}{n}@plain.example" in kept.got())
                if seen():
                    return True
            raise AssertionError(h.text()[-2500:])

        assert until(f"smtp:[127.0.0.1]:{kept.port}", "q", lambda: any(to.startswith("q") for to in kept.got()))
        assert until("smtp:plain.example", "r", lambda: re.search(r"to=<r\d+@plain\.example>.*dsn=5\.4\.6, status=bounced \(mail for plain\.example loops back to myself\)", h.text()))
        assert until("nothing:", "s", lambda: "status=deferred (mail transport unavailable: best_mx_transport names none" in h.text())
        assert us.got() == []


# ---- what settings make of the DNS ------------------------------------------------------------------

def order(names, port, domain, many=16, **settings):  # noqa: F811
    """Whom each of so many letters was brought to."""
    with Sink(host="127.0.0.2", port=port) as a, Sink(host="127.0.0.3", port=port) as b, by_names(names, port, smtp_connection_cache_on_demand="no", **settings) as h:
        for i in range(many):
            send(h, [f"x{i}@{domain}"])
        wait_for(lambda: len(a.got()) + len(b.got()) == many, 60)
        return len(a.got()), len(b.got())


@pytest.mark.parametrize("said, both", [("yes", True), ("no", False)])
def test_smtp_randomize_addresses(names, said, both):  # noqa: F811
    """four.example has two exchangers at 10: with no the one that the DNS gives first has all."""
    a, b = order(names, free_ports(1)[0], "four.example", smtp_randomize_addresses=said)
    assert (a > 0 and b > 0) == both


def test_disable_dns_lookups(names):  # noqa: F811
    """plain.example has an exchanger in the DNS; what counts is /etc/hosts, which knows nothing of it."""
    port = free_ports(1)[0]
    with Sink(host="127.0.0.5", port=port) as sink, by_names(names, port, disable_dns_lookups="yes") as h:
        send(h, ["p@plain.example", "q@localhost.example", f"r@[127.0.0.5]"], sender="")
        wait_for(lambda: sink.got() == ["r@[127.0.0.5]"] and h.count("status=bounced") == 2)
        assert re.search(r"to=<p@plain\.example>.*dsn=5\.4\.4, status=bounced", h.text())


class Lame:
    """A name server that fails whenever an MX is asked for, and else says what there is at 127.0.0.5."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                q, who = self.socket.recvfrom(4096)
            except OSError:
                return
            at = 12
            while q[at]:
                at += q[at] + 1
            kind, question = struct.unpack(">H", q[at + 1:at + 3])[0], q[12:at + 5]
            address = kind == 1
            record = b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x7f\0\0\5" if address else b""
            code = 2 if kind == 15 else 0
            self.socket.sendto(q[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, address, 0, 0) + question + record, who)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


@pytest.mark.parametrize("said", ["yes", "no"])
def test_R82_ignore_mx_lookup_error(said):
    """A name service that cannot answer puts off, with 4.4.3 and never for good; or the domain's own address has the mail."""
    port = free_ports(1)[0]
    with Lame() as lame, Sink(host="127.0.0.5", port=port) as sink, by_names(lame.port, port, ignore_mx_lookup_error=said) as h:
        send(h, ["x@lame.example"], sender="")
        wait_for(lambda: sink.got() if said == "yes" else "status=deferred" in h.text(), 60)
        assert said == "yes" or re.search(r"dsn=4\.4\.3, status=deferred \(Host or domain name not found\. Name service error for name=lame\.example type=MX", h.text())


@pytest.mark.parametrize("said, code", [("yes", "4.4.4"), ("no", "5.4.4")])
def test_smtp_defer_if_no_mx_address_found(names, said, code):  # noqa: F811
    """lost.example's exchanger has no address."""
    with by_names(names, free_ports(1)[0], smtp_defer_if_no_mx_address_found=said) as h:
        send(h, ["y@lost.example"], sender="")
        wait_for(lambda: "status=" in h.text())
        assert f"dsn={code}, status={'deferred' if said == 'yes' else 'bounced'}" in h.text()


def test_R115_each_address_domain_and_sender_may_have_a_way_of_its_own():
    """An address goes before its domain in transport_maps; where these say nothing the sender's relay host counts, then that of all."""
    with Sink() as one, Sink() as two, Sink() as three, Sink() as rest, house(
            transport_maps=f"inline:{{{{vip@there.example=smtp:[127.0.0.1]:{one.port}}}, {{there.example=smtp:[127.0.0.1]:{two.port}}}}}",
            sender_dependent_relayhost_maps=f"inline:{{boss@here.example=[127.0.0.1]:{three.port}}}", relayhost=f"[127.0.0.1]:{rest.port}") as h:
        send(h, ["vip@there.example", "x@there.example", "y@else.example"], sender="boss@here.example")
        send(h, ["z@else.example"], sender="other@here.example")
        wait_for(lambda: rest.got() and three.got() and two.got() and one.got())
        assert (one.got(), two.got(), three.got(), rest.got()) == (["vip@there.example"], ["x@there.example"], ["y@else.example"], ["z@else.example"])


# ---- IPv6 -------------------------------------------------------------------------------------------

needs_six = pytest.mark.skipif(not os.path.exists("/proc/net/if_inet6"), reason="no IPv6 here")


@needs_six
def test_a_relayhost_with_IPv6():
    with Sink(host="::1") as sink, house(relayhost=f"[::1]:{sink.port}") as h:
        send(h, ["x@there.example"])
        wait_for(lambda: sink.got())


@needs_six
def test_inet_protocols_without_IPv6(names):  # noqa: F811
    port = free_ports(1)[0]
    with Sink(host="::1", port=port) as six, Sink(host="127.0.0.5", port=port) as four, by_names(
            names, port, smtp_address_preference="ipv6", inet_protocols="ipv4") as h:
        send(h, ["x@both.example"])
        wait_for(lambda: four.got() == ["x@both.example"])
        assert six.connections == 0


# ---- TLS from the first byte ---------------------------------------------------------------------------

class Wrapped(Sink):
    def __init__(self, certificate, **more):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        super().__init__(**more)

    def serve(self, s):
        try:
            super().serve(self.context.wrap_socket(s, server_side=True))
        except OSError:
            s.close()


@pytest.mark.parametrize("port", ["465", "smtps", "submissions"])
def test_R158_port_465_means_TLS_at_once(port):
    """Whatever smtp_tls_security_level says (rfc8314:7.3)."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="mansio-465-"))
    address = f"127.{random.randrange(2, 250)}.{random.randrange(1, 250)}.{random.randrange(1, 250)}"
    try:
        certificate = make_certificate(place, "smart.example")
        with Wrapped(certificate, host=address, port=465) as sink, house(relayhost=f"[{address}]:{port}", smtp_tls_security_level="none") as h:
            send(h, ["x@there.example"])
            wait_for(lambda: sink.got() == ["x@there.example"])
            assert "STARTTLS" not in sink.commands and f"TLS connection established to {address}[{address}]:465: TLSv1" in h.text()
    finally:
        shutil.rmtree(place)


@pytest.mark.parametrize("way, port", [("smtps:[ADDRESS]", 465), ("smtps:[ADDRESS]:PORT", None), ("smtps:[ADDRESS]", "a setting's")])
def test_T4_smtps_is_a_transport(way, port):
    """25 only, unless a transport says smtps: then TLS comes first, at 465 or where it is said."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="mansio-smtps-"))
    address = f"127.{random.randrange(2, 250)}.{random.randrange(1, 250)}.{random.randrange(1, 250)}"
    more = {}
    try:
        certificate = make_certificate(place, "smart.example")
        with Wrapped(certificate, host=address, port=port if isinstance(port, int) else 0) as sink:
            if port == "a setting's":
                more["smtps/smtp_tcp_port"] = str(sink.port)
            way = way.replace("ADDRESS", address).replace("PORT", str(sink.port))
            with house(default_transport=way, smtp_tls_security_level="may", **more) as h:
                send(h, ["x@there.example"])
                wait_for(lambda: sink.got() == ["x@there.example"])
                assert "STARTTLS" not in sink.commands and f"TLS connection established to {address}[{address}]:{sink.port}: TLSv1" in h.text()
                wait_for(lambda: "status=" in h.text())
                assert re.search(r"mansio/smtps/smtp\[\d+\]: \w+: to=<x@there\.example>, .*status=sent", h.text())
    finally:
        shutil.rmtree(place)


# ---- what goes along --------------------------------------------------------------------------------------

def test_priority_and_time_go_through_two_of_us():
    """rfc6710, rfc2852: what the client asked for is asked of the next host, and of the one behind it; the time runs."""
    with Sink(offers=(*OFFERS, "DELIVERBY 60", "MT-PRIORITY MIXER")) as sink, \
            house(relayhost=f"[127.0.0.1]:{sink.port}", smtpd_priority_permitted="trusted") as second, \
            house(relayhost=f"[127.0.0.1]:{second.ports['smtp']}", myhostname="first.example.com", smtpd_priority_permitted="trusted") as first:
        with first.smtp() as s:
            s.ehlo("client.example")
            assert s.has_extn("DELIVERBY") and s.has_extn("MT-PRIORITY")
            assert s.docmd("MAIL FROM:<a@here.example> BY=3600;R MT-PRIORITY=3")[0] == 250
            assert s.docmd("RCPT TO:<b@there.example>")[0] == 250
            assert s.data(LETTER.format("quick").replace("\r\n", "\n"))[0] == 250
        wait_for(lambda: sink.got())
        mail = next(c for c in sink.commands if c.startswith("MAIL"))
        by = int(re.search(r" BY=(\d+);R", mail).group(1))
        assert 3000 < by <= 3600 and " MT-PRIORITY=3" in mail


def test_who_wishes_to_trace_hears_of_each_relay():
    """rfc2852:4.1.4: BY=...;NT, and nothing else was asked for; without the T nobody is told."""
    with Sink(offers=OFFERS) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        h.command("domain", "add", "here.example")
        h.command("account", "add", "ann@here.example", input="secret-of-theirs\n")
        with h.smtp() as s:
            s.ehlo("client.example")
            for by, to in (("3600;N", "plain"), ("3600;NT", "traced")):
                assert s.docmd(f"MAIL FROM:<ann@here.example> BY={by}")[0] == 250
                assert s.docmd(f"RCPT TO:<{to}@there.example>")[0] == 250
                assert s.data(LETTER.format(to).replace("\r\n", "\n"))[0] == 250
        wait_for(lambda: len(sink.got()) == 2 and empty(h) and h.count("to=<ann@here.example>") == 1)
        with imaplib.IMAP4("127.0.0.1", h.ports["imap"]) as box:
            box.starttls(ssl_context=ssl._create_unverified_context())
            box.login("ann@here.example", "secret-of-theirs")
            box.select()
            assert box.search(None, "ALL")[1] == [b"1"]
            notice = email.message_from_bytes(box.fetch("1", "(RFC822)")[1][0][1])
        _, person = notice.get_payload()[1].get_payload()
        assert (person["Action"], person["Final-Recipient"]) == ("relayed", "rfc822; traced@there.example")


def test_R107_the_envelope_alone_says_where_to():
    """Fields name others, and those get nothing; who is in no field gets it."""
    with Sink(offers=OFFERS) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        send(h, ["hidden@there.example"], text="To: shown@there.example\r\nCc: also@there.example\r\nSubject: x\r\n\r\nx\r\n")
        wait_for(lambda: sink.got() and empty(h))
        assert sink.got() == ["hidden@there.example"]
        assert b"hidden@there.example" not in sink.letters[0][2].split(b"\r\n\r\n")[0].replace(b"for <hidden@there.example>", b"")


def test_R114_each_hop_puts_its_line_on_top():
    with Sink(offers=OFFERS) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", myhostname="second.example.com") as second, \
            house(relayhost=f"[127.0.0.1]:{second.ports['smtp']}", myhostname="first.example.com") as first:
        send(first, ["b@there.example"])
        wait_for(lambda: sink.got())
        lines = re.findall(rb"^Received: from .*?(?=^\S)", sink.letters[0][2], re.M | re.S)
        assert [re.search(rb"\sby (\S+)", line).group(1) for line in lines] == [b"second.example.com", b"first.example.com"]
        assert all(re.search(rb"\swith ESMTPS?\s+id \w+", line) for line in lines)
        assert b"from first.example.com" in lines[0]


def test_R112_two_hosts_that_send_to_one_another_end_it():
    """Each says that the other is the way: the letter goes to and fro until it has too many lines, and its sender hears of it once."""
    ports = free_ports(1)
    with house(listen_smtp=f"127.0.0.1:{ports[0]}", myhostname="second.example.com", hopcount_limit="8",
               transport_maps="inline:{there.example=smtp:[127.0.0.1]:9}") as second, \
            house(transport_maps=f"inline:{{there.example=smtp:[127.0.0.1]:{ports[0]}}}", myhostname="first.example.com", hopcount_limit="8") as first:
        first.command("domain", "add", "here.example")
        first.command("account", "add", "ann@here.example", input="secret-of-theirs\n")
        second.write_settings(transport_maps=f"inline:{{there.example=smtp:[127.0.0.1]:{first.ports['smtp']}, here.example=smtp:[127.0.0.1]:{first.ports['smtp']}}}")
        second.command("reload")
        send(first, ["x@there.example"], sender="ann@here.example")
        wait_for(lambda: first.count("to=<ann@here.example>") == 1)
        assert "too many hops" in first.text() + second.text()
        wait_for(lambda: empty(first) and empty(second))
        assert 6 <= first.count("to=<x@there.example>") + second.count("to=<x@there.example>") <= 9
        assert first.count("to=<ann@here.example>") == 1 and first.count("non-delivery notification") + second.count("non-delivery notification") == 1


# ---- lists in files ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("domain, code", [("flushed.example", "251"), ("sub.flushed.example", "251"), ("other.example", "459")])
def test_domains_that_may_be_flushed_stand_in_a_file(domain, code):
    place = pathlib.Path(tempfile.mkdtemp(prefix="mansio-list-"))
    place.chmod(0o755)
    try:
        (place / "domains").write_text("# ours\nflushed.example\n.flushed.example\n")
        with house(fast_flush_domains=str(place / "domains")) as h, h.smtp() as s:
            s.ehlo("client.example")
            assert str(s.docmd(f"ETRN {domain}")[0]) == code
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q", *sys.argv[1:]]))
