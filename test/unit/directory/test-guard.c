/* The guard against guessers: delays, limits a minute, and an owner who is never kept out. */
#include "unit.h"

#include <stdio.h>
#include <time.h>

#include "directory/guard.h"

static const struct guard_limits limits = { 2000, 30, 300 };
static const struct bytes        home = { "192.0.2.1", 9 }, evil = { "198.51.100.7", 12 },
			  jack = { "jack@example.com", 16 };
enum { SECOND = 1000, MINUTE_MS = 60 * SECOND };
#define DAY (24LL * 3600 * SECOND)

static void
test_delays_double(void **state)
{
	static const int64_t wanted[] = { 2000, 4000, 8000, 15000, 15000, 15000 };
	struct guard        *g = guard_open();
	(void)state;

	for (size_t i = 0; i < COUNT(wanted); i++)
		assert_int_equal(guard_failed(g, &limits, evil, jack, 1000 + (int64_t)i),
		                 wanted[i]);
	assert_int_equal(guard_failed(g, &limits, home, jack, 1000),
	                 2000); /* another network begins at the beginning */
	assert_int_equal(guard_failed(g, &limits, evil, jack, 3700 * SECOND),
	                 2000); /* an hour's peace */
	guard_passed(g, home, jack, 2000);
	assert_int_equal(guard_failed(g, &limits, home, jack, 3000),
	                 2000); /* who proved to be somebody begins anew */
	guard_close(&g);
}

static void
test_no_delays(void **state)
{
	static const struct guard_limits none = { 0, 0, 0 };
	struct guard                    *g = guard_open();
	clock_t                          begun = clock();
	(void)state;

	for (int i = 0; i < 200000; i++)
		assert_int_equal(guard_failed(g, &none, evil, jack, i), 0);
	HOLDS("no limits", guard_ask(g, &none, evil, jack, 1) == GUARD_GO);
	HOLDS("counting is quick", clock() - begun < 2 * CLOCKS_PER_SEC);
	guard_close(&g);
}

static void
test_network_limit(void **state)
{
	struct guard *g = guard_open();
	struct bytes  jill = BYTES("jill@example.com");
	(void)state;

	for (int i = 0; i < 30; i++) {
		HOLDS("up to the limit", guard_ask(g, &limits, evil, jack, 5000) == GUARD_GO);
		(void)guard_failed(g, &limits, evil, jack, 5000);
	}
	HOLDS("then not", guard_ask(g, &limits, evil, jack, 5001) == GUARD_LATER);
	HOLDS("nor for others", guard_ask(g, &limits, evil, jill, 5001) == GUARD_LATER);
	HOLDS("nor after a login to an account of their own",
	      (guard_passed(g, evil, BYTES("mallory@example.com"), 5002), true) &&
	              guard_ask(g, &limits, evil, jack, 5003) == GUARD_LATER);
	HOLDS("elsewhere they can", guard_ask(g, &limits, home, jack, 5001) == GUARD_GO);
	HOLDS("until the minute is over",
	      guard_ask(g, &limits, evil, jack, 5000 + MINUTE_MS) == GUARD_GO);
	guard_close(&g);
}

/* A hundred networks guess at one account: strangers wait, the owner comes in. */
static void
test_owner_is_never_kept_out(void **state)
{
	struct guard *g = guard_open();
	char          network[32];
	(void)state;

	guard_passed(g, home, BYTES("JACK@example.com"), 0);
	for (int i = 0; i < 400; i++) {
		(void)snprintf(network, sizeof network, "203.0.113.%d", i % 100);
		(void)guard_failed(g, &limits, bytes_of(network), jack, 10000);
	}
	HOLDS("a stranger", guard_ask(g, &limits, evil, jack, 10001) == GUARD_LATER);
	HOLDS("a stranger to another account",
	      guard_ask(g, &limits, evil, BYTES("jill@example.com"), 10001) == GUARD_GO);
	HOLDS("the owner", guard_ask(g, &limits, home, jack, 10001) == GUARD_GO);
	HOLDS("case", guard_ask(g, &limits, home, BYTES("Jack@Example.Com"), 10001) == GUARD_GO);
	for (int i = 0; i < 100; i++)
		(void)guard_failed(g, &limits, home, jack, 10002);
	HOLDS("the owner beside a guesser in the same house",
	      guard_ask(g, &limits, home, jack, 10003) == GUARD_GO);
	HOLDS("known", guard_knows(g, home, jack, 29 * DAY) && !guard_knows(g, evil, jack, 10003));
	HOLDS("not for ever", !guard_knows(g, home, jack, 30 * DAY));
	guard_close(&g);
}

/* Whatever comes, memory ends somewhere, and the owner is remembered. */
static void
test_bounded(void **state)
{
	struct guard *g = guard_open();
	char          network[32], user[40];
	int64_t       now = 0;
	clock_t       begun = clock();
	(void)state;

	guard_passed(g, home, jack, now);
	for (int i = 0; i < 300000; i++) {
		(void)snprintf(network, sizeof network, "10.%d.%d.%d", i >> 16, (i >> 8) & 255,
		               i & 255);
		(void)snprintf(user, sizeof user, "u%d@example.com", i);
		(void)guard_failed(g, &limits, bytes_of(network), bytes_of(user), now++);
	}
	HOLDS("in a flood", guard_ask(g, &limits, home, jack, now) == GUARD_GO &&
	                            guard_knows(g, home, jack, now));
	for (int i = 0; i < 200000; i++) {
		(void)snprintf(network, sizeof network, "10.%d.%d.%d", i >> 16, (i >> 8) & 255,
		               i & 255);
		(void)guard_failed(g, &limits, bytes_of(network), jack,
		                   now); /* all in one moment */
	}
	HOLDS("quick enough", clock() - begun < 5 * CLOCKS_PER_SEC);
	guard_close(&g);
}

/* Against a plain model: what a window of a minute counts, at random. */
static void
test_model(void **state)
{
	struct guard            *g = guard_open();
	uint32_t                 seed = 7;
	int64_t                  now = 0, window[4] = { 0 }, count[4] = { 0 };
	static const char *const networks[] = { "a", "b", "c", "d" };
	bool                     begun[4] = { 0 };
	(void)state;

	for (int i = 0; i < 20000; i++) {
		seed = seed * 1664525u + 1013904223u;
		size_t n = seed >> 30;
		now += (seed >> 8) % 4000;
		struct bytes network = bytes_of(networks[n]), user = BYTES("");
		bool         late =
			begun[n] && now - window[n] < MINUTE_MS && count[n] >= limits.per_network;

		HOLDS("as the model says",
		      (guard_ask(g, &limits, network, user, now) == GUARD_LATER) == late);
		(void)guard_failed(g, &limits, network, user, now);
		if (!begun[n] || now - window[n] >= MINUTE_MS) {
			window[n] = now;
			count[n] = 0;
			begun[n] = true;
		}
		count[n]++;
	}
	guard_close(&g);
}

static void
test_bans_grow(void **state)
{
	static const struct ban_limits ban = { 3, 60000, 10000, 35000 };
	static const int64_t           lengths[] = { 10000, 20000, 35000, 35000 };
	struct guard                  *g = guard_open();
	uint32_t                       times;
	int64_t                        now = 0;
	(void)state;

	for (size_t i = 0; i < COUNT(lengths); i++) {
		HOLDS("not yet", guard_banned(g, &ban, BYTES("a"), now++, &times) == 0);
		HOLDS("not yet", guard_banned(g, &ban, BYTES("a"), now++, &times) == 0);
		HOLDS("the third", guard_banned(g, &ban, BYTES("a"), now++, &times) == lengths[i]);
		HOLDS("counted", times == i + 1);
		now += lengths[i];
	}
	HOLDS("another is not", guard_banned(g, &ban, BYTES("b"), now, &times) == 0);
	now += 36000;
	(void)guard_banned(g, &ban, BYTES("a"), now, &times);
	(void)guard_banned(g, &ban, BYTES("a"), now, &times);
	HOLDS("quiet for long: anew", guard_banned(g, &ban, BYTES("a"), now, &times) == 10000);
	guard_close(&g);
}

static void
test_bans_and_owners(void **state)
{
	static const struct ban_limits ban = { 1, 60000, 10000, 35000 }, never = { 0, 1, 1, 1 };
	struct guard                  *g = guard_open();
	uint32_t                       times;
	(void)state;

	HOLDS("switched off", guard_banned(g, &never, BYTES("a"), 0, &times) == 0);
	HOLDS("new: worth writing", guard_passed(g, BYTES("a"), BYTES("Eva"), 0));
	HOLDS("soon again: not", !guard_passed(g, BYTES("a"), BYTES("eva"), 1000));
	HOLDS("a day later: again", guard_passed(g, BYTES("a"), BYTES("eva"), 86400001));
	HOLDS("who logged in from there", guard_banned(g, &ban, BYTES("a"), 1, &times) == 0);
	guard_recall(g, BYTES("b"), BYTES("eva"), -1000, 0);
	HOLDS("as was written down", guard_knows(g, BYTES("b"), BYTES("eva"), 0));
	HOLDS("nor from there", guard_banned(g, &ban, BYTES("b"), 1, &times) == 0);
	guard_recall(g, BYTES("c"), BYTES("eva"), -31LL * 86400000, 0);
	HOLDS("too old", !guard_knows(g, BYTES("c"), BYTES("eva"), 0));
	guard_sentenced(g, BYTES("d"), 2, 5000);
	HOLDS("twice as written down: now the third",
	      guard_banned(g, &ban, BYTES("d"), 6000, &times) == 35000 && times == 3);
	guard_close(&g);
}

UNIT(test_delays_double, test_no_delays, test_network_limit, test_owner_is_never_kept_out,
     test_bounded, test_model, test_bans_grow, test_bans_and_owners)
