# SPDX-License-Identifier: ISC
"""An IMAP client that believes what it is told and nothing else, and fails when it is told what no server may say.

It keeps the mailbox as the responses make it: a list of messages by number, each with the uid, the flags and the
modseq it heard of.  What the rules of rfc3501:7.4.1, rfc7162:3 and rfc9586 forbid raises Unbelievable."""

import re
import socket

PATIENCE = 60
QUIET = {"FETCH", "STORE", "SEARCH", "SORT", "THREAD"}      # no EXPUNGE while these run without UID


class Unbelievable(Exception):
    pass


def uids_of(text):
    for one in text.split(","):
        first, _, last = one.partition(":")
        first, last = int(first), int(last or first)
        yield from range(min(first, last), max(first, last) + 1)


def flags_of(text):
    return frozenset(f.lower() for f in text.split()) - {"\\recent"}


class Message:
    __slots__ = ("uid", "flags", "modseq")

    def __init__(self, uid=None, flags=None, modseq=0):
        self.uid, self.flags, self.modseq = uid, flags, modseq


class Believer:
    def __init__(self, demo, name, user="jack", enable=(), condstore=False, notify=None):
        self.demo, self.name, self.user, self.enable = demo, name, user, list(enable)
        self.notify = notify
        self.vanishes = "QRESYNC" in enable or "UIDONLY" in enable
        self.numbers = "UIDONLY" not in enable
        self.modseqs = condstore or "QRESYNC" in enable
        self.box, self.validity, self.highest, self.told, self.uidnext = None, 0, 0, 0, 1
        self.supposed = []
        self.list, self.tags, self.idle, self.command, self.said = [], 0, None, None, []
        self.connect()

    # ---- the wire

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.demo.port("imaps")), PATIENCE)
        self.sock = self.demo.local().wrap_socket(sock, server_hostname="127.0.0.1")
        self.data = b""
        self.line()
        self.command, self.idle = "LOGIN", None
        self.finish(self.send(f'LOGIN {self.user}@example.com "{self.demo.password}"'))
        if self.enable:
            self.run("ENABLE " + " ".join(self.enable))
        if self.notify:
            self.run("NOTIFY SET " + self.notify)

    def close(self):
        self.sock.close()

    def line(self):
        while b"\r\n" not in self.data:
            more = self.sock.recv(65536)
            if not more:
                raise Unbelievable(f"{self.name}: the connection ended; heard {self.said[-5:]}")
            self.data += more
        line, _, self.data = self.data.partition(b"\r\n")
        line = line.decode("utf-8", "replace")
        self.said = self.said[-40:] + [line]
        return line

    def wrong(self, why, line=""):
        raise Unbelievable(f"{self.name} in {self.box} during {self.command}: {why}: {line}\n  "
                           + "\n  ".join(self.said[-20:]))

    def send(self, text, literal=None):
        self.tags += 1
        tag = f"{self.name}.{self.tags}"
        self.said.append(f"> {tag} {text}")
        data = f"{tag} {text}".encode()
        if literal is not None:
            data += b" {%d+}\r\n" % len(literal) + literal
        self.sock.sendall(data + b"\r\n")
        self.command = text
        return tag

    def finish(self, tag):
        """Hears all until the tagged line, and gives that."""
        while True:
            line = self.line()
            if line.startswith(tag + " "):
                break
            self.hear(line)
        answer = line[len(tag) + 1:]
        if answer.startswith("BAD"):
            self.wrong("refused", line)
        if code := re.search(r"\[HIGHESTMODSEQ (\d+)\]", answer):
            self.tell_highest(int(code[1]))
        if not answer.startswith("OK"):
            for m in self.supposed:        # what was to be silent did not happen: ask
                m.flags = None
        self.supposed = []
        words = self.command.split()
        if words[0] == "UID" or words[0] not in QUIET:
            self.told = max([self.told, self.highest] + [m.modseq for m in self.list])
        self.command = None
        return answer

    def run(self, text, literal=None):
        return self.finish(self.send(text, literal))

    # ---- what may be said

    def tell_highest(self, n):
        if n < self.highest:
            self.wrong(f"HIGHESTMODSEQ went back from {self.highest} to {n}")
        self.highest = n

    def hear(self, line):
        if not line.startswith("* ") and not line.startswith("+ "):
            self.wrong("neither tagged nor untagged", line)
        words = line[2:].split(" ", 2)
        if words[0].isdigit() and len(words) > 1:
            getattr(self, "hear_" + words[1].lower(), self.hear_strange)(int(words[0]), line)
        elif words[0] == "VANISHED":
            self.hear_vanished(line)
        elif words[0] == "SEARCH":
            self.hear_search(line)
        elif line.startswith("* OK [CLOSED]"):
            self.leave()
        elif words[0] == "BYE":
            self.wrong("sent away", line)
        elif code := re.match(r"\* OK \[HIGHESTMODSEQ (\d+)\]", line):
            self.tell_highest(int(code[1]))
        elif code := re.match(r"\* OK \[UIDVALIDITY (\d+)\]", line):
            self.validity = int(code[1])
        elif code := re.match(r"\* OK \[UIDNEXT (\d+)\]", line):
            if int(code[1]) < self.uidnext:
                self.wrong(f"UIDNEXT went back from {self.uidnext}", line)
            self.uidnext = int(code[1])
        elif code := re.match(r"\* OK \[COPYUID \d+ (\S+) (\S+)\]", line):
            self.hear_copied(code[1], code[2], line)

    def hear_strange(self, number, line):
        self.wrong("never heard of", line)

    def hear_recent(self, number, line):
        if number > len(self.list):
            self.wrong("more recent ones than messages", line)

    def hear_exists(self, number, line):
        if number < len(self.list):
            self.wrong(f"EXISTS takes away from {len(self.list)}", line)
        self.list += [Message() for _ in range(number - len(self.list))]

    def may_expunge(self, line):
        if self.notify and "DELAYED" not in self.notify:
            return          # at any time (rfc5465:6.1.1)
        if self.command is None:
            self.wrong("an expunge while nothing runs", line)
        if self.command.split()[0] in QUIET:
            self.wrong("an expunge where none may be told", line)

    def hear_expunge(self, number, line):
        self.may_expunge(line)
        if self.vanishes:
            self.wrong("EXPUNGE to one that enabled VANISHED", line)
        if not 1 <= number <= len(self.list):
            self.wrong(f"EXPUNGE of one of {len(self.list)}", line)
        del self.list[number - 1]

    def hear_vanished(self, line):
        if not self.vanishes:
            self.wrong("VANISHED to one that did not ask", line)
        earlier = " (EARLIER) " in line
        gone = set(uids_of(line.rsplit(" ", 1)[1]))
        if not earlier:
            self.may_expunge(line)
        elif not re.match(r"SELECT|EXAMINE|UID FETCH", self.command or ""):
            self.wrong("EARLIER out of season", line)
        known = {m.uid for m in self.list if m.uid is not None}
        for uid in set() if earlier else gone - known:      # of those whose uid we never heard, one that can be it
            behind = next((i for i, m in enumerate(self.list) if m.uid is not None and m.uid > uid), len(self.list))
            if not self.numbers:
                behind = len(self.list)
            strange = [i for i, m in enumerate(self.list[:behind]) if m.uid is None]
            if not strange:
                self.wrong("VANISHED of what never was", line)
            del self.list[strange[-1]]
        self.list = [m for m in self.list if m.uid not in gone]

    def hear_fetch(self, number, line):
        if not self.numbers:
            self.wrong("a number in spite of UIDONLY", line)
        if not 1 <= number <= len(self.list):
            self.wrong(f"FETCH of one of {len(self.list)}", line)
        uid = re.search(r"[( ]UID (\d+)", line)
        if self.vanishes and uid is None and self.command and not self.command.startswith("FETCH"):
            self.wrong("FETCH without UID in spite of QRESYNC", line)
        self.believe(number - 1, int(uid[1]) if uid else None, line)

    def hear_uidfetch(self, uid, line):
        if self.numbers:
            self.wrong("UIDFETCH to one that did not ask", line)
        at = next((i for i, m in enumerate(self.list) if m.uid == uid), None)
        if at is None:          # nobody says where it stands: those of unknown uid are kept behind the others
            strange = next((i for i, m in enumerate(self.list) if m.uid is None), None)
            if strange is None:
                self.wrong("UIDFETCH of what never was", line)
            at = next((i for i, m in enumerate(self.list) if m.uid is None or m.uid > uid))
            self.list.insert(at, self.list.pop(strange))
        self.believe(at, uid, line)

    def believe(self, at, uid, line):
        m = self.list[at]
        if uid is not None:
            if m.uid not in (None, uid):
                self.wrong(f"message {at + 1} was {m.uid}", line)
            m.uid = uid
            before = [x.uid for x in self.list[:at] if x.uid is not None]
            behind = [x.uid for x in self.list[at + 1:] if x.uid is not None]
            if (before and before[-1] >= uid) or (behind and behind[0] <= uid):
                self.wrong("uids out of order", line)
        if flags := re.search(r"FLAGS \(([^)]*)\)", line):
            m.flags = flags_of(flags[1])
        if modseq := re.search(r"MODSEQ \((\d+)\)", line):
            if int(modseq[1]) < m.modseq:
                self.wrong(f"MODSEQ went back from {m.modseq}", line)
            m.modseq = int(modseq[1])

    def hear_search(self, line):
        found = [int(n) for n in re.sub(r"\(.*\)", "", line[8:]).split()]
        if found != sorted(set(found)):
            self.wrong("not in order", line)
        if self.command.startswith("SEARCH") and found and not 1 <= found[-1] <= len(self.list):
            self.wrong(f"found one of {len(self.list)}", line)

    def hear_copied(self, source, made, line):
        if len(list(uids_of(source))) != len(list(uids_of(made))):
            self.wrong("not as many copies", line)

    # ---- what it does

    def select(self, box, how="SELECT"):
        if self.box is None:
            self.leave()
        self.box = box
        answer = self.run(f"{how} {box}" + (" (CONDSTORE)" if self.modseqs else ""))
        if answer.startswith("OK"):
            self.learn()
        else:
            self.box = None
        return answer

    def leave(self):
        self.list, self.highest, self.told, self.uidnext = [], 0, 0, 1

    def learn(self):
        """Asks for the uid and flags of those it knows nothing of."""
        rounds = 0
        while any(m.uid is None for m in self.list):
            first = next(i for i, m in enumerate(self.list) if m.uid is None)
            known = self.list[first - 1].uid if first and self.numbers else 0
            self.run(f"UID FETCH {known + 1}:* (UID FLAGS{' MODSEQ' if self.modseqs else ''})")
            self.run("NOOP")
            if (rounds := rounds + 1) > 50:
                self.wrong("some have no uid")
        for m in list(self.list):
            if m.flags is None:
                self.run(f"UID FETCH {m.uid} (UID FLAGS)")

    def resync(self):
        """Comes back to where it was, knowing what it knew: rfc7162:3.2.5."""
        known = {m.uid: m for m in self.list if m.uid is not None}
        box, validity, told = self.box, self.validity, self.told
        self.close()
        self.list = []
        self.connect()
        was = [known[u] for u in sorted(known)]
        # Numbers are counted anew: what is heard of a uid is kept beside the list until all is heard.
        fresh, self.list = {}, []
        tag = self.send(f"SELECT {box} (QRESYNC ({validity} {told}))")
        gone, exists = set(), 0
        while not (line := self.line()).startswith(tag + " "):
            if " EXISTS" in line:
                exists = int(line.split()[1])
            elif line.startswith("* VANISHED (EARLIER)"):
                gone |= set(uids_of(line.rsplit(" ", 1)[1]))
            elif fetched := re.match(r"\* (\d+) (?:UID)?FETCH \(", line):
                uid = int(re.search(r"UID (\d+)", line)[1]) if " UIDFETCH " not in line else int(fetched[1])
                fresh[uid] = Message(uid, flags_of(re.search(r"FLAGS \(([^)]*)\)", line)[1]),
                                     int(re.search(r"MODSEQ \((\d+)\)", line)[1]))
            elif code := re.match(r"\* OK \[HIGHESTMODSEQ (\d+)\]", line):
                self.highest = int(code[1])
        if not line.startswith(tag + " OK"):
            self.box, self.list = None, []
            return
        both = gone & set(fresh)
        if both:
            self.wrong(f"vanished and there: {sorted(both)}")
        kept = {m.uid: m for m in was if m.uid not in gone}
        kept.update(fresh)
        self.list = [kept[u] for u in sorted(kept)]
        if len(self.list) != exists:
            self.wrong(f"after the resync from {told} there are {len(self.list)} of {exists}: "
                       f"knew {sorted(known)}, gone {sorted(gone)}, fresh {sorted(fresh)}")
        self.command = None

    def state(self):
        return [(m.uid, m.flags) for m in self.list]
