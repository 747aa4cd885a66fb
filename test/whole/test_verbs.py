# SPDX-License-Identifier: ISC
"""Every extension of SMTP from the client's first word to the mailbox, the queue or the notice, with real clients:
smtplib with chunks by hand, swaks, and Postfix that relays to us by SMTP and by LMTP."""

import email.utils
import imaplib
import os
import pathlib
import re
import shutil
import smtplib
import ssl
import subprocess
import tempfile

import pytest
from house import House, free_ports, wait_for

PASSWORD = "secret-enough"
PEOPLE = ["jill@example.com", "jack@example.com", "张@例子.测试"]


@pytest.fixture(scope="module")
def house():
    with House(mynetworks="", smtpd_deliver_by_minimum="1s", smtpd_recipient_restrictions=None) as house:
        house.command("domain", "add", "example.com")
        house.command("domain", "add", "例子.测试")
        for who in PEOPLE:
            house.command("account", "add", who, "--password-file", "/dev/stdin", input=PASSWORD + "\n")
        wait_for(lambda: ready(house))
        yield house


def ready(house):
    with house.smtp() as s:
        s.ehlo("test.example")
        s.mail("")
        return s.rcpt("jill@example.com")[0] == 250


def mailbox(house, who):
    """All letters of somebody."""
    context = ssl._create_unverified_context()
    imap = imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], ssl_context=context)
    imap.authenticate("PLAIN", lambda _: f"\0{who}\0{PASSWORD}".encode())
    imap.select()
    numbers = imap.search(None, "ALL")[1][0].split()
    letters = [imap.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in numbers]
    imap.logout()
    return letters


def found(house, who, words, count=1):
    def look():
        has = [x for x in mailbox(house, who) if words in x]
        return has if len(has) >= count else None
    return wait_for(look)


def chunks(smtp, content, size, last=True):
    """BDAT by hand, pipelined; the replies."""
    pieces = [content[i:i + size] for i in range(0, len(content), size)] or [b""]
    smtp.send(b"".join(b"BDAT %d%s\r\n" % (len(p), b" LAST" if last and i + 1 == len(pieces) else b"") + p
                       for i, p in enumerate(pieces)))
    return [smtp.getreply() for _ in pieces]


def begin(smtp, to, sender="a@example.org", mail="", rcpt=""):
    assert smtp.docmd(f"MAIL FROM:<{sender}> {mail}".strip())[0] == 250
    for one in to:
        assert smtp.docmd(f"RCPT TO:<{one}> {rcpt}".strip())[0] == 250


@pytest.mark.parametrize("size", [977, 65536, 3 << 20])
def test_a_large_binary_letter_in_chunks_comes_as_it_was_sent(house, size):
    body = os.urandom(1 << 20) + b"\r\n.\r\nQUIT\r\n" + bytes(range(256))
    mark = os.urandom(8).hex().encode()
    letter = (b"Subject: " + mark + b"\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
              b"Content-Transfer-Encoding: binary\r\n\r\n" + body)
    with house.smtp() as s:
        s.ehlo("test.example")
        begin(s, ["jill@example.com"], mail="BODY=BINARYMIME")
        said = chunks(s, letter, size)
        assert all(code == 250 for code, _ in said) and b"queued as" in said[-1][1]
    got, = found(house, "jill@example.com", mark)
    assert got.endswith(letter)


def test_chunks_of_a_client_that_goes_away_are_no_letter(house):
    before = house.count("lost connection after BDAT (10 bytes)")
    s = house.smtp()
    s.ehlo("test.example")
    begin(s, ["jill@example.com"])
    assert chunks(s, b"Subject: gone\r\n\r\n", 100, last=False) == [(250, b"2.0.0 Ok: 17 bytes")]
    s.send(b"BDAT 100000 LAST\r\nhalf of it")
    s.close()
    wait_for(lambda: house.count("lost connection after BDAT (10 bytes)") > before)
    assert not any(b"half of it" in x for x in mailbox(house, "jill@example.com"))


def submit(house, mail, content, to=("jill@example.com",), rcpt=""):
    s = house.smtp("submission")
    s.starttls(context=ssl._create_unverified_context())
    s.login("jack@example.com", PASSWORD)
    begin(s, to, "jack@example.com", mail, rcpt)
    code, text = s.data(content)
    assert code == 250
    s.quit()
    return text.decode().split()[-1]


def test_success_is_told_to_who_asks(house):
    submit(house, "RET=FULL ENVID=id+2B1", b"Subject: x\r\n\r\nx\r\n",
           rcpt="NOTIFY=SUCCESS ORCPT=rfc822;Jill+20Doe@example.com")
    notice, = found(house, "jack@example.com", b"Original-Envelope-Id: id+1")
    for line in [b"Action: delivered", b"Status: 2.0.0", b"Final-Recipient: rfc822; jill@example.com",
                 b"Original-Recipient: rfc822; Jill Doe@example.com", b"Return-Path: <>"]:
        assert line in notice


def test_never_is_never(house):
    before = len(mailbox(house, "jack@example.com"))
    id = submit(house, "", b"Subject: y\r\n\r\ny\r\n", to=["jill@example.com"], rcpt="NOTIFY=NEVER")
    wait_for(lambda: f"{id}: removed" in house.text())
    assert len(mailbox(house, "jack@example.com")) == before


def test_a_letter_waits_for_its_release_through_a_restart(house):
    id = submit(house, "HOLDFOR=3600", b"Subject: later\r\n\r\nx\r\n")
    listed = lambda: house.command("queue", "list").stdout
    assert id in wait_for(listed) and "as its sender wishes" in listed()
    house.command("queue", "flush")
    assert id in listed()
    assert house.stop() == 0
    house.start()
    wait_for(lambda: ready(house))
    assert id in listed() and "as its sender wishes" in listed()
    assert f"{id}: removed" not in house.text()


def test_what_is_not_there_in_time_comes_back(house):
    # Its mailbox waits for the release, and the time is over before.
    with House(mynetworks="", smtpd_deliver_by_minimum="1s", minimal_backoff_time="1s", relayhost="[127.0.0.1]:1") as one:
        one.command("domain", "add", "example.com")
        for who in PEOPLE[:2]:
            one.command("account", "add", who, "--password-file", "/dev/stdin", input=PASSWORD + "\n")
        wait_for(lambda: ready(one))
        submit(one, "BY=2;R RET=FULL", b"Subject: in a hurry\r\n\r\nthe whole of it\r\n", to=["x@elsewhere.example"])
        notice, = found(one, "jack@example.com", b"Status: 5.4.7")
        assert b"the whole of it" in notice and b"Action: failed" in notice


def test_addresses_and_domains_beyond_ascii(house):
    text = "From: ü@bücher.example\r\nTo: 张@例子.测试\r\nSubject: 你好\r\n\r\n你好\r\n".encode()
    for to in ["张@例子.测试", "张@xn--fsqu00a.xn--0zwm56d"]:
        with house.smtp() as s:
            s.ehlo("test.example")
            s.command_encoding = "utf-8"
            assert s.mail("ü@bücher.example", ["SMTPUTF8", "BODY=8BITMIME"])[0] == 250
            assert s.rcpt(to)[0] == 250
            assert s.data(text)[0] == 250
    got = found(house, "张@例子.测试", "Subject: 你好".encode(), 2)
    assert all(b"with UTF8SMTP id" in x for x in got)
    assert all("for <张@xn--fsqu00a.xn--0zwm56d>".encode() in x for x in got)


def test_lmtp_tells_each_recipient_its_own_fate(house):
    room = len(mailbox(house, "jack@example.com")) + 1
    house.command("account", "set", "jack@example.com", "--quota-messages", str(room))
    try:
        with house.smtp("lmtp") as s:
            assert s.docmd("LHLO test.example")[0] == 250
            begin(s, ["jill@example.com", "jack@example.com"])
            # Meanwhile another letter takes the last place in jack's mailbox.
            with house.smtp() as other:
                other.ehlo("test.example")
                begin(other, ["jack@example.com"])
                assert other.data(b"Subject: the last\r\n\r\n")[0] == 250
            def full():
                with house.smtp() as other:
                    other.ehlo("test.example")
                    other.mail("a@example.org")
                    return other.rcpt("jack@example.com")[0] in (452, 552)
            wait_for(full)
            assert s.docmd("DATA")[0] == 354
            s.send(b"Subject: for two\r\n\r\nx\r\n.\r\n")
            code, text = s.getreply()
            assert code == 250 and b"<jill@example.com> Ok: queued as" in text
            code, text = s.getreply()
            assert code in (452, 552) and b"<jack@example.com> Quota exceeded" in text
        found(house, "jill@example.com", b"Subject: for two")
        assert not any(b"Subject: for two" in x for x in mailbox(house, "jack@example.com"))
    finally:
        house.command("account", "set", "jack@example.com", "--quota-messages", "default")


@pytest.mark.skipif(shutil.which("swaks") is None, reason="needs swaks")
def test_swaks_submits_with_dsn_and_utf8(house):
    mark = os.urandom(8).hex()
    done = subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{house.ports['submission']}", "-tls", "-a", "PLAIN", "-au", "jack@example.com",
         "-ap", PASSWORD, "-f", "jack@example.com", "-t", "jill@example.com", "--header", f"Subject: {mark}",
         "--body", "x"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "CHUNKING" in done.stdout and "SMTPUTF8" in done.stdout
    found(house, "jill@example.com", mark.encode())


# ---- Postfix as the client ----

MASTER = """{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    def __init__(self, transport):
        self.home = tempfile.mkdtemp(prefix="postfix-to-us-")
        os.chmod(self.home, 0o755)
        self.port, = free_ports(1)
        for name in ("etc", "queue", "data"):
            os.mkdir(f"{self.home}/{name}")
        shutil.chown(f"{self.home}/data", "postfix")
        with open(f"{self.home}/etc/main.cf", "w") as f:
            f.write(f"""compatibility_level = 3.6
queue_directory = {self.home}/queue
data_directory = {self.home}/data
maillog_file = {self.home}/log
maillog_file_prefixes = {self.home}
myhostname = relay.example
mydestination =
inet_interfaces = 127.0.0.1
mynetworks = 127.0.0.1
smtpd_peername_lookup = no
smtputf8_enable = yes
default_transport = {transport}
default_database_type = hash
alias_maps =
""")
        with open(f"{self.home}/etc/master.cf", "w") as f:
            f.write(MASTER.format(port=f"127.0.0.1:{self.port}"))
        subprocess.run(["postfix", "-c", f"{self.home}/etc", "start"], check=True, capture_output=True, timeout=60)

    def close(self):
        subprocess.run(["postfix", "-c", f"{self.home}/etc", "stop"], capture_output=True, timeout=60)
        shutil.rmtree(self.home, ignore_errors=True)

    def log(self):
        try:
            with open(f"{self.home}/log") as f:
                return f.read()
        except FileNotFoundError:
            return ""


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")
@pytest.mark.parametrize("service", ["smtp", "lmtp"])
def test_postfix_relays_to_us(house, service):
    postfix = Postfix(f"{service}:[127.0.0.1]:{house.ports[service]}" if service == "smtp"
                      else f"lmtp:inet:127.0.0.1:{house.ports[service]}")
    try:
        mark = os.urandom(8).hex()
        sent = (f"From: jack@example.com\r\nTo: 张@例子.测试\r\nDate: Sun, 22 Nov 2026 01:35:19 +0000\r\nMessage-ID: <{mark}@x>\r\n"
                f"Subject: 你好 {mark}\r\n\r\n你好\r\n").encode()
        with smtplib.SMTP("127.0.0.1", postfix.port, timeout=20) as s:
            s.ehlo("test.example")
            assert s.mail("jack@example.com", ["SMTPUTF8", "BODY=8BITMIME", "ENVID=x1", "RET=HDRS"])[0] == 250
            assert s.rcpt("jill@example.com", ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;jill@example.com"])[0] == 250
            s.command_encoding = "utf-8"
            assert s.rcpt("张@例子.测试", ["NOTIFY=NEVER"])[0] == 250
            assert s.rcpt("nobody@example.com", ["NOTIFY=NEVER"])[0] == 250
            assert s.data(sent)[0] == 250
        for who in ["jill@example.com", "张@例子.测试"]:
            letter, = found(house, who, mark.encode())
            assert f"with UTF8{service.upper()} id".encode() in letter
            assert letter.endswith(sent)
        # What it said of DSN came along: the notice is ours, as we offer DSN.
        notice = found(house, "jack@example.com", b"Original-Envelope-Id: x1")[-1]
        assert b"Action: delivered" in notice and b"Reporting-MTA: dns; mail.example.com" in notice
        bounced = wait_for(lambda: re.search(r"to=<nobody@example.com>.*dsn=5.1.1, status=bounced", postfix.log()))
        assert bounced
    finally:
        postfix.close()


def test_the_page_of_conformance_knows_every_word():
    root = pathlib.Path(__file__).resolve().parents[2]
    page = (root / "docs/conformance-smtp.md").read_text()
    words = re.findall(r'^\t\{ EXTENSION_\w+,\s+"([A-Z0-9-]+)"', (root / "src/smtp/receiver/offer.c").read_text(), re.M)
    assert len(words) > 15
    assert [w for w in words if not re.search(rf"^\| (?:[A-Z, -]*\b)?{w}\b", page, re.M)] == []


def test_wishes_go_on_and_come_back_with_the_notice():
    """rfc6710:5, 7, rfc2852:5: the priority stands in the trace and is the notice's, too; the notice tells by when it was to be there."""
    from test_sending import Sink
    from test_sending import house as sending

    def manners(verb, argument, _):
        return "550 5.1.1 unknown here" if verb == "RCPT" and "nobody" in argument else None
    with Sink(manners, offers=("DELIVERBY", "MT-PRIORITY", "DSN")) as sink, \
            sending(relayhost=f"[127.0.0.1]:{sink.port}", smtpd_priority_permitted="trusted") as h:
        with wait_for(h.smtp) as s:
            s.sendmail("ann@out.example", ["nobody@there.example", "x@there.example"], "Subject: urgent\r\n\r\nx\r\n",
                       mail_options=["MT-PRIORITY=5", "BY=7200;N"])
        letters = wait_for(lambda: len(sink.letters) == 2 and sink.letters)
        notice, letter = sorted((content for _, _, content in letters), key=lambda c: b"Action: failed" not in c)
        trace = re.sub(rb"\s+", b" ", re.search(rb"^Received: (?:.*\n[ \t])*.*", letter, re.M)[0])
        assert re.search(rb" id \w+ PRIORITY 5; ", trace), trace
        verbs = [c for c in sink.commands if c.startswith("MAIL")]
        assert len(verbs) == 2 and all("MT-PRIORITY=5" in v for v in verbs), verbs
        assert re.search(r"BY=7\d\d\d;N", verbs[0]) and "BY=" not in verbs[1]
        fields = notice.partition(b"message/delivery-status")[2]
        arrived, by = (email.utils.parsedate_to_datetime(re.search(rb"\r\n" + name + rb": (.*)\r\n", fields)[1].decode())
                       for name in (b"Arrival-Date", b"Deliver-By-Date"))
        assert 7198 <= (by - arrived).total_seconds() <= 7202
