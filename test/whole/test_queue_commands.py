# SPDX-License-Identifier: ISC
"""The queue on the command line: filters, what is done to letters, and the names of Postfix beside Postfix itself."""

import email.utils
import json
import os
import re
import shutil
import signal
import smtplib
import subprocess
import threading

import pytest

import test_beside_postfix
from elsewhere import Program
from house import BINARY, House, free_ports, wait_for
from test_sending import Sink

BODY = "Subject: {}\r\n\r\n{}\r\n"
LETTERS = [
    ("ann@one.example", ["b@there.example", "c@other.example"], BODY.format("x", "short")),
    ("", ["b2@there.example"], BODY.format("notice", "y" * 60)),
    ("carl@two.example", ["d@sub.there.example"], BODY.format("large", ("z" * 70 + "\r\n") * 300)),
]


def fill(port):
    for sender, to, text in LETTERS:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as s:
            s.ehlo("test.example")
            s.sendmail(sender, to, text)


@pytest.fixture()
def house():
    port = free_ports(1)[0]                # nobody listens there
    with House(mydestination="here.example", mynetworks="127.0.0.0/8", relayhost=f"[127.0.0.1]:{port}") as house:
        wait_for(house.smtp)
        fill(house.ports["smtp"])
        wait_for(lambda: len(rows(house)) == 4 and all(r["reason"] for r in rows(house)))
        yield house


def rows(house, *words):
    return json.loads(house.command("queue", "list", "--json", *words).stdout)


def who(house, *words):
    return {r["address"].partition("@")[0] for r in rows(house, *words)}


@pytest.mark.parametrize("why, words, found", [
    ("all", [], {"b", "c", "b2", "d"}),
    ("a domain", ["--domain", "there.example"], {"b", "b2"}),
    ("all below it", ["--domain", ".there.example"], {"d"}),
    ("case means nothing", ["--domain", "THERE.example"], {"b", "b2"}),
    ("a sender by a mask", ["--sender", "*@one.example"], {"b", "c"}),
    ("notices", ["--sender", "<>"], {"b2"}),
    ("a recipient by a mask", ["--recipient", "b*@*"], {"b", "b2"}),
    ("large ones", ["--size", "10k"], {"d"}),
    ("small ones", ["--size", "-10k"], {"b", "c", "b2"}),
    ("old ones", ["--age", "1d"], set()),
    ("young ones", ["--age", "-1d"], {"b", "c", "b2", "d"}),
    ("by their state", ["--state", "hold"], set()),
    ("by more states", ["--state", "hold,deferred"], {"b", "c", "b2", "d"}),
    ("by a state that is named twice", ["--state", "deferred,deferred", "--state", "incoming,new"], {"b", "c", "b2", "d"}),
    ("by the reason", ["--reason", "connection REFUSED"], {"b", "c", "b2", "d"}),
    ("by the reason as a mask", ["--reason", "*connection refused"], {"b", "c", "b2", "d"}),
    ("a mask is of all of it", ["--reason", "connection*"], set()),
    ("by another", ["--reason", "full"], set()),
    ("all filters fit", ["--domain", "there.example", "--sender", "ann@*"], {"b"}),
])
def test_filters(shared, why, words, found):
    assert who(shared, *words) == found


@pytest.fixture(scope="module")
def shared():
    port = free_ports(1)[0]
    with House(mydestination="here.example", mynetworks="127.0.0.0/8", relayhost=f"[127.0.0.1]:{port}") as house:
        wait_for(house.smtp)
        fill(house.ports["smtp"])
        wait_for(lambda: len(rows(house)) == 4 and all(r["reason"] for r in rows(house)))
        yield house


@pytest.mark.parametrize("words", [["list", "--age", "soon"], ["list", "--size"], ["list", "--state", "asleep"], ["hold"], ["burn"],
                                   ["delete", "--dry-run"], ["reroute", "--to", "carrier-pigeon:x", "ALL"], ["reroute", "ALL"], ["show"],
                                   ["delete", "ALL", "--nonsense"], ["delete", "ALL", "--age", "soon"], ["delete", "ALL", "--domain"]])
def test_wrong_words(shared, words):
    done = shared.command("queue", *words, check=False)
    assert done.returncode == 2 and done.stderr and who(shared) == {"b", "c", "b2", "d"}


@pytest.mark.parametrize("words", [["--age", "soon"], ["--state", "asleep"], ["--nonsense"]])
def test_a_wrong_question_has_no_answer_for_programs(shared, words):
    """An empty list would say that there is nothing."""
    done = shared.command("queue", "list", "--json", *words, check=False)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr
    assert json.loads(shared.command("queue", "list", "--json", "--domain", "nobody.example").stdout) == []


def test_dry_run_does_nothing(shared):
    said = shared.command("queue", "delete", "--domain", "there.example", "--dry-run").stdout
    assert "2 recipients of 2 letters would be deleted" in said and len(rows(shared)) == 4


@pytest.mark.parametrize("words, says", [
    (["delete", "ID", "--dry-run"], "2 recipients of 1 letter would be deleted"),
    (["bounce", "ALL", "--dry-run"], "4 recipients of 3 letters would be returned"),
    (["hold", "ID", "--recipient", "c@other.example", "--dry-run"], "1 recipient of 1 letter would be held"),
    (["delete", "ID", "--domain=nobody.example"], "0 recipients of 0 letters deleted"),
    (["delete", "ALL", "--sender=nobody@*"], "0 recipients of 0 letters deleted"),
])
def test_words_mean_the_same_behind_an_id(shared, words, says):
    """Who thinks of --dry-run last has nothing deleted, either."""
    ident = rows(shared, "--recipient", "c@other.example")[0]["id"]
    said = shared.command("queue", *[ident if w == "ID" else w for w in words], check=False)
    assert said.stdout.splitlines()[-1] == says, said
    assert {(r["address"].partition("@")[0], r["state"]) for r in rows(shared)} == {(n, "deferred") for n in ("b", "c", "b2", "d")}


def test_orders_answer_programs_too(shared):
    ids = sorted({r["id"] for r in rows(shared, "--domain", "there.example")})
    said = json.loads(shared.command("queue", "delete", "--json", "--domain", "there.example", "--dry-run").stdout)
    assert (said["order"], said["dry_run"], said["letters"], said["recipients"], sorted(said["ids"])) == ("delete", True, 2, 2, ids)
    assert len(rows(shared)) == 4
    held = json.loads(shared.command("queue", "hold", "--recipient", "d@*", "--json").stdout)
    assert (held["order"], held["dry_run"], held["letters"], held["recipients"], len(held["ids"])) == ("hold", False, 1, 1, 1)
    assert json.loads(shared.command("queue", "release", "--json", *held["ids"]).stdout)["ids"] == held["ids"]
    wait_for(lambda: all(r["state"] == "deferred" for r in rows(shared)))
    wrong = shared.command("queue", "hold", "--json", "--age", "soon", check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_recipients_in_the_order_they_were_named():
    """To people, who are told a reason once, to programs, and in what comes back."""
    to = [f"{c}@there.example" for c in "qazwsxedc"]
    with House(mynetworks="127.0.0.0/8", relayhost=f"[127.0.0.1]:{free_ports(1)[0]}") as house:
        with house.smtp() as s:
            s.sendmail("ann@one.example", to, BODY.format("x", "short"))
        wait_for(lambda: len(rows(house)) == len(to) and all(r["reason"] for r in rows(house)))
        listed = house.command("queue", "list").stdout
        assert re.findall(r"(?m)^ +(\S+@there\.example)  \[deferred\]$", listed) == [r["address"] for r in rows(house)] == to
        assert listed.count("Connection refused") == 1
        house.command("queue", "bounce", "ALL")
        notice = house.command("queue", "show", wait_for(lambda: [r for r in rows(house) if r["sender"] == ""])[0]["id"], "--content").stdout
        assert re.findall(r"(?m)^Final-Recipient: rfc822; (\S+)$", notice) == to


def test_one_letter_whole_for_programs():
    """Who brought it and how it was spoken with the host that put it off: what queue show says to people."""
    with House(smtpd_relay_restrictions="defer", smtpd_tls_security_level="may") as there, \
         House(mynetworks="127.0.0.0/8", relayhost=f"[127.0.0.1]:{there.ports['smtp']}", smtp_tls_security_level="encrypt") as house:
        with house.smtp() as s:
            s.ehlo("test.example")
            s.sendmail("ann@one.example", ["b@there.example", "c@there.example"], BODY.format("x", "short"), ["ENVID=plan+2B9"])
        wait_for(lambda: len(rows(house)) == 2 and all(r["reason"] for r in rows(house)))
        letter = rows(house)[0]["id"]
        house.command("queue", "hold", "--recipient", "c@*", "ALL")
        shown = json.loads(house.command("queue", "show", "--json", letter).stdout)
        assert [(r["address"], r["state"]) for r in shown] == [("b@there.example", "deferred"), ("c@there.example", "hold")]
        for r in shown:
            assert (r["client"], r["helo"], r["protocol"]) == ("localhost[127.0.0.1]", "test.example", "ESMTP")
            assert (r["user"], r["envelope_id"], r["held"], r["goes_by"]) == ("", "plan+2B9", "", "")
            assert r["tls"].startswith("encrypt Untrusted TLSv1.3 with cipher ")
        assert set(rows(house)[0]) < set(shown[0])
        # To people times are dates; who is held has no time.
        said = house.command("queue", "show", letter).stdout
        dates = [(name, int(email.utils.parsedate_to_datetime(date).timestamp())) for name, date in re.findall(r"(?m)^(arrived|due): (.+)$", said)]
        assert dates == [(name, int(r[name])) for r in shown for name in ("arrived", "due") if r[name] != "0"] and len(dates) == 3
        house.command("queue", "bounce", letter)
        assert re.search(r"relay=none, delay=\S+, delays=[\d.e-]+/[\d.e-]+/0/0, dsn=5\.7\.0, status=bounced \(an administrator has returned it", house.text())


def test_summary(shared):
    said = json.loads(shared.command("queue", "summary", "--json").stdout)
    assert {d["domain"]: int(d["deferred"]) for d in said} == {"there.example": 2, "other.example": 1, "sub.there.example": 1}


def test_a_recipient_is_held_and_the_other_is_not(house):
    house.command("queue", "hold", "--recipient", "c@other.example")
    assert {r["address"]: r["state"] for r in rows(house, "--sender", "ann*")} == {"b@there.example": "deferred", "c@other.example": "hold"}
    house.command("queue", "release", "ALL")
    assert who(house, "--state", "hold") == set()


def test_an_order_that_was_answered_outlives_a_crash(house):
    """What is held stays held and what was deleted does not come back, though everything dies the moment it is said."""
    gone, = {r["id"] for r in rows(house, "--sender", "carl@two.example")}
    assert house.command("queue", "hold", "--recipient", "b@there.example").returncode == 0
    assert house.command("queue", "delete", gone).returncode == 0
    os.killpg(house.process.pid, signal.SIGKILL)
    house.process.wait()
    house.start()
    wait_for(lambda: len(rows(house)) == 3)
    assert who(house, "--state", "hold") == {"b"} and who(house) == {"b", "c", "b2"}


def test_a_letter_led_another_way(house):
    ident = rows(house, "--recipient", "d@*")[0]["id"]
    house.command("queue", "reroute", "--to", "discard:elsewhere", ident)
    wait_for(lambda: f"{ident}: to=<d@sub.there.example>" in house.text() and "status=sent (elsewhere)" in house.text())
    assert who(house) == {"b", "c", "b2"}


def test_a_letter_returned_tells_its_sender(house):
    house.command("queue", "bounce", "--sender", "carl@*")
    wait_for(lambda: "status=bounced (an administrator has returned it: connect to" in house.text())
    notice = wait_for(lambda: [r for r in rows(house, "--recipient", "carl@*")])[0]
    text = house.command("queue", "show", notice["id"], "--content").stdout
    assert "Action: failed" in text and "Status: 5.7.0" in text
    assert "The message did not go on" in text and "The other" not in text         # nobody else has refused it
    house.command("queue", "bounce", "--sender", "<>")
    wait_for(lambda: who(house) == {"b", "c"})        # nothing is said to nobody


def test_a_notice_does_not_blame_the_other_host_for_what_is_ours():
    """One host has no STARTTLS, and one transport is not there; the host that refuses in its own words is named for it."""
    def refuses(verb, argument, session):
        return "554 5.7.0 not from you" if verb == "RCPT" else None
    with Sink() as plain, Sink(refuses) as strict, Sink() as back:
        ways = {"clear": f"smtp:[127.0.0.1]:{plain.port}", "none": "nothing:", "strict": f"smtp:[127.0.0.1]:{strict.port}", "one": f"smtp:[127.0.0.1]:{back.port}"}
        with House(mydestination="here.example", mynetworks="127.0.0.0/8", dns_resolver="none", maximal_queue_lifetime="0",
                   transport_maps=f"inline:{{{', '.join(f'{name}.example={way}' for name, way in ways.items())}}}",
                   smtp_tls_policy_maps=f"inline:{{{{[127.0.0.1]:{plain.port}=encrypt}}}}") as house:
            for name in ["clear", "none", "strict"]:
                with house.smtp() as s:
                    s.sendmail(f"{name}@one.example", [f"b@{name}.example"], BODY.format("x", "short"))
            wait_for(lambda: len(back.got()) == 3)
        told = {to[0].partition("@")[0]: " ".join(text.decode().split()) for _, to, text in back.letters}
    assert "TLS is required, but was not offered" in told["clear"] and "No connection that is secure enough was to be had" in told["clear"]
    assert "mail transport unavailable" in told["none"] and "A setting of the server" in told["none"]
    assert "554 5.7.0 not from you" in told["strict"] and "The other side did not take the message for reasons of security" in told["strict"]
    assert "The other" not in told["clear"] + told["none"]


class Gate(dict):
    """A table whose answers wait while it is shut."""

    def __init__(self, value):
        super().__init__()
        self.value, self.open, self.waited = value, threading.Event(), threading.Event()

    def get(self, key, *_):
        if not self.open.is_set():
            self.waited.set()
        self.open.wait(60)
        return self.value if key == b"slow.example" else None


@pytest.mark.parametrize("order", [("hold",), ("delete",), ("bounce",), ("reroute", "--to", "discard:away")], ids=lambda o: o[0])
def test_an_order_means_who_waits_to_hear_where_to_go(order):
    """transport_maps lies with a server that takes its time: an order that comes meanwhile is obeyed, and what the server says then changes nothing."""
    with Sink() as sink, Sink() as back:
        gate = Gate(b"smtp:[127.0.0.1]:%d" % sink.port)
        program = Program(gate, "socketmap")
        gate.open.set()
        try:
            with House(mynetworks="127.0.0.0/8", dns_resolver="none", relayhost=f"[127.0.0.1]:{back.port}", table_cache_time="0",
                       transport_maps=f"socketmap:inet:127.0.0.1:{program.port}:ways",
                       smtpd_recipient_restrictions="check_recipient_access inline:{held@slow.example=HOLD}, permit_mynetworks, reject") as house:
                with wait_for(house.smtp) as s:
                    s.sendmail("ann@one.example", ["held@slow.example"], BODY.format("x", "short"))
                wait_for(lambda: rows(house, "--state", "hold"))
                gate.open.clear()
                gate.waited.clear()
                house.command("queue", "release", "ALL")
                assert gate.waited.wait(20)
                assert "1 recipient" in house.command("queue", order[0], *order[1:], "ALL").stdout
                gate.open.set()
                with house.smtp() as s:
                    s.sendmail("ann@one.example", ["marker@slow.example"], BODY.format("y", "short"))
                wait_for(lambda: sink.got() == ["marker@slow.example"])
                if order[0] == "hold":
                    assert [r["state"] for r in rows(house)] == ["hold"]
                    house.command("queue", "release", "ALL")
                    wait_for(lambda: sorted(sink.got()) == ["held@slow.example", "marker@slow.example"])
                wait_for(lambda: rows(house) == [])
                assert ("held@slow.example" in sink.got()) == (order[0] == "hold")
                assert back.got() == (["ann@one.example"] if order[0] == "bounce" else [])
                assert ("status=sent (away)" in house.text()) == (order[0] == "reroute")
        finally:
            gate.open.set()
            program.close()


needs_postfix = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")


@pytest.fixture()
def beside(house, monkeypatch):
    port = house.settings["relayhost"].rpartition(":")[2]
    monkeypatch.setattr(test_beside_postfix, "SETTINGS", "myhostname = mail.example.com\nmydestination = here.example\nmyorigin = here.example\n"
                        f"local_recipient_maps =\nrelayhost = [127.0.0.1]:{port}\n")
    monkeypatch.setattr(test_beside_postfix, "MASTER", test_beside_postfix.MASTER + "smtp unix - - n - - smtp\nshowq unix n - n - - showq\n"
                        "flush unix n - n 1000? 0 flush\npickup unix n - n 60 1 pickup\n")
    made = test_beside_postfix.Postfix("/nowhere", default_transport="smtp", mynetworks="127.0.0.1", smtpd_relay_restrictions="permit_mynetworks,reject")

    def talks():
        try:
            smtplib.SMTP("127.0.0.1", made.port, timeout=20).close()
            return True
        except (OSError, smtplib.SMTPException):
            return False

    def all_deferred():
        """What Postfix shows is what is compared, so it is what is waited for."""
        said = [json.loads(line) for line in theirs(made, "postqueue", "-j").stdout.splitlines()]
        return sum(bool(r.get("delay_reason")) for o in said if o["queue_name"] == "deferred" for r in o["recipients"]) == 4
    try:
        wait_for(talks, 120)
        fill(made.port)
        wait_for(all_deferred, 120)
    except BaseException:
        log = made.log()
        made.close()
        print(log)
        raise
    yield made, house
    made.close()


def theirs(postfix, *words, **more):
    return subprocess.run([words[0], "-c", f"{postfix.home}/etc", *words[1:]], capture_output=True, text=True, timeout=60, **more)


def plain(text):
    """Without ids, sizes and dates; letters, and the recipients of each, in order."""
    text = re.sub(r"(?m)^[0-9A-F]{9,12}([*!]?) +\d+ \w{3} \w{3} [ \d]\d [\d:]{8} ", r"ID\1 ", text)
    return sorted(sorted(p.strip("\n").split("\n")) for p in re.sub(r"-- \d+ Kbytes", "-- N Kbytes", text).split("\n\n"))


@needs_postfix
def test_the_names_of_postfix_beside_postfix(beside):
    postfix, house = beside

    def listed(text):                        # the head stands over whichever letter is first
        head, _, rest = text.partition("\n")
        return head, plain(rest)
    their, our = theirs(postfix, "postqueue", "-p"), house.command("postqueue", "-p")
    assert listed(our.stdout) == listed(their.stdout)
    assert listed(house.command("mailq").stdout) == listed(their.stdout)

    def objects(text):
        found = [json.loads(line) for line in text.splitlines()]
        return sorted((o["queue_name"], o["sender"], sorted((r["address"], r["delay_reason"]) for r in o["recipients"]), sorted(o)) for o in found)
    assert objects(house.command("postqueue", "-j").stdout) == objects(theirs(postfix, "postqueue", "-j").stdout)

    def ident(text, sender):
        return next(o["queue_id"] for o in map(json.loads, text.splitlines()) if o["sender"] == sender)

    def both(words, sender="ann@one.example", given=None):
        a = ident(theirs(postfix, "postqueue", "-j").stdout, sender)
        b = ident(house.command("postqueue", "-j").stdout, sender)
        one = theirs(postfix, *[w.replace("ID", a) for w in words], input=given and given.replace("ID", a))
        two = house.command(*[w.replace("ID", b) for w in words], check=False, input=given and given.replace("ID", b))
        return [(d.returncode, d.stderr.replace(i, "ID"), d.stdout.replace(i, "ID")) for d, i in ((one, a), (two, b))]
    for words, given in [(["postsuper", "-h", "ID"], None), (["postsuper", "-H", "ID"], None), (["postsuper", "-h", "ALL"], None),
                         (["postsuper", "-H", "ALL", "hold"], None), (["postsuper", "-d", "-"], "ID\n"),
                         (["postsuper", "-d", "ABCDEF0123"], None), (["postsuper", "-H", "ID"], None), (["postsuper", "-h", "ID"], None),
                         (["postsuper", "-h", "ID"], None), (["postsuper", "-H", "ID", "hold"], None), (["postsuper", "-d", "x/y"], None),
                         (["postsuper", "-d", "ALL", "nosuch"], None), (["postsuper", "-h", "ID", "incoming"], None),
                         (["postcat", "-q", "ABCDEF0123"], None)]:
        one, two = both(words, given=given, sender="carl@two.example" if given else "ann@one.example")
        assert one == two, words
    one, two = both(["postcat", "-qb", "ID"])
    assert one == two and one[2] == "\nshort\n"
    one, two = both(["postcat", "-qh", "ID"])
    assert "Subject: x" in one[2] and "Subject: x" in two[2] and "Received: " in one[2] and "Received: " in two[2]
    for words in [["postqueue", "-f"], ["postqueue", "-i", "ID"], ["postqueue", "-i", "ABCDEF0123"], ["postqueue", "-i", "not/id"],
                  ["postqueue", "-s", "not a site"]]:
        one, two = both(words)
        assert one == two, words
    one, two = both(["postqueue", "-z"])
    assert one[0] == two[0]
    for words in [["postsuper", "-d", "ALL"]]:
        one, two = both(words)
        assert one == two, words
    assert theirs(postfix, "postqueue", "-p").stdout == house.command("mailq").stdout == "Mail queue is empty\n"


@needs_postfix
def test_letters_are_shown_and_expired_as_postfix_does(beside):
    postfix, house = beside
    ids = [next(o["queue_id"] for o in map(json.loads, text.splitlines()) if o["sender"] == "ann@one.example")
           for text in (theirs(postfix, "postqueue", "-j").stdout, house.command("postqueue", "-j").stdout)]

    def both(*words):
        done = (theirs(postfix, *[w.replace("ID", ids[0]) for w in words]), house.command(*[w.replace("ID", ids[1]) for w in words], check=False))
        return [(d.returncode, d.stderr.replace(i, "ID"), d.stdout.replace(i, "ID")) for d, i in zip(done, ids, strict=True)]
    for words in [["postcat", "-q", "../x"], ["postcat", "-q", ""], ["postcat", "/no/file"], ["postsuper", "-e", "ABCDEF0123"], ["postsuper", "-f", "ABCDEF0123"]]:
        one, two = both(*words)
        assert one == two, words
    for option, others in [("-qe", 0), ("-qeh", 5), ("-q", 7)]:
        texts = [re.sub(r"(?m)( (?:deferred/./)?ID|^(message_size:).*|unknown|localhost|\d\d:\d\d:\d\d)", r"\2*", said[2]) for said in both("postcat", option, "ID")]
        their, our = (t.splitlines() for t in texts)
        # What it says of the letter, it says in Postfix's words and order; Postfix says more, and writes fields of its own into the header.
        about = [line for line in our if re.match(r"\*\*\* |(named_attribute|message_size|message_arrival_time|sender|original_recipient|recipient):[ *]", line)]
        assert [line for line in their if line in about] == sorted(about, key=their.index) and len(about) >= 15
        assert about[:3] == their[:3] and about[-3:] == [line for line in their if line.startswith("*** ")][-3:]
    for words in [["mailq", "extra"], ["sendmail", "-bp", "extra"], ["sendmail", "-q", "extra"], ["sendmail", "-bi", "extra"], ["newaliases", "extra"], ["newaliases", "--nonsense"]]:
        for program, config in ((None, f"{postfix.home}/etc"), (BINARY, house.config)):
            done = subprocess.run(words, executable=program, env={**os.environ, "MAIL_CONFIG": str(config)}, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
            assert done.returncode != 0 and done.stdout == "" and done.stderr.startswith(f"{words[0]}: "), (words, done)
    for words in [["postsuper", "-h", "ID"], ["postsuper", "-f", "ID"], ["postsuper", "-e", "ALL", "active"], ["postsuper", "-f", "ALL", "active"]]:
        one, two = both(*words)
        assert one == two, words
    wait_for(lambda: "ann@one.example" not in {o["sender"] for o in map(json.loads, house.command("postqueue", "-j").stdout.splitlines())})
    assert "returned by an administrator" in house.command("trace", ids[1]).stdout
    # What is held does not expire by -e, and is not returned: Postfix marks it, for when it is let go.
    house.command("queue", "hold", "--sender", "carl@two.example")
    for words in (["-e", "ALL", "hold"], ["-e", "ALL"]):
        assert theirs(postfix, "postsuper", *words).returncode == house.command("postsuper", *words).returncode == 0
    assert [r["state"] for r in rows(house, "--sender", "carl@two.example")] == ["hold"]
    assert house.command("postsuper", "-f", "ALL").stderr.endswith("postsuper: Released from hold: 1 message\n")


def test_without_a_server_nothing_is_said_to_be_done(house):
    """Neither deleted nor not there: nobody could be asked."""
    ident = rows(house)[0]["id"]
    house.stop()
    for words in (["postsuper", "-d", ident], ["postsuper", "-d", "ALL"], ["postqueue", "-i", ident], ["postqueue", "-p"], ["postcat", "-q", ident], ["mailq"]):
        done = house.command(*words, check=False)
        assert done.returncode != 0 and "no server is running" in done.stderr and "Deleted" not in done.stderr, (words, done)
