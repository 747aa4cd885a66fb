/*
 * queue-crowd -- recipients of letters to many come into memory: those that are due, and those a command means
 */
#include "queue/crowd.h"
#include "role/queue.h"

enum { LOOK_MOST = 5000 };

void
queue_more(void *house, struct letter *l)
{
	struct queue_role *k = queue_of(house);

	(void)crowd_more(k->queue, k->ledger, l, queue_now_ms());
}

struct choosing {
	bool (*meant)(void *ctx, const struct recipient *);
	void *ctx;
};

static enum ledger_choice
choose(void *choosing, const struct recipient *r)
{
	const struct choosing *c = choosing;

	return c->meant(c->ctx, r) ? LEDGER_TAKE : LEDGER_PASS;
}

bool
queue_absent_each(struct house *h, struct letter *l, uint32_t *from,
                  bool (*meant)(void *ctx, const struct recipient *),
                  void (*act)(void *ctx, struct recipient *), void *ctx)
{
	struct queue_role *k = queue_of(h);
	struct choosing    c = { meant, ctx };
	struct recipient  *before = l->first;
	int behind = ledger_absent(k->ledger, k->queue, l, from, LOOK_MOST, choose, &c);

	for (struct recipient *r = l->first; r != before; r = r->next)
		act(ctx, r);
	/* Those there is no room for leave again. */
	if (l->first != before)
		(void)queue_save(h);
	return behind > 0;
}
