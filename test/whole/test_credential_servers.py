# SPDX-License-Identifier: ISC
"""Passwords that other servers keep: SQLite, PostgreSQL, MariaDB, LDAP, saslauthd, Dovecot's auth process.  Each is
stopped, frozen and started again while people log in: nobody is told that a right password is wrong.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_credential_servers.py
"""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import free_ports, wait_for
from test_credentials import LATER, NO, pw, under_load, village
from test_guard import imap_login, submission_login

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the servers run under accounts of their own")


@pytest.fixture
def place():
    """A directory others may pass, with a short name for sockets."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="mcs-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


class Server:
    """A server of somebody else's, as a process of its own group."""

    def __init__(self, *words, user=None, ready, **more):
        self.words, self.user, self.ready, self.more = words, user, ready, more
        self.process = None

    def start(self):
        account = pwd.getpwnam(self.user) if self.user else None

        def become():
            if account:
                os.setgroups([])
                os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
                os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
        self.process = subprocess.Popen([str(w) for w in self.words], preexec_fn=become, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **self.more)
        wait_for(self.ready)
        return self

    def group(self, number):
        """PostgreSQL's processes have groups of their own: children are found by their parent."""
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True).stdout.split()
        for pid in [self.process.pid, *map(int, children)]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def stop(self):
        if self.process is not None:
            self.group(signal.SIGCONT)
            self.group(signal.SIGKILL)
            self.process.wait()


def file_for(place, name, text):
    path = place / name
    path.write_text(text)
    path.chmod(0o600)
    return path


def check_people(house):
    """eva's password is geheim, adam's is in another scheme, quotes are data."""
    assert imap_login(house, "geheim", "eva@elsewhere.example") is True
    assert imap_login(house, "geheim", "Adam@elsewhere.example") is True
    assert submission_login(house, "geheim", "eva@elsewhere.example") is True
    assert NO in imap_login(house, "Geheim", "eva@elsewhere.example")
    assert NO in imap_login(house, "geheim", "nobody@elsewhere.example")
    assert "535 5.7.8" in submission_login(house, "falsch", "eva@elsewhere.example")
    for strange in ("x' OR '1'='1", "*", "*)(uid=*", "eva@elsewhere.example'--", "a,dc=b", "%u", "eva\\@x"):
        assert NO in imap_login(house, "geheim", '"' + strange.replace("\\", "\\\\") + '"'), strange


def check_troubles(house, server, frozen=True):
    """Killed, frozen, started again: later, and then right again without our doing."""
    server.stop()
    assert LATER in imap_login(house, "geheim", "eva@elsewhere.example")
    assert "454 4.7.0" in submission_login(house, "falsch", "eva@elsewhere.example")
    server.start()
    wait_for(lambda: imap_login(house, "geheim", "eva@elsewhere.example") is True)
    assert NO in imap_login(house, "falsch", "eva@elsewhere.example")
    if frozen:
        server.group(signal.SIGSTOP)
        assert LATER in imap_login(house, "geheim", "eva@elsewhere.example")
        server.group(signal.SIGCONT)
        wait_for(lambda: imap_login(house, "geheim", "eva@elsewhere.example") is True)


def stumbling(server, seen):
    """A server that stands still for a moment again and again."""
    over = threading.Event()

    def stumble():
        while not over.wait(0.1):
            server.group(signal.SIGSTOP)
            over.wait(0.2)
            server.group(signal.SIGCONT)
    t = threading.Thread(target=stumble)
    t.start()
    try:
        for _ in range(3):
            seen(True)
    finally:
        over.set()
        t.join()


def check_load(house, server, stop=None, frozen=True):
    """Killed, started again, frozen, slow; each until users feel it."""
    def troubles(seen):
        stumbling(server, seen)
        (stop or server.stop)()
        seen(LATER)
        server.start()
        seen(True)
        if frozen:
            server.group(signal.SIGSTOP)
            seen(LATER)
            server.group(signal.SIGCONT)
    under_load(house, "eva@elsewhere.example", troubles)


TABLE = ("CREATE TABLE people(name VARCHAR(200) PRIMARY KEY, hash VARCHAR(400), quota VARCHAR(40))",
         "INSERT INTO people VALUES('eva@elsewhere.example', '{}', '*:storage=20M')",
         "INSERT INTO people VALUES('adam@elsewhere.example', '{}', '*:storage=20M')",
         "INSERT INTO people VALUES('bare@elsewhere.example', '{}', NULL)")
QUERY = "password_query = SELECT name AS user, hash AS password, quota AS userdb_quota_rule FROM people WHERE name = '%Lu'\n"
USERS = "user_query = SELECT quota AS quota_rule FROM people WHERE name = '%Lu'\n"


def table():
    return [TABLE[0], TABLE[1].format(pw("SSHA256")), TABLE[2].format(pw("SHA512-CRYPT")), TABLE[3].format(pw("SSHA512"))]


def check_bare(house, cf):
    """A user of whom the database has nothing to say is there all the same."""
    cf.write_text(cf.read_text() + USERS)
    house.command("reload")
    wait_for(lambda: imap_login(house, "geheim", "bare@elsewhere.example") is True)
    assert house.command("doveadm", "user", "bare@elsewhere.example").returncode == 0
    assert imap_login(house, "geheim", "eva@elsewhere.example") is True
    assert house.command("doveadm", "user", "nobody@elsewhere.example", check=False).returncode == 67


def test_sqlite(place):
    with sqlite3.connect(place / "people.db") as db:
        for statement in table():
            db.execute(statement)
    (place / "people.db").chmod(0o644)
    place.chmod(0o777)
    cf = file_for(place, "users.cf", f"driver = sqlite\ndbpath = {place}/people.db\n{QUERY}")
    with village(auth_backends=f"directory sql:{cf}") as house:
        check_people(house)
        assert "20" in house.command("quota", "get", "eva@elsewhere.example").stdout
        check_bare(house, cf)


@contextlib.contextmanager
def postgresql(place, *statements, networks=None):
    """At 127.0.0.1:server.port, where anybody may be postgres, or as pg_hba.conf says with `networks`."""
    binaries = sorted(pathlib.Path("/usr/lib/postgresql").iterdir())[-1] / "bin"
    account = pwd.getpwnam("postgres")
    data, port = place / "data", free_ports(1)[0]
    data.mkdir()
    os.chown(data, account.pw_uid, account.pw_gid)
    os.chown(place, account.pw_uid, account.pw_gid)
    run = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    subprocess.run([*run, binaries / "initdb", "-D", data, "-A", "trust", "-N"], check=True, capture_output=True, cwd="/")
    if networks:
        (data / "pg_hba.conf").write_text(networks)
    psql = ["psql", "-h", place, "-p", str(port), "-U", "postgres", "-v", "ON_ERROR_STOP=1"]
    server = Server(binaries / "postgres", "-D", data, "-k", place, "-p", port, "-h", "127.0.0.1", "-F", user="postgres", cwd="/",
                    ready=lambda: subprocess.run([*psql, "-c", "select 1"], capture_output=True).returncode == 0)
    server.port = port
    try:
        server.start()
        subprocess.run([*psql, "-c", "; ".join(statements)], check=True, capture_output=True)
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def mariadb(place, *statements, password):
    """At the socket server.at, where the user mail may read the database mail."""
    data, at, own = place / "data", place / "m.sock", {**os.environ, "TMPDIR": str(place)}
    account = pwd.getpwnam("mysql")
    data.mkdir()
    os.chown(data, account.pw_uid, account.pw_gid)
    os.chown(place, account.pw_uid, account.pw_gid)
    subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=mysql", "--auth-root-authentication-method=normal",
                    "--skip-test-db"], check=True, capture_output=True, env=own)
    root = ["--no-defaults", "-S", at, "-u", "root"]
    server = Server("/usr/sbin/mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={at}", "--skip-networking",
                    f"--pid-file={place}/pid", user="mysql", env=own,
                    ready=lambda: subprocess.run(["mariadb-admin", *root, "ping"], capture_output=True).returncode == 0)
    server.at = at
    try:
        server.start()
        subprocess.run(["mariadb", *root, "-e", "; ".join(["CREATE DATABASE mail", "USE mail", *statements,
                                                           f"CREATE USER mail@localhost IDENTIFIED BY '{password}'", "GRANT SELECT ON mail.* TO mail@localhost"])],
                       check=True, capture_output=True)
        yield server
    finally:
        server.stop()


def test_R268_postgresql(place):
    with postgresql(place, *table()) as server:
        cf = file_for(place, "users.cf", f"driver = pgsql\nhosts = 127.0.0.1:{server.port}\nuser = postgres\npassword = x\n"
                                         f"dbname = postgres\ntimeout = 1s\n{QUERY}")
        with village(auth_backends=f"directory sql:{cf}") as house:
            check_people(house)
            check_bare(house, cf)
            check_troubles(house, server)
            check_load(house, server)


def test_mariadb(place):
    with mariadb(place, *table(), password="pa$$") as server:
        # As Dovecot's own file says it.
        cf = file_for(place, "users.cf", f"driver = mysql\nconnect = host={server.at} dbname=mail user=mail password=pa$$\n"
                                         f"iterate_query = SELECT name AS user FROM people\ntimeout = 1s\n{QUERY}")
        with village(auth_backends=f"directory sql:{cf}") as house:
            check_people(house)
            check_bare(house, cf)
            check_troubles(house, server)
            check_load(house, server)


@pytest.fixture
def slapd(place):
    data, port = place / "ldap", free_ports(1)[0]
    data.mkdir()
    file_for(place, "slapd.conf", f"""
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {place}/slapd.pid
database mdb
maxsize 10485760
suffix dc=example
rootdn cn=admin,dc=example
rootpw pa$$
directory {data}
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=admin,dc=example" read by anonymous read by * none
""")
    people = "dn: dc=example\nobjectClass: dcObject\nobjectClass: organization\no: e\ndc: example\n\n"
    for name, scheme in (("eva", "SSHA"), ("adam", "CRYPT")):
        people += (f"dn: uid={name},dc=example\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n"
                   f"mail: {name}@elsewhere.example\nuserPassword: {pw(scheme)}\n\n")
    subprocess.run(["slapadd", "-f", place / "slapd.conf"], input=people, text=True, check=True, capture_output=True)
    uri = f"ldap://127.0.0.1:{port}"

    def ready():
        return subprocess.run(["ldapsearch", "-x", "-H", uri, "-b", "dc=example", "-s", "base"], capture_output=True).returncode == 0
    server = Server("slapd", "-d", "0", "-h", uri, "-f", place / "slapd.conf", ready=ready)
    server.uri = uri
    yield server.start()
    server.stop()


@pytest.mark.parametrize("how", ["dnpass = pa$$\ndn = cn=admin,dc=example\npass_filter = (mail=%u)",
                                 "auth_bind = yes\npass_filter = (mail=%u)",
                                 "auth_bind = yes\nauth_bind_userdn = uid=%n,dc=example"],
                         ids=["compare", "bind", "userdn"])
def test_ldap(place, slapd, how):
    cf = file_for(place, "ldap.cf", f"uris = {slapd.uri}\nbase = dc=example\nscope = subtree\ntimeout = 1s\n"
                                    f"pass_attrs = mail=user, userPassword=password\n{how}\n")
    with village(auth_backends=f"directory ldap:{cf}") as house:
        check_people(house)
        assert imap_login(house, "", "eva@elsewhere.example") is not True, "a bind without a password proves nothing (rfc4513:5.1.2)"
        check_troubles(house, slapd)
        check_load(house, slapd)


def test_R268_saslauthd(place):
    users = place / "mux.d"
    users.mkdir()
    from test_credentials import Unix
    unix = Unix()
    service = pathlib.Path("/etc/pam.d/imap")
    kept = service.read_text() if service.exists() else None
    service.write_text(unix.file.read_text())
    server = Server("saslauthd", "-d", "-a", "pam", "-m", users, "-n", "1", ready=lambda: (users / "mux").exists())
    try:
        server.start()
        (users / "mux").chmod(0o666)
        users.chmod(0o755)
        with village(auth_backends=f"directory saslauthd:{users}/mux", auth_service_timeout="5s") as house:
            assert imap_login(house, "geheim", unix.name) is True
            assert NO in imap_login(house, "falsch", unix.name)
            assert NO in imap_login(house, "geheim", unix.name + "x")
            server.stop()
            assert LATER in imap_login(house, "geheim", unix.name)
            (users / "mux").unlink(missing_ok=True)
            server.start()
            (users / "mux").chmod(0o666)
            wait_for(lambda: imap_login(house, "geheim", unix.name) is True)

            def again(seen):
                stumbling(server, seen)
                server.stop()
                seen(LATER)
                (users / "mux").unlink(missing_ok=True)
                server.start()
                (users / "mux").chmod(0o666)
                seen(True)
                server.group(signal.SIGSTOP)
                seen(LATER)
                server.group(signal.SIGCONT)
            under_load(house, unix.name, again)
    finally:
        server.stop()
        unix.remove()
        service.unlink()
        if kept is not None:
            service.write_text(kept)


@pytest.mark.parametrize("kind", ["saslauthd", "dovecot"])
def test_how_long_a_service_is_waited_for(place, kind):
    """It hears and says nothing.  A client that waits for a quarter of a minute is answered in time when so set; the standard is longer."""
    with socket.socket(socket.AF_UNIX) as mute, village(auth_backends=f"directory {kind}:{place}/mute", auth_service_timeout="1s") as house:
        mute.bind(str(place / "mute"))
        mute.listen(20)
        (place / "mute").chmod(0o666)
        assert LATER in imap_login(house, "geheim", "eva@elsewhere.example", patience=15)
        assert house.command("postconf", "-dh", "auth_service_timeout").stdout == "20s\n"
        house.write_settings(auth_service_timeout="10m")
        house.command("reload")
        with pytest.raises(TimeoutError):
            imap_login(house, "geheim", "eva@elsewhere.example", patience=5)


def test_dovecot(place):
    (place / "users").write_text(f"eva@elsewhere.example:{pw('SSHA')}\nadam@elsewhere.example:{pw('ARGON2ID')}\n")
    conf = place / "dovecot.conf"
    conf.write_text(f"""
base_dir = {place}/run
log_path = {place}/log
protocols =
ssl = no
default_internal_user = dovecot
auth_username_chars =
auth_failure_delay = 0
service auth {{
  unix_listener auth-client {{
    mode = 0666
  }}
}}
passdb {{
  driver = passwd-file
  args = username_format=%Lu {place}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
""")
    server = Server("dovecot", "-F", "-c", conf, ready=lambda: (place / "run" / "auth-client").exists())
    try:
        server.start()
        (place / "run").chmod(0o755)
        with village(auth_backends=f"directory dovecot:{place}/run/auth-client", auth_service_timeout="5s") as house:
            check_people(house)
            subprocess.run(["dovecot", "-c", conf, "stop"], capture_output=True)
            server.process.wait()
            assert LATER in imap_login(house, "geheim", "eva@elsewhere.example")
            server.start()
            wait_for(lambda: imap_login(house, "geheim", "eva@elsewhere.example") is True)

            def stop():
                subprocess.run(["dovecot", "-c", conf, "stop"], capture_output=True)
                server.process.wait()
            check_load(house, server, stop)
    finally:
        subprocess.run(["dovecot", "-c", conf, "stop"], capture_output=True)
        server.stop()
