#include "role/tables-ask.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/map.h"
#include "directory/credential-remote.h"
#include "role/settings.h"
#include "role/tables.h"

enum { PATIENCE_MS = 30000 };

/* It has labels enough for %9, and nobody has it. */
#define NOBODY "a.b.c.d.e.f.g.h.invalid"

struct asking {
	struct settings    *settings;
	const char         *file; /* main.cf */
	struct table_source source;
	struct map         *seen;
	struct arena       *life;
	struct buffer      *errors, *warnings;
	int64_t             until_ms;
	bool                good;
	const char *cf; /* of the table: the first file another server is asked by, NULL none */
	struct settings *in_cf; /* what stands there, NULL none */
	bool             users; /* it was asked whether there is a user, not for a password */
};

/* ---- where it comes from ---- */

/* What servers and their libraries say when they do not want what we say, and the settings that say it, the likeliest first. */
static const struct {
	const char *words, *settings[6];
} faults[] = {
	{ "password authentication failed", { "password", "user", "connect" } },
	{ "no password supplied", { "password", "connect" } },
	{ "to database '", { "dbname", "connect", "user" } },
	{ "Access denied", { "password", "user", "connect" } },
	{ "Invalid credentials", { "bind_pw", "bind_dn", "dnpass", "dn" } },
	{ "Inappropriate authentication", { "bind_pw", "bind_dn", "dnpass", "dn" } },
	{ "Insufficient access", { "bind_dn", "dn", "search_base", "base" } },
	{ "No such object", { "search_base", "base" } },
	{ "Invalid DN", { "search_base", "base", "bind_dn", "dn" } },
	{ "Bad search filter", { "query_filter", "pass_filter", "user_filter" } },
	{ "role \"", { "user", "connect" } },
	{ "Unknown database", { "dbname", "connect" } },
	{ "database \"", { "dbname", "connect" } },
	{ "permission denied for", { "query", "password_query", "user", "table", "connect" } },
	{ "command denied", { "query", "password_query", "user", "table", "connect" } },
	{ "relation \"", { "query", "password_query", "user_query", "table" } },
	{ "column", { "query", "password_query", "user_query", "select_field", "where_field" } },
	{ "no such table", { "query", "password_query", "user_query", "table" } },
	{ "function", { "query", "password_query", "user_query", "select_function" } },
	{ "syntax", { "query", "password_query", "user_query", "additional_conditions" } },
	{ "doesn't exist", { "query", "password_query", "user_query", "table" } },
};
/* Of a server that is not there, or does not answer. */
static const char *const hosts[] = { "hosts", "server_host", "uris", "dbpath", "connect" };

/* A file, or "ldap:accounts", whose lines are those of main.cf. */
static void
cf_open(struct asking *a, const char *path)
{
	struct buffer text = { 0 }, unheard = { 0 };
	int           fd = a->source.open(a->source.ctx, path);
	int           why = fd < 0 ? ENOENT : file_read(fd, REMOTE_CF_MOST, &text);

	if (fd >= 0)
		(void)close(fd);
	a->cf = arena_copy(a->life, bytes_of(path));
	if (why == 0)
		a->in_cf = settings_read(buffer_bytes(&text), path, &unheard, &unheard);
	if (text.len > 0)
		explicit_bzero(text.at, text.len);
	buffer_free(&text);
	buffer_free(&unheard);
}

static void
cf_close(struct asking *a)
{
	settings_close(&a->in_cf);
	a->cf = NULL;
}

/* The line of the first of these that stands there; 0: none does. */
static int
line_of(const struct asking *a, const char *const *names, size_t count)
{
	int line = 0;

	for (size_t i = 0; a->in_cf != NULL && line == 0 && i < count && names[i] != NULL; i++)
		if (strcmp(names[i], "password_query") == 0 && a->users)
			line = settings_line(a->in_cf, "user_query");
		else if (strcmp(names[i], "pass_filter") == 0 && a->users)
			line = settings_line(a->in_cf, "user_filter");
		else
			line = settings_line(a->in_cf, names[i]);
	return line;
}

static void
tell(struct asking *a, const char *setting, const char *name, const char *why)
{
	const char        *file = a->cf != NULL && a->cf[0] == '/' ? a->cf : a->file;
	const char *const *names = hosts;
	size_t             count = COUNT(hosts);
	struct buffer     *to = a->warnings;
	int                line;

	for (size_t i = 0; i < COUNT(faults) && names == hosts; i++)
		if (strstr(why, faults[i].words) != NULL) {
			names = faults[i].settings;
			count = COUNT(faults[i].settings);
			to = a->errors;
			a->good = false;
		}
	if ((line = line_of(a, names, count)) == 0 && file == a->file)
		line = settings_line(a->settings, setting);
	buffer_printf(to, line > 0 ? "%s:%d: " : "%s: ", file, line);
	buffer_printf(to, "%s = %s: %s\n", setting, name, why);
}

/* ---- asking ---- */

static bool
is_time(struct asking *a, const char *setting, const char *name)
{
	if (map_put(a->seen, bytes_of(name), a) != NULL)
		return false;
	if (clock_patient_ms() < a->until_ms)
		return true;
	buffer_printf(a->warnings,
	              "%s = %s: not asked whether it answers: the others took too long\n", setting,
	              name);
	return false;
}

static void
hear_file(void *ctx, const char *path, bool remote)
{
	struct asking *a = ctx;

	if (remote && a->cf == NULL)
		cf_open(a, path);
}

/* Where it is asked for some domains alone, the first of them. */
static struct bytes
key_of(struct asking *a)
{
	const char  *value = a->in_cf != NULL ? settings_value(a->in_cf, "domain") : NULL;
	struct bytes rest = bytes_of(value != NULL ? value : ""), word;

	if (setting_item(&rest, &word) && strpbrk(arena_copy(a->life, word), "/:!$") == NULL)
		return bytes_of(arena_printf(a->life, "config-check@%.*s", (int)word.len, word.at));
	return BYTES("config-check@" NOBODY);
}

static void
ask_table(void *ctx, const struct table_named *named)
{
	struct asking *a = ctx;
	struct buffer  unheard = { 0 };
	struct bytes   said;
	struct table  *t;

	if (named->is_file || !table_is_remote(named->name, a->source.default_type) ||
	    !is_time(a, named->setting, named->name))
		return;
	table_files(named->name, a->source.default_type, hear_file, a);
	t = table_open(named->name, named->grammar, &a->source, &unheard, &unheard);
	if (t != NULL && table_find(t, key_of(a), a->life, &said) == TABLE_LATER)
		tell(a, named->setting, named->name,
		     said.len > 0 ? arena_copy(a->life, said) : "it does not answer");
	table_close(&t);
	cf_close(a);
	buffer_free(&unheard);
}

/* As at a login, and as mail for a user is. */
static void
ask_backend(struct asking *a, const struct credential_backend *b)
{
	static const enum credential_mode modes[] = { CREDENTIAL_SECRET, CREDENTIAL_USER,
		                                      CREDENTIAL_PING };
	struct buffer                     unheard = { 0 };
	struct credential_answer          said = { .outcome = CREDENTIAL_NOBODY };
	struct credential_remote         *r =
                is_time(a, "auth_backends", b->word)
				? credential_remote_open(b, &a->source, &unheard, &unheard)
				: NULL;

	if (b->kind == CREDENTIAL_SQL || b->kind == CREDENTIAL_LDAP)
		cf_open(a, b->argument);
	for (size_t i = 0; r != NULL && i < COUNT(modes) && said.outcome != CREDENTIAL_LATER; i++) {
		a->users = modes[i] != CREDENTIAL_SECRET;
		credential_remote_ask(r,
		                      &(struct credential_question){
					      .mode = modes[i],
					      .service = "smtp",
					      .remote = "",
					      .user = BYTES("config-check@" NOBODY),
					      .patience_ms = 5000 },
		                      a->life, &said);
		if (said.outcome == CREDENTIAL_LATER)
			tell(a, "auth_backends", b->word,
			     said.why != NULL && *said.why != '\0' ? said.why
			                                           : "it does not answer");
	}
	credential_remote_close(&r);
	cf_close(a);
	buffer_free(&unheard);
}

bool
tables_ask(struct settings *s, const char *file, struct buffer *errors, struct buffer *warnings)
{
	struct asking             a = { .settings = s,
		                        .file = file,
		                        .source = tables_source(s),
		                        .seen = map_open(),
		                        .life = arena_open(NULL),
		                        .errors = errors,
		                        .warnings = warnings,
		                        .until_ms = clock_patient_ms() + PATIENCE_MS,
		                        .good = true };
	struct common_settings    common;
	struct credential_backend b;

	tables_named(s, ask_table, &a);
	if (settings_fill(s, &common_setting_table, NULL, &common, NULL))
		for (size_t i = 0; i < common.auth_backends.count; i++)
			if (credential_backend_parse(common.auth_backends.item[i], &b) == NULL &&
			    b.kind != CREDENTIAL_DIRECTORY && b.kind != CREDENTIAL_PAM &&
			    b.kind != CREDENTIAL_PASSWD_FILE)
				ask_backend(&a, &b);
	map_close(&a.seen);
	arena_close(&a.life);
	return a.good;
}
