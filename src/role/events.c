#include "role/events.h"

#include "base/clock.h"

enum {
	WORD_OF = 128 << 10,    /* a word is said when it has so much         */
	WAITING_MOST = 4 << 20, /* bytes the chronicle has not taken yet      */
};

struct telling {
	struct house *house;
	struct buffer events;
	uint32_t      lost;
};

bool
event_is_told(const struct house *h)
{
	return h->common.event_store;
}

static uint32_t
count_of(struct bytes events)
{
	uint32_t      n = 0;
	struct unpack u = unpack_of(events);

	for (; u.rest.len > 0; n++)
		u.rest = bytes_cut(u.rest, unpack_u16(&u), SIZE_MAX);
	return n;
}

static void
tell(void *ctx)
{
	struct telling   *t = ctx;
	struct link      *l = house_link(t->house, CHRONICLE, 0);
	struct word_event w = { t->lost, buffer_bytes(&t->events) };

	if (t->events.len == 0)
		return;
	if (l == NULL || link_pending(l) > WAITING_MOST) {
		t->lost += count_of(w.events);
	} else {
		word_pack_event(link_begin(l, WORD_EVENT, 0), &w);
		link_end(l);
		t->lost = 0;
	}
	buffer_reset(&t->events);
}

void
event_say(struct house *h, const struct event *e)
{
	struct telling *t = h->telling;
	struct event    now = *e;
	size_t          at, len;

	if (!event_is_told(h))
		return;
	if (t == NULL) {
		h->telling = t = memory_take(sizeof *t);
		t->house = h;
		loop_at_rest(h->loop, tell, t);
	}
	if (now.at_us == 0)
		now.at_us = clock_wall_us();
	at = t->events.len;
	pack_u16(&t->events, 0);
	event_pack(&now, &t->events);
	len = t->events.len - at - 2;
	t->events.at[at] = (char)(len & 0xff);
	t->events.at[at + 1] = (char)(len >> 8);
	if (t->events.len > WORD_OF)
		tell(t);
	loop_again(h->loop);
}
