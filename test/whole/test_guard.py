# SPDX-License-Identifier: ISC
"""What stands between a right password and a mailbox, and what wrong ones lead to.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_guard.py
"""

import base64
import imaplib
import json
import os
import pathlib
import poplib
import pwd
import re
import shutil
import smtplib
import socket
import sqlite3
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import peers
from elsewhere import Program
from house import PATIENCE, free_ports, unnamed, wait_for
from test_roles import PASSWORD, Village, trusting


def imap_login(house, password, user="jack@example.com", source="127.0.0.1", patience=PATIENCE):
    """True, or the words of the refusal."""
    s = socket.create_connection(("127.0.0.1", house.ports["imaps"]), timeout=patience, source_address=(source, 0))
    with trusting().wrap_socket(s) as tls:
        f = tls.makefile("rb")
        greeting = f.readline()
        if not greeting.startswith(b"* OK"):
            return greeting.decode()
        tls.sendall(f'a login {user} "{password}"\r\n'.encode())
        while not (line := f.readline()).startswith(b"a "):
            if not line:
                return "closed"
        return True if line.startswith(b"a OK") else line.decode().strip()


def submission_login(house, password, user="jack@example.com", source="127.0.0.1"):
    try:
        with smtplib.SMTP_SSL("127.0.0.1", house.ports["submissions"], timeout=PATIENCE, context=trusting(),
                              source_address=(source, 0)) as s:
            s.login(user, password)
            return True
    except smtplib.SMTPAuthenticationError as e:
        return f"{e.smtp_code} {e.smtp_error.decode()}"


def pop_login(house, password, user="jack@example.com"):
    c = poplib.POP3_SSL("127.0.0.1", house.ports["pop3s"], context=trusting(), timeout=PATIENCE)
    try:
        c.user(user)
        c.pass_(password)
        return True
    except poplib.error_proto as e:
        return str(e)
    finally:
        c.close()


def listed(house, user="jack@example.com"):
    return json.loads(house.command("account", "app-password", "list", user, "--json").stdout)


def code_of(secret, now=None):
    words = ["oathtool", "--totp", "-b", secret] + (["-N", now] if now else [])
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_app_passwords_open_what_they_are_for():
    with Village("jack", "jill") as house:
        phone = house.command("account", "app-password", "add", "jack@example.com", "phone", "--protocols", "imap").stdout.strip()
        printer = house.command("account", "app-password", "add", "jack@example.com", "printer", "--protocols", "submission").stdout.strip()
        assert re.fullmatch(r"([a-z2-7]{4}-){6}[a-z2-7]{4}", phone)
        assert imap_login(house, phone) is True
        assert imap_login(house, phone.replace("-", "").upper()) is True
        assert "AUTHENTICATIONFAILED" in imap_login(house, printer)
        assert pop_login(house, phone) is not True
        assert submission_login(house, printer) is True
        assert submission_login(house, phone).startswith("535")
        assert "AUTHENTICATIONFAILED" in imap_login(house, phone, user="jill@example.com")
        assert imap_login(house, PASSWORD) is True
        one = {r["name"]: r for r in listed(house)}
        assert one["phone"]["used_from"] == "127.0.0.1" and one["phone"]["used_by"] == "imap"
        assert one["printer"]["used_by"] == "submissions"
        assert 'app password "phone" is not for submissions' in house.text()
        assert phone not in house.text()
        house.command("account", "app-password", "revoke", "jack@example.com", "phone")
        assert imap_login(house, phone) is not True
        again = house.command("account", "app-password", "revoke", "jack@example.com", "phone", check=False)
        assert again.returncode == 1 and "no app password phone" in again.stderr
        for wrong in (["--protocols", "gopher"], ["--expires", "yesterday"], ["--colour", "red"]):
            assert house.command("account", "app-password", "add", "jack@example.com", "x", *wrong, check=False).returncode == 2


def test_with_a_second_factor_only_app_passwords_open_mail():
    with Village("jack") as house:
        said = house.command("account", "totp", "enable", "jack@example.com").stdout
        secret = re.search(r"^secret: (\S+)$", said, re.M).group(1)
        assert f"otpauth://totp/mail.example.com:jack%40example.com?secret={secret}&issuer=mail.example.com" in said
        assert imap_login(house, PASSWORD) is True
        wrong = house.command("account", "totp", "confirm", "jack@example.com", input="000000\n", check=False)
        assert wrong.returncode == 1 and "code is wrong" in wrong.stderr
        codes = re.findall(r"^[a-z2-7]{5}-[a-z2-7]{5}$",
                           house.command("account", "totp", "confirm", "jack@example.com", input=code_of(secret)).stdout, re.M)
        assert len(codes) == 10
        assert "AUTHENTICATIONFAILED" in imap_login(house, PASSWORD)
        assert submission_login(house, PASSWORD).startswith("535")
        assert "second factor is on: an app password is needed" in house.text()
        # The proof of SCRAM is of the main password too.
        login = subprocess.run(["gsasl", "--imap", "--connect", f"127.0.0.1:{house.ports['imap']}", "--no-cb",
                                "-m", "SCRAM-SHA-256", "-a", "jack@example.com", "-p", PASSWORD, "--no-starttls"],
                               capture_output=True, text=True, input="", timeout=PATIENCE)
        assert "AUTHENTICATIONFAILED" in login.stdout
        app = house.command("account", "app-password", "add", "jack@example.com", "phone").stdout.strip()
        assert imap_login(house, app) is True
        assert submission_login(house, app) is True
        # A code is good once; a recovery code too.
        assert house.command("account", "totp", "test", "jack@example.com", input=codes[0] + "\n").stdout == "right: a recovery code, 9 left\n"
        assert house.command("account", "totp", "test", "jack@example.com", input=codes[0] + "\n", check=False).returncode == 1
        assert house.command("account", "totp", "test", "jack@example.com", input="1\n", check=False).returncode == 1
        row, = json.loads(house.command("account", "show", "jack@example.com", "--json").stdout)
        assert row["totp"] is True and row["app_passwords"] == 1
        house.command("account", "totp", "disable", "jack@example.com")
        assert imap_login(house, PASSWORD) is True


def test_a_tried_login_comes_to_what_a_real_one_comes_to():
    with Village("jack", "jill") as house:
        def tried(*facts, who="jack@example.com"):
            return house.command("doveadm", "auth", "test", *[w for f in facts for w in ("-x", f)], who, PASSWORD, check=False).returncode
        assert tried() == 0
        house.command("account", "set", "jack@example.com", "--protocols", "imap", "--networks", "192.0.2.0/24")
        assert tried() == 0 and tried("service=imap") == 0 and tried("service=pop3") == 77
        assert tried("rip=192.0.2.7") == 0 and tried("rip=198.51.100.7") == 77
        secret = re.search(r"secret: (\w+)", house.command("account", "totp", "enable", "jill@example.com").stdout).group(1)
        assert tried(who="jill@example.com") == 0, "nothing has changed yet"
        code = subprocess.run(["oathtool", "--totp", "-b", secret], capture_output=True, text=True, check=True).stdout
        house.command("account", "totp", "confirm", "jill@example.com", input=code)
        assert tried(who="jill@example.com") == 77
        assert imap_login(house, PASSWORD, "jill@example.com") is not True
        house.command("account", "suspend", "jack@example.com")
        assert tried() == 77


def test_a_suspended_account_gets_mail_and_lets_nobody_in():
    with Village("jack", "jill") as house:
        reader = house.imap()
        house.command("account", "suspend", "jack@example.com", "--until", "2d", "--reason", "unpaid bill")
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            for _ in range(50):
                reader.noop()
        assert "CONTACTADMIN" in imap_login(house, PASSWORD)
        assert submission_login(house, PASSWORD).startswith("535 5.7.8")
        assert re.search(r"account is suspended until \d{4}-\d\d-\d\dT[\d:]+Z: unpaid bill", house.text())
        house.send("jack@example.com", "while-away", sender="jill@example.com")
        wait_for(house.queue_is_empty)
        row, = json.loads(house.command("account", "show", "jack@example.com", "--json").stdout)
        assert row["suspended"] and row["suspended_reason"] == "unpaid bill" and row["enabled"]
        house.command("account", "resume", "jack@example.com")
        assert house.subjects() == ["while-away"]
        assert house.command("account", "resume", "jack@example.com", check=False).returncode == 1


def test_networks_and_protocols_bound_an_account():
    with Village("jack") as house:
        house.command("account", "set", "jack@example.com", "--networks", "127.0.0.2,192.0.2.0/24,2001:db8::/32",
                      "--protocols", "imap")
        assert "AUTHENTICATIONFAILED" in imap_login(house, PASSWORD)
        assert imap_login(house, PASSWORD, source="127.0.0.2") is True
        assert submission_login(house, PASSWORD, source="127.0.0.2").startswith("535 5.7.8")
        assert "network is not allowed for this account" in house.text()
        assert "submissions is not allowed for this account" in house.text()
        row, = json.loads(house.command("account", "show", "jack@example.com", "--json").stdout)
        assert row["networks"] == "127.0.0.2 192.0.2.0/24 [2001:db8::]/32" and row["protocols"] == "imap"
        bad = house.command("account", "set", "jack@example.com", "--networks", "127.0.0.1/8", check=False)
        assert bad.returncode == 2 and "host bits" in bad.stderr
        house.command("account", "set", "jack@example.com", "--networks", "all", "--protocols", "all")
        assert submission_login(house, PASSWORD) is True


GUARDED = {"auth_ban_exceptions": "", "auth_ban_failures": "3", "auth_ban_time": "1h"}


@pytest.mark.parametrize("cached", ["10s", "0"])
def test_a_database_knows_who_is_never_banned(cached):
    program = Program({b"127.0.0.67": b"yes"}, "socketmap")
    try:
        with Village("jack", **{**GUARDED, "auth_ban_exceptions": f"socketmap:inet:127.0.0.1:{program.port}:x 192.0.2.1"}, table_cache_time=cached) as house:
            for source in ("127.0.0.67", "127.0.0.66"):
                for _ in range(3):
                    imap_login(house, "wrong", source=source)
            wait_for(lambda: house.count("127.0.0.66 is banned for 3600 seconds"))
            assert not house.count("127.0.0.67 is banned") and {b"127.0.0.66", b"127.0.0.67"} <= set(program.asked)
            # While it is away nobody is; what happens then counts for nothing, and afterwards all goes on.
            program.close()
            for _ in range(4):
                imap_login(house, "wrong", source="127.0.0.68")
            assert not house.count("127.0.0.68 is banned")
            again = Program({}, "socketmap", program.port)
            try:
                wait_for(lambda: house.count("127.0.0.69 is banned") or not imap_login(house, "wrong", source="127.0.0.69"), 90)
            finally:
                again.close()
    finally:
        program.close()


def test_a_network_that_guesses_is_banned_and_owners_are_not():
    with Village("jack", **GUARDED) as house:
        assert imap_login(house, PASSWORD, source="127.0.0.9") is True
        for source in ("127.0.0.9", "127.0.0.66"):
            for _ in range(3):
                assert imap_login(house, "wrong", source=source) is not True
        wait_for(lambda: house.count("127.0.0.66 is banned for 3600 seconds"))
        wait_for(lambda: "BYE" in str(refusal(house, "imap", "127.0.0.66")))
        assert refusal(house, "submission", "127.0.0.66").startswith("554 5.7.1")
        assert refusal(house, "pop3", "127.0.0.66").startswith("-ERR")
        # Mail from there still comes where nobody logs in.
        assert refusal(house, "smtp", "127.0.0.66").startswith("220")
        # Who has logged in from there before is not shut out.
        assert imap_login(house, PASSWORD, source="127.0.0.9") is True
        assert "127.0.0.66" in house.command("auth", "bans").stdout
        ban, = json.loads(house.command("auth", "bans", "--json").stdout)
        assert ban["network"] == "127.0.0.66" and ban["times"] == 1
        rows = json.loads(house.command("auth", "failures", "--network", "127.0.0.66", "--json").stdout)
        assert [r["reason"] for r in rows] == ["password mismatch"] * 3
        assert len(json.loads(house.command("auth", "failures", "--account", "jack@example.com", "--json").stdout)) == 6
        assert house.command("auth", "failures", "--account", "jill@example.com", "--json").stdout == "[]\n"
        # It holds after a restart, of all and of the clerk alone.
        house.stop()
        house.start()
        wait_for(lambda: "BYE" in refusal(house, "imap", "127.0.0.66"))
        before = house.kill("clerk")
        house.back("clerk", before)
        wait_for(lambda: "BYE" in refusal(house, "imap", "127.0.0.66"))
        for _ in range(4):
            assert imap_login(house, "wrong", source="127.0.0.9") is not True
        assert imap_login(house, PASSWORD, source="127.0.0.9") is True, "known networks are durable"
        house.command("auth", "unban", "127.0.0.66")
        wait_for(lambda: "BYE" not in refusal(house, "imap", "127.0.0.66"))
        wait_for(lambda: imap_login(house, PASSWORD, source="127.0.0.66") is True)
        assert house.command("auth", "unban", "127.0.0.66", check=False).returncode == 1


def refusal(house, service, source):
    with socket.create_connection(("127.0.0.1", house.ports[service]), timeout=PATIENCE, source_address=(source, 0)) as s:
        return s.recv(200).decode()


def test_bans_by_hand():
    with Village("jack") as house:
        house.command("auth", "ban", "127.0.0.64/28", "--for", "1h", "--reason", "botnet")
        wait_for(lambda: "BYE" in refusal(house, "imap", "127.0.0.70"))
        assert imap_login(house, PASSWORD, source="127.0.0.80") is True
        assert "botnet" in house.command("auth", "bans").stdout
        # Who asks for one address, or for all, is told of the ban that is meant.
        for near, how in (("127.0.0.70", "which it lies in"), ("127.0.0.0/8", "which lies in it")):
            done = house.command("auth", "unban", near, check=False)
            assert done.returncode == 1 and f"127.0.0.64/28, {how}, is banned: mansio auth unban 127.0.0.64/28" in done.stderr, done.stderr
        assert "is banned" not in house.command("auth", "unban", "192.0.2.1", check=False).stderr
        assert imap_login(house, "wrong", source="127.0.0.80") is not True
        count = lambda network: len(json.loads(house.command("auth", "failures", "--network", network, "--json").stdout))
        assert [count(n) for n in ("127.0.0.80", "127.0.0.0/8", "127.0.0.0/28", "2001:db8::/32")] == [1, 1, 0, 0]
        house.command("auth", "unban", "127.0.0.64/28")
        wait_for(lambda: imap_login(house, PASSWORD, source="127.0.0.70") is True)
        for wrong in ("x", "127.0.0.1/8", ""):
            assert house.command("auth", "ban", wrong, check=False).returncode == 2


def send_as(house, sender, user="jack@example.com", to="jill@example.com"):
    """True, or the refusal of the first recipient."""
    with smtplib.SMTP_SSL("127.0.0.1", house.ports["submissions"], timeout=PATIENCE, context=trusting()) as s:
        if user is not None:
            s.login(user, PASSWORD)
        assert s.mail(sender)[0] == 250
        code, words = s.rcpt(to)
        return True if code == 250 else f"{code} {words.decode()}"


def test_users_send_as_their_own_addresses():
    with Village("jack", "jill") as house:
        house.command("alias", "add", "sales@example.com", "jack@example.com", "jill@example.com")
        house.command("alias", "add", "chief@example.com", "sales@example.com")
        house.command("alias", "add", "jills@example.com", "jill@example.com")
        house.command("group", "add", "team@example.com", "--member", "jack@example.com")
        refused = "553 5.7.1 <{}>: Sender address rejected: not owned by user jack@example.com"
        for own in ("jack@example.com", "Jack+tag@Example.com", "sales@example.com", "chief@example.com", "team@example.com", ""):
            assert send_as(house, own) is True, own
        for other in ("jill@example.com", "jills@example.com", "nobody@example.com", "eva@elsewhere.example"):
            assert unnamed(send_as(house, other)) == refused.format(other)
        assert "NOQUEUE: reject: RCPT from" in house.text()
        assert "from=<jill@example.com> to=<jill@example.com>" in house.text()
        # A stranger's mail comes in under any name; the owner may be asked for by setting.
        house.send("jill@example.com", "from-outside", sender="jack@example.com")
        house.write_settings(**{"smtp/smtpd_sender_login_check": "unauthenticated", "submissions/smtpd_sender_login_check": "known"})
        before = house.count("reload")
        house.command("reload")
        wait_for(lambda: house.count("reload") > before)
        wait_for(lambda: send_as(house, "eva@elsewhere.example") is True)
        assert unnamed(send_as(house, "jill@example.com")) == refused.format("jill@example.com")
        with pytest.raises(smtplib.SMTPRecipientsRefused) as why:
            house.send("jill@example.com", "forged", sender="jack@example.com")
        code, words = why.value.recipients["jill@example.com"]
        assert (code, unnamed(words.decode())) == (553, "5.7.1 <jack@example.com>: Sender address rejected: not logged in")
        house.send("jill@example.com", "not-forged", sender="eva@elsewhere.example")


def test_sender_login_maps_come_first(tmp_path):
    maps = tmp_path / "senders"
    maps.write_text("jill@example.com jack@example.com, jill@example.com\n@elsewhere.example jack\nsales@example.com jill\n")
    tmp_path.chmod(0o755)
    with Village("jack", "jill", smtpd_sender_login_maps=f"hash:{maps}", myorigin="example.com") as house:
        house.command("alias", "add", "sales@example.com", "jack@example.com")
        assert send_as(house, "jill@example.com") is True
        assert send_as(house, "any.body@elsewhere.example") is True
        assert send_as(house, "jack@example.com") is True
        assert send_as(house, "sales@example.com").startswith("553 5.7.1")
        assert send_as(house, "sales@example.com", user="jill@example.com") is True


def sqlite_table(place, name, rows):
    """A table that role proxymap asks: sqlite:FILE."""
    place.chmod(0o755)
    with sqlite3.connect(place / f"{name}.db") as db:
        db.execute("CREATE TABLE a(k text, v text)")
        db.executemany("INSERT INTO a VALUES(?, ?)", rows)
    (place / f"{name}.db").chmod(0o644)
    (place / f"{name}.cf").write_text(f"dbpath = {place}/{name}.db\nquery = SELECT v FROM a WHERE k='%s'\n")
    return f"sqlite:{place}/{name}.cf"


def test_owners_may_be_in_a_database():
    place = pathlib.Path(tempfile.mkdtemp(prefix="mansio-owners-"))
    maps = sqlite_table(place, "senders", [("jill@example.com", "jack@example.com,jill@example.com"), ("@elsewhere.example", "jack")])
    try:
        with Village("jack", "jill", smtpd_sender_login_maps=maps, myorigin="example.com") as house:
            for own in ("jill@example.com", "any.body@elsewhere.example", "jack@example.com"):
                assert send_as(house, own) is True, own
            assert send_as(house, "jack@example.com", user="jill@example.com").startswith("553 5.7.1")
    finally:
        shutil.rmtree(place)


def test_aliases_of_tables_count_as_own_addresses():
    place = pathlib.Path(tempfile.mkdtemp(prefix="mansio-owners-"))
    far = sqlite_table(place, "virtual", [("far@virt.example", "chain@virt.example"), ("jills@virt.example", "jill@example.com")])
    (place / "virtual").write_text("near@virt.example jack@example.com, out@else.example\nchain@virt.example near@virt.example\n")
    try:
        with Village("jack", "jill", virtual_alias_domains="virt.example",
                     virtual_alias_maps=f"hash:{place}/virtual, {far}") as house:
            for own in ("near@virt.example", "chain@virt.example", "far@virt.example", "near+x@virt.example"):
                assert send_as(house, own) is True, own
            for other in ("jills@virt.example", "nobody@virt.example"):
                assert send_as(house, other).startswith("553 5.7.1"), other
            assert send_as(house, "jills@virt.example", user="jill@example.com") is True
    finally:
        shutil.rmtree(place)


class Talk:
    """A program at the auth socket, by hand."""

    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(PATIENCE)
        self.s.connect(str(path))
        self.f = self.s.makefile("rb")
        self.greeting = []
        while (line := self.line()) != "DONE":
            self.greeting.append(line)

    def line(self):
        return self.f.readline().decode().rstrip("\n")

    def say(self, *lines):
        self.s.sendall("".join(x + "\n" for x in lines).encode())

    def ask(self, line):
        self.say(line)
        return self.line()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.f.close()
        self.s.close()


def plain(user, password):
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def test_R263_dovecots_auth_protocol(tmp_path):
    tmp_path.chmod(0o755)
    path = tmp_path / "auth"
    with Village("jack", auth_socket=str(path), auth_socket_mode="0666") as house:
        wait_for(path.exists)
        assert path.stat().st_mode & 0o777 == 0o666
        with Talk(path) as t:
            assert t.greeting[0].startswith("VERSION\t1\t")
            assert "MECH\tPLAIN\tplaintext" in t.greeting and "MECH\tSCRAM-SHA-256\tmutual-auth" in t.greeting
            assert not any("-PLUS" in g or "EXTERNAL" in g for g in t.greeting)
            assert {g.split("\t")[0] for g in t.greeting} == {"VERSION", "MECH", "SPID", "CUID", "COOKIE"}
            t.say("VERSION\t1\t1", "CPID\t4711")
            good = "service=smtp\trip=192.0.2.7\tsecured\tresp="
            assert t.ask(f"AUTH\t1\tPLAIN\t{good}" + plain("jack@example.com", PASSWORD)) == "OK\t1\tuser=jack@example.com"
            assert t.ask(f"AUTH\t2\tPLAIN\t{good}" + plain("jack@example.com", "wrong")) == "FAIL\t2\tuser=jack@example.com"
            assert t.ask(f"AUTH\t3\tPLAIN\t{good}" + plain("who\t@example.com", "x")) == "FAIL\t3\tuser=who\x01t@example.com"
            assert t.ask("AUTH\t4\tPLAIN\tservice=smtp\tsecured") == "CONT\t4\t"
            assert t.ask("CONT\t4\t" + plain("jack@example.com", PASSWORD)) == "OK\t4\tuser=jack@example.com"
            assert t.ask("AUTH\t5\tLOGIN\tservice=imap") == "CONT\t5\t" + base64.b64encode(b"Username:").decode()
            assert t.ask("CONT\t5\t" + base64.b64encode(b"jack@example.com").decode()).startswith("CONT\t5\t")
            assert t.ask("CONT\t5\t" + base64.b64encode(PASSWORD.encode()).decode()) == "OK\t5\tuser=jack@example.com"
            assert t.ask("AUTH\t6\tGOPHER\tservice=smtp").startswith("FAIL\t6\t")
            assert t.ask("AUTH\t7\tPLAIN\tservice=smtp\tresp=!!").startswith("FAIL\t7\treason=Invalid base64")
            assert t.ask("AUTH\t8\tPLAIN\tservice=smtp") == "CONT\t8\t"
            t.say("CANCEL\t8")
            assert t.ask(f"AUTH\t8\tPLAIN\t{good}" + plain("jack@example.com", PASSWORD)) == "OK\t8\tuser=jack@example.com"
            house.command("account", "suspend", "jack@example.com")
            assert "user_disabled" in t.ask(f"AUTH\t9\tPLAIN\t{good}" + plain("jack@example.com", PASSWORD))
            house.command("account", "resume", "jack@example.com")
        rows = json.loads(house.command("auth", "failures", "--network", "192.0.2.7", "--json").stdout)
        assert [r["service"] for r in rows] == ["submission"] * 3
        # What breaks the protocol is hung up on, and nobody else notices.
        for wrong in (b"AUTH\t1\tPLAIN\n", b"VERSION\t2\t0\n", b"VERSION\t1\t0\nAUTH\tx\tPLAIN\n", b"VERSION\t1\t0\nCONT\t\n",
                      b"x" * 70000, b"VERSION\t1\t0\nAUTH\t1\tPLAIN\nAUTH\t1\tPLAIN\n", b"VERSION\t1\t0\nAUTH\t99999999999\tPLAIN\n"):
            with Talk(path) as t:
                try:
                    t.s.sendall(wrong)
                    while t.f.readline():
                        pass
                except (ConnectionResetError, BrokenPipeError):
                    pass
        with Talk(path) as t:
            t.say("VERSION\t1\t1")
            before = house.kill("clerk")
            house.back("clerk", before)
            wait_for(lambda: t.ask("AUTH\t1\tPLAIN\tservice=smtp\tresp=" + plain("jack@example.com", PASSWORD)).startswith("OK") or t.say("CANCEL\t1"))


def test_who_says_no_name_reads_by_another_program_and_sends_nothing(tmp_path):
    tmp_path.chmod(0o755)
    path = tmp_path / "auth"
    with Village("jack", "jill", auth_socket=str(path), auth_socket_mode="0666", sasl_mechanisms="PLAIN ANONYMOUS", anonymous_login_user="jill@example.com",
                 auth_failure_delay="0") as house:
        wait_for(path.exists)
        token = base64.b64encode(b"sirhc").decode()
        with Talk(path) as t:
            assert any(g.startswith("MECH\tANONYMOUS") and "anonymous" in g.split("\t")[2:] for g in t.greeting), t.greeting
            t.say("VERSION\t1\t1", "CPID\t4711")
            for n, service in enumerate(("smtp", "submission", "lmtp"), 1):
                assert t.ask(f"AUTH\t{n}\tANONYMOUS\tservice={service}\tsecured\tresp={token}").startswith(f"FAIL\t{n}"), service
            assert t.ask(f"AUTH\t9\tANONYMOUS\tservice=imap\tsecured\tresp={token}") == "OK\t9\tuser=jill@example.com"


@pytest.mark.skipif(peers.missing() or not peers.EximThatAsks.heavy.exists(), reason="Exim with the dovecot driver is not here")
def test_exim_asks_our_auth_socket():
    """Exim beside us lets our users in, by mechanisms in one step and in several, and nobody else."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="mansio-auth-"))       # Exim is no root, and pytest's directories are root's
    place.chmod(0o755)
    path = place / "auth"
    with Village("jack", auth_socket=str(path), auth_socket_mode="0666", sasl_mechanisms="PLAIN LOGIN CRAM-MD5",
                 auth_failure_delay="0") as house:
        house.command("account", "set", "jack@example.com", "password", "--keep-plain-secret", input=PASSWORD + "\n")
        wait_for(path.exists)
        with peers.EximThatAsks(path) as exim:
            def login(how, user, password):
                with smtplib.SMTP("127.0.0.1", exim.port, timeout=60) as s:
                    s.ehlo("client.example")
                    s.user, s.password = user, password
                    try:
                        code, said = s.auth(*how(s))
                    except smtplib.SMTPAuthenticationError as e:
                        code, said = e.smtp_code, e.smtp_error
                    s.mail("jack@example.com")
                    return code, s.rcpt("members@else.example")[0]
            ways = {"PLAIN": lambda s: ("PLAIN", s.auth_plain), "LOGIN": lambda s: ("LOGIN", s.auth_login), "CRAM-MD5": lambda s: ("CRAM-MD5", s.auth_cram_md5)}
            for name, how in ways.items():
                assert login(how, "jack@example.com", PASSWORD) == (235, 250), (name, exim.log())
                assert login(how, "jack@example.com", "wrong") == (535, 550), name
            rows = json.loads(house.command("auth", "failures", "--json").stdout)
            assert [r["service"] for r in rows] == ["submission"] * 3
            # Our clerk is gone for a moment: later, and then as before.
            house.back("clerk", house.kill("clerk"))
            wait_for(lambda: login(ways["PLAIN"], "jack@example.com", PASSWORD) == (235, 250))
    shutil.rmtree(place)


def test_a_program_that_asks_for_others_bans_nobody(tmp_path):
    """Whoever may use the socket says where its clients are; for what it asks, the failures count."""
    tmp_path.chmod(0o755)
    path = tmp_path / "auth"
    with Village("jack", auth_socket=str(path), auth_socket_mode="0666", **GUARDED) as house:
        wait_for(path.exists)
        with Talk(path) as t:
            t.say("VERSION\t1\t1", "CPID\t4711")
            for n in range(1, 6):
                said = t.ask(f"AUTH\t{n}\tPLAIN\tservice=smtp\trip=127.0.0.77\tsecured\tresp=" + plain("jack@example.com", "wrong"))
                assert said.startswith("FAIL")
        assert json.loads(house.command("auth", "bans", "--json").stdout or "[]") == []
        assert "BYE" not in refusal(house, "imap", "127.0.0.77")
        assert imap_login(house, PASSWORD, source="127.0.0.77") is True
        rows = json.loads(house.command("auth", "failures", "--network", "127.0.0.77", "--json").stdout)
        assert rows and {r["network"] for r in rows} == {"127.0.0.77"}


POSTFIX = """\
compatibility_level = 3.6
queue_directory = {d}/queue
data_directory = {d}/data
maillog_file = {d}/log
maillog_file_prefixes = {d}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.example.com
mydestination =
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_sasl_security_options = noanonymous
smtpd_tls_security_level = none
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
alias_maps =
"""


@pytest.fixture
def open_path():
    """A directory that every user can reach."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="mansio-postfix-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_R169_postfix_asks_us(open_path):
    """Debian's own smtpd, by smtpd_sasl_type = dovecot."""
    tmp_path = open_path
    if os.geteuid() != 0 or shutil.which("swaks") is None or not pathlib.Path("/usr/lib/postfix/sbin/master").exists():
        pytest.skip("needs root, Postfix and swaks")
    user = pwd.getpwnam("postfix")
    etc, queue, data = (tmp_path / n for n in ("etc", "queue", "data"))
    for d in (etc, queue, data):
        d.mkdir()
    for name in ("active bounce corrupt defer deferred flush hold incoming private saved trace".split()):
        (queue / name).mkdir(mode=0o700)
        os.chown(queue / name, user.pw_uid, user.pw_gid)
    os.chown(data, user.pw_uid, user.pw_gid)
    for name in ("maildrop", "public", "pid"):
        (queue / name).mkdir(mode=0o755)
        os.chown(queue / name, 0 if name == "pid" else user.pw_uid, user.pw_gid)
    port, = free_ports(1)
    (etc / "main.cf").write_text(POSTFIX.format(d=tmp_path))
    (etc / "master.cf").write_text(f"127.0.0.1:{port} inet n - n - - smtpd\n"
                                   "rewrite unix - - n - - trivial-rewrite\nproxymap unix - - n - - proxymap\n"
                                   "anvil unix - - n - 1 anvil\ncleanup unix n - n - 0 cleanup\n"
                                   "postlog unix-dgram n - n - 1 postlogd\n")
    with Village("jack", auth_socket=str(queue / "private/auth"), auth_socket_mode="0660", auth_socket_owner="postfix") as house:
        wait_for((queue / "private/auth").exists)
        env = {**os.environ, "MAIL_CONFIG": str(etc)}
        master = subprocess.Popen(["/usr/lib/postfix/sbin/master", "-c", etc, "-d"], env=env, stdin=subprocess.DEVNULL)
        try:
            def swaks(mechanism, password):
                return subprocess.run(["swaks", "--server", f"127.0.0.1:{port}", "--auth", mechanism, "--auth-user", "jack@example.com",
                                       "--auth-password", password, "--from", "jack@example.com", "--to", "jack@example.com",
                                       "--quit-after", "RCPT"], capture_output=True, text=True, timeout=60)
            wait_for(lambda: master.poll() is not None or socket.socket().connect_ex(("127.0.0.1", port)) == 0)
            for mechanism in ("PLAIN", "LOGIN"):
                done = swaks(mechanism, PASSWORD)
                assert "235 2.7.0 Authentication successful" in done.stdout, done.stdout + (tmp_path / "log").read_text()
                assert done.returncode == 0
                done = swaks(mechanism, "wrong")
                assert "535 5.7.8" in done.stdout and done.returncode != 0
            house.command("account", "set", "jack@example.com", "--protocols", "imap")
            assert "535 5.7.8" in swaks("PLAIN", PASSWORD).stdout
        finally:
            master.terminate()
            master.wait(20)


def test_users_from_csv(tmp_path):
    sheet = tmp_path / "users.csv"
    sheet.write_bytes("\ufeffaddress;name;password;quota;aliases\r\n"
                      'ann@new.example;"Ann; ""A""";pass"w"ord;1G;info@new.example sales@new.example\r\n'
                      'bob@new.example;鲍勃;"s;ecret ""x""";;\r\n\r\n'.encode())
    with Village("jack") as house:
        refused = house.command("import-users", sheet, check=False)
        assert refused.returncode == 1 and f"{sheet}:2: ann@new.example is of a domain that is not ours" in refused.stderr
        assert house.command("account", "list", "new.example").stdout == ""
        dry = house.command("import-users", sheet, "--with-domains", "--dry-run")
        assert dry.stdout == "would be imported: 2 accounts, 2 aliases\n" and "the column name is not kept" in dry.stderr
        assert house.command("domain", "show", "new.example", check=False).returncode == 1
        assert house.command("import-users", sheet, "--with-domains").stdout == "imported: 2 accounts, 2 aliases\n"
        assert imap_login(house, 'pass\\"w\\"ord', user="ann@new.example") is True
        assert imap_login(house, 's;ecret \\"x\\"', user="bob@new.example") is True
        assert "sales@new.example" in house.command("alias", "list", "new.example").stdout
        # All or nothing, or what is right.
        sheet.write_bytes("用户,address,password\n鲍,carl@new.example,x1\n鲍,ann@new.example,x2\n鲍,not an address,x3\n".encode("gb18030"))
        again = house.command("import-users", sheet, check=False)
        assert again.returncode == 1
        assert f"{sheet}:3: ann@new.example is there already" in again.stderr and f"{sheet}:4: " in again.stderr
        assert "用户" in again.stderr
        assert "carl" not in house.command("account", "list").stdout
        house.command("import-users", sheet, "--skip")
        assert imap_login(house, "x1", user="carl@new.example") is True
        assert imap_login(house, "x2", user="ann@new.example") is not True
        for junk in (b"", b"a,b,c\n1,2,3\n", b"address,password\n\"open,x\n", bytes(range(256)) * 40):
            sheet.write_bytes(junk)
            assert house.command("import-users", sheet, check=False).returncode in (0, 1)


@pytest.mark.skipif(shutil.which("sasldblistusers2", path="/usr/sbin:/usr/bin") is None, reason="no sasl2-bin")
def test_sasldblistusers_lists_as_cyrus_does(tmp_path):
    """The same users in a sasldb and in the directory, listed by its command and by ours."""
    database = tmp_path / "sasldb2"
    with Village("jack", "jill") as house:
        for name in ("jack", "jill"):
            subprocess.run(["saslpasswd2", "-p", "-c", "-f", database, "-u", "example.com", name], input=PASSWORD, text=True, check=True)
        wanted = subprocess.run(["sasldblistusers2", "-f", database], capture_output=True, text=True, check=True)
        got = house.command("sasldblistusers2")
        # saslpasswd2 makes a secret for each of its plugins that wants one.
        assert sorted(got.stdout.splitlines()) == sorted(line for line in wanted.stdout.splitlines() if line.endswith(": userPassword"))
        for words in (["x", "y"], ["-z"]):
            theirs = subprocess.run(["sasldblistusers2", *words], capture_output=True, text=True)
            ours = house.command("sasldblistusers2", *words, check=False)
            assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout) and "usage: sasldblistusers2" in ours.stderr
        done = house.command("sasldblistusers2", "-f", database, check=False)
        assert done.returncode == 1 and "accounts are in the directory" in done.stderr


def test_users_from_a_passwd_file_keep_their_hashes(tmp_path):
    crypt = subprocess.run(["openssl", "passwd", "-6", "blue"], capture_output=True, text=True, check=True).stdout.strip()
    sheet = tmp_path / "users"
    sheet.write_text(f"# Dovecot's\neva:{{SHA512-CRYPT}}{crypt}:1000:1000::/home/eva::userdb_quota_rule=*:storage=2G\n"
                     f"max@example.com:{crypt}\nmia:{{PLAIN}}green\nlost:*\n")
    with Village("jack") as house:
        bad = house.command("import-users", sheet, "--domain", "example.com", check=False)
        assert bad.returncode == 1 and f"{sheet}:5: nobody could log in" in bad.stderr
        house.command("import-users", sheet, "--domain", "example.com", "--skip")
        for user, password in (("eva", "blue"), ("max", "blue"), ("mia", "green")):
            assert imap_login(house, password, user=f"{user}@example.com") is True, user


def test_aliases_from_files(tmp_path):
    file = tmp_path / "aliases"
    file.write_text('# /etc/aliases\nroot: jack\npostmaster:\troot,\n\t jill@elsewhere.example\nsales@example.com jack@example.com\n')
    with Village("jack") as house:
        assert "say --domain" in house.command("import-aliases", file, check=False).stderr
        assert house.command("import-aliases", file, "--domain", "example.com").stdout == "imported: 0 accounts, 3 aliases\n"
        rows = {tuple(line.split()) for line in house.command("alias", "list").stdout.splitlines()}
        assert rows == {("root@example.com", "jack@example.com"), ("postmaster@example.com", "root@example.com"),
                        ("postmaster@example.com", "jill@elsewhere.example"), ("sales@example.com", "jack@example.com")}
        file.write_text('prog: "|/bin/true"\nlist: :include:/etc/list\n@example.com jack\nnowhere:\nx: jack\n')
        bad = house.command("import-aliases", file, "--domain", "example.com", check=False)
        assert bad.returncode == 1
        for line, words in ((1, "a command"), (2, "a command"), (4, "leads nowhere")):
            assert re.search(rf"^{re.escape(str(file))}:{line}: .*{words}", bad.stderr, re.M), bad.stderr
        assert "x@example.com" not in house.command("alias", "list").stdout
        # What was not imported would not be, either.
        assert "nothing imported; right were: " in bad.stdout and "would be" not in bad.stdout
        file.write_text("@example.com jack@example.com\n")
        assert "imported: 0 accounts, 1 aliases\n" == house.command("import-aliases", file).stdout
        assert "jack@example.com" in house.command("domain", "show", "example.com").stdout
        file.write_text("@example.com jack@example.com, jill@example.com\n")
        bad = house.command("import-aliases", file, check=False)
        assert bad.returncode == 1 and f"{file}:1: @example.com is a catch-all, which leads to one address" in bad.stderr


def test_an_alias_of_a_person_or_of_itself_is_kept_and_noted():
    with Village("jack", "jill") as house:
        for address, to, note in (("jack@example.com", ["jill@example.com"], "is an account, which gets no more mail now"),
                                  ("new@example.com", ["new@example.com"], "leads to itself, and there is no such account"),
                                  ("jill@example.com", ["JILL@example.com"], "leads to itself alone"),
                                  ("ann@example.com", ["jill@example.com"], None)):
            said = house.command("alias", "add", address, *to)
            assert said.stderr == "" if note is None else note in said.stderr, said.stderr
        assert "note" not in house.command("alias", "set", "jack@example.com", "jack@example.com", "jill@example.com").stderr


def test_config_set_looks_at_the_tables_too():
    with Village("jack") as house:
        before = house.config.read_text()
        bad = house.command("config", "set", "virtual_alias_maps=hash:/nonexistent/virtual", check=False)
        assert bad.returncode == 1 and "/nonexistent/virtual" in bad.stderr and "stays as it was" in bad.stderr
        assert house.config.read_text() == before
        house.config.write_text(before + "virtual_alias_maps = hash:/nonexistent/virtual\n")
        # What was wrong before is no reason not to mend something else.
        assert house.command("config", "set", "message_size_limit=20M").returncode == 0


def test_what_is_wrong_with_an_import_is_said_by_its_line(tmp_path):
    """CSV as spreadsheets write it, an alias that stands there twice, hashes that verify no SCRAM."""
    people, aliases, hashed = tmp_path / "people.csv", tmp_path / "aliases", tmp_path / "hashed"
    people.write_text('\ufeffaddress;password;quota;aliases\r\n\r\n"bob@example.com";"pa;ss""word";10M;b1@example.com b2@example.com\r\n'
                      "carl@example.com;x;12Q;\r\nbob@example.com;y;;\r\nodd;;;\r\n", encoding="utf-8")
    aliases.write_text("root: jack@example.com\nabuse: root\n  , jill@example.com\nRoot: jill@example.com\n")
    hashed.write_text("eva@example.com:{SHA512-CRYPT}" + subprocess.run(["openssl", "passwd", "-6", "geheim"], capture_output=True, text=True,
                                                                      check=True).stdout.strip() + "::::::\n")
    with Village("jack", "jill") as house:
        for dry in (["--dry-run"], []):
            done = house.command("import-users", people, *dry, check=False)
            assert done.returncode == 1
            assert f"{people}:4: carl@example.com has a quota of 12Q, which is no size; write 500M" in done.stderr
            assert f"{people}:5: bob@example.com is there already" in done.stderr and f"{people}:6:" in done.stderr
            done = house.command("import-aliases", aliases, "--domain", "example.com", *dry, check=False)
            assert done.returncode == 1 and f"{aliases}:4: Root@example.com stands in line 1 already" in done.stderr
        assert "bob" not in house.command("account", "list").stdout and "root" not in house.command("alias", "list").stdout
        assert house.command("import-users", people, "--skip").stdout.startswith("imported: 1 accounts, 2 aliases")
        assert imap_login(house, 'pa;ss\\"word', "bob@example.com") is True
        done = house.command("import-users", hashed)
        assert f"{hashed}: 1 of the accounts have hashes that SCRAM cannot be checked with" in done.stderr
        assert imap_login(house, "geheim", "eva@example.com") is True
