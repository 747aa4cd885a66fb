# SPDX-License-Identifier: ISC
"""Roles that die, disks that are full, clients that are hostile: the others go on."""

import imaplib
import os
import signal
import smtplib
import socket
import subprocess
import threading
import time

import pytest
from kit import letter, wait_for, word

AS_ROOT = os.geteuid() == 0
ROLES = ["receiver", "login", "verifier", "queue", "keeper", "clerk", "signer"]


def at_work(demo):
    return wait_for(lambda: (p := demo.processes()) and all(q["state"] == "working" for q in p) and p)


def found(demo, subject):
    """None while those who would show it are not there."""
    try:
        return demo.find(subject)
    except (OSError, imaplib.IMAP4.error):
        return None


@pytest.fixture(scope="module")
def victim():
    """A server whose roles are killed."""
    import shutil
    import tempfile
    from kit import Demo
    place = tempfile.mkdtemp(prefix="mansio-demo-")
    d = Demo(place + "/demo", "--set", "minimal_backoff_time=1s", "--set", "maximal_backoff_time=2s",
             "--set", "smtpd_client_connection_count_limit=0", "--set", "login_client_connection_limit=0")
    yield d.start()
    d.stop()
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize("role", ROLES)
def test_after_a_role_was_killed_the_mail_goes_on(victim, role):
    before = at_work(victim)
    for p in before:
        if p["role"] == role:
            os.kill(p["pid"], signal.SIGKILL)
    subject = word()

    def sent():
        try:
            with victim.smtp("submission", "jack") as s:
                s.send_message(letter(subject))
            return True
        except (OSError, smtplib.SMTPException):
            return False
    wait_for(sent)

    wait_for(lambda: found(victim, subject))
    time.sleep(0.5)
    assert victim.count(subject) == 1
    after = {p["pid"] for p in at_work(victim)}
    assert {p["pid"] for p in before if p["role"] != role} <= after, "the others stayed"


def test_a_letter_accepted_while_the_keepers_are_dead_comes_later(victim):
    subject = word()
    for p in at_work(victim):
        if p["role"] == "keeper":
            os.kill(p["pid"], signal.SIGKILL)
    with victim.smtp() as s:
        s.send_message(letter(subject))
    wait_for(lambda: found(victim, subject))
    assert victim.count(subject) == 1


def test_letters_survive_the_death_of_all(own):
    demo = own().start()
    subjects = [word() for _ in range(20)]
    with demo.smtp() as s:
        for subject in subjects:
            s.send_message(letter(subject))
    os.killpg(demo.pid, signal.SIGKILL)
    assert demo.process.wait(30) == 1
    demo.start()
    for subject in subjects:
        demo.find(subject)
    for subject in subjects:
        assert demo.count(subject) == 1
    done = demo.command("store", "check", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# A full disk

@pytest.fixture
def small(tmp_path):
    """A disk of 48 MiB."""
    image, at = tmp_path / "image", tmp_path / "disk"
    at.mkdir()
    with open(image, "wb") as f:
        f.truncate(96 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    if subprocess.run(["mount", "-o", "loop", str(image), str(at)], capture_output=True).returncode != 0:
        pytest.skip("no loop devices here")
    yield at
    subprocess.run(["umount", "-l", str(at)])


def fill(path, leave):
    """A file that leaves so many bytes free."""
    s = os.statvfs(path.parent)
    size = max(0, s.f_bavail * s.f_frsize - leave)
    with open(path, "wb") as f:
        f.write(b"")
        os.posix_fallocate(f.fileno(), 0, size)


@pytest.mark.skipif(not AS_ROOT, reason="needs root to mount")
def test_a_full_disk_refuses_for_now_and_heals_by_itself(small):
    from kit import Demo
    demo = Demo(small / "demo", "--set", "spool_segment_size=1M", "--set", "queue_minfree=4M",
                "--set", "minimal_backoff_time=1s", "--set", "maximal_backoff_time=2s")
    ballast = small / "ballast"
    try:
        demo.start()
        before = word()
        demo.send(letter(before))
        demo.find(before)
        fill(ballast, 512 << 10)

        def refused():
            """Room that was lent before may be used; then no more is to be had."""
            try:
                demo.send(letter(word(), "x" * 70 + "\n" * 40000))
                return None
            except smtplib.SMTPResponseException as e:
                return e.smtp_code, e.smtp_error
            except smtplib.SMTPRecipientsRefused as e:
                return next(iter(e.recipients.values()))
        code, text = wait_for(refused, 60)
        assert (code, text[:5]) == (452, b"4.3.1"), text

        box = demo.imap()
        typ, said = box.append("INBOX", None, None, letter(word(), "y" * 3000000).as_bytes())
        assert typ == "NO", said
        box.select()
        assert box.search(None, "SUBJECT", before)[1][0], "what is there can be read"
        assert box.noop()[0] == "OK"
        box.logout()

        ballast.unlink()
        after = word()

        def accepted():
            try:
                demo.send(letter(after))
                return True
            except (smtplib.SMTPException, OSError):
                return False
        wait_for(accepted, 40)
        demo.find(after)
        box = demo.imap()
        assert box.append("INBOX", None, None, letter(word(), "y" * 3000000).as_bytes())[0] == "OK"
        box.logout()
        assert demo.stop() == 0
        demo.start()
        assert demo.count(before) == 1 and demo.count(after) == 1
        done = demo.command("store", "check", check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        demo.stop()


# Hostile clients

def memory(demo):
    """KiB of all roles that speak with the world, and of those behind them."""
    return sum(p["memory_kib"] for p in at_work(demo))


def pour(port, first, piece, seconds):
    """Say much, hear nothing of it."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as s:
            s.settimeout(2)
            s.sendall(first)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                s.send(piece)
    except OSError:
        pass


ENVELOPE = b"EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<jill@example.com>\r\n"
POURED = {
    "a line without an end":             ("smtp", b"EHLO x\r\n", b"x", 65536),
    "nothing but NUL":                   ("smtp", b"", b"\0", 65536),
    "NOOP without end":                  ("smtp", b"EHLO x\r\n", b"NOOP\r\n", 8192),
    "a header without end":              ("smtp", ENVELOPE + b"DATA\r\n", b"X: y\r\n", 8192),
    "one field without end":             ("smtp", ENVELOPE + b"DATA\r\nX: ", b"y", 65536),
    "recipients without end":            ("smtp", ENVELOPE, b"RCPT TO:<jill@example.com>\r\n", 2048),
    "RSET without end":                  ("lmtp", b"LHLO x\r\n", b"RSET\r\n", 8192),
    "a literal of a gigabyte":           ("imap", b"a LOGIN {1000000000}\r\n", b"x", 65536),
    "brackets without end":              ("imap", b"a ", b"(", 65536),
    "IMAP NOOP without end":             ("imap", b"", b"a NOOP\r\n", 8192),
    "a user's name without end":         ("pop3", b"USER ", b"x", 65536),
    "CAPA without end":                  ("pop3", b"", b"CAPA\r\n", 8192),
    "half a handshake, again and again": ("imaps", b"", b"\x16\x03\x01\xff\xff", 8192),
}


@pytest.mark.parametrize("what", POURED)
def test_who_pours_is_closed_or_paused_and_costs_little(victim, what):
    service, first, unit, times = POURED[what]
    base = memory(victim)
    threads = [threading.Thread(target=pour, args=(victim.port(service), first, unit * times, 1.5)) for _ in range(8)]
    for t in threads:
        t.start()
    time.sleep(1.0)
    grown = memory(victim) - base
    began = time.monotonic()
    with victim.smtp() as s:
        assert s.noop()[0] == 250
    took = time.monotonic() - began
    for t in threads:
        t.join()
    assert took < 5
    assert grown < 64 * 1024, f"{grown} KiB for 8 clients"


def test_a_letter_of_ten_thousand_parts_and_one_of_ten_thousand_depths(victim):
    many, deep = word(), word()
    parts = "".join(f"--b\r\nContent-Type: text/plain\r\n\r\n{i}\r\n" for i in range(20000))
    depths = "".join(f'Content-Type: multipart/mixed; boundary="b{i}"\r\n\r\n--b{i}\r\n' for i in range(10000))
    for subject, body in ((many, f'Content-Type: multipart/mixed; boundary="b"\r\n\r\n{parts}--b--\r\n'), (deep, depths)):
        raw = f"From: a@example.org\r\nTo: jill@example.com\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n{body}".encode()
        with victim.smtp() as s:
            s.sendmail("a@example.org", ["jill@example.com"], raw)
        assert victim.find(subject).endswith(raw)
        box = victim.imap()
        box.select()
        number = box.search(None, "SUBJECT", subject)[1][0].split()[0]
        assert box.fetch(number, "(BODYSTRUCTURE)")[0] == "OK"
        box.logout()
    at_work(victim)


def test_a_silent_client_and_half_a_line_disturb_nobody(victim):
    held = []
    for service in ("smtp", "submission", "imap", "pop3", "imaps", "lmtp"):
        for _ in range(20):
            s = socket.create_connection(("127.0.0.1", victim.port(service)), 5)
            s.send(b"EHL")
            held.append(s)
    subject = word()
    victim.send(letter(subject))
    victim.find(subject)
    for s in held:
        s.close()


# Secrets

@pytest.mark.skipif(not AS_ROOT, reason="needs root to look into processes")
def test_no_private_key_is_in_the_memory_of_those_who_speak_with_the_world(demo):
    key = demo.dir / "tls/mail.example.com-key.pem"
    subject = word()
    demo.send(letter(subject))
    demo.find(subject)
    text = subprocess.run(["openssl", "ec", "-in", str(key), "-noout", "-text"], capture_output=True, text=True).stdout
    number = bytes.fromhex("".join(text.split("priv:")[1].split("pub:")[0].split()).replace(":", ""))[-32:]
    needles = [number, number[::-1], key.read_bytes().splitlines()[1]]
    for p in at_work(demo):
        if p["role"] == "signer":
            continue
        with open(f"/proc/{p['pid']}/maps") as maps, open(f"/proc/{p['pid']}/mem", "rb", 0) as mem:
            for line in maps:
                span, rights = line.split()[:2]
                assert rights[:3] != "rwx", (p["role"], line)
                if not rights.startswith("r") or "[v" in line:
                    continue
                start, end = (int(n, 16) for n in span.split("-"))
                try:
                    mem.seek(start)
                    piece = mem.read(end - start)
                except OSError:
                    continue
                assert not any(n in piece for n in needles), (p["role"], line)
