/* proofs.c -- what is kept of an account beside its password: SCRAM's verifier with SHA-1, one-time passwords
   (directory.h) */
#include "directory/inside.h"

#include <string.h>

enum directory_outcome
directory_scram_sha1_set(struct directory *d, struct bytes address, const char *verifier)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;

	if (directory_key(address, NULL, a, &k)) {
		sqlite3_stmt *s = directory_query(d, SHA1_PUT, k.local, k.domain);
		sqlite3_bind_text(s, 3, verifier, -1, SQLITE_STATIC);
		o = directory_change(d, s, DIRECTORY_NONE);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_scram_sha1(struct directory *d, struct bytes user, const char *origin, struct arena *a,
                     const char **verifier)
{
	struct directory_key   k;
	enum directory_outcome o;
	sqlite3_stmt          *s;

	if (!directory_key(user, origin, a, &k))
		return DIRECTORY_BAD;
	s = directory_query(d, SHA1_GET, k.local, k.domain);
	o = directory_row(d, s);
	if (o == DIRECTORY_OK)
		*verifier = arena_copy(a, directory_column(s, 0));
	sqlite3_reset(s);
	return o;
}

bool
directory_mute(struct directory *d, bool sha1)
{
	sqlite3_stmt *s = directory_query(d, sha1 ? MUTE_SHA1 : MUTE_SHA256, BYTES(""), BYTES(""));
	bool          mute = directory_row(d, s) != DIRECTORY_OK || sqlite3_column_int(s, 0) != 0;

	sqlite3_reset(s);
	return mute;
}

/* ---- one-time passwords ---- */

static void
bind_one_time(sqlite3_stmt *s, const struct one_time *t)
{
	sqlite3_bind_text(s, 3, t->algorithm, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 4, t->seed, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 5, t->sequence);
	sqlite3_bind_blob(s, 6, t->last, sizeof t->last, SQLITE_STATIC);
}

enum directory_outcome
directory_one_time_set(struct directory *d, struct bytes address, const struct one_time *t)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;

	if (directory_key(address, NULL, a, &k)) {
		sqlite3_stmt *s = directory_query(d, t != NULL ? ONE_TIME_PUT : ONE_TIME_DELETE,
		                                  k.local, k.domain);
		if (t != NULL)
			bind_one_time(s, t);
		o = directory_change(d, s, DIRECTORY_NONE);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_one_time(struct directory *d, struct bytes user, const char *origin, struct arena *a,
                   struct one_time *out)
{
	struct directory_key   k;
	enum directory_outcome o;
	struct bytes           last;
	sqlite3_stmt          *s;

	if (!directory_key(user, origin, a, &k))
		return DIRECTORY_BAD;
	s = directory_query(d, ONE_TIME_GET, k.local, k.domain);
	o = directory_row(d, s);
	if (o == DIRECTORY_OK) {
		*out = (struct one_time){ .algorithm = arena_copy(a, directory_column(s, 0)),
			                  .seed = arena_copy(a, directory_column(s, 1)),
			                  .sequence = (uint32_t)sqlite3_column_int64(s, 2) };
		last = directory_column(s, 3);
		if (last.len == sizeof out->last)
			memcpy(out->last, last.at, sizeof out->last);
		else
			o = DIRECTORY_NONE;
	}
	sqlite3_reset(s);
	return o;
}

enum directory_outcome
directory_one_time_use(struct directory *d, struct bytes user, const char *origin,
                       const struct one_time *was, const struct one_time *next)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;

	if (directory_key(user, origin, a, &k)) {
		sqlite3_stmt *s = directory_query(d, ONE_TIME_USE, k.local, k.domain);
		bind_one_time(s, next);
		sqlite3_bind_int64(s, 7, was->sequence);
		sqlite3_bind_blob(s, 8, was->last, sizeof was->last, SQLITE_STATIC);
		o = directory_change(d, s, DIRECTORY_NONE);
	}
	arena_close(&a);
	return o;
}
