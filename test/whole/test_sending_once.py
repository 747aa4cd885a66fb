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
