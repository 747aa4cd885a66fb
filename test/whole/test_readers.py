# SPDX-License-Identifier: ISC
"""More of the programs people read their mail with, each doing what it is used for."""

import json
import mailbox
import os
import shutil
import subprocess

import pytest
from kit import ROOT, letter, open_to_all, wait_for, word

ME = "jill@example.com"


def run(*words, **more):
    more.setdefault("timeout", 120)
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, errors="replace", **more)


def good(done):
    assert done.returncode == 0, f"{done.args}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def folder(demo):
    """A mailbox of its own with three letters, gone afterwards."""
    name = "Readers-" + word()
    box = demo.imap()
    assert box.create(name)[0] == "OK"
    subjects = [word() for _ in range(3)]
    for i, subject in enumerate(subjects):
        text = letter(subject, body=f"Letter {i}: 驿站 is a posting-house.\n").as_bytes().replace(b"\n", b"\r\n")
        assert box.append(name, r"(\Seen)" if i == 0 else "()", None, text)[0] == "OK"
    yield name, subjects, box
    box.unselect() if box.state == "SELECTED" else None
    box.delete(name)
    box.logout()


# offlineimap

def test_offlineimap_keeps_both_sides_the_same(demo, folder, tmp_path):
    name, subjects, box = folder
    (tmp_path / "rc").write_text(f"""
[general]
accounts = a
metadata = {tmp_path}/meta
ui = basic
[Account a]
localrepository = here
remoterepository = there
[Repository here]
type = Maildir
localfolders = {tmp_path}/mail
[Repository there]
type = IMAP
remotehost = localhost
remoteport = {demo.port("imaps")}
remoteuser = {ME}
remotepass = {demo.password}
ssl = yes
sslcacertfile = {demo.ca}
folderfilter = lambda f: f == "{name}"
""")
    sync = ["offlineimap", "-o", "-c", tmp_path / "rc"]
    good(run(*sync))
    here = mailbox.Maildir(tmp_path / "mail" / name)
    got = {m["Subject"]: m for m in here}
    assert sorted(got) == sorted(subjects)
    assert "S" in got[subjects[0]].get_flags() and "S" not in got[subjects[1]].get_flags()
    # A flag and a letter made here, a letter expunged there.
    key = next(k for k, m in here.items() if m["Subject"] == subjects[1])
    read = here[key]
    read.set_flags("FS")
    here[key] = read
    fresh = word()
    here.add(mailbox.MaildirMessage(letter(fresh)))
    box.select(name)
    gone = box.search(None, "SUBJECT", subjects[2])[1][0].decode()
    box.store(gone, "+FLAGS", r"(\Deleted)")
    box.expunge()
    good(run(*sync))
    box.noop()
    there = box.search(None, "SUBJECT", subjects[1], "FLAGGED", "SEEN")[1][0]
    assert there, "the flags came over"
    assert box.search(None, "SUBJECT", fresh)[1][0], "the new letter came over"
    left = sorted(m["Subject"] for m in mailbox.Maildir(tmp_path / "mail" / name))
    assert left == sorted([subjects[0], subjects[1], fresh])


# getmail and mpop

@pytest.mark.parametrize("kind", ["SimpleIMAPSSLRetriever", "SimplePOP3SSLRetriever"])
def test_getmail_fetches(demo, folder, tmp_path, kind):
    name, subjects, _ = folder
    pop3 = "POP3" in kind
    if pop3:
        subjects = [word()]
        demo.send(letter(subjects[0], to="ataylor@example.com"), to="ataylor@example.com")
        demo.find(subjects[0], "ataylor")
    (tmp_path / "rc").write_text(f"""
[retriever]
type = {kind}
server = 127.0.0.1
port = {demo.port("pop3s" if pop3 else "imaps")}
username = {"ataylor@example.com" if pop3 else ME}
password = {demo.password}
{"" if pop3 else f'mailboxes = ("{name}",)'}
[destination]
type = Mboxrd
path = {tmp_path}/box
[options]
read_all = false
verbose = 1
""")
    (tmp_path / "box").touch()
    as_user = ["env", f"HOME={tmp_path}", f"SSL_CERT_FILE={demo.ca}"]
    fetch = [*as_user, "getmail", f"--getmaildir={tmp_path}", f"--rcfile={tmp_path}/rc"]
    if os.getuid() == 0:
        for path in tmp_path.iterdir():
            shutil.chown(path, "nobody", "nogroup")
        ca = tmp_path / "ca.pem"
        shutil.copy(demo.ca, ca)
        fetch[2] = f"SSL_CERT_FILE={ca}"
        open_to_all(tmp_path)
        shutil.chown(tmp_path, "nobody", "nogroup")
        fetch = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *fetch]
    good(run(*fetch))
    got = [m["Subject"] for m in mailbox.mbox(tmp_path / "box")]
    assert set(subjects) <= set(got)
    good(run(*fetch))
    assert len(mailbox.mbox(tmp_path / "box")) == len(got), "seen ones are not fetched again (UIDs and UIDLs stay)"


def test_mpop_fetches_by_pipelining(demo, tmp_path):
    subjects = [word() for _ in range(5)]
    for subject in subjects:
        demo.send(letter(subject, to="jsmith@example.com"), to="jsmith@example.com")
    demo.find(subjects[-1], "jsmith")
    for subject in subjects:
        demo.find(subject, "jsmith")
    rc = tmp_path / "rc"
    rc.write_text(f"""account default
host 127.0.0.1
port {demo.port("pop3s")}
tls on
tls_starttls off
tls_trust_file {demo.ca}
auth plain
user jsmith@example.com
password {demo.password}
pipelining on
keep on
uidls_file {tmp_path}/uidls
delivery mbox {tmp_path}/box
""")
    rc.chmod(0o600)
    good(run("mpop", "-C", rc))
    got = [m["Subject"] for m in mailbox.mbox(tmp_path / "box")]
    assert set(subjects) <= set(got)
    good(run("mpop", "-C", rc))
    assert len(mailbox.mbox(tmp_path / "box")) == len(got)


# Perl's Mail::IMAPClient

PERL = r"""
use strict; use warnings; use Mail::IMAPClient; use IO::Socket::SSL;
my ($port, $user, $password, $ca, $folder) = @ARGV;
my $c = Mail::IMAPClient->new(Server => '127.0.0.1', Port => $port, User => $user, Password => $password, Uid => 1,
    Ssl => [SSL_ca_file => $ca], Peek => 1) or die "login: $@";
my $n = 0;
sub ok { my ($good, $what) = @_; $n++; print(($good ? "ok" : "not ok"), " $n - $what\n"); print "# ", $c->LastError // '', "\n" unless $good; }
ok($c->has_capability('IDLE'), 'capabilities');
ok(scalar(grep { $_ eq $folder } $c->folders), 'the folder is listed');
ok($c->exists($folder), 'exists');
ok($c->message_count($folder) == 3, 'STATUS MESSAGES');
ok($c->select($folder), 'select');
my @all = $c->messages; ok(@all == 3, 'messages');
my $h = $c->parse_headers($all[0], 'Subject', 'Date', 'From'); ok($h->{Subject}[0] =~ /^w/, 'parse_headers');
ok($c->message_string($all[0]) =~ /posting-house/, 'message_string');
ok($c->get_bodystructure($all[0])->bodytype eq 'TEXT', 'get_bodystructure is understood');
ok($c->get_envelope($all[0])->subject eq $h->{Subject}[0], 'get_envelope is understood');
ok($c->unseen_count == 2, 'unseen_count');
my $sub = "$folder/sub folder"; ok($c->create($sub), 'create with a blank');
ok($c->copy($sub, $all[0], $all[1]), 'copy'); ok($c->message_count($sub) == 2, 'copied');
ok($c->move($sub, $all[2]), 'move'); $c->expunge; ok($c->message_count($sub) == 3, 'moved');
my $uid = $c->append_string($sub, "Subject: made by perl\r\n\r\nhello\r\n", '\Flagged'); ok($uid && $uid =~ /^\d+$/, 'append tells the UID');
$c->select($sub); ok(($c->search('SUBJECT', 'perl'))[0] == $uid, 'search'); ok(($c->search('FLAGGED'))[0] == $uid, 'search by flag');
ok($c->set_flag('Seen', $uid), 'set_flag'); ok($c->seen($uid) , 'seen'); ok($c->unset_flag('Flagged', $uid), 'unset_flag');
ok(scalar($c->since(time - 86400 * 3)), 'since'); ok($c->subject($uid) eq 'made by perl', 'subject'); ok($c->size($uid) == 32, 'size');
ok($c->delete_message($uid), 'delete_message'); ok($c->expunge, 'expunge'); ok($c->message_count($sub) == 3, 'expunged');
my $t = $c->thread('REFERENCES'); ok(!$c->has_capability('THREAD=REFERENCES') || ref $t eq 'ARRAY', 'thread');
ok(!$c->has_capability('SORT') || scalar(my @s = $c->sort('DATE', 'UTF-8', 'ALL')) == 3, 'sort');
ok(!$c->has_capability('QUOTA') || $c->getquotaroot('INBOX'), 'getquotaroot');
ok(!$c->has_capability('ACL') || $c->getacl($sub), 'getacl');
ok($c->rename($sub, "$folder/other"), 'rename'); ok($c->exists("$folder/other"), 'renamed');
ok($c->subscribe("$folder/other"), 'subscribe'); ok(scalar(grep { $_ eq "$folder/other" } $c->subscribed), 'subscribed');
ok($c->unsubscribe("$folder/other"), 'unsubscribe'); $c->close; ok($c->delete("$folder/other"), 'delete');
ok($c->idle && $c->done, 'idle and done') if $c->select($folder);
ok($c->logout, 'logout'); print "1..$n\n";
"""


def test_perls_imapclient_does_everything_it_can(demo, folder, tmp_path):
    script = tmp_path / "client.pl"
    script.write_text(PERL)
    out = good(run("perl", script, demo.port("imaps"), ME, demo.password, demo.ca, folder[0]))
    assert "not ok" not in out and "1.." in out, out


@pytest.fixture(scope="module")
def imapclient(tmp_path_factory):
    """The source of Mail::IMAPClient, with its own test programs, as Debian keeps it; lists and packages of the system stay as they are."""
    place = tmp_path_factory.mktemp("imapclient")
    (place / "lists/partial").mkdir(parents=True)
    release = dict(line.split("=", 1) for line in open("/etc/os-release").read().split("\n") if "=" in line)
    (place / "sources").write_text("deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
                                   f"http://deb.debian.org/debian {release.get('VERSION_CODENAME', 'stable')} main\n")
    ours = ["-o", f"Dir::Etc::sourcelist={place}/sources", "-o", "Dir::Etc::sourceparts=-", "-o", f"Dir::State::lists={place}/lists",
            "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"]
    for words in (["update"], ["source", "--tar-only", "--download-only", "libmail-imapclient-perl"]):
        done = subprocess.run(["apt-get", *ours, *words], cwd=place, capture_output=True, text=True, timeout=300)
    found = list(place.glob("libmail-imapclient-perl_*.orig.tar.gz"))
    if not found:
        pytest.skip("Debian's source cannot be had here: " + done.stderr[-200:])
    subprocess.run(["tar", "xf", found[0]], cwd=place, check=True)
    return next(place.glob("Mail-IMAPClient-*"))


# That a name above another that is made becomes \Noselect: it becomes a mailbox here, as rfc3501:6.3.3 lets a server do.
NOT_OURS = {"folders() excludes /Noselect mailbox", "not selectable (non-mailbox w/inferior)"}


def test_the_test_programs_of_perls_imapclient(demo, imapclient):
    (imapclient / "test.txt").write_text(
        f"server=127.0.0.1\nuser={ME}\npassed={demo.password}\nport={demo.port('imap')}\nstarttls=1\n")
    done = subprocess.run(["prove", "-v", "-Ilib", "t/"], cwd=imapclient, capture_output=True, text=True, timeout=300,
                          env={**os.environ, "SSL_CERT_FILE": demo.ca})
    wrong = {line.split(" - ", 1)[1] for line in done.stdout.splitlines() if line.startswith("not ok")}
    assert wrong == NOT_OURS, done.stdout + done.stderr
    assert "1..111" in done.stdout and done.stdout.count("\nok ") > 200, done.stdout


# npm's imapflow

FLOW = r"""
const { ImapFlow } = require('imapflow');
const fs = require('fs');
const [port, user, pass, ca, folder] = process.argv.slice(2);
(async () => {
  const said = {};
  const c = new ImapFlow({ host: '127.0.0.1', port: Number(port), secure: true, auth: { user, pass }, logger: false,
    tls: { ca: fs.readFileSync(ca), servername: 'mail.example.com' }, qresync: true });
  await c.connect();
  said.enabled = [...c.enabled]; said.compressed = !!c._deflate || !!c._inflate;
  said.folders = (await c.list({ statusQuery: { messages: true } })).map(f => [f.path, f.specialUse || null]);
  const lock = await c.getMailboxLock(folder);
  said.exists = c.mailbox.exists;
  said.subjects = [];
  for await (const m of c.fetch('1:*', { uid: true, envelope: true, bodyStructure: true, flags: true, threadId: true, headers: ['date'], size: true }))
    said.subjects.push(m.envelope.subject);
  said.found = await c.search({ body: '驿站' }, { uid: true });
  said.unseen = await c.search({ seen: false });
  const d = await c.download('1', '1');
  let text = ''; for await (const chunk of d.content) text += chunk; said.text = text.trim();
  said.flagged = await c.messageFlagsAdd('1', ['\\Flagged', '$Custom']);
  const a = await c.append(folder, 'Subject: from flow\r\n\r\nhello\r\n', ['\\Seen']); said.appended = !!a.uid;
  await c.mailboxCreate([folder, 'flow']);
  const copied = await c.messageCopy('1:2', folder + '/flow'); said.copied = copied.uidMap.size;
  const moved = await c.messageMove({ uid: a.uid }, folder + '/flow'); said.moved = moved.uidMap.size;
  said.status = await c.status(folder + '/flow', { messages: true, unseen: true, uidNext: true, highestModseq: true });
  said.status.highestModseq = String(said.status.highestModseq); said.status.uidNext = Number(said.status.uidNext);
  lock.release();
  await c.mailboxDelete(folder + '/flow');
  said.quota = await c.getQuota('INBOX').catch(() => null);
  await c.logout();
  console.log(JSON.stringify(said));
})().catch(e => { console.error(e); process.exit(1); });
"""


@pytest.fixture(scope="module")
def imapflow(tmp_path_factory):
    if not shutil.which("npm"):
        pytest.skip("there is no npm here")
    place = tmp_path_factory.mktemp("node")
    shutil.copy(ROOT / "test/whole/node/package.json", place)
    shutil.copy(ROOT / "test/whole/node/package-lock.json", place)
    done = run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=place)
    if done.returncode != 0:
        pytest.skip("npm cannot fetch imapflow here: " + done.stderr[-200:])
    return place


def test_imapflow_does_what_a_webmail_does(demo, folder, imapflow):
    name, subjects, box = folder
    (imapflow / "flow.js").write_text(FLOW)
    said = json.loads(good(run("node", imapflow / "flow.js", demo.port("imaps"), ME, demo.password, demo.ca, name, cwd=imapflow)))
    assert said["exists"] == 3 and said["subjects"] == subjects
    assert len(said["found"]) == 3, "a Chinese word of two characters is found"
    assert said["unseen"] == [2, 3]
    assert "posting-house" in said["text"]
    assert said["appended"] and said["copied"] == 2 and said["moved"] == 1
    assert said["status"]["messages"] == 3 and said["status"]["uidNext"] == 4
    assert ["Sent", "\\Sent"] in said["folders"]


# alpine

def test_alpine_lists_and_deletes(demo, folder, tmp_path):
    """By its own keys in a terminal: opens the folder, shows the index, reads a letter."""
    name, subjects, box = folder
    host = f"127.0.0.1:{demo.port('imap')}/tls/novalidate-cert/user={ME}"
    (tmp_path / ".pinerc").write_text(
        f"inbox-path={{{host}}}{name}\nfeature-list=quell-folder-internal-msg,enable-msg-view-urls\n"
        "user-domain=example.com\npersonal-name=Jill\nlast-version-used=99.99\n")
    session = "alpine-" + word()
    tmux = ["tmux", "-L", session]
    good(run(*tmux, "new-session", "-d", "-x", "120", "-y", "40",
             f"env HOME={tmp_path} TERM=screen alpine -p {tmp_path}/.pinerc -i; sleep 5"))
    try:
        def screen():
            return run(*tmux, "capture-pane", "-p").stdout

        def keys(*what):
            good(run(*tmux, "send-keys", *what))
        wait_for(lambda: "PASSWORD" in screen() or subjects[0] in screen(), 30)
        keys("-l", demo.password)
        keys("Enter")

        def opened():
            now = screen()
            if "reserve password" in now or "[y/n" in now.lower() or "save password" in now.lower():
                keys("n")
            return all(s in now for s in subjects) and now
        wait_for(opened, 30)
        keys("Enter")                           # the first new letter
        wait_for(lambda: "posting-house" in screen(), 30)
        keys("d")
        keys("i")
        wait_for(lambda: subjects[0] in screen(), 30)
        keys("x")                               # expunge
        wait_for(lambda: "xpunge" in screen(), 30)
        keys("y")
        box.select(name)
        wait_for(lambda: box.noop() and len(box.search(None, "ALL")[1][0].split()) == 2, 30)
    finally:
        run(*tmux, "kill-server")
