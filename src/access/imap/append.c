/* APPEND: a letter comes into a mailbox, its bytes passed on as they arrive */
#include <errno.h>

#include "access/imap/input.h"
#include "access/imap/session.h"
#include "base/clock.h"
#include "message/date.h"

enum phase { BEGIN, TAKE, LINE, STORING, STORED };
struct append_work {
	enum phase           phase;
	const char          *name;
	struct flag_words    flags;
	bool                 dated;
	int64_t              date;
	int32_t              zone;
	uint64_t             size, left;
	bool                 crowded; /* the house wants no more just now */
	struct mailbox      *mailbox;
	struct imap_append  *append;
	struct imap_appended appended;
	int                  why;
	uint32_t             uid;
};

/* append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP literal   rfc3501:9 */
static void
append_parse(struct imap *s, struct scan *r)
{
	struct append_work *w = s->work = arena_take(s->scratch, sizeof *w);
	bool                waits;

	read_space(r);
	w->name = imap_read_mailbox(s, r);
	read_space(r);
	if (scan_next_is(r, '(')) {
		w->flags = read_flag_list(r, s->scratch);
		read_space(r);
	}
	if (scan_next_is(r, '"')) {
		struct bytes date = read_quoted(r, s->scratch);
		if (scan_ok(r) && !imap_datetime_parse(date, &w->date, &w->zone))
			scan_fail(r, "a date and time");
		w->dated = true;
		read_space(r);
	}
	if (!input_letter(s->input, &w->size, &waits) || !scan_next_is(r, '{'))
		scan_fail(r, "a literal");
	w->left = w->size;
}

static void
append_room(void *who)
{
	struct imap        *s = who;
	struct append_work *w = s->work;

	w->crowded = false;
	imap_wake(s);
}

static void
append_done(void *who, int why, const struct imap_appended *appended)
{
	struct imap        *s = who;
	struct append_work *w = s->work;

	w->append = NULL;
	w->why = why;
	if (why == 0)
		w->appended = *appended;
	w->phase = STORED;
	imap_wake(s);
}

static const struct imap_append_events append_events = { .room = append_room, .done = append_done };

/* The letter is not taken: one that waits to be asked is not asked for. */
static enum imap_step
append_refuse(struct imap *s, int why)
{
	uint64_t size;
	bool     waits;

	if (input_letter(s->input, &size, &waits) && !waits)
		input_skip(s->input, size);
	if (why == ENOENT)
		return imap_no(s, "[TRYCREATE] Mailbox doesn't exist.");
	return imap_no_errno(s, why);
}

static enum imap_step
append_begin(struct imap *s, struct append_work *w)
{
	uint64_t                 most = imap_config_of(s)->message_size_limit;
	void                    *ctx;
	const struct imap_needs *needs = imap_needs_of(s, &ctx);
	int                      why = 0;

	if (w->size == 0)
		return append_refuse(s, EINVAL);
	if (most > 0 && w->size > most)
		return append_refuse(s, EFBIG);
	w->mailbox = mailbox_take(s->account, w->name, &why);
	if (w->mailbox == NULL)
		return append_refuse(s, why);
	w->append = needs->append_begin(ctx, &s->facts, w->size, &append_events, s);
	if (w->append == NULL)
		return append_refuse(s, errno);
	input_ask(s->input, "OK");
	w->phase = TAKE;
	return STEP_AGAIN;
}

static enum imap_step
append_take(struct imap *s, struct append_work *w)
{
	void                    *ctx;
	const struct imap_needs *needs = imap_needs_of(s, &ctx);

	while (w->left > 0) {
		struct bytes arrived = input_peek(s->input);
		size_t       n = arrived.len < w->left ? arrived.len : (size_t)w->left;
		if (n == 0 || w->crowded)
			return STEP_WAIT;
		w->crowded = !needs->append_add(w->append, bytes_cut(arrived, 0, n));
		input_eat(s->input, n);
		w->left -= n;
	}
	w->phase = LINE;
	return STEP_AGAIN;
}

/* Behind the literal the line must end. */
static enum imap_step
append_line(struct imap *s, struct append_work *w)
{
	void                    *ctx;
	const struct imap_needs *needs = imap_needs_of(s, &ctx);
	struct bytes             line;
	size_t                   used;
	bool                     empty;

	if (!input_line(s->input, &line, &used))
		return STEP_WAIT;
	empty = line.len == 0;
	input_eat(s->input, used);
	if (!empty)
		return imap_bad(s, "Error in IMAP command APPEND: expected the end of the line.");
	w->phase = STORING;
	needs->append_end(w->append);
	return STEP_WAIT;
}

static enum imap_step
append_store(struct imap *s, struct append_work *w)
{
	struct arrival arrival = {
		.letter = w->appended.letter,
		.place = w->appended.place,
		.size = w->size,
		.internal_date = w->dated ? w->date : clock_wall(),
		.zone = w->zone,
		.sent_date = w->appended.sent_date,
	};
	int why = w->why;

	if (why == 0 && mailbox_gone(w->mailbox))
		why = ENOENT;
	if (why == 0)
		why = imap_flag_bits(w->mailbox, &w->flags, true, &arrival.flags);
	if (why == 0)
		why = mailbox_arrive(w->mailbox, &arrival, &w->uid);
	return why == 0 ? STEP_BARRIER : imap_no_errno(s, why);
}

static enum imap_step
append_run(struct imap *s)
{
	struct append_work *w = s->work;

	switch (w->phase) {
	case BEGIN: return append_begin(s, w);
	case TAKE: return append_take(s, w);
	case LINE: return append_line(s, w);
	case STORING: return STEP_WAIT;
	case STORED: return append_store(s, w);
	}
	return STEP_WAIT;
}

/* resp-code-apnd = "APPENDUID" SP nz-number SP append-uid   rfc4315:4 */
static void
append_safe(struct imap *s)
{
	struct append_work   *w = s->work;
	struct mailbox_status status;

	mailbox_status(w->mailbox, &status);
	(void)imap_ok(s, "[APPENDUID %u %u] Append completed.", status.uidvalidity, w->uid);
}

static void
append_drop(struct imap *s)
{
	struct append_work *w = s->work;
	void               *ctx;

	if (w->append != NULL)
		imap_needs_of(s, &ctx)->append_drop(w->append);
	w->append = NULL;
	mailbox_drop(&w->mailbox);
}

const struct imap_command imap_append = {
	.name = "APPEND",
	.rfc = "rfc3501:6.3.11",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE | TAKES_INPUT,
	.parse = append_parse,
	.run = append_run,
	.safe = append_safe,
	.drop = append_drop,
};
