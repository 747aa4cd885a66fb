# SPDX-License-Identifier: ISC
"""Somebody sets the clock while letters wait: ten days on, a day back, and back again."""

import json
import pathlib
import struct
import subprocess
import threading

from house import House, wait_for
from test_sending import Sink

DAY = 86400
LETTERS = 20


def test_a_clock_that_is_set_loses_no_letter_returns_none_and_begins_no_storm(tmp_path):
    shim, clock, alive = tmp_path / "clock.so", tmp_path / "clock", threading.Event()
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", shim, pathlib.Path(__file__).with_name("clock.c")], check=True)
    clock.write_bytes(b"\0" * 4096)

    def is_apart(seconds):
        with open(clock, "r+b") as file:
            file.write(struct.pack("l", seconds))

    with Sink(lambda verb, *_: "" if verb == "CONNECT" and not alive.is_set() else None) as sink, House(
            wrapper=["env", f"LD_PRELOAD={shim}", f"TEST_CLOCK={clock}"], mynetworks="127.0.0.0/8", dns_resolver="none",
            relayhost=f"[127.0.0.1]:{sink.port}", minimal_backoff_time="600s", maximal_backoff_time="600s", maximal_queue_lifetime="5d",
            delay_warning_time="4h") as h:
        def send(name):
            with h.smtp() as s:
                s.sendmail("a@here.example", [f"{name}@there.example"], "Subject: x\r\n\r\nx\r\n")
            wait_for(lambda: h.count(f"to=<{name}@there.example>") >= 1)

        for i in range(LETTERS):
            send(f"first{i}")
        wait_for(lambda: h.count("status=deferred") == LETTERS)
        for n, apart in enumerate([10 * DAY, 9 * DAY, 0]):
            is_apart(apart)
            send(f"then{n}")
            wait_for(lambda: h.count("the clock was set by") == n + 1)
            # The one that came is put off, and nothing of what waits was due.
            assert h.count("status=deferred") == LETTERS + n + 1
            assert len(json.loads(h.command("queue", "list", "--json").stdout)) == LETTERS + n + 1
        # Tried once more while the clock is ten days on, they are no older for it: nobody is warned.
        is_apart(10 * DAY)
        wait_for(lambda: h.count("the clock was set by") == 4)
        tries = h.count("status=deferred")
        h.command("queue", "flush")
        wait_for(lambda: h.count("status=deferred") >= tries + LETTERS)
        assert h.count("delay notification") == 0
        is_apart(0)
        wait_for(lambda: h.count("the clock was set by") == 5)
        alive.set()
        h.command("queue", "flush")
        wait_for(lambda: "empty" in h.command("queue", "list").stdout, 60)
        assert sink.got() == sorted([f"first{i}@there.example" for i in range(LETTERS)] + [f"then{n}@there.example" for n in range(3)])
        assert h.count("status=bounced") == 0 and h.count("delay notification") == 0


def test_R103_R104_T3_a_warning_after_four_hours_and_the_end_after_five_days(tmp_path):
    """As it is where nobody has set anything.  The server is not running while the time goes by."""
    shim, clock = tmp_path / "clock.so", tmp_path / "clock"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", shim, pathlib.Path(__file__).with_name("clock.c")], check=True)
    clock.write_bytes(b"\0" * 4096)
    with Sink(lambda verb, *_: "" if verb == "CONNECT" else None) as sink, House(
            wrapper=["env", f"LD_PRELOAD={shim}", f"TEST_CLOCK={clock}"], mynetworks="127.0.0.0/8", dns_resolver="none",
            mydestination="here.example", relayhost=f"[127.0.0.1]:{sink.port}") as h:
        h.command("domain", "add", "here.example")
        h.command("account", "add", "ann@here.example", input="secret-of-theirs\n")
        with h.smtp() as s:
            s.sendmail("ann@here.example", ["b@there.example"], "Subject: x\r\n\r\nx\r\n")
        wait_for(lambda: h.count("to=<b@there.example>") == 1)
        for tries, apart, warned, returned in [(2, 4 * 3600 - 60, 0, 0), (3, 4 * 3600 + 60, 1, 0), (4, 5 * DAY - 600, 1, 0), (5, 5 * DAY + 60, 1, 1)]:
            h.stop()
            with open(clock, "r+b") as file:
                file.write(struct.pack("l", apart))
            h.start()
            h.command("queue", "flush")
            wait_for(lambda: h.count("to=<b@there.example>") >= tries)
            wait_for(lambda: h.count("sender delay notification") == warned and h.count("sender non-delivery notification") == returned)
            assert h.count("status=expired, returned to sender") == returned
            wait_for(lambda: h.count("to=<ann@here.example>") == warned + returned)
        assert h.command("queue", "list").stdout == "Mail queue is empty\n"
