# SPDX-License-Identifier: ISC
"""Words of smtp_tls_policy_maps, and whom smtp_sasl_password_maps has a password for, beside Debian's Postfix: each case is a transport of its own at
both, to one host that takes all.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_sending_words_beside_postfix.py
"""

import base64
import hashlib
import os
import pathlib
import re
import shutil
import smtplib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from house import wait_for
from proved import Authority, Host, first_der
from test_sending import Receiver, Sink, house

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("postfix"), reason="needs root and Postfix")

# {print} is the fingerprint of the host's certificate with colons, {digits} without them.
WORDS = [
    "none", "none match=x", "MAY", "may match=localhost", "may protocols=TLSv1.2", "may ciphers=high", "encrypt protocols=TLSv1.2", "encrypt,protocols=TLSv1.2",
    "Encrypt PROTOCOLS=>=TLSv1.3", "encrypt protocols=TLSv1.2 protocols=TLSv1.3", "encrypt ciphers=high ciphers=high", "encrypt ciphers=best", "encrypt exclude=a exclude=b",
    "encrypt servername=mx.there.example", "encrypt servername=bad_name!", "encrypt servername=a.example servername=b.example", "encrypt servername=",
    "encrypt connection_reuse=no", "encrypt connection_reuse=maybe", "encrypt tafile=/x", "encrypt colour=red", "encrypt colour", "dane match=x",
    "verify", "verify match=LOCALHOST", "verify match=HOSTNAME", "verify match=NextHop", "verify match=other.example match=localhost", "verify match=other.example:localhost",
    "verify match=other.example", "verify match=", "secure", "secure match=dot-nexthop", "secure match=a.wild.example", "secure match=a.b.wild.example",
    "secure match=.there.example", "secure match=:localhost:", "fingerprint", "fingerprint match={print}", "fingerprint match={lower}", "fingerprint match={digits}",
    "fingerprint match=zz", "fingerprint match=zz|{print}", "fingerprint match=00:11|{digits}", "fingerprint match={print} protocols=TLSv1.2", "sure",
]


class Both:
    """A directory that both read tables from, and what both are set to, so that each line of a table leads to a transport of its own."""

    def __init__(self, nexthop, setting, tables, settings, more=None):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="mansio-words-"))
        self.home.chmod(0o755)
        self.nexthop, self.count, self.settings = nexthop, len(tables), settings
        self.of = [{setting: f"texthash:{self.home}/table{n}", **(more[n] if more else {})} for n in range(self.count)]
        for n, text in enumerate(tables):
            (self.home / f"table{n}").write_text(text + "\n")

    def ways(self, form):
        return " ".join(form.format(n=n, to=self.nexthop) for n in range(self.count))

    def postfix(self):
        lines = {"transport_maps": "inline:{ " + self.ways("{{ case{n}.example = case{n}:{to} }}") + " }", "relay_domains": self.ways("case{n}.example"),
                 "smtp_connection_cache_on_demand": "no", "minimal_backoff_time": "3000s", "smtp_tls_loglevel": "1", **self.settings}
        services = [f"case{n} unix - - n - - smtp" + "".join(f"\n  -o {k}={v}" for k, v in own.items()) for n, own in enumerate(self.of)]
        return Receiver("".join(f"{k} = {v}\n" for k, v in lines.items()).replace("{", "{{").replace("}", "}}"), ["tlsmgr unix - - n 1000? 1 tlsmgr", *services])

    def ours(self):
        own = {f"case{n}/{k}": v for n, rows in enumerate(self.of) for k, v in {"transport": "smtp", **rows}.items()}
        return house(transport_maps="inline:{" + self.ways("{{case{n}.example=case{n}:{to}}}").replace("} {", "}, {") + "}",
                     **{**self.settings, **own, "minimal_backoff_time": "3000s", "maximal_backoff_time": "3000s"})

    def send(self, port, log, senders, more=""):
        """One letter after another, each with what of the log is of it; `more`: what it has of a connection that came about, by another process."""
        ends = []
        for n in range(self.count):
            before = len(log())
            with smtplib.SMTP("127.0.0.1", port, timeout=60) as s:
                s.sendmail(senders[n], [f"x@case{n}.example"], "Subject: hello\n\nhello\n")
            found = wait_for(lambda: re.search(rf"to=<x@case{n}\.example>.* dsn=([\d.]+), status=(\w+) (.*)", log()[before:]), 60)
            if n not in self.clear and (found.group(2) == "sent" or "Server certificate" in found.group(3)):
                wait_for(lambda: more in log()[before:])
            ends.append((found.group(2), found.group(1), log()[before:]))
        return ends

    def run(self, senders, more="", clear=()):
        """`clear`: cases without such a connection."""
        self.clear = clear
        try:
            with self.postfix() as postfix:
                theirs = self.send(postfix.port, postfix.log, senders, more)
            with self.ours() as h:
                return theirs, self.send(h.ports["smtp"], h.text, senders, more)
        finally:
            shutil.rmtree(self.home, ignore_errors=True)


def test_each_word_of_a_policy_means_what_it_means_to_postfix():
    """What becomes of the letter, its status code, and which TLS it went by.  When a certificate is not for a name Postfix says Untrusted, we say of an
    authority's that it is Trusted: that word alone is not compared."""
    def seen(end):
        tls = re.findall(r"TLS connection (?:established|reused) to \S+ (TLS\S+) with", end[2])
        return *end[:2], tls[-1] if tls else None

    with Authority() as ca:
        ca.directory.chmod(0o755)
        cert, key = ca.certificate("localhost", "*.wild.example", "mx.there.example")
        digits = hashlib.sha256(first_der(cert)).hexdigest().upper()
        colons = ":".join(digits[i:i + 2] for i in range(0, len(digits), 2))
        words = [w.format(print=colons, lower=colons.lower(), digits=digits) for w in WORDS]
        with Host("127.0.0.1", 0, cert, key) as host:
            to = f"[localhost]:{host.port}"
            both = Both(to, "smtp_tls_policy_maps", [f"{to} {w}" for w in words],
                        dict(smtp_host_lookup="native", inet_protocols="ipv4", smtp_tls_CAfile=str(ca.cert), smtp_tls_fingerprint_digest="sha256", smtp_tls_security_level="none"))
            theirs, ours = both.run([""] * len(words), "TLS connection established", [n for n, w in enumerate(words) if w.startswith("none")])
    differ = {w: (seen(a), seen(b)) for w, a, b in zip(WORDS, theirs, ours) if seen(a) != seen(b)}
    assert not differ, "\n".join(f"{w}: Postfix {a}, we {b}" for w, (a, b) in differ.items())
    assert seen(ours[WORDS.index("fingerprint match={digits}")])[0] == "sent"


# The table, who sends, whether smtp_sender_dependent_authentication is set.  {to} is the next hop.
PASSWORDS = {
    "the sender": ("jack@here.example a:1", "jack@here.example", "yes"),
    "the sender, when that is not wished": ("jack@here.example a:1", "jack@here.example", "no"),
    "a sender with an extension": ("jack@here.example a:1", "jack+x@here.example", "yes"),
    "one whose extension has its own": ("jack+x@here.example b:2\njack@here.example a:1", "jack+x@here.example", "yes"),
    "all of a domain": ("@here.example a:1", "jack@here.example", "yes"),
    "a domain without the sign": ("here.example a:1", "jack@here.example", "yes"),
    "a user of ours": ("jack a:1", "jack@here.example", "yes"),
    "not of others": ("jack a:1", "jack@there.example", "yes"),
    "whatever letters": ("jack@here.example a:1", "JACK@Here.example", "yes"),
    "nobody": ("<> a:1", "", "yes"),
    "before smtp_generic_maps": ("jill@here.example a:1\njill@isp.example b:2", "jill@here.example", "yes"),
    "the host": ("localhost a:1", "jack@here.example", "no"),
    "the host with its port": ("localhost:{port} a:1", "jack@here.example", "no"),
    "the host in brackets": ("[localhost] a:1", "jack@here.example", "no"),
    "the next hop": ("{to} a:1", "jack@here.example", "no"),
    "the sender before the host and the next hop": ("{to} a:1\nlocalhost b:2\njack@here.example c:3", "jack@here.example", "yes"),
    "the host before the next hop": ("{to} a:1\nlocalhost b:2\njack@here.example c:3", "eve@here.example", "yes"),
    "a domain of senders before the next hop": ("{to} a:1\n@here.example b:2", "eve@here.example", "yes"),
    "a user without a password": ("localhost abc", "jack@here.example", "no"),
    "colons of a password": ("localhost abc:d:e", "jack@here.example", "no"),
    "blanks of a password": ("localhost abc:d e", "jack@here.example", "no"),
    "the domain of the recipient": ("there.example a:1", "jack@here.example", "no"),
    "a star": ("* a:1", "jack@here.example", "no"),
}


def test_a_password_is_found_as_by_postfix():
    users = []

    def reply(verb, argument, session):
        if verb == "AUTH":
            session.user = base64.b64decode(argument.split()[1]).decode().split("\0")[1:]
            return "235 2.7.0 yes"
        if verb == "MAIL":
            users.append((argument, getattr(session, "user", None)))

    with Sink(reply, offers=("AUTH PLAIN",)) as sink:
        to = f"[localhost]:{sink.port}"
        both = Both(to, "smtp_sasl_password_maps", [t.format(to=to, port=sink.port) for t, _, _ in PASSWORDS.values()],
                    dict(myhostname="mail.here.example", mydestination="here.example", recipient_delimiter="+", smtp_host_lookup="native", inet_protocols="ipv4",
                         smtp_tls_security_level="none", smtp_sasl_auth_enable="yes", smtp_sasl_security_options="noanonymous", smtp_sasl_mechanism_filter="plain",
                         smtp_generic_maps="inline:{jill@here.example=jill@isp.example}"),
                    [{"smtp_sender_dependent_authentication": d} for _, _, d in PASSWORDS.values()])
        theirs, ours = both.run([s for _, s, _ in PASSWORDS.values()])
    assert {e[0] for e in theirs + ours} == {"sent"}
    logins = [(re.search("<(.*)>", mail).group(1).lower(), user) for mail, user in users]
    n = len(PASSWORDS)
    assert len(logins) == 2 * n
    differ = {case: (logins[i], logins[n + i]) for i, case in enumerate(PASSWORDS) if logins[i] != logins[n + i]}
    assert not differ, "\n".join(f"{c}: Postfix {a}, we {b}" for c, (a, b) in differ.items())
    assert logins[n + list(PASSWORDS).index("all of a domain")][1] == ["a", "1"]


# What the filter says: of AUTH PLAIN LOGIN one is left, or none.
FILTERS = {
    "a word": "login", "not a word": "!plain,static:all", "a word that is none": "gssapi", "letters do not matter": "LoGiN",
    "a file": "{d}/words", "not a file": "!{d}/words,static:all", "a file with a no": "{d}/no",
    "a table": "texthash:{d}/table", "not a table": "!texthash:{d}/table,static:all", "a table of nobody": "texthash:{d}/none",
    "a table before a word": "texthash:{d}/none,plain", "patterns": "regexp:{d}/patterns",
    "the first decides": "!login,texthash:{d}/table,plain",
}


def test_mechanisms_are_filtered_as_by_postfix():
    seen = []

    def reply(verb, argument, session):
        if verb == "AUTH":
            session.mechanism = argument.split()[0].upper()
            return "334 VXNlcm5hbWU6" if session.mechanism == "LOGIN" and len(argument.split()) == 1 else "235 2.7.0 yes"
        if verb == "YQ==":
            return "334 UGFzc3dvcmQ6"
        if verb == "MQ==":
            return "235 2.7.0 yes"
        if verb == "MAIL":
            seen.append((argument, getattr(session, "mechanism", None)))

    d = pathlib.Path(tempfile.mkdtemp(prefix="mansio-mechanisms-"))
    d.chmod(0o755)
    for name, text in {"words": "# of a file\nlogin\n", "no": "!plain\nlogin\n", "table": "login yes\n", "none": "other yes\n", "patterns": "/^log/ yes\n"}.items():
        (d / name).write_text(text)
    try:
        with Sink(reply, offers=("AUTH PLAIN LOGIN",)) as sink:
            to = f"[localhost]:{sink.port}"
            both = Both(to, "smtp_sasl_password_maps", ["localhost a:1"] * len(FILTERS),
                        dict(myhostname="mail.here.example", smtp_host_lookup="native", inet_protocols="ipv4", smtp_tls_security_level="none",
                             smtp_sasl_auth_enable="yes", smtp_sasl_security_options="noanonymous"),
                        [{"smtp_sasl_mechanism_filter": f.format(d=d)} for f in FILTERS.values()])
            theirs, ours = both.run([f"s{n}@here.example" for n in range(len(FILTERS))])
    finally:
        shutil.rmtree(d)
    differ = {case: (a, b) for case, a, b in zip(FILTERS, theirs, ours) if a[0] != b[0]}
    assert not differ, differ
    logins = [[m for mail, m in seen if f"<s{n}@here.example>" in mail] for n in range(len(FILTERS))]
    differ = {case: pair for case, pair in zip(FILTERS, logins) if len(set(pair)) > 1}
    assert not differ, differ
    assert ours[list(FILTERS).index("a table of nobody")][0] == "deferred" and set(logins[list(FILTERS).index("a table")]) == {"LOGIN"}


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-x", "-q", *sys.argv[1:]]))
