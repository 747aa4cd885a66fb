#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Does forgetfs forget exactly what it should?  forgetfs-test.py [FORGETFS]

Each case writes through the mount, cuts the power and looks at what the
backing directory kept.  Needs root and /dev/fuse; skips without them.
"""

import ctypes
import errno
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = []
libc = ctypes.CDLL(None, use_errno=True)


class Mount:
	def __init__(self, program, directory, *words):
		self.backing = os.path.join(directory, "backing")
		self.at = os.path.join(directory, "mnt")
		self.control = os.path.join(directory, "control")
		self.live = os.path.join(self.backing, "live")
		for path in (self.backing, self.at):
			os.makedirs(path, exist_ok=True)
		self.process = subprocess.Popen([program, self.backing, self.at,
		    "--control", self.control, *words])
		while not os.path.ismount(self.at):
			if self.process.poll() is not None:
				raise OSError("forgetfs did not start")
			time.sleep(0.002)

	def tell(self, word):
		with socket.socket(socket.AF_UNIX) as s:
			s.connect(self.control)
			s.sendall(word.encode() + b"\n")
			return s.recv(256).decode().strip()

	def leave(self):
		subprocess.run(["umount", "-l", self.at], check=True)
		try:
			self.process.wait(0.5)
		except subprocess.TimeoutExpired:	# a case left a file open
			self.process.kill()
			self.process.wait()

	# What a program does ...
	def path(self, name):
		return os.path.join(self.at, name)

	def write(self, name, data, at=None, flags=os.O_CREAT, sync=False):
		fd = os.open(self.path(name), os.O_RDWR | flags, 0o644)
		if at is None:
			os.write(fd, data)
		else:
			os.pwrite(fd, data, at)
		if sync:
			os.fsync(fd)
		os.close(fd)

	def sync(self, *names):
		for name in names:
			fd = os.open(self.path(name), os.O_RDONLY)
			os.fsync(fd)
			os.close(fd)

	def keep(self, name, data):
		"""A file that is entirely on the disk."""
		self.write(name, data, sync=True)
		self.sync(os.path.dirname(name) or ".")

	# ... and what the disk kept.
	def cut(self):
		return self.tell("cut")

	def kept(self, name):
		try:
			with open(os.path.join(self.live, name), "rb") as f:
				return f.read()
		except FileNotFoundError:
			return None

	def names(self, name="."):
		return sorted(os.listdir(os.path.join(self.live, name)))


def case(f):
	CASES.append((f, []))
	return f


def case_with(*words):
	def add(f):
		CASES.append((f, list(words)))
		return f
	return add


def equal(got, wanted):
	if got != wanted:
		raise AssertionError("%.80r, wanted %.80r" % (got, wanted))


@case
def a_synced_file_in_an_unsynced_directory_is_gone(m):
	m.write("a", b"hello", sync=True)
	m.cut()
	equal(m.names(), [])


@case
def a_synced_directory_keeps_the_name_and_nothing_in_it(m):
	m.write("a", b"hello")
	m.sync(".")
	m.cut()
	equal(m.kept("a"), b"")


@case
def both_synced_keeps_both(m):
	m.keep("a", b"hello")
	m.cut()
	equal(m.kept("a"), b"hello")


@case
def unsynced_appends_are_cut_off(m):
	m.keep("a", b"hello")
	m.write("a", b" world" * 5000, at=5)
	m.cut()
	equal(m.kept("a"), b"hello")


@case
def unsynced_overwrites_are_undone(m):
	old = bytes(range(256)) * 64
	m.keep("a", old)
	for at in (0, 4095, 5000, 9000, 16380):
		m.write("a", b"XXXX", at=at)
	m.cut()
	equal(m.kept("a"), old)


@case
def what_was_synced_in_between_stays(m):
	m.keep("a", b"." * 10000)
	m.write("a", b"one", at=100, sync=True)
	m.write("a", b"two", at=5000)
	m.write("a", b"three", at=101)
	m.cut()
	equal(m.kept("a"), b"." * 100 + b"one" + b"." * 9897)


@case
def truncation_is_undone(m):
	old = os.urandom(20000)
	m.keep("a", old)
	os.truncate(m.path("a"), 5000)
	m.write("a", b"new" * 4000, at=5000)
	m.cut()
	equal(m.kept("a"), old)


@case
def opening_with_o_trunc_is_undone(m):
	m.keep("a", b"old")
	m.write("a", b"newer", flags=os.O_TRUNC)
	m.cut()
	equal(m.kept("a"), b"old")


@case
def synced_truncation_stays(m):
	m.keep("a", b"x" * 10000)
	os.truncate(m.path("a"), 77)
	m.sync("a")
	m.cut()
	equal(m.kept("a"), b"x" * 77)


@case
def fsync_through_another_descriptor_counts(m):
	m.keep("a", b"")
	m.write("a", b"hello")
	m.sync("a")
	m.cut()
	equal(m.kept("a"), b"hello")


@case
def fdatasync_keeps_the_size_too(m):
	m.keep("a", b"")
	fd = os.open(m.path("a"), os.O_WRONLY | os.O_APPEND)
	os.write(fd, b"hello")
	os.fdatasync(fd)
	os.write(fd, b"lost")
	m.cut()
	equal(m.kept("a"), b"hello")
	os.close(fd)


@case
def o_dsync_writes_stay(m):
	m.keep("a", b"")
	m.write("a", b"hello", flags=os.O_DSYNC)
	m.cut()
	equal(m.kept("a"), b"hello")


@case
def a_preallocated_log_keeps_only_the_synced_records(m):
	fd = os.open(m.path("log"), os.O_RDWR | os.O_CREAT)
	os.posix_fallocate(fd, 0, 1 << 20)
	os.fsync(fd)
	m.sync(".")
	for i in range(20):
		os.pwrite(fd, b"%04d" % i * 1024, i * 4096)
		if i == 9:
			os.fdatasync(fd)
	m.cut()
	data = m.kept("log")
	equal(len(data), 1 << 20)
	equal(data[9 * 4096:11 * 4096], b"0009" * 1024 + b"\0" * 4096)
	equal(data.count(b"\0"), (1 << 20) - 10 * 4096)


@case
def unsynced_preallocation_is_forgotten(m):
	m.keep("log", b"x")
	fd = os.open(m.path("log"), os.O_RDWR)
	os.posix_fallocate(fd, 0, 1 << 20)
	m.cut()
	equal(m.kept("log"), b"x")


@case
def a_punched_hole_is_filled_again(m):
	m.keep("a", b"x" * 16384)
	fd = os.open(m.path("a"), os.O_RDWR)
	libc.fallocate(fd, 3, ctypes.c_long(4096), ctypes.c_long(8192))
	equal(os.pread(fd, 4096, 4096), b"\0" * 4096)
	m.cut()
	equal(m.kept("a"), b"x" * 16384)


@case
def an_unsynced_rename_is_undone(m):
	m.keep("a", b"old")
	m.keep("a.new", b"new")
	os.rename(m.path("a.new"), m.path("a"))
	m.cut()
	equal((m.kept("a"), m.kept("a.new")), (b"old", b"new"))


@case
def a_synced_rename_stays(m):
	m.keep("a", b"old")
	m.write("a.new", b"new", sync=True)
	os.rename(m.path("a.new"), m.path("a"))
	m.sync(".")
	m.cut()
	equal((m.names(), m.kept("a")), (["a"], b"new"))


@case
def the_classic_mistake_leaves_an_empty_file(m):
	m.keep("a", b"old")
	m.write("a.new", b"new")	# no fsync
	os.rename(m.path("a.new"), m.path("a"))
	m.sync(".")
	m.cut()
	equal(m.kept("a"), b"")


@case
def a_move_with_only_the_new_directory_synced_shows_twice(m):
	os.mkdir(m.path("tmp"))
	os.mkdir(m.path("new"))
	m.sync(".")
	m.keep("tmp/a", b"mail")
	os.rename(m.path("tmp/a"), m.path("new/a"))
	m.sync("new")
	m.cut()
	equal((m.kept("tmp/a"), m.kept("new/a")), (b"mail", b"mail"))


@case
def a_move_with_only_the_old_directory_synced_loses_it(m):
	os.mkdir(m.path("tmp"))
	os.mkdir(m.path("new"))
	m.sync(".")
	m.keep("tmp/a", b"mail")
	os.rename(m.path("tmp/a"), m.path("new/a"))
	m.sync("tmp")
	m.cut()
	equal((m.names("tmp"), m.names("new")), ([], []))


@case
def an_unsynced_unlink_is_undone(m):
	m.keep("a", b"mail")
	os.unlink(m.path("a"))
	m.cut()
	equal(m.kept("a"), b"mail")


@case
def an_unlinked_file_comes_back_with_its_synced_content(m):
	m.keep("a", b"mail")
	fd = os.open(m.path("a"), os.O_RDWR)
	os.unlink(m.path("a"))
	os.pwrite(fd, b"MAIL AND MORE", 0)
	equal(os.pread(fd, 99, 0), b"MAIL AND MORE")
	m.cut()
	equal(m.kept("a"), b"mail")


@case
def a_synced_unlink_stays(m):
	m.keep("a", b"mail")
	m.keep("b", b"mail")
	os.unlink(m.path("a"))
	m.sync(".")
	m.cut()
	equal(m.names(), ["b"])
	equal(os.listdir(os.path.join(m.backing, "hold")), [])


@case
def a_name_used_again_returns_to_its_first_owner(m):
	m.keep("a", b"first")
	os.unlink(m.path("a"))
	m.write("a", b"second", sync=True)
	os.unlink(m.path("a"))
	m.write("a", b"third", sync=True)
	m.cut()
	equal(m.kept("a"), b"first")


@case
def inode_numbers_used_again_carry_no_memory(m):
	for i in range(50):
		m.write("a", b"x" * 9000)
		os.unlink(m.path("a"))
		m.keep("b%d" % i, b"y%d" % i)
	m.cut()
	equal([m.kept("b%d" % i) for i in range(50)],
	    [b"y%d" % i for i in range(50)])


@case
def an_unsynced_directory_takes_its_content_along(m):
	os.makedirs(m.path("d/e"))
	m.keep("d/e/a", b"mail")
	m.sync("d")
	m.cut()
	equal(m.names(), [])


@case
def a_synced_path_stays(m):
	os.makedirs(m.path("d/e"))
	m.sync(".", "d")
	m.keep("d/e/a", b"mail")
	m.cut()
	equal(m.kept("d/e/a"), b"mail")


@case
def a_removed_directory_comes_back_with_its_content(m):
	os.mkdir(m.path("d"))
	m.sync(".")
	m.keep("d/a", b"mail")
	m.keep("d/b", b"more")
	os.unlink(m.path("d/a"))
	m.sync("d")
	os.unlink(m.path("d/b"))
	os.rmdir(m.path("d"))
	equal(os.listdir(m.at), [])
	m.cut()
	equal((m.names("d"), m.kept("d/b")), (["b"], b"more"))


@case
def a_removed_directory_stays_away_when_synced(m):
	os.mkdir(m.path("d"))
	m.sync(".")
	os.rmdir(m.path("d"))
	m.sync(".")
	m.cut()
	equal(m.names(), [])


@case
def a_full_directory_cannot_be_removed(m):
	os.mkdir(m.path("d"))
	m.write("d/a", b"x")
	try:
		os.rmdir(m.path("d"))
	except OSError as e:
		equal(e.errno, errno.ENOTEMPTY)
	else:
		raise AssertionError("it could")


@case
def a_renamed_directory_goes_back(m):
	os.mkdir(m.path("d"))
	m.sync(".")
	m.keep("d/a", b"mail")
	os.rename(m.path("d"), m.path("e"))
	m.keep("e/b", b"late")
	m.cut()
	equal((m.names(), m.names("d")), (["d"], ["a", "b"]))


@case
def a_directory_renamed_and_synced_stays(m):
	os.mkdir(m.path("d"))
	os.mkdir(m.path("e"))
	m.sync(".")
	m.keep("d/a", b"mail")
	os.rename(m.path("d"), m.path("e/d"))
	m.sync("e")
	m.cut()
	equal(m.kept("e/d/a"), b"mail")


@case
def links_need_their_own_sync(m):
	m.keep("a", b"mail")
	os.mkdir(m.path("d"))
	m.sync(".")
	os.link(m.path("a"), m.path("b"))
	os.link(m.path("a"), m.path("d/c"))
	m.sync("d")
	m.cut()
	equal((m.names(), m.kept("d/c")), (["a", "d"], b"mail"))


@case
def symbolic_links_and_sockets_and_modes_work(m):
	os.symlink("nowhere", m.path("s"))
	with socket.socket(socket.AF_UNIX) as s:
		s.bind(m.path("sock"))
	m.write("a", b"x")
	os.chmod(m.path("a"), 0o600)
	os.chown(m.path("a"), 1234, 1235)
	st = os.stat(m.path("a"))
	equal((stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, st.st_nlink),
	    (0o600, 1234, 1235, 1))
	m.sync(".", "a")
	m.cut()
	equal(os.readlink(os.path.join(m.live, "s")), "nowhere")


@case
def a_held_file_does_not_show_our_link(m):
	m.keep("a", b"x")
	os.rename(m.path("a"), m.path("b"))
	equal(os.stat(m.path("b")).st_nlink, 1)


@case
def after_the_cut_everything_fails(m):
	m.keep("a", b"x")
	fd = os.open(m.path("a"), os.O_RDWR)
	m.cut()
	for what in (lambda: os.pwrite(fd, b"y", 0), lambda: os.fsync(fd),
	    lambda: os.open(m.path("b"), os.O_CREAT | os.O_WRONLY),
	    lambda: os.listdir(m.at)):
		try:
			what()
		except OSError as e:
			equal(e.errno, errno.EIO)
		else:
			raise AssertionError("something still works")
	equal(m.kept("a"), b"x")


@case
def sync_on_the_control_socket_keeps_everything(m):
	m.write("a", b"x")
	equal(m.tell("sync"), "synced")
	m.write("b", b"y")
	m.cut()
	equal((m.names(), m.kept("a")), (["a"], b"x"))


@case
def sqlite_keeps_what_it_committed(m):
	db = sqlite3.connect(m.path("db"), isolation_level=None)
	db.execute("pragma locking_mode=exclusive")
	db.execute("pragma journal_mode=wal")
	db.execute("pragma synchronous=full")
	db.execute("create table t (n integer primary key, s text)")
	m.sync(".")
	for i in range(300):
		db.execute("insert into t values (?, ?)", (i, "x" * 500))
	db.execute("begin")
	db.execute("insert into t values (1000, 'not committed')")
	m.cut()
	copy = os.path.join(m.backing, "copy")
	shutil.copytree(m.live, copy)
	found = sqlite3.connect(os.path.join(copy, "db")).execute(
	    "select count(*), max(n) from t").fetchone()
	equal(found, (300, 299))


@case
def many_writers_lose_nothing_they_were_promised(m):
	promised, stop = [[] for _ in range(4)], threading.Event()

	def write(mine):
		n = 0
		while not stop.is_set():
			name = "f%d-%d" % (mine, n)
			try:
				m.write(name, name.encode() * 300, sync=True)
				m.sync(".")
			except OSError:
				return
			promised[mine].append(name)
			n += 1

	threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
	for t in threads:
		t.start()
	time.sleep(0.3)
	m.cut()
	stop.set()
	for t in threads:
		t.join()
	count = sum(map(len, promised))
	if count < 20:
		raise AssertionError("only %d files in 0.3 s" % count)
	for mine in promised:
		for name in mine:
			equal(m.kept(name), name.encode() * 300)


@case_with("--survive", "1")
def with_full_survival_nothing_is_lost(m):
	m.keep("a", b"old")
	m.write("a", b"new")
	m.write("b", b"unsynced")
	os.rename(m.path("b"), m.path("c"))
	m.cut()
	equal((m.names(), m.kept("a"), m.kept("c")),
	    (["a", "c"], b"new", b"unsynced"))


@case_with("--survive", "0.5", "--seed", "7")
def with_half_survival_some_is_lost_and_no_promise(m):
	m.keep("log", b"o" * 4096 * 100)
	m.write("log", b"n" * 4096 * 100, at=0)
	for i in range(100):
		m.write("u%d" % i, b"x", sync=True)
	os.mkdir(m.path("d"))
	m.sync("d")
	fd = os.open(m.path("k"), os.O_CREAT | os.O_WRONLY)
	os.write(fd, b"promised")
	m.cut()
	log = m.kept("log")
	blocks = [log[i:i + 4096] for i in range(0, len(log), 4096)]
	whole = sum(b in (b"o" * 4096, b"n" * 4096) for b in blocks)
	names = sum(n.startswith("u") for n in m.names())
	if not 20 < names < 80:
		raise AssertionError("%d of 100 names survived" % names)
	if not 50 < whole < 100 or not 20 < log.count(b"n") / 4096 < 80:
		raise AssertionError("%d blocks whole" % whole)


@case_with("--survive", "0.5", "--seed", "3")
def a_rename_survives_as_a_whole_or_not_at_all(m):
	for i in range(60):
		m.keep("t%d" % i, b"mail")
	for i in range(60):
		os.rename(m.path("t%d" % i), m.path("n%d" % i))
	m.cut()
	names = m.names()
	equal(len(names), 60)
	moved = sum(n.startswith("n") for n in names)
	if not 10 < moved < 50:
		raise AssertionError("%d of 60 survived" % moved)


def remount_case(program, directory):
	"""A file system goes on where the cut left it; without one it forgets
	nothing."""

	def visit(action):
		m = Mount(program, directory)
		try:
			action(m)
		finally:
			m.leave()

	def first(m):
		m.keep("a", b"kept")
		m.write("b", b"lost")
		m.cut()

	def second(m):
		equal(os.listdir(m.at), ["a"])
		m.write("c", b"not synced, but not cut either")

	visit(first)
	visit(second)
	visit(lambda m: equal(sorted(os.listdir(m.at)), ["a", "c"]))


def main():
	program = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "forgetfs")
	if os.geteuid() or not os.path.exists("/dev/fuse"):
		print("needs root and /dev/fuse")
		return 77
	passed = failed = 0
	for f, words in CASES + [(remount_case, None)]:
		directory = tempfile.mkdtemp(prefix="forgetfs-")
		m = None
		try:
			if words is None:
				f(program, directory)
			else:
				m = Mount(program, directory, *words)
				f(m)
			passed += 1
		except Exception as e:
			failed += 1
			print("%s: %s: %s" % (f.__name__, type(e).__name__, e))
		finally:
			if m:
				m.leave()
			shutil.rmtree(directory, ignore_errors=True)
	print("%d passed, %d failed" % (passed, failed))
	return 1 if failed else 0


if __name__ == "__main__":
	sys.exit(main())
