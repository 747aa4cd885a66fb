# SPDX-License-Identifier: ISC
"""mansio dns check: its advice is followed word for word, and then nothing is wrong.

Each row breaks a zone that was right.  What the check says is to be deleted must be there and goes, what is to be
written comes, as somebody would who copies the lines; nsd loads that, unbound is asked again, and there is no fault.  Beside the next check's
own word stands what must be under the name in the end, thought out by hand from the RFC of the row.
"""

import os
import pty
import re
import shutil
import subprocess
import tempfile

import pytest

from house import BINARY
from test_dns import ADDRESS, ADDRESS6, DOMAIN, HOST, POINTERS, REVERSE, Asking, Names, bad, without_policy

LINE = re.compile(r"(\S+)\s+(?:(\d+)\s+)?(?:IN\s+)?([A-Z]+)\s+(.+)")
TEXT = f"{DOMAIN}. TXT"
PTR = f"10.{REVERSE}."
STRANGER, ELSEWHERE = "198.51.100.7", "mx.elsewhere.example."


def split(line):
    """name, type, value of a line of a zone file; a text is its whole, its pieces put together."""
    name, ttl, kind, value = LINE.fullmatch(line.strip()).groups()
    if kind == "TXT":
        value = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', value))
    return name.lower(), kind, value.strip(), ttl or "5"


class Zones:
    """Lines, and the zones they belong to."""

    def __init__(self, names, text):
        self.names = names
        self.lines = [split(line) for line in text.splitlines() if line.strip() and line[0] not in ";$ " and " SOA " not in line and " NS " not in line]

    def take(self, name, kind=None):
        self.lines = [line for line in self.lines if line[0] != name or (kind and line[1] != kind)]

    def add(self, line):
        if not any(one[:3] == split(line)[:3] for one in self.lines):
            self.lines.append(split(line))

    def delete(self, line):
        """What is to be deleted is there, exactly."""
        gone = [one for one in self.lines if one[:3] == split(line)[:3]]
        assert gone, f"no such line: {line}"
        self.lines = [one for one in self.lines if one not in gone]

    def load(self):
        zones = {zone: ["ns.example. A 127.0.0.1"] if zone == "." else [] for zone in self.names.zones}
        for name, kind, value, ttl in self.lines:
            zone = max((z for z in zones if z == "." or name == z + "." or name.endswith(f".{z}.")), key=len)
            pieces = " ".join(f'"{value[i:i + 250]}"' for i in range(0, len(value), 250)) if kind == "TXT" else value
            zones[zone].append(f"{name} {ttl} {kind} {pieces}")
        self.names.load({zone: "\n".join(lines) + "\n" for zone, lines in zones.items()})

    def at(self, name, kind):
        return sorted(value for n, k, value, _ in self.lines if n == name and k == kind)


def follow(zones, rows):
    """Does what is said, and nothing else."""
    erase = {line for row in rows for line in row["delete"].splitlines()}
    write = [line for row in rows for line in row["write"].splitlines()]
    for line in erase:
        zones.delete(line)
    for line in write:
        zones.add(line)


OURS = f"10 {HOST}."
SPF = "v=spf1 mx ~all"
AWAY = f"{ELSEWHERE} A {STRANGER}"
ELEVEN = " ".join(f"a:h{i}.{DOMAIN}" for i in range(11))
# why: (what is taken away, what is added, the finding's key, its state, what it says, {(name, type): what is there in the end})
FAULTS = {
    "no MX": ([(f"{DOMAIN}.", "MX")], [], ("MX", DOMAIN), "missing", "", {(f"{DOMAIN}.", "MX"): [OURS]}),
    "no MX, a web site": ([(f"{DOMAIN}.", "MX")], [f"{DOMAIN}. A {STRANGER}"], ("MX", DOMAIN), "missing", "rfc5321:5.1",
                          {(f"{DOMAIN}.", "MX"): [OURS], (f"{DOMAIN}.", "A"): [STRANGER]}),
    "null MX": ([(f"{DOMAIN}.", "MX")], [f"{DOMAIN}. MX 0 ."], ("MX", DOMAIN), "wrong", "rfc7505", {(f"{DOMAIN}.", "MX"): [OURS]}),
    "null MX beside ours": ([], [f"{DOMAIN}. MX 0 ."], ("MX", DOMAIN), "wrong", "rfc7505", {(f"{DOMAIN}.", "MX"): [OURS]}),
    "another's MX": ([(f"{DOMAIN}.", "MX")], [f"{DOMAIN}. MX 10 {ELSEWHERE}", AWAY], ("MX", DOMAIN), "wrong", "does not come to", {(f"{DOMAIN}.", "MX"): [OURS]}),
    "two of another": ([(f"{DOMAIN}.", "MX")], [f"{DOMAIN}. MX 10 {ELSEWHERE}", f"{DOMAIN}. MX 20 mx2.elsewhere.example.", AWAY, f"mx2.elsewhere.example. A {STRANGER}"],
                       ("MX", DOMAIN), "wrong", "does not come to", {(f"{DOMAIN}.", "MX"): [OURS]}),
    "one of two is another's": ([], [f"{DOMAIN}. MX 5 {ELSEWHERE}", AWAY], ("MX", DOMAIN), "advice", "comes to it first", {(f"{DOMAIN}.", "MX"): [OURS]}),
    "an address as MX": ([(f"{DOMAIN}.", "MX")], [f"{DOMAIN}. MX 10 192.0.2.10."], ("MX", DOMAIN), "wrong", "is an address", {(f"{DOMAIN}.", "MX"): [OURS]}),
    "an address beside ours": ([], [f"{DOMAIN}. MX 20 192.0.2.10."], ("MX", DOMAIN), "wrong", "is an address", {(f"{DOMAIN}.", "MX"): [OURS]}),
    "an alias of us": ([(f"{DOMAIN}.", "MX")], [f"{DOMAIN}. MX 10 mx.{DOMAIN}.", f"mx.{DOMAIN}. CNAME {HOST}."], ("MX", DOMAIN), "wrong", "is an alias",
                       {(f"{DOMAIN}.", "MX"): [OURS]}),
    "an alias of another beside ours": ([], [f"{DOMAIN}. MX 20 mx.{DOMAIN}.", f"mx.{DOMAIN}. CNAME {ELSEWHERE}", AWAY], ("MX", DOMAIN), "wrong", "is an alias",
                                        {(f"{DOMAIN}.", "MX"): [OURS, f"20 {ELSEWHERE}"]}),
    "MX without address": ([], [f"{DOMAIN}. MX 20 nobody.{DOMAIN}."], ("MX", DOMAIN), "wrong", "has no address", {(f"{DOMAIN}.", "MX"): [OURS]}),
    "our other name": ([(f"{DOMAIN}.", "MX")], [f"{DOMAIN}. MX 10 mx.{DOMAIN}.", f"mx.{DOMAIN}. A {ADDRESS}", f"mx.{DOMAIN}. AAAA {ADDRESS6}"], ("MX", DOMAIN), "advice", "under another name",
                       {(f"{DOMAIN}.", "MX"): [OURS]}),
    "a TTL of days": ([(f"{DOMAIN}.", "MX")], [f"{DOMAIN}. 86400 MX {OURS}"], ("MX", DOMAIN), "advice", "TTL is ", {(f"{DOMAIN}.", "MX"): [OURS]}),
    "the wrong address": ([(f"{HOST}.", "A")], [f"{HOST}. A {STRANGER}"], ("A", HOST), "wrong", "", {(f"{HOST}.", "A"): [ADDRESS]}),
    "an address too many": ([], [f"{HOST}. A {STRANGER}"], ("A", HOST), "wrong", "no address of this server", {(f"{HOST}.", "A"): [ADDRESS]}),
    "no A": ([(f"{HOST}.", "A")], [], ("A", HOST), "missing", "", {(f"{HOST}.", "A"): [ADDRESS]}),
    "no AAAA": ([(f"{HOST}.", "AAAA")], [], ("AAAA", HOST), "missing", "", {(f"{HOST}.", "AAAA"): [ADDRESS6]}),
    "the wrong AAAA": ([(f"{HOST}.", "AAAA")], [f"{HOST}. AAAA 2001:db8::99"], ("AAAA", HOST), "wrong", "", {(f"{HOST}.", "AAAA"): [ADDRESS6]}),
    "the host an alias": ([(f"{HOST}.", "A"), (f"{HOST}.", "AAAA"), (f"{HOST}.", "TXT")], [f"{HOST}. CNAME w.{DOMAIN}.", f"w.{DOMAIN}. A {ADDRESS}"],
                          ("CNAME", HOST), "wrong", "rfc2181:10.3", {(f"{HOST}.", "A"): [ADDRESS], (f"{HOST}.", "AAAA"): [ADDRESS6], (f"{HOST}.", "CNAME"): []}),
    "no PTR": ([(PTR, "PTR")], [], ("PTR", PTR[:-1]), "missing", "has no name", {(PTR, "PTR"): [f"{HOST}."]}),
    "another's PTR": ([(PTR, "PTR")], [f"{PTR} PTR pool7.isp.example."], ("PTR", PTR[:-1]), "wrong", "does not lead back", {(PTR, "PTR"): [f"{HOST}."]}),
    "a PTR of our other name": ([(PTR, "PTR")], [f"{PTR} PTR w.{DOMAIN}.", f"w.{DOMAIN}. A {ADDRESS}"], ("PTR", PTR[:-1]), "advice", "the same is better", {(PTR, "PTR"): [f"{HOST}."]}),
    "a part of the reverse zone is lent": ([(PTR, "PTR")], [f"{PTR} CNAME 10.0-15.{REVERSE}.", f"10.0-15.{REVERSE}. PTR pool7.isp.example."], ("PTR", PTR[:-1]), "wrong", "",
                                           {(f"10.0-15.{REVERSE}.", "PTR"): [f"{HOST}."], (PTR, "CNAME"): [f"10.0-15.{REVERSE}."]}),
    "two SPF": ([(f"{DOMAIN}.", "TXT")], [f'{TEXT} "{SPF}"', f'{TEXT} "v=spf1 include:_s.isp.example -all"', f'{TEXT} "site=1"', '_s.isp.example. TXT "v=spf1 ip4:198.51.100.0/24 -all"'],
                ("SPF", DOMAIN), "wrong", "There are 2", {(f"{DOMAIN}.", "TXT"): ["site=1", "v=spf1 mx include:_s.isp.example ~all"]}),
    "SPF without us": ([(f"{DOMAIN}.", "TXT")], [f'{TEXT} "v=spf1 ip4:198.51.100.0/24 -all"'], ("SPF", DOMAIN), "wrong", f"does not let {ADDRESS} send",
                       {(f"{DOMAIN}.", "TXT"): [f"v=spf1 ip4:{ADDRESS} ip6:{ADDRESS6} ip4:198.51.100.0/24 -all"]}),
    "a slip in SPF": ([(f"{DOMAIN}.", "TXT")], [f'{TEXT} "v=spf1 ipv4:198.51.100.1 mx -all"'], ("SPF", DOMAIN), "wrong", "no such mechanism",
                      {(f"{DOMAIN}.", "TXT"): ["v=spf1 ip4:198.51.100.1 mx -all"]}),
    "nonsense in SPF": ([(f"{DOMAIN}.", "TXT")], [f'{TEXT} "v=spf1 mx frobnicate -all"'], ("SPF", DOMAIN), "wrong", "frobnicate", {(f"{DOMAIN}.", "TXT"): ["v=spf1 mx -all"]}),
    "SPF of everybody": ([(f"{DOMAIN}.", "TXT")], [f'{TEXT} "v=spf1 mx +all"'], ("SPF", DOMAIN), "wrong", "everybody", {(f"{DOMAIN}.", "TXT"): [SPF]}),
    "an include of nothing": ([(f"{DOMAIN}.", "TXT")], [f'{TEXT} "v=spf1 mx include:_s.{DOMAIN} -all"'], ("SPF", DOMAIN), "wrong", "there is no SPF record",
                              {(f"{DOMAIN}.", "TXT"): ["v=spf1 mx -all"]}),
    "an include of itself": ([(f"{DOMAIN}.", "TXT")], [f'{TEXT} "v=spf1 mx include:{DOMAIN} -all"'], ("SPF", DOMAIN), "wrong", "lead too far", {(f"{DOMAIN}.", "TXT"): ["v=spf1 mx -all"]}),
    "names of nobody in SPF": ([(f"{DOMAIN}.", "TXT")], [f'{TEXT} "v=spf1 mx a:x.{DOMAIN} a:y.{DOMAIN} a:z.{DOMAIN} -all"'], ("SPF", DOMAIN), "wrong", "2 are allowed",
                               {(f"{DOMAIN}.", "TXT"): ["v=spf1 mx -all"]}),
    # rfc7208:4.6.4: twelve, and ten are allowed: two of the host's own domain as networks are enough.
    "twelve lookups": ([(f"{DOMAIN}.", "TXT")], [f'{TEXT} "v=spf1 mx {ELEVEN} -all"', *(f"h{i}.{DOMAIN}. A 198.51.100.{i + 1}" for i in range(11))],
                       ("SPF", DOMAIN), "wrong", "takes 12 lookups", None),
    "an include of many": ([(f"{DOMAIN}.", "TXT")], [f'{TEXT} "v=spf1 mx include:_s.isp.example -all"', f'_s.isp.example. TXT "v=spf1 {ELEVEN} -all"',
                                                     *(f"h{i}.{DOMAIN}. A 198.51.100.{i + 1}" for i in range(11))], ("SPF", DOMAIN), "wrong", "takes 13 lookups", None),
    # rfc7208:6.1: all is there, so nobody goes by redirect.
    "an include of many, and a redirect that is void": (
        [(f"{DOMAIN}.", "TXT")], [f'{TEXT} "v=spf1 mx include:_s.isp.example -all"', f'_s.isp.example. TXT "v=spf1 {ELEVEN} -all redirect=_x.isp.example"',
                                  '_x.isp.example. TXT "v=spf1 ip4:203.0.113.0/24 -all"', *(f"h{i}.{DOMAIN}. A 198.51.100.{i + 1}" for i in range(11))],
        ("SPF", DOMAIN), "wrong", "takes 13 lookups", None),
    "no SPF": ([(f"{DOMAIN}.", "TXT")], [f'{TEXT} "site=1"'], ("SPF", DOMAIN), "missing", "", {(f"{DOMAIN}.", "TXT"): ["site=1", SPF]}),
    "two DMARC": ([], [f'_dmarc.{DOMAIN}. TXT "v=DMARC1; p=reject"'], ("DMARC", f"_dmarc.{DOMAIN}"), "wrong", "There are 2", None),
    "DMARC without p": ([(f"_dmarc.{DOMAIN}.", "TXT")], [f'_dmarc.{DOMAIN}. TXT "v=DMARC1; rua=mailto:a@{DOMAIN}"'], ("DMARC", f"_dmarc.{DOMAIN}"), "wrong", "p must be", None),
    "TLSRPT": ([(f"_smtp._tls.{DOMAIN}.", "TXT")], [f'_smtp._tls.{DOMAIN}. TXT "v=TLSRPTv1; rua=postmaster@{DOMAIN}"'], ("TLSRPT", f"_smtp._tls.{DOMAIN}"), "wrong", "mailto:", None),
    "MTA-STS that nobody gives": ([], [f'_mta-sts.{DOMAIN}. TXT "v=STSv1; id=1"'], ("MTA-STS", f"mta-sts.{DOMAIN}"), "wrong", "has no address", {(f"_mta-sts.{DOMAIN}.", "TXT"): []}),
    "SRV": ([(f"_imaps._tcp.{DOMAIN}.", "SRV")], [f"_imaps._tcp.{DOMAIN}. SRV 0 1 993 {ELSEWHERE}"], ("SRV", f"_imaps._tcp.{DOMAIN}"), "wrong", "leads elsewhere",
            {(f"_imaps._tcp.{DOMAIN}.", "SRV"): [f"0 1 993 {HOST}."]}),
    "TLSA of nobody": ([(f"_25._tcp.{HOST}.", "TLSA")], [f"_25._tcp.{HOST}. TLSA 3 1 1 {'ab' * 32}"], ("TLSA", f"_25._tcp.{HOST}"), "wrong", "No record is about",
                       {(f"_25._tcp.{HOST}.", "TLSA"): []}),
    "TLSA without effect": ([], [], ("TLSA", f"_25._tcp.{HOST}"), "advice", "the zone is not signed", {(f"_25._tcp.{HOST}.", "TLSA"): []}),
}
# Where the zone is signed what is wrong of TLSA is written anew.
SIGNED = {
    "TLSA of nobody": ([(f"_25._tcp.{HOST}.", "TLSA")], [f"_25._tcp.{HOST}. TLSA 3 1 1 {'ab' * 32}"], "wrong", "send us nothing"),
    "TLSA missing": ([(f"_25._tcp.{HOST}.", "TLSA")], [], "missing", "could prove"),
    "one TLSA too many": ([], [f"_25._tcp.{HOST}. TLSA 3 1 1 {'ab' * 32}"], "advice", "1 of 2 records"),
}


@pytest.fixture(scope="module")
def world():
    d = tempfile.mkdtemp(prefix="mansio-dns-")
    with Names() as names:
        ask = Asking(d, names)
        yield names, ask, without_policy(ask) + "".join(POINTERS.values())
    shutil.rmtree(d)


def broken(world, less, more):
    names, ask, good = world
    zones = Zones(names, good)
    for name, kind in less:
        zones.take(name, kind)
    for line in more:
        zones.add(line)
    zones.load()
    return zones, ask


def mended(zones, ask, key, state, says):
    """The check, what it says followed, and the check again; what the finding was."""
    found = ask.check(status=1 if state != "advice" else 0)
    told = [row for row in found[key] if row["state"] == state and says in row["says"]]
    assert told, found[key]
    assert all(row["delete"] or row["write"] for row in told), told
    follow(zones, [row for rows in found.values() for row in rows if row["state"] in ("missing", "wrong") or row in told])
    zones.load()
    again = ask.check(status=0)
    assert not bad(again), bad(again)
    assert not any(row["state"] == state and row["says"] == told[0]["says"] for row in again.get(key, [])), again[key]
    return told


@pytest.mark.parametrize("why", FAULTS)
def test_R94_R96_R356_who_does_what_the_check_says_has_a_zone_that_is_right(world, why):
    less, more, key, state, says, end = FAULTS[why]
    zones, ask = broken(world, less, more)
    told = mended(zones, ask, key, state, says)
    for (name, kind), values in (end or {}).items():
        assert zones.at(name, kind) == sorted(values), (name, kind)
    if key[0] == "PTR":         # it is not in our zone: who sets it, and to what
        assert all("provider of 192.0.2.10" in row["do"] and f"exactly {HOST}" in row["do"] for row in told), told
    if key[0] == "SPF":         # nobody who may send today may not tomorrow, and the record is one that costs at most ten lookups
        [text] = [t for t in zones.at(f"{DOMAIN}.", "TXT") if t.startswith("v=spf1")]
        assert len(re.findall(r"\b(?:mx|a:|include:)", text)) <= 10
        assert "203.0.113." not in text, text   # nor anybody who may not today
        for address in re.findall(r"h\d+\.example\.org\. A (\S+)", "\n".join(more)):
            host = next(line.split(".")[0] for line in more if line.endswith(f" A {address}"))
            assert f"a:{host}." in text or f"ip4:{address}" in text or "include:_s" in text, (text, host)


def test_R94_a_wrong_address_of_the_host_is_not_the_fault_of_the_provider(world):
    zones, ask = broken(world, [(f"{HOST}.", "A")], [f"{HOST}. A {STRANGER}"])
    [row] = ask.check(status=1)[("PTR", PTR[:-1])]
    assert row["delete"] == "" and "provider" not in row["do"] and f"A of {HOST}" in row["says"] and row["write"].endswith(f" A {ADDRESS}"), row


def test_R96_a_domain_that_is_an_alias_gets_records_of_its_own(world):
    """rfc1034:3.6.2: beside CNAME nothing may stand, so the address of the web site is kept as an address."""
    names, ask, good = world
    shop = f"shop.{DOMAIN}"
    zones, _ = broken(world, [], [f"{shop}. CNAME web.elsewhere.example.", f"web.elsewhere.example. A {STRANGER}", 'web.elsewhere.example. TXT "v=spf1 -all"'])
    for line in ask("show", shop, "--lines").splitlines():
        if line.strip() and line[0] != ";" and "mta-sts" not in line and not line.startswith(f"{shop}."):
            zones.add(line)
    zones.load()
    found = ask.check(status=1, domain=shop)
    [row] = found[("CNAME", shop)]
    assert row["state"] == "wrong" and "MX" in row["says"]
    follow(zones, [r for rows in found.values() for r in rows if r["state"] in ("missing", "wrong")])
    zones.load()
    assert not bad(ask.check(status=0, domain=shop))
    assert zones.at(f"{shop}.", "MX") == [OURS] and zones.at(f"{shop}.", "A") == [STRANGER] and not zones.at(f"{shop}.", "CNAME")
    assert zones.at(f"{shop}.", "TXT") == [SPF]


@pytest.mark.parametrize("why", SIGNED)
def test_R230_in_a_signed_zone_the_right_TLSA_takes_the_place_of_the_wrong(why):
    less, more, state, says = SIGNED[why]
    d = tempfile.mkdtemp(prefix="mansio-dns-")
    with Names(signed=True) as names:
        ask = Asking(d, names)
        zones, _ = broken((names, ask, without_policy(ask) + "".join(POINTERS.values())), less, more)
        mended(zones, ask, ("TLSA", f"_25._tcp.{HOST}"), state, says)
        want = next(split(line)[2] for line in ask("show", DOMAIN, "--lines").splitlines() if " TLSA " in line)
        assert zones.at(f"_25._tcp.{HOST}.", "TLSA") == [want]
    shutil.rmtree(d)


def test_R96_what_to_do_is_read_by_people_too(world):
    zones, ask = broken(world, [(f"{DOMAIN}.", "MX"), (PTR, "PTR")], [f"{DOMAIN}. MX 0 ."])
    text = ask("check", DOMAIN, status=1)
    assert f"delete: {DOMAIN}. IN MX 0 ." in text and re.search(rf"write: {re.escape(DOMAIN)}\. 3600 IN MX {re.escape(OURS)}", text), text
    assert re.search(r"do: .*provider of 192\.0\.2\.10", text), text


def test_R96_two_faults_at_once_and_all_faults_of_one_kind_are_mended_in_one_go(world):
    everything = [FAULTS[why] for why in ["null MX beside ours", "an address too many", "no AAAA", "another's PTR", "two SPF", "two DMARC", "SRV", "TLSA of nobody"]]
    zones, ask = broken(world, [one for row in everything for one in row[0]], [line for row in everything for line in row[1]])
    found = ask.check(status=1)
    follow(zones, [row for rows in found.values() for row in rows if row["state"] in ("missing", "wrong")])
    zones.load()
    assert not bad(ask.check(status=0))


def test_R96_who_watches_hears_of_changes_and_not_of_another_order(world):
    """unbound gives several records in another order each time: that is no change."""
    zones, ask = broken(world, [(f"{DOMAIN}.", "TXT")], [f'{TEXT} "v=spf1 mx -all"', f'{TEXT} "v=spf1 a -all"', f'{TEXT} "site=1"', f"{DOMAIN}. MX 20 {ELSEWHERE}", AWAY])
    ours, theirs = pty.openpty()
    watching = subprocess.Popen([BINARY, "-c", ask.config, "dns", "check", DOMAIN, "--watch"], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(3):
        assert "a key ends it" in watching.stderr.readline()
    os.write(ours, b"q")
    said, _ = watching.communicate(timeout=60)
    os.close(ours), os.close(theirs)
    assert watching.returncode == 1 and "There are 2 SPF records" in said and "changed at" not in said, said
