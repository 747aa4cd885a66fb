# SPDX-License-Identifier: ISC
"""Transports that are commands (pipe), and transports of any name.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_pipes.py
"""

import os
import pathlib
import pwd
import re
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import wait_for
from test_sending import Sink, empty, house, send

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: commands run as their users")

USER = "daemon"

# Keeps each letter in a file, and beside it its words, who it is, and where.
KEEPER = """#!/bin/sh
n=$(mktemp {place}/XXXXXXXX)
cat > $n
{{ for i; do echo "$i"; done; }} > $n.words
id -un > $n.who; id -gn >> $n.who; pwd >> $n.who
{more}
touch $n.done
exit {status}
"""


@pytest.fixture
def place():
    """A directory of the user's, with a command that keeps what it is given."""
    where = pathlib.Path(tempfile.mkdtemp(prefix="mansio-pipe-", dir="/tmp"))
    where.chmod(0o755)
    (where / "kept").mkdir()
    shutil.chown(where / "kept", USER)
    command(where)
    yield where
    shutil.rmtree(where)


def command(where, name="keep", status=0, more=""):
    (where / name).write_text(KEEPER.format(place=where / "kept", status=status, more=more))
    (where / name).chmod(0o755)
    return where / name


class Kept:
    def __init__(self, done):
        self.letter = done.with_suffix("").read_bytes()
        self.words = done.with_suffix(".words").read_text().split("\n")[:-1]
        self.user, self.group, self.pwd = done.with_suffix(".who").read_text().split("\n")[:-1]


def kept(where):
    return [Kept(done) for done in sorted((where / "kept").glob("*.done"))]


def test_R214_a_letter_goes_to_a_command_as_its_user(place):
    with house(**{"keep/transport": f"pipe flags=DRhu user={USER} argv={place}/keep -f ${{sender}} -d ${{recipient}}",
                  "transport_maps": "inline:{there.example=keep:}", "keep_destination_recipient_limit": "1"}) as h:
        send(h, "Bob@There.Example")
        one, = wait_for(lambda: kept(place))
        wait_for(lambda: empty(h))
        assert one.words == ["-f", "a@here.example", "-d", "bob@there.example"]
        assert (one.user, one.group) == (USER, USER)
        assert one.letter.startswith(b"Return-Path: <a@here.example>\nDelivered-To: Bob@there.example\nReceived: ") and b"\r" not in one.letter
        assert re.search(r"mansio/pipe\[\d+\]: \w+: to=<Bob@there\.example>, relay=keep, delay=.*dsn=2\.0\.0, status=sent \(delivered via keep service\)",
                         h.text())
