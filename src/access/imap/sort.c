/* SORT: which messages are like that, in what order (rfc5256, rfc5957, rfc5267) */
#include "access/imap/contexts.h"
#include "access/imap/finder.h"
#include "access/imap/limit.h"
#include "access/imap/ordering.h"
#include "access/imap/returns.h"

enum { SAID_AT_ONCE = 4096 };

struct sort_work {
	struct program  program;
	struct returns  returns;
	bool            bad_charset, begun, found, sorted;
	struct finder   finder;
	struct ordering order;
	struct uid_set  uids;
	size_t          said;
	bool            saying;
};

/* sort = ["UID" SP] "SORT" [search-return-opts] SP sort-criteria SP search-criteria */
static void
sort_parse(struct imap *s, struct scan *r)
{
	struct sort_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	returns_read(s, r, &w->returns);
	ordering_read(r, &w->order);
	read_space(r);
	w->bad_charset = !returns_charset(s, r, &w->program.charset);
	read_space(r);
	program_read(r, s->scratch, &w->program);
	if ((w->returns.give & RETURN_RELEVANCY) && !w->program.fuzzy)
		scan_fail(r, "RELEVANCY with a FUZZY key");
	if (w->order.relevancy && !w->program.fuzzy)
		scan_fail(r, "RELEVANCY with a FUZZY key");
	if (s->uidonly && w->program.numbers)
		scan_fail(r, NUMBERS_ARE_PAST);
}

/* ---- the answer --------------------------------------------------------------------- */

static uint32_t
number_at(struct imap *s, const struct sort_work *w, size_t i)
{
	uint32_t uid = w->order.item[i].number;

	return s->uid ? uid : view_number(s->view, uid);
}

static void
say_extended(struct imap *s, struct sort_work *w)
{
	size_t        count = w->order.count;
	uint32_t     *list = arena_take_array(s->scratch, count + 1, sizeof *list);
	uint32_t     *uids = arena_take_array(s->scratch, count + 1, sizeof *uids);
	uint8_t      *score = arena_take_array(s->scratch, count + 1, sizeof *score);
	struct result r = { .list = list, .count = count, .score = score };

	for (size_t i = 0; i < count; i++) {
		list[i] = number_at(s, w, i);
		uids[i] = w->order.item[i].number;
		score[i] = finder_score(&w->finder, uids[i]);
	}
	if (w->returns.give & RETURN_SAVE)
		returns_save(s, &w->returns, &w->uids, uids);
	if (w->returns.give & RETURN_UPDATE)
		/* A score is not kept beyond the command. */
		contexts_add(s, &w->program, w->order.relevancy ? NULL : &w->uids, &w->order,
		             w->returns.update);
	if ((w->returns.give & ~(unsigned)RETURN_HINTS) == RETURN_SAVE)
		return;
	returns_say(s, &w->returns, &r, imap_out(s));
	if (w->program.modseq && count > 0)
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
	for (size_t many = 0; w->said < w->order.count; many++) {
		if (many > SAID_AT_ONCE && (imap_full(s) || imap_turn_over(s)))
			return false;
		buffer_add_char(out, ' ');
		buffer_add_number(out, number_at(s, w, w->said++));
	}
	if (w->program.modseq && w->order.count > 0)
		buffer_printf(out, " (MODSEQ %llu)", (unsigned long long)w->finder.modseq);
	buffer_add_string(out, "\r\n");
	return true;
}

static enum imap_step
sort_run(struct imap *s)
{
	struct sort_work *w = s->work;

	if (w->bad_charset)
		return returns_bad_charset(s);
	if (!w->begun) {
		if ((w->returns.give & RETURN_UPDATE) && contexts_named(s, s->tag))
			return imap_bad(s, "Tag reuse.");
		finder_open(&w->finder, s, s->view, &w->program, s->scratch);
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
		w->uids = ranges_set(&w->finder.found);
		(void)finder_scores(&w->finder, s->scratch); /* sorts them */
		w->order.finder = &w->finder;
		ordering_begin(&w->order, s->view, &w->uids, s->scratch);
	}
	if (!w->sorted && !ordering_go(&w->order, s))
		return STEP_AGAIN;
	w->sorted = true;
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

	ordering_close(&w->order);
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
