# SPDX-License-Identifier: ISC
"""mansio trace: what happened to letters, and the role that keeps it."""

import base64
import itertools
import json
import os
import pathlib
import re
import signal
import smtplib
import ssl
import stat
import struct
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import House, free_ports, wait_for
from test_house import Deaths, say, word_number
from test_sending import Sink, empty

AS_ROOT = os.geteuid() == 0
LETTER = "From: a@here.example\r\nTo: b@there.example\r\nMessage-ID: <{}@here.example>\r\nSubject: x\r\n\r\nbody\r\n"


def house(**settings):
    return House(**{"mynetworks": "127.0.0.0/8", "mydomain": "here.example", "smtpd_peername_lookup": "no", **settings})


def local(h, *names):
    h.command("domain", "add", "here.example")
    for name in names or ("jill",):
        h.command("account", "add", f"{name}@here.example", input="secret-of-theirs\n")


def trace(h, *words):
    return h.command("trace", *words, check=False).stdout


def traced(h, question, *words):
    """What is told, once it is told to the end of these words."""
    return wait_for(lambda: (t := trace(h, question)) and all(w in t for w in words) and t)


def lives(h, question):
    return [json.loads(line) for line in trace(h, "--json", question).splitlines()]


def send(h, to, name="one", sender="a@here.example", **more):
    with h.smtp() as s:
        return s.sendmail(sender, to, LETTER.format(name), **more)


def test_the_life_of_a_letter_from_connection_to_mailbox():
    """issue 6: connection, rules, queue, every attempt with host, TLS and reply, delivery, mailbox."""
    with house() as h:
        local(h)
        with h.smtp("submission") as s:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            s.starttls(context=context)
            s.login("jill@here.example", "secret-of-theirs")
            refused = s.sendmail("jill@here.example", ["jill@here.example", "nobody@here.example"], LETTER.format("full"))
        assert list(refused) == ["nobody@here.example"]
        told = traced(h, "full@here.example", "done: the queue")
        refusal = re.search(r"\((P\w{10})\)", refused["nobody@here.example"][1].decode())[1]
        for words in ["accepted from ", "[127.0.0.1]", "logged in as jill@here.example by PLAIN", "TLSv1.3 with cipher", "ESMTPSA at submission",
                      "message-id <full@here.example>", "queued, ", "from <jill@here.example> to <jill@here.example>",
                      "<jill@here.example>: sent", "delivered to mailbox INBOX", f"id {refusal}", "refused at RCPT: 550 5.1.1"]:
            assert words in told, (words, told)
        letter = told.split()[0]
        lines = told.splitlines()
        assert [re.search(r"(refused|accepted|queued|sent|done)", line)[1] for line in lines[1:]] == ["refused", "accepted", "queued", "sent", "done"]
        # the same by each of its names
        for name in [letter, letter.lower(), "<full@here.example>", refusal, refusal.lower(), "jill@here.example"]:
            assert trace(h, name) == told, name
        events = lives(h, letter)[0]
        assert events["letter"] == letter and [e["event"] for e in events["events"]] == ["refused", "accepted", "queued", "attempt", "removed"]
        assert events["events"][2]["recipient"] == ["jill@here.example"]
        log = h.text()
        assert f"{letter}: " in log and f"id={refusal}" in log


def test_hosts_that_were_tried_and_the_notice_that_was_made():
    dead = free_ports(1)[0]

    def reply(verb, argument, session):
        return "550 5.1.1 who is that?" if verb == "RCPT" and "bad@" in argument else None
    with Sink(reply) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", smtp_fallback_relay="") as h:
        local(h, "jill")
        send(h, ["bad@there.example", "good@there.example"], "sent", "jill@here.example")
        told = traced(h, "sent@here.example", "<good@there.example>: sent by 127.0.0.1[127.0.0.1]", "notice made: sender non-delivery", "<jill@here.example>: sent")
        assert f"<bad@there.example>: bounced by 127.0.0.1[127.0.0.1]:{sink.port}, no TLS: 5.1.1 host 127.0.0.1[127.0.0.1] said: 550 5.1.1 who is that?" in told
        notice = re.search(r"notice made: sender non-delivery, letter (\w+) to <jill@here.example>", told)[1]
        # its life follows, further in
        assert re.search(rf"(?m)^    {notice}$", told) and "made as a notice (sender non-delivery) of letter " + told.split()[0] in told
        assert trace(h, notice).startswith(notice)
    with house(relayhost=f"[127.0.0.1]:{dead}", minimal_backoff_time="1h") as h:
        send(h, ["late@there.example"], "late")
        told = traced(h, "late@there.example", "deferred")
        assert f"tried 127.0.0.1[127.0.0.1]:{dead}" in told and "Connection refused" in told
        letter = told.split()[0]
        assert "in the queue" not in told and "done" not in told
        h.command("queue", "hold", letter)
        h.command("queue", "release", letter)
        h.command("queue", "delete", letter)
        told = traced(h, letter, "deleted by an administrator", "done")
        assert told.index("held by an administrator") < told.index("released by") < told.index("deleted by")


def test_an_address_is_found_with_what_stands_behind_the_plus():
    """What came to jill+news@ came to jill@, whether addresses are kept whole or not; what came to another was not hers."""
    with house(recipient_delimiter="+-") as h:
        local(h, "jill", "jillian")
        send(h, ["jill+news@here.example"], "plus")
        send(h, ["Jill-Other@here.example"], "minus")
        send(h, ["jillian@here.example"], "another")
        traced(h, "another@here.example", "done: the queue")
        lines = traced(h, "jill@here.example", "jill+news@here.example", "Jill-Other@here.example")
        assert "jillian" not in lines and lines.count("sent") == 2
        assert len(lives(h, "jill+news@here.example")) == 1
        h.command("postconf", "-e", "event_addresses = pseudonym")
        h.command("reload")
        send(h, ["jill+later@here.example"], "hidden")
        wait_for(lambda: len(lives(h, "jill@here.example")) == 3)


def test_a_notice_nobody_takes_is_told_as_the_postmasters():
    """As Postfix has it in its log: what comes of a notice is no notice to a sender, for there is none."""
    def reply(verb, argument, session):
        return "550 5.1.1 who is that?" if verb == "RCPT" and "chief@" not in argument else None
    with Sink(reply) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", notify_classes="2bounce", **{"2bounce_notice_recipient": "chief@far.example"}) as h:
        send(h, ["bad@there.example"], "second", "ann@one.example")
        told = traced(h, "second@here.example", "<chief@far.example>: sent")
        assert told.index("notice made: sender non-delivery, letter") < told.index("notice made: postmaster non-delivery, letter")
        assert re.search(r"notice made: postmaster non-delivery, letter \w+ to <chief@far.example>", told)


@pytest.mark.parametrize("why, settings", [
    ("a restriction", {"smtpd_sender_restrictions": "check_sender_access inline:{a@here.example=DISCARD}"}),
    ("a check", {"header_checks": "pcre:{{/^Subject: x/ DISCARD not wanted}}"}),
])
def test_a_letter_that_is_thrown_away_is_told_so(why, settings):
    """By the id its client heard, by message-id (where somebody has read it), and by whom it was for."""
    with house(**settings) as h:
        local(h, "jill", "joan")
        with h.smtp() as s:
            s.ehlo("there.example")
            s.mail("a@here.example")
            for to in ("jill", "joan"):
                assert s.rcpt(f"{to}@here.example")[0] == 250
            code, said = s.data(LETTER.format("gone"))
        letter = re.fullmatch(rb"2\.0\.0 Ok: queued as (\w+)", said)[1].decode()
        assert code == 250
        told = traced(h, letter, "accepted from ", "discarded: thrown away, not for <jill@here.example>, <joan@here.example>")
        assert "queued," not in told and "sent" not in told
        for question in ("jill@here.example", "joan@here.example", *(["gone@here.example"] if why == "a check" else [])):
            asked = trace(h, question)
            assert letter in asked and "discarded" in asked
        last = lives(h, letter)[0]["events"][-1]
        assert (last["event"], last["recipient"]) == ("discarded", ["jill@here.example", "joan@here.example"])
        assert "deferred" not in h.command("queue", "list").stdout


def test_TLS_of_a_relay_is_told():
    with house() as far:
        local(far)
        with house(relayhost=f"[127.0.0.1]:{far.ports['smtp']}", smtp_tls_security_level="encrypt") as h:
            send(h, ["jill@here.example"], "secure")
            told = traced(h, "secure@here.example", "done")
            assert re.search(r"sent by 127\.0\.0\.1\[127\.0\.0\.1\]:\d+, (\w+ )*TLSv1\.3 with cipher \S+ .*: 2\.0\.0 250 2\.0\.0 Ok: queued as \w+", told), told
            # and from there on, with its own id
            assert "delivered to mailbox" in traced(far, "secure@here.example", "done")


def test_a_long_list_is_what_each_of_its_lines_would_be():
    """More than 200 lines are gathered together."""
    with house() as h:
        local(h, "jill")
        with h.smtp() as s:
            for i in range(240):
                s.sendmail("a@here.example", ["jill@here.example"], LETTER.format(f"n{i}"))
                if i % 20 == 0:
                    with pytest.raises(smtplib.SMTPRecipientsRefused):
                        s.sendmail("a@here.example", ["nobody@here.example"], LETTER.format("no"))
        wait_for(lambda: h.count(": removed") == 240)
        wait_for(lambda: trace(h, "--all", "jill@here.example").count("  sent\n") == 240)
        listed = trace(h, "--all", "a@here.example").splitlines()
        assert [line[:23] for line in listed] == sorted((line[:23] for line in listed), reverse=True)
        assert len(listed) == 252 and sum("refused: 550 5.1.1" in line for line in listed) == 12
        assert listed[:20] == trace(h, "a@here.example").splitlines()[:20]
        assert len({line.split()[2] for line in listed}) == 252


def test_an_address_with_many_letters_gets_a_list():
    with house() as h:
        local(h, "jill", "jack")
        with h.smtp() as s:
            for i in range(25):
                s.sendmail("a@here.example", ["jill@here.example"], LETTER.format(f"n{i}"))
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                s.sendmail("a@here.example", ["nobody@here.example"], LETTER.format("no"))
        wait_for(lambda: h.count(": removed") == 25)
        listed = traced(h, "jill@here.example", "sent").splitlines()
        assert len(listed) == 21 and listed[-1].startswith("... and older ones")
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  \w+  <a@here.example> -> <jill@here.example>  sent", line) for line in listed[:-1])
        times = [line[:23] for line in listed[:-1]]
        assert times == sorted(times, reverse=True)
        assert len(trace(h, "--all", "jill@here.example").splitlines()) == 25
        assert len(lives(h, "jill@here.example")) == 20
        # The last of the letters may be delivered after that.
        refused, = (line for line in traced(h, "a@here.example", "refused").splitlines() if "refused" in line)
        assert re.search(r"  P\w{10}  <a@here.example> -> <nobody@here.example>  refused: 550 5.1.1", refused)
        assert trace(h, "--until", "2h", "jill@here.example") == ""
        assert len(trace(h, "--since", "2h", "--all", "jill@here.example").splitlines()) == 25
        assert len(trace(h, "--since", "2020-01-01 10:00", "--all", "jill@here.example").splitlines()) == 25
        done = h.command("trace", "jack@here.example", check=False)
        assert (done.returncode, done.stdout) == (1, "") and "nothing is known of it" in done.stderr
        assert h.command("trace", "--since", "yesterday", "x@y", check=False).returncode == 2
        assert h.command("trace", check=False).returncode == 2


def test_the_newest_is_first_by_the_time_that_stands_there(tmp_path):
    """Letters that came first are delivered last: the list has them behind those that came after them."""
    checks = tmp_path / "checks"
    tmp_path.chmod(0o755)
    checks.write_text("/^Message-ID: <held/ HOLD\n")
    with house(header_checks=f"pcre:{checks}") as h:
        local(h)
        for name in [f"held{i}" for i in range(30)] + ["one", "two"]:
            send(h, ["jill@here.example"], name)
        wait_for(lambda: h.count(": removed") == 2)
        h.command("queue", "release", "ALL")
        wait_for(lambda: h.count(": removed") == 32)
        ids = {name: letter for letter, name in re.findall(r"([0-9A-F]{10,}): message-id=<(\w+)@", h.text())}
        wait_for(lambda: trace(h, "--all", "jill@here.example").count("  sent\n") == 32)
        told = trace(h, "--all", "jill@here.example").splitlines()
        assert [line.split()[2] for line in told] == [ids[name] for name in ["two", "one"] + [f"held{i}" for i in reversed(range(30))]]
        assert [o["letter"] for o in map(json.loads, trace(h, "--all", "--json", "jill@here.example").splitlines())] == [line.split()[2] for line in told]
        assert [o["letter"] for o in lives(h, "jill@here.example")] == [line.split()[2] for line in told[:20]]
        few = trace(h, "jill@here.example").splitlines()
        assert few[:20] == told[:20] and few[20:] == ["... and older ones: --all, --until"]


def test_a_list_says_of_each_letter_what_became_of_it(tmp_path):
    """Of who asks for an address: on hold is not deferred, and what was deleted, expired or thrown away is told so."""
    checks = tmp_path / "checks"
    tmp_path.chmod(0o755)
    checks.write_text("/^Message-ID: <refused@/ REJECT not wanted\n")
    with house(header_checks=f"pcre:{checks}", relayhost=f"[127.0.0.1]:{free_ports(1)[0]}",
               transport_maps="inline:{ {gone.example = discard: nobody wants it}, {kept.example = hold: wait} }",
               virtual_alias_maps="inline:{ {all@here.example = jill@here.example later@there.example} }",
               maximal_queue_lifetime_maps="inline:{ {short.example = 1s} }", minimal_backoff_time="1s", maximal_backoff_time="1s") as h:
        local(h, "jill", "all")
        with h.smtp() as s:
            def send(name, *to):
                s.sendmail("ann@one.example", list(to), LETTER.format(name))
            for name, *to in [("discarded", "a@gone.example"), ("kept", "a@kept.example"), ("deferred", "later@there.example"), ("held", "later@there.example"),
                              ("deleted", "later@there.example"), ("returned", "later@there.example"), ("released", "a@kept.example"),
                              ("expired", "late@short.example"), ("several", "jill@here.example", "x@there.example", "a@kept.example"),
                              ("alias", "all@here.example")]:
                send(name, *to)
            with pytest.raises(smtplib.SMTPDataError):
                send("refused", "jill@here.example", "x@there.example")
        wait_for(lambda: h.count("status=deferred") >= 7 and h.count("status=expired") == 1 and h.count("status=hold") == 3)
        ids = {name: letter for letter, name in re.findall(r"([0-9A-F]{10,}): message-id=<(\w+)@", h.text())}
        for order in (["hold", ids["held"]], ["delete", ids["deleted"]], ["bounce", ids["returned"]], ["release", ids["released"]],
                      ["hold", "--recipient", "x@there.example", ids["several"]]):
            assert h.command("queue", *order).stdout.startswith("1 recipient of 1 letter")
        wait_for(lambda: h.count(f"{ids['released']}: to=") == 2)

        def listed():
            return {line.split()[2]: re.split(r"(?:>|more)  ", line)[-1] for line in trace(h, "--all", "ann@one.example").splitlines()}
        wanted = {"discarded": "discarded", "kept": "on hold", "deferred": "deferred", "held": "on hold", "deleted": "deleted", "returned": "bounced",
                  "expired": "expired", "released": "deferred", "several": "sent, on hold 2", "alias": "sent, deferred"}
        wait_for(lambda: {name: listed()[ids[name]] for name in wanted} == wanted)
        assert "<a@gone.example>: thrown away: 2.0.0 nobody wants it" in trace(h, ids["discarded"])
        assert " to <jill@here.example>, <x@there.example>, <a@kept.example>\n" in trace(h, ids["several"])
        # One that was read and refused is found by its message-id, and by each of whom it was for.
        told = trace(h, "refused@here.example")
        assert "refused at END-OF-MESSAGE: 550 5.7.1 not wanted" in told and "recipient <jill@here.example>, <x@there.example>; message-id <refused@here.example>" in told
        assert "refused: 550 5.7.1 not wanted" in trace(h, "--all", "jill@here.example")
        event, = (e for e in lives(h, "refused@here.example")[0]["events"] if e["event"] == "refused")
        assert (event["recipient"], event["message_id"]) == (["jill@here.example", "x@there.example"], "<refused@here.example>")


REFUSED = [
    ("a word that is none", ["XYZZY"]),
    ("a word out of its turn", ["RCPT TO:<a@b.example>"]),
    ("a path that is none", ["EHLO c.example", "MAIL FROM:<@@>"]),
    ("a parameter there is not", ["EHLO c.example", "MAIL FROM:<a@b.example> XYZZY=1"]),
    ("a recipient that is no address", ["EHLO c.example", "MAIL FROM:<a@b.example>", "RCPT TO:<@@>"]),
    ("DATA for nobody", ["EHLO c.example", "MAIL FROM:<a@b.example>", "DATA"]),
    ("a second MAIL", ["EHLO c.example", "MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>"]),
    ("HELO without a name", ["HELO"]),
    ("a login that is wrong", ["EHLO c.example", "AUTH PLAIN " + base64.b64encode(b"\0jill@here.example\0wrong").decode()]),
    ("a login that is no base64", ["EHLO c.example", "AUTH PLAIN !!!"]),
    ("a login by what there is not", ["EHLO c.example", "AUTH XYZZY"]),
    ("a command that is switched off", ["EHLO c.example", "VRFY jill"]),
    ("no TLS where there is none to be had", ["EHLO c.example", "STARTTLS now"]),
]


def test_every_5xx_carries_an_id_that_explains():
    """issue 5: every 5xx carries an id that `mansio policy why ID` explains."""
    with house(smtpd_tls_auth_only="no", disable_vrfy_command="yes", smtpd_sasl_auth_enable="yes", auth_failure_delay="50ms") as h:
        local(h)
        for why, commands in REFUSED:
            with h.smtp() as s:
                for command in commands:
                    code, text = s.docmd(command)
            assert 500 <= code < 600, (why, code, text)
            said = text.decode()
            refusal = re.search(r" \((P[A-Z2-9]{10})\)$", said)
            assert refusal, (why, said)
            told = wait_for(lambda: (d := h.command("policy", "why", refusal[1], check=False)).returncode == 0 and d.stdout)
            assert f"{code} {said[:refusal.start()]}" in told, (why, told)
            assert f"{code} {said[:refusal.start()]}" in traced(h, refusal[1], "refused"), why


def test_a_reject_of_a_check_is_logged_once(tmp_path):
    table = tmp_path / "checks"
    table.write_text("/^Subject: bad/ REJECT not this\n")
    with house(header_checks=f"regexp:{table}") as h:
        local(h)
        with h.smtp() as s, pytest.raises(smtplib.SMTPDataError) as no:
            s.sendmail("a@here.example", ["jill@here.example"], "Subject: bad\r\n\r\nx\r\n")
        refusal = re.search(r"550 5\.7\.1 not this \((P\w{10})\)", f"550 {no.value.smtp_error.decode()}")[1]
        lines = [line for line in h.text().splitlines() if "reject:" in line]
        assert len(lines) == 1, lines
        assert re.search(rf"cleanup\[\d+\]: NOQUEUE: reject: header Subject: bad from \S+; from=<a@here.example> to=<jill@here.example> proto=ESMTP helo=<\S+>: "
                         rf"(5\.7\.1 )?not this rule=header_checks id={refusal}$", lines[0]), lines[0]
        assert "not this" in traced(h, refusal, "refused at END-OF-MESSAGE")
        assert "not this" in wait_for(lambda: h.command("policy", "why", refusal, check=False).stdout)


def test_texts_of_other_scripts_and_bytes_that_would_move_the_cursor():
    with house(smtputf8_enable="yes") as h:
        with Sink(lambda v, a, s: "550 5.1.1 ".encode().decode("latin-1") + "邮箱不存在 \x1b[31m".encode().decode("latin-1") if v == "RCPT" else None,
                  offers=("SMTPUTF8", "8BITMIME")) as sink:
            h.write_settings(relayhost=f"[127.0.0.1]:{sink.port}")
            h.command("reload")
            with h.smtp() as s:
                s.ehlo("c.example")
                for line in ["MAIL FROM:<胡@例子.example> SMTPUTF8", "RCPT TO:<吴@对面.example>"]:
                    s.send((line + "\r\n").encode())
                    assert s.getreply()[0] == 250
                assert s.data(b"Message-ID: <u@here.example>\r\n\r\nx\r\n")[0] == 250
            told = traced(h, "吴@对面.example", "bounced")
            assert "<胡@例子.example> to <吴@对面.example>" in told and "\x1b" not in told
            assert "胡@xn--fsqu00a.example" in str(lives(h, "u@here.example"))   # for programs as the DNS has it


@pytest.mark.parametrize("addresses, clients", [("pseudonym", "network"), ("domain", "none")])
def test_addresses_can_be_left_out(addresses, clients):
    with house(event_addresses=addresses, event_clients=clients) as h:
        local(h)
        send(h, ["jill@here.example"], "hidden")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(h, ["secretive@here.example"], "hidden2")
        told = traced(h, "hidden@here.example", "done")
        assert "jill" not in told and "<a@here" not in told and "@here.example" in told and "127.0.0.1" not in told
        assert ("127.0.0.0/24" in told) == (clients == "network")
        # by pseudonym it is found, by domain not
        assert (trace(h, "jill@here.example") != "") == (addresses == "pseudonym")
        kept = b"".join(p.read_bytes() for p in (h.directory / "mail/events").iterdir())
        assert b"jill" not in kept and b"secretive" not in kept and b"127.0.0.1" not in kept


def test_it_can_be_switched_off_and_files_are_nobody_elses():
    with house() as h:
        local(h)
        send(h, ["jill@here.example"], "before")
        traced(h, "before@here.example", "done")
        events = h.directory / "mail/events"
        assert stat.S_IMODE(events.stat().st_mode) == 0o700
        files = list(events.iterdir())
        assert files and all(stat.S_IMODE(f.stat().st_mode) == 0o600 for f in files)
        if AS_ROOT:
            assert {f.stat().st_uid for f in [events, *files]} == {next(p["uid"] for p in h.status() if p["role"] == "chronicle")}
        h.write_settings(event_store="no")
        h.command("reload")
        letters = itertools.count()

        def untold():
            """A role may hear of the reload after the first letter."""
            name, before = f"after{next(letters)}", h.count(": removed")
            send(h, ["jill@here.example"], name)
            wait_for(lambda: h.count(": removed") > before)
            return trace(h, f"{name}@here.example") == ""

        wait_for(untold)
        assert "event_store = no" in h.command("trace", "after0@here.example", check=False).stderr
        assert "done" in trace(h, "before@here.example")


def chronicle_of(h):
    return next(p for p in h.at_work() if p["role"] == "chronicle")


def test_killed_again_and_again_it_knows_what_it_had_written():
    with house() as h:
        local(h)
        for i in range(5):
            send(h, ["jill@here.example"], f"k{i}")
            traced(h, f"k{i}@here.example", "done")
            victim = chronicle_of(h)
            os.kill(victim["pid"], signal.SIGKILL)
            send(h, ["jill@here.example"], f"meanwhile{i}")   # mail goes on
            wait_for(lambda: any(p["role"] == "chronicle" and p["pid"] != victim["pid"] for p in h.at_work()))
        for i in range(5):
            assert "delivered to mailbox" in trace(h, f"k{i}@here.example")
        assert h.stop() == 0
        # a power cut: the end of the file is torn
        book = sorted((h.directory / "mail/events").glob("*.daybook"))[-1]
        with open(book, "r+b") as f:
            f.truncate(book.stat().st_size - 3)
        h.start()
        assert "were torn and are cut off" in h.text()
        assert "delivered to mailbox" in trace(h, "k0@here.example")
        send(h, ["jill@here.example"], "again")
        traced(h, "again@here.example", "done")


@pytest.mark.skipif(not AS_ROOT, reason="mounts a small disk")
def test_on_a_full_disk_mail_goes_on_and_the_gap_is_told():
    with house(queue_minfree="0") as h:
        local(h)
        events = h.directory / "mail/events"
        assert h.stop() == 0
        owner = events.stat()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=64k,mode=0700,uid={owner.st_uid},gid={owner.st_gid}", "none", events], check=True)
        try:
            h.start()
            sent = 0
            with h.smtp() as s:
                while "is not kept for mansio trace" not in h.text():
                    s.sendmail("a@here.example", ["jill@here.example"], LETTER.format(f"f{sent}"))
                    sent += 1
                    assert sent < 5000
                for i in range(10):
                    s.sendmail("a@here.example", ["jill@here.example"], LETTER.format(f"dropped{i}"))
            wait_for(lambda: h.count(": removed") == sent + 10)
            assert "done" in trace(h, "f0@here.example")
            subprocess.run(["mount", "-o", "remount,size=1m", events], check=True)
            send(h, ["jill@here.example"], "room")
            traced(h, "room@here.example", "done")
            assert re.search(r"events: can be written again; [1-9]\d* were lost", h.text())
            assert next(int(p["facts"]["lost"]) for p in h.status() if p["role"] == "chronicle") > 0
            assert h.stop() == 0
        finally:
            if h.process.poll() is None:
                h.stop()
            subprocess.run(["umount", events], check=True)


def text(t):
    return struct.pack("<I", len(t)) + t


def event(kind, letter=0, rest=b"", has=0):
    packed = struct.pack("<BqI", kind, 0x7fffffffffffffff, (1 if letter else 0) | has) + (struct.pack("<Q", letter) if letter else b"") + rest
    return struct.pack("<H", len(packed)) + packed


ROGUE = {
    "no body": b"",
    "lengths that are too large": struct.pack("<I", 0) + struct.pack("<I", 0xffffffff),
    "an event cut short": struct.pack("<I", 0) + text(struct.pack("<H", 500) + b"xx"),
    "a kind there is not": struct.pack("<I", 0) + text(event(200)),
    "what only the queue may say": struct.pack("<I", 0) + text(event(8, 0x1234567890)),
    "a gap, which only the chronicle itself says": struct.pack("<I", 0) + text(event(9)),
}


@pytest.mark.skipif(not AS_ROOT or not hasattr(os, "pidfd_open"), reason="needs root")
@pytest.mark.parametrize("why", ROGUE)
def test_a_rogue_speaker_is_ended_and_the_store_is_well(why):
    with house() as h:
        local(h)
        send(h, ["jill@here.example"], "good")
        told = traced(h, "good@here.example", "done")
        victim = next(p for p in h.at_work() if p["role"] == "receiver")
        keeper = chronicle_of(h)
        link = Deaths.link_between(None, victim, keeper)
        assert link is not None
        say(link, word_number("EVENT"), ROGUE[why])
        link.close()
        wait_for(lambda: re.search(r"receiver 0 said EVENT to chronicle 0, which it may not", h.text()))
        wait_for(lambda: all(p["pid"] != victim["pid"] for p in h.at_work()))
        assert chronicle_of(h)["pid"] == keeper["pid"]
        assert trace(h, "good@here.example") == told
        send(h, ["jill@here.example"], "later")
        traced(h, "later@here.example", "done")
