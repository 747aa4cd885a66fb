/* accounts.c -- the accounts of the directory: who there is, with which password, and who is gone */
#include "base/clock.h"
#include "directory/inside.h"
#include "message/address.h"
#include "message/domain.h"

static void
bind_credential(sqlite3_stmt *s, const struct credential *c)
{
	directory_bind(s, 3, bytes_of(c->hash));
	sqlite3_bind_int64(s, 4, c->scram_iterations);
	directory_bind(s, 5, bytes_of(c->scram_salt));
	directory_bind(s, 6, bytes_of(c->scram_stored));
	directory_bind(s, 7, bytes_of(c->scram_server));
}

enum directory_outcome
directory_lives(struct directory *d, const struct directory_key *k, uint64_t *id)
{
	sqlite3_stmt          *s = directory_query(d, ACCOUNT_LIVES, k->local, k->domain);
	enum directory_outcome o = directory_row(d, s);

	if (o == DIRECTORY_OK)
		*id = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return o;
}

enum directory_outcome
directory_account_add(struct directory *d, struct bytes address, const struct credential *c,
                      bool with_domain, uint64_t *id)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	sqlite3_stmt          *s;
	struct directory_key   k;

	if (!directory_key_to_keep(address, NULL, a, &k))
		goto out;
	if (!directory_simply(d, BEGIN)) {
		o = DIRECTORY_LATER;
		goto out;
	}
	s = directory_query(d, DOMAIN_HAS, k.domain, BYTES(""));
	o = directory_row(d, s);
	sqlite3_reset(s);
	if (o == DIRECTORY_NONE)
		o = with_domain ? directory_domain_add(d, k.domain) : DIRECTORY_FOREIGN;
	if (o == DIRECTORY_OK) {
		s = directory_query(d, ACCOUNT_ADD, k.local, k.domain);
		bind_credential(s, c);
		sqlite3_bind_int64(s, 8, clock_wall());
		o = directory_change(d, s, DIRECTORY_EXISTS);
	}
	if (o == DIRECTORY_OK)
		*id = (uint64_t)sqlite3_last_insert_rowid(d->db);
	if (o == DIRECTORY_OK && c->owner != NULL &&
	    (o = directory_own(d, &k, c->owner)) == DIRECTORY_OK)
		o = directory_lives(d, &k, id);
	o = directory_change_end(d, o);
out:
	arena_close(&a);
	return o;
}

/* Its id is never used again, and is remembered until the keepers have heard of it. */
static enum directory_outcome
account_gone(struct directory *d, const struct directory_key *k, uint64_t id)
{
	enum directory_outcome o =
		directory_change(d, directory_query(d, ACCOUNT_DELETE, k->local, k->domain),
	                         DIRECTORY_NONE);

	if (o == DIRECTORY_OK) {
		sqlite3_stmt *s = d->ready[GONE_ADD];

		sqlite3_reset(s);
		sqlite3_bind_int64(s, 1, (sqlite3_int64)id);
		sqlite3_bind_int64(s, 2, clock_wall());
		o = directory_change(d, s, DIRECTORY_OK);
	}
	return o;
}

enum directory_outcome
directory_account_delete(struct directory *d, struct bytes address, uint64_t *id)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;

	if (directory_key(address, NULL, a, &k)) {
		o = directory_lives(d, &k, id);
		if (o == DIRECTORY_OK)
			o = directory_simply(d, BEGIN)
			            ? directory_change_end(d, account_gone(d, &k, *id))
			            : DIRECTORY_LATER;
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_gone_each(struct directory *d, void (*each)(void *, const struct gone_row *), void *ctx)
{
	sqlite3_stmt          *s = directory_query(d, GONE_EACH, BYTES(""), BYTES(""));
	enum directory_outcome o;

	while ((o = directory_row(d, s)) == DIRECTORY_OK) {
		struct gone_row row = { (uint64_t)sqlite3_column_int64(s, 0),
			                (const char *)sqlite3_column_text(s, 1),
			                sqlite3_column_int64(s, 2) };
		each(ctx, &row);
	}
	sqlite3_reset(s);
	return o == DIRECTORY_NONE ? DIRECTORY_OK : o;
}

enum directory_outcome
directory_account_set_credential(struct directory *d, struct bytes address,
                                 const struct credential *c)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;

	if (directory_key(address, NULL, a, &k)) {
		sqlite3_stmt *s = directory_query(d, ACCOUNT_SET, k.local, k.domain);
		bind_credential(s, c);
		o = directory_change(d, s, DIRECTORY_NONE);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_account_keep_plain(struct directory *d, struct bytes address, struct bytes secret)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;

	if (directory_key(address, NULL, a, &k)) {
		sqlite3_stmt *s = directory_query(d, PLAIN_PUT, k.local, k.domain);
		sqlite3_bind_blob64(s, 3, secret.at, secret.len, SQLITE_STATIC);
		o = directory_change(d, s, DIRECTORY_NONE);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_account_enable(struct directory *d, struct bytes address, bool yes)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;

	if (directory_key(address, NULL, a, &k)) {
		sqlite3_stmt *s = directory_query(d, ACCOUNT_ENABLE, k.local, k.domain);
		sqlite3_bind_int(s, 3, yes);
		o = directory_change(d, s, DIRECTORY_NONE);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_account_each(struct directory *d, struct bytes only, struct bytes domain,
                       void (*each)(void *, const struct account_row *), void *ctx)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD, found = DIRECTORY_NONE;
	struct directory_key   k;

	if (directory_choose(a, only, domain, &k)) {
		sqlite3_stmt *s = directory_query(d, ACCOUNT_EACH, k.local, k.domain);

		while ((o = directory_row(d, s)) == DIRECTORY_OK) {
			struct account_row row = {
				(uint64_t)sqlite3_column_int64(s, 0),
				(const char *)sqlite3_column_text(s, 1),
				sqlite3_column_int(s, 2) != 0,
				sqlite3_column_int(s, 3) != 0,
				sqlite3_column_int64(s, 4),
			};
			each(ctx, &row);
			found = DIRECTORY_OK;
		}
		sqlite3_reset(s);
	}
	arena_close(&a);
	return o == DIRECTORY_NONE ? found : o;
}
