# SPDX-License-Identifier: ISC
"""`mansio setup`: from nothing to a server that takes and shows letters."""

import os
import pathlib
import pty
import smtplib
import ssl
import stat
import subprocess
import urllib.request
import imaplib

import pytest
from kit import BINARY, free_base, letter, wait_for, word


def setting_up(config, *words, **more):
    more.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([BINARY, "-c", str(config), "setup", "--without-system-accounts", *[str(w) for w in words]],
                          capture_output=True, text=True, timeout=60, **more)


@pytest.fixture
def secret(place):
    path = pathlib.Path(place, "secret")
    path.write_text("horse of the post\n")
    return path


def run(config, place):
    """The server of a setup, on ports of our own."""
    base = free_base()
    settings = [f"listen_{s}=127.0.0.1:{base + p}" for s, p in
                [("smtp", 25), ("submission", 587), ("submissions", 465), ("imap", 143), ("imaps", 993), ("pop3", 110),
                 ("pop3s", 995)]]
    settings += [f"autoconfig_http_listen=127.0.0.1:{base + 80}", f"autoconfig_https_listen=127.0.0.1:{base + 443}"]
    subprocess.run([BINARY, "-c", str(config), "config", "set", f"maillog_file={place}/log", *settings], check=True,
                   capture_output=True)
    server = subprocess.Popen([BINARY, "-c", str(config), "run"], stdin=subprocess.DEVNULL)
    log = pathlib.Path(place, "log")
    wait_for(lambda: log.exists() and "daemon started" in log.read_text())
    return server, base


def test_a_server_of_the_internet(place, secret):
    config = f"{place}/etc/main.cf"
    done = setting_up(config, "--model", "internet", "--hostname", "mail.post.example", "--domain", "post.example",
                 "--account", "eva", "--password-file", secret, "--mail-directory", f"{place}/mail")
    assert done.returncode == 0, done.stdout + done.stderr
    for line in ["eva@post.example", "MX   10 mail.post.example.", "v=spf1 mx -all", "mansio -c"]:
        assert line in done.stdout
    assert "0 of 24 probes were taken: this server does not relay" in done.stdout, "R194"
    assert sorted(os.listdir(f"{place}/etc")) == ["main.cf", "tls"] and not os.path.exists(f"{place}/mail/run/setup.sock")
    key = f"{place}/etc/tls/mail.post.example-key.pem"
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    assert subprocess.run([BINARY, "-c", config, "config", "check"], capture_output=True).returncode == 0
    server, base = run(config, place)
    try:
        subject = word()
        with smtplib.SMTP("127.0.0.1", base + 25, timeout=20) as s:
            s.send_message(letter(subject, to="eva@post.example"))
        trust = ssl.create_default_context(cafile=f"{place}/etc/tls/mail.post.example.pem")
        trust.check_hostname = False
        box = imaplib.IMAP4_SSL("127.0.0.1", base + 993, ssl_context=trust, timeout=20)
        box.login("eva@post.example", "horse of the post")
        box.select()
        wait_for(lambda: box.noop() and box.search(None, "SUBJECT", subject)[1][0])
        box.logout()
        ask = urllib.request.Request(f"http://127.0.0.1:{base + 80}/mail/config-v1.1.xml?emailaddress=eva%40post.example", headers={"Host": "autoconfig.post.example"})

        def told():
            try:
                with urllib.request.urlopen(ask, timeout=20) as r:
                    return r.read().decode()
            except OSError:             # the guide is still coming
                return None
        text = wait_for(told)
        assert text.count("<hostname>mail.post.example</hostname>") == 6 and f"<port>{base + 993}</port>" in text, "R369"
    finally:
        server.terminate()
        assert server.wait(60) == 0


@pytest.mark.parametrize("model,doors", [
    ("local", "127.0.0.1:25 [::1]:25"), ("satellite", "127.0.0.1:25 [::1]:25"), ("smarthost", "*:25"), ("internet", "*:25"),
])
def test_each_model_has_its_doors(place, secret, model, doors):
    config = f"{place}/main.cf"
    done = setting_up(config, "--model", model, "--hostname", "mail.post.example", "--domain", "post.example",
                 "--account", "eva", "--password-file", secret, "--mail-directory", f"{place}/mail")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 of 24 probes were taken" in done.stdout

    def show(name):
        return subprocess.run([BINARY, "-c", config, "config", "show", "-h", name], capture_output=True,
                              text=True).stdout.strip()
    assert show("listen_smtp") == doors
    assert (show("listen_imap") == "") == (model == "satellite")
    assert ("MX" in done.stdout) == (doors == "*:25")
    assert show("autoconfig") == ("yes" if doors == "*:25" else "no")
    assert ("autoconfig.post.example." in done.stdout) == (doors == "*:25")


@pytest.mark.parametrize("model", ["smarthost", "satellite"])
def test_letters_to_others_go_by_the_relayhost(place, secret, model):
    config = f"{place}/main.cf"
    words = ["--model", model, "--hostname", "mail.post.example", "--domain", "post.example", "--mail-directory", f"{place}/mail"]
    done = setting_up(config, *words)
    assert done.returncode == 0 and "relayhost" in done.stdout
    done = setting_up(config, *words, "--replace", "--relayhost", "[mail.provider.example]:587")
    assert done.returncode == 0, done.stderr
    text = pathlib.Path(config).read_text()
    assert "\nrelayhost = [mail.provider.example]:587\n" in text and "\nsmtp_tls_security_level = may\n" in text


def test_settings_that_are_there_stay_unless_said_otherwise(place, secret):
    config = pathlib.Path(place, "main.cf")
    config.write_text("# mine\n")
    words = ["--hostname", "mail.post.example", "--domain", "post.example", "--mail-directory", f"{place}/mail"]
    done = setting_up(config, *words)
    assert done.returncode == 1 and "--replace" in done.stderr
    assert config.read_text() == "# mine\n"
    done = setting_up(config, *words, "--replace")
    assert done.returncode == 0, done.stderr
    assert "main.cf.old" in done.stdout and pathlib.Path(place, "main.cf.old").read_text() == "# mine\n"
    assert "mail.post.example" in config.read_text()


@pytest.mark.parametrize("words,why", [
    (["--model", "empire"], "internet, smarthost, satellite or local"),
    (["--hostname", "mail"], "as mail.example.com"),
    (["--hostname", "mail.post.example", "--domain", "post_office"], "as example.com"),
    (["--hostname", "mail.post.example", "--mail-directory", "relative"], "absolute path"),
    (["--frob"], "does not know"),
    (["--password", "secret"], "no argument"),
    (["--hostname", "mail.post.example", "--certificate", "/nowhere"], "--key FILE together"),
])
def test_a_wrong_answer_is_refused_before_anything_is_made(place, words, why):
    done = setting_up(f"{place}/etc/main.cf", *words)
    assert done.returncode in (1, 2) and why in done.stderr, done.stderr
    assert os.listdir(place) == []


def test_a_person_is_asked(place):
    leader, follower = pty.openpty()
    child = subprocess.Popen([BINARY, "-c", f"{place}/main.cf", "setup", "--without-system-accounts", "--mail-directory",
                              f"{place}/mail"], stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
                             preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0))
    os.close(follower)
    seen = b""
    for question, answer in [(b"satellite or local", b"local"), (b"name of this machine", b"mail.post.example"),
                             (b"domain", b""), (b"first account", b"eva"), (b"Its password: ", b"a secret"),
                             (b"once more", b"a secret")]:
        while question not in seen or not seen.rstrip(b" ").endswith(b":"):
            seen += os.read(leader, 1024)
        seen = b""
        os.write(leader, answer + b"\n")
    said = b""
    try:
        while True:
            said += os.read(leader, 4096)
    except OSError:
        pass
    assert child.wait(30) == 0, said
    assert b"eva@post.example has an account" in said and b"a secret" not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="a service of PAM is written by root")
def test_people_of_the_operating_system_and_their_service_of_pam(place, secret):
    service, kept = "/etc/pam.d/mansio", None
    if os.path.exists(service):
        with open(service) as f:
            kept = f.read()
        os.unlink(service)
    try:
        words = ["--model", "local", "--hostname", "mail.post.example", "--domain", "post.example", "--mail-directory", f"{place}/mail",
                 "--system-users", "--replace"]
        done = setting_up(f"{place}/etc/main.cf", *words)
        assert done.returncode == 0 and f"wrote {service}" in done.stdout, done.stdout + done.stderr
        with open(service) as f:
            text = f.read()
        assert "account  required  pam_nologin.so" in text and "session  required  pam_permit.so" in text
        with open(f"{place}/etc/main.cf") as f:
            settings = f.read()
        assert "auth_backends = directory pam\n" in settings and "home_mailbox = Maildir/\n" in settings
        assert subprocess.run([BINARY, "-c", f"{place}/etc/main.cf", "config", "check"], capture_output=True).returncode == 0
        with open(service, "w") as f:
            f.write("# an administrator's\nauth required pam_deny.so\n")
        done = setting_up(f"{place}/etc/main.cf", *words)
        assert done.returncode == 0 and f"{service} is there already and stays as it is" in done.stdout
        with open(service) as f:
            assert f.read() == "# an administrator's\nauth required pam_deny.so\n"
    finally:
        os.unlink(service)
        if kept is not None:
            with open(service, "w") as f:
                f.write(kept)
