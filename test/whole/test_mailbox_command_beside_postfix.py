# SPDX-License-Identifier: ISC
"""What a command of mailbox_command, of an alias and of ~/.forward finds when it runs, and what its end means, by Postfix's local(8) and by us with
the same lines: every variable, the directory, uid and groups; procmail and maildrop as commands.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_mailbox_command_beside_postfix.py
"""

import os
import re
import shutil
import smtplib

import pytest
from house import House, wait_for
from test_local_beside_postfix import SAME, Place, Postfix, case
from test_sending import Sink, empty

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

DUMP = """#!/bin/sh
{ env; echo "ID=$(id -u) $(id -g) $(id -G)"; echo "UMASK=$(umask)"; echo "WORDS=$*"; echo "CWD=$(pwd)"; echo "NAMES=$(tr '\\0' '\\n' < /proc/$$/environ | cut -d= -f1 | grep -vx PWD | sort | tr '\\n' ' ')"; } > "SIDE/tmp.$$"
sed -e '/^$/q' > "SIDE/letter.$$"
mv "SIDE/tmp.$$" "SIDE/env.$$"
"""
PROCMAIL, MAILDROP = "/usr/bin/procmail", "/usr/bin/maildrop"


def own(settings=(), to="EVA", command="{t}/dump", xclient="", aliases="", forward=(), sender="joe@away.example"):
    said = dict(settings)
    if command:
        said["mailbox_command"] = command
    return {**case(to, aliases, said, forward, {"dump": DUMP.replace("SIDE", "{t}")}, sender), "xclient": xclient}


CASES = {
    "a user's": own(),
    "with an extension": own(to="EVA+Tag.x"),
    "of nobody's letter": own(sender=""),
    "of a hostile sender": own(sender='"a`id`$(id);|b c"@away.example'),
    "of a hostile extension": own(to='"EVA+`id`;$x"'),
    "brought by somebody": own(xclient="NAME=client.away.example ADDR=198.51.100.7 HELO=he.lo PROTO=ESMTP"),
    "of an alias": own(to="x", command="", aliases='x: "|{t}/dump"'),
    "of an alias with an extension": own(to="x+Tag", command="", aliases='x: "|{t}/dump"'),
    "of an alias of default_privs": own({"default_privs": "TOM"}, to="x", command="", aliases='x: "|{t}/dump"'),
    "behind an alias": own(to="x+tag", aliases="x: EVA"),
    "behind an alias with an extension": own({"propagate_unmatched_extensions": "alias"}, to="x+tag", aliases="x: EVA"),
    "behind virtual_alias_maps": own({"virtual_alias_maps": "inline:{ {x@CASE = EVA+y@CASE} }"}, to="x"),
    "of .forward": own(command="", forward={"EVA": '"|{t}/dump one $EXTENSION \'$SENDER\'"\n'}),
    "of .forward with an extension": own(command="", to="EVA+tag", forward={"EVA+tag": '|{t}/dump\n'}),
    "with words": own(command='{t}/dump "$USER" $HOME ${EXTENSION:-none} "$SENDER" $LOCAL $DOMAIN'),
    "with plain words": own(command="{t}/dump $USER -a --b=c /x"),
    "with a shell's own word": own(command="exec {t}/dump a"),
    "with a variable before it": own(command="X=y {t}/dump a"),
    "with a variable of the environment": own(command="FOO=bar; export FOO; {t}/dump $FOO"),
    "command_expansion_filter": own({"command_expansion_filter": "abcdefghijklmnopqrstuvwxyz@./;()"}, sender='"a$(id)B;"@away.example'),
    "command_execution_directory": own({"command_execution_directory": "{t}/evas"}),
    "command_execution_directory with names": own({"command_execution_directory": "/${extension?tmp}${user:x}/../proc/self/root/$extension"}, to="EVA+tmp"),
    "execution_directory_expansion_filter": own({"command_execution_directory": "/$extension", "execution_directory_expansion_filter": "tmp"}, to='EVA+tmp'),
    "a directory that is not there": own({"command_execution_directory": "{t}/none"}),
    "a directory of somebody else": own({"command_execution_directory": "/root"}),
    "export_environment": own({"export_environment": "TZ=Europe/Berlin LANG NOSUCH"}),
    "export_environment with braces": own({"export_environment": "{ WORD = two words } LANG=de_DE.UTF-8"}),
    "export_environment of what a user has": own({"export_environment": "HOME=/nowhere USER=nobody PATH=/nowhere RECIPIENT=x@y.example WORD=a WORD=b"}),
    "export_environment of many": own({"export_environment": " ".join(f"WORD{n}={n}" for n in range(60))}),
    "export_environment of nothing": own({"export_environment": ""}),
    "local_command_shell": own({"local_command_shell": "/bin/dash -c"}),
    "procmail": own(command=PROCMAIL + ' -a "$EXTENSION"', to="EVA+list"),
    "procmail without words": own(command=PROCMAIL),
    "maildrop": own(command=MAILDROP, to="EVA+list"),
    "maildrop -d": own(command=MAILDROP + " -d ${USER}"),
    "procmail of .forward": own(command="", forward={"EVA": f'"|IFS=\' \' && exec {PROCMAIL} -f- || exit 75 #EVA"\n'}),
}
# Where nothing is said of it we are in the home, or in /; Postfix is in its queue's directory.
ELSEWHERE = {"CWD", "PWD"}


def variables(side, domain, users, home):
    """What the command found, with names that are another on each side as words."""
    found = []
    for path in sorted(side.glob("env.*")):
        text = path.read_text(errors="replace")
        for name, user in users.items():
            text = text.replace(user.name, name)
        text = re.sub(r"MAIL_CONFIG=.*", "MAIL_CONFIG=there", text.replace(domain, "CASE").replace(str(side), "SIDE").replace(home, "HOME-OF-IT"))
        found.append(dict(line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] not in "_ "))
    return found


def said_of(log, domain):
    """What the log says became of it: dsn and status."""
    return sorted(set(re.findall(rf"to=<[^>]*@{re.escape(domain)}>.*dsn=([\d.]+), status=(\w+) ", log)))


def say(port, one, to, subject):
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=60) as s:
        s.ehlo()
        if one["xclient"]:
            assert s.docmd("XCLIENT", one["xclient"])[0] == 220
        s.docmd(f"MAIL FROM:<{one['sender']}>")
        code = s.docmd(f"RCPT TO:<{to}>")[0]
        if code == 250:
            s.docmd("DATA")
            s.send(f"From: a@away.example\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-Id: <1@away.example>\r\nSubject: {subject}\r\n\r\nx\r\n.\r\n".encode())
            code = s.getreply()[0]
        return code


@pytest.fixture(scope="module")
def both():
    place = Place()
    for name in ("procmail", "maildrop"):
        eva = place.users["EVA"]
        eva.write(".procmailrc" if name == "procmail" else ".mailfilter", "# written anew by each case\n")
    with Sink() as theirs, Sink() as ours:
        more = {**SAME, "smtpd_authorized_xclient_hosts": "127.0.0.1"}
        postfix = Postfix(place, theirs, {name: {**one, "settings": {**one["settings"], "smtpd_authorized_xclient_hosts": "127.0.0.1"}} for name, one in CASES.items()})
        try:
            with House(**more, dns_resolver="none", smtpd_peername_lookup="no", alias_maps="", mynetworks="127.0.0.0/8", mydestination="here.example",
                       default_transport=f"smtp:[127.0.0.1]:{ours.port}", minimal_backoff_time="300s") as house:
                yield place, postfix, theirs, house, ours, more
        finally:
            postfix.close()
            place.close()


def filters(place, side):
    """Both run the same program with what a user would write for them."""
    eva = place.users["EVA"]
    eva.write(".procmailrc", f":0\n| {side}/dump procmail \"$1\"\n")
    eva.write(".mailfilter", f"to \"|{side}/dump maildrop\"\n")


@pytest.mark.parametrize("name", CASES)
def test_it_finds(both, name):
    place, postfix, theirs, house, ours, base = both
    one, i = CASES[name], list(CASES).index(name)
    domain = f"c{i}.example"
    to = place.text(one["to"][0], "", 0, domain) + "@" + domain
    ends = {}
    for who, sink in (("postfix", theirs), ("ours", ours)):
        side = place.dir / f"{i}" / who
        place.forwards(i, who, one, sink.port)
        if who == "ours":
            house.write_settings(**{n: base.get(n) for other in CASES.values() for n in other["settings"]})
            house.write_settings(mydestination=f"here.example, {domain}", myorigin=domain, **place.side(i, "ours", one, ours.port))
        for path in side.rglob("*"):
            if path.name == "dump":
                path.chmod(0o755)
        filters(place, side)
        if who == "ours":
            house.command("reload")
        port = postfix.ports[name] if who == "postfix" else house.ports["smtp"]
        code = say(port, one, to, domain)
        log = postfix.log if who == "postfix" else house.log.read_text
        wait_for(lambda: code != 250 or said_of(log(), domain), 60)
        wait_for(lambda: (postfix.quiet() if who == "postfix" else empty(house) or "[deferred]" in house.command("queue", "list").stdout) and not list(side.glob("tmp.*")), 60)
        ends[who] = {"code": code, "end": said_of(log(), domain), "found": variables(side, domain, place.users, postfix.home if who == "postfix" else str(house.directory)),
                     "letter": [sorted(l.split(":")[0] for l in p.read_text(errors="replace").splitlines() if re.match(r"[A-Z][\w-]*:", l)) for p in side.glob("letter.*")]}
    house.command("queue", "delete", "ALL", check=False)
    a, b = ends["postfix"], ends["ours"]
    assert len(a["found"]) == len(b["found"]), (a, b)
    differs = {what: (b[what], a[what]) for what in ("code", "end", "letter") if a[what] != b[what]}
    for mine, its in zip(b["found"], a["found"]):
        differs.update({n: (mine.get(n), its.get(n)) for n in {*mine, *its} if mine.get(n) != its.get(n)})
    if not one["xclient"]:
        differs.pop("CLIENT_HOSTNAME", None)                        # no name is looked up there; we know who 127.0.0.1 is
    if "command_execution_directory" not in one["settings"]:
        differs = {n: v for n, v in differs.items() if n not in ELSEWHERE}
    assert not differs, f"ours, Postfix's: {differs}"
