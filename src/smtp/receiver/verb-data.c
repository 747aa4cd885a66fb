/* DATA: the letter itself (rfc5321:4.1.1.4, rfc2033:4.2), and what becomes of it */
#include "smtp/receiver/session_inner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/journal.h"
#include "base/random.h"
#include "smtp/reply.h"

enum {
	LETTER_SMALL = 256 << 10, /* gathered in memory up to this           */
	STREAM_WAITING = 1 << 20, /* more than this on its way to the disk: wait */
	UNDECLARED = 64 << 10,    /* what a letter counts before it is there  */
};

static room_fn room_content;

/*
 * The answer, once for SMTP, for each recipient in LMTP
 */

static void
say_outcome(struct session *s, const struct letter *l, const char *reply)
{
	struct buffer            *out = s->mouth->out(s->mouth_of);
	const struct letter_rcpt *each = l->answers > 0 ? l->answered : l->rcpt;
	uint32_t                  count = l->answers > 0 ? l->answers : l->rcpts;
	size_t                    from;

	if (!s->lmtp) {
		say(s, "%s", reply);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		const char *said = each[i].no != NULL ? each[i].no : reply;

		from = out->len;
		/* "250 2.0.0 " <address> words */
		buffer_printf(out, "%.10s<", said);
		reply_text_as(out, each[i].address, (l->flags & ENVELOPE_SMTPUTF8) != 0);
		buffer_printf(out, "> %s", strlen(said) > 10 ? said + 10 : "");
		if (has_footer(s) && reply_error(bytes_of(said))) {
			s->asked = each[i].address;
			add_footer(s, out, from);
		}
		overhear(s, out, from);
		buffer_add(out, BYTES("\r\n"));
	}
	s->asked = BYTES("");
	history_blame(&s->history, fault_of_reply(bytes_of(reply)));
	if (reply_error(bytes_of(reply)))
		s->errors++;
}

/* The transaction is over; the session goes on. */
static void
outcome(struct letter *l, const char *reply)
{
	struct session *s = l->session;

	if (s != NULL) {
		if (reply_error(bytes_of(reply)) && !l->explained)
			reply = explained(s, "END-OF-MESSAGE", BYTES(""), reply);
		say_outcome(s, l, reply);
		s->letter = NULL;
		s->refused = 0;
		s->overshot = 0;
		origin_drop(s);
		filters_over(s);
		s->room = s->over ? s->room : room_command;
		if (is_farewell(bytes_of(reply)))
			hang_up(s);
	}
	letter_drop(&l);
	if (s == NULL)
		return;
	history_flush(s);
	answered(s);
}

/* The same for one that the house may still have a stream for. */
static void
refuse(struct letter *l, const char *reply)
{
	if (l->streamed)
		l->needs->stream_drop(l->house, l);
	l->streamed = false;
	outcome(l, reply);
}

/*
 * Before the letter
 */

static void
data_begins(struct session *s)
{
	struct letter                  *l = s->letter;
	struct fields                  *f = &l->reader.fields;
	const struct receiver_settings *set = &s->config->set;

	l->header_origin = local_origin(s);
	if (l->header_origin != NULL)
		l->header_origin = arena_copy(l->life, bytes_of(l->header_origin));
	f->origin = l->header_origin;
	if (f->origin != NULL && s->config->within != NULL)
		f->within =
			strcmp(f->origin, s->config->myorigin) == 0 ? s->config->within : f->origin;
	f->drop = &set->drop_fields;
	f->repair = l->submission || set->add_missing;
	f->field_most = (uint64_t)set->header_size;
	f->section_most = (uint64_t)set->header_total;
	l->reader.lenient =
		set->bare_newline == BARE_NO || networks_hold(&s->config->bare_excluded, &s->peer);
	l->reader.forbidden = (struct bytes){ s->config->forbidden, s->config->forbidden_len };
	l->reader.counted = l->chunked;
	l->reader.binary = l->chunked && l->body == BODY_BINARYMIME;
	letter_charge(l, l->declared > 0 && l->declared < UNDECLARED ? l->declared : UNDECLARED);
	s->since = s->heard = clock_patient_ms();
	if (l->chunked) {
		chunk_begins(s);
		return;
	}
	s->room = room_content;
	say_fixed(s, BYTES("354 End data with <CR><LF>.<CR><LF>\r\n"));
}

/* What BDAT has announced comes in any case. */
static void
no_room(struct session *s, const char *reply)
{
	if (s->letter->chunked) {
		mail_end(s);
		s->chunk_reply = reply;
		chunk_begins(s);
		return;
	}
	say(s, "%s", reply);
	answered(s);
}

static void
take_room(struct session *s, enum room_answer answer)
{
	s->waits_for_room = answer == ROOM_WAIT;
	s->held = s->waits_for_room;
	if (s->waits_for_room)
		return;
	if (answer == ROOM_YES)
		data_begins(s);
	else
		no_room(s, answer == ROOM_FULL ? "452 4.3.1 Insufficient system storage"
		                               : "451 4.3.0 Error: queue file write error");
}

void
session_ask_room(struct session *s)
{
	if (s->over || !s->waits_for_room)
		return;
	content_asks_room(s);
	if (!s->held && !s->taking)
		s->mouth->resume(s->mouth_of);
}

void
content_asks_room(struct session *s)
{
	struct letter *l = s->letter;

	take_room(s, s->needs->room(s->house, s,
	                            l->declared > 0 || !l->chunked ? l->declared : s->chunk_size));
}

static void
data_judged(struct session *s, const struct session_verdict *v)
{
	if (v->refused) {
		say_refused(s, "DATA", BYTES(""), v);
		answered(s);
		return;
	}
	s->held = false;
	content_asks_room(s);
	if (!s->held && !s->taking && !s->over)
		s->mouth->resume(s->mouth_of);
}

void
verb_data(struct session *s, struct bytes none)
{
	(void)none;
	if (s->letter->body != BODY_BINARYMIME) {
		judge(s, MOMENT_DATA, data_judged);
		return;
	}
	say(s, "503 5.5.1 Error: BINARYMIME needs BDAT"); /* rfc3030:3 */
	answered(s);
}

/*
 * The letter comes
 */

/* Bytes we shall not keep need no room. */
static void
stop_keeping(struct session *s, struct letter *l)
{
	l->reader.dropping = true;
	if (l->streamed)
		s->needs->stream_drop(s->house, l);
	l->streamed = false;
	buffer_free(&l->content);
	letter_charge(l, 0);
}

static bool
too_large(const struct session *s, const struct letter *l)
{
	int64_t most = s->config->set.message_size;

	/* What was cut from a field is heard, too. */
	return most > 0 && ((l->streamed ? l->len : 0) + l->content.len > (uint64_t)most ||
	                    (l->reader.fields.cut && l->reader.raw > (uint64_t)most));
}

/* Give what is in memory to the stream. */
static void
pour(struct session *s, struct letter *l)
{
	if (l->content.len == 0 || l->why != 0)
		return;
	l->len += l->content.len;
	l->why = s->needs->stream_add(s->house, l, buffer_bytes(&l->content));
	buffer_reset(&l->content);
}

void
letter_streamed(struct letter *l, int why)
{
	struct session *s = l->session;

	l->why = why;
	if (s == NULL)
		return;
	if (why != 0)
		stop_keeping(s, l);
	else
		pour(s, l);
	s->held = false;
	if (s->taking)
		return;
	chunk_look(s);
	s->mouth->resume(s->mouth_of);
}

/* A letter that has outgrown memory flows to the disk as it comes. */
static void
make_room(struct session *s, struct letter *l)
{
	const struct receiver_settings *set = &s->config->set;

	if (too_large(s, l)) {
		l->why = EFBIG;
		stop_keeping(s, l);
	} else if (l->streamed) {
		pour(s, l);
		if (l->why != 0)
			stop_keeping(s, l);
		else if (s->needs->stream_waiting(s->house, l) > STREAM_WAITING) {
			hold(s);
			s->mouth->rest(s->mouth_of, 2);
			s->resting = true;
		}
	} else if (content_in_body(&l->reader) && l->content.len > LETTER_SMALL) {
		l->streamed = true;
		letter_charge(l, LETTER_SMALL);
		hold(s);
		s->needs->stream_open(s->house, l);
	} else if (l->content.len > l->_charged) {
		letter_charge(l, l->content.len);
		if (set->letters_memory > 0 && letters_in_hand() > (uint64_t)set->letters_memory) {
			l->why = ENOMEM;
			stop_keeping(s, l);
		}
	}
}

const char *
content_fault(const struct session *s, const struct letter *l)
{
	const struct receiver_settings *set = &s->config->set;
	const char                     *no;

	if (l->reader.fields.too_long)
		return "552 5.3.4 Error: message header size exceeds fixed limit";
	if (l->why == EFBIG)
		return "552 5.3.4 Error: message file too big";
	if (l->why == ENOSPC || l->why == EDQUOT || l->why == ENOMEM)
		return "452 4.3.1 Insufficient system storage";
	if (l->why != 0)
		return "451 4.3.0 Error: queue file write error";
	if (l->reader.refusable)
		return "550 5.7.1 disallowed character";
	if (l->reader.bare_lf && set->bare_newline == BARE_REJECT && !l->reader.lenient)
		return arena_printf(l->life, "%d %c.5.2 Error: bare <LF> received",
		                    (int)set->bare_newline_code,
		                    set->bare_newline_code < 500 ? '4' : '5');
	if ((no = solicitation_refused(s, bytes_of(l->reader.fields.solicitation))) != NULL)
		return no;
	if (set->hopcount > 0 && l->reader.fields.received > set->hopcount)
		return "554 5.4.6 Error: too many hops"; /* rfc5321:6.3 */
	return NULL;
}

static void
note_facts(struct session *s, struct letter *l)
{
	struct tls_facts t;

	l->arrived_us = clock_wall_us();
	s->bare_lf |= l->reader.bare_lf;
	if (l->hold_for > 0)
		l->handling.not_before_us = l->arrived_us + l->hold_for * 1000000;
	l->peer = s->peer;
	l->client = arena_keep(l->life, bytes_of(client_of(s)));
	l->name = arena_keep(l->life, bytes_of(s->name));
	l->reverse = arena_keep(l->life, bytes_of(s->reverse));
	l->helo = s->helo.len > 0 ? arena_keep(l->life, s->helo) : l->name;
	l->user = arena_keep(l->life, s->user);
	l->filtered = (s->filters >> FILTER_CONTENT & 1) != 0;
	l->origin = origin_text(s, l->life);
	l->method = arena_keep(l->life, s->method);
	l->of_userid = s->of_userid;
	l->userid = s->userid;
	l->protocol = protocol_of(s);
	origin_keep(s, l);
	l->config = receiver_config_take(s->config);
	if (s->secure && s->mouth->tls(s->mouth_of, &t)) {
		struct tls_facts *kept = arena_take(l->life, sizeof *kept);

		*kept = t;
		l->tls = kept;
	}
}

/* Taken, and thrown away: who sent it hears of an id that no letter has. */
static void
throw_away(struct letter *l)
{
	struct session *s = l->session;
	char            reply[64], id[24];

	(void)snprintf(id, sizeof id, "%010" PRIX64, random_below(UINT64_C(1) << 40));
	(void)snprintf(reply, sizeof reply, "250 2.0.0 Ok: queued as %s", id);
	if (s != NULL)
		note_facts(s, l);
	if (s != NULL && s->needs->thrown != NULL)
		s->needs->thrown(s->house, l, id);
	refuse(l, reply);
}

/* Whoever is left gets it. */
void
content_whole(struct session *s)
{
	struct letter *l = s->letter;

	if (l->rcpts == 0) {
		refuse(l, "554 5.5.1 Error: no valid recipients");
		return;
	}
	note_facts(s, l);
	letter_spends(s, l);
	if (l->reader.fields.tls_optional && !(l->flags & ENVELOPE_REQUIRETLS))
		l->flags |= ENVELOPE_TLS_OPTIONAL; /* rfc8689:4.1 */
	l->ended = true;
	s->needs->judge(s->house, l);
}

static void
end_judged(struct session *s, const struct session_verdict *v)
{
	struct letter *l = s->letter;

	if (v->refused) {
		const char *reply = refusal_logged(s, "END-OF-MESSAGE", v);

		l->told = l->explained = true;
		refuse(l, reply);
		return;
	}
	if (l->discard) {
		throw_away(l);
		return;
	}
	if (s->lmtp)
		content_for_each(s);
	else
		content_whole(s);
}

/* The final dot, or the last chunk. */
void
content_ended(struct session *s)
{
	struct letter *l = s->letter;
	const char    *no;

	hold(s);
	s->room = room_nothing;
	if (l->streamed)
		pour(s, l);
	else
		l->len = l->content.len;
	if (!l->reader.dropping && too_large(s, l))
		l->why = EFBIG;
	if ((no = content_fault(s, l)) != NULL) {
		refuse(l, no);
		return;
	}
	judge(s, MOMENT_END, end_judged);
}

/* A letter that will be refused is heard to its end, but not for ever. */
static void
bear_with(struct session *s, struct letter *l)
{
	if (s->config->set.message_size <= 0 ||
	    l->reader.raw < 2 * (uint64_t)s->config->set.message_size + PATIENCE_MORE)
		return;
	say(s, "%s", explained(s, "DATA", BYTES(""), content_fault(s, l)));
	mail_end(s);
	hang_up(s);
}

void
content_gathered(struct session *s, bool more)
{
	struct letter *l = s->letter;

	if (l->reader.fields.too_long && !l->reader.dropping)
		stop_keeping(s, l);
	if (!l->reader.dropping && more)
		make_room(s, l);
	else if (!l->reader.dropping && too_large(s, l)) {
		l->why = EFBIG;
		stop_keeping(s, l);
	}
}

static size_t
room_content(struct session *s, struct bytes arrived)
{
	struct letter       *l = s->letter;
	size_t               used;
	enum content_outcome got = content_read(&l->reader, arrived, &l->content, &used);

	s->taken += used;
	content_gathered(s, got == CONTENT_MORE);
	if (got == CONTENT_ENDED)
		content_ended(s);
	else if (l->reader.dropping)
		bear_with(s, l);
	return used;
}

/*
 * The house has looked at it
 */

void
letter_judged(struct letter *l, enum verdict verdict, const char *reply, struct bytes prefix,
              struct bytes digest)
{
	if (verdict == VERDICT_ACCEPT)
		l->needs->keep(l->house, l, prefix, digest);
	else if (reply != NULL && reply[0] == (verdict == VERDICT_REFUSE ? '5' : '4') &&
	         strlen(reply) > 10)
		refuse(l, reply);
	else
		refuse(l, verdict == VERDICT_REFUSE
		                  ? "550 5.7.1 Error: message content rejected"
		                  : "451 4.3.0 Error: the letter could not be looked at now");
}

/* Who brings letters may make mistakes between them: they are counted anew. */
static void
taken(struct session *s)
{
	if (s == NULL)
		return;
	s->errors = 0;
	s->junk = 0;
}

/* Another server has it, or not: what it says is the answer. */
void
letter_passed(struct letter *l, const char *reply)
{
	l->told = true;
	l->refused_by = BYTES("smtpd_proxy_filter");
	if (reply[0] == '2')
		taken(l->session);
	refuse(l, reply);
}

void
session_called(struct session *s, const char *name)
{
	if (s->letter != NULL && s->letter->called.len == 0)
		s->letter->called = bytes_of(arena_copy(s->letter->life, bytes_of(name)));
}

static void
log_letter(const struct letter *l, const char *id)
{
	const char *service = l->config->service;
	const char *called = l->called.len > 0 ? ", transaction=" : "";

	if (l->user.len > 0)
		note_as(service, "%s: client=%.*s, sasl_method=%.*s, sasl_username=%.*s%.*s%s%.*s",
		        id, (int)l->client.len, l->client.at, (int)l->method.len, l->method.at,
		        (int)l->user.len, l->user.at, (int)l->origin.len, l->origin.at, called,
		        (int)l->called.len, l->called.at);
	else
		note_as(service, "%s: client=%.*s%.*s%s%.*s", id, (int)l->client.len, l->client.at,
		        (int)l->origin.len, l->origin.at, called, (int)l->called.len, l->called.at);
	note_as(service, "%s: message-id=%s", id,
	        l->reader.fields.message_id[0] != 0 ? l->reader.fields.message_id : "<>");
}

/* It lies on the disk: only now the client hears so. */
void
letter_safe(struct letter *l, int why, const char *id)
{
	char   reply[80];
	size_t n;

	if (why != 0) {
		outcome(l, why == ENOSPC || why == EDQUOT
		                   ? "452 4.3.1 Insufficient system storage"
		                   : "451 4.3.0 Error: queue file write error");
		return;
	}
	log_letter(l, id);
	/* rfc6710:9 X.3.6 tells the priority it has. */
	n = (size_t)snprintf(reply, sizeof reply,
	                     l->lowered ? "250 2.3.6 %d is its priority; " : "250 2.0.0 ",
	                     l->handling.priority);
	(void)snprintf(reply + n, sizeof reply - n, "Ok: queued as %s", id);
	taken(l->session);
	outcome(l, reply);
}
