/*
 * keeper-care -- space comes back: which letters of a segment are still referred to,
 * where they were copied, and the sweeping of old history
 */
#include "role/keeper.h"
#include <errno.h>
#include <string.h>

enum { SWEEP_EVERY_MS = 10 * 1000, SWEEP_MORE_MS = 20 };

/* ---- REFERS: who still needs this segment? ------------------------------------------- */

struct referring {
	struct buffer letters; /* of struct moved_letter            */
	uint32_t      count;
};

static void
refers_each(void *ctx, uint64_t account, uint64_t letter, const struct letter_place *p)
{
	struct referring   *r = ctx;
	struct moved_letter m = { letter,         p->content_segment,  p->content_at,
		                  p->content_len, p->envelope_segment, p->envelope_at };
	(void)account;

	buffer_add(&r->letters, (struct bytes){ (const char *)&m, sizeof m });
	r->count++;
}

bool
hear_refers(struct house *h, uint32_t ticket, struct bytes body)
{
	struct keeper    *k = keeper_of(h);
	struct link      *l = house_link(h, QUEUE, 0);
	struct referring  r = { 0 };
	struct word_moved w;
	int               why;

	arena_clear(k->scratch);
	if (!word_unpack_moved(body, k->scratch, &w))
		return false;
	why = store_refers(k->store, w.segment, refers_each, &r);
	if (why == 0 && l != NULL) {
		w.letter = (const struct moved_letter *)(const void *)r.letters.at;
		w.letters = r.count;
		word_pack_moved(link_begin(l, WORD_REFERRED, ticket), &w);
		link_end(l);
	} else if (why != 0)
		/* No answer: a segment is only removed when every keeper has answered. */
		warn_("segment %08x: cannot tell who refers to it: %s", w.segment, strerror(why));
	buffer_free(&r.letters);
	return true;
}

/* ---- MOVED: the rows follow -------------------------------------------------------------- */

struct moving {
	struct house *house;
	uint32_t      ticket, queue;
};

static void
moved_answer(struct house *h, uint32_t ticket, int why)
{
	struct link *l = house_link(h, QUEUE, 0);

	if (l == NULL)
		return;
	pack_u32(link_begin(l, WORD_MOVED_DONE, ticket), (uint32_t)why);
	link_end(l);
}

static void
moved_safe(void *ctx, int why)
{
	struct moving *m = ctx;

	/* Of a queue that died meanwhile: its successor asks for itself. */
	if (m->queue == keeper_of(m->house)->queues)
		moved_answer(m->house, m->ticket, why);
	memory_free(m);
}

bool
hear_moved(struct house *h, uint32_t ticket, struct bytes body)
{
	struct keeper       *k = keeper_of(h);
	struct letter_place *to;
	struct moving       *m;
	struct word_moved    w;
	uint64_t            *letter;
	int                  why;

	arena_clear(k->scratch);
	if (!word_unpack_moved(body, k->scratch, &w))
		return false;
	letter = arena_take_array(k->scratch, w.letters + 1, sizeof *letter);
	to = arena_take_array(k->scratch, w.letters + 1, sizeof *to);
	for (uint32_t i = 0; i < w.letters; i++) {
		const struct moved_letter *from = &w.letter[i];
		letter[i] = from->letter;
		to[i] = (struct letter_place){ from->content_segment, from->content_at,
			                       from->content_len, from->envelope_segment,
			                       from->envelope_at };
	}
	why = store_moved(k->store, letter, to, w.letters);
	if (why != 0) {
		moved_answer(h, ticket, why);
		return true;
	}
	m = memory_take(sizeof *m);
	*m = (struct moving){ h, ticket, k->queues };
	store_barrier(k->store, moved_safe, m);
	return true;
}

bool
hear_segment_gone(struct house *h, struct bytes body)
{
	struct unpack u = unpack_of(body);
	uint32_t      number = unpack_u32(&u);

	if (!unpack_done(&u))
		return false;
	letters_forget(keeper_of(h)->letters, number);
	return true;
}

/* ---- sweeping ------------------------------------------------------------------------------ */

static void
sweep_due(void *ctx)
{
	struct house *h = ctx;
	bool          more = store_sweep(keeper_of(h)->store);

	keeper_remove_gone(h);
	timer_set(keeper_of(h)->sweep, more ? SWEEP_MORE_MS : SWEEP_EVERY_MS);
}

void
keeper_care_start(struct house *h)
{
	struct keeper *k = keeper_of(h);

	k->sweep = timer_open(h->loop, sweep_due, h);
	timer_set(k->sweep, SWEEP_EVERY_MS);
}
