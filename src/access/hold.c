#include "access/hold.h"

#include "base/arena.h"

/* A barrier cannot be called back, so it holds a promise instead of the session. */
struct hold_promise {
	struct hold *hold;
	enum looked  looked;
};

void
hold_open(struct hold *h, struct store *store, struct stream *stream,
          void (*over)(void *session, int why), void *session)
{
	*h = (struct hold){ .store = store, .stream = stream, .over = over, .session = session };
}

void
hold_look(struct hold *h)
{
	store_look(h->store);
}

static void
barrier_over(void *ctx, int why)
{
	struct hold_promise *p = ctx;
	struct hold         *h = p->hold;
	bool                 deep = p->looked == LOOKED_DEEP;

	memory_free(p);
	if (h == NULL)
		return;
	h->promise = NULL;
	/* Where nothing was said there is nothing to be forgotten. */
	if (!deep || stream_pending(h->stream) == 0)
		why = 0;
	if (why == 0)
		stream_hold(h->stream, false);
	h->over(h->session, why);
}

bool
hold_seen(struct hold *h)
{
	struct hold_promise *p = memory_take(sizeof *p);

	p->hold = h;
	if ((p->looked = store_looked(h->store, barrier_over, p)) == LOOKED_SAFE) {
		memory_free(p);
		return false;
	}
	h->promise = p;
	stream_hold(h->stream, true);
	return true;
}

bool
hold_is_on(const struct hold *h)
{
	return h->promise != NULL;
}

void
hold_close(struct hold *h)
{
	if (h->promise == NULL)
		return;
	h->promise->hold = NULL;
	h->promise = NULL;
	stream_hold(h->stream, false);
}
