#include "queue/rota.h"
#include "base/arena.h"
#include "base/map.h"

enum { FEWEST = 64, PARTIES_LEAST = 4096 };

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

/* A heap, its first at 1. */
static bool
is_before(const struct rota_member *a, const struct rota_member *b)
{
	return a->priority != b->priority ? a->priority > b->priority
	       : a->turn != b->turn       ? a->turn < b->turn
	                                  : a->came < b->came;
}

static void
set(struct rota *r, size_t place, struct rota_member *m)
{
	r->at[place] = m;
	m->place = place;
}

/* Up the heap, past those it goes before. */
static void
rise(struct rota *r, size_t place)
{
	struct rota_member *m = r->at[place];

	for (; place > 1 && is_before(m, r->at[place / 2]); place /= 2)
		set(r, place, r->at[place / 2]);
	set(r, place, m);
}

/* Down the heap, below those that go before it. */
static void
sink(struct rota *r, size_t place)
{
	struct rota_member *m = r->at[place];
	size_t              next;

	for (; (next = 2 * place) <= r->len; place = next) {
		if (next < r->len && is_before(r->at[next + 1], r->at[next]))
			next++;
		if (!is_before(r->at[next], m))
			break;
		set(r, place, r->at[next]);
	}
	set(r, place, m);
}

void
rota_join(struct rota *r, struct rota_member *m, int8_t priority, int64_t turn)
{
	struct rota_member wish = { priority, turn, m->came, 0 };

	if (m->place != 0) {
		if (!is_before(&wish, m))
			return;
		m->priority = priority;
		m->turn = turn;
		rise(r, m->place);
		return;
	}
	if (r->len + 1 >= r->room) {
		r->room = r->room == 0 ? FEWEST : 2 * r->room;
		r->at = memory_resize(r->at, r->room * sizeof(struct rota_member *));
	}
	*m = (struct rota_member){ priority, turn, r->came++, 0 };
	r->at[++r->len] = m;
	rise(r, r->len);
}

struct rota_member *
rota_first(const struct rota *r)
{
	return r->len > 0 ? r->at[1] : NULL;
}

void
rota_leave(struct rota *r, struct rota_member *m)
{
	size_t              place = m->place;
	struct rota_member *last;

	if (place == 0)
		return;
	m->place = 0;
	last = r->at[r->len--];
	if (last == m)
		return;
	set(r, place, last);
	rise(r, place);
	sink(r, last->place);
}

void
rota_free(struct rota *r)
{
	for (size_t i = 1; i <= r->len; i++)
		r->at[i]->place = 0;
	memory_free(r->at);
	*r = (struct rota){ 0 };
}
