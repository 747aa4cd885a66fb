# SPDX-License-Identifier: ISC
"""check_ccert_access and permit_tls_clientcerts by the fingerprint of a certificate and by that of its key; beside Debian's Postfix
with the same lines.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_client_certificates.py
"""

import hashlib
import os
import shutil
import smtplib
import ssl
import subprocess

import pytest
from proved import Authority
from test_sending import Receiver, house

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")


def colons(raw):
    return ":".join(f"{byte:02X}" for byte in raw)


def prints(cert, digest):
    """Of the certificate, and of its key, as openssl makes them."""
    der = subprocess.run(["openssl", "x509", "-in", cert, "-outform", "DER"], capture_output=True, check=True).stdout
    pem = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-pubkey"], capture_output=True, check=True).stdout
    key = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem, capture_output=True, check=True).stdout
    return colons(hashlib.new(digest, der).digest()), colons(hashlib.new(digest, key).digest())


@pytest.fixture(scope="module")
def ca():
    with Authority() as a:
        yield a


def said(port, pair):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if pair:
        context.load_cert_chain(*pair)
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=60) as s:
        s.ehlo()
        s.starttls(context=context)
        s.ehlo()
        s.mail("a@out.example")
        code, words = s.rcpt("b@there.example")
        return code, words.decode().partition(" (P")[0]


RULES = {
    "by the certificate": ("sha256", 0, "check_ccert_access texthash:{table}, reject", "OK"),
    "by the key": ("sha256", 1, "check_ccert_access texthash:{table}, reject", "OK"),
    "by the key, with the old digest": ("md5", 1, "check_ccert_access texthash:{table}, reject", "OK"),
    "a refusal by the key": ("sha256", 1, "check_ccert_access texthash:{table}, reject_unauth_destination", "REJECT not with this key"),
    "known clients by the certificate": ("sha256", 0, "permit_tls_clientcerts, reject", "it"),
    "known clients by the key": ("sha256", 1, "permit_tls_clientcerts, reject", "it"),
}


@pytest.mark.parametrize("why", RULES)
def test_certificates_are_known_as_postfix_knows_them(ca, why):
    digest, which, rule, answer = RULES[why]
    cert, key = ca.certificate("there.example")
    known, other = ca.certificate("known.example"), ca.certificate("other.example")
    table = ca.directory / "known"
    table.write_text(f"{prints(known[0], digest)[which]} {answer}\n")
    table.chmod(0o644)
    lines = {"smtpd_tls_cert_file": str(cert), "smtpd_tls_key_file": str(key), "smtpd_tls_security_level": "may", "smtpd_tls_ask_ccert": "yes",
             "smtpd_tls_fingerprint_digest": digest, "relay_clientcerts": f"texthash:{table}", "smtpd_recipient_restrictions": rule.format(table=table),
             "smtpd_relay_restrictions": "permit", "mynetworks": "192.0.2.1/32",
             "relay_domains": "there.example"}
    with Receiver("\n".join(f"{n} = {v}" for n, v in lines.items()), ["tlsmgr unix - - n 1000? 1 tlsmgr"]) as postfix, house(**lines) as h:
        for pair in (known, other, None):
            wanted, got = said(postfix.port, pair), said(h.ports["smtp"], pair)
            assert got == wanted, pair
            assert (got[0] == 250) == ((pair == known) != answer.startswith("REJECT"))
            shown = ["--ccert", prints(pair[0], digest)[which]] if pair else ["--tls"]
            told = h.command("policy", "explain", "--client", "127.0.0.1", "--from", "a@out.example", "--to", "b@there.example", *shown, check=False)
            assert (told.returncode == 0) == (got[0] == 250)
            words = got[1].replace("<known.example>", "<>")     # whom it names a fingerprint does not tell
            assert ("nothing refuses it\n" if got[0] == 250 else f": {got[0]} {words}\n") in told.stdout, told.stdout
