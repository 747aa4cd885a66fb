# SPDX-License-Identifier: ISC
"""What happens to letters when one of the house dies, when space comes back, when a recipient is gone.

    MANSIO=build/src/mansio python3 test/whole/test_roles.py
"""

import hashlib
import imaplib
import os
import pathlib
import poplib
import re
import signal
import smtplib
import socket
import ssl
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import PATIENCE, House, wait_for

imaplib._MAXLINE = 200 << 20
PASSWORD = "way-station"


def trusting():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Village(House):
    """A house with people in it."""

    def __init__(self, *people, **settings):
        settings = {"keeper_processes": "1", "verifier_processes": "1", "receiver_processes": "1", "login_processes": "1",
                    "spool_segment_size": "1M", "auth_failure_delay": "0", **settings}
        super().__init__(**settings)
        self.people = people or ("jack", "jill")

    def start(self, wait=True):
        fresh = not (self.directory / "mail").exists()
        process = super().start(wait)
        self.at_work()
        if fresh:
            self.command("domain", "add", "example.com")
            for name in self.people:
                self.command("account", "add", f"{name}@example.com", input=PASSWORD + "\n")
        return process

    def pid_of(self, role):
        return wait_for(lambda: next((p["pid"] for p in self.status() if p["role"] == role and p["state"] == "working"), None))

    def kill(self, role):
        pid = self.pid_of(role)
        os.kill(pid, signal.SIGKILL)
        return pid

    def back(self, role, before):
        wait_for(lambda: self.pid_of(role) != before)

    def send(self, to, name, body="Hello.\r\n", sender="jack@example.com", service="smtp"):
        with self.smtp(service) as s:
            s.sendmail(sender, to if isinstance(to, list) else [to],
                       f"From: {sender}\r\nSubject: {name}\r\nMessage-ID: <{name}@x>\r\n\r\n{body}")

    def imap(self, user="jack"):
        c = imaplib.IMAP4_SSL("127.0.0.1", self.ports["imaps"], ssl_context=trusting(), timeout=PATIENCE)
        c.login(f"{user}@example.com", PASSWORD)
        return c

    def subjects(self, user="jack"):
        """Every subject in the INBOX, in order."""
        with self.imap(user) as c:
            c.select("INBOX", readonly=True)
            _, rows = c.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return [m.group(1).decode() for r in rows if isinstance(r, tuple) and (m := re.search(rb"Subject: (\S+)", r[1]))]

    def queue_is_empty(self):
        return "is empty" in self.command("queue", "list").stdout


class Deaths(unittest.TestCase):
    def test_keeper_killed_while_letters_are_in_flight(self):
        with Village() as v:
            names = [f"k{i}" for i in range(60)]
            for i, name in enumerate(names):
                v.send("jack@example.com", name)
                if i in (10, 30, 50):
                    v.kill("keeper")
            wait_for(v.queue_is_empty)
            self.assertEqual(sorted(v.subjects()), sorted(names))

    def test_queue_killed_while_receivers_hold_segments(self):
        """Every letter that was answered 250 comes, once, whichever moment the queue died in."""
        with Village() as v:
            sent, trouble = [], []

            def client(n):
                for i in range(40):
                    name = f"q{n}-{i}"
                    try:
                        v.send("jack@example.com", name)
                        sent.append(name)
                    except (smtplib.SMTPException, OSError) as why:
                        trouble.append(why)
                    time.sleep(0.01)

            clients = [threading.Thread(target=client, args=(n,)) for n in range(3)]
            for c in clients:
                c.start()
            for _ in range(4):
                time.sleep(0.25)
                before = v.kill("queue")
                v.back("queue", before)
            for c in clients:
                c.join()
            self.assertGreater(len(sent), 60, trouble[:3])
            wait_for(v.queue_is_empty)
            got = v.subjects()
            self.assertEqual(sorted(set(got)), sorted(set(got) | set(sent)))
            self.assertEqual(len(got), len(set(got)), "no letter twice")

    def test_letters_said_while_there_is_no_queue(self):
        with Village() as v:
            v.send("jack@example.com", "before")
            queue = v.pid_of("queue")
            os.kill(queue, signal.SIGSTOP)          # deaf, and then dead
            for i in range(5):
                v.send("jack@example.com", f"deaf{i}")
            os.kill(queue, signal.SIGKILL)
            for i in range(5):
                v.send("jack@example.com", f"away{i}")
            wait_for(lambda: len(v.subjects()) == 11)
            self.assertEqual(sorted(v.subjects()), sorted(["before"] + [f"{w}{i}" for w in ("deaf", "away") for i in range(5)]))

    def test_large_letters_while_there_is_no_queue(self):
        body = ("0123456789" * 7 + "\r\n") * 8000
        with Village() as v:
            v.send("jack@example.com", "before", body)
            v.kill("queue")
            for i in range(3):
                for _ in range(20):
                    try:
                        v.send("jack@example.com", f"large{i}", body)
                        break
                    except smtplib.SMTPResponseException as why:
                        self.assertEqual(why.smtp_code // 100, 4)
                        time.sleep(0.2)
            wait_for(lambda: sorted(v.subjects()) == ["before", "large0", "large1", "large2"])

    def test_everybody_killed_at_once(self):
        with Village() as v:
            for i in range(20):
                v.send("jack@example.com", f"e{i}")
            for role in ("receiver", "queue", "keeper", "clerk", "login", "verifier"):
                v.kill(role)
            v.at_work()
            v.send("jack@example.com", "after")
            wait_for(v.queue_is_empty)
            self.assertEqual(sorted(v.subjects()), sorted([f"e{i}" for i in range(20)] + ["after"]))

    def test_a_letter_that_was_read_and_expunged_stays_away(self):
        """However often the queue begins anew."""
        with Village() as v:
            v.send("jack@example.com", "once")
            wait_for(lambda: v.subjects() == ["once"])
            with v.imap() as c:
                c.select("INBOX")
                c.store("1", "+FLAGS", r"\Deleted")
                c.expunge()
            for _ in range(2):
                before = v.kill("queue")
                v.back("queue", before)
            v.send("jack@example.com", "twice")
            wait_for(lambda: v.subjects() == ["twice"])

    def test_clerk_killed_during_auth_and_resolve(self):
        with Village() as v:
            with v.smtp("submission") as s:
                s.starttls(context=trusting())
                s.ehlo()
                self.assertEqual(s.docmd("AUTH", "LOGIN")[0], 334)
                before = v.kill("clerk")
                v.back("clerk", before)
                self.assertEqual(s.docmd("amFjaw==")[0] // 100, 4)
                s.login("jack@example.com", PASSWORD)
            c = imaplib.IMAP4_SSL("127.0.0.1", v.ports["imaps"], ssl_context=trusting(), timeout=PATIENCE)
            c.send(b"x AUTHENTICATE LOGIN\r\n")
            self.assertIn(b"+ ", c.readline())
            before = v.kill("clerk")
            v.back("clerk", before)
            c.send(b"amFjaw==\r\n")
            self.assertIn(b"x NO [UNAVAILABLE]", c.readline())
            c.send(b'y LOGIN jack@example.com "' + PASSWORD.encode() + b'"\r\n')
            self.assertIn(b"y OK", c.readline())
            c.shutdown()
            with v.smtp() as s:
                s.ehlo()
                s.mail("a@remote.example")
                v.kill("clerk")
                self.assertEqual(s.rcpt("jill@example.com")[0], 250)
                self.assertEqual(s.rcpt("nobody@example.com")[0], 550)


class Append(unittest.TestCase):
    def append(self, c, text):
        answer = c.append("INBOX", r"(\Seen)", None, text)
        self.assertEqual(answer[0], "OK", answer)

    def fetched(self, c, number):
        _, rows = c.fetch(str(number), "(BODY.PEEK[])")
        return rows[0][1]

    def test_small_and_large(self):
        sizes = [1, 100, 200 << 10, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 3 << 20]
        with Village() as v, v.imap() as c:
            c.select("INBOX")
            texts = []
            for size in sizes:
                head = b"Subject: s%d\r\n\r\n" % size
                line = b"0123456789" * 7 + b"\r\n"
                text = head + line * (size // len(line) + 1)
                texts.append(text)
                self.append(c, text)
            for i, text in enumerate(texts):
                self.assertEqual(hashlib.sha256(self.fetched(c, i + 1)).digest(), hashlib.sha256(text).digest(), sizes[i])
        self.assertEqual(len(texts), len(sizes))

    def test_appended_letters_outlive_the_keeper(self):
        text = b"Subject: large\r\n\r\n" + b"0123456789" * 7 * 5000 + b"\r\n"
        with Village() as v:
            with v.imap() as c:
                self.append(c, text)
            v.back("keeper", v.kill("keeper"))
            with v.imap() as c:
                c.select("INBOX")
                self.assertEqual(self.fetched(c, 1), text)

    def test_first_append_after_start_and_without_a_queue(self):
        with Village() as v, v.imap() as c:
            v.kill("queue")
            self.append(c, b"Subject: small\r\n\r\nx\r\n")
            v.kill("queue")
            self.append(c, b"Subject: large\r\n\r\n" + b"y\r\n" * 200000)
            c.select("INBOX")
            self.assertEqual(self.fetched(c, 1), b"Subject: small\r\n\r\nx\r\n")

    def test_verifier_killed_during_it(self):
        text = b"Subject: large\r\n\r\n" + b"0123456789" * 6 * 10000 + b"\r\n"
        with Village() as v, v.imap() as c:
            done = threading.Event()

            def killer():
                while not done.is_set():
                    v.kill("verifier")
                    done.wait(0.4)

            t = threading.Thread(target=killer)
            t.start()
            answers = [c.append("INBOX", None, None, text)[0] for _ in range(12)]
            done.set()
            t.join()
            good = answers.count("OK")
            self.assertGreater(good, 0)
            c.select("INBOX")
            _, rows = c.fetch("1:*", "(RFC822.SIZE)")
            self.assertEqual(len(rows), good)
            for i in range(good):
                self.assertEqual(self.fetched(c, i + 1), text)


class Space(unittest.TestCase):
    def test_compaction_with_readers(self):
        """Most of a segment dies; what lives is read from where it was copied, by sessions that had it
        open before, by new ones, and after everybody was started anew."""
        body = "0123456789abcdef" * 1000 + "\r\n"
        with Village() as v:
            for i in range(180):
                v.send("jack@example.com" if i % 12 == 0 else "jill@example.com", f"c{i}", body)
            wait_for(v.queue_is_empty)
            plain = imaplib.IMAP4("127.0.0.1", v.ports["imap"], timeout=PATIENCE)
            plain.starttls(trusting())
            plain.login("jack@example.com", PASSWORD)
            with plain, v.imap() as c:
                plain.select("INBOX")
                c.select("INBOX")
                keep = [self.whole(c, n + 1) for n in range(15)]
                uids = c.uid("SEARCH", "ALL")[1][0].split()
                before = self.log_size(v)
                v.command("account", "delete", "jill@example.com")
                self.assertGreater(wait_for(lambda: self.compacted(v), 60), 0)
                for n, uid in enumerate(uids):
                    self.assertEqual(self.whole(c, n + 1), keep[n])
                    self.assertEqual(plain.uid("FETCH", uid.decode(), "(BODY.PEEK[])")[1][0][1], keep[n])
                self.assertLess(self.log_size(v), before - (1 << 20))
            for _ in range(2):
                for role in ("queue", "keeper"):
                    v.back(role, v.kill(role))
                with v.imap() as c:
                    c.select("INBOX")
                    self.assertEqual([self.whole(c, n + 1) for n in range(len(keep))], keep)
                    self.assertEqual(c.uid("SEARCH", "ALL")[1][0].split(), uids, "nothing came back")
            self.assertEqual(v.command("store", "check", check=False).stderr, "")

    def whole(self, c, n):
        return c.fetch(str(n), "(BODY.PEEK[])")[1][0][1]

    def log_size(self, v):
        return sum(p.stat().st_size for p in (v.directory / "mail/spool/letters").glob("*.seg"))

    def compacted(self, v):
        done = v.command("store", "compact", check=False)
        m = re.search(r"(\d+) segments removed, (\d+) letters copied, (\d+) bytes", done.stdout)
        if m is None or int(m.group(1)) == 0:
            time.sleep(2)
            return 0
        return int(m.group(3))


class Gone(unittest.TestCase):
    def test_a_recipient_who_vanished_is_told_to_the_sender(self):
        """Accepted for three, one of whom is deleted before delivery: a notice about that one."""
        with Village("jack", "jill", "zoe") as v:
            keeper = v.pid_of("keeper")
            os.kill(keeper, signal.SIGSTOP)
            v.send(["jill@example.com", "zoe@example.com"], "hello")
            v.command("account", "delete", "zoe@example.com")
            os.kill(keeper, signal.SIGKILL)
            wait_for(v.queue_is_empty)
            self.assertEqual(v.subjects("jill"), ["hello"])
            with v.imap("jack") as c:
                c.select("INBOX")
                notice = c.fetch("1", "(BODY[])")[1][0][1].decode()
            self.assertIn("Return-Path: <>", notice)
            self.assertIn("multipart/report", notice)
            self.assertRegex(notice, r"Final-Recipient: rfc822; ?zoe@example.com")
            self.assertRegex(notice, r"Status: 5\.1\.1")
            self.assertNotIn("jill@example.com", notice.split("message/delivery-status", 1)[1].split("--")[0])
            self.assertIn("Subject: hello", notice)
            accounts = list((v.directory / "mail/store/accounts").rglob("index.db"))
            self.assertEqual(len(accounts), 2, "nothing is left of zoe")

    def test_nobody_hears_of_a_notice_that_fails(self):
        with Village("jack", "jill") as v:
            keeper = v.pid_of("keeper")
            os.kill(keeper, signal.SIGSTOP)
            v.send("jill@example.com", "from-jack")
            v.command("account", "delete", "jill@example.com")
            v.command("account", "delete", "jack@example.com")
            os.kill(keeper, signal.SIGKILL)
            wait_for(v.queue_is_empty)
            wait_for(lambda: v.count(": removed") >= 2)

    def test_aliases_change_between_two_tries(self):
        with Village("jack", "jill") as v:
            v.command("alias", "add", "both@example.com", "jack@example.com", "jill@example.com")
            keeper = v.pid_of("keeper")
            os.kill(keeper, signal.SIGSTOP)
            v.send("both@example.com", "twins")
            os.kill(keeper, signal.SIGKILL)
            wait_for(v.queue_is_empty)
            self.assertEqual((v.subjects("jack"), v.subjects("jill")), (["twins"], ["twins"]))


class Logins(unittest.TestCase):
    def test_what_is_said_before_tls_is_not_heard_inside(self):
        """rfc3501:6.2.1, rfc2595:4: nobody can put commands in front of ours."""
        with Village() as v:
            for service, begin, forged, ask, first in (
                    ("imap", b"a STARTTLS\r\n", b"b NOOP\r\nc LOGIN mallory x\r\n", b"d CAPABILITY\r\n", b"* CAPABILITY"),
                    ("pop3", b"STLS\r\n", b"NOOP\r\nUSER mallory\r\n", b"PASS x\r\n", b"-ERR No username")):
                s = socket.create_connection(("127.0.0.1", v.ports[service]), PATIENCE)
                s.recv(1000)
                s.sendall(begin + forged)
                self.assertIn(b"OK", s.recv(1000))
                t = trusting().wrap_socket(s)
                t.sendall(ask)
                self.assertTrue(t.recv(1000).startswith(first))
                t.close()

    def test_pop3_and_imap_in_every_way(self):
        with Village() as v:
            v.send("jack@example.com", "mail")
            wait_for(v.queue_is_empty)
            c = imaplib.IMAP4("127.0.0.1", v.ports["imap"], timeout=PATIENCE)
            self.assertIn("LOGINDISABLED", c.capabilities)
            with self.assertRaisesRegex(imaplib.IMAP4.error, "PRIVACYREQUIRED"):
                c.login("jack@example.com", PASSWORD)
            c.starttls(trusting())
            self.assertNotIn("LOGINDISABLED", c.capabilities)
            with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
                c.login("jack@example.com", "wrong")
            c.authenticate("PLAIN", lambda _: b"\0jack@example.com\0" + PASSWORD.encode())
            self.assertEqual(c.select("INBOX")[0], "OK")
            c.logout()
            p = poplib.POP3("127.0.0.1", v.ports["pop3"], timeout=PATIENCE)
            with self.assertRaises(poplib.error_proto):
                p.user("jack@example.com")
            p.stls(trusting())
            p.user("jack@example.com")
            p.pass_(PASSWORD)
            self.assertEqual(p.stat()[0], 1)
            p.quit()


if __name__ == "__main__":
    unittest.main(verbosity=2)
