/*
 * receiver-events -- what the chronicle hears of sessions: letters that were taken, refusals, what rules said
 */
#include "role/events.h"
#include "role/receiver.h"

#include <stdio.h>

#include "base/random.h"

enum { TRANSACTIONS = 1 << 20 };

uint64_t
story_begin(void)
{
	return random_number() / TRANSACTIONS * TRANSACTIONS + TRANSACTIONS;
}

static uint64_t
story_with(const struct visit *v, uint64_t number)
{
	return v->story + number % TRANSACTIONS;
}

uint64_t
story_of(const struct letter *l)
{
	struct visit *v = l->session == NULL ? NULL : *session_held(l->session);

	return v == NULL ? 0 : story_with(v, l->number);
}

/* Each recipient of a letter, NUL between: as many as an event holds. */
static void
put_recipients(const struct letter *l, struct buffer *out)
{
	for (uint32_t i = 0; i < l->rcpts; i++) {
		struct bytes one = l->rcpt[i].address;

		if (out->len + one.len + 1 > EVENT_TEXT_MOST)
			break;
		if (out->len > 0)
			buffer_add_char(out, '\0');
		buffer_add(out, one);
	}
}

void
need_told(void *house, struct session *s, const struct session_told *what)
{
	struct visit        *v = *session_held(s);
	struct event         e = { .kind = what->note ? LIFE_RULE : LIFE_REFUSED };
	struct session_facts is;
	struct buffer        to = { 0 };

	if (v == NULL || !event_is_told(house))
		return;
	session_facts(s, &is);
	e.session = story_with(v, is.has_sender ? is.number : 0);
	e.text[TEXT_CLIENT] = bytes_of(session_client(s));
	e.text[TEXT_HELO] = is.helo;
	e.text[TEXT_USER] = is.user;
	e.text[TEXT_SENDER] = is.has_sender ? is.sender : BYTES("");
	e.text[TEXT_RECIPIENT] = what->recipient;
	if (what->letter != NULL) {
		put_recipients(what->letter, &to);
		e.text[TEXT_RECIPIENT] = buffer_bytes(&to);
		e.text[TEXT_MESSAGE_ID] = bytes_of(what->letter->reader.fields.message_id);
	}
	e.text[TEXT_REPLY] = what->reply;
	e.text[TEXT_RULE] = what->rule;
	e.text[TEXT_ID] = what->id;
	e.text[TEXT_MOMENT] = bytes_of(what->verb);
	e.text[TEXT_SERVICE] = bytes_of(session_config(s)->listener);
	event_say(house, &e);
	buffer_free(&to);
}

static void
tell_taken(struct house *h, const struct letter *l, uint64_t story, uint64_t id)
{
	struct event e = {
		.kind = LIFE_ACCEPTED, .letter = id, .session = story, .number = l->len
	};
	char tls[160] = "";

	if (l->tls != NULL)
		(void)snprintf(tls, sizeof tls, "%s with cipher %s (%d/%d bits)", l->tls->version,
		               l->tls->cipher, l->tls->bits, l->tls->algorithm_bits);
	e.text[TEXT_CLIENT] = l->client;
	e.text[TEXT_HELO] = l->helo;
	e.text[TEXT_PROTOCOL] = bytes_of(l->protocol);
	e.text[TEXT_TLS] = bytes_of(tls);
	e.text[TEXT_METHOD] = l->method;
	e.text[TEXT_USER] = l->user;
	e.text[TEXT_MESSAGE_ID] = bytes_of(l->reader.fields.message_id);
	e.text[TEXT_SENDER] = l->sender;
	e.text[TEXT_SERVICE] = bytes_of(l->config->listener);
	event_say(h, &e);
}

void
tell_accepted(struct passage *p, uint64_t id)
{
	if (event_is_told(p->house))
		tell_taken(p->house, p->letter, p->story, id);
}

void
tell_thrown_away(struct house *h, const struct letter *l, uint64_t story, const char *id)
{
	struct event  e = { .kind = LIFE_DISCARDED, .session = story };
	struct buffer to = { 0 };

	if (!event_is_told(h) || !letter_id_parse(bytes_of(id), &e.letter))
		return;
	tell_taken(h, l, story, e.letter);
	put_recipients(l, &to);
	e.text[TEXT_RECIPIENT] = buffer_bytes(&to);
	event_say(h, &e);
	buffer_free(&to);
}

void
need_thrown(void *house, struct letter *l, const char *id)
{
	tell_thrown_away(house, l, story_of(l), id);
}

void
tell_checked(struct passage *p, uint64_t id, struct bytes what, struct bytes text)
{
	struct event e = { .kind = LIFE_RULE, .letter = id, .session = p->story };

	e.text[TEXT_RULE] = what;
	e.text[TEXT_REPLY] = text;
	e.text[TEXT_MOMENT] = BYTES("END-OF-MESSAGE");
	event_say(p->house, &e);
}

/* What was said in it goes to the postmaster. */
void
need_complain(void *house, struct session *s, const struct history *said)
{
	const struct receiver_config *c = session_config(s);

	mishap_say(house, &receiver_of(house)->mishaps,
	           &(struct mishap_from){ .listener = c->listener,
	                                  .what = c->kind == KIND_LMTP ? "LMTP server"
	                                                               : "SMTP server",
	                                  .who = session_client(s) },
	           said);
}
