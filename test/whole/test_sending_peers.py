# SPDX-License-Identifier: ISC
"""Letters to Exim, OpenSMTPD and Postfix, and from them to us.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sending_peers.py
"""

import pathlib
import re
import smtplib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import peers
from house import House, wait_for
from test_sending import LETTER, Receiver, empty, house, send

pytestmark = pytest.mark.skipif(peers.missing() is not None, reason=str(peers.missing()))
BOTH = [peers.Exim, peers.OpenSmtpd]
NAMED = dict(ids=lambda p: p.__name__)


@pytest.mark.parametrize("server", BOTH, **NAMED)
def test_many_letters_some_of_them_refused(server):
    """Dots, long lines, several recipients: all is there once, and who is refused comes back."""
    with server() as there, house(relayhost=f"[127.0.0.1]:{there.port}", smtp_tls_security_level="may") as h:
        long = "x" * 5000
        for i in range(8):
            send(h, ["u1@there.example", "u2@there.example", "bad@there.example"], sender="",
                 text=f"Subject: letter {i}\r\nX-Mark: m{i}m\r\n\r\n.a dot\r\n..two\r\n{long}\r\n.\r\n")
        wait_for(lambda: empty(h), 40)
        assert len(re.findall(r"to=<u[12]@there\.example>.*status=sent \(250", h.text())) == 16
        assert len(re.findall(r"to=<bad@there\.example>.*status=bounced \(host 127\.0\.0\.1\[127\.0\.0\.1\] said: 550", h.text())) == 8
        wait_for(lambda: there.has("u1@there.example") == there.has("u2@there.example") == 8, 90)
        kept = there.got()
        assert all(kept.count(f"X-Mark: m{i}m") == 2 for i in range(8))
        assert kept.count("\n.a dot\n") == 16 and kept.count("\n..two\n") == 16
        # What OpenSMTPD offers breaks: where TLS is only welcome the letters go without.
        assert ("TLS connection established to 127.0.0.1[127.0.0.1]" in h.text()) == (server is peers.Exim)


def test_exim_puts_one_off_and_the_others_have_it_at_once():
    with peers.Exim() as there, house(relayhost=f"[127.0.0.1]:{there.port}", minimal_backoff_time="300s", maximal_backoff_time="300s") as h:
        send(h, ["u1@there.example", "later@there.example", "u2@there.example"], sender="")
        wait_for(lambda: h.count("status=") == 3)
        assert re.search(r"to=<later@there\.example>.*dsn=4\.2\.1, status=deferred \(host .* said: 451 4\.2\.1 later", h.text())
        wait_for(lambda: there.has("u1@there.example") and there.has("u2@there.example"), 90)


@pytest.mark.parametrize("mechanisms, used", [("PLAIN", "plain"), ("LOGIN", "login"), ("CRAM-MD5", "cram"), ("", "cram"), ("!cram-md5, static:all", "plain")])
def test_R273_we_log_in(mechanisms, used):
    """members@ is for those who have."""
    with peers.Exim() as there:
        with house(relayhost=f"[127.0.0.1]:{there.port}", smtp_tls_security_level="encrypt", smtp_sasl_auth_enable="yes",
                   smtp_sasl_security_options="noanonymous", smtp_sasl_password_maps=f"inline:{{[127.0.0.1]:{there.port}=jack:way-station}}",
                   smtp_sasl_mechanism_filter=mechanisms) as h:
            send(h, ["members@there.example"], sender="")
            wait_for(lambda: h.count("status=sent (250"))
            wait_for(lambda: f"A={used}:jack" in there.log())
        with house(relayhost=f"[127.0.0.1]:{there.port}", smtp_tls_security_level="may") as h:
            send(h, ["members@there.example"], sender="")
            wait_for(lambda: h.count("status=bounced"))


def test_wrong_passwords_keep_the_mail_here():
    with peers.Exim() as there, house(
            relayhost=f"[127.0.0.1]:{there.port}", smtp_sasl_auth_enable="yes", smtp_sasl_security_options="noanonymous",
            smtp_sasl_password_maps=f"inline:{{[127.0.0.1]:{there.port}=jack:wrong}}", minimal_backoff_time="300s") as h:
        send(h, ["u1@there.example"], sender="")
        wait_for(lambda: "SASL authentication failed; server 127.0.0.1[127.0.0.1] said: 535" in h.text())
        assert "status=deferred" in h.text() and there.got() == ""


def utf8(h, sender, to):
    with h.smtp() as s:
        s.ehlo()
        assert s.docmd(f"MAIL FROM:<{sender}> SMTPUTF8")[0] == 250 if sender.isascii() else True
        s.send(f"RCPT TO:<{to}>\r\n".encode())
        assert s.getreply()[0] == 250
        assert s.data("Subject: grüße\r\n\r\nhallo\r\n".encode())[0] == 250


def test_addresses_in_utf8_go_to_who_knows_them_and_are_changed_for_nobody():
    """rfc6531:3.5: no downgrade; Exim has SMTPUTF8, OpenSMTPD has not."""
    with peers.Exim() as there, house(relayhost=f"[127.0.0.1]:{there.port}") as h:
        utf8(h, "a@here.example", "grün@there.example")
        wait_for(lambda: h.count("status="))
        assert re.search(r"to=<grün@there\.example>.*status=sent", h.text()), h.text()
        wait_for(lambda: there.has("grün@there.example"), 90)
    with peers.OpenSmtpd() as there, house(relayhost=f"[127.0.0.1]:{there.port}") as h:
        utf8(h, "a@here.example", "grün@there.example")
        wait_for(lambda: h.count("status=bounced"))
        assert re.search(r"dsn=5\.6\.7, status=bounced \(SMTPUTF8 is required, but was not offered by host 127\.0\.0\.1", h.text())


def test_exim_gets_chunks_and_what_the_sender_wants_to_hear():
    with peers.Exim() as there, house(relayhost=f"[127.0.0.1]:{there.port}") as h:
        with h.smtp() as s:
            s.ehlo()
            s.docmd("MAIL FROM:<u2@there.example> RET=HDRS ENVID=q1")
            s.docmd("RCPT TO:<u1@there.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;u1@there.example")
            s.data(LETTER.format("to be told of") + "y" * 2000)
        wait_for(lambda: there.has("u1@there.example"), 90)
        assert re.search(r"<= u2@there\.example .* K S=\d+", there.log()), there.log()
        # Exim tells the sender itself, since it was asked to.
        wait_for(lambda: there.has("u2@there.example") and "multipart/report" in there.got(), 90)
        assert empty(h)


@pytest.fixture
def mine():
    with House(mynetworks="127.0.0.0/8", dns_resolver="none") as h:
        h.command("domain", "add", "example.com")
        h.command("account", "add", "jack@example.com", input="way-station\n")
        yield h


@pytest.mark.parametrize("server", [*BOTH, None], ids=lambda p: p.__name__ if p else "Postfix")
def test_they_send_to_us(mine, server):
    """A letter through them; and one nobody here has, of which they hear."""
    port = mine.ports["smtp"]
    there = server(mine=port) if server else Receiver()
    if server is None:
        conf = there.home / "etc/main.cf"
        conf.write_text(conf.read_text().replace("default_transport = error:no", f"default_transport = smtp:[127.0.0.1]:{port}").replace(
            "reject_unauth_destination", "permit"))
        (there.home / "etc/master.cf").write_text((there.home / "etc/master.cf").read_text() + "smtp unix - - n - - smtp\n")
        import subprocess
        subprocess.run(["postfix", "-c", there.home / "etc", "reload"], capture_output=True, timeout=60)
    with there:
        with smtplib.SMTP("127.0.0.1", there.port) as s:
            s.sendmail("u1@there.example", ["jack@example.com"], "Subject: through them\r\n\r\n.dot\r\n" + "z" * 500 + "\r\n")
            s.sendmail("u1@there.example", ["nobody@example.com"], "Subject: to nobody\r\n\r\nx\r\n")
        wait_for(lambda: re.search(r"to=<jack@example\.com>.*status=sent", mine.text()), 40)
        wait_for(lambda: "<nobody@example.com>: Recipient address rejected" in mine.text(), 40)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q", *sys.argv[1:]]))
