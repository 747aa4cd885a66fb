#include "access/imap/far.h"

#include <errno.h>

#include "access/imap/letter.h"
#include "access/imap/ranges.h"

enum { PIECE = 64 << 10, WAITING_MOST = 8 };

/* A message on its way. */
struct far_letter {
	struct far          *far;
	uint32_t             uid;
	uint64_t             size;
	int64_t              date;
	int32_t              zone;
	struct imap_append  *append; /* NULL: none, or done */
	struct imap_appended appended;
	struct far_letter   *next;
};

struct far {
	struct imap          *session;
	struct mailbox       *from, *to;
	const struct uid_set *set;
	struct arena         *life;
	struct letter         letter;
	struct far_letter    *first, **last, *now;
	uint64_t              at; /* of the letter in hand, that is written */
	size_t                range;
	uint32_t              uid;     /* the last that was begun */
	size_t                pending; /* whole, and not yet safe */
	bool                  crowded;
	int                   why;
	struct ranges         source; /* those that went */
};

struct far *
far_open(struct imap *s, struct mailbox *from, const struct uid_set *set, struct mailbox *to)
{
	struct far *f = memory_take(sizeof *f);

	*f = (struct far){ .session = s, .from = from, .to = to, .set = set };
	f->life = arena_open(NULL);
	f->last = &f->first;
	letter_read_open(&f->letter, mailbox_account(from), f->life);
	return f;
}

void
far_close(struct far **fp)
{
	struct far *f = *fp;
	void       *ctx;

	*fp = NULL;
	if (f == NULL)
		return;
	for (struct far_letter *p = f->first; p != NULL; p = p->next)
		if (p->append != NULL)
			imap_needs_of(f->session, &ctx)->append_drop(p->append);
	ranges_free(&f->source);
	arena_close(&f->life);
	memory_free(f);
}

/* ---- the log ------------------------------------------------------------------- */

static void
room(void *who)
{
	struct far *f = ((struct far_letter *)who)->far;

	f->crowded = false;
	imap_wake(f->session);
}

static void
done(void *who, int why, const struct imap_appended *appended)
{
	struct far_letter *p = who;

	p->append = NULL;
	if (why == 0)
		p->appended = *appended;
	else if (p->far->why == 0)
		p->far->why = why;
	p->far->pending--;
	imap_wake(p->far->session);
}

static const struct imap_append_events events = { .room = room, .done = done };

/* The next message of the set that is there; false: there is none. */
static bool
next_entry(struct far *f, struct entry *e)
{
	for (; f->range < f->set->count; f->range++) {
		const struct uid_range *r = &f->set->range[f->range];
		uint32_t                i =
			mailbox_first_at_least(f->from, f->uid < r->first ? r->first : f->uid + 1);
		if (i < mailbox_count(f->from) && (*e = mailbox_entry(f->from, i)).uid <= r->last)
			return true;
	}
	return false;
}

static int
begin(struct far *f, const struct entry *e)
{
	struct far_letter *p = arena_take(f->life, sizeof *p);
	void              *ctx;
	int                why;

	letter_begin(&f->letter, e->message);
	if ((why = letter_digest(&f->letter)) != 0)
		return why;
	*p = (struct far_letter){ .far = f,
		                  .uid = e->uid,
		                  .size = f->letter.message.size,
		                  .date = f->letter.message.internal_date,
		                  .zone = f->letter.message.zone };
	p->append = imap_needs_of(f->session, &ctx)
	                    ->append_begin(ctx, &f->session->facts, p->size, &events, p);
	if (p->append == NULL)
		return errno;
	f->uid = e->uid;
	f->at = 0;
	f->now = *f->last = p;
	f->last = &p->next;
	return 0;
}

static int
go_on(struct far *f)
{
	char                     piece[PIECE];
	void                    *ctx;
	const struct imap_needs *needs = imap_needs_of(f->session, &ctx);
	struct far_letter       *p = f->now;

	while (f->at < p->size && !f->crowded) {
		size_t n = p->size - f->at < PIECE ? (size_t)(p->size - f->at) : PIECE;
		int    why = letter_read(&f->letter, f->at, piece, n);
		if (why != 0)
			return why;
		f->at += n;
		f->crowded = !needs->append_add(p->append, (struct bytes){ piece, n });
	}
	if (f->at == p->size) {
		f->crowded = false;
		f->now = NULL;
		f->pending++;
		needs->append_end(p->append);
	}
	return 0;
}

enum imap_step
far_step(struct far *f, int *why)
{
	struct entry e;

	*why = f->why;
	if (*why == 0 && (mailbox_gone(f->from) || mailbox_gone(f->to)))
		*why = ENOENT;
	while (*why == 0) {
		if (f->crowded || f->pending >= WAITING_MOST)
			return STEP_WAIT;
		if (imap_turn_over(f->session))
			return STEP_AGAIN;
		if (f->now != NULL)
			*why = go_on(f);
		else if (next_entry(f, &e))
			*why = begin(f, &e);
		else
			return f->pending > 0 ? STEP_WAIT : STEP_DONE;
		if (*why == EBUSY && imap_locked(f->session, f->from)) {
			*why = 0;
			return STEP_WAIT;
		}
	}
	return STEP_DONE;
}

/* ---- the mailbox ------------------------------------------------------------------ */

/* What goes along; keywords by name, for each mailbox has numbers of its own. */
static uint64_t
flags_there(struct far *f, const struct copy_as *as, uint64_t flags)
{
	uint64_t    out = flags & SYSTEM_FLAGS & as->keep;
	const char *name;

	for (int k = KEYWORD_FIRST;
	     as->keywords && (name = mailbox_keyword_name(f->from, k)) != NULL; k++) {
		int there;
		if (!mailbox_flags_have(f->from, flags, k))
			continue;
		if ((there = mailbox_keyword(f->to, bytes_of(name), true)) > 0)
			out = mailbox_flags_with(f->to, out, there);
	}
	return out;
}

static int
enter(struct far *f, const struct far_letter *p, const struct copy_as *as, uint32_t *uid)
{
	int64_t        at = mailbox_find(f->from, p->uid);
	struct arrival v = { .letter = p->appended.letter,
		             .place = p->appended.place,
		             .size = p->size,
		             .internal_date = p->date,
		             .zone = p->zone,
		             .sent_date = p->appended.sent_date };

	*uid = 0;
	if (at < 0)
		return 0; /* expunged meanwhile */
	v.flags = flags_there(f, as, view_entry(f->session->view, (uint32_t)at).flags);
	return mailbox_arrive(f->to, &v, uid);
}

int
far_enter(struct far *f, const struct copy_as *as, struct uid_set *source, struct uid_range *made)
{
	struct uid_set gone;
	uint32_t       uid;
	int            why = 0;

	*made = (struct uid_range){ 0, 0 };
	for (struct far_letter *p = f->first; p != NULL && why == 0; p = p->next) {
		if ((why = enter(f, p, as, &uid)) != 0 || uid == 0)
			continue;
		if (made->first == 0)
			made->first = uid;
		made->last = uid;
		ranges_add(&f->source, p->uid, p->uid);
	}
	gone = (struct uid_set){ made, 1 };
	if (why != 0 && made->first != 0)
		(void)mailbox_expunge(f->to, &gone, true, f->session->scratch, &gone, NULL);
	*source = ranges_set(&f->source);
	return why;
}
