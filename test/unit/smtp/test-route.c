/* Which hosts take the mail for a destination: answers out of a small zone. */
#include "unit.h"

#include <stdio.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/buffer.h"
#include "smtp/sender/route.h"

/* clang-format off */
/* "name type preference value"; what is not here does not exist; of "-" a filter has left nothing. */
static const struct record { const char *name; uint16_t type, preference; const char *value; } zone[] = {
	{ "example.com", DNS_MX, 10, "foo.example.com" },  /* R92: the example of rfc974 */
	{ "example.com", DNS_MX, 10, "bar.example.com" },
	{ "example.com", DNS_MX, 20, "baz.example.com" },
	{ "example.com", DNS_MX, 30, "us.example.com" },
	{ "foo.example.com", DNS_A, 0, "\300\0\2\1" },
	{ "bar.example.com", DNS_A, 0, "\300\0\2\2" },
	{ "baz.example.com", DNS_A, 0, "\300\0\2\3" },
	{ "us.example.com", DNS_A, 0, "\300\0\2\11" },
	{ "plain.example", DNS_A, 0, "\300\0\2\4" },
	{ "null.example", DNS_MX, 0, "." },
	{ "null.example", DNS_A, 0, "\300\0\2\4" },
	{ "lost.example", DNS_MX, 10, "nowhere.example" },
	{ "half.example", DNS_MX, 10, "nowhere.example" },
	{ "half.example", DNS_MX, 20, "plain.example" },
	{ "own.example", DNS_MX, 10, "us.example.com" },
	{ "own.example", DNS_MX, 20, "plain.example" },
	{ "named.example", DNS_MX, 5, "plain.example" },
	{ "named.example", DNS_MX, 10, "mail.us.example" },
	{ "mail.us.example", DNS_A, 0, "\300\0\2\7" },
	{ "zero.example", DNS_MX, 10, "zero.host.example" },
	{ "zero.host.example", DNS_A, 0, "\0\0\0\0" },
	{ "many.example", DNS_A, 0, "\340\0\0\1" },
	{ "inside.example", DNS_MX, 10, "inner.example" },
	{ "inside.example", DNS_MX, 20, "plain.example" },
	{ "inner.example", DNS_A, 0, "\12\0\0\1" },
	{ "back.example", DNS_MX, 10, "loop.host.example" },
	{ "loop.host.example", DNS_A, 0, "\177\0\0\1" },
	{ "nat.example", DNS_MX, 10, "nat.host.example" },
	{ "nat.host.example", DNS_A, 0, "\306\63\144\10" },
	{ "literal.example", DNS_MX, 10, "192.0.2.4" },
	{ "literal.example", DNS_MX, 20, "10.0.0.1" },
	{ "late.example", DNS_MX, 0, NULL },
	{ "later.example", DNS_MX, 10, "late.example" },
	{ "late.example", DNS_A, 0, NULL },
	{ "emptied.example", DNS_MX, 0, "-" },
	{ "emptied.example", DNS_A, 0, "\300\0\2\4" },
	{ "void.example", DNS_MX, 10, "void.host.example" },
	{ "void.host.example", DNS_A, 0, "-" },
	{ "halfvoid.example", DNS_MX, 10, "void.host.example" },
	{ "halfvoid.example", DNS_MX, 20, "plain.example" },
};
/* What is expected is the hosts in their order; those of one preference within () in any. */
static const struct search {
	const char *why, *nexthop, *wanted;
	bool        lmtp;
} searches[] = {
	{ "rfc5321:5.1 by preference, and we are the last: not to ourselves", "example.com", "(192.0.2.1:25 192.0.2.2:25) 192.0.2.3:25 ", false },
	{ "rfc5321:5.1 without MX the domain itself", "plain.example", "192.0.2.4:25 ", false },
	{ "brackets: no MX", "[plain.example]", "192.0.2.4:25 ", false },
	{ "a port of its own", "example.com:2525", "(192.0.2.1:2525 192.0.2.2:2525) 192.0.2.3:2525 192.0.2.9:2525 ", false },
	{ "a host and a port", "[plain.example]:587", "192.0.2.4:587 ", false },
	{ "ports have names", "[plain.example]:submission", "192.0.2.4:587 ", false },
	{ "an address", "[198.51.100.7]", "198.51.100.7:25 ", false },
	{ "rfc5321:4.1.3", "[IPv6:2001:db8::7]:26", "2001:db8::7:26 ", false },
	{ "Postfix's way to write it", "[2001:db8::7]", "2001:db8::7:25 ", false },
	{ "rfc7505:3 null MX", "null.example", "never 5.1.10", false },
	{ "no such domain", "nothing.example", "never 5.4.4", false },
	{ "its one MX does not exist", "lost.example", "never 5.4.4", false },
	{ "one of two MX does not exist", "half.example", "192.0.2.4:25 ", false },
	{ "R94 we are the best: the mail would come back", "own.example", "never 5.4.6", false },
	{ "nor does it go to who is named behind", "own.example, plain.example", "never 5.4.6", false },
	{ "we are behind: who is named first has it, and nobody else", "plain.example, own.example, half.example", "192.0.2.4:25 ", false },
	{ "we by name", "named.example", "192.0.2.4:25 ", false },
	{ "our own address", "[192.0.2.9]", "never 5.4.6", false },
	{ "our own address at another port is another server", "[192.0.2.9]:10025", "192.0.2.9:10025 ", false },
	{ "rfc6890:2.2.2 an exchanger at 0.0.0.0 is nobody", "zero.example", "never 5.4.4", false },
	{ "nor is a group of hosts", "many.example", "never 5.4.4", false },
	{ "an exchanger in a network that is forbidden is left out", "inside.example", "192.0.2.4:25 ", false },
	{ "but what a setting names is not", "[10.0.0.1]", "10.0.0.1:25 ", false },
	{ "an exchanger on the loopback is ourselves", "back.example", "never 5.4.6", false },
	{ "but what a setting names is not, nor another port", "[127.1.2.3], back.example:26", "127.1.2.3:25 127.0.0.1:26 ", false },
	{ "an address where a name should be, and one that is forbidden", "literal.example", "192.0.2.4:25 ", false },
	{ "proxy_interfaces are ourselves", "nat.example", "never 5.4.6", false },
	{ "the name service is silent", "late.example", "later 4.4.3", false },
	{ "or silent of the hosts", "later.example", "later 4.4.3", false },
	{ "smtp_dns_reply_filter leaves no exchanger: the address is none instead", "emptied.example", "later 4.7.0", false },
	{ "it leaves the only exchanger no address", "void.example", "later 4.7.0", false },
	{ "it leaves one of two exchangers no address", "halfvoid.example", "192.0.2.4:25 ", false },
	{ "several, one after another", "[198.51.100.7], plain.example", "198.51.100.7:25 192.0.2.4:25 ", false },
	{ "one of several is not to be found", "nothing.example plain.example", "192.0.2.4:25 ", false },
	{ "rfc6761:6.3 localhost needs no name service", "[localhost]:10025", "(127.0.0.1:10025 ::1:10025) ", false },
	{ "hosts(5)", "[native.example]", "192.0.2.77:25 ", false },
	{ "LMTP knows no MX", "inet:plain.example:24", "192.0.2.4:24 ", true },
	{ "nor does it of a domain that has", "example.com", "never 5.4.4", true },
	{ "no destination at all", "", "later 4.3.5", false },
	{ "nor this", "[example.com", "later 4.3.5", false },
	{ "nor this", "[a]b", "later 4.3.5", false },
	{ "nor this", "a:b", "later 4.3.5", false },
	{ "nor this", "a:0", "later 4.3.5", false },
};
/* clang-format on */

struct world {
	struct arena *arena;
	unsigned      asked, known; /* so many have been answered           */
};

static const struct answer *
ask(void *ctx, struct bytes name, uint16_t type)
{
	struct world         *w = ctx;
	struct answer        *x = arena_take(w->arena, sizeof *x);
	struct answer_record *r = arena_take_array(w->arena, COUNT(zone), sizeof *r);
	bool                  there = false, emptied = false;

	if (w->asked++ >= w->known)
		return NULL;
	*x = (struct answer){ .record = r, .name = name, .why = "" };
	for (size_t i = 0; i < COUNT(zone); i++) {
		there = there || bytes_is(name, zone[i].name);
		if (!bytes_is(name, zone[i].name) || zone[i].type != type)
			continue;
		if (zone[i].value == NULL)
			x->status = ANSWER_LATER;
		else if (strcmp(zone[i].value, "-") == 0)
			emptied = true;
		else
			r[x->records++] = (struct answer_record){
				.name = type == DNS_MX ? bytes_of(zone[i].value) : BYTES(""),
				.data = { zone[i].value, type == DNS_A ? 4 : 0 },
				.preference = zone[i].preference,
			};
	}
	if (x->status != ANSWER_LATER)
		x->status = x->records > 0 || emptied ? ANSWER_FOUND
		            : there        ? ANSWER_NO_RECORD
		                           : ANSWER_NO_NAME;
	return x;
}

static void
write_hosts(const struct route *r, struct buffer *out, bool other)
{
	for (size_t i = 0; i < r->hosts; i++) {
		size_t n = i + 1;

		while (n < r->hosts && r->host[n].preference == r->host[i].preference)
			n++;
		buffer_add_string(out, n - i > 1 ? "(" : "");
		for (size_t k = i; k < n; k++) {
			const struct route_host *h = &r->host[other ? n - 1 - (k - i) : k];
			buffer_printf(out, "%s%s:%u", k > i ? " " : "", h->peer.text, h->peer.port);
		}
		buffer_add_string(out, n - i > 1 ? ") " : " ");
		i = n - 1;
	}
}

static void
search_one(const struct search *s)
{
	struct world         w = { .arena = arena_open(NULL) };
	struct route_request q = { .nexthop = s->nexthop,
		                   .port = s->lmtp ? 24 : 25,
		                   .smtp_port = 25,
		                   .lmtp = s->lmtp,
		                   .dns = true,
		                   .native = true,
		                   .v4 = true,
		                   .v6 = true,
		                   .address_most = 5,
		                   .hosts = BYTES("# none\n192.0.2.77 x\tnative.example # y\n"),
		                   .forbidden = { (const char *const[]){ "10.0.0.0/8" }, 1 },
		                   .own_more = { (const char *const[]){ "198.51.100.8" }, 1 },
		                   .myhostname = "mail.us.example",
		                   .own = BYTES("127.0.0.5 192.0.2.9 "),
		                   .ask = ask,
		                   .ctx = &w };
	struct buffer        got[2] = { { 0 }, { 0 } };
	struct route         r;
	enum route_outcome   o;

	/* One answer more each time: the outcome is the same as if all had been there. */
	while (w.asked = 0, (o = route_find(&q, w.arena, &r)) == ROUTE_WAIT && w.known < 50)
		w.known++;
	for (int i = 0; i < 2; i++)
		if (o == ROUTE_FOUND)
			write_hosts(&r, &got[i], i == 1);
		else
			buffer_printf(&got[i], "%s %s", o == ROUTE_LATER ? "later" : "never",
			              r.status);
	if (!bytes_is(buffer_bytes(&got[0]), s->wanted))
		SAME(s->why, buffer_bytes(&got[1]), bytes_of(s->wanted));
	buffer_free(&got[0]);
	buffer_free(&got[1]);
	arena_close(&w.arena);
}

static void
test_searches(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(searches); i++)
		for (int again = 0; again < 8; again++)
			search_one(&searches[i]);
}

/* Of two equally good hosts each is first now and then (rfc5321:5.1). */
static void
test_chance(void **state)
{
	unsigned first[2] = { 0 };
	(void)state;

	for (int i = 0; i < 64; i++) {
		struct world         w = { .arena = arena_open(NULL), .known = 100 };
		struct route_request q = { .nexthop = "example.com",
			                   .port = 25,
			                   .smtp_port = 25,
			                   .dns = true,
			                   .v4 = true,
			                   .myhostname = "",
			                   .ask = ask,
			                   .ctx = &w };
		struct route         r;

		HOLDS("found", route_find(&q, w.arena, &r) == ROUTE_FOUND);
		first[strcmp(r.host[0].peer.text, "192.0.2.1") == 0]++;
		arena_close(&w.arena);
	}
	HOLDS("both", first[0] > 0 && first[1] > 0);
}

static void
test_inside(void **state)
{
	static const struct { const char *address; bool inside, nowhere; } rows[] = {
		{ "127.0.0.1", true, false },	  { "127.255.0.9", true, false },   { "169.254.169.254", true, false },
		{ "0.0.0.0", false, true },	  { "224.0.0.1", false, true },	    { "192.0.2.1", false, false },
		{ "10.1.2.3", false, true },	  { "::1", true, false },	    { "fe80::1", true, false },
		{ "febf::1", true, false },	  { "::ffff:127.0.0.1", true, false }, { "::", false, true },
		{ "2001:db8::1", false, false },
	};
	const struct setting_list forbidden = { (const char *const[]){ "10.0.0.0/8" }, 1 };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sockaddr_storage ss = { 0 };
		struct sockaddr_in     *v4 = (void *)&ss;
		struct sockaddr_in6    *v6 = (void *)&ss;
		struct peer             p;

		if (inet_pton(AF_INET, rows[i].address, &v4->sin_addr) == 1)
			v4->sin_family = AF_INET;
		else if (inet_pton(AF_INET6, rows[i].address, &v6->sin6_addr) == 1)
			v6->sin6_family = AF_INET6;
		HOLDS(rows[i].address, peer_from(&ss, &p));
		HOLDS(rows[i].address, route_is_inside(&p) == rows[i].inside);
		HOLDS(rows[i].address, route_is_nowhere(&forbidden, &p) == rows[i].nowhere);
	}
}

enum { CROWD = 200 };

/* Exchangers h0 to h199 of one domain, the worst first; each has the address its number says. */
static const struct answer *
ask_crowd(void *ctx, struct bytes name, uint16_t type)
{
	struct world         *w = ctx;
	struct answer        *x = arena_take(w->arena, sizeof *x);
	struct answer_record *r = arena_take_array(w->arena, CROWD, sizeof *r);
	char                 *address = arena_take(w->arena, 4);
	uint64_t              n;

	w->asked++;
	*x = (struct answer){ .record = r, .name = name, .why = "", .status = ANSWER_FOUND };
	for (unsigned i = 0; i < CROWD && type == DNS_MX; i++)
		r[x->records++] = (struct answer_record){
			.name = bytes_of(arena_printf(w->arena, "h%u", i)), .data = BYTES(""), .preference = (uint16_t)(CROWD - i)
		};
	if (type == DNS_A && bytes_number(bytes_cut(name, 1, SIZE_MAX), &n)) {
		memcpy(address, (const char[4]){ (char)198, 51, 100, (char)n }, 4);
		r[x->records++] = (struct answer_record){ .name = BYTES(""), .data = { address, 4 } };
	}
	return x;
}

/* Of more exchangers than are looked up the best are. */
static void
test_crowd(void **state)
{
	struct world         w = { .arena = arena_open(NULL) };
	struct route_request q = { .nexthop = "crowd.example", .port = 25, .smtp_port = 25, .dns = true, .v4 = true,
		                   .address_most = 2, .myhostname = "", .ask = ask_crowd, .ctx = &w };
	struct route         r;

	(void)state;
	HOLDS("found", route_find(&q, w.arena, &r) == ROUTE_FOUND && r.hosts == 2);
	SAME("the best", bytes_of(r.host[0].peer.text), BYTES("198.51.100.199"));
	SAME("and the next", bytes_of(r.host[1].peer.text), BYTES("198.51.100.198"));
	HOLDS("no more than are allowed are asked for", w.asked <= 1 + ROUTE_NAMES_MOST);
	arena_close(&w.arena);
}

/* Each destination has its own limit of addresses: who is named behind it is tried however many it has. */
static void
test_fallback(void **state)
{
	struct world         w = { .arena = arena_open(NULL), .known = 100 };
	struct route_request q = { .nexthop = "example.com", .port = 25, .smtp_port = 25, .dns = true, .v4 = true,
		                   .address_most = 2, .myhostname = "", .ask = ask, .ctx = &w,
		                   .fallback = { (const char *const[]){ "[198.51.100.7]", "half.example" }, 2 } };
	struct route         r;
	static const struct { const char *host; uint32_t destination; } wanted[] = {
		{ NULL, 0 }, { NULL, 0 }, { "198.51.100.7", 1 }, { "192.0.2.4", 2 },
	};

	(void)state;
	HOLDS("found", route_find(&q, w.arena, &r) == ROUTE_FOUND && r.hosts == COUNT(wanted));
	for (size_t i = 0; i < COUNT(wanted); i++) {
		HOLDS("in their order", r.host[i].destination == wanted[i].destination);
		if (wanted[i].host != NULL)
			SAME("whom", bytes_of(r.host[i].peer.text), bytes_of(wanted[i].host));
	}
	arena_close(&w.arena);
}

UNIT(test_fallback, test_searches, test_chance, test_inside, test_crowd)
