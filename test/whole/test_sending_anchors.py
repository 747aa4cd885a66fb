# SPDX-License-Identifier: ISC
"""Certificates that are trusted because their chain leads to one of ours (smtp_tls_trust_anchor_file, tafile=), and what LMTP has of its
own; Debian's Postfix decides beside us.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sending_anchors.py
"""

import os
import pathlib
import re
import shutil
import smtplib
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import BINARY, make_certificate, wait_for
from proved import Authority, Host, run
from test_sending import Receiver, empty, house, send

NAME = "localhost"


class Chain:
    """root > below > leaf; a host shows leaf and below.  Another authority that has nothing to do with them."""

    def __init__(self, at):
        self.at = at
        with Authority("Stranger") as other:
            (at / "stranger.pem").write_text(other.cert.read_text())
        with Authority("Root") as root:
            (at / "root.pem").write_text(root.cert.read_text())
            self.issue("below", "Below", at / "root.pem", root.key, "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n")
        self.issue("leaf", NAME, at / "below.pem", at / "below.key", f"subjectAltName=DNS:{NAME}\nextendedKeyUsage=serverAuth\n")
        (at / "shown.pem").write_text((at / "leaf.pem").read_text() + (at / "below.pem").read_text())
        for name in ("root", "below"):
            (at / f"{name}-key.pem").write_bytes(run("openssl", "x509", "-in", at / f"{name}.pem", "-pubkey", "-noout"))
        (at / "some.pem").write_text((at / "stranger.pem").read_text() + (at / "root.pem").read_text())

    def issue(self, name, subject, cert, key, extensions):
        at = self.at / name
        (self.at / f"{name}.ext").write_text(extensions)
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={subject}",
            "-keyout", f"{at}.key", "-out", f"{at}.req")
        run("openssl", "x509", "-req", "-in", f"{at}.req", "-CA", cert, "-CAkey", key, "-CAcreateserial", "-out", f"{at}.pem",
            "-extfile", f"{at}.ext", "-days", "30")


@pytest.fixture(scope="module")
def chain():
    """Where Postfix's own user may read it."""
    at = pathlib.Path(tempfile.mkdtemp(prefix="mansio-chain-"))
    at.chmod(0o755)
    yield Chain(at)
    shutil.rmtree(at, ignore_errors=True)


@pytest.fixture(scope="module")
def there(chain):
    with Host("127.0.0.1", 0, chain.at / "shown.pem", chain.at / "leaf.key") as host:
        yield host


GOOD, UNTRUSTED, UNVERIFIED = "sent", "Server certificate not trusted", "Server certificate not verified"
# The files of anchors, what the level says, what comes of it.
CASES = {
    "its root": (["root"], "secure match=localhost", GOOD),
    "an authority that is no root": (["below"], "secure match=localhost", GOOD),
    "the key of one that is shown": (["below-key"], "verify match=localhost", GOOD),
    "the key of the root, which is not shown": (["root-key"], "verify match=localhost", GOOD),
    "another": (["stranger"], "secure match=localhost", UNVERIFIED),
    "another and its root in one file": (["some"], "secure match=localhost", GOOD),
    "another and its root in two": (["stranger", "root"], "secure match=localhost", GOOD),
    "of another name": (["root"], "secure match=mail.example.org", UNVERIFIED),
}


def words(log):
    found = re.search(r"status=(sent|deferred)(?:.*?(Server certificate not \w+))?", log)
    return found and (found.group(2) or found.group(1))


@pytest.mark.parametrize("by", ["setting", "tafile"])
@pytest.mark.parametrize("case", CASES)
def test_a_chain_leads_to_an_anchor(chain, there, case, by):
    """With all authorities of the system set besides: an anchor is instead of them."""
    files, level, expected = CASES[case]
    paths = [str(chain.at / f"{f}.pem") for f in files]
    nexthop = f"[127.0.0.1]:{there.port}"
    if by == "tafile":
        level += "".join(f" tafile={p}" for p in paths)
        settings = dict(smtp_tls_policy_anchor_files=", ".join(paths), smtp_tls_trust_anchor_file=str(chain.at / "stranger.pem"))
    else:
        settings = dict(smtp_tls_trust_anchor_file=", ".join(paths))
    with house(relayhost=nexthop, smtp_tls_policy_maps=f"inline:{{{{{nexthop}={level}}}}}", smtp_tls_CAfile=str(chain.at / "stranger.pem"), **settings) as h:
        send(h, ["x@there.example"])
        wait_for(lambda: words(h.text()))
        assert words(h.text()) == expected, h.text()
        trust = "Untrusted" if case == "another" else {GOOD: "Verified", UNVERIFIED: "Trusted"}[expected]
        wait_for(lambda: f"{trust} TLS connection established to 127.0.0.1" in h.text())


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("postfix"), reason="needs root and Postfix")
def test_postfix_decides_the_same_of_anchors(chain, there):
    """All cases in one Postfix, each a destination of its own: [127.0.0.1]:PORT with tafile= by transports."""
    nexthop = f"[127.0.0.1]:{there.port}"
    services = ["tlsmgr unix - - n 1000? 1 tlsmgr"]
    for n, (files, level, _) in enumerate(CASES.values()):
        paths = "".join(f" tafile={chain.at}/{f}.pem" for f in files)
        services.append(f"case{n} unix - - n - - smtp\n  -o {{ smtp_tls_policy_maps = inline:{{ {{ {nexthop} = {level}{paths} }} }} }}")
    transports = " ".join(f"{{ case{n}.example = case{n}:{nexthop} }}" for n in range(len(CASES)))
    more = (f"transport_maps = inline:{{ {transports} }}\nsmtp_tls_loglevel = 1\nsmtp_connection_cache_on_demand = no\n"
            f"relay_domains = {' '.join(f'case{n}.example' for n in range(len(CASES)))}\n")
    with Receiver(more.replace("{", "{{").replace("}", "}}"), services) as postfix:
        for n in range(len(CASES)):
            with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as s:
                s.sendmail("a@here.example", [f"x@case{n}.example"], "Subject: hello\n\nhello\n")

        def of(n):
            line = re.search(rf".*to=<x@case{n}\.example>.*", postfix.log())
            return line and words(line.group(0))
        wait_for(lambda: all(of(n) for n in range(len(CASES))), 90)
        theirs = {case: of(n) for n, case in enumerate(CASES)}
    assert theirs == {case: expected for case, (_, _, expected) in CASES.items()}


@pytest.mark.parametrize("level, files, said", [
    ("secure tafile={}/root.pem", "below", "is not in smtp_tls_policy_anchor_files"), ("encrypt tafile={}/root.pem", "root", "tafile= is for verify and secure"),
])
def test_a_tafile_that_cannot_be(chain, there, level, files, said):
    nexthop = f"[127.0.0.1]:{there.port}"
    with house(relayhost=nexthop, smtp_tls_policy_maps=f"inline:{{{{{nexthop}={level.format(chain.at)}}}}}",
               smtp_tls_policy_anchor_files=str(chain.at / f"{files}.pem")) as h:
        send(h, ["x@there.example"])
        wait_for(lambda: "status=deferred" in h.text())
        assert said in h.text() and "client TLS configuration problem" in h.text()


def test_a_file_with_nothing_in_it_trusts_nobody(chain, there, tmp_path):
    (tmp_path / "empty").write_text("nothing\n")
    with house(relayhost=f"[127.0.0.1]:{there.port}", smtp_tls_security_level="verify", smtp_tls_verify_cert_match="localhost",
               smtp_tls_trust_anchor_file=str(tmp_path / "empty"), smtp_tls_CAfile=str(chain.at / "root.pem")) as h:
        send(h, ["x@there.example"])
        wait_for(lambda: "status=deferred" in h.text())
        assert "nobody is trusted by it" in h.text()


@pytest.mark.parametrize("why, lines, text, status, said", [
    ("good", "smtp_tls_trust_anchor_file = {file}", "{root}", 0, "as it should be"),
    ("nothing in it", "smtp_tls_trust_anchor_file = {file}", "nothing\n", 0, "smtp_tls_trust_anchor_file = {file}: no certificate or public key in it"),
    ("one that is broken", "smtp_tls_policy_anchor_files = {file}", "{root}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0,
     "smtp_tls_policy_anchor_files = {file}: of 2 parts in it 1 are certificates"),
    ("a private key", "smtp_tls_trust_anchor_file = {file}", "{key}", 1, "{file}: there is a private key in it"),
    ("it is not there", "smtp_tls_trust_anchor_file = {file}.not", "", 1, "smtp_tls_trust_anchor_file = {file}.not: it cannot be read"),
    ("of a transport alone", "slow/transport = smtp\nslow/smtp_tls_trust_anchor_file = {file}", "nothing\n", 0, "no certificate or public key in it"),
    ("of LMTP", "lmtp_tls_trust_anchor_file = {file}", "nothing\n", 0, "no certificate or public key in it"),
])
def test_the_check_looks_into_anchors(chain, tmp_path, why, lines, text, status, said):
    file = tmp_path / "anchors.pem"
    file.write_text(text.format(root=(chain.at / "root.pem").read_text(), key=(chain.at / "leaf.key").read_text()))
    (tmp_path / "main.cf").write_text(f"myhostname = mail.example.com\n{lines.format(file=file)}\n")
    done = subprocess.run([BINARY, "-c", tmp_path / "main.cf", "config", "check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == status and said.format(file=file) in done.stdout + done.stderr, done
    assert ("warns" in done.stdout) == (status == 0 and why != "good")


# ---- what LMTP has of its own -------------------------------------------------------------------------

@pytest.mark.parametrize("settings, good", [
    (dict(lmtp_tls_CAfile="{}/root.pem", smtp_tls_CAfile="{}/stranger.pem"), True),
    (dict(lmtp_tls_CAfile="{}/stranger.pem", smtp_tls_CAfile="{}/root.pem"), False),
    (dict(smtp_tls_CAfile="{}/root.pem"), True),
    (dict(lmtp_tls_trust_anchor_file="{}/below.pem"), True),
    (dict(smtp_tls_trust_anchor_file="{}/below.pem", lmtp_tls_trust_anchor_file="{}/stranger.pem"), False),
])
def test_LMTP_has_authorities_and_anchors_of_its_own(chain, settings, good):
    settings = {n: v.format(chain.at) for n, v in settings.items()}
    with Host("127.0.0.1", 0, chain.at / "shown.pem", chain.at / "leaf.key", lmtp=True) as host, house(
            default_transport=f"lmtp:inet:127.0.0.1:{host.port}", lmtp_tls_security_level="verify", lmtp_tls_verify_cert_match="localhost", **settings) as h:
        send(h, ["x@there.example"])
        wait_for(lambda: words(h.text()))
        bad = UNVERIFIED if "lmtp_tls_trust_anchor_file" in settings else UNTRUSTED
        assert words(h.text()) == (GOOD if good else bad), h.text()


def test_a_transport_has_authorities_of_its_own(chain, there):
    nexthop = f"[127.0.0.1]:{there.port}"
    with house(**{"transport_maps": f"inline:{{one.example=one:{nexthop}, two.example=smtp:{nexthop}}}", "one/transport": "smtp",
                  "one/smtp_tls_CAfile": f"{chain.at}/root.pem", "smtp_tls_security_level": "verify", "smtp_tls_verify_cert_match": "localhost"}) as h:
        send(h, ["x@one.example"])
        wait_for(lambda: "status=sent" in h.text())
        send(h, ["x@two.example"])
        wait_for(lambda: UNTRUSTED in h.text())


def test_LMTP_shows_a_certificate_of_its_own(chain, tmp_path):
    cert, key = make_certificate(tmp_path, "lmtp.example")
    with Host("127.0.0.1", 0, chain.at / "shown.pem", chain.at / "leaf.key", lmtp=True, ask=cert) as host, house(
            default_transport=f"lmtp:inet:127.0.0.1:{host.port}", lmtp_use_tls="yes", lmtp_tls_cert_file=str(cert), lmtp_tls_key_file=str(key)) as h:
        send(h, ["x@there.example"])
        wait_for(lambda: host.tls and empty(h))
        assert host.tls[0][2]["subject"] == ((("commonName", "lmtp.example"),),)


@pytest.mark.parametrize("name, value, says", [
    ("lmtp_discard_lhlo_keywords", "starttls", "none"), ("lmtp_tls_note_starttls_offer", "yes", "none"), ("lmtp_use_tls", "no", "none"), ("lmtp_use_tls", "yes", "may"),
])
def test_words_of_LMTP(chain, name, value, says):
    level = {"lmtp_tls_security_level": "may"} if "discard" in name else {}
    with Host("127.0.0.1", 0, chain.at / "shown.pem", chain.at / "leaf.key", lmtp=True) as host, house(
            default_transport=f"lmtp:inet:127.0.0.1:{host.port}", **level, **{name: value}) as h:
        send(h, ["x@there.example"])
        wait_for(lambda: empty(h))
        assert bool(host.tls) == (says != "none")
        assert ("Host offered STARTTLS" in h.text()) == (name == "lmtp_tls_note_starttls_offer")


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q", *sys.argv[1:]]))
