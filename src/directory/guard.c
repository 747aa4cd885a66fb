#include "directory/guard.h"
#include "base/arena.h"
#include "base/map.h"

enum { MINUTE = 60 * 1000, LONGEST_DELAY = 15 * 1000, KEPT_MOST = 65536 };
#define KNOWN_FOR (30LL * 24 * 3600 * 1000)
#define DAY (24LL * 3600 * 1000)
#define FORGOTTEN_AFTER (3600LL * 1000)

/* What is remembered of a network, of an account, or of the two together. */
struct memory {
	int64_t last_ms;   /* of the last failure, or (pair) success */
	int64_t window_ms; /* where the minute being counted began; (pair) when it was written down */
	int64_t in_window;
	int     in_row;
};

/* Failures towards a ban, and the bans there were. */
struct record {
	int64_t  window_ms, until_ms;
	int64_t  in_window;
	uint32_t times;
};

struct guard {
	struct map *networks, *accounts, *pairs;
	struct map
		*owners; /* networks from which somebody logged in: when last, as struct memory */
	struct map *records; /* network -> struct record */
};

struct guard *
guard_open(void)
{
	struct guard *g = memory_take(sizeof *g);

	*g = (struct guard){ map_open(), map_open(), map_open(), map_open(), map_open() };
	return g;
}

static void
forget_before(struct map *m, int64_t moment)
{
	for (struct map_place p = { 0 }; map_next(m, &p);) {
		struct memory *e = p.value;
		if (e->last_ms < moment)
			memory_free(map_drop(m, p.key));
	}
}

static void
records_forget(struct map *m, int64_t quiet_since)
{
	for (struct map_place p = { 0 }; map_next(m, &p);) {
		struct record *r = p.value;
		if (r->window_ms < quiet_since && r->until_ms < quiet_since)
			memory_free(map_drop(m, p.key));
	}
}

void
guard_close(struct guard **gp)
{
	struct guard *g = *gp;

	*gp = NULL;
	if (g == NULL)
		return;
	struct map *all[] = { g->networks, g->accounts, g->pairs, g->owners };
	for (size_t i = 0; i < COUNT(all); i++) {
		forget_before(all[i], INT64_MAX);
		map_close(&all[i]);
	}
	records_forget(g->records, INT64_MAX);
	map_close(&g->records);
	memory_free(g);
}

/* Makes room by forgetting what is old; in a flood younger than that, the older part of it. */
static struct memory *
remember(struct map *m, struct bytes key, int64_t now, int64_t kept_for)
{
	struct memory *e = map_get(m, key);

	if (e != NULL)
		return e;
	for (; map_count(m) >= KEPT_MOST; kept_for /= 4)
		forget_before(m, kept_for > 0 ? now - kept_for : INT64_MAX);
	e = memory_take(sizeof *e);
	e->window_ms = e->last_ms = now;
	(void)map_put(m, key, e);
	return e;
}

static int64_t
failures_in_minute(const struct memory *e, int64_t now)
{
	return e != NULL && now - e->window_ms < MINUTE ? e->in_window : 0;
}

static struct bytes
pair_of(struct bytes network, struct bytes user, char out[static 400])
{
	size_t n = network.len < 100 ? network.len : 100, u = user.len < 290 ? user.len : 290;

	for (size_t i = 0; i < n; i++)
		out[i] = network.at[i];
	out[n] = ' ';
	for (size_t i = 0; i < u; i++)
		out[n + 1 + i] = ascii_lower(user.at[i]);
	return (struct bytes){ out, n + 1 + u };
}

/* The name alone, folded the same way. */
static struct bytes
user_of(struct bytes user, char out[static 400])
{
	return pair_of((struct bytes){ NULL, 0 }, user, out);
}

bool
guard_knows(const struct guard *g, struct bytes network, struct bytes user, int64_t now)
{
	char                 pair[400];
	const struct memory *known = map_get(g->pairs, pair_of(network, user, pair));

	return known != NULL && now - known->last_ms < KNOWN_FOR;
}

enum guard_answer
guard_ask(struct guard *g, const struct guard_limits *l, struct bytes network, struct bytes user,
          int64_t now)
{
	char name[400];

	if (guard_knows(g, network, user, now))
		return GUARD_GO;
	if (l->per_network > 0 &&
	    failures_in_minute(map_get(g->networks, network), now) >= l->per_network)
		return GUARD_LATER;
	if (l->per_account > 0 &&
	    failures_in_minute(map_get(g->accounts, user_of(user, name)), now) >= l->per_account)
		return GUARD_LATER;
	return GUARD_GO;
}

static void
count_failure(struct memory *e, int64_t now)
{
	if (now - e->window_ms >= MINUTE) {
		e->window_ms = now;
		e->in_window = 0;
	}
	if (now - e->last_ms >= FORGOTTEN_AFTER)
		e->in_row = 0;
	e->in_window++;
	e->in_row++;
	e->last_ms = now;
}

int64_t
guard_failed(struct guard *g, const struct guard_limits *l, struct bytes network, struct bytes user,
             int64_t now)
{
	struct memory *n = remember(g->networks, network, now, FORGOTTEN_AFTER);
	char           name[400];
	int64_t        delay = l->delay_ms;

	count_failure(n, now);
	if (user.len > 0)
		count_failure(remember(g->accounts, user_of(user, name), now, FORGOTTEN_AFTER),
		              now);
	for (int i = 1; i < n->in_row && delay > 0 && delay < LONGEST_DELAY; i++)
		delay *= 2;
	return delay < LONGEST_DELAY ? delay : LONGEST_DELAY;
}

bool
guard_passed(struct guard *g, struct bytes network, struct bytes user, int64_t now)
{
	struct memory *n = map_get(g->networks, network), *known;
	char           pair[400];
	bool           is_new = !guard_knows(g, network, user, now);

	/* The minute's count stays: who has one account may not guess at others for it. */
	if (n != NULL)
		n->in_row = 0;
	known = remember(g->pairs, pair_of(network, user, pair), now, KNOWN_FOR);
	known->last_ms = now;
	remember(g->owners, network, now, KNOWN_FOR)->last_ms = now;
	if (!is_new && now - known->window_ms < DAY)
		return false;
	known->window_ms = now;
	return true;
}

void
guard_recall(struct guard *g, struct bytes network, struct bytes user, int64_t at, int64_t now)
{
	char           pair[400];
	struct memory *known, *owner;

	if (now - at >= KNOWN_FOR)
		return;
	known = remember(g->pairs, pair_of(network, user, pair), at, KNOWN_FOR);
	known->last_ms = known->window_ms = at;
	owner = remember(g->owners, network, at, KNOWN_FOR);
	if (owner->last_ms < at)
		owner->last_ms = at;
}

/* ---- bans ---- */

static struct record *
record_of(struct guard *g, struct bytes network, int64_t now, int64_t kept_for)
{
	struct record *r = map_get(g->records, network);

	if (r != NULL)
		return r;
	for (; map_count(g->records) >= KEPT_MOST; kept_for /= 4)
		records_forget(g->records, kept_for > 0 ? now - kept_for : INT64_MAX);
	r = memory_take(sizeof *r);
	r->window_ms = now;
	r->until_ms = INT64_MIN;
	(void)map_put(g->records, network, r);
	return r;
}

int64_t
guard_banned(struct guard *g, const struct ban_limits *l, struct bytes network, int64_t now,
             uint32_t *times)
{
	const struct memory *owner = map_get(g->owners, network);
	struct record       *r;
	int64_t              time = l->time_ms;

	if (l->failures <= 0 || (owner != NULL && now - owner->last_ms < KNOWN_FOR))
		return 0;
	r = record_of(g, network, now, l->longest_ms);
	if (r->times > 0 && now - r->until_ms > l->longest_ms)
		r->times = 0;
	if (now - r->window_ms >= l->within_ms) {
		r->window_ms = now;
		r->in_window = 0;
	}
	if (++r->in_window < l->failures)
		return 0;
	for (uint32_t i = 0; i < r->times && time < l->longest_ms; i++)
		time *= 2;
	time = time < l->longest_ms ? time : l->longest_ms;
	r->in_window = 0;
	r->until_ms = now + time;
	*times = ++r->times;
	return time;
}

void
guard_sentenced(struct guard *g, struct bytes network, uint32_t times, int64_t until)
{
	struct record *r = record_of(g, network, until, KNOWN_FOR);

	r->times = times;
	r->until_ms = until;
}
