# SPDX-License-Identifier: ISC
"""mansio policy explain says of a client what a session of it would hear: its name from the DNS, and who trusts it."""

import os

import pytest
from elsewhere import Program
from house import House
from witness import NameServer, Resolver


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    place = tmp_path_factory.mktemp("networks")
    os.chmod(place, 0o755)
    (place / "trusted").write_text("# ours\n198.51.100.0/24\n")
    (place / "table").write_text("203.0.113.7 OK\n")
    server = NameServer()
    resolver = Resolver(server)
    try:
        with House(dns_resolver=f"{resolver.address}:{resolver.port}", mynetworks=f"!198.51.100.9, {place}/trusted, hash:{place}/table",
                   smtpd_recipient_restrictions="permit_mynetworks, reject_unknown_client_hostname, check_client_access inline:{{mail.client.example = REJECT known by name}}, reject_unauth_destination",
                   smtpd_relay_restrictions="permit_mynetworks, reject_unauth_destination", **{"submission/smtpd_peername_lookup": "no"}) as house:
            house.command("domain", "add", "example.com")
            house.command("account", "add", "jill@example.com", input="secret\n")
            yield house
    finally:
        resolver.close()
        server.close()


def explained(house, client, to="jill@example.com", *more):
    return house.command("policy", "explain", "--client", client, "--from", "a@good.example", "--to", to, *more, check=False).stdout


@pytest.mark.parametrize("client, called, verdict", [
    ("127.0.0.9", "the client is mail.client.example[127.0.0.9]\n", "Client host rejected: known by name"),
    ("127.0.0.10", "the client is unknown[127.0.0.10] (its name has other addresses): forged.client.example\n", "cannot find your hostname"),
    ("192.0.2.200", "the client is unknown[192.0.2.200] (it has none)\n", "cannot find your hostname"),
    ("2001:DB8::44", "the client is unknown[2001:db8::44] (it has none)\n", "cannot find your hostname"),
])
def test_the_client_is_called_as_a_session_would_call_it(house, client, called, verdict):
    said = explained(house, client)
    assert called in said and verdict in said, said


def test_a_name_that_is_told_is_not_asked_for(house):
    said = explained(house, "192.0.2.200", "jill@example.com", "--name", "mx.other.example")
    assert "the client is mx.other.example[192.0.2.200]\n" in said and "nothing refuses it" in said


def test_a_listener_that_asks_for_no_names(house):
    assert "the client is unknown[127.0.0.9]" in explained(house, "127.0.0.9", "jill@example.com", "--listener", "submission")


@pytest.mark.parametrize("client, trusted", [("198.51.100.8", True), ("198.51.100.9", False), ("203.0.113.7", True), ("203.0.113.8", False)])
def test_files_and_tables_of_mynetworks_are_looked_into(house, client, trusted):
    said = explained(house, client, "x@elsewhere.example")
    assert ("nothing refuses it" in said) == trusted, said


def test_a_database_is_asked_whether_it_is_trusted():
    program = Program({b"203.0.113.7": b"yes"}, "socketmap")
    try:
        with House(mynetworks=f"!203.0.113.9, socketmap:inet:127.0.0.1:{program.port}:x", dns_resolver="none", relayhost="[127.0.0.1]:1") as house:
            for client, verdict in (("203.0.113.7", "nothing refuses it"), ("203.0.113.8", "Relay access denied"), ("203.0.113.9", "Relay access denied")):
                said = explained(house, client, "x@elsewhere.example")
                assert verdict in said, said
            assert {b"203.0.113.7", b"203.0.113.8"} <= set(program.asked)
            program.close()
            said = explained(house, "203.0.113.10", "x@elsewhere.example")
            assert "of mynetworks cannot be asked now" in said and "451 4.3.0 <x@elsewhere.example>: Temporary lookup failure" in said, said
    finally:
        program.close()


@pytest.mark.parametrize("sender, said", [
    ('"user"@q.example', "<user@q.example>"), ("user@Q.Example", "<user@q.example>"), ("<user@q.example>", "<user@q.example>"), ('"x@y"@ext.example', "<x@y@ext.example>"), ('"user"', "<user>"), ('"a"@q.example', None),
])
def test_quotes_are_no_part_of_an_address_here_as_in_a_session(house, sender, said):
    before = house.settings["smtpd_recipient_restrictions"]
    house.write_settings(smtpd_recipient_restrictions="check_sender_access inline:{{user@ = REJECT by name}, {x@y@ext.example = REJECT by name}}, reject_unauth_destination")
    try:
        house.command("reload")
        house.at_work()
        with house.smtp() as client:
            client.ehlo("c.example")
            client.docmd(f"MAIL FROM:<{sender.strip('<>')}>")
            heard = client.docmd("RCPT TO:<jill@example.com>")
        told = house.command("policy", "explain", "--client", "127.0.0.1", "--from", sender, "--to", "jill@example.com", check=False).stdout
        assert (heard[0], "nothing refuses it" in told) == ((250, True) if said is None else (554, False)), (heard, told)
        if said is not None:
            assert f"554 5.7.1 {said}: Sender address rejected: by name" in told and heard[1].startswith(f"5.7.1 {said}: Sender address rejected: by name".encode())
    finally:
        house.write_settings(smtpd_recipient_restrictions=before)
        house.command("reload")


def test_what_is_no_address_is_said_to_be_none(house):
    done = house.command("policy", "explain", "--client", "somewhere", "--from", "<>", "--to", "jill@example.com", check=False)
    assert done.returncode == 2 and "somewhere is no address" in done.stderr


LISTS = ["client", "helo", "sender", "relay", "recipient", "data", "end_of_data"]


def test_several_recipients_are_each_asked_about_and_then_the_letter(house):
    """As a session hears it: those that are refused leave the letter to the others; a rule for the letter sees how many there are."""
    house.write_settings(smtpd_data_restrictions="reject_multi_recipient_bounce")
    house.command("reload")
    house.at_work()
    house.command("account", "add", "jack@example.com", input="secret\n", check=False)
    for sender, to in [("a@good.example", ["jill", "nobody"]), ("a@good.example", ["nobody", "jill", "jack"]), ("", ["jill", "jack"]), ("", ["jill", "nobody"]), ("a@good.example", ["nobody", "nothing"])]:
        with house.smtp() as s:
            s.ehlo("client.example")
            s.mail(sender)
            heard = [s.rcpt(f"{name}@example.com") for name in to]
            heard.append(s.docmd("DATA"))
        told = house.command("policy", "explain", "--client", "127.0.0.1", "--helo", "client.example", "--name", "localhost", "--from", sender or "<>",
                             *(w for name in to for w in ("--to", f"{name}@example.com")), check=False)
        refused = [f"{code} {words.decode().partition(' (P')[0]}" for code, words in heard if code >= 500 and b"5.5.1" not in words]
        assert [line.partition(": ")[2] for line in told.stdout.splitlines() if line.startswith("refused by ")] == refused, told.stdout
        assert told.returncode == bool(refused)
        assert [line for line in told.stdout.splitlines() if line.startswith("at RCPT")] == [f"at RCPT, of <{name}@example.com>" for name in to]
    house.write_settings(smtpd_data_restrictions=None)
    house.command("reload")


def test_every_list_and_every_rule_of_it_is_printed(house):
    """One rule in each of the seven lists, in the order they are asked, each with its answer."""
    rules = {"client": "check_client_access inline:{{192.0.2.1=DUNNO}}", "helo": "reject_invalid_helo_hostname", "sender": "reject_non_fqdn_sender",
             "relay": "permit_mynetworks, reject_unauth_destination", "recipient": "reject_non_fqdn_recipient, reject_unlisted_recipient, check_recipient_access inline:{{jill@example.com=OK}}",
             "data": "reject_multi_recipient_bounce", "end_of_data": "check_sender_access inline:{{late@good.example=REJECT too late}}"}
    before = {f"smtpd_{name}_restrictions": house.settings.get(f"smtpd_{name}_restrictions") for name in LISTS}
    house.write_settings(**{f"smtpd_{name}_restrictions": rule for name, rule in rules.items()})
    try:
        house.command("reload")
        house.at_work()
        said = explained(house, "192.0.2.200", "jill@example.com", "--name", "mx.other.example", "--helo", "mx.other.example")
        at = [said.index(f"smtpd_{name}_restrictions:") for name in LISTS]
        assert at == sorted(at), said
        for asked in ("reject_invalid_helo_hostname: has no objection", "reject_non_fqdn_sender: has no objection", "permit_mynetworks: the client is not in mynetworks",
                      "reject_unauth_destination: the recipient's domain is ours", "reject_non_fqdn_recipient: has no objection", "reject_unlisted_recipient: has no objection",
                      "check_recipient_access: permits", "reject_multi_recipient_bounce: has no objection", "check_sender_access: has no objection", "check_client_access: has no objection"):
            assert asked in said, (asked, said)
        assert said.endswith("nothing refuses it\n")
        done = house.command("policy", "explain", "--client", "192.0.2.200", "--name", "mx.other.example", "--from", "late@good.example", "--to", "jill@example.com", check=False)
        assert done.returncode == 1 and "refused by check_sender_access of smtpd_end_of_data_restrictions: 554 5.7.1 <late@good.example>: Sender address rejected: too late" in done.stdout
    finally:
        house.write_settings(**before)
        house.command("reload")


def test_R278_letters_that_are_written_down_are_asked_again_after_a_change(house, tmp_path):
    letters = tmp_path / "letters"
    letters.write_text("# normal mail\nclient=192.0.2.200 name=mx.other.example helo=mx.other.example from=a@good.example to=jill@example.com\n"
                       "client=192.0.2.200 name=mx.other.example to=jill@example.com => 250\n"
                       "client=127.0.0.9 from=a@good.example to=jill@example.com => 554\n"
                       "client=192.0.2.200 name=mx.other.example from=a@good.example to=x@elsewhere.example\n")

    def simulated(path, *more):
        done = house.command("policy", "simulate", path, *more, check=False)
        return done.returncode, done.stdout

    said = simulated(letters, "--save")
    assert said[0] == 0 and said[1].count("=> ") == 4 and "# normal mail\n" in said[1]
    assert "to=x@elsewhere.example => 554 5.7.1 <x@elsewhere.example>: Relay access denied\n" in said[1]
    saved = tmp_path / "saved"
    saved.write_text(said[1])
    assert simulated(saved) == (0, "4 letters, 0 not as they were\n")
    assert simulated("-")[0] == 0
    before = house.settings["smtpd_recipient_restrictions"]
    house.write_settings(smtpd_recipient_restrictions="check_sender_access inline:{{good.example = REJECT by mistake}}, " + before)
    try:
        house.command("reload")
        house.at_work()
        status, text = simulated(saved)
        assert status == 1 and "4 letters, 2 not as they were\n" in text
        assert ("from=a@good.example to=jill@example.com: was 250, is 554 5.7.1 <a@good.example>: Sender address rejected: by mistake, "
                "by check_sender_access of smtpd_recipient_restrictions\n") in text
    finally:
        house.write_settings(smtpd_recipient_restrictions=before)
        house.command("reload")
        house.at_work()
    (tmp_path / "wrong").write_text("client=192.0.2.200 form=a@good.example to=jill@example.com\n")
    assert simulated(tmp_path / "wrong")[0] == 2 and simulated(tmp_path / "missing")[0] == 2
