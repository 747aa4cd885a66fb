# SPDX-License-Identifier: ISC
"""Rules that ask the DNS and other servers, with codes, words and tempfail actions of their own: what Debian's Postfix says at RCPT, and
we with the same lines.  Each case is a service of its own on both sides.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_codes_beside_postfix.py
"""

import contextlib
import os
import shutil

import pytest
from house import House, wait_for
from ports import free_ports
from witness import BROKEN, RECORDS, Exchanger, NameServer, Postfix, ask, own_address

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or any(shutil.which(w) is None for w in ("postfix", "nsd", "unshare")),
                                reason="needs root, Postfix and nsd")

LISTED, FORGED, NAMELESS, SEVERAL = "127.0.0.9", "127.0.0.10", "127.0.0.11", "127.0.0.12"
MORE = """12.0.0.127.dnsbl.example. A 127.0.0.2
12.0.0.127.dnsbl.example. A 127.0.0.10
12.0.0.127.dnsbl.example. A 127.0.1.4
12.0.0.127.dnsbl.example. TXT "first"
13.0.0.127.dnsbl.example. A 127.0.0.4
13.0.0.127.dnsbl.example. TXT "50% $off; see \\"list\\" ${x}"
"""
FAIL = f"a@{BROKEN}"


def rule(words, how, **settings):
    return {"smtpd_recipient_restrictions": f"{words}, reject_unauth_destination", **settings}, how


def verify(sender, words="reject_unverified_sender", **settings):
    return rule(words, {"sender": f"{sender}@probe.example"}, **settings)


def to(recipient, words="reject_unverified_recipient", **settings):
    return rule(words, {"to": f"{recipient}@relay.example"}, **settings)


class Answers(dict):
    """Each case has an address of its own: later-4 is one of those that are put off."""

    def get(self, local, standard):
        return super().get(local.partition("-")[0], standard)


def listed(words, client=LISTED, **settings):
    return rule(words, {"client": client}, **settings)


REPLIES = {
    "all names": "$rbl_code 5.7.9 $rbl_class|$rbl_what|$rbl_domain|$rbl_reason|$rbl_txt|$client|$client_address|$client_name|$reverse_client_name|$helo_name|$sender|$sender_name|$sender_domain|$recipient|$recipient_name|$recipient_domain",
    "without a code": "Go away, $client_address",
    "a status alone": "$rbl_code 5.1.9 Go away",
    "another code": "521 5.7.9 Go away",
    "a soft code": "450 5.7.9 Come again",
    "if there is a reason": "$rbl_code ${rbl_reason?{because $rbl_reason}:{for no reason}}",
    "if there is none": "$rbl_code no${rbl_reason:, and no reason}",
    "in parentheses": "$(rbl_code) $(rbl_class) [$(rbl_what)]",
}
CASES = {
    "refused with 550": verify("bad", unverified_sender_reject_code="550"),
    "refused with 450": verify("bad"),
    "refused and taken": verify("bad", unverified_sender_reject_code="250"),
    "refused, and a rule behind": verify("bad", "reject_unverified_sender, reject"),
    "with a reason": verify("bad", unverified_sender_reject_code="550", unverified_sender_reject_reason="Nobody knows them"),
    "later with 450": verify("later"),
    "later with 451": verify("later", unverified_sender_defer_code="451"),
    "later and taken": verify("later", unverified_sender_defer_code="250"),
    "later with a reason": verify("later", unverified_sender_reject_reason="Nobody knows them"),
    "later, and refused behind": verify("later", "reject_unverified_sender, reject"),
    "later at once": verify("later", "reject_unverified_sender, reject", unverified_sender_tempfail_action="defer"),
    "later at once for all": verify("later", "reject_unverified_sender, reject", reject_tempfail_action="defer"),
    "a good one": verify("good"),
    "nobody": rule("reject_unverified_sender", {"sender": ""}),
    "no such domain": rule("reject_unverified_sender", {"sender": "x@nullmx.example"}, unverified_sender_reject_code="550"),
    "only warned of": verify("bad", "warn_if_reject reject_unverified_sender", unverified_sender_reject_code="550"),
    "a recipient refused": to("bad", unverified_recipient_reject_code="550"),
    "a recipient refused with 450": to("bad"),
    "a recipient with a reason": to("bad", unverified_recipient_reject_code="551", unverified_recipient_reject_reason="No such person"),
    "a recipient later": to("later"),
    "a recipient later with 451": to("later", unverified_recipient_defer_code="451"),
    "a recipient later at once": to("later", "reject_unverified_recipient, reject", unverified_recipient_tempfail_action="defer"),
    "a recipient that is good": to("good"),
    "sender's domain with 554": rule("reject_unknown_sender_domain", {"sender": "a@gone.example"}, unknown_address_reject_code="554"),
    "sender's domain, null MX": rule("reject_unknown_sender_domain", {"sender": "a@nullmx.example"}, unknown_address_reject_code="450"),
    "sender's domain later": rule("reject_unknown_sender_domain", {"sender": FAIL}, unknown_address_reject_code="554"),
    "sender's domain later, refused behind": rule("reject_unknown_sender_domain, reject", {"sender": FAIL}),
    "sender's domain later at once": rule("reject_unknown_sender_domain, reject", {"sender": FAIL}, unknown_address_tempfail_action="defer"),
    "recipient's domain with 554": rule("reject_unknown_recipient_domain", {"to": "x@gone.example"}, unknown_address_reject_code="554"),
    "hello with 554": rule("reject_unknown_helo_hostname", {"helo": "gone.example"}, unknown_hostname_reject_code="554"),
    "hello later": rule("reject_unknown_helo_hostname, reject", {"helo": f"mail.{BROKEN}"}),
    "hello later at once": rule("reject_unknown_helo_hostname, reject", {"helo": f"mail.{BROKEN}"}, unknown_helo_hostname_tempfail_action="defer"),
    "client with 550": rule("reject_unknown_client_hostname", {"client": NAMELESS}, unknown_client_reject_code="550"),
    "forged client with 550": rule("reject_unknown_client_hostname", {"client": FORGED}, unknown_client_reject_code="550"),
    "client without any name with 550": rule("reject_unknown_reverse_client_hostname", {"client": NAMELESS}, unknown_client_reject_code="550"),
    "a list with 521": listed("reject_rbl_client dnsbl.example", maps_rbl_reject_code="521"),
    "a list with 450": listed("reject_rbl_client dnsbl.example", maps_rbl_reject_code="450"),
    "a list of names with 450": rule("reject_rhsbl_sender rhsbl.example", {"sender": "x@bad.example"}, maps_rbl_reject_code="450"),
    **{f"reply: {name}": listed("reject_rbl_client dnsbl.example", default_rbl_reply=text) for name, text in REPLIES.items()},
    **{f"reply without a reason: {name}": listed("reject_rbl_client dnsbl.example", FORGED, default_rbl_reply=text) for name, text in REPLIES.items()},
    "reply for a sender": rule("reject_rhsbl_sender rhsbl.example", {"sender": "x@bad.example"}, default_rbl_reply=REPLIES["all names"]),
    "reply for a hello": rule("reject_rhsbl_helo rhsbl.example", {"helo": "bad.example"}, default_rbl_reply=REPLIES["all names"]),
    "reply for nobody": listed("reject_rbl_client dnsbl.example", default_rbl_reply=REPLIES["all names"]),
    "a reason that looks like a name": listed("reject_rbl_client dnsbl.example", "127.0.0.13"),
    **{f"filter {f}": listed(f"reject_rbl_client dnsbl.example={f}", SEVERAL) for f in
       ("127.0.0.2", "127.0.0.3", "127.0.0.[2..11]", "127.0.0.[3..9]", "127.0.0.[11..20]", "127.0.0.[1;3;10]", "127.0.[1..2].4", "127.0.[0;1].[4;5..9]", "127.[0..255].1.4", "[127].[0].[0].[2]")},
}
CASES["reply for nobody"][1]["sender"] = ""
# Where we mean to differ: a template without a code is a mistake that Postfix answers with 450; who is listed is refused here.
DIFFERENT = {f"reply{of}: without a code": f"554 5.7.1 Go away, {client}" for of, client in (("", LISTED), (" without a reason", FORGED))}


def tell(port, case):
    how = {name: value.replace("@probe.", f"-{list(CASES).index(case)}@probe.").replace("@relay.", f"-{list(CASES).index(case)}@relay.") for name, value in CASES[case][1].items()}
    return ask(port, how.pop("to", "jill@vm.example"), **how)


@pytest.fixture(scope="module")
def both():
    at = own_address()
    exchanger = Exchanger(at, Answers(good="250 2.1.5 ok", later="450 4.2.1 not now"))
    server = NameServer(RECORDS + MORE + f"probe.example. MX 10 mx.probe.example.\nmx.probe.example. A {at}\nrelay.example. MX 10 mx.probe.example.\n", own_address(), 53)
    settings = {
        "myhostname": "mail.here.example", "mydomain": "here.example", "mydestination": "here.example", "mynetworks": "192.0.2.200/32",
        "virtual_mailbox_domains": "vm.example", "virtual_mailbox_maps": "static:vm/all/", "relay_domains": "relay.example", "relay_recipient_maps": "",
        "smtpd_relay_restrictions": "", "smtpd_recipient_restrictions": "reject_unauth_destination", "address_verify_poll_delay": "1s", "address_verify_poll_count": "20", "smtp_host_lookup": "dns",
    }
    theirs, ours = (dict(zip(CASES, free_ports(len(CASES)))) for _ in "ab")
    services = "".join(f"127.0.0.1:{theirs[case]} inet n - n - - smtpd\n" + "".join(f"  -o {{ {n} = {v} }}\n" for n, v in CASES[case][0].items()) for case in CASES)
    postfix = Postfix(server.address, {**settings, "address_verify_relay_transport": "smtp"}, services)
    try:
        with contextlib.ExitStack() as houses:
            cases = list(CASES)
            for at in range(0, len(cases), 20):
                houses.enter_context(street({"dns_resolver": f"{server.address}:53", "smtpd_client_connection_count_limit": "0", **settings}, {c: ours[c] for c in cases[at:at + 20]}))
            yield theirs, ours
    finally:
        postfix.close()
        server.close()
        exchanger.close()


@contextlib.contextmanager
def street(settings, ports):
    """A listener for each case."""
    names = {case: f"case{i}" for i, case in enumerate(ports)}
    house = House(**{n: v for n, v in settings.items() if n != "smtp_host_lookup"}, listeners=" ".join(names.values()))
    with open(house.config, "a") as f:
        for case, name in names.items():
            f.write(f"{name}/listener_service = smtp\n{name}/listener_address = 127.0.0.1:{ports[case]}\n")
            f.write("".join(f"{name}/{n} = {v}\n" for n, v in CASES[case][0].items()))
    with house:
        house.at_work()
        yield house


@pytest.mark.parametrize("case", CASES)
def test_codes_and_words_are_those_of_postfix(both, case):
    theirs, ours = both
    wanted = wait_for(lambda: tell(theirs[case], case))
    heard = tell(ours[case], case)
    if case in DIFFERENT:
        assert heard == DIFFERENT[case], wanted
        return
    assert (heard[:3] if heard[:1] == "2" else heard) == (wanted[:3] if wanted[:1] == "2" else wanted)
