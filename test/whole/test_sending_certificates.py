# SPDX-License-Identifier: ISC
"""Certificates that we show to hosts which ask for one: Debian's Postfix lets in whom it knows, and what its Received field says of the
connection is what our log says.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sending_certificates.py
"""

import hashlib
import os
import pathlib
import re
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import make_certificate, wait_for
from proved import Authority, first_der
from test_sending import Receiver, empty, house, send

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")
REFUSED = "554 5.7.1 "


def fingerprint(cert):
    raw = hashlib.sha256(first_der(cert)).hexdigest().upper()
    return ":".join(raw[i:i + 2] for i in range(0, len(raw), 2))


class Asks(Receiver):
    """Postfix with TLS that asks for certificates; letters come from those it knows by fingerprint alone, and are kept."""

    def __init__(self, ca, more=""):
        cert, key = ca.certificate("there.example")
        self.mail = ca.directory / "mail"
        self.mail.mkdir(exist_ok=True)
        self.mail.chmod(0o777)
        self.known = ca.directory / "known"
        self.known.touch()
        super().__init__(f"""virtual_mailbox_domains = kept.example
virtual_mailbox_base = {self.mail}
virtual_mailbox_maps = inline:{{{{x@kept.example=all/}}}}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_transport = virtual
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_CAfile = {ca.cert}
smtpd_tls_security_level = may
smtpd_tls_ask_ccert = yes
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
smtpd_tls_fingerprint_digest = sha256
smtpd_recipient_restrictions = check_ccert_access texthash:{self.known}, reject
{more}
""", ["tlsmgr unix - - n 1000? 1 tlsmgr", "virtual unix - n n - - virtual"])

    def know(self, cert):
        with open(self.known, "a") as f:
            f.write(f"{fingerprint(cert)} OK\n")

    def letters(self):
        return [p.read_text() for p in sorted(self.mail.glob("all/new/*"), key=lambda p: p.stat().st_mtime)]


def received(letter):
    """What the first Received field says of TLS and of the client's certificate."""
    field = re.sub(r"\s+", " ", re.search(r"^Received: (?:.*\n[ \t])*.*", letter, re.M).group(0))
    return re.search(r"\(using (.*?)\) (?:\(Client|\(No client|by )", field).group(1), field


def in_our_log(h):
    return re.findall(r"TLS connection established to [^ ]+: (.*)", h.text())


@pytest.fixture(scope="module")
def ca():
    with Authority() as a:
        yield a


@pytest.fixture
def there(ca):
    with Asks(ca) as postfix:
        yield postfix
    shutil.rmtree(ca.directory / "mail", ignore_errors=True)
    (ca.directory / "known").unlink(missing_ok=True)


def sender(there, **settings):
    return house(relayhost=f"[127.0.0.1]:{there.port}", inet_protocols="ipv4", **settings)


@pytest.mark.parametrize("protocols", [">=TLSv1.2", "TLSv1.2"])
@pytest.mark.parametrize("kind", ["signed", "ecdsa", "rsa", "chain", "both"])
def test_who_asks_is_shown_a_certificate(ca, there, tmp_path, kind, protocols):
    """What Postfix puts into Received of the connection is what our log says, and it knows us by our certificate."""
    if kind == "signed":
        cert, key = ca.certificate("mail.example.com", usage="clientAuth")
    else:
        cert, key = make_certificate(tmp_path, "mail.example.com", ("rsa:2048",) if kind == "rsa" else ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"))
    settings = dict(smtp_tls_cert_file=str(cert), smtp_tls_key_file=str(key))
    if kind == "chain":
        both = tmp_path / "both.pem"
        both.write_text(key.read_text() + cert.read_text())
        both.chmod(0o600)
        settings = dict(smtp_tls_chain_files=str(both))
    elif kind == "both":
        (tmp_path / "rsa").mkdir()
        other, its = make_certificate(tmp_path / "rsa", "mail.example.com", ("rsa:2048",))
        there.know(other)        # with TLS 1.2 OpenSSL shows either
        settings = dict(smtp_tls_eccert_file=str(cert), smtp_tls_eckey_file=str(key), smtp_tls_cert_file=str(other), smtp_tls_key_file=str(its))
    there.know(cert)
    with sender(there, smtp_tls_protocols=protocols, smtp_tls_mandatory_protocols=protocols, **settings) as h:
        send(h, "x@kept.example")
        wait_for(lambda: there.letters(), 60)
        said, field = received(there.letters()[0])
        assert said == in_our_log(h)[0].strip()
        assert ("client-signature " + ("RSA-PSS (2048 bits)" if kind == "rsa" else "ECDSA (") in said) == (protocols != "TLSv1.2")
        assert f'(Client CN "mail.example.com", Issuer "{"Test CA" if kind == "signed" else "mail.example.com"}" ({"verified OK" if kind == "signed" else "not verified"}))' in field


def test_without_a_certificate_none_is_shown(there):
    with sender(there) as h:
        send(h, "x@kept.example")
        wait_for(lambda: empty(h))
        assert REFUSED in h.text() and not there.letters()
        assert "client-signature" not in in_our_log(h)[0] and "server-signature ECDSA" in in_our_log(h)[0]


def test_a_transport_has_a_certificate_of_its_own(there, tmp_path):
    cert, key = make_certificate(tmp_path, "partner.example")
    there.know(cert)
    with house(**{"transport_maps": f"inline:{{kept.example=partner:[127.0.0.1]:{there.port}, other.example=smtp:[127.0.0.1]:{there.port}}}", "partner/transport": "smtp",
                  "partner/smtp_tls_cert_file": str(cert), "partner/smtp_tls_key_file": str(key)}) as h:
        send(h, "x@other.example")
        wait_for(lambda: REFUSED in h.text())
        send(h, "x@kept.example")
        wait_for(lambda: there.letters())
        assert 'Client CN "partner.example"' in received(there.letters()[0])[1]


def test_a_new_certificate_is_shown_when_both_its_files_are_there(there, tmp_path):
    cert, key = make_certificate(tmp_path, "old.example")
    new, its = make_certificate(tmp_path, "new.example")
    there.know(cert)
    there.know(new)
    with sender(there, smtp_tls_cert_file=str(cert), smtp_tls_key_file=str(key)) as h:
        cert.write_text(new.read_text())       # its key is not there yet: the one from before is shown
        done = h.command("reload", check=False)
        assert done.returncode == 1 and f"certificate {cert}: the private key in {key} is that of another" in done.stderr
        send(h, "x@kept.example")
        wait_for(lambda: len(there.letters()) == 1)
        key.write_text(its.read_text())
        h.command("reload")
        send(h, "x@kept.example")
        wait_for(lambda: len(there.letters()) == 2)
        assert sorted(re.search(r'Client CN "(.*?)"', received(x)[1]).group(1) for x in there.letters()) == ["new.example", "old.example"]


def test_the_key_is_with_the_signer_alone(there, tmp_path):
    cert, key = make_certificate(tmp_path, "mail.example.com")
    there.know(cert)
    with sender(there, smtp_tls_cert_file=str(cert), smtp_tls_key_file=str(key)) as h:
        send(h, "x@kept.example")
        wait_for(lambda: there.letters())
        holders = set()
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes()
                if any(os.readlink(f) == str(key) for f in (process / "fd").iterdir()):
                    holders.add(b"signer" in words and "signer" or b"sender" in words and "sender" or words.decode())
            except OSError:
                continue
        assert "sender" not in holders, holders


@pytest.mark.parametrize("wrong, words", [("gone", "No such file"), ("other", "no certificate whose private key is there")])
def test_a_key_that_is_not_there_is_told(there, tmp_path, wrong, words):
    cert, key = make_certificate(tmp_path, "mail.example.com")
    if wrong == "gone":
        with pytest.raises(RuntimeError, match=words):
            sender(there, smtp_tls_cert_file=str(cert), smtp_tls_key_file=str(key) + ".gone").start()
        return
    other = make_certificate(tmp_path, "other.example")[1]
    with sender(there, smtp_tls_cert_file=str(cert), smtp_tls_key_file=str(other)) as h:
        send(h, "x@kept.example")
        wait_for(lambda: empty(h))
        assert words in h.text() and REFUSED in h.text()
