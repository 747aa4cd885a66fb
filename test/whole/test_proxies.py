# SPDX-License-Identifier: ISC
"""Who stands before us: HAProxy with the PROXY protocol, Postfix and swaks with XCLIENT and XFORWARD."""

import imaplib
import os
import pathlib
import shutil
import smtplib
import socket
import subprocess
import tempfile

import pytest
from house import House, free_ports, wait_for

LOCAL = "127.0.0.0/8"


@pytest.fixture
def place():
    place = pathlib.Path(tempfile.mkdtemp(prefix="mansio-proxies-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place, ignore_errors=True)


HAPROXY = """
global
    maxconn 200
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
listen smtp1
    bind 127.0.0.1:{smtp1}
    server s 127.0.0.1:{smtp} send-proxy
listen smtp2
    bind 127.0.0.1:{smtp2}
    server s 127.0.0.1:{smtp} send-proxy-v2 check check-send-proxy inter 200ms
listen imap2
    bind 127.0.0.1:{imap2}
    server s 127.0.0.1:{imap} send-proxy-v2
"""


@pytest.mark.skipif(not shutil.which("haproxy"), reason="no haproxy here")
def test_haproxy_tells_who_its_client_is(place):
    smtp1, smtp2, imap2 = free_ports(3)
    with House(**{"smtp/smtpd_upstream_proxy_protocol": "haproxy", "imap/login_upstream_proxy_protocol": "haproxy",
                  "mynetworks": "127.0.0.1/32"}) as house:
        house.at_work()
        (place / "haproxy.cfg").write_text(HAPROXY.format(smtp1=smtp1, smtp2=smtp2, imap2=imap2, **house.ports))
        proxy = subprocess.Popen(["haproxy", "-db", "-q", "-f", place / "haproxy.cfg"], stdin=subprocess.DEVNULL)
        try:
            for port in (smtp1, smtp2):
                wait_for(lambda: can_connect(port))
                for source, code in [("127.0.0.1", 250), ("127.0.0.9", 554)]:
                    with smtplib.SMTP("127.0.0.1", port, timeout=20, source_address=(source, 0)) as s:
                        s.ehlo("client.example")
                        s.mail("eva@example.org")
                        assert s.rcpt("somebody@elsewhere.example")[0] == code
            wait_for(lambda: can_connect(imap2))
            imaplib.IMAP4("127.0.0.1", imap2, timeout=20).logout()
            wait_for(lambda: "lip=" in house.text() and "rip=127.0.0.1" in house.text())
        finally:
            proxy.terminate()
            proxy.wait(20)
        assert "[127.0.0.9]" in house.text()
        # Who comes without a header is not served.
        with socket.create_connection(("127.0.0.1", house.ports["smtp"]), timeout=20) as s:
            s.sendall(b"EHLO x\r\n")
            with pytest.raises(OSError):
                if s.recv(100) == b"":
                    raise OSError


def can_connect(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
            return s.recv(4) != b""
    except OSError:
        return False


def test_swaks_says_xclient():
    with House(smtpd_authorized_xclient_hosts=LOCAL, mynetworks="192.0.2.0/24") as house:
        house.at_work()

        def swaks(address):
            return subprocess.run(["swaks", "-s", "127.0.0.1", "-p", str(house.ports["smtp"]), "-f", "eva@example.org",
                                   "-t", "somebody@elsewhere.example", "--quit-after", "RCPT", "--xclient-addr", address,
                                   "--xclient-name", "spike.example.org", "--xclient-proto", "ESMTP"],
                                  capture_output=True, text=True, timeout=60)
        assert swaks("192.0.2.7").returncode == 0
        refused = swaks("198.51.100.7")
        assert "554 5.7.1" in refused.stdout
        assert "from spike.example.org[198.51.100.7]" in house.text()


MASTER = """127.0.0.1:{port} inet n - n - - smtpd
 -o smtpd_proxy_filter=127.0.0.1:{smtp}
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
bounce unix - - n - 0 bounce
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("postfix"), reason="Postfix and root are needed")
def test_postfix_says_xforward(place):
    """Postfix's smtpd_proxy_filter passes letters on as they come, and tells by XFORWARD from whom."""
    import pwd
    port, = free_ports(1)
    with House(smtpd_authorized_xforward_hosts=LOCAL) as house:
        house.at_work()
        house.command("domain", "add", "example.com")
        house.command("account", "add", "jill@example.com", "--password-file", "/dev/stdin", input="secret-secret\n")
        for sub in ("etc", "spool", "data"):
            (place / sub).mkdir()
        os.chown(place / "data", pwd.getpwnam("postfix").pw_uid, 0)
        (place / "etc/main.cf").write_text(f"""compatibility_level = 3.6
queue_directory = {place}/spool
data_directory = {place}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
myhostname = proxy.example.org
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
smtpd_peername_lookup = no
maillog_file = {place}/spool/log
maillog_file_prefixes = /var, /dev/null, {place}
""")
        (place / "etc/master.cf").write_text(MASTER.format(port=port, smtp=house.ports["smtp"]))
        postfix = ["postfix", "-c", place / "etc"]
        subprocess.run([*postfix, "start"], check=True, capture_output=True, timeout=60)
        try:
            wait_for(lambda: can_connect(port))
            with smtplib.SMTP("127.0.0.1", port, timeout=30, source_address=("127.0.0.7", 0)) as s:
                s.sendmail("eva@example.org", ["jill@example.com"], "Subject: x\r\n\r\nHello.\r\n")
        finally:
            subprocess.run([*postfix, "stop"], capture_output=True, timeout=60)
        wait_for(lambda: "orig_client=unknown[127.0.0.7]" in house.text())
