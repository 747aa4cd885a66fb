/* APPEND and REPLACE: letters come into a mailbox, their bytes passed on as they arrive
 *
 * A command is lines and literals in turn; each line is read when the literal before it has
 * gone to the house.  What is built from pieces (CATENATE, rfc4469) is one letter whose size is
 * known at its end.  Nothing is in the mailbox before every letter of the command lies in the log
 * (rfc3502:3): then all of them arrive at once, and one barrier makes them durable.
 */
#include <errno.h>

#include "access/imap/input.h"
#include "access/imap/limit.h"
#include "access/imap/reach.h"
#include "access/imap/resource.h"
#include "access/imap/room.h"
#include "access/imap/session.h"
#include "access/imap/urlauth.h"
#include "base/clock.h"
#include "message/date.h"
#include "message/envelope.h"
#include "store/quota.h"

/* What is remembered of the letters of one command, some 30 000 of them; those that wait for the disk or
   a verifier at one time. */
enum { MEMORY_MOST = 4 << 20, PENDING_MOST = 32 };
enum { COPY_ROOM = 16 << 10 };

struct incoming { /* one letter                        */
	struct incoming     *next;
	struct imap         *session;
	uint64_t             system;
	struct bytes        *keyword;
	size_t               keywords;
	bool                 dated;
	int64_t              date;
	int32_t              zone;
	uint64_t             size;
	bool                 behind_header, in_line; /* as far as it has come               */
	bool                 eightbit;               /* a byte above 127 is in its header   */
	struct imap_append  *append;
	struct imap_appended appended;
	struct receipt       receipt; /* account 0: nothing was promised              */
	struct room          room;    /* of the mailbox's domain                      */
	int                  why;
};
enum phase {
	BEGIN,   /* is the mailbox there?                            */
	HEAD,    /* flags, date, and what the letter is made of      */
	ROOM,    /* has the domain room for it?                      */
	PIECE,   /* the next part of CATENATE                        */
	TAKE,    /* a literal that is (part of) the letter           */
	GATHER,  /* a literal that is a URL                          */
	COPY,    /* what a URL names                                 */
	LINE,    /* behind a literal the command goes on             */
	BEHIND,  /* behind a piece                                   */
	STORING, /* the house has them all                           */
};
struct append_work {
	enum phase       phase;
	const char      *name;
	struct mailbox  *mailbox;
	struct incoming *first, **last, *now;
	size_t           count, pending;
	uint64_t         bytes;  /* of those that are whole             */
	size_t           memory; /* that all of them take here          */
	int              why;    /* one of them failed                */
	struct arena    *pages;  /* memory of the line being read     */
	struct scan      line;
	const char      *line_at; /* where it begins                     */
	uint64_t         line_len, literal_len;
	uint64_t         before;  /* bytes of the command before it      */
	bool             literal; /* it ends in a literal, of which ...   */
	uint64_t         left;    /* so much is not read               */
	bool             waits;   /* its sender waits to be asked      */
	bool             pieces, utf8;
	bool             crowded; /* the house wants no more just now  */
	struct buffer    url;
	struct resource  resource;
	struct ranges    made;
	struct incoming *stores;  /* the first that is not in the mailbox */
	bool             kept;    /* what was promised holds: nothing is waited for */
	int              refused; /* to be said when that is durable                */
	bool             replaces;
	struct sequence  sequence;
	uint32_t         replaced;
	uint64_t         replaced_size;
	uint64_t         size; /* for which room was asked, and whether it was asked at all */
	int              why_room;
};

/* append = "APPEND" SP mailbox 1*append-message   rfc9051:9, rfc3502:4
   What follows the mailbox is read when its turn comes. */
static void
read_target(struct imap *s, struct scan *r, struct append_work *w)
{
	w->last = &w->first;
	w->name = imap_read_mailbox(s, r);
	if (scan_ok(r) && !scan_next_is(r, ' '))
		scan_fail(r, "a space and a literal");
	w->line = scan_of(r->rest);
	(void)scan_take(r, r->rest.len);
	w->literal = input_letter(s->input, &w->left, &w->waits);
	w->literal_len = w->left;
	w->line_at = s->tag.at; /* with which a command begins */
	w->line_len = (size_t)(w->line.rest.at - s->tag.at) + w->line.rest.len;
}

static void
append_parse(struct imap *s, struct scan *r)
{
	s->work = arena_take(s->scratch, sizeof(struct append_work));
	read_space(r);
	read_target(s, r, s->work);
}

/* replace = "REPLACE" SP seq-number SP mailbox append-message   rfc8508:5 */
static void
replace_parse(struct imap *s, struct scan *r)
{
	struct append_work *w = s->work = arena_take(s->scratch, sizeof *w);

	w->replaces = true;
	read_space(r);
	w->sequence = read_sequence(r, s->scratch);
	if (scan_ok(r) &&
	    (w->sequence.count != 1 || w->sequence.range[0].first != w->sequence.range[0].last))
		scan_fail(r, "one message number");
	read_space(r);
	read_target(s, r, w);
}

/* ---- refusing ------------------------------------------------------------------ */

/* What is still to come of the command is passed over; a literal that waits to be asked
   for is not asked for, and its sender goes on with another command. */
static enum imap_step
append_over(struct imap *s, struct append_work *w, enum imap_step step)
{
	if (w->phase == LINE)
		input_skip(s->input, 0);
	else if (w->literal && !w->waits)
		input_skip(s->input, w->left);
	w->literal = false;
	return step;
}

static enum imap_step
append_refuse(struct imap *s, struct append_work *w, int why)
{
	return append_over(s, w, reach_no_target(s, w->name, why));
}

static enum imap_step
append_bad(struct imap *s, struct append_work *w)
{
	return append_over(s, w,
	                   imap_bad(s, "Error in IMAP command %s: expected %s at byte %llu.",
	                            s->command->name, w->line.fault,
	                            (unsigned long long)w->before +
	                                    (size_t)(w->line.fault_at - w->line_at) + 1));
}

/* resp-text-code =/ "BADURL" SP url-resp-text   rfc4469:5 */
static enum imap_step
append_bad_url(struct imap *s, struct append_work *w)
{
	struct buffer words = { 0 };

	for (size_t i = 0; i < w->url.len && i < 500; i++) {
		char c = w->url.at[i];
		if (c > ' ' && c < 127 && c != '"' && c != '\\' && c != ']')
			buffer_add_char(&words, c);
	}
	(void)imap_no(s, "[BADURL \"%.*s\"] The URL names nothing that can be read.",
	              (int)words.len, words.len > 0 ? words.at : "");
	buffer_free(&words);
	return append_over(s, w, STEP_DONE);
}

/* rfc3502:3: a message of nothing is answered NO, and is how a client calls off what came before it in the command. */
static enum imap_step
append_nothing(struct imap *s, struct append_work *w)
{
	(void)imap_no(s, w->count > 0 ? "Called off by a message of zero bytes; none was saved."
	                              : "[CANNOT] A message of zero bytes cannot be saved.");
	return append_over(s, w, STEP_DONE);
}

/* ---- the house ------------------------------------------------------------------- */

static void
append_room(void *who)
{
	struct incoming    *n = who;
	struct append_work *w = n->session->work;

	w->crowded = false;
	imap_wake(n->session);
}

static void
append_done(void *who, int why, const struct imap_appended *appended)
{
	struct incoming    *n = who;
	struct append_work *w = n->session->work;

	n->append = NULL;
	n->why = why;
	if (why == 0)
		n->appended = *appended;
	else if (w->why == 0)
		w->why = why;
	w->pending--;
	imap_wake(n->session);
}

/* One letter, into a mailbox of one's own: its OK may rest on the log. */
static bool
append_promise(void *who, uint32_t segment, struct receipt *out)
{
	struct incoming    *n = who;
	struct append_work *w = n->session->work;

	if (w->phase != STORING || w->count != 1 || w->replaces || n->keywords > 0 ||
	    mailbox_account(w->mailbox) != n->session->account ||
	    !mailbox_promise(w->mailbox, segment, out))
		return false;
	if (!n->dated)
		n->date = clock_wall();
	n->dated = true;
	out->flags = (uint32_t)n->system;
	out->date = n->date;
	out->zone = n->zone;
	n->receipt = *out;
	return true;
}

static const struct imap_append_events append_events = { .room = append_room,
	                                                 .promise = append_promise,
	                                                 .done = append_done };

/* `size` 0: known at the end. */
static int
letter_opens(struct imap *s, struct append_work *w, uint64_t size)
{
	void                    *ctx;
	const struct imap_needs *needs = imap_needs_of(s, &ctx);

	w->now->append = needs->append_begin(ctx, &s->facts, size, &append_events, w->now);
	return w->now->append == NULL ? errno : 0;
}

/* The header ends with an empty line. */
static void
header_watch(struct incoming *n, struct bytes more)
{
	for (size_t i = 0; i < more.len && !n->behind_header; i++) {
		char c = more.at[i];
		n->eightbit |= (c & 0x80) != 0;
		if (c == '\n') {
			n->behind_header = !n->in_line;
			n->in_line = false;
		} else if (c != '\r')
			n->in_line = true;
	}
}

static void
letter_grows(struct imap *s, struct append_work *w, struct bytes more)
{
	void *ctx;

	header_watch(w->now, more);
	w->now->size += more.len;
	w->crowded = !imap_needs_of(s, &ctx)->append_add(w->now->append, more);
}

static void
letter_ends(struct imap *s, struct append_work *w)
{
	void *ctx;

	w->pending++;
	w->count++;
	w->bytes += w->now->size;
	imap_needs_of(s, &ctx)->append_end(w->now->append);
	w->now = NULL;
}

/* What takes the place of another counts by what it is more than that one (rfc8508:3.4), while that is there. */
static int
fits(struct imap *s, const struct append_work *w, uint64_t bytes, uint64_t count)
{
	struct account *a = mailbox_account(w->mailbox);

	if (w->replaces && mailbox_find(s->view->mailbox, w->replaced) >= 0)
		return account_fits_instead(a, bytes, w->replaced_size);
	return account_fits(a, bytes, count, 0);
}

/* EFBIG, or EDQUOT: with those of this command that came before it would be too much (rfc9208:4.3.1). */
static int
too_big(struct imap *s, struct append_work *w, uint64_t size)
{
	uint64_t most = imap_config_of(s)->message_size_limit;

	if (most > 0 && size > most)
		return EFBIG;
	return fits(s, w, w->bytes + size, w->count + 1);
}

/* ---- the command, line by line ------------------------------------------------------ */

static void
keep_flags(struct imap *s, struct append_work *w, struct flag_words flags)
{
	w->now->system = flags.system;
	w->now->keywords = flags.keywords;
	w->now->keyword = arena_take_array(s->scratch, flags.keywords + 1, sizeof(struct bytes));
	for (size_t i = 0; i < flags.keywords; i++) {
		w->now->keyword[i] = arena_keep(s->scratch, flags.keyword[i]);
		w->memory += sizeof(struct bytes) + flags.keyword[i].len;
	}
}

/* literal / literal8, at the end of its line: its size. */
static uint64_t
read_announced(struct append_work *w)
{
	struct scan *r = &w->line;
	uint64_t     size;

	(void)scan_skip(r, '~');
	if (!w->literal)
		scan_fail(r, "a literal");
	scan_expect(r, "{");
	size = scan_number(r, INT64_MAX);
	(void)scan_skip(r, '+');
	scan_expect(r, "}");
	scan_end(r);
	return size;
}

/* "UTF8" SP "(" literal8 ")"   rfc6855:4 */
static uint64_t
read_data(struct append_work *w)
{
	w->utf8 = scan_skip_word(&w->line, "UTF8 (");
	if (w->utf8 && !scan_next_is(&w->line, '~'))
		scan_fail(&w->line, "a literal8");
	return read_announced(w);
}

/* The literal may come: it is asked for where its sender waits. */
static enum imap_step
literal_begins(struct imap *s, struct append_work *w, enum phase phase)
{
	if (w->waits)
		stream_say_string(s->stream, "+ OK\r\n");
	w->waits = false;
	w->phase = phase;
	return STEP_AGAIN;
}

/* The domain is asked once it is known how large the letter is: before its literal, or behind its last piece. */
static enum imap_step
room_wanted(struct imap *s, struct append_work *w, uint64_t size)
{
	bool     instead = w->replaces && mailbox_find(s->view->mailbox, w->replaced) >= 0;
	uint64_t gone = !instead ? 0 : size < w->replaced_size ? size : w->replaced_size;

	w->why_room = room_ask(s, &w->now->room, account_id(mailbox_account(w->mailbox)),
	                       size - gone, instead ? 0 : 1);
	w->size = size;
	w->phase = ROOM;
	return STEP_AGAIN;
}

static enum imap_step
append_room_step(struct imap *s, struct append_work *w)
{
	int why = w->why_room != EINPROGRESS ? w->why_room : room_state(&w->now->room);

	if (why == EINPROGRESS)
		return STEP_WAIT;
	if (why == 0 && !w->pieces)
		why = letter_opens(s, w, w->size);
	if (why != 0)
		return append_refuse(s, w, why);
	if (!w->pieces)
		return literal_begins(s, w, TAKE);
	letter_ends(s, w);
	w->phase = w->line.rest.len > 0 ? HEAD : STORING;
	return STEP_AGAIN;
}

/* True when this command may hold no more letters. */
static bool
append_full(struct imap *s, const struct append_work *w, enum imap_step *step)
{
	uint32_t most = limit_saves(s);

	if (most > 0 && w->count >= most)
		*step = limit_no(s, most, 0, "Too many messages in one command.");
	else if (w->memory > MEMORY_MOST || (w->replaces && w->count > 0))
		*step = imap_no(s, "[LIMIT] Too many messages in one command.");
	else
		return false;
	return true;
}

/* append-message = [SP flag-list] [SP date-time] SP append-data */
static enum imap_step
append_head(struct imap *s, struct append_work *w)
{
	struct scan     *r = &w->line;
	struct incoming *n;
	uint64_t         size = 0;
	enum imap_step   full;
	int              why;

	if (append_full(s, w, &full))
		return append_over(s, w, full);
	n = w->now = arena_take(s->scratch, sizeof *n);
	w->memory += sizeof *n;
	*w->last = n;
	w->last = &n->next;
	n->session = s;
	read_space(r);
	if (scan_next_is(r, '(')) {
		keep_flags(s, w, read_flag_list(r, w->pages));
		read_space(r);
	}
	if (scan_next_is(r, '"')) {
		struct bytes date = read_quoted(r, w->pages);
		if (scan_ok(r) && !imap_datetime_parse(date, &n->date, &n->zone))
			scan_fail(r, "a date and time");
		n->dated = true;
		read_space(r);
	}
	w->pieces = scan_skip_word(r, "CATENATE (");
	if (!w->pieces)
		size = read_data(w);
	if (!scan_ok(r))
		return append_bad(s, w);
	if (!w->pieces && size == 0)
		return append_nothing(s, w);
	why = too_big(s, w, size);
	if (why == 0 && w->pieces)
		why = letter_opens(s, w, 0);
	if (why != 0)
		return append_refuse(s, w, why);
	if (!w->pieces)
		return room_wanted(s, w, size);
	w->phase = PIECE;
	return STEP_AGAIN;
}

/* cat-part = "URL" SP url / "TEXT" SP literal / utf8-literal   rfc4469:5, rfc6855:4 */
static enum imap_step
append_piece(struct imap *s, struct append_work *w)
{
	struct scan *r = &w->line;
	uint64_t     size;
	int          why;
	bool         url = scan_skip_word(r, "URL ");

	if (url && !scan_next_is(r, '{')) {
		buffer_add(&w->url, read_astring(r, w->pages));
		w->phase = COPY;
		return scan_ok(r) ? STEP_AGAIN : append_bad(s, w);
	}
	if (url) {
		size = read_announced(w);
		if (scan_ok(r) && size > URL_MOST)
			scan_fail(r, "a shorter URL");
		return scan_ok(r) ? literal_begins(s, w, GATHER) : append_bad(s, w);
	}
	if (!scan_skip_word(r, "TEXT ") && !scan_next_is(r, 'U') && !scan_next_is(r, 'u'))
		scan_fail(r, "URL or TEXT");
	size = read_data(w);
	if (!scan_ok(r))
		return append_bad(s, w);
	if ((why = size > INT64_MAX / 2 ? EFBIG : too_big(s, w, size + w->now->size)) != 0)
		return append_refuse(s, w, why);
	return literal_begins(s, w, TAKE);
}

static enum imap_step
append_take(struct imap *s, struct append_work *w)
{
	while (w->left > 0) {
		struct bytes arrived = input_peek(s->input);
		size_t       n = arrived.len < w->left ? arrived.len : (size_t)w->left;
		if (n == 0 || w->crowded)
			return STEP_WAIT;
		if (w->phase == TAKE)
			letter_grows(s, w, bytes_cut(arrived, 0, n));
		else
			buffer_add(&w->url, bytes_cut(arrived, 0, n));
		input_eat(s->input, n);
		w->left -= n;
	}
	w->literal = false;
	w->phase = LINE;
	return STEP_AGAIN;
}

/* Where the URL names no mailbox the selected one is meant (rfc4469:2); what may be read is told by
   the rights the reader has now. */
static struct mailbox *
mailbox_of_url(struct imap *s, const struct imap_url *url)
{
	struct mailbox *selected = s->view != NULL ? s->view->mailbox : NULL;
	const char     *name;
	int             why;

	if (!urlauth_is_ours(&imap_config_of(s)->rows.url_hosts, url))
		return NULL;
	if (url->user.len > 0 && !bytes_is(bytes_of(s->facts.user),
	                                   urlauth_address(s->scratch, url->user, s->facts.user)))
		return NULL;
	if (url->mailbox.len > 0) {
		name = mailbox_name_of(url->mailbox, s->scratch, true);
		return name != NULL ? reach_take(s, name, RIGHT_READ, &why) : NULL;
	}
	if (selected == NULL || !(reach_rights(s, selected) & RIGHT_READ))
		return NULL;
	return mailbox_take(mailbox_account(selected), mailbox_name(selected), &why);
}

static bool
url_opens(struct imap *s, struct append_work *w)
{
	struct imap_url url;
	struct mailbox *m;

	if (!url_read(buffer_bytes(&w->url), w->pages, &url) ||
	    (m = mailbox_of_url(s, &url)) == NULL)
		return false;
	return resource_open(&w->resource, m, &url, w->pages) == 0;
}

/* What the URL names, in turns. */
static enum imap_step
append_copy(struct imap *s, struct append_work *w)
{
	int     why;
	char    room[COPY_ROOM];
	ssize_t n;

	if (w->resource.letter.arena == NULL) {
		if (!url_opens(s, w))
			return append_bad_url(s, w);
		if ((why = too_big(s, w, w->now->size + w->resource.len)) != 0)
			return append_refuse(s, w, why);
	} else if (resource_again(&w->resource) != 0)
		return append_bad_url(s, w);
	while (!w->crowded && !imap_turn_over(s)) {
		n = resource_read(&w->resource, room, sizeof room);
		if (n < 0)
			return append_bad_url(s, w);
		if (n == 0) {
			resource_close(&w->resource);
			w->resource.letter.arena = NULL;
			w->phase = BEHIND;
			return STEP_AGAIN;
		}
		letter_grows(s, w, (struct bytes){ room, (size_t)n });
	}
	return w->crowded ? STEP_WAIT : STEP_AGAIN;
}

/* The line behind a literal, kept until the next. */
static enum imap_step
append_line(struct imap *s, struct append_work *w)
{
	struct bytes line;
	size_t       used;

	if (w->pending >= PENDING_MOST || !input_line(s->input, &line, &used))
		return STEP_WAIT;
	arena_clear(w->pages);
	w->line = scan_of(arena_keep(w->pages, line));
	w->before += w->line_len + 2 + w->literal_len;
	w->line_at = w->line.rest.at;
	w->line_len = w->line.rest.len;
	w->literal = literal_announced(w->line.rest, &w->left, &w->waits);
	w->literal_len = w->literal ? w->left : 0;
	input_eat(s->input, used);
	w->phase = w->url.len > 0 ? COPY : BEHIND;
	return STEP_AGAIN;
}

/* Behind a piece: another one, the end of the letter, another letter, or the end of the line. */
static enum imap_step
append_behind(struct imap *s, struct append_work *w)
{
	struct scan *r = &w->line;

	if (w->utf8)
		scan_expect(r, ")");
	w->utf8 = false;
	buffer_reset(&w->url);
	if (w->pieces && scan_skip(r, ' ')) {
		w->phase = PIECE;
		return STEP_AGAIN;
	}
	if (w->pieces)
		scan_expect(r, ")");
	if (scan_ok(r) && r->rest.len > 0 && !scan_next_is(r, ' '))
		scan_fail(r, "the end of the line");
	if (!scan_ok(r))
		return append_bad(s, w);
	if (w->now->size == 0)
		return append_nothing(s, w);
	if (w->now->eightbit && !imap_speaks_utf8(s) && !imap_config_of(s)->rows.append_eightbit)
		return append_refuse(s, w, EILSEQ);
	if (w->pieces)
		return room_wanted(s, w, w->now->size);
	letter_ends(s, w);
	w->phase = r->rest.len > 0 ? HEAD : STORING;
	return STEP_AGAIN;
}

/* ---- into the mailbox ------------------------------------------------------------------ */

static int
arrive(struct imap *s, struct append_work *w, const struct incoming *n)
{
	struct arrival arrival = {
		.letter = n->appended.letter,
		.place = n->appended.place,
		.size = n->size,
		.internal_date = n->dated ? n->date : clock_wall(),
		.zone = n->zone,
		.sent_date = n->appended.sent_date,
	};
	unsigned          rights = reach_rights(s, w->mailbox);
	struct flag_words words = { n->system & reach_flags(rights), n->keyword,
		                    rights & RIGHT_WRITE ? n->keywords : 0 };
	bool              apart = mailbox_account(w->mailbox) != s->account;
	struct uid_range  one;
	uint32_t          uid = 0;
	bool              promised = n->receipt.account != 0, alone = w->count == 1 && !w->replaces;
	int               why = 0;

	if (!promised)
		why = fits(s, w, n->size, 1);
	if (why == 0)
		why = imap_flag_bits(w->mailbox, &words, true, &arrival.flags);
	if (apart)
		arrival.flags &= ~(uint64_t)FLAG_SEEN;
	if (why == 0 && alone && n->appended.shared)
		why = mailbox_append(w->mailbox, &arrival, promised ? &n->receipt : NULL, &uid,
		                     &w->kept);
	else if (why == 0)
		why = mailbox_arrive(w->mailbox, &arrival, &uid);
	if (why == 0)
		ranges_add(&w->made, uid, uid);
	one = (struct uid_range){ uid, uid };
	if (why == 0 && apart && (words.system & FLAG_SEEN))
		why = reach_mark_seen(s, w->mailbox, &(struct uid_set){ &one, 1 });
	return why;
}

static void append_safe(struct imap *);

/* No letter of this command comes.  What was promised of one must not be done again later, and then NO is said. */
static enum imap_step
append_takes_back(struct imap *s, struct append_work *w, int why)
{
	const struct incoming *n = w->first;

	if (n == NULL || n->receipt.account == 0 || w->why != 0 ||
	    account_refuses(mailbox_account(w->mailbox), &n->appended.place) != 0)
		return append_refuse(s, w, why);
	w->refused = why;
	return STEP_BARRIER;
}

/* All of them or none: those that came before one that cannot are taken back. */
static enum imap_step
append_store(struct imap *s, struct append_work *w)
{
	struct uid_range one = { w->replaced, w->replaced };
	struct uid_set   made, gone, replaced = { &one, 1 };
	int              why = w->why;

	if (w->pending > 0)
		return STEP_WAIT;
	if (why == 0 && mailbox_gone(w->mailbox))
		why = ENOENT;
	if (w->stores == NULL)
		w->stores = w->first;
	while (why == 0 && w->stores != NULL && (why = arrive(s, w, w->stores)) == 0)
		w->stores = w->stores->next;
	if (why == EBUSY && imap_locked(s, w->mailbox))
		return STEP_WAIT;
	if (why == 0 && w->replaces)
		why = mailbox_expunge(s->view->mailbox, &replaced, true, s->scratch, &gone,
		                      s->view->watch);
	made = ranges_set(&w->made);
	if (why != 0 && made.count > 0)
		(void)mailbox_expunge(w->mailbox, &made, true, s->scratch, &gone, NULL);
	if (why != 0)
		return append_takes_back(s, w, why);
	for (struct incoming *n = w->first; n != NULL; n = n->next)
		room_end(&n->room, true);
	if (!w->kept)
		return STEP_BARRIER;
	append_safe(s);
	return STEP_DONE;
}

static enum imap_step
append_begin(struct imap *s, struct append_work *w)
{
	struct uid_set set;
	struct entry   e;
	int            why = 0;

	w->pages = arena_open(s->scratch);
	if (w->replaces && imap_read_only(s))
		return append_over(s, w, imap_no(s, "[READ-ONLY] The mailbox is open read-only."));
	if (w->replaces) {
		if (!imap_resolve(s, &w->sequence, s->uid, &set))
			return append_over(s, w, imap_bad(s, BEYOND_LAST));
		if (set.count == 0 || !view_find(s->view, set.range[0].first, &e))
			return append_over(s, w,
			                   imap_no(s, "[NONEXISTENT] There is no such message."));
		w->replaced = e.uid;
		w->replaced_size = e.size;
	}
	w->mailbox = reach_take(s, w->name, RIGHT_INSERT, &why);
	/* What goes and what comes would be of two accounts, with no order between them. */
	if (w->mailbox != NULL && w->replaces &&
	    mailbox_account(w->mailbox) != mailbox_account(s->view->mailbox))
		return append_over(s, w,
		                   imap_no(s,
		                           "[CANNOT] REPLACE stays within one account; use COPY."));
	if (w->mailbox != NULL && w->replaces && !reach_may_expunge(s))
		why = EACCES;
	if (why != 0)
		return append_refuse(s, w, why);
	w->phase = HEAD;
	return STEP_AGAIN;
}

static enum imap_step
append_run(struct imap *s)
{
	static enum imap_step (*const steps[])(struct imap *, struct append_work *) = {
		[BEGIN] = append_begin,   [HEAD] = append_head, [ROOM] = append_room_step,
		[PIECE] = append_piece,   [TAKE] = append_take, [GATHER] = append_take,
		[COPY] = append_copy,     [LINE] = append_line, [BEHIND] = append_behind,
		[STORING] = append_store,
	};
	struct append_work *w = s->work;

	if (w->why != 0 && w->phase != STORING && w->phase != TAKE)
		return append_refuse(s, w, w->why);
	return steps[w->phase](s, w);
}

/* resp-code-apnd = "APPENDUID" SP nz-number SP append-uid   rfc4315:4, as a set rfc3502:4 */
static void
append_safe(struct imap *s)
{
	struct append_work   *w = s->work;
	struct mailbox_status status;
	struct uid_set        made = ranges_set(&w->made);
	struct buffer         text = { 0 };

	if (w->refused != 0) {
		(void)append_refuse(s, w, w->refused);
		return;
	}
	mailbox_facts(w->mailbox, &status);
	uid_set_text(&made, &text);
	buffer_add_char(&text, '\0');
	if (w->replaces) {
		/* rfc8508:4.3: before the EXPUNGE. */
		stream_printf(s->stream, "* OK [APPENDUID %u %s] Replacement ready.\r\n",
		              status.uidvalidity, text.at);
		s->tally.expunged++;
		(void)imap_ok_expunged(s, "Replace completed."); /* rfc8508:4.5 */
	} else
		(void)imap_ok(s, "[APPENDUID %u %s] Append completed.", status.uidvalidity,
		              text.at);
	buffer_free(&text);
}

static void
append_drop(struct imap *s)
{
	struct append_work *w = s->work;
	void               *ctx;

	for (struct incoming *n = w->first; n != NULL; n = n->next) {
		if (n->append != NULL)
			imap_needs_of(s, &ctx)->append_drop(n->append);
		n->append = NULL;
		room_end(&n->room, false);
	}
	if (w->resource.letter.arena != NULL)
		resource_close(&w->resource);
	ranges_free(&w->made);
	buffer_free(&w->url);
	mailbox_drop(&w->mailbox);
}

const struct imap_command imap_append = {
	.name = "APPEND",
	.rfc = "rfc9051:6.3.12",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE | TAKES_INPUT,
	.parse = append_parse,
	.run = append_run,
	.safe = append_safe,
	.drop = append_drop,
};

const struct imap_command imap_replace = {
	.name = "REPLACE",
	.rfc = "rfc8508:3.2",
	.in = IN_SELECTED,
	.effect = MAY_EXPUNGE | TAKES_INPUT | HAS_UID_FORM,
	.parse = replace_parse,
	.run = append_run,
	.safe = append_safe,
	.drop = append_drop,
};
