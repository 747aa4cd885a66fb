#include "queue/heap.h"
#include "base/arena.h"

enum { FEWEST = 64 };

static void
set(struct heap *h, size_t at, struct heap_place *p)
{
	h->at[at] = p;
	p->at = at;
}

/* Up, past those it goes before. */
static void
rise(struct heap *h, size_t at)
{
	struct heap_place *p = h->at[at];

	for (; at > 1 && h->before(p, h->at[at / 2]); at /= 2)
		set(h, at, h->at[at / 2]);
	set(h, at, p);
}

/* Down, below those that go before it. */
static void
sink(struct heap *h, size_t at)
{
	struct heap_place *p = h->at[at];
	size_t             next;

	for (; (next = 2 * at) <= h->len; at = next) {
		if (next < h->len && h->before(h->at[next + 1], h->at[next]))
			next++;
		if (!h->before(h->at[next], p))
			break;
		set(h, at, h->at[next]);
	}
	set(h, at, p);
}

void
heap_join(struct heap *h, struct heap_place *p)
{
	if (h->len + 1 >= h->room) {
		h->room = h->room == 0 ? FEWEST : 2 * h->room;
		h->at = memory_resize(h->at, h->room * sizeof(struct heap_place *));
	}
	h->at[++h->len] = p;
	rise(h, h->len);
}

void
heap_leave(struct heap *h, struct heap_place *p)
{
	size_t             at = p->at;
	struct heap_place *last;

	if (at == 0)
		return;
	p->at = 0;
	last = h->at[h->len--];
	if (last == p)
		return;
	set(h, at, last);
	rise(h, at);
	sink(h, last->at);
}

void
heap_rise(struct heap *h, const struct heap_place *p)
{
	rise(h, p->at);
}

void
heap_order(struct heap *h)
{
	for (size_t at = h->len / 2; at > 0; at--)
		sink(h, at);
}

void
heap_free(struct heap *h)
{
	for (size_t at = 1; at <= h->len; at++)
		h->at[at]->at = 0;
	memory_free(h->at);
	h->at = NULL;
	h->len = h->room = 0;
}
