/*
 * queue-notice -- what cannot be delivered goes back to its sender as a notice (rfc3464),
 * itself a letter in the log, durable before the sender counts as told
 */
#include "role/queue-notice.h"
#include "base/clock.h"
#include "message/digest.h"
#include "message/envelope.h"
#include "message/notice.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	HEADER_RETURNED_MOST = 64 << 10,
	NOTICE_AGAIN_MS = 5000,
	NOTICE_AGAIN_MOST_MS = 15 * 60 * 1000
};

/* A notice on its way: asked about at a verifier, written, synced. */
struct returning {
	struct question  question; /* first */
	struct house    *house;
	uint64_t         of; /* the letter that comes back         */
	enum notice_kind kind;
	bool             alarm;    /* to the postmaster                 */
	bool             second;   /* to the postmaster, of a letter from nobody */
	bool             copy;     /* the same to the postmaster, as notify_classes say */
	bool             alone;    /* of which the sender hears nothing */
	char            *report;   /* about TLS (queue-tls.c), and which; NULL: a notice  */
	uint32_t         utf8;     /* ENVELOPE_SMTPUTF8 of the letter, or 0 */
	uint32_t         flags;    /* of ENVELOPE_ besides                */
	int8_t           priority; /* rfc6710:7: that of the letter      */
	struct buffer    content, digest;
	struct buffer    told; /* of struct recipient *: those it tells of */
	struct timer    *again;
	int64_t          wait_ms;            /* before it is tried again           */
	char             to[800], from[300]; /* from "": nobody, as a notice has to be */
};

static void returning_try(struct returning *);

/* ---- whom it concerns -------------------------------------------------------------- */

void
queue_ended(void *house, struct recipient *r)
{
	struct queue_role *k = queue_of(house);
	char               id[24];

	/* A queue before us has told it, and died before the ledger knew. */
	if (r->refused && sent_was_told(k->sent, r->letter->id, r->address))
		r->notify |= NOTIFY_NEVER;
	/* It ended with "later": its time is over. */
	if (r->refused && r->status[0] == '4' && !is_verified_only(r->letter)) {
		letter_id_text(r->letter->id, id);
		note_as(queue_services[SERVICE_QMGR],
		        "%s: from=<%s>, status=expired, returned to sender", id, r->letter->sender);
		queue_tell_order(house, r->letter, r, "expired, returned to sender");
	}
	notice_look_again(k, r->letter);
}

/* What goes through a list with an owner comes back to the owner.  With VERP that is so of what failed alone: whoever counts
   what comes to such an address would take a warning for the end. */
static const char *
sender_of(const struct queue_role *k, const struct recipient *r, enum notice_kind kind)
{
	if (r->letter->handling.verp.len > 0 && (k->rows.no_verp_bounces || kind != NOTICE_FAILED))
		return r->letter->sender;
	return *r->sender != '\0' ? r->sender : r->letter->sender;
}

/* rfc5321:4.5.5 and 6.1: nothing is ever said to the null sender; rfc3461:4.1: what NOTIFY names, else that it
   failed. */
static bool
sender_wants(const struct letter *l, const struct recipient *r, enum notice_kind kind)
{
	/* clang-format off */
	static const uint8_t bits[] = {
		[NOTICE_FAILED] = NOTIFY_FAILURE, [NOTICE_DELAYED] = NOTIFY_DELAY,
		[NOTICE_DELIVERED] = NOTIFY_SUCCESS, [NOTICE_RELAYED] = NOTIFY_SUCCESS,
		[NOTICE_EXPANDED] = NOTIFY_SUCCESS,
	};
	/* clang-format on */

	if (l->sender[0] == '\0' || (r->notify & NOTIFY_NEVER) != 0 || is_verified_only(l))
		return false;
	if ((bits[kind] & NOTIFY_SUCCESS) != 0 && r->warned && sender_wants(l, r, NOTICE_DELAYED))
		return true; /* confirm_delay_cleared, or nobody would have asked */
	return (r->notify & bits[kind]) != 0 ||
	       (r->notify == 0 && (kind == NOTICE_FAILED || kind == NOTICE_DELAYED));
}

static enum notice_kind
kind_of(const struct recipient *r)
{
	return r->refused                 ? NOTICE_FAILED
	       : r->opened == OPENED_NAME ? NOTICE_EXPANDED
	       : r->opened == OPENED_LIST ? NOTICE_DELIVERED
	       : r->account == 0          ? NOTICE_RELAYED
	                                  : NOTICE_DELIVERED;
}

/* The ledger hears of it with the next checkpoint: until then spool/sent knows, so that nobody is told twice after a crash. */
static void
remember_told(struct house *h, const struct returning *n)
{
	struct queue_role *k = queue_of(h);
	struct recipient  *r;

	for (size_t at = 0; n->kind == NOTICE_FAILED && at < n->told.len; at += sizeof r) {
		memcpy(&r, n->told.at + at, sizeof r);
		sent_told(k->sent, r->letter->id, r->address);
		k->to_settle = true;
	}
	if (k->to_settle)
		errand_set(h->loop, &k->settle);
}

/* For who asked what the first try came to. */
static enum notice_kind
fate_of(const struct recipient *r)
{
	if (is_verified_only(r->letter))
		return r->refused ? NOTICE_UNDELIVERABLE : NOTICE_DELIVERABLE;
	return r->state == RECIPIENT_DONE ? kind_of(r) : NOTICE_DELAYED;
}

static void
tell_all(struct house *h, const struct buffer *told)
{
	for (size_t at = 0; at < told->len; at += sizeof(struct recipient *)) {
		struct recipient *r;

		memcpy(&r, told->at + at, sizeof r);
		queue_told(queue_of(h)->queue, r);
	}
}

/* ---- the notice's content -------------------------------------------------------------- */

/* What is sent along of the letter: all of it where it failed, its sender wants that (rfc3461:4.3) and it is not too
   long; else its header, as its digest bounds it. */
static struct bytes
returned_of(struct queue_role *k, const struct letter *l, struct arena *a, struct envelope *e,
            enum notice_kind kind, bool *whole)
{
	struct letter_place place = { l->content_segment, l->content_at, l->content_len,
		                      l->envelope_segment, l->envelope_at };
	struct bytes        packed, none = { NULL, 0 };
	struct digest       digest;
	uint64_t            len;
	char               *text;

	if (letters_envelope(spool_letters(k->spool), l->envelope_segment, l->envelope_at, l->id, a,
	                     &packed) != 0 ||
	    !envelope_unpack(packed, a, e) || !digest_view(e->digest, &digest) || digest.parts == 0)
		return none;
	len = digest_part_at(&digest, 0).header_len;
	if (len > HEADER_RETURNED_MOST)
		len = HEADER_RETURNED_MOST;
	*whole = kind == NOTICE_FAILED && e->ret == 'F' &&
	         e->content_len <= (uint64_t)k->rows.bounce_size && e->body != BODY_BINARYMIME;
	if (*whole)
		len = e->content_len;
	text = arena_take(a, len + 1);
	if (letters_read(spool_letters(k->spool), &place, 0, text, len) != 0)
		return none;
	return (struct bytes){ text, len };
}

/* "host mx.example.com[192.0.2.1] said: 550 5.1.1 ... (in reply to ...)" is what senders say of a reply. */
static void
reply_find(const char *text, struct notice_recipient *to)
{
	static const struct bytes says = { " said: ", 7 }, asked = { " (in reply to ", 14 };
	struct bytes              t = bytes_of(text), host;
	ptrdiff_t                 at = bytes_search(t, says), end, bracket;

	if (!bytes_starts(t, BYTES("host ")) || at < 0)
		return;
	host = bytes_cut(t, 5, (size_t)at - 5);
	bracket = bytes_find(host, '[');
	to->remote = bracket > 0 ? bytes_cut(host, 0, (size_t)bracket) : host;
	to->said = bytes_cut(t, (size_t)at + says.len, t.len);
	if ((end = bytes_search(to->said, asked)) > 0)
		to->said = bytes_cut(to->said, 0, (size_t)end);
}

static void
notice_make(struct returning *n, const struct letter *l)
{
	struct queue_role       *k = queue_of(n->house);
	struct arena            *a = arena_open(NULL);
	size_t                   count = n->told.len / sizeof(struct recipient *);
	struct notice_recipient *to = arena_take_array(a, count, sizeof *to);
	struct envelope          e = { 0 };
	struct notice            notice = {
			   .kind = n->kind,
			   .host = k->common.myhostname,
			   .postmaster = k->rows.postmaster,
			   .sender = bytes_of(n->to),
			   .arrived = l->arrived_us / 1000000,
			   .by = l->handling.by_mode != 0 ? l->handling.by_us / 1000000 : 0,
			   .released = l->handling.not_before_us / 1000000,
			   .held_for = (l->flags & ENVELOPE_HELD_FOR) != 0
		                               ? (l->handling.not_before_us - l->arrived_us) / 1000000
		                               : 0,
			   .now = clock_wall(),
			   .recipient = to,
			   .recipients = count,
			   .copy = n->copy || l->sender[0] == '\0',
			   .copy_of = bytes_of(n->copy && !n->alone ? l->sender : ""),
	};
	struct digest digest;
	char          id[24];

	n->priority = l->handling.priority;
	letter_id_text(l->id, id);
	notice.queue_id = bytes_of(id);
	for (size_t i = 0; i < count; i++) {
		struct recipient *r;

		/* In the order in which they were named: a letter has its last one first. */
		memcpy(&r, n->told.at + (count - 1 - i) * sizeof r, sizeof r);
		to[i] = (struct notice_recipient){
			.original = bytes_of(r->orcpt),
			.final = bytes_of(r->address),
			.status = bytes_of(r->status),
			.diagnostic = bytes_of(r->text),
			.what = n->kind >= NOTICE_REPORT ? fate_of(r) : n->kind,
			.tried = r->tries > 0 ? r->begun_us / 1000000 : 0,
			.until = queue_recipient_end(k->queue, r) / 1000,
		};
		reply_find(r->text, &to[i]);
	}
	notice.original =
		returned_of(k, l, a, &e, n->copy ? NOTICE_DELAYED : n->kind, &notice.whole);
	notice.envid = e.envid;
	if (e.digest.len > 0 && digest_view(e.digest, &digest))
		notice.subject = digest.subject;
	/* rfc6533:4: only where it needs to be, for not every host knows it. */
	notice.utf8 = (l->flags & ENVELOPE_SMTPUTF8) != 0 && notice_wants_utf8(&notice);
	n->utf8 = notice.utf8 ? ENVELOPE_SMTPUTF8 : 0;
	queue_speech(n->house, &notice, a);
	notice_write(&notice, &n->content);
	arena_close(&a);
}

/* ---- its road: verifier, log, queue --------------------------------------------------------- */

static void
returning_free(struct returning *n)
{
	timer_close(&n->again);
	buffer_free(&n->content);
	buffer_free(&n->digest);
	buffer_free(&n->told);
	memory_free(n->report);
	memory_free(n);
}

static uint32_t
flags_of(const struct returning *n)
{
	return n->report != NULL ? ENVELOPE_TLS_OPTIONAL : ENVELOPE_NOTICE | n->utf8 | n->flags;
}

/* The disk or the verifiers cannot now: the letter stays ours, the notice is tried again. */
static void
returning_later(struct returning *n, const char *why)
{
	char id[24];

	letter_id_text(n->of, id);
	warn_("%s: its notice has to wait: %s", id, why);
	n->wait_ms = n->wait_ms == 0 ? NOTICE_AGAIN_MS : n->wait_ms * 2;
	if (n->wait_ms > NOTICE_AGAIN_MOST_MS)
		n->wait_ms = NOTICE_AGAIN_MOST_MS;
	timer_set(n->again, n->wait_ms);
}

static void
returning_due(void *ctx)
{
	returning_try(ctx);
}

/* It is not made a second time, whatever happens now. */
static void
report_is_there(struct queue_role *k, uint64_t of)
{
	struct letter *l = queue_find(k->queue, of);

	if (l == NULL)
		return;
	l->flags &= ~(uint32_t)ENVELOPE_REPORT;
	queue_change(k->queue, l);
}

static void
returning_safe(void *ctx, int why, uint64_t letter, uint32_t segment, uint64_t envelope_at)
{
	struct returning       *n = ctx;
	struct house           *h = n->house;
	struct letter_recipient to = { .address = bytes_of(n->to) };
	const char             *what;
	char                    id[24], of[24];

	if (why != 0) {
		returning_later(n, strerror(why));
		return;
	}
	letter_id_text(letter, id);
	letter_id_text(n->of, of);
	if (n->report != NULL)
		note_as(queue_services[SERVICE_QMGR], "%s: from=<%s>, to=<%s>: a report about TLS",
		        id, n->from, n->to);
	if (n->kind >= NOTICE_REPORT)
		report_is_there(queue_of(h), n->of);
	what = n->alarm                               ? "postmaster"
	       : n->second                            ? "postmaster non-delivery"
	       : n->copy && n->kind == NOTICE_DELAYED ? "postmaster delay"
	       : n->copy                              ? "postmaster non-delivery"
	       : n->kind == NOTICE_FAILED             ? "sender non-delivery"
	       : n->kind == NOTICE_DELAYED            ? "sender delay"
	                                              : "sender delivery status";
	if (n->report == NULL && n->of == 0) {
		note_as(queue_services[SERVICE_BOUNCE], "%s: %s notification of a session", id,
		        what);
	} else if (n->report == NULL) {
		note_as(queue_services[SERVICE_BOUNCE], "%s: %s notification: %s", of, what, id);
		queue_tell_notice(h, n->of, letter, n->to, what);
	}
	(void)queue_letter_enter(h, &(struct word_letter){
					    .letter = letter,
					    .envelope_segment = segment,
					    .envelope_at = envelope_at,
					    .content_len = n->content.len,
					    .arrived_us = clock_wall_us(),
					    .flags = flags_of(n),
					    .handling = { .priority = n->priority },
					    .sender = bytes_of(n->from),
					    .recipient = &to,
					    .recipients = 1,
				    });
	ledger_mark_set(queue_of(h)->ledger, segment, envelope_at);
	remember_told(h, n);
	tell_all(h, &n->told);
	if (n->report != NULL)
		queue_tls_posted(h, n->report);
	returning_free(n);
	queue_pump(h);
}

static void
returning_ask(struct question *q)
{
	struct returning *n = (struct returning *)q;
	struct link      *l = house_link(n->house, VERIFIER, q->verifier);

	word_pack_judge(link_begin(l, WORD_JUDGE, q->ticket),
	                &(struct word_judge){ .append = true,
	                                      .inside = true,
	                                      .content = buffer_bytes(&n->content),
	                                      .len = n->content.len });
	link_end(l);
}

static void
returning_answered(struct question *q, const struct bytes *body)
{
	struct returning         *n = (struct returning *)q;
	struct queue_role        *k = queue_of(n->house);
	struct arena             *a = arena_open(NULL);
	struct envelope_recipient to = { .address = bytes_of(n->to) };
	struct buffer             packed = { 0 };
	struct word_judged        w;
	uint64_t                  letter;

	if (body == NULL || !word_unpack_judged(*body, a, &w)) {
		returning_later(n, "no verifier could read it");
		goto out;
	}
	letter = writer_ready(k->writer, n->content.len)
	                 ? writer_content(k->writer, buffer_bytes(&n->content))
	                 : 0;
	if (letter == 0) {
		returning_later(n, "the letter log has no room");
		goto out;
	}
	buffer_reset(&n->digest);
	buffer_add(&n->digest, w.digest);
	envelope_pack(
		&(struct envelope){
			.letter = letter,
			.arrived_us = clock_wall_us(),
			.flags = flags_of(n),
			.sender = bytes_of(n->from),
			.client = BYTES("local"),
			.protocol = BYTES("internal"),
			.content_len = n->content.len,
			.digest = buffer_bytes(&n->digest),
			.handling = { .priority = n->priority },
			.recipient = &to,
			.recipients = 1,
		},
		&packed);
	writer_envelope(k->writer, letter, buffer_bytes(&packed), returning_safe, n);
	buffer_free(&packed);
out:
	arena_close(&a);
}

static void
returning_try(struct returning *n)
{
	n->question.ask = returning_ask;
	n->question.answered = returning_answered;
	n->question.again = false;
	question_ask(&queue_of(n->house)->questions, &n->question);
}

static bool
has_class(const struct queue_role *k, const char *class)
{
	for (size_t i = 0; i < k->notify.classes.count; i++)
		if (strcmp(k->notify.classes.item[i], class) == 0)
			return true;
	return false;
}

static void
returning_begin(struct house *h, struct returning *n, const struct letter *l)
{
	n->again = timer_open(h->loop, returning_due, n);
	notice_make(n, l);
	returning_try(n);
}

/* What the sender hears the postmaster hears too, of the letter its header alone; and what the sender did not wish to hear
   (NOTIFY), for that says nothing of what the postmaster wishes. */
static void
copy_to_postmaster(struct house *h, const struct returning *of, const struct buffer *unsaid,
                   const struct letter *l)
{
	struct queue_role *k = queue_of(h);
	bool               delay = of->kind == NOTICE_DELAYED;
	struct returning  *n;

	if (l->sender[0] == '\0' || is_verified_only(l) || !(delay || of->kind == NOTICE_FAILED) ||
	    of->told.len + unsaid->len == 0 || !has_class(k, delay ? "delay" : "bounce"))
		return;
	n = memory_take(sizeof *n);
	*n = (struct returning){
		.house = h, .of = l->id, .kind = of->kind, .copy = true, .alone = of->told.len == 0
	};
	(void)snprintf(n->to, sizeof n->to, "%s", delay ? k->rows.delay_to : k->notify.bounce_to);
	buffer_add(&n->told, buffer_bytes(&of->told));
	buffer_add(&n->told, buffer_bytes(unsaid));
	returning_begin(h, n, l);
	buffer_reset(&n->told);
}

/* A notice that cannot be delivered: nobody hears of it but, if they wish, the postmaster, and they not of what was
   for them.  What was only asked about is no letter. */
static bool
second_bounce(const struct queue_role *k, const struct letter *l, const struct recipient *r)
{
	return l->sender[0] == '\0' && r->refused && (r->notify & NOTIFY_NEVER) == 0 &&
	       !is_verified_only(l) && has_class(k, "2bounce") &&
	       strcmp(r->original, k->rows.second_bounce_to) != 0;
}

/* One notice for all recipients of a letter that ended alike in this turn and have one sender; true: there are
   more. */
bool
notice_return(struct house *h, struct letter *l)
{
	struct returning *n = memory_take(sizeof *n);
	struct buffer     silent = { 0 }, unsaid = { 0 }, none = { 0 };
	bool              more = false;
	bool              waits = queue_wants_report(l) && !l->reporting; /* others are in hand */

	*n = (struct returning){ .house = h, .of = l->id };
	for (struct recipient *r = l->first; r != NULL; r = r->next) {
		bool        second = second_bounce(queue_of(h), l, r);
		bool        wants = second || sender_wants(l, r, kind_of(r));
		const char *to = second ? queue_of(h)->rows.second_bounce_to
		                        : sender_of(queue_of(h), r, kind_of(r));

		if (r->state != RECIPIENT_DONE || !(r->refused || r->reported) || r->told ||
		    r->returning || (!wants && waits))
			continue;
		if (wants && n->told.len > 0 && (strcmp(to, n->to) != 0 || kind_of(r) != n->kind)) {
			more = true;
			continue;
		}
		if (wants && n->told.len == 0) {
			(void)bytes_string(bytes_of(to), n->to, sizeof n->to);
			n->kind = kind_of(r);
			n->second = second;
		}
		r->returning = true;
		buffer_add(wants ? &n->told : &silent,
		           (struct bytes){ (const char *)&r, sizeof r });
		if (!wants && r->refused)
			buffer_add(&unsaid, (struct bytes){ (const char *)&r, sizeof r });
	}
	if (n->told.len == 0)
		n->kind = NOTICE_FAILED;
	copy_to_postmaster(h, n, n->kind == NOTICE_FAILED ? &unsaid : &none, l);
	if (n->told.len == 0)
		returning_free(n);
	else
		returning_begin(h, n, l);
	tell_all(h, &silent);
	buffer_free(&silent);
	buffer_free(&unsaid);
	return more;
}

bool
notice_was_put_off(const struct recipient *r, const void *which)
{
	(void)which;
	return (r->state == RECIPIENT_WAITING || r->state == RECIPIENT_NEW) && r->status[0] == '4';
}

/* sendmail -v: all that became of its recipients, once each was tried.  Who hears of nothing else is told with it, so that their letter
   stays until it is on the disk. */
void
notice_report(struct house *h, struct letter *l)
{
	struct returning *n = memory_take(sizeof *n);
	struct buffer     held = { 0 };

	*n = (struct returning){ .house = h,
		                 .of = l->id,
		                 .kind = is_verified_only(l) ? NOTICE_DELIVERABLE : NOTICE_REPORT };
	(void)bytes_string(bytes_of(l->sender), n->to, sizeof n->to);
	for (struct recipient *r = l->first; r != NULL; r = r->next) {
		bool over = r->state == RECIPIENT_DONE && (r->refused || r->reported);

		if (r->opened != OPENED_NOT || !(over || notice_was_put_off(r, NULL)))
			continue;
		buffer_add(&n->told, (struct bytes){ (const char *)&r, sizeof r });
		if (!over || r->told || r->returning || sender_wants(l, r, kind_of(r)))
			continue;
		r->returning = true;
		buffer_add(&held, (struct bytes){ (const char *)&r, sizeof r });
	}
	l->reporting = true;
	n->again = timer_open(h->loop, returning_due, n);
	notice_make(n, l);
	buffer_reset(&n->told);
	buffer_add(&n->told, buffer_bytes(&held));
	buffer_free(&held);
	returning_try(n);
}

/* Once, and the letter goes on: all its recipients that are meant and have the same sender in one notice. */
void
notice_warn(struct house *h, struct letter                                    *l,
            bool (*meant)(const struct recipient *, const void *), const void *which)
{
	struct returning *n = memory_take(sizeof *n);
	struct buffer     unsaid = { 0 };

	*n = (struct returning){ .house = h, .of = l->id, .kind = NOTICE_DELAYED };
	for (struct recipient *r = l->first; r != NULL; r = r->next) {
		if (r->warned || !meant(r, which) ||
		    (n->told.len > 0 &&
		     strcmp(sender_of(queue_of(h), r, NOTICE_DELAYED), n->to) != 0))
			continue;
		r->warned = true;
		r->changed = true;
		queue_change(queue_of(h)->queue, l);
		if (!sender_wants(l, r, NOTICE_DELAYED)) {
			buffer_add(&unsaid, (struct bytes){ (const char *)&r, sizeof r });
			continue;
		}
		(void)bytes_string(bytes_of(sender_of(queue_of(h), r, NOTICE_DELAYED)), n->to,
		                   sizeof n->to);
		buffer_add(&n->told, (struct bytes){ (const char *)&r, sizeof r });
	}
	copy_to_postmaster(h, n, &unsaid, l);
	buffer_free(&unsaid);
	if (n->told.len == 0) {
		returning_free(n);
		return;
	}
	returning_begin(h, n, l);
	buffer_reset(&n->told); /* their life goes on without it */
}

void
queue_expanded(struct house *h, struct recipient *r, bool is_list)
{
	if (*r->letter->sender != '\0' && (r->notify & NOTIFY_SUCCESS) != 0)
		queue_opened(queue_of(h)->queue, r, is_list ? OPENED_LIST : OPENED_NAME);
}

static bool
is_this(const struct recipient *r, const void *which)
{
	return r == which;
}

/* rfc2852:4.1.5 */
void
queue_delayed(struct house *h, struct recipient *r)
{
	notice_warn(h, r->letter, is_this, r);
}

void
queue_alarm(struct house *h, const struct letter *l)
{
	struct returning *n = memory_take(sizeof *n);
	const char       *host = queue_of(h)->common.myhostname;
	char              id[24], date[64];

	*n = (struct returning){ .house = h, .of = l->id, .alarm = true };
	n->again = timer_open(h->loop, returning_due, n);
	(void)snprintf(n->to, sizeof n->to, "postmaster");
	letter_id_text(l->id, id);
	clock_rfc5322(clock_wall(), date, sizeof date);
	buffer_printf(
		&n->content,
		"From: Mail Delivery System <MAILER-DAEMON@%s>\r\nTo: Postmaster <postmaster@%s>\r\n"
		"Subject: An account sends too much\r\nDate: %s\r\nMessage-ID: <%s.alarm@%s>\r\n"
		"Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
		"%s.\r\n\r\nThe letter %s and those after it are held.\r\n"
		"    mansio queue list\r\nshows them, and\r\n    mansio queue release ID\r\n"
		"lets one go on.  No other notice of this comes before the time is over.\r\n",
		host, host, date, id, host, l->first != NULL ? l->first->text : "", id);
	returning_try(n);
}

void
queue_tell_postmaster(struct house *h, const char *to, uint32_t flags, struct buffer *content)
{
	struct returning *n = memory_take(sizeof *n);

	*n = (struct returning){ .house = h, .alarm = true, .flags = flags };
	n->again = timer_open(h->loop, returning_due, n);
	(void)snprintf(n->to, sizeof n->to, "%s", to);
	n->content = *content;
	*content = (struct buffer){ 0 };
	returning_try(n);
}

void
queue_post(struct house *h, const char *report, const char *from, const char *to,
           struct buffer *content)
{
	struct returning *n = memory_take(sizeof *n);
	size_t            len = strlen(report) + 1;

	*n = (struct returning){ .house = h };
	n->report = memcpy(memory_take(len), report, len);
	n->again = timer_open(h->loop, returning_due, n);
	(void)snprintf(n->from, sizeof n->from, "%s", from);
	(void)snprintf(n->to, sizeof n->to, "%s", to);
	n->content = *content;
	*content = (struct buffer){ 0 };
	returning_try(n);
}

/* ---- the writer: segments of our own spool ----------------------------------------------------- */

static void
writer_job(void *house, void (*run)(void *), void (*done)(void *), void *job)
{
	loop_job(((struct house *)house)->loop, run, done, job);
}

static void
writer_want(void *house, bool own, uint64_t size)
{
	struct queue_role *k = queue_of(house);
	uint32_t           number;
	uint64_t           room;
	int                fd = spool_lend(k->spool, own, size, &number, &room);

	if (fd < 0)
		writer_refuse(k->writer, own, errno);
	else {
		queue_spool_own(house, number, true);
		writer_lend(k->writer, number, fd, room, own);
	}
}

static void
writer_done(void *house, uint32_t segment, uint64_t used, int why)
{
	queue_spool_own(house, segment, false);
	queue_spool_back(house, segment, used, why);
}

static const struct writer_needs writer_needs = { .job = writer_job,
	                                          .want = writer_want,
	                                          .done = writer_done };

static void
writer_rest(void *writer)
{
	writer_at_rest(writer);
}

void
queue_notice_open(struct house *h)
{
	struct queue_role *k = queue_of(h);

	notice_gather_open(h);
	k->writer = writer_open(&writer_needs, h);
	loop_at_rest(h->loop, writer_rest, k->writer);
}
