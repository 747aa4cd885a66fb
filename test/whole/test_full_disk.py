# SPDX-License-Identifier: ISC
"""A disk that fills up stops taking mail before it stops keeping it: what was accepted has room, what has none is refused at MAIL.

The disk is a real one, of ext4, with 96 MiB.  Postfix beside us has its queue on the same.
"""

import json
import os
import pathlib
import smtplib
import subprocess
import tempfile

import pytest

from beside import Postfix, tables_of
from kit import Demo, letter, wait_for, word
from test_sending import Sink

MIB = 1 << 20
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
SETTINGS = {"spool_segment_size": "1M", "queue_minfree": f"{12 * MIB}", "message_size_limit": "10240000", "smtpd_client_connection_count_limit": "0"}


@pytest.fixture
def small(tmp_path):
    image, at = tmp_path / "image", pathlib.Path(tempfile.mkdtemp(prefix="disk-", dir="/tmp"))      # short: sockets have their names below
    with open(image, "wb") as f:
        f.truncate(96 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    if subprocess.run(["mount", "-o", "loop", str(image), str(at)], capture_output=True).returncode != 0:
        at.rmdir()
        pytest.skip("no loop devices here")
    yield at
    subprocess.run(["umount", "-l", str(at)])
    at.rmdir()


def free(at):
    s = os.statvfs(at)
    return s.f_bavail * s.f_frsize


def leave(at, n):
    """So many bytes free."""
    ballast = at / "ballast"
    ballast.unlink(missing_ok=True)
    with open(ballast, "wb") as f:
        os.posix_fallocate(f.fileno(), 0, free(at) - n)


def demo_on(small, **more):
    words = [w for name, value in {**SETTINGS, **more}.items() for w in ("--set", f"{name}={value}")]
    return Demo(small / "demo", *words).start()


def mail(port, words=""):
    """What MAIL is answered."""
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as s:
        s.ehlo("client.example")
        code, text = s.docmd(f"MAIL FROM:<a@example.org>{words}")
        return code, text.decode()


def test_MAIL_is_refused_where_there_is_no_room_as_by_Postfix(small, monkeypatch):
    with tables_of({"aliases": ""}) as tables:
        monkeypatch.setattr(tempfile, "tempdir", str(small))
        small.chmod(0o755)
        postfix = Postfix(tables, {"plain": ({}, [])}, f"queue_minfree = {12 * MIB}\nmessage_size_limit = 10240000\n")
        monkeypatch.undo()
        demo = demo_on(small)
        try:
            demo.send(letter(word()))           # segments are lent
            theirs, ours = postfix.ports["plain"], demo.port("smtp")
            # A letter whose size nobody knows.
            for mib, code in [(40, 250), (8, 452), (40, 250)]:
                leave(small, mib * MIB)
                they = mail(theirs)
                assert they[0] == code, (mib, they)
                said = wait_for(lambda: (m := mail(ours))[0] == code and m)
                assert said[1][:5] == they[1][:5], (mib, said, they)
                if code != 250:
                    assert said == they, "word for word"
            # rfc1870:6.1: a size that is said is asked for, and no more than that.
            leave(small, 20 * MIB)
            assert mail(ours, " SIZE=100000")[0] == 250
            assert mail(ours, " SIZE=7000000") == (452, "4.3.1 Insufficient system storage")
            assert mail(ours, " SIZE=10240001")[0] == 552
        finally:
            demo.stop()
            postfix.close()


def test_all_that_was_taken_is_kept_while_the_disk_is_full(small):
    """Several clients send what they can; every letter that got 250 is in its mailbox, or at the next host, and none waits."""
    far = Sink()
    demo = demo_on(small, relay_domains="far.example", relay_transport=f"smtp:[127.0.0.1]:{far.port}", relayhost="", smtp_tls_security_level="none")
    try:
        before = word()
        demo.send(letter(before))
        demo.find(before)
        leave(small, 16 * MIB)
        taken, far_taken, refused = [], 0, None
        body = ("x" * 76 + "\n") * 1300           # 100 kB
        for i in range(400):
            subject = word()
            to = "jill@example.com" if i % 2 else f"u{i}@far.example"
            try:
                with demo.smtp() as s:
                    s.sendmail("a@example.org", [to], letter(subject, body).as_bytes())
            except smtplib.SMTPResponseException as e:
                refused = refused or (e.smtp_code, e.smtp_error)
                if i % 2:
                    break
                continue
            if i % 2:
                taken.append(subject)
            else:
                far_taken += 1
        assert refused == (452, b"4.3.1 Insufficient system storage"), refused
        assert len(taken) > 5 and free(small) > 8 * MIB, "well before there is none"
        for subject in taken:
            demo.find(subject)
        wait_for(lambda: len(far.letters) == far_taken)
        wait_for(lambda: json.loads(demo.command("queue", "list", "--json").stdout) == [])
        # Who has mail can read and delete it.
        box = demo.imap()
        box.select()
        found = box.search(None, "SUBJECT", before)[1][0].split()
        assert box.store(found[0], "+FLAGS", "(\\Deleted)")[0] == "OK" and box.expunge()[0] == "OK"
        box.logout()
        # Room comes back, and nobody has to tell us.
        (small / "ballast").unlink()
        after = word()
        wait_for(lambda: mail(demo.port("smtp"), " SIZE=200000")[0] == 250)
        demo.send(letter(after))
        demo.find(after)
        for subject in taken:
            assert demo.count(subject) == 1
    finally:
        demo.stop()
        far.close()
