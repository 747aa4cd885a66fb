/*
 * settings-check -- what is wrong with settings though each row is good by itself (settings.h)
 */
#include "role/owner.h"
#include "role/settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "access/pop3/pop3.h"
#include "access/pop3/uniqueid.h"
#include "channel/listener.h"
#include "dns/resolver.h"
#include "policy/checks.h"
#include "role/askers.h"
#include "role/bindable.h"
#include "role/certifier.h"
#include "role/clerk.h"
#include "role/debug.h"
#include "role/guide.h"
#include "role/keeper.h"
#include "role/letter-settings.h"
#include "role/mishaps.h"
#include "role/notice-settings.h"
#include "role/policy.h"
#include "role/scope.h"
#include "role/strangers.h"
#include "role/tls-settings.h"
#include "role/transports.h"
#include "smtp/receiver/settings.h"
#include "smtp/sender/route.h"
#include "store/location.h"
#include "store/mbox-lock.h"

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

/* What is as it may be, and hardly what was meant. */
static __attribute__((format(printf, 3, 4))) void
advise(struct check *c, const char *setting, const char *form, ...)
{
	int     line = settings_line(c->settings, setting);
	va_list list;

	buffer_printf(c->warnings, line > 0 ? "%s:%d: " : "%s: ", c->file, line);
	va_start(list, form);
	buffer_vprintf(c->warnings, form, list);
	va_end(list);
	buffer_add_char(c->warnings, '\n');
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
		complain(c, settings_line(c->settings, "auth_username_format"),
		         "auth_username_format = %s: %s", clerk.username_format, wrong);
}

/* "user*master": whose names it parts, and where master users are. */
static void
check_masters(struct check *c, const struct common_settings *common)
{
	struct clerk_settings clerk;
	const char           *file = common->auth_master_passwd_file, *s;

	if (!settings_fill(c->settings, &clerk_setting_table, NULL, &clerk, NULL))
		return;
	s = clerk.master_separator;
	if (*s != '\0' && (s[1] != '\0' || strchr("*%#!/|&~^", *s) == NULL))
		complain(c, settings_line(c->settings, "auth_master_user_separator"),
		         "auth_master_user_separator = %s: write one of * %% # ! / | & ~ ^", s);
	if (*file != '\0' && *file != '/')
		complain(c, settings_line(c->settings, "auth_master_passwd_file"),
		         "auth_master_passwd_file = %s: write an absolute path", file);
	if ((*s != '\0') != (*file != '\0'))
		complain(
			c,
			settings_line(c->settings, *s != '\0' ? "auth_master_user_separator"
		                                              : "auth_master_passwd_file"),
			"master users need both: set auth_master_user_separator = * and auth_master_passwd_file");
}

static void
check_backends(struct check *c, const struct common_settings *common)
{
	struct credential_backend b;
	const char               *wrong;
	char                      path[256];

	for (size_t i = 0; i < common->auth_backends.count; i++)
		if ((wrong = credential_backend_parse(common->auth_backends.item[i], &b)) != NULL)
			complain(c, settings_line(c->settings, "auth_backends"),
			         "auth_backends = %s: %s", common->auth_backends.item[i], wrong);
		else if (b.kind == CREDENTIAL_PAM) {
			/* Where there is none, PAM refuses everybody. */
			(void)snprintf(path, sizeof path, "/etc/pam.d/%s", b.argument);
			if (access(path, F_OK) < 0 && access("/etc/pam.conf", F_OK) < 0)
				complain(
					c, settings_line(c->settings, "auth_backends"),
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
		for (enum listener_service l = 0; l < LISTEN_SERVICES && !known; l++)
			known = house_protocol(l) != NULL &&
			        bytes_is(bytes_of(name), house_protocol(l));
		if (!known)
			complain(
				c, settings_line(c->settings, "protocols"),
				"protocols = %s: write imap, pop3, lmtp, or none alone; SMTP and "
				"submission are turned off by an empty listen_smtp and listen_submission",
				name);
	}
}

static void
complain_of_listener(void *ctx, const char *setting, const char *why)
{
	struct check *c = ctx;

	complain(c, settings_line(c->settings, setting), "%s: %s", setting, why);
}

static bool
is_transport(const struct settings *s, struct bytes name)
{
	size_t      place = 0;
	const char *one;

	while ((one = transports_name(s, false, &place)) != NULL)
		if (bytes_equal(name, bytes_of(one)))
			return true;
	return false;
}

/* submission/NAME is for a listener or a transport we have. */
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
		                c->listeners.count ||
		        is_transport(c->settings,
		                     (struct bytes){ e.name, (size_t)(slash - e.name) });
		if (!known)
			complain(c, e.line,
			         "%s: there is no such listener; there are smtp, submission, "
			         "submissions, lmtp, imap, imaps, pop3, pop3s and those that "
			         "listeners names; nor is there such a transport: NAME/transport "
			         "makes one",
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
			complain(c, settings_line(c->settings, "inet_protocols"),
			         "inet_protocols = %s: write all, ipv4, ipv6, or the last two",
			         common->inet_protocols.item[i]);
	}
	if (common->inet_protocols.count == 0 || common->inet_interfaces.count == 0)
		complain(c,
		         settings_line(c->settings, common->inet_protocols.count == 0
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
			complain(c, settings_line(c->settings, name),
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
		complain(c, settings_line(c->settings, "mail_location"), "mail_location = %s: %s",
		         common->mail_location, wrong);
	arena_close(&scratch);
	for (size_t i = 0; i < common->mail_location_directories.count; i++)
		if (common->mail_location_directories.item[i][0] != '/')
			complain(c, settings_line(c->settings, "mail_location_directories"),
			         "mail_location_directories = %s: write an absolute path",
			         common->mail_location_directories.item[i]);
}

static void
check_unique_ids(struct check *c)
{
	struct pop3_settings rows;
	const char          *wrong;

	if (!settings_fill(c->settings, &pop3_setting_table, NULL, &rows, c->errors))
		c->good = false;
	else if ((wrong = uniqueid_complain(rows.uidl_format)) != NULL)
		complain(c, settings_line(c->settings, "pop3_uidl_format"),
		         "pop3_uidl_format = %s: %s", rows.uidl_format, wrong);
}

/* Where virtual users' mail lies, and whose it is. */
static void
check_virtual(struct check *c, const struct common_settings *common)
{
	static const char *const owners[] = { "virtual_uid_maps", "virtual_gid_maps", "mail_uid" };
	struct bytes             base = bytes_of(common->virtual_mailbox_base);
	const struct mail_owner  whose = { common->mail_uid, common->mail_gid };
	const char              *wrong;

	if (base.len > 0 && (base.at[0] != '/' || base.len == 1 || strstr(base.at, "..") != NULL ||
	                     strpbrk(base.at, ":~%") != NULL))
		complain(c, settings_line(c->settings, "virtual_mailbox_base"),
		         "virtual_mailbox_base = %s: write an absolute path, as /var/mail/vhosts",
		         common->virtual_mailbox_base);
	if (base.len > 0 && *common->mail_location != '\0')
		advise(c, "virtual_mailbox_base",
		       "virtual_mailbox_base = %s: mail_location = %s says where mailboxes lie, and holds",
		       common->virtual_mailbox_base, common->mail_location);
	if (*common->mail_uid != '\0' &&
	    (wrong = owner_wrong(common, &whose, common->first_valid_uid)) != NULL)
		complain(c, settings_line(c->settings, "mail_uid"), "mail_uid = %s%s%s: %s",
		         whose.uid, *whose.gid != '\0' ? ", mail_gid = " : "", whose.gid, wrong);
	if (base.len == 0 && *common->mail_location == '\0')
		for (size_t i = 0; i < COUNT(owners); i++)
			if (house_is_set(c->settings, owners[i]))
				advise(c, owners[i],
				       "%s: letters of the letter log belong to our own accounts; write virtual_mailbox_base or mail_location, "
				       "and mailboxes are files that belong to whom it says",
				       owners[i]);
}

/* Where operating-system users' mail lies. */
static void
check_users(struct check *c, const struct common_settings *common)
{
	if (common->mail_spool_directory[0] != '/')
		complain(c, settings_line(c->settings, "mail_spool_directory"),
		         "mail_spool_directory = %s: write an absolute path, as /var/mail",
		         common->mail_spool_directory);
	if (common->home_mailbox[0] == '/' || strstr(common->home_mailbox, "..") != NULL ||
	    strpbrk(common->home_mailbox, ":~%") != NULL)
		complain(
			c, settings_line(c->settings, "home_mailbox"),
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
				c, settings_line(c->settings, name[i]),
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
			complain(c, settings_line(c->settings, limit[i].name),
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
				c, settings_line(c->settings, "smtpd_account_limits"),
				"smtpd_account_limits: %s: write jack@example.com=HOUR/DAY, two numbers of "
				"recipients",
				receiver.account_limits.item[i]);
	}
	if (settings_line(c->settings, name) == 0)
		name = "mailbox_size_limit";
	if (keeper.quota_storage > 0 && receiver.message_size > keeper.quota_storage)
		complain(
			c, settings_line(c->settings, name),
			"%s = %lld is less than message_size_limit, %lld: no account would hold the largest "
			"letter that is taken",
			name, (long long)keeper.quota_storage, (long long)receiver.message_size);
}

/* Of a table its name alone: what is in it is looked at by tables_check() and by who uses it. */
static void
has_file(void *ctx, const char *path, bool remote)
{
	(void)path;
	(void)remote;
	*(bool *)ctx = true;
}

/* What stands in the name itself is as much a line of the settings as any; NULL, or what is wrong with it. */
static const char *
content_fault(struct check *c, const char *name, struct arena *scratch)
{
	struct table_source source = tables_source(c->settings);
	struct buffer       errors = { 0 }, warnings = { 0 };
	const char         *why = NULL;
	bool                files = false;
	struct table       *t;

	table_files(name, source.default_type, has_file, &files);
	if (files || table_is_remote(name, source.default_type))
		return NULL;
	if ((t = table_open(name, TABLE_PLAIN, &source, &errors, &warnings)) == NULL)
		why = arena_copy(scratch, bytes_trim(buffer_bytes(&errors)));
	table_close(&t);
	buffer_free(&errors);
	buffer_free(&warnings);
	return why;
}

static void
check_table_name(void *ctx, const struct table_named *named)
{
	struct check *c = ctx;
	struct arena *scratch = arena_open(NULL);
	const char   *why =
                named->is_file
			  ? NULL
			  : table_name_fault(named->name, tables_default_type(c->settings), scratch);

	if (why == NULL && !named->is_file)
		why = content_fault(c, named->name, scratch);
	if (why != NULL)
		complain(c, settings_line(c->settings, named->setting), "%s = %s: %s",
		         named->setting, named->name, why);
	arena_close(&scratch);
}

/* Lists that are words here and may be tables elsewhere: nobody would look into one. */
static void
check_words(struct check *c)
{
	static const char *const lists[] = { "masquerade_exceptions",
		                             "smtp_connection_cache_destinations" };
	struct arena            *scratch = arena_open(NULL);

	for (size_t i = 0; i < COUNT(lists); i++) {
		const char  *value = settings_value(c->settings, lists[i]);
		struct bytes rest = bytes_of(value == NULL ? "" : value), item;

		while (rest.len > 0 && setting_item(&rest, &item)) {
			const char *word = arena_copy(scratch, item);

			word += *word == '!';
			if (*word == '/' || table_is_name(word))
				complain(
					c, settings_line(c->settings, lists[i]),
					"%s = %s: this list has words, and no table or file of them: "
					"write them here",
					lists[i], word);
		}
	}
	arena_close(&scratch);
}

static void
check_auth_socket(struct check *c, const struct common_settings *common)
{
	struct socket_rights rights;

	for (size_t i = 0; i < common->auth_socket.count; i++)
		if (common->auth_socket.item[i][0] != '/')
			complain(c, settings_line(c->settings, "auth_socket"),
			         "auth_socket = %s: write an absolute path",
			         common->auth_socket.item[i]);
	if (!auth_socket_rights(common, &rights))
		complain(
			c, settings_line(c->settings, "auth_socket_mode"),
			"auth_socket_mode = %s, auth_socket_owner = %s, auth_socket_group = %s: write a mode as "
			"0660, and a user and a group that are there",
			common->auth_socket_mode, common->auth_socket_owner,
			common->auth_socket_group);
}

/* Who thinks that they will be told, and will not. */
static void
check_notified(struct check *c)
{
	struct mishap_settings set;
	const char            *wrong;

	for (int l = -1; l < (int)c->listeners.count; l++) {
		if (!settings_fill(c->settings, &mishap_setting_table,
		                   l < 0 ? NULL : c->listeners.one[l].name, &set, NULL) ||
		    (wrong = mishap_class_wrong(&set.classes)) == NULL)
			continue;
		complain(c, settings_line(c->settings, "notify_classes"),
		         "notify_classes: %s is none of them: write bounce, 2bounce, delay, "
		         "policy, protocol, resource, software or data",
		         wrong);
		return;
	}
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
				int         line = settings_line(c->settings, classes[i].name);
				/* relay_domains = $mydestination is common and harms nobody. */
				if ((i == 0 && k == 3) || !resolve_lists(classes[k].list, item))
					continue;
				if (line > 0)
					complain(
						c, settings_line(c->settings, classes[k].name),
						"%s is both in %s (line %d) and in %s: it can be in one of them",
						item, classes[i].name, line, classes[k].name);
				else
					complain(
						c, settings_line(c->settings, classes[k].name),
						"%s is in %s and, if nothing is said, in %s: set %s without it",
						item, classes[k].name, classes[i].name,
						classes[i].name);
			}
}

/* Every transport that is named by itself is one we have; in tables it is found out when one goes there. */
static void
check_transports(struct check *c)
{
	static const char *const names[] = { "mailbox_transport",
		                             "fallback_transport",
		                             "local_transport",
		                             "virtual_transport",
		                             "default_transport",
		                             "relay_transport",
		                             "address_verify_default_transport",
		                             "address_verify_relay_transport",
		                             "address_verify_local_transport",
		                             "address_verify_virtual_transport" };
	struct transports       *all = memory_take(sizeof *all);
	struct arena            *a = arena_open(NULL);

	transports_read(c->settings, a, all);
	for (size_t i = 0; i < COUNT(names); i++) {
		struct bytes rest = bytes_of(settings_value(c->settings, names[i])),
			     name = { NULL, 0 };

		if (bytes_split(&rest, ':', &name) && bytes_trim(name).len > 0 &&
		    transport_named(all, bytes_trim(name)) == NULL)
			complain(
				c, settings_line(c->settings, names[i]),
				"%s = %s: there is no transport %.*s; there are smtp, lmtp, relay, "
				"local, virtual, error, retry, discard, hold, and those that "
				"NAME/transport makes",
				names[i], settings_value(c->settings, names[i]), (int)name.len,
				name.at);
	}
	arena_close(&a);
	memory_free(all);
}

/* All mail would wait for a destination that is none. */
static void
check_relays(struct check *c)
{
	static const char *const names[] = { "relayhost", "address_verify_relayhost",
		                             "smtp_fallback_relay", "lmtp_fallback_relay" };
	struct bytes             wrong;

	for (size_t i = 0; i < COUNT(names); i++)
		if (!route_is_list(bytes_of(settings_value(c->settings, names[i])), &wrong))
			complain(c, settings_line(c->settings, names[i]),
			         "%s = %s: \"%.*s\" is no destination: write host, [host] or "
			         "[host]:port",
			         names[i], settings_value(c->settings, names[i]), (int)wrong.len,
			         wrong.at);
}

/* One that a connection can come from; either setting may have either family, and brackets. */
static bool
is_plain_address(const char *word)
{
	struct bytes    text = bytes_of(word);
	struct in6_addr at;
	char            plain[64];

	if (text.len > 2 && text.at[0] == '[' && text.at[text.len - 1] == ']')
		text = bytes_cut(text, 1, text.len - 2);
	return bytes_string(text, plain, sizeof plain) &&
	       (inet_pton(AF_INET, plain, &at) == 1 || inet_pton(AF_INET6, plain, &at) == 1);
}

/* Of all letters, or of those of one transport: where connections come from. */
static void
check_bind(struct check *c, const char *transport, const char *name, const char *word,
           const char *right)
{
	struct arena *scratch = arena_open(NULL);
	const char   *own, *fault;

	own = transport != NULL ? arena_printf(scratch, "%s/%s", transport, name) : name;
	if (settings_line(c->settings, own) == 0 || *word == '\0') {
		arena_close(&scratch);
		return;
	}
	if (!is_plain_address(word))
		complain(c, settings_line(c->settings, own), "%s = %s: write %s", own, word, right);
	else if ((fault = bindable_fault(bytes_of(word), scratch)) != NULL)
		advise(c, own, "%s: %s", own, fault);
	arena_close(&scratch);
}

static void
check_binds(struct check *c)
{
	struct sender_settings r;
	size_t                 place = 0;
	const char            *transport = NULL;

	do {
		if (!settings_fill(c->settings, &sender_setting_table, transport, &r, NULL))
			continue;
		check_bind(c, transport, "smtp_bind_address", r.bind_address,
		           "an IPv4 address of this machine, as 192.0.2.1");
		check_bind(c, transport, "smtp_bind_address6", r.bind_address6,
		           "an IPv6 address of this machine, as 2001:db8::1");
	} while ((transport = transports_name(c->settings, false, &place)) != NULL);
}

static void
check_origin(struct check *c, const char *origin)
{
	struct buffer name = { 0 };

	errno = 0;
	if (origin[0] == '/' && !house_origin_read(origin, &name))
		complain(c, settings_line(c->settings, "myorigin"), "myorigin = %s: %s", origin,
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
		complain(c, settings_line(c->settings, "debug_peer_list"), "%s", peer);

	if (wrong != NULL)
		complain(c, settings_line(c->settings, setting), "%s: %s", setting, wrong);
	arena_close(&scratch);
}

/* Whom we trust, and with what. */
static void
check_networks(struct check *c, const char *listener, const char *name,
               const struct setting_list *list)
{
	const char *wrong = "";
	char        own[80];
	int         line = 0;

	(void)snprintf(own, sizeof own, "%s/%s", listener, name);
	line = settings_line(c->settings, own);
	if (line == 0)
		line = settings_line(c->settings, name);
	for (size_t i = 0; i < list->count; i++) {
		const char         *item = list->item[i];
		struct network_item n;

		if (item[item[0] == '!'] == '/')
			continue;
		if (!network_item_parse(item, &n, &wrong))
			complain(c, line, "%s = %s: %s", name, item, wrong);
	}
}

/* All that are lists of clients. */
static void
check_trusted(struct check *c, const struct common_settings *common)
{
	struct receiver_settings r;
	const char              *wrong;

	check_networks(c, "", "mynetworks", &common->mynetworks);
	for (size_t l = 0; l < c->listeners.count; l++) {
		const char *name = c->listeners.one[l].name;

		if (c->listeners.one[l].service > LISTEN_LMTP ||
		    !settings_fill(c->settings, &receiver_setting_table, name, &r, NULL))
			continue;
		check_networks(c, name, "smtpd_authorized_xclient_hosts", &r.xclient_hosts);
		check_networks(c, name, "smtpd_authorized_xforward_hosts", &r.xforward_hosts);
		check_networks(c, name, "smtpd_authorized_verp_clients", &r.verp_clients);
		check_networks(c, name, "smtpd_authorized_expn_hosts", &r.expn_hosts);
		check_networks(c, name, "smtpd_client_event_limit_exceptions", &r.limit_exceptions);
		check_networks(c, name, "smtpd_forbid_bare_newline_exclusions",
		               &r.bare_newline_exclusions);
		check_networks(c, name, "postscreen_allow_list", &r.screen_allow);
		check_networks(c, name, "smtpd_sasl_exceptions_networks", &r.auth_exceptions);
		if ((wrong = screen_access_wrong(&r.screen_access)) != NULL)
			complain(c, settings_line(c->settings, "postscreen_access_list"),
			         "postscreen_access_list = %s: write permit_mynetworks, permit, "
			         "reject, dunno or a table",
			         wrong);
		if (!c->good)
			return;
	}
}

/* The text says which setting it is; its line is still to be found. */
static void
complain_of_letters(void *ctx, const char *setting, const char *text)
{
	struct check *c = ctx;

	complain(c, settings_line(c->settings, setting), "%s", text);
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
		complain(c, settings_line(c->settings, "mail_directory"),
		         "mail_directory = %s: write an absolute path, as /var/lib/mansio",
		         common.mail_directory);
	check_origin(c, common.myorigin);
	check_names(c);
	check_masters(c, &common);
	check_protocols(c, &common);
	check_backends(c, &common);
	check_addresses(c, &common);
	check_protocol_words(c, &common);
	if (*common.dns_resolver != '\0' && strcmp(common.dns_resolver, "none") != 0 &&
	    !server_parse(bytes_of(common.dns_resolver), &server))
		complain(c, settings_line(c->settings, "dns_resolver"),
		         "dns_resolver = %s: write an address, with a port if it is not 53, as "
		         "127.0.0.1:53 or [::1]:53, or none",
		         common.dns_resolver);
	check_location(c, &common);
	check_users(c, &common);
	check_virtual(c, &common);
	check_auth_socket(c, &common);
	check_locks(c);
	check_limits(c);
	check_unique_ids(c);
	check_sizes(c);
	check_mechanisms(c);
	check_words(c);
	check_classes(c);
	check_transports(c);
	check_relays(c);
	check_binds(c);
	tables_named(c->settings, check_table_name, c);
	check_trusted(c, &common);
	letter_settings_check(c->settings, &c->listeners, complain_of_letters, c);
	check_notified(c);
	c->good = notice_settings_check(c->settings, c->errors) && c->good;
}

/* What is allowed and hardly meant. */
static void
warn_of_risks(struct settings *s, const struct listeners *all, const char *file,
              struct buffer *warnings)
{
	const char *banner = settings_value(s, "smtpd_banner");
	const char *myhostname = settings_value(s, "myhostname");

	/* rfc5321:4.3.1 */
	if (!bytes_starts_nocase(bytes_of(banner), bytes_of(myhostname)))
		buffer_printf(warnings,
		              "%s:%d: smtpd_banner = %s: it is to begin with $myhostname\n", file,
		              settings_line(s, "smtpd_banner"), banner);
	strangers_warn(s, all, file, warnings);
}

bool
house_settings_check(struct settings *s, const char *file, struct buffer *errors,
                     struct buffer *warnings)
{
	struct check                c = { s, file, errors, warnings, true, { 0 } };
	const struct setting_table *t;

	listeners_read(s, &c.listeners);
	for (size_t i = 0; (t = house_setting_table(i)) != NULL; i++) {
		const char *name;
		size_t      place = 0;

		if (!check_table(s, t, NULL, errors))
			c.good = false;
		while ((name = transports_name(s, false, &place)) != NULL)
			if (t != &transport_setting_table && has_own(s, name) &&
			    listener_place(&c.listeners, bytes_of(name)) == c.listeners.count &&
			    !check_table(s, t, name, errors))
				c.good = false;
		for (size_t l = 0; l < c.listeners.count; l++)
			if (has_own(s, c.listeners.one[l].name) &&
			    !check_table(s, t, c.listeners.one[l].name, errors))
				c.good = false;
	}
	c.good = transports_check(s, complain_of_listener, &c) && c.good;
	c.good = askers_check(s, complain_of_listener, &c) && c.good;
	if (c.good && listeners_check(s, complain_of_listener, &c, errors))
		check_listeners(&c);
	c.good = scope_check(s, &c.listeners, file, errors, warnings) && c.good;
	c.good = tls_settings_check(s, errors, warnings) && c.good;
	c.good = certifier_check(s, errors, warnings) && c.good;
	c.good = guide_check(s, errors, warnings) && c.good;
	if (c.good)
		check_common(&c);
	if (c.good)
		c.good = policy_check(s, file, errors, warnings);
	if (c.good)
		warn_of_risks(s, &c.listeners, file, warnings);
	(void)settings_unknown(s, warnings);
	return c.good;
}
