/*
 * queue-compact -- space comes back from the letter log
 *
 * A sealed segment is looked at one at a time.  Each step waits for the one before:
 *
 *     ASKING    the queue notes which of its own letters lie in the segment; then every keeper says which of its
 *               messages do (REFERS, REFERRED).  Nobody refers to it: it is removed.
 *     COPYING   less than half of it lives: the living letters are copied into a new segment,
 *               which is synced before anybody points at it.
 *     MOVING    the keepers' rows and the queue's ledger point at the copies, durably (MOVED, MOVED_DONE).
 *     then the old segment is removed.
 *
 * A crash between any two steps leaves either the old segment whole and referred to, or both:
 * a copy nobody refers to is dead weight for the next compaction.  A keeper that dies ends the
 * attempt; the segment's turn comes again.
 */
#include "base/clock.h"
#include "message/envelope.h"
#include "role/queue.h"
#include <inttypes.h>
#include <string.h>

/* A turn copies so much, that deliveries need not wait long; a keeper may be silent so long. */
enum { COPIES_A_TURN = 64, COPIED_A_TURN = 4 << 20, ANSWER_MS = 60 * 1000 };
/* What a letter takes besides its content, at the least: else a segment of small ones, all of which live, were
   copied every time. */
enum { ENVELOPE_LEAST = 512 };

struct compaction {
	struct house    *house;
	int64_t          least_age_ms;
	struct buffer    todo; /* of uint32_t: segments to look at     */
	size_t           at;
	uint32_t         segment;
	uint64_t         used;
	struct map      *living;   /* letter -> struct moved_letter        */
	struct buffer    moved;    /* of struct moved_letter, as copied    */
	uint32_t         waiting;  /* keepers that have not answered       */
	bool            *answered; /* of each keeper                       */
	uint32_t         keepers;
	bool             moving; /* MOVED was said, not REFERS           */
	struct timer    *silence;
	struct map_place place; /* while copying                        */
	struct timer    *turn;
	struct caller   *caller; /* a command that waits, or NULL        */
	uint32_t         removed, copied;
	uint64_t         freed;
};

static void segment_next(struct compaction *);

static void
living_clear(struct compaction *c)
{
	for (struct map_place p = { 0 }; map_next(c->living, &p);)
		memory_free(map_drop(c->living, p.key));
	buffer_reset(&c->moved);
}

static void
compaction_end(struct compaction *c, const char *why)
{
	struct queue_role *k = queue_of(c->house);

	if (c->removed > 0)
		note("letter log: %" PRIu32 " segments removed, %" PRIu32
		     " letters copied, %" PRIu64 " bytes won back",
		     c->removed, c->copied, c->freed);
	if (c->caller != NULL) {
		if (why != NULL)
			caller_complain(c->caller,
			                "mansio: compaction ended early: %s; try again\n", why);
		caller_say(c->caller,
		           "%" PRIu32 " segments removed, %" PRIu32 " letters copied, %" PRIu64
		           " bytes won back\n",
		           c->removed, c->copied, c->freed);
		caller_done(c->caller, why == NULL ? 0 : 1);
	}
	living_clear(c);
	map_close(&c->living);
	buffer_free(&c->todo);
	buffer_free(&c->moved);
	timer_close(&c->turn);
	timer_close(&c->silence);
	memory_free(c->answered);
	memory_free(c);
	k->compaction = NULL;
	if (k->rows.compaction_ms > 0)
		timer_set(k->compact, k->rows.compaction_ms);
}

static bool
keepers_all(struct house *h)
{
	uint32_t n = house_peers(h, KEEPER);

	for (uint32_t i = 0; i < n; i++)
		if (house_link(h, KEEPER, i) == NULL)
			return false;
	return n > 0;
}

static void
keepers_tell(struct compaction *c, enum word word, const struct word_moved *w)
{
	for (uint32_t i = 0; i < house_peers(c->house, KEEPER); i++) {
		struct link *l = house_link(c->house, KEEPER, i);
		word_pack_moved(link_begin(l, (uint16_t)word, c->segment), w);
		link_end(l);
	}
	c->waiting = c->keepers;
	c->moving = word == WORD_MOVED;
	memset(c->answered, 0, c->keepers * sizeof *c->answered);
	timer_set(c->silence, ANSWER_MS);
}

/* An answer that is waited for, the first of this keeper; what belongs to an attempt that ended is not. */
static bool
answer_wanted(struct compaction *c, uint32_t index, uint32_t segment, bool moving)
{
	if (c == NULL || c->segment != segment || c->waiting == 0 || c->moving != moving ||
	    index >= c->keepers || c->answered[index])
		return false;
	c->answered[index] = true;
	if (--c->waiting == 0)
		timer_clear(c->silence);
	return true;
}

static void
silent(void *ctx)
{
	compaction_end(ctx, "a keeper does not answer");
}

/* ---- the end of a segment ------------------------------------------------------------- */

static void
segment_remove(struct compaction *c)
{
	struct queue_role *k = queue_of(c->house);
	uint64_t           key = c->segment;
	int                why = spool_remove(k->spool, c->segment);

	if (why != 0) {
		warn_("segment %08" PRIx32 ": cannot be removed: %s", c->segment, strerror(why));
	} else {
		ledger_segment_gone(k->ledger, c->segment);
		letters_forget(spool_letters(k->spool), c->segment);
		(void)map_drop(k->sealed, map_number(&key));
		for (uint32_t i = 0; i < house_peers(c->house, KEEPER); i++) {
			struct link *l = house_link(c->house, KEEPER, i);
			if (l == NULL)
				continue;
			pack_u32(link_begin(l, WORD_SEGMENT_GONE, 0), c->segment);
			link_end(l);
		}
		c->removed++;
		c->freed += c->used;
	}
	segment_next(c);
}

/* ---- MOVING -------------------------------------------------------------------------------- */

/* Our own letters follow the copies, before any keeper hears of them: what is said to a keeper
   behind MOVED speaks of the copies.  The ledger makes it durable. */
static bool
queue_moved(struct compaction *c)
{
	struct queue_role *k = queue_of(c->house);

	for (size_t at = 0; at < c->moved.len; at += sizeof(struct moved_letter)) {
		struct moved_letter m;
		struct letter      *l;

		memcpy(&m, c->moved.at + at, sizeof m);
		l = queue_find(k->queue, m.letter);
		if (l == NULL)
			continue;
		l->envelope_segment = m.envelope_segment;
		l->envelope_at = m.envelope_at;
		l->content_segment = m.content_segment;
		l->content_at = m.content_at;
		queue_change(k->queue, l);
	}
	return ledger_checkpoint(k->ledger, k->queue, SIZE_MAX) == 0;
}

bool
hear_moved_done(struct house *h, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct compaction *c = queue_of(h)->compaction;
	struct unpack      u = unpack_of(body);
	uint32_t           why = unpack_u32(&u);

	if (!unpack_done(&u))
		return false;
	if (!answer_wanted(c, index, ticket, true))
		return true;
	if (why != 0)
		compaction_end(c, strerror((int)why));
	else if (c->waiting == 0)
		segment_remove(c);
	return true;
}

/* ---- COPYING --------------------------------------------------------------------------------- */

static bool
copy_one(struct compaction *c, const struct moved_letter *m)
{
	struct queue_role  *k = queue_of(c->house);
	struct letter_place from = { m->content_segment, m->content_at, m->content_len,
		                     m->envelope_segment, m->envelope_at },
			    to;
	struct moved_letter made;
	int                 why = spool_copy(k->spool, m->letter, &from, &to);
	char                id[24];

	if (why != 0) {
		letter_id_text(m->letter, id);
		fault("segment %08" PRIx32 ": letter %s cannot be copied: %s; the segment stays",
		      c->segment, id, strerror(why));
		return false;
	}
	made = (struct moved_letter){ m->letter,      to.content_segment,  to.content_at,
		                      to.content_len, to.envelope_segment, to.envelope_at };
	buffer_add(&c->moved, (struct bytes){ (const char *)&made, sizeof made });
	c->copied++;
	return true;
}

/* Every copy is made: they are made safe, and then pointed at. */
static void
copies_done(struct compaction *c)
{
	int why = spool_copy_end(queue_of(c->house)->spool);

	if (why != 0)
		compaction_end(c, strerror(why));
	else if (!keepers_all(c->house))
		compaction_end(c, "a keeper is not there");
	else if (!queue_moved(c))
		compaction_end(c, "the ledger cannot be written");
	else
		keepers_tell(c, WORD_MOVED,
		             &(struct word_moved){
				     c->segment, (const void *)c->moved.at,
				     (uint32_t)(c->moved.len / sizeof(struct moved_letter)) });
}

static void
copy_turn(void *ctx)
{
	struct compaction *c = ctx;
	uint64_t           copied = 0;

	for (int i = 0; i < COPIES_A_TURN && copied < COPIED_A_TURN; i++) {
		const struct moved_letter *m;

		if (!map_next(c->living, &c->place)) {
			copies_done(c);
			return;
		}
		m = c->place.value;
		if (!copy_one(c, m)) {
			(void)spool_copy_end(queue_of(c->house)->spool);
			segment_next(c);
			return;
		}
		copied += m->content_len;
	}
	timer_set(c->turn, 1);
}

/* ---- ASKING ------------------------------------------------------------------------------------ */

static void
living_add(struct compaction *c, const struct moved_letter *m)
{
	struct moved_letter *copy;

	if (map_get(c->living, map_number(&m->letter)) != NULL)
		return;
	copy = memory_take(sizeof *copy);
	*copy = *m;
	(void)map_put(c->living, map_number(&m->letter), copy);
}

/* Of our own: before the keepers are asked.  One that is delivered while they answer is in no answer, and in our hands no more. */
static void
living_ours(struct compaction *c)
{
	const struct queue_role *k = queue_of(c->house);

	for (struct letter *l = queue_oldest(k->queue); l != NULL; l = l->newer)
		if (l->content_segment == c->segment || l->envelope_segment == c->segment)
			living_add(c,
			           &(struct moved_letter){ l->id, l->content_segment, l->content_at,
			                                   l->content_len, l->envelope_segment,
			                                   l->envelope_at });
}

static void
living_known(struct compaction *c)
{
	uint64_t living = 0;

	for (struct map_place p = { 0 }; map_next(c->living, &p);)
		living += ((const struct moved_letter *)p.value)->content_len + ENVELOPE_LEAST;
	if (map_count(c->living) == 0)
		segment_remove(c);
	else if (living < c->used / 2) {
		c->place = (struct map_place){ 0 };
		timer_set(c->turn, 0);
	} else
		segment_next(c);
}

bool
hear_referred(struct house *h, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct queue_role *k = queue_of(h);
	struct compaction *c = k->compaction;
	struct word_moved  w;

	arena_clear(k->scratch);
	if (!word_unpack_moved(body, k->scratch, &w))
		return false;
	if (!answer_wanted(c, index, ticket, false))
		return true;
	for (uint32_t i = 0; i < w.letters; i++)
		living_add(c, &w.letter[i]);
	if (c->waiting == 0)
		living_known(c);
	return true;
}

/* A segment may be looked at when it is sealed and every word about it has been heard. */
static bool
segment_ready(struct compaction *c, uint32_t number)
{
	struct queue_role   *k = queue_of(c->house);
	struct spool_segment row;
	uint64_t             key = number;
	int64_t              when = (int64_t)(uintptr_t)map_get(k->sealed, map_number(&key));

	if (clock_patient_ms() - (when != 0 ? when : k->began_ms) < c->least_age_ms)
		return false;
	for (size_t i = 0; spool_segment_at(k->spool, i, &row); i++)
		if (row.number == number && row.state == SEGMENT_SEALED) {
			c->used = row.used;
			return true;
		}
	return false;
}

static void
segment_next(struct compaction *c)
{
	living_clear(c);
	while (c->at < c->todo.len / sizeof c->segment) {
		memcpy(&c->segment, c->todo.at + c->at++ * sizeof c->segment, sizeof c->segment);
		if (!segment_ready(c, c->segment))
			continue;
		if (!keepers_all(c->house)) {
			compaction_end(c, "a keeper is not there");
			return;
		}
		living_ours(c);
		keepers_tell(c, WORD_REFERS, &(struct word_moved){ .segment = c->segment });
		return;
	}
	compaction_end(c, NULL);
}

static struct compaction *
compaction_open(struct house *h, int64_t least_age_ms)
{
	struct queue_role   *k = queue_of(h);
	struct compaction   *c = memory_take(sizeof *c);
	struct spool_segment row;

	*c = (struct compaction){ .house = h,
		                  .least_age_ms = least_age_ms,
		                  .living = map_open(),
		                  .keepers = house_peers(h, KEEPER) };
	c->answered = memory_take((c->keepers + 1) * sizeof *c->answered);
	c->turn = timer_open(h->loop, copy_turn, c);
	c->silence = timer_open(h->loop, silent, c);
	for (size_t i = 0; spool_segment_at(k->spool, i, &row); i++)
		if (row.state == SEGMENT_SEALED)
			buffer_add(&c->todo,
			           (struct bytes){ (const char *)&row.number, sizeof row.number });
	k->compaction = c;
	return c;
}

void
queue_compact_start(struct house *h, int64_t least_age_ms)
{
	if (queue_of(h)->compaction == NULL && !h->leaving)
		segment_next(compaction_open(h, least_age_ms));
}

void
queue_compact_command(struct house *h, struct caller *caller)
{
	struct compaction *c;

	if (queue_of(h)->compaction != NULL || queue_of(h)->loading) {
		caller_complain(caller,
		                queue_of(h)->loading
		                        ? "mansio: the queue is being read; try again in a moment\n"
		                        : "mansio: a compaction is under way already\n");
		caller_done(caller, 1);
		return;
	}
	ledger_shrink(queue_of(h)->ledger);
	c = compaction_open(h, 2000);
	c->caller = caller;
	segment_next(c);
}

/* What that keeper was asked is not answered any more. */
void
queue_compact_lost(struct house *h)
{
	struct compaction *c = queue_of(h)->compaction;

	if (c != NULL && c->waiting > 0)
		compaction_end(c, "a keeper died");
}
