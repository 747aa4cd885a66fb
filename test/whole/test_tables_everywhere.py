# SPDX-License-Identifier: ISC
"""Every parameter that Postfix's postconf(5) says takes a table or a file of names: the settings check takes it, or refuses
it with a sentence that names it; of a table in a file and of a database."""

import glob
import gzip
import re
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from house import BINARY

# What the manual speaks of tables in, and is no list or table itself.
NO_TABLE = {"allow_mail_to_files", "default_rbl_reply", "propagate_unmatched_extensions", "smtpd_log_access_permit_actions"} | {
    f"unknown_{what}_reject_code" for what in ("local_recipient", "relay_recipient", "virtual_alias", "virtual_mailbox")}
ENDS = ("_maps", "_map", "_checks", "_networks", "_domains", "_hosts", "_clients", "_exceptions", "_peer_list", "_forbidden_commands", "_noop_commands")
# Words of these ends that are neither.
OTHERS = {"bounce_notice_recipient"}


def manual():
    found = glob.glob("/usr/share/man/man5/postconf.5*")
    if not found:
        return ""
    opened = gzip.open(found[0], "rt", errors="replace") if found[0].endswith("gz") else open(found[0], errors="replace")
    with opened as file:
        return file.read()


def names():
    found = []
    for section in re.split(r"^\.SH (?=[a-z])", manual(), flags=re.M)[1:]:
        name = section.split()[0]
        text = re.sub(r"\s+", " ", re.sub(r"\\f.|\\", "", section))
        if name not in NO_TABLE | OTHERS and (name.endswith(ENDS) or re.search(r'type:table|/file/name|lookup table|type:name|"type:', text)):
            found.append(name)
    return sorted(set(found))


@pytest.mark.skipif(not manual(), reason="needs postconf(5)")
def test_R199_every_parameter_that_takes_tables_is_taken_or_refused_with_a_sentence(tmp_path):
    (tmp_path / "text").write_text("a@b.example c@d.example\n")
    (tmp_path / "aliases").write_text("a: b\n")
    with sqlite3.connect(tmp_path / "db") as db:
        db.execute("CREATE TABLE t (k, v)")
    (tmp_path / "q.cf").write_text(f"dbpath = {tmp_path}/db\nquery = SELECT v FROM t WHERE k = '%s'\n")

    def check(name, kind):
        """None when it is taken without a word; else what is wrong, "" nothing."""
        file = "q.cf" if kind == "sqlite" else "aliases" if name in ("alias_maps", "local_recipient_maps") else "text"
        main = tmp_path / f"{abs(hash((name, kind)))}.cf"
        main.write_text(f"myhostname = mail.example.com\n{name} = {kind}:{tmp_path}/{file}\n")
        done = subprocess.run([BINARY, "-c", main, "config", "check"], capture_output=True, text=True, timeout=120)
        said = [line for line in (done.stdout + done.stderr).splitlines() if re.search(rf"(?<![-\w]){name}\b", line)]
        if done.returncode not in (0, 1) or (done.returncode == 1 and not said):
            return f"{name} {kind} {done.returncode} {done.stderr[:300]}"
        return None if done.returncode == 0 and not said else ""

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: check(*one), [(name, kind) for name in names() for kind in ("hash", "sqlite")]))
    wrong = [text for text in found if text]
    assert not wrong, wrong
    assert found.count(None) > 90, found.count(None)


@pytest.mark.parametrize("name", ["masquerade_exceptions", "smtp_connection_cache_destinations"])
@pytest.mark.parametrize("value", ["hash:/etc/x", "/etc/x"])
def test_a_list_of_words_is_no_table_and_the_check_says_so(tmp_path, name, value):
    main = tmp_path / "main.cf"
    main.write_text(f"myhostname = mail.example.com\n{name} = {value}\n")
    done = subprocess.run([BINARY, "-c", main, "config", "check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and f"main.cf:2: {name} = {value}: this list has words" in done.stderr, done.stderr
