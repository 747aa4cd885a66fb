# SPDX-License-Identifier: ISC
"""Attacks that need a house of their own: a header without end, filters that never answer, a disk that is full at the worst moment."""

import os
import resource
import smtplib
import socket
import subprocess

import pytest
from house import House, free_ports, wait_for

MIB = 1 << 20


def most_memory(house):
    """MiB that receivers, verifiers and policy have had at most."""
    most = 0
    for p in house.at_work():
        if p["role"] in ("receiver", "verifier", "policy"):
            with open(f"/proc/{p['pid']}/status") as f:
                most = max(most, *(int(line.split()[1]) // 1024 for line in f if line.startswith("VmHWM")))
    return most


def letter_passes(house):
    with house.smtp() as s:
        s.sendmail("a@out.example", ["jill@example.com"], "Subject: well\r\n\r\nx\r\n")


@pytest.mark.parametrize("unit", [b"X-%07d: y\r\n", b"X-Long:%07d" + b"z" * 900 + b"\r\n"], ids=["short fields", "long ones"])
def test_a_header_of_200_mib_costs_no_memory(unit):
    with House(dns_resolver="none", message_size_limit="0", mailbox_size_limit="0", smtpd_timeout="60s") as house:
        house.command("domain", "add", "example.com")
        house.command("account", "add", "jill@example.com", input="secret\n")
        letter_passes(house)
        before = most_memory(house)
        with socket.create_connection(("127.0.0.1", house.ports["smtp"]), 60) as s, s.makefile("rb") as f:
            for line in (b"", b"HELO c.example\r\n", b"MAIL FROM:<a@out.example>\r\n", b"RCPT TO:<jill@example.com>\r\n", b"DATA\r\n"):
                s.sendall(line)
                assert f.readline()[:1] in b"23"
            sent = 0
            while sent < 200 * MIB:
                sent += s.sendall(piece := b"".join(unit % n for n in range(2000))) or len(piece)
            s.sendall(b"\r\nx\r\n.\r\n")
            assert f.readline().startswith(b"552")
            s.sendall(b"NOOP\r\n")
            assert f.readline().startswith(b"250")
        assert most_memory(house) < before + 32
        letter_passes(house)


def test_ten_thousand_sessions_wait_for_a_filter_that_never_answers():
    """Each costs little, nobody without that filter notices, and when its time is over nothing is left of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    sessions, port = min(10000, hard // 2 if hard > 0 else 10000), free_ports(1)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 3 * sessions), hard))
    with socket.create_server(("127.0.0.1", port), backlog=4 * sessions), \
            House(smtpd_milters=f"{{ inet:127.0.0.1:{port}, connect_timeout = 15s, default_action = tempfail }}", smtpd_peername_lookup="no",
                  smtpd_client_connection_count_limit="0", smtpd_connection_limit=str(3 * sessions), dns_resolver="none",
                  smtpd_client_event_limit_exceptions="127.0.0.0/8", **{"lmtp/smtpd_milters": ""}) as house:
        house.command("domain", "add", "example.com")
        house.command("account", "add", "jill@example.com", input="secret\n")

        def lmtp():
            with smtplib.LMTP("127.0.0.1", house.ports["lmtp"], timeout=60) as s:
                assert s.sendmail("a@out.example", ["jill@example.com"], "Subject: by\r\n\r\nx\r\n") == {}

        def connections():
            return sum(p["connections"] for p in house.at_work() if p["role"] == "receiver")
        lmtp()
        before, pids = most_memory(house), {p["pid"] for p in house.at_work()}
        held = [socket.create_connection(("127.0.0.1", house.ports["smtp"]), 60) for _ in range(sessions)]
        wait_for(lambda: connections() >= sessions, 60)
        lmtp()
        assert most_memory(house) - before < sessions * 40 // 1024
        for s in held:
            s.close()
        wait_for(lambda: connections() == 0, 120)
        lmtp()
        assert {p["pid"] for p in house.at_work()} == pids
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def small(tmp_path):
    image, at = tmp_path / "image", tmp_path / "disk"
    at.mkdir()
    with open(image, "wb") as f:
        f.truncate(96 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    if subprocess.run(["mount", "-o", "loop", str(image), str(at)], capture_output=True).returncode != 0:
        pytest.skip("no loop devices here")
    yield at
    subprocess.run(["umount", "-l", str(at)])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
def test_a_disk_that_is_full_when_the_letter_is_written_anew(small):
    """A check adds a field, so a large letter is written twice; there is room for it once."""
    from kit import Demo
    checks = small / "checks"
    checks.write_text("/^Subject: twice/ PREPEND X-Twice: yes\n")
    demo = Demo(small / "demo", "--set", "spool_segment_size=1M", "--set", "queue_minfree=0", "--set", f"header_checks=regexp:{checks}",
                "--set", "message_size_limit=30M", "--set", "mailbox_size_limit=0")
    ballast = small / "ballast"

    def free():
        s = os.statvfs(small)
        return s.f_bavail * s.f_frsize

    def send(subject, size):
        try:
            with demo.smtp() as s:
                s.sendmail("jack@example.com", ["jill@example.com"], f"Subject: {subject}\r\n\r\n" + ("z" * 76 + "\r\n") * (size // 78))
            return 250
        except smtplib.SMTPResponseException as e:
            return e.smtp_code
        except smtplib.SMTPRecipientsRefused as e:
            return next(iter(e.recipients.values()))[0]
    try:
        demo.start()
        assert send("twice first", 10000) == 250
        with open(ballast, "wb") as f:
            os.posix_fallocate(f.fileno(), 0, free() - 20 * MIB)
        begin = free()
        for _ in range(3):
            assert send("twice large", 13 * MIB) // 10 == 45
        wait_for(lambda: free() > begin - 6 * MIB, 60)
        assert send("twice small", 10000) == 250
        ballast.unlink()
        assert wait_for(lambda: send("twice large", 13 * MIB) == 250, 60)
    finally:
        demo.stop()
