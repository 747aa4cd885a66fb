# SPDX-License-Identifier: ISC
"""A running `mansio demo`, and what the tests of real mail programs need around it."""

import email.message
import imaplib
import os
import pathlib
import secrets
import signal
import smtplib
import socket
import ssl
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("MANSIO", str(ROOT / "build/src/mansio"))
HOST = "mail.example.com"
PORTS = [25, 24, 110, 143, 465, 587, 993, 995]
PATIENCE = 20


def wait_for(what, patience=PATIENCE):
    """Call until it gives something true, and give that."""
    end = time.monotonic() + patience
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"waited {patience} s in vain")
        time.sleep(0.05)


def free_base():
    """A base port whose services nobody listens on, below those of other tests (ports.py) and those the kernel gives away."""
    for _ in range(200):
        base = 3000 + secrets.randbelow(10000 - max(PORTS) - 3000)
        sockets = []
        try:
            for port in PORTS:
                s = socket.socket()
                sockets.append(s)
                s.bind(("127.0.0.1", base + port))
            return base
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    raise RuntimeError("no free ports")


def open_to_all(path):
    """A program that runs as somebody else may walk to here; never is /tmp itself touched."""
    for above in [path, *path.parents]:
        if "pytest" in str(above) and above.stat().st_uid == os.getuid():
            above.chmod(0o755)


def word():
    """Something to find a letter by."""
    return "w" + secrets.token_hex(6)


def letter(subject, body="Hello.\n", sender="jack@example.com", to="jill@example.com"):
    m = email.message.EmailMessage()
    m["From"], m["To"], m["Subject"] = sender, to, subject
    m["Message-ID"] = f"<{subject}@test.example.org>"
    m["Date"] = "Sun, 22 Nov 2026 12:00:00 +0000"
    m.set_content(body)
    return m


class Demo:
    """`mansio demo` in a directory; start() again serves the same mail."""

    def __init__(self, directory, *more, base=None, password="way-station"):
        self.dir = pathlib.Path(directory)
        self.base = base or free_base()
        self.more = list(more)
        self.password = password
        self.process = None

    def start(self):
        (self.dir / "ready").unlink(missing_ok=True)        # of one that died suddenly
        self.output = open(str(self.dir) + ".output", "ab")
        self.process = subprocess.Popen(
            [BINARY, "demo", "--dir", self.dir, "--base-port", str(self.base), "--password", self.password,
             *self.more], stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT,
            start_new_session=True)
        wait_for(lambda: (self.dir / "ready").exists() or self.process.poll() is not None, 60)
        if self.process.poll() is not None:
            raise RuntimeError(self.said())
        self.read_env()
        return self

    def read_env(self):
        self.env = dict(line.split("=", 1) for line in (self.dir / "demo.env").read_text().splitlines())
        self.config = self.env["MANSIO_CONFIG"]
        self.ca = self.env["MANSIO_CA"]
        self.pid = int(self.env["MANSIO_PID"])

    def said(self):
        return pathlib.Path(str(self.dir) + ".output").read_text(errors="replace")

    def log(self):
        return (self.dir / "mail.log").read_text(errors="replace")

    def stop(self, number=signal.SIGTERM):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(90)
        self.process = None
        self.output.close()
        return status

    def port(self, service):
        return int(self.env[f"MANSIO_{service.upper()}_PORT"])

    def command(self, *words, check=True, **more):
        more.setdefault("stdin", subprocess.DEVNULL if "input" not in more else None)
        if "input" in more:
            del more["stdin"]
        done = subprocess.run([BINARY, "-c", self.config, *words], capture_output=True, text=True, timeout=60, **more)
        if check and done.returncode != 0:
            raise RuntimeError(f"mansio {words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def trust(self):
        return ssl.create_default_context(cafile=self.ca)

    def smtp(self, service="smtp", user=None):
        if service == "submissions":
            s = smtplib.SMTP_SSL("127.0.0.1", self.port(service), timeout=PATIENCE, context=self.local())
        else:
            s = smtplib.SMTP("127.0.0.1", self.port(service), timeout=PATIENCE)
        if service == "submission":
            s.starttls(context=self.local())
        if user:
            s.login(f"{user}@example.com", self.password)
        return s

    def local(self):
        """A context for a client that connects to 127.0.0.1, which the certificate names."""
        return self.trust()

    def send(self, message, sender="jack@example.com", to="jill@example.com"):
        """As a stranger, by SMTP."""
        with self.smtp() as s:
            return s.sendmail(sender, to if isinstance(to, list) else [to], message.as_bytes())

    def imap(self, user="jill", password=None):
        box = imaplib.IMAP4_SSL("127.0.0.1", self.port("imaps"), ssl_context=self.local(), timeout=PATIENCE)
        box.login(user if "@" in user else f"{user}@example.com", password or self.password)
        return box

    def find(self, subject, user="jill", folder="INBOX", patience=PATIENCE, password=None):
        """The letter with this subject, once it is there: its bytes."""
        box = self.imap(user, password)

        def look():
            assert box.select(folder)[0] == "OK"
            found = box.search(None, "SUBJECT", subject)[1][0].split()
            return found and box.fetch(found[0], "(BODY.PEEK[])")[1][0][1]
        try:
            return wait_for(look, patience)
        finally:
            box.logout()

    def count(self, subject, user="jill", folder="INBOX"):
        box = self.imap(user)
        box.select(folder, readonly=True)
        n = len(box.search(None, "SUBJECT", subject)[1][0].split())
        box.logout()
        return n

    def processes(self):
        import json
        return json.loads(self.command("status", "--json", check=False).stdout)["processes"]
