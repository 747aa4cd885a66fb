# SPDX-License-Identifier: ISC
"""A server that misbehaves in all the ways there are: what goes wrong at first, and is well in the end, brings the letter once;
nothing of it hangs, and nobody else waits.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sending_faults.py
"""

import collections
import contextlib
import email
import email.policy
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import free_ports, make_certificate, wait_for
from nameservers import Nsd
from test_sending import LETTER, Sink, empty, house, names, send  # noqa: F401

STEPS = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA")
OFFERS = ("SIZE 10000000",)


def at(step, what):
    return lambda v, a, s: what(s) if v == step else None


def hang(session):
    """Until we have had enough of it."""
    session.socket.settimeout(30)
    try:
        while session.socket.recv(65536):
            pass
    except OSError:
        pass
    return ""


def drip(session):
    """A reply that never ends, a byte now and then."""
    try:
        session.socket.sendall(b"250-")
        for _ in range(200):
            time.sleep(0.1)
            session.socket.sendall(b"x")
    except OSError:
        pass
    return ""


def reset(session):
    session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return ""


def say(text):
    return lambda session: text


FAULTS = {
    **{f"it hangs at {step}": at(step, hang) for step in STEPS},
    **{f"it drips at {step}": at(step, drip) for step in STEPS},
    **{f"it resets at {step}": at(step, reset) for step in STEPS},
    **{f"it says 421 at {step}": at(step, say("421 4.3.2 I go")) for step in STEPS},
    **{f"it says 1yz at {step}": at(step, say("150 hm")) for step in STEPS},
    **{f"it says 000 at {step}": at(step, say("000 hm")) for step in STEPS},
    **{f"it says 3yz at {step}": at(step, say("399 hm")) for step in STEPS if step != "DATA"},
    **{f"its answer at {step} has a thousand lines": at(step, say("250-x\r\n" * 5000 + "250 x")) for step in STEPS},
    **{f"its line at {step} has no end": at(step, say("250 " + "x" * 100000)) for step in STEPS},
    "it says 421 at the end": at("END", say("421 4.3.2 I go")),
    "it says 452 at the end": at("END", say("452 4.3.1 full")),
    "it says 452 to the recipient": at("RCPT", say("452 4.5.3 too many")),
    "it says 552 to the recipient": at("RCPT", say("552 5.5.3 too many")),
    "it answers what nobody asked": at("CONNECT", say("220 x\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken")),
    "it sends binary": at("EHLO", say("250-\0\1\2\377\r\n\377\376")),
    "it speaks another protocol": at("CONNECT", say("SSH-2.0-OpenSSH_9.2")),
    "its codes have no end of line": at("MAIL", say("250")),
    "it breaks TLS with nothing": lambda v, a, s: (s.socket.sendall(b"220 go\r\n"), "")[1] if v == "STARTTLS" else None,
    "it breaks TLS with silence": lambda v, a, s: (s.socket.sendall(b"220 go\r\n"), hang(s))[1] if v == "STARTTLS" else None,
    "it puts an answer behind STARTTLS": lambda v, a, s: "220 go\r\n250-evil\r\n250 AUTH PLAIN" if v == "STARTTLS" else None,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_misbehaves_twice_and_then_it_is_well(fault):
    tls = "TLS" in fault

    def reply(verb, argument, session):
        return FAULTS[fault](verb, argument, session) if session.number <= 2 else None
    with Sink(reply, offers=(*OFFERS, "STARTTLS") if tls else OFFERS) as sink, house(
            relayhost=f"[127.0.0.1]:{sink.port}", smtp_tls_security_level="may" if tls else "none",
            **{f"smtp_{name}_timeout": "1s" for name in ("helo", "mail", "rcpt", "data_init", "data_xfer", "data_done", "rset", "starttls")}) as h:
        send(h, ["b@there.example"])
        wait_for(lambda: sink.got() and empty(h), 40)
        assert sink.got() == ["b@there.example"], h.text()
        assert "status=bounced" not in h.text()


@pytest.mark.parametrize("verb, code, words", [
    ("END", "552 5.3.4 too big", "552 5.3.4 too big"), ("END", "554 5.7.1 spam", "554 5.7.1 spam"), ("RCPT", "550 5.1.1 who?", "550 5.1.1 who?"),
    ("MAIL", "553 5.1.8 not you", "553 5.1.8 not you"), ("DATA", "554 no", "554 no"),
])
def test_R83_what_will_never_work_comes_back_at_once(verb, code, words):
    with Sink(at(verb, say(code)), offers=OFFERS) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        send(h, ["b@there.example"], sender="")
        wait_for(lambda: h.count("status=bounced"))
        assert f"said: {words} (in reply to" in h.text() and h.count("status=deferred") == 0


def test_T15_the_last_line_in_the_midst():
    """250 8BITMIME and then more: the answer to EHLO was over; what follows is nobody's answer, and the letter comes all the same."""
    def reply(verb, argument, session):
        if verb == "EHLO" and session.number == 1:
            return "250-there.example\r\n250-SIZE 1000000\r\n250 8BITMIME\r\n250-PIPELINING\r\n250 HELP"
    with Sink(reply, offers=OFFERS) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        send(h, ["b@there.example"])
        wait_for(lambda: sink.got() and empty(h), 40)
        assert sink.got() == ["b@there.example"]


def test_it_reads_nothing_of_the_letter():
    """Its window is shut in the midst of the letter: patience ends, and another time it goes."""
    def reply(verb, argument, session):
        if verb == "DATA" and session.number == 1:
            session.socket.sendall(b"354 go\r\n")
            time.sleep(15)
            return ""
    with Sink(reply, offers=OFFERS) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", smtp_data_xfer_timeout="4s") as h:
        send(h, ["b@there.example"], text=LETTER.format("big") + ("x" * 70 + "\r\n") * 130000 + "\r\n")
        wait_for(lambda: sink.got() and empty(h), 60)
        assert sink.got() == ["b@there.example"]
        assert "timed out while sending message body" in h.text()


def test_it_answers_before_the_letter_is_over():
    def reply(verb, argument, session):
        if verb == "DATA" and session.number <= 2:
            session.socket.sendall(b"354 go\r\n451 4.3.0 that is enough\r\n")
            return hang(session)
    with Sink(reply, offers=OFFERS) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        send(h, ["b@there.example"], text=LETTER.format("big") + "x" * 70 * 30000 + "\r\n")
        wait_for(lambda: sink.got() and empty(h), 60)
        assert sink.got() == ["b@there.example"]


def test_it_takes_the_letter_and_says_nothing():
    """The window that no client can shut (rfc1047): it comes twice at most, and never at once to another host."""
    taken = []

    def reply(verb, argument, session):
        if verb == "END" and session.number == 1:
            taken.append(session.number)
            raise ConnectionResetError
    with Sink(reply, offers=OFFERS) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        send(h, ["b@there.example"])
        wait_for(lambda: sink.got() and empty(h), 40)
        assert sink.got() == ["b@there.example"] and taken == [1]
        assert "while sending end of data -- message may be sent more than once" in h.text()


def kill(h, role):
    """All of a role; and until there are others."""
    old = {p["pid"] for p in h.status() if p["role"] == role}
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: {p["pid"] for p in h.status() if p["role"] == role and p["state"] == "working"} - old)


@pytest.mark.parametrize("lmtp", [False, True], ids=["SMTP", "LMTP"])
def test_a_queue_dies_while_a_host_decides(lmtp):
    """The letter goes on, and the next queue hears of its end: it comes once, even where the host needs long."""
    decide, asked = threading.Event(), []

    def reply(verb, argument, session):
        if verb == "END":
            asked.append(session.number)
            decide.wait(60)
    with Sink(reply, offers=OFFERS, lmtp=lmtp) as sink, house(
            transport_maps=f"inline:{{{{there.example={'lmtp' if lmtp else 'smtp'}:[127.0.0.1]:{sink.port}}}}}") as h:
        send(h, ["b@there.example", "c@there.example"])
        wait_for(lambda: asked)
        kill(h, "queue")
        send(h, ["d@there.example"])
        wait_for(lambda: len(asked) == 2)
        decide.set()
        wait_for(lambda: empty(h) and len(sink.got()) >= 3)
        assert sink.got() == ["b@there.example", "c@there.example", "d@there.example"]
        assert h.count("status=sent") == 3


def test_a_queue_dies_while_a_host_decides_against_us():
    """What is put off at last goes again, by the next queue."""
    decide, asked = threading.Event(), []

    def reply(verb, argument, session):
        if verb == "END":
            asked.append(session.number)
            decide.wait(60)
            if len(asked) == 1:
                return "451 4.3.0 not now"
    with Sink(reply, offers=OFFERS) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        send(h, ["b@there.example"])
        wait_for(lambda: asked)
        kill(h, "queue")
        decide.set()
        wait_for(lambda: sink.got() and empty(h))
        assert sink.got() == ["b@there.example"] and len(asked) == 2


def test_while_one_hangs_the_others_have_their_mail():
    with Sink(at("MAIL", hang), offers=OFFERS) as bad, Sink(offers=OFFERS) as good, house(
            transport_maps=f"inline:{{{{bad.example=smtp:[127.0.0.1]:{bad.port}}}, {{*=smtp:[127.0.0.1]:{good.port}}}}}") as h:
        for i in range(10):
            send(h, [f"x{i}@bad.example", f"y{i}@good.example"], sender="")
        wait_for(lambda: len(good.got()) == 10)
        assert h.count("status=sent") == 10 and bad.connections > 0


def test_connections_are_used_again_and_by_destination():
    def reply(verb, argument, session):
        if verb == "MAIL":
            counts[session.number] += 1
    counts = collections.Counter()
    with Sink(reply, offers=OFFERS) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", default_destination_concurrency_limit="1",
                                                   initial_destination_concurrency="1", smtp_connection_cache_destinations=f"[127.0.0.1]:{sink.port}") as h:
        for i in range(12):
            send(h, [f"b{i}@there.example"])
        wait_for(lambda: len(sink.got()) == 12)
        assert sum(counts.values()) == 12 and max(counts.values()) >= 3, counts


def test_a_connection_that_was_closed_meanwhile_puts_nobody_off():
    """A host may end a session after so many letters, or so long: the next letter goes by another at once."""
    counts = collections.Counter()

    def reply(verb, argument, session):
        counts[session.number, verb] += 1
        if verb == "MAIL" and counts[session.number, verb] == 2:
            return ""
        if verb == "END":
            time.sleep(0.1)                # the others wait for this connection

    with Sink(reply, offers=OFFERS) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", default_destination_concurrency_limit="1", initial_destination_concurrency="1",
                                                   smtp_connection_cache_destinations=f"[127.0.0.1]:{sink.port}", minimal_backoff_time="300s", maximal_backoff_time="300s") as h:
        to = [f"b{i}@there.example" for i in range(6)]
        for one in to:
            send(h, [one])
        wait_for(lambda: sink.got() == to)
        assert any(n == 2 for (_, verb), n in counts.items() if verb == "MAIL") and h.count("status=deferred") == 0


@pytest.mark.parametrize("why", ["its TLS is broken", "it takes 7 bits alone", "it knows no BDAT"])
def test_the_same_host_once_more_is_no_other_host(why):
    """smtp_mx_session_limit counts hosts."""
    def broken(verb, argument, session):
        if verb == "STARTTLS":
            session.socket.sendall(b"220 go\r\nthis is no handshake\r\n")
            return ""
    reply, offers = {"its TLS is broken": (broken, ("STARTTLS", "8BITMIME")), "it takes 7 bits alone": (lambda *_: None, ("PIPELINING",)),
                     "it knows no BDAT": (knows_no_bdat, ("PIPELINING", "8BITMIME", "CHUNKING"))}[why]
    with Sink(reply, offers=offers) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", smtp_mx_session_limit="1", smtp_tls_security_level="may",
                                                   minimal_backoff_time="300s", maximal_backoff_time="300s") as h:
        with h.smtp() as s:
            s.ehlo("test.example")
            s.sendmail("a@here.example", ["b@there.example"], "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                       "Content-Transfer-Encoding: 8bit\r\n\r\n驿站\r\n".encode(), ["BODY=8BITMIME"])
        wait_for(lambda: sink.got() == ["b@there.example"])


@pytest.mark.parametrize("settings, address", [
    (dict(smtp_bind_address="127.0.0.7"), "127.0.0.7"),
    (dict(smtp_bind_address="127.0.0.7", smtp_bind_address_maps="inline:{@here.example=127.0.0.8}"), "127.0.0.8"),
    (dict(smtp_bind_address_maps="inline:{{a@here.example=127.0.0.9}, {@here.example=127.0.0.8}}"), "127.0.0.9"),
    (dict(smtp_bind_address="192.0.2.77"), "127.0.0.1"),
])
def test_where_connections_come_from(settings, address):
    seen = []
    with Sink(lambda v, a, s: seen.append(s.socket.getpeername()[0]), offers=OFFERS) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", **settings) as h:
        send(h, ["b@there.example"])
        wait_for(lambda: sink.got())
        assert set(seen) == {address}


def test_an_address_that_must_be_ours_and_is_not():
    with Sink(offers=OFFERS) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", smtp_bind_address="192.0.2.77", smtp_bind_address_enforce="yes") as h:
        send(h, ["b@there.example"])
        wait_for(lambda: h.count("status=deferred"))
        assert "no connection can come from 192.0.2.77: Cannot assign requested address" in h.text() and sink.connections == 0


def test_what_a_host_offers_and_is_not_to_be_used():
    with Sink(offers=("PIPELINING", "CHUNKING", *OFFERS)) as sink, house(
            relayhost=f"[127.0.0.1]:{sink.port}", smtp_discard_ehlo_keyword_address_maps="inline:{{127.0.0.1=chunking size}}") as h:
        send(h, ["b@there.example"])
        wait_for(lambda: sink.got())
        assert "DATA" in sink.commands and not any("SIZE=" in c for c in sink.commands)


STARS = "220 *****2******0*************** *****"


@pytest.mark.parametrize("settings, hello, pause, words", [
    ({}, "HELO", False, "disable_esmtp delay_dotcrlf"),
    (dict(smtp_pix_workaround_threshold_time="0"), "HELO", True, "disable_esmtp delay_dotcrlf"),
    (dict(smtp_pix_workarounds="delay_dotcrlf", smtp_pix_workaround_threshold_time="0"), "EHLO", True, "delay_dotcrlf"),
    (dict(smtp_pix_workaround_maps="inline:{127.0.0.1=disable_esmtp}", smtp_pix_workaround_threshold_time="0"), "HELO", False, "disable_esmtp"),
    (dict(smtp_pix_workarounds=""), "EHLO", False, None),
], ids=["as it comes", "an old letter", "the dot alone", "by a table", "nothing"])
def test_a_firewall_that_makes_stars_of_a_greeting(settings, hello, pause, words):
    when = {}

    def reply(verb, argument, session):
        when[verb] = time.monotonic()
        return STARS if verb == "CONNECT" else None
    with Sink(reply, offers=OFFERS) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", smtp_pix_workaround_delay_time="2s", **settings) as h:
        send(h, ["b@there.example"])
        wait_for(lambda: sink.got() and empty(h))
        assert sink.commands[0].split()[0] == hello and sink.got() == ["b@there.example"]
        assert not pause or when["END"] - when["DATA"] >= 1.9
        enabled = re.findall("enabling PIX workarounds: (.*) for 127", h.text())
        assert enabled == ([words] if words else [])


@pytest.mark.parametrize("name, value, of_smtp, of_lmtp", [
    ("lmtp_bind_address", "127.0.0.7", "127.0.0.1", "127.0.0.7"),
    ("smtp_bind_address", "127.0.0.7", "127.0.0.7", "127.0.0.7"),
    ("lmtp_bind_address_maps", "inline:{@here.example=127.0.0.8}", "127.0.0.1", "127.0.0.8"),
    ("slow/lmtp_bind_address", "127.0.0.9", "127.0.0.1", "127.0.0.9"),
    ("slow/smtp_bind_address", "127.0.0.9", "127.0.0.1", "127.0.0.9"),
])
def test_settings_of_LMTP(name, value, of_smtp, of_lmtp):
    """What is said for LMTP is not for SMTP; what is said for SMTP is for LMTP, too, unless LMTP has its own."""
    by_smtp, by_lmtp = [], []
    transport = "slow" if name.startswith("slow") else "lmtp"
    with Sink(lambda v, a, s: by_smtp.append(s.socket.getpeername()[0]), offers=OFFERS) as one, \
            Sink(lambda v, a, s: by_lmtp.append(s.socket.getpeername()[0]), offers=OFFERS, lmtp=True) as two, house(**{
                "transport_maps": f"inline:{{{{a.example=smtp:[127.0.0.1]:{one.port}}}, {{b.example={transport}:inet:127.0.0.1:{two.port}}}}}",
                "slow/transport": "lmtp", name: value}) as h:
        send(h, ["x@a.example", "x@b.example"])
        wait_for(lambda: one.got() and two.got())
        assert set(by_smtp) == {of_smtp} and set(by_lmtp) == {of_lmtp}


def test_a_login_by_LMTP():
    def reply(verb, argument, session):
        return "235 2.7.0 yes" if verb == "AUTH" else None
    with Sink(reply, offers=(*OFFERS, "AUTH PLAIN"), lmtp=True) as sink, house(
            default_transport=f"lmtp:inet:127.0.0.1:{sink.port}", lmtp_sasl_auth_enable="yes", lmtp_sasl_security_options="noanonymous",
            lmtp_sasl_password_maps="inline:{127.0.0.1=jack:way-station}") as h:
        send(h, ["b@there.example"])
        wait_for(lambda: sink.got())
        assert "AUTH PLAIN AGphY2sAd2F5LXN0YXRpb24=" in sink.commands


def test_a_fallback_of_SMTP_is_none_of_LMTP():
    with Sink(offers=OFFERS) as fallback, house(default_transport=f"lmtp:inet:127.0.0.1:{free_ports(1)[0]}",
                                                smtp_fallback_relay=f"[127.0.0.1]:{fallback.port}") as h:
        send(h, ["b@there.example"])
        wait_for(lambda: h.count("status=deferred"))
        assert fallback.connections == 0


def test_R93_an_exchanger_behind_a_translation_is_ourselves(names):  # noqa: F811
    """mail.example.com is 127.0.0.1 here; proxy_interfaces say that 127.0.0.5, best of plain.example, is ours as well."""
    port = free_ports(1)[0]
    with Sink(host="127.0.0.5", port=port) as sink, house(dns_resolver=f"127.0.0.1:{names}", dns_validation="no", smtp_tcp_port=str(port),
                                                          proxy_interfaces="127.0.0.5") as h:
        send(h, ["p@plain.example"], sender="")
        wait_for(lambda: h.count("status=bounced"))
        assert re.search(r"dsn=5\.4\.6, status=bounced \(mail for plain\.example loops back to myself\)", h.text()) and sink.connections == 0


def test_networks_that_strangers_must_not_lead_us_into(names):  # noqa: F811
    port = free_ports(1)[0]
    with Sink(host="127.0.0.5", port=port) as sink, house(dns_resolver=f"127.0.0.1:{names}", dns_validation="no", smtp_tcp_port=str(port),
                                                          smtp_forbidden_networks="127.0.0.4/31") as h:
        send(h, ["p@plain.example", "q@[127.0.0.5]"], sender="")
        wait_for(lambda: h.count("status=bounced") and sink.got() == ["q@[127.0.0.5]"])
        assert "plain.example has no address that mail may go to" in h.text()


@pytest.mark.parametrize("limits", [dict(smtp_mx_session_limit="0"), dict(smtp_mx_address_limit="2"), {}], ids=str)
def test_T4_a_fallback_where_nobody_answers(names, limits):  # noqa: F811
    """However many exchangers a domain has, crowd.example three hundred."""
    port = free_ports(1)[0]
    with Sink() as fallback, house(dns_resolver=f"127.0.0.1:{names}", dns_validation="no", smtp_tcp_port=str(port),
                                   smtp_fallback_relay=f"[127.0.0.1]:{fallback.port}", **limits) as h:
        send(h, ["p@plain.example", "x@four.example", "y@crowd.example"])
        wait_for(lambda: fallback.got() == ["p@plain.example", "x@four.example", "y@crowd.example"])


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q", *sys.argv[1:]]))


# ---- what is offered and not kept --------------------------------------------------------------------

def knows_no_bdat(verb, argument, session):
    return f"502 5.5.1 {verb}?" if verb not in ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "END", "QUIT", "RSET") and not verb.startswith("END ") else None


@pytest.mark.parametrize("size", [10, 300000], ids=["a short letter", "a long one"])
def test_it_offers_CHUNKING_and_knows_no_BDAT(size):
    """The command is refused, not the letter: it goes by DATA, at once, and so do those that come after it."""
    with Sink(knows_no_bdat, offers=("PIPELINING", "CHUNKING")) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        send(h, ["b@there.example"], text=LETTER.format("x") + ("y" * 70 + "\r\n") * (size // 72))
        wait_for(lambda: empty(h))
        assert sink.got() == ["b@there.example"] and "status=bounced" not in h.text()
        send(h, ["c@there.example"])
        wait_for(lambda: empty(h))
        assert sink.got() == ["b@there.example", "c@there.example"]
        assert len([c for c in sink.commands if c.startswith("BDAT")]) == 1
        assert "offers CHUNKING and does not know BDAT" in h.text()


@pytest.mark.parametrize("size", [10, 3000000], ids=["a short letter", "a long one"])
def test_it_says_250_to_nothing(size):
    """All the answers there may be, before anything is asked: nothing has gone there, and the letter comes when it is well."""
    def reply(verb, argument, session):
        if verb == "CONNECT" and session.number <= 2:
            session.socket.sendall(b"220 x ESMTP\r\n" + b"250 ok\r\n" * 3 + b"354 go\r\n" + b"250 2.0.0 taken\r\n" * 3)
            return hang(session)
    with Sink(reply, offers=OFFERS) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        send(h, ["b@there.example"], text=LETTER.format("x") + ("y" * 70 + "\r\n") * (size // 72))
        wait_for(lambda: empty(h), 60)
        assert sink.got() == ["b@there.example"] and h.count("status=sent") == 1


# ---- words that are made to break what is made of them -----------------------------------------------

NASTY = {
    "bytes of no alphabet": b"550 5.1.1 \xff\xfe\x00\x01\x1b[2J\x07 no\r\n",
    "a line of a letter": b"550-5.1.1 no\r\n550-Bcc: victim@there.example\r\n550-\r\n550 --boundary--\r\n",
    "one word without an end": b"550 5.1.1 " + b"x" * 8000 + b"\r\n",
    "many lines": b"550-5.1.1 line\r\n" * 400 + b"550 5.1.1 end\r\n",
    "a status of another class": b"550 2.0.0 all is well\r\n",
    "a status that is none": b"550 5.999999.1.1.1 hm\r\n",
    "no words": b"550\r\n",
    "tabs and carriage returns": b"550 5.1.1 a\tb\rc\td\r\r\r\n",
    "formats": b"550 5.1.1 %s%n%s%n $myhostname ${x} \\u0000\r\n",
    "a text of two": "550 5.1.1 用户 \u202eevil\u202c ✉\r\n".encode(),
}


@pytest.mark.parametrize("words", NASTY)
def test_its_words_break_no_notice_and_no_line_of_the_log(words):
    def reply(verb, argument, session):
        if verb == "RCPT" and "<b@" in argument:
            session.socket.sendall(NASTY[words])
            return hang(session)
    with Sink(reply, offers=("8BITMIME",)) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", minimal_backoff_time="300s") as h:
        send(h, ["b@there.example"], sender="ann@one.example")
        wait_for(lambda: sink.got() == ["ann@one.example"])
        raw = sink.letters[0][2]
        assert all(len(line) <= 998 and not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", line) for line in raw.split(b"\r\n"))
        notice = email.message_from_bytes(raw, policy=email.policy.default)
        assert notice.get_content_type() == "multipart/report" and notice["Bcc"] is None and not notice.defects
        assert [p.get_content_type() for p in notice.get_payload()] == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
        group = notice.get_payload()[1].get_payload()[1]
        assert group["Action"] == "failed" and re.fullmatch(r"5\.\d{1,3}\.\d{1,3}", group["Status"])
        line, = re.findall(r"(?m)^.*to=<b@there\.example>.*$", h.text())
        assert "status=bounced" in line and not re.search(r"[\x00-\x1f\x7f]", line) and len(line) < 20000


# ---- names that the DNS should not have ---------------------------------------------------------------

ODD = r"""$TTL 300
. IN SOA ns.example. host.example. 1 3600 600 86400 300
. IN NS ns.example.
ns.example. A 127.0.0.1
newline.example. MX 10 evil\010Nov\02023\032x\032mansio/smtp[1]:\032FAKE.example.
*.example. A 127.0.0.5
quote.example. MX 10 a\"b\\c\;d.example.
nul.example. MX 10 a\000b.example.
bracket.example. MX 10 a]b[c.example.
percent.example. MX 10 %s%n.example.
blank.example. MX 10 a\032b.example.
eight.example. MX 10 \255\254.example.
slash.example. MX 10 \046\046\047etc\047passwd.example.
under.example. MX 10 _under_score.example.
literal.example. MX 10 127.0.0.5.
long.example. MX 10 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.dddddddddddddddddddddddddddddddddddddddddddddddd.example.
root.example. MX 10 .
root.example. MX 20 host.example.
{many}
"""
ODD_NAMES = ["newline", "quote", "nul", "bracket", "percent", "blank", "eight", "slash", "under", "literal", "long", "root", "crowd"]


def test_names_that_the_DNS_should_not_have():
    """Each letter has an end or waits, the log has a line of its own for each, and nobody falls over."""
    port = free_ports(1)[0]
    zone = ODD.replace("{many}", "\n".join(f"crowd.example. MX {i} x{i}.host.example." for i in range(300)))
    with Nsd({".": zone}) as server, Sink(host="127.0.0.5", port=port) as sink, house(
            dns_resolver=f"127.0.0.1:{server.port}", dns_validation="no", smtp_tcp_port=str(port), inet_protocols="ipv4", smtp_mta_sts="no",
            smtp_tls_security_level="may") as h:
        for name in ODD_NAMES:
            send(h, [f"x@{name}.example"], sender="")
        wait_for(lambda: all(f"to=<x@{name}.example>" in h.text() for name in ODD_NAMES), 60)
        for line in h.text().splitlines():
            assert re.match(r"\w{3} [ \d]\d [\d:]{8} \S+ mansio/\w+\[\d+\]: ", line) and not re.search(r"[\x00-\x1f\x7f]", line), repr(line)
        assert all(f"x@{name}.example" in sink.got() for name in ("under", "long"))
        assert {p["restarts"] for p in h.status() if "restarts" in p} <= {0}


# ---- TLS that breaks in the midst ----------------------------------------------------------------------

def strange_certificate(tmp_path):
    """Names with ends of lines, quotes and no alphabet in them."""
    cert, key = tmp_path / "strange.pem", tmp_path / "strange.key"
    conf = tmp_path / "conf"
    conf.write_text("[req]\ndistinguished_name=d\nprompt=no\nstring_mask=utf8only\n[d]\nCN=evil\\x\\nNov 23 mansio FAKE\nO=a%s%n\n0.OU=\u7528\u6237\n")
    subprocess.run(["openssl", "req", "-x509", "-utf8", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-config", conf,
                    "-keyout", key, "-out", cert, "-addext", "subjectAltName=DNS:x\\;y,email:a@b"], check=True, capture_output=True)
    return cert, key


def secret(how, cert, key):
    """A server that speaks TLS after STARTTLS, and does `how` with it."""
    def reply(verb, argument, session):
        if verb != "STARTTLS" or session.number > 2:
            return None
        session.socket.sendall(b"220 go\r\n")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        if how == "old":
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
            context.set_ciphers("ALL:@SECLEVEL=0")
        raw = session.socket.dup()
        with contextlib.suppress(OSError), raw, context.wrap_socket(session.socket.dup(), server_side=True) as s, s.makefile("rwb") as f:
            while line := f.readline():
                verb = line.split()[0].upper()
                if verb == b"EHLO":
                    f.write(b"250-x\r\n250 SIZE 1000000\r\n")
                elif verb == b"DATA":
                    f.write(b"354 go\r\n")
                    f.flush()
                    if how == "noise":
                        raw.sendall(b"\x17\x03\x03\x00\x20" + b"n" * 32 + b"plain words\r\n250 ok\r\n")
                        return ""
                    while f.readline() not in (b".\r\n", b""):
                        pass
                    if how == "gone":
                        raw.shutdown(socket.SHUT_RDWR)
                        return ""
                    if how == "clear":
                        raw.sendall(b"250 2.0.0 taken\r\n")
                        return ""
                    f.write(b"250 ok\r\n")
                else:
                    f.write(b"250 ok\r\n")
                f.flush()
        return ""
    return reply


@pytest.mark.parametrize("how", ["noise", "gone", "clear", "old"])
@pytest.mark.parametrize("level", ["may", "encrypt"])
def test_its_TLS_breaks_in_the_midst(tmp_path, how, level):
    """Twice, and then it is well: the letter comes, at the level that is asked for, and the answer in the clear is none."""
    good = make_certificate(tmp_path, "sink.example")
    broken, well = secret(how, *strange_certificate(tmp_path)), secret("well", *good)
    arrived = []

    def reply(verb, argument, session):
        if session.number <= 2 or verb != "STARTTLS":
            return broken(verb, argument, session)
        session.number = 0
        arrived.append(session)
        return well(verb, argument, session)
    with Sink(reply, offers=(*OFFERS, "STARTTLS")) as sink, house(
            relayhost=f"[127.0.0.1]:{sink.port}", smtp_tls_security_level=level, smtp_tls_loglevel="2", smtp_data_xfer_timeout="5s",
            smtp_data_done_timeout="5s", smtp_starttls_timeout="5s", smtp_helo_timeout="5s") as h:
        send(h, ["b@there.example"])
        wait_for(lambda: empty(h), 60)
        assert h.count("status=sent") == 1 and "status=bounced" not in h.text()
        assert arrived if level == "encrypt" else arrived or sink.got() == ["b@there.example"]
        for line in h.text().splitlines():
            assert re.match(r"\w{3} [ \d]\d [\d:]{8} \S+ mansio/\w+\[\d+\]: ", line) and not re.search(r"[\x00-\x1f\x7f]", line), repr(line)
        if how == "old" and level == "encrypt":
            assert "handshake failure" in h.text()


# ---- LMTP, where each recipient has an answer ----------------------------------------------------------

def of_each(session, said):
    """By hand: what is answered behind the last dot."""
    session.socket.sendall(b"354 go\r\n")
    f = session.socket.makefile("rb")
    while f.readline() not in (b".\r\n", b""):
        pass
    session.socket.sendall(said)
    return ""


@pytest.mark.parametrize("said, once", [
    (b"250 2.1.5 one\r\n", ["a"]),
    (b"250 2.1.5 one\r\n452 4.2.2 two\r\n", ["a"]),
    (b"250 2.1.5 one\r\n421 4.3.2 I go\r\n", ["a"]),
    (b"451 4.3.0 one\r\n250 2.1.5 two\r\n25", ["b"]),
    (b"250 1\r\n250 2\r\n250 3\r\n250 4\r\n550 5\r\n", ["a", "b", "c"]),
    (b"nonsense\r\n", []),
    (b"", []),
], ids=["one of three", "two of three", "it goes", "half an answer", "two too many", "nonsense", "nothing"])
def test_LMTP_answers_for_some(said, once):
    """Whoever was answered for has it once; the others have it the next time, and nobody is forgotten."""
    def reply(verb, argument, session):
        return of_each(session, said) if verb == "DATA" and session.number == 1 else None
    with Sink(reply, offers=("PIPELINING",), lmtp=True) as sink, house(transport_maps=f"inline:{{{{there.example=lmtp:[127.0.0.1]:{sink.port}}}}}") as h:
        send(h, [f"{x}@there.example" for x in "abc"])
        wait_for(lambda: empty(h), 60)
        assert sink.got() == [f"{x}@there.example" for x in "abc" if x not in once]
        assert h.count("status=sent") == 3 and "status=bounced" not in h.text()
