# SPDX-License-Identifier: ISC
"""What the catalogue says of the queue, walked by name."""

import contextlib
import json
import os
import signal

from house import free_ports, wait_for
from test_sending import Sink, empty, house, names, send  # noqa: F401


def states(h):
    return {r["address"]: r["state"] for r in json.loads(h.command("queue", "list", "--json").stdout)}


def kill(h):
    """The postmaster dies at once, and everybody with it."""
    pids = [p["pid"] for p in h.status() if p.get("pid")]
    os.kill(h.process.pid, signal.SIGKILL)
    h.process.wait()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") and "State:\tZ" not in open(f"/proc/{pid}/status").read() for pid in pids))


def test_R101_states_outlive_a_sudden_death():
    """Held stays held, deferred stays deferred, and each is delivered once when its time comes."""
    patient = {"ready": False}

    def reply(verb, argument, _):
        return "452 4.2.2 later" if verb == "RCPT" and not patient["ready"] else None
    with Sink(reply) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", maximal_backoff_time="5s", minimal_backoff_time="5s") as h:
        h.at_work()
        send(h, ["put-off@there.example", "held@other.example"])
        wait_for(lambda: set(states(h).values()) == {"deferred"})
        h.command("queue", "hold", "--recipient", "held@other.example")
        want = {"put-off@there.example": "deferred", "held@other.example": "hold"}
        wait_for(lambda: states(h) == want)
        h.stop()
        h.start()
        wait_for(lambda: states(h) == want)
        h.at_work()
        kill(h)
        h.start()
        wait_for(lambda: states(h) == want)
        patient["ready"] = True
        h.command("queue", "flush")
        wait_for(lambda: sink.got() == ["put-off@there.example"])
        wait_for(lambda: states(h) == {"held@other.example": "hold"})
        h.command("queue", "release", "ALL")
        wait_for(lambda: sink.got() == ["held@other.example", "put-off@there.example"] and empty(h))


def test_R102_every_host_in_one_attempt_then_later_then_a_notice(names):  # noqa: F811
    """10, 10, 20, 30, all of which say not now: each is asked in one try, in order; when its time is over the sender hears of it."""
    port, asked = free_ports(1)[0], []

    def busy(name):
        def reply(verb, *_):
            if verb in ("EHLO", "HELO"):
                asked.append(name)
                return "421 4.3.2 not now"
        return reply
    with contextlib.ExitStack() as all_of_them:
        for n, name in enumerate("abcd"):
            all_of_them.enter_context(Sink(busy(name), host=f"127.0.0.{n + 2}", port=port))
        h = all_of_them.enter_context(house(dns_resolver=f"127.0.0.1:{names}", dns_validation="no", smtp_tcp_port=str(port), smtp_mx_session_limit="0",
                                            smtp_mx_address_limit="0", maximal_queue_lifetime="5s"))
        send(h, ["x@four.example"], sender="ann@lost.example")
        wait_for(lambda: h.count("to=<x@four.example>") >= 1)
        first = h.text().split("to=<x@four.example>")[1].split("\n")[0]
        assert "status=deferred" in first and set(asked[:2]) == {"a", "b"} and asked[2:4] == ["c", "d"]
        wait_for(lambda: "status=expired, returned to sender" in h.text() and h.count("sender non-delivery notification") == 1)
        wait_for(lambda: "to=<ann@lost.example>" in h.text())
        assert asked.count("d") >= 2        # it was tried again before that


def test_R105_a_notice_goes_to_the_envelope_sender_from_nobody():
    """Whoever From:, Reply-To: and Errors-To: name."""
    with Sink(lambda verb, argument, _: "550 5.1.1 unknown here" if verb == "RCPT" and "<b@" in argument else None) as sink, \
            house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        send(h, ["b@there.example"], sender="envelope@one.example",
             text="From: from@two.example\r\nReply-To: reply@two.example\r\nErrors-To: errors@two.example\r\nReturn-Path: <path@two.example>\r\nSubject: x\r\n\r\nbody\r\n")
        wait_for(lambda: sink.letters and empty(h))
        assert [to for _, to, _ in sink.letters] == [["envelope@one.example"]] and "<>" in sink.letters[0][0]
