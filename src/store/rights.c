#include "store/rights.h"

#include "store/inside.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* rfc4314:2.1, and the two of rfc2086 that stand for others (rfc4314:2.1.1). */
/* clang-format off */
static const struct { char letter; unsigned means; } letters[] = {
	{ 'l', RIGHT_LOOKUP }, { 'r', RIGHT_READ },   { 's', RIGHT_SEEN },    { 'w', RIGHT_WRITE },
	{ 'i', RIGHT_INSERT }, { 'p', RIGHT_POST },   { 'k', RIGHT_CREATE },  { 'x', RIGHT_REMOVE },
	{ 't', RIGHT_DELETE }, { 'e', RIGHT_EXPUNGE },
	{ 'c', RIGHT_CREATE | RIGHT_REMOVE }, { 'd', RIGHT_DELETE | RIGHT_EXPUNGE },
	{ 'a', RIGHT_ADMIN },
};
/* clang-format on */

bool
rights_read(struct bytes text, unsigned *out)
{
	*out = 0;
	for (size_t i = 0; i < text.len; i++) {
		size_t k = 0;
		while (k < COUNT(letters) && letters[k].letter != text.at[i])
			k++;
		if (k == COUNT(letters))
			return false;
		*out |= letters[k].means;
	}
	return true;
}

void
rights_write(unsigned rights, char out[static RIGHTS_WRITTEN])
{
	size_t n = 0;

	for (size_t k = 0; k < COUNT(letters); k++)
		if (rights & letters[k].means)
			out[n++] = letters[k].letter;
	out[n] = '\0';
}

int
acl_each(struct account *a, uint64_t                                      mailbox,
         void (*each)(void *ctx, const char *who, unsigned rights), void *ctx)
{
	sqlite3_stmt *s;
	int           more;

	if (a->refused != 0)
		return a->refused;
	if ((s = index_ready(a->index, ACL_EACH)) == NULL)
		return index_why(a->index);
	(void)sqlite3_bind_int64(s, 1, (int64_t)mailbox);
	while ((more = index_row(a->index, s)) == 1)
		each(ctx, (const char *)sqlite3_column_text(s, 0),
		     (unsigned)sqlite3_column_int(s, 1));
	return more < 0 ? index_why(a->index) : 0;
}

/* ---- what somebody may do ---- */

struct weighing {
	const struct reader *reader;
	unsigned             yes, no;
};

static bool
is_of(const struct reader *r, const char *who)
{
	if (strcmp(who, "anyone") == 0 || strcmp(who, "authenticated") == 0)
		return true;
	if (who[0] != '$')
		return strcmp(who, r->address) == 0;
	for (size_t i = 0; i < r->groups; i++)
		if (strcmp(who + 1, r->group[i]) == 0)
			return true;
	return false;
}

static void
weigh(void *ctx, const char *who, unsigned rights)
{
	struct weighing *w = ctx;

	if (who[0] == '-' && is_of(w->reader, who + 1))
		w->no |= rights;
	else if (who[0] != '-' && is_of(w->reader, who))
		w->yes |= rights;
}

unsigned
rights_of(struct account *a, uint64_t mailbox, const struct reader *r, unsigned base)
{
	struct weighing w = { .reader = r, .yes = base };

	if (r->account == a->id)
		return RIGHTS_ALL;
	if (acl_each(a, mailbox, weigh, &w) != 0)
		return 0;
	return w.yes & ~w.no;
}

bool
acl_any(struct account *a)
{
	sqlite3_stmt *s = index_ready(a->index, ACL_ANY);
	bool          any;

	if (s == NULL)
		return true; /* who cannot tell says there may be */
	any = index_row(a->index, s) != 0;
	(void)sqlite3_reset(s);
	return any;
}

/* ---- changing ---- */

struct acl_count {
	const char *who;
	size_t      count;
	bool        there;
};

static void
count_row(void *ctx, const char *who, unsigned rights)
{
	struct acl_count *c = ctx;
	(void)rights;

	c->count++;
	c->there |= strcmp(who, c->who) == 0;
}

int
acl_set(struct account *a, uint64_t mailbox, const char *who, unsigned rights)
{
	struct acl_count c = { .who = who };
	sqlite3_stmt    *s;
	int              why;

	if (who[0] == '\0' || strlen(who) > IDENTIFIER_MOST)
		return EINVAL;
	if ((why = acl_each(a, mailbox, count_row, &c)) != 0)
		return why;
	if (rights == 0 && !c.there)
		return ENOENT;
	if (rights != 0 && !c.there && c.count >= ACL_MOST)
		return EDQUOT;
	if ((why = account_change(a)) != 0)
		return why;
	if ((s = index_ready(a->index, rights != 0 ? ACL_PUT : ACL_DELETE)) == NULL)
		return account_fail(a, index_why(a->index));
	(void)sqlite3_bind_int64(s, 1, (int64_t)mailbox);
	(void)sqlite3_bind_text(s, 2, who, -1, SQLITE_STATIC);
	if (rights != 0)
		(void)sqlite3_bind_int64(s, 3, rights),
			(void)sqlite3_bind_int64(s, 4, clock_wall());
	a->acl_changes++;
	return (why = index_do(a->index, s)) == 0 ? 0 : account_fail(a, why);
}

int
acl_revoke(struct account *a, struct bytes address, int64_t until)
{
	sqlite3_stmt *s;
	int           why = account_change(a);

	if (why != 0)
		return why;
	if ((s = index_ready(a->index, ACL_REVOKE)) == NULL)
		return account_fail(a, index_why(a->index));
	(void)sqlite3_bind_text64(s, 1, address.at, address.len, SQLITE_STATIC, SQLITE_UTF8);
	(void)sqlite3_bind_int64(s, 2, until);
	a->acl_changes++;
	return (why = index_do(a->index, s)) == 0 ? 0 : account_fail(a, why);
}

int
acl_inherit(struct account *a, uint64_t from, uint64_t to)
{
	sqlite3_stmt *s;
	int           why = account_change(a);

	if (why != 0)
		return why;
	if ((s = index_ready(a->index, ACL_INHERIT)) == NULL)
		return account_fail(a, index_why(a->index));
	(void)sqlite3_bind_int64(s, 1, (int64_t)from);
	(void)sqlite3_bind_int64(s, 2, (int64_t)to);
	return (why = index_do(a->index, s)) == 0 ? 0 : account_fail(a, why);
}
