#include "queue/line.h"
#include "base/map.h"
#include <stdlib.h>
#include <string.h>

/* So many that may not go along are looked past. */
enum { LOOK_PAST = 64 };

/* Of one party, at one priority. */
struct lane {
	uint64_t          key;
	struct recipient *first, *last;
	struct rank      *rank;
	struct line      *of;
	struct lane      *next;
};
struct turns {
	struct lane *first, **last;
};
/* Lanes of one priority: those that were not served since they wait, and the others. */
struct rank {
	int8_t       priority;
	struct turns fresh, old;
	struct rank *next;
};

static void
turns_add(struct turns *t, struct lane *a)
{
	a->next = NULL;
	*t->last = a;
	t->last = &a->next;
}

static struct lane *
turns_next(struct turns *t)
{
	struct lane *a = t->first;

	t->first = a->next;
	if (t->first == NULL)
		t->last = &t->first;
	return a;
}

static struct rank *
rank_of(struct line *line, int8_t priority)
{
	struct rank **at = &line->ranks, *k;

	while (*at != NULL && (*at)->priority > priority)
		at = &(*at)->next;
	if (*at != NULL && (*at)->priority == priority)
		return *at;
	k = memory_take(sizeof *k);
	k->priority = priority;
	k->fresh.last = &k->fresh.first;
	k->old.last = &k->old.first;
	k->next = *at;
	return *at = k;
}

/* Nobody waits; lanes that all have quit may be left. */
static void
line_rest(struct line *line)
{
	for (struct map_place p = { 0 }; map_next(line->lanes, &p);)
		memory_free(p.value);
	map_close(&line->lanes);
	for (struct rank *k = line->ranks, *next; k != NULL; k = next) {
		next = k->next;
		memory_free(k);
	}
	line->ranks = NULL;
}

static struct lane *
lane_of(struct line *line, const struct recipient *r, const char *sender)
{
	int8_t       priority = r->letter->handling.priority;
	uint64_t     key = queue_party(r->letter, sender) * 31 + (uint64_t)(priority + 16);
	struct lane *a;

	if (line->lanes == NULL)
		line->lanes = map_open();
	a = map_get(line->lanes, map_number(&key));
	if (a != NULL)
		return a;
	a = memory_take(sizeof *a);
	a->key = key;
	a->of = line;
	a->rank = rank_of(line, priority);
	turns_add(&a->rank->fresh, a);
	(void)map_put(line->lanes, map_number(&key), a);
	return a;
}

void
line_join(struct line *line, struct recipient *r, const char *sender)
{
	struct lane *a = lane_of(line, r, sender);

	r->line = a;
	r->line_next = NULL;
	r->line_before = a->last;
	if (a->last != NULL)
		a->last->line_next = r;
	else
		a->first = r;
	a->last = r;
	line->waiting++;
	if (line->all != NULL)
		++*line->all;
}

static void
leave(struct line *line, struct lane *a, struct recipient *r)
{
	if (r->line_before != NULL)
		r->line_before->line_next = r->line_next;
	else
		a->first = r->line_next;
	if (r->line_next != NULL)
		r->line_next->line_before = r->line_before;
	else
		a->last = r->line_before;
	r->line = NULL;
	line->waiting--;
	if (line->all != NULL)
		--*line->all;
}

/* A lane whose last has quit is still there. */
static const struct recipient *
turns_first(const struct turns *t)
{
	const struct lane *a = t->first;

	while (a != NULL && a->first == NULL)
		a = a->next;
	return a != NULL ? a->first : NULL;
}

const struct recipient *
line_first(const struct line *line)
{
	const struct recipient *r = NULL;

	for (const struct rank *k = line->ranks; k != NULL && r == NULL; k = k->next)
		if ((r = turns_first(&k->fresh)) == NULL)
			r = turns_first(&k->old);
	return r;
}

static struct lane *
turn_take_any(struct line *line)
{
	struct rank *k = line->ranks;
	bool         old = line->turns++ % 4 == 3;

	while (k->fresh.first == NULL && k->old.first == NULL)
		k = k->next;
	if (k->fresh.first == NULL || (old && k->old.first != NULL))
		return turns_next(&k->old);
	return turns_next(&k->fresh);
}

static void
lane_close(struct line *line, struct lane *a)
{
	(void)map_drop(line->lanes, map_number(&a->key));
	memory_free(a);
}

/* Its lane is not among those that wait for their turn. */
static struct lane *
turn_take(struct line *line)
{
	struct lane *a;

	while ((a = turn_take_any(line))->first == NULL)
		lane_close(line, a);
	return a;
}

static void
turn_over(struct line *line, struct lane *a)
{
	if (a->first != NULL) {
		turns_add(&a->rank->old, a);
		return;
	}
	lane_close(line, a);
	if (line->waiting == 0)
		line_rest(line);
}

static int
by_number(const void *a, const void *b)
{
	const struct recipient *x = *(struct recipient *const *)a,
			       *y = *(struct recipient *const *)b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* As their sender named them. */
uint32_t
line_take(struct line *line, struct recipient *out[], uint32_t most,
          bool (*together)(const struct recipient *, const struct recipient *))
{
	struct lane *a;
	uint32_t     n = 0, past = 0;

	if (line->waiting == 0)
		return 0;
	a = turn_take(line);
	for (struct recipient *r = a->first, *next; r != NULL && n < most && past < LOOK_PAST;
	     r = next) {
		next = r->line_next;
		if (n > 0 && (r->letter != out[0]->letter || !together(out[0], r))) {
			past++;
			continue;
		}
		leave(line, a, r);
		out[n++] = r;
	}
	qsort(out, n, sizeof(struct recipient *), by_number);
	turn_over(line, a);
	return n;
}

struct recipient *
line_leave(struct line *line)
{
	struct recipient *r;
	struct lane      *a;

	if (line->waiting == 0)
		return NULL;
	a = turn_take(line);
	r = a->first;
	leave(line, a, r);
	turn_over(line, a);
	return r;
}

void
line_quit(struct recipient *r)
{
	struct lane *a = r->line;
	struct line *line = a->of;

	leave(line, a, r);
	if (line->waiting == 0)
		line_rest(line);
}
