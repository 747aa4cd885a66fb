# SPDX-License-Identifier: ISC
"""TLS of what comes in: levels, versions and ciphers, certificates by name and their renewal, certificates of
clients, tickets; with openssl s_client, Python's ssl and Debian's Postfix beside us."""

import hashlib
import os
import pathlib
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import tempfile

import pytest

from house import House, make_certificate, wait_for


def make_authority(directory, name="ca"):
    """A private CA: NAME.pem and NAME.key."""
    cert, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "9", "-subj", f"/CN=Test {name}", "-keyout", key, "-out", cert], check=True,
                   capture_output=True)
    return cert, key


def make_leaf(directory, authority, name, *names, subject=None, rsa=False, days="5"):
    """A certificate of the authority for these DNS names: chain and key."""
    ca, ca_key = authority
    cert, key, req = (directory / f"{name}.{x}" for x in ["crt", "key", "csr"])
    kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(["openssl", "req", "-new", "-newkey", *kind, "-nodes", "-keyout", key, "-out", req,
                    "-subj", subject or f"/CN={names[0] if names else name}"], check=True, capture_output=True)
    more = directory / f"{name}.ext"
    more.write_text("subjectAltName=" + ",".join(f"DNS:{n}" for n in names) + "\n" if names else "\n")
    subprocess.run(["openssl", "x509", "-req", "-in", req, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial",
                    "-days", days, "-extfile", more, "-out", cert], check=True, capture_output=True)
    cert.write_text(cert.read_text() + ca.read_text())
    key.chmod(0o600)
    return cert, key


def context(**more):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    for name, value in more.items():
        setattr(c, name, value)
    return c


def s_client(port, *more, starttls=None, say="QUIT\r\n"):
    words = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-brief", *more]
    if starttls:
        words += ["-starttls", starttls]
    done = subprocess.run(words, input=say, capture_output=True, text=True, timeout=20)
    return done.stdout + done.stderr


def shown(port, name=None, starttls=None):
    """The CN of the certificate that is shown to who asks for this name, or for none."""
    words = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *(["-servername", name] if name else ["-noservername"])]
    if starttls:
        words += ["-starttls", starttls]
    done = subprocess.run(words, input="Q\n", capture_output=True, text=True, timeout=20)
    found = re.search(r"^subject=.*?CN ?= ?([^\n,/]+)", done.stdout, re.M)
    return found and found.group(1)


@pytest.fixture(scope="module")
def directory():
    d = pathlib.Path(tempfile.mkdtemp(prefix="mansio-tls-"))
    yield d
    shutil.rmtree(d)


@pytest.fixture(scope="module")
def authority(directory):
    return make_authority(directory)


# ---- certificates by name ----------------------------------------------------------------------


def live(root, name, cert, key, number=1):
    """As certbot lays it out: links in live/, files in archive/."""
    archive, links = root / "archive" / name, root / "live" / name
    archive.mkdir(parents=True, exist_ok=True)
    links.mkdir(parents=True, exist_ok=True)
    for what, source in [("fullchain", cert), ("privkey", key)]:
        target = archive / f"{what}{number}.pem"
        shutil.copy(source, target)
        new = links / f"{what}.new"
        new.symlink_to(os.path.relpath(target, links))
        new.rename(links / f"{what}.pem")


def test_each_domain_has_its_certificate_and_certbot_renews_it(directory, authority):
    root = directory / "letsencrypt"
    for name in ["a.example", "b.example"]:
        live(root, name, *make_leaf(directory, authority, name, f"mail.{name}", f"*.{name}", subject=f"/CN=first {name}"))
    with House(tls_certificate_directories=str(root / "live")) as h:
        for service, starttls in [("smtp", "smtp"), ("submissions", None), ("imap", "imap"), ("imaps", None),
                                  ("pop3", "pop3"), ("lmtp", "lmtp")]:
            port = h.ports[service]
            assert shown(port, "mail.a.example", starttls) == "first a.example", service
            assert shown(port, "imap.b.example", starttls) == "first b.example", service
            assert shown(port, None, starttls) == "mail.example.com", service
            assert shown(port, "nobody.example.net", starttls) == "mail.example.com", service
        # a session that began before goes on
        old = smtplib.SMTP("127.0.0.1", h.ports["smtp"], timeout=20)
        old.starttls(context=context())
        live(root, "a.example", *make_leaf(directory, authority, "a2", "mail.a.example", subject="/CN=second a.example"),
             number=2)
        wait_for(lambda: shown(h.ports["imaps"], "mail.a.example") == "second a.example")
        wait_for(lambda: shown(h.ports["smtp"], "mail.a.example", "smtp") == "second a.example")
        assert shown(h.ports["imaps"], "mail.b.example") == "first b.example"
        assert old.noop()[0] == 250
        old.quit()
        # a domain that comes while we run
        live(root, "c.example", *make_leaf(directory, authority, "c", "mail.c.example", subject="/CN=c.example"))
        wait_for(lambda: shown(h.ports["imaps"], "mail.c.example") == "c.example")


def test_a_broken_certificate_leaves_the_old_one_in_force(directory, authority):
    with House() as h:
        cert, key = (pathlib.Path(h.settings[f"smtpd_tls_{x}_file"]) for x in ["cert", "key"])
        smtp = h.ports["smtp"]

        def replace(path, text):
            new = path.with_suffix(".new")
            new.write_text(text)
            new.rename(path)

        good_cert, good_key = cert.read_text(), key.read_text()
        replace(cert, "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
        wait_for(lambda: "the one from before stays" in h.text())
        assert shown(smtp, starttls="smtp") == "mail.example.com"
        # a certificate whose key has not come yet
        second = make_leaf(directory, authority, "second", "mail.example.com", subject="/CN=the second")
        replace(cert, second[0].read_text())
        wait_for(lambda: h.text().count("certificates are new") >= 2)
        wait_for(lambda: h.text().count("the one from before stays") >= 2)
        assert shown(smtp, starttls="smtp") == "mail.example.com"
        replace(key, second[1].read_text())
        wait_for(lambda: shown(smtp, starttls="smtp") == "the second")
        # a key that cannot be read: what was there signs on
        replace(key, "no key\n")
        wait_for(lambda: "cannot read the private key" in h.text())
        assert shown(smtp, starttls="smtp") == "the second"
        cert.unlink()
        wait_for(lambda: "certificates stay as they were" in h.text())
        assert shown(smtp, starttls="smtp") == "the second"
        replace(key, good_key)
        replace(cert, good_cert)
        wait_for(lambda: shown(smtp, starttls="smtp") == "mail.example.com")


def test_sni_maps_and_chain_files_as_postfix_has_them(directory, authority):
    ec = make_leaf(directory, authority, "chain-ec", "mail.example.com", subject="/CN=chain ec")
    rsa = make_leaf(directory, authority, "chain-rsa", "mail.example.com", subject="/CN=chain rsa", rsa=True)
    sub = make_leaf(directory, authority, "sub", "whatever.example", subject="/CN=below example.org")
    one = make_leaf(directory, authority, "one", "whatever.example", subject="/CN=one host")
    chain = directory / "both.pem"
    chain.write_text(ec[1].read_text() + ec[0].read_text() + rsa[1].read_text() + rsa[0].read_text())
    sni = directory / "sni"
    sni.write_text(f".example.org {sub[1]}, {sub[0]}\nwww.example.org {one[1]} {one[0]}\n")
    with House(smtpd_tls_cert_file=None, smtpd_tls_key_file=None, smtpd_tls_chain_files=str(chain),
               tls_server_sni_maps=f"hash:{sni}") as h:
        port = h.ports["imaps"]
        assert shown(port) == "chain ec"
        assert "chain rsa" in s_client(port, "-sigalgs", "rsa_pss_rsae_sha256", say="a logout\r\n")
        assert shown(port, "www.example.org") == "one host"
        assert shown(port, "mail.example.org") == "below example.org"
        assert shown(port, "a.b.example.org") == "below example.org"
        assert shown(port, "mail.example.com") == "chain ec"
        # the private key of a file of both is the signer's alone
        for p in h.status():
            if p["role"] in ("receiver", "login"):
                continue
        secret = "".join(ec[1].read_text().splitlines()[1:3])[:40].encode()
        for p in h.status():
            if p["role"] in ("receiver", "login") and os.geteuid() == 0:
                assert secret not in memory_of(p["pid"]), p["role"]


def memory_of(pid):
    found = b""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            place, rights = line.split()[:2]
            begin, end = (int(x, 16) for x in place.split("-"))
            if "rw" in rights and end - begin < 64 << 20:
                try:
                    mem.seek(begin)
                    found += mem.read(end - begin)
                except OSError:
                    pass
    return found


def test_listeners_may_have_certificates_of_their_own(directory, authority):
    pop = make_leaf(directory, authority, "pop", "pop.example.com", subject="/CN=pop")
    with House(**{"pop3s/smtpd_tls_cert_file": str(pop[0]), "pop3s/smtpd_tls_key_file": str(pop[1]),
                  "imap/smtpd_tls_chain_files": ""}) as h:
        assert shown(h.ports["pop3s"]) == "pop"
        assert shown(h.ports["pop3"], starttls="pop3") == "mail.example.com"


# ---- versions, ciphers, ALPN -----------------------------------------------------------------


def negotiates(port, starttls=None, ok="Protocol version", *more):
    return ok in s_client(port, *more, starttls=starttls)


def test_R171_versions_and_ciphers_can_be_said_in_postfix_words():
    with House(smtpd_tls_protocols="!SSLv2, !SSLv3", smtpd_tls_mandatory_protocols=">=TLSv1.3",
               smtpd_tls_mandatory_exclude_ciphers="aNULL, MD5", tls_preempt_cipherlist="no",
               smtpd_tls_exclude_ciphers="CHACHA20") as h:
        say = {"smtp": "smtp", "submission": "smtp", "submissions": None, "imaps": None, "imap": "imap"}
        for service, may_12 in [("smtp", True), ("submission", False), ("submissions", False), ("imaps", False),
                                ("imap", True)]:
            port = h.ports[service]
            assert ("TLSv1.3" in s_client(port, "-tls1_3", starttls=say[service])), service
            assert ("Protocol version: TLSv1.2" in s_client(port, "-tls1_2", starttls=say[service])) == may_12, service
            assert "Protocol version" not in s_client(port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0",
                                                      starttls=say[service]), service
        smtp = h.ports["smtp"]
        assert "Ciphersuite: ECDHE-ECDSA-AES256-GCM-SHA384" in s_client(
            smtp, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384", starttls="smtp")
        assert "Protocol version" not in s_client(smtp, "-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305",
                                                  starttls="smtp")
        # of grade medium, for old peers of port 25 alone
        assert "Ciphersuite: ECDHE-ECDSA-AES128-SHA" in s_client(smtp, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA",
                                                                  starttls="smtp")
        # the client's order counts
        for first in ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"]:
            other = {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"} - {first}
            assert f"Ciphersuite: {first}" in s_client(smtp, "-tls1_2", "-cipher", f"{first}:{other.pop()}", starttls="smtp")
        # RSA key exchange, anonymous, null: never
        for weak in ["AES128-SHA", "aNULL", "eNULL"]:
            assert "Protocol version" not in s_client(smtp, "-tls1_2", "-cipher", f"{weak}:@SECLEVEL=0", starttls="smtp")


def test_settings_of_tls_that_are_wrong_are_told_before_they_hold():
    with House() as h:
        for name, value, words in [("smtpd_tls_protocols", "TLSv9", "not known: TLSv9"),
                                   ("smtpd_tls_protocols", "!TLSv1.2 !TLSv1.3", "is left"),
                                   ("tls_high_cipherlist", "NONSENSE", "not as OpenSSL names them"),
                                   ("smtpd_tls_exclude_ciphers", "+ALL", "write names of ciphers"),
                                   ("tls_eecdh_auto_curves", "P-1", "tls_eecdh_auto_curves"),
                                   ("tls_ssl_options", "NO_SUCH", "write NO_TICKET"),
                                   ("smtpd_tls_fingerprint_digest", "md0", "write sha256")]:
            h.write_settings(**{name: value})
            done = h.command("config", "check", check=False)
            assert done.returncode != 0 and words in done.stdout + done.stderr, (name, done)
            h.settings.pop(name)
        # the line of a tutorial of 2015 (only TLSv1) works, and is warned of
        h.write_settings(smtpd_tls_mandatory_protocols="TLSv1")
        done = h.command("config", "check")
        assert "TLS before 1.2 is not spoken any more" in done.stdout + done.stderr


def test_old_ways_to_say_the_level():
    def offers(h):
        with h.smtp() as s:
            s.ehlo("x")
            return s.has_extn("starttls"), s.mail("a@example.org")[0]
    for settings, want in [({}, (True, 250)), ({"smtpd_use_tls": "no"}, (False, 250)),
                           ({"smtpd_use_tls": "yes"}, (True, 250)), ({"smtpd_enforce_tls": "yes"}, (True, 530)),
                           ({"smtpd_enforce_tls": "yes", "smtpd_tls_security_level": "may"}, (True, 250)),
                           ({"smtpd_tls_security_level": "none"}, (False, 250))]:
        with House(**settings) as h:
            assert offers(h) == want, settings


def test_a_client_that_wants_another_protocol_is_refused():
    with House() as h:
        for service, good, starttls in [("imaps", "imap", None), ("pop3s", "pop3", None), ("submissions", "smtp", None),
                                        ("smtp", "smtp", "smtp"), ("imap", "imap", "imap")]:
            port = h.ports[service]
            assert "ALPN protocol: " + good in s_client(port, "-alpn", good, starttls=starttls) or \
                "Protocol version" in s_client(port, "-alpn", good, starttls=starttls), service
            assert "Protocol version" in s_client(port, starttls=starttls)
            assert "Protocol version" not in s_client(port, "-alpn", "http/1.1,h2", starttls=starttls), service
            other = "imap" if good != "imap" else "pop3"
            assert "Protocol version" not in s_client(port, "-alpn", other, starttls=starttls), service


# ---- tickets ---------------------------------------------------------------------------------


def resumed(port, name, session=None, version="-tls1_3"):
    words = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", version, "-ign_eof"]
    words += ["-sess_in", session] if session else []
    words += ["-sess_out", name]
    done = subprocess.run(words, input="a logout\r\n", capture_output=True, text=True, timeout=20)
    return "Reused, " in done.stdout


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_session_is_resumed_by_every_process_and_after_a_restart(directory, version):
    ticket = directory / f"ticket{version}"
    with House(login_processes="2") as h:
        port = h.ports["imaps"]
        assert not resumed(port, ticket, None, version)
        assert all(resumed(port, directory / "unused", ticket, version) for _ in range(8))
        seed = pathlib.Path(h.settings["mail_directory"]) / "run/tickets"
        assert seed.stat().st_mode & 0o777 == 0o600
        h.stop()
        h.start()
        assert resumed(port, directory / "unused", ticket, version)
        # who has no seed begins anew
        h.stop()
        seed.unlink()
        h.start()
        assert not resumed(port, directory / "unused", ticket, version)
        # and what others could have written is not believed
        h.stop()
        keep = seed.read_bytes()
        seed.chmod(0o644)
        h.start()
        assert seed.read_bytes() != keep and seed.stat().st_mode & 0o777 == 0o600


def test_no_ticket_is_given_when_so_set(directory):
    with House(tls_ssl_options="NO_TICKET") as h:
        assert not resumed(h.ports["imaps"], directory / "t", None, "-tls1_2")
        if (directory / "t").exists():
            assert not resumed(h.ports["imaps"], directory / "u", directory / "t", "-tls1_2")


# ---- certificates of clients, the log and Received --------------------------------------------


def client_context(cert=None, key=None, version=None):
    c = context()
    if cert:
        c.load_cert_chain(cert, key)
    if version:
        c.maximum_version = c.minimum_version = version
    return c


def send(port, c, service_log):
    s = smtplib.SMTP("127.0.0.1", port, timeout=20)
    s.starttls(context=c)
    s.ehlo("client.example")
    s.sendmail("a@example.org", ["jill@example.com"], "Subject: x\r\n\r\nx\r\n")
    s.quit()


def smtp_says(port, c, cert=None):
    """EHLO, STARTTLS, EHLO, one letter; what the server said to the second EHLO, or the error."""
    s = smtplib.SMTP("127.0.0.1", port, timeout=20)
    try:
        s.starttls(context=c)
        code = s.ehlo("client.example")[0]
        s.sendmail("a@example.org", ["jill@example.com"], "Subject: x\r\n\r\nx\r\n")
        s.quit()
        return code
    except (OSError, smtplib.SMTPException) as e:
        return str(e)
    finally:
        s.close()


@pytest.fixture(scope="module")
def clients(directory, authority):
    trusted = make_leaf(directory, authority, "client", subject="/O=Example/CN=jack")
    other = make_authority(directory, "other-ca")
    return {"trusted": trusted, "untrusted": make_leaf(directory, other, "stranger", subject="/CN=stranger"), "none": None}


def test_certificates_of_clients_in_the_log_and_in_received(directory, authority, clients):
    with House(smtpd_tls_ask_ccert="yes", smtpd_tls_CAfile=str(authority[0]), smtpd_tls_loglevel="2",
               dns_resolver="none") as h:
        h.command("domain", "add", "example.com")
        h.command("account", "add", "jill@example.com", "--password-file", "-", input="way-station\n")
        for who, trust, comment in [
                ("trusted", "Trusted", '(Client CN "jack", Issuer "Test ca" (verified OK))'),
                ("untrusted", "Untrusted", '(Client CN "stranger", Issuer "Test other-ca" (not verified))'),
                ("none", "Anonymous", "(Client did not present a certificate)")]:
            before = len(h.text())
            assert smtp_says(h.ports["smtp"], client_context(*(clients[who] or []))) == 250, who
            wait_for(lambda: f"{trust} TLS connection established from localhost[127.0.0.1]: TLSv1.3 with cipher" in
                     h.text()[before:])
            log = h.text()[before:]
            if who != "none":
                fingerprint = subprocess.run(["openssl", "x509", "-in", clients[who][0], "-noout", "-fingerprint", "-sha256"],
                                             capture_output=True, text=True).stdout.split("=")[1].strip()
                assert f"fingerprint={fingerprint}" in log
                assert " client-signature ECDSA (prime256v1) client-digest SHA256" in log
            if who == "untrusted":
                assert "certificate verification failed for localhost[127.0.0.1]: " in log
            box = wait_for(lambda: received(h, comment))
            assert "key-exchange X25519 server-signature ECDSA (prime256v1) server-digest SHA256" in box


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_ticket_brings_no_trust_to_where_others_are_trusted(directory, authority, clients, version):
    """Nor does it stay trusted when the authority is not any more."""
    other = directory / "other-ca.pem"
    name = directory / f"trust{version}"
    with House(smtpd_tls_ask_ccert="yes", smtpd_tls_CAfile=str(other), **{"submissions/smtpd_tls_req_ccert": "yes", "submissions/smtpd_tls_CAfile": str(authority[0])}) as h:
        def shake(service, *more):
            before = len(said())
            s_client(h.ports[service], version, "-ign_eof", "-cert", clients["untrusted"][0], "-key", clients["untrusted"][1], *more,
                     starttls="smtp" if service == "smtp" else None)
            return wait_for(lambda: len(said()) > before and said()[-1])

        def said():
            return re.findall(r"(\w+ TLS connection \w+) from", h.text())
        assert shake("smtp", "-sess_out", name) == "Trusted TLS connection established"
        assert shake("smtp", "-sess_in", name) == "Trusted TLS connection reused"
        assert shake("submissions", "-sess_in", name) == "Untrusted TLS connection established"
        h.write_settings(smtpd_tls_CAfile=str(authority[0]))
        h.command("reload")
        assert shake("smtp", "-sess_in", name) == "Untrusted TLS connection established"


def received(h, comment):
    import imaplib
    b = imaplib.IMAP4_SSL("127.0.0.1", h.ports["imaps"], ssl_context=context(), timeout=20)
    b.login("jill@example.com", "way-station")
    b.select("INBOX")
    n = b.search(None, "ALL")[1][0].split()
    heads = [b.fetch(i, "(BODY[HEADER.FIELDS (RECEIVED)])")[1][0][1].decode() for i in n]
    b.logout()
    for head in heads:
        if comment in head:
            return " ".join(head.split())
    return None


def test_a_certificate_can_be_demanded(directory, authority, clients):
    path = directory / "capath"
    path.mkdir(exist_ok=True)
    shutil.copy(authority[0], path / "one.pem")
    with House(**{"submission/smtpd_tls_req_ccert": "yes", "submission/smtpd_tls_CApath": str(path),
                  "submission/smtpd_sasl_auth_required": "no", "smtpd_tls_received_header": "no"}) as h:
        port = h.ports["submission"]
        s = smtplib.SMTP("127.0.0.1", port, timeout=20)
        s.starttls(context=client_context(*clients["trusted"]))
        assert s.ehlo("x")[0] == 250
        s.quit()
        assert smtp_says(port, client_context(*clients["untrusted"])) != 250
        wait_for(lambda: "NOQUEUE: abort: TLS from localhost[127.0.0.1]: Client certificate not trusted" in h.text())
        assert smtp_says(port, client_context()) != 250
        wait_for(lambda: "peer did not return a certificate" in h.text())


def test_loglevel_0_is_silent():
    with House(smtpd_tls_loglevel="0") as h:
        s = smtplib.SMTP("127.0.0.1", h.ports["smtp"], timeout=20)
        s.starttls(context=context())
        s.quit()
        wait_for(lambda: "disconnect from" in h.text())
        assert "TLS connection" not in h.text()


class Recorded:
    """A client that knows what went over the wire."""

    def __init__(self, port, version):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.port = self.socket.getsockname()[1]
        self.went, self.came = b"", b""
        for line in (b"", b"EHLO c.example\r\n", b"STARTTLS\r\n"):
            self.socket.sendall(line)
            while not re.search(rb"(^|\n)\d\d\d [^\n]*\n$", self.socket.recv(65536)):
                pass
        c = context()
        c.minimum_version = c.maximum_version = version
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = c.wrap_bio(self.into, self.out, server_hostname="mail.example.com")
        self.until(self.tls.do_handshake)

    def until(self, step):
        while True:
            over, done = True, None
            try:
                done = step()
            except ssl.SSLWantReadError:
                over = False
            piece = self.out.read()
            self.went += piece
            self.socket.sendall(piece)
            if over:
                return done
            got = self.socket.recv(65536)
            self.came += got
            self.into.write(got)

    def say(self, line):
        self.until(lambda: self.tls.write(line))
        return self.until(lambda: self.tls.read(65536))


def dumped(text, port, which):
    """The bytes of one direction, out of the rows of the log."""
    found, mine = b"", False
    for line in re.findall(rf"TLS: 127\.0\.0\.1:{port}: (.*)", text):
        if " bytes " in line:
            mine = line.endswith(which)
        elif mine and (row := re.match(r"[\da-f]{4,}((?: [\da-f]{2}){1,16})  ", line)):
            found += bytes.fromhex(row.group(1))
    return found


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("level", ["3", "4"])
def test_loglevels_3_and_4_tell_the_bytes_on_the_wire(level, version):
    with House(smtpd_tls_loglevel=level) as h:
        c = Recorded(h.ports["smtp"], version)
        shaken = c.went
        assert b"250" in c.say(b"EHLO secret.example\r\n") and b"221" in c.say(b"QUIT\r\n")
        wait_for(lambda: "disconnect from" in h.text())
        came, went = dumped(h.text(), c.port, "came"), dumped(h.text(), c.port, "went")
        if level == "3":
            assert came == shaken and c.came.startswith(went) and len(shaken) < len(c.went) and 500 < len(went) < len(c.came)
        else:
            assert came.startswith(c.went) and went.startswith(c.came)
        assert "secret.example" not in "".join(line for line in h.text().splitlines() if "TLS: " in line)
        c.socket.close()


# ---- Debian's Postfix as the oracle ---------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("postfix") or os.geteuid() != 0, reason="no Postfix here")
@pytest.mark.parametrize("what", ["-tls1_3", "-tls1_2", "-tls1_3 -groups P-256"])
@pytest.mark.parametrize("who", ["trusted", "untrusted", "none"])
def test_the_line_of_the_log_is_that_of_postfix(directory, authority, clients, what, who):
    ours, theirs = [], []
    rsa = make_leaf(directory, authority, "beside", "mail.example.com", rsa=True)
    more = what.split()
    if clients[who]:
        more += ["-cert", clients[who][0], "-key", clients[who][1]]
    with House(smtpd_tls_cert_file=str(rsa[0]), smtpd_tls_key_file=str(rsa[1]), smtpd_tls_ask_ccert="yes",
               smtpd_tls_CAfile=str(authority[0]), tls_preempt_cipherlist="no", dns_resolver="none") as h:
        s_client(h.ports["smtp"], *more, starttls="smtp")
        ours = wait_for(lambda: re.findall(r"(\w+ TLS connection .*)", h.text()))
    with smtpd_of_postfix(directory, rsa, authority) as (port, log):
        s_client(port, *more, starttls="smtp")
        theirs = wait_for(lambda: re.findall(r"(\w+ TLS connection .*)", log.read_text() if log.exists() else ""))
    assert re.sub(r"localhost|unknown", "X", ours[0]) == re.sub(r"localhost|unknown", "X", theirs[0])


class smtpd_of_postfix:
    """Postfix's smtpd of this machine with a configuration, a queue and a log of its own."""

    def __init__(self, directory, pair, authority):
        from house import free_ports
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mansio-postfix-"))
        self.dir.chmod(0o755)
        self.port = free_ports(1)[0]
        self.log = self.dir / "log"
        etc = self.dir / "etc"
        etc.mkdir()
        for d in ["queue", "data"]:
            (self.dir / d).mkdir()
        shutil.chown(self.dir / "data", "postfix")
        cert, key = self.dir / "cert", self.dir / "key"
        shutil.copy(pair[0], cert)
        shutil.copy(pair[1], key)
        ca = self.dir / "ca"
        shutil.copy(authority[0], ca)
        (etc / "main.cf").write_text(f"""compatibility_level = 3.6
myhostname = mail.example.com
queue_directory = {self.dir}/queue
data_directory = {self.dir}/data
maillog_file = {self.log}
maillog_file_prefixes = /tmp
inet_interfaces = 127.0.0.1
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtpd_tls_ask_ccert = yes
smtpd_tls_CAfile = {ca}
smtpd_tls_loglevel = 1
smtpd_tls_mandatory_ciphers = high
tlsproxy_tls_loglevel = 1
""")
        (etc / "master.cf").write_text(f"127.0.0.1:{self.port} inet n - n - - smtpd\n"
                                       "postlog unix-dgram n - n - 1 postlogd\nanvil unix - - n - 1 anvil\n"
                                       "tlsmgr unix - - n 1000? 1 tlsmgr\nproxymap unix - - n - - proxymap\n"
                                       "rewrite unix - - n - - trivial-rewrite\ncleanup unix n - n - 0 cleanup\n"
                                       "pickup unix n - n 60 1 pickup\nqmgr unix n - n 300 1 qmgr\n")
        self.etc = etc

    def __enter__(self):
        subprocess.run(["postfix", "-c", self.etc, "start"], check=True, capture_output=True, timeout=60)

        def up():
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                return False
        wait_for(up)
        return self.port, self.log

    def __exit__(self, *_):
        subprocess.run(["postfix", "-c", self.etc, "stop"], capture_output=True, timeout=60)
        shutil.rmtree(self.dir, ignore_errors=True)


def test_rules_know_a_client_by_its_certificate(directory, authority, clients):
    def fingerprint(who, digest):
        return subprocess.run(["openssl", "x509", "-in", clients[who][0], "-noout", "-fingerprint", f"-{digest}"],
                              capture_output=True, text=True).stdout.split("=")[1].strip()
    known = directory / "relay_clientcerts"
    known.write_text(fingerprint("untrusted", "sha1") + " by its fingerprint\n")
    with House(smtpd_tls_ask_ccert="yes", smtpd_tls_CAfile=str(authority[0]), smtpd_tls_fingerprint_digest="sha1",
               relay_clientcerts=f"hash:{known}", dns_resolver="none", smtpd_tls_auth_only="yes",
               smtpd_relay_restrictions="permit_tls_clientcerts, reject_unauth_destination") as h:
        def relays(who):
            s = smtplib.SMTP("127.0.0.1", h.ports["smtp"], timeout=20)
            s.starttls(context=client_context(*(clients[who] or [])))
            s.ehlo("client.example")
            s.mail("a@example.org")
            code = s.rcpt("x@example.net")[0]
            s.quit()
            return code
        assert relays("untrusted") == 250
        assert relays("trusted") == 554
        assert relays("none") == 554
        h.write_settings(smtpd_relay_restrictions="permit_tls_all_clientcerts, reject_unauth_destination", relay_clientcerts=None)
        h.command("reload")
        h.at_work()
        assert [relays(who) for who in ("trusted", "untrusted", "none")] == [250, 554, 554]


def test_check_ccert_access_knows_the_certificate_and_its_key(directory, authority, clients):
    """By fingerprint of the certificate, by fingerprint of the public key, as openssl tells them; a certificate that is in neither,
    and none at all, are nothing to it."""
    def of_key(who):
        public = subprocess.run(["openssl", "x509", "-in", clients[who][0], "-noout", "-pubkey"], capture_output=True, check=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public, capture_output=True, check=True).stdout
        return ":".join(f"{byte:02X}" for byte in hashlib.sha256(der).digest())
    of_certificate = subprocess.run(["openssl", "x509", "-in", clients["untrusted"][0], "-noout", "-fingerprint", "-sha256"],
                                    capture_output=True, text=True).stdout.split("=")[1].strip()
    table = directory / "ccert_access"
    table.write_text(f"{of_key('trusted')} REJECT known by its key\n{of_certificate} REJECT known by its certificate\n")
    with House(smtpd_tls_ask_ccert="yes", smtpd_tls_CAfile=str(authority[0]), smtpd_tls_fingerprint_digest="sha256", dns_resolver="none",
               smtpd_recipient_restrictions=f"check_ccert_access hash:{table}, reject_unauth_destination") as h:
        h.command("domain", "add", "example.com")
        h.command("account", "add", "jill@example.com", "--password-file", "-", input="way-station\n")

        def said(who):
            s = smtplib.SMTP("127.0.0.1", h.ports["smtp"], timeout=20)
            s.starttls(context=client_context(*(clients[who] or [])))
            s.ehlo("client.example")
            s.mail("a@example.org")
            code, text = s.rcpt("jill@example.com")
            s.quit()
            return code, text.decode()
        assert said("trusted")[0] == 554 and "known by its key" in said("trusted")[1]
        assert said("untrusted")[0] == 554 and "known by its certificate" in said("untrusted")[1]
        assert said("none")[0] == 250
