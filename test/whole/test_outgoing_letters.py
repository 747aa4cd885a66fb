# SPDX-License-Identifier: ISC
"""What is changed in letters on their way out: generic maps, header checks, 8-bit letters for hosts that take 7.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_outgoing_letters.py
"""

import email
import email.policy
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import wait_for
from test_sending import Sink, empty, house, send

FIELDS = "From: \"jack@home.local\" <jack@home.local>\r\nTo: b@there.example, jill@home.local\r\nCc: <box+tag@home.local>\r\nSubject: hello jack@home.local\r\n"


def test_generic_maps_change_the_envelope_and_the_fields():
    with Sink() as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", mydestination="", recipient_delimiter="+",
                               smtp_generic_maps="inline:{jack@home.local=jack.black@isp.example, @home.local=@isp.example}") as h:
        send(h, ["b@there.example", "jill@home.local"], sender="jack@home.local", text=FIELDS + "\r\nDear jack@home.local\r\n")
        wait_for(lambda: empty(h))
        sender, to, text = sink.letters[0]
        assert "<jack.black@isp.example>" in sender and sorted(to) == ["b@there.example", "jill@isp.example"]
        head, _, body = text.partition(b"\r\n\r\n")
        assert b"From: \"jack@home.local\" <jack.black@isp.example>\r\n" in head
        assert b"To: b@there.example, jill@isp.example\r\n" in head and b"Cc: <box+tag@isp.example>\r\n" in head
        assert head.endswith(b"Subject: hello jack@home.local") and body == b"Dear jack@home.local\r\n"
        assert re.search(r"to=<jill@home\.local>.*status=sent", h.text())


def test_header_checks_of_a_transport_change_what_leaves():
    checks = "pcre:{ {/^X-Secret:/ IGNORE}, {/^Subject: (.*)/ REPLACE Subject: [out] $1}, {/^To:/ PREPEND X-Out: yes} }"
    with Sink() as sink, Sink() as other, house(**{"relayhost": f"[127.0.0.1]:{sink.port}", "plain/transport": "smtp", "plain/smtp_header_checks": "",
                                                   "smtp_header_checks": checks, "smtp_body_checks": "pcre:{ {/^secret/ IGNORE} }",
                                                   "transport_maps": f"inline:{{plain.example=plain:[127.0.0.1]:{other.port}}}"}) as h:
        letter = FIELDS + "X-Secret: 1\r\n\r\nsecret 1\r\nopen\r\n"
        send(h, ["b@there.example", "c@plain.example"], text=letter)
        wait_for(lambda: empty(h))
        text = sink.letters[0][2]
        assert b"Subject: [out] hello jack@home.local\r\n" in text and b"X-Out: yes\r\nTo:" in text and b"X-Secret" not in text
        assert text.endswith(b"\r\n\r\nopen\r\n")
        assert b"X-Secret: 1\r\n" in other.letters[0][2] and b"Subject: hello" in other.letters[0][2]


EIGHT = {
    "text": "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
            "Größe = {} \r\nFrom here\r\n.\r\n".format("ü" * 60),
    "parts": "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
             "--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>你好</p>\r\n--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
             "\u00e9\u00e9\u00e9\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: in\r\n\r\nin: é\r\n--b--\r\n",
    "bare": "Subject: x\r\n\r\nnaïve\r\n",
    # Some programs put bytes above 127 into what they say is encoded: Postfix sends that on as it is.
    "encoded": "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n"
               "Content-Transfer-Encoding: quoted-printable\r\n\r\n<p class=3Dx>{} =C3=A9=\r\nend\r\n{}\r\n--b\r\nContent-Type: text/plain\r\n"
               "Content-Transfer-Encoding: base64\r\n\r\naGVsé\r\nbG8=\r\n--b--\r\n".format("你好" * 3, "é" * 70),
}


@pytest.mark.parametrize("which", EIGHT)
def test_letters_of_8_bits_become_such_of_7_for_a_host_that_takes_no_other(which):
    text = EIGHT[which].encode()
    with Sink(offers=("PIPELINING",)) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}") as h:
        send(h, "b@there.example", text=text)
        wait_for(lambda: empty(h))
        got = sink.letters[0][2]
        assert max(got) < 0x80 and all(len(line) <= 78 for line in got.partition(b"\r\n\r\n")[2].split(b"\r\n"))

        def leaves(of):
            m = email.message_from_bytes(of, policy=email.policy.compat32)
            return [p.get_payload(decode=True) for p in m.walk() if not p.is_multipart()]
        assert leaves(got) == leaves(text)
        assert "BODY=8BITMIME" not in sink.letters[0][0]


def test_letters_of_8_bits_come_back_where_nothing_is_to_be_changed():
    with Sink(offers=("PIPELINING",)) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", disable_mime_output_conversion="yes") as h:
        send(h, "b@there.example", sender="", text=EIGHT["text"].encode())
        wait_for(lambda: "dsn=5.6.3, status=bounced" in h.text())
        assert sink.letters == []
