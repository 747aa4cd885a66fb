# SPDX-License-Identifier: ISC
"""Who gets a letter, who may send one, and the commands that say so."""

import base64
import json
import os
import pty
import subprocess
import time

import pytest
from house import unnamed
from kit import BINARY, letter, wait_for, word


def refused(demo, to, sender="stranger@example.org", service="smtp", user=None):
    """The reply to RCPT: code and text."""
    with demo.smtp(service, user) as s:
        s.ehlo()
        assert s.mail(sender)[0] == 250
        code, text = s.rcpt(to)
        return code, text.decode()


def add_account(demo, address, password="horse-post"):
    demo.command("account", "add", address, input=password + "\n")
    return password


# Letters

def test_an_unknown_user_is_refused(demo):
    code, text = refused(demo, "joe@example.com")
    assert code == 550 and text.startswith("5.1.1 <joe@example.com>")


def test_strangers_may_not_relay(demo):
    code, words = refused(demo, "eva@example.net")
    assert (code, unnamed(words)) == (554, "5.7.1 <eva@example.net>: Relay access denied")


def test_users_may_send_anywhere(demo):
    code, _ = refused(demo, "eva@example.net", "jack@example.com", "submission", "jack")
    assert code == 250


@pytest.mark.parametrize("to", ["postmaster", "postmaster@example.com", "PostMaster@Example.COM"])
def test_postmaster_is_always_there(demo, to):
    assert refused(demo, to)[0] == 250


def test_a_subaddress_leads_to_its_user(demo):
    subject = word()
    demo.send(letter(subject), to="jill+journey@example.com")
    raw = demo.find(subject).decode()
    assert "\nDelivered-To: jill+journey@example.com\r\n" in raw and "X-Original-To: jill+journey@example.com" in raw


def test_case_does_not_matter(demo):
    subject = word()
    demo.send(letter(subject), to="JILL@EXAMPLE.com")
    demo.find(subject)


def test_the_trace_of_a_letter(demo):
    subject = word()
    with demo.smtp("submission", "jack") as s:
        s.ehlo("horse.example.org")
        s.sendmail("jack@example.com", ["jill@example.com"], letter(subject).as_bytes())
    raw = demo.find(subject).decode()
    head = raw.replace("\r\n\t", " ").replace("\r\n ", " ").split("\r\n\r\n")[0].split("\r\n")
    assert head[0] == "Return-Path: <jack@example.com>"
    received = next(line for line in head if line.startswith("Received:"))
    assert "by mail.example.com" in received and "with ESMTPSA id " in received
    assert "TLSv1.3" in received and "127.0.0.1" in received
    # one recipient is named (rfc5321:4.4), and none of those who must not be seen
    assert "jill@example.com" in received


def test_several_recipients_get_one_letter_each_and_do_not_see_one_another(demo):
    subject = word()
    demo.send(letter(subject), to=["jill@example.com", "jsmith@example.com", "jill@example.com"])
    raw = demo.find(subject, "jsmith").decode()
    demo.find(subject)
    assert demo.count(subject, "jsmith") == 1
    assert "jill@" not in raw.split("To: jill@example.com")[0]


def test_an_alias_leads_to_its_targets(demo):
    subject, name = word(), f"{word()}@example.com"
    demo.command("alias", "add", name, "jill@example.com", "jack@example.com")
    demo.send(letter(subject), to=name)
    demo.find(subject)
    demo.find(subject, "jack")
    demo.command("alias", "delete", name, "jack@example.com")
    assert "jack" not in demo.command("alias", "show", name).stdout
    demo.command("alias", "set", name, "jsmith@example.com")
    again = word()
    demo.send(letter(again), to=name)
    demo.find(again, "jsmith")
    assert demo.count(again) == 0
    demo.command("alias", "delete", name)
    assert refused(demo, name)[0] == 550


def test_an_alias_of_an_alias_and_no_circle(demo):
    a, b, subject = f"{word()}@example.com", f"{word()}@example.com", word()
    demo.command("alias", "add", a, b, check=False)
    demo.command("alias", "add", b, "jill@example.com")
    done = demo.command("alias", "add", b, a, check=False)
    if done.returncode == 0:
        assert refused(demo, a)[0] == 250
    else:
        assert "circle" in done.stderr
        demo.send(letter(subject), to=a)
        demo.find(subject)
        assert demo.count(subject) == 1
    demo.command("alias", "delete", a)
    demo.command("alias", "delete", b)


def test_a_catch_all_gets_the_rest_of_a_domain(demo):
    domain, subject = f"{word()}.example", word()
    demo.command("domain", "add", domain)
    assert refused(demo, f"any@{domain}")[0] == 550
    demo.command("domain", "set", domain, "catch-all", "jack@example.com")
    demo.send(letter(subject), to=f"whatever@{domain}")
    assert f"X-Original-To: whatever@{domain}" in demo.find(subject, "jack").decode()
    demo.command("domain", "set", domain, "catch-all", "none")
    assert refused(demo, f"any@{domain}")[0] == 550
    demo.command("domain", "delete", domain)
    code, text = refused(demo, f"any@{domain}")
    assert (code, "Relay access denied" in text) == (554, True)


# Commands

def test_an_account_from_its_making_to_its_end(demo, tmp_path):
    address, secret = f"{word()}@example.com", tmp_path / "secret"
    secret.write_text("way of the post\n")
    demo.command("account", "add", address, "--password-file", str(secret))
    subject = word()
    demo.send(letter(subject), to=address)
    demo.find(subject, address, password="way of the post")

    demo.command("account", "set", address, "password", input="another one\n")
    demo.find(subject, address, password="another one")
    with pytest.raises(Exception, match="AUTHENTICATIONFAILED"):
        demo.imap(address, "way of the post")

    demo.command("account", "set", address, "enabled", "no")
    with pytest.raises(Exception):
        demo.imap(address, "another one")
    assert "enabled=no" in demo.command("account", "show", address).stdout
    demo.command("account", "set", address, "enabled", "yes")
    demo.imap(address, "another one").logout()

    demo.command("account", "delete", address)
    assert demo.command("account", "show", address, check=False).returncode == 1
    assert refused(demo, address)[0] == 550
    with pytest.raises(Exception, match="AUTHENTICATIONFAILED"):
        demo.imap(address, "another one")


def test_an_account_of_the_same_name_begins_empty(demo):
    address, subject = f"{word()}@example.com", word()
    password = add_account(demo, address)
    demo.send(letter(subject), to=address)
    demo.find(subject, address, password=password)
    demo.command("account", "delete", address)
    add_account(demo, address, password)
    box = demo.imap(address, password)
    assert box.select()[1] == [b"0"]
    box.logout()
    demo.command("account", "delete", address)


@pytest.mark.parametrize("words", [
    ("account", "add", "new@example.com", "--password", "secret"),
    ("account", "add", "new@example.com", "--password=secret"),
    ("account", "add", "new@example.com", "secret"),
    ("account", "set", "jill@example.com", "password", "secret"),
])
def test_a_password_on_the_command_line_is_refused_in_words(demo, words):
    done = demo.command(*words, check=False, input="x\n")
    assert done.returncode == 2
    assert "password is no argument" in done.stderr
    assert demo.command("account", "show", "new@example.com", check=False).returncode == 1
    demo.imap("jill").logout()


@pytest.mark.parametrize("said", ["", "\n", "one\ntwo\n"])
def test_no_password_is_no_account(demo, said):
    done = demo.command("account", "add", "new@example.com", check=False, input=said)
    assert done.returncode == 1 and "password" in done.stderr
    assert demo.command("account", "show", "new@example.com", check=False).returncode == 1


def test_a_password_is_asked_for_twice_and_unseen(demo):
    address = f"{word()}@example.com"
    leader, follower = pty.openpty()
    child = subprocess.Popen([BINARY, "-c", demo.config, "account", "add", address], stdin=follower, stdout=follower,
                             stderr=follower, start_new_session=True,
                             preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0))
    os.close(follower)
    seen = b""

    def until(text):
        nonlocal seen
        while text not in seen:
            seen += os.read(leader, 1024)
    for i, secret in enumerate([b"first\n", b"second\n", b"the same\n", b"the same\n"]):
        until([b"Password: ", b"once more"][i % 2])
        seen = b""
        os.write(leader, secret)
    assert child.wait(20) == 0
    os.close(leader)
    demo.imap(address, "the same").logout()
    demo.command("account", "delete", address)


@pytest.mark.parametrize("words,why", [
    (("account", "add", "no-domain"), "right would be user@example.com"),
    (("account", "add", "someone@elsewhere.example"), "not ours"),
    (("account", "add", "jill@example.com"), "there already"),
    (("account", "show", "joe@example.com"), "there is no account"),
    (("account", "delete", "joe@example.com"), "there is no account"),
    (("domain", "add", "example.com"), "there already"),
    (("domain", "add", "not a domain"), "right would be example.com"),
    (("domain", "delete", "example.com"), "still has"),
    (("domain", "show", "example.net"), "there is no domain"),
    (("alias", "add", "x@example.net", "jill@example.com"), "not ours"),
    (("alias", "show", "nobody@example.com"), "there is no alias"),
])
def test_what_cannot_be_is_said_in_words(demo, words, why):
    done = demo.command(*words, check=False, input="some password\n")
    assert done.returncode == 1 and why in done.stderr, done.stderr


@pytest.mark.parametrize("words", [
    (), ("nonsense",), ("account",), ("account", "ad"), ("account", "add"), ("domain", "set", "example.com"),
    ("alias", "add", "x@example.com"), ("queue", "burn"), ("status", "--loud"), ("reload", "now"),
])
def test_a_wrong_call_says_what_is_right(demo, words):
    done = demo.command(*words, check=False, input="x\n")
    assert done.returncode == 2 and done.stderr.strip(), done


def test_lists_are_json_for_programs(demo):
    domains = json.loads(demo.command("domain", "list", "--json").stdout)
    assert {"example.com"} <= {d["domain"] for d in domains}
    accounts = json.loads(demo.command("account", "list", "example.com", "--json").stdout)
    assert {f"{u}@example.com" for u in ("jill", "jack", "ataylor", "jsmith")} <= {a["account"] for a in accounts}
    assert all(a["enabled"] is True for a in accounts if a["account"].startswith("j"))
    assert json.loads(demo.command("alias", "list", "--json").stdout) == []
    assert demo.command("account", "list").stdout.count("\n") == len(accounts)


def test_letters_to_elsewhere_wait_in_the_queue(own):
    demo = own().start()
    subject = word()
    with demo.smtp("submission", "jack") as s:
        s.sendmail("jack@example.com", ["eva@elsewhere.example"], letter(subject).as_bytes())
    said = wait_for(lambda: (t := demo.command("queue", "list").stdout) and "eva@elsewhere.example" in t and t)
    assert "jack@example.com" in said and "Request" in said
    demo.command("queue", "flush")
    assert demo.stop() == 0
    demo.start()
    assert "eva@elsewhere.example" in demo.command("queue", "list").stdout


def test_guesses_are_slowed_and_the_owner_is_not_locked_out(own):
    demo = own("--set", "auth_failure_delay=200ms").start()
    took = []
    for _ in range(4):
        began = time.monotonic()
        with demo.smtp("submission") as s:
            s.ehlo()
            guess = base64.b64encode(b"\0jsmith@example.com\0wrong").decode()
            assert s.docmd("AUTH", f"PLAIN {guess}")[0] == 535
        took.append(time.monotonic() - began)
    assert took[0] > 0.2 and took[3] > 1.5, f"each costs twice the one before: {took}"
    began = time.monotonic()
    demo.imap("jsmith").logout()
    assert time.monotonic() - began < 1.5


def test_an_alias_that_leads_to_nobody_yet_is_kept_and_told(demo):
    name = f"{word()}@example.com"
    done = demo.command("alias", "add", name, "nobody.yet@example.com", "jill@example.com")
    assert done.returncode == 0 and "there is no nobody.yet@example.com" in done.stderr and "jill" not in done.stderr
    assert "nobody.yet@example.com" in demo.command("alias", "show", name).stdout
