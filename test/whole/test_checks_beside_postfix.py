# SPDX-License-Identifier: ISC
"""header_checks, body_checks and their like given to Postfix and to us: what each says of the same odd letters, in its
reply and in its log, and what is left of them.

Postfix runs as an instance of its own in a directory under /tmp, on the loopback.
"""

import glob
import imaplib
import os
import re
import shutil
import socket
import subprocess
import tempfile

import pytest
from house import House, free_ports, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("postfix") is None, reason="needs root and Postfix")

MASTER = """127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
ALL = {
    "header_checks": "pcre:{ {/^Received:/ DUNNO}, {/^/ WARN H} }",
    "mime_header_checks": "pcre:{ {/^/ WARN M} }",
    "nested_header_checks": "pcre:{ {/^/ WARN N} }",
    "body_checks": "pcre:{ {/^/ WARN B} }",
}
FILES = {"header": r"""
/^Received:.*\bESMTPA\b/ IGNORE
/^Received:/ DUNNO
/^Subject: (.*)reject/ REJECT no $1 please
/^Subject: plain no/ REJECT
/^Subject: later/ REJECT 4.7.9 come again
/^Subject: status/ REJECT 5.7.77 with its own
/^Subject: warn/ WARN be warned
/^Subject: info/ INFO told
/^Subject: prepend/ PREPEND X-Before: it
/^Subject: bad prepend/ PREPEND no field
/^Subject: replace (.*)/ REPLACE Subject: instead of $1
/^Subject: bad replace/ REPLACE nothing of it
/^X-Gone:/ IGNORE
/^X-Strip:/ STRIP why not
/^X-Pass:/ PASS good friend
/^X-Hold:/ HOLD a look first
/^X-Discard:/ DISCARD not wanted
/^X-Filter: (.*)/ FILTER $1
/^X-Bcc: (.*)/ BCC $1
/^X-Redirect: (.*)/ REDIRECT $1
/^X-What:/ WHAT is this
/^X-Case:/ reJect by case
/^X-Folded:(\s+one)(.*)$/ REPLACE X-Folded:$2
/^X-Break: (.*)/ REPLACE X-Broken: a${1}
/^X-Ok:/ OK
""", "mime": r"""
/^Content-Type:.*name\s*=\s*"?[^"]*\.exe/ REJECT no programs
/^Content-Disposition:/ IGNORE
/^Content-ID:/ PREPEND X-Id-Follows: yes
""", "nested": r"""
/^Subject: inner/ REJECT inside
/^X-Inner:/ IGNORE
""", "body": r"""
/^drop this/ IGNORE
/^strip this/ STRIP stripped
/replace this/ REPLACE with that
/prepend here/ PREPEND before it
/^bad words/ REJECT
/^(.*)4.4.4/ REJECT 4.4.4 later
/^warn/ WARN in the body
"""}

# Why, and the letter.
WALKED = [
    ("folds, kinds of fields, parts within parts", b'Subject: one\r\n two\r\n\tthree\r\nMIME-Version: 1.0\r\nContent-Foo: 3\r\nContent-ID: 1\r\nContent-MD5: x\r\nContent-Description: d\r\nContent-Disposition: i\r\nContent-Type: multipart/mixed; boundary="b"\r\nX-Empty:\r\n\r\npreamble\r\n--b\r\nContent-Type: message/rfc822\r\nMIME-Version: 2\r\n\r\nSubject: nested\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\nnested body\r\n--c\r\nX: in c\r\n\r\nbody c\r\n--b\r\nX: in b again\r\n\r\nx\r\n--c\r\nX: no\r\n\r\n--b--\r\n--b\r\nX-after: end\r\n'),
    ("lines that are no fields in a part's header", b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nbad line\r\nfoo\r\n--b\r\nX-Only: header\r\n--b\r\nX: y\r\nnot a header here\r\n more\r\n\r\n--b--\r\nX-epi: logue\r\n'),
    ("a body that begins without an empty line", b'Subject: x\r\nThis is body\r\n'),
    ("blanks before a colon", b'Subject : spaced\r\nX: a\r\nX-tab\t: z\r\nX:y\r\nX-fold:\r\n z\r\nX-ws: a\r\n \r\n b\r\n\r\n\r\nb\r\n'),
    ("a long line comes in pieces", b'Subject: long\r\n\r\n' + b'a' * 2040 + b'BCDEFGHIJKLMNOP\r\n'),
    ("NUL hides what is behind it", b'Subject: a\0b\r\n\r\nx\0y\r\n'),
    ("a letter inside with an encoding", b'Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nSubject: in\r\n\r\nContent: no\r\n'),
    ("a letter with addresses in UTF-8 inside", b'Content-Type: message/global\r\n\r\nSubject: g\r\n\r\nb\r\n'),
    ("a line that begins with a boundary", b'Content-Type: multipart/mixed;\r\n boundary=b\r\n\r\n--bX\r\nContent-Type: text/html\r\n\r\nhi\r\n'),
    ("a digest's parts are letters", b'Content-Type: multipart/digest;\r\n boundary=b\r\n\r\n--b\r\n\r\nSubject: digest\r\n\r\nhi\r\n--b--\r\n'),
    ("other messages are text", b'Content-Type: message/partial;\r\n boundary=b\r\n\r\nX: y\r\n\r\n'),
    ("a report of delivery is text", b'Content-Type: message/delivery-status\r\n\r\nX: y\r\n\r\nA: b\r\n'),
    ("the first of two boundaries holds", b'Content-Type: multipart/mixed; boundary="a b"; boundary=c\r\n\r\n--a b\r\nX: 1\r\n\r\n--c\r\nX: 2\r\n\r\n'),
    ("no boundary", b'Content-Type: multipart/mixed\r\n\r\n--\r\nX: 1\r\n\r\n'),
    ("an empty boundary", b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\nX: 1\r\n\r\n'),
    ("comments in the type", b'Content-Type: (c) multipart (x) / mixed; x=y (c); boundary = (d) "e\\"f"\r\n\r\n--e"f\r\nX: 1\r\n\r\n'),
    ("two types", b'Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: 1\r\n\r\n--b\r\n'),
    ("boundaries that begin alike", b'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\nX: 1\r\n\r\n--bb--\r\n--b  \r\nX: 2\r\n\r\n--b-- x\r\nX:3\r\n'),
    ("a blank before a boundary", b'Content-Type: multipart/mixed; boundary=b\r\n\r\n --b\r\nX: 1\r\n\r\n--b x\r\nX: 2\r\n\r\n'),
    ("a name with 8-bit bytes", b'Sub\xe9ct: x\r\nX: y\r\n\r\nb\r\n'),
    ("no name at all", b'Subject: x\r\n: empty\r\n\r\nb\r\n'),
]
ACTED = [
    b"Subject: please reject this\r\n\r\nx\r\n",
    b"Subject: plain no\r\n\r\nx\r\n",
    b"Subject: later\r\n\r\nx\r\n",
    b"Subject: status\r\n\r\nx\r\n",
    b"Subject: warn\r\n\r\nwarn\r\n",
    b"Subject: info\r\n\r\nx\r\n",
    b"X-A: 1\r\nSubject: prepend\r\nX-B: 2\r\n\r\nx\r\n",
    b"Subject: bad prepend\r\n\r\nx\r\n",
    b"X-A: 1\r\nSubject: replace this\r\n and that\r\nX-B: 2\r\n\r\nx\r\n",
    b"Subject: bad replace\r\n\r\nx\r\n",
    b"X-Gone: 1\r\n 2\r\nSubject: x\r\nX-Gone: 3\r\nX-Strip: 4\r\n\r\nx\r\n",
    b"X-Pass: 1\r\nSubject: plain no\r\n\r\nbad words\r\n",
    b"Subject: x\r\nX-What: 1\r\n\r\nx\r\n",
    b"Subject: x\r\nX-Case: 1\r\n\r\nx\r\n",
    b"Subject: x\r\nX-Ok: 1\r\n\r\nx\r\n",
    b"Subject: x\r\nX-Folded:\r\n one\r\n two\r\n\tthree\r\nX-Z: 1\r\n\r\nx\r\n",
    b"Subject: x\r\nX-Discard: 1\r\nX-Pass: 1\r\n\r\nbad words\r\n",
    b"Subject: x\r\nX-Bcc: other@here.example\r\n\r\nx\r\n",
    b"Subject: x\r\nX-Bcc: nobody\r\nX-Redirect: nowhere\r\nX-Filter: nothing\r\n\r\nx\r\n",
    b"Subject: x\r\n\r\na\r\ndrop this\r\nb\r\nstrip this\r\nplease replace this\r\nprepend here\r\nc\r\n",
    b"Subject: x\r\n\r\nbad words\r\nwarn\r\n",
    b"Subject: x\r\n\r\nwarn\r\nx 4.4.4\r\nbad words\r\n",
    b'Subject: x\r\nContent-Type: application/octet-stream;\r\n\tname="a.exe"\r\n\r\nx\r\n',
    b'Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment\r\nContent-ID: <1>\r\n\r\ndrop this\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nX-Inner: 1\r\nSubject: x\r\nX-Gone: stays\r\n\r\nx\r\n--b--\r\n',
    b'Subject: x\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n',
    b'Subject: x\r\nX-Hold: 1\r\nX-Hold: 2\r\nX-Redirect: u@here.example\r\nX-Pass: 1\r\n\r\nbad words\r\n',
    b'Subject: x\r\nX-Redirect: other@here.example\r\nSubject: plain no\r\n\r\nbad words\r\n',
]
STRICT = [
    b'Subject: \xe9\r\n\r\nb\r\n', b'Subject: x\r\n\r\n\xe9\r\n', b'Subject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe9\r\n',
    b'Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n--b\r\n\r\nx\r\n',
    b'Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSubject: x\r\n\r\nx\r\n',
    b'Content-Type: multipart/mixed; boundary=' + b'x' * 100 + b'y\r\n\r\n--' + b'x' * 20 + b'z\r\nX: 1\r\n\r\n--b\r\n',
    b''.join(b'Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n' % (i, i) for i in range(4)) + b'\r\n',
    b''.join(b'Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n' % (i, i) for i in range(9)) + b'\r\n',
    b'Content-Transfer-Encoding: foo\r\n\r\n\xe9\r\n', b'Content-Transfer-Encoding: binary\r\n\r\n\xe9\r\n',
    b'Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe9\r\n',
    b'Subject: x\r\n\r\n' + b'1234567890\r\n' * 12,
    b'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n' + b'1234567890\r\n' * 12 + b'--b\r\n\r\n' + b'abcde\r\n' * 12,
]
LIMITS = {"strict_8bitmime": "yes", "strict_mime_encoding_domain": "yes", "mime_nesting_limit": "3",
          "mime_boundary_length_limit": "20", "body_checks_size_limit": "64"}


class Postfix:
    def __init__(self, **settings):
        self.home = tempfile.mkdtemp(prefix="checks-postfix-")
        os.chmod(self.home, 0o755)
        self.port = free_ports(1)[0]
        for name in ("etc", "queue", "data", "mail"):
            os.mkdir(f"{self.home}/{name}")
        shutil.chown(f"{self.home}/data", "postfix")
        os.chown(f"{self.home}/mail", 5000, 5000)
        with open(f"{self.home}/etc/main.cf", "w") as f:
            f.write(f"""
compatibility_level = 3.6
queue_directory = {self.home}/queue
data_directory = {self.home}/data
maillog_file = {self.home}/log
maillog_file_prefixes = {self.home}
inet_interfaces = 127.0.0.1
mynetworks = 192.0.2.1
local_header_rewrite_clients =
myhostname = mail.here.example
mydestination =
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
virtual_mailbox_domains = here.example
virtual_mailbox_base = {self.home}/mail
virtual_mailbox_maps = inline:{{ {{u@here.example = u/}}, {{other@here.example = other/}} }}
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
smtputf8_enable = no
""" + "".join(f"{n} = {v}\n" for n, v in settings.items()))
        with open(f"{self.home}/etc/master.cf", "w") as f:
            f.write(MASTER.format(port=self.port))
        subprocess.run(["postfix", "-c", f"{self.home}/etc", "start"], check=True, capture_output=True, timeout=60)

    def close(self):
        subprocess.run(["postfix", "-c", f"{self.home}/etc", "stop"], capture_output=True, timeout=60)
        shutil.rmtree(self.home, ignore_errors=True)

    def text(self):
        try:
            with open(f"{self.home}/log", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def removed(self, reply):
        return f"{reply.split()[-1]}: removed" in self.text()

    def letters(self, who):
        """What lies in the mailbox, and then no more."""
        found = []
        for path in sorted(glob.glob(f"{self.home}/mail/{who}/new/*")):
            with open(path, "rb") as f:
                found.append(own(f.read().replace(b"\n", b"\r\n")))
            os.unlink(path)
        return found


def own(letter):
    """Without what servers put before it."""
    return re.sub(rb"\A(?:(?:Return-Path|X-Original-To|Delivered-To|Received|Message-ID|Date):.*\r\n(?:[ \t].*\r\n)*)+", b"", letter, flags=re.I)


def send(port, letter, to=("u@here.example",), first=()):
    with socket.create_connection(("127.0.0.1", port), 20) as s, s.makefile("rb") as replies:
        def hear():
            while True:
                line = replies.readline().decode()
                if line[3:4] != "-":
                    return line.strip()
        hear()
        for command in ["EHLO client.example", *first, "MAIL FROM:<a@example.org>", *(f"RCPT TO:<{one}>" for one in to), "DATA"]:
            s.sendall(command.encode() + b"\r\n")
            assert hear()[0] in "23", command
        s.sendall(letter + b".\r\n")
        return re.sub(r" \(P[A-Z0-9]{10}\)$", "", hear())  # by which `mansio policy why` knows it


def notes(text):
    """What the log says of fields and lines: class, what, text."""
    found = []
    for line in text.split("\n"):
        line = re.sub(r"\\x[0-9a-f]{2}", "?", line)  # as ours shows what Postfix shows as ?
        m = re.search(r": (\w+): ((?:header|body|mime-error) .*) from \S+\[127\.0\.0\.1\]; from=<(\S*)> to=<(\S*)>(?: proto=(\S+) helo=<(\S*)>)?(?:: (.*?))?(?: rule=\S+ id=P[A-Z0-9]{10})?$", line)
        if m and not m[2].startswith("header Received"):
            found.append((m[1], re.sub(r"[^ -~]", "?", m[2].replace("\ufffd", "?"))[:200], m[3], m[4], m[7]))
    return found


def meaning(reply):
    return re.sub(r"queued as .*", "queued", reply)


class Both:
    def __init__(self, **settings):
        self.postfix = Postfix(**settings)
        self.ours = House(virtual_mailbox_domains="", smtpd_peername_lookup="no", **settings)
        self.ours.start()
        self.ours.command("domain", "add", "here.example")
        for who in ("u", "other"):
            self.ours.command("account", "add", f"{who}@here.example", input="secret-of-theirs\n")
        wait_for(lambda: self.ready())
        self.sessions = 1
        wait_for(self.told)

    def ready(self):
        try:
            socket.create_connection(("127.0.0.1", self.postfix.port), 1).close()
            return True
        except OSError:
            return False

    def told(self):
        """Whether the log of Postfix, which another process writes, has come to the end of all sessions there were."""
        return self.postfix.text().count("disconnect from") >= self.sessions

    def close(self):
        self.ours.close()
        self.postfix.close()

    def said(self, letter, **more):
        """Reply and log of each."""
        before = len(self.postfix.text()), len(self.ours.text())
        self.sessions += 1
        theirs = send(self.postfix.port, letter, **more)
        wait_for(self.told)
        ours = send(self.ours.ports["smtp"], letter, **more)
        return (meaning(theirs), notes(self.postfix.text()[before[0]:])), (meaning(ours), notes(self.ours.text()[before[1]:])), theirs, ours

    def mailbox(self, who):
        with imaplib.IMAP4("127.0.0.1", self.ours.ports["imap"]) as i:
            i.starttls(ssl_context())
            i.login(f"{who}@here.example", "secret-of-theirs")
            i.select()
            found = []
            for n in i.search(None, "ALL")[1][0].split():
                found.append(own(i.fetch(n, "(BODY.PEEK[])")[1][0][1]))
                i.store(n, "+FLAGS", "\\Deleted")
            i.expunge()
            return found


def ssl_context():
    import ssl
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def walking():
    both = Both(**ALL)
    yield both
    both.close()


@pytest.fixture(scope="module")
def acting():
    tables = tempfile.mkdtemp(prefix="checks-tables-")
    os.chmod(tables, 0o755)
    for name, text in FILES.items():
        with open(f"{tables}/{name}", "w") as f:
            f.write(text)
    both = Both(header_checks=f"pcre:{tables}/header", mime_header_checks=f"pcre:{tables}/mime",
                nested_header_checks=f"pcre:{tables}/nested", body_checks=f"regexp:{tables}/body")
    both.tables = tables
    yield both
    both.close()
    shutil.rmtree(tables, ignore_errors=True)


@pytest.fixture(scope="module")
def strict():
    both = Both(**ALL, **LIMITS)
    yield both
    both.close()


@pytest.mark.parametrize("why,letter", WALKED, ids=[why for why, _ in WALKED])
def test_fields_and_lines_are_seen_as_postfix_sees_them(walking, why, letter):
    theirs, ours, *_ = walking.said(letter)
    assert ours == theirs and len(ours[1]) > 0


@pytest.mark.parametrize("letter", STRICT, ids=range(len(STRICT)))
def test_strict_rules_and_limits_are_those_of_postfix(strict, letter):
    theirs, ours, *_ = strict.said(letter)
    assert ours == theirs


@pytest.mark.parametrize("letter", ACTED, ids=[a.split(b"\r\n\r\n")[0].decode("latin-1").replace("\r\n", "|")[:60] for a in ACTED])
def test_actions_do_what_postfix_does(acting, letter):
    acting.mailbox("u"), acting.mailbox("other"), acting.postfix.letters("u"), acting.postfix.letters("other")
    theirs, ours, reply, _ = acting.said(letter)
    assert ours == theirs
    if reply.startswith("250") and b"X-Hold" not in letter and b"X-Discard" not in letter:
        wait_for(lambda: acting.postfix.removed(reply))
        left = {who: acting.postfix.letters(who) for who in ("u", "other")}
        count = sum(len(v) for v in left.values())
        found = {"u": [], "other": []}
        def come():
            for who in found:
                found[who] += acting.mailbox(who)
            return sum(len(v) for v in found.values()) >= count
        wait_for(come)
        assert found == left
