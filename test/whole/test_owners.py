# SPDX-License-Identifier: ISC
"""To whom mailboxes of virtual users belong: uid and gid of a back end of credentials, virtual_uid_maps and virtual_gid_maps, mail_uid
and mail_gid; beside a Dovecot that reads the same users and the same mailboxes.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_owners.py
"""

import imaplib
import os
import pathlib
import shutil
import signal
import smtplib
import sqlite3
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import PATIENCE, wait_for
from test_credential_servers import file_for, slapd as _slapd
from test_credentials import pw, village
from test_guard import imap_login
from test_roles import PASSWORD, trusting

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="nobody else can give files to others")
UID, GID = 5000, 5001
slapd = _slapd
EVA, ADAM = "eva@example.com", "adam@example.com"
CONF = """
base_dir = {place}/run
log_path = {place}/log
protocols =
ssl = no
default_internal_user = dovecot
first_valid_uid = 1000
mail_location = maildir:{place}/vmail/%d/%n
passdb {{
  driver = passwd-file
  args = {place}/users
}}
userdb {{
  driver = passwd-file
  args = {place}/users
}}
"""


@pytest.fixture
def place():
    path = pathlib.Path(tempfile.mkdtemp(prefix="owners-", dir="/var/tmp"))
    path.chmod(0o755)
    (path / "vmail").mkdir(mode=0o700)
    os.chown(path / "vmail", UID, GID)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def users(place, *lines):
    (place / "users").write_text("".join(f"{name}:{pw('SSHA512')}:{owner}::::\n" for name, owner in lines))
    (place / "users").chmod(0o644)
    return f"directory passwd-file:{place}/users"


def kept(place, **more):
    return {"mail_location": f"maildir:{place}/vmail/%d/%n", **more}


def send(house, *to):
    with house.smtp() as s:
        return s.sendmail("x@far.example", list(to), "Subject: hello\r\n\r\nHello.\r\n")


def rcpt(house, address):
    with house.smtp() as s:
        s.ehlo("client.example")
        s.mail("x@far.example")
        return s.rcpt(address)[0]


def reader(house, user, password="geheim"):
    c = imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], ssl_context=trusting(), timeout=PATIENCE)
    c.login(user, password)
    return c


def owners(path):
    """Of everything there is in it."""
    return {(st.st_uid, st.st_gid) for at in [path, *path.rglob("*")] for st in [at.lstat()]}


def keepers(house):
    return {p["uid"]: p["pid"] for p in house.status() if p["role"] == "keeper"}


def theirs(place, *words, **more):
    return subprocess.run(["doveadm", "-c", place / "dovecot.conf", *map(str, words)], capture_output=True, text=True, timeout=60, **more)


@pytest.mark.skipif(shutil.which("doveadm") is None, reason="needs Dovecot")
def test_dovecot_reads_and_writes_the_same_maildir_under_the_same_uid(place):
    backends = users(place, (EVA, f"{UID}:{GID}"))
    (place / "dovecot.conf").write_text(CONF.format(place=place))
    subprocess.run(["dovecot", "-c", place / "dovecot.conf"], check=True, timeout=60)
    try:
        with village(**kept(place, auth_backends=backends)) as house:
            send(house, EVA)
            box = place / "vmail/example.com/eva"
            wait_for(lambda: list(box.glob("new/*")))
            assert theirs(place, "fetch", "-u", EVA, "hdr.subject", "ALL").stdout.strip() == "hdr.subject: hello"
            assert theirs(place, "save", "-u", EVA, input="Subject: theirs\n\nx\n").returncode == 0
            with reader(house, EVA) as c:
                assert c.select("INBOX")[1] == [b"2"]
                assert c.append("INBOX", None, None, b"Subject: ours\r\n\r\nx\r\n")[0] == "OK"
                assert c.create("Lists")[0] == "OK" and c.copy("1:3", "Lists")[0] == "OK"
                assert c.store("1", "+FLAGS", r"(\Flagged)")[0] == "OK"
            assert theirs(place, "mailbox", "status", "-u", EVA, "messages", "INBOX").stdout.strip() == "INBOX messages=3"
            assert theirs(place, "mailbox", "status", "-u", EVA, "messages", "Lists").stdout.strip() == "Lists messages=3"
            assert "\\Flagged" in theirs(place, "fetch", "-u", EVA, "flags", "mailbox", "INBOX", "flagged").stdout
            assert theirs(place, "expunge", "-u", EVA, "mailbox", "INBOX", "subject", "theirs").returncode == 0
            with reader(house, EVA) as c:
                assert c.select("INBOX")[1] == [b"2"]
            assert owners(box) == {(UID, GID)}
            assert UID in keepers(house)
    finally:
        theirs(place, "stop")


def test_the_keeper_comes_and_goes_and_nothing_is_lost(place):
    with village(**kept(place, auth_backends=users(place, (EVA, f"{UID}:{GID}"), (ADAM, f"{UID}:{GID}")), user_keeper_idle_time="1s")) as house:
        send(house, EVA, ADAM)
        wait_for(house.queue_is_empty)
        wait_for(lambda: UID not in keepers(house))             # it has nothing to do
        assert house.stop() == 0
        house.start()
        house.at_work()
        c = reader(house, EVA)                                  # the directory of its index says whose it is
        assert c.select("INBOX")[1] == [b"1"]
        os.kill(keepers(house)[UID], signal.SIGKILL)
        send(house, EVA, ADAM)
        wait_for(house.queue_is_empty)
        for user in (EVA, ADAM):
            with reader(house, user) as c:
                assert c.select("INBOX")[1] == [b"2"]
        assert "all is well" in house.command("store", "check").stdout
        assert "INBOX" in house.command("mailbox", "list", EVA).stdout
        house.command("account", "delete", EVA)
        with reader(house, EVA) as c:                           # another account, and the files are where they were
            assert c.select("INBOX")[1] == [b"2"]
        assert owners(place / "vmail/example.com") == {(UID, GID)}


def test_a_database_tells_the_owner_by_name(place):
    with sqlite3.connect(place / "people.db") as db:
        db.execute("CREATE TABLE people(name TEXT, hash TEXT)")
        db.execute("INSERT INTO people VALUES(?, ?)", [EVA, pw("SSHA512")])
    (place / "people.cf").write_text(f"driver = sqlite\ndbpath = {place}/people.db\n"
                                     "password_query = SELECT name AS user, hash AS password FROM people WHERE name = '%Lu'\n"
                                     "user_query = SELECT 'nobody' AS uid, 'nogroup' AS gid FROM people WHERE name = '%Lu'\n")
    os.chown(place / "vmail", 65534, 65534)
    with village(**kept(place, auth_backends=f"directory sql:{place}/people.cf")) as house:
        send(house, EVA)
        wait_for(house.queue_is_empty)
        assert owners(place / "vmail/example.com") == {(65534, 65534)}
        assert imap_login(house, "geheim", EVA) is True


def shared(directory):
    """Of the group, so that several of its members may have something in it."""
    directory.mkdir(exist_ok=True)
    os.chown(directory, UID, GID)
    directory.chmod(0o770)


def virtual(place, **more):
    (place / "boxes").write_text("info@virtual.example virtual.example/info/\nsales@virtual.example virtual.example/sales\n")
    (place / "uids").write_text(f"info@virtual.example {UID}\n@virtual.example {UID + 2}\n")
    return {"virtual_mailbox_domains": "virtual.example", "virtual_mailbox_maps": f"texthash:{place}/boxes",
            "virtual_mailbox_base": f"{place}/vmail", "virtual_gid_maps": f"static:{GID}", **more}


def test_virtual_uid_maps_and_virtual_gid_maps(place):
    shared(place / "vmail")
    shared(place / "vmail/virtual.example")
    with village(**virtual(place, virtual_uid_maps=f"texthash:{place}/uids")) as house:
        send(house, "info@virtual.example", "info+tag@virtual.example", "sales@virtual.example")
        wait_for(house.queue_is_empty)
        assert owners(place / "vmail/virtual.example/info") == {(UID, GID)}
        assert owners(place / "vmail/virtual.example/sales") == {(UID + 2, GID)}
        assert (place / "vmail/virtual.example/sales").stat().st_size > 0


def test_an_owner_that_may_not_be(place):
    """Nobody is refused for a mistake of the administrator's: the mail waits, and a line says why."""
    backends = users(place, (EVA, "0:0"), (ADAM, "33:33"), ("carl@example.com", f"{UID}:0"), ("dora@example.com", f"{UID}:{GID}"))
    with village(**kept(place, auth_backends=backends), **virtual(place, virtual_uid_maps="static:99")) as house:
        for user in (EVA, ADAM, "carl@example.com", "info@virtual.example"):
            assert rcpt(house, user) == 451, user
        assert rcpt(house, "dora@example.com") == 250
        for user in (EVA, ADAM, "carl@example.com"):
            assert imap_login(house, "geheim", user) is not True
        assert house.count(f"{EVA}: the mailboxes cannot belong to uid 0") == 1
        assert house.count(f"{ADAM}: the mailboxes cannot belong to uid 33, gid 33: the smallest that may be is 1000 (first_valid_uid)") == 1
        assert house.count("carl@example.com: the mailboxes cannot belong to uid 5000, gid 0: not to the group of root") == 1
        assert house.count("info@virtual.example: the mailboxes cannot belong to uid 99, gid 5001: the smallest that may be is 100 (virtual_minimum_uid)") == 1
        assert not list((place / "vmail").iterdir())


def test_no_name_of_a_user_is_as_long_as_that(place):
    """What a back end says is no word of the house: 451, and everybody else goes on being served."""
    backends = users(place, (EVA, "u" * 250 + ":"), (ADAM, f"{UID}:" + "g" * 3000), ("dora@example.com", f"{UID}:{GID}"))
    with village(**kept(place, auth_backends=backends)) as house:
        clerk = [p["pid"] for p in house.status() if p["role"] == "clerk"]
        for _ in range(2):
            for user in (EVA, ADAM):
                assert rcpt(house, user) == 451, user
            assert rcpt(house, "dora@example.com") == 250
        assert [p["pid"] for p in house.status() if p["role"] == "clerk"] == clerk
        assert f"{EVA}: the mailboxes cannot belong to a uid or gid of more than 64 bytes" in house.text()


def test_one_account_however_the_name_is_written(place):
    """A table finds SALES for the long s, and a name in capitals of any script: an account for each would be read by nobody."""
    names = [("sales@virtual.example", "\u017fales@virtual.example"), ("ärger@virtual.example", "ÄRGER@virtual.example"),
             ("λόγος@virtual.example", "ΛΌΓΟΣ@virtual.example"), ("straße@virtual.example", "STRASSE@virtual.example")]
    (place / "vmail").chmod(0o777)
    backends = users(place, *((name, ":") for name, _ in names))
    more = virtual(place, auth_backends=backends)
    (place / "boxes").write_text("".join(f"{name} virtual.example/{n}/\n" for n, (name, _) in enumerate(names)))
    with village(**more, smtputf8_enable="yes") as house:
        for pair in names:
            with house.smtp() as s:
                s.ehlo("client.example")
                s.command_encoding = "utf-8"
                s.mail("x@far.example", ["SMTPUTF8"])
                assert [s.rcpt(name)[0] for name in pair] == [250, 250], pair
                s.data("Subject: hello\r\n\r\nHello.\r\n")
        wait_for(house.queue_is_empty)
        listed = [a for a in house.command("account", "list").stdout.splitlines() if "@virtual.example" in a]
        assert len(listed) == len(names), listed
        assert "\u017f" not in "".join(listed) and "Ä" not in "".join(listed)
        for pair in names:
            seen = set()
            for name in pair:
                with imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], ssl_context=trusting(), timeout=PATIENCE) as c:
                    c.authenticate("PLAIN", lambda _: f"\0{name}\0geheim".encode())
                    seen.add(c.select("INBOX")[1][0])
            assert len(seen) == 1 and b"0" not in seen, (pair, seen)


def test_mail_that_belongs_to_somebody_else(place):
    box = place / "vmail/example.com/eva"
    for name in ("", "cur", "new", "tmp"):
        (box / name).mkdir(parents=True, mode=0o700)
    os.chown(place / "vmail/example.com", UID, GID)
    with village(**kept(place, auth_backends=users(place, (EVA, f"{UID}:{GID}")))) as house:
        send(house, EVA)
        wait_for(lambda: house.count(f"it belongs to uid 0, and the mailboxes of this account to uid {UID}, gid {GID}: chown -R {UID}:{GID} {box}"))
        assert not house.queue_is_empty()
        subprocess.run(["chown", "-R", f"{UID}:{GID}", box], check=True)
        house.command("queue", "flush")
        wait_for(house.queue_is_empty)
        assert len(list(box.glob("new/*"))) == 1 and owners(box) == {(UID, GID)}


def test_another_owner_later_is_told_of_and_given_by_a_command(place):
    with village(**kept(place, auth_backends=users(place, (EVA, f"{UID}:{GID}")))) as house:
        send(house, EVA)
        wait_for(house.queue_is_empty)
        users(place, (EVA, f"{UID + 1}:{GID}"))
        wait_for(lambda: imap_login(house, "geheim", EVA) is True and
                 house.count(f"{EVA}: its mailboxes belong to uid {UID}, gid {GID} since they were made, and not to uid {UID + 1}, gid {GID}, as is said now"))
        with reader(house, EVA) as c:
            assert c.select("INBOX")[1] == [b"1"]
        device = house.command("account", "app-password", "add", EVA, "phone").stdout.split()[-1]
        house.command("account", "set", EVA, "--quota-storage", "7M")
        for owner, why in (("nobody-at-all", "there is no such user"), (f"{UID}:no-such-group", "there is no such group"), ("33", "below first_valid_uid"),
                           ("0:0", "below first_valid_uid"), ("", "usage")):
            done = house.command("account", "set", EVA, "owner", owner, check=False)
            assert done.returncode != 0 and why in done.stderr, done
        done = house.command("account", "set", "jack@example.com", "owner", f"{UID}:{GID}", check=False)
        assert done.returncode != 0
        watching = reader(house, EVA)
        done = house.command("account", "set", EVA, "owner", f"{UID + 1}:{GID}")
        assert f"chown -R {UID + 1}:{GID}" in done.stdout
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            for _ in range(100):
                watching.noop()
        send(house, EVA)                                        # it waits until the files are his
        assert imap_login(house, "geheim", EVA) is not True
        subprocess.run(["chown", "-R", f"{UID + 1}:{GID}", place / "vmail"], check=True)
        house.command("queue", "flush")
        wait_for(house.queue_is_empty)
        assert imap_login(house, device, EVA) is not True, "it was good for the account as it was"
        device = house.command("account", "app-password", "add", EVA, "phone").stdout.split()[-1]
        for password in ("geheim", device):
            with reader(house, EVA, password) as c:
                assert c.select("INBOX")[1] == [b"2"]
        with reader(house, EVA) as c:
            assert b" 7168)" in c.getquota('"User quota"')[1][0]
        assert owners(place / "vmail/example.com") == {(UID + 1, GID)}
        assert house.count("as is said now") == 1
        wait_for(lambda: "all is well" in house.command("store", "check", check=False).stdout)
        # And back, while letters come: none is returned, and none is there twice.
        users(place, (EVA, f"{UID}:{GID}"))
        for n in range(20):
            send(house, EVA)
            if n == 10:
                house.command("account", "set", EVA, "owner", f"{UID}:{GID}")
        subprocess.run(["chown", "-R", f"{UID}:{GID}", place / "vmail"], check=True)

        def through():
            house.command("queue", "flush")
            return house.queue_is_empty()
        wait_for(through)
        with reader(house, EVA) as c:
            assert c.select("INBOX")[1] == [b"22"]
        assert house.count("status=bounced") == 0
        wait_for(lambda: "all is well" in house.command("store", "check", check=False).stdout)   # the index it had is held for a while
        house.kill("clerk")
        wait_for(lambda: imap_login(house, "geheim", EVA) is True)


def test_who_says_the_same_owner_once_more_changes_nothing(place):
    """No session ends, no app password is void, and readers need not begin anew; nor where there is nobody to take them from."""
    for directory in (place / "vmail", place / "vmail/example.com"):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o777)
    with village(**kept(place, auth_backends=users(place, (EVA, f"{UID}:{GID}")))) as house:
        send(house, EVA, "jack@example.com")
        wait_for(house.queue_is_empty)
        device = house.command("account", "app-password", "add", EVA, "phone").stdout.split()[-1]
        with reader(house, EVA, device) as eva, reader(house, "jack@example.com", PASSWORD) as jack:
            before = eva.status("INBOX", "(UIDVALIDITY MESSAGES)")[1]
            done = house.command("account", "set", EVA, "owner", f"{UID}:{GID}")
            assert f"the mailboxes of {EVA} belong to {UID}:{GID} already" in done.stdout
            done = house.command("account", "set", "jack@example.com", "owner", f"{UID}:{GID}", check=False)
            assert done.returncode != 0 and "belong to no uid but the keepers' own" in done.stderr, done
            for c in (eva, jack):
                assert c.noop()[0] == "OK"
        with reader(house, EVA, device) as eva:
            assert eva.status("INBOX", "(UIDVALIDITY MESSAGES)")[1] == before and b"MESSAGES 1" in before[0]


def test_mail_uid_is_for_all_that_come_after_it(place):
    os.chown(place / "vmail", UID, UID)
    with village(**kept(place, mail_uid=UID)) as house:
        send(house, "jack@example.com")
        wait_for(house.queue_is_empty)
        assert owners(place / "vmail/example.com") == {(UID, UID)}, "a number that is no user's is its own group"
        for name, why in (("nobody-at-all", "there is no such user"), ("0", "mailboxes do not belong to root"), ("33", "the uid is below first_valid_uid"),
                          ("500", "the uid is below first_valid_uid")):
            house.write_settings(mail_uid=name)
            done = house.command("config", "check", check=False)
            assert done.returncode != 0 and f"mail_uid = {name}: {why}" in done.stderr + done.stdout, done


def test_letters_of_the_letter_log_belong_to_nobody_else(place):
    with village(auth_backends=users(place, (EVA, "0:0")), mail_uid=UID) as house:
        send(house, EVA)
        wait_for(house.queue_is_empty)
        assert imap_login(house, "geheim", EVA) is True and UID not in keepers(house)
        assert house.count("a back end says uids, which are not used: letters of the letter log belong to our own accounts") == 1


def test_a_name_that_is_no_users_is_said_before_the_mail_is_taken(place):
    """RCPT and logins are put off, in words; whoever mends it makes the account of the right owner."""
    backends = users(place, (EVA, "nobody-at-all:"), (ADAM, f"{UID}:no-such-group"), ("carl@example.com", "daemon:"), ("dora@example.com", f"{UID}:{GID}"))
    with village(**kept(place, auth_backends=backends)) as house:
        for user in (EVA, ADAM, "carl@example.com"):
            assert rcpt(house, user) == 451, user
            assert imap_login(house, "geheim", user) is not True
        with smtplib.LMTP("127.0.0.1", house.ports["lmtp"]) as s:
            s.ehlo("client.example")
            s.mail("x@far.example")
            assert [s.rcpt(user)[0] for user in (EVA, "dora@example.com")] == [451, 250]
        assert house.count(f"{EVA}: the mailboxes cannot belong to uid nobody-at-all: there is no such user") == 1
        assert house.count(f"{ADAM}: the mailboxes cannot belong to uid {UID}, gid no-such-group: there is no such group") == 1
        assert house.count("carl@example.com: the mailboxes cannot belong to uid daemon: the uid is below first_valid_uid") == 1
        assert EVA not in house.command("account", "list").stdout
        users(place, (EVA, f"{UID}:{GID}"))
        wait_for(lambda: rcpt(house, EVA) == 250)
        send(house, EVA)
        wait_for(house.queue_is_empty)
        assert owners(place / "vmail/example.com/eva") == {(UID, GID)}


def test_who_logs_in_before_the_first_letter_has_the_same_place_and_owner(place):
    shared(place / "vmail")
    shared(place / "vmail/virtual.example")
    backends = users(place, ("info@virtual.example", "::"), ("sales@virtual.example", f"{UID + 7}:{GID}"))
    with village(**virtual(place, virtual_uid_maps=f"texthash:{place}/uids"), auth_backends=backends) as house:
        for user in ("info", "sales"):
            assert imap_login(house, "geheim", f"{user}@virtual.example") is True
        with reader(house, "info@virtual.example") as c:
            assert c.append("INBOX", None, None, b"Subject: ours\r\n\r\nx\r\n")[0] == "OK"
        send(house, "info@virtual.example", "sales@virtual.example")
        wait_for(house.queue_is_empty)
        assert owners(place / "vmail/virtual.example/info") == {(UID, GID)}
        assert owners(place / "vmail/virtual.example/sales") == {(UID + 2, GID)}
        with reader(house, "info@virtual.example") as c:
            assert c.select("INBOX")[1] == [b"2"]


def test_who_logs_in_first_in_capitals_of_another_script_has_them_too(place):
    (place / "vmail").chmod(0o777)
    (place / "vmail/virtual.example").mkdir(mode=0o777)
    (place / "vmail/virtual.example").chmod(0o777)
    more = virtual(place, virtual_uid_maps=f"texthash:{place}/uids")
    (place / "boxes").write_text("ärger@virtual.example virtual.example/box/\n")
    (place / "uids").write_text(f"ärger@virtual.example {UID + 3}\n")
    with village(**more, auth_backends=users(place, ("ärger@virtual.example", f"{UID + 7}:{GID}")), smtputf8_enable="yes") as house:
        with imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], ssl_context=trusting(), timeout=PATIENCE) as c:
            c.authenticate("PLAIN", lambda _: "\0ÄRGER@virtual.example\0geheim".encode())
            assert c.append("INBOX", None, None, b"Subject: ours\r\n\r\nx\r\n")[0] == "OK"
        assert owners(place / "vmail/virtual.example/box") == {(UID + 3, GID)}


def test_the_back_end_tells_the_owner_of_who_is_in_a_table(place):
    """virtual_mailbox_maps say who there is, and Dovecot's users whose the mail is: as both stand side by side."""
    backends = users(place, ("info@virtual.example", f"{UID}:{GID}"))
    more = virtual(place)
    del more["virtual_gid_maps"]
    with village(**more, auth_backends=backends) as house:
        send(house, "info@virtual.example")
        wait_for(house.queue_is_empty)
        assert owners(place / "vmail/virtual.example/info") == {(UID, GID)}


def test_an_owners_keeper_sets_no_limits_of_others(place):
    """Whatever runs as that uid may have it in its hand."""
    backends = users(place, (EVA, f"{UID}:{GID}"), (ADAM, f"{UID}:{GID}"), ("carl@example.com", f"{UID + 1}:{GID}"))
    shared(place / "vmail")
    shared(place / "vmail/example.com")
    with village(**kept(place, auth_backends=backends, quota_admins=EVA)) as house:
        for user in (EVA, ADAM, "carl@example.com"):
            assert imap_login(house, "geheim", user) is True
        before = house.command("quota", "get", "jack@example.com").stdout
        with reader(house, EVA) as c:
            assert c.setquota(f'"User quota {ADAM}"', "(STORAGE 1000)")[0] == "OK"
            for other in ("jack@example.com", "carl@example.com"):
                assert c.setquota(f'"User quota {other}"', "(STORAGE 1000)")[0] == "NO", other
        assert house.command("quota", "get", "jack@example.com").stdout == before
        with reader(house, ADAM) as c:
            assert b"STORAGE 0 1000" in c.getquota('"User quota"')[1][0]


def test_owners_keepers_leave_room_for_users_and_have_their_own(place):
    backends = users(place, (EVA, f"{UID}:{GID}"), (ADAM, f"{UID + 1}:{GID}"))
    shared(place / "vmail")
    shared(place / "vmail/example.com")
    with village(**kept(place, auth_backends=backends, owner_keepers_limit="1", user_keepers_limit="1")) as house:
        send(house, EVA)
        wait_for(house.queue_is_empty)
        send(house, ADAM)
        wait_for(lambda: house.count("mailboxes of too many uids are in use at once (owner_keepers_limit)"))
        assert len(list((place / "vmail/example.com/eva").glob("new/*"))) == 1


def test_all_owners_keepers_together_keep_as_much_in_memory_as_one(place):
    """imap_answer_memory holds for each keeper of the pool; of owners and users there may be hundreds."""
    names, room = [f"user{n}@example.com" for n in range(4)], 96 << 10
    backends = users(place, *((name, f"{UID + n}:{GID}") for n, name in enumerate(names)))
    shared(place / "vmail")
    shared(place / "vmail/example.com")
    with village(**kept(place, auth_backends=backends, imap_answer_memory=f"{room}", user_keeper_idle_time="2s")) as house:
        def fact(key):
            return [int(p["facts"].get(key, 0)) for p in house.status() if p["role"] == "keeper" and p["uid"] in range(UID, UID + len(names))]

        def reads(name, number):
            send(house, name)
            wait_for(house.queue_is_empty)
            at = place / "vmail/example.com" / name.split("@")[0]
            for n in range(300):
                letter = at / f"cur/1{n:09}.made.here:2,S"
                letter.write_text(f"From: somebody@far.example\nSubject: letter {n} {'x' * 300}\n\nHello.\n")
                os.chown(letter, UID + number, GID)
            c = reader(house, name)
            wait_for(lambda: c.select("INBOX")[1] == [b"301"])
            assert len(c.fetch("1:*", "(ENVELOPE)")[1]) == 301
            return c
        sessions = [reads(names[0], 0)]
        assert fact("share") == [1] and room // 2 < fact("kept")[0] <= room
        sessions += [reads(name, n) for n, name in enumerate(names) if n > 0]
        wait_for(lambda: fact("share") == [4] * 4)
        assert max(fact("kept")) <= room // 4 and sum(fact("kept")) <= room
        for c in sessions[1:]:
            c.logout()
        wait_for(lambda: fact("share") == [1])                  # the others have left
        assert len(sessions[0].fetch("1:*", "(ENVELOPE)")[1]) == 301
        wait_for(lambda: fact("kept")[0] > room // 4)


def test_the_check_of_settings_tells_who_could_not_have_his_mail(place):
    (place / "gids").write_text("info@virtual.example root\nsales@virtual.example 5001\n")
    backends = users(place, (ADAM, f"{UID}:{GID}"), (EVA, "nobody-at-all:"), ("carl@example.com", "33:33"), ("dora@example.com", f"{UID}:0"))
    with village(**kept(place)) as house:
        def check(**settings):
            house.write_settings(**settings)
            done = house.command("config", "check", check=False)
            return done.returncode, done.stdout + done.stderr
        status, said = check(auth_backends=backends)
        assert status == 0
        for line in (f"{place}/users:2: the mailboxes of {EVA} cannot belong to uid nobody-at-all: there is no such user",
                     f"{place}/users:3: the mailboxes of carl@example.com cannot belong to uid 33, gid 33: the uid is below first_valid_uid",
                     f"{place}/users:4: the mailboxes of dora@example.com cannot belong to uid {UID}, gid 0: mailboxes do not belong to root"):
            assert line in said, said
        assert ADAM not in said
        status, said = check(**virtual(place, virtual_uid_maps="static:99", virtual_gid_maps=f"texthash:{place}/gids"))
        assert status == 0
        assert "static:99: any address: the mailboxes cannot belong to uid 99: the uid is below virtual_minimum_uid" in said, said
        assert f"texthash:{place}/gids: info@virtual.example: the mailboxes cannot belong to gid root: mailboxes do not belong to root" in said, said
        assert "sales@" not in said
        status, said = check(auth_backends=backends, mail_location="", virtual_mailbox_base="")
        assert status == 0
        assert f"{place}/users:1: uid {UID} of {ADAM} is not used, nor are those below: letters of the letter log belong to our own accounts" in said, said


def posix_accounts(slapd, **numbers):
    """As they stand in directories of Unix accounts."""
    text = "".join(f"dn: uid={name},dc=example\nchangetype: modify\nadd: objectClass\nobjectClass: posixAccount\n-\n"
                   f"add: uidNumber\nuidNumber: {uid}\n-\nadd: gidNumber\ngidNumber: {gid}\n-\n"
                   f"add: homeDirectory\nhomeDirectory: /home/{name}\n\n" for name, (uid, gid) in numbers.items())
    subprocess.run(["ldapmodify", "-x", "-H", slapd.uri, "-D", "cn=admin,dc=example", "-w", "pa$$"], input=text, text=True, check=True,
                   capture_output=True)


@pytest.mark.skipif(shutil.which("slapd") is None, reason="needs slapd")
@pytest.mark.parametrize("first", ["letter", "login"])
def test_ldap_tells_the_owner(place, slapd, first):
    eva, adam = "eva@elsewhere.example", "adam@elsewhere.example"
    posix_accounts(slapd, eva=(UID, GID), adam=(33, 33))
    cf = file_for(place, "ldap.cf", f"uris = {slapd.uri}\nbase = dc=example\nscope = subtree\ntimeout = 1s\nauth_bind = yes\n"
                                    "dn = cn=admin,dc=example\ndnpass = pa$$\npass_filter = (mail=%u)\npass_attrs = mail=user\n"
                                    "user_filter = (mail=%u)\nuser_attrs = uidNumber=uid, gidNumber=gid\n")
    with village(**kept(place, auth_backends=f"directory ldap:{cf}")) as house:
        house.command("domain", "add", "elsewhere.example")
        if first == "login":
            assert imap_login(house, "geheim", eva) is True
        send(house, eva)
        wait_for(house.queue_is_empty)
        assert owners(place / "vmail/elsewhere.example/eva") == {(UID, GID)}
        assert rcpt(house, adam) == 451
        assert imap_login(house, "geheim", adam) is not True
        with reader(house, eva) as c:
            assert c.select("INBOX")[1] == [b"1"]


@pytest.mark.skipif(shutil.which("slapd") is None, reason="needs slapd")
def test_virtual_uid_maps_that_another_server_keeps(place, slapd):
    """Where it is away nobody is refused, and no account gets another owner."""
    posix_accounts(slapd, eva=(UID, GID))
    (place / "boxes").write_text("eva@elsewhere.example elsewhere.example/eva/\n")
    maps = {what: file_for(place, f"{what}.cf", f"server_host = {slapd.uri}\nsearch_base = dc=example\nquery_filter = (mail=%s)\n"
                                                f"result_attribute = {what}Number\nbind = yes\nbind_dn = cn=admin,dc=example\n"
                                                "bind_pw = pa$$\nversion = 3\ntimeout = 2\n") for what in ("uid", "gid")}
    with village(virtual_mailbox_domains="elsewhere.example", virtual_mailbox_maps=f"texthash:{place}/boxes",
                 virtual_mailbox_base=f"{place}/vmail", auth_backends=users(place, ("eva@elsewhere.example", ":")),
                 virtual_uid_maps=f"ldap:{maps['uid']}", virtual_gid_maps=f"ldap:{maps['gid']}") as house:
        slapd.stop()
        assert rcpt(house, "eva@elsewhere.example") == 451
        assert imap_login(house, "geheim", "eva@elsewhere.example") is not True
        slapd.start()
        wait_for(lambda: imap_login(house, "geheim", "eva@elsewhere.example") is True)
        send(house, "eva@elsewhere.example")
        wait_for(house.queue_is_empty)
        assert owners(place / "vmail/elsewhere.example/eva") == {(UID, GID)}


def test_a_uid_of_the_operating_system_that_owners_have_is_nobodys_mailbox():
    """Keepers of owners are called by the numbers from 0x7ffe0000 on."""
    name = f"m{os.getpid()}"
    subprocess.run(["useradd", "-M", "-u", str(0x7ffe0001), name], check=True, capture_output=True)
    try:
        with village(mydestination="mail.example.com") as house:
            assert rcpt(house, f"{name}@mail.example.com") == 550
            assert f"{name} is a user, and uid {0x7ffe0001} is too large for a mailbox" in house.command("address", "test", f"{name}@mail.example.com", check=False).stdout
            done = house.command("account", "set", "jack@example.com", "system-user", name, check=False)
            assert done.returncode == 1 and f"uid {0x7ffe0001} is too large: right would be one below {0x7ffe0000}" in done.stderr
    finally:
        subprocess.run(["userdel", name], capture_output=True)
