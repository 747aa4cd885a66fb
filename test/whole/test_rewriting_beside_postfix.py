# SPDX-License-Identifier: ISC
"""What is written instead of addresses, and who gets a copy besides: canonical, masquerade, virtual and BCC maps and what completes an
address, by Postfix and by us with the same lines.  Every letter goes on by SMTP to a host of the test's own, which keeps envelope and header.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_rewriting_beside_postfix.py
"""

import email
import email.utils
import os
import re
import shutil
import smtplib
import subprocess

import pytest
from beside import SERVICES, Instance
from house import House, free_ports, wait_for
from test_sending import Sink, empty

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

FIELDS = ("From", "Sender", "Reply-To", "To", "Cc", "Resent-To", "Errors-To")
HEAD = {"From": "Joe <joe@here.example>", "To": "jill@here.example, \"Other, one\" <far@away.example>", "Cc": "jack, ann+tag@here.example"}
SAME = {"myhostname": "mail.here.example", "mydomain": "here.example", "myorigin": "here.example", "mydestination": "mail.here.example, here.example",
        "recipient_delimiter": "+", "mynetworks": "127.0.0.0/8", "local_header_rewrite_clients": "permit_mynetworks", "local_recipient_maps": "",
        "alias_maps": "", "smtp_tls_security_level": "none", "append_dot_mydomain": "no", "enable_long_queue_ids": "no",
        "virtual_alias_domains": "valias.example", "virtual_alias_maps": "", "smtpd_relay_restrictions": "permit_mynetworks, reject",
        "smtpd_recipient_restrictions": "", "smtpd_reject_unlisted_recipient": "no", "strict_rfc821_envelopes": "no"}


def canonical(*lines):
    return "inline:{ " + ", ".join("{%s}" % line for line in lines) + " }"


JOE = canonical("joe@here.example = Joe.Smith@here.example", "jill@here.example = j@new.example", "@old.example = @new.example",
                "ann = ann.lee", "far@away.example = far@near.example", "jack = jack@inner.example")


def case(settings, sender="joe@here.example", to=("jill@here.example",), **head):
    return settings, sender, list(to), {**HEAD, **{n.replace("_", "-"): v for n, v in head.items()}}


def classes(*words):
    return {"canonical_maps": JOE, "canonical_classes": ", ".join(words)}


EVERYBODY = ["jill@here.example", "x@old.example", "ann+tag@here.example", "far@away.example", "jack"]
DEEP = {"From": "a@host.deep.here.example", "Sender": "root@host.here.example", "Reply-To": "b@inner.host.here.example", "To": "c@here.example, d@xhere.example, Root@host.here.example",
        "Cc": "e@HOST.Here.Example, f+x@host.here.example"}
MASKED = {"masquerade_domains": "here.example"}
VIRTUAL = canonical("one@valias.example = jill@here.example", "two@valias.example = jill@here.example, far@away.example", "chain@valias.example = two@valias.example, one@valias.example",
                    "ext@valias.example = jill@here.example", "tag+x@valias.example = jack@here.example", "@wild.example = @here.example", "bare@valias.example = jill",
                    "ann = ann.lee@far.example", "self@here.example = self@here.example, far@away.example", "far@away.example = far@other.example", "named@valias.example = Somebody <jill@here.example>",
                    "@catch.example = jill@here.example", "exc@catch.example = exc@catch.example", "+any = x@y.example", "ann+tag = tagged@here.example", "q@valias.example = \"a b\"@far.example",
                    "dot@valias.example = jill@host", "loop@valias.example = pool@valias.example", "pool@valias.example = loop@valias.example")
ALL_VIRTUAL = {"virtual_alias_maps": VIRTUAL, "virtual_alias_domains": "valias.example, wild.example, catch.example"}


def wide(n):
    return {"virtual_alias_maps": canonical("many@valias.example = %s" % ", ".join(f"n{i}@far.example" for i in range(n))), "virtual_alias_expansion_limit": "10"}


def deep(n):
    return {"virtual_alias_maps": canonical(*[f"n{i}@valias.example = n{i + 1}@valias.example" for i in range(n)], f"n{n}@valias.example = end@far.example"), "virtual_alias_recursion_limit": "5"}


# Settings, sender, recipients and fields.
CASES = {
    "nothing": case({}),
    "names alone": case({}, "joe", ["jill", "ann+tag"], From="joe", To="jill, Ann <ann+tag>"),
    "canonical: all classes": case({"canonical_maps": JOE}, to=EVERYBODY),
    "canonical: envelope_sender": case(classes("envelope_sender"), to=EVERYBODY),
    "canonical: envelope_recipient": case(classes("envelope_recipient"), to=EVERYBODY),
    "canonical: header_sender": case(classes("header_sender"), to=EVERYBODY),
    "canonical: header_recipient": case(classes("header_recipient"), to=EVERYBODY),
    "canonical: fields of both kinds": case({"canonical_maps": JOE}, Sender="jill@here.example", Reply_To="far@away.example", Resent_To="jack", Errors_To="ann"),
    "sender_canonical": case({"sender_canonical_maps": JOE}, "ann+x@here.example", to=EVERYBODY, From="ann+x", Sender="far@away.example"),
    "sender_canonical: header alone": case({"sender_canonical_maps": JOE, "sender_canonical_classes": "header_sender"}, to=EVERYBODY),
    "recipient_canonical": case({"recipient_canonical_maps": JOE}, to=EVERYBODY, From="jill@here.example"),
    "recipient_canonical: envelope alone": case({"recipient_canonical_maps": JOE, "recipient_canonical_classes": "envelope_recipient"}, to=EVERYBODY),
    "special before general": case({"sender_canonical_maps": canonical("joe@here.example = s@here.example"), "recipient_canonical_maps": canonical("jill@here.example = r@here.example"),
                                    "canonical_maps": canonical("s@here.example = s2@x.example", "r@here.example = r2@x.example", "joe@here.example = no@x.example")}),
    "canonical: again and again": case({"canonical_maps": canonical("joe@here.example = a@here.example", "a@here.example = b@here.example", "b@here.example = c@far.example")}),
    "canonical: with itself": case({"canonical_maps": canonical("joe@here.example = joe@here.example", "jill@here.example = JILL@here.example")}),
    "canonical: in a circle": case({"canonical_maps": canonical("joe@here.example = a@here.example", "a@here.example = joe@here.example")}),
    "canonical: in a circle, of a recipient": case({"canonical_maps": canonical("jill@here.example = a@here.example", "a@here.example = jill@here.example")}),
    "canonical: several at once": case({"canonical_maps": canonical("joe@here.example = a@far.example, b@far.example", "jill@here.example = c@far.example, d@far.example")}),
    "canonical: a name with it": case({"canonical_maps": canonical("joe@here.example = Joe Doe <a@far.example>")}),
    "canonical: a bare name": case({"canonical_maps": canonical("joe@here.example = josef", "jill = gill@host", "far@away.example = far@away")}),
    "canonical: by a domain": case({"canonical_maps": canonical("@here.example = @there.example", "jill@here.example = jill@here.example")}, to=["jill@here.example", "ann+tag@here.example"]),
    "canonical: a parent's domain is none": case({"canonical_maps": canonical(".here.example = @there.example", "here.example = @there.example")}),
    "canonical: a bare key": case({"canonical_maps": canonical("joe = j1@x.example", "jill = j2@x.example", "far = j3@x.example", "host = j4@x.example")}, to=["jill@here.example", "jill@mail.here.example", "jill@host.here.example", "far@away.example"]),
    "canonical: an extension": case({"canonical_maps": canonical("ann+tag@here.example = t@x.example", "ann@here.example = a@x.example", "jill = g@x.example")}, "jill+q@here.example",
                                    to=["ann+tag@here.example", "ann+other@here.example", "jill+Foo@here.example"], From="ann+Up@here.example"),
    "canonical: capitals": case({"canonical_maps": canonical("joe@here.example = Joe.Smith@Here.Example", "JILL@here.example = x@far.example")}, "JOE@Here.Example", to=["Jill@HERE.example"], From="JOE@HERE.EXAMPLE"),
    "canonical: by a pattern": case({"canonical_maps": "regexp:{ {/^(.*)@here.example$$/ $${1}.x@far.example} }"}, to=["jill@here.example", "ann+tag@here.example"]),
    "canonical: nobody sends": case({"canonical_maps": canonical("joe@here.example = a@far.example", "MAILER-DAEMON = md@far.example")}, ""),
    "extensions go on nowhere": case({"canonical_maps": canonical("ann@here.example = a@x.example"), "propagate_unmatched_extensions": ""}, "ann+z@here.example", to=["ann+tag@here.example"]),
    "extensions go on: virtual alone": case({"canonical_maps": canonical("ann@here.example = a@x.example"), **ALL_VIRTUAL, "propagate_unmatched_extensions": "virtual"}, "ann+z@here.example",
                                            to=["ann+tag@here.example", "ext+T@valias.example"]),
    "two delimiters": case({"canonical_maps": canonical("ann@here.example = a@x.example"), "recipient_delimiter": "+-"}, "ann-z@here.example", to=["ann+tag-x@here.example", "ann-tag+x@here.example", "owner-ann@here.example", "ann-request@here.example"]),
    "no delimiter": case({"canonical_maps": canonical("ann@here.example = a@x.example"), "recipient_delimiter": ""}, "ann+z@here.example", to=["ann+tag@here.example"]),
    "masquerade": case(MASKED, "a@host.deep.here.example", ["c@host.here.example", "d@here.example"], **DEEP),
    "masquerade: recipients too": case({**MASKED, "masquerade_classes": "envelope_sender, envelope_recipient, header_sender, header_recipient"}, "a@host.deep.here.example", ["c@host.here.example", "d@here.example"], **DEEP),
    "masquerade: header_sender alone": case({**MASKED, "masquerade_classes": "header_sender"}, "a@host.deep.here.example", ["c@host.here.example"], **DEEP),
    "masquerade: exceptions": case({**MASKED, "masquerade_exceptions": "root, f"}, "root@host.here.example", ["c@host.here.example"], **DEEP),
    "masquerade: the first of several": case({"masquerade_domains": "!inner.host.here.example deep.here.example here.example"}, "a@host.deep.here.example", ["c@host.here.example"], **DEEP),
    "masquerade: not below one": case({"masquerade_domains": "!host.here.example, here.example"}, "a@host.deep.here.example", ["c@host.here.example"], **DEEP),
    "masquerade: in capitals": case({"masquerade_domains": "Here.Example"}, "a@HOST.here.example", ["c@host.here.example"], **DEEP),
    "masquerade after canonical": case({**MASKED, "canonical_maps": canonical("joe@here.example = joe@host.here.example", "joe@host.here.example = never@far.example")}),
    "virtual": case(ALL_VIRTUAL, to=["one@valias.example", "ext+Tag@valias.example", "bare@valias.example", "q@valias.example", "dot@valias.example"]),
    "virtual: several": case(ALL_VIRTUAL, to=["chain@valias.example"]),
    "virtual: each once": case(ALL_VIRTUAL, to=["one@valias.example", "two@valias.example", "jill@here.example"]),
    "virtual: by a domain": case(ALL_VIRTUAL, to=["x+y@wild.example", "any@catch.example"]),
    "virtual: one of a domain excepted": case({**ALL_VIRTUAL, "virtual_alias_domains": "valias.example", "relay_domains": "catch.example"}, to=["exc@catch.example", "other@catch.example"]),
    "virtual: a bare key": case(ALL_VIRTUAL, to=["ann@here.example", "ann+tag@here.example", "ann+no@here.example", "ann@mail.here.example"]),
    "virtual: with itself": case(ALL_VIRTUAL, to=["self@here.example"]),
    "virtual: others' addresses": case(ALL_VIRTUAL, to=["far@away.example"]),
    "virtual: a name with it": case(ALL_VIRTUAL, to=["named@valias.example"]),
    "virtual: headers stay": case(ALL_VIRTUAL, to=["one@valias.example"], To="one@valias.example"),
    "virtual: an extension of its own": case(ALL_VIRTUAL, to=["tag+x@valias.example", "tag+X@valias.example"]),
    "virtual: in a circle": case(ALL_VIRTUAL, to=["loop@valias.example"]),
    "virtual: as many as may be": case(wide(10), to=["many@valias.example"]),
    "virtual: more": case(wide(11), to=["many@valias.example"]),
    "virtual: as deep as may be": case(deep(3), to=["n0@valias.example"]),
    "virtual: one deeper": case(deep(4), to=["n0@valias.example"]),
    "virtual: two deeper": case(deep(5), to=["n0@valias.example"]),
    "virtual: much deeper": case(deep(8), to=["n0@valias.example"]),
    "virtual after canonical": case({"canonical_maps": canonical("joe@here.example = joe@far.example", "jill@here.example = one@valias.example"), **ALL_VIRTUAL}, to=["jill@here.example"]),
    "always_bcc": case({"always_bcc": "arch@far.example"}),
    "always_bcc: a bare name": case({"always_bcc": "archive"}),
    "always_bcc: of nobody's letter": case({"always_bcc": "arch@far.example"}, ""),
    "always_bcc: who gets it anyway": case({"always_bcc": "jill@here.example"}),
    "sender_bcc": case({"sender_bcc_maps": canonical("joe@here.example = copy@far.example")}),
    "sender_bcc: an extension": case({"sender_bcc_maps": canonical("ann@here.example = copy@far.example")}, "ann+Tag@here.example"),
    "sender_bcc: by a domain": case({"sender_bcc_maps": canonical("@here.example = @copies.example")}),
    "sender_bcc: a bare key": case({"sender_bcc_maps": canonical("joe = copy")}),
    "sender_bcc: nobody sends": case({"sender_bcc_maps": canonical("<> = copy@far.example", "MAILER-DAEMON = c2@far.example")}, ""),
    "recipient_bcc": case({"recipient_bcc_maps": canonical("jill@here.example = copy@far.example", "ann@here.example = c2@far.example")}, to=["jill@here.example", "ann+Tag@here.example"]),
    "recipient_bcc: by a domain": case({"recipient_bcc_maps": canonical("@here.example = @copies.example")}, to=["jill@here.example", "ann+Tag@here.example"]),
    "recipient_bcc: of what is not ours": case({"recipient_bcc_maps": canonical("far@away.example = copy")}, to=["far@away.example"]),
    "recipient_bcc: several": case({"recipient_bcc_maps": canonical("jill@here.example = a@far.example, b@far.example")}),
    "bcc after canonical": case({"canonical_maps": canonical("joe@here.example = j@far.example", "jill@here.example = g@far.example", "copy@here.example = c@far.example"),
                                 "sender_bcc_maps": canonical("joe@here.example = no@far.example", "j@far.example = copy@here.example"),
                                 "recipient_bcc_maps": canonical("jill@here.example = no2@far.example", "g@far.example = gcopy@here.example")}),
    "bcc by a virtual alias": case({**ALL_VIRTUAL, "always_bcc": "two@valias.example", "sender_bcc_maps": canonical("joe@here.example = ann")}),
    "no bcc of a copy": case({"always_bcc": "a@far.example", "recipient_bcc_maps": canonical("a@far.example = b@far.example", "b@far.example = c@far.example", "jill@here.example = a@far.example")}),
    "recipient_bcc of who a virtual alias leads to": case({**ALL_VIRTUAL, "recipient_bcc_maps": canonical("jill@here.example = no@far.example", "one@valias.example = yes@far.example")}, to=["one@valias.example"]),
    "names are left bare": case({"append_at_myorigin": "no"}, "joe", ["jill", "far@away.example"], From="joe", To="jill"),
    "myorigin": case({"myorigin": "origin.example"}, "joe", ["jill"], From="joe", To="jill, x@y"),
    "append_dot_mydomain": case({"append_dot_mydomain": "yes"}, "joe@host", ["jill@host", "x@localhost"], From="joe@host", To="jill@host"),
    "append_dot_mydomain, and not": case({}, "joe@host", ["jill@host", "x@localhost"], From="joe@host", To="jill@host"),
    "strangers' fields are left alone": case({"local_header_rewrite_clients": "", "canonical_maps": JOE, **MASKED}, From="joe", To="jill@host.here.example"),
    "strangers' fields get their domain": case({"local_header_rewrite_clients": "", "remote_header_rewrite_domain": "domain.invalid", "canonical_maps": JOE}, From="joe", To="jill@host, jack"),
    "percent": case({"allow_percent_hack": "yes"}, to=["far%away.example@here.example", "jill%here.example@here.example"], To="far%away.example@here.example, x%y"),
    "bangs": case({"swap_bangpath": "yes"}, to=["away.example!far@here.example"], To="away.example!far@here.example"),
    "whom nobody's letter is for": case({"empty_address_recipient": "nobody-here"}, ""),
}

# What we mean to do otherwise: what our letters are, or the codes said; and why.
AT_ONCE = [250, 554, 554], "an alias that leads nowhere is refused at RCPT, with its reason, where Postfix takes all of the letter and then says 451 until somebody looks"
OTHERWISE = {
    "virtual: in a circle": AT_ONCE, "virtual: more": AT_ONCE, "virtual: one deeper": AT_ONCE, "virtual: two deeper": AT_ONCE, "virtual: much deeper": AT_ONCE,
    "canonical: with itself": (["jill@here.example"], "what differs in capitals alone is the same address"),
    "virtual: an extension of its own": (["jack@here.example", "jack@here.example"], "rfc5321:2.4 local parts in other letters are other recipients"),
    "always_bcc: who gets it anyway": (["jill@here.example"], "nobody gets the same letter twice"),
    "sender_bcc: by a domain": (["jill@here.example"], "a copy for \"\"@copies.example could only come back; it is warned of"),
    "recipient_bcc: by a domain": (["ann+Tag@here.example", "jill@here.example"], "the same"),
    "recipient_bcc: several": (["a@far.example", "jill@here.example"], "the first counts, as of canonical_maps; Postfix makes one name of both"),
    "names are left bare": (["far@away.example", "jill@here.example"], "a name without a domain is an address of nobody: Postfix's manual calls this no unsupported"),
    "percent": (["far@away.example", "jill@here.example"], "in fields % is a letter of a name"),
}


def shown(letter):
    """Of a letter that has arrived: envelope, and the addresses of each field."""
    mail, to, text = letter
    m = email.message_from_bytes(text)
    sender = re.search(r"<(.*?)>", mail).group(1)
    return sender, sorted(to), {name: email.utils.getaddresses([" ".join(str(v).split()) for v in m.get_all(name)]) for name in FIELDS if m[name] is not None}


def say(port, sender, to, head, subject):
    """Code of every reply; one letter."""
    text = "".join(f"{n}: {v}\r\n" for n, v in head.items() if v is not None) + f"Subject: {subject}\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <x@y.example>\r\n\r\nx\r\n"
    codes = []
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=60) as s:
        s.ehlo()
        for words in [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{a}>" for a in to), "DATA"]:
            codes.append(s.docmd(words)[0])
        if codes[-1] == 354:
            s.send(text.encode() + b".\r\n")
            codes.append(s.getreply()[0])
    return codes


class Postfix(Instance):
    """One instance with a receiving, a cleaning and a rewriting service for each case."""

    def __init__(self, sink, cases):
        self.ports = dict(zip(cases, free_ports(len(cases))))
        services = SERVICES
        for i, (name, port) in enumerate(self.ports.items()):
            own = "".join(f"  -o {{ {n} = {v} }}\n" for n, v in cases[name][0].items())
            services += (f"127.0.0.1:{port} inet n - n - - smtpd\n  -o cleanup_service_name=cleanup{i} -o rewrite_service_name=rewrite{i}\n{own}"
                         f"cleanup{i} unix n - n - 0 cleanup\n  -o rewrite_service_name=rewrite{i}\n{own}"
                         f"rewrite{i} unix - - n - - trivial-rewrite\n{own}")
        super().__init__({**SAME, "smtpd_delay_open_until_valid_rcpt": "no", **to_sink(sink)}, services)

    def empty(self):
        return "Mail queue is empty" in subprocess.run(["mailq", "-C", f"{self.home}/etc"], capture_output=True, text=True).stdout


def to_sink(sink):
    return {f"{kind}_transport": f"smtp:[127.0.0.1]:{sink.port}" for kind in ("local", "virtual", "relay", "default")}


@pytest.fixture(scope="module")
def both():
    """All letters, of each case by its name."""
    with Sink() as theirs, Sink() as ours:
        postfix = Postfix(theirs, CASES)
        try:
            with House(**SAME, dns_resolver="none", **to_sink(ours)) as house:
                yield postfix, theirs, house, ours
        finally:
            postfix.close()


def letters(sink, subject):
    with sink.lock:
        return sorted((shown(one) for one in sink.letters if f"Subject: {subject}\r\n".encode() in one[2]), key=repr)


@pytest.mark.parametrize("name", CASES)
def test_a_letter_goes_on_as_from_postfix(both, name):
    postfix, theirs, house, ours = both
    settings, sender, to, head = CASES[name]
    subject = f"case{list(CASES).index(name)}x"
    said = say(postfix.ports[name], sender, to, head, subject)
    wait_for(postfix.empty)
    house.write_settings(**{n: SAME.get(n) for one in CASES.values() for n in one[0]})
    house.write_settings(**settings)
    house.command("reload")
    replies = say(house.ports["smtp"], sender, to, head, subject)
    wait_for(lambda: empty(house))
    if OTHERWISE.get(name) == AT_ONCE:
        assert replies == AT_ONCE[0] and said == [250, 250, 354, 451]
        return
    assert replies == said
    if name in OTHERWISE:
        assert sorted(a for _, one, _ in letters(ours, subject) for a in one) == OTHERWISE[name][0] and letters(ours, subject) != letters(theirs, subject)
        return
    assert letters(ours, subject) == letters(theirs, subject)
