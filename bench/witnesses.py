# SPDX-License-Identifier: ISC
"""Whom a server with a realistic policy asks, on loopback: a resolver, a policy service, a milter; Postfix a greylist, too."""

import os
import secrets
import shutil
import subprocess

from servers import path_open, port_open, wait_until

# Zones of unbound itself: the client has a name, the sender a domain, and nobody is on the list.
ZONES = """
  local-zone: "." static
  local-zone: "127.in-addr.arpa." static
  local-data: "1.0.0.127.in-addr.arpa. PTR load.example.net."
  local-data: "example.net. MX 10 load.example.net."
  local-data: "example.net. A 127.0.0.1"
  local-data: "load.example.net. A 127.0.0.1"
"""
GREY_SECONDS = 1


class Witnesses:
	"""Processes that live as long as one row of the bench."""

	def __init__(self, directory, tools, base_port, grey=True):
		self.dir = os.path.join(directory, "witnesses")
		self.tools, self.grey = tools, grey
		self.service, self.milter, self.postgrey = range(base_port, base_port + 3)
		# Postfix asks port 53 only; nobody else has this address.
		self.dns = "127.53.%d.%d" % (secrets.randbelow(256), secrets.randbelow(254) + 1)
		self.processes = []

	@staticmethod
	def install():
		wanted = [name for name, path in (("unbound", "/usr/sbin/unbound"),
		    ("postgrey", "/usr/sbin/postgrey"),
		    ("libmilter-dev", "/usr/include/libmilter/mfapi.h"))
		    if not os.path.exists(path)]
		if wanted:
			subprocess.run(["apt-get", "install", "-y", "-q",
			    "--no-install-recommends", *wanted], check=True,
			    stdout=subprocess.DEVNULL,
			    env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))

	def run(self, *command):
		self.processes.append(subprocess.Popen(list(map(str, command)),
		    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
		    stderr=open(os.path.join(self.dir, "said"), "ab")))

	def write(self, name, text):
		path = os.path.join(self.dir, name)
		with open(path, "w") as f:
			f.write(text)
		return path

	def start(self):
		os.makedirs(os.path.join(self.dir, "grey"))
		path_open(self.dir)
		self.write("resolv.conf", "nameserver %s\noptions timeout:2 attempts:2\n" %
		    self.dns)
		self.write("hosts", "# nobody\n")
		self.run("unbound", "-d", "-p", "-c", self.write("unbound.conf", f"""server:
  interface: {self.dns}@53
  chroot: ""
  username: ""
  directory: "{self.dir}"
  use-syslog: no
  do-not-query-localhost: no
  module-config: "iterator"
  num-threads: 1
{ZONES}remote-control:
  control-enable: no
"""))
		self.run(os.path.join(self.tools, "dunno"), self.service)
		self.run(os.path.join(self.tools, "onlooker"), "inet:%d@127.0.0.1" %
		    self.milter)
		ports = [self.service, self.milter]
		if self.grey:
			shutil.chown(os.path.join(self.dir, "grey"), "postgrey", "postgrey")
			nobody = self.write("nobody", "")
			self.run("postgrey", "--inet=127.0.0.1:%d" % self.postgrey,
			    "--dbdir=" + os.path.join(self.dir, "grey"), "--quiet",
			    "--delay=%d" % GREY_SECONDS, "--auto-whitelist-clients=0",
			    "--whitelist-clients=" + nobody,
			    "--whitelist-recipients=" + nobody)
			ports.append(self.postgrey)
		for port in ports:
			wait_until(lambda: port_open(port), 20, "port %d" % port)

	def stop(self):
		for process in self.processes:
			process.terminate()
		for process in self.processes:
			try:
				process.wait(10)
			except subprocess.TimeoutExpired:
				process.kill()
				process.wait()
		shutil.rmtree(self.dir, ignore_errors=True)

	def files(self):
		"""What Postfix sees as resolv.conf and hosts: names come from the resolver alone."""
		return {"/etc/" + name: os.path.join(self.dir, name)
		    for name in ("resolv.conf", "hosts")}

	def lists(self, greylist):
		"""The restriction lists, in words of main.cf that both sides read."""
		return {
			"mynetworks": "192.0.2.0/24",
			"smtpd_client_restrictions": "reject_unknown_client_hostname, "
			    "reject_rbl_client dnsbl.example",
			"smtpd_sender_restrictions": "reject_unknown_sender_domain",
			"smtpd_recipient_restrictions": "reject_unauth_destination, " + greylist +
			    ", check_policy_service inet:127.0.0.1:%d" % self.service,
			"smtpd_milters": "inet:127.0.0.1:%d" % self.milter,
			"milter_default_action": "tempfail",
		}

	def for_postfix(self):
		return self.lists("check_policy_service inet:127.0.0.1:%d" % (self.postgrey if
		    self.grey else self.service)) | {"smtpd_peername_lookup": "yes"}

	def for_mansio(self):
		return ["%s=%s" % pair for pair in (self.lists("check_greylist") | {
			"dns_resolver": self.dns + ":53",
			"dns_validation": "no",
			"greylist_delay": "%ds" % GREY_SECONDS,
			"greylist_auto_allow": "0",
		}).items()]
