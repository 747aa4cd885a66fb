# SPDX-License-Identifier: ISC
"""The log, read by the programs that read Postfix's and Dovecot's."""

import base64
import imaplib
import json
import pathlib
import poplib
import re
import shutil
import subprocess

import pytest
from house import House
from kit import ROOT, letter, wait_for, word


@pytest.fixture(scope="module")
def day():
    """The log of a day whose letters were counted."""
    import tempfile
    from kit import Demo
    place = tempfile.mkdtemp(prefix="mansio-demo-")
    d = Demo(place + "/demo", "--set", "auth_failure_delay=50ms")
    d.start()
    for i in range(7):
        d.send(letter(f"{word()}", "z" * 70 + "\n"), to="jack@example.com")
    d.send(letter(last := word()), to=["jill@example.com", "jsmith@example.com"])
    for to in ("joe@example.com", "nobody@example.com", "eva@example.net"):
        with d.smtp() as s:
            s.ehlo()
            s.mail("stranger@example.org")
            assert s.rcpt(to)[0] in (550, 554)
    with d.smtp("submission") as s:
        s.ehlo()
        plain = base64.b64encode(b"\0jill@example.com\0wrong").decode()
        assert s.docmd("AUTH", f"PLAIN {plain}")[0] == 535
    with pytest.raises(imaplib.IMAP4.error):
        d.imap("jill", "wrong")
    box = poplib.POP3_SSL("127.0.0.1", d.port("pop3s"), context=d.local(), timeout=20)
    with pytest.raises(poplib.error_proto):
        box.user("jill@example.com")
        box.pass_("wrong")
    d.find(last, "jsmith")
    wait_for(lambda: d.log().count("removed") >= 9)
    assert d.stop() == 0
    yield place + "/demo/mail.log"
    shutil.rmtree(place, ignore_errors=True)


def test_pflogsumm_counts_right(day):
    out = subprocess.run(["pflogsumm", "--syslog-name=mansio", day], capture_output=True, text=True, check=True).stdout
    totals = {m[2].strip(): int(m[1]) for m in re.finditer(r"^ {1,8}(\d+)k? +([a-z][a-z ]+?)(?: +\(.*)?$", out, re.M)}
    # the letter of the proof, seven, and one for two
    assert totals["received"] == 9, out
    assert totals["delivered"] == 10, out
    assert totals["rejected"] == 3, out
    assert totals["deferred"] == totals["bounced"] == 0, out
    assert "User unknown" in out and "Relay access denied" in out


def test_each_letter_can_be_followed_by_its_id(day):
    text = pathlib.Path(day).read_text()
    ids = re.findall(r"smtpd\[\d+\]: ([0-9A-Za-z]+): client=", text)
    assert len(ids) == len(set(ids)) == 9
    for i in ids:
        lines = [line for line in text.splitlines() if f": {i}: " in line]
        assert [part for part in ("client=", "message-id=<", "from=<", "to=<", "status=sent", "removed")
                if not any(part in line for line in lines)] == []


def test_nothing_secret_is_in_the_log(day):
    text = pathlib.Path(day).read_text()
    assert "way-station" not in text and "wrong" not in text


def test_fail2ban_sees_every_failed_login(day, tmp_path):
    jail = tmp_path / "filter.d" / "mansio.conf"
    shutil.copytree("/etc/fail2ban/filter.d", tmp_path / "filter.d")
    shutil.copy(ROOT / "packaging/fail2ban/mansio.conf", jail)
    done = subprocess.run(["fail2ban-regex", "--print-all-matched", day, str(jail)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    failures = int(re.search(r"Failregex: (\d+) total", done.stdout)[1])
    assert failures == 3, done.stdout        # by SMTP, IMAP and POP3


def test_the_filter_for_postfix_reads_it_too(day, tmp_path):
    """Where syslog_name is postfix."""
    log = tmp_path / "mail.log"
    log.write_text(pathlib.Path(day).read_text().replace(" mansio/", " postfix/"))
    done = subprocess.run(["fail2ban-regex", str(log), "postfix[mode=auth]"], capture_output=True, text=True)
    assert int(re.search(r"Failregex: (\d+) total", done.stdout)[1]) == 1, done.stdout


def test_as_json_each_line_is_an_object(own):
    demo = own("--set", "log_format=json").start()
    demo.find("horses")
    assert demo.stop() == 0
    lines = [json.loads(line) for line in demo.log().splitlines()]
    assert any("status=sent" in str(line) for line in lines)
    assert any("Login" in str(line) for line in lines)


def test_R373_the_log_tells_who_asked_most():
    """As anvil's lines have it: rate and count of connections, rates of what is limited, and each once."""
    with House(smtpd_peername_lookup="no", anvil_status_update_time="1s", smtpd_client_message_rate_limit="100", receiver_processes="1") as h:
        h.command("domain", "add", "example.com")
        h.command("account", "add", "jill@example.com", input="secret\n")
        h.at_work()
        with h.smtp() as one, h.smtp():
            one.sendmail("a@out.example", ["jill@example.com"], "Subject: x\r\n\r\nx\r\n")
            for what in (r"connection rate \d/60s", r"connection count 2", r"message rate 1/60s"):
                line = rf"mansio/anvil\[\d+\]: statistics: max {what} for \(smtp:127\.0\.0\.1\) at \w{{3}} [ \d]\d \d\d:\d\d:\d\d\n"
                wait_for(lambda: re.search(line, h.text()))
