# SPDX-License-Identifier: ISC
"""Who may ask the queue without being root: mailq, postqueue and sendmail -q of users (authorized_*_users)."""

import json
import re
import os
import pwd
import subprocess

import pytest

from house import BINARY, House, free_ports, wait_for
from kit import open_to_all

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="asks as other users")
USERS = [p for p in sorted(pwd.getpwall(), key=lambda p: p.pw_uid) if p.pw_uid not in (0, 65534)][:2]
ANN, BOB = USERS
NOBODY = 54321                          # a uid without a name


def house(**settings):
    h = House(mydestination="here.example", mynetworks="127.0.0.0/8", relayhost=f"[127.0.0.1]:{free_ports(1)[0]}",
              minimal_backoff_time="1000s", maximal_backoff_time="1000s", dns_resolver="none", **settings)
    h.directory.chmod(0o755)
    return h


def ask(h, uid, *words, text=""):
    """As this user, with a binary and a main.cf that all may read."""
    call = [BINARY, "-c", h.config, *words]
    if words[0] == "sendmail":
        call = [h.directory / "sendmail", "-C", h.config, *words[1:]]
        if not call[0].exists():
            call[0].symlink_to(BINARY)
    return subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *call], input=text,
                          capture_output=True, text=True, timeout=60)


def put_off(h, count=1):
    for i in range(count):
        with h.smtp() as s:
            s.sendmail("a@here.example", [f"b{i}@there.example"], "Subject: x\r\n\r\nx\r\n")
    wait_for(lambda: h.count("status=deferred") >= count)


def test_any_user_sees_the_queue_and_has_it_tried_and_does_nothing_else():
    with house() as h:
        put_off(h)
        letter = json.loads(h.command("queue", "list", "--json").stdout)[0]["id"]
        for words in [("mailq",), ("postqueue", "-p"), ("postqueue", "-j"), ("sendmail", "-bp"), ("queue", "list")]:
            done = ask(h, NOBODY, *words)
            assert done.returncode == 0 and "b0@there.example" in done.stdout, (words, done)
        for n, words in enumerate([("postqueue", "-f"), ("sendmail", "-q"), ("postqueue", "-i", letter), ("postqueue", "-s", "there.example")]):
            done = ask(h, NOBODY, *words)
            assert done.returncode == 0, (words, done)
            wait_for(lambda: h.count("status=deferred") >= 2 + n)
        for words in [("postsuper", "-d", letter), ("postsuper", "-h", letter), ("postcat", letter), ("queue", "delete", letter), ("queue", "show", letter),
                      ("queue", "bounce", letter), ("queue", "hold", letter), ("queue", "reroute", "--to", "smtp:[127.0.0.1]:1", letter),
                      ("queue", "retry", "--sender", "*"), ("store", "compact"), ("account", "list"), ("status",), ("trace", letter)]:
            done = ask(h, NOBODY, *words)
            # postsuper says how many it deleted, as Postfix's does
            assert words[0] == "postsuper" or done.returncode != 0, (words, done)
            assert "there.example" not in done.stdout, (words, done)
        assert [r["id"] for r in json.loads(h.command("queue", "list", "--json").stdout)] == [letter]
        assert "deferred" in h.command("queue", "list", "--json").stdout


def test_authorized_mailq_and_flush_users_are_lists_of_users():
    with house(authorized_mailq_users=f"!{BOB.pw_name}, static:anyone", authorized_flush_users=ANN.pw_name) as h:
        put_off(h)
        assert ask(h, ANN.pw_uid, "mailq").returncode == 0
        assert ask(h, NOBODY, "mailq").returncode == 0
        done = ask(h, BOB.pw_uid, "mailq")
        assert done.returncode == 77 and done.stdout == "" and f"User {BOB.pw_uid} is not allowed to view the mail queue" in done.stderr
        assert ask(h, BOB.pw_uid, "sendmail", "-q").returncode != 0
        done = ask(h, BOB.pw_uid, "postqueue", "-f")
        assert done.returncode == 77 and f"User {BOB.pw_uid} is not allowed to flush the mail queue" in done.stderr
        assert h.count("status=deferred") == 1
        assert ask(h, ANN.pw_uid, "postqueue", "-f").returncode == 0
        wait_for(lambda: h.count("status=deferred") == 2)
        # A /file of names; the running server takes it up.
        (h.directory / "users").write_text(f"# who may\n{BOB.pw_name}\n")
        h.write_settings(authorized_flush_users=str(h.directory / "users"), authorized_mailq_users="")
        h.command("reload")
        wait_for(lambda: ask(h, ANN.pw_uid, "mailq").returncode == 77)
        assert ask(h, BOB.pw_uid, "postqueue", "-f").returncode == 0
        assert ask(h, ANN.pw_uid, "postqueue", "-f").returncode == 77
        assert h.command("mailq").returncode == 0, "root may always"


def test_authorized_submit_users_says_who_sends_with_sendmail():
    with house(authorized_submit_users=ANN.pw_name) as h:
        text = "Subject: x\n\nx\n"
        for words in [("b@there.example",), ("-bv", "b@there.example"), ("-bs",)]:
            done = ask(h, BOB.pw_uid, "sendmail", *words, text=text)
            assert done.returncode == 77 and done.stdout == "", (words, done)
            assert f"sendmail: fatal: User {BOB.pw_name}({BOB.pw_uid}) is not allowed to submit mail" in done.stderr
        wait_for(lambda: h.count(f"user {BOB.pw_uid} is not allowed to submit mail, refused") >= 3)
        done = ask(h, ANN.pw_uid, "sendmail", "-f", "ann@here.example", "b@there.example", text=text)
        assert done.returncode == 0, done
        wait_for(lambda: h.count("to=<b@there.example>") >= 1)


SPEAK = r"""
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
f = s.makefile("rwb")
for line in (b"", b"EHLO x\r\n", b"MAIL FROM:<a@x.example>\r\n", b"RCPT TO:<b@there.example>\r\n"):
    f.write(line)
    f.flush()
    while (reply := f.readline())[3:4] == b"-":
        pass
    print(reply.decode().strip(), flush=True)
    if reply[:1] != b"2":
        break
"""


def test_R387_a_letter_says_which_user_of_this_machine_it_is_from():
    """"from userid 1000" of the tutorials, as Postfix's pickup has it: no host brought it."""
    with house() as h:
        for who in (0, ANN.pw_uid):
            assert ask(h, who, "sendmail", "b@there.example", text=f"Subject: user {who}\n\nx\n").returncode == 0
        found = [h.command("queue", "show", row["id"], "--content").stdout for row in json.loads(h.command("queue", "list", "--json").stdout)]
        assert len(found) == 2 and all(text.count("Received:") == 1 for text in found)
        for who in (0, ANN.pw_uid):
            [text] = [text for text in found if f"Subject: user {who}\n" in text]
            assert re.match(rf"Received: by (\S+) \(Mansio, from userid {who}\)\n\tid \w+\n\tfor <b@there\.example>; \w+, ", text), text


def test_the_server_itself_asks_who_submits():
    """Whoever speaks to the socket of pickup without sendmail is asked, too, and one without a name; a reload is heard of."""
    with house(authorized_submit_users=ANN.pw_name, smtpd_tls_security_level="encrypt", smtpd_upstream_proxy_protocol="haproxy") as h:
        def speak(uid):
            path = str(h.directory / "mail/run/pickup.sock")
            return subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "/usr/bin/python3", "-c", SPEAK, path],
                                  capture_output=True, text=True, timeout=60).stdout.splitlines()
        for uid in (BOB.pw_uid, NOBODY, 0):
            [said] = speak(uid)
            assert said.startswith("554 5.7.1 ") and said.endswith(f"user {uid} is not allowed to submit mail"), said
        # Who may is trusted, without TLS and whatever mynetworks are.
        assert [line[:3] for line in speak(ANN.pw_uid)] == ["220", "250", "250", "250"]
        h.write_settings(authorized_submit_users=f"!{ANN.pw_name}, static:anyone", mynetworks="192.0.2.0/24")
        h.command("reload")
        wait_for(lambda: speak(BOB.pw_uid)[-1][:3] == "250")
        assert speak(ANN.pw_uid)[0][:3] == "554" and len(speak(BOB.pw_uid)) == 4


def test_without_the_socket_sendmail_asks_by_the_network():
    with house(authorized_submit_users=ANN.pw_name) as h:
        path = h.directory / "mail/run/pickup.sock"
        path.rename(path.with_name("away"))
        assert ask(h, BOB.pw_uid, "sendmail", "b@there.example", text="Subject: x\n\nx\n").returncode == 77
        assert ask(h, ANN.pw_uid, "sendmail", "b@there.example", text="Subject: x\n\nx\n").returncode == 0
        # One that is there but dead is a server that is down: the letter is to be sent later.
        path.with_name("away").rename(path)
        h.stop()
        done = ask(h, ANN.pw_uid, "sendmail", "b@there.example", text="Subject: x\n\nx\n")
        assert done.returncode == 75 and "the server cannot be reached" in done.stderr, done


def test_a_user_has_few_places_at_the_queue_and_root_has_its_own():
    with house() as h:
        put_off(h)
        path = str(h.directory / "mail/run/queue.sock")
        hold = subprocess.Popen(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "/usr/bin/python3", "-c", f"""
import socket, sys
held = []
for _ in range(12):
    s = socket.socket(socket.AF_UNIX); s.connect({path!r}); held.append(s)
gone = 0
for s in held:
    s.settimeout(2)
    try:
        gone += s.recv(1) == b""
    except TimeoutError:
        pass
print(gone, flush=True)
sys.stdin.read()
"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert hold.stdout.readline().strip() == "4", "eight for each user"
            assert ask(h, NOBODY, "mailq").returncode != 0
            assert ask(h, ANN.pw_uid, "mailq").returncode == 0
            assert h.command("mailq").returncode == 0
        finally:
            hold.communicate()


def test_the_secrets_of_srs_are_the_clerks_alone():
    with house() as h:
        (h.directory / "srs").write_text("a-secret-of-ours\n")
        h.stop()
        h.write_settings(srs_domain="srs.example", srs_secrets=str(h.directory / "srs"))
        h.start()
        holders = {p["role"] for p in h.at_work() for fd in os.listdir(f"/proc/{p['pid']}/fd")
                   if os.path.realpath(f"/proc/{p['pid']}/fd/{fd}") == str(h.directory / "srs")}
        assert holders - {"postmaster"} == {"clerk"}


@pytest.mark.parametrize("table", ["texthash:{dir}/table", "inline:{{ {ann}=x }}", "regexp:{dir}/patterns", "!texthash:{dir}/others, static:anyone",
                                   "unionmap:{{inline:{{x=y}},texthash:{dir}/table}}", "{dir}/file"])
def test_lists_of_users_may_be_tables(table, tmp_path):
    for name, text in {"table": f"{ANN.pw_name} yes\n", "patterns": f"/^{ANN.pw_name}$/ OK\n", "others": f"{BOB.pw_name} no\n",
                       "file": f"texthash:{tmp_path}/table\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644)
    open_to_all(tmp_path)
    table = table.format(dir=tmp_path, ann=ANN.pw_name)
    with house(authorized_mailq_users=table, authorized_submit_users=table) as h:
        assert ask(h, ANN.pw_uid, "mailq").returncode == 0
        done = ask(h, BOB.pw_uid, "mailq")
        assert done.returncode == 77 and "not allowed" in done.stderr
        assert ask(h, ANN.pw_uid, "sendmail", "x@there.example", text="Subject: x\n\nx\n").returncode == 0
        done = ask(h, BOB.pw_uid, "sendmail", "x@there.example", text="Subject: x\n\nx\n")
        assert done.returncode == 77 and f"User {BOB.pw_name}({BOB.pw_uid}) is not allowed to submit mail" in done.stderr


@pytest.mark.parametrize("table, words", [("mysql:/etc/x.cf", "write a table of a file"), ("nosuch:/x", "no type of table"), ("!tcp:127.0.0.1:1", "write a table of a file")])
def test_a_table_in_which_nobody_can_be_is_told_of(table, words, tmp_path):
    main = tmp_path / "main.cf"
    main.write_text(f"myhostname = mail.example.com\nauthorized_flush_users = {table}\n")
    done = subprocess.run([BINARY, "-c", main, "config", "check"], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and words in done.stderr and "main.cf:2: authorized_flush_users" in done.stderr, done.stderr
