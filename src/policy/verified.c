#include "policy/verified.h"

#include <string.h>

enum { SWEEP_AT_ONCE = 500, TEXT_MOST = 1000 };

enum verified_step
verified_judge(const struct verified_settings *set, const struct verified_known *k, int64_t now)
{
	bool good = k->outcome == VERIFIED_GOOD;
	/* One of tomorrow: the clock was set back, and nobody is at it. */
	bool    pending = k->probed > 0 && now >= k->probed && now - k->probed < VERIFIED_PENDING_S;
	int64_t age = now - k->updated;

	if (k->updated == 0 || k->outcome == VERIFIED_TODO ||
	    age > (good ? set->positive_expire : set->negative_expire) / 1000)
		return pending ? VERIFIED_WAIT : VERIFIED_ASK;
	return !pending && age > (good ? set->positive_refresh : set->negative_refresh) / 1000
	               ? VERIFIED_USE_AND_ASK
	               : VERIFIED_USE;
}

/* The domain's letters are one whatever their case; so are most people's. */
static struct bytes
key_of(struct arena *a, struct bytes address)
{
	return arena_lower(a, address);
}

static bool
read_row(struct policydb *db, struct bytes key, struct arena *a, struct verified_known *out)
{
	sqlite3_stmt *s = policydb_query(db, VERIFIED_GET);
	bool          found;

	*out = (struct verified_known){ VERIFIED_TODO, { "", 0 }, 0, 0 };
	policydb_bind(s, 1, key);
	found = sqlite3_step(s) == SQLITE_ROW;
	if (found)
		*out = (struct verified_known){
			(enum verified_outcome)sqlite3_column_int(s, 0),
			arena_keep(a, policydb_text(s, 1)),
			sqlite3_column_int64(s, 2),
			sqlite3_column_int64(s, 3),
		};
	(void)sqlite3_reset(s);
	return found;
}

static void
write_row(struct policydb *db, const struct verified_settings *set, struct bytes key, bool is_new,
          const struct verified_known *k)
{
	sqlite3_stmt *s;

	if (is_new) {
		policydb_make_room(db, POLICYDB_VERIFIED, VERIFIED_OLDEST, set->most);
		++*policydb_rows(db, POLICYDB_VERIFIED);
	}
	s = policydb_query(db, VERIFIED_PUT);
	policydb_bind(s, 1, key);
	(void)sqlite3_bind_int(s, 2, (int)k->outcome);
	policydb_bind(s, 3, bytes_cut(k->text, 0, TEXT_MOST));
	(void)sqlite3_bind_int64(s, 4, k->updated);
	(void)sqlite3_bind_int64(s, 5, k->probed);
	(void)policydb_run(db, s);
}

enum verified_step
verified_find(struct policydb *db, const struct verified_settings *set, struct bytes address,
              int64_t now, struct arena *a, struct verified_known *out)
{
	(void)read_row(db, key_of(a, address), a, out);
	return verified_judge(set, out, now);
}

/* A good answer holds until it expires, whatever its server says meanwhile, and is asked for anew when the question of now is no
   longer pending.  What is not kept is there all the same, as not known. */
void
verified_keep(struct policydb *db, const struct verified_settings *set, struct bytes address,
              enum verified_outcome outcome, struct bytes text, int64_t now)
{
	struct arena         *a = arena_open(NULL);
	struct bytes          key = key_of(a, address);
	struct verified_known k;
	bool                  there = read_row(db, key, a, &k);
	bool                  holds = k.updated > 0 && k.outcome == VERIFIED_GOOD &&
	             now - k.updated <= set->positive_expire / 1000;

	if (outcome == VERIFIED_GOOD || (set->negative && !holds))
		k = (struct verified_known){ outcome, text, now, 0 };
	else if (!holds)
		k = (struct verified_known){ VERIFIED_TODO, { "", 0 }, 0, 0 };
	write_row(db, set, key, !there, &k);
	arena_close(&a);
}

void
verified_asked(struct policydb *db, const struct verified_settings *set, struct bytes address,
               int64_t now)
{
	struct arena         *a = arena_open(NULL);
	struct bytes          key = key_of(a, address);
	struct verified_known k;
	bool                  there = read_row(db, key, a, &k);

	k.probed = now;
	write_row(db, set, key, !there, &k);
	arena_close(&a);
}

bool
verified_sweep(struct policydb *db, const struct verified_settings *set, int64_t now)
{
	sqlite3_stmt *s = policydb_query(db, VERIFIED_EXPIRE);
	int           n;

	(void)sqlite3_bind_int64(s, 1, now - set->positive_expire / 1000);
	(void)sqlite3_bind_int64(s, 2, now - set->negative_expire / 1000);
	(void)sqlite3_bind_int64(s, 3, SWEEP_AT_ONCE);
	n = policydb_run(db, s);
	*policydb_rows(db, POLICYDB_VERIFIED) -= n > 0 ? n : 0;
	return n >= SWEEP_AT_ONCE;
}

int
verified_list(struct policydb *db, struct bytes after, int most,
              void (*each)(void *ctx, struct bytes address, const struct verified_known *),
              void *ctx)
{
	sqlite3_stmt *s = policydb_query(db, VERIFIED_LIST);
	int           n = 0;

	policydb_bind(s, 1, after);
	(void)sqlite3_bind_int(s, 2, most);
	for (; sqlite3_step(s) == SQLITE_ROW; n++) {
		struct verified_known k = { (enum verified_outcome)sqlite3_column_int(s, 1),
			                    policydb_text(s, 2), sqlite3_column_int64(s, 3),
			                    sqlite3_column_int64(s, 4) };
		each(ctx, policydb_text(s, 0), &k);
	}
	(void)sqlite3_reset(s);
	return n;
}

int
verified_delete(struct policydb *db, struct bytes address)
{
	struct arena *a = arena_open(NULL);
	sqlite3_stmt *s = policydb_query(db, VERIFIED_DROP);
	int           n;

	policydb_bind(s, 1, key_of(a, address));
	n = policydb_run(db, s);
	*policydb_rows(db, POLICYDB_VERIFIED) -= n > 0 ? n : 0;
	arena_close(&a);
	return n;
}

int
verified_flush(struct policydb *db)
{
	int n = policydb_run(db, policydb_query(db, VERIFIED_FLUSH));

	*policydb_rows(db, POLICYDB_VERIFIED) -= n > 0 ? n : 0;
	return n;
}
