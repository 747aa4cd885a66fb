# SPDX-License-Identifier: ISC
"""Letters to many, of whose recipients only some are in memory: each gets it once, through restarts and sudden deaths, and every
command counts them all.  The far end is Postfix's smtp-sink, or Postfix itself.
"""

import collections
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading

import pytest

from house import free_ports, wait_for
from test_sending import Receiver, Sink, empty, house

SINK = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin")
pytestmark = pytest.mark.skipif(SINK is None, reason="smtp-sink (Postfix) is not installed")
SMALL = {"qmgr_message_recipient_limit": "20", "qmgr_message_recipient_minimum": "3"}
LETTER = "From: news@here.example\r\nSubject: to many\r\n\r\nbody\r\n"


class SmtpSink:
    """Keeps what it is given in files; `slow`: so many seconds at each DATA."""

    def __init__(self, port, slow=0):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="mansio-sink-"))
        self.directory.chmod(0o777)
        self.port = port
        self.process = subprocess.Popen([SINK, "-u", "nobody", *(["-w", str(slow)] if slow else []), "-D", f"{self.directory}/m.",
                                         f"127.0.0.1:{port}", "100"], stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def got(self):
        """How often each recipient; of letters that arrived whole."""
        often = collections.Counter()
        for path in self.directory.iterdir():
            try:
                text = path.read_text(errors="replace")
            except FileNotFoundError:
                continue            # a transaction that came to nothing
            if "\nbody\n" in text.replace("\r", ""):
                often.update(re.findall(r"^X-Rcpt-Args: <([^>]*)>", text, re.M))
        return often


def absent(h):
    """How many recipients are not in memory."""
    found = re.search(r'"absent": *"?(\d+)', json.dumps([p for p in h.status() if p["role"] == "queue"]))
    return int(found.group(1)) if found else -1


def send(h, to, sender="news@here.example"):
    with wait_for(h.smtp) as s:
        s.sendmail(sender, to, LETTER)


def rows(h, *words):
    return json.loads(h.command("queue", "list", "--json", *words).stdout)


def pid_of(h, role):
    return next(p["pid"] for p in h.status() if p["role"] == role)


@pytest.mark.parametrize("how", ["in order", "the queue is killed", "all are killed"])
def test_each_gets_it_once_through_an_end_in_the_midst(how):
    everybody = [f"m{i}@far{i % 3}.example" for i in range(240)]
    at_once, together = 3, 4
    with SmtpSink(free_ports(1)[0], slow=1) as sink, \
         house(relayhost=f"[127.0.0.1]:{sink.port}", default_destination_concurrency_limit=str(at_once),
               default_destination_recipient_limit=str(together), initial_destination_concurrency=str(at_once), **SMALL) as h:
        send(h, everybody)
        ends = 0
        for share in (0.15, 0.5):
            wait_for(lambda: len(sink.got()) >= share * len(everybody), 120)
            assert not empty(h) and absent(h) > 0
            ends += 1
            if how == "in order":
                assert h.stop() == 0
                h.start()
            elif how == "the queue is killed":
                before = pid_of(h, "queue")
                os.kill(before, signal.SIGKILL)
                wait_for(lambda: pid_of(h, "queue") != before)
            else:
                os.killpg(h.process.pid, signal.SIGKILL)
                h.process.wait()
                h.start()
        wait_for(lambda: empty(h), 120)
        got = sink.got()
        assert set(got) == set(everybody)
        twice = sum(n - 1 for n in got.values())
        print(f"{how}: {len(everybody)} recipients, {twice} got it twice")
        # docs/decisions/0014-sending.md: what was at its final dot, or not written down a moment later
        assert twice <= (0 if how == "in order" else ends * 2 * at_once * together)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("postfix"), reason="needs root and Postfix")
@pytest.mark.parametrize("how", ["in order", "the queue is killed"])
def test_postfix_that_takes_so_many_at_once_gets_all_of_a_crowd(how):
    """It refuses some, says 452 4.5.3 of those that are too many for one letter (rfc5321:4.5.3.1.10), and keeps each of the others once.
    Those go with the next letter, and wait for no other time."""
    to = [f"{'bad' if i % 90 == 5 else 'm'}{i}@there.example" for i in range(600)]
    good = {one for one in to if one.startswith("m")}
    with Receiver("smtpd_recipient_limit = 100\nsmtpd_recipient_restrictions = check_recipient_access regexp:{{ {{/^bad/ REJECT}} }}, "
                  "reject_unauth_destination\n") as postfix, \
         house(relayhost=f"[127.0.0.1]:{postfix.port}", default_destination_recipient_limit="200", minimal_backoff_time="1h", maximal_backoff_time="1h") as h:
        def got():
            return collections.Counter(re.findall(r"to=<([^>]*)>.*status=sent", postfix.log()))

        send(h, to, sender="")
        if how != "in order":
            wait_for(lambda: len(got()) >= 100, 60)
            before = pid_of(h, "queue")
            os.kill(before, signal.SIGKILL)
            wait_for(lambda: pid_of(h, "queue") != before)
        wait_for(lambda: empty(h), 120)
        wait_for(lambda: set(got()) >= good, 60)      # it takes a letter before it says what became of it
        assert set(got()) == good
        assert "452 4.5.3 Error: too many recipients" in h.text()
        refused = set(re.findall(r"to=<(bad[^>]*)>.*dsn=5\.7\.1, status=bounced", h.text()))
        assert refused == set(to) - good
        twice = sum(n - 1 for n in got().values())
        print(f"{how}: {len(good)} recipients, {twice} got it twice")
        assert twice <= (0 if how == "in order" else 200)


@pytest.fixture()
def waiting():
    """Two letters whose recipients all were put off: one to many, one to few."""
    port = free_ports(1)[0]
    with house(relayhost=f"[127.0.0.1]:{port}", minimal_backoff_time="1h", maximal_backoff_time="1h", **SMALL) as h:
        h.far = port
        send(h, [f"{c}{i}@{c}.example" for c in "abcd" for i in range(30)])
        send(h, ["a@a.example", "b@b.example"], "ann@here.example")
        wait_for(lambda: sum(r["state"] == "deferred" for r in rows(h)) == 122, 60)
        wait_for(lambda: absent(h) >= 100)
        yield h


def names(h, *words):
    return {r["address"] for r in rows(h, *words)}


def test_all_are_told_and_kept_over_a_restart(waiting):
    h = waiting
    def known():
        return {(r["id"], r["address"], r["state"], r["reason"]) for r in rows(h)}
    before = known()
    assert len(before) == 122 and all(r[-1] for r in before)
    assert h.stop() == 0
    h.start()
    wait_for(lambda: absent(h) >= 100)
    assert known() == before
    plain = h.command("queue", "list").stdout
    assert sum(plain.count(f"{c}{i}@{c}.example  [deferred]") for c in "abcd" for i in range(30)) == 120
    assert "in 2 Requests" in plain
    one = next(r["id"] for r in rows(h) if r["address"] == "a7@a.example")
    assert all(f"{c}{i}@{c}.example" in h.command("queue", "show", one).stdout for c in "abcd" for i in range(30))
    summary = h.command("queue", "summary").stdout
    assert all(re.search(rf"^{c}\.example.*\b{31 if c in 'ab' else 30}\b", summary, re.M) for c in "abcd"), summary
    traced = h.command("trace", one).stdout
    assert all(f"{c}{i}@{c}.example" in traced for c in "abcd" for i in range(30))


# (what is said, of whom, how many it is done to, how many are then left in which state)
ORDERS = [
    (["hold", "--domain", "a.example"], {"hold": 31, "deferred": 91}),
    (["hold", "--recipient", "?1*@*"], {"hold": 44, "deferred": 78}),
    (["delete", "--domain", "b.example"], {"deferred": 91}),
    (["delete", "--sender", "news@here.example"], {"deferred": 2}),
    (["bounce", "--domain", "c.example", "--recipient", "c2*"], {"deferred": 111}),
    (["hold", "--dry-run", "--domain", "a.example"], {"deferred": 122}),
    (["delete", "--domain", "nobody.example"], {"deferred": 122}),
]


@pytest.mark.parametrize("words, left", ORDERS, ids=[" ".join(o[0]) for o in ORDERS])
def test_an_order_means_all_of_a_letter(waiting, words, left):
    """And so it is after a kill -9; of what was returned its sender hears first (as of one in memory), so there in order."""
    h = waiting
    h.command("queue", *words, check=False)

    def states():
        return dict(collections.Counter(r["state"] for r in rows(h) if r["sender"] != "MAILER-DAEMON" and r["sender"] != ""))
    wait_for(lambda: states() == left)
    if words[0] == "bounce":
        wait_for(lambda: h.count("sender non-delivery notification") == 1)
        assert h.stop() == 0
    else:
        os.killpg(h.process.pid, signal.SIGKILL)
        h.process.wait()
    h.start()
    wait_for(lambda: states() == left)
    if words[0] == "bounce":
        assert len(set(re.findall(r"to=<(c2\d?@c\.example)>.*status=bounced", h.text()))) == 11


def test_held_ones_are_released_and_go_another_way_once(waiting):
    h = waiting
    h.command("queue", "hold", "ALL")
    wait_for(lambda: all(r["state"] == "hold" for r in rows(h)))
    with SmtpSink(free_ports(1)[0]) as sink:
        h.command("queue", "release", "--domain", "a.example")
        wait_for(lambda: len(names(h, "--state", "hold")) == 91)
        h.command("queue", "reroute", "--to", f"smtp:[127.0.0.1]:{sink.port}", "--domain", "d.example")
        h.command("queue", "release", "ALL")
        wait_for(lambda: len(sink.got()) >= 90)         # the letter goes there, but for those that wait again
        h.command("queue", "retry")
        wait_for(lambda: len(sink.got()) >= 120)
        assert set(sink.got().values()) == {1} and all(a in sink.got() for a in (f"{c}{i}@{c}.example" for c in "abcd" for i in range(30)))


def test_a_destination_that_is_back_gets_all_of_them(waiting):
    """queue retry; and what waits for it when one got through is due at once."""
    h = waiting
    with SmtpSink(h.far) as sink:
        h.command("queue", "retry")
        wait_for(lambda: empty(h), 60)
        got = sink.got()
        assert len(got) == 122 and set(got.values()) == {1}


def test_a_domain_is_tried_again(waiting):
    h = waiting
    with SmtpSink(h.far) as sink:
        h.command("queue", "retry", "--domain", "c.example")
        wait_for(lambda: {n for n in sink.got() if n.endswith("@c.example")} == {f"c{i}@c.example" for i in range(30)})
        assert set(sink.got().values()) == {1}


@pytest.mark.parametrize("order", ["hold", "delete"])
def test_an_order_means_those_that_come_into_memory_while_it_is_obeyed(order):
    """Of very many the rows are read in pages, and room that becomes free meanwhile is taken by others of the letter: behind more
    than five thousand that wait for another time, so behind the first page."""
    dead, taken = free_ports(1)[0], []
    with Sink(lambda verb, *_: taken.append(1) if verb == "DATA" else None) as sink, \
         house(transport_maps=f"inline:{{{{far.example=smtp:[127.0.0.1]:{sink.port}}}, {{dead.example=smtp:[127.0.0.1]:{dead}}}}}",
               default_destination_recipient_limit="1", initial_destination_concurrency="2", default_destination_concurrency_limit="2",
               smtpd_recipient_limit="20000", minimal_backoff_time="1h", maximal_backoff_time="1h",
               **(SMALL | {"qmgr_message_recipient_limit": "500"})) as h:
        send(h, [f"m{i}@dead.example" for i in range(5500)] + [f"m{i}@far.example" for i in range(3500)])
        wait_for(lambda: len(taken) > 100, 60)
        h.command("queue", order, "ALL")
        before = len(taken)
        wait_for(lambda: all(r["state"] == "hold" for r in rows(h)), 60)
        # Whom a host was at is nobody's to hold any more.
        assert 100 < before < 3400 and len(taken) - before <= 2
