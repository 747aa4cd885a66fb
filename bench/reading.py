# SPDX-License-Identifier: ISC
"""bench/run imap: reading mail, beside Debian's Dovecot with the same letters.

Three parties, Mansio and Dovecot's two formats, hold the same letters in the same
order with the same dates.  Each row is a command, or some; all parties do it in
turn, and their answers are compared before their times.
"""

import crypt
import json
import os
import re
import smtplib
import socket
import statistics
import subprocess
import threading
import time

import drawing
from corpus import FROM, WORDS, corpus_write
from dovecot import FORMATS, Dovecot
from imap import Imap
from servers import DOMAIN, ServerError, process_pss, process_ran

# crypt(5), SHA-256 with 1000 rounds: a third of a millisecond, the same on both sides.
SCHEME = "$5$rounds=1000$mansiobench$"
OURS = "reader"


# Who was not asked for so many seconds is woken again before it is measured warm: the others took their time, and what
# the machine keeps of files may be gone.
WAKE = 3


class Missing(Exception):
	"""The server does not have what the row asks for."""


class Talk:
	"""An IMAP session held by imapload."""

	def __init__(self, bench, party):
		self.process = subprocess.Popen([os.path.join(bench.tools, "imapload"), "talk",
		    *party.words(), "--corpus", bench.corpus], stdin=subprocess.PIPE,
		    stdout=subprocess.PIPE, text=True)
		if not self.process.stdout.readline().startswith("ready"):
			raise ServerError("imapload could not log in at %s" % party.name)

	def say(self, command, may_fail=False):
		self.process.stdin.write(command + "\n")
		self.process.stdin.flush()
		line = self.process.stdout.readline()
		if not line:
			raise ServerError("imapload ended at: " + command[:80])
		result = json.loads(line)
		if not result["ok"] and not may_fail:
			raise ServerError("%s: %s" % (command[:80], result["said"]))
		return result

	def close(self):
		self.process.stdin.close()
		self.process.wait()
		self.process.stdout.close()


class Party:
	"""One mailbox to be read: a server, an account, and what it can."""

	def __init__(self, bench, name, server, user):
		self.bench, self.name, self.server = bench, name, server
		self.user = "%s@%s" % (user, DOMAIN)
		self.talk = None
		self.tokens = {}

	def words(self, port=None):
		return ["--port", str(port or self.server.imap_port), "--user", self.user,
		    "--password", self.server.password]

	def say(self, command, **how):
		if self.talk is None:
			self.talk = Talk(self.bench, self)
		return self.talk.say(command, **how)

	def leave(self):
		if self.talk:
			self.talk.close()
			self.talk = None

	def imap(self):
		return Imap("127.0.0.1", self.server.imap_port, self.user, self.server.password)

	def learn(self):
		box = self.imap()
		self.can = set(b" ".join(box.command("CAPABILITY")).decode().upper().split())
		box.close()

	def needs(self, *words):
		if not set(words) <= self.can:
			raise Missing(" ".join(set(words) - self.can))

	def refresh(self, mailbox):
		"""The mailbox anew and empty."""
		self.say("CLOSE", may_fail=True)
		self.say('DELETE "%s"' % mailbox, may_fail=True)
		self.say('CREATE "%s"' % mailbox)


class Row:
	"""What is done, what is compared, and what is wanted.

	`run(party)` gives the result whose seconds count; `same` names what of it must
	agree between all parties; `like` what is only reported when it differs.  `tuned`:
	for Dovecot's other settings; `plain`: for our server without its text index.
	"""

	def __init__(self, name, title, run, must=1, aim=None, same=(), like=(), cold=None,
	    unit="ms", runs=None, tuned=False, plain=False):
		self.name, self.title, self.run = name, title, run
		self.must, self.aim, self.same, self.like = must, aim, same, like
		self.cold, self.unit, self.runs, self.tuned = cold, unit, runs, tuned
		self.plain = plain


# ---- what is done -----------------------------------------------------------

def asks(command, *needs):
	"""One command in the selected INBOX; timed."""
	def run(party):
		party.needs(*needs)
		if "inbox" not in party.tokens:
			party.say("SELECT INBOX")
			party.tokens["inbox"] = True
		tree = party.server.tree()
		before = process_ran(tree)
		result = party.say(command.replace("%TEN", str(party.bench.ten)))
		result["ran"] = 1000 * (process_ran(tree) - before)
		return result
	return run


def do_select(party):
	party.tokens.pop("inbox", None)
	result = party.say("SELECT INBOX")
	party.say("CLOSE" if "UNSELECT" not in party.can else "UNSELECT")
	return result


def do_store(item):
	def run(party):
		asks("NOOP")(party)
		party.say("STORE 1:* -FLAGS.SILENT (\\Flagged)")
		party.say("NOOP")
		return party.say("STORE 1:* %s (\\Flagged)" % item)
	return run


def do_copy(party):
	party.tokens.pop("inbox", None)
	party.refresh("Copied")
	party.say("SELECT INBOX")
	result = party.say('COPY 1:* "Copied"')
	result["exists"] = party.say("SELECT Copied")["exists"]
	return result


def do_move(party):
	"""What was copied goes on."""
	party.needs("MOVE")
	do_copy(party)
	party.refresh("Moved")
	party.say("SELECT Copied")
	result = party.say('MOVE 1:* "Moved"')
	result["exists"] = party.say("SELECT Moved")["exists"]
	return result


def do_expunge(party):
	"""Every second ten of what was copied."""
	count = do_copy(party)["exists"]
	ranges = ["%d:%d" % (n, n + 9) for n in range(1, count - 8, 20)]
	for i in range(0, len(ranges), 300):
		party.say("STORE %s +FLAGS.SILENT (\\Deleted)" % ",".join(ranges[i:i + 300]))
	result = party.say("EXPUNGE")
	result["exists"] = party.say("SELECT Copied")["exists"]
	return result


def do_append(how):
	def run(party):
		if how == "multi":
			party.needs("MULTIAPPEND")
		party.tokens.pop("inbox", None)
		party.refresh("Appended")
		result = party.say("<append Appended 0 %d %s" % (party.bench.thousand, how))
		result["exists"] = party.say("SELECT Appended")["exists"]
		party.say("CLOSE")
		return result
	return run


def do_qresync(party):
	"""A client comes back: half a thousand flags and as many expunges were missed."""
	party.needs("QRESYNC", "ENABLE")
	party.tokens.pop("inbox", None)
	party.refresh("Resync")
	party.say("SELECT INBOX")
	half = party.bench.thousand // 2
	party.say('COPY 1:%d "Resync"' % (party.bench.count // 2))
	box = party.imap()
	box.command("ENABLE QRESYNC")
	said = b" ".join(box.command("SELECT Resync")) + box.completion
	modseq = int(re.search(rb"HIGHESTMODSEQ (\d+)", said).group(1))
	validity = int(re.search(rb"UIDVALIDITY (\d+)", said).group(1))
	step = max(1, party.bench.count // 2 // (2 * half) * 2)
	some = [n * step + 1 for n in range(half)]
	for i in range(0, half, 250):
		box.command("STORE %s +FLAGS.SILENT (\\Answered)" % ",".join(map(str,
		    some[i:i + 250])))
		box.command("STORE %s +FLAGS.SILENT (\\Deleted)" % ",".join(str(n + 1)
		    for n in some[i:i + 250]))
	box.command("EXPUNGE")
	box.close()
	party.say("ENABLE QRESYNC")
	result = party.say("SELECT Resync (QRESYNC (%d %d))" % (validity, modseq))
	party.say("CLOSE")
	party.leave()
	return result


def do_sessions(tls, parallel=8):
	def run(party):
		port = party.server.imaps_port if tls else party.server.imap_port
		count = party.bench.sessions
		return party.bench.tool("imapload", "sessions", *party.words(port), "--count", count,
		    "--parallel", parallel, *(["--tls"] if tls else []))
	return run


def do_pop3(ahead):
	def run(party):
		return party.bench.tool("imapload", "pop3", *party.words(party.server.pop3_port),
		    "--count", party.bench.ten, *(["--ahead"] if ahead else []))
	return run


def do_news(party):
	"""From the 250 of LMTP to EXISTS in IDLE; the median."""
	box = party.imap()
	box.select("INBOX")
	box.sock.sendall(b"i IDLE\r\n")
	while not box.line().startswith(b"+"):
		pass
	times, count = [], party.bench.news
	sender = smtplib.LMTP("127.0.0.1", party.server.lmtp_port)
	sender.ehlo("load.example.net")
	sender.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
	for i in range(count):
		sender.mail("load@example.net")
		sender.rcpt(party.user)
		sender.putcmd("DATA")
		sender.getreply()
		heard = []
		waiter = threading.Thread(target=lambda: heard.append(exists_wait(box)))
		waiter.start()
		sender.send(b"From: load@example.net\r\nSubject: news %d\r\n\r\nNews.\r\n.\r\n" % i)
		sender.getreply()
		said = time.monotonic()
		waiter.join()
		times.append(max(0.0, heard[0] - said))
	sender.quit()
	box.sock.sendall(b"DONE\r\n")
	box.line()
	# Taken away again: the mailbox is the corpus.
	box.command("STORE %d:* +FLAGS.SILENT (\\Deleted)" % (party.bench.count + 1))
	box.command("EXPUNGE")
	box.close()
	return {"seconds": statistics.median(times), "p99_ms": 1e3 * sorted(times)[-1 -
	    len(times) // 100]}


def exists_wait(box):
	while b"EXISTS" not in box.line():
		pass
	return time.monotonic()


def do_memory(party):
	"""PSS of all processes that hold logged-in sessions with TLS in IDLE."""
	count = party.bench.idlers
	server = party.server
	before = pss_settled(server)
	guests = subprocess.Popen([os.path.join(party.bench.tools, "idleconns"), "--count",
	    str(count), "--port", str(server.imaps_port), "--tls", "--protocol", "imap",
	    "--login", party.user, "--password", server.password, "--idle", "--parallel", "4"],
	    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
	try:
		if not guests.stdout.readline().startswith("ready"):
			raise ServerError("%s: the sessions could not be opened" % party.name)
		during = pss_settled(server)
	finally:
		guests.stdin.close()
		guests.wait()
		guests.stdout.close()
	return {"seconds": during / 2 ** 20, "before": before / 2 ** 20}


def pss_settled(server):
	before = process_pss(server.tree())
	for _ in range(10):
		time.sleep(0.5)
		now = process_pss(server.tree())
		if abs(now - before) < 1 << 20:
			break
		before = now
	return now


# ---- the rows ---------------------------------------------------------------

FETCHED = ("fetches", "ok")
FOUND = ("numbers", "order")


def search_rows():
	rows, plain = [], []
	for key, words, must, aim in (("FROM", FROM, 5, 10), ("SUBJECT", None, 5, 10),
	    ("BODY", None, 50, None), ("TEXT", None, 50, None)):	# with our index; without: 3, 6
		for kind in ("rare", "common", "chinese"):
			word = words[kind] if words else WORDS[kind][0]
			text = word if word.isascii() else '"%s"' % word
			charset = "" if word.isascii() else "CHARSET UTF-8 "
			title = "UID SEARCH %s, %s word" % (key, "Chinese" if kind == "chinese"
			    else kind)
			run = asks("UID SEARCH %s%s %s" % (charset, key, text))
			in_body = key in ("BODY", "TEXT")
			rows.append(Row("%s-%s" % (key.lower(), kind), title, run, must, aim,
			    same=("numbers",), like=("order",), cold=(3, 6) if in_body else
			    (1, None)))
			if in_body:
				plain.append(Row("%s-%s-plain" % (key.lower(), kind), title +
				    ", without our index", run, 3, 6, same=("numbers",),
				    like=("order",), cold=(3, 6), plain=True))
	return rows + plain


ROWS = [
	Row("select", "SELECT", do_select, 1, same=("exists",), cold=(1, None)),
	Row("flags", "FETCH 1:* (UID FLAGS)", asks("FETCH 1:* (UID FLAGS)"), 2, 4,
	    same=FETCHED, cold=(1, None)),
	Row("envelope", "FETCH 1:* (ENVELOPE BODYSTRUCTURE)",
	    asks("FETCH 1:* (ENVELOPE BODYSTRUCTURE)"), 2, 4, same=FETCHED, cold=(10, 40)),
	Row("fields", "FETCH 1:* header fields",
	    asks("FETCH 1:* BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)]"), 2, 4,
	    same=FETCHED + ("literals", "literal_octets"), like=("hash",), cold=(1, None)),
	Row("whole", "FETCH whole messages", asks("FETCH 1:%TEN BODY.PEEK[]"), 1.5, 3,
	    same=FETCHED + ("literal_octets", "hash"), cold=(1, None)),
	*search_rows(),
	Row("sort", "SORT (DATE)", asks("UID SORT (DATE) UTF-8 ALL", "SORT"), 2, 4,
	    same=("numbers",), like=("order",), cold=(1, None)),
	Row("sort-subject", "SORT (SUBJECT)", asks("UID SORT (SUBJECT) UTF-8 ALL", "SORT"), 2, 4,
	    same=("numbers",), like=("order",), cold=(1, None)),
	Row("header", "UID SEARCH HEADER of an arbitrary field",
	    asks("UID SEARCH HEADER Message-ID 1"), 1, same=("numbers",), cold=(1, None)),
	Row("thread", "THREAD=REFERENCES", asks("UID THREAD REFERENCES UTF-8 ALL",
	    "THREAD=REFERENCES"), 2, 4, same=("numbers",), like=("order",), cold=(1, None)),
	Row("store", "STORE 1:* +FLAGS.SILENT", do_store("+FLAGS.SILENT"), 1, 2),
	Row("store-told", "STORE 1:* +FLAGS, each told", do_store("+FLAGS"), 1, 2, same=FETCHED),
	Row("copy", "COPY 1:*", do_copy, 5, 20, same=("exists",)),
	Row("move", "MOVE 1:*", do_move, 5, 20, same=("exists",)),
	Row("expunge", "EXPUNGE of half", do_expunge, 3, 8, same=("exists", "expunges")),
	Row("qresync", "QRESYNC after 1 000 changes", do_qresync, 1, same=("fetches",)),
	Row("append", "APPEND one by one", do_append("one"), 2, 3, same=("exists",)),
	Row("multiappend", "MULTIAPPEND", do_append("multi"), 3, 6, same=("exists",)),
	Row("sessions", "login, SELECT, logout; 8 at a time, plain", do_sessions(False), 8, 20,
	    unit="/s"),
	Row("sessions-tls", "login, SELECT, logout; 8 at a time, TLS", do_sessions(True), 2.5,
	    3.3, unit="/s"),
	Row("sessions-tuned", "the same plain, Dovecot tuned", do_sessions(False), 1,
	    unit="/s", tuned=True),
	Row("sessions-tls-tuned", "the same TLS, Dovecot tuned", do_sessions(True), 1,
	    unit="/s", tuned=True),
	Row("news", "delivery to EXISTS in IDLE", do_news, 1),
	# As fast clients do it: both servers say PIPELINING.
	Row("pop3", "POP3, pipelined", do_pop3(True), 3, 6, same=("octets", "hash")),
	Row("pop3-one", "POP3, letter by letter", do_pop3(False), 1, same=("octets", "hash")),
	Row("memory", "IDLE sessions with TLS, memory of all processes", do_memory, 10,
	    unit="MiB", runs=1),
	Row("memory-tuned", "the same, Dovecot tuned", do_memory, 1, unit="MiB", runs=1,
	    tuned=True),
]


# ---- measuring --------------------------------------------------------------

class Reading:
	"""The servers with their mail, and the rows measured on them."""

	def __init__(self, bench):
		o = bench.options
		self.bench = bench
		bench.count = o.messages or (2000 if o.quick else 10000 if o.what == "imap-growth"
		    else 100000)
		bench.thousand = 200 if o.quick else 1000
		bench.sessions = 200 if o.quick else 600
		bench.news = 10 if o.quick else 40
		bench.idlers = 100 if o.quick else 2000
		self.runs = o.runs or (1 if o.quick else 3)
		bench.corpus = os.path.join(bench.work, "corpus")
		self.loaded = os.path.join(bench.work, "loaded")	# how many letters, when all are
		if os.path.exists(self.loaded):
			with open(self.loaded) as f:
				bench.count = int(f.read())
			self.octets = os.path.getsize(bench.corpus)
		else:
			self.octets = corpus_write(bench.corpus, bench.count)
		bench.ten = min(10000, bench.count)
		# Our directory would renew a hash of an older kind; this file keeps it as it is.
		people = os.path.join(bench.work, "people")
		self.mansio = bench.mansio(o.base_port + 20, settings=[
		    "mail_max_userip_connections=0", "disable_plaintext_auth=no", "search_index=yes",
		    "auth_backends=passwd-file:%s directory" % people])
		self.hash = crypt.crypt(self.mansio.password, SCHEME)
		with open(people, "w") as f:
			f.write("%s@%s:{CRYPT}%s\n" % (OURS, DOMAIN, self.hash))
		os.chmod(people, 0o644)
		self.dovecot = Dovecot(bench.work, o.base_port, self.mansio.password, self.hash)
		self.parties = [Party(bench, "Mansio", self.mansio, OURS)] + [Party(bench,
		    "Dovecot " + kind, self.dovecot, kind) for kind in FORMATS]

	# -- servers

	def start(self):
		Dovecot.install()
		self.dovecot.start()
		self.mansio.start()
		self.ports_learn()
		if not os.path.exists(self.loaded):
			self.account_make()
		for party in self.parties:
			party.learn()

	def index_want(self, wanted):
		"""Our server with its text index or without; true when it must be started anew for that."""
		return self.mansio.setting("search_index", "yes" if wanted else "no")

	def ports_learn(self):
		for name in ("imaps", "pop3", "lmtp"):
			setattr(self.mansio, name + "_port", int(re.search(r"\d+$",
			    self.mansio.env["MANSIO_%s_PORT" % name.upper()]).group()))

	def account_make(self):
		path = os.path.join(self.bench.work, "password")
		with open(path, "w") as f:
			f.write(self.mansio.password + "\n")
		os.chmod(path, 0o600)
		done = self.mansio.command("account", "add", self.parties[0].user,
		    "--password-file", path)
		if done.returncode:
			raise ServerError("account add: " + done.stderr)

	def restart(self):
		"""Fresh processes; nothing that was kept only for speed; nothing in memory."""
		for party in self.parties:
			party.leave()
			party.tokens = {}
		self.mansio.halt()
		self.dovecot.halt()
		self.dovecot.caches_drop()
		for root in (self.mansio.dir, self.dovecot.dir):
			pages_drop(root)
		self.dovecot.start()
		self.mansio.start()
		self.ports_learn()

	def stop(self):
		for party in self.parties:
			party.leave()
		for server in (self.mansio, self.dovecot):
			if self.bench.options.mail:
				server.halt()
			else:
				server.stop()

	# -- mail

	def load(self):
		if os.path.exists(self.loaded):
			self.index_wait()
			return
		for party in self.parties:
			how = "multi" if "MULTIAPPEND" in party.can else "ahead"
			begin, count = time.monotonic(), self.bench.count
			for first in range(0, count, 1000):
				party.say("<append INBOX %d %d %s" % (first, min(1000, count - first), how))
			exists = party.say("SELECT INBOX")["exists"]
			if exists != count:
				raise ServerError("%s has %d letters, not %d" % (party.name, exists, count))
			party.tokens["inbox"] = True
			print("  %-15s loaded in %.1f s (%s)" % (party.name, time.monotonic() - begin,
			    how), flush=True)
		self.index_wait()
		with open(self.loaded, "w") as f:
			f.write("%d\n" % self.bench.count)

	def index_wait(self):
		"""Our text index is made behind; the rows that search begin with all of it."""
		begin = time.monotonic()
		while time.monotonic() < begin + 600:
			said = self.mansio.command("mailbox", "index", self.parties[0].user, "-f",
			    "values").stdout.split()
			letters = next((int(n) for n in said if n.isdigit()), 0)
			if letters >= self.bench.count:
				print("  Mansio's text index took %.1f s more" % (time.monotonic() -
				    begin), flush=True)
				return
			time.sleep(0.5)
		print("  Mansio's text index is not finished", flush=True)

	# -- rows

	def once(self, row, party):
		result = row.run(party)
		if row.unit == "/s":
			result["value"] = result["per_second"]
		else:
			result["value"] = result["seconds"] * (1000 if row.unit == "ms" else 1)
		return result

	def cold(self, row):
		out = {}
		self.index_want(not row.plain)
		self.restart()
		for party in self.parties:
			try:
				out[party.name] = [self.once(row, party)]
			except Missing as m:
				out[party.name] = str(m)
		return out

	def warm(self, row):
		out = {party.name: [] for party in self.parties}
		able = list(self.parties)
		done = dict.fromkeys(out, 0.0)
		if self.index_want(not row.plain):
			self.restart()
		if row.tuned != self.dovecot.tuned:
			for party in self.parties:
				party.leave()
				party.tokens = {}
			self.dovecot.tune(row.tuned)
		for n in range(-1, row.runs or self.runs):
			for party in list(able):
				if n < 0 and row.runs == 1:
					continue
				try:
					if n >= 0 and row.cold and time.monotonic() > done[party.name] + WAKE:
						self.once(row, party)
					result = self.once(row, party)
					done[party.name] = time.monotonic()
				except Missing as m:
					out[party.name] = str(m)
					able.remove(party)
					continue
				if n >= 0:	# the first wakes caches
					out[party.name].append(result)
		return out


def pages_drop(root):
	"""The files' pages leave the page cache; names and inodes stay in memory."""
	for where, _, names in os.walk(root):
		for name in names:
			try:
				fd = os.open(os.path.join(where, name), os.O_RDONLY | os.O_NOFOLLOW |
				    os.O_NONBLOCK)
			except OSError:
				continue
			try:
				os.fdatasync(fd)
				os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
			except OSError:
				pass
			finally:
				os.close(fd)


def judge(row, kind, results, must, aim):
	"""One line of the table as a dict."""
	line = {"row": row.name, "title": row.title, "kind": kind, "unit": row.unit,
	    "must": must, "aim": aim, "runs": results, "notes": []}
	values = {}
	for name, runs in results.items():
		if isinstance(runs, str):
			line["notes"].append("%s: missing %s" % (name, runs))
		elif runs:
			values[name] = statistics.median(r["value"] for r in runs)
	line["values"] = values
	ran = {name: statistics.median(r["ran"] for r in runs) for name, runs in results.items()
	    if not isinstance(runs, str) and runs and all("ran" in r for r in runs)}
	if "Mansio" in ran and len(ran) > 1:
		line["ran"] = ran
		line["ran_ratio"] = min(v for k, v in ran.items() if k != "Mansio") / max(ran["Mansio"],
		    1e-3)
	theirs = [v for k, v in values.items() if k != "Mansio"]
	if "Mansio" in values and theirs:
		if row.unit == "/s":
			line["ratio"] = values["Mansio"] / max(theirs)
		else:
			line["ratio"] = min(theirs) / max(values["Mansio"], 1e-6)
	have = {k: r[-1] for k, r in results.items() if not isinstance(r, str) and r}
	for key in row.same:
		if len({str(r[key]) for r in have.values()}) > 1:
			line["wrong"] = True
			line["notes"].append("DIFFERENT %s: %s" % (key, ", ".join("%s %s" % (k, r[key])
			    for k, r in have.items())))
	for key in row.like:
		if "wrong" not in line and "Mansio" in have and not any(r[key] ==
		    have["Mansio"][key] for k, r in have.items() if k != "Mansio") and len(have) > 1:
			line["notes"].append("%s differs" % key)
	return line


def verdict(line):
	if line.get("wrong"):
		return "**wrong**"
	ratio, must, aim = line.get("ratio"), line["must"], line["aim"]
	if ratio is None:
		return "missing" if "Mansio" not in line["values"] else ""
	if must and ratio < must:
		return "**below must**"
	return "aim met" if aim and ratio >= aim else "met"


def figure(x, unit):
	if x is None:
		return "–"
	text = "%.0f" % x if x >= 100 else "%.1f" % x if x >= 10 else "%.2f" % x
	return text + {"ms": " ms", "/s": "/s", "MiB": " MiB"}[unit]


def table(report):
	m = report["machine"]
	out = ["# Reading mail beside Dovecot", "",
	    "%s, %d cores, Linux %s, %s, load before %.2f. %s. %d letters, %.0f MiB; medians of "
	    "%d interleaved runs; client and server share the cores." % (m["cpu"], m["cores"],
	    m["kernel"], m["date"], m["load"], "; ".join(report["versions"]), report["messages"],
	    report["octets"] / 2 ** 20, report["count"]), "",
	    "| | | Mansio | Dovecot, Maildir | Dovecot, sdbox | ratio | of processor time | must | aim | | |",
	    "|--|--|--|--|--|--|--|--|--|--|--|"]
	for line in report["rows"]:
		v = line["values"]
		out.append("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |" % (line["title"],
		    line["kind"], figure(v.get("Mansio"), line["unit"]),
		    figure(v.get("Dovecot maildir"), line["unit"]),
		    figure(v.get("Dovecot sdbox"), line["unit"]),
		    "%.2f" % line["ratio"] if "ratio" in line else "–",
		    "%.1f" % line["ran_ratio"] if "ran_ratio" in line else "", line["must"] or "–",
		    line["aim"] or "–", verdict(line), "; ".join(line["notes"])))
	if "sync_ms" in report:
		out += ["", "This disk keeps one letter of 12 KiB after the other, each written to a file that has room "
		    "and synced alone, in %s; two such syncs, as APPEND has them, in twice that." %
		    figure(report["sync_ms"], "ms")]
	return "\n".join(out) + "\n"


def run_imap(bench):
	o = bench.options
	names = o.rows.split(",") if o.rows else [r.name for r in ROWS]
	unknown = set(names) - {r.name for r in ROWS}
	if unknown:
		raise SystemExit("no such row: %s; there are %s" % (", ".join(unknown),
		    ", ".join(r.name for r in ROWS)))
	reading = Reading(bench)
	report = {"machine": bench.machine(), "count": reading.runs, "rows": [],
	    "messages": bench.count, "octets": reading.octets}
	try:
		reading.start()
		report["versions"] = [Dovecot.version(), reading.mansio.version()]
		reading.load()
		if "append" in names:
			report["sync_ms"] = 1000 / bench.tool("disklimit", "--json", "--seconds", 1,
			    "--threads", 1, "--size", 12288, bench.work)["per_second"]["1"]
		for row in ROWS:
			if row.name not in names:
				continue
			if row.cold and not o.warm:
				measure(report, row, "cold", reading.cold(row), *row.cold)
			measure(report, row, "warm" if row.cold else "", reading.warm(row), row.must,
			    row.aim)
	except KeyboardInterrupt:
		print("broken off: what was measured is kept", flush=True)
	finally:
		reading.stop()
	picture = [("%s %s" % (x["title"], x["kind"]), x.get("ratio"), x["must"], x["aim"],
	    verdict(x).strip("*")) for x in report["rows"]]
	bench.save("imap", report, table(report), drawing.bars("Mansio beside Dovecot",
	    "time of Dovecot's better format over ours; %d letters; %s, %d cores" %
	    (bench.count, report["machine"]["cpu"], report["machine"]["cores"]),
	    picture, logarithmic=True))
	return 1 if any(verdict(x).startswith("**") for x in report["rows"]) else 0


def measure(report, row, kind, results, must, aim):
	line = judge(row, kind, results, must, aim)
	report["rows"].append(line)
	print("  %-42s %-4s  %s  %s  %s" % (row.title, kind, "  ".join("%s %s" % (k, figure(v,
	    row.unit)) for k, v in line["values"].items()), "%.2f×" % line["ratio"]
	    if "ratio" in line else "–", verdict(line) + (" (processor %.1f)" % line["ran_ratio"]
	    if "ran_ratio" in line else "") + " " + "; ".join(line["notes"])),
	    flush=True)


# ---- growth -----------------------------------------------------------------

# title, commands of which the last is timed, how often; the best counts.  Drawn is the time on the wall; whether it is
# linear the server's processor time tells, which other work on the machine does not lengthen.
GROWING = [
	("SELECT", ["SELECT INBOX", "SELECT Grown"], 3),
	("FETCH 1:* (UID FLAGS)", ["FETCH 1:* (UID FLAGS)"], 3),
	("FETCH 1:* (ENVELOPE BODYSTRUCTURE)", ["FETCH 1:* (ENVELOPE BODYSTRUCTURE)"], 1),
	("the same again", ["FETCH 1:* (ENVELOPE BODYSTRUCTURE)"], 3),
	("UID SEARCH SUBJECT", ["UID SEARCH SUBJECT " + WORDS["common"][0]], 3),
	("UID SORT (DATE)", ["UID SORT (DATE) UTF-8 ALL"], 3),
	("STORE 1:* +FLAGS.SILENT", ["STORE 1:* -FLAGS.SILENT (\\Flagged)",
	    "STORE 1:* +FLAGS.SILENT (\\Flagged)"], 3),
	("COPY 1:*", ["DELETE Again", "CREATE Again", "COPY 1:* Again"], 3),
	("EXPUNGE of all", ["STORE 1:* +FLAGS.SILENT (\\Deleted)", "EXPUNGE"], 1),
]
SLACK, FLOOR_MS = 1.5, 20	# of what is linear; below so many milliseconds nothing is judged


def said_last(party, commands):
	"""Milliseconds of the last of the commands: on the wall, and of the server's processors."""
	for command in commands[:-1]:
		party.say(command)
	tree = party.server.tree()
	before = process_ran(tree)
	seconds = party.say(commands[-1])["seconds"]
	return 1000 * seconds, 1000 * (process_ran(tree) - before)


def run_growth(bench):
	"""bench/run imap-growth: ours alone.  A mailbox grows by copies of the corpus' letters."""
	reading = Reading(bench)
	sizes = [1000, 10000, 100000] + ([1000000] if bench.options.million else [])
	if bench.options.quick:
		sizes = [1000, 10000]
	times = {title: [] for title, _, _ in GROWING}
	ran = {title: [] for title, _, _ in GROWING}
	party = reading.parties[0]
	try:
		reading.mansio.start()
		reading.ports_learn()
		reading.account_make()
		party.learn()
		for first in range(0, bench.count, 1000):
			party.say("<append INBOX %d %d ahead" % (first, min(1000, bench.count - first)))
		for size in sizes:
			party.refresh("Grown")
			party.refresh("Again")
			party.say("SELECT INBOX")
			for had in range(0, size, bench.count):
				party.say("COPY 1:%d Grown" % min(bench.count, size - had))
			for title, commands, often in GROWING:
				tries = [said_last(party, commands) for _ in range(often)]
				times[title].append((size, min(t[0] for t in tries)))
				ran[title].append((size, min(t[1] for t in tries)))
				print("  %8d  %-36s %.2f ms, processor %.2f ms" % (size, title,
				    times[title][-1][1], ran[title][-1][1]), flush=True)
	finally:
		party.leave()
		reading.mansio.stop()
	worse = [t for t, v in ran.items() for a, b in zip(v, v[1:])
	    if b[1] > FLOOR_MS and b[1] > SLACK * b[0] / a[0] * max(a[1], 1)]
	out = ["# Growth of one mailbox", "", "| | " + " | ".join("%d" % n for n in sizes) + " | |",
	    "|--" * (len(sizes) + 2) + "|"]
	for title, values in times.items():
		out.append("| %s | %s | %s |" % (title, " | ".join("%s (%s)" % (figure(wall[1], "ms"),
		    figure(own[1], "ms")) for wall, own in zip(values, ran[title])),
		    "**worse than linear**" if title in worse else ""))
	out += ["", "In brackets the processor time of the server."]
	svg = drawing.lines("Growth of one mailbox", [(title, "messages", "ms", {"": values})
	    for title, values in times.items()])
	bench.save("growth-imap", {"machine": bench.machine(), "times": times, "ran": ran}, "\n".join(out) + "\n",
	    svg)
	return 1 if worse else 0
