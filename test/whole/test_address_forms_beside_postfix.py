# SPDX-License-Identifier: ISC
"""How addresses are written in MAIL and RCPT (R66, R78, R79): the same to Postfix and to us, the replies compared code by code.

What Postfix takes for an address of rfc822, and we refuse as rfc5321 has it, stands in STRICTER with its reason; all else is alike.
"""

import os
import shutil
import time

import pytest
from beside import Postfix, Talk, tables_of
from house import House

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

LOCALS = ["u", "u+tag", "U", '"u"', "u.", ".u", "u..v", '"u v"', '"u\\"x"', "u%elsewhere.example", "elsewhere.example!u", "a!b!u", "u%here.example",
          '"u%x.example"', '"x.example!u"', '"u@x"', "|cat", "/etc/passwd", "u;v", "u,v", "u[v]", "u<v", "'u'", "u`id`", "$u", "u=x", "u#1", "POSTMASTER", "-f", "-", '"-f"', "u-f", "+-f",
          "x" * 65]
DOMAINS = ["here.example", "HERE.EXAMPLE", "here.example.", "here.example..", ".here.example", "here..example", "sub.here.example", "[127.0.0.1]",
           "[192.0.2.1]", "[127.1]", "[]", "[x]", "127.0.0.1", "1", "here_x.example", "-x.example", "x-.example", "xn--mnchen-3ya.example", "relay.example",
           "x" * 64 + ".example", "x." * 140 + "example", "here.example%x", "here.example!x", "", "localhost", "here example", "mail.here.example",
           "here.example:25", "here.example#25", "here.example/x"]
ALONE = ["<u>", "u", "u@here.example", "<u@here.example", " <u@here.example>", "\t<u@here.example>", "< u@here.example >", "<u@here.example >", '<"u">', '<"u v">',
         "<@x.example:u@here.example>", "<@x.example,@y.example:u@here.example>", "<@here.example:u@elsewhere.example>", "<@x.example:u>", "<@x,@y:u>",
         "<postmaster>", "<PostMaster>", "<u@x.example>", '<"u@x.example"@relay.example>', "<u%elsewhere.example@relay.example>",
         "<elsewhere.example!u@relay.example>", "<a!b%c@relay.example>", "<u%x.example@[127.0.0.1]>", "<w@relay.example>", "<@>", "<u@.>", "<u@here.example\\>",
         "u@here.example SIZE=x", "<>", "<-f>", "-f", "-f@here.example"]
ATEXT = "what rfc822 has as a comment, a second @, a group or a word of another kind is no address of rfc5321:4.1.2"
STRICTER = {
    "<u@[127.0.0.1>": ATEXT, "<u@here.example(c)>": ATEXT, '<u@"here.example">': ATEXT, "<(c)u@here.example>": ATEXT, "<u@x.example@here.example>": ATEXT,
    "<u@elsewhere.example@relay.example>": ATEXT, "<u\\@here.example>": ATEXT, "<:include:/x@here.example>": ATEXT, "<mailto:u@here.example>": ATEXT,
    '<"a"."b"@here.example>': ATEXT, "<<u@here.example>>": ATEXT, "u@here.example>": ATEXT, "<Name <u@here.example>>": ATEXT, "<u @ here.example>": ATEXT,
    "<u@here.example;>": ATEXT, '<""@here.example>': ATEXT, "<@here.example>": ATEXT, "<group:;>": ATEXT,
    "<\u00fc@here.example>": "rfc6531:3.4 letters beyond ASCII are for who has said SMTPUTF8",
    "<" + "x" * 300 + "@here.example>": "rfc5321:4.5.3.1.1 has 64 octets for the local part, and we take 255",
}
FORMS = [*(f"<{name}@{domain}>" for name in LOCALS for domain in ("here.example", "elsewhere.example")), *(f"<u@{domain}>" for domain in DOMAINS), *ALONE]
MANY = {"smtpd_error_sleep_time": "0", "smtpd_soft_error_limit": "10000", "smtpd_hard_error_limit": "10000", "smtpd_junk_command_limit": "10000"}
STRANGER = {"smtpd_relay_restrictions": "reject_unauth_destination", **MANY}
CASES = {
    "strangers": STRANGER,
    "strangers to a primary that is trusted": {"allow_untrusted_routing": "yes", **STRANGER},
    "full addresses": {"smtpd_recipient_restrictions": "reject_non_fqdn_recipient", **STRANGER},
}
# allow_percent_hack is no here unless somebody says yes.
STRICTER["<u%here.example@here.example>"] = "a way to somewhere else, whoever is there"


@pytest.fixture(scope="module")
def both():
    with tables_of({"aliases": "u: u@far.example\nv: v@far.example\npostmaster: p@far.example\n"}) as tables:
        postfix = Postfix(tables, {name: (own, []) for name, own in CASES.items()}, "smtpd_recipient_limit = 10000\n")
        common = {"myhostname": "mail.here.example", "mydomain": "here.example", "myorigin": "$mydomain", "mydestination": "$myhostname, here.example",
                  "recipient_delimiter": "+", "alias_maps": f"hash:{tables}/aliases", "local_recipient_maps": "$alias_maps", "relay_domains": "relay.example",
                  "relay_recipient_maps": "", "mynetworks": "198.51.100.0/24", "smtpd_sender_login_check": "none", "smtpd_sasl_auth_enable": "no",
                  "local_transport": "local:", "smtpd_recipient_limit": "10000", "smtpd_recipient_limit_stranger": "10000", "append_dot_mydomain": "no"}
        try:
            with House(**common) as house:
                yield postfix, house
        finally:
            postfix.close()


@pytest.mark.parametrize("case, verb", [("strangers", "MAIL"), ("strangers", "RCPT"), ("strangers to a primary that is trusted", "RCPT"), ("full addresses", "RCPT")])
def test_R79_addresses_are_read_as_postfix_reads_them(both, case, verb):
    postfix, house = both
    own = CASES[case]
    house.write_settings(**{name: own.get(name) for name in {n for c in CASES.values() for n in c}})
    house.command("reload")
    forms = FORMS + list(STRICTER)
    said = ["EHLO c.example", *([] if verb == "MAIL" else ["MAIL FROM:<a@x.example>"])]
    before = len(said) + 1
    for form in forms:
        said += [f"RCPT TO:{form}"] if verb == "RCPT" else [f"MAIL FROM:{form}", "RCPT TO:<u@here.example>", "RSET"]
    theirs = Talk(postfix.ports[case]).all(said)
    for _ in range(3):                     # a busy machine has not reloaded everywhere yet
        ours = Talk(house.ports["smtp"]).all(said)
        different = differences(verb, forms, theirs[before:], ours[before:])
        if different == []:
            break
        time.sleep(1)
    assert different == [], "\n".join(map(str, different))


def differences(verb, forms, theirs, ours):
    """Of replies, by their codes and statuses."""
    different, each = [], 3 if verb == "MAIL" else 1
    for n, form in enumerate(forms):
        a, b = (" | ".join(line[:9] if line[:1] in "45" else line[:3] for line in side[n * each:n * each + each]) for side in (theirs, ours))
        both_refuse = a[:2] == b[:2] == "55" and any(c in form.rpartition("@")[0] for c in "%!@")     # each in its own words
        if a != b and not both_refuse and not (form in STRICTER and b[:1] == "5"):
            different.append((form, a, b))
    return different


HELLOS = ["a", "a b", "a(b)", "<a>", '"a"', "a;b", "a@b", "a\\b", "[127.0.0.1]", "[IPv6:::1]", "a_b", "-a-", "a..b", "127.0.0.1", "\u043f\u043a", "Anna's PC",
          "a\tb", " a ", "\x01a", "a\x7fb", "%s", "$(x)", "*", "localhost.localdomain.", "x" * 255, "x" * 256, "x" * 1000, "", " "]


def test_R63_a_client_may_call_itself_what_it_likes(both):
    """As with Postfix; nothing of it may become a part of a line or a field."""
    postfix, house = both
    own = CASES["strangers"]
    house.write_settings(**{name: own.get(name) for name in {n for c in CASES.values() for n in c}})
    house.command("reload")
    said = [line for name in HELLOS for line in (f"HELO {name}", f"EHLO {name}", "MAIL FROM:<a@x.example>", "RSET")]

    def replies(port):
        return [line[:3] for line in Talk(port).all(said)]
    theirs = replies(postfix.ports["strangers"])
    for _ in range(3):                     # a busy machine has not reloaded everywhere yet
        ours = replies(house.ports["smtp"])
        if ours == theirs:
            break
        time.sleep(1)
    assert ours == theirs, [(line, a, b) for line, a, b in zip(["greeting", *said], theirs, ours) if a != b]
