# SPDX-License-Identifier: ISC
"""Forwarded mail goes out in a name of ours, and what comes back to that name finds its sender: beside Mail::SRS."""

import re
import smtplib
import subprocess

import pytest

from house import House, free_ports, unnamed, wait_for
from test_sending import Sink

LETTER = "Subject: x\r\n\r\nbody\r\n"
SECRETS = ("sesame", "older")


def mail_srs(verb, address, domain="srs.example", secrets=SECRETS):
    """forward or reverse, as Debian's libmail-srs-perl does it."""
    program = "use Mail::SRS; my $v = shift; my $s = new Mail::SRS(Secret => [split /,/, shift], MaxAge => 21, HashLength => 4); print $s->$v(@ARGV)"
    done = subprocess.run(["perl", "-e", program, verb, ",".join(secrets), address, domain], capture_output=True, text=True, check=True)
    return done.stdout


def house(sink, directory, **more):
    secrets, virtual, aliases = directory / "srs.secret", directory / "virtual", directory / "aliases"
    secrets.write_text("".join(f"{s}\n" for s in SECRETS))
    virtual.write_text("info@ours.example bob@far.example\ntwo@ours.example bob@far.example, jill@ours.example\njill@ours.example jill@far.example\n")
    aliases.write_text("desk: carol@far.example\nlist: dave@far.example\nowner-list: jill@ours.example\n")
    return House(mydestination="here.example", virtual_alias_domains="ours.example", virtual_alias_maps=f"texthash:{virtual}",
                 alias_maps=f"texthash:{aliases}", relayhost=f"[127.0.0.1]:{sink.port}", srs_domain="srs.example", srs_secrets=str(secrets),
                 mynetworks="", smtpd_recipient_restrictions="reject_unauth_destination", **more)


def senders(sink):
    return [re.search("<(.*)>", c).group(1) for c in sink.commands if c.upper().startswith("MAIL")]


@pytest.mark.parametrize("to", ["info@ours.example", "desk@here.example", "two@ours.example"])
def test_R198_what_is_forwarded_has_a_sender_of_ours(tmp_path, to):
    with Sink() as sink, house(sink, tmp_path) as h:
        with wait_for(h.smtp) as s:
            s.sendmail("eva@elsewhere.example", [to], LETTER)
        wait_for(lambda: "empty" in h.command("queue", "list").stdout)
        assert set(senders(sink)) == {mail_srs("forward", "eva@elsewhere.example")}
        assert mail_srs("reverse", senders(sink)[0]) == "eva@elsewhere.example"


def test_our_own_senders_lists_and_notices_keep_theirs(tmp_path):
    with Sink() as sink, house(sink, tmp_path, srs_exclude_domains="friend.example") as h:
        with wait_for(h.smtp) as s:
            for sender in ("jill@ours.example", "", "eva@friend.example"):
                s.sendmail(sender, ["info@ours.example"], LETTER)
            s.sendmail("eva@elsewhere.example", ["list@here.example"], LETTER)
        wait_for(lambda: "empty" in h.command("queue", "list").stdout)
        assert sorted(senders(sink)) == ["", "eva@friend.example", "jill@ours.example", "owner-list@mail.example.com"]


def test_without_a_domain_nothing_is_rewritten(tmp_path):
    with Sink() as sink, house(sink, tmp_path) as h:
        h.write_settings(srs_domain="")
        h.command("reload")
        with wait_for(h.smtp) as s:
            s.sendmail("eva@elsewhere.example", ["info@ours.example"], LETTER)
        wait_for(lambda: "empty" in h.command("queue", "list").stdout)
        assert senders(sink) == ["eva@elsewhere.example"]


def test_what_comes_back_goes_to_its_sender(tmp_path):
    """From nobody alone, with either secret, however the case was changed; SRS1 goes to the first who forwarded it."""
    with Sink() as sink, house(sink, tmp_path) as h:
        first = mail_srs("forward", "eva@elsewhere.example", secrets=("older",))
        twice = mail_srs("forward", "SRS0=HHHH=TT=orig.example=x@first.example")
        with wait_for(h.smtp) as s:
            s.sendmail("", [first, twice, mail_srs("forward", "eva@two.example").lower()], LETTER)
        wait_for(lambda: "empty" in h.command("queue", "list").stdout)
        got = sorted(c for c in sink.commands if c.upper().startswith("RCPT"))
        assert [re.search("<(.*)>", c).group(1) for c in got] == ["SRS0=HHHH=TT=orig.example=x@first.example", "eva@elsewhere.example", "eva@two.example"]
        assert senders(sink) == [""] * len(senders(sink))


@pytest.mark.parametrize("why, sender, to, reply", [
    ("forged", "", "SRS0=AAAA=JL=elsewhere.example=eva@srs.example", "5.7.1 <{}>: Recipient address rejected: This address for returned mail was not made here"),
    ("from somebody", "spammer@elsewhere.example", None, "5.7.1 <{}>: Recipient address rejected: This address takes returned mail alone, from <>"),
])
def test_strangers_get_nothing_through(tmp_path, why, sender, to, reply):
    with Sink() as sink, house(sink, tmp_path) as h:
        to = to or mail_srs("forward", "eva@elsewhere.example")
        with wait_for(h.smtp) as s:
            s.ehlo()
            s.mail(sender)
            code, text = s.rcpt(to)
            assert (code, unnamed(text.decode())) == (550, reply.format(to)), why
            assert s.rcpt("nobody@srs.example")[0] == 454 or s.rcpt("nobody@srs.example")[0] == 554


def test_an_old_name_is_refused(tmp_path):
    with Sink() as sink, house(sink, tmp_path, srs_max_age="1d") as h:
        program = "use Mail::SRS; no warnings; my $s = new Mail::SRS(Secret => 'sesame'); my $t = time() - 3 * 86400; *Mail::SRS::timestamp_create = do { my $o = \\&Mail::SRS::timestamp_create; sub { $o->($_[0], $t) } }; print $s->forward('eva@elsewhere.example', 'srs.example')"
        old = subprocess.run(["perl", "-e", program], capture_output=True, text=True, check=True).stdout
        with wait_for(h.smtp) as s:
            s.ehlo()
            s.mail("")
            code, text = s.rcpt(old)
            assert code == 550 and b"The time of this address for returned mail is over" in text


def test_a_secret_of_our_own_is_kept(tmp_path):
    """Without srs_secrets one is made; it is the same after a new start."""
    with Sink() as sink, house(sink, tmp_path) as h:
        h.write_settings(srs_secrets="")
        h.stop()
        h.start()
        with wait_for(h.smtp) as s:
            s.sendmail("eva@elsewhere.example", ["info@ours.example"], LETTER)
        wait_for(lambda: senders(sink))
        h.stop()
        h.start()
        with wait_for(h.smtp) as s:
            s.sendmail("", [senders(sink)[0]], LETTER)
        wait_for(lambda: any("eva@elsewhere.example" in c for c in sink.commands if c.upper().startswith("RCPT")))


def test_a_failure_is_told_to_the_sender_at_once(tmp_path):
    """The host refuses what we forward: our notice goes to whoever sent it, not by way of the name."""
    with Sink(lambda verb, argument, _: "550 5.1.1 unknown" if verb == "RCPT" and "bob@" in argument else None) as sink, house(sink, tmp_path) as h:
        with wait_for(h.smtp) as s:
            s.sendmail("eva@elsewhere.example", ["info@ours.example"], LETTER)
        wait_for(lambda: any("TO:<eva@elsewhere.example>" in c for c in sink.commands))


def test_address_test_opens_a_name(tmp_path):
    with Sink() as sink, house(sink, tmp_path) as h:
        done = h.command("address", "test", mail_srs("forward", "eva@elsewhere.example"))
        assert done.stdout.startswith("a name for returned mail (SRS) of eva@elsewhere.example: taken from <>\n")
        assert done.stdout.endswith("\ngoes to: eva@elsewhere.example (elsewhere)\n") and "refused" not in done.stdout and "not ours" not in done.stdout
        done = h.command("address", "test", "SRS0=AAAA=JL=elsewhere.example=eva@srs.example", check=False)
        assert done.returncode == 1 and done.stdout == "refused: 550 5.7.1 This address for returned mail was not made here\n"
