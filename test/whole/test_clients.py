# SPDX-License-Identifier: ISC
"""Letters sent and read by the programs people have."""

import imaplib
import os
import poplib
import shlex
import smtplib
import subprocess

import pytest
from kit import HOST, letter, wait_for, word

ME = "jill@example.com"


def run(*words, **more):
    more.setdefault("timeout", 60)
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, errors="replace", **more)


def good(done):
    assert done.returncode == 0, f"{done.args}\n{done.stdout}\n{done.stderr}"
    return done.stdout


# swaks

@pytest.mark.parametrize("service,how", [
    ("smtp", []),
    ("smtp", ["--tls"]),
    ("submission", ["--tls", "--auth", "PLAIN"]),
    ("submission", ["--tls", "--auth", "LOGIN"]),
    ("submissions", ["--tls-on-connect", "--auth", "PLAIN"]),
    ("lmtp", ["--protocol", "LMTP"]),
])
def test_swaks_sends(demo, service, how):
    subject = word()
    if "--auth" in how:
        how = how + ["--auth-user", "jack@example.com", "--auth-password", demo.password]
    out = good(run("swaks", "--server", f"127.0.0.1:{demo.port(service)}", "--from", "jack@example.com",
                   "--to", ME, "--header", f"Subject: {subject}", *how))
    assert "250 2.0.0" in out
    assert subject.encode() in demo.find(subject)


def test_swaks_with_a_wrong_password_is_refused(demo):
    done = run("swaks", "--server", f"127.0.0.1:{demo.port('submission')}", "--from", "jack@example.com", "--to", ME,
               "--tls", "--auth", "PLAIN", "--auth-user", "jack@example.com", "--auth-password", "wrong")
    assert done.returncode == 28, done.stdout
    assert "535 5.7.8" in done.stdout


def test_swaks_over_the_unix_socket_of_lmtp(demo):
    subject = word()
    out = good(run("swaks", "--protocol", "LMTP", "--socket", demo.dir / "mail/run/lmtp.sock", "--from", "a@example.org",
                   "--to", f"{ME},jack@example.com", "--header", f"Subject: {subject}"))
    assert out.count("250 2.0.0") >= 2, "one reply for each recipient (rfc2033:4.2)"
    demo.find(subject)
    demo.find(subject, "jack")


# curl

def test_curl_sends_and_reads(demo, tmp_path):
    subject = word()
    text = tmp_path / "letter"
    text.write_bytes(letter(subject).as_bytes())
    here = f"{HOST}:{demo.port('submission')}:127.0.0.1"
    good(run("curl", "-sS", "--ssl-reqd", "--cacert", demo.ca, "--resolve", here, "-u", f"jack@example.com:{demo.password}",
             "--mail-from", "jack@example.com", "--mail-rcpt", ME, "-T", text, f"smtp://{HOST}:{demo.port('submission')}"))
    demo.find(subject)
    mail = f"-u{ME}:{demo.password}"
    imaps, pop3s = demo.port("imaps"), demo.port("pop3s")
    folders = good(run("curl", "-sS", "--cacert", demo.ca, mail, f"imaps://127.0.0.1:{imaps}/"))
    assert "INBOX" in folders
    found = good(run("curl", "-sS", "--cacert", demo.ca, mail, f"imaps://127.0.0.1:{imaps}/INBOX", "-X",
                     f"SEARCH SUBJECT {subject}"))
    number = found.split()[-1]
    assert subject in good(run("curl", "-sS", "--cacert", demo.ca, mail,
                               f"imaps://127.0.0.1:{imaps}/INBOX;MAILINDEX={number}"))
    good(run("curl", "-sS", "--ssl-reqd", "--cacert", demo.ca, mail, f"imap://127.0.0.1:{demo.port('imap')}/"))
    listing = good(run("curl", "-sS", "--cacert", demo.ca, mail, f"pop3s://127.0.0.1:{pop3s}/"))
    assert len(listing.splitlines()) >= int(number)
    assert subject in good(run("curl", "-sS", "--cacert", demo.ca, mail, f"pop3s://127.0.0.1:{pop3s}/{number}"))
    good(run("curl", "-sS", "--ssl-reqd", "--cacert", demo.ca, mail, f"pop3://127.0.0.1:{demo.port('pop3')}/"))


def test_curl_appends(demo, tmp_path):
    subject = word()
    text = tmp_path / "letter"
    text.write_bytes(letter(subject).as_bytes())
    good(run("curl", "-sS", "--cacert", demo.ca, f"-u{ME}:{demo.password}", "-T", text,
             f"imaps://127.0.0.1:{demo.port('imaps')}/INBOX"))
    assert demo.count(subject) == 1


# mutt

def muttrc(demo, tmp_path):
    rc = tmp_path / "muttrc"
    rc.write_text(f"""
set ssl_ca_certificates_file = "{demo.ca}"
set certificate_file = "{demo.ca}"
set ssl_usesystemcerts = no
set ssl_verify_host = no
set ssl_force_tls = yes
set imap_user = "{ME}"
set imap_pass = "{demo.password}"
set smtp_url = "smtp://jack%40example.com@127.0.0.1:{demo.port('submission')}/"
set smtp_pass = "{demo.password}"
set from = "jack@example.com"
set use_from = yes
set envelope_from_address = "jack@example.com"
set use_envelope_from = yes
set copy = no
set record = ""
set folder = "imaps://127.0.0.1:{demo.port('imaps')}/"
set mail_check = 0
set header_cache = ""
set sleep_time = 0
""")
    return rc


def test_mutt_sends(demo, tmp_path):
    subject = word()
    good(run("mutt", "-F", muttrc(demo, tmp_path), "-s", subject, "--", ME, input="Hello from mutt.\n",
             env={**os.environ, "HOME": str(tmp_path)}))
    assert b"Hello from mutt." in demo.find(subject)


def test_mutt_reads_flags_and_saves(demo, tmp_path):
    subject, copy = word(), tmp_path / "copy"
    demo.send(letter(subject, "To be read by mutt.\n"))
    demo.find(subject)
    keys = (f"<limit>~s {subject}<enter><copy-message>{copy}<enter>y<flag-message><sync-mailbox><exit>")
    mutt = ["mutt", "-F", muttrc(demo, tmp_path), "-f", f"imaps://127.0.0.1:{demo.port('imaps')}/INBOX",
            "-e", "set quit=yes confirmappend=no confirmcreate=no mbox_type=mbox delete=yes wait_key=no",
            "-e", f"push '{keys}'"]
    done = run("script", "-qec", shlex.join(str(w) for w in mutt), "/dev/null", stdin=subprocess.DEVNULL,
               env={**os.environ, "HOME": str(tmp_path), "TERM": "xterm"})
    assert copy.exists(), done.stdout[-2000:]
    assert "To be read by mutt." in copy.read_text()
    box = demo.imap()
    box.select()
    number = box.search(None, "SUBJECT", subject)[1][0].split()[0]
    assert b"\\Flagged" in box.fetch(number, "(FLAGS)")[1][0]
    box.logout()


# isync

def mbsync(demo, tmp_path, user=ME):
    box = tmp_path / "mail"
    box.mkdir(exist_ok=True)
    rc = tmp_path / "mbsyncrc"
    rc.write_text(f"""
IMAPStore far
Host localhost
Port {demo.port('imaps')}
User {user}
Pass {demo.password}
SSLType IMAPS
CertificateFile {demo.ca}

MaildirStore near
Path {box}/
Inbox {box}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
""")
    good(run("mbsync", "-c", rc, "-a", env={**os.environ, "HOME": str(tmp_path)}))
    return box


def test_mbsync_keeps_both_sides_the_same(demo, tmp_path):
    user = "ataylor@example.com"
    first, second = word(), word()
    demo.send(letter(first), to=user)
    demo.find(first, "ataylor")
    box = mbsync(demo, tmp_path, user)
    here = [p for p in (box / "INBOX").glob("*/*") if first in p.read_text(errors="replace")]
    assert len(here) == 1

    # what is new here goes there, flags go there, folders go there
    (box / "INBOX/new" / f"1234567890.{second}.here").write_bytes(letter(second).as_bytes())
    seen = box / "INBOX/cur" / (here[0].name.split(":")[0] + ":2,FS")
    here[0].rename(seen)
    for part in ["cur", "new", "tmp"]:
        (box / "Travels" / part).mkdir(parents=True)
    mbsync(demo, tmp_path, user)
    assert demo.count(second, "ataylor") == 1
    far = demo.imap("ataylor")
    far.select()
    number = far.search(None, "SUBJECT", first)[1][0].split()[0]
    flags = far.fetch(number, "(FLAGS)")[1][0]
    assert b"\\Seen" in flags and b"\\Flagged" in flags
    assert any(b"Travels" in line for line in far.list()[1])

    # what goes there goes here
    far.store(number, "+FLAGS", "\\Deleted")
    far.expunge()
    far.logout()
    mbsync(demo, tmp_path, user)
    assert not any(first in p.read_text(errors="replace") for p in (box / "INBOX").glob("*/*"))
    assert any(second in p.read_text(errors="replace") for p in (box / "INBOX").glob("*/*"))


# fetchmail

@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_fetchmail_takes_the_letters_away(demo, tmp_path, protocol):
    subject, box = word(), tmp_path / "mbox"
    demo.send(letter(subject), to="jsmith@example.com")
    demo.find(subject, "jsmith")
    rc = tmp_path / "fetchmailrc"
    rc.write_text(f"""poll localhost protocol {protocol} service {demo.port(protocol + 's')}
    user "jsmith@example.com" password "{demo.password}" ssl sslcertck sslcertfile "{demo.ca}"
    mda "cat >>{box}"
""")
    rc.chmod(0o600)
    done = run("fetchmail", "-f", rc, "--nodetach", "--nosyslog", env={**os.environ, "HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert subject in box.read_text()
    assert demo.count(subject, "jsmith") == 0


# s-nail

def test_s_nail_sends_and_reads(demo, tmp_path):
    subject = word()
    user, password = "jack%40example.com", demo.password
    options = ["-Sv15-compat", f"-Stls-ca-file={demo.ca}", "-Stls-verify=strict", "-Ssmtp-use-starttls",
               f"-SDEAD={tmp_path}/dead", "-:/"]
    good(run("s-nail", *options, "-s", subject, "-r", "jack@example.com",
             f"-Smta=smtp://{user}:{password}@localhost:{demo.port('submission')}", "-Ssmtp-auth=plain",
             "-Ssendwait", ME, input="Hello from s-nail.\n", env={**os.environ, "HOME": str(tmp_path)}))
    assert b"Hello from s-nail." in demo.find(subject)
    out = good(run("s-nail", *options, "-Spop3-use-starttls=no", "-L", f"@s@{subject}", "-f",
                   f"pop3s://{ME.replace('@', '%40')}:{password}@localhost:{demo.port('pop3s')}",
                   input="x\n", env={**os.environ, "HOME": str(tmp_path)}))
    assert subject in out


# Python's own

def test_smtplib_with_many_recipients(demo):
    subject = word()
    to = [f"{u}@example.com" for u in ("jill", "jack", "ataylor", "jsmith")]
    with demo.smtp("submissions", "jack") as s:
        assert s.sendmail("jack@example.com", to, letter(subject).as_bytes()) == {}
    for user in ("jill", "jack", "ataylor", "jsmith"):
        assert subject.encode() in demo.find(subject, user)


def test_a_large_letter_comes_back_byte_for_byte(demo):
    subject = word()
    body = "".join(f"{i:07d} {'x' * 60}\n" for i in range(120000))
    message = letter(subject, body)
    with demo.smtp("submission", "jack") as s:
        s.send_message(message)
    raw = demo.find(subject)
    assert raw.split(b"\r\n\r\n", 1)[1] == body.replace("\n", "\r\n").encode()


def test_utf8_and_dots_and_long_lines_come_back(demo):
    subject = word()
    raw = (f"From: jack@example.com\r\nTo: {ME}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
           "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
           ".\r\n..\r\n.a\r\n驿站 means way station\r\n" + "y" * 990 + "\r\n\r\n").encode()
    with demo.smtp() as s:
        s.sendmail("jack@example.com", [ME], raw, mail_options=["BODY=8BITMIME"])
    assert demo.find(subject).endswith(raw)


def test_imaplib_idle_hears_of_news_at_once(demo):
    box = demo.imap()
    box.select()
    box.send(b"x1 IDLE\r\n")
    assert box.readline().startswith(b"+")
    subject = word()
    demo.send(letter(subject))
    box.sock.settimeout(10)
    line = box.readline()
    assert line.startswith(b"* ") and line.rstrip().endswith((b"EXISTS", b"RECENT")), line
    box.send(b"DONE\r\n")
    wait_for(lambda: box.readline().startswith(b"x1 OK"))
    box.logout()


def test_imaplib_copies_moves_and_searches(demo):
    box = demo.imap("ataylor")
    subject, folder = word(), word()
    box.append("INBOX", "(\\Seen)", imaplib.Time2Internaldate(1763812800), letter(subject).as_bytes())
    assert box.create(folder)[0] == "OK"
    box.select()
    number = box.search(None, "SUBJECT", subject, "SEEN")[1][0].split()[0]
    assert box.copy(number, folder)[0] == "OK"
    assert box.uid("MOVE", box.fetch(number, "(UID)")[1][0].split()[2].rstrip(b")"), folder)[0] == "OK"
    assert box.search(None, "SUBJECT", subject)[1][0] == b""
    box.select(folder)
    assert len(box.search(None, "SUBJECT", subject)[1][0].split()) == 2
    assert box.close()[0] == "OK"
    assert box.delete(folder)[0] == "OK"
    box.logout()


def test_poplib_over_stls(demo):
    subject = word()
    demo.send(letter(subject, "One line.\n.Two.\n"))
    demo.find(subject)
    box = poplib.POP3("127.0.0.1", demo.port("pop3"), timeout=20)
    box.stls(demo.local())
    box.user(ME)
    box.pass_(demo.password)
    count, size = box.stat()
    assert count > 0 and size > 0
    assert len(box.uidl()[1]) == count
    lines = box.retr(count)[1]
    assert any(subject.encode() in line for line in lines) and b".Two." in lines
    box.quit()


@pytest.mark.parametrize("service,say", [
    ("submission", "smtp"), ("smtp", "smtp"), ("imap", "imap"), ("pop3", "pop3"), ("lmtp", "lmtp"),
    ("submissions", None), ("imaps", None), ("pop3s", None),
])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_verifies_every_service(demo, service, say, version):
    more = ["-starttls", say] if say else []
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{demo.port(service)}", "-CAfile", demo.ca,
               "-verify_hostname", HOST, "-verify_return_error", version, "-brief", *more, input="QUIT\r\n")
    assert "Verification: OK" in done.stdout + done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_of_tls_are_refused(demo, version):
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{demo.port('imaps')}", version,
               "-cipher", "ALL:@SECLEVEL=0", input="")
    assert done.returncode != 0 and "Cipher is (NONE)" in done.stdout, done.stdout + done.stderr


def test_a_password_in_the_clear_is_refused(demo):
    box = imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20)
    assert "LOGINDISABLED" in box.capabilities
    with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
        box.login(ME, demo.password)
    with smtplib.SMTP("127.0.0.1", demo.port("submission"), timeout=20) as s:
        s.ehlo()
        assert not s.has_extn("auth")
        assert s.mail("jack@example.com")[0] == 530


@pytest.mark.parametrize("service", ["imap", "imaps", "pop3s"])
def test_an_ordered_stop_says_goodbye(own, service):
    d = own().start()
    if service == "pop3s":
        box = poplib.POP3_SSL("127.0.0.1", d.port(service), context=d.local(), timeout=20)
        box.user(ME)
        box.pass_(d.password)
        file = box.file
    else:
        box = d.imap() if service == "imaps" else imaplib.IMAP4("127.0.0.1", d.port(service))
        if service == "imap":
            box.starttls(d.local())
            box.login(ME, d.password)
        box.select()
        file = box.file
    assert d.stop() == 0
    last = file.readline()
    assert last.startswith(b"-ERR" if service == "pop3s" else b"* BYE"), last
    assert file.readline() == b""
