/*
 * heap -- who is first among many, of whom each may come and go at any time
 *
 * From:     queue/queue (the schedule), queue/rota (who is short of a place)
 * Touches:  nothing
 *
 * Whoever stands in it has a struct heap_place as its first member, and stands in one heap at most.
 *
 * heap_join()   stands in it, and did not before.
 * heap_leave()  does not stand in it any more, or did not.
 * heap_rise()   goes before more than it did.
 * heap_order()  all may go before others than they did.
 * heap_first()  who goes before all others; NULL: nobody is there.
 * heap_free()   nobody is there, and nothing is kept.
 */
#ifndef QUEUE_HEAP_H
#define QUEUE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct heap_place { size_t at; };      /* from 1; 0: it stands in none   */
struct heap {
	bool (*before)(const struct heap_place *, const struct heap_place *);
	struct heap_place **at;        /* the first at 1                 */
	size_t len, room;
};

void heap_join(struct heap *, struct heap_place *);
void heap_leave(struct heap *, struct heap_place *);
void heap_rise(struct heap *, const struct heap_place *);
void heap_order(struct heap *);
void heap_free(struct heap *);
static inline void *
heap_first(const struct heap *h)
{
	return h->len > 0 ? h->at[1] : NULL;
}

#endif
