# SPDX-License-Identifier: ISC
"""smtpd_proxy_filter: letters go through a filter before they are taken, and what the client hears is what the filter says; beside
Debian's Postfix with the same filters.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_proxy_filter.py
"""

import os
import pathlib
import re
import shutil
import smtplib
import socket
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import free_ports, wait_for
from test_sending import Receiver, Sink, house

needs_postfix = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("postfix"), reason="wants Postfix and root")
FORWARD = ("XFORWARD NAME ADDR PORT PROTO HELO SOURCE", "8BITMIME", "DSN", "SMTPUTF8")
LETTER = "From: a@here.example\r\nSubject: x\r\n\r\n.a dot\r\n..\r\nend\r\n"


def converse(port, to=("b@there.example",), letter=LETTER, options=(), sender="a@here.example"):
    """The replies to one letter, to the first that refuses."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=60) as s:
        s.ehlo()
        said = [s.mail(sender, options)]
        for one in to:
            said.append(s.rcpt(one))
        if all(code == 250 for code, _ in said):
            said.append(s.data(letter))
        # A refusal of ours has an id behind it, for `mansio policy why`.
        return [(code, re.sub(r" \(P[0-9A-Z]{10}\)$", "", words.decode())) for code, words in said]


def filtered(port, **more):
    return house(**{"smtp/smtpd_proxy_filter": f"127.0.0.1:{port}", "relay_domains": "there.example", "mynetworks": "", **more})


def at(verb, said):
    return lambda v, *_: said if v == verb else None


FILTERS = {
    "takes it": lambda *_: None,
    "says more": at("END", "250-2.0.0 one\r\n250 2.0.0 two"),
    "refuses the letter": at("END", "550 5.7.1 no such thing here"),
    "refuses without a status": at("END", "554 no"),
    "is busy": at("END", "451 4.7.1 come back"),
    "refuses the sender": at("MAIL", "550 5.1.8 who is that"),
    "refuses the recipient": at("RCPT", "450 4.2.1 full"),
    "refuses DATA": at("DATA", "554 5.5.1 no"),
    "greets badly": at("CONNECT", "554 5.3.2 closed"),
    "knows no EHLO": at("EHLO", "502 5.5.1 what"),
    "takes DATA as done": at("DATA", "250 fine"),
    "goes on at MAIL": at("MAIL", "354 go on"),
    "hangs up at the greeting": at("CONNECT", ""),
    "hangs up at MAIL": at("MAIL", ""),
    "hangs up after the dot": at("END", ""),
}


class Before(Receiver):
    """Postfix with the filter before its queue."""

    def __init__(self, filter_port, more=""):
        super().__init__()
        self.front = free_ports(1)[0]
        with open(self.home / "etc/master.cf", "a") as master:
            master.write(f"127.0.0.1:{self.front} inet n - n - - smtpd\n  -o smtpd_proxy_filter=127.0.0.1:{filter_port}\n"
                         "  -o smtpd_proxy_options=speed_adjust\n  -o smtpd_authorized_xforward_hosts=\n")
        # Each name once: Postfix warns of a second, and reloads slowly when much is warned of.
        main = (self.home / "etc/main.cf").read_text() + "smtpd_authorized_xforward_hosts = 127.0.0.0/8\nmynetworks =\n" + more
        lines = {line.split("=")[0].strip(): line for line in main.splitlines() if "=" in line}
        (self.home / "etc/main.cf").write_text("\n".join(lines.values()) + "\n")
        subprocess.run(["postfix", "-c", self.home / "etc", "reload"], check=True, capture_output=True, timeout=60)
        wait_for(self.hears)

    def hears(self):
        try:
            socket.create_connection(("127.0.0.1", self.front), timeout=5).close()
            return True
        except OSError:
            return False


class Pliable(Sink):
    """A filter whose manners can be changed."""

    def __init__(self):
        self.manners = lambda *_: None
        super().__init__(lambda *words: self.manners(*words), offers=FORWARD)

    def heard(self):
        with self.lock:
            words, self.commands = self.commands, []
            letters, self.letters = self.letters, []
        return words, letters


@pytest.fixture(scope="module")
def both():
    with Pliable() as theirs, Pliable() as ours, Before(theirs.port) as postfix, filtered(ours.port) as h:
        yield theirs, ours, postfix, h


def plain(words):
    """Commands without what is of the two servers and connections themselves."""
    out = []
    for line in words:
        if line.startswith("XFORWARD"):
            out += sorted(re.sub(r"(PORT|NAME)=\S+", r"\1=n", w) for w in line.split()[1:] if not w.startswith("IDENT="))
        elif not line.startswith("QUIT"):
            out.append(re.sub(r"EHLO .*", "EHLO us", line).replace(" SIZE=0", "").upper().rstrip())
    return out


@needs_postfix
@pytest.mark.parametrize("which", FILTERS)
def test_the_client_hears_what_postfix_would_say(both, which):
    theirs, ours, postfix, h = both
    theirs.manners = ours.manners = FILTERS[which]
    theirs.heard(), ours.heard()
    wanted, got = converse(postfix.front), converse(h.ports["smtp"])
    assert [code for code, _ in got] == [code for code, _ in wanted]
    assert got[-1] == wanted[-1]
    if which == "takes it":
        (their_words, their_letters), (our_words, our_letters) = theirs.heard(), ours.heard()
        assert sorted(plain(our_words)) == sorted(plain(their_words))
        assert [l[1] for l in our_letters] == [l[1] for l in their_letters]
        ends = [letters[0][2].partition(b"From: a@")[2] for letters in (our_letters, their_letters)]
        assert ends[0] == ends[1] and ends[0].endswith(b"\r\n\r\n.a dot\r\n..\r\nend\r\n")
        assert our_letters[0][2].startswith(b"Received: from client.example (")


@pytest.mark.parametrize("manners", [at("END", "354 more"), at("MAIL", "hello there"), at("CONNECT", "220-\r\n" * 2000)], ids=["354", "nonsense", "endless"])
def test_what_no_server_says_is_no_answer(manners):
    """Postfix passes 354 on to the client, and waits for more of what is no reply."""
    with Sink(manners) as sink, filtered(sink.port) as h:
        assert converse(h.ports["smtp"])[-1] == (451, "4.3.0 Error: queue file write error")
        assert not sink.letters


@needs_postfix
def test_a_filter_that_is_not_there_is_later(both):
    port = free_ports(1)[0]
    with Before(port) as postfix, filtered(port) as h:
        wanted, got = converse(postfix.front), converse(h.ports["smtp"])
        assert got[-1] == wanted[-1] == (451, "4.3.0 Error: queue file write error")
        assert f"connect to proxy filter 127.0.0.1:{port}: Connection refused" in h.text()


@needs_postfix
def test_postfix_as_the_filter_hears_of_our_client(both):
    with Before(1) as postfix, filtered(postfix.port) as h:
        code, words = converse(h.ports["smtp"], ["b@there.example", "c@there.example"], options=["BODY=8BITMIME"])[-1]
        assert code == 250 and words.startswith("2.0.0 Ok: queued as ")
        wait_for(lambda: postfix.log().count("status=sent") == 2)
        taken = words.split()[-1]
        assert re.search(rf"{taken}: client=.*orig_client=\S*\[127\.0\.0\.1\]", postfix.log()) or re.search(rf"{taken}: client=\S*\[127\.0\.0\.1\]", postfix.log())
        assert f"proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as {taken}; from=<a@here.example> to=<b@there.example> proto=ESMTP helo=<client.example>" in h.text()
        assert "Mail queue is empty" in h.command("queue", "list").stdout
        assert converse(h.ports["smtp"], ["bad@there.example"])[-1] == (554, "5.7.1 <bad@there.example>: Recipient address rejected: Access denied")


def test_nothing_is_kept_and_large_letters_stream():
    with Sink(offers=FORWARD) as sink, filtered(sink.port) as h:
        letter = "Subject: x\r\n\r\n" + ("." + "x" * 70 + "\r\n") * 20000
        assert converse(h.ports["smtp"], letter=letter)[-1][0] == 250
        assert sink.letters[0][2].endswith(letter.encode()) and "Mail queue is empty" in h.command("queue", "list").stdout
        assert any(c.startswith("XFORWARD") and "HELO=client.example" in c for c in sink.commands)


def test_a_lone_linefeed_ends_no_letter_of_the_filters():
    """What one server takes for text and the next for the end of it (rfc5321:2.3.8)."""
    with Sink() as sink, filtered(sink.port, smtpd_forbid_bare_newline="normalize") as h:
        with socket.create_connection(("127.0.0.1", h.ports["smtp"]), timeout=30) as s:
            f = s.makefile("rwb")
            for line in (b"EHLO x", b"MAIL FROM:<a@here.example>", b"RCPT TO:<b@there.example>", b"DATA"):
                f.write(line + b"\r\n")
            f.flush()
            while not f.readline().startswith(b"354"):
                pass
            f.write(b"Subject: x\r\n\r\none\n.\nMAIL FROM:<evil@x>\r\n.\r\n")
            f.flush()
            f.readline()
        assert len(sink.letters) <= 1 and not any("evil" in c for c in sink.commands)


def test_what_the_filter_cannot_be_told_is_not_offered():
    with Sink() as sink, filtered(sink.port) as h, h.smtp() as s:
        s.ehlo()
        assert s.has_extn("8bitmime") and s.has_extn("chunking")
        assert not any(s.has_extn(w) for w in ("binarymime", "deliverby", "mt-priority", "requiretls", "futurerelease"))


def test_a_filter_that_is_silent_is_later_and_a_dead_role_too():
    def silent(verb, *_):
        if verb == "END":
            waiting.wait(30)
    import threading
    waiting = threading.Event()
    with Sink(silent) as sink, filtered(sink.port, smtpd_proxy_timeout="1s") as h:
        assert converse(h.ports["smtp"])[-1] == (451, "4.3.0 Error: queue file write error")
        assert f"timeout talking to proxy 127.0.0.1:{sink.port}" in h.text()
        waiting.set()
    waiting.clear()
    with Sink(silent) as sink, filtered(sink.port) as h:
        said = []
        thread = threading.Thread(target=lambda: said.extend(converse(h.ports["smtp"])))
        thread.start()
        wait_for(lambda: any(c == "DATA" for c in sink.commands))
        os.kill(next(p["pid"] for p in h.status() if p["role"] == "policy"), 9)
        thread.join(60)
        assert said[-1] == (451, "4.3.0 Error: queue file write error")
        waiting.set()


@pytest.mark.parametrize("lines, said", [
    ({"smtpd_proxy_filter": "nonsense"}, "write 127.0.0.1:10025"),
    ({"smtpd_proxy_options": "fast"}, "write speed_adjust"),
    ({"smtp/smtpd_proxy_filter": "127.0.0.1:9", "smtp/header_checks": "inline:{a=REJECT}"}, "smtp/header_checks: letters of a listener with smtpd_proxy_filter"),
    ({"smtp/smtpd_proxy_filter": "127.0.0.1:9", "smtp/clamd_socket": "inet:127.0.0.1:9"}, "smtp/clamd_socket: letters of a listener with smtpd_proxy_filter"),
    ({"smtp/smtpd_proxy_filter": "127.0.0.1:9", "smtp/content_filter": "smtp:[127.0.0.1]:9"}, "smtp/content_filter: letters of a listener with smtpd_proxy_filter"),
    ({"smtpd_proxy_filter": "127.0.0.1:9", "body_checks": "inline:{a=REJECT}"}, "body_checks: letters of a listener with smtpd_proxy_filter"),
])
def test_the_settings_check_says_what_to_write(lines, said):
    with pytest.raises(Exception) as e:
        with house(**lines):
            pass
    assert said in str(e.value) or said in str(getattr(e.value, "stdout", "")) + str(getattr(e.value, "stderr", ""))


def test_checks_are_for_the_listener_that_letters_come_back_to(tmp_path):
    """The order of Postfix: the first listener gives letters on unseen, and the one behind the filter looks at them."""
    (tmp_path / "checks").write_text("/^Subject: bad/ REJECT not here\n")
    back = free_ports(1)[0]
    with house(**{"smtp/smtpd_proxy_filter": f"127.0.0.1:{back}", "listeners": "back", "back/listener_service": "smtp", "back/listener_address": f"127.0.0.1:{back}",
                  "header_checks": f"regexp:{tmp_path / 'checks'}", "relay_domains": "there.example", "mynetworks": "127.0.0.0/8"}) as h:
        code, words = converse(h.ports["smtp"], letter=LETTER.replace("Subject: x", "Subject: bad"))[-1]
        assert code == 550 and words.startswith("5.7.1 not here")
        assert "proxy-reject: END-OF-MESSAGE: 550 5.7.1 not here" in h.text() and "mansio/back/smtpd" in h.text()
        assert converse(h.ports["smtp"])[-1][0] == 250


# What the mail filter does, and what a client says to it.
BEFORE = ["EHLO c.example", "MAIL FROM:<a@here.example>", "RCPT TO:<b@there.example>"]
FILTERED = {
    "it only hears": ([], [*BEFORE, "RCPT TO:<x@elsewhere.example>", "DATA", LETTER.encode(), "MAIL FROM:<c@here.example>", "RSET", "FOO", "QUIT"]),
    "it refuses a recipient": (["rcpt@nasty=reply:550:5.7.9:not him"], [*BEFORE, "RCPT TO:<nasty@there.example>", "DATA", LETTER.encode(), "QUIT"]),
    "it refuses the sender": (["mail=reject"], [*BEFORE, "QUIT"]),
    "it refuses hello": (["helo=reject"], [*BEFORE, "QUIT"]),
    "it refuses the client": (["connect=reject"], [*BEFORE, "QUIT"]),
    "it puts the client off": (["connect=tempfail"], [*BEFORE, "QUIT"]),
    "it refuses DATA": (["data=reject"], [*BEFORE, "DATA", "QUIT"]),
    "it throws the letter away": (["mail=discard"], [*BEFORE, "DATA", LETTER.encode(), "QUIT"]),
    "it throws a recipient's away": (["rcpt=discard"], [*BEFORE, "DATA", LETTER.encode(), "QUIT"]),
    "it would refuse the letter": (["eom=reject"], [*BEFORE, "DATA", LETTER.encode(), "QUIT"]),
    "it would change the letter": (["eom=addheader:X-New:x"], [*BEFORE, "DATA", LETTER.encode(), "QUIT"]),
}


@pytest.fixture(scope="module")
def filtered_both():
    theirs, ours = free_ports(2)
    with Pliable() as their_sink, Pliable() as our_sink, \
            Before(their_sink.port, f"smtpd_milters = inet:127.0.0.1:{theirs}\nmilter_macro_v = version\nmyhostname = mail.here.example\n") as postfix, \
            filtered(our_sink.port, smtpd_milters=f"inet:127.0.0.1:{ours}", milter_macro_v="version", myhostname="mail.here.example",
                     mydestination="here.example") as h:
        yield (theirs, postfix.front, their_sink), (ours, h.ports["smtp"], our_sink)


@needs_postfix
@pytest.mark.parametrize("which", FILTERED)
def test_mail_filters_of_a_proxied_listener_hear_what_they_hear_in_postfix(filtered_both, which):
    import test_milters
    if not os.path.exists(test_milters.TOLD):
        pytest.skip("needs libmilter")
    options, said = FILTERED[which]
    found = []
    for milter, port, sink in filtered_both:
        with test_milters.Told(f"inet:{milter}@127.0.0.1", *options) as told:
            replies = test_milters.talk(port, said)
            heard = test_milters.events(told.heard())
        words, letters = sink.heard()
        found.append((replies, heard, [w.split()[0] for w in words if not w.startswith(("XFORWARD", "QUIT", "EHLO"))], len(letters)))
    if "throws" in which:
        # Postfix passes to the filter before its queue what a mail filter has thrown away; here it is thrown away.
        assert found[0][0][-2] == ["250 2.0.0 kept"] and found[0][3] == 1
        assert found[1][0][-2] == ["queued"] and found[1][3] == 0 and found[1][1] == found[0][1]
    else:
        assert found[1] == found[0]


def test_mail_filters_hear_commands_and_not_the_letter():
    """As in Postfix: smtpd tells them of the session; the letter is for the listener behind, which may have filters of its own."""
    from test_milters import TOLD, Told
    if os.geteuid() != 0 or not os.path.exists(TOLD):
        pytest.skip("needs root and libmilter")
    port = free_ports(1)[0]
    with Told(f"inet:{port}@127.0.0.1", "rcpt@bad=reply:550:5.7.9:not him", "eom=reject"), Sink(offers=FORWARD) as sink, \
            filtered(sink.port, smtpd_milters=f"inet:127.0.0.1:{port}", smtpd_peername_lookup="no") as h:
        assert converse(h.ports["smtp"], ["bad@there.example"])[-1] == (550, "5.7.9 not him")
        assert converse(h.ports["smtp"])[-1][0] == 250 and len(sink.letters) == 1


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q", *sys.argv[1:]]))
