/* kit -- a queue whose needs are counted, at a time the test chooses */
#ifndef KIT_H
#define KIT_H

#include <string.h>

#include "base/clock.h"
#include "base/journal.h"
#include "queue/crowd.h"
#include "queue/ledger.h"
#include "queue/queue.h"

enum { NOW = 1800000000 };                     /* seconds */
#define NOW_MS ((int64_t)NOW * 1000)

struct kit {
	struct queue *queue;
	struct ledger *ledger;         /* the test's, where some of a letter are in it alone */
	int           finished, refused, reported, unread;
	uint64_t      last_finished;
	struct recipient *last_refused;
};

static void
kit_finished(void *ctx, struct letter *l)
{
	struct kit *k = ctx;

	k->finished++;
	k->last_finished = l->id;
	if (k->ledger != NULL)
		ledger_finished(k->ledger, l);
}

static void
kit_ended(void *ctx, struct recipient *r)
{
	struct kit *k = ctx;

	k->refused += r->refused;
	k->reported += r->reported;
	k->last_refused = r;
}

static void
kit_more(void *ctx, struct letter *l)
{
	struct kit *k = ctx;

	if (!crowd_more(k->queue, k->ledger, l, clock_wall_us() / 1000))
		k->unread++;
}

static const struct queue_needs kit_needs = { kit_finished, kit_ended, kit_more };

static inline void
kit_open(struct kit *k)
{
	journal_open(JOURNAL_FILE, -1, false, "host");
	clock_pretend(NOW);
	*k = (struct kit){ 0 };
	k->queue = queue_open(&kit_needs, k);
	queue_patience(k->queue, &(struct queue_patience){ 300 * 1000, 4000 * 1000, 432000LL * 1000, 86400LL * 1000, false });
}

static inline struct letter *
kit_letter(struct kit *k, uint64_t id, int recipients)
{
	struct letter *l = queue_add(k->queue, id);

	if (l == NULL)
		return NULL;
	l->arrived_us = (int64_t)NOW * 1000000;
	l->sender = "jack@example.com";
	while (recipients-- > 0)
		letter_recipient(k->queue, l, BYTES("jill@example.com"));
	return l;
}
#endif
