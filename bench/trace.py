# SPDX-License-Identifier: ISC
"""bench/run trace: how long `mansio trace` takes with five million events in the store.

The events are written by bench/chronicle through the store's own writer, spread over 30
days; then a server is started on them and the real command is run, each time with a
question that was not asked before.
"""

import glob
import os
import shutil
import statistics
import subprocess
import time

EVENTS, EVENTS_QUICK = 5000000, 200000
MOST_MS = 100
KINDS = ["letter", "message-id", "sender", "address", "refusal", "many"]


def fill(bench, directory, events):
	root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
	subprocess.run(["ninja", "-C", os.path.join(root, "build"), "bench/chronicle"], check=True, stdout=subprocess.DEVNULL)
	os.makedirs(directory)
	begin = time.monotonic()
	said = subprocess.run([os.path.join(root, "build", "bench", "chronicle"), directory, str(events)],
	    check=True, capture_output=True, text=True).stdout
	asked = {}
	for line in said.splitlines():
		kind, value = line.split(None, 1)
		asked.setdefault(kind, []).append(value)
	asked["seconds"] = time.monotonic() - begin
	return asked


def take_over(server, directory):
	"""The store of a server that is not running is this one now."""
	events = glob.glob(os.path.join(server.dir, "*", "events"))[0]
	owner = os.stat(events)
	for name in os.listdir(events):
		os.unlink(os.path.join(events, name))
	for name in os.listdir(directory):
		to = os.path.join(events, name)
		shutil.move(os.path.join(directory, name), to)
		os.chown(to, owner.st_uid, owner.st_gid)


def timed(server, *words):
	begin = time.monotonic()
	done = server.command(*words)
	return (time.monotonic() - begin) * 1000, done


def run_trace(bench):
	events = EVENTS_QUICK if bench.options.quick else EVENTS
	directory = os.path.join(bench.work, "events")
	asked = fill(bench, directory, events)
	server = bench.mansio(bench.options.base_port)
	server.start()
	server.halt()
	take_over(server, directory)
	server.start()
	rows, good = [], True
	try:
		alone = statistics.median(timed(server, "version")[0] for _ in range(9))
		for kind in KINDS:
			first, again, lines = [], [], 0
			for value in asked.get(kind, [])[:10]:
				ms, done = timed(server, "trace", value)
				if done.returncode or not done.stdout:
					raise SystemExit("trace %s: %s" % (value, done.stderr))
				first.append(ms)
				lines = max(lines, len(done.stdout.splitlines()))
				again.append(timed(server, "trace", value)[0])
			if not first:
				continue
			rows.append({"kind": kind, "questions": len(first), "first_ms": first, "again_ms": again, "lines": lines})
			good &= statistics.median(first) < MOST_MS
	finally:
		server.stop()
	markdown = ("# mansio trace, %s events in %s files, %.0f bytes an event\n\n"
	    "Written in %.1f s; the command alone (mansio version) takes %.0f ms. Median and worst of the first time and of the second.\n\n"
	    "| asked by | questions | lines | first, ms | worst | again, ms | worst |\n|--|--|--|--|--|--|--|\n" %
	    (asked["events"][0], asked["files"][0], int(asked["bytes"][0]) / int(asked["events"][0]), asked["seconds"], alone) +
	    "".join("| %s | %d | %d | %.0f | %.0f | %.0f | %.0f |\n" % (r["kind"], r["questions"], r["lines"],
	    statistics.median(r["first_ms"]), max(r["first_ms"]), statistics.median(r["again_ms"]), max(r["again_ms"])) for r in rows) +
	    "\n* %s: under %d ms\n" % ("met" if good else "MISSED", MOST_MS))
	bench.save("trace", {"machine": bench.machine(), "asked": asked, "command_ms": alone, "rows": rows}, markdown)
	return 0 if good else 1
