/* shadow.c -- accounts of people whom another source knows (directory.h) */
#include "base/clock.h"
#include "directory/inside.h"

/* In a transaction: the domain's number first, then the row. */
static enum directory_outcome
shadow_make(struct directory *d, const struct directory_key *k, const char *source,
            const struct mail_owner *owner)
{
	sqlite3_stmt          *s = directory_query(d, DOMAIN_SHADOW, k->domain, BYTES(""));
	enum directory_outcome o;

	sqlite3_bind_int64(s, 2, clock_wall());
	o = directory_change(d, s, DIRECTORY_OK);
	if (o != DIRECTORY_OK)
		return o;
	s = directory_query(d, ACCOUNT_ADD, k->local, k->domain);
	/* No password has this hash. */
	sqlite3_bind_text(s, 3, "!", 1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 4, 0);
	for (int at = 5; at <= 7; at++)
		sqlite3_bind_text(s, at, "", 0, SQLITE_STATIC);
	sqlite3_bind_int64(s, 8, clock_wall());
	o = directory_change(d, s, DIRECTORY_EXISTS);
	if (o != DIRECTORY_OK)
		return o;
	s = directory_query(d, ACCOUNT_SOURCE, k->local, k->domain);
	sqlite3_bind_text(s, 3, source, -1, SQLITE_STATIC);
	o = directory_change(d, s, DIRECTORY_LATER);
	return o == DIRECTORY_OK && owner != NULL ? directory_own(d, k, owner) : o;
}

enum directory_outcome
directory_account_for(struct directory *d, struct bytes name, const char *origin,
                      const char *source, const struct mail_owner *owner, struct arena *a,
                      struct credential *out)
{
	enum directory_outcome o = directory_credential(d, name, origin, a, out);
	struct directory_key   k;

	if (o != DIRECTORY_NONE)
		return o;
	if (!directory_key_to_keep(name, origin, a, &k))
		return DIRECTORY_BAD;
	if (!directory_simply(d, BEGIN))
		return DIRECTORY_LATER;
	o = directory_change_end(d, shadow_make(d, &k, source, owner));
	return o == DIRECTORY_OK ? directory_credential(d, name, origin, a, out) : o;
}
