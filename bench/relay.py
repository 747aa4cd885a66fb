# SPDX-License-Identifier: ISC
"""bench/run relay: letters that come in and go out again, beside Debian's Postfix.

Where they go is Postfix's own smtp-sink, which counts.  Destinations are addresses of
loopback, 127.100.0.1 and on, one for each domain: 10 000 of them are one process.
"""

import json
import os
import re
import signal
import smtplib
import statistics
import subprocess
import time

import drawing
from servers import Postfix, port_open, process_pss, process_seconds, wait_until

MIB = 1024 * 1024
WIDE = ["initial_destination_concurrency=50", "default_destination_concurrency_limit=50"]
TRUSTED = ["mynetworks=127.0.0.0/8", "smtpd_relay_restrictions=permit_mynetworks, reject",
    "smtpd_recipient_limit=1000", "smtp_tls_security_level=none", "minimal_backoff_time=300s",
    "smtp_host_lookup=native"]


def domain_of(number):
	return "d%d.relay.example" % number


def address_of(number):
	return "127.100.%d.%d" % (number // 250, number % 250 + 1)


class Sink:
	"""smtp-sink on every address of loopback."""

	def __init__(self, directory, port, *words):
		self.out = os.path.join(directory, "sink-%d" % port)
		self.port = port
		self.file = open(self.out, "wb")
		self.process = subprocess.Popen(["/usr/sbin/smtp-sink", "-u", "nobody", "-m", "8000", "-c", *words, "0.0.0.0:%d" % port, "512"],
		    stdout=self.file, stderr=subprocess.DEVNULL)
		wait_until(lambda: port_open(port), 10, "smtp-sink")

	def count(self):
		"""Letters it has taken."""
		with open(self.out, "rb") as f:
			f.seek(0, 2)
			f.seek(max(0, f.tell() - 200))
			found = re.findall(rb"mesg=(\d+)", f.read())
		return int(found[-1]) if found else 0

	def seconds(self):
		return process_seconds([self.process.pid])

	def stop(self):
		self.process.terminate()
		self.process.wait()
		self.file.close()
		os.unlink(self.out)


def sink_wait(sink, wanted, patience=60):
	"""When the sink had taken so many, and how many it has."""
	last, seen = time.monotonic(), -1
	while True:
		now, at = sink.count(), time.monotonic()
		if now >= wanted:
			return at, now
		if now > seen:
			last, seen = at, now
		elif at - last > patience:
			return at, now
		time.sleep(0.02)


def transport_write(path, rows):
	with open(path, "w") as f:
		f.writelines("%s smtp:[%s]:%d\n" % row for row in rows)
	return path


class Relays:
	"""The two servers, with the same settings, whose letters go where `rows` say."""

	def __init__(self, bench, rows, settings=()):
		o = bench.options
		self.bench = bench
		self.table = transport_write(os.path.join(bench.work, "transport"), rows)
		os.chmod(bench.work, 0o755)
		lines = TRUSTED + list(settings) + ["transport_maps=texthash:" + self.table]
		self.servers = []
		if o.only != "mansio":
			self.servers.append(Postfix(bench.work, o.base_port, log=o.postfix_log,
			    settings=dict(l.split("=", 1) for l in lines)))
		if o.only != "postfix":
			self.servers.append(bench.mansio(o.base_port + 55, settings=lines))

	def __enter__(self):
		for server in self.servers:
			server.start()
		return self.servers

	def __exit__(self, *why):
		for server in self.servers:
			server.stop()


def load(bench, server, messages, template, users, connections=50, size=2048, **more):
	words = ["--connections", connections, "--messages", messages, "--size", size,
	    "--rcpt-template", template, "--users", users, "--tag", bench.tag()]
	for name, value in more.items():
		words += ["--" + name, value]
	return bench.tool("mailload", "--port", server.smtp_port, "--json", *words)


# ---- as many as it can --------------------------------------------------------

def rate_once(bench, server, sink, messages):
	before, spent = sink.count(), process_seconds(server.tree())
	begin = time.monotonic()
	took = load(bench, server, messages, "u%d@" + domain_of(0), 1000)
	end, now = sink_wait(sink, before + took["accepted"])
	return {"accepted": took["per_second"], "relayed": (now - before) / (end - begin),
	    "cpu_ms": (process_seconds(server.tree()) - spent) * 1000 / max(1, now - before),
	    "lost": before + took["accepted"] - now}


def row_rate(bench):
	"""2 KiB, 50 connections, one destination."""
	o = bench.options
	messages = 2000 if o.quick else 10000 // o.divide
	sink = Sink(bench.work, o.base_port + 40)
	runs = {}
	try:
		with Relays(bench, [(domain_of(0), address_of(0), sink.port)], WIDE) as servers:
			for server in servers:
				rate_once(bench, server, sink, messages // 10)
			for n in range(o.runs or (1 if o.quick else 3)):
				for server in servers:
					r = rate_once(bench, server, sink, messages)
					runs.setdefault(server.name, []).append(r)
					print("  run %d %-8s accepted %.0f/s relayed %.0f/s cpu %.3f ms lost %d" %
					    (n + 1, server.name, r["accepted"], r["relayed"], r["cpu_ms"], r["lost"]),
					    flush=True)
	finally:
		sink.stop()
	data = {"row": "rate", "title": row_rate.__doc__, "runs": runs, "messages": messages, "marks": []}
	for name, all_runs in runs.items():
		data[name] = {k: statistics.median(r[k] for r in all_runs) for k in all_runs[0]}
		data[name]["lost"] = sum(r["lost"] for r in all_runs)
	if len(runs) == 2:
		data["marks"].append(["relayed, of Postfix's rate",
		    data["Mansio"]["relayed"] / data["Postfix"]["relayed"], 4, 6])
		data["marks"].append(["processor time, Postfix's over ours",
		    data["Postfix"]["cpu_ms"] / max(0.001, data["Mansio"]["cpu_ms"]), None, None])
	return data


# ---- how large it may grow ------------------------------------------------------

def command_seconds(server, *words):
	begin = time.monotonic()
	done = server.command(*words)
	return time.monotonic() - begin, done.stdout


def grow(bench, server, sizes, destinations):
	"""Letters come until the queue holds so many, and nobody takes them."""
	have, points = 0, []
	for size in sizes:
		many = size - have
		chunk = min(many, 10000)	# what is timed comes last
		for part in (many - chunk, chunk):
			if part:
				took = load(bench, server, part, "u@" + domain_of(0).replace("0", "%d", 1), destinations)
				have += took["accepted"]
		listed, _ = command_seconds(server, "queue", "list", "--state", "hold")
		summed, _ = command_seconds(server, "queue", "summary")
		points.append({"letters": have, "accepted": took["per_second"], "p99_ms": took["p99_ms"],
		    "pss": process_pss(server.tree()), "list_seconds": listed, "summary_seconds": summed})
		print("  %(letters)d letters: accepted %(accepted).0f/s, p99 %(p99_ms).1f ms, list %(list_seconds).2f s, "
		    "summary %(summary_seconds).2f s" % points[-1], "%.0f MiB" % (points[-1]["pss"] / MIB), flush=True)
	return points


def drain(sink, wanted, most):
	"""Rates on the way down: (letters left, letters a second), for the first `most` that go."""
	rates, last, had = [], time.monotonic(), sink.count()
	end, step = had + min(most, wanted), max(500, min(most, wanted) // 20)
	wanted += had
	while had < end:
		time.sleep(0.05)
		now, at = sink.count(), time.monotonic()
		if now - had >= step or now >= end:
			rates.append((wanted - had, (now - had) / (at - last)))
			last, had = at, now
		elif at - last > 60:
			break
	return rates, max(0, end - had)


def row_size(bench):
	"""A queue of a million letters to 10 000 destinations."""
	o = bench.options
	destinations = 500 if o.quick else 10000
	top = o.messages or (20000 if o.quick else 1000000)
	sizes = [n for n in (1000, 10000, 100000, 1000000) if n < top] + [top]
	few = max(2000, min(20000, top // 10))
	sink = Sink(bench.work, o.base_port + 40)
	rows = [(domain_of(n), address_of(n), sink.port) for n in range(destinations + 1)]
	data = {"row": "size", "title": "%d letters to %d destinations" % (top, destinations), "marks": [], "words": []}
	o.only = "mansio"
	try:
		with Relays(bench, rows) as servers:
			server = servers[0]
			# Few of them first, then as many as there may be; the letters of the one are gone before.
			sink.process.send_signal(signal.SIGSTOP)
			grow(bench, server, [few], destinations)
			sink.process.send_signal(signal.SIGCONT)
			low, left = drain(sink, few, few)
			sink.process.send_signal(signal.SIGSTOP)
			data["growth"] = points = grow(bench, server, sizes, destinations)
			before = sink.count()
			server.halt(signal.SIGKILL)
			sink.process.send_signal(signal.SIGCONT)
			begin = time.monotonic()
			server.start()
			wait_until(lambda: sink.count() > before, 120, "the first delivery")
			first = time.monotonic() - begin
			loaded = process_pss(server.tree())
			rates, lost = drain(sink, points[-1]["letters"], 3 * few)
			left += lost
			listed, said = command_seconds(server, "queue", "list")
			deleted, done = command_seconds(server, "queue", "delete", "ALL")
	finally:
		sink.stop()
	data["restart"] = {"first_seconds": first, "ready_seconds": server.ready_seconds, "pss": loaded}
	data.update(drain_few=low, drain_many=rates, list_seconds=listed, lines=said.count("\n"), delete_seconds=deleted)
	of_many, of_few = (statistics.median(r for _, r in x) for x in (rates, low))
	data["marks"] += [["1 GiB over what all roles take", 1024 * MIB / max(points[-1]["pss"], loaded), 1, None],
	    ["10 s over the time to the first delivery after a restart", 10 / first, 1, None],
	    ["accepted a second, the largest queue over one of %d" % points[0]["letters"],
	        points[-1]["accepted"] / points[0]["accepted"], 0.9, None],
	    ["relayed a second, the largest queue over one of %d" % few, of_many / of_few, 0.9, None]]
	data["words"] = ["%d letters: accepted %.0f/s, %.0f MiB of all roles, `queue list` of none of them %.2f s, `queue summary` %.2f s." %
	    (p["letters"], p["accepted"], p["pss"] / MIB, p["list_seconds"], p["summary_seconds"]) for p in points]
	data["words"] += ["", "After kill -9 of all roles the first letter was delivered %.2f s after the start; relayed %.0f/s then, %.0f/s from a queue of %d; "
	    "not delivered: %d. `queue list` of all %.1f s (%d lines), `queue delete ALL` %.1f s: %s" %
	    (first, of_many, of_few, few, left, listed, said.count("\n"), deleted, done.strip().split("\n")[-1])]
	for line in data["words"][-1:]:
		print("  " + line, flush=True)
	data["panels"] = [("Letters come", "letters in the queue", "accepted a second",
	    {"": [(p["letters"], p["accepted"]) for p in points]}),
	    ("Letters go", "letters in the queue", "relayed a second", {"": low[:-1] + rates}),
	    ("Memory of all roles", "letters in the queue", "MiB", {"": [(p["letters"], p["pss"] / MIB) for p in points]})]
	return data


# ---- who waits for whom -----------------------------------------------------------

def others_rate(bench, server, sink, wanted):
	"""A hundred destinations, of which the last may be slow: letters a second to the others, and when each came."""
	before, begin, curve = sink.count(), time.monotonic(), []
	took = load(bench, server, wanted, "u@" + domain_of(0).replace("0", "%d", 1), 100)
	while True:
		now, at = sink.count() - before, time.monotonic() - begin
		curve.append((max(0.05, at), now))
		if now >= wanted * 99 // 100 or at > 300:
			return now / at, curve, took["accepted"]
		time.sleep(0.05)


def row_slow(bench):
	"""One slow destination among a hundred."""
	o = bench.options
	wanted = 2000 if o.quick else 10000
	rates, curves = {}, {}
	o.only = o.only or None
	for slow in (False, True):
		sink = Sink(bench.work, o.base_port + 40)
		snail = Sink(bench.work, o.base_port + 41, *(["-w", "5"] if slow else []))
		rows = [(domain_of(n), address_of(n), snail.port if n == 100 else sink.port) for n in range(1, 101)]
		try:
			with Relays(bench, rows) as servers:
				for server in servers:
					rate, curve, _ = others_rate(bench, server, sink, wanted)
					rates[server.name, slow] = rate
					curves.setdefault("%s%s" % (server.name, ", one slow" if slow else ""), []).extend(curve)
					print("  %s%s: %.0f/s to the 99 others" % (server.name, ", one slow" if slow else "", rate), flush=True)
		finally:
			sink.stop()
			snail.stop()
	return {"row": "slow", "title": row_slow.__doc__, "curves": curves,
	    "marks": [["%s: the others with a slow one over without" % name, rates[name, True] / rates[name, False],
	        0.9 if name == "Mansio" else None, None] for name in sorted({n for n, _ in rates})],
	    "words": ["%s: %.0f/s to the 99 others, %.0f/s with a slow one (each letter five seconds) among them." %
	        (name, rates[name, False], rates[name, True]) for name in sorted({n for n, _ in rates})],
	    "panels": [("Letters at the 99 others", "seconds", "letters", curves)]}


def letter_send(port, to):
	with smtplib.SMTP("127.0.0.1", port) as s:
		s.sendmail("person@example.net", [to], "Subject: hello\r\n\r\nhello\r\n")


def letter_wait(server, log, mark):
	"""Seconds from MAIL to the line in the log that it was taken."""
	begin = time.time()
	letter_send(server.smtp_port, mark)
	sent = time.monotonic()
	while time.monotonic() - sent < 60:
		with open(log, "rb") as f:
			f.seek(max(0, os.path.getsize(log) - 400000))
			if ("to=<%s>" % mark).encode() in f.read():
				break
		time.sleep(0.01)
	return time.time() - begin


def row_person(bench):
	"""A person's letters while a list of 100 000 recipients is being sent."""
	o = bench.options
	recipients = 10000 if o.quick else 100000
	sink, own = Sink(bench.work, o.base_port + 40), Sink(bench.work, o.base_port + 41)
	waits = {"beside it": [], "to the same destination": []}
	rows = [(domain_of(0), address_of(0), sink.port), (domain_of(1), address_of(1), own.port)]
	o.only = "mansio"
	try:
		with Relays(bench, rows, ["default_destination_recipient_limit=50"]) as servers:
			server = servers[0]
			log = os.path.join(server.dir, "mail.log")
			process = subprocess.Popen([os.path.join(bench.tools, "mailload"), "--port", str(server.smtp_port),
			    "--connections", "4", "--messages", str(recipients // 1000), "--size", "20480", "--recipients", "1000",
			    "--rcpt-template", "u%d@" + domain_of(0), "--users", str(recipients), "--from", "list@example.net"],
			    stdout=subprocess.DEVNULL)
			time.sleep(0.2)
			while True:
				busy = process.poll() is None or " letters=0 " not in server.command("status").stdout
				for kind, number in (("beside it", 1), ("to the same destination", 0)):
					mark = "person%d@%s" % (len(waits[kind]), domain_of(number))
					waits[kind].append(letter_wait(server, log, mark))
				if process.poll() is not None and sink.count() >= recipients // 50 + len(waits["beside it"]) or not busy:
					break
			process.wait()
	finally:
		sink.stop()
		own.stop()
	worst = max(w for all_waits in waits.values() for w in all_waits)
	words = ["%s: %d letters, median %.3f s, worst %.3f s from MAIL to the line in the log that it was taken." %
	    (kind, len(w), statistics.median(w), max(w)) for kind, w in waits.items()]
	print("  " + "\n  ".join(words), flush=True)
	return {"row": "person", "title": row_person.__doc__, "waits": waits, "words": words,
	    "marks": [["1 s over the longest wait of a person's letter", 1 / worst, 1, None]]}


def queue_role(server):
	return next(p for p in json.loads(server.command("status", "--json").stdout)["processes"] if p["role"] == "queue")


def row_list(bench):
	"""One letter to a list of 100 000, and a person's letters beside it."""
	o = bench.options
	recipients = o.messages or (10000 if o.quick else 100000)
	sink, own = Sink(bench.work, o.base_port + 40), Sink(bench.work, o.base_port + 41)
	rows = [(domain_of(n), address_of(n), sink.port) for n in range(1, 101)] + [(domain_of(0), address_of(0), own.port)]
	members = os.path.join(bench.work, "members")
	with open(members, "w") as f:
		f.writelines("u%d@%s\n" % (n, domain_of(n % 100 + 1)) for n in range(recipients))
	with open(os.path.join(bench.work, "aliases"), "w") as f:
		f.write("list: :include:%s\n" % members)
	o.only, waits, memory = "mansio", [], []
	try:
		with Relays(bench, rows, ["alias_maps=texthash:" + os.path.join(bench.work, "aliases"), "mydestination=list.example",
		    "qmgr_message_recipient_limit=%d" % (recipients // 5)]) as servers:
			server = servers[0]
			log = os.path.join(server.dir, "mail.log")
			sink.process.send_signal(signal.SIGSTOP)
			before = process_pss([queue_role(server)["pid"]])
			letter_send(server.smtp_port, "list@list.example")
			wait_until(lambda: int(queue_role(server)["facts"]["absent"]) > 0, 120, "the list")
			begin = time.monotonic()
			while time.monotonic() - begin < 10:
				memory.append(process_pss([queue_role(server)["pid"]]))
				time.sleep(0.5)
			sink.process.send_signal(signal.SIGCONT)
			begin = time.monotonic()
			while queue_role(server)["facts"]["letters"] != "0" and time.monotonic() - begin < 600:
				waits.append(letter_wait(server, log, "person%d@%s" % (len(waits), domain_of(0))))
			took = time.monotonic() - begin
	finally:
		sink.stop()
		own.stop()
	words = ["%d recipients of one letter: the queue's role %.0f MiB before, %.0f MiB at most while none of them is taken, %.0f MiB then; "
	    "%.0f recipients/s when they are." % (recipients, before / MIB, max(memory) / MIB, memory[-1] / MIB, recipients / took),
	    "A person's letters meanwhile: %d, median %.3f s, worst %.3f s." % (len(waits), statistics.median(waits), max(waits))]
	print("  " + "\n  ".join(words), flush=True)
	return {"row": "list", "title": row_list.__doc__, "waits": waits, "memory": memory, "words": words,
	    "marks": [["1 s over the longest wait of a person's letter beside a list", 1 / max(waits), 1, None]]}


ROWS = {"rate": row_rate, "slow": row_slow, "person": row_person, "list": row_list, "size": row_size}


def table_of(report):
	machine = report["machine"]
	lines = ["# Relay", "", "%(cpu)s, %(cores)d cores, Linux %(kernel)s, %(date)s, load before %(load).2f." % machine,
	    "", "| row | server | accepted/s | relayed/s | cpu ms | lost |", "|--|--|--|--|--|--|"]
	for data in report["rows"]:
		for name in ("Postfix", "Mansio"):
			if name in data:
				s = data[name]
				lines.append("| %s | %s | %.0f | %.0f | %.3f | %d |" % (data["title"], name,
				    s["accepted"], s["relayed"], s["cpu_ms"], s["lost"]))
	lines += ["", "| row | what | value | must | aim |", "|--|--|--|--|--|"]
	for data in report["rows"]:
		for what, value, must, aim in data["marks"]:
			lines.append("| %s | %s | %.2f | %s | %s |" % (data["row"], what, value, must or "–", aim or "–"))
	for data in report["rows"]:
		lines += ["", *data.get("words", [])]
	return "\n".join(lines) + "\n"


def run_relay(bench):
	names = bench.options.rows.split(",") if bench.options.rows else list(ROWS)
	Postfix.install()
	report = {"machine": bench.machine(), "rows": []}
	for name in names:
		print("%s: %s" % (name, ROWS[name].__doc__), flush=True)
		only = bench.options.only
		report["rows"].append(ROWS[name](bench))
		bench.options.only = only	# rows that are ours alone say so
	marks = [("%s: %s" % (d["row"], m[0]), m[1], m[2], m[3], "")
	    for d in report["rows"] for m in d["marks"] if m[2] or m[3]]
	svg = drawing.bars("Relay beside Postfix", "%(cpu)s, %(cores)d cores" % report["machine"], marks) \
	    if marks else None
	bench.save("relay", report, table_of(report), svg)
	for data in report["rows"]:
		if "panels" in data:
			with open(os.path.join(bench.out, "relay-%s.svg" % data["row"]), "w") as f:
				f.write(drawing.lines(data["title"], data["panels"]))
	return 1 if any(m[2] and m[1] < m[2] for d in report["rows"] for m in d["marks"]) else 0
