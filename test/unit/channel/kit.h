/*
 * kit -- a loop that stops by itself when a test hangs
 *
 * kit_run() runs until kit_done() or `ms` have gone; true: it was done.
 */
#ifndef UNIT_CHANNEL_KIT_H
#define UNIT_CHANNEL_KIT_H

#include "channel/loop.h"

struct kit { struct loop *loop; struct timer *timer; bool done; };

static void
kit_late(void *ctx)
{
	struct kit *k = ctx;

	loop_stop(k->loop);
}

static inline void
kit_open(struct kit *k)
{
	k->done = false;
	k->loop = loop_open();
	k->timer = timer_open(k->loop, kit_late, k);
}

static inline void
kit_done(struct kit *k)
{
	k->done = true;
	loop_stop(k->loop);
}

static inline bool
kit_run(struct kit *k, int64_t ms)
{
	k->done = false;
	timer_set(k->timer, ms);
	loop_run(k->loop);
	timer_clear(k->timer);
	return k->done;
}

static inline void
kit_close(struct kit *k)
{
	timer_close(&k->timer);
	loop_close(&k->loop);
}

#endif
