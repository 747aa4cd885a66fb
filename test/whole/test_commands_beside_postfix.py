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
        for side in ["theirs", "ours"]:
            f.write(f'{side}: "|cat >/dev/null; env > {place}/{side}.new; id -un >> {place}/{side}.new; mv {place}/{side}.new {place}/{side}"\n')
    subprocess.run(["postalias", f"hash:{place}/aliases"], check=True)
    patch.setattr(test_beside_postfix, "SETTINGS", settings)
    postfix = test_beside_postfix.Postfix(place)
    with House(**dict(line.split(" = ", 1) if " = " in line else (line[:-2], "") for line in settings.strip().split("\n"))) as house:
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
