# SPDX-License-Identifier: ISC
"""main.cf on the command line, and a server that takes it up without dropping anybody."""

import pathlib
import re
import shutil
import socket

import pytest
from kit import letter, wait_for, word


@pytest.fixture
def copy(demo, tmp_path):
    """A main.cf of our own to spoil."""
    path = tmp_path / "main.cf"
    shutil.copy(demo.config, path)

    def command(*words, text=None):
        if text is not None:
            path.write_text(pathlib.Path(demo.config).read_text() + text)
        import subprocess
        from kit import BINARY
        return subprocess.run([BINARY, "-c", str(path), *words], capture_output=True, text=True, timeout=30)
    command.path = path
    return command


def test_the_file_of_the_demo_is_in_order(copy):
    done = copy("config", "check")
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr


@pytest.mark.parametrize("text,why", [
    ("smtpd_hard_error_limit = many\n", "smtpd_hard_error_limit"),
    ("log_format = prose\n", "json"),
    ("listen_smtp = nowhere\n", "listen_smtp"),
    ("mynetworks = 300.1.2.3/8\n", "mynetworks"),
    ("message_size_limit = -5\n", "message_size_limit"),
    ("home_mailbox = /home/Maildir/\n", "a name in the home"),
    ("mail_spool_directory = mail\n", "an absolute path"),
    ("no equals sign here\n", ""),
    ("smtp_bind_address = 300.1.1.1\n", "smtp_bind_address = 300.1.1.1: write an IPv4 address of this machine, as 192.0.2.1"),
    ("smtp_bind_address6 = 2001:db8::g\n", "smtp_bind_address6 = 2001:db8::g: write an IPv6 address of this machine, as 2001:db8::1"),
    ("relay/smtp_bind_address = 192.0.2.0/24\n", "relay/smtp_bind_address = 192.0.2.0/24: write an IPv4 address"),
    ("myorigin = /nowhere/mailname\n", "No such file"),
    ("telex/smtpd_timeout = 5s\n", "there is no such listener"),
    ("smtpd_authorized_xclient_hosts = 999.1.1.1/x\n", "smtpd_authorized_xclient_hosts = 999.1.1.1/x"),
    ("submission/smtpd_authorized_xforward_hosts = 10.0.0.0/40\n", "smtpd_authorized_xforward_hosts = 10.0.0.0/40"),
    ("smtpd_reject_footer_maps = socketmap:inet:127.0.0.1:1:x\n", "in tables of files alone, so that no database answers to them"),
])
def test_a_bad_line_is_refused_with_its_number(copy, demo, text, why):
    lines = len(pathlib.Path(demo.config).read_text().splitlines())
    done = copy("config", "check", text=text)
    assert done.returncode == 1
    assert re.search(rf"main\.cf:{lines + 1}: ", done.stderr), done.stderr
    assert why in done.stderr


def test_an_unknown_name_is_told(copy):
    done = copy("config", "check", text="smtpd_banana = 1\n")
    assert "smtpd_banana" in done.stderr


def test_settings_of_postfix_that_mean_nothing_here_are_told_with_what_does(copy):
    done = copy("config", "check", text="virtual_mailbox_limit = 0\nsmtpd_sasl_path = private/auth\n")
    assert done.returncode == 0
    for there, here in (("virtual_mailbox_limit", "quota_storage"), ("smtpd_sasl_path", "auth_backends")):
        assert re.search(f"{there} means nothing here: .*{here}", done.stderr), done.stderr
    assert "as it should be" not in done.stdout


@pytest.mark.parametrize("value,told", [
    ("mail.example.com", "mail.example.com is no address: write one of this machine"), ("127.0.0.0/8", "127.0.0.0/8 is no address"),
    ("127.0.0.1 300.1.1.1", "300.1.1.1 is no address"), ("203.0.113.77", "203.0.113.77 is no address of this machine"),
    ("127.0.0.8", None), ("127.0.0.9 ::1", None), ("[::1]", None)])
def test_addresses_that_letters_are_to_come_from_are_looked_at(copy, value, told):
    """That 203.0.113.77 (rfc5737) is none of this machine the kernel says, when a connection is to come from it."""
    with socket.socket() as s, pytest.raises(OSError):
        s.bind(("203.0.113.77", 0))
    done = copy("config", "check", text=f"smtp_bind_address_maps = inline:{{ {{a@example.com = {value}}} }}\n")
    assert done.returncode == 0 and "bind" not in done.stderr if told is None else told in done.stderr, done.stderr


def test_and_their_lines_are_told(copy, tmp_path):
    table = tmp_path / "from"
    table.write_text("# by domain\n@one.example 127.0.0.8\n@two.example two.example\n")
    done = copy("config", "check", text=f"relay/smtp_bind_address = 203.0.113.77\nlmtp_bind_address_maps = texthash:{table}\n")
    assert f"{table}:3: two.example is no address" in done.stderr and "relay/smtp_bind_address: 203.0.113.77 is no address of this machine" in done.stderr


@pytest.mark.parametrize("text", ["mailbox_size_limit = 1M\n", "mailbox_size_limit = 1G\nquota_storage = 20M\n",
                                  "message_size_limit = 2G\nmailbox_size_limit = 1073741824\n"])
def test_R156_an_account_has_room_for_the_largest_letter(copy, text):
    done = copy("config", "check", text=text)
    assert done.returncode == 1 and "is less than message_size_limit" in done.stderr
    assert re.search(r"main\.cf:\d+: (mailbox_size_limit|quota_storage) = ", done.stderr)


def test_R156_the_limit_of_the_tutorials_is_what_an_account_may_hold(own):
    demo = own("--set", "mailbox_size_limit=1073741824").start()
    told = demo.command("quota", "get", "jill@example.com").stdout
    assert "1073741824" in told or "1048576" in told, told


@pytest.mark.parametrize("line,why", [
    ("mynetworks = 127.0.0.0/8 0.0.0.0/0", "open relay"),
    ("mynetworks = [::]/0", "open relay"),
    ("smtp/mynetworks = 128.0.0.0/1", "smtp/mynetworks: it has "),
    ("relay_domains = static:all", "it has every domain: everybody may send to anybody, which makes an open relay"),
    ("smtp/relay_domains = x.example", "smtp/relay_domains: it is the whole server's"),
    ("smtp/virtual_alias_maps = inline:{a=b}", "write virtual_alias_maps for all"),
    ("smtpd_banner = Hello there", "begin with $myhostname"),
])
def test_what_is_allowed_and_hardly_meant_is_told(copy, line, why):
    done = copy("config", "check", text=line + "\n")
    assert done.returncode == 0 and why in done.stderr


@pytest.mark.parametrize("text, where, why", [
    ("smtpd_restriction_classes = strict\nstrict = reject_non_fqdn_sender\nsmtpd_sender_restrictions = strict\nsubmission/strict = nosuchrule\n", 3,
     "submission/smtpd_sender_restrictions: class strict: nosuchrule is no rule"),
    ("lmtp/smtpd_restriction_classes = nowhere\n", 1, "lmtp/smtpd_restriction_classes: the class nowhere is nowhere set"),
    ("submission/postscreen_dnsbl_sites = bad=x\n", 1, "submission/postscreen_dnsbl_sites: bad=x: the answers that count"),
    ("submission/smtpd_relay_restrictions = permit\n", 1, "submission/smtpd_relay_restrictions: in smtpd_relay_restrictions or smtpd_recipient_restrictions, specify"),
    ("smtpd_sender_restrictions = nosuch\n", 1, "smtpd_sender_restrictions: nosuch is no rule"),
])
def test_the_lists_of_each_listener_are_looked_at_and_told_once(copy, demo, text, where, why):
    done = copy("config", "check", text=text)
    lines = len(pathlib.Path(demo.config).read_text().splitlines())
    assert done.returncode == 1 and f"main.cf:{lines + where}: {why}" in done.stderr and done.stderr.count(why.partition(": ")[2]) == 1, done.stderr


@pytest.mark.parametrize("line", ["smtp/myhostname = a.example.com", "submission/mynetworks = 10.0.0.0/8", "imap/auth_mechanisms = plain",
                                  "smtp/greylist_delay = 1m", "smtp/smtp_helo_timeout = 5s",
                                  "listeners = back\nback/listener_service = smtp\nback/listener_address = 127.0.0.1:9\nback/smtpd_relay_restrictions = check_client_access static:OK, reject"])
def test_what_a_listener_may_say_of_itself_is_not_warned_of(copy, line):
    done = copy("config", "check", text=line + "\n")
    assert done.returncode == 0 and "nobody reads" not in done.stderr and "open relay" not in done.stderr, done.stderr


@pytest.mark.parametrize("name", ["dnsbl_timeout", "dnsbl_failure_limit", "dnsbl_rest_time", "address_verify_poll_count", "address_verify_poll_delay",
                                  "address_verify_positive_expire_time", "greylist_limit"])
def test_what_all_listeners_share_is_refused_of_one(copy, name):
    value = "100" if name == "greylist_limit" else "2"
    done = copy("config", "check", text=f"smtp/{name} = {value}\n")
    assert done.returncode == 1 and f"smtp/{name}: all listeners have one; write {name} = {value} for all" in done.stderr
    assert copy("config", "check", text=f"{name} = {value}\n").returncode == 0


def test_the_origin_may_stand_in_a_file_as_debian_has_it(demo, tmp_path):
    name = tmp_path / "mailname"
    name.write_text("example.com\n")
    before = pathlib.Path(demo.config).read_text()
    try:
        pathlib.Path(demo.config).write_text(before + f"myorigin = {name}\nvirtual_alias_maps = inline:{{ sales@example.com=jill }}\n")
        assert "in force" in demo.command("reload").stdout
        assert "goes to: jill@example.com" in demo.command("address", "test", "sales@example.com").stdout
    finally:
        pathlib.Path(demo.config).write_text(before)
        demo.command("reload")


def test_the_last_of_two_lines_wins_and_both_are_named(copy):
    done = copy("config", "check", text="smtpd_timeout = 10s\nsmtpd_timeout = 20s\n")
    assert done.returncode == 0
    assert "smtpd_timeout" in done.stderr and len(re.findall(r":\d+", done.stderr)) >= 1
    assert copy("config", "show", "-h", "smtpd_timeout").stdout.strip() == "20s"


def test_show_prints_what_counts(copy):
    assert "myhostname = mail.example.com" in copy("config", "show").stdout
    own = copy("config", "show", "-n").stdout
    assert "mynetworks =" in own and "smtpd_hard_error_limit" not in own
    standard = copy("config", "show", "-d", "smtpd_hard_error_limit").stdout
    assert standard.strip() == "smtpd_hard_error_limit = ${stress?{1}:{20}}"
    assert copy("config", "show", "-x", "-h", "myorigin").stdout.strip() == "example.com"


def test_set_keeps_comments_and_order(copy):
    before = copy.path.read_text()
    assert copy("config", "set", "smtpd_hard_error_limit=7", "mail_name=The Inn").returncode == 0
    after = copy.path.read_text()
    assert [line for line in after.splitlines() if line.startswith("#")] == \
           [line for line in before.splitlines() if line.startswith("#")]
    assert copy("config", "show", "-h", "smtpd_hard_error_limit").stdout.strip() == "7"
    assert copy("config", "show", "-h", "mail_name").stdout.strip() == "The Inn"
    assert copy("config", "set", "mail_name=Way Station").returncode == 0
    assert copy.path.read_text().count("mail_name") == 1


def test_set_refuses_what_would_not_be_right(copy):
    before = copy.path.read_text()
    done = copy("config", "set", "smtpd_hard_error_limit=many")
    assert done.returncode == 1 and "smtpd_hard_error_limit" in done.stderr
    assert copy.path.read_text() == before


def test_reload_takes_up_the_file_and_drops_nobody(demo):
    box = demo.imap()
    box.select()
    with demo.smtp() as s:
        s.ehlo()
        assert "52428800" in s.esmtp_features["size"]
        demo.command("config", "set", "message_size_limit=1M")
        assert "in force" in demo.command("reload").stdout
        assert s.mail("a@example.org", ["SIZE=20000000"])[0] == 250, "a session keeps what it began with"
    assert box.noop()[0] == "OK"

    def smaller():
        with demo.smtp() as s:
            s.ehlo()
            return s.esmtp_features["size"] == "1048576"
    try:
        wait_for(smaller)
        subject = word()
        demo.send(letter(subject))
        wait_for(lambda: box.noop() and box.search(None, "SUBJECT", subject)[1][0])
    finally:
        demo.command("config", "set", "message_size_limit=50M")
        demo.command("reload")
    box.logout()


def test_a_bad_file_changes_nothing(demo):
    path = pathlib.Path(demo.config)
    good = path.read_text()
    box = demo.imap()
    try:
        path.write_text(good + "smtpd_timeout = soon\n")
        done = demo.command("reload", check=False)
        line = len(good.splitlines()) + 1
        assert done.returncode == 1 and f"main.cf:{line}: " in done.stderr and "stay in force" in done.stderr
        with demo.smtp() as s:
            assert s.noop()[0] == 250
        assert box.noop()[0] == "OK"
    finally:
        path.write_text(good)
        demo.command("reload")
    box.logout()


def test_a_table_that_is_not_there_is_said_at_the_reload(demo):
    path = pathlib.Path(demo.config)
    good = path.read_text()
    try:
        path.write_text(good + "virtual_alias_maps = hash:/nowhere/virtual\n")
        done = demo.command("reload", check=False)
        assert done.returncode == 1 and "in force" in done.stdout and "/nowhere/virtual" in done.stderr, done
    finally:
        path.write_text(good)
        assert demo.command("reload").stderr == ""


def test_a_listener_may_differ(demo):
    try:
        demo.command("config", "set", "lmtp/smtpd_banner=Stables")
        demo.command("reload")

        def banner():
            with demo.smtp("lmtp") as s:
                return s.noop() and s
        import socket
        with socket.create_connection(("127.0.0.1", demo.port("lmtp"))) as c:
            assert c.recv(200).startswith(b"220 Stables")
        with socket.create_connection(("127.0.0.1", demo.port("smtp"))) as c:
            assert c.recv(200).startswith(b"220 mail.example.com ESMTP")
    finally:
        path = pathlib.Path(demo.config)
        path.write_text("".join(line for line in path.read_text().splitlines(True) if "Stables" not in line))
        demo.command("reload")


def test_status_shows_everybody(demo):
    done = demo.command("status")
    for role in ("postmaster", "receiver", "login", "verifier", "queue", "keeper", "clerk", "signer"):
        assert role in done.stdout


def test_commands_without_a_server_say_so(demo, tmp_path):
    copy = tmp_path / "main.cf"
    copy.write_text(pathlib.Path(demo.config).read_text() + f"mail_directory = {tmp_path}/nobody\n")
    import subprocess
    from kit import BINARY
    for words in (["status"], ["account", "list"], ["queue", "list"], ["reload"], ["stop"]):
        done = subprocess.run([BINARY, "-c", str(copy), *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 2 and "no server is running" in done.stderr
    done = subprocess.run([BINARY, "-c", str(tmp_path / "none"), "status"], capture_output=True, text=True)
    assert done.returncode == 1 and "No such file" in done.stderr


@pytest.mark.parametrize("said,there", [("yes", True), ("no", False)])
def test_whom_a_letter_was_meant_for_stands_in_it_unless_said_otherwise(own, said, there):
    demo = own("--set", f"enable_original_recipient={said}").start()
    subject = word()
    demo.send(letter(subject, "Hello.\n"))
    found = demo.find(subject)
    assert (b"X-Original-To: jill@example.com" in found) == there
    assert b"Delivered-To: jill@example.com" in found and b"Return-Path: <" in found
