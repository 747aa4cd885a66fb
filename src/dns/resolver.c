#include "dns/resolver.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unbound-event.h>
#include <unbound.h>

#include "base/journal.h"
#include "dns/events.h"

enum { CLASS_IN = 1, OPEN_MOST = 1024, BOGUS = 1, SECURE = 2, PORT = 53, DEAF_MS = 250 };

/* A question on its way: libunbound holds it until it has called back, its asker may have left. */
struct asking {
	struct asking   *next, **at;
	struct resolver *resolver;
	struct lookup   *lookup; /* NULL: nobody wants it any more           */
	struct arena    *life;
	struct bytes     name;
	uint16_t         type;
	bool             asked; /* libunbound will call, or is inside its call */
	int64_t          since;
	struct answer    answer;
	struct timer    *patience;
	struct errand    tell;
};

struct resolver {
	struct loop          *loop;
	struct ub_event_base *base;
	struct ub_ctx        *ctx;
	struct asking        *first;
	size_t                open;
	int64_t               timeout;
	int64_t               heard; /* when anything was answered last            */
	bool                  deaf;  /* nothing was while somebody waited in vain  */
};

/* clang-format off */
/* What libunbound is told.  Its cache is small, it listens to a resolver on this host, and asks
   about addresses of private networks, which are nobody's by default. */
static const struct { const char *name, *value; } options[] = {
	{ "do-not-query-localhost:", "no" }, { "unblock-lan-zones:", "yes" }, { "insecure-lan-zones:", "yes" },
	{ "msg-cache-size:", "1m" },   { "rrset-cache-size:", "2m" }, { "key-cache-size:", "512k" },
	{ "neg-cache-size:", "256k" }, { "msg-cache-slabs:", "1" },   { "rrset-cache-slabs:", "1" },
	{ "key-cache-slabs:", "1" },   { "infra-cache-slabs:", "1" }, { "infra-cache-numhosts:", "64" },
	{ "infra-host-ttl:", "30" },   { "outgoing-range:", "128" },  { "num-queries-per-thread:", "256" },
	{ "outgoing-num-tcp:", "8" },  { "edns-buffer-size:", "1232" }, { "cache-max-ttl:", "86400" },
	{ "use-syslog:", "no" },       { "cache-max-negative-ttl:", "600" },
	{ "rrset-roundrobin:", "no" }, /* the order is the answer's, not one of each second */
};
/* Built into libunbound as empty, and asked of our servers nevertheless: the names of a house (rfc8375:4), of tests, which
   are no names to be special to (rfc6761:6.2), and of the networks of loopback, where somebody gives them.  What stays are
   localhost., invalid. (rfc6761:6.3, 6.4) and onion. (rfc7686:2), which nobody is to be asked of.  No signature can
   be had of what a network gives itself. */
static const struct { const char *zone; bool unsigned_here; } built_in[] = {
	{ "home.arpa.", true }, { "test.", true }, { "127.in-addr.arpa.", false },
	{ "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.", false },
};
/* clang-format on */

bool
server_parse(struct bytes text, struct server *out)
{
	struct bytes  address = text, port = { NULL, 0 };
	ptrdiff_t     colon = bytes_find_last(text, ':');
	uint64_t      number = PORT;
	unsigned char raw[16];

	if (text.len > 0 && text.at[0] == '[') {
		ptrdiff_t end = bytes_find(text, ']');
		if (end < 0)
			return false;
		address = bytes_cut(text, 1, (size_t)end - 1);
		port = bytes_cut(text, (size_t)end + 1, text.len);
		if (port.len > 0 && port.at[0] != ':')
			return false;
		port = bytes_cut(port, 1, port.len);
	} else if (colon >= 0 && bytes_find(text, ':') == colon) {
		address = bytes_cut(text, 0, (size_t)colon);
		port = bytes_cut(text, (size_t)colon + 1, text.len);
		if (port.len == 0)
			return false;
	}
	if (port.len > 0 && (!bytes_number(port, &number) || number == 0 || number > UINT16_MAX))
		return false;
	out->port = (uint16_t)number;
	return bytes_string(address, out->address, sizeof out->address) &&
	       (inet_pton(AF_INET, out->address, raw) == 1 ||
	        inet_pton(AF_INET6, out->address, raw) == 1);
}

static bool
complain(struct buffer *errors, const char *what, struct bytes text, int why)
{
	buffer_printf(errors, "%s %.*s: %s", what, (int)text.len, text.at, ub_strerror(why));
	return false;
}

static bool
set_servers(struct resolver *r, const struct resolver_settings *set, struct buffer *errors)
{
	for (size_t i = 0; i < set->servers; i++) {
		struct server s;
		char          text[64];
		int           why = UB_SYNTAX;
		if (server_parse(set->server[i], &s)) {
			(void)snprintf(text, sizeof text, "%s@%u", s.address, s.port);
			why = ub_ctx_set_fwd(r->ctx, text);
		}
		if (why != 0)
			return complain(errors, "resolver", set->server[i], why);
	}
	return true;
}

static bool
set_anchors(struct resolver *r, const struct resolver_settings *set, struct buffer *errors)
{
	struct arena *scratch = arena_open(NULL);
	int           why = 0;

	for (size_t i = 0; i < set->anchors && why == 0; i++)
		if ((why = ub_ctx_add_ta(r->ctx, arena_copy(scratch, set->anchor[i]))) != 0)
			(void)complain(errors, "trust anchor", set->anchor[i], why);
	arena_close(&scratch);
	return why == 0;
}

static bool
set_options(struct resolver *r, const struct resolver_settings *set, struct buffer *errors)
{
	int why = ub_ctx_set_option(r->ctx, "harden-dnssec-stripped:", set->strict ? "yes" : "no");

	(void)ub_ctx_debugout(r->ctx, NULL);
	(void)ub_ctx_debuglevel(r->ctx, 0);
	for (size_t i = 0; i < COUNT(options) && why == 0; i++)
		why = ub_ctx_set_option(r->ctx, options[i].name, options[i].value);
	for (size_t i = 0; i < COUNT(built_in) && why == 0; i++)
		if (built_in[i].unsigned_here)
			why = ub_ctx_set_option(r->ctx, "domain-insecure:", built_in[i].zone);
	if (why == 0 && set->anchors == 0)
		why = ub_ctx_set_option(r->ctx, "module-config:", "iterator");
	if (why != 0)
		return complain(errors, "resolver", BYTES("options"), why);
	return true;
}

struct resolver *
resolver_open(struct loop *loop, const struct resolver_settings *set, struct buffer *errors)
{
	struct resolver *r = memory_take(sizeof *r);

	r->loop = loop;
	r->timeout = set->timeout;
	r->base = events_open(loop);
	r->ctx = ub_ctx_create_ub_event(r->base);
	if (r->ctx == NULL)
		buffer_add_string(errors, "resolver: libunbound cannot begin");
	if (r->ctx == NULL || !set_options(r, set, errors) || !set_servers(r, set, errors) ||
	    !set_anchors(r, set, errors))
		resolver_close(&r);
	else
		for (size_t i = 0; i < COUNT(built_in); i++)
			(void)ub_ctx_zone_remove(r->ctx, built_in[i].zone);
	return r;
}

static void
forget(struct asking *a)
{
	errand_clear(&a->tell);
	timer_close(&a->patience);
	if (a->lookup != NULL)
		a->lookup->asking = NULL;
	*a->at = a->next;
	if (a->next != NULL)
		a->next->at = a->at;
	a->resolver->open--;
	arena_close(&a->life);
	memory_free(a);
}

void
resolver_close(struct resolver **rp)
{
	struct resolver *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	if (r->ctx != NULL)
		ub_ctx_delete(r->ctx);
	while (r->first != NULL)
		forget(r->first);
	events_close(&r->base);
	memory_free(r);
}

/* The asker hears; it may ask something new, or be gone afterwards. */
static void
tell(void *ctx)
{
	struct asking *a = ctx;
	struct lookup *l = a->lookup;

	timer_close(&a->patience);
	a->lookup = NULL;
	if (l != NULL) {
		l->asking = NULL;
		l->answered(l->ctx, &a->answer);
	}
	if (!a->asked)
		forget(a);
}

static void
give_up(void *ctx)
{
	struct asking *a = ctx;

	if (a->resolver->heard < a->since)
		a->resolver->deaf = true;
	a->answer = (struct answer){ .status = ANSWER_LATER, .why = "no answer in time" };
	tell(a);
}

static void
understand(struct asking *a, int rcode, struct bytes packet, int trust, const char *why)
{
	if (trust == BOGUS)
		a->answer = (struct answer){ .status = ANSWER_LATER,
			                     .trust = ANSWER_BOGUS,
			                     .why = arena_copy(a->life, bytes_of(why)) };
	else if (rcode != 0)
		a->answer = (struct answer){ .status = ANSWER_LATER, .why = "server failure" };
	else if (answer_parse(packet, a->name, a->type, a->life, &a->answer))
		a->answer.trust = trust == SECURE ? ANSWER_SECURE : ANSWER_INSECURE;
}

/* What libunbound calls, possibly from within ub_resolve_event(). */
static void
heard(void *ctx, int rcode, void *packet, int len, int trust, char *why, int limited)
{
	struct asking *a = ctx;
	struct bytes   view = { packet, packet == NULL || len < 0 ? 0 : (size_t)len };

	(void)limited;
	a->asked = false;
	if (rcode == 0) {
		a->resolver->heard = loop_now_ms(a->resolver->loop);
		a->resolver->deaf = false;
	}
	if (a->lookup == NULL) {
		forget(a);
		return;
	}
	understand(a, rcode, view, trust, why == NULL ? "bogus" : why);
	errand_set(a->resolver->loop, &a->tell);
}

static struct asking *
asking_open(struct resolver *r, struct lookup *l, struct bytes name, uint16_t type)
{
	struct asking *a = memory_take(sizeof *a);

	a->resolver = r;
	a->lookup = l;
	a->type = type;
	a->since = loop_now_ms(r->loop);
	a->life = arena_open(NULL);
	a->name = arena_keep(a->life, name);
	a->answer = (struct answer){ .status = ANSWER_LATER, .why = "the resolver is busy" };
	a->tell = (struct errand){ .go = tell, .ctx = a };
	a->next = r->first;
	a->at = &r->first;
	if (r->first != NULL)
		r->first->at = &a->next;
	r->first = a;
	r->open++;
	l->asking = a;
	return a;
}

void
resolver_ask(struct resolver *r, struct lookup *l, struct bytes name, uint16_t type)
{
	bool           room = r->open < OPEN_MOST;
	struct asking *a = asking_open(r, l, name, type);

	if (!hostname_valid(name))
		a->answer = (struct answer){ .status = ANSWER_NO_NAME, .why = "" };
	else if (room) {
		a->patience = timer_open(r->loop, give_up, a);
		timer_set(a->patience, r->deaf && r->timeout > DEAF_MS ? DEAF_MS : r->timeout);
		a->asked = true;
		if (ub_resolve_event(r->ctx, arena_copy(a->life, name), type, CLASS_IN, a, heard,
		                     NULL) == 0)
			return;
		a->asked = false;
		a->answer.why = "the resolver cannot ask";
	}
	errand_set(r->loop, &a->tell);
}

void
lookup_clear(struct lookup *l)
{
	struct asking *a = l->asking;

	l->asking = NULL;
	if (a == NULL)
		return;
	a->lookup = NULL;
	timer_close(&a->patience);
	if (!a->asked)
		forget(a);
}
