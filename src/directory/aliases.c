/* aliases.c -- the aliases of the directory: addresses that stand for others */
#include "directory/inside.h"
#include "message/address.h"

static enum directory_outcome
alias_add_one(struct directory *d, const struct directory_key *k, struct bytes target,
              struct arena *a)
{
	struct address to;
	sqlite3_stmt  *s;

	if (!address_parse(target, a, &to))
		return DIRECTORY_BAD;
	s = directory_query(d, ALIAS_ADD, k->local, k->domain);
	directory_bind(s, 3, address_text(a, &to));
	return directory_change(d, s, DIRECTORY_EXISTS);
}

/* With the transaction open: the old targets go, if asked, and the new ones come. */
static enum directory_outcome
alias_change(struct directory *d, const struct directory_key *k, const struct bytes *target,
             size_t count, bool replace, struct arena *a)
{
	sqlite3_stmt          *s = directory_query(d, DOMAIN_HAS, k->domain, BYTES(""));
	enum directory_outcome o = directory_row(d, s);

	sqlite3_reset(s);
	if (o != DIRECTORY_OK)
		return o == DIRECTORY_NONE ? DIRECTORY_FOREIGN : o;
	if (replace)
		o = directory_change(d, directory_query(d, ALIAS_DELETE_ALL, k->local, k->domain),
		                     DIRECTORY_OK);
	for (size_t i = 0; i < count && o == DIRECTORY_OK; i++) {
		o = alias_add_one(d, k, target[i], a);
		if (o == DIRECTORY_EXISTS && replace)
			o = DIRECTORY_OK; /* the same target given twice */
	}
	return o;
}

enum directory_outcome
directory_alias_put(struct directory *d, struct bytes address, const struct bytes *target,
                    size_t count, bool replace)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;

	if (count > 0 && directory_key_to_keep(address, NULL, a, &k))
		o = directory_simply(d, BEGIN)
		            ? directory_change_end(d,
		                                   alias_change(d, &k, target, count, replace, a))
		            : DIRECTORY_LATER;
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_alias_add(struct directory *d, struct bytes address, struct bytes target)
{
	return directory_alias_put(d, address, &target, 1, false);
}

enum directory_outcome
directory_alias_delete(struct directory *d, struct bytes address, struct bytes target)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct directory_key   k;

	if (directory_key(address, NULL, a, &k)) {
		sqlite3_stmt  *s = directory_query(d, target.len ? ALIAS_DELETE : ALIAS_DELETE_ALL,
		                                   k.local, k.domain);
		struct address to;

		if (target.len > 0)
			directory_bind(s, 3,
			               address_parse(target, a, &to) ? address_text(a, &to)
			                                             : target);
		o = directory_change(d, s, DIRECTORY_NONE);
	}
	arena_close(&a);
	return o;
}

enum directory_outcome
directory_alias_each(struct directory *d, struct bytes only, struct bytes domain,
                     void (*each)(void *, const struct alias_row *), void *ctx)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD, found = DIRECTORY_NONE;
	struct directory_key   k;

	if (directory_choose(a, only, domain, &k)) {
		sqlite3_stmt *s = directory_query(d, ALIAS_EACH, k.local, k.domain);

		while ((o = directory_row(d, s)) == DIRECTORY_OK) {
			struct alias_row row = { (const char *)sqlite3_column_text(s, 0),
				                 (const char *)sqlite3_column_text(s, 1) };
			each(ctx, &row);
			found = DIRECTORY_OK;
		}
		sqlite3_reset(s);
	}
	arena_close(&a);
	return o == DIRECTORY_NONE ? found : o;
}
