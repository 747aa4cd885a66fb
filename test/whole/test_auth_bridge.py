# SPDX-License-Identifier: ISC
"""ejabberd beside us lets our users in: its external authentication is answered at our auth_socket.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_auth_bridge.py
"""

import base64
import os
import pathlib
import pwd
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import BINARY, PATIENCE, free_ports, wait_for
from test_guard import imap_login
from test_roles import PASSWORD, Village

LIBRARIES = "/usr/lib/x86_64-linux-gnu"


@pytest.fixture
def place():
    """A directory other users may pass."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="mab-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


class Bridge:
    """The command as ejabberd starts it, asked by hand."""

    def __init__(self, path):
        self.process = subprocess.Popen([BINARY, "auth", "bridge", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ask(self, question):
        raw = question if isinstance(question, bytes) else question.encode()
        self.process.stdin.write(struct.pack(">H", len(raw)) + raw)
        self.process.stdin.flush()
        answer = self.process.stdout.read(4)
        assert answer in (b"\0\2\0\0", b"\0\2\0\1")
        return answer[3] == 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0
        self.process.stdout.close()
        self.process.stderr.close()


def test_questions_of_external_authentication(place):
    path = place / "auth"
    with Village("jack", auth_socket=path, auth_socket_mode="0666", auth_failure_delay="0", auth_failure_network_limit="0", auth_failure_account_limit="0") as house:
        wait_for(path.exists)
        house.command("account", "add", "colon@example.com", "--password-file", "-", input="a:b:c\n")
        with Bridge(path) as b:
            assert b.ask(f"auth:jack:example.com:{PASSWORD}")
            assert not b.ask("auth:jack:example.com:wrong")
            assert b.ask("auth:colon:example.com:a:b:c"), "a password may have colons"
            assert not b.ask(f"auth:jack:elsewhere.example:{PASSWORD}")
            assert b.ask("isuser:jack:example.com")
            for nothing in ["", "auth", "auth:", "auth::example.com:x", "auth:jack", "auth:jack:example.com", "isuser::example.com", "setpass:jack:example.com:new",
                            "tryregister:new:example.com:x", "removeuser:jack:example.com", "removeuser3:jack:example.com:x", "x" * 65535,
                            "auth:jack\0:example.com:x", f"auth:jack:example.com:{PASSWORD}\0", b"auth:\xff\xfe:example.com:x", f"auth:jill\tx:example.com:{PASSWORD}"]:
                assert not b.ask(nothing), nothing
            assert imap_login(house, PASSWORD) is True, "it is as it was"
            house.command("account", "suspend", "jack@example.com")
            assert not b.ask(f"auth:jack:example.com:{PASSWORD}")
            house.command("account", "resume", "jack@example.com")
            # The server is started anew; the bridge finds it again.
            house.stop()
            assert not b.ask(f"auth:jack:example.com:{PASSWORD}")
            house.start()
            wait_for(lambda: b.ask(f"auth:jack:example.com:{PASSWORD}"))
    assert subprocess.run([BINARY, "auth", "bridge"], capture_output=True).returncode == 2


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("erl") or not list(pathlib.Path(LIBRARIES).glob("ejabberd-*")), reason="no ejabberd")
def test_R263_ejabberd_lets_our_users_in(place):
    path, port = place / "auth", free_ports(1)[0]
    account = pwd.getpwnam("ejabberd")
    own = place / "ejabberd"
    own.mkdir()
    (own / "ejabberd.yml").write_text(f"""
hosts: [example.com]
auth_method: [external]
extauth_program: "{BINARY} auth bridge {path}"
extauth_pool_size: 1
auth_use_cache: false
listen:
  - port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    starttls: false
modules: {{}}
""")
    os.chown(own, account.pw_uid, account.pw_gid)

    def become():
        os.setgroups([])
        os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
        os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)

    def login(user, password):
        """rfc6120:6  What is said to AUTH PLAIN."""
        with socket.create_connection(("127.0.0.1", port), timeout=6 * PATIENCE) as s:
            def until(mark, text):
                while not any(m in text for m in mark):
                    piece = s.recv(4096)
                    assert piece, text
                    text += piece
                return text
            s.sendall(b"<?xml version='1.0'?><stream:stream to='example.com' xmlns='jabber:client' "
                      b"xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>")
            assert b"<mechanism>PLAIN</mechanism>" in until([b"</stream:features>"], b"")
            proof = base64.b64encode(f"\0{user}\0{password}".encode())
            s.sendall(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + proof + b"</auth>")
            return b"<success" in until([b"<success", b"</failure>"], b"")

    with Village("jack", auth_socket=path, auth_socket_mode="0600", auth_socket_owner="ejabberd", auth_failure_delay="0") as house:
        wait_for(path.exists)
        # erl keeps its arguments and wants a home; it is alone, with no name on the network.
        ejabberd = subprocess.Popen(["erl", "-noinput", "-mnesia", "dir", f'"{own}/db"', "-s", "ejabberd"], cwd=own, preexec_fn=become, start_new_session=True,
                                    env={**os.environ, "HOME": str(own), "ERL_LIBS": LIBRARIES, "EJABBERD_CONFIG_PATH": f"{own}/ejabberd.yml",
                                         "EJABBERD_LOG_PATH": f"{own}/log", "ERL_CRASH_DUMP": "/dev/null"},
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            def there():
                assert ejabberd.poll() is None
                with socket.socket() as s:
                    return s.connect_ex(("127.0.0.1", port)) == 0
            wait_for(there, 1500)          # Erlang takes a minute of processor time, which on a busy machine is many of the clock
            assert login("jack", PASSWORD)
            assert not login("jack", "wrong")
            assert not login("nobody", PASSWORD)
            app = house.command("account", "app-password", "add", "jack@example.com", "talk", "--protocols", "other").stdout.strip()
            assert login("jack", app)
            rows = house.command("auth", "failures", "--account", "jack@example.com").stdout
            assert "password mismatch" in rows
        finally:
            ejabberd.kill()
            ejabberd.wait()
