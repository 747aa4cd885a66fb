# SPDX-License-Identifier: ISC
"""Rules that ask others, given to Postfix and to us with the same name server: what each says at RCPT."""

import os
import shutil
import subprocess
import tempfile

import pytest
from house import House, wait_for
from witness import BROKEN, RECORDS, Exchanger, NameServer, Postfix, Service, ask, own_address

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or any(shutil.which(w) is None for w in ("postfix", "nsd", "unshare")),
                                reason="needs root, Postfix and nsd")

GOOD, FORGED, NAMELESS = "127.0.0.9", "127.0.0.10", "127.0.0.11"
# Rules, and what is told: client, helo, sender, and the domain of the recipient, which is CASE@vm.example unless said.
CASES = {
    "client-good": ("reject_unknown_client_hostname", {"client": GOOD}),
    "client-forged": ("reject_unknown_client_hostname", {"client": FORGED}),
    "client-nameless": ("reject_unknown_client_hostname", {"client": NAMELESS}),
    "reverse-forged": ("reject_unknown_reverse_client_hostname", {"client": FORGED}),
    "reverse-nameless": ("reject_unknown_reverse_client_hostname", {"client": NAMELESS}),
    "helo-good": ("reject_unknown_helo_hostname", {}),
    "helo-mx-only": ("reject_unknown_helo_hostname", {"helo": "client.example"}),
    "helo-gone": ("reject_unknown_helo_hostname", {"helo": "gone.example"}),
    "helo-no-address": ("reject_unknown_helo_hostname", {"helo": "onlytxt.example"}),
    "helo-broken": ("reject_unknown_helo_hostname", {"helo": f"mail.{BROKEN}"}),
    "helo-literal": ("reject_unknown_helo_hostname", {"helo": "[127.0.0.1]"}),
    "helo-bad-literal": ("reject_unknown_helo_hostname", {"helo": "[127.0.0.1x]"}),
    "helo-no-name": ("reject_unknown_helo_hostname", {"helo": "a..b"}),
    "helo-six": ("reject_unknown_helo_hostname", {"helo": "six.example"}),
    "sender-good": ("reject_unknown_sender_domain", {}),
    "sender-address-only": ("reject_unknown_sender_domain", {"sender": "a@plain.example"}),
    "sender-six": ("reject_unknown_sender_domain", {"sender": "a@six.example"}),
    "sender-gone": ("reject_unknown_sender_domain", {"sender": "a@gone.example"}),
    "sender-only-text": ("reject_unknown_sender_domain", {"sender": "a@onlytxt.example"}),
    "sender-null-mx": ("reject_unknown_sender_domain", {"sender": "a@nullmx.example"}),
    "sender-bad-mx": ("reject_unknown_sender_domain", {"sender": "a@badmx.example"}),
    "sender-broken-mx": ("reject_unknown_sender_domain", {"sender": "a@brokenmx.example"}),
    "sender-broken": ("reject_unknown_sender_domain", {"sender": f"a@{BROKEN}"}),
    "sender-alias": ("reject_unknown_sender_domain", {"sender": "a@alias.example"}),
    "sender-null": ("reject_unknown_sender_domain", {"sender": ""}),
    "sender-literal": ("reject_unknown_sender_domain", {"sender": "a@[127.0.0.1]"}),
    "sender-ours": ("reject_unknown_sender_domain", {"sender": "jill@vm.example"}),
    "recipient-ours": ("reject_unknown_recipient_domain", {}),
    "recipient-gone": ("reject_unknown_recipient_domain", {"to": "gone.example"}),
    "recipient-null-mx": ("reject_unknown_recipient_domain", {"to": "nullmx.example"}),
    "recipient-broken": ("reject_unknown_recipient_domain", {"to": f"{BROKEN}"}),
    "rbl-listed": ("reject_rbl_client dnsbl.example", {"client": GOOD}),
    "rbl-no-reason": ("reject_rbl_client dnsbl.example", {"client": FORGED}),
    "rbl-unlisted": ("reject_rbl_client dnsbl.example", {"client": NAMELESS}),
    "rbl-filter-hit": ("reject_rbl_client dnsbl.example=127.0.0.[2;4..9]", {"client": GOOD}),
    "rbl-filter-miss": ("reject_rbl_client dnsbl.example=127.0.0.[2;5..9]", {"client": GOOD}),
    "rbl-broken": (f"reject_rbl_client {BROKEN}", {"client": GOOD}),
    "rbl-six": ("reject_rbl_client dnsbl.example", {"xclient": "ADDR=IPV6:2001:db8::1 NAME=[UNAVAILABLE]"}),
    "rbl-own-reply": ("reject_rbl_client dnsbl.example=127.0.0.4", {"client": GOOD}),
    "rbl-two": ("reject_rbl_client dnswl.example=127.0.0.99, reject_rbl_client dnsbl.example", {"client": GOOD}),
    "rbl-warn": ("warn_if_reject reject_rbl_client dnsbl.example", {"client": GOOD}),
    "rhsbl-client": ("reject_rhsbl_client rhsbl.example", {"client": GOOD}),
    "rhsbl-client-forged": ("reject_rhsbl_client rhsbl.example", {"client": FORGED}),
    "rhsbl-reverse": ("reject_rhsbl_reverse_client rhsbl.example", {"client": FORGED}),
    "rhsbl-helo": ("reject_rhsbl_helo rhsbl.example", {"helo": "bad.example"}),
    "rhsbl-sender": ("reject_rhsbl_sender rhsbl.example", {"sender": "x@bad.example"}),
    "rhsbl-sender-null": ("reject_rhsbl_sender rhsbl.example", {"sender": ""}),
    "rhsbl-recipient": ("reject_rhsbl_recipient rhsbl.example", {"to": "bad.example"}),
    "dnswl-listed": ("permit_dnswl_client dnswl.example, reject", {"client": GOOD}),
    "dnswl-unlisted": ("permit_dnswl_client dnswl.example, reject", {"client": NAMELESS}),
    "dnswl-relays-nothing": ("permit_dnswl_client dnswl.example, reject_unauth_destination", {"client": GOOD, "to": "good.example"}),
    "dnswl-broken": (f"permit_dnswl_client {BROKEN}, reject", {"client": GOOD}),
    "rhswl-listed": ("permit_rhswl_client rhsbl.example, reject", {"client": GOOD}),
    "sender-mx": ("check_sender_mx_access hash:{t}/servers", {"sender": "x@badmxhost.example"}),
    "sender-mx-fine": ("check_sender_mx_access hash:{t}/servers", {"sender": "x@good.example"}),
    "sender-mx-itself": ("check_sender_mx_access hash:{t}/servers", {"sender": "x@plain.example"}),
    "sender-mx-literal": ("check_sender_mx_access hash:{t}/servers", {"sender": "x@[192.0.2.99]"}),
    "sender-mx-null": ("check_sender_mx_access hash:{t}/servers", {"sender": "x@nullmx.example"}),
    "sender-mx-gone": ("check_sender_mx_access hash:{t}/servers", {"sender": "x@deadmx.example"}),
    "sender-mx-ok": ("check_sender_mx_access hash:{t}/ok, reject", {"sender": "x@badmxhost.example"}),
    "sender-mx-numeric": ("check_sender_mx_access hash:{t}/one", {"sender": "x@badmx.example"}),
    "sender-ns": ("check_sender_ns_access hash:{t}/servers", {"sender": "x@spam.example"}),
    "sender-ns-parent": ("check_sender_ns_access hash:{t}/servers", {"sender": "x@mx.spam.example"}),
    "sender-a": ("check_sender_a_access hash:{t}/servers", {"sender": "x@plain.example"}),
    "helo-mx": ("check_helo_mx_access hash:{t}/servers", {"helo": "badmxhost.example"}),
    "helo-a": ("check_helo_a_access hash:{t}/servers", {"helo": "plain.example"}),
    "client-ns": ("check_client_ns_access hash:{t}/servers", {"client": GOOD}),
    "client-a": ("check_client_a_access hash:{t}/own", {"client": GOOD}),
    "reverse-ns": ("check_reverse_client_hostname_ns_access hash:{t}/servers", {"client": FORGED}),
    "reverse-a": ("check_reverse_client_hostname_a_access hash:{t}/own", {"client": FORGED}),
    "old-helo": ("reject_unknown_hostname", {"helo": "gone.example"}),
    "old-sender": ("reject_unknown_address", {"sender": "a@gone.example"}),
    "old-rbl": ("reject_maps_rbl", {"client": GOOD}),
    "old-rbl-unlisted": ("reject_maps_rbl, reject", {"client": NAMELESS}),
    "client-mx": ("check_client_mx_access hash:{t}/own", {"client": GOOD}),
    "helo-ns": ("check_helo_ns_access hash:{t}/servers", {"helo": "spam.example"}),
    "reverse-mx": ("check_reverse_client_hostname_mx_access hash:{t}/own", {"client": FORGED}),
    "recipient-ns": ("check_recipient_ns_access hash:{t}/servers", {"to": "spam.example"}),
    "recipient-a": ("check_recipient_a_access hash:{t}/servers", {"to": "plain.example"}),
    "recipient-mx": ("check_recipient_mx_access hash:{t}/servers", {"to": "badmxhost.example"}),
    "backup": ("permit_mx_backup, reject_unauth_destination", {"to": "backup.example"}),
    "backup-not": ("permit_mx_backup, reject_unauth_destination", {"to": "good.example"}),
    "backup-broken": ("permit_mx_backup, reject_unauth_destination", {"to": f"{BROKEN}"}),
    "service-dunno": ("check_policy_service inet:127.0.0.1:{s}", {"sender": "dunno@good.example"}),
    "service-reject": ("check_policy_service inet:127.0.0.1:{s}", {"sender": "reject@good.example"}),
    "service-defer": ("check_policy_service inet:127.0.0.1:{s}", {"sender": "defer@good.example"}),
    "service-code": ("check_policy_service inet:127.0.0.1:{s}", {"sender": "code@good.example"}),
    "service-if-permit": ("check_policy_service inet:127.0.0.1:{s}", {"sender": "if_permit@good.example"}),
    "service-if-reject": ("check_policy_service inet:127.0.0.1:{s}, reject", {"sender": "if_reject@good.example"}),
    "service-ok": ("check_policy_service inet:127.0.0.1:{s}, reject", {"sender": "ok@good.example"}),
    "service-rule": ("check_policy_service inet:127.0.0.1:{s}", {"sender": "rule@good.example"}),
    "service-away": ("check_policy_service {{ inet:127.0.0.1:1, try_limit=1 }}", {}),
    "service-away-dunno": ("check_policy_service {{ inet:127.0.0.1:1, try_limit=1, default_action=DUNNO }}", {}),
    "service-silent": ("check_policy_service {{ inet:127.0.0.1:{s}, timeout=1, try_limit=1 }}", {"sender": "silent@good.example"}),
    "service-hangs-up": ("check_policy_service {{ inet:127.0.0.1:{s}, try_limit=1 }}", {"sender": "hangs_up@good.example"}),
    "service-nonsense": ("check_policy_service {{ inet:127.0.0.1:{s}, timeout=1, try_limit=1 }}", {"sender": "nonsense@good.example"}),
    "service-unix": ("check_policy_service unix:{t}/socket", {"sender": "reject@good.example"}),
    "verify-good": ("reject_unverified_sender", {"sender": "good@probe.example"}),
    "verify-bad": ("reject_unverified_sender", {"sender": "bad@probe.example"}),
    "verify-later": ("reject_unverified_sender", {"sender": "later@probe.example"}),
    "verify-null": ("reject_unverified_sender", {"sender": ""}),
    "verify-gone": ("reject_unverified_sender", {"sender": "x@gone.example"}),
    "verify-null-mx": ("reject_unverified_sender", {"sender": "x@nullmx.example"}),
    "verify-recipient": ("reject_unverified_recipient", {"to": "probe.example"}),
    "tempfail-first": ("reject_unknown_sender_domain, reject", {"sender": f"a@{BROKEN}"}),
    "tempfail-defer": ("reject_unknown_helo_hostname, permit", {"helo": f"mail.{BROKEN}"}),
}
# Where we mean to differ, and why.
DIFFERENT = {
    # Both looked for MX, A and AAAA; we name the first, which is what is missing.
    "verify-gone": "450 4.1.7 <x@gone.example>: Sender address rejected: unverified address: Host or domain name not found. "
                   "Name service error for name=gone.example type=MX: Host not found",
}
ANSWERS = {
    "dunno": "action=DUNNO\n\n", "reject": "action=REJECT not you\n\n", "defer": "action=DEFER 4.2.9 later\n\n",
    "code": "action=521 5.9.9 go away\n\n", "if_permit": "action=DEFER_IF_PERMIT Greylisted, come again\n\n",
    "if_reject": "action=DEFER_IF_REJECT hm\n\n", "ok": "action=OK\n\n", "rule": "action=reject_unknown_client_hostname\n\n",
    "silent": None, "hangs_up": False, "nonsense": "what?\n\n",
}
TABLES = {
    "servers": "mx.spam.example REJECT spammers' exchanger\n192.0.2.99 REJECT spammers' address\n"
               "ns.bad.example 554 5.7.9 a bad name server\n192.0.2.44 REJECT plain address\n",
    "one": "192.0.2.1 REJECT one\n",
    "ok": "mx.spam.example OK\n",
    "own": "127.0.0.9 REJECT nine\n192.0.2.10 REJECT ten\n",
    "replies": "dnsbl.example=127.0.0.4 $rbl_code 5.7.9 No ${{rbl_class}} of $rbl_what ($client_address, $helo_name, <$sender_domain>)${{rbl_reason?: $rbl_txt}}\n",
}


def name(case):
    return "c_" + case.replace("-", "_")


def recipient(case):
    return f"{case}@{CASES[case][1].get('to', 'vm.example')}"


@pytest.fixture(scope="module")
def world():
    tables = tempfile.mkdtemp(prefix="witness-tables-")
    os.chmod(tables, 0o755)
    service = Service(lambda r: ANSWERS[r["sender"].partition("@")[0]])
    local = Service(lambda r: ANSWERS[r["sender"].partition("@")[0]], f"{tables}/socket")
    files = {n: t.replace("{{", "{").replace("}}", "}") for n, t in TABLES.items()}
    files["mailbox"] = "@vm.example vm/all/\n"
    files["cases"] = "".join(f"{recipient(case)} {name(case)}\n" for case in CASES)
    for file, content in files.items():
        with open(f"{tables}/{file}", "w") as f:
            f.write(content)
        subprocess.run(["postmap", f"hash:{tables}/{file}"], check=True)
    settings = {
        "myhostname": "mail.here.example", "mydomain": "here.example", "mydestination": "here.example",
        "virtual_mailbox_domains": "vm.example", "virtual_mailbox_maps": f"hash:{tables}/mailbox",
        "proxy_interfaces": "203.0.113.25", "mynetworks": "192.0.2.200/32", "rbl_reply_maps": f"hash:{tables}/replies",
        "smtpd_restriction_classes": ", ".join(name(c) for c in CASES),
        "smtpd_relay_restrictions": "",
        "smtpd_policy_service_retry_delay": "1s", "maps_rbl_domains": "dnswl.example=127.0.0.99 dnsbl.example",
    }
    for case, (rules, _) in CASES.items():
        settings[name(case)] = rules.format(t=tables, s=service.port)
    settings["smtpd_recipient_restrictions"] = f"check_recipient_access hash:{tables}/cases, reject_unauth_destination"
    at = own_address()
    exchanger = Exchanger(at, {"good": "250 2.1.5 ok", "later": "450 4.2.1 not now"})
    server = NameServer(RECORDS + f"probe.example. MX 10 mx.probe.example.\nmx.probe.example. A {at}\n", own_address(), 53)
    yield tables, settings, server, service
    server.close()
    exchanger.close()
    service.close()
    local.close()
    shutil.rmtree(tables, ignore_errors=True)


@pytest.fixture(scope="module")
def both(world):
    tables, settings, server, service = world
    postfix = Postfix(server.address, settings)
    try:
        with House(dns_resolver=f"{server.address}:53", smtpd_authorized_xclient_hosts="127.0.0.0/8",
                   smtpd_client_connection_count_limit="0", **settings) as house:
            wait_for(lambda: ask(house.ports["smtp"], "sender-good@vm.example").startswith("250"))
            yield postfix, house
    finally:
        postfix.close()


def tell(port, case):
    how = {n: v for n, v in CASES[case][1].items() if n != "to"}
    return ask(port, recipient(case), **how)


@pytest.mark.parametrize("case", CASES)
def test_says_what_postfix_says(both, case):
    postfix, house = both
    theirs, ours = tell(postfix.port, case), tell(house.ports["smtp"], case)
    if case in DIFFERENT:
        assert ours == DIFFERENT[case], theirs
    elif theirs.startswith("250"):
        assert ours.startswith("250"), (ours, theirs)
    else:
        assert ours == theirs


def test_services_hear_what_postfix_tells_them(both, world):
    """The same attributes in the same order; what is of the connection or of the server itself differs."""
    service = world[3]
    said = []
    for port in (both[0].port, both[1].ports["smtp"]):
        before = len(service.requests)
        tell(port, "service-dunno")
        said.append(service.requests[before][0])
    theirs, ours = said
    assert [l.partition("=")[0] for l in ours] == [l.partition("=")[0] for l in theirs]
    own = ("client_port", "server_port", "instance")
    assert [l for l in ours if not l.startswith(own)] == [l for l in theirs if not l.startswith(own)]
    assert all(l.partition("=")[2] for l in ours if l.startswith(own))
