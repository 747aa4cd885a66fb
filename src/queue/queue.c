#include "queue/queue.h"
#include "base/clock.h"
#include "base/journal.h"
#include "base/map.h"
#include "base/random.h"
#include "queue/crowd.h"
#include "queue/queue_inner.h"
#include "queue/texts.h"
#include <stdlib.h>
#include <string.h>

/* However the settings and the clock stand: no try follows another at once. */
enum { BACKOFF_LEAST_MS = 1000, SOON_MS = 500 };
/* So many are ready at a time, but for those that come now; a letter to more than so many is one to many; so much, in
   milliseconds, a recipient moves its sender back; of so many senders that is remembered at least. */
enum { READY_MOST = 10000, FEW = 10, TURN_MS = 1, PARTIES_MOST = 4096 };
/* Until the settings are known. */
enum { RECIPIENTS_MOST = 20000 };

static void letter_forget(struct queue *, struct letter *);
static bool due_sooner(const struct heap_place *, const struct heap_place *);
static bool goes_first(const struct heap_place *, const struct heap_place *);

struct queue *
queue_open(const struct queue_needs *needs, void *ctx)
{
	struct queue *q = memory_take(sizeof *q);

	*q = (struct queue){ .needs = needs,
		             .ctx = ctx,
		             .buckets = 1024,
		             .texts = texts_open(),
		             .parties = map_open(),
		             .parties_most = PARTIES_MOST,
		             .limits = { RECIPIENTS_MOST, FEW },
		             .waiting.before = due_sooner,
		             .ready.before = goes_first };
	q->bucket = memory_take(q->buckets * sizeof(struct letter *));
	q->unsaved_last[0] = &q->unsaved[0];
	q->unsaved_last[1] = &q->unsaved[1];
	return q;
}

void
queue_close(struct queue **qp)
{
	struct queue *q = *qp;

	*qp = NULL;
	if (q == NULL)
		return;
	while (q->oldest != NULL)
		letter_forget(q, q->oldest);
	texts_close(&q->texts);
	map_close(&q->parties);
	memory_free(q->bucket);
	heap_free(&q->waiting);
	heap_free(&q->ready);
	memory_free(q);
}

void
queue_patience(struct queue *q, const struct queue_patience *p)
{
	q->patience = *p;
}

void
queue_limits(struct queue *q, const struct queue_limits *l)
{
	q->limits = *l;
}

/* ---- the schedule: two heaps ---------------------------------------------------------
   Who waits stands in order of time; whose time has come, in order of priority. */

static bool
due_sooner(const struct heap_place *x, const struct heap_place *y)
{
	const struct recipient *a = (const struct recipient *)x, *b = (const struct recipient *)y;

	if (a->due_ms != b->due_ms)
		return a->due_ms < b->due_ms;
	return a->letter->heard_us < b->letter->heard_us;
}

static bool
goes_first(const struct heap_place *x, const struct heap_place *y)
{
	const struct recipient *a = (const struct recipient *)x, *b = (const struct recipient *)y;
	int8_t                  of_a = a->letter->handling.priority;
	int8_t                  of_b = b->letter->handling.priority;

	return of_a != of_b         ? of_a > of_b /* rfc6710:4.1 */
	       : a->turn != b->turn ? a->turn < b->turn
	                            : due_sooner(x, y);
}

void
queue_unschedule(struct queue *q, struct recipient *r)
{
	q->leaving -= r->leaves;
	r->leaves = false;
	heap_leave(r->ready ? &q->ready : &q->waiting, &r->place);
	r->ready = false;
}

/* ---- turns --------------------------------------------------------------------------------- */

/* Up to the first sign or digit of what is written anew for each recipient: "news-17+jill=example.com@lists.example"
   is "news@lists.example". */
uint64_t
queue_party(const struct letter *l, const char *sender)
{
	struct bytes whole = bytes_of(sender);
	ptrdiff_t    at = bytes_find_last(whole, '@');
	size_t       n = 0, local = at < 0 ? whole.len : (size_t)at;
	struct bytes domain = bytes_cut(whole, local, SIZE_MAX);

	while (n < local && strchr("+=0123456789", sender[n]) == NULL)
		n++;
	return hash_of(bytes_cut(whole, 0, n > 0 ? n : local)) * 3 + hash_of(domain) +
	       (l->recipients > FEW);
}

static void
parties_sweep(struct queue *q, int64_t now_ms)
{
	for (struct map_place p = { 0 }; map_next(q->parties, &p);)
		if ((int64_t)(uintptr_t)p.value <= now_ms)
			(void)map_drop(q->parties, p.key);
	q->parties_most = 2 * map_count(q->parties) + PARTIES_MOST;
}

static int64_t
turn_take(struct queue *q, const struct recipient *r, int64_t now_ms)
{
	uint64_t party = queue_party(r->letter, r->letter->sender);
	int64_t  turn = (int64_t)(uintptr_t)map_get(q->parties, map_number(&party));

	if (turn < now_ms)
		turn = now_ms;
	if (map_count(q->parties) >= q->parties_most)
		parties_sweep(q, now_ms);
	(void)map_put(q->parties, map_number(&party), (void *)(uintptr_t)(turn + TURN_MS));
	return turn;
}

void
queue_schedule(struct queue *q, struct recipient *r, int64_t now_ms)
{
	queue_unschedule(q, r);
	if (crowd_no_room(q, r)) {
		r->leaves = true;
		q->leaving++;
		return;
	}
	r->ready = r->due_ms <= now_ms;
	if (r->ready)
		r->turn = turn_take(q, r, now_ms);
	heap_join(r->ready ? &q->ready : &q->waiting, &r->place);
}

/* ---- letters -------------------------------------------------------------------------- */

static struct letter **
bucket_of(const struct queue *q, uint64_t id)
{
	return &q->bucket[(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (q->buckets - 1)];
}

static void
buckets_grow(struct queue *q)
{
	struct letter **old = q->bucket;
	size_t          n = q->buckets;

	q->buckets *= 2;
	q->bucket = memory_take(q->buckets * sizeof(struct letter *));
	for (size_t i = 0; i < n; i++)
		for (struct letter *l = old[i], *next; l != NULL; l = next) {
			struct letter **to = bucket_of(q, l->id);

			next = l->chain;
			l->chain = *to;
			*to = l;
		}
	memory_free(old);
}

static void
unsaved_leave(struct queue *q, struct letter *l)
{
	if (!l->unsaved)
		return;
	*l->unsaved_at = l->unsaved_next;
	if (l->unsaved_next != NULL)
		l->unsaved_next->unsaved_at = l->unsaved_at;
	else
		q->unsaved_last[l->stored] = l->unsaved_at;
	l->unsaved = false;
}

void
queue_change(struct queue *q, struct letter *l)
{
	if (l->unsaved)
		return;
	l->unsaved = true;
	l->unsaved_next = NULL;
	l->unsaved_at = q->unsaved_last[l->stored];
	*l->unsaved_at = l;
	q->unsaved_last[l->stored] = &l->unsaved_next;
}

struct letter *
queue_unsaved(const struct queue *q, bool stored)
{
	return q->unsaved[stored];
}

void
queue_saved(struct queue *q, struct letter *l)
{
	unsaved_leave(q, l);
	l->stored = true;
	for (struct recipient *r = l->first; r != NULL; r = r->next) {
		r->stored = r->changed ? r->state != RECIPIENT_DONE || (r->refused && !r->told) ||
		                                 (r->reported && !r->told)
		                       : r->stored;
		r->changed = false;
	}
	crowd_saved(q, l);
}

const char *
queue_text(struct queue *q, struct bytes b)
{
	return texts_take(q->texts, b);
}

static struct letter *
add(struct queue *q, uint64_t id, struct arena *life)
{
	struct letter *l = arena_take(life, sizeof *l);

	*l = (struct letter){ .id = id,
		              .life = life,
		              .sender = "",
		              .heard_us = clock_wall_us(),
		              .leapt_ms = q->leapt_ms,
		              .few = q->limits.minimum,
		              .older = q->newest };
	if (q->count++ >= q->buckets)
		buckets_grow(q);
	l->chain = *bucket_of(q, id);
	*bucket_of(q, id) = l;
	queue_change(q, l);
	if (q->newest != NULL)
		q->newest->newer = l;
	else
		q->oldest = l;
	q->newest = l;
	return l;
}

struct letter *
queue_add(struct queue *q, uint64_t id)
{
	return queue_find(q, id) != NULL ? NULL : add(q, id, arena_open(NULL));
}

struct letter *
queue_add_for(struct queue *q, uint64_t id, uint32_t recipients, size_t strings)
{
	size_t each = (sizeof(struct recipient) + 15) / 16 * 16;

	if (queue_find(q, id) != NULL)
		return NULL;
	return add(q, id,
	           arena_open_for(NULL, (sizeof(struct letter) + 15) / 16 * 16 + recipients * each +
	                                        strings));
}

struct letter *
queue_find(const struct queue *q, uint64_t id)
{
	struct letter *l = *bucket_of(q, id);

	while (l != NULL && l->id != id)
		l = l->chain;
	return l;
}

/* What else its strings take while it is resolved, most of the time. */
enum { STRINGS_LEAST = 96 };

static void
recipient_count(struct queue *q, struct recipient *r, int by)
{
	if (!r->alone)
		return;
	r->letter->alone += (uint32_t)by;
	q->alone += (size_t)by;
}

struct recipient *
queue_recipient_make(struct queue *q, struct letter *l, struct bytes original, bool alone)
{
	struct arena *life = alone ? arena_open_for(NULL, sizeof(struct recipient) + original.len +
	                                                          STRINGS_LEAST)
	                           : l->life;
	struct recipient *r = arena_take(life, sizeof *r);

	*r = (struct recipient){ .letter = l,
		                 .life = life,
		                 .alone = alone,
		                 .original = original.len > 0 ? arena_copy(life, original) : "",
		                 .detail = "",
		                 .sender = "",
		                 .through = "",
		                 .outside = "",
		                 .orcpt = "",
		                 .status = "",
		                 .text = "",
		                 .changed = true };
	r->address = r->original;
	/* In front: order among the recipients of a letter means nothing. */
	r->next = l->first;
	l->first = r;
	recipient_count(q, r, 1);
	return r;
}

void
queue_recipient_free(struct queue *q, struct recipient *r)
{
	struct arena *life = r->alone ? r->life : NULL;

	queue_unschedule(q, r);
	texts_drop(q->texts, r->status);
	texts_drop(q->texts, r->text);
	recipient_count(q, r, -1);
	arena_close(&life);
}

struct recipient *
letter_recipient(struct queue *q, struct letter *l, struct bytes original)
{
	struct recipient *r = queue_recipient_make(q, l, original, l->recipients >= l->few);

	r->number = l->numbers++;
	l->recipients++;
	l->open++;
	return r;
}

static void
letter_forget(struct queue *q, struct letter *l)
{
	struct letter **at = bucket_of(q, l->id);

	for (struct recipient *r = l->first, *next; r != NULL; r = next) {
		next = r->next;
		queue_recipient_free(q, r);
	}
	crowd_end(q, l);
	texts_drop(q->texts, l->sender);
	unsaved_leave(q, l);
	for (struct queue_place *p = q->places; p != NULL; p = p->next)
		if (p->at == l)
			p->at = l->newer;
	while (*at != l)
		at = &(*at)->chain;
	*at = l->chain;
	q->count--;
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

/* Nothing is put off for longer than the longest wait: where it is, the clock was ahead when that was said, or its client wants it so. */
int64_t
queue_no_later(const struct queue *q, const struct letter *l, int64_t due_ms, int64_t now_ms)
{
	int64_t most = q->patience.most_ms + q->patience.most_ms / 8;

	if (most > 0 && due_ms > now_ms + most)
		due_ms = now_ms + (int64_t)random_below((uint64_t)most);
	return not_before(l, due_ms);
}

static void
recipient_enter(struct queue *q, struct recipient *r, int64_t now_ms)
{
	r->due_ms = queue_no_later(q, r->letter, r->due_ms, now_ms);
	if (r->state == RECIPIENT_NEW || r->state == RECIPIENT_WAITING)
		queue_schedule(q, r, now_ms);
	else if (r->state == RECIPIENT_DONE)
		q->needs->ended(q->ctx, r); /* it was told of before us, or not */
}

void
queue_enter(struct queue *q, struct letter *l)
{
	int64_t now_ms = clock_wall_us() / 1000;

	for (struct recipient *r = l->first; r != NULL; r = r->next)
		recipient_enter(q, r, now_ms);
	letter_look(q, l);
}

void
queue_recipient_enter(struct queue *q, struct recipient *r)
{
	recipient_enter(q, r, clock_wall_us() / 1000);
}

size_t
queue_count(const struct queue *q)
{
	return q->count;
}

struct letter *
queue_oldest(const struct queue *q)
{
	return q->oldest;
}

void
queue_place_begin(struct queue *q, struct queue_place *p)
{
	*p = (struct queue_place){
		.at = q->oldest, .queue = q, .next = q->places, .me = &q->places
	};
	if (p->next != NULL)
		p->next->me = &p->next;
	q->places = p;
}

struct letter *
queue_place_next(struct queue_place *p)
{
	struct letter *l = p->at;

	if (l != NULL)
		p->at = l->newer;
	return l;
}

void
queue_place_end(struct queue_place *p)
{
	if (p->me == NULL)
		return;
	*p->me = p->next;
	if (p->next != NULL)
		p->next->me = p->me;
	p->me = NULL;
}

/* ---- a recipient's life ------------------------------------------------------------------ */

typedef enum recipient_state act_fn(struct queue *, struct recipient *, int64_t now_ms);

int64_t
queue_letter_age(const struct queue *q, const struct letter *l, int64_t now_ms)
{
	return now_ms - l->arrived_us / 1000 - (q->leapt_ms - l->leapt_ms);
}

/* The wait grows with the age of the letter, between the two bounds, and never beats in
   step with others (a quarter of it is chance). */
static int64_t
backoff(const struct queue *q, const struct recipient *r, int64_t now_ms)
{
	int64_t wait = queue_letter_age(q, r->letter, now_ms);

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
	queue_unschedule(q, r);
	return RECIPIENT_DONE;
}

bool
queue_wants_report(const struct letter *l)
{
	return (l->flags & ENVELOPE_REPORT) != 0 && *l->sender != '\0' && l->crowd == NULL &&
	       l->recipients <= REPORT_RECIPIENTS_MOST;
}

/* rfc3461:4.1 NOTIFY=SUCCESS; an aliased or forwarded recipient counts for its targets. */
static enum recipient_state
deliver(struct queue *q, struct recipient *r, int64_t now_ms)
{
	r->reported = (r->notify & NOTIFY_SUCCESS) != 0 ||
	              (r->warned && q->patience.confirm_cleared) || queue_wants_report(r->letter);
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
	return r->letter->arrived_us / 1000 + (q->leapt_ms - r->letter->leapt_ms) + life_ms;
}

static enum recipient_state
again(struct queue *q, struct recipient *r, int64_t now_ms)
{
	if (now_ms >= queue_recipient_end(q, r))
		return give_up(q, r, now_ms);
	r->due_ms = in_time(r->letter, now_ms + backoff(q, r, now_ms), now_ms);
	queue_schedule(q, r, now_ms);
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
	queue_schedule(q, r, now_ms);
	return r->state == RECIPIENT_NEW ? RECIPIENT_NEW : RECIPIENT_WAITING;
}

static enum recipient_state
soon(struct queue *q, struct recipient *r, int64_t now_ms)
{
	r->due_ms = now_ms + SOON_MS + (int64_t)random_below(SOON_MS);
	queue_schedule(q, r, now_ms);
	return RECIPIENT_WAITING;
}

/* Now we know who it is: it waits for its turn under its own name. */
static enum recipient_state
named(struct queue *q, struct recipient *r, int64_t now_ms)
{
	r->known = true;
	r->due_ms = not_before(r->letter, now_ms);
	queue_schedule(q, r, now_ms);
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
	queue_unschedule(q, r);
	r->tries++;
	r->begun_us = clock_wall_us();
	return RECIPIENT_TRYING;
}

static enum recipient_state
ask_who(struct queue *q, struct recipient *r, int64_t now_ms)
{
	(void)now_ms;
	queue_unschedule(q, r);
	return RECIPIENT_NEW;
}

static enum recipient_state
hold(struct queue *q, struct recipient *r, int64_t now_ms)
{
	(void)now_ms;
	queue_unschedule(q, r);
	return RECIPIENT_HELD;
}

static enum recipient_state
release(struct queue *q, struct recipient *r, int64_t now_ms)
{
	r->due_ms = not_before(r->letter, now_ms);
	queue_schedule(q, r, now_ms);
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

/* What was said, shared with all of whom it was said. */
static void
remember(struct queue *q, const char **has, const char *said)
{
	const char *had = *has;

	if (said == NULL || strcmp(had, said) == 0)
		return;
	*has = texts_take(q->texts, bytes_of(said));
	texts_drop(q->texts, had);
}

void
queue_event(struct queue *q, struct recipient *r, enum recipient_event e, const char *status,
            const char *text, int64_t now_ms)
{
	enum recipient_state before = r->state, after;
	struct letter       *l = r->letter;

	remember(q, &r->status, status);
	remember(q, &r->text, text);
	after = life[before][e](q, r, now_ms);
	r->state = after;
	r->changed = true;
	queue_change(q, l);
	if (before == RECIPIENT_DONE || r->state != RECIPIENT_DONE)
		return;
	if (r->refused || r->reported) {
		q->needs->ended(q->ctx, r);
		return;
	}
	l->open--;
	letter_look(q, l);
}

bool
queue_in_hand(const struct recipient *r, int64_t now_ms)
{
	if (r->state != RECIPIENT_NEW && r->state != RECIPIENT_WAITING)
		return r->state == RECIPIENT_TRYING;
	return r->place.at == 0 || r->ready || r->due_ms <= now_ms;
}

void
queue_told(struct queue *q, struct recipient *r)
{
	struct letter *l = r->letter;

	INSIDE(r->state == RECIPIENT_DONE && (r->refused || r->reported) && !r->told &&
	       l->open > 0);
	r->told = r->changed = true;
	queue_change(q, l);
	l->open--;
	letter_look(q, l);
}

/* Those whose time has come, as many as are looked at soon. */
static void
make_ready(struct queue *q, int64_t now_ms)
{
	struct recipient *r;

	while ((r = heap_first(&q->waiting)) != NULL && r->due_ms <= now_ms &&
	       q->ready.len < READY_MOST)
		queue_schedule(q, r, now_ms);
}

struct recipient *
queue_next(struct queue *q, int64_t now_ms, int64_t *wait_ms)
{
	struct recipient *r;

	make_ready(q, now_ms);
	/* Where the clock was set back its time has not come. */
	while ((r = heap_first(&q->ready)) != NULL && r->due_ms > now_ms)
		queue_schedule(q, r, now_ms);
	if (r == NULL) {
		r = heap_first(&q->waiting);
		*wait_ms = r != NULL ? r->due_ms - now_ms : -1;
		return NULL;
	}
	if (r->stands_in) {
		queue_unschedule(q, r);
		q->needs->more(q->ctx, r->letter);
		*wait_ms = 0;
		return NULL;
	}
	r->state = life[r->state][EVENT_DUE](q, r, now_ms);
	return r;
}

void
queue_leap(struct queue *q, int64_t ms)
{
	q->leapt_ms += ms;
	for (size_t i = 1; i <= q->waiting.len; i++) {
		struct recipient *r = (struct recipient *)q->waiting.at[i];

		r->due_ms = not_before(r->letter, r->due_ms + ms);
	}
	for (size_t i = 1; i <= q->ready.len; i++) {
		struct recipient *r = (struct recipient *)q->ready.at[i];

		r->due_ms += ms;
		r->turn += ms;
	}
	heap_order(&q->waiting);
	for (struct letter *l = q->oldest; l != NULL; l = l->newer)
		crowd_leap(l, ms);
	for (struct map_place p = { 0 }; map_next(q->parties, &p);)
		(void)map_drop(q->parties, p.key);
}

bool
queue_past_its_time(const struct recipient *r, int64_t now_ms)
{
	const struct handling *h = &r->letter->handling;

	return h->by_mode != 0 && now_ms >= h->by_us / 1000;
}

/* A text of another recipient of the letter, who may leave before this one does. */
static const char *
text_from(const struct recipient *of, struct recipient *r, const char *text)
{
	return of->alone && *text != '\0' ? arena_copy(r->life, bytes_of(text)) : text;
}

static struct recipient *
twin_of(struct queue *q, const struct recipient *r)
{
	struct recipient *twin = letter_recipient(q, r->letter, bytes_of(r->original));

	twin->orcpt = text_from(r, twin, r->orcpt);
	twin->sender = text_from(r, twin, r->sender);
	twin->through = text_from(r, twin, r->through);
	twin->kept_by = r->kept_by;
	return twin;
}

struct recipient *
queue_fork(struct queue *q, struct recipient *r)
{
	struct recipient *twin = twin_of(q, r);

	/* rfc3461:5.2.7.3 (c): that there are several was told. */
	twin->notify = r->notify & (uint8_t)~NOTIFY_SUCCESS;
	return twin;
}

/* It goes by way of DONE, as one that is delivered to somebody who wishes to hear of that, and is stored so. */
void
queue_opened(struct queue *q, const struct recipient *r, enum opened opened)
{
	struct recipient *twin = twin_of(q, r);

	twin->address = text_from(r, twin, r->address);
	twin->notify = r->notify;
	twin->opened = (uint8_t)opened;
	queue_event(q, twin, EVENT_DELIVERED, NULL, NULL, clock_wall_us() / 1000);
}
