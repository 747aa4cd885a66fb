# SPDX-License-Identifier: ISC
"""Logging in at other hosts: Postfix with Dovecot's SASL, and ourselves where the login is bound to TLS.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sending_logins.py
"""

import http.server
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import House, free_ports, wait_for
from test_sending import Receiver, Sink, empty, house, send


@pytest.fixture(scope="module")
def dovecot():
    """Postfix that takes letters of those alone who log in, and Dovecot that says who they are: by PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256, and
    by tokens that a server of ours knows."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="logins-dovecot-"))
    home.chmod(0o755)

    class Tokens(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            good = "goodtoken" in self.path
            body = json.dumps({"active": good, "username": "jack", "user": "jack"} if good else {"error": "invalid_token"}).encode()
            self.send_response(200 if good else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass
    tokens = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
    threading.Thread(target=tokens.serve_forever, daemon=True).start()
    (home / "mail").mkdir()
    (home / "users").write_text("jack:{PLAIN}way-station\n")
    (home / "oauth2").write_text(f"tokeninfo_url = http://127.0.0.1:{tokens.server_address[1]}/?access_token=\nintrospection_mode = get\n"
                                 f"introspection_url = http://127.0.0.1:{tokens.server_address[1]}/?access_token=\nusername_attribute = username\n"
                                 "active_attribute = active\nactive_value = true\n")
    (home / "dovecot.conf").write_text(f"""protocols =
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
auth_verbose = yes
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = dovecot
default_login_user = dovenull
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 xoauth2 oauthbearer
service auth {{
  unix_listener {home}/auth {{
    mode = 0666
  }}
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {home}/oauth2
}}
passdb {{
  driver = passwd-file
  args = {home}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={home}/mail/%u
}}
""")
    process = subprocess.Popen(["dovecot", "-F", "-c", home / "dovecot.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    wait_for((home / "auth").exists)
    with Receiver() as there:
        conf = there.home / "etc/main.cf"
        conf.write_text(conf.read_text().replace("reject_unauth_destination", "permit_sasl_authenticated, reject") + f"""
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {home}/auth
smtpd_sasl_security_options = noanonymous
""")
        subprocess.run(["postfix", "-c", there.home / "etc", "reload"], capture_output=True, check=True, timeout=60)
        yield there
    process.terminate()
    process.wait(20)
    tokens.shutdown()
    shutil.rmtree(home, ignore_errors=True)


def sender(port, mechanisms, password="way-station", **more):
    return house(**{"relayhost": f"[127.0.0.1]:{port}", "smtp_sasl_auth_enable": "yes", "smtp_sasl_security_options": "noanonymous",
                    "smtp_sasl_password_maps": f"inline:{{[127.0.0.1]:{port}=jack:{password}}}", "smtp_sasl_mechanism_filter": mechanisms,
                    "minimal_backoff_time": "300s", "maximal_backoff_time": "300s", **more})


@pytest.mark.parametrize("mechanism, password", [
    ("PLAIN", "way-station"), ("LOGIN", "way-station"), ("CRAM-MD5", "way-station"), ("SCRAM-SHA-1", "way-station"), ("SCRAM-SHA-256", "way-station"),
    ("XOAUTH2", "goodtoken"), ("OAUTHBEARER", "goodtoken"), ("", "way-station"),
], ids=lambda x: x)
def test_R172_each_mechanism_with_dovecot(dovecot, mechanism, password):
    with sender(dovecot.port, mechanism, password) as h:
        send(h, ["b@there.example"], sender="")
        wait_for(lambda: h.count("status="))
        assert re.search(r"to=<b@there.example>.*status=sent \(250", h.text()), h.text()[-600:] + dovecot.log()[-600:]
        wait_for(lambda: re.findall(r"sasl_method=([A-Z0-9-]+), sasl_username=jack", dovecot.log())[-1] == (mechanism or "SCRAM-SHA-256"))


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"])
def test_wrong_passwords_and_tokens_keep_the_mail(dovecot, mechanism):
    with sender(dovecot.port, mechanism, "wrong") as h:
        send(h, ["wrong@there.example"], sender="")
        wait_for(lambda: h.count("status=deferred (SASL authentication failed; server 127.0.0.1[127.0.0.1] said: 535"))
        assert "to=<wrong@there.example>" not in dovecot.log() and "status=bounced" not in h.text()


def test_after_a_reload_a_relayhost_that_was_put_off_is_tried(dovecot):
    """As with Postfix, whose reload begins a new qmgr: the login has just been mended, and nobody waits for what was found before."""
    with sender(dovecot.port, "PLAIN", "wrong", initial_destination_concurrency="1") as h:
        send(h, ["first@there.example"], sender="")
        wait_for(lambda: h.count("status=deferred (SASL authentication failed") == 1)
        send(h, ["second@there.example"], sender="")
        wait_for(lambda: re.search(r"to=<second@there\.example>.*delivery temporarily suspended", h.text()))
        h.config.write_text(h.config.read_text().replace("jack:wrong", "jack:way-station"))
        h.command("reload")
        send(h, ["third@there.example"], sender="")
        wait_for(lambda: re.search(r"to=<third@there\.example>.*status=", h.text()))
        assert re.search(r"to=<third@there\.example>.*status=sent \(250", h.text()), h.text()[-800:]


def test_R273_no_mechanism_is_left():
    with Sink(offers=("AUTH ANONYMOUS GSSAPI NTLM",)) as sink, sender(sink.port, "") as h:
        send(h, ["b@there.example"])
        wait_for(lambda: "SASL authentication failed; cannot authenticate to server 127.0.0.1[127.0.0.1]: no mechanism available" in h.text())
        assert not any(c.startswith("AUTH") for c in sink.commands)


@pytest.mark.parametrize("mode, warned", [(0o644, True), (0o600, False)])
def test_R272_a_file_of_passwords_that_everybody_may_read_is_told_of(tmp_path, mode, warned):
    table = tmp_path / "sasl_passwd"
    table.write_text("[smtp.there.example] jack:way-station\n")
    table.chmod(mode)
    with house(smtp_sasl_auth_enable="yes", smtp_sasl_password_maps=f"texthash:{table}") as h:
        assert (f"smtp_sasl_password_maps: {table} has passwords, and everybody here may read it: chmod 600 {table}" in h.said() + h.text()) == warned
        assert "way-station" not in h.text()


@pytest.mark.parametrize("soft", ["yes", "no"])
def test_a_refused_login_is_not_tried_again_with_the_same_password(tmp_path, soft):
    """smtp_sasl_auth_cache_name: hosts shut out who tries again and again; with another password, or where it is empty, it is tried."""
    def reply(verb, argument, session):
        return "535 5.7.8 no such login" if verb == "AUTH" and "AGphY2sAd3Jvbmc=" in argument else "235 2.7.0 yes" if verb == "AUTH" else None
    with Sink(reply, offers=("AUTH PLAIN",)) as sink:
        table = tmp_path / "passwords"
        table.write_text("127.0.0.1 jack:wrong\n")
        common = dict(relayhost=f"[127.0.0.1]:{sink.port}", smtp_sasl_auth_enable="yes", smtp_sasl_security_options="noanonymous",
                      smtp_sasl_password_maps=f"texthash:{table}", smtp_sasl_auth_soft_bounce=soft)
        with house(**common, smtp_sasl_auth_cache_name="proxy:btree:/var/lib/postfix/sasl_auth_cache") as h:
            send(h, ["one@there.example"], sender="")
            wait_for(lambda: "SASL authentication failed; server 127.0.0.1[127.0.0.1] said: 535 5.7.8 no such login" in h.text())
            send(h, ["two@there.example"], sender="")
            wait_for(lambda: re.search(r"to=<two@there\.example>.*status=(deferred|bounced)", h.text()))
            status, code = ("deferred", "4.7.8") if soft == "yes" else ("bounced", "5.7.8")
            assert re.search(rf"to=<two@there\.example>.*dsn={re.escape(code)}, status={status} \(SASL \[CACHED\] authentication failed; server "
                             r"127\.0\.0\.1\[127\.0\.0\.1\] said: 535 5\.7\.8 no such login\)", h.text())
            assert len([c for c in sink.commands if c.startswith("AUTH")]) == 1
            table.write_text("127.0.0.1 jack:way-station\n")
            h.command("reload")
            send(h, ["three@there.example"], sender="")
            wait_for(lambda: "three@there.example" in sink.got())
        if soft == "yes":
            table.write_text("127.0.0.1 jack:wrong\n")
            with house(**common) as h:
                send(h, ["four@there.example"], sender="")
                wait_for(lambda: h.count("said: 535") > 2)


@pytest.mark.parametrize("filter, used", [("", "SCRAM-SHA-256-PLUS"), ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-1-PLUS"), ("SCRAM-SHA-256", "SCRAM-SHA-256")])
def test_the_login_is_bound_to_tls(filter, used):
    """Ourselves at the other end, whose server side is proven with gsasl; by submission with STARTTLS, and by port 465's way."""
    with House(mynetworks="", sasl_mechanisms="plain scram-sha-1 scram-sha-1-plus scram-sha-256 scram-sha-256-plus") as there:
        there.command("domain", "add", "there.example")
        there.command("account", "add", "jack@there.example", input="way-station\n")
        for service, wrapper in (("submission", "no"), ("submissions", "yes")):
            port = there.ports[service]
            with sender(port, filter, smtp_sasl_password_maps=f"inline:{{[127.0.0.1]:{port}=jack@there.example:way-station}}",
                        smtp_tls_security_level="encrypt", smtp_tls_wrappermode=wrapper) as h:
                send(h, ["jack@there.example"], sender="jack@there.example")
                wait_for(lambda: h.count("status="))
                assert "status=sent (250" in h.text(), h.text() + there.text()
                assert f"sasl_method={used}" in there.text()


def test_R271_passwords_by_sender(dovecot):
    with sender(dovecot.port, "PLAIN", smtp_sender_dependent_authentication="yes",
                smtp_sasl_password_maps=f"inline:{{{{jack@here.example=jack:way-station}}, {{[127.0.0.1]:{dovecot.port}=eve:no}}}}") as h:
        send(h, ["bysender@there.example"], sender="jack@here.example")
        wait_for(lambda: h.count("status=sent (250"))
        send(h, ["byhost@there.example"], sender="eve@here.example")
        wait_for(lambda: h.count("status=deferred (SASL authentication failed"))
        assert "to=<bysender@there.example>" in dovecot.log() and "to=<byhost@there.example>" not in dovecot.log()
        assert not empty(h)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q", *sys.argv[1:]]))
