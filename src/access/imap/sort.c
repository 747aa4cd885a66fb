/* SORT: which messages are like that, in what order (rfc5256, rfc5957, rfc5267) */
#include "access/imap/finder.h"
#include "access/imap/limit.h"
#include "access/imap/returns.h"
#include "access/imap/sorter.h"

enum { CRITERIA_MOST = 16, SAID_AT_ONCE = 4096, AT_ONCE = 2048, ROWS_AT_ONCE = 32 };

enum by { BY_ARRIVED, BY_SENT, BY_SIZE, BY_TEXT };
struct criterion {
	enum by     by;
	enum column column;
	bool        reverse;
};
struct sort_work {
	struct program    program;
	struct returns    returns;
	bool              bad_charset, begun, found, gathered, sorted;
	struct criterion  criterion[CRITERIA_MOST];
	size_t            criteria;
	struct finder     finder;
	struct columns   *columns;
	bool              filled;
	struct uid_set    uids, numbers;
	size_t            range;
	uint32_t          uid, cursor;
	struct sort_item *item;
	size_t            count;
	struct sorter     sorter;
	size_t            said;
	bool              saying;
};

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
	{ "SIZE", BY_SIZE, COLUMNS },
	{ "SUBJECT", BY_TEXT, COLUMN_BASE },
	{ "TO", BY_TEXT, COLUMN_MAILBOX_TO },
};

/* ---- grammar ---------------------------------------------------------------------- */

/* sort-criteria = "(" sort-criterion *(SP sort-criterion) ")"
   sort-criterion = ["REVERSE" SP] sort-key                     rfc5256:5 */
static void
read_criteria(struct scan *r, struct sort_work *w)
{
	scan_expect(r, "(");
	do {
		struct criterion *c = &w->criterion[w->criteria];
		struct bytes      word = read_atom(r);
		size_t            i = 0;

		if (!scan_ok(r))
			return;
		c->reverse = bytes_is(word, "REVERSE");
		if (c->reverse) {
			read_space(r);
			word = read_atom(r);
		}
		while (i < COUNT(words) && !bytes_is(word, words[i].word))
			i++;
		if (i == COUNT(words) || w->criteria == CRITERIA_MOST - 1) {
			scan_fail(r, i == COUNT(words) ? "a sort key" : "fewer sort keys");
			return;
		}
		c->by = words[i].by;
		c->column = words[i].column;
		w->criteria++;
	} while (scan_ok(r) && scan_skip(r, ' '));
	scan_expect(r, ")");
}

/* sort = ["UID" SP] "SORT" [search-return-opts] SP sort-criteria SP search-criteria */
static void
sort_parse(struct imap *s, struct scan *r)
{
	struct sort_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	returns_read(r, &w->returns);
	read_criteria(r, w);
	read_space(r);
	w->bad_charset = !returns_charset(s, r, &w->program.charset);
	read_space(r);
	program_read(r, s->scratch, &w->program);
	if (s->uidonly && w->program.numbers)
		scan_fail(r, NUMBERS_ARE_PAST);
}

/* ---- keys -------------------------------------------------------------------------- */

/* rfc5256:2.2: without a date that can be read, when it arrived. */
static uint64_t
number_of(const struct column_row *r, enum by by)
{
	return by == BY_SIZE ? r->size
	                     : sort_key_of(by == BY_SENT && r->sent != 0 ? r->sent : r->arrived);
}

static uint64_t
key_of(const struct sort_work *w, const struct column_row *r, const struct criterion *c)
{
	uint64_t key = c->by == BY_TEXT ? sort_key_of_text(column_of(w->columns, r, c->column))
	                                : number_of(r, c->by);

	return c->reverse ? ~key : key;
}

/* What the keys did not tell. */
static int
differ(const void *ctx, const struct sort_item *a, const struct sort_item *b)
{
	const struct sort_work  *w = ctx;
	const struct column_row *one = columns_row(w->columns, a->row);
	const struct column_row *other = columns_row(w->columns, b->row);

	for (size_t i = 0; i < w->criteria; i++) {
		const struct criterion *c = &w->criterion[i];
		int                     more = 0;

		if (c->by == BY_TEXT)
			more = bytes_compare(column_of(w->columns, one, c->column),
			                     column_of(w->columns, other, c->column));
		else if (i > 0) {
			uint64_t n = number_of(one, c->by), m = number_of(other, c->by);
			more = n < m ? -1 : n > m;
		}
		if (more != 0)
			return c->reverse ? -more : more;
	}
	return 0;
}

/* The found messages with their first key, in the order of the mailbox. */
static bool
gather(struct imap *s, struct sort_work *w)
{
	if (w->item == NULL) {
		w->item = arena_take_array(s->scratch, uid_set_size(&w->uids) + 1, sizeof *w->item);
		w->numbers = result_numbers(s, s->view, &w->uids);
	}
	for (; w->range < w->uids.count; w->range++) {
		const struct uid_range *one = &w->uids.range[w->range];

		if (w->uid < one->first)
			w->uid = one->first;
		for (uint32_t n = 0; w->uid <= one->last; w->uid++) {
			const struct column_row *row;

			if (++n % AT_ONCE == 0 && imap_turn_over(s))
				return false;
			row = columns_find(w->columns, w->uid, &w->cursor);
			if (row == NULL)
				continue;
			w->item[w->count++] = (struct sort_item){ key_of(w, row, &w->criterion[0]),
				                                  w->numbers.range[w->range].first +
				                                          (w->uid - one->first),
				                                  w->cursor };
		}
		if (imap_turn_over(s) && w->range + 1 < w->uids.count) {
			w->range++;
			return false;
		}
	}
	return true;
}

/* ---- the answer --------------------------------------------------------------------- */

static void
say_extended(struct imap *s, struct sort_work *w)
{
	uint32_t     *list = arena_take_array(s->scratch, w->count + 1, sizeof *list);
	uint32_t     *uids = arena_take_array(s->scratch, w->count + 1, sizeof *uids);
	struct result r = { .list = list, .count = w->count };

	for (size_t i = 0; i < w->count; i++) {
		list[i] = w->item[i].number;
		uids[i] = columns_row(w->columns, w->item[i].row)->uid;
	}
	if (w->returns.give & RETURN_SAVE)
		returns_save(s, &w->returns, &w->uids, uids);
	if (w->returns.give == RETURN_SAVE)
		return;
	returns_say(s, &w->returns, &r, imap_out(s));
	if (w->program.modseq && w->count > 0)
		buffer_printf(imap_out(s), " MODSEQ %llu", (unsigned long long)w->finder.modseq);
	buffer_add_string(imap_out(s), "\r\n");
}

/* sort-data = "SORT" *(SP nz-number); false when the client must read first. */
static bool
say_plain(struct imap *s, struct sort_work *w)
{
	struct buffer *out = imap_out(s);

	if (!w->saying)
		buffer_add_string(out, "* SORT");
	w->saying = true;
	for (size_t many = 0; w->said < w->count; many++) {
		if (many > SAID_AT_ONCE && (imap_full(s) || imap_turn_over(s)))
			return false;
		buffer_add_char(out, ' ');
		buffer_add_number(out, w->item[w->said++].number);
	}
	if (w->program.modseq && w->count > 0)
		buffer_printf(out, " (MODSEQ %llu)", (unsigned long long)w->finder.modseq);
	buffer_add_string(out, "\r\n");
	return true;
}

/* Search, make columns, gather, sort; true when it is all done. */
static bool
sort_go(struct imap *s, struct sort_work *w)
{
	if (w->columns == NULL) {
		w->columns = columns_take(s->view->mailbox);
		w->uids = ranges_set(&w->finder.found);
	}
	while (!w->filled) {
		if (imap_turn_over(s))
			return false;
		w->filled = columns_fill(w->columns, ROWS_AT_ONCE);
	}
	if (!w->gathered) {
		if (!gather(s, w))
			return false;
		w->gathered = true;
		sorter_open(&w->sorter, w->item, w->count, s->scratch, differ, w);
	}
	while (!w->sorted) {
		if (imap_turn_over(s))
			return false;
		w->sorted = sorter_go(&w->sorter, AT_ONCE);
	}
	return true;
}

static enum imap_step
sort_run(struct imap *s)
{
	struct sort_work *w = s->work;

	if (w->bad_charset)
		return returns_bad_charset(s);
	if (!w->begun) {
		finder_open(&w->finder, s, s->view, &w->program);
		/* Part of an order would be none (rfc9738:3.3). */
		if (finder_limit(&w->finder) != 0)
			return limit_no(s, limit_most(s), 0, "Too many messages; name fewer.");
		if (w->program.modseq)
			imap_enable_condstore(s);
		w->begun = true;
	}
	if (!w->found) {
		enum finder_step step = finder_go(&w->finder);

		if (step != FINDER_OVER)
			return imap_searching(s, step == FINDER_WAIT, w->finder.uid);
		if (w->finder.later)
			return imap_no(s, FINDER_LATER);
		w->found = true;
	}
	if (!w->sorted && !sort_go(s, w))
		return STEP_AGAIN;
	if (w->returns.extended)
		say_extended(s, w);
	else if (!say_plain(s, w))
		return STEP_AGAIN;
	return imap_ok(s, w->finder.damaged ? "Sort completed, but for damaged messages."
	                                    : "Sort completed.");
}

static void
sort_drop(struct imap *s)
{
	struct sort_work *w = s->work;

	columns_drop(&w->columns);
	finder_close(&w->finder);
}

const struct imap_command imap_sort = {
	.name = "SORT",
	.rfc = "rfc5256:3",
	.in = IN_SELECTED,
	.effect = HAS_UID_FORM,
	.parse = sort_parse,
	.run = sort_run,
	.drop = sort_drop,
};
