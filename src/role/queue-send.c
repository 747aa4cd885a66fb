/*
 * queue-send -- what goes elsewhere
 *
 * A recipient that is not ours is asked about at the clerk (ROUTE: by which transport, to which destination) and then stands
 * in the line of its destination.  Destinations that have room and somebody waiting take turns: one transaction each, with
 * all recipients of one letter that wait there, to a sender that has room.  How many may be under way to one destination
 * grows with success and shrinks with failure; one that nobody reaches is left alone for a while, and then tried by one.
 */
#include "base/clock.h"
#include "message/digest.h"
#include "message/envelope.h"
#include "role/queue.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ROUTES_MOST = 20000, DESTINATIONS_IDLE_MOST = 1000 };

/* ---- destinations ---------------------------------------------------------------------------------- */

struct destination {
	char               *key, *nexthop;
	struct transport    transport;
	struct recipient   *first, *last; /* who waits                    */
	uint32_t            waiting, busy, window, failures;
	int64_t             away_until_ms; /* nobody answers there        */
	char                why[400], status[12];
	struct away        *away; /* who is put off, until it returns */
	bool                in_turn;
	struct destination *next;
};

/* What a sender was told and has not answered. */
struct sending {
	struct destination *to;
	struct letter      *letter;
	uint32_t            sender, ticket, rcpts;
	int64_t             said_us;
	struct recipient  **rcpt;
	struct sending     *next; /* of those whose end is not durable yet */
};

/* ---- transports ---------------------------------------------------------------------------------- */

bool
queue_is_transport(const struct queue_role *k, struct bytes name)
{
	return transport_named(k->transports, name) != NULL;
}

/* The settings are new.  What is under way keeps what it began with; destinations go by the new ones. */
void
queue_transports_read(struct house *h)
{
	struct queue_role *k = queue_of(h);
	struct transports *all = memory_take(sizeof *all);

	transports_read(h->settings, k->life, all);
	for (struct map_place p = { 0 };
	     k->destinations != NULL && map_next(k->destinations, &p);) {
		struct destination     *d = p.value;
		const struct transport *t = transport_named(all, bytes_of(d->transport.name));

		if (t != NULL)
			d->transport = *t;
	}
	memory_free(k->transports);
	k->transports = all;
}

static struct bytes
number_key(const uint32_t *n)
{
	return (struct bytes){ (const char *)n, sizeof *n };
}

static char *
text_keep(const char *text)
{
	size_t n = strlen(text) + 1;

	return memcpy(memory_take(n), text, n);
}

static void
destination_drop(struct queue_role *k, struct destination *d)
{
	(void)map_drop(k->destinations, bytes_of(d->key));
	memory_free(d->key);
	memory_free(d->nexthop);
	queue_away_free(&d->away);
	memory_free(d);
}

/* What is known of destinations nobody goes to is not kept for ever. */
static void
destinations_sweep(struct queue_role *k)
{
	int64_t now = queue_now_ms();

	for (struct map_place p = { 0 }; map_next(k->destinations, &p);) {
		struct destination *d = p.value;
		if (d->waiting == 0 && d->busy == 0 && !d->in_turn && d->away_until_ms <= now)
			destination_drop(k, d);
	}
}

static struct destination *
destination_of(struct queue_role *k, const struct transport *t, const char *nexthop)
{
	struct destination *d;
	struct buffer       key = { 0 };

	buffer_printf(&key, "%s:%s", t->name, nexthop);
	d = map_get(k->destinations, buffer_bytes(&key));
	if (d == NULL) {
		if (map_count(k->destinations) >= k->destinations_most) {
			destinations_sweep(k);
			k->destinations_most =
				2 * map_count(k->destinations) + DESTINATIONS_IDLE_MOST;
		}
		buffer_add_char(&key, '\0');
		d = memory_take(sizeof *d);
		d->key = text_keep(key.at);
		d->nexthop = text_keep(nexthop);
		d->transport = *t;
		d->window = (uint32_t)t->first_concurrency;
		(void)map_put(k->destinations, bytes_of(d->key), d);
	}
	buffer_free(&key);
	return d;
}

static void
line_join(struct destination *d, struct recipient *r)
{
	r->line = d;
	r->line_next = NULL;
	r->line_before = d->last;
	if (d->last != NULL)
		d->last->line_next = r;
	else
		d->first = r;
	d->last = r;
	d->waiting++;
}

static void
line_leave(struct destination *d, struct recipient *r)
{
	if (r->line_before != NULL)
		r->line_before->line_next = r->line_next;
	else
		d->first = r->line_next;
	if (r->line_next != NULL)
		r->line_next->line_before = r->line_before;
	else
		d->last = r->line_before;
	r->line = NULL;
	d->waiting--;
}

static void
take_turn(struct house *h, struct destination *d)
{
	struct queue_role *k = queue_of(h);

	if (!d->in_turn) {
		d->in_turn = true;
		d->next = NULL;
		*k->turn_last = d;
		k->turn_last = &d->next;
	}
	errand_set(h->loop, &k->send);
}

static void
service_name(const struct queue_role *k, const struct transport *t, char out[static 96])
{
	(void)snprintf(out, 96, "%s/%s", k->common.syslog_name, t->service);
}

/* ---- by which transport? --------------------------------------------------------------------------------- */

/* A question at the clerk, and all who wait for the answer. */
struct routing {
	uint32_t      ticket;
	struct buffer asked; /* packed ROUTE                                 */
	struct buffer who;   /* of struct recipient *                        */
	char         *key;
};

static const char *
sender_name(const struct recipient *r)
{
	return *r->sender != '\0' ? r->sender : r->letter->sender;
}

static const char *
sender_outside(const struct recipient *r)
{
	return *r->outside != '\0' ? r->outside : sender_name(r);
}

/* It came to an address of ours, and another host is to have it: its sender may need a name of ours (SRS), which is
   made for it alone.  The owner of a list has one. */
static bool
is_forwarded(const struct recipient *r)
{
	return r->known && *r->sender == '\0' && *r->letter->sender != '\0' &&
	       !bytes_equal_nocase(bytes_of(r->original), bytes_of(r->address));
}

/* Under what an answer for this recipient is kept: its domain, or it and the sender. */
static const char *
key_of(struct arena *a, const struct recipient *r, bool domain)
{
	const char *at = strrchr(r->address, '@');

	if (domain)
		return arena_printf(a, "@%s", at != NULL ? at + 1 : r->address);
	return arena_printf(a, "%s>%s", sender_name(r), r->address);
}

static void
routed_error(struct house *h, struct recipient *r, const struct transport *t, const char *text)
{
	bool                 later = t->kind == BY_RETRY;
	struct bytes         rest = bytes_of(text), status = { NULL, 0 };
	char                 code[12] = "", service[96];
	struct queue_attempt by = { service, "none", 0, 0, 0, "" };

	service_name(queue_of(h), t, service);
	if (rest.len > 4 && rest.at[0] == (later ? '4' : '5') && rest.at[1] == '.' &&
	    bytes_split(&rest, ' ', &status))
		(void)bytes_string(status, code, sizeof code);
	if (code[0] == '\0')
		rest = bytes_of(text);
	queue_conclude_by(h, r, later ? EVENT_LATER : EVENT_REFUSED, later ? "deferred" : "bounced",
	                  code[0] != '\0' ? code
	                  : later         ? "4.0.0"
	                                  : "5.0.0",
	                  rest.len > 0 ? rest.at : "mail is not taken for this destination", &by);
}

static void
routed_by(struct house *h, struct recipient *r, const struct transport *t, const char *nexthop)
{
	struct queue_role   *k = queue_of(h);
	char                 service[96];
	struct queue_attempt by = { service, "none", 0, 0, 0, "" };
	struct destination  *d;

	service_name(k, t, service);
	switch (t->kind) {
	case BY_SMTP:
	case BY_LMTP:
	case BY_PIPE:
	case TRANSPORT_KINDS: break;
	case BY_ERROR:
	case BY_RETRY: routed_error(h, r, t, nexthop); return;
	case BY_DISCARD:
		queue_conclude_by(h, r, EVENT_DELIVERED, "sent", "2.0.0",
		                  *nexthop != '\0' ? nexthop : "discarded", &by);
		return;
	case BY_LOCAL:
	case BY_VIRTUAL:
		queue_conclude_by(h, r, EVENT_LATER, "deferred", "4.3.5",
		                  "mail transport unavailable: this address is nobody's here", &by);
		return;
	case BY_HOLD:
		queue_event(k->queue, r, EVENT_LOST, "4.7.0", "transport_maps say hold",
		            queue_now_ms());
		queue_event(k->queue, r, EVENT_HOLD, NULL, NULL, queue_now_ms());
		return;
	}
	d = destination_of(k, t, nexthop);
	if (d->away_until_ms > queue_now_ms()) {
		struct buffer text = { 0 };

		buffer_printf(&text, "delivery temporarily suspended: %s", d->why);
		buffer_add_char(&text, '\0');
		queue_conclude_by(h, r, EVENT_LATER, "deferred", d->status, text.at, &by);
		buffer_free(&text);
		return;
	}
	line_join(d, r);
	take_turn(h, d);
}

static void
routed(struct house *h, struct recipient *r, const struct word_routed *w)
{
	const struct transport *t =
		transport_named(queue_of(h)->transports, bytes_of(w->transport));
	struct buffer text = { 0 };

	r->lifetime_s = w->scope == ROUTED_LATER ? UINT32_MAX : w->lifetime_s;
	if (strcmp(r->outside, w->sender) != 0)
		r->outside = arena_copy(r->letter->life, bytes_of(w->sender));
	if (w->scope == ROUTED_LATER) {
		queue_conclude(h, r, EVENT_LATER, "deferred", "4.3.0",
		               "transport_maps cannot be asked now");
	} else if (t == NULL) {
		buffer_printf(&text, "mail transport unavailable: there is no transport \"%s\"",
		              w->transport);
		buffer_add_char(&text, '\0');
		queue_conclude(h, r, EVENT_LATER, "deferred", "4.3.5", text.at);
	} else {
		routed_by(h, r, t, w->nexthop);
	}
	buffer_free(&text);
}

static void
say_route(struct house *h, const struct routing *g)
{
	struct link *l = house_link(h, CLERK, 0);

	if (l == NULL)
		return; /* asked when it comes */
	buffer_add(link_begin(l, WORD_ROUTE, g->ticket), buffer_bytes(&g->asked));
	link_end(l);
}

static struct routing *
routing_find(const struct queue_role *k, const char *key)
{
	for (struct map_place p = { 0 }; map_next(k->routing, &p);)
		if (strcmp(((struct routing *)p.value)->key, key) == 0)
			return p.value;
	return NULL;
}

static void
routing_join(struct house *h, struct recipient *r)
{
	struct queue_role *k = queue_of(h);
	struct arena      *a = arena_open(NULL);
	const char        *key = key_of(a, r, true);
	bool               forwarded = k->srs && is_forwarded(r);
	struct routing    *g = k->routes_by_domain && !forwarded ? routing_find(k, key) : NULL;

	if (g == NULL) {
		g = memory_take(sizeof *g);
		g->key = text_keep(forwarded ? "" : key);
		while (g->ticket = ++k->next_ticket,
		       g->ticket == 0 || map_get(k->routing, number_key(&g->ticket)) != NULL)
			continue;
		word_pack_route(&g->asked,
		                &(struct word_route){ bytes_of(r->address),
		                                      bytes_of(sender_name(r)), forwarded });
		(void)map_put(k->routing, number_key(&g->ticket), g);
		say_route(h, g);
	}
	buffer_add(&g->who, (struct bytes){ (const char *)&r, sizeof(struct recipient *) });
	arena_close(&a);
}

static void
routes_clear(struct queue_role *k)
{
	for (struct map_place p = { 0 }; map_next(k->routes, &p);)
		memory_free(map_drop(k->routes, p.key));
}

/* An answer is kept with its length in front. */
static void
route_keep(struct queue_role *k, const char *key, struct bytes body)
{
	uint64_t len = body.len;
	char    *copy = memory_take(sizeof len + body.len);

	if (map_count(k->routes) >= ROUTES_MOST)
		routes_clear(k);
	memcpy(copy, &len, sizeof len);
	memcpy(copy + sizeof len, body.at, body.len);
	memory_free(map_put(k->routes, bytes_of(key), copy));
}

/* False: nothing is known. */
static bool
route_known(struct house *h, struct recipient *r)
{
	struct queue_role *k = queue_of(h);
	struct arena      *a = arena_open(NULL);
	const char        *kept = map_get(k->routes, bytes_of(key_of(a, r, true)));
	struct word_routed w;
	uint64_t           len;

	if (k->srs && is_forwarded(r))
		kept = NULL;
	else if (kept == NULL)
		kept = map_get(k->routes, bytes_of(key_of(a, r, false)));
	if (kept != NULL) {
		memcpy(&len, kept, sizeof len);
		if (!word_unpack_routed((struct bytes){ kept + sizeof len, (size_t)len }, a, &w))
			panic("a route broke while it was kept");
		routed(h, r, &w);
	}
	arena_close(&a);
	return kept != NULL;
}

bool
hear_routed(struct house *h, uint32_t ticket, struct bytes body)
{
	struct queue_role *k = queue_of(h);
	struct arena      *a = arena_open(NULL);
	struct word_routed w;
	bool               whole = word_unpack_routed(body, a, &w);
	struct routing    *g = whole ? map_drop(k->routing, number_key(&ticket)) : NULL;
	size_t             n = g != NULL ? g->who.len / sizeof(struct recipient *) : 0;

	k->routes_by_domain = whole && w.scope == ROUTED_DOMAIN;
	for (size_t i = 0; i < n && whole; i++) {
		struct recipient *r;

		memcpy(&r, g->who.at + i * sizeof(struct recipient *), sizeof r);
		if (i == 0 && w.scope != ROUTED_LATER && !w.passing)
			route_keep(k, key_of(a, r, w.scope == ROUTED_DOMAIN), body);
		if (i > 0 && w.scope == ROUTED_ADDRESS)
			routing_join(h, r);
		else
			routed(h, r, &w);
	}
	if (g != NULL) {
		buffer_free(&g->asked);
		buffer_free(&g->who);
		memory_free(g->key);
		memory_free(g);
	}
	arena_close(&a);
	queue_pump(h);
	return whole;
}

void
queue_routes_forget(struct house *h)
{
	routes_clear(queue_of(h));
}

void
queue_routes_ask(struct house *h)
{
	for (struct map_place p = { 0 }; map_next(queue_of(h)->routing, &p);)
		say_route(h, p.value);
}

bool
queue_is_filtered(const struct recipient *r)
{
	return r->letter->handling.filter.len > 0;
}

/* "smtp:[127.0.0.1]:10025" */
static void
send_to_filter(struct house *h, struct recipient *r)
{
	struct arena      *a = arena_open(NULL);
	struct bytes       rest = r->letter->handling.filter, name = { NULL, 0 };
	struct word_routed w = { .scope = ROUTED_ADDRESS, .sender = "" };

	(void)bytes_split(&rest, ':', &name);
	w.transport = arena_copy(a, name);
	w.nexthop = rest.len > 0 ? arena_copy(a, rest)
	                         : arena_copy(a, bytes_of(queue_of(h)->common.myhostname));
	routed(h, r, &w);
	arena_close(&a);
}

void
queue_send(struct house *h, struct recipient *r)
{
	if (sent_before(queue_of(h)->sent, r->letter->id, r->address))
		queue_conclude(h, r, EVENT_DELIVERED, "sent", "2.0.0",
		               "was delivered before the queue began anew");
	else if (queue_is_filtered(r))
		send_to_filter(h, r);
	else if (!route_known(h, r))
		routing_join(h, r);
}

/* ---- to a sender ----------------------------------------------------------------------------------------------- */

/* One that has room, the same for one destination while it can be: its connections are there. */
static bool
sender_choose(struct house *h, const struct destination *d, uint32_t *out)
{
	struct queue_role *k = queue_of(h);
	uint32_t           n = house_peers(h, SENDER), first;

	if (n == 0 || n > SENDERS_MOST)
		return false;
	first = (uint32_t)(hash_of(bytes_of(d->key)) % n);
	for (uint32_t i = 0; i < n; i++) {
		*out = (first + i) % n;
		if (house_link(h, SENDER, *out) != NULL &&
		    k->at_sender[*out] < (uint32_t)k->rows.processes)
			return true;
	}
	return false;
}

/* Recipients of the first one's letter that wait here too. */
static struct sending *
sending_make(struct queue_role *k, struct destination *d)
{
	struct recipient *first = d->first;
	uint32_t          most = (uint32_t)d->transport.recipients;
	struct sending   *s = memory_take(sizeof *s);

	s->to = d;
	s->letter = first->letter;
	s->said_us = clock_wall_us();
	s->rcpt = memory_take(most * sizeof *s->rcpt);
	for (struct recipient *r = first->letter->first; r != NULL && s->rcpts < most; r = r->next)
		if (r->line == d && strcmp(sender_outside(r), sender_outside(first)) == 0) {
			line_leave(d, r);
			s->rcpt[s->rcpts++] = r;
		}
	while (s->ticket = ++k->next_ticket,
	       s->ticket == 0 || map_get(k->sending, number_key(&s->ticket)) != NULL)
		continue;
	d->busy++;
	return s;
}

static void
sending_close(struct queue_role *k, struct sending *s)
{
	(void)map_drop(k->sending, number_key(&s->ticket));
	s->to->busy--;
	memory_free(s->rcpt);
	memory_free(s);
}

/* The same for all of them. */
static void
sending_fail(struct house *h, struct sending *s, enum recipient_event e, const char *how,
             const char *status, const char *text)
{
	for (uint32_t i = 0; i < s->rcpts; i++)
		if (e == EVENT_LOST)
			queue_event(queue_of(h)->queue, s->rcpt[i], e, NULL, NULL, queue_now_ms());
		else
			queue_conclude(h, s->rcpt[i], e, how, status, text);
	sending_close(queue_of(h), s);
}

/* The letter's trace fields and what else the sender needs of the envelope.  0 or errno. */
static int
send_fill(struct queue_role *k, const struct sending *s, struct arena *a, struct word_send *w)
{
	const struct letter *l = s->letter;
	struct envelope      e;
	struct digest        digest;
	struct bytes         packed;
	int why = letters_envelope(spool_letters(k->spool), l->envelope_segment, l->envelope_at,
	                           l->id, a, &packed);

	if (why != 0)
		return why;
	if (!envelope_unpack(packed, a, &e))
		return EBADMSG;
	w->prefix = e.prefix;
	w->envid = e.envid;
	w->ret = e.ret;
	w->body = e.body;
	w->flags = e.flags;
	w->handling = e.handling;
	w->eight_bit = digest_view(e.digest, &digest) ? (digest.flags & DIGEST_8BIT) != 0
	                                              : e.body == BODY_8BITMIME;
	return 0;
}

static int
say_send(struct house *h, struct sending *s)
{
	struct queue_role     *k = queue_of(h);
	struct arena          *a = arena_open(NULL);
	struct send_recipient *to = arena_take_array(a, s->rcpts, sizeof *to);
	struct link           *l = house_link(h, SENDER, s->sender);
	struct word_send       w = { .letter = s->letter->id,
		                     .transport = s->to->transport.name,
		                     .nexthop = s->to->nexthop,
		                     .lmtp = s->to->transport.kind == BY_LMTP,
		                     .more = s->to->waiting > 0,
		                     .at = s->letter->content_at,
		                     .len = s->letter->content_len,
		                     .sender = bytes_of(sender_outside(s->rcpt[0])),
		                     .recipient = to,
		                     .recipients = s->rcpts };
	int                    why = send_fill(k, s, a, &w), fd = -1;

	if (*s->rcpt[0]->sender != '\0') { /* rfc3461:5.2.7.1 (b): of a list nothing is derived */
		w.envid = BYTES("");
		w.ret = 0;
	}

	for (uint32_t i = 0; i < s->rcpts; i++)
		to[i] = (struct send_recipient){ bytes_of(s->rcpt[i]->address),
			                         bytes_of(s->rcpt[i]->orcpt), s->rcpt[i]->notify };
	if (why == 0 && (fd = letters_fd(spool_letters(k->spool), s->letter->content_segment)) < 0)
		why = errno;
	if (why == 0) {
		word_pack_send(link_begin(l, WORD_SEND, s->ticket), &w);
		link_end_fd(l, fd);
	}
	arena_close(&a);
	return why;
}

/* A command of that user gets it (queue-pipe.c). */
static void
destination_pipes(struct house *h, struct destination *d)
{
	struct queue_role *k = queue_of(h);
	struct sending    *s = sending_make(k, d);

	s->sender = SENDERS_MOST; /* none */
	(void)map_put(k->sending, number_key(&s->ticket), s);
	queue_pipe(h, &(struct queue_piping){ .ticket = s->ticket,
	                                      .transport = d->transport.name,
	                                      .nexthop = d->nexthop,
	                                      .letter = s->letter,
	                                      .sender = sender_name(s->rcpt[0]),
	                                      .rcpt = s->rcpt,
	                                      .rcpts = s->rcpts });
}

static bool
destination_sends(struct house *h, struct destination *d)
{
	struct queue_role *k = queue_of(h);
	struct sending    *s;
	uint32_t           sender;
	int                why;

	if (d->transport.kind == BY_PIPE) {
		destination_pipes(h, d);
		return true;
	}
	if (!sender_choose(h, d, &sender))
		return false;
	s = sending_make(k, d);
	s->sender = sender;
	(void)map_put(k->sending, number_key(&s->ticket), s);
	why = say_send(h, s);
	if (why == 0) {
		k->at_sender[sender]++;
		return true;
	}
	sending_fail(h, s, why == EBADMSG ? EVENT_REFUSED : EVENT_LATER,
	             why == EBADMSG ? "bounced" : "deferred", why == EBADMSG ? "5.3.0" : "4.3.0",
	             why == EBADMSG ? "the letter is damaged in the log" : strerror(why));
	return true;
}

/* One transaction of each destination that has room, and again from the beginning. */
static void
send_turn(void *house)
{
	struct house       *h = house;
	struct queue_role  *k = queue_of(h);
	struct destination *d;

	while (!h->leaving && (d = k->turn) != NULL) {
		bool room = d->busy < d->window && d->first != NULL;

		if (room && !destination_sends(h, d))
			return; /* no sender has room: when one has, it goes on */
		k->turn = d->next;
		if (k->turn == NULL)
			k->turn_last = &k->turn;
		d->in_turn = false;
		if (room && d->first != NULL && d->busy < d->window)
			take_turn(h, d);
	}
}

/* ---- what became of it ----------------------------------------------------------------------------------------------- */

/* Everybody in line waits for another time. */
static void
destination_away(struct house *h, struct destination *d, const char *status, const char *why)
{
	struct queue_role   *k = queue_of(h);
	char                 service[96];
	struct queue_attempt by = { service, "none", 0, 0, 0, "" };
	struct buffer        text = { 0 };

	service_name(k, &d->transport, service);
	d->away_until_ms = queue_now_ms() + k->rows.least_ms;
	(void)snprintf(d->why, sizeof d->why, "%s", why);
	(void)snprintf(d->status, sizeof d->status, "%s", status);
	queue_away(&d->away, d->why);
	d->window = 1; /* then by one, to see */
	d->failures = 0;
	buffer_printf(&text, "delivery temporarily suspended: %s", d->why);
	buffer_add_char(&text, '\0');
	while (d->first != NULL) {
		struct recipient *r = d->first;

		line_leave(d, r);
		queue_conclude_by(h, r, EVENT_LATER, "deferred", d->status, text.at, &by);
	}
	buffer_free(&text);
}

static void
destination_learns(struct house *h, struct destination *d, const struct word_sent *w)
{
	uint32_t most = (uint32_t)d->transport.concurrency;

	if (!w->unreachable) {
		d->failures = 0;
		d->away_until_ms = 0;
		queue_returned(h, &d->away);
		if (d->window < most)
			d->window++;
		if (d->window > most)
			d->window = most;
		return;
	}
	if (d->window > 1)
		d->window--;
	if (++d->failures >= d->window && w->recipients > 0)
		destination_away(h, d, w->recipient[0].status, w->recipient[0].text);
}

/* What it was at is over, and remembered: the place is free for the next. */
static void
sending_settle(struct house *h, struct sending *s)
{
	struct queue_role  *k = queue_of(h);
	struct destination *d = s->to;

	if (s->sender < SENDERS_MOST && k->at_sender[s->sender] > 0)
		k->at_sender[s->sender]--;
	sending_close(k, s);
	take_turn(h, d);
}

static void settle(void *house);

static void
settle_run(void *house)
{
	struct queue_role *k = queue_of(house);

	k->settle_why = sent_sync(k->sent);
}

static void
settle_done(void *house)
{
	struct queue_role *k = queue_of(house);
	struct sending    *s = k->settling, *next;

	k->settling = NULL;
	if (k->settle_why != 0)
		fault("spool/sent: %s: after a crash letters may go twice",
		      strerror(k->settle_why));
	k->settle_why = 0;
	for (; s != NULL; s = next) {
		next = s->next;
		sending_settle(house, s);
	}
	settle(house);
}

/* One sync for all that came in a turn; what comes meanwhile shares the next. */
static void
settle(void *house)
{
	struct house      *h = house;
	struct queue_role *k = queue_of(h);

	if (k->settling != NULL || k->unsettled == NULL)
		return;
	k->settling = k->unsettled;
	k->unsettled = NULL;
	if (sent_gather(k->sent))
		loop_job_brief(h->loop, settle_run, settle_done, h);
	else
		settle_done(h); /* the ledger has it already */
}

void
queue_sent_checked(struct house *h)
{
	struct queue_role *k = queue_of(h);

	if (k->settling == NULL)
		sent_clear(k->sent);
}

/* Every recipient has a result. */
static void
sending_over(struct house *h, struct sending *s, const struct word_sent *w)
{
	/* clang-format off */
	static const struct { enum recipient_event event; const char *how; } means[] = {
		[SENT_DELIVERED] = { EVENT_DELIVERED, "sent" },
		[SENT_LATER] = { EVENT_LATER, "deferred" },
		[SENT_REFUSED] = { EVENT_REFUSED, "bounced" },
	};
	/* clang-format on */
	struct queue_role   *k = queue_of(h);
	bool                 some = false;
	char                 service[96];
	struct queue_attempt by = { .service = service,
		                    .said_us = s->said_us,
		                    .connect_us = w->connect_us,
		                    .transfer_us = w->transfer_us,
		                    .tls = w->tls };

	service_name(k, &s->to->transport, service);
	for (uint32_t i = 0; i < s->rcpts; i++) {
		const struct sent_recipient *one = &w->recipient[i];

		by.relay = one->relay;
		if (one->result == SENT_DELIVERED) {
			sent_add(k->sent, s->letter->id, s->rcpt[i]->address);
			some = true;
		}
		/* rfc3461:5.2.2: who was asked to tell tells. */
		if (one->dsn && one->result == SENT_DELIVERED)
			s->rcpt[i]->notify &= (uint8_t)~NOTIFY_SUCCESS;
		/* rfc2852:4.1.4: each relay is told of to whom asked for a trace. */
		if (one->result == SENT_DELIVERED && s->letter->handling.by_trace &&
		    (s->rcpt[i]->notify & NOTIFY_NEVER) == 0)
			s->rcpt[i]->notify |= NOTIFY_SUCCESS;
		queue_conclude_by(h, s->rcpt[i], means[one->result].event, means[one->result].how,
		                  one->status, one->text, &by);
	}
	destination_learns(h, s->to, w);
	(void)map_drop(k->sending, number_key(&s->ticket));
	if (some) {
		s->next = k->unsettled;
		k->unsettled = s;
		errand_set(h->loop, &k->settle);
	} else {
		sending_settle(h, s);
	}
}

bool
hear_sent(struct house *h, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct sending  *s = map_get(queue_of(h)->sending, number_key(&ticket));
	struct arena    *a = arena_open(NULL);
	struct word_sent w;
	bool             whole = word_unpack_sent(body, a, &w) &&
	             (s == NULL || (s->sender == index && s->rcpts == w.recipients));

	if (whole && s != NULL)
		sending_over(h, s, &w);
	arena_close(&a);
	queue_pump(h);
	return whole;
}

void
queue_piped(struct house *h, uint32_t ticket, const struct word_delivered *w, int64_t transfer_us)
{
	static const enum sent_result results[] = { [DELIVER_DONE] = SENT_DELIVERED,
		                                    [DELIVER_LATER] = SENT_LATER,
		                                    [DELIVER_REFUSED] = SENT_REFUSED };
	struct sending               *s = map_get(queue_of(h)->sending, number_key(&ticket));
	struct arena                 *a = arena_open(NULL);
	struct sent_recipient *each = arena_take_array(a, s != NULL ? s->rcpts : 1, sizeof *each);

	for (uint32_t i = 0; s != NULL && i < s->rcpts; i++)
		each[i] = (struct sent_recipient){ .result = (uint8_t)results[w->result],
			                           .status = w->status,
			                           .text = w->text,
			                           .relay = s->to->transport.name };
	if (s != NULL)
		sending_over(h, s,
		             &(struct word_sent){ .transfer_us = (uint64_t)transfer_us,
		                                  .tls = "",
		                                  .recipient = each,
		                                  .recipients = s->rcpts });
	arena_close(&a);
}

void
queue_pipe_lost(struct house *h, uint32_t ticket)
{
	struct sending *s = map_get(queue_of(h)->sending, number_key(&ticket));

	if (s == NULL)
		return;
	take_turn(h, s->to);
	sending_fail(h, s, EVENT_LOST, NULL, NULL, NULL);
}

/* What it had in hand is tried again; whether a host had it already and only we have not heard of it, nobody knows. */
void
queue_sender_lost(struct house *h, uint32_t index)
{
	struct queue_role *k = queue_of(h);

	for (struct map_place p = { 0 }; map_next(k->sending, &p);) {
		struct sending *s = p.value;

		if (s->sender != index)
			continue;
		take_turn(h, s->to);
		sending_fail(h, s, EVENT_LOST, NULL, NULL, NULL);
	}
	if (index < SENDERS_MOST)
		k->at_sender[index] = 0;
	queue_pump(h);
}

/* ---- the rest ------------------------------------------------------------------------------------------------------------ */

void
queue_destinations_free(struct house *h)
{
	for (struct map_place p = { 0 }; map_next(queue_of(h)->destinations, &p);)
		((struct destination *)p.value)->away_until_ms = 0;
}

void
queue_send_status(struct house *h, struct buffer *text)
{
	struct queue_role *k = queue_of(h);

	buffer_printf(text, " sending=%zu destinations=%zu", map_count(k->sending),
	              map_count(k->destinations));
}

void
queue_send_open(struct house *h)
{
	struct queue_role *k = queue_of(h);

	k->destinations = map_open();
	k->destinations_most = DESTINATIONS_IDLE_MOST;
	k->routes = map_open();
	k->routing = map_open();
	k->sending = map_open();
	k->turn_last = &k->turn;
	k->send = (struct errand){ .go = send_turn, .ctx = h };
	k->settle = (struct errand){ .go = settle, .ctx = h };
}
