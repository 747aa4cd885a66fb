# SPDX-License-Identifier: ISC
"""What is asked before the greeting, beside Postfix's own postscreen: the same clients, settings, tables and lists in
the DNS; and what both say of characters and line ends that are not wanted."""

import os
import re
import shutil
import socket
import subprocess

import pytest
from house import House, free_ports, wait_for
from witness import RECORDS, NameServer, Postfix, Resolver, own_address

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or any(shutil.which(w) is None for w in ("postfix", "nsd", "unshare")),
                                reason="needs root, Postfix and nsd")
# The list knows 127.0.0.9 (127.0.0.4) and 127.0.0.10; nobody else.
LISTED, CLEAN = "127.0.0.9", "127.0.0.11"
JILL = "jill@example.com"
# Those whom the list of the good knows, a client for each.
SPOKEN_FOR = {"127.0.0.%d" % n: "%d.0.0.127.dnswl.example. A 127.0.0.3" % n for n in range(41, 49)}
ALLOWS = {"postscreen_dnsbl_sites": "dnswl.example*-2", "postscreen_pipelining_enable": "yes"}
LIST = {"postscreen_dnsbl_sites": "dnsbl.example", "postscreen_dnsbl_action": "enforce"}
ACCESS = {"postscreen_access_list": "permit_mynetworks, cidr:{t}/access", "postscreen_blacklist_action": "enforce"}
# Who comes, whether it speaks before it is greeted, and what is set.
CASES = {
    "clean": (CLEAN, False, LIST),
    "listed": (LISTED, False, LIST),
    "listed-ignored": (LISTED, False, {**LIST, "postscreen_dnsbl_action": "ignore"}),
    "listed-dropped": (LISTED, False, {**LIST, "postscreen_dnsbl_action": "drop"}),
    "below-threshold": (LISTED, False, {**LIST, "postscreen_dnsbl_sites": "dnsbl.example*2", "postscreen_dnsbl_threshold": "3"}),
    "at-threshold": (LISTED, False, {**LIST, "postscreen_dnsbl_sites": "dnsbl.example*2 dnsbl.example=127.0.0.4*1", "postscreen_dnsbl_threshold": "3"}),
    "filter-misses": (LISTED, False, {**LIST, "postscreen_dnsbl_sites": "dnsbl.example=127.0.0.[5..9]*9"}),
    "filter-hits": (LISTED, False, {**LIST, "postscreen_dnsbl_sites": "dnsbl.example=127.0.0.[1;3..9]*9"}),
    "spoken-for": (LISTED, False, {**LIST, "postscreen_dnsbl_sites": "dnsbl.example*2, dnswl.example*-2"}),
    "secret-name": (LISTED, False, {**LIST, "postscreen_dnsbl_reply_map": "hash:{t}/names"}),
    "allowed": ("127.0.0.41", False, {**ALLOWS, "postscreen_dnsbl_allowlist_threshold": "-2"}),
    "allowed-by-its-old-name": ("127.0.0.42", False, {**ALLOWS, "postscreen_dnsbl_whitelist_threshold": "-1"}),
    "allowed-but-early": ("127.0.0.43", True, {**ALLOWS, "postscreen_dnsbl_allowlist_threshold": "-2", "postscreen_greet_action": "enforce"}),
    "early-enforced": (CLEAN, True, {"postscreen_greet_action": "enforce"}),
    "early-dropped": (CLEAN, True, {"postscreen_greet_action": "drop"}),
    "early-ignored": (CLEAN, True, {"postscreen_greet_action": "ignore"}),
    "denied": ("127.0.0.12", False, ACCESS),
    "denied-dropped": ("127.0.0.12", False, {**ACCESS, "postscreen_blacklist_action": "drop"}),
    "denied-ignored": ("127.0.0.12", False, {**ACCESS, "postscreen_blacklist_action": "ignore"}),
    "denied-early": ("127.0.0.16", True, {**ACCESS, "postscreen_greet_action": "enforce"}),
    "permitted-early": ("127.0.0.13", True, {**ACCESS, "postscreen_greet_action": "enforce"}),
    "permitted-listed": ("127.0.0.13", False, {**ACCESS, **LIST, "postscreen_dnsbl_sites": "dnsbl.example"}),
    "table-dunno": ("127.0.0.14", False, {**ACCESS, "postscreen_access_list": "cidr:{t}/access reject"}),
    "dunno": ("127.0.0.15", False, {**ACCESS, "postscreen_access_list": "dunno reject"}),
    "reject-all": ("127.0.0.15", False, {**ACCESS, "postscreen_access_list": "reject"}),
}
NAMES = {name for _, _, settings in CASES.values() for name in settings} | {"postscreen_pipelining_enable"}
# The score is -2.  With drop the lists are asked before the greeting, whatever the threshold is.
THRESHOLDS = {"-1": "127.0.0.44", "-2": "127.0.0.45", "-3": "127.0.0.46", "0": "127.0.0.47", "0 drop": "127.0.0.48"}


def from_threshold(name):
    least, _, action = name.partition(" ")
    return {**ALLOWS, "postscreen_dnsbl_allowlist_threshold": least, "postscreen_dnsbl_action": action or "ignore"}


# The letter's lines as a client of mynetworks, and one of outside, sends them; what follows is the next command.
ENDS = {
    "lf-dot-lf": b"Subject: x\r\n\r\nx\n.\nNOOP\r\n.\r\n", "lf-dot-crlf": b"Subject: x\r\n\r\nx\n.\r\nNOOP\r\n.\r\n",
    "crlf-dot-lf": b"Subject: x\r\n\r\nx\r\n.\nNOOP\r\n.\r\n", "crlf-dot-crlf": b"Subject: x\r\n\r\nx\r\n.\r\nNOOP\r\n",
    "only-lf": b"Subject: x\n\nx\n\r\n.\r\nNOOP\r\n",
}


def connection(port, source, words=b""):
    s = socket.create_connection(("127.0.0.1", port), 30, source_address=(source, 0))
    s.sendall(words)
    return s, s.makefile("rb")


def reply(f):
    while True:
        line = f.readline().decode()
        if line[3:4] != "-":
            return line.strip().partition(" (P")[0] or None


def judged(port, source, early):
    """The code of the greeting, and what RCPT hears; of one that is sent away what it hears then."""
    hello = b"EHLO client.example\r\n"
    s, f = connection(port, source, hello if early else b"")
    with s, f:
        greeting = reply(f)
        if greeting is None or greeting[0] != "2":
            return greeting, None
        # Where it refuses who spoke too early Postfix leaves the last line of its greeting out: the reply to EHLO ends it.
        said = reply(f) if early and greeting[:3] == "220" else None
        for command in ([] if early else [hello]) + [b"MAIL FROM:<a@out.example>\r\n", f"RCPT TO:<{JILL}>\r\n".encode()]:
            s.sendall(command)
            said = reply(f)
        return greeting[0], said if said[0] != "2" else said[:3]


def written(port, source, content):
    """What is said of the letter, and of all that follows in the same piece."""
    s, f = connection(port, source)
    with s, f:
        assert reply(f)[:3] == "220"
        for command in (b"EHLO client.example", b"MAIL FROM:<a@out.example>", f"RCPT TO:<{JILL}>".encode(), b"DATA"):
            s.sendall(command + b"\r\n")
            said = reply(f)
            assert said[0] in "23", said
        s.sendall(content)
        s.shutdown(socket.SHUT_WR)
        said = []
        while (line := reply(f)) is not None:
            said.append(line[:3] if line[0] == "2" else line)
        return said


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    place = tmp_path_factory.mktemp("screen")
    os.chmod(place, 0o755)
    (place / "access").write_text("127.0.0.12/32 reject\n127.0.0.16/32 reject\n127.0.0.13/32 permit\n127.0.0.14/32 dunno\n")
    (place / "names").write_text("dnsbl.example our.secret.list\n")
    subprocess.run(["postmap", f"hash:{place}/names"], check=True)
    server = NameServer(RECORDS + "\n".join(SPOKEN_FOR.values()))
    resolver = Resolver(server, own_address(), 53)
    more = ["open", "characters", "told", "told-pipelining", *THRESHOLDS]
    ports = dict(zip([*CASES, *more], free_ports(len(CASES) + len(more))))
    services = "smtpd pass - - n - - smtpd\ndnsblog unix - - n - 0 dnsblog\n"
    for name, (_, _, settings) in CASES.items():
        services += f"127.0.0.1:{ports[name]} inet n - n - 1 postscreen\n"
        for setting, value in {"postscreen_cache_map": "", **settings}.items():
            services += f"  -o {{ {setting} = {value.format(t=place)} }}\n"
    for name, pipelining in (("told", "no"), ("told-pipelining", "yes")):
        services += (f"127.0.0.1:{ports[name]} inet n - n - 1 postscreen\n  -o {{ postscreen_cache_map = btree:$data_directory/{name} }}\n"
                     f"  -o {{ postscreen_access_list = permit_mynetworks cidr:{place}/access }}\n  -o {{ postscreen_pipelining_enable = {pipelining} }}\n")
    for name in THRESHOLDS:
        services += f"127.0.0.1:{ports[name]} inet n - n - 1 postscreen\n"
        for setting, value in {**from_threshold(name), "postscreen_cache_map": f"btree:$data_directory/allowed{name.replace(' ', '-')}"}.items():
            services += f"  -o {{ {setting} = {value} }}\n"
    services += f"127.0.0.1:{ports['open']} inet n - n - - smtpd\n  -o {{ smtpd_forbid_bare_newline = no }}\n"
    postfix = Postfix(resolver.address, {
        "myhostname": "mx.example.com", "mydestination": "", "mynetworks": "192.0.2.0/24, 127.0.0.77", "virtual_mailbox_domains": "example.com",
        "virtual_mailbox_maps": "static:x", "postscreen_greet_wait": "1s", "smtpd_peername_lookup": "no", "smtpd_forbid_bare_newline": "normalize",
        "message_reject_characters": "\\0\\13"}, services)
    with House(dns_resolver=f"{resolver.address}:{resolver.port}", mynetworks="192.0.2.0/24, 127.0.0.77", smtpd_peername_lookup="no", postscreen_enable="yes",
               postscreen_greet_wait="1s", smtpd_client_connection_count_limit="0", postscreen_greet_ttl="1s", message_reject_characters="\\0\\13") as house:
        house.command("domain", "add", "example.com")
        house.command("account", "add", JILL, input="secret\n")
        house.place, house.postfix, house.their = place, postfix, ports
        yield house
    postfix.close()
    resolver.close()
    server.close()


def ours(house, **settings):
    house.write_settings(**{**dict.fromkeys(NAMES), "smtpd_forbid_bare_newline": None, "postscreen_greet_ttl": "1s", **settings})
    house.command("reload")
    house.at_work()
    return house.ports["smtp"]


@pytest.mark.parametrize("name", CASES)
def test_postscreen_says_the_same(beside, name):
    source, early, settings = CASES[name]
    theirs = judged(beside.their[name], source, early)
    assert judged(ours(beside, **{n: v.format(t=beside.place) for n, v in settings.items()}), source, early) == theirs, beside.postfix.log()[-2000:]


# Who comes, what is said before the greeting (None: it is left without a word), and after it, a piece each.
VISITS = {
    "patient": ("127.0.0.31", b"", [b"EHLO client.example\r\n"]),
    "early": ("127.0.0.32", b"EHLO client.example\r\n", []),
    "early-binary": ("127.0.0.33", b'\x16\x03\x01"a\\b"\t\x001\xff\x7f\r\n', []),
    "early-long": ("127.0.0.34", b"EHLO " + b"x" * 200 + b"\r\n", []),
    "pipelines": ("127.0.0.35", b"", [b"EHLO client.example\r\nMAIL FROM:<a@out.example>\r\nRCPT TO:<jill@example.com>\r\n"]),
    "leaves": ("127.0.0.36", None, []),
    "permitted": ("127.0.0.13", b"", [b"EHLO client.example\r\n"]),
    "denied": ("127.0.0.12", b"", [b"EHLO client.example\r\n"]),
    "mine": ("127.0.0.77", b"", [b"EHLO client.example\r\n"]),
}
TOLD = "PREGREET|HANGUP|COMMAND PIPELINING|PASS|[A-Z]+LISTED"


def visit(port, source, early, pieces):
    s, f = connection(port, source, early or b"")
    with s, f:
        if early is None:
            return
        reply(f)
        for piece in pieces:
            s.sendall(piece)
            reply(f)


def told(log, source):
    """What stands there of a client, without the moment and its port."""
    lines = re.findall(rf"(?m)\]: ((?:{TOLD}) .*\[{re.escape(source)}\].*)$", log)
    return [re.sub(r"(?<=after )\d+(?:\.\d+)?(?= )", "T", re.sub(r"\]:\d+", "]:PORT", line)) for line in lines]


@pytest.mark.parametrize("name", VISITS)
def test_postscreen_writes_the_same(beside, name):
    """Twice: who has passed is told of in another way. There who must wait for EHLO is never handed on, and hangs up in the tests; that line is left out."""
    source, early, pieces = VISITS[name]
    pipelines = name == "pipelines"
    port = ours(beside, postscreen_pipelining_enable="yes" if pipelines else None, postscreen_greet_ttl="1d",
                postscreen_access_list=f"permit_mynetworks cidr:{beside.place}/access")
    begin = len(beside.postfix.log()), len(beside.text())  # others came from the same address before
    for _ in range(2):
        for there in (beside.their["told-pipelining" if pipelines else "told"], port):
            visit(there, source, early, pieces)

    def both():
        theirs = [line for line in told(beside.postfix.log()[begin[0]:], source) if not (pipelines and line.startswith("HANGUP"))]
        written = told(beside.text()[begin[1]:], source)
        return len(theirs) == len(written) >= 2 and (theirs, written)
    theirs, written = wait_for(both)
    assert written == theirs


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_lists_that_speak_for_a_client_end_its_tests(beside, threshold):
    """It does not wait for the answer to EHLO; from its score on that is no longer looked at, and it has passed."""
    source, begin = THRESHOLDS[threshold], len(beside.text())
    port = ours(beside, postscreen_greet_ttl="1d", **from_threshold(threshold))
    for _ in range(2):
        for there in (beside.their[threshold], port):
            visit(there, source, b"", VISITS["pipelines"][2])

    def both():
        theirs = [line for line in told(beside.postfix.log(), source) if not line.startswith("HANGUP")]
        written = told(beside.text()[begin:], source)
        return len(theirs) == len(written) == 2 and (theirs, written)
    theirs, written = wait_for(both)
    assert written == theirs
    assert any("PASS NEW" in line for line in theirs) == (threshold in ("-1", "-2"))


def test_of_two_complaints_another_is_told(beside):
    """Postfix tells the last of its tests that failed, which is that of the lists; here the first is told."""
    assert judged(ours(beside, postscreen_greet_action="enforce", **LIST), LISTED, True) == ("2", "550 5.5.1 Protocol error")


@pytest.mark.parametrize("client", ["127.0.0.77", CLEAN])
@pytest.mark.parametrize("value", ["normalize", "no"])
@pytest.mark.parametrize("name", ENDS)
def test_a_letter_ends_where_it_does_there(beside, name, value, client):
    theirs = written(beside.postfix.port if value == "normalize" else beside.their["open"], "127.0.0.1" if client == CLEAN else client, ENDS[name])
    assert written(ours(beside, smtpd_forbid_bare_newline=value), client, ENDS[name]) == theirs


@pytest.mark.parametrize("content", [b"Subject: x\r\n\r\nfine\r\n.\r\n", b"Subject: x\r\n\r\nno\0body\r\n.\r\n", b"Subject: a\x0bb\r\n\r\nx\r\n.\r\n", b"Subject: x\r\n\r\n\x0c\x0e\r\n.\r\n"])
def test_characters_that_are_not_wanted(beside, content):
    assert written(ours(beside), CLEAN, content) == written(beside.postfix.port, CLEAN, content)


def test_line_ends_are_noted(beside):
    port = ours(beside, smtpd_forbid_bare_newline="note")
    assert written(port, CLEAN, ENDS["only-lf"])[0] == "250"
    assert wait_for(lambda: "notes=bare_lf" in beside.text())
