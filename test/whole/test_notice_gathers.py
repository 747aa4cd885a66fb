# SPDX-License-Identifier: ISC
"""Who sent a letter to several hears of those that failed in one notice, as from Postfix, wherever they were refused."""

import threading

from house import House, wait_for
from test_notices import LETTER, notices
from test_sending import Sink


def refusing(until=None):
    """A host that refuses every recipient, after `until` is set."""
    def reply(verb, argument, _):
        if verb == "RCPT" and until:
            until.wait(60)
        return "550 5.1.1 unknown here" if verb == "RCPT" and "<ann@" not in argument else "452 4.2.2 full" if verb == "RCPT" else None
    return Sink(reply)


def lanes(**hosts):
    return {"mydestination": "here.example", "mynetworks": "127.0.0.0/8", "smtp_tls_security_level": "none",
            "transport_maps": "inline:{ %s }" % ", ".join("{%s = smtp:[127.0.0.1]:%d}" % (name.replace("_", "."), sink.port) for name, sink in hosts.items())}


def test_two_hosts_that_refuse_and_one_notice():
    """Postfix flushes its bounce log when nobody of the letter is in the active queue any more."""
    slow = threading.Event()
    with refusing() as one, refusing(slow) as two, refusing() as back, House(**lanes(one_example=one, two_example=two, back_example=back)) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@back.example", ["a@one.example", "b@two.example"], LETTER)
        wait_for(lambda: house.count("to=<a@one.example>") == 1)
        wait_for(lambda: any("RCPT TO:<b@two.example>" in str(c) for c in two.commands) or two.connections)
        assert house.count("sender non-delivery notification") == 0
        slow.set()
        text = wait_for(lambda: notices(house, "ann@*"))[0]
        assert text.count("Action: failed") == 2 and house.count("sender non-delivery notification") == 1
        assert "Final-Recipient: rfc822; a@one.example" in text and "Final-Recipient: rfc822; b@two.example" in text


def test_who_is_put_off_keeps_nobody_waiting():
    with refusing() as one, Sink(lambda verb, *_: "452 4.2.2 full" if verb == "RCPT" else None) as two, refusing() as back, \
            House(**lanes(one_example=one, two_example=two, back_example=back)) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@back.example", ["a@one.example", "b@two.example"], LETTER)
        text = wait_for(lambda: notices(house, "ann@*"))[0]
        assert text.count("Action: failed") == 1 and "b@two.example" not in text.split("Content-Type: text/rfc822-headers")[0]
        # Of the other it hears when that has failed, too.
        house.command("queue", "bounce", "--recipient", "b@two.example")
        wait_for(lambda: len(notices(house, "ann@*")) == 2)


def test_targets_of_an_alias_are_one_notice():
    slow = threading.Event()
    with refusing() as one, refusing(slow) as two, refusing() as back, \
            House(virtual_alias_domains="ours.example", virtual_alias_maps="inline:{ { all@ours.example = a@one.example b@two.example } }",
                  **lanes(one_example=one, two_example=two, back_example=back)) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@back.example", ["all@ours.example"], LETTER)
        wait_for(lambda: house.count("to=<a@one.example>") == 1)
        slow.set()
        text = wait_for(lambda: notices(house, "ann@*"))[0]
        assert text.count("Action: failed") == 2 and house.count("sender non-delivery notification") == 1


def test_two_hosts_that_put_off_and_one_warning():
    """Postfix warns when nobody of the letter is in the active queue any more, of all that wait."""
    slow = threading.Event()

    def later(verb, *_):
        return "452 4.2.2 full" if verb == "RCPT" else None

    def later_and_slowly(verb, *_):
        if verb == "RCPT":
            slow.wait(60)
        return later(verb)

    with Sink(later) as one, Sink(later_and_slowly) as two, refusing() as back, \
            House(delay_warning_time="1s", minimal_backoff_time="1s", maximal_backoff_time="1s",
                  **lanes(one_example=one, two_example=two, back_example=back)) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@back.example", ["a@one.example", "b@two.example"], LETTER)
        wait_for(lambda: house.count("to=<a@one.example>") >= 4)
        assert house.count("sender delay notification") == 0
        slow.set()
        text = wait_for(lambda: notices(house, "ann@*"))[0]
        assert text.count("Action: delayed") == 2 and "rfc822; a@one.example" in text and "rfc822; b@two.example" in text
        tries = house.count("to=<b@two.example>")
        wait_for(lambda: house.count("to=<b@two.example>") > tries + 1)
        assert house.count("sender delay notification") == 1
