#include "access/imap/ordering.h"

#include <string.h>

#include "access/imap/finder.h"

enum { AT_ONCE = 2048 };
/* Of a mailbox of which fewer than one in so many are sorted, the order of all is not worked out. */
enum { RANKED_LEAST = 8 };

static const struct {
	const char *word;
	enum by     by;
	enum column column;
} words[] = {
	{ "ARRIVAL", BY_ARRIVED, COLUMNS },
	{ "CC", BY_TEXT, COLUMN_MAILBOX_CC },
	{ "DATE", BY_SENT, COLUMNS },
	{ "DISPLAYFROM", BY_TEXT, COLUMN_NAME_FROM },
	{ "DISPLAYTO", BY_TEXT, COLUMN_NAME_TO },
	{ "FROM", BY_TEXT, COLUMN_MAILBOX_FROM },
	{ "RELEVANCY", BY_RELEVANCY, COLUMNS }, /* rfc6203:6 */
	{ "SIZE", BY_SIZE, COLUMNS },
	{ "SUBJECT", BY_TEXT, COLUMN_BASE },
	{ "TO", BY_TEXT, COLUMN_MAILBOX_TO },
};

/* ---- grammar ---------------------------------------------------------------------- */

/* sort-criteria = "(" sort-criterion *(SP sort-criterion) ")"
   sort-criterion = ["REVERSE" SP] sort-key                     rfc5256:5 */
void
ordering_read(struct scan *r, struct ordering *o)
{
	scan_expect(r, "(");
	do {
		struct criterion *c = &o->criterion[o->criteria];
		struct bytes      word = read_atom(r);
		size_t            i = 0;

		if (o->criteria == CRITERIA_MOST)
			scan_fail(r, "fewer sort keys");
		if (!scan_ok(r))
			return;
		c->reverse = bytes_is(word, "REVERSE");
		if (c->reverse) {
			read_space(r);
			word = read_atom(r);
		}
		while (i < COUNT(words) && !bytes_is(word, words[i].word))
			i++;
		if (i == COUNT(words)) {
			scan_fail(r, "a sort key");
			return;
		}
		c->by = words[i].by;
		c->column = words[i].column;
		o->relevancy |= c->by == BY_RELEVANCY;
		o->criteria++;
	} while (scan_ok(r) && scan_skip(r, ' '));
	scan_expect(r, ")");
}

/* ---- keys -------------------------------------------------------------------------- */

/* rfc5256:2.2: without a date that can be read, when it arrived. */
static uint64_t
number_of(const struct ordering *o, const struct column_row *r, enum by by)
{
	if (by == BY_RELEVANCY) /* the highest first */
		return 100u - finder_score(o->finder, r->uid);
	return by == BY_SIZE ? r->size
	                     : sort_key_of(by == BY_SENT && r->sent != 0 ? r->sent : r->arrived);
}

/* The first key, of the row at `at`. */
static uint64_t
key_of(const struct ordering *o, uint32_t at)
{
	const struct column_row *r = columns_row(o->columns, at);
	const struct criterion  *c = &o->criterion[0];
	uint64_t                 key;

	if (c->by != BY_TEXT)
		key = number_of(o, r, c->by);
	else if (o->ranking[0] != NULL)
		key = o->ranking[0]->place[at];
	else
		key = sort_key_of_text(column_of(o->columns, r, c->column));
	return c->reverse ? ~key : key;
}

static int
compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* What the keys did not tell. */
static int
differ(const void *ctx, const struct sort_item *a, const struct sort_item *b)
{
	const struct ordering   *o = ctx;
	const struct column_row *one = columns_row(o->columns, a->row);
	const struct column_row *other = columns_row(o->columns, b->row);

	for (size_t i = 0; i < o->criteria; i++) {
		const struct criterion *c = &o->criterion[i];
		int                     more = 0;

		if (o->ranking[i] != NULL)
			more = compare(o->ranking[i]->place[a->row], o->ranking[i]->place[b->row]);
		else if (c->by == BY_TEXT)
			more = bytes_compare(column_of(o->columns, one, c->column),
			                     column_of(o->columns, other, c->column));
		else if (i > 0)
			more = compare(number_of(o, one, c->by), number_of(o, other, c->by));
		if (more != 0)
			return c->reverse ? -more : more;
	}
	return 0;
}

/* ---- the order of all ---------------------------------------------------------------- */

/* By the one string whose rank is being worked out. */
static int
differ_in_one(const void *ctx, const struct sort_item *a, const struct sort_item *b)
{
	const struct ordering *o = ctx;
	enum column            which = o->criterion[o->ranks].column;

	return bytes_compare(column_of(o->columns, columns_row(o->columns, a->row), which),
	                     column_of(o->columns, columns_row(o->columns, b->row), which));
}

static void
rank_give(struct ordering *o)
{
	struct ranking *r = ranking_make(o->rows);
	uint32_t        place = 0;

	for (uint32_t i = 0; i < o->rows; i++) {
		if (i > 0 && (o->all[i].key != o->all[i - 1].key ||
		              differ_in_one(o, &o->all[i - 1], &o->all[i]) != 0))
			place++;
		r->place[o->all[i].row] = place;
	}
	o->ranking[o->ranks] = r;
	ranking_put(o->columns, o->criterion[o->ranks].column, r);
	memory_free(o->all);
	o->all = NULL;
}

/* One criterion; true when its rank is there, or will not be. */
static bool
rank_one(struct ordering *o, struct imap *s)
{
	const struct criterion *c = &o->criterion[o->ranks];

	if (o->all == NULL) {
		if (c->by != BY_TEXT)
			return true;
		o->ranking[o->ranks] = ranking_take(o->columns, c->column, o->rows);
		if (o->ranking[o->ranks] != NULL || uid_set_size(&o->uids) < o->rows / RANKED_LEAST)
			return true;
		o->all = memory_take(((size_t)o->rows + 1) * sizeof *o->all);
		o->row = 0;
	}
	for (; o->row < o->rows; o->row++) {
		struct bytes text;
		if (o->row % AT_ONCE == AT_ONCE - 1 && imap_turn_over(s))
			return false;
		text = column_of(o->columns, columns_row(o->columns, o->row), c->column);
		o->all[o->row] = (struct sort_item){ sort_key_of_text(text), 0, o->row };
		if (o->row + 1 == o->rows)
			sorter_open(&o->sorter, o->all, o->rows, o->arena, differ_in_one, o);
	}
	while (o->rows > 0) {
		if (imap_turn_over(s))
			return false;
		if (sorter_go(&o->sorter, AT_ONCE))
			break;
	}
	rank_give(o);
	return true;
}

static bool
rank(struct ordering *o, struct imap *s)
{
	if (o->rows == 0)
		o->rows = columns_count(o->columns);
	for (; o->ranks < o->criteria; o->ranks++)
		if (!rank_one(o, s))
			return false;
	return true;
}

/* ---- sorting --------------------------------------------------------------------------- */

/* The messages with their first key, in the order of the mailbox. */
static bool
gather(struct ordering *o, struct imap *s)
{
	for (; o->range < o->uids.count; o->range++) {
		const struct uid_range *one = &o->uids.range[o->range];

		if (o->uid < one->first)
			o->uid = one->first;
		for (uint32_t n = 0; o->uid <= one->last; o->uid++) {
			const struct column_row *row;

			if (++n % AT_ONCE == 0 && imap_turn_over(s))
				return false;
			row = columns_find(o->columns, o->uid, &o->cursor);
			if (row == NULL)
				continue;
			o->item[o->count++] =
				(struct sort_item){ key_of(o, o->cursor), o->uid, o->cursor };
		}
		if (imap_turn_over(s) && o->range + 1 < o->uids.count) {
			o->range++;
			return false;
		}
	}
	return true;
}

void
ordering_begin(struct ordering *o, struct view *view, const struct uid_set *uids,
               struct arena *arena)
{
	o->arena = arena;
	o->columns = columns_take(view->mailbox);
	o->uids = *uids;
	o->item = arena_take_array(arena, uid_set_size(uids) + 1, sizeof *o->item);
	o->filled = o->gathered = o->sorted = false;
	o->range = o->count = 0;
	o->uid = o->cursor = 0;
	/* It may be a copy of one whose criteria were kept. */
	memset(o->ranking, 0, sizeof o->ranking);
	o->all = NULL;
	o->ranks = 0;
	o->rows = 0;
}

bool
ordering_go(struct ordering *o, struct imap *s)
{
	if (!finder_fill(s, o->columns, &o->filled) || !rank(o, s))
		return false;
	if (!o->gathered) {
		if (!gather(o, s))
			return false;
		o->gathered = true;
		/* Where one key tells all there is to tell nothing else is asked. */
		sorter_open(&o->sorter, o->item, o->count, o->arena,
		            o->criteria == 1 &&
		                            (o->criterion[0].by != BY_TEXT || o->ranking[0] != NULL)
		                    ? NULL
		                    : differ,
		            o);
	}
	while (!o->sorted) {
		if (imap_turn_over(s))
			return false;
		o->sorted = sorter_go(&o->sorter, AT_ONCE);
	}
	return true;
}

void
ordering_close(struct ordering *o)
{
	for (size_t i = 0; i < o->criteria; i++)
		ranking_drop(&o->ranking[i]);
	memory_free(o->all);
	o->all = NULL;
	columns_drop(&o->columns);
}
