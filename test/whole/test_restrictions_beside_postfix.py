# SPDX-License-Identifier: ISC
"""The same restriction lists, tables and words said to Postfix and to us: the same replies, code by code.

Postfix runs as an instance of its own, with a service for every case (its settings are -o of that service); we reload
for each.  The client's name and address are told by XCLIENT.  Behind a refusal of ours stands its id, which is no difference;
of what is taken the codes alone are compared.
"""

import os
import shutil
import time

import pytest
from beside import Postfix, Talk, settings_for, tables_of
from house import House

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

TABLES = {
    "access": """ok@bad.example OK
bad.example REJECT
defer@x.example DEFER
deferwords@x.example DEFER 4.2.1 come again
reject@x.example REJECT
words@x.example REJECT we know you
status@x.example REJECT 5.1.1 no such thing here
code@x.example 550 go away
codestatus@x.example 571 5.7.7 go far away
later@x.example 450 not today
onlydigits@x.example 554
digits@x.example 1234567890
ifpermit@x.example DEFER_IF_PERMIT
ifpermitwords@x.example DEFER_IF_PERMIT 4.3.9 service is down
ifreject@x.example DEFER_IF_REJECT
hold@x.example HOLD
discard@x.example DISCARD
filter@x.example FILTER x:y
nofilter@x.example FILTER nowhere
redirect@x.example REDIRECT u@here.example
noredirect@x.example REDIRECT nobody
prepend@x.example PREPEND X-Seen: yes
noprepend@x.example PREPEND nonsense
warn@x.example WARN look
info@x.example INFO look
dunno@x.example DUNNO
rules@x.example reject_non_fqdn_helo_hostname
class@x.example strict
unknown@x.example nonsense
plus@plus.example REJECT plus
plus+tag@plus.example OK
box@ REJECT by its local part
<> REJECT no notices
sub.example REJECT parent
x@y@ext.example REJECT quoted
p+q@plus.example REJECT quoted
quoted+box@ REJECT its local part
user@ REJECT its local part
""",
    "client": """192.0.2.7 REJECT this address
192.0.3 REJECT this network
client.example.org REJECT this name
spam.example.org 554 5.7.1 this domain
friend.example.org OK
2001:db8 REJECT six
""",
    "helo": """liar.example REJECT liar
me.example OK
""",
    "etrn": """queue.example REJECT no queue
""",
    "sasl": """u@here.example REJECT
""",
    "logins": """u@here.example u@here.example
v@here.example v@here.example
x@y@ext.example v@here.example
v w@here.example v@here.example
""",
}
AS_THEY_STAND = {
    "pcre": "/^bulk-([0-9]+)@/ REJECT bulk number $1\n/^(a b|\"|c\\\\|x@)@q\\.example$/ REJECT quoted: $1\n",
    "commands": "/^RCPT TO:<'(.*)'>/ RCPT TO:<$1>\n/^(RCPT TO:<.*>) GARBAGE.*/ $1\n/^HELLO (.*)/ EHLO $1\n/^BREAK/ NOOP\n",
    "words": "/^rude$/ x\n",
    "list": "listed\n",
    "footers": "/^554 5.7.1 .*Relay access/ ask $server_name to relay\n",
}
RELAY = {"smtpd_relay_restrictions": "reject_unauth_destination"}
FROM = "MAIL FROM:<%s>"


def mail(sender, *recipients, helo="EHLO test.example", client=None, end=()):
    return ([f"XCLIENT {client}"] if client else []) + [helo, f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{r}>" for r in recipients), *end]


def recipient(rules, **more):
    return {"smtpd_recipient_restrictions": rules, **RELAY, **more}


def sender(rules, **more):
    return {"smtpd_sender_restrictions": rules, **RELAY, **more}


ACCESS = "check_recipient_access hash:{t}/access, check_sender_access hash:{t}/access"
U, X = "u@here.example", "x@elsewhere.example"
NAMES = ["ok@bad.example", "other@bad.example", "x@deep.bad.example", "defer@x.example", "deferwords@x.example", "reject@x.example",
         "words@x.example", "status@x.example", "code@x.example", "codestatus@x.example", "later@x.example", "onlydigits@x.example",
         "digits@x.example", "ifpermit@x.example", "ifpermitwords@x.example", "ifreject@x.example", "warn@x.example", "info@x.example",
         "dunno@x.example", "rules@x.example", "class@x.example", "unknown@x.example", "plus@plus.example", "plus+tag@plus.example",
         "plus+other@plus.example", "box@any.example", "box+tag@any.example", "", "y@sub.example", "hold@x.example", "nofilter@x.example",
         "noredirect@x.example", "noprepend@x.example", "prepend@x.example"]
CLASS = {"smtpd_restriction_classes": "strict", "strict": "reject_non_fqdn_sender, reject"}

USER = "LOGIN=u@here.example"
LOGINS = {"smtpd_sasl_auth_enable": "yes", "smtpd_tls_auth_only": "no", "smtpd_sender_login_maps": "hash:{t}/logins"}
# As themselves, as another user, as an address that nobody owns, as nobody.
WHOSE = ["EHLO test.example"] + [line for who in ("u@here.example", "v@here.example", "free@here.example", "")
                                 for line in (FROM % who, f"RCPT TO:<{U}>", "RSET")]
# name: settings, what is said
CASES = {
    "strangers may not relay": (RELAY, mail("a@x.example", X)),
    "strangers are put off": ({"smtpd_relay_restrictions": "defer_unauth_destination"}, mail("a@x.example", X)),
    "relaying has a code of its own": ({**RELAY, "relay_domains_reject_code": "551"}, mail("a@x.example", X)),
    "ours come in": (RELAY, mail("a@x.example", U, "nosuch@here.example")),
    "permit ends one list alone": ({"smtpd_client_restrictions": "permit", "smtpd_sender_restrictions": "reject", **RELAY}, mail("a@x.example", U)),
    "reject": (recipient("reject"), mail("a@x.example", U)),
    "reject with a code": (recipient("reject", reject_code="521"), mail("a@x.example", U)),
    "defer": (recipient("defer"), mail("a@x.example", U)),
    "defer with a code": (recipient("defer", defer_code="421"), mail("a@x.example", U)),
    "defer_if_permit": (recipient("defer_if_permit, permit"), mail("a@x.example", U)),
    "defer_if_permit and a reject": (recipient("defer_if_permit, reject"), mail("a@x.example", U)),
    "defer_if_reject": (recipient("defer_if_reject, reject"), mail("a@x.example", U)),
    "defer_if_reject of the list before": (sender("defer_if_reject", smtpd_recipient_restrictions="reject"), mail("a@x.example", U)),
    "defer_if_permit of the list before": (sender("defer_if_permit"), mail("a@x.example", U)),
    "warn_if_reject": (recipient("warn_if_reject reject, permit"), mail("a@x.example", U)),
    "warn_if_reject of a class": ({**CLASS, **recipient("warn_if_reject strict")}, mail("a@x.example", U)),
    "warn_if_reject warns of one": (recipient("warn_if_reject reject, reject_non_fqdn_sender"), mail("a", U)),
    "a class": ({**CLASS, **recipient("strict")}, mail("a", U)),
    "sender without domain": (sender("reject_non_fqdn_sender"), mail("ataylor", U) + ["RSET", "MAIL FROM:Anne", f"RCPT TO:<{U}>", "RSET", "MAIL FROM:<a@short>",
                              f"RCPT TO:<{U}>", "RSET", "MAIL FROM:<>", f"RCPT TO:<{U}>", "RSET", "MAIL FROM:<a@[192.0.2.1]>", f"RCPT TO:<{U}>"]),
    "sender without domain, another code": (sender("reject_non_fqdn_sender", non_fqdn_reject_code="450"), mail("ataylor", U)),
    "recipient without domain": (recipient("reject_non_fqdn_recipient"), mail("a@x.example", "u", "u@short", U, "postmaster")),
    "postmaster alone": (recipient("reject"), mail("a@x.example", "postmaster", "POSTMASTER")),
    "hello with a bad name": ({"smtpd_helo_restrictions": "reject_invalid_helo_hostname", **RELAY}, mail("a@x.example", U, helo="HELO -bad-.example")),
    "hello with bad characters": ({"smtpd_helo_restrictions": "reject_invalid_helo_hostname", **RELAY}, mail("a@x.example", U, helo="HELO a!b.example")),
    "hello with an address": ({"smtpd_helo_restrictions": "reject_invalid_helo_hostname", **RELAY}, mail("a@x.example", U, helo="HELO 192.0.2.1")),
    "hello with a literal": ({"smtpd_helo_restrictions": "reject_invalid_helo_hostname", **RELAY}, mail("a@x.example", U, helo="HELO [192.0.2.1]")),
    "hello with a bad literal": ({"smtpd_helo_restrictions": "reject_invalid_helo_hostname", **RELAY}, mail("a@x.example", U, helo="HELO [192.0.2.1.1]")),
    "hello with a short name": ({"smtpd_helo_restrictions": "reject_non_fqdn_helo_hostname", **RELAY}, mail("a@x.example", U, helo="HELO friend")),
    "hello with an address, not qualified": ({"smtpd_helo_restrictions": "reject_non_fqdn_helo_hostname", **RELAY}, mail("a@x.example", U, helo="HELO 192.0.2.1")),
    "hello with a good name": ({"smtpd_helo_restrictions": "reject_non_fqdn_helo_hostname, reject_invalid_helo_hostname", **RELAY}, mail("a@x.example", U)),
    "no hello, no rules for it": ({"smtpd_helo_restrictions": "reject_non_fqdn_helo_hostname", **RELAY}, ["MAIL FROM:<a@x.example>", f"RCPT TO:<{U}>"]),
    "hello in a table": ({"smtpd_helo_restrictions": "check_helo_access hash:{t}/helo", **RELAY}, mail("a@x.example", U, helo="EHLO liar.example")),
    "a subdomain in hello": ({"smtpd_helo_restrictions": "check_helo_access hash:{t}/helo", **RELAY}, mail("a@x.example", U, helo="EHLO x.liar.example")),
    "OK in hello does not relay": ({"smtpd_helo_restrictions": "check_helo_access hash:{t}/helo", **RELAY}, mail("a@x.example", X, helo="EHLO me.example")),
    "a table alone": (sender("hash:{t}/access"), mail("reject@x.example", U)),
    "unlisted": (recipient("reject_unlisted_recipient, permit"), mail("a@x.example", "nosuch@here.example", U)),
    "unlisted, another code": (recipient("permit", unknown_local_recipient_reject_code="450"), mail("a@x.example", "nosuch@here.example")),
    "unlisted sender": (sender("reject_unlisted_sender"), mail("nosuch@here.example", U)),
    "unlisted sender by setting": (sender("permit", smtpd_reject_unlisted_sender="yes"), mail("nosuch@here.example", U)),
    "unlisted sender from elsewhere": (sender("reject_unlisted_sender"), mail("a@x.example", U)),
    "a notice to two": (recipient("reject_multi_recipient_bounce"), mail("", U, "v@here.example")),
    "a notice to two, at DATA": ({"smtpd_data_restrictions": "reject_multi_recipient_bounce", **RELAY}, mail("", U, "v@here.example", end=["DATA"])),
    "a notice to one, at DATA": ({"smtpd_data_restrictions": "reject_multi_recipient_bounce", **RELAY}, mail("", U, end=["DATA", "."])),
    "in the clear": (recipient("reject_plaintext_session"), mail("a@x.example", U)),
    "in the clear, another code": (recipient("reject_plaintext_session", plaintext_reject_code="530"), mail("a@x.example", U)),
    "destinations of ours": (recipient("permit_auth_destination, reject"), mail("a@x.example", U, "w@relay.example")),
    "not of mynetworks": ({"smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination"}, mail("a@x.example", X)),
    "of mynetworks": ({"smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination"}, mail("a@x.example", X, client="NAME=in.example ADDR=198.51.100.7")),
    "data refused": ({"smtpd_data_restrictions": "reject", **RELAY}, mail("a@x.example", U, end=["DATA", "RSET"])),
    "end refused": ({"smtpd_end_of_data_restrictions": "reject", **RELAY}, mail("a@x.example", U, end=["DATA", "."])),
    "end put off": ({"smtpd_end_of_data_restrictions": "defer_if_permit", **RELAY}, mail("a@x.example", U, end=["DATA", "."])),
    "the client's name": ({"smtpd_client_restrictions": "check_client_access hash:{t}/client", **RELAY}, mail("a@x.example", U, client="NAME=client.example.org ADDR=192.0.2.9")),
    "the domain of its name": ({"smtpd_client_restrictions": "check_client_access hash:{t}/client", **RELAY}, mail("a@x.example", U, client="NAME=a.spam.example.org ADDR=192.0.2.9")),
    "its address": ({"smtpd_client_restrictions": "check_client_access hash:{t}/client", **RELAY}, mail("a@x.example", U, client="NAME=[UNAVAILABLE] ADDR=192.0.2.7")),
    "its network": ({"smtpd_client_restrictions": "check_client_access hash:{t}/client", **RELAY}, mail("a@x.example", U, client="NAME=[UNAVAILABLE] ADDR=192.0.3.7")),
    "its network of IPv6": ({"smtpd_client_restrictions": "check_client_access hash:{t}/client", **RELAY}, mail("a@x.example", U, client="NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::7")),
    "a friend": ({"smtpd_client_restrictions": "check_client_access hash:{t}/client, reject", **RELAY}, mail("a@x.example", U, client="NAME=friend.example.org ADDR=192.0.2.7")),
    "patterns": ({"smtpd_sender_restrictions": "check_sender_access pcre:{t}/pcre", **RELAY}, mail("bulk-17@x.example", U)),
    "a name nobody confirmed": ({"smtpd_client_restrictions": "check_reverse_client_hostname_access hash:{t}/client", **RELAY},
                                mail("a@x.example", U, client="NAME=[UNAVAILABLE] REVERSE_NAME=client.example.org ADDR=192.0.2.9")),
    "OK for a name nobody confirmed": ({"smtpd_client_restrictions": "check_reverse_client_hostname_access hash:{t}/client", **RELAY},
                                       mail("a@x.example", U, client="NAME=[UNAVAILABLE] REVERSE_NAME=friend.example.org ADDR=192.0.2.9")),
    "at once: the client": ({"smtpd_delay_reject": "no", "smtpd_client_restrictions": "reject", **RELAY}, mail("a@x.example", U) + ["NOOP"]),
    "at once: hello": ({"smtpd_delay_reject": "no", "smtpd_helo_restrictions": "reject_non_fqdn_helo_hostname", **RELAY}, mail("a@x.example", U, helo="EHLO friend")),
    "at once: the sender": ({"smtpd_delay_reject": "no", "smtpd_sender_restrictions": "check_sender_access hash:{t}/access", **RELAY},
                            mail("reject@x.example", U) + [FROM % "a@x.example", f"RCPT TO:<{U}>"]),
    "at once: put off to the recipient": ({"smtpd_delay_reject": "no", "smtpd_sender_restrictions": "defer_if_permit", **RELAY}, mail("a@x.example", X, U)),
    "verified": (recipient("check_recipient_access hash:{t}/access"), ["EHLO x.example", f"VRFY {U}", "VRFY nosuch@here.example", f"VRFY {X}"]),
    "verified by the name of a user": (RELAY, ["EHLO x.example", f"VRFY Jill Smith <{U}>", f'VRFY "Jill Smith" <{U}>', f"VRFY <{U}> SMTPUTF8", "VRFY u v", f"VRFY {U} SMTPUTF8 x",
                                               f"VRFY Jill <nosuch@here.example>", f"VRFY a@b.example <{U}", f"VRFY {U},{U}", "VRFY Jill <>"]),
    "verified, refused": (recipient("reject"), ["EHLO x.example", f"VRFY {U}"]),
    "many recipients, one refused": (recipient("check_recipient_access inline:{{v@here.example=REJECT}}"), mail("a@x.example", U, "v@here.example", U)),
    "parameters nobody knows": (RELAY, ["EHLO x.example", FROM % "a@x.example" + " FOO=bar", FROM % "a@x.example" + " BODY=8BITMIME XYZ foo", FROM % "a@x.example",
                                        f"RCPT TO:<{U}> NOTIFY=NEVER Bar", f"RCPT TO:<{U}> FOO=" + "x" * 60, f"RCPT TO:<{U}>"]),
    "a footer": ({**RELAY, "smtpd_reject_footer": "call +1 555, from $client_address"}, mail("a@x.example", X)),
    "a footer of two lines": ({**RELAY, "smtpd_reject_footer": "call us\\ntell $server_name and $sender"}, mail("a@x.example", X)),
    "a footer on the same line": ({**RELAY, "smtpd_reject_footer": "\\c; ask $sender"}, mail("a@x.example", X)),
    "a last refusal within a class": ({"smtpd_relay_restrictions": "permit_mynetworks", "smtpd_recipient_restrictions": "permit_mynetworks, strangers",
                                       "smtpd_restriction_classes": "strangers", "strangers": "reject_unauth_destination"}, mail("a@x.example", U, X)),
    "old names of hello": ({"smtpd_helo_restrictions": "reject_invalid_hostname, reject_non_fqdn_hostname", **RELAY}, mail("a@x.example", U, helo="HELO a!b") + ["RSET", "HELO friend", FROM % "a@x.example", f"RCPT TO:<{U}>"]),
    "the old name of unlisted": (recipient("check_recipient_maps"), mail("a@x.example", "nosuch@here.example", U)),
    "the old name of an unknown client": ({"smtpd_client_restrictions": "reject_unknown_client", **RELAY}, mail("a@x.example", U, client="NAME=[UNAVAILABLE] ADDR=192.0.2.7")),
    "an unknown client": ({"smtpd_client_restrictions": "reject_unknown_client_hostname", **RELAY, "unknown_client_reject_code": "550"}, mail("a@x.example", U, client="NAME=[UNAVAILABLE] ADDR=192.0.2.7")),
    "a client that cannot be known now": ({"smtpd_client_restrictions": "reject_unknown_client_hostname", **RELAY, "unknown_client_reject_code": "550"}, mail("a@x.example", U, client="NAME=[TEMPUNAVAIL] ADDR=192.0.2.7")),
    "a client with a name that says another": ({"smtpd_client_restrictions": "reject_unknown_reverse_client_hostname", **RELAY}, mail("a@x.example", U, client="NAME=[UNAVAILABLE] REVERSE_NAME=x.example ADDR=192.0.2.7")),
    "a client without any name": ({"smtpd_client_restrictions": "reject_unknown_reverse_client_hostname", **RELAY}, mail("a@x.example", U, client="NAME=[UNAVAILABLE] REVERSE_NAME=[UNAVAILABLE] ADDR=192.0.2.7")),
    "relay domains of old": ({"smtpd_relay_restrictions": "check_relay_domains", "smtpd_recipient_restrictions": "check_relay_domains, reject"}, mail("a@x.example", U, "w@relay.example", X)),
    "of this machine": ({"smtpd_relay_restrictions": "permit_inet_interfaces, reject_unauth_destination"}, mail("a@x.example", X)),
    "hello with an address is permitted": ({"smtpd_helo_restrictions": "permit_naked_ip_address, reject", **RELAY}, mail("a@x.example", U, helo="HELO 192.0.2.1") + ["RSET", "HELO friend", FROM % "a@x.example", f"RCPT TO:<{U}>"]),
    "hello with no good address is not": ({"smtpd_helo_restrictions": "permit_naked_ip_address, reject", **RELAY}, mail("a@x.example", U, helo="HELO 192.0.2.1.1")),
    "lists of old, none": (recipient("reject_maps_rbl, reject"), mail("a@x.example", U)),
    "recipients before relaying": ({**RELAY, "smtpd_recipient_restrictions": "reject", "smtpd_relay_before_recipient_restrictions": "no"}, mail("a@x.example", X, U)),
    "relaying before recipients": ({**RELAY, "smtpd_recipient_restrictions": "reject", "smtpd_relay_before_recipient_restrictions": "yes"}, mail("a@x.example", X, U)),
    "mail of a domain is asked for": ({"smtpd_etrn_restrictions": "check_etrn_access hash:{t}/etrn, reject", **RELAY}, ["EHLO x.example", "ETRN queue.example", "ETRN sub.queue.example", "ETRN relay.example"]),
    "mail of a domain, a table alone": ({"smtpd_etrn_restrictions": "hash:{t}/etrn, reject", **RELAY}, ["EHLO x.example", "ETRN queue.example", "ETRN relay.example"]),
    "mail of a domain is not asked for by strangers": ({"smtpd_etrn_restrictions": "permit_mynetworks, reject", **RELAY, "reject_code": "521"}, ["EHLO x.example", "ETRN relay.example"]),
    "who has logged in": ({"smtpd_relay_restrictions": "permit_sasl_authenticated, reject_unauth_destination", **LOGINS}, mail("a@x.example", X, client=USER)),
    "who has logged in is in a table": (recipient("check_sasl_access hash:{t}/sasl", **LOGINS), mail("a@x.example", U, client=USER)),
    "who has logged in is in no table": (recipient("check_sasl_access hash:{t}/sasl", **LOGINS), mail("a@x.example", U, client="LOGIN=v@here.example")),
    "who has not logged in": (recipient("check_sasl_access hash:{t}/sasl", **LOGINS), mail("a@x.example", U)),
    **{f"{rule}, {who}": (sender(rule, **LOGINS), WHOSE if who == "a stranger" else [f"XCLIENT {USER}", *WHOSE])
       for rule in ("reject_sender_login_mismatch", "reject_authenticated_sender_login_mismatch", "reject_known_sender_login_mismatch",
                    "reject_unauthenticated_sender_login_mismatch") for who in ("a user", "a stranger")},
    "commands are turned into others": ({**RELAY, "smtpd_command_filter": "pcre:{t}/commands"}, ["EHLO x.example", "  MAIL FROM:<a@x.example>", "RCPT TO:<'u@here.example'>", f"RCPT TO:<{U}> GARBAGE=1", "HELLO x", "BREAK", "RSET"]),
    "words that do nothing": ({**RELAY, "smtpd_noop_commands": "XNOTHING vrfy"}, ["EHLO x.example", "XNOTHING at all", "VRFY nosuch@here.example"]),
    **{f"no command: {word!r}": (RELAY, ["EHLO x.example", word]) for word in ("FOO", "", "123", "?x", ": x", ".", "From: x", "Subject:hello", "FOO:", "MAIL: x",
                                                                               "Subject : x", "$%&", "\u00e9", "(x", "CONNECT x", "get /")},
    **{f"no command that is listed: {word!r}": ({**RELAY, "smtpd_forbidden_commands": "!XFINE, regexp:{{{{/^X/ no}}}}, pcre:{t}/words, {t}/list, !NOOP"},
                                                ["EHLO x.example", word]) for word in ("xfine", "XBAD", "rude", "RUDEST", "listed", "?x", "Get /", "NOOP", "x:y")},
    **{f"a word of a table that does nothing: {word!r}": ({**RELAY, "smtpd_noop_commands": "pcre:{t}/words, regexp:{{{{/^\\?/ x}}}}"}, ["EHLO x.example", word])
       for word in ("rude", "RUDEST", "?x")},
    **{f"who asks about addresses, {what}": ({**RELAY, "address_verify_sender": "probe@here.example", **lines},
                                             mail("", "probe@here.example", "PROBE@here.example", "double-bounce@here.example", "nosuch@here.example") + ["RSET", FROM % "probe@here.example", f"RCPT TO:<{U}>"])
       for what, lines in (("unlisted", {}), ("recipients", {"smtpd_recipient_restrictions": "reject"}), ("clients", {"smtpd_client_restrictions": "reject"}),
                           ("at once", {"smtpd_client_restrictions": "reject", "smtpd_delay_reject": "no"}), ("changing", {"address_verify_sender_ttl": "1h"}))},
    "who asks about addresses, as is": ({**RELAY, "smtpd_recipient_restrictions": "reject"}, mail("", "double-bounce@here.example", "double-bounce@mail.here.example")),
    "a footer by the reply": ({**RELAY, "smtpd_reject_footer": "for all", "smtpd_reject_footer_maps": "pcre:{t}/footers"}, mail("a@x.example", X, "nosuch@here.example")),
    "a footer by the reply alone": ({**RELAY, "smtpd_reject_footer_maps": "pcre:{t}/footers"}, mail("a@x.example", X, "nosuch@here.example")),
    "recipients past the limit are no mistakes": ({**RELAY, "smtpd_recipient_limit": "2", "smtpd_hard_error_limit": "3"}, mail("a@x.example", *[U] * 9, end=["DATA", "."])),
    "recipients that are refused are none of them": ({**RELAY, "smtpd_recipient_limit": "2"}, mail("a@x.example", "nosuch@here.example", U, "nosuch@here.example", X, U, U, "nosuch@here.example", end=["DATA", "."])),
    "recipients that are refused overshoot nothing": ({**RELAY, "smtpd_recipient_limit": "2", "smtpd_recipient_overshoot_limit": "2", "smtpd_hard_error_limit": "6"},
                                                      mail("a@x.example", *["nosuch@here.example"] * 3, *[U] * 8)),
    "recipients far past the limit are": ({**RELAY, "smtpd_recipient_limit": "2", "smtpd_recipient_overshoot_limit": "3", "smtpd_hard_error_limit": "3"}, mail("a@x.example", *[U] * 7)),
    "codes of access tables": (sender("check_sender_access hash:{t}/access", access_map_reject_code="521", access_map_defer_code="471"), mail("defer@x.example", U) + ["RSET", FROM % "reject@x.example", f"RCPT TO:<{U}>"]),
    "hello with a bad name, another code": ({"smtpd_helo_restrictions": "reject_invalid_helo_hostname", **RELAY, "invalid_hostname_reject_code": "471"}, mail("a@x.example", U, helo="HELO a!b.example")),
    "a notice to two, another code": ({"smtpd_data_restrictions": "reject_multi_recipient_bounce", **RELAY, "multi_recipient_bounce_reject_code": "471"}, mail("", U, "v@here.example", end=["DATA"])),
    "relays unlisted, another code": ({**RELAY, "relay_recipient_maps": "inline:{{w@relay.example=x}}", "unknown_relay_recipient_reject_code": "471"}, mail("a@x.example", "w@relay.example", "no@relay.example")),
    "spoken out of turn": ({"smtpd_data_restrictions": "reject_unauth_pipelining", **RELAY, "smtpd_forbid_unauth_pipelining": None},
                           mail("a@x.example", U, helo="HELO x.example\r\nNOOP", end=["DATA"])),
}
# The local parts that cannot be written without quotes are asked for without them (rfc5321:4.1.2 what they mean); one that is empty
# hides no domain, and no recipient has such a one here: 501.
QUOTED = ['"x@y"@ext.example', '"user"@q.example', '"p+q"@plus.example', '"quoted+box"@q.example', '"user+t@x"@q.example', '"a b"@q.example', '"\\""@q.example',
          '"@bad.example"@q.example', '"c\\\\"@q.example', '"x@"@q.example', '"reject"@x.example', '"rejec\\t"@x.example', '"other@bad.example"@q.example', '"warn"@x.example']
for name, rule in (("senders", sender), ("recipients", recipient)):
    said = [line for who in QUOTED + ['""@bad.example'] * (name == "senders") for line in ((FROM % who, f"RCPT TO:<{U}>", "RSET") if name == "senders" else (f"RCPT TO:<{who}>",))]
    said = ["EHLO test.example", *([] if name == "senders" else [FROM % "a@b.example"]), *said]
    for what, rules in (("", "check_{0}_access hash:{{t}}/access, check_{0}_access pcre:{{t}}/pcre"), (", all", "reject")):
        CASES[f"{name} in quotes{what}"] = ({**rule(rules.format(name[:-1])), "smtpd_relay_restrictions": "check_client_access static:OK, reject_unauth_destination" if name == "recipients"
                                             else RELAY["smtpd_relay_restrictions"], "smtpd_hard_error_limit": "1000", "smtpd_soft_error_limit": "1000"}, said)
CASES["recipients in quotes may not be relayed to"] = ({**RELAY, "smtpd_hard_error_limit": "1000", "smtpd_soft_error_limit": "1000"},
                                                       mail("a@x.example", *QUOTED, '"no such"@here.example'))
CASES["users' addresses in quotes"] = ({**sender("reject_sender_login_mismatch"), **LOGINS}, [f"XCLIENT {USER}", "EHLO test.example"] + [
    line for who in QUOTED + ['"u"@here.example', '"v w"@here.example'] for line in (FROM % who, f"RCPT TO:<{U}>", "RSET")])
# Every action word, said of a sender: in the list for senders, and in that for relaying.
WORDS = ["EHLO friend"] + [line for name in NAMES for line in (FROM % name, f"RCPT TO:<{U}>", f"RCPT TO:<{X}>", "RSET")]
CASES["access tables, senders"] = ({**CLASS, **sender("check_sender_access hash:{t}/access"), "smtpd_hard_error_limit": "1000", "smtpd_soft_error_limit": "1000"}, WORDS)
CASES["access tables, relaying"] = ({**CLASS, "smtpd_relay_restrictions": "check_sender_access hash:{t}/access, reject_unauth_destination",
                                     "smtpd_hard_error_limit": "1000", "smtpd_soft_error_limit": "1000"}, WORDS)
for name in ("smtpd_client_restrictions", "smtpd_helo_restrictions"):
    CASES[f"{name} asks of senders"] = ({name: "check_sender_access hash:{t}/access", **RELAY},
                                        mail("status@x.example", U, end=["RSET", FROM % "reject@x.example", f"RCPT TO:<{U}>"]))

@pytest.fixture(scope="module")
def both():
    texts = {**TABLES, "aliases": "u: u@far.example\nv: v@far.example\npostmaster: p@far.example\n"}
    with tables_of(texts, **AS_THEY_STAND) as tables:
        postfix = Postfix(tables, CASES)
        settings = dict(line.split(" =", 1) for line in settings_for(tables).strip().split("\n"))
        settings = {name: value.strip() for name, value in settings.items()}
        settings["smtpd_sender_login_check"] = "none"
        try:
            with House(**settings, allow_null_sender_refusal="yes") as house:
                yield postfix, house, tables
        finally:
            postfix.close()


@pytest.mark.parametrize("case", CASES)
def test_replies_are_those_of_postfix(both, case):
    postfix, house, tables = both
    names = {name for settings, _ in CASES.values() for name in settings}
    settings, said = CASES[case]
    house.write_settings(**{name: settings[name].format(t=tables) if settings.get(name) is not None else None for name in names})
    house.command("reload", check=False)   # with 1 where both find a "$" in a table that has no number behind it
    theirs = Talk(postfix.ports[case]).all(said)
    for _ in range(3):                     # a busy machine has not reloaded everywhere yet
        ours = Talk(house.ports["smtp"]).all(said)
        if ours == theirs:
            break
        time.sleep(1)
    assert ours == theirs
