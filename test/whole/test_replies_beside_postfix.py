# SPDX-License-Identifier: ISC
"""What another server answers, at each step of a letter, and what becomes of the letter then: Debian's Postfix and we meet the same answers.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_replies_beside_postfix.py
"""

import os
import pathlib
import re
import shutil
import smtplib
import subprocess
import sys
import tempfile

import pytest
from house import wait_for
from test_sending import Receiver, Sink, house

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("postfix"), reason="needs root and Postfix")

STEPS = ["CONNECT", "EHLO", "HELO", "MAIL", "RCPT", "DATA", "END"]
ANSWERS = ["421 4.7.0 go", "450 4.2.1 later", "451 later", "452 4.2.2 full", "471 odd", "500 what", "502 5.5.1 no", "503 5.5.1 order", "521 5.7.1 never",
           "530 5.7.0 login", "550 5.1.1 no", "550 no", "552 5.2.2 full", "552 full", "554 5.7.1 no", "556 5.1.10 null", "", "550-5.1.1 a\r\n550 5.1.1 b",
           "550-a\r\n450 b", "450-4.1.1 a\r\n550 5.1.1 b", "550", "450 5.1.1 mixed", "550 4.1.1 mixed"]
CASES = {f"{step.lower()}{n}.example": (step, answer) for step in STEPS for n, answer in enumerate(ANSWERS)}


def server(step, answer):
    def reply(verb, *_):
        if step == "HELO" and verb == "EHLO":
            return "502 5.5.1 what"
        return answer if verb == step else None
    return Sink(reply)


def send(port):
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as s:
        s.ehlo("client.example")
        for domain in CASES:
            assert s.docmd("MAIL FROM:<>")[0] == 250 and s.docmd(f"RCPT TO:<x@{domain}>")[0] == 250
            assert s.data("Subject: x\r\n\r\nx\r\n")[0] == 250


def ends(text):
    """domain -> (code, end)"""
    return {m.group(1): m.group(2, 3) for m in re.finditer(r"to=<x@([a-z\d]+\.example)>, .*?dsn=([\d.]+), status=(\w+)", text)}


def tables(place, name, servers):
    path = place / name
    path.write_text("".join(f"{domain} smtp:[127.0.0.1]:{s.port}\n" for domain, s in servers.items()))
    subprocess.run(["postmap", f"hash:{path}"], check=True)
    return f"hash:{path}"


def test_a_letter_ends_as_with_postfix():
    place = pathlib.Path(tempfile.mkdtemp(prefix="replies-"))
    place.chmod(0o755)
    theirs, ours = ({domain: server(*case) for domain, case in CASES.items()} for _ in range(2))
    try:
        with Receiver(f"transport_maps = {tables(place, 'theirs', theirs)}\nsmtp_tls_security_level = none\nmynetworks = 127.0.0.0/8\n"
                      "smtpd_client_connection_count_limit = 0\n", ["smtp unix - - n - - smtp"]) as postfix:
            conf = postfix.home / "etc/main.cf"
            conf.write_text(re.sub(r"(?m)^smtpd_recipient_restrictions = .*", "smtpd_recipient_restrictions = permit_mynetworks, reject", conf.read_text()))
            subprocess.run(["postfix", "-c", postfix.home / "etc", "reload"], check=True, capture_output=True, timeout=60)
            wait_for(lambda: "reload" in postfix.log())
            send(postfix.port)
            wait_for(lambda: len(ends(postfix.log())) == len(CASES), 120)
            want = ends(postfix.log())
        with house(transport_maps=tables(place, "ours", ours), minimal_backoff_time="600s", maximal_backoff_time="600s") as h:
            send(h.ports["smtp"])
            wait_for(lambda: len(ends(h.text())) == len(CASES), 120)
            have = ends(h.text())
    finally:
        for one in [*theirs.values(), *ours.values()]:
            one.close()
        shutil.rmtree(place, ignore_errors=True)
    differ = {CASES[d]: (want[d], have[d]) for d in CASES if want[d] != have[d]}
    assert not differ, "\n".join(f"{c}: Postfix {a}, we {b}" for c, (a, b) in differ.items())


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q", *sys.argv[1:]]))
