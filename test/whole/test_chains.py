# SPDX-License-Identifier: ISC
"""A certificate that cannot be shown: config check and reload say so, and what was shown before is shown on."""

import os
import pathlib
import signal
import ssl
import subprocess

import pytest
from house import House, make_certificate

SAYS = {
    "no certificate": ({"smtpd_tls_cert_file": "{d}/rubbish"}, "certificate {d}/rubbish: there is none in it"),
    "not there": ({"smtpd_tls_cert_file": "{d}/nowhere"}, "certificate {d}/nowhere: No such file or directory"),
    "a directory": ({"smtpd_tls_cert_file": "{d}"}, "certificate {d}: Is a directory"),
    "of another key": ({"smtpd_tls_cert_file": "{d}/other-cert.pem"},
                       "certificate {d}/other-cert.pem: the private key in {d}/mail.example.com-key.pem is that of another"),
    "no key": ({"smtpd_tls_key_file": "{d}/rubbish"}, "private key {d}/rubbish: there is none in it that can be used"),
    "of one listener": ({"imaps/smtpd_tls_cert_file": "{d}/rubbish"}, "certificate {d}/rubbish: there is none in it"),
    "together, of another key": ({"smtpd_tls_chain_files": "{d}/other-key.pem {d}/mail.example.com-cert.pem"},
                                 "certificate {d}/other-key.pem: the private key in {d}/other-key.pem is that of another"),
    "of a table": ({"tls_server_sni_maps": "inline:{{a.example={d}/rubbish}}"}, "private key {d}/rubbish: there is none in it that can be used"),
    "of a table elsewhere": ({"tls_server_sni_maps": "socketmap:inet:127.0.0.1:1:x"}, "certificates are read before anybody asks for one"),
    "of senders": ({"smtp_tls_cert_file": "{d}/other-cert.pem", "smtp_tls_key_file": "{d}/mail.example.com-key.pem"},
                   "certificate {d}/other-cert.pem: the private key in {d}/mail.example.com-key.pem is that of another"),
}


@pytest.fixture(scope="module")
def house():
    with House(dns_resolver="none") as h:
        make_certificate(h.directory, "other")
        (h.directory / "rubbish").write_text("this is no certificate\n")
        yield h


def shown(h, port="imaps"):
    """As openssl sees it."""
    pem = ssl.get_server_certificate(("127.0.0.1", h.ports[port]))
    return subprocess.run(["openssl", "x509", "-noout", "-subject"], input=pem, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("what", SAYS)
def test_a_certificate_that_cannot_be_shown_is_told_of_and_the_one_in_force_stays(house, what):
    settings, words = SAYS[what]
    before = dict(house.settings)
    house.write_settings(**{n: v.format(d=house.directory) for n, v in settings.items()})
    try:
        for command in (["config", "check"], ["reload"]):
            done = house.command(*command, check=False)
            assert done.returncode == 1 and words.format(d=house.directory) in done.stderr, (done.stdout, done.stderr)
        os.kill(house.process.pid, signal.SIGHUP)
        assert "mail.example.com" in shown(house) and "mail.example.com" in shown(house, "submissions") and "there is no TLS" not in house.text()
    finally:
        house.settings = before
        house.write_settings()
    assert house.command("reload").returncode == 0


def test_of_a_directory_that_others_write_it_is_warned_alone(house):
    """One of many names that is not right keeps nobody from a reload."""
    live = house.directory / "live" / "a.example"
    live.mkdir(parents=True)
    cert, key = make_certificate(house.directory, "a.example")
    (live / "fullchain.pem").symlink_to(cert)
    (live / "privkey.pem").symlink_to(house.directory / "other-key.pem")
    house.write_settings(tls_certificate_directories=str(live.parent))
    for command in (["config", "check"], ["reload"]):
        done = house.command(*command)
        assert f"certificate {live}/fullchain.pem: the private key in {live}/privkey.pem is that of another" in done.stderr
    (live / "privkey.pem").unlink()
    (live / "privkey.pem").symlink_to(key)
    done = house.command("config", "check")
    assert done.stderr == "" and "is as it should be" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_who_may_not_read_a_key_is_not_told_that_it_is_wrong(house):
    place = pathlib.Path(house.directory)
    modes = place.stat().st_mode, house.config.stat().st_mode
    place.chmod(0o755)
    try:
        done = house.command("config", "check", check=False, user="nobody")
        assert "private key" not in done.stderr, done.stderr
    finally:
        place.chmod(modes[0])
