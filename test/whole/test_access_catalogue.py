# SPDX-License-Identifier: ISC
"""What the tutorials teach of POP3, IMAP and Dovecot's words, sections of the catalogue on reading mail.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_access_catalogue.py
"""

import imaplib
import pathlib
import poplib
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import PATIENCE, House, wait_for
from test_mailbox_commands import JACK, doveadm, put
from test_protocols import open_doors
from test_roles import PASSWORD, Village, trusting


@pytest.fixture(scope="module")
def house():
    with Village("jack", "jill") as village:
        yield village


@pytest.fixture
def jack(house):
    house.command("account", "delete", JACK)
    house.command("account", "add", JACK, input=PASSWORD + "\n")
    return house


def pop3(house, stls=False):
    if stls:
        box = poplib.POP3("127.0.0.1", house.ports["pop3"], timeout=PATIENCE)
        box.stls(trusting())
    else:
        box = poplib.POP3_SSL("127.0.0.1", house.ports["pop3s"], context=trusting(), timeout=PATIENCE)
    box.user(JACK)
    box.pass_(PASSWORD)
    return box


# ---- Dovecot's commands ---------------------------------------------------------------------

def test_R145_doveconf_prints_what_differs_and_one_value_by_name(house):
    said = house.command("doveconf", "-n").stdout
    assert f"mail_directory = {house.directory}/mail\n" in said and "pop3_autologout" not in said
    assert house.command("doveconf", "-h", "ssl").stdout == "yes\n"
    assert house.command("doveconf", "-n", "mail_directory").stdout == f"mail_directory = {house.directory}/mail\n"
    assert house.command("doveconf", "-n", "pop3_autologout").stdout == "", "it stands as it is by default"


def test_R314_the_commands_of_doveadm_one_after_the_other(jack):
    def ok(*words):
        done = doveadm(jack, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout
    ok("mailbox", "create", "-u", JACK, "Spam")
    ok("mailbox", "rename", "-u", JACK, "Spam", "Ham")
    assert "Ham\n" in ok("mailbox", "list", "-u", JACK)
    put(jack, "Ham", "found")
    assert "messages=1" in ok("mailbox", "status", "-u", JACK, "messages", "Ham")
    assert len(ok("search", "-u", JACK, "mailbox", "Ham", "subject", "found").split()) == 2
    assert "hdr.subject: found" in ok("fetch", "-u", JACK, "hdr.subject", "mailbox", "Ham", "all")
    assert "STORAGE" in ok("quota", "get", "-u", JACK)
    ok("auth", "test", JACK, PASSWORD)
    box = jack.imap()
    wait_for(lambda: "jack@example.com" in ok("who"))
    ok("kick", JACK)
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        for _ in range(100):
            box.noop()
    ok("expunge", "-u", JACK, "mailbox", "Ham", "all")
    assert "messages=0" in ok("mailbox", "status", "-u", JACK, "messages", "Ham")
    ok("mailbox", "delete", "-u", JACK, "Ham")
    assert "Ham\n" not in ok("mailbox", "list", "-u", JACK)


# ---- POP3 ---------------------------------------------------------------------------------

def test_R357_the_client_deletes_or_keeps(jack):
    put(jack, "INBOX", "one")
    put(jack, "INBOX", "two")
    box = pop3(jack)
    assert [b"Subject: one" in box.retr(1)[1], box.stat()[0]] == [True, 2]
    box.quit()
    box = pop3(jack)
    assert box.stat()[0] == 2, "what was only fetched is still there"
    box.retr(1)
    box.dele(1)
    box.quit()
    box = pop3(jack)
    assert box.stat()[0] == 1 and b"Subject: two" in box.retr(1)[1]
    box.quit()


def test_R358_R359_every_command_on_both_ports(jack):
    put(jack, "INBOX", "one")
    put(jack, "Lists", "elsewhere")
    for stls in (True, False):
        box = pop3(jack, stls)
        assert box.stat()[0] == 1, "the INBOX alone"
        size = int(box.list(1).split()[2])
        assert box.list()[1] == [b"1 %d" % size] and box.stat()[1] == size
        assert box.uidl()[1][0] == b"1 " + box.uidl(1).split()[2]
        assert box.top(1, 0)[1][-1] == b"" and b"Hello." in box.retr(1)[1]
        box.dele(1)
        assert box.stat()[0] == 0
        box.rset()
        assert box.stat()[0] == 1
        box.noop()
        assert {"TOP", "UIDL", "SASL", "RESP-CODES", "PIPELINING", "UTF8", "AUTH-RESP-CODE"} <= set(box.capa())
        box.quit()


def test_R363_R371_both_protocols_see_one_inbox(jack):
    put(jack, "INBOX", "by imap")
    jack.send(JACK, "by smtp")
    wait_for(lambda: "messages=2" in doveadm(jack, "mailbox", "status", "-u", JACK, "messages", "INBOX").stdout)
    box, reader = pop3(jack), jack.imap()
    reader.select()
    whole = [reader.fetch(str(n), "(BODY.PEEK[])")[1][0][1] for n in (1, 2)]
    assert [b"\r\n".join(box.retr(n)[1]) + b"\r\n" for n in (1, 2)] == whole
    box.dele(2)
    box.quit()
    wait_for(lambda: reader.noop() and reader.search(None, "ALL")[1][0] == b"1")
    reader.store("1", "+FLAGS", r"\Deleted")
    reader.expunge()
    reader.logout()
    assert pop3(jack).stat()[0] == 0


# ---- IMAP ---------------------------------------------------------------------------------

def test_R360_many_clients_see_the_same(jack):
    put(jack, "INBOX", "one")
    one, other = jack.imap(), jack.imap()
    for box in (one, other):
        box.select()
    one.store("1", "+FLAGS", r"(\Seen \Answered \Flagged $Later)")
    one.create("Kept")
    wait_for(lambda: other.noop() and other.search(None, "SEEN", "ANSWERED", "FLAGGED", "KEYWORD", "$Later")[1][0] == b"1")
    assert any(b"Kept" in line for line in other.list()[1])
    other.copy("1", "Kept")
    assert one.status("Kept", "(MESSAGES UNSEEN)")[1][0] == b"Kept (MESSAGES 1 UNSEEN 0)"
    one.store("1", "+FLAGS", r"\Deleted")
    one.expunge()
    wait_for(lambda: other.noop() and other.search(None, "ALL")[1][0] == b"")
    other.delete("Kept")
    assert not any(b"Kept" in line for line in one.list()[1])


def test_R361_search_by_text_header_and_date(jack):
    put(jack, "INBOX", "one", "hidden wörds 驿站".encode().decode("latin-1"))
    text = "From: ö@example.org\r\nSubject: =?utf-8?b?6am/56uZ?=\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n" \
           "Content-Type: text/plain; charset=utf-8\r\n\r\nverborgene Wörter 驿站\r\n"
    box = jack.imap()
    box.append("INBOX", None, None, text.encode())
    box.select()

    def search(*keys):
        box.literal = None
        return box.search(None, *keys)[1][0]
    assert search("SENTON", "22-Nov-2026", "SUBJECT", "one") == b"1"
    box.literal = "驿站".encode()
    assert box.search("UTF-8", "SUBJECT")[1][0] == b"2"
    box.literal = "WÖRTER".encode()
    assert box.search("UTF-8", "BODY")[1][0] == b"2"
    box.literal = "驿站".encode()
    assert b"2" in box.search("UTF-8", "TEXT")[1][0].split()
    assert search("HEADER", "Message-ID", "one") == b"1"


def changes_since(box, validity, modseq):
    """QRESYNC by hand: what vanished, and which uids have news."""
    tag = box._new_tag()
    box.send(tag + f" SELECT INBOX (QRESYNC ({validity} {modseq}))\r\n".encode())
    vanished, changed = b"", []
    while not (line := box.readline()).startswith(tag + b" "):
        if line.startswith(b"* VANISHED (EARLIER) "):
            vanished = line.split()[-1]
        changed += re.findall(rb"FETCH \(.*UID (\d+)", line)
    assert line.startswith(tag + b" OK"), line
    return vanished, changed


def test_R362_R368_a_cache_stays_good_over_a_restart(jack):
    for n in range(5):
        put(jack, "INBOX", f"letter{n}")
    box = jack.imap()
    box.enable("QRESYNC")
    box.select()
    status = box.status("INBOX", "(UIDVALIDITY HIGHESTMODSEQ UIDNEXT)")[1][0]
    validity, modseq, uidnext = (re.search(rf"{k} (\d+)".encode(), status)[1].decode() for k in ("UIDVALIDITY", "HIGHESTMODSEQ", "UIDNEXT"))
    box.uid("STORE", "2", "+FLAGS", r"\Flagged")
    box.uid("STORE", "4", "+FLAGS", r"\Deleted")
    box.expunge()
    box.logout()
    assert jack.stop() == 0
    jack.start()
    box = jack.imap()
    again = box.status("INBOX", "(UIDVALIDITY UIDNEXT)")[1][0].decode()
    assert f"UIDVALIDITY {validity}" in again and f"UIDNEXT {uidnext}" in again
    box.enable("QRESYNC")
    assert changes_since(box, validity, modseq) == (b"4", [b"2"])


# ---- settings of Dovecot ---------------------------------------------------------------------

THEIRS = """
protocols = lmtp imap
ssl = required
ssl_cert = <{cert}
ssl_key = <{key}
ssl_min_protocol = TLSv1.3
ssl_cipher_list = HIGH:!aNULL
ssl_prefer_server_ciphers = yes
disable_plaintext_auth = yes
auth_failure_delay = 2 secs
mail_location = maildir:{place}/%d/%n
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  unix_listener {place}/lmtp {{
    mode = 0600
    user = root
  }}
}}
namespace inbox {{
  inbox = yes
}}
"""


@pytest.mark.skipif(shutil.which("doveconf") is None, reason="needs Dovecot")
def test_R364_R365_R366_R367_what_dovecot_was_told_is_told_us(tmp_path):
    tmp_path.chmod(0o755)
    with House(myhostname="mail.example.com") as first:
        place = first.directory / "place"
        place.mkdir()
        place.chmod(0o777)
        conf = first.directory / "dovecot.conf"
        conf.write_text(THEIRS.format(cert=first.settings["smtpd_tls_cert_file"], key=first.settings["smtpd_tls_key_file"],
                                      imaps=first.ports["imaps"], place=place))
        theirs = subprocess.run(["doveconf", "-nP", "-c", conf], capture_output=True, text=True, check=True).stdout
        ours = first.command("config", "import", "-", input=theirs).stdout
        lines = dict(line.split(" =", 1) for line in ours.splitlines() if not line.startswith("#"))
        assert "# not taken over: namespace inbox / inbox = yes" in ours
        changes = {name: value.strip() for name, value in lines.items()}
        assert changes["protocols"] == "lmtp imap" and changes["ssl"] == "required"
        assert changes["listen_imap"] == "" and changes["smtpd_tls_protocols"] == ">=TLSv1.3"
        first.write_settings(**changes)
        checked = first.command("config", "check", check=False)
        assert checked.returncode == 0, checked.stderr
        assert first.stop() == 0
        first.start()
        first.at_work()
        assert open_doors(first) >= {"imaps"} and not open_doors(first) & {"imap", "pop3", "pop3s"}
        assert (place / "lmtp").is_socket() and (place / "lmtp").stat().st_mode & 0o777 == 0o600
        first.command("domain", "add", "example.com")
        first.command("account", "add", JACK, input=PASSWORD + "\n")
        box = imaplib.IMAP4_SSL("127.0.0.1", first.ports["imaps"], ssl_context=trusting(), timeout=PATIENCE)
        box.login(JACK, PASSWORD)
        assert box.append("INBOX", None, None, b"Subject: one\r\n\r\nx\r\n")[0] == "OK"
        box.logout()
        assert list((place / "example.com/jack").glob("cur/*")) + list((place / "example.com/jack").glob("new/*"))
