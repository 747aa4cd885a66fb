# SPDX-License-Identifier: ISC
"""Every SASL mechanism on SMTP, IMAP and POP3, with gsasl's client, curl, openssl, an MIT KDC and by hand.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sasl.py
"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import BINARY, PATIENCE, free_ports, wait_for
import test_roles
from test_roles import PASSWORD, trusting

ALL = "PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS SCRAM-SHA-1 SCRAM-SHA-1-PLUS"
SERVICES = ["smtp", "imap", "pop3"]


def Village(*people, **settings):
    """One that offers -PLUS too, where a test does not say what it offers."""
    return test_roles.Village(*people, **{"sasl_mechanisms": ALL, **settings})


def b64(raw):
    return base64.b64encode(raw if isinstance(raw, bytes) else raw.encode()).decode()


class Talk:
    """One connection in which mechanisms are tried, a line at a time."""

    PORT = {"smtp": "submissions", "imap": "imaps", "pop3": "pop3s"}

    def __init__(self, house, service, cert=None, version=None, source="127.0.0.1"):
        self.service = service
        context = trusting()
        if cert:
            context.load_cert_chain(*cert)
        if version:
            context.maximum_version = version
        raw = socket.create_connection(("127.0.0.1", house.ports[self.PORT[service]]), timeout=PATIENCE, source_address=(source, 0))
        self.sock = context.wrap_socket(raw, server_hostname="mail.example.com")
        self.file = self.sock.makefile("rwb")
        self.hello = self.file.readline()
        if service == "smtp":
            self.say("EHLO client.example.org")
            self.capabilities = self.until(lambda l: l[3:4] == b" ")
        elif service == "imap":
            self.say("c CAPABILITY")
            self.capabilities = self.until(lambda l: l.startswith(b"c "))
        else:
            self.say("CAPA")
            self.capabilities = self.until(lambda l: l == b".\r\n")

    def say(self, line):
        self.file.write(line.encode() + b"\r\n")
        self.file.flush()

    def line(self):
        return self.file.readline().decode().rstrip("\r\n")

    def until(self, end):
        text = b""
        while True:
            line = self.file.readline()
            text += line
            if not line or end(line):
                return text.decode()

    def mechanisms(self):
        if self.service == "imap":
            return re.findall(r"AUTH=(\S+)", self.capabilities)
        words = re.search(r"250.AUTH (.*)" if self.service == "smtp" else r"SASL (.*)", self.capabilities)
        return words.group(1).split() if words else []

    def auth(self, mechanism, *answers, initial=None):
        """Gives what was said in the end, and every challenge; an answer may be a function of the challenge."""
        first = "" if initial is None else " " + (b64(initial) or "=")
        self.say({"imap": "a AUTHENTICATE ", "smtp": "AUTH ", "pop3": "AUTH "}[self.service] + mechanism + first)
        challenges, answers = [], list(answers)
        while True:
            line = self.line()
            if not line.startswith({"smtp": "334 ", "imap": "+ ", "pop3": "+ "}[self.service]):
                return line, challenges
            challenge = base64.b64decode(line.split(" ", 1)[1])
            challenges.append(challenge)
            answer = answers.pop(0) if answers else b""
            if callable(answer):
                answer = answer(challenge)
            self.say("*" if answer is None else b64(answer))

    def good(self, line):
        return line.startswith({"smtp": "235 2.7.0", "imap": "a OK", "pop3": "+OK"}[self.service])

    def wrong(self, line):
        return line.startswith({"smtp": "535 5.7.8", "imap": "a NO [AUTHENTICATIONFAILED]", "pop3": "-ERR [AUTH]"}[self.service])

    def later(self, line):
        return line.startswith({"smtp": "454 4.7.0", "imap": "a NO [UNAVAILABLE]", "pop3": "-ERR [SYS/TEMP]"}[self.service])

    def broken(self, line):
        return line.startswith({"smtp": "501 5.5.2", "imap": "a BAD", "pop3": "-ERR"}[self.service])

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def gsasl(house, service, mechanism, *more, user="jack@example.com", password=PASSWORD):
    port = house.ports["submission" if service == "smtp" else "imap"]
    return subprocess.run(["gsasl", f"--{service}", "--starttls", "--x509-ca-file=", "--connect", f"127.0.0.1:{port}",
                           "-m", mechanism, "-a", user, "-p", password, "--hostname", "mail.example.com", *more],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture(scope="module")
def house():
    with Village("jack", "jill", sasl_mechanisms=ALL + " CRAM-MD5 DIGEST-MD5 NTLM OTP ANONYMOUS",
                 anonymous_login_user="jill@example.com", login_failure_limit="0", auth_failure_network_limit="0", auth_failure_account_limit="0", auth_ban_failures="0") as v:
        v.command("account", "set", "jack@example.com", "password", "--keep-plain-secret", input=PASSWORD + "\n")
        yield v


@pytest.mark.parametrize("service", ["smtp", "imap"])
@pytest.mark.parametrize("mechanism", ALL.split() + ["CRAM-MD5", "DIGEST-MD5"])
def test_gsasl_logs_in(house, service, mechanism):
    more = [] if mechanism.endswith("-PLUS") else ["--no-cb"]
    if mechanism == "DIGEST-MD5":
        more += ["--quality-of-protection=qop-auth", "--realm", "mail.example.com"]
    done = gsasl(house, service, mechanism, *more)
    assert "server error" not in done.stderr and done.returncode == 0, done.stdout + done.stderr
    done = gsasl(house, service, mechanism, *more, password="wrong")
    assert done.returncode != 0, done.stdout + done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_offered(house, service):
    with Talk(house, service) as t:
        named = t.mechanisms()
    assert named[:6] == ALL.split()
    assert set(named[6:]) == {"CRAM-MD5", "DIGEST-MD5", "NTLM", "OTP"} | (set() if service == "smtp" else {"ANONYMOUS"})


def test_legacy_is_off_and_nothing_is_offered_that_cannot_work():
    with Village("jack") as v:
        for service in SERVICES:
            with Talk(v, service) as t:
                assert t.mechanisms() == ALL.split()
                line, _ = t.auth("CRAM-MD5")
                assert line.startswith(("504 5.5.4", "a NO [CANNOT]", "-ERR"))


@pytest.mark.parametrize("service", SERVICES)
def test_no_mechanism_acts_for_another(house, service):
    with Talk(house, service) as t:
        assert t.wrong(t.auth("PLAIN", initial=f"jill@example.com\0jack@example.com\0{PASSWORD}")[0])
        assert t.good(t.auth("PLAIN", initial=f"jack@example.com\0jack@example.com\0{PASSWORD}")[0])


def cram(user, password):
    return lambda stamp: f"{user} {hmac.new(password.encode(), stamp, 'md5').hexdigest()}"


@pytest.mark.parametrize("service", SERVICES)
def test_cram_md5(house, service):
    with Talk(house, service) as t:
        assert t.wrong(t.auth("CRAM-MD5", cram("jack@example.com", "wrong"))[0])
        assert t.wrong(t.auth("CRAM-MD5", cram("nobody@example.com", "nobody"))[0])
        assert t.wrong(t.auth("CRAM-MD5", cram("jill@example.com", PASSWORD))[0]), "her plain secret is not kept"
        line, first = t.auth("CRAM-MD5", b"jack@example.com 0123")
        assert t.broken(line)
        line, second = t.auth("CRAM-MD5", cram("jack@example.com", PASSWORD))
        assert t.good(line) and first != second


@pytest.mark.parametrize("service", SERVICES)
def test_answers_that_are_none(house, service):
    with Talk(house, service) as t:
        for initial in [b"", b"\0", b"\0" * 5]:
            assert t.broken(t.auth("PLAIN", initial=initial)[0]), initial
        assert t.broken(t.auth("PLAIN", b"a" * 8000)[0])
        with Talk(house, service) as u:
            line, _ = u.auth("PLAIN", None)
            assert line.startswith(("501 5.7.0", "a BAD", "-ERR"))


# ---- channel binding ---------------------------------------------------------------------------

def scram(t, mechanism, flag, bound=b"", user="jack@example.com", password=PASSWORD):
    digest = "sha1" if "SHA-1" in mechanism else "sha256"
    header, bare = f"{flag},,", f"n={user},r=fyko+d2lbbFgONRv9qkxdawL"

    def final(challenge):
        said = dict(p.split("=", 1) for p in challenge.decode().split(","))
        salted = hashlib.pbkdf2_hmac(digest, password.encode(), base64.b64decode(said["s"]), int(said["i"]))
        key = hmac.new(salted, b"Client Key", digest).digest()
        last = f"c={b64(header.encode() + bound)},r={said['r']}"
        signed = hmac.new(hashlib.new(digest, key).digest(), f"{bare},{challenge.decode()},{last}".encode(), digest).digest()
        return f"{last},p={b64(bytes(a ^ b for a, b in zip(key, signed)))}"
    return t.auth(mechanism, final, b"", initial=header + bare)[0]


@pytest.mark.parametrize("service", SERVICES)
def test_channel_binding_of_both_tls_versions(house, service):
    with Talk(house, service, version=ssl.TLSVersion.TLSv1_2) as t:
        unique = t.sock.get_channel_binding("tls-unique")
        assert t.good(scram(t, "SCRAM-SHA-256-PLUS", "p=tls-unique", unique))
    for mechanism in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"]:
        with Talk(house, service) as t:
            point = hashlib.sha256(t.sock.getpeercert(True)).digest()
            assert t.wrong(scram(t, mechanism, "p=tls-server-end-point", bytes(32)))
            assert t.broken(scram(t, mechanism, "p=tls-unique", b"x")), "there is none in TLS 1.3"
            assert t.good(scram(t, mechanism, "p=tls-server-end-point", point))


@pytest.mark.parametrize("service", SERVICES)
def test_a_client_that_saw_no_binding_offered_is_refused(house, service):
    with Talk(house, service) as t:
        assert t.wrong(scram(t, "SCRAM-SHA-256", "y"))
        assert t.good(scram(t, "SCRAM-SHA-256", "n"))
    assert "channel binding was taken out of the offer" in house.text()


def test_nobody_has_one_salt_however_the_name_is_written(house):
    """As somebody has: else who asks twice knows who there is."""
    house.command("account", "add", "ärger@example.com", input=PASSWORD + "\n")
    for pair in (("ärger@example.com", "ÄRGER@example.com"), ("öde@example.com", "ÖDE@example.com"), ("nobody@example.com", "NOBODY@example.com")):
        salts = []

        def keep(challenge):
            salts.append(dict(p.split("=", 1) for p in challenge.decode().split(","))["s"])
            return "*"
        for name in pair:
            with Talk(house, "imap") as t:
                t.auth("SCRAM-SHA-256", keep, initial=f"n,,n={name},r=fyko+d2lbbFgONRv9qkxdawL".encode())
        assert len(salts) == 2 and salts[0] == salts[1], pair


# ---- NTLM, ANONYMOUS, OTP ------------------------------------------------------------------------

def md4(data):
    def turned(x, n):
        return ((x << n) | (x >> (32 - n))) & 0xffffffff
    state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]
    data += b"\x80" + bytes((55 - len(data)) % 64) + struct.pack("<Q", len(data) * 8)
    rounds = [(lambda b, c, d: (b & c) | (~b & d), 0, range(16), (3, 7, 11, 19)),
              (lambda b, c, d: (b & c) | (b & d) | (c & d), 0x5a827999, [i % 4 * 4 + i // 4 for i in range(16)], (3, 5, 9, 13)),
              (lambda b, c, d: b ^ c ^ d, 0x6ed9eba1, [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15], (3, 9, 11, 15))]
    for at in range(0, len(data), 64):
        x, (a, b, c, d) = struct.unpack("<16I", data[at:at + 64]), state
        for mix, more, order, shift in rounds:
            for i, k in enumerate(order):
                a, d, c, b = d, c, b, turned((a + mix(b, c, d) + x[k] + more) & 0xffffffff, shift[i % 4])
        state = [(s + v) & 0xffffffff for s, v in zip(state, (a, b, c, d))]
    return struct.pack("<4I", *state)


def ntlm(user, password, domain=""):
    def answer(challenge):
        assert challenge[:12] == b"NTLMSSP\0\2\0\0\0"
        target_len, target_at = struct.unpack("<H2xI", challenge[40:48])
        info = challenge[target_at:target_at + target_len]
        key = hmac.new(md4(password.encode("utf-16le")), (user.upper() + domain).encode("utf-16le"), "md5").digest()
        blob = b"\1\1" + bytes(6) + bytes(8) + os.urandom(8) + bytes(4) + info + bytes(4)
        proof = hmac.new(key, challenge[24:32] + blob, "md5").digest() + blob
        fields, body = b"", b""
        for part in [bytes(24), proof, domain.encode("utf-16le"), user.encode("utf-16le"), b"", b""]:
            fields += struct.pack("<HHI", len(part), len(part), 64 + len(body))
            body += part
        return b"NTLMSSP\0\3\0\0\0" + fields + struct.pack("<I", 0x201) + body
    return answer


@pytest.mark.parametrize("service", SERVICES)
def test_ntlm(house, service):
    offer = b"NTLMSSP\0\1\0\0\0" + struct.pack("<I", 0x201)
    with Talk(house, service) as t:
        assert t.wrong(t.auth("NTLM", ntlm("jack@example.com", "wrong"), initial=offer)[0])
        assert t.wrong(t.auth("NTLM", ntlm("nobody@example.com", "nobody"), initial=offer)[0])
        assert t.good(t.auth("NTLM", ntlm("jack@example.com", PASSWORD), initial=offer)[0])


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "NTLM"])
def test_curl_logs_in(house, mechanism):
    for service in ["imaps", "pop3s"]:
        done = subprocess.run(["curl", "-sk", "--url", f"{service}://127.0.0.1:{house.ports[service]}/", "--user", f"jack@example.com:{PASSWORD}",
                               "--login-options", f"AUTH={mechanism}"], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr + house.text()


def test_anonymous_reads_and_sends_nothing(house):
    for service in ["imap", "pop3"]:
        with Talk(house, service) as t:
            assert t.good(t.auth("ANONYMOUS", initial=b"sirhc")[0])
    assert "anonymous trace <sirhc>" in house.text()
    with Talk(house, "smtp") as t:
        assert t.auth("ANONYMOUS", initial=b"sirhc")[0].startswith("534 5.7.9")


def otp_fold(data):
    raw = hashlib.md5(data).digest()
    return bytes(a ^ b for a, b in zip(raw[:8], raw[8:]))


def otp(phrase):
    def answer(challenge):
        name, count, seed, _ = challenge.decode().split()
        assert name == "otp-md5"
        value = otp_fold(seed.lower().encode() + phrase.encode())
        for _ in range(int(count)):
            value = otp_fold(value)
        return "hex:" + value.hex()
    return answer


def test_one_time_passwords_work_once(house):
    phrase = "This is a test."
    house.command("account", "one-time", "set", "jack@example.com", "md5", "test", "100", input=phrase + "\n")
    for service in SERVICES:
        with Talk(house, service) as t:
            assert t.wrong(t.auth("OTP", b"hex:0123456789abcdef", initial="\0jack@example.com")[0])
            line, said = t.auth("OTP", otp(phrase), initial="\0jack@example.com")
            assert t.good(line)
            used = otp(phrase)(said[0])
        with Talk(house, service) as t:
            line, again = t.auth("OTP", used, initial="\0jack@example.com")
            assert t.wrong(line) and again != said
            line, nobody = t.auth("OTP", used, initial="\0nobody@example.com")
            assert t.wrong(line)
            assert nobody == t.auth("OTP", used, initial="\0nobody@example.com")[1]
    assert re.match(r"otp-md5 96 test", again[0].decode()), "the sequence is durable"
    # Two at a time race for the last words: the second is put off (rfc2289:9).
    with Talk(house, "imap") as one, Talk(house, "imap") as two:
        one.say("a AUTHENTICATE OTP " + b64("\0jack@example.com"))
        assert one.line().startswith("+ ")
        assert two.later(two.auth("OTP", initial="\0jack@example.com")[0])
        # A stranger elsewhere who begins and says no more does not hold up the owner.
        with Talk(house, "imap", source="127.0.0.44") as elsewhere:
            assert elsewhere.later(elsewhere.auth("OTP", initial="\0jack@example.com")[0]), "jack is at it where he was before"
        one.say("*")
        assert one.line().startswith("a BAD")
    with Talk(house, "imap", source="127.0.0.44") as stranger, Talk(house, "imap") as owner:
        stranger.say("a AUTHENTICATE OTP " + b64("\0jack@example.com"))
        assert stranger.line().startswith("+ ")
        assert owner.good(owner.auth("OTP", otp(phrase), initial="\0jack@example.com")[0])
    house.command("account", "one-time", "delete", "jack@example.com")
    with Talk(house, "imap") as t:
        assert t.wrong(t.auth("OTP", otp(phrase) and b"hex:0123456789abcdef", initial="\0jack@example.com")[0])


# ---- EXTERNAL ------------------------------------------------------------------------------------

def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def make_authority(at):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=Clients",
            "-keyout", at / "ca.key", "-out", at / "ca.pem")


def make_client(at, name, san, authority=True):
    key, cert, ask, more = at / f"{name}.key", at / f"{name}.pem", at / f"{name}.csr", at / f"{name}.cnf"
    more.write_text(f"subjectAltName=email:{san}\n" if san else "basicConstraints=CA:FALSE\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/O=Example/CN={name}", "-keyout", key, "-out", ask)
    if authority:
        openssl("x509", "-req", "-in", ask, "-CA", at / "ca.pem", "-CAkey", at / "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", more, "-out", cert)
    else:
        openssl("x509", "-req", "-in", ask, "-signkey", key, "-days", "2", "-extfile", more, "-out", cert)
    return cert, key


def fingerprint(cert):
    raw = ssl.PEM_cert_to_DER_cert(pathlib.Path(cert).read_text())
    return ":".join(f"{b:02X}" for b in hashlib.sha256(raw).digest())


def test_R258_certificates_say_who_it_is(tmp_path):
    make_authority(tmp_path)
    jack = make_client(tmp_path, "jack", "jack@example.com")
    liar = make_client(tmp_path, "liar", "jack@example.com", authority=False)
    known = make_client(tmp_path, "known", "x@example.org", authority=False)
    named = make_client(tmp_path, "named", None)
    table = tmp_path / "certificates"
    table.write_text(f"{fingerprint(known[0])} jill@example.com\nCN=named,O=Example jill@example.com\n")
    with Village("jack", "jill", sasl_mechanisms="PLAIN EXTERNAL", smtpd_tls_ask_ccert="yes", login_failure_limit="0", auth_failure_network_limit="0", auth_failure_account_limit="0", auth_ban_failures="0",
                 smtpd_tls_CAfile=tmp_path / "ca.pem", external_login_maps=f"texthash:{table}") as v:
        for service in SERVICES:
            with Talk(v, service) as t:
                assert t.mechanisms() == ["PLAIN"], "only who shows a certificate is offered it"
            with Talk(v, service, jack) as t:
                assert t.mechanisms() == ["PLAIN", "EXTERNAL"]
                assert t.wrong(t.auth("EXTERNAL", initial=b"jill@example.com")[0])
                assert t.good(t.auth("EXTERNAL", b"")[0])
            with Talk(v, service, jack) as t:
                assert t.good(t.auth("EXTERNAL", initial=b"jack@example.com")[0])
            with Talk(v, service, liar) as t:
                assert t.wrong(t.auth("EXTERNAL", b"")[0]), "nobody vouches for it"
            for cert in [known, named]:
                with Talk(v, service, cert) as t:
                    assert t.good(t.auth("EXTERNAL", b"")[0])
        done = subprocess.run(["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{v.ports['imaps']}", "-cert", jack[0], "-key", jack[1]],
                              input=b"a AUTHENTICATE EXTERNAL =\r\nb LOGOUT\r\n", capture_output=True, timeout=PATIENCE)
        assert b"a OK" in done.stdout
        assert "user=<jill@example.com>, method=EXTERNAL" in v.text()
        # Clients that were not written here.
        for cert, good in ((jack, True), (liar, False)):
            for service in ["imap", "smtp"]:
                port = v.ports["submission" if service == "smtp" else "imap"]
                done = subprocess.run(["gsasl", f"--{service}", "--starttls", "--x509-ca-file=", "--connect", f"127.0.0.1:{port}", "-m", "EXTERNAL", "-z", "",
                                       f"--x509-cert-file={cert[0]}", f"--x509-key-file={cert[1]}"], stdin=subprocess.DEVNULL, capture_output=True,
                                      text=True, timeout=PATIENCE)
                assert (done.returncode == 0) == good, done.stdout + done.stderr
            done = subprocess.run(["curl", "-sk", "--url", f"pop3s://127.0.0.1:{v.ports['pop3s']}/", "--cert", cert[0], "--key", cert[1],
                                   "--user", "jack@example.com:", "--login-options", "AUTH=EXTERNAL"], capture_output=True, text=True, timeout=PATIENCE)
            assert (done.returncode == 0) == good, done.stderr


# ---- tokens ---------------------------------------------------------------------------------------

def url64(raw):
    return base64.urlsafe_b64encode(raw if isinstance(raw, bytes) else json.dumps(raw).encode()).rstrip(b"=").decode()


class Issuer:
    """Signs tokens; its public keys are a JWKS."""

    def __init__(self, at, name="rsa"):
        self.at, self.name, self.key = at, name, at / f"{name}.key"
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.key)
        modulus = subprocess.run(["openssl", "rsa", "-in", self.key, "-noout", "-modulus"], check=True, capture_output=True, text=True).stdout
        self.jwk = {"kty": "RSA", "kid": name, "use": "sig", "alg": "RS256", "e": "AQAB", "n": url64(bytes.fromhex(modulus.strip().split("=")[1]))}

    def token(self, head=None, **claims):
        now = int(time.time())
        said = {"iss": "https://issuer.example.com", "aud": "mansio", "exp": now + 600, "nbf": now - 10, "scope": "openid mail",
                "email": "jack@example.com", "email_verified": True, **claims}
        text = url64({"alg": "RS256", "kid": self.name, **(head or {})}) + "." + url64({k: v for k, v in said.items() if v is not None})
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text.encode(), check=True, capture_output=True).stdout
        return f"{text}.{url64(signed)}"


def bearer(token, user="jack@example.com"):
    return f"n,a={user},\1host=mail.example.com\1port=993\1auth=Bearer {token}\1\1"


def xoauth2(token, user="jack@example.com"):
    return f"user={user}\1auth=Bearer {token}\1\1"


def test_tokens_of_an_issuer(tmp_path):
    issuer, other = Issuer(tmp_path), Issuer(tmp_path, "other")
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [issuer.jwk]}))
    now = int(time.time())
    with Village("jack", "jill", sasl_mechanisms="PLAIN OAUTHBEARER XOAUTH2", oauth_issuer="https://issuer.example.com", oauth_audience="mansio",
                 oauth_scope="mail", oauth_jwks_file=keys, login_failure_limit="0", auth_failure_network_limit="0", auth_ban_failures="0",
                 oauth_configuration_url="https://issuer.example.com/.well-known/openid-configuration") as v:
        good = issuer.token()
        for service in SERVICES:
            for mechanism, say in [("OAUTHBEARER", bearer), ("XOAUTH2", xoauth2)]:
                with Talk(v, service) as t:
                    assert t.good(t.auth(mechanism, say(good))[0])
        with Talk(v, "imap") as t:
            for why, token in [
                    ("of a key that is not its", other.token()), ("of its key, by name", other.token(head={"kid": "rsa"})),
                    ("no algorithm", issuer.token(head={"alg": "none"})), ("over", issuer.token(exp=now - 100)),
                    ("for ever", issuer.token(exp=None)), ("to come", issuer.token(nbf=now + 300)), ("for others", issuer.token(aud="other")), ("for nobody said", issuer.token(aud=None)),
                    ("another's", issuer.token(iss="https://evil.example.com")), ("no scope", issuer.token(scope="openid")),
                    ("not verified", issuer.token(email_verified=False)), ("nobody's", issuer.token(email="nobody@example.com")),
                    ("jill's, for jack", issuer.token(email="jill@example.com")), ("opaque", "abc.def"),
                    ("changed", good[:-8] + "AAAAAAAA")]:
                line, said = t.auth("OAUTHBEARER", bearer(token), b"\1")
                assert t.wrong(line), why
                if len(said) > 1:
                    assert json.loads(said[1]) == {"status": "invalid_token", "scope": "mail", "openid-configuration":
                                                   "https://issuer.example.com/.well-known/openid-configuration"}, why
            line, said = t.auth("XOAUTH2", xoauth2(other.token()), b"")
            assert t.wrong(line) and json.loads(said[1])["status"] == "401"
        for options in ["AUTH=OAUTHBEARER", "AUTH=XOAUTH2"]:
            done = subprocess.run(["curl", "-sk", "--url", f"imaps://127.0.0.1:{v.ports['imaps']}/", "--user", "jack@example.com",
                                   "--oauth2-bearer", good, "--login-options", options], capture_output=True, text=True, timeout=PATIENCE)
            assert done.returncode == 0 and "INBOX" in done.stdout, done.stdout + done.stderr + v.text()
        # The issuer has a new key.
        keys.write_text(json.dumps({"keys": [other.jwk]}))
        before = v.count("reload")
        v.command("reload")
        wait_for(lambda: v.count("reload") > before)
        with Talk(v, "imap") as t:
            assert t.good(t.auth("OAUTHBEARER", bearer(other.token()))[0])
        with Talk(v, "imap") as t:
            assert t.wrong(t.auth("OAUTHBEARER", bearer(good), b"\1")[0])


class Provider(Issuer):
    """An OpenID provider on loopback: its configuration, its keys, and introspection."""

    def __init__(self, at):
        super().__init__(at)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost", "-keyout", at / "https.key", "-out", at / "https.pem")
        self.port = free_ports(1)[0]
        self.url = f"https://localhost:{self.port}"
        self.keys, self.asked, self.active = [self.jwk], [], {}
        self.server, self.dawdle = None, 0
        self.start()

    def start(self):
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def give(self, said):
                text = json.dumps(said).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                provider.asked.append(self.path)
                self.give({"issuer": provider.url, "jwks_uri": provider.url + "/keys"} if "well-known" in self.path else {"keys": provider.keys})

            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                provider.asked.append((self.path, self.headers["Authorization"]))
                time.sleep(provider.dawdle)
                self.give(provider.active.get(form["token"][0], {"active": False}))

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.at / "https.pem", self.at / "https.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def test_an_issuer_on_the_network(tmp_path):
    provider = Provider(tmp_path)
    tmp_path.chmod(0o755)
    cf = tmp_path / "issuer.cf"
    cf.write_text(f"issuer = {provider.url}\naudience = mansio\nscope = mail\ntls_ca_cert_file = {tmp_path}/https.pem\ntimeout = 2s\n")
    try:
        with Village("jack", sasl_mechanisms="PLAIN OAUTHBEARER", oauth_token_maps=f"oauth:{cf}", table_cache_time="0",
                     login_failure_limit="0", auth_failure_network_limit="0", auth_ban_failures="0") as v:
            def login(token):
                with Talk(v, "imap") as t:
                    line, _ = t.auth("OAUTHBEARER", bearer(token), b"\1")
                    return "good" if t.good(line) else "wrong" if t.wrong(line) else "later" if t.later(line) else line
            good = provider.token(iss=provider.url)
            assert login(good) == "good", v.text()
            assert login(provider.token()) == "wrong", "another issuer's"
            assert login(provider.token(iss=provider.url, exp=1)) == "wrong"
            assert provider.asked.count("/keys") == 1, "the keys are kept"
            # The issuer changes its keys: the next token brings them.  Who makes names up does not have them fetched for each.
            new = Issuer(tmp_path, "new")
            provider.keys.append(new.jwk)
            assert login(new.token(iss=provider.url)) == "good", v.text()
            assert login(new.token(iss=provider.url, head={"kid": "old"}, exp=1)) == "wrong" and provider.asked.count("/keys") == 2, "no key would help it"
            assert {login(new.token(iss=provider.url, head={"kid": f"made-up-{n}"})) for n in range(3)} == {"wrong"}
            provider.stop()
            assert login(new.token(iss=provider.url, head={"kid": "newer"})) == "later", "it may be good"
            assert "later" in {login(new.token(iss=provider.url, head={"kid": f"other-{n}"})) for n in range(3)}
            assert provider.asked.count("/keys") <= 6
            assert "the token's key is not known" in v.text(), "the log says why"
            assert login(good) == login(new.token(iss=provider.url)) == "good", "and known while the issuer is away"
            clerk = v.kill("proxymap")
            v.back("proxymap", clerk)
            assert wait_for(lambda: login(good) == "later"), "who has no keys does not say no"
            provider.start()
            assert wait_for(lambda: login(good) == "good")
    finally:
        provider.stop()


def test_an_issuer_that_dies_and_dawdles_under_load(tmp_path):
    """Every token is asked about.  While the issuer is slow, gone or hangs, a good token is good or put off, and never wrong."""
    provider = Provider(tmp_path)
    tmp_path.chmod(0o755)
    cf = tmp_path / "issuer.cf"
    cf.write_text(f"introspection_url = {provider.url}/introspect\nclient_id = mansio\nclient_secret = s3cret\nuser_claim = username\naudience = any\n"
                  f"tls_ca_cert_file = {tmp_path}/https.pem\ntimeout = 2s\n")
    provider.active["opaque-1"] = {"active": True, "username": "jack@example.com"}
    over, said = threading.Event(), {"opaque-1": [], "opaque-2": []}
    try:
        with Village("jack", sasl_mechanisms="PLAIN OAUTHBEARER", oauth_token_maps=f"oauth:{cf}", table_cache_time="0", auth_failure_delay="0",
                     login_failure_limit="0", auth_failure_network_limit="0", auth_failure_account_limit="0", auth_ban_failures="0") as v:
            def go_on(token):
                while not over.is_set():
                    with Talk(v, "imap") as t:
                        line, _ = t.auth("OAUTHBEARER", bearer(token), b"\1")
                        said[token].append("good" if t.good(line) else "wrong" if t.wrong(line) else "later" if t.later(line) else line)

            def seen(word):
                before = len(said["opaque-1"])
                wait_for(lambda: word in said["opaque-1"][before:], 60)
            threads = [threading.Thread(target=go_on, args=[t]) for t in ("opaque-1", "opaque-1", "opaque-2")]
            for t in threads:
                t.start()
            try:
                seen("good")
                provider.dawdle = 0.3
                seen("good")
                provider.dawdle = 5
                seen("later")
                provider.dawdle = 0
                seen("good")
                provider.stop()
                seen("later")
                provider.start()
                seen("good")
            finally:
                provider.dawdle = 0
                over.set()
                for t in threads:
                    t.join()
            assert set(said["opaque-1"]) == {"good", "later"}, set(said["opaque-1"])
            assert set(said["opaque-2"]) == {"wrong", "later"}, set(said["opaque-2"])
    finally:
        provider.stop()


def test_opaque_tokens_are_asked_about(tmp_path):
    provider = Provider(tmp_path)
    tmp_path.chmod(0o755)
    cf = tmp_path / "issuer.cf"
    cf.write_text(f"introspection_url = {provider.url}/introspect\nclient_id = mansio\nclient_secret = s3cret\nuser_claim = username\naudience = any\n"
                  f"tls_ca_cert_file = {tmp_path}/https.pem\n")
    provider.active["opaque-1"] = {"active": True, "username": "jack@example.com"}
    try:
        with Village("jack", sasl_mechanisms="PLAIN OAUTHBEARER XOAUTH2", oauth_token_maps=f"oauth:{cf}", login_failure_limit="0") as v:
            for service in SERVICES:
                with Talk(v, service) as t:
                    assert t.wrong(t.auth("OAUTHBEARER", bearer("opaque-2"), b"\1")[0])
                    assert t.good(t.auth("XOAUTH2", xoauth2("opaque-1"))[0])
        assert ("/introspect", "Basic " + b64("mansio:s3cret")) in provider.asked
    finally:
        provider.stop()


# ---- Kerberos --------------------------------------------------------------------------------------

class Kdc:
    def __init__(self, at):
        self.at, self.port = at, free_ports(1)[0]
        (at / "krb5.conf").write_text(f"""[libdefaults]
 default_realm = EXAMPLE.COM
 dns_lookup_kdc = false
 dns_lookup_realm = false
 rdns = false
 dns_canonicalize_hostname = false
[realms]
 EXAMPLE.COM = {{
  kdc = 127.0.0.1:{self.port}
 }}
[domain_realm]
 .example.com = EXAMPLE.COM
""")
        (at / "kdc.conf").write_text(f"""[kdcdefaults]
 kdc_listen = 127.0.0.1:{self.port}
 kdc_tcp_listen = 127.0.0.1:{self.port}
[realms]
 EXAMPLE.COM = {{
  database_name = {at}/principal
  key_stash_file = {at}/stash
  acl_file = {at}/acl
 }}
[logging]
 kdc = FILE:{at}/kdc.log
""")
        self.env = {**os.environ, "KRB5_CONFIG": str(at / "krb5.conf"), "KRB5_KDC_PROFILE": str(at / "kdc.conf"),
                    "KRB5CCNAME": f"FILE:{at}/cc", "KRB5RCACHEDIR": str(at)}
        self.run("kdb5_util", "create", "-s", "-r", "EXAMPLE.COM", "-P", "master")
        for name in ["jack", "stranger"]:
            self.run("kadmin.local", "-q", f"addprinc -pw {PASSWORD} {name}")
        for service in ["imap", "smtp", "pop"]:
            self.run("kadmin.local", "-q", f"addprinc -randkey {service}/mail.example.com")
            self.run("kadmin.local", "-q", f"ktadd -k {at}/keytab {service}/mail.example.com")
        self.start()

    def start(self):
        self.process = subprocess.Popen(["krb5kdc", "-n", "-P", self.at / "pid"], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.login("jack"))

    def run(self, *words, **more):
        return subprocess.run(words, env=self.env, check=True, capture_output=True, timeout=60, **more)

    def login(self, name):
        return subprocess.run(["kinit", name], env=self.env, input=PASSWORD.encode() + b"\n", capture_output=True).returncode == 0

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.mark.skipif(not shutil.which("krb5kdc", path="/usr/sbin:" + os.environ.get("PATH", "")), reason="no krb5kdc")
def test_R254_kerberos(tmp_path):
    kdc = Kdc(tmp_path)
    try:
        with Village("jack", sasl_mechanisms="PLAIN GSSAPI", auth_krb5_keytab=tmp_path / "keytab", login_failure_limit="0", auth_failure_network_limit="0", auth_failure_account_limit="0", auth_ban_failures="0") as v:
            def login(service):
                port = v.ports["submission" if service == "smtp" else "imap"]
                return subprocess.run(["gsasl", f"--{service}", "--starttls", "--x509-ca-file=", "--connect", f"127.0.0.1:{port}",
                                       "--hostname", "mail.example.com", "-m", "GSSAPI", "-a", "jack@example.com", "-z", ""],
                                      env=kdc.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
            for service in ["imap", "smtp"]:
                for _ in range(3):
                    done = login(service)
                    assert done.returncode == 0, done.stdout + done.stderr + v.text()
            assert "user=<jack@example.com>, method=GSSAPI" in v.text()
            # The KDC is frozen, and gone: whoever has a ticket comes in.
            os.kill(kdc.process.pid, signal.SIGSTOP)
            assert login("imap").returncode == login("smtp").returncode == 0
            kdc.close()
            assert login("imap").returncode == login("smtp").returncode == 0
            kdc.start()
            assert login("imap").returncode == login("smtp").returncode == 0
            # New keys are known from a reload on, and tickets of the old ones are good still.
            for service in ["imap", "smtp"]:
                kdc.run("kadmin.local", "-q", f"ktadd -k {tmp_path}/keytab {service}/mail.example.com")
            assert login("imap").returncode == 0
            assert kdc.login("jack") and login("imap").returncode != 0
            assert "Login failed (Kerberos: " in v.text()
            v.command("reload")
            wait_for(lambda: login("imap").returncode == 0)
            assert login("smtp").returncode == 0
            # Kerberos names the host: this one by its address is not in the keytab, so curl is told where the name is.
            done = subprocess.run(["curl", "-sk", "--resolve", f"mail.example.com:{v.ports['pop3s']}:127.0.0.1", "--url", f"pop3s://mail.example.com:{v.ports['pop3s']}/",
                                   "--user", "jack@example.com:", "--login-options", "AUTH=GSSAPI"], env=kdc.env, capture_output=True, text=True, timeout=PATIENCE)
            assert done.returncode == 0, done.stderr + v.text()
            assert kdc.login("stranger")
            assert login("imap").returncode != 0, "he has no account"
            with Talk(v, "imap") as t:
                assert t.wrong(t.auth("GSSAPI", initial=b"\x60\x82hello")[0])
    finally:
        kdc.close()


def test_R266_the_strings_of_a_login_by_hand():
    done = subprocess.run([BINARY, "sasl", "encode", "jack@example.com"], input="s3cret\n", capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.split() == ["PLAIN", b64("\0jack@example.com\0s3cret"), "LOGIN", b64("jack@example.com"), "LOGIN", b64("s3cret")]
    assert subprocess.run([BINARY, "sasl", "encode", "jack", "s3cret"], capture_output=True).returncode == 2


# ---- settings ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("settings, words", [
    ({"sasl_mechanisms": "PLAIN GSSAPI"}, "nobody could log in by GSSAPI: it needs Kerberos keys: set auth_krb5_keytab"),
    ({"sasl_mechanisms": "PLAIN EXTERNAL"}, "nobody could log in by EXTERNAL: it needs a certificate of the client: set smtpd_tls_ask_ccert = yes"),
    ({"sasl_mechanisms": "PLAIN EXTERNAL", "smtpd_tls_ask_ccert": "yes"}, "set smtpd_tls_CAfile or external_login_maps"),
    ({"sasl_mechanisms": "OAUTHBEARER"}, "nobody could log in by OAUTHBEARER: it needs"),
    ({"sasl_mechanisms": "OAUTHBEARER", "oauth_jwks_file": "/etc/jwks"}, "set oauth_audience"),
    ({"sasl_mechanisms": "ANONYMOUS"}, "set anonymous_login_user"),
    ({"imap/auth_mechanisms": "XOAUTH2"}, "imap/auth_mechanisms: nobody could log in by XOAUTH2"),
    ({"smtpd_sasl_mechanism_list": "PLAIN, SKEY"}, "SKEY is not a mechanism of this server"),
    ({"sasl_mechanisms": "CRAM-MD5", "auth_backends": "pam"}, "it needs the password itself, or what was made of it for this, stored where it can be read"),
    ({"smtpd_sasl_security_options": "noplain"}, "noplain"),
])
def test_what_cannot_work_is_refused_when_settings_are_checked(settings, words):
    v = Village("jack", **settings)
    try:
        done = subprocess.run([BINARY, "-c", v.config, "config", "check"], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode != 0 and words in done.stdout + done.stderr, done.stdout + done.stderr
    finally:
        v.close()


def test_security_options_bar_mechanisms_and_say_so():
    with Village("jack", smtpd_sasl_tls_security_options="noplaintext", broken_sasl_auth_clients="yes") as v:
        with Talk(v, "smtp") as t:
            assert t.mechanisms() == ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"]
            assert "250-AUTH=SCRAM-SHA-256 SCRAM" in t.capabilities
            assert t.auth("PLAIN", initial=b"\0a\0b")[0].startswith("534 5.7.9")
        with Talk(v, "imap") as t:
            assert t.mechanisms() == ALL.split()


def test_clients_that_bind_no_channel_are_not_led_to_plus_by_default():
    """Debian's mutt takes the strongest that is offered, and gives up when it has nothing to bind."""
    with test_roles.Village("jack") as v:
        for service in SERVICES:
            with Talk(v, service) as t:
                assert t.mechanisms() == ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1"]
