# SPDX-License-Identifier: ISC
"""What the catalogue says of LMTP, of senders that say what they like, and of quarantine: each test has the number of its row."""

import grp
import os
import pwd
import re
import smtplib
import socket

import pytest
from house import House, wait_for
from ports import free_ports

SECRET = "secret-of-theirs"


class Village(House):
    def start(self, wait=True):
        super().start(wait)
        self.command("domain", "add", "here.example")
        for who in ("u", "v"):
            self.command("account", "add", f"{who}@here.example", input=SECRET + "\n")
        self.at_work()


@pytest.fixture(scope="module")
def village():
    with Village(smtpd_peername_lookup="no") as house:
        yield house


def lmtp(where):
    """The replies of one line each, to what is said."""
    s = socket.create_connection(("127.0.0.1", where), 20) if isinstance(where, int) else socket.socket(socket.AF_UNIX)
    if not isinstance(where, int):
        s.settimeout(20)
        s.connect(where)
    f = s.makefile("rb")

    def hear():
        while True:
            line = f.readline().decode()
            if line[3:4] != "-":
                return line.strip()

    def say(text, answers=1):
        s.sendall(text.encode() + b"\r\n")
        got = [hear() for _ in range(answers)]
        return got[0] if answers == 1 else got
    assert hear().startswith("220")
    assert say("LHLO client.example").startswith("250")
    return say


def deliver(say, to, subject):
    """What each of them is told."""
    assert say("MAIL FROM:<a@out.example>").startswith("250")
    taken = [one for one in to if say(f"RCPT TO:<{one}>").startswith("250")]
    assert say("DATA").startswith("354")
    got = say(f"Subject: {subject}\r\nMessage-ID: <{subject}@out.example>\r\n\r\nx\r\n.", len(taken))
    return [got] if len(taken) == 1 else got


def test_R299_each_recipient_has_a_reply_over_tcp_and_over_a_socket():
    with House() as probe:
        path = f"{probe.directory}/lmtp.sock"
        os.chmod(probe.directory, 0o755)
        with Village(smtpd_peername_lookup="no", listen_lmtp=f"unix:{path}") as house:
            say = lmtp(path)
            assert [r[:3] for r in deliver(say, ["u@here.example", "v@here.example"], "both")] == ["250", "250"]
            assert say("RCPT TO:<u@here.example>").startswith("503")
            assert say("QUIT").startswith("221")
            wait_for(lambda: house.count("status=sent") == 2)


def test_R302_a_socket_is_for_whom_settings_say():
    """Its owner, group and mode; also where a reload says something else, and a user who is not there is told."""
    with House() as probe:
        os.chmod(probe.directory, 0o755)
        path = f"{probe.directory}/lmtp.sock"
        with Village(smtpd_peername_lookup="no", listen_lmtp=f"unix:{path}",
                     **{"lmtp/listener_mode": "0640", "lmtp/listener_owner": "daemon", "lmtp/listener_group": "mail"}) as house:
            def rights():
                st = os.lstat(path)
                return oct(st.st_mode & 0o777), pwd.getpwuid(st.st_uid).pw_name, grp.getgrgid(st.st_gid).gr_name
            assert rights() == ("0o640", "daemon", "mail")
            assert deliver(lmtp(path), ["u@here.example"], "one")[0].startswith("250")
            good = house.config.read_text()
            house.config.write_text(good.replace("listener_mode = 0640", "listener_mode = 0600"))
            house.command("reload")
            wait_for(lambda: rights()[0] == "0o600")
            assert deliver(lmtp(path), ["u@here.example"], "two")[0].startswith("250")
            house.config.write_text(good.replace("listener_owner = daemon", "listener_owner = nobody-of-that-name"))
            wrong = house.command("config", "check", check=False)
            assert wrong.returncode != 0 and "lmtp/listener_mode" in wrong.stdout + wrong.stderr


def test_R300_postmaster_is_always_there(village):
    say = lmtp(village.ports["lmtp"])
    assert say("MAIL FROM:<>").startswith("250")
    assert say("RCPT TO:<Postmaster>").startswith("250")
    assert say("RCPT TO:<postmaster@here.example>").startswith("250")


def test_R301_quota_holds_at_delivery(village):
    village.command("account", "set", "v@here.example", "--quota-messages", "1")
    say = lmtp(village.ports["lmtp"])
    assert deliver(say, ["v@here.example"], "one")[0].startswith("250")

    def full():
        assert say("MAIL FROM:<a@out.example>").startswith("250")
        reply = say("RCPT TO:<v@here.example>")
        say("RSET")
        return reply.startswith(("452", "552")) and reply
    assert ".2.2 <v@here.example>" in wait_for(full)
    village.command("account", "set", "v@here.example", "--quota-messages", "default")


def test_R303_a_recipient_without_its_domain_is_said_to_be_unknown(village):
    say = lmtp(village.ports["lmtp"])
    assert say("MAIL FROM:<a@out.example>").startswith("250")
    assert say("RCPT TO:<nobody@here.example>").startswith("550 5.1.1")
    assert say("RCPT TO:<u@elsewhere.example>").startswith(("550", "554"))
    assert say("RCPT TO:<nemo-not-here>").startswith("550 5.1.1")
    assert say("RCPT TO:<U@HERE.example>").startswith("250")


def test_R304_a_delivery_makes_no_process(village):
    def processes():
        """Of ours, as the kernel has them: who is there, and how many any has made."""
        mine, made = {village.process.pid}, 0
        for p in village.status():
            mine.add(p["pid"])
        for pid in mine:
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                made += len(f.read().split())
        return mine, made
    before = processes()
    say = lmtp(village.ports["lmtp"])
    for n in range(30):
        assert deliver(say, ["u@here.example"], f"many{n}")[0].startswith("250")
    wait_for(lambda: village.count("message-id=<many29@") == 1)
    assert processes() == before


def test_R305_the_log_tells_of_a_delivery_from_its_client_to_its_mailbox(village):
    say = lmtp(village.ports["lmtp"])
    id = deliver(say, ["u@here.example"], "logged")[0].split()[-1]
    say("QUIT")
    wait_for(lambda: re.search(rf"{id}: to=<u@here.example>.*status=sent \(delivered to mailbox\)", village.text()))
    text = village.text()
    for line in (r"lmtpd\[\d+\]: connect from localhost\[127\.0\.0\.1\]", rf"lmtpd\[\d+\]: {id}: client=localhost\[127\.0\.0\.1\]",
                 rf"{id}: message-id=<logged@out\.example>", r"lmtpd\[\d+\]: disconnect from localhost\[127\.0\.0\.1\].*quit=1"):
        wait_for(lambda: re.search(line, village.text()))
    assert text


def test_R192_a_sender_who_is_believed_relays_nothing():
    """MAIL FROM is what anybody writes: a table of senders opens the recipients' list, not the road out; and who has not logged in
    is no sender of ours where that is asked."""
    with Village(smtpd_peername_lookup="no", smtpd_sender_restrictions="check_sender_access inline:{good@friend.example=OK}",
                 smtpd_recipient_restrictions="check_sender_access inline:{good@friend.example=OK}, reject") as house:
        with smtplib.SMTP("127.0.0.1", house.ports["smtp"], timeout=20) as s:
            s.ehlo("client.example")
            s.mail("good@friend.example")
            assert s.rcpt("u@here.example")[0] == 250
            assert b"Relay access denied" in s.rcpt("x@elsewhere.example")[1]
        house.write_settings(smtpd_sender_restrictions="reject_sender_login_mismatch, check_sender_access inline:{good@friend.example=OK}")
        house.command("reload")

        def refused():
            with smtplib.SMTP("127.0.0.1", house.ports["smtp"], timeout=20) as s:
                s.ehlo("client.example")
                s.mail("u@here.example")
                return b"not logged in" in s.rcpt("u@here.example")[1]
        wait_for(refused)


def test_a_listener_that_somebody_named_is_as_the_one_that_is_always_there():
    """Its clients are of mynetworks and nobody relays by it, and the lists of SMTP are not asked."""
    port = free_ports(1)[0]
    with Village(smtpd_peername_lookup="no", mynetworks="127.0.0.0/8", smtpd_sender_restrictions="reject", listeners="second",
                 **{"second/listener_service": "lmtp", "second/listener_address": f"127.0.0.1:{port}"}) as house:
        for where in (house.ports["lmtp"], port):
            say = lmtp(where)
            assert say("MAIL FROM:<a@out.example>").startswith("250")
            assert say("RCPT TO:<x@elsewhere.example>").startswith("554 5.7.1 <x@elsewhere.example>: Relay access denied")
            assert say("RCPT TO:<u@here.example>").startswith("250")
