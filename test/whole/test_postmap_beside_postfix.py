# SPDX-License-Identifier: ISC
"""postmap, postalias, newaliases and sendmail -bi beside Postfix's own: every switch, files as nobody should write them, wrong calls, every type of
table.  What stands on standard output and the status are the same; what is complained of is complained of by both, as fatal or as a warning, and of the
same lines.  Where it is not so, the reason stands here.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_postmap_beside_postfix.py
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess

import pytest
from house import BINARY

POSTFIX = pathlib.Path("/usr/sbin")
pytestmark = pytest.mark.skipif(not (POSTFIX / "postmap").exists() or os.geteuid() != 0, reason="needs root and Postfix")
SIDES = ("ours", "theirs")
SETTINGS = "compatibility_level = 3.6\ndefault_database_type = hash\nmyhostname = mail.example.com\nalias_maps =\nallow_mail_to_commands = alias\n"

# Of tables; those of aliases have a colon behind the key.
FILES = {
    "plain": b"a b\nc d e\nf g, h\n",
    "empty": b"",
    "only remarks": b"# a b\n\n   \n#\n",
    "no end of the last line": b"a b\nc d",
    "one line without an end": b"a b",
    "CRLF": b"a b\r\nc d\r\n",
    "NULs": b"a b\0c\nd\0e f\ng h\n\0i j\nk l\n",
    "continued": b"a b,\n  c,\n\td\nx y\n",
    "continued first": b"  a b\nc d\n",
    "remarks within": b"a b,\n# c\n  d\n\n  e\n",
    "twice": b"a b\na c\nA d\nx y\nx z\n",
    "capitals": b"AbC Def\nabc x\n",
    "without a value": b"a\nb c\nd \ne\t\n",
    "quotes": b'"a b" c\n"d" e\nf "g h"\n"i\\"j" k\n',
    "an open quote": b'"a b c\nd e\n',
    "colons": b"a: b\nc:d e\n: f\ng : h\n",
    "blanks": b"a   b  \n\tc d\ne\t\tf \t g\n",
    "long": b"a " + b"b" * 100000 + b"\n" + b"c" * 70000 + b" d\nx y\n",
    "many": b"".join(b"k%d v%d\n" % (i, i) for i in range(2000)),
    "eight bits": "grüße jürgen\nGRÜSSE x\n".encode() + b"\xff\xfe y\n",
    "backslashes": b"a\\ b c\nd\\\n e f\ng \\h\n",
    "braces and dollars": b"a ${b}\n$c d\n{e f} g\n",
}
# Words of a list in every order, with a blank and without one.
WORDS = ["b", '"q r"', "(c (d) e)", "<", ">", "@", ".", ":", ";", "[l]", "\\x", "%", "!", ",", "b\\ c", "b\\,c", "|", "b/c", ")", "]"]
ALIASES = {
    "plain": b"a: b\nc: d, e\nf: g h\n",
    "empty": b"",
    "no end of the last line": b"a: b\nc: d",
    "CRLF": b"a: b\r\nc: d\r\n",
    "NULs": b"a: b\0c\ng: h\n",
    "continued": b"a: b,\n  c,\n\td\nx: y\n",
    "continued first": b"  a: b\nc: d\n",
    "twice": b"a: b\na: c\nA: d\nx: y\n",
    "capitals": b"AbC: Def\n",
    "without a value": b"a:\nb: c\n",
    "without a colon": b"a b\nc: d\n",
    "quotes": b'"a b": c\n"d": e\nf: "|g h"\n"i\\"j": k\n',
    "an open quote": b'"a b: c\nd: e\n',
    "blanks": b"a :b\n  \nc\t:\td\n",
    "a domain": b"a@example.com: b\n",
    "commands": b'a: |/bin/cat\nb: "|/bin/cat x, y"\nc: :include:/x\nd: /dev/null\n',
    "a wrong list": b"a: b, <c\nd: e\n",
    "names": b"a: Some Body <b@example.com> (what)\nc: d\n",
    "words": "".join(f"k{n}: {a}{blank}{b} z\n" for n, (a, blank, b) in enumerate((a, s, b) for a in WORDS for s in ("", " ") for b in WORDS)).encode(),
    "long": b"a: " + b", ".join(b"x%d@example.com" % i for i in range(5000)) + b"\nx: y\n",
    "eight bits": "jürgen: x\n".encode() + b"b: \xff@example.com\n",
}
KEYS = [b"a", b"A", b"c", b"C", b"abc", b"AbC", b"d", b"e", b"f", b"g", b"x", b"X", b"a b", b'"a b"', b'"d"', b"i\"j", b'"i\\"j"', b"a:", b"c:d", b":", b"nobody", b" ", b"a ", b" a",
        b"k7", b"K1999", "grüße".encode(), "GRÜSSE".encode(), "jürgen".encode(), b"a\\", b"$c", b"{e", b"b", b"d\\", b"k", b"i"]

# Where we differ, and why: bytes that are no UTF-8 are data here, with -u and without; a key may have 64 KiB.
SAID_BY_ONE = {"eight bits", "long"}


def is_ours_alone(line):
    """What one of us has on purpose and the other has not."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return True
    return len(line) > 65536 and line.startswith(b"c") or line.startswith((b"@:\t", b"YP_"))       # for NIS, of which Postfix's files of aliases are read, too


class Place:
    """A directory for each of the two, with the same files."""

    def __init__(self, at):
        self.at = at
        for side in SIDES:
            (at / side).mkdir()
            self.settings(side)

    def settings(self, side, more="", where="."):
        (self.at / side / where).mkdir(exist_ok=True)
        (self.at / side / where / "main.cf").write_text(SETTINGS + more)

    def put(self, name, content):
        for side in SIDES:
            (self.at / side / name).parent.mkdir(exist_ok=True)
            (self.at / side / name).write_bytes(content)

    def one(self, side, program, *words, ask=b"", config=".", where="."):
        call = [BINARY, program] if side == "ours" else [POSTFIX / program]
        done = subprocess.run([*call, "-c", config, *words], cwd=self.at / side / where, capture_output=True, timeout=120, input=ask)
        return done.returncode, done.stdout, done.stderr.decode(errors="replace")

    def both(self, program, *words, **how):
        return [self.one(side, program, *words, **how) for side in SIDES]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("postmap"))
    for program, files in (("postmap", FILES), ("postalias", ALIASES)):
        for name, content in files.items():
            place.put(f"{program}/{name}", content)
    return place


@pytest.fixture(scope="module")
def pool():
    """What is fatal takes Postfix a second, which it sleeps."""
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        yield pool


def worst(complaints):
    """fatal, warning, or nothing."""
    return next((word for word in ("fatal", "warning") if f": {word}: " in complaints), "something" if complaints else "nothing")


def files_of(complaints):
    """Which files there are complaints of; and of which lines, where that is said."""
    files, lines = set(), set()
    for line in complaints.splitlines():
        found = re.match(r"\w+: warning: (?:hash:)?([^:,]*?)(?:\.db)?(?:, line (\d+))?: ", line)
        files.add(found[1])
        if found[2]:
            lines.add((found[1], int(found[2])))
    return files, lines


def told(out):
    """Without the order, which is of an index in Postfix's."""
    return sorted(line for line in out.splitlines() if not is_ours_alone(line))


@pytest.mark.parametrize("program, how", [("postmap", ""), ("postmap", "-f"), ("postmap", "-r"), ("postmap", "-w"), ("postmap", "-nNop"), ("postalias", ""), ("postalias", "-f"), ("postalias", "-r"), ("postalias", "-w"),
                                          ("postalias", "-nNop")])
def test_files_are_built_listed_and_asked(place, pool, program, how):
    files = FILES if program == "postmap" else ALIASES
    how = [how] if how else []
    # There is no built file here: what was built with -f and -r is asked with them.
    again = [h for h in how if h in ("-f", "-r")]
    ours, theirs = place.both(program, *how, *[f"hash:{name}" for name in files], where=program, config="..")
    assert ours[:2] == theirs[:2] == (0, b""), (ours, theirs)
    said, said_ = files_of(ours[2]), files_of(theirs[2])
    assert said[0] ^ said_[0] <= SAID_BY_ONE
    assert {line for line in said_[1] if line[0] not in SAID_BY_ONE} <= said[1]
    if "-w" not in how and "-r" not in how:
        assert {"twice", "without a value"} <= said[0]

    def asked(name):
        return [[place.one(side, program, *again, *words, f"hash:{name}", ask=b"".join(k + b"\n" for k in KEYS), where=program, config="..")[:2] for side in SIDES]
                for words in (["-s"], *([["-q", "-"]] if again or not how else []))]

    for name, said in zip(files, pool.map(asked, files)):
        for (status, ours), (status_, theirs) in said:
            assert (status, told(ours)) == (status_, told(theirs)), name


CALLS = [
    ["hash:none"], ["none"], ["-q", "a", "hash:none"], ["-s", "hash:none"], ["hash:dir"], ["-q", "a", "texthash:dir"], ["-q", "a", "texthash:none"], ["texthash:t"], ["static:x"],
    ["-q", "a", "static:x"], ["-s", "static:x"], ["regexp:none"], ["-q", "a", "regexp:none"], ["nosuch:t"], ["-q", "a", "nosuch:t"], [""], ["-q", "a", ""], [], ["-q", "a"], ["-s"], ["-q"],
    ["-x", "hash:t"], ["-v", "-q", "a", "hash:t"], ["-s", "-q", "a", "hash:t"], ["hash:t", "hash:none"], ["hash:none", "hash:t"], ["-q", "a", "hash:t", "hash:u"], ["-q", "new", "hash:t", "hash:u"],
    ["-q", "new", "texthash:t", "texthash:u"], ["-q", "x", "texthash:t", "texthash:u"], ["-s", "texthash:t"], ["-s", "hash:t", "hash:none"], ["-h", "-q", "a", "hash:t"], ["-b", "hash:t"], ["-h", "-s", "hash:t"],
    ["-m", "-q", "a", "texthash:t"], ["-hb", "-q", "-", "texthash:t"], ["-m", "-q", "-", "texthash:t"], ["-m", "hash:t"], ["-F", "-q", "a", "inline:{a=t}"], ["-F", "-q", "a", "inline:{a=none}"],
    ["-F", "hash:lists"], ["-F", "hash:absent"], ["-q", "a", "t"], ["-q", "a", "hash:./t"], ["-q", "a", "hash :t"], ["-q", "a", ":t"], ["-q", "a", "inline:{"],
    ["-q", "a", "inline:{a}"], ["-q", "", "hash:t"], ["-q", "", "static:x"], ["-q", "-", "hash:t", "hash:u"], ["-q", "-", "hash:none"], ["-c", "nowhere", "-q", "a", "hash:t"], ["-q", "A", "-f", "hash:t"],
    ["-q", "a", "-q", "x", "hash:t"], ["-qa", "hash:t"], ["--", "hash:t"], ["hash:t", "-q", "a"], ["hash:wrong"], ["-q", "a", "hash:wrong"], ["-q", "nobody", "texthash:wrong"], ["-s", "hash:wrong"],
    ["cidr:t"], ["ldap:t"], ["hash:"], ["-q", "a", "hash:"], ["-q", "a", "static:"],
]
# What is said otherwise on purpose, and why.
OTHERWISE = {
    "hash:dir": "Postfix takes a directory for an empty file",
    "-q  static:x": "nobody has the empty name; Postfix's daemons do not ask for it either",
    "-s": "the same status, and we say how it is called",
    "-q a hash:wrong": "there is no built file, without the wrong lines: they are warned of whenever the text is read", "-s hash:wrong": "the same",
    "-v -q a hash:t": "there is nothing to say that nobody asked for",
}
OF_ALIASES = {words: "texthash: is a file of aliases where aliases are looked for; Postfix reads it as a table of keys with colons, and finds nobody"
              for words in ("-q new texthash:t texthash:u", "-q x texthash:t texthash:u", "-s texthash:t")}


@pytest.mark.parametrize("program", ["postmap", "postalias"])
def test_what_is_called_wrongly(place, pool, program):
    where = f"{program} called"
    files = {"t": b"a%b\nx%y\n", "u": b"a%c\nnew%z\n", "lists": b"a%t\n", "absent": b"a%none\n", "wrong": b"a%b\nwhat\n"}
    for name, content in files.items():
        place.put(f"{where}/{name}", content.replace(b"%", b": " if program == "postalias" else b" "))
    for side in SIDES:
        place.settings(side, where=where)
        (place.at / side / where / "dir").mkdir()
    place.one("theirs", program, *[f"hash:{name}" for name in files], where=where)

    def called(words):
        return place.both(program, *words, ask=b"a\nnobody\nx\n", where=where)

    otherwise = OTHERWISE | (OF_ALIASES if program == "postalias" else {})
    wrong = []
    for words, (ours, theirs) in zip(CALLS, pool.map(called, CALLS)):
        same = (ours[0], told(ours[1]), worst(ours[2])) == (theirs[0], told(theirs[1]), worst(theirs[2]))
        if same == (" ".join(words) in otherwise):
            wrong.append((" ".join(words), ours, theirs))
    assert wrong == [], "\n".join(map(str, wrong))
