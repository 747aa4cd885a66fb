# SPDX-License-Identifier: ISC
"""DANE outwards (rfc7672): what the name service proves of a host decides whether a letter goes there; Debian's Postfix decides the same.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sending_dane.py
"""

import os
import pathlib
import random
import re
import shutil
import smtplib
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import free_ports, wait_for
from proved import INSECURE, Authority, Host, Resolver, Zone, tlsa
from test_sending import Sink, house, send
from tlsreports import reports_in, yesterday

# What is expected of a domain: how the log calls the connection, or why nothing went ("" in the clear).
SENT_CLEAR, UNTRUSTED, VERIFIED = "", "Untrusted", "Verified"
NOT_TRUSTED, LOOKUP, NO_TLS = "Server certificate not verified", "TLSA lookup error for", "TLS is required, but was not offered"
MX_LATER = "Host not found, try again"

# domain: (certificate, records, expected with level dane, with dane-only); certificate: names, "clear" for a host without TLS.
# {mx} the host mx.DOMAIN, {tlsa} its owner of TLSA records, {a} its address.
USUAL = "{d}. MX 10 mx.{d}.\nmx.{d}. A {a}\n"
RECORD = "{tlsa} TLSA "
CASES = {
    "ee": ("mx", "3 1 1", VERIFIED, VERIFIED, "rfc7672:3.1.1 the key of the host itself"),
    "ee-sha512": ("mx", "3 1 2", VERIFIED, VERIFIED, "another digest"),
    "ee-cert": ("mx", "3 0 1", VERIFIED, VERIFIED, "the certificate itself"),
    "ee-full": ("mx", "3 0 0", VERIFIED, VERIFIED, "the certificate, without a digest"),
    "ee-full-key": ("mx", "3 1 0", VERIFIED, VERIFIED, "the key, without a digest"),
    "ee-expired": ("expired", "3 1 1", VERIFIED, VERIFIED, "rfc7672:3.1.1 dates and names do not count"),
    "ee-other-name": ("other.example", "3 1 1", VERIFIED, VERIFIED, "rfc7672:3.1.1 nor do names"),
    "ee-wrong": ("mx", "!3 1 1", NOT_TRUSTED, NOT_TRUSTED, "another key"),
    "ee-one-of-two": ("mx", "!3 1 1|3 1 1", VERIFIED, VERIFIED, "one of them is enough: keys are changed so"),
    "agility": ("mx", "3 1 1|!3 1 2", NOT_TRUSTED, NOT_TRUSTED, "rfc7671:9 of two digests the stronger one counts"),
    "ta": ("mx", "2 0 1", VERIFIED, VERIFIED, "rfc7672:3.1.2 an authority"),
    "ta-key": ("mx", "2 1 1", VERIFIED, VERIFIED, "its key"),
    "ta-domain": ("domain", "2 0 1", VERIFIED, VERIFIED, "rfc7672:3.2.2 the name of the destination will do"),
    "ta-other-name": ("other.example", "2 0 1", NOT_TRUSTED, NOT_TRUSTED, "rfc7672:3.2.2 below an authority names count"),
    "ta-expired": ("expired", "2 0 1", NOT_TRUSTED, NOT_TRUSTED, "and dates"),
    "pkix": ("mx", "1 1 1|0 0 1", UNTRUSTED, "TLSA records unusable", "rfc7672:3.1.3 usages 0 and 1 say nothing here"),
    "unusable": ("mx", "3 1 9|3 7 1", UNTRUSTED, "TLSA records unusable", "rfc7672:2.2 TLS, with whatever certificate"),
    "unusable-clear": ("clear", "3 1 9", NO_TLS, "TLSA records unusable", "but TLS"),
    "stripped": ("clear", "3 1 1", NO_TLS, NO_TLS, "rfc7672:2.2 somebody took STARTTLS away"),
    "none": ("mx", "", UNTRUSTED, "no TLSA records found", "as any other host"),
    "none-clear": ("clear", "", SENT_CLEAR, "no TLSA records found", "even without TLS"),
}
# Cases with zones of their own: (certificate, records, expected with dane, with dane-only, why, TLSA data by {ee} and {bad}).
SPECIAL = {
    "no-mx": ("domain", "{d}. A {a}\n_{p}._tcp.{d}. TLSA {ee}\n", VERIFIED, VERIFIED, "without MX the domain itself is the host"),
    "alias": ("other.example", "{d}. MX 10 mx.{d}.\nmx.{d}. CNAME real.{d}.\nreal.{d}. A {a}\n_{p}._tcp.real.{d}. TLSA {ee}\n", VERIFIED, VERIFIED,
              "rfc7672:2.2.2 records of what an alias leads to"),
    "alias-own": ("other.example", "{d}. MX 10 mx.{d}.\nmx.{d}. CNAME real.{d}.\nreal.{d}. A {a}\n_{p}._tcp.mx.{d}. TLSA {ee}\n", VERIFIED, VERIFIED,
                  "rfc7672:2.2.2 else those of the alias"),
    "alias-both": ("mx", "{d}. MX 10 mx.{d}.\nmx.{d}. CNAME real.{d}.\nreal.{d}. A {a}\n_{p}._tcp.real.{d}. TLSA {bad}\n_{p}._tcp.mx.{d}. TLSA {ee}\n",
                   NOT_TRUSTED, NOT_TRUSTED, "rfc7672:2.2.2 the first that has some"),
    "alias-out": ("other.example", "{d}. MX 10 mx.{d}.\nmx.{d}. CNAME far.insecure.example.\n_{p}._tcp.mx.{d}. TLSA {ee}\n", VERIFIED, VERIFIED,
                  "rfc7672:2.2.2 an alias that is proved, to what is not"),
    "owner-alias": ("mx", "{d}. MX 10 mx.{d}.\nmx.{d}. A {a}\n_{p}._tcp.mx.{d}. CNAME keys.{d}.\nkeys.{d}. TLSA {ee}\n", VERIFIED, VERIFIED,
                    "rfc7671:7 the records are an alias"),
    "lookup": ("mx", "{d}. MX 10 mx.{d}.\nmx.{d}. A {a}\n_{p}._tcp.mx.{d}. TLSA 3 1 1 {spoiled}\n", LOOKUP, LOOKUP, "rfc7672:2.1.3 a signature that does not fit: later"),
    "second": ("mx", "{d}. MX 10 lookup.{d}.\n{d}. MX 20 mx.{d}.\nlookup.{d}. A 127.0.0.9\n_{p}._tcp.lookup.{d}. TLSA 3 1 1 {spoiled}\nmx.{d}. A {a}\n"
               "_{p}._tcp.mx.{d}. TLSA {ee}\n", VERIFIED, VERIFIED, "rfc7672:2.1.3 the next host"),
    "bogus": ("mx", "{d}. MX 66 mx.{d}.\nmx.{d}. A {a}\n_{p}._tcp.mx.{d}. TLSA {ee}\n", MX_LATER, MX_LATER, "an MX record whose signature does not fit: later"),
}
SPOILED = "ab" * 32


class World:
    def __init__(self):
        self.port = free_ports(1)[0]
        self.net = f"127.{random.randrange(20, 250)}.{random.randrange(1, 250)}"
        self.ca, self.hosts, records, insecure, self.expected = Authority(), {}, "", "", {}
        rows = [(n, c, None, a, b) for n, (c, t, a, b, _) in CASES.items()] + [(n, c, r, a, b) for n, (c, r, a, b, _) in SPECIAL.items()]
        for i, (name, certificate, text, dane, only) in enumerate(rows, 1):
            d, address = f"{name}.example", f"{self.net}.{i}"
            cert = self.host(d, address, certificate)
            places = dict(d=d, a=address, p=self.port, tlsa=f"_{self.port}._tcp.mx.{d}.", spoiled=SPOILED, ee=tlsa(cert) if cert else "",
                          bad=tlsa(cert, spoil=True) if cert else "")
            if text is None:
                text = USUAL + "".join(self.record(cert, one) for one in CASES[name][1].split("|") if one)
            records += text.format(**places)
            self.expected[d] = (dane, only)
        far = f"{self.net}.{len(rows) + 1}"
        cert = self.host("far", far, "mx")
        insecure += f"far.{INSECURE} A {self.hosts['alias-out.example'].address}\n"
        # Proved nowhere: records do not count; but behind an MX record that nothing proves, those of a proved host do.
        insecure += f"{INSECURE} MX 10 mx\nmx.{INSECURE} A {far}\n_{self.port}._tcp.mx.{INSECURE} TLSA {tlsa(cert, spoil=True)}\n"
        insecure += f"half.{INSECURE} MX 10 mx.ee-wrong.example.\ngood.{INSECURE} MX 10 mx.ee.example.\n"
        self.expected["insecure.example"] = (UNTRUSTED, "non DNSSEC destination")
        self.expected["half.insecure.example"] = (NOT_TRUSTED, "non DNSSEC destination")
        self.expected["good.insecure.example"] = (VERIFIED, "non DNSSEC destination")
        records += "".join(f'_smtp._tls.{d}. TXT "v=TLSRPTv1; rua=mailto:reports@far.{INSECURE[:-1]}"\n' for d in ("unusable.example", "lookup.example"))
        self.zone = Zone(records, insecure, SPOIL)

    def host(self, domain, address, certificate):
        cert = key = None
        if certificate != "clear":
            name = {"mx": f"mx.{domain}", "domain": domain, "expired": f"mx.{domain}"}.get(certificate, certificate)
            cert, key = self.ca.certificate(name, expired=certificate == "expired")
        self.hosts[domain] = Host(address, self.port, cert, key)
        self.hosts[domain].address = address
        return cert

    def record(self, cert, said):
        spoil, said = said.startswith("!"), said.lstrip("!")
        if cert is None:
            return RECORD + said + " " + "00" * 32 + "\n"
        usage, selector, matching = map(int, said.split())
        if selector > 1 or matching > 2:
            return RECORD + said + " " + "00" * 32 + "\n"
        return RECORD + tlsa(cert, usage, selector, matching, spoil) + "\n"

    def house(self, **settings):
        return house(**{**self.zone.settings(), "smtp_tcp_port": str(self.port), "inet_protocols": "ipv4", "smtp_tls_security_level": "dane", **settings})

    def close(self):
        for h in self.hosts.values():
            h.close()
        self.zone.close()
        self.ca.__exit__()


SPOIL = ((r"(?i)(TLSA\s+3 1 1 \(?\s*)ABABABAB", r"\g<1>CDCDCDCD"), (r"MX\s+66 ", "MX\t67 "))


@pytest.fixture(scope="module")
def world():
    w = World()
    yield w
    w.close()


def decision(log, domain):
    """What the log says became of the letter to x@DOMAIN: as in World.expected."""
    line = re.search(rf"to=<x@{re.escape(domain)}>.* relay=(\S+),.* status=(\w+) \((.*)\)", log)
    if not line:
        return None
    relay, status, words = line.groups()
    if status != "sent":
        return words
    tls = re.search(rf"(\w+) TLS connection (?:established|reused) to {re.escape(relay)}: ", log)
    return tls.group(1) if tls else ""


def decisions(h, domains):
    for d in domains:
        send(h, f"x@{d}")
    wait_for(lambda: all(decision(h.text(), d) is not None for d in domains), 60)
    return {d: decision(h.text(), d) for d in domains}


def fits(expected, said):
    return said == expected if expected in (SENT_CLEAR, UNTRUSTED, VERIFIED) else expected in said


@pytest.mark.parametrize("column, level", [(0, "dane"), (1, "dane-only")])
def test_what_is_proved_decides(world, column, level):
    with world.house(smtp_tls_security_level=level) as h:
        said = decisions(h, world.expected)
        wrong = {d: (world.expected[d][column], said[d]) for d in said if not fits(world.expected[d][column], said[d])}
        assert wrong == {}, h.text()


def test_what_fails_of_TLSA_records_is_told_as_of_these(world):
    """rfc8460:4.3.2.1: records that cannot be used, or be proved, are a policy of DANE that failed, not none."""
    failures = {"unusable.example": "tlsa-invalid", "lookup.example": "dnssec-invalid"}
    to = "far.insecure.example"
    with Sink() as relay, world.house(smtp_tlsrpt_enable="yes", transport_maps=f"inline:{{{to}=smtp:[127.0.0.1]:{relay.port}}}") as h:
        decisions(h, failures)
        yesterday(h, failures)
        wait_for(lambda: set(reports_in(relay)) == set(failures), 60)
    for d, failure in failures.items():
        [policy] = [p for p in reports_in(relay)[d]["policies"] if p.get("failure-details")]
        assert policy["policy"]["policy-type"] == "tlsa" and [f["result-type"] for f in policy["failure-details"]] == [failure], policy


class Oracle:
    """Debian's Postfix as a sender, in a mount namespace whose resolv.conf names unbound, which proves what the zone has."""

    SERVICES = [("pickup", "60", "1", "pickup"), ("cleanup", "-", "0", "cleanup"), ("qmgr", "300", "1", "qmgr"), ("tlsmgr", "1000?", "1", "tlsmgr"),
                ("rewrite", "-", "-", "trivial-rewrite"), ("bounce", "-", "0", "bounce"), ("defer", "-", "0", "bounce"), ("trace", "-", "0", "bounce"),
                ("error", "-", "-", "error"), ("retry", "-", "-", "error"), ("smtp", "-", "-", "smtp"), ("proxymap", "-", "-", "proxymap"),
                ("anvil", "-", "1", "anvil"), ("verify", "-", "1", "verify")]

    def __init__(self, world, level):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="sending-oracle-"))
        self.home.chmod(0o755)
        self.port = free_ports(1)[0]
        address = f"127.{random.randrange(20, 250)}.{random.randrange(1, 250)}.53"
        self.resolver = Resolver(world.zone, address)
        for name in ("etc", "queue", "data"):
            (self.home / name).mkdir()
        shutil.chown(self.home / "data", "postfix")
        (self.home / "resolv.conf").write_text(f"nameserver {address}\noptions trust-ad\n")
        (self.home / "hosts").write_text("127.0.0.1 localhost\n")
        (self.home / "etc/main.cf").write_text(f"""compatibility_level = 3.6
myhostname = oracle.example
mydestination =
mynetworks = 127.0.0.0/8
queue_directory = {self.home}/queue
data_directory = {self.home}/data
maillog_file = {self.home}/log
maillog_file_prefixes = {self.home}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_peername_lookup = no
default_database_type = hash
alias_maps =
alias_database =
smtp_tcp_port = {world.port}
smtp_dns_support_level = dnssec
smtp_tls_security_level = {level}
smtp_tls_loglevel = 1
smtp_tls_ciphers = medium
smtp_host_lookup = dns
smtp_connection_cache_on_demand = no
""")
        (self.home / "etc/master.cf").write_text("\n".join(
            [f"127.0.0.1:{self.port} inet n - n - - smtpd"] + [f"{a} unix {'n' if a in ('pickup', 'cleanup', 'qmgr') else '-'} - n {b} {c} {d}" for a, b, c, d in self.SERVICES]
            + ["postlog unix-dgram n - n - 1 postlogd"]) + "\n")
        self.apart("start")

    def apart(self, word):
        script = 'mount --bind "$1/resolv.conf" "$(readlink -f /etc/resolv.conf)" && mount --bind "$1/hosts" /etc/hosts && exec postfix -c "$1/etc" "$2"'
        subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", self.home, word], check=True, capture_output=True, timeout=60)

    def send(self, to):
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as s:
            s.sendmail("a@here.example", [to], "Subject: hello\n\nhello\n")

    def text(self):
        return (self.home / "log").read_text() if (self.home / "log").exists() else ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["postfix", "-c", self.home / "etc", "stop"], capture_output=True, timeout=60)
        self.resolver.close()
        shutil.rmtree(self.home, ignore_errors=True)


def outcome(log, domain):
    """(status, its code, and how sure the connection was or why there was none)."""
    dsn, status = re.search(rf"to=<x@{re.escape(domain)}>.* dsn=([\d.]+), status=(\w+)", log).groups()
    return status, dsn, decision(log, domain)


# Where we say it in other words at dane-only: what cannot be proved is not connected to, where Postfix connects first.
OTHERWISE = {"unusable.example", "unusable-clear.example"}


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("postfix") or not shutil.which("unbound"), reason="needs root, Postfix and unbound")
@pytest.mark.parametrize("level", ["dane", "dane-only"])
def test_postfix_decides_the_same(world, level):
    """Status, code and words of each, or how sure the connection was."""
    with Oracle(world, level) as postfix, world.house(smtp_tls_security_level=level) as h:
        ours = decisions(h, world.expected)
        for d in ours:
            postfix.send(f"x@{d}")
        wait_for(lambda: all(decision(postfix.text(), d) is not None for d in ours), 120)
        them, us = ({d: outcome(log, d) for d in ours} for log in (postfix.text(), h.text()))
        differ = {d: (them[d], us[d]) for d in ours if them[d] != us[d]}
        assert set(differ) == (OTHERWISE if level == "dane-only" else set()), differ
        assert all(x[0] == "deferred" for pair in differ.values() for x in pair)
