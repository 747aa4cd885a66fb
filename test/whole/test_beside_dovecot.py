# SPDX-License-Identifier: ISC
"""The same odd letters given to Debian's Dovecot and to us: what both say of them is compared by meaning.

Where we differ on purpose the difference stands in DIFFER, with its reason.
"""

import imaplib
import os
import pathlib
import pwd
import re
import subprocess
import sys

import pytest
from kit import ROOT, open_to_all

sys.path.insert(0, str(ROOT / "test/unit/message/oracle"))
import letters  # noqa: E402
import oracle  # noqa: E402

IMAP = "/usr/lib/dovecot/imap"
SEED, MANY = 20261122, 150

pytestmark = pytest.mark.skipif(not os.access(IMAP, os.X_OK), reason="no Dovecot here")

# (title of the letter, what was asked): why our answer is another.
DIFFER = {
    ("dots", "ENVELOPE"): "rfc5322:4.4 obs-local-part has blanks around its dots",
    ("rfc2231", "BODYSTRUCTURE"): "rfc2231:4.1 a plain piece beside extended ones cannot stay as it is",
    ("rfc2231", "BODY"): "the same",
}


class Dovecot(imaplib.IMAP4_stream):
    """A private imap process over a Maildir of its own, already logged in."""

    def __init__(self, folder):
        owner = pwd.getpwuid(os.getuid()) if os.getuid() != 0 else pwd.getpwnam("nobody")
        (folder / "Maildir").mkdir()
        if os.getuid() == 0:                # it will not read mail for root
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, owner.pw_uid, owner.pw_gid)
        config = folder / "dovecot.conf"
        config.write_text(
            f"protocols = imap\nssl = no\nbase_dir = {folder}/run\nstate_dir = {folder}/state\nlog_path = {folder}/log\n"
            f"mail_location = maildir:{folder}/Maildir\nmail_uid = {owner.pw_uid}\nmail_gid = {owner.pw_gid}\n"
            f"first_valid_uid = 0\nfirst_valid_gid = 0\nmail_home = {folder}\n")
        super().__init__(f"exec env USER={owner.pw_name} HOME={folder} {IMAP} -c {config} 2>>{folder}/errors")


@pytest.fixture(scope="module")
def both(demo, tmp_path_factory):
    """(ours, theirs, titles): the same letters in the same order, selected."""
    folder = tmp_path_factory.mktemp("dovecot")
    open_to_all(folder)
    theirs, ours = Dovecot(folder), demo.imap("ataylor")
    ours.create("Odd")
    theirs.create("Odd")
    titles = []
    for n, (title, content) in enumerate(letters.letters(MANY, SEED)):
        if isinstance(content, str):
            content = content.encode()
        for box in (ours, theirs):
            box.literal = content
            date = f'"{n % 28 + 1:02d}-Oct-2026 12:00:00 +0000"'
            flags = ["()", r"(\Seen)", r"(\Flagged $Odd)"][n % 3]
            kind, data = box._simple_command("APPEND", "Odd", flags, date)
            assert kind == "OK", (title, data)
        titles.append(title)
    for box in (ours, theirs):
        assert box.select("Odd")[0] == "OK"
    yield ours, theirs, titles
    ours.select("INBOX")
    ours.delete("Odd")
    ours.logout()
    theirs.logout()


def fetched(box, items):
    """[{item: value}] in order of number, values parsed."""
    kind, data = box.fetch("1:*", items)
    assert kind == "OK", data
    whole = b"".join(d + b"\n" if isinstance(d, bytes) else d[0] + b"\r\n" + d[1] for d in data)
    found, at = {}, 0
    while at < len(whole):
        m = re.compile(rb"\s*(\d+) (?=\()").match(whole, at)
        if not m:
            break
        values, at = oracle.parse(whole, m.end())
        found[int(m[1])] = dict(zip([v.upper() for v in values[0::2]], values[1::2]))
    return [found[n] for n in sorted(found)]


def same(ours, theirs):
    """One but for what is a matter of taste."""
    if isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            return False
        # A letter that ends with the last line of a multipart: the line end before
        # the outer boundary is the boundary's (rfc2046:5.1.1).
        if ours[:2] == [b"message", b"rfc822"] and theirs[6] == ours[6] + 2 and theirs[9] == ours[9] + 1:
            ours = ours[:6] + [theirs[6]] + ours[7:9] + [theirs[9]] + ours[10:]
        return all(same(a, b) for a, b in zip(ours, theirs))
    if theirs in (b"MISSING_DOMAIN", b"MISSING_MAILBOX"):
        return ours == b""                  # we leave them empty
    if isinstance(ours, bytes) and isinstance(theirs, bytes):
        return ours.lower().replace(b"\t", b" ") == theirs.lower().replace(b"\t", b" ")
    return ours == theirs


@pytest.mark.parametrize("item", ["ENVELOPE", "BODYSTRUCTURE", "BODY", "RFC822.SIZE", "INTERNALDATE", "FLAGS"])
def test_fetch_says_the_same(both, item):
    ours, theirs, titles = both
    mine, other = fetched(ours, f"({item})"), fetched(theirs, f"({item})")
    assert len(mine) == len(other) == len(titles)
    differ = set()
    for title, a, b in zip(titles, mine, other):
        a, b = a[item.encode()], b[item.encode()]
        if item == "FLAGS":
            a, b = ({f.lower() for f in flags if f != rb"\Recent"} for flags in (a, b))
        if not same(a, b):
            assert (title, item) in DIFFER, (title, a, b)
            differ.add((title, item))
    assert differ == {row for row in DIFFER if row[1] == item}, "what is listed is so"


def part(answer):
    """The bytes of a section; NIL and "" say the same of what is not there or is empty."""
    if isinstance(answer, tuple):
        return answer[1]
    text = re.sub(rb"^\d+ \(.*\](<\d+>)? ?", b"", answer, flags=re.S)
    return oracle.parse(text.rstrip(b")") + b" ")[0] or b""


@pytest.mark.parametrize("section", [
    "BODY.PEEK[]", "BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]", "BODY.PEEK[1]", "BODY.PEEK[1.MIME]", "BODY.PEEK[2]",
    "BODY.PEEK[1.1]", "BODY.PEEK[2.HEADER]", "BODY.PEEK[]<10.50>",
    "BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]", "BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT FROM)]"])
def test_sections_are_the_same_bytes(both, section):
    ours, theirs, titles = both
    wrong = []
    for n, title in enumerate(titles, 1):
        a, b = (part(box.fetch(str(n), f"({section})")[1][0]) for box in (ours, theirs))
        # The line end before the boundary of the multipart around it is the boundary's (rfc2046:5.1.1).
        if a == b or a + b"\r\n" == b:
            continue
        # Dovecot takes a leaf for the only part of itself; only a multipart has parts (rfc3501:6.4.5).
        if not (section == "BODY.PEEK[1.1]" and a == b""):
            wrong.append((title, a, b))
    assert wrong == []


QUERIES = [
    "ALL", "SEEN", "UNSEEN", "FLAGGED", "KEYWORD $Odd", "UNKEYWORD $Odd", "NOT SEEN FLAGGED", "OR SEEN FLAGGED",
    "SUBJECT x", 'SUBJECT "one two"', "FROM john", "TO a@b.c", "CC undisclosed", "BCC x", 'HEADER Message-ID ""',
    "HEADER In-Reply-To c@d", 'HEADER X-Nothing ""', "BODY hello", "BODY one", "TEXT hello", "TEXT inside", "BODY inside",
    'TEXT "x y.pdf"', "LARGER 500", "SMALLER 100", "BEFORE 10-Oct-2026", "ON 11-Oct-2026", "SINCE 20-Oct-2026",
    "SENTBEFORE 1-Jan-2020", "SENTON 22-Nov-2026", "SENTSINCE 1-Jan-2020", "1:10 NOT 3,5", "UID 5:20 UNSEEN",
    "(OR (FROM a) (TO a)) NOT BODY x", "NOT (SEEN)", "OR (SUBJECT a FLAGGED) (BODY b)",
]


ASKED, REASONS_MET = [], set()


def explained(query, content, who):
    """Why only one of us finds this letter, or None.  `who` found it."""
    header, _, body = content.partition(b"\r\n\r\n")
    if query.startswith("SENT") and who == "theirs" and not re.search(rb"(?im)^date[ \t]*:", header):
        return "a letter without a Date was not sent before any day; there it was sent in 1970"
    if "BODY" in query and re.search(rb"(?i)content-|--", body):
        return "the header fields of parts are part of the body for us, so that a file name is found (rfc3501:6.4.4)"
    if "FROM" in query and b"(" in header:
        return "the comments of an address are found too"
    return None


@pytest.mark.parametrize("query", QUERIES)
def test_search_finds_the_same(both, query):
    ours, theirs, titles = both
    contents = [c.encode() if isinstance(c, str) else c for _, c in letters.letters(MANY, SEED)]
    a, b = ({int(n) for n in box.search(None, query)[1][0].split()} for box in (ours, theirs))
    why = {n: explained(query, contents[n - 1], "ours" if n in a else "theirs") for n in a ^ b}
    assert [titles[n - 1] for n in sorted(why) if not why[n]] == []
    ASKED.append(query)
    REASONS_MET.update(why.values())


def test_each_reason_is_met():
    """What explains nothing any more is to go."""
    if ASKED != QUERIES:
        pytest.skip("not all of the queries above were asked")
    assert len(REASONS_MET) == 3


SORTS = ["ARRIVAL", "DATE", "SIZE", "SUBJECT", "FROM", "TO", "CC", "DISPLAYFROM", "DISPLAYTO", "REVERSE DATE", "SUBJECT REVERSE SIZE",
         "FROM SUBJECT DATE"]


@pytest.mark.parametrize("keys", SORTS)
def test_sort_gives_the_same_order(both, keys):
    ours, theirs, titles = both
    a, b = ([int(n) for n in box.sort(f"({keys})", "UTF-8", "ALL")[1][0].split()] for box in (ours, theirs))
    # Its local part is spelled otherwise: ("dots", "ENVELOPE") above.
    assert [n for n in a if titles[n - 1] != "dots"] == [n for n in b if titles[n - 1] != "dots"]


def trees(answer):
    """The threads of an answer, one by one."""
    out, depth, begin = [], 0, 0
    for at, c in enumerate(answer):
        if c == ord("("):
            begin, depth = (at if depth == 0 else begin), depth + 1
        elif c == ord(")"):
            depth -= 1
            if depth == 0:
                out.append(answer[begin:at + 1])
    return out


@pytest.mark.parametrize("how", ["ORDEREDSUBJECT", "REFERENCES", "REFS"])
def test_thread_gives_the_same_trees(both, how):
    ours, theirs, _ = both
    a, b = (trees(box.thread(how, "UTF-8", "ALL")[1][0]) for box in (ours, theirs))
    if how == "REFS":             # they come in another order; the draft never became an RFC
        a, b = sorted(a), sorted(b)
    assert a == b


# ---- commands that are none --------------------------------------------------

BAD = b"x FOO\r\n"
ROWS = {
    "nineteen and one understood, twice": (BAD * 19 + b"x NOOP\r\n") * 2 + b"x LOGOUT\r\n",
    "nineteen and one refused, twice": (BAD * 19 + b"x SELECT nowhere\r\n") * 2 + b"x LOGOUT\r\n",
    "twenty": BAD * 20,
    "twenty after one understood": BAD * 19 + b"x NOOP\r\n" + BAD * 20,
    "twenty of arguments": b"x LIST\r\n" * 20,
    "thirty that need a mailbox": b"x FETCH 1 FLAGS\r\n" * 30 + b"x LOGOUT\r\n",
    "one that needs a mailbox between them": BAD * 19 + b"x CHECK\r\n" + BAD * 20 + b"x LOGOUT\r\n",
    "behind a SELECT that failed": b"x SELECT nowhere\r\n" + b"x UID FETCH 1:* FLAGS\r\nx STORE 1 +FLAGS (a)\r\n" * 15 + b"x CLOSE\r\nx LOGOUT\r\n",
}


def said_of(box, words):
    """The first words of each tagged answer, and BYE, until the server ends it."""
    box.send(words)
    said = []
    while line := box.readline():
        said += [w for w in [line.split()[1]] if line.startswith(b"x ") or w == b"BYE"]
    box.shutdown()
    return said


@pytest.mark.parametrize("words", ROWS.values(), ids=ROWS)
def test_bad_commands_in_a_row_end_the_session(demo, tmp_path_factory, words):
    folder = tmp_path_factory.mktemp("dovecot")
    open_to_all(folder)
    assert said_of(demo.imap("ataylor"), words) == said_of(Dovecot(folder), words)
