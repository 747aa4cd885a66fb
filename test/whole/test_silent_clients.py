# SPDX-License-Identifier: ISC
"""All connections are taken by hosts that say nothing: letters of others still come in, and nobody who speaks is sent away for them."""

import smtplib
import socket
import threading

import pytest

from house import House, wait_for

MOST = 20


class Flood:
    """Hosts 127.0.0.N that open connections, as many as they get, and come again as soon as one is closed; `says` is all they ever say."""

    def __init__(self, port, hosts, each, says=b""):
        self.port, self.says, self.end, self.opened = port, says, threading.Event(), 0
        self.threads = [threading.Thread(target=self.one, args=(host,), daemon=True) for host in hosts for _ in range(each)]
        for t in self.threads:
            t.start()

    def one(self, host):
        while not self.end.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), 20, source_address=(host, 0)) as s:
                    self.opened += 1
                    if self.says:
                        s.sendall(self.says)
                    s.settimeout(0.2)
                    while not self.end.is_set():
                        try:
                            if not s.recv(4096):
                                break
                        except TimeoutError:
                            pass
            except OSError:
                pass
            self.end.wait(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end.set()
        for t in self.threads:
            t.join(20)


@pytest.fixture
def house():
    with House(smtpd_connection_limit=str(MOST), receiver_processes="1", smtpd_client_connection_count_limit="0", dns_resolver="none") as h:
        h.command("domain", "add", "example.com")
        h.command("account", "add", "jill@example.com", input="secret\n")
        yield h


def letter(house, source):
    with smtplib.SMTP("127.0.0.1", house.ports["smtp"], timeout=60, source_address=(source, 0)) as s:
        assert s.sendmail("a@out.example", ["jill@example.com"], "Subject: by\r\n\r\nx\r\n") == {}


@pytest.mark.parametrize("says", [b"", b"EHLO silent.example\r\n", b"EHLO x.example\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<jill@example.com>\r\nDATA\r\n"],
                         ids=["nothing", "EHLO", "DATA and no letter"])
def test_letters_of_others_come_in_while_ten_silent_hosts_take_all_connections(house, says):
    with Flood(house.ports["smtp"], [f"127.0.0.{n}" for n in range(11, 21)], 6, says) as flood:
        wait_for(lambda: flood.opened > 3 * MOST)
        for n in range(10):
            letter(house, f"127.0.1.{n % 3 + 1}")
        wait_for(lambda: house.count("status=sent") == 10)
    assert house.count("gives way to others") >= 1


def test_a_host_that_speaks_keeps_its_connection(house):
    """One that has one connection and says something now and then is not sent away for those that have more."""
    with smtplib.SMTP("127.0.0.1", house.ports["smtp"], timeout=60, source_address=("127.0.1.1", 0)) as s:
        s.ehlo("client.example")
        with Flood(house.ports["smtp"], ["127.0.0.11", "127.0.0.12"], 30) as flood:
            wait_for(lambda: flood.opened > 5 * MOST)
            for n in range(5):
                letter(house, "127.0.1.2")
                assert s.sendmail("a@out.example", ["jill@example.com"], "Subject: by\r\n\r\nx\r\n") == {}
    assert house.count("gives way to others") >= 1
    assert "from unknown[127.0.1." not in "".join(line for line in house.text().splitlines() if "gives way" in line)


def test_one_host_that_has_them_all_gives_way_and_gets_no_more(house):
    """Its own newcomers are sent away with 421; those of others come in."""
    held = [socket.create_connection(("127.0.0.1", house.ports["smtp"]), 20, source_address=("127.0.0.11", 0)) for _ in range(MOST)]
    for s in held:
        assert s.recv(4)[:3] == b"220"
    with socket.create_connection(("127.0.0.1", house.ports["smtp"]), 20, source_address=("127.0.0.11", 0)) as s:
        assert s.recv(400).startswith(b"421 4.3.2")
    letter(house, "127.0.1.1")
    said = [s.recv(4000) for s in held[:1]]
    assert b"".join(said)
    assert house.count("gives way to others") == 1
    for s in held:
        s.close()
