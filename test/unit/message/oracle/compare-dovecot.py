#!/usr/bin/python3
"""Compare ENVELOPE, BODYSTRUCTURE and BODY with those of Dovecot's imap.

usage: compare-dovecot.py BUILD [HOW-MANY [SEED]]

Ends with 77 (skipped) where Dovecot is not installed.  What is known to differ
stands in KNOWN and same(), with its reason."""

import os
import pathlib
import pwd
import subprocess
import sys
import tempfile

import letters
import oracle

IMAP = "/usr/lib/dovecot/imap"


def dovecot(folder, count):
    """[(envelope, bodystructure, body)] of a Maildir by a private imap process."""
    owner = pwd.getpwuid(os.getuid()) if os.getuid() != 0 else pwd.getpwnam("nobody")
    if os.getuid() == 0:                # it will not read mail for root
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, owner.pw_uid, owner.pw_gid)
    config = folder / "dovecot.conf"
    config.write_text(f"""
protocols = imap
ssl = no
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
mail_location = maildir:{folder}/Maildir
mail_uid = {owner.pw_uid}
mail_gid = {owner.pw_gid}
first_valid_uid = 0
first_valid_gid = 0
mail_home = {folder}
""")
    script = b"a SELECT INBOX\r\nb FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY)\r\nc LOGOUT\r\n"
    imap = subprocess.Popen([IMAP, "-c", str(config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            env={"PATH": os.environ["PATH"], "USER": owner.pw_name, "HOME": str(folder)})
    imap.stdin.write(script)
    imap.stdin.flush()                  # not closed: it would stop in the middle
    got = imap.stdout.read()
    imap.stdin.close()
    imap.wait(timeout=60)
    found = []
    for n in range(1, count + 1):
        at = got.index(f"* {n} FETCH (".encode())
        items, _ = oracle.parse(got, got.index(b"(", at))
        named = dict(zip(items[0::2], items[1::2]))
        found.append((named[b"ENVELOPE"], named[b"BODYSTRUCTURE"], named[b"BODY"]))
    return found


# Where Dovecot is the poorer reader; the letter must stay as it is for us.
KNOWN = {
    "dots": "rfc5322:4.4 obs-local-part has blanks around its dots",
    "rfc2231": "rfc2231:4.1 a plain piece beside extended ones cannot stay as it is",
}


def same(ours, theirs):
    """Are they one but for what is a matter of taste?"""
    if isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            return False
        # A letter that ends with the last line of a multipart in it: the line end
        # before the outer boundary is the boundary's (rfc2046:5.1.1).
        if ours[:2] == [b"message", b"rfc822"] and theirs[6] == ours[6] + 2 and theirs[9] == ours[9] + 1:
            ours = ours[:6] + [theirs[6]] + ours[7:9] + [theirs[9]] + ours[10:]
        return all(same(a, b) for a, b in zip(ours, theirs))
    if theirs in (b"MISSING_DOMAIN", b"MISSING_MAILBOX"):
        return ours == b""              # we leave them empty
    if isinstance(ours, bytes) and isinstance(theirs, bytes):
        return ours.lower().replace(b"\t", b" ") == theirs.lower().replace(b"\t", b" ")
    return ours == theirs


def main():
    build = sys.argv[1]
    many = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 4711
    if not os.access(IMAP, os.X_OK):
        print("no Dovecot here")
        return 77
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for sub in ("Maildir/cur", "Maildir/new", "Maildir/tmp"):
            (folder / sub).mkdir(parents=True)
        made = list(letters.letters(many, seed))
        paths = []
        for i, (_, content) in enumerate(made):
            path = folder / f"Maildir/cur/{1700000000 + i}.M1P1.host:2,"
            path.write_bytes(content)
            paths.append(path)
        ours = oracle.digests(oracle.printer(build, folder), paths)
        theirs = dovecot(folder, len(made))
        for (title, content), mine, other in zip(made, ours, theirs):
            for what, their in zip(("envelope", "bodystructure", "body"), other):
                our, _ = oracle.parse(mine[what])
                if not same(our, their) and title not in KNOWN:
                    bad += 1
                    print(f"--- {title}: {what}\n  ours:   {our}\n  theirs: {their}\n{content}")
    print(f"{len(made)} letters, {bad} differences")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
