# SPDX-License-Identifier: ISC
"""R369: mail programs find this server by themselves.  Asked by curl, read by libxml2 and by Thunderbird's own wizard; whatever is told
is tried: each server it names takes a login with exactly these settings."""

import base64
import imaplib
import os
import poplib
import re
import resource
import secrets
import shutil
import smtplib
import socket
import ssl
import subprocess
import xml.etree.ElementTree as ET

import pytest

from house import BINARY, House, wait_for
from kit import letter, word
from ports import free_ports
from test_tls import make_authority, make_leaf

HOST, DOMAIN, OTHER, USER, SECRET = "mail.example.com", "example.com", "example.net", "jill@example.com", "a secret of hers"
FILE, KNOWN = "/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"
OUTLOOK = "/autodiscover/autodiscover.xml"
POX = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"


class Office:
    """A house with the door open, a certificate for its name, one for autoconfig.example.com, and two people."""

    def __init__(self, directory, **settings):
        self.directory = directory
        self.http, self.https = free_ports(2)
        self.ca = make_authority(directory)
        self.leaf = make_leaf(directory, self.ca, "mail", HOST)
        place = directory / "more"
        place.mkdir(exist_ok=True)
        cert, key = make_leaf(directory, self.ca, "auto", f"autoconfig.{DOMAIN}", f"autodiscover.{DOMAIN}")
        shutil.copy(cert, place / "fullchain.pem")
        shutil.copy(key, place / "privkey.pem")
        directory.chmod(0o755)
        self.house = House(**{"autoconfig": "yes", "autoconfig_http_listen": f"127.0.0.1:{self.http}",
                              "autoconfig_https_listen": f"127.0.0.1:{self.https}", "smtpd_tls_cert_file": self.leaf[0],
                              "smtpd_tls_key_file": self.leaf[1], "tls_certificate_directories": place, **settings})

    def __enter__(self):
        self.house.__enter__()
        for domain in (DOMAIN, OTHER):
            self.house.command("domain", "add", domain)
        self.house.command("account", "add", USER, input=SECRET + "\n")
        self.house.at_work()
        return self

    def __exit__(self, *what):
        self.house.__exit__(*what)

    def reload(self, **settings):
        self.house.write_settings(**settings)
        self.house.command("reload")

    def curl(self, url, *more, input=None):
        """Status, fields in small letters, body: as a real client sees them, whatever names lead to."""
        done = subprocess.run(["curl", "-sS", "-i", "--max-time", "20", "--cacert", self.ca[0], "--connect-to", f"::127.0.0.1:{self.https if url.startswith('https') else self.http}",
                               *more, url], capture_output=True, input=input)
        assert done.returncode == 0, done.stderr.decode()
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 100"):
            head, _, body = body.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        return int(lines[0].split()[1]), {n.lower(): v.strip() for n, v in (line.split(":", 1) for line in lines[1:])}, body

    def context(self):
        return ssl.create_default_context(cafile=str(self.ca[0]))


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    with Office(tmp_path_factory.mktemp("office")) as o:
        yield o


def lint(text):
    done = subprocess.run(["xmllint", "--noout", "--nonet", "-"], input=text, capture_output=True)
    assert done.returncode == 0 and not done.stderr, done.stderr.decode()
    return ET.fromstring(text)


def servers(text):
    """Of a config-v1.1.xml: kind, host, port, how TLS begins, name, ways."""
    root = lint(text)
    assert root.tag == "clientConfig" and root.get("version") == "1.1"
    return [(s.get("type"), s.findtext("hostname"), int(s.findtext("port")), s.findtext("socketType"), s.findtext("username"),
             [a.text for a in s.findall("authentication")]) for s in root.find("emailProvider") if s.tag in ("incomingServer", "outgoingServer")]


class Nearby:
    """Connections go to this machine, whatever they ask for; the name in the certificate is the one that was told."""

    def _create_socket(self, timeout):
        return self.ssl_context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout), server_hostname=self.host)


class Imaps(Nearby, imaplib.IMAP4_SSL):
    pass


class Imap(imaplib.IMAP4):
    def _create_socket(self, timeout):
        return socket.create_connection(("127.0.0.1", self.port), timeout)


class Pop(poplib.POP3):
    def _create_socket(self, timeout):
        return socket.create_connection(("127.0.0.1", self.port), timeout)


class Pops(poplib.POP3_SSL):
    def _create_socket(self, timeout):
        return self.context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout), server_hostname=self.host)


class Smtp(smtplib.SMTP):
    def _get_socket(self, host, port, timeout):
        return socket.create_connection(("127.0.0.1", port), timeout)


class Smtps(smtplib.SMTP_SSL):
    def _get_socket(self, host, port, timeout):
        return self.context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout), server_hostname=host)


def log_in(kind, host, port, begin, user, context):
    """As it was told, with the certificate looked at; true when it lets in."""
    if kind == "imap":
        box = Imaps(host, port, ssl_context=context, timeout=20) if begin == "SSL" else Imap(host, port, timeout=20)
        if begin != "SSL":
            box.starttls(context)
        good = box.login(user, SECRET)[0] == "OK"
        box.logout()
    elif kind == "pop3":
        box = Pops(host, port, context=context, timeout=20) if begin == "SSL" else Pop(host, port, timeout=20)
        if begin != "SSL":
            box.stls(context)
        box.user(user)
        good = box.pass_(SECRET).startswith(b"+OK")
        box.quit()
    else:
        box = Smtps(host, port, context=context, timeout=20) if begin == "SSL" else Smtp(host, port, timeout=20)
        if begin != "SSL":
            box.starttls(context=context)
        good = box.login(user, SECRET)[0] == 235
        box.quit()
    return good


URLS = [f"http://autoconfig.{DOMAIN}{FILE}?emailaddress=jill%40{DOMAIN}", f"http://{DOMAIN}{KNOWN}?emailaddress=jill%40{DOMAIN}",
        f"http://autoconfig.{DOMAIN}{FILE}", f"http://{DOMAIN}{KNOWN}", f"https://autoconfig.{DOMAIN}{FILE}?emailaddress=jill%40{DOMAIN}",
        f"http://anything.example{FILE}?emailaddress=jill%40{DOMAIN}", f"http://AUTOCONFIG.Example.COM{FILE}"]


@pytest.mark.parametrize("url", URLS)
def test_R369_the_same_is_told_wherever_programs_ask(office, url):
    status, fields, body = office.curl(url)
    assert status == 200 and fields["content-type"].startswith("text/xml")
    assert lint(body).findtext("emailProvider/domain") == DOMAIN
    assert body.decode() == office.house.command("domain", "client-settings", DOMAIN, "--xml").stdout
    status, again, none = office.curl(url, "--head")
    assert status == 200 and none == b"" and again["content-length"] == str(len(body)) and "date" in again


def test_R369_each_server_that_is_named_takes_a_login_with_these_settings(office):
    told = servers(office.curl(URLS[0])[2])
    p = office.house.ports
    assert [(kind, port, begin) for kind, _, port, begin, _, _ in told] == [
        ("imap", p["imaps"], "SSL"), ("imap", p["imap"], "STARTTLS"), ("pop3", p["pop3s"], "SSL"), ("pop3", p["pop3"], "STARTTLS"),
        ("smtp", p["submissions"], "SSL"), ("smtp", p["submission"], "STARTTLS")]
    for kind, host, port, begin, user, ways in told:
        assert (host, user, ways) == (HOST, "%EMAILADDRESS%", ["password-cleartext"])
        assert log_in(kind, host, port, begin, user.replace("%EMAILADDRESS%", USER), office.context()), (kind, port)


def test_R369_Outlook_is_told_too_and_its_servers_take_a_login(office):
    ask = (f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request>'
           f"<EMailAddress>{USER}</EMailAddress><AcceptableResponseSchema>{POX}</AcceptableResponseSchema></Request></Autodiscover>").encode()
    for url, more in [(f"https://autodiscover.{DOMAIN}{OUTLOOK}", []), (f"https://autodiscover.{DOMAIN}/Autodiscover/Autodiscover.xml", ["-H", "Expect: 100-continue"]),
                      (f"http://autodiscover.{DOMAIN}{OUTLOOK}", [])]:
        status, fields, body = office.curl(url, "-H", "Content-Type: text/xml", "--data-binary", "@-", *more, input=ask)
        assert status == 200 and body.decode() == office.house.command("domain", "client-settings", DOMAIN, "--outlook", USER).stdout
        found = lint(body).findall(f".//{{{POX}}}Protocol")
        assert [p.findtext(f"{{{POX}}}Type") for p in found] == ["IMAP", "POP3", "SMTP"]
        for p in found:
            of = {e.tag.split("}")[1]: e.text for e in p}
            assert of["SSL"] == "on" and of["Encryption"] == "SSL" and of["LoginName"] == USER
            assert log_in(of["Type"].lower(), of["Server"], int(of["Port"]), "SSL", of["LoginName"], office.context())
    status, fields, _ = office.curl(f"http://autodiscover.{DOMAIN}{OUTLOOK}")
    assert (status, fields["location"]) == (302, f"https://{HOST}{OUTLOOK}")
    assert office.curl(f"https://autodiscover.{DOMAIN}{OUTLOOK}")[0] == 405


def test_R369_nobody_learns_who_is_there_and_other_domains_are_not_ours(office):
    real, nobody = (office.curl(f"http://autoconfig.{DOMAIN}{FILE}?emailaddress={u}%40{DOMAIN}")[2] for u in ("jill", "nobody-at-all"))
    assert real == nobody
    assert lint(office.curl(f"http://autoconfig.{OTHER}{FILE}")[2]).findtext("emailProvider/domain") == OTHER
    for url in (f"http://autoconfig.example.org{FILE}", f"http://autoconfig.{DOMAIN}{FILE}?emailaddress=a%40example.org", f"http://127.0.0.1{FILE}",
                f"http://autoconfig.sub.{DOMAIN}{FILE}"):
        assert office.curl(url)[0] == 404, url


@pytest.mark.parametrize("path, more, status", [
    ("/", [], 404), ("/index.html", [], 404), ("/mail/", [], 404), ("/mail/../mail/config-v1.1.xml", ["--path-as-is"], 404),
    ("/../../../../etc/passwd", ["--path-as-is"], 404), ("/mail/%2e%2e/main.cf", ["--path-as-is"], 404), ("/mail//config-v1.1.xml", ["--path-as-is"], 404),
    (FILE, ["-X", "DELETE"], 405), (FILE, ["-X", "OPTIONS"], 405), (FILE, ["--data", "x=1"], 405), (FILE, ["-H", "Transfer-Encoding: chunked"], 501),
    (FILE, ["-H", "X: " + "a" * 9000], 431), (FILE + "?" + "a" * 9000, [], 414), (OUTLOOK, ["--data", "<x/>"], 400), (OUTLOOK, ["--data", "a" * 9000], 413),
    ("/.well-known/acme-challenge/x", [], 404),
])
def test_R369_there_is_nothing_else_behind_the_door(office, path, more, status):
    assert office.curl(f"http://autoconfig.{DOMAIN}{path}", *more)[0] == status
    assert office.curl(URLS[0])[0] == 200


def said(port, data, patience=20):
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as s:
        s.settimeout(patience)
        s.sendall(data)
        got = b""
        try:
            while more := s.recv(65536):
                got += more
        except ConnectionResetError:
            pass
        return got


def test_what_is_no_request_is_sent_away_and_who_says_nothing_too(office):
    for text in (b"\x16\x03\x01\x00\xa5\x01", b"EHLO me\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                 b"GET / HTTP/1.1\nHost: a\n\n\r\n\r\n"):
        assert re.match(rb"HTTP/1\.1 (400|405|505) ", said(office.http, text)), text
    # A line that never ends has the time of one connection, whatever comes in it, and others do not wait.
    slow = socket.create_connection(("127.0.0.1", office.http), timeout=30)
    slow.sendall(b"GET / HTTP/1.1\r\nX: ")
    assert office.curl(URLS[0])[0] == 200
    slow.settimeout(30)
    assert slow.recv(1) == b""
    slow.close()


def test_many_who_wait_do_not_keep_others_away(office):
    idle = []
    try:
        for _ in range(80):                     # more than one address may have; the others are sent away
            idle.append(socket.create_connection(("127.0.0.1", office.http), timeout=20))
        with socket.create_connection(("127.0.0.1", office.http), timeout=20, source_address=("127.0.0.2", 0)) as s:
            s.settimeout(20)
            s.sendall(f"GET {FILE} HTTP/1.1\r\nHost: autoconfig.{DOMAIN}\r\n\r\n".encode())
            assert s.recv(12) == b"HTTP/1.1 200"
    finally:
        for s in idle:
            s.close()
    wait_for(lambda: attempt(lambda: office.curl(URLS[0])[0] == 200))


def test_many_who_have_their_answer_and_stay_do_not_keep_others_away(office):
    """The kernel is left a moment for the last words of each (channel/stream.h); meanwhile as many may come as to any other door."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    held = []
    try:
        for _ in range(1200):
            held.append(socket.create_connection(("127.0.0.1", office.http), timeout=20))
            held[-1].sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert held[-1].recv(12) == b"HTTP/1.1 404"
        assert office.curl(URLS[0])[0] == 200
    finally:
        for s in held:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert office.house.count("cannot accept connections") == 0


def attempt(what):
    try:
        return what()
    except (OSError, AssertionError):
        return None


def test_the_guide_has_no_file_no_mail_and_no_key(office):
    guide = next(p for p in office.house.status() if p["role"] == "guide")
    assert guide["state"] == "working"
    if os.geteuid() == 0:
        pid = guide["pid"]
        assert os.stat(f"/proc/{pid}").st_uid != 0
        text = open(f"/proc/{pid}/status").read()
        assert "Seccomp:\t2" in text and "NoNewPrivs:\t1" in text and re.search(r"CapEff:\t0+\n", text)
        assert os.listdir(f"/proc/{pid}/root/") == [] or "store" not in os.listdir(f"/proc/{pid}/root/")
    clerk = next(p for p in office.house.status() if p["role"] == "clerk")
    os.kill(clerk["pid"], 9)
    wait_for(lambda: attempt(lambda: office.curl(URLS[0])[0] == 200))
    os.kill(guide["pid"], 9)
    wait_for(lambda: attempt(lambda: office.curl(URLS[0])[0] == 200))


@pytest.mark.parametrize("changes, gone", [
    ({"protocols": "imap lmtp"}, {"pop3", "pop3s"}),
    ({"imap/ssl": "no"}, {"imap"}),
    ({"listen_imap": "", "listen_pop3": ""}, {"imap", "pop3"}),
    ({"listen_submission": ""}, {"submission"}),
    ({"submission/smtpd_tls_security_level": "none"}, {"submission"}),
    ({"submissions/smtpd_sasl_auth_enable": "no", "submissions/smtpd_sasl_auth_required": "no"}, {"submissions"}),
])
def test_R369_what_is_told_follows_the_listeners(tmp_path, changes, gone):
    with Office(tmp_path) as o:
        all_of = {p for _, _, p, _, _, _ in servers(o.curl(URLS[0])[2])}
        assert all_of == {o.house.ports[s] for s in ("imap", "imaps", "pop3", "pop3s", "submission", "submissions")}
        o.reload(**changes)
        told = {p for _, _, p, _, _, _ in servers(o.curl(URLS[0])[2])}
        assert all_of - told == {o.house.ports[s] for s in gone}


def test_R369_the_host_is_one_that_the_certificate_has(tmp_path):
    with Office(tmp_path) as o:
        cert, key = make_leaf(tmp_path, o.ca, "other", "imap.hoster.example", "smtp.hoster.example")
        o.reload(smtpd_tls_cert_file=cert, smtpd_tls_key_file=key)
        assert {h for _, h, *_ in servers(o.curl(URLS[0])[2])} == {"imap.hoster.example"}
        assert "no certificate has the name mail.example.com (myhostname), so mail programs are told imap.hoster.example" in o.house.text()
        assert o.curl(URLS[0])[2].decode() == o.house.command("domain", "client-settings", DOMAIN, "--xml").stdout
        kind, host, port, begin, user, _ = servers(o.curl(URLS[0])[2])[0]
        assert log_in(kind, host, port, begin, USER, o.context())
        o.reload(autoconfig_host="mx.hoster.example")
        assert {h for _, h, *_ in servers(o.curl(URLS[0])[2])} == {"mx.hoster.example"}
        words = o.house.command("domain", "client-settings", DOMAIN).stdout
        assert f"mx.hoster.example   port {o.house.ports['imaps']}" in words and "autoconfig = yes" in words
        o.reload(smtpd_tls_cert_file="", smtpd_tls_key_file="", tls_certificate_directories="")
        assert o.curl(f"http://autoconfig.{DOMAIN}{FILE}")[0] == 404          # nobody is told to send a password in clear
        assert "has TLS" in o.house.command("domain", "client-settings", DOMAIN, check=False).stderr


def test_R369_by_token_where_tokens_are_taken(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text('{"keys": []}')
    keys.chmod(0o644)
    with Office(tmp_path, oauth_jwks_file=keys, oauth_issuer="https://issuer.example", oauth_audience="any",
                sasl_mechanisms="PLAIN LOGIN OAUTHBEARER XOAUTH2") as o:
        assert {tuple(ways) for *_, ways in servers(o.curl(URLS[0])[2])} == {("password-cleartext", "OAuth2")}


def test_a_port_that_another_has_is_warned_of_and_mail_goes_on(tmp_path):
    o = Office(tmp_path)
    with socket.create_server(("127.0.0.1", o.http)):
        with o:
            assert re.search(rf"warning: .*127\.0\.0\.1:{o.http}.*: nobody is listened to there", o.house.said())     # there is no log yet
            assert "warning: autoconfig_http_listen: there is not all of it to be had" in o.house.text() and "https_listen: there" not in o.house.text()
            assert o.curl(URLS[4])[0] == 200
            o.house.smtp().noop()
    (tmp_path / "again").mkdir()
    with Office(tmp_path / "again") as again:
        assert again.curl(URLS[0])[0] == 200
        again.reload(autoconfig="no")
        wait_for(lambda: attempt(lambda: socket.create_connection(("127.0.0.1", again.http), timeout=5).close() or True) is None)
        assert all(p["role"] != "guide" or p["state"] != "working" for p in again.house.status())
        again.reload(autoconfig="yes")
        wait_for(lambda: attempt(lambda: again.curl(URLS[0])[0] == 200))


@pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed")
def test_R369_the_answers_to_challenges_have_the_same_port(tmp_path):
    """http-01 and autoconfig are both asked for at port 80: the guide hands the former on."""
    from test_acme import SLOW, Pebble, kept
    with Pebble() as pebble:
        more = pebble.settings(tls_acme_names=f"{HOST}, autoconfig.{DOMAIN}")
        for taken in ("smtpd_tls_cert_file", "smtpd_tls_key_file"):
            more.pop(taken)
        o = Office(tmp_path, **more)
        o.http = pebble.http
        o.house.write_settings(autoconfig_http_listen=f"127.0.0.1:{pebble.http}")
        with o:
            assert o.curl(URLS[0])[0] == 200
            wait_for(lambda: kept(o.house, HOST), SLOW)
            assert o.curl(URLS[0])[0] == 200
            assert f"a new certificate of {HOST} by" in o.house.text()
            # Without the one the other has the socket for itself, and back.
            o.reload(autoconfig="no")
            o.reload(autoconfig="yes")
            wait_for(lambda: attempt(lambda: o.curl(URLS[0])[0] == 200))


def test_what_is_wrong_with_its_settings_is_said(tmp_path):
    with Office(tmp_path) as o:
        for setting, value, says in [("autoconfig_host", "mail", "write a whole name"), ("autoconfig_http_listen", "80", "write ADDRESS:PORT"),
                                     ("autoconfig_https_listen", "*", "write ADDRESS:PORT"), ("autoconfig", "perhaps", "yes or no")]:
            before = o.house.settings.get(setting)
            o.house.write_settings(**{setting: value})
            done = o.house.command("config", "check", check=False)
            assert done.returncode != 0 and setting in done.stderr + done.stdout, done
            assert says in done.stderr + done.stdout, done
            o.house.write_settings(**{setting: before})
        o.house.write_settings(tls_acme_names=HOST, tls_acme_agree="yes", tls_acme_challenge="tls-alpn-01", tls_acme_tls_listen=f"127.0.0.1:{o.https}")
        done = o.house.command("config", "check", check=False)
        assert "the certifier listens there (tls_acme_tls_listen)" in done.stderr + done.stdout


@pytest.mark.parametrize("why, settings, ports", [
    ("all that is usual", {}, [993, 143, 995, 110, 465, 587]),
    ("one of this machine alone is for its webmail", {"listen_imap": "127.0.0.1:143 [::1]:143", "listen_pop3": "127.0.0.1:110"}, [993, 995, 465, 587]),
    ("the first that others can come to", {"listen_imaps": "127.0.0.1:9993 192.0.2.1:9994 [2001:db8::1]:9995"}, [9994, 143, 995, 110, 465, 587]),
    ("a socket of the machine is none", {"listen_submission": "unix:/run/x.sock", "listen_submissions": "unix:/run/y.sock *:4650"}, [993, 143, 995, 110, 4650]),
    ("where all is of this machine alone, programs are there too", {f"listen_{s}": f"127.0.0.1:{p}" for s, p in
     [("imap", 143), ("imaps", 993), ("pop3", 110), ("pop3s", 995), ("submission", 587), ("submissions", 465)]}, [993, 143, 995, 110, 465, 587]),
    ("TLS for none of them", {"ssl": "no", "protocols": "imap", "listen_imaps": ""}, [465, 587]),
    ("no way to log in that programs know", {"sasl_mechanisms": "SCRAM-SHA-256", "smtpd_sasl_mechanism_list": "PLAIN"}, [465, 587]),
])
def test_R369_who_has_a_web_server_gets_the_file_without_ours(tmp_path, why, settings, ports):
    authority = make_authority(tmp_path)
    cert, key = make_leaf(tmp_path, authority, "mail", HOST)
    config = tmp_path / "main.cf"
    config.write_text("".join(f"{n} = {v}\n" for n, v in {"myhostname": HOST, "mail_directory": tmp_path / "mail", "smtpd_tls_cert_file": cert,
                                                        "smtpd_tls_key_file": key, **settings}.items()))
    done = subprocess.run([BINARY, "-c", config, "domain", "client-settings", "例子.公司", "--xml"], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert [port for _, _, port, *_ in servers(done.stdout)] == ports, why
    assert lint(done.stdout).findtext("emailProvider/domain") == "xn--fsqu00a.xn--55qx5d"
    words = subprocess.run([BINARY, "-c", config, "domain", "client-settings", DOMAIN, "--host", "imap.example.com"], capture_output=True, text=True).stdout
    assert all(f"imap.example.com   port {p:<5}" in words for p in ports) and "With autoconfig = yes" in words


# ---- Thunderbird's own wizard, with real names and ports ---------------------------------------------------------------

WIZARD = r"""
const [text, user, password] = arguments; const done = arguments[arguments.length - 1];
const of = name => ChromeUtils.importESModule("resource:///modules/accountcreation/" + name + ".sys.mjs")[name];
(async () => {
  Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(text, "C,C,C");
  const control = new AbortController();
  const search = of("FindConfig").parallelAutoDiscovery(user.split("@")[1], user, control.signal, password);
  const found = await search.next();
  if (!found.done) return done({ why: "it asks whether to go elsewhere", found: found.value });
  if (!found.value) return done({ why: "nothing is found" });
  const config = found.value;
  const said = s => [s.type, s.hostname, s.port, s.socketType, s.auth];
  const told = { source: config.subSource, incoming: [config.incoming, ...config.incomingAlternatives].map(said), outgoing: [config.outgoing, ...config.outgoingAlternatives].map(said) };
  of("AccountConfig").replaceVariables(config, "Jill", user, password);
  const { ConfigVerifier } = ChromeUtils.importESModule("resource:///modules/accountcreation/ConfigVerifier.sys.mjs");
  const good = await new ConfigVerifier(null, control.signal).verifyConfig(config, false);
  good.rememberPassword = true;
  const account = await of("CreateInBackend").createAccountInBackend(good);
  done({ ...told, user: account.incomingServer.username, mail: account.defaultIdentity.email });
})().catch(e => done({ why: "" + e + (e.stack || "") }));
"""


def near_address():
    """One of this machine's own, where ports 25 to 995 and 80 are free."""
    for _ in range(20):
        address = f"127.{secrets.randbelow(200) + 50}.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}"
        sockets = []
        try:
            for port in (80, 443, 143, 993, 110, 995, 465, 587):
                sockets.append(socket.create_server((address, port)))
            return address
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    return None


@pytest.mark.skipif(not shutil.which("thunderbird"), reason="no Thunderbird here")
@pytest.mark.skipif(os.geteuid() != 0, reason="the real ports are root's")
@pytest.mark.parametrize("secure", [False, True])
def test_R369_Thunderbirds_wizard_finds_it_logs_in_sends_and_receives(tmp_path, secure):
    from test_thunderbird import READ, SEND, Thunderbird
    address = near_address()
    if address is None:
        pytest.skip("somebody has these ports everywhere")
    ports = {"smtp": None, "imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995, "submissions": 465, "submission": 587}
    listen = {f"listen_{s}": f"{address}:{p}" for s, p in ports.items() if p}
    subject, reply = word(), word()
    with Office(tmp_path, autoconfig_http_listen=f"{address}:80", autoconfig_https_listen=f"{address}:443" if secure else "", **listen) as o:
        o.house.command("account", "add", "jack@example.com", input="another\n")
        with smtplib.SMTP("127.0.0.1", o.house.ports["smtp"], timeout=20) as s:
            s.send_message(letter(subject, body="驿站 is a posting-house.\n", sender="someone@example.org", to=USER))
        der = base64.b64encode(base64.b64decode("".join(o.ca[0].read_text().split("-----")[2].split()))).decode()
        bird = Thunderbird(tmp_path / "profile", **{"network.dns.forceResolve": address, "mailnews.auto_config.guess.enabled": False})
        try:
            found = bird.run(WIZARD, der, USER, SECRET)
            assert "why" not in found, found
            assert found["source"] == ("xml-from-isp-https" if secure else "xml-from-isp-http")
            ssl_, starttls, clear = 3, 2, 3                     # nsMsgSocketType.SSL, alwaysSTARTTLS; nsMsgAuthMethod.passwordCleartext
            assert found["incoming"] == [["imap", HOST, 993, ssl_, clear], ["imap", HOST, 143, starttls, clear],
                                         ["pop3", HOST, 995, ssl_, clear], ["pop3", HOST, 110, starttls, clear]]
            assert found["outgoing"] == [["smtp", HOST, 465, ssl_, clear], ["smtp", HOST, 587, starttls, clear]]
            assert (found["user"], found["mail"]) == (USER, USER)
            read = bird.run(READ, subject)
            assert "why" not in read, read
            assert "posting-house" in read["text"]
            assert bird.run(SEND, reply, "jack@example.com") == {"status": 0}
        finally:
            bird.close()
        wait_for(lambda: o.house.command("message", "search", "jack@example.com", "subject", reply, check=False).stdout.strip())
        log = o.house.text()
        assert re.search(rf"imap-login\[\d+\]: Login: user=<{USER}>, .*TLS", log) and re.search(rf"config-v1.1.xml for {DOMAIN} from .*: 200", log)
