# SPDX-License-Identifier: ISC
"""Text of strangers that was taken for something else: orders for a shell, files, lines of the queue's own, patterns that a check runs away on.
docs/threats-smtp.md says which class is which test."""

import email
import os
import pathlib
import re
import shutil
import smtplib
import socket
import ssl
import tempfile
import time

import pytest
from house import House, wait_for
from test_sending import Sink
from test_sending import house as sending_house
from test_system_users import User

PATIENCE = 60
ORDERS = ["|touch {x}", ";touch {x};", "`touch {x}`", "$(touch {x})", "${{run{{touch {x}}}}}", "-oQ{x}", "-X{x}", "{x}", "/{x}", ":include:/etc/passwd", "\\root",
          "$SENDER", "a b\" c", "../../{x}", "|{x}|", "&&touch {x}", "'$(touch {x})'", "%(x)n%s%n", "#{x}"]


@pytest.fixture
def shells():
    """A house where every address ends in a shell: mailbox_command, an alias that is a command, a .forward, a pipe."""
    user, fwd = User(), User()
    place = pathlib.Path(tempfile.mkdtemp(prefix="orders-"))
    place.chmod(0o777)
    script = place / "keep"
    script.write_text(f"#!/bin/sh\ncat >/dev/null\nn=$(mktemp {place}/kept.XXXXXX)\nprintf '%s\\n' \"$0\" \"$@\" \"$SENDER\" \"$RECIPIENT\" \"$EXTENSION\" >$n\n")
    script.chmod(0o755)
    (place / "aliases").write_text(f"prog: \"|{script} $RECIPIENT ${{EXTENSION}}\"\n")
    fwd.write(".forward", f"\"|{script} $EXTENSION\"\n", 0o644)
    (place / "ways").write_text("p.example keep:\n")
    pipe = f"pipe flags=DRhu user={user.name} argv={script} ${{sender}} ${{recipient}} ${{user}} ${{extension}}"
    with House(mydestination="here.example", myorigin="here.example", myhostname="mail.here.example", mailbox_command=f"{script} $RECIPIENT",
               alias_maps=f"texthash:{place}/aliases", local_recipient_maps="", luser_relay=f"{user.name}+$local", recipient_delimiter="+", mynetworks="127.0.0.0/8",
               allow_mail_to_commands="alias, forward, include", transport_maps=f"texthash:{place}/ways", relay_domains="p.example",
               **{"keep/transport": pipe}, smtpd_client_connection_count_limit="0", notify_classes="", relayhost="[127.0.0.1]:1") as house:
        yield house, place, user, fwd
    user.remove()
    fwd.remove()
    shutil.rmtree(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: commands run as their users")
@pytest.mark.parametrize("form", ORDERS)
def test_no_address_is_an_order(shells, form):
    """CVE-2020-7247, CVE-2019-10149: what a shell, an alias or an expansion would obey is a name like any other in an address."""
    house, place, user, fwd = shells
    x = place / "obeyed"
    queued = []
    text = form.format(x=x).replace("\\", "\\\\").replace('"', '\\"')
    with smtplib.SMTP("127.0.0.1", house.ports["smtp"], timeout=PATIENCE) as s:
        s.ehlo("client.example")
        for sender in (f"\"{text}\"@out.example", "a@out.example"):
            taken = 0
            if s.docmd("MAIL", f"FROM:<{sender}>")[0] != 250:
                s.rset()
                continue
            for to in (f"\"{text}\"@here.example", f"\"{user.name}+{text}\"@here.example", f"\"prog+{text}\"@here.example", f"\"{fwd.name}+{text}\"@here.example",
                       f"\"{text}\"@p.example", f"\"a+{text}\"@p.example", "prog@here.example", "b@p.example"):
                taken += s.docmd("RCPT", f"TO:<{to}>")[0] == 250
            assert taken >= 2, "commands are run for those that are nothing special"
            code, said = s.data(b"Subject: x\r\n\r\nx\r\n")
            assert code == 250
            queued.append(said.decode().split()[-1])
    wait_for(lambda: all(f"{one}: removed" in house.text() for one in queued))
    assert len(list(place.glob("kept.*"))) >= 2 * len(queued), "the commands were run"
    assert not x.exists() and not list(place.glob("obeyed*"))
    assert not (pathlib.Path("/") / "obeyed").exists()


def test_no_shipped_door_for_those_who_mend_it():
    """The worm of 1988: DEBUG, WIZ and their kin are unknown commands."""
    with House() as house, smtplib.SMTP("127.0.0.1", house.ports["smtp"], timeout=PATIENCE) as s:
        s.ehlo("client.example")
        for verb in ("DEBUG", "WIZ", "KILL", "SHOWQ", "ONEX", "VERB", "QUEU", "TICK"):
            assert s.docmd(verb)[0] // 100 == 5, verb


@pytest.mark.parametrize("code, end", [("550 5.1.1", "\r"), ("450 4.2.0", "\r"), ("450 4.2.0", "\n"), ("550 5.1.1", "\n")])
def test_no_reply_of_a_host_brings_lines_of_its_own(code, end):
    """CVE-2020-8794: what another server says lies in the queue, in the log and in notices, and is text in all of them.  A line that is none of a
    reply is no answer: the letter waits."""
    evil = "\r\n".join([f"{code[:3]}-{code[4:]} one{end}message-file: x", f"{code[:3]}-two{end}Final-Recipient: rfc822; evil@evil.example{end}Action: delivered",
                        f"{code} three\x1b[31m\0\x07 {end}Nov 23 00:00:00 mail mansio/qmgr[1]: EVIL: from=<evil>"])

    def reply(verb, argument, session):
        return evil if verb == "RCPT" and "victim@" in argument else None
    with Sink(reply) as sink, sending_house(relayhost=f"[127.0.0.1]:{sink.port}", delay_warning_time="0") as h:
        with h.smtp() as s:
            s.sendmail("a@here.example", ["victim@there.example"], "Subject: x\r\n\r\nx\r\n")
        if code[0] == "4" or end == "\n":
            wait_for(lambda: "status=deferred" in h.text())
            h.stop()
            h.start()
            assert "victim@there.example" in (listed := h.command("queue", "list").stdout) and "\x1b" not in listed
            h.command("queue", "delete", "ALL")
        else:
            wait_for(lambda: sink.letters)
            [(_, to, notice)] = sink.letters
            assert to == ["a@here.example"]
            m = email.message_from_bytes(notice)
            [status] = [p for p in m.walk() if p.get_content_type() == "message/delivery-status"]
            fields = [(n, v) for part in status.get_payload() for n, v in part.items()]
            assert [v for n, v in fields if n == "Final-Recipient"] == ["rfc822; victim@there.example"]
            assert [v for n, v in fields if n == "Action"] == ["failed"]
            assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", notice) and not re.search(rb"^(Final-Recipient: rfc822; evil|message-file)", notice, re.M)
        assert not [line for line in h.text().split("\n") if line and not re.match(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ mansio", line)]
        assert not [line for line in h.text().split("\n") if re.match(r"\S+ +\d+ [\d:]+ \S+ mansio/qmgr\[1\]", line)]
        assert not re.search(r"[\x00-\x08\x0b-\x1f]", h.text())


@pytest.mark.parametrize("kind", ["pcre", "regexp"])
def test_no_text_keeps_a_check_busy(kind):
    """ReDoS: patterns that run away, and what they run away on, in every check a stranger's text comes to.  Others are served meanwhile, and the
    letter is answered: put off, where the pattern could not be decided."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="redos-"))
    place.chmod(0o755)
    (place / "bad").write_text("/^(a+)+$/ REJECT\n/^Subject: (x+x+)+y$/ REJECT\n/^(([a-z@.]+)*)*#$/ REJECT\n")
    table = f"{kind}:{place}/bad"
    settings = {f"smtpd_{n}_restrictions": f"check_{w}_access {table}" for n, w in (("helo", "helo"), ("sender", "sender"), ("recipient", "recipient"))}
    try:
        with House(header_checks=table, body_checks=table, mime_header_checks=table, nested_header_checks=table, **settings, smtpd_timeout="60s") as house:
            house.at_work()
            house.command("domain", "add", "example.com")
            house.command("account", "add", "jill@example.com", input="secret-secret\n")
            run = "a" * 60 + "!"
            letter = f"Subject: {'x' * 2000}\r\nX-A: {'a' * 5000}!\r\n\r\n{'a' * 900}!\r\n" + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\r\n" * 200
            open_ones = []
            for helo, sender, to in [(run, "a@b.example", "jill@example.com"), ("c.example", f"{run}@b.example", "jill@example.com"),
                                     ("c.example", "a@b.example", f"jill+{run}@example.com"), ("c.example", "a@b.example", "jill@example.com")]:
                s = socket.create_connection(("127.0.0.1", house.ports["smtp"]), timeout=PATIENCE)
                s.sendall(f"EHLO {helo}\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode())
                open_ones.append(s)
            open_ones[3].sendall(letter.encode() + b"\r\n.\r\nQUIT\r\n")
            with house.smtp() as other:
                assert other.sendmail("a@b.example", ["jill@example.com"], "Subject: quick\r\n\r\nx\r\n") == {}
            text = b""
            while piece := open_ones[3].recv(10000):
                text += piece
            answers = [line for line in text.decode().split("\r\n") if re.match(r"\d{3} ", line)]
            assert answers[-1].startswith("221") and answers[-2][:3] in ("250", "451", "550"), answers
            for s in open_ones:
                s.close()
            assert all(p["restarts"] == 0 for p in house.status() if "restarts" in p)
    finally:
        shutil.rmtree(place)


def secure():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.mark.parametrize("plain", ["NOOP", "EHLO evil.example\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<jill@example.com>", "RSET\r\nRSET\r\nRSET", "QUIT", "STARTTLS"])
def test_within_tls_there_is_one_answer_for_each_command_that_was_said_there(plain):
    """CVE-2011-0411: what came in the clear is answered by nobody, neither as what it is nor with an error."""
    with House() as house:
        sock = socket.create_connection(("127.0.0.1", house.ports["smtp"]), timeout=PATIENCE)
        sock.recv(1000)
        sock.sendall(b"EHLO client.example\r\n")
        time.sleep(0.1)
        sock.recv(2000)
        sock.sendall(f"STARTTLS\r\n{plain}\r\n".encode())
        assert sock.recv(1000).startswith(b"220")
        try:
            tls = secure().wrap_socket(sock)
        except (ssl.SSLError, ConnectionError):
            return  # a server that hangs up has heard nothing either
        tls.sendall(b"XYZZY\r\nNOOP\r\nQUIT\r\n")
        text = b""
        while piece := tls.recv(2000):
            text += piece
        assert [line[:3] for line in text.decode().split("\r\n")[:-1]] == ["502" if b"502" in text else "500", "250", "221"], text


@pytest.mark.parametrize("service", ["smtp", "submissions"])
@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_a_handshake_that_is_not_gone_on_with_has_an_end(service, said):
    with House(smtpd_starttls_timeout="1s", smtpd_timeout="100s") as house:
        sock = socket.create_connection(("127.0.0.1", house.ports[service]), timeout=PATIENCE)
        if service == "smtp":
            sock.recv(1000)
            sock.sendall(b"EHLO client.example\r\n")
            while b"250 " not in sock.recv(4000):
                pass
            sock.sendall(b"STARTTLS\r\n")
            assert sock.recv(1000).startswith(b"220")
        sock.sendall(said)
        try:
            while sock.recv(1000):
                pass
        except ConnectionError:
            pass
        sock.close()
        with house.smtp() as s:
            assert s.noop()[0] == 250
