/*
 * queue-route -- by which transport a recipient goes on, and to which destination
 *
 * A recipient that is not ours is asked about at the clerk (ROUTE).  What it says of a domain is kept, so that the next
 * need not be asked about; who is routed stands in the line of the destination (queue-send.c), or has its result at once.
 */
#include "message/envelope.h"
#include "role/queue.h"
#include <stdio.h>
#include <string.h>

enum { ROUTES_MOST = 20000 };

static char *
text_keep(const char *text)
{
	size_t n = strlen(text) + 1;

	return memcpy(memory_take(n), text, n);
}

static struct bytes
number_key(const uint32_t *n)
{
	return (struct bytes){ (const char *)n, sizeof *n };
}

/* A question at the clerk, and all who wait for the answer. */
struct routing {
	uint32_t      ticket;
	struct buffer asked; /* packed ROUTE                                 */
	struct buffer who;   /* of struct recipient *, NULL: it waits no more */
	char         *key;
};

const char *
queue_sender_name(const struct recipient *r)
{
	return *r->sender != '\0' ? r->sender : r->letter->sender;
}

const char *
queue_sender_outside(const struct recipient *r)
{
	return *r->outside != '\0' ? r->outside : queue_sender_name(r);
}

/* It came to an address of ours, and another host is to have it: its sender may need a name of ours (SRS), which is
   made for it alone.  The owner of a list has one. */
static bool
is_forwarded(const struct recipient *r)
{
	bool own = *r->sender == '\0' || r->letter->handling.verp.len > 0;

	return r->known && own && *r->letter->sender != '\0' &&
	       !bytes_equal_nocase(bytes_of(r->original), bytes_of(r->address));
}

/* Under what an answer for this recipient is kept: its domain, or it and the sender. */
static const char *
key_of(struct arena *a, const struct recipient *r, bool domain)
{
	const char *at = strrchr(r->address, '@');

	if (domain)
		return arena_printf(a, "@%s", at != NULL ? at + 1 : r->address);
	return arena_printf(a, "%s>%s", queue_sender_name(r), r->address);
}

static void
routed_error(struct house *h, struct recipient *r, const struct transport *t, const char *text)
{
	bool                 later = t->kind == BY_RETRY;
	struct bytes         rest = bytes_of(text), status = { NULL, 0 };
	char                 code[12] = "", service[96];
	struct queue_attempt by = { service, "none", 0, 0, 0, "" };

	queue_service_name(queue_of(h), t, service);
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

/* Where its table says so it stays, in its words: it is led on by `queue reroute`, or when the table says otherwise, and let
   go by `queue release`. */
static void
routed_hold(struct house *h, struct recipient *r, const char *words, const struct queue_attempt *by)
{
	struct queue *q = queue_of(h)->queue;
	const char   *at = strrchr(r->address, '@');
	struct buffer text = { 0 };

	/* A table that says no more than "hold:" gives the domain for a destination. */
	if (at != NULL && strcmp(at + 1, words) == 0)
		words = "";
	buffer_printf(&text, "transport_maps say hold%s%s", *words != '\0' ? ": " : "", words);
	buffer_add_char(&text, '\0');
	r->kept_by = KEPT_BY_TABLE;
	queue_event(q, r, EVENT_LOST, "4.7.0", text.at, queue_now_ms());
	queue_note(r, "hold", by);
	queue_tell_attempt(h, r, "hold", by);
	queue_event(q, r, EVENT_HOLD, NULL, NULL, queue_now_ms());
	buffer_free(&text);
}

/* defer_transports: it goes when somebody asks for it, once. */
static bool
waits_to_be_asked_for(const struct queue_role *k, struct recipient *r, const struct transport *t)
{
	bool asked = r->asked_for;

	r->asked_for = false;
	for (size_t i = 0; !asked && i < k->rows.deferred.count; i++)
		if (strcmp(k->rows.deferred.item[i], t->name) == 0)
			return true;
	return false;
}

static void
routed_by(struct house *h, struct recipient *r, const struct transport *t, const char *nexthop)
{
	struct queue_role   *k = queue_of(h);
	char                 service[96];
	struct queue_attempt by = { service, "none", 0, 0, 0, "" };

	queue_service_name(k, t, service);
	if (waits_to_be_asked_for(k, r, t)) {
		queue_service_name(k, transport_named(k->transports, BYTES("retry")), service);
		queue_conclude_by(h, r, EVENT_LATER, "deferred", "4.3.2", "deferred transport",
		                  &by);
		return;
	}
	if (t->kind == BY_PIPE && is_verified_only(r->letter)) {
		queue_conclude_by(h, r, EVENT_DELIVERED, "deliverable", "2.0.0",
		                  "delivers to command", &by);
		return;
	}
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
	case BY_HOLD: routed_hold(h, r, nexthop, &by); return;
	}
	queue_line_up(h, r, t, nexthop);
}

bool
queue_pass_on(struct house *h, struct recipient *r)
{
	struct queue_role      *k = queue_of(h);
	struct bytes            rest = bytes_of(k->rows.best_mx), name = { NULL, 0 };
	const char             *at = strrchr(r->address, '@');
	const struct transport *t;

	if (r->best_here != BEST_ELSEWHERE || !bytes_split(&rest, ':', &name))
		return false;
	if ((t = transport_named(k->transports, name)) == NULL) {
		queue_conclude(h, r, EVENT_LATER, "deferred", "4.3.5",
		               "mail transport unavailable: best_mx_transport names none");
		return true;
	}
	r->best_here = t->kind == BY_LOCAL ? BEST_LOCAL : BEST_PASSED_ON;
	if (t->kind == BY_LOCAL)
		queue_resolve(h, r);
	else
		routed_by(h, r, t, rest.len > 0 ? rest.at : at != NULL ? at + 1 : r->address);
	return true;
}

static void
routed(struct house *h, struct recipient *r, const struct word_routed *w)
{
	const struct transport *t =
		transport_named(queue_of(h)->transports, bytes_of(w->transport));
	struct buffer text = { 0 };

	r->lifetime_s = w->scope == ROUTED_LATER ? UINT32_MAX : w->lifetime_s;
	if (strcmp(r->outside, w->sender) != 0)
		r->outside = arena_copy(r->life, bytes_of(w->sender));
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

static void
routing_join(struct house *h, struct recipient *r)
{
	struct queue_role *k = queue_of(h);
	struct arena      *a = arena_open(NULL);
	const char        *key = key_of(a, r, true);
	bool               forwarded = k->srs && is_forwarded(r);
	bool               let_go = r->kept_by == KEPT_NO_MORE;
	struct routing    *g = k->routes_by_domain && !forwarded && !let_go
	                               ? map_get(k->routing_by_key, bytes_of(key))
	                               : NULL;

	if (g == NULL) {
		g = memory_take(sizeof *g);
		g->key = text_keep(forwarded || let_go ? "" : key);
		while (g->ticket = ++k->next_ticket,
		       g->ticket == 0 || map_get(k->routing, number_key(&g->ticket)) != NULL)
			continue;
		word_pack_route(&g->asked, &(struct word_route){ bytes_of(r->address),
		                                                 bytes_of(queue_sender_name(r)),
		                                                 forwarded, false, let_go });
		(void)map_put(k->routing, number_key(&g->ticket), g);
		(void)map_put(k->routing_by_key, bytes_of(g->key), g);
		say_route(h, g);
	}
	r->routing = g->ticket;
	r->routing_place = (uint32_t)(g->who.len / sizeof(struct recipient *));
	buffer_add(&g->who, (struct bytes){ (const char *)&r, sizeof(struct recipient *) });
	arena_close(&a);
}

bool
queue_route_quit(struct house *h, struct recipient *r)
{
	const struct recipient *nobody = NULL;
	struct routing         *g = map_get(queue_of(h)->routing, number_key(&r->routing));

	if (r->routing == 0 || g == NULL)
		return false;
	memcpy(g->who.at + r->routing_place * sizeof nobody, &nobody, sizeof nobody);
	r->routing = 0;
	return true;
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

	if (r->kept_by == KEPT_NO_MORE || (k->srs && is_forwarded(r)))
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
		if (r == NULL)
			continue;
		r->routing = 0;
		if (i == 0 && w.scope != ROUTED_LATER && !w.passing)
			route_keep(k, key_of(a, r, w.scope == ROUTED_DOMAIN), body);
		if (i > 0 && w.scope == ROUTED_ADDRESS)
			routing_join(h, r);
		else
			routed(h, r, &w);
	}
	if (g != NULL) {
		if (map_get(k->routing_by_key, bytes_of(g->key)) == g)
			(void)map_drop(k->routing_by_key, bytes_of(g->key));
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
	return r->letter->handling.filter.len > 0 && !is_verified_only(r->letter);
}

/* "smtp:[127.0.0.1]:10025"; "smtp:" leads to the recipient's domain, as in transport_maps, and as Postfix's FILTER does. */
static void
send_to_filter(struct house *h, struct recipient *r)
{
	struct arena      *a = arena_open(NULL);
	struct bytes       rest = r->letter->handling.filter, name = { NULL, 0 };
	struct word_routed w = { .scope = ROUTED_ADDRESS, .sender = "" };
	const char        *at = strrchr(r->address, '@');

	(void)bytes_split(&rest, ':', &name);
	w.transport = arena_copy(a, name);
	w.nexthop = rest.len > 0 ? arena_copy(a, rest) : at != NULL ? at + 1 : r->address;
	routed(h, r, &w);
	arena_close(&a);
}

/* It would bring a line of its own; it is nobody else's fault. */
static bool
is_broken(const char *address)
{
	for (; *address != '\0'; address++)
		if ((unsigned char)*address < ' ' || *address == 127)
			return true;
	return false;
}

void
queue_send(struct house *h, struct recipient *r)
{
	if (is_broken(r->address))
		queue_conclude(h, r, EVENT_REFUSED, "bounced", "5.1.3",
		               "the address has a control character");
	else if (sent_before(queue_of(h)->sent, r->letter->id, r->address))
		queue_conclude(h, r, EVENT_DELIVERED, "sent", "2.0.0",
		               "was delivered before the queue began anew");
	else if (queue_is_filtered(r))
		send_to_filter(h, r);
	else if (!route_known(h, r))
		routing_join(h, r);
}

void
queue_route_open(struct house *h)
{
	struct queue_role *k = queue_of(h);

	k->routes = map_open();
	k->routing = map_open();
	k->routing_by_key = map_open();
}
