# SPDX-License-Identifier: ISC
"""A large mailbox after a restart: SELECT and STATUS answer from what was kept of it, and whatever comes next finds its
messages.  What is expected comes from the letters that were put there."""

import tempfile

import pytest

from kit import Demo

COUNT = 1100		# enough that it is kept (docs/format.md, Tallies)
SEEN, DELETED = 40, 7


def fill(box, name):
    """COUNT letters, the first SEEN of them seen, the first DELETED deleted."""
    text = b"Subject: %d\r\n\r\nletter\r\n"
    assert box.create(name)[0] == "OK"
    box.send(b"f APPEND %s" % name.encode())
    for n in range(COUNT):
        one = text % n
        box.send(b" {%d+}\r\n" % len(one) + one)
    box.send(b"\r\n")
    while not (line := box.readline()).startswith(b"f "):
        pass
    assert line.startswith(b"f OK"), line
    box.select(name)
    assert box.store(f"1:{SEEN}", "+FLAGS.SILENT", "(\\Seen)")[0] == "OK"
    assert box.store(f"1:{DELETED}", "+FLAGS.SILENT", "(\\Deleted)")[0] == "OK"
    box.unselect()


@pytest.fixture(scope="module")
def demo():
    """With a mailbox for each test, of which fresh processes have read nothing."""
    with tempfile.TemporaryDirectory() as where:
        d = Demo(where).start()
        try:
            box = d.imap()
            for name in [w.__name__ for w in WHATS] + ["others", "words"]:
                fill(box, name)
            box.logout()
            d.stop()
            d.start()
            yield d
        finally:
            d.stop()


def numbers(box, *criteria):
    return [int(n) for n in box.search(None, *criteria)[1][0].split()]


def fetch(box):
    lines = box.fetch("1:*", "(FLAGS)")[1]
    assert len(lines) == COUNT
    assert sum(b"\\Seen" in line for line in lines) == SEEN


def search(box):
    assert numbers(box, "UNSEEN") == list(range(SEEN + 1, COUNT + 1))


def store(box):
    assert box.store(str(COUNT), "+FLAGS", "(\\Flagged)")[1] == [b"%d (FLAGS (\\Flagged))" % COUNT]
    assert numbers(box, "FLAGGED") == [COUNT]


def keyword(box):
    assert box.store("2:3", "+FLAGS", "(work)")[0] == "OK"
    assert numbers(box, "KEYWORD", "work") == [2, 3]


def copy(box):
    box.create("Copied")
    assert box.copy("1:*", "Copied")[0] == "OK"
    assert b"MESSAGES %d" % COUNT in box.status("Copied", "(MESSAGES)")[1][0]


def expunge(box):
    assert box.expunge()[1] == [b"1"] * DELETED
    assert len(numbers(box, "ALL")) == COUNT - DELETED


def close(box):
    box.close()
    assert box.select("close")[1] == [b"%d" % (COUNT - DELETED)]


def unselect(box):
    box.unselect()
    assert box.select("unselect")[1] == [b"%d" % COUNT]
    fetch(box)


def sort(box):
    assert box.sort("(REVERSE ARRIVAL)", "UTF-8", "ALL")[0] == "OK"
    assert box.thread("REFERENCES", "UTF-8", "1:3")[1] == [b"(1)(2)(3)"]


def append(box):
    assert box.append("append", None, None, b"Subject: more\r\n\r\nx\r\n")[0] == "OK"
    assert box.untagged_responses["EXISTS"][-1] == b"%d" % (COUNT + 1)
    assert numbers(box, "SUBJECT", "more") == [COUNT + 1]


def by_uid(box):
    uids = box.uid("SEARCH", None, "SEEN")[1][0].split()
    assert len(uids) == SEEN
    lines = box.uid("FETCH", uids[-1].decode(), "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
    assert lines[0][1] == b"Subject: %d\r\n\r\n" % (SEEN - 1)


def beyond(box):
    """The first command has a number that is not there."""
    with pytest.raises(box.error, match="BAD"):
        box.fetch(str(COUNT + 1), "(FLAGS)")
    fetch(box)


WHATS = [fetch, search, store, keyword, copy, expunge, close, unselect, sort, append, by_uid, beyond]


@pytest.mark.parametrize("what", WHATS)
def test_what_comes_after_a_glance(demo, what):
    name = what.__name__
    box = demo.imap()
    said = box.status(name, "(MESSAGES UNSEEN)")[1][0]
    assert b"MESSAGES %d" % COUNT in said and b"UNSEEN %d" % (COUNT - SEEN) in said
    assert box.select(name)[1] == [b"%d" % COUNT]
    what(box)
    box.logout()


def test_others_change_what_was_glanced_at(demo):
    first, other = demo.imap(), demo.imap()
    for box in (first, other):
        assert box.select("others")[1] == [b"%d" % COUNT]
    first.send(b"i IDLE\r\n")
    assert first.readline().startswith(b"+")
    assert other.expunge()[1] == [b"1"] * DELETED
    for _ in range(DELETED):
        assert first.readline() == b"* 1 EXPUNGE\r\n"
    assert other.append("others", None, None, b"Subject: more\r\n\r\nx\r\n")[0] == "OK"
    while first.readline() != b"* %d EXISTS\r\n" % (COUNT - DELETED + 1):
        pass
    first.send(b"DONE\r\n")
    while not first.readline().startswith(b"i OK"):
        pass
    other.noop()
    assert numbers(first, "ALL") == numbers(other, "ALL")
    first.logout()
    other.logout()


def test_the_words_of_select(demo):
    box = demo.imap()
    box.send(b"s SELECT words\r\n")
    lines = []
    while not lines or not lines[-1].startswith(b"s "):
        lines.append(box.readline())
    said = b"".join(lines)
    assert b"* OK [UNSEEN %d]" % (SEEN + 1) in said and b"* OK [UIDNEXT %d]" % (COUNT + 1) in said
    assert b"* %d EXISTS" % COUNT in said and b"* 0 RECENT" in said
    box.shutdown()
