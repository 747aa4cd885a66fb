# SPDX-License-Identifier: ISC
"""Mail filters: one on Debian's libmilter that does what it is told, given to Postfix and to us with the same letters; filters
that fail; OpenDKIM and clamav-milter.

Postfix runs as an instance of its own in a directory under /tmp, on the loopback.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading

import pytest
from house import ROOT, House, free_ports, wait_for
from test_checks_beside_postfix import Both, ssl_context

TOLD = os.environ.get("MANSIO_TOLD", str(ROOT / "build/test/whole/told"))
pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists(TOLD), reason="needs root and libmilter")
besides_postfix = pytest.mark.skipif(shutil.which("postfix") is None, reason="needs Postfix")

LETTER = (b"Received: from a by b;\r\n\tSun, 1 Jan 2023 00:00:00 +0000\r\nFrom: <s@out.example>\r\nTo: <u@here.example>\r\n"
          b"Subject:  two blanks\r\nX-Fold: one\r\n  two\r\n\tthree\r\nX-A: 1\r\nX-A: 2\r\nX-NoBlank:z\r\nX-Empty:\r\n"
          b"Message-ID: <1@out.example>\r\nDate: Sun, 1 Jan 2023 00:00:00 +0000\r\n\r\nBody line 1\r\n..dot\r\n")
BEGIN = ["EHLO c.example", "MAIL FROM:<s@out.example> SIZE=300"]
WHOLE = [*BEGIN, "RCPT TO:<u@here.example>", "DATA", LETTER, "QUIT"]
MACROS = "macros=i,j,_,v,{daemon_name},{daemon_addr},{client_addr},{mail_addr},{mail_host},{rcpt_addr},{rcpt_host},{auth_authen}"

# Why, what the filter does, what the client says.
BESIDE = [
    ("nothing", [], WHOLE),
    ("refused at connect", ["connect=reject"], ["EHLO c", "MAIL FROM:<a@b.example>", "NOOP", "RSET", "QUIT"]),
    ("put off at connect", ["connect=tempfail"], ["EHLO c", "MAIL FROM:<a@b.example>", "QUIT"]),
    ("a reply at connect", ["connect=reply:554:5.7.9:go 10%% away"], ["EHLO c", "MAIL FROM:<a@b.example>", "QUIT"]),
    ("accepted at connect", ["connect=accept"], WHOLE),
    ("a reply to EHLO", ["helo=reply:550:5.7.9:bad helo"], ["EHLO c", "NOOP", "MAIL FROM:<a@b.example>", "RCPT TO:<u@here.example>", "QUIT"]),
    ("a reply to HELO", ["helo=reply:550:5.7.9:bad helo"], ["HELO c", "MAIL FROM:<a@b.example>", "QUIT"]),
    ("put off at HELO", ["helo=tempfail"], ["HELO c", "MAIL FROM:<a@b.example>", "QUIT"]),
    ("refused at MAIL, and the next is another", ["mail@s@out=lines:550:5.7.9:one|two"], [*BEGIN, BEGIN[1], "MAIL FROM:<a@b.example>", "RCPT TO:<u@here.example>", "RSET", "QUIT"]),
    ("421 is the end", ["mail=reply:421:4.7.9:go away"], BEGIN),
    ("discarded at MAIL", ["mail=discard"], WHOLE),
    ("recipients one by one", ["rcpt@other=reject", "rcpt@x@here=tempfail"], [*BEGIN, "RCPT TO:<other@here.example> NOTIFY=NEVER", "RCPT TO:<u@here.example>", "DATA", LETTER, "QUIT"]),
    ("accepted at RCPT", ["rcpt=accept"], [*BEGIN, "RCPT TO:<u@here.example>", "RSET", BEGIN[1], "QUIT"]),
    ("discarded at RCPT", ["rcpt=discard"], [*BEGIN, "RCPT TO:<u@here.example>", "RCPT TO:<other@here.example>", "DATA", LETTER, "QUIT"]),
    ("refused at DATA", ["data=reject"], [*BEGIN, "RCPT TO:<u@here.example>", "DATA", "RSET", "QUIT"]),
    ("unknown commands", ["unknown=reply:555:5.5.9:what?"], [BEGIN[0], "XYZZY", "QUIT"]),
    ("refused in the header", ["header@X-A=reject"], WHOLE),
    ("refused at the end of the header", ["eoh=tempfail"], WHOLE),
    ("refused in the body", ["body=reply:554:5.6.1:no"], WHOLE),
    ("no more of the body", ["steps=400", "body=skip"], WHOLE),
    ("refused at the end", ["eom=reply:554:5.6.0:no way"], WHOLE),
    ("lines at the end", ["eom=lines:451:4.6.0:no|way"], WHOLE),
    ("discarded at the end", ["eom=discard"], WHOLE),
    ("accepted at the end", ["eom=accept"], WHOLE),
    ("fields", ["eom=insert:0:X-I0:zero", "eom=insert:1:X-I1:one", "eom=insert:2:X-I2:two", "eom=insert:99:X-I99:n", "eom=add:X-Add: lead",
                "eom=add:X-Fold2:a\\n b\\nc", "eom=change:2:X-A:changed", "eom=change:1:X-A:", "eom=change:5:X-B:new", "eom=change:1:Subject:sss"], WHOLE),
    ("our own Received field is not theirs to change", ["eom=change:1:Received:rrr", "eom=insert:3:X-I3:three", "eom=change:1:From:"], WHOLE),
    ("a name again and again", ["eom=insert:1:X-I1:one", "eom=insert:1:X-I1:two", "eom=change:2:Received:r2", "eom=change:2:X-I1:three"], WHOLE),
    ("blanks are the filter's", ["steps=100000", "eom=insert:0:X-I0:zero", "eom=add:X-Add: lead", "eom=change:2:X-A: changed"], WHOLE),
    ("another body", ["eom=body:New body\\n", "eom=body: and more\\n"], WHOLE),
    ("another envelope", ["eom=from:<new@x.example>", "eom=rcpt:other@here.example", "eom=unrcpt:<U@here.example>"], WHOLE),
    ("the null sender", ["eom=from:<>"], WHOLE),
    ("it takes its time", ["eom=sleep:0.3", "eom=progress", "eom=sleep:0.3"], WHOLE),
    ("it wants neither fields nor body", ["steps=30"], WHOLE),
    ("it hears nothing but the end", ["steps=37f", "eom=add:X-A:3"], WHOLE),
    ("it answers nothing but the end", ["steps=ff080", "eom=add:X-A:3"], WHOLE),
    ("it asks for nothing and does it", ["actions=0", "eom=add:X-A:3"], WHOLE),
    ("two letters in a session", ["eom=add:X-A:3"], [*WHOLE[:-1], *WHOLE[1:]]),
    ("EHLO ends a transaction", [], [*BEGIN, "RCPT TO:<u@here.example>", "EHLO d.example", "QUIT"]),
    ("recipients that are refused are told of", ["steps=800", MACROS], [*BEGIN, "RCPT TO:<nobody@else.example>", "RCPT TO:<u@here.example>", "QUIT"]),
    ("macros", [MACROS], WHOLE),
    ("at the door another client came in by", [MACROS.replace("{client_addr}", "{daemon_port},{client_addr}")],
     ["EHLO p.example", "XCLIENT ADDR=192.0.2.77 NAME=[UNAVAILABLE] DESTADDR=192.0.2.25 DESTPORT=587", "EHLO c.example", *BEGIN[1:], "QUIT"]),
    ("its own macros", [MACROS, "symbols:2={mail_addr} {nothing}", "symbols:5=i"], WHOLE),
]


class Told:
    """The filter of libmilter."""

    def __init__(self, where, *options):
        self.process = subprocess.Popen([TOLD, where, *options], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        family, place = (socket.AF_INET, ("127.0.0.1", int(where.split(":")[1].split("@")[0]))) if where.startswith("inet") else (socket.AF_UNIX, where.partition(":")[2])

        def takes():
            try:
                with socket.socket(family) as s:
                    s.connect(place)
                return True
            except OSError:
                return False
        wait_for(takes)

    def heard(self):
        self.process.kill()
        text = self.process.stdout.read()
        self.process.wait()
        return text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def talk(port, said):
    """The replies, without what only one of the two can say."""
    replies = []
    with socket.create_connection(("127.0.0.1", port), 20) as s, s.makefile("rb") as f:
        def hear():
            lines = []
            while True:
                line = f.readline().decode().rstrip()
                lines.append(re.sub(r" \(P[A-Z0-9]{10}\)$", "", line))  # for `mansio policy why`
                if line[3:4] != "-":
                    return lines
        banner = hear()[0]
        replies.append(banner[:3] + (" not accepting" if "not accepting" in banner else ""))
        for one in said:
            try:
                s.sendall(one + b".\r\n" if isinstance(one, bytes) else one.encode() + b"\r\n")
                reply = hear()
            except ConnectionError:
                reply = [""]
            if isinstance(one, str) and one[1:4] in ("HLO", "ELO"):
                reply = [f"{len(reply) > 2}"]
            elif reply[0].startswith("220 mail.here.example ESMTP"):
                reply = ["greeted"]
            elif reply[0].startswith("250 2.0.0 Ok: queued"):
                reply = ["queued"]
            elif isinstance(one, str) and one.startswith("RCPT") and "denied" in reply[0]:
                reply = ["denied"]
            replies.append(reply)
    return replies


def events(text):
    """What the filter heard, without names that differ from server to server, and i, which Postfix knows at DATA."""
    found = []
    for line in text.splitlines():
        line = re.sub(r"\[(\[127\.0\.0\.1\]|localhost)\]", "[client]", line)
        line = re.sub(r" i=\S+", " i=ID", line)
        line = re.sub(r"_=(unknown|localhost) ", "_=client ", line)
        line = re.sub(r"v=\S+.*", "v=version", line)
        line = re.sub(r"denied.*", "denied", re.sub(r"rcpt_addr\}=<\S+>: ", "rcpt_addr}=", line))
        line = re.sub(r"rcpt_host\}=[45]\.7\.1", "rcpt_host}=X.7.1", line)
        if not re.search(r"\d   (close|abort) |\d (close|abort)$|mail_host\}|rcpt_host\}=[^X]|   (mail|rcpt) i=", line):
            found.append(line)
    return found


@pytest.fixture(scope="module")
def both():
    port = free_ports(1)[0]
    pair = Both(smtpd_milters=f"inet:127.0.0.1:{port}", milter_macro_v="version", myhostname="mail.here.example",
                smtpd_authorized_xclient_hosts="127.0.0.0/8")
    talk(pair.postfix.port, ["QUIT"])
    pair.milter = f"inet:{port}@127.0.0.1"
    yield pair
    pair.close()


def from_postfix(postfix, who):
    """Letters as they lie there: the mailbox's own fields taken off, and our Received field made plain."""
    found = []
    box = f"{postfix.home}/mail/{who}/new"
    for name in sorted(os.listdir(box)) if os.path.isdir(box) else []:
        with open(f"{box}/{name}", "rb") as f:
            found.append(plain(f.read().replace(b"\n", b"\r\n")))
        os.unlink(f"{box}/{name}")
    return found


def plain(letter):
    letter = re.sub(rb"\A(?:(?:X-Original-To|Delivered-To):.*\r\n|Return-Path: <(.*)>\r\n)+", lambda m: b"From-envelope: " + (m[1] or b"") + b"\r\n", letter)
    return re.sub(rb"^Received: from c\.example .*\r\n(?:[ \t].*\r\n)*", b"Received: own\r\n", letter, flags=re.M)


def from_ours(both, who):
    import imaplib
    with imaplib.IMAP4("127.0.0.1", both.ours.ports["imap"]) as i:
        i.starttls(ssl_context())
        i.login(f"{who}@here.example", "secret-of-theirs")
        i.select()
        found = []
        for n in i.search(None, "ALL")[1][0].split():
            found.append(plain(i.fetch(n, "(BODY.PEEK[])")[1][0][1]))
            i.store(n, "+FLAGS", "\\Deleted")
        i.expunge()
    return found


def quiet(both):
    wait_for(lambda: not os.listdir(f"{both.postfix.home}/queue/incoming") and not os.listdir(f"{both.postfix.home}/queue/active"))
    wait_for(lambda: "empty" in (out := both.ours.command("queue", check=False).stdout) or not out.strip())


@besides_postfix
@pytest.mark.parametrize("why,options,said", BESIDE, ids=[why for why, *_ in BESIDE])
def test_R175_a_filter_sees_and_does_what_it_does_in_postfix(both, why, options, said):
    with Told(both.milter, *options) as told:
        theirs = talk(both.postfix.port, said), None
        theirs = theirs[0], events(told.heard())
    with Told(both.milter, *options) as told:
        ours = talk(both.ours.ports["smtp"], said), None
        ours = ours[0], events(told.heard())
    assert ours[0] == theirs[0]
    assert ours[1] == theirs[1]
    quiet(both)
    for who in ("u", "other"):
        letters = from_postfix(both.postfix, who)
        wait_for(lambda: True)
        assert from_ours(both, who) == letters


class Strange:
    """A filter that is none: it does what `deal` does with each connection."""

    def __init__(self, deal):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.deal = deal
        self.kept = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.kept.append(connection)
            threading.Thread(target=self.deal, args=[connection], daemon=True).start()

    def close(self):
        self.socket.close()
        for connection in self.kept:
            connection.close()


GO_ON = b"\0\0\0\1c"
OPTIONS = b"\0\0\0\rO\0\0\0\6\0\0\1\xff\0\0\0\0"


def garbage(connection):
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def silent(connection):
    connection.recv(1)


def silent_later(connection):
    connection.recv(100)
    connection.sendall(OPTIONS)


def ends(connection):
    connection.close()


def answers_too_much(connection):
    connection.recv(100)
    connection.sendall(OPTIONS + GO_ON * 50)


STRANGE = [garbage, silent, silent_later, ends, answers_too_much]


def mail(house, sender="s@out.example", service="smtp"):
    with house.smtp(service) as s:
        s.ehlo("c.example")
        code, reply = s.docmd(f"MAIL FROM:<{sender}>")
        return code, reply.decode()


@pytest.mark.parametrize("deal", STRANGE, ids=[d.__name__ for d in STRANGE])
def test_a_filter_that_fails_costs_no_more_than_its_time(deal):
    """What is to be done then is done, the log hears of it once, and who has no such filter waits for nobody."""
    strange = Strange(deal)
    with House(smtpd_milters=f"{{ inet:127.0.0.1:{strange.port}, connect_timeout = 1s, command_timeout = 1s, default_action = tempfail }}",
               **{"submission/smtpd_milters": "", "submission/smtpd_tls_security_level": "may", "submission/smtpd_sasl_auth_required": "no",
                  "smtpd_peername_lookup": "no"}) as house:
        answered = []
        slow = threading.Thread(target=lambda: answered.append(mail(house)))
        slow.start()
        assert mail(house, service="submission")[0] == 250
        slow.join()
        assert answered == [(451, "4.7.1 Service unavailable - try again later")]
        assert mail(house)[0] == 451
        assert house.count("milter inet:127.0.0.1") == 1
        house.write_settings(smtpd_milters=f"{{ inet:127.0.0.1:{strange.port}, connect_timeout = 1s, command_timeout = 1s, default_action = accept }}")
        house.command("reload")
        wait_for(lambda: mail(house)[0] == 250)
    strange.close()


@pytest.mark.parametrize("told, at", [("connect=reject", "CONNECT"), ("mail=reply:550:5.7.9:no", "MAIL"), ("rcpt=reject", "RCPT"), ("data=reject", "DATA"),
                                      ("header@X-A=reject", "END-OF-MESSAGE"), ("eom=lines:554:5.6.0:no|way", "END-OF-MESSAGE")])
def test_what_a_filter_refuses_is_explained_by_the_id_in_the_reply_and_in_the_log(told, at):
    port = free_ports(1)[0]
    with Told(f"inet:{port}@127.0.0.1", told), House(smtpd_milters=f"inet:127.0.0.1:{port}", smtpd_peername_lookup="no") as house:
        house.command("domain", "add", "here.example")
        house.command("account", "add", "u@here.example", input="secret-of-theirs\n")
        house.at_work()
        with socket.create_connection(("127.0.0.1", house.ports["smtp"]), 20) as s, s.makefile("rb") as f:
            def hear():
                while (line := f.readline().decode())[3:4] == "-":
                    pass
                return line
            replies = [hear()]
            for line in (b"EHLO c", b"MAIL FROM:<s@out.example>", b"RCPT TO:<u@here.example>", b"DATA", LETTER + b"."):
                if replies[-1][0] not in "23":
                    break
                s.sendall(line + b"\r\n")
                replies.append(hear())
        this = re.search(r" \((P[A-Z0-9]{10})\)\r\n$", replies[-1]).group(1)
        why = wait_for(lambda: (d := house.command("policy", "why", this, check=False)).returncode == 0 and d.stdout)
        assert f"  rule: smtpd_milters inet:127.0.0.1:{port}\n" in why, why
        if at != "CONNECT":              # the greeting has an id of its own
            assert re.search(rf"milter-reject: {at} from .* rule=smtpd_milters milter=inet:127\.0\.0\.1:{port} id={this}$", house.text(), re.MULTILINE), house.text()


@pytest.mark.parametrize("told, said", [("mail=reject", "milter-reject: MAIL "), ("rcpt=tempfail", "milter-reject: RCPT "), ("mail=discard", "milter-discard: MAIL "),
                                        ("eom=reject", "milter-reject: END-OF-MESSAGE "), ("eom=hold:look", "milter-hold: END-OF-MESSAGE "),
                                        ("eom=discard", "milter-discard: END-OF-MESSAGE ")])
def test_of_several_filters_the_log_names_the_one_that_did_it(told, said):
    first, second, third = free_ports(3)
    with Told(f"inet:{first}@127.0.0.1", "eom=add:X-First:one"), Told(f"inet:{second}@127.0.0.1", told), Told(f"inet:{third}@127.0.0.1"), \
         House(smtpd_milters=", ".join(f"inet:127.0.0.1:{port}" for port in (first, second, third)), smtpd_peername_lookup="no") as house:
        house.command("domain", "add", "here.example")
        house.command("account", "add", "u@here.example", input="secret-of-theirs\n")
        house.at_work()
        talk(house.ports["smtp"], WHOLE)
        line = wait_for(lambda: [one for one in house.text().splitlines() if said in one])[0]
        assert re.search(rf" milter=inet:127\.0\.0\.1:{second}( |$)", line), line


def test_a_filter_that_is_away_is_asked_again():
    port = free_ports(1)[0]
    with House(smtpd_milters=f"inet:127.0.0.1:{port}", milter_default_action="accept", smtpd_peername_lookup="no") as house:
        assert mail(house)[0] == 250
        with Told(f"inet:{port}@127.0.0.1", "mail=reject"):
            assert mail(house)[0] == 550
            wait_for(lambda: house.count("answers again") == 1)
        assert mail(house)[0] == 250


def test_filters_of_one_client_and_of_one_listener(tmp_path):
    port = free_ports(1)[0]
    tmp_path.chmod(0o755)
    table = tmp_path / "clients"
    table.write_text("127.0.0.1 DISABLE\n")
    with Told(f"inet:{port}@127.0.0.1", "mail=reject"), House(smtpd_milters=f"inet:127.0.0.1:{port}", smtpd_peername_lookup="no") as house:
        assert mail(house)[0] == 550
        house.write_settings(smtpd_milter_maps=f"texthash:{table}")
        house.command("reload")
        wait_for(lambda: mail(house)[0] == 250)
        house.write_settings(smtpd_milter_maps="", **{"smtp/smtpd_milters": ""})
        house.command("reload")
        wait_for(lambda: mail(house)[0] == 250)


def test_filters_of_one_client_come_from_any_table(tmp_path):
    """Several in one value, and a table of another server (Postfix's own socketmap): the client waits for it."""
    ports = free_ports(3)
    asked = []

    def serve(server):
        while True:
            try:
                c, _ = server.accept()
            except OSError:
                return
            with c:
                while data := c.recv(4096):
                    asked.append(data)
                    text = f"OK inet:127.0.0.1:{ports[0]}, {{ inet:127.0.0.1:{ports[1]}, command_timeout = 20s }}"
                    c.sendall(f"{len(text)}:{text},".encode())
    with socket.create_server(("127.0.0.1", ports[2])) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        with Told(f"inet:{ports[0]}@127.0.0.1", "eom=add:X-One:1") as one, Told(f"inet:{ports[1]}@127.0.0.1", "mail@s@out=reject") as two, \
                House(smtpd_milters="inet:127.0.0.1:1", smtpd_milter_maps=f"socketmap:inet:127.0.0.1:{ports[2]}:filters",
                      smtpd_milter_map_filters=", ".join(f"inet:127.0.0.1:{p}" for p in ports[:2]), smtpd_peername_lookup="no") as house:
            assert mail(house)[0] == 550
            assert any(b"filters 127.0.0.1" in a for a in asked)
            table = tmp_path / "clients"
            tmp_path.chmod(0o755)
            table.write_text(f"127.0.0.1 inet:127.0.0.1:{ports[0]} inet:127.0.0.1:{ports[1]}\n")
            house.write_settings(smtpd_milter_maps=f"texthash:{table}")
            house.command("reload")
            wait_for(lambda: mail(house)[0] == 550)
            assert "mail" in one.heard() and "mail" in two.heard()


def test_a_filter_that_hangs_holds_nobody_else():
    """It takes connections and says nothing: its own clients wait as long as it is set, others do not notice."""
    port = free_ports(1)[0]
    with socket.create_server(("127.0.0.1", port)), \
            House(smtpd_milters=f"{{ inet:127.0.0.1:{port}, connect_timeout = 3s, default_action = accept }}", smtpd_peername_lookup="no",
                  mynetworks="127.0.0.0/8", **{"lmtp/smtpd_milters": ""}) as house:
        held = [socket.create_connection(("127.0.0.1", house.ports["smtp"]), 60) for _ in range(20)]
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", house.ports["lmtp"]), 20) as s:
                assert s.recv(200).startswith(b"220")
                s.sendall(b"LHLO c\r\n")
                assert s.recv(2000).startswith(b"250")
        for s in held:
            s.setblocking(False)
            try:
                assert not s.recv(200), "they were greeted before the others"
            except BlockingIOError:
                pass
            s.settimeout(60)
        for s in held:
            assert s.recv(200).startswith(b"220"), "trusted ones wait for the filter's time and no longer"
            s.close()
        assert house.count("milter inet:127.0.0.1") >= 1


@pytest.mark.parametrize("where", ["connect", "mail", "eom"])
def test_who_leaves_while_a_filter_thinks_gives_its_place_back(where):
    """The filter's time is long; the place of a client that has gone is free long before, and a letter it had ended goes its way."""
    port = free_ports(1)[0]
    with Told(f"inet:{port}@127.0.0.1", f"{where}=sleep:600"), \
            House(smtpd_milters=f"inet:127.0.0.1:{port}", smtpd_peername_lookup="no", smtpd_client_connection_count_limit="3",
                  smtpd_client_event_limit_exceptions="", local_recipient_maps="") as house:
        for _ in range(3):
            s = socket.create_connection(("127.0.0.1", house.ports["smtp"]), 60)
            if where != "connect":
                assert s.recv(300).startswith(b"220")
                s.sendall(b"HELO c.example\r\n")
                assert s.recv(300).startswith(b"250")
                s.sendall(b"MAIL FROM:<a@b.example>\r\n")
            if where == "eom":
                for line in (b"RCPT TO:<u>\r\n", b"DATA\r\n", b"Subject: x\r\n\r\nx\r\n.\r\n"):
                    s.recv(300)
                    s.sendall(line)
            s.close()
        wait_for(lambda: house.count("lost connection after") == 3)
        with socket.create_connection(("127.0.0.1", house.ports["lmtp"]), 60) as s:
            assert s.recv(200)


def test_a_session_from_a_pipe_hears_its_answers():
    """Who has said all and sent the end of file still reads: a filter that answers is waited for."""
    port = free_ports(1)[0]
    with Told(f"inet:{port}@127.0.0.1", "mail=sleep:1"), House(smtpd_milters=f"inet:127.0.0.1:{port}", smtpd_peername_lookup="no") as house:
        with socket.create_connection(("127.0.0.1", house.ports["smtp"]), 60) as s:
            s.sendall(b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nQUIT\r\n")
            s.shutdown(socket.SHUT_WR)
            heard = b"".join(iter(lambda: s.recv(4096), b""))
        assert b"\r\n250 2.1.0 Ok\r\n221 2.0.0 Bye" in heard, heard


def test_one_after_the_other_and_through_a_socket(tmp_path):
    """The second sees what the first has made; a large letter goes the way of a small one; quarantine is hold."""
    tmp_path.chmod(0o755)
    port = free_ports(1)[0]
    path = tempfile.mkdtemp(prefix="milter-", dir="/tmp")
    os.chmod(path, 0o755)
    with Told(f"unix:{path}/socket", "eom=add:X-First:one", "eom=change:1:Subject:of the first", "eom=body:Body of the first\\n"):
        os.chmod(f"{path}/socket", 0o666)
        with Told(f"inet:{port}@127.0.0.1", "eom=hold:look at it", "header@X-First=continue", "macros=i") as second:
            with House(smtpd_milters=f"unix:{path}/socket, inet:127.0.0.1:{port}", smtpd_peername_lookup="no") as house:
                house.command("domain", "add", "here.example")
                house.command("account", "add", "u@here.example", input="secret-of-theirs\n")
                talk(house.ports["smtp"], WHOLE)
                large = LETTER + b"x" * 70 + b"\r\n"
                talk(house.ports["smtp"], [*BEGIN[:1], "MAIL FROM:<s@out.example>", WHOLE[2], "DATA", LETTER + (b"x" * 70 + b"\r\n") * 20000, "QUIT"])
                assert len(large) and house.count("milter-hold: END-OF-MESSAGE") == 2
                assert len(re.findall(r"\bhold\b", wait_for(lambda: house.command("queue", "list", check=False).stdout))) >= 2
            heard = second.heard()
    assert heard.count("header [X-First] [one]") == 2 and heard.count("header [Subject] [of the first]") == 2
    assert heard.count("body [19 Body of the first\\r\\n]") == 2
    shutil.rmtree(path)


def test_R24_what_filters_put_in_quarantine_is_for_its_users_if_wished():
    """milter_quarantine = mailbox: whoever has a mailbox here finds it aside; a reason that may not be released is held."""
    port = free_ports(1)[0]
    path = tempfile.mkdtemp(prefix="milter-", dir="/tmp")
    os.chmod(path, 0o755)
    with Told(f"inet:{port}@127.0.0.1", "eom=hold:looks like spam"), Told(f"unix:{path}/socket", "eom=hold:dangerous"), \
            House(smtpd_milters=f"inet:127.0.0.1:{port}", smtpd_peername_lookup="no", milter_quarantine="mailbox",
                  quarantine_mailbox="Aside", quarantine_releasable="*spam*") as house:
        os.chmod(f"{path}/socket", 0o666)
        house.command("domain", "add", "here.example")
        house.command("account", "add", "u@here.example", input="secret-of-theirs\n")
        talk(house.ports["smtp"], WHOLE)
        wait_for(lambda: "1" in house.command("doveadm", "mailbox", "status", "-u", "u@here.example", "messages", "Aside", check=False).stdout)
        house.write_settings(smtpd_milters=f"unix:{path}/socket")
        house.stop()
        house.start()
        talk(house.ports["smtp"], WHOLE)
        wait_for(lambda: "dangerous" in house.command("queue", "list", check=False).stdout)
        assert "messages=1" in house.command("doveadm", "mailbox", "status", "-u", "u@here.example", "messages", "Aside").stdout
    shutil.rmtree(path)


def test_fields_that_filters_make_are_checked():
    """milter_header_checks: the letter's own fields are not looked up, those a filter adds or changes are."""
    port = free_ports(1)[0]
    options = ["eom=add:X-Spam:high", "eom=insert:0:X-Front:one", "eom=add:X-Secret:path", "eom=change:1:Subject:new"]
    with Told(f"inet:{port}@127.0.0.1", *options):
        def checks(*rows):
            return "pcre:{ " + ", ".join("{" + r + "}" for r in rows) + " }"
        with House(smtpd_milters=f"inet:127.0.0.1:{port}", smtpd_peername_lookup="no",
                   milter_header_checks=checks("/^X-A:/ REJECT its own", "/^X-Secret:/ IGNORE", "/^X-Front:/ REPLACE X-Begin: two", "/^Subject: new/ WARN seen")) as house:
            house.command("domain", "add", "here.example")
            house.command("account", "add", "u@here.example", input="secret-of-theirs\n")
            assert talk(house.ports["smtp"], WHOLE)[-2] == ["queued"]
            assert wait_for(lambda: house.count("warning: header Subject: new from") == 1)

            def letters():
                import imaplib
                with imaplib.IMAP4("127.0.0.1", house.ports["imap"]) as i:
                    i.starttls(ssl_context())
                    i.login("u@here.example", "secret-of-theirs")
                    i.select()
                    return [i.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in i.search(None, "ALL")[1][0].split()]
            [got] = wait_for(letters)
            assert b"\r\nX-Begin: two\r\nReceived: " in b"\r\n" + got and b"X-Front" not in got and b"X-Secret" not in got
            assert b"\r\nX-Spam: high\r\n" in got and b"\r\nSubject: new\r\n" in got and b"\r\nX-A: 2\r\n" in got
            for action, reply in [("REJECT 5.7.9 no spam", "550 5.7.9 no spam"), ("DISCARD", "queued"), ("HOLD wait", "queued")]:
                house.write_settings(milter_header_checks=checks(f"/^X-Spam: high/ {action}"))
                house.command("reload")
                wait_for(lambda: talk(house.ports["smtp"], WHOLE)[-2][0].startswith(reply))
            assert "hold: header X-Spam: high" in house.text() and len(letters()) == 1
            house.write_settings(milter_header_checks="pgsql:/etc/nothing.cf")
            done = house.command("config", "check", check=False)
            assert done.returncode != 0 and "milter_header_checks" in done.stdout + done.stderr


def test_a_client_by_ipv6_in_tls_who_says_bdat():
    """The filter hears of the address, of TLS and of the user, and sees the same letter as by DATA."""
    import smtplib
    port, six = free_ports(2)
    macros = "macros={client_addr},{tls_version},{auth_authen},{auth_type},_"
    with Told(f"inet:{port}@127.0.0.1", macros, "eom=add:X-Seen:yes") as told:
        with House(smtpd_milters=f"inet:127.0.0.1:{port}", smtpd_peername_lookup="no", listen_submission=f"[::1]:{six}") as house:
            house.command("domain", "add", "here.example")
            house.command("account", "add", "u@here.example", input="secret-of-theirs\n")
            with smtplib.SMTP("::1", six, timeout=20) as s:
                s.starttls(context=ssl_context())
                s.login("u@here.example", "secret-of-theirs")
                s.mail("u@here.example")
                s.rcpt("u@here.example")
                s.send(f"BDAT {len(LETTER) - 7}\r\n".encode() + LETTER[:-7])
                assert s.getreply()[0] == 250
                s.send(b"BDAT 7 LAST\r\n" + LETTER[-7:])
                assert s.getreply()[0] == 250
            wait_for(lambda: house.count(": removed") == 1)
        heard = told.heard()
    assert "::1" in heard and "TLSv1.3" in heard and "{auth_authen}=u@here.example" in heard
    assert "header [X-NoBlank] [z]" in heard and "body [20 Body line 1\\r\\n..dot\\r\\n]" in heard


@pytest.mark.skipif(shutil.which("opendkim") is None or shutil.which("opendkim-genkey") is None, reason="needs OpenDKIM")
def test_opendkim_signs_and_verifies(tmp_path):
    """What one of our listeners has signed the verifier of another calls good; a byte changed, and it does not."""
    signing, checking = free_ports(2)
    work = tempfile.mkdtemp(prefix="opendkim-")
    subprocess.run(["opendkim-genkey", "-D", work, "-d", "here.example", "-s", "sel"], check=True)
    with open(f"{work}/sel.txt") as f:
        record = "".join(re.findall(r'"([^"]*)"', f.read()))
    with open(f"{work}/keys", "w") as f:
        f.write(f"sel._domainkey.here.example {record}\n")
    for name, mode, port in (("sign", "s", signing), ("verify", "v", checking)):
        with open(f"{work}/{name}.conf", "w") as f:
            f.write(f"Mode {mode}\nSocket inet:{port}@127.0.0.1\nDomain here.example\nSelector sel\nKeyFile {work}/sel.private\n"
                    f"InternalHosts {work}/{name}-hosts\nSyslog no\nCanonicalization relaxed/simple\nAuthservID mail.here.example\n"
                    f"AlwaysAddARHeader yes\nTestDNSData {work}/keys\nRequireSafeKeys no\n")
        with open(f"{work}/{name}-hosts", "w") as f:
            f.write("127.0.0.1\n" if mode == "s" else "192.0.2.1\n")
    running = [subprocess.Popen(["opendkim", "-f", "-x", f"{work}/{name}.conf"]) for name in ("sign", "verify")]
    try:
        for port in (signing, checking):
            wait_for(lambda: answers(port))
        with House(myhostname="mail.here.example", smtpd_peername_lookup="no", mynetworks="",
                   **{"smtp/smtpd_milters": f"inet:127.0.0.1:{signing}", "lmtp/smtpd_milters": f"inet:127.0.0.1:{checking}"}) as house:
            house.command("domain", "add", "here.example")
            house.command("account", "add", "u@here.example", input="secret-of-theirs\n")
            letter = b"From: <u@here.example>\r\nTo: <u@here.example>\r\nSubject: signed\r\nDate: Sun, 1 Jan 2023 00:00:00 +0000\r\nMessage-ID: <1@here.example>\r\n\r\nHello.\r\n"
            talk(house.ports["smtp"], ["EHLO c.example", "MAIL FROM:<u@here.example>", "RCPT TO:<u@here.example>", "DATA", letter, "QUIT"])
            signed = one_letter(house)
            assert b"DKIM-Signature:" in signed and b"d=here.example" in signed
            signed = signed[signed.index(b"DKIM-Signature:"):]
            for content, result in ((signed, b"dkim=pass"), (signed.replace(b"Hello.", b"Hullo."), b"dkim=fail")):
                talk(house.ports["lmtp"], ["LHLO c.example", "MAIL FROM:<u@here.example>", "RCPT TO:<u@here.example>", "DATA", content, "QUIT"])
                assert result in one_letter(house)
    finally:
        for process in running:
            process.kill()
            process.wait()
        shutil.rmtree(work)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def one_letter(house):
    """The letter that has come; it is there no more."""
    import imaplib

    def look():
        with imaplib.IMAP4("127.0.0.1", house.ports["imap"]) as i:
            i.starttls(ssl_context())
            i.login("u@here.example", "secret-of-theirs")
            i.select()
            found = i.search(None, "ALL")[1][0].split()
            if not found:
                return None
            letter = i.fetch(found[0], "(BODY.PEEK[])")[1][0][1]
            i.store(found[0], "+FLAGS", "\\Deleted")
            i.expunge()
            return letter
    return wait_for(look)


@pytest.mark.skipif(shutil.which("clamd") is None or shutil.which("clamav-milter") is None, reason="needs ClamAV")
def test_clamav_milter_finds_what_its_signature_says(tmp_path):
    """clamd with one signature of our own; its filter refuses the letter that has it, and the other comes with its field."""
    port, = free_ports(1)
    work = tempfile.mkdtemp(prefix="clamav-")
    os.chmod(work, 0o755)
    os.mkdir(f"{work}/db")
    bad = b"this-string-stands-for-a-virus-of-the-test"
    with open(f"{work}/db/test.ndb", "w") as f:
        f.write(f"Test.Virus:0:*:{bad.hex()}\n")
    with open(f"{work}/clamd.conf", "w") as f:
        f.write(f"LocalSocket {work}/clamd.ctl\nLocalSocketMode 666\nDatabaseDirectory {work}/db\nForeground yes\nTemporaryDirectory {work}\n")
    with open(f"{work}/milter.conf", "w") as f:
        f.write(f"MilterSocket inet:{port}@127.0.0.1\nClamdSocket unix:{work}/clamd.ctl\nForeground yes\nOnInfected Reject\n"
                f"RejectMsg we found %v in it\nAddHeader Replace\nTemporaryDirectory {work}\nUser root\n")
    clamd = subprocess.Popen(["clamd", "-c", f"{work}/clamd.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    milter = None
    try:
        wait_for(lambda: os.path.exists(f"{work}/clamd.ctl") or clamd.poll() is not None, 60)
        milter = subprocess.Popen(["clamav-milter", "-c", f"{work}/milter.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: answers(port))
        with House(smtpd_milters=f"inet:127.0.0.1:{port}", smtpd_peername_lookup="no") as house:
            house.command("domain", "add", "here.example")
            house.command("account", "add", "u@here.example", input="secret-of-theirs\n")
            replies = talk(house.ports["smtp"], [*WHOLE[:4], LETTER + bad + b"\r\n", "QUIT"])
            assert replies[5][0].startswith("5") and "we found Test.Virus.UNOFFICIAL in it" in replies[5][0]
            assert talk(house.ports["smtp"], WHOLE)[5] == ["queued"]
            letter = one_letter(house)
            assert b"X-Virus-Scanned: clamav-milter" in letter and b"X-Virus-Status: Clean" in letter
    finally:
        for process in (milter, clamd):
            if process is not None:
                process.kill()
                process.wait()
        shutil.rmtree(work)


def kill_policy(house):
    """When it is at work again."""
    os.kill(next(p["pid"] for p in house.at_work() if p["role"] == "policy"), 9)
    wait_for(lambda: any(p["role"] == "policy" and p["restarts"] > 0 for p in house.at_work()))


def test_who_asks_the_filters_dies_and_clients_leave():
    """What was going on is put off, what comes then goes its way; a letter whose client has left goes it, too."""
    port = free_ports(1)[0]
    with Told(f"inet:{port}@127.0.0.1", "eom=sleep:1"), House(smtpd_milters=f"inet:127.0.0.1:{port}", smtpd_peername_lookup="no") as house:
        house.command("domain", "add", "here.example")
        house.command("account", "add", "u@here.example", input="secret-of-theirs\n")
        with house.smtp() as s:
            s.ehlo("c.example")
            assert s.docmd("MAIL FROM:<a@b.example>")[0] == 250
            kill_policy(house)
            assert s.docmd("RCPT TO:<u@here.example>")[0] == 451
        s = house.smtp()
        s.ehlo("c.example")
        for command in ("MAIL FROM:<a@b.example>", "RCPT TO:<u@here.example>", "DATA"):
            assert s.docmd(command)[0] in (250, 354)
        s.send(b"Subject: left\r\n\r\nHello.\r\n.\r\n")
        s.sock.close()
        assert b"Subject: left" in one_letter(house)
