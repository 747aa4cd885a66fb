# SPDX-License-Identifier: ISC
"""Mail of our own domains that another server keeps: virtual_transport, local_transport, mailbox_transport, fallback_transport.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_transports.py
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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import wait_for
from test_sending import Sink, empty, house, send

DOVECOT = """protocols = lmtp
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
ssl = no
mail_location = maildir:{home}/mail/%u
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = dovecot
default_login_user = dovenull
recipient_delimiter = +
service lmtp {{
  unix_listener {home}/private/dovecot-lmtp {{
    mode = 0666
  }}
}}
passdb {{
  driver = passwd-file
  args = {home}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={home}/mail/%u
}}
"""


@pytest.fixture
def dovecot():
    """Dovecot's LMTP behind private/dovecot-lmtp, as the tutorials have it; gives its home."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="mansio-dovecot-", dir="/run"))
    home.chmod(0o755)
    for name in ("mail", "private"):
        (home / name).mkdir()
        (home / name).chmod(0o777 if name == "mail" else 0o755)
    (home / "users").write_text("ann@virtual.example:{PLAIN}x\nbob@local.example:{PLAIN}x\n")
    (home / "dovecot.conf").write_text(DOVECOT.format(home=home))
    process = subprocess.Popen(["dovecot", "-F", "-c", home / "dovecot.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for((home / "private/dovecot-lmtp").exists)
        yield home
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(home)


def lies(home, user):
    return len(list((home / "mail" / user / "new").iterdir())) if (home / "mail" / user / "new").exists() else 0


def refused(h, to):
    with pytest.raises(smtplib.SMTPRecipientsRefused) as e:
        send(h, to)
    return e.value.recipients[to]


def test_dovecot_keeps_the_virtual_mailboxes_as_the_tutorials_say(dovecot):
    """R158: virtual_transport = lmtp:unix:private/dovecot-lmtp"""
    with house(virtual_transport="lmtp:unix:private/dovecot-lmtp", lmtp_socket_directories=f"{dovecot}/private",
               virtual_mailbox_domains="virtual.example", relayhost="[127.0.0.1]:1", recipient_delimiter="+",
               virtual_mailbox_maps="inline:{ann@virtual.example=virtual/ann/}",
               virtual_alias_maps="inline:{info@virtual.example=ann@virtual.example}") as h:
        assert refused(h, "stranger@virtual.example")[0] == 550
        send(h, ["ann@virtual.example", "ann+lists@virtual.example"])
        send(h, "info@virtual.example")
        wait_for(lambda: empty(h))
        assert lies(dovecot, "ann@virtual.example") == 3
        log = h.text()
        assert re.search(r"/lmtp\[\d+\]: \w+: to=<ann@virtual\.example>.*relay=mail\.example\.com\[private/dovecot-lmtp\].*status=sent \(250 2\.0\.0 <ann@virtual", log)


def test_without_a_list_dovecot_says_who_there_is(dovecot):
    with house(virtual_transport="lmtp:unix:private/dovecot-lmtp", lmtp_socket_directories=f"{dovecot}/private",
               virtual_mailbox_domains="virtual.example", virtual_mailbox_maps="") as h:
        send(h, ["ann@virtual.example", "stranger@virtual.example"], sender="")
        wait_for(lambda: empty(h))
        assert lies(dovecot, "ann@virtual.example") == 1
        assert re.search(r"to=<stranger@virtual\.example>.*dsn=5\.1\.1, status=bounced", h.text())


@pytest.mark.parametrize("settings", [
    dict(local_transport="lmtp:unix:private/dovecot-lmtp", local_recipient_maps="inline:{bob=x}"),
    dict(mailbox_transport="lmtp:unix:private/dovecot-lmtp", local_recipient_maps="inline:{bob=x, help=x}"),
    dict(fallback_transport="lmtp:unix:private/dovecot-lmtp", local_recipient_maps="inline:{bob=x, help=x}"),
    dict(mailbox_transport_maps="inline:{bob=lmtp:unix:private/dovecot-lmtp}", local_recipient_maps="inline:{bob=x, help=x}"),
], ids=lambda s: next(iter(s)))
def test_dovecot_keeps_local_mailboxes(dovecot, settings):
    with house(lmtp_socket_directories=f"{dovecot}/private", mydestination="local.example", myorigin="local.example",
               alias_maps="inline:{help=bob}", **settings) as h:
        assert refused(h, "stranger@local.example")[0] == 550
        send(h, "bob@local.example")
        if "local_transport" not in settings:
            send(h, "help@local.example")
        wait_for(lambda: empty(h))
        assert lies(dovecot, "bob@local.example") == (1 if "local_transport" in settings else 2)


def test_a_user_of_the_system_whose_mailbox_another_server_has():
    where = tempfile.mkdtemp(prefix="mansio-lmtp-", dir="/run")
    os.chmod(where, 0o755)
    try:
        with Sink(lmtp=True, path=f"{where}/lmtp") as sink, \
                house(mailbox_transport=f"lmtp:unix:{where}/lmtp", mydestination="local.example", myorigin="local.example", alias_maps="",
                      recipient_delimiter="+") as h:
            send(h, ["daemon+box@local.example", "daemon@local.example"])
            wait_for(lambda: empty(h))
            assert sink.got() == ["daemon+box@local.example", "daemon@local.example"]
    finally:
        shutil.rmtree(where)


def test_virtual_transport_may_say_that_all_is_refused():
    """At RCPT, as Postfix (test_transports_beside_postfix); what an alias leads there bounces."""
    with house(virtual_transport="error:5.7.0 not today", virtual_mailbox_domains="virtual.example", virtual_mailbox_maps="",
               virtual_alias_domains="alias.example", virtual_alias_maps="inline:{ann@alias.example=ann@virtual.example}") as h:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(h, "ann@virtual.example", sender="")
        code, words = refused.value.recipients["ann@virtual.example"]
        assert code == 550 and words.startswith(b"5.7.0 <ann@virtual.example>: Recipient address rejected: not today"), words
        send(h, "ann@alias.example", sender="")
        wait_for(lambda: "dsn=5.7.0, status=bounced (not today)" in h.text())
