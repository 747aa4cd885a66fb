# SPDX-License-Identifier: ISC
"""Users whom a back end of credentials alone knows: mail comes for them as long as it does, they log in by every
mechanism, and while it is away nobody is told that they do not exist.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_userdb.py
"""

import imaplib
import json
import os
import pathlib
import poplib
import re
import shutil
import sqlite3
import subprocess
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import PATIENCE, wait_for
from test_credential_servers import file_for, place, slapd  # noqa: F401 (fixtures)
from test_credentials import LATER, NO, pw, scram, village
from test_guard import code_of, imap_login
from test_roles import PASSWORD, Village, trusting
from test_sasl import Issuer, Kdc, Talk, bearer, make_authority, make_client

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the servers run under accounts of their own")


def rcpt(house, address):
    """The answer to RCPT, as code and words; each time of another address, for receivers keep what they have heard."""
    rcpt.count += 1
    if "+" not in address:
        address = address.replace("@", f"+{rcpt.count}@")
    with house.smtp() as s:
        s.ehlo("client.example")
        s.mail("x@far.example")
        code, words = s.rcpt(address)
        return code, words.decode()


rcpt.count = 0


def reader(house, user, password):
    c = imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], ssl_context=trusting(), timeout=PATIENCE)
    c.login(user, password)
    return c


def apop(house, user, password):
    p = poplib.POP3("127.0.0.1", house.ports["pop3"], timeout=PATIENCE)
    try:
        p.apop(user, password)
        p.quit()
        return True
    except poplib.error_proto:
        return False


def arrives(house, to, name):
    house.send(to, name)
    wait_for(house.queue_is_empty)


def database(place, *people, scheme="SSHA512", **fields):
    """A database of users: columns of the password and of the user apart."""
    path = place / "people.db"
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE people(name TEXT PRIMARY KEY, hash TEXT, quota TEXT)")
        for name in people:
            db.execute("INSERT INTO people VALUES(?, ?, ?)", [name, fields.get("hash") or pw(scheme), "*:storage=20M:messages=7"])
    path.chmod(0o644)
    place.chmod(0o777)
    return path


SQL = ("password_query = SELECT name AS user, hash AS password FROM people WHERE name = '%Lu'\n"
       "user_query = SELECT quota AS quota_rule FROM people WHERE name = '%Lu'\n")


def rename(path, old, new):
    """Without its table the database answers nothing any more."""
    with sqlite3.connect(path) as db:
        db.execute(f"ALTER TABLE {old} RENAME TO {new}")


def forget(path, name):
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM people WHERE name=?", [name])


def test_mail_for_a_user_of_a_passwd_file_who_has_never_logged_in(tmp_path):
    users = tmp_path / "users"
    line = f"eva@example.com:{pw('SSHA512')}:::::: userdb_quota_rule=*:storage=20M:messages=7\n"
    users.write_text(line + f"bare:{pw('SSHA')}::::::\n")
    with village(auth_backends=f"directory passwd-file:{users}", mydestination="mail.example.com") as house:
        assert rcpt(house, "eva@example.com")[0] == 250
        assert rcpt(house, "Eva+lists@Example.com")[0] == 250
        code, words = rcpt(house, "nobody@example.com")
        assert code == 550 and "5.1.1" in words
        assert rcpt(house, "eva@elsewhere.example")[0] == 554, "the domain is not ours"
        assert rcpt(house, "bare@mail.example.com")[0] == 250
        arrives(house, ["eva@example.com", "bare@mail.example.com"], "first")
        assert "7" in house.command("quota", "get", "eva@example.com").stdout, "what the line says holds before any login"
        assert imap_login(house, "geheim", "eva@example.com") is True
        with reader(house, "eva@example.com", "geheim") as c:
            assert c.select("INBOX")[1] == [b"1"]
        assert "eva@example.com is a user of passwd-file" in house.command("address", "test", "eva@example.com").stdout
        phone = house.command("account", "app-password", "add", "eva@example.com", "phone").stdout.strip()
        assert imap_login(house, phone, "eva@example.com") is True
        # The file forgets her: no mail comes any more, and what she has stays.
        users.write_text(f"bare:{pw('SSHA')}::::::\n")
        wait_for(lambda: rcpt(house, "eva@example.com")[0] == 550)
        assert NO in imap_login(house, "geheim", "eva@example.com")
        assert NO in imap_login(house, phone, "eva@example.com"), "her app passwords end with her"
        users.write_text(line)
        wait_for(lambda: rcpt(house, "eva@example.com")[0] == 250)
        with reader(house, "eva@example.com", "geheim") as c:
            assert c.select("INBOX")[1] == [b"1"]


@pytest.mark.parametrize("mechanism, scheme", [("SCRAM-SHA-256", "SCRAM-SHA-256"), ("CRAM-MD5", "PLAIN")])
def test_what_the_user_query_says_holds_by_mechanisms_that_show_no_password(place, mechanism, scheme):  # noqa: F811
    """It is asked by the name as it is made the same, at the first login and at each after it: as by PLAIN."""
    path = database(place, "eva@example.com", "adam@example.com", scheme=scheme)
    exact = SQL.replace("%Lu", "%u")
    cf = file_for(place, "users.cf", f"driver = sqlite\ndbpath = {path}\n{exact}")

    def says(house, user, quota, messages):
        with sqlite3.connect(path) as db:
            db.execute("UPDATE people SET quota=?", [quota])
        for how in (lambda: scram(house, user, "geheim", mechanism), lambda: imap_login(house, "geheim", user)):
            assert how() is True
            assert house.command("quota", "get", user.lower()).stdout.split()[-1] == messages
    with village(auth_backends=f"directory sql:{cf}", table_cache_time="0", sasl_mechanisms=f"PLAIN LOGIN {mechanism}") as house:
        for user in ("Eva@Example.COM", "adam@example.com"):
            says(house, user, "*:storage=20M:messages=7", "7")
            says(house, user, "*:messages=11", "11")
            assert not scram(house, user, "falsch", mechanism)
        rename(path, "people", "elsewhere")
        assert not scram(house, "eva@example.com", "geheim", mechanism)
        rename(path, "elsewhere", "people")
        wait_for(lambda: scram(house, "eva@example.com", "geheim", mechanism))


def test_mail_for_a_user_of_a_database(place):  # noqa: F811
    path = database(place, "eva@example.com")
    cf = file_for(place, "users.cf", f"driver = sqlite\ndbpath = {path}\n{SQL}")
    with village(auth_backends=f"directory sql:{cf}", table_cache_time="0") as house:
        assert rcpt(house, "eva@example.com")[0] == 250
        assert rcpt(house, "nobody@example.com")[0] == 550
        assert rcpt(house, "jack@example.com")[0] == 250
        arrives(house, ["eva@example.com"], "first")
        assert "7" in house.command("quota", "get", "eva@example.com").stdout
        assert imap_login(house, "geheim", "eva@example.com") is True
        rename(path, "people", "away")
        wait_for(lambda: rcpt(house, "nobody@example.com")[0] == 451)
        assert rcpt(house, "eva@example.com")[0] == 451, "later, never no"
        assert rcpt(house, "jack@example.com")[0] == 250, "who is in the directory is not asked about"
        rename(path, "away", "people")
        wait_for(lambda: rcpt(house, "eva@example.com")[0] == 250)
        forget(path, "eva@example.com")
        wait_for(lambda: rcpt(house, "eva@example.com")[0] == 550)
    with village(auth_backends=f"directory sql:{cf}", auth_userdb="no") as house:
        database(place, "eva@example.com")
        assert rcpt(house, "eva@example.com")[0] == 550, "nobody is asked"


def replaced(path, *people):
    """Another database takes the place of the file at once, as `mv` does."""
    beside = path.with_name("beside")
    beside.mkdir()
    path.parent.chmod(0o777)
    database(beside, *people).rename(path)
    beside.rmdir()


@pytest.mark.parametrize("reload", [False, True], ids=["unsaid", "reload"])
def test_a_database_that_is_replaced_is_read_anew_while_it_is_in_use(place, reload):  # noqa: F811
    path = database(place, "eva@example.com", "adam@example.com")
    cf = file_for(place, "users.cf", f"driver = sqlite\ndbpath = {path}\n{SQL}")
    aliases = file_for(place, "aliases.cf", f"dbpath = {path}\nquery = SELECT 'jack@example.com' FROM people WHERE name = '%s'\n")
    with village(auth_backends=f"directory sql:{cf}", table_cache_time="0",
                 virtual_alias_domains="v.example", virtual_alias_maps=f"sqlite:{aliases}") as house:
        def known(name):
            return imap_login(house, "geheim", name) is True, rcpt(house, name)[0]
        process = next(p["pid"] for p in house.status() if p["role"] == "proxymap")
        assert known("adam@example.com") == (True, 250) and known("seth@example.com") == (False, 550)
        assert rcpt(house, "old@v.example")[0] == 550
        replaced(path, "eva@example.com", "seth@example.com", "new@v.example")
        if reload:
            house.command("reload")
        assert NO in imap_login(house, "geheim", "adam@example.com"), "the next question finds the new file"
        assert known("adam@example.com") == (False, 550) and known("seth@example.com") == (True, 250)
        assert known("eva@example.com") == (True, 250)
        assert rcpt(house, "new@v.example")[0] == 250 and rcpt(house, "old@v.example")[0] == 550
        # And once more, by a table that has been asked; then it has vanished, and nobody is unknown for that.
        replaced(path, "adam@example.com", "old@v.example")
        assert known("adam@example.com") == (True, 250) and known("seth@example.com") == (False, 550)
        assert rcpt(house, "old@v.example")[0] == 250 and rcpt(house, "new@v.example")[0] == 550
        away = path.rename(path.with_suffix(".away"))
        assert LATER in imap_login(house, "geheim", "adam@example.com")
        assert rcpt(house, "adam@example.com")[0] == rcpt(house, "old@v.example")[0] == 451
        away.rename(path)
        wait_for(lambda: known("adam@example.com") == (True, 250))
        wait_for(lambda: rcpt(house, "old@v.example")[0] == 250)
        assert process == next(p["pid"] for p in house.status() if p["role"] == "proxymap"), "none of it takes a restart"


@pytest.mark.parametrize("how", ["the directory is moved", "a link is switched", "the directory comes after the server"])
def test_a_directory_that_takes_the_place_of_another_is_seen(place, how):  # noqa: F811
    """From inside of a cage it is not."""
    for name, people in (("one", ["adam@example.com"]), ("two", ["seth@example.com", "new@v.example"])):
        (place / name).mkdir(mode=0o755)
        database(place / name, *people)
    now = place / "now"
    if how == "a link is switched":
        now.symlink_to("one")
    elif how == "the directory is moved":
        (place / "one").rename(now)
    path = now / database(place / "two", "seth@example.com", "new@v.example").name
    cf = file_for(place, "users.cf", f"driver = sqlite\ndbpath = {path}\n{SQL}")
    aliases = file_for(place, "aliases.cf", f"dbpath = {path}\nquery = SELECT 'jack@example.com' FROM people WHERE name = '%s'\n")
    with village(auth_backends=f"directory sql:{cf}", table_cache_time="0",
                 virtual_alias_domains="v.example", virtual_alias_maps=f"sqlite:{aliases}") as house:
        if now.exists():
            assert imap_login(house, "geheim", "adam@example.com") is True
            assert rcpt(house, "new@v.example")[0] == 550
        else:
            assert rcpt(house, "new@v.example")[0] == 451
        if how == "a link is switched":
            (place / "link").symlink_to("two")
            (place / "link").rename(now)
        else:
            if now.exists():
                now.rename(place / "gone")
            (place / "two").rename(now)
        wait_for(lambda: "is another one now: starting anew" in house.text())
        wait_for(lambda: rcpt(house, "new@v.example")[0] == 250)
        wait_for(lambda: imap_login(house, "geheim", "seth@example.com") is True)
        assert imap_login(house, "geheim", "adam@example.com") is not True


def test_mail_for_a_user_of_a_virtual_mailbox_domain(place):  # noqa: F811
    path = database(place, "eva@virtual.example")
    cf = file_for(place, "users.cf", f"driver = sqlite\ndbpath = {path}\n{SQL}")
    with village(auth_backends=f"directory sql:{cf}", virtual_mailbox_domains="virtual.example") as house:
        assert rcpt(house, "eva@virtual.example")[0] == 250
        assert rcpt(house, "adam@virtual.example")[0] == 550
        arrives(house, ["eva@virtual.example"], "first")
        with reader(house, "eva@virtual.example", "geheim") as c:
            assert c.select("INBOX")[1] == [b"1"]


@pytest.mark.parametrize("how", ["dnpass = pa$$\ndn = cn=admin,dc=example\npass_filter = (mail=%u)",
                                 "auth_bind = yes\npass_filter = (mail=%u)",
                                 "auth_bind = yes\nauth_bind_userdn = uid=%n,dc=example\n"
                                 "user_filter = (mail=%u)\nuser_attrs = mail=user, =quota_rule=*:messages=7"],
                         ids=["compare", "bind", "user_filter"])
def test_mail_for_a_user_of_ldap(place, slapd, how):  # noqa: F811
    cf = file_for(place, "ldap.cf", f"uris = {slapd.uri}\nbase = dc=example\nscope = subtree\ntimeout = 1s\n"
                                    f"pass_attrs = mail=user, userPassword=password\n{how}\n")
    with village(auth_backends=f"directory ldap:{cf}", virtual_mailbox_domains="elsewhere.example", table_cache_time="0") as house:
        assert rcpt(house, "eva@elsewhere.example")[0] == 250
        assert rcpt(house, "nobody@elsewhere.example")[0] == 550
        assert rcpt(house, "*@elsewhere.example")[0] == 550, "a name is no pattern"
        arrives(house, ["eva@elsewhere.example"], "first")
        with reader(house, "eva@elsewhere.example", "geheim") as c:
            assert c.select("INBOX")[1] == [b"1"]
        if "user_filter" in how:
            assert "7" in house.command("quota", "get", "eva@elsewhere.example").stdout
        slapd.stop()
        assert rcpt(house, "eva@elsewhere.example")[0] == 451
        assert rcpt(house, "nobody@elsewhere.example")[0] == 451
        slapd.start()
        wait_for(lambda: rcpt(house, "eva@elsewhere.example")[0] == 250)
        assert rcpt(house, "nobody@elsewhere.example")[0] == 550


def test_mechanisms_that_show_no_password_by_what_a_database_stores(place):  # noqa: F811
    path = database(place, "eva@example.com", hash="{PLAIN}geheim")
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO people VALUES('scram@example.com', ?, '')", [pw("SCRAM-SHA-256")])
    cf = file_for(place, "users.cf", f"driver = sqlite\ndbpath = {path}\n{SQL}")
    with village(auth_backends=f"directory sql:{cf}", table_cache_time="0", pop3_apop="yes",
                 sasl_mechanisms="PLAIN SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 DIGEST-MD5 NTLM") as house:
        assert scram(house, "scram@example.com", "geheim")
        assert not scram(house, "scram@example.com", "falsch")
        assert not scram(house, "scram@example.com", "geheim", "CRAM-MD5")
        assert not scram(house, "nobody@example.com", "geheim")
        for mechanism in ("CRAM-MD5", "DIGEST-MD5"):
            assert scram(house, "eva@example.com", "geheim", mechanism), mechanism
            assert not scram(house, "eva@example.com", "falsch", mechanism), mechanism
            assert not scram(house, "nobody@example.com", "geheim", mechanism), mechanism
        assert apop(house, "eva@example.com", "geheim") and not apop(house, "eva@example.com", "falsch")
        rename(path, "people", "away")
        wait_for(lambda: LATER in imap_login(house, "geheim", "eva@example.com"))
        rename(path, "away", "people")
        wait_for(lambda: scram(house, "scram@example.com", "geheim"))


QUIET = {"auth_failure_network_limit": "0", "auth_failure_account_limit": "0", "auth_ban_failures": "0", "login_failure_limit": "0"}


def test_certificates_and_tokens_of_users_whom_a_back_end_alone_knows(place):  # noqa: F811
    """And a second factor is about passwords: it bars neither."""
    path = database(place, "eva@example.com")
    cf = file_for(place, "users.cf", f"driver = sqlite\ndbpath = {path}\n{SQL}")
    keys = place / "keys"
    keys.mkdir()
    make_authority(keys)
    certificate = {name: make_client(keys, name, f"{name}@example.com") for name in ("eva", "adam", "jack")}
    issuer = Issuer(keys)
    (keys / "jwks.json").write_text(json.dumps({"keys": [issuer.jwk]}))
    with Village("jack", auth_backends=f"directory sql:{cf}", table_cache_time="0", sasl_mechanisms="PLAIN EXTERNAL OAUTHBEARER",
                 smtpd_tls_ask_ccert="yes", smtpd_tls_CAfile=keys / "ca.pem", oauth_jwks_file=keys / "jwks.json", oauth_audience="any", **QUIET) as house:
        def shown(name):
            with Talk(house, "imap", certificate[name]) as t:
                return t.auth("EXTERNAL", b"")[0], t

        def borne(name):
            with Talk(house, "imap") as t:
                line, _ = t.auth("OAUTHBEARER", bearer(issuer.token(email=f"{name}@example.com"), f"{name}@example.com"), b"\1")
                return line, t
        for way in (shown, borne):
            line, t = way("eva")
            assert t.good(line), (way, line)
            line, t = way("adam")
            assert t.wrong(line), (way, line)
            rename(path, "people", "away")
            line, t = way("eva")
            assert t.later(line), (way, line)
            line, t = way("jack")
            assert t.good(line), "the directory is enough"
            rename(path, "away", "people")
        assert "7" in house.command("quota", "get", "eva@example.com").stdout
        forget(path, "eva@example.com")
        for way in (shown, borne):
            line, t = way("eva")
            assert t.wrong(line), "whom the back end has forgotten"
        secret = re.search(r"secret=(\w+)", house.command("account", "totp", "enable", "jack@example.com").stdout)[1]
        house.command("account", "totp", "confirm", "jack@example.com", input=code_of(secret))
        assert NO in imap_login(house, PASSWORD), "a password alone is not enough"
        for way in (shown, borne):
            line, t = way("jack")
            assert t.good(line), (way, line)


@pytest.mark.skipif(not shutil.which("krb5kdc", path="/usr/sbin:" + os.environ.get("PATH", "")), reason="no krb5kdc")
def test_kerberos_for_a_user_whom_a_passwd_file_alone_knows(tmp_path):
    users = tmp_path / "users"
    users.write_text("stranger@example.com:*\n")
    kdc = Kdc(tmp_path)
    try:
        with Village("jack", auth_backends=f"directory passwd-file:{users}", sasl_mechanisms="PLAIN GSSAPI",
                     auth_krb5_keytab=tmp_path / "keytab", **QUIET) as house:
            def login():
                return subprocess.run(["gsasl", "--imap", "--starttls", "--x509-ca-file=", "--connect", f"127.0.0.1:{house.ports['imap']}",
                                       "--hostname", "mail.example.com", "-m", "GSSAPI", "-a", "stranger@example.com", "-z", ""],
                                      env=kdc.env, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE).returncode == 0
            assert kdc.login("stranger")
            assert login(), house.text()
            users.write_text("other@example.com:*\n")
            wait_for(lambda: not login())
    finally:
        kdc.close()


def test_restarts_of_a_database_while_many_log_in(place, slapd):  # noqa: F811
    """Eight clients, and the server dies under them: right passwords are right or later, never wrong; wrong ones never right."""
    cf = file_for(place, "ldap.cf", f"uris = {slapd.uri}\nbase = dc=example\nscope = subtree\ntimeout = 1s\n"
                                    "pass_attrs = mail=user, userPassword=password\nauth_bind = yes\npass_filter = (mail=%u)\n")
    with village(auth_backends=f"directory ldap:{cf}", auth_ban_failures="0", login_failure_limit="0") as house:
        said, over = [], threading.Event()

        def client(number):
            while not over.is_set():
                password = "geheim" if number % 4 else "falsch"
                said.append((password, imap_login(house, password, "eva@elsewhere.example")))
        clients = [threading.Thread(target=client, args=(n,)) for n in range(8)]
        for c in clients:
            c.start()
        for _ in range(3):
            before = len(said)
            wait_for(lambda: len(said) > before + 12)
            slapd.stop()
            before = len(said)
            wait_for(lambda: len(said) > before + 12)
            slapd.start()
        over.set()
        for c in clients:
            c.join()
        right = [one for password, one in said if password == "geheim"]
        wrong = [one for password, one in said if password == "falsch"]
        assert all(one is True or LATER in one for one in right), [one for one in right if one is not True and LATER not in one]
        assert all(one is not True for one in wrong)
        assert sum(one is True for one in right) > 5 and any(one is not True for one in right), (len(right), len(wrong))


def test_ldap_by_starttls_with_an_authority_of_ours(place, slapd):  # noqa: F811
    """Who shows no certificate of this authority is not asked: later, and no password goes over the wire."""
    slapd.stop()
    make_authority(place)
    subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", place / "s.key", "-out", place / "s.csr", "-subj", "/CN=localhost"],
                   check=True, capture_output=True)
    (place / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    subprocess.run(["openssl", "x509", "-req", "-in", place / "s.csr", "-CA", place / "ca.pem", "-CAkey", next(place.glob("ca*key*")), "-CAcreateserial",
                    "-out", place / "s.pem", "-days", "30", "-extfile", place / "san"], check=True, capture_output=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", place / "other.key", "-out", place / "other.pem",
                    "-subj", "/CN=other", "-days", "30"], check=True, capture_output=True)
    (place / "other.pem").chmod(0o644)
    (place / "ca.pem").chmod(0o644)
    conf = place / "slapd.conf"
    conf.write_text(f"TLSCACertificateFile {place}/ca.pem\nTLSCertificateFile {place}/s.pem\nTLSCertificateKeyFile {place}/s.key\n"
                    + conf.read_text().replace("database mdb\n", "database mdb\nsecurity tls=1\n"))
    # The database answers over TLS alone; whether it runs is seen of its root entry.
    slapd.ready = lambda: subprocess.run(["ldapsearch", "-x", "-H", slapd.uri, "-b", "", "-s", "base"], capture_output=True).returncode == 0
    slapd.start()
    text = (f"uris = {slapd.uri}\nbase = dc=example\nscope = subtree\ntimeout = 2s\ntls = yes\ntls_require_cert = yes\n"
            "pass_attrs = mail=user, userPassword=password\nauth_bind = yes\npass_filter = (mail=%u)\n")
    cf = file_for(place, "ldap.cf", text + f"tls_ca_cert_file = {place}/ca.pem\n")
    with village(auth_backends=f"directory ldap:{cf}", virtual_mailbox_domains="elsewhere.example") as house:
        assert imap_login(house, "geheim", "eva@elsewhere.example") is True, house.text()
        assert NO in imap_login(house, "falsch", "eva@elsewhere.example")
        assert rcpt(house, "eva@elsewhere.example")[0] == 250
    cf = file_for(place, "ldap2.cf", text + f"tls_ca_cert_file = {place}/other.pem\n")
    with village(auth_backends=f"directory ldap:{cf}") as house:
        assert LATER in imap_login(house, "geheim", "eva@elsewhere.example")
    cf = file_for(place, "ldap3.cf", text.replace("tls = yes", "tls = no"))
    with village(auth_backends=f"directory ldap:{cf}") as house:
        assert imap_login(house, "geheim", "eva@elsewhere.example") is not True, "this server wants TLS"


@pytest.mark.skipif(not shutil.which("krb5kdc", path="/usr/sbin:" + os.environ.get("PATH", "")), reason="no krb5kdc")
def test_new_kerberos_keys_are_taken_up_by_a_reload(tmp_path):
    kdc = Kdc(tmp_path)
    try:
        with Village("jack", sasl_mechanisms="PLAIN GSSAPI", auth_krb5_keytab=tmp_path / "keytab", **QUIET) as house:
            def login():
                return subprocess.run(["gsasl", "--imap", "--starttls", "--x509-ca-file=", "--connect", f"127.0.0.1:{house.ports['imap']}",
                                       "--hostname", "mail.example.com", "-m", "GSSAPI", "-a", "jack@example.com", "-z", ""],
                                      env=kdc.env, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE).returncode == 0
            assert login()
            kdc.run("kadmin.local", "-q", f"ktadd -k {tmp_path}/keytab imap/mail.example.com")
            assert login(), "the ticket from before is good"
            assert kdc.login("jack")
            assert not login(), "a ticket of the new key"
            house.command("reload")
            wait_for(login)
            assert login()
    finally:
        kdc.close()


def test_the_first_letter_and_the_first_reader_find_the_place_the_back_end_said(place):  # noqa: F811
    """Whoever is first settles where the mailboxes lie, for good: home and mail of the back end are known by then."""
    people = [f"{how}{n}" for how in ("home", "mail", "both", "none") for n in range(4)]
    (place / "homes").mkdir(mode=0o777)
    (place / "homes").chmod(0o777)
    with sqlite3.connect(place / "places.db") as db:
        db.execute("CREATE TABLE people(name TEXT PRIMARY KEY, hash TEXT, home TEXT, mail TEXT)")
        for name in people:
            db.execute("INSERT INTO people VALUES(?, ?, ?, ?)", [f"{name}@example.com", "{PLAIN}geheim", f"{place}/homes/h-{name}" if name[:4] in ("home", "both") else None,
                                                                 {"mail": f"maildir:{place}/homes/m-{name}", "both": "maildir:~/M"}.get(name[:4])])
    (place / "places.db").chmod(0o644)
    place.chmod(0o777)
    cf = file_for(place, "places.cf", f"driver = sqlite\ndbpath = {place}/places.db\npassword_query = SELECT name AS user, hash AS password FROM people WHERE name = '%Lu'\n"
                                      "user_query = SELECT home, mail FROM people WHERE name = '%Lu'\n")
    with village(auth_backends=f"directory sql:{cf}", mail_location="maildir:~/Maildir", mail_home=f"{place}/homes/%n", mail_location_directories=place / "homes",
                 keeper_processes="2") as house:
        for name in people[0::2]:
            assert imap_login(house, "geheim", f"{name}@example.com") is True
        for name in people[1::2]:
            house.send(f"{name}@example.com", name)
        wait_for(house.queue_is_empty)
        for name in people:
            lies = {"home": f"h-{name}/Maildir", "mail": f"m-{name}", "both": f"h-{name}/M", "none": f"{name}/Maildir"}[name[:4]]
            assert (place / "homes" / lies / "cur").is_dir(), (name, sorted(os.listdir(place / "homes")))
            assert name[:4] == "none" or not (place / "homes" / name).exists(), name
        for name in people[1::2]:
            box = reader(house, f"{name}@example.com", "geheim")
            assert box.select("INBOX", readonly=True)[1] == [b"1"], name
            box.logout()
        # The clerk dies while somebody comes for the first time: he waits for the next.
        with sqlite3.connect(place / "places.db") as db:
            for n in range(6):
                db.execute("INSERT INTO people VALUES(?, '{PLAIN}geheim', ?, NULL)", [f"late{n}@example.com", f"{place}/homes/h-late{n}"])
        for n in range(6):
            house.send(f"late{n}@example.com", f"late{n}")
            if n % 2:
                house.back("clerk", house.kill("clerk"))
        wait_for(house.queue_is_empty)
        for n in range(6):
            wait_for(lambda n=n: len(list((place / "homes" / f"h-late{n}/Maildir/new").iterdir())) == 1)


def test_a_quota_that_the_back_end_says_no_more_is_gone(place):  # noqa: F811
    """What an administrator gave by hand stays."""
    path = database(place, "eva@example.com", "adam@example.com")

    def change(quota):
        db = sqlite3.connect(path)
        db.execute("UPDATE people SET quota=?", [quota])
        db.commit()
        db.close()
    cf = file_for(place, "users.cf", f"driver = sqlite\ndbpath = {path}\npassword_query = SELECT name AS user, hash AS password FROM people WHERE name = '%Lu'\n"
                                     "user_query = SELECT quota AS quota_rule FROM people WHERE name = '%Lu'\n")
    change("*:messages=7")
    with village(auth_backends=f"directory sql:{cf}") as house:
        def now(who):
            assert imap_login(house, "geheim", f"{who}@example.com") is True
            row, = json.loads(house.command("quota", "get", f"{who}@example.com", "--json").stdout)
            return row["messages_limit"]
        assert now("eva") == now("adam") == "7"
        change("*:messages=9")
        assert now("eva") == now("adam") == "9"
        house.command("quota", "set", "adam@example.com", "--messages", "5")
        change(None)
        assert (now("eva"), now("adam")) == ("0", "5")
        house.command("quota", "set", "eva@example.com", "--messages", "4")
        assert (now("eva"), now("adam")) == ("4", "5"), "nothing is said about it"
        change("*:messages=8")
        assert now("eva") == now("adam") == "8"
