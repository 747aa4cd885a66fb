# SPDX-License-Identifier: ISC
"""pipe(8) as Debian's Postfix does it: the same command, flags and letters at both, what it is told and given compared byte by byte.
Domains are in small letters here since they came in; that h makes them small in words is in the unit's cases.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_pipes_beside_postfix.py
"""

import base64
import email
import os
import pathlib
import re
import shutil
import smtplib
import socket
import sys
import tempfile
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import wait_for
from test_pipes import USER, command, kept, place  # noqa: F401
from test_sending import Receiver, Sink, house

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


class Dovecot(threading.Thread):
    """The far end of smtpd_sasl_type = dovecot, to which every password is right."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        path.chmod(0o666)
        self.socket.listen()
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client.makefile("rwb"),), daemon=True).start()

    @staticmethod
    def serve(f):
        f.write(b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t0123456789abcdef0123456789abcdef\nDONE\n")
        f.flush()
        for line in f:
            word, number, *more = line.decode().rstrip("\n").split("\t")
            if word == "AUTH":
                user = base64.b64decode(next(m for m in more if m.startswith("resp="))[5:]).split(b"\0")[1].decode()
                f.write(f"OK\t{number}\tuser={user}\n".encode())
                f.flush()


FAR = "NAME=far.example ADDR=192.0.2.7 PORT=1337 PROTO=ESMTP HELO=said.example"
# name -> what is said between EHLO and MAIL, and behind MAIL
BROUGHT = {
    "a client's": (["XFORWARD " + FAR], ""),
    "its own, without a name": ([], ""),
    "of an IPv6 client that said HELO": (["XFORWARD NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::7 PORT=[UNAVAILABLE] PROTO=SMTP"], ""),
    "whose id was told and nothing else": (["XFORWARD IDENT=4711"], ""),
    "who logged in": (["LOGIN"], ""),
    "and said for whom": (["LOGIN"], " AUTH=eve+40far.example"),
    "and said for nobody": (["LOGIN"], " AUTH=<>"),
}


def test_what_a_command_hears_of_who_brought_it_is_as_with_postfix(place):  # noqa: F811
    """Every macro of pipe(8) about the client and its login; the port of a socket of this test's own is only a number."""
    told = "${client_address} ${client_hostname} ${client_port} ${client_protocol} ${client_helo} ${sasl_method} ${sasl_username} ${sasl_sender}"
    words = " ".join(f"[{w}]" for w in told.split())
    theirs, ours = place / "theirs", place / "ours"
    for where in (theirs, ours):
        (where / "kept").mkdir(parents=True)
        shutil.chown(where / "kept", USER)
        command(where)
    where = pathlib.Path(tempfile.mkdtemp(prefix="pipe-auth-", dir="/tmp"))
    where.chmod(0o755)
    heard = {}

    def bring(port, kept_at, server):
        for number, (said, behind) in enumerate(BROUGHT.values()):
            with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=60) as s:
                s.ehlo()
                for line in said:
                    if line == "LOGIN":
                        s.login("ann@here.example", "secret", initial_response_ok=True)
                    else:
                        assert s.docmd(line)[0] == 250
                assert s.docmd(f"MAIL FROM:<ann@here.example>{behind}")[0] == 250
                assert s.docmd(f"RCPT TO:<n{number}@p.example>")[0] == 250
                s.data("Subject: x\r\n\r\nx\r\n")
            wait_for(lambda: len(kept(kept_at)) > number, 60)
        for one in kept(kept_at):
            number = int(re.search(r"n(\d+)@", one.words[0]).group(1))
            heard[server, number] = [re.sub(r"^\[\d+\]$", "[NUMBER]", w) if w != "[1337]" else w for w in one.words[1:]]
            if heard[server, number][1] == "[localhost]":       # what comes by the loopback is called so here, looked up or not
                heard[server, number][1] = "[unknown]"
            heard[server, number][0] = heard[server, number][0].replace("IPv6:", "")    # an address is written one way here, whoever said it

    auth = Dovecot(where / "auth")
    try:
        with Receiver("transport_maps = inline:{{ {{ p.example = keep: }} }}\nrelay_domains = p.example\nsmtpd_authorized_xforward_hosts = 127.0.0.1\n"
                      f"smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = {where}/auth\n",
                      [f"keep unix - n n - - pipe\n  user={USER} argv={theirs}/keep ${{recipient}} {words}"]) as postfix:
            bring(postfix.port, theirs, "postfix")
        with house(**{"transport_maps": "inline:{p.example=keep:}", "relay_domains": "p.example", "smtpd_authorized_xforward_hosts": "127.0.0.1",
                      "smtpd_sasl_auth_enable": "yes", "smtpd_tls_auth_only": "no", "smtpd_sasl_mechanism_list": "PLAIN",
                      "smtpd_sasl_security_options": "noanonymous",
                      "keep/transport": f"pipe user={USER} argv={ours}/keep ${{recipient}} {words}"}) as h:
            h.command("domain", "add", "here.example")
            h.command("account", "add", "ann@here.example", input="secret\n")
            bring(h.ports["smtp"], ours, "ours")
    finally:
        auth.socket.close()
        shutil.rmtree(where)
    names = list(BROUGHT)
    assert len(heard) == 2 * len(names)
    assert {names[n]: heard["ours", n] for n in range(len(names))} == {names[n]: heard["postfix", n] for n in range(len(names))}


def test_whether_a_command_is_the_end_of_the_way_is_told_as_by_postfix(place):  # noqa: F811
    """flags=X: a notice of success says delivered, where without it a letter was relayed; so does lmtp_assume_final of a host without DSN."""
    (place / "take").write_text("#!/bin/sh\ncat > /dev/null\n")
    (place / "take").chmod(0o755)
    told = {}

    def actions(sink):
        found = {}
        for _, _, text in sink.letters:
            for part in email.message_from_bytes(text).walk():
                if part["Action"]:
                    found[part["Final-Recipient"].split(";")[1].strip()] = part["Action"], part["Status"]
        return found

    def bring(port, sink, server):
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as s:
            for to in ("b@end.example", "b@way.example", "b@lmtp.example"):
                s.sendmail("ann@one.example", [to], "Subject: x\r\n\r\nx\r\n", rcpt_options=["NOTIFY=SUCCESS"])
        wait_for(lambda: len(sink.letters) >= 3, 60)
        told[server] = actions(sink)

    with Sink() as theirs, Sink() as ours, Sink(lmtp=True) as mailbox:
        table = "end.example=end:, way.example=way:, lmtp.example=lmtp:[127.0.0.1]:%d, one.example=smtp:[127.0.0.1]:%d"
        as_postfix = "inline:{{ " + ", ".join("{{ %s }}" % t.replace("=", " = ") for t in (table % (mailbox.port, theirs.port)).split(", ")) + " }}"
        with Receiver(f"transport_maps = {as_postfix}\nrelay_domains = end.example way.example lmtp.example\nlmtp_assume_final = yes\nsmtp_tls_security_level = none\n",
                      [f"end unix - n n - - pipe\n  flags=X user={USER} argv={place}/take", f"way unix - n n - - pipe\n  user={USER} argv={place}/take",
                       "smtp unix - - n - - smtp", "lmtp unix - - n - - lmtp"]) as postfix:
            bring(postfix.port, theirs, "postfix")
        with house(**{"transport_maps": "inline:{" + table % (mailbox.port, ours.port) + "}", "relay_domains": "end.example way.example lmtp.example", "lmtp_assume_final": "yes",
                      "end/transport": f"pipe flags=X user={USER} argv={place}/take", "way/transport": f"pipe user={USER} argv={place}/take"}) as h:
            bring(h.ports["smtp"], ours, "ours")
    assert told["ours"] == told["postfix"]
    assert {to: action for to, (action, _) in told["ours"].items()} == {"b@end.example": "delivered", "b@way.example": "relayed", "b@lmtp.example": "delivered"}


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
