#include "unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "channel/bans.h"

static struct peer
peer(const char *address)
{
	struct peer p = { .family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET };

	HOLDS(address, inet_pton(p.family, address, p.raw) == 1);
	(void)snprintf(p.text, sizeof p.text, "%s", address);
	return p;
}

static void
test_who_is_held(void **state)
{
	static const struct {
		const char *why, *network, *client;
		bool        held;
	} rows[] = {
		{ "an address", "192.0.2.1", "192.0.2.1", true },
		{ "its neighbour", "192.0.2.1", "192.0.2.2", false },
		{ "an address as a network", "192.0.2.1/32", "192.0.2.1", true },
		{ "a range", "198.51.100.0/24", "198.51.100.77", true },
		{ "beside it", "198.51.100.0/24", "198.51.101.1", false },
		{ "a /64 as we write it", "2001:db8::/64", "2001:db8::5", true },
		{ "in brackets", "[2001:db8::]/64", "2001:db8::5", true },
		{ "one address stands for its /64", "2001:db8::1", "2001:db8::2", true },
		{ "the next /64", "2001:db8::/64", "2001:db8:0:1::5", false },
		{ "a wide one", "2001:db8::/32", "2001:db8:7::1", true },
		{ "all of IPv4", "0.0.0.0/0", "203.0.113.9", true },
		{ "a /64 is not a name of v4", "2001:db8::/64", "192.0.2.1", false },
	};
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bans *b = bans_open();
		struct peer  p = peer(rows[i].client);
		HOLDS(rows[i].why, bans_put(b, bytes_of(rows[i].network), 1000, 0));
		HOLDS(rows[i].why, bans_hold(b, &p, 999) == rows[i].held);
		HOLDS("it ends", !bans_hold(b, &p, 1000));
		HOLDS(rows[i].why, bans_put(b, bytes_of(rows[i].network), 9000, 0));
		HOLDS(rows[i].why, bans_put(b, bytes_of(rows[i].network), 0, 0));
		HOLDS("lifted", !bans_hold(b, &p, 999) && bans_count(b) == 0);
		bans_close(&b);
	}
}

static void
test_what_is_no_network(void **state)
{
	static const char *const texts[] = { "",
		                             "x",
		                             "192.0.2.1/24",
		                             "192.0.2.0/33",
		                             "::/129",
		                             "[::1",
		                             "192.0.2.1 OR",
		                             "1.2.3.4.5",
		                             "/",
		                             ":",
		                             "[]",
		                             "/64",
		                             "2001:db8::/64/64",
		                             ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		                              "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:") };
	char                     out[64];
	(void)state;

	for (size_t i = 0; i < COUNT(texts); i++)
		HOLDS(texts[i], !bans_network(bytes_of(texts[i]), out));
}

static void
test_what_lies_within(void **state)
{
	static const struct { const char *why, *outer, *inner; bool covers; } rows[] = {
		{ "an address in a range", "198.51.100.0/24", "198.51.100.7", true },
		{ "itself", "198.51.100.7", "198.51.100.7", true },
		{ "a range in a range", "198.51.0.0/16", "198.51.100.0/24", true },
		{ "everything", "0.0.0.0/0", "198.51.100.0/24", true },
		{ "the other way round", "198.51.100.7", "198.51.100.0/24", false },
		{ "beside it", "198.51.100.0/24", "198.51.101.7", false },
		{ "a /64 in a /32", "2001:db8::/32", "2001:db8:0:1::/64", true },
		{ "beside it", "2001:db8::/32", "2001:db9::/64", false },
		{ "of the other family", "0.0.0.0/0", "2001:db8::/64", false },
		{ "what is no network", "local", "198.51.100.7", false },
	};
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++)
		HOLDS(rows[i].why, bans_covers(rows[i].outer, rows[i].inner) == rows[i].covers);
}

static void
test_bounded(void **state)
{
	struct bans *b = bans_open();
	char         text[64];
	(void)state;

	for (int i = 0; i < BANS_MOST; i++) {
		(void)snprintf(text, sizeof text, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
		HOLDS("there is room", bans_put(b, bytes_of(text), 1000, 0));
	}
	HOLDS("no more", !bans_put(b, BYTES("192.0.2.1"), 5000, 0));
	HOLDS("those that ended make room", bans_put(b, BYTES("192.0.2.1"), 5000, 1000));
	HOLDS("and are gone", bans_count(b) == 1);
	for (int i = 0; i < BAN_RANGES_MOST; i++) {
		(void)snprintf(text, sizeof text, "10.%d.%d.0/24", i >> 8, i & 255);
		HOLDS("there is room", bans_put(b, bytes_of(text), 1000, 0));
	}
	HOLDS("no more ranges", !bans_put(b, BYTES("192.0.2.0/24"), 5000, 0));
	bans_close(&b);
}

UNIT(test_who_is_held, test_what_is_no_network, test_what_lies_within, test_bounded)
