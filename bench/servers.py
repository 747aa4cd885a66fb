# SPDX-License-Identifier: ISC
"""The servers under measurement: Debian's Postfix and our own demo server.

Each runs out of a directory of its own on loopback ports of its own.  Neither
looks at /etc/postfix or at any system service.
"""

import os
import shutil
import signal
import subprocess
import time

from imap import Imap, ImapError

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PEOPLE = ["jill", "jack", "ataylor", "jsmith"]
DOMAIN = "example.com"
EXTRA = 20	# user1 ... user20, for the letters with many recipients

# A benchmark is one client with two hundred hands; what protects a server
# from such clients is switched off on both sides.
UNLIMITED = [
	"smtpd_client_connection_count_limit=0",
	"smtpd_client_connection_rate_limit=0",
	"smtpd_client_message_rate_limit=0",
	"smtpd_client_recipient_rate_limit=0",
]


class ServerError(Exception):
	pass


def wait_until(ready, seconds, what):
	end = time.monotonic() + seconds
	while not ready():
		if time.monotonic() > end:
			raise ServerError("waited %d s for %s" % (seconds, what))
		time.sleep(0.002)


def port_open(port):
	import socket
	try:
		socket.create_connection(("127.0.0.1", port), 1).close()
		return True
	except OSError:
		return False


def path_open(path):
	"""Daemons of other accounts must be able to walk in from above."""
	while path != "/":
		mode = os.stat(path).st_mode
		if not mode & 0o001:
			os.chmod(path, (mode & 0o7777) | 0o011)
		path = os.path.dirname(path)


def process_tree(root):
	"""Process ids of root and all its descendants."""
	parents = {}
	for name in os.listdir("/proc"):
		if name.isdigit():
			try:
				with open("/proc/%s/stat" % name, "rb") as f:
					rest = f.read().rsplit(b")", 1)[1].split()
				parents.setdefault(int(rest[1]), []).append(int(name))
			except OSError:
				pass
	tree, todo = [], [root]
	while todo:
		pid = todo.pop()
		if pid not in tree and os.path.exists("/proc/%d" % pid):
			tree.append(pid)
			todo += parents.get(pid, [])
	return tree


def process_seconds(pids):
	"""Processor time of these and of their children that have ended."""
	total = 0
	for pid in pids:
		try:
			with open("/proc/%d/stat" % pid, "rb") as f:
				total += sum(map(int, f.read().rsplit(b")", 1)[1].split()[11:15]))
		except OSError:
			pass
	return total / os.sysconf("SC_CLK_TCK")


def process_ran(pids):
	"""The same of those that live, finer: what their threads have run, in seconds."""
	total = 0
	for pid in pids:
		try:
			for task in os.listdir("/proc/%d/task" % pid):
				with open("/proc/%d/task/%s/schedstat" % (pid, task)) as f:
					total += int(f.read().split()[0])
		except OSError:
			pass
	return total / 1e9


def process_lives(pid):
	try:
		with open("/proc/%d/stat" % pid, "rb") as f:
			return f.read().rsplit(b")", 1)[1].split()[0] not in (b"Z", b"X")
	except OSError:
		return False


def process_pss(pids):
	"""Proportional set size of the processes together, in octets."""
	total = 0
	for pid in pids:
		try:
			with open("/proc/%d/smaps_rollup" % pid) as f:
				for line in f:
					if line.startswith("Pss:"):
						total += int(line.split()[1]) * 1024
		except OSError:
			pass
	return total


def certificate_make(directory):
	"""A P-256 certificate for localhost: key and chain in one file."""
	path = os.path.join(directory, "localhost.pem")
	subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
	    "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
	    "/CN=localhost", "-keyout", path, "-out", path + ".crt"],
	    check=True, capture_output=True)
	with open(path, "a") as f, open(path + ".crt") as crt:
		f.write(crt.read())
	os.chmod(path, 0o600)
	return path


class Postfix:
	"""Debian's Postfix, tuned for this load, delivering to Maildirs."""

	name = "Postfix"
	OWNER = 5000	# no account needed; virtual(8) asks only for a number

	MAIN = """\
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
myhostname = bench.example.com
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
biff = no
virtual_mailbox_domains = example.com
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = texthash:{dir}/etc/vmailbox
virtual_uid_maps = static:{owner}
virtual_gid_maps = static:{owner}
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 0
in_flow_delay = 0
default_process_limit = 300
smtpd_peername_lookup = no
initial_destination_concurrency = 20
virtual_destination_concurrency_limit = 40
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_client_recipient_rate_limit = 0
smtpd_tls_security_level = may
smtpd_tls_chain_files = {cert}
smtputf8_enable = no
maillog_file = {log}
maillog_file_prefixes = /var, /dev/null, {dir}
"""

	MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

	def __init__(self, directory, port, log=False, settings=None, files=None):
		self.settings = settings or {}
		self.files = files or {}	# shown to it in the place of the machine's
		self.dir = os.path.join(directory, "postfix")
		self.smtp_port = port
		self.log = log
		self.config = os.path.join(self.dir, "etc")

	@staticmethod
	def install():
		if not os.path.exists("/usr/sbin/postfix"):
			subprocess.run(["apt-get", "install", "-y", "-q",
			    "--no-install-recommends", "postfix"], check=True,
			    stdout=subprocess.DEVNULL,
			    env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))

	@staticmethod
	def version():
		return "Postfix " + subprocess.run(["postconf", "-h", "-d",
		    "mail_version"], capture_output=True, text=True).stdout.strip()

	def users(self):
		return PEOPLE + ["user%d" % i for i in range(1, EXTRA + 1)]

	def start(self):
		import pwd
		for sub in ("etc", "spool", "data", "mail"):
			os.makedirs(os.path.join(self.dir, sub))
		path_open(self.dir)
		os.chown(os.path.join(self.dir, "data"),
		    pwd.getpwnam("postfix").pw_uid, 0)
		os.chown(os.path.join(self.dir, "mail"), self.OWNER, self.OWNER)
		values = {
			"dir": self.dir, "owner": self.OWNER, "port": self.smtp_port,
			"cert": certificate_make(self.config),
			"log": os.path.join(self.dir, "log") if self.log else "",
		}
		with open(os.path.join(self.config, "main.cf"), "w") as f:
			# The last word on a name is the one that counts.
			f.write(self.MAIN.format(**values) + "".join("%s = %s\n" % pair
			    for pair in self.settings.items()))
		with open(os.path.join(self.config, "master.cf"), "w") as f:
			f.write(self.MASTER.format(**values))
		with open(os.path.join(self.config, "vmailbox"), "w") as f:
			for user in self.users():
				f.write("%s@%s %s/\n" % (user, DOMAIN, user))
		self.control("start")
		wait_until(lambda: port_open(self.smtp_port), 20, "Postfix")

	def control(self, verb):
		command = ["postfix", "-c", self.config, verb]
		if self.files:
			mounts = "".join("mount --bind %s %s && " % (ours, theirs)
			    for theirs, ours in self.files.items())
			command = ["unshare", "-m", "--propagation", "private", "sh", "-c",
			    mounts + 'exec "$@"', "sh", *command]
		done = subprocess.run(command, capture_output=True, text=True)
		if done.returncode and verb != "stop":
			raise ServerError(done.stderr)

	def delivered(self):
		"""How many letters lie in the Maildirs now."""
		count = 0
		for user in self.users():
			new = os.path.join(self.dir, "mail", user, "new")
			try:
				with os.scandir(new) as it:
					count += sum(1 for _ in it)
			except FileNotFoundError:
				pass
		return count

	def tree(self):
		try:
			with open(os.path.join(self.dir, "spool/pid/master.pid")) as f:
				return process_tree(int(f.read()))
		except (OSError, ValueError):
			return []

	def stop(self):
		tree = self.tree()
		self.control("stop")
		# Its children notice in their own time that the master is gone;
		# until then they would share the processor with the next row.
		wait_until(lambda: not any(process_lives(p) for p in tree), 20,
		    "Postfix's end")
		shutil.rmtree(self.dir, ignore_errors=True)


class Mansio:
	"""Our own server, started the way the demo starts it."""

	name = "Mansio"

	def __init__(self, directory, port, demo=None, extra=False, settings=(),
	    output=None):
		self.dir = os.path.join(directory, "mansio")
		self.output = output or self.dir + ".output"
		self.base_port = port
		self.password = "way-station"
		self.demo = demo or [os.path.join(ROOT, "scripts", "demo")]
		self.extra = extra
		self.settings = list(UNLIMITED) + list(settings)
		self.boxes = {}
		self.people = list(PEOPLE)
		self.env = {}
		self.process = None

	def version(self):
		done = subprocess.run([self.env["MANSIO_BIN"], "--version"],
		    capture_output=True, text=True)
		return (done.stdout.strip() or "Mansio").split("\n")[0]

	def start(self):
		"""Starts, again in the same directory if there is one."""
		os.makedirs(self.dir, exist_ok=True)
		ready = os.path.join(self.dir, "ready")
		if os.path.exists(ready):
			os.unlink(ready)
		command = self.demo + ["--dir", self.dir, "--base-port",
		    str(self.base_port), "--password", self.password]
		for setting in self.settings:
			command += ["--set", setting]
		begin = time.monotonic()
		self.said = open(self.output, "ab")
		self.process = subprocess.Popen(command, stdout=self.said,
		    stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
		    start_new_session=True)

		def is_ready():
			if self.process.poll() not in (None, 0):
				raise ServerError("the demo ended with %d, see %s" %
				    (self.process.returncode, self.said.name))
			return os.path.exists(ready)

		wait_until(is_ready, 60, "the demo")
		self.ready_seconds = time.monotonic() - begin
		self.read_env()
		self.smtp_port = int(self.env["MANSIO_SMTP_PORT"])
		self.imap_port = int(self.env["MANSIO_IMAP_PORT"])
		self.pid = int(self.env["MANSIO_PID"])
		if self.extra:
			self.add_accounts()

	def setting(self, name, value):
		"""Said at the next start; true when that changes something."""
		said = "%s=%s" % (name, value)
		before = [s for s in self.settings if s.startswith(name + "=")]
		self.settings = [s for s in self.settings if s not in before] + [said]
		return before != [said]

	def read_env(self):
		self.env = {}
		with open(os.path.join(self.dir, "demo.env")) as f:
			for line in f:
				line = line.strip()
				if line.startswith("export "):
					line = line[7:]
				name, equals, value = line.partition("=")
				if equals:
					self.env[name] = value.strip("'\"")
		self.password = self.env.get("MANSIO_PASSWORD", self.password)

	def command(self, *words):
		return subprocess.run([self.env["MANSIO_BIN"], "-c",
		    self.env["MANSIO_CONFIG"], *words], capture_output=True,
		    text=True)

	def add_accounts(self):
		path = os.path.join(self.dir, "bench-password")
		with open(path, "w") as f:
			f.write(self.password + "\n")
		os.chmod(path, 0o600)
		for i in range(1, EXTRA + 1):
			user = "user%d" % i
			done = self.command("account", "add", "%s@%s" % (user, DOMAIN),
			    "--password-file", path)
			if done.returncode and "exist" not in done.stderr:
				raise ServerError("account add: " + done.stderr)
			if user not in self.people:
				self.people.append(user)

	def imap(self, user):
		return Imap("127.0.0.1", self.imap_port, "%s@%s" % (user, DOMAIN),
		    self.password)

	def delivered(self):
		count = 0
		for user in self.people:
			if user not in self.boxes:
				self.boxes[user] = self.imap(user)
			count += self.boxes[user].messages()
		return count

	def tree(self):
		return process_tree(self.pid)

	def role_of(self, pid):
		"""The name of a role, as its process shows it."""
		try:
			with open("/proc/%d/cmdline" % pid, "rb") as f:
				words = f.read().replace(b"\0", b" ").decode("ascii", "replace")
		except OSError:
			return "nobody"
		words = [w.strip("[]():") for w in words.split()]
		words = [w for w in words if w and not w.startswith(("-", "/")) and
		    os.path.basename(w) != "mansio" and not w.isdigit()]
		return words[0] if words else "mansio"

	def kill(self, pids, number=signal.SIGKILL):
		for pid in pids:
			try:
				os.kill(pid, number)
			except ProcessLookupError:
				pass

	def halt(self, number=signal.SIGTERM):
		"""Ends the server and keeps its directory."""
		for box in self.boxes.values():
			try:
				box.close()
			except (OSError, ImapError):
				pass
		self.boxes = {}
		if self.process is None:
			return
		tree = process_tree(self.process.pid)
		if self.env:
			tree += process_tree(self.pid)
		if number == signal.SIGKILL:
			self.kill(tree)
		else:
			self.kill([self.pid if self.env else self.process.pid], number)
		try:
			self.process.wait(20)
		except subprocess.TimeoutExpired:
			self.kill(tree)
			self.process.wait()

		def gone():
			return not any(process_lives(pid) for pid in tree)

		try:
			wait_until(gone, 10, "the server's end")
		except ServerError:
			self.kill(tree)
		self.process = None
		self.said.close()

	def stop(self):
		self.halt()
		shutil.rmtree(self.dir, ignore_errors=True)
