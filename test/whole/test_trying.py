# SPDX-License-Identifier: ISC
"""mansio tls check, mansio test send beside swaks, mansio test relay."""

import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading

import pytest

from house import BINARY, House, wait_for
from test_tls import make_authority, make_leaf

PASSWORD = "way-station"


@pytest.fixture(scope="module")
def directory():
    d = pathlib.Path(tempfile.mkdtemp(prefix="mansio-trying-"))
    yield d
    shutil.rmtree(d)


@pytest.fixture(scope="module")
def authority(directory):
    return make_authority(directory)


@pytest.fixture(scope="module")
def house(directory, authority):
    cert, key = make_leaf(directory, authority, "good", "mail.example.com", "localhost", days="100")
    with House(smtpd_tls_cert_file=str(cert), smtpd_tls_key_file=str(key), dns_resolver="none",
               sasl_mechanisms="PLAIN LOGIN CRAM-MD5", auth_backends="directory") as h:
        h.command("domain", "add", "example.com")
        h.command("account", "add", "jill@example.com", "--password-file", "-", "--keep-plain-secret",
                  input=PASSWORD + "\n")
        yield h


# ---- mansio tls check ----------------------------------------------------------------------------


def check(h, *words):
    done = h.command("tls", "check", *map(str, words), check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_server_that_is_well_has_nothing_wrong(house, authority):
    for service, say in [("smtp", "smtp"), ("submission", "smtp"), ("submissions", "none"), ("lmtp", "lmtp"),
                         ("imap", "imap"), ("imaps", "none"), ("pop3", "pop3"), ("pop3s", "none")]:
        code, text = check(house, f"localhost:{house.ports[service]}", "--starttls", say, "--name", "mail.example.com",
                           "--ca", authority[0])
        assert code == 0 and "TLSv1.3" in text and "trusted      yes" in text, (service, text)
        # no port of ours is a known one: the greeting tells
        assert check(house, f"localhost:{house.ports[service]}", "--name", "mail.example.com", "--ca", authority[0])[1].split("\n")[0] == text.split("\n")[0]
        assert "names        mail.example.com localhost" in text and "TLS before 1.2 is refused" in text
        assert "issued by    CN=Test ca" in text and "days)" in text
        assert text.endswith("  grade        A\n") and "weak" not in text


def test_what_is_wrong_is_said(house, directory, authority):
    port = house.ports["imaps"]
    code, text = check(house, f"localhost:{port}", "--starttls", "none")
    assert code == 1 and "WRONG        the chain is not trusted" in text
    code, text = check(house, f"localhost:{port}", "--starttls", "none", "--name", "other.example.com", "--ca", authority[0])
    assert code == 1 and "WRONG        the certificate is not for other.example.com" in text
    assert text.endswith("  grade        F: the certificate is not for other.example.com\n")
    code, text = check(house, f"localhost:{house.ports['smtp']}", "--starttls", "none")
    assert code == 2
    staging = make_authority(directory, "staging")
    subprocess.run(["openssl", "req", "-x509", "-key", staging[1], "-days", "9", "-subj",
                    "/O=(STAGING) Let's Encrypt/CN=(STAGING) Artificial Apricot R3", "-out", staging[0]], check=True)
    with plain_tls_server(*make_leaf(directory, staging, "stage", "localhost", days="3")) as port:
        code, text = check(house, f"localhost:{port}", "--starttls", "none", "--ca", staging[0])
        assert code == 1 and "a certificate of a staging authority, that nobody trusts" in text
        assert "expires in 2 days" in text or "expires in 3 days" in text


def test_old_versions_are_found(house, directory, authority):
    cert, key = make_leaf(directory, authority, "old", "localhost", days="60")
    with plain_tls_server(cert, key, old=True) as port:
        code, text = check(house, f"localhost:{port}", "--starttls", "none", "--ca", authority[0])
        assert code == 1 and "is spoken, which is no more (rfc8996)" in text, text
        assert re.search(r"^  grade        C: TLSv1(\.1)? is spoken", text, re.M), text


@pytest.mark.parametrize("version, ciphers, grade", [
    ("1.3", "ECDHE+AESGCM", "A"), ("1.2", "ECDHE+AESGCM", "B: TLS 1.3 is not spoken"), ("1.3", "AES128-GCM-SHA256", "B: AES128-GCM-SHA256 is spoken: without forward secrecy"),
    ("1.3", "AECDH-AES128-SHA:@SECLEVEL=0", "B: AECDH-AES128-SHA is spoken: without a certificate"),
    ("1.3", "NULL-SHA256:@SECLEVEL=0", "C: NULL-SHA256 is spoken: nothing is encrypted")])
def test_R241_a_grade_tells_how_good_it_is(house, directory, authority, version, ciphers, grade):
    cert, key = make_leaf(directory, authority, "graded", "localhost", rsa=True, days="60")
    server = plain_tls_server(cert, key)
    server.context.set_ciphers(ciphers)
    server.context.minimum_version = ssl.TLSVersion.TLSv1_2
    if version == "1.2":
        server.context.maximum_version = ssl.TLSVersion.TLSv1_2
    with server as port:
        code, text = check(house, f"localhost:{port}", "--starttls", "none", "--ca", authority[0])
    assert code == 0 and text.splitlines()[-1] == f"  grade        {grade}", text


class plain_tls_server:
    def __init__(self, cert, key, old=False):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if old:
            self.context.set_ciphers("ALL:@SECLEVEL=0")
            self.context.minimum_version = ssl.TLSVersion.TLSv1
        self.context.load_cert_chain(cert, key)

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.live, daemon=True).start()
        return self.socket.getsockname()[1]

    def live(self):
        while True:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            try:
                self.context.wrap_socket(s, server_side=True).close()
            except OSError:
                pass

    def __exit__(self, *_):
        self.socket.close()


def test_our_own_files_and_listeners(house, directory, authority):
    code, text = check(house)
    assert code == 0, text
    for service in ["smtp", "submission", "submissions", "lmtp", "imap", "imaps", "pop3", "pop3s"]:
        assert f"\n{service}: " in text
    with House() as h:
        cert, key = (pathlib.Path(h.settings[f"smtpd_tls_{x}_file"]) for x in ["cert", "key"])
        assert "expires in 1 days" in check(h)[1] or "expires in 2 days" in check(h)[1]
        assert "signed by itself" in check(h)[1]
        key.chmod(0o644)
        code, text = check(h)
        assert code == 1 and "others than its owner may read or write it: chmod 600" in text
        other = make_leaf(directory, authority, "another", "mail.example.net")
        cert.write_text(other[0].read_text())
        code, text = check(h)
        assert code == 1 and "this is not the key of the certificate" in text
        assert "the certificate is not for mail.example.com" in text
        cert.write_text("nothing\n")
        code, text = check(h)
        assert code == 1 and "no certificate can be read there" in text


def test_dane_by_a_resolver_that_proves_it():
    done = subprocess.run([BINARY, "tls", "check", "no-such-host.invalid"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2


# ---- mansio test send, beside swaks ---------------------------------------------------------------

TO = ["-t", "jill@example.com", "-f", "a@example.org"]
LOGIN = ["-au", "jill@example.com", "-ap", PASSWORD]
OWN = ["-t", "x@example.net", "-f", "jill@example.com"]
CASES = [
    ("a letter", "smtp", TO),
    ("with STARTTLS", "smtp", TO + ["-tls"]),
    ("STARTTLS where it is offered", "smtp", TO + ["-tlso"]),
    ("no STARTTLS where it is not", "submissions", TO + ["--tls-optional", "-tlsc", "-q", "HELO"]),
    ("logged in", "submission", OWN + ["-tls", "-a"] + LOGIN),
    ("logged in by PLAIN", "submission", OWN + ["-tls", "-a", "PLAIN"] + LOGIN),
    ("logged in by LOGIN", "submission", OWN + ["-tls", "-a", "LOGIN"] + LOGIN),
    ("TLS from the first byte", "submissions", OWN + ["-tlsc", "-a", "PLAIN"] + LOGIN),
    ("with long options", "submissions", ["--to", "x@example.net", "--from", "jill@example.com", "--tls-on-connect",
                                          "--auth", "PLAIN", "--auth-user", "jill@example.com", "--auth-password", PASSWORD]),
    ("a wrong password", "submission", OWN + ["-tls", "-a", "PLAIN", "-au", "jill@example.com", "-ap", "wrong"]),
    ("no login, where it is demanded", "submission", OWN + ["-tls"]),
    ("nobody of ours", "smtp", ["-t", "nobody@example.com", "-f", "a@example.org"]),
    ("one of two", "smtp", ["-t", "nobody@example.com,jill@example.com", "-f", "a@example.org"]),
    ("a bad sender", "smtp", ["-t", "jill@example.com", "-f", "a b@example.org"]),
    ("the null sender", "smtp", ["-t", "jill@example.com", "-f", "<>"]),
    ("a field by its name", "smtp", TO + ["--h-Subject", "by its name"]),
    ("up to RCPT", "smtp", TO + ["-q", "rcpt"]),
    ("up to MAIL", "smtp", TO + ["--quit-after", "mail"]),
    ("up to EHLO", "smtp", TO + ["-q", "helo"]),
    ("up to the banner", "smtp", TO + ["-q", "connect"]),
]


def shape(text):
    """The dialogue without what differs each time: the signs, the verbs, the codes."""
    lines = []
    content = False
    for line in text.splitlines():
        m = re.match(r"^( ->|<- |<\*\*| ~>|<~ |<~\*) ?(.*)", line)
        if not m:
            continue
        sign, rest = m.group(1), m.group(2)
        if sign in (" ->", " ~>"):
            if content:
                content = rest != "."
                continue
            content = rest == "DATA"
            lines.append((sign, "secret" if "not shown" in rest or re.match(r"^(AUTH PLAIN .*|[A-Za-z0-9+/=]{8,})$", rest)
                          else rest))
        else:
            lines.append((sign, rest[:4]))
    return lines


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_the_dialogue_is_that_of_swaks(house, case):
    _, service, words = case
    words = [*words, "-s", f"127.0.0.1:{house.ports[service]}", "--helo", "client.example"]
    swaks = subprocess.run(["swaks", *words], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    ours = house.command("test", "send", *words, check=False, stdin=subprocess.DEVNULL)
    assert shape(ours.stdout) == shape(swaks.stdout), ours.stdout + swaks.stdout
    assert ours.returncode == swaks.returncode, ours.stdout + swaks.stdout
    assert PASSWORD not in ours.stdout


def test_no_server_and_no_sense(house):
    for words, code in [(["-t", "a@b.example", "-s", "127.0.0.1:1"], 2), (["-f", "a@b.example"], 1), (["--nonsense"], 1)]:
        assert house.command("test", "send", *words, check=False).returncode == code


def test_body_header_attachment_and_data(house, directory):
    body, attached, whole = directory / "body", directory / "a file.bin", directory / "data"
    body.write_text("from a file\n.a dot\nthe end\n")
    attached.write_bytes(bytes(range(256)))
    whole.write_text("Subject: whole\nFrom: a@example.org\n\nas it is\n")
    server = ["-s", f"127.0.0.1:{house.ports['smtp']}"]
    for words in [TO + ["--body", str(body), "--header", "Subject: one", "--h-X-Test", "yes", "--attach", f"@{attached}", "-tlso"],
                  TO + ["--data", str(whole)],
                  TO + ["--body", "two\\nlines", "--header", "Subject: three", "--protocol", "lmtp",
                        "-s", f"127.0.0.1:{house.ports['lmtp']}"]]:
        done = house.command("test", "send", *server, *words, check=False)
        assert done.returncode == 0, done.stdout

    def letters():
        done = house.command("message", "fetch", "jill@example.com", "INBOX", "*", check=False)
        return done.stdout

    import imaplib
    box = imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], ssl_context=ssl._create_unverified_context())
    box.login("jill@example.com", PASSWORD)

    def fetch(subject):
        def look():
            box.select("INBOX", readonly=True)
            n = box.search(None, "SUBJECT", subject)[1][0].split()
            return n and box.fetch(n[0], "(BODY[])")[1][0][1]
        return wait_for(look)
    import email
    one = email.message_from_bytes(fetch("one"))
    assert one["X-Test"] == "yes" and one.is_multipart()
    text, file = one.get_payload()
    assert text.get_payload().replace("\r\n", "\n").startswith("from a file\n.a dot\nthe end\n")
    assert file.get_payload(decode=True) == bytes(range(256)) and file.get_filename() == "a file.bin"
    assert b"\r\n\r\nas it is\r\n" in fetch("whole")
    assert b"\r\n\r\ntwo\r\nlines\r\n" in fetch("three")
    box.logout()


# ---- mansio test relay ----------------------------------------------------------------------------


def test_our_server_relays_for_no_stranger(house):
    done = house.command("test", "relay", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 of 24 probes were taken" in done.stdout and "TAKEN" not in done.stdout


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_name_of_the_greeting_is_its_domain_where_only_an_address_is_known(house, host):
    done = house.command("test", "relay", f"{host}:{house.ports['smtp']}", check=False)
    assert done.returncode == 0 and "<postmaster@mail.example.com> to <relaytest@example.net>: 554 5.7.1" in done.stdout, done.stdout
    assert "Bad sender address" not in done.stdout


@pytest.mark.parametrize("trusted, taken", [("198.51.100.0/24", 0), ("192.0.2.0/24", 1)])
def test_a_stranger_is_told_of_by_a_proxy(trusted, taken, tmp_path):
    """A listener that hears PROXY is tried as a stranger, whatever our own address may do; long paths are no matter."""
    place = tmp_path / ("deep" * 20) / ("er" * 20)
    place.mkdir(parents=True)
    with House(mynetworks=f"127.0.0.0/8 {trusted}", dns_resolver="none", listen_smtp=f"unix:{place}/door", smtpd_upstream_proxy_protocol="haproxy", mydomain="example.com") as h:
        done = h.command("test", "relay", f"unix:{place}/door", "--domain", "example.com", check=False)
        assert done.returncode == taken, done.stdout + done.stderr
        assert ("TAKEN    a stranger to a stranger" in done.stdout) == bool(taken)
        assert h.count("from unknown[192.0.2.1]") > 0
        assert h.command("test", "relay", f"unix:{place}/no-door", check=False).returncode == 2


def test_an_open_relay_is_found():
    with House(mynetworks="127.0.0.0/8", dns_resolver="none") as h:
        done = h.command("test", "relay", f"127.0.0.1:{h.ports['smtp']}", "--domain", "example.com", check=False)
        assert done.returncode == 1 and "TAKEN    a stranger to a stranger" in done.stdout
        # where every address of ours may relay, nothing can be tried from here
        h.write_settings(mynetworks="0.0.0.0/0 [::]/0")
        done = h.command("test", "relay", check=False)
        assert done.returncode == 2 and "try it from another machine" in done.stderr
