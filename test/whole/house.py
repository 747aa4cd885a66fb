# SPDX-License-Identifier: ISC
"""A whole server in a directory of its own, for tests.

    with House() as house:
        house.command("domain", "add", "example.com")
        house.smtp().noop()

The binary is $MANSIO, or build/src/mansio.  Ports are free ones of the loopback.
As root every role has its own uid and cage, as in a real installation.
"""

import json
import os
import re
import pathlib
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time

from ports import free_ports

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("MANSIO", str(ROOT / "build/src/mansio"))
SERVICES = ["smtp", "submission", "submissions", "lmtp", "imap", "imaps", "pop3", "pop3s"]
PATIENCE = float(os.environ.get("MANSIO_PATIENCE", "20"))


def unnamed(reply):
    """A refusal without the id that `mansio policy why` explains."""
    assert not reply or re.search(r" \(P[0-9A-Z]{10}\)$", reply), reply
    return re.sub(r" \(P[0-9A-Z]{10}\)$", "", reply)


def wait_for(what, patience=PATIENCE):
    """Call until it gives something true, and give that."""
    end = time.monotonic() + patience
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"waited {patience} s for {what}")
        time.sleep(0.02)


def make_certificate(directory, name, kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
    """NAME-cert.pem and NAME-key.pem, self-signed."""
    cert, key = directory / f"{name}-cert.pem", directory / f"{name}-key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    key.chmod(0o600)
    return cert, key


class House:
    def __init__(self, user=None, wrapper=(), **settings):
        """`user`: run as this uid (a test as root); `wrapper`: words before the command;
        settings go into main.cf."""
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="mansio-test-"))
        self.user = user
        self.wrapper = list(wrapper)
        self.ports = dict(zip(SERVICES, free_ports(len(SERVICES))))
        self.config = self.directory / "main.cf"
        self.log = self.directory / "log"
        self.output = self.directory / "output"
        self.process = None
        cert, key = make_certificate(self.directory, "mail.example.com")
        self.settings = {
            "myhostname": "mail.example.com",
            "mail_directory": str(self.directory / "mail"),
            "maillog_file": str(self.log),
            "smtpd_tls_cert_file": str(cert),
            "smtpd_tls_key_file": str(key),
            "mynetworks": "",
            "queue_minfree": "1M",
            "smtpd_session_message_limit": "0",
            **{f"listen_{s}": f"127.0.0.1:{p}" for s, p in self.ports.items()},
            **settings,
        }
        self.write_settings()
        if user is not None:
            for path in [self.directory, *self.directory.iterdir()]:
                os.chown(path, user, user)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def write_settings(self, **changes):
        self.settings.update(changes)
        text = "".join(f"{n} = {v}\n" for n, v in self.settings.items() if v is not None)
        self.config.write_text(text)

    def start(self, wait=True):
        def become():
            if self.user is not None:
                os.setgroups([])
                os.setresgid(self.user, self.user, self.user)
                os.setresuid(self.user, self.user, self.user)
        before = self.count("daemon started")
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen([*self.wrapper, BINARY, "-c", self.config, "run"], preexec_fn=become,
                                            stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, start_new_session=True)
        if wait:
            wait_for(lambda: self.count("daemon started") > before or self.process.poll() is not None)
            if self.process.poll() is not None:
                raise RuntimeError(self.said() + self.text())
        return self.process

    def stop(self):
        """In order; gives the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()
        said, log = self.said(), self.text()
        shutil.rmtree(self.directory, ignore_errors=True)
        for words in ["AddressSanitizer", "runtime error", "panic:"]:
            if words in said or words in log:
                raise AssertionError(said + log)

    def said(self):
        """What the last start wrote to its standard output and error."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def count(self, words):
        return self.text().count(words)

    def command(self, *words, check=True, **more):
        done = subprocess.run([BINARY, "-c", self.config, *words], capture_output=True, text=True,
                              timeout=60, **more)
        if check and done.returncode != 0:
            raise RuntimeError(f"mansio {words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def status(self):
        """The processes as `mansio status --json` tells them."""
        return json.loads(self.command("status", "--json", check=False).stdout)["processes"]

    def at_work(self):
        """Everybody, once everybody is at work."""
        return wait_for(lambda: (s := self.status()) and all(p["state"] == "working" for p in s) and s)

    def smtp(self, service="smtp"):
        return smtplib.SMTP("127.0.0.1", self.ports[service], timeout=PATIENCE)
