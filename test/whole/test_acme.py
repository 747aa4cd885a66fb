# SPDX-License-Identifier: ISC
"""Certificates by ACME: Debian's pebble is the authority, and asks a name server of its own package where the names are."""

import base64
import datetime
import http.server
import json
import os
import pathlib
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import tempfile
import threading
import urllib.request

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from house import House, wait_for
from ports import free_ports
from test_tls import make_authority, make_leaf, shown

pytestmark = pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed")
FIRST, SECOND, THIRD = "mail.example.org", "imap.example.org", "mx.example.net"
SLOW = 120


class Pebble:
    """The authority, which refuses every fifth nonce, and the name server it asks.  `reuse`: of a hundred names that were
    shown to be ours, how many need not be shown again with the next order."""

    def __init__(self, validity=None, customers=None, reuse=50):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="mansio-pebble-"))
        self.http, self.tls, self.api, self.manage, self.dns, self.tests = free_ports(6)
        authority = make_authority(self.directory)
        leaf, key = make_leaf(self.directory, authority, "pebble", "localhost")
        self.trusted = authority[0]
        config = {"listenAddress": f"127.0.0.1:{self.api}", "managementListenAddress": f"127.0.0.1:{self.manage}",
                  "certificate": str(leaf), "privateKey": str(key), "httpPort": self.http, "tlsPort": self.tls,
                  "ocspResponderURL": "", "externalAccountBindingRequired": False}
        if customers:
            config |= {"externalAccountBindingRequired": True, "externalAccountMACKeys": customers}
        if validity:
            config["certificateValidityPeriod"] = validity
        (self.directory / "config.json").write_text(json.dumps({"pebble": config}))
        self.log = open(self.directory / "log", "w")
        self.names = subprocess.Popen(["pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
                                       "-dns01", f"127.0.0.1:{self.dns}", "-http01", "", "-https01", "", "-tlsalpn01", "",
                                       "-management", f"127.0.0.1:{self.tests}"], stdout=self.log, stderr=self.log)
        self.server = subprocess.Popen(["pebble", "-strict", "-config", self.directory / "config.json",
                                        "-dnsserver", f"127.0.0.1:{self.dns}"], stdout=self.log, stderr=self.log,
                                       env=os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "20",
                                                         "PEBBLE_AUTHZREUSE": str(reuse)})
        self.url = f"https://localhost:{self.api}/dir"

        def answers():
            with socket.create_connection(("127.0.0.1", self.manage), timeout=5):
                return True
        wait_for(lambda: attempt(answers))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for p in (self.server, self.names):
            p.kill()
            p.wait()
        self.log.close()
        shutil.rmtree(self.directory)

    def said(self):
        return (self.directory / "log").read_text()

    def root(self):
        """The authority's own certificate, which its issued ones lead to."""
        context = ssl.create_default_context(cafile=str(self.trusted))
        with urllib.request.urlopen(f"https://localhost:{self.manage}/roots/0", context=context, timeout=20) as r:
            return r.read().decode()

    def settings(self, **more):
        return {"tls_acme_names": f"{FIRST}, {SECOND}", "tls_acme_agree": "yes", "tls_acme_server": self.url,
                "tls_acme_CAfile": self.trusted, "tls_acme_contact": "postmaster@example.org",
                "tls_acme_http_listen": f"127.0.0.1:{self.http}", "tls_acme_tls_listen": f"127.0.0.1:{self.tls}",
                "smtpd_tls_cert_file": "", "smtpd_tls_key_file": ""} | more


def attempt(what):
    try:
        return what()
    except OSError:
        return None


def kept(house, name=FIRST):
    path = house.directory / "mail/certificates" / f"{name}.pem"
    return x509.load_pem_x509_certificate(re.sub(r"(?s)^.*?(?=-----BEGIN CERT)", "", path.read_text()).encode()) if path.exists() else None


def names_of(certificate):
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)


def greeting(house, pebble, name):
    """A client of submission by STARTTLS that trusts the authority alone; the serial number of what it was shown."""
    context = ssl.create_default_context(cadata=pebble.root())
    with smtplib.SMTP("127.0.0.1", house.ports["submission"], timeout=20) as s:
        s._host = name
        s.starttls(context=context)
        return x509.load_der_x509_certificate(s.sock.getpeercert(True)).serial_number


def fact(house, name):
    return next(p["facts"][name] for p in house.status() if p["role"] == "certifier")


@pytest.mark.parametrize("challenge,kind,key", [("http-01", "ecdsa", ec.EllipticCurvePublicKey),
                                                ("tls-alpn-01", "rsa", rsa.RSAPublicKey)])
def test_R233_a_certificate_comes_by_itself_and_every_service_shows_it(challenge, kind, key):
    with Pebble() as pebble, House(**pebble.settings(tls_acme_challenge=challenge, tls_acme_key_type=kind)) as h:
        wait_for(lambda: kept(h), SLOW)
        certificate = kept(h)
        assert sorted(names_of(certificate)) == sorted([FIRST, SECOND])
        assert isinstance(certificate.public_key(), key)
        wait_for(lambda: attempt(lambda: greeting(h, pebble, SECOND)) == certificate.serial_number, SLOW)
        for service in ["submissions", "imaps"]:
            wait_for(lambda: attempt(lambda: serial(h.ports[service], FIRST, pebble)) == certificate.serial_number, SLOW)
        directory = h.directory / "mail/certificates"
        assert {p.name for p in directory.iterdir()} == {"account.key", f"{FIRST}.pem"}
        assert {p.stat().st_mode & 0o777 for p in directory.iterdir()} == {0o600}
        assert f"a new certificate of {FIRST} by {pebble.url}" in h.text()


def serial(port, name, pebble):
    context = ssl.create_default_context(cadata=pebble.root())
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s, context.wrap_socket(s, server_hostname=name) as t:
        return x509.load_der_x509_certificate(t.getpeercert(True)).serial_number


def test_R234_it_is_made_anew_before_its_end_and_shown_at_once():
    with Pebble(validity=45) as pebble, House(**pebble.settings()) as h:
        wait_for(lambda: kept(h), SLOW)
        first = kept(h).serial_number
        wait_for(lambda: kept(h).serial_number != first, SLOW)
        wait_for(lambda: attempt(lambda: greeting(h, pebble, FIRST)) not in (None, first), SLOW)
        assert "There are now 1 accounts" in pebble.said() and "There are now 2 accounts" not in pebble.said()


def test_R233_an_authority_that_knows_its_customers(tmp_path):
    """External Account Binding: without it, or with another secret, there is no account."""
    secret = base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text(secret + "\n")
    wrong.write_text(base64.urlsafe_b64encode(os.urandom(32)).decode() + "\n")
    with Pebble(customers={"customer-1": secret}) as pebble, House(**pebble.settings()) as h:
        wait_for(lambda: "externalAccountRequired" in h.text(), SLOW)
        for path, what in ((wrong, "no certificate of"), (right, "a new certificate of")):
            before = h.text().count(what)
            h.write_settings(tls_acme_account_id="customer-1", tls_acme_account_key_file=str(path))
            h.stop()
            h.start()
            wait_for(lambda before=before, what=what: h.text().count(what) > before, SLOW)
        assert kept(h) is not None
        assert secret not in h.text()


def test_R234_the_postmaster_is_told_before_clients_turn_away():
    with Pebble(validity=90) as pebble, House(**pebble.settings(), myhostname="mail.here.example", myorigin="here.example") as h:
        h.command("domain", "add", "here.example")
        h.command("account", "add", "postmaster@here.example", input="secret-of-theirs\n")
        h.command("alias", "add", "postmaster@mail.here.example", "postmaster@here.example", check=False)
        wait_for(lambda: kept(h), SLOW)
        pebble.server.kill()
        wait_for(lambda: "INBOX" in h.command("message", "search", "postmaster@here.example", "subject", "certificate", check=False).stdout, SLOW)
        text = h.command("message", "fetch", "postmaster@here.example", "hdr.subject text", "all").stdout
        assert f": the certificate of {FIRST} ends 20" in text and f"was asked for at {pebble.url}" in text and "Next try: 20" in text
        assert h.text().count("ends 20") >= 1 and text.count("hdr.subject") == 1


def test_R233_other_names_and_another_server_want_another_certificate():
    with Pebble() as pebble, Pebble() as other, House(**pebble.settings()) as h:
        wait_for(lambda: kept(h), SLOW)
        first, key = kept(h), (h.directory / "mail/certificates/account.key").read_bytes()
        h.write_settings(tls_acme_names=f"{FIRST}, {SECOND}, {THIRD}")
        h.command("reload")
        wait_for(lambda: kept(h).serial_number != first.serial_number, SLOW)
        second = kept(h)
        assert sorted(names_of(second)) == sorted([FIRST, SECOND, THIRD])
        h.write_settings(**other.settings())
        h.command("reload")
        wait_for(lambda: kept(h).serial_number != second.serial_number, SLOW)
        wait_for(lambda: attempt(lambda: greeting(h, other, FIRST)) == kept(h).serial_number, SLOW)
        assert (h.directory / "mail/certificates/account.key").read_bytes() == key
        h.stop()
        last = kept(h).serial_number
        h.start()
        wait_for(lambda: fact(h, "until") != "-", SLOW)
        assert (fact(h, "orders"), fact(h, "ordering"), kept(h).serial_number) == ("0", "0", last)
        assert attempt(lambda: greeting(h, other, FIRST)) == last


def test_R234_what_does_not_go_is_told_and_the_old_one_stays():
    # Else it would be the first name, as often as not, that does not go.
    with Pebble(reuse=100) as pebble, House(**pebble.settings()) as h:
        wait_for(lambda: kept(h), SLOW)
        first = kept(h).serial_number
        elsewhere = free_ports(1)[0]
        h.write_settings(tls_acme_names=f"{FIRST}, {THIRD}", tls_acme_http_listen=f"127.0.0.1:{elsewhere}")
        h.command("reload")
        wait_for(lambda: re.search(rf"warning: no new certificate of {FIRST} by .*: {THIRD}: connection: .*; the old one is good "
                                   r"until 20\d\d-.*; next try 20", h.text()), SLOW)
        assert fact(h, "failures") == "1" and fact(h, "next") != "-"
        assert (kept(h).serial_number, attempt(lambda: greeting(h, pebble, FIRST))) == (first, first)
        with socket.create_connection(("127.0.0.1", elsewhere), timeout=20) as s:  # nothing is asked for: nobody is heard
            s.settimeout(20)
            try:
                s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert s.recv(1) == b""
            except ConnectionResetError:
                pass


class Liar:
    """An authority that asks for no proof, counts orders, and gives what it likes for them."""

    def __init__(self, give):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="mansio-liar-"))
        self.give, self.orders, self.chain = give, 0, ""
        self.authority = make_authority(self.directory)
        self.trusted = self.authority[0]
        leaf, key = make_leaf(self.directory, self.authority, "liar", "localhost")
        liar = self

        class Answers(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def say(self, body, code=200, **fields):
                if not isinstance(body, bytes):
                    body = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Replay-Nonce", base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("="))
                self.send_header("Content-Length", str(len(body)))
                for name, value in fields.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else body)

            def do_HEAD(self):
                self.say(b"")

            def do_GET(self):
                self.say({"newNonce": liar.url + "nonce", "newAccount": liar.url + "account", "newOrder": liar.url + "order"})

            def do_POST(self):
                said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                what, order = self.path.split("/")[1], {"status": "ready", "authorizations": [liar.url + "proof"],
                                                        "finalize": liar.url + "finalize"}
                if what == "account":
                    self.say({"status": "valid"}, 201, Location=liar.url + "account/1")
                elif what == "order" and said["payload"]:
                    liar.orders += 1
                    self.say(order, 201, Location=liar.url + "order")
                elif what == "proof":
                    self.say({"status": "valid", "identifier": {"type": "dns", "value": FIRST}})
                elif what == "finalize":
                    request = json.loads(base64.urlsafe_b64decode(said["payload"] + "==="))["csr"]
                    liar.chain = liar.certify(x509.load_der_x509_csr(base64.urlsafe_b64decode(request + "===")))
                    self.say(order)
                elif what == "order":
                    self.say(order | ({"status": "valid", "certificate": liar.url + "chain"} if liar.chain else {}))
                else:
                    self.say(liar.chain)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(leaf, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def certify(self, request):
        """A certificate for this key, of names and days of its own choice."""
        names, begin, end = self.give
        now = datetime.datetime.now(datetime.timezone.utc)
        signer = serialization.load_pem_private_key(pathlib.Path(self.authority[1]).read_bytes(), None)
        issuer = x509.load_pem_x509_certificate(pathlib.Path(self.authority[0]).read_bytes()).subject
        made = (x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(issuer).public_key(request.public_key())
                .serial_number(x509.random_serial_number()).not_valid_before(now + datetime.timedelta(days=begin))
                .not_valid_after(now + datetime.timedelta(days=end))
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), True))
        return made.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.directory)


@pytest.mark.parametrize("names,begin,end,words", [
    ([FIRST], -1, 90, "a certificate of other names than were ordered"),
    ([FIRST, SECOND], -90, -1, "over already"),
    ([FIRST, SECOND, THIRD], -1, 90, None),
    ([FIRST, SECOND], -90, 1, None),
], ids=["other names", "over", "more names", "near its end"])
def test_an_authority_that_gives_something_else_is_not_asked_again_at_once(names, begin, end, words):
    at = free_ports(1)[0]
    with Liar((names, begin, end)) as liar:
        with House(tls_acme_names=f"{FIRST}, {SECOND}", tls_acme_agree="yes", tls_acme_server=liar.url, tls_acme_CAfile=liar.trusted,
                   tls_acme_http_listen=f"127.0.0.1:{at}", smtpd_tls_cert_file="", smtpd_tls_key_file="") as h:
            if words:
                wait_for(lambda: re.search(f"no certificate of {FIRST} by .*: what it gives is .*{words}.*; next try 20", h.text()), SLOW)
                assert kept(h) is None
            else:
                wait_for(lambda: kept(h), SLOW)
                wait_for(lambda: f"a new certificate of {FIRST} by" in h.text(), SLOW)
            assert fact(h, "ordering") == "0" and liar.orders == 1
            assert (fact(h, "next") == "-") == (end == 90 and not words)


@pytest.mark.parametrize("changes,words", [
    ({"tls_acme_agree": "no"}, "terms of service"),
    ({"tls_acme_names": "*.example.org"}, "tls_acme_names = *.example.org: write names of hosts"),
    ({"tls_acme_names": "../../etc/passwd.d"}, "write names of hosts"),
    ({"tls_acme_server": "http://localhost/dir"}, "write a URL with https://"),
    ({"tls_acme_contact": "postmaster"}, "write mail addresses"),
    ({"tls_acme_account_id": "customer-1"}, "an authority gives both or none"),
    ({"tls_acme_http_listen": "80"}, "write ADDRESS:PORT"),
])
def test_settings_that_would_not_do_are_refused(changes, words):
    h = House(**{"tls_acme_names": FIRST, "tls_acme_agree": "yes"} | changes)
    try:
        done = h.command("config", "check", check=False)
        assert done.returncode != 0 and words in done.stdout + done.stderr
    finally:
        h.close()


def test_R242_a_trial_is_told_of():
    h = House(tls_acme_names=FIRST, tls_acme_agree="yes", tls_acme_staging="yes")
    try:
        done = h.command("config", "check", check=False)
        assert done.returncode == 0 and "nobody trusts such a certificate" in done.stdout + done.stderr
    finally:
        h.close()
