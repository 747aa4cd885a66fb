# SPDX-License-Identifier: ISC
"""Lists in the DNS with weights, and access lists before the greeting, as a main.cf for Postfix's postscreen writes them."""

import os
import shutil
import signal
import socket
import subprocess

import pytest
from house import House, wait_for
from witness import NameServer, Resolver

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nsd") is None, reason="needs root and nsd")
# The list knows 127.0.0.9 (127.0.0.4) and 127.0.0.10; nobody else.
LISTED, CLEAN = "127.0.0.9", "127.0.0.11"
JILL = "jill@example.com"


def talk(port, source, *commands):
    """Every reply, from the greeting on; None where the connection ended."""
    with socket.create_connection(("127.0.0.1", port), 30, source_address=(source, 0)) as s, s.makefile("rb") as f:
        def reply():
            while True:
                line = f.readline().decode()
                if line[3:4] != "-":
                    return line.strip() or None
        said = [reply()]
        for command in commands:
            if said[-1] is None:
                break
            try:
                s.sendall(command.encode() + b"\r\n")
                said.append(reply())
            except OSError:
                said.append(None)
        return said


@pytest.fixture(scope="module")
def resolver():
    server = NameServer()
    resolver = Resolver(server)
    yield resolver
    resolver.close()
    server.close()


@pytest.fixture(scope="module")
def house(resolver, tmp_path_factory):
    place = tmp_path_factory.mktemp("screen")
    os.chmod(place, 0o755)
    (place / "access").write_text(f"127.0.0.12/32 reject\n127.0.0.13/32 permit\n127.0.0.14/32 dunno\n")
    (place / "names").write_text("dnsbl.example our.secret.list\n")
    subprocess.run(["postmap", f"hash:{place}/names"], check=True)
    with House(dns_resolver=f"{resolver.address}:{resolver.port}", mynetworks="192.0.2.0/24", smtpd_peername_lookup="no", postscreen_enable="yes",
               postscreen_greet_wait="0", smtpd_client_connection_count_limit="0") as house:
        house.place = place
        house.command("domain", "add", "example.com")
        house.command("account", "add", JILL, input="secret\n")
        yield house


RCPT = ("EHLO client.example", "MAIL FROM:<a@out.example>", f"RCPT TO:<{JILL}>")
NAMES = ["postscreen_dnsbl_sites", "postscreen_dnsbl_threshold", "postscreen_dnsbl_action", "postscreen_dnsbl_reply_map", "postscreen_access_list", "postscreen_denylist_action",
         "postscreen_blacklist_action", "mynetworks"]


def said(house, source, commands=RCPT, **settings):
    house.write_settings(**{**dict.fromkeys(NAMES), "mynetworks": "192.0.2.0/24", **settings})
    house.command("reload")
    house.at_work()
    return talk(house.ports["smtp"], source, *commands)


BLOCKED = f"5.7.1 Service unavailable; client [{LISTED}] blocked using dnsbl.example"


@pytest.mark.parametrize("why, source, settings, reply", [
    ("one list is enough", LISTED, {"postscreen_dnsbl_sites": "dnsbl.example"}, "550 " + BLOCKED),
    ("who is not listed", CLEAN, {"postscreen_dnsbl_sites": "dnsbl.example"}, "250"),
    ("not enough weight", LISTED, {"postscreen_dnsbl_sites": "dnsbl.example*2", "postscreen_dnsbl_threshold": "3"}, "250"),
    ("weights are added", LISTED, {"postscreen_dnsbl_sites": "dnsbl.example*2 dnsbl.example=127.0.0.4*1", "postscreen_dnsbl_threshold": "3"}, "550 " + BLOCKED),
    ("a filter that does not fit", LISTED, {"postscreen_dnsbl_sites": "dnsbl.example=127.0.0.[5..9]*9"}, "250"),
    ("a list that speaks for it", LISTED, {"postscreen_dnsbl_sites": "dnsbl.example*2, dnswl.example*-2"}, "250"),
    ("a dead list has nobody", LISTED, {"postscreen_dnsbl_sites": "broken.example*9"}, "250"),
    ("only the log tells", LISTED, {"postscreen_dnsbl_sites": "dnsbl.example", "postscreen_dnsbl_action": "ignore"}, "250"),
    ("mynetworks are not tested", LISTED, {"postscreen_dnsbl_sites": "dnsbl.example", "mynetworks": "127.0.0.9"}, "250"),
    ("the list's name is a secret", LISTED, {"postscreen_dnsbl_sites": "dnsbl.example", "postscreen_dnsbl_reply_map": "hash:{p}/names"},
     f"550 5.7.1 Service unavailable; client [{LISTED}] blocked using our.secret.list"),
    ("a table that rejects", "127.0.0.12", {"postscreen_access_list": "permit_mynetworks, cidr:{p}/access", "postscreen_denylist_action": "enforce"}, "550 5.3.2 Service currently unavailable"),
    ("by its old name", "127.0.0.12", {"postscreen_access_list": "permit_mynetworks, cidr:{p}/access", "postscreen_blacklist_action": "enforce"}, "550 5.3.2 Service currently unavailable"),
    ("a table that rejects, and nothing is done", "127.0.0.12", {"postscreen_access_list": "permit_mynetworks, cidr:{p}/access"}, "250"),
    ("a table that permits", "127.0.0.13", {"postscreen_access_list": "cidr:{p}/access reject", "postscreen_denylist_action": "enforce"}, "250"),
    ("a table's dunno ends the table alone", "127.0.0.14", {"postscreen_access_list": "cidr:{p}/access reject", "postscreen_denylist_action": "enforce"}, "550 5.3.2 Service currently unavailable"),
    ("dunno ends the list", "127.0.0.15", {"postscreen_access_list": "dunno reject", "postscreen_denylist_action": "enforce"}, "250"),
])
def test_a_client_is_judged_by_lists_together(house, why, source, settings, reply):
    settings = {name: value.format(p=house.place) for name, value in settings.items()}
    if "postscreen_dnsbl_sites" in settings:
        settings.setdefault("postscreen_dnsbl_action", "enforce")
    got = said(house, source, **settings)
    assert got[0].startswith("220 ") and got[-1].startswith(reply), got


def test_who_is_dropped_is_not_greeted(house):
    assert said(house, LISTED, (), postscreen_dnsbl_sites="dnsbl.example", postscreen_dnsbl_action="drop")[0].startswith("521 " + BLOCKED)
    assert said(house, "127.0.0.12", (), postscreen_access_list=f"cidr:{house.place}/access", postscreen_denylist_action="drop")[0] .startswith("521 5.3.2 Service currently unavailable")
    assert "DENYLISTED [127.0.0.12]:" in house.text()


def test_the_score_is_in_the_log_and_explained(house):
    said(house, LISTED, postscreen_dnsbl_sites="dnsbl.example*3", postscreen_dnsbl_threshold="2", postscreen_dnsbl_action="ignore")
    assert wait_for(lambda: f"DNSBL rank 3 for [{LISTED}]:" in house.text())
    done = house.command("policy", "explain", "--client", LISTED, "--from", "a@out.example", "--to", JILL, check=False)
    assert "postscreen_dnsbl_sites: the score is 3 of 2" in done.stdout, done.stdout


@pytest.mark.parametrize("source, settings, words", [
    ("127.0.0.12", {"postscreen_denylist_action": "enforce"}, ["rejected by cidr:{p}/access", "refused by postscreen_access_list at RCPT: 550 5.3.2 Service currently unavailable"]),
    ("127.0.0.12", {"postscreen_denylist_action": "drop"}, ["rejected by cidr:{p}/access", "refused by postscreen_access_list before the greeting: 521 5.3.2"]),
    ("127.0.0.12", {}, ["rejected by cidr:{p}/access", "nothing refuses it"]),
    ("127.0.0.13", {"postscreen_denylist_action": "drop"}, ["permitted by cidr:{p}/access: it is not tested", "nothing refuses it"]),
    ("127.0.0.15", {"postscreen_denylist_action": "drop"}, ["nothing refuses it"]),
])
def test_what_the_access_list_says_is_explained(house, source, settings, words):
    said(house, CLEAN, (), postscreen_access_list=f"permit_mynetworks, cidr:{house.place}/access", **settings)
    done = house.command("policy", "explain", "--client", source, "--from", "a@out.example", "--to", JILL, check=False)
    assert all(w.format(p=house.place) in done.stdout for w in words), done.stdout
    assert (done.returncode != 0) == (words[-1] != "nothing refuses it")


@pytest.mark.parametrize("settings, complaint", [
    ({"postscreen_dnsbl_sites": "dnsbl.example*many"}, "behind * write a number"),
    ({"postscreen_access_list": "permit_all"}, "write permit_mynetworks, permit, reject, dunno or a table"),
])
def test_what_is_written_wrong_is_said(house, settings, complaint):
    house.write_settings(**{**dict.fromkeys(NAMES), **settings})
    done = house.command("config", "check", check=False)
    house.write_settings(**dict.fromkeys(NAMES))
    assert done.returncode != 0 and complaint in done.stdout + done.stderr


def test_whoever_brings_postscreen_from_postfix_is_told_to_switch_it_on():
    house = House(postscreen_dnsbl_sites="dnsbl.example")
    done = house.command("config", "check")
    assert "postscreen_dnsbl_sites is set and postscreen_enable is not: nobody is tested" in done.stdout + done.stderr
    shutil.rmtree(house.directory, ignore_errors=True)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["in order", "killed"])
def test_who_has_passed_is_not_tested_again_after_a_restart(end):
    """As postscreen_cache_map keeps it in Postfix; only for postscreen_greet_ttl, and nobody else profits."""
    with House(dns_resolver="none", mynetworks="192.0.2.0/24", smtpd_peername_lookup="no", postscreen_enable="yes", postscreen_greet_wait="1s") as house:
        def passed(source):
            assert talk(house.ports["smtp"], source, "EHLO client.example", "QUIT")[0].startswith("220 ")
            return house.count(f"PASS NEW [{source}]")
        assert passed("127.0.0.21") == 1 and passed("127.0.0.21") == 1
        if end == signal.SIGKILL:
            kept = house.directory / "mail" / "tally"
            wait_for(lambda: kept.exists() and kept.stat().st_size == 24 + 16)      # docs/format.md
            os.kill(house.process.pid, end)
            house.process.wait()
        else:
            assert house.stop() == 0
        house.start()
        house.at_work()
        assert passed("127.0.0.21") == 1 and passed("127.0.0.22") == 1
        # what has rotted is said, and who passed is tested again
        assert house.stop() == 0
        (house.directory / "mail" / "tally").write_bytes(b"TAL2 and what is this")
        house.start()
        house.at_work()
        assert passed("127.0.0.21") == 2 and "mail/tally is not what was written there" in house.said() + house.text()
