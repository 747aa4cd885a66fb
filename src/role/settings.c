#include "role/settings.h"
#include "role/askers.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/login/login.h"
#include "directory/srs.h"
#include "policy/checks.h"
#include "policy/proxy.h"
#include "role/certifier.h"
#include "role/chronicle.h"
#include "role/clerk.h"
#include "role/debug.h"
#include "role/elsewhere.h"
#include "role/guide.h"
#include "role/keeper.h"
#include "role/mishaps.h"
#include "role/pam.h"
#include "role/policy.h"
#include "role/queue.h"
#include "role/sasl-settings.h"
#include "role/tls-settings.h"
#include "role/transports.h"
#include "smtp/receiver/settings.h"
#include "smtp/sender/settings.h"

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
	{ "append_dot_mydomain", SETTING_BOOL, AT(append_dot_mydomain), "no",
	  "Whether a domain without a dot lies in mydomain: in MAIL and RCPT, in what tables give, and in the fields that local_header_rewrite_clients are for.", NULL, 0, 0, "0.2" },
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
	  "-login, -verify, -queue, -keeper, -clerk, -signer, -sender, -chronicle, -certifier, -guide.", NULL, 0, 0, "0.1" },
	{ "mail_location", SETTING_WORD, AT(mail_location), "",
	  "Where mailboxes lie: nothing for the letter log, maildir:/var/vmail/%d/%n (with :LAYOUT=fs where its folders are directories in directories) or mbox:~/mail:INBOX=/var/mail/%n; %u is the address, %n and %d its halves, ~ and %h the home.", "variables", 0, 0, "0.2" },
	{ "mail_home", SETTING_WORD, AT(mail_home), "",
	  "The home ~ and %h stand for in mail_location, as /var/vmail/%d/%n.", "variables", 0, 0, "0.2" },
	{ "mail_location_directories", SETTING_LIST, AT(mail_location_directories), "",
	  "Directories, besides those of mail_location, that accounts may be moved to by mansio mailbox convert.", NULL, 0, 0, "0.2" },
	{ "virtual_mailbox_base", SETTING_WORD, AT(virtual_mailbox_base), "",
	  "The directory that paths in virtual_mailbox_maps begin in; such a mailbox lies there (with a slash behind it a Maildir, else a file) "
	  "unless mail_location, or the domain's, says where.", NULL, 0, 0, "0.2" },
	{ "home_mailbox", SETTING_WORD, AT(home_mailbox), "",
	  "Where mail of operating-system users lies in their homes: Maildir/ (with the slash) is a Maildir, Mailbox a file; "
	  "mail_spool_directory if empty.", NULL, 0, 0, "0.2" },
	{ "forward_path", SETTING_LIST, AT(forward_path), "$home/.forward${recipient_delimiter}${extension}, $home/.forward", "Files in which operating-system users say where their mail goes; the first that is there counts.", .since = "0.2" },
	{ "mail_spool_directory", SETTING_WORD, AT(mail_spool_directory), "/var/mail",
	  "The directory of operating-system users' mailboxes, where home_mailbox says nothing: a file for each, or with a slash behind it (/var/mail/) a Maildir.", NULL, 0, 0, "0.2" },
	{ "mail_privileged_group", SETTING_WORD, AT(mail_privileged_group), "mail",
	  "The group that may make files in mail_spool_directory; operating-system users' keepers have it besides the user's own.", NULL, 0, 0, "0.2" },
	{ "first_valid_uid", SETTING_NUMBER, AT(first_valid_uid), "1000",
	  "The smallest uid of operating-system users who have a mailbox; mail of those below goes to somebody by an alias. Nor do virtual users' mailboxes belong to a smaller one.", NULL, 1, INT32_MAX, "0.2" },
	{ "mail_uid", SETTING_WORD, AT(mail_uid), "",
	  "The user, a name or a number, to whom mailboxes in a Maildir or mbox belong, where neither the back end of auth_backends (uid, gid) nor "
	  "virtual_uid_maps says; empty: the keepers' own account. It holds for accounts that come after it, and not for letters in the letter log.", NULL, 0, 0, "0.7" },
	{ "mail_gid", SETTING_WORD, AT(mail_gid), "",
	  "The group of the same; empty: that of the user.", NULL, 0, 0, "0.7" },
	{ "virtual_minimum_uid", SETTING_NUMBER, AT(virtual_minimum_uid), "100",
	  "The smallest uid that virtual_uid_maps may give: mail for mailboxes of a smaller one waits.", NULL, 1, INT32_MAX, "0.2" },
	{ "owner_keepers_limit", SETTING_NUMBER, AT(owner_keepers_most), "100",
	  "How many keepers of uids that virtual users' mailboxes belong to may run at once; mail for others waits.", NULL, 1, 10000, "0.7" },
	{ "user_keepers_limit", SETTING_NUMBER, AT(user_keepers_most), "100",
	  "How many operating-system users' keepers may run at once; mail of others waits.", NULL, 1, 10000, "0.2" },
	{ "role_account_base", SETTING_NUMBER, AT(role_account_base), "61184",
	  "The first of the numbers used as uid and gid of the roles where the system accounts of "
	  "mail_owner do not exist.", NULL, 1000, 65000, "0.1" },
	{ "mail_name", SETTING_TEXT, AT(mail_name), "Mansio",
	  "The name of the software as greetings say it.", NULL, 0, 0, "0.1" },
	{ "mail_version", SETTING_TEXT, AT(mail_version), MANSIO_VERSION,
	  "Its version, for $mail_version in other settings.", NULL, 0, 0, "0.7" },
	{ "maillog_file", SETTING_WORD, AT(maillog_file), "",
	  "The file the log goes to, stderr for the standard error, empty for syslog.", NULL, 0, 0, "0.1" },
	{ "syslog_name", SETTING_WORD, AT(syslog_name), "mansio",
	  "The first part of the service in each line of the log.", NULL, 0, 0, "0.1" },
	{ "log_format", SETTING_CHOICE, AT(log_format), "text",
	  "How a line of the log looks: text as Postfix and Dovecot write it, json one object a line.",
	  "text,json", 0, 0, "0.1" },
	{ "event_store", SETTING_BOOL, AT(event_store), "yes",
	  "Whether what happens to letters is kept for mansio trace; the log has it in any case.", NULL, 0, 0, "0.3" },
	{ "auth_backends", SETTING_LIST, AT(auth_backends), "directory",
	  "Who is asked whether a password is right, in this order, until one knows the user: directory, passwd-file:/path, "
	  "pam or pam:SERVICE, sql:/path.cf, ldap:/path.cf, saslauthd:/path/mux, dovecot:/path/auth-client; with DOMAIN= before it "
	  "for users of that domain alone, who may stand in a passwd-file without it.  Of what they say besides, home, mail, quota_rule, uid and gid are obeyed (as for mail_uid: of mailboxes in a Maildir or "
	  "mbox that came after it).", NULL, 0, 0, "0.2" },
	{ "auth_master_passwd_file", SETTING_WORD, AT(auth_master_passwd_file), "",
	  "A passwd-file of master users, asked for nobody else: whoever is in it reads and sends as any user, by auth_master_user_separator.", NULL, 0, 0, "0.2" },
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
	  "The room that stays free on the disk of the spool. With less of it MAIL is refused for now, and where one and a half of the letter's SIZE "
	  "would not be there besides; so what was taken has room in its mailbox, where the last quarter of it, 16M at most, "
	  "is for flags and for what is deleted. 0: nobody looks.",
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
	{ "dns_check_lists", SETTING_LIST, AT(dns_check_lists), "zen.spamhaus.org, bl.spamcop.net, b.barracudacentral.org",
	  "Lists in the DNS that mansio dns check asks whether they have the addresses our letters leave from.", NULL, 0, 0, "0.3" },
	{ "default_database_type", SETTING_WORD, AT(default_database_type), "hash",
	  "The type of a lookup table that is named without one, as /etc/aliases is.", NULL, 0, 0, "0.2" },
	{ "alias_database", SETTING_LIST, AT(alias_database), "hash:/etc/aliases",
	  "The tables whose files newaliases looks at.", NULL, 0, 0, "0.2" },
};
/* clang-format on */

const struct setting_table common_setting_table = { "The house", rows, COUNT(rows) };

static const struct setting_table *const tables[] = {
	&common_setting_table,   &receiver_setting_table, &login_setting_table,
	&imap_setting_table,     &pop3_setting_table,     &clerk_setting_table,
	&queue_setting_table,    &keeper_setting_table,   &pam_setting_table,
	&resolve_setting_table,  &proxymap_setting_table, &sasl_setting_table,
	&checks_setting_table,   &policy_setting_table,   &chronicle_setting_table,
	&tls_setting_table,      &sender_setting_table,   &witness_setting_table,
	&scan_setting_table,     &milter_setting_table,   &debug_setting_table,
	&listener_setting_table, &srs_setting_table,      &transport_setting_table,
	&asker_setting_table,    &proxy_setting_table,    &certifier_setting_table,
	&mishap_setting_table,   &guide_setting_table,
};

const struct setting_table *
house_setting_table(size_t index)
{
	return index < COUNT(tables)    ? tables[index]
	       : index == COUNT(tables) ? sender_lmtp_setting_table()
	                                : NULL;
}

const struct setting *
house_setting_row(const char *name)
{
	const struct setting_table *t;

	for (size_t i = 0; (t = house_setting_table(i)) != NULL; i++)
		for (size_t r = 0; r < t->count; r++)
			if (strcmp(t->row[r].name, name) == 0)
				return &t->row[r];
	return NULL;
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
	settings_tables(s, sender_lmtp_setting_table(), 1);
	know_classes(s);
	transports_know(s);
	tables_know_parameters(s);
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
	if (!house_is_set(s, "sasl_mechanisms") && sasl_standard(s) != NULL)
		buffer_printf(text, "\nsasl_mechanisms = %s", sasl_standard(s));
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

bool
house_origin_read(const char *path, struct buffer *out)
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

	if (origin[0] == '/' && house_origin_read(origin, &name))
		buffer_printf(text, "\nmyorigin = %.*s\n", (int)name.len, name.at);
	buffer_free(&name);
}

static const char *const protocol_of[LISTEN_SERVICES] = {
	[LISTEN_LMTP] = "lmtp", [LISTEN_IMAP] = "imap",  [LISTEN_IMAPS] = "imap",
	[LISTEN_POP3] = "pop3", [LISTEN_POP3S] = "pop3",
};

const char *
house_protocol(enum listener_service which)
{
	return protocol_of[which];
}

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

bool
socket_rights_read(const char *mode, const char *owner, const char *group,
                   struct socket_rights *out)
{
	char          *end;
	unsigned long  bits = strtoul(mode, &end, 8);
	struct passwd *user = NULL;
	struct group  *its = NULL;

	out->owner = out->group = UINT32_MAX;
	if (*mode == '\0' || *end != '\0' || bits > 0777 || bits == 0)
		return false;
	out->mode = (uint32_t)bits;
	if (owner[0] != '\0') {
		if ((user = getpwnam(owner)) == NULL)
			return false;
		out->owner = user->pw_uid;
		out->group = user->pw_gid;
	}
	if (group[0] != '\0') {
		if ((its = getgrnam(group)) == NULL)
			return false;
		out->group = its->gr_gid;
	}
	return true;
}

bool
auth_socket_rights(const struct common_settings *common, struct socket_rights *out)
{
	return socket_rights_read(common->auth_socket_mode, common->auth_socket_owner,
	                          common->auth_socket_group, out);
}
