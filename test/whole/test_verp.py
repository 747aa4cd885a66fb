# SPDX-License-Identifier: ISC
"""A sender for each recipient: XVERP, sendmail -XV, and whom notices go to (Postfix's VERP_README)."""

import json
import re

import pytest

from house import House, free_ports, wait_for
from test_sending import Sink
from test_sendmail import sendmail

LETTER = "Subject: x\r\n\r\nbody\r\n"


def senders(sink):
    return sorted(re.search("<(.*)>", c).group(1) for c in sink.commands if c.upper().startswith("MAIL"))


def settings(port, **more):
    return {"mydestination": "here.example", "mynetworks": "127.0.0.0/8", "relayhost": f"[127.0.0.1]:{port}",
            "minimal_backoff_time": "1s", "maximal_backoff_time": "1s", **more}


@pytest.mark.parametrize("option, wanted", [("XVERP", "list+{}@one.example"), ("XVERP=-=", "list-{}@one.example")])
def test_each_recipient_has_a_transaction_and_a_sender(option, wanted):
    with Sink() as sink, House(**settings(sink.port)) as house:
        with wait_for(house.smtp) as s:
            s.ehlo()
            assert s.has_extn("xverp")
            s.sendmail("list@one.example", ["a@two.example", "b@two.example", "c@three.example"], LETTER, [option])
        wait_for(lambda: len(senders(sink)) == 3)
        assert senders(sink) == [wanted.format(r) for r in ("a=two.example", "b=two.example", "c=three.example")]


def test_a_mailbox_of_ours_has_it_in_its_return_path(tmp_path):
    with House(**settings(1)) as house:
        house.command("domain", "add", "home.example")
        house.command("account", "add", "jill@home.example", input="secret\n")
        with wait_for(house.smtp) as s:
            s.sendmail("list@one.example", ["jill@home.example"], LETTER, ["XVERP"])
        wait_for(lambda: "Return-Path: <list+jill=home.example@one.example>" in
                 house.command("message", "fetch", "jill@home.example", "hdr", "ALL", check=False).stdout)


@pytest.mark.parametrize("together, wanted", [("no", ["list+a=two.example@one.example", "list+b=two.example@one.example"]), ("yes", ["list@one.example"])])
def test_notices_go_to_the_sender_of_each(together, wanted):
    def reply(verb, argument, _):
        return ("550 5.1.1 unknown" if "two.example>" in argument and "=" not in argument else "452 4.2.2 wait") if verb == "RCPT" else None
    with Sink(reply) as sink, House(disable_verp_bounces=together, **settings(sink.port)) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("list@one.example", ["a@two.example", "b@two.example"], LETTER, ["XVERP"])
        wait_for(lambda: house.count("sender non-delivery notification") >= len(wanted))
        rows = json.loads(house.command("queue", "list", "--json").stdout)
        assert sorted({r["address"] for r in rows if r["sender"] == ""}) == wanted


@pytest.mark.parametrize("sender, option, code", [
    ("list@one.example", "XVERP=ab", 501), ("list@one.example", "XVERP=+", 501), ("list@one.example", "XVERP=+=+", 501),
    ("", "XVERP", 503), ("list@one.example", "XVERP XVERP", 501), ("list@one.example", "XVERP==+", 250),
])
def test_what_may_be_asked_for(sender, option, code):
    with House(**settings(1)) as house:
        with wait_for(house.smtp) as s:
            s.ehlo()
            assert s.docmd(f"MAIL FROM:<{sender}> {option}")[0] == code


def test_strangers_are_not_offered_it():
    with House(**settings(1, smtpd_authorized_verp_clients="192.0.2.0/24")) as house:
        with wait_for(house.smtp) as s:
            s.ehlo()
            assert not s.has_extn("xverp")
            assert s.docmd("MAIL FROM:<list@one.example> XVERP")[0] == 555


@pytest.mark.parametrize("option, wanted", [("-XV", "list+{}@one.example"), ("-XV-=", "list-{}@one.example")])
def test_sendmail_asks_for_it(option, wanted):
    with Sink() as sink, House(**settings(sink.port)) as house:
        house.at_work()
        assert sendmail(house, option, "-f", "list@one.example", "a@two.example", given=LETTER).returncode == 0
        wait_for(lambda: senders(sink) == [wanted.format("a=two.example")])
