#include "store/seen.h"

#include "store/inside.h"

#include "base/checksum.h"

#include <errno.h>
#include <string.h>

enum { SEEN_VERSION = 1, MARKS_MOST = 1 << 20 };

/* Uids marked alike at one time; what no mark covers is unseen since ever. */
struct mark {
	uint32_t first, last;
	uint64_t modseq;
	bool     yes;
};
struct marks {
	struct mark *at;
	size_t       count, room;
};

struct seen {
	struct mailbox *mailbox;
	uint64_t        reader;
	uint32_t        users;
	uint64_t        highest;
	struct marks    marks;
	struct seen    *next; /* of the mailbox */
};

/* ---- marks ---- */

static void
marks_add(struct marks *m, struct mark one)
{
	if (m->count == m->room) {
		m->room = m->room ? m->room * 2 : 16;
		m->at = memory_resize(m->at, m->room * sizeof *m->at);
	}
	m->at[m->count++] = one;
}

static const struct mark *
mark_of(const struct seen *s, uint32_t uid)
{
	size_t low = 0, high = s->marks.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->marks.at[middle].last < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->marks.count && s->marks.at[low].first <= uid ? &s->marks.at[low] : NULL;
}

/* Puts a mark behind the others; one that goes on where the last ended joins it.  What lies between
   them and is no message any more does not part them. */
static void
marks_join(struct marks *m, const struct rows *rows, struct mark one)
{
	struct mark *last = m->count > 0 ? &m->at[m->count - 1] : NULL;

	if (last != NULL && last->yes == one.yes && last->modseq == one.modseq &&
	    rows_first_at_least(rows, last->last + 1) == rows_first_at_least(rows, one.first))
		last->last = one.last;
	else
		marks_add(m, one);
}

/* The old marks where the changed uids are not, and the changed ones, in order. */
static struct marks
marks_overlaid(const struct marks *old, const struct rows *rows, const struct uid_set *changed,
               uint64_t modseq, bool yes)
{
	struct marks out = { 0 };
	size_t       i = 0, k = 0;
	struct mark  rest = { 0 };
	bool         has = false;

	while (has || i < old->count || k < changed->count) {
		if (!has && i < old->count) {
			rest = old->at[i++];
			has = true;
		}
		if (k == changed->count || (has && rest.last < changed->range[k].first)) {
			marks_join(&out, rows, rest);
			has = false;
			continue;
		}
		const struct uid_range *c = &changed->range[k];
		if (has && rest.first < c->first) {
			struct mark before = rest;
			before.last = c->first - 1;
			marks_join(&out, rows, before);
		}
		/* What the changed range covers is its own now. */
		while (has && rest.last <= c->last) {
			has = i < old->count;
			if (has)
				rest = old->at[i++];
		}
		if (has && rest.first <= c->last)
			rest.first = c->last + 1;
		marks_join(&out, rows, (struct mark){ c->first, c->last, modseq, yes });
		k++;
	}
	return out;
}

/* ---- on disk: version, count, then gap, width and yes, modseq; CRC32C over key and bytes ---- */

static uint32_t
sum_of(const struct seen *s, struct bytes data)
{
	struct buffer key = { 0 };
	uint32_t      sum;

	pack_u64(&key, s->mailbox->id);
	pack_u64(&key, s->reader);
	buffer_add(&key, data);
	sum = checksum_of(buffer_bytes(&key));
	buffer_free(&key);
	return sum;
}

static void
marks_pack(const struct seen *s, const struct marks *m, struct buffer *out)
{
	uint32_t last = 0;

	pack_u8(out, SEEN_VERSION);
	pack_number(out, m->count);
	for (size_t i = 0; i < m->count; i++) {
		const struct mark *one = &m->at[i];
		pack_number(out, one->first - last);
		pack_number(out, (uint64_t)(one->last - one->first) << 1 | one->yes);
		pack_number(out, one->modseq);
		last = one->last;
	}
	pack_u32(out, sum_of(s, buffer_bytes(out)));
}

static bool
mark_unpack(struct unpack *u, uint32_t *last, struct marks *out)
{
	uint64_t gap = unpack_number(u), width = unpack_number(u), modseq = unpack_number(u);
	uint64_t first = *last + gap, end = first + (width >> 1);

	if (u->broken || first == 0 || gap > UINT32_MAX || end > UINT32_MAX ||
	    (gap == 0 && *last != 0) || width >> 1 > UINT32_MAX)
		return false;
	marks_add(out, (struct mark){ (uint32_t)first, (uint32_t)end, modseq, width & 1 });
	*last = (uint32_t)end;
	return true;
}

static bool
marks_unpack(const struct seen *s, struct bytes data, struct marks *out)
{
	struct bytes  body = bytes_cut(data, 0, data.len < 4 ? 0 : data.len - 4);
	struct bytes  sum = bytes_cut(data, body.len, SIZE_MAX);
	struct unpack u = unpack_of(body), v = unpack_of(sum);
	uint32_t      last = 0;
	uint64_t      count;

	if (unpack_u32(&v) != sum_of(s, body) || !unpack_done(&v) || unpack_u8(&u) != SEEN_VERSION)
		return false;
	count = unpack_number(&u);
	if (count > MARKS_MOST)
		return false;
	while (count-- > 0)
		if (!mark_unpack(&u, &last, out))
			return false;
	return unpack_done(&u);
}

/* ---- reading and writing ---- */

static int
seen_load(struct seen *s)
{
	struct index *x = s->mailbox->account->index;
	sqlite3_stmt *q = index_ready(x, SEEN_GET);
	int           more;

	s->marks.count = 0;
	s->highest = 0;
	if (q == NULL)
		return index_why(x);
	(void)sqlite3_bind_int64(q, 1, (int64_t)s->mailbox->id);
	(void)sqlite3_bind_int64(q, 2, (int64_t)s->reader);
	if ((more = index_row(x, q)) == 1) {
		s->highest = (uint64_t)sqlite3_column_int64(q, 0);
		/* Damaged: all is unseen once more, which harms nobody's mail. */
		if (!marks_unpack(s, index_blob(q, 1), &s->marks))
			s->marks.count = 0;
	}
	(void)sqlite3_reset(q);
	return more < 0 ? index_why(x) : 0;
}

static int
seen_put(struct seen *s, const struct marks *m)
{
	struct index *x = s->mailbox->account->index;
	struct buffer data = { 0 };
	sqlite3_stmt *q = index_ready(x, SEEN_PUT);
	int           why;

	if (q == NULL)
		return index_why(x);
	marks_pack(s, m, &data);
	(void)sqlite3_bind_int64(q, 1, (int64_t)s->mailbox->id);
	(void)sqlite3_bind_int64(q, 2, (int64_t)s->reader);
	(void)sqlite3_bind_int64(q, 3, (int64_t)s->highest);
	(void)sqlite3_bind_blob64(q, 4, data.at, data.len, SQLITE_STATIC);
	why = index_do(x, q);
	buffer_free(&data);
	return why;
}

struct seen *
seen_take(struct mailbox *m, uint64_t reader, int *why)
{
	struct seen *s = m->seens;

	while (s != NULL && s->reader != reader)
		s = s->next;
	if (s == NULL) {
		s = memory_take(sizeof *s);
		s->mailbox = m;
		s->reader = reader;
		if ((*why = seen_load(s)) != 0) {
			memory_free(s->marks.at);
			memory_free(s);
			return NULL;
		}
		s->next = m->seens;
		m->seens = s;
	}
	s->users++;
	return s;
}

void
seen_drop(struct seen **sp)
{
	struct seen *s = *sp, **p;

	*sp = NULL;
	if (s == NULL || --s->users > 0)
		return;
	for (p = &s->mailbox->seens; *p != s; p = &(*p)->next)
		;
	*p = s->next;
	memory_free(s->marks.at);
	memory_free(s);
}

void
seen_reload(struct mailbox *m)
{
	for (struct seen *s = m->seens; s != NULL; s = s->next)
		if (seen_load(s) != 0)
			s->marks.count = 0;
}

/* ---- what the reader sees, and changes ---- */

struct entry
seen_entry(const struct seen *s, struct entry e)
{
	const struct mark *m = mark_of(s, e.uid);

	e.flags &= ~(uint64_t)FLAG_SEEN;
	if (m == NULL)
		return e;
	if (m->yes)
		e.flags |= FLAG_SEEN;
	look_at_change(s->mailbox, m->modseq, LOOKED_FLAGS);
	if (m->modseq > e.modseq)
		e.modseq = m->modseq;
	return e;
}

uint64_t
seen_highest(const struct seen *s)
{
	look_at_change(s->mailbox, s->highest, LOOKED_DEEP);
	return s->highest > s->mailbox->highest ? s->highest : s->mailbox->highest;
}

void
seen_count(const struct seen *s, struct mailbox_status *status)
{
	status->highest_modseq = seen_highest(s);
	status->recent = status->unseen = status->first_unseen = 0;
	(void)mailbox_ready(s->mailbox);
	for (uint32_t i = 0; i < s->mailbox->rows.count; i++) {
		if (seen_entry(s, mailbox_entry(s->mailbox, i)).flags & FLAG_SEEN)
			continue;
		if (status->unseen++ == 0)
			status->first_unseen = i + 1;
	}
}

void
mailbox_watch_as(struct mailbox_watch *w, struct seen *s)
{
	w->seen = s;
}

/* Those of the set that are there, may be changed, and differ. */
static void
differing(const struct seen *s, const struct uid_set *set, bool yes, uint64_t since,
          struct uid_list *changed, struct uid_list *modified)
{
	struct mailbox *m = s->mailbox;

	for (size_t k = 0; k < set->count; k++) {
		uint32_t i = rows_first_at_least(&m->rows, set->range[k].first);
		for (; i < m->rows.count && m->rows.uid[i] <= set->range[k].last; i++) {
			struct entry e = seen_entry(s, mailbox_entry(m, i));
			if (e.modseq > since)
				uid_list_add(modified, e.uid, false);
			else if (((e.flags & FLAG_SEEN) != 0) != yes)
				uid_list_add(changed, e.uid, false);
		}
	}
}

static int
seen_mark(struct seen *s, const struct uid_set *changed, bool yes)
{
	struct account *a = s->mailbox->account;
	struct marks    fresh;
	int             why = account_change(a);

	if (why != 0)
		return why;
	s->highest = account_next_modseq(a);
	fresh = marks_overlaid(&s->marks, &s->mailbox->rows, changed, s->highest, yes);
	memory_free(s->marks.at);
	s->marks = fresh;
	if ((why = seen_put(s, &fresh)) != 0)
		return account_fail(a, why);
	return 0;
}

int
seen_change(struct seen *s, const struct uid_set *set, bool yes, uint64_t since,
            struct arena *arena, struct uid_set *modified, const struct mailbox_watch *by)
{
	struct uid_list changed = { 0 }, left = { 0 };
	struct uid_set  told;
	int             why = s->mailbox->gone ? ENOENT : 0;

	if (why == 0)
		differing(s, set, yes, since, &changed, &left);
	if (modified != NULL)
		*modified = uid_list_keep(&left, arena);
	told = uid_list_set(&changed);
	if (why == 0 && changed.count > 0 && (why = seen_mark(s, &told, yes)) == 0)
		mailbox_tell_reader(s->mailbox, s, &told, by);
	uid_list_free(&changed);
	uid_list_free(&left);
	return why;
}
