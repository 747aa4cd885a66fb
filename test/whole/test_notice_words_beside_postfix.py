# SPDX-License-Identifier: ISC
"""Notices as people read them, of ours and of Debian's Postfix about the same letters: warnings of delay, what the postmaster has of them,
the senders of VERP, success, and templates of an administrator in the grammar of bounce(5), one of them in Chinese.

By meaning: who gets it, from whom, what it is called, and that the part for people has the text of the template and speaks of the same
recipients in the words of the same host.
"""

import email
import email.policy
import os
import pathlib
import re
import shutil
import smtplib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import House, wait_for
from test_logs_beside_postfix import Postfix
from test_notices_beside_postfix import fields
from test_sending import Sink

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("postfix"), reason="wants Postfix and root")

LETTER = "From: ann@one.example\r\nTo: b@there.example\r\nSubject: {}\r\nMessage-ID: <plan@one.example>\r\n\r\nbody\r\n"
SETTINGS = """
myhostname = mail.example.com
mydestination =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{sink}
smtp_tls_security_level = none
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_authorized_verp_clients = 127.0.0.0/8
notify_classes = bounce, delay, 2bounce
bounce_notice_recipient = chief-bounce@post.example
delay_notice_recipient = chief-delay@post.example
2bounce_notice_recipient = chief-2bounce@post.example
delay_warning_time = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
bounce_template_file = {template}
"""
TEMPLATE = """failure_template = <<EOF
Charset: {charset}
From: MAILER-DAEMON (The Post Office)
Subject: No luck
Postmaster-Subject: Copy: No luck

{failed}, says $myhostname, and after ${{maximal_queue_lifetime_days}} days we had given up.
   $$5 were not paid.

EOF

delay_template = <<EOF
Charset: {charset}
From: MAILER-DAEMON (The Post Office)
Subject: Not yet
Postmaster-Subject: Copy: Not yet

{delayed}, says $myhostname, after $delay_warning_time_seconds s.

EOF

success_template = <<EOF
Charset: {charset}
From: MAILER-DAEMON (The Post Office)
Subject: It went

{sent}, says $myhostname.

EOF
"""
WORDS = {"plain": dict(charset="us-ascii", failed="No luck", delayed="Not yet", sent="It went"),
         "chinese": dict(charset="utf-8", failed="退信", delayed="延迟", sent="已送")}
REPLIES = {"no": "550 5.1.1 nobody of that name", "wait": "451 4.2.0 come again", "full": "452 4.2.2 full for now"}


def reply(verb, argument, session):
    word = verb == "RCPT" and re.search(r"<([a-z]+)[0-9]*@", argument)
    return REPLIES.get(word[1]) if word else None


class Side:
    """One of the two, and what came to its relay host from nobody."""

    def __init__(self, port, sink):
        self.port, self.sink = port, sink

    def tell(self, case, sender, to, mail=(), rcpt=()):
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as s:
            s.sendmail(sender, to, LETTER.format(case), list(mail), list(rcpt))

    def notices(self, case):
        """(whom it went to, the notice) of this letter, in order."""
        found = []
        with self.sink.lock:
            letters = list(self.sink.letters)
        for mail, rcpt, text in letters:
            if f"Subject: {case}\r\n".encode() in text and ("<>" in mail or "double-bounce" in mail):
                found.append((rcpt[0], email.message_from_bytes(text, policy=email.policy.default)))
        return sorted(found, key=lambda one: (one[0], told_of(one[1])))


@pytest.fixture(scope="module", params=WORDS)
def both(request):
    with Sink(reply) as theirs, Sink(reply) as ours, tempfile.TemporaryDirectory() as at:
        os.chmod(at, 0o755)
        template = pathlib.Path(at) / "bounce.cf"
        template.write_text(TEMPLATE.format(**WORDS[request.param]))
        postfix = Postfix(SETTINGS.format(sink=theirs.port, template=template))
        values = dict(line.split(" = ", 1) for line in SETTINGS.format(sink=ours.port, template=template).strip().splitlines() if " = " in line)
        values.pop("queue_run_delay")
        try:
            with House(**values) as house:
                yield WORDS[request.param], Side(postfix.port, theirs), Side(house.ports["smtp"], ours)
        finally:
            postfix.close()


def people(notice):
    """The part for people, without the ends of its lines."""
    return re.sub(r"\s+", " ", notice.get_payload()[0].get_content())


def told_of(notice):
    """Whom the part for programs tells of, and what."""
    groups = [dict(fields(g)) for g in notice.get_payload()[1].get_payload()[1:]]
    return sorted((g["Final-Recipient"], g["Action"], g["Status"], g.get("Diagnostic-Code", "")) for g in groups)


def everybody(notices):
    """All that are told of, by whom it is told."""
    return sorted((who, *one) for who, notice in notices for one in told_of(notice))


# letter: sender, recipients, parameters of MAIL and RCPT; which of the template's words, and who gets notices of it.
CASES = {
    "failed": ("ann@one.example", ["no1@there.example", "no2@there.example"], [], [], "failed", ["ann@one.example", "chief-bounce@post.example"]),
    "waits": ("bob@one.example", ["wait1@there.example", "full2@there.example"], [], [], "delayed", ["bob@one.example", "chief-delay@post.example"]),
    "waits quietly": ("cat@one.example", ["wait1@there.example"], [], ["NOTIFY=FAILURE"], "delayed", ["chief-delay@post.example"]),
    "failed quietly": ("fay@one.example", ["no1@there.example"], [], ["NOTIFY=NEVER"], "failed", ["chief-bounce@post.example"]),
    "went": ("dan@one.example", ["b@there.example"], [], ["NOTIFY=SUCCESS"], "sent", ["dan@one.example"]),
    "list": ("list@one.example", ["no1@there.example", "no2@there.example"], ["XVERP"], [], "failed",
             ["chief-bounce@post.example", "chief-bounce@post.example", "list+no1=there.example@one.example", "list+no2=there.example@one.example"]),
    "list that waits": ("slow@one.example", ["wait1@there.example", "wait2@there.example"], ["XVERP=-="], [], "delayed",
                        ["chief-delay@post.example", "slow@one.example"]),
    "list that went": ("went@one.example", ["b1@there.example", "b2@there.example"], ["XVERP"], ["NOTIFY=SUCCESS"], "sent", ["went@one.example"]),
    "of nobody": ("", ["no1@there.example"], [], [], "failed", ["chief-2bounce@post.example"]),
}


@pytest.mark.parametrize("case", CASES)
def test_who_is_told_and_in_whose_words(both, case):
    words, theirs, ours = both
    sender, to, mail, rcpt, kind, wanted = CASES[case]
    for side in (theirs, ours):
        side.tell(case, sender, to, mail, rcpt)
    for side in (theirs, ours):
        wait_for(lambda: len(side.notices(case)) >= len(wanted), 60)    # noqa: B023
    # Each recipient is told of once; those of VERP are tried one by one, and may be put off one after the other.
    wait_for(lambda: everybody(ours.notices(case)) == everybody(theirs.notices(case)), 60)
    them, us = theirs.notices(case), ours.notices(case)
    if case == "list that waits":
        assert {who for who, _ in us} == {who for who, _ in them} == set(wanted)
        assert everybody(us) == everybody(them)
        us = [next(one for one in us if one[0] == who) for who, _ in them]
    else:
        assert [who for who, _ in us] == [who for who, _ in them] == sorted(wanted)
        assert [told_of(n) for _, n in us] == [told_of(n) for _, n in them]
    for (who, they), (_, we) in zip(them, us, strict=True):
        assert [str(we[name]) for name in ("Subject", "Auto-Submitted")] == [str(they[name]) for name in ("Subject", "Auto-Submitted")]
        assert [n["From"].addresses[0].addr_spec for n in (we, they)] == ["MAILER-DAEMON@mail.example.com"] * 2
        assert (we.get_content_type(), we.get_param("report-type")) == (they.get_content_type(), they.get_param("report-type"))
        own = re.search(rf"{re.escape(words[kind])}, says mail\.example\.com[^.]*\.( \$5 were not paid\.)?", people(they))
        assert (own is None) == who.startswith("chief-") and (own is None or own[0] in people(we))
        for final, _, _, _ in told_of(we):
            one = final.partition(";")[2].strip()
            answer = REPLIES.get(re.match(r"[a-z]+", one)[0], "250 2.0.0 kept")
            for text in (people(we), people(they)):
                assert f"<{one}>" in text and answer in text, (who, text)


@pytest.mark.parametrize("said", ["<l@one.example> XVERP", "<l@one.example> XVERP=", "<l@one.example> XVERP=+=", "<l@one.example> xverp=-=",
                                  "<l@one.example> XVERP==+", "<l@one.example> XVERP=++", "<l@one.example> XVERP=ab", "<l@one.example> XVERP=+",
                                  "<l@one.example> XVERP=+=+", "<l@one.example> XVERP=#=", "<> XVERP", "<> XVERP=+=", "<l> XVERP"])
def test_VERP_is_asked_for_in_the_same_ways(both, said):
    """Code and status."""
    def answer(side):
        with smtplib.SMTP("127.0.0.1", side.port, timeout=60) as s:
            s.ehlo("x")
            assert s.has_extn("xverp")
            code, words = s.docmd("MAIL FROM:" + said)
            return code, words.split()[0]
    _, theirs, ours = both
    assert answer(ours) == answer(theirs)
