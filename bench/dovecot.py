# SPDX-License-Identifier: ISC
"""Debian's Dovecot under measurement, out of a directory of its own.

One instance, two accounts: `maildir@` and `sdbox@`, named for where their mail
lies.  Its settings are Debian's but for the limits, which are raised.  Tuned, logins
share processes (the "high-performance mode" of its documentation), imap processes
serve many sessions one after the other, and some stand ready.  /etc/dovecot and the
system's services are left alone.
"""

import os
import shutil
import signal
import subprocess

from servers import DOMAIN, ServerError, certificate_make, port_open, process_lives, \
    process_tree, wait_until

FORMATS = ["maildir", "sdbox"]


class Dovecot:
	name = "Dovecot"
	OWNER = 5000

	CONFIG = """\
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{cert}
ssl_key = <{cert}
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = no
auth_mechanisms = plain
default_process_limit = 4000
default_client_limit = 8000
default_vsz_limit = 2G
mail_max_userip_connections = 0
mail_uid = {owner}
mail_gid = {owner}
first_valid_uid = 1
first_valid_gid = 1
mail_fsync = optimized
imap_max_line_length = 1M
lmtp_user_concurrency_limit = 0
passdb {{
  driver = passwd-file
  args = {dir}/etc/passwd
}}
userdb {{
  driver = passwd-file
  args = {dir}/etc/passwd
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
  process_limit = 4000
{login}}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service imap {{
  process_limit = 4000
{imap_process}}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
  unix_listener lmtp {{
    mode = 0600
  }}
}}
service anvil {{
  client_limit = 24000
}}
service auth {{
  client_limit = 24000
}}
"""

	TUNED_LOGIN = "  service_count = 0\n  process_min_avail = 2\n  client_limit = 8000\n"
	TUNED_IMAP = "  service_count = 256\n  process_min_avail = 4\n"

	def __init__(self, directory, port, password, scheme):
		self.dir = os.path.join(directory, "dovecot")
		self.password, self.hash = password, scheme
		self.imap_port, self.imaps_port, self.pop3_port, self.lmtp_port = range(port, port + 4)
		self.config = os.path.join(self.dir, "etc", "dovecot.conf")
		self.process = self.certificate = None

	@staticmethod
	def install():
		if not all(os.path.exists("/usr/lib/dovecot/" + p) for p in ("imap", "pop3", "lmtp")):
			subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends",
			    "dovecot-imapd", "dovecot-pop3d", "dovecot-lmtpd"], check=True,
			    stdout=subprocess.DEVNULL,
			    env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))

	@staticmethod
	def version():
		return "Dovecot " + subprocess.run(["dovecot", "--version"], capture_output=True,
		    text=True).stdout.split()[0]

	def write(self):
		for sub in ("etc", "run", "state", "home"):
			os.makedirs(os.path.join(self.dir, sub))
		# Its processes must be able to walk in from above.
		path = self.dir
		while path != "/":
			mode = os.stat(path).st_mode
			if not mode & 0o001:
				os.chmod(path, (mode & 0o7777) | 0o011)
			path = os.path.dirname(path)
		self.certificate = certificate_make(os.path.join(self.dir, "etc"))
		self.configure(False)
		users = os.path.join(self.dir, "etc", "passwd")
		with open(users, "w") as f:
			for kind in FORMATS:
				home = os.path.join(self.dir, "home", kind)
				os.makedirs(home)
				os.chown(home, self.OWNER, self.OWNER)
				f.write("%s@%s:{CRYPT}%s:%d:%d::%s::userdb_mail=%s:~/mail\n" % (kind, DOMAIN,
				    self.hash, self.OWNER, self.OWNER, home, kind))
		os.chmod(users, 0o644)

	def configure(self, tuned):
		self.tuned = tuned
		values = {"dir": self.dir, "owner": self.OWNER, "imap": self.imap_port,
		    "imaps": self.imaps_port, "pop3": self.pop3_port, "lmtp": self.lmtp_port,
		    "cert": self.certificate, "login": self.TUNED_LOGIN if tuned else "",
		    "imap_process": self.TUNED_IMAP if tuned else ""}
		with open(self.config, "w") as f:
			f.write(self.CONFIG.format(**values))

	def tune(self, tuned):
		"""Goes on with other processes, if it does not already."""
		if tuned != self.tuned:
			self.halt()
			self.configure(tuned)
			self.start()

	def start(self):
		if not os.path.exists(self.config):
			self.write()
		elif self.process is None and self.certificate is None:
			self.certificate = os.path.join(self.dir, "etc", "localhost.pem")
			self.configure(False)
		# To a file: the daemon would hold a pipe open.
		said = os.path.join(self.dir, "said")
		with open(said, "w") as f:
			done = subprocess.run(["dovecot", "-c", self.config], stdin=subprocess.DEVNULL,
			    stdout=f, stderr=f)
		if done.returncode:
			with open(said) as f:
				raise ServerError(f.read())
		wait_until(lambda: all(map(port_open, (self.imap_port, self.imaps_port,
		    self.pop3_port, self.lmtp_port))), 20, "Dovecot")
		pid = os.path.join(self.dir, "run", "master.pid")
		wait_until(lambda: os.path.exists(pid) and os.path.getsize(pid), 20, "Dovecot")
		with open(pid) as f:
			self.process = int(f.read())

	def halt(self):
		if self.process is None:
			return
		tree = process_tree(self.process)
		os.kill(self.process, signal.SIGTERM)

		def gone():
			return not any(process_lives(pid) for pid in tree)

		try:
			wait_until(gone, 20, "Dovecot's end")
		except ServerError:
			for pid in filter(process_lives, tree):
				os.kill(pid, signal.SIGKILL)
		self.process = None

	def tree(self):
		return process_tree(self.process)

	def caches_drop(self):
		"""What it keeps only to be faster."""
		for where, _, names in os.walk(os.path.join(self.dir, "home")):
			if "dovecot.index.cache" in names:
				os.unlink(os.path.join(where, "dovecot.index.cache"))

	def stop(self):
		self.halt()
		shutil.rmtree(self.dir, ignore_errors=True)
