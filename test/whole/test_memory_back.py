# SPDX-License-Identifier: ISC
"""What a crowd of clients needed is not kept when they have left."""

import os
import pathlib
import re
import socket

import pytest
from kit import wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to look at the memory of the roles")
CROWD, BATCH = 300, 10


def memory(demo, role):
    texts = [pathlib.Path(f"/proc/{p['pid']}/smaps_rollup").read_text() for p in demo.processes() if p["role"] == role]
    return sum(int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) for text in texts)


def test_a_crowd_that_has_left_leaves_its_memory(own):
    demo = own("--set", "mail_max_userip_connections=0", "--set", "auth_failure_delay=0").start()
    context = demo.local()
    empty = memory(demo, "login")
    crowd = []
    for n in range(CROWD):                   # from many addresses, some at a time: passwords cost
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", demo.port("imaps")), 60, (f"127.0.1.{n % 200 + 1}", 0)),
                                server_hostname="mail.example.com")
        s.sendall(f"a LOGIN jack@example.com {demo.password}\r\nb SELECT INBOX\r\nc IDLE\r\n".encode())
        crowd.append(s)
        for one in crowd[-BATCH:] if n % BATCH == BATCH - 1 else []:
            said = b""
            while b"+ " not in said:
                more = one.recv(4096)
                assert more and b"a NO" not in said, said
                said += more
    full = memory(demo, "login")
    assert full > empty + 1500
    for s in crowd:
        s.close()
    wait_for(lambda: memory(demo, "login") < empty + (full - empty) / 3, 90)
