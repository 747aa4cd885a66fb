# SPDX-License-Identifier: ISC
"""Lookup tables: the same answers as Postfix's, and taken up while the server runs."""

import os
import pathlib
import random
import re
import shutil
import subprocess
import tempfile

import pytest
from house import BINARY, House, wait_for

POSTMAP, POSTALIAS, POSTCONF = "/usr/sbin/postmap", "/usr/sbin/postalias", "/usr/sbin/postconf"
needs_postfix = pytest.mark.skipif(not os.path.exists(POSTMAP), reason="Postfix is the oracle")


@pytest.fixture
def place(tmp_path):
    """A directory with a main.cf both can read."""
    (tmp_path / "main.cf").write_text(
        f"compatibility_level = 3.6\nqueue_directory = {tmp_path}\ndata_directory = {tmp_path}\n")
    if os.path.exists("/etc/postfix/dynamicmaps.cf"):
        for name in ("dynamicmaps.cf", "dynamicmaps.cf.d", "postfix-files"):
            source = pathlib.Path("/etc/postfix") / name
            if source.is_dir():
                shutil.copytree(source, tmp_path / name)
            elif source.exists():
                shutil.copy(source, tmp_path / name)
    return tmp_path


def run(place, program, *words, ask=""):
    return subprocess.run([*program, "-c", ".", *words], input=ask.encode(), cwd=place, capture_output=True, timeout=60)


def theirs(place, *words, ask="", program=POSTMAP):
    return run(place, [program], *words, ask=ask)


def ours(place, *words, ask="", program="postmap"):
    return run(place, [BINARY, program], *words, ask=ask)


def same(place, table, keys):
    """Asked for all of these keys, both say the same."""
    ask = "".join(key + "\n" for key in keys)
    wanted, got = theirs(place, "-q", "-", table, ask=ask), ours(place, "-q", "-", table, ask=ask)
    assert got.stdout == wanted.stdout, table
    assert got.returncode == wanted.returncode, table


WORDS = ["a", "b", "ab", "user", "root", "list-owner", "example.com", "x.example.com", "user@example.com",
         "@example.com", ".example.com", "User+Tag@Example.COM", "10.0.0.1", "192.168.1.77", "2001:db8::1", "a b", "%s", "'", "*"]


@needs_postfix
def test_random_text_files_say_what_postfix_says(place):
    chance = random.Random(1)
    for _ in range(10):
        lines = []
        for key in chance.sample(WORDS, 8):
            shown = f'"{key}"' if " " in key else key
            lines.append(f"{shown}{chance.choice([' ', chr(9), '   '])}{chance.choice(WORDS)}")
            if chance.random() < 0.3:
                lines.append(chance.choice(["# a remark", "", "   more of it", "  # inside"]))
        (place / "t").write_text("\n".join(lines) + "\n")
        same(place, "texthash:./t", WORDS + ['"a b"'])


@needs_postfix
def test_random_rules_say_what_postfix_says(place):
    chance = random.Random(2)
    patterns = ["/^a/", "/b$/", "!/^user/", "/(.*)@(.*)/", "/^(.)(.)?/", "/example\\.com/i", "/[[:digit:]]+/", "/^[^@]*$/", "|a|b|"[:3]]
    results = ["OK", "REJECT no", "$$5", "x y z"]
    for kind in ("pcre", "regexp"):
        for _ in range(10):
            lines, depth = [], 0
            for _ in range(8):
                pattern = chance.choice(patterns)
                if chance.random() < 0.25:
                    lines.append("if " + pattern)
                    depth += 1
                elif depth and chance.random() < 0.3:
                    lines.append("endif")
                    depth -= 1
                else:
                    lines.append(f"{pattern} {chance.choice(results + (['$1-${2}'] if '(.*)@' in pattern else []))}")
            (place / "t").write_text("\n".join(lines + ["endif"] * depth) + "\n")
            same(place, f"{kind}:./t", WORDS)


@needs_postfix
def test_the_longest_match_is_what_a_regexp_means(place):
    (place / "t").write_text("/^(a|ab)(c|bcd)?(d*)/ 1=$1 2=$2 3=$3\n/x(a|ab|abc)y*/ 1=$1\n"
                             "/(one|onetwo)(twothree|three)?/ $1|$2\n/^-(a*)(ab)*(b*)/ $1,$2,$3\n/=(b|bb)+$/ $1\n"
                             "/<(.)(.|..)\\1>/ $1 $2\n")
    same(place, "regexp:./t", ["abcd", "abx", "xabcyy", "xabq", "onetwothree", "onetwo", "-aabab", "-aabb", "=bbbbb", "<xyyx>", "zz"])


@needs_postfix
@pytest.mark.parametrize("pattern", ["(?i)x", "(?:x)", "x(?=y)", "a**", "a+?"])
def test_what_only_perl_knows_is_refused_where_postfix_refuses_it(place, pattern):
    (place / "t").write_text(f"/{pattern}/ found\n")
    wanted, got = theirs(place, "-q", "xxy", "regexp:./t"), ours(place, "-q", "xxy", "regexp:./t")
    assert (b"warning" in wanted.stderr) == (b"warning" in got.stderr)
    assert got.stdout == wanted.stdout


@needs_postfix
def test_random_networks_say_what_postfix_says(place):
    chance = random.Random(3)
    for _ in range(10):
        lines, depth = [], 0
        for _ in range(8):
            network = chance.choice(["10.0.0.0/8", "192.168.0.0/16", "192.168.1.77", "0.0.0.0/0", "2001:db8::/32", "::/0", "!10.0.0.0/8",
                                     "!2001:db8::1", "172.16.0.0/12"])
            if chance.random() < 0.25:
                lines.append("if " + network)
                depth += 1
            elif depth and chance.random() < 0.3:
                lines.append("endif")
                depth -= 1
            else:
                lines.append(f"{network} {chance.choice(WORDS)}")
        (place / "t").write_text("\n".join(lines + ["endif"] * depth) + "\n")
        same(place, "cidr:./t", WORDS + ["10.1.2.3", "11.0.0.1", "::ffff:10.0.0.1", "2001:DB8::1"])


@needs_postfix
@pytest.mark.parametrize("table", [
    "inline:{a=b, {user = c d}, AB=5}", "static:x y", "static:{ x }",
    "unionmap:{static:one, inline:{a=two}}", "unionmap:{inline:{b=1}, inline:{a=2}}",
    "pipemap:{inline:{a=b, b=q}, inline:{b=c}}", "pipemap:{static:a, inline:{a=x}}",
])
def test_tables_in_their_names_say_what_postfix_says(place, table):
    same(place, table, WORDS)


@needs_postfix
def test_R199_postalias_says_what_postfixs_says(place):
    (place / "t").write_text(
        "postmaster: root\nroot: a, b,c\nlist: \"|/usr/bin/prog -x 'y z'\", /var/mail/list,:include:/etc/list\n"
        "\"two words\": x@example.com\nMixed: Case@Example.COM\nlong: a,\n  b,\n# between\n  c\n")
    theirs(place, "hash:./t", program=POSTALIAS)
    for key in ("postmaster", "ROOT", "list", "two words", "mixed", "long", "nobody"):
        wanted = theirs(place, "-q", key, "hash:./t", program=POSTALIAS)
        got = ours(place, "-q", key, "hash:./t", program="postalias")
        assert (got.stdout, got.returncode) == (wanted.stdout, wanted.returncode), key


@needs_postfix
def test_R201_postmap_builds_nothing_and_warns_of_a_key_that_is_there_twice(place):
    (place / "t").write_text("a b\nc d\na e\n")
    wanted, got = theirs(place, "-q", "a", "texthash:./t"), ours(place, "hash:./t")
    assert b'./t, line 3: duplicate entry: "a"' in wanted.stderr
    assert b'./t, line 3: duplicate entry: "a"' in got.stderr and got.returncode == 0
    assert not (place / "t.db").exists()


LETTER = """Subject: hello
X-Fold: a
  b
Content-Type: multipart/mixed; boundary=x

before
--x
Content-Type: text/plain
Subject: inner

one
--x
Content-Type: message/rfc822

Subject: nested

two
--x--
behind
"""


@needs_postfix
@pytest.mark.parametrize("how", ["-h", "-b", "-hb", "-hm", "-bm", "-hbm", "-m"])
def test_a_letter_asks_header_and_body_tables_as_postfix_does(place, how):
    (place / "t").write_text("/^(.)/ $1\n")
    wanted, got = (f(place, how, "-q", "-", "pcre:./t", ask=LETTER) for f in (theirs, ours))
    if how == "-m":
        assert b"ignoring -m" in wanted.stderr and b"ignoring -m" in got.stderr
        return
    assert (got.stdout, got.returncode) == (wanted.stdout, wanted.returncode)
    assert ours(place, how, "-q", "key", "pcre:./t").stderr.split(b": ", 1)[1] == theirs(place, how, "-q", "key", "pcre:./t").stderr.split(b": ", 1)[1]


@needs_postfix
def test_a_value_may_name_files_whose_content_is_told(place):
    (place / "a").write_text("one\n")
    (place / "b").write_text("two\n")
    (place / "t").write_text(f"k {place}/a\nm {place}/a, {place}/b\n")
    for words in (("-q", "k"), ("-q", "m"), ("-s",), ("-q", "no")):
        wanted, got = theirs(place, "-F", *words, "texthash:./t"), ours(place, "-F", *words, "texthash:./t")
        if words == ("-s",):
            assert got.stdout == f"k\tone\n\nm\tone\n\ntwo\n\n".encode()
        else:
            assert (got.stdout, got.returncode) == (wanted.stdout, wanted.returncode), words
    (place / "t").write_text(f"k {place}/nowhere\n")
    wanted, got = theirs(place, "-F", "hash:./t"), ours(place, "-F", "hash:./t")
    assert got.returncode == wanted.returncode == 0
    for done in (wanted, got):
        assert done.stderr.startswith(b"postmap: warning: ") and f"open {place}/nowhere: No such file".encode() in done.stderr
    for words in (("-d", "k"), ("-i",)):
        done = ours(place, *words, "hash:./t")
        assert done.returncode == 1 and b"edit the file" in done.stderr


def test_postconf_shows_and_edits_listeners_as_entries_of_master_cf(place):
    def conf(*words):
        return ours(place, *words, program="postconf")

    assert conf("-F", "smtp/inet/command").stdout == b"smtp/inet/command = smtpd\n"
    assert conf("-M", "submission/inet=submission inet n - y - - smtpd -o syslog_name=postfix/submission").returncode == 0
    assert conf("-h", "listen_submission").stdout == b"*:587\n"
    assert conf("-P", "submission/inet/syslog_name").stdout == b"submission/inet/syslog_name = postfix/submission\n"
    assert conf("-M#", "submission/inet").returncode == 0
    assert b"submission" not in conf("-M").stdout.split(b"smtps")[0].replace(b"submissions", b"")
    done = conf("-M", "maildrop/unix=maildrop unix - n n - - pipe")
    assert done.returncode == 1 and b"no service" in done.stderr
    assert conf("-F", "-e", "smtp/inet/process_limit=5").returncode == 1
    # What the tutorials say of chroot is true already.
    done = conf("-F", "*/*/chroot=n")
    assert done.returncode == 0 and b"a cage of its own" in done.stderr


@needs_postfix
@pytest.mark.parametrize("words", [
    ("-n",), ("-h", "relayhost", "x_y"), ("-H", "relayhost"), ("-h", "nobody_knows"), ("-d", "-n"),
    ("-e", "relayhost = [mx]:25", "x_y=z"), ("new=1",), ("-X", "queue_directory"), ("-#", "data_directory"), ("-e", "no-equals"),
])
def test_postconf_does_what_postfixs_does(place, words):
    texts = []
    for program in ([POSTCONF], [BINARY, "postconf"]):
        (place / "main.cf").write_text(f"compatibility_level = 3.6\n# a remark\nqueue_directory = {place}\ndata_directory = {place}\n"
                                       "x_y = q\nrelayhost = $x_y\n")
        done = run(place, program, *words)
        shown = [line for line in done.stdout.decode().splitlines() if not line.startswith("config_directory")]
        texts.append((done.returncode, shown, (place / "main.cf").read_text()))
    assert texts[0] == texts[1]


@needs_postfix
@pytest.mark.parametrize("words", [
    ("-n",), ("-nH",), ("-h", "relayhost"), ("relayhost", "mydestination"), ("-x", "relayhost"), ("-n", "-C", "user"), ("-M", "smtp/inet"), ("-F", "smtp/inet/command"), ("-n", "-d"),
    ("-e",), ("-X",), ("-#",), ("-M", "-X"), ("-M", "-#"), ("-M", "-n"), ("-M", "-h"), ("-M", "-d"), ("-P", "-n"), ("-P", "-d"), ("-P", "-#", "a/b/c"), ("-F", "-n"),
    ("-F", "-d"), ("-F", "-X", "smtp/inet"), ("-M", "-F"), ("-M", "-P"), ("-F", "-P"), ("-n", "-#", "x_y"), ("-n", "-X", "x_y"), ("-e", "-n", "x_y=1"), ("-d", "-e", "x_y=1"),
    ("-e", "-X", "x_y"), ("-e", "-#", "x_y"), ("-X", "-#", "x_y"), ("-F", "smtp/inet/bogus"), ("-F", "*/inet/maxproc"), ("-e", "a b=c"), ("-e", "#a=c"), ("-e", "=c"), ("-X", "#x"),
], ids=" ".join)
def test_postconf_complains_as_postfixs_does(place, words):
    """A name nobody knows, one that stands there twice, letters that do not go together: the same warnings, the same status, and the file as it was or as
    Postfix leaves it."""
    told = []
    for program in ([POSTCONF], [BINARY, "postconf"]):
        (place / "main.cf").write_text("compatibility_level = 3.6\nx_y = q\nrelayhost = $x_y\nmydestination = a.example\nbogus_name = y\n"
                                       "mydestination = b.example,\n c.example\nsmtpd_restriction_classes = mine\nmine = reject\n")
        (place / "master.cf").write_text("smtp       inet  n       -       y       -       -       smtpd\n")
        os.utime(place / "main.cf", (1, 1))        # Postfix reads a file of this moment more than once
        done = run(place, program, *words)
        said = sorted(re.sub(r"^\S*postconf: ", "", line) for line in done.stderr.decode().replace(str(place), ".").splitlines())
        shown = [line for line in done.stdout.decode().splitlines() if not line.startswith("config_directory")]
        told.append((done.returncode, said, shown, (place / "main.cf").read_text()))
    assert told[1] == told[0]


def test_R203_postconf_m_lists_the_types(place):
    types = ours(place, "-m", program="postconf").stdout.decode().split()
    assert {"hash", "btree", "lmdb", "cdb", "texthash", "inline", "static", "regexp", "pcre", "cidr", "unionmap",
            "pipemap", "sqlite", "pgsql", "mysql", "ldap", "socketmap", "tcp", "unix"} <= set(types)


def test_R159_R199_R200_newaliases_looks_at_alias_database_also_by_its_own_name(place):
    (place / "aliases").write_text("root: jack\n")
    (place / "main.cf").write_text(f"alias_database = hash:{place}/aliases\n")
    (place / "newaliases").symlink_to(BINARY)
    environment = {**os.environ, "MAIL_CONFIG": str(place)}
    done = subprocess.run([place / "newaliases"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (place / "aliases").write_text("root: jack\nnobody\n")
    done = subprocess.run([place / "newaliases"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0                  # as of Postfix's, whose table has the other lines then
    assert f"newaliases: warning: {place}/aliases, line 2: " in done.stderr and "the server takes nothing of it until it is mended" in done.stderr


def rcpt(house, address):
    with house.smtp() as smtp:
        smtp.ehlo("client.example")
        smtp.mail("a@client.example")
        return smtp.rcpt(address)[0]


@pytest.fixture
def house():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="mansio-tables-"))
    (directory / "virtual").write_text("one@virtual.example jack@example.com\nvirtual.example anything\n")
    with House(virtual_alias_maps=f"hash:{directory}/virtual") as house:
        house.command("domain", "add", "example.com")
        house.command("account", "add", "jack@example.com", input="secret\n")
        house.tables = directory
        yield house
    shutil.rmtree(directory)


def log_has(house, words):
    return lambda: words in house.log.read_text()


def test_R215_a_changed_table_is_taken_up_without_a_restart(house):
    assert rcpt(house, "one@virtual.example") == 250
    assert rcpt(house, "two@virtual.example") == 550
    with house.smtp() as session:
        session.ehlo("client.example")
        (house.tables / "virtual").write_text("two@virtual.example jack@example.com\nvirtual.example anything\n")
        wait_for(lambda: rcpt(house, "two@virtual.example") == 250)
        assert rcpt(house, "one@virtual.example") == 550
        beside = house.tables / "virtual.new"
        beside.write_text("three@virtual.example jack@example.com\nvirtual.example anything\n")
        beside.rename(house.tables / "virtual")
        wait_for(lambda: rcpt(house, "three@virtual.example") == 250)
        assert session.noop()[0] == 250


def test_R212_the_tutorials_virtual_file_works_as_it_stands(house):
    (house.tables / "virtual").write_text("# three of them\nann@virtual.example\tjack\nbob@virtual.example jack@example.com\n"
                                          "@virtual.example\n   jack@example.com\nvirtual.example DOMAIN\n")
    wait_for(lambda: rcpt(house, "bob@virtual.example") == 250)
    assert rcpt(house, "anybody@virtual.example") == 250


def test_a_wrong_line_leaves_the_last_good_table(house):
    (house.tables / "virtual").write_text("two@virtual.example jack@example.com\nnothing-behind-it\n")
    wait_for(log_has(house, "virtual:2: \"nothing-behind-it\" has no value; write: key, blanks, value"))
    wait_for(log_has(house, "the last good one stays"))
    assert rcpt(house, "one@virtual.example") == 250
    check = house.command("config", "check", check=False)
    assert check.returncode == 1 and "virtual:2:" in check.stderr


def test_a_table_that_vanished_stays_as_it_was(house):
    (house.tables / "virtual").unlink()
    wait_for(log_has(house, "it stays as it was"))
    assert rcpt(house, "one@virtual.example") == 250
    (house.tables / "virtual").write_text("four@virtual.example jack@example.com\nvirtual.example anything\n")
    wait_for(lambda: rcpt(house, "four@virtual.example") == 250)


def test_a_table_that_is_not_there_puts_mail_off_until_it_comes():
    """Also where its directory is not there yet, and by a link."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="mansio-tables-"))
    try:
        with House(virtual_alias_maps=f"hash:{directory}/later/virtual") as house:
            house.command("domain", "add", "example.com")
            house.command("account", "add", "jack@example.com", input="secret\n")
            assert rcpt(house, "one@virtual.example") == 451
            (directory / "later").mkdir()
            (directory / "real").write_text("one@virtual.example jack@example.com\nvirtual.example anything\n")
            (directory / "later/virtual").symlink_to(directory / "real")
            wait_for(lambda: rcpt(house, "one@virtual.example") == 250)
            (directory / "real").write_text("two@virtual.example jack@example.com\nvirtual.example anything\n")
            wait_for(lambda: rcpt(house, "two@virtual.example") == 250)
    finally:
        shutil.rmtree(directory)


def test_a_clerk_that_died_has_its_tables_again(house):
    clerk = next(p for p in house.at_work() if p["role"] == "clerk")
    os.kill(clerk["pid"], 9)
    wait_for(lambda: rcpt(house, "one@virtual.example") == 250)


@pytest.mark.skipif(os.geteuid() != 0, reason="what only root may read")
@pytest.mark.parametrize("how", ["link", "way", "nested", "a table's file", "unreadable"])
def test_a_users_list_shows_nobody_what_only_root_may_read(how):
    """Each line of a list that is no address comes back to a sender, or into the log."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="mansio-lists-"))
    directory.chmod(0o755)
    home, secrets = directory / "home", directory / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "list").write_text("sesame@example.com\n")
    home.mkdir()
    listed = home / "list"
    if how == "link":
        listed.symlink_to(secrets / "list")
    elif how == "way":
        (home / "way").symlink_to(secrets)
        listed = home / "way/list"
    elif how == "unreadable":
        (secrets / "list").rename(listed)
        listed.chmod(0o600)
    else:
        listed.write_text(f":include:{secrets}/list\n")
    for path in (home, *home.iterdir()):
        if how != "unreadable" or path == home:
            os.chown(path, 4321, 4321, follow_symlinks=False)
    (directory / "aliases").write_text(f"list: :include:{listed}\ngood: :include:{home}/good\n")
    (home / "good").write_text("jack@example.com\n")
    os.chown(home / "good", 4321, 4321)
    (home / "good").chmod(0o600)
    more = {"relay_domains": f"{secrets}/list"} if how == "a table's file" else {}
    try:
        with House(alias_maps=f"hash:{directory}/aliases", mydestination="here.example", **more) as house:
            house.command("domain", "add", "example.com")
            house.command("account", "add", "jack@example.com", input="secret\n")
            assert rcpt(house, "good@here.example") == 250
            assert rcpt(house, "list@here.example") == 451
            assert "sesame" not in house.log.read_text()
    finally:
        shutil.rmtree(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="what only root may read")
@pytest.mark.parametrize("how", ["plain", "link", "by root's list", "given away"])
def test_a_users_aliases_include_only_what_that_user_may_read(how):
    """local(8): the file is opened as the owner of the aliases that name it."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="mansio-lists-"))
    directory.chmod(0o755)
    home, secrets = directory / "home", directory / "secrets"
    secrets.mkdir(mode=0o700)
    home.mkdir()
    secret, named = secrets / "list", secrets / "list"
    secret.write_text("jack@example.com\nsesame:street@@example.com\n")
    if how == "link":
        named = home / "way"
        named.symlink_to(secret)
    elif how == "by root's list":
        named = directory / "public"
        named.write_text(f"jack@example.com, :include:{secret}\n")
    (home / "own").write_text("# mine\njack@example.com\n")
    (home / "bad").write_text("# mine\n\njack@example.com\nbeans:and@@example.com\n")
    (home / "aliases").write_text(f"list: :include:{named}\ngood: :include:{home}/own\nbad: :include:{home}/bad\n")
    (home / "own").chmod(0o600)
    owned = (home, *home.iterdir())
    if how == "given away":
        owned = tuple(path for path in owned if path.name != "aliases")
    for path in owned:
        os.chown(path, 4321, 4321, follow_symlinks=False)
    # root's own aliases have the same file: what is held for them is not the user's
    (directory / "aliases").write_text(f"staff: :include:{secret}\n")
    try:
        with House(alias_maps=f"hash:{home}/aliases hash:{directory}/aliases", mydestination="here.example") as house:
            house.command("domain", "add", "example.com")
            house.command("account", "add", "jack@example.com", input="secret\n")
            assert rcpt(house, "staff@here.example") == 250
            if how == "given away":
                assert rcpt(house, "list@here.example") == 250
                os.chown(home / "aliases", 4321, 4321)
                house.command("reload", check=False)
            assert rcpt(house, "list@here.example") == 451
            wait_for(lambda: rcpt(house, "good@here.example") == 250)
            assert rcpt(house, "bad@here.example") == 250
            assert f"{home}/bad:4: " in house.log.read_text()
            assert "sesame" not in house.log.read_text() and "beans" not in house.log.read_text()
    finally:
        shutil.rmtree(directory)


def test_a_server_of_mysql_is_offered_no_files_of_ours(tmp_path):
    """CLIENT_LOCAL_FILES: it could answer any question by asking for one."""
    import socket
    import struct
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        (tmp_path / "x.cf").write_text(f"hosts = inet:127.0.0.1:{server.getsockname()[1]}\nuser = u\npassword = p\ndbname = d\n"
                                       "query = SELECT a FROM b WHERE c = '%s'\n")
        asking = subprocess.Popen([os.environ["MANSIO"], "postmap", "-q", "a@example.com", f"mysql:{tmp_path}/x.cf"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        connection, _ = server.accept()
        with connection:
            body = (b"\x0a5.7.0\0" + struct.pack("<I", 1) + b"abcdefgh\0" + struct.pack("<HBHH", 0xffff, 0x21, 2, 0x000a) +
                    bytes([21]) + b"\0" * 10 + b"ijklmnopqrst\0mysql_native_password\0")
            connection.sendall(struct.pack("<I", len(body)) + body)
            connection.settimeout(20)
            said = connection.recv(4096)
        asking.wait(30)
    assert len(said) > 8 and struct.unpack("<I", said[4:8])[0] & 128 == 0


@needs_postfix
def test_what_holds_for_a_transport_that_is_not_set_is_said_as_postfix_says_it(place):
    """smtp_destination_concurrency_limit and its kin; and config_directory, which scripts ask for."""
    (place / "main.cf").write_text("compatibility_level = 3.6\nmyhostname = mail.example.com\n")
    shutil.copy("/etc/postfix/master.cf" if os.path.exists("/etc/postfix/master.cf") else "/usr/share/postfix/master.cf.dist", place / "master.cf")
    for name in ("config_directory", "smtp_destination_concurrency_limit", "relay_destination_rate_delay", "lmtp_initial_destination_concurrency",
                 "virtual_transport_rate_delay", "smtp_destination_recipient_limit"):
        for form in ([], ["-h"]):
            theirs, ours_ = (subprocess.run([*program, "-c", place, *form, name], capture_output=True, text=True, timeout=30)
                             for program in ([POSTCONF], [BINARY, "postconf"]))
            assert (ours_.returncode, ours_.stdout) == (theirs.returncode, theirs.stdout), name


@needs_postfix
@pytest.mark.parametrize("program, words", [
    (["newaliases"], ["-oA{at}/good"]), (["newaliases"], ["-oA", "{at}/good"]), (["newaliases"], ["-oA{at}/missing"]), (["newaliases"], ["-oAhash:{at}/missing"]),
    (["newaliases"], []), (["postmap"], ["-c", "{at}/missing", "-q", "a", "texthash:{at}/good"]), (["postalias"], ["-c", "{at}/missing", "{at}/good"]),
])
def test_where_files_of_aliases_and_of_settings_are_is_obeyed(place, program, words):
    (place / "good").write_text("a: b\n")
    with open(place / "main.cf", "a") as f:
        f.write(f"alias_database = hash:{place}/good\nalias_maps =\n")
    words = [w.format(at=place) for w in words]
    more = {} if "-c" in words else {"env": {**os.environ, "MAIL_CONFIG": str(place)}}
    wanted = subprocess.run([*program, *words], capture_output=True, timeout=60, cwd=place, **more)
    got = subprocess.run([BINARY, *program, *words], capture_output=True, timeout=60, cwd=place, **more)
    # newaliases of Postfix is its sendmail, with 75 where postalias has 1.
    assert (got.returncode != 0, got.stdout) == (wanted.returncode != 0, wanted.stdout), (wanted.stderr, got.stderr)
    assert bool(got.stderr) == bool(wanted.stderr), (wanted.stderr, got.stderr)


@needs_postfix
@pytest.mark.parametrize("table", ["randmap:{a}", "randmap:{ {b c} }", "randmap:{ , ,a}", "randmap:{{a}}", "randmap:{a,a,,}", "randmap:{}", "randmap:{ }", "randmap: {a}",
                                   "randmap:{a} x", "randmap:a,b", "inline:{key=b}}", "inline:{key=b}{x=y}", "inline:{ {key = a {b} c} }", "static:{a}b", "static:{a {b}}", "pipemap:{randmap:{x},inline:{x=y}}", "unionmap:{randmap:{x},static:z}"])
def test_a_value_by_chance_is_written_as_postfix_has_it(place, table):
    wanted, got = theirs(place, "-q", "key", table), ours(place, "-q", "key", table)
    assert (got.stdout, got.returncode) == (wanted.stdout, wanted.returncode), (wanted.stderr, got.stderr)


def test_each_value_of_a_randmap_has_its_turn(place):
    said = set(ours(place, "-q", "-", "randmap:{a, b c}", ask="x\n" * 300).stdout.decode().split("\n"))
    assert said == {"x\ta", "x\tb", "x\tc", ""}
