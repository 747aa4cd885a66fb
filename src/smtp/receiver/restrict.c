/* What restriction lists say to a command: they are the house's (policy/rules.h), the session tells what it knows and obeys */
#include "smtp/receiver/session_inner.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/journal.h"
#include "smtp/reply.h"

enum { COPIES_MOST = 1000 };

/* A verdict that sleeps. */
struct slept {
	struct arena          *life;
	judged_fn             *then;
	struct session_verdict verdict;
};

static struct bytes
written(struct bytes whole, size_t added)
{
	return whole.len > added ? bytes_cut(whole, 0, whole.len - added) : whole;
}

void
session_facts(struct session *s, struct session_facts *f)
{
	const struct letter *l = s->letter;

	*f = (struct session_facts){
		.peer = &s->peer,
		.name = s->name,
		.reverse = s->reverse,
		.named = s->named,
		.trusted = s->trusted,
		.unsure = s->unsure,
		.here = session_is_here(s),
		.tested = s->tested,
		.lmtp = s->lmtp,
		.extended = s->hello == HELLO_EHLO,
		.secure = s->secure,
		.pipelined = s->pipelined,
		.helo_said = s->hello != HELLO_NONE || s->helo.len > 0,
		.helo = s->helo,
		.user = s->user,
		.method = s->method,
		.etrn = s->etrn,
		.forwarded = strcmp(s->where, "XCLIENT") == 0,
		.stress = receiver_is_stressed(s->config),
		.has_recipient = s->asked.len > 0,
		.utf8 = l != NULL ? (l->flags & ENVELOPE_SMTPUTF8) != 0 : s->verified_utf8,
		.recipient = written(s->asked, s->asked_added),
		.recipient_whole = s->asked,
		.recipient_known = s->asked_known,
		.recipient_is = (enum resolved)s->asked_is,
		.recipient_why = s->asked_why,
	};
	for (size_t i = 0; i < COUNT(s->deferred); i++)
		if (s->deferred[i] != NULL)
			f->deferred = bytes_of(s->deferred[i]);
	if (l == NULL)
		return;
	f->has_sender = true;
	f->sender = written(l->sender, l->added);
	f->sender_whole = l->sender;
	f->owner_known = l->sender_known;
	f->owner = (enum owner)l->owner;
	f->auth_sender = l->brought.auth_sender;
	f->recipients = l->rcpts;
	f->number = l->number;
	f->size = s->moment == MOMENT_END ? l->len : l->declared;
	/* Of several, a rule for the letter would name one as if it were all. */
	if (!f->has_recipient && l->rcpts == 1) {
		f->has_recipient = true;
		f->recipient = f->recipient_whole = l->rcpt[0].address;
		f->recipient_known = l->rcpt[0].known;
		f->recipient_is = (enum resolved)l->rcpt[0].is;
	}
}

/*
 * Obeying
 */

static void
add_copy(struct letter *l, struct bytes address)
{
	struct bytes *more;

	if (l->copies >= COPIES_MOST)
		return;
	for (uint32_t i = 0; i < l->copies; i++)
		if (bytes_equal(l->copy[i], address))
			return;
	more = arena_take_array(l->life, l->copies + (size_t)1, sizeof *more);
	if (l->copies > 0)
		memcpy(more, l->copy, l->copies * sizeof *more);
	more[l->copies++] = address;
	l->copy = more;
}

/* The field before those there are; one that was said for a recipient before is not said again. */
static void
add_field(struct letter *l, struct bytes field)
{
	struct buffer all = { 0 };

	if (bytes_search(l->prepend, field) >= 0)
		return;
	buffer_add(&all, l->prepend);
	buffer_add(&all, field);
	buffer_add(&all, BYTES("\r\n"));
	l->prepend = arena_keep(l->life, buffer_bytes(&all));
	buffer_free(&all);
}

static void
obey(struct letter *l, const struct session_deed *d)
{
	struct bytes text = arena_keep(l->life, d->text);

	switch (d->deed) {
	case DO_HOLD:
		l->handling.hold = text.len > 0 && text.at[0] != HOLD_ASIDE
		                           ? text
		                           : BYTES("a restriction list says so");
		break;
	case DO_DISCARD: l->discard = true; break;
	case DO_FILTER: l->handling.filter = text; break;
	case DO_REDIRECT: l->handling.redirect = text; break;
	case DO_BCC: add_copy(l, text); break;
	case DO_PREPEND: add_field(l, text); break;
	case DO_PASS: break;
	}
}

static void
obey_all(struct session *s, const struct session_verdict *v)
{
	for (size_t i = 0; i < v->deeds; i++)
		if (v->deed[i].deed == DO_PASS)
			screen_pass(s);
		else if (s->letter != NULL)
			obey(s->letter, &v->deed[i]);
}

/*
 * Asking
 */

/* What is put off to the end of the transaction, by the moment that found it. */
static void
keep_deferred(struct session *s, const struct session_verdict *v)
{
	size_t i = (size_t)s->moment;

	if (i >= COUNT(s->deferred))
		return;
	memory_free(s->deferred[i]);
	s->deferred[i] = NULL;
	if (v->deferred.len > 0) {
		s->deferred[i] = memory_take(v->deferred.len + 1);
		memcpy(s->deferred[i], v->deferred.at, v->deferred.len);
	}
}

void
judge(struct session *s, enum session_moment moment, judged_fn *then)
{
	static const struct session_verdict passes = { 0 };

	for (size_t i = (size_t)moment; i < COUNT(s->deferred); i++) {
		memory_free(s->deferred[i]);
		s->deferred[i] = NULL;
	}
	if (s->letter != NULL && s->letter->discard) {
		then(s, &passes);
		return;
	}
	s->judged = then;
	s->moment = (uint8_t)moment;
	hold(s);
	if (!s->needs->policy(s->house, s, moment))
		session_policy(s, &passes);
}

static void
sleep_over(struct session *s, const struct session_verdict *v)
{
	struct arena *life = arena_open(NULL);
	struct slept *z = arena_take(life, sizeof *z);

	*z = (struct slept){ life, s->judged, *v };
	z->verdict.reply = arena_keep(life, v->reply);
	z->verdict.rule = arena_keep(life, v->rule);
	z->verdict.id = arena_keep(life, v->id);
	z->verdict.deeds = 0;
	s->slept = z;
	s->resting = true;
	s->mouth->rest(s->mouth_of, (int64_t)v->sleep_s * 1000);
}

void
session_policy(struct session *s, const struct session_verdict *v)
{
	judged_fn *then = s->judged;

	if (then == NULL || s->over)
		return;
	keep_deferred(s, v);
	if (!v->refused)
		obey_all(s, v);
	if (v->sleep_s > 0) {
		sleep_over(s, v);
		return;
	}
	s->judged = NULL;
	filters_judge(s, v, then);
}

/* It has slept: what was said before holds now. */
bool
judged_after_sleep(struct session *s)
{
	struct slept *z = s->slept;
	struct arena *life;

	if (z == NULL)
		return false;
	s->slept = NULL;
	s->judged = NULL;
	filters_judge(s, &z->verdict, z->then);
	life = z->life;
	arena_close(&life);
	return true;
}

void
judge_end(struct session *s)
{
	struct arena *life = s->slept != NULL ? s->slept->life : NULL;

	s->slept = NULL;
	s->judged = s->filtered = NULL;
	arena_close(&life);
	for (size_t i = 0; i < COUNT(s->deferred); i++) {
		memory_free(s->deferred[i]);
		s->deferred[i] = NULL;
	}
}

/* The log hears of the rule and the id. */
static void
log_refused(struct session *s, const char *verb, struct bytes rcpt, const struct session_verdict *v)
{
	struct buffer line = { 0 };

	buffer_add(&line, v->reply);
	buffer_add_char(&line, '\0');
	if (!v->by_filter) /* else that is told already */
		log_reject_by(s, verb, rcpt, line.at, v->rule, v->id);
	buffer_free(&line);
}

/* "554 5.7.1 <x@y>: Relay access denied (PABCDEFGHJK)" */
static void
add_refusal(struct buffer *out, const struct session_verdict *v)
{
	buffer_add(out, v->reply);
	if (v->id.len > 0)
		buffer_printf(out, " (%.*s)", (int)v->id.len, v->id.at);
}

/* 421 and 521 are the last word, as access(5) has it: who is sent away so holds no place here. */
bool
is_farewell(struct bytes reply)
{
	return bytes_starts(reply, BYTES("421")) || bytes_starts(reply, BYTES("521"));
}

void
say_refused(struct session *s, const char *verb, struct bytes rcpt, const struct session_verdict *v)
{
	struct buffer line = { 0 };
	unsigned      before = s->history.faults;

	log_refused(s, verb, rcpt, v);
	add_refusal(&line, v);
	say(s, "%.*s", (int)line.len, line.at);
	/* The reply alone does not tell whose doing it is. */
	s->history.faults = before | fault_of_rule(v->rule, v->reply);
	buffer_free(&line);
	if (v->shut || is_farewell(v->reply))
		hang_up(s);
}

const char *
refusal_logged(struct session *s, const char *verb, const struct session_verdict *v)
{
	struct buffer line = { 0 };
	const char   *reply;

	log_refused(s, verb, BYTES(""), v);
	add_refusal(&line, v);
	reply = arena_copy(s->letter->life, buffer_bytes(&line));
	buffer_free(&line);
	return reply;
}

const char *
remembered(struct session *s, const struct session_refusal *r, struct bytes *id)
{
	*id = bytes_starts(r->reply, BYTES("5")) ? s->needs->remember(s->house, s, r) : BYTES("");
	s->explained.len = 0;
	add_refusal(&s->explained, &(struct session_verdict){ .reply = r->reply, .id = *id });
	buffer_add_char(&s->explained, '\0');
	return s->explained.at;
}

const char *
explained(struct session *s, const char *verb, struct bytes rcpt, const char *reply)
{
	struct session_refusal r = { verb, rcpt, bytes_of(reply),
		                     s->letter != NULL ? s->letter->refused_by : BYTES("") };
	struct bytes           id;
	const char            *said = remembered(s, &r, &id);

	if (s->letter == NULL || !s->letter->told)
		log_reject_by(s, verb, rcpt, reply, r.by, id);
	return said;
}

/* What a list wants the log to say, without a refusal. */
void
session_note(struct session *s, struct bytes what, struct bytes text)
{
	const struct letter *l = s->letter;

	note_as(s->config->service,
	        "NOQUEUE: %.*s: %s from %s: %.*s; from=<%.*s>%s%.*s%s proto=%s helo=<%.*s>",
	        (int)what.len, what.at, s->where, client_of(s), (int)text.len, text.at,
	        l != NULL ? (int)l->sender.len : 0, l != NULL ? l->sender.at : "",
	        s->asked.len > 0 ? " to=<" : "", (int)s->asked.len, s->asked.at,
	        s->asked.len > 0 ? ">" : "", protocol_of(s), (int)s->helo.len, s->helo.at);
	tell_house(s, &(struct session_told){ .note = true,
	                                      .verb = s->where,
	                                      .recipient = s->asked,
	                                      .reply = text,
	                                      .rule = what });
}

/*
 * smtpd_reject_footer
 */

struct footing {
	struct session *session;
	char            port[8], time[64];
};

static bool
footer_name(void *ctx, struct bytes name, struct bytes *value)
{
	struct footing *f = ctx;
	struct session *s = f->session;
	const struct {
		const char  *name;
		struct bytes value;
	} known[] = {
		{ "client", bytes_of(s->client) },
		{ "client_address", bytes_of(s->peer.text) },
		{ "client_name", bytes_of(s->name) },
		{ "client_port", bytes_of(f->port) },
		{ "localtime", bytes_of(f->time) },
		{ "recipient", s->asked },
		{ "sender", s->letter != NULL ? s->letter->sender : BYTES("") },
		{ "server_name", bytes_of(s->config->myhostname) },
	};

	for (size_t i = 0; i < COUNT(known); i++)
		if (bytes_is(name, known[i].name)) {
			*value = known[i].value;
			return true;
		}
	return false;
}

/* "550 5.7.1 " of the reply: the code, and the status if there is one. */
static size_t
reply_head(struct bytes reply)
{
	size_t n = 4;

	while (n < reply.len && (reply.at[n] == '.' || (reply.at[n] >= '0' && reply.at[n] <= '9')))
		n++;
	return n > 8 && n < reply.len && reply.at[n] == ' ' ? n + 1 : 4;
}

bool
has_footer(const struct session *s)
{
	return *s->config->set.reject_footer != '\0' || s->config->set.footer_tables.count > 0;
}

/* That of the first table that has the reply, else that of all. */
static struct bytes
footer_of(const struct session *s, struct bytes reply, struct arena *a)
{
	const struct setting_list *of = &s->config->set.footer_tables;
	struct network_tables     *tables = s->config->tables;
	struct bytes               value;

	for (size_t i = 0; i < of->count && tables != NULL; i++)
		if (tables->value(tables, of->item[i], arena_copy(a, reply), a, &value))
			return value;
	return bytes_of(s->config->set.reject_footer);
}

/* The line that `out` has from `from` on, without its end, is a refusal: more is said of it. */
void
add_footer(struct session *s, struct buffer *out, size_t from)
{
	struct buffer  footer = { 0 }, text = { 0 };
	struct footing f = { .session = s };
	struct bytes   rest, line, said = bytes_cut(buffer_bytes(out), from, out->len);
	char           head[24] = "";
	struct arena  *life;
	size_t         n = reply_head(said);

	if (said.len < 5 || n >= sizeof head)
		return;
	memcpy(head, said.at, n);
	(void)snprintf(f.port, sizeof f.port, "%u", s->peer.port);
	clock_rfc5322(clock_wall(), f.time, sizeof f.time);
	life = arena_open(NULL);
	settings_expand_later(footer_of(s, said, life), footer_name, &f, &footer);
	arena_close(&life);
	reply_text(&text, buffer_bytes(&footer));
	rest = buffer_bytes(&text);
	if (bytes_starts(rest, BYTES("\\c"))) {
		buffer_add(out, bytes_cut(rest, 2, SIZE_MAX));
		rest.len = 0;
	}
	while (rest.len > 0) {
		ptrdiff_t end = bytes_search(rest, BYTES("\\n"));

		line = bytes_cut(rest, 0, end < 0 ? rest.len : (size_t)end);
		rest = bytes_cut(rest, end < 0 ? rest.len : (size_t)end + 2, SIZE_MAX);
		out->at[from + 3] = '-';
		from = out->len + 2;
		buffer_printf(out, "\r\n%s%.*s", head, (int)line.len, line.at);
	}
	buffer_free(&footer);
	buffer_free(&text);
}
