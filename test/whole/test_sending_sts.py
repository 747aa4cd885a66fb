# SPDX-License-Identifier: ISC
"""MTA-STS outwards (rfc8461): the policy of a domain about its own hosts, from a web server of the test's own with a test's own authority.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sending_sts.py
"""

import email
import gzip
import http.server
import os
import pathlib
import random
import re
import ssl
import subprocess
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import BINARY, free_ports, wait_for
from proved import Authority, Host, Zone, tlsa
from test_sending import Sink, house, send
from test_sending_dane import decision
from tlsreports import read_report, reports_in, yesterday

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a web server at port 443 needs root")


class Web:
    """HTTPS at port 443 of an address; what it answers is by the name it is asked under, and its certificate too."""

    def __init__(self, address):
        self.policies, self.chains, self.asked, self.lock = {}, {}, [], threading.Lock()
        me = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                host = self.headers["Host"]
                with me.lock:
                    me.asked.append((host, self.path))
                me.policies[host](self)

            def do_POST(self):
                host = self.headers["Host"]
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with me.lock:
                    me.asked.append((host, self.path, self.headers["Content-Type"], body))
                self.send_response(me.policies[host](self) or 201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((address, 443), Handler)
        self.server.daemon_threads = True
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.sni_callback = self.choose
        self.server.socket = self.context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, host, cert, key, answer):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(cert, key)
        self.chains[host] = c
        self.policies[host] = answer
        if len(self.chains) == 1:
            self.context.load_cert_chain(cert, key)

    def choose(self, sock, name, _):
        if name in self.chains:
            sock.context = self.chains[name]

    def count(self, host):
        with self.lock:
            return sum(a[0] == host for a in self.asked)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def text(body, kind="text/plain", code=200, chunked=False):
    def answer(h):
        data = body.encode()
        h.send_response(code)
        h.send_header("Content-Type", kind)
        if code in (301, 302):
            h.send_header("Location", "https://mta-sts.enforce.example/.well-known/mta-sts.txt")
        if chunked:
            h.send_header("Transfer-Encoding", "chunked")
            h.end_headers()
            for i in range(0, len(data), 7):
                h.wfile.write(b"%x\r\n%s\r\n" % (len(data[i:i + 7]), data[i:i + 7]))
            h.wfile.write(b"0\r\n\r\n")
        else:
            h.send_header("Content-Length", str(len(data)))
            h.end_headers()
            h.wfile.write(data)
    return answer


def hang(h):
    h.connection.settimeout(None)
    h.connection.recv(1)


def raw(*pieces):
    """What no web server says."""
    def answer(h):
        try:
            for piece in pieces:
                h.wfile.write(piece)
        except OSError:
            pass
        h.close_connection = True
    answer.raw = True
    return answer


GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
POLICY = b"version: STSv1\nmode: enforce\nmx: *.other.example\nmax_age: 86400\n"


def policy(mode="enforce", mx="mx.{d}", age=86400):
    return "version: STSv1\r\nmode: {m}\r\nmx: {x}\r\nmax_age: {a}\r\n".format(m=mode, x=mx, a=age)


# domain: (the host's certificate "good", "self", "name", "expired", "clear"; its policy's answer; web certificate; TXT; what is expected; why)
TXT = "v=STSv1; id=20260101T000000;"
SENT, OPEN, CLEAR = "Verified", "Untrusted", ""
TRUSTED, NAMED, NO_TLS, MX = "Server certificate not trusted", "Server certificate not verified", "TLS is required, but was not offered", "MTA-STS"
CASES = {
    "enforce": ("good", text(policy()), "good", TXT, SENT, "rfc8461:5 TLS, a certificate that is trusted and for the host"),
    "wildcard": ("good", text(policy(mx="*.{d}")), "good", TXT, SENT, "rfc8461:4.1 a wildcard stands for one label"),
    "chunked": ("good", text(policy(), chunked=True), "good", TXT, SENT, "pieces"),
    "bare": ("good", text(policy().replace("\r", "")), "good", TXT, SENT, "rfc8461:3.2 lines may end with LF"),
    "charset": ("good", text(policy(), kind="text/plain; charset=utf-8"), "good", TXT, SENT, "parameters of the type"),
    "self": ("self", text(policy()), "good", TXT, TRUSTED, "rfc8461:4.2 a certificate nobody vouches for"),
    "name": ("name", text(policy()), "good", TXT, NAMED, "rfc8461:4.2 of another host"),
    "expired": ("expired", text(policy()), "good", TXT, TRUSTED, "rfc8461:4.2 of yesterday"),
    "clear": ("clear", text(policy()), "good", TXT, NO_TLS, "rfc8461:5 somebody took STARTTLS away"),
    "other-mx": ("good", text(policy(mx="other.example")), "good", TXT, MX, "rfc8461:4.1 a host it does not name"),
    "deep": ("good", text(policy(mx="*.example")), "good", TXT, MX, "rfc8461:4.1 a wildcard stands for one label alone"),
    "testing": ("self", text(policy("testing")), "good", TXT, OPEN, "rfc8461:5 a policy that is tested stops nothing"),
    "testing-mx": ("self", text(policy("testing", mx="other.example")), "good", TXT, OPEN, "nor does it by hosts"),
    "none": ("self", text(policy("none")), "good", TXT, OPEN, "rfc8461:8.3 a policy that is no more"),
    "web-self": ("self", text(policy()), "self", TXT, OPEN, "rfc8461:3.3 a web server nobody vouches for says nothing"),
    "web-expired": ("self", text(policy()), "expired", TXT, OPEN, "nor one of yesterday"),
    "web-name": ("self", text(policy()), "name", TXT, OPEN, "nor one of another name"),
    "html": ("self", text(policy(), kind="text/html"), "good", TXT, OPEN, "rfc8461:3.3 text/plain it must be"),
    "missing": ("self", text("no", code=404), "good", TXT, OPEN, "no policy"),
    "redirect": ("self", text(policy(), code=301), "good", TXT, OPEN, "rfc8461:3.3 nobody is followed"),
    "too-big": ("self", text(policy() + "x: y\r\n" * 20000), "good", TXT, OPEN, "rfc8461:3.3 nothing larger than 64 kilobytes"),
    "header": ("self", raw(GOOD, *[b"X-More: and more\r\n" * 100] * 100), "good", TXT, OPEN, "a header that does not end"),
    "endless": ("self", raw(GOOD + b"\r\n", POLICY, *[b"x: yyyyyyyyy\n" * 100] * 1000), "good", TXT, OPEN, "nor does a policy"),
    "chunks": ("self", raw(GOOD + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\n \r\n" * 100] * 300), "good", TXT, OPEN, "nor pieces of one"),
    "gzip": ("self", raw(GOOD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(POLICY + b"\n" * 10000000)), "good", TXT, OPEN, "nothing is unpacked"),
    "negative": ("self", raw(GOOD + b"Content-Length: -1\r\n\r\n", POLICY), "good", TXT, OPEN, "a length that is none"),
    "file": ("self", raw(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"), "good", TXT, OPEN, "led to a file"),
    "broken": ("self", text("version: STSv1\nmode: enforce\n"), "good", TXT, OPEN, "a policy that is none"),
    "no-record": ("self", text(policy()), "good", None, OPEN, "rfc8461:3.1 without a record nothing is fetched"),
    "two-records": ("self", text(policy()), "good", TXT + '" "x" ) \n_mta-sts.two-records.example. TXT ( "v=STSv1; id=2;', OPEN, "rfc8461:3.1 two are none"),
}


class World:
    def __init__(self):
        self.port = free_ports(1)[0]
        self.net = f"127.{random.randrange(20, 250)}.{random.randrange(1, 250)}"
        self.ca, self.stranger, self.hosts = Authority(), Authority("Stranger"), {}
        self.web = Web(f"{self.net}.1")
        records = ""
        for i, (name, (kind, answer, web, txt, _, _)) in enumerate({**CASES, "hanging": ("good", hang, "good", TXT, "", "")}.items(), 2):
            d, a = f"{name}.example", f"{self.net}.{i}"
            cert, key = (None, None) if kind == "clear" else self.chain(kind, f"mx.{d}")
            self.hosts[d] = Host(a, self.port, cert, key)
            self.web.add(f"mta-sts.{d}", *self.chain(web, f"mta-sts.{d}"), self.fill(answer, d))
            records += f"{d}. MX 10 mx.{d}.\nmx.{d}. A {a}\nmta-sts.{d}. A {self.net}.1\n"
            if txt:
                records += f'_mta-sts.{d}. TXT ( "{txt}" )\n'
        # Reports: of two domains, one by mail and one by HTTPS.
        self.web.add("reports.example", *self.ca.certificate("reports.example"), lambda h: 201)
        records += f"reports.example. A {self.net}.1\n"
        records += '_smtp._tls.self.example. TXT ( "v=TLSRPTv1; rua=mailto:reports@none.example" )\n'
        records += '_smtp._tls.enforce.example. TXT ( "v=TLSRPTv1;rua=https://reports.example/v1/tls" )\n'
        records += "".join(f'_smtp._tls.{d}.example. TXT ( "v=TLSRPTv1; rua=mailto:reports@none.example" )\n' for d in FAILURES)
        self.zone = Zone(records)

    @staticmethod
    def fill(answer, d):
        """Policies name hosts of their domain as {d}."""
        if answer is hang or hasattr(answer, "raw"):
            return answer
        body = answer.__closure__[0].cell_contents
        names = dict(zip(answer.__code__.co_freevars, [c.cell_contents for c in answer.__closure__]))
        return text(names["body"].replace("{d}", d), names["kind"], names["code"], names["chunked"])

    def chain(self, kind, name):
        if kind == "self":
            return self.stranger.certificate(name)
        return self.ca.certificate("other.example" if kind == "name" else name, expired=kind == "expired")

    def house(self, **settings):
        return house(**{**self.zone.settings(), "smtp_tcp_port": str(self.port), "inet_protocols": "ipv4", "smtp_tls_security_level": "dane",
                        "smtp_mta_sts_CAfile": str(self.ca.cert), **settings})

    def close(self):
        for h in self.hosts.values():
            h.close()
        for x in (self.web, self.zone):
            x.close()
        self.ca.__exit__()
        self.stranger.__exit__()


@pytest.fixture(scope="module")
def world():
    w = World()
    yield w
    w.close()


def test_a_web_server_where_nobody_is_to_be_asked_is_not(world):
    with world.house(smtp_forbidden_networks=f"{world.net}.1/32") as h:
        before = world.web.count("mta-sts.self.example")
        send(h, "x@self.example")
        wait_for(lambda: decision(h.text(), "self.example") is not None, 60)
        assert decision(h.text(), "self.example") == OPEN
        assert "its address is not one to be asked" in h.text()
        assert world.web.count("mta-sts.self.example") == before


def test_a_policy_decides(world):
    with world.house() as h:
        domains = [f"{n}.example" for n in CASES]
        for d in domains:
            send(h, f"x@{d}")
        wait_for(lambda: all(decision(h.text(), d) is not None for d in domains), 60)
        wrong = {}
        for n, (*_, expected, _) in CASES.items():
            said = decision(h.text(), f"{n}.example")
            if said != expected if expected in (SENT, OPEN, CLEAR) else expected not in said:
                wrong[n] = (expected, said)
        assert wrong == {}, h.text()
        assert world.web.count("mta-sts.no-record.example") == 0
        assert re.search(r"to=<x@enforce\.example>.* status=sent \(.*\) tls=sts\n", h.text())


def test_a_policy_is_remembered(world):
    """rfc8461:5.1 one fetch for many letters; after a restart none; without a web server and without a record it still holds."""
    with world.house() as h:
        for i in range(5):
            send(h, f"x{i}@enforce.example")
        before = world.web.count("mta-sts.enforce.example")
        wait_for(lambda: h.count("status=sent") == 5)
        assert world.web.count("mta-sts.enforce.example") - before <= 1
        send(h, "x@self.example")
        wait_for(lambda: decision(h.text(), "self.example") == TRUSTED)
        assert h.stop() == 0
        asked = len(world.web.asked)
        h.start()
        send(h, "y@enforce.example")
        wait_for(lambda: "to=<y@enforce.example>" in h.text() and h.count("kept) tls=sts\n") == 6)
        assert len(world.web.asked) == asked
    with world.house(smtp_mta_sts="no") as h:
        send(h, "x@self.example")
        wait_for(lambda: decision(h.text(), "self.example") == OPEN)


# rfc8460:4.3.2.2: of what of a policy of MTA-STS fails.
FAILURES = {"missing": "sts-policy-fetch-error", "web-name": "sts-webpki-invalid", "broken": "sts-policy-invalid"}


def test_what_fails_of_a_policy_is_told_as_of_that_policy(world):
    """rfc8460:4.2, 4.3.2.2: what fails before there is a policy is no session without one."""
    domains = {f"{d}.example" for d in FAILURES}
    with Sink() as relay, world.house(smtp_tlsrpt_enable="yes", transport_maps=f"inline:{{none.example=smtp:[127.0.0.1]:{relay.port}}}") as h:
        for d in domains:
            send(h, f"x@{d}")
        wait_for(lambda: all(decision(h.text(), d) is not None for d in domains), 60)
        yesterday(h, domains)
        wait_for(lambda: set(reports_in(relay)) == domains, 60)
    for d, failure in FAILURES.items():
        [policy] = [p for p in reports_in(relay)[f"{d}.example"]["policies"] if p.get("failure-details")]
        assert policy["policy"]["policy-type"] == "sts" and [f["result-type"] for f in policy["failure-details"]] == [failure], policy


def test_domains_that_ask_hear_how_tls_came_about(world):
    """rfc8460: counted by day, and the day after sent to where the domain's record says, by mail without any policy and by HTTPS."""
    reports_to = world.hosts["none.example"]
    with Sink() as relay, world.house(smtp_tlsrpt_enable="yes", smtp_tlsrpt_contact="tls@here.example", transport_maps=f"inline:{{none.example=smtp:[127.0.0.1]:{relay.port}}}") as h:
        send(h, "x@enforce.example")
        send(h, "x@self.example")
        wait_for(lambda: all(decision(h.text(), d) is not None for d in ("enforce.example", "self.example")))
        yesterday(h, ("enforce.example", "self.example"))
        wait_for(lambda: world.web.count("reports.example") and any(b"TLS-Report-Domain" in t for _, _, t in relay.letters), 60)
        wait_for(lambda: h.count("tlsrpt: the report for ") == 2)
    _, path, kind, packed = next(a for a in world.web.asked if a[0] == "reports.example")
    assert (path, kind) == ("/v1/tls", "application/tlsrpt+gzip")
    report = read_report(packed)
    policy, = report["policies"]
    assert policy["policy"]["policy-type"] == "sts" and policy["policy"]["policy-domain"] == "enforce.example"
    assert "mode: enforce" in policy["policy"]["policy-string"] and policy["policy"]["mx-host"] == ["mx.enforce.example"]
    assert policy["summary"] == {"total-successful-session-count": 1, "total-failure-session-count": 0}
    assert report["contact-info"] == "tls@here.example"
    sender, to, letter = next(x for x in relay.letters if b"TLS-Report-Domain" in x[2])      # by the queue, and so by its transport
    assert "<tls@here.example>" in sender and not any(b"TLS-Report" in x[2] for x in reports_to.letters)
    letter = email.message_from_bytes(letter)
    assert to == ["reports@none.example"] and letter["TLS-Report-Domain"] == "self.example" and letter["TLS-Required"] == "No"
    assert letter["TLS-Report-Submitter"] == "mail.example.com" and letter.get_content_type() == "multipart/report"
    part = letter.get_payload()[1]
    assert part.get_content_type() == "application/tlsrpt+gzip"
    # rfc8460:5.1: the first is the domain of the contact; rfc8460:5.3: the subject.
    assert re.fullmatch(r"here\.example!self\.example!\d+!\d+!001\.json\.gz", part.get_filename())
    assert re.fullmatch(r"Report\s+Domain:\s+self\.example\s+Submitter:\s+mail\.example\.com\s+Report-ID:\s+<[\w.+-]+@[\w.-]+>", letter["Subject"])
    policy, = read_report(part.get_payload(decode=True))["policies"]
    assert [f["result-type"] for f in policy["failure-details"]] == ["certificate-not-trusted"]
    failure, = policy["failure-details"]
    assert failure["receiving-mx-hostname"] == "mx.self.example" and failure["receiving-mx-helo"] == "host.example"
    assert failure["sending-mta-ip"].startswith("127.") and failure["receiving-ip"].startswith("127.")


def test_who_hangs_holds_up_nobody_else(world):
    with world.house() as h:
        send(h, "x@hanging.example")
        send(h, "x@enforce.example")
        wait_for(lambda: decision(h.text(), "enforce.example") == SENT)
        assert decision(h.text(), "hanging.example") is None
        wait_for(lambda: decision(h.text(), "hanging.example") is not None, 60)
        assert decision(h.text(), "hanging.example") in ("Trusted", "Untrusted")


HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'


@pytest.mark.parametrize("name, says", [
    ("enforce", "policy of enforce.example, enforce, id 20260101T000000, for 1 days: it names mx.enforce.example"),
    ("wildcard", "it names mx.wildcard.example"), ("testing", "policy of testing.example, testing"), ("none", "it asks for nothing"),
    ("no-record", "MTA-STS      no policy"),
    ("other-mx", "WRONG        MTA-STS: the policy of other-mx.example (enforce) does not name mx.other-mx.example"),
    ("missing", "WRONG        MTA-STS: the policy of missing.example is not to be had: the web server says HTTP/1.1 404"),
    ("web-name", "is not to be had: TLS: "), ("html", "is not to be had: the policy is not text/plain"),
    ("broken", "WRONG        MTA-STS: the policy of broken.example is not to be had: "), ("too-big", "the policy is longer than 64 KiB")])
@pytest.mark.parametrize("by", ["domain", "host"])
def test_R241_tls_check_tells_what_a_policy_says_of_a_host(world, tmp_path, name, says, by):
    """By the domain, whose MX records lead to it, and by the host, above whose name the policy is found."""
    d = f"{name}.example"
    address = world.hosts[d].address if hasattr(world.hosts[d], "address") else world.hosts[d].socket.getsockname()[0]
    (tmp_path / "hosts").write_text(f"127.0.0.1 localhost\n{address} mx.{d}\n{world.net}.1 mta-sts.{d}\n")
    (tmp_path / "main.cf").write_text("".join(f"{n} = {v}\n" for n, v in {**world.zone.settings(), "myhostname": "mail.here.example", "mail_directory": tmp_path}.items()))
    cert, key = world.chain("good" if CASES[name][0] == "clear" else CASES[name][0], f"mx.{d}")
    with Host(address, 25, cert, key):
        done = subprocess.run(["unshare", "-m", "sh", "-c", HOSTS, "sh", tmp_path / "hosts", BINARY, "-c", tmp_path / "main.cf", "tls", "check",
                               d if by == "domain" else f"mx.{d}", "--ca", world.ca.cert], capture_output=True, text=True, timeout=120)
    assert says in done.stdout, done.stdout + done.stderr
    assert done.returncode == (1 if "WRONG" in done.stdout else 0)
