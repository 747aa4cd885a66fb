/* COPY and MOVE: rows of the account's index, whatever the messages weigh */
#include <errno.h>
#include <string.h>

#include "access/imap/far.h"
#include "access/imap/limit.h"
#include "access/imap/ranges.h"
#include "access/imap/reach.h"
#include "access/imap/room.h"
#include "access/imap/session.h"
#include "store/quota.h"

/* Rows brought into another account in one step. */
enum { BRING_MOST = 200 };

struct copy_promise {
	struct imap *session; /* NULL: gone meanwhile */
};
struct copy_work {
	struct sequence      sequence;
	const char          *name;
	struct mailbox      *to;
	bool                 move, some_gone;
	bool                 across; /* to another account */
	bool                 copied;
	struct room          room; /* of the target's domain */
	bool                 asked;
	bool                 all;   /* all that there were */
	uint32_t             limit; /* nothing above it was asked for */
	struct ranges        sources, targets;
	uint32_t             brought;
	struct far          *far;    /* out of files, into the log of another account */
	unsigned             rights; /* in the target      */
	struct uid_set       set, source;
	struct uid_range     made;
	struct copy_promise *promise;
	bool                 kept; /* the copy is on disk; `why` it is not */
	int                  why;
	uint32_t             lowest; /* of a MOVE: below it nothing was done */
};

/* copy = "COPY" SP sequence-set SP mailbox */
static void
copy_parse(struct imap *s, struct scan *r)
{
	struct copy_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	w->sequence = read_sequence(r, s->scratch);
	read_space(r);
	w->name = imap_read_mailbox(s, r);
}

static void
move_parse(struct imap *s, struct scan *r)
{
	copy_parse(s, r);
	((struct copy_work *)s->work)->move = true;
}

static bool
is_trash(struct imap *s, const char *name)
{
	struct mailbox_info *info;
	size_t               count = account_list(s->account, s->scratch, &info);

	for (size_t i = 0; i < count; i++)
		if (info[i].use == USE_TRASH)
			return strcmp(info[i].name, name) == 0;
	return false;
}

/* What the messages weigh where they go; a move within an account weighs nothing, nor for its domain does one to another
   account, which is of the same. */
static int
copy_fits(struct imap *s, struct copy_work *w)
{
	struct mailbox *from = s->view->mailbox;
	struct account *to = mailbox_account(w->to);
	uint64_t        bytes = 0, count = 0;
	int             why;

	if (w->move && !w->across)
		return 0;
	for (size_t k = 0; k < w->set.count; k++)
		for (uint32_t i = mailbox_first_at_least(from, w->set.range[k].first);
		     i < mailbox_count(from); i++) {
			struct entry e = mailbox_entry(from, i);
			if (e.uid > w->set.range[k].last)
				break;
			bytes += e.size;
			count++;
		}
	why = account_fits(to, bytes, count, 0);
	w->asked = true;
	return why != 0 || w->move ? why : room_ask(s, &w->room, account_id(to), bytes, count);
}

/* "i" there; to move, "t" and "e" here (rfc6851:4.1). */
static int
copy_begin(struct imap *s, struct copy_work *w)
{
	unsigned here = reach_rights(s, s->view->mailbox);
	int      why = 0;

	w->to = reach_take(s, w->name, RIGHT_INSERT, &why);
	if (w->to == NULL)
		return why;
	if (w->move && (~here & (RIGHT_DELETE | RIGHT_EXPUNGE)) != 0)
		return EACCES;
	w->rights = reach_rights(s, w->to);
	w->across = mailbox_account(w->to) != mailbox_account(s->view->mailbox);
	return 0;
}

/* Which of the copies the reader has seen: in somebody else's mailbox that is marked apart. */
static void
seen_copies(struct imap *s, const struct uid_set *set, struct ranges *seen)
{
	struct mailbox *from = s->view->mailbox;
	uint32_t        count = 0;

	for (size_t k = 0; k < set->count; k++)
		for (uint32_t i = mailbox_first_at_least(from, set->range[k].first);
		     i < mailbox_count(from); i++) {
			struct entry e = view_entry(s->view, i);
			if (e.uid > set->range[k].last)
				break;
			count++;
			if (e.flags & FLAG_SEEN)
				ranges_add(seen, count, count);
		}
}

static int
copy_these(struct imap *s, struct copy_work *w, const struct uid_set *set)
{
	bool           apart = mailbox_account(w->to) != s->account;
	struct ranges  seen = { 0 };
	struct copy_as as = { .keep = reach_flags(w->rights),
		              .keywords = w->rights & RIGHT_WRITE,
		              .eyes = s->view->seen,
		              .some = true };
	int            why;

	if (apart && (as.keep & FLAG_SEEN))
		seen_copies(s, set, &seen);
	if (apart)
		as.keep &= ~(uint64_t)FLAG_SEEN;
	why = w->far != NULL
	              ? far_enter(w->far, &as, &w->source, &w->made)
	              : mailbox_copy_as(s->view->mailbox, set, w->to, w->move && !w->across, &as,
	                                s->scratch, &w->source, &w->made, s->view->watch);
	ranges_clip(&seen, 1, w->made.last - w->made.first + 1);
	for (size_t i = 0; i < seen.count; i++) {
		seen.at[i].first += w->made.first - 1;
		seen.at[i].last += w->made.first - 1;
	}
	if (why == 0 && seen.count > 0 && w->made.first > 0) {
		struct uid_set marked = ranges_set(&seen);
		why = reach_mark_seen(s, w->to, &marked);
	}
	ranges_free(&seen);
	return why;
}

/* Into files some go at a time; of those that went all go back if one cannot, but where they were moved. */
static int
copy_some(struct imap *s, struct copy_work *w)
{
	struct ranges  rest = { 0 };
	struct uid_set set, gone;
	uint32_t       after = w->sources.count > 0 ? w->sources.at[w->sources.count - 1].last : 0;
	int            why;

	ranges_add_set(&rest, &w->set);
	ranges_clip(&rest, after + 1, w->limit);
	set = ranges_set(&rest);
	why = copy_these(s, w, &set);
	ranges_free(&rest);
	if (why == 0 && w->made.first > 0) {
		ranges_add_set(&w->sources, &w->source);
		ranges_add(&w->targets, w->made.first, w->made.last);
	}
	w->all = w->source.count == 0 || w->far != NULL || !mailbox_is_outside(w->to);
	w->source = ranges_set(&w->sources);
	set = ranges_set(&w->targets);
	if (why != 0 && why != EBUSY && set.count > 0 && (!w->move || w->across) &&
	    !mailbox_gone(w->to))
		(void)mailbox_expunge(w->to, &set, true, s->scratch, &gone, NULL);
	return why;
}

static void
copy_kept(void *ctx, int why)
{
	struct copy_promise *p = ctx;
	struct imap         *s = p->session;

	memory_free(p);
	if (s != NULL) {
		struct copy_work *w = s->work;
		w->promise = NULL;
		w->kept = true;
		w->why = why;
		imap_wake(s);
	}
}

/* Between accounts a message goes from here only when it is on disk there. */
static enum imap_step
move_on(struct imap *s, struct copy_work *w)
{
	struct uid_set gone;
	int            why = w->why;

	if (w->promise != NULL)
		return STEP_WAIT;
	if (!w->kept) {
		w->promise = memory_take(sizeof *w->promise);
		w->promise->session = s;
		account_barrier(mailbox_account(w->to), copy_kept, w->promise);
		return STEP_WAIT;
	}
	if (why == 0)
		why = mailbox_expunge(s->view->mailbox, &w->source, true, s->scratch, &gone,
		                      s->view->watch);
	return why == 0 ? STEP_BARRIER : imap_no_errno(s, why);
}

/* To another account: its rows, some at a time, or what lies in files, letter by letter.  STEP_DONE: all is there. */
static enum imap_step
copy_bring(struct imap *s, struct copy_work *w, int *why)
{
	if (!w->across)
		return STEP_DONE;
	if (w->far == NULL) {
		*why = mailbox_bring(s->view->mailbox, &w->set, w->to, &w->brought, BRING_MOST);
		if (*why == EAGAIN)
			return STEP_AGAIN;
		if (*why != EXDEV)
			return STEP_DONE;
		w->far = far_open(s, s->view->mailbox, &w->set, w->to);
	}
	return far_step(w->far, why);
}

static enum imap_step
copy_run(struct imap *s)
{
	struct copy_work *w = s->work;
	uint64_t          count;
	uint32_t          lowest;
	enum imap_step    step;
	int               why = 0;

	if (w->copied)
		return move_on(s, w);
	if (w->to == NULL) {
		if ((why = copy_begin(s, w)) != 0)
			return reach_no_target(s, w->name, why);
		if (!imap_resolve(s, &w->sequence, s->uid, &w->set))
			return imap_bad(s, BEYOND_LAST);
		/* A COPY is whole or not at all; a MOVE goes on below (rfc9738:3.1). */
		if (w->move)
			w->lowest = limit_cut(s, &w->set);
		else if ((lowest = limit_lowest(s, &w->set, limit_saves(s))) != 0)
			return limit_no(s, limit_saves(s), lowest,
			                "Too many messages to copy; try fewer of them.");
		/* rfc2180:4.4: some of what the client counts may be gone. */
		w->limit = mailbox_count(s->view->mailbox) > 0
		                   ? mailbox_entry(s->view->mailbox,
		                                   mailbox_count(s->view->mailbox) - 1)
		                             .uid
		                   : 0;
		w->some_gone = !s->uid && view_has_gone(s->view, &w->set);
		why = copy_fits(s, w);
	} else if (w->asked)
		why = room_state(&w->room);
	if (why == EINPROGRESS)
		return STEP_WAIT;
	if (why != 0)
		return imap_no_errno(s, why);
	w->asked = false;
	if ((step = copy_bring(s, w, &why)) != STEP_DONE)
		return step;
	if (why == 0)
		why = copy_some(s, w);
	if (why == EBUSY && imap_locked(s, w->to))
		return STEP_WAIT;
	if (why != 0)
		return imap_no_errno(s, why);
	if (!w->all)
		return STEP_AGAIN;
	room_end(&w->room, w->targets.count > 0);
	count = uid_set_size(&w->source);
	if (w->move)
		s->tally.expunged += count;
	if (is_trash(s, w->name))
		s->tally.trashed += count;
	if (count == 0 && w->some_gone)
		return imap_no(s, "[EXPUNGEISSUED] These messages are no longer there.");
	w->copied = w->move && w->across;
	if (count > 0 && w->copied)
		return STEP_AGAIN;
	return count > 0 ? STEP_BARRIER : imap_ok(s, "No messages found.");
}

/* resp-code-copy = "COPYUID" SP nz-number SP uid-set SP uid-set   rfc4315:4 */
static void
copy_safe(struct imap *s)
{
	struct copy_work     *w = s->work;
	struct mailbox_status status;
	struct buffer         code = { 0 };
	struct uid_set        made = ranges_set(&w->targets);

	mailbox_facts(w->to, &status);
	buffer_printf(&code, "[COPYUID %u ", status.uidvalidity);
	uid_set_text(&w->source, &code);
	buffer_add_char(&code, ' ');
	uid_set_text(&made, &code);
	buffer_add_char(&code, ']');
	buffer_add_char(&code, '\0');
	if (w->move) {
		/* rfc6851:4.3: before the EXPUNGEs. */
		stream_printf(s->stream, "* OK %s Moved UIDs.\r\n", code.at);
		if (s->qresync)
			limit_apart(s, w->lowest);
		if (s->qresync || w->lowest == 0)
			(void)imap_ok_expunged(s, "Move completed.");
		else
			(void)limit_ok(s, w->lowest, "Move");
	} else
		(void)imap_ok(s, "%s Copy completed.", code.at);
	buffer_free(&code);
}

static void
copy_drop(struct imap *s)
{
	struct copy_work *w = s->work;

	room_end(&w->room, false);
	if (w->promise != NULL)
		w->promise->session = NULL;
	far_close(&w->far);
	ranges_free(&w->sources);
	ranges_free(&w->targets);
	mailbox_drop(&w->to);
}

const struct imap_command imap_copy = {
	.name = "COPY",
	.rfc = "rfc9051:6.4.7",
	.in = IN_SELECTED,
	.effect = MAY_EXPUNGE | HAS_UID_FORM,
	.parse = copy_parse,
	.run = copy_run,
	.safe = copy_safe,
	.drop = copy_drop,
};

const struct imap_command imap_move = {
	.name = "MOVE",
	.rfc = "rfc6851:3.1",
	.in = IN_SELECTED,
	.effect = MAY_EXPUNGE | HAS_UID_FORM | WRITES_MAILBOX,
	.parse = move_parse,
	.run = copy_run,
	.safe = copy_safe,
	.drop = copy_drop,
};
