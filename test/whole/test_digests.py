# SPDX-License-Identifier: ISC
"""The file in which an account's digests lie together: what FETCH tells out of it is what it told out of the letters."""

import random
import signal

from kit import wait_for
from test_search import made

ITEMS = "(UID ENVELOPE BODYSTRUCTURE PREVIEW)"


def told(demo, mailbox="Many"):
    """What a session says of all letters, by uid."""
    reader = demo.imap("ataylor")
    assert reader.select(mailbox, readonly=True)[0] == "OK"
    lines = reader.fetch("1:*", ITEMS)[1]
    reader.logout()
    text = b"".join(b"".join(part) if isinstance(part, tuple) else part + b"\n" for part in lines)
    return [line.split(b" ", 1)[1] for line in text.split(b"\n") if line]


def file_of(demo, blocks):
    """The file once it has so many blocks (docs/format.md); it was not there before."""
    def there():
        for p in (demo.dir / "mail/store/accounts").glob("*/*/digests"):
            if any(p.read_bytes()[64 + (blocks - 1) * 48:64 + blocks * 48]):
                return p
        return None
    wait_for(there)
    return there()


def test_what_is_told_out_of_the_file_is_what_the_letters_said(own):
    demo = own().start()
    chance = random.Random(20261123)
    reader = demo.imap("ataylor")
    reader.create("Many")
    reader.create("Copies")
    for _ in range(330):
        assert reader.append("Many", "", None, made(chance)[0])[0] == "OK"
    first = told(demo)
    file = file_of(demo, 5)
    assert told(demo) == first                      # out of memory
    demo.stop()
    demo.start()
    assert told(demo) == first                      # out of the file
    reader = demo.imap("ataylor")
    reader.select("Many")
    reader.copy("1:200", "Copies")
    reader.store("3:60", "+FLAGS", r"(\Deleted)")
    reader.expunge()
    for _ in range(70):
        assert reader.append("Many", "", None, made(chance)[0])[0] == "OK"
    most, copies = told(demo), told(demo, "Copies")
    demo.stop(signal.SIGKILL)
    demo.start()
    assert told(demo) == most and told(demo, "Copies") == copies
    for turn in range(6):                           # whatever befell the file
        demo.stop()
        file.unlink()
        demo.start()
        told(demo)
        file_of(demo, 5)
        demo.stop()
        whole = bytearray(file.read_bytes())
        before = demo.log().count("its digests are damaged; they are made anew")
        if turn % 3 == 0:
            whole = whole[:chance.randrange(24700, len(whole))]
        else:
            at = chance.randrange(64 + 512 * 48, len(whole)) if turn % 3 == 1 else chance.randrange(64, 64 + 5 * 48)
            whole[at] ^= 0x10
        file.write_bytes(whole)
        demo.start()
        assert told(demo) == most and told(demo, "Copies") == copies
        assert demo.log().count("its digests are damaged; they are made anew") == before + (turn % 3 == 1)
        file_of(demo, 5)
