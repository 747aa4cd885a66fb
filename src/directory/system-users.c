/* system-users.c -- accounts that are operating-system users, and what is said of those users themselves (directory.h) */
#include "base/clock.h"
#include "directory/inside.h"

#include <string.h>

enum directory_outcome
directory_account_bind(struct directory *d, struct bytes address, uint32_t uid)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;
	sqlite3_stmt          *s;

	if (directory_key(address, NULL, a, &k)) {
		s = directory_query(d, uid != 0 ? BIND_PUT : BIND_DELETE, k.local, k.domain);
		if (uid != 0)
			sqlite3_bind_int64(s, 3, uid);
		o = directory_change(d, s, uid != 0 ? DIRECTORY_NONE : DIRECTORY_OK);
	}
	arena_close(&a);
	return o;
}

/* ---- of the users themselves ---- */

/* The name points into the statement. */
static struct system_row
row_in(sqlite3_stmt *s)
{
	return (struct system_row){
		.uid = (uint32_t)sqlite3_column_int64(s, 0),
		.name = (const char *)sqlite3_column_text(s, 1),
		.made = sqlite3_column_int64(s, 2),
		.enabled = sqlite3_column_int(s, 3) != 0,
		.gone = sqlite3_column_int64(s, 4),
		.bytes = sqlite3_column_int64(s, 5),
		.messages = sqlite3_column_int64(s, 6),
	};
}

static enum directory_outcome
row_found(struct directory *d, sqlite3_stmt *s, struct arena *a, struct system_row *out)
{
	enum directory_outcome o = directory_row(d, s);

	if (o == DIRECTORY_OK) {
		*out = row_in(s);
		out->name = arena_copy(a, bytes_of(out->name));
	}
	sqlite3_reset(s);
	return o;
}

enum directory_outcome
directory_system_find(struct directory *d, struct bytes name, struct arena *a,
                      struct system_row *out)
{
	return row_found(d, directory_query(d, SYSTEM_FIND, name, BYTES("")), a, out);
}

enum directory_outcome
directory_system_of(struct directory *d, uint32_t uid, struct arena *a, struct system_row *out)
{
	sqlite3_stmt *s = directory_query(d, SYSTEM_OF, BYTES(""), BYTES(""));

	sqlite3_bind_int64(s, 1, uid);
	return row_found(d, s, a, out);
}

enum directory_outcome
directory_system_put(struct directory *d, const char *name, uint32_t uid)
{
	struct arena          *a = arena_open(NULL);
	struct bytes           key = bytes_of(name);
	struct system_row      is;
	sqlite3_stmt          *s = directory_query(d, SYSTEM_PUT, key, BYTES(""));
	enum directory_outcome o;

	sqlite3_bind_int64(s, 2, uid);
	sqlite3_bind_int64(s, 3, clock_wall());
	o = directory_change(d, s, DIRECTORY_EXISTS);
	if (o == DIRECTORY_EXISTS && (o = directory_system_find(d, key, a, &is)) != DIRECTORY_LATER)
		o = o == DIRECTORY_OK && is.uid == uid && is.gone == 0 ? DIRECTORY_OK
		                                                       : DIRECTORY_EXISTS;
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_system_each(struct directory *d, void (*each)(void *, const struct system_row *),
                      void             *ctx)
{
	sqlite3_stmt          *s = d->ready[SYSTEM_EACH];
	enum directory_outcome o;

	sqlite3_reset(s);
	while ((o = directory_row(d, s)) == DIRECTORY_OK) {
		struct system_row row = row_in(s);
		each(ctx, &row);
	}
	sqlite3_reset(s);
	return o == DIRECTORY_NONE ? DIRECTORY_OK : o;
}

enum directory_outcome
directory_system_delete(struct directory *d, const char *name)
{
	return directory_change(d, directory_query(d, SYSTEM_DELETE, bytes_of(name), BYTES("")),
	                        DIRECTORY_NONE);
}

enum directory_outcome
directory_system_enable(struct directory *d, const char *name, bool yes)
{
	sqlite3_stmt *s = directory_query(d, SYSTEM_ENABLE, bytes_of(name), BYTES(""));

	sqlite3_bind_int(s, 2, yes);
	return directory_change(d, s, DIRECTORY_NONE);
}

enum directory_outcome
directory_system_limits(struct directory *d, const char *name, const int64_t *bytes,
                        const int64_t *messages)
{
	sqlite3_stmt  *s = directory_query(d, SYSTEM_LIMITS, bytes_of(name), BYTES(""));
	const int64_t *limit[] = { bytes, messages };

	for (int i = 0; i < 2; i++)
		if (limit[i] != NULL)
			sqlite3_bind_int64(s, 2 + i, *limit[i]);
		else
			sqlite3_bind_null(s, 2 + i);
	return directory_change(d, s, DIRECTORY_NONE);
}

enum directory_outcome
directory_system_is_gone(struct directory *d, uint32_t uid, int64_t at)
{
	sqlite3_stmt *s = directory_query(d, SYSTEM_GONE, BYTES(""), BYTES(""));

	sqlite3_bind_int64(s, 1, uid);
	sqlite3_bind_int64(s, 2, at);
	return directory_change(d, s, DIRECTORY_NONE);
}

enum directory_outcome
directory_system_is(struct directory *d, const char *was, const char *name, uint32_t uid)
{
	sqlite3_stmt *s = directory_query(d, SYSTEM_IS, bytes_of(was), bytes_of(name));

	sqlite3_bind_int64(s, 3, uid);
	return directory_change(d, s, DIRECTORY_EXISTS);
}
