# SPDX-License-Identifier: ISC
"""Whose mailbox it is that user+extension@domain has: as Postfix's virtual(8) finds it, whatever the table's value says."""

import os
import pwd
import re
import shutil
import smtplib
import sqlite3

import pytest
from beside import MASTER, Instance, tables_of
from house import House, free_ports, wait_for
from test_beside_postfix import rcpt

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

# Entries of the table, and the directory that Postfix finds there: each another one, so that its name tells the entry.
ENTRIES = {"m1@hash.example": "1/", "m2@hash.example": "2/", "m1+own@hash.example": "3/", "m4@all.example": "4/", "@all.example": "all/",
           "m6+x-y@hash.example": "6/", "m7-z@hash.example": "7/"}
ALIASES = "al@virt.example m1@hash.example\nalext@virt.example m2+b@hash.example\n@wild.example @hash.example\n"

# Who is written to, by recipient_delimiter.
CASES = {
    "+": ["m1@hash.example", "m1+a@hash.example", "M2+E@Hash.Example", "m1+own@hash.example", "m1+own+a@hash.example", "m1+a+b@hash.example",
          "m1+@hash.example", "m1-a@hash.example", "m6+x@hash.example", "m6+x-y@hash.example", "nobody+a@hash.example", "+a@hash.example",
          "m4@all.example", "m4+a@all.example", "any@all.example", "any+a@all.example",
          "al@virt.example", "al+a@virt.example", "alext@virt.example", "alext+a@virt.example", "m1+a@wild.example", "nobody+a@wild.example"],
    "+-": ["m1+a@hash.example", "m1-a@hash.example", "m1-a+b@hash.example", "m1+a-b@hash.example", "m6+x-y@hash.example", "m7-z@hash.example",
           "m7-z+a@hash.example", "m1-own@hash.example", "m4-a@all.example", "any-a@all.example", "al-a@virt.example"],
    "-": ["m1-a@hash.example", "m1+a@hash.example", "m7-z@hash.example", "m4-a@all.example"],
    "": ["m1+a@hash.example", "m1+own@hash.example", "m4+a@all.example"],
}
# Who is written to where aliases may keep the extension to themselves.
PROPAGATE = ["al+a@virt.example", "alext+a@virt.example", "m1+a@hash.example", "m1+own@wild.example"]


def same(at, delimiter, **more):
    return {"mydestination": "here.example", "myhostname": "mail.here.example", "mydomain": "here.example", "myorigin": "here.example",
            "recipient_delimiter": delimiter, "alias_maps": "", "virtual_alias_domains": "virt.example, wild.example",
            "virtual_alias_maps": f"hash:{at}/virtual", "virtual_mailbox_domains": "hash.example, all.example",
            "relay_domains": "", "relay_recipient_maps": "", "relocated_maps": "", "canonical_maps": "", **more}


def send(smtp, to):
    """What RCPT was answered, and for those who are there the letter's name."""
    with smtp as s:
        s.ehlo("test.example")
        s.mail("sender@test.example")
        code = s.rcpt(to)[0]
        return code, s.data(b"Subject: x\r\n\r\nx\r\n")[1].decode().split()[-1] if code == 250 else ""


def letters(base):
    """{directory of a mailbox: how many}"""
    return {d: len(os.listdir(f"{base}/{d}/new")) for d in os.listdir(base) if os.path.isdir(f"{base}/{d}/new")}


def found_by_postfix(at, tables, tos):
    """{who: the entry, "" nobody's}"""
    user = pwd.getpwnam("nobody")
    base = f"{at}/boxes"
    os.mkdir(base)
    os.chown(base, user.pw_uid, user.pw_gid)
    port = free_ports(1)[0]
    postfix = Instance({**tables, "virtual_mailbox_maps": f"hash:{at}/mailbox", "virtual_transport": "virtual", "virtual_mailbox_base": base,
                        "virtual_uid_maps": f"static:{user.pw_uid}", "virtual_gid_maps": f"static:{user.pw_gid}", "virtual_minimum_uid": "1",
                        "default_transport": "discard:"},
                       MASTER.format(port=f"127.0.0.1:{port}") + "virtual unix - n n - - virtual\n")
    entry, found = {d.strip("/"): key for key, d in ENTRIES.items()}, {}
    try:
        for to in tos:
            before = letters(base)
            code, name = send(smtplib.SMTP("127.0.0.1", port, timeout=30), to)
            if code == 250:
                wait_for(lambda: f"{name}: removed" in postfix.log())
            # Nobody's through an alias: it says 250 all the same, and bounces.
            boxes = [d for d, n in letters(base).items() if n != before.get(d)]
            assert len(boxes) <= 1
            found[to] = entry[boxes[0]] if boxes else ""
    finally:
        postfix.close()
        shutil.rmtree(base)
    assert any(found.values())
    return found


def found_by_us(tables, maps, tos, account):
    """The same, of a house in which the account tells the entry; `account`: {account: entry}"""
    found = {}
    with House(**tables, virtual_mailbox_maps=maps) as house:
        for to in tos:
            said = house.command("address", "test", to, check=False).stdout
            at = re.findall(r"goes to: (\S+) \(mailbox\)", said)
            code, name = send(house.smtp(), to)
            assert (code == 250) == bool(at), said
            if at:
                wait_for(lambda: f"{name}: removed" in house.text())
            found[to] = account[at[0]] if at else ""
        there = house.command("account", "list").stdout
        for key in set(found.values()) - {""}:
            assert next(a for a, k in account.items() if k == key) in there
        assert not re.search(r"^(1|dummy|catch-all)@", there, re.M), there
    return found


# What people write where the value means nothing.  Postfix has paths there, to tell the entries apart.
VALUES = {"+": ["1", "dummy", "m1@hash.example", "m8box/"]}


@pytest.mark.parametrize("delimiter", CASES)
def test_an_extension_leads_to_the_mailbox_of_its_user(delimiter):
    values = VALUES.get(delimiter, ["1"])
    plain = {f"plain{n}": "".join(f"{k} {'all/' if k[0] == '@' else value}\n" for k in ENTRIES) for n, value in enumerate(values)}
    with tables_of({"virtual": ALIASES, "mailbox": "".join(f"{k} {v}\n" for k, v in ENTRIES.items()), **plain}) as at:
        tables = same(at, delimiter)
        theirs = found_by_postfix(at, tables, CASES[delimiter])
        account = {k if k[0] != "@" else f"all{k}": k for k in ENTRIES}
        for name, value in zip(plain, values):
            assert found_by_us(tables, f"hash:{at}/{name}", CASES[delimiter], account) == theirs, value


@pytest.mark.parametrize("propagate", ["", "virtual", "canonical, virtual"])
def test_an_alias_gives_its_extension_on_or_not(propagate):
    with tables_of({"virtual": ALIASES, "mailbox": "".join(f"{k} {v}\n" for k, v in ENTRIES.items()), "plain": "".join(f"{k} 1\n" for k in ENTRIES)}) as at:
        tables = same(at, "+", propagate_unmatched_extensions=propagate)
        theirs = found_by_postfix(at, tables, PROPAGATE)
        assert found_by_us(tables, f"hash:{at}/plain", PROPAGATE, {k: k for k in ENTRIES}) == theirs


def test_a_database_that_answers_1(tmp_path):
    tmp_path.chmod(0o755)
    with sqlite3.connect(tmp_path / "box.sqlite") as db:
        db.execute("CREATE TABLE box (name TEXT)")
        db.executemany("INSERT INTO box VALUES (?)", [("m1@hash.example",), ("m2@hash.example",)])
    (tmp_path / "box.cf").write_text(f"dbpath = {tmp_path}/box.sqlite\nquery = SELECT 1 FROM box WHERE name = '%s'\n")
    with tables_of({"virtual": ALIASES}) as at, House(**same(at, "+"), virtual_mailbox_maps=f"sqlite:{tmp_path}/box.cf") as house:
        for to, mailbox in (("m1+a@hash.example", "m1@hash.example"), ("m2+e@hash.example", "m2@hash.example"), ("al+a@virt.example", "m1@hash.example")):
            assert f"goes to: {mailbox} (mailbox), detail {to[to.index('+') + 1]}" in house.command("address", "test", to).stdout
            assert rcpt(house.smtp(), to)[0] == 250
