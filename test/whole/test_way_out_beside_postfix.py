# SPDX-License-Identifier: ISC
"""What is changed in letters on their way out, and how the next host is asked about addresses, beside Debian's Postfix: the same settings and letters
at both, to a host of the test's own each, compared letter by letter and word by word.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_way_out_beside_postfix.py
"""

import difflib
import os
import pathlib
import re
import shutil
import smtplib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import unnamed, wait_for
from test_sending import Receiver, Sink, empty, house

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("postfix"), reason="needs root and Postfix")

HEAD = ("Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@home.there.example>\r\n"
        "From: \"jack@home.there.example\" <jack@home.there.example>\r\nSubject: hello jack@home.there.example\r\n")
LISTS = (HEAD + "To: b@there.example, jill@home.there.example,\r\n jack@home.there.example\r\nCc: Jill (at home) <jill+tag@home.there.example>, \"a, b\" <other@far.example>\r\n"
         "Reply-To: jack@home.there.example\r\nSender: jack@home.there.example\r\nErrors-To: jack@home.there.example\r\nX-Mine: jack@home.there.example\r\n"
         "Resent-To: jack@home.there.example\r\nResent-From: jill@home.there.example\r\n\r\nDear jack@home.there.example\r\n")
PARTS = (HEAD + "To: b@there.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nX-Secret: outer\r\n\r\npreamble X-Secret: none\r\n--b\r\n"
         "Content-Type: text/plain; name=a.exe\r\nX-Secret: part\r\n\r\nsecret one\r\nopen\r\nX-Secret: in text\r\n--b\r\n"
         "Content-Type: message/rfc822\r\n\r\nFrom: jack@home.there.example\r\nSubject: nested\r\nX-Secret: nested\r\nContent-Type: text/plain; name=b.exe\r\n\r\nsecret two\r\nend\r\n--b--\r\nepilogue secret\r\n")
LONG = HEAD + "To: b@there.example\r\nX-Long: one\r\n two\r\n\tthree\r\n\r\n" + "secret " + "x" * 500 + "\r\n.\r\n..dots\r\n"
GENERIC = {"smtp_generic_maps": "inline:{jack@home.there.example=jack.black@isp.example, @home.there.example=@isp.example}"}


def checks(*rules):
    return "pcre:{ " + ", ".join("{" + r + "}" for r in rules) + " }"


# name -> (settings, sender, recipients, letter)
CASES = {
    "addresses in every field": (GENERIC, "jack@home.there.example", ["b@there.example", "jill@home.there.example"], LISTS),
    "with an extension": ({**GENERIC, "recipient_delimiter": "+"}, "jack+x@home.there.example", ["jill+y@home.there.example"], LISTS),
    "the extension goes along": ({"smtp_generic_maps": "inline:{jill@home.there.example=j@isp.example}", "recipient_delimiter": "+", "propagate_unmatched_extensions": "canonical, virtual, generic"},
                                 "jill+x@home.there.example", ["jill+y@home.there.example"], LISTS),
    "nobody sends": (GENERIC, "", ["jack@home.there.example"], LISTS),
    "to two of one address": ({"smtp_generic_maps": "inline:{jack@home.there.example=same@isp.example, jill@home.there.example=same@isp.example}", "recipient_delimiter": ""}, "a@far.example",
                              ["jack@home.there.example", "jill@home.there.example"], LISTS),
    "by a pattern": ({"smtp_generic_maps": checks("/^(.*)@home\\.there\\.example$$/ $$1.home@isp.example")}, "jack@home.there.example", ["jill@home.there.example"], LISTS),
    "nested letters keep theirs": (GENERIC, "jack@home.there.example", ["b@there.example"], PARTS),
    "header: replace": ({"smtp_header_checks": checks("/^Subject: (.*)/ REPLACE Subject: [out] $$1")}, "jack@home.there.example", ["b@there.example"], PARTS),
    "header: ignore": ({"smtp_header_checks": checks("/^X-Secret:/ IGNORE")}, "jack@home.there.example", ["b@there.example"], PARTS),
    "header: strip": ({"smtp_header_checks": checks("/^X-Secret:/ STRIP")}, "jack@home.there.example", ["b@there.example"], PARTS),
    "header: prepend": ({"smtp_header_checks": checks("/^To:/ PREPEND X-Out: yes")}, "jack@home.there.example", ["b@there.example"], PARTS),
    "header: a folded one": ({"smtp_header_checks": checks("/^X-Long: (.*)three/ REPLACE X-Short: $$1")}, "jack@home.there.example", ["b@there.example"], LONG),
    "header: the first rule counts": ({"smtp_header_checks": checks("/^Subject:/ DUNNO", "/hello/ IGNORE")}, "jack@home.there.example", ["b@there.example"], PARTS),
    "header: info and warn change nothing": ({"smtp_header_checks": checks("/^Subject:/ INFO seen", "/^To:/ WARN seen")}, "jack@home.there.example", ["b@there.example"], PARTS),
    "mime header": ({"smtp_mime_header_checks": checks("/name=(.*)\\.exe/ REPLACE Content-Type: text/plain; name=$$1.txt")}, "jack@home.there.example", ["b@there.example"], PARTS),
    "mime header: parts alone": ({"smtp_mime_header_checks": checks("/^X-Secret:/ IGNORE")}, "jack@home.there.example", ["b@there.example"], PARTS),
    "nested header": ({"smtp_nested_header_checks": checks("/^X-Secret:/ IGNORE", "/^Subject:/ PREPEND X-Inner: yes")}, "jack@home.there.example", ["b@there.example"], PARTS),
    "header for all of them": ({"smtp_header_checks": checks("/^X-Secret:/ IGNORE"), "smtp_mime_header_checks": checks("/^X-Secret:/ IGNORE"),
                                "smtp_nested_header_checks": checks("/^X-Secret:/ IGNORE")}, "jack@home.there.example", ["b@there.example"], PARTS),
    "body: ignore": ({"smtp_body_checks": checks("/^secret/ IGNORE")}, "jack@home.there.example", ["b@there.example"], PARTS),
    "body: replace": ({"smtp_body_checks": checks("/^secret (.*)/ REPLACE public $$1")}, "jack@home.there.example", ["b@there.example"], PARTS),
    "body: prepend": ({"smtp_body_checks": checks("/^open/ PREPEND a line before")}, "jack@home.there.example", ["b@there.example"], PARTS),
    "body: dots and long lines": ({"smtp_body_checks": checks("/^\\.dots/ REPLACE .", "/^secret/ REPLACE ..")}, "jack@home.there.example", ["b@there.example"], LONG),
    "generic maps and checks": ({**GENERIC, "smtp_header_checks": checks("/^From:(.*)isp/ REPLACE X-After:$${1}isp", "/^From:(.*)home/ REPLACE X-Before:$${1}home")},
                                "jack@home.there.example", ["b@there.example"], PARTS),
}


def letter_of(text):
    """Without what each server puts in with its name and the time of day.  Where a list of addresses is folded Postfix decides anew, and here it
    stays as it was: fields with addresses are compared on one line each."""
    text = re.sub(rb"Received: .*(?:\r?\n[ \t].*)*\r?\n", b"", text, count=1)
    text = re.sub(rb"(?m)^Resent-(?:Message-Id|Date): .*\n", b"", text)      # which it adds to a letter that is sent again
    return re.sub(rb"(?m)^(?:To|Cc): [^\r\n]*(?:\r\n[ \t][^\r\n]*)*", lambda m: re.sub(rb"\r\n[ \t]+", b" ", m.group()), text)


def deliver(port, sender, to, text):
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=60) as s:
        s.ehlo()
        assert s.docmd(f"MAIL FROM:<{sender}>")[0] == 250
        for one in to:
            assert s.docmd(f"RCPT TO:<{one}>")[0] == 250
        assert s.docmd("DATA")[0] == 354
        s.send("".join(("." + line if line.startswith(".") else line) for line in text.splitlines(keepends=True)).encode() + b".\r\n")
        assert s.getreply()[0] == 250


def as_main_cf(settings):
    return "".join(f"{n} = {v}\n" for n, v in settings.items()).replace("{", "{{").replace("}", "}}")


def envelope(letter):
    mail, to, _ = letter
    return re.search(r"<(.*)>", mail).group(1), sorted(to)


@pytest.mark.parametrize("case", CASES)
def test_a_letter_leaves_as_from_postfix(case):
    settings, sender, to, text = CASES[case]
    got = {}
    with Sink() as theirs, Sink() as ours:
        with Receiver(as_main_cf({**settings, "transport_maps": f"inline:{{there.example=smtp:[127.0.0.1]:{theirs.port}, home.there.example=smtp:[127.0.0.1]:{theirs.port}}}",
                                  "smtp_tls_security_level": "none"}), ["smtp unix - - n - - smtp", "relay unix - - n - - smtp"]) as postfix:
            deliver(postfix.port, sender, to, text)
            wait_for(lambda: postfix.log().count("status=") >= len(to), 60)
            assert "status=sent" in postfix.log(), postfix.log()
        with house(**{**settings, "transport_maps": f"inline:{{there.example=smtp:[127.0.0.1]:{ours.port}, home.there.example=smtp:[127.0.0.1]:{ours.port}}}"}) as h:
            deliver(h.ports["smtp"], sender, to, text)
            wait_for(lambda: empty(h))
        for name, sink in (("postfix", theirs), ("ours", ours)):
            got[name] = [line for one in sorted(sink.letters, key=envelope) for line in (repr(envelope(one)), *letter_of(one[2]).decode().splitlines())]
    other = "\n".join(difflib.unified_diff(got["postfix"], got["ours"], "postfix", "ours", n=0, lineterm=""))
    assert not other, other


# name -> (settings, verb, what the next host says to it)
FILTERS = {
    "an answer is another": ({"smtp_reply_filter": checks("/^450 4\\.7\\.1 busy/ 550 5.7.1 never")}, "RCPT", "450 4.7.1 busy"),
    "a part of it": ({"smtp_reply_filter": checks("/^550 5\\.1\\.1(.*)/ 450 4.1.1$$1")}, "RCPT", "550 5.1.1 no such user"),
    "of the last dot": ({"smtp_reply_filter": checks("/^554 (.*)/ 454 4.3.0 $$1")}, "END", "554 not today"),
    "each line by itself": ({"smtp_reply_filter": checks("/^550.5\\.7\\.1 one/ 550-5.7.1 first", "/two/ 550 5.7.1 second")}, "MAIL", "550-5.7.1 one\r\n550 5.7.1 two"),
    "no answer of it": ({"smtp_reply_filter": checks("/^250 2\\.0\\.0 kept/ 250 2.0.0 taken")}, "RCPT", None),
    "an end is another": ({"smtp_delivery_status_filter": checks("/^4(\\.7\\.1 .*)/ 5$$1")}, "RCPT", "450 4.7.1 busy"),
    "an end is put off": ({"smtp_delivery_status_filter": checks("/^5(\\.1\\.1 .*)/ 4$$1")}, "RCPT", "550 5.1.1 no such user"),
    "by default": ({"default_delivery_status_filter": checks("/^5\\.1\\.1 .*/ 4.1.1 wait and see")}, "RCPT", "550 5.1.1 no such user"),
    "what went is not filtered away": ({"smtp_delivery_status_filter": checks("/^2\\..*/ 5.0.0 no")}, "RCPT", None),
}


@pytest.mark.parametrize("case", FILTERS)
def test_what_a_host_says_is_read_as_by_postfix(case):
    settings, at, answer = FILTERS[case]
    told = {}
    with Sink(lambda verb, *_: answer if verb == at else None) as theirs, Sink(lambda verb, *_: answer if verb == at else None) as ours:
        with Receiver(as_main_cf({**settings, "transport_maps": f"inline:{{there.example=smtp:[127.0.0.1]:{theirs.port}}}", "smtp_tls_security_level": "none"}),
                      ["smtp unix - - n - - smtp"]) as postfix:
            deliver(postfix.port, "", ["b@there.example"], LONG)
            wait_for(lambda: "status=" in postfix.log(), 60)
            told["postfix"] = postfix.log()
        with house(**{**settings, "transport_maps": f"inline:{{there.example=smtp:[127.0.0.1]:{ours.port}}}", "minimal_backoff_time": "300s"}) as h:
            deliver(h.ports["smtp"], "", ["b@there.example"], LONG)
            wait_for(lambda: h.count("status="))
            told["ours"] = h.text()
    ends = {name: re.search(r"to=<b@there\.example>.*?dsn=([\d.]+, status=\w+ \(.*\))", text).group(1) for name, text in told.items()}
    assert ends["ours"] == ends["postfix"]


# name -> what the next host says to RCPT ("": it goes)
ANSWERS = {"yes": None, "no": "550 5.1.1 no such user", "not now": "450 4.2.0 busy", "a no without a code": "553 never heard of", "gone": ""}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_address_is_asked_about_as_by_postfix(case):
    """reject_unverified_recipient: what the next host hears, and what the client."""
    def reply(verb, *_):
        return ANSWERS[case] if verb == "RCPT" else None

    seen = {}
    rules = "reject_unauth_destination, reject_unverified_recipient"
    for name in ("postfix", "ours"):
        with Sink(reply) as sink:
            route = f"inline:{{there.example=smtp:[127.0.0.1]:{sink.port}}}"
            if name == "postfix":
                server = Receiver(as_main_cf({"transport_maps": route, "smtp_tls_security_level": "none", "smtpd_relay_restrictions": rules, "address_verify_poll_count": "30",
                                              "address_verify_poll_delay": "1s", "unverified_recipient_reject_code": "550", "address_verify_map": ""}),
                                  ["smtp unix - - n - - smtp", "relay unix - - n - - smtp", "verify unix - - n - 1 verify"])
            else:
                server = house(mynetworks="", transport_maps=route, relay_domains="there.example", smtpd_recipient_restrictions=rules, unverified_recipient_reject_code="550",
                               address_verify_poll_count="30", address_verify_poll_delay="1s")
            with server as s:
                port = s.port if name == "postfix" else s.ports["smtp"]
                with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=90) as client:
                    client.ehlo()
                    client.mail("x@far.example")
                    code, words = client.rcpt("who@there.example")
                # The session with the next host ends when it ends.
                wait_for(lambda: sink.commands[-1] == "QUIT" or ANSWERS[case] == "")
            words = unnamed(words.decode()) if name == "ours" and code != 250 else words.decode()
            words = re.sub("while sending .*", "while sending", words)      # all that was said at once, here
            commands = [re.sub(r"(EHLO|MAIL FROM:<double-bounce@).*", r"\1", c) for c in sink.commands]
            seen[name] = code, words, commands
    assert seen["ours"] == seen["postfix"]


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q", *sys.argv[1:]]))
