# SPDX-License-Identifier: ISC
"""What all accounts of a domain may hold together: at the door, by APPEND and COPY, told in GETQUOTA, and right again after any death."""

import imaplib
import os
import re
import signal
import smtplib
import sqlite3
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from house import wait_for
from test_roles import Village

DOMAIN = "example.com"
PEOPLE = ("jack", "jill", "adam", "eve")
KIB = "x" * 62 + "\r\n"


def letter(name, size=0):
    return f"From: a@out.example\r\nSubject: {name}\r\nMessage-ID: <{name}@x>\r\n\r\n" + KIB * (size // 64)


def total(house, domain=DOMAIN):
    """bytes, their limit, messages, their limit"""
    said = house.command("quota", "total", domain, "-f", "tab").stdout.splitlines()
    return [int(n) for n in said[1].split("\t")[1:]]


def of_accounts(house):
    """The same as each account says it itself, added up."""
    rows = [line.split("\t") for line in house.command("quota", "list", "-f", "tab").stdout.splitlines()[1:]]
    rows = [r for r in rows if r[0].endswith("@" + DOMAIN)]
    return [sum(int(r[1]) for r in rows), sum(int(r[3]) for r in rows)]


def is_right(house):
    now = total(house)
    return [now[0], now[2]] == of_accounts(house) and now


def limit(house, **limits):
    words = [w for name, value in limits.items() for w in (f"--total-{name}", str(value))]
    house.command("domain", "set", DOMAIN, *words)


def at_rcpt(house, to, size=None):
    with house.smtp() as s:
        s.ehlo("client.example")
        s.mail("a@out.example", [f"size={size}"] if size else [])
        return s.rcpt(to)


@pytest.fixture(scope="module")
def house():
    with Village(*PEOPLE, keeper_processes="2", quota_admins=f"eve@{DOMAIN}", smtpd_peername_lookup="no", mailbox_sharing="no",
                 quota_warning="") as village:
        yield village


@pytest.fixture
def empty(house):
    """Nobody has mail, nothing is limited."""
    house.command("domain", "set", DOMAIN, "--total-storage", "none", "--total-messages", "none")
    for who in PEOPLE:
        with house.imap(who) as box:
            box.select("INBOX")
            box.uid("STORE", "1:*", "+FLAGS", "\\Deleted")
            box.expunge()
    house.write_settings(quota_full_tempfail="no")
    house.command("reload")
    yield house
    house.command("domain", "set", DOMAIN, "--total-storage", "none", "--total-messages", "none")


def test_messages_of_all_are_one_sum(empty):
    house = empty
    limit(house, messages=3)
    for i, who in enumerate(("jack", "jill", "adam")):
        house.send(f"{who}@{DOMAIN}", f"sum{i}")
    assert wait_for(lambda: total(house)[2] == 3 and is_right(house))[3] == 3
    # rfc5321:4.2.2: 552, and 452 where it is thought to pass.
    code, words = wait_for(lambda: (r := at_rcpt(house, f"eve@{DOMAIN}"))[0] == 552 and r)
    assert b"5.2.2" in words and b"Quota exceeded" in words
    house.write_settings(quota_full_tempfail="yes")
    house.command("reload")
    code, words = wait_for(lambda: (r := at_rcpt(house, f"eve@{DOMAIN}"))[0] == 452 and r)
    assert b"4.2.2" in words
    with house.imap("eve") as eve:
        kind, said = eve.append("INBOX", None, None, letter("more").encode())
        assert kind == "NO" and b"[OVERQUOTA]" in said[0] and b"domain" in said[0]
    with house.imap("jack") as jack:
        jack.select("INBOX")
        assert b"[OVERQUOTA]" in jack.copy("1", "Archive")[1][0]
        assert jack.uid("MOVE", jack.uid("SEARCH", "ALL")[1][0].split()[0], "Archive")[0] == "OK", "nothing more is held by it"
        jack.select("Archive")
        jack.store("1:*", "+FLAGS", "\\Deleted")
        jack.expunge()
    # What one lets go another may have.
    with house.imap("eve") as eve:
        assert wait_for(lambda: eve.append("INBOX", None, None, letter("now").encode())[0] == "OK")
    assert wait_for(lambda: is_right(house))[2] == 3
    shown = house.command("domain", "show", DOMAIN).stdout
    assert re.search(r"total-storage=\d+/0 total-messages=3/3", shown), shown
    assert '"total_messages": 3, "total_messages_limit": 3' in house.command("domain", "show", DOMAIN, "--json").stdout


def test_bytes_by_every_way_in(empty):
    """A literal, pieces, several in one command, one instead of another, and what mansio itself brings; swaks and the size it announces."""
    house = empty
    limit(house, storage="64K")
    with house.imap("jack") as jack, house.imap("eve") as eve:
        assert jack.append("INBOX", None, None, letter("large", 40 << 10).encode())[0] == "OK"
        assert b"[OVERQUOTA]" in eve.append("INBOX", None, None, letter("as large", 40 << 10).encode())[1][0]
        eve.select("INBOX")
        jack.select("INBOX")
        # rfc4469:3, and rfc3502:4: all or none.
        piece = letter("piece", 20 << 10).encode()
        for command in ([b"APPEND INBOX CATENATE (TEXT {%d+}\r\n" % len(piece), piece, b" TEXT {%d+}\r\n" % len(piece), piece, b")"],
                        [b"APPEND INBOX {%d+}\r\n" % len(piece), piece, b" {%d+}\r\n" % len(piece), piece]):
            tag = eve._new_tag()
            eve.send(tag + b" " + b"".join(command) + b"\r\n")
            while not (line := eve.readline()).startswith(tag):
                pass
            assert line.startswith(tag + b" NO [OVERQUOTA]"), line
        assert wait_for(lambda: is_right(house))[2] == 1
        # rfc8508:3.4: what goes makes room for what comes.
        for size, kind in ((50 << 10, b"OK"), (70 << 10, b"NO")):
            new, tag = letter("instead", size).encode(), jack._new_tag()
            jack.send(tag + b" REPLACE 1 INBOX {%d+}\r\n" % len(new) + new + b"\r\n")
            while not (line := jack.readline()).startswith(tag):
                pass
            assert line.startswith(tag + b" " + kind), line
    assert wait_for(lambda: is_right(house))[2] == 1
    brought = house.command("doveadm", "save", "-u", f"eve@{DOMAIN}", input=letter("saved", 30 << 10), check=False)
    assert brought.returncode != 0 and "[OVERQUOTA]" in brought.stdout + brought.stderr, (brought.stdout, brought.stderr)
    # The last letter may be over by quota_grace, ten percent of 64K, and no more.
    assert wait_for(lambda: at_rcpt(house, f"adam@{DOMAIN}", 30 << 10)[0] == 552)
    assert at_rcpt(house, f"adam@{DOMAIN}", 8 << 10)[0] == 250
    sent = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(house.ports["smtp"]), "--from", "a@out.example", "--to",
                           f"adam@{DOMAIN}", "--body", "x" * (30 << 10), "--suppress-data"], capture_output=True, text=True, timeout=60)
    # It announces no size: what is too large is known when it is there, and its sender is told.
    assert sent.returncode in (0, 24), sent.stdout
    settled(house)
    assert wait_for(lambda: is_right(house))[2] == 1


def roots(box, mailbox="INBOX"):
    kind, ((root,), quotas) = box.getquotaroot(mailbox)
    assert kind == "OK"
    return root.decode(), [q.decode() for q in quotas]


def test_a_second_root_of_the_mailbox(empty):
    """rfc9208:4.1.2; who may change it is who may change limits at all."""
    house = empty
    with house.imap("jack") as jack, house.imap("eve") as eve:
        assert roots(jack)[0] == 'INBOX "User quota"'
        assert b"NONEXISTENT" in jack.getquota('"Domain quota"')[1][0]
        limit(house, storage="1M", messages=50)
        assert jack.append("INBOX", None, None, letter("counted", 2048).encode())[0] == "OK"
        root, quotas = wait_for(lambda: (r := roots(jack))[0].count('"') == 4 and r)
        assert root == 'INBOX "User quota" "Domain quota"'
        assert quotas[1] == '"Domain quota" (STORAGE 3 1024 MESSAGE 1 50)', quotas
        assert roots(eve)[1][1] == quotas[1], "the same for all"
        assert jack.getquota('"Domain quota"')[1][0].decode() == quotas[1]
        assert b"[NOPERM]" in jack.setquota('"Domain quota"', "(MESSAGE 1000)")[1][0]
        assert jack.getquota(f'"Domain quota {DOMAIN}"')[0] == "NO"
        assert eve.getquota(f'"Domain quota {DOMAIN}"')[1][0].decode() == f'"Domain quota {DOMAIN}" (STORAGE 3 1024 MESSAGE 1 50)'
        assert eve.setquota('"Domain quota"', "(MESSAGE 7)")[0] == "OK"
        assert wait_for(lambda: roots(jack)[1][1] == '"Domain quota" (MESSAGE 1 7)')
        assert total(house)[1] == 0 and total(house)[3] == 7
        assert eve.setquota('"Domain quota"', "()")[0] == "OK"
        assert wait_for(lambda: roots(jack)[0] == 'INBOX "User quota"')


def test_the_postmaster_of_the_domain_is_told_once(empty):
    house = empty
    house.write_settings(quota_warning="80 95")
    house.command("reload")
    house.command("alias", "set", f"postmaster@{DOMAIN}", f"eve@{DOMAIN}")
    limit(house, messages=20)

    def told():
        return [s for s in house.subjects("eve") if s]

    def whole():
        with house.imap("eve") as box:
            box.select("INBOX", readonly=True)
            return [r[1].decode() for r in box.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(r, tuple)]
    with house.imap("jack") as jack:
        for i in range(17):
            assert jack.append("INBOX", None, None, letter(f"w{i}").encode())[0] == "OK"
    one, = wait_for(whole)
    assert f"{DOMAIN} are 80% full" in one and "17 messages of 20" in one and f"<postmaster@{DOMAIN}>" in one
    with house.imap("jack") as jack:
        assert jack.append("INBOX", None, None, letter("w17").encode())[0] == "OK"
    assert wait_for(lambda: is_right(house))[2] == 19
    assert len(told()) == 1, "once each time"
    # It comes even when nothing else does, and then at once for both.
    limit(house, messages=5)
    two = wait_for(lambda: len(w := whole()) == 2 and w)
    assert f"{DOMAIN} are 95% full" in two[1] and at_rcpt(house, f"eve@{DOMAIN}")[0] == 552
    house.command("alias", "delete", f"postmaster@{DOMAIN}")
    house.write_settings(quota_warning="")
    house.command("reload")


def test_a_limit_that_comes_later_counts_what_is_there(empty):
    house = empty
    for who in PEOPLE:
        house.send(f"{who}@{DOMAIN}", f"before-{who}")
    wait_for(lambda: of_accounts(house)[1] == 4)
    limit(house, messages=100)
    assert wait_for(lambda: is_right(house))[2] == 4
    # An account that goes takes its share away.
    house.command("account", "add", f"guest@{DOMAIN}", input="x\n")
    house.send(f"guest@{DOMAIN}", "for-the-guest")
    wait_for(lambda: total(house)[2] == 5)
    house.command("account", "delete", f"guest@{DOMAIN}")
    assert wait_for(lambda: total(house)[2] == 4)
    assert house.command("quota", "recalculate", DOMAIN).stdout.count(", 1 messages\n") == 4 and is_right(house)[2] == 4
    for words in (["--total-storage", "lots"], ["--total-messages", "default"], ["--total-storage", "1G", "--total-messages"]):
        done = house.command("domain", "set", DOMAIN, *words, check=False)
        assert done.returncode == 2 and "write --total-storage 100G" in done.stderr
    done = house.command("domain", "set", "nowhere.example", "--total-messages", "1", check=False)
    assert done.returncode == 1 and "there is no domain nowhere.example" in done.stderr
    # A domain that goes takes its limit along.
    house.command("domain", "add", "short.example")
    house.command("domain", "set", "short.example", "--total-messages", "3")
    house.command("domain", "delete", "short.example")
    assert "short.example" not in house.command("quota", "total").stdout
    house.command("domain", "add", "short.example")
    assert "total-messages" not in house.command("domain", "show", "short.example").stdout
    house.command("domain", "delete", "short.example")
    done = house.command("quota", "total", "nowhere.example", check=False)
    assert done.returncode == 1 and "--total-storage 100G" in done.stderr


def settled(house):
    try:
        wait_for(lambda: house.queue_is_empty())
    except TimeoutError:
        raise AssertionError(house.command("queue", "list").stdout + house.text()[-9000:]) from None


def deliver_many(house, count):
    """Letters for all of them at once, by several clients; how many were taken."""
    def one(n):
        try:
            house.send(f"{PEOPLE[n % len(PEOPLE)]}@{DOMAIN}", f"many{n}", body=KIB * 16)
            return 1
        except (smtplib.SMTPException, OSError):
            return 0
    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(one, range(count)))


def test_many_at_once_never_pass_the_limit(empty):
    """Two keepers, eight clients, four readers that append: not one message more than may be."""
    house = empty
    limit(house, messages=40)
    stop = threading.Event()

    def append(who):
        with house.imap(who) as box:
            while not stop.is_set():
                box.append("INBOX", None, None, letter("by-hand").encode())
    writers = [threading.Thread(target=append, args=(who,)) for who in PEOPLE]
    for w in writers:
        w.start()
    deliver_many(house, 60)
    wait_for(lambda: total(house)[2] >= 40)
    stop.set()
    for w in writers:
        w.join()
    settled(house)
    assert wait_for(lambda: is_right(house))[2] == 40


@pytest.mark.parametrize("role", ["clerk", "keeper", "queue"])
def test_a_role_that_dies_leaves_no_sum_wrong(empty, role):
    house = empty
    limit(house, messages=30)
    pid = house.pid_of(role)
    killer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
    killer.start()
    deliver_many(house, 50)
    killer.join()
    house.back(role, pid)
    settled(house)
    now = wait_for(lambda: is_right(house))
    assert now[2] <= 30
    # And what is left can still be used to the last message.
    with house.imap("jack") as jack:
        for i in range(30 - now[2]):
            assert wait_for(lambda: jack.append("INBOX", None, None, letter(f"r{i}").encode())[0] == "OK")
        assert jack.append("INBOX", None, None, letter("last").encode())[0] == "NO"


def test_all_die_at_once():
    """And where the numbers on disk are not what the accounts hold, as after a power cut, they are once all have been asked again."""
    with Village(*PEOPLE, keeper_processes="2", smtpd_peername_lookup="no", quota_warning="") as house:
        limit(house, messages=25)
        deliver_many(house, 20)
        pids = [p["pid"] for p in house.status() if p.get("pid")] + [house.process.pid]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        house.process.wait()
        with sqlite3.connect(house.directory / "mail/directory/directory.db") as db:
            assert db.execute("UPDATE total_share SET messages=messages+3, bytes=0").rowcount == len(PEOPLE)
        db.close()
        house.start()
        settled(house)
        assert wait_for(lambda: is_right(house))[2] == 20
        deliver_many(house, 20)
        settled(house)
        assert wait_for(lambda: is_right(house))[2] == 25


def test_no_letter_comes_back_for_a_sum_that_is_wrong_on_disk():
    """A keeper tells what it is about to commit and dies: until all accounts have been asked nobody is told that it is too much for good."""
    with Village(*PEOPLE, keeper_processes="2", smtpd_peername_lookup="no", quota_warning="") as house:
        limit(house, messages=28)
        deliver_many(house, 16)
        settled(house)
        for process in house.status():
            if process["role"] == "keeper":
                os.kill(process["pid"], signal.SIGSTOP)
        assert deliver_many(house, 12) == 12, "they are in the queue"
        for pid in [p["pid"] for p in house.status() if p.get("pid")] + [house.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        house.process.wait()
        with sqlite3.connect(house.directory / "mail/directory/directory.db") as db:
            assert db.execute("UPDATE total_share SET messages=messages+12").rowcount == len(PEOPLE)
            # Many who are asked before them.
            columns = ", ".join(c[1] for c in db.execute("PRAGMA table_info(account)") if c[1] not in ("id", "local"))
            db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<2000) INSERT INTO account(local, %s) "
                       "SELECT 'a'||printf('%%05d', i), %s FROM n, account WHERE account.local='adam'" % (columns, columns))
        db.close()
        house.start()
        settled(house)
        assert "status=bounced" not in house.text()
        assert wait_for(lambda: total(house)[2] == 28)
