# SPDX-License-Identifier: ISC
"""Settings of Postfix's smtp(8) and lmtp(8): each is known here or explained, and those that change what is said do so.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sending_names.py
"""

import pathlib
import re
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import make_certificate, wait_for
from kit import BINARY
from test_sending import LETTER, Sink, empty, house, send


def test_every_name_of_postfix_is_known_or_explained(tmp_path):
    names = [line.split(" =")[0] for line in subprocess.run(["postconf", "-d"], capture_output=True, text=True).stdout.splitlines()]
    names = [n for n in names if re.match(r"(smtp|lmtp|address_verify)_|.*_delivery_status_filter$|best_mx_transport$", n)]
    assert len(names) > 200, names
    path = tmp_path / "main.cf"
    path.write_text("".join(f"{n} =\n" for n in names))
    done = subprocess.run([BINARY, "-c", str(path), "config", "check"], capture_output=True, text=True, timeout=60)
    told = done.stdout + done.stderr
    unknown = [line for line in told.splitlines() if "is not a setting" in line]
    assert not unknown, "\n".join(unknown)


@pytest.mark.parametrize("line, part", [
    ("relayhost = [mail.example.com]:587", None), ("relayhost = mail.example.com:submission, [192.0.2.1], [IPv6:2001:db8::1]:25", None),
    ("relayhost = [2001:db8::1]:465", None), ("smtp_fallback_relay = [a.example] b.example:2525", None),
    ("relayhost = [mail.example.com", "[mail.example.com"), ("relayhost = smtps:[mail.example.com]", "smtps:[mail.example.com]"),
    ("relayhost = [a.example], b.example:nothing", "b.example:nothing"), ("smtp_fallback_relay = [a.example]587", "[a.example]587"),
    ("address_verify_relayhost = :25", ":25")])
def test_a_relay_that_is_no_destination_is_told_of(tmp_path, line, part):
    """All mail would wait for it."""
    path = tmp_path / "main.cf"
    path.write_text(f"mail_directory = {tmp_path}/mail\n{line}\n")
    done = subprocess.run([BINARY, "-c", str(path), "config", "check"], capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    assert (done.returncode == 0) == (part is None), said
    assert part is None or f'{path}:2: {line}: "{part}" is no destination' in said


def test_a_port_goes_by_the_name_postfix_has_for_it(tmp_path):
    """What postconf prints of the ports stands in a main.cf as it is."""
    path = tmp_path / "main.cf"
    lines = subprocess.run(["postconf", "-d", "smtp_tcp_port", "lmtp_tcp_port"], capture_output=True, text=True, check=True).stdout
    assert "smtp_tcp_port = smtp\n" in lines
    path.write_text(f"mail_directory = {tmp_path}/mail\n{lines}submissions_port/transport = smtp\nsubmissions_port/smtp_tcp_port = submissions\n")
    done = subprocess.run([BINARY, "-c", str(path), "config", "check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    path.write_text(f"mail_directory = {tmp_path}/mail\nsmtp_tcp_port = imap\n")
    done = subprocess.run([BINARY, "-c", str(path), "config", "check"], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and f"{path}:2: smtp_tcp_port = imap: " in done.stdout + done.stderr


def xforward(sink):
    return [c for c in sink.commands if c.upper().startswith("XFORWARD")]


@pytest.mark.parametrize("reply", [None, "501 5.5.4 not from you"], ids=["taken", "refused"])
def test_the_server_behind_a_filter_hears_of_the_client(reply):
    """As XFORWARD_README has it: what was offered is said, what is not known is [UNAVAILABLE], and a refusal costs nothing."""
    def answer(verb, argument, session):
        return reply or "250 2.0.0 Ok" if verb == "XFORWARD" else None

    with Sink(answer, offers=("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",)) as sink, house(
            relayhost=f"[127.0.0.1]:{sink.port}", smtp_send_xforward_command="yes") as h:
        with h.smtp() as s:
            s.ehlo("a=b.client.example")
            s.sendmail("a@here.example", ["b@there.example"], "Subject: x\r\n\r\nbody\r\n")
        wait_for(lambda: empty(h))
        assert sink.got() == ["b@there.example"]
        first, second = xforward(sink)
        assert re.fullmatch(r"XFORWARD NAME=\S+ ADDR=127\.0\.0\.1 PORT=\d+", first), first
        letter = re.search(r"(\w+): to=<b@there\.example>", h.text())[1]
        assert second == f"XFORWARD PROTO=ESMTP HELO=a+3Db.client.example IDENT={letter} SOURCE=LOCAL", second
        assert ("in reply to XFORWARD command" in h.text()) == (reply is not None)


def test_what_another_server_said_of_the_client_is_said_on():
    """XFORWARD_README: behind a filter the client is who the letter came from first.  A refused attribute is as good as none."""
    with Sink(lambda verb, *_: "250 2.0.0 Ok" if verb == "XFORWARD" else None,
              offers=("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",)) as sink, house(
            relayhost=f"[127.0.0.1]:{sink.port}", smtp_send_xforward_command="yes", smtpd_authorized_xforward_hosts="127.0.0.1") as h:
        for said in ["NAME=far.example ADDR=192.0.2.7 PORT=1337 PROTO=ESMTP HELO=said.example", "ADDR=IPV6:2001:db8::7 PROTO=SMTP"]:
            with h.smtp() as s:
                s.ehlo("filter.example")
                assert s.docmd("XFORWARD " + said)[0] == 250
                s.sendmail("a@here.example", ["b@there.example"], LETTER.format(1))
        wait_for(lambda: empty(h))
        commands = xforward(sink)
        assert "XFORWARD NAME=far.example ADDR=192.0.2.7 PORT=1337" in commands
        assert "XFORWARD NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::7 PORT=[UNAVAILABLE]" in commands
        assert any(re.fullmatch(r"XFORWARD PROTO=ESMTP HELO=said\.example IDENT=\w+ SOURCE=REMOTE", c) for c in commands), commands
        assert any(re.fullmatch(r"XFORWARD PROTO=SMTP HELO=\[UNAVAILABLE\] IDENT=\w+ SOURCE=REMOTE", c) for c in commands), commands


def test_what_a_letter_solicits_is_told_to_the_next_server():
    """rfc3865: through two of ours to a third host; who does not offer NO-SOLICITING hears it in Received alone; a restart between keeps it."""
    with Sink(offers=("NO-SOLICITING org.example:ADV",)) as asks, Sink() as does_not, house(
            smtpd_no_soliciting="other.example:ADV", transport_maps=f"inline:{{asks.example=smtp:[127.0.0.1]:{asks.port}, plain.example=smtp:[127.0.0.1]:{does_not.port}}}",
            defer_transports="smtp") as h:
        with h.smtp() as s:
            s.ehlo("client.example")
            assert "no-soliciting" in s.esmtp_features
            s.sendmail("a@here.example", ["b@asks.example", "c@plain.example"], LETTER.format(1), ["SOLICIT=net.example:ADV,org.example:NEWS"])
        wait_for(lambda: h.count("deferred transport") >= 2)
        h.stop()
        h.write_settings(defer_transports="")
        h.start()
        h.command("queue", "flush")
        wait_for(lambda: empty(h))
        assert [c for c in asks.commands if c.startswith("MAIL")] == ["MAIL FROM:<a@here.example> SOLICIT=net.example:ADV,org.example:NEWS"]
        assert not [c for c in does_not.commands if "SOLICIT=" in c]
        for sink in (asks, does_not):
            assert b"SOLICIT=net.example:ADV,org.example:NEWS" in sink.letters[0][2]


def test_nobody_hears_of_the_client_who_does_not_offer_it_or_when_it_is_not_set():
    for offers, said in ((("PIPELINING",), "yes"), (("XFORWARD NAME ADDR",), "no")):
        with Sink(offers=offers) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", smtp_send_xforward_command=said) as h:
            send(h, ["b@there.example"])
            wait_for(lambda: sink.got() == ["b@there.example"])
            assert xforward(sink) == []


def test_what_a_host_answers_is_read_as_a_filter_has_it(tmp_path):
    """postconf(5): smtp_reply_filter is asked for each line of an answer."""
    table = tmp_path / "replies"
    table.write_text("/^250-SIZE .*/ 250-SIZE 10\n/^550 5\\.7\\.1 (try .*)/ 450 4.7.1 $1\n")
    def answer(verb, argument, session):
        return "550 5.7.1 try again, they mean" if verb == "RCPT" and session.number == 1 else None

    with Sink(answer, offers=("SIZE 10000000", "8BITMIME")) as sink, house(
            relayhost=f"[127.0.0.1]:{sink.port}", smtp_reply_filter=f"pcre:{table}") as h:
        send(h, ["b@there.example"])
        wait_for(lambda: re.search(r"to=<b@there\.example>.*dsn=5\.3\.4, status=bounced \(message size exceeds the size limit", h.text()))
    table.write_text("/^550 5\\.7\\.1 (try .*)/ 450 4.7.1 $1\n")
    with Sink(answer) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", smtp_reply_filter=f"pcre:{table}") as h:
        send(h, ["b@there.example"])
        wait_for(lambda: sink.got() == ["b@there.example"])
        assert re.search(r"dsn=4\.7\.1, status=deferred \(host \S+ said: 450 4\.7\.1 try again, they mean", h.text()), h.text()


def test_the_end_of_a_delivery_is_told_as_a_filter_has_it(tmp_path):
    """postconf(5): default_delivery_status_filter; a failure may become one of the other class, a success none."""
    table = tmp_path / "ends"
    table.write_text("/^4(\\.2\\.1 .*)/ 5$1\n/^5(\\.1\\.1 .*)/ 4$1\n/^2(.*)/ 5$1\n")
    def answer(verb, argument, session):
        if verb != "RCPT":
            return None
        return "450 4.2.1 asleep" if "sleeps@" in argument else "550 5.1.1 gone" if "gone@" in argument else None

    with Sink(answer) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", default_delivery_status_filter=f"pcre:{table}") as h:
        send(h, ["sleeps@there.example", "gone@there.example", "well@there.example"], sender="")
        wait_for(lambda: h.count("status=") >= 3)
        log = h.text()
        assert re.search(r"to=<sleeps@there\.example>.*dsn=5\.2\.1, status=bounced", log), log
        assert re.search(r"to=<gone@there\.example>.*dsn=4\.1\.1, status=deferred", log), log
        assert re.search(r"to=<well@there\.example>.*dsn=2\.0\.0, status=sent", log), log
        assert 'a delivery status filter makes "5' in log


class Wrapped:
    """Python's TLS from the first byte: which name it is asked for, and what is said to it that has no mechanism but PLAIN."""

    def __init__(self, at, name="localhost"):
        self.cert, key = make_certificate(at, name)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.cert, key)
        self.context.sni_callback = lambda _socket, asked, _context: self.asked.append(asked)
        self.asked, self.heard = [], []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                plain, _ = self.socket.accept()
            except OSError:
                return
            try:
                with self.context.wrap_socket(plain, server_side=True) as s:
                    s.sendall(b"220 wrapped ESMTP\r\n")
                    for line in s.makefile("rb"):
                        self.heard.append(line.strip().decode())
                        s.sendall(b"250-wrapped\r\n250 AUTH PLAIN\r\n" if line.startswith(b"EHLO") else b"450 4.7.0 not now\r\n")
            except OSError:
                continue

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


@pytest.mark.parametrize("said, policy, name", [
    ("hostname", "encrypt", "localhost"),
    ("nexthop", "encrypt", "localhost"),
    ("mail.example.org", "encrypt", "mail.example.org"),
    ("mail.example.org", "encrypt servername=other.example.org", "other.example.org"),
    ("mail.example.org", "encrypt servername=hostname", "localhost"),
])
def test_the_name_asked_for_by_tls(tmp_path, said, policy, name):
    """postconf(5): smtp_tls_servername, and servername= of smtp_tls_policy_maps."""
    with Wrapped(tmp_path) as there:
        nexthop = f"[localhost]:{there.port}"
        with house(relayhost=nexthop, smtp_tls_wrappermode="yes", smtp_tls_servername=said, smtp_host_lookup="native", inet_protocols="ipv4",
                   smtp_tls_policy_maps=f"inline:{{{{{nexthop}={policy}}}}}") as h:
            send(h, ["b@there.example"])
            wait_for(lambda: there.asked)
            assert there.asked[0] == name


@pytest.mark.parametrize("level, shown", [("encrypt", False), ("verify", True)])
def test_a_password_is_shown_to_those_alone_who_have_proved_their_name(tmp_path, level, shown):
    """postconf(5): smtp_sasl_tls_verified_security_options."""
    with Wrapped(tmp_path) as there:
        nexthop = f"[localhost]:{there.port}"
        with house(relayhost=nexthop, smtp_tls_wrappermode="yes", smtp_tls_security_level=level, smtp_tls_CAfile=str(there.cert),
                   smtp_host_lookup="native", inet_protocols="ipv4", smtp_sasl_auth_enable="yes",
                   smtp_sasl_password_maps=f"inline:{{{{{nexthop}=jack:way-station}}}}", smtp_sasl_tls_security_options="noplaintext",
                   smtp_sasl_tls_verified_security_options="noanonymous") as h:
            send(h, ["b@there.example"])
            wait_for(lambda: "status=deferred" in h.text())
            assert ("AUTH PLAIN AGphY2sAd2F5LXN0YXRpb24=" in there.heard) == shown, there.heard
            assert ("no mechanism available" in h.text()) != shown


def test_all_of_a_letter_has_a_time(tmp_path):
    """postconf(5): smtp_per_request_deadline; a host that takes a little at a time would have for ever else."""
    def answer(verb, argument, session):
        if verb != "DATA":
            return None
        session.socket.sendall(b"354 slowly\r\n")
        while session.socket.recv(4096):
            time.sleep(0.05)
        return ""

    with Sink(answer, offers=("8BITMIME",)) as sink, house(
            relayhost=f"[127.0.0.1]:{sink.port}", smtp_per_request_deadline="yes", smtp_data_xfer_timeout="2s",
            smtp_min_data_rate="100000000", message_size_limit="50M") as h:
        send(h, ["b@there.example"], text="Subject: x\r\n\r\n" + ("x" * 76 + "\r\n") * 150000)
        wait_for(lambda: re.search(r"status=deferred \(conversation with \S+ timed out while sending message body", h.text()))
