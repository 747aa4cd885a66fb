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
	struct turns     *in; /* NULL: it has its turn         */
	struct lane      *next, *before;
};
struct turns {
	struct lane *first, *last;
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
	a->in = t;
	a->next = NULL;
	a->before = t->last;
	if (t->last != NULL)
		t->last->next = a;
	else
		t->first = a;
	t->last = a;
}

static void
turns_leave(struct lane *a)
{
	if (a->next != NULL)
		a->next->before = a->before;
	else
		a->in->last = a->before;
	if (a->before != NULL)
		a->before->next = a->next;
	else
		a->in->first = a->next;
	a->in = NULL;
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
	k->next = *at;
	return *at = k;
}

/* Nobody waits. */
static void
line_rest(struct line *line)
{
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

/* There is one for each priority that was seen since somebody waits; NULL: in none of them anybody does. */
static struct rank *
rank_first(const struct line *line)
{
	struct rank *k = line->ranks;

	while (k != NULL && k->fresh.first == NULL && k->old.first == NULL)
		k = k->next;
	return k;
}

const struct recipient *
line_first(const struct line *line)
{
	const struct rank *k = rank_first(line);

	if (k == NULL)
		return NULL;
	return k->fresh.first != NULL ? k->fresh.first->first : k->old.first->first;
}

/* Its lane is not among those that wait for their turn. */
static struct lane *
turn_take(struct line *line)
{
	struct rank *k = rank_first(line);
	bool         old = line->turns++ % 4 == 3;
	struct lane *a = k->fresh.first;

	if (a == NULL || (old && k->old.first != NULL))
		a = k->old.first;
	turns_leave(a);
	return a;
}

/* Nobody of it waits any more. */
static void
lane_close(struct line *line, struct lane *a)
{
	if (a->in != NULL)
		turns_leave(a);
	(void)map_drop(line->lanes, map_number(&a->key));
	memory_free(a);
	if (line->waiting == 0)
		line_rest(line);
}

static void
turn_over(struct line *line, struct lane *a)
{
	if (a->first != NULL)
		turns_add(&a->rank->old, a);
	else
		lane_close(line, a);
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
	if (a->first == NULL)
		lane_close(line, a);
}
