#include "access/pop3/session.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "access/pop3/sending.h"
#include "base/clock.h"
#include "base/journal.h"
#include "base/scan.h"
#include "channel/line.h"
#include "store/retrieved.h"

enum { LINE_MOST = 512, ARGUMENTS_MOST = 2 }; /* rfc2449:4: 255 octets */
#define SIZE_UNTOLD UINT32_MAX                /* of an entry: look at its row */

/* A barrier cannot be called back, so it holds a promise instead of the session. */
struct pop3_promise {
	struct pop3 *session;
};

void
pop3_say(struct pop3 *s, const char *form, ...)
{
	struct buffer *out = stream_out(s->stream);
	va_list        args;

	va_start(args, form);
	buffer_vprintf(out, form, args);
	va_end(args);
	buffer_add_string(out, "\r\n");
}

void
pop3_error(struct pop3 *s, const char *words)
{
	int64_t most = s->service->config.rows.errors_most;

	pop3_say(s, "-ERR %s", words);
	s->bad++;
	s->bad_in_row++;
	if (most > 0 && (s->bad_in_row >= most || s->bad >= most * BAD_ROWS_MOST)) {
		pop3_say(s, "-ERR Too many invalid commands.");
		pop3_end(s, "Too many invalid commands");
	}
}

bool
pop3_full(struct pop3 *s)
{
	return stream_pending(s->stream) > POP3_OUTPUT_MOST;
}

void
pop3_end(struct pop3 *s, const char *why)
{
	if (s->end == NULL)
		s->end = why;
}

struct pop3_message *
pop3_message_of(struct pop3 *s, uint64_t number)
{
	if (number == 0 || number > s->count) {
		pop3_error(s, "There's no such message.");
		return NULL;
	}
	if (s->message[number - 1].deleted) {
		pop3_error(s, "Message is deleted.");
		return NULL;
	}
	return &s->message[number - 1];
}

/* ---- UPDATE ------------------------------------------------------------------- */

static void
update_over(void *ctx, int why)
{
	struct pop3_promise *p = ctx;
	struct pop3         *s = p->session;

	memory_free(p);
	if (s == NULL)
		return;
	s->promise = NULL;
	/* rfc1939:6; rfc3206:4 */
	if (why != 0)
		pop3_say(s, "-ERR [SYS/TEMP] Some deleted messages were not removed.");
	else
		pop3_say(s, s->expunged > 0 ? "+OK Logging out, messages deleted."
		                            : "+OK Logging out.");
	pop3_end(s, "Logged out");
	pop3_queue(s);
}

/* The uids of messages that are to go, or were read; memory from the session. */
static struct uid_set
uids_of(struct pop3 *s, bool deleted)
{
	struct uid_range *range = arena_take_array(s->life, s->count + 1, sizeof *range);
	size_t            n = 0;

	for (uint32_t i = 0; i < s->count; i++) {
		const struct pop3_message *m = &s->message[i];
		if (deleted ? m->deleted : m->seen && !m->deleted)
			range[n++] = (struct uid_range){ m->uid, m->uid };
	}
	return (struct uid_set){ range, n };
}

/* Removed, or hidden from POP3 behind a keyword. */
static int
remove_marked(struct pop3 *s, const struct uid_set *deleted, struct uid_set *gone)
{
	const char *flag = s->service->config.rows.deleted_flag;
	int         keyword;

	if (flag[0] == '\0')
		return mailbox_expunge(s->mailbox, deleted, true, s->life, gone, NULL);
	keyword = mailbox_keyword(s->mailbox, bytes_of(flag), true);
	if (keyword < 0)
		return ENOSPC;
	*gone = *deleted;
	return mailbox_flags(s->mailbox, deleted, FLAGS_ADD,
	                     mailbox_flags_with(s->mailbox, 0, keyword), UINT64_MAX, s->life, NULL,
	                     NULL);
}

/* rfc1939:6: what was marked is removed, and only then is it said so. */
void
pop3_quit(struct pop3 *s)
{
	struct uid_set deleted = uids_of(s, true), seen = uids_of(s, false), gone = { 0 };
	int            why = 0;

	if (deleted.count > 0)
		why = remove_marked(s, &deleted, &gone);
	if (why == 0 && seen.count > 0 && !s->service->config.rows.no_flag_updates)
		why = mailbox_flags(s->mailbox, &seen, FLAGS_ADD, FLAG_SEEN, UINT64_MAX, s->life,
		                    NULL, NULL);
	for (size_t i = 0; i < gone.count; i++)
		s->expunged += gone.range[i].last - gone.range[i].first + 1;
	s->promise = memory_take(sizeof *s->promise);
	s->promise->session = s;
	s->waiting = true;
	if (why != 0)
		update_over(s->promise, why);
	else if (deleted.count == 0 && seen.count == 0)
		update_over(s->promise, 0);
	else
		store_barrier(s->service->store, update_over, s->promise);
}

/* ---- commands ----------------------------------------------------------------- */

static bool
is_letter(char c)
{
	return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '-';
}

static const struct pop3_verb *
verb_of(struct bytes name)
{
	for (size_t i = 0; i < pop3_verb_count; i++)
		if (bytes_is(name, pop3_verbs[i].name))
			return &pop3_verbs[i];
	return NULL;
}

/* Some clients of old say more blanks than one, and blanks at the end. */
static bool
skip_blanks(struct scan *r)
{
	bool some = false;

	while (scan_skip(r, ' '))
		some = true;
	return some;
}

/* command = keyword *(SP param)   rfc2449:4; parameters are numbers but where a verb takes text */
static void
command_run(struct pop3 *s, struct bytes line)
{
	struct scan             r = scan_of(line);
	const struct pop3_verb *verb = verb_of(scan_while(&r, is_letter));
	uint64_t                argument[ARGUMENTS_MOST] = { 0 };
	unsigned                count = 0;

	if (verb == NULL) {
		pop3_error(s, "Unknown command.");
		return;
	}
	if (verb->say != NULL) {
		verb->say(s, bytes_trim(r.rest));
		return;
	}
	while (skip_blanks(&r) && r.rest.len > 0 && count < verb->most)
		argument[count++] = scan_number(&r, INT64_MAX);
	scan_end(&r);
	if (!scan_ok(&r) || count < verb->least) {
		pop3_error(s, "Bad arguments.");
		return;
	}
	verb->run(s, argument, count);
}

/* Bytes read ahead by the login stand before what the stream has. */
static struct bytes
input_peek(struct pop3 *s)
{
	struct bytes fresh = stream_peek(s->stream);

	if (s->early.len == 0)
		return fresh;
	buffer_add(&s->early, fresh);
	stream_eat(s->stream, fresh.len);
	return buffer_bytes(&s->early);
}

static void
input_eat(struct pop3 *s, size_t n)
{
	if (s->early.len == 0) {
		stream_eat(s->stream, n);
		return;
	}
	buffer_eat(&s->early, n);
	if (s->early.len == 0)
		buffer_free(&s->early);
}

/* One command, if a whole line is here. */
static bool
hear(struct pop3 *s)
{
	char         copy[LINE_MOST];
	struct bytes line;
	size_t       used;
	bool         bare;
	int64_t      bad = s->bad;

	switch (line_read(input_peek(s), LINE_MOST, &line, &used, &bare)) {
	case LINE_SHORT: return false;
	case LINE_LONG:
		pop3_say(s, "-ERR Line too long.");
		pop3_end(s, "Line too long");
		return false;
	case LINE_WHOLE: break;
	}
	for (size_t i = 0; i < line.len; i++)
		copy[i] = line.at[i];
	line.at = copy;
	input_eat(s, used);
	command_run(s, line);
	if (s->bad == bad) /* one that is understood ends a row of bad ones */
		s->bad_in_row = 0;
	return true;
}

/* What was fetched long enough ago goes (pop3_expire).  When that fails it stays until the next time. */
static void
expire(struct pop3 *s)
{
	int64_t        after = s->service->config.rows.expire_ms;
	struct uid_set old, gone = { 0 };

	if (after == 0 ||
	    retrieved_take(s->mailbox, clock_wall() - after / 1000, s->life, &old) != 0 ||
	    old.count == 0 || mailbox_expunge(s->mailbox, &old, true, s->life, &gone, NULL) != 0)
		return;
	note_as("mansio/pop3", "pop3(%s)<%d><%s>: %zu messages expired", s->facts.user,
	        (int)getpid(), s->facts.session, old.count);
}

/* Numbers stay as they are now; sizes are read in turns, before "+OK". */
static void
number_messages(struct pop3 *s)
{
	const char           *hidden = s->service->config.rows.deleted_flag;
	int                   keyword;
	struct mailbox_status status;
	uint32_t              all;

	mailbox_facts(s->mailbox, &status);
	keyword = hidden[0] == '\0' ? -1 : mailbox_keyword(s->mailbox, bytes_of(hidden), false);
	s->uidvalidity = status.uidvalidity;
	all = mailbox_count(s->mailbox);
	s->message = memory_take((all + 1) * sizeof *s->message);
	for (uint32_t i = 0; i < all; i++) {
		struct entry e = mailbox_entry(s->mailbox, i);
		if (keyword >= 0 && mailbox_flags_have(s->mailbox, e.flags, keyword))
			continue;
		s->message[s->count++] =
			(struct pop3_message){ .message = e.message, .uid = e.uid, .size = e.size };
	}
	s->settled = true;
}

/* Some of the sizes: those the mailbox does not have.  A message that cannot be read has none. */
static void
welcome(struct pop3 *s)
{
	struct arena  *scratch = arena_open(s->life);
	struct message row;

	if (!s->settled) {
		expire(s);
		number_messages(s);
	}
	while (s->counted < s->count && !pop3_turn_over(s)) {
		struct pop3_message *m = &s->message[s->counted++];
		if (m->size == SIZE_UNTOLD)
			m->size = message_read(s->account, m->message, scratch, &row) == 0
			                  ? row.size
			                  : 0;
		s->size += m->size;
		arena_clear(scratch);
	}
	arena_close(&scratch);
	if (s->counted < s->count)
		return;
	s->welcoming = false;
	pop3_say(s, "+OK Logged in.");
}

static void
session_work(struct pop3 *s)
{
	while (s->end == NULL) {
		if (s->waiting || pop3_full(s))
			return;
		if (pop3_turn_over(s)) {
			pop3_queue(s);
			return;
		}
		if (s->welcoming)
			welcome(s);
		else if (s->sending != NULL)
			(void)sending_step(s);
		else if (!hear(s))
			return;
	}
}

void
pop3_go(struct pop3 *s)
{
	if (hold_is_on(&s->hold))
		return;
	turns_begin(&s->service->guests.turns);
	hold_look(&s->hold);
	session_work(s);
	if (!hold_seen(&s->hold) && s->end != NULL)
		pop3_finish(s);
}

/* What this turn told is on disk, or never was: then nobody hears of it. */
static void
session_told(void *ctx, int why)
{
	struct pop3 *s = ctx;

	if (why != 0) {
		s->cut = true;
		pop3_end(s, "What it was told could not be kept");
	}
	pop3_queue(s);
}

/* ---- the connection ------------------------------------------------------------ */

static void
session_heard(void *ctx)
{
	pop3_go(ctx);
}

/* What it was told may not be on the disk yet, and a client that has said all it will may still listen: pop3_go() ends it then. */
static void
finish_when_told(struct pop3 *s)
{
	if (!hold_is_on(&s->hold))
		pop3_finish(s);
}

/* rfc1939:3: closed without entering UPDATE: nothing is removed. */
static void
session_silent(void *ctx)
{
	struct pop3 *s = ctx;

	if (s->sending == NULL)
		pop3_say(s, "-ERR Disconnected for inactivity.");
	pop3_end(s, "for inactivity");
	finish_when_told(s);
}

static void
session_closed(void *ctx, const char *why)
{
	struct pop3 *s = ctx;
	bool         eof = bytes_is(bytes_of(why), "end of file");

	pop3_end(s,
	         arena_printf(s->life, "Connection closed%s%s", eof ? "" : ": ", eof ? "" : why));
	finish_when_told(s);
}

static const struct stream_events stream_events = {
	.arrived = session_heard,
	.drained = session_heard,
	.silent = session_silent,
	.closed = session_closed,
};

static void
session_log(struct pop3 *s)
{
	uint64_t in, out;
	bool     silent = bytes_is(bytes_of(s->end), "for inactivity");

	stream_counts(s->stream, &in, &out);
	note_as("mansio/pop3",
	        "pop3(%s)<%d><%s>: Disconnected%s%s top=%u/%llu, retr=%u/%llu, del=%u/%u, size=%llu in=%llu out=%llu",
	        s->facts.user, (int)getpid(), s->facts.session, silent ? " " : ": ", s->end,
	        s->tops, (unsigned long long)s->top_bytes, s->retrs,
	        (unsigned long long)s->retr_bytes, s->expunged, s->count,
	        (unsigned long long)s->size, (unsigned long long)in, (unsigned long long)out);
}

void
pop3_finish(struct pop3 *s)
{
	struct pop3_service *v = s->service;
	struct arena        *life = s->life;
	uint32_t             ticket = s->guest.ticket;
	uint64_t             account = s->facts.account;

	session_log(s);
	if (s->promise != NULL)
		s->promise->session = NULL;
	sending_drop(s);
	/* Where nobody can wait, what it was told is not said. */
	s->cut = s->cut || hold_is_on(&s->hold);
	hold_close(&s->hold);
	if (s->cut)
		stream_close(&s->stream);
	stream_finish(&s->stream);
	if (s->settling)
		mailbox_sync_drop(s->mailbox, s);
	mailbox_drop(&s->mailbox);
	account_drop(&s->account);
	buffer_free(&s->early);
	memory_free(s->message);
	guest_leave(&v->guests, &s->guest);
	arena_close(&life);
	v->needs.over(v->ctx, ticket, account);
}

/* ---- the beginning ------------------------------------------------------------- */

static void
keep_facts(struct pop3 *s, const struct access_facts *facts)
{
	s->facts = *facts;
	s->facts.user = arena_copy(s->life, bytes_of(facts->user));
	s->facts.session = arena_copy(s->life, bytes_of(facts->session));
	s->facts.tag = NULL;
	s->facts.offers = facts->offers == NULL ? "" : arena_copy(s->life, bytes_of(facts->offers));
	s->utf8 = facts->tag != NULL && bytes_is(bytes_of(facts->tag), "UTF8");
	s->facts.unread = (struct bytes){ 0 };
	buffer_add(&s->early, facts->unread);
}

/* Letters that lie outside and that verifiers still read are waited for, so that all are counted. */
static void
settled(void *ctx)
{
	struct pop3 *s = ctx;

	s->settling = s->waiting = false;
	pop3_queue(s);
}

bool
pop3_locked(struct pop3 *s)
{
	if (mailbox_wait(s->mailbox, settled, s))
		s->settling = s->waiting = true;
	return s->settling;
}

static void
open_mailbox(struct pop3 *s)
{
	s->welcoming = true;
	if (mailbox_sync(s->mailbox, settled, s))
		return;
	s->settling = s->waiting = true;
}

void
pop3_open(struct pop3_service *v, int fd, const struct access_facts *facts, uint32_t ticket)
{
	struct arena *life = arena_open(NULL);
	struct pop3  *s = arena_take(life, sizeof *s);
	const char   *unwelcome;
	int           why = 0;

	s->life = life;
	s->service = v;
	keep_facts(s, facts);
	guest_enter(&v->guests, &s->guest, s, ticket, facts->account);
	s->stream = stream_open(v->loop, fd, &stream_events, s);
	hold_open(&s->hold, v->store, s->stream, session_told, s);
	if (facts->met != NULL)
		facts->met(facts->met_ctx, s->stream, facts);
	stream_most_unread(s->stream, 4 * LINE_MOST);
	stream_patience(s->stream, v->config.rows.autologout_ms);
	s->account = account_take(v->store, facts->account, &why);
	if (s->account != NULL)
		s->mailbox = mailbox_take(s->account, "INBOX", &why);
	if (s->mailbox == NULL) {
		pop3_say(s, "-ERR [SYS/TEMP] The mailbox cannot be opened now.");
		pop3_end(s, "The mailbox cannot be opened");
	} else if ((unwelcome = pop3_unwelcome(s)) != NULL) {
		pop3_say(s, "-ERR %s", unwelcome);
		pop3_end(s, unwelcome);
	} else {
		open_mailbox(s);
	}
	pop3_queue(s);
}
