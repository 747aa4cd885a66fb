# SPDX-License-Identifier: ISC
"""A small IMAP client: just what the benchmarks and crash tests ask for.

It reads literals, times nothing and hides nothing: .command() returns every
untagged line of the reply as bytes, with literals left in place.
"""

import re
import socket
import ssl


class ImapError(Exception):
	pass


class Imap:
	def __init__(self, host, port, user=None, password=None, timeout=60):
		self.sock = socket.create_connection((host, port), timeout)
		self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
		self.buffer = b""
		self.count = 0
		greeting = self.line()
		if not greeting.startswith((b"* OK", b"* PREAUTH")):
			raise ImapError(greeting)
		if user is not None:
			self.login(user, password)

	def fill(self):
		data = self.sock.recv(262144)
		if not data:
			raise ImapError("the server closed the connection")
		self.buffer += data

	def line(self):
		"""One line of the server's with its literals, without the last CRLF."""
		at = 0
		while True:
			end = self.buffer.find(b"\n", at)
			if end < 0:
				self.fill()
				continue
			literal = re.search(rb"\{(\d+)\}\r$", self.buffer[at:end])
			if not literal:
				break
			at = end + 1 + int(literal.group(1))
			while len(self.buffer) < at:
				self.fill()
		line, self.buffer = self.buffer[:end], self.buffer[end + 1:]
		return line.rstrip(b"\r")

	def command(self, text, literal=None):
		"""Untagged lines of the reply; ImapError unless it ends in OK."""
		if isinstance(text, str):
			text = text.encode()
		self.count += 1
		tag = b"m%d" % self.count
		if literal is None:
			self.sock.sendall(tag + b" " + text + b"\r\n")
		else:
			self.sock.sendall(tag + b" " + text +
			    b" {%d}\r\n" % len(literal))
			reply = self.line()
			while reply.startswith(b"* "):
				reply = self.line()
			if not reply.startswith(b"+"):
				raise ImapError(reply)
			self.sock.sendall(literal + b"\r\n")
		lines = []
		while True:
			line = self.line()
			if line.startswith(tag + b" "):
				if not line[len(tag) + 1:].upper().startswith(b"OK"):
					raise ImapError(line)
				self.completion = line
				return lines
			lines.append(line)

	def login(self, user, password):
		if any(b"LOGINDISABLED" in line for line in self.command("CAPABILITY")):
			self.command("STARTTLS")
			context = ssl.create_default_context()
			context.check_hostname = False
			context.verify_mode = ssl.CERT_NONE
			self.sock = context.wrap_socket(self.sock)
		self.command('LOGIN "%s" "%s"' % (user, password))

	def messages(self, mailbox="INBOX"):
		for line in self.command('STATUS "%s" (MESSAGES)' % mailbox):
			found = re.search(rb"MESSAGES (\d+)", line)
			if found:
				return int(found.group(1))
		raise ImapError("STATUS without MESSAGES")

	def select(self, mailbox="INBOX"):
		"""Selects; the number of messages."""
		exists = 0
		for line in self.command('SELECT "%s"' % mailbox):
			found = re.match(rb"\* (\d+) EXISTS", line)
			if found:
				exists = int(found.group(1))
		return exists

	def load_ids(self, first_uid):
		"""(uid, X-Load-Id) of every message from first_uid on.

		first_uid:* names the last message even when its UID is smaller, so
		what lies below is dropped here.
		"""
		found = []
		for line in self.command("UID FETCH %d:* (UID "
		    "BODY.PEEK[HEADER.FIELDS (X-Load-Id)])" % first_uid):
			uid = re.search(rb"\bUID (\d+)", line)
			name = re.search(rb"X-Load-Id: *(\S+)", line, re.I)
			if uid and int(uid.group(1)) >= first_uid:
				found.append((int(uid.group(1)),
				    name.group(1).decode() if name else ""))
		return found

	def append(self, message, mailbox="INBOX"):
		self.command('APPEND "%s"' % mailbox, message)

	def close(self):
		try:
			self.sock.sendall(b"z LOGOUT\r\n")
		except OSError:
			pass
		self.sock.close()
