# SPDX-License-Identifier: ISC
"""What a dialogue has of its own: a directory, files, a server, commands, people of the operating system."""

import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

SERVICES = {"smtp": 25, "lmtp": 24, "pop3": 110, "imap": 143, "submissions": 465, "submission": 587, "imaps": 993, "pop3s": 995}
CLASSIC = ("postconf postmap postalias newaliases mailq sendmail postqueue postsuper postcat").split()
OURS = ("doveadm doveconf maildirmake sasldblistusers2").split()
PATIENCE = 60
LOCK = threading.Lock()
TAKEN = set()


class Wrong(Exception):
    pass


def free_base():
    """A base port that no dialogue of this run has had, below those of other tests, with nobody on the ports of a demo."""
    with LOCK:
        for _ in range(500):
            base = 3000 + secrets.randbelow(10000 - max(SERVICES.values()) - 3000)
            ports = {base + n for n in SERVICES.values()}
            if not ports & TAKEN and all(unused(p) for p in ports):
                TAKEN.update(ports)
                return base
    raise Wrong("no free ports")


def ports_of(base):
    return {name: str(base + n) for name, n in SERVICES.items()}


def unused(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Output:
    """The lines a command has said, read like those of a connection."""

    protocol = "command"

    def __init__(self, text):
        self.lines = text.splitlines()
        self.left = list(self.lines)

    def line(self):
        if not self.left:
            raise Wrong("no more was said than: " + " | ".join(self.lines))
        return self.left.pop(0)

    def reply(self):
        return self.line()


class Own:
    def __init__(self, binary, password):
        self.binary, self.password = binary, password
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mansio-dialogue-"))
        self.dir.chmod(0o755)
        self.server, self.people, self.last, self.env, self.daemons = None, [], [], {}, []
        self.config = self.dir / "demo/main.cf"
        self.commands()

    def commands(self):
        """The commands by their own names, each for the server of this dialogue."""
        names = self.dir / "bin"
        names.mkdir()
        for name in CLASSIC:
            (names / name).symlink_to(self.binary)
        for name in ["mansio"] + OURS:
            words = "" if name == "mansio" else " " + name
            (names / name).write_text(f'#!/bin/sh\nexec {self.binary} -c {self.config}{words} "$@"\n')
            (names / name).chmod(0o755)

    def names(self):
        """What ${...} stands for."""
        known = {"dir": str(self.dir), "demo": str(self.dir / "demo"), "ca": str(self.dir / "demo/tls/ca.pem")}
        known.update({name: self.env.get(f"MANSIO_{name.upper()}_PORT", "") for name in SERVICES})
        return known

    def start(self, settings):
        """The server, with these settings; its env.  A port that somebody took meanwhile is no reason to give up."""
        for _ in range(3):
            words = [self.binary, "demo", "--dir", self.dir / "demo", "--base-port", str(free_base()), "--password", self.password]
            for line in settings:
                name, _, value = line.partition("=")
                words += ["--set", f"{name.strip()}={value.strip()}"]
            (self.dir / "demo/ready").unlink(missing_ok=True)
            with open(self.dir / "server-said", "ab") as said:
                self.server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
            end = time.monotonic() + PATIENCE
            while not (self.dir / "demo/ready").exists() and self.server.poll() is None and time.monotonic() < end:
                time.sleep(0.05)
            if (self.dir / "demo/ready").exists():
                with open(self.dir / "demo/demo.env") as f:
                    self.env = dict(line.rstrip("\n").split("=", 1) for line in f if "=" in line)
                return self.env
            self.stop()
        raise Wrong("the server did not start: " + (self.dir / "server-said").read_text(errors="replace")[-2000:])

    def stop(self):
        if self.server is not None:
            if self.server.poll() is None:
                self.server.send_signal(signal.SIGTERM)
            try:
                self.server.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
        self.server = None

    def write(self, path, lines):
        path = self.dir / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line + "\n" for line in lines))
        path.chmod(0o644)

    def person(self):
        """Somebody of the operating system: a name and a home, until the dialogue is over."""
        name = "m" + secrets.token_hex(4)
        self.people.append(name)
        with LOCK:
            done = self.run(f"useradd -d {self.dir}/{name} -m -s /bin/sh {name}")
        if done.returncode != 0:
            raise Wrong("useradd: " + done.stdout)
        return name

    def surroundings(self):
        return dict(os.environ, PATH=f"{self.dir}/bin:{os.environ.get('PATH', '')}:/usr/sbin:/sbin", MAIL_CONFIG=str(self.config.parent),
                    MANSIO_BIN=self.binary, LC_ALL="C.UTF-8")

    def daemon(self, command):
        """Something else that runs until the dialogue is over."""
        with open(self.dir / "daemons-said", "ab") as said:
            self.daemons.append(subprocess.Popen(["/bin/bash", "-c", command], cwd=self.dir, env=self.surroundings(),
                                                 stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True))

    def run(self, command):
        try:
            return subprocess.run(["/bin/bash", "-c", command], cwd=self.dir, env=self.surroundings(), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="backslashreplace", timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise Wrong(f"{command}: did not end in {PATIENCE} seconds")

    def command(self, wanted, command):
        """What it says, if it ends as wanted."""
        done = self.run(command)
        if done.returncode != wanted:
            raise Wrong(f"{command}\n         ended with {done.returncode}, not {wanted}: {done.stdout}")
        return Output(done.stdout)

    def until(self, command):
        """The same, as soon as it ends well."""
        end = time.monotonic() + PATIENCE
        while True:
            done = self.run(command)
            if done.returncode == 0:
                return Output(done.stdout)
            if time.monotonic() > end:
                raise Wrong(f"{command}\n         never came true: {done.stdout}\n{self.tail('daemons-said')}{self.tail('demo/mail.log')}")
            time.sleep(0.1)

    def tail(self, name):
        path = self.dir / name
        return path.read_text(errors="replace")[-1500:] if path.exists() else ""

    def close(self):
        for command in self.last:
            self.run(command)
        self.stop()
        for process in self.daemons:
            try:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(10)
            except ProcessLookupError:
                pass
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for name in self.people:
            with LOCK:
                self.run(f"userdel -r -f {name}; rm -rf /var/mail/{name}; true")
        shutil.rmtree(self.dir, ignore_errors=True)
