# SPDX-License-Identifier: ISC
"""What an administrator asks of the keepers: who reads, send them away, is all well.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_keeper_commands.py
"""

import imaplib
import json
import pathlib
import poplib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import PATIENCE, wait_for
from test_roles import PASSWORD, Village, trusting


@pytest.fixture(scope="module")
def house():
    with Village("jack", "jill", "eve", keeper_processes="2") as village:
        yield village


def pop3(house, user):
    c = poplib.POP3_SSL("127.0.0.1", house.ports["pop3s"], context=trusting(), timeout=PATIENCE)
    c.user(f"{user}@example.com")
    c.pass_(PASSWORD)
    return c


def who(house, *words):
    return json.loads(house.command("who", *words, "--json").stdout)


def ended(box):
    """The last words of an IMAP session that is over, or nothing while it lives."""
    try:
        return box.readline()
    except OSError:
        return b""


def test_who_tells_of_every_session(house):
    box, drop = house.imap("jack"), pop3(house, "jill")
    box.select("Sent")
    rows = wait_for(lambda: (r := who(house)) and len(r) == 2 and r)
    by_user = {r["user"]: r for r in rows}
    assert by_user["jack@example.com"]["protocol"] == "imap"
    assert by_user["jack@example.com"]["state"] == "selected in Sent"
    assert by_user["jack@example.com"]["tls"] == "TLS"
    assert by_user["jack@example.com"]["address"] == "127.0.0.1"
    assert by_user["jill@example.com"]["protocol"] == "pop3"
    assert [r["user"] for r in who(house, "ja*")] == ["jack@example.com"]
    assert len(who(house, "127.0.0.0/8")) == 2 and who(house, "192.0.2.0/24") == []
    box.logout(), drop.quit()
    wait_for(lambda: who(house) == [])


def test_kick_by_user_and_by_session(house):
    jack, jill, drop = house.imap("jack"), house.imap("jill"), pop3(house, "jill")
    wait_for(lambda: len(who(house)) == 3)
    assert house.command("kick", "jill@*").stdout == "2 sessions ended\n"
    assert ended(jill) == b"* BYE [UNAVAILABLE] Ended by the administrator\r\n"
    assert drop.file.readline().startswith(b"-ERR ")
    session = who(house)[0]["session"]
    assert house.command("kick", session).stdout == "1 session ended\n"
    assert ended(jack).startswith(b"* BYE ")
    done = house.command("kick", "jack@example.com", check=False)
    assert (done.returncode, done.stdout) == (1, "0 sessions ended\n")


def test_kick_of_a_user_from_one_network(house):
    jack, jill = house.imap("jack"), house.imap("jill")
    wait_for(lambda: len(who(house)) == 2)
    assert [r["user"] for r in who(house, "ja*", "127.0.0.0/8")] == ["jack@example.com"]
    assert who(house, "ja*", "192.0.2.0/24") == []
    done = house.command("kick", "jack@example.com", "192.0.2.0/24", check=False)
    assert (done.returncode, done.stdout) == (1, "0 sessions ended\n")
    for wrong in (["jack@example.com", "jill@example.com"], ["127.0.0.1", "127.0.0.0/8"], ["jack@example.com", "127.0.0.1", "jill@example.com"]):
        done = house.command("kick", *wrong, check=False)
        assert done.returncode not in (0, 1) and "is enough" in done.stderr, done
    assert jack.noop()[0] == jill.noop()[0] == "OK"
    assert house.command("kick", "127.0.0.0/8", "jack@example.com").stdout == "1 session ended\n"
    assert ended(jack).startswith(b"* BYE ")
    assert jill.noop()[0] == "OK"
    done = house.command("doveadm", "kick", "jill@*", "127.0.0.1")
    assert done.stdout == "kicked connections from the following users:\njill@example.com \n"
    assert ended(jill).startswith(b"* BYE ")


def test_a_disabled_account_is_sent_away(house):
    box, drop, other = house.imap("eve"), pop3(house, "eve"), house.imap("jack")
    house.command("account", "set", "eve@example.com", "enabled", "no")
    assert wait_for(lambda: ended(box)) == b"* BYE [UNAVAILABLE] This account was disabled\r\n"
    assert drop.file.readline().startswith(b"-ERR [SYS/TEMP] This account was disabled")
    assert other.noop()[0] == "OK"
    with pytest.raises(imaplib.IMAP4.error):
        house.imap("eve")
    house.command("account", "set", "eve@example.com", "enabled", "yes")
    house.imap("eve").logout()
    other.logout()


def test_a_new_password_sends_away_when_asked(house):
    box = house.imap("eve")
    house.command("account", "set", "eve@example.com", "password", input=PASSWORD + "\n")
    assert box.noop()[0] == "OK"
    house.command("account", "set", "eve@example.com", "password", "--kick", input=PASSWORD + "\n")
    assert wait_for(lambda: ended(box)).startswith(b"* BYE [UNAVAILABLE] The password of this account was changed")


def test_a_deleted_account_is_sent_away(house):
    house.command("account", "add", "gone@example.com", input=PASSWORD + "\n")
    box = house.imap("gone")
    house.command("account", "delete", "gone@example.com")
    assert wait_for(lambda: ended(box)) == b"* BYE [UNAVAILABLE] This account was deleted\r\n"


def test_store_check_looks_at_accounts_in_use(house):
    box = house.imap("jack")
    house.send("jack@example.com", "checked")
    wait_for(lambda: "checked" in house.subjects())
    assert house.command("store", "check").stdout == f"all is well in {house.directory}/mail\n"
    assert house.command("store", "check", "jack@example.com").stdout == "all is well in jack@example.com\n"
    nobody = house.command("store", "check", "nobody@example.com", check=False)
    assert nobody.returncode == 1 and "there is no account nobody@example.com" in nobody.stderr
    box.logout()


def test_store_check_finds_damage_in_an_account_in_use():
    with Village() as house:
        house.send("jack@example.com", "harmed")
        wait_for(lambda: "harmed" in house.subjects())
        box = house.imap("jack")
        box.select("INBOX")
        segments = list((house.directory / "mail/spool/letters").glob("*.seg"))
        for segment in segments:
            with open(segment, "r+b") as f:
                data = f.read()
                at = data.find(b"harmed")
                if at >= 0:
                    header = data.rfind(b"MtrL", 0, at)
                    f.seek(header + 24)
                    f.write(b"\0\0\0\0\0\0\0\0")
        done = house.command("store", "check", check=False)
        assert done.returncode == 1
        assert "mailbox INBOX, uid 1: letter " in done.stdout, done.stdout
        assert "in use by a running keeper" not in done.stdout
        box.logout()


def test_store_check_reads_the_files_when_nobody_runs(house):
    house.stop()
    assert house.command("store", "check").stdout == f"all is well in {house.directory}/mail\n"
    done = house.command("store", "check", "jack@example.com", check=False)
    assert done.returncode == 2 and "no server is running" in done.stderr
    house.start()
