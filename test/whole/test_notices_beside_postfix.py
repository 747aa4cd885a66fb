# SPDX-License-Identifier: ISC
"""Notices of ours and of Debian's Postfix about the same letters, field by field in the parts for programs.

Where we mean to differ:
- of a letter whose sender has not said RET=FULL the header goes back alone, however small it is (bounce_size_limit);
- Original-Recipient is there when the client gave ORCPT (rfc3464:2.3.1), Postfix makes one of what RCPT said;
- when a recipient that failed was tried last is said (rfc3464:2.3.7).
"""

import email
import email.policy
import os
import pathlib
import re
import shutil
import smtplib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import BINARY, House, wait_for
from test_logs_beside_postfix import Postfix
from test_sending import Sink

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("postfix"), reason="wants Postfix and root")

LETTER = "From: ann@one.example\r\nTo: b@there.example\r\nSubject: the plan\r\nMessage-ID: <plan@one.example>\r\n\r\nbody\r\n"
SETTINGS = """
myhostname = mail.example.com
mydestination = here.example
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{sink}
smtp_tls_security_level = none
smtpd_relay_restrictions = permit_mynetworks, reject
local_recipient_maps =
virtual_alias_domains = ours.example
virtual_alias_maps = inline:{{ {{ all@ours.example = x@far.example y@far.example }} }}
"""
# The same thing with our name.
MEANT = {"X-Postfix-Queue-ID": "X-Mansio-Queue-ID", "X-Postfix-Sender": "X-Mansio-Sender"}
# Times and numbers that are other each time.
VARY = {"X-Postfix-Queue-ID", "Arrival-Date", "Last-Attempt-Date", "Will-Retry-Until"}

CASES = [
    ("refused", ["no@there.example"], [], []),
    ("refused, as accepted", ["no@there.example"], ["ENVID=QQ+2B1", "RET=HDRS"], ["NOTIFY=FAILURE", "ORCPT=rfc822;No+2Bone@There.example"]),
    ("refused, the whole letter", ["no@there.example"], ["RET=FULL"], []),
    ("relayed", ["b@there.example"], ["ENVID=E1"], ["NOTIFY=SUCCESS"]),
    ("two of three refused, in one notice", ["no@there.example", "b@there.example", "no-one@elsewhere.example"], [], []),
]


def answers(verb, argument, _):
    if verb == "RCPT" and "<later" in argument:
        return "450 4.2.1 not now"
    return "550 5.7.1 not here" if verb == "RCPT" and "<no" in argument else None


def notice_to(sink, sender):
    for mail, to, text in sink.letters:
        if to == [sender] and "<>" in mail:
            return email.message_from_bytes(text if isinstance(text, bytes) else text.encode(), policy=email.policy.default)
    return None


def fields(group):
    """As they are compared: names, in order, and values but for what varies."""
    found = []
    for name, value in group.items():
        back = {ours: theirs for theirs, ours in MEANT.items()}
        name = back.get(name, name)
        value = re.sub(r"\s+", " ", str(value)).strip().replace("; ", ";")     # white space means nothing there
        found.append((name, "*" if name in VARY else value))
    return found


def told(port, sink, why, to, mail, rcpt):
    sender = re.sub(r"\W", "", why) + "@one.example"
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as s:
        s.sendmail(sender, to, LETTER, mail, rcpt)
    notice = wait_for(lambda: notice_to(sink, sender), 60)
    return notice


class Both:
    """Those that run."""
    postfix = house = None


@pytest.fixture(scope="module")
def both():
    with Sink(answers) as theirs, Sink(answers) as ours:
        postfix = Postfix(SETTINGS.format(sink=theirs.port))
        values = dict(line.split(" = ", 1) for line in SETTINGS.format(sink=ours.port).strip().splitlines() if " = " in line)
        values.pop("local_recipient_maps", None)
        try:
            with House(**values) as house:
                Both.postfix, Both.house = postfix, house
                yield (postfix.port, theirs), (house.ports["smtp"], ours)
        finally:
            postfix.close()


@pytest.mark.parametrize("why, to, mail, rcpt", CASES, ids=[c[0] for c in CASES])
def test_the_part_for_programs_is_postfixs(both, why, to, mail, rcpt):
    theirs, ours = (told(port, sink, why, to, mail, rcpt) for port, sink in both)
    assert theirs["To"].replace(" ", "") == ours["To"].replace(" ", "") and ours["Auto-Submitted"] == theirs["Auto-Submitted"] == "auto-replied"
    parts = [[(p.get_content_type(), p["Content-Description"]) for p in n.get_payload()] for n in (theirs, ours)]
    if not any(word.startswith("RET=") for word in mail) and parts[0][2][0] == "message/rfc822":
        parts[0][2] = ("text/rfc822-headers", "Undelivered Message Headers")
    assert parts[0] == parts[1]
    groups = [[fields(g) for g in n.get_payload()[1].get_payload()] for n in (theirs, ours)]
    # Recipients come in whatever order.
    groups = [[g[0], *sorted(g[1:], key=lambda one: dict(one)["Final-Recipient"])] for g in groups]
    for they, we in zip(*(map(dict, g) for g in groups), strict=True):
        if not any("ORCPT=" in word for word in rcpt):
            they.pop("Original-Recipient", None)
        if we.get("Action") == "failed":
            assert we.pop("Last-Attempt-Date") == "*"
        assert we == they


ASKED = ["b@there.example", "later@there.example", "no@there.example"]
REPORTS = [
    ("who would take it", ["-bv"], ASKED),
    ("all ends of a first try", ["-v"], ["b@there.example", "later@there.example", "no@there.example"]),
    ("one that is taken", ["-v"], ["b@there.example"]),
    ("one that wishes no notice", ["-v", "-N", "never"], ["no@there.example"]),
    ("those of a name of several", ["-v"], ["all@ours.example"]),
]


def reports_to(sink, sender):
    with sink.lock:
        all_of = [email.message_from_bytes(text, policy=email.policy.default) for mail, to, text in sink.letters if to == [sender] and "<>" in mail]
    return [m for m in all_of if m["Subject"] == "Mail Delivery Status Report"]


@pytest.mark.parametrize("why, words, to", REPORTS, ids=[r[0] for r in REPORTS])
def test_R200_v_and_bv_mail_what_it_came_to(both, why, words, to):
    """sendmail -v: delivered or not, the sender gets one report of all recipients, and a letter that failed comes back besides; -bv: nobody
    gets anything, and the report says who would."""
    sender, found = re.sub(r"\W", "", why) + "-v@one.example", []
    for number, (_, sink) in enumerate(both):
        if number == 0:
            done = subprocess.run(["sendmail", "-C", f"{Both.postfix.home}/etc", "-f", sender, *words, *to], input="Subject: v\n\nx\n", text=True,
                                  capture_output=True, timeout=60)
        else:
            done = subprocess.run(["sendmail", "-f", sender, *words, *to], executable=BINARY, input="Subject: v\n\nx\n", text=True,
                                  capture_output=True, timeout=60, env={**os.environ, "MAIL_CONFIG": str(Both.house.config)})
        [report] = wait_for(lambda: reports_to(sink, sender), 60)
        people = {}
        for group in report.get_payload()[1].get_payload()[1:]:
            one = dict(fields(group))
            people[one["Final-Recipient"]] = {name: one.get(name) for name in ("Action", "Status", "Remote-MTA", "Diagnostic-Code")}
        found.append((done.returncode, done.stdout, people, report["Auto-Submitted"]))
        assert [p.get_content_type() for p in report.get_payload()[2:]] == (["text/rfc822-headers"] if number == 0 or "-v" in words else [])
        with sink.lock:     # who was only asked about has nothing
            assert not [who for mail, who, _ in sink.letters if f"<{sender}>" in mail and "-bv" in words]
        assert all(str(a) in report.get_payload()[0].get_content() for a in to if "ours" not in a)
    assert found[0] == found[1]
    # Two letters of ours about one in the same second are two: nobody throws one of them away.
    back = [m for m in (email.message_from_bytes(t, policy=email.policy.default) for mail, who, t in both[1][1].letters if who == [sender])]
    assert len({m["Message-ID"] for m in back}) == len(back)


PARSER = """use Mail::DeliveryStatus::BounceParser;
local $/; my $b = Mail::DeliveryStatus::BounceParser->new(scalar <STDIN>);
print $b->is_bounce ? 1 : 0, " ", $b->orig_message_id // "", "\\n";
for my $r ($b->reports) { print join(" ", map { my $x = $r->get($_) // ""; $x =~ s/\\s+$//; $x } qw(email action status std_reason host smtp_code)), "\\n"; }
"""


@pytest.mark.skipif(subprocess.run(["perl", "-MMail::DeliveryStatus::BounceParser", "-e1"], capture_output=True).returncode != 0,
                    reason="wants libmail-deliverystatus-bounceparser-perl")
@pytest.mark.parametrize("why, to, mail, rcpt", [c for c in CASES if len(c[1]) == 1], ids=[c[0] for c in CASES if len(c[1]) == 1])
def test_a_parser_of_others_finds_in_it_what_it_finds_in_postfixs(both, why, to, mail, rcpt):
    """What programs that read bounces make of it: who, why, and of which letter."""
    found = []
    for port, sink in both:
        notice = told(port, sink, why + " parsed", to, mail, rcpt)
        assert not [part.defects for part in notice.walk() if part.defects]
        done = subprocess.run(["perl", "-e", PARSER], input=bytes(notice), capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        found.append(done.stdout.decode().split())
    assert found[0] == found[1]


# Every option of sendmail(1) with a letter, and those that Postfix refuses.  (Two characters behind -V are VERP to Postfix, as before 2.3; here an ENVID.)
SWITCHES = [["-Am"], ["-Ac"], ["-B7BIT"], ["-B8BITMIME"], ["-Bother"], ["-bm"], ["-bh"], ["-bH"], ["-bt"], ["-bz"], ["-F", "Ann"], ["-G"], ["-h", "5"], ["-i"],
            ["-L", "label"], ["-m"], ["-N", "success"], ["-N", "often"], ["-n"], ["-O", "DeliveryMode=b"], ["-o7"], ["-o8"], ["-oi"], ["-om"], ["-oem"],
            ["-odb"], ["-oA/etc/aliases"], ["-p", "ESMTP"], ["-R", "hdrs"], ["-R", "some"], ["-qSx"], ["-qf"], ["-t"], ["-U"], ["-V", "QQ314159"], ["-V", ""], ["-XV"],
            ["-XV+="], ["-XVab"], ["-X", "/nowhere"], ["-Q"], ["-z"], ["-f", "a b@one.example"], ["-bp"], ["-bi"], ["-q"], ["-t", "-q"], ["-I", "-t"]]


@pytest.mark.parametrize("words", SWITCHES, ids=" ".join)
def test_R200_each_switch_does_what_postfixs_does(both, words):
    """Taken or not, and whether the letter goes; where Postfix says 75 for a mistake of whoever calls, ours says which (64, 65)."""
    mark, found = "s" + re.sub(r"\W", lambda m: f"{ord(m[0]):x}", "".join(words)), []
    for number, (_, sink) in enumerate(both):
        before = len(sink.letters)
        done = subprocess.run(["sendmail", *(["-C", f"{Both.postfix.home}/etc"] if number == 0 else []), *(words if "-f" in words else ["-f", f"{mark}@one.example", *words]),
                               *([] if words[0][:2] in ("-q", "-I") or words[0] in ("-bp", "-bi") or "-q" in words else ["x@there.example"])],
                              executable="/usr/sbin/sendmail" if number == 0 else BINARY, input=f"Subject: {mark}\n\nx\n", text=True, capture_output=True, timeout=60,
                              env={**os.environ, **({"MAIL_CONFIG": str(Both.house.config)} if number else {})})
        status = done.returncode if number == 0 else {64: 75, 65: 75}.get(done.returncode, done.returncode)
        goes = status == 0 and words[0] not in ("-bp", "-bi", "-q", "-bh", "-bH")
        if goes:
            [(mail, _)] = wait_for(lambda: [(mail, to) for mail, to, text in sink.letters[before:] if f"Subject: {mark}".encode() in text and "<>" not in mail], 60)
            found.append((status, re.sub(r" (SIZE|BODY)=\S+", "", mail)))
        else:
            found.append((status, ""))
            assert not [1 for _, _, text in sink.letters[before:] if f"Subject: {mark}".encode() in text]
        assert done.stderr or not status
    assert found[0] == found[1]
