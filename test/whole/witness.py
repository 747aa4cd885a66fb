# SPDX-License-Identifier: ISC
"""What tests of rules that ask others need: a name server with zones of ours, a resolver before it, Postfix that asks it."""

import contextlib
import os
import re
import secrets
import shutil
import smtplib
import socket
import subprocess
import tempfile
import threading

from house import free_ports
from nameservers import Nsd, Unbound, answers

# The root itself, so that no delegation is needed, and what has name servers of its own.  Each client is an address
# of the loopback.
ZONES = [".", "client.example.", "good.example.", "spam.example."]
RECORDS = """ns.example. A 127.0.0.1
9.0.0.127.in-addr.arpa. PTR mail.client.example.
mail.client.example. A 127.0.0.9
client.example. MX 10 mx.client.example.
mx.client.example. A 192.0.2.5
ns.bad.example. A 192.0.2.66
10.0.0.127.in-addr.arpa. PTR forged.client.example.
forged.client.example. A 192.0.2.10
good.example. A 192.0.2.1
good.example. MX 10 mx.good.example.
mx.good.example. A 192.0.2.2
ns.good.example. A 192.0.2.3
plain.example. A 192.0.2.44
six.example. AAAA 2001:db8::44
onlytxt.example. TXT "nothing else"
nullmx.example. MX 0 .
badmx.example. MX 10 192.0.2.1.
brokenmx.example. MX 10 -gone.example.
alias.example. CNAME good.example.
badmxhost.example. MX 10 mx.spam.example.
mx.spam.example. A 192.0.2.99
deadmx.example. MX 10 gone.example.
backup.example. MX 10 primary.example.
backup.example. MX 20 mail.here.example.
primary.example. A 198.51.100.1
mail.here.example. A 203.0.113.25
; lists: rfc5782
2.0.0.127.dnsbl.example. A 127.0.0.2
9.0.0.127.dnsbl.example. A 127.0.0.4
9.0.0.127.dnsbl.example. TXT "Listed, see https://list.example/?ip=127.0.0.9"
10.0.0.127.dnsbl.example. A 127.0.0.10
9.0.0.127.dnswl.example. A 127.0.0.3
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.dnsbl.example. A 127.0.0.2
bad.example.rhsbl.example. A 127.0.0.2
bad.example.rhsbl.example. TXT "bad domain"
mail.client.example.rhsbl.example. A 127.0.0.2
forged.client.example.rhsbl.example. A 127.0.0.2
bad.example. A 192.0.2.77
"""
BROKEN = "broken.example"        # a zone whose server does not answer well: SERVFAIL


SERVERS = {".": "ns.example.", "client.example.": "ns.bad.example.", "good.example.": "ns.good.example.", "spam.example.": "ns.bad.example."}


def zone_text(zone, records):
    """The records that belong to this zone and to none below it."""
    def home(owner):
        return max((z for z in ZONES if z == "." or owner == z or owner.endswith("." + z)), key=len)
    lines = [line for line in records.splitlines() if line and line[0] != ";" and home(line.split()[0]) == zone]
    return "\n".join(["$TTL 5", f"{zone} IN SOA ns.example. host.example. 1 3600 600 86400 5",
                      f"{zone} IN NS {SERVERS[zone]}", *lines, ""])


class NameServer(Nsd):
    """nsd with the zones above, on port 53 of an address of the loopback that nobody else has, if `address` is given."""

    def __init__(self, records=RECORDS, address="127.0.0.1", port=None):
        super().__init__({BROKEN: None, **{zone: zone_text(zone, records) for zone in ZONES}}, address, port)


class Resolver(Unbound):
    """unbound, which asks that name server."""

    def __init__(self, server, address="127.0.0.1", port=None):
        super().__init__(server, """  module-config: "iterator"
  unblock-lan-zones: yes
  insecure-lan-zones: yes
  local-zone: "127.in-addr.arpa." nodefault
  local-zone: "2.0.192.in-addr.arpa." nodefault
""", address, port)


def own_address():
    """An address of the loopback for a server that must have port 53."""
    return f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}"


class Service(threading.Thread):
    """A policy service that answers with what `reply` makes of the attributes; None: silence; False: it hangs up."""

    def __init__(self, reply, path=None):
        super().__init__(daemon=True)
        self.reply, self.requests, self.connections = reply, [], 0
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(str(path))
            os.chmod(path, 0o777)
        else:
            self.socket = socket.socket()
            self.socket.bind(("127.0.0.1", 0))
            self.port = self.socket.getsockname()[1]
        self.socket.listen(50)
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rwb") as f:
            while True:
                lines = []
                while (line := f.readline()) not in (b"\n", b""):
                    lines.append(line.decode().rstrip("\n"))
                if line == b"":
                    return
                request = dict(l.split("=", 1) for l in lines)
                self.requests.append((lines, request))
                said = self.reply(request)
                if said is False:
                    return
                if said is not None:
                    f.write(said.encode() if isinstance(said, str) else said)
                    f.flush()

    def close(self):
        self.socket.close()


class Exchanger(threading.Thread):
    """A mail exchanger on that port of that address, which takes the recipients it has an answer for."""

    def __init__(self, address, answers, port=25):
        super().__init__(daemon=True)
        self.answers, self.asked, self.senders, self.letters = answers, [], [], 0
        self.socket = socket.create_server((address, port))
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.heard, args=(connection,), daemon=True).start()

    def heard(self, connection):
        with contextlib.suppress(ConnectionError):     # who has heard enough may go
            self.serve(connection)

    def serve(self, connection):
        with connection, connection.makefile("rwb") as f:
            def say(words):
                f.write(words.encode() + b"\r\n")
                f.flush()
            say("220 exchanger ESMTP")
            while line := f.readline().decode().strip():
                verb, _, rest = line.partition(" ")
                verb = verb.upper()
                if verb == "RCPT":
                    local = rest.partition("<")[2].partition("@")[0]
                    self.asked.append(local)
                    say(self.answers.get(local, "550 5.1.1 no such user"))
                elif verb == "MAIL":
                    self.senders.append(rest)
                    say("250 2.1.0 ok")
                elif verb == "DATA":
                    self.letters += 1
                    say("354 go on")
                elif verb == "QUIT":
                    say("221 bye")
                    return
                else:
                    say("250 ok")

    def close(self):
        self.socket.close()


MASTER = """{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - n n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """An instance in a directory of its own, which sees our name server in the place of the machine's."""

    def __init__(self, resolver, settings, services=""):
        self.home = tempfile.mkdtemp(prefix="beside-postfix-")
        os.chmod(self.home, 0o755)
        self.port = free_ports(1)[0]
        for name in ("etc", "queue", "data", "mail"):
            os.mkdir(f"{self.home}/{name}")
        shutil.chown(f"{self.home}/data", "postfix")
        with open(f"{self.home}/resolv.conf", "w") as f:
            f.write(f"nameserver {resolver}\noptions timeout:1 attempts:1\n")
        with open(f"{self.home}/etc/main.cf", "w") as f:
            f.write("".join(f"{n} = {v}\n" for n, v in settings.items()) + f"""
compatibility_level = 3.6
queue_directory = {self.home}/queue
data_directory = {self.home}/data
maillog_file = {self.home}/log
maillog_file_prefixes = {self.home}
inet_interfaces = 127.0.0.1
virtual_transport = discard:
relay_transport = discard:
default_database_type = hash
alias_database =
alias_maps =
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_client_connection_count_limit = 0
""")
        with open(f"{self.home}/etc/master.cf", "w") as f:
            f.write(MASTER.format(port=f"127.0.0.1:{self.port}") + services)
        subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c",
                        f"mount --bind {self.home}/resolv.conf /etc/resolv.conf && exec postfix -c {self.home}/etc start"],
                       check=True, capture_output=True, text=True, timeout=60)

    def close(self):
        subprocess.run(["postfix", "-c", f"{self.home}/etc", "stop"], capture_output=True, timeout=60)
        shutil.rmtree(self.home, ignore_errors=True)

    def log(self):
        try:
            with open(f"{self.home}/log") as f:
                return f.read()
        except FileNotFoundError:
            return ""


def ask(port, to, client="127.0.0.1", helo="mail.client.example", sender="jack@good.example", xclient=None, esmtp=True):
    """The reply to RCPT (or to what was refused before it), in words."""
    with smtplib.SMTP("127.0.0.1", port, timeout=30, source_address=(client, 0)) as s:
        if xclient:
            s.ehlo("trusted.example")
            said = s.docmd("XCLIENT", xclient)
            if said[0] != 220:
                return text(said)
        said = s.ehlo(helo) if esmtp else s.helo(helo)
        if said[0] != 250:
            return text(said)
        said = s.mail(sender)
        if said[0] != 250:
            return text(said)
        return text(s.rcpt(to))


def text(said):
    """Without the id that `mansio policy why` takes."""
    return re.sub(r" \(P[A-Z0-9]{10}\)$", "", f"{said[0]} {said[1].decode()}")
