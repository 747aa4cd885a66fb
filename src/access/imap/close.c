/* CLOSE, UNSELECT, EXPUNGE: leave a mailbox, or what is deleted in it */
#include <errno.h>

#include "access/imap/limit.h"
#include "access/imap/reach.h"
#include "access/imap/session.h"

struct expunge_work {
	struct sequence sequence;
	uint32_t        lowest; /* below it nothing was done */
};

static void
close_parse(struct imap *s, struct scan *r)
{
	(void)s;
	(void)r;
}

/* What has \Deleted goes without a word about it (rfc3501:6.4.2). */
static enum imap_step
close_run(struct imap *s)
{
	struct uid_set gone = { 0 };
	int            why = 0;

	/* Without "e" it only closes (rfc4314:4). */
	if (!imap_read_only(s) && reach_may_expunge(s))
		why = mailbox_expunge(s->view->mailbox, NULL, false, s->scratch, &gone,
		                      s->view->watch);
	s->tally.expunged += uid_set_size(&gone);
	imap_unselect(s);
	if (why != 0)
		return imap_no_errno(s, why);
	return gone.count > 0 ? STEP_BARRIER : imap_ok(s, "Close completed.");
}

static void
close_safe(struct imap *s)
{
	(void)imap_ok(s, "Close completed.");
}

const struct imap_command imap_close = {
	.name = "CLOSE",
	.rfc = "rfc9051:6.4.1",
	.in = IN_SELECTED,
	.parse = close_parse,
	.run = close_run,
	.safe = close_safe,
};

static enum imap_step
unselect_run(struct imap *s)
{
	imap_unselect(s);
	return imap_ok(s, "Unselect completed.");
}

const struct imap_command imap_unselect_command = {
	.name = "UNSELECT",
	.rfc = "rfc9051:6.4.2",
	.in = IN_SELECTED,
	.effect = NEEDS_NO_MESSAGE,
	.parse = close_parse,
	.run = unselect_run,
};

/* uid-expunge = "UID" SP "EXPUNGE" SP sequence-set   rfc4315:4 */
static void
expunge_parse(struct imap *s, struct scan *r)
{
	struct expunge_work *w = s->work = arena_take(s->scratch, sizeof *w);

	if (!s->uid)
		return;
	read_space(r);
	w->sequence = read_sequence(r, s->scratch);
}

/* Those of the set that would go, as many as may (rfc9738:3.1). */
static void
cut_deleted(struct imap *s, struct expunge_work *w, struct uid_set *set)
{
	struct mailbox *m = s->view->mailbox;
	struct ranges   deleted = { 0 };
	struct uid_set  all;

	if (limit_most(s) == 0 || view_count(s->view) <= limit_most(s))
		return;
	for (size_t k = 0; k < set->count; k++)
		for (uint32_t i = mailbox_first_at_least(m, set->range[k].first);
		     i < mailbox_count(m); i++) {
			struct entry e = mailbox_entry(m, i);
			if (e.uid > set->range[k].last)
				break;
			if (e.flags & FLAG_DELETED)
				ranges_add(&deleted, e.uid, e.uid);
		}
	all = ranges_set(&deleted);
	w->lowest = limit_cut(s, &all);
	if (w->lowest != 0)
		*set = all;
	ranges_free(&deleted);
}

static enum imap_step
expunge_run(struct imap *s)
{
	struct expunge_work *w = s->work;
	struct uid_set       set, gone = { 0 };
	int                  why;

	if (!reach_may_expunge(s))
		return imap_no_errno(s, EACCES);
	if (s->uid) {
		(void)imap_resolve(s, &w->sequence, true, &set);
		cut_deleted(s, w, &set);
	}
	why = mailbox_expunge(s->view->mailbox, s->uid ? &set : NULL, false, s->scratch, &gone,
	                      s->view->watch);
	if (why != 0)
		return imap_no_errno(s, why);
	s->tally.expunged += uid_set_size(&gone);
	return gone.count > 0 ? STEP_BARRIER : imap_ok(s, "Expunge completed.");
}

static void
expunge_safe(struct imap *s)
{
	struct expunge_work *w = s->work;

	if (s->qresync)
		limit_apart(s, w->lowest);
	if (s->qresync || w->lowest == 0)
		(void)imap_ok_expunged(s, "Expunge completed.");
	else
		(void)limit_ok(s, w->lowest, "Expunge");
}

const struct imap_command imap_expunge = {
	.name = "EXPUNGE",
	.rfc = "rfc9051:6.4.3",
	.in = IN_SELECTED,
	.effect = MAY_EXPUNGE | HAS_UID_FORM | ONLY_UID_WITH_SET | WRITES_MAILBOX,
	.parse = expunge_parse,
	.run = expunge_run,
	.safe = expunge_safe,
};
