# SPDX-License-Identifier: ISC
"""Sylpheed itself in a virtual X, told what to do by its keys: what it does to the mail is looked at from another session."""

import os
import shutil
import subprocess

import pytest
from kit import letter, wait_for, word

pytestmark = pytest.mark.skipif(not all(shutil.which(p) for p in ("sylpheed", "Xvfb", "xdotool")), reason="no Sylpheed here")
USER = "jsmith@example.com"
PATIENCE = 60

ACCOUNT = """[Account: 1]
account_name=demo
is_default=1
name=John Smith
address={user}
protocol=3
receive_server=127.0.0.1
smtp_server=127.0.0.1
user_id={user}
password={password}
inbox=#imap/demo/INBOX
set_imapport=1
imap_port={imaps}
ssl_imap=1
ssl_smtp=1
set_smtpport=1
smtp_port={submissions}
use_smtp_auth=1
use_nonblocking_ssl=1
set_sent_folder=1
sent_folder=#imap/demo/Sent
set_trash_folder=1
trash_folder=#imap/demo/Trash
"""
SETTINGS = """[Common]
check_new_on_startup=0
auto_check_newmail=0
auto_check_update=0
online_mode=1
open_inbox_on_startup=1
always_show_message_when_selected=1
"""


def folders(kept):
    item = '  <folderitem {0}name="{1}" path="{1}" mtime="0" new="0" unread="0" total="0" />\n'
    mh = "".join(item.format(f'type="{t}" ', n) for t, n in
                 [("inbox", "inbox"), ("outbox", "sent"), ("draft", "draft"), ("queue", "queue"), ("trash", "trash"), ("junk", "junk")])
    imap = "".join(item.format(f'type="{t}" ' if t else "", n) for t, n in [("inbox", "INBOX"), ("outbox", "Sent"), ("trash", "Trash"), ("", kept)])
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<folderlist>\n <folder type="mh" name="Mailbox" path="Mail">\n' + mh +
            ' </folder>\n <folder type="imap" name="demo" account_id="1" path="127.0.0.1">\n' + imap + " </folder>\n</folderlist>\n")


class Sylpheed:
    def __init__(self, demo, home, kept):
        at = home / ".sylpheed-2.0"
        at.mkdir()
        for name in ("inbox", "sent", "draft", "queue", "trash", "junk"):
            (home / "Mail" / name).mkdir(parents=True)
        ports = {service: demo.port(service) for service in ("imaps", "submissions")}
        (at / "accountrc").write_text(ACCOUNT.format(user=USER, password=demo.password, **ports))
        (at / "sylpheedrc").write_text(SETTINGS)
        (at / "folderlist.xml").write_text(folders(kept), encoding="utf-8")
        (at / "certs.crt").write_bytes(open(demo.ca, "rb").read())
        self.out = open(home / "output", "wb")
        ours, theirs = os.pipe()
        self.x = subprocess.Popen(["Xvfb", "-displayfd", str(theirs), "-screen", "0", "1200x900x24", "-nolisten", "tcp"],
                                  pass_fds=[theirs], stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out)
        os.close(theirs)
        with os.fdopen(ours) as f:
            display = f.readline().strip()
        self.env = {**os.environ, "HOME": str(home), "TMPDIR": str(home), "DISPLAY": f":{display}", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(["sylpheed", "--debug"], env=self.env, cwd=home, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out)

    def tell(self, *words):
        return subprocess.run(["xdotool", *words], env=self.env, capture_output=True, text=True, timeout=30).stdout

    def window(self, name):
        """Its id, if there is one with that in its title; a certificate that is asked about is accepted."""
        asked = self.tell("search", "--onlyvisible", "--name", "SSL certificate").split()
        if asked:
            self.tell("windowfocus", "--sync", asked[0], "key", "alt+a")
        return (self.tell("search", "--onlyvisible", "--name", name).split() or [None])[0]

    def press(self, name, *keys):
        at = wait_for(lambda: self.window(name), PATIENCE)
        self.tell("windowraise", at, "windowfocus", "--sync", at)
        for key in keys:
            self.tell("key", "--delay", "100", key)

    def close(self):
        for p in (self.process, self.x):
            p.kill()
            p.wait()
        self.out.close()


def test_sylpheed_reads_answers_flags_moves_and_deletes(demo, tmp_path):
    first, second, kept = word(), word(), "项目 " + word()
    box = demo.imap(USER)
    box.enable("UTF8=ACCEPT")
    assert box.create(f'"{kept}"')[0] == "OK"
    for subject in (first, second):
        demo.send(letter(subject, f"Hello from {subject}.\n", to=USER), to=USER)
        demo.find(subject, USER)

    def has(folder, subject, *keys):
        assert box.select(f'"{folder}"')[0] == "OK"
        return len(box.search(None, "SUBJECT", f'"{subject}"', *keys)[1][0].split())
    before = demo.count(f'"Re: {first}"', "jack")
    mua = Sylpheed(demo, tmp_path, kept)
    try:
        main = "Sylpheed 3"
        mua.press(main)
        wait_for(lambda: mua.window(main) and b"FETCH (BODY[]" in (tmp_path / "output").read_bytes(), PATIENCE)   # the first unread is shown
        mua.press(main, "Home", "Return")
        wait_for(lambda: has("INBOX", first, "SEEN"), PATIENCE)                     # it was read
        mua.press(main, "asterisk")
        wait_for(lambda: has("INBOX", first, "FLAGGED"), PATIENCE)
        mua.press(main, "ctrl+r")
        mua.press("Re: " + first, "ctrl+shift+e")
        wait_for(lambda: mua.window("nothing") or has("Sent", "Re: " + first), PATIENCE)
        wait_for(lambda: demo.count(f'"Re: {first}"', "jack") == before + 1, PATIENCE)
        wait_for(lambda: not mua.window("Re: " + first), PATIENCE)
        wait_for(lambda: has("INBOX", first, "ANSWERED"), PATIENCE)
        mua.press(main, "ctrl+o")
        mua.press("Select folder", "End", "Return")
        wait_for(lambda: has(kept, first, "SEEN", "FLAGGED", "ANSWERED") and not has("INBOX", first), PATIENCE)
        mua.press(main, "ctrl+d")
        wait_for(lambda: has("Trash", second) and not has("INBOX", second), PATIENCE)
        assert has(kept, first) == 1 and "invalid IMAP" not in demo.log()
    finally:
        mua.close()
        box.logout()
