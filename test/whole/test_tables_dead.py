# SPDX-License-Identifier: ISC
"""A database that is away, at every place that asks one: nobody is unknown, nothing is refused for good, nothing is lost,
comes twice or comes back; and all goes on by itself when the database is there again (R402)."""

import re
import smtplib
import subprocess

import pytest
from elsewhere import Program
from house import BINARY, free_ports, wait_for
from test_sending import LETTER, Sink, empty, house

DEAD = "socketmap:inet:127.0.0.1:{port}:x"
TO = "b@there.example"

# What a letter to somebody elsewhere asks, from the door to the last host.  Nothing may go before it could be asked.
ON_THE_WAY = {
    "transport_maps": {}, "virtual_alias_maps": {}, "canonical_maps": {}, "sender_canonical_maps": {}, "recipient_canonical_maps": {},
    "relocated_maps": {"relay_domains": "there.example"}, "relay_recipient_maps": {"relay_domains": "there.example"},
    "sender_dependent_relayhost_maps": {}, "sender_dependent_default_transport_maps": {}, "maximal_queue_lifetime_maps": {},
    "sender_bcc_maps": {}, "recipient_bcc_maps": {}, "smtp_generic_maps": {}, "smtp_tls_policy_maps": {},
    "smtp_discard_ehlo_keyword_address_maps": {}, "smtp_bind_address_maps": {}, "smtp_pix_workaround_maps": {},
    "smtp_sasl_password_maps": {"smtp_sasl_auth_enable": "yes", "smtp_sasl_security_options": "noanonymous"},
}
TEXT = LETTER.format("hello")


def offer(h, to, text):
    """The code of the last answer: 250, or what it was put off or refused with."""
    try:
        with h.smtp() as s:
            s.sendmail("a@here.example", to, text)
            return 250
    except smtplib.SMTPRecipientsRefused as e:
        return e.recipients[to][0]
    except smtplib.SMTPResponseException as e:
        return e.smtp_code


@pytest.mark.parametrize("setting", ON_THE_WAY)
def test_R402_a_dead_table_puts_off_and_nothing_is_lost(setting):
    port = free_ports(1)[0]
    with Sink(offers=("AUTH PLAIN",)) as sink, \
            house(relayhost=f"[127.0.0.1]:{sink.port}", local_transport="local", **{setting: DEAD.format(port=port)}, **ON_THE_WAY[setting]) as h:
        code = offer(h, TO, TEXT)
        assert code == 250 or 400 <= code < 500, code
        if code == 250:
            wait_for(lambda: "status=deferred" in h.text(), 60)
        assert sink.got() == []
        program = Program({TO.encode(): b"x"} if setting == "relay_recipient_maps" else {}, "socketmap", port)
        try:
            if code != 250:
                wait_for(lambda: offer(h, TO, TEXT) == 250, 60)
            wait_for(lambda: sink.got() and empty(h), 60)
            assert sink.got() == [TO]
            assert program.asked or setting == "smtp_tls_policy_maps"
            assert "status=bounced" not in h.text()
        finally:
            program.close()


# Of local names and at the door: 4xx at RCPT, and what is right afterwards.
AT_THE_DOOR = [
    ("alias_maps", {}, "lead@local.example"), ("local_recipient_maps", {}, "nosuchuser@local.example"),
    ("system_user_maps", {}, "daemon@local.example"), ("mailbox_transport_maps", {"local_recipient_maps": ""}, "nosuchuser@local.example"),
    ("fallback_transport_maps", {"local_recipient_maps": ""}, "nosuchuser@local.example"), ("relocated_maps", {}, "nosuchuser@local.example"),
    ("smtpd_client_restrictions", {"word": "check_client_access"}, TO), ("smtpd_helo_restrictions", {"word": "check_helo_access"}, TO),
    ("smtpd_sender_restrictions", {"word": "check_sender_access"}, TO), ("smtpd_recipient_restrictions", {"word": "check_recipient_access"}, TO),
    ("smtpd_relay_restrictions", {"word": "check_recipient_access"}, TO), ("smtpd_data_restrictions", {"word": "check_sender_access"}, TO),
    ("smtpd_end_of_data_restrictions", {"word": "check_sender_access"}, TO),
]


@pytest.mark.parametrize("setting, more, to", AT_THE_DOOR, ids=[f"{s}-{m.get('word', 'maps')}" for s, m, _ in AT_THE_DOOR])
def test_R402_a_dead_table_at_the_door_is_later(setting, more, to):
    port = free_ports(1)[0]
    dead = DEAD.format(port=port)
    if "word" in more:
        dead = f"{more['word']} {dead}, permit_mynetworks, reject" if setting == "smtpd_relay_restrictions" else f"{more['word']} {dead}"
    settings = {"mydestination": "local.example", "myorigin": "local.example", "alias_maps": "inline:{lead=b@there.example}",
                "relayhost": "[127.0.0.1]:1", setting: dead,
                **{name: value for name, value in more.items() if name != "word"}}
    with house(**settings) as h:
        code = offer(h, to, LETTER.format("x"))
        assert 400 <= code < 500, code
        program = Program({b"lead": b"b@there.example"}, "socketmap", port)
        try:
            # Without local_recipient_maps everybody is taken, as Postfix does.
            unknown = to.startswith("nosuch") and "local_recipient_maps" not in more
            right = 550 if unknown or setting == "system_user_maps" else 250
            wait_for(lambda: offer(h, to, LETTER.format("x")) == right, 60)
        finally:
            program.close()


def test_an_answer_is_believed_for_its_time_and_then_asked_anew():
    """table_cache_time: the database is asked once while it lasts, yes and no alike; afterwards what it says now counts."""
    program = Program({b"a@v.example": b"b@there.example"}, "socketmap")
    table = {"virtual_alias_domains": "v.example", "virtual_alias_maps": f"socketmap:inet:127.0.0.1:{program.port}:x",
             "relayhost": "[127.0.0.1]:1"}
    try:
        with house(table_cache_time="600s", **table) as h:
            for _ in range(3):
                assert offer(h, "a@v.example", TEXT) == 250
                assert offer(h, "nobody@v.example", TEXT) == 550
            assert program.asked.count(b"a@v.example") == 1 and program.asked.count(b"nobody@v.example") == 1
        with house(table_cache_time="1s", **table) as h:
            assert offer(h, "a@v.example", TEXT) == 250
            program.values = {b"nobody@v.example": b"b@there.example"}
            wait_for(lambda: offer(h, "a@v.example", TEXT) == 550, 60)
            wait_for(lambda: offer(h, "nobody@v.example", TEXT) == 250, 60)
    finally:
        program.close()


@pytest.mark.parametrize("setting, more", [
    ("lmtp_generic_maps", {}), ("lmtp_tls_policy_maps", {}), ("lmtp_bind_address_maps", {}),
    ("lmtp_sasl_password_maps", {"lmtp_sasl_auth_enable": "yes", "lmtp_sasl_security_options": "noanonymous"})])
def test_R402_a_dead_table_puts_off_what_goes_by_lmtp(setting, more):
    port = free_ports(1)[0]
    with Sink(offers=("AUTH PLAIN",), lmtp=True) as sink, \
            house(transport_maps="inline:{{there.example=lmtp:inet:127.0.0.1:%d}}" % sink.port, **{setting: DEAD.format(port=port)}, **more) as h:
        assert offer(h, TO, TEXT) == 250
        wait_for(lambda: "status=deferred" in h.text(), 60)
        assert sink.got() == []
        program = Program({}, "socketmap", port)
        try:
            wait_for(lambda: sink.got() and empty(h), 60)
            assert sink.got() == [TO] and program.asked
        finally:
            program.close()


@pytest.mark.parametrize("setting", [
    "bounce_language_maps", "smtpd_reject_footer_maps", "submission/smtpd_reject_footer_maps"])
def test_where_nobody_else_is_connected_to_the_check_refuses_such_a_table(tmp_path, setting):
    main = tmp_path / "main.cf"
    main.write_text(f"myhostname = mail.example.com\nslow/transport = smtp\n{setting} = pcre:/dev/null {DEAD.format(port=1)}\n")
    done = subprocess.run([BINARY, "-c", main, "config", "check"], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and re.search(r"(in|tables of) files alone", done.stderr), done.stderr
