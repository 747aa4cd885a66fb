#include "store/retrieved.h"

#include "store/inside.h"

static int
bind_two(struct mailbox *m, enum statement which, int64_t second, sqlite3_stmt **s)
{
	if (m->account->refused != 0)
		return m->account->refused;
	if ((*s = index_ready(m->account->index, which)) == NULL)
		return index_why(m->account->index);
	(void)sqlite3_bind_int64(*s, 1, (int64_t)m->id);
	(void)sqlite3_bind_int64(*s, 2, second);
	return 0;
}

int
retrieved_note(struct mailbox *m, uint32_t uid, int64_t now)
{
	struct account *a = m->account;
	sqlite3_stmt   *s;
	int             why = account_change(a);

	if (why != 0)
		return why;
	if ((why = bind_two(m, RETRIEVED_PUT, uid, &s)) == 0) {
		(void)sqlite3_bind_int64(s, 3, now);
		why = index_do(a->index, s);
	}
	return why == 0 ? 0 : account_fail(a, why);
}

/* How many there are, those that are gone too. */
static int
count_old(struct mailbox *m, int64_t until, size_t *count)
{
	sqlite3_stmt *s;
	int           why = bind_two(m, RETRIEVED_COUNT, until, &s);

	if (why != 0 || index_row(m->account->index, s) != 1)
		return why != 0 ? why : index_why(m->account->index);
	*count = (size_t)sqlite3_column_int64(s, 0);
	(void)sqlite3_reset(s);
	return 0;
}

static int
read_old(struct mailbox *m, int64_t until, struct uid_range *range, size_t room, size_t *count)
{
	sqlite3_stmt *s;
	int           more = 0, why = bind_two(m, RETRIEVED_OLD, until, &s);

	if (why != 0)
		return why;
	while (*count < room && (more = index_row(m->account->index, s)) == 1) {
		uint32_t uid = (uint32_t)sqlite3_column_int64(s, 0);
		if (mailbox_find(m, uid) >= 0)
			range[(*count)++] = (struct uid_range){ uid, uid };
	}
	(void)sqlite3_reset(s);
	return more < 0 ? index_why(m->account->index) : 0;
}

int
retrieved_take(struct mailbox *m, int64_t until, struct arena *arena, struct uid_set *out)
{
	struct account   *a = m->account;
	struct uid_range *range;
	sqlite3_stmt     *s;
	size_t            room = 0, count = 0;
	int               why = count_old(m, until, &room);

	*out = (struct uid_set){ NULL, 0 };
	if (why != 0 || room == 0)
		return why;
	range = arena_take_array(arena, room, sizeof *range);
	if ((why = read_old(m, until, range, room, &count)) != 0 || (why = account_change(a)) != 0)
		return why;
	if ((why = bind_two(m, RETRIEVED_DELETE, until, &s)) == 0)
		why = index_do(a->index, s);
	if (why != 0)
		return account_fail(a, why);
	*out = (struct uid_set){ range, count };
	return 0;
}
