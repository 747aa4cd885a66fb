/* owner.c -- to whom the mailboxes of virtual users belong (directory.h) */
#include "base/clock.h"
#include "directory/inside.h"

static enum directory_outcome
number_find(struct directory *d, const struct mail_owner *owner, uint32_t *out)
{
	sqlite3_stmt *s =
		directory_query(d, OWNER_FIND, bytes_of(owner->uid), bytes_of(owner->gid));
	enum directory_outcome o = directory_row(d, s);
	int64_t                number = o == DIRECTORY_OK ? sqlite3_column_int64(s, 0) : 0;

	sqlite3_reset(s);
	*out = (uint32_t)number;
	return number > DIRECTORY_OWNERS_MOST ? DIRECTORY_LATER : o;
}

/* Nothing is written where it is there, which is nearly always. */
enum directory_outcome
directory_owner_number(struct directory *d, const struct mail_owner *owner, uint32_t *out)
{
	enum directory_outcome o = number_find(d, owner, out);

	if (o != DIRECTORY_NONE)
		return o;
	o = directory_change(d,
	                     directory_query(d, OWNER_ADD, bytes_of(owner->uid),
	                                     bytes_of(owner->gid)),
	                     DIRECTORY_OK);
	if (o == DIRECTORY_OK)
		o = number_find(d, owner, out);
	return o == DIRECTORY_OK ? o : DIRECTORY_LATER;
}

enum directory_outcome
directory_own(struct directory *d, const struct directory_key *k, const struct mail_owner *owner)
{
	uint32_t               number;
	enum directory_outcome o = directory_owner_number(d, owner, &number);
	sqlite3_stmt          *s;

	if (o != DIRECTORY_OK)
		return o;
	s = directory_query(d, OWNED_PUT, k->local, k->domain);
	sqlite3_bind_int64(s, 3, number);
	return directory_change(d, s, DIRECTORY_LATER);
}

static enum directory_outcome
change_ids(struct directory *d, enum directory_query q, uint64_t first, uint64_t second)
{
	sqlite3_stmt *s = directory_query(d, q, BYTES(""), BYTES(""));

	sqlite3_bind_int64(s, 1, (int64_t)first);
	sqlite3_bind_int64(s, 2, (int64_t)second);
	return directory_change(d, s, DIRECTORY_OK);
}

/* In a transaction.  An id is never given twice, so the account gets a new place; what protects it goes by the id
   its mail is kept under (protection.c), and what does not go along ends with the old one. */
static enum directory_outcome
owned_move(struct directory *d, const struct directory_key *k, const struct mail_owner *owner,
           uint64_t was)
{
	uint64_t               now;
	enum directory_outcome o =
		directory_change(d, directory_query(d, OWNED_ASIDE, k->local, k->domain),
	                         DIRECTORY_NONE);

	if (o == DIRECTORY_OK)
		o = directory_own(d, k, owner);
	if (o == DIRECTORY_OK)
		o = directory_lives(d, k, &now);
	if (o == DIRECTORY_OK)
		o = change_ids(d, OWNED_BOUNDS, was, now);
	if (o == DIRECTORY_OK)
		o = change_ids(d, OWNED_TOTP, was, now);
	if (o == DIRECTORY_OK)
		o = directory_change(d, directory_query(d, OWNED_DROP, k->local, k->domain),
		                     DIRECTORY_LATER);
	return o == DIRECTORY_OK ? change_ids(d, GONE_ADD, was, (uint64_t)clock_wall()) : o;
}

enum directory_outcome
directory_account_own(struct directory *d, struct bytes address, const struct mail_owner *owner,
                      uint64_t *was)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;

	if (directory_key(address, NULL, a, &k))
		o = directory_lives(d, &k, was);
	if (o == DIRECTORY_OK && !is_owned_account(*was))
		o = DIRECTORY_FOREIGN;
	if (o == DIRECTORY_OK)
		o = directory_simply(d, BEGIN)
		            ? directory_change_end(d, owned_move(d, &k, owner, *was))
		            : DIRECTORY_LATER;
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_owner(struct directory *d, uint32_t number, struct arena *a, struct mail_owner *out)
{
	sqlite3_stmt          *s = directory_query(d, OWNER_GET, BYTES(""), BYTES(""));
	enum directory_outcome o;

	sqlite3_bind_int64(s, 1, number);
	if ((o = directory_row(d, s)) == DIRECTORY_OK)
		*out = (struct mail_owner){ arena_copy(a, directory_column(s, 0)),
			                    arena_copy(a, directory_column(s, 1)) };
	sqlite3_reset(s);
	return o;
}

enum directory_outcome
directory_owner_each(struct directory *d, uint32_t                         from,
                     void (*each)(void *, const struct owner_row *), void *ctx)
{
	sqlite3_stmt          *s = directory_query(d, OWNER_EACH, BYTES(""), BYTES(""));
	enum directory_outcome o;

	sqlite3_bind_int64(s, 1, from);
	while ((o = directory_row(d, s)) == DIRECTORY_OK)
		each(ctx, &(struct owner_row){ (uint32_t)sqlite3_column_int64(s, 0),
		                               { (const char *)sqlite3_column_text(s, 1),
		                                 (const char *)sqlite3_column_text(s, 2) } });
	sqlite3_reset(s);
	return o == DIRECTORY_NONE ? DIRECTORY_OK : o;
}
