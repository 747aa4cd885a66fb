/* Who waits for a place: priority, then turn, then who came first; whoever leaves and joins meanwhile. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/random.h"
#include "queue/rota.h"

/* clang-format off */
static const struct { const char *why; struct { int8_t priority; int64_t turn; } in[4]; const char *order; } rows[] = {
	{ "who came first",                          { { 0, 5 }, { 0, 5 }, { 0, 5 }, { 0, 5 } }, "0123" },
	{ "an earlier turn",                         { { 0, 9 }, { 0, 5 }, { 0, 7 }, { 0, 1 } }, "3120" },
	{ "rfc6710:4.1 priority goes before a turn", { { 0, 1 }, { 3, 9 }, { -4, 0 }, { 3, 8 } }, "3102" },
};
/* clang-format on */

static void
test_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rota         r = { 0 };
		struct rota_member  m[4] = { 0 };
		char                order[5] = "";

		for (size_t n = 0; n < 4; n++)
			rota_join(&r, &m[n], rows[i].in[n].priority, rows[i].in[n].turn);
		for (size_t n = 0; n < 4; n++) {
			struct rota_member *first = rota_first(&r);

			order[n] = (char)('0' + (first - m));
			rota_leave(&r, first);
		}
		SAME(rows[i].why, ((struct bytes){ order, 4 }), ((struct bytes){ rows[i].order, 4 }));
		HOLDS("nobody is left", rota_first(&r) == NULL);
		rota_free(&r);
	}
}

static void
test_joined_twice(void **state)
{
	struct rota        r = { 0 };
	struct rota_member a = { 0 }, b = { 0 };
	(void)state;

	rota_join(&r, &a, 0, 10);
	rota_join(&r, &b, 0, 20);
	rota_join(&r, &b, 0, 30);
	HOLDS("what is worse changes nothing", rota_first(&r) == &a && b.turn == 20);
	rota_join(&r, &b, 0, 5);
	HOLDS("what is better does", rota_first(&r) == &b);
	rota_leave(&r, &a);
	rota_leave(&r, &a);
	HOLDS("to leave twice is to leave", rota_first(&r) == &b && rota_count(&r) == 1);
	rota_free(&r);
	HOLDS("nobody waits", !rota_waits(&b) && rota_first(&r) == NULL);
}

/* Against a list that is looked through. */
static void
test_like_a_list(void **state)
{
	enum { MANY = 300 };
	static struct rota_member m[MANY];
	struct rota               r = { 0 };
	(void)state;

	for (int n = 0; n < 20000; n++) {
		struct rota_member *one = &m[random_below(MANY)], *best = NULL;

		if (random_below(3) > 0)
			rota_join(&r, one, (int8_t)random_below(3), (int64_t)random_below(50));
		else
			rota_leave(&r, one);
		for (size_t i = 0; i < MANY; i++) {
			const struct rota_member *x = &m[i];

			if (!rota_waits(x))
				continue;
			if (best == NULL || x->priority > best->priority ||
			    (x->priority == best->priority &&
			     (x->turn < best->turn || (x->turn == best->turn && x->came < best->came))))
				best = &m[i];
		}
		HOLDS("the same", rota_first(&r) == best);
	}
	rota_free(&r);
}

/* Two parties, one with much: the other's next letter stands beside the first that was not served yet. */
static void
test_turns(void **state)
{
	struct rota_turns t = { 0 };
	(void)state;

	for (int64_t n = 1; n <= 1000; n++)
		HOLDS("one behind the other", rota_turn(&t, 7) == n);
	HOLDS("who comes with one", rota_turn(&t, 8) == 1);
	rota_served(&t, 400);
	rota_served(&t, 3);
	HOLDS("nobody comes in front of who was served", rota_turn(&t, 8) == 401 && rota_turn(&t, 9) == 401);
	HOLDS("the one with much goes on behind its last", rota_turn(&t, 7) == 1001);
	for (uint64_t party = 100; party < 20100; party++)
		HOLDS("each of very many", rota_turn(&t, party) == 401);
	HOLDS("all of them are known", map_count(t.last) == 20003);
	rota_served(&t, 500);
	for (uint64_t party = 30000; party < 60000; party++)
		HOLDS("others come", rota_turn(&t, party) == 501);
	HOLDS("and those that were served are not kept", map_count(t.last) < 45000);
	HOLDS("the one with much is", rota_turn(&t, 7) == 1002);
	map_close(&t.last);
}

/* A thousand are put off ten times, and none was served: its next is no farther behind than that of who comes with one. */
static void
test_turns_given_back(void **state)
{
	struct rota_turns t = { 0 };
	(void)state;

	for (int round = 0; round < 10; round++) {
		for (int n = 0; n < 1000; n++)
			(void)rota_turn(&t, 7);
		for (int n = 0; n < 1000; n++)
			rota_back(&t, 7);
	}
	HOLDS("as if it had never come", rota_turn(&t, 7) == 1 && rota_turn(&t, 8) == 1);
	rota_back(&t, 7);
	rota_back(&t, 7);
	HOLDS("no more than it had", rota_turn(&t, 7) == 1);
	for (int n = 2; n <= 100; n++)
		(void)rota_turn(&t, 7);
	rota_served(&t, 60);
	for (int n = 0; n < 50; n++)
		rota_back(&t, 7);
	HOLDS("what was served is not given back", rota_turn(&t, 7) == 61);
	rota_back(&t, 9);
	HOLDS("who never came has nothing to give", rota_turn(&t, 9) == 61);
	map_close(&t.last);
}

UNIT(test_turns_given_back, test_turns, test_order, test_joined_twice, test_like_a_list)
