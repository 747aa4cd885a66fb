#include "queue/rota.h"
#include "base/map.h"

enum { PARTIES_LEAST = 4096 };

/* Of whose last letter was served nothing need be known. */
static void
turns_sweep(struct rota_turns *t)
{
	for (struct map_place p = { 0 }; map_next(t->last, &p);)
		if ((int64_t)(uintptr_t)p.value <= t->served)
			(void)map_drop(t->last, p.key);
	t->most = 2 * map_count(t->last) + PARTIES_LEAST;
}

int64_t
rota_turn(struct rota_turns *t, uint64_t party)
{
	int64_t turn;

	if (t->last == NULL)
		t->last = map_open();
	if (map_count(t->last) >= t->most)
		turns_sweep(t);
	turn = (int64_t)(uintptr_t)map_get(t->last, map_number(&party));
	if (turn < t->served)
		turn = t->served;
	(void)map_put(t->last, map_number(&party), (void *)(uintptr_t)++turn);
	return turn;
}

void
rota_served(struct rota_turns *t, int64_t turn)
{
	if (turn > t->served)
		t->served = turn;
}

/* Else whose letters are put off again and again would come behind all who have had much, and have had nothing. */
void
rota_back(struct rota_turns *t, uint64_t party)
{
	int64_t last = (int64_t)(uintptr_t)map_get(t->last, map_number(&party));

	if (last - 1 > t->served)
		(void)map_put(t->last, map_number(&party), (void *)(uintptr_t)(last - 1));
	else if (last > t->served)
		(void)map_drop(t->last, map_number(&party));
}

static bool
is_before(const struct heap_place *x, const struct heap_place *y)
{
	const struct rota_member *a = (const struct rota_member *)x;
	const struct rota_member *b = (const struct rota_member *)y;

	return a->priority != b->priority ? a->priority > b->priority
	       : a->turn != b->turn       ? a->turn < b->turn
	                                  : a->came < b->came;
}

void
rota_join(struct rota *r, struct rota_member *m, int8_t priority, int64_t turn)
{
	struct rota_member wish = { m->place, priority, turn, m->came };
	bool               waits = rota_waits(m);

	if (waits && !is_before(&wish.place, &m->place))
		return;
	m->priority = priority;
	m->turn = turn;
	if (waits) {
		heap_rise(&r->heap, &m->place);
		return;
	}
	m->came = r->came++;
	r->heap.before = is_before;
	heap_join(&r->heap, &m->place);
}

bool
rota_waits(const struct rota_member *m)
{
	return m->place.at != 0;
}

struct rota_member *
rota_first(const struct rota *r)
{
	return heap_first(&r->heap);
}

size_t
rota_count(const struct rota *r)
{
	return r->heap.len;
}

struct rota_member *
rota_some(const struct rota *r, size_t number)
{
	return (struct rota_member *)r->heap.at[number];
}

void
rota_leave(struct rota *r, struct rota_member *m)
{
	heap_leave(&r->heap, &m->place);
}

void
rota_free(struct rota *r)
{
	heap_free(&r->heap);
	*r = (struct rota){ 0 };
}
