# SPDX-License-Identifier: ISC
"""What the owner of a Maildir or an mbox can do to a keeper that reads it: nothing to anybody else."""

import os
import threading

from kit import wait_for
from test_outside import BODY, Maildir, Mbox, demo_with


def place_of(kind, tmp_path):
    root = tmp_path / "boxes"
    root.mkdir()
    os.chmod(root, 0o777)
    for p in [tmp_path, *tmp_path.parents]:
        if p != p.parent and not os.stat(p).st_mode & 0o005:
            os.chmod(p, 0o755)
    return kind.location % root, root


def begin(kind, tmp_path):
    location, root = place_of(kind, tmp_path)
    demo = demo_with(tmp_path, f"mail_location = {location}")
    reader = demo.imap("jack")
    reader.select()
    return demo, kind(root), reader


def test_a_file_of_holes_is_no_letter_and_names_without_room_keep_no_flags(tmp_path):
    demo, box, reader = begin(Maildir, tmp_path)
    try:
        holes = box.root / "tmp" / "1600000000.holes.elsewhere"  # empty, it would be a letter
        holes.touch()
        os.truncate(holes, 8 << 40)
        box.own(holes)
        holes.rename(box.root / "new" / holes.name)
        box.add("long", "1600000001." + "x" * 244)
        box.add("short")
        wait_for(lambda: reader.noop()[0] == "OK" and len(reader.search(None, "ALL")[1][0].split()) == 2)
        assert reader.store("1:2", "+FLAGS", r"(\Seen \Flagged)")[0] == "OK"
        wait_for(lambda: reader.noop()[0] == "OK" and "FS" in box.flags())
        again = demo.imap("jack")
        again.select()
        assert [rb"\Flagged" in f for f in again.fetch("1:2", "(FLAGS)")[1]] == [True, True]
        assert again.uid("STORE", "1", "+FLAGS", r"(\Deleted)")[0] == "OK" and again.expunge()[0] == "OK"
        wait_for(lambda: box.count() == 2)
    finally:
        demo.stop()


def test_an_mbox_cut_off_while_it_is_read_ends_nobody(tmp_path):
    demo, box, reader = begin(Mbox, tmp_path)
    try:
        one = "From eva@example.org Sat Jan  3 01:05:34 1996\n" + BODY % "x" + "line\n" * 40000 + "\n"
        text = "".join(one.replace("Subject: x", f"Subject: {n}") for n in range(60)).encode()
        status = demo.command("status").stdout
        over = threading.Event()

        def tear():
            while not over.is_set():
                box.inbox.write_bytes(text)
                os.truncate(box.inbox, 100)

        box.inbox.write_bytes(text)
        box.own(box.inbox)
        tearing = threading.Thread(target=tear)
        tearing.start()
        try:
            for _ in range(40):
                assert reader.noop()[0] == "OK"
        finally:
            over.set()
            tearing.join()
        keeper = [line.split()[1] for line in status.splitlines() if line.startswith("keeper")]
        assert keeper == [line.split()[1] for line in demo.command("status").stdout.splitlines()
                          if line.startswith("keeper")]
    finally:
        demo.stop()


def test_a_letter_with_a_uid_of_its_own_leaves_uids_for_others(tmp_path):
    demo, box, reader = begin(Mbox, tmp_path)
    try:
        with open(box.inbox, "a") as f:
            for uid in 7, 4294967290:
                f.write("From eva@example.org Sat Jan  3 01:05:34 1996\n"
                        f"X-IMAPbase: 1700000000 8\nX-UID: {uid}\n" + BODY % uid + "\n")
        wait_for(lambda: reader.noop()[0] == "OK" and len(reader.search(None, "ALL")[1][0].split()) == 2)
        assert max(map(int, reader.uid("SEARCH", "ALL")[1][0].split())) < 1000
    finally:
        demo.stop()
