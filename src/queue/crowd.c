#include "queue/crowd.h"
#include "base/clock.h"
#include "queue/ledger.h"
#include "queue/queue_inner.h"
#include <string.h>

/* What is due so soon need not leave; so many come at a time, of so many that are looked at; who has many is looked through
   no more often than once in GRAIN_MS, and a millisecond for each GRAIN_EACH of them; after a fault, so much later. */
enum {
	SOON_MS = 2000,
	COME_MOST = 1000,
	LOOK_MOST = 5000,
	GRAIN_MS = 1000,
	GRAIN_EACH = 10,
	AGAIN_MS = 60000
};

struct crowd {
	uint8_t         *away; /* a bit for each number */
	uint32_t         bytes, count;
	uint32_t         from;     /* the next number of this round                      */
	int64_t          round_ms; /* the earliest of those that were passed over in it  */
	bool             hungry;
	struct letter   *next, *before; /* of those that are                              */
	struct recipient stand_in;
};

/* ---- who is away ------------------------------------------------------------------------- */

static struct crowd *
crowd_of(struct letter *l)
{
	struct crowd *c = l->crowd;

	if (c != NULL)
		return c;
	c = l->crowd = memory_take(sizeof *c);
	c->round_ms = INT64_MAX;
	c->stand_in = (struct recipient){ .letter = l,
		                          .stands_in = true,
		                          .state = RECIPIENT_WAITING,
		                          .original = "",
		                          .address = "",
		                          .status = "",
		                          .text = "",
		                          .due_ms = INT64_MAX };
	return c;
}

bool
crowd_has(const struct letter *l, uint32_t number)
{
	const struct crowd *c = l->crowd;

	return c != NULL && number / 8 < c->bytes && (c->away[number / 8] >> number % 8 & 1) != 0;
}

uint32_t
crowd_count(const struct letter *l)
{
	return l->crowd != NULL ? l->crowd->count : 0;
}

static void
mark(struct queue *q, struct crowd *c, uint32_t number)
{
	if (number / 8 >= c->bytes) {
		uint32_t bytes = number / 8 + number / 32 + 8;

		c->away = memory_resize(c->away, bytes);
		memset(c->away + c->bytes, 0, bytes - c->bytes);
		c->bytes = bytes;
	}
	c->away[number / 8] |= (uint8_t)(1U << number % 8);
	c->count++;
	q->absent++;
}

/* The one that stands for them has its turn then; INT64_MAX: never. */
static void
call_at(struct queue *q, struct crowd *c, int64_t due_ms)
{
	queue_unschedule(q, &c->stand_in);
	c->stand_in.due_ms = c->count > 0 ? due_ms : INT64_MAX;
	if (c->stand_in.due_ms != INT64_MAX)
		queue_schedule(q, &c->stand_in, clock_wall_us() / 1000);
}

/* One has left that is due then. */
static void
left(struct queue *q, struct crowd *c, uint32_t number, int64_t due_ms)
{
	mark(q, c, number);
	if (due_ms < c->round_ms)
		c->round_ms = due_ms;
	if (due_ms < c->stand_in.due_ms && !c->hungry)
		call_at(q, c, due_ms);
}

void
crowd_absent(struct queue *q, struct letter *l, uint32_t number, int64_t due_ms, bool held)
{
	l->recipients++;
	l->open++;
	left(q, crowd_of(l), number,
	     held ? INT64_MAX : queue_no_later(q, l, due_ms, clock_wall_us() / 1000));
}

struct recipient *
crowd_take(struct queue *q, struct letter *l, uint32_t number, struct bytes original)
{
	struct crowd     *c = l->crowd;
	struct recipient *r = queue_recipient_make(q, l, original, true);

	c->away[number / 8] &= (uint8_t) ~(1U << number % 8);
	q->absent--;
	if (--c->count == 0)
		call_at(q, c, INT64_MAX);
	r->number = number;
	r->stored = true;
	r->changed = false;
	return r;
}

/* ---- who waits for room -------------------------------------------------------------------- */

static size_t
room_for(const struct queue *q, const struct letter *l)
{
	size_t all = q->alone < q->limits.recipients ? q->limits.recipients - q->alone : 0;
	size_t own = l->alone < q->limits.minimum ? q->limits.minimum - l->alone : 0;

	return all < own ? own : all < COME_MOST ? all : COME_MOST;
}

bool
crowd_fits(const struct queue *q, const struct letter *l)
{
	return room_for(q, l) > 0;
}

static void
hunger(struct queue *q, struct letter *l)
{
	struct crowd *c = l->crowd;

	if (c->hungry)
		return;
	call_at(q, c, INT64_MAX);
	c->hungry = true;
	c->next = NULL;
	c->before = q->hungry_last;
	if (q->hungry_last != NULL)
		q->hungry_last->crowd->next = l;
	else
		q->hungry = l;
	q->hungry_last = l;
}

static void
hunger_over(struct queue *q, struct letter *l)
{
	struct crowd *c = l->crowd;

	if (!c->hungry)
		return;
	c->hungry = false;
	if (c->next != NULL)
		c->next->crowd->before = c->before;
	else
		q->hungry_last = c->before;
	if (c->before != NULL)
		c->before->crowd->next = c->next;
	else
		q->hungry = c->next;
	call_at(q, c, clock_wall_us() / 1000);
}

/* As many letters have their turn as there is room for. */
static void
feed(struct queue *q)
{
	for (size_t used = q->alone; q->hungry != NULL && used < q->limits.recipients;
	     used += COME_MOST)
		hunger_over(q, q->hungry);
}

size_t
crowd_all(const struct queue *q)
{
	return q->absent;
}

bool
crowd_hungry(const struct queue *q)
{
	return q->hungry != NULL;
}

/* ---- they leave ------------------------------------------------------------------------------ */

static bool
is_over(const struct recipient *r)
{
	return r->state == RECIPIENT_DONE && r->ticket == 0 &&
	       (r->told || !(r->refused || r->reported));
}

bool
crowd_no_room(const struct queue *q, const struct recipient *r)
{
	return r->alone && !r->stored && q->alone - q->leaving > q->limits.recipients &&
	       r->letter->alone > q->limits.minimum && !queue_wants_report(r->letter);
}

/* The ledger has it as it is, nobody is at it or asked about it, and its time is not now (where others wait for room: not yet), or
   there are too many. */
static bool
may_leave(const struct queue *q, const struct recipient *r, int64_t now_ms)
{
	if (!r->stored || r->ticket != 0 || r->line != NULL)
		return false;
	if (r->state == RECIPIENT_HELD || (r->leaves && r->state != RECIPIENT_TRYING))
		return true;
	return (r->state == RECIPIENT_WAITING || r->state == RECIPIENT_NEW) && r->place.at != 0 &&
	       (r->due_ms > now_ms + (q->hungry == NULL ? SOON_MS : 0) ||
	        (q->alone > q->limits.recipients && r->letter->alone > q->limits.minimum));
}

void
crowd_saved(struct queue *q, struct letter *l)
{
	int64_t            now_ms = clock_wall_us() / 1000;
	struct recipient **at = &l->first, *r;
	bool               stay = queue_wants_report(l); /* all of them are told of at once */

	while (!stay && l->alone > 0 && (r = *at) != NULL) {
		bool over = r->alone && is_over(r);

		if (!over && !(r->alone && may_leave(q, r, now_ms))) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		l->trims++;
		if (!over)
			left(q, crowd_of(l), r->number,
			     r->state == RECIPIENT_HELD ? INT64_MAX : r->due_ms);
		queue_recipient_free(q, r);
	}
	if (l->crowd != NULL && l->crowd->hungry && l->alone < q->limits.minimum)
		hunger_over(q, l);
	feed(q);
}

void
crowd_end(struct queue *q, struct letter *l)
{
	struct crowd *c = l->crowd;

	if (c != NULL) {
		q->absent -= c->count;
		c->count = 0;
		hunger_over(q, l);
		queue_unschedule(q, &c->stand_in);
		memory_free(c->away);
		memory_free(c);
		l->crowd = NULL;
	}
	feed(q);
}

void
crowd_leap(struct letter *l, int64_t ms)
{
	if (l->crowd != NULL && l->crowd->round_ms != INT64_MAX)
		l->crowd->round_ms += ms;
}

/* ---- they come ------------------------------------------------------------------------------- */

struct coming {
	const struct queue *queue;
	struct crowd       *crowd;
	int64_t             now_ms;
	size_t              room;
	bool                full;
};

static enum ledger_choice
who_is_due(void *ctx, const struct recipient *r)
{
	struct coming *c = ctx;

	if (r->state == RECIPIENT_HELD)
		return LEDGER_PASS;
	/* One that was put off while the clock was ahead comes, too, and has its time anew. */
	if (r->due_ms > c->now_ms &&
	    queue_no_later(c->queue, r->letter, r->due_ms, c->now_ms) == r->due_ms) {
		if (r->due_ms < c->crowd->round_ms)
			c->crowd->round_ms = r->due_ms;
		return LEDGER_PASS;
	}
	c->full = c->room == 0;
	c->room -= !c->full;
	return c->full ? LEDGER_STOP : LEDGER_TAKE;
}

/* All were looked at: the next round is when the first of them is due, but not at once where they are very many. */
static void
round_over(struct queue *q, struct crowd *c, int64_t now_ms)
{
	int64_t next = c->round_ms, least = now_ms + GRAIN_MS + c->count / GRAIN_EACH;

	c->from = 0;
	c->round_ms = INT64_MAX;
	call_at(q, c, next < least ? least : next);
}

bool
crowd_more(struct queue *q, struct ledger *g, struct letter *l, int64_t now_ms)
{
	struct crowd *c = l->crowd;
	struct coming coming = { .queue = q, .crowd = c, .now_ms = now_ms, .room = room_for(q, l) };
	int           behind;

	if (coming.room == 0) {
		hunger(q, l);
		return true;
	}
	behind = ledger_absent(g, q, l, &c->from, LOOK_MOST, who_is_due, &coming);
	if (behind < 0)
		call_at(q, c, now_ms + AGAIN_MS);
	else if (behind == 0)
		round_over(q, c, now_ms);
	else
		call_at(q, c, now_ms);
	return behind >= 0;
}
