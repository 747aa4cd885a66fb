#include "access/imap/session.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "access/imap/capability.h"
#include "access/imap/contexts.h"
#include "access/imap/input.h"
#include "access/imap/notify.h"
#include "access/imap/reach.h"
#include "access/imap/service.h"
#include "access/imap/write.h"
#include "base/clock.h"
#include "base/journal.h"

enum { OUTPUT_MOST = 256 << 10 };

/* A barrier cannot be called back, so it holds a promise instead of the session. */
struct imap_promise {
	struct imap *session;
};

/* ---- what commands ask of their session ------------------------------------- */

struct buffer *
imap_out(struct imap *s)
{
	return stream_out(s->stream);
}

bool
imap_full(struct imap *s)
{
	return stream_pending(s->stream) > OUTPUT_MOST;
}

const struct imap_config *
imap_config_of(const struct imap *s)
{
	return &s->service->config;
}

const struct imap_needs *
imap_needs_of(const struct imap *s, void **ctx)
{
	*ctx = s->service->ctx;
	return &s->service->needs;
}

void
imap_wake(struct imap *s)
{
	s->waiting = false;
	s->woken = true;
	imap_queue(s);
}

__attribute__((format(printf, 3, 0))) static void
imap_answer(struct imap *s, const char *state, const char *form, va_list args)
{
	struct buffer text = { 0 };

	buffer_printf(&text, "%s ", state);
	buffer_vprintf(&text, form, args);
	s->answer = arena_copy(s->scratch, buffer_bytes(&text));
	buffer_free(&text);
}

enum imap_step
imap_ok(struct imap *s, const char *form, ...)
{
	va_list args;

	va_start(args, form);
	imap_answer(s, "OK", form, args);
	va_end(args);
	return STEP_DONE;
}

enum imap_step
imap_no(struct imap *s, const char *form, ...)
{
	va_list args;

	va_start(args, form);
	imap_answer(s, "NO", form, args);
	va_end(args);
	return STEP_DONE;
}

enum imap_step
imap_ok_expunged(struct imap *s, const char *words)
{
	struct mailbox_status status;

	if (!s->qresync || s->view == NULL)
		return imap_ok(s, "%s", words);
	view_status(s->view, &status);
	return imap_ok(s, "[HIGHESTMODSEQ %llu] %s", (unsigned long long)status.highest_modseq,
	               words);
}

enum imap_step
imap_bad(struct imap *s, const char *form, ...)
{
	va_list args;

	s->wrong = true;
	va_start(args, form);
	imap_answer(s, "BAD", form, args);
	va_end(args);
	return STEP_DONE;
}

/* What the store's errno means to a client (rfc5530:3). */
static const char *
words_of(int why)
{
	static const struct {
		int         why;
		const char *words;
	} known[] = {
		{ ENOENT, "[NONEXISTENT] Mailbox doesn't exist." },
		{ EEXIST, "[ALREADYEXISTS] Mailbox already exists." },
		{ EINVAL, "[CANNOT] That cannot be done with this mailbox." },
		{ ENAMETOOLONG, "[CANNOT] The mailbox name is too long." },
		{ ELOOP, "[CANNOT] The mailbox name has too many levels." },
		{ ENOTDIR,
		  "[CANNOT] A mailbox above it holds messages, and can hold no mailboxes." },
		{ ENOSPC, "[UNAVAILABLE] No space left on the server; try again later." },
		{ EDQUOT, "[OVERQUOTA] A limit of this account is reached." },
		{ EUSERS,
		  "[OVERQUOTA] The limit of all accounts of the domain together is reached." },
		{ EMLINK, "[LIMIT] Too many mailboxes." },
		{ EACCES, "[NOPERM] You do not have the right to do this." },
		{ EXDEV, "[CANNOT] Mailboxes are shared within one domain only." },
		{ EBADMSG, "[CORRUPTION] Some of the data is damaged." },
		{ EPERM, "[NOPERM] You do not have the right to do this." },
		{ EROFS, "[NOPERM] Nothing can be changed in this mailbox." },
		{ EBUSY, "[INUSE] Another program has locked the mailbox; try again later." },
		{ ENOTSUP, "[CANNOT] That is not possible with this kind of mailbox." },
		{ EILSEQ, "[CANNOT] 8-bit bytes in a header need ENABLE UTF8=ACCEPT." },
		{ EFBIG, "[TOOBIG] The message is too big." },
	};

	for (size_t i = 0; i < COUNT(known); i++)
		if (known[i].why == why)
			return known[i].words;
	return "[UNAVAILABLE] Internal error; try again later.";
}

enum imap_step
imap_no_errno(struct imap *s, int why)
{
	return imap_no(s, "%s", words_of(why));
}

void
imap_end(struct imap *s, const char *why)
{
	if (s->end == NULL)
		s->end = why;
}

void
imap_bye(struct imap *s, const char *words, const char *why)
{
	if (s->end == NULL)
		stream_printf(s->stream, "* BYE %s\r\n", words);
	s->answer = NULL;
	s->leaves = false;
	imap_end(s, why);
}

bool
imap_read_only(struct imap *s)
{
	return s->view->read_only;
}

bool
imap_speaks_utf8(const struct imap *s)
{
	return s->utf8 || s->rev2;
}

const char *
imap_read_mailbox(struct imap *s, struct scan *r)
{
	return read_mailbox(r, s->scratch, imap_speaks_utf8(s));
}

void
imap_write_mailbox(struct imap *s, const char *name)
{
	write_mailbox(imap_out(s), name, imap_speaks_utf8(s));
}

void
imap_unselect(struct imap *s)
{
	ranges_free(&s->saved);
	contexts_close(s);
	notify_left(s);
	view_close(&s->view);
}

/* rfc7162:3.1: the first command that shows the client knows modseqs. */
void
imap_enable_condstore(struct imap *s)
{
	struct mailbox_status status;

	if (s->condstore)
		return;
	s->condstore = true;
	if (s->view == NULL)
		return;
	view_status(s->view, &status);
	buffer_printf(imap_out(s), "* OK [HIGHESTMODSEQ %llu] Highest\r\n",
	              (unsigned long long)status.highest_modseq);
}

void
imap_enable_qresync(struct imap *s)
{
	imap_enable_condstore(s);
	s->qresync = true;
}

/* "*" is the last message; a range may be written backwards (rfc3501:9). */
static bool
resolve_range(const struct view *v, const struct sequence_range *one, bool by_uid,
              struct ranges *all)
{
	uint32_t most = by_uid ? view_last_uid(v) : view_count(v);
	uint32_t first = one->first_star ? most : one->first;
	uint32_t last = one->last_star ? most : one->last;

	uint32_t low = first < last ? first : last, high = first < last ? last : first;

	if (by_uid) {
		ranges_add(all, low, high);
		return true;
	}
	if (low > 0 && low <= most)
		ranges_add(all, view_uid(v, low), view_uid(v, high < most ? high : most));
	return low > 0 && high <= most;
}

bool
imap_resolve(struct imap *s, const struct sequence *sequence, bool by_uid, struct uid_set *out)
{
	return imap_resolve_in(s, s->view, sequence, by_uid, out);
}

bool
imap_resolve_in(struct imap *s, struct view *v, const struct sequence *sequence, bool by_uid,
                struct uid_set *out)
{
	struct ranges     all = { 0 };
	struct uid_range *kept;
	bool              good = true;

	for (size_t i = 0; i < sequence->count; i++)
		good &= resolve_range(v, &sequence->range[i], by_uid, &all);
	if (sequence->saved && v == s->view) {
		struct uid_set saved = ranges_set(&s->saved);
		ranges_add_set(&all, &saved);
	}
	/* What the client was not told of is not touched. */
	if (view_count(v) == 0)
		all.count = 0;
	else
		ranges_clip(&all, 1, view_last_uid(v));
	kept = arena_take_array(s->scratch, all.count + 1, sizeof *kept);
	for (size_t i = 0; i < all.count; i++)
		kept[i] = all.at[i];
	*out = (struct uid_set){ kept, all.count };
	ranges_free(&all);
	return good;
}

int
imap_flag_bits(struct mailbox *mailbox, const struct flag_words *words, bool create, uint64_t *bits)
{
	*bits = words->system;
	for (size_t i = 0; i < words->keywords; i++) {
		int keyword = mailbox_keyword(mailbox, words->keyword[i], create);
		if (keyword < 0 && create)
			return EDQUOT;
		if (keyword >= 0)
			*bits = mailbox_flags_with(mailbox, *bits, keyword);
	}
	return 0;
}

/* "INPROGRESS" SP "(" tag SP progress SP goal ")"   rfc9585:5; a tag with "]" would end the code, and the goal is
   beyond what is done (rfc9585:4) */
enum imap_step
imap_searching(struct imap *s, bool wait, uint32_t uid)
{
	int64_t       now = clock_patient_ms();
	struct view  *v = s->view;
	struct buffer tag = { 0 };

	if (v != NULL && v->count > 0 && !imap_full(s) &&
	    now - s->progress_ms >= imap_config_of(s)->rows.progress_ms) {
		uint32_t done = mailbox_first_at_least(v->mailbox, uid);
		s->progress_ms = now;
		if (bytes_find(s->tag, ']') < 0)
			write_string(&tag, s->tag);
		else
			buffer_add_string(&tag, "NIL");
		buffer_printf(imap_out(s), "* OK [INPROGRESS (%.*s %u %u)] Still searching.\r\n",
		              (int)tag.len, tag.at, done < v->count ? done : v->count - 1,
		              v->count);
		buffer_free(&tag);
	}
	return wait ? STEP_WAIT : STEP_AGAIN;
}

/* ---- a command -------------------------------------------------------------- */

static void
command_over(struct imap *s)
{
	imap_settling_end(s);
	if (s->command != NULL && s->command->drop != NULL)
		s->command->drop(s);
	s->command = NULL;
	s->work = NULL;
	s->answer = NULL;
	s->uid = s->waiting = s->answered = s->barrier_over = s->wrong = false;
	s->tag = (struct bytes){ 0 };
	arena_close(&s->scratch);
	input_done(s->input);
}

/* One that is understood ends a row of bad ones, but they stay counted: who says nothing else is not heard for ever. */
static void
count_command(struct imap *s, bool bad)
{
	int64_t most = imap_config_of(s)->rows.errors_most;

	if (!bad) {
		s->bad_in_row = 0;
		return;
	}
	s->bad++;
	s->bad_in_row++;
	if (most > 0 && (s->bad_in_row >= most || s->bad >= most * BAD_ROWS_MOST))
		imap_bye(s, "Too many invalid IMAP commands.", "Too many invalid IMAP commands.");
}

static void
say_bad(struct imap *s, struct bytes line, const char *words)
{
	struct scan  r = scan_of(line);
	struct bytes tag = scan_while(&r, is_tag_char);

	if (tag.len == 0 || tag.len > 64 || !scan_skip(&r, ' '))
		tag = BYTES("*");
	stream_printf(s->stream, "%.*s BAD %s\r\n", (int)tag.len, tag.at, words);
}

void
imap_complain(struct imap *s, struct bytes line, const char *words)
{
	say_bad(s, line, words);
	count_command(s, true);
}

static const struct imap_command *
command_of(struct bytes name)
{
	for (size_t i = 0; i < imap_command_count; i++)
		if (bytes_is(name, imap_commands[i]->name))
			return imap_commands[i];
	return NULL;
}

/* No command has this name, or none has that stands behind UID. */
static const char *
unknown(bool uid, size_t at, char *words, size_t room)
{
	(void)snprintf(words, room, "Unknown %scommand at byte %zu.", uid ? "UID " : "", at);
	return words;
}

static const char no_mailbox[] = "No mailbox selected.";

/* Why this command cannot stand here; NULL: it can. */
static const char *
misplaced(const struct imap *s, const struct imap_command *command, bool uid)
{
	if (command->in == NOWHERE)
		return "Already logged in.";
	if (s->view == NULL && !(command->in & IN_AUTHENTICATED))
		return no_mailbox;
	if (s->uidonly && !uid && (command->effect & HAS_UID_FORM) &&
	    !(command->effect & ONLY_UID_WITH_SET))
		return NUMBERS_ARE_PAST;
	return NULL;
}

/* The messages it is about can be had; else the client hears, and the command is over. */
static bool
messages_there(struct imap *s, const struct imap_command *command, struct bytes tag)
{
	int why;

	if (s->view == NULL)
		return true;
	/* Rights go at once (rfc4314:5.1.1), whatever is open. */
	if (!(command->in & IN_AUTHENTICATED) && !reach_may_read(s)) {
		(void)imap_lost(s);
		return false;
	}
	if (command->effect & NEEDS_NO_MESSAGE)
		return true;
	if ((why = mailbox_wake(s->view->mailbox)) != 0 && !s->view->lost) {
		/* Its counts were kept, its messages cannot be read: another mailbox may be selected. */
		stream_printf(s->stream, "%.*s NO %s\r\n", (int)tag.len, tag.at, words_of(why));
		command_over(s);
		return false;
	}
	if (s->view->lost)
		(void)imap_lost(s);
	return !s->view->lost;
}

/* What is wrong with its arguments; NULL: it is the command now. */
static const char *
parse_arguments(struct imap *s, const struct imap_command *command, struct bytes line,
                struct scan *r, bool letter)
{
	command->parse(s, r);
	if (!letter)
		scan_end(r);
	if (scan_ok(r)) {
		s->command = command;
		s->started_ms = s->progress_ms = clock_patient_ms();
		return NULL;
	}
	return r->fault[0] == '['
	               ? r->fault
	               : arena_printf(s->scratch,
	                              "Error in IMAP command %s: expected %s at byte %zu.",
	                              command->name, r->fault[0] == '}' ? "a literal" : r->fault,
	                              (size_t)(r->fault_at - line.at) + 1);
}

/* command = tag SP (command-any / command-auth / command-select) CRLF */
void
imap_begin(struct imap *s, struct bytes line)
{
	struct scan                r = scan_of(line);
	struct bytes               tag = scan_while(&r, is_tag_char), name;
	const struct imap_command *command;
	const char                *wrong;
	char                       words[64];
	uint64_t                   size;
	bool uid, there = true, waits, letter = input_letter(s->input, &size, &waits);

	if (tag.len == 0)
		scan_fail(&r, "a tag");
	read_space(&r);
	uid = scan_skip_word(&r, "UID ");
	name = read_atom(&r);
	command = command_of(name);
	if (!scan_ok(&r))
		wrong = "A command is a tag, a space and a word.";
	else if (command == NULL || (uid && !(command->effect & HAS_UID_FORM)))
		wrong = unknown(uid, (size_t)(name.at - line.at) + 1, words, sizeof words);
	else
		wrong = misplaced(s, command, uid);
	if (wrong == NULL && (there = messages_there(s, command, tag))) {
		s->scratch = arena_open(NULL);
		s->tag = tag;
		s->uid = uid;
		wrong = parse_arguments(s, command, line, &r, letter);
		if (wrong == NULL)
			return;
	}
	if (there) {
		/* It may be one of many that were sent behind a SELECT that failed: as with Dovecot it is understood, and no reason to say BYE. */
		say_bad(s, line, wrong);
		count_command(s, wrong != no_mailbox);
		command_over(s);
	}
	if (letter && !waits && s->end == NULL)
		input_skip(s->input, size);
}

static void
barrier_over(void *ctx, int why)
{
	struct imap_promise *p = ctx;
	struct imap         *s = p->session;

	memory_free(p);
	if (s == NULL)
		return;
	s->promise = NULL;
	s->barrier_over = true;
	s->why = why;
	imap_wake(s);
}

static void
barrier_begin(struct imap *s)
{
	struct imap_promise *p = memory_take(sizeof *p);

	p->session = s;
	s->promise = p;
	s->waiting = true;
	store_barrier(s->service->store, barrier_over, p);
}

static enum imap_step
command_run(struct imap *s)
{
	enum imap_step step;

	s->acting = true;
	step = s->command->run(s);
	s->acting = false;
	return step;
}

/* Results that are kept up to date follow the news. */
static enum imap_step
contexts_step(struct imap *s)
{
	enum imap_step step;

	s->woken = false;
	step = contexts_go(s);
	if (step == STEP_WAIT && !s->woken)
		s->waiting = true;
	return step;
}

/* Run the command until it is answered; then its news, then its tagged line. */
static enum imap_step
command_step(struct imap *s)
{
	const struct imap_command *command = s->command;
	enum imap_step             step = STEP_DONE;
	bool                       wrong;

	if (!s->answered) {
		s->woken = false;
		if ((command->effect & WRITES_MAILBOX) && imap_read_only(s))
			(void)imap_no(s, "[READ-ONLY] The mailbox is open read-only.");
		else if (!s->barrier_over)
			step = command_run(s);
		else if (s->why != 0 && command->unsafe != NULL)
			command->unsafe(s);
		else if (s->why != 0)
			(void)imap_no_errno(s, s->why);
		else
			command->safe(s);
		if (step == STEP_BARRIER)
			barrier_begin(s);
		if (step == STEP_WAIT && !s->woken)
			s->waiting = true;
		if (step != STEP_DONE)
			return step;
		s->answered = true;
	}
	if (s->answer != NULL && !imap_tell(s, (command->effect & MAY_EXPUNGE) || s->uid))
		return STEP_AGAIN;
	if (s->answer != NULL && (step = contexts_step(s)) != STEP_DONE)
		return step;
	if (s->answer != NULL) {
		struct buffer *out = imap_out(s);
		buffer_add(out, s->tag);
		buffer_printf(out, " %s\r\n", s->answer);
	}
	if (s->compress)
		stream_compress(s->stream);
	s->compress = false;
	if (s->leaves) {
		if (stream_is_compressed(s->stream))
			stream_end_compression(s->stream);
		imap_end(s, "Unauthenticated");
	}
	wrong = s->wrong;
	command_over(s);
	count_command(s, wrong);
	return STEP_DONE;
}

/* What can be done now; then wait for a turn, for the client, or for an answer. */
static void
session_work(struct imap *s)
{
	while (s->end == NULL) {
		if (s->waiting || imap_full(s))
			return;
		if (imap_turn_over(s)) {
			imap_queue(s);
			return;
		}
		if (s->command == NULL) {
			if (!imap_tell_unasked(s) || s->end != NULL)
				continue;
			if (notify_at_once(s, false) && contexts_step(s) != STEP_DONE) {
				if (!s->waiting)
					imap_queue(s);
				return;
			}
			if (!input_hear(s->input))
				return;
		} else if (command_step(s) == STEP_AGAIN && !imap_full(s)) {
			imap_queue(s);
			return;
		}
	}
}

void
imap_go(struct imap *s)
{
	if (hold_is_on(&s->hold))
		return;
	turns_begin(&s->service->guests.turns);
	hold_look(&s->hold);
	session_work(s);
	if (!hold_seen(&s->hold) && s->end != NULL)
		imap_finish(s);
}

/* What this turn told is on disk, or never was: then nobody hears of it. */
static void
session_told(void *ctx, int why)
{
	struct imap *s = ctx;

	if (why != 0) {
		s->cut = true;
		imap_end(s, "What it was told could not be kept");
	}
	imap_queue(s);
}

/* ---- the connection ------------------------------------------------------------ */

static void
session_arrived(void *ctx)
{
	struct imap *s = ctx;

	if (s->command != NULL && (s->command->effect & TAKES_INPUT) && s->promise == NULL)
		s->waiting = false;
	imap_go(s);
}

static void
session_drained(void *ctx)
{
	imap_go(ctx);
}

/* What it was told may not be on the disk yet, and a client that has said all it will may still listen: imap_go() ends it then. */
static void
finish_when_told(struct imap *s)
{
	if (!hold_is_on(&s->hold))
		imap_finish(s);
}

static void
session_silent(void *ctx)
{
	struct imap                *s = ctx;
	const struct imap_settings *rows = &imap_config_of(s)->rows;

	if (s->command != NULL && (s->command->effect & PATIENT) &&
	    clock_patient_ms() - s->started_ms < rows->autologout_ms) {
		stream_say_string(s->stream, "* OK Still here\r\n");
		return;
	}
	imap_bye(s, "Disconnected for inactivity.", "for inactivity");
	finish_when_told(s);
}

static void
session_closed(void *ctx, const char *why)
{
	struct imap *s = ctx;

	s->leaves = false;
	imap_end(s, arena_printf(s->life, "Connection closed%s%s",
	                         bytes_is(bytes_of(why), "end of file") ? "" : ": ",
	                         bytes_is(bytes_of(why), "end of file") ? "" : why));
	finish_when_told(s);
}

const struct stream_events imap_stream_events = {
	.arrived = session_arrived,
	.drained = session_drained,
	.silent = session_silent,
	.closed = session_closed,
};

static void
session_log(struct imap *s)
{
	uint64_t                 in, out;
	const struct imap_tally *t = &s->tally;
	const char              *in_what = s->command != NULL ? s->command->name : NULL;
	bool                     idle = in_what != NULL && (s->command->effect & PATIENT);
	bool                     silent = bytes_is(bytes_of(s->end), "for inactivity");

	stream_counts(s->stream, &in, &out);
	note_as("mansio/imap",
	        "imap(%s)<%d><%s>: Disconnected%s%s%s%s%s in=%llu out=%llu deleted=%llu expunged=%llu "
	        "trashed=%llu hdr_count=%llu hdr_bytes=%llu body_count=%llu body_bytes=%llu",
	        s->facts.user, (int)getpid(), s->facts.session, in_what != NULL ? " in " : "",
	        in_what != NULL && s->uid ? "UID " : "", in_what != NULL ? in_what : "",
	        silent ? " "
	        : idle ? ""
	               : ": ",
	        idle && !silent ? "" : s->end, (unsigned long long)in, (unsigned long long)out,
	        (unsigned long long)t->deleted, (unsigned long long)t->expunged,
	        (unsigned long long)t->trashed, (unsigned long long)t->hdr_count,
	        (unsigned long long)t->hdr_bytes, (unsigned long long)t->body_count,
	        (unsigned long long)t->body_bytes);
}

/* The connection itself is to go on, once all that was said has gone and nothing compressed is to come (rfc8437:4.1). */
static bool
leaves_later(struct imap *s)
{
	if (!s->leaves || s->cut || s->service->guests.closing)
		return false;
	stream_flush(s->stream);
	if (stream_is_settled(s->stream))
		return false;
	stream_settle(s->stream);
	return true;
}

static int
give_away(struct imap *s, struct buffer *unread)
{
	if (!s->leaves || !stream_is_settled(s->stream))
		return -1;
	input_unread(s->input, unread);
	return stream_detach(&s->stream, unread);
}

void
imap_finish(struct imap *s)
{
	struct imap_service *v = s->service;
	struct arena        *life = s->life;
	uint32_t             ticket = s->guest.ticket;
	uint64_t             account = s->facts.account;
	struct buffer        unread = { 0 };
	int                  fd;

	if (leaves_later(s))
		return;
	session_log(s);
	if (s->promise != NULL)
		s->promise->session = NULL;
	command_over(s);
	/* Where nobody can wait, what it was told is not said. */
	s->cut = s->cut || hold_is_on(&s->hold);
	hold_close(&s->hold);
	if (s->cut) {
		s->leaves = false;
		stream_close(&s->stream);
	}
	fd = give_away(s, &unread);
	stream_finish(&s->stream);
	imap_unselect(s);
	notify_close(&s->notify);
	account_drop(&s->account);
	input_close(&s->input);
	guest_leave(&v->guests, &s->guest);
	arena_close(&life);
	if (fd >= 0)
		v->needs.give_back(v->ctx, ticket, fd, buffer_bytes(&unread));
	else
		v->needs.over(v->ctx, ticket, account);
	buffer_free(&unread);
}

/* ---- the beginning ------------------------------------------------------------- */

void
imap_keep_facts(struct access_facts *to, const struct access_facts *facts, struct arena *arena)
{
	const char **group = arena_take_array(arena, facts->groups + 1, sizeof *group);
	uint64_t    *account = arena_take_array(arena, facts->groups + 1, sizeof *account);

	for (size_t i = 0; i < facts->groups; i++) {
		group[i] = arena_copy(arena, bytes_of(facts->group[i]));
		account[i] = facts->group_account[i];
	}
	*to = *facts;
	to->group = group;
	to->group_account = account;
	to->user = arena_copy(arena, bytes_of(facts->user));
	to->session = arena_copy(arena, bytes_of(facts->session != NULL ? facts->session : ""));
	to->tag = NULL;
	to->unread = (struct bytes){ 0 };
}

void
imap_open(struct imap_service *v, int fd, const struct access_facts *facts, uint32_t ticket)
{
	struct arena *life = arena_open(NULL);
	struct imap  *s = arena_take(life, sizeof *s);
	int           why = 0;

	s->life = life;
	s->service = v;
	imap_keep_facts(&s->facts, facts, life);
	guest_enter(&v->guests, &s->guest, s, ticket, facts->account);
	s->stream = stream_open(v->loop, fd, &imap_stream_events, s);
	hold_open(&s->hold, v->store, s->stream, session_told, s);
	if (facts->met != NULL)
		facts->met(facts->met_ctx, s->stream, facts);
	stream_most_unread(s->stream, (size_t)v->config.rows.line_most + 4096);
	stream_patience(s->stream, v->config.rows.autologout_ms);
	s->input = input_open(s, facts->unread);
	s->account = account_take(v->store, facts->account, &why);
	if (s->account == NULL) {
		stream_printf(s->stream,
		              "%s NO [UNAVAILABLE] The account cannot be opened now.\r\n",
		              facts->tag);
		imap_bye(s, "[UNAVAILABLE] Try again later.", "The account cannot be opened");
	} else {
		stream_printf(s->stream, "%s OK [CAPABILITY ", facts->tag);
		capability_write(s, imap_out(s));
		stream_say_string(s->stream, "] Logged in\r\n");
	}
	imap_queue(s);
}
