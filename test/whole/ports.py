# SPDX-License-Identifier: ISC
"""Ports for the servers of a test.

Whoever asks the kernel for a free port and closes it again may find it taken when its server comes to listen: by the near end of
somebody's connection, or by another test.  So each process that runs tests has a range of its own, below those that the kernel gives
away, claimed by a name that lasts as long as the process, and goes through it in turn."""

import itertools
import os
import secrets
import socket

SIZE = 500
RANGES = [*range(10000, 20000, SIZE), *range(22000, 31000, SIZE)]

_claim = None
_turn = None


def _mine():
    """A range that no other process has, in turn for ever; a child that was forked asks for its own."""
    global _claim, _turn
    if _claim is None or _claim[0] != os.getpid():
        first = secrets.randbelow(len(RANGES))
        for start in RANGES[first:] + RANGES[:first]:
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind(f"\0mansio-test-ports-{start}")
            except OSError:
                claim.close()
                continue
            _claim, _turn = (os.getpid(), claim), itertools.cycle(range(start, start + SIZE))
            return _turn
        raise RuntimeError("every range of ports is claimed: which tests do still run?")
    return _turn


def _free(port):
    """Nobody listens on it, and nobody is bound to it; a connection that has just ended is no obstacle."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as s:
            if kind == socket.SOCK_STREAM:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("", port))
            except OSError:
                return False
    return True


def free_ports(count):
    turn, found = _mine(), []
    for port in itertools.islice(turn, SIZE):
        if _free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"no {count} free ports")


def free_port():
    return free_ports(1)[0]
