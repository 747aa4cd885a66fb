/* queue_inner.h -- what queue.c and crowd.c know of the queue, and nobody else */
#ifndef QUEUE_QUEUE_INNER_H
#define QUEUE_QUEUE_INNER_H

#include "queue/crowd.h"
#include "queue/heap.h"
#include "queue/queue.h"

struct map;
struct texts;
struct queue {
	const struct queue_needs *needs;
	void                     *ctx;
	struct queue_patience     patience;
	struct letter           **bucket; /* by id                               */
	size_t                    buckets, count;
	struct letter            *oldest, *newest;
	struct letter      *unsaved[2], **unsaved_last[2]; /* new to the ledger; known to it */
	struct texts       *texts;
	struct map         *parties; /* -> the turn of their next recipient  */
	size_t              parties_most;
	int64_t             leapt_ms;
	struct queue_place *places;
	struct heap         waiting, ready;
	struct queue_limits limits;
	size_t              alone, leaving, absent; /* recipients: that are, in memory; of them that leave; not in memory */
	struct letter      *hungry, *hungry_last; /* those whose recipients wait for room, in turn */
};

/* Among those that wait, or those that are due, by its time; in neither. */
void queue_schedule(struct queue *, struct recipient *, int64_t now_ms);
void queue_unschedule(struct queue *, struct recipient *);
/* When one of this letter that waits until then is due: no later than any may be put off, and not before its client wants. */
int64_t queue_no_later(const struct queue *, const struct letter *, int64_t due_ms, int64_t now_ms);
/* A recipient in front of its letter's others, in a life of its own or in the letter's. */
struct recipient *queue_recipient_make(struct queue *, struct letter *, struct bytes original, bool alone);
/* It is in none of its letter's lists any more. */
void queue_recipient_free(struct queue *, struct recipient *);

#endif
