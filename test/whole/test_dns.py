# SPDX-License-Identifier: ISC
"""mansio dns: what it says is loaded into real name servers, and what these say is judged."""

import json
import os
import pathlib
import pty
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import unicodedata

import pytest

from house import BINARY, House, free_ports, make_certificate, wait_for
from proved import Authority
from test_sending_sts import Web, raw, text

DOMAIN, HOST, ADDRESS, ADDRESS6 = "example.org", "mail.example.org", "192.0.2.10", "2001:db8::10"
REVERSE, REVERSE6 = "2.0.192.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"
HEAD = "$TTL 5\n@ IN SOA ns.example. host.example. 1 3600 600 86400 1\n@ IN NS ns.example.\n"
NAME6 = "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."
POINTERS = {REVERSE: f"10.{REVERSE}. PTR {HOST}.\n", REVERSE6: f"{NAME6} PTR {HOST}.\n"}


def answers(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.5)
        try:
            s.sendto(struct.pack(">6HB2H", 1, 256, 1, 0, 0, 0, 0, 6, 1), ("127.0.0.1", port))
            return s.recv(4096)
        except OSError:
            return None


class Names:
    """nsd with zones that can be changed, and unbound in front of it; `signed`: the domain's zone is, and unbound proves it."""

    def __init__(self, signed=False):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="mansio-dns-"))
        self.directory.chmod(0o755)
        self.signed, self.processes, self.servers = signed, [], {}
        self.zones = {".": "ns.example. A 127.0.0.1\n", DOMAIN: "", REVERSE: "", REVERSE6: ""}
        if signed:
            self.run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", DOMAIN)
            self.run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", DOMAIN)
        for _ in range(10):         # a port that was free may be somebody's by now
            self.authority, self.port = free_ports(2)
            if self.start():
                return
            self.stop()
        raise RuntimeError("no ports")

    def run(self, *words):
        subprocess.run(words, cwd=self.directory, check=True, capture_output=True)

    def start(self):
        listed = ""
        for i, (zone, records) in enumerate(self.zones.items()):
            name = f"zone{i}"
            (self.directory / name).write_text(records if " SOA " in records else HEAD + records)
            if self.signed and zone == DOMAIN:
                self.run("dnssec-signzone", "-q", "-S", "-o", zone, "-f", "signed", name)
                name = "signed"
            listed += f'zone:\n  name: "{zone}"\n  zonefile: "{name}"\n'
        (self.directory / "nsd.conf").write_text(f"""server:
  ip-address: 127.0.0.1@{self.authority}
  username: ""
  zonesdir: "{self.directory}"
  pidfile: "{self.directory}/nsd.pid"
  zonelistfile: "{self.directory}/list"
  xfrdfile: "{self.directory}/xfrd"
  xfrdir: "{self.directory}"
  server-count: 1
remote-control:
  control-enable: no
{listed}""")
        anchor = f'  trust-anchor-file: "{self.directory}/dsset-{DOMAIN}."\n' if self.signed else ""
        lan = "".join(f'  local-zone: "{z}." nodefault\n' for z in [REVERSE, REVERSE6])
        # Answers of before are forgotten with the process: a change is seen at once.
        (self.directory / "unbound.conf").write_text(f"""server:
  interface: 127.0.0.1@{self.port}
  chroot: ""
  username: ""
  directory: "{self.directory}"
  pidfile: "{self.directory}/unbound.pid"
  use-syslog: no
  do-not-query-localhost: no
  do-daemonize: no
  num-threads: 1
  module-config: "{'validator ' if self.signed else ''}iterator"
{lan}{anchor}remote-control:
  control-enable: no
stub-zone:
  name: "."
  stub-addr: 127.0.0.1@{self.authority}
""" + "".join(f'stub-zone:\n  name: "{z}"\n  stub-addr: 127.0.0.1@{self.authority}\n' for z in self.zones if z != "."))
        for words, port in [(["nsd", "-d", "-c", "nsd.conf"], self.authority), (["unbound", "-d", "-c", "unbound.conf"], self.port)]:
            process = subprocess.Popen(words, cwd=self.directory, stderr=subprocess.DEVNULL)
            self.processes.append(process)
            wait_for(lambda: process.poll() is not None or answers(port))
            if process.poll() is not None:
                return False
        return True

    def stop(self):
        for p in self.processes:
            p.send_signal(signal.SIGTERM)
        for p in self.processes:
            p.wait(10)
        self.processes = []

    def load(self, zones):
        self.stop()
        self.zones.update(zones)
        wait_for(lambda: self.start() or self.stop())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class Asking:
    """A main.cf without a server."""

    def __init__(self, directory, names=None, **more):
        self.directory = pathlib.Path(directory)
        cert, key = make_certificate(self.directory, HOST)
        settings = dict(myhostname=HOST, mail_directory=str(self.directory / "mail"), proxy_interfaces=f"{ADDRESS}, {ADDRESS6}",
                        smtpd_tls_cert_file=str(cert), smtpd_tls_key_file=str(key), dns_timeout="5s", dns_check_lists="",
                        dns_resolver="none" if names is None else f"127.0.0.1:{names.port}")
        if names is not None and names.signed:
            settings.update(dns_trust_anchor_file=str(names.directory / f"dsset-{DOMAIN}."))
        settings.update(more)
        self.config = self.directory / "main.cf"
        self.config.write_text("".join(f"{n} = {v}\n" for n, v in settings.items()))

    def __call__(self, *words, status=0):
        done = subprocess.run([BINARY, "-c", self.config, "dns", *words], capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def check(self, *words, status=0, domain=DOMAIN):
        """{(type, name): [state, ...]} and the rows."""
        rows = json.loads(self("check", domain, "--json", *words, status=status))
        found = {}
        for row in rows:
            found.setdefault((row["type"], row["name"]), []).append(row)
        return found

    def states(self, *words, **more):
        return {key: [row["state"] for row in rows] for key, rows in self.check(*words, **more).items()}


def without_policy(ask):
    """The zone we ask for, but for the policy of MTA-STS, which no web server gives here."""
    return "".join(line for line in ask("show", DOMAIN).splitlines(keepends=True) if "mta-sts" not in line)


def bad(found):
    return {key: rows for key, rows in found.items() if {row["state"] for row in rows} & {"missing", "wrong", "unknown"}}


@pytest.fixture
def directory():
    d = tempfile.mkdtemp(prefix="mansio-dns-")
    yield pathlib.Path(d)
    shutil.rmtree(d)


@pytest.mark.parametrize("domain, ascii", [(DOMAIN, DOMAIN), ("customer.example.net", "customer.example.net"),
                                           ("例子.公司", "xn--fsqu00a.xn--55qx5d")])
def test_R95_R97_every_loader_of_zones_takes_the_zone_file(directory, domain, ascii):
    ask = Asking(directory)
    (directory / "zone").write_text(ask("show", domain))
    for words in [["named-checkzone", "-i", "local", ascii], ["nsd-checkzone", ascii], ["kzonecheck", "-o", ascii]]:
        done = subprocess.run([*words, directory / "zone"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    lines = ask("show", domain, "--lines")
    assert " SOA " not in lines and " MX " in lines


def test_R95_a_fresh_domain_lacks_everything_and_with_our_zone_all_is_right(directory):
    with Names() as names:
        ask = Asking(directory, names)
        found = ask.states(status=1)
        for key in [("MX", DOMAIN), ("A", HOST), ("AAAA", HOST), ("PTR", f"10.{REVERSE}"), ("SPF", DOMAIN), ("SPF", HOST),
                    ("DMARC", f"_dmarc.{DOMAIN}"), ("TLSRPT", f"_smtp._tls.{DOMAIN}"), ("SRV", f"_imaps._tcp.{DOMAIN}"),
                    ("SRV", f"_submissions._tcp.{DOMAIN}"), ("SRV", f"_pop3s._tcp.{DOMAIN}")]:
            assert found[key] == ["missing"], key
        assert found[("MTA-STS", f"_mta-sts.{DOMAIN}")] == ["advice"]
        names.load({DOMAIN: without_policy(ask), **POINTERS})
        found = ask.check(status=0)
        assert not bad(found)
        assert [r["state"] for r in found[("TLSA", f"_25._tcp.{HOST}")]] == ["advice"]    # the zone is not signed: without effect (rfc7672:2.2)
        assert [r["state"] for r in found[("DNSSEC", DOMAIN)]] == ["advice"]
        assert [r["state"] for r in found[("PTR", f"10.{REVERSE}")]] == ["right"]


def test_R230_a_signed_zone_proves_our_certificate_and_another_key_is_told_of(directory):
    with Names(signed=True) as names:
        ask = Asking(directory, names)
        names.load({DOMAIN: without_policy(ask), **POINTERS})
        found = ask.states()
        assert found[("DNSSEC", DOMAIN)] == ["right"] and found[("TLSA", f"_25._tcp.{HOST}")] == ["right"]
        # The key changes, and nobody thinks of the record.
        (directory / "other").mkdir()
        cert, key = make_certificate(directory / "other", HOST)
        ask = Asking(directory, names, smtpd_tls_cert_file=cert, smtpd_tls_key_file=key)
        assert ask.states(status=1)[("TLSA", f"_25._tcp.{HOST}")] == ["wrong"]
        # While it changes both are there.
        both = [line for line in ask("show", DOMAIN, "--lines").splitlines() if " TLSA " in line]
        names.load({DOMAIN: names.zones[DOMAIN] + "\n".join(both) + "\n"})
        assert ask.states()[("TLSA", f"_25._tcp.{HOST}")] == ["advice"]


def guides(found):
    return {key: rows for key, rows in found.items() if key[1].startswith("auto") or key[1].startswith("_autodiscover")}


def test_R369_names_where_mail_programs_ask(directory):
    """Only while autoconfig says so; an alias of the host or its addresses are right, and what leads elsewhere is told of."""
    aliases = [f"autoconfig.{DOMAIN}", f"autodiscover.{DOMAIN}"]
    with Names() as names:
        ask = Asking(directory, names, autoconfig="yes")
        (directory / "zone").write_text(ask("show", DOMAIN))
        for words in [["named-checkzone", "-i", "local", DOMAIN], ["nsd-checkzone", DOMAIN], ["kzonecheck", "-o", DOMAIN]]:
            done = subprocess.run([*words, directory / "zone"], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
        lines = {" ".join(line.split()) for line in (directory / "zone").read_text().splitlines()}
        assert {f"{a}. 3600 IN CNAME {HOST}." for a in aliases} | {f"_autodiscover._tcp.{DOMAIN}. 3600 IN SRV 0 1 443 {HOST}."} <= lines
        assert {(k[0], rows[0]["state"]) for k, rows in guides(ask.check(status=1)).items()} == {("CNAME", "missing"), ("CNAME", "advice"), ("SRV", "advice")}
        zone = without_policy(ask)
        names.load({DOMAIN: zone, **POINTERS})
        found = ask.check()
        assert not bad(found) and [rows[0]["state"] for rows in guides(found).values()] == ["right"] * 3
        # By addresses of ours it is right, too; others are another web server's, which must know what to say.
        names.load({DOMAIN: zone.replace(f"{aliases[0]}. ", "; ").replace(f"{aliases[1]}. ", "; ") + f"\n{aliases[0]}. A {ADDRESS}\n{aliases[1]}. A 198.51.100.1\n"})
        found = guides(ask.check())
        assert found[("CNAME", aliases[0])][0]["state"] == "right"
        assert found[("CNAME", aliases[1])][0]["state"] == "advice" and "client-settings --xml" in found[("CNAME", aliases[1])][0]["says"]
        names.load({DOMAIN: zone.replace(f"{aliases[0]}. ", "; ") + f"\n{aliases[0]}. CNAME www.elsewhere.example.\n", ".": "ns.example. A 127.0.0.1\nwww.elsewhere.example. A 198.51.100.1\n"})
        assert guides(ask.check())[("CNAME", aliases[0])][0]["state"] == "advice"
        assert not guides(Asking(directory, names).check(status=1))             # it has a new key, too
        assert "autodiscover" not in Asking(directory, names)("show", DOMAIN)
        assert "_autodiscover" not in Asking(directory, names, autoconfig="yes", autoconfig_https_listen="")("show", DOMAIN)


MX = f"{DOMAIN}. MX 10 {HOST}.\n"
HOSTS = f"{HOST}. A {ADDRESS}\n{HOST}. AAAA {ADDRESS6}\n"


def spf(text):
    return MX + HOSTS + f'{DOMAIN}. TXT "{text}"\n'


@pytest.mark.parametrize("why, zone, key, state, says", [
    ("null MX", f"{DOMAIN}. MX 0 .\n" + HOSTS, ("MX", DOMAIN), "wrong", "takes no mail"),
    ("an address", f"{DOMAIN}. MX 10 192.0.2.10.\n" + HOSTS, ("MX", DOMAIN), "wrong", "is an address"),
    ("an alias", f"{DOMAIN}. MX 10 mx.{DOMAIN}.\nmx.{DOMAIN}. CNAME {HOST}.\n" + HOSTS, ("MX", DOMAIN), "wrong", "alias"),
    ("another name of ours", f"{DOMAIN}. MX 10 mx.{DOMAIN}.\nmx.{DOMAIN}. A {ADDRESS}\n" + HOSTS, ("MX", DOMAIN), "advice", "under another name"),
    ("elsewhere", f"{DOMAIN}. MX 10 mx.{DOMAIN}.\nmx.{DOMAIN}. A 198.51.100.1\n" + HOSTS, ("MX", DOMAIN), "wrong", "does not come to"),
    ("nowhere", f"{DOMAIN}. MX 10 mx.{DOMAIN}.\n" + MX + HOSTS, ("MX", DOMAIN), "wrong", "has no address"),
    ("several", f"{DOMAIN}. MX 20 mx.{DOMAIN}.\nmx.{DOMAIN}. A 198.51.100.1\n" + MX + HOSTS, ("MX", DOMAIN), "advice", "while we are away"),
    ("a better one", f"{DOMAIN}. MX 5 mx.{DOMAIN}.\nmx.{DOMAIN}. A 198.51.100.1\n" + MX + HOSTS, ("MX", DOMAIN), "advice", "comes to it first"),
    ("a long TTL", f"{DOMAIN}. 86400 MX 10 {HOST}.\n" + HOSTS, ("MX", DOMAIN), "advice", "TTL is "),
    ("another address", MX + f"{HOST}. A 198.51.100.1\n", ("A", HOST), "wrong", "not among those"),
    ("one too many", MX + HOSTS + f"{HOST}. A 198.51.100.1\n", ("A", HOST), "wrong", "198.51.100.1 is no address of this server"),
    ("the host an alias", MX + f"{HOST}. CNAME w.{DOMAIN}.\nw.{DOMAIN}. A {ADDRESS}\n", ("CNAME", HOST), "wrong", "alias"),
    ("two SPF", spf("v=spf1 mx -all") + f'{DOMAIN}. TXT "v=spf1 a -all"\n', ("SPF", DOMAIN), "wrong", "There are 2"),
    ("SPF without us", spf("v=spf1 ip4:198.51.100.0/24 -all"), ("SPF", DOMAIN), "wrong", f"does not let {ADDRESS} send"),
    ("SPF cannot be read", spf("v=spf1 ipv4:192.0.2.10 -all"), ("SPF", DOMAIN), "wrong", "no such mechanism"),
    ("everybody", spf("v=spf1 mx +all"), ("SPF", DOMAIN), "wrong", "lets everybody send"),
    ("SPF by include", spf(f"v=spf1 include:_s.{DOMAIN} -all") + f'_s.{DOMAIN}. TXT "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"\n',
     ("SPF", DOMAIN), "right", "1 of 10 lookups"),
    ("SPF by redirect", spf(f"v=spf1 redirect=_s.{DOMAIN}") + f'_s.{DOMAIN}. TXT "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"\n',
     ("SPF", DOMAIN), "right", "1 of 10 lookups"),
    ("an include of nothing", spf(f"v=spf1 mx include:_s.{DOMAIN} -all"), ("SPF", DOMAIN), "wrong", "there is no SPF record"),
    ("an include of itself", spf(f"v=spf1 mx include:{DOMAIN} -all"), ("SPF", DOMAIN), "wrong", "lead too far"),
    ("eleven lookups", spf("v=spf1 mx " + " ".join(f"a:h{i}.{DOMAIN}" for i in range(10)) + " -all") +
     "".join(f"h{i}.{DOMAIN}. A 198.51.100.{i + 1}\n" for i in range(10)), ("SPF", DOMAIN), "wrong", "takes 11 lookups"),
    ("three voids", spf("v=spf1 mx " + " ".join(f"a:h{i}.{DOMAIN}" for i in range(3)) + " -all"), ("SPF", DOMAIN), "wrong", "2 are allowed"),
    ("two DMARC", f'_dmarc.{DOMAIN}. TXT "v=DMARC1; p=none"\n_dmarc.{DOMAIN}. TXT "v=DMARC1; p=reject"\n', ("DMARC", f"_dmarc.{DOMAIN}"), "wrong", "There are 2"),
    ("DMARC without p", f'_dmarc.{DOMAIN}. TXT "v=DMARC1; rua=mailto:a@b.example"\n', ("DMARC", f"_dmarc.{DOMAIN}"), "wrong", "p must be"),
    ("MTA-STS", f'_mta-sts.{DOMAIN}. TXT "v=STSv1; id=2026-11-22"\n', ("MTA-STS", f"_mta-sts.{DOMAIN}"), "wrong", "letters and digits"),
    ("MTA-STS of nobody", f'_mta-sts.{DOMAIN}. TXT "v=STSv1; id=20261122"\n', ("MTA-STS", f"mta-sts.{DOMAIN}"), "wrong", "has no address"),
    ("TLSRPT", f'_smtp._tls.{DOMAIN}. TXT "v=TLSRPTv1; rua=postmaster@{DOMAIN}"\n', ("TLSRPT", f"_smtp._tls.{DOMAIN}"), "wrong", "mailto:"),
    ("SRV", f"_imaps._tcp.{DOMAIN}. SRV 0 1 993 elsewhere.example.\n", ("SRV", f"_imaps._tcp.{DOMAIN}"), "wrong", "leads elsewhere"),
    ("another TLSA", MX + HOSTS + f"_25._tcp.{HOST}. TLSA 3 1 1 {'ab' * 32}\n", ("TLSA", f"_25._tcp.{HOST}"), "wrong", "No record is about"),
])
def test_R96_R99_R356_what_is_wrong_is_said_with_what_to_write(checked, why, zone, key, state, says):
    names, ask = checked
    names.load({DOMAIN: zone})
    rows = ask.check(status=1)[key]
    assert any(r["state"] == state and says in r["says"] for r in rows), rows


@pytest.fixture(scope="module")
def checked():
    d = tempfile.mkdtemp(prefix="mansio-dns-")
    with Names() as names:
        yield names, Asking(d, names)
    shutil.rmtree(d)


@pytest.mark.parametrize("records, lists, states, says", [
    ("", "bl.example", {ADDRESS: "right", ADDRESS6: "right"}, "none of 1 list."),
    ("10.2.0.192.bl.example. A 127.0.0.4\n10.2.0.192.bl.example. TXT \"ask https://bl.example/192.0.2.10\"\n", "bl.example", {ADDRESS: "wrong", ADDRESS6: "right"}, "on bl.example"),
    ("10.2.0.192.bl.example. A 127.0.0.10\n", "bl.example=127.0.0.[2..4]", {ADDRESS: "right", ADDRESS6: "right"}, "none of 1"),
    (NAME6.removesuffix("ip6.arpa.") + "bl.example. A 127.0.0.2\n", "bl.example", {ADDRESS: "right", ADDRESS6: "wrong"}, "on bl.example"),
    ("2.0.0.127.deaf.example. A 127.255.255.254\n", "bl.example deaf.example", {ADDRESS: "right", "deaf.example": "unknown"}, "does not answer to our resolver"),
    ("", "gone.example", {"gone.example": "unknown"}, "rfc5782:5"),
])
def test_R99_lists_of_senders_of_junk_are_asked_for_our_addresses(checked, records, lists, states, says):
    names, ask = checked
    names.load({DOMAIN: MX + HOSTS, ".": f"ns.example. A 127.0.0.1\n2.0.0.127.bl.example. A 127.0.0.2\n{records}"})
    try:
        rows = Asking(ask.directory, names, dns_check_lists=lists).check(status=1)
    finally:
        Asking(ask.directory, names)        # as it was, for the others
    found = {name: rows[("list", name)][0] for kind, name in rows if kind == "list"}
    assert {name: found[name]["state"] for name in states} == states, found
    assert any(says in row["says"] for row in found.values()), found
    if "TXT" in records:
        assert "https://bl.example/192.0.2.10" in found[ADDRESS]["there"]


def test_R99_R356_the_score_says_how_likely_letters_are_believed(directory):
    with Names() as names:
        ask = Asking(directory, names, dns_check_lists="bl.example")

        def score(status):
            [row] = ask.check(status=status)[("score", DOMAIN)]
            assert f"score {row['says']}: " in ask("check", DOMAIN, status=status)
            return int(row["says"].split()[0])
        listed = "ns.example. A 127.0.0.1\n2.0.0.127.bl.example. A 127.0.0.2\n"
        names.load({".": listed})
        nothing = score(1)
        names.load({DOMAIN: without_policy(ask), ".": listed, **POINTERS})
        all_right = score(0)
        names.load({DOMAIN: without_policy(ask), ".": listed + "10.2.0.192.bl.example. A 127.0.0.2\n", **POINTERS})
        on_a_list = score(1)
        assert nothing < 40 < on_a_list < 80 < 90 < all_right, (nothing, on_a_list, all_right)


def test_R356_how_one_begins_with_a_new_address(directory):
    with Names() as names:
        ask = Asking(directory, names)
        assert not any(kind == "warm-up" for kind, _ in ask.check(status=1))
        (directory / "mail").mkdir()
        [row] = ask.check(status=1)[("warm-up", HOST)]
        assert row["state"] == "advice" and "50 letters a day" in row["says"] and "default_destination_rate_delay" in row["do"]
        assert not any(kind == "warm-up" for kind, _ in Asking(directory, names, relayhost="[mail.isp.example]").check(status=1))


@pytest.mark.parametrize("records, state, says", [
    (f"10.{REVERSE}. PTR other.{DOMAIN}.\n", "wrong", "does not lead back"),
    (f"10.{REVERSE}. PTR host7.{DOMAIN}.\n", "advice", "we greet with"),
    ("", "missing", "has no name"),
    (f"10.{REVERSE}. PTR {HOST}.\n", "right", "leads back"),
])
def test_R94_R98_the_address_has_our_name_and_the_name_leads_back(checked, records, state, says):
    names, ask = checked
    names.load({DOMAIN: MX + HOSTS + f"other.{DOMAIN}. A 198.51.100.1\nhost7.{DOMAIN}. A {ADDRESS}\n", REVERSE: records})
    [row] = ask.check(status=1)[("PTR", f"10.{REVERSE}")]
    assert row["state"] == state and says in row["says"], row


STS = f'_mta-sts TXT "v=STSv1; id=1"\nmta-sts A WEB\n@ MX 10 {HOST}.\n@ MX 20 backup\nbackup A 192.0.2.11\nmail A {ADDRESS}\nmail AAAA {ADDRESS6}\n'
POLICY = f"version: STSv1\r\nmode: enforce\r\nmx: {HOST}\r\nmx: *.{DOMAIN}\r\nmax_age: 1209600\r\n"
# name -> (what the web server does with POLICY, whose certificate it has, ours, state, words)
STS_CASES = {
    "right": (lambda p: text(p), "good", "good", "right", "names the hosts of MX, for 14 days"),
    "chunked": (lambda p: text(p, chunked=True), "good", "good", "right", "for 14 days"),
    "redirect": (lambda p: text(p, code=301), "good", "good", "wrong", "leads elsewhere (301), and nobody may follow"),
    "not there": (lambda p: text(p, code=404), "good", "good", "wrong", "the web server says HTTP/1.1 404"),
    "html": (lambda p: text(p, kind="text/html"), "good", "good", "wrong", "the policy is not text/plain, but text/html"),
    "another's": (lambda p: text(p), "name", "good", "wrong", "nobody gets it: TLS: hostname mismatch"),
    "nobody's": (lambda p: text(p), "self", "good", "wrong", "nobody gets it: TLS: self-signed certificate in certificate chain"),
    "of yesterday": (lambda p: text(p), "expired", "good", "wrong", "nobody gets it: TLS: certificate has expired"),
    "not one": (lambda p: text(p.replace("mode: enforce", "mode: perhaps")), "good", "good", "wrong", "nobody gets it"),
    "without the backup": (lambda p: text(p.replace(f"mx: *.{DOMAIN}\r\n", "")), "good", "good", "wrong", f"does not name backup.{DOMAIN}, which MX names"),
    "our certificate": (lambda p: text(p), "good", "self", "wrong", "ours is none"),
    "our certificate, tested": (lambda p: text(p.replace("enforce", "testing")), "good", "self", "advice", "ours is none"),
    "short": (lambda p: text(p.replace("1209600", "3600")), "good", "good", "advice", "holds for 1 hours"),
    "tested": (lambda p: text(p.replace("enforce", "testing")), "good", "good", "advice", "being tested"),
    "given up": (lambda p: text("version: STSv1\nmode: none\nmax_age: 86400\n"), "good", "good", "advice", "The policy is none"),
    "too long": (lambda p: text(p + "x: y\r\n" * 20000), "good", "good", "wrong", "longer than 64 KiB"),
    "nonsense": (lambda p: raw(b"SSH-2.0-OpenSSH\r\n"), "good", "good", "wrong", "no answer of HTTP"),
    "half": (lambda p: raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5000\r\n\r\n", p.encode()), "good", "good", "wrong", "nobody gets it"),
}


@pytest.fixture(scope="module")
def policy_world():
    address = f"127.{random.randrange(20, 250)}.{random.randrange(1, 250)}.1"
    with Authority() as good, Authority("Stranger") as stranger, Names() as names:
        web = Web(address)
        names.load({DOMAIN: STS.replace("WEB", address), **POINTERS})
        yield web, good, stranger, names
        web.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="a web server at port 443 needs root")
@pytest.mark.parametrize("name", STS_CASES)
def test_R230_the_policy_is_fetched_and_what_is_wrong_with_it_is_told(directory, policy_world, name):
    web, good, stranger, names = policy_world
    answer, shows, ours, state, says = STS_CASES[name]
    authority = stranger if shows == "self" else good
    host = f"mta-sts.{DOMAIN}"
    web.add(host, *authority.certificate("other.example" if shows == "name" else host, expired=shows == "expired"), answer(POLICY))
    cert, key = (stranger if ours == "self" else good).certificate(HOST)
    found = Asking(directory, names, smtp_mta_sts_CAfile=str(good.cert), smtpd_tls_cert_file=str(cert), smtpd_tls_key_file=str(key)).check(status=1)
    rows = [row for (kind, at), all_ in found.items() if kind == "MTA-STS" and at == host for row in all_]
    assert [row for row in rows if row["state"] == state and says in row["says"]], rows
    assert {row["state"] for row in rows} <= {state, "advice", "right"} and ("wrong" not in {r["state"] for r in rows} or "right" not in {r["state"] for r in rows}), rows
    assert all(row["do"] for row in rows if row["state"] == "wrong"), rows


def test_R230_a_policy_that_nobody_gives_is_told_of(directory):
    with Names() as names:
        names.load({DOMAIN: STS.replace("mta-sts A WEB\n", ""), **POINTERS})
        rows = [row for (kind, _), all_ in Asking(directory, names).check(status=1).items() if kind == "MTA-STS" for row in all_]
        assert any(row["state"] == "wrong" and f"mta-sts.{DOMAIN} has no address" in row["says"] and row["do"] for row in rows), rows


def test_behind_a_translation_of_addresses_the_world_sees_another(directory):
    only_private = Asking(directory, inet_interfaces="127.0.0.1", proxy_interfaces="")
    assert f"{HOST}. 3600 IN A" not in " ".join(only_private("show", DOMAIN).split())
    assert "proxy_interfaces = ADDRESS" in only_private("show", DOMAIN)
    assert "203.0.113.5" in only_private("show", DOMAIN, "--address", "203.0.113.5")
    assert "ip4:203.0.113.9" in Asking(directory, smtp_bind_address="203.0.113.9")("show", DOMAIN)
    assert " A " not in Asking(directory, inet_protocols="ipv6")("show", DOMAIN, "--table")
    only_private("show", DOMAIN, "--address", "mail", status=1)


def test_fields_for_consoles_and_columns_that_hold_for_chinese_names(directory):
    ask = Asking(directory)
    cloud = ask("show", DOMAIN, "--cloud").splitlines()
    assert cloud[0].split() == ["name", "type", "value", "priority", "ttl"]
    assert cloud[1].split() == ["@", "MX", HOST, "10", "3600"]
    assert any(line.split()[:3] == ["mail", "A", ADDRESS] for line in cloud)
    table = ask("show", "例子.公司", "--table").split("\n\n")[0].splitlines()
    width = lambda text: sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    at = [width(line[:line.index(f" {kind} ")]) for line, kind in
          [(table[0], "type"), *((line, kind) for line in table[1:] for kind in ["MX", "TXT", "SRV"] if f" {kind} " in line)]]
    assert len(set(at)) == 1 and "_dmarc.例子.公司" in "".join(table) and "_dmarc.xn--fsqu00a.xn--55qx5d" in "".join(table)
    assert json.loads(ask("show", "例子.公司", "--json"))[0]["name"] == "xn--fsqu00a.xn--55qx5d"
    ask("show", "a..b", status=1)
    ask("show", DOMAIN, "--json", "--table", status=2)


def test_wait_asks_again_until_all_is_right(directory):
    with Names() as names:
        ask = Asking(directory, names)
        zone = without_policy(ask)
        waiting = subprocess.Popen([BINARY, "-c", ask.config, "dns", "check", DOMAIN, "--wait"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = ""
        while " right, " not in first:
            first += waiting.stdout.readline()
        assert "missing MX" in " ".join(first.split())
        names.load({DOMAIN: zone, **POINTERS})
        rest = waiting.stdout.read()
        assert waiting.wait(60) == 0 and " 0 missing, 0 wrong" in rest, rest
        assert ask("check", DOMAIN, "--wait", "--watch", status=2) == ""


def test_watch_goes_on_and_tells_what_is_other_than_before(directory):
    """All becomes right, and something breaks again: both are told, and nothing that stayed; a signal ends it with what was so last."""
    with Names() as names:
        ask = Asking(directory, names)
        zone = without_policy(ask)
        names.load({DOMAIN: zone, **POINTERS})
        watching = subprocess.Popen([BINARY, "-c", ask.config, "dns", "check", DOMAIN, "--watch"], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def round_(until):
            lines = []
            while not lines or until not in lines[-1]:
                lines.append(watching.stdout.readline())
                assert lines[-1], lines
            return "".join(lines), " ".join("".join(lines).split())

        try:
            round_("score")
            # While the name servers begin anew what is asked meanwhile is unknown: told, too.
            names.load({DOMAIN: zone.replace("p=none", "p=nonsense"), **POINTERS})
            while True:
                text, words = round_("score")
                if "wrong DMARC" in words:
                    break
            assert "changed at 20" in words
            names.load({DOMAIN: zone, **POINTERS})
            while True:
                text, words = round_("score")
                if "right DMARC" in words:
                    break
            if " 0 unknown" in words and "unknown" not in words.replace(" 0 unknown", ""):
                assert "no more wrong DMARC" in words and "right SPF" not in words and "right MX" not in words, text
            assert watching.poll() is None
        finally:
            watching.send_signal(signal.SIGTERM)
            rest = watching.communicate(timeout=60)
        assert watching.returncode == 0, rest


def test_a_key_ends_the_watching_and_nobody_to_ask_is_told(directory):
    with Names() as names:
        ask = Asking(directory, names)
        ours, theirs = pty.openpty()
        watching = subprocess.Popen([BINARY, "-c", ask.config, "dns", "check", DOMAIN, "--watch"], stdin=theirs,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "a key ends it" in watching.stderr.readline()
        os.write(ours, b"q")
        watching.communicate(timeout=60)
        assert watching.returncode == 1
        os.close(ours), os.close(theirs)
    Asking(directory)("check", DOMAIN, status=2)        # dns_resolver = none
    Asking(directory, names, dns_resolver=f"127.0.0.1:{free_ports(1)[0]}")("check", DOMAIN, status=2)


def test_R96_a_domain_that_is_not_ours_is_told_of(directory):
    with Names() as names, House(dns_resolver=f"127.0.0.1:{names.port}", myhostname=HOST, proxy_interfaces=ADDRESS) as house:
        rows = lambda: json.loads(subprocess.run([BINARY, "-c", house.config, "dns", "check", DOMAIN, "--json"],
                                                 capture_output=True, text=True, timeout=120).stdout)
        ours = lambda: [r["state"] for r in rows() if r["type"] == "domain"]
        assert ours() == ["wrong"]
        house.command("domain", "add", DOMAIN)
        house.command("account", "add", f"postmaster@{DOMAIN}", "--password-file", "-", input="way-station\n")
        assert ours() == ["right"]
