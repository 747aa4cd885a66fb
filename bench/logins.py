#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""bench/logins.py MANSIO: logins a second over IMAPS, beside Dovecot with the same passwd-file in the same run.

Each login is a connection and a TLS handshake of its own; four clients.  Both are measured in short turns, so that what else the machine
does falls on both alike, and with what a login costs: the processor time of all processes of a server, which does not depend on how many
of them compete with others for the machine.  Needs root, and Dovecot installed.
"""

import os
import pathlib
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time

SECONDS, CLIENTS, TURNS = 1, 4, 6
TICKS = os.sysconf("SC_CLK_TCK")


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def login(context, number, user):
    with context.wrap_socket(socket.create_connection(("127.0.0.1", number), 20)) as s:
        f = s.makefile("rb")
        f.readline()
        s.sendall(b'a login %s "geheim"\r\n' % user.encode())
        while not (line := f.readline()).startswith(b"a "):
            if not line:
                raise OSError("closed")
        if not line.startswith(b"a OK"):
            raise OSError(line)


def rate(number, user):
    context = ssl._create_unverified_context()
    login(context, number, user)
    counts, until = [0] * CLIENTS, time.monotonic() + SECONDS

    def work(i):
        while time.monotonic() < until:
            login(context, number, user)
            counts[i] += 1
    threads = [threading.Thread(target=work, args=(i,)) for i in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return sum(counts) / SECONDS


def spent(root):
    """Seconds of processor time of a process, those below it, and those of them that have ended."""
    rows = {}
    for at in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = at.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        rows[int(at.parent.name)] = int(fields[1]), sum(map(int, fields[11:15]))

    def below(pid):
        return rows[pid][1] + sum(below(p) for p, (parent, _) in rows.items() if parent == pid)
    return below(root) / TICKS


def in_turns(servers, user):
    """For each (process, port) the logins a second in half of its turns or more, and milliseconds of its processor time for a login."""
    rates, cost = [[] for _ in servers], [[0, 0] for _ in servers]
    for turn in range(TURNS):
        for i in ((0, 1) if turn % 2 == 0 else (1, 0)):
            process, number = servers[i]
            before = spent(process.pid)
            rates[i].append(rate(number, user))
            cost[i][0] += spent(process.pid) - before
            cost[i][1] += rates[i][-1] * SECONDS + 1
    return [(statistics.median(r), 1000 * c / n) for r, (c, n) in zip(rates, cost)]


def wait(number):
    for _ in range(300):
        try:
            return socket.create_connection(("127.0.0.1", number), 1).close()
        except OSError:
            time.sleep(0.05)
    raise SystemExit("nobody listens")


def measure(binary):
    """A row for each scheme: logins a second of ours and of Dovecot's."""
    here = pathlib.Path(tempfile.mkdtemp(prefix="bench-"))
    here.chmod(0o755)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=mail.example.com", "-keyout", here / "key", "-out", here / "cert"], check=True, capture_output=True)
    ours, theirs, users = port(), port(), here / "users"
    schemes = ("SSHA", "SHA512-CRYPT", "BLF-CRYPT")
    users.write_text("".join(f"u{i}@example.com:" + subprocess.run(["doveadm", "pw", "-s", s, "-p", "geheim"], capture_output=True,
                             text=True, check=True).stdout.strip() + "\n" for i, s in enumerate(schemes)))
    none = "".join(f"listen_{n} =\n" for n in ("smtp", "submission", "submissions", "imap", "pop3", "pop3s"))
    (here / "main.cf").write_text(f"myhostname = mail.example.com\nmail_directory = {here}/mail\nmaillog_file = {here}/log\n{none}"
                                  f"listen_imaps = 127.0.0.1:{ours}\nsmtpd_tls_cert_file = {here}/cert\nsmtpd_tls_key_file = {here}/key\n"
                                  f"dns_resolver = none\nauth_backends = passwd-file:{users}\n")
    (here / "vmail").mkdir()
    shutil.chown(here / "vmail", "nobody", "nogroup")
    (here / "dovecot.conf").write_text(f"""
base_dir = {here}/run
log_path = {here}/dovecot.log
protocols = imap
ssl = required
ssl_cert = <{here}/cert
ssl_key = <{here}/key
ssl_options = no_ticket
mail_location = maildir:{here}/vmail/%u
first_valid_uid = 1
first_valid_gid = 1
service imap-login {{
  service_count = 0
  process_min_avail = 2
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {theirs}
  }}
}}
service imap {{
  service_count = 0
  process_min_avail = 2
}}
mail_max_userip_connections = 100
passdb {{
  driver = passwd-file
  args = username_format=%u {users}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={here}/vmail/%u
}}
""")
    running = []
    try:
        running.append(subprocess.Popen([binary, "-c", here / "main.cf", "run"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        running.append(subprocess.Popen(["dovecot", "-F", "-c", here / "dovecot.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait(ours), wait(theirs)
        time.sleep(1)
        rows = []
        for i, scheme in enumerate(schemes):
            (a, our_ms), (b, their_ms) = in_turns(list(zip(running, (ours, theirs))), f"u{i}@example.com")
            rows.append({"scheme": scheme, "ours": a, "dovecot": b, "ratio": a / b, "ours_ms": our_ms, "dovecot_ms": their_ms})
        return rows
    finally:
        for p in running:
            p.terminate()
            p.wait()
        shutil.rmtree(here, ignore_errors=True)


def main(binary):
    print(f"{'scheme':16} {'ours/s':>8} {'Dovecot/s':>10} {'ratio':>6} {'our ms':>8} {'its ms':>8}")
    for row in measure(binary):
        print(f"{row['scheme']:16} {row['ours']:8.0f} {row['dovecot']:10.0f} {row['ratio']:6.2f} {row['ours_ms']:8.2f} {row['dovecot_ms']:8.2f}")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/src/mansio"))
