/* ESEARCH: a search in many mailboxes (rfc7377) */
#include "access/imap/contexts.h"
#include "access/imap/finder.h"
#include "access/imap/limit.h"
#include "access/imap/reach.h"
#include "access/imap/returns.h"
#include "access/imap/sources.h"

#include <string.h>

struct esearch_work {
	struct sources sources;
	struct program program;
	struct returns returns;
	bool           bad_charset, begun, damaged;
	const char   **name; /* of the mailboxes, in turn               */
	size_t         count, at;
	struct arena  *scratch; /* for one of them                         */
	struct view   *view;    /* ours, or the selected one               */
	struct finder  finder;
};

/* esearch = "ESEARCH" [SP esearch-source-opts] [SP search-return-opts] SP search-program   rfc7377:4 */
static void
esearch_parse(struct imap *s, struct scan *r)
{
	struct esearch_work *w = s->work = arena_take(s->scratch, sizeof *w);

	s->uid = true; /* rfc7377:2.1: numbers say nothing of other mailboxes */
	read_space(r);
	sources_read(s, r, &w->sources);
	returns_read(s, r, &w->returns);
	/* rfc7377:2.2 */
	if ((w->returns.give & RETURN_SAVE) && w->sources.others)
		scan_fail(r, "SAVE with the selected mailbox alone");
	if ((w->returns.give & RETURN_UPDATE) && s->view == NULL)
		scan_fail(r, "UPDATE with a selected mailbox");
	if (w->returns.give == 0)
		w->returns.give = RETURN_ALL;
	w->returns.extended = true;
	w->bad_charset = !returns_program(s, r, &w->returns, &w->program);
}

static void
no_news(void *ctx)
{
	(void)ctx;
}

/* The mailbox whose turn it is; true when there is nothing to look through, or `wait` until it has settled. */
static bool
passes_over(struct imap *s, struct esearch_work *w, const char *name, bool *wait)
{
	struct mailbox *m;
	int             why;

	if (s->view != NULL && strcmp(name, selected_name(s)) == 0) {
		w->view = s->view;
		return false;
	}
	/* rfc7377:2.2: what may not be read is as if it were not there. */
	if ((m = reach_take(s, name, RIGHT_READ, &why)) == NULL)
		return true;
	if (!imap_settled(s, m)) {
		mailbox_drop(&m);
		*wait = true;
		return true;
	}
	w->view = view_open(m, true, false, no_news, NULL);
	if (mailbox_account(m) == s->account || view_look_as(w->view, s->facts.account) == 0)
		return false;
	view_close(&w->view);
	return true;
}

static void
leave_mailbox(struct imap *s, struct esearch_work *w)
{
	finder_close(&w->finder);
	if (w->view != s->view)
		view_close(&w->view);
	w->view = NULL;
	if (w->scratch != NULL)
		arena_close(&w->scratch);
}

/* One response for each mailbox in which something was found. */
static void
say_found(struct imap *s, struct esearch_work *w)
{
	struct uid_set uids = ranges_set(&w->finder.found);
	struct result  r = { .set = uids, .count = uid_set_size(&uids) };

	w->damaged |= w->finder.damaged;
	if (w->returns.give & RETURN_SAVE)
		returns_save(s, &w->returns, &uids, NULL);
	if ((w->returns.give & RETURN_UPDATE) && w->view == s->view)
		contexts_add(s, &w->program, &uids, NULL, w->returns.update);
	if (r.count == 0 || (w->returns.give & ~(unsigned)RETURN_HINTS) == RETURN_SAVE)
		return;
	w->returns.mailbox = w->name[w->at];
	w->returns.uidvalidity = w->view->uidvalidity;
	r.score = finder_scores(&w->finder, w->scratch);
	returns_say(s, &w->returns, &r, imap_out(s));
	if (w->program.modseq)
		returns_say_modseq(s, &w->returns, w->view, &r, w->finder.modseq);
	buffer_add_string(imap_out(s), "\r\n");
}

static enum imap_step
esearch_run(struct imap *s)
{
	struct esearch_work *w = s->work;

	if (w->bad_charset)
		return returns_bad_charset(s);
	if (!w->begun) {
		if ((w->returns.give & RETURN_UPDATE) && contexts_named(s, s->tag))
			return imap_bad(s, "Tag reuse.");
		if (w->program.modseq)
			imap_enable_condstore(s);
		w->count = sources_list(s, &w->sources, &w->name);
		w->begun = true;
	}
	for (; w->at < w->count; w->at++) {
		enum finder_step step;
		bool             wait = false;

		if (imap_full(s) || imap_turn_over(s))
			return STEP_AGAIN;
		if (w->view == NULL) {
			if (passes_over(s, w, w->name[w->at], &wait)) {
				if (wait)
					return STEP_WAIT;
				continue;
			}
			if (limit_most(s) > 0 && view_count(w->view) > limit_most(s))
				return limit_no(s, limit_most(s), 0,
				                "Too many messages; name fewer.");
			w->scratch = arena_open(NULL);
			finder_open(&w->finder, s, w->view, &w->program, w->scratch);
		}
		step = finder_go(&w->finder);
		if (step != FINDER_OVER)
			return step == FINDER_WAIT ? STEP_WAIT : STEP_AGAIN;
		if (w->finder.later) {
			if (w->returns.give & RETURN_SAVE)
				ranges_free(&s->saved); /* rfc5182:2.1 */
			return imap_no(s, FINDER_LATER);
		}
		say_found(s, w);
		leave_mailbox(s, w);
	}
	return imap_ok(s, w->damaged ? "Search completed, but for damaged messages."
	                             : "Search completed.");
}

static void
esearch_drop(struct imap *s)
{
	struct esearch_work *w = s->work;

	if (w->view != NULL)
		leave_mailbox(s, w);
}

const struct imap_command imap_esearch = {
	.name = "ESEARCH",
	.rfc = "rfc7377:2",
	.in = ANYWHERE,
	/* Its own example puts UID before it. */
	.effect = MAY_EXPUNGE | HAS_UID_FORM | ONLY_UID_WITH_SET,
	.parse = esearch_parse,
	.run = esearch_run,
	.drop = esearch_drop,
};
