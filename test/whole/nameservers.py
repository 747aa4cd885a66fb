# SPDX-License-Identifier: ISC
"""Debian's name servers, for the zones of a test.

    server = Nsd({".": records}, sign=["."])      nsd; server.port, server.anchor (of the last zone signed)
    server = Knot(records)                        knot with the zone of everything, which it signs itself; the same
    resolver = Unbound(server, lines)             unbound, which asks it for everything

Both have address, port, start(), stop() and close(), which takes their directory away; as `with` they close themselves.
"""

import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

from house import free_ports, wait_for


def answers(address, port):
    """Whether a name server is there: it knows the root."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.5)
        try:
            s.sendto(struct.pack(">6HB2H", 1, 0x0100, 1, 0, 0, 0, 0, 6, 1), (address, port))
            return s.recv(4096)
        except OSError:
            return None


class Server:
    """A program with a file of settings in a directory of its own.  A port that was free may be somebody's by now: then at another."""
    flags = ["-d"]

    def __init__(self, address, port):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="mansio-names-"))
        self.directory.chmod(0o755)
        self.address, self.fixed, self.port = address, port, port
        self.process = None

    def start(self):
        for _ in range(10):
            self.port = self.fixed or self.port or free_ports(1)[0]
            conf = self.directory / "conf"
            conf.write_text(self.conf())
            self.process = subprocess.Popen([self.program, *self.flags, "-c", conf], cwd=self.directory, stderr=subprocess.DEVNULL)
            wait_for(lambda: self.process.poll() is not None or answers(self.address, self.port))
            if self.process.poll() is None:
                return
            self.port = None
        raise RuntimeError(f"{self.program} does not start at {self.address}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    def close(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Nsd(Server):
    """`zones`: texts by name, whose lines of the owner itself (SOA, NS) are made unless they are there; None: one that cannot be loaded,
    SERVFAIL to everything below it.  `sign`: names of those that are signed; `spoil`: (pattern, with what it is replaced) in a signed one."""
    program = "nsd"

    def __init__(self, zones, address="127.0.0.1", port=None, sign=(), spoil=()):
        super().__init__(address, port)
        self.zones = list(zones)
        for i, (zone, text) in enumerate(zones.items()):
            self.write(i, zone, text)
            if zone in sign:
                self.sign(i, zone, spoil)
        self.start()

    def write(self, i, zone, text):
        head = "$TTL 5\n"
        if text is not None and " SOA " not in text:
            head += f"{zone} IN SOA ns.example. host.example. 1 3600 600 86400 5\n{zone} IN NS ns.example.\n"
        (self.directory / f"zone{i}").write_text(head + (text or ""))

    def sign(self, i, zone, spoil):
        def run(*words):
            subprocess.run(words, cwd=self.directory, check=True, capture_output=True)
        run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", zone)
        run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", zone)
        run("dnssec-signzone", "-q", "-S", "-o", zone, "-f", "signed", f"zone{i}")
        signed = (self.directory / "signed").read_text()
        for pattern, other in spoil:
            signed, n = re.subn(pattern, other, signed)
            assert n > 0, pattern
        (self.directory / f"zone{i}").write_text(signed)
        self.anchor = self.directory / "anchor"
        self.anchor.write_text((self.directory / f"dsset-{zone}").read_text())

    def conf(self):
        return f"""server:
  ip-address: {self.address}@{self.port}
  username: ""
  zonesdir: "{self.directory}"
  pidfile: "{self.directory}/pid"
  zonelistfile: "{self.directory}/list"
  xfrdfile: "{self.directory}/xfrd"
  xfrdir: "{self.directory}"
  server-count: 1
remote-control:
  control-enable: no
""" + "".join(f'zone:\n  name: "{zone}"\n  zonefile: "zone{i}"\n' for i, zone in enumerate(self.zones))


class Knot(Server):
    """`text`: all there is below the root; knot makes the keys and the signatures."""
    program, flags = "knotd", []

    def __init__(self, text, address="127.0.0.1", port=None):
        super().__init__(address, port)
        (self.directory / "db").mkdir()
        (self.directory / "root.zone").write_text("$TTL 5\n. IN SOA ns.example. host.example. 1 3600 600 86400 5\n. IN NS ns.example.\nns.example. A 127.0.0.1\n" + text)
        self.start()
        # Each line a DS record of the root; the first answer that is signed comes when the keys are there.
        self.anchor = self.directory / "anchor"
        wait_for(lambda: self.ds().count(" DS ") > 0)
        self.anchor.write_text(self.ds())

    def ds(self):
        done = subprocess.run(["keymgr", "-c", self.directory / "conf", ".", "ds"], capture_output=True, text=True)
        return "".join(line + "\n" for line in done.stdout.splitlines() if " DS " in line)

    def conf(self):
        return f"""server:
  listen: {self.address}@{self.port}
  rundir: "{self.directory}"
  pidfile: "{self.directory}/pid"
database:
  storage: "{self.directory}/db"
policy:
  - id: here
    algorithm: ecdsap256sha256
    single-type-signing: on
zone:
  - domain: "."
    storage: "{self.directory}"
    file: "root.zone"
    zonefile-sync: -1
    zonefile-load: difference
    journal-content: all
    dnssec-signing: on
    dnssec-policy: here
"""


class Unbound(Server):
    """unbound, which asks `server` (an Nsd).  `lines`: what its clause `server` says beside the usual."""
    program = "unbound"

    def __init__(self, server, lines, address="127.0.0.1", port=None):
        super().__init__(address, port)
        self.server, self.lines = server, lines
        self.start()

    def conf(self):
        return f"""server:
  interface: {self.address}@{self.port}
  chroot: ""
  username: ""
  directory: "{self.directory}"
  pidfile: "{self.directory}/pid"
  use-syslog: no
  do-not-query-localhost: no
  do-daemonize: no
  local-zone: "example." nodefault
  num-threads: 1
{self.lines}remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: {self.server.address}@{self.server.port}
"""
