# SPDX-License-Identifier: ISC
"""bench/run directory: what a lookup costs in tables of 1, 1 000 and 1 000 000 addresses, beside Postfix's
lmdb map, and what a recipient costs in a session with that many aliases in a file and in the directory."""

import os
import resource
import shutil
import socket
import sqlite3
import statistics
import subprocess
import threading
import time

import logins
from servers import DOMAIN, ServerError, process_pss

FOREIGN = "many.example"
ASKED = 200000
RECIPIENTS = 20000
BURST = 100
A_SESSION = 5000


def key_of(number):
	return "user%d@%s" % (number, FOREIGN)


def write_table(path, count):
	with open(path, "w") as f:
		f.writelines("%s jack@%s\n" % (key_of(i), DOMAIN) for i in range(count))


def write_keys(path, count, asked):
	with open(path, "w") as f:
		f.writelines(key_of(i * 7919 % count) + "\n" for i in range(asked))


def query_seconds(command, keys):
	"""Of the processor: what else the machine does counts little."""
	def used():
		now = resource.getrusage(resource.RUSAGE_CHILDREN)
		return now.ru_utime + now.ru_stime
	begin = used()
	with open(keys) as f:
		done = subprocess.run(command, stdin=f, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
	if done.returncode:
		raise ServerError(done.stderr.decode())
	return used() - begin


def per_second(command, keys, one, asked):
	"""Lookups, without what it takes to start and to open the table."""
	whole = min(query_seconds(command, keys) for _ in range(3))
	start = min(query_seconds(command, one) for _ in range(3))
	return asked / max(1e-6, whole - start), start


def resting_pss(command):
	"""Of a process that has the table open and waits for a key."""
	process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
	try:
		before, still = None, 0
		while still < 5:
			time.sleep(0.05)
			with open("/proc/%d/stat" % process.pid) as f:
				now = f.read().rsplit(")", 1)[1].split()[11:13]
			still = still + 1 if now == before else 0
			before = now
		return process_pss([process.pid])
	finally:
		process.stdin.close()
		process.wait()


def postfix_place(work):
	place = os.path.join(work, "postmap")
	os.makedirs(place, exist_ok=True)
	with open(os.path.join(place, "main.cf"), "w") as f:
		f.write("compatibility_level = 3.6\nqueue_directory = %s\ndata_directory = %s\nlmdb_map_size = 1073741824\n" % (place, place))
	for name in ("dynamicmaps.cf", "dynamicmaps.cf.d"):
		source = os.path.join("/etc/postfix", name)
		if os.path.isdir(source):
			shutil.copytree(source, os.path.join(place, name), dirs_exist_ok=True)
		elif os.path.exists(source):
			shutil.copy(source, place)
	return place


def directory_file(bench, lookups, count):
	"""A directory of so many aliases of one account."""
	path = os.path.join(bench.work, "directory%d.db" % count)
	if os.path.exists(path):
		os.unlink(path)
	subprocess.run([lookups, path], stdin=subprocess.DEVNULL, check=True)
	db = sqlite3.connect(path)
	db.executemany("INSERT INTO domain (name, made, number) VALUES (?, 0, ?)", ((DOMAIN, 0), (FOREIGN, 1)))
	db.execute("INSERT INTO account (id, local, domain, hash, scram_iterations, scram_salt, scram_stored, scram_server, made)"
	    " VALUES (1, 'jack', ?, '!', 0, '', '', '', 0)", (DOMAIN,))
	db.executemany("INSERT INTO alias (domain, local, target) VALUES (?, ?, ?)", ((FOREIGN, "user%d" % i, "jack@" + DOMAIN) for i in range(count)))
	db.commit()
	db.close()
	return path


def first_answer(command, keys):
	with open(keys) as f:
		return subprocess.run(command, stdin=f, capture_output=True, check=True).stdout.decode().split()


def text_rows(bench, binary, sizes):
	place, rows, empty, nobody = postfix_place(bench.work), [], None, None
	build = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "build")
	lookups = os.path.join(build, "bench", "lookups")
	subprocess.run(["ninja", "-C", build, "bench/lookups"], check=True, stdout=subprocess.DEVNULL)
	keys, one, many = (os.path.join(bench.work, name) for name in ("keys", "key", "many-keys"))
	for count in sizes:
		table = os.path.join(bench.work, "table%d" % count)
		write_table(table, count)
		write_keys(keys, count, ASKED)
		write_keys(one, count, 1)
		write_keys(many, count, 10 * ASKED)
		if subprocess.run(["/usr/sbin/postmap", "-c", place, "lmdb:" + table]).returncode:
			raise ServerError("postmap cannot build an lmdb map: is postfix-lmdb installed?")
		theirs, _ = per_second(["/usr/sbin/postmap", "-c", place, "-q", "-", "lmdb:" + table], keys, one, ASKED)
		command = [binary, "postmap", "-c", place, "-q", "-", "lmdb:" + table]
		ours, opening = per_second(command, many, one, 10 * ASKED)
		pss = resting_pss(command)
		if empty is None:
			empty = pss
		each = (pss - empty - os.path.getsize(table)) / count if count > 1 else 0
		command = [lookups, directory_file(bench, lookups, count)]
		if first_answer(command, one) != [key_of(0), "jack@" + DOMAIN]:
			raise ServerError("bench/lookups does not find %s" % key_of(0))
		resolved, reading = per_second(command, many, one, 10 * ASKED)
		pss = resting_pss(command)
		if nobody is None:
			nobody = pss
		rows.append({"addresses": count, "ours": ours, "postfix": theirs, "ratio": ours / theirs,
		    "opening_seconds": opening, "bytes_beyond_the_file": each,
		    "directory": resolved, "directory_ratio": resolved / theirs, "directory_opening_seconds": reading,
		    "directory_bytes": (pss - nobody) / count if count > 1 else 0})
		print(rows[-1], flush=True)
	return rows


def rcpt_session(port, addresses):
	"""Seconds for these recipients in one session, sent in bursts; every one must be taken."""
	with socket.create_connection(("127.0.0.1", port)) as s, s.makefile("rwb") as f:
		def say(line, replies):
			f.write(line)
			f.flush()
			while replies > 0:
				reply = f.readline()
				if reply[:1] != b"2":
					raise ServerError("%r: %r" % (line[:60], reply))
				replies -= reply[3:4] != b"-"
		say(b"", 1)
		say(b"EHLO bench.example\r\n", 1)
		begin = time.monotonic()
		for first in range(0, len(addresses), BURST):
			lines = [b"RSET\r\nMAIL FROM:<a@bench.example>\r\n"]
			lines += [b"RCPT TO:<%s>\r\n" % one.encode() for one in addresses[first:first + BURST]]
			say(b"".join(lines), len(lines) + 1)
		return time.monotonic() - begin


def rcpt_per_second(port, address):
	"""Over several sessions: one with many RSETs is taken for a nuisance.  No address comes twice, for the receiver
	remembers what it heard of one: with an extension behind it each is looked up, however few aliases there are."""
	addresses = [address(i) for i in range(RECIPIENTS)]
	return RECIPIENTS / sum(rcpt_session(port, addresses[i:i + A_SESSION]) for i in range(0, RECIPIENTS, A_SESSION))


def looked_up_per_second(bench, server, count):
	"""Addresses by the way of a recipient, classes and tables and the directory, without SMTP around it."""
	keys, one = (os.path.join(bench.work, name) for name in ("keys", "key"))
	write_keys(keys, count, RECIPIENTS)
	write_keys(one, count, 1)
	return per_second([server.env["MANSIO_BIN"], "-c", server.env["MANSIO_CONFIG"], "address", "lookup", "-"], keys, one, RECIPIENTS)[0]


def into_directory(server, count):
	"""Aliases of the directory, put in while the server is down."""
	server.halt()
	path = os.path.join(server.dir, "mail", "directory", "directory.db")
	db = sqlite3.connect(path)
	db.execute("INSERT OR IGNORE INTO domain (name, made, number) SELECT ?, 0, max(number) + 1 FROM domain", (FOREIGN,))
	db.executemany("INSERT OR IGNORE INTO alias (domain, local, target) VALUES (?, ?, ?)",
	    ((FOREIGN, "user%d" % i, "jack@" + DOMAIN) for i in range(count)))
	db.commit()
	db.close()
	server.start()


def rcpt_rows(bench, sizes):
	rows = []
	for count in [0] + sizes:
		table = os.path.join(bench.work, "virtual")
		write_table(table, count)
		for kind in ("text", "directory"):
			settings = ["virtual_alias_maps=hash:" + table] if kind == "text" else []
			if kind == "text" and count > 0:
				settings.append("virtual_alias_domains=" + FOREIGN)
			server = bench.mansio(bench.options.base_port, settings=settings)
			server.start()
			try:
				if kind == "directory" and count > 0:
					into_directory(server, count)
				port = server.smtp_port
				plain = statistics.median(rcpt_per_second(port, lambda i: "jack+%d.%d@%s" % (turn, i, DOMAIN)) for turn in range(3))
				alias = 0 if count == 0 else statistics.median(
				    rcpt_per_second(port, lambda i: key_of(i * 7919 % count).replace("@", "+%d.%d@" % (turn, i))) for turn in range(3))
				bare = 0 if count == 0 else looked_up_per_second(bench, server, count)
			finally:
				server.stop()
			rows.append({"kind": kind, "aliases": count, "accounts_per_second": plain, "aliases_per_second": alias, "lookups_per_second": bare})
			print(rows[-1], flush=True)
	return rows


class Knock(threading.Thread):
	"""One recipient after the other, for as long as it lasts: when each was asked, and how long the answer took."""

	def __init__(self, port, number):
		super().__init__()
		self.port, self.number, self.over, self.times = port, number, False, []

	def run(self):
		asked = 0
		while not self.over:
			with socket.create_connection(("127.0.0.1", self.port)) as s, s.makefile("rwb") as f:
				def say(line):
					f.write(line)
					f.flush()
					while (reply := f.readline())[3:4] == b"-":
						pass
					if reply[:1] != b"2":
						raise ServerError("%r: %r" % (line[:60], reply))
				f.readline()
				say(b"EHLO bench.example\r\n")
				for i in range(A_SESSION):
					if i % BURST == 0:
						say(b"RSET\r\n")
						say(b"MAIL FROM:<a@bench.example>\r\n")
					begin = time.monotonic()
					say(b"RCPT TO:<user%d+%d.%d@%s>\r\n" % (asked % 1000, self.number, asked, FOREIGN.encode()))
					self.times.append((begin, time.monotonic() - begin))
					asked += 1
					if self.over:
						return


def reload_row(bench, count, what):
	"""A table of so many lines is written anew while recipients are asked for: `what` is who looks into it."""
	table = os.path.join(bench.work, "reload")

	def write(more):
		with open(table + ".new", "w") as f:
			f.writelines("10.%d.%d.%d x\n" % (i >> 16, i >> 8 & 255, i & 255) if what == "mynetworks" else "%s jack@%s\n" % (key_of(i), DOMAIN)
			    for i in range(count + more))
		os.rename(table + ".new", table)

	write(0)
	settings = ["virtual_alias_domains=" + FOREIGN] + (["mynetworks=hash:%s 127.0.0.0/8" % table, "virtual_alias_maps=inline:{@%s=jack@%s}" % (FOREIGN, DOMAIN)]
	    if what == "mynetworks" else ["virtual_alias_maps=hash:" + table])
	server = bench.mansio(bench.options.base_port, settings=settings)
	server.start()
	knocks = [Knock(server.smtp_port, i) for i in range(2)]
	try:
		for k in knocks:
			k.start()
		time.sleep(2)
		write(1)
		begin = time.monotonic()
		time.sleep(4)
	finally:
		for k in knocks:
			k.over = True
		for k in knocks:
			k.join()
		server.stop()
	still, then = ([(at, took) for k in knocks for at, took in k.times if (at >= begin) == late] for late in (False, True))

	def rate(times):
		return len(times) / (max(at for at, _ in times) - min(at for at, _ in times))
	return {"lines": count, "kept_in": what, "rcpts_still": rate(still), "worst_still_ms": 1000 * max(took for _, took in still),
	    "rcpts_anew": rate(then), "worst_anew_ms": 1000 * max(took for _, took in then)}


def verdicts(text, rcpt):
	"""What must be: (words, whether it is so)."""
	big = text[-1]
	for row in text:
		yield "%d addresses: a lookup costs no more than Postfix's lmdb: %.2f times its rate" % (row["addresses"], row["ratio"]), row["ratio"] >= 1
		yield "%d addresses: an alias of the directory is resolved as fast as Postfix's lmdb finds a key: %.2f times its rate" % (
		    row["addresses"], row["directory_ratio"]), row["directory_ratio"] >= 1
	yield "memory beyond the file: %.1f bytes an address, at most 100" % big["bytes_beyond_the_file"], big["bytes_beyond_the_file"] <= 100
	yield "memory for the directory, all of it: %.1f bytes an address, at most 100" % big["directory_bytes"], big["directory_bytes"] <= 100
	for kind in ("text", "directory"):
		rates = {r["aliases"]: r["accounts_per_second"] for r in rcpt if r["kind"] == kind}
		yield "%s: RCPTs with %d aliases at %.0f %% of the rate with none" % (kind, max(rates), 100 * rates[max(rates)] / rates[0]), \
		    rates[max(rates)] >= 0.8 * rates[0]


def run_directory(bench):
	sizes = [1, 1000, 20000 if bench.options.quick else 1000000]
	probe = bench.mansio(bench.options.base_port)
	probe.start()
	binary = probe.env["MANSIO_BIN"]
	probe.stop()
	text, rcpt = text_rows(bench, binary, sizes), rcpt_rows(bench, sizes)
	anew = [reload_row(bench, sizes[-1], what) for what in ("virtual_alias_maps", "mynetworks")]
	entries = logins.measure(os.path.abspath(binary))
	said = list(verdicts(text, rcpt)) + [("logins by %s: %.2f times Dovecot's rate, at least 1" % (r["scheme"], r["ratio"]), r["ratio"] >= 1)
	    for r in entries]
	markdown = ("# Directory\n\n| addresses | lookups/s in a text table | postmap -q on lmdb | ratio | opened in | bytes an address beyond the file |\n"
	    "|--|--|--|--|--|--|\n" + "".join("| %d | %.0f | %.0f | %.2f | %.2f s | %.1f |\n" % (r["addresses"], r["ours"], r["postfix"], r["ratio"],
	    r["opening_seconds"], r["bytes_beyond_the_file"]) for r in text) +
	    "\n| aliases | resolved/s in the directory | postmap -q on lmdb | ratio | opened and read in | bytes of memory an address |\n|--|--|--|--|--|--|\n" +
	    "".join("| %d | %.0f | %.0f | %.2f | %.2f s | %.1f |\n" % (r["addresses"], r["directory"], r["postfix"], r["directory_ratio"],
	    r["directory_opening_seconds"], r["directory_bytes"]) for r in text) +
	    "\n| aliases | kept in | RCPTs/s of an account | RCPTs/s of aliases | mansio address lookup of aliases/s |\n|--|--|--|--|--|\n" +
	    "".join("| %d | %s | %.0f | %.0f | %.0f |\n" % (r["aliases"], r["kind"], r["accounts_per_second"], r["aliases_per_second"], r["lookups_per_second"]) for r in rcpt) +
	    "\n| lines | written anew in | RCPTs/s before | slowest | RCPTs/s from then on, 4 s | slowest |\n|--|--|--|--|--|--|\n" +
	    "".join("| %d | %s | %.0f | %.1f ms | %.0f | %.1f ms |\n" % (r["lines"], r["kept_in"], r["rcpts_still"], r["worst_still_ms"], r["rcpts_anew"],
	    r["worst_anew_ms"]) for r in anew) +
	    "\n| passwords by | logins/s over TLS | Dovecot | ratio | processor ms a login | Dovecot |\n|--|--|--|--|--|--|\n" +
	    "".join("| %s | %.0f | %.0f | %.2f | %.2f | %.2f |\n" % (r["scheme"], r["ours"], r["dovecot"], r["ratio"], r["ours_ms"], r["dovecot_ms"])
	    for r in entries) +
	    "\n" + "".join("* %s: %s\n" % ("met" if good else "MISSED", words) for words, good in said))
	bench.save("directory", {"machine": bench.machine(), "text": text, "rcpt": rcpt, "anew": anew, "logins": entries}, markdown)
	return 0 if all(good for _, good in said) else 1
