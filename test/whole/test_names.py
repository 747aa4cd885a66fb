# SPDX-License-Identifier: ISC
"""What clients are called: a name server with signed zones beside us, one that misbehaves, and none.

    MANSIO=build/src/mansio python3 test/whole/test_names.py
"""

import imaplib
import os
import pathlib
import re
import socket
import ssl
import struct
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import House, wait_for
from nameservers import Nsd

REVERSE = "{}.0.0.127.in-addr.arpa."
# The root itself, so that no delegation is needed; each address is a case.
ZONE = """$TTL 300
. IN SOA ns.example. host.example. 1 3600 600 86400 300
. IN NS ns.example.
ns.example. A 127.0.0.1
9.0.0.127.in-addr.arpa. PTR mail.client.example.
mail.client.example. A 127.0.0.9
10.0.0.127.in-addr.arpa. PTR mail.client.example.
11.0.0.127.in-addr.arpa. PTR nowhere.client.example.
13.0.0.127.in-addr.arpa. PTR evil\\010Nov\\0321\\000.client.example.
14.0.0.127.in-addr.arpa. PTR forged.client.example.
forged.client.example. A 127.0.0.14
16.0.0.127.in-addr.arpa. CNAME 16.class.example.
16.class.example. PTR Alias.Client.example.
alias.client.example. CNAME other.client.example.
other.client.example. A 127.0.0.16
*.many.example. A 127.0.0.17
""" + "".join(f"17.0.0.127.in-addr.arpa. PTR a-name-of-some-length-{i}.many.example.\n" for i in range(120))


FORGED = [(r"(?m)^(forged\.client\.example\.\s.*\sA\s+)127\.0\.0\.14", r"\g<1>127.0.0.15")]


def name_server():
    """nsd with the zone above, signed; one record changed after that."""
    return Nsd({".": ZONE}, sign=["."], spoil=FORGED)


class Liar(threading.Thread):
    """Answers every question with what `reply` makes of it; None: silence."""

    def __init__(self, reply):
        super().__init__(daemon=True)
        self.reply, self.asked = reply, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                question, who = self.socket.recvfrom(4096)
            except OSError:
                return
            self.asked += 1
            end = question.index(0, 12) + 5
            answer = self.reply(question[:2], question[12:end])
            if answer is not None:
                self.socket.sendto(answer, who)

    def close(self):
        self.socket.close()


def header(number, flags, answers=0):
    return number + struct.pack(">5H", flags, 1, answers, 0, 0)


def house(port, **settings):
    h = House(dns_resolver=f"127.0.0.1:{port}", verifier_processes="1", receiver_processes="1", dns_timeout="1s", **settings)
    h.start()
    h.at_work()
    h.command("domain", "add", "example.com")
    h.command("account", "add", "jill@example.com", input="way-station\n")
    return h


def send(h, source, subject="hello"):
    """A letter from that address; what the connection is called in the log."""
    before = h.text()
    with socket.create_connection(("127.0.0.1", h.ports["smtp"]), 20, (source, 0)) as s:
        f = s.makefile("rwb", buffering=0)
        f.readline()
        for line in ["HELO c.example", "MAIL FROM:<a@c.example>", "RCPT TO:<jill@example.com>", "DATA",
                     f"Subject: {subject}\r\n\r\nx\r\n.", "QUIT"]:
            f.write(line.encode() + b"\r\n")
            reply = f.readline()
            assert reply[:1] in b"23", (line, reply)
    ended = wait_for(lambda: re.search(r"disconnect from (\S+)\[" + re.escape(source) + r"\]", h.text()[len(before):]))
    new = h.text()[len(before):]
    assert re.search(r"connect from (\S+)\[", new).group(1) == ended.group(1)
    assert re.search(r": client=(\S+)\[", new).group(1) == ended.group(1)
    return ended.group(1), new


class Names(unittest.TestCase):
    """One name server and one house for all; no test changes either."""

    @classmethod
    def setUpClass(cls):
        cls.server = name_server()
        cls.house = house(cls.server.port, dns_trust_anchor_file=str(cls.server.anchor), dns_validation="yes")

    @classmethod
    def tearDownClass(cls):
        cls.house.close()
        cls.server.close()

    def test_a_name_that_has_the_address_is_believed(self):
        name, _ = send(self.house, "127.0.0.9", "believed")
        self.assertEqual(name, "mail.client.example")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with imaplib.IMAP4_SSL("127.0.0.1", self.house.ports["imaps"], ssl_context=context, timeout=20) as c:
            c.login("jill@example.com", "way-station")
            def letter():
                c.select("INBOX", readonly=True)
                _, found = c.search(None, "SUBJECT", "believed")
                return c.fetch(found[0], "(BODY.PEEK[HEADER])")[1][0][1] if found[0] else None
            self.assertIn(b"from c.example (mail.client.example [127.0.0.9])", wait_for(letter))

    def test_another_hosts_name_is_not(self):
        name, log = send(self.house, "127.0.0.10")
        self.assertEqual(name, "unknown")
        self.assertIn("warning: hostname mail.client.example does not resolve to address 127.0.0.10\n", log)

    def test_nor_a_name_without_addresses(self):
        name, log = send(self.house, "127.0.0.11")
        self.assertEqual(name, "unknown")
        self.assertIn("hostname nowhere.client.example does not resolve to address 127.0.0.11: ", log)

    def test_no_name_at_all(self):
        self.assertEqual(send(self.house, "127.0.0.12")[0], "unknown")

    def test_bytes_that_are_no_name_reach_no_log(self):
        name, log = send(self.house, "127.0.0.13")
        self.assertEqual(name, "unknown")
        self.assertNotIn("evil", log)

    def test_a_forged_answer_is_none(self):
        name, log = send(self.house, "127.0.0.14")
        self.assertEqual(name, "unknown")
        self.assertNotIn("127.0.0.15", log)

    def test_aliases_are_followed(self):
        self.assertEqual(send(self.house, "127.0.0.16")[0], "alias.client.example")

    def test_an_answer_too_large_for_a_datagram(self):
        self.assertRegex(send(self.house, "127.0.0.17")[0], r"^a-name-of-some-length-\d+\.many\.example$")

    def test_ourselves_are_not_asked_about(self):
        self.assertEqual(send(self.house, "127.0.0.1")[0], "localhost")

    def test_who_asks_is_known(self):
        cages = {p["role"]: p["cage"] for p in self.house.status()}
        self.assertEqual({r for r, c in cages.items() if "asks-names" in c.split()}, {"verifier", "policy", "sender"} if os.geteuid() == 0 else set())


class OddServers(unittest.TestCase):
    def one(self, reply, **settings):
        liar = Liar(reply)
        self.addCleanup(liar.close)
        h = house(liar.port, **settings)
        self.addCleanup(h.close)
        return liar, h

    def test_a_server_that_fails(self):
        _, h = self.one(lambda number, question: header(number, 0x8182) + question)
        self.assertEqual(send(h, "127.0.0.9")[0], "unknown")

    def test_a_server_that_is_silent_holds_nobody_for_long(self):
        liar, h = self.one(lambda number, question: None)
        for source in ["127.0.0.9", "127.0.0.10"]:
            self.assertEqual(send(h, source)[0], "unknown")
        self.assertGreater(liar.asked, 0)

    def test_a_server_that_babbles(self):
        babble = [b"", b"\0", b"\xff" * 200, b"\0\x01\xc0\x0c" * 100]
        turn = iter(range(1 << 20))

        def reply(number, question):
            return header(number, 0x8180, 9) + question + babble[next(turn) % len(babble)]
        _, h = self.one(reply)
        self.assertEqual(send(h, "127.0.0.9")[0], "unknown")
        self.assertEqual({p["restarts"] for p in h.status()}, {0})

    def test_without_a_resolver_or_when_so_said_nobody_is_asked(self):
        liar, h = self.one(lambda number, question: None, smtpd_peername_lookup="no")
        self.assertEqual(send(h, "127.0.0.9")[0], "unknown")
        self.assertEqual(liar.asked, 0)
        h.write_settings(dns_resolver="none", smtpd_peername_lookup="yes")
        h.command("reload")
        self.assertEqual(send(h, "127.0.0.9")[0], "unknown")
        self.assertEqual(liar.asked, 0)
        caged = wait_for(lambda: [p for p in h.at_work() if p["role"] == "verifier" and p["restarts"] == 1])
        self.assertNotIn("asks-names", caged[0]["cage"])
        if os.geteuid() == 0:
            self.assertNotEqual(os.readlink(f"/proc/{caged[0]['pid']}/ns/net"), os.readlink("/proc/self/ns/net"))

    def test_a_resolver_set_while_we_run(self):
        server = name_server()
        self.addCleanup(server.close)
        _, h = self.one(lambda number, question: None)
        h.write_settings(dns_resolver=f"127.0.0.1:{server.port}")
        h.command("reload")
        wait_for(lambda: send(h, "127.0.0.9")[0] == "mail.client.example")

    def test_a_bad_resolver_is_refused(self):
        h = House(dns_resolver="somewhere")
        self.addCleanup(h.close)
        with self.assertRaises(RuntimeError) as no:
            h.start()
        self.assertIn("dns_resolver = somewhere", str(no.exception))


if __name__ == "__main__":
    unittest.main(verbosity=2)
