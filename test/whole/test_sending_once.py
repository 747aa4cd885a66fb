# SPDX-License-Identifier: ISC
"""What another host has taken goes there once, however the processes of the way out end.  The hosts are our own, who count.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sending_once.py
"""

import collections
import os
import pathlib
import re
import signal
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import wait_for
from test_pace import table
from test_sending import LETTER, Sink, empty, house, send


def pid_of(h, role):
    return next(p["pid"] for p in h.status() if p["role"] == role)


def children(h):
    """The processes of the house, without asking anybody."""
    return {int(p) for p in pathlib.Path(f"/proc/{h.process.pid}/task/{h.process.pid}/children").read_text().split()}


def once(sink):
    return {to: n for to, n in collections.Counter(sink.got()).items() if n != 1} == {}


def test_who_is_to_hear_that_it_arrived_does_not_make_it_go_twice():
    """rfc3461:4.1 NOTIFY=SUCCESS, to one who takes it and one who keeps us waiting: the notice waits for both.  Then all die."""
    gate = threading.Event()

    def reply(verb, argument, session):
        if verb == "CONNECT":
            gate.wait(120)
    with Sink() as quick, Sink(reply) as slow, Sink() as home, house(
            transport_maps=table(quick=quick.port, slow=slow.port, home=home.port)) as h:
        with h.smtp() as s:
            s.sendmail("me@home.example", ["a@quick.example", "b@slow.example"], LETTER.format("x"), rcpt_options=["NOTIFY=SUCCESS"])
        wait_for(lambda: quick.got() == ["a@quick.example"] and slow.connections > 0)
        sent = h.directory / "mail/spool/sent"
        wait_for(lambda: h.count("to=<a@quick.example>") > 0 and sent.stat().st_size == 0)     # the ledger has it
        os.killpg(h.process.pid, signal.SIGKILL)
        h.process.wait()
        gate.set()
        h.start()
        wait_for(lambda: empty(h), 60)
        assert quick.got() == ["a@quick.example"] and slow.got() == ["b@slow.example"]
        told = b"".join(text for _, _, text in home.letters).decode()
        assert sorted(re.findall("^Final-Recipient: rfc822; *(.*?)\r?$", told, re.M)) == ["a@quick.example", "b@slow.example"], told
        assert set(re.findall("^Action: (.*?)\r?$", told, re.M)) == {"relayed"}


class Doors:
    """A host that decides about a letter when its door is open; which letters it has at its final dot."""

    def __init__(self, words="250 2.0.0 kept"):
        self.words, self.first, self.then = words, threading.Event(), threading.Event()
        self.came, self.at_once, self.lock = 0, 0, threading.Lock()

    def __call__(self, verb, argument, session):
        if verb != "END":
            return None
        with self.lock:
            self.came += 1
            self.at_once += 1
        (self.then if self.first.is_set() else self.first).wait(120)
        with self.lock:
            self.at_once -= 1
        return self.words


def sender_replaced(h, sink, doors):
    """The queue stands still; what is at its final dot is taken, the sender says so, and dies; another is in its place; the queue goes on."""
    queue, sender = pid_of(h, "queue"), pid_of(h, "sender")
    os.kill(queue, signal.SIGSTOP)
    try:
        before, at_dot = children(h), doors.came
        doors.first.set()
        wait_for(lambda: sum(c == "QUIT" for c in list(sink.commands)) == at_dot)        # then it was said to the queue
        os.kill(sender, signal.SIGKILL)
        wait_for(lambda: children(h) - before)
    finally:
        os.kill(queue, signal.SIGCONT)
    return at_dot


def test_what_a_sender_said_before_it_died_is_heard():
    """More than the queue reads in one turn: fifty recipients of each letter, and a host that says much about them."""
    doors = Doors("250 2.0.0 kept, " + "and more is to be said of it " * 15)
    with Sink(doors) as sink, house(
            relayhost=f"[127.0.0.1]:{sink.port}", default_process_limit="40", initial_destination_concurrency="40",
            default_destination_concurrency_limit="40", smtp_connection_cache_on_demand="no") as h:
        for i in range(12):
            send(h, [f"u{i}-{n}@there.example" for n in range(50)])
        wait_for(lambda: doors.came >= 8)
        doors.then.set()
        assert sender_replaced(h, sink, doors) >= 8
        wait_for(lambda: empty(h), 120)
        assert len(sink.got()) == 600 and once(sink)


def test_a_sender_has_no_more_than_its_share_after_one_that_died():
    doors = Doors()
    with Sink(doors) as sink, house(
            relayhost=f"[127.0.0.1]:{sink.port}", default_process_limit="2", smtp_connection_cache_on_demand="no") as h:
        for i in range(8):
            send(h, [f"u{i}@there.example"])
        wait_for(lambda: doors.came == 1)
        assert sender_replaced(h, sink, doors) == 1
        wait_for(lambda: doors.at_once >= 2)
        for _ in range(3):
            h.command("queue", "list")
        assert doors.at_once == 2
        doors.then.set()
        wait_for(lambda: empty(h), 60)
        assert once(sink) and len(sink.got()) == 8
