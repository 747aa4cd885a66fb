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

struct heap {
	struct recipient **at;
	size_t             len, room;
	bool (*before)(const struct recipient *, const struct recipient *);
};
struct queue {
	const struct queue_needs *needs;
	void                     *ctx;
	struct queue_patience     patience;
	struct map               *letters; /* by id                               */
	struct letter            *oldest, *newest;
	struct heap               waiting, ready;
};

static bool due_sooner(const struct recipient *, const struct recipient *);
static bool goes_first(const struct recipient *, const struct recipient *);

struct queue *
queue_open(const struct queue_needs *needs, void *ctx)
{
	struct queue *q = memory_take(sizeof *q);

	*q = (struct queue){ .needs = needs,
		             .ctx = ctx,
		             .letters = map_open(),
		             .waiting.before = due_sooner,
		             .ready.before = goes_first };
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
	memory_free(q->waiting.at);
	memory_free(q->ready.at);
	memory_free(q);
}

void
queue_patience(struct queue *q, const struct queue_patience *p)
{
	q->patience = *p;
}

/* ---- the schedule: two heaps ---------------------------------------------------------
   Who waits stands in order of time; whose time has come, in order of priority. */

static bool
due_sooner(const struct recipient *a, const struct recipient *b)
{
	if (a->due_ms != b->due_ms)
		return a->due_ms < b->due_ms;
	return a->letter->heard_us < b->letter->heard_us;
}

static bool
goes_first(const struct recipient *a, const struct recipient *b)
{
	int8_t x = a->letter->handling.priority, y = b->letter->handling.priority;

	return x != y ? x > y : due_sooner(a, b); /* rfc6710:4.1 */
}

static void
heap_set(struct heap *h, size_t at, struct recipient *r)
{
	h->at[at] = r;
	r->place = at;
}

static void
heap_up(struct heap *h, size_t at)
{
	struct recipient *r = h->at[at];

	while (at > 0 && h->before(r, h->at[(at - 1) / 2])) {
		heap_set(h, at, h->at[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_set(h, at, r);
}

static void
heap_down(struct heap *h, size_t at)
{
	struct recipient *r = h->at[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= h->len)
			break;
		if (child + 1 < h->len && h->before(h->at[child + 1], h->at[child]))
			child++;
		if (!h->before(h->at[child], r))
			break;
		heap_set(h, at, h->at[child]);
		at = child;
	}
	heap_set(h, at, r);
}

static void
heap_add(struct heap *h, struct recipient *r)
{
	if (h->len == h->room) {
		h->room = h->room == 0 ? 256 : h->room * 2;
		h->at = memory_resize(h->at, h->room * sizeof(struct recipient *));
	}
	heap_set(h, h->len++, r);
	heap_up(h, r->place);
}

static void
heap_drop(struct heap *h, size_t at)
{
	if (at == --h->len)
		return;
	heap_set(h, at, h->at[h->len]);
	heap_up(h, at);
	heap_down(h, h->at[at]->place);
}

static void
unschedule(struct queue *q, struct recipient *r)
{
	size_t at = r->place;

	if (at == NOWHERE)
		return;
	r->place = NOWHERE;
	heap_drop(r->ready ? &q->ready : &q->waiting, at);
	r->ready = false;
}

static void
schedule(struct queue *q, struct recipient *r)
{
	unschedule(q, r);
	heap_add(&q->waiting, r);
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
		                 .outside = "",
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

/* Not before its client wants it (rfc4865). */
static int64_t
not_before(const struct letter *l, int64_t ms)
{
	int64_t least = l->handling.not_before_us / 1000;

	return ms < least ? least : ms;
}

void
queue_enter(struct queue *q, struct letter *l)
{
	for (struct recipient *r = l->first; r != NULL; r = r->next) {
		r->due_ms = not_before(l, r->due_ms);
		if (r->state == RECIPIENT_NEW || r->state == RECIPIENT_WAITING)
			schedule(q, r);
	}
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

/* rfc3461:4.1 NOTIFY=SUCCESS; an aliased or forwarded recipient counts for its targets. */
static enum recipient_state
deliver(struct queue *q, struct recipient *r, int64_t now_ms)
{
	r->reported = (r->notify & NOTIFY_SUCCESS) != 0;
	return finish(q, r, now_ms);
}

static enum recipient_state
give_up(struct queue *q, struct recipient *r, int64_t now_ms)
{
	r->refused = true;
	return finish(q, r, now_ms);
}

/* rfc2852:4.1.5: what is to be returned or told of at a time is looked at then. */
static int64_t
in_time(const struct letter *l, int64_t due_ms, int64_t now_ms)
{
	int64_t by_ms = l->handling.by_us / 1000;

	return l->handling.by_mode != 0 && by_ms > now_ms && by_ms < due_ms ? by_ms : due_ms;
}

/* What comes from nobody, a notice, has a life of its own; and who goes where more (or less) patience is said to be. */
int64_t
queue_recipient_end(const struct queue *q, const struct recipient *r)
{
	int64_t life_ms = r->letter->sender[0] == '\0' ? q->patience.notice_lifetime_ms
	                                               : q->patience.lifetime_ms;

	if (r->lifetime_s == UINT32_MAX)
		return INT64_MAX;
	if (r->lifetime_s > 0)
		life_ms = (int64_t)r->lifetime_s * 1000;
	return r->letter->arrived_us / 1000 + life_ms;
}

static enum recipient_state
again(struct queue *q, struct recipient *r, int64_t now_ms)
{
	if (now_ms >= queue_recipient_end(q, r))
		return give_up(q, r, now_ms);
	r->due_ms = in_time(r->letter, now_ms + backoff(q, r, now_ms), now_ms);
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
	r->due_ms = not_before(r->letter, now_ms);
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
	r->due_ms = not_before(r->letter, now_ms);
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
	r->due_ms = not_before(r->letter, now_ms);
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
/*                      DUE      RESOLVED    DELIVERED LATER      REFUSED   LOST     HOLD   RELEASE  DROP    BOUNCE   */
[RECIPIENT_NEW]     = { ask_who, named,      deliver,  again_new, give_up,  at_once, hold,  at_once, finish, give_up },
[RECIPIENT_WAITING] = { try_it,  stay,       wrong,    wrong,     wrong,    stay,    hold,  at_once, finish, give_up },
[RECIPIENT_TRYING]  = { wrong,   wrong,      deliver,  again,     give_up,  soon,    stay,  stay,    stay,   stay    },
[RECIPIENT_HELD]    = { wrong,   named_held, stay,     stay,      stay,     stay,    stay,  release, finish, give_up },
[RECIPIENT_DONE]    = { wrong,   stay,       stay,     stay,      stay,     stay,    stay,  stay,    stay,   stay    },
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
	if (r->refused || r->reported) {
		q->needs->ended(q->ctx, r);
		return;
	}
	l->open--;
	letter_look(q, l);
}

void
queue_told(struct queue *q, struct recipient *r)
{
	struct letter *l = r->letter;

	INSIDE(r->state == RECIPIENT_DONE && (r->refused || r->reported) && !r->told &&
	       l->open > 0);
	r->told = true;
	l->dirty = true;
	l->open--;
	letter_look(q, l);
}

/* Those whose time has come, in front of all others; where the clock was set back it has not. */
static void
make_ready(struct queue *q, int64_t now_ms)
{
	while (q->ready.len > 0 && q->ready.at[0]->due_ms > now_ms)
		schedule(q, q->ready.at[0]);
	while (q->waiting.len > 0 && q->waiting.at[0]->due_ms <= now_ms) {
		struct recipient *r = q->waiting.at[0];

		unschedule(q, r);
		r->ready = true;
		heap_add(&q->ready, r);
	}
}

struct recipient *
queue_next(struct queue *q, int64_t now_ms, int64_t *wait_ms)
{
	struct recipient *r;

	make_ready(q, now_ms);
	if (q->ready.len == 0) {
		*wait_ms = q->waiting.len > 0 ? q->waiting.at[0]->due_ms - now_ms : -1;
		return NULL;
	}
	r = q->ready.at[0];
	r->state = life[r->state][EVENT_DUE](q, r, now_ms);
	return r;
}

bool
queue_past_its_time(const struct recipient *r, int64_t now_ms)
{
	const struct handling *h = &r->letter->handling;

	return h->by_mode != 0 && now_ms >= h->by_us / 1000;
}

struct recipient *
queue_fork(struct queue *q, struct recipient *r)
{
	struct recipient *twin = letter_recipient(r->letter, r->original);
	(void)q;

	twin->orcpt = r->orcpt;
	/* rfc3461:5.2.7.3 (b): one of them tells of its success. */
	twin->notify = r->notify & (uint8_t)~NOTIFY_SUCCESS;
	return twin;
}
