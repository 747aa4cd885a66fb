# SPDX-License-Identifier: ISC
"""Who gets local mail: aliases and what may stand in them, .forward, commands, and what leads the mail of users and of nobody elsewhere, by Postfix's
local(8) and by us with the same lines.  What goes on by SMTP comes to a host of the test's own; commands and files write into a directory of each side.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_local_beside_postfix.py
"""

import mailbox
import os
import pathlib
import re
import shutil
import smtplib
import subprocess
import tempfile
import time

import pytest
from beside import SERVICES, Instance
from house import House, free_ports, wait_for
from test_sending import Sink, empty
from test_system_users import User

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

SAME = {"myhostname": "mail.here.example", "mydomain": "here.example", "myorigin": "here.example", "recipient_delimiter": "+",
        "smtp_tls_security_level": "none", "allow_mail_to_commands": "alias, forward", "local_recipient_maps": "", "strict_rfc821_envelopes": "no"}
SAVES = "#!/bin/sh\n{ echo \"$USER $LOGNAME $HOME $SHELL $SENDER $RECIPIENT $ORIGINAL_RECIPIENT $LOCAL $DOMAIN $EXTENSION\"; id -un; cat; } > \"%s/tmp.$$\" && mv \"%s/tmp.$$\" \"%s/said.$$\"\n"
OWNED = {"list": "{list@sink.example, owner@sink.example}"}


def case(to, aliases="", settings=(), forward=(), files=(), sender="joe@away.example", owner=None):
    return {"owner": owner, "to": to if isinstance(to, list) else [to], "aliases": aliases, "settings": dict(settings), "forward": dict(forward), "files": dict(files), "sender": sender}


A, B = "a@sink.example", "b@sink.example"
LIST = f"list: {A}, {B}\nowner-list: boss@sink.example\n"
# {t}: a directory of the side.  EVA, TOM, MAX: users, of whom MAX has mail in one case alone, for mail stays where it first lay.
CASES = {
    "an address": case("x", f"x: {A}"),
    "several": case("x", f"x: {A}, {B}, EVA"),
    "folded": case("x", f"x: {A},\n {B},\n\tEVA\n"),
    "by blanks": case("x", f"x: {A} {B}"),
    "with names": case("x", f"x: Somebody <{A}>, {B} (remark)"),
    "a chain": case("x", f"x: y\ny: z\nz: {A}"),
    "each once": case(["x", "y"], f"x: {A}\ny: x, {A}"),
    "in a circle with somebody": case("x", f"x: y, {A}\ny: x"),
    "itself and somebody": case("EVA", f"EVA: EVA, {A}"),
    "the user past the alias": case("EVA", f"EVA: \\EVA, {A}"),
    "capitals": case("XyZ", f"xyz: {A}"),
    "an extension": case("x+tag", f"x: {A}"),
    "an extension of its own": case("x+tag", f"x+tag: {A}\nx: {B}"),
    "extensions go on by alias": case("x+tag", f"x: {A}", {"propagate_unmatched_extensions": "canonical, virtual, alias"}),
    "extensions go on by include": case("x+tag", "x: :include:{t}/list", {"propagate_unmatched_extensions": "include"}, files={"list": f"{A}\nEVA\n"}),
    "extensions go on by forward": case("EVA+tag", "", {"propagate_unmatched_extensions": "forward"}, {"EVA": f"{A}\n"}),
    "extensions go on nowhere": case("x+tag", "x: EVA, y\ny: " + A, {"propagate_unmatched_extensions": ""}),
    "a key in quotes": case('"a b"', f'"a b": {A}'),
    "a target in quotes": case("x", 'x: "a b"@sink.example'),
    "in the sender's list": case("list", LIST),
    "nobody's letter to a list": case("list", LIST, sender=""),
    "the owner's owner": case("owner-list", LIST + f"owner-owner-list: {A}\n"),
    "a request to a list": case("list-request", LIST + f"list-request: {A}\n"),
    "an extension of a list": case("list+x", LIST),
    "the owner expanded": case("list", LIST, {"expand_owner_alias": "yes"}),
    "an owner of several": case("list", f"list: {A}\nowner-list: boss@sink.example, {B}\n", {"expand_owner_alias": "yes"}),
    "an owner within an owner": case("out", f"out: in, {A}\nowner-out: o@sink.example\nin: {B}\nowner-in: i@sink.example\n"),
    "an owner outside": case("out", f"out: in\nowner-out: o@sink.example\nin: {B}\n"),
    "an owner outside is not reset": case("out", f"out: in\nowner-out: o@sink.example\nin: {B}\n", {"reset_owner_alias": "no"}),
    "an owner outside is reset": case("out", f"out: in\nowner-out: o@sink.example\nin: {B}\n", {"reset_owner_alias": "yes"}),
    "no owners": case("list", LIST, {"owner_request_special": "no"}),
    "owners and a hyphen": case(["owner-list", "list-request"], LIST + f"owner: {A}\nlist-request: {B}\n", {"recipient_delimiter": "-"}),
    "no special owners and a hyphen": case("owner-list", f"owner: {A}\nlist: {B}\n", {"recipient_delimiter": "-", "owner_request_special": "no"}),
    "a file of addresses": case("x", "x: :include:{t}/list", files={"list": f"# remark\n{A}\n\n{B}, EVA\n"}),
    "a file in a file": case("x", "x: :include:{t}/list", files={"list": ":include:{t}/more\n", "more": f"{A}\n"}),
    "a file of nobody": case("x", "x: :include:{t}/none"),
    "a file in quotes": case("x", 'x: ":include:{t}/a list"', files={"a list": f"{A}\n"}),
    "a command in a file": case("x", "x: :include:{t}/list, " + A, files={"list": "|{t}/save\n" + B + "\n"}),
    "a command in a file, allowed": case("x", "x: :include:{t}/list", {"allow_mail_to_commands": "alias, include"}, files={"list": "|{t}/save\n"}),
    "a file in a file of addresses": case("x", "x: :include:{t}/list, " + A, files={"list": "{t}/box\n" + B + "\n"}),
    "an owner of a file": case("list", "list: :include:{t}/list\nowner-list: boss@sink.example\n", files={"list": f"{A}\n"}),
    "a command": case("x", 'x: "|{t}/save"'),
    "a command with arguments": case("x", 'x: "|{t}/save one \'two three\' four"'),
    "a command without quotes": case("x", "x: |{t}/save"),
    "a command behind quotes": case("x", 'x: |"{t}/save"'),
    "two commands": case("x", 'x: "|{t}/save 1", "|{t}/save 2"'),
    "a command and an address": case("x", 'x: "|{t}/save", ' + A),
    "the extension a command hears": case("x+Tag", 'x: "|{t}/save"'),
    "commands nowhere": case("x", f'x: "|{{t}}/save", {A}', {"allow_mail_to_commands": "forward"}),
    "commands nowhere, and nobody else": case("x", 'x: "|{t}/save"', {"allow_mail_to_commands": "forward"}),
    "default_privs": case("x", 'x: "|{t}/save"', {"default_privs": "EVA"}),
    "a command of a user's aliases": case(["x", "EVA"], 'x: "|{t}/save"\nEVA: "|{t}/save"', owner="EVA"),
    "a .forward for an extension, and they go on": case(["EVA+tag", "EVA+other"], "", {"propagate_unmatched_extensions": "forward"}, {"EVA+tag": f"{A}\n", "EVA": f"{B}, TOM, EVA\n"}),
    "a mailbox file": case("x", "x: {t}/box"),
    "a maildir": case("x", "x: {t}/boxes/"),
    "files nowhere": case("x", "x: {t}/box, " + A, {"allow_mail_to_files": "forward"}),
    "/dev/null": case("x", "x: /dev/null"),
    "a user's own mailbox": case("EVA"),
    "a .forward": case("EVA", forward={"EVA": f"{A}\n"}),
    "a .forward of several": case("EVA", forward={"EVA": f"{A}, {B}\n# no\n\\EVA\n"}),
    "a .forward to oneself": case("EVA", forward={"EVA": f"EVA, {A}\n"}),
    "an empty .forward": case("EVA", forward={"EVA": ""}),
    "a .forward of remarks": case("EVA", forward={"EVA": "# nothing\n\n"}),
    "a .forward with a command": case("EVA", forward={"EVA": "\"|{t}/save\"\n"}),
    "a .forward with a command, and none allowed": case("EVA", settings={"allow_mail_to_commands": "alias"}, forward={"EVA": "\"|{t}/save\"\n"}),
    "a .forward with a file": case("EVA", forward={"EVA": "{t}/evas/box\n"}),
    "a .forward with a file, and none allowed": case("EVA", settings={"allow_mail_to_files": "alias"}, forward={"EVA": "{t}/evas/box\n"}),
    "a .forward for an extension": case(["EVA+tag", "EVA+other"], forward={"EVA+tag": f"{A}\n", "EVA": f"{B}\n"}),
    "a .forward in quotes": case("EVA", forward={"EVA": "\"\\EVA\", " + A + "\n"}),
    "a .forward to another user": case("EVA", forward={"EVA": "TOM\n", "TOM": f"{A}\n"}),
    "a .forward in a circle": case("EVA", forward={"EVA": "TOM\n", "TOM": "EVA\n"}),
    "forward_path": case("EVA+tag", settings={"forward_path": "{f}/$user$recipient_delimiter$extension, {f}/$user"}, files={"{f}/EVA+tag": f"{A}\n", "{f}/EVA": f"{B}\n"}),
    "forward_path with names": case("EVA", settings={"forward_path": "{f}/${user}.$domain.$local$shell"}, files={"{f}/none": f"{A}\n"}),
    "no forward_path": case("EVA", settings={"forward_path": ""}, forward={"EVA": f"{A}\n"}),
    "an alias and .forward": case("x", "x: EVA", forward={"EVA": f"{A}\n"}),
    "a list and .forward": case("list", "list: EVA\nowner-list: boss@sink.example\n", forward={"EVA": f"{A}\n"}),
    "mail_spool_directory with a slash": case("MAX+tag", settings={"mail_spool_directory": "{t}/"}),
    "mailbox_command": case(["EVA", "EVA+tag"], settings={"mailbox_command": "{t}/save"}),
    "mailbox_command with names": case("EVA+tag", settings={"mailbox_command": "{t}/save \"$EXTENSION\" $USER"}),
    "mailbox_command and .forward": case("EVA", settings={"mailbox_command": "{t}/save"}, forward={"EVA": f"\\EVA, {A}\n"}),
    "mailbox_command_maps": case(["EVA", "TOM"], settings={"mailbox_command_maps": "inline:{ {EVA = {t}/save} }"}),
    "mailbox_command_maps before mailbox_command": case("EVA", settings={"mailbox_command_maps": "inline:{ {EVA = {t}/save maps} }", "mailbox_command": "exit 67"}),
    "mailbox_transport": case(["EVA", "EVA+tag", "nobody-here"], settings={"mailbox_transport": "smtp:[127.0.0.1]:{port}"}),
    "mailbox_transport of aliases": case(["x", "EVA"], f"x: EVA, {A}\nEVA: {B}", settings={"mailbox_transport": "smtp:[127.0.0.1]:{port}"}),
    "mailbox_transport and .forward": case("EVA", settings={"mailbox_transport": "smtp:[127.0.0.1]:{port}"}, forward={"EVA": f"{A}\n"}),
    "mailbox_transport_maps": case(["EVA", "TOM"], settings={"mailbox_transport_maps": "inline:{ {EVA = smtp:[127.0.0.1]:{port}} }"}),
    "mailbox_transport error": case("EVA", settings={"mailbox_transport": "error:5.2.1 closed"}),
    "fallback_transport": case(["nobody-here", "nobody-here+x", "EVA"], settings={"fallback_transport": "smtp:[127.0.0.1]:{port}"}),
    "fallback_transport_maps": case(["nobody-here", "nobody-there"], settings={"fallback_transport_maps": "inline:{ {nobody-here = smtp:[127.0.0.1]:{port}} }", "luser_relay": A}),
    "fallback_transport error": case("nobody-here", settings={"fallback_transport": "error:5.1.1 who is that?"}),
    "luser_relay": case(["nobody-here", "nobody-there+x"], settings={"luser_relay": A}),
    "luser_relay with names": case("nobody-here+x", settings={"luser_relay": "$user.$extension.$local@sink.example"}),
    "luser_relay with what there may be": case(["nobody-here+x", "nobody-here"], settings={"luser_relay": "$user${extension?-}$extension@sink.example"}),
    "luser_relay with what there is not": case(["nobody-here+x", "nobody-here"], settings={"luser_relay": "$user${extension:-none}@sink.example"}),
    "luser_relay to a user": case("nobody-here", settings={"luser_relay": "EVA+$local"}),
    "nobody": case("nobody-here"),
    "nobody, by an alias": case("x", f"x: nobody-here, {A}"),
    "nobody at all, by an alias": case("x", "x: nobody-here"),
    "local_recipient_maps": case(["x", "EVA", "y"], f"x: {A}\ny: {B}", {"local_recipient_maps": "inline:{ x=1 }"}),
    "local_recipient_maps with extensions": case(["x+t", "y+t", "z+t", "z"], f"x: {A}\ny: {B}\nz: {A}", {"local_recipient_maps": "inline:{ x=1 y+t=1 z+t@CASE=1 }"}),
    "relocated_maps": case(["x", "gone", "gone+x", "EVA"], f"x: {A}\ngone: {A}", {"relocated_maps": "inline:{ {gone = there@new.example} }"}),
    "relocated_maps by a domain": case(["x"], f"x: {A}", {"relocated_maps": "inline:{ {@CASE = new.example} }"}),
}

# What we mean to do otherwise, and why.
TOLD = "who is written to has the letter; that one of several names leads nowhere is the administrator's to mend: the log says it, and so does `mansio address test`"
AT_ONCE = "what can only come back is refused at RCPT"
KEPT = "what a user's file may not do is not done; the mailbox has the letter, and the log says why"
ONCE = "nobody gets the same letter twice"
OTHERWISE = {
    "in a circle with somebody": TOLD, "a command in a file": TOLD, "a file in a file of addresses": TOLD, "commands nowhere": TOLD, "files nowhere": TOLD, "nobody, by an alias": TOLD,
    "commands nowhere, and nobody else": AT_ONCE, "fallback_transport error": AT_ONCE, "nobody at all, by an alias": AT_ONCE,
    "a .forward with a command, and none allowed": KEPT, "a .forward with a file, and none allowed": KEPT,
    "an owner of several": "of several addresses no one is the owner; Postfix makes one name of them all, which nobody has",
    "a file of nobody": "the file may come back: 451 until it does, where Postfix returns the mail",
    "a command of a user's aliases": "it is told whose command it is, as that of a .forward is",
    "mailbox_transport of aliases": ONCE,
    "mailbox_transport and .forward": "with the mailbox at another host nobody here reads the home (mailbox_transport_maps in main.cf(5))",
}


def end_of(side, sink, domain, users):
    """What has come of the letters of a case."""
    def named(text):
        for name, user in users.items():
            text = text.replace(user.name, name)
        return text.replace(domain, "CASE").replace(str(side), "SIDE")
    with sink.lock:
        went = sorted((named(re.search(r"<(.*?)>", mail).group(1)), named(one)) for mail, to, text in sink.letters if f"Subject: {domain}\r\n".encode() in text for one in to)
    said = sorted(named("\n".join(p.read_text(errors="replace").split("\n")[:2])) for p in side.glob("said.*"))
    boxes = {str(p.relative_to(side)).replace(users["EVA"].name, "EVA").replace(users["TOM"].name, "TOM"): [named(str(m["X-Original-To"])) for m in mailbox.mbox(p, create=False)]
             for p in [side / "box", side / "evas/box"] if p.is_file() and p.stat().st_size > 0}
    for name, user in users.items():
        box, maildir = side.parent.parent / f"mail-{side.name}" / user.name, side / user.name
        boxes[name] = [named(str(m["X-Original-To"])) for m in (mailbox.mbox(box, create=False) if box.exists() else []) if m["Subject"] == domain]
        boxes[f"{name}/"] = sorted(named(str(m["X-Original-To"])) for m in (mailbox.Maildir(maildir, create=False) if (maildir / "new").exists() else []))
    dirs = len(list((side / "boxes/new").glob("*")))
    return {"went": went, "said": said, "boxes": boxes, "dirs": dirs}


class Place:
    """What both read: a directory for each case, one of each side within."""

    def __init__(self):
        self.users = {"EVA": User(), "TOM": User(), "MAX": User()}
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="beside-local-"))
        self.dir.chmod(0o755)
        for who in ("postfix", "ours"):
            for what in ("mail", "forwards"):
                (self.dir / f"{what}-{who}").mkdir()
                (self.dir / f"{what}-{who}").chmod(0o1777)

    def close(self):
        for u in self.users.values():
            u.remove()
        shutil.rmtree(self.dir, ignore_errors=True)

    def text(self, text, side, port, domain):
        for name, user in self.users.items():
            text = text.replace(name, user.name)
        return text.replace("{f}", f"{self.dir}/forwards-{os.path.basename(side)}").replace("{t}", str(side)).replace("{port}", str(port)).replace("CASE", domain)

    def side(self, i, who, one, port):
        """The files and settings of a case."""
        side, domain = self.dir / f"{i}" / who, f"c{i}.example"
        for sub in ("", "boxes", "evas"):
            (side / sub).mkdir(parents=True, exist_ok=True)
            (side / sub).chmod(0o1777 if sub == "" else 0o755)
        eva = self.users["EVA"]
        os.chown(side / "evas", eva.uid, eva.entry.pw_gid)
        for sub in ("cur", "new", "tmp"):
            (side / "boxes" / sub).mkdir(exist_ok=True)
        shutil.chown(side / "boxes", "nobody", "nogroup")
        for sub in ("cur", "new", "tmp"):
            shutil.chown(side / "boxes" / sub, "nobody", "nogroup")
        (side / "save").write_text(SAVES % (side, side, side))
        (side / "save").chmod(0o755)
        for name, text in one["files"].items():
            path = side / self.text(name, side, port, domain)      # {f} is elsewhere
            path.write_text(self.text(text, side, port, domain))
            path.chmod(0o644)
            if name.startswith("{f}/"):
                os.chown(path, eva.uid, eva.entry.pw_gid)
        aliases = side / "aliases"
        aliases.write_text(self.text(one["aliases"], side, port, domain) + "\n")
        subprocess.run(["postalias", f"hash:{aliases}"], check=True, capture_output=True)
        if one["owner"]:
            for path in (aliases, f"{aliases}.db"):
                shutil.chown(path, self.users[one["owner"]].name)
        return {"alias_maps": f"hash:{aliases}", "mail_spool_directory": str(self.dir / f"mail-{who}"), **{n: self.text(v, side, port, domain) for n, v in one["settings"].items()}}

    def clear(self, i, sink):
        """What one try of ours has left."""
        side = self.dir / f"{i}" / "ours"
        for path in [*side.glob("said.*"), side / "box", side / "evas/box", *(side / "boxes/new").glob("*"), *side.glob(f"{self.users['MAX'].name}/new/*"), *(self.dir / "mail-ours").glob("*")]:
            path.unlink(missing_ok=True)
        with sink.lock:
            sink.letters.clear()

    def forwards(self, i, who, one, port):
        for name, user in self.users.items():
            for old in user.home.glob(".forward*"):
                old.unlink()
            for whose, text in one["forward"].items():
                if whose.split("+")[0] == name:
                    user.write(".forward" + whose[len(name):], self.text(text, self.dir / f"{i}" / who, port, f"c{i}.example"), 0o644)


class Postfix(Instance):
    def __init__(self, place, sink, cases):
        self.ports = dict(zip(cases, free_ports(len(cases))))
        domains = {name: f"c{i}.example" for i, name in enumerate(cases)}
        services = SERVICES
        for i, (name, port) in enumerate(self.ports.items()):
            own = "".join(f"  -o {{ {n} = {v} }}\n" for n, v in place.side(i, "postfix", cases[name], sink.port).items())
            mine = own + f"  -o {{ myorigin = {domains[name]} }}\n"
            services += (f"127.0.0.1:{port} inet n - n - - smtpd\n{mine}  -o cleanup_service_name=cleanup{i} -o rewrite_service_name=rewrite{i}\n"
                         f"cleanup{i} unix n - n - 0 cleanup\n{mine}  -o rewrite_service_name=rewrite{i}\nrewrite{i} unix - - n - - trivial-rewrite\n{mine}"
                         f"local{i} unix - n n - - local\n{mine}  -o cleanup_service_name=cleanup{i} -o rewrite_service_name=rewrite{i}\n")
        super().__init__({**SAME, "mynetworks": "127.0.0.0/8", "default_transport": f"smtp:[127.0.0.1]:{sink.port}",
                          "mydestination": "here.example, " + ", ".join(domains.values()), "smtpd_reject_unlisted_recipient": "yes",
                          "transport_maps": "inline:{ " + ", ".join("{%s=local%d:}" % (d, i) for i, d in enumerate(domains.values())) + " }"}, services)

    def quiet(self):
        """Nothing is left to do but what waits."""
        for name in ("incoming", "active", "maildrop"):
            if any(files for _, _, files in os.walk(f"{self.home}/queue/{name}")):
                return False
        return True


@pytest.fixture(scope="module")
def both():
    place = Place()
    with Sink() as theirs, Sink() as ours:
        postfix = Postfix(place, theirs, CASES)
        try:
            # A keeper sees the places of forward_path that there were when it began.
            base = {**SAME, "forward_path": f"$home/.forward${{recipient_delimiter}}${{extension}}, $home/.forward, {place.dir}/forwards-ours/never"}
            with House(**base, dns_resolver="none", alias_maps="", mynetworks="127.0.0.0/8", mydestination="here.example",
                       default_transport=f"smtp:[127.0.0.1]:{ours.port}", minimal_backoff_time="300s") as house:
                yield place, postfix, theirs, house, ours, base
        finally:
            postfix.close()
            place.close()


def say(port, sender, to, subject):
    codes = []
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=60) as s:
        s.ehlo()
        s.docmd(f"MAIL FROM:<{sender}>")
        for a in to:
            code, text = s.docmd(f"RCPT TO:<{a}>")
            codes.append((code, re.match(rb"[245]\.\d+\.\d+|", text).group().decode()))
        if any(code == 250 for code, _ in codes):
            s.docmd("DATA")
            s.send(f"Subject: {subject}\r\n\r\nx\r\n.\r\n".encode())
            codes.append(s.getreply()[0])
    return codes


@pytest.mark.parametrize("name", CASES)
def test_goes(both, name):
    place, postfix, theirs, house, ours, base = both
    one, i = CASES[name], list(CASES).index(name)
    domain = f"c{i}.example"
    to = [place.text(a, "", 0, domain) + "@" + domain for a in one["to"]]
    place.forwards(i, "postfix", one, theirs.port)
    said = say(postfix.ports[name], one["sender"], to, domain)
    wait_for(postfix.quiet)
    place.forwards(i, "ours", one, ours.port)
    house.write_settings(**{n: base.get(n) for other in CASES.values() for n in other["settings"]})
    house.write_settings(mydestination=f"here.example, {domain}", myorigin=domain, **place.side(i, "ours", one, ours.port))
    house.command("reload")
    for _ in range(4):                     # a busy machine has not reloaded everywhere yet
        replies = say(house.ports["smtp"], one["sender"], to, domain)
        wait_for(lambda: empty(house) or "[deferred]" in house.command("queue", "list").stdout)
        a, b = (end_of(place.dir / f"{i}" / who, sink, domain, place.users) for who, sink in (("postfix", theirs), ("ours", ours)))
        a["said to the client"], b["said to the client"] = said, replies
        differs = {what: (b[what], a[what]) for what in a if a[what] != b[what]}
        house.command("queue", "delete", "ALL", check=False)
        if bool(differs) == (name in OTHERWISE):
            return
        place.clear(i, ours)
        time.sleep(1)
    assert name in OTHERWISE, f"ours, Postfix's: {differs}"
    assert differs, "as Postfix does"
