# SPDX-License-Identifier: ISC
"""Aliases that lead to very many, to nobody, and to what is no address."""

import json
import sqlite3
import time

import pytest

from house import House, free_ports, wait_for
from kit import open_to_all
from test_sending import Sink

LETTER = "Subject: x\r\n\r\nbody\r\n"


def settings(port, **more):
    return {"mydestination": "here.example", "mynetworks": "127.0.0.0/8", "relayhost": f"[127.0.0.1]:{port}",
            "minimal_backoff_time": "1s", "maximal_backoff_time": "1s", **more}


@pytest.mark.parametrize("how", ["include", "line"])
def test_a_list_of_a_hundred_thousand(tmp_path, how):
    """By :include:, and in one line of the table; taken at RCPT, expanded once, each one only."""
    members, aliases = tmp_path / "members", tmp_path / "aliases"
    everybody = [f"m{i}@far{i % 7}.example" for i in range(100000)] + ["m1@far1.example"]
    members.write_text("".join(f"{m}\n" for m in everybody))
    aliases.write_text(f"all: :include:{members}\n" if how == "include" else "all: " + ", ".join(everybody) + "\n")
    with Sink() as sink, House(alias_maps=f"texthash:{aliases}", default_destination_recipient_limit="1000", **settings(sink.port)) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@one.example", ["all@here.example"], LETTER)
        wait_for(lambda: "empty" in house.command("queue", "list").stdout, 300)
        to = [c for c in sink.commands if c.startswith("RCPT")]
        assert len(to) == 100000 and len(set(to)) == 100000


def test_many_long_lists_at_once_need_no_more_memory_than_two(tmp_path):
    """Ten letters to lists of a hundred thousand bring nobody down, and others are heard meanwhile."""
    (tmp_path / "members").write_text("".join(f"m{i}@far.example\n" for i in range(100000)))
    (tmp_path / "aliases").write_text("".join(f"all{n}: :include:{tmp_path}/members\n" for n in range(10)))
    with House(alias_maps=f"texthash:{tmp_path}/aliases", defer_transports="smtp", **settings(1)) as house:
        def clerk():
            return next(r for r in house.status() if r["role"] == "clerk")
        for n in range(10):
            with wait_for(house.smtp) as s:
                s.sendmail("ann@one.example", [f"all{n}@here.example"], LETTER)
        peak, end = clerk()["memory_kib"], time.monotonic() + 120
        while peak < 60000 or clerk()["memory_kib"] > 40000:
            peak = max(peak, clerk()["memory_kib"])
            assert time.monotonic() < end and peak < 450000, peak
            with house.smtp() as s:
                s.ehlo()
                s.mail("ann@one.example")
                assert s.rcpt("somebody@far.example")[0] == 250
            time.sleep(0.05)
        assert clerk()["restarts"] == 0


@pytest.mark.parametrize("count, limit, words", [
    (1001, "1000", "5.2.4 <all@virtual.example>: Recipient address rejected: the alias leads to more than 1000 addresses (virtual_alias_expansion_limit)"),
    (1001, "2000", None),
])
def test_a_limit_is_told_by_its_name(tmp_path, count, limit, words):
    virtual = tmp_path / "virtual"
    virtual.write_text("all@virtual.example " + ", ".join(f"m{i}@far.example" for i in range(count)) + "\n")
    with House(virtual_alias_domains="virtual.example", virtual_alias_maps=f"texthash:{virtual}", virtual_alias_expansion_limit=limit, **settings(1)) as house:
        with wait_for(house.smtp) as s:
            s.ehlo()
            s.mail("ann@one.example")
            code, text = s.rcpt("all@virtual.example")
            assert code == (554 if words else 250) and (words is None or words in text.decode())


@pytest.mark.parametrize("targets, code", [("no@@address, good@far.example", 250), ("no@@address", 451)])
def test_a_target_that_is_no_address_is_left_out_or_waited_for(tmp_path, targets, code):
    virtual = tmp_path / "virtual"
    virtual.write_text(f"info@virtual.example {targets}\n")
    with Sink() as sink, House(virtual_alias_domains="virtual.example", virtual_alias_maps=f"texthash:{virtual}", **settings(sink.port)) as house:
        with wait_for(house.smtp) as s:
            s.ehlo()
            s.mail("ann@one.example")
            assert s.rcpt("info@virtual.example")[0] == code
            if code == 250:
                s.data(LETTER)
                wait_for(lambda: sink.letters)
        assert "is not an address" in house.text()


def test_a_broken_address_is_bounced_alone():
    """It came quoted, with a tab in it; the others of the letter get it."""
    with Sink() as sink, House(**settings(sink.port)) as house:
        with wait_for(house.smtp) as s:
            s.ehlo()
            s.mail("ann@one.example")
            codes = [s.docmd(f"RCPT TO:<{to}>")[0] for to in ("a@far.example", '"x\ty"@far.example', '"x\\\ty"@far.example', "b@far.example")]
            assert codes[0] == codes[3] == 250
            s.data(LETTER)
        wait_for(lambda: {"RCPT TO:<a@far.example>", "RCPT TO:<b@far.example>"} <= set(sink.commands))
        wait_for(lambda: "empty" in house.command("queue", "list").stdout)


def test_each_name_of_a_long_list_is_asked_of_a_database(tmp_path):
    """3000 members of an alias, each of them looked for in SQLite; one of them is somebody else there."""
    open_to_all(tmp_path)
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("CREATE TABLE a(k text, v text)")
        db.execute("INSERT INTO a VALUES('m7@far.example', 'seven@else.example, eight@else.example')")
    (tmp_path / "a.cf").write_text(f"dbpath = {tmp_path}/a.db\nquery = SELECT v FROM a WHERE k = '%s'\n")
    for name in ("a.db", "a.cf"):
        (tmp_path / name).chmod(0o644)
    (tmp_path / "aliases").write_text("all: " + ", ".join(f"m{i}@far.example" for i in range(3000)) + "\n")
    with Sink() as sink, House(alias_maps=f"texthash:{tmp_path}/aliases", virtual_alias_maps=f"sqlite:{tmp_path}/a.cf",
                               default_destination_recipient_limit="1000", **settings(sink.port)) as house:
        with wait_for(house.smtp) as s:
            s.sendmail("ann@one.example", ["all@here.example"], LETTER)
        wait_for(lambda: "empty" in house.command("queue", "list").stdout, 300)
        to = {c.split("<")[1].split(">")[0] for c in sink.commands if c.startswith("RCPT")}
        assert to == {f"m{i}@far.example" for i in range(3000) if i != 7} | {"seven@else.example", "eight@else.example"}
        assert "status=deferred" not in house.text()
