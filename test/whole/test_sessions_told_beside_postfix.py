# SPDX-License-Identifier: ISC
"""notify_classes: of which sessions the postmaster gets a letter, and what stands in it, in Debian's Postfix and here.

Each class has a service of its own, whose letters go to an address of its own at a server of the test.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sessions_told_beside_postfix.py
"""

import contextlib
import os
import pathlib
import re
import shutil
import smtplib
import socket
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from beside import Postfix, plain, settings_for, tables_of
from house import House, free_ports, wait_for
from test_sending import Sink, empty, send
from test_sending import house as sending_house

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

CLASSES = ["bounce", "policy", "protocol", "resource", "software", "data"]
DEAD = "socketmap:inet:127.0.0.1:1:x"
TABLES = {
    "access": """denied@there.example REJECT not from you
later@there.example DEFER come again
busy@there.example 450 4.3.2 busy
try@there.example defer
nonsense@there.example nonsense
database@there.example database
service@there.example service
""",
    "aliases": "u: discard@there.example\n",
    "transport": "off@here.example retry:4.3.2 not today\nfull@here.example retry:4.3.1 no room there\nshut@here.example error:5.3.0 closed\n",
}
HEADERS = "/^X-Bad:/ REJECT no such fields\n"
MAIL, RCPT = "MAIL FROM:<a@there.example>", "RCPT TO:<u@here.example>"
LETTER = ["Subject: x", "", "body", "."]
# What goes wrong, and what the client says for it behind EHLO; a list is a letter.
MISTAKES = {
    "nothing": [MAIL, RCPT, "DATA", LETTER],
    "no such command": ["NONSENSE"],
    "no path": ["MAIL FROM:a b<"],
    "no such parameter": [MAIL + " COLOUR=red"],
    "out of turn": [RCPT],
    "twice": [MAIL, MAIL],
    "nobody to send to": [MAIL, "DATA"],
    "VRFY is off": ["VRFY u"],
    "no TLS here": ["STARTTLS"],
    "a relay": [MAIL, "RCPT TO:<x@elsewhere.example>"],
    "nobody here": [MAIL, "RCPT TO:<nobody@here.example>"],
    "its transport says retry": [MAIL, "RCPT TO:<off@here.example>"],
    "its transport says retry for want of room": [MAIL, "RCPT TO:<full@here.example>"],
    "its transport says error": [MAIL, "RCPT TO:<shut@here.example>"],
    "a sender refused": ["MAIL FROM:<denied@there.example>", RCPT],
    "a sender put off": ["MAIL FROM:<later@there.example>", RCPT],
    "a sender put off with a status": ["MAIL FROM:<busy@there.example>", RCPT],
    "a sender put off by defer": ["MAIL FROM:<try@there.example>", RCPT],
    "a wrong table": ["MAIL FROM:<nonsense@there.example>", RCPT],
    "a dead table": ["MAIL FROM:<database@there.example>", RCPT],
    "a dead service": ["MAIL FROM:<service@there.example>", RCPT],
    "it says too much": [MAIL + " SIZE=99999999"],
    "it is too much": [MAIL, RCPT, "DATA", ["x" * 900] * 40 + ["."]],
    "a field refused": [MAIL, RCPT, "DATA", ["X-Bad: yes", *LETTER]],
    "too many hops": [MAIL, RCPT, "DATA", ["Received: by x"] * 60 + LETTER],
    "too many mistakes": ["NONSENSE"] * 6,
}
SETTINGS = {
    "smtpd_restriction_classes": "database, service",
    "database": f"check_recipient_access {DEAD}",
    "service": "check_policy_service inet:127.0.0.1:1",
    "smtpd_policy_service_max_idle": "1s",
    "smtpd_policy_service_try_limit": "1",
    "smtpd_sender_restrictions": "check_sender_access hash:{t}/access",
    "smtpd_recipient_restrictions": "reject_unauth_destination",
    "smtpd_relay_restrictions": "",
    "header_checks": "regexp:{t}/headers",
    "transport_maps": "hash:{t}/transport",
    "disable_vrfy_command": "yes",
    "message_size_limit": "30000",
    "hopcount_limit": "50",
    "smtpd_tls_security_level": "none",
    "smtpd_hard_error_limit": "5",
    "smtpd_error_sleep_time": "0",
    "smtpd_client_connection_count_limit": "0",
}


def name(mistake):
    return mistake.replace(" ", "-").lower() + ".m.example"


def converse(port, mistake, said):
    """All of it, each behind the answer to the one before."""
    with socket.create_connection(("127.0.0.1", port), 30) as s, s.makefile("rb") as f:
        def reply():
            while (line := f.readline()) and line[3:4] == b"-":
                pass
            return line
        reply()
        with contextlib.suppress(ConnectionError):         # it may have hung up
            for one in [f"EHLO {name(mistake)}", *said, "QUIT"]:
                s.sendall(("\r\n".join(one) if isinstance(one, list) else one).encode() + b"\r\n")
                if not reply():
                    return


class Told:
    """Of which session who was told: {mistake: {class: lines of the session}}."""

    def __init__(self):
        self.sink = Sink()

    def all(self):
        found = {}
        with self.sink.lock:
            letters = list(self.sink.letters)
        for mail, rcpt, text in letters:
            text = text.decode()
            for mistake in MISTAKES:
                if f"EHLO {name(mistake)}" in text:
                    assert mail.startswith("FROM:<>") or "double-bounce@" in mail, mail
                    found.setdefault(mistake, {})[rcpt[0].split("@")[0]] = lines(text)
        return found

    def close(self):
        self.sink.close()


def lines(text):
    """Who said what: of what the server says its code and status, and nothing of what it offers."""
    text = re.sub(r"\r\n     ?(?! )(?=\S)", " ", text.replace("\r\n ", "\r\n"))
    found = re.findall(r"(?m)^(In:|Out:) +([^\r\n]*)", text)
    return [words if side == "In:" else plain(words)[:9] for side, words in found if not re.match(r"250[- ]?(?!2\.)", words)]


def settle(told, what):
    """What is told comes behind the session, in its own time: until nothing more has come for a while."""
    wait_for(lambda: what(told.all()), 60)
    return told.all()


@pytest.fixture(scope="module")
def both():
    """The same said to both: what they told of it."""
    theirs, ours = Told(), Told()
    with contextlib.ExitStack() as stack:
        tables = stack.enter_context(tables_of(TABLES, headers=HEADERS))
        stack.callback(theirs.close)
        stack.callback(ours.close)
        own = {c: {"notify_classes": c, "error_notice_recipient": f"{c}@post.example", "bounce_notice_recipient": f"{c}@post.example"} for c in CLASSES}
        common = {n: v.format(t=tables) for n, v in SETTINGS.items()}
        postfix = Postfix(tables, {c: (own[c], []) for c in CLASSES},
                          "".join(f"{n} = {v}\n" for n, v in common.items()) + f"default_transport = smtp:[127.0.0.1]:{theirs.sink.port}\n")
        stack.callback(postfix.close)
        ports = dict(zip(CLASSES, free_ports(len(CLASSES))))
        settings = {line.split(" = ")[0]: line.partition("=")[2].strip() for line in settings_for(tables).splitlines() if "=" in line}
        for c in CLASSES:
            settings |= {f"{c}/listener_service": "smtp", f"{c}/listener_address": f"127.0.0.1:{ports[c]}", **{f"{c}/{n}": v for n, v in own[c].items()}}
        house = stack.enter_context(House(**{**settings, **common, "listeners": ", ".join(CLASSES), "dns_resolver": "none",
                                             "relayhost": f"[127.0.0.1]:{ours.sink.port}", "receiver_processes": "4",
                                             "smtp_tls_security_level": "none"}))
        house.at_work()
        for mistake, said in MISTAKES.items():
            for c in CLASSES:
                converse(postfix.ports[c], mistake, said)
                converse(ports[c], mistake, said)
        done = lambda found: "too many mistakes" in found and len(found) >= 15      # noqa: E731
        yield settle(theirs, done), settle(ours, done), house


# Where it is of another class here: what Postfix says of it, and we.
OTHERWISE = {
    "nobody to send to": ([], ["protocol"]),            # a command out of its turn, as any other
    "VRFY is off": (["policy"], ["protocol"]),          # 502, as for any command that is not there
    "a dead table": (["policy"], ["data"]),             # nothing is refused by a rule that could not be asked ...
    "a dead service": (["policy"], ["software"]),       # ... nor by a service
    "it says too much": (["policy"], ["bounce"]),       # as when it has come
}


def test_the_same_sessions_are_told_of_by_the_same_classes(both):
    theirs, ours, house = both
    them, us = ({m: sorted(found.get(m, {})) for m in MISTAKES} for found in (theirs, ours))
    assert {m: (them[m], us[m]) for m in MISTAKES if them[m] != us[m]} == OTHERWISE
    assert us["nothing"] == [] and "panic:" not in house.text()


def test_what_was_said_in_them_is_the_same(both):
    theirs, ours, _ = both
    for mistake, found in theirs.items():
        for c, them in found.items():
            us = ours.get(mistake, {}).get(c)
            if us is not None:
                assert [w.replace("5.4.6", "5.4.0") for w in us] == them, mistake     # too many hops are 5.4.6 by rfc3463:3.5


# ---- hosts that letters go to -----------------------------------------------------------------------

def at(verb, said):
    return lambda v, argument, session: said if v == verb else None


# What the other server says, and where.
HOSTS = {
    "all is well": lambda *_: None,
    "no such user": at("RCPT", "550 5.1.1 no such user"),
    "it knows no MAIL": at("MAIL", "502 5.5.1 what?"),
    "it knows no such parameter": at("MAIL", "555 5.5.4 what?"),
    "RCPT is out of turn": at("RCPT", "503 5.5.1 why now?"),
    "three is no answer to RCPT": at("RCPT", "354 go on"),
    "not now": at("MAIL", "451 4.3.0 not now"),
    "a greeting that is no reply": at("CONNECT", "hello there"),
    "not for us": at("CONNECT", "554 go away"),
    "no such code": at("RCPT", "777 what is this"),
    "DATA is done": at("DATA", "250 go on"),
    "the end is no end": at("END", "199 wait"),
}


MORE = {"a greeting that is no reply"}     # of which Postfix says nothing


def names(found):
    return {name for name, texts in found.items() if texts}


@pytest.fixture(scope="module")
def hosts():
    """A letter to each, from both: of which of them the postmaster hears."""
    theirs, ours = Sink(), Sink()
    with contextlib.ExitStack() as stack:
        tables = stack.enter_context(tables_of({"aliases": "x: y\n"}))
        sinks = [stack.enter_context(Sink(reply, offers=())) for reply in HOSTS.values()]
        stack.callback(theirs.close)
        stack.callback(ours.close)

        def transports(post):
            rows = [("post.example", post.port)] + [(f"h{i}.example", s.port) for i, s in enumerate(sinks)]
            return "inline:{%s}" % ", ".join("{%s = smtp:[127.0.0.1]:%d}" % row for row in rows)
        told = {"notify_classes": "protocol, resource, software, data", "error_notice_recipient": "chief@post.example"}
        postfix = Postfix(tables, {"in": ({}, [])}, "".join(f"{n} = {v}\n" for n, v in {
            **told, "transport_maps": transports(theirs), "mynetworks": "127.0.0.0/8"}.items()) +
            "default_transport = smtp:\nsmtpd_recipient_restrictions =\nsmtpd_relay_restrictions = permit_mynetworks, reject\n")
        stack.callback(postfix.close)
        house = stack.enter_context(sending_house(**told, transport_maps=transports(ours), smtp_tls_security_level="none",
                                                  minimal_backoff_time="300s", maximal_backoff_time="300s"))
        for i in range(len(HOSTS)):
            send(house, [f"x@h{i}.example"], sender="a@back.example")
            with smtplib.SMTP("127.0.0.1", postfix.ports["in"], timeout=30) as s:
                s.sendmail("a@back.example", [f"x@h{i}.example"], "Subject: x\n\nx\n")

        def found(sink):
            with sink.lock:
                texts = [text.decode() for _, rcpt, text in sink.letters if rcpt == ["chief@post.example"]]
            return {name: [t for t in texts if f"127.0.0.1]:{s.port}" in t] for name, s in zip(HOSTS, sinks)}
        wait_for(lambda: house.count("to=<x@h") >= len(HOSTS), 60)
        with contextlib.suppress(TimeoutError):         # then the test says what differs
            wait_for(lambda: names(found(ours)) == names(found(theirs)) | MORE and "it knows no MAIL" in names(found(ours)), 30)
        yield found(theirs), found(ours)


def test_of_the_same_hosts_the_postmaster_hears(hosts):
    theirs, ours = hosts
    assert names(ours) == names(theirs) | MORE
    assert not ours["all is well"] and not ours["no such user"] and ours["it knows no MAIL"]
    text = ours["it knows no MAIL"][0]
    assert re.search(r"(?m)^Subject: Mansio SMTP client: errors from 127\.0\.0\.1\[127\.0\.0\.1\]:\d+\r$", text)
    assert " In:  502 5.5.1 what?\r\n" in text and " Out: MAIL FROM:<a@back.example>" in text


# ---- and nothing more -------------------------------------------------------------------------------

def test_a_postmaster_whose_host_does_wrong_too_hears_nothing_of_that():
    """What is told goes to a host that does not know MAIL either: it comes back to nobody, and of that session nothing is told."""
    with Sink(at("MAIL", "502 5.5.1 what?")) as sink, sending_house(
            relayhost=f"[127.0.0.1]:{sink.port}", notify_classes="protocol, policy", error_notice_recipient="chief@there.example") as h:
        send(h, ["x@there.example"], sender="a@there.example")
        wait_for(lambda: h.count("postmaster notification of a session") == 1)
        wait_for(lambda: empty(h))
        assert h.count("postmaster notification of a session") == 1


def test_whoever_does_wrong_all_day_fills_nobodys_mailbox():
    with Sink() as sink, sending_house(relayhost=f"[127.0.0.1]:{sink.port}", notify_classes="protocol",
                                       error_notice_recipient="chief@post.example") as h:
        for _ in range(40):
            converse(h.ports["smtp"], "nothing", ["NONSENSE"])
        wait_for(lambda: len(sink.got()) >= 30)
        wait_for(lambda: h.count("disconnect from") >= 40 and empty(h))
        assert sink.got() == ["chief@post.example"] * 30


def test_a_long_session_is_told_before_its_end_and_no_password_is_in_it():
    with Sink() as sink, sending_house(relayhost=f"[127.0.0.1]:{sink.port}", notify_classes="protocol", error_notice_recipient="chief@post.example",
                                       smtpd_history_flush_threshold="20", smtpd_sasl_auth_enable="yes", smtpd_tls_auth_only="no",
                                       smtpd_hard_error_limit="0", smtpd_error_sleep_time="0", auth_failure_delay="0") as h:
        with h.smtp() as s:
            s.helo("x")
            s.docmd("AUTH PLAIN AGphY2sAd2F5LXN0YXRpb24=")
            s.docmd("AUTH LOGIN")
            s.docmd("amFja0BleGFtcGxlLmNvbQ==")
            s.docmd("d2F5LXN0YXRpb24=")
            s.docmd("NONSENSE " + "y" * 1500)
            s.rset()
            assert sink.got() == []
            for _ in range(10):
                s.noop()
            s.rset()
            wait_for(lambda: sink.got() == ["chief@post.example"])
        text = sink.letters[0][2].decode()
        assert " In:  AUTH PLAIN [not shown]\r\n" in text and " In:  AUTH LOGIN\r\n" in text and "d2F5" not in text and "amFj" not in text
        assert re.search(r"(?m)^ In:  NONSENSE y{503} \[\.\.\.\]\r$", text) and " Out: 500 5.5.2 " in text
        assert max(map(len, text.splitlines())) < 998


def test_a_class_that_is_none_is_told_so():
    with sending_house() as h:
        h.write_settings(notify_classes="bounce, polcy")
        done = h.command("config", "check", check=False)
        assert done.returncode != 0 and "notify_classes: polcy is none of them" in done.stdout + done.stderr
