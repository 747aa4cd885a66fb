# SPDX-License-Identifier: ISC
"""Rights in the mailboxes of another, beside Debian's Dovecot with its acl plugin (vfile): the same rights are given in both
houses, and what then works is compared, command by command (rfc4314:4).

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_rights_beside_dovecot.py

Where we differ on purpose the difference stands in DIFFER, with its reason.
"""

import imaplib
import os
import pathlib
import pwd
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kit import open_to_all
from test_rights_table import ALL, BOX, LETTER, ROWS, does
from test_roles import Village

IMAP = "/usr/lib/dovecot/imap"
SEED, SETS = 20261123, 6

pytestmark = pytest.mark.skipif(not os.access(IMAP, os.X_OK), reason="no Dovecot here")

# Name of a row -> when our answer may be another: what was given, whether it worked with us; and why.
DIFFER = {
    "FETCH sets \\Seen": (lambda given, ours: not ours and "s" not in given,
                          "a reader's own \\Seen needs no right there; rfc4314:2.1 has \"s\" for it, also where it is kept for each user"),
    "STORE \\Seen": (lambda given, ours: not ours and "s" not in given, "the same"),
    "MOVE out of it": (lambda given, ours: not ours and "t" not in given, "rfc6851:4.1 asks for \"t\" and \"e\", there \"e\" is enough"),
    "DELETE": (lambda given, ours: ours and not {"l", "w"} <= set(given),
               "rfc4314:4 asks for \"x\" alone; there a name needs \"l\" to be known, and its special use \"w\" to be forgotten with it"),
    "LISTRIGHTS": (lambda given, ours: not ours and "a" not in given, "rfc4314:4 asks for \"a\", there everybody is told"),
}
# Other plugins of theirs; and names that are spelled without the domain.
OURS_ALONE = {"LIST", "GETQUOTAROOT", "SETMETADATA (rfc5464:3.3)"}        # other plugins of theirs


class Dovecot(imaplib.IMAP4_stream):
    """An imap process of a user, over the Maildirs of all."""

    def __init__(self, folder, user):
        owner = pwd.getpwuid(os.getuid()) if os.getuid() != 0 else pwd.getpwnam("nobody")
        super().__init__(f"exec env USER={user} HOME={folder}/{user} {IMAP} -c {folder}/{user}.conf 2>>{folder}/errors")
        self.folder, self.user, self.owner = folder, user, owner


def settle(folder, users):
    owner = pwd.getpwuid(os.getuid()) if os.getuid() != 0 else pwd.getpwnam("nobody")
    for user in users:
        (folder / user).mkdir()
        (folder / f"{user}.conf").write_text(f"""
protocols = imap
ssl = no
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
mail_uid = {owner.pw_uid}
mail_gid = {owner.pw_gid}
first_valid_uid = 0
first_valid_gid = 0
mail_home = {folder}/{user}
mail_location = maildir:{folder}/{user}/Maildir
mail_plugins = acl
namespace inbox {{
  inbox = yes
  separator = /
}}
namespace others {{
  type = shared
  separator = /
  prefix = Other Users/%%u/
  location = maildir:{folder}/%%u/Maildir:INDEXPVT={folder}/{user}/private/%%u
  subscriptions = no
  list = children
}}
plugin {{
  acl = vfile
  acl_shared_dict = file:{folder}/shared
}}
protocol imap {{
  mail_plugins = acl imap_acl
}}
""")
    for path in [folder, *folder.rglob("*")]:
        if os.getuid() == 0:
            os.chown(path, owner.pw_uid, owner.pw_gid)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dovecot")
    open_to_all(folder)
    settle(folder, ["jack", "jill", "adam"])
    jack = Dovecot(folder, "jack")
    Dovecot(folder, "jill").append("INBOX", None, None, LETTER)
    Dovecot(folder, "jill").create("Archive")
    yield folder, jack
    jack.logout()


@pytest.fixture(scope="module")
def ours():
    with Village("jack", "jill", "adam") as village:
        village.imap("jill").append("INBOX", None, None, LETTER)
        yield village.imap("jack"), village.imap("jill")


def of_them(theirs, rights, act):
    """A process that begins now has kept nothing of what was so before."""
    folder, jack = theirs
    jill = Dovecot(folder, "jill")
    try:
        return does((jack, jill), rights, act)
    finally:
        jill.logout()


def sets(name, rights):
    dice = random.Random(f"{SEED} {name}")
    yield from (rights, "", ALL, *(ALL.replace(one, "") for one in rights))
    for _ in range(SETS):
        yield "".join(r for r in ALL if dice.random() < 0.6)


def listed(jill):
    """By its name: what a pattern finds there depends on what has been shared before."""
    return any(line for name in [BOX, BOX.replace("jack", "jack@example.com")] for line in jill.list('""', name)[1])


TOGETHER = [row for row in ROWS if row[0] not in OURS_ALONE] + [("LIST", "l", listed)]


@pytest.mark.parametrize("name,rights,act", TOGETHER, ids=[row[0] for row in TOGETHER])
def test_the_same_works(ours, theirs, name, rights, act):
    wrong, differs = [], False
    for given in sets(name, rights):
        mine, other = does(ours, given, act), of_them(theirs, given, act)
        differs |= mine != other
        if mine != other and not (name in DIFFER and DIFFER[name][0](given, mine)):
            wrong.append((given, mine, other))
    assert wrong == [] and differs == (name in DIFFER), "what is listed is so"
