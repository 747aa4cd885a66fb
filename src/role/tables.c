#include "role/tables.h"
#include "smtp/sender/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/journal.h"
#include "base/map.h"
#include "directory/credential-remote.h"
#include "directory/passwdfile.h"
#include "directory/srs.h"
#include "policy/checks.h"
#include "policy/milter-settings.h"
#include "policy/settings.h"
#include "role/debug.h"
#include "role/listeners.h"
#include "role/owner.h"
#include "role/sasl-settings.h"
#include "role/transports.h"
#include "smtp/sender/settings.h"

enum { INCLUDES_DEEP = 10, INCLUDED_FILES_MOST = 1000, INCLUDED_MOST = 16 << 20 };

const char *
tables_default_type(struct settings *s)
{
	const char *type = settings_value(s, "default_database_type");

	return type == NULL || *type == '\0' ? table_source_files.default_type : type;
}

/*
 * Names
 */

/* Those found, in their order. */
struct finding {
	struct arena *arena;
	struct map   *seen;
	struct found {
		struct found      *next;
		struct table_named named;
	} * first, **last;
	struct listeners listeners;
};

static bool
is_of_clients(const char *setting)
{
	static const char *const lists[] = { "mynetworks",
		                             "smtpd_client_event_limit_exceptions",
		                             "smtpd_forbid_bare_newline_exclusions",
		                             "smtpd_discard_ehlo_keyword_address_maps",
		                             "smtpd_authorized_xclient_hosts",
		                             "smtpd_authorized_xforward_hosts",
		                             "smtpd_authorized_verp_clients",
		                             "smtpd_authorized_expn_hosts",
		                             "local_header_rewrite_clients",
		                             "relay_clientcerts",
		                             "postscreen_allow_list",
		                             "postscreen_access_list",
		                             "smtpd_sasl_exceptions_networks",
		                             "smtpd_reject_footer_maps",
		                             "smtpd_command_filter",
		                             "smtpd_forbidden_commands",
		                             "smtpd_noop_commands",
		                             "fast_flush_domains" };

	for (size_t i = 0; i < COUNT(lists); i++)
		if (strcmp(setting, lists[i]) == 0)
			return true;
	return false;
}

/* Who looks in the local tables of a setting. */
static bool
is_of_senders(const char *name)
{
	return setting_table_has(&sender_setting_table, name) ||
	       setting_table_has(sender_lmtp_setting_table(), name);
}

static unsigned
roles_of(const struct setting *row)
{
	if (setting_table_has(&checks_setting_table, row->name))
		return FROM(VERIFIER);
	if (setting_table_has(&debug_setting_table, row->name))
		return FROM(RECEIVER) | FROM(LOGIN) | FROM(KEEPER);
	if (row->kind == SETTING_RULES || setting_table_has(&policy_setting_table, row->name) ||
	    setting_table_has(&witness_setting_table, row->name) ||
	    setting_table_has(&milter_setting_table, row->name))
		return FROM(POLICY) | (is_of_clients(row->name) ? FROM(RECEIVER) : 0);
	if (strcmp(row->name, "bounce_template_file") == 0 ||
	    strcmp(row->name, "bounce_language_maps") == 0)
		return FROM(QUEUE);
	/* Passwords for other hosts, and how these are spoken to. */
	if (setting_table_has(&sender_setting_table, row->name) &&
	    strstr(row->name, "_checks") != NULL)
		return FROM(VERIFIER);
	if (is_of_senders(row->name))
		return FROM(SENDER);
	/* For mansio policy explain, too. */
	if (strcmp(row->name, "mynetworks") == 0 ||
	    strcmp(row->name, "postscreen_allow_list") == 0 ||
	    strcmp(row->name, "postscreen_access_list") == 0)
		return FROM(CLERK) | FROM(RECEIVER) | FROM(POLICY);
	return FROM(CLERK) | (is_of_clients(row->name) ? FROM(RECEIVER) : 0);
}

static void
find_name(struct finding *f, const struct setting *row, const char *item, bool standard)
{
	bool          matches = row->kind == SETTING_MATCHES, is_file;
	bool          aliases = row->choices != NULL && strcmp(row->choices, "aliases") == 0;
	struct found *known;

	while (matches && *item == '!')
		item++;
	is_file = matches && *item == '/';
	if ((matches || row->kind == SETTING_RULES) && !is_file && !table_is_name(item))
		return;
	if ((known = map_get(f->seen, bytes_of(item))) == NULL) {
		known = arena_take(f->arena, sizeof *known);
		known->named = (struct table_named){ arena_copy(f->arena, bytes_of(item)),
			                             row->name,
			                             is_file,
			                             true,
			                             TABLE_PLAIN,
			                             0,
			                             false,
			                             false };
		*f->last = known;
		f->last = &known->next;
		(void)map_put(f->seen, bytes_of(item), known);
	}
	if (aliases)
		known->named.grammar = TABLE_ALIASES;
	/* What is said is told of, not what has it by its standard. */
	if (known->named.standard && !standard)
		known->named.setting = row->name;
	known->named.standard = known->named.standard && standard;
	known->named.roles |= roles_of(row);
	known->named.access = known->named.access || row->kind == SETTING_RULES;
	known->named.text = known->named.text || strstr(row->name, "_checks") != NULL;
}

/* Whether the file says something of it, for all or for one listener. */
static bool
is_set(const struct settings *s, const char *name)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++) {
		const char *slash = strchr(e.name, '/');
		if (strcmp(slash == NULL ? e.name : slash + 1, name) == 0)
			return true;
	}
	return false;
}

/* "unix:private/policy" behind this rule is no table. */
static bool
is_service(const struct setting *row, const struct setting_list *list, size_t n)
{
	return row->kind == SETTING_RULES && n > 0 &&
	       strcmp(list->item[n - 1], "check_policy_service") == 0;
}

/* Of one row, for all listeners and for each that has its own. */
static void
find_row(struct finding *f, struct settings *s, const struct setting *row)
{
	struct setting             one = *row;
	const struct setting_table table = { "", &one, 1 };
	struct setting_list        list;
	const char                *transport;

	if (row->kind != SETTING_TABLES && row->kind != SETTING_MATCHES &&
	    row->kind != SETTING_RULES)
		return;
	one.where = 0;
	for (size_t place = 0; (transport = transports_name(s, false, &place)) != NULL;)
		if (is_of_senders(row->name) && settings_fill(s, &table, transport, &list, NULL))
			for (size_t n = 0; n < list.count; n++)
				find_name(f, row, list.item[n], !is_set(s, row->name));
	for (int i = -1; i < (int)f->listeners.count; i++) {
		const char *listener = i < 0 ? NULL : f->listeners.one[i].name;
		if (!settings_fill(s, &table, listener, &list, NULL))
			continue;
		for (size_t n = 0; n < list.count; n++)
			if (!is_service(row, &list, n))
				find_name(f, row, list.item[n], !is_set(s, row->name));
	}
}

/* Classes of rules name tables as lists do. */
static void
find_classes(struct finding *f, struct settings *s)
{
	struct policy_settings set;

	for (int i = -1; i < (int)f->listeners.count; i++) {
		if (!settings_fill(s, &policy_setting_table,
		                   i < 0 ? NULL : f->listeners.one[i].name, &set, NULL))
			continue;
		for (size_t n = 0; n < set.classes.count; n++)
			find_row(f, s,
			         &(struct setting){ .name = set.classes.item[n],
			                            .kind = SETTING_RULES,
			                            .standard = "" });
	}
}

void
tables_named(struct settings *s, void (*each)(void *, const struct table_named *), void *ctx)
{
	struct finding              f = { .arena = arena_open(NULL), .seen = map_open() };
	const struct setting_table *t;

	f.last = &f.first;
	listeners_read(s, &f.listeners);
	for (size_t i = 0; (t = house_setting_table(i)) != NULL; i++)
		for (size_t r = 0; r < t->count; r++)
			find_row(&f, s, &t->row[r]);
	find_classes(&f, s);
	for (struct found *one = f.first; one != NULL; one = one->next)
		each(ctx, &one->named);
	map_close(&f.seen);
	arena_close(&f.arena);
}

struct files {
	const char *default_type;
	void (*each)(void *, const char *path, bool remote);
	void  *ctx;
	size_t included;
};

/* Whose aliases these are: what they name is opened with the rights of that user, however deep it lies. */
static uint32_t
aliases_owner(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_uid : 0;
}

/* Aliases may name more files: ":include:/path". */
static void
files_included(struct files *f, const char *path, uint32_t owner, int deep)
{
	int           fd = deep >= INCLUDES_DEEP ? -1
	                   : deep == 0           ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
	                                         : tables_open_included(path);
	struct buffer text = { 0 };
	struct bytes  rest;
	ptrdiff_t     at;
	char          named[PATH_MAX], name[PATH_MAX + 16], who[16] = "";

	if (fd < 0)
		return;
	if (deep == 0)
		owner = aliases_owner(fd);
	if (owner != 0)
		(void)snprintf(who, sizeof who, "%u", (unsigned)owner);
	if (deep == 0 || tables_may_include(fd))
		(void)file_read(fd, INCLUDED_MOST, &text);
	(void)close(fd);
	rest = buffer_bytes(&text);
	while ((at = bytes_search_nocase(rest, BYTES(":include:"))) >= 0 &&
	       f->included < INCLUDED_FILES_MOST) {
		bool   quoted = at > 0 && rest.at[at - 1] == '"';
		size_t n = 0;

		rest = bytes_cut(rest, (size_t)at + strlen(":include:"), rest.len);
		while (rest.len > 0 && (rest.at[0] == ' ' || rest.at[0] == '\t'))
			rest = bytes_cut(rest, 1, rest.len);
		while (n < rest.len && strchr(quoted ? "\r\n\"" : " \t\r\n,\"", rest.at[n]) == NULL)
			n++;
		if (!bytes_string(bytes_cut(rest, 0, n), named, sizeof named) || named[0] != '/')
			continue;
		(void)snprintf(name, sizeof name, ":%s%s", who, named);
		f->included++;
		f->each(f->ctx, name, false);
		files_included(f, name, owner, deep + 1);
	}
	buffer_free(&text);
}

static void
aliases_file(void *ctx, const char *path, bool remote)
{
	struct files *f = ctx;

	f->each(f->ctx, path, remote);
	if (!remote)
		files_included(f, path, 0, 0);
}

static void
files_of(void *ctx, const struct table_named *named)
{
	struct files *f = ctx;

	if (named->is_file)
		f->each(f->ctx, named->name, false);
	else if (named->grammar == TABLE_ALIASES)
		table_files(named->name, f->default_type, aliases_file, f);
	else
		table_files(named->name, f->default_type, f->each, f->ctx);
}

/* Back ends of credentials have files, too. */
static void
files_of_backends(struct settings *s, struct files *f)
{
	struct common_settings    common;
	struct credential_backend b;

	if (!settings_fill(s, &common_setting_table, NULL, &common, NULL))
		return;
	for (size_t i = 0; i < common.auth_backends.count; i++)
		if (credential_backend_parse(common.auth_backends.item[i], &b) == NULL &&
		    (b.kind == CREDENTIAL_PASSWD_FILE || b.kind == CREDENTIAL_SQL ||
		     b.kind == CREDENTIAL_LDAP))
			f->each(f->ctx, b.argument, b.kind != CREDENTIAL_PASSWD_FILE);
	if (*common.auth_master_passwd_file != '\0')
		f->each(f->ctx, common.auth_master_passwd_file, false);
}

void
tables_files(struct settings *s, void (*each)(void *, const char *path, bool remote), void *ctx)
{
	struct files f = { tables_default_type(s), each, ctx, 0 };

	tables_named(s, files_of, &f);
	files_of_backends(s, &f);
}

struct sparing {
	const char *path, *default_type;
	bool        spared, wanted;
	bool        standard;
};

static void
spare_file(void *ctx, const char *path, bool remote)
{
	struct sparing *s = ctx;

	(void)remote;
	if (strcmp(path, s->path) != 0)
		return;
	s->spared = s->spared || s->standard;
	s->wanted = s->wanted || !s->standard;
}

static void
spare(void *ctx, const struct table_named *named)
{
	struct sparing *s = ctx;

	s->standard = named->standard;
	if (named->is_file)
		spare_file(s, named->name, false);
	else
		table_files(named->name, s->default_type, spare_file, s);
}

bool
tables_spares(struct settings *settings, const char *path)
{
	struct sparing s = { .path = path, .default_type = tables_default_type(settings) };

	tables_named(settings, spare, &s);
	return s.spared && !s.wanted;
}

bool
table_is_of_clients(const struct table_named *named)
{
	return (named->roles & FROM(RECEIVER)) != 0;
}

struct sharing {
	const char *path, *default_type;
	unsigned    found, roles;
};

static void
share_file(void *ctx, const char *path, bool remote)
{
	struct sharing *s = ctx;

	if (strcmp(path, s->path) == 0)
		s->roles |= remote ? FROM(PROXYMAP) : s->found;
}

static void
share(void *ctx, const struct table_named *named)
{
	struct sharing *s = ctx;

	s->found = named->roles;
	if (named->is_file)
		share_file(s, named->name, false);
	else
		table_files(named->name, s->default_type, share_file, s);
}

unsigned
tables_roles(struct settings *settings, const char *path)
{
	struct sharing s = { .path = path, .default_type = tables_default_type(settings) };

	tables_named(settings, share, &s);
	return s.roles;
}

bool
tables_secret(struct settings *settings, const char *path)
{
	struct srs_settings srs;

	if (!settings_fill(settings, &srs_setting_table, NULL, &srs, NULL))
		return false;
	for (size_t i = 0; i < srs.secrets.count; i++)
		if (strcmp(srs.secrets.item[i], path) == 0)
			return true;
	return false;
}

/*
 * Checking
 */

struct checking {
	struct table_source    source;
	struct settings       *settings;
	struct buffer         *errors, *warnings;
	const char            *name;  /* of the table being looked at */
	unsigned               nulls; /* complaints of what it does to the null sender */
	struct access_lines   *lines;
	bool                   good, missing, filters;
	struct common_settings common;
};

static void
look_for(void *ctx, const char *path, bool remote)
{
	struct checking *c = ctx;

	(void)remote;
	c->missing = c->missing || access(path, F_OK) < 0;
}

static bool
files_missing(struct checking *c, const char *name)
{
	c->missing = false;
	table_files(name, c->source.default_type, look_for, c);
	return c->missing;
}

/* What cannot be obeyed is said before mail waits for it. */
static void
check_action(void *ctx, struct bytes key, struct bytes value)
{
	struct checking *c = ctx;
	struct bytes     word;

	if (!bytes_split(&value, ' ', &word) || !bytes_equal(word, BYTES("FILTER")) ||
	    bytes_find(bytes_trim(value), ':') > 0)
		return;
	buffer_printf(c->errors,
	              "%s: %.*s: FILTER wants a transport and a destination, as FILTER "
	              "smtp:[127.0.0.1]:10025\n",
	              c->name, (int)key.len, key.at);
	c->filters = true;
}

static bool
is_refusal(struct bytes value)
{
	struct bytes word;

	if (!bytes_split(&value, ' ', &word) || word.len == 0)
		return false;
	return bytes_is(word, "REJECT") || bytes_is(word, "DISCARD") || bytes_is(word, "DEFER") ||
	       (word.len == 3 && (word.at[0] == '4' || word.at[0] == '5'));
}

/* rfc5321:4.5.5: notices come from nobody, and whoever refuses nobody hears of nothing that went wrong. */
static void
complain_of_null(struct checking *c, struct bytes value)
{
	const char *may = settings_value(c->settings, "allow_null_sender_refusal");
	bool        allowed = may != NULL && bytes_is(bytes_of(may), "yes");

	if (c->nulls++ > 0)
		return;
	buffer_printf(allowed ? c->warnings : c->errors,
	              "%s: <> %.*s: notices of other servers have no sender; where this table is "
	              "asked for senders nobody here hears that a letter came back%s\n",
	              c->name, (int)value.len, value.at,
	              allowed ? "" : "; if that is what you want: allow_null_sender_refusal = yes");
	c->good = c->good && allowed;
}

static void
check_null_sender(void *ctx, struct bytes key, struct bytes value)
{
	if (bytes_equal(key, BYTES("<>")) && is_refusal(value))
		complain_of_null(ctx, value);
}

/* Whether check_sender_access stands before this table in that list of rules. */
static bool
is_asked_for_senders(const struct checking *c, const struct table_named *named)
{
	const char  *value = settings_value(c->settings, named->setting);
	struct bytes rest = bytes_of(value), item, before = { NULL, 0 };

	while (value != NULL && rest.len > 0 && setting_item(&rest, &item)) {
		if (bytes_is(before, "check_sender_access") && bytes_is(item, named->name))
			return true;
		before = item;
	}
	return false;
}

/* Patterns cannot be listed, but asked. */
static void
ask_null_sender(struct checking *c, struct table *t, const struct table_named *named)
{
	const char   *key = settings_value(c->settings, "smtpd_null_access_lookup_key");
	struct arena *scratch = arena_open(NULL);
	struct bytes  value;

	if (key != NULL && *key != '\0' && !table_is_remote(named->name, c->source.default_type) &&
	    is_asked_for_senders(c, named) &&
	    table_find(t, bytes_of(key), scratch, &value) == TABLE_FOUND && is_refusal(value))
		complain_of_null(c, value);
	arena_close(&scratch);
}

static bool
has_actions(const struct table_named *named)
{
	static const char *const settings[] = { "virtual_mailbox_domains", "virtual_mailbox_maps" };

	for (size_t i = 0; i < COUNT(settings); i++)
		if (strcmp(named->setting, settings[i]) == 0)
			return true;
	return false;
}

unsigned
tables_alias_how(struct settings *s)
{
	const char  *may = settings_value(s, "allow_mail_to_commands");
	struct bytes rest = bytes_of(may != NULL ? may : ""), word;

	while (rest.len > 0 && setting_item(&rest, &word))
		if (bytes_is(word, "alias"))
			return 0;
	return TABLE_NO_COMMANDS;
}

static void
check_one(void *ctx, const struct table_named *named)
{
	struct checking *c = ctx;
	struct table    *t;
	bool             good;

	if (named->standard && files_missing(c, named->name))
		return;
	if (named->is_file) {
		int fd = c->source.open(c->source.ctx, named->name);
		good = fd >= 0;
		if (!good)
			buffer_printf(c->errors, "%s: %s\n", named->name, strerror(errno));
		else
			(void)close(fd);
	} else {
		struct table_source source = c->source;

		if (named->grammar == TABLE_ALIASES)
			source.how |= tables_alias_how(c->settings);
		if (access_lines_for(named)) {
			source.entry = access_lines_hear;
			source.entry_ctx = c->lines;
		}
		access_lines_begin(c->lines, named);
		t = table_open(named->name, named->grammar, &source, c->errors, c->warnings);
		c->name = named->name;
		c->filters = false;
		if (t != NULL && has_actions(named))
			(void)table_each(t, check_action, c);
		if (t != NULL && !table_is_remote(named->name, c->source.default_type))
			owner_check_table(&c->common, t, named->setting, c->warnings);
		c->nulls = 0;
		if (t != NULL && (named->roles & FROM(POLICY)) != 0) {
			(void)table_each(t, check_null_sender, c);
			ask_null_sender(c, t, named);
		}
		good = t != NULL && !c->filters;
		table_close(&t);
	}
	if (!good)
		settings_complain(c->settings, c->errors, named->setting,
		                  "%s = %s: this table cannot be used as it is", named->setting,
		                  named->name);
	c->good = c->good && good;
}

static struct passwdfile *
check_passwd_file(struct checking *c, const char *path)
{
	struct passwdfile *users = NULL;
	struct buffer      text = { 0 };
	int                fd = c->source.open(c->source.ctx, path);
	int                why = fd < 0 ? errno : file_read(fd, SIZE_MAX, &text);

	if (why != 0)
		buffer_printf(c->errors, "%s: %s\n", path, strerror(why));
	else
		users = passwdfile_open(buffer_bytes(&text), path, c->errors, c->warnings);
	if (fd >= 0)
		(void)close(fd);
	if (text.len > 0)
		explicit_bzero(text.at, text.len);
	buffer_free(&text);
	return users;
}

/* Nobody is connected to: it is about what the files say. */
static void
check_backend(struct checking *c, const struct credential_backend *b,
              const struct setting_list *mechanisms)
{
	struct credential_remote *r;
	struct passwdfile        *users;
	size_t                    before = c->errors->len;

	if (b->kind == CREDENTIAL_SQL || b->kind == CREDENTIAL_LDAP ||
	    b->kind == CREDENTIAL_DIRECTORY)
		sasl_check_users(mechanisms, b, NULL, c->errors, c->warnings);
	if (b->kind == CREDENTIAL_PASSWD_FILE) {
		if ((users = check_passwd_file(c, b->argument)) != NULL)
			sasl_check_users(mechanisms, b, users, c->errors, c->warnings);
		if (users != NULL)
			owner_check_users(&c->common, users, b->argument, c->warnings);
		passwdfile_close(&users);
	} else if (b->kind != CREDENTIAL_DIRECTORY && b->kind != CREDENTIAL_PAM) {
		r = credential_remote_open(b, &c->source, c->errors, c->warnings);
		credential_remote_close(&r);
	}
	if (c->errors->len > before) {
		settings_complain(c->settings, c->errors, "auth_backends",
		                  "auth_backends = %s: this back end cannot be used as it is",
		                  b->word);
		c->good = false;
	}
}

static void
check_backends(struct checking *c, struct settings *s)
{
	const struct setting_list *backends = &c->common.auth_backends;
	struct sasl_settings       sasl;
	struct credential_backend  b;

	if (!settings_fill(s, &sasl_setting_table, NULL, &sasl, NULL))
		return;
	for (size_t i = 0; i < backends->count; i++)
		if (credential_backend_parse(backends->item[i], &b) == NULL)
			check_backend(c, &b, &sasl.mechanisms);
	if (*c->common.auth_master_passwd_file == '/') {
		size_t             before = c->errors->len;
		struct passwdfile *users = check_passwd_file(c, c->common.auth_master_passwd_file);

		passwdfile_close(&users);
		c->good = c->good && c->errors->len == before;
	}
}

bool
tables_check(struct settings *s, struct buffer *errors, struct buffer *warnings)
{
	struct checking c = { .source = tables_source(s),
		              .settings = s,
		              .errors = errors,
		              .warnings = warnings,
		              .lines = access_lines_open(s, warnings),
		              .good = true };

	if (!settings_fill(s, &common_setting_table, NULL, &c.common, errors)) {
		access_lines_close(&c.lines);
		return false;
	}
	tables_named(s, check_one, &c);
	access_lines_close(&c.lines);
	check_backends(&c, s);
	return c.good;
}

/*
 * Files of a role
 */

static int
open_resource(void *ctx, const char *path)
{
	struct arena *scratch = arena_open(NULL);
	int           fd = house_resource(ctx, arena_printf(scratch, "table/%s", path));

	arena_close(&scratch);
	if (fd < 0) {
		errno = ENOENT;
		return -1;
	}
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

struct table_source
house_table_source(struct house *h)
{
	return (struct table_source){ .open = open_resource,
		                      .ctx = h,
		                      .default_type = tables_default_type(h->settings) };
}

/* "/file" among the patterns: the words in it stand in its place. */
static void
put_file(struct house *h, struct arena *a, const char *path, bool no, struct buffer *out)
{
	struct buffer b = { 0 };
	struct bytes  text, line, word;
	const char   *item;

	if (house_resource_read(h, arena_printf(a, "table/%s", path), &b) != 0)
		warn_("%s: cannot be read; nothing that is in it is known", path);
	text = buffer_bytes(&b);
	while (bytes_split(&text, '\n', &line)) {
		if (bytes_starts(bytes_trim(line), BYTES("#")))
			continue;
		for (size_t i = 0; i < line.len;) {
			size_t n = 0;

			while (i + n < line.len && strchr(" \t,\r", line.at[i + n]) == NULL)
				n++;
			word = bytes_cut(line, i, n);
			i += n + 1;
			if (n == 0)
				continue;
			item = arena_printf(a, "%s%.*s", no ? "!" : "", (int)word.len, word.at);
			buffer_add(out, (struct bytes){ (const char *)&item, sizeof item });
		}
	}
	buffer_free(&b);
}

void
tables_patterns(struct house *h, struct arena *a, struct setting_list *list)
{
	struct buffer b = { 0 };

	for (size_t i = 0; i < list->count; i++) {
		const char *item = list->item[i];
		bool        no = item[0] == '!';

		if (item[no] == '/')
			put_file(h, a, item + no, no, &b);
		else
			buffer_add(&b, (struct bytes){ (const char *)&item, sizeof item });
	}
	list->count = b.len / sizeof(const char *);
	list->item = (const char *const *)arena_keep(a, buffer_bytes(&b)).at;
	buffer_free(&b);
}
