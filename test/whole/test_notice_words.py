# SPDX-License-Identifier: ISC
"""What notices say: in which language, in whose words, and rfc3461's cases, read with Python's email."""

import email
import email.policy
import json
import os
import signal
import subprocess

import pytest

from house import House, free_ports, wait_for
from test_sending import Sink

LETTER = "From: ann@one.example\r\nSubject: the plan\r\nMessage-ID: <plan@one.example>\r\n\r\nbody\r\n"
SHUT = "550 5.1.1 unknown here"


def notices(house, to):
    rows = json.loads(house.command("queue", "list", "--json", "--recipient", to).stdout)
    return [email.message_from_string(house.command("queue", "show", i, "--content").stdout, policy=email.policy.default)
            for i in sorted({r["id"] for r in rows})]


def status(notice):
    """The groups of fields of the part for programs."""
    return notice.get_payload()[1].get_payload()


def settings(port, **more):
    return {"mydestination": "here.example", "mynetworks": "127.0.0.0/8", "relayhost": f"[127.0.0.1]:{port}",
            "minimal_backoff_time": "1s", "maximal_backoff_time": "1s", **more}


def refusing(verb, argument, _):
    """Whoever is not known is refused; notices have to wait."""
    if verb == "RCPT":
        return SHUT if "nobody" in argument or "没有" in argument.encode("latin-1", "replace").decode("utf-8", "replace") else "452 4.2.2 wait" if "ann" in argument or "wang" in argument else None
    return None


def said(house, to="ann@*"):
    notice = wait_for(lambda: notices(house, to))[0]
    assert notice.get_content_type() == "multipart/report" and notice.get_param("report-type") == "delivery-status"
    assert [p.get_content_type() for p in notice.get_payload()] == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    assert not notice.defects and not any(p.defects for p in notice.walk())
    return notice


def test_a_failure_in_words_a_person_understands():
    with Sink(refusing) as sink, House(**settings(sink.port)) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@one.example", ["nobody@there.example"], LETTER, rcpt_options=["ORCPT=rfc822;no+2Bone@there.example"])
        notice = said(house)
        text = " ".join(notice.get_payload()[0].get_content().split())
        for words in ("did not reach", "Subject: the plan", "There is no such mailbox", SHUT, "postmaster@mail.example.com", "<nobody@there.example>"):
            assert words in text, text
        letter, person = status(notice)
        assert letter["X-Mansio-Queue-ID"] in text
        assert letter["Reporting-MTA"] == "dns; mail.example.com" and letter["Arrival-Date"]
        assert person["Original-Recipient"] == "rfc822; no+one@there.example"
        assert (person["Action"], person["Status"], person["Diagnostic-Code"]) == ("failed", "5.1.1", "smtp; " + SHUT)
        assert notice["Auto-Submitted"] == "auto-replied" and notice["From"].endswith("<MAILER-DAEMON@mail.example.com>")


@pytest.mark.parametrize("languages, maps, sender, to, wanted", [
    ("zh", "", "ann@one.example", "nobody@there.example", "zh"),
    ("zh, en", "", "ann@one.example", "nobody@there.example", "zh, en"),
    ("en", "inline:{ {one.example = zh}}", "ann@one.example", "nobody@there.example", "zh"),
    ("en", "inline:{ {wang@one.example = zh en}}", "wang@one.example", "nobody@there.example", "zh, en"),
    ("en", "inline:{ {there.example = zh}}", "ann@one.example", "nobody@there.example", "zh"),
    ("en", "inline:{ {.example = zh}, {one.example = en}}", "ann@one.example", "nobody@there.example", "en"),
])
def test_a_notice_speaks_the_language_of_its_reader(languages, maps, sender, to, wanted):
    with Sink(refusing) as sink, House(bounce_language=languages, bounce_language_maps=maps, **settings(sink.port)) as house:
        with wait_for(house.smtp) as s:
            s.sendmail(sender, [to], LETTER)
        notice = said(house, sender.split("@")[0] + "@*")
        part = notice.get_payload()[0]
        assert part["Content-Language"] == wanted
        text = part.get_content()
        assert ("您的邮件未能送达" in text) == ("zh" in wanted) and ("did not reach" in text) == ("en" in wanted)
        assert ("退信" in notice["Subject"]) == ("zh" in wanted)
        assert SHUT in " ".join(text.split())
        assert all(c < "\x80" for c in notice.as_string(policy=email.policy.SMTP)), "it goes everywhere"


def test_the_templates_of_postfix(tmp_path):
    """bounce(5): the text with its $names put in; the same as Postfix's own postconf -b says."""
    template = tmp_path / "bounce.cf"
    template.write_text("# ours\nfailure_template = <<EOF\nCharset: us-ascii\nFrom: robot (The Robot)\nSubject: No luck\nPostmaster-Subject: P: no luck\n\n"
                        "Host $myhostname, ${myhostname}; $$5; $maximal_queue_lifetime_days d = $maximal_queue_lifetime_hours h = $maximal_queue_lifetime_seconds s.\n"
                        "  $delay_warning_time_minutes min, $delay_warning_time_weeks w, $bounce_size_limit\nEOF\n\n"
                        "delay_template.zh = <<EOF\nCharset: utf-8\n\n等一等\nEOF\n")
    (tmp_path / "postfix").mkdir()
    (tmp_path / "postfix/main.cf").write_text("myhostname = mail.example.com\ndelay_warning_time = 4h\ncompatibility_level = 3.6\n")
    (tmp_path / "postfix/master.cf").write_text("")
    only = tmp_path / "only.cf"
    only.write_text(template.read_text().partition("\n\ndelay_")[0] + "\n")
    theirs = subprocess.run(["/usr/sbin/postconf", "-c", tmp_path / "postfix", "-b", only], capture_output=True, text=True, check=True).stdout
    with Sink(refusing) as sink, House(bounce_template_file=str(template), notify_classes="bounce", bounce_notice_recipient="annette@one.example",
                                       **settings(sink.port)) as house:
        ours = house.command("postconf", "-b").stdout
        first = ours.partition("EOF\n\n")[0]
        assert first == theirs.partition("EOF\n\n")[0] and "等一等" in ours
        assert house.command("postconf", "-b", str(only)).stdout.partition("EOF\n\n")[0] == first
        with wait_for(house.smtp) as s:
            s.sendmail("ann@one.example", ["nobody@there.example"], LETTER)
        notice = said(house, "ann@*")
        assert notice["Subject"] == "No luck" and notice["From"] == 'The Robot <robot@mail.example.com>'
        assert notice.get_payload()[0].get_content().startswith(first.partition("<<EOF\n")[2])
        copy = said(house, "annette@*")
        assert copy["Subject"] == "P: no luck" and "This was told to <ann@one.example>" in copy.get_payload()[0].get_content()
        template.write_text(template.read_text().replace("No luck", "Bad luck"))
        wait_for(lambda: house.command("reload").returncode == 0)
        with wait_for(house.smtp) as s:
            s.sendmail("ann2@one.example", ["nobody@there.example"], LETTER)
        wait_for(lambda: any(n["Subject"] == "Bad luck" for n in notices(house, "ann2@*")))


@pytest.mark.parametrize("text, complaint", [
    ("failure_template = <<EOF\n\n$nothing_is_called_so\nEOF\n", "there is no setting $nothing_is_called_so"),
    ("failure_template = <<EOF\n\nhello\n", "the word that ends the template is missing"),
    ("failure_template = <<EOF\nReply-To: x\n\nhello\nEOF\n", "there are Charset, From, Subject"),
])
def test_a_bad_template_is_told_of(tmp_path, text, complaint):
    template = tmp_path / "bounce.cf"
    template.write_text(text)
    with House(**settings(1)) as house:
        house.write_settings(bounce_template_file=str(template))
        done = house.command("config", "check", check=False)
        assert done.returncode != 0 and complaint in done.stdout + done.stderr
        house.write_settings(bounce_template_file="", bounce_language="en, fi")
        done = house.command("config", "check", check=False)
        assert done.returncode != 0 and "notices speak en and zh" in done.stdout + done.stderr


def test_an_alias_of_several_is_expanded_and_one_of_one_is_not(tmp_path):
    """rfc3461:5.2.7.2, 5.2.7.3 (c)"""
    virtual = tmp_path / "virtual"
    virtual.write_text("all@ours.example x@far.example, y@far.example\nsame@ours.example z@far.example\n")

    def reply(verb, argument, _):
        return "452 4.2.2 wait" if verb == "RCPT" and "ann" in argument else None
    with Sink(reply) as sink, House(virtual_alias_domains="ours.example", virtual_alias_maps=f"texthash:{virtual}", **settings(sink.port)) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@one.example", ["all@ours.example"], LETTER, ["ENVID=QQ1", "RET=HDRS"], ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;all@ours.example"])
        letter, person = status(said(house))
        assert letter["Original-Envelope-Id"] == "QQ1"
        assert (person["Action"], person["Final-Recipient"], person["Status"][0]) == ("expanded", "rfc822; all@ours.example", "2")
        wait_for(lambda: len(sink.letters) >= 2 or sum(c.startswith("RCPT") and "far.example" in c for c in sink.commands) == 2)
        assert len(notices(house, "ann@*")) == 1
        with wait_for(house.smtp) as s:
            s.sendmail("ann5@one.example", ["same@ours.example"], LETTER, [], ["NOTIFY=SUCCESS"])
        _, person = status(said(house, "ann5@*"))
        assert (person["Action"], person["Final-Recipient"]) == ("relayed", "rfc822; z@far.example")


def test_who_asked_hears_that_a_name_was_opened_though_the_queue_dies(tmp_path):
    """What the queue knows is written once a second; the notice cannot be made meanwhile, for nobody is there to read it."""
    virtual = tmp_path / "virtual"
    virtual.write_text("all@ours.example x@far.example, y@far.example\n")

    def reply(verb, argument, _):
        return "452 4.2.2 wait" if verb == "RCPT" and "ann" in argument else None
    with Sink(reply) as sink, House(virtual_alias_domains="ours.example", virtual_alias_maps=f"texthash:{virtual}",
                                    smtpd_sender_restrictions="check_sender_access inline:{ann@one.example=HOLD}", **settings(sink.port)) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@one.example", ["all@ours.example"], LETTER, [], ["NOTIFY=SUCCESS,FAILURE"])
        roles = house.at_work()
        queue = next(p["pid"] for p in roles if p["role"] == "queue")
        verifiers = [p["pid"] for p in roles if p["role"] == "verifier"]
        ledger = house.directory / "mail/spool/queue.db-wal"
        try:
            for pid in verifiers:
                os.kill(pid, signal.SIGSTOP)
            house.command("queue", "release", "ALL")
            wait_for(lambda: sorted(to for _, rcpt, _ in sink.letters for to in rcpt) == ["x@far.example", "y@far.example"])
            moment = ledger.stat().st_mtime_ns
            wait_for(lambda: ledger.stat().st_mtime_ns > moment)
            os.kill(queue, signal.SIGKILL)
        finally:
            for pid in verifiers:
                os.kill(pid, signal.SIGCONT)
        _, person = status(said(house))
        assert (person["Action"], person["Final-Recipient"]) == ("expanded", "rfc822; all@ours.example")
        assert len(notices(house, "ann@*")) == 1


def test_DSN_goes_along_where_it_is_known(tmp_path):
    """rfc3461:5.2.1, 5.2.7.3 (c): all but SUCCESS goes to each target, and a list has nothing of it."""
    aliases = tmp_path / "aliases"
    aliases.write_text("all: x@far.example, y@far.example\nlist: m@far.example, n@far.example\nowner-list: boss@far.example\n")

    def reply(verb, argument, _):
        return "452 4.2.2 wait" if verb == "RCPT" and "ann" in argument else None
    with Sink(reply, offers=("DSN", "8BITMIME")) as sink, House(alias_maps=f"texthash:{aliases}", **settings(sink.port)) as house:
        with wait_for(house.smtp) as s:
            for to in ("all@here.example", "list@here.example"):
                s.sendmail("ann@one.example", [to], LETTER, ["ENVID=QQ1", "RET=HDRS"], ["NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;{to}"])
        wait_for(lambda: sum("far.example" in c for c in sink.commands if c.startswith("RCPT")) == 4)
        rcpt = {c.partition(":<")[2].partition(">")[0]: c for c in sink.commands if c.startswith("RCPT")}
        for name in "xy":
            assert "NOTIFY=FAILURE" in rcpt[f"{name}@far.example"] and "ORCPT=rfc822;all@here.example" in rcpt[f"{name}@far.example"]
        for name in "mn":
            assert "NOTIFY" not in rcpt[f"{name}@far.example"] and "list@here" not in rcpt[f"{name}@far.example"]
        mail = [c for c in sink.commands if c.startswith("MAIL") and "owner-list" in c]
        assert mail and all("ENVID" not in c and "RET" not in c for c in mail)
        told = wait_for(lambda: len(n := notices(house, "ann@*")) == 2 and n)
        assert sorted(status(n)[1]["Action"] for n in told) == ["delivered", "expanded"]


def test_who_was_warned_hears_that_it_arrived():
    """confirm_delay_cleared"""
    shut = ["452 4.2.2 full"]

    def reply(verb, argument, _):
        return (shut[0] if "b@" in argument else "452 4.2.2 wait") if verb == "RCPT" else None
    with Sink(reply) as sink, House(delay_warning_time="1s", confirm_delay_cleared="yes", **settings(sink.port)) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@one.example", ["b@there.example"], LETTER)
        wait_for(lambda: notices(house, "ann@*"))
        shut[0] = None
        wait_for(lambda: len(notices(house, "ann@*")) == 2)
        assert sorted(status(n)[1]["Action"] for n in notices(house, "ann@*")) == ["delayed", "relayed"]


def test_EAI_is_asked_for_only_where_it_is_needed():
    """rfc6533: addresses and fields as they are in message/global-*; of an ASCII letter an ordinary notice."""
    with Sink(refusing, offers=("SMTPUTF8", "8BITMIME")) as sink, House(**settings(sink.port)) as house:
        with wait_for(house.smtp) as s:
            s.ehlo()
            for sender, to in (("ann@one.example", "nobody@there.example"), ("ann3@one.example", "没有@there.example")):
                s.docmd(f"MAIL FROM:<{sender}> SMTPUTF8 BODY=8BITMIME")
                s.putcmd(f"RCPT TO:<{to}>") if to.isascii() else s.sock.sendall(f"RCPT TO:<{to}>\r\n".encode())
                assert s.getreply()[0] == 250
                s.data(LETTER)
        plain = said(house)
        assert plain.get_payload()[1].get_content_type() == "message/delivery-status"
        wait_for(lambda: notices(house, "ann3@*"))
        rows = json.loads(house.command("queue", "list", "--json", "--recipient", "ann3@*").stdout)
        text = house.command("queue", "show", rows[0]["id"], "--content").stdout
        assert "message/global-delivery-status" in text and "message/global-headers" in text
        assert "Final-Recipient: utf-8; 没有@there.example" in text
