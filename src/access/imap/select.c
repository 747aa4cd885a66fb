/* SELECT and EXAMINE: go into a mailbox */
#include <errno.h>
#include <string.h>

#include "access/imap/list.h"
#include "access/imap/notify.h"
#include "access/imap/objectid.h"
#include "access/imap/reach.h"
#include "access/imap/resync.h"
#include "access/imap/write.h"

struct select_work {
	const char     *name;
	struct bytes    given; /* as the client spelled it                */
	bool            condstore, qresync, examine, selected;
	uint32_t        uidvalidity; /* of QRESYNC: what the client knows        */
	uint64_t        modseq;
	struct sequence known, numbers, uids;
	struct resync   resync;
	size_t          range; /* of resync.changed                        */
	uint32_t        uid;
};

/* known-uids = sequence-set without "*"   rfc7162:7 */
static struct sequence
read_known(struct scan *r, struct arena *arena)
{
	struct sequence set = read_sequence(r, arena);

	for (size_t i = 0; i < set.count; i++)
		if (set.range[i].first_star || set.range[i].last_star)
			scan_fail(r, "a set without *");
	return set;
}

/* "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"
   seq-match-data = "(" known-sequence-set SP known-uid-set ")"   rfc7162:7 */
static void
read_qresync(struct imap *s, struct scan *r, struct select_work *w)
{
	/* rfc7162:3.2.5: only once it is enabled. */
	if (!s->qresync)
		scan_fail(r, "ENABLE QRESYNC before it");
	w->qresync = w->condstore = true;
	scan_expect(r, " (");
	w->uidvalidity = read_nz_number(r);
	read_space(r);
	w->modseq = read_modseq(r);
	if (scan_skip(r, ' ') && !scan_next_is(r, '(')) {
		w->known = read_known(r, s->scratch);
		if (scan_skip(r, ')'))
			return;
		read_space(r);
	}
	if (scan_skip(r, ')'))
		return;
	scan_expect(r, "(");
	w->numbers = read_known(r, s->scratch);
	read_space(r);
	w->uids = read_known(r, s->scratch);
	scan_expect(r, "))");
	if (s->uidonly)
		scan_fail(r, NUMBERS_ARE_PAST);
}

/* select-param = "CONDSTORE" / "QRESYNC" ...   rfc7162:7;
   select = "SELECT" SP mailbox [SP "(" param *(SP param) ")"]   rfc4466:2.1 */
static void
select_parse(struct imap *s, struct scan *r)
{
	struct select_work *w = s->work = arena_take(s->scratch, sizeof *w);
	struct scan         given;

	read_space(r);
	given = *r;
	w->given = read_astring(&given, s->scratch);
	w->name = imap_read_mailbox(s, r);
	if (!scan_skip(r, ' '))
		return;
	scan_expect(r, "(");
	do {
		if (scan_skip_word(r, "QRESYNC"))
			read_qresync(s, r, w);
		else {
			scan_expect(r, "CONDSTORE");
			w->condstore = true;
		}
	} while (scan_ok(r) && scan_skip(r, ' '));
	scan_expect(r, ")");
}

static void
examine_parse(struct imap *s, struct scan *r)
{
	select_parse(s, r);
	((struct select_work *)s->work)->examine = true;
}

static void
selected_news(void *ctx)
{
	struct imap *s = ctx;

	/* Between commands nothing may be said, but for IDLE and to who asked by NOTIFY. */
	if (s->command != NULL && (s->command->effect & PATIENT))
		imap_wake(s);
	else if (s->command == NULL && notify_at_once(s, false))
		imap_queue(s);
}

/* The number of the first message without \Seen; 0: none. */
static uint32_t
first_unseen(const struct view *v, const struct mailbox_status *status)
{
	if (status->unseen == 0 || v->seen == NULL)
		return status->unseen == 0 ? 0 : status->first_unseen;
	for (uint32_t i = 0; i < v->count; i++)
		if (!(view_entry(v, i).flags & FLAG_SEEN))
			return i + 1;
	return 0;
}

/* rfc3501:6.3.1: FLAGS EXISTS RECENT, then UNSEEN PERMANENTFLAGS UIDNEXT UIDVALIDITY;
   rfc9051:6.3.2 has no RECENT and UNSEEN, but LIST */
static void
tell_mailbox(struct imap *s)
{
	struct buffer        *out = imap_out(s);
	struct view          *v = s->view;
	struct mailbox_status status;
	uint32_t              unseen;

	view_status(v, &status);
	v->keywords = keywords_known(v->mailbox);
	buffer_add_string(out, "* FLAGS ");
	write_flags_known(out, v->mailbox);
	buffer_add_string(out, "\r\n* OK [PERMANENTFLAGS ");
	if (v->read_only)
		buffer_add_string(out, "()");
	else
		write_flags_may(out, v->mailbox, reach_flags(reach_rights(s, v->mailbox)));
	buffer_printf(out, "] %s\r\n", v->read_only ? "Read-only mailbox." : "Flags permitted.");
	buffer_printf(out, "* %u EXISTS\r\n", v->count);
	if (!s->rev2)
		buffer_printf(out, "* %u RECENT\r\n", view_recent_count(v));
	/* Not a number where there are none (rfc9586:3). */
	if (!s->rev2 && !s->uidonly && (unseen = first_unseen(v, &status)) > 0)
		buffer_printf(out, "* OK [UNSEEN %u] First unseen.\r\n", unseen);
	buffer_printf(out, "* OK [UIDVALIDITY %u] UIDs valid\r\n", status.uidvalidity);
	buffer_printf(out, "* OK [UIDNEXT %u] Predicted next UID\r\n", status.uidnext);
	buffer_printf(out, "* OK [HIGHESTMODSEQ %llu] Highest\r\n* OK [MAILBOXID (",
	              (unsigned long long)status.highest_modseq);
	objectid_mailbox(out, account_id(mailbox_account(v->mailbox)), status.id);
	buffer_add_string(out, ")] Its name for ever\r\n");
	s->rekeyed = false;
	if (s->facts.tls)
		buffer_add_string(out, "* OK [" URLMECH "] Mechanisms for URLs\r\n");
}

/* Nothing is known of a mailbox whose uids were given out anew (rfc7162:3.2.5.1). */
static void
find_changes(struct imap *s, struct select_work *w)
{
	struct uid_set known = resync_set(s->scratch, &w->known);
	uint32_t       sure;

	if (!w->qresync || s->view->uidvalidity != w->uidvalidity)
		return;
	sure = resync_match(s, &w->numbers, &w->uids);
	resync_begin(s, &w->resync, w->modseq, w->known.count > 0 ? &known : NULL, sure);
}

/* VANISHED before FETCH (rfc7162:3.2.5.1); false: another turn. */
static bool
tell_changes(struct imap *s, struct select_work *w)
{
	const struct uid_set *changed = &w->resync.changed;

	if (!resync_vanished(s, &w->resync))
		return false;
	for (; w->range < changed->count; w->range++) {
		const struct uid_range *one = &changed->range[w->range];
		if (w->uid < one->first)
			w->uid = one->first;
		while ((w->uid = view_next(s->view, w->uid)) != 0 && w->uid <= one->last) {
			if (imap_full(s) || imap_turn_over(s))
				return false;
			imap_tell_flags(s, w->uid++);
		}
	}
	return true;
}

/* Who may change nothing is told so (rfc4314:5.2). */
static bool
changes_something(struct imap *s, struct mailbox *m)
{
	return reach_rights(s, m) &
	       (RIGHT_SEEN | RIGHT_WRITE | RIGHT_INSERT | RIGHT_DELETE | RIGHT_EXPUNGE);
}

/* How the names of somebody else's mailboxes begin; memory to be freed, or NULL. */
static char *
name_before(const struct imap *s, const char *name, struct mailbox *m)
{
	size_t all = strlen(name), own = strlen(mailbox_name(m));
	char  *before;

	if (mailbox_account(m) == s->account || own >= all)
		return NULL;
	before = memory_take(all - own + 1);
	memcpy(before, name, all - own);
	return before;
}

static int
select_begin(struct imap *s, struct select_work *w)
{
	struct mailbox *mailbox;
	int             why = 0;
	bool            read_only;

	/* rfc7162:3.2.11: the old mailbox is closed even if the new one is not there. */
	if (s->view != NULL) {
		imap_unselect(s);
		buffer_add_string(imap_out(s), "* OK [CLOSED] Previous mailbox closed.\r\n");
	}
	if (w->condstore)
		s->condstore = true;
	mailbox = w->qresync ? reach_take(s, w->name, RIGHT_READ, &why)
	                     : reach_glance(s, w->name, RIGHT_READ, &why);
	if (mailbox == NULL)
		return why;
	if (!imap_settled(s, mailbox)) {
		mailbox_drop(&mailbox);
		return EAGAIN;
	}
	w->selected = true;
	read_only = w->examine || !changes_something(s, mailbox);
	s->view = view_open(mailbox, read_only, !read_only && !s->facts.command, selected_news, s);
	s->view->deaf = !(notify_wants(s) & EVENT_FLAGS);
	s->view->before = name_before(s, w->name, mailbox);
	if (mailbox_account(mailbox) != s->account &&
	    (why = view_look_as(s->view, s->facts.account)) != 0) {
		imap_unselect(s);
		return why;
	}
	if (s->rev2)
		s->view->recent = UINT32_MAX;
	tell_mailbox(s);
	if (s->rev2)
		list_tell(s, w->name, w->given);
	find_changes(s, w);
	return 0;
}

static enum imap_step
select_run(struct imap *s)
{
	struct select_work *w = s->work;
	int                 why;

	if (!w->selected && (why = select_begin(s, w)) != 0)
		return why == EAGAIN ? STEP_WAIT : imap_no_errno(s, why);
	if (s->view->lost || mailbox_gone(s->view->mailbox))
		return imap_ok(s, "Gone.");
	if (!tell_changes(s, w))
		return STEP_AGAIN;
	return imap_ok(s, "[%s] %s completed.", s->view->read_only ? "READ-ONLY" : "READ-WRITE",
	               w->examine ? "Examine" : "Select");
}

const struct imap_command imap_select = {
	.name = "SELECT",
	.rfc = "rfc9051:6.3.2",
	.in = ANYWHERE,
	.effect = NEEDS_NO_MESSAGE,
	.parse = select_parse,
	.run = select_run,
};

const struct imap_command imap_examine = {
	.name = "EXAMINE",
	.rfc = "rfc9051:6.3.3",
	.in = ANYWHERE,
	.effect = NEEDS_NO_MESSAGE,
	.parse = examine_parse,
	.run = select_run,
};
