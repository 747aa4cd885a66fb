# SPDX-License-Identifier: ISC
"""The same commands of aliases given to Postfix's local(8) and to us: what becomes of the letter, and what the command hears."""

import os
import pathlib
import re
import shutil
import smtplib
import subprocess
import tempfile

import pytest

import test_beside_postfix
from house import House, wait_for

pytestmark = test_beside_postfix.pytestmark

HEARD = ["LOCAL", "DOMAIN", "EXTENSION", "RECIPIENT", "ORIGINAL_RECIPIENT", "SENDER", "CLIENT_ADDRESS", "CLIENT_PROTOCOL", "CLIENT_HELO"]
COMMANDS = {
    "slow": "exec sleep 60",
    "unknown": "cat >/dev/null; exit 67",
    "later": "cat >/dev/null; exit 75",
    "talks": "cat >/dev/null; echo 4.2.1 not now; exit 1",
    "refuses": "cat >/dev/null; echo 5.7.9 never; exit 1",
    "odd": "cat >/dev/null; echo what; exit 3",
    "killed": "kill -9 $$$$",
    "good": "cat >/dev/null; echo unheard",
    "missing": "/no/such/program now",
    "notread": "exit 0",
}


@pytest.fixture(scope="module")
def both():
    patch = pytest.MonkeyPatch()
    place = tempfile.mkdtemp(prefix="beside-commands-")
    os.chmod(place, 0o1777)
    settings = f"myhostname = mail.here.example\nmydestination = here.example\nmyorigin = here.example\nrecipient_delimiter = +\n" \
               f"alias_maps = hash:{place}/aliases\ncommand_time_limit = 2s\nlocal_recipient_maps =\n"
    with open(f"{place}/aliases", "w") as f:
        for name, command in COMMANDS.items():
            f.write(f'{name}: "|{command.replace("$$$$", "$$")}"\n')
        f.write('both: jsmith, "|true"\n')
        for side in ["theirs", "ours"]:
            f.write(f'{side}: "|cat >/dev/null; env > {place}/{side}.new; id -un >> {place}/{side}.new; mv {place}/{side}.new {place}/{side}"\n')
    subprocess.run(["postalias", f"hash:{place}/aliases"], check=True)
    patch.setattr(test_beside_postfix, "SETTINGS", settings)
    postfix = test_beside_postfix.Postfix(place)
    with House(**dict(line.split(" = ", 1) if " = " in line else (line[:-2], "") for line in settings.strip().split("\n")),
               allow_mail_to_commands="alias", system_user_maps="inline:{{jsmith = jsmith:x:5001:5001::/:/bin/sh} {nobody = nobody:x:65534:65534::/:/bin/sh}}") as house:
        wait_for(lambda: house.smtp())
        yield postfix, house, pathlib.Path(place)
    postfix.close()
    patch.undo()
    shutil.rmtree(place, ignore_errors=True)


def send(smtp, to):
    with smtp:
        smtp.ehlo("test.example")
        smtp.sendmail("o'sender`x@test.example", [to], b"Subject: x\r\n\r\nx\r\n" + b"y" * 70 + b"\r\n")


def outcome(text, name):
    found = re.search(rf"to=<{name}@here\.example>.*?, dsn=([\d.]+), status=(\w+) \((.*)\)$", text(), re.M)
    return found and (found.group(1), found.group(2), found.group(3).rstrip())


@pytest.mark.parametrize("name", COMMANDS)
def test_what_becomes_of_the_letter(both, name):
    postfix, house, _ = both
    send(smtplib.SMTP("127.0.0.1", postfix.port, timeout=20), f"{name}@here.example")
    send(house.smtp(), f"{name}@here.example")
    theirs = wait_for(lambda: outcome(postfix.log, name))
    ours = wait_for(lambda: outcome(house.text, name))
    if name == "missing":                # each program says in its own words that there is none
        ours, theirs = ours[:2], theirs[:2]
    assert ours == theirs


def test_what_a_command_hears(both):
    postfix, house, place = both
    send(smtplib.SMTP("127.0.0.1", postfix.port, timeout=20), "theirs+Some.Detail@here.example")
    send(house.smtp(), "ours+Some.Detail@here.example")
    heard = {}
    for side in ["theirs", "ours"]:
        wait_for((place / side).exists)
        lines = (place / side).read_text().replace(side, "SIDE").splitlines()
        variables = dict(line.split("=", 1) for line in lines[:-1] if "=" in line)
        heard[side] = {name: variables.get(name) for name in HEARD} | {"who": lines[-1]}
    assert heard["ours"] == heard["theirs"]


def test_by_itself_an_alias_runs_no_command_and_that_is_said(both):
    """Postfix's own standard is "alias, forward"; ours is none, and each place that tells of the alias says what to set."""
    postfix, house, place = both
    standard = subprocess.run(["postconf", "-d", "-h", "allow_mail_to_commands"], capture_output=True, text=True).stdout
    assert standard.replace("\n", "") == "alias, forward"

    def rcpt(who):
        with house.smtp() as s:
            s.ehlo("x")
            s.mail("a@test.example")
            return s.rcpt(f"{who}@here.example")
    lines = (place / "aliases").read_text().splitlines()
    at = 1 + next(n for n, line in enumerate(lines) if line.startswith("good:"))
    told = f'{place}/aliases:{at}: the command of "good" is not run; set allow_mail_to_commands = alias'
    assert "is not run" not in house.command("config", "check").stderr
    house.write_settings(allow_mail_to_commands=None)
    try:
        assert told in house.command("config", "check").stderr
        house.command("reload")
        wait_for(lambda: rcpt("good")[0] == 550)
        assert rcpt("good")[1].startswith(b"5.7.1 <good@here.example>: Recipient address rejected: mail to commands is not allowed here: "
                                          b"allow_mail_to_commands lacks alias (")
        assert rcpt("both")[0] == 250
        assert "refused: 550 5.7.1 mail to commands is not allowed here" in house.command("address", "test", "good@here.example", check=False).stdout
        assert 'good leads to "cat >/dev/null; echo unheard", which is not allowed: allow_mail_to_commands lacks alias' in house.text()
    finally:
        house.write_settings(allow_mail_to_commands="alias")
        house.command("reload")


def test_a_main_cf_of_postfix_is_taken_over_with_its_commands(both):
    postfix, house, place = both
    theirs = place / "their.cf"

    def taken(text):
        theirs.write_text(text)
        return house.command("config", "import", str(theirs)).stdout
    text = f"# by hand\nmydestination = here.example\nalias_maps = hash:{place}/aliases\n"
    said = taken(text)
    assert said.startswith(text) and re.search("^allow_mail_to_commands = alias", said, re.M)
    assert "allow_mail_to_commands" not in taken(text + "allow_mail_to_commands =\n").split("Postfix's:")[1]
    (place / "quiet").write_text("root: jsmith\n")
    assert not re.search("^allow_mail_to_commands = .*alias", taken(f"mydestination = here.example\nalias_maps = hash:{place}/quiet\n"), re.M)
    # What Dovecot printed is told apart from it.
    assert "smtpd_tls_protocols" in taken("# 2.3.19: /etc/dovecot/dovecot.conf\nhostname = mail.example\nssl_min_protocol = TLSv1.2\n")
