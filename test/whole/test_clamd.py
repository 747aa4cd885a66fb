# SPDX-License-Identifier: ISC
"""Letters are scanned by Debian's clamd, with a database of one signature of our own: what each setting does with a virus.

clamd runs in the foreground on a socket in a directory of its own.
"""

import base64
import io
import os
import shutil
import smtplib
import socket
import subprocess
import tempfile
import threading
import time
import zipfile
from email.mime.application import MIMEApplication
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest
from house import House, wait_for
from test_checks_beside_postfix import send, ssl_context

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("clamd") is None, reason="needs root and clamd")

VIRUS = "X-mansio-test-virus-5f1c!"
CLEAN = b"Subject: clean\r\nX-Virus-Status: Clean (said the stranger)\r\n\r\nnothing\r\n"
SICK = f"Subject: sick\r\n\r\n{VIRUS}\r\n".encode()
ATTACHED = b"Subject: sick\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(VIRUS.encode() * 40) + b"\r\n--b--\r\n"


@pytest.fixture(scope="module")
def clamd():
    home = tempfile.mkdtemp(prefix="clamd-", dir="/tmp")
    os.chmod(home, 0o755)
    os.mkdir(f"{home}/db")
    with open(f"{home}/db/own.ndb", "w") as f:
        f.write(f"Mansio.Test:0:*:{VIRUS.encode().hex()}\n")
    with open(f"{home}/conf", "w") as f:
        f.write(f"DatabaseDirectory {home}/db\nLocalSocket {home}/socket\nLocalSocketMode 666\nForeground yes\n"
                "StreamMaxLength 3M\nMaxThreads 4\nConcurrentDatabaseReload no\n")
    process = subprocess.Popen(["clamd", "-c", f"{home}/conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: os.path.exists(f"{home}/socket") or process.poll() is not None, 60)
    assert process.poll() is None
    yield f"unix:{home}/socket"
    process.kill()
    process.wait()
    shutil.rmtree(home, ignore_errors=True)


class Scanned(House):
    def __init__(self, where, **settings):
        super().__init__(clamd_socket=where, smtpd_peername_lookup="no", **settings)

    def start(self, wait=True):
        super().start(wait)
        self.command("domain", "add", "here.example")
        self.command("account", "add", "u@here.example", input="secret-of-theirs\n")

    def post(self, letter):
        return send(self.ports["smtp"], letter)

    def letters(self):
        import imaplib
        with imaplib.IMAP4("127.0.0.1", self.ports["imap"]) as i:
            i.starttls(ssl_context())
            i.login("u@here.example", "secret-of-theirs")
            i.select()
            return [i.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in i.search(None, "ALL")[1][0].split()]


def test_R324_a_virus_is_refused_before_it_is_ours(clamd):
    with Scanned(clamd) as house:
        assert house.post(SICK) == "550 5.7.1 Error: the letter has a virus: Mansio.Test.UNOFFICIAL"
        assert house.post(ATTACHED).startswith("550 5.7.1")
        assert house.post(CLEAN).startswith("250")
        wait_for(lambda: "virus: Mansio" in house.text())
        assert "virus: Mansio.Test.UNOFFICIAL from localhost[127.0.0.1]; from=<a@example.org> to=<u@here.example>" in house.text()
        assert "action=reject" in house.text()
        got = wait_for(house.letters)
        assert len(got) == 1 and b"X-Virus-Scanned" not in got[0] and b"said the stranger" in got[0]


def test_R317_the_age_of_signatures_is_told(clamd):
    """The real one has none that tell; one that says what clamd says of Debian's daily ones is asked besides."""
    def old(server):
        while True:
            try:
                c, _ = server.accept()
            except OSError:
                return
            with c:
                if c.recv(100) == b"zVERSION\0":
                    c.sendall(b"ClamAV 1.0.7/27000/Thu Aug 17 09:25:09 2023\0")
    with Scanned(clamd) as house:
        wait_for(lambda: '"clamd_signatures":"unknown"' in house.command("status", "--json").stdout)
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=old, args=(server,), daemon=True).start()
            house.write_settings(clamd_socket=f"inet:127.0.0.1:{server.getsockname()[1]}")
            house.stop()
            super(Scanned, house).start()
            wait_for(lambda: '"clamd_signatures":"27000"' in house.command("status", "--json").stdout)
            assert "its signatures (27000) are" in house.text() and "is freshclam running?" in house.text()


def zipped(data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("inner.txt", data)
    return out.getvalue()


def attached(data, kind="application/zip"):
    letter = MIMEMultipart()
    letter["Subject"] = "sick"
    letter.attach(MIMEText("look"))
    part = MIMEApplication(data, kind.partition("/")[2])
    letter.attach(part)
    return letter


def test_R315_R325_a_virus_is_found_in_parts_archives_and_nested_letters(clamd):
    nested = MIMEMultipart()
    nested["Subject"] = "nested"
    nested.attach(MIMEMessage(attached(zipped(VIRUS * 40))))
    with Scanned(clamd) as house:
        for sick in (attached(VIRUS.encode() * 40, "application/octet-stream"), attached(zipped(VIRUS * 40)), attached(zipped(zipped(VIRUS * 40))), nested):
            letter = sick.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            assert VIRUS.encode() not in letter
            assert house.post(letter).startswith("550 5.7.1"), letter
        assert house.post(attached(zipped("nothing" * 40)).as_bytes().replace(b"\n", b"\r\n")).startswith("250")


def test_R322_what_users_submit_is_scanned_too(clamd):
    with Scanned(clamd) as house, smtplib.SMTP("127.0.0.1", house.ports["submission"], timeout=20) as s:
        s.starttls(context=ssl_context())
        s.login("u@here.example", "secret-of-theirs")
        with pytest.raises(smtplib.SMTPDataError) as no:
            s.sendmail("u@here.example", ["u@here.example"], SICK)
        assert no.value.smtp_code == 550
        s.sendmail("u@here.example", ["u@here.example"], CLEAN)
        wait_for(house.letters)


def test_a_large_letter_is_scanned_from_the_disk(clamd):
    with Scanned(clamd) as house:
        filling = b"0123456789abcdef\r\n" * 60000
        assert house.post(b"Subject: large\r\n\r\n" + filling + VIRUS.encode() + b"\r\n").startswith("550 5.7.1")
        assert house.post(b"Subject: large\r\n\r\n" + filling).startswith("250")


def test_R320_R326_what_becomes_of_it_is_a_setting(clamd):
    with Scanned(clamd, clamd_on_infected="accept", clamd_add_header="replace", clamd_report_hostname="scan.here.example") as house:
        assert house.post(SICK).startswith("250")
        assert house.post(CLEAN).startswith("250")
        got = sorted(wait_for(lambda: len(l := house.letters()) == 2 and l), key=lambda l: b"Subject: sick" in l)
        assert b"X-Virus-Status: Clean\r\n" in got[0] and b"said the stranger" not in got[0]
        assert b"X-Virus-Status: Infected (Mansio.Test.UNOFFICIAL)\r\n" in got[1]
        assert b" at scan.here.example\r\n" in got[1]
        for action, reply in [("defer", "451 4.7.1"), ("blackhole", "250 2.0.0"), ("quarantine", "250 2.0.0")]:
            house.write_settings(clamd_on_infected=action)
            house.command("reload")
            assert house.post(SICK).startswith(reply), action
            wait_for(lambda: f"action={action}" in house.text())
        listed = wait_for(lambda: "Mansio.Test" in (t := house.command("queue", "list").stdout) and t)
        assert len(house.letters()) == 2
        assert "virus: Mansio.Test.UNOFFICIAL" in listed
        ident = house.text().rsplit("action=quarantine", 1)[0].rsplit("cleanup", 1)[1].split(": ")[1]
        house.command("queue", "release", ident)
        wait_for(lambda: len(house.letters()) == 3)


def test_R24_R327_each_user_has_a_quarantine_of_their_own(clamd):
    """It lies aside in the mailbox of whoever has one here, who releases it by moving it; nobody else gets it."""
    import imaplib
    with Scanned(clamd, clamd_on_infected="mailbox", clamd_add_header="add") as house:
        house.command("alias", "add", "both@here.example", "u@here.example", "elsewhere@outside.example")
        assert send(house.ports["smtp"], SICK, to=("both@here.example",)).startswith("250")
        assert house.post(CLEAN).startswith("250")
        with imaplib.IMAP4("127.0.0.1", house.ports["imap"]) as i:
            i.starttls(ssl_context())
            i.login("u@here.example", "secret-of-theirs")
            wait_for(lambda: i.select("INBOX")[1] == [b"1"])
            wait_for(lambda: i.select("Quarantine")[1] == [b"1"])
            assert b"X-Virus-Status: Infected (Mansio.Test.UNOFFICIAL)" in i.fetch("1", "(BODY.PEEK[HEADER])")[1][0][1]
            assert b"Quarantine" in b"".join(i.lsub()[1])
            assert i.uid("MOVE", "1", "INBOX")[0] == "OK"
            assert i.select("INBOX")[1] == [b"2"] and i.select("Quarantine")[1] == [b"0"]
        held = wait_for(lambda: "elsewhere@outside.example" in (t := house.command("queue", "list").stdout) and t)
        assert "virus: Mansio.Test.UNOFFICIAL" in held
        house.stop()  # and it stays so
        super(Scanned, house).start()
        assert "virus: Mansio.Test.UNOFFICIAL" in wait_for(lambda: "elsewhere@" in (t := house.command("queue", "list").stdout) and t)
        house.command("queue", "release", ident_of(house))
        wait_for(lambda: "virus: Mansio.Test" not in house.command("queue", "list").stdout)


@pytest.mark.parametrize("settings, those", [
    ({"quarantine_users": "!v@here.example here.example"}, "u"), ({"quarantine_users": "u@here.example"}, "u"), ({"quarantine_users": "outside.example"}, ""),
    ({"quarantine_releasable": "Heuristics.* mansio.TEST*"}, "uv"), ({"quarantine_releasable": "!*.UNOFFICIAL *"}, ""), ({"quarantine_releasable": "Heuristics.*"}, ""),
])
def test_R24_R327_only_some_users_release_only_what_they_may(clamd, settings, those):
    """What is not for its users is held in the queue, and comes to INBOX when an administrator releases it."""
    import imaplib
    with Scanned(clamd, clamd_on_infected="mailbox", **settings) as house:
        house.command("account", "add", "v@here.example", input="secret-of-theirs\n")
        assert send(house.ports["smtp"], SICK, to=("u@here.example", "v+tag@here.example")).startswith("250")

        def count(user, box):
            with imaplib.IMAP4("127.0.0.1", house.ports["imap"]) as i:
                i.starttls(ssl_context())
                i.login(f"{user}@here.example", "secret-of-theirs")
                return int(i.select(box)[1][0]) if i.list('""', box)[1] != [None] else 0

        held = [user for user in "uv" if user not in those]
        for user in those:
            wait_for(lambda user=user: count(user, "Quarantine") == 1)
        listed = wait_for(lambda: (t := house.command("queue", "list", check=False).stdout).count("[hold]") == len(held) and ("virus: Mansio.Test" in t or not held) and (t or " "))
        assert all(user in listed.split("virus:")[0] or user in listed for user in held)
        assert all(count(user, box) == 0 for user in held for box in ("INBOX", "Quarantine"))
        if held:
            house.command("queue", "release", ident_of(house))
        for user in held:
            wait_for(lambda user=user: count(user, "INBOX") == 1)
        assert all(count(user, "INBOX") == 0 for user in those)


def ident_of(house):
    return house.text().rsplit("action=mailbox", 1)[0].rsplit("cleanup", 1)[1].split(": ")[1]


def test_R323_while_it_cannot_be_asked(clamd):
    with Scanned("unix:/tmp/no-clamd-is-here/socket") as house:
        assert house.post(CLEAN) == "451 4.7.1 Error: the letter cannot be scanned for viruses now"
        house.write_settings(clamd_on_fail="reject")
        house.command("reload")
        wait_for(lambda: house.post(CLEAN).startswith("550 5.7.1"))
        house.write_settings(clamd_on_fail="accept")
        house.command("reload")
        wait_for(lambda: house.post(SICK).startswith("250"))
        assert "not scanned for viruses: " in house.text()


def test_exceptions(clamd):
    with Scanned(clamd, clamd_network_exceptions="127.0.0.0/8") as house:
        assert house.post(SICK).startswith("250")
        house.write_settings(clamd_network_exceptions="192.0.2.0/24", clamd_max_size="20")
        house.command("reload")
        house.at_work()
        assert house.post(SICK).startswith("250")
        house.write_settings(clamd_max_size="25M")
        house.command("reload")
        wait_for(lambda: house.post(SICK).startswith("550"))


@pytest.mark.parametrize("words", [b"", b"stream: OK", b"stream: A FOUND\0", b"stream: A\r\nB: c FOUND\0", b"\xff" * 5000, b"stream: broken ERROR\0"])
def test_a_clamd_that_answers_anything(words):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        import threading

        def serve():
            try:
                c, _ = s.accept()
                c.recv(65536)
                c.sendall(words)
                c.close()
            except OSError:
                pass
        t = threading.Thread(target=serve, daemon=True)
        t.start()
        with Scanned(f"inet:127.0.0.1:{s.getsockname()[1]}") as house:
            reply = house.post(CLEAN)
            assert reply.startswith("550" if words.endswith(b"FOUND\0") else "451"), reply
            assert "\nB: c" not in reply
        t.join(5)


def test_who_waits_for_clamd_keeps_nobody_waiting(clamd):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        with Scanned(f"inet:127.0.0.1:{s.getsockname()[1]}", clamd_timeout="2s", clamd_login_exceptions="*",
                     clamd_network_exceptions="127.0.0.2/32") as house:
            import threading
            replies = []
            waiting = threading.Thread(target=lambda: replies.append(house.post(CLEAN)))
            waiting.start()
            kept = s.accept()
            with socket.create_connection(("127.0.0.1", house.ports["smtp"]), 20, source_address=("127.0.0.2", 0)) as c:
                f = c.makefile("rb")
                f.readline()
                for line in [b"HELO x", b"MAIL FROM:<a@example.org>", b"RCPT TO:<u@here.example>", b"DATA", b"Subject: x\r\n\r\nx\r\n."]:
                    c.sendall(line + b"\r\n")
                    assert f.readline()[:1] in b"23"
            assert replies == []
            waiting.join(20)
            assert replies[0].startswith("451 4.7.1")
            kept[0].close()
