# SPDX-License-Identifier: ISC
"""An account goes from one kind of mailbox to another, again and again, while a client writes into it and processes are
killed at random: what was answered OK is there, once, with its uid, its flags, its date and its bytes.

    test/whole/test_conversion_writers.py --seconds 600 --seed 7        the longer form
"""

import argparse
import contextlib
import hashlib
import imaplib
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from kit import BINARY, open_to_all, wait_for
from test_conversion_crash import die
from test_outside import demo_with

FOLDERS = ["INBOX", "Kept", "Level/below"]
PLACES = ["log", "maildir:%s/other/a/%%n", "mbox:%s/other/b/%%n", "maildir:%s/other/c/%%n:LAYOUT=fs"]
FLAGS = [r"\Seen", r"\Flagged", r"\Answered", r"\Draft", r"\Deleted", "work", "$Later", "k2"]
BODIES = ["plain\r\n", "From here\r\n>From there\r\nend\r\n", "8bit \xe9\xff\r\n", "no line end", "", "x" * 70000 + "\r\n",
          "\r\n\r\n\r\n", "Content-Length: 3\r\n\r\nabc\r\n"]


FILLED = 150
VERBOSE = __name__ == "__main__"


class Lost(Exception):
    pass


def parsed(lines):
    """{uid: (digest of the bytes, flags, date)} of an answer to FETCH."""
    out = {}
    for line in lines:
        if not isinstance(line, tuple):
            continue
        head = line[0].decode()
        uid, flags = int(re.search(r"UID (\d+)", head)[1]), re.search(r"FLAGS \((.*?)\)", head)[1]
        date = re.search(r'INTERNALDATE "(.*?)"', head)[1]
        out[uid] = (hashlib.sha1(line[1]).hexdigest(), frozenset(f.lower() for f in flags.split() if f != r"\Recent"), date)
    return out


class Writer:
    """One client and what it may believe: {folder: {uid: (digest, flags, date)}}; `maybe` is the same if the command
    that was not answered has been done."""

    def __init__(self, demo, seed):
        self.demo, self.dice, self.done = demo, random.Random(f"writer {seed}"), 0
        self.believed, self.maybe, self.validity = {f: {} for f in FOLDERS}, None, {}
        self.box = None

    def connect(self):
        self.box = self.demo.imap("jack")
        self.box.sock.settimeout(60)

    def state(self):
        """As one who comes fresh is told."""
        found = {}
        for folder in FOLDERS:
            answer = self.box.select(f'"{folder}"', readonly=True)
            if answer[0] != "OK":
                raise Lost(f"{folder}: {answer}")
            validity = self.box.response("UIDVALIDITY")[1][0]
            if self.validity.setdefault(folder, validity) != validity:
                raise Lost(f"{folder}: UIDVALIDITY was {self.validity[folder]}, is {validity}")
            answer = self.box.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")
            if answer[0] != "OK":
                raise Lost(f"{folder}: {answer}")
            found[folder] = parsed(answer[1])
        return found

    def check(self):
        """What is there is what was answered; of what was not answered all or nothing."""
        now = self.state()
        for folder in FOLDERS if self.maybe else []:
            # A letter that an mbox had before it was written down is found there, as any other program's: with the flags that
            # stand in the file, and with a line end where it had none.  Nobody was told OK.
            for uid in set(self.maybe[folder]) & set(now[folder]) - set(self.believed[folder]):
                self.maybe[folder][uid] = now[folder][uid]
        if now != self.believed and now != self.maybe:
            words = []
            for folder in FOLDERS:
                a, b, c = self.believed[folder], now[folder], (self.maybe or self.believed)[folder]
                words += [f"{folder} {u}: believed {a.get(u)}, or {c.get(u)}, is {b.get(u)}"
                          for u in sorted(set(a) | set(b)) if a.get(u) != b.get(u)]
            raise Lost("\n".join(words))
        self.believed, self.maybe = now, None

    def answered(self, answer):
        """OK: what may have been done has been.  NO [INUSE]: somebody else has the place; nothing has been."""
        if answer[0] == "OK":
            self.believed = self.maybe
            self.done += 1
        elif b"INUSE" not in answer[1][0] and b"UNAVAILABLE" not in answer[1][0]:
            raise Lost(f"refused: {answer}")
        self.maybe = None

    def after(self, folder, **change):
        """A copy of what is believed, to be changed."""
        self.maybe = {f: dict(m) for f, m in self.believed.items()}
        return self.maybe[folder]

    def append(self):
        folder, date = self.dice.choice(FOLDERS), f'"{self.dice.randrange(1, 28):02d}-Jan-2024 12:{self.done % 60:02d}:00 +0000"'
        flags = self.dice.sample(FLAGS, self.dice.randrange(4))
        text = f"From: a@example.org\r\nSubject: {self.done}\r\n\r\n{self.dice.choice(BODIES)}".encode("latin-1")
        self.box.unselect() if self.box.state == "SELECTED" else None
        answer = self.box.status(f'"{folder}"', "(UIDNEXT)")
        if answer[0] != "OK":
            return
        uid = int(re.search(rb"UIDNEXT (\d+)", answer[1][0])[1])
        self.after(folder)[uid] = (hashlib.sha1(text).hexdigest(), frozenset(f.lower() for f in flags), date.strip('"'))
        self.answered(self.box.append(f'"{folder}"', "(" + " ".join(flags) + ")", date, text))

    def one(self):
        """A message of a folder that is open now: (folder, uid)."""
        folder = self.dice.choice([f for f in FOLDERS if self.believed[f]] or [None])
        if folder is None or self.box.select(f'"{folder}"')[0] != "OK":
            return None, None
        return folder, self.dice.choice(sorted(self.believed[folder]))

    def store(self):
        folder, uid = self.one()
        if folder is None:
            return
        how, words = self.dice.choice(["+", "-", ""]), self.dice.sample(FLAGS, self.dice.randrange(1, 4))
        digest, flags, date = self.believed[folder][uid]
        new = frozenset(w.lower() for w in words)
        flags = flags | new if how == "+" else flags - new if how == "-" else new
        self.after(folder)[uid] = (digest, flags, date)
        self.answered(self.box.uid("STORE", str(uid), how + "FLAGS.SILENT", "(" + " ".join(words) + ")"))

    def expunge(self):
        folder, uid = self.one()
        if folder is None or self.dice.random() < 0.5:
            return
        if r"\deleted" not in self.believed[folder][uid][1]:
            digest, flags, date = self.believed[folder][uid]
            self.after(folder)[uid] = (digest, flags | {r"\deleted"}, date)
            self.answered(self.box.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Deleted)"))
        if r"\deleted" in self.believed[folder].get(uid, ("", ()))[1]:
            del self.after(folder)[uid]
            self.answered(self.box.uid("EXPUNGE", str(uid)))

    def copy(self, verb="COPY"):
        folder, uid = self.one()
        to = self.dice.choice(FOLDERS)
        if folder is None or folder == to:
            return
        answer = self.box.status(f'"{to}"', "(UIDNEXT)")
        if answer[0] != "OK":
            return
        there = int(re.search(rb"UIDNEXT (\d+)", answer[1][0])[1])
        row = self.believed[folder][uid]
        self.after(to)[there] = row
        if verb == "MOVE":
            del self.maybe[folder][uid]
        self.answered(self.box.uid(verb, str(uid), f'"{to}"'))

    def move(self):
        self.copy("MOVE")

    def step(self):
        self.dice.choice([self.append, self.append, self.store, self.store, self.copy, self.move, self.expunge])()


class Play:
    def __init__(self, demo, tmp_path, seed):
        self.demo, self.dice = demo, random.Random(f"killer {seed}")
        self.places = [p if p == "log" else p % tmp_path for p in PLACES]
        self.place, self.switches, self.kills = "log", 0, 0
        self.writer = Writer(demo, seed)
        self.writer.connect()
        for folder in FOLDERS[1:]:
            if self.writer.box.create(f'"{folder}"')[0] != "OK":
                raise Lost(f"{folder} cannot be made")
        for _ in range(FILLED):
            self.writer.append()
        self.over, self.failed = threading.Event(), None

    def write(self):
        """Until it is over, or the connection is."""
        w = self.writer
        try:
            while not self.over.is_set():
                w.step()
        except (OSError, EOFError, imaplib.IMAP4.abort):
            pass
        except (Lost, imaplib.IMAP4.error) as e:
            self.failed = e

    def kill(self):
        keeper = [p["pid"] for p in self.demo.processes() if p["role"] == "keeper"] if self.dice.random() < 0.5 else None
        self.kills += 1
        if keeper:
            for pid in keeper:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        else:
            die(self.demo)
            self.demo.start()

    def turn(self):
        """A conversion is asked for, the client writes; some time later all is killed, or nothing is."""
        to = self.dice.choice([p for p in self.places if p != self.place])
        self.over.clear()
        client = threading.Thread(target=self.write)
        client.start()
        self.over.wait(self.dice.choice([0, 0.05, 0.2]))
        asked = subprocess.Popen([BINARY, "-c", self.demo.config, "mailbox", "convert", "jack@example.com", "--to", to],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        how = self.dice.random()
        with contextlib.suppress(subprocess.TimeoutExpired):
            asked.wait(self.dice.choice([0.003, 0.01, 0.03, 0.1, 0.3, 0.6]) if how < 0.8 else 30)
        if how < 0.15:
            asked.kill()
        elif how < 0.8:
            self.kill()
        self.over.set()
        client.join(90)
        try:
            said = asked.communicate(timeout=60)[0]
        except subprocess.TimeoutExpired:
            asked.kill()
            raise Lost(f"the conversion to {to} never ends")
        if "letters lie there already" in said:         # of an earlier stay: the place is made free, as is asked for
            shutil.rmtree(to.split(":")[1].replace("%n", "jack"))
        elif asked.returncode == 0 or "its mailboxes lie there" in said:
            self.switches += self.place != to
            self.place = to
        if self.failed:
            raise self.failed
        if VERBOSE:
            print(f"to {to}, {how:.2f}: {asked.returncode} {said.strip()}", flush=True)
        self.again()

    def again(self):
        """Come fresh, and look."""
        def come():
            try:
                self.writer.connect()
                self.writer.check()
                return True
            except (OSError, EOFError, imaplib.IMAP4.abort):
                return False
        wait_for(come, 60)
        if sum(len(m) for m in self.writer.believed.values()) > 3 * FILLED:
            self.thin()

    def thin(self):
        w = self.writer
        for folder in FOLDERS:
            uids = sorted(w.believed[folder])
            for uid in uids[:len(uids) // 2]:
                w.box.select(f'"{folder}"')
                w.box.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Deleted)")
                w.box.uid("EXPUNGE", str(uid))
                del w.believed[folder][uid]
        w.check()


def play(demo, tmp_path, seed, turns, seconds):
    p = Play(demo, tmp_path, seed)
    end = time.monotonic() + seconds
    n = 0
    while n < turns and time.monotonic() < end:
        p.turn()
        n += 1
    with contextlib.suppress(OSError, imaplib.IMAP4.abort):
        p.writer.box.logout()
    said = demo.command("mailbox", "convert", "jack@example.com", "--to", "log", check=False)
    # The dotlock of one that was killed stands for two minutes.
    if said.returncode != 0 and not any(w in said.stdout + said.stderr for w in ("its mailboxes lie there", "open all the time")):
        raise Lost(f"{said.stdout}{said.stderr}")
    p.again()
    demo.command("store", "check")
    return f"{n} turns, {p.kills} kills, {p.switches} switches seen, {p.writer.done} commands answered"


def served(tmp_path):
    return demo_with(tmp_path, f"mail_location_directories = {tmp_path}/other")


def test_nothing_is_lost_on_the_way(tmp_path):
    seed = int.from_bytes(os.urandom(4), "big")
    open_to_all(tmp_path)
    demo = served(tmp_path)
    try:
        print(seed, play(demo, tmp_path, seed, 12, 90))
    except Exception as e:
        raise AssertionError(f"seed {seed}: {e!r}") from e
    finally:
        demo.stop()


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    options.add_argument("--seconds", type=float, default=60)
    options = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="pytest-conversion-") as directory:
        os.chmod(directory, 0o755)
        house = served(pathlib.Path(directory))
        print(f"seed {options.seed}", flush=True)
        try:
            print(play(house, pathlib.Path(directory), options.seed, 1 << 30, options.seconds), flush=True)
        except Lost as e:
            sys.exit(f"lost: {e}")
        finally:
            house.stop()
