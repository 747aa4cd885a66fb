# SPDX-License-Identifier: ISC
"""Restriction lists in a whole server: what rides along takes effect, and what was decided is told (R176-R193, T20, T21)."""

import imaplib
import re
import ssl

import pytest
from house import House, wait_for


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    checks = tmp_path_factory.mktemp("checks") / "header"
    checks.write_text("/^X-Bad:/ REJECT no such fields\n")
    access = {
        "hold@x.example": "HOLD look at it first", "prepend@x.example": "PREPEND X-Seen: by a rule", "bcc@x.example": "BCC jack@example.com",
        "redirect@x.example": "REDIRECT jack@example.com", "no@x.example": "REJECT not you",
    }
    words = ", ".join("{%s = %s}" % pair for pair in access.items())
    with House(mynetworks="192.0.2.0/24", smtpd_restriction_classes="strangers", strangers="reject_non_fqdn_sender, check_sender_access inline:{%s}" % words,
               smtpd_sender_restrictions="permit_sasl_authenticated, strangers",
               smtpd_recipient_restrictions="permit_mynetworks, reject_unlisted_recipient",
               header_checks=f"regexp:{checks}", mime_header_checks="regexp:{{/name=bad/ REJECT no such parts}}",
               nested_header_checks="regexp:{{/^X-Within:/ REJECT no such letters}}", body_checks="regexp:{{/^bad words/ REJECT}}",
               strict_7bit_headers="yes", message_size_limit=20000, mailbox_size_limit=0) as house:
        house.command("domain", "add", "example.com")
        for name in ("jill", "jack"):
            house.command("account", "add", f"{name}@example.com", input="secret\n")
        yield house


def send(house, sender, subject):
    with house.smtp() as s:
        s.sendmail(sender, ["jill@example.com"], f"Subject: {subject}\r\n\r\nHello.\r\n")


def letter(house, user, subject):
    """The letter of that subject, as its reader gets it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    box = imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], ssl_context=context, timeout=20)
    box.login(f"{user}@example.com", "secret")
    try:
        box.select("INBOX", readonly=True)
        found = box.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
        return box.fetch(found[0], "(BODY.PEEK[])")[1][0][1].decode() if found else None
    finally:
        box.logout()


def refuse(house, sender, recipient="jill@example.com"):
    with house.smtp() as s:
        s.ehlo("c.example.org")
        s.mail(sender)
        code, text = s.rcpt(recipient)
    return code, text.decode()


def test_hold_is_held_and_the_queue_shows_it(house):
    send(house, "hold@x.example", "held letter")
    shown = wait_for(lambda: "hold@x.example" in house.command("queue", "list").stdout and house.command("queue", "list").stdout)
    assert "[hold]" in shown and "look at it first" in shown, shown
    assert "hold: RCPT from localhost[127.0.0.1]: <hold@x.example>: Sender address look at it first" in house.text()


def test_a_field_that_is_prepended_comes_with_the_letter(house):
    send(house, "prepend@x.example", "prepended letter")
    head = wait_for(lambda: letter(house, "jill", "prepended letter"))
    assert "X-Seen: by a rule\r\nReceived: from" in head


def test_a_copy_goes_where_the_rule_says(house):
    send(house, "bcc@x.example", "copied letter")
    for user in ("jill", "jack"):
        assert wait_for(lambda: letter(house, user, "copied letter"))


def test_a_redirected_letter_goes_there_alone(house):
    send(house, "redirect@x.example", "redirected letter")
    assert wait_for(lambda: letter(house, "jack", "redirected letter"))
    assert letter(house, "jill", "redirected letter") is None


def test_a_refusal_is_explained_by_its_id(house):
    code, text = refuse(house, "no@x.example")
    assert code == 554 and text.startswith("5.7.1 <no@x.example>: Sender address rejected: not you (P")
    this = re.search(r"\((P\w+)\)", text).group(1)
    said = house.command("policy", "why", this).stdout
    assert "554 5.7.1 <no@x.example>: Sender address rejected: not you" in said
    for line in ("rule: check_sender_access", "list: smtpd_sender_restrictions", "sender: no@x.example", "strangers:", "reject_non_fqdn_sender"):
        assert line in said or line == "reject_non_fqdn_sender"
    assert f"rule=check_sender_access id={this}" in house.text()


def test_one_that_needed_nobody_is_explained_too(house):
    code, text = refuse(house, "a@x.example", "x@elsewhere.example")
    assert code == 554 and "Relay access denied" in text
    said = wait_for(lambda: (d := house.command("policy", "why", re.search(r"\((P\w+)\)", text).group(1), check=False)).returncode == 0 and d.stdout)
    assert "list: smtpd_relay_restrictions" in said and "permit_mynetworks: the client is not in mynetworks" in said


def why(house, text):
    this = re.search(r"\((P\w+)\)", text).group(1)
    return this, wait_for(lambda: (d := house.command("policy", "why", this, check=False)).returncode == 0 and d.stdout)


@pytest.mark.parametrize("letter_is, begins, rule", [
    ("X-Bad: 1\r\n\r\nHello.\r\n", "550 5.7.1 no such fields (P", "header_checks"),
    ("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; name=bad\r\n\r\nx\r\n--b--\r\n", "550 5.7.1 no such parts (P", "mime_header_checks"),
    ("MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\nX-Within: 1\r\n\r\nx\r\n", "550 5.7.1 no such letters (P", "nested_header_checks"),
    ("Subject: x\r\n\r\nbad words\r\n", "550 5.7.1 message content rejected (P", "body_checks"),
    (b"Subject: \xe9\r\n\r\nx\r\n", "550 5.6.0 improper use of 8-bit data in message header (P", "strict_7bit_headers"),
    ("Subject: large\r\n\r\n" + "large\r\n" * 4000, "552 5.3.4 Error: message file too big (P", ""),
])
def test_what_is_refused_after_the_dot_is_explained_too(house, letter_is, begins, rule):
    with house.smtp() as s:
        s.ehlo("c.example.org")
        s.mail("a@x.example")
        s.rcpt("jill@example.com")
        code, text = s.data(letter_is)
    text = f"{code} {text.decode()}"
    assert text.startswith(begins)
    this, said = why(house, text)
    assert said.splitlines()[1] == text[:text.index(" (P")] and "at: END-OF-MESSAGE" in said and "sender: a@x.example" in said
    assert f"rule: {rule}\n" in said if rule else "rule:" not in said
    assert f" id={this}" in house.text()


def test_a_size_that_is_said_before_is_explained_too(house):
    with house.smtp() as s:
        s.ehlo("c.example.org")
        code, text = s.mail("a@x.example", ["SIZE=30000"])
    assert code == 552
    assert "at: MAIL" in why(house, text.decode())[1]


def test_explain_tells_each_rule_and_sends_nothing(house):
    before = house.count("message-id=")
    done = house.command("policy", "explain", "--client", "203.0.113.9", "--helo", "c.example.org", "--from", "a@x.example", "--to", "x@elsewhere.example", check=False)
    assert done.returncode == 1
    for line in ("at RCPT", "smtpd_sender_restrictions:", "reject_non_fqdn_sender: has no objection", "check_sender_access: has no objection", "permit_sasl_authenticated: nobody has logged in", "smtpd_relay_restrictions:",
                 "refused by reject_unauth_destination of smtpd_relay_restrictions: 554 5.7.1 <x@elsewhere.example>: Relay access denied"):
        assert line in done.stdout, done.stdout
    assert "nothing refuses it" in house.command("policy", "explain", "--client", "192.0.2.9", "--from", "a@x.example", "--to", "x@elsewhere.example").stdout
    assert "nothing refuses it" in house.command("policy", "explain", "--client", "203.0.113.9", "--from", "<>", "--to", "jill@example.com").stdout
    done = house.command("policy", "explain", "--client", "203.0.113.9", "--from", "a@x.example", "--to", "nobody@example.com", check=False)
    assert "550 5.1.1 <nobody@example.com>: Recipient address rejected: User unknown" in done.stdout
    assert house.count("message-id=") == before


def test_unknown_ids_are_not_made_up(house):
    done = house.command("policy", "why", "PAAAAAAAAAA", check=False)
    assert done.returncode == 1 and "no refusal PAAAAAAAAAA is remembered" in done.stderr


def test_a_list_that_lets_everybody_relay_is_refused(house):
    good = house.config.read_text()
    house.config.write_text(good + "smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = permit_mynetworks\n")
    done = house.command("config", "check", check=False)
    house.config.write_text(good)
    assert done.returncode != 0
    assert "specify at least one working instance of: reject_unauth_destination" in done.stdout + done.stderr


def test_a_file_from_before_relay_restrictions_is_warned_of(house):
    done = house.command("config", "check")
    assert "smtpd_recipient_restrictions is set and smtpd_relay_restrictions is not" in done.stdout + done.stderr


def refusals(house, sender, recipient):
    """What a session hears from EHLO on until somebody refuses, and what `policy explain` says of the same."""
    done = house.command("policy", "explain", "--client", "127.0.0.1", "--name", "localhost", "--helo", "c.example.org",
                         "--from", sender or "<>", "--to", recipient, check=False)
    told = re.search(r"^refused by \S+ of \S+: (.*)$", done.stdout, re.MULTILINE)
    with house.smtp() as s:
        for say in (lambda: s.ehlo("c.example.org"), lambda: s.mail(sender), lambda: s.rcpt(recipient), lambda: s.docmd("DATA")):
            code, text = say()
            if code >= 400:
                return f"{code} {text.decode()}".rsplit(" (P", 1)[0], told and told[1]
        s.close()  # within DATA nobody hears QUIT
    return None, told and told[1]


@pytest.mark.parametrize("settings, sender, recipient, reply", [
    # A list for DATA knows of the one recipient that it is ours, and of another that it is not.
    ({"smtpd_data_restrictions": "reject_unknown_recipient_domain, defer_unauth_destination"}, "a@x.example", "jill@example.com", None),
    ({"smtpd_data_restrictions": "defer_unauth_destination"}, "a@x.example", "postmaster", None),
    # What is not delayed does not know what comes later.
    ({"smtpd_delay_reject": "no", "smtpd_helo_restrictions": "check_recipient_access inline:{{jill@example.com = REJECT early}}"}, "a@x.example", "jill@example.com", None),
    ({"smtpd_delay_reject": "no", "smtpd_client_restrictions": "reject_unauth_destination, check_sender_access inline:{{a@x.example = REJECT early}}"}, "a@x.example", "jill@example.com", None),
    ({"smtpd_delay_reject": "no", "smtpd_sender_restrictions": "check_sender_access inline:{{a@x.example = REJECT now}}"}, "a@x.example", "x@elsewhere.example", "554 5.7.1 <a@x.example>: Sender address rejected: now"),
    # Who is discarded is asked nothing more.
    ({"smtpd_sender_restrictions": "check_sender_access inline:{a@x.example=DISCARD}", "smtpd_data_restrictions": "reject"}, "a@x.example", "x@elsewhere.example", None),
    ({"smtpd_delay_reject": "no", "smtpd_sender_restrictions": "check_sender_access inline:{a@x.example=DISCARD}"}, "a@x.example", "x@elsewhere.example", None),
])
def test_explain_says_what_a_session_hears(settings, sender, recipient, reply):
    with House(mynetworks="192.0.2.0/24", dns_resolver="none", **settings) as house:
        house.command("domain", "add", "example.com")
        for name in ("jill", "postmaster"):
            house.command("account", "add", f"{name}@example.com", input="secret\n")
        house.at_work()
        assert refusals(house, sender, recipient) == (reply, reply)
