# SPDX-License-Identifier: ISC
"""The settings check warns of an open relay where Debian's Postfix, with the same lines, would be one, and nowhere else."""

import os
import shutil

import pytest
from beside import Postfix, Talk, settings_for, tables_of
from house import House

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

CLIENTS = ["9.9.9.9", "208.67.222.222", "IPV6:2620:fe::fe"]
NETWORKS = {"smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination"}


def lists(relay, **more):
    return {"smtpd_relay_restrictions": relay, **more}


CASES = {
    "all": {**NETWORKS, "mynetworks": "0.0.0.0/0"},
    "all, in two halves": {**NETWORKS, "mynetworks": "0.0.0.0/1 128.0.0.0/1"},
    "the upper half": {**NETWORKS, "mynetworks": "127.0.0.0/8 128.0.0.0/1"},
    "all but some": {**NETWORKS, "mynetworks": "!192.0.2.0/24 0.0.0.0/0"},
    "all of IPv6": {**NETWORKS, "mynetworks": "[2000::]/3"},
    "a table that has all": {**NETWORKS, "mynetworks": "static:all"},
    "a pattern that has all": {**NETWORKS, "mynetworks": "pcre:{t}/all"},
    "networks in a table": {**NETWORKS, "mynetworks": "cidr:{t}/world"},
    "networks in a file": {**NETWORKS, "mynetworks": "{t}/file"},
    "nothing is permitted to them": {"smtpd_relay_restrictions": "reject_unauth_destination", "mynetworks": "10.0.0.0/8"},
    "networks of one's own": {**NETWORKS, "mynetworks": "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 [::1]/128 [fc00::]/7 [fe80::]/10"},
    "networks of one's own, in a table": {**NETWORKS, "mynetworks": "cidr:{t}/own"},
    "every recipient is OK": lists("check_recipient_access pcre:{t}/all, reject"),
    "every client is OK": lists("check_client_access static:OK, reject"),
    "every name in hello is OK": lists("check_helo_access pcre:{t}/all, reject"),
    "every sender is OK, by a class": {**lists("friends, reject_unauth_destination"), "smtpd_restriction_classes": "friends", "friends": "check_sender_access static:OK"},
    "every client is OK, where it does no harm": lists("reject_unauth_destination", smtpd_client_restrictions="check_client_access static:OK", smtpd_recipient_restrictions="permit"),
    "a recipient list lets them": lists("permit_mynetworks", smtpd_recipient_restrictions="check_client_access static:OK, reject_unauth_destination"),
    "a recipient list that does not": lists("permit_mynetworks", smtpd_recipient_restrictions="check_client_access static:DUNNO, reject_unauth_destination"),
    "a warning only": lists("warn_if_reject reject_unauth_destination", smtpd_recipient_restrictions="permit_mynetworks, check_sender_access static:OK, reject"),
    "clients are refused": lists("check_client_access static:OK, reject", smtpd_client_restrictions="permit_mynetworks, reject"),
    "clients are refused at once": lists("check_client_access static:OK, reject", smtpd_client_restrictions="permit_mynetworks, reject", smtpd_delay_reject="no"),
    "put off": lists("defer_if_permit, permit"),
    "one's own domains": {**lists("reject_unauth_destination"), "relay_domains": "here.example, hash:{t}/domains"},
}
AS_THEY_STAND = {"all": "/./ OK\n", "world": "10.0.0.0/8 OK\n0.0.0.0/0 OK\n", "own": "10.0.0.0/8 OK\n", "file": "# ours\n10.0.0.0/8\n0.0.0.0/2, 192.0.0.0/3\n"}


@pytest.fixture(scope="module")
def both():
    with tables_of({"aliases": "u: u@far.example\n", "domains": "relay.example x\n"}, **AS_THEY_STAND) as tables:
        postfix = Postfix(tables, {case: (settings, ()) for case, settings in CASES.items()})
        house = House()
        try:
            yield postfix, house, tables
        finally:
            postfix.close()
            house.close()


@pytest.mark.parametrize("case", CASES)
def test_we_warn_where_postfix_would_relay_for_strangers(both, case):
    postfix, house, tables = both
    relayed = any(Talk(postfix.ports[case]).all([f"XCLIENT NAME=mail.stranger.example ADDR={client}", "EHLO mail.stranger.example", "MAIL FROM:<a@stranger.example>",
                                                 "RCPT TO:<x@elsewhere.example>"])[-1][:3] == "250" for client in CLIENTS)
    names = {name for settings in CASES.values() for name in settings}
    default = dict(line.split(" =", 1) for line in settings_for(tables).strip().split("\n"))
    house.write_settings(**{name: CASES[case].get(name, default.get(name, "").strip() or None) for name in names})
    house.config.write_text(house.config.read_text().replace("{t}", tables))
    done = house.command("config", "check")
    assert ("open relay" in done.stderr) == relayed, done.stderr
