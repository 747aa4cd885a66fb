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
import sqlite3
import subprocess

import pytest
from elsewhere import Program
from house import BINARY
from ports import free_port

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

# Where we differ, and why: bytes that are no UTF-8 are data here, with -u and without; a key may have 64 KiB; the empty key is asked of no table, as by
# Postfix's daemons, but not by its postmap.
SAID_BY_ONE = {"eight bits", "long"}


def is_of_one(line):
    """What one of us has on purpose and the other has not."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return True
    return len(line) > 65536 and line.startswith(b"c") or line.startswith((b"\t", b"@:\t", b"YP_"))     # the last two for NIS, which reads Postfix's files of aliases, too


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
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
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
    return sorted(line for line in out.splitlines() if not is_of_one(line))


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

    if how and not again:
        return

    def asked(name):
        return [[place.one(side, program, *again, *words, f"hash:{name}", ask=b"".join(k + b"\n" for k in KEYS), where=program, config="..")[:2] for side in SIDES]
                for words in (["-s"], ["-q", "-"])]

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


# ---- every type of table ----

RULES = {
    "rules": "/^a(.*)/ x$1\n/^b/i y\nif /^c/\n/d/ cd\nendif\n!/^[a-z]/ other\n",
    "wrong rules": "/^a/ x\n/(/ y\n/^b/ z\n/c/ $3\n/d/\n!/e/ $1\nnothing\n/f/q x\n/g/ ok\n",
    "no if": "/^a/ x\nendif\n/^b/ y\n",
    "no endif": "/^a/ x\nif /^b/\n/bc/ y\n",
    "more behind": "/^a/ x\nif /^b/ junk\n/bc/ y\nendif junk\n/c/ z\n",
    "wrong if": "if /(/\n/^a/ x\nendif\n/b/ y\n",
    "networks": "192.0.2.0/24 net\n192.0.2.1 host\n2001:db8::/32 six\nif 10.0.0.0/8\n10.1.0.0/16 ten\nendif\n!127.0.0.0/8 no\n",
    "wrong networks": "192.0.2.1/24 x\n300.1 y\n10.0.0.1\n10.0.0.0/33 z\n[::1] w\n127.0.0.1 ok\n",
}
DATABASES = {
    "sql.cf": "dbpath = {at}/db\nquery = SELECT v FROM t WHERE k = '%s'\n",
    "no file.cf": "dbpath = {at}/none/db\nquery = SELECT v FROM t WHERE k = '%s'\n",
    "no table.cf": "dbpath = {at}/db\nquery = SELECT v FROM nothere WHERE k = '%s'\n",
    "no dbpath.cf": "query = SELECT v FROM t WHERE k = '%s'\n",
    "dead.cf": "hosts = inet:127.0.0.1:{dead}\nuser = u\npassword = p\ndbname = d\nquery = SELECT '%s'\n",
    "ldap.cf": "server_host = ldap://127.0.0.1:{dead}\nsearch_base = o=x\nversion = 3\nquery_filter = (mail=%s)\n",
    "nothing.cf": "",
}
TEXT = "a b\nx y\nb c\n"
PATTERNS = [f"{kind}:{name}" for kind in ("regexp", "pcre") for name in ("rules", "wrong rules", "no if", "no endif", "more behind", "wrong if")]
TYPES = [
    "hash:hash", "btree:btree", "lmdb:lmdb", "texthash:text", "inline:{a=1, b=2}", "static:v", "static:{ x y }", "unionmap:{texthash:text, inline:{a=2}}", "pipemap:{texthash:text, inline:{b=1,c=2}}",
    "pipemap:{inline:{a=b},texthash:none}", "unionmap:{inline:{a=b},texthash:none}", "fail:x",
    *PATTERNS, "cidr:networks", "cidr:wrong networks", "pcre:{{/a/ x}}", "pcre:{/a/ x}", "regexp:{{/(/ x}, {/a/ y}}", "cidr:{{192.0.2.1 x}}", "pipemap:{}", "unionmap:x", "randmap:{}", "inline:{a}", "inline:a=b", "inline:{}",
    *[f"{kind}:none" for kind in ("hash", "lmdb", "texthash", "regexp", "pcre", "cidr")],
    "sqlite:{at}/sql.cf", "sqlite:{at}/no file.cf", "sqlite:{at}/no table.cf", "sqlite:{at}/no dbpath.cf", "pgsql:{at}/dead.cf", "mysql:{at}/dead.cf", "ldap:{at}/ldap.cf",
    *[f"{kind}:{{at}}/{file}" for kind in ("sqlite", "pgsql", "mysql", "ldap") for file in ("none.cf", "nothing.cf")],
    "socketmap:inet:127.0.0.1:{dead}:x", "socketmap:unix:/none:x", "socketmap:x", "unix:passwd.byname", "unix:group.byname", "unix:nothing",
    "socketmap:inet:127.0.0.1:{socketmap}:x", "tcp:127.0.0.1:{tcp}",
]
THERE = {"hash:hash", "btree:btree", "lmdb:lmdb", "texthash:text", "inline:{a=1, b=2}", "static:v", "regexp:rules", "pcre:rules", "cidr:networks", "sqlite:{at}/sql.cf", "unix:passwd.byname", "fail:x",
         "socketmap:inet:127.0.0.1:{socketmap}:x", "tcp:127.0.0.1:{tcp}", "unionmap:{texthash:text, inline:{a=2}}"}
# Postfix tries it for ten seconds: that begins with the module.
DEAD = [["-q", "a", "tcp:127.0.0.1:{dead}"], ["-q", "-", "tcp:127.0.0.1:{dead}"], ["-q", "a", "pipemap:{inline:{a=b},tcp:127.0.0.1:{dead}}"], ["-q", "a", "unionmap:{inline:{a=b},tcp:127.0.0.1:{dead}}"],
        ["-q", "a", "unionmap:{tcp:127.0.0.1:{dead},inline:{a=b}}"], ["-q", "a", "tcp:x"], ["-q", "a", "tcp:127.0.0.1:x"]]
ASKED = "a A ab B cd ce 1 d nobody 192.0.2.1 192.0.2.7 10.0.0.1 10.1.1.1 127.0.0.1 2001:db8::1 bc root gg x".split()
LETTER = b"Subject: a\nX-Fold: b\n  c\nContent-Type: multipart/mixed; boundary=x\n\nab\n--x\nContent-Type: text/plain\nSubject: bc\n\n1\n--x--\nbc\n"


@pytest.fixture(scope="module", autouse=True)
def types(place, pool):
    programs = {kind: Program({b"a": b"one", b"b": b"two"}, kind) for kind in ("socketmap", "tcp")}
    ports = {"dead": free_port(), **{kind: p.port for kind, p in programs.items()}}
    for side in SIDES:
        place.settings(side, where="types")
        at = place.at / side / "types"
        for name, text in (RULES | DATABASES | {name: TEXT for name in ("hash", "btree", "lmdb", "text")}).items():
            (at / name).write_text(text.replace("{at}", str(at)).replace("{dead}", str(ports["dead"])))
        with sqlite3.connect(at / "db") as db:
            db.execute("CREATE TABLE t (k, v)")
            db.executemany("INSERT INTO t VALUES (?, ?)", [("a", "one"), ("b", "two")])
    assert place.one("theirs", "postmap", "hash:hash", "btree:btree", "lmdb:lmdb", where="types")[0] == 0
    yield ports, [pool.submit(ask_one, place, ports, words) for words in DEAD]
    for program in programs.values():
        program.close()


def ask_one(place, ports, words):
    """The words, what is the same of ours and of theirs, and all of it."""
    for name, port in ports.items():
        words = [w.replace("{%s}" % name, str(port)) for w in words]
    ask = LETTER if "-hm" in words or "-hbm" in words else "".join(f"{k}\n" for k in ASKED).encode()
    said = [place.one(side, "postmap", *[w.replace("{at}", str(place.at / side / "types")) for w in words], ask=ask, where="types") for side in SIDES]
    return (words, *[(status, told(out), worst(err)) for status, out, err in said], said)


def different(all_said):
    return [(words, said) for words, ours, theirs, said in all_said if ours != theirs]


def test_every_type_is_asked_listed_and_refused_as_postfix_does(place, pool, types):
    """-q KEY that is there and one that is not, -q - with many; a server that is dead, a file that is not there, settings that are none."""
    calls = [["-q", *key, table] for table in TYPES for key in (["a"], ["-"], *([["nobody"]] if table in THERE else []))]
    ports, waiting = types
    wrong = different([*pool.map(lambda words: ask_one(place, ports, words), calls), *[w.result() for w in waiting]])
    assert wrong == [], "\n".join(map(str, wrong))


def test_other_switches_mean_the_same_for_every_type(place, pool, types):
    """-s, -f, and a letter, whose header and body are asked for; of what is built, and of what is not."""
    calls = [["-s", table] for table in ("cidr:networks", "pcre:rules", "unionmap:{inline:{a=b}}", "sqlite:{at}/sql.cf", "unix:passwd.byname", "fail:x", "inline:{a=b, C=d}", "tcp:127.0.0.1:{tcp}", "btree:btree", "lmdb:lmdb")]
    calls += [[*how, table] for table in ("texthash:text", "pcre:rules", "regexp:rules", "inline:{a=1,A=2}", "static:x") for how in (["-f", "-q", "-"], ["-f", "-q", "A"], ["-q", "A"], ["-h", "-q", "-"], ["-hm", "-q", "-"], ["-hbm", "-q", "-"])]
    calls += [[table] for table in ("regexp:rules", "cidr:networks", "sqlite:{at}/sql.cf", "ldap:{at}/ldap.cf", "inline:{a=b}", "static:x", "fail:x", "btree:btree", "lmdb:lmdb")]
    wrong = different(pool.map(lambda words: ask_one(place, types[0], words), calls))
    assert wrong == [], "\n".join(map(str, wrong))


# ---- newaliases ----

DATABASE = {
    "one": "hash:{at}/good", "two": "hash:{at}/good, hash:{at}/more", "the second wrong": "hash:{at}/good hash:{at}/bad", "the first not there": "hash:{at}/none hash:{at}/good",
    "the last not there": "hash:{at}/good hash:{at}/none", "none": "", "no such type": "nosuch:{at}/good", "not to be built": "regexp:{at}/good hash:{at}/none", "no type": "{at}/good", "twice": "hash:{at}/twice",
    "texthash": "texthash:{at}/good", "btree lmdb": "btree:{at}/good lmdb:{at}/more",
}
NEWALIASES = [
    ["newaliases", "-oA{at}/good"], ["newaliases", "-oA", "{at}/good"], ["newaliases", "-oA"], ["newaliases", "-oA{at}/none"], ["newaliases", "-oAhash:{at}/bad"], ["newaliases", "-oAnosuch:{at}/good"],
    ["newaliases", "-oAtexthash:{at}/good"], ["newaliases", "extra"], ["newaliases", "--nonsense"], ["newaliases", "-n"], ["newaliases", "-t"], ["newaliases", "-bi"], ["newaliases", "-i"], ["newaliases", "-I"],
    ["newaliases", "-C", "{at}/none"], ["newaliases", "-C", "{at}"], ["sendmail", "-bi"], ["sendmail", "-I"], ["sendmail", "-bi", "-oA{at}/good"], ["sendmail", "-bi", "-oA{at}/none"], ["sendmail", "-bi", "-oA{at}/bad"],
    ["sendmail", "-oA{at}/none", "-bi"], ["sendmail", "-bi", "extra"], ["sendmail", "-I", "-oAnosuch:{at}/good"], ["sendmail", "-bi", "-oA"], ["sendmail", "-bi", "-t"], ["sendmail", "-bi", "-C", "{at}"],
]


def test_newaliases_and_sendmail_bi_end_as_postfixs_do(place, pool):
    """alias_database of every form, -oA, and what is called wrongly: status, standard output, and whether it was a warning or fatal."""
    for number, (_, value) in enumerate(DATABASE.items()):
        for side in SIDES:
            where = f"database {number}"
            place.settings(side, where=where)
            at = place.at / side / where
            for name, text in (("good", "a: b\n"), ("more", "c: d\n"), ("bad", "a b\nc: d\n"), ("twice", "a: b\na: c\n")):
                (at / name).write_text(text)
            place.settings(side, f"alias_database = {value.format(at=at)}\n", where)

    def called(n, words):
        said = []
        for side in SIDES:
            at = place.at / side / f"database {n}"
            argv = [w.format(at=at) for w in words]
            done = subprocess.run(argv, executable=BINARY if side == "ours" else POSTFIX / "sendmail", cwd=at, env=os.environ | {"MAIL_CONFIG": str(at)}, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
            # Our sendmail does not say of each complaint that it is fatal.
            said.append((done.returncode, done.stdout, worst(done.stderr).replace("something", "fatal"), done.stderr))
        return words, said

    calls = [(0, words) for words in NEWALIASES] + [(n, ["newaliases"]) for n in range(len(DATABASE))]
    wrong = [(n, words, said) for (n, _), (words, said) in zip(calls, pool.map(lambda c: called(*c), calls)) if said[0][:3] != said[1][:3]]
    assert wrong == [], "\n".join(map(str, wrong))


def test_what_changes_an_indexed_file_is_refused(place):
    """-d and -i: there is none here."""
    place.put("types/plain", b"a b\n")
    for words in (["-d", "a", "hash:plain"], ["-i", "hash:plain"]):
        status, out, err = place.one("ours", "postmap", *words, ask=b"x y\n", where="types")
        assert status == 1 and out == b"" and "edit the file" in err
        assert (place.at / "ours/types/plain").read_bytes() == b"a b\n"
