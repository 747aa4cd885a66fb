# SPDX-License-Identifier: ISC
"""Many sessions in the same mailboxes do as they please; each believes what it is told.  In the end all of them and
one that comes fresh believe the same.

    test/whole/test_consistency.py --seconds 600 --seed 7        the longer form
"""

import argparse
import poplib
import random
import secrets
import smtplib
import sys
import tempfile
import time

from believer import Believer, Unbelievable
from kit import Demo, letter

BOXES = ["INBOX", "one", "two"]
KINDS = [((), False), ((), False), ((), True), (("QRESYNC",), True), (("QRESYNC",), True), (("UIDONLY",), False),
         (("UIDONLY", "QRESYNC"), True), (("IMAP4rev2",), False)]
EVERYTHING = "(MessageNew (UID FLAGS) MessageExpunge FlagChange)"
OTHERS = " (personal (MessageNew MessageExpunge FlagChange MailboxName))"
NOTIFIED = [((), False, f"(SELECTED {EVERYTHING})" + OTHERS), (("QRESYNC",), True, f"(SELECTED {EVERYTHING})"),
            ((), False, f"(SELECTED-DELAYED {EVERYTHING})" + OTHERS)]
FLAGS = ["\\Seen", "\\Deleted", "\\Flagged", "\\Answered", "work", "$Junk", "k1", "k2", "k3"]


class Play:
    def __init__(self, demo, seed):
        self.demo, self.dice, self.done = demo, random.Random(seed), 0
        self.sessions = [Believer(demo, f"s{i}", enable=e, condstore=c) for i, (e, c) in enumerate(KINDS)]
        self.sessions += [Believer(demo, f"n{i}", enable=e, condstore=c, notify=n) for i, (e, c, n) in enumerate(NOTIFIED)]
        for box in BOXES[1:]:
            self.sessions[0].run(f"CREATE {box}")
        for s in self.sessions:
            s.select(self.dice.choice(BOXES))

    # ---- which messages

    def some(self, s):
        """A set, by numbers or uids, of what the client knows."""
        first = self.dice.randrange(len(s.list))
        last = min(len(s.list) - 1, first + int(self.dice.expovariate(0.3)))
        if not s.numbers or s.notify or self.dice.random() < 0.5:
            return "UID ", f"{s.list[first].uid}:{s.list[last].uid}", s.list[first:last + 1]
        return "", f"{first + 1}:{last + 1}", s.list[first:last + 1]

    # ---- what they do: the text of a command, or None when it was done at once

    def store(self, s):
        form, which, messages = self.some(s)
        how, silent = self.dice.choice(["+", "-", ""]), self.dice.random() < 0.4
        silent = silent and not s.notify        # what was told before it may be heard behind it
        words = self.dice.sample(FLAGS, self.dice.randrange(1, 4))
        if silent:
            new = frozenset(w.lower() for w in words)
            for m in messages:
                m.flags = m.flags | new if how == "+" else m.flags - new if how == "-" else new
            s.supposed = messages
        since = ""
        if s.modseqs and not silent and self.dice.random() < 0.3:
            since = f"(UNCHANGEDSINCE {max(m.modseq for m in messages)}) "
        return f"{form}STORE {which} {since}{how}FLAGS{'.SILENT' if silent else ''} ({' '.join(words)})"

    def copy(self, s):
        form, which, _ = self.some(s)
        return f"{form}{self.dice.choice(['COPY', 'MOVE'])} {which} {self.dice.choice(BOXES)}"

    def expunge(self, s):
        if self.dice.random() < 0.5:
            return f"UID EXPUNGE {self.some(s)[1]}" if not s.numbers else f"UID EXPUNGE {s.list[0].uid}:{s.list[-1].uid}"
        return "EXPUNGE"

    def fetch(self, s):
        form, which, _ = self.some(s)
        return f"{form}FETCH {which} (FLAGS{' MODSEQ' if s.modseqs else ''})"

    def search(self, s):
        if s.numbers and not s.notify and "IMAP4rev2" not in s.enable and self.dice.random() < 0.5:
            return f"SEARCH {self.dice.choice(['UNSEEN', 'KEYWORD work', 'NOT DELETED', 'ALL'])}"
        return f"UID SEARCH {self.dice.choice(['SEEN', 'DELETED', 'UNKEYWORD k1'])}"

    def noop(self, s):
        return self.dice.choice(["NOOP", "CHECK", "NOOP"])

    def append(self, s):
        return "APPEND"

    def switch(self, s):
        s.select(self.dice.choice(BOXES), self.dice.choice(["SELECT", "SELECT", "EXAMINE"]))

    def resync(self, s):
        if "QRESYNC" in s.enable:
            s.resync()

    def idle(self, s):
        s.idle = s.send("IDLE")
        s.hear(s.line())

    def rename(self, s):
        """A mailbox that is selected changes its name and gets it back; nobody is disturbed."""
        if s.run("RENAME two three").startswith("OK"):
            s.run("RENAME three two")

    ACTS = [(store, 30), (copy, 12), (expunge, 5), (fetch, 8), (search, 5), (noop, 12), (append, 8), (switch, 3),
            (resync, 4), (idle, 8), (rename, 0.5)]

    def act(self, s):
        """Begins something; (session, tag) when its end is to be heard."""
        do = self.dice.choices([a for a, _ in self.ACTS], [w for _, w in self.ACTS])[0]
        if s.box is None:
            return self.switch(s)
        if s.idle:
            return self.wake(s)
        if any(m.uid is None for m in s.list):
            s.learn()
        if not s.list and do in (Play.store, Play.copy, Play.expunge, Play.fetch):
            do = Play.append
        text = do(self, s)
        self.done += 1
        if text == "APPEND":
            flags = " ".join(self.dice.sample(FLAGS, self.dice.randrange(3)))
            return s, s.send(f"APPEND {self.dice.choice(BOXES)} ({flags})", b"Subject: %d\r\n\r\n.\r\n" % self.done)
        return (s, s.send(text)) if text else None

    def wake(self, s):
        s.sock.sendall(b"DONE\r\n")
        s.command = "IDLE"
        tag, s.idle = s.idle, None
        return s, tag

    def deliver(self):
        with smtplib.LMTP("127.0.0.1", self.demo.port("lmtp"), timeout=60) as lmtp:
            for n in range(self.dice.randrange(1, 4)):
                lmtp.send_message(letter(f"d{self.done}-{n}"), "jill@example.com", ["jack@example.com"])
        self.done += 1

    def pop(self):
        p = poplib.POP3_SSL("127.0.0.1", self.demo.port("pop3s"), timeout=60, context=self.demo.local())
        p.user("jack@example.com")
        p.pass_(self.demo.password)
        for line in p.list()[1][:2]:
            p.dele(int(line.split()[0]))
        p.quit()
        self.done += 1

    def round(self):
        """Some begin at once, then all are heard; then what is new is learned."""
        begun = [self.act(s) for s in self.sessions if self.dice.random() < 0.7]
        chance = self.dice.random()
        if chance < 0.04:
            self.deliver()
        elif chance < 0.06:
            self.pop()
        for s, tag in filter(None, begun):
            s.finish(tag)
        for s in self.sessions:
            if s.box and not s.idle and (len(s.list) > 150 or any(m.uid is None or m.flags is None for m in s.list)):
                s.learn()

    def agree(self):
        """All say NOOP; each believes what one believes that comes fresh."""
        for s in self.sessions:
            if s.idle:
                s.finish(self.wake(s)[1])
            if s.box:
                s.run("NOOP")
                s.learn()
        fresh = Believer(self.demo, "fresh")
        for box in BOXES:
            fresh.select(box, "EXAMINE")
            for s in self.sessions:
                if s.box == box and s.state() != fresh.state():
                    ours, theirs = dict(s.state()), dict(fresh.state())
                    wrong = {u: (ours.get(u), theirs.get(u)) for u in ours | theirs if ours.get(u) != theirs.get(u)}
                    raise Unbelievable(f"{s.name} ({s.enable}) in {box}: uid: (believed, is) {wrong}\n  "
                                       + "\n  ".join(s.said))
            while len(fresh.list) > 120:
                self.thin(box, fresh)
        fresh.close()

    def thin(self, box, fresh):
        """Mailboxes stay small, so that messages meet."""
        s = Believer(self.demo, "thin")
        s.select(box)
        s.run(f"UID STORE {s.list[0].uid}:{s.list[len(s.list) // 2].uid} +FLAGS.SILENT (\\Deleted)")
        s.run("EXPUNGE")
        s.close()
        fresh.select(box, "EXAMINE")


def play(demo, seed, seconds):
    p = Play(demo, seed)
    end, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for _ in range(25):
            p.round()
        p.agree()
        rounds += 25
    for s in p.sessions:
        s.close()
    return p.done


def test_all_believe_the_same_in_the_end(own):
    seed = secrets.randbelow(1 << 32)
    demo = own("--set", "smtpd_client_connection_count_limit=0").start()
    try:
        done = play(demo, seed, 12)
    except (Unbelievable, OSError) as e:
        raise AssertionError(f"seed {seed}: {e}") from e
    print(f"seed {seed}: {done} commands")
    assert done > 200
    assert demo.stop() == 0
    for words in ["panic:", "AddressSanitizer", "runtime error"]:
        assert words not in demo.log() + demo.said()


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    options.add_argument("--seconds", type=float, default=60)
    options = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mansio-believers-") as directory:
        server = Demo(directory + "/demo", "--set", "smtpd_client_connection_count_limit=0").start()
        print(f"seed {options.seed}")
        try:
            print(play(server, options.seed, options.seconds), "commands; all believe the same")
        except Unbelievable as e:
            sys.exit(str(e))
        finally:
            server.stop()
