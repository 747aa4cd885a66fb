# SPDX-License-Identifier: ISC
"""Every name of a restriction that Debian's Postfix documents or knows is a rule here, or the settings check says what to write."""

import gzip
import os
import re
import shutil
import subprocess

import pytest
from house import BINARY, House

MANUAL, SMTPD = "/usr/share/man/man5/postconf.5.gz", "/usr/lib/postfix/sbin/smtpd"
LISTS = ["client", "helo", "sender", "relay", "recipient", "data", "end_of_data", "etrn"]
pytestmark = pytest.mark.skipif(not os.path.exists(MANUAL) or not os.path.exists(SMTPD), reason="needs Debian's Postfix and its manual")
# Names of functions and parameters in the program, which no list may have.
NO_RULES = {
    "check_access", "check_addr_access", "check_address_map", "check_domain_access", "check_mail_access", "check_namadr_access", "check_server_access",
    "check_table_result", "permit_dnswl_addr", "permit_dnswl_domain", "permit_mx_backup_networks", "permit_mx_primary", "reject_code",
    "reject_invalid_hostaddr", "reject_non_fqdn_address", "reject_rbl", "reject_rbl_addr", "reject_rbl_domain", "reject_unknown_mailhost",
    "reject_unknown_reverse_name", "reject_warning", "reject_tempfail_action", "defer_code", "defer_transports",
}
EXPLAINED = {"reject_unknown_forward_client_hostname": "reject_unknown_client_hostname", "check_address_map": "check_client_access", "reject_rbl": "reject_rbl_client"}
ARGUMENTS = [("check_policy_service", "inet:127.0.0.1:10031"), ("reject_rbl_", "list.example"), ("reject_rhsbl_", "list.example"), ("permit_dnswl_", "list.example"),
             ("permit_rhswl_", "list.example"), ("sleep", "1"), ("check_recipient_maps", ""), ("check_relay_domains", ""), ("check_", "inline:{{x=OK}}")]


def documented():
    """The names that the sections of the eight lists explain."""
    with gzip.open(MANUAL, "rt", errors="replace") as f:
        sections = re.split(r"^\.SH ", f.read(), flags=re.MULTILINE)
    found = set()
    for name in LISTS:
        section = next(s for s in sections if s.startswith(f"smtpd_{name}_restrictions "))
        found.update(re.findall(r'^\.IP "\\fB([a-z_]+)', section, flags=re.MULTILINE))
        found.update(re.findall(r"\b((?:permit|reject|check|defer|warn_if)_[a-z_]+)\\fR", section))
    return found


def spelled():
    """Those that stand in the program, old spellings among them."""
    with open(SMTPD, "rb") as f:
        words = set(re.findall(rb"\0((?:permit|reject|check|defer)(?:_[a-z_]+)?|warn_if_reject|sleep)(?=\0)", f.read()))
    return {w.decode() for w in words} - NO_RULES


NAMES = sorted((documented() | spelled() | set(EXPLAINED)) - {n for n in NO_RULES if n not in EXPLAINED}) if os.path.exists(MANUAL) and os.path.exists(SMTPD) else []


def test_both_sources_were_read():
    assert len(documented()) > 50 and {"permit_mynetworks", "reject_unknown_client_hostname", "check_etrn_access"} <= documented()
    assert {"check_relay_domains", "reject_maps_rbl", "permit_naked_ip_address", "reject_unknown_client", "reject_unknown_hostname"} <= spelled()


@pytest.fixture(scope="module")
def house():
    house = House()
    yield house
    shutil.rmtree(house.directory, ignore_errors=True)


@pytest.mark.parametrize("name", NAMES)
def test_each_name_of_postfix_is_a_rule_or_explained(house, name):
    argument = next((a for begin, a in ARGUMENTS if name.startswith(begin)), "")
    rule = f"{name} reject" if name == "warn_if_reject" else f"{name} {argument}"
    house.write_settings(smtpd_restriction_classes="one", one=rule)
    done = house.command("config", "check", check=False)
    said = done.stdout + done.stderr
    if name in EXPLAINED:
        assert done.returncode != 0 and f"{name} is no rule; " in said and EXPLAINED[name] in said, said
    else:
        assert done.returncode == 0 and "is no rule" not in said, said


@pytest.mark.parametrize("rule, instead", [("reject_maps_rbl", "write reject_rbl_client"), ("check_relay_domains", "write reject_unauth_destination"),
                                           ("permit_naked_ip_address", "write permit_mynetworks")])
def test_what_postfix_gives_up_is_warned_of(house, rule, instead):
    house.write_settings(smtpd_restriction_classes=None, one=None, smtpd_recipient_restrictions=f"{rule}, reject_unauth_destination")
    done = house.command("config", "check")
    assert f"smtpd_recipient_restrictions: {rule}: " in done.stdout + done.stderr and instead in done.stdout + done.stderr
    house.write_settings(smtpd_recipient_restrictions=None)


@pytest.mark.parametrize("settings, good", [
    ({"smtpd_recipient_restrictions": "permit_mynetworks", "smtpd_relay_restrictions": "permit_mynetworks"}, False),
    ({"smtpd_recipient_restrictions": "permit_mynetworks, warn_if_reject reject", "smtpd_relay_restrictions": "permit_mynetworks"}, False),
    ({"smtpd_recipient_restrictions": "permit_mynetworks, others", "smtpd_relay_restrictions": "permit_mynetworks", "smtpd_restriction_classes": "others", "others": "reject_unauth_destination"}, True),
    ({"smtpd_recipient_restrictions": "permit_mynetworks, others", "smtpd_relay_restrictions": "permit_mynetworks", "smtpd_restriction_classes": "others", "others": "permit_sasl_authenticated"}, False),
    ({"smtpd_recipient_restrictions": "permit_mynetworks, warn_if_reject others", "smtpd_relay_restrictions": "permit_mynetworks", "smtpd_restriction_classes": "others", "others": "reject"}, False),
    ({"smtpd_recipient_restrictions": "permit_sasl_authenticated, permit, reject_unauth_destination", "smtpd_relay_restrictions": "permit_mynetworks"}, False),
    ({"smtpd_recipient_restrictions": "others, reject_unauth_destination", "smtpd_relay_restrictions": "permit_mynetworks", "smtpd_restriction_classes": "others", "others": "permit, reject"}, True),
    *[({"smtpd_recipient_restrictions": last, "smtpd_relay_restrictions": "permit_mynetworks"}, True)
      for last in ("reject", "defer", "defer_if_permit", "reject_unauth_destination", "defer_unauth_destination", "check_relay_domains")],
])
def test_R180_a_list_without_a_last_refusal_is_refused_as_postfix_does(house, settings, good):
    house.write_settings(**{"smtpd_restriction_classes": None, "others": None, "one": None, **settings})
    done = house.command("config", "check", check=False)
    assert (done.returncode == 0) == good, done.stdout + done.stderr
    assert good or "specify at least one working instance of: reject_unauth_destination" in done.stdout + done.stderr


FAMILIES = ("smtpd_", "postscreen_", "anvil_", "tlsproxy_", "dnsblog_", "address_verify_", "unverified_", "maps_rbl_", "access_map_", "permit_mx_", "client_fqdn", "check_")
NAMED = {"in_flow_delay", "message_reject_characters", "message_strip_characters", "default_rbl_reply", "rbl_reply_maps", "reject_code", "defer_code", "plaintext_reject_code",
         "unknown_client_reject_code", "strict_rfc821_envelopes", "relay_domains_reject_code", "parent_domain_matches_subdomains", "receive_override_options", "allow_untrusted_routing"}


@pytest.mark.skipif(shutil.which("postconf") is None, reason="needs Postfix")
def test_every_setting_of_smtpd_and_postscreen_is_known_or_explained(house):
    known = {line.split(" =")[0] for line in subprocess.run(["postconf", "-d"], capture_output=True, text=True, check=True).stdout.splitlines()}
    names = sorted(n for n in known if n.startswith(FAMILIES) or n in NAMED)
    assert len(names) > 250 and NAMED <= known
    house.write_settings(smtpd_restriction_classes=None, one=None, others=None)
    house.config.write_text(house.config.read_text() + "".join(f"{n} =\n" for n in names))
    done = house.command("config", "check", check=False)
    unknown = re.findall(r"(\S+) is not a setting", done.stdout + done.stderr)
    house.write_settings()
    assert unknown == []
    assert "tlsproxy_tls_loglevel means nothing here: every receiver speaks TLS itself" in done.stdout + done.stderr


def test_each_rule_has_a_dialogue_or_stands_beside_postfix():
    """What is here, by the tables of the source: nothing is shown by nobody."""
    source = os.environ.get("MANSIO_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    rules = set()
    for name in os.listdir(f"{source}/src/policy"):
        if name.startswith("rule-") and name.endswith(".c"):
            with open(f"{source}/src/policy/{name}") as f:
                rules.update(re.findall(r'\{ \.name = "([a-z_]+)"', f.read()))
    spoken = {name.split("-")[0] for name in os.listdir(f"{source}/test/dialogue/rules")}
    beside = ""
    for name in ("test_witness_beside_postfix.py", "test_restrictions_beside_postfix.py"):
        with open(f"{source}/test/whole/{name}") as f:
            beside += f.read()
    others = dict.fromkeys(("permit_tls_clientcerts", "permit_tls_all_clientcerts", "check_ccert_access"), "test_tls.py")
    missing = {r for r in rules if r not in spoken and not re.search(rf"\b{r}\b", beside)}
    assert len(rules) > 75 and missing <= set(others), missing
    for rule in missing:
        with open(f"{source}/test/whole/{others[rule]}") as f:
            assert rule in f.read()


@pytest.mark.parametrize("table, told", [
    ("inline:{{<> = REJECT no notices}}", True), ("inline:{{<> = 554 5.7.1 none}}", True), ("inline:{{<> = DISCARD}}", True),
    ("inline:{{<> = DUNNO}}", False), ("inline:{{<> = OK}}", False), ("regexp:FILE", True), ("static:REJECT", True),
])
def test_R106_a_table_that_refuses_the_null_sender_is_not_put_in_force(house, tmp_path, table, told):
    (tmp_path / "nobody").write_text("/^<>$/ REJECT no notices\n/@here/ OK\n")
    table = table.replace("FILE", str(tmp_path / "nobody"))
    for override in (False, True):
        house.write_settings(smtpd_restriction_classes=None, one=None, others=None, smtpd_relay_restrictions=None,
                             smtpd_recipient_restrictions=f"check_sender_access {table}, reject_unauth_destination",
                             allow_null_sender_refusal="yes" if override else None)
        done = house.command("config", "check", check=False)
        assert ("notices of other servers have no sender" in done.stdout + done.stderr) == told, done.stdout + done.stderr
        assert (done.returncode != 0) == (told and not override), done.stdout + done.stderr
    # The same table for something else than senders says nothing of them.
    house.write_settings(smtpd_recipient_restrictions="check_helo_access static:REJECT, reject_unauth_destination", allow_null_sender_refusal=None)
    assert house.command("config", "check", check=False).returncode == 0


def test_the_old_name_of_a_deadline_is_its_default(tmp_path):
    main = tmp_path / "main.cf"
    for said, shown in (("", "yes"), ("smtpd_per_record_deadline = no\n", "no"), ("smtpd_per_record_deadline = yes\n", "yes"),
                        ("smtpd_per_record_deadline = no\nsmtpd_per_request_deadline = yes\n", "yes")):
        main.write_text("myhostname = mail.example.com\n" + said)
        done = subprocess.run([BINARY, "-c", main, "postconf", "-xh", "smtpd_per_request_deadline"], capture_output=True, text=True, timeout=30)
        assert done.stdout.strip() == shown, (said, done.stderr)
