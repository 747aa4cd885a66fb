/* SEARCH: which messages are like that (rfc3501:6.4.4, rfc4731, rfc5182, rfc9394) */
#include "access/imap/contexts.h"
#include "access/imap/finder.h"
#include "access/imap/limit.h"
#include "access/imap/returns.h"

enum { SAID_AT_ONCE = 4096 };

struct search_work {
	struct program program;
	struct returns returns;
	bool           bad_charset;
	bool           begun;
	struct finder  finder;
	struct uid_set found; /* as they are said                      */
	size_t         range; /* being said                            */
	uint32_t       said;
	bool           saying;
	uint32_t       lowest; /* below it nothing was looked at (rfc9738) */
};

/* search = "SEARCH" [search-return-opts] [SP "CHARSET" SP charset] 1*(SP search-key) */
static void
search_parse(struct imap *s, struct scan *r)
{
	struct search_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	returns_read(s, r, &w->returns);
	w->bad_charset = !returns_program(s, r, &w->returns, &w->program);
	/* rfc9051:6.4.4: rev2 knows no SEARCH response. */
	if (s->rev2 && !w->returns.extended) {
		w->returns.extended = true;
		w->returns.give = RETURN_ALL;
	}
}

/* ---- the answer ---------------------------------------------------------------- */

static void
say_extended(struct imap *s, struct search_work *w)
{
	struct buffer *out = imap_out(s);
	struct result  r = { .set = w->found, .count = uid_set_size(&w->found) };

	if ((w->returns.give & ~(unsigned)RETURN_HINTS) == RETURN_SAVE)
		return; /* rfc5182:2.1: nothing else was asked */
	r.score = finder_scores(&w->finder, s->scratch);
	returns_say(s, &w->returns, &r, out);
	if (w->program.modseq && r.count > 0)
		returns_say_modseq(s, &w->returns, s->view, &r, w->finder.modseq);
	buffer_add_string(out, "\r\n");
}

/* mailbox-data = "SEARCH" *(SP nz-number) [SP "(MODSEQ" SP n ")"]; false when the client must read first. */
static bool
say_plain(struct imap *s, struct search_work *w)
{
	struct buffer *out = imap_out(s);

	if (!w->saying)
		buffer_add_string(out, "* SEARCH");
	w->saying = true;
	for (size_t many = 0; w->range < w->found.count; many++) {
		const struct uid_range *range = &w->found.range[w->range];
		if (many > SAID_AT_ONCE && imap_full(s))
			return false;
		w->said = w->said < range->first ? range->first : w->said + 1;
		buffer_add_char(out, ' ');
		buffer_add_number(out, w->said);
		if (w->said == range->last)
			w->range++;
	}
	if (w->program.modseq && w->found.count > 0)
		buffer_printf(out, " (MODSEQ %llu)", (unsigned long long)w->finder.modseq);
	buffer_add_string(out, "\r\n");
	return true;
}

static enum imap_step
search_failed(struct imap *s, struct search_work *w, enum imap_step step)
{
	if (w->returns.give & RETURN_SAVE)
		ranges_free(&s->saved); /* rfc5182:2.1 */
	return step;
}

static enum imap_step
search_run(struct imap *s)
{
	struct search_work *w = s->work;

	if (w->bad_charset)
		return search_failed(s, w, returns_bad_charset(s));
	if (!w->begun) {
		if ((w->returns.give & RETURN_UPDATE) && contexts_named(s, s->tag))
			return imap_bad(s, "Tag reuse.");
		finder_open(&w->finder, s, s->view, &w->program, s->scratch);
		w->lowest = finder_limit(&w->finder);
		if (w->program.modseq)
			imap_enable_condstore(s);
		w->begun = true;
	}
	if (!w->saying) {
		enum finder_step step = finder_go(&w->finder);
		struct uid_set   uids = ranges_set(&w->finder.found);

		if (step != FINDER_OVER)
			return imap_searching(s, step == FINDER_WAIT, w->finder.uid);
		if (w->finder.later)
			return search_failed(s, w, imap_no(s, FINDER_LATER));
		w->found = result_numbers(s, s->view, &uids);
		if (w->returns.give & RETURN_SAVE)
			returns_save(s, &w->returns, &uids, NULL);
		if (w->returns.give & RETURN_UPDATE)
			contexts_add(s, &w->program, w->lowest == 0 ? &uids : NULL, NULL,
			             w->returns.update);
	}
	if (w->returns.extended)
		say_extended(s, w);
	else if (!say_plain(s, w))
		return STEP_AGAIN;
	if (!w->finder.damaged)
		return limit_ok(s, w->lowest, "Search");
	limit_apart(s, w->lowest);
	return imap_ok(s, "Search completed, but for damaged messages.");
}

static void
search_drop(struct imap *s)
{
	struct search_work *w = s->work;

	finder_close(&w->finder);
}

const struct imap_command imap_search = {
	.name = "SEARCH",
	.rfc = "rfc9051:6.4.4",
	.in = IN_SELECTED,
	.effect = HAS_UID_FORM,
	.parse = search_parse,
	.run = search_run,
	.drop = search_drop,
};
