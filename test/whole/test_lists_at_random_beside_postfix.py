# SPDX-License-Identifier: ISC
"""Lists of rules as nobody would write them, given to Debian's Postfix and to us: what both say to the same commands, and what
`mansio policy explain` says of it before.  The lists are drawn, with a number that stays (SEED=... draws others).

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_lists_at_random_beside_postfix.py
"""

import contextlib
import os
import random
import re
import shutil

import pytest
from beside import Postfix, Talk, plain, settings_for, tables_of
from house import House
from ports import free_ports

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

SEED = int(os.environ.get("SEED", "5321"))
COUNT = int(os.environ.get("LISTS", "48"))
LISTENERS = 16
TABLES = {"aliases": "u: u@far.example\nw: w@far.example\npostmaster: p@far.example\n"}
HELLOS = ["client.example", "nodots", "bad_name!", "[127.0.0.1]", "a..b"]
SENDERS = ["a@x.example", "bare", "", "u@here.example", "nobody@here.example", "no@x.example", "later@x.example", "perhaps@x.example", "unless@x.example", "class@x.example", "fine@x.example", "held@x.example"]
RECIPIENTS = ["u@here.example", "w@here.example", "nobody@here.example", "x@away.example", "bare", "r@relay.example", "u@nodots"]
SAYS = ("inline:{ {no@x.example = REJECT} {later@x.example = DEFER} {perhaps@x.example = DEFER_IF_PERMIT} {unless@x.example = DEFER_IF_REJECT} {class@x.example = one}"
        " {fine@x.example = OK} {held@x.example = HOLD} }")
CODES = "inline:{ {no@x.example = 521 5.7.9 go} {later@x.example = 450 4.7.9 wait} {fine@x.example = permit_auth_destination, reject} {class@x.example = two} {perhaps@x.example = warn_if_reject reject} }"
RULES = ["permit_mynetworks", "reject_unauth_destination", "defer_unauth_destination", "permit_auth_destination", f"check_sender_access {SAYS}", f"check_sender_access {CODES}",
         "check_helo_access inline:{ {nodots = DEFER_IF_PERMIT helo} {client.example = DUNNO} {a..b = 554 no} }", "check_recipient_access inline:{ {x@away.example = DEFER_IF_REJECT} {here.example = DUNNO} {u@ = one} {w@here.example = OK} }",
         "check_client_access inline:{ {127.0.0 = DUNNO} {127.0.0.1 = DEFER_IF_REJECT} }", "reject_non_fqdn_sender", "reject_non_fqdn_recipient", "reject_invalid_helo_hostname", "reject_non_fqdn_helo_hostname",
         "defer_if_permit", "defer_if_reject", "warn_if_reject reject", "warn_if_reject one", "warn_if_reject reject_non_fqdn_sender", "warn_if_reject defer_if_permit", "reject", "defer", "permit", "one", "two",
         "reject_unlisted_recipient", "reject_multi_recipient_bounce", "reject_plaintext_session", "sleep 0"]
CLASSES = {"one": "reject_non_fqdn_helo_hostname, defer_if_reject", "two": "warn_if_reject reject_non_fqdn_sender, check_sender_access inline:{ {a@x.example = one} {u@here.example = OK} }, defer_if_permit"}
MOMENTS = ["client", "helo", "sender", "relay", "recipient", "data", "end_of_data"]
FINAL = {"relay": "reject_unauth_destination"}


def drawn():
    """Settings, and what is said: the same whenever the number is."""
    chance = random.Random(SEED)
    for i in range(COUNT):
        settings = {f"smtpd_{m}_restrictions": "" for m in MOMENTS}
        for moment in chance.sample(MOMENTS, chance.randint(1, 4)):
            rules = [r for r in RULES if r != "permit" or moment != "relay"]      # neither starts with one before its last refusal
            settings[f"smtpd_{moment}_restrictions"] = ", ".join(chance.choices(rules, k=chance.randint(1, 5)))
        settings["smtpd_relay_restrictions"] = ", ".join([w for w in [settings["smtpd_relay_restrictions"]] if w] + ["reject_unauth_destination"])
        settings["smtpd_delay_reject"] = chance.choice(["yes", "yes", "no"])
        said = [f"{chance.choice(['EHLO', 'HELO'])} {chance.choice(HELLOS)}"]
        for _ in range(3):
            said += [f"MAIL FROM:<{chance.choice(SENDERS)}>"] + [f"RCPT TO:<{r}>" for r in chance.sample(RECIPIENTS, 3)] + ["DATA", ".", "RSET"]
        yield f"{i}", (settings, said)


CASES = dict(drawn())
# Where inline tables are looked at twice, by Postfix's parser of main.cf and by that of master.cf, braces are doubled.
STANDARD = {"smtpd_restriction_classes": "one, two", **CLASSES, "smtpd_error_sleep_time": "0", "smtpd_hard_error_limit": "1000", "parent_domain_matches_subdomains": "smtpd_access_maps",
            "smtpd_tls_security_level": "none"}


def all_of(port, said):
    talk = Talk(port)
    heard = [("", plain(talk.reply()))]
    for words in said:
        if words == "." and not heard[-1][1].startswith("354"):
            continue
        try:
            talk.sock.sendall(words.encode() + b"\r\n")
            heard.append((words, plain(talk.reply())))
        except OSError:
            heard.append((words, ""))
    talk.sock.close()
    return heard


@pytest.fixture(scope="module")
def both():
    with tables_of(TABLES) as tables:
        settings = {name: value.strip() for name, value in (line.split(" =", 1) for line in settings_for(tables).strip().split("\n"))}
        twice = {case: ({n: v.replace("{", "{{").replace("}", "}}") for n, v in s.items()}, said) for case, (s, said) in CASES.items()}
        postfix = Postfix(tables, twice, "".join(f"{n} = {v}\n" for n, v in STANDARD.items()))
        ports = dict(zip(CASES, free_ports(COUNT)))
        cases, houses_of = list(CASES), {}
        try:
            with contextlib.ExitStack() as houses:
                for at in range(0, len(cases), LISTENERS):
                    some = cases[at:at + LISTENERS]
                    house = houses.enter_context(street({**settings, **STANDARD}, {case: ports[case] for case in some}))
                    houses_of.update((case, house) for case in some)
                yield postfix, ports, houses_of
        finally:
            postfix.close()


@contextlib.contextmanager
def street(settings, ports):
    """A listener for each case."""
    house = House(**settings, dns_resolver="none", smtpd_peername_lookup="no", listeners=" ".join(f"case{c}" for c in ports))
    with open(house.config, "a") as f:
        for case, port in ports.items():
            f.write(f"case{case}/listener_service = smtp\ncase{case}/listener_address = 127.0.0.1:{port}\n")
            f.write("".join(f"case{case}/{n} = {v}\n" for n, v in CASES[case][0].items()))
    with house:
        house.at_work()
        yield house


@pytest.mark.parametrize("case", CASES)
def test_lists_mean_what_they_mean_to_postfix(both, case):
    postfix, ports, _ = both
    settings, said = CASES[case]
    theirs, ours = (all_of(port, said) for port in (postfix.ports[case], ports[case]))
    # DATA without MAIL: we say what comes first.
    ours = [(words, line.replace("need MAIL command", "need RCPT command") if words == "DATA" else line) for words, line in ours]
    assert [(o, t) for o, t in zip(ours, theirs) if o != t] == [], settings


def first_refusal(port, said):
    return next((line for words, line in all_of(port, said) if line[:1] in "45"), None)


@pytest.mark.parametrize("case", CASES)
def test_explain_says_what_the_session_says(both, case):
    """Of each letter to one of the case, as if it came alone."""
    _, ports, houses = both
    settings, said = CASES[case]
    transactions = [(m, r) for m, r in zip(said, said[1:]) if m.startswith("MAIL") and r.startswith("RCPT")]
    for mail, rcpt in transactions:
        sender, to = (re.search("<(.*)>", words)[1] for words in (mail, rcpt))
        helo = said[0].split(" ", 1)[1]
        done = houses[case].command("policy", "explain", "--client", "127.0.0.1", "--name", "unknown", "--helo", helo, "--from", sender or "<>", "--to", to,
                                    "--listener", f"case{case}", check=False)
        told = re.search(r"^refused by \S+ of \S+: (.*)$", done.stdout, re.MULTILINE)
        assert (told and plain(told[1])) == first_refusal(ports[case], [f"EHLO {helo}", mail, rcpt, "DATA", "."]), (settings, done.stdout + done.stderr)
