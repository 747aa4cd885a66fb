# SPDX-License-Identifier: ISC
"""Each rule of the restriction lists: what `mansio policy explain` says before is what a session hears, the id of the refusal tells the rule
and the reply (`mansio policy why`), and the log names both.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_explain_each_rule.py
"""

import contextlib
import os
import re
import shutil
import smtplib
import ssl

import pytest
from house import House, free_ports, wait_for
from test_rule_names import MANUAL, documented
from witness import NameServer, Resolver, Service, text

pytestmark = pytest.mark.skipif(any(shutil.which(w) is None for w in ("nsd", "unbound")), reason="needs nsd and unbound")

JILL, JACK = "jill@here.example", "jack@here.example"
AWAY = "x@away.example"
# Client, HELO, sender, recipient, and perhaps who has logged in, within TLS.
LETTERS = {
    "good": ("127.0.0.9", "mail.client.example", "a@good.example", JILL),
    "forged": ("127.0.0.10", "mail.client.example", "a@good.example", JILL),
    "nameless": ("127.0.0.11", "mail.client.example", "a@good.example", JILL),
    "trusted": ("127.0.0.5", "mail.client.example", "a@good.example", AWAY),
    "ourselves": ("127.0.0.1", "mail.client.example", "a@good.example", AWAY),
    "away": ("127.0.0.9", "mail.client.example", "a@good.example", AWAY),
    "nobody": ("127.0.0.9", "mail.client.example", "a@good.example", "nobody@here.example"),
    "half a recipient": ("127.0.0.9", "mail.client.example", "a@good.example", "x@nodots"),
    "half a sender": ("127.0.0.9", "mail.client.example", "a@nodots", JILL),
    "notice": ("127.0.0.9", "mail.client.example", "", JILL),
    "no such sender": ("127.0.0.9", "mail.client.example", "a@nowhere.example", JILL),
    "a sender nobody can look up": ("127.0.0.9", "mail.client.example", "a@broken.example", JILL),
    "no such recipient": ("127.0.0.9", "mail.client.example", "a@good.example", "x@nowhere.example"),
    "no such name": ("127.0.0.9", "nowhere.example", "a@good.example", JILL),
    "half a name": ("127.0.0.9", "nodots", "a@good.example", JILL),
    "no name": ("127.0.0.9", "bad_name!", "a@good.example", JILL),
    "a bad name": ("127.0.0.9", "bad.example", "a@good.example", JILL),
    "a bad sender": ("127.0.0.9", "mail.client.example", "a@bad.example", JILL),
    "a bad recipient": ("127.0.0.9", "mail.client.example", "a@good.example", "x@bad.example"),
    "a client's sender": ("127.0.0.9", "client.example", "a@client.example", "x@client.example"),
    "a strange sender of ours": ("127.0.0.9", "mail.client.example", "nobody@here.example", JILL),
    "ours": ("127.0.0.9", "mail.client.example", JACK, JILL),
    "backup": ("127.0.0.9", "mail.client.example", "a@good.example", "x@backup.example"),
    "a list": ("127.0.0.9", "mail.client.example", "no@good.example", JILL),
    "jack as jack": ("127.0.0.9", "mail.client.example", JACK, AWAY, JACK),
    "jack as jill": ("127.0.0.9", "mail.client.example", JILL, AWAY, JACK),
    "jack as a stranger": ("127.0.0.9", "mail.client.example", "a@good.example", AWAY, JACK),
    "within TLS": ("127.0.0.9", "mail.client.example", "a@good.example", JILL, "", True),
}
WHERE = "inline:{ {192.0.2.5=REJECT mx} {192.0.2.66=REJECT ns} {192.0.2.2=554 5.7.9 mx} {192.0.2.1=REJECT a} {127.0.0.9=REJECT its address} {192.0.2.77=DEFER} {192.0.2.10=REJECT forged} {192.0.2.3=DEFER_IF_PERMIT} }"
WHOM = "inline:{ {a@good.example=REJECT no} {client.example=DEFER wait} {mail.client.example=REJECT name} {127.0.0.9=REJECT client} {jill@here.example=450 4.7.9 later} {nodots=REJECT} {jack@here.example=REJECT user} }"
LAST = "reject_unauth_destination"
# The rules, each as it stands before the others of its list; and with which letters besides "good" it is tried.  The verdicts of one rule differ,
# or it stands among ALIKE.
BEFORE = {
    "permit": ("permit, reject", ["away"]), "reject": ("reject", ["away"]), "defer": ("defer", ["away"]), "warn_if_reject": ("warn_if_reject reject, " + LAST, ["away"]),
    "defer_if_permit": ("defer_if_permit, " + LAST, ["away"]), "defer_if_reject": ("defer_if_reject, " + LAST, ["away"]), "sleep": ("sleep 0, " + LAST, ["away"]),
    "permit_mynetworks": ("permit_mynetworks, " + LAST, ["trusted", "away"]), "permit_inet_interfaces": ("permit_inet_interfaces, " + LAST, ["ourselves", "away"]),
    "permit_sasl_authenticated": ("permit_sasl_authenticated, " + LAST, ["jack as jack", "away"]), "permit_auth_destination": ("permit_auth_destination, reject", ["away"]),
    "permit_mx_backup": ("permit_mx_backup, " + LAST, ["backup", "away"]), "permit_dnswl_client": ("permit_dnswl_client dnswl.example, reject", ["forged"]),
    "permit_rhswl_client": ("permit_rhswl_client rhsbl.example, reject", ["nameless"]), "permit_tls_clientcerts": ("permit_tls_clientcerts, " + LAST, ["within TLS", "away"]),
    "permit_tls_all_clientcerts": ("permit_tls_all_clientcerts, " + LAST, ["within TLS", "away"]),
    "reject_unauth_destination": (LAST, ["away"]), "defer_unauth_destination": ("defer_unauth_destination", ["away"]),
    "reject_unknown_client_hostname": ("reject_unknown_client_hostname, " + LAST, ["forged", "nameless"]),
    "reject_unknown_reverse_client_hostname": ("reject_unknown_reverse_client_hostname, " + LAST, ["forged", "nameless"]),
    "reject_unknown_helo_hostname": ("reject_unknown_helo_hostname, " + LAST, ["no such name"]), "reject_invalid_helo_hostname": ("reject_invalid_helo_hostname, " + LAST, ["no name", "half a name"]),
    "reject_non_fqdn_helo_hostname": ("reject_non_fqdn_helo_hostname, " + LAST, ["half a name", "no name"]), "reject_non_fqdn_sender": ("reject_non_fqdn_sender, " + LAST, ["half a sender", "notice"]),
    "reject_non_fqdn_recipient": ("reject_non_fqdn_recipient, " + LAST, ["half a recipient"]),
    "reject_unknown_sender_domain": ("reject_unknown_sender_domain, " + LAST, ["no such sender", "a sender nobody can look up", "notice", "half a sender"]),
    "reject_unknown_recipient_domain": ("reject_unknown_recipient_domain, " + LAST, ["no such recipient", "away"]),
    "reject_unlisted_recipient": ("reject_unlisted_recipient, " + LAST, ["nobody"]), "reject_unlisted_sender": ("reject_unlisted_sender, " + LAST, ["a strange sender of ours", "ours"]),
    "reject_unverified_recipient": ("reject_unverified_recipient, " + LAST, ["nobody"]), "reject_unverified_sender": ("reject_unverified_sender, " + LAST, ["a strange sender of ours", "ours", "notice"]),
    "reject_rbl_client": ("reject_rbl_client dnsbl.example, " + LAST, ["forged", "nameless"]), "reject_rhsbl_client": ("reject_rhsbl_client rhsbl.example, " + LAST, ["nameless"]),
    "reject_rhsbl_reverse_client": ("reject_rhsbl_reverse_client rhsbl.example, " + LAST, ["forged", "nameless"]), "reject_rhsbl_helo": ("reject_rhsbl_helo rhsbl.example, " + LAST, ["a bad name", "half a name"]),
    "reject_rhsbl_sender": ("reject_rhsbl_sender rhsbl.example, " + LAST, ["a bad sender", "notice"]), "reject_rhsbl_recipient": ("reject_rhsbl_recipient rhsbl.example, " + LAST, ["a bad recipient"]),
    "reject_sender_login_mismatch": ("reject_sender_login_mismatch, permit_sasl_authenticated, " + LAST, ["ours", "jack as jack", "jack as jill", "jack as a stranger"]),
    "reject_authenticated_sender_login_mismatch": ("reject_authenticated_sender_login_mismatch, permit_sasl_authenticated, " + LAST, ["ours", "jack as jack", "jack as jill", "jack as a stranger"]),
    "reject_unauthenticated_sender_login_mismatch": ("reject_unauthenticated_sender_login_mismatch, permit_sasl_authenticated, " + LAST, ["ours", "jack as jack", "jack as jill"]),
    "reject_known_sender_login_mismatch": ("reject_known_sender_login_mismatch, permit_sasl_authenticated, " + LAST, ["ours", "jack as jack", "jack as jill", "jack as a stranger"]),
    "reject_plaintext_session": ("reject_plaintext_session, " + LAST, ["within TLS"]), "reject_unauth_pipelining": ("reject_unauth_pipelining, " + LAST, []),
    "reject_multi_recipient_bounce": ("reject_multi_recipient_bounce, " + LAST, ["notice"]),
    "check_policy_service": ("check_policy_service inet:127.0.0.1:{service}, " + LAST, ["a list", "notice"]), "check_greylist": ("check_greylist, " + LAST, ["notice"]),
    "check_client_access": (f"check_client_access {WHOM}, {LAST}", ["forged"]), "check_reverse_client_hostname_access": (f"check_reverse_client_hostname_access {WHOM}, {LAST}", ["nameless"]),
    "check_helo_access": (f"check_helo_access {WHOM}, {LAST}", ["half a name", "no such name"]), "check_sender_access": (f"check_sender_access {WHOM}, {LAST}", ["a client's sender", "ours", "notice"]),
    "check_recipient_access": (f"check_recipient_access {WHOM}, {LAST}", ["nobody"]), "check_sasl_access": (f"check_sasl_access {WHOM}, permit_sasl_authenticated, {LAST}", ["jack as jack"]),
    "check_ccert_access": (f"check_ccert_access {WHOM}, {LAST}", ["within TLS"]),
    **{f"check_{who}_{what}_access": (f"check_{who}_{what}_access {WHERE}, {LAST}", letters)
       for who, letters in (("client", ["forged", "nameless"]), ("reverse_client_hostname", ["forged", "nameless"]), ("helo", ["a client's sender", "no such name", "a bad name", "half a name"]),
                            ("sender", ["a client's sender", "no such sender", "a bad sender", "a sender nobody can look up", "notice"]),
                            ("recipient", ["a client's sender", "no such recipient", "a bad recipient", "away"])) for what in ("a", "mx", "ns")},
}
# What differs cannot be told of one letter of one client (certificates, what is said out of turn, several recipients), or does not differ: all
# of the loopback is this machine.
ALIKE = {"permit", "reject", "defer", "permit_inet_interfaces", "reject_unauth_pipelining", "reject_multi_recipient_bounce", "check_ccert_access"}
ELSEWHERE = {"check_etrn_access"}  # explain tells of a letter
ASKS = {"reject_unverified_sender"}  # a session asks the sender's own server, and explain says that it would
AT_ONCE = 24


def test_each_rule_of_the_manual_is_here():
    if not os.path.exists(MANUAL):
        pytest.skip("needs the manual of Postfix")
    assert documented() - ELSEWHERE <= set(BEFORE)


@pytest.fixture(scope="module")
def ports():
    """The houses: a listener for each rule, so many in each; and which is whose."""
    names = list(BEFORE)
    port, house_of = dict(zip(names, free_ports(len(names)))), {}
    service = Service(lambda r: "action=REJECT the service says so\n\n" if r["sender"].startswith("no@") else "action=DUNNO\n\n")
    with contextlib.ExitStack() as stack:
        server = NameServer()
        stack.callback(server.close)
        resolver = Resolver(server)
        stack.callback(resolver.close)
        for at in range(0, len(names), AT_ONCE):
            some = {f"r{i}": name for i, name in enumerate(names[at:at + AT_ONCE])}
            house = House(dns_resolver=f"{resolver.address}:{resolver.port}", mynetworks="127.0.0.5/32", relay_domains="client.example", proxy_interfaces="203.0.113.25",
                          smtpd_relay_restrictions="", smtpd_recipient_restrictions="permit_mynetworks, permit_inet_interfaces, permit_sasl_authenticated, permit_mx_backup, " + LAST,
                          smtpd_client_connection_count_limit="0", smtpd_client_event_limit_exceptions="127.0.0.0/8", smtpd_error_sleep_time="0",
                          inet_interfaces="127.0.0.1", smtpd_sender_login_maps=f"inline:{{ {JACK}={JACK}, {JILL}={JILL} }}", smtpd_sasl_auth_enable="yes", smtpd_tls_security_level="may",
                          smtpd_tls_auth_only="no", disable_plaintext_auth="no", permit_mx_backup_networks="198.51.100.0/24", greylist_delay="1h", listeners=" ".join(some), smtpd_reject_unlisted_recipient="no")
            with open(house.config, "a") as f:
                for case, name in some.items():
                    f.write(f"{case}/listener_service = smtp\n{case}/listener_address = 127.0.0.1:{port[name]}\n"
                            f"{case}/smtpd_sender_restrictions = {BEFORE[name][0].replace('{service}', str(service.port))}\n")
            stack.enter_context(house)
            stack.callback(service.close)
            house.at_work()
            house.command("domain", "add", "here.example")
            for who in (JILL, JACK):
                house.command("account", "add", who, input="secret-secret\n")
            house_of.update((name, (house, case)) for case, name in some.items())
        yield port, house_of


def heard(port, client, helo, sender, to, user="", tls=False):
    """The first refusal as it was said, or None."""
    with smtplib.SMTP("127.0.0.1", port, timeout=30, source_address=(client, 0)) as s:
        says = [lambda: s.ehlo(helo)]
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            says += [lambda: s.starttls(context=context), lambda: s.ehlo(helo)]
        if user:
            says.append(lambda: s.login(user, "secret-secret"))
        for say in [*says, lambda: s.mail(sender), lambda: s.rcpt(to)]:
            code, words = say()
            if code >= 400:
                return f"{code} {words.decode()}"
    return None


def explained(house, case, client, helo, sender, to, user="", tls=False):
    said = house.command("policy", "explain", "--client", client, "--helo", helo, "--from", sender or "<>", "--to", to, "--listener", case,
                         *(["--auth", user] if user else []), *(["--tls"] if tls else []), check=False).stdout
    told = re.search(r"^refused by (\S+) of (\S+): (.*)$", said, re.MULTILINE)
    assert told or said.endswith("nothing refuses it\n"), said
    return told and told.groups(), said


@pytest.mark.parametrize("name", BEFORE)
def test_explain_and_why_say_what_the_session_says(ports, name):
    port, house_of = ports
    house, case = house_of[name]
    verdicts = {}
    for letter in [*(["good"] if name not in ASKS else []), *BEFORE[name][1]]:
        told, said = explained(house, case, *LETTERS[letter])
        refusal = heard(port[name], *LETTERS[letter])
        plain = refusal and text((int(refusal[:3]), refusal[4:].encode()))
        assert (told and told[2]) == plain, (letter, said)
        verdicts[letter] = plain
        if refusal is None:
            continue
        this = re.search(r" \((P[A-Z0-9]{10})\)$", refusal)[1]
        why = wait_for(lambda: (d := house.command("policy", "why", this, check=False)).returncode == 0 and d.stdout)
        assert plain in why and f"rule: {told[0]}" in why and f"list: {told[1]}" in why, (letter, why)
        assert f"rule={told[0]} id={this}" in house.text(), letter
    assert (len(set(verdicts.values())) > 1) == (name not in ALIKE), verdicts
