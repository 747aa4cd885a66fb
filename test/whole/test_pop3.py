# SPDX-License-Identifier: ISC
"""POP3 beside IMAP, over restarts, and with policies."""

import os
import pathlib
import poplib
import pwd
import shutil
import socket
import subprocess
import tempfile

import pytest
from kit import letter, wait_for, word
from ports import free_ports

ME = "ataylor@example.com"


def pop3(demo, utf8=False):
    box = poplib.POP3_SSL("127.0.0.1", demo.port("pop3s"), context=demo.local(), timeout=20)
    if utf8:
        box.utf8()
    box.user(ME)
    box.pass_(demo.password)
    return box


def put(demo, *subjects):
    for subject in subjects:
        demo.send(letter(subject, to=ME), to=ME)
    for subject in subjects:
        demo.find(subject, "ataylor")


def uidls(box):
    return dict(line.split() for line in box.uidl()[1])


def test_unique_ids_outlive_the_server(own):
    d = own().start()
    put(d, *(word() for _ in range(3)))
    box = pop3(d)
    before = uidls(box)
    box.dele(1)
    box.quit()
    assert d.stop() == 0
    d.start()
    put(d, word())
    box = pop3(d)
    after = uidls(box)
    box.quit()
    assert list(after.values())[:-1] == list(before.values())[1:], "those that stayed kept theirs"
    assert after[str(len(after)).encode()] not in before.values(), "and none was given again"


def test_what_imap_removes_is_refused_and_what_pop3_removes_is_news(demo):
    first, second = word(), word()
    put(demo, first, second)
    box = pop3(demo)
    count = box.stat()[0]
    reader = demo.imap("ataylor")
    reader.select("INBOX")
    reader.store(reader.search(None, "SUBJECT", first)[1][0], "+FLAGS", "\\Deleted")
    reader.expunge()
    number = next(i for i in range(1, count + 1)
                  if first.encode() not in b"".join(safe(box.top, i)) and second.encode() in b"".join(safe(box.top, i)))
    with pytest.raises(poplib.error_proto, match="no longer there"):
        box.retr(number - 1)
    assert box.stat()[0] == count, "numbers stay while the session lasts"
    box.dele(number)
    assert demo.count(second, "ataylor") == 1, "DELE alone removes nothing"
    box.quit()
    assert demo.count(second, "ataylor") == 0
    wait_for(lambda: reader.noop() and not reader.search(None, "SUBJECT", second)[1][0])
    reader.logout()


def safe(top, number):
    try:
        return top(number, 0)[1]
    except poplib.error_proto:
        return []


def test_what_was_read_here_is_seen_there(demo):
    subject = word()
    put(demo, subject)
    box = pop3(demo)
    number = box.stat()[0]
    box.top(number, 3)
    box.quit()
    reader = demo.imap("ataylor")
    reader.select("INBOX", readonly=True)
    assert reader.search(None, "UNSEEN", "SUBJECT", subject)[1][0], "TOP leaves it unseen"
    box = pop3(demo)
    box.retr(number)
    box.quit()
    wait_for(lambda: reader.noop() and reader.search(None, "SEEN", "SUBJECT", subject)[1][0])
    reader.logout()


def test_utf8_headers(demo):
    message = "From: Zoë <zoe@example.org>\r\nSubject: Für 小明\r\n\r\nGrüße\r\n".encode()
    with demo.imap("ataylor") as c:
        assert c.append("INBOX", None, None, message)[0] == "OK"
    plain, wide = pop3(demo), pop3(demo, utf8=True)
    number = plain.stat()[0]
    for box in plain, wide:
        assert int(box.list(number).split()[2]) == len(message)
    assert b"\r\n".join(plain.retr(number)[1]) + b"\r\n" == \
        message.replace("ë".encode(), b"??").replace("ü".encode(), b"??", 1).replace("小明".encode(), b"??????")
    assert b"\r\n".join(wide.retr(number)[1]) + b"\r\n" == message
    assert "UTF8" in wide.capa() and "LANG" in plain.capa()
    plain.quit()
    wide.dele(number)
    wide.quit()


def test_hundreds_of_commands_at_once(demo):
    put(demo, word())
    with socket.create_connection(("127.0.0.1", demo.port("pop3")), 20) as raw:
        raw.recv(1000)
        raw.sendall(b"STLS\r\n")
        assert raw.recv(1000).startswith(b"+OK")
        with demo.local().wrap_socket(raw, server_hostname="127.0.0.1") as s:
            s.sendall(f"USER {ME}\r\nPASS {demo.password}\r\n".encode() + b"LIST 1\r\nRETR 1\r\nUIDL 1\r\n" * 300 + b"QUIT\r\n")
            said = b""
            while more := s.recv(65536):
                said += more
    assert said.count(b"\r\n.\r\n") == 300
    assert said.count(b" octets\r\n") == 300
    assert said.endswith(b"+OK Logging out.\r\n")


def test_what_expires_is_gone_for_imap_too(own):
    d = own("--set", "pop3_expire=1ms").start()
    kept, fetched = word(), word()
    put(d, kept, fetched)
    box = pop3(d)
    assert "EXPIRE" in box.capa() and box.capa()["EXPIRE"] == ["0"]
    number = box.stat()[0]
    box.retr(number)
    box.sock.close()
    wait_for(lambda: "Disconnected" in d.log() and d.count(fetched, "ataylor") == 1)
    pop3(d).quit()
    assert d.count(fetched, "ataylor") == 0 and d.count(kept, "ataylor") == 1
    assert "1 messages expired" in d.log()


def test_apop_where_a_plain_secret_is_kept(own):
    d = own("--set", "pop3_apop=yes", "--set", "auth_failure_delay=0").start()

    def apop(name, secret):
        box = poplib.POP3("127.0.0.1", d.port("pop3"), timeout=20)
        try:
            return box.apop(name, secret)
        finally:
            box.close()
    for name, secret in [(ME, d.password), ("nobody@example.com", "x")]:
        with pytest.raises(poplib.error_proto, match="AUTH"):
            apop(name, secret)                          # the demo keeps none
    d.command("account", "set", ME, "password", "--keep-plain-secret", input="tanstaaf\n")
    assert apop(ME, "tanstaaf").startswith(b"+OK")
    with pytest.raises(poplib.error_proto, match="AUTH"):
        apop(ME, "tanstaafl")
    stamps = {poplib.POP3("127.0.0.1", d.port("pop3"), timeout=20).welcome for _ in range(3)}
    assert len(stamps) == 3, "no stamp twice"
    d.command("account", "set", ME, "password", input="another\n")
    for secret in ["tanstaaf", "another"]:
        with pytest.raises(poplib.error_proto, match="AUTH"):
            apop(ME, secret)


@pytest.mark.skipif(not shutil.which("fetchmail"), reason="no fetchmail")
def test_fetchmail_logs_in_by_apop(own, tmp_path):
    d = own("--set", "pop3_apop=yes").start()
    who, subject = "apo@example.com", word()
    d.command("account", "add", who, "--keep-plain-secret", input="a plain secret\n")
    d.send(letter(subject, to=who), to=who)
    wait_for(lambda: d.command("message", "search", who, "mailbox", "INBOX", "subject", subject).stdout.strip())
    rc, got = tmp_path / "rc", tmp_path / "got"
    rc.write_text(f'poll 127.0.0.1 service {d.port("pop3")} protocol APOP user "{who}" password "a plain secret" sslproto "" mda "cat >>{got}"\n')
    rc.chmod(0o600)
    done = subprocess.run(["fetchmail", "-f", rc, "--pidfile", tmp_path / "pid", "-N"], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert subject in got.read_text()
    assert f"user=<{who}>, method=APOP" in d.log()


def test_apop_is_not_offered_otherwise(demo):
    box = poplib.POP3("127.0.0.1", demo.port("pop3"), timeout=20)
    assert b"<" not in box.welcome
    with pytest.raises(poplib.error_proto, match="not offered"):
        box._shortcmd("APOP jill 00000000000000000000000000000000")
    box.close()


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-q"]))


DOVECOT = """protocols = pop3
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
base_dir = {at}/run
state_dir = {at}/state
log_path = {at}/log
default_login_user = nobody
default_internal_user = mail
default_internal_group = mail
first_valid_uid = 1
mail_location = maildir:{at}/mail
mail_uid = {uid}
mail_gid = {gid}
pop3_uidl_format = {form}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={at}
}}
"""


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("dovecot"), reason="no root, or no dovecot")
@pytest.mark.parametrize("form", ["%08Xu%08Xv", "%08Xv%08Xu", "%v-%u", "UID%u-%v", "%u", "%%%Xu.%012v"])
def test_who_comes_over_from_dovecot_fetches_nothing_twice(own, form):
    """The Maildir of another server, opened where it stands and then moved into the log: each message is called what Dovecot called it."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="uidl-", dir="/tmp"))
    place.chmod(0o755)
    owner, port = pwd.getpwnam("mail"), free_ports(1)[0]
    try:
        for part in ("cur", "new", "tmp"):
            (place / "mail" / part).mkdir(parents=True)
        for n in range(12):
            (place / "mail/cur" / f"17000000{n:02}.M1P1.x:2,").write_text(f"From: a@example.org\nSubject: {n}\n\nbody\n")
        subprocess.run(["chown", "-R", "mail:", place], check=True)
        config = place / "dovecot.conf"
        config.write_text(DOVECOT.format(at=place, uid=owner.pw_uid, gid=owner.pw_gid, form=form, port=port))
        subprocess.run(["dovecot", "-c", config], check=True, timeout=60)

        def seen():
            return sorted(p.name[8:10] for p in (place / "mail/cur").iterdir() if "S" in p.name.partition(":2,")[2])

        def called():
            box = poplib.POP3("127.0.0.1", port, timeout=20)
            box.user("x")
            box.pass_("secret")
            return box

        box = wait_for(lambda: (place / "run/auth-client").exists() and called())
        box.dele(3)
        box.dele(12)
        box.quit()
        box = called()
        theirs = uidls(box)
        box.quit()
        box = called()
        box.retr(2)
        box.dele(2)
        box.retr(5)
        box.top(6, 1)
        box.close()
        wait_for(lambda: "Connection closed" in (place / "log").read_text())
        assert seen() == [], "without QUIT nothing is marked"
        subprocess.run(["doveadm", "-c", config, "stop"], capture_output=True, timeout=60)
        assert len(theirs) == 10
        subprocess.run(["chown", "-R", "root:root", place / "mail"], check=True)       # we may read it, and no more
        d = own("--set", f"pop3_uidl_format={form.replace('$', '$$')}", "--set", f"mail_location_directories={place}").start()
        d.command("account", "set", ME, "--mail-location", f"maildir:{place}/mail")
        assert d.command("mailbox", "status", ME, "-f", "tab", "--fields", "messages").stdout.split() == ["mailbox", "messages", "INBOX", "10"], "what cannot be made there is no mailbox"
        box = pop3(d)
        assert uidls(box) == theirs
        assert box.uidl(4).split()[2] == theirs[b"4"]
        box.quit()
        assert d.command("message", "fetch", ME, "pop3.uidl", "mailbox", "INBOX", "-f", "tab").stdout.split()[1:] == \
            [theirs[str(n + 1).encode()].decode() for n in range(10)]
        box = pop3(d)
        box.retr(3)
        box.dele(3)
        box.retr(7)
        box.dele(8)
        box.close()
        numbers = lambda: sorted(map(int, d.command("message", "search", ME, "mailbox", "INBOX", "seen", "-f", "tab").stdout.split()[3::2]))
        wait_for(lambda: "Disconnected: Connection closed" in d.log())
        assert numbers() == [], "here neither"
        d.command("mailbox", "convert", ME, "--to", "log")
        box = pop3(d)
        assert uidls(box) == theirs, "in the log, too"
        box.quit()
    finally:
        subprocess.run(["doveadm", "-c", place / "dovecot.conf", "stop"], capture_output=True, timeout=60)
        shutil.rmtree(place, ignore_errors=True)
