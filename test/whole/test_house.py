# SPDX-License-Identifier: ISC
"""The house as a whole: cages, deaths, wrong mouths, reload, stop.

    MANSIO=build/src/mansio python3 test/whole/test_house.py
"""

import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import stat
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import BINARY, PATIENCE, ROOT, House, make_certificate, wait_for

AS_ROOT = os.geteuid() == 0
SANITIZED = b"__asan_init" in pathlib.Path(BINARY).read_bytes()
NOBODY = 65534

# What each role may see of the file system (docs: src/role/confine.c); the sender where sockets of LMTP may lie.
VIEWS = {
    "receiver": set(), "login": set(), "verifier": set(), "signer": set(),
    "policy": {"policy"}, "sender": {"var", "run"}, "queue": {"spool"}, "keeper": {"spool", "store"}, "clerk": {"directory"}, "chronicle": {"events"},
}


def facts_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def word_number(name):
    """As the enum in wire.h counts them, from 1."""
    rows = re.findall(r"^\tX\((\w+),", (ROOT / "src/role/wire.h").read_text(), re.MULTILINE)
    return rows.index(name) + 1


def borrow(pid, fd):
    """A descriptor of another process, as a socket of ours (pidfd_getfd)."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    got = libc.syscall(438, pidfd, fd, 0)
    os.close(pidfd)
    if got < 0:
        return None
    if not stat.S_ISSOCK(os.fstat(got).st_mode):
        os.close(got)
        return None
    return socket.socket(fileno=got)


def say(link, word, body=b""):
    link.sendall(struct.pack("<IHHI", len(body), word, 0, 0) + body)


def memory_of(pid):
    """All that can be read of a process, piece by piece."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("r") or "[v" in line:
                continue
            start, end = (int(n, 16) for n in span.split("-"))
            try:
                memory.seek(start)
                yield memory.read(end - start)
            except OSError:
                continue


class Cages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.house = House()
        cls.house.start()
        cls.processes = cls.house.at_work()
        cls.roles = [p for p in cls.processes if p["role"] != "postmaster"]

    @classmethod
    def tearDownClass(cls):
        cls.house.close()

    def test_every_role_is_there(self):
        self.assertEqual({p["role"] for p in self.processes}, {"postmaster", *VIEWS})

    def test_no_role_can_gain_anything(self):
        for p in self.roles:
            with self.subTest(role=p["role"]):
                facts = facts_of(p["pid"])
                self.assertEqual(facts["NoNewPrivs"], "1")
                if not SANITIZED:
                    self.assertEqual(facts["Seccomp"], "2")
                for thread in pathlib.Path(f"/proc/{p['pid']}/task").iterdir():
                    text = (thread / "status").read_text()
                    self.assertIn("NoNewPrivs:\t1", text)
                    if not SANITIZED:
                        self.assertIn("Seccomp:\t2", text)

    @unittest.skipUnless(AS_ROOT, "needs root")
    def test_every_role_has_its_own_account(self):
        uids = {}
        for p in self.roles:
            facts = facts_of(p["pid"])
            ids = set(facts["Uid"].split()) | set(facts["Gid"].split())
            self.assertEqual(len(ids), 1, p["role"])
            self.assertNotIn("0", ids)
            self.assertEqual(facts["Groups"].strip(), "")
            uids.setdefault(p["role"], set()).update(ids)
        self.assertTrue(all(len(u) == 1 for u in uids.values()), uids)
        self.assertEqual(len(set.union(*uids.values())), len(uids), uids)

    @unittest.skipUnless(AS_ROOT, "needs root")
    def test_no_role_has_capabilities(self):
        for p in self.roles:
            for thread in pathlib.Path(f"/proc/{p['pid']}/task").iterdir():
                facts = (thread / "status").read_text()
                for kind in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]:
                    self.assertIn(f"{kind}:\t0000000000000000", facts, p["role"])

    @unittest.skipUnless(AS_ROOT, "needs root")
    def test_the_postmaster_keeps_few_capabilities(self):
        facts = facts_of(self.house.process.pid)
        # CHOWN DAC_OVERRIDE FOWNER KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT
        # SYS_ADMIN SYS_RESOURCE FSETID, as linux/capability.h numbers them
        kept = sum(1 << n for n in [0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 21, 24])
        for kind in ["CapPrm", "CapEff", "CapBnd"]:
            self.assertEqual(int(facts[kind], 16) & ~kept, 0, kind)

    @unittest.skipUnless(AS_ROOT, "needs root")
    def test_without_namespaces_there_is_still_a_cage(self):
        if SANITIZED or not shutil.which("capsh"):
            self.skipTest("needs capsh")
        house = House(wrapper=["capsh", "--drop=cap_sys_admin", "--shell=/usr/bin/env", "--"])
        process = house.start(wait=False)
        self.assertEqual(process.wait(30), 1)
        self.assertIn("must let others pass", house.text())
        house.directory.chmod(0o755)
        with house:
            for p in house.at_work():
                if p["role"] == "postmaster":
                    continue
                facts = facts_of(p["pid"])
                self.assertEqual((facts["Seccomp"], facts["NoNewPrivs"], int(facts["CapEff"], 16)), ("2", "1", 0))
                self.assertNotIn("0", facts["Uid"].split())
                self.assertIn("no-view(", p["cage"])
                if not VIEWS[p["role"]]:
                    self.assertEqual(os.listdir(f"/proc/{p['pid']}/root"), [])
            with house.smtp() as client:
                self.assertEqual(client.noop()[0], 250)

    @unittest.skipUnless(AS_ROOT, "needs root")
    def test_a_role_sees_its_own_directories_and_no_more(self):
        for p in self.roles:
            for thread in pathlib.Path(f"/proc/{p['pid']}/task").iterdir():
                seen = set(os.listdir(thread / "root"))
                self.assertEqual(seen - {"dev"}, VIEWS[p["role"]], p["role"])
                if "dev" in seen:
                    self.assertEqual(os.listdir(thread / "root/dev"), ["urandom"])

    @unittest.skipUnless(AS_ROOT, "needs root")
    def test_only_who_asks_the_resolver_lives_in_the_network_of_the_host(self):
        ours = os.readlink("/proc/self/ns/net")
        outside = {p["role"] for p in self.roles if os.readlink(f"/proc/{p['pid']}/ns/net") == ours}
        self.assertEqual(outside, {"verifier", "policy", "sender"})

    def test_nothing_is_writable_and_executable(self):
        for p in self.processes:
            maps = pathlib.Path(f"/proc/{p['pid']}/maps").read_text()
            self.assertNotRegex(maps, r"(?m)^\S+ rwx", p["role"])

    @unittest.skipUnless(AS_ROOT and not SANITIZED, "needs root, and memory of a size to be read")
    def test_the_private_key_is_in_the_signer_alone(self):
        key = self.house.settings["smtpd_tls_key_file"]
        text = subprocess.run(["openssl", "ec", "-in", key, "-noout", "-text"], capture_output=True,
                              text=True, check=True).stdout
        digits = re.search(r"priv:\s+([0-9a-f:\s]+)pub:", text).group(1)
        number = bytes.fromhex(re.sub(r"[:\s]", "", digits))[-32:]
        with socket.create_connection(("127.0.0.1", self.house.ports["imaps"])) as plain:
            context = ssl._create_unverified_context()
            context.wrap_socket(plain).close()
        needles = [number, number[::-1], pathlib.Path(key).read_bytes().splitlines()[1]]
        holders = {p["role"] for p in self.processes
                   for piece in memory_of(p["pid"]) if any(n in piece for n in needles)}
        self.assertLessEqual(holders, {"signer"})

    def test_the_house_is_small(self):
        memory = sum(p["memory_kib"] for p in self.house.status())
        print(f"\n  all roles idle: {memory / 1024:.1f} MiB", file=sys.stderr)
        if not SANITIZED:
            self.assertLess(memory, 60 * 1024)


class Deaths(unittest.TestCase):
    def setUp(self):
        self.house = House()
        self.house.start()
        self.addCleanup(self.house.close)

    def successor(self, old):
        """Whoever has the place of a process that died, once all are at work again."""
        return wait_for(lambda: next((p for p in self.house.at_work()
                                      if (p["role"], p["index"]) == (old["role"], old["index"])
                                      and p["pid"] != old["pid"]), None))

    def test_a_role_that_dies_is_started_again_and_the_others_go_on(self):
        for role in VIEWS:
            with self.subTest(role=role):
                before = self.house.at_work()
                victim = next(p for p in before if p["role"] == role)
                os.kill(victim["pid"], signal.SIGKILL)
                new = self.successor(victim)
                self.assertGreaterEqual(new["restarts"], 1)
                others = {p["pid"] for p in before if p["pid"] != victim["pid"]}
                self.assertLessEqual(others, {p["pid"] for p in self.house.status()})
        with self.house.smtp() as client:
            self.assertEqual(client.noop()[0], 250)

    def test_when_the_postmaster_dies_all_die_and_the_next_start_works(self):
        pids = [p["pid"] for p in self.house.at_work()]
        self.house.process.kill()
        self.house.process.wait()
        self.house.start()
        self.assertFalse(any(p["pid"] in pids for p in self.house.at_work()))
        with self.house.smtp() as client:
            self.assertEqual(client.noop()[0], 250)

    def links_of(self, pid):
        """Its links to other roles: unnamed connected unix sockets, but for the one to the postmaster."""
        for fd in sorted(map(int, os.listdir(f"/proc/{pid}/fd"))):
            link = borrow(pid, fd) if fd > 3 else None
            if link is None:
                continue
            listening = link.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if link.family == socket.AF_UNIX and link.type == socket.SOCK_STREAM and not listening:
                yield link
            else:
                link.close()

    @unittest.skipUnless(AS_ROOT and hasattr(os, "pidfd_open"), "needs root")
    def test_a_word_from_the_wrong_mouth_ends_who_said_it(self):
        for role in ["receiver", "login", "verifier"]:
            with self.subTest(role=role):
                victim = next(p for p in self.house.at_work() if p["role"] == role)
                links = list(self.links_of(victim["pid"]))
                self.assertTrue(links)
                for link in links:
                    try:
                        say(link, word_number("STOP"))
                    except OSError:
                        pass
                    link.close()
                self.successor(victim)
                self.assertRegex(self.house.text(), rf"{role} {victim['index']} said STOP to \w+ \d+, which it may not")

    def link_between(self, one, other):
        """The end that `one` has of the socket to `other`, as the kernel knows the pairs."""
        said = subprocess.run(["ss", "-xnpH"], capture_output=True, text=True, check=True).stdout
        ends = {}
        for line in said.splitlines():
            found = re.search(r"\* (\d+)\s+\* (\d+)", line)
            if found:
                ends[found[1]] = (found[2], re.findall(r"pid=(\d+),fd=(\d+)", line))
        for far, holders in ends.values():
            for pid, fd in holders:
                if pid == str(one["pid"]) and str(other["pid"]) in [p for p, _ in ends.get(far, ("", []))[1]]:
                    return borrow(one["pid"], int(fd))
        return None

    @unittest.skipUnless(AS_ROOT and hasattr(os, "pidfd_open") and shutil.which("ss"), "needs root")
    def test_a_login_opens_no_mailbox_for_which_the_clerk_gave_no_pass(self):
        """A login that was taken over names an account; nobody has logged in."""
        login, keeper = (next(p for p in self.house.at_work() if p["role"] == role) for role in ["login", "keeper"])
        text = lambda t: struct.pack("<I", len(t)) + t
        peer = struct.pack("<BH", 2, 4000) + bytes([127, 0, 0, 1]) + bytes(12) + text(b"127.0.0.1")
        for words in [b"", bytes(56), struct.pack("<q", 1 << 60) + os.urandom(48)]:
            with self.subTest(shown=words):
                link = self.link_between(login, keeper)
                self.assertIsNotNone(link)
                ours, theirs = socket.socketpair()
                body = (text(b"imap") + text(b"jill@example.com") + struct.pack("<Q", 1) + text(b"PLAIN") + peer + peer + b"\1"
                        + text(b"TLSv1.3") + text(b"rogue") + text(b"a1") + text(b"") + text(b"") + text(words) + text(b""))
                head = struct.pack("<IHHI", len(body), word_number("SESSION"), 1, 77)
                socket.send_fds(link, [head + body], [theirs.fileno()])
                theirs.close()
                ours.settimeout(PATIENCE)
                self.assertEqual(ours.recv(1000), b"a1 NO [UNAVAILABLE] Log in again, please.\r\n")
                self.assertEqual(ours.recv(1000), b"")
                link.close()
        self.assertIn("shows no pass of the clerk for jill@example.com: refused", self.house.text())

    @unittest.skipUnless(AS_ROOT and hasattr(os, "pidfd_open"), "needs root")
    def test_nonsense_to_the_postmaster_ends_who_said_it(self):
        victim = next(p for p in self.house.at_work() if p["role"] == "receiver")
        link = borrow(victim["pid"], 3)
        say(link, word_number("DELIVER"))
        link.close()
        self.successor(victim)
        self.assertIn("said DELIVER to the postmaster", self.house.text())

    @unittest.skipUnless(AS_ROOT and hasattr(os, "pidfd_open"), "needs root")
    def test_a_broken_body_ends_who_said_it(self):
        victim = next(p for p in self.house.at_work() if p["role"] == "receiver")
        for link in list(self.links_of(victim["pid"])):
            try:
                say(link, word_number("RESOLVE"), b"\xff\xff\xff\xff")
            except OSError:
                pass
            link.close()
        self.successor(victim)


class Days(unittest.TestCase):
    """Start, reload, stop."""

    def setUp(self):
        self.house = House()
        self.addCleanup(self.house.close)

    def test_a_second_start_is_refused_in_words(self):
        self.house.start()
        second = subprocess.run([BINARY, "-c", self.house.config, "run"], capture_output=True, text=True, timeout=30)
        self.assertEqual(second.returncode, 1)
        self.assertIn(f"a server is running already for {self.house.config}", second.stderr)
        self.assertIn(str(self.house.process.pid), second.stderr)

    def test_a_bad_file_is_refused_at_start(self):
        self.house.write_settings(message_size_limit="much")
        process = self.house.start(wait=False)
        self.assertEqual(process.wait(30), 1)
        self.assertRegex(self.house.said(), r"main\.cf:\d+: message_size_limit = much: write a size")

    def test_a_bad_file_is_refused_at_reload_and_the_running_one_stays(self):
        self.house.start()
        with self.house.smtp() as client:
            self.house.write_settings(smtpd_recipient_limit="many")
            asked = self.house.command("reload", check=False)
            self.assertEqual(asked.returncode, 1)
            self.assertRegex(asked.stderr, r"main\.cf:\d+: smtpd_recipient_limit = many: write a whole number")
            self.assertEqual(client.noop()[0], 250)
        self.assertIn("reload refused", self.house.text())
        with self.house.smtp() as client:
            self.assertEqual(client.noop()[0], 250)

    def test_reload_keeps_sessions_and_follows_listeners(self):
        self.house.start()
        pids = {p["pid"] for p in self.house.at_work()}
        old, new = self.house.ports["submission"], self.house.ports["lmtp"]
        with self.house.smtp() as client:
            self.house.write_settings(listen_submission=f"127.0.0.1:{new}", listen_lmtp="")
            self.house.command("reload")
            self.assertEqual(client.noop()[0], 250)
            self.house.ports["submission"] = new
            with self.house.smtp("submission") as other:
                self.assertEqual(other.ehlo("client.example")[0], 250)
            wait_for(lambda: self.refused(old))
            self.assertEqual(client.noop()[0], 250)
        self.assertEqual({p["pid"] for p in self.house.at_work()}, pids)

    def test_who_is_looked_up_at_a_reload_is_answered(self):
        """Role proxymap leaves at each, where nothing but users of the operating system is asked of it."""
        self.house.start()
        for n in range(60):
            self.house.command("reload")
            with self.house.smtp() as client:
                client.ehlo("client.example")
                client.mail("x@far.example")
                self.assertEqual(client.rcpt(f"nobody{n}@localhost")[0], 550)

    def refused(self, port):
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except ConnectionRefusedError:
            return True
        return False

    def subject(self, service):
        with socket.create_connection(("127.0.0.1", self.house.ports[service]), PATIENCE) as plain:
            with ssl._create_unverified_context().wrap_socket(plain) as secure:
                return secure.getpeercert(binary_form=True)

    def test_sighup_reads_the_certificate_again(self):
        self.house.start()
        before = self.subject("imaps")
        cert, key = make_certificate(self.house.directory, "mail.example.com",
                                     ("rsa:2048",))
        reloads = self.house.count("reload -- version")
        self.house.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.house.count("reload -- version") > reloads)
        after = wait_for(lambda: (now := self.subject("imaps")) != before and now)
        wait_for(lambda: self.subject("submissions") == after)
        self.assertEqual(after, ssl.PEM_cert_to_DER_cert(cert.read_text()))

    def test_sighup_opens_the_log_again(self):
        self.house.start()
        old = self.house.log.with_suffix(".1")
        self.house.log.rename(old)
        self.house.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.house.count("reload -- version"))
        def speak():
            with self.house.smtp() as client:
                client.noop()
            return self.house.count("connect from")
        wait_for(speak)
        self.assertNotIn("reload -- version", old.read_text())

    def test_stop_is_in_order(self):
        self.house.start()
        client = self.house.smtp()
        self.addCleanup(client.close)
        self.assertEqual(self.house.stop(), 0)
        self.assertEqual(client.getreply()[0], 421)
        self.assertIn("postmaster[%d]: stopped" % self.house.process.pid, self.house.text())
        self.assertEqual(os.listdir(self.house.directory / "mail/run"), ["tickets"])     # keys of TLS tickets outlive a restart
        self.assertEqual(self.house.command("status", check=False).returncode, 2)

    def test_the_command_stop_waits_until_all_have_gone(self):
        self.house.start()
        self.assertEqual(self.house.command("stop").returncode, 0)
        self.assertEqual(self.house.process.wait(5), 0)

    def test_no_server_is_said_in_words(self):
        for command in ["status", "reload", "stop"]:
            done = self.house.command(command, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"no server is running for {self.house.config}", done.stderr)

    def test_a_directory_anybody_may_write_to_is_refused(self):
        self.house.start()
        self.assertEqual(self.house.stop(), 0)
        os.chmod(self.house.directory / "mail/spool", 0o777)
        process = self.house.start(wait=False)
        self.assertEqual(process.wait(30), 1)
        self.assertIn("anybody may write here", self.house.said())

    def test_it_is_ready_soon(self):
        self.house.start()
        self.assertEqual(self.house.stop(), 0)
        self.house.start()
        ms = int(re.findall(r"ready in (\d+) ms", self.house.text())[-1])
        print(f"\n  ready in {ms} ms", file=sys.stderr)

    def test_systemd_is_told(self):
        path = str(self.house.directory / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(path)
            systemd.settimeout(PATIENCE)
            os.environ.update(NOTIFY_SOCKET=path, WATCHDOG_USEC="200000")
            try:
                self.house.start()
            finally:
                del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
            heard = lambda words: any(words in systemd.recv(1024) for _ in range(100))
            self.assertTrue(heard(b"READY=1"))
            self.assertTrue(heard(b"WATCHDOG=1"))
            self.house.process.send_signal(signal.SIGHUP)
            self.assertTrue(heard(b"RELOADING=1"))
            self.assertTrue(heard(b"READY=1"))
            self.house.process.send_signal(signal.SIGTERM)
            self.assertTrue(heard(b"STOPPING=1"))
            self.assertEqual(self.house.process.wait(60), 0)


@unittest.skipUnless(AS_ROOT, "needs root")
class OrdinaryUser(unittest.TestCase):
    def test_everything_works_without_root(self):
        with House(user=NOBODY) as house:
            for p in house.at_work():
                facts = facts_of(p["pid"])
                self.assertEqual(set(facts["Uid"].split()), {str(NOBODY)})
                self.assertEqual(facts["NoNewPrivs"], "1")
                if p["role"] != "postmaster" and not SANITIZED:
                    self.assertEqual(facts["Seccomp"], "2")
            with house.smtp() as client:
                self.assertEqual(client.noop()[0], 250)
            self.assertEqual(house.stop(), 0)


class Settings(unittest.TestCase):
    def setUp(self):
        self.house = House()
        self.addCleanup(self.house.close)

    def test_check_names_the_line_and_what_is_right(self):
        self.assertEqual(self.house.command("config", "check").returncode, 0)
        self.house.config.write_text("myhostname = mail.example.com\nmessage_size_limit = 5X\nlisten_smpt = *:25\n")
        done = self.house.command("config", "check", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("main.cf:2: message_size_limit = 5X: write a size", done.stderr)
        self.assertIn("main.cf:3: listen_smpt is not a setting; did you mean listen_smtp?", done.stderr)

    def test_show_says_what_counts(self):
        self.house.config.write_text("myhostname = mail.example.com\nmyorigin = $mydomain\n"
                                     "submission/smtpd_tls_security_level = encrypt\n")
        show = lambda *words: self.house.command("config", "show", *words).stdout
        self.assertEqual(show("-n"), "myhostname = mail.example.com\nmyorigin = $mydomain\n"
                                     "submission/smtpd_tls_security_level = encrypt\n")
        self.assertEqual(show("myorigin"), "myorigin = $mydomain\n")
        self.assertEqual(show("-d", "myorigin"), "myorigin = $myhostname\n")
        self.assertEqual(show("-x", "-h", "myorigin"), "example.com\n")
        self.assertIn("log_format = text\n", show())
        self.assertEqual(self.house.command("config", "show", "nonsense", check=False).returncode, 1)

    def test_set_keeps_comments_and_refuses_what_is_wrong(self):
        self.house.config.write_text("# ours\nmyhostname = a.example\n# end\n")
        self.house.command("config", "set", "myhostname=b.example", "log_format = json")
        self.assertEqual(self.house.config.read_text(),
                         "# ours\nmyhostname = b.example\n# end\nlog_format = json\n")
        before = self.house.config.read_text()
        self.assertEqual(self.house.command("config", "set", "log_format=xml", check=False).returncode, 1)
        self.assertEqual(self.house.config.read_text(), before)
        self.assertEqual(self.house.command("config", "set", "log_format", check=False).returncode, 2)

    def test_the_manual_pages_are_clean(self):
        for page in ["mansio", "main.cf"]:
            text = self.house.command("manual", page).stdout
            lint = subprocess.run(["mandoc", "-Tlint", "-Wstyle"], input=text, capture_output=True, text=True)
            complaints = [line for line in lint.stdout.splitlines() if "referenced manual not found" not in line]
            self.assertEqual(complaints, [], page)


if __name__ == "__main__":
    unittest.main()
