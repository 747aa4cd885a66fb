# SPDX-License-Identifier: ISC
"""Which right each command needs: the table of rfc4314:4, asked of a server.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_rights_table.py

A row is a command and the rights it needs in the mailbox of another.  With exactly these it works; with all
others it does not, whichever of them is taken away.
"""

import imaplib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from test_roles import Village

for name in ["SETMETADATA", "LISTRIGHTS", "MOVE"]:
    imaplib.Commands[name] = ("AUTH", "SELECTED")

ALL = "lrswipkxtea"
BOX = '"Other Users/jack/Box"'
LETTER = b"Subject: x\r\n\r\nx\r\n"


def took(answer):
    return answer[0] == "OK"


def opened(jill):
    """SELECT without imaplib's words about mailboxes that are read-only."""
    good = took(jill._simple_command("SELECT", BOX))
    jill.state = "SELECTED" if good else "AUTH"
    jill.untagged_responses = {}
    return good


def flags(jill, change, flag):
    """Whether STORE changes the flag: where it may not, the answer tells the flags as they are (rfc4314:4)."""
    if not opened(jill):
        return False
    answer = jill.uid("STORE", "1:*", change, flag)
    jill.response("FETCH")
    found = {"\\Seen": "SEEN", "\\Deleted": "DELETED", "\\Flagged": "FLAGGED"}[flag]
    return took(answer) and jill.search(None, found)[1][0] != b""


def expunge(jill):
    return opened(jill) and took(jill.expunge()) and jill.search(None, "ALL")[1][0] == b""


def fetched_is_seen(jill):
    if not opened(jill):
        return False
    jill.fetch("1", "(BODY[])")
    jill.response("FETCH")
    return jill.search(None, "SEEN")[1][0] != b""


def listed(jill):
    return any(b"jack@example.com/Box" in (line or b"") for line in jill.list()[1])


def copied_into(jill):
    jill.select("INBOX")
    return took(jill.copy("1", BOX))


def moved_out(jill):
    return opened(jill) and took(jill._simple_command("MOVE", "1", "Archive"))


def kept(jill, value):
    return took(jill._simple_command("SETMETADATA", BOX, f'(/shared/comment "{value}")'))


# Name, the rights, what is done; what works in an open mailbox needs "r" to open it.
ROWS = [
    ("LIST", "l", listed),
    ("SELECT", "r", opened),
    ("EXAMINE", "r", lambda j: took(j.select(BOX, readonly=True))),
    ("STATUS", "r", lambda j: took(j.status(BOX, "(MESSAGES)"))),
    ("FETCH of flags", "r", lambda j: opened(j) and took(j.fetch("1", "(FLAGS)"))),
    ("FETCH sets \\Seen", "rs", fetched_is_seen),
    ("STORE \\Seen", "rs", lambda j: flags(j, "+FLAGS", "\\Seen")),
    ("STORE \\Deleted", "rt", lambda j: flags(j, "+FLAGS", "\\Deleted")),
    ("STORE \\Flagged", "rw", lambda j: flags(j, "+FLAGS", "\\Flagged")),
    ("EXPUNGE", "re", expunge),
    ("APPEND", "i", lambda j: took(j.append(BOX, None, None, LETTER))),
    ("COPY into it", "i", copied_into),
    ("MOVE out of it", "rte", moved_out),
    ("CREATE below it", "k", lambda j: took(j.create('"Other Users/jack/Box/below"'))),
    ("DELETE", "x", lambda j: took(j.delete(BOX))),
    ("RENAME", "xk", lambda j: took(j.rename(BOX, '"Other Users/jack/Above/Box"'))),
    ("GETACL", "a", lambda j: took(j.getacl(BOX))),
    ("SETACL", "a", lambda j: took(j.setacl(BOX, "adam", "l"))),
    ("DELETEACL", "a", lambda j: took(j.deleteacl(BOX, "adam"))),
    ("LISTRIGHTS", "a", lambda j: took(j._simple_command("LISTRIGHTS", BOX, "adam"))),
    ("GETQUOTAROOT", "r", lambda j: took(j.getquotaroot(BOX))),
    ("SETMETADATA (rfc5464:3.3)", "lw", lambda j: kept(j, "x")),
]
# One of these is enough (rfc4314:4, MYRIGHTS).
ANY_OF = "lrikxa"


@pytest.fixture(scope="module")
def house():
    with Village("jack", "jill", "adam") as village:
        village.imap("jill").append("INBOX", None, None, LETTER)
        yield village


@pytest.fixture(scope="module")
def people(house):
    return house.imap("jack"), house.imap("jill")


def does(people, rights, act):
    """What comes of it in a fresh mailbox with one letter, already \\Deleted when that is the owner's to do."""
    jack, jill = people
    for name in ["Above/Box", "Box/below", "Box", "Above"]:
        jack.delete(name)
    for name in ["Box", "Above"]:
        assert took(jack.create(name))
        assert not rights or took(jack.setacl(name, "jill", rights))
    jack.append("Box", "(\\Deleted)" if act is expunge else None, None, LETTER)
    got = act(jill)
    jill.select("INBOX")
    return bool(got)


@pytest.mark.parametrize("name,rights,act", ROWS, ids=[row[0] for row in ROWS])
def test_what_it_needs(people, name, rights, act):
    assert does(people, rights, act), f"{name} with {rights}"
    for one in rights:
        without = ALL.replace(one, "")
        assert not does(people, without, act), f"{name} with {without}"


def test_myrights_needs_any_of_some(people):
    for one in ALL:
        got = does(people, one, lambda j: took(j.myrights(BOX)))
        assert got == (one in ANY_OF), one
    assert not does(people, "", lambda j: took(j.myrights(BOX)))
