#include "command/doveadm-names.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "command/client.h"
#include "command/keepers.h"
#include "command/lookup.h"
#include "directory/credential-remote.h"
#include "directory/directory.h"
#include "directory/passwdfile.h"
#include "message/casefold.h"
#include "role/settings.h"
#include "role/tables.h"

enum { LISTING_FAILED = 75 };

struct names {
	struct call           *call;
	struct arena          *life;
	const char            *mask;
	struct map            *seen;
	struct common_settings common;
	int                    status;
};

/* "jack" is jack of the origin. */
static void
add(void *ctx, struct bytes user)
{
	struct names *n = ctx;
	struct bytes  whole = user;
	const char   *name = arena_copy(n->life, user);

	if (user.len == 0 || !mask_fits(n->mask, name))
		return;
	if (bytes_find(user, '@') < 0)
		whole = bytes_of(arena_printf(n->life, "%s@%s", name, n->common.myorigin));
	if (map_put(n->seen, casefold(n->life, whole), n) == NULL)
		(void)printf("%s\n", name);
}

static void
add_accounts(struct names *n)
{
	struct people people;
	int           status = client_people_if_any(n->call, n->mask, &people);

	for (size_t i = 0; i < people.count; i++)
		add(n, bytes_of(people.one[i].user));
	people_close(&people);
	if (status != COMMAND_DONE && status != COMMAND_NO_USER)
		n->status = status;
}

static void
add_line(void *ctx, int line, struct bytes user, struct bytes fields)
{
	(void)line;
	(void)fields;
	add(ctx, user);
}

static void
failed(struct names *n, const char *backend, struct bytes why)
{
	why = bytes_trim(why);
	(void)fflush(stdout);
	(void)fprintf(stderr, "doveadm: Error: %s: user listing failed: %.*s\n", backend,
	              (int)why.len, why.at);
	n->status = LISTING_FAILED;
}

static void
add_passwd_file(struct names *n, const struct credential_backend *b)
{
	struct buffer      text = { 0 }, errors = { 0 }, warnings = { 0 };
	struct passwdfile *file = NULL;

	if (!command_read(b->argument, &text))
		buffer_add_string(&errors, "it cannot be read");
	else
		file = passwdfile_open(buffer_bytes(&text), b->argument, &errors, &warnings);
	if (file != NULL)
		passwdfile_each(file, add_line, n);
	else
		failed(n, b->word, buffer_bytes(&errors));
	passwdfile_close(&file);
	if (text.len > 0)
		explicit_bzero(text.at, text.len);
	buffer_free(&text);
	buffer_free(&errors);
	buffer_free(&warnings);
}

/* Those who could have a mailbox. */
static void
add_system(struct names *n)
{
	const struct passwd *user;

	setpwent();
	while ((user = getpwent()) != NULL)
		if ((int64_t)user->pw_uid >= n->common.first_valid_uid &&
		    user->pw_uid < DIRECTORY_SYSTEM_UIDS)
			add(n, bytes_of(user->pw_name));
	endpwent();
}

static void
add_remote(struct names *n, const struct credential_backend *b, const struct table_source *source)
{
	struct buffer             errors = { 0 }, warnings = { 0 };
	struct credential_remote *r = credential_remote_open(b, source, &errors, &warnings);
	const char               *why = "";

	if (r == NULL)
		failed(n, b->word, buffer_bytes(&errors));
	else if (credential_remote_each(r, add, n, n->life, &why) == TABLE_LATER)
		failed(n, b->word, bytes_of(why));
	credential_remote_close(&r);
	buffer_free(&errors);
	buffer_free(&warnings);
}

static void
add_backend(struct names *n, const char *word, const struct table_source *source)
{
	struct credential_backend b;

	if (credential_backend_parse(word, &b) != NULL)
		return; /* the check of settings says so */
	switch (b.kind) {
	case CREDENTIAL_PASSWD_FILE: add_passwd_file(n, &b); break;
	case CREDENTIAL_PAM: add_system(n); break;
	case CREDENTIAL_SQL:
	case CREDENTIAL_LDAP: add_remote(n, &b, source); break;
	default: break;
	}
}

int
names_print(struct call *c, const char *mask)
{
	struct names n = { .call = c, .life = arena_open(NULL), .mask = mask, .seen = map_open() };
	struct settings    *s = lookup_settings(c);
	struct table_source source;

	n.common.myorigin = "";
	if (s == NULL || !settings_fill(s, &common_setting_table, NULL, &n.common, NULL))
		n.status = COMMAND_FAILED;
	add_accounts(&n);
	if (n.status != COMMAND_FAILED) {
		source = tables_source(s);
		for (size_t i = 0; i < n.common.auth_backends.count; i++)
			add_backend(&n, n.common.auth_backends.item[i], &source);
	}
	settings_close(&s);
	map_close(&n.seen);
	arena_close(&n.life);
	return n.status;
}
