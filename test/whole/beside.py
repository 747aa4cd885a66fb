# SPDX-License-Identifier: ISC
"""A Postfix beside us: tables that both read, an instance of it with a service for every case, and what is said to each, so that
the replies can be compared.

    with tables_of(TABLES) as tables:
        postfix = Postfix(tables, {"a case": ({"smtpd_...": "..."}, said)}, "more = settings\n")
        theirs = Talk(postfix.ports["a case"]).all(said)
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile

from ports import free_ports

MASTER = """{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
smtp unix - - n - - smtp
discard unix - - n - - discard
local unix - n n - - local
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@contextlib.contextmanager
def tables_of(texts, **as_they_stand):
    """A directory of tables: `aliases` by postalias, others by postmap, and those that are read as they stand, as pcre."""
    at = tempfile.mkdtemp(prefix="beside-tables-")
    os.chmod(at, 0o755)
    try:
        for name, text in {**texts, **as_they_stand}.items():
            with open(f"{at}/{name}", "w") as f:
                f.write(text)
            if name not in as_they_stand:
                subprocess.run(["postalias" if name == "aliases" else "postmap", f"hash:{at}/{name}"], check=True)
        yield at
    finally:
        shutil.rmtree(at, ignore_errors=True)


class Instance:
    """A Postfix in a directory of its own, `home`, with these settings over what each has, and these services; {home} is where it is."""

    def __init__(self, settings, services):
        self.home = tempfile.mkdtemp(prefix="beside-postfix-")
        os.chmod(self.home, 0o755)
        for name in ("etc", "queue", "data", "mail"):
            os.mkdir(f"{self.home}/{name}")
        os.chmod(f"{self.home}/mail", 0o1777)
        shutil.chown(f"{self.home}/data", "postfix")
        # Each name once: every process warns of a second one, and postlogd, which hears of it all, waits for itself when there are many.
        said = {"compatibility_level": "3.6", "queue_directory": "{home}/queue", "data_directory": "{home}/data", "maillog_file": "{home}/log",
                "maillog_file_prefixes": "{home}", "inet_interfaces": "127.0.0.1", "smtpd_peername_lookup": "no", "default_database_type": "hash",
                "alias_database": "", **settings}
        with open(f"{self.home}/etc/main.cf", "w") as f:
            f.writelines(f"{name} = {value}\n".replace("{home}", self.home) for name, value in said.items())
        with open(f"{self.home}/etc/master.cf", "w") as f:
            f.write(services)
        subprocess.run(["postfix", "-c", f"{self.home}/etc", "start"], check=True, capture_output=True, timeout=60)

    def close(self):
        subprocess.run(["postfix", "-c", f"{self.home}/etc", "stop"], capture_output=True, timeout=60)
        shutil.rmtree(self.home, ignore_errors=True)

    def log(self):
        try:
            with open(f"{self.home}/log") as f:
                return f.read()
        except FileNotFoundError:
            return ""


# What every instance has besides its receivers.
SERVICES = "\n".join(line for line in MASTER.split("\n") if "{port}" not in line) + "\n"


def named(text):
    """The settings in lines of main.cf."""
    return {name.strip(): value.strip() for name, is_one, value in (line.partition("=") for line in text.splitlines()) if is_one}


class Postfix(Instance):
    """With a receiver for each case."""

    def __init__(self, tables, cases, settings=None):
        self.ports = dict(zip(cases, free_ports(len(cases))))
        services = SERVICES
        for case, port in self.ports.items():
            services += f"127.0.0.1:{port} inet n - n - - smtpd\n"
            for name, value in cases[case][0].items():
                if value is not None:
                    services += f"  -o {{ {name} = {value.format(t=tables)} }}\n"
        away = {f"{kind}_transport": "discard:" for kind in ("local", "virtual", "relay", "default")}
        super().__init__({**named(settings_for(tables)), **away, **named(settings or "")}, services)


def settings_for(tables):
    return f"""
myhostname = mail.here.example
mydomain = here.example
myorigin = $mydomain
mydestination = $myhostname, here.example
recipient_delimiter = +
alias_maps = hash:{tables}/aliases
local_recipient_maps = $alias_maps
relay_domains = relay.example
relay_recipient_maps =
mynetworks = 198.51.100.0/24
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_sasl_auth_enable = no
"""


class Talk:
    """What is said, and every reply by its code, its status and its words."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.file = self.sock.makefile("rb")

    def reply(self):
        while True:
            line = self.file.readline().decode()
            if line[3:4] != "-":
                return line.rstrip("\r\n")

    def all(self, commands):
        said = [self.reply()]
        for command in commands:
            self.sock.sendall(command.encode() + b"\r\n")
            said += [self.reply() for _ in command.split("\r\n")]
        self.sock.close()
        return [plain(line) for line in said]


def plain(line):
    """Without names of servers, ids of letters and of refusals."""
    line = re.sub(r" \(P[A-Z2-9]{10}\)", "", line)
    if line[:1] in "23":
        return line[:3]
    line = line.replace("localhost[127.0.0.1]", "unknown[127.0.0.1]")
    return re.sub(r"mail\.(here\.)?example(\.com)?", "HOST", line)
