# SPDX-License-Identifier: ISC
"""Logins as Cyrus SASL's clients make them; what an answer tells and how soon; mechanisms and who could verify them.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_logins.py
"""

import hashlib
import os
import pathlib
import re
import sqlite3
import struct
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import test_roles
from house import BINARY, PATIENCE, wait_for
from test_roles import PASSWORD
from test_sasl import SERVICES, Talk, Village, b64, cram, house, ntlm, scram  # noqa: F401 (a fixture)

# ---- Cyrus SASL's own clients -----------------------------------------------------------------------

CYRUS = pathlib.Path("/usr/lib/cyrus/bin")
cyrus_is_here = pytest.mark.skipif(not (CYRUS / "imtest").exists(), reason="no cyrus-clients")


def cyrus(house, service, mechanism, password, *more, port=None):
    """imtest, pop3test, smtptest: libsasl as mail programs use it.  True when it says that it is in."""
    program = {"imap": "imtest", "pop3": "pop3test", "smtp": "smtptest"}[service]
    port = house.ports[port or {"imap": "imap", "pop3": "pop3", "smtp": "submission"}[service]]
    end = {"imap": ". logout", "pop3": "QUIT", "smtp": "QUIT"}[service]
    done = subprocess.run([CYRUS / program, "-p", str(port), *(more or ["-t", ""]), "-m", mechanism, "-u", "jack@example.com", "-a", "jack@example.com",
                           "-w", password, "127.0.0.1"], input=f"{end}\r\n", capture_output=True, text=True, timeout=PATIENCE)
    assert ("Authenticated." in done.stdout) != ("Authentication failed." in done.stdout), done.stdout + done.stderr
    return "Authenticated." in done.stdout


@cyrus_is_here
@pytest.mark.parametrize("service", SERVICES)
def test_cyrus_clients_log_in(house, service):
    for mechanism in ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "DIGEST-MD5"]:
        assert cyrus(house, service, mechanism, PASSWORD), mechanism
        assert not cyrus(house, service, mechanism, "wrong"), mechanism
    if service != "smtp":
        assert cyrus(house, service, "ANONYMOUS", "")


@cyrus_is_here
@pytest.mark.parametrize("kind", ["md5", "sha1"])
def test_R256_cyrus_clients_log_in_by_one_time_passwords(house, kind):
    phrase = "A phrase of words"
    house.command("account", "one-time", "set", "jack@example.com", kind, "alpha" + kind, "50", input=phrase + "\n")
    for service in SERVICES:
        assert not cyrus(house, service, "OTP", "another phrase")
        assert cyrus(house, service, "OTP", phrase)
    house.command("account", "one-time", "delete", "jack@example.com")


# ---- what an answer tells ------------------------------------------------------------------------------

def digest_answer(user, password, service):
    """rfc2831:2.1.2 by hand."""
    def answer(challenge):
        nonce, realm = (re.search(rb'%s="([^"]+)"' % name, challenge).group(1).decode() for name in (b"nonce", b"realm"))
        uri, cnonce = f"{ {'pop3': 'pop'}.get(service, service) }/mail.example.com", "0123456789abcdef"
        first = hashlib.md5(f"{user}:{realm}:{password}".encode()).digest() + f":{nonce}:{cnonce}".encode()
        text = f"{hashlib.md5(first).hexdigest()}:{nonce}:00000001:{cnonce}:auth:" + hashlib.md5(f"AUTHENTICATE:{uri}".encode()).hexdigest()
        return (f'charset=utf-8,username="{user}",realm="{realm}",nonce="{nonce}",nc=00000001,cnonce="{cnonce}",digest-uri="{uri}",'
                f"response={hashlib.md5(text.encode()).hexdigest()},qop=auth")
    return answer


@pytest.mark.parametrize("service", SERVICES)
def test_nobody_learns_who_is_there(house, service):
    """A user with the wrong password, one who does not exist and one of a domain that does not: the same words, byte for byte,
    and challenges of the same shape."""
    def shape(challenge):
        if challenge.startswith(b"NTLMSSP"):
            return challenge[:24] + bytes(8) + challenge[32:]
        return re.sub(rb'(?<=[rs]=)[^,]+|(?<=nonce=")[^"]+|<[^>@]+@', lambda m: b"x" * len(m.group()), challenge)

    def tried(user, mechanism):
        with Talk(house, service) as t:
            answers = {"PLAIN": [f"\0{user}\0wrong"], "LOGIN": [user, "wrong"], "CRAM-MD5": [cram(user, "wrong")],
                       "NTLM": [b"NTLMSSP\0\1\0\0\0" + struct.pack("<I", 0x201), ntlm(user, "wrong")]}
            if mechanism.startswith("SCRAM"):
                digest = "sha1" if "SHA-1" in mechanism else "sha256"
                bare = f"n={user},r=fyko+d2lbbFgONRv9qkxdawL"

                def final(challenge):
                    nonce = re.search(rb"r=([^,]+)", challenge).group(1).decode()
                    return f"c=biws,r={nonce},p={b64(bytes(hashlib.new(digest).digest_size))}"
                line, said = t.auth(mechanism, final, initial="n,," + bare)
            elif mechanism == "DIGEST-MD5":
                line, said = t.auth(mechanism, digest_answer(user, "wrong", service))
            else:
                line, said = t.auth(mechanism, *answers[mechanism])
            assert t.wrong(line), (user, mechanism, line)
            return re.sub(r" \(\w{11}\)$", "", line), [shape(c) for c in said]         # each refusal has an id
    for mechanism in ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "DIGEST-MD5", "NTLM"]:
        there = tried("jack@example.com", mechanism)
        for user in ["nobody@example.com", "jack@elsewhere.example", "nobody"]:
            assert tried(user, mechanism) == there, (user, mechanism)
    with Talk(house, service) as t:
        assert t.good(t.auth("DIGEST-MD5", digest_answer("jack@example.com", PASSWORD, service))[0]), "what was tried was a login"
    with Talk(house, service) as t:
        if service == "imap":
            lines = []
            for user in ["jack@example.com", "nobody@example.com"]:
                t.say(f"a LOGIN {user} wrong")
                lines.append(t.line())
            assert lines[0] == lines[1] and t.wrong(lines[0])
        if service == "pop3":
            lines = []
            for user in ["jack@example.com", "nobody@example.com"]:
                t.say(f"USER {user}")
                lines.append(t.line())
                t.say("PASS wrong")
                lines.append(t.line())
            assert lines[:2] == lines[2:] and t.wrong(lines[1])


@pytest.mark.parametrize("scheme", ["", "SHA512-CRYPT", "PLAIN"], ids=["directory", "slow", "quick"])
def test_no_password_is_refused_sooner_than_another(tmp_path, scheme):
    """Neither where a hash is compared that costs as much as ours, nor where another back end's costs more or nothing: beside one
    another, half of the answers to one are not much sooner than half of the answers to the other."""
    users = tmp_path / "users"
    hashed = subprocess.run(["doveadm", "pw", "-s", scheme or "PLAIN", "-p", "geheim"], capture_output=True, text=True, check=True).stdout.strip()
    users.write_text(f"eva@elsewhere.example:{hashed}::::::\n")
    users.chmod(0o600)
    more = {"auth_failure_delay": "0"} if not scheme else {"auth_failure_delay": "300ms", "auth_backends": f"directory passwd-file:{users}"}
    there = "eva@elsewhere.example" if scheme else "jack@example.com"
    with Village("jack", auth_failure_network_limit="0", auth_failure_account_limit="0", login_failure_limit="0", auth_ban_failures="0", **more) as v:
        taken = {there: [], "nobody" + there: []}
        for n in range(15):
            for i, user in enumerate(taken):                           # each from a network that has not failed before
                with Talk(v, "imap", source=f"127.0.1.{2 * n + i + 1}") as t:
                    begun = time.monotonic()
                    line, _ = t.auth("PLAIN", initial=f"\0{user}\0wrong")
                    taken[user].append(time.monotonic() - begun)
                    assert t.wrong(line)
        one, other = (sorted(t)[len(t) // 2] for t in taken.values())
        assert 1 / 2 < one / other < 2, taken


# ---- who could verify it --------------------------------------------------------------------------------

def test_T17_a_server_that_compares_by_itself_tells_nobody_what_with(tmp_path):
    """auth_bind: no mechanism can be checked that shows no password."""
    cf = tmp_path / "users.cf"
    for bind, good in (("yes", False), ("no", True)):
        cf.write_text(f"uris = ldap://127.0.0.1:1\nbase = dc=example\nauth_bind = {bind}\npass_filter = (mail=%u)\npass_attrs = mail=user, userPassword=password\n")
        v = Village("jack", sasl_mechanisms="PLAIN SCRAM-SHA-256", auth_backends=f"ldap:{cf}")
        try:
            done = subprocess.run([BINARY, "-c", v.config, "config", "check"], capture_output=True, text=True, timeout=PATIENCE)
            assert ("nobody could log in by SCRAM-SHA-256" in done.stdout + done.stderr) != good, done.stdout + done.stderr
        finally:
            v.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="PAM's modules and users of the operating system need root")
def test_T17_what_pam_cannot_verify_is_not_offered_by_default():
    """A client takes the best that is offered: with users of the operating system that is one they can log in by."""
    from test_credentials import Unix
    unix = Unix()
    try:
        for backends in (f"pam:{unix.service}", f"directory pam:{unix.service}"):
            with test_roles.Village("jack", auth_backends=backends) as v:
                for service in SERVICES:
                    with Talk(v, service) as t:
                        assert t.mechanisms() == ["PLAIN", "LOGIN"]
                for service in ("imap", "smtp"):
                    port = v.ports["submission" if service == "smtp" else "imap"]
                    done = subprocess.run(["gsasl", f"--{service}", "--starttls", "--x509-ca-file=", "--connect", f"127.0.0.1:{port}", "--no-cb", "-a", unix.name,
                                           "-p", "geheim"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
                    assert done.returncode == 0, done.stdout + done.stderr
                assert "sasl_mechanisms" not in v.command("postconf", "-n").stdout
                assert v.command("postconf", "-h", "sasl_mechanisms").stdout == "PLAIN LOGIN\n"
    finally:
        unix.remove()


def test_T17_what_only_some_users_could_log_in_by_is_not_offered_by_default(tmp_path):
    """Hashes of SHA512-CRYPT verify no SCRAM: gsasl, which takes the best that is offered, comes in.  Who offers more is told whom it shuts out."""
    users = tmp_path / "users"
    users.write_text("".join(f"{name}@elsewhere.example:" + subprocess.run(["doveadm", "pw", "-s", scheme, "-p", "geheim"], capture_output=True, text=True,
                             check=True).stdout.strip() + "::::::\n" for name, scheme in (("eva", "SHA512-CRYPT"), ("seth", "SCRAM-SHA-256"))) + "shut@elsewhere.example:*\n")

    def comes_in(v, user):
        done = subprocess.run(["gsasl", "--imap", "--starttls", "--x509-ca-file=", "--connect", f"127.0.0.1:{v.ports['imap']}", "--no-cb", "-a", user,
                               "-p", "geheim"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
        return done.returncode == 0

    def warned(v):
        return subprocess.run([BINARY, "-c", v.config, "config", "check"], capture_output=True, text=True, timeout=PATIENCE).stderr
    with test_roles.Village("jack", auth_backends=f"directory passwd-file:{users}") as v:
        for service in SERVICES:
            with Talk(v, service) as t:
                assert t.mechanisms() == ["PLAIN", "LOGIN"]
        assert comes_in(v, "eva@elsewhere.example") and "sasl_mechanisms" not in warned(v)
    with test_roles.Village("jack", auth_backends=f"directory passwd-file:{users}", sasl_mechanisms="PLAIN SCRAM-SHA-256") as v:
        assert not comes_in(v, "eva@elsewhere.example") and comes_in(v, "seth@elsewhere.example")
        assert f"sasl_mechanisms: 1 of the users of {users}, eva@elsewhere.example is one, have no verifier of SCRAM-SHA-256" in warned(v)
        users.write_text(users.read_text().split("\n", 1)[1])
        assert "sasl_mechanisms" not in warned(v)
    users.write_text(f"eva@elsewhere.example:{{PLAIN-MD5}}{'0' * 32}::::::\n")
    v = Village("jack", auth_backends=f"directory passwd-file:{users}", sasl_mechanisms="PLAIN SCRAM-SHA-256")
    try:
        assert f"nobody of {users} could log in by SCRAM-SHA-256" in warned(v)
    finally:
        v.close()


def checked(tmp_path, **settings):
    cf = tmp_path / "main.cf"
    cf.write_text(f"mail_directory = {tmp_path}/mail\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
    done = subprocess.run([BINARY, "-c", cf, "config", "check"], capture_output=True, text=True, timeout=PATIENCE)
    return done.returncode, done.stderr


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "CRAM-MD5", "DIGEST-MD5", "NTLM"])
@pytest.mark.parametrize("backend", ["pam:x", "saslauthd:/x", "dovecot:/x", "ldap:{cf}"])
def test_T17_what_a_back_end_cannot_verify_is_refused_with_the_settings(tmp_path, backend, mechanism):
    """Also behind the directory: a program chooses the mechanism before it says whose user it is."""
    cf = tmp_path / "users.cf"
    cf.write_text("uris = ldap://127.0.0.1:1\nbase = dc=example\nauth_bind = yes\npass_filter = (mail=%u)\n")
    word = backend.format(cf=cf)
    for name in ("sasl_mechanisms", "smtpd_sasl_mechanism_list", "imap/auth_mechanisms"):
        status, said = checked(tmp_path, auth_backends=f"directory {word}", **{name: f"PLAIN {mechanism}"})
        assert status == 1 and name in said and f"users of {word} could not log in by {mechanism}" in said, said


def test_T17_what_is_not_known_before_users_come_is_warned_of(tmp_path):
    cf = tmp_path / "users.cf"
    cf.write_text("driver = sqlite\ndbpath = /nowhere\npassword_query = SELECT hash AS password FROM people WHERE name = '%Lu'\n")
    words = f"sasl_mechanisms: users of sql:{cf} can log in by SCRAM-SHA-256 where it stores {{SCRAM-SHA-256}}; who has another hash there cannot"
    assert words in checked(tmp_path, auth_backends=f"sql:{cf}", sasl_mechanisms="PLAIN SCRAM-SHA-256")[1]
    assert "SCRAM" not in checked(tmp_path, auth_backends=f"sql:{cf}")[1]


def test_no_password_is_hashed_for_scram():
    """What is stored is compared; the work is the client's.  The clerk's processor time tells: a password costs it a hash."""
    with test_roles.Village("jack") as v:
        pid = next(p["pid"] for p in v.status() if p["role"] == "clerk")

        def spent(login, times):
            def ticks():
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                return int(fields[11]) + int(fields[12])
            before = ticks()
            for _ in range(times):
                with Talk(v, "imap") as t:
                    assert t.good(login(t))
            return ticks() - before
        plain = spent(lambda t: t.auth("PLAIN", initial=f"\0jack@example.com\0{PASSWORD}")[0], 20)
        stored = spent(lambda t: scram(t, "SCRAM-SHA-256", "n"), 20)
        assert plain >= 10 and stored < plain / 4, (plain, stored)


def test_verifiers_are_in_step_with_the_password(tmp_path):
    """However a password came: by its account, by an import, by a login that made an old hash anew, or before there was SCRAM-SHA-1."""
    people = tmp_path / "people.csv"
    people.write_text("address,password\nivo@example.com,geheim\n")
    users = tmp_path / "users"
    users.write_text("old@example.com:" + subprocess.run(["doveadm", "pw", "-s", "SHA512-CRYPT", "-p", "geheim"], capture_output=True, text=True,
                     check=True).stdout.strip() + "::::::\n")
    both = ["SCRAM-SHA-256", "SCRAM-SHA-1"]

    def offered(v):
        with Talk(v, "imap") as t:
            return [m for m in t.mechanisms() if m.startswith("SCRAM")]

    def comes_in(v, user, mechanism, password="geheim"):
        return subprocess.run(["gsasl", "--imap", "--starttls", "--x509-ca-file=", "--connect", f"127.0.0.1:{v.ports['imap']}", "--no-cb", "-m", mechanism,
                               "-a", user, "-p", password], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE).returncode == 0
    with test_roles.Village("jack") as v:
        v.command("import-users", str(people))
        assert offered(v) == both
        v.command("import-users", str(users))
        wait_for(lambda: offered(v) == [])
        assert comes_in(v, "old@example.com", "PLAIN")
        wait_for(lambda: offered(v) == both)
        for mechanism in both:
            assert comes_in(v, "ivo@example.com", mechanism), mechanism
            assert comes_in(v, "old@example.com", mechanism), mechanism
            assert comes_in(v, "jack@example.com", mechanism, PASSWORD) and not comes_in(v, "jack@example.com", mechanism), mechanism
        v.stop()
        db = sqlite3.connect(v.directory / "mail/directory/directory.db")
        for trigger in ("set", "put", "gone", "new"):
            db.execute(f"DROP TRIGGER lacks_sha1_{trigger}")
        db.execute("DROP TABLE lacks_sha1")
        db.execute("DELETE FROM scram_sha1 WHERE account=(SELECT id FROM account WHERE local='jack')")
        db.commit()
        db.close()
        v.start()
        wait_for(lambda: offered(v) == ["SCRAM-SHA-256"])
        assert comes_in(v, "jack@example.com", "PLAIN", PASSWORD)
        wait_for(lambda: offered(v) == both)
        assert comes_in(v, "jack@example.com", "SCRAM-SHA-1", PASSWORD)


def test_scram_is_offered_as_long_as_everybody_can_log_in_by_it(tmp_path):
    """Accounts with imported hashes: until each has logged in once by PLAIN, programs that choose the best that is offered (gsasl, mutt) are offered
    what lets them in; then, and when such an account is shut or gone, SCRAM is offered again, without a reload and after a restart alike."""
    both = ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1"]
    users = tmp_path / "users"
    users.write_text("".join(f"{name}@example.com:" + subprocess.run(["doveadm", "pw", "-s", scheme, "-p", "geheim"], capture_output=True, text=True,
                             check=True).stdout.strip() + "::::::\n" for name, scheme in (("eva", "SHA512-CRYPT"), ("adam", "BLF-CRYPT"), ("kain", "SSHA"))))
    stored = tmp_path / "stored"
    stored.write_text("seth@example.com:" + subprocess.run(["doveadm", "pw", "-s", "SCRAM-SHA-256", "-p", "geheim"], capture_output=True, text=True,
                      check=True).stdout.strip() + "::::::\n")

    def offered(v, wanted):
        for service in SERVICES:
            def now(service=service):
                with Talk(v, service) as t:
                    return t.mechanisms() == wanted
            wait_for(now)

    def chosen(v, user, password="geheim"):
        """What gsasl takes by itself, and whether it comes in."""
        done = subprocess.run(["gsasl", "--imap", "--starttls", "--x509-ca-file=", "--connect", f"127.0.0.1:{v.ports['imap']}", "--no-cb", "-a", user,
                               "-p", password], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
        return re.search(r"AUTHENTICATE (\S+)", done.stdout + done.stderr).group(1), done.returncode == 0
    with test_roles.Village("jack") as v:
        offered(v, both)
        assert chosen(v, "jack@example.com", PASSWORD) == ("SCRAM-SHA-256", True)
        done = v.command("import-users", str(users))
        assert "3 of the accounts have hashes that SCRAM cannot be checked with" in done.stderr
        assert "till then SCRAM is offered to nobody (sasl_mechanisms = auto)" in done.stderr
        offered(v, ["PLAIN", "LOGIN"])
        assert chosen(v, "eva@example.com")[1] and chosen(v, "jack@example.com", PASSWORD)[1]
        offered(v, ["PLAIN", "LOGIN"])
        v.stop()
        v.start()
        offered(v, ["PLAIN", "LOGIN"])
        v.command("account", "set", "kain@example.com", "enabled", "no")
        assert chosen(v, "adam@example.com")[1]
        offered(v, both)
        assert chosen(v, "eva@example.com") == ("SCRAM-SHA-256", True), "the login before made what it is checked with"
        v.command("account", "set", "kain@example.com", "enabled", "yes")
        offered(v, ["PLAIN", "LOGIN"])
        v.command("account", "delete", "kain@example.com")
        offered(v, both)
        v.command("import-users", str(stored))
        offered(v, ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
        assert chosen(v, "seth@example.com") == ("SCRAM-SHA-256", True)
        v.stop()
        v.start()
        offered(v, ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
    # Who names mechanisms has these.
    with test_roles.Village("jack", sasl_mechanisms="PLAIN LOGIN SCRAM-SHA-256") as v:
        done = v.command("import-users", str(users))
        assert "programs that choose SCRAM are refused" in done.stderr
        offered(v, ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
        assert chosen(v, "eva@example.com") == ("SCRAM-SHA-256", False)
