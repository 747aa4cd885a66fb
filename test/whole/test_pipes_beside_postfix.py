# SPDX-License-Identifier: ISC
"""pipe(8) as Debian's Postfix does it: the same command, flags and letters at both, what it is told and given compared byte by byte.
Domains are in small letters here since they came in; that h makes them small in words is in the unit's cases.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_pipes_beside_postfix.py
"""

import os
import pathlib
import re
import shutil
import smtplib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import wait_for
from test_pipes import USER, command, kept, place  # noqa: F401
from test_sending import Receiver, house

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("postfix"), reason="needs root and Postfix")

LETTER = b"From nowhere\r\nFrom: a@here.example\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@here.example>\r\nSubject: dots\r\nTo: x@there.example\r\n\r\n.one\r\n..two\r\nFrom the midst\r\n\r\nFrom after a blank\r\nlong " \
         + b"x" * 2000 + b"\r\n"
# name -> (flags and attributes, words, sender, recipients)
CASES = {
    "plain": ("", "${recipient}", "a@here.example", ["b@p.example"]),
    "DRhu": ("flags=DRhu", "-f ${sender} -d ${user}@${domain}", "A@here.example", ["Bob+Ext@p.example"]),
    "O": ("flags=DOR", "${original_recipient} ${mailbox}", "a@here.example", ["b@p.example"]),
    "F": ("flags=F", "${user} ${extension}", "a@here.example", ["b+one+two@p.example"]),
    "F of nobody": ("flags=FR", "${sender}", "", ["b@p.example"]),
    "null_sender": ("flags=FR null_sender=", "[${sender}]", "", ["b@p.example"]),
    "B": ("flags=B", "$recipient", "a@here.example", ["b@p.example"]),
    "dots": ("flags=.", "$recipient", "a@here.example", ["b@p.example"]),
    "angle": ("flags=>", "$recipient", "a@here.example", ["b@p.example"]),
    "all": ("flags=BDFORhqu.>", "$recipient", "a@here.example", ["b@p.example"]),
    "q": ("flags=q", "$(sender) ${recipient}", '"a b"@here.example', ['"c d"@p.example']),
    "not q": ("", "$(sender) ${recipient}", '"a b"@here.example', ['"c d"@p.example']),
    "eol": ("eol=\\r\\n flags=R", "$recipient", "a@here.example", ["b@p.example"]),
    "octal": ("eol=\\057\\n", "$recipient", "a@here.example", ["b@p.example"]),
    "several": ("", "-a ${recipient} -n ${nexthop} ${user} $$ ${sender}", "a@here.example", ["b@p.example", "c@p.example", "d+e@p.example"]),
    "domains": ("", "${domain} ${user}", "a@here.example", ["b@p.example", "c@p.example"]),
    "client": ("", "${client_address} ${client_protocol} ${client_helo} ${sasl_username}.", "a@here.example", ["b@p.example"]),
    "size": ("size=100", "$recipient", "a@here.example", ["b@p.example"]),
}


def deliver(port, sender, to):
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=60) as s:
        s.ehlo()
        assert s.docmd(f"MAIL FROM:<{sender}>")[0] == 250
        for one in to:
            assert s.docmd(f"RCPT TO:<{one}>")[0] == 250
        assert s.docmd("DATA")[0] == 354
        s.send(b"\r\n".join(b"." + line if line.startswith(b".") else line for line in LETTER[14:].split(b"\r\n")) + b".\r\n")
        assert s.getreply()[0] == 250


def known(one):
    """Without what each server puts in with its name and the time of day.  Where a command begins is the queue's directory with Postfix and / here."""
    letter = re.sub(rb"(?m)^(>?From [^\r\n/]*?)  ?\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}", rb"\1 WHEN", one.letter)
    letter = re.sub(rb"Received: .*(?:\r?/?\n[ \t].*)*", b"Received:", letter)
    letter = re.sub(rb"(?m)^(Message-I[dD]|Date): .*\r?/?\n", b"", letter)
    return letter, one.words, one.user, one.group


@pytest.mark.parametrize("case", CASES)
def test_pipe_is_as_postfix_has_it(place, case):  # noqa: F811
    more, words, sender, to = CASES[case]
    theirs, ours = place / "theirs", place / "ours"
    for where in (theirs, ours):
        (where / "kept").mkdir(parents=True)
        shutil.chown(where / "kept", USER)
        command(where)
    attributes = f"{more} user={USER} argv=HERE/keep {words}"
    with Receiver("transport_maps = inline:{{ {{ p.example = keep:[next.example] }} }}\nrelay_domains = p.example\nrecipient_delimiter = +\n"
                  "header_size_limit = 102400\n",
                  [f"keep unix - n n - - pipe\n  {attributes.replace('HERE', str(theirs))}"]) as postfix:
        deliver(postfix.port, sender, to)
        wait_for(lambda: postfix.log().count("status=") >= len(to), 60)
        log = postfix.log()
    with house(**{"transport_maps": "inline:{p.example=keep:[next.example]}", "recipient_delimiter": "+", "relay_domains": "p.example",
                  "keep/transport": f"pipe {attributes.replace('HERE', str(ours))}"}) as h:
        deliver(h.ports["smtp"], sender, to)
        wait_for(lambda: h.count("status=") >= len(to), 60)
        mine = h.text()
    said = [[re.sub(r"message size \d+", "message size N", x) for x in re.findall(r"to=<[^>]*@p\.example>.*?dsn=([\d.]+, status=\w+ \(.*\))", text)] for text in (log, mine)]
    assert sorted(said[1]) == sorted(said[0])
    assert len(kept(ours)) == len(kept(theirs)) == (case != "size")
    for mine, other in zip(kept(ours), kept(theirs)):
        for one, two in zip(known(mine), known(other)):
            assert one == two


ENDS = {
    "0": "exit 0", "1": "exit 1", "64": "exit 64", "65": "exit 65", "67": "exit 67", "68": "exit 68", "69": "exit 69", "70": "exit 70", "71": "exit 71", "72": "exit 72",
    "73": "exit 73", "74": "exit 74", "75": "exit 75", "76": "exit 76", "77": "exit 77", "78": "exit 78", "63": "exit 63", "79": "exit 79", "127": "exit 127",
    "words": "echo no such thing; exit 67", "a code": "echo 5.7.1 not for you; exit 1", "4 and 65": "echo 4.2.2 full; exit 65", "5 and 75": "echo 5.2.2 full; exit 75",
    "2 and 0": "echo 2.1.5 fine; exit 0", "killed": "kill -9 $$", "to stderr": "echo it is broken >&2; exit 65", "two lines": "printf 'one\\ntwo\\n'; exit 77",
}


def test_what_its_end_means_is_as_postfix_has_it(place):  # noqa: F811
    """Each exit status, with words and codes, by a transport each; the blank that Postfix makes of the last end of line is left out here."""
    names = {f"end{n}": script for n, script in enumerate(ENDS.values())}
    for name, script in names.items():
        (place / name).write_text(f"#!/bin/sh\ncat > /dev/null\n{script}\n")
        (place / name).chmod(0o755)
    table = " ".join(f"{{{{ {n}.example = {n}: }}}}" for n in names)
    with Receiver(f"transport_maps = inline:{{{{ {table} }}}}\nrelay_domains = {' '.join(n + '.example' for n in names)}\n",
                  [f"{n} unix - n n - - pipe\n  user={USER} argv={place}/{n}" for n in names]) as postfix:
        for n in names:
            deliver(postfix.port, "", [f"x@{n}.example"])
        wait_for(lambda: postfix.log().count("status=") >= len(names), 90)
        log = postfix.log()
    with house(**{"transport_maps": "inline:{" + ", ".join(f"{n}.example={n}:" for n in names) + "}", "relay_domains": " ".join(n + ".example" for n in names),
                  "minimal_backoff_time": "300s", "maximal_backoff_time": "300s", **{f"{n}/transport": f"pipe user={USER} argv={place}/{n}" for n in names}}) as h:
        for n in names:
            deliver(h.ports["smtp"], "", [f"x@{n}.example"])
        wait_for(lambda: h.count("status=") >= len(names), 90)
        mine = h.text()

    def said(text):
        return {n: re.search(rf"to=<x@{n}\.example>.*dsn=([\d.]+, status=\w+ \(.*?\))(?: tls=\w*)?$", text, re.M).group(1).replace(str(place), "").replace(" )", ")") for n in names}
    ours, theirs = said(mine), said(log)
    assert {(names[n], theirs[n], ours[n]) for n in names if ours[n] != theirs[n]} == set()


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q", *sys.argv[1:]]))
