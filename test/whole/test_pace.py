# SPDX-License-Identifier: ISC
"""How letters share the way out: slow, silent and dead destinations, lists beside people, delays. All is counted, nothing is timed.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_pace.py
"""

import json
import pathlib
import re
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import free_ports, wait_for
from test_sending import LETTER, Sink, empty, house, send


def table(**ports):
    """Domains `name.example`, each with the port of its server."""
    rows = ", ".join("{%s.example=smtp:[127.0.0.1]:%d}" % row for row in ports.items())
    return f"inline:{{{rows}}}"


def letters(h, *words):
    return len({r["id"] for r in json.loads(h.command("queue", "list", "--json", *words).stdout)})


def silent(gate):
    """Whoever comes waits until the gate opens."""
    return lambda verb, argument, session: gate.wait(120) and None if verb == "CONNECT" else None


def test_R111_silent_destinations_never_have_all_the_places():
    """Three hosts that say nothing, with more letters than there are places; then a letter for another."""
    gate = threading.Event()
    with Sink(silent(gate)) as one, Sink(silent(gate)) as two, Sink(silent(gate)) as three, Sink() as good, house(
            transport_maps=table(one=one.port, two=two.port, three=three.port, good=good.port), default_process_limit="10",
            initial_destination_concurrency="10", smtp_helo_timeout="300s") as h:
        for i in range(12):
            send(h, [f"a{i}@one.example", f"a{i}@two.example", f"a{i}@three.example"])
        wait_for(lambda: one.connections + two.connections + three.connections >= 3)
        for i in range(10):
            send(h, [f"b{i}@good.example"])
        wait_for(lambda: len(good.got()) == 10)
        assert one.got() == two.got() == three.got() == []
        assert one.connections + two.connections + three.connections <= 7, "those that have not answered have seven tenths of the places"
        gate.set()
        wait_for(lambda: empty(h), 60)
        assert [len(s.got()) for s in (one, two, three)] == [12, 12, 12]


def test_R111_a_letter_for_another_host_leaves_while_silent_hosts_have_all_places():
    """Ten hosts that say nothing have all the places there are for those of which nothing is known, and five letters each wait; a letter
    for a host of which nothing is known either leaves long before the silent ones' time is over (smtp_helo_timeout)."""
    gate = threading.Event()
    dumb = [Sink(silent(gate)) for _ in range(10)]
    with Sink() as good, house(transport_maps=table(good=good.port, **{f"s{i}": s.port for i, s in enumerate(dumb)}), default_process_limit="20",
                               smtp_helo_timeout="600s") as h:
        for n in range(5):
            for i in range(10):
                send(h, [f"a{n}@s{i}.example"])
        wait_for(lambda: sum(s.connections for s in dumb) == 14)
        for n in range(3):
            send(h, [f"b{n}@good.example"])
        wait_for(lambda: len(good.got()) == 3, 60)
        assert h.count("timed out while receiving the initial server greeting") >= 1
        gate.set()
        h.command("queue", "flush")
        wait_for(lambda: empty(h), 60)
        assert sum(len(s.got()) for s in dumb) == 50, "and nothing is lost or sent twice for it"
    for s in dumb:
        s.close()


def hangs_at(step, gate):
    """Whoever says this waits until the gate opens."""
    return lambda verb, argument, session: gate.wait(120) and None if verb == step else None


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_R111_a_letter_for_another_host_leaves_while_hosts_that_hang_have_all_places(step):
    """Ten hosts answer EHLO and no more: of the letter they have nothing, so their places are others' after half a minute and not after
    smtp_mail_timeout and its kin (R82); nothing goes twice for it."""
    gate = threading.Event()
    dumb = [Sink(hangs_at(step, gate)) for _ in range(10)]
    with Sink() as good, Sink() as known, house(
            transport_maps=table(good=good.port, known=known.port, **{f"s{i}": s.port for i, s in enumerate(dumb)}), default_process_limit="10",
            smtp_mail_timeout="600s", smtp_rcpt_timeout="600s", smtp_data_init_timeout="600s") as h:
        send(h, ["hello@known.example"])
        wait_for(lambda: len(known.got()) == 1)
        for n in range(3):
            for i in range(10):
                send(h, [f"a{n}@s{i}.example"])
        wait_for(lambda: sum(s.connections for s in dumb) == 7)
        send(h, ["b@known.example"])
        wait_for(lambda: len(known.got()) == 2)         # it has never to wait for them
        send(h, ["b@good.example"])
        assert good.connections == 0
        wait_for(lambda: len(good.got()) == 1, 90)
        assert h.count("timed out while") >= 1
        gate.set()
        h.command("queue", "flush")
        wait_for(lambda: empty(h), 60)
        assert sorted(set(sum((s.got() for s in dumb), []))) == sorted(f"a{n}@s{i}.example" for n in range(3) for i in range(10))
        assert sum(len(s.got()) for s in dumb) == 30
    for s in dumb:
        s.close()


def test_R111_who_hangs_is_found_beside_a_host_that_is_slow_with_many():
    """One that answers has twelve letters and is long about each: it keeps its places.  Eight others hang, and the letter for
    another has the place of one of them: who is asked in vain whether it hangs is asked again after all others."""
    gate = threading.Event()
    dumb = [Sink(hangs_at("MAIL", gate)) for _ in range(8)]
    with Sink() as good, Sink(hangs_at("END", gate)) as slow, house(
            transport_maps=table(good=good.port, slow=slow.port, **{f"s{i}": s.port for i, s in enumerate(dumb)}), default_process_limit="20",
            initial_destination_concurrency="12", smtp_mail_timeout="600s", smtp_data_done_timeout="600s") as h:
        gate.set()
        send(h, ["hello@slow.example"])
        wait_for(lambda: len(slow.got()) == 1)
        gate.clear()
        for i in range(12):
            send(h, [f"a{i}@slow.example"])
        wait_for(lambda: sum(c.startswith("DATA") for c in slow.commands) == 13)
        for i in range(8):
            send(h, [f"a@s{i}.example"])
        wait_for(lambda: sum(s.connections for s in dumb) == 8)
        send(h, ["b@good.example"])
        wait_for(lambda: len(good.got()) == 1, 110)
        assert len(slow.got()) == 1
        gate.set()
        h.command("queue", "flush")
        wait_for(lambda: empty(h), 60)
        assert sorted(slow.got()) == sorted(["hello@slow.example", *(f"a{i}@slow.example" for i in range(12))]), "nothing is lost or sent twice for it"
        assert sorted(sum((s.got() for s in dumb), [])) == [f"a@s{i}.example" for i in range(8)]
    for s in dumb:
        s.close()


def test_what_the_silent_wait_for_costs_the_others_no_connection():
    """Ten hosts that say nothing have all the places there are for those of which nothing is known, and more letters wait; one that
    answers has its letters by one connection, as it would without them."""
    gate, door = threading.Event(), threading.Event()

    def slow_at_first(verb, argument, session):
        if verb == "END":
            door.wait(120)
    dumb = [Sink(silent(gate)) for _ in range(10)]
    with Sink(slow_at_first) as good, house(
            transport_maps=table(known=good.port, **{f"s{i}": s.port for i, s in enumerate(dumb)}), default_process_limit="10",
            smtp_destination_concurrency_limit="1", smtp_initial_destination_concurrency="1", smtp_helo_timeout="300s") as h:
        door.set()
        send(h, ["hello@known.example"])                # it is known to answer
        wait_for(lambda: len(good.got()) == 1 and empty(h))
        door.clear()
        send(h, ["b0@known.example"])
        wait_for(lambda: any("b0@known" in c for c in good.commands))
        for i in range(10):
            send(h, [f"a@s{i}.example"])
        wait_for(lambda: sum(s.connections for s in dumb) == 7)
        for i in range(1, 70):
            send(h, [f"b{i}@known.example"])
        before = good.connections
        wait_for(lambda: len(json.loads(h.command("queue", "list", "--json", "--domain", "known.example").stdout)) == 70)
        door.set()
        wait_for(lambda: len(good.got()) == 71)
        assert good.connections - before <= 1, "one for all that waited"
        assert sum(s.connections for s in dumb) == 7
        gate.set()
        wait_for(lambda: empty(h), 60)
    for s in dumb:
        s.close()


def test_a_dead_destination_is_asked_by_one_and_not_by_each_letter():
    def reply(verb, argument, session):
        return "" if verb == "CONNECT" and not alive.is_set() else None
    alive = threading.Event()
    with Sink(reply) as sink, house(transport_maps=table(dead=sink.port), minimal_backoff_time="300s",
                                    maximal_backoff_time="300s") as h:
        for i in range(40):
            send(h, [f"x{i}@dead.example"])
        wait_for(lambda: h.count("status=deferred") >= 40)
        first = sink.connections
        assert first <= 20, "forty letters, five places in the beginning"
        # A flush is a question of one; all of them are told its answer.
        before = h.count("status=deferred")
        h.command("queue", "flush")
        wait_for(lambda: h.count("status=deferred") >= before + 40)
        assert sink.connections - first <= 4
        assert h.count("delivery temporarily suspended") >= 40
        alive.set()
        h.command("queue", "flush")
        wait_for(lambda: empty(h), 60)
        assert len(sink.got()) == 40


def test_a_person_does_not_wait_for_a_list():
    """One delivery at a time: a list of 300 letters, each with a sender of its own; then a person's."""
    gate, order = threading.Event(), []

    def reply(verb, argument, session):
        if verb == "CONNECT":
            gate.wait(120)
        if verb == "RCPT":
            order.append(re.search("<(.*)>", argument).group(1))
    with Sink(reply) as sink, house(transport_maps=table(there=sink.port), smtp_destination_concurrency_limit="1",
                                    smtp_initial_destination_concurrency="1") as h:
        with h.smtp() as s:
            for i in range(300):
                s.sendmail(f"news-{i}+you{i}=there.example@list.example", [f"you{i}@there.example"], LETTER.format(i))
        wait_for(lambda: letters(h) == 300)
        send(h, ["person@there.example"], sender="friend@here.example")
        wait_for(lambda: letters(h) == 301)
        wait_for(lambda: json.loads(h.command("queue", "list", "--json", "--recipient", "person@*").stdout)[0]["state"] == "active")
        gate.set()
        wait_for(lambda: empty(h), 60)
        assert order.index("person@there.example") <= 3, order[:10]
        assert len(set(order)) == 301


def passes_by(h, sink):
    """A letter goes elsewhere: whatever might have gone before it has."""
    send(h, ["x@other.example"])
    wait_for(lambda: sink.got() == ["x@other.example"])


def test_a_rate_delay_is_kept_between_two_deliveries():
    """One of four goes, and others go on their way; the next would come in an hour."""
    with Sink() as sink, Sink() as other, house(transport_maps=table(slow=sink.port, other=other.port),
                                                smtp_destination_rate_delay="1h") as h:
        for i in range(4):
            send(h, [f"x{i}@slow.example"])
        wait_for(lambda: len(sink.got()) == 1)
        passes_by(h, other)
        assert len(sink.got()) == 1 and letters(h) == 3


def test_with_a_rate_delay_they_go_one_after_the_other():
    at_once, most, lock = set(), [], threading.Lock()

    def reply(verb, argument, session):
        with lock:
            (at_once.discard if verb == "END" else at_once.add if verb == "MAIL" else lambda _: None)(session.number)
            most.append(len(at_once))
    with Sink(reply) as sink, house(transport_maps=table(slow=sink.port), smtp_destination_rate_delay="1s") as h:
        for i in range(4):
            send(h, [f"x{i}@slow.example"])
        wait_for(lambda: empty(h))
        assert len(sink.got()) == 4 and max(most) == 1


def test_a_transport_rate_delay_is_kept_whatever_the_destination():
    """Of six letters to three destinations one goes, and others by another transport; the next would come in an hour."""
    with Sink() as one, Sink() as two, Sink() as three, Sink() as other, house(
            transport_maps="inline:{%s}" % ", ".join("{%s.example=%s:[127.0.0.1]:%d}" % row for row in [
                ("one", "slow", one.port), ("two", "slow", two.port), ("three", "slow", three.port), ("other", "smtp", other.port)]),
            **{"slow/transport": "smtp", "slow_transport_rate_delay": "1h"}) as h:
        for i in range(2):
            for name in ("one", "two", "three"):
                send(h, [f"x{i}@{name}.example"])
        wait_for(lambda: len(one.got()) + len(two.got()) + len(three.got()) == 1)
        passes_by(h, other)
        assert len(one.got()) + len(two.got()) + len(three.got()) == 1 and letters(h) == 5


def test_with_a_transport_rate_delay_all_have_their_turn():
    with Sink() as one, Sink() as two, house(
            transport_maps="inline:{{one.example=slow:[127.0.0.1]:%d}, {two.example=slow:[127.0.0.1]:%d}}" % (one.port, two.port),
            **{"slow/transport": "smtp", "slow_transport_rate_delay": "100ms"}) as h:
        for i in range(3):
            send(h, [f"x{i}@one.example"])
            send(h, [f"x{i}@two.example"])
        wait_for(lambda: empty(h), 60)
        assert [len(s.got()) for s in (one, two)] == [3, 3]


def test_defer_transports_deliver_what_somebody_asks_for():
    with Sink() as slow, Sink() as sink, house(
            transport_maps="inline:{{dialup.example=later:[127.0.0.1]:%d}, {there.example=smtp:[127.0.0.1]:%d}}" % (slow.port, sink.port),
            defer_transports="later", fast_flush_domains="dialup.example", **{"later/transport": "smtp"}) as h:
        send(h, ["a@dialup.example", "a@there.example"])
        send(h, ["b@dialup.example"])
        # At least two tries each: its own time is no question of somebody.
        wait_for(lambda: h.count("status=deferred (deferred transport)") >= 4)
        assert sink.got() == ["a@there.example"] and slow.connections == 0
        assert re.search(r"to=<a@dialup.example>, relay=none, .*, dsn=4\.3\.2, status=deferred \(deferred transport\)", h.text())
        first = next(r["id"] for r in json.loads(h.command("queue", "list", "--json").stdout) if r["address"] == "b@dialup.example")
        h.command("queue", "retry", first)
        wait_for(lambda: slow.got() == ["b@dialup.example"])
        send(h, ["c@dialup.example"])
        # A letter whose first try is still under way is not one that waits.
        wait_for(lambda: re.search(r"to=<c@dialup.example>, .*status=deferred", h.text()))
        with h.smtp() as s:
            s.ehlo("test.example")
            assert s.docmd("ETRN dialup.example")[0] in (250, 253)
        wait_for(lambda: empty(h))
        assert slow.got() == ["a@dialup.example", "b@dialup.example", "c@dialup.example"]


def test_a_limit_of_a_transport_that_is_not_there_is_told_so():
    with house() as h:
        h.write_settings(dovecot_destination_recipient_limit="1")
        said = h.command("config", "check", check=False)
        assert said.returncode != 0 and 'there is none named "dovecot"; write dovecot/transport = ' in said.stderr + said.stdout
        h.write_settings(dovecot_destination_concurrency_negative_feedback="1/concurrency", **{"dovecot/transport": "lmtp"})
        h.command("config", "check")


def test_a_place_stays_with_a_destination_for_some_letters():
    """One place, and twenty destinations with ten letters each: to go from one to the next with each letter takes a connection for each."""
    gate, order = threading.Event(), []

    def reply(verb, argument, session):
        if verb == "CONNECT":
            gate.wait(120)
        if verb == "RCPT":
            order.append(re.search("@(.*)>", argument).group(1))
    with Sink(reply, host="0.0.0.0") as sink:
        rows = ", ".join(f"{{d{n}.example=smtp:[127.0.0.{n + 1}]:{sink.port}}}" for n in range(20))
        with house(transport_maps=f"inline:{{{rows}}}", default_process_limit="1") as h:
            for i in range(10):
                for n in range(20):
                    send(h, [f"x{i}@d{n}.example"])
            wait_for(lambda: all(r["state"] == "active" for r in json.loads(h.command("queue", "list", "--json").stdout)))
            gate.set()
            wait_for(lambda: empty(h), 60)
        changes = sum(a != b for a, b in zip(order, order[1:]))
        assert len(sink.got()) == 200
        assert changes < 100 and sink.connections < 100, f"{changes} changes, {sink.connections} connections"


def test_a_person_does_not_wait_for_a_list_to_many_destinations():
    """Two places, a list to sixty destinations with four letters each; then a person's letter to another destination: it has the next place."""
    gate, order, some = threading.Event(), [], threading.Event()

    def reply(verb, argument, session):
        if verb == "RCPT":
            order.append(re.search("<(.*)>", argument).group(1))
            if len(order) >= 40:
                some.set()
                gate.wait(120)
    with Sink(reply, host="0.0.0.0") as sink:
        rows = ", ".join(f"{{d{n}.example=smtp:[127.0.0.{n + 1}]:{sink.port}}}" for n in range(61))
        with house(transport_maps=f"inline:{{{rows}}}", default_process_limit="2") as h:
            with h.smtp() as s:
                for i in range(4):
                    for n in range(60):
                        s.sendmail(f"news-{i}{n}@list.example", [f"x{i}@d{n}.example"], LETTER.format(i))
            assert some.wait(60)
            wait_for(lambda: all(r["state"] == "active" for r in json.loads(h.command("queue", "list", "--json").stdout)))
            send(h, ["person@d60.example"], sender="friend@here.example")
            wait_for(lambda: json.loads(h.command("queue", "list", "--json", "--recipient", "person@*").stdout)[0]["state"] == "active")
            before = len(order)
            gate.set()
            wait_for(lambda: empty(h), 60)
        assert len(set(order)) == 241
        assert order.index("person@d60.example") - before <= 10, "those that have a place may send three more each, and nobody else is first"


def test_however_few_may_be_in_line_nobody_waits_for_who_is_slow():
    """Three in line are enough, and forty are for a host that says nothing: what is for another goes, and then all does."""
    gate = threading.Event()
    with Sink(silent(gate)) as slow, Sink() as good, house(transport_maps=table(slow=slow.port, good=good.port), qmgr_message_active_limit="3",
                                                           smtp_helo_timeout="300s") as h:
        for i in range(40):
            send(h, [f"x{i}@slow.example"])
        for i in range(40):
            send(h, [f"y{i}@good.example", f"z{i}@slow.example"])
        wait_for(lambda: len(good.got()) == 40)
        assert slow.got() == []
        gate.set()
        wait_for(lambda: empty(h), 60)
        assert len(slow.got()) == 80 and len(good.got()) == 40


def test_when_a_destination_returns_what_waited_for_it_goes_at_once():
    def reply(verb, argument, session):
        return "" if verb == "CONNECT" and not alive.is_set() else None
    alive = threading.Event()
    # Their own time is long after the test; only the first that is tried has to ask.
    with Sink(reply) as sink, house(transport_maps=table(dead=sink.port), minimal_backoff_time="2s", maximal_backoff_time="1000s") as h:
        for i in range(30):
            send(h, [f"x{i}@dead.example"])
        wait_for(lambda: h.count("status=deferred") >= 60, 60)
        alive.set()
        h.command("queue", "retry", json.loads(h.command("queue", "list", "--json").stdout)[0]["id"])
        wait_for(lambda: empty(h), 60)
        assert len(sink.got()) == 30


def test_what_waits_for_its_destination_is_held_and_taken_away():
    gate = threading.Event()
    with Sink(silent(gate)) as sink, house(transport_maps=table(there=sink.port), smtp_destination_concurrency_limit="1",
                                           smtp_initial_destination_concurrency="1", smtp_helo_timeout="300s") as h:
        for i in range(30):
            send(h, [f"x{i}@there.example"])
        wait_for(lambda: sink.connections == 1)
        wait_for(lambda: all(r["state"] == "active" for r in json.loads(h.command("queue", "list", "--json").stdout)))
        assert "10 recipients of 10 letters held" in h.command("queue", "hold", "--recipient", "x1?@there.example").stdout
        assert "10 recipients of 10 letters deleted" in h.command("queue", "delete", "--recipient", "x2?@there.example").stdout
        gate.set()
        wait_for(lambda: len(sink.got()) >= 10)
        h.command("queue", "release", "ALL")
        wait_for(lambda: empty(h))
        assert sink.got() == sorted(f"x{i}@there.example" for i in range(20))


def test_R111_a_queue_is_told_of_in_pieces():
    """More than is said at once, in each form; and done with in one command."""
    port = free_ports(1)[0]
    with house(relayhost=f"[127.0.0.1]:{port}", minimal_backoff_time="300s", maximal_backoff_time="300s",
               smtpd_recipient_limit="2000") as h:
        names = [f"a-rather-long-name-so-that-there-is-much-to-tell-{i:05}@there.example" for i in range(6000)]
        for first in range(0, len(names), 1000):
            send(h, names[first:first + 1000], sender="a@here.example")
        for i in range(100):
            send(h, [f"one{i}@there.example"])
        rows = wait_for(lambda: len(r := json.loads(h.command("queue", "list", "--json").stdout)) == 6100 and r)
        assert len({r["address"] for r in rows}) == 6100
        wait_for(lambda: all(r["reason"] for r in json.loads(h.command("queue", "list", "--json").stdout)), 60)
        text = h.command("mailq").stdout
        assert text.count("@there.example") == 6100 and "in 106 Requests." in text
        objects = [json.loads(line) for line in h.command("postqueue", "-j").stdout.splitlines()]
        assert len(objects) == 106 and sum(len(o["recipients"]) for o in objects) == 6100
        assert re.search(r"there\.example +0 +0 +6100 +0", h.command("queue", "summary").stdout)
        assert "6100 recipients of 106 letters deleted" in h.command("queue", "delete", "ALL").stdout
        wait_for(lambda: empty(h))
