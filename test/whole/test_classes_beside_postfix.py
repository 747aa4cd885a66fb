# SPDX-License-Identifier: ISC
"""A domain that stands in two classes by a table: Postfix says so in its log, and so do we; the check of the settings says it before."""

import os
import re
import shutil
import smtplib
import sqlite3

import pytest
from beside import tables_of
from house import House, wait_for
from test_beside_postfix import Postfix, rcpt

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

TABLES = {"aliases": "postmaster: root\n", "virtual": "one@valias.example u@vm.example\nold.example anything\n", "mailbox": "u@vm.example vm/u/\n",
          "relay": "x x\n", "relocated": "x x\n", "canonical": "x x\n", "domains": "vm.example x\nhere.example x\nmore.example x\n", "none": "x x\n"}

# Settings, and who is written to.
CASES = {
    "virtual_alias_domains by a table and virtual_mailbox_domains": ({"virtual_alias_domains": "hash:{t}/domains"}, "u@vm.example"),
    "virtual_mailbox_domains by a table and mydestination": ({"virtual_mailbox_domains": "hash:{t}/domains"}, "daemon@here.example"),
    "virtual_alias_domains by a table and mydestination": ({"virtual_alias_domains": "hash:{t}/domains"}, "daemon@here.example"),
    "relay_domains by a table and virtual_mailbox_domains": ({"relay_domains": "hash:{t}/domains"}, "u@vm.example"),
    "both by a table": ({"virtual_alias_domains": "hash:{t}/domains", "virtual_mailbox_domains": "hash:{t}/domains"}, "u@more.example"),
    "the old way of virtual_alias_maps": ({"virtual_alias_domains": "$virtual_alias_maps", "virtual_mailbox_domains": "vm.example, old.example"}, "u@old.example"),
    "a pattern": ({"virtual_alias_domains": "regexp:{t}/patterns"}, "u@vm.example"),
    "relay_domains and mydestination": ({"relay_domains": "hash:{t}/domains", "virtual_mailbox_domains": "caught.example"}, "daemon@here.example"),
    "none": ({"virtual_alias_domains": "valias.example"}, "u@vm.example"),
}


def pairs(text):
    """{domain: (one setting, the other)}"""
    return {(m[1], frozenset(m.group(2, 3))) for m in re.finditer(r"do not list domain (\S+) in BOTH (\w+) and (\w+)", text)}


@pytest.mark.parametrize("case", CASES)
def test_a_domain_in_two_classes_is_told_as_postfix_tells_it(case):
    changes, to = CASES[case]
    with tables_of(TABLES, patterns="/^vm\\.example$/ x\n") as at:
        changes = {name: value.format(t=at) for name, value in changes.items()}
        same = {"mydestination": "mail.here.example, here.example", "myhostname": "mail.here.example", "mydomain": "here.example", "myorigin": "here.example",
                "alias_maps": f"hash:{at}/aliases", "virtual_alias_domains": "valias.example", "virtual_alias_maps": f"hash:{at}/virtual",
                "virtual_mailbox_domains": "vm.example", "virtual_mailbox_maps": f"hash:{at}/mailbox", "relay_domains": "relay.example", **changes}
        postfix = Postfix(at, **{**same, "relay_recipient_maps": ""})
        try:
            theirs = rcpt(smtplib.SMTP("127.0.0.1", postfix.port, timeout=20), to)
            wait_for(lambda: "disconnect from" in postfix.log())     # its log comes by another process, and what was said before comes first
            said = pairs(postfix.log())
            assert bool(said) == (case not in ("none", "relay_domains and mydestination"))
            with House(**same, first_valid_uid="1") as house:
                checked = house.command("config", "check")
                code, enhanced, _ = rcpt(house.smtp(), to)
                assert (code, enhanced) == theirs[:2]
                wait_for(lambda: pairs(house.text()) == said, 5)
                for domain, names in said:
                    if case != "a pattern":         # what fits one cannot be listed, but a name can be asked
                        assert re.search(rf"main\.cf:\d+: {domain} is in (\w+) and in (\w+) too", checked.stderr)[1] in names, checked.stderr
                assert bool(said) == ("too:" in checked.stderr), checked.stderr
        finally:
            postfix.close()


def test_a_domain_of_the_directory_in_another_class():
    with tables_of({"domains": "ours.example x\n"}) as at, House(virtual_alias_domains=f"hash:{at}/domains") as house:
        house.command("domain", "add", "ours.example")
        told = "ours.example is a domain of the directory and in virtual_alias_domains"
        assert told in house.command("config", "check").stderr
        assert rcpt(house.smtp(), "nobody@ours.example")[0] == 550
        wait_for(lambda: told in house.text())


@pytest.mark.parametrize("away", [False, True])
def test_a_database_that_has_a_domain_of_ours_is_asked_when_somebody_is_refused(tmp_path, away):
    tmp_path.chmod(0o755)
    with sqlite3.connect(tmp_path / "domains.sqlite") as db:
        db.execute("CREATE TABLE domain (name TEXT)")
        db.execute("INSERT INTO domain VALUES ('here.example')")
    if away:
        (tmp_path / "domains.sqlite").unlink()
    (tmp_path / "domains.cf").write_text(f"dbpath = {tmp_path}/domains.sqlite\nquery = SELECT name FROM domain WHERE name = '%s'\n")
    with House(mydestination="here.example", alias_maps="", virtual_mailbox_domains=f"sqlite:{tmp_path}/domains.cf", first_valid_uid="1") as house:
        assert rcpt(house.smtp(), "daemon@here.example")[0] == 250
        assert rcpt(house.smtp(), "nobody1@here.example")[0] == 550
        if away:
            assert "do not list" not in house.text()
            return
        wait_for(lambda: "do not list domain here.example in BOTH mydestination and virtual_mailbox_domains" in house.text())
        assert "here.example is in mydestination and in virtual_mailbox_domains too" in house.command("config", "check").stderr


def test_root_without_an_alias_is_read_by_whom_postmaster_is():
    """Postfix writes /var/mail/root, which nobody reads by IMAP; here nothing is delivered as root."""
    with House(mydestination="here.example", myorigin="here.example", alias_maps="") as house:
        assert rcpt(house.smtp(), "root@here.example")[0] == 550
        wait_for(lambda: "mail for root@here.example is refused: nobody has it; write root: NAME" in house.text())
        assert rcpt(house.smtp(), "postmaster")[0] == 250                       # rfc5321:4.5.1
        with house.smtp() as s:
            s.sendmail("a@b.example", ["postmaster@here.example"], b"Subject: x\r\n\r\nx\r\n")
        wait_for(lambda: "mail for postmaster@here.example waits: nobody has it" in house.text())
        assert "status=bounced" not in house.text()
        house.command("domain", "add", "people.example")
        house.command("account", "add", "boss@people.example", "--password-file", "/dev/stdin", input="way-station\n")
        assert "goes to: boss@people.example" in house.command("address", "test", "root@here.example").stdout
        assert rcpt(house.smtp(), "root@here.example")[0] == 250


@pytest.mark.parametrize("aliases, root, postmaster", [
    ("postmaster: root\n", "boss@people.example", "boss@people.example"),                            # Debian's own file
    ("postmaster: eva@people.example\n", "eva@people.example", "eva@people.example"),
    ("root: eva@people.example\n", "eva@people.example", "boss@people.example"),
    ("postmaster: root\nroot: eva@people.example\n", "eva@people.example", "eva@people.example"),
])
def test_what_aliases_say_of_root_and_postmaster_goes_first(aliases, root, postmaster):
    with tables_of({"aliases": aliases}) as at, House(mydestination="here.example", myorigin="here.example", alias_maps=f"hash:{at}/aliases") as house:
        house.command("domain", "add", "people.example")
        for name in ("boss", "eva"):
            house.command("account", "add", f"{name}@people.example", "--password-file", "/dev/stdin", input="way-station\n")
        for name, to in (("root", root), ("postmaster", postmaster)):
            assert f"goes to: {to}" in house.command("address", "test", f"{name}@here.example").stdout
            assert rcpt(house.smtp(), f"{name}@here.example")[0] == 250
