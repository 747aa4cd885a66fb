# SPDX-License-Identifier: ISC
"""What each copy of a letter says of itself: X-Original-To, Delivered-To, to= and orig_to= of the log, and the environment of mailbox_command,
by Postfix and by us with the same tables and the same users."""

import os
import pathlib
import re
import shutil
import smtplib
import tempfile

import pytest
from beside import tables_of
from house import House, wait_for
from test_beside_postfix import Postfix
from test_system_users import User

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

# What the command gets, in a file of its own for each copy.
CATCH = """#!/bin/sh
f=$(mktemp "$HOME/{who}/tmp.XXXXXX") || exit 75
{{ env | grep -E '^(USER|LOGNAME|HOME|SHELL|SENDER|RECIPIENT|ORIGINAL_RECIPIENT|LOCAL|DOMAIN|EXTENSION|CLIENT_HELO|CLIENT_PROTOCOL|CLIENT_ADDRESS|SASL_USERNAME)=' | sort; echo; cat; }} >"$f"
mv "$f" "${{f%/*}}/new.${{f##*.}}"
"""


class Place:
    def __init__(self):
        self.eva, self.tom = User(), User()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="beside-copies-"))
        self.dir.chmod(0o755)
        for who in ("postfix", "ours"):
            script = self.dir / who
            script.write_text(CATCH.format(who=who))
            script.chmod(0o755)
            for u in (self.eva, self.tom):
                (u.home / who).mkdir()
                os.chown(u.home / who, u.uid, u.entry.pw_gid)
        self.tom.write(".forward", f"{self.eva.name}\n", 0o644)
        self.tom.write(".forward+two", f"{self.eva.name}+a, {self.eva.name}+b\n", 0o644)

    def copies(self, who):
        found = []
        for u in (self.eva, self.tom):
            for f in sorted((u.home / who).glob("new.*")):
                environment, _, letter = f.read_text().partition("\n\n")
                head = letter.partition("\n\n")[0]
                fields = re.findall(r"^(Return-Path|X-Original-To|Delivered-To): (.*)$", head, re.M)
                found.append(("eva" if u is self.eva else "tom", tuple(fields), tuple(environment.split("\n"))))
        return sorted(found)

    def clear(self):
        for u in (self.eva, self.tom):
            for who in ("postfix", "ours"):
                for f in (u.home / who).glob("*"):
                    f.unlink()


CASES = {
    "a user": ["eva"],
    "a user's extension": ["eva+Foo"],
    "capitals": ["Eva+Foo"],
    "at the other name of the machine": ["eva+Foo@mail.here.example"],
    "an alias": ["al"],
    "an alias with an extension": ["al+Foo"],
    "an alias that leads to an extension": ["alext"],
    "an alias of a whole name": ["full+x"],
    "an alias that leads to another": ["chain"],
    "a virtual alias": ["v@virt.example"],
    "a virtual alias with an extension": ["v+Foo@virt.example"],
    "a virtual alias that leads to an extension": ["vext@virt.example"],
    "a virtual alias that leads to a local alias": ["val@virt.example"],
    "a .forward": ["tom"],
    "a .forward with an extension": ["tom+Foo"],
    "a canonical name": ["canon+Foo"],
    "two extensions in one letter": ["eva+a", "eva+b"],
    "with and without": ["eva", "eva+b"],
    "an alias and its target": ["al", "eva"],
    "an alias of two extensions": ["twoext"],
    "two aliases of one user": ["al", "al2"],
}


@pytest.fixture(scope="module")
def both():
    place = Place()
    eva, tom = place.eva.name, place.tom.name
    tables = {
        "aliases": f"al: {eva}\nal2: {eva}\nalext: {eva}+Ext\nfull+x: {eva}\nchain: al\ntwoext: {eva}+a, {eva}+b\n",
        "virtual": f"v@virt.example {eva}@here.example\nvext@virt.example {eva}+Ext\nval@virt.example al\nv2@virt.example {eva}+a, {eva}+b\n",
        "mailbox": "u@vm.example vm/u/\n", "relay": "x x\n", "relocated": "x x\n", "canonical": f"canon@here.example {eva}@here.example\n",
    }
    with tables_of(tables) as at:
        same = {"mydestination": "mail.here.example, here.example", "recipient_delimiter": "+", "alias_maps": f"hash:{at}/aliases",
                "virtual_alias_domains": "virt.example", "virtual_alias_maps": f"hash:{at}/virtual",
                "canonical_maps": f"hash:{at}/canonical", "canonical_classes": "envelope_recipient",
                "myhostname": "mail.here.example", "mydomain": "here.example", "myorigin": "here.example"}
        postfix = Postfix(at, mailbox_command=f"{place.dir}/postfix")
        try:
            with House(**same, mailbox_command=f"{place.dir}/ours") as house:
                yield place, postfix, house
        finally:
            postfix.close()
            place.eva.remove()
            place.tom.remove()
            shutil.rmtree(place.dir)


def send(smtp, to):
    with smtp:
        smtp.ehlo("test.example")
        smtp.mail("sender@test.example")
        for a in to:
            assert smtp.rcpt(a)[0] == 250, a
        return smtp.data(b"Subject: x\r\n\r\nx\r\n")[1].decode().split()[-1]


def told(log, names):
    """to= and orig_to= of what was delivered at last."""
    return sorted((names(to), names(orig or ""))
                  for to, orig in re.findall(r": to=<([^>]*)>, (?:orig_to=<([^>]*)>, )?relay=\w+,.*status=sent \(delivered", log))


@pytest.mark.parametrize("case", CASES)
def test_each_copy_says_of_itself_what_postfix_says(both, case):
    place, postfix, house = both

    def names(text):
        for user, name in ((place.eva.name, "eva"), (place.tom.name, "tom"), (place.eva.name.capitalize(), "Eva")):
            text = text.replace(user, name)
        return text

    def addresses(to):
        for name, user in (("eva", place.eva.name), ("Eva", place.eva.name.capitalize()), ("tom", place.tom.name)):
            to = to.replace(name, user)
        return to if "@" in to else to + "@here.example"

    def shown(copies):
        return [(who, [names(f"{k}: {v}") for k, v in fields], [names(e) for e in environment])
                for who, fields, environment in copies]

    to = [addresses(a) for a in CASES[case]]
    place.clear()
    before, ours_before = len(postfix.log()), len(house.text())
    queued = send(smtplib.SMTP("127.0.0.1", postfix.port, timeout=20), to)
    # A .forward of Postfix makes another letter, and one of whom that goes to perhaps a third: all is of one reading.
    wait_for(lambda: (log := postfix.log()[before:]) and all(f"{letter}: removed" in log for letter in [queued, *re.findall(r"forwarded as (\w+)", log)]))
    queued = send(house.smtp(), to)
    wait_for(lambda: f"{queued}: removed" in house.text())
    assert shown(place.copies("ours")) == shown(place.copies("postfix")) != []
    assert told(house.text()[ours_before:], names) == told(postfix.log()[before:], names)


@pytest.mark.parametrize("to", ["jill@here.example", "Jill+Tag@Here.Example", "JILL+tag@here.example"])
def test_the_first_letter_to_an_extension_lies_where_its_user_reads(to):
    """mail_location is of the account, however the address of its first letter was written; so are its limits."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="mansio-mail-"))
    place.chmod(0o777)
    with House(mail_location=f"maildir:{place}/%d/%n", recipient_delimiter="+") as h:
        h.command("domain", "add", "here.example")
        h.command("account", "add", "jill@here.example", input="secret-of-hers\n")
        with smtplib.SMTP("127.0.0.1", h.ports["smtp"], timeout=30) as s:
            s.sendmail("a@there.example", [to], "Subject: x\n\nx\n")
        wait_for(lambda: "status=sent" in h.text())
        letters = [f for f in place.glob("*/*/new/*")]
        assert [str(f.parent.parent.relative_to(place)) for f in letters] == ["here.example/jill"]
        assert f"Delivered-To: {to.rpartition('@')[0]}@here.example" in letters[0].read_text()
        assert not [d for d in (place / "here.example").iterdir() if d.name != "jill"]
    shutil.rmtree(place)
