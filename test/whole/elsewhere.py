# SPDX-License-Identifier: ISC
"""Real servers that keep tables, each in a directory of its own, started as a user of its own and ended again.

    with Postgres(directory) as server:
        server.sql("CREATE TABLE ...")
        server.stop(); server.start(); server.pause(); server.resume()

Whoever starts one must be root, or be somebody the server is content to be.
"""

import os
import pathlib
import pwd
import signal
import socket
import subprocess
import threading
import time

from ports import free_port


def wait_until(what, seconds=30):
    end = time.monotonic() + seconds
    while True:
        try:
            if what():
                return
        except (OSError, subprocess.CalledProcessError):
            pass
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def certificates(at):
    """An authority of the test, ca.pem; and a certificate for localhost and 127.0.0.1 of its, server.pem, server.key."""
    at = pathlib.Path(at)
    at.mkdir(parents=True, exist_ok=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    def openssl(*words):
        subprocess.run(["openssl", *[str(w) for w in words]], check=True, capture_output=True, timeout=60)

    for name in ("ca", "other"):
        openssl("req", "-x509", *key, "-days", "2", "-subj", f"/CN=Authority {name}", "-keyout", at / f"{name}.key", "-out", at / f"{name}.pem")
    (at / "more").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("req", *key, "-subj", "/CN=localhost", "-keyout", at / "server.key", "-out", at / "ask")
    openssl("x509", "-req", "-in", at / "ask", "-CA", at / "ca.pem", "-CAkey", at / "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", at / "more", "-out", at / "server.pem")
    for path in at.iterdir():
        path.chmod(0o644)
    at.chmod(0o755)
    return at


class Server:
    user = "nobody"
    tls = None

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.process = None
        self.port = free_port()
        if os.geteuid() == 0:
            entry = pwd.getpwnam(self.user)
            os.chown(self.directory, entry.pw_uid, entry.pw_gid)

    def run(self, argv, **more):
        """A process of the server's own user."""
        how = {}
        if os.geteuid() == 0:
            how = {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []}
        return subprocess.Popen([str(a) for a in argv], cwd=self.directory, stdin=subprocess.DEVNULL,
                                stdout=open(self.directory / "output", "ab"), stderr=subprocess.STDOUT,
                                **how, **more)

    def call(self, argv, **more):
        how = {}
        if os.geteuid() == 0:
            how = {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []}
        return subprocess.run([str(a) for a in argv], cwd=self.directory, check=True, capture_output=True,
                              timeout=60, **how, **more)

    def begin(self):
        raise NotImplementedError

    def answers(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True

    def start(self):
        self.process = self.begin()
        wait_until(self.answers, 90)

    def stop(self, how=signal.SIGKILL):
        """All of it: some servers are more than one process."""
        if self.process is not None:
            self.resume()
            self.process.send_signal(how)
            self.process.wait(30)
        self.process = None

    def family(self):
        found = [self.process.pid]
        for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                words = path.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(words[1]) == self.process.pid:
                found.append(int(path.parent.name))
        return found

    def tell(self, what):
        for pid in self.family():
            try:
                os.kill(pid, what)
            except ProcessLookupError:
                pass

    def pause(self):
        self.tell(signal.SIGSTOP)

    def resume(self):
        if self.process is not None:
            self.tell(signal.SIGCONT)

    def __enter__(self):
        self.prepare()
        self.start()
        return self

    def prepare(self):
        pass

    def __exit__(self, *_):
        self.stop()


class Postgres(Server):
    user = "postgres"

    def __init__(self, directory):
        super().__init__(directory)
        self.bin = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]

    def prepare(self):
        (self.directory / "pw").write_text("secret\n")
        os.chmod(self.directory / "pw", 0o644)
        self.call([self.bin / "initdb", "-D", self.directory / "data", "-U", "mail", "-A", "scram-sha-256",
                   "--pwfile", self.directory / "pw", "-E", "UTF8", "--locale=C", "-N"])

    def begin(self):
        (self.directory / "data/postmaster.pid").unlink(missing_ok=True)
        return self.run([self.bin / "postgres", "-D", self.directory / "data", "-p", self.port,
                         "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.directory}",
                         "-c", "fsync=off", "-c", "shared_buffers=8MB", "-c", "max_connections=20"])

    def sql(self, text, database="postgres"):
        return subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "mail", "-d", database,
                               "-v", "ON_ERROR_STOP=1", "-qAt"], input=text.encode(), check=True,
                              capture_output=True, timeout=30, env={**os.environ, "PGPASSWORD": "secret"}).stdout

    def answers(self):
        return self.sql("SELECT 1") == b"1\n"

    def stop(self, how=signal.SIGQUIT):
        super().stop(how)


class Maria(Server):
    user = "mysql"

    def prepare(self):
        self.call(["mariadb-install-db", "--no-defaults", f"--datadir={self.directory}/data",
                   "--auth-root-authentication-method=normal", "--skip-test-db"])

    def begin(self):
        return self.run(["mariadbd", "--no-defaults", f"--datadir={self.directory}/data", f"--port={self.port}",
                         "--bind-address=127.0.0.1", f"--socket={self.directory}/sock",
                         f"--pid-file={self.directory}/pid", "--innodb-buffer-pool-size=8M",
                         "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", "--skip-name-resolve",
                         *([f"--ssl-ca={self.tls}/ca.pem", f"--ssl-cert={self.tls}/server.pem", f"--ssl-key={self.tls}/server.key"]
                           if self.tls else [])])

    def sql(self, text, database=""):
        return subprocess.run(["mariadb", "--no-defaults", f"--socket={self.directory}/sock", "-u", "root",
                               "--default-character-set=utf8mb4", "-N", "-B", *([database] if database else [])],
                              input=text.encode(), check=True, capture_output=True, timeout=30).stdout

    def answers(self):
        return self.sql("SELECT 1") == b"1\n"


class Slapd(Server):
    user = "openldap"
    suffix = "dc=example,dc=com"

    def prepare(self):
        (self.directory / "data").mkdir(exist_ok=True)
        (self.directory / "slapd.conf").write_text(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n"
            "include /etc/ldap/schema/inetorgperson.schema\n"
            "modulepath /usr/lib/ldap\nmoduleload back_mdb\n"
            f"pidfile {self.directory}/pid\n" +
            (f"TLSCACertificateFile {self.tls}/ca.pem\nTLSCertificateFile {self.tls}/server.pem\n"
             f"TLSCertificateKeyFile {self.tls}/server.key\n" if self.tls else "") +
            "attributetype (1.3.6.1.4.1.4203.666.100.1 NAME 'maildrop' SUP mail)\n"
            "attributetype (1.3.6.1.4.1.4203.666.100.2 NAME 'memberurl' SUP labeledURI)\n"
            "attributetype (1.3.6.1.4.1.4203.666.100.3 NAME 'terminaldrop' SUP mail)\n"
            "objectclass (1.3.6.1.4.1.4203.666.100.10 NAME 'mailThing' SUP top AUXILIARY "
            "MAY ( maildrop $ memberurl $ terminaldrop $ mail $ member ) )\n"
            f"database mdb\nmaxsize 10485760\nsuffix \"{self.suffix}\"\nrootdn \"cn=admin,{self.suffix}\"\n"
            f"rootpw secret\ndirectory {self.directory}/data\nindex objectClass,mail eq\n"
            "access to attrs=userPassword by anonymous auth by * none\naccess to * by * read\n")
        if os.geteuid() == 0:
            entry = pwd.getpwnam(self.user)
            for path in [self.directory, *self.directory.iterdir()]:
                os.chown(path, entry.pw_uid, entry.pw_gid)

    def begin(self):
        self.ldaps = getattr(self, "ldaps", None) or free_port()
        return self.run(["slapd", "-f", self.directory / "slapd.conf", "-h",
                         (f"ldaps://127.0.0.1:{self.ldaps} " if self.tls else "") +
                         f"ldap://127.0.0.1:{self.port} ldapi://{str(self.directory / 'ldapi').replace('/', '%2F')}",
                         "-d", "0"])

    def add(self, ldif):
        subprocess.run(["ldapadd", "-x", "-H", f"ldap://127.0.0.1:{self.port}", "-D", f"cn=admin,{self.suffix}",
                        "-w", "secret"], input=ldif.encode(), check=True, capture_output=True, timeout=30)

    def answers(self):
        subprocess.run(["ldapsearch", "-x", "-H", f"ldap://127.0.0.1:{self.port}", "-b", "", "-s", "base"],
                       check=True, capture_output=True, timeout=5)
        return True


class Program:
    """A program that answers socketmap: (netstrings) or tcp: questions out of a dict."""

    def __init__(self, values, protocol, port=0):
        self.values, self.protocol = values, protocol
        self.asked = []
        self.delay = 0
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.connections = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        file = connection.makefile("rb")
        try:
            while True:
                reply = self.socketmap(file) if self.protocol == "socketmap" else self.tcp(file)
                if reply is None:
                    return
                time.sleep(self.delay)
                connection.sendall(reply)
        except OSError:
            pass

    def socketmap(self, file):
        length = b""
        while (c := file.read(1)) not in (b":", b""):
            length += c
        if not length:
            return None
        name, _, key = file.read(int(length)).partition(b" ")
        file.read(1)
        self.asked.append(key)
        value = self.values.get(key)
        text = b"NOTFOUND " if value is None else value if value[:5] in (b"TEMP ", b"PERM ") else b"OK " + value
        return b"%d:%s," % (len(text), text)

    def tcp(self, file):
        from urllib.parse import quote_from_bytes, unquote_to_bytes
        line = file.readline()
        if not line:
            return None
        key = unquote_to_bytes(line[4:-1])
        self.asked.append(key)
        value = self.values.get(key)
        if value is None:
            return b"500 nothing\n"
        return b"400 later\n" if value[:5] == b"TEMP " else b"200 " + quote_from_bytes(value).encode() + b"\n"

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)     # or who waits in accept() would take one more
        except OSError:
            pass
        self.listener.close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()
