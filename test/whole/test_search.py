# SPDX-License-Identifier: ISC
"""SEARCH beside a plain look through every letter, done in Python by the words of rfc3501:6.4.4: with the text index, without it,
and while it is being made.

A part counts as text when its type is text/* or message/*; the header of a part inside belongs to the body.  Of HTML that is
searched which a reader sees: here Python's html.parser says what that is.
"""

import base64
import html.parser
import imaplib
import quopri
import random
import unicodedata

import pytest
from kit import wait_for

CHARSETS = {"gbk": "zh", "gb18030": "zh", "big5": "tw", "iso-2022-jp": "ja", "shift_jis": "ja", "euc-kr": "ko",
            "koi8-r": "ru", "utf-8": "zh", "iso-8859-1": "fr", "us-ascii": "en", "gb2312": "zh", "euc-jp": "ja", "iso-2022-kr": "ko",
            "windows-1251": "ru", "utf-7": "zh"}
# In header fields.
SPOKEN = {"zh": ["gbk", "gb2312", "gb18030"], "tw": ["big5"], "ja": ["iso-2022-jp", "shift_jis", "euc-jp"], "ko": ["euc-kr"],
          "ru": ["koi8-r", "windows-1251"], "fr": ["iso-8859-1"], "en": ["us-ascii"]}
WORDS = {"zh": ["会议", "项目", "北京", "报告"], "tw": ["會議", "專案", "臺北"], "ja": ["会議", "東京", "カタカナ"],
         "ko": ["회의", "서울"], "ru": ["Встреча", "отчёт", "Москва"], "fr": ["Réunion", "été", "GARÇON"],
         "en": ["Meeting", "budget", "report", "seaside"]}
CODINGS = ["8bit", "base64", "quoted-printable"]


def encoded(text, charset, coding):
    data = text.replace("\n", "\r\n").encode(charset)
    if coding == "base64":
        return base64.encodebytes(data).replace(b"\n", b"\r\n")
    if coding == "quoted-printable":
        return quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return data


WITHIN = ["b", "i", "em", "span", "font", "a", "wbr"]
APART = ["p", "div", "td", "li", "h1", "br"]


class Page(html.parser.HTMLParser):
    """What is seen of a page, blanks as one."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.seen, self.hidden = [], 0
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.hidden += tag in ("script", "style", "title")
        self.seen += [] if tag in WITHIN else [" "]

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style", "title")
        self.seen += [] if tag in WITHIN else [" "]

    def handle_data(self, data):
        self.seen += [] if self.hidden else [data]

    def text(self):
        return " ".join("".join(self.seen).replace("\xad", "").split()) + "\n"


def marked(chance, lines):
    """Lines as HTML: tags between and within words, references, and words where nobody sees them."""
    hidden = lambda: chance.choice([word for many in WORDS.values() for word in many if word.isascii()])
    out = [f"<html><head><title>{hidden()}</title><style>.{hidden()} {{ color: red }}</style></head><body>\n"]
    for line in lines:
        words = []
        for word in line.split(" "):
            at = chance.randrange(len(word) + 1)
            tag = chance.choice(WITHIN)
            inner = {"wbr": "<wbr>"}.get(tag, f'<{tag} title="{hidden()} > x">')
            coded = "".join(chance.choice([c, f"&#{ord(c)};", f"&#x{ord(c):X};"]) if chance.random() < .2 else html.escape(c) for c in word)
            words.append(chance.choice([coded, html.escape(word[:at]) + inner + html.escape(word[at:]) + ("" if tag == "wbr" else f"</{tag}>"),
                                        html.escape(word[:at]) + f"<!-- {hidden()} -->" + html.escape(word[at:]), html.escape(word[:at]) + "&shy;" + word[at:]]))
        tag = chance.choice(APART)
        out.append(f"<{tag}>" + chance.choice([" ", "\n", "&nbsp;"]).join(words) + ("" if tag == "br" else f"</{tag}>"))
    out.append(f"<script>var x = '{hidden()}<b>';</script></body></html>\n")
    return "\n".join(out)


def part(chance):
    """One text part, and what it says."""
    charset = chance.choice(list(CHARSETS))
    words = WORDS[CHARSETS[charset]] + ([] if charset == "iso-2022-jp" else WORDS["en"])
    lines = [" ".join(chance.choice(words) for _ in range(chance.randrange(1, 8))) for _ in range(chance.randrange(1, 6))]
    text = "\n".join(lines) + "\n"
    coding = "7bit" if charset in ("iso-2022-jp", "iso-2022-kr", "utf-7") else chance.choice(CODINGS)
    kind = chance.choice(["plain", "html"])
    if kind == "html":
        text = marked(chance, lines)
    name = f"note{chance.randrange(50)}.txt"
    head = (f"Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: {coding}\r\n"
            f"Content-Disposition: inline; filename={name}\r\n")
    return head, encoded(text, charset, coding), Page(text).text() if kind == "html" else text


def worded(chance, text, charsets):
    """An encoded word (rfc2047:2)."""
    charset = chance.choice(charsets + ["utf-8"])
    data = text.encode(charset)
    if chance.random() < .5:
        return f"=?{charset}?B?{base64.b64encode(data).decode()}?="
    return f"=?{charset}?q?" + "".join(f"={byte:02X}" for byte in data) + "?="


def made(chance, depth=0):
    """(bytes, header text, body text) of a letter: the latter two as a reader would see them."""
    spoken = chance.choice(list(WORDS))
    subject = chance.choice(WORDS[spoken]) + f" {chance.randrange(100)}"
    fields = [("From", f"P{chance.randrange(9)} <p{chance.randrange(9)}@example.org>"), ("To", "ataylor@example.com"),
              ("Subject", subject), ("X-Topic", chance.choice(WORDS["en"])), ("MIME-Version", "1.0")]
    head = "".join(f"{n}: {v if v.isascii() else worded(chance, v, SPOKEN[spoken])}\r\n" for n, v in fields)
    seen = "".join(f"{n}: {v}\n" for n, v in fields)
    if chance.random() < .5:
        more, data, text = part(chance)
        return (head + more).encode() + b"\r\n" + data, seen + unfolded(more), text
    boundary = f"b{depth}{chance.randrange(10**9)}"
    whole, body = [], []
    for _ in range(chance.randrange(1, 4)):
        if depth < 2 and chance.random() < .2:
            inner, inner_head, inner_body = made(chance, depth + 1)
            more = "Content-Type: message/rfc822\r\n"
            whole.append(more.encode() + b"\r\n" + inner)
            body += [unfolded(more), inner_head, inner_body]
        elif chance.random() < .2:
            more = f"Content-Type: application/pdf; name=paper{chance.randrange(9)}.pdf\r\nContent-Transfer-Encoding: base64\r\n"
            whole.append(more.encode() + b"\r\nbWVldGluZw==\r\n")
            body.append(unfolded(more))
        else:
            more, data, text = part(chance)
            whole.append(more.encode() + b"\r\n" + data)
            body += [unfolded(more), text]
    kind = f"Content-Type: multipart/mixed; boundary={boundary}\r\n"
    content = b"".join(b"--" + boundary.encode() + b"\r\n" + w + b"\r\n" for w in whole) + b"--" + boundary.encode() + b"--\r\n"
    return (head + kind).encode() + b"\r\n" + content, seen + unfolded(kind), "\n\0".join(body)


def unfolded(head):
    return head.replace("\r\n", "\n")


def field(seen, name):
    return [line.partition(": ")[2] for line in seen.splitlines() if line.lower().startswith(name.lower() + ": ")]


def alike(text):
    """i;unicode-casemap (rfc5051): the simple titlecase of each character, decomposed."""
    return "".join(unicodedata.normalize("NFKD", c.title() if len(c.title()) == 1 else c) for c in text)


def holds(letter, key, needle, name=""):
    _, seen, body = letter
    needle = alike(needle)
    if key == "BODY":
        return needle in alike(body)
    if key == "TEXT":
        return needle in alike(body) or any(needle in alike(line) for line in seen.splitlines())
    return any(needle in alike(value) for value in field(seen, name or key))


def asked(chance):
    """Key, needle, field name: words, pieces of words, things nobody said."""
    word = chance.choice(WORDS[chance.choice(list(WORDS))])
    if chance.random() < .4 and len(word) > 2:
        at = chance.randrange(len(word) - 1)
        word = word[at:at + chance.randrange(1, 4)]
    word = chance.choice([word, word.upper(), word.lower(), word + "zz" if chance.random() < .2 else word])
    key = chance.choice(["BODY", "TEXT", "SUBJECT", "FROM", "HEADER"])
    if key == "FROM":
        return key, f"p{chance.randrange(9)}@", ""
    return key, word.strip(), "X-Topic" if key == "HEADER" else ""


def found(reader, key, needle, name):
    command = [key, name] if name else [key]
    reader.literal = needle.encode()
    return [int(n) for n in reader.search("UTF-8", *command)[1][0].split()]


def compare(reader, letters, chance, many):
    for _ in range(many):
        key, needle, name = asked(chance)
        wanted = [i + 1 for i, letter in enumerate(letters) if holds(letter, key, needle, name)]
        assert found(reader, key, needle, name) == wanted, (key, name, needle)


def put(reader, letters):
    for whole, _, _ in letters:
        assert reader.append("Search", "", imaplib.Time2Internaldate(0), whole)[0] == "OK"


@pytest.mark.parametrize("index", ["yes", "no"])
def test_answers_are_those_of_a_plain_look(own, index):
    demo = own("--set", f"search_index={index}").start()
    chance = random.Random(20261122)
    letters = [made(chance) for _ in range(120)]
    reader = demo.imap("ataylor")
    reader.create("Search")
    reader.select("Search")
    for i in range(0, len(letters), 40):       # while some are in the index and some are not
        put(reader, letters[i:i + 40])
        reader.noop()
        compare(reader, letters[:i + 40], chance, 25)
    if index == "yes":
        folder = demo.dir / "mail/store/accounts"
        wait_for(lambda: any(p.stat().st_size > 0 for p in folder.glob("*/*/text")))
    compare(reader, letters, chance, 60)
    reader.logout()


def test_an_index_of_an_older_version_is_made_anew_while_it_is_asked(own):
    demo = own().start()
    chance = random.Random(7)
    letters = [made(chance) for _ in range(60)]
    reader = demo.imap("ataylor")
    reader.create("Search")
    reader.select("Search")
    put(reader, letters)
    indexed = lambda: int(demo.command("mailbox", "index", "ataylor@example.com", "-f", "values").stdout.split()[1])
    wait_for(lambda: indexed() >= len(letters))
    reader.logout()
    demo.stop()
    index, = [p for p in (demo.dir / "mail/store/accounts").glob("*/*/text") if p.stat().st_size > 5000]
    whole = bytearray(index.read_bytes())
    assert whole[:8] == b"MansioTx"
    version = whole[8]
    whole[8] = version - 1
    index.write_bytes(whole)
    demo.start()
    reader = demo.imap("ataylor")
    reader.select("Search")
    compare(reader, letters, chance, 60)
    wait_for(lambda: index.read_bytes()[8:9] == bytes([version]))
    wait_for(lambda: indexed() >= len(letters))
    compare(reader, letters, chance, 40)
    reader.logout()
    assert "its text index is of an older version" in demo.log()


def test_what_a_reader_of_a_page_sees(own):
    demo = own().start()
    reader = demo.imap("ataylor")
    reader.create("Search")
    reader.select("Search")
    head = "Subject: x\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    page = '<p title="hidden">wor<b>ld</b> Gr&uuml;&szlig;e</p><p>会<i>议</i>\r\n  tomorrow</p><!-- secret --><style>p.loud { }</style>\r\n'
    put(reader, [((head + page).encode(), "", ""), ((head + page.replace("<", "&lt;")).encode(), "", "")])
    reader.noop()
    for needle, numbers in [("world", [1]), ("wor<b>ld", [2]), ("Grüße", [1, 2]), ("会议 tomorrow", [1]), ("hidden", [2]), ("secret", [2]), ("loud", [2]),
                            ("&uuml;", []), ("Grüße 会议", [1])]:
        assert found(reader, "BODY", needle, "") == numbers, needle
    reader.logout()


def test_two_characters_are_a_word(own):
    demo = own().start()
    reader = demo.imap("ataylor")
    reader.create("Search")
    reader.select("Search")
    whole = ("Subject: x\r\nContent-Type: text/plain; charset=gb18030\r\n\r\n").encode() + "明天在北京开会议。\r\n".encode("gb18030")
    put(reader, [(whole, "", "")] * 3)
    reader.noop()
    for needle, numbers in [("会议", [1, 2, 3]), ("北京", [1, 2, 3]), ("开", [1, 2, 3]), ("议会", [])]:
        assert found(reader, "BODY", needle, "") == numbers, needle
    reader.logout()


def long_letter(chance):
    """A letter of some 20 KiB, in several languages: a few of them fill a block of the index."""
    words = [word for many in WORDS.values() for word in many]
    text = "\n".join(" ".join(chance.choice(words) + chance.choice(["", "", str(chance.randrange(300)), "，", "!"])
                               for _ in range(10)) for _ in range(150)) + "\n"
    head = f"Subject: long {chance.randrange(100)}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    return head.encode() + text.replace("\n", "\r\n").encode(), unfolded(head.split("Content")[0]), text


def phrases(letters, chance, many):
    """What stands somewhere in a letter: words, halves of them, several with what is between them."""
    for _ in range(many):
        text = chance.choice(letters)[2].replace("\n", " ")
        at = chance.randrange(len(text) - 40)
        yield text[at:at + chance.randrange(1, 24)].strip() or "zz"


def test_an_index_is_dropped_and_made_anew_while_it_is_asked(own):
    demo = own().start()
    chance = random.Random(4)
    letters = [long_letter(chance) for _ in range(90)]
    reader = demo.imap("ataylor")
    reader.create("Search")
    reader.select("Search")
    put(reader, letters[:60])
    reader.noop()
    index = demo.dir / "mail/store/accounts"
    wait_for(lambda: any(p.stat().st_size > 400000 for p in index.glob("*/*/text")), 60)
    there = 60
    for turn in range(12):
        if turn % 3 == 1:
            demo.command("mailbox", "index", "ataylor@example.com", "--rebuild")
        if turn % 4 == 2 and there < len(letters):
            put(reader, letters[there:there + 10])
            reader.noop()
            there += 10
        for needle in phrases(letters[:there], chance, 8):
            wanted = [i + 1 for i, letter in enumerate(letters[:there]) if holds(letter, "BODY", needle)]
            assert found(reader, "BODY", needle, "") == wanted, (turn, needle)
    reader.logout()
