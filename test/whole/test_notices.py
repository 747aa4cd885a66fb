# SPDX-License-Identifier: ISC
"""Who hears of what: a warning when a letter takes long, a notice when it failed, and the postmaster."""

import json
import os
import re
import signal

import pytest

from house import House, free_ports, wait_for
from test_sending import Sink

LETTER = "Subject: x\r\n\r\nbody\r\n"


def notices(house, to):
    """What lies in the queue for somebody, as it is."""
    rows = json.loads(house.command("queue", "list", "--json", "--recipient", to).stdout)
    return [house.command("queue", "show", i, "--content").stdout for i in sorted({r["id"] for r in rows})]


def settings(**more):
    return {"mydestination": "here.example", "mynetworks": "127.0.0.0/8", "relayhost": f"[127.0.0.1]:{free_ports(1)[0]}",
            "minimal_backoff_time": "1s", "maximal_backoff_time": "1s", **more}


def test_one_warning_for_those_that_wait_together():
    with House(delay_warning_time="1s", notify_classes="delay", delay_notice_recipient="chief@far.example", **settings()) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@one.example", ["b@there.example", "c@there.example"], LETTER)
            s.sendmail("", ["d@there.example"], LETTER)
        text = wait_for(lambda: notices(house, "ann@*"))[0]
        tries = house.count("to=<b@there.example>")
        wait_for(lambda: house.count("to=<b@there.example>") > tries + 1)
        assert len(notices(house, "ann@*")) == 1 and house.count("sender delay notification") == 1
        assert text.count("Action: delayed") == 2 and text.count("Will-Retry-Until: ") == 2
        assert re.search(r"(?m)^Final-Recipient: rfc822; b@there\.example$", text)
        assert len(notices(house, "chief@*")) == 1 and house.count("postmaster delay notification") == 1


def test_without_the_setting_nobody_is_warned():
    with House(delay_warning_time="0", **settings()) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@one.example", ["b@there.example"], LETTER)
        wait_for(lambda: house.count("to=<b@there.example>") > 2)
        assert notices(house, "ann@*") == []


def test_a_notice_has_a_life_of_its_own():
    with House(bounce_queue_lifetime="1s", **settings()) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("", ["n@there.example"], LETTER)
            s.sendmail("ann@one.example", ["b@there.example"], LETTER)
        wait_for(lambda: "status=expired" in house.text())
        wait_for(lambda: [r["address"] for r in json.loads(house.command("queue", "list", "--json").stdout)] == ["b@there.example"])


def test_a_notice_lives_no_longer_than_other_letters():
    """As Postfix adjusts it."""
    with House(bounce_queue_lifetime="1d", maximal_queue_lifetime="1s", **settings()) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("", ["n@there.example"], LETTER)
        wait_for(lambda: "from=<>, status=expired" in house.text())
        assert "bounce_queue_lifetime is longer than maximal_queue_lifetime" in house.text()


@pytest.mark.parametrize("classes, chief", [("resource, software", 0), ("2bounce", 1), ("bounce", 1), ("bounce, 2bounce", 2)])
def test_what_cannot_be_returned_is_the_postmasters_if_they_wish(classes, chief):
    """The host refuses the letter, and then the notice, and then what the postmaster gets: there it ends."""
    with Sink(lambda verb, argument, _: "550 5.1.1 unknown here" if verb == "RCPT" else None) as sink, \
            House(notify_classes=classes, **{"2bounce_notice_recipient": "chief@far.example", "bounce_notice_recipient": "chief@far.example"},
                  **settings(relayhost=f"[127.0.0.1]:{sink.port}")) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@one.example", ["b@there.example"], LETTER)
        wait_for(lambda: house.count("to=<ann@one.example>") == 1 and house.count("to=<chief@far.example>") == chief and
                 "empty" in house.command("queue", "list").stdout)
        # As Postfix logs either.
        assert house.count("postmaster non-delivery notification") == ("bounce" in classes.split(", ")) + ("2bounce" in classes.split(", "))


def test_a_notice_says_what_the_host_said():
    with Sink(lambda verb, argument, _: "550 5.1.1 unknown here" if verb == "RCPT" and "b@" in argument else "452 4.2.2 full" if verb == "RCPT" else None) as sink, \
            House(**settings(relayhost=f"[127.0.0.1]:{sink.port}")) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@one.example", ["b@there.example"], LETTER)
        text = wait_for(lambda: notices(house, "ann@*"))[0]
        assert re.search(r"(?m)^Remote-MTA: dns; 127\.0\.0\.1$", text)
        assert re.search(r"(?m)^Diagnostic-Code: smtp; 550 5\.1\.1 unknown here$", text)


def test_R108_some_mail_is_tried_for_another_time(tmp_path):
    """By domain, by what is below it, by address, by transport; after a new start as well."""
    relay = free_ports(1)[0]
    with House(maximal_queue_lifetime="2s", relay_domains="backed.example", relay_transport=f"relay:[127.0.0.1]:{relay}",
               maximal_queue_lifetime_maps="inline:{ {relay: = 30d}, {slow.example = 1w}, {.deep.example = 90m}, {vip@there.example = 7200}}",
               **settings()) as house:
        kept = ["a@backed.example", "b@slow.example", "c@x.deep.example", "vip@there.example"]
        with wait_for(house.smtp) as s:
            s.sendmail("ann@one.example", [*kept, "d@there.example", "e@xdeep.example"], LETTER)
        wait_for(lambda: house.count("status=expired") >= 2)

        def waiting():
            return sorted(r["address"] for r in json.loads(house.command("queue", "list", "--json").stdout) if r["sender"] == "ann@one.example")
        wait_for(lambda: waiting() == sorted(kept))
        house.stop()
        house.start()
        tries = house.count("to=<a@backed.example>")
        wait_for(lambda: house.count("to=<a@backed.example>") > tries + 1)
        assert waiting() == sorted(kept)


def test_nothing_is_refused_for_good_while_settings_are_tried():
    """soft_bounce: neither by us nor by another host."""
    with Sink(lambda verb, argument, _: None if verb != "RCPT" else "550 5.1.1 unknown here" if "b@" in argument else "452 4.2.2 wait") as sink, \
            House(soft_bounce="yes", **settings(relayhost=f"[127.0.0.1]:{sink.port}")) as house:
        with wait_for(house.smtp) as s:
            s.ehlo()
            assert s.docmd("NONSENSE")[0] == 400
            s.mail("ann@one.example")
            code, text = s.rcpt("no-such-user@here.example")
            assert code == 450 and text.startswith(b"4.1.1 ")
            assert s.rcpt("b@there.example")[0] == 250
            s.data(LETTER)
        wait_for(lambda: house.count("dsn=4.1.1, status=SOFTBOUNCE") >= 2)
        assert notices(house, "ann@*") == []
        house.write_settings(soft_bounce="no")
        house.command("reload")
        wait_for(lambda: notices(house, "ann@*"))


@pytest.mark.parametrize("address, wanted", [("", "Mail Delivery System <MAILER-DAEMON@mail.example.com>"), ("postmaster@here.example", "<postmaster@here.example>"),
                                             ("Post office <postmaster@here.example>", '"Post office" <postmaster@here.example>'), ("postmaster", "<postmaster@mail.example.com>")])
def test_R300_notices_are_from_the_postmaster_the_administrator_names(address, wanted):
    with Sink(lambda verb, argument, _: "550 5.1.1 unknown here" if verb == "RCPT" and "b@" in argument else "452 4.2.2 full" if verb == "RCPT" else None) as sink, \
            House(**settings(relayhost=f"[127.0.0.1]:{sink.port}", postmaster_address=address)) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@one.example", ["b@there.example"], LETTER)
        text = wait_for(lambda: notices(house, "ann@*"))[0]
        assert f"\nFrom: {wanted}\n" in text.replace("\r\n", "\n"), text[:600]


def pids(house, role):
    return [p["pid"] for p in house.status() if p["role"] == role and p["pid"]]


def test_nobody_is_told_twice_when_the_queue_dies_behind_the_notice():
    """The ledger hears of it a moment later; until then spool/sent knows."""
    with Sink(lambda verb, argument, _: "550 5.1.1 unknown here" if verb == "RCPT" and "no" in argument else None) as sink, \
            House(**settings(relayhost=f"[127.0.0.1]:{sink.port}")) as house:
        wait_for(house.smtp).close()
        for n in range(4):
            [queue] = pids(house, "queue")
            with wait_for(house.smtp) as s:
                s.sendmail(f"ann{n}@one.example", [f"no{n}@there.example", f"no-{n}@there.example"], LETTER)
            wait_for(lambda: house.count("sender non-delivery notification") == n + 1)
            wait_for(lambda: any(to == [f"ann{n}@one.example"] for _, to, _ in sink.letters))
            os.kill(queue, signal.SIGKILL)
            wait_for(lambda: pids(house, "queue") not in ([], [queue]))
            wait_for(lambda: "empty" in house.command("queue", "list").stdout)
        assert sorted(to[0] for _, to, _ in sink.letters) == [f"ann{n}@one.example" for n in range(4)]


def test_what_an_administrator_returns_is_returned_though_the_queue_dies():
    """Before the notice is written: it is not tried again, even where it would be taken now."""
    taken = []
    with Sink(lambda verb, argument, _: "450 4.2.1 later" if verb == "RCPT" and "b@" in argument and not taken else None) as sink, \
            House(**settings(relayhost=f"[127.0.0.1]:{sink.port}", minimal_backoff_time="1h", maximal_backoff_time="1h")) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@one.example", ["b@there.example"], LETTER)
        wait_for(lambda: "status=deferred" in house.text())
        verifiers, [queue] = pids(house, "verifier"), pids(house, "queue")
        for pid in verifiers:
            os.kill(pid, signal.SIGSTOP)
        try:
            assert house.command("queue", "bounce", "ALL").returncode == 0
            taken.append(True)
            os.kill(queue, signal.SIGKILL)
            wait_for(lambda: pids(house, "queue") not in ([], [queue]))
        finally:
            for pid in verifiers:
                os.kill(pid, signal.SIGCONT)
        wait_for(lambda: sink.letters)
        wait_for(lambda: "empty" in house.command("queue", "list").stdout)
        [(_, to, text)] = sink.letters
        assert to == ["ann@one.example"] and b"an administrator has returned it" in text
