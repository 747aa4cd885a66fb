# SPDX-License-Identifier: ISC
"""sendmail as programs call it: cron, s-nail, mailutils, scripts; what arrives, and the exit status."""

import email
import email.header
import email.policy
import json
import os
import re
import shutil
import smtplib
import subprocess
import threading
import time

import pytest

from house import BINARY, House, wait_for
from test_sending import Sink


@pytest.fixture(scope="module")
def house():
    with House(mydestination="here.example", myorigin="here.example", mynetworks="127.0.0.0/8", relayhost="[127.0.0.1]:1",
               smtpd_recipient_restrictions="check_recipient_access inline:{{ later@here.example = 450 4.2.1 later }}, permit_mynetworks, reject",
               local_recipient_maps="") as house:
        wait_for(house.smtp)
        house.command("account", "add", "eva@here.example", "--password", "secret", check=False)
        house.command("domain", "add", "here.example", check=False)
        yield house


def sendmail(house, *words, given="", **more):
    return subprocess.run(["sendmail", *words], executable=BINARY, input=given, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "MAIL_CONFIG": str(house.config)}, **more)


def queued(house, *words):
    """The letters of the queue, as they are, by the subject."""
    import json
    found = {}
    for row in json.loads(house.command("queue", "list", "--json").stdout):
        text = house.command("queue", "show", row["id"], "--content").stdout
        one = found.setdefault(re.search(r"(?mi)^Subject: (.*)", text).group(1), {"text": text, "to": set(), "from": row["sender"]})
        one["to"].add(row["address"])
    return found


def test_recipients_of_the_header_and_no_bcc(house):
    done = sendmail(house, "-t", "-oi", "-f", "ann@one.example",
                    given="To: Bob <b@there.example>, \"C, D\" <c@there.example>\nCc: group: d@there.example;\n"
                          "Bcc: e@there.example\nSubject: header\n\nline\n.\nlast\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    one = queued(house)["header"]
    assert one["to"] == {f"{n}@there.example" for n in "bcde"} and one["from"] == "ann@one.example"
    assert "Bcc" not in one["text"] and one["text"].endswith("\nline\n.\nlast\n")
    assert re.search(r"(?m)^From: .*<ann@one\.example>$", one["text"])
    assert len(re.findall(r"(?m)^(?:Date|Message-ID): ", one["text"])) == 2


def test_what_a_content_filter_gives_back_gets_no_fields(house):
    """-G: a relayed letter, as it came; a signature may stand for fields that are not there."""
    assert sendmail(house, "-G", "-i", "-f", "ann@one.example", "x@there.example", given="Subject: relayed\n\nx\n").returncode == 0
    one = queued(house)["relayed"]
    assert not re.search(r"(?mi)^(?:From|Date|Message-ID): ", one["text"]), one["text"]


def test_a_dot_ends_the_letter_of_who_does_not_say_i(house):
    assert sendmail(house, "x@there.example", given="From ann Sun Nov 22\nSubject: dot\n\none\n.\ntwo\n").returncode == 0
    assert queued(house)["dot"]["text"].endswith("\n\none\n")


def test_R387_bare_names_are_of_myorigin_and_cron_has_a_name(house):
    done = sendmail(house, "-FCronDaemon", "-i", "-B8BITMIME", "-oem", "x@there.example", given="From: root (Cron Daemon)\nTo: x\nSubject: cron\n\n\u4f60\n")
    assert done.returncode == 0
    assert queued(house)["cron"]["from"].endswith("@here.example")


def test_a_letter_without_a_header_gets_one(house):
    assert sendmail(house, "-F", 'A "name"', "-f", "ann@one.example", "x@there.example", given="Subject: bare\nno field at all\n").returncode == 0
    text = queued(house)["bare"]["text"]
    assert 'From: "A \\"name\\"" <ann@one.example>\n' in text and text.endswith("\n\nno field at all\n")


@pytest.mark.parametrize("why, words, given, status", [
    ("nobody to send it to", ["-t"], "Subject: x\n\nx\n", 65),
    ("no recipients", [], "Subject: x\n\nx\n", 64),
    ("an option nobody knows", ["-Z"], "", 64),
    ("a mode that is not here", ["-bt"], "", 64),
    ("a mode that does nothing, as with Postfix", ["-bh"], "", 0),
    ("a body of no kind", ["-Btype", "x@there.example"], "Subject: x\n\nx\n", 64),
    ("delimiters that VERP has not", ["-XVab", "x@there.example"], "Subject: x\n\nx\n", 64),
    ("aliases that are not to be looked at, as with Postfix", ["-n", "x@there.example"], "Subject: x\n\nx\n", 64),
    ("a transcript, as with Postfix", ["-X", "/nowhere/x", "x@there.example"], "Subject: x\n\nx\n", 64),
    ("the queue of somebody", ["-bp", "x@there.example"], "", 64),
    ("tables of somebody", ["-bi", "x@there.example"], "", 75),
    ("the queue by a letter", ["-q", "-t"], "", 64),
    ("later", ["later@here.example"], "Subject: x\n\nx\n", 75),
    ("asked only", ["-bv", "-f", "<>", "x@there.example"], "", 0),
])
def test_the_exit_status(house, why, words, given, status):
    before = len(queued(house))
    assert sendmail(house, *words, given=given).returncode == status and len(queued(house)) == before


@pytest.mark.parametrize("template", ["", "verify_template = <<E\nFrom: robot\nSubject: What we were asked\n\nAs you wished, from $myhostname:\nE\n"])
def test_what_was_asked_is_reported(house, tmp_path, template):
    """-bv, as Postfix's: nothing is sent to those who are asked about, and a report comes to who asked (verify_template).  Whom we refuse
    ourselves is told of at once; the others the queue asks their hosts about, and nobody who has a mailbox here gets anything."""
    (tmp_path / "bounce.cf").write_text(template)
    config = tmp_path / "main.cf"
    config.write_text(house.config.read_text() + (f"bounce_template_file = {tmp_path}/bounce.cf\n" if template else ""))
    house.config.write_text(config.read_text())
    house.command("reload")
    house.command("account", "add", "mia@here.example", input="secret-of-hers\n", check=False)
    before = house.text().count("delivered to mailbox")
    done = subprocess.run(["sendmail", "-bv", "-f", "ann@one.example", "x@there.example", "later@here.example", "mia@here.example"], executable=BINARY,
                          capture_output=True, text=True, timeout=60, env={**os.environ, "MAIL_CONFIG": str(config)})
    assert done.returncode == 75 and "later@here.example: 450 4.2.1" in done.stderr
    assert done.stdout == "Mail Delivery Status Report will be mailed to <ann@one.example>.\n"
    rows = wait_for(lambda: len(r := json.loads(house.command("queue", "list", "--json", "--recipient", "ann@one.example").stdout)) == 2 and r)
    told = {}
    for row in rows:
        report = email.message_from_string(house.command("queue", "show", row["id"], "--content").stdout, policy=email.policy.default)
        house.command("queue", "delete", row["id"])
        assert row["sender"] == "" and report["Auto-Submitted"] == "auto-replied" and not report.defects
        assert report["Subject"] == ("What we were asked" if template else "Mail Delivery Status Report")
        text, status = report.get_payload()
        assert ("As you wished, from mail.example.com:" if template else "Nothing was sent.") in " ".join(text.get_content().split())
        for one in status.get_payload()[1:]:
            assert f"<{one['Final-Recipient'].split('; ')[1]}>: " in text.get_content()
            told[one["Final-Recipient"]] = (one["Action"], one["Status"], one["Diagnostic-Code"])
    action, code, words = told["rfc822; later@here.example"]
    assert (action, code) == ("undeliverable", "4.2.1") and words.startswith("smtp; 450 4.2.1 <later@here.example>")
    assert told["rfc822; x@there.example"][:2] == ("undeliverable", "4.4.1") and told["rfc822; mia@here.example"][:2] == ("deliverable", "2.0.0")
    assert "status=deliverable (delivers to mailbox)" in house.text() and house.text().count("delivered to mailbox") == before


def test_what_nobody_asks_is_asked_and_told_to_nobody():
    """XVERIFY with the null sender: hosts are asked, nobody gets a letter or a report, nothing stays in the queue; neither who takes mail,
    nor who puts it off, nor who is not known."""
    def reply(verb, argument, session):
        word = argument.partition("<")[2] if verb == "RCPT" else ""
        return {"l": "450 4.2.1 later", "n": "550 5.1.1 no"}.get(word[:1])
    with Sink(reply) as sink, House(mynetworks="127.0.0.0/8", dns_resolver="none", relayhost=f"[127.0.0.1]:{sink.port}", notify_classes="bounce, 2bounce, delay, resource, software",
                                    smtpd_authorized_verp_clients="127.0.0.1") as house:
        wait_for(house.smtp)
        house.command("domain", "add", "here.example", check=False)
        house.command("account", "add", "mia@here.example", input="secret-of-hers\n")
        with house.smtp() as s:
            s.ehlo()
            assert s.docmd("MAIL FROM:<> XVERIFY")[0] == 250
            for to in ("mia@here.example", "yes@there.example", "later@there.example", "no@there.example"):
                assert s.docmd(f"RCPT TO:<{to}>")[0] == 250
            assert s.data("Subject: x\r\n\r\nx\r\n")[0] == 250
        wait_for(lambda: house.count("status=") == 4 and house.count(": removed") == 1)
        found = dict(re.findall(r"to=<(\w+)@[\w.]+>.*? status=(\w+)", house.text()))
        assert found == {"mia": "deliverable", "yes": "deliverable", "later": "undeliverable", "no": "undeliverable"}
        assert json.loads(house.command("queue", "list", "--json").stdout) == [] and sink.letters == []
        assert house.count("delivered to mailbox") == 0 and not [c for c in sink.commands if c.upper().startswith("DATA")]


def test_a_letter_may_go_while_its_report_waits():
    """-v: the report waits for those that are in hand; a letter that is deleted meanwhile has a report of the others, or none."""
    answer = threading.Event()

    def reply(verb, argument, session):
        if verb == "RCPT" and "slow" in argument:
            answer.wait(60)
        return "450 4.2.1 later" if verb == "RCPT" and "later" in argument else None
    with Sink(reply) as sink, Sink(reply) as slow, House(
            mynetworks="127.0.0.0/8", dns_resolver="none", relayhost=f"[127.0.0.1]:{sink.port}",
            transport_maps="inline:{ { slow.example = smtp:[127.0.0.1]:%d } }" % slow.port) as house:
        wait_for(house.smtp)

        def queue():
            return json.loads(house.command("queue", "list", "--json").stdout)
        for to in (["later@there.example", "b@slow.example"], ["later@there.example"], ["later@there.example", "c@slow.example"]):
            assert sendmail(house, "-v", "-f", "ann@one.example", *to, given="Subject: x\n\nx\n").returncode == 0
            wait_for(lambda: any(r["address"] == "later@there.example" and "4.2.1" in json.dumps(r) for r in queue()))
            assert house.command("queue", "delete", "--recipient", "later@there.example").returncode == 0
        wait_for(lambda: sum("slow" in c for c in slow.commands) == 2)
        answer.set()
        wait_for(lambda: sum(to == ["ann@one.example"] for _, to, _ in sink.letters) == 3)
        assert all(p["restarts"] == 0 for p in house.status() if p["role"] == "queue")
        reports = [email.message_from_bytes(text) for _, to, text in sink.letters if to == ["ann@one.example"]]
        told = [[g["Action"] for g in r.get_payload()[1].get_payload()[1:]] for r in reports]
        assert sorted(told) == [["delayed"], ["relayed"], ["relayed"]]


def test_a_report_comes_though_who_was_waited_for_is_deleted():
    """-v: one recipient stands in line for so long that the report is not waited for any more (a minute), and is deleted then: who sent it
    hears of the other, and the letter does not stay where nobody sees it."""
    with Sink() as slow, House(mynetworks="127.0.0.0/8", dns_resolver="none", relayhost=f"[127.0.0.1]:{slow.port}", smtp_destination_rate_delay="1h") as house:
        wait_for(house.smtp)
        house.command("domain", "add", "here.example")
        for name in ("ann", "mia"):
            house.command("account", "add", f"{name}@here.example", input="secret-of-hers\n")
        assert sendmail(house, "-f", "ann@here.example", "a@slow.example", given="Subject: x\n\nx\n").returncode == 0
        wait_for(lambda: slow.letters)
        assert sendmail(house, "-v", "-f", "ann@here.example", "mia@here.example", "b@slow.example", given="Subject: x\n\nx\n").returncode == 0
        wait_for(lambda: house.count("to=<mia@here.example>") == 1)
        time.sleep(61)
        assert "1 recipient of 1 letter" in house.command("queue", "delete", "--recipient", "b@slow.example").stdout
        wait_for(lambda: house.count("to=<ann@here.example>") == 1)
        wait_for(lambda: house.count(": removed") == 3)


def test_a_report_is_of_all_recipients_however_long_some_take():
    """-v to more recipients than stay in memory otherwise (qmgr_message_recipient_minimum): those that were put off long before the last is
    tried are told of with it."""
    answer = threading.Event()

    def reply(verb, argument, session):
        if verb == "RCPT" and "slow" in argument:
            answer.wait(60)
        return "450 4.2.1 later" if verb == "RCPT" and "later" in argument else None
    with Sink(reply) as sink, Sink(reply) as slow, House(
            mynetworks="127.0.0.0/8", dns_resolver="none", relayhost=f"[127.0.0.1]:{sink.port}", minimal_backoff_time="1h", maximal_backoff_time="1h",
            transport_maps="inline:{ { slow.example = smtp:[127.0.0.1]:%d } }" % slow.port) as house:
        wait_for(house.smtp)
        to = [f"later{n}@there.example" for n in range(30)] + [f"u{n}@there.example" for n in range(10)] + ["b@slow.example"]
        assert sendmail(house, "-v", "-f", "ann@one.example", *to, given="Subject: x\n\nx\n").returncode == 0
        wait_for(lambda: house.count("status=deferred") == 30)
        # Those of another letter, that came later, have left memory.
        assert sendmail(house, "-f", "bob@one.example", *to[:30], given="Subject: x\n\nx\n").returncode == 0
        wait_for(lambda: [p for p in house.status() if p["role"] == "queue" and int(p["facts"]["absent"]) > 0])
        answer.set()
        [(_, _, text)] = wait_for(lambda: [one for one in sink.letters if one[1] == ["ann@one.example"]])
        told = [g["Action"] for g in email.message_from_bytes(text).get_payload()[1].get_payload()[1:]]
        assert sorted(told) == ["delayed"] * 30 + ["relayed"] * 11


def test_SMTP_on_standard_input(house):
    done = sendmail(house, "-bs", given="EHLO x\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<y@there.example>\r\nDATA\r\nSubject: bs\r\n\r\nx\r\n.\r\nQUIT\r\n")
    codes = re.findall(r"(?m)^(\d{3}) ", done.stdout)
    assert codes == ["220", "250", "250", "250", "354", "250", "221"] and "bs" in queued(house)


def test_R200_the_queue_by_its_options(house):
    assert sendmail(house, "-bp").stdout.startswith("-Queue ID-") and sendmail(house, "-q").returncode == 0


def test_delivery_notices_are_asked_for(house):
    done = sendmail(house, "-N", "never", "-R", "hdrs", "-V", "id=1", "x@there.example", given="Subject: dsn\n\nx\n")
    assert done.returncode == 0 and "dsn" in queued(house)


def test_without_a_server_it_is_to_be_tried_later(house, tmp_path):
    text = house.config.read_text()
    # Neither its socket nor its port: the state directory is another one.
    text = re.sub(r"(?m)^mail_directory = .*", f"mail_directory = {tmp_path}/mail", text)
    assert f"{tmp_path}/mail" in text
    (tmp_path / "main.cf").write_text(re.sub(r"listen_smtp = .*", "listen_smtp = 127.0.0.1:1", text))
    done = subprocess.run(["sendmail", "x@there.example"], executable=BINARY, input="Subject: x\n\nx\n", capture_output=True, text=True,
                          timeout=60, env={**os.environ, "MAIL_CONFIG": str(tmp_path)})
    assert done.returncode == 75 and "refused" in done.stderr


def call_by_name(house, tmp_path):
    script = tmp_path / "sendmail"
    script.write_text(f'#!/bin/sh\nexec env MAIL_CONFIG={house.config} bash -c \'exec -a sendmail {os.path.abspath(BINARY)} "$@"\' sendmail "$@"\n')
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("by, letters", [("the socket", 1), ("the network", 5)])
def test_R285_nobody_of_a_long_list_is_left_out(tmp_path, by, letters):
    """Postfix's sendmail takes a list of any length; by the network it goes in as many transactions as the listener wants (rfc5321:4.5.3.1.10)."""
    to = [f"u{i}@there.example" for i in range(11000 if letters == 1 else 45)]
    with Sink() as sink, House(mynetworks="127.0.0.0/8", dns_resolver="none", relayhost=f"[127.0.0.1]:{sink.port}",
                               smtpd_recipient_limit="10", smtpd_recipient_overshoot_limit="0") as house:
        wait_for(house.smtp)
        config = house.config
        if by == "the network":              # the socket is in another directory
            config = tmp_path / "main.cf"
            config.write_text(re.sub(r"(?m)^mail_directory = .*", f"mail_directory = {tmp_path}/mail", house.config.read_text()))
        done = subprocess.run(["sendmail", "-t", "-i"], executable=BINARY, input="To: " + ",\n ".join(to) + "\nSubject: list\n\nx\n",
                              capture_output=True, text=True, timeout=120, env={**os.environ, "MAIL_CONFIG": str(config)})
        assert (done.returncode, done.stderr) == (0, "")
        wait_for(lambda: len(sink.got()) >= len(to), 120)
        assert sink.got() == sorted(to)
        assert len(set(re.findall(r"(\w+): from=<.*nrcpt=\d+", house.text()))) == letters


@pytest.mark.parametrize("words", [["-N", "often"], ["-N", "never,delay"], ["-R", "some"], ["-V", ""], ["-N", ""]])
def test_values_that_cannot_be_are_ignored_as_postfix_does(house, words):
    done = sendmail(house, *words, "x@there.example", given=f"Subject: odd {words}\n\nx\n")
    assert done.returncode == 0 and f"sendmail: warning: bad {words[0]} option value -- ignored" in done.stderr
    assert f"odd {words}" in queued(house)


@pytest.mark.parametrize("sender", ["<ann@one.example>", "Ann Other <ann@one.example>", "ann@one.example"])
def test_R285_the_sender_as_programs_write_it(house, sender):
    """With brackets, as scripts in PHP do; and -h has a value, though it means nothing."""
    done = sendmail(house, f"-f{sender}", "-h", "5", "x@there.example", given=f"Subject: by {sender}\n\nx\n")
    assert (done.returncode, done.stderr) == (0, "") and queued(house)[f"by {sender}"]["from"] == "ann@one.example"


def test_R200_bd_starts_the_server_where_it_does_not_run(tmp_path):
    with House(mydestination="here.example", mynetworks="127.0.0.0/8") as h:
        assert (sendmail(h, "-bd", "-q15m").returncode, h.count("daemon started")) == (0, 1)
        assert h.stop() == 0
        done = sendmail(h, "-bd", "-q15m")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        wait_for(h.smtp).quit()
        assert h.command("stop").returncode == 0
        wait_for(lambda: h.command("status", check=False).returncode == 2)
        h.write_settings(mail_directory="/dev/null/none")
        done = sendmail(h, "-bd")
        assert done.returncode == 75 and "the server has not started" in done.stderr


def test_R200_mailq_is_sendmail_by_another_name(house, tmp_path):
    def mailq(*words):
        return subprocess.run(["mailq", *words], executable=BINARY, capture_output=True, text=True, timeout=60)
    assert mailq("-C", str(house.config)).stdout.startswith("-Queue ID-") and mailq("-C", str(house.config), "-v").returncode == 0
    assert (mailq("-C", str(house.config), "-q").stdout, mailq("-Z").returncode) == ("", 64)


def test_what_is_no_address_is_told_and_the_others_have_it(house):
    done = sendmail(house, "-i", '"a<b"@there.example', "nobody here", "x@there.example", given="Subject: wrong one\n\nx\n")
    assert done.returncode == 65 and done.stderr.count("this is no address: ") == 2
    assert queued(house)["wrong one"]["to"] == {"x@there.example"}


@pytest.mark.skipif(shutil.which("s-nail") is None, reason="needs s-nail")
def test_R387_R388_s_nail_sends_with_it(house, tmp_path):
    subprocess.run(["s-nail", "-n", "-S", f"mta={call_by_name(house, tmp_path)}", "-S", "v15-compat", "-s", "nail", "x@there.example"],
                   input="hello\n", text=True, check=True, timeout=60, env={**os.environ, "HOME": str(tmp_path)})
    assert "nail" in wait_for(lambda: "nail" in (q := queued(house)) and q)


@pytest.mark.skipif(shutil.which("mail.mailutils") is None, reason="needs mailutils")
def test_R387_mailutils_sends_with_it(house, tmp_path):
    subprocess.run(["mail.mailutils", "-E", f'set sendmail="sendmail://{call_by_name(house, tmp_path)}"', "-s", "utils", "x@there.example"], input="hello\n", text=True, check=True, timeout=60,
                   env={**os.environ, "HOME": str(tmp_path)})
    assert "utils" in wait_for(lambda: "utils" in (q := queued(house)) and q)


MAILERS = {
    "s-nail": lambda sendmail: ["s-nail", "-:/", f"-Smta={sendmail}", "-Sttycharset=utf-8", "-Ssendcharsets=utf-8"],
    "mailutils": lambda sendmail: ["mail.mailutils", "--norc", "-E", f"set sendmail=sendmail://{sendmail}"],
}


@pytest.mark.parametrize("program", MAILERS)
def test_mail_s_of_a_user_goes_through_our_sendmail(house, tmp_path, program):
    """As people write it: mail -s, copies, a blind copy, an attachment, letters beyond US-ASCII; and nobody to send to."""
    words = MAILERS[program](tmp_path / "sendmail")
    if shutil.which(words[0]) is None:
        pytest.skip(f"needs {program}")
    (tmp_path / "sendmail").symlink_to(BINARY)
    (tmp_path / "notes.txt").write_text("a note\n.\nits end\n")
    env = {**os.environ, "MAIL_CONFIG": str(house.config), "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "EMAIL": "root@here.example"}

    def mail(*more, given="Gr\u00fc\u00dfe\n.hidden\n", status=0):
        done = subprocess.run([*words, *more], input=given, capture_output=True, text=True, timeout=60, env=env)
        assert (done.returncode == 0) == (status == 0), done.stdout + done.stderr

    def arrived(subject):
        return wait_for(lambda: {email.header.make_header(email.header.decode_header(s)).__str__(): one for s, one in queued(house).items()}.get(subject))
    mail("-s", f"plain by {program}", "b@there.example", "c@there.example")
    one = arrived(f"plain by {program}")
    assert one["to"] == {"b@there.example", "c@there.example"}
    letter = email.message_from_bytes(one["text"].encode(), policy=email.policy.default)     # mailutils names no character set
    body = letter.get_content() if letter.get_content_charset() else letter.get_payload(decode=True).decode()
    assert body.replace("\r", "") == "Gr\u00fc\u00dfe\n.hidden\n"
    copies = ["-c", "d@there.example", "-b", "e@there.example"] if program == "s-nail" else ["-a", "Cc: d@there.example", "-a", "Bcc: e@there.example"]
    mail("-s", f"\u4f60\u597d {program}", *copies, "b@there.example")
    one = arrived(f"\u4f60\u597d {program}")
    assert one["to"] == {f"{n}@there.example" for n in "bde"} and "e@there.example" not in one["text"].partition("\n\n")[0]
    mail("-s", f"attached by {program}", "-a" if program == "s-nail" else "-A", str(tmp_path / "notes.txt"), "b@there.example")
    letter = email.message_from_string(arrived(f"attached by {program}")["text"], policy=email.policy.default)
    [part] = letter.iter_attachments()
    assert part.get_filename() == "notes.txt" and part.get_payload(decode=True).replace(b"\r", b"") == b"a note\n.\nits end\n"
