# SPDX-License-Identifier: ISC
"""Whose header is rewritten, and where a long field is cut: Postfix and we are given the same letters."""

import email
import email.utils
import os
import shutil

import pytest
from house import wait_for
from test_checks_beside_postfix import Both

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

MAPS = {"myorigin": "origin.example", "canonical_maps": "inline:{ old@away.example=new@away.example }",
        "masquerade_domains": "masked.example"}
LETTER = (b"From: Joe <joe>\r\nSender: old@away.example\r\nReply-To: a@deep.masked.example\r\n"
          b"To: jill, \"Someone, else\" <b@c.example>,\r\n jack (the other)\r\nCc: group: d, old@away.example;\r\n"
          b"Resent-To: e\r\nErrors-To: f\r\nReturn-Receipt-To: g\r\nDisposition-Notification-To: h\r\nMail-Followup-To: i\r\nApparently-To: j\r\nSubject: joe\r\nX-Other: joe\r\n\r\nbare jill\r\n")
WHOSE = {
    "nobody's": {"local_header_rewrite_clients": ""},
    "those of this machine": {"local_header_rewrite_clients": "permit_inet_interfaces"},
    "those of networks": {"local_header_rewrite_clients": "permit_mynetworks", "mynetworks": "127.0.0.0/8"},
    "not those of other networks": {"local_header_rewrite_clients": "permit_mynetworks permit_sasl_authenticated permit_tls_all_clientcerts"},
    "those in a table": {"local_header_rewrite_clients": "permit_sasl_authenticated, check_address_map inline:{127.0.0.1=yes}"},
    "not those that are in none": {"local_header_rewrite_clients": "check_address_map inline:{127.0.0.2=yes}"},
    "strangers', with a domain of theirs": {"local_header_rewrite_clients": "", "remote_header_rewrite_domain": "domain.invalid"},
    "strangers' have theirs and locals ours": {"local_header_rewrite_clients": "permit_inet_interfaces", "remote_header_rewrite_domain": "domain.invalid"},
}
FOLDED = b"".join(b" %04d continued and continued and continued\r\n" % n for n in range(200))
CUT = {
    "a field of many lines": b"Subject: one\r\nX-Many: first\r\n" + FOLDED + b"X-After: it\r\n\r\nbody\r\n",
    "a field of one line": b"X-Long: " + b"x" * 20000 + b"\r\nSubject: two\r\n\r\nbody\r\n",
    "a long line behind short ones": b"X-Mixed: a\r\n b\r\n " + b"y" * 9000 + b"\r\n z\r\nSubject: three\r\n\r\nbody\r\n",
    "just as long as it may be": b"X-Just: " + b"x" * 2992 + b"\r\n more\r\nSubject: four\r\n\r\nbody\r\n",
    "one byte less": b"X-Just: " + b"x" * 2991 + b"\r\n more\r\n none\r\nSubject: five\r\n\r\nbody\r\n",
    "a line of which little would stay": b"X-Little: " + b"x" * 2700 + b"\r\n " + b"y" * 1000 + b"\r\n z\r\nSubject: eight\r\n\r\nbody\r\n",
    "a line of which a tenth of the limit stays": b"X-Tenth: " + b"x" * 2690 + b"\r\n " + b"y" * 1000 + b"\r\n z\r\nSubject: nine\r\n\r\nbody\r\n",
    "it is the last": b"Subject: six\r\nX-Last: a\r\n" + FOLDED,
    "many fields are no long one": b"Subject: seven\r\n" + b"X-Field: of some length that is not much\r\n" * 200 + b"\r\nbody\r\n",
}


def left(both, letter, **more):
    """What each has in the mailbox."""
    both.mailbox("u"), both.postfix.letters("u")
    theirs, ours, reply, _ = both.said(letter, **more)
    assert ours[0] == theirs[0] and reply.startswith("250"), (theirs, ours)
    wait_for(lambda: both.postfix.removed(reply))
    found = []
    wait_for(lambda: found.extend(both.mailbox("u")) or found)
    return both.postfix.letters("u"), found


def addresses(letter):
    """Of each field, whatever its folds are."""
    m = email.message_from_bytes(letter)
    return {name: email.utils.getaddresses([" ".join(m[name].replace("group:", "").replace(";", "").split())])
            for name in ("From", "Sender", "Reply-To", "To", "Cc", "Resent-To", "Errors-To", "Return-Receipt-To",
                         "Disposition-Notification-To", "Mail-Followup-To", "Apparently-To")}, m["Subject"], m["X-Other"], m.get_payload().split()


@pytest.mark.parametrize("whose", WHOSE)
def test_whose_header_is_rewritten_is_as_with_postfix(whose):
    both = Both(**MAPS, **WHOSE[whose])
    try:
        [theirs], [ours] = left(both, LETTER)
        assert addresses(ours) == addresses(theirs)
    finally:
        both.close()


@pytest.mark.parametrize("said", ["SOURCE=REMOTE", "SOURCE=LOCAL", "ADDR=192.0.2.1", "SOURCE=[UNAVAILABLE]", "ADDR=192.0.2.1 SOURCE=[unavailable]"])
@pytest.mark.parametrize("whose", ["nobody's", "those of this machine", "strangers' have theirs and locals ours"])
def test_who_forwards_a_letter_says_whose_header_it_has(whose, said):
    """What a content filter gives back is a stranger's, though the filter is of this machine."""
    both = Both(**MAPS, **WHOSE[whose], smtpd_authorized_xforward_hosts="127.0.0.0/8")
    try:
        [theirs], [ours] = left(both, LETTER, first=[f"XFORWARD {said}"])
        assert addresses(ours) == addresses(theirs)
    finally:
        both.close()


@pytest.fixture(scope="module")
def short():
    both = Both(header_size_limit="3000")
    yield both
    both.close()


@pytest.mark.parametrize("why", CUT)
def test_long_fields_are_cut_as_postfix_cuts_them(short, why):
    theirs, ours = left(short, CUT[why])
    assert ours == theirs
