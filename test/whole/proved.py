# SPDX-License-Identifier: ISC
"""Names that DNSSEC proves, some that it does not, and some it disproves; hosts behind them with certificates of a test's own.

    with Zone(records, insecure_records, spoil) as zone: ...  zone.port, zone.anchor
    with Authority() as ca: cert, key = ca.certificate("mx.good.example")
    with Host("127.9.1.2", port, cert, key) as host: ...      a server of SMTP with STARTTLS that keeps what it is given
"""

import hashlib
import pathlib
import re
import shutil
import ssl
import subprocess
import tempfile

from nameservers import Nsd, Unbound
from test_sending import Sink

INSECURE = "insecure.example."


def run(*words, cwd=None, **more):
    return subprocess.run([str(w) for w in words], cwd=cwd, check=True, capture_output=True, **more).stdout


class Zone(Nsd):
    """The root with these records, signed, and INSECURE with those, not signed.  `spoil`: (pattern, with what it is replaced)
    in the signed zone, so that signatures do not fit."""

    def __init__(self, records, insecure="", spoil=()):
        super().__init__({".": f"ns.example. A 127.0.0.1\n{INSECURE} NS ns.example.\n{records}", INSECURE: insecure}, sign=["."], spoil=spoil)

    def settings(self):
        return dict(dns_resolver=f"127.0.0.1:{self.port}", dns_trust_anchor_file=str(self.anchor), dns_validation="yes")


class Resolver(Unbound):
    """unbound, which proves what that name server says, at port 53 of an address of the loopback."""

    def __init__(self, zone, address):
        super().__init__(zone, f'  module-config: "validator iterator"\n  trust-anchor-file: "{zone.anchor}"\n  cache-max-negative-ttl: 1\n', address, 53)


class Authority:
    """A certificate authority; certificates are files in its directory."""

    def __init__(self, name="Test CA"):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="mansio-proved-"))
        self.directory.chmod(0o755)
        self.key, self.cert = self.directory / "ca.key", self.directory / "ca.pem"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={name}",
            "-keyout", self.key, "-out", self.cert, "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.count = 0

    def certificate(self, *names, expired=False, usage="serverAuth"):
        """(chain with the authority's own, key) for these names."""
        self.count += 1
        at = self.directory / f"{self.count}-{names[0].replace('*', 'any')}"
        cert, key, req, ext = (at.with_name(at.name + x) for x in (".pem", ".key", ".req", ".ext"))
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={names[0][:60]}",
            "-keyout", key, "-out", req)
        ext.write_text(f"subjectAltName={','.join('DNS:' + n for n in names)}\nextendedKeyUsage={usage}\n")
        dates = ["-not_before", "20200101000000Z", "-not_after", "20200201000000Z"] if expired else ["-days", "30"]
        if expired:  # x509 of OpenSSL 3.0 takes no dates: `ca` does
            (self.directory / "index").write_text("")
            (self.directory / "conf").write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.directory}/index\nnew_certs_dir={self.directory}\n"
                                                 "default_md=sha256\npolicy=p\nrand_serial=yes\nunique_subject=no\n[p]\ncommonName=supplied\n")
            run("openssl", "ca", "-batch", "-notext", "-config", self.directory / "conf", "-cert", self.cert, "-keyfile", self.key, "-in", req, "-out", cert,
                "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-extfile", ext)
        else:
            run("openssl", "x509", "-req", "-in", req, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-out", cert, "-extfile", ext, *dates)
        cert.write_text(cert.read_text() + self.cert.read_text())
        return cert, key

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory, ignore_errors=True)


def first_der(cert):
    return ssl.PEM_cert_to_DER_cert(re.search("-----BEGIN CERT.*?END CERTIFICATE-----\n?", cert.read_text(), re.S).group(0))


def last_der(cert):
    return ssl.PEM_cert_to_DER_cert(re.findall("-----BEGIN CERT.*?END CERTIFICATE-----\n?", cert.read_text(), re.S)[-1])


def tlsa(cert, usage=3, selector=1, matching=1, spoil=False):
    """The data of a TLSA record for a certificate: usage 2 means its authority, the last of the file."""
    der = last_der(cert) if usage in (0, 2) else first_der(cert)
    if selector == 1:
        key = run("openssl", "x509", "-inform", "DER", "-pubkey", "-noout", input=der)
        der = run("openssl", "pkey", "-pubin", "-outform", "DER", input=key)
    data = {0: lambda x: x, 1: lambda x: hashlib.sha256(x).digest(), 2: lambda x: hashlib.sha512(x).digest()}.get(matching, lambda x: b"?" * 20)(der)
    if spoil:
        data = bytes([data[0] ^ 255]) + data[1:]
    return f"{usage} {selector} {matching} {data.hex()}"


class Host(Sink):
    """With STARTTLS if there is a certificate; `tls` says what each session had."""

    def __init__(self, address, port, cert=None, key=None, offers=("8BITMIME",), ask=None, **more):
        self.tls, self.context = [], None
        if cert:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(cert, key)
            if ask:
                self.context.load_verify_locations(ask)
                self.context.verify_mode = ssl.CERT_OPTIONAL
            offers = (*offers, "STARTTLS")
        super().__init__(offers=offers, host=address, port=port, **more)

    def converse(self, f, session):
        """As a Sink does, and STARTTLS besides."""
        if not self.context:
            return super().converse(f, session)
        said = self.reply("CONNECT", "", session)
        self.say(f, "220 host.example ESMTP" if said is None else said)
        while line := f.readline():
            verb = line.decode("latin-1").strip().upper()
            with self.lock:
                self.commands.append(line.decode("latin-1").strip())
            if verb == "STARTTLS":
                return self.secure(f, session)
            if verb.startswith(("EHLO", "HELO", "LHLO")):
                self.say(f, "\r\n".join(f"250-{o}" for o in ("host.example", *self.offers)) + "\r\n250 ENHANCEDSTATUSCODES")
            elif verb == "QUIT":
                return self.say(f, "221 bye")
            else:
                return self.in_clear(line, f, session)

    def in_clear(self, line, f, session):
        class Before:
            """What was read already, and then the rest."""
            def __init__(self):
                self.line = line

            def readline(self):
                one, self.line = self.line, None
                return one if one is not None else f.readline()

            def write(self, data):
                return f.write(data)

            def flush(self):
                f.flush()
        return self.talk(Before(), session)

    def secure(self, f, session):
        self.say(f, "220 go ahead")
        try:
            s = self.context.wrap_socket(session.socket, server_side=True)
        except (ssl.SSLError, OSError) as why:
            with self.lock:
                self.tls.append(str(why))
            return None
        with self.lock:
            self.tls.append((s.version(), s.session_reused, s.getpeercert()))
        inside = s.makefile("rwb", buffering=0)
        try:
            return self.talk(inside, session)
        finally:
            inside.close()
            s.close()

    def talk(self, f, session):
        """The rest of a session, without a greeting."""
        return Sink.converse(self, _Quiet(f), session)


class _Quiet:
    """A file that swallows the first line written: the greeting of a session that had one."""

    def __init__(self, f):
        self.f, self.first = f, True

    def write(self, data):
        if self.first:
            self.first = False
            return len(data)
        return self.f.write(data)

    def flush(self):
        self.f.flush()

    def readline(self):
        return self.f.readline()
