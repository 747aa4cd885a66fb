/* XCLIENT and XFORWARD: a trusted peer tells of its own client (Postfix's XCLIENT_README, XFORWARD_README) */
#include "smtp/receiver/session_inner.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "smtp/forwarded.h"

/* What XFORWARD said, one command after the other, for the log line of the letter. */
struct origin {
	struct arena *life;
	struct bytes  name, addr, port, helo, proto, ident, source;
};

void
origin_drop(struct session *s)
{
	struct arena *life = s->origin != NULL ? s->origin->life : NULL;

	s->origin = NULL;
	arena_close(&life);
}

void
offer_xclient(struct session *s, struct buffer *out)
{
	if (s->may_xclient)
		buffer_add(out, BYTES("250-XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN "
		                      "DESTADDR DESTPORT\r\n"));
}

void
offer_xforward(struct session *s, struct buffer *out)
{
	if (s->may_xforward)
		buffer_add(out, BYTES("250-XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT\r\n"));
}

/* False: that is said. */
static bool
read_attributes(struct session *s, bool may, struct bytes argument, enum forwarded_command c,
                struct arena *a, struct forwarded *f)
{
	const char *no = "550 5.7.0 Error: insufficient authorization";

	if (may && forwarded_parse(argument, c, a, f, &no))
		return true;
	say(s, "%s", no);
	answered(s);
	return false;
}

/*
 * XCLIENT
 */

static void
take_peer(struct session *s, const struct forwarded *f)
{
	uint16_t port = s->peer.port;

	s->neighbour = false;
	if (forwarded_has(f, FORWARDED_ADDR)) {
		s->peer = f->peer;
		s->peer.port = port;
	} else if (forwarded_says(f, FORWARDED_ADDR)) {
		s->peer = (struct peer){ .family = AF_UNSPEC, .text = "unknown" };
	}
	if (forwarded_says(f, FORWARDED_PORT))
		s->peer.port = f->peer.port;
}

/* At which of our addresses its client came in. */
static void
take_here(struct session *s, const struct forwarded *f)
{
	s->here_said |= f->said & (1u << FORWARDED_DESTADDR | 1u << FORWARDED_DESTPORT);
	if (forwarded_says(f, FORWARDED_DESTPORT))
		s->here.port = f->here.port;
	if (forwarded_has(f, FORWARDED_DESTADDR)) {
		uint16_t port = s->here.port;
		s->here = f->here;
		s->here.port = port;
	} else if (forwarded_says(f, FORWARDED_DESTADDR))
		s->here = (struct peer){ .port = s->here.port, .text = "unknown" };
}

void
session_here(const struct session *s, struct peer *here)
{
	uint16_t port = s->here_said >> FORWARDED_DESTPORT & 1 ? s->here.port : here->port;

	if (s->here_said >> FORWARDED_DESTADDR & 1)
		*here = s->here;
	here->port = port;
}

/* What lists say of the client there is now. */
static void
client_looked(struct session *s)
{
	session_look_at_trust(s);
	s->excepted = networks_hold(&s->config->exceptions, &s->peer);
	begin_anew(s);
}

static void
take_names(struct session *s, const struct forwarded *f)
{
	struct bytes name = bytes_of(s->name), reverse = bytes_of(s->reverse);
	char         kept[2][256];

	if (forwarded_says(f, FORWARDED_NAME))
		name = forwarded_has(f, FORWARDED_NAME) ? f->value[FORWARDED_NAME]
		                                        : BYTES("unknown");
	if (forwarded_has(f, FORWARDED_NAME))
		reverse = name;
	if (forwarded_says(f, FORWARDED_REVERSE_NAME))
		reverse = forwarded_has(f, FORWARDED_REVERSE_NAME)
		                  ? f->value[FORWARDED_REVERSE_NAME]
		                  : BYTES("unknown");
	if (bytes_string(name, kept[0], sizeof kept[0]) &&
	    bytes_string(reverse, kept[1], sizeof kept[1]))
		call_client(s, bytes_of(kept[0]), bytes_of(kept[1]));
	if (forwarded_says(f, FORWARDED_NAME))
		s->named = forwarded_has(f, FORWARDED_NAME) ? NAMED
		           : f->later >> FORWARDED_NAME & 1 ? NAMED_LATER
		                                            : NAMED_NOT;
}

/* What the peer said of itself is forgotten, and what it says of its client holds. */
static void
take_words(struct session *s, const struct forwarded *f)
{
	bool extended =
		forwarded_has(f, FORWARDED_PROTO) && bytes_is(f->value[FORWARDED_PROTO], "ESMTP");

	if (s->life == NULL)
		s->life = arena_open(NULL);
	s->helo = s->user = s->method = (struct bytes){ NULL, 0 };
	s->hello = HELLO_NONE;
	if (forwarded_has(f, FORWARDED_HELO)) {
		s->helo = arena_keep(s->life, f->value[FORWARDED_HELO]);
		s->hello = extended ? HELLO_EHLO : HELLO_HELO;
	}
	if (forwarded_has(f, FORWARDED_LOGIN)) {
		s->user = arena_keep(s->life, f->value[FORWARDED_LOGIN]);
		s->method = BYTES("XCLIENT");
	}
}

/* The session begins anew, as if that client had come itself. */
void
verb_xclient(struct session *s, struct bytes argument)
{
	struct arena    *scratch = arena_open(NULL);
	struct forwarded f;

	if (read_attributes(s, s->may_xclient, argument, FORWARDED_XCLIENT, scratch, &f)) {
		(void)client_of(s);
		mail_end(s);
		auth_end(s);
		take_peer(s, &f);
		take_here(s, &f);
		take_names(s, &f);
		take_words(s, &f);
		s->needs->changed(s->house, s);
		s->done[s->verb]++;
		if (s->needs->look_at_client(s->house, s)) {
			s->looked = client_looked;
			hold(s);
		} else
			client_looked(s);
	}
	arena_close(&scratch);
}

/*
 * XFORWARD
 */

void
verb_xforward(struct session *s, struct bytes argument)
{
	/* clang-format off */
	static const struct {
		enum forwarded_attribute attribute;
		size_t where;
	} places[] = {
		{ FORWARDED_NAME,   offsetof(struct origin, name) },
		{ FORWARDED_ADDR,   offsetof(struct origin, addr) },
		{ FORWARDED_PORT,   offsetof(struct origin, port) },
		{ FORWARDED_HELO,   offsetof(struct origin, helo) },
		{ FORWARDED_PROTO,  offsetof(struct origin, proto) },
		{ FORWARDED_IDENT,  offsetof(struct origin, ident) },
		{ FORWARDED_SOURCE, offsetof(struct origin, source) },
	};
	/* clang-format on */
	struct arena    *scratch = arena_open(NULL);
	struct forwarded f;

	if (read_attributes(s, s->may_xforward, argument, FORWARDED_XFORWARD, scratch, &f)) {
		if (s->origin == NULL) {
			struct arena *life = arena_open(NULL);

			s->origin = arena_take(life, sizeof *s->origin);
			s->origin->life = life;
		}
		for (size_t i = 0; i < COUNT(places); i++)
			if (forwarded_says(&f, places[i].attribute))
				*(struct bytes *)((char *)s->origin + places[i].where) =
					arena_keep(s->origin->life, f.value[places[i].attribute]);
		/* Who does not know has it from nobody else: as Postfix's smtpd takes it. */
		if (forwarded_says(&f, FORWARDED_SOURCE) && !forwarded_has(&f, FORWARDED_SOURCE))
			s->origin->source = BYTES("LOCAL");
		say_fixed(s, BYTES("250 2.0.0 Ok\r\n"));
		answered(s);
	}
	arena_close(&scratch);
}

struct bytes
origin_source(const struct session *s)
{
	return s->origin != NULL ? s->origin->source : BYTES("");
}

/* What the envelope says of who brought the letter: with one word of XFORWARD about the client all of it is
   XFORWARD's, as Postfix has it. */
void
origin_keep(const struct session *s, struct letter *l)
{
	const struct origin *o = s->origin;
	uint64_t             port = 0;
	struct bytes         name, address;

	l->brought.method = l->method;
	l->brought.port = s->peer.port;
	l->told_client = l->client;
	l->told_helo = l->helo;
	l->told_protocol = bytes_of(l->protocol);
	if (o == NULL || o->name.len + o->addr.len + o->port.len + o->helo.len + o->proto.len == 0)
		return;
	if (!bytes_number(o->port, &port) || port > UINT16_MAX)
		port = 0;
	l->brought.port = (uint16_t)port;
	name = o->name.len > 0 ? o->name : BYTES("unknown");
	address = o->addr.len > 0 ? o->addr : BYTES("unknown");
	l->told_client = bytes_of(arena_printf(l->life, "%.*s[%.*s]", (int)name.len, name.at,
	                                       (int)address.len, address.at));
	l->told_helo = arena_keep(l->life, o->helo);
	l->told_protocol = arena_keep(l->life, o->proto);
}

/* ", orig_queue_id=ABC, orig_client=name[192.0.2.7]", as Postfix's log has it; "" where nothing was said. */
struct bytes
origin_text(const struct session *s, struct arena *a)
{
	const struct origin *o = s->origin;
	struct bytes         name, addr;
	const char          *id = "";

	if (o == NULL)
		return BYTES("");
	name = o->name.len > 0 ? o->name : BYTES("unknown");
	addr = o->addr.len > 0 ? o->addr : BYTES("unknown");
	if (o->ident.len > 0)
		id = arena_printf(a, ", orig_queue_id=%.*s", (int)o->ident.len, o->ident.at);
	if (o->name.len == 0 && o->addr.len == 0)
		return bytes_of(id);
	return bytes_of(arena_printf(a, "%s, orig_client=%.*s[%.*s]", id, (int)name.len, name.at,
	                             (int)addr.len, addr.at));
}
