/* STORE: the flags of messages change, one fact whatever their number */
#include <errno.h>

#include "access/imap/limit.h"
#include "access/imap/reach.h"
#include "access/imap/session.h"

struct store_work {
	struct sequence   sequence;
	uint64_t          unchanged_since;
	bool              conditional, silent, some_gone;
	enum flags_how    how;
	struct flag_words flags;
	struct uid_set    modified;
	uint32_t          lowest; /* below it nothing was done */
};

/* store-modifier = "UNCHANGEDSINCE" SP mod-sequence-valzer   rfc7162:7 */
static void
read_modifier(struct scan *r, struct store_work *w)
{
	w->unchanged_since = UINT64_MAX;
	if (!scan_skip(r, '('))
		return;
	scan_expect(r, "UNCHANGEDSINCE ");
	w->unchanged_since = read_modseq(r);
	w->conditional = true;
	scan_expect(r, ")");
	read_space(r);
}

/* store = "STORE" SP sequence-set [SP store-modifiers] SP store-att-flags
   store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag))) */
static void
store_parse(struct imap *s, struct scan *r)
{
	struct store_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	w->sequence = read_sequence(r, s->scratch);
	read_space(r);
	read_modifier(r, w);
	w->how = scan_skip(r, '+') ? FLAGS_ADD : scan_skip(r, '-') ? FLAGS_REMOVE : FLAGS_SET;
	scan_expect(r, "FLAGS");
	w->silent = scan_skip_word(r, ".SILENT");
	read_space(r);
	w->flags = read_flags(r, s->scratch);
}

/* What is to be told: all of the set, as it is afterwards; of what was asked
   silently only its modseq, to clients that know it (rfc7162:3.1.3). */
static void
note_flags(struct imap *s, const struct store_work *w, const struct uid_set *set)
{
	struct view   *v = s->view;
	struct ranges *into = w->silent ? &v->stamped : &v->changed;

	if (!w->silent || s->condstore)
		ranges_add_set(into, set);
	/* Those that had been changed by others are told with their flags (rfc7162:3.1.3). */
	ranges_add_set(&v->changed, &w->modified);
}

static void
tally_deleted(struct imap *s, const struct store_work *w, const struct uid_set *set)
{
	if (w->how == FLAGS_REMOVE || !(w->flags.system & FLAG_DELETED))
		return;
	for (size_t i = 0; i < set->count; i++)
		s->tally.deleted += mailbox_first_at_least(s->view->mailbox, set->range[i].last) +
		                    1 -
		                    mailbox_first_at_least(s->view->mailbox, set->range[i].first);
}

/* Those that were not changed since; the others are told. */
static struct uid_set
unchanged(struct imap *s, struct store_work *w, const struct uid_set *set)
{
	struct ranges     may = { 0 }, not = { 0 };
	struct uid_range *kept;
	struct uid_set    out;

	for (size_t i = 0; i < set->count; i++)
		for (uint32_t uid = view_next(s->view, set->range[i].first);
		     uid != 0 && uid <= set->range[i].last; uid = view_next(s->view, uid + 1)) {
			struct entry e;
			if (view_find(s->view, uid, &e))
				ranges_add(e.modseq > w->unchanged_since ? &not : &may, uid, uid);
		}
	kept = arena_take_array(s->scratch, may.count + not .count + 1, sizeof *kept);
	for (size_t i = 0; i < may.count; i++)
		kept[i] = may.at[i];
	for (size_t i = 0; i < not .count; i++)
		kept[may.count + i] = not .at[i];
	out = (struct uid_set){ kept, may.count };
	w->modified = (struct uid_set){ kept + may.count, not .count };
	ranges_free(&may);
	ranges_free(&not );
	return out;
}

/* ---- in somebody else's mailbox ---- */

/* The flags that are one for all readers.  FLAGS (...) sets and clears those that may be changed, no others. */
static int
store_common(struct imap *s, const struct store_work *w, const struct uid_set *set, uint64_t may)
{
	struct mailbox   *m = s->view->mailbox;
	struct flag_words words = w->flags;
	uint64_t          bits;
	int               why;

	words.system &= may;
	if (!(may & FLAG_FLAGGED))
		words.keywords = 0;
	why = imap_flag_bits(m, &words, w->how != FLAGS_REMOVE, &bits);
	if (why != 0)
		return why;
	if (w->how != FLAGS_SET)
		return mailbox_flags(m, set, w->how, bits, UINT64_MAX, s->scratch, NULL,
		                     s->view->watch);
	if ((why = mailbox_flags(m, set, FLAGS_ADD, bits, UINT64_MAX, s->scratch, NULL,
	                         s->view->watch)) != 0)
		return why;
	return mailbox_flags(m, set, FLAGS_REMOVE, may & ~bits, UINT64_MAX, s->scratch, NULL,
	                     s->view->watch);
}

/* As far as the rights go; NO only when they reach nothing of what was asked (rfc4314:4). */
static enum imap_step
store_apart(struct imap *s, struct store_work *w, const struct uid_set *asked)
{
	uint64_t       may = reach_flags(reach_rights(s, s->view->mailbox));
	bool           any = w->how == FLAGS_SET ? may != 0 : (may & w->flags.system) != 0;
	bool           seen = (w->flags.system & FLAG_SEEN) != 0;
	struct uid_set set = unchanged(s, w, asked);
	int            why = 0;

	if (!any && !(w->flags.keywords > 0 && (may & FLAG_FLAGGED)))
		return imap_no_errno(s, EACCES);
	w->some_gone = !s->uid && view_has_gone(s->view, asked);
	view_hush(s->view, true);
	if (set.count > 0 && (may & ~(uint64_t)FLAG_SEEN))
		why = store_common(s, w, &set, may & ~(uint64_t)FLAG_SEEN);
	if (why == 0 && (may & FLAG_SEEN) && (seen || w->how == FLAGS_SET))
		why = seen_change(s->view->seen, &set, seen && w->how != FLAGS_REMOVE, UINT64_MAX,
		                  s->scratch, NULL, s->view->watch);
	view_hush(s->view, false);
	if (why != 0)
		return imap_no_errno(s, why);
	tally_deleted(s, w, &set);
	note_flags(s, w, &set);
	return STEP_BARRIER;
}

static enum imap_step
store_run(struct imap *s)
{
	struct store_work *w = s->work;
	struct uid_set     set;
	uint64_t           bits;
	bool               make = w->how != FLAGS_REMOVE;
	int                why;

	if (!imap_resolve(s, &w->sequence, s->uid, &set))
		return imap_bad(s, BEYOND_LAST);
	w->lowest = limit_cut(s, &set);
	if (w->conditional)
		imap_enable_condstore(s);
	if (s->view->seen != NULL)
		return store_apart(s, w, &set);
	/* Where nothing will be stored no keyword comes into being. */
	if (w->conditional)
		make = make && unchanged(s, w, &set).count > 0;
	w->modified = (struct uid_set){ 0 };
	why = imap_flag_bits(s->view->mailbox, &w->flags, make, &bits);
	if (why != 0)
		return imap_no(s, "[LIMIT] Too many different keywords in this mailbox.");
	w->some_gone = !s->uid && view_has_gone(s->view, &set);
	view_hush(s->view, true);
	why = mailbox_flags(s->view->mailbox, &set, w->how, bits, w->unchanged_since, s->scratch,
	                    &w->modified, s->view->watch);
	view_hush(s->view, false);
	if (why != 0)
		return imap_no_errno(s, why);
	tally_deleted(s, w, &set);
	note_flags(s, w, &set);
	return STEP_BARRIER;
}

/* [MODIFIED set] has numbers or uids as the command had (rfc7162:3.1.3). */
static void
store_modified(struct imap *s, struct store_work *w)
{
	struct ranges  numbers = { 0 };
	struct uid_set said = w->modified;
	struct buffer  text = { 0 };

	if (!s->uid) {
		for (size_t i = 0; i < w->modified.count; i++)
			for (uint32_t uid = w->modified.range[i].first;
			     uid != 0 && uid <= w->modified.range[i].last;
			     uid = view_next(s->view, uid + 1)) {
				uint32_t number = view_number(s->view, uid);
				if (number != 0)
					ranges_add(&numbers, number, number);
			}
		said = ranges_set(&numbers);
	}
	uid_set_text(&said, &text);
	buffer_add_char(&text, '\0');
	(void)imap_ok(s, "[MODIFIED %s] Conditional STORE failed for some.", text.at);
	buffer_free(&text);
	ranges_free(&numbers);
}

static void
store_safe(struct imap *s)
{
	struct store_work *w = s->work;

	if (w->modified.count > 0 || w->some_gone)
		limit_apart(s, w->lowest);
	if (w->modified.count > 0)
		store_modified(s, w);
	else if (w->some_gone)
		(void)imap_no(s, "[EXPUNGEISSUED] Some of the messages are no longer there.");
	else
		(void)limit_ok(s, w->lowest, "Store");
}

const struct imap_command imap_store = {
	.name = "STORE",
	.rfc = "rfc9051:6.4.6",
	.in = IN_SELECTED,
	.effect = HAS_UID_FORM | WRITES_MAILBOX,
	.parse = store_parse,
	.run = store_run,
	.safe = store_safe,
};
