/*
 * queue-turn -- which destination sends now
 *
 * Destinations that have room and somebody waiting take turns: one transaction each, with all recipients of one letter that wait there,
 * to a sender that has room (queue-send.c).
 *
 * Slots of senders are shared so that no destination, and not all that are slow or silent together, have the last of them: one that
 * answers may have as many as four times those that are free, one of which nothing is known a fourth of them, and one that was silent
 * is tried by one; of all slots seven tenths are for those of which nothing is known, and three twentieths for the silent.  Who
 * waits for one stands in a rota (queue/rota.h): whose letters had least goes first.  Where one waits that has no slot at all, because hosts
 * that have not yet said a word have them, or have said who they are and then nothing for half a minute, the one of these that has waited
 * longest is given up (HURRY), as if its time were over.  The sender knows which of both a host has done.
 */
#include "base/clock.h"
#include "role/queue-send.h"
#include <stddef.h>

enum { SHARE = 4, WAKE_EACH = 8, LOOK_PAST = 64 };
/* Who is short is looked for so often. */
enum { HURRY_LOOK_MS = 1000 };

/* ---- turns ----------------------------------------------------------------------------------------------- */

void
turn_take(struct house *h, struct destination *d)
{
	struct queue_role *k = queue_of(h);

	if (!d->in_turn) {
		d->in_turn = true;
		d->next = NULL;
		*k->turn_last = d;
		k->turn_last = &d->next;
	}
	errand_set(h->loop, &k->send);
}

static void
turn_over(struct queue_role *k, struct destination *d)
{
	k->turn = d->next;
	if (k->turn == NULL)
		k->turn_last = &k->turn;
	d->in_turn = false;
}

/* ---- not too quickly (rate delays) ----------------------------------------------------------------------- */

static void
delay_over(void *house)
{
	struct queue_role *k = queue_of(house);
	int64_t            now = clock_patient_ms(), next = INT64_MAX, at_ms;

	k->put_by_last = &k->put_by;
	for (struct destination *d; (d = *k->put_by_last) != NULL;) {
		if ((at_ms = destination_next_ms(k, d)) > now) {
			next = at_ms < next ? at_ms : next;
			k->put_by_last = &d->next;
			continue;
		}
		*k->put_by_last = d->next;
		d->in_turn = false;
		turn_take(house, d);
	}
	if (next != INT64_MAX)
		timer_set(k->delays, next - now);
}

/* Behind those that wait already: of a transport's destinations each has its turn. */
static void
wait_for_time(struct house *h, struct destination *d)
{
	struct queue_role *k = queue_of(h);

	d->in_turn = true;
	d->next = NULL;
	*k->put_by_last = d;
	k->put_by_last = &d->next;
	timer_set(k->delays, 1);
}

/* ---- places at senders ----------------------------------------------------------------------------------- */

/* Of all places at senders, those in use; false: there is no sender. */
static bool
slots_count(struct house *h, uint32_t *all, uint32_t *used)
{
	struct queue_role *k = queue_of(h);
	uint32_t           n = house_peers(h, SENDER);

	*all = *used = 0;
	for (uint32_t i = 0; i < n && i < SENDERS_MOST; i++)
		if (house_link(h, SENDER, i) != NULL) {
			*all += (uint32_t)k->rows.processes;
			*used += k->at_sender[i];
		}
	return *all > 0;
}

/* Whether destinations of which this is known may have a slot more. */
static bool
trust_has_slot(const struct queue_role *k, enum trust t, uint32_t all, uint32_t used)
{
	switch (t) {
	case UNKNOWN: return k->slots[UNKNOWN] * 10 < all * 7;
	case SILENT: return k->slots[SILENT] == 0 || k->slots[SILENT] * 20 < all * 3;
	default: return used < all;
	}
}

/* Somebody waits for a slot and could have one.  Who waits until others of its kind are done, as where the silent have all that is theirs,
   is in nobody's way, and nobody else loses anything by it. */
bool
turn_is_short(struct house *h)
{
	struct queue_role *k = queue_of(h);
	uint32_t           all, used;

	if (slots_count(h, &all, &used) && used == all)
		used--; /* the next that is free */
	for (int t = UNKNOWN; t <= SILENT; t++)
		if (rota_first(&k->short_of[t]) != NULL &&
		    trust_has_slot(k, (enum trust)t, all, used))
			return true;
	return false;
}

/* Whether it may have a slot more: one that is full, or has not answered, leaves some for others. */
bool
turn_may_have_slot(struct house *h, const struct destination *d)
{
	uint32_t all, used;

	if (d->transport.kind == BY_PIPE || !slots_count(h, &all, &used))
		return true; /* when a sender comes it goes on */
	if (used >= all || !trust_has_slot(queue_of(h), d->trust, all, used))
		return false;
	return d->busy == 0 || d->trust == SILENT ||
	       (d->trust == UNKNOWN ? d->busy * SHARE < all - used
	                            : d->busy < SHARE * (all - used));
}

static struct destination *
destination_at(struct rota_member *m)
{
	return m != NULL ? (struct destination *)((char *)m - offsetof(struct destination, place))
	                 : NULL;
}

/* ---- the silent have places that others want ------------------------------------------------------------------------- */

/* How many destinations wait that have not even one, and whether all places are in use or those for the unknown. */
static uint32_t
short_of_all(struct house *h, bool *all_taken)
{
	struct queue_role *k = queue_of(h);
	uint32_t           all, used, n = 0;

	if (!slots_count(h, &all, &used))
		return 0;
	*all_taken = used >= all;
	for (int t = UNKNOWN; t <= ANSWERS; t++)
		for (size_t i = 1; i <= rota_count(&k->short_of[t]) && i <= LOOK_PAST; i++)
			n += destination_at(rota_some(&k->short_of[t], i))->busy == 0 &&
			     (*all_taken || !trust_has_slot(k, (enum trust)t, all, used));
	return n < WAKE_EACH ? n : WAKE_EACH;
}

static void
hurry_look(void *house)
{
	struct queue_role *k = queue_of(house);
	bool               all_taken = false;

	for (uint32_t n = short_of_all(house, &all_taken); n > 0; n--)
		if (!sending_hurry(house, all_taken))
			break;
	k->hurrying = rota_count(&k->short_of[UNKNOWN]) + rota_count(&k->short_of[ANSWERS]) > 0;
	if (k->hurrying)
		timer_set(k->hurry, HURRY_LOOK_MS);
}

/* It comes when a slot is free: whose letter goes first is whose turn it is, wherever it goes. */
static void
wait_for_slot(struct queue_role *k, struct destination *d)
{
	const struct recipient *r = line_first(&d->line);

	d->in_turn = true;
	d->short_in = &k->short_of[d->trust];
	rota_join(d->short_in, &d->place, r->letter->handling.priority, r->turn);
	if (!k->hurrying)
		timer_set(k->hurry, HURRY_LOOK_MS);
	k->hurrying = true;
}

/* The first of those that wait and may have a slot; those of one kind that have enough already are looked past.  False: there is none. */
static bool
slot_give(struct house *h, enum trust t)
{
	struct queue_role  *k = queue_of(h);
	struct rota        *of = &k->short_of[t];
	struct destination *past[LOOK_PAST], *d;
	int                 n = 0;
	bool                given = false;

	while (!given && n < LOOK_PAST && (d = destination_at(rota_first(of))) != NULL) {
		rota_leave(of, &d->place);
		given = d->line.waiting == 0 || turn_may_have_slot(h, d);
		if (!given)
			past[n++] = d;
	}
	if (given) {
		d->in_turn = false;
		d->given = true;
		turn_take(h, d);
	}
	while (n-- > 0)
		wait_for_slot(k, past[n]);
	return given;
}

/* What is known of it may have changed. */
void
turn_again(struct house *h, struct destination *d)
{
	if (rota_waits(&d->place)) {
		rota_leave(d->short_in, &d->place);
		d->in_turn = false;
	}
	turn_take(h, d);
}

/* The kind of destinations whose first has the earliest turn, of those that may have a slot and were not asked in vain. */
static int
trust_first(const struct queue_role *k, unsigned asked, uint32_t all, uint32_t used)
{
	const struct rota_member *best = NULL, *m;
	int                       first = -1;

	for (int t = UNKNOWN; t <= SILENT; t++) {
		m = rota_first(&k->short_of[t]);
		if (m == NULL || (asked & 1U << t) != 0 ||
		    !trust_has_slot(k, (enum trust)t, all, used))
			continue;
		if (best == NULL || m->priority > best->priority ||
		    (m->priority == best->priority && m->turn < best->turn)) {
			best = m;
			first = t;
		}
	}
	return first;
}

/* Slots may be free: some that wait for one are in turn again. */
void
turn_slots_free(struct house *h)
{
	struct queue_role *k = queue_of(h);
	uint32_t           all, used;
	unsigned           asked = 0;
	int                t;

	(void)slots_count(h, &all, &used);
	for (uint32_t n = 0; n < WAKE_EACH && used + n < all; n++) {
		if ((t = trust_first(k, asked, all, used)) < 0)
			return;
		if (!slot_give(h, (enum trust)t))
			asked |= 1U << t;
	}
}

/* ---- the next -------------------------------------------------------------------------------------------- */

/* Who waited has the slot that was found for it; who has just come stands behind those that wait. */
static bool
is_to_wait(struct house *h, struct destination *d)
{
	bool behind = !d->given && d->transport.kind != BY_PIPE && turn_is_short(h);

	d->given = false;
	return behind || !turn_may_have_slot(h, d);
}

/* One transaction of each destination that has room, and again from the beginning. */
static void
send_turn(void *house)
{
	struct house       *h = house;
	struct queue_role  *k = queue_of(h);
	struct destination *d;
	int64_t             now = queue_now_ms(), patient = clock_patient_ms();
	int                 off = 0;

	while (!h->leaving && off < 4 && (d = k->turn) != NULL) {
		bool away = d->away_until_ms > now;
		bool room = !away && d->busy < d->pace.window && d->line.waiting > 0;

		if (room && destination_next_ms(k, d) > patient) {
			turn_over(k, d);
			wait_for_time(h, d);
			continue;
		}
		if (room && is_to_wait(h, d)) {
			turn_over(k, d);
			wait_for_slot(k, d);
			continue;
		}
		if (room && !sending_begin(h, d, 0, patient))
			return; /* no sender has room: when one has, it goes on */
		turn_over(k, d);
		d->given = false;
		if (away && destination_put_off(h, d)) {
			off++;
			turn_take(h, d);
		}
		if (room && d->line.waiting > 0 && d->busy < d->pace.window)
			turn_take(h, d);
	}
	if (k->turn == NULL && !h->leaving)
		turn_slots_free(h);
	if (off > 0)
		loop_again(h->loop);
}

void
turn_open(struct house *h)
{
	struct queue_role *k = queue_of(h);

	k->turn_last = &k->turn;
	k->put_by_last = &k->put_by;
	k->delays = timer_open(h->loop, delay_over, h);
	k->hurry = timer_open(h->loop, hurry_look, h);
	k->send = (struct errand){ .go = send_turn, .ctx = h };
}
