# SPDX-License-Identifier: ISC
"""Who is asked whether a password is right: the directory, passwd-files, PAM.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_credentials.py
"""

import base64
import hashlib
import os
import pathlib
import re
import shutil
import signal
import smtplib
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import wait_for
from kit import word
from test_guard import imap_login, pop_login, submission_login
from test_roles import PASSWORD, Village, trusting
from test_sasl import Talk as SaslTalk

LATER = "[UNAVAILABLE]"
NO = "[AUTHENTICATIONFAILED]"
root = pytest.mark.skipif(os.geteuid() != 0, reason="PAM's modules and users of the operating system need root")


def pw(scheme, password="geheim"):
    """As Dovecot makes it."""
    return subprocess.run(["doveadm", "pw", "-s", scheme, "-p", password], capture_output=True, text=True,
                          check=True).stdout.strip()


def post(house, user, name, sender=None):
    """A letter to jack of somebody who logs in for it.  True: it is taken; else what was said, or that the connection broke."""
    sender = sender or (user if "@" in user else f"{user}@mail.example.com")
    try:
        with smtplib.SMTP_SSL("127.0.0.1", house.ports["submissions"], timeout=60, context=trusting()) as s:
            s.login(user, "geheim")
            s.sendmail(sender, ["jack@example.com"], f"From: {sender}\r\nSubject: {name}\r\n\r\nHello.\r\n")
        return True
    except smtplib.SMTPResponseException as e:
        return f"{e.smtp_code} {e.smtp_error.decode()}"
    except smtplib.SMTPRecipientsRefused as e:
        return str(*(f"{code} {text.decode()}" for code, text in e.recipients.values()))
    except (smtplib.SMTPException, OSError) as e:
        return repr(e)


def under_load(house, user, troubles):
    """Strangers and the user log in all the while, and the user sends letters; `troubles` is given `seen`, which waits for a new answer
    to a user.  A right password is never wrong, and a wrong one never right; no letter is lost, and each is taken in the end, for a
    program that sends tries again what was put off and returns what was refused.  A back end that hangs is given up after half a
    minute at most."""
    said, refused, over = [], [], threading.Event()
    sent, put_off = [], []

    def send(number):
        while not over.is_set():
            name = f"{number}-{len(sent)}-{word()}"
            while (answer := post(house, user, name)) is not True:
                put_off.append(answer)
                if answer.startswith("5"):
                    return
                over.wait(0.05)
            sent.append(name)

    def go_on(password, into):
        while not over.is_set():
            try:
                into.append(imap_login(house, password, user, patience=60))
            except OSError as e:
                into.append(repr(e))

    def seen(word):
        """Somebody who comes now is told so; and who is told to come later, by SMTP as by IMAP."""
        before, before_put_off = len(said), len(put_off)
        wait_for(lambda: any(one is True if word is True else word in str(one) for one in said[before:]), 90)
        if word == LATER:
            wait_for(lambda: any("454 4.7.0" in one for one in put_off[before_put_off:]), 90)
    threads = [threading.Thread(target=go_on, args=a) for a in [("geheim", said)] * 3 + [("falsch", refused)] * 2]
    threads += [threading.Thread(target=send, args=(n,)) for n in range(2)]
    for t in threads:
        t.start()
    try:
        seen(True)
        troubles(seen)
        seen(True)
    finally:
        over.set()
        for t in threads:
            t.join()
    assert all(one is True or LATER in one for one in said), {str(one) for one in said}
    assert refused and all(NO in str(one) or LATER in str(one) for one in refused), {str(one) for one in refused}
    assert not any(one.startswith("5") for one in put_off), put_off
    assert sent and any("454 4.7.0" in one for one in put_off), (len(sent), put_off)
    wait_for(lambda: set(sent) <= set(house.subjects()), 90)


@pytest.fixture
def users(tmp_path):
    """A passwd-file that a server without privileges of its own cannot open: the postmaster does."""
    path = tmp_path / "users"
    path.write_text("# people\n"
                    f"eva@elsewhere.example:{pw('SSHA512')}:::::: userdb_quota_rule=*:storage=20M:messages=7\n"
                    f"adam@elsewhere.example:{pw('ARGON2ID')}::::::\n"
                    f"bare:{pw('SHA512-CRYPT')}::::::\n"
                    f"home@elsewhere.example:{pw('BLF-CRYPT')}::::::allow_nets=192.0.2.0/24\n"
                    f"shut@elsewhere.example:{pw('PBKDF2')}::::::nologin\n"
                    "dear@elsewhere.example:{CRYPT}$2y$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW::::::\n")
    with open(path, "a") as f:
        f.write(f"scram@elsewhere.example:{pw('SCRAM-SHA-256')}::::::\nplain@elsewhere.example:{{PLAIN}}geheim::::::\n")
    path.chmod(0o600)
    return path


def village(**settings):
    return Village(**{"auth_failure_delay": "0", "auth_failure_network_limit": "0", "auth_failure_account_limit": "0", **settings})


def test_a_passwd_file_behind_the_directory(users):
    with village(auth_backends=f"directory passwd-file:{users}") as house:
        assert imap_login(house, PASSWORD) is True, "the directory is asked first"
        assert NO in imap_login(house, "wrong")
        assert imap_login(house, "geheim", "eva@elsewhere.example") is True
        assert imap_login(house, "geheim", "Adam@Elsewhere.Example") is True, "names have no case"
        assert imap_login(house, "geheim", "bare@mail.example.com") is True, "the origin's domain may be left out in the file"
        assert imap_login(house, "geheim", "bare") is True
        assert submission_login(house, "geheim", "eva@elsewhere.example") is True
        assert post(house, "eva@elsewhere.example", "own") is True, "her address is her own although its domain is not ours"
        assert post(house, "eva@elsewhere.example", "other", "seth@elsewhere.example").startswith("553 5.7.1 <seth@elsewhere.example>")
        assert pop_login(house, "geheim", "eva@elsewhere.example") is True
        assert NO in imap_login(house, "Geheim", "eva@elsewhere.example")
        assert NO in imap_login(house, "geheim", "nobody@elsewhere.example")
        assert "535 5.7.8" in submission_login(house, "geheim", "nobody@elsewhere.example")
        assert imap_login(house, "geheim", "home@elsewhere.example") is not True, "allow_nets"
        assert imap_login(house, "geheim", "shut@elsewhere.example") is not True, "nologin"
        assert NO in imap_login(house, "geheim", "dear@elsewhere.example"), "a hash nobody can afford lets nobody in"
        assert house.count("its cost is more than may be spent on one login") == 1
        quota = house.command("quota", "get", "eva@elsewhere.example").stdout
        assert "20" in quota and "7" in quota, quota


def test_a_passwd_file_is_read_anew_and_a_broken_one_is_not(users):
    with village(auth_backends=f"directory passwd-file:{users}") as house:
        good = users.read_text()
        new = users.with_suffix(".new")
        new.write_text(good + f"late@elsewhere.example:{pw('SHA256')}\n")
        new.replace(users)
        wait_for(lambda: imap_login(house, "geheim", "late@elsewhere.example") is True)
        users.write_text("a line that is none\n")
        wait_for(lambda: house.count("the last good one stays") > 0)
        assert house.count(f"{users}:1: write user:") > 0
        assert imap_login(house, "geheim", "eva@elsewhere.example") is True
        users.write_text(good)
        wait_for(lambda: imap_login(house, "geheim", "late@elsewhere.example") is not True)


def test_a_file_that_is_not_there_is_no_no(tmp_path):
    with village(auth_backends=f"directory passwd-file:{tmp_path}/missing") as house:
        assert imap_login(house, PASSWORD) is True
        assert LATER in imap_login(house, "x", "eva@elsewhere.example")
        assert "454 4.7.0" in submission_login(house, "x", "eva@elsewhere.example")


def test_names_as_they_are_meant(users):
    with village(auth_backends=f"directory passwd-file:{users}", auth_username_format="%Ln",
                 auth_username_translation="#@", auth_username_chars="abcdefghijklmnopqrstuvwxyz@.ABCDE") as house:
        assert imap_login(house, "geheim", "BARE@anywhere.example".replace("R", "r")) is True
        assert imap_login(house, "geheim", "bare#anywhere") is True
        assert NO in imap_login(house, "geheim", "b1re")


def test_wrong_words_are_refused_in_words(tmp_path):
    with village() as house:
        for words in ("auth_backends = shadow", "auth_backends = sql:relative.cf", "auth_username_format = %x", "auth_username_format = x"):
            bad = tmp_path / "main.cf"
            bad.write_text(house.config.read_text() + words + "\n")
            said = subprocess.run([os.environ["MANSIO"], "-c", bad, "config", "check"], capture_output=True, text=True)
            assert said.returncode == 1 and words.split()[0] in said.stdout + said.stderr, words


def test_files_are_checked_with_the_settings(tmp_path, users):
    sql, broken = tmp_path / "sql.cf", tmp_path / "broken"
    sql.write_text("driver = sqlite\ndbpath = /x\npassword_query = SELECT hash FROM people WHERE name = %u\n")
    broken.write_text("eva:x\nno line\n")
    with village() as house:
        for word, said in ((f"sql:{sql}", f"{sql}:3: password_query: an expansion stands outside of quotes"),
                           (f"passwd-file:{broken}", f"{broken}:2: write user:"),
                           (f"ldap:{sql}", "is not a setting"), (f"passwd-file:{users}", None),
                           (f"passwd-file:{tmp_path}/missing", "No such file")):
            bad = tmp_path / "main.cf"
            bad.write_text(house.config.read_text() + f"auth_backends = {word}\n")
            done = subprocess.run([os.environ["MANSIO"], "-c", bad, "config", "check"], capture_output=True, text=True)
            assert (done.returncode == 0) == (said is None), done.stderr + done.stdout
            assert said is None or said in done.stdout + done.stderr, done.stdout + done.stderr
            line = len(bad.read_text().splitlines())
            assert said is None or f"{bad}:{line}: auth_backends = {word}: this back end cannot be used" in done.stdout + done.stderr


def test_hashes_nobody_can_log_in_by_are_told_with_their_line(tmp_path):
    """The others of the file log in: it is a warning."""
    file, ldap = tmp_path / "users", tmp_path / "ldap.cf"
    file.write_text("eva:{PLAIN}x\nadam:{SHA513}x\nkain:{SSHA}!!!\nabel:{SHA256}AAAA\nseth:{SHA512-CRYPT}nothing\nlocked:*\nset:{SHA}"
                    + base64.b64encode(bytes(20)).decode() + "\n")
    ldap.write_text("hosts = 127.0.0.1\nbase = dc=example\nauth_bind = yes\npass_filter = (uid=%u)\n")
    with village() as house:
        bad = tmp_path / "main.cf"
        bad.write_text(house.config.read_text() + f"auth_backends = directory passwd-file:{file} ldap:{ldap}\n")
        done = subprocess.run([os.environ["MANSIO"], "-c", bad, "config", "check"], capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert f"{file}:2: adam cannot log in: there is no scheme" in said and f"{file}:3: kain cannot log in" in said
    assert f"{file}:4: abel cannot log in: what is stored is shorter" in said and f"{file}:5: seth cannot log in" in said
    assert said.count("cannot log in") == 4, said
    assert f"{ldap}: auth_bind = yes: the server compares and tells no password" in said


class Unix:
    """A user of the operating system and a service of PAM, made for one test."""

    def __init__(self):
        self.name, self.service = "m" + word()[:8].lower(), "mansio" + word()[:8].lower()
        self.file = pathlib.Path("/etc/pam.d") / self.service
        subprocess.run(["useradd", "-m", "-s", "/bin/sh", self.name], check=True, capture_output=True)
        subprocess.run(["chpasswd"], input=f"{self.name}:geheim\n", text=True, check=True, capture_output=True)
        self.write("auth required pam_unix.so nodelay", "account required pam_nologin.so", "account required pam_unix.so",
                   "session required pam_permit.so")

    def write(self, *lines):
        self.file.write_text("\n".join(lines) + "\n")

    def remove(self):
        self.file.unlink(missing_ok=True)
        subprocess.run(["userdel", "-r", self.name], capture_output=True)


@pytest.fixture
def unix():
    u = Unix()
    yield u
    u.remove()


@root
def test_users_of_the_operating_system(unix):
    """R260, R261: PAM, and the account phase."""
    with village(auth_backends=f"directory pam:{unix.service}") as house:
        assert imap_login(house, "geheim", unix.name) is True
        assert submission_login(house, "geheim", unix.name) is True
        assert imap_login(house, PASSWORD) is True
        assert NO in imap_login(house, "wrong", unix.name)
        assert NO in imap_login(house, "geheim", "m" + word()), "no such user"
        subprocess.run(["usermod", "-L", unix.name], check=True)
        assert imap_login(house, "geheim", unix.name) is not True, "locked"
        subprocess.run(["usermod", "-U", unix.name], check=True)
        assert imap_login(house, "geheim", unix.name) is True
        subprocess.run(["chage", "-E", "2001-01-01", unix.name], check=True)
        assert imap_login(house, "geheim", unix.name) is not True, "expired"
        assert house.count("account is expired") > 0
        subprocess.run(["chage", "-E", "-1", unix.name], check=True)
        assert imap_login(house, "geheim", unix.name) is True


@root
def test_pam_comes_and_goes_by_a_reload(unix):
    with village(auth_backends="directory") as house:
        def processes():
            return [p["role"] for p in house.status() if p["role"] == "pam"]

        def reload(backends):
            house.write_settings(auth_backends=backends)
            done = house.command("reload")
            assert "next start" not in done.stdout + done.stderr
        assert processes() == [] and NO in imap_login(house, "geheim", unix.name)
        for _ in range(2):
            reload(f"directory pam:{unix.service}")
            wait_for(lambda: imap_login(house, "geheim", unix.name) is True)
            assert submission_login(house, "geheim", unix.name) is True
            assert NO in imap_login(house, "falsch", unix.name)
            assert imap_login(house, PASSWORD) is True and processes() == ["pam"]
            reload("directory")
            assert NO in imap_login(house, "geheim", unix.name)
            assert imap_login(house, PASSWORD) is True
            wait_for(lambda: processes() == [])


@root
def test_pam_that_fails_is_never_a_no(unix):
    """The module is missing, the check hangs, the role is killed."""
    with village(auth_backends=f"directory pam:{unix.service}", auth_pam_timeout="2s") as house:
        unix.write("auth required pam_there_is_no_such.so", "account required pam_permit.so")
        said = imap_login(house, "geheim", unix.name)
        assert LATER in said, said
        unix.write("auth required pam_exec.so quiet /bin/sleep 60", "account required pam_permit.so")
        assert LATER in imap_login(house, "geheim", unix.name)
        assert house.count("takes longer than auth_pam_timeout") == 1
        unix.write("auth required pam_unix.so nodelay", "account required pam_unix.so")
        wait_for(lambda: imap_login(house, "geheim", unix.name) is True)           # two seconds may be too short for a busy machine
        said = []
        threads = [threading.Thread(target=lambda: said.append(imap_login(house, "geheim", unix.name))) for _ in range(6)]
        pid = next(p["pid"] for p in house.status() if p["role"] == "pam")
        for t in threads:
            t.start()
        os.kill(pid, signal.SIGKILL)
        for t in threads:
            t.join()
        assert all(one is True or LATER in one for one in said), said
        wait_for(lambda: imap_login(house, "geheim", unix.name) is True)


@root
def test_pam_under_load(unix):
    """It is slow, hangs, its role is killed: users are told later, and come in again when it is over."""
    with village(auth_backends=f"directory pam:{unix.service}", auth_pam_timeout="2s") as house:
        def troubles(seen):
            good = unix.file.read_text()
            unix.write("auth optional pam_exec.so quiet /bin/sleep 0.2", good)
            for _ in range(3):
                seen(True)
            house.back("pam", house.kill("pam"))
            seen(True)
            unix.write("auth required pam_exec.so quiet /bin/sleep 60", "account required pam_permit.so")
            seen(LATER)
            unix.write(good)
        under_load(house, unix.name, troubles)


@root
def test_a_check_that_takes_too_long_leaves_nothing_behind(unix, tmp_path):
    """pam_exec gives its program a session of its own."""
    note, script = tmp_path / "pid", tmp_path / "module"
    script.write_text(f"#!/bin/sh\nsleep 600 &\necho $$ $! > {note}.new; mv {note}.new {note}\nwait\n")
    script.chmod(0o755)
    unix.write(f"auth required pam_exec.so quiet {script}", "account required pam_permit.so")
    with village(auth_backends=f"directory pam:{unix.service}", auth_pam_timeout="1s") as house:
        assert LATER in imap_login(house, "geheim", unix.name)
        pids = wait_for(lambda: note.exists() and note.read_text().split())
        wait_for(lambda: not any(pathlib.Path("/proc", pid).exists() for pid in pids))
        assert imap_login(house, PASSWORD) is True


@root
@pytest.mark.parametrize("name", ["../root", "-o", "a:b", "ro ot", "ro\tot", ".."])
def test_names_that_modules_would_make_paths_and_words_of_never_reach_them(unix, tmp_path, name):
    asked = tmp_path / "asked"
    script = tmp_path / "module"
    script.write_text(f"#!/bin/sh\necho \"$PAM_USER\" >> {asked}\n")
    script.chmod(0o755)
    unix.write(f"auth required pam_exec.so quiet {script}", "auth required pam_deny.so", "account required pam_permit.so")
    with village(auth_backends=f"directory pam:{unix.service}") as house:
        assert submission_login(house, "geheim", name).startswith("535 5.7.8")
        assert not asked.exists()
        assert submission_login(house, "geheim", unix.name).startswith("535 5.7.8")
        assert set(asked.read_text().split()) == {unix.name}


def test_an_old_hash_is_made_anew_by_the_next_login():
    with village() as house:
        house.command("account", "add", "old@example.com", "--password-file", "-", input="other\n")
        house.stop()
        db = sqlite3.connect(house.directory / "mail/directory/directory.db")
        db.execute("UPDATE account SET hash=?, scram_iterations=0 WHERE local='old'", [pw("SHA512-CRYPT")])
        db.commit()
        db.close()
        house.start()
        assert NO in imap_login(house, "falsch", "old@example.com")
        assert house.count("is new now") == 0
        assert imap_login(house, "geheim", "old@example.com") is True
        assert house.count("the hash of old@example.com was of an older kind and is new now") == 1
        assert imap_login(house, "geheim", "old@example.com") is True
        assert house.count("is new now") == 1
        assert not scram(house, "old@example.com", "falsch")
        assert scram(house, "old@example.com", "geheim"), "what SCRAM wants is kept with it"


def scram(house, user, password, mechanism="SCRAM-SHA-256"):
    done = subprocess.run(["gsasl", "--imap", "--mechanism", mechanism, "--no-cb", "-a", user, "-p", password,
                           "--x509-ca-file=", "--no-starttls", "127.0.0.1", str(house.ports["imap"])],
                          input="", capture_output=True, text=True, timeout=60)
    # It ends with 0, too, where the mechanism is not offered at all.
    return done.returncode == 0 and "Cannot find mechanism" not in done.stdout + done.stderr


# As crypt(3) makes them, and so in many an /etc/shadow.
SALTS = {"yescrypt": "$y$j9T$abcdefghij01$", "gost": "$gy$j9T$abcdefghij01$", "scrypt": "$7$CU..../....abcdefghij01$", "bcrypta": "$2a$05$abcdefghijklmnopqrstuu",
         "bcryptb": "$2b$05$abcdefghijklmnopqrstuu", "sha512": "$6$abcdefgh$", "sha256": "$5$abcdefgh$", "md5": "$1$abcdefgh$", "des": "ab",
         "sunmd5": "$md5,rounds=904$abcdefgh$", "bsdi": "_J9..abcd", "sha1": "$sha1$1000$abcdefgh$", "nt": "$3$$"}


def crypted(salt):
    program = "import sys, warnings; warnings.simplefilter('ignore'); import crypt; print(crypt.crypt('geheim', sys.argv[1]))"
    return subprocess.run([sys.executable, "-c", program, salt], capture_output=True, text=True, check=True).stdout.strip()


def test_imported_people_log_in_with_the_passwords_they_had(tmp_path):
    """Of a passwd-file, a table and an /etc/shadow, in every scheme that Dovecot or crypt(3) makes; and by SCRAM from then on."""
    schemes = [s for s in subprocess.run(["doveadm", "pw", "-l"], capture_output=True, text=True, check=True).stdout.split()
               if s not in ("OTP", "PLAIN-TRUNC", "PLAIN-MD4", "DIGEST-MD5")]
    hashes = {s: pw(s) for s in schemes}
    (tmp_path / "users").write_text("".join(f"p-{s}@example.com:{h}::::::\n" for s, h in hashes.items()))
    (tmp_path / "users.csv").write_text("address,hash\n" + "".join(f'c-{s}@example.com,"{h}"\n' for s, h in hashes.items()))
    (tmp_path / "shadow").write_text("root:*:19000:0:99999:7:::\n" + "".join(f"s-{name}:{crypted(salt)}:19000:0:99999:7:::\n" for name, salt in SALTS.items()))
    people = [f"{kind}-{s}@example.com" for kind in "pc" for s in schemes] + [f"s-{name}@example.com" for name in SALTS]
    with village() as house:
        house.command("import-users", tmp_path / "users")
        house.command("import-users", tmp_path / "users.csv")
        done = house.command("import-users", tmp_path / "shadow", "--domain", "example.com", "--skip")
        assert "shadow:1: nobody could log in with this password: root@example.com" in done.stderr
        for user in people:
            assert NO in imap_login(house, "falsch", user), user
            assert imap_login(house, "geheim", user) is True, user
            assert submission_login(house, "geheim", user) is True, user
        wait_for(lambda: scram(house, people[0], "geheim"))
        assert [user for user in people if not scram(house, user, "geheim")] == [] and not scram(house, people[0], "falsch")


def test_what_was_cut_off_is_no_password(tmp_path):
    """A hash with commas that stands in a table without quotes, a line of a passwd-file that ends too soon."""
    (tmp_path / "users.csv").write_text(f"address,hash\neva@example.com,{pw('ARGON2ID')}\nadam@example.com,\"{pw('ARGON2ID')}\",,\n")
    (tmp_path / "people.csv").write_text("address,password\neva@example.com,ge,heim\n")
    (tmp_path / "users").write_text("".join(f"{s}@example.com:{pw(s).rpartition(end)[0]}\n" for s, end in (("ARGON2ID", ",t="), ("SCRAM-SHA-256", ","), ("PBKDF2", "$"))))
    with village() as house:
        for file in ("users.csv", "people.csv"):
            done = house.command("import-users", tmp_path / file, check=False)
            assert done.returncode == 1 and f"{file}:2: more values than columns; what has a comma in it stands in quotes: eva@example.com" in done.stderr
        done = house.command("import-users", tmp_path / "users", check=False)
        for line, words in ((1, "right is $argon2id$"), (2, "right is rounds,salt,stored key,server key"), (3, "right is $1$salt$rounds$hash")):
            assert re.search(rf"users:{line}: nobody could log in with this password: .*{re.escape(words)}", done.stderr), done.stderr
        assert house.command("import-users", tmp_path / "users.csv", "--skip").stdout.startswith("imported: 1 accounts")
        assert imap_login(house, "geheim", "adam@example.com") is True


def test_a_hash_in_the_column_password_is_no_password(tmp_path):
    """As other programs export them, with and without the scheme; what only begins like one is a password."""
    hashes = [pw("SHA512-CRYPT"), pw("SHA512-CRYPT").partition("}")[2], pw("BLF-CRYPT").partition("}")[2], pw("SSHA256.HEX"), "{PLAIN}geheim"]
    rows = [f'u{n}@example.com,"{h}"\n' for n, h in enumerate(hashes)]
    (tmp_path / "users.csv").write_text("address,password\n" + "".join(rows))
    (tmp_path / "right.csv").write_text("address,hash\n" + "".join(rows))
    (tmp_path / "odd.csv").write_text("address,password\nodd@example.com,{geheim}\neven@example.com,$geheim$\n")
    with village() as house:
        done = house.command("import-users", tmp_path / "users.csv", check=False)
        assert done.returncode == 1 and done.stdout.startswith("nothing imported"), done
        for n, stored in enumerate(hashes):
            assert f"users.csv:{n + 2}: in the column password stands a hash; name the column hash, or say --literal" in done.stderr, done.stderr
            assert stored not in done.stderr
        house.command("import-users", tmp_path / "odd.csv")
        assert imap_login(house, "{geheim}", "odd@example.com") is True
        assert imap_login(house, "$geheim$", "even@example.com") is True
        house.command("import-users", tmp_path / "right.csv")
        assert [imap_login(house, "geheim", f"u{n}@example.com") for n in range(len(hashes))] == [True] * len(hashes)
        (tmp_path / "users.csv").write_text("address,password\nlit@example.com,$6$geheim\n")
        house.command("import-users", tmp_path / "users.csv", "--literal")
        assert imap_login(house, "$6$geheim", "lit@example.com") is True


def test_a_command_tries_a_login(users):
    with village(auth_backends=f"directory passwd-file:{users}", auth_failure_delay="2s") as house:
        def tried(user, password):
            return house.command("auth", "test", user, "--password-file", "-", input=password + "\n", check=False)
        assert tried("jack@example.com", PASSWORD).stdout == "jack@example.com\n"
        assert tried("EVA@elsewhere.example", "geheim").stdout == "eva@elsewhere.example\n"
        assert tried("eva@elsewhere.example", "falsch").returncode == 1
        assert tried("nobody@elsewhere.example", "x").returncode == 1
        assert "nologin" in tried("shut@elsewhere.example", "geheim").stderr
        said = house.command("doveadm", "auth", "test", "eva@elsewhere.example", "geheim").stdout
        assert "passdb: eva@elsewhere.example auth succeeded" in said
        for rip, status in (("192.0.2.7", 0), ("198.51.100.7", 77), ("2001:db8::1", 77)):
            said = house.command("doveadm", "auth", "test", "-x", "service=imap", "-x", f"rip={rip}", "home@elsewhere.example", "geheim", check=False)
            assert said.returncode == status, (rip, said.stdout + said.stderr)
        assert not house.command("auth", "failures").stdout.count("elsewhere"), "nobody is counted by it"


def test_who_there_is_cannot_be_told_while_a_back_end_is_away(users):
    """Whom the directory or a file knows, and whom nobody does, are answered the same by IMAP and SMTP."""
    wrong = [("jack@example.com", "falsch"), ("nobody@example.com", "falsch"), ("eva@elsewhere.example", "falsch"), ("nobody@elsewhere.example", "falsch")]
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(users.parent / "mute"))
        mute.listen(100)
        (users.parent / "mute").chmod(0o666)
        users.parent.chmod(0o755)
        for away in (f"saslauthd:{users.parent}/none", f"dovecot:{users.parent}/none", f"saslauthd:{users.parent}/mute", f"dovecot:{users.parent}/mute"):
            with village(auth_backends=f"directory passwd-file:{users} {away}", auth_service_timeout="1s") as house:
                assert imap_login(house, PASSWORD) is True, "who is known is let in all the same"
                assert imap_login(house, "geheim", "eva@elsewhere.example") is True
                for user, password in wrong:
                    assert LATER in imap_login(house, password, user), (away, user)
                    assert submission_login(house, password, user).startswith("454 4.7.0"), (away, user)


def test_nor_by_a_mechanism_that_shows_no_password(users):
    """SCRAM and CRAM-MD5, of users of the directory and of nobody's, while a database or a file is away; and both are wrong when all are there."""
    cf = users.parent / "dead.cf"
    cf.write_text(f"driver = sqlite\ndbpath = {users.parent}/none.db\npassword_query = SELECT name AS user, hash AS password FROM people WHERE name = '%Lu'\n")
    users.parent.chmod(0o755)

    def said(house, user, mechanism, password):
        done = subprocess.run(["gsasl", "--imap", "--mechanism", mechanism, "--no-cb", "-a", user, "-p", password, "--x509-ca-file=", "--no-starttls",
                               "127.0.0.1", str(house.ports["imap"])], input="", capture_output=True, text=True, timeout=60)
        return True if done.returncode == 0 else next((word for word in (LATER, NO) if word in done.stdout), done.stdout)
    for away, answer in ((f"sql:{cf}", LATER), (f"passwd-file:{users}.none", LATER), (f"passwd-file:{users}", NO)):
        with village(auth_backends=f"directory {away}", sasl_mechanisms="PLAIN SCRAM-SHA-256 CRAM-MD5", disable_plaintext_auth="no") as house:
            assert said(house, "jack@example.com", "SCRAM-SHA-256", PASSWORD) is True
            for mechanism in ("SCRAM-SHA-256", "CRAM-MD5", "PLAIN"):
                for user in ("jack@example.com", "nobody@example.com", "nobody@elsewhere.example"):
                    assert said(house, user, mechanism, "falsch") == answer, (away, mechanism, user)


def test_the_first_of_several_does_not_say_who_it_knows(users):
    """saslauthd and Dovecot refuse a stranger as they refuse a wrong password: the next is asked."""
    with Refusing(users.parent / "mux") as mux, village(auth_backends=f"saslauthd:{mux.path} passwd-file:{users} directory") as house:
        users.parent.chmod(0o755)
        assert imap_login(house, PASSWORD) is True
        assert imap_login(house, "geheim", "eva@elsewhere.example") is True
        assert NO in imap_login(house, "falsch") and NO in imap_login(house, "falsch", "nobody@example.com")
        assert submission_login(house, "falsch").startswith("535 5.7.8")
        assert mux.asked


class Refusing:
    """A saslauthd that knows nobody."""

    def __init__(self, path):
        self.path, self.asked = path, 0
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        path.chmod(0o666)
        self.socket.listen(100)

    def serve(self):
        while True:
            try:
                one, _ = self.socket.accept()
            except OSError:
                return
            with one:
                one.recv(4096)
                self.asked += 1
                one.sendall(b"\0\x02NO")

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


def test_a_back_end_of_one_domain(users):
    with village(auth_backends=f"directory elsewhere.example=passwd-file:{users} mail.example.com=passwd-file:{users}.none") as house:
        assert imap_login(house, "geheim", "eva@elsewhere.example") is True
        assert LATER in imap_login(house, "geheim", "bare@mail.example.com"), "its own file is not there"
        assert NO in imap_login(house, "geheim", "bare@other.example"), "nobody is asked for that domain"


@root
def test_what_was_right_is_believed_for_a_while(unix):
    with village(auth_backends=f"directory pam:{unix.service}", auth_cache_time="1h") as house:
        assert imap_login(house, "geheim", unix.name) is True
        unix.write("auth required pam_deny.so", "account required pam_permit.so")
        assert imap_login(house, "geheim", unix.name) is True, "PAM is not asked again"
        assert imap_login(house, "falsch", unix.name) is not True
        house.command("reload")
        assert imap_login(house, "geheim", unix.name) is not True, "new settings forget it"


def test_scram_and_cram_by_a_passwd_file(users):
    with village(auth_backends=f"directory passwd-file:{users}",
                 sasl_mechanisms="PLAIN LOGIN SCRAM-SHA-256 CRAM-MD5") as house:
        assert scram(house, "scram@elsewhere.example", "geheim")
        assert not scram(house, "scram@elsewhere.example", "falsch")
        assert not scram(house, "eva@elsewhere.example", "geheim"), "a hash of another kind is no verifier"
        assert not scram(house, "nobody@elsewhere.example", "geheim")
        assert imap_login(house, "geheim", "scram@elsewhere.example") is True, "the same line, by a password"
        assert scram(house, "plain@elsewhere.example", "geheim", "CRAM-MD5")
        assert not scram(house, "plain@elsewhere.example", "falsch", "CRAM-MD5")
        assert not scram(house, "scram@elsewhere.example", "geheim", "CRAM-MD5")


def made(scheme, user, password="geheim"):
    """As `doveadm pw` makes it, for a user where the scheme wants one."""
    return subprocess.run(["doveadm", "pw", "-s", scheme, "-u", user, "-p", password], capture_output=True, text=True, check=True).stdout.strip()


def test_what_doveadm_makes_for_cram_md5_and_digest_md5(tmp_path):
    """Stored {CRAM-MD5} and {DIGEST-MD5} serve their own mechanism and plain passwords, and no other."""
    users = tmp_path / "users"
    users.write_text(f"cram@elsewhere.example:{made('CRAM-MD5', 'cram@elsewhere.example')}::::::\n"
                     f"hmac@elsewhere.example:{made('HMAC-MD5', 'hmac@elsewhere.example')}::::::\n"
                     f"digest@elsewhere.example:{made('DIGEST-MD5', 'digest@elsewhere.example')}::::::\n")
    with village(auth_backends=f"directory passwd-file:{users}", sasl_mechanisms="PLAIN CRAM-MD5 DIGEST-MD5") as house:
        for user in ("cram", "hmac"):
            assert scram(house, f"{user}@elsewhere.example", "geheim", "CRAM-MD5"), user
            assert not scram(house, f"{user}@elsewhere.example", "falsch", "CRAM-MD5")
            assert not scram(house, f"{user}@elsewhere.example", "geheim", "DIGEST-MD5"), "it is of the other"
            assert imap_login(house, "geheim", f"{user}@elsewhere.example") is True
            assert NO in imap_login(house, "falsch", f"{user}@elsewhere.example")
        assert imap_login(house, "geheim", "digest@elsewhere.example") is True
        assert not scram(house, "digest@elsewhere.example", "geheim", "CRAM-MD5")
        assert digest_login(house, "digest", "elsewhere.example", "geheim")
        assert not digest_login(house, "digest", "elsewhere.example", "falsch")
        assert not digest_login(house, "nobody", "elsewhere.example", "geheim")
    for name in ("auth_default_realm", "smtpd_sasl_local_domain"):
        with village(auth_backends=f"directory passwd-file:{users}", sasl_mechanisms="PLAIN DIGEST-MD5", **{name: "elsewhere.example"}) as house:
            assert scram(house, "digest", "geheim", "DIGEST-MD5"), "the realm that is offered is that of who names none"
            assert not scram(house, "digest", "falsch", "DIGEST-MD5")


def digest_login(house, user, realm, password):
    """rfc2831:2.1.2 by hand: the client says of which realm it is."""
    def answer(challenge):
        nonce = re.search(rb'nonce="([^"]+)"', challenge).group(1).decode()
        uri, cnonce = "imap/mail.example.com", "0123456789abcdef"
        first = hashlib.md5(f"{user}:{realm}:{password}".encode()).digest() + f":{nonce}:{cnonce}".encode()
        second = f"AUTHENTICATE:{uri}".encode()
        text = f"{hashlib.md5(first).hexdigest()}:{nonce}:00000001:{cnonce}:auth:{hashlib.md5(second).hexdigest()}"
        return (f'charset=utf-8,username="{user}",realm="{realm}",nonce="{nonce}",nc=00000001,cnonce="{cnonce}",digest-uri="{uri}",'
                f"response={hashlib.md5(text.encode()).hexdigest()},qop=auth")
    with SaslTalk(house, "imap") as t:
        return t.good(t.auth("DIGEST-MD5", answer)[0])


def test_a_master_user_logs_in_as_anybody_and_is_told_of(tmp_path):
    """user*master and the master's password, as Dovecot has it; off unless two settings say so."""
    def login(house, password, user):
        return imap_login(house, password, f'"{user}"')         # * is no letter of an atom
    masters = tmp_path / "masters"
    masters.write_text(f"admin:{pw('SSHA512', 'haupt')}::::::\nfar:{pw('SSHA512', 'haupt')}::::::allow_nets=192.0.2.0/24\n")
    masters.chmod(0o600)
    with village() as house:
        assert NO in login(house, "haupt", "jack@example.com*admin"), "off by default"
    with village(auth_master_user_separator="*", auth_master_passwd_file=masters) as house:
        assert login(house, "haupt", "jack@example.com*admin") is True
        assert login(house, "haupt", "jack@example.com*ADMIN") is True
        assert imap_login(house, PASSWORD) is True, "with a password of one's own as before"
        for user, password in (("jack@example.com*admin", PASSWORD), ("jack@example.com*admin", "falsch"), ("jack@example.com*nobody", "haupt"),
                               ("nobody@example.com*admin", "haupt"), ("jack@example.com*far", "haupt"), ("admin", "haupt"),
                               ("*admin", "haupt"), ("jack@example.com*", "haupt"), ("jack@example.com*jack@example.com", PASSWORD)):
            assert NO in login(house, password, user), user
        assert not scram(house, "jack@example.com*admin", "haupt"), "he shows his password or is nobody"
        assert house.count("auth: master user <admin> as user=<jack@example.com> by imap") == 2
        assert pop_login(house, "haupt", "jack@example.com*admin") is True
        # He submits as that user, whose addresses are the ones he may send as.
        assert submission_login(house, "haupt", "jack@example.com*admin") is True
        assert submission_login(house, PASSWORD, "jack@example.com*admin").startswith("535 5.7.8")
        assert submission_login(house, "haupt", "nobody@example.com*admin").startswith("535 5.7.8")
        with smtplib.SMTP_SSL("127.0.0.1", house.ports["submissions"], timeout=60, context=trusting()) as s:
            s.login("jack@example.com*admin", "haupt")
            assert s.mail("jack@example.com")[0] == 250 and s.rcpt("jack@example.com")[0] == 250
            s.rset()
            assert s.mail("jill@example.com")[0] == 250
            code, words = s.rcpt("jack@example.com")
            assert code == 553 and b"not owned by user jack@example.com" in words
        assert house.count("auth: master user <admin> as user=<jack@example.com> by submission") == 2
        house.command("account", "suspend", "jack@example.com")
        assert login(house, "haupt", "jack@example.com*admin") is not True
        house.command("account", "resume", "jack@example.com")
        masters.write_text("")
        house.command("reload")
        wait_for(lambda: NO in str(login(house, "haupt", "jack@example.com*admin")))


@pytest.mark.parametrize("settings, words", [
    ({"auth_master_user_separator": "*"}, "need both"),
    ({"auth_master_passwd_file": "/etc/passwd"}, "need both"),
    ({"auth_master_user_separator": "@", "auth_master_passwd_file": "/etc/passwd"}, "write one of *"),
    ({"auth_master_user_separator": "*", "auth_master_passwd_file": "masters"}, "absolute path"),
    ({"auth_master_user_separator": "*", "auth_master_passwd_file": "/nowhere/masters"}, "No such file"),
])
def test_settings_of_master_users_are_checked(tmp_path, settings, words):
    file = tmp_path / "main.cf"
    file.write_text("myhostname = mail.example.com\n" + "".join(f"{k} = {v}\n" for k, v in settings.items()))
    said = subprocess.run([os.environ["MANSIO"], "-c", str(file), "config", "check"], capture_output=True, text=True)
    assert said.returncode != 0 and words in said.stderr + said.stdout, said.stderr


def test_long_names_of_variables(tmp_path):
    """%{user} and its kin of Dovecot's settings, where %u may stand."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="mansio-names-"))       # pytest's directories are root's alone
    place.chmod(0o755)
    database, sql = place / "people.db", place / "sql.cf"
    with sqlite3.connect(database) as db:
        db.execute("CREATE TABLE people (name TEXT, domain TEXT, password TEXT)")
        db.execute("INSERT INTO people VALUES ('eva', 'elsewhere.example', '{PLAIN}geheim')")
    sql.write_text(f"driver = sqlite\ndbpath = {database}\n"
                   "password_query = SELECT password FROM people WHERE name = '%{username}' AND domain = '%L{domain}'\n")
    with village(auth_backends=f"directory sql:{sql}", auth_username_format="%{user|lower}") as house:
        assert imap_login(house, "geheim", "EVA@Elsewhere.example") is True
        assert NO in imap_login(house, "falsch", "eva@elsewhere.example")
    shutil.rmtree(place)
    for line, good in (("mail_home = /var/vmail/%{domain}/%{username}\nmail_location = maildir:%{home}/Maildir", True),
                       ("mail_location = maildir:/var/vmail/%{rip}", False), ("auth_username_format = %{rip}", False)):
        file = tmp_path / "main.cf"
        file.write_text(f"myhostname = mail.example.com\n{line}\n")
        said = subprocess.run([os.environ["MANSIO"], "-c", str(file), "config", "check"], capture_output=True, text=True)
        assert (said.returncode == 0) == good, said.stderr + said.stdout
