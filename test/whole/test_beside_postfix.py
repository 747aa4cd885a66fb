# SPDX-License-Identifier: ISC
"""The same settings and tables given to Postfix and to us: what each says at RCPT, and where the copies go.

Postfix runs as an instance of its own in a directory under /tmp, on the loopback; everything it would deliver it
throws away (discard), but its log says to whom.  Where we mean to differ the row says so, and why.
"""

import os
import re
import shutil
import smtplib
import subprocess
import tempfile

import pytest
from beside import MASTER, tables_of
from house import House, free_ports, unnamed, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

SETTINGS = """
myhostname = mail.here.example
mydomain = here.example
myorigin = $mydomain
mydestination = $myhostname, here.example
recipient_delimiter = +
alias_maps = hash:{tables}/aliases
virtual_alias_domains = virt.example, wild.example, swap.example
virtual_alias_maps = hash:{tables}/virtual
virtual_mailbox_domains = vm.example, caught.example
virtual_mailbox_maps = hash:{tables}/mailbox
relay_domains = relay.example
relay_recipient_maps = hash:{tables}/relay
relocated_maps = hash:{tables}/relocated
canonical_maps = hash:{tables}/canonical
canonical_classes = envelope_recipient
"""
TABLES = {
    "virtual": """one@virt.example u@vm.example
two@virt.example u@vm.example, out@else.example
tag+a@virt.example out@else.example
chain@virt.example two@virt.example
self@vm.example self@vm.example, u@vm.example
named@virt.example Somebody <u@vm.example>
blank@virt.example u@vm.example out@else.example
local@virt.example daemon
vlist@virt.example u@vm.example, out@else.example
owner-vlist@virt.example daemon
@wild.example u@vm.example
@swap.example @vm.example
games games@else.example
""",
    "mailbox": "u@vm.example vm/u/\nself@vm.example vm/self/\n@caught.example caught/all/\n",
    "relay": "known@relay.example x\n",
    "relocated": "old@vm.example new@else.example\n",
    "canonical": "first.last@vm.example u@vm.example\n@legacy.example @vm.example\n",
    "aliases": """postmaster: root
root: u@vm.example
staff: u@vm.example, out@else.example
deep: staff, daemon
ring: rung
rung: ring
daemon: daemon
list: u@vm.example, out@else.example
owner-list: daemon
twice: u@vm.example, u+x@vm.example, staff
named: Some Body <u@vm.example>, (remark) out@else.example
""",
}
# Addresses, and "": as Postfix does, or why not.
ADDRESSES = [
    "one@virt.example", "two@virt.example", "one+x@virt.example", "tag+a@virt.example", "chain@virt.example",
    "nobody@virt.example", "any@wild.example", "u@swap.example", "ONE@Virt.Example", "named@virt.example",
    "u@vm.example", "u+t@vm.example", "self@vm.example", "nobody@vm.example", "x@caught.example",
    "first.last@vm.example", "first.last+x@vm.example", "old@vm.example",
    "known@relay.example", "nobody@relay.example", "x@else.example",
    "root@here.example", "staff@here.example", "staff+x@here.example", "nobody1@here.example", "games@here.example",
    "blank@virt.example", "deep@here.example", "list@here.example", "twice@here.example", "named@here.example",
    "daemon@mail.here.example", "local@virt.example", "root@mail.here.example", "postmaster@here.example",
]


class Postfix:
    """An instance in a directory of its own."""

    def __init__(self, tables, **instead):
        """`instead`: settings that are others here, each name once in its file."""
        self.home = tempfile.mkdtemp(prefix="beside-postfix-")
        os.chmod(self.home, 0o755)
        self.port = free_ports(1)[0]
        for name in ("etc", "queue", "data", "mail"):
            os.mkdir(f"{self.home}/{name}")
        os.chmod(f"{self.home}/mail", 0o1777)
        shutil.chown(f"{self.home}/data", "postfix")
        text = SETTINGS.format(tables=tables) + f"""
compatibility_level = 3.6
queue_directory = {self.home}/queue
data_directory = {self.home}/data
maillog_file = {self.home}/log
maillog_file_prefixes = {self.home}
inet_interfaces = 127.0.0.1
mynetworks = 192.0.2.1
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
virtual_transport = discard:
relay_transport = discard:
default_transport = discard:
mail_spool_directory = {self.home}/mail/
default_database_type = hash
alias_database =
"""
        names = dict(line.split(" =", 1) for line in text.splitlines() if line) | {n: f" {v}" for n, v in instead.items()}
        with open(f"{self.home}/etc/main.cf", "w") as f:
            f.writelines(f"{n} ={v}\n" for n, v in names.items())
        with open(f"{self.home}/etc/master.cf", "w") as f:
            f.write(MASTER.format(port=f"127.0.0.1:{self.port}"))
        self.run("postfix", "-c", f"{self.home}/etc", "start")

    def run(self, *words):
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)

    def close(self):
        subprocess.run(["postfix", "-c", f"{self.home}/etc", "stop"], capture_output=True, timeout=60)
        shutil.rmtree(self.home, ignore_errors=True)

    def log(self):
        try:
            with open(f"{self.home}/log") as f:
                return f.read()
        except FileNotFoundError:
            return ""


@pytest.fixture(scope="module")
def both():
    with tables_of(TABLES) as tables:
        postfix = Postfix(tables)
        settings = dict(line.split(" = ", 1) for line in SETTINGS.format(tables=tables).strip().split("\n"))
        try:
            # Postfix has mailboxes for daemon and games.
            with House(**settings, first_valid_uid="1") as house:
                wait_for(lambda: rcpt(house.smtp(), "x@else.example"))
                yield postfix, house
        finally:
            postfix.close()


def rcpt(smtp, address):
    """The reply to RCPT by its meaning: code, and what is behind the colon."""
    with smtp:
        smtp.ehlo("test.example")
        smtp.mail("sender@test.example")
        code, text = smtp.rcpt(address)
    text = text.decode()
    return code, text[:5], text.rpartition(": ")[2] if code != 250 else ""


def ends_of_postfix(postfix, address):
    """To whom the copies went, by the log of Postfix: what is not forwarded any more."""
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=20) as s:
        s.ehlo("test.example")
        s.mail("sender@test.example")
        s.rcpt(address)
        queued = s.data(b"Subject: x\r\n\r\nx\r\n")[1].decode().split()[-1]
    ids, found = [queued], set()
    for _ in range(20):
        for this in list(ids):
            wait_for(lambda: f"{this}: removed" in postfix.log())
        text = postfix.log()
        found = set()
        for this in ids:
            for to, rest in re.findall(rf"{this}: to=<([^>]*)>.*?status=(.*)", text):
                again = re.search(r"forwarded as (\w+)", rest)
                if again is None:
                    found.add(bare(to))
                elif again.group(1) not in ids:
                    ids.append(again.group(1))
        if all(f"{this}: removed" in text for this in ids):
            return found
    return found


# A detail is taken off where the mailbox has one owner (both deliver to the same mailbox).
def bare(address):
    local, _, domain = address.lower().partition("@")
    return local.split("+")[0] + "@" + domain


def ends_of_ours(house, address):
    said = house.command("address", "test", address).stdout
    return {bare(to) for to in re.findall(r"^goes to: (\S+)", said, re.M)}


# What we mean to do otherwise, and why.
OTHERWISE = {
    "x@caught.example": "what @domain catches has one account, named by its path",
    "nobody@swap.example": "an alias that leads nowhere is refused at RCPT, not returned later",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_rcpt_is_answered_as_postfix_does(both, address):
    postfix, house = both
    theirs = rcpt(smtplib.SMTP("127.0.0.1", postfix.port, timeout=20), address)
    ours = rcpt(house.smtp(), address)
    assert (*ours[:2], unnamed(ours[2])) == theirs


@pytest.mark.parametrize("address", [a for a in ADDRESSES if a not in OTHERWISE])
def test_copies_go_where_postfix_sends_them(both, address):
    postfix, house = both
    if rcpt(house.smtp(), address)[0] != 250:
        return
    ours, theirs = ends_of_ours(house, address), ends_of_postfix(postfix, address)
    assert ours == theirs and ours


def test_what_leads_nowhere_is_refused_at_once(both):
    postfix, house = both
    assert rcpt(smtplib.SMTP("127.0.0.1", postfix.port, timeout=20), "nobody@swap.example")[0] == 250
    assert rcpt(house.smtp(), "nobody@swap.example")[0] == 550


def test_a_circle_is_refused_at_once(both):
    _, house = both
    assert rcpt(house.smtp(), "ring@here.example")[0] == 554


def test_lists_of_alias_maps_alone_have_owners(both):
    postfix, house = both
    for address, owner in [("list@here.example", "owner-list@"), ("vlist@virt.example", "owner-vlist@")]:
        ends_of_postfix(postfix, address)
        has_one = f"from=<{owner}" in postfix.log()
        assert (f", from <{owner}" in house.command("address", "test", address).stdout) == has_one, address
        assert has_one == (address == "list@here.example")
