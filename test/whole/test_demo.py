# SPDX-License-Identifier: ISC
"""`mansio demo`: what other programs rely on."""

import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest
from kit import BINARY, PORTS, Demo, free_base, letter, wait_for, word

AS_ROOT = os.geteuid() == 0
NAMES = ["BIN", "DIR", "CONFIG", "PID", "HOST", "SMTP_PORT", "SUBMISSION_PORT", "SUBMISSIONS_PORT", "LMTP_PORT",
         "IMAP_PORT", "IMAPS_PORT", "POP3_PORT", "POP3S_PORT", "CA", "USERS", "PASSWORD"]


def run(*words, **more):
    more.setdefault("timeout", 90)
    return subprocess.run([BINARY, "demo", *[str(w) for w in words]], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **more)


def test_demo_env_tells_everything(demo):
    assert {f"MANSIO_{n}" for n in NAMES} <= set(demo.env)
    assert os.access(demo.env["MANSIO_BIN"], os.X_OK)
    for name in ["BIN", "DIR", "CONFIG", "CA"]:
        assert os.path.isabs(demo.env[f"MANSIO_{name}"]) and os.path.exists(demo.env[f"MANSIO_{name}"])
    assert demo.env["MANSIO_DIR"] == str(demo.dir)
    for service, port in [("smtp", 25), ("submission", 587), ("submissions", 465), ("lmtp", 24), ("imap", 143),
                          ("imaps", 993), ("pop3", 110), ("pop3s", 995)]:
        assert demo.port(service) == demo.base + port
        socket.create_connection((demo.env["MANSIO_HOST"], demo.port(service)), 5).close()
    assert demo.env["MANSIO_USERS"].split() == [f"{u}@example.com" for u in ("jill", "jack", "ataylor", "jsmith")]
    assert demo.env["MANSIO_PASSWORD"] == "way-station"
    assert pathlib.Path(f"/proc/{demo.pid}/comm").read_text().strip() == "mansio"
    assert demo.dir.joinpath("demo.env").stat().st_mtime_ns <= demo.dir.joinpath("ready").stat().st_mtime_ns


def test_it_listens_on_this_machine_alone(demo):
    listening = subprocess.run(["ss", "-tlnH"], capture_output=True, text=True).stdout.split()
    ours = [a for a in listening if ":" in a and a.rsplit(":", 1)[1] in {str(demo.base + p) for p in PORTS}]
    assert ours and all(a.startswith("127.0.0.1:") for a in ours)


def test_no_network_is_trusted_and_nothing_is_weakened(demo):
    assert demo.command("config", "show", "-x", "-h", "mynetworks").stdout.strip() == ""
    own = {line.split(" =")[0] for line in demo.command("config", "show", "-n").stdout.splitlines()}
    assert own == {"myhostname", "mydomain", "myorigin", "mynetworks", "mail_directory", "maillog_file", "dns_resolver",
                   "smtpd_tls_cert_file", "smtpd_tls_key_file", "smtpd_session_message_limit",
                   "smtpd_client_connection_count_limit", "auth_failure_delay",      # of the tests
                   *[f"listen_{s}" for s in ("smtp", "submission", "submissions", "lmtp", "imap", "imaps", "pop3", "pop3s")]}


def test_keys_are_for_their_owner_alone(demo):
    for path in demo.dir.glob("tls/*key*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for name in ["password", "demo.env"]:
        assert stat.S_IMODE((demo.dir / name).stat().st_mode) == 0o600
    text = subprocess.run(["openssl", "x509", "-in", demo.dir / "tls/mail.example.com.pem", "-noout", "-text"],
                          capture_output=True, text=True).stdout
    assert "NIST CURVE: P-256" in text
    for name in ["DNS:mail.example.com", "DNS:localhost", "IP Address:127.0.0.1"]:
        assert name in text


def test_once_ends_well_after_the_proof(place):
    done = run("--dir", f"{place}/d", "--base-port", free_base(), "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sent a letter" in done.stdout and "read it back" in done.stdout
    assert not os.path.exists(f"{place}/d/ready") and os.path.exists(f"{place}/d/demo.env")
    # a password was made up, and is the same the next time
    env = pathlib.Path(f"{place}/d/demo.env").read_text()
    password = [line for line in env.splitlines() if line.startswith("MANSIO_PASSWORD=")]
    assert len(password[0]) > len("MANSIO_PASSWORD=") + 9
    done = run("--dir", f"{place}/d", "--base-port", free_base(), "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert password[0] in pathlib.Path(f"{place}/d/demo.env").read_text()


def test_the_same_directory_serves_the_same_mail(own):
    demo, subject = own().start(), word()
    demo.send(letter(subject))
    demo.find(subject)
    demo.command("account", "add", "eva@example.com", input="guest\n")
    assert demo.stop() == 0
    assert not (demo.dir / "ready").exists()
    demo.base, demo.password = free_base(), "changed"       # other ports, another password
    demo.start()
    assert demo.count(subject) == 1
    demo.imap("eva", "guest").logout()
    with pytest.raises(Exception):
        demo.imap("jill", "way-station")
    assert demo.stop(signal.SIGINT) == 0


def test_after_a_sudden_death_the_mail_is_there(own):
    demo, subject = own().start(), word()
    demo.send(letter(subject))
    demo.process.send_signal(signal.SIGSTOP)        # or it would see its server die, and tidy up
    os.killpg(demo.pid, signal.SIGKILL)
    demo.process.kill()
    demo.process.wait()
    assert (demo.dir / "ready").exists(), "nobody was left to remove it"
    demo.start()
    demo.find(subject)
    assert demo.count(subject) == 1


def test_when_the_demo_alone_dies_its_server_goes_and_the_next_waits_for_it(own):
    demo, subject = own().start(), word()
    demo.send(letter(subject))
    demo.process.kill()
    demo.process.wait()
    demo.start()
    demo.find(subject)


def test_two_side_by_side(own):
    a, b = own(name="a").start(), own(name="b", password="other").start()
    subject = word()
    a.send(letter(subject))
    a.find(subject)
    assert b.count(subject) == 0
    assert a.stop() == 0
    with b.smtp("submission", "jack") as s:
        assert s.noop()[0] == 250


def test_a_second_one_in_the_same_directory_is_refused(demo):
    done = run("--dir", demo.dir, "--base-port", free_base())
    assert done.returncode == 1 and "running" in done.stderr
    assert (demo.dir / "ready").exists()
    demo.imap().logout()


def test_a_port_that_is_taken_is_named(demo, place):
    done = run("--dir", f"{place}/d", "--base-port", demo.base, "--once")
    assert done.returncode == 1
    assert f"127.0.0.1:{demo.base + 25}" in done.stderr and "in use" in done.stderr
    assert not os.path.exists(f"{place}/d/ready")


def test_a_relative_directory_and_parents_that_are_not_there(place):
    done = run("--dir", "some/where/else", "--base-port", free_base(), "--once", cwd=place)
    assert done.returncode == 0, done.stderr
    assert f"MANSIO_DIR={os.path.realpath(place)}/some/where/else\n" in \
        pathlib.Path(place, "some/where/else/demo.env").read_text()


def test_a_directory_with_a_very_long_name(place):
    deep = f"{place}/" + "/".join(["a-directory-with-a-rather-long-name"] * 6)
    demo = Demo(deep)
    os.makedirs(os.path.dirname(deep))
    try:
        demo.start()
        assert "jill" in demo.command("account", "list").stdout
    finally:
        demo.stop()


def test_without_dir_it_is_made_here(place):
    done = run("--once", "--base-port", free_base(), cwd=place)
    assert done.returncode == 0, done.stderr
    assert os.path.exists(f"{place}/demo/demo.env")


def test_settings_and_dns_from_the_command_line(place):
    d = Demo(f"{place}/d", "--set", "mail_name=The Inn", "--set", "smtpd_hard_error_limit = 3", "--dns", "127.0.0.1:5353")
    try:
        d.start()
        assert d.command("config", "show", "-h", "mail_name").stdout.strip() == "The Inn"
        assert d.command("config", "show", "-h", "smtpd_hard_error_limit").stdout.strip() == "3"
        assert d.command("config", "show", "-h", "dns_resolver").stdout.strip() == "127.0.0.1:5353"
        with socket.create_connection(("127.0.0.1", d.port("smtp"))) as s:
            assert b"The Inn" in s.recv(200)
    finally:
        d.stop()


@pytest.mark.parametrize("words,status", [
    (["--base-port", "99999"], 2), (["--base-port", "many"], 2), (["--base-port"], 2), (["--set", "novalue"], 2),
    (["--dns", "somewhere"], 2), (["--password", ""], 2), (["--loud"], 2), (["extra"], 2), (["--dir", ""], 2),
    (["--dir", "with blank"], 1), (["--set", "log_format=prose"], 1), (["--dir", "/proc/nowhere"], 1),
])
def test_a_wrong_call_is_refused_in_words(place, words, status):
    more = [] if "--base-port" in words else ["--base-port", str(free_base())]
    done = run(*words, *more, "--once", cwd=place)
    assert done.returncode == status and done.stderr.strip(), (done.returncode, done.stdout, done.stderr)
    assert not os.path.exists(f"{place}/demo/ready")


def test_stopping_the_server_ends_the_demo(own):
    demo = own().start()
    demo.command("stop")
    assert demo.process.wait(30) == 0
    assert not (demo.dir / "ready").exists()
    demo.start()
    os.kill(demo.pid, signal.SIGTERM)
    assert demo.process.wait(30) == 0


def test_a_server_that_dies_is_no_success(own):
    demo = own().start()
    os.kill(demo.pid, signal.SIGKILL)
    assert demo.process.wait(30) == 1
    assert "ended with status" in demo.said()


def test_ready_is_not_there_before_it_is_true(place):
    os.mkdir(f"{place}/d")
    pathlib.Path(f"{place}/d/ready").write_text("stale\n")
    d = Demo(f"{place}/d")
    process = subprocess.Popen([BINARY, "demo", "--dir", d.dir, "--base-port", str(d.base)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: not (d.dir / "ready").exists())
        wait_for(lambda: (d.dir / "ready").exists())
        d.read_env()
        socket.create_connection(("127.0.0.1", d.port("smtp")), 5).close()
    finally:
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.skipif(not AS_ROOT, reason="needs root")
def test_as_an_ordinary_user(place):
    os.chown(place, 65534, 65534)
    binary = f"{place}/mansio"
    shutil.copy(BINARY, binary)
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", binary, "demo", "--dir",
                           f"{place}/d", "--base-port", str(free_base()), "--once"], capture_output=True, text=True,
                          timeout=90, stdin=subprocess.DEVNULL, cwd=place, env={"PATH": os.environ["PATH"], "HOME": place})
    assert done.returncode == 0, done.stdout + done.stderr
    assert os.stat(f"{place}/d/mail/store").st_uid == 65534


@pytest.mark.skipif(not AS_ROOT, reason="needs root")
def test_as_root_every_role_has_its_own_uid_and_cage(demo):
    uids = {}
    for p in demo.processes():
        facts = pathlib.Path(f"/proc/{p['pid']}/status").read_text()
        uid = int(facts.split("Uid:")[1].split()[0])
        if p["role"] == "postmaster":
            assert uid == 0
            continue
        uids.setdefault(p["role"], set()).add(uid)
        assert "NoNewPrivs:\t1" in facts and "Seccomp:\t2" in facts
    always = {"receiver", "login", "sender", "queue", "keeper", "clerk", "verifier", "signer", "policy", "chronicle"}
    assert always <= set(uids) and 0 not in set.union(*uids.values())
    assert len(set.union(*uids.values())) == sum(map(len, uids.values())) == len(uids), "a role shares its uid with none"


def test_it_stops_quickly_with_clients_connected(own):
    demo = own().start()
    idle = [demo.imap(), demo.imap("jack")]
    s = demo.smtp()
    began = time.monotonic()
    assert demo.stop() == 0
    assert time.monotonic() - began < 10
    s.close()
    for box in idle:
        box.shutdown()
