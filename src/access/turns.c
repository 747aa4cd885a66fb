#include "access/turns.h"

#include "base/clock.h"

enum { TURN_MS = 5 };

static void
turns_go(void *ctx)
{
	struct turns *q = ctx;
	struct turn  *t;
	size_t        count = 0;

	for (t = q->first; t != NULL; t = t->next)
		count++;
	for (; count > 0 && (t = q->first) != NULL; count--) {
		turn_leave(q, t);
		q->go(t->session);
	}
	q->served_ms = clock_patient_ms();
}

void
turns_open(struct turns *q, struct loop *loop, void (*go)(void *session))
{
	*q = (struct turns){ .go = go };
	q->timer = timer_open(loop, turns_go, q);
	q->last = &q->first;
}

void
turns_close(struct turns *q)
{
	timer_close(&q->timer);
}

void
turn_queue(struct turns *q, struct turn *t, void *session)
{
	if (t->queued)
		return;
	*t = (struct turn){ .session = session, .queued = true };
	*q->last = t;
	q->last = &t->next;
	timer_set(q->timer, 0);
}

void
turn_leave(struct turns *q, struct turn *t)
{
	struct turn **p = &q->first;

	if (!t->queued)
		return;
	while (*p != t)
		p = &(*p)->next;
	*p = t->next;
	if (q->last == &t->next)
		q->last = p;
	t->queued = false;
}

void
turns_begin(struct turns *q)
{
	q->ends_ms = clock_patient_ms() + TURN_MS;
}

bool
turns_over(const struct turns *q)
{
	return clock_patient_ms() >= q->ends_ms;
}
