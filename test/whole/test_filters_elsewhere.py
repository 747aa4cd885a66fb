# SPDX-License-Identifier: ISC
"""What hosts say and what becomes of letters, looked up in databases: as Postfix reads them with the same database; and a database
that is away or slow refuses nothing for good, loses nothing and sends nothing twice (R199, R402).

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_filters_elsewhere.py
"""

import os
import re
import shutil
import sqlite3

import pytest
from elsewhere import Program
from house import free_ports, wait_for
from kit import open_to_all
from test_sending import LETTER, Receiver, Sink, empty, house
from test_tables_dead import offer
from test_way_out_beside_postfix import LONG, as_main_cf, deliver

TO = "b@there.example"
PAUSE = {"minimal_backoff_time": "300s"}

# name -> (setting, what the database has, verb, what the next host says to it)
FILTERS = {
    "an answer is another": ("smtp_reply_filter", {"450 4.7.1 busy": "550 5.7.1 never"}, "RCPT", "450 4.7.1 Busy"),
    "it is asked for in lower case": ("smtp_reply_filter", {"450 4.7.1 Busy": "550 5.7.1 never"}, "RCPT", "450 4.7.1 Busy"),
    "of the greeting": ("smtp_reply_filter", {"554 no": "220 yes"}, "CONNECT", "554 no"),
    "of the last dot": ("smtp_reply_filter", {"554 not today": "454 4.3.0 not today"}, "END", "554 not today"),
    "each line by itself": ("smtp_reply_filter", {"550-5.7.1 one": "550-5.7.1 first", "550 5.7.1 two": "550 5.7.1 second"}, "MAIL", "550-5.7.1 one\r\n550 5.7.1 two"),
    "an end is another": ("smtp_delivery_status_filter", {"4.7.1 {said}": "5.7.1 never again"}, "RCPT", "450 4.7.1 busy"),
    "an end is put off": ("default_delivery_status_filter", {"5.1.1 {said}": "4.1.1 wait and see"}, "RCPT", "550 5.1.1 no such user"),
}


def tables_of(at, rows):
    with sqlite3.connect(at / "said.sqlite") as db:
        db.execute("CREATE TABLE said (k TEXT, v TEXT)")
        db.executemany("INSERT INTO said VALUES (?, ?)", rows.items())
    (at / "said.cf").write_text(f"dbpath = {at}/said.sqlite\nquery = SELECT v FROM said WHERE '%s' GLOB k\n")
    for path in at.iterdir():
        path.chmod(0o644)
    open_to_all(at / "said.cf")
    return f"sqlite:{at}/said.cf"


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("postfix"), reason="needs root and Postfix")
@pytest.mark.parametrize("case", FILTERS)
def test_R199_a_database_filters_as_in_postfix(case, tmp_path):
    setting, rows, at, answer = FILTERS[case]
    table = tables_of(tmp_path, {key.replace("{said}", "host * said: *"): value for key, value in rows.items()})
    told = {}
    for name in ("postfix", "ours"):
        with Sink(lambda verb, *_: answer if verb == at else None) as sink:
            settings = {setting: table, "transport_maps": f"inline:{{there.example=smtp:[127.0.0.1]:{sink.port}}}"}
            server = Receiver(as_main_cf({**settings, "smtp_tls_security_level": "none"}), ["smtp unix - - n - - smtp"]) if name == "postfix" \
                else house(**settings, **PAUSE)
            with server as s:
                deliver(s.port if name == "postfix" else s.ports["smtp"], "", [TO], LONG)
                wait_for(lambda: "status=" in (s.log() if name == "postfix" else s.text()), 60)
                text = s.log() if name == "postfix" else s.text()
            told[name] = re.search(r"to=<b@there\.example>.*?dsn=([\d.]+, status=\w+ \(.*\))", text).group(1)
    assert told["ours"] == told["postfix"]


PLACES = ["smtp_reply_filter", "smtp_delivery_status_filter", "default_delivery_status_filter", "slow/smtp_reply_filter", "lmtp_reply_filter", "lmtp_delivery_status_filter"]


@pytest.mark.parametrize("setting", PLACES)
def test_R402_a_dead_filter_puts_off_and_nothing_is_lost(setting):
    """The host refuses for good while the database is away: nobody hears of it, for the filter might have said otherwise."""
    port, lmtp = free_ports(1)[0], setting.startswith("lmtp")
    refuses = [True]
    with Sink(lambda verb, *_: "550 5.1.1 gone" if verb == "RCPT" and refuses else None, lmtp=lmtp) as sink:
        transport = "lmtp:inet:127.0.0.1:%d" if lmtp else "slow:[127.0.0.1]:%d" if "/" in setting else "smtp:[127.0.0.1]:%d"
        with house(transport_maps="inline:{there.example=" + transport % sink.port + "}", **{"slow/transport": "smtp"} if "/" in setting else {},
                   **{setting: f"socketmap:inet:127.0.0.1:{port}:x"}) as h:
            assert offer(h, TO, LETTER.format("x")) == 250
            wait_for(lambda: "status=deferred" in h.text(), 60)
            assert "dsn=4.3.0" in h.text() and sink.got() == []
            refuses.clear()
            program = Program({}, "socketmap", port)
            try:
                wait_for(lambda: sink.got() and empty(h), 90)
                assert sink.got() == [TO] and program.asked and "status=bounced" not in h.text()
            finally:
                program.close()


def test_what_a_host_has_taken_is_not_sent_again_though_the_filter_is_away():
    port = free_ports(1)[0]
    with Sink() as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", smtp_delivery_status_filter=f"socketmap:inet:127.0.0.1:{port}:x") as h:
        assert offer(h, TO, LETTER.format("x")) == 250
        wait_for(lambda: empty(h), 60)
        assert sink.got() == [TO] and "a delivery status filter cannot be asked" in h.text()


def test_the_filter_ends_between_the_letter_and_the_answer():
    """A host that has said 250 to the last dot has the letter: the dead database does not make it two."""
    program = Program({}, "socketmap")

    def reply(verb, *_):
        if verb == "END":
            program.close()

    with Sink(reply) as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", smtp_reply_filter=f"socketmap:inet:127.0.0.1:{program.port}:x") as h:
        assert offer(h, TO, LETTER.format("x")) == 250
        wait_for(lambda: empty(h), 90)
        assert sink.got() == [TO] and len(sink.letters) == 1
        assert b"354 go" in program.asked and "status=deferred" not in h.text()


def test_the_host_goes_while_its_last_word_is_asked_about():
    program = Program({b"250 2.0.0 mine now": b"250 2.0.0 filtered"}, "socketmap")
    program.delay = 0.3

    class Leaves(Sink):
        def say(self, f, text):
            super().say(f, text)
            if text.startswith("250 2.0.0 mine now"):
                raise OSError

    with Leaves(lambda verb, *_: "250 2.0.0 mine now" if verb == "END" else None) as sink, \
            house(relayhost=f"[127.0.0.1]:{sink.port}", smtp_reply_filter=f"socketmap:inet:127.0.0.1:{program.port}:x", **PAUSE) as h:
        try:
            assert offer(h, TO, LETTER.format("x")) == 250
            wait_for(lambda: "status=" in h.text(), 90)
            assert "status=sent (250 2.0.0 filtered)" in h.text(), h.text()
        finally:
            program.close()


def test_many_letters_with_a_slow_filter_go_once_each():
    program = Program({}, "socketmap")
    program.delay = 0.05
    with Sink() as sink, house(relayhost=f"[127.0.0.1]:{sink.port}", smtp_reply_filter=f"socketmap:inet:127.0.0.1:{program.port}:x",
                               smtp_delivery_status_filter=f"socketmap:inet:127.0.0.1:{program.port}:x", table_cache_time="0") as h:
        try:
            with h.smtp() as s:
                for i in range(10):
                    s.sendmail("a@here.example", f"b{i}@there.example", LETTER.format(i))
            wait_for(lambda: empty(h), 120)
            assert sorted(sink.got()) == sorted(f"b{i}@there.example" for i in range(10))
        finally:
            program.close()
