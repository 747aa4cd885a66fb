# SPDX-License-Identifier: ISC
"""Every form that the pages of Postfix's tables describe, cidr_table(5) to ldap_table(5), in a row: Postfix's own postmap and ours are asked
for the same keys of the same file.

Where we mean to differ:
- a line that is wrong is passed over by Postfix with a warning; here the file is not taken at all, and a running server keeps the last good one;
- the mark U+FEFF that some editors put before a text is none of it; to Postfix the first line is another;
- bytes that are no UTF-8 are a key and a value as others are; Postfix passes such a line over;
- an empty key is asked of no table, as Postfix's own daemons do, but not its postmap.
"""

import os

import pytest
from test_tables import needs_postfix, ours, place, theirs  # noqa: F401 (place is a fixture)

pytestmark = needs_postfix

NAMES = ["a", "A", "ab", "aB", "abc", "b", "c", "d", "D", "a/b", "x y", "a b", "user@example.com", "USER@EXAMPLE.COM", "foo+bar@example.com", "aaa", "a+b"]
ADDRESSES = ["10.0.0.1", "10.1.2.3", "10.0.0.9", "192.168.1.1", "::1", "2001:db8::1", "2001:DB8::1", "[::1]", "::ffff:10.0.0.1", "10.0.0", "x", "10.0.0.01", "0.0.0.0",
             "1.2.3.4.5", "010.0.0.1", "fe80::1%eth0"]
# why: (text, keys)
TEXT = {
    "comments, empty lines, lines that go on": ("# x\n\na b\n  more\n\n   # none\n c\nd e\n", NAMES),
    "a comment inside of a line that goes on": ("a b\n# x\n  more\n", NAMES),
    "blanks at the end": ("a b  \t \nb  x y \n", NAMES),
    "line ends of Windows": ("a b\r\n\r\n# c\r\nb d\r\n   e\r\n", NAMES),
    "other blanks": ("a\vb\nc\fd\v\n", NAMES),
    "quotes in a key": ('"a b" c\n"q\\"x" d\na"b c"d e\n\\"x y\n', ["a b", '"a b"', '"q\\"x"', 'a"b c"d', '\\"x']),
    "a backslash in a key": ("a\\ b c\nx\\\\ y\n", ["a\\", "a\\ b", "x\\", "x\\\\"]),
    "a colon": ("a: b\n", ["a", "a:"]),
    "one key twice": ("a b\nA c\na d\n", ["a", "A"]),
    "no newline at the end": ("a b\nc d", NAMES),
    "a long value": ("a " + "x" * 100000 + "\n", NAMES),
    "a long key": ("k" * 60000 + " v\n", ["k" * 60000, "k" * 59999]),
    "letters that are not ASCII": ("ключ@пример.рф v\nÄ@x.de w\nSTRASSE@x w\nstraße@y z\n ИЛИ\nΣΑΣ s\n",
                                  ["КЛЮЧ@ПРИМЕР.РФ", "ключ@пример.рф", "ä@x.de", "Ä@X.DE", "straße@x", "STRASSE@Y", "σας", "σασ"]),
    "nothing": ("", NAMES),
    "a value that looks like a comment": ("a b # c\n", NAMES),
}
RULES = {
    "every form of a group": ("/^(.)(.*)@(.*)$/ $1 ${2} $(3) $$ ${1}x\n/^(a)(b)/ $(1)x${2}y\n", NAMES),
    "a group that took no part": ("/^(a)(b)?(c)?$/ <$1,$2,$3>\n", NAMES),
    "blocks in blocks": ("if /@/\n/^user/ one\nif !/^foo/\n/./ two\nendif\n/^foo/ three\nendif\n/./ last\n", NAMES),
    "IF": ("IF /@/\n/^user/ one\nENDIF\n/./ last\n", NAMES),
    "no blank behind if": ("if/@/\n/^user/ one\nendif\nif!/@/\n/a/ x\nendif\n", NAMES),
    "not": ("if ! /@/\n/a/ x\nendif\n! /b/ y\n", NAMES),
    "not not": ("!!/a/ yes\n", NAMES),
    "other delimiters": ("|a/b| one\n,^x y, two\n#a# no\n", NAMES),
    "a delimiter in the pattern": ("/a\\/b/ one\n", NAMES),
    "lines that go on": ("/a/\n   one\n   two\n/b/ three\n  # c\n   four\n", NAMES),
    "line ends of Windows": ("if /a/\r\n/b/ y\r\nendif\r\n/x/ z\r\n", NAMES),
    "classes": ("/^[[:alpha:]]+$/ alpha\n/^[[:upper:]]/ up\n/[[:space:]]/ sp\n", NAMES),
    "letters that are not ASCII": ("/ключ/ x\n/^.$/ one\n/ä/i y\n", ["ключ", "КЛЮЧ", "ä", "Ä"]),
    **{f"flags {f}": (f"/^a.?b$/{f} one\n/B$/{f} two\n/^(a+)(.*)$/{f} $1-$2\n", NAMES) for f in ("i", "m", "ii", "xx", "im")},
}
PCRE = {
    **{f"flags {f}": (f"/^a.?b$/{f} one\n/B$/{f} two\n/^(a+)(.*)$/{f} $1-$2\n", NAMES) for f in ("x", "s", "A", "E", "U", "X", "sx", "AE")},
    "what only Perl knows": ("/^(a)(?=b)/ $1\n/(?<n>x) (?P<m>y)/ $1 $2\n/(a{3})/ $1\n/(?i)USER/ u\n", NAMES),
    "remarks in a pattern": ("/a b #c/x x\n", NAMES),
}
REGEXP = {"the older grammar": ("/a\\(b\\)/x $1\n/a+b/x plus\n", NAMES)}
CIDR = {
    "networks": ("10.0.0.0/8 ten\n192.168.1.1 one\n::1 lo\n2001:db8::/32 doc\n", ADDRESSES),
    "the first holds": ("10.1.0.0/16 a\n10.0.0.0/8 b\n0.0.0.0/0 c\n::/0 d\n", ADDRESSES),
    "not": ("!10.0.0.0/8 nota\n! 2001:db8::/32 notb\n", ADDRESSES),
    "blocks": ("if 10.0.0.0/8\n10.1.0.0/16 a\nif !10.0.0.1\n10.0.0.0/8 b\nendif\n10.0.0.1 z\nendif\n", ADDRESSES),
    "not a block": ("if !10.0.0.0/8\n0.0.0.0/0 other\n::/0 six\nendif\n", ADDRESSES),
    "brackets": ("[::1] a\n[2001:db8::]/32 b\n[10.0.0.1] c\n", ADDRESSES),
    "line ends of Windows": ("if 10.0.0.0/8\r\n10.0.0.0/8 a\r\nendif\r\n::1 b\r\n", ADDRESSES),
    "lines that go on": ("10.0.0.0/8 a\n  b\n#c\n::1\n  x\n", ADDRESSES),
    "a mapped network": ("::ffff:10.0.0.0/104 x\n", ADDRESSES),
    "one address": ("10.0.0.1/32 x\n::1/128 y\n", ADDRESSES),
    "a dollar": ("10.0.0.0/8 $1 $$\n", ADDRESSES),
}
ROWS = [(kind, why, *row) for kind, rows in (("texthash", TEXT), ("pcre", {**RULES, **PCRE}), ("regexp", {**RULES, **REGEXP}), ("cidr", CIDR))
        for why, row in rows.items()]


@pytest.mark.parametrize("kind, why, text, keys", ROWS, ids=[f"{kind}: {why}" for kind, why, *_ in ROWS])
def test_a_file_says_what_it_says_to_postfix(place, kind, why, text, keys):  # noqa: F811
    (place / "t").write_bytes(text.encode())
    ask = "".join(key + "\n" for key in keys)
    wanted, got = theirs(place, "-q", "-", f"{kind}:./t", ask=ask), ours(place, "-q", "-", f"{kind}:./t", ask=ask)
    assert (got.stdout, got.returncode) == (wanted.stdout, wanted.returncode), (wanted.stderr, got.stderr)


def test_a_mark_before_a_text_is_none_of_it(place):  # noqa: F811
    for kind, text in (("texthash", "a b\n"), ("pcre", "/a/ b\n"), ("hash", "a b\n")):
        (place / "t").write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert ours(place, "-q", "a", f"{kind}:./t").stdout == b"b\n"
