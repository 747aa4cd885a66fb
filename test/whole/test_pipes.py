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
from house import BINARY, free_ports, wait_for
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


def test_R214_all_recipients_of_a_letter_are_words_of_one_command(place):
    with house(**{"keep/transport": f"pipe flags=q user={USER}:nogroup null_sender= directory=/usr argv={place}/keep {{a word}} -f ${{sender}} "
                                    "-- <${recipient}> ${user}+${extension} $domain ${nexthop} $$",
                  "transport_maps": "inline:{there.example=keep:next.hop}", "recipient_delimiter": "+"}) as h:
        send(h, ["x+y@there.example", "\"o d\"@there.example"], sender="")
        one, = wait_for(lambda: kept(place))
        wait_for(lambda: empty(h))
        assert one.words[:4] == ["a word", "-f", "", "--"] and one.words[8:] == ["there.example", "there.example", "next.hop", "$"]
        assert one.words[4:6] == ["<x+y@there.example>", "<\"o d\"@there.example>"] and one.words[6:8] == ["x+y", "o d+"]
        assert (one.user, one.group, one.pwd) == (USER, "nogroup", "/usr")
        assert one.letter.startswith(b"Received: ")


@pytest.mark.parametrize("status, more, words", [
    (75, "", r"dsn=4\.3\.0, status=deferred \(temporary failure\)"),
    (75, "echo come back later", r"dsn=4\.3\.0, status=deferred \(temporary failure\. Command output: come back later\)"),
    (67, "", r"dsn=5\.1\.1, status=bounced \(user unknown\)"),
    (77, "", r"dsn=5\.7\.0, status=bounced \(permission denied\)"),
    (1, "echo 4.2.2 it is full", r"dsn=4\.2\.2, status=deferred \(it is full\)"),
    (0, "echo 5.1.1 said and done", r"dsn=2\.0\.0, status=sent \(delivered via keep service \(5\.1\.1 said and done\)\)"),
    (1, "", r"dsn=5\.3\.0, status=bounced \(Command died with status 1: \"[^\"]*/keep\"\)"),
    (0, "kill -9 $$", r"dsn=4\.3\.0, status=deferred \(Command died with signal 9: \"[^\"]*/keep\"\)"),
], ids=lambda v: str(v)[:20])
def test_what_a_commands_end_means_is_what_postfix_takes_it_for(place, status, more, words):
    command(place, status=status, more=more)
    with house(**{"keep/transport": f"pipe user={USER} argv={place}/keep", "default_transport": "keep"}) as h:
        send(h, "b@there.example", sender="")
        wait_for(lambda: re.search(words, h.text()))


def test_letters_too_large_for_a_command_come_back_and_hyphens_are_no_options(place):
    with house(allow_min_user="yes", **{"keep/transport": f"pipe user={USER} size=2000 argv={place}/keep ${{recipient}}", "default_transport": "keep"}) as h:
        send(h, "b@there.example", sender="", text="Subject: x\r\n\r\n" + "long\r\n" * 1000)
        wait_for(lambda: re.search(r"dsn=5\.2\.3, status=bounced \(message too large\)", h.text()))
        send(h, "-oQ/tmp@there.example", sender="")
        wait_for(lambda: re.search(r"dsn=5\.1\.3, status=bounced \(the address begins with a hyphen", h.text()))
        wait_for(lambda: empty(h))
        assert kept(place) == []


def test_R158_a_command_has_the_mailboxes_of_a_class(place):
    line = f"pipe flags=DRhu user={USER} argv={place}/keep ${{recipient}}"
    with house(**{"keep/transport": line, "virtual_transport": "keep", "virtual_mailbox_domains": "virtual.example", "virtual_mailbox_maps": "",
                  "mydestination": "local.example", "myorigin": "local.example", "local_recipient_maps": "", "alias_maps": "inline:{help=bob}",
                  "fallback_transport": "keep", "keep_destination_recipient_limit": "1"}) as h:
        send(h, ["ann@virtual.example", "help@local.example"])
        wait_for(lambda: empty(h))
        assert sorted(one.words[0] for one in kept(place)) == ["ann@virtual.example", "bob@local.example"]


def test_a_mailbox_command_of_all_users_is_a_pipe(place):
    with house(**{"keep/transport": f"pipe user={USER} argv={place}/keep ${{recipient}}", "mailbox_transport": "keep",
                  "mydestination": "local.example", "myorigin": "local.example", "alias_maps": ""}) as h:
        send(h, "daemon@local.example")
        wait_for(lambda: empty(h))
        assert [one.words for one in kept(place)] == [["daemon@local.example"]]


def test_transport_maps_lead_ours_away_and_others_home(place):
    with house(**{"keep/transport": f"pipe user={USER} argv={place}/keep ${{recipient}}", "keep_destination_recipient_limit": "1",
                  "virtual_mailbox_domains": "virtual.example, more.example", "virtual_mailbox_maps": "inline:{ann@virtual.example=a, bob@virtual.example=b, eva@relay.example=e}",
                  "relay_domains": "relay.example", "mydestination": "local.example", "local_recipient_maps": "", "alias_maps": "inline:{help=ann@virtual.example}",
                  "transport_maps": "inline:{bob@virtual.example=keep:, local.example=keep:, eva@relay.example=virtual:, help@else.example=local:}"}) as h:
        send(h, ["ann@virtual.example", "bob@virtual.example", "anybody@local.example", "eva@relay.example", "help@else.example"])
        wait_for(lambda: empty(h))
        assert sorted(one.words[0] for one in kept(place)) == ["anybody@local.example", "bob@virtual.example"]
        log = h.text()
        assert re.search(r"/virtual\[\d+\]: \w+: to=<ann@virtual\.example>, relay=virtual.*status=sent", log)
        assert re.search(r"/virtual\[\d+\]: \w+: to=<eva@relay\.example>, relay=virtual.*status=sent", log)
        assert re.search(r"/virtual\[\d+\]: \w+: to=<ann@virtual\.example>, orig_to=<help@else\.example>", log)


def test_R285_the_simple_filter_of_the_tutorials(place):
    """FILTER_README: a script that looks at a letter in a file and gives it back by sendmail -G -i."""
    spool = place / "kept"
    (place / "filter").write_text(f"""#!/bin/sh
INSPECT_DIR={spool}
SENDMAIL="{place}/sendmail -G -i"
EX_TEMPFAIL=75
EX_UNAVAILABLE=69
trap "rm -f in.$$" 0 1 2 3 15
cd $INSPECT_DIR || {{ echo $INSPECT_DIR does not exist; exit $EX_TEMPFAIL; }}
cat >in.$$ || {{ echo Cannot save mail to file; exit $EX_TEMPFAIL; }}
if grep -q VIRUS in.$$; then echo Message content rejected; exit $EX_UNAVAILABLE; fi
echo "X-Looked-At: yes" | cat - in.$$ > out.$$
$SENDMAIL "$@" <out.$$
exit $?
""")
    (place / "filter").chmod(0o755)
    with Sink() as sink, house(**{"relayhost": f"[127.0.0.1]:{sink.port}", "smtp/content_filter": "filter:dummy",
                                  "filter/transport": f"pipe flags=Rq user={USER} null_sender= argv={place}/filter -f ${{sender}} -- ${{recipient}}",
                                  "listeners": "pickup", "pickup/listener_service": "smtp"},
                               **{"pickup/listener_address": f"127.0.0.1:{free_ports(1)[0]}"}) as h:
        h.directory.chmod(0o755)
        (place / "sendmail").symlink_to(os.path.abspath(BINARY))
        (place / "filter").write_text((place / "filter").read_text().replace("sendmail -G", f"sendmail -C {h.config} -G"))
        send(h, ["b@there.example", "c@there.example"])
        wait_for(lambda: sink.letters)
        sender, to, text = sink.letters[0]
        assert sorted(to) == ["b@there.example", "c@there.example"] and "<a@here.example>" in sender and b"X-Looked-At: yes\r\n" in text
        send(h, "b@there.example", text="Subject: VIRUS\r\n\r\nx\r\n", sender="")
        wait_for(lambda: re.search(r"to=<b@there\.example>, relay=filter, .*dsn=5\.3\.0, status=bounced \(service unavailable\. Command output: Message content rejected\)", h.text()))
        wait_for(lambda: empty(h))
        assert len(sink.letters) == 1


def test_a_transport_of_any_name_has_settings_of_its_own():
    with Sink() as sink, house(**{"slow/transport": "smtp", "slow/smtp_helo_name": "slow.example", "slow/smtp_bind_address": "127.0.0.9",
                                  "slow_destination_recipient_limit": "1", "slow_destination_rate_delay": "1s",
                                  "default_transport": f"slow:[127.0.0.1]:{sink.port}"}) as h:
        send(h, ["a1@there.example", "a2@there.example", "a3@there.example"])
        wait_for(lambda: empty(h))
        assert [len(to) for _, to, _ in sink.letters] == [1, 1, 1]
        assert any("slow.example" in c for c in sink.commands if "EHLO" in c.upper()), sink.commands
        assert re.search(r"mansio/slow/smtp\[\d+\]: \w+: to=<a1@there", h.text())
