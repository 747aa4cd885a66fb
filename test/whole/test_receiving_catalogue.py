# SPDX-License-Identifier: ISC
"""What the tutorials' rows about submission, sizes and letters typed by hand say."""

import imaplib
import re
import smtplib

import pytest
from house import House, wait_for
from test_checks_beside_postfix import ssl_context
from witness import NameServer, Resolver

USER, PASSWORD = "u@here.example", "secret-of-theirs"


class Street(House):
    def start(self, wait=True):
        super().start(wait)
        self.command("domain", "add", "here.example")
        self.command("account", "add", USER, input=PASSWORD + "\n")

    def submission(self):
        s = smtplib.SMTP("127.0.0.1", self.ports["submission"], timeout=20)
        s.starttls(context=ssl_context())
        s.ehlo("client.example")
        s.login(USER, PASSWORD)
        return s

    def imap(self):
        i = imaplib.IMAP4("127.0.0.1", self.ports["imap"])
        i.starttls(ssl_context())
        i.login(USER, PASSWORD)
        return i

    def letters(self):
        i = self.imap()
        i.select()
        got = [i.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in i.search(None, "ALL")[1][0].split()]
        i.logout()
        return got


@pytest.fixture(scope="module")
def street():
    with Street(smtpd_peername_lookup="no", smtpd_recipient_restrictions="reject_non_fqdn_recipient, permit_sasl_authenticated, reject_unauth_destination") as house:
        yield house


def test_R20_who_writes_hears_of_mistakes_at_once(street):
    with street.submission() as s:
        assert s.mail(USER)[0] == 250
        for to, code in [("nobody@here.example", b"5.1.1"), ("u@short", b"5.5.2")]:
            got = s.rcpt(to)
            assert got[0] // 100 == 5 and got[1].startswith(code), (to, got)
        got = s.docmd("RCPT TO:<u@here..example>")
        assert got[0] // 100 == 5, got
        assert s.rcpt(USER)[0] == 250


def test_R20_a_domain_that_takes_no_mail_is_refused_at_once():
    """Without a mail exchanger and an address, or with a null MX (rfc7505), before the letter is there."""
    server = NameServer()
    resolver = Resolver(server)
    try:
        with Street(dns_resolver=f"{resolver.address}:{resolver.port}", unknown_address_reject_code="550", smtpd_peername_lookup="no",
                    **{"submission/smtpd_recipient_restrictions": "reject_unknown_recipient_domain, permit_sasl_authenticated, reject"}) as house, \
                house.submission() as s:
            assert s.mail(USER)[0] == 250
            for to, code in [("x@nowhere-at-all.example", "5.1.2"), ("x@onlytxt.example", "5.1.2"), ("x@nullmx.example", "5.1.10")]:
                got = s.rcpt(to)
                assert got[0] // 100 == 5 and got[1].decode().startswith(code), (to, got)
            assert s.rcpt("x@good.example")[0] == 250
    finally:
        resolver.close()
        server.close()


def test_R21_R22_port_25_is_for_our_own_domains_and_the_others_for_our_own_users(street):
    def refused(s):
        assert s.mail("a@out.example")[0] == 530
        s.close()
    with smtplib.SMTP("127.0.0.1", street.ports["smtp"], timeout=20) as s:
        s.ehlo("client.example")
        assert not s.has_extn("auth")
        s.mail("a@out.example")
        assert b"Relay access denied" in s.rcpt("b@elsewhere.example")[1]
        assert s.rcpt(USER)[0] == 250
    s = smtplib.SMTP("127.0.0.1", street.ports["submission"], timeout=20)
    s.ehlo("client.example")
    assert s.has_extn("starttls")
    refused(s)
    s = smtplib.SMTP_SSL("127.0.0.1", street.ports["submissions"], timeout=20, context=ssl_context())
    s.ehlo("client.example")
    assert s.has_extn("auth") and not s.has_extn("starttls")
    refused(s)
    assert "*:587" in street.command("postconf", "-d", "listen_submission").stdout
    assert "*:465" in street.command("postconf", "-d", "listen_submissions").stdout


def test_R155_the_size_limit_holds_wherever_a_letter_comes_in():
    letter = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 4000
    with Street(message_size_limit="52428", smtpd_peername_lookup="no") as house:
        for service, client in [("smtp", smtplib.SMTP), ("lmtp", smtplib.LMTP)]:
            with client("127.0.0.1", house.ports[service], timeout=20) as s:
                s.ehlo("client.example") if service == "smtp" else s.docmd("LHLO client.example")
                assert service == "lmtp" or s.esmtp_features["size"] == "52428"
                s.docmd("MAIL FROM:<a@out.example>")
                s.docmd(f"RCPT TO:<{USER}>")
                code, _ = s.docmd("DATA")
                assert code == 354
                s.send(letter + b".\r\n")
                assert s.getreply()[0] == 552
                s.docmd("MAIL FROM:<a@out.example>")
                s.docmd(f"RCPT TO:<{USER}>")
                s.send(f"BDAT {len(letter)} LAST\r\n".encode() + letter)
                assert s.getreply()[0] == 552
        i = house.imap()
        with pytest.raises((imaplib.IMAP4.error, imaplib.IMAP4.abort)):
            kind, _ = i.append("INBOX", None, None, letter)
            if kind != "OK":
                raise imaplib.IMAP4.error(kind)
        assert house.letters() == []


def test_R393_letters_typed_by_hand_are_taken_and_those_of_users_are_made_whole(street):
    typed = [b"Subject: typed\r\n\r\nx\r\n",
             b"Subject: typed\r\nDate: Fri, 5 Jul 2024 10:00:00 +0200 (CEST)\r\n\r\nx\r\n",
             b"Subject: typed\r\nMessage-ID:\r\n\r\nx\r\n"]
    before = len(street.letters())
    for letter in typed:
        with smtplib.SMTP("127.0.0.1", street.ports["smtp"], timeout=20) as s:
            s.sendmail("a@out.example", [USER], letter)
    got = wait_for(lambda: len(l := street.letters()) == before + 3 and l)[before:]
    assert all(b"\r\nFrom:" not in g for g in got) and sum(b"\r\nDate: " in g for g in got) == 1
    assert any(b"(CEST)\r\n" in g for g in got) and any(b"\r\nMessage-ID:\r\n" in g for g in got)
    with street.submission() as s:
        for letter in typed:
            s.sendmail(USER, [USER], letter)
    got = wait_for(lambda: len(l := street.letters()) == before + 6 and l)[before + 3:]
    assert all(g.count(b"\r\nDate: ") == 1 and b"\r\nFrom: <" + USER.encode() in g for g in got)
    assert any(b"(CEST)\r\n" in g for g in got)
    assert all(len(re.findall(rb"^Message-ID:.*\r$", g, re.M)) == 1 and re.search(rb"^Message-ID: <\S+@\S+>\r$", g, re.M) for g in got)
