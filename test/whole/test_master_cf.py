# SPDX-License-Identifier: ISC
"""What stands in a master.cf: pasted into our settings it is told what to write instead, and that is right; postconf -M takes
and shows it.  The entries are those of Debian's own file, all that is commented out there too, and those of the tutorials.

    MANSIO=build/src/mansio python3 -m pytest test/whole/test_master_cf.py
"""

import os
import pathlib
import re
import subprocess

import pytest

BINARY = os.environ["MANSIO"]
DEBIAN = pathlib.Path("/usr/share/postfix/master.cf.dist")
TUTORIALS = """\
dovecot   unix  -       n       n       -       -       pipe
  flags=DRhu user=nobody:nogroup argv=/usr/lib/dovecot/deliver -f ${sender} -d ${recipient}
procmail  unix  -       n       n       -       -       pipe
  -o flags=R user=nobody argv=/usr/bin/procmail -t -m USER=${user} EXTENSION=${extension} /etc/procmailrc
spamassassin unix -     n       n       -       -       pipe
  user=nobody argv=/usr/bin/spamc -f -e /usr/sbin/sendmail -oi -f ${sender} ${recipient}
smtp-amavis     unix    -       -       -       -       2       smtp
    -o smtp_data_done_timeout=1200
    -o smtp_send_xforward_command=yes
    -o disable_dns_lookups=yes
127.0.0.1:10025 inet    n       -       -       -       -       smtpd
    -o content_filter=
    -o local_recipient_maps=
    -o smtpd_restriction_classes=
    -o smtpd_delay_reject=no
    -o smtpd_client_restrictions=permit_mynetworks,reject
    -o smtpd_recipient_restrictions=permit_mynetworks,reject
    -o mynetworks=127.0.0.0/8
    -o smtpd_hard_error_limit=1000
    -o receive_override_options=no_header_body_checks,no_unknown_recipient_checks
smtps     inet  n       -       y       -       -       smtpd
  -o smtpd_tls_wrappermode=yes -o { smtpd_client_restrictions = permit_sasl_authenticated, reject }
policyd-spf  unix  -       n       n       -       0       spawn
    user=nobody argv=/usr/bin/policyd-spf
"""


def mansio(config, *words):
    return subprocess.run([BINARY, "-c", config, *words], capture_output=True, text=True, timeout=60)


def entries(text):
    """Each entry with the number of its line."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\S", line) and not line.startswith("#"):
            found.append([number, line])
        elif line[:1].isspace() and line.strip() and not line.lstrip().startswith("#"):
            found[-1][1] += " " + line.strip()
    return found


@pytest.fixture(params=["debian", "tutorials"])
def text(request):
    if request.param == "tutorials":
        return TUTORIALS
    if not DEBIAN.exists():
        pytest.skip("Postfix is not here")
    # Everything that is only a remark there, and users that this machine has.
    words = re.sub(r"^#(?=(\S+ +(inet|unix|pass) +[-yn] |  (-o|flags)))", "", DEBIAN.read_text(), flags=re.M)
    assert len(entries(words)) > 40
    words = words.replace("argv=uux", "argv=/usr/bin/uux")          # a program is named with its whole path here, and the check says so
    return re.sub(r"user=\w+", "user=nobody", words)


def test_what_is_pasted_is_told_what_to_write_and_that_is_right(tmp_path, text):
    file = tmp_path / "main.cf"
    file.write_text(text)
    said = mansio(file, "config", "check")
    assert said.returncode != 0
    told = re.split(rf"^(?={re.escape(str(file))}:\d)", said.stdout + said.stderr, flags=re.M)
    told = {int(m.group(1)): m for t in told if (m := re.match(rf"{re.escape(str(file))}:(\d+): \"(.*?)\" (.*?)(?:\n|$)(.*)", t, re.S))}
    assert set(told) == {number for number, _ in entries(text)}
    written, named = {"myhostname": "mail.example.com"}, []
    for number, entry in entries(text):
        match = told[number]
        assert match.group(2) == entry.split()[0] and "master.cf" in match.group(3)
        if named_here := re.search(r'write (\S+) behind "listeners ="', match.group(3)):
            named.append(named_here.group(1))
        elif "write" in match.group(3):
            assert match.group(4) or "spawn" in entry, entry
        else:
            assert "take these lines away" in match.group(3), entry
        for line in re.findall(r"^[^\s:]+ =.*$", match.group(4), re.M):
            name, _, value = line.partition(" =")
            written[name] = value.strip()
    written["listeners"] = " ".join(named)
    file.write_text("".join(f"{name} = {value}\n" for name, value in written.items()))
    said = mansio(file, "config", "check")
    assert said.returncode == 0, said.stdout + said.stderr


def test_postconf_takes_an_entry_and_shows_it(tmp_path):
    file = tmp_path / "main.cf"
    file.write_text("myhostname = mail.example.com\n")

    def conf(*words):
        return subprocess.run([BINARY, "postconf", "-c", tmp_path, *words], capture_output=True, text=True, timeout=60)

    pipe = "flags=DRhu user=nobody argv=/usr/bin/maildrop -d ${recipient}"
    assert conf("-M", "-e", f"maildrop/unix=maildrop unix - n n - - pipe {pipe}").returncode == 0
    assert file.read_text().splitlines()[-1] == f"maildrop/transport = pipe {pipe}"
    assert re.fullmatch(rf"maildrop +unix +(\S +){{5}}pipe {re.escape(pipe)}\n", conf("-M", "maildrop/unix").stdout)
    assert conf("-M", "-e", "slow/unix=slow unix - - y - 2 smtp -o smtp_bind_address=192.0.2.7").returncode == 0
    assert conf("-P").stdout == "slow/unix/smtp_bind_address = 192.0.2.7\n"
    assert conf("-P", "-e", "slow/unix/smtp_helo_timeout=5s").returncode == 0
    assert "slow/unix/smtp_helo_timeout = 5s\n" in conf("-P", "slow/unix/smtp_helo_timeout").stdout
    assert conf("-h", "slow_destination_concurrency_limit").stdout == "2\n"
    assert conf("-M", "-e", "127.0.0.1:10025/inet=127.0.0.1:10025 inet n - - - - smtpd -o content_filter=").returncode == 0
    assert re.search(r"^port10025 +inet ", conf("-M").stdout, re.M)
    assert mansio(file, "config", "check").returncode == 0
    # What cannot be is refused, and says what there is.
    for entry, why in (("cleanup/unix=cleanup unix n - y - 0 cleanup", "cannot be changed"), ("x/unix=x unix - n n - - pipe", "user= and argv="),
                       ("p/unix=p unix - n n - 0 spawn user=nobody argv=/bin/p", "Accept=yes"), ("y/unix=nonsense", "no service")):
        before = file.read_text()
        done = conf("-M", "-e", entry)
        assert done.returncode == 1 and why in done.stderr, done.stderr
        assert file.read_text() == before
    assert conf("-M", "-#", "slow/unix").returncode == 0
    assert "#slow/transport = smtp" in file.read_text() and "slow" not in conf("-M").stdout
    assert conf("-M", "-X", "maildrop/unix").returncode == 0
    assert "maildrop" not in file.read_text()
