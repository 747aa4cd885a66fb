#include "directory/total.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/journal.h"
#include "directory/inside.h"
#include "message/domain.h"

struct totals {
	struct directory *directory;
	struct map       *all; /* domain -> struct total */
};

/* ---- the disk ---- */

static struct total *
add_total(struct totals *t, struct bytes domain)
{
	struct total *one = memory_take(sizeof *one + domain.len + 1);

	(void)bytes_string(domain, one->domain, domain.len + 1);
	(void)map_put(t->all, domain, one);
	return one;
}

static uint64_t
number_at(sqlite3_stmt *s, int at)
{
	sqlite3_int64 n = sqlite3_column_int64(s, at);

	return n > 0 ? (uint64_t)n : 0;
}

struct totals *
totals_open(struct directory *d)
{
	struct totals         *t = memory_take(sizeof *t);
	sqlite3_stmt          *s = directory_query(d, TOTAL_EACH, BYTES(""), BYTES(""));
	enum directory_outcome o;

	*t = (struct totals){ .directory = d, .all = map_open() };
	while ((o = directory_row(d, s)) == DIRECTORY_OK) {
		struct total *one = add_total(t, directory_column(s, 0));
		one->limit = (struct total_use){ number_at(s, 1), number_at(s, 2) };
		one->warned = (unsigned)number_at(s, 3);
		one->used = (struct total_use){ number_at(s, 4), number_at(s, 5) };
	}
	sqlite3_reset(s);
	if (o != DIRECTORY_NONE)
		totals_close(&t);
	return t;
}

void
totals_close(struct totals **tp)
{
	struct totals *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	for (struct map_place p = { 0 }; map_next(t->all, &p);)
		memory_free(p.value);
	map_close(&t->all);
	memory_free(t);
}

size_t
totals_count(const struct totals *t)
{
	return map_count(t->all);
}

struct total *
totals_next(const struct totals *t, struct map_place *p)
{
	return map_next(t->all, p) ? p->value : NULL;
}

struct total *
total_find(const struct totals *t, struct bytes domain)
{
	return map_count(t->all) > 0 ? map_get(t->all, domain) : NULL;
}

/* ---- whose ---- */

/* The question that knows the domain of such an account, and the number it is asked by. */
static enum directory_query
question_of(uint64_t account, uint64_t *by)
{
	*by = account;
	if (is_system_account(account)) {
		*by = system_uid(account);
		return DOMAIN_OF_USER;
	}
	if (is_owned_account(account)) {
		*by = (uint32_t)account;
		return DOMAIN_OF_PLACE;
	}
	return DOMAIN_OF_ACCOUNT;
}

struct total *
total_of(const struct totals *t, uint64_t account, const char *origin)
{
	struct total          *found = NULL;
	enum directory_query   query;
	enum directory_outcome o;
	sqlite3_stmt          *s;
	uint64_t               by;

	if (map_count(t->all) == 0)
		return NULL;
	query = question_of(account, &by);
	s = directory_query(t->directory, query, BYTES(""), BYTES(""));
	sqlite3_bind_int64(s, 1, (int64_t)by);
	if ((o = directory_row(t->directory, s)) == DIRECTORY_OK)
		found = total_find(t, directory_column(s, 0));
	sqlite3_reset(s);
	return o == DIRECTORY_NONE && query == DOMAIN_OF_USER ? total_find(t, bytes_of(origin))
	                                                      : found;
}

bool
total_next(struct totals *t, struct bytes domain, struct arena *a, struct total_account *at)
{
	sqlite3_stmt *s = directory_query(t->directory, TOTAL_NEXT, domain, bytes_of(at->local));
	bool          there = directory_row(t->directory, s) == DIRECTORY_OK;

	if (there) {
		at->account = (uint64_t)sqlite3_column_int64(s, 0);
		(void)bytes_string(directory_column(s, 1), at->local, sizeof at->local);
		at->address = arena_printf(a, "%s@%.*s", at->local, (int)domain.len, domain.at);
	}
	sqlite3_reset(s);
	return there;
}

/* ---- limits ---- */

/* With all that was told of its accounts: else what is on disk would be in no sum when it is limited again. */
static enum directory_outcome
forget(struct totals *t, struct total *one)
{
	struct directory      *d = t->directory;
	struct bytes           domain = bytes_of(one->domain);
	enum directory_outcome o = DIRECTORY_LATER;

	if (!directory_simply(d, BEGIN))
		return o;
	o = directory_change(d, directory_query(d, SHARE_DROP_ALL, domain, BYTES("")),
	                     DIRECTORY_OK);
	if (o == DIRECTORY_OK)
		o = directory_change(d, directory_query(d, TOTAL_DROP, domain, BYTES("")),
		                     DIRECTORY_OK);
	o = directory_change_end(d, o);
	if (o == DIRECTORY_OK)
		memory_free(map_drop(t->all, domain));
	return o;
}

/* Whether the directory has it; unbound users of the operating system are of one it need not have. */
static enum directory_outcome
is_known(const struct totals *t, struct bytes domain, const char *origin)
{
	sqlite3_stmt          *s = directory_query(t->directory, DOMAIN_THERE, domain, BYTES(""));
	enum directory_outcome o = directory_row(t->directory, s);

	sqlite3_reset(s);
	return o == DIRECTORY_NONE && bytes_is(domain, origin) ? DIRECTORY_OK : o;
}

static enum directory_outcome
keep_limit(struct totals *t, const struct total *one)
{
	sqlite3_stmt *s =
		directory_query(t->directory, TOTAL_PUT, bytes_of(one->domain), BYTES(""));

	sqlite3_bind_int64(s, 2, (int64_t)one->limit.bytes);
	sqlite3_bind_int64(s, 3, (int64_t)one->limit.messages);
	sqlite3_bind_int64(s, 4, (int64_t)one->warned);
	return directory_change(t->directory, s, DIRECTORY_LATER);
}

enum directory_outcome
total_limit(struct totals *t, struct bytes typed, const char *origin, const uint64_t *bytes,
            const uint64_t *messages)
{
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct bytes           domain;
	struct total          *one;
	struct total_use       was, now;

	if (!domain_canonical(typed, a, &domain))
		goto out;
	/* One that is counted was known, and its limit can be taken away though it is no more. */
	one = total_find(t, domain);
	o = one != NULL ? DIRECTORY_OK : is_known(t, domain, origin);
	if (o != DIRECTORY_OK)
		goto out;
	was = one != NULL ? one->limit : (struct total_use){ 0, 0 };
	now = (struct total_use){ bytes != NULL ? *bytes : was.bytes,
		                  messages != NULL ? *messages : was.messages };
	if (now.bytes == 0 && now.messages == 0) {
		o = one != NULL ? forget(t, one) : o;
		goto out;
	}
	if (one == NULL)
		one = add_total(t, domain);
	one->limit = now;
	o = keep_limit(t, one);
	if (o != DIRECTORY_OK) {
		one->limit = was;
		if (was.bytes == 0 && was.messages == 0)
			memory_free(map_drop(t->all, domain));
	}
out:
	arena_close(&a);
	return o;
}

/* ---- shares ---- */

static uint64_t
less(uint64_t from, uint64_t n)
{
	return from > n ? from - n : 0;
}

static uint64_t
plus(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

/* A change of a share needs no sync of its own. */
static enum directory_outcome
change_lightly(struct totals *t, sqlite3_stmt *s)
{
	enum directory_outcome o;

	(void)sqlite3_exec(t->directory->db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL);
	o = directory_change(t->directory, s, DIRECTORY_OK);
	(void)sqlite3_exec(t->directory->db, "PRAGMA synchronous=FULL", NULL, NULL, NULL);
	return o;
}

/* The sum an account is counted in, and for how much; NULL: in none. */
static struct total *
counted_in(struct totals *t, uint64_t account, struct total_use *as)
{
	sqlite3_stmt *s = directory_query(t->directory, SHARE_GET, BYTES(""), BYTES(""));
	struct total *in = NULL;

	sqlite3_bind_int64(s, 1, (int64_t)account);
	if (directory_row(t->directory, s) == DIRECTORY_OK) {
		in = total_find(t, directory_column(s, 0));
		*as = (struct total_use){ number_at(s, 1), number_at(s, 2) };
	}
	sqlite3_reset(s);
	return in;
}

/* Once the disk has it: what stands there and the sum are never two things. */
static void
take_out(struct total *in, struct total_use was)
{
	if (in == NULL)
		return;
	in->used.bytes = less(in->used.bytes, was.bytes);
	in->used.messages = less(in->used.messages, was.messages);
}

enum directory_outcome
total_share(struct totals *t, struct total *one, uint64_t account, struct total_use now)
{
	struct total_use       was = { 0, 0 };
	struct total          *in;
	enum directory_outcome o;
	sqlite3_stmt          *s;

	if (now.bytes > INT64_MAX || now.messages > INT64_MAX)
		return DIRECTORY_BAD;
	in = counted_in(t, account, &was);
	if (in == one && was.bytes == now.bytes && was.messages == now.messages)
		return DIRECTORY_OK;
	s = directory_query(t->directory, SHARE_PUT, BYTES(""), bytes_of(one->domain));
	sqlite3_bind_int64(s, 1, (int64_t)account);
	sqlite3_bind_int64(s, 3, (int64_t)now.bytes);
	sqlite3_bind_int64(s, 4, (int64_t)now.messages);
	if ((o = change_lightly(t, s)) != DIRECTORY_OK)
		return o;
	take_out(in, was);
	one->used.bytes = plus(one->used.bytes, now.bytes);
	one->used.messages = plus(one->used.messages, now.messages);
	return o;
}

void
total_gone(struct totals *t, uint64_t account)
{
	struct total_use was = { 0, 0 };
	struct total    *in;
	sqlite3_stmt    *s;

	if (map_count(t->all) == 0)
		return;
	in = counted_in(t, account, &was);
	s = directory_query(t->directory, SHARE_DROP, BYTES(""), BYTES(""));
	sqlite3_bind_int64(s, 1, (int64_t)account);
	if (change_lightly(t, s) == DIRECTORY_OK)
		take_out(in, was);
}

/* ---- room ---- */

static bool
fits(uint64_t used, uint64_t more, uint64_t limit)
{
	return limit == 0 || (used <= limit && more <= limit - used);
}

static uint64_t
grace_of(const struct total *one, unsigned grace)
{
	return one->limit.bytes / 100 * grace;
}

/* The last letter may be over by the grace, if there was room at all. */
static bool
has_room(const struct total *one, struct total_use used, struct total_use more, unsigned grace)
{
	if (!fits(used.messages, more.messages, one->limit.messages))
		return false;
	return fits(used.bytes, more.bytes, one->limit.bytes) ||
	       (used.bytes < one->limit.bytes &&
	        fits(used.bytes, more.bytes, plus(one->limit.bytes, grace_of(one, grace))));
}

void
total_hold(struct total *one, struct total_use more)
{
	one->held.bytes = plus(one->held.bytes, more.bytes);
	one->held.messages = plus(one->held.messages, more.messages);
}

void
total_put_back(struct total *one, struct total_use less_of)
{
	one->held.bytes = less(one->held.bytes, less_of.bytes);
	one->held.messages = less(one->held.messages, less_of.messages);
}

int
total_take(struct total *one, struct total_use more, unsigned grace)
{
	struct total_use all = { plus(one->used.bytes, one->held.bytes),
		                 plus(one->used.messages, one->held.messages) };

	if (has_room(one, all, more, grace)) {
		total_hold(one, more);
		return 0;
	}
	return has_room(one, one->used, more, grace) ? EAGAIN : EDQUOT;
}

uint64_t
total_room(const struct total *one, unsigned grace)
{
	struct total_use one_letter = { 1, 1 };

	if (!has_room(one, one->used, one_letter, 0))
		return 0;
	if (one->limit.bytes == 0)
		return UINT64_MAX;
	return plus(one->limit.bytes - one->used.bytes, grace_of(one, grace));
}

/* ---- warnings ---- */

static bool
is_above(uint64_t used, uint64_t limit, uint64_t percent)
{
	return limit != 0 && used > limit / 100 * percent + limit % 100 * percent / 100;
}

static bool
holds_more(const struct total *one, uint64_t percent)
{
	return is_above(one->used.bytes, one->limit.bytes, percent) ||
	       is_above(one->used.messages, one->limit.messages, percent);
}

unsigned
total_warning(struct totals *t, struct total *one, const unsigned *percent, size_t count)
{
	unsigned above = 0, eased = 0, was = one->warned;

	for (size_t i = 0; i < count; i++) {
		if (percent[i] > above && holds_more(one, percent[i]))
			above = percent[i];
		if (percent[i] > eased &&
		    holds_more(one, percent[i] > TOTAL_EASE ? percent[i] - TOTAL_EASE : 0))
			eased = percent[i];
	}
	if (above <= was && eased >= was)
		return 0;
	one->warned = above > was ? above : eased;
	(void)keep_limit(t, one);
	return above > was ? above : 0;
}
