# SPDX-License-Identifier: ISC
"""A second mail exchanger: it takes what the primary would take, refuses at RCPT whom that does not know, and gives all back
when the primary has returned.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_backup_mx.py
"""

import os
import pathlib
import re
import shutil
import smtplib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import test_beside_postfix
from elsewhere import Slapd
from house import House, free_ports, unnamed, wait_for
from test_sending import Sink, empty, house, names, send  # noqa: F401


def said(h, to, sender="x@far.example"):
    """The reply to RCPT."""
    with h.smtp() as s:
        s.ehlo()
        s.mail(sender)
        return s.rcpt(to)


def primary(port=0, **more):
    def reply(verb, argument, session):
        if verb == "RCPT" and "bad@" in argument:
            return "550 5.1.1 no such user here"
        if verb == "RCPT" and "full@" in argument:
            return "452 4.2.2 full"
    return Sink(reply, port=port, **more)


def backup(port, **more):
    return house(**{"mynetworks": "", "relay_domains": "there.example", "transport_maps": f"inline:{{there.example=smtp:[127.0.0.1]:{port}}}",
                    "recipient_verify_domains": "$relay_domains", **more})


def test_R109_a_backup_refuses_what_the_primary_would():
    """Spammers come to the second exchanger first: what is for domains of others is judged by the same lists and checks as our own."""
    rules = {"smtpd_recipient_restrictions": "check_client_access inline:{ {127.0.0.66 = REJECT listed} }, check_sender_access inline:{ {spam@far.example = REJECT we know you} }",
             "header_checks": "pcre:{{/^Subject: buy/ REJECT 5.7.1 no spam here}}"}
    with primary() as there, backup(there.port, mydestination="here.example", **rules) as h:
        h.command("domain", "add", "here.example")
        h.command("account", "add", "u@here.example", input="secret-of-theirs\n")
        replies = {}
        for to in ("good@there.example", "u@here.example"):
            with smtplib.SMTP("127.0.0.1", h.ports["smtp"], source_address=("127.0.0.66", 0)) as s:
                s.ehlo()
                s.mail("x@far.example")
                listed = s.rcpt(to)
            with h.smtp() as s:
                s.ehlo()
                s.mail("x@far.example")
                assert s.rcpt(to)[0] == 250
                checked = s.data("Subject: buy this\r\n\r\nx\r\n")
            replies[to] = [(code, unnamed(text.decode()).replace(to, "TO")) for code, text in (listed, said(h, to, "spam@far.example"), checked)]
        assert replies["good@there.example"] == replies["u@here.example"]
        assert [code for code, _ in replies["u@here.example"]] == [554, 554, 550]
        assert there.got() == []


def test_R110_the_primary_is_asked_for_its_recipients_and_its_answers_are_remembered():
    with primary() as there, backup(there.port) as h:
        code, text = said(h, "bad@there.example")
        assert code == 550 and unnamed(text.decode()) == (
            "5.1.1 <bad@there.example>: Recipient address rejected: undeliverable address: host 127.0.0.1[127.0.0.1] said: "
            "550 5.1.1 no such user here (in reply to RCPT TO command)")
        assert said(h, "good@there.example")[0] == 250
        assert said(h, "full@there.example")[0] == 450
        assert said(h, "x@else.example")[0] == 554                              # nobody's: relay access denied
        asked = there.connections
        assert said(h, "bad@there.example")[0] == 550 and said(h, "good@there.example")[0] == 250
        assert there.connections == asked and there.got() == []
        send(h, ["good@there.example"], sender="x@far.example")
        wait_for(lambda: there.got() == ["good@there.example"])
        there.close()
        # What is known holds while the primary is away.
        assert said(h, "bad@there.example")[0] == 550 and said(h, "good@there.example")[0] == 250
        assert said(h, "new@there.example")[0] == 450


@pytest.mark.parametrize("kind", ["smtp", "lmtp"])
def test_R110_the_primary_is_asked_by_a_transport_of_any_name(kind):
    """inward/transport = smtp asks as smtp does: nobody is taken for good because his way has a name."""
    with primary(lmtp=kind == "lmtp") as there, backup(there.port, transport_maps=f"inline:{{there.example=inward:[127.0.0.1]:{there.port}}}",
                                                       **{"inward/transport": kind}) as h:
        code, text = said(h, "bad@there.example")
        assert code == 550 and "550 5.1.1 no such user here (in reply to RCPT TO command)" in text.decode()
        assert said(h, "good@there.example")[0] == 250 and said(h, "full@there.example")[0] == 450
        assert there.got() == []


def test_a_transport_that_is_not_there_says_nothing_of_recipients():
    with backup(1, transport_maps="inline:{there.example=gone:[127.0.0.1]:1}") as h:
        assert said(h, "good@there.example")[0] == 450


@pytest.fixture
def place():
    """Where other users may go."""
    at = pathlib.Path(tempfile.mkdtemp(prefix="mansio-backup-"))
    at.chmod(0o755)
    yield at
    shutil.rmtree(at, ignore_errors=True)


def test_while_the_primary_is_away_everybody_is_taken_if_that_is_wished():
    port = free_ports(1)[0]
    with backup(port, recipient_verify_away="accept", minimal_backoff_time="1s") as h:
        assert said(h, "bad@there.example")[0] == 250
        send(h, ["new@there.example"], sender="")
        wait_for(lambda: h.count("status=deferred"))
        with primary(port) as there:
            wait_for(lambda: there.got() == ["new@there.example"], 40)


@pytest.mark.parametrize("lists", [
    dict(recipient_verify_domains="!sub.there.example, .example"),
    dict(recipient_verify_domains="inline:{there.example=x}"),
])
def test_domains_are_named_as_lists_do_and_by_tables(lists):
    with primary() as there, backup(there.port, relay_domains="there.example", **lists) as h:
        assert said(h, "bad@there.example")[0] == 550
        if "!" in lists["recipient_verify_domains"]:
            assert said(h, "bad@sub.there.example")[0] == 250


def test_reject_unverified_recipient_asks_for_recipients_of_relay_domains_too():
    with primary() as there, backup(there.port, recipient_verify_domains="", unverified_recipient_reject_code="550",
                                    smtpd_recipient_restrictions="reject_unverified_recipient") as h:
        assert said(h, "bad@there.example")[0] == 550
        assert said(h, "good@there.example")[0] == 250


def test_a_host_that_knows_its_people_at_data_only():
    def reply(verb, argument, session):
        if verb == "DATA" and "bad@there.example" in session.rcpt:
            return "550 5.1.1 who?"
    with Sink(reply) as there, backup(there.port, smtp_address_verify_target="data") as h:
        assert said(h, "bad@there.example")[0] == 550
        assert said(h, "good@there.example")[0] == 250
        assert there.got() == []


def test_R110_the_list_of_the_primary_is_in_a_table(place):
    """A file, and the primary's own LDAP directory."""
    with Slapd(place / "ldap") as slapd:
        slapd.add(f"dn: {slapd.suffix}\nobjectClass: dcObject\nobjectClass: organization\no: x\n\n"
                  f"dn: cn=ann,{slapd.suffix}\nobjectClass: person\nobjectClass: mailThing\ncn: ann\nsn: ann\nmail: ann@there.example\n")
        table = place / "people.cf"
        table.write_text(f"server_host = ldap://127.0.0.1:{slapd.port}\nsearch_base = {slapd.suffix}\nquery_filter = (mail=%s)\nresult_attribute = mail\n")
        table.chmod(0o644)
        for maps in (f"ldap:{table}", "inline:{ann@there.example=x}"):
            with backup(free_ports(1)[0], relay_recipient_maps=maps, recipient_verify_domains="") as h:
                assert said(h, "ann@there.example")[0] == 250
                code, text = said(h, "bob@there.example")
                assert code == 550 and b"User unknown in relay recipient table" in text


def test_R93_all_goes_back_when_the_primary_returns_and_paced():
    """Forty letters wait, each put off for a long time; the primary comes back, one goes to see, and all go to it without a
    crowd of connections."""
    port = free_ports(1)[0]
    with backup(port, recipient_verify_domains="", minimal_backoff_time="300s", maximal_backoff_time="300s",
                initial_destination_concurrency="1", relay_destination_concurrency_limit="3", default_destination_concurrency_limit="3") as h:
        wanted = sorted(f"u{i}@there.example" for i in range(40))
        for to in wanted:
            send(h, [to], sender="")
        wait_for(lambda: h.count("status=deferred") >= 40, 40)
        at_once, most = [0], [0]

        def reply(verb, argument, session):
            if verb == "CONNECT":
                at_once[0] += 1
                most[0] = max(most[0], at_once[0])
            if verb == "QUIT":
                at_once[0] -= 1
        with Sink(reply, port=port) as there:
            h.command("queue", "retry", "--recipient", "u7@there.example")
            wait_for(lambda: there.got() == wanted and empty(h), 60)
            assert most[0] <= 3


def test_R108_etrn_gives_back_what_waits_for_a_domain_of_a_table():
    port = free_ports(1)[0]
    with backup(port, recipient_verify_domains="", minimal_backoff_time="300s", maximal_backoff_time="300s",
                fast_flush_domains="!no.there.example, inline:{there.example=x}") as h:
        send(h, ["a@there.example", "b@there.example"], sender="")
        wait_for(lambda: h.count("status=deferred") == 2)
        with Sink(port=port) as there:
            with h.smtp() as s:
                s.ehlo()
                assert s.docmd("ETRN", "else.example")[0] == 459
                assert s.docmd("ETRN", "no.there.example")[0] == 459
                assert s.docmd("ETRN", "sub.there.example")[0] == 251
                assert s.docmd("ETRN", "there.example")[0] == 253
            wait_for(lambda: there.got() == ["a@there.example", "b@there.example"])
            send(h, ["c@there.example"], sender="")
            wait_for(lambda: len(there.got()) == 3)


def test_R108_flush_by_the_administrator_of_one_destination():
    port = free_ports(1)[0]
    with backup(port, recipient_verify_domains="", minimal_backoff_time="300s", maximal_backoff_time="300s") as h:
        send(h, ["a@there.example"], sender="")
        wait_for(lambda: h.count("status=deferred") == 1)
        with Sink(port=port) as there:
            h.command("queue", "flush", "--domain", "there.example")
            wait_for(lambda: there.got() == ["a@there.example"])


@pytest.mark.parametrize("networks, taken", [
    ("", True),
    ("127.0.0.0/8", True),
    ("10.0.0.0/8", False),
    ("!127.0.0.2, 127.0.0.0/8", False),
    ("inline:{127.0.0.2=x}", True),
    ("inline:{127.0.0.9=x}", False),
])
def test_R93_a_backup_for_all_domains_whose_primary_is_in_these_networks(names, networks, taken):  # noqa: F811
    """own.four.example has a primary at 127.0.0.2 and this machine behind it."""
    with house(mynetworks="", dns_resolver=f"127.0.0.1:{names}", dns_validation="no", smtpd_relay_restrictions="permit_mx_backup, reject_unauth_destination",
               permit_mx_backup_networks=networks) as h:
        assert said(h, "x@backed.example")[0] == (250 if taken else 554)
        assert said(h, "x@four.example")[0] == 554


def test_R93_mail_goes_to_better_exchangers_only(names):  # noqa: F811
    """We are the second: the first gets it, the third never does."""
    port = free_ports(1)[0]
    with house(mynetworks="127.0.0.0/8", relay_domains="backed.example", dns_resolver=f"127.0.0.1:{names}", dns_validation="no",
               smtp_tcp_port=str(port)) as h, Sink(host="127.0.0.5", port=port) as third:
        send(h, ["x@backed.example"])
        wait_for(lambda: re.search(r"to=<x@backed\.example>.*status=deferred \(connect to a\.four\.example\[127\.0\.0\.2\]", h.text()))
        with Sink(host="127.0.0.2", port=port) as first:
            wait_for(lambda: first.got() == ["x@backed.example"])
        assert third.connections == 0


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q", *sys.argv[1:]]))


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")
def test_etrn_is_said_in_the_forms_postfix_takes(monkeypatch):
    """rfc1985:5.3: a domain, with @ or # before it; by its code, for ours counts what waits (rfc1985:5.1)."""
    monkeypatch.setattr(test_beside_postfix, "SETTINGS", "myhostname = mail.example.com\nmydestination = here.example\nrelay_domains = far.example\n")
    monkeypatch.setattr(test_beside_postfix, "MASTER", test_beside_postfix.MASTER + "flush unix n - n 1000? 0 flush\n")
    nodes = ["far.example", "sub.far.example", "FAR.example", "@far.example", "#far.example", "@other.example", "#uucp", "other.example", "[127.0.0.1]",
             "[IPv6:::1]", "127.0.0.1", "", "@", "#", "a b", "far.example.", "-x", "<far.example>", "a" * 300 + ".far.example"]

    def asked(port):
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as s:
            s.ehlo("x.example")
            said = {node: s.docmd(f"ETRN {node}")[0] for node in nodes}
            return {node: 25 if code // 10 == 25 else code for node, code in said.items()}
    postfix = test_beside_postfix.Postfix("/nowhere", default_transport="discard", mynetworks="127.0.0.1", relay_transport="discard")
    try:
        with House(mydestination="here.example", relay_domains="far.example", mynetworks="127.0.0.0/8") as house:
            def talks():
                try:
                    return smtplib.SMTP("127.0.0.1", postfix.port, timeout=20).close() or True
                except (OSError, smtplib.SMTPException):
                    return False
            wait_for(talks, 60)
            assert asked(house.ports["smtp"]) == asked(postfix.port)
    finally:
        postfix.close()
