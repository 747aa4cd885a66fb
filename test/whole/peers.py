# SPDX-License-Identifier: ISC
"""Other mail servers that Debian does not let live beside Postfix: Exim and OpenSMTPD, out of their packages (scripts/install-packages
unpacks them into $MANSIO_PEERS), each in a namespace where their users and directories are.

    with Exim(mine=port) as exim:          # mine: our own, which gets what is not for there.example
        exim.port; exim.has("b@there.example"); exim.got(); exim.log()

Both take mail for there.example but for bad@ (550); Exim puts later@ off (451), and jack, way-station, may log in there.  OpenSMTPD
6.8 of Debian 12 offers STARTTLS and cannot do the handshake with the OpenSSL it is linked with.
"""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile

from house import free_ports, make_certificate, wait_for

PEERS = pathlib.Path(os.environ.get("MANSIO_PEERS", "/usr/local/lib/mansio-test-peers"))

APART = """set -e
cd {home}
cp -a /etc etc 2>/dev/null || true   # what others make and take away meanwhile is not missed
cat /etc/passwd - > etc/passwd <<'X'
Debian-exim:x:8801:8801::/var/spool/exim4:/usr/sbin/nologin
opensmtpd:x:8802:8802::/var/lib/opensmtpd/empty:/usr/sbin/nologin
opensmtpq:x:8803:8803::/var/lib/opensmtpd/empty:/usr/sbin/nologin
X
cat /etc/group - > etc/group <<'X'
Debian-exim:x:8801:
opensmtpd:x:8802:
opensmtpq:x:8803:
X
chmod 644 etc/passwd etc/group
# The directory: useradd renames a new file over /etc/passwd, and what is mounted on a file goes when another is put in its place.
mount --bind etc /etc
for d in /usr/libexec /var/lib /var/spool /run; do mount -t tmpfs -o mode=755 none $d; done
mkdir -p /var/lib/opensmtpd/empty /usr/libexec/opensmtpd /var/spool/smtpd
chmod 711 /var/spool/smtpd /var/lib/opensmtpd/empty
mount --bind {peers}/usr/libexec/opensmtpd /usr/libexec/opensmtpd 2>/dev/null || mount --bind {peers}/usr/lib/x86_64-linux-gnu/opensmtpd /usr/libexec/opensmtpd
exec "$@"
"""


def missing():
    """Why there are none here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if not (PEERS / "usr/sbin/exim4").exists() or not (PEERS / "usr/sbin/smtpd").exists():
        return f"scripts/install-packages test puts Exim and OpenSMTPD into {PEERS}"
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        return "needs a mount namespace"
    return None


class Peer:
    name = "there.example"

    def __init__(self, mine=0):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="mansio-peer-"))
        self.home.chmod(0o755)
        self.port = free_ports(1)[0]
        self.mine = mine
        self.mail = self.home / "mail"
        self.mail.mkdir()
        self.mail.chmod(0o777)
        (self.home / "apart").write_text(APART.format(home=self.home, peers=PEERS))
        self.certificate = make_certificate(self.home, self.name, ("rsa:2048",))         # OpenSMTPD 6.8 has no other
        self.process = None

    def run(self, *words):
        return subprocess.Popen(["unshare", "-m", "sh", self.home / "apart", *words], stdin=subprocess.DEVNULL,
                                stdout=open(self.home / "output", "ab"), stderr=subprocess.STDOUT, start_new_session=True)

    def __enter__(self):
        self.prepare()
        self.process = self.begin()

        def up():
            if self.process.poll() is not None:
                raise RuntimeError(self.log())
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                return False
        try:
            wait_for(up, 30)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, 15)
            self.process.wait(20)
        shutil.rmtree(self.home, ignore_errors=True)

    def got(self):
        """All that it has taken, one letter behind another, each with Envelope-to or Delivered-To."""
        path = self.mail / "all"
        return path.read_text(errors="replace") if path.exists() else ""

    def has(self, to):
        return len(re.findall(rf"^(?:Envelope-to|Delivered-To): {re.escape(to)}$", self.got(), re.M))

    def log(self):
        return "".join(p.read_text(errors="replace") for p in [self.home / "output", *self.home.glob("log/*")] if p.exists())


class Exim(Peer):
    def prepare(self):
        cert, key = self.certificate
        for name in ("spool", "log"):
            (self.home / name).mkdir()
        for path in (self.home / "spool", self.home / "log", self.mail, cert, key):
            os.chown(path, 8801, 8801)
        (self.home / "exim.conf").write_text(rf"""primary_hostname = {self.name}
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = {self.home}/spool
log_file_path = {self.home}/log/%slog
log_selector = +smtp_protocol_error +smtp_syntax_error +received_recipients +tls_cipher
daemon_smtp_ports = {self.port}
local_interfaces = 127.0.0.1
acl_smtp_rcpt = rcpt
acl_smtp_mail = accept
host_lookup =
rfc1413_query_timeout = 0s
chunking_advertise_hosts = *
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
tls_advertise_hosts = *
tls_certificate = {cert}
tls_privatekey = {key}
auth_advertise_hosts = *
keep_environment =
exim_path = {PEERS}/usr/sbin/exim4
begin acl
rcpt:
  deny domains = {self.name}
       local_parts = bad
       message = 5.1.1 no such user here
  defer domains = {self.name}
       local_parts = later
       message = 4.2.1 later
  deny local_parts = members
       message = 5.7.1 for those who log in
       !authenticated = *
  accept
begin routers
here:
  driver = accept
  domains = {self.name}
  transport = keep
elsewhere:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = mine
begin transports
keep:
  driver = appendfile
  file = {self.home}/mail/all
  envelope_to_add = true
  return_path_add = true
  user = Debian-exim
mine:
  driver = smtp
  port = {self.mine or 25}
  hosts_try_chunking = *
begin retry
* * F,1h,1s
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${{if and{{{{eq{{$auth2}}{{jack}}}}{{eq{{$auth3}}{{way-station}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| User Name | Password
  server_condition = ${{if and{{{{eq{{$auth1}}{{jack}}}}{{eq{{$auth2}}{{way-station}}}}}}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${{if eq{{$auth1}}{{jack}}{{way-station}}fail}}
  server_set_id = $auth1
""")

    def begin(self):
        return self.run(PEERS / "usr/sbin/exim4", "-C", self.home / "exim.conf", "-bdf", "-q1m")


class EximThatAsks(Exim):
    """Who may log in it asks an auth socket of Dovecot's protocol (Exim's `dovecot` driver)."""

    heavy = PEERS / "heavy"

    def __init__(self, socket, mine=0):
        super().__init__(mine)
        self.socket = socket

    def prepare(self):
        super().prepare()
        path = self.home / "exim.conf"
        text = path.read_text().split("begin authenticators")[0].replace("keep_environment =", "keep_environment = LD_LIBRARY_PATH")
        path.write_text(text.replace(f"{PEERS}/usr/sbin/exim4", f"{self.heavy}/usr/sbin/exim4") + "begin authenticators\n" + "".join(
            f"{name[:4].lower()}:\n  driver = dovecot\n  public_name = {name}\n  server_socket = {self.socket}\n  server_set_id = $auth1\n"
            for name in ("PLAIN", "LOGIN", "CRAM-MD5")))

    def begin(self):
        libraries = next(self.heavy.rglob("libspf2.so.2")).parent
        return self.run("env", f"LD_LIBRARY_PATH={libraries}", self.heavy / "usr/sbin/exim4", "-C", self.home / "exim.conf", "-bdf")


class OpenSmtpd(Peer):
    def prepare(self):
        cert, key = self.certificate
        subprocess.run(["chown", "0:0", cert, key], check=True)
        (self.home / "smtpd.conf").write_text(f"""pki here cert "{cert}"
pki here key "{key}"
table there {{ "b@{self.name}", "u1@{self.name}", "u2@{self.name}", "jack@{self.name}" }}
listen on 127.0.0.1 port {self.port} hostname {self.name} tls pki here
table nobody {{ "@" = "nobody" }}
action keep mda "cat >> {self.mail}/all" virtual <nobody>
action out relay host smtp://127.0.0.1:{self.mine or 25}
match from any for domain "{self.name}" rcpt-to <there> action keep
match from any for domain "example.com" action out
""")
        (self.home / "smtpd.conf").chmod(0o600)

    def begin(self):
        return self.run(PEERS / "usr/sbin/smtpd", "-d", "-f", self.home / "smtpd.conf")
