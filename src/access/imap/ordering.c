#include "access/imap/ordering.h"

#include "access/imap/finder.h"

enum { AT_ONCE = 2048 };

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

static uint64_t
key_of(const struct ordering *o, const struct column_row *r, const struct criterion *c)
{
	uint64_t key = c->by == BY_TEXT ? sort_key_of_text(column_of(o->columns, r, c->column))
	                                : number_of(o, r, c->by);

	return c->reverse ? ~key : key;
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

		if (c->by == BY_TEXT)
			more = bytes_compare(column_of(o->columns, one, c->column),
			                     column_of(o->columns, other, c->column));
		else if (i > 0) {
			uint64_t n = number_of(o, one, c->by), m = number_of(o, other, c->by);
			more = n < m ? -1 : n > m;
		}
		if (more != 0)
			return c->reverse ? -more : more;
	}
	return 0;
}

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
			o->item[o->count++] = (struct sort_item){ key_of(o, row, &o->criterion[0]),
				                                  o->uid, o->cursor };
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
}

bool
ordering_go(struct ordering *o, struct imap *s)
{
	if (!finder_fill(s, o->columns, &o->filled))
		return false;
	if (!o->gathered) {
		if (!gather(o, s))
			return false;
		o->gathered = true;
		sorter_open(&o->sorter, o->item, o->count, o->arena, differ, o);
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
	columns_drop(&o->columns);
}
