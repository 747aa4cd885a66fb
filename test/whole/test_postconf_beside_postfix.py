# SPDX-License-Identifier: ISC
"""postconf and Postfix's own, given the same file and the same words: what each writes, what it complains of, how it ends, and what the file is then.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_postconf_beside_postfix.py
"""

import concurrent.futures
import itertools
import os
import re
import subprocess

import pytest

BINARY = os.environ["MANSIO"]
THEIRS = "/usr/sbin/postconf"
pytestmark = pytest.mark.skipif(not os.path.exists(THEIRS), reason="needs Postfix")

FILE = """# a remark
myhostname = mail.here.example
mydestination = $myhostname,
  here.example
mynetworks = 127.0.0.0/8
smtpd_banner = $myhostname ESMTP
alias_maps = hash:/etc/aliases
foo_bar = own $myhostname
"""
LETTERS = "aAbdefFhHlmMnopPtTxX#"
WITH = {"o": ["relayhost=x"], "T": ["run-version"]}


@pytest.fixture
def place(tmp_path):
    (tmp_path / "main.cf").write_text(FILE)
    (tmp_path / "master.cf").write_text("smtp inet n - y - - smtpd\n")
    return tmp_path


def said(program, place, *words):
    done = subprocess.run([*program, "-c", ".", *words], cwd=place, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    return done.returncode, done.stdout, sorted(re.sub(r"^\S*postconf: ", "", line) for line in done.stderr.splitlines())


def both(place, *words):
    """Each with a file of its own."""
    found = []
    for program in ([THEIRS], [BINARY, "postconf"]):
        before = (place / "main.cf").read_text()
        found.append((*said(program, place, *words), (place / "main.cf").read_text()))
        if program[0] == THEIRS:
            (place / "main.cf").write_text(before)
    return found


def test_two_letters_that_do_not_go_together(place):
    """Postfix's waits a second before it ends with a complaint: many at once."""
    def clash(pair):
        at = place / "".join(map(str, map(ord, pair)))
        at.mkdir()
        (at / "main.cf").write_text(FILE)
        (at / "master.cf").write_text("smtp inet n - y - - smtpd\n")
        words = [w for c in pair for w in ["-" + c, *WITH.get(c, [])]] + (["mynetworks"] if not set(pair) & set("bt") else [])
        return pair, *(next((line.replace(" and ", " ") for line in said(program, at, *words)[2] if "specify" in line), None) for program in ([THEIRS], [BINARY, "postconf"]))

    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        found = list(pool.map(clash, itertools.combinations(LETTERS, 2)))
    assert [(pair, ours, theirs) for pair, theirs, ours in found if ours != theirs] == []


@pytest.mark.parametrize("words", [
    ["-a"], ["-A"], ["-l"], ["-a", "whatever"], ["myhostname"], ["-h", "myhostname", "mydestination"], ["-H", "mynetworks"], ["nothing"], ["nothing", "myhostname"],
    ["-n", "myhostname", "nothing"], ["-x", "mydestination"], ["-xh", "smtpd_banner"], ["-f", "mydestination"], ["-nf", "mydestination"], ["-d", "mydestination"],
    ["-o", "mydestination=x.example", "mydestination"], ["-o", "nonsense", "mydestination"], ["-x", "-o", "myhostname=other.example", "smtpd_banner"],
    ["-e", "relayhost=x"], ["-e", "relayhost = two words"], ["relayhost=[x]:25"], ["-e", "nonsense"], ["-e", "=x"], ["-e", "bad name=1"], ["-e"], ["-#"], ["-X"],
    ["-e", "myhostname=a", "myhostname=b"], ["-e", "relayhost=a", "mynetworks=b", "relayhost = c", "relayhost=d"], ["-#", "mynetworks"], ["-#", "mydestination"], ["-#", "nothing_here"],
    ["-X", "mynetworks", "mydestination"], ["-X", "nothing_here"], ["-X", "mynetworks=1"], ["-e", "#x=1"], ["-e", "mynetworks = a\nb"],
    ["-C", "builtin", "myhostname"], ["-C", "user"], ["-C", "user,builtin", "myhostname"], ["-C", "nonsense"], ["-C", "all,x", "myhostname"],
    ["-T", "nothing"], ["-M", "x/y/z"], ["-P", "a/b/c/d"], ["-F", "a/b/c/d"], ["-F", "smtp/inet/nothing"],
], ids=" ".join)
def test_the_same_words_come_to_the_same(place, words):
    theirs, ours = both(place, *words)
    assert ours == theirs


@pytest.mark.parametrize("words", [["nobody_asks"], ["nobody_asks", "smtpd_banner", "somebody_does"], ["-h", "nobody_asks"], ["-n", "nobody_asks"], ["-x", "nobody_asks"], ["-C", "user"],
                                   ["-o", "nobody_asks=new", "somebody_does"]], ids=" ".join)
def test_what_is_set_and_nobody_asks_for_is_unknown(place, words):
    (place / "main.cf").write_text("nobody_asks = x\nsomebody_does = y\nsmtpd_banner = $somebody_does ESMTP\n")
    theirs, ours = both(place, *words)
    assert ours == theirs


def test_a_service_comes_and_goes(place):
    """Postfix's is in master.cf, ours in main.cf."""
    before = (place / "main.cf").read_text()
    for away in ("-MX", "-M#"):
        for program in ([THEIRS], [BINARY, "postconf"]):
            assert said(program, place, "-M", "new/inet=new inet n - y - - smtpd")[0] == 0
            assert said(program, place, "-M", "new/inet")[1].split()[:2] == ["new", "inet"]
            assert said(program, place, away, "new/inet")[0] == 0
            assert 'unmatched request: "new/inet"' in said(program, place, "-M", "new/inet")[2][-1]
    assert [line for line in (place / "main.cf").read_text().splitlines() if not line.startswith("#new/")] == before.splitlines()


def edit_together(words, tmp_path):
    """Eight commands at once, each with a line of its own, three times; what is in the file then."""
    (tmp_path / "main.cf").write_text("myhostname = mail.here.example\n")
    for turn in range(3):
        started = [subprocess.Popen([*words, f"own_{turn}_{n}=x"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for n in range(8)]
        said = [(one.communicate(timeout=120)[1], one.returncode) for one in started]
        assert all(status == 0 for _, status in said), said
    return sorted(line for line in (tmp_path / "main.cf").read_text().splitlines() if line.startswith("own_"))


@pytest.mark.parametrize("whose", ["theirs", "postconf", "config set"])
def test_who_edits_at_once_edits_one_after_the_other(tmp_path, whose):
    words = {"theirs": [THEIRS, "-c", tmp_path, "-e"], "postconf": [BINARY, "postconf", "-c", tmp_path, "-e"],
             "config set": [BINARY, "-c", tmp_path / "main.cf", "config", "set"]}[whose]
    (tmp_path / "main.cf.new").write_text("left by one that was ended in the middle of a longer text than is written now\n" * (whose != "theirs"))
    lines = edit_together(words, tmp_path)
    assert lines == sorted(f"own_{turn}_{n} = x" for turn in range(3) for n in range(8))
    if whose != "theirs":
        assert sorted(file.name for file in tmp_path.iterdir()) == ["main.cf"], "nothing is left beside it"
