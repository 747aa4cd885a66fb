/*
 * sender-past -- what a queue that is gone has not heard, or perhaps not written down
 *
 * A queue dies, and the next has the same letters sent again.  What is on its way to a host in that moment is not broken off: the host
 * may have decided already.  It goes on for nobody, and its end is kept here with those that were said a moment ago, whose record
 * may not have been durable.  A SEND of the next queue for the same recipient of the same letter waits for the one that is under way, and
 * has its end; so it goes once.  What another sender was at, and what this one forgot, is not known here and goes again.
 */
#include "role/sender.h"

#include <string.h>

enum { PAST_MOST = 1024, TEXTS = 5 };
struct past {
	uint64_t      letter;
	uint32_t      queue; /* which it was said to, or should have been */
	struct buffer texts; /* address, status, reply, relay, TLS: a NUL behind each */
	bool          dsn, final;
};
struct sender_past {
	struct past   one[PAST_MOST];
	size_t        next;
	struct errand over;
};

static void
waits_over(void *house)
{
	struct sender_role *s = sender_of(house);

	for (struct delivery *d = s->first, *next; d != NULL; d = next) {
		next = d->next;
		if (d->waits_past && !sender_past_waits(d)) {
			delivery_start(d);
			next = s->first; /* others may have ended by it */
		}
	}
}

void
sender_past_open(struct house *h)
{
	struct sender_past *p = memory_take(sizeof *p);

	p->over = (struct errand){ .go = waits_over, .ctx = h };
	sender_of(h)->past = p;
}

/* Nobody of the queue that is there now waits for it. */
bool
sender_is_past(const struct delivery *d)
{
	return !d->probe && d->queue != sender_of(d->house)->queues;
}

void
sender_past_keep(struct delivery *d)
{
	struct sender_past *p = sender_of(d->house)->past;

	for (uint32_t i = 0; i < d->w.recipients; i++) {
		const struct sent_recipient *r = &d->result[i];
		struct past                 *one = &p->one[p->next % PAST_MOST];

		if (!d->known[i] || r->result != SENT_DELIVERED)
			continue;
		p->next++;
		one->letter = d->w.letter;
		one->queue = d->queue;
		one->dsn = r->dsn;
		one->final = r->final;
		buffer_reset(&one->texts);
		buffer_add(&one->texts, d->w.recipient[i].address);
		buffer_add_char(&one->texts, '\0');
		for (size_t n = 0; n < TEXTS - 1; n++) {
			const char *const texts[] = { r->status, r->text, r->relay, r->tls };

			buffer_add_string(&one->texts, texts[n] != NULL ? texts[n] : "");
			buffer_add_char(&one->texts, '\0');
		}
	}
	if (sender_is_past(d))
		errand_set(d->house->loop, &p->over);
}

/* One recipient's end, if it is in the past; it is used once. */
static void
past_take(struct delivery *d, uint32_t i)
{
	struct sender_role *s = sender_of(d->house);
	struct bytes        address = d->w.recipient[i].address;

	for (size_t n = 0; n < PAST_MOST; n++) {
		struct past *one = &s->past->one[n];
		struct bytes rest, text[TEXTS];

		if (one->letter != d->w.letter || one->queue == s->queues || one->texts.len == 0)
			continue;
		rest = buffer_bytes(&one->texts);
		for (size_t t = 0; t < TEXTS; t++)
			if (!bytes_split(&rest, '\0', &text[t]))
				text[t] = BYTES("");
		if (!bytes_equal(text[0], address))
			continue;
		d->known[i] = true;
		d->talked = true;
		d->result[i] = (struct sent_recipient){ SENT_DELIVERED,
			                                arena_copy(d->life, text[1]),
			                                arena_copy(d->life, text[2]),
			                                arena_copy(d->life, text[3]),
			                                arena_copy(d->life, text[4]),
			                                one->dsn,
			                                one->final,
			                                false };
		buffer_reset(&one->texts);
		return;
	}
}

static bool
is_under_way(const struct delivery *d, struct bytes address)
{
	for (const struct delivery *o = sender_of(d->house)->first; o != NULL; o = o->next) {
		if (o->w.letter != d->w.letter || !sender_is_past(o))
			continue;
		for (uint32_t i = 0; i < o->w.recipients; i++)
			if (bytes_equal(o->w.recipient[i].address, address))
				return true;
	}
	return false;
}

bool
sender_past_waits(struct delivery *d)
{
	struct sender_role *s = sender_of(d->house);

	d->waits_past = false;
	if (s->queues == 0 || d->probe)
		return false;
	for (uint32_t i = 0; i < d->w.recipients; i++) {
		if (!d->known[i])
			past_take(d, i);
		if (!d->known[i] && is_under_way(d, d->w.recipient[i].address))
			d->waits_past = true;
	}
	return d->waits_past;
}
