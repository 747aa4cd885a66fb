/* owner.c -- to whom the mailboxes of virtual users belong (directory.h) */
#include "directory/inside.h"

enum directory_outcome
directory_owner_number(struct directory *d, const struct mail_owner *owner, uint32_t *out)
{
	struct bytes           uid = bytes_of(owner->uid), gid = bytes_of(owner->gid);
	enum directory_outcome o =
		directory_change(d, directory_query(d, OWNER_ADD, uid, gid), DIRECTORY_OK);
	sqlite3_stmt *s;
	int64_t       number = 0;

	if (o != DIRECTORY_OK)
		return o;
	s = directory_query(d, OWNER_FIND, uid, gid);
	if ((o = directory_row(d, s)) == DIRECTORY_OK)
		number = sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	*out = (uint32_t)number;
	return o != DIRECTORY_OK || number > DIRECTORY_OWNERS_MOST ? DIRECTORY_LATER : DIRECTORY_OK;
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
