# SPDX-License-Identifier: ISC
"""The far end of the road: a server that counts what comes to it, and a client of ours that sends it letters through us.

What was answered with 250 must come to the far end.  It may come twice where the far end's answer to the final dot was on its way, or
heard and not yet made durable, when somebody died (docs/decisions/0014).  So a second copy is explained by a stroke alone that took a
sender, the queue or the whole house, and when the connection by which the copy before it came had heard of no other letter until
then: what a host has taken is durable before the connection's place has another.
"""

import collections
import random
import smtplib
import socket
import threading
import time

AT_ONCE = 20		# default_destination_concurrency_limit
MAY = ("kill of sender", "kill of queue", "killall", "ext4", "forget")	# strokes after which letters may come twice
DOMAIN = "far.example"
STAYS = "somebody@stays.example"


class Sink:
	"""An SMTP server.  Now and then it is slow behind the dot, puts a letter off, or says 421; it never forgets what it took."""

	def __init__(self, seed):
		self.random = random.Random(seed)
		self.lock = threading.Lock()
		self.copies = collections.defaultdict(list)	# (id, recipient) -> when its 250 went, and when there was MAIL on that connection
		self.strokes = []				# when somebody was killed
		self.whose, self.over = {}, {}			# of a stroke: who that was, and when it was done
		self.refused = self.notices = 0
		self.socket = socket.create_server(("127.0.0.1", 0), backlog=200)
		self.port = self.socket.getsockname()[1]
		threading.Thread(target=self.accept, daemon=True).start()

	def accept(self):
		while True:
			try:
				s, _ = self.socket.accept()
			except OSError:
				return
			threading.Thread(target=self.serve, args=(s,), daemon=True).start()

	def close(self):
		self.socket.close()

	def chance(self, share):
		with self.lock:
			return self.random.random() < share

	def serve(self, s):
		f = s.makefile("rwb", buffering=65536)
		try:
			self.converse(f)
		except OSError:
			pass
		finally:
			s.close()
			try:
				f.close()		# what is still unwritten goes nowhere
			except OSError:
				pass

	@staticmethod
	def say(f, text):
		f.write(text)
		f.flush()

	def converse(self, f):
		self.say(f, b"220 far.example ESMTP\r\n")
		rcpt, notice, mails = [], False, []
		while line := f.readline():
			verb = line[:4].upper()
			if verb == b"EHLO":
				self.say(f, b"250-far.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
			elif verb == b"MAIL":
				rcpt, notice = [], b"<>" in line
				mails.append(time.monotonic())
				self.say(f, b"250 ok\r\n")
			elif verb == b"RCPT":
				if self.chance(0.02):
					self.refused += 1
					self.say(f, b"450 later\r\n")
				else:
					rcpt.append(line[line.index(b"<") + 1:line.index(b">")].decode())
					self.say(f, b"250 ok\r\n")
			elif verb == b"DATA":
				if not rcpt:
					self.say(f, b"503 to whom?\r\n")
					continue
				if not self.letter(f, rcpt, notice, mails):
					return
			elif verb == b"QUIT":
				self.say(f, b"221 bye\r\n")
				return
			else:
				self.say(f, b"250 ok\r\n")

	def letter(self, f, rcpt, notice, mails):
		self.say(f, b"354 go\r\n")
		name, text = None, []
		while (line := f.readline()) != b".\r\n":
			if not line:
				return False
			text.append(line)
			if line.startswith(b"X-Load-Id: ") and name is None:
				name = line[11:].strip().decode()
		if self.chance(0.3):
			time.sleep(0.05)	# the window is open a little longer
		if self.chance(0.02):
			self.refused += 1
			self.say(f, b"451 full\r\n")
			return True
		if self.chance(0.01):
			self.refused += 1
			self.say(f, b"421 I go\r\n")
			return False
		with self.lock:
			self.notices += notice
			if notice:
				print("  a notice:", b"".join(text[:80]).decode(errors="replace").replace("\r\n", "\n    "), flush=True)
			for to in rcpt:
				self.copies[name, to].append((time.monotonic(), mails))
		self.say(f, b"250 kept\r\n")
		return True

	# ---- what is made of it -----------------------------------------------

	def stroke(self):
		with self.lock:
			self.strokes.append(time.monotonic())

	def struck(self, what):
		"""Whom this cycle's strokes were for; the last is over only now."""
		with self.lock:
			for stroke in self.strokes:
				self.whose.setdefault(stroke, what)
			self.over[self.strokes[-1]] = time.monotonic()

	def has(self, key):
		with self.lock:
			return key in self.copies

	def twice(self):
		"""How many copies were too many; of how many letters for one stroke at most; what no stroke explains; and how many
		for whom.  A second copy belongs to the last stroke that may be its cause."""
		extra, by_stroke, wrong, whom = 0, collections.defaultdict(set), [], collections.Counter()
		with self.lock:
			for (name, to), times in self.copies.items():
				for (before, mails), (copy, _) in zip(times, times[1:]):
					extra += 1
					why = [s for s in self.strokes if before < self.over.get(s, s) + 1 and s < copy and self.whose.get(s) in MAY and
					    not any(before < m < s for m in mails)]
					if why:
						by_stroke[max(why)].add(name)
						whom[self.whose.get(max(why), "none")] += 1
					else:
						wrong.append("%s to %s" % (name, to))
		most = max(map(len, by_stroke.values()), default=0)
		wrong += ["%d letters for one stroke" % len(names) for names in by_stroke.values() if len(names) > AT_ONCE]
		return extra, most, wrong, whom


class Relayer(threading.Thread):
	"""Sends letters to the far end through us until told to stop; notes which were promised."""

	def __init__(self, server, tag, random):
		super().__init__(daemon=True)
		self.server, self.tag, self.random = server, tag, random
		self.promised = []		# (id, recipient)
		self.stopped = threading.Event()

	def run(self):
		conn, n = None, 0
		while not self.stopped.is_set():
			name = "%s-f%05d" % (self.tag, n)
			n += 1
			to = ["u%d-%s@%s" % (i, "x" * 56, DOMAIN) for i in self.random.sample(range(20), self.random.choice([1, 1, 2, 3]))]
			text = ("From: load@example.net\r\nSubject: far\r\nX-Load-Id: %s\r\n\r\n" % name +
			    "A line.\r\n" * self.random.choice([1, 50, 50, 8000]))
			# Of some letters one more recipient is held for ever: so spool/sent has what nobody asks about, and with such addresses
			# it is soon long, and made short again.
			stays = [STAYS] if self.random.random() < 0.4 else []
			try:
				if conn is None:
					conn = smtplib.SMTP("127.0.0.1", self.server.smtp_port, timeout=15)
				if not conn.sendmail("load@example.net", to + stays, text):
					self.promised += [(name, one) for one in to]
			except (OSError, smtplib.SMTPException, ValueError):
				if conn is not None:
					conn.close()
				conn = None
			time.sleep(0.005)
		if conn is not None:
			conn.close()

	def finish(self):
		self.stopped.set()
		self.join(20)


def settings(sink):
	"""What the server needs to let the client through, and to the sink."""
	return ["mynetworks=127.0.0.0/8", "transport_maps=inline:{{stays.example=hold:}}", "relayhost=[127.0.0.1]:%d" % sink.port,
	    "default_destination_recipient_limit=2", "default_destination_concurrency_limit=%d" % AT_ONCE]
