/*
 * chronicle -- keeps for some weeks what happened to letters, and tells it
 *
 * From:     receivers, the queue, senders (EVENT); the command line
 * Touches:  events/ of the mail directory
 *
 * Nobody waits for it, and mail goes on without it.
 */
#include "role/events.h"

#include <inttypes.h>
#include <unistd.h>

struct chronicler {
	uint64_t heard, lost;
};

static struct chronicler *
chronicler_of(struct house *h)
{
	return h->mine;
}

/* Who may say what of whom: each role tells of what it does. */
static const unsigned tellers[LIFE_KINDS] = {
	[LIFE_ACCEPTED] = FROM(RECEIVER), [LIFE_REFUSED] = FROM(RECEIVER),
	[LIFE_RULE] = FROM(RECEIVER),     [LIFE_ENTERED] = FROM(QUEUE),
	[LIFE_CONTACT] = FROM(SENDER),    [LIFE_ATTEMPT] = FROM(QUEUE),
	[LIFE_NOTICE] = FROM(QUEUE),      [LIFE_ORDER] = FROM(QUEUE),
	[LIFE_REMOVED] = FROM(QUEUE),
};

static bool
may_be_said(struct bytes events, enum role from)
{
	struct bytes packed;
	struct event e;
	bool         broken = false;

	while (event_next(&events, &packed, &e, &broken))
		if ((tellers[e.kind] & FROM(from)) == 0)
			return false;
	return !broken;
}

static bool
hear_event(struct house *h, enum role from, struct bytes body)
{
	struct chronicler *c = chronicler_of(h);
	struct arena      *a = arena_open(NULL);
	struct word_event  w;
	bool               good = word_unpack_event(body, a, &w) && may_be_said(w.events, from);

	if (good) {
		c->heard++;
		c->lost += w.lost;
	}
	arena_close(&a);
	return good;
}

static bool
chronicle_start(struct house *h)
{
	h->mine = memory_take(sizeof(struct chronicler));
	return true;
}

static bool
chronicle_hear(struct house *h, enum role from, uint32_t index, enum word word, uint32_t ticket,
               struct bytes body, int fd)
{
	(void)index;
	(void)ticket;
	if (fd >= 0)
		(void)close(fd);
	return word == WORD_EVENT && hear_event(h, from, body);
}

static void
chronicle_status(struct house *h, uint32_t *connections, struct buffer *text)
{
	struct chronicler *c = chronicler_of(h);

	*connections = 0;
	buffer_printf(text, "heard=%" PRIu64 " lost=%" PRIu64, c->heard, c->lost);
}

const struct role_card chronicle_card = {
	.name = "chronicle",
	.start = chronicle_start,
	.hear = chronicle_hear,
	.status = chronicle_status,
};
