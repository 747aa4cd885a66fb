# SPDX-License-Identifier: ISC
"""The sum of a domain beside others: Dovecot's second quota root, Postfix's LMTP client, users of a database and of the operating system."""

import imaplib
import os
import pathlib
import pwd
import re
import signal
import smtplib
import sqlite3
import subprocess

import pytest
from beside import Postfix, tables_of
from house import wait_for
from kit import letter as whole_letter
from kit import open_to_all
from test_beside_dovecot import IMAP
from test_domain_quota import DOMAIN, is_right, letter, limit, roots, total
from test_owners import GID, UID, place  # noqa: F401
from test_roles import Village
from test_system_users import keeper_of, served, user  # noqa: F401

TWO_ROOTS = """
protocols =
ssl = no
base_dir = {at}/run
log_path = {at}/log
mail_location = maildir:{at}/Maildir
mail_home = {at}
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 0
first_valid_gid = 0
mail_plugins = quota
protocol imap {{
  mail_plugins = quota imap_quota
}}
plugin {{
  quota = count:User quota
  quota2 = count:Domain quota
  quota_vsizes = yes
  quota_rule = *:storage=1M:messages=50
  quota2_rule = *:storage=3M:messages=2
}}
"""


class Dovecot(imaplib.IMAP4_stream):
    """An imap process, logged in, whose user has two quota roots."""

    def __init__(self, folder):
        owner = pwd.getpwnam("nobody")
        open_to_all(folder)
        (folder / "Maildir").mkdir()
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, owner.pw_uid, owner.pw_gid)
        config = folder / "dovecot.conf"
        config.write_text(TWO_ROOTS.format(at=folder, uid=owner.pw_uid, gid=owner.pw_gid))
        super().__init__(f"exec env USER=nobody HOME={folder} {IMAP} -c {config} 2>>{folder}/errors")


def dialogue(box):
    """What is said of the roots, before and after a letter; and of letters that are too many."""
    said = []

    def ask(command, *words):
        kind, data = box._simple_command(command, *words)
        said.append((command, words, kind, [d.decode() for name in ("QUOTAROOT", "QUOTA") for d in box.untagged_responses.pop(name, [])],
                     re.findall(rb"\[(\S+)[\] ]", data[0])))
    ask("GETQUOTAROOT", "INBOX")
    for n in range(3):
        box.literal = letter(f"n{n}", 2000).replace("\r\n", "\n").replace("\n", "\r\n").encode()
        ask("APPEND", "INBOX")
        said[-1] = (*said[-1][:4], [code for code in said[-1][4] if code != b"APPENDUID"])
        ask("GETQUOTAROOT", "INBOX")
    ask("GETQUOTA", '"Domain quota"')
    ask("GETQUOTA", '"User quota"')
    box.select("INBOX")
    ask("COPY", "1", "INBOX")
    ask("SETQUOTA", '"Domain quota"', "(MESSAGE 3)")
    said[-1] = (*said[-1][:4], [])
    return said


@pytest.mark.skipif(not os.access(IMAP, os.X_OK) or os.geteuid() != 0, reason="no Dovecot, or not root")
def test_two_roots_as_dovecot_says_them(tmp_path):
    with Village("jack", quota_warning="") as house:
        house.command("account", "set", f"jack@{DOMAIN}", "--quota-storage", "1M", "--quota-messages", "50")
        house.command("domain", "set", DOMAIN, "--total-storage", "3M", "--total-messages", "2")
        theirs = Dovecot(tmp_path)
        with house.imap() as ours:
            wait_for(lambda: roots(ours)[0].count('"') == 4)
            got = dialogue(ours), dialogue(theirs)
        theirs.logout()
        for one, other in zip(*got):
            assert one == other
        # Without -u: the user of the environment, whom nobody is asked for.
        rows = [subprocess.run(["doveadm", "-c", tmp_path / "dovecot.conf", "-f", "tab", "quota", "get"], capture_output=True, text=True,
                               timeout=60, env={**os.environ, "USER": "nobody", "HOME": str(tmp_path)}).stdout,
                house.command("doveadm", "-f", "tab", "quota", "get", "-u", f"jack@{DOMAIN}").stdout]
        assert rows[0] == rows[1] and "Domain quota\tMESSAGE\t2\t2\t100" in rows[0]


def test_postfix_delivers_until_the_domain_is_full():
    """Its LMTP client hears 452 or 552, by quota_full_tempfail, and does what they say."""
    with Village("jack", "jill", quota_warning="", quota_full_tempfail="yes", smtpd_peername_lookup="no") as house, tables_of({"aliases": ""}) as at:
        limit(house, messages=2)
        postfix = Postfix(at, {"in": [{}]}, f"mynetworks = 127.0.0.0/8\nvirtual_mailbox_domains = {DOMAIN}\nvirtual_mailbox_maps = static:all\n"
                          f"virtual_transport = lmtp:inet:127.0.0.1:{house.ports['lmtp']}\nlmtp_destination_recipient_limit = 1\nmydestination =\n")
        try:
            with open(f"{postfix.home}/etc/master.cf", "a") as f:
                f.write("lmtp unix - - n - - lmtp\n")
            subprocess.run(["postfix", "-c", f"{postfix.home}/etc", "reload"], check=True, capture_output=True, timeout=60)

            def log():
                return pathlib.Path(f"{postfix.home}/log").read_text()

            def send(name, who):
                with smtplib.SMTP("127.0.0.1", postfix.ports["in"], timeout=60) as s:
                    s.sendmail("a@here.example", [f"{who}@{DOMAIN}"], letter(name))
            send("p1", "jack")
            send("p2", "jill")
            wait_for(lambda: log().count("status=sent") == 2 and total(house)[2] == 2)
            send("p3", "jill")
            wait_for(lambda: re.search(r"status=deferred \(host 127.0.0.1\[127.0.0.1\] said: 452 .*4\.2\.2 .*Quota exceeded", log()))
            house.write_settings(quota_full_tempfail="no")
            house.command("reload")
            send("p4", "jack")
            wait_for(lambda: re.search(r"status=bounced \(host 127.0.0.1\[127.0.0.1\] said: 552 .*5\.2\.2 .*Quota exceeded", log()))
            assert total(house)[2] == 2
        finally:
            postfix.close()


def test_users_of_a_database_count(tmp_path):
    """Accounts whose passwords SQL has, in a domain that is not in the directory itself."""
    open_to_all(tmp_path)
    tmp_path.chmod(0o777)
    with sqlite3.connect(tmp_path / "people.db") as db:
        db.execute("CREATE TABLE people(name TEXT PRIMARY KEY, hash TEXT)")
        db.executemany("INSERT INTO people VALUES(?, '{PLAIN}geheim')", [(f"{who}@elsewhere.example",) for who in ("eva", "tom")])
    (tmp_path / "people.db").chmod(0o644)
    cf = tmp_path / "users.cf"
    cf.write_text(f"driver = sqlite\ndbpath = {tmp_path}/people.db\npassword_query = SELECT name AS user, hash AS password FROM people WHERE name = '%Lu'\n")
    cf.chmod(0o644)
    with Village("jack", quota_warning="", auth_backends=f"directory sql:{cf}", keeper_processes="2") as house:
        def login(who):
            box = imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], ssl_context=house.imap().ssl_context, timeout=60)
            box.login(f"{who}@elsewhere.example", "geheim")
            return box
        eva, tom = login("eva"), login("tom")
        house.command("domain", "set", "elsewhere.example", "--total-messages", "3")
        for box in (eva, tom, eva):
            assert box.append("INBOX", None, None, letter("x").encode())[0] == "OK"
        assert wait_for(lambda: total(house, "elsewhere.example")[2] == 3)
        for box in (eva, tom):
            assert b"[OVERQUOTA]" in box.append("INBOX", None, None, letter("x").encode())[1][0]
            assert '"Domain quota"' in roots(box)[0]
        with house.imap() as jack:
            assert jack.append("INBOX", None, None, letter("x").encode())[0] == "OK" and "Domain" not in roots(jack)[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a process another uid")
def test_an_operating_system_user_counts(served, user):
    """Also while their keeper is not running, and after it and the clerk were killed."""
    demo = served(home_mailbox="Maildir/", user_keeper_idle_time="1s", quota_warning="")
    demo.send(whole_letter("before"), to=f"jill@{DOMAIN}")
    wait_for(lambda: len(list(user.maildir())) == 1)
    demo.command("domain", "set", DOMAIN, "--total-messages", "100")
    before = wait_for(lambda: is_right(demo))[2]
    demo.command("domain", "set", DOMAIN, "--total-messages", str(before + 3))
    demo.send(whole_letter("to-jill"), to=f"jill@{DOMAIN}")
    demo.send(whole_letter("to-jack"), to=f"jack@{DOMAIN}")
    wait_for(lambda: total(demo)[2] == before + 2)
    wait_for(lambda: keeper_of(demo, user) is None)
    clerk = next(p["pid"] for p in demo.processes() if p["role"] == "clerk")
    os.kill(clerk, signal.SIGKILL)
    wait_for(lambda: total(demo)[2] == before + 2)
    with demo.imap("jill") as jill:
        pid = keeper_of(demo, user)
        assert jill.append("INBOX", None, None, letter("third").encode())[0] == "OK"
        assert '"Domain quota"' in roots(jill)[0]
        assert b"[OVERQUOTA]" in jill.append("INBOX", None, None, letter("fourth").encode())[1][0]
        assert b"[NOPERM]" in jill.setquota('"Domain quota"', "(MESSAGE 1000)")[1][0]
    os.kill(pid, signal.SIGKILL)

    def refused():
        with demo.smtp() as s:
            s.ehlo("client.example")
            s.mail("a@out.example")
            return s.rcpt(f"jill@{DOMAIN}")[0] == 552
    wait_for(refused)
    assert wait_for(lambda: is_right(demo))[2] == before + 3
    demo.command("account", "set", f"jill@{DOMAIN}", "system-user", "none")
    assert wait_for(lambda: total(demo)[2] < before + 3), "what a user holds who is bound no more is nobody's of this domain"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_accounts_whose_files_belong_to_a_uid_count(place):  # noqa: F811
    """Their keeper runs under that uid; one account of the domain is the pool's."""
    with Village("jack", quota_warning="", smtpd_peername_lookup="no") as house:
        house.write_settings(mail_uid=str(UID), mail_gid=str(GID), mail_location=f"maildir:{place}/vmail/%d/%n", quota_warning="")
        house.stop()
        house.start()
        house.command("account", "add", f"eva@{DOMAIN}", input="x\n")
        house.command("account", "set", f"jack@{DOMAIN}", "--mail-location", "log")
        limit(house, messages=4)
        for name, who in (("o1", "eva"), ("o2", "jack"), ("o3", "eva")):
            house.send(f"{who}@{DOMAIN}", name)
        try:
            assert wait_for(lambda: total(house)[2] == 3 and is_right(house))
        except TimeoutError:
            raise AssertionError(str(total(house)) + house.text()[-3000:]) from None
        house.command("doveadm", "save", "-u", f"eva@{DOMAIN}", input=letter("o4"))
        for who in ("eva", "jack"):
            done = house.command("doveadm", "save", "-u", f"{who}@{DOMAIN}", input=letter("o5"), check=False)
            assert done.returncode != 0 and "[OVERQUOTA]" in done.stdout + done.stderr
        assert (place / f"vmail/{DOMAIN}/eva").stat().st_uid == UID
        assert wait_for(lambda: is_right(house))[2] == 4
