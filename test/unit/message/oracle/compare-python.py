#!/usr/bin/python3
"""Compare the parts of letters, their bytes, dates, subjects and senders with
what Python's email package finds.

usage: compare-python.py BUILD [HOW-MANY [SEED]]"""

import email
import email.header
import email.utils
import pathlib
import sys
import tempfile

import letters
import oracle

# Where Python reads otherwise, with the reason.
KNOWN = {
    "names": "the name in a comment", "comments": "escapes in comments",
    "lone-cr": "a lone CR is a line end for Python",
    "nested-unclosed": "Python does not let an outer boundary end an inner multipart",
    "8bit": "raw 8-bit fields",
    "report": "Python makes letters of the groups of a delivery status",
}

DATES = ["Fri, 21 Nov 1997 09:55:06 -0600", "Tue, 1 Jul 2003 10:52:37 +0200", "21 Nov 97 09:55:06 GMT",
         "Sun, 22 Nov 2026 01:35 +0800", "22 Nov 2026 01:35:19 EST", "Sun Nov 22 01:35:19 2026",
         "Thu, 13 Feb 1969 23:32:54 -0330", "Sunday, 22-Nov-26 01:35:19 GMT", "1 Jan 2000 00:00:00 -0000"]

SUBJECTS = ["=?utf-8?B?5L2g5aW9?= x", "=?iso-8859-1?Q?a?= =?iso-8859-1?Q?b?=", "=?gb2312?B?xOO6ww==?=",
            "=?big5?B?p0GmbqFBpUCsyQ==?=", "=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "a =?utf-8?Q?b=5F_c?= d",
            "=?koi8-r?B?8NLJ18XU?=", "=?shift_jis?B?k/qWew==?=", "=?euc-kr?B?x9Gxuw==?=", "plain"]


def leaves(message):
    """(type, bytes) of every part without parts, in order."""
    if message.is_multipart():
        for inner in message.get_payload():
            yield from leaves(inner)
    else:
        payload = message.get_payload()
        if isinstance(payload, str):
            payload = payload.encode("utf-8", "surrogateescape")
        yield payload


def ours(mine, content):
    rows = [list(map(int, row.split())) for row in mine["parts"].split(b"\n") if row]
    for row in rows:
        if row[7] == 0:
            yield content[row[4]:row[4] + row[5]]


def main():
    build = sys.argv[1]
    many = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 4711
    made = [(n, c) for n, c in letters.letters(many, seed)]
    made += [(f"date {d}", f"Date: {d}\r\n\r\n".encode()) for d in DATES]
    made += [(f"subject {s}", f"Subject: {s}\r\n\r\n".encode()) for s in SUBJECTS]
    bad = 0

    def differ(title, what, mine, their):
        nonlocal bad
        if mine != their and title not in KNOWN:
            bad += 1
            print(f"--- {title}: {what}\n  ours:   {mine}\n  theirs: {their}")

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        paths = []
        for i, (_, content) in enumerate(made):
            paths.append(folder / f"{i}.eml")
            paths[-1].write_bytes(content)
        for (title, content), mine in zip(made, oracle.digests(oracle.printer(build, folder), paths)):
            theirs = email.message_from_bytes(content)
            # Python loses the type of a multipart whose parts it does not find
            if not any(part.defects for part in theirs.walk()):
                differ(title, "leaves", list(ours(mine, content)), list(leaves(theirs)))
            if theirs["Date"]:
                when = email.utils.parsedate_to_datetime(theirs["Date"])
                seconds = int(when.timestamp()) if when.tzinfo else int(when.replace(tzinfo=email.utils.datetime.timezone.utc).timestamp())
                differ(title, "sent", int(mine["sent"].split()[0]), seconds)
            if theirs["Subject"] and "\n" not in str(theirs["Subject"]):
                text = str(email.header.make_header(email.header.decode_header(theirs["Subject"])))
                differ(title, "subject", mine["subject"].decode(), text.strip())
            sender = str(theirs["From"] or "")
            if sender and ":" not in sender and '"a b"' not in sender:
                differ(title, "from", mine["from_addr"].decode(), email.utils.getaddresses([sender])[0][1])
    print(f"{len(made)} letters, {bad} differences")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
