# SPDX-License-Identifier: ISC
"""Mailboxes of others, groups, and how much an account may hold.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_rights.py
"""

import imaplib
import os
import pathlib
import re
import signal
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import wait_for
from test_roles import PASSWORD, Village, trusting

for name in ["GETMETADATA", "SETMETADATA"]:
    imaplib.Commands[name] = ("AUTH", "SELECTED")

LETTER = "From: eva@example.net\r\nTo: you@example.com\r\nSubject: {0}\r\n\r\n{0}\r\n"


@pytest.fixture(scope="module")
def house():
    with Village("jack", "jill", "adam", "eve", keeper_processes="2", quota_admins="eve@example.com") as village:
        yield village


def send(house, to, subject, size=0):
    text = LETTER.format(subject) + ("x" * 70 + "\r\n") * (size // 72)
    with house.smtp() as s:
        s.ehlo("client.example")
        s.esmtp_features.pop("size")  # not announced: what does not fit is found out when it is delivered
        s.sendmail("eve@example.com", [to], text)


def delivered(house, words):
    """The line of the log that tells of a delivery."""
    return wait_for(lambda: next((l for l in house.text().splitlines() if all(w in l for w in words)), None))


def found(box, mailbox, *search):
    box.select(f'"{mailbox}"')
    return box.search(None, *(search or ("ALL",)))[1][0].split()


def refusal(house, to):
    with house.smtp() as s:
        s.ehlo_or_helo_if_needed()
        s.mail("eve@example.com")
        return s.rcpt(to)


def usage(box, root='"User quota"'):
    lines = box.getquota(root)[1]
    return dict(re.findall(rb"(STORAGE|MESSAGE) (\d+)", lines[0] or b""))


def test_news_for_each_reader(house):
    """One who watches hears of what another does, and not of what another has only read."""
    jack, jill, adam = house.imap("jack"), house.imap("jill"), house.imap("adam")
    jack.create("Team")
    jack.append("Team", None, None, LETTER.format("one").encode())
    for who in ["jill", "adam"]:
        assert jack.setacl("Team", who, "lrswite")[0] == "OK"
    assert found(jill, "Other Users/jack/Team", "UNSEEN") == [b"1"]
    assert found(adam, "Other Users/jack/Team", "UNSEEN") == [b"1"]
    jill.fetch("1", "(BODY[])")
    assert found(jill, "Other Users/jack/Team", "UNSEEN") == []
    assert adam.search(None, "UNSEEN")[1] == [b"1"]
    adam.response("FETCH")
    jill.store("1", "+FLAGS", "(\\Flagged)")
    adam.noop()
    told = b" ".join(l or b"" for l in adam.response("FETCH")[1])
    assert b"\\Flagged" in told and b"\\Seen" not in told
    jack.append("Team", None, None, LETTER.format("two").encode())
    adam.noop()
    assert adam.response("EXISTS")[1][-1] == b"2"
    jill.select('"Other Users/jack/Team"')
    assert jill.search(None, "UNSEEN")[1] == [b"2"]
    assert b"HIGHESTMODSEQ" in b" ".join(jill.status('"Other Users/jack/Team"', "(UNSEEN HIGHESTMODSEQ)")[1])


def told(box, *want):
    """What the server says unasked, until every word of `want` has been in it."""
    lines = b""
    while not all(w in lines for w in want):
        lines += box.readline()
    return lines


def test_notify_tells_of_mailboxes_of_others(house):
    """rfc5465: messages, names and rights; of what was never in sight, nothing."""
    jack, jill = house.imap("jack"), house.imap("jill")
    jack.create("News")
    jack.create("News/Hidden")
    assert jack.setacl("News", "jill", "lrs")[0] == "OK"
    imaplib.Commands["NOTIFY"] = ("AUTH", "SELECTED")
    jill.sock.settimeout(20)
    assert jill._simple_command("NOTIFY", 'SET (subtree "Other Users/jack@example.com" (MessageNew MessageExpunge '
                                "FlagChange MailboxName)) (personal (MailboxName))")[0] == "OK"
    jack.append("News", None, None, LETTER.format("fresh").encode())
    assert b"(MESSAGES 1 " in told(jill, b'STATUS "Other Users/jack@example.com/News"')
    jack.append("Drafts", None, None, LETTER.format("nobody's business").encode())
    jack.create("Secret")
    jack.select("News")
    jack.store("1", "+FLAGS", "(\\Flagged)")
    lines = told(jill, b"UNSEEN")
    assert b"STATUS" in lines and b"Secret" not in lines and b"Drafts" not in lines
    jack.create("News/Below")
    assert b"NonExistent" not in told(jill, b"LIST", b"News/Below")
    jack.rename("News/Below", "News/Under")
    assert b"OLDNAME" in told(jill, b"News/Under")
    jack.setacl("Secret", "jill", "lr")
    assert b"NoAccess" not in told(jill, b"LIST", b"Secret")
    jack.deleteacl("Secret", "jill")
    assert b"NoAccess" in told(jill, b"LIST", b"Secret")
    jack.append("Secret", None, None, LETTER.format("hidden").encode())
    jack.delete("News/Under")
    lines = told(jill, b"News/Under")
    assert b"NonExistent" in lines and b"Secret" not in lines and b"Hidden" not in lines
    jill.logout()
    jack.append("News", None, None, LETTER.format("and more").encode())


def test_notify_hears_of_the_first_mailbox_an_account_shows(house):
    jill, adam = house.imap("jill"), house.imap("adam")
    imaplib.Commands["NOTIFY"] = ("AUTH", "SELECTED")
    jill.sock.settimeout(20)
    assert jill._simple_command("NOTIFY", 'SET (subtree "Other Users" (MessageNew MessageExpunge MailboxName))')[0] == "OK"
    adam.create("First")
    assert adam.setacl("First", "jill", "lr")[0] == "OK"
    assert b"NonExistent" not in told(jill, b"LIST", b'"Other Users/adam@example.com/First"')
    adam.append("First", None, None, LETTER.format("one").encode())
    assert b"(MESSAGES 1 " in told(jill, b'STATUS "Other Users/adam@example.com/First"')
    adam.delete("First")


def test_marks_and_rights_outlive_a_restart(house):
    jill = house.imap("jill")
    assert found(jill, "Other Users/jack/Team", "SEEN") == [b"1"]
    house.stop()
    house.start()
    jill = house.imap("jill")
    assert any(b"Other Users/jack@example.com/Team" in l for l in jill.list()[1])
    assert found(jill, "Other Users/jack/Team", "SEEN") == [b"1"]
    assert house.command("store", "check").returncode == 0


def test_who_loses_the_right_to_read_reads_no_more(house):
    jack, adam = house.imap("jack"), house.imap("adam")
    jack.create("Open")
    jack.append("Open", None, None, LETTER.format("before").encode())
    jack.setacl("Open", "adam", "lr")
    adam.select('"Other Users/jack@example.com/Open"', readonly=True)
    assert adam.fetch("1", "(FLAGS)")[0] == "OK"
    jack.deleteacl("Open", "adam")
    with pytest.raises(imaplib.IMAP4.abort):
        adam.fetch("1", "(BODY.PEEK[])")


def test_names_that_may_not_be_seen_are_as_names_that_are_not_there(house):
    jack, adam, eve = house.imap("jack"), house.imap("adam"), house.imap("eve")
    for name in "Hidden", "Hidden/Below", "Shown":
        jack.create(name)
    jack.setacl("Shown", "adam", "lr")
    jack.create("Shown/Hidden")
    jack.deleteacl("Shown/Hidden", "adam")
    for box, names in (adam, ("Shown/Hidden", "Shown/None")), (eve, ("Hidden", "None", "Shown")):
        for command in "GETQUOTAROOT {}", "STATUS {} (MESSAGES)", "RENAME {} Taken", "RENAME None {}", "DELETE {}":
            said = set()
            for name in names:
                whole = f'"Other Users/jack@example.com/{name}"'
                try:
                    said.add(box.xatom(*command.format(whole).split(" ", 1))[1][0])
                except box.error as e:
                    said.add(str(e))
            assert len(said) == 1, (command, said)


def test_a_group_reads_together(house):
    house.command("group", "add", "sales@example.com", "--member", "jack@example.com", "jill@example.com")
    send(house, "sales@example.com", "offer")
    delivered(house, ["to=<sales@example.com>", "status=sent"])
    jack, jill, adam = house.imap("jack"), house.imap("jill"), house.imap("adam")
    assert found(jack, "Shared/sales@example.com/INBOX") == [b"1"]
    jack.fetch("1", "(BODY[])")
    assert found(jill, "Shared/sales/INBOX", "UNSEEN") == [b"1"]
    assert adam.select("Shared/sales/INBOX")[0] == "NO"
    jill.copy("1", "INBOX")
    assert found(jill, "INBOX", "SUBJECT", "offer") != []
    with pytest.raises(imaplib.IMAP4.error):
        house.imap("sales")
    jack.setacl('"Shared/sales@example.com/INBOX"', "-jill@example.com", "r")
    assert "r" not in jill.myrights('"Shared/sales@example.com/INBOX"')[1][0].decode().split()[-1]
    jack.deleteacl('"Shared/sales@example.com/INBOX"', "-jill@example.com")
    house.command("group", "leave", "sales@example.com", "jill@example.com")
    assert house.imap("jill").select("Shared/sales/INBOX")[0] == "NO"


def test_a_refused_delete_keeps_what_is_selected(house):
    """rfc9051:6.3.5, 7.1: NO changes nothing, and of a closed mailbox CLOSED would have told."""
    house.command("group", "add", "keep@example.com", "--member", "jack@example.com")
    send(house, "keep@example.com", "stays")
    delivered(house, ["to=<keep@example.com>", "status=sent"])
    jack = house.imap("jack")
    assert found(jack, "Shared/keep@example.com/INBOX") == [b"1"]
    said = jack.delete('"Shared/keep@example.com/INBOX"')
    assert said[0] == "NO" and said[1][0].startswith(b"[CANNOT]")
    assert jack.fetch("1", "(UID)") == ("OK", [b"1 (UID 1)"])
    assert jack.untagged_responses.get("CLOSED") is None


def test_a_member_who_does_not_exist_is_said(house):
    for words in (("add", "nobodys@example.com", "--member", "jack@example.com", "nosuch@example.com"),
                  ("join", "sales@example.com", "nosuch@example.com")):
        done = house.command("group", *words, check=False)
        assert (done.returncode, "there is no account nosuch@example.com" in done.stderr) == (1, True), done.stderr
    listed = house.command("group", "list").stdout
    assert "nobodys@" not in listed and "nosuch@" not in listed, "nothing was changed"


def test_a_copy_does_not_stand_for_a_delivery(house):
    """Jill copies a letter to Jack's mailbox before his own has come: his own comes all the same."""
    jack = house.imap("jack")
    jack.setacl("Team", "jill", "lrswite")
    text = LETTER.format("both")
    with house.smtp() as s:
        s.sendmail("eve@example.com", ["jill@example.com", "jack@example.com"], text)
    jill = house.imap("jill")
    wait_for(lambda: found(jill, "INBOX", "SUBJECT", "both"))
    jill.copy(found(jill, "INBOX", "SUBJECT", "both")[-1].decode(), '"Other Users/jack/Team"')
    wait_for(lambda: found(jack, "INBOX", "SUBJECT", "both"))
    assert len(found(jack, "INBOX", "SUBJECT", "both")) == 1
    assert len(found(jack, "Team", "SUBJECT", "both")) == 1


def test_a_full_account_gets_nothing_more(house):
    house.command("account", "set", "adam@example.com", "--quota-messages", "2")
    for n in ["first", "second"]:
        send(house, "adam@example.com", n)
        delivered(house, ["to=<adam@example.com>", "status=sent"])
    adam = house.imap("adam")
    wait_for(lambda: len(found(adam, "INBOX")) == 3)  # and the warning
    assert usage(adam)[b"MESSAGE"] == b"3"
    assert b"[OVERQUOTA]" in adam.append("INBOX", None, None, LETTER.format("x").encode())[1][0]
    wait_for(lambda: refusal(house, "adam@example.com")[0] == 552)
    assert b"5.2.2" in refusal(house, "adam@example.com")[1]
    adam.select("INBOX")
    assert b"[OVERQUOTA]" in adam.copy("1", "Archive")[1][0]
    adam.store("1:2", "+FLAGS", "\\Deleted")
    assert b"DELETED 2" in adam.status("INBOX", "(DELETED DELETED-STORAGE)")[1][0]
    adam.expunge()
    assert usage(adam)[b"MESSAGE"] == b"1"
    wait_for(lambda: refusal(house, "adam@example.com")[0] == 250)
    assert adam.append("INBOX", None, None, LETTER.format("x").encode())[0] == "OK"


def test_bytes_are_bounded_by_domain_and_by_account(house):
    house.command("domain", "set", "example.com", "--quota-storage", "20K")
    jack = house.imap("jack")
    assert b"STORAGE" in jack.getquota('"User quota"')[1][0]
    assert b"[OVERQUOTA]" in jack.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"x" * 30000)[1][0]
    house.command("account", "set", "jack@example.com", "--quota-storage", "none")
    wait_for(lambda: jack.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"x" * 30000)[0] == "OK")
    house.command("domain", "set", "example.com", "--quota-storage", "default")
    house.command("account", "set", "jack@example.com", "--quota-storage", "1G", "--quota-messages", "9")
    wait_for(lambda: b"STORAGE" in jack.getquota('"User quota"')[1][0])
    assert b"MESSAGE" in jack.getquota('"User quota"')[1][0]
    house.command("account", "set", "jack@example.com", "--quota-storage", "default", "--quota-messages", "default")
    assert house.command("store", "check").returncode == 0


def test_a_mailbox_that_fills_says_so(house):
    house.command("account", "set", "eve@example.com", "--quota-messages", "10")
    eve = house.imap("eve")
    for n in range(9):
        assert eve.append("Archive", None, None, LETTER.format(n).encode())[0] == "OK"
    assert len(wait_for(lambda: found(eve, "INBOX", "SUBJECT", '"80% full"'))) == 1
    assert b"eve@example.com" in eve.fetch("1", "(BODY[HEADER.FIELDS (TO)])")[1][0][1]


def test_what_does_not_fit_comes_back_or_waits(house):
    house.command("account", "set", "eve@example.com", "--quota-messages", "none")
    house.command("account", "set", "jill@example.com", "--quota-storage", "10K")
    send(house, "jill@example.com", "large", size=30000)
    delivered(house, ["to=<jill@example.com>", "dsn=5.2.2", "status=bounced"])
    wait_for(lambda: found(house.imap("eve"), "INBOX", "FROM", "MAILER-DAEMON"))
    house.write_settings(quota_full_tempfail="yes")
    house.command("reload")
    send(house, "jill@example.com", "larger", size=40000)
    delivered(house, ["to=<jill@example.com>", "dsn=4.2.2", "status=deferred"])


def test_an_announced_size_is_held_against_what_one_account_may_hold(house):
    """rfc1870:6.1: said at RCPT, where it is known whose account it is; without SIZE= at the end, as it was."""
    def at_rcpt(size):
        with house.smtp() as s:
            s.ehlo("client.example")
            assert s.mail("eve@example.com", [f"SIZE={size}"])[0] == 250
            return s.rcpt("eve@example.com")
    house.command("account", "set", "eve@example.com", "--quota-messages", "none", "--quota-storage", "100K")
    house.write_settings(quota_full_tempfail="no")
    house.command("reload")
    eve = house.imap("eve")
    wait_for(lambda: at_rcpt(200_000)[0] == 552)
    assert b"5.2.2" in at_rcpt(200_000)[1]
    assert at_rcpt(10_000)[0] == 250
    assert at_rcpt(0)[0] == 250
    house.write_settings(quota_full_tempfail="yes")
    house.command("reload")
    wait_for(lambda: at_rcpt(200_000)[0] == 452)
    assert eve.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"x" * 50_000)[0] == "OK"
    wait_for(lambda: at_rcpt(70_000)[0] == 452)
    assert at_rcpt(10_000)[0] == 250
    house.command("account", "set", "eve@example.com", "--quota-storage", "none")
    wait_for(lambda: at_rcpt(200_000)[0] == 250)


@pytest.mark.parametrize("tempfail, code", [("no", 552), ("yes", 452)])
def test_a_size_beyond_the_limit_itself_is_refused_before_the_keeper_has_told(house, tempfail, code):
    """rfc1870:6.1: nobody has opened this account yet, and its keeper knows nothing of it."""
    def at_rcpt(size):
        with house.smtp() as s:
            s.ehlo("client.example")
            assert s.mail("eve@example.com", [f"SIZE={size}"])[0] == 250
            return s.rcpt(f"{who}+detail@example.com")[0], s.rcpt(f"{who}@example.com")[0]
    who = "new" + tempfail
    house.write_settings(quota_full_tempfail=tempfail, recipient_delimiter="+")
    house.command("reload")
    house.command("account", "add", f"{who}@example.com", input="secret\n")
    wait_for(lambda: at_rcpt(200_000) == (250, 250))
    house.command("account", "set", f"{who}@example.com", "--quota-storage", "100K")
    wait_for(lambda: at_rcpt(113_000) == (code, code))
    assert at_rcpt(112_000) == (250, 250), "within quota_grace"
    house.command("account", "set", f"{who}@example.com", "--quota-storage", "none")
    wait_for(lambda: at_rcpt(113_000) == (250, 250))
    house.command("domain", "set", "example.com", "--quota-storage", "200K")
    assert at_rcpt(300_000) == (250, 250), "the account says otherwise"
    house.command("account", "set", f"{who}@example.com", "--quota-storage", "default")
    wait_for(lambda: at_rcpt(300_000) == (code, code))
    assert at_rcpt(200_000) == (250, 250)
    house.command("domain", "set", "example.com", "--quota-storage", "default")
    wait_for(lambda: at_rcpt(300_000) == (250, 250))


def test_setquota_is_for_those_named_in_main_cf(house):
    """rfc9208:4.1.3: what is not named is not limited any more; it is in the directory before OK."""
    eve, jack, adam = house.imap("eve"), house.imap("jack"), house.imap("adam")
    root = '"User quota adam@example.com"'
    assert b"QUOTASET" in jack.capability()[1][0].split()
    for words in [root, '"User quota"']:
        assert jack.setquota(words, "(STORAGE 512)")[0] == "NO"
    assert b"[NOPERM]" in jack.setquota('"User quota"', "(STORAGE 512)")[1][0]
    assert jack.getquota(root)[0] == "NO"
    house.command("account", "set", "adam@example.com", "--quota-storage", "1G", "--quota-messages", "9")
    assert eve.setquota(root, "(STORAGE 512 MESSAGE 1000)")[0] == "OK"
    assert re.search(rb"\(STORAGE \d+ 512 MESSAGE \d+ 1000\)", adam.getquota('"User quota"')[1][0])
    assert eve.setquota(root, "(STORAGE 20)")[0] == "OK"
    told = eve.getquota(root)[1][0]
    assert b"User quota adam@example.com" in told and re.search(rb"\(STORAGE \d+ 20\)", told)
    assert b"[OVERQUOTA]" in adam.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"x" * 30000)[1][0]
    house.kill("clerk")
    house.kill("keeper")
    adam = wait_for(lambda: again(house, "adam"))
    assert re.search(rb"\(STORAGE \d+ 20\)", adam.getquota('"User quota"')[1][0])
    eve = wait_for(lambda: again(house, "eve"))
    for words in ["(STORAGE 0)", "(ANNOTATION-STORAGE 7)", "(MESSAGE 0)"]:
        assert b"[CANNOT]" in eve.setquota(root, words)[1][0]
    assert b"[NONEXISTENT]" in eve.setquota('"User quota nobody@example.com"', "(STORAGE 9)")[1][0]
    assert eve.setquota("nothing", "(STORAGE 9)")[0] == "NO"
    with pytest.raises(imaplib.IMAP4.error):
        eve.setquota(root, "(STORAGE")
    assert eve.setquota(root, "()")[0] == "OK"
    assert b"()" in adam.getquota('"User quota"')[1][0]


def said(box, words):
    """The answer to what has literals in it, sent as it stands; lines until the tagged one."""
    box.send(b"q1 " + words + b"\r\n")
    lines = [box.readline()]
    while not lines[-1].startswith(b"q1 "):
        lines.append(box.readline())
    return b"".join(lines)


def literal(size):
    return b"{%d+}\r\n" % size + b"Subject: x\r\n\r\n".ljust(size, b"x")


def test_limits_count_what_a_command_adds(house):
    """Of REPLACE the difference (rfc8508:3.4), of MULTIAPPEND and CATENATE the whole, of a MOVE within the account nothing."""
    house.command("account", "add", "full@example.com", "--password-file", "/dev/stdin", input=PASSWORD + "\n")
    house.command("account", "set", "full@example.com", "--quota-storage", "10K", "--quota-messages", "4")
    house.write_settings(quota_warning="")
    house.command("reload")
    full, jill = house.imap("full"), house.imap("jill")
    wait_for(lambda: b"STORAGE 0 10" in full.getquota('"User quota"')[1][0])
    full.select("INBOX")
    assert b" OK " in said(full, b"APPEND INBOX " + literal(4000) + b" " + literal(4000))
    assert b"[OVERQUOTA]" in said(full, b"APPEND INBOX " + literal(100) + b" " + literal(2300))
    assert b"[OVERQUOTA]" in said(full, b'APPEND INBOX CATENATE (URL "/INBOX/;UID=1/;SECTION=HEADER" TEXT ' + literal(3000) + b")")
    assert b" OK " in said(full, b"UID REPLACE 2 INBOX " + literal(6200))  # 10200 of 10240
    assert b"[OVERQUOTA]" in said(full, b"UID REPLACE 1 INBOX " + literal(4100))
    assert b" OK " in said(full, b"UID REPLACE 1 INBOX " + literal(4000))
    assert b" OK " in said(full, b"UID MOVE 1:* Archive") and b"[OVERQUOTA]" in said(full, b"APPEND INBOX " + literal(100))
    house.command("account", "set", "full@example.com", "--quota-storage", "5K")
    full.select("Archive")
    wait_for(lambda: b" 5 " in full.getquota('"User quota"')[1][0])
    assert b"[OVERQUOTA]" in said(full, b"UID REPLACE 1 Archive " + literal(6201))
    assert b" OK " in said(full, b"UID REPLACE 1 Archive " + literal(6000)), "less than before is no more than before"
    house.command("account", "set", "full@example.com", "--quota-storage", "none")
    wait_for(lambda: b"STORAGE" not in full.getquota('"User quota"')[1][0])
    for n in range(2):
        assert b" OK " in said(full, b"APPEND INBOX " + literal(100))
    assert b"[OVERQUOTA]" in said(full, b"APPEND INBOX " + literal(100))
    assert b" OK " in said(full, b"UID REPLACE 2 INBOX " + literal(100)) and usage(full)[b"MESSAGE"] == b"4"
    full.setacl("INBOX", "jill", "lri")
    jill.append("Drafts", None, None, LETTER.format("x").encode())
    jill.select("Drafts")
    for words in [b"UID COPY *", b"UID MOVE *"]:
        assert b"[OVERQUOTA]" in said(jill, words + b' "Other Users/full/INBOX"')
    assert len(found(jill, "Drafts")) == 1


def again(house, who):
    try:
        return house.imap(who)
    except (OSError, imaplib.IMAP4.error):
        return None


def test_running_sessions_see_new_limits_and_groups(house):
    jack, jill = house.imap("jack"), house.imap("jill")
    for who in ["jack", "jill"]:
        house.command("account", "set", f"{who}@example.com", "--quota-storage", "default", "--quota-messages", "default")
    house.command("domain", "set", "example.com", "--quota-storage", "3G")
    wait_for(lambda: b" 3145728)" in jack.getquota('"User quota"')[1][0])
    house.command("domain", "set", "example.com", "--quota-storage", "default")
    wait_for(lambda: b"()" in jack.getquota('"User quota"')[1][0])
    house.command("group", "add", "press@example.com", "--member", "jill@example.com")
    wait_for(lambda: jill.select("Shared/press/INBOX")[0] == "OK")
    assert jack.select("Shared/press/INBOX")[0] == "NO"
    house.command("group", "leave", "press@example.com", "jill@example.com")
    with pytest.raises(imaplib.IMAP4.abort):
        wait_for(lambda: jill.search(None, "ALL")[0] != "OK")
    jack.create("Loan")
    jack.setacl("Loan", "adam", "lr")
    adam = house.imap("adam")
    assert adam.select('"Other Users/jack/Loan"', readonly=True)[0] == "OK"
    jack.deleteacl("Loan", "adam")
    with pytest.raises(imaplib.IMAP4.abort):
        adam.search(None, "ALL")


def test_who_comes_under_the_same_address_inherits_nothing(house):
    house.command("account", "add", "mole@example.com", input=PASSWORD + "\n")
    house.command("group", "join", "sales@example.com", "mole@example.com")
    jack = house.imap("jack")
    jack.create("Secret")
    for who in ["mole", "adam"]:
        jack.setacl("Secret", who, "lr")
    assert house.imap("mole").select('"Other Users/jack/Secret"', readonly=True)[0] == "OK"
    assert house.imap("mole").select('"Shared/sales/INBOX"')[0] == "OK"
    house.command("account", "delete", "mole@example.com")
    house.command("account", "add", "mole@example.com", input=PASSWORD + "\n")
    mole = house.imap("mole")
    for words in ['"Other Users/jack/Secret"', '"Shared/sales/INBOX"']:
        assert mole.select(words, readonly=True)[0] == "NO"
    assert b"mole" not in jack.getacl("Secret")[1][0] and b"adam" in jack.getacl("Secret")[1][0]
    time.sleep(1.1)  # rights are dated in seconds
    jack.setacl("Secret", "mole", "lr")
    jack.logout()
    house.kill("keeper")
    mole = wait_for(lambda: again(house, "mole"))
    assert mole.select('"Other Users/jack/Secret"', readonly=True)[0] == "OK"


def test_nor_where_the_name_is_written_in_capitals_of_its_script(house):
    house.command("account", "add", "ärger@example.com", input=PASSWORD + "\n")
    jack = house.imap("jack")
    jack.create("Troubles")
    house.command("mailbox", "acl", "jack@example.com", "Troubles", "ärger@example.com", "lr")
    assert "ärger@example.com" in house.command("mailbox", "acl", "jack@example.com", "Troubles").stdout
    house.command("account", "delete", "ÄRGER@example.com")
    wait_for(lambda: "rger@" not in house.command("mailbox", "acl", "jack@example.com", "Troubles").stdout)


def test_what_was_answered_ok_survives_a_kill(house):
    """Rights, notes and limits: whatever dies right behind the OK, they are there."""
    jill, done = None, 0

    def all_die():
        for p in house.status():
            os.kill(p["pid"], signal.SIGKILL)
        os.killpg(house.process.pid, signal.SIGKILL)
        house.process.wait()
        house.start()

    for death in [lambda: house.kill("keeper"), all_die, lambda: house.kill("keeper"), all_die]:
        jack = wait_for(lambda: again(house, "jack"))
        box = f"Kept{done}"
        assert jack.create(box)[0] == "OK"
        assert jack.setacl(box, "jill", "lr")[0] == "OK"
        assert jack.setacl(box, "jill", "+i")[0] == "OK"
        assert jack._simple_command("SETMETADATA", box, f'(/shared/comment "note {done}" /private/comment "mine")')[0] == "OK"
        death()
        done += 1
        jack, jill = wait_for(lambda: again(house, "jack")), wait_for(lambda: again(house, "jill"))
        for n in range(done):
            assert b"jill@example.com lri" in jack.getacl(f"Kept{n}")[1][0]
            jack._simple_command("GETMETADATA", f"Kept{n}", "(/shared/comment /private/comment)")
            told = repr(jack.response("METADATA")[1])
            assert f"note {n}" in told and "mine" in told
            assert jill.append(f'"Other Users/jack/Kept{n}"', None, None, LETTER.format("x").encode())[0] == "OK"


def test_a_full_account_nobody_reads_is_let_in_again(house):
    house.command("account", "set", "adam@example.com", "--quota-messages", "1")
    adam = house.imap("adam")
    wait_for(lambda: refusal(house, "adam@example.com")[0] in (452, 552))
    adam.logout()
    house.kill("clerk")
    wait_for(lambda: refusal(house, "adam@example.com")[0] in (452, 552))
    house.command("account", "set", "adam@example.com", "--quota-messages", "none")
    wait_for(lambda: refusal(house, "adam@example.com")[0] == 250)


HOMES = ["log", "maildir", "mbox"]


@pytest.fixture(scope="module")
def three():
    """One account in the log, one in a Maildir, one in mboxes; each shows the others its Box."""
    with Village(*HOMES) as village:
        root = village.directory / "outside"
        root.mkdir()
        root.chmod(0o1777)
        village.write_settings(mail_location_directories=str(root))
        village.stop()
        village.start()
        for name, to in [("maildir", f"maildir:{root}/maildir"), ("mbox", f"mbox:{root}/mbox")]:
            village.imap(name).logout()
            village.command("mailbox", "convert", f"{name}@example.com", "--to", to)
        for name in HOMES:
            box = village.imap(name)
            box.create("Box")
            for other in HOMES:
                if other != name:
                    assert box.setacl("Box", other, "lrswite")[0] == "OK"
            for n in range(3):
                box.append("INBOX", "(\\Flagged)" if n == 1 else None, None, LETTER.format(f"{name}{n}").encode())
        yield village


@pytest.mark.parametrize("to", HOMES)
@pytest.mark.parametrize("whose", HOMES)
def test_copies_between_accounts_whatever_they_lie_in(three, whose, to):
    if whose == to:
        return
    mine, theirs = three.imap(whose), three.imap(to)
    before = len(found(theirs, "Box"))
    mine.select("INBOX")
    said = mine.copy("1:3", f'"Other Users/{to}/Box"')
    assert said[0] == "OK", said
    assert len(found(theirs, "Box")) == before + 3
    for n in range(3):
        at = found(theirs, "Box", "SUBJECT", f"{whose}{n}")
        assert len(at) == 1
        told = theirs.fetch(at[0].decode(), "(FLAGS BODY.PEEK[])")[1]
        assert told[0][1] == LETTER.format(f"{whose}{n}").encode()
        assert (b"\\Flagged" in told[0][0] + (told[1] or b"")) == (n == 1)
    assert len(found(mine, "INBOX")) == 3


def test_rights_for_a_name_in_another_script(house):
    """An account's name is folded in every script, and so is an identifier that stands for it."""
    house.command("account", "add", "j\u00fcrgen@example.com", input=PASSWORD + "\n")
    box = house.imap("adam")
    box.create("Horses")
    assert box.enable("UTF8=ACCEPT")[0] == "OK"

    def command(name, who, *more):
        return box.xatom(name, "Horses", f'"{who}"', *more)
    imaplib.Commands.update({"SETACL": ("AUTH", "SELECTED"), "DELETEACL": ("AUTH", "SELECTED")})
    assert command("SETACL", "J\u00dcRGEN", "lr") == ("OK", [b"Setacl completed."])

    def rows():
        return b"".join(b"".join(line) if isinstance(line, tuple) else line for line in box.getacl("Horses")[1])
    assert "j\u00fcrgen@example.com".encode() in rows() and "\u00dc".encode() not in rows()
    theirs = imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], ssl_context=trusting())
    theirs.authenticate("PLAIN", lambda _: f"\0j\u00fcrgen@example.com\0{PASSWORD}".encode())
    assert theirs.enable("UTF8=ACCEPT")[0] == "OK"
    assert b"adam" in theirs.list('"Other Users/"', "*")[1][0]
    assert command("DELETEACL", "J\u00dcrgen@EXAMPLE.com")[0] == "OK"
    assert "j\u00fcrgen".encode() not in rows()
    box.logout()
