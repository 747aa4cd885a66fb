# SPDX-License-Identifier: ISC
"""How sure a connection to another host must be: levels, tables, certificates; the other end is another of ours, or Postfix.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sending_tls.py
"""

import hashlib
import pathlib
import re
import ssl
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import House, make_certificate, wait_for
from test_sending import Receiver, Sink, empty, house, send


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A server that shows a certificate for localhost, which it signed itself."""
    at = tmp_path_factory.mktemp("there")
    cert, key = make_certificate(at, "localhost")
    with House(mynetworks="127.0.0.0/8", relay_domains="there.example", relay_transport="discard:", dns_resolver="none",
               smtpd_tls_cert_file=str(cert), smtpd_tls_key_file=str(key), smtpd_tls_security_level="may",
               verifier_processes="1", receiver_processes="1", sender_processes="1") as h:
        h.cert = cert
        h.nexthop = f"[localhost]:{h.ports['smtp']}"
        yield h


def fingerprint(cert, digest="sha256"):
    raw = hashlib.new(digest, ssl.PEM_cert_to_DER_cert(cert.read_text())).hexdigest().upper()
    return ":".join(raw[i:i + 2] for i in range(0, len(raw), 2))


def sender(there, **settings):
    return house(relayhost=there.nexthop, smtp_host_lookup="native", inet_protocols="ipv4", **settings)


GOOD, UNTRUSTED, UNVERIFIED = "status=sent", "Server certificate not trusted", "Server certificate not verified"


@pytest.mark.parametrize("level, trust, words, said", [
    ("may", False, GOOD, "Untrusted"),
    ("may", True, GOOD, "Trusted"),
    ("encrypt", False, GOOD, "Untrusted"),
    ("verify", True, GOOD, "Verified"),
    ("verify", False, UNTRUSTED, "Untrusted"),
    ("secure", True, GOOD, "Verified"),
    ("secure", False, UNTRUSTED, "Untrusted"),
    ("secure match=mail.example.org", True, UNVERIFIED, "Trusted"),
    ("secure match=mail.example.org:localhost", True, GOOD, "Verified"),
    ("secure match=nexthop:dot-nexthop protocols=>=TLSv1.3", True, GOOD, "Verified"),
    ("verify match=.localhost", True, UNVERIFIED, "Trusted"),
    ("fingerprint match={print}", False, GOOD, "Verified"),
    ("fingerprint match=00:11|{print}", False, GOOD, "Verified"),
    ("fingerprint match=00:11", True, UNVERIFIED, "Trusted"),
    ("encrypt ciphers=high exclude=AES128:CHACHA20 protocols=TLSv1.2", False, GOOD, "Untrusted"),
])
def test_a_level_for_a_destination(there, level, trust, words, said):
    level = level.format(print=fingerprint(there.cert))
    with sender(there, smtp_tls_security_level="none", smtp_tls_CAfile=str(there.cert) if trust else "",
                smtp_tls_policy_maps=f"inline:{{{{{there.nexthop}={level}}}}}") as h:
        send(h, "x@there.example")
        wait_for(lambda: words in h.text())
        wait_for(lambda: f"{said} TLS connection established to localhost[127.0.0.1]:{there.ports['smtp']}: TLSv1." in h.text())
        if words != GOOD:
            assert "dsn=4.7.5, status=deferred" in h.text() and GOOD not in h.text()
        if "TLSv1.2" in level:
            assert ": TLSv1.2 with cipher ECDHE-ECDSA-AES256-" in h.text()


@pytest.mark.parametrize("settings, words", [
    (dict(smtp_tls_security_level="verify"), GOOD),
    (dict(smtp_tls_security_level="verify", smtp_tls_verify_cert_match="mail.example.org"), UNVERIFIED),
    (dict(smtp_tls_security_level="secure", smtp_tls_secure_cert_match="nexthop"), GOOD),
    (dict(smtp_tls_security_level="fingerprint", smtp_tls_fingerprint_digest="sha1", smtp_tls_fingerprint_cert_match="{sha1}"), GOOD),
    (dict(smtp_tls_security_level="encrypt", smtp_tls_mandatory_protocols="TLSv1.2"), GOOD),
    (dict(smtp_tls_security_level="secure", smtp_tls_loglevel="0"), GOOD),
], ids=lambda s: " ".join(s.values()) if isinstance(s, dict) else "")
def test_a_level_for_everybody(there, settings, words):
    settings = {n: v.format(sha1=fingerprint(there.cert, "sha1")) for n, v in settings.items()}
    with sender(there, smtp_tls_CAfile=str(there.cert), **settings) as h:
        send(h, "x@there.example")
        wait_for(lambda: words in h.text())
        # Of another role, and so perhaps written behind the outcome.
        if "smtp_tls_loglevel" in settings:
            assert "TLS connection established" not in h.text()
        else:
            wait_for(lambda: "TLS connection established" in h.text())
        if "smtp_tls_mandatory_protocols" in settings:
            assert ": TLSv1.2 with cipher" in h.text()


@pytest.mark.parametrize("level", ["1", "2", "3", "4"])
def test_the_log_tells_as_much_as_it_is_asked_for(there, level):
    with sender(there, smtp_tls_security_level="encrypt", smtp_tls_loglevel=level) as h:
        send(h, "x@there.example")
        wait_for(lambda: GOOD in h.text())
        here = rf"TLS: 127\.0\.0\.1:{there.ports['smtp']}: "
        text, shaken = h.text(), len(re.findall(here + r"\d+ bytes went", h.text()))
        assert (re.search(here + r".*write client hello", text) is not None) == (level > "1")
        assert [shaken == 0, 0 < shaken < 5, shaken > 5] == [level < "3", level == "3", level == "4"], text


def test_authorities_in_a_directory_by_their_hash(there, tmp_path):
    (tmp_path / "other.pem").write_text("no certificate")
    name = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", there.cert], capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / f"{name}.0").write_text(there.cert.read_text())
    with sender(there, smtp_tls_CApath=str(tmp_path), smtp_tls_security_level="secure") as h:
        send(h, "x@there.example")
        wait_for(lambda: GOOD in h.text())


def test_domains_and_those_below_them_have_levels(there):
    """A key of the table is the destination as it is named; a domain stands for those below it with a dot in front."""
    table = "inline:{there.example=encrypt, .there.example=fingerprint match=00:11}"
    with Sink(offers=()) as plain, \
            house(transport_maps=f"inline:{{*=smtp:[127.0.0.1]:{plain.port}}}", smtp_tls_policy_maps=table) as h:
        send(h, ["x@there.example", "x@sub.there.example"])
        wait_for(lambda: empty(h))  # the destination is [127.0.0.1]:port, of which the table says nothing
    with house(smtp_tls_policy_maps=table, smtp_host_lookup="native") as h:
        send(h, "x@sub.there.example")
        wait_for(lambda: "status=deferred" in h.text() or "status=bounced" in h.text())


def test_a_wrong_value_stops_the_mail_and_nothing_else(there):
    with sender(there, smtp_tls_policy_maps=f"inline:{{{{{there.nexthop}=sure match=x}}}}") as h:
        send(h, "x@there.example")
        wait_for(lambda: "status=deferred" in h.text())
        assert "client TLS configuration problem" in h.text() and '"sure" is no level: write none, may' in h.text()


def test_what_is_not_offered_is_not_done_without(tmp_path):
    with Sink(offers=()) as plain:
        for level in ("encrypt", "verify", "secure", "fingerprint match=00:11"):
            table = f"inline:{{{{[127.0.0.1]:{plain.port}={level}}}}}"
            with house(relayhost=f"[127.0.0.1]:{plain.port}", smtp_tls_policy_maps=table) as h:
                send(h, "x@there.example")
                wait_for(lambda: "TLS is required, but was not offered by host 127.0.0.1[127.0.0.1]" in h.text())
        assert plain.letters == [] and not [c for c in plain.commands if c.startswith("MAIL")]


def test_policies_are_read_again_and_by_senders_alone(there, tmp_path):
    table = tmp_path / "policy"
    table.write_text(f"{there.nexthop} fingerprint match=00:11\n")
    table.chmod(0o600)
    with sender(there, smtp_tls_policy_maps=f"hash:{table}") as h:
        send(h, "x@there.example")
        wait_for(lambda: UNVERIFIED in h.text())
        table.write_text(f"{there.nexthop} fingerprint match={fingerprint(there.cert)}\n")
        h.command("reload")
        h.command("queue", "flush")
        wait_for(lambda: empty(h))
        assert re.search(r"Verified TLS connection established to localhost\[127\.0\.0\.1\]:\d+: TLSv1\.3 with cipher", h.text())
