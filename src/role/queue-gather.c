/*
 * queue-gather -- when those are told who sent what did not arrive: of all recipients that end, or are put off, one after the other at once
 */
#include "base/clock.h"
#include "role/queue-notice.h"
#include <string.h>

enum { GATHER_MS = 100, GATHER_MOST_MS = 60000 };

void
notice_look_again(struct queue_role *k, struct letter *l)
{
	if (l->gathered)
		return;
	for (size_t i = 0; i < k->returnings; i++)
		if (k->returning[i] == l)
			return;
	if (k->returnings == k->returning_room) {
		k->returning_room = k->returning_room == 0 ? 16 : k->returning_room * 2;
		k->returning =
			memory_resize(k->returning, k->returning_room * sizeof *k->returning);
	}
	k->returning[k->returnings++] = l;
}

/* ---- warnings for those that are put off one after the other ------------------------------------ */

/* A letter whose sender is to be warned, when those of it that are in hand are not any more, or then. */
struct lingering {
	uint64_t id;
	int64_t  until_ms;
};

void
queue_put_off(struct house *h, struct recipient *r)
{
	struct queue_role *k = queue_of(h);
	int64_t            age_ms = queue_letter_age(k->queue, r->letter, queue_now_ms());

	if (queue_wants_report(r->letter) && !r->letter->reporting)
		notice_look_again(k, r->letter);
	if (!r->warned && k->rows.warning_ms > 0 && age_ms >= k->rows.warning_ms &&
	    !r->letter->delayed) {
		r->letter->delayed = true;
		buffer_add(&k->delayed,
		           (struct bytes){ (const char *)&r->letter->id, sizeof r->letter->id });
	}
}

static void
warn_letter(struct house *h, struct letter *l)
{
	bool more = true;

	l->delayed = false;
	for (size_t i = 0; more && i < l->recipients; i++) {
		more = false;
		notice_warn(h, l, notice_was_put_off, NULL);
		for (const struct recipient *r = l->first; r != NULL; r = r->next)
			more = more || (!r->warned && notice_was_put_off(r, NULL));
	}
}

static bool
has_some_in_hand(const struct letter *l)
{
	int64_t now_ms = queue_now_ms();

	for (const struct recipient *r = l->first; r != NULL; r = r->next)
		if (queue_in_hand(r, now_ms))
			return true;
	return false;
}

/* When the turn is over, so that those put off together are told of together; and others of the letter may be put off in a
   moment: as Postfix does, who sent it hears of all of them at once.  Whose letter has gone meanwhile need not be told. */
static void
warn_delayed(struct house *h)
{
	struct queue_role *k = queue_of(h);
	struct lingering   g = { .until_ms = clock_patient_ms() + GATHER_MOST_MS };

	for (size_t at = 0; at < k->delayed.len; at += sizeof g.id) {
		struct letter *l;

		memcpy(&g.id, k->delayed.at + at, sizeof g.id);
		if ((l = queue_find(k->queue, g.id)) == NULL)
			continue;
		if (has_some_in_hand(l))
			buffer_add(&k->lingering, (struct bytes){ (const char *)&g, sizeof g });
		else
			warn_letter(h, l);
	}
	if (k->delayed.len > 0 && k->lingering.len > 0)
		timer_set(k->linger, GATHER_MS);
	buffer_reset(&k->delayed);
}

static void
lingering_look(void *house)
{
	struct queue_role *k = queue_of(house);
	struct lingering   g;
	size_t             kept = 0;

	for (size_t at = 0; at < k->lingering.len; at += sizeof g) {
		struct letter *l;

		memcpy(&g, k->lingering.at + at, sizeof g);
		l = queue_find(k->queue, g.id);
		if (l != NULL && clock_patient_ms() < g.until_ms && has_some_in_hand(l)) {
			memcpy(k->lingering.at + kept, &g, sizeof g);
			kept += sizeof g;
		} else if (l != NULL) {
			warn_letter(house, l);
		}
	}
	k->lingering.len = kept;
	if (kept > 0)
		timer_set(k->linger, GATHER_MS);
}

/* ---- one notice for those that end one after the other -------------------------------- */

/* A letter some of whose recipients have ended, one that had not when it was looked at last, and when enough is waited. */
struct gathered {
	struct letter    *letter;
	struct recipient *at;
	int64_t           until_ms;
	uint32_t          trims; /* of the letter, when `at` was found */
};

/* Nobody is in hand any more.  Each is looked at once, and at the end all again, for an alias puts its targets in front. */
static bool
all_here(struct gathered *g)
{
	int64_t now_ms = queue_now_ms();

	if (g->trims != g->letter->trims)
		g->at = g->letter->first; /* it may have left memory */
	g->trims = g->letter->trims;
	for (int round = 0; round < 2; round++) {
		for (; g->at != NULL; g->at = g->at->next)
			if (queue_in_hand(g->at, now_ms))
				return false;
		g->at = g->letter->first;
	}
	return true;
}

static void
letter_tell(struct house *h, struct letter *l, bool all)
{
	if (all && queue_wants_report(l) && !l->reporting)
		notice_report(h, l);
	while (notice_return(h, l))
		continue;
}

static void
gathered_look(void *house)
{
	struct queue_role *k = queue_of(house);

	for (size_t i = 0; i < k->gathereds;) {
		struct gathered *g = &k->gathered[i];
		struct letter   *l = g->letter;
		bool             all = all_here(g);

		if (clock_patient_ms() < g->until_ms && !all) {
			i++;
			continue;
		}
		*g = k->gathered[--k->gathereds];
		l->gathered = false;
		letter_tell(house, l, all);
	}
	if (k->gathereds > 0)
		timer_set(k->gather, GATHER_MS);
}

/* Others may end in a moment: who sent it hears of all of them at once.  The letter stays, for some of it is not told. */
static void
letter_gather(struct house *h, struct letter *l)
{
	struct queue_role *k = queue_of(h);
	struct gathered    g = { l, l->first, clock_patient_ms() + GATHER_MOST_MS, l->trims };

	if (l->gathered)
		return;
	if (all_here(&g)) {
		letter_tell(h, l, true);
		return;
	}
	if (k->gathereds == k->gathered_room) {
		k->gathered_room = k->gathered_room == 0 ? 16 : k->gathered_room * 2;
		k->gathered = memory_resize(k->gathered, k->gathered_room * sizeof *k->gathered);
	}
	if (k->gathereds == 0)
		timer_set(k->gather, GATHER_MS);
	k->gathered[k->gathereds++] = g;
	l->gathered = true;
}

/* One that waits for its first tries alone may go while it waits: an administrator deletes it. */
void
queue_notice_letter_ends(struct queue_role *k, const struct letter *l)
{
	for (size_t i = 0; l->gathered && i < k->gathereds; i++)
		if (k->gathered[i].letter == l) {
			k->gathered[i] = k->gathered[--k->gathereds];
			break;
		}
	for (size_t i = 0; (l->flags & ENVELOPE_REPORT) != 0 && i < k->returnings; i++)
		if (k->returning[i] == l) {
			k->returning[i] = k->returning[--k->returnings];
			break;
		}
}

/* Some of its recipients have been taken out, and nobody is told of them: those that waited for a report with them may be all there are. */
void
queue_notice_fewer(struct queue_role *k, struct letter *l)
{
	bool waits = false;

	for (const struct recipient *r = l->first; r != NULL; r = r->next)
		waits = waits || notice_was_put_off(r, NULL) ||
		        (r->state == RECIPIENT_DONE && (r->refused || r->reported) && !r->told);
	if (waits && queue_wants_report(l) && !l->reporting)
		notice_look_again(k, l);
}

void
queue_notices(void *house)
{
	struct queue_role *k = queue_of(house);

	warn_delayed(house);
	while (k->returnings > 0)
		letter_gather(house, k->returning[--k->returnings]);
}

void
notice_gather_open(struct house *h)
{
	struct queue_role *k = queue_of(h);

	k->gather = timer_open(h->loop, gathered_look, h);
	k->linger = timer_open(h->loop, lingering_look, h);
	loop_at_rest(h->loop, queue_notices, h);
}
