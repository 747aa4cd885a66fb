# SPDX-License-Identifier: ISC
"""What a letter itself asks of TLS (rfc8689), and sessions of TLS that are gone on with.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sending_requiretls.py
"""

import pathlib
import smtplib
import ssl
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import free_ports, wait_for
from proved import Authority, Host
from test_sending import empty, house, send


@pytest.fixture(scope="module")
def ca():
    with Authority() as a:
        yield a


@pytest.fixture(scope="module")
def stranger():
    with Authority("Stranger") as a:
        yield a


def sender(ca, host, **settings):
    return house(**{"relayhost": f"[localhost]:{host.port}", "smtp_host_lookup": "native", "inet_protocols": "ipv4", "smtp_mta_sts_CAfile": str(ca.cert),
                    "smtp_tls_CAfile": str(ca.cert), "smtp_tls_security_level": "may", **settings})


def submit(h, words):
    with smtplib.SMTP("127.0.0.1", h.ports["smtp"], timeout=60) as s:
        s.starttls(context=ssl._create_unverified_context())
        s.ehlo()
        assert s.has_extn("requiretls")
        s.sendmail("a@here.example", ["x@there.example"], "Subject: hello\n\nhello\n", mail_options=words)


@pytest.mark.parametrize("whose, offers, says", [
    ("ours", ("REQUIRETLS",), "status=sent"),
    ("ours", (), "dsn=5.7.30, status=bounced"),
    ("stranger's", ("REQUIRETLS",), "dsn=4.7.5, status=deferred (Server certificate not trusted"),
    (None, ("REQUIRETLS",), "TLS is required, but was not offered"),
])
def test_a_letter_that_requires_tls(ca, stranger, whose, offers, says):
    """rfc8689:4.2.1 a certificate that is trusted, and a host that will require it, too; else it waits or comes back."""
    cert, key = {"ours": ca, "stranger's": stranger}[whose].certificate("localhost") if whose else (None, None)
    with Host("127.0.0.1", free_ports(1)[0], cert, key, offers=offers) as host, sender(ca, host, smtpd_tls_security_level="may") as h:
        submit(h, ["REQUIRETLS"])
        wait_for(lambda: says in h.text())
        mail = [c for c in host.commands if c.startswith("MAIL")]
        assert (len(mail) > 0) == ("sent" in says) and all("REQUIRETLS" in c for c in mail)


@pytest.mark.parametrize("first", ["does not offer it", "is not trusted", "has no TLS", "is not there"])
def test_a_letter_that_requires_tls_goes_to_the_host_that_keeps_it(ca, stranger, first):
    """rfc8689:4.2.1: the steps are repeated with each host."""
    cert, key = (None, None) if first == "has no TLS" else (stranger if first == "is not trusted" else ca).certificate("localhost")
    port = free_ports(1)[0]
    with Host("127.0.0.1", free_ports(1)[0] if first == "is not there" else port, cert, key, offers=() if first == "does not offer it" else ("REQUIRETLS",)) as bad, \
            Host("127.0.0.1", free_ports(1)[0], *ca.certificate("localhost"), offers=("REQUIRETLS",)) as good, \
            sender(ca, good, relayhost=f"[localhost]:{port} [localhost]:{good.port}", smtpd_tls_security_level="may", minimal_backoff_time="300s") as h:
        submit(h, ["REQUIRETLS"])
        wait_for(lambda: good.got() == ["x@there.example"] and empty(h))
        assert not [c for c in bad.commands if c.startswith("MAIL")] and h.count("status=") == 1


def test_the_same_letter_without_it_goes(ca, stranger):
    with Host("127.0.0.1", free_ports(1)[0], *stranger.certificate("localhost")) as host, sender(ca, host, smtpd_tls_security_level="may") as h:
        submit(h, [])
        wait_for(lambda: empty(h))
        assert len(host.letters) == 1


def test_a_letter_that_would_rather_be_read(ca, stranger):
    """rfc8689:5 TLS-Required: No leaves out what the settings ask."""
    with Host("127.0.0.1", free_ports(1)[0], *stranger.certificate("localhost")) as host, sender(ca, host, smtp_tls_security_level="secure") as h:
        send(h, "x@there.example")
        wait_for(lambda: "Server certificate not trusted" in h.text())
        send(h, "y@there.example", text="TLS-Required: No\nSubject: hello\n\nhello\n")
        wait_for(lambda: host.got() == ["y@there.example"])


@pytest.mark.parametrize("timeout, expected", [("3600s", [False, True, True]), ("0", [False, False, False])])
def test_a_session_is_gone_on_with(ca, timeout, expected):
    with Host("127.0.0.1", free_ports(1)[0], *ca.certificate("localhost")) as host, \
            sender(ca, host, smtp_tls_session_cache_timeout=timeout, smtp_connection_cache_on_demand="no", smtp_tls_security_level="verify") as h:
        for i in range(len(expected)):
            send(h, f"x{i}@there.example")
            wait_for(lambda: len(host.letters) == i + 1 and empty(h))
        assert [reused for _, reused, _ in host.tls] == expected
        assert h.count("Verified TLS connection established to localhost") == len(expected)
