#include "queue/queue.h"
#include "base/clock.h"
#include "base/journal.h"
#include "base/map.h"
#include "base/random.h"
#include <stdlib.h>
#include <string.h>

#define NOWHERE SIZE_MAX
/* However the settings and the clock stand: no try follows another at once. */
enum { BACKOFF_LEAST_MS = 1000, SOON_MS = 500 };

struct queue {
	const struct queue_needs *needs;
	void                     *ctx;
	struct queue_patience     patience;
	struct map               *letters; /* by id                               */
	struct letter            *oldest, *newest;
	struct recipient        **heap; /* by due_ms, then by letter           */
	size_t                    heap_len, heap_room;
};

struct queue *
queue_open(const struct queue_needs *needs, void *ctx)
{
	struct queue *q = memory_take(sizeof *q);

	*q = (struct queue){ .needs = needs, .ctx = ctx, .letters = map_open() };
	return q;
}

void
queue_close(struct queue **qp)
{
	struct queue *q = *qp;

	*qp = NULL;
	if (q == NULL)
		return;
	for (struct letter *l = q->oldest, *newer; l != NULL; l = newer) {
		struct arena *life = l->life;

		newer = l->newer;
		arena_close(&life);
	}
	map_close(&q->letters);
	memory_free(q->heap);
	memory_free(q);
}

void
queue_patience(struct queue *q, const struct queue_patience *p)
{
	q->patience = *p;
}

/* ---- the schedule: a heap -------------------------------------------------------- */

static bool
sooner(const struct recipient *a, const struct recipient *b)
{
	if (a->due_ms != b->due_ms)
		return a->due_ms < b->due_ms;
	return a->letter->heard_us < b->letter->heard_us;
}

static void
heap_set(struct queue *q, size_t at, struct recipient *r)
{
	q->heap[at] = r;
	r->place = at;
}

static void
heap_up(struct queue *q, size_t at)
{
	struct recipient *r = q->heap[at];

	while (at > 0 && sooner(r, q->heap[(at - 1) / 2])) {
		heap_set(q, at, q->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_set(q, at, r);
}

static void
heap_down(struct queue *q, size_t at)
{
	struct recipient *r = q->heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= q->heap_len)
			break;
		if (child + 1 < q->heap_len && sooner(q->heap[child + 1], q->heap[child]))
			child++;
		if (!sooner(q->heap[child], r))
			break;
		heap_set(q, at, q->heap[child]);
		at = child;
	}
	heap_set(q, at, r);
}

static void
schedule(struct queue *q, struct recipient *r)
{
	if (r->place != NOWHERE) {
		heap_up(q, r->place);
		heap_down(q, r->place);
		return;
	}
	if (q->heap_len == q->heap_room) {
		q->heap_room = q->heap_room == 0 ? 256 : q->heap_room * 2;
		q->heap = memory_resize(q->heap, q->heap_room * sizeof *q->heap);
	}
	heap_set(q, q->heap_len++, r);
	heap_up(q, r->place);
}

static void
unschedule(struct queue *q, struct recipient *r)
{
	size_t at = r->place;

	if (at == NOWHERE)
		return;
	r->place = NOWHERE;
	if (at == --q->heap_len)
		return;
	heap_set(q, at, q->heap[q->heap_len]);
	heap_up(q, at);
	heap_down(q, q->heap[at]->place);
}

/* ---- letters -------------------------------------------------------------------------- */

struct letter *
queue_add(struct queue *q, uint64_t id)
{
	struct arena  *life;
	struct letter *l;

	if (map_get(q->letters, map_number(&id)) != NULL)
		return NULL;
	life = arena_open(NULL);
	l = arena_take(life, sizeof *l);
	*l = (struct letter){ .id = id,
		              .life = life,
		              .sender = "",
		              .heard_us = clock_wall_us(),
		              .older = q->newest,
		              .dirty = true };
	(void)map_put(q->letters, map_number(&id), l);
	if (q->newest != NULL)
		q->newest->newer = l;
	else
		q->oldest = l;
	q->newest = l;
	return l;
}

struct letter *
queue_find(const struct queue *q, uint64_t id)
{
	return map_get(q->letters, map_number(&id));
}

struct recipient *
letter_recipient(struct letter *l, const char *original)
{
	struct recipient *r = arena_take(l->life, sizeof *r), **end = &l->first;

	*r = (struct recipient){ .letter = l,
		                 .original = original,
		                 .address = original,
		                 .detail = "",
		                 .sender = "",
		                 .orcpt = "",
		                 .status = "",
		                 .text = "",
		                 .place = NOWHERE };
	/* In front: order among the recipients of a letter means nothing. */
	r->next = *end;
	*end = r;
	l->recipients++;
	l->open++;
	return r;
}

static void
letter_forget(struct queue *q, struct letter *l)
{
	for (struct recipient *r = l->first; r != NULL; r = r->next)
		unschedule(q, r);
	(void)map_drop(q->letters, map_number(&l->id));
	if (l->newer != NULL)
		l->newer->older = l->older;
	else
		q->newest = l->older;
	if (l->older != NULL)
		l->older->newer = l->newer;
	else
		q->oldest = l->newer;
	struct arena *life = l->life;
	arena_close(&life);
}

static void
letter_look(struct queue *q, struct letter *l)
{
	if (l->open > 0)
		return;
	q->needs->finished(q->ctx, l);
	letter_forget(q, l);
}

void
queue_enter(struct queue *q, struct letter *l)
{
	for (struct recipient *r = l->first; r != NULL; r = r->next)
		if (r->state == RECIPIENT_NEW || r->state == RECIPIENT_WAITING)
			schedule(q, r);
	letter_look(q, l);
}

size_t
queue_count(const struct queue *q)
{
	return map_count(q->letters);
}

struct letter *
queue_oldest(const struct queue *q)
{
	return q->oldest;
}

/* ---- a recipient's life ------------------------------------------------------------------ */

typedef enum recipient_state act_fn(struct queue *, struct recipient *, int64_t now_ms);

/* The wait grows with the age of the letter, between the two bounds, and never beats in
   step with others (a quarter of it is chance). */
static int64_t
backoff(const struct queue *q, const struct recipient *r, int64_t now_ms)
{
	int64_t age = now_ms - r->letter->arrived_us / 1000, wait = age;

	if (wait < q->patience.least_ms)
		wait = q->patience.least_ms;
	if (wait > q->patience.most_ms)
		wait = q->patience.most_ms;
	if (wait < BACKOFF_LEAST_MS)
		wait = BACKOFF_LEAST_MS;
	return wait - wait / 8 + (int64_t)random_below((uint64_t)wait / 4 + 1);
}

static enum recipient_state
finish(struct queue *q, struct recipient *r, int64_t now_ms)
{
	(void)now_ms;
	unschedule(q, r);
	return RECIPIENT_DONE;
}

static enum recipient_state
give_up(struct queue *q, struct recipient *r, int64_t now_ms)
{
	r->refused = true;
	return finish(q, r, now_ms);
}

static enum recipient_state
again(struct queue *q, struct recipient *r, int64_t now_ms)
{
	if (now_ms - r->letter->arrived_us / 1000 >= q->patience.lifetime_ms)
		return give_up(q, r, now_ms);
	r->due_ms = now_ms + backoff(q, r, now_ms);
	schedule(q, r);
	return RECIPIENT_WAITING;
}

/* Resolving failed for now: it is still nobody we know. */
static enum recipient_state
again_new(struct queue *q, struct recipient *r, int64_t now_ms)
{
	return again(q, r, now_ms) == RECIPIENT_DONE ? RECIPIENT_DONE : RECIPIENT_NEW;
}

static enum recipient_state
at_once(struct queue *q, struct recipient *r, int64_t now_ms)
{
	r->due_ms = now_ms;
	schedule(q, r);
	return r->state == RECIPIENT_NEW ? RECIPIENT_NEW : RECIPIENT_WAITING;
}

static enum recipient_state
soon(struct queue *q, struct recipient *r, int64_t now_ms)
{
	r->due_ms = now_ms + SOON_MS + (int64_t)random_below(SOON_MS);
	schedule(q, r);
	return RECIPIENT_WAITING;
}

/* Now we know who it is: it waits for its turn under its own name. */
static enum recipient_state
named(struct queue *q, struct recipient *r, int64_t now_ms)
{
	r->known = true;
	r->due_ms = now_ms;
	schedule(q, r);
	return RECIPIENT_WAITING;
}

/* Known meanwhile, but somebody said wait. */
static enum recipient_state
named_held(struct queue *q, struct recipient *r, int64_t now_ms)
{
	(void)q, (void)now_ms;
	r->known = true;
	return RECIPIENT_HELD;
}

static enum recipient_state
try_it(struct queue *q, struct recipient *r, int64_t now_ms)
{
	(void)now_ms;
	unschedule(q, r);
	r->tries++;
	r->begun_us = clock_wall_us();
	return RECIPIENT_TRYING;
}

static enum recipient_state
ask_who(struct queue *q, struct recipient *r, int64_t now_ms)
{
	(void)now_ms;
	unschedule(q, r);
	return RECIPIENT_NEW;
}

static enum recipient_state
hold(struct queue *q, struct recipient *r, int64_t now_ms)
{
	(void)now_ms;
	unschedule(q, r);
	return RECIPIENT_HELD;
}

static enum recipient_state
release(struct queue *q, struct recipient *r, int64_t now_ms)
{
	r->due_ms = now_ms;
	schedule(q, r);
	return r->known ? RECIPIENT_WAITING : RECIPIENT_NEW;
}

static enum recipient_state
stay(struct queue *q, struct recipient *r, int64_t now_ms)
{
	(void)q, (void)now_ms;
	return r->state;
}

static enum recipient_state
wrong(struct queue *q, struct recipient *r, int64_t now_ms)
{
	(void)q, (void)now_ms;
	panic("a recipient in state %d met an event that cannot be", r->state);
}

/* clang-format off */
static act_fn *const life[RECIPIENT_STATES][RECIPIENT_EVENTS] = {
/*                      DUE      RESOLVED    DELIVERED LATER      REFUSED   LOST     HOLD   RELEASE  */
[RECIPIENT_NEW]     = { ask_who, named,      finish,   again_new, give_up,  at_once, hold,  at_once },
[RECIPIENT_WAITING] = { try_it,  stay,       wrong,    wrong,     wrong,    stay,    hold,  at_once },
[RECIPIENT_TRYING]  = { wrong,   wrong,      finish,   again,     give_up,  soon,    stay,  stay    },
[RECIPIENT_HELD]    = { wrong,   named_held, stay,     stay,      stay,     stay,    stay,  release },
[RECIPIENT_DONE]    = { wrong,   stay,       stay,     stay,      stay,     stay,    stay,  stay    },
};
/* clang-format on */

/* What was said, kept in the letter's life unless `has` is the same: most are. */
static const char *
remember(struct letter *l, const char *has, const char *said)
{
	if (said == NULL || strcmp(has, said) == 0)
		return has;
	return arena_copy(l->life, bytes_of(said));
}

void
queue_event(struct queue *q, struct recipient *r, enum recipient_event e, const char *status,
            const char *text, int64_t now_ms)
{
	enum recipient_state before = r->state, after;
	struct letter       *l = r->letter;

	r->status = remember(l, r->status, status);
	r->text = remember(l, r->text, text);
	after = life[before][e](q, r, now_ms);
	r->state = after;
	l->dirty = true;
	if (before == RECIPIENT_DONE || r->state != RECIPIENT_DONE)
		return;
	if (r->refused) {
		q->needs->refused(q->ctx, r);
		return;
	}
	l->open--;
	letter_look(q, l);
}

void
queue_told(struct queue *q, struct recipient *r)
{
	struct letter *l = r->letter;

	INSIDE(r->state == RECIPIENT_DONE && r->refused && !r->told && l->open > 0);
	r->told = true;
	l->dirty = true;
	l->open--;
	letter_look(q, l);
}

struct recipient *
queue_next(struct queue *q, int64_t now_ms, int64_t *wait_ms)
{
	struct recipient *r;

	if (q->heap_len == 0) {
		*wait_ms = -1;
		return NULL;
	}
	r = q->heap[0];
	if (r->due_ms > now_ms) {
		*wait_ms = r->due_ms - now_ms;
		return NULL;
	}
	r->state = life[r->state][EVENT_DUE](q, r, now_ms);
	return r;
}

struct recipient *
queue_fork(struct queue *q, struct recipient *r)
{
	struct recipient *twin = letter_recipient(r->letter, r->original);
	(void)q;

	twin->orcpt = r->orcpt;
	twin->notify = r->notify;
	return twin;
}
