/* people.c -- how much accounts may hold and where, and who belongs to which group (directory.h) */
#include "directory/inside.h"
#include "message/domain.h"

#include <string.h>

static void
bind_number(sqlite3_stmt *s, int at, const int64_t *n)
{
	if (n != NULL)
		sqlite3_bind_int64(s, at, *n);
	else
		sqlite3_bind_null(s, at);
}

/* One that cannot be a domain is none of them. */
static struct bytes
domain_of(struct arena *a, struct bytes typed)
{
	struct bytes name;

	(void)domain_canonical(typed, a, &name);
	return name;
}

enum directory_outcome
directory_limits_set(struct directory *d, struct bytes name, const int64_t *bytes,
                     const int64_t *messages, const char *location)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;
	sqlite3_stmt          *s = NULL;

	if (bytes_find(name, '@') < 0)
		s = directory_query(d, LIMITS_DOMAIN, domain_of(a, name), BYTES(""));
	else if (directory_key(name, NULL, a, &k))
		s = directory_query(d, LIMITS_ACCOUNT, k.local, k.domain);
	if (s != NULL) {
		bind_number(s, 3, bytes);
		bind_number(s, 4, messages);
		if (location != NULL)
			sqlite3_bind_text(s, 5, location, -1, SQLITE_STATIC);
		else
			sqlite3_bind_null(s, 5);
		o = directory_change(d, s, DIRECTORY_NONE);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_limits_each(struct directory *d, struct bytes                      only,
                      void (*each)(void *, const struct limits_row *), void *ctx)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o, found = DIRECTORY_NONE;
	struct directory_key   k;
	sqlite3_stmt          *s;

	/* One account of very many is found by its name. */
	if (bytes_find(only, '@') >= 0 && directory_key(only, NULL, a, &k))
		s = directory_query(d, LIMITS_ONE, k.local, k.domain);
	else
		s = directory_query(d, LIMITS_EACH, domain_of(a, only), BYTES(""));
	while ((o = directory_row(d, s)) == DIRECTORY_OK) {
		struct limits_row row = { (uint64_t)sqlite3_column_int64(s, 0),
			                  (const char *)sqlite3_column_text(s, 1),
			                  sqlite3_column_int64(s, 2), sqlite3_column_int64(s, 3),
			                  (const char *)sqlite3_column_text(s, 4) };
		each(ctx, &row);
		found = DIRECTORY_OK;
	}
	sqlite3_reset(s);
	arena_close(&a);
	return o == DIRECTORY_LATER ? o : found;
}

enum directory_outcome
directory_limit_of(struct directory *d, struct bytes address, int64_t *bytes)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;

	*bytes = -1;
	if (directory_key(address, NULL, a, &k)) {
		sqlite3_stmt *s = directory_query(d, LIMIT_OF, k.local, k.domain);
		if ((o = directory_row(d, s)) == DIRECTORY_OK)
			*bytes = sqlite3_column_int64(s, 0);
		sqlite3_reset(s);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_limits_said(struct directory *d, struct bytes address, int64_t *bytes, int64_t *messages)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;

	*bytes = *messages = -1;
	if (directory_key(address, NULL, a, &k)) {
		sqlite3_stmt *s = directory_query(d, SAID_GET, k.local, k.domain);
		o = directory_row(d, s);
		if (o == DIRECTORY_OK) {
			*bytes = sqlite3_column_int64(s, 0);
			*messages = sqlite3_column_int64(s, 1);
		}
		sqlite3_reset(s);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_limits_say(struct directory *d, struct bytes address, int64_t bytes, int64_t messages)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;

	if (directory_key(address, NULL, a, &k)) {
		sqlite3_stmt *s = directory_query(d, SAID_PUT, k.local, k.domain);
		sqlite3_bind_int64(s, 3, bytes);
		sqlite3_bind_int64(s, 4, messages);
		o = directory_change(d, s, DIRECTORY_NONE);
	}
	arena_close(&a);
	return o;
}

/* ---- groups ---- */

enum directory_outcome
directory_group_add(struct directory *d, struct bytes address, const struct mail_owner *owner,
                    uint64_t *id)
{
	/* No password has this hash. */
	const struct credential nobody = { .hash = "!",
		                           .scram_salt = "",
		                           .scram_stored = "",
		                           .scram_server = "",
		                           .owner = owner };
	struct arena           *a = arena_open(NULL);
	enum directory_outcome  o = directory_account_add(d, address, &nobody, false, id);
	struct directory_key    k;

	if (o == DIRECTORY_OK && directory_key(address, NULL, a, &k))
		o = directory_change(d, directory_query(d, GROUP_MAKE, k.local, k.domain),
		                     DIRECTORY_NONE);
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_group_member(struct directory *d, struct bytes address, struct bytes member, bool yes)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k, m;
	sqlite3_stmt          *s;
	int64_t                id;

	/* Mailboxes are shared within one domain (role/house.h). */
	if (!directory_key(address, NULL, a, &k) || !directory_key(member, NULL, a, &m) ||
	    !bytes_equal(k.domain, m.domain))
		goto out;
	s = directory_query(d, GROUP_FIND, k.local, k.domain);
	o = directory_row(d, s);
	id = o == DIRECTORY_OK ? sqlite3_column_int64(s, 0) : 0;
	sqlite3_reset(s);
	if (o == DIRECTORY_OK) {
		struct bytes text =
			bytes_of(arena_printf(a, "%.*s@%.*s", (int)m.local.len, m.local.at,
		                              (int)m.domain.len, m.domain.at));
		s = directory_query(d, yes ? MEMBER_ADD : MEMBER_DELETE, BYTES(""), text);
		sqlite3_bind_int64(s, 1, id);
		o = directory_change(d, s, yes ? DIRECTORY_EXISTS : DIRECTORY_NONE);
	}
out:
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_group_each(struct directory *d, struct bytes                     only,
                     void (*each)(void *, const struct group_row *), void *ctx)
{
	struct arena          *a = arena_open(NULL);
	sqlite3_stmt          *s = directory_query(d, GROUP_EACH, arena_lower(a, only), BYTES(""));
	enum directory_outcome o, found = DIRECTORY_NONE;

	while ((o = directory_row(d, s)) == DIRECTORY_OK) {
		struct group_row row = { (uint64_t)sqlite3_column_int64(s, 0),
			                 (const char *)sqlite3_column_text(s, 1),
			                 (const char *)sqlite3_column_text(s, 2) };
		each(ctx, &row);
		found = DIRECTORY_OK;
	}
	sqlite3_reset(s);
	arena_close(&a);
	return o == DIRECTORY_LATER ? o : found;
}
