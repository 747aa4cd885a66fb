# SPDX-License-Identifier: ISC
"""Letters that go in circles, and what copies say of the way they came: Delivered-To, by Postfix's local(8) and virtual(8) and by us with
the same tables, the same users and the same letters."""

import email
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
from test_sending import Sink
from test_system_users import User

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

# What a command gets is kept in a file of its own, where the owner of the command may write.
CATCH = """#!/bin/sh
f=$(mktemp {place}/tmp.XXXXXX) || exit 75
cat >"$f"; chmod 644 "$f"; mv "$f" {place}/new.${{f##*.}}
"""


class Side:
    """One of the two, with a sink where all goes that leaves it, and a place for what its commands get."""

    def __init__(self, name):
        self.name = name
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"loops-{name}-"))
        self.dir.chmod(0o1777)
        self.commands = self.dir / "commands"
        self.commands.mkdir()
        self.commands.chmod(0o1777)
        self.script = self.dir / "catch"
        self.script.write_text(CATCH.format(place=self.commands))
        self.script.chmod(0o755)
        self.boxes = self.dir / "boxes"
        self.boxes.mkdir()
        shutil.chown(self.boxes, "nobody", "nogroup")
        self.sink = Sink()

    def close(self):
        self.sink.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def clear(self, users):
        self.sink.letters.clear()
        for place in [self.commands, self.boxes, *(u.home / self.name for u in users)]:
            for f in place.rglob("*"):
                if f.is_file():
                    f.unlink()

    def copies(self, users):
        """(where, X-Original-To, all Delivered-To) of each copy."""
        files = [("command", f) for f in self.commands.glob("new.*")]
        files += [("virtual", f) for f in self.boxes.rglob("new/*")]
        files += [(n, f) for n, u in users.items() for f in (u.home / self.name).glob("new/*")]
        found = [(where, email.message_from_bytes(f.read_bytes())) for where, f in files]
        found += [(f"host {','.join(to)}", email.message_from_bytes(letter)) for _, to, letter in self.sink.letters if "sender@test.example" not in to]
        return sorted((where, m.get_all("X-Original-To", []), m.get_all("Delivered-To", [])) for where, m in found)

    def notices(self):
        """What came back: for whom, with which status, and why."""
        found = []
        for _, to, letter in list(self.sink.letters):
            if to == ["sender@test.example"]:
                for part in email.message_from_bytes(letter).walk():
                    if part.get_content_type() == "message/delivery-status":
                        found += [(p["Final-Recipient"].split()[-1], p["Status"], " ".join(p["Diagnostic-Code"].partition(";")[2].split()))
                                  for p in part.get_payload()[1:]]
        return sorted(found)


class Both:
    def __init__(self, at):
        self.users = {"eva": User(), "tom": User(), "kim": User(), "own": User(), "fw": User(), "fwa": User(), "fwb": User(),
                      **{name: User() for name in ("ca", "cb", "cc", "cd", "ce")}}
        self.sides = [Side("theirs"), Side("ours")]
        eva, kim = self.users["eva"], self.users["kim"]
        self.users["tom"].write(".forward", "bob@far.example\n", 0o644)
        self.users["own"].write(".forward", f"\\{self.users['own'].name}, bob@far.example\n", 0o644)
        self.users["fw"].write(".forward", f"{eva.name}\n", 0o644)
        self.users["fwa"].write(".forward", "out\n", 0o644)
        self.users["fwb"].write(".forward", "al\n", 0o644)
        for name, to in (("ca", "cb"), ("cb", "ca"), ("cc", "cd"), ("cd", "\\cd, cc"), ("ce", "round")):
            self.users[name].write(".forward", self.real(to) + "\n", 0o644)
        for side in self.sides:
            aliases = f"al: {eva.name}\nchain: al\nout: bob@far.example\nboth: {eva.name}, bob@far.example\nprog: \"|{side.script}\"\n" \
                      f"far-owned: bob@far.example\nowner-far-owned: {eva.name}\nbox: u@vm.example\nfwd: {self.users['tom'].name}\n" \
                      f"round: {self.users['ce'].name}\nround-owned: {self.users['ce'].name}\nowner-round-owned: {eva.name}\n" \
                      f"mix: out, u@vm.example, \"|{side.script}\"\n"
            side.tables = tables_of({
                "aliases": aliases,
                "virtual": f"v@virt.example {eva.name}@here.example\nvout@virt.example bob@far.example\nval@virt.example out\n@wild.example {eva.name}@here.example\n",
                "mailbox": "u@vm.example u/\n@caught.example all/\n", "relay": "x x\n", "relocated": "x x\n", "canonical": "x x\n"})
            side.at = side.tables.__enter__()
        self.settings = {"mydestination": "mail.here.example, here.example", "recipient_delimiter": "+", "virtual_alias_domains": "virt.example, wild.example",
                         "virtual_mailbox_domains": "vm.example, caught.example", "myhostname": "mail.here.example", "mydomain": "here.example",
                         "myorigin": "here.example", "luser_relay": f"{eva.name}+$local", "local_recipient_maps": "",
                         "allow_mail_to_commands": "alias, forward"}
        self.both_script(kim)

    def both_script(self, kim):
        """One file for both servers: the command goes to whoever's place it was run for, which its head says."""
        script = kim.home / "both"
        script.write_text("#!/bin/sh\nf=$(mktemp)\ncat >$f\nfor p in " + " ".join(f"{s.commands}:{s.name}" for s in self.sides) +
                          "; do grep -q \"^Received: .*${p#*:}\" $f && cp $f ${p%:*}/new.${f##*.}\ndone\nrm -f $f\n")
        script.chmod(0o755)
        os.chown(script, kim.uid, kim.entry.pw_gid)
        kim.write(".forward", f"\"|{script}\"\n", 0o644)

    def start(self):
        theirs, ours = self.sides
        nobody = shutil._get_uid("nobody")
        self.postfix = Postfix(theirs.at, **self.settings, home_mailbox="theirs/", relayhost=f"[127.0.0.1]:{theirs.sink.port}",
                               default_transport="smtp", virtual_transport="virtual", virtual_mailbox_base=theirs.boxes,
                               virtual_uid_maps=f"static:{nobody}", virtual_gid_maps=f"static:{shutil._get_gid('nogroup')}", virtual_minimum_uid="1")
        with open(f"{self.postfix.home}/etc/master.cf", "a") as f:
            f.write("virtual unix - n n - - virtual\n")
        self.postfix.run("postfix", "-c", f"{self.postfix.home}/etc", "reload")
        self.house = House(**self.settings, home_mailbox="ours/", relayhost=f"[127.0.0.1]:{ours.sink.port}", alias_maps=f"hash:{ours.at}/aliases",
                           virtual_alias_maps=f"hash:{ours.at}/virtual", virtual_mailbox_maps=f"hash:{ours.at}/mailbox",
                           virtual_mailbox_base=str(ours.boxes), virtual_uid_maps=f"static:{nobody}",
                           virtual_gid_maps=f"static:{shutil._get_gid('nogroup')}", virtual_minimum_uid="1", first_valid_uid="1")
        self.house.__enter__()

    def close(self):
        for close in (lambda: self.postfix.close(), lambda: self.house.close(), *(s.close for s in self.sides), *(u.remove for u in self.users.values()),
                      *(lambda s=s: s.tables.__exit__(None, None, None) for s in self.sides)):
            try:
                close()
            except AttributeError:
                pass

    def names(self, text):
        for short, user in self.users.items():
            text = text.replace(user.name, short)
        return text

    def real(self, text):
        return re.sub(rf"\b({'|'.join(self.users)})\b", lambda m: self.users[m[1]].name, text)

    def quiet(self, side):
        if side.name == "theirs":
            return not list(pathlib.Path(self.postfix.home, "queue").glob("*/*/*")) and not [
                f for d in ("maildrop", "incoming", "active", "deferred") for f in pathlib.Path(self.postfix.home, "queue", d).rglob("*") if f.is_file()]
        return "is empty" in self.house.command("queue", "list").stdout

    def send(self, side, to, been):
        head = "".join(f"Delivered-To: {self.real(b)}\r\n" for b in been)
        port = self.postfix.port if side.name == "theirs" else self.house.ports["smtp"]
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as smtp:
            smtp.ehlo(f"client.{side.name}")
            smtp.mail("sender@test.example")
            for a in to:
                code, text = smtp.rcpt(self.real(a))
                assert code == 250, (side.name, a, text)
            assert smtp.data(f"{head}From: sender@test.example\r\nSubject: x\r\n\r\nx\r\n".encode())[0] == 250
        wait_for(lambda: self.quiet(side))

    def seen(self, side):
        copies = [(where if not where.startswith("host") else where, [self.names(o) for o in original], [self.names(d) for d in delivered])
                  for where, original, delivered in side.copies(self.users)]
        return copies, [(self.names(who), status, self.names(why)) for who, status, why in side.notices()]


@pytest.fixture(scope="module")
def both():
    b = Both(None)
    try:
        b.start()
        yield b
    finally:
        b.close()


HERE = "@here.example"
CASES = {
    # How it comes about: the recipients, and the Delivered-To fields the letter has when it comes.
    "a user": (["eva" + HERE], []),
    "a user, back again": (["eva" + HERE], ["eva" + HERE]),
    "in other letters": (["eva" + HERE], ["EVA@Here.Example"]),
    "somebody else's field": (["eva" + HERE], ["tom" + HERE, "eva@else.example"]),
    "an extension, back again": (["eva+x" + HERE], ["eva+x" + HERE]),
    "an extension, which came as the user": (["eva+x" + HERE], ["eva" + HERE]),
    "a virtual mailbox": (["u@vm.example"], []),
    "a virtual mailbox, back again": (["u@vm.example"], ["u@vm.example"]),
    "a virtual mailbox with an extension": (["u+x@vm.example"], ["u@vm.example"]),
    "a catch-all of mailboxes": (["any@caught.example"], []),
    "a catch-all of mailboxes, back again": (["any@caught.example"], ["any@caught.example"]),
    "a catch-all of addresses": (["any@wild.example"], []),
    "a catch-all of addresses, back again": (["any@wild.example"], ["any@wild.example"]),
    "a virtual alias": (["v@virt.example"], []),
    "a virtual alias, back again": (["v@virt.example"], ["eva" + HERE]),
    "a virtual alias to another host": (["vout@virt.example"], []),
    "a virtual alias to a local alias to another host": (["val@virt.example"], []),
    "an alias": (["al" + HERE], []),
    "an alias with an extension": (["al+x" + HERE], []),
    "an alias, back again": (["al" + HERE], ["al" + HERE]),
    "an alias whose user has had it": (["al" + HERE], ["eva" + HERE]),
    "an alias of an alias": (["chain" + HERE], []),
    "an alias of an alias, back again": (["chain" + HERE], ["chain" + HERE]),
    "an alias to another host": (["out" + HERE], []),
    "an alias to another host, back again": (["out" + HERE], ["out" + HERE]),
    "an alias to another host, which came by others": (["out" + HERE], ["al" + HERE]),
    "an alias to a user and another host": (["both" + HERE], []),
    "an alias to another host, with an owner": (["far-owned" + HERE], []),
    "an alias with an owner, back again": (["far-owned" + HERE], ["far-owned" + HERE]),
    "an alias to a virtual mailbox": (["box" + HERE], []),
    "an alias to a virtual mailbox, back again": (["box" + HERE], ["box" + HERE]),
    "an alias to a virtual mailbox that has had it": (["box" + HERE], ["u@vm.example"]),
    "an alias to a command": (["prog" + HERE], []),
    "an alias to a command, back again": (["prog" + HERE], ["prog" + HERE]),
    "an alias to all sorts": (["mix" + HERE], []),
    "a .forward to another host": (["tom" + HERE], []),
    "a .forward to another host, back again": (["tom" + HERE], ["tom" + HERE]),
    "a .forward to another host, with an extension": (["tom+x" + HERE], []),
    "an alias to a .forward": (["fwd" + HERE], []),
    "an alias to a .forward, back again": (["fwd" + HERE], ["fwd" + HERE]),
    "a .forward to a mailbox and another host": (["own" + HERE], []),
    "a .forward to a mailbox and another host, back again": (["own" + HERE], ["own" + HERE]),
    "a .forward to a command": (["kim" + HERE], []),
    "a .forward to a command, back again": (["kim" + HERE], ["kim" + HERE]),
    "an alias to a user and another host, back again": (["both" + HERE], ["both" + HERE]),
    "a .forward to a user": (["fw" + HERE], []),
    "a .forward to a user who has had it": (["fw" + HERE], ["eva" + HERE]),
    "a .forward to an alias to another host": (["fwa" + HERE], []),
    "a .forward to an alias to a user": (["fwb" + HERE], []),
    "a .forward in a circle": (["ca" + HERE], []),
    "a .forward in a circle, and a copy": (["cc" + HERE], []),
    "a .forward in a circle, and a copy, from its other end": (["cd" + HERE], []),
    "an alias to another host, in capitals": (["Out+Foo@here.example"], []),
    "an alias to a user, in capitals": (["Al+Foo@here.example"], []),
    "an alias to a command, in capitals": (["Prog+Foo@here.example"], []),
    "a .forward to another host, in capitals": (["tom+Foo@here.example"], []),
    "a .forward to a command, in capitals": (["kim+Foo@here.example"], []),
    "a .forward to a mailbox and another host, in capitals": (["own+Foo@here.example"], []),
    "a user who is not there": (["nobody-there" + HERE], []),
    "a user who is not there, back again": (["nobody-there" + HERE], ["nobody-there" + HERE]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_has_been_here_ends_as_postfix_ends_it(both, case):
    to, been = CASES[case]
    found = []
    for side in both.sides:
        side.clear(both.users.values())
        both.send(side, to, been)
        found.append(both.seen(side))
    theirs, ours = found
    assert ours == theirs and (theirs[0] or theirs[1])


@pytest.mark.parametrize("to", ["round", "round-owned", "ce"])
def test_who_forwards_to_an_alias_of_their_own_has_it_in_the_mailbox(both, to):
    """As Postfix has it, which says their name there but once."""
    found = []
    for side in both.sides:
        side.clear(both.users.values())
        both.send(side, [to + HERE], [])
        copies, notices = both.seen(side)
        found.append(([where for where, _, _ in copies], notices))
    assert found[0] == found[1] == (["ce"], [])


@pytest.mark.parametrize("where", ["command, file, forward", "file", "command", "forward", ""])
def test_where_the_field_is_put_is_a_setting(both, where):
    """prepend_delivered_header, as postconf(5) has it: of mailboxes and files, commands, and what an alias or a .forward sends on."""
    both.postfix.run("postconf", "-c", f"{both.postfix.home}/etc", f"prepend_delivered_header = {where}")
    both.postfix.run("postfix", "-c", f"{both.postfix.home}/etc", "reload")
    both.house.write_settings(prepend_delivered_header=where)
    both.house.command("reload")
    for to in ["eva", "al", "prog", "tom", "out", "kim", "own", "fw", "box"]:
        found = []
        for side in both.sides:
            side.clear(both.users.values())
            both.send(side, [to + HERE], [])
            found.append(both.seen(side))
        theirs, ours = found
        assert (to, ours) == (to, theirs) and theirs[0]


def mail_of(user, name):
    return [email.message_from_bytes(f.read_bytes()) for f in (user.home / name).glob("new/*")]


@pytest.mark.parametrize("how", ["a .forward", "a .forward with a copy", "an alias"])
def test_two_servers_that_send_to_each_other_have_done_after_one_round(how):
    """Our user's mail goes to an address of a real Postfix, whose alias sends it back."""
    user, sender, sink = User(), "sender@test.example", Sink()
    here = f"{user.name}@here.example"
    to = here if how != "an alias" else "round@here.example"
    if how != "an alias":
        user.write(".forward", "bob@there.example\n" if how == "a .forward" else f"\\{user.name}, bob@there.example\n", 0o644)
    tables = {"aliases": f"round: bob@there.example\nbob: {to}\n", "virtual": "x x\n", "mailbox": "x x\n", "relay": "x x\n", "relocated": "x x\n",
              "canonical": "x x\n", "transport": "x x\n"}
    try:
        with tables_of(tables) as at, House(mydestination="here.example", myhostname="mail.here.example", myorigin="here.example",
                                            home_mailbox="ours/", alias_maps=f"hash:{at}/aliases", transport_maps=f"texthash:{at}/ways", relayhost=f"[127.0.0.1]:{sink.port}") as house:
            postfix = Postfix(at, mydestination="there.example", myhostname="mail.there.example", default_transport="smtp",
                              relayhost=f"[127.0.0.1]:{house.ports['smtp']}", virtual_alias_maps="", canonical_maps="", virtual_mailbox_domains="",
                              relay_domains="", virtual_alias_domains="", relocated_maps="", local_recipient_maps="")
            try:
                pathlib.Path(at, "ways").write_text(f"there.example smtp:[127.0.0.1]:{postfix.port}\n")
                house.command("reload")
                with house.smtp() as smtp:
                    smtp.sendmail(sender, [to], f"From: {sender}\r\nSubject: x\r\n\r\nx\r\n")
                wait_for(lambda: sink.letters and "is empty" in house.command("queue", "list").stdout and not [
                    f for d in ("incoming", "active", "deferred", "maildrop") for f in pathlib.Path(postfix.home, "queue", d).rglob("*") if f.is_file()])
                # One notice, of the address that had seen it; and Postfix had it once.
                [(envelope, rcpt, notice)] = sink.letters
                assert rcpt == [sender] and "<>" in envelope
                assert f"mail forwarding loop for {to}" in " ".join(notice.decode().split())
                assert len(re.findall(r"to=<bob@there\.example>.*status=sent", house.text())) == 1
                assert len(mail_of(user, "ours")) == (how == "a .forward with a copy")
            finally:
                postfix.close()
    finally:
        user.remove()
        sink.close()


def test_the_way_a_copy_came_is_known_after_a_restart(request):
    """What waits for another host lies in queue.db with the names it came by."""
    user, ready = User(), []
    request.addfinalizer(user.remove)
    user.write(".forward", "bob@far.example\n", 0o644)
    with tables_of({"aliases": f"al: {user.name}\n"}) as at, Sink(lambda verb, *_: "450 4.2.0 later" if verb == "RCPT" and not ready else None) as sink:
        with House(mydestination="here.example", myhostname="mail.here.example", myorigin="here.example", home_mailbox="ours/", alias_maps=f"hash:{at}/aliases",
                   relayhost=f"[127.0.0.1]:{sink.port}", minimal_backoff_time="1s", maximal_backoff_time="1s") as house:
            with house.smtp() as smtp:
                smtp.sendmail("sender@test.example", ["al@here.example"], "Subject: x\r\n\r\nx\r\n")
            wait_for(lambda: "status=deferred" in house.text())
            assert house.stop() == 0
            house.start()
            ready.append(True)
            wait_for(lambda: sink.letters)
            assert email.message_from_bytes(sink.letters[0][2]).get_all("Delivered-To") == ["al@here.example"]
