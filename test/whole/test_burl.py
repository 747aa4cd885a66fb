# SPDX-License-Identifier: ISC
"""Letters whose content lies in a mailbox already (rfc4468): read by our own IMAP's signed URLs, of people of the
directory and of the operating system.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_burl.py
"""

import email
import imaplib
import os
import re
import signal
import smtplib
import threading

import pytest
from house import wait_for
from test_checks_beside_postfix import ssl_context
from test_credentials import Unix
from test_receiving_catalogue import PASSWORD, USER, Street
from test_system_logins import tutorial
from test_userdb import reader

imaplib.Commands["GENURLAUTH"] = ("AUTH", "SELECTED")


@pytest.fixture(scope="module")
def street():
    with Street(smtpd_peername_lookup="no", message_size_limit="30000000") as house:
        yield house


def put(imap, text):
    """The uid of a letter that was appended."""
    got = imap.append("INBOX", None, None, text)
    assert got[0] == "OK", got
    return int(re.search(rb"APPENDUID \d+ (\d+)", got[1][0]).group(1))


def sign(imap, rump):
    got = imap._simple_command("GENURLAUTH", f'"{rump}"', "INTERNAL")
    assert got[0] == "OK", got
    return re.search(rb"imap:[^\" ]*", imap.response("GENURLAUTH")[1][-1]).group(0).decode()


def submit(s, sender, to, *chunks):
    """The reply to the last."""
    assert s.docmd(f"MAIL FROM:<{sender}>")[0] == 250 and s.docmd(f"RCPT TO:<{to}>")[0] == 250
    for chunk in chunks:
        got = s.docmd(chunk)
    return got


LARGE = (b"From: u@here.example\r\nSubject: large\r\nMessage-ID: <large@here.example>\r\n\r\n" +
         b"".join(b"%07d a line of a letter that does not fit into memory at once, whatever is done.\r\n" % n for n in range(120000)))


def test_a_letter_of_ten_megabytes_comes_out_of_the_mailbox_byte_for_byte(street):
    imap = street.imap()
    uid = put(imap, LARGE)
    url = sign(imap, f"imap://u%40here.example@mail.example.com/INBOX/;uid={uid};urlauth=submit+u")
    with street.submission() as s:
        assert submit(s, USER, USER, f"BURL {url} LAST")[0] == 250
    wait_for(lambda: len(street.letters()) == 2)
    one, two = street.letters()
    assert one == LARGE and two.endswith(LARGE[LARGE.index(b"\r\n\r\n"):]) and email.message_from_bytes(two)["Subject"] == "large"
    imap.logout()


def test_what_is_larger_than_a_letter_may_be_is_not_read(street):
    imap = street.imap()
    uid = put(imap, LARGE)
    url = sign(imap, f"imap://u%40here.example@mail.example.com/INBOX/;uid={uid};urlauth=submit+u")
    with street.submission() as s:
        got = submit(s, USER, USER, *[f"BURL {url}"] * 3)
        assert got[0] == 554 and got[1].startswith(b"5.3.4"), got
        assert s.noop()[0] == 250
    imap.logout()


def test_a_keeper_that_dies_puts_the_letter_off(street):
    imap = street.imap()
    uid = put(imap, LARGE)
    url = sign(imap, f"imap://u%40here.example@mail.example.com/INBOX/;uid={uid};urlauth=anonymous")
    imap.logout()
    # Stopped, it takes the word and says nothing more; then it is gone.
    keepers = [int(p) for p in re.findall(r"keeper \d+: ready pid=(\d+)", street.text())]
    keepers = [p for p in keepers if os.path.exists(f"/proc/{p}")]
    with street.submission() as s:
        for p in keepers:
            os.kill(p, signal.SIGSTOP)
        got = []
        t = threading.Thread(target=lambda: got.append(submit(s, USER, USER, f"BURL {url} LAST")))
        t.start()
        t.join(0.5)
        for p in keepers:
            os.kill(p, signal.SIGKILL)
        t.join(30)
        assert got and got[0][0] == 451 and got[0][1].startswith(b"4.4.1"), got
        wait_for(lambda: submit(s, USER, USER, f"BURL {url} LAST")[0] == 250)


def test_a_client_that_goes_away_meanwhile_harms_nobody(street):
    imap = street.imap()
    uid = put(imap, LARGE)
    url = sign(imap, f"imap://u%40here.example@mail.example.com/INBOX/;uid={uid};urlauth=authuser")
    for _ in range(8):
        s = street.submission()
        s.send(f"MAIL FROM:<{USER}>\r\nRCPT TO:<{USER}>\r\nBURL {url}\r\nBURL {url} LAST\r\n")
        s.close()
    with street.submission() as s:
        assert submit(s, USER, USER, f"BURL {url} LAST")[0] == 250
    imap.logout()


@pytest.mark.skipif(os.geteuid() != 0, reason="operating-system users are made by root")
def test_an_operating_system_user_sends_what_lies_in_the_maildir():
    unix = Unix()
    try:
        with tutorial(unix) as house:
            address = f"{unix.name}@mail.example.com"
            with reader(house, unix.name, "geheim") as imap:
                uid = put(imap, b"Subject: of mine\r\n\r\nText.\r\n")
                url = sign(imap, f"imap://{unix.name}@mail.example.com/INBOX/;uid={uid};urlauth=submit+{unix.name}")
            s = smtplib.SMTP("127.0.0.1", house.ports["submission"], timeout=40)
            s.starttls(context=ssl_context())
            s.ehlo("client.example")
            s.login(unix.name, "geheim")
            got = submit(s, address, address, f"BURL {url} LAST")
            assert got[0] == 250, got
            got = submit(s, address, address, f"BURL {url[:-2]}00 LAST")
            assert got[0] == 554 and got[1].startswith(b"5.6.6"), got
            s.quit()

            def there():
                with reader(house, unix.name, "geheim") as imap:
                    return imap.select("INBOX")[1] == [b"2"]
            wait_for(there)
    finally:
        unix.remove()
