# SPDX-License-Identifier: ISC
"""mansio doctor: whether letters can leave this machine.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_doctor.py
"""

import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import BINARY, free_ports
from test_sending import Sink, names  # noqa: F401


def doctor(directory, *words, **settings):
    config = directory / "main.cf"
    config.write_text("".join(f"{n} = {v}\n" for n, v in {"myhostname": "mail.example.com", "mail_directory": directory / "mail", "dns_validation": "no", **settings}.items()))
    done = subprocess.run([BINARY, "-c", config, "doctor", *words], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def test_R269_the_exchangers_of_others_are_reached(tmp_path, names):  # noqa: F811
    """plain.example is 127.0.0.5, four.example has four exchangers, the first two are not there."""
    port = free_ports(1)[0]
    with Sink(host="127.0.0.5", port=port) as sink:
        status, said = doctor(tmp_path, "--to", "plain.example", dns_resolver=f"127.0.0.1:{names}", smtp_tcp_port=port)
        assert status == 0 and f"right    outbound     plain.example[127.0.0.5]:{port} lets us begin" in said, said
        assert sink.commands == ["EHLO mail.example.com", "QUIT"] or sink.commands == ["EHLO mail.example.com"]


@pytest.mark.parametrize("reply, says", [
    (None, "Nobody is reached at port"),
    ("554 5.7.1 no dynamic addresses here", "Hosts greet us with a no"),
], ids=["blocked", "refused"])
def test_R269_a_port_that_is_blocked_and_hosts_that_take_nothing_from_homes_are_told_of(tmp_path, names, reply, says):  # noqa: F811
    port = free_ports(1)[0]
    if reply is None:
        status, said = doctor(tmp_path, "--to", "plain.example", dns_resolver=f"127.0.0.1:{names}", smtp_tcp_port=port)
    else:
        with Sink(lambda verb, *_: reply if verb == "CONNECT" else None, host="127.0.0.5", port=port):
            status, said = doctor(tmp_path, "--to", "plain.example", dns_resolver=f"127.0.0.1:{names}", smtp_tcp_port=port)
        assert reply in said
    assert status == 1 and says in said and "relayhost = [smtp.provider.example]:587" in said, said


def test_R269_a_relay_host_is_what_must_be_reached(tmp_path, names):  # noqa: F811
    with Sink() as sink:
        status, said = doctor(tmp_path, dns_resolver=f"127.0.0.1:{names}", relayhost=f"[127.0.0.1]:{sink.port}")
        assert status == 0 and sink.connections == 1, said
    status, said = doctor(tmp_path, dns_resolver=f"127.0.0.1:{names}", relayhost=f"[127.0.0.1]:{free_ports(1)[0]}")
    assert status == 1 and "The relay host does not take them" in said, said


def test_R269_without_names_nothing_is_known(tmp_path):
    assert doctor(tmp_path, "--to", "plain.example", dns_resolver=f"127.0.0.1:{free_ports(1)[0]}", dns_timeout="1s")[0] == 2
    assert doctor(tmp_path, "--to", "plain.example", dns_resolver="none")[0] == 2
    assert doctor(tmp_path, "something", dns_resolver="none")[0] == 2


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q", *sys.argv[1:]]))
