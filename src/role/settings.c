#include "role/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/imap/imap.h"
#include "access/login/login.h"
#include "access/pop3/pop3.h"
#include "channel/listener.h"
#include "channel/peer.h"
#include "directory/credential.h"
#include "directory/resolve.h"
#include "dns/resolver.h"
#include "policy/checks.h"
#include "policy/clamd.h"
#include "policy/milter-settings.h"
#include "policy/settings.h"
#include "role/clerk.h"
#include "role/debug.h"
#include "role/elsewhere.h"
#include "role/keeper.h"
#include "role/listeners.h"
#include "role/pam.h"
#include "role/policy.h"
#include "role/proxymap.h"
#include "role/queue.h"
#include "role/sasl-settings.h"
#include "role/tables.h"
#include "role/tls-settings.h"
#include "smtp/receiver/settings.h"
#include "smtp/sender/settings.h"
#include "store/location.h"
#include "store/mbox-lock.h"

const char *const listener_names[LISTEN_SERVICES] = {
	[LISTEN_SMTP] = "smtp",
	[LISTEN_SUBMISSION] = "submission",
	[LISTEN_SUBMISSIONS] = "submissions",
	[LISTEN_LMTP] = "lmtp",
	[LISTEN_IMAP] = "imap",
	[LISTEN_IMAPS] = "imaps",
	[LISTEN_POP3] = "pop3",
	[LISTEN_POP3S] = "pop3s",
};

#define AT(field) offsetof(struct common_settings, field)
#define LISTEN(which) AT(listen) + (which) * sizeof(struct setting_list)

/* clang-format off */
static const struct setting rows[] = {
	{ "myhostname", SETTING_WORD, AT(myhostname), "",
	  "The name of this mail system in greetings, Received fields and notices; the machine's own name "
	  "if empty.", NULL, 0, 0, "0.1" },
	{ "mydomain", SETTING_WORD, AT(mydomain), "",
	  "The domain this host is in; myhostname without its first label if empty.", NULL, 0, 0, "0.1" },
	{ "myorigin", SETTING_WORD, AT(myorigin), "$myhostname",
	  "The domain put behind addresses that have none, or a file that begins with it, as /etc/mailname.", NULL, 0, 0, "0.1" },
	{ "mynetworks", SETTING_MATCHES, AT(mynetworks), "127.0.0.0/8 [::1]/128",
	  "Networks, tables of addresses as hash:/etc/postfix/network_table, and /files with more of them, each with ! before it if it is not one: those whose clients may send mail to anybody without logging in.", NULL, 0, 0, "0.1" },
	{ "mynetworks_style", SETTING_CHOICE, AT(mynetworks_style), "host",
	  "What mynetworks is where it is not set and this is: loopback and this machine (host), its networks (subnet), "
	  "or the networks of class A, B or C it is in (class).", "host,subnet,class", 0, 0, "0.2" },
	{ "inet_interfaces", SETTING_LIST, AT(inet_interfaces), "all",
	  "Where listen_smtp, listen_submission and listen_submissions listen when they are not set themselves: all, "
	  "loopback-only, names of interfaces as enp0s3, addresses, names of hosts.", NULL, 0, 0, "0.2" },
	{ "inet_protocols", SETTING_LIST, AT(inet_protocols), "all",
	  "Which of ipv4 and ipv6 inet_interfaces mean, or all; where there is no IPv6 the rest is listened on.", NULL, 0, 0, "0.2" },
	{ "mail_directory", SETTING_WORD, AT(mail_directory), "/var/lib/mansio",
	  "Where letters, mailboxes, the directory of accounts and the control sockets are.", NULL, 0, 0, "0.1" },
	{ "mail_owner", SETTING_WORD, AT(mail_owner), "mansio",
	  "The first part of the names of the system accounts the roles run under: mail_owner-receiver, "
	  "-login, -verify, -queue, -keeper, -clerk, -signer, -sender.", NULL, 0, 0, "0.1" },
	{ "mail_location", SETTING_WORD, AT(mail_location), "",
	  "Where mailboxes lie: nothing for the letter log, maildir:/var/vmail/%d/%n or mbox:~/mail:INBOX=/var/mail/%n; %u is the address, %n and %d its halves, ~ and %h the home.", NULL, 0, 0, "0.2" },
	{ "mail_home", SETTING_WORD, AT(mail_home), "",
	  "The home ~ and %h stand for in mail_location, as /var/vmail/%d/%n.", NULL, 0, 0, "0.2" },
	{ "mail_location_directories", SETTING_LIST, AT(mail_location_directories), "",
	  "Directories, besides those of mail_location, that accounts may be moved to by mansio mailbox convert.", NULL, 0, 0, "0.2" },
	{ "virtual_mailbox_base", SETTING_WORD, AT(virtual_mailbox_base), "",
	  "The directory that paths in virtual_mailbox_maps begin in; such a mailbox lies there (with a slash behind it a Maildir, else a file) "
	  "unless mail_location, or the domain's, says where.", NULL, 0, 0, "0.2" },
	{ "home_mailbox", SETTING_WORD, AT(home_mailbox), "",
	  "Where mail of operating-system users lies in their homes: Maildir/ (with the slash) is a Maildir, Mailbox a file; "
	  "mail_spool_directory if empty.", NULL, 0, 0, "0.2" },
	{ "mail_spool_directory", SETTING_WORD, AT(mail_spool_directory), "/var/mail",
	  "The directory of operating-system users' mailboxes, a file for each, where home_mailbox says nothing.", NULL, 0, 0, "0.2" },
	{ "mail_privileged_group", SETTING_WORD, AT(mail_privileged_group), "mail",
	  "The group that may make files in mail_spool_directory; operating-system users' keepers have it besides the user's own.", NULL, 0, 0, "0.2" },
	{ "first_valid_uid", SETTING_NUMBER, AT(first_valid_uid), "1000",
	  "The smallest uid of operating-system users who have a mailbox; mail of those below goes to somebody by an alias.", NULL, 1, INT32_MAX, "0.2" },
	{ "user_keepers_limit", SETTING_NUMBER, AT(user_keepers_most), "100",
	  "How many operating-system users' keepers may run at once; mail of others waits.", NULL, 1, 10000, "0.2" },
	{ "role_account_base", SETTING_NUMBER, AT(role_account_base), "61184",
	  "The first of the numbers used as uid and gid of the roles where the system accounts of "
	  "mail_owner do not exist.", NULL, 1000, 65000, "0.1" },
	{ "mail_name", SETTING_TEXT, AT(mail_name), "Mansio",
	  "The name of the software as greetings say it.", NULL, 0, 0, "0.1" },
	{ "maillog_file", SETTING_WORD, AT(maillog_file), "",
	  "The file the log goes to, stderr for the standard error, empty for syslog.", NULL, 0, 0, "0.1" },
	{ "syslog_name", SETTING_WORD, AT(syslog_name), "mansio",
	  "The first part of the service in each line of the log.", NULL, 0, 0, "0.1" },
	{ "log_format", SETTING_CHOICE, AT(log_format), "text",
	  "How a line of the log looks: text as Postfix and Dovecot write it, json one object a line.",
	  "text,json", 0, 0, "0.1" },
	{ "auth_backends", SETTING_LIST, AT(auth_backends), "directory",
	  "Who is asked whether a password is right, in this order, until one knows the user: directory, passwd-file:/path, "
	  "pam or pam:SERVICE, sql:/path.cf, ldap:/path.cf, saslauthd:/path/mux, dovecot:/path/auth-client; with DOMAIN= before it "
	  "for users of that domain alone.", NULL, 0, 0, "0.2" },
	{ "protocols", SETTING_LIST, AT(protocols), "imap pop3 lmtp",
	  "Which of imap, pop3 and lmtp are spoken, with and without TLS; none: mail comes in and nobody reads it here.", NULL, 0, 0, "0.2" },
	{ "listen_smtp", SETTING_LIST, LISTEN(LISTEN_SMTP), "*:25",
	  "Where letters from other hosts come in: addresses as 127.0.0.1:25, [::1]:25, *:25 or unix:/path.",
	  NULL, 0, 0, "0.1" },
	{ "listen_submission", SETTING_LIST, LISTEN(LISTEN_SUBMISSION), "*:587",
	  "Where users submit letters, with STARTTLS.", NULL, 0, 0, "0.1" },
	{ "listen_submissions", SETTING_LIST, LISTEN(LISTEN_SUBMISSIONS), "*:465",
	  "Where users submit letters, with TLS from the first byte.", NULL, 0, 0, "0.1" },
	{ "listen_lmtp", SETTING_LIST, LISTEN(LISTEN_LMTP), "",
	  "Where LMTP is spoken.", NULL, 0, 0, "0.1" },
	{ "listen_imap", SETTING_LIST, LISTEN(LISTEN_IMAP), "*:143",
	  "Where IMAP is spoken, with STARTTLS.", NULL, 0, 0, "0.1" },
	{ "listen_imaps", SETTING_LIST, LISTEN(LISTEN_IMAPS), "*:993",
	  "Where IMAP is spoken, with TLS from the first byte.", NULL, 0, 0, "0.1" },
	{ "listen_pop3", SETTING_LIST, LISTEN(LISTEN_POP3), "*:110",
	  "Where POP3 is spoken, with STLS.", NULL, 0, 0, "0.1" },
	{ "listen_pop3s", SETTING_LIST, LISTEN(LISTEN_POP3S), "*:995",
	  "Where POP3 is spoken, with TLS from the first byte.", NULL, 0, 0, "0.1" },
	{ "auth_socket", SETTING_LIST, AT(auth_socket), "",
	  "Sockets at which programs beside us (Postfix, Exim, ejabberd) ask by Dovecot's auth protocol whether a login is right, as "
	  "/var/spool/postfix/private/auth.", NULL, 0, 0, "0.2" },
	{ "auth_socket_mode", SETTING_WORD, AT(auth_socket_mode), "0660",
	  "Who may ask there: the mode of the sockets, in octal.", NULL, 0, 0, "0.2" },
	{ "auth_socket_owner", SETTING_WORD, AT(auth_socket_owner), "",
	  "Whose the sockets are, as postfix; root if empty.", NULL, 0, 0, "0.2" },
	{ "auth_socket_group", SETTING_WORD, AT(auth_socket_group), "",
	  "The group of the sockets; that of auth_socket_owner if empty.", NULL, 0, 0, "0.2" },
	{ "receiver_processes", SETTING_NUMBER, AT(receiver_processes), "0",
	  "How many receivers share the SMTP and LMTP connections; 0: one for every two cores, at most 4.",
	  NULL, 0, 64, "0.1" },
	{ "login_processes", SETTING_NUMBER, AT(login_processes), "0",
	  "How many login processes share the IMAP and POP3 connections; 0: 1, or 2 from 4 cores up.",
	  NULL, 0, 64, "0.1" },
	{ "verifier_processes", SETTING_NUMBER, AT(verifier_processes), "0",
	  "How many verifiers read letters; 0: one for each core, at most 4.", NULL, 0, 64, "0.1" },
	{ "keeper_processes", SETTING_NUMBER, AT(keeper_processes), "0",
	  "How many keepers share the mailboxes; 0: one for every two cores, at most 4.", NULL, 0, 64, "0.1" },
	{ "sender_processes", SETTING_NUMBER, AT(sender_processes), "0",
	  "How many senders share the connections to other hosts; 0: one for every two cores, at most 4.", NULL, 0, 64, "0.2" },
	{ "lmtp_socket_directories", SETTING_LIST, AT(socket_directories), "/run /var/run /var/spool/postfix/private",
	  "Directories in which a transport as lmtp:unix:/run/dovecot/lmtp may find its socket; a path without a slash in front is looked for in each.", NULL, 0, 0, "0.2" },
	{ "mailbox_sharing", SETTING_BOOL, AT(mailbox_sharing), "yes",
	  "yes: accounts of one domain, and its groups, may share mailboxes; they have one keeper together. no: every account's "
	  "mailboxes are its own, and accounts are shared out over the keepers one by one.", NULL, 0, 0, "0.2" },
	{ "spool_segment_size", SETTING_SIZE, AT(spool_segment_size), "64M",
	  "The size of one file of the letter log.", NULL, 1 << 20, 1 << 30, "0.1" },
	{ "queue_minfree", SETTING_SIZE, AT(queue_minfree), "64M",
	  "The room that stays free on the disk of the spool; letters are refused for now before it is used.",
	  NULL, 0, 0, "0.1" },
	{ "dns_resolver", SETTING_WORD, AT(dns_resolver), "",
	  "The resolver asked for names, as 127.0.0.1:53; that of the system if empty; none: no name is looked up.", NULL, 0, 0, "0.1" },
	{ "dns_timeout", SETTING_TIME, AT(dns_timeout), "5s",
	  "How long the answer to one question about a name is waited for.", NULL, 100, 60000, "0.1" },
	{ "dns_trust_anchor_file", SETTING_WORD, AT(dns_trust_anchor_file), "/usr/share/dns/root.key",
	  "The keys DNSSEC begins with, as DS or DNSKEY records, one a line; without them no answer is secure.",
	  NULL, 0, 0, "0.1" },
	{ "dns_validation", SETTING_CHOICE, AT(dns_validation), "auto",
	  "Whether answers are proved by DNSSEC: yes; no; auto: yes, but if the resolver passes on no signatures of "
	  "the root, every answer is insecure instead of refused.", "auto,yes,no", 0, 0, "0.1" },
	{ "default_database_type", SETTING_WORD, AT(default_database_type), "hash",
	  "The type of a lookup table that is named without one, as /etc/aliases is.", NULL, 0, 0, "0.2" },
	{ "alias_database", SETTING_LIST, AT(alias_database), "hash:/etc/aliases",
	  "The tables whose files newaliases looks at.", NULL, 0, 0, "0.2" },
};
/* clang-format on */

const struct setting_table common_setting_table = { "The house", rows, COUNT(rows) };

static const struct setting_table *const tables[] = {
	&common_setting_table,  &receiver_setting_table, &login_setting_table,
	&imap_setting_table,    &pop3_setting_table,     &clerk_setting_table,
	&queue_setting_table,   &keeper_setting_table,   &pam_setting_table,
	&resolve_setting_table, &proxymap_setting_table, &sasl_setting_table,
	&checks_setting_table,  &policy_setting_table,   &tls_setting_table,
	&sender_setting_table,  &witness_setting_table,  &scan_setting_table,
	&milter_setting_table,  &debug_setting_table,    &listener_setting_table,
};

const struct setting_table *
house_setting_table(size_t index)
{
	return index < COUNT(tables) ? tables[index] : NULL;
}

bool
house_is_set(const struct settings *s, const char *name)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (strcmp(e.name, name) == 0)
			return *e.value != '\0';
	return false;
}

/* Names of classes of rules are settings, too; and so is the time limit of a service that Postfix's master starts
   (policyd-spf_time_limit): who starts it here keeps it. */
static void
know_classes(struct settings *s)
{
	struct policy_settings set;
	struct setting_entry   e;
	struct listeners       all;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (bytes_ends_nocase(bytes_of(e.name), BYTES("_time_limit")) &&
		    strchr(e.name, '/') == NULL)
			settings_know(s, e.name);
	listeners_read(s, &all);
	for (int i = -1; i < (int)all.count; i++) {
		if (!settings_fill(s, &policy_setting_table, i < 0 ? NULL : all.one[i].name, &set,
		                   NULL))
			continue;
		for (size_t n = 0; n < set.classes.count; n++)
			settings_know(s, set.classes.item[n]);
	}
}

static void
know_tables(struct settings *s)
{
	for (size_t i = 0; i < COUNT(tables); i++)
		settings_tables(s, tables[i], 1);
	know_classes(s);
	settings_elsewhere(s, elsewhere_names, elsewhere_count);
}

/* Lines behind the file's own, so that its line numbers stay what they are. */
static void
append_found_out(struct settings *s, struct buffer *text)
{
	char        host[256] = "localhost";
	const char *myhostname = host, *dot;

	if (house_is_set(s, "myhostname")) {
		myhostname = settings_value(s, "myhostname");
	} else {
		(void)gethostname(host, sizeof host - 1);
		buffer_printf(text, "\nmyhostname = %s", host);
	}
	dot = strchr(myhostname, '.');
	if (!house_is_set(s, "mydomain"))
		buffer_printf(text, "\nmydomain = %s", dot == NULL ? "localdomain" : dot + 1);
	buffer_add_char(text, '\n');
}

struct settings *
house_settings_read(struct bytes text, const char *file, struct buffer *errors,
                    struct buffer *warnings)
{
	struct settings *s = settings_read(text, file, errors, warnings);
	struct buffer    whole = { 0 }, unheard = { 0 };

	if (s == NULL)
		return NULL;
	know_tables(s);
	buffer_add(&whole, text);
	append_found_out(s, &whole);
	settings_close(&s);
	s = settings_read(buffer_bytes(&whole), file, errors, &unheard);
	if (s != NULL)
		know_tables(s);
	buffer_free(&whole);
	buffer_free(&unheard);
	return s;
}

/* The first word of the file; false with errno, 0 when there is none. */
static bool
origin_read(const char *path, struct buffer *out)
{
	char    text[512];
	int     fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;
	size_t  begin = 0, end;

	if (fd >= 0) {
		n = read(fd, text, sizeof text);
		(void)close(fd);
	}
	if (n < 0)
		return false;
	errno = 0;
	while (begin < (size_t)n && strchr(" \t\r\n", text[begin]) != NULL)
		begin++;
	for (end = begin; end < (size_t)n && text[end] > ' ' && text[end] != '$'; end++)
		continue;
	buffer_add(out, (struct bytes){ text + begin, end - begin });
	return end > begin;
}

void
house_settings_origin(struct settings *s, struct buffer *text)
{
	const char   *origin = settings_value(s, "myorigin");
	struct buffer name = { 0 };

	if (origin[0] == '/' && origin_read(origin, &name))
		buffer_printf(text, "\nmyorigin = %.*s\n", (int)name.len, name.at);
	buffer_free(&name);
}

/* Room for the struct of any table. */
static size_t
table_room(const struct setting_table *t)
{
	size_t room = 0;

	for (size_t i = 0; i < t->count; i++)
		if (t->row[i].where + sizeof(struct setting_list) > room)
			room = t->row[i].where + sizeof(struct setting_list);
	return room;
}

static bool
check_table(struct settings *s, const struct setting_table *t, const char *listener,
            struct buffer *errors)
{
	void *into = memory_take(table_room(t));
	bool  good = settings_fill(s, t, listener, into, errors);

	memory_free(into);
	return good;
}

static bool
has_own(const struct settings *s, const char *listener)
{
	size_t               n = strlen(listener);
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (strncmp(e.name, listener, n) == 0 && e.name[n] == '/')
			return true;
	return false;
}

/* Complaints about what rows alone cannot know. */
struct check {
	struct settings *settings;
	const char      *file;
	struct buffer   *errors, *warnings;
	bool             good;
	struct listeners listeners;
};

static __attribute__((format(printf, 3, 4))) void
complain(struct check *c, int line, const char *form, ...)
{
	va_list list;

	c->good = false;
	buffer_printf(c->errors, line > 0 ? "%s:%d: " : "%s: ", c->file, line);
	va_start(list, form);
	buffer_vprintf(c->errors, form, list);
	va_end(list);
	buffer_add_char(c->errors, '\n');
}

static int
line_of(const struct settings *s, const char *name)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (strcmp(e.name, name) == 0)
			return e.line;
	return 0;
}

/* What is as it may be, and hardly what was meant. */
static __attribute__((format(printf, 3, 4))) void
advise(struct check *c, const char *setting, const char *form, ...)
{
	int     line = line_of(c->settings, setting);
	va_list list;

	buffer_printf(c->warnings, line > 0 ? "%s:%d: " : "%s: ", c->file, line);
	va_start(list, form);
	buffer_vprintf(c->warnings, form, list);
	va_end(list);
	buffer_add_char(c->warnings, '\n');
}

/* What stands in `protocols` for a service; NULL: it is always spoken. */
static const char *const protocol_of[LISTEN_SERVICES] = {
	[LISTEN_LMTP] = "lmtp", [LISTEN_IMAP] = "imap",  [LISTEN_IMAPS] = "imap",
	[LISTEN_POP3] = "pop3", [LISTEN_POP3S] = "pop3",
};

bool
house_speaks(const struct common_settings *common, enum listener_service which)
{
	if (protocol_of[which] == NULL)
		return true;
	for (size_t i = 0; i < common->protocols.count; i++)
		if (bytes_is(bytes_of(common->protocols.item[i]), protocol_of[which]))
			return true;
	return false;
}

bool
house_needs_pam(const struct common_settings *common)
{
	struct credential_backend b;

	for (size_t i = 0; i < common->auth_backends.count; i++)
		if (credential_backend_parse(common->auth_backends.item[i], &b) == NULL &&
		    b.kind == CREDENTIAL_PAM)
			return true;
	return false;
}

static void
check_names(struct check *c)
{
	struct clerk_settings clerk;
	const char           *wrong = NULL;

	if (settings_fill(c->settings, &clerk_setting_table, NULL, &clerk, c->errors))
		wrong = credential_format_wrong(clerk.username_format);
	else
		c->good = false;
	if (wrong != NULL)
		complain(c, line_of(c->settings, "auth_username_format"),
		         "auth_username_format = %s: %s", clerk.username_format, wrong);
}

static void
check_backends(struct check *c, const struct common_settings *common)
{
	struct credential_backend b;
	const char               *wrong;
	char                      path[256];

	for (size_t i = 0; i < common->auth_backends.count; i++)
		if ((wrong = credential_backend_parse(common->auth_backends.item[i], &b)) != NULL)
			complain(c, line_of(c->settings, "auth_backends"), "auth_backends = %s: %s",
			         common->auth_backends.item[i], wrong);
		else if (b.kind == CREDENTIAL_PAM) {
			/* Where there is none, PAM refuses everybody. */
			(void)snprintf(path, sizeof path, "/etc/pam.d/%s", b.argument);
			if (access(path, F_OK) < 0 && access("/etc/pam.conf", F_OK) < 0)
				complain(
					c, line_of(c->settings, "auth_backends"),
					"auth_backends = %s: there is no %s; write what PAM is to do there, "
					"or name another service",
					common->auth_backends.item[i], path);
		}
}

static void
check_protocols(struct check *c, const struct common_settings *common)
{
	for (size_t i = 0; i < common->protocols.count; i++) {
		const char *name = common->protocols.item[i];
		bool        known = strcmp(name, "none") == 0 && common->protocols.count == 1;
		for (size_t l = 0; l < LISTEN_SERVICES && !known; l++)
			known = protocol_of[l] != NULL && bytes_is(bytes_of(name), protocol_of[l]);
		if (!known)
			complain(
				c, line_of(c->settings, "protocols"),
				"protocols = %s: write imap, pop3, lmtp, or none alone; SMTP and "
				"submission are turned off by an empty listen_smtp and listen_submission",
				name);
	}
}

bool
auth_socket_rights(const struct common_settings *common, uint32_t *mode, uint32_t *owner,
                   uint32_t *group)
{
	char          *end;
	unsigned long  bits = strtoul(common->auth_socket_mode, &end, 8);
	struct passwd *user = NULL;
	struct group  *its = NULL;

	*owner = *group = UINT32_MAX;
	if (*common->auth_socket_mode == '\0' || *end != '\0' || bits > 0777 || bits == 0)
		return false;
	*mode = (uint32_t)bits;
	if (common->auth_socket_owner[0] != '\0') {
		if ((user = getpwnam(common->auth_socket_owner)) == NULL)
			return false;
		*owner = user->pw_uid;
		*group = user->pw_gid;
	}
	if (common->auth_socket_group[0] != '\0') {
		if ((its = getgrnam(common->auth_socket_group)) == NULL)
			return false;
		*group = its->gr_gid;
	}
	return true;
}

static void
complain_of_listener(void *ctx, const char *setting, const char *why)
{
	struct check *c = ctx;

	complain(c, line_of(c->settings, setting), "%s: %s", setting, why);
}

/* submission/NAME is for a listener we have. */
static void
check_listeners(struct check *c)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(c->settings, i, &e); i++) {
		const char *slash = strchr(e.name, '/');
		bool        known = slash == NULL;
		known = known ||
		        listener_place(&c->listeners,
		                       (struct bytes){ e.name, (size_t)(slash - e.name) }) <
		                c->listeners.count;
		if (!known)
			complain(c, e.line,
			         "%s: there is no such listener; there are smtp, submission, "
			         "submissions, lmtp, imap, imaps, pop3, pop3s and those that "
			         "listeners names",
			         e.name);
	}
}

static void
check_protocol_words(struct check *c, const struct common_settings *common)
{
	static const char *const words[] = { "all", "ipv4", "ipv6" };

	for (size_t i = 0; i < common->inet_protocols.count; i++) {
		bool known = false;
		for (size_t n = 0; n < COUNT(words); n++)
			known = known ||
			        bytes_is(bytes_of(common->inet_protocols.item[i]), words[n]);
		if (!known)
			complain(c, line_of(c->settings, "inet_protocols"),
			         "inet_protocols = %s: write all, ipv4, ipv6, or the last two",
			         common->inet_protocols.item[i]);
	}
	if (common->inet_protocols.count == 0 || common->inet_interfaces.count == 0)
		complain(c,
		         line_of(c->settings, common->inet_protocols.count == 0
		                                      ? "inet_protocols"
		                                      : "inet_interfaces"),
		         "inet_interfaces and inet_protocols cannot be empty: write all");
}

/* Where a service listens. */
static void
check_addresses(struct check *c, const struct common_settings *common)
{
	char name[32];

	for (size_t l = 0; l < LISTEN_SERVICES; l++)
		for (size_t i = 0; i < common->listen[l].count; i++) {
			const char *address = common->listen[l].item[i];
			if (listener_address(address))
				continue;
			(void)snprintf(name, sizeof name, "listen_%s", listener_names[l]);
			complain(c, line_of(c->settings, name),
			         "%s = %s: write an address and a port, as 127.0.0.1:25, [::1]:25 "
			         "or *:25, or unix:/path",
			         name, address);
		}
}

static void
check_location(struct check *c, const struct common_settings *common)
{
	struct arena *scratch = arena_open(NULL);
	const char   *wrong = location_complain(common->mail_location, common->mail_home, scratch);

	if (wrong != NULL)
		complain(c, line_of(c->settings, "mail_location"), "mail_location = %s: %s",
		         common->mail_location, wrong);
	arena_close(&scratch);
	for (size_t i = 0; i < common->mail_location_directories.count; i++)
		if (common->mail_location_directories.item[i][0] != '/')
			complain(c, line_of(c->settings, "mail_location_directories"),
			         "mail_location_directories = %s: write an absolute path",
			         common->mail_location_directories.item[i]);
}

/* Where virtual users' mail lies, and whose it is. */
static void
check_virtual(struct check *c, const struct common_settings *common)
{
	static const char *const owners[] = { "virtual_uid_maps", "virtual_gid_maps",
		                              "virtual_minimum_uid" };
	struct bytes             base = bytes_of(common->virtual_mailbox_base);

	if (base.len > 0 && (base.at[0] != '/' || base.len == 1 || strstr(base.at, "..") != NULL ||
	                     strpbrk(base.at, ":~%") != NULL))
		complain(c, line_of(c->settings, "virtual_mailbox_base"),
		         "virtual_mailbox_base = %s: write an absolute path, as /var/mail/vhosts",
		         common->virtual_mailbox_base);
	if (base.len > 0 && *common->mail_location != '\0')
		advise(c, "virtual_mailbox_base",
		       "virtual_mailbox_base = %s: mail_location = %s says where mailboxes lie, and holds",
		       common->virtual_mailbox_base, common->mail_location);
	for (size_t i = 0; i < COUNT(owners); i++)
		if (house_is_set(c->settings, owners[i]))
			advise(c, owners[i],
			       "%s is read and cannot be obeyed: mailboxes of virtual users belong to "
			       "the account of the keepers, %s-keeper; what is there already is to be "
			       "given to it: chown -R %s-keeper %s",
			       owners[i], common->mail_owner, common->mail_owner,
			       base.len > 0 ? base.at : "DIRECTORY");
}

/* Where operating-system users' mail lies. */
static void
check_users(struct check *c, const struct common_settings *common)
{
	if (common->mail_spool_directory[0] != '/')
		complain(c, line_of(c->settings, "mail_spool_directory"),
		         "mail_spool_directory = %s: write an absolute path, as /var/mail",
		         common->mail_spool_directory);
	if (common->home_mailbox[0] == '/' || strstr(common->home_mailbox, "..") != NULL ||
	    strpbrk(common->home_mailbox, ":~%") != NULL)
		complain(
			c, line_of(c->settings, "home_mailbox"),
			"home_mailbox = %s: write a name in the home, as Maildir/ (with the slash, a "
			"Maildir) or Mailbox (a file)",
			common->home_mailbox);
}

/* The rows of a keeper that name locks. */
static void
check_locks(struct check *c)
{
	struct keeper_settings keeper;
	const char            *name[] = { "mbox_read_locks", "mbox_write_locks" };

	if (!settings_fill(c->settings, &keeper_setting_table, NULL, &keeper, c->errors)) {
		c->good = false;
		return;
	}
	for (int i = 0; i < 2; i++) {
		const struct setting_list *list = i == 0 ? &keeper.read_locks : &keeper.write_locks;
		if (!mbox_lock_order(i == 1, list->item, list->count))
			complain(
				c, line_of(c->settings, name[i]),
				"%s: write some of dotlock, fcntl and flock, in the order they are taken",
				name[i]);
	}
}

/* rfc9738:3 asks for 1000 at least. */
static void
check_limits(struct check *c)
{
	struct imap_settings imap;

	if (!settings_fill(c->settings, &imap_setting_table, NULL, &imap, c->errors)) {
		c->good = false;
		return;
	}
	const struct {
		const char *name;
		int64_t     value;
	} limit[] = { { "imap_message_limit", imap.message_limit },
		      { "imap_save_limit", imap.save_limit } };
	for (size_t i = 0; i < COUNT(limit); i++)
		if (limit[i].value > 0 && limit[i].value < 1000)
			complain(c, line_of(c->settings, limit[i].name),
			         "%s = %lld: write 1000 or more, or 0 for no limit", limit[i].name,
			         (long long)limit[i].value);
}

/* An account must have room for the largest letter. */
static void
check_sizes(struct check *c)
{
	struct keeper_settings   keeper;
	struct receiver_settings receiver;
	const char              *name = "quota_storage";

	if (!settings_fill(c->settings, &keeper_setting_table, NULL, &keeper, c->errors) ||
	    !settings_fill(c->settings, &receiver_setting_table, NULL, &receiver, c->errors)) {
		c->good = false;
		return;
	}
	for (size_t i = 0; i < receiver.account_limits.count; i++) {
		struct spending most;
		struct bytes    who;

		if (!spending_entry(bytes_of(receiver.account_limits.item[i]), &who, &most))
			complain(
				c, line_of(c->settings, "smtpd_account_limits"),
				"smtpd_account_limits: %s: write jack@example.com=HOUR/DAY, two numbers of "
				"recipients",
				receiver.account_limits.item[i]);
	}
	if (line_of(c->settings, name) == 0)
		name = "mailbox_size_limit";
	if (keeper.quota_storage > 0 && receiver.message_size > keeper.quota_storage)
		complain(
			c, line_of(c->settings, name),
			"%s = %lld is less than message_size_limit, %lld: no account would hold the largest "
			"letter that is taken",
			name, (long long)keeper.quota_storage, (long long)receiver.message_size);
}

/* Of a table its name alone: what is in it is looked at by tables_check() and by who uses it. */
static void
check_table_name(void *ctx, const struct table_named *named)
{
	struct check *c = ctx;
	struct arena *scratch = arena_open(NULL);
	const char   *why =
                named->is_file
			  ? NULL
			  : table_name_fault(named->name, tables_default_type(c->settings), scratch);

	if (why != NULL)
		complain(c, line_of(c->settings, named->setting), "%s = %s: %s", named->setting,
		         named->name, why);
	arena_close(&scratch);
}

static void
check_auth_socket(struct check *c, const struct common_settings *common)
{
	uint32_t mode, owner, group;

	for (size_t i = 0; i < common->auth_socket.count; i++)
		if (common->auth_socket.item[i][0] != '/')
			complain(c, line_of(c->settings, "auth_socket"),
			         "auth_socket = %s: write an absolute path",
			         common->auth_socket.item[i]);
	if (!auth_socket_rights(common, &mode, &owner, &group))
		complain(
			c, line_of(c->settings, "auth_socket_mode"),
			"auth_socket_mode = %s, auth_socket_owner = %s, auth_socket_group = %s: write a mode as "
			"0660, and a user and a group that are there",
			common->auth_socket_mode, common->auth_socket_owner,
			common->auth_socket_group);
}

/* A domain is of one class: where its people are would not be known else (mydestination says nothing beside a
   default of its own). */
static void
check_classes(struct check *c)
{
	struct resolve_rules rules;

	if (!settings_fill(c->settings, &resolve_setting_table, NULL, &rules, c->errors)) {
		c->good = false;
		return;
	}
	const struct {
		const char                *name;
		const struct setting_list *list;
	} classes[] = { { "mydestination", &rules.mydestination },
		        { "virtual_alias_domains", &rules.virtual_alias_domains },
		        { "virtual_mailbox_domains", &rules.virtual_mailbox_domains },
		        { "relay_domains", &rules.relay_domains } };
	for (size_t i = 0; i < COUNT(classes); i++)
		for (size_t n = 0; n < classes[i].list->count; n++)
			for (size_t k = i + 1; k < COUNT(classes); k++) {
				const char *item = classes[i].list->item[n];
				int         line = line_of(c->settings, classes[i].name);
				/* relay_domains = $mydestination is common and harms nobody. */
				if ((i == 0 && k == 3) || !resolve_lists(classes[k].list, item))
					continue;
				if (line > 0)
					complain(
						c, line_of(c->settings, classes[k].name),
						"%s is both in %s (line %d) and in %s: it can be in one of them",
						item, classes[i].name, line, classes[k].name);
				else
					complain(
						c, line_of(c->settings, classes[k].name),
						"%s is in %s and, if nothing is said, in %s: set %s without it",
						item, classes[k].name, classes[i].name,
						classes[i].name);
			}
}

/* Where the mail of local names may go instead of a mailbox. */
static void
check_transports(struct check *c)
{
	static const char *const names[] = { "mailbox_transport", "fallback_transport",
		                             "local_transport", "virtual_transport" };

	for (size_t i = 0; i < COUNT(names); i++) {
		const char *value = settings_value(c->settings, names[i]);
		const char *wrong = value == NULL ? NULL
		                    : i < 2       ? transport_fault(value, i == 1)
		                                  : transport_class_fault(value);
		if (wrong != NULL)
			complain(c, line_of(c->settings, names[i]), "%s = %s: %s", names[i], value,
			         wrong);
	}
}

static void
check_origin(struct check *c, const char *origin)
{
	struct buffer name = { 0 };

	errno = 0;
	if (origin[0] == '/' && !origin_read(origin, &name))
		complain(c, line_of(c->settings, "myorigin"), "myorigin = %s: %s", origin,
		         errno != 0 ? strerror(errno)
		                    : "the file is to begin with the name of a domain");
	buffer_free(&name);
}

static void
check_mechanisms(struct check *c)
{
	struct arena *scratch = arena_open(NULL);
	const char   *setting = "", *wrong = sasl_settings_wrong(c->settings, scratch, &setting);
	const char   *peer = debug_check(c->settings, scratch);

	if (peer != NULL)
		complain(c, line_of(c->settings, "debug_peer_list"), "debug_peer_list = %s", peer);

	if (wrong != NULL)
		complain(c, line_of(c->settings, setting), "%s: %s", setting, wrong);
	arena_close(&scratch);
}

/* Whom we trust, and with what. */
static void
check_networks(struct check *c, const char *listener, const char *name,
               const struct setting_list *list)
{
	const char *type = tables_default_type(c->settings), *wrong = "";
	char        own[80];
	int         line = 0;

	(void)snprintf(own, sizeof own, "%s/%s", listener, name);
	line = line_of(c->settings, own);
	if (line == 0)
		line = line_of(c->settings, name);
	for (size_t i = 0; i < list->count; i++) {
		const char         *item = list->item[i];
		struct network_item n;

		if (item[item[0] == '!'] == '/')
			continue;
		if (!network_item_parse(item, &n, &wrong))
			complain(c, line, "%s = %s: %s", name, item, wrong);
		else if (n.table != NULL && table_is_remote(n.table, type))
			complain(
				c, line,
				"%s = %s: a client's address is looked for in tables of files alone: "
				"write hash:, cidr: or one of their kind",
				name, item);
	}
}

/* All that are lists of clients. */
static void
check_trusted(struct check *c, const struct common_settings *common)
{
	struct receiver_settings r;

	check_networks(c, "", "mynetworks", &common->mynetworks);
	for (size_t l = 0; l < c->listeners.count; l++) {
		const char *name = c->listeners.one[l].name;

		if (c->listeners.one[l].service > LISTEN_LMTP ||
		    !settings_fill(c->settings, &receiver_setting_table, name, &r, NULL))
			continue;
		check_networks(c, name, "smtpd_authorized_xclient_hosts", &r.xclient_hosts);
		check_networks(c, name, "smtpd_authorized_xforward_hosts", &r.xforward_hosts);
		check_networks(c, name, "smtpd_authorized_expn_hosts", &r.expn_hosts);
		check_networks(c, name, "smtpd_client_event_limit_exceptions", &r.limit_exceptions);
		check_networks(c, name, "smtpd_forbid_bare_newline_exclusions",
		               &r.bare_newline_exclusions);
		check_networks(c, name, "postscreen_allow_list", &r.screen_allow);
		if (!c->good)
			return;
	}
}

/* The way to a content filter and back. */
static void
check_filter(struct check *c)
{
	for (int l = -1; l < (int)c->listeners.count; l++) {
		const char              *listener = l < 0 ? NULL : c->listeners.one[l].name, *wrong;
		struct receiver_settings receiver;
		struct policy_settings   policy;

		if (!settings_fill(c->settings, &receiver_setting_table, listener, &receiver,
		                   NULL) ||
		    !settings_fill(c->settings, &policy_setting_table, listener, &policy, NULL))
			continue;
		if (*receiver.content_filter != '\0' &&
		    strchr(receiver.content_filter, ':') == NULL) {
			complain(c, line_of(c->settings, "content_filter"),
			         "content_filter = %s: write a transport and where it leads, as "
			         "scan:[127.0.0.1]:10025",
			         receiver.content_filter);
			return;
		}
		(void)receive_overrides(&policy.overrides, &wrong);
		if (wrong != NULL) {
			complain(
				c, line_of(c->settings, "receive_override_options"),
				"receive_override_options = %s: write no_unknown_recipient_checks, "
				"no_address_mappings, no_header_body_checks or no_milters",
				wrong);
			return;
		}
	}
}

static void
check_scan(struct check *c)
{
	struct scan_settings set;
	struct clamd_place   place;
	struct network       net;
	const char          *wrong = NULL;

	for (int l = -1; l < (int)c->listeners.count; l++) {
		if (!settings_fill(c->settings, &scan_setting_table,
		                   l < 0 ? NULL : c->listeners.one[l].name, &set, NULL))
			continue;
		if (*set.socket != '\0' &&
		    (wrong = clamd_place(bytes_of(set.socket), &place)) != NULL) {
			complain(c, line_of(c->settings, "clamd_socket"), "clamd_socket = %s: %s",
			         set.socket, wrong);
			return;
		}
		for (size_t i = 0; i < set.networks.count; i++)
			if (!network_parse(bytes_of(set.networks.item[i]), &net, &wrong)) {
				complain(c, line_of(c->settings, "clamd_network_exceptions"),
				         "clamd_network_exceptions = %s: %s", set.networks.item[i],
				         wrong);
				return;
			}
	}
}

/* What filters made is looked at where tables of other servers are not waited for. */
static bool
milter_checks_good(struct check *c, const struct setting_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (table_is_remote(list->item[i], tables_default_type(c->settings))) {
			complain(
				c, line_of(c->settings, "milter_header_checks"),
				"milter_header_checks = %s: a letter is looked at with tables of files "
				"alone: write regexp:, pcre: or one of their kind",
				list->item[i]);
			return false;
		}
	return true;
}

static void
check_milters(struct check *c)
{
	for (int l = -1; l < (int)c->listeners.count; l++) {
		struct milter_settings set;
		struct buffer          wrong = { 0 };
		struct milter_set     *all = NULL;

		if (settings_fill(c->settings, &milter_setting_table,
		                  l < 0 ? NULL : c->listeners.one[l].name, &set, NULL))
			all = milter_checks_good(c, &set.checks)
			              ? milter_set_open(&set, &set.smtpd, &wrong)
			              : NULL;
		if (wrong.len > 0)
			complain(c, line_of(c->settings, "smtpd_milters"), "smtpd_milters: %.*s",
			         (int)wrong.len - 1, wrong.at);
		buffer_free(&wrong);
		if (all == NULL)
			return;
		milter_set_drop(&all);
	}
}

/* A letter is looked at where nobody is connected to. */
static void
check_checks(struct check *c)
{
	const char *type = tables_default_type(c->settings);

	for (int l = -1; l < (int)c->listeners.count; l++) {
		struct checks_settings set;

		if (!settings_fill(c->settings, &checks_setting_table,
		                   l < 0 ? NULL : c->listeners.one[l].name, &set, NULL))
			continue;
		for (size_t i = 0; i < CHECK_LISTS; i++)
			for (size_t n = 0; n < set.list[i].count; n++)
				if (table_is_remote(set.list[i].item[n], type)) {
					complain(
						c,
						line_of(c->settings,
					                checks_setting_table.row[i].name),
						"%s = %s: a letter is looked at with tables of files "
						"alone: write regexp:, pcre: or one of their kind",
						checks_setting_table.row[i].name,
						set.list[i].item[n]);
					return;
				}
	}
}

static void
check_common(struct check *c)
{
	struct common_settings common;
	struct server          server;

	if (!settings_fill(c->settings, &common_setting_table, NULL, &common, c->errors)) {
		c->good = false;
		return;
	}
	if (common.mail_directory[0] != '/' || common.mail_directory[1] == '\0')
		complain(c, line_of(c->settings, "mail_directory"),
		         "mail_directory = %s: write an absolute path, as /var/lib/mansio",
		         common.mail_directory);
	check_origin(c, common.myorigin);
	check_names(c);
	check_protocols(c, &common);
	check_backends(c, &common);
	check_addresses(c, &common);
	check_protocol_words(c, &common);
	if (*common.dns_resolver != '\0' && strcmp(common.dns_resolver, "none") != 0 &&
	    !server_parse(bytes_of(common.dns_resolver), &server))
		complain(c, line_of(c->settings, "dns_resolver"),
		         "dns_resolver = %s: write an address, with a port if it is not 53, as "
		         "127.0.0.1:53 or [::1]:53, or none",
		         common.dns_resolver);
	check_location(c, &common);
	check_users(c, &common);
	check_virtual(c, &common);
	check_auth_socket(c, &common);
	check_locks(c);
	check_limits(c);
	check_sizes(c);
	check_mechanisms(c);
	check_classes(c);
	check_transports(c);
	tables_named(c->settings, check_table_name, c);
	check_trusted(c, &common);
	check_checks(c);
	check_scan(c);
	check_filter(c);
	check_milters(c);
}

/* What is allowed and hardly meant. */
static void
warn_of_risks(struct settings *s, const char *file, struct buffer *warnings)
{
	const char *banner = settings_value(s, "smtpd_banner");
	const char *myhostname = settings_value(s, "myhostname");
	const char *networks = settings_value(s, "mynetworks");

	/* rfc5321:4.3.1 */
	if (!bytes_starts_nocase(bytes_of(banner), bytes_of(myhostname)))
		buffer_printf(warnings,
		              "%s:%d: smtpd_banner = %s: it is to begin with $myhostname\n", file,
		              line_of(s, "smtpd_banner"), banner);
	if (strstr(networks, "0.0.0.0/0") != NULL || strstr(networks, "::]/0") != NULL ||
	    strstr(networks, "::/0") != NULL)
		buffer_printf(
			warnings,
			"%s:%d: mynetworks = %s: everybody may send to anybody, which makes an open relay\n",
			file, line_of(s, "mynetworks"), networks);
}

bool
house_settings_check(struct settings *s, const char *file, struct buffer *errors,
                     struct buffer *warnings)
{
	struct check c = { s, file, errors, warnings, true, { 0 } };

	listeners_read(s, &c.listeners);
	for (size_t i = 0; i < COUNT(tables); i++) {
		if (!check_table(s, tables[i], NULL, errors))
			c.good = false;
		for (size_t l = 0; l < c.listeners.count; l++)
			if (has_own(s, c.listeners.one[l].name) &&
			    !check_table(s, tables[i], c.listeners.one[l].name, errors))
				c.good = false;
	}
	if (c.good && listeners_check(s, complain_of_listener, &c, errors))
		check_listeners(&c);
	c.good = tls_settings_check(s, errors, warnings) && c.good;
	if (c.good)
		check_common(&c);
	if (c.good)
		c.good = policy_check(s, file, errors, warnings);
	if (c.good)
		warn_of_risks(s, file, warnings);
	(void)settings_unknown(s, warnings);
	return c.good;
}
