/*
 * queue-return -- a destination that was away answers again: what was put off because of it is due, and need not wait until
 * its own patience ends
 *
 * While it is away the reasons are kept that recipients are put off with; when it is back, all letters are looked
 * through, some in each turn, for recipients with one of these.  They go through the window as ever, so that
 * a host which has just come back is not run down.
 */
#include "queue/queue.h"
#include "role/queue.h"

#include <string.h>

enum { REASONS_MOST = 8, EACH_TURN = 1000 };

struct away {
	struct away   *next;
	char          *reason[REASONS_MOST];
	size_t         reasons, oldest;
	struct letter *at; /* the next to be looked at */
};

static const char before[] = "delivery temporarily suspended: ";

void
queue_away(struct away **ap, const char *why)
{
	struct away *a = *ap;
	size_t       n = strlen(why) + 1;

	if (a == NULL)
		a = *ap = memory_take(sizeof *a);
	for (size_t i = 0; i < a->reasons; i++)
		if (strcmp(a->reason[i], why) == 0)
			return;
	if (a->reasons < REASONS_MOST) {
		a->oldest = a->reasons++;
	} else {
		a->oldest = (a->oldest + 1) % REASONS_MOST;
		memory_free(a->reason[a->oldest]);
	}
	a->reason[a->oldest] = memcpy(memory_take(n), why, n);
}

void
queue_away_free(struct away **ap)
{
	struct away *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->reasons; i++)
		memory_free(a->reason[i]);
	memory_free(a);
}

static bool
waits_for(const struct away *a, const struct recipient *r)
{
	const char *text = r->text;

	if (r->state != RECIPIENT_WAITING || r->line != NULL || text == NULL)
		return false;
	if (strncmp(text, before, sizeof before - 1) == 0)
		text += sizeof before - 1;
	for (size_t i = 0; i < a->reasons; i++)
		if (strcmp(text, a->reason[i]) == 0)
			return true;
	return false;
}

static void
returned_turn(void *house)
{
	struct house      *h = house;
	struct queue_role *k = queue_of(h);
	struct away       *a = k->returned;

	for (int n = 0; a != NULL && a->at != NULL && n < EACH_TURN; n++) {
		struct letter *l = a->at;

		a->at = l->newer;
		for (struct recipient *r = l->first; r != NULL; r = r->next)
			if (waits_for(a, r))
				queue_event(k->queue, r, EVENT_RELEASE, NULL, NULL, queue_now_ms());
	}
	if (a != NULL && a->at == NULL) {
		k->returned = a->next;
		queue_away_free(&a);
	}
	queue_pump(h);
	if (k->returned != NULL)
		errand_set(h->loop, &k->look);
}

void
queue_returned(struct house *h, struct away **ap)
{
	struct queue_role *k = queue_of(h);
	struct away       *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	a->at = queue_oldest(k->queue);
	a->next = k->returned;
	k->returned = a;
	k->look.go = returned_turn;
	k->look.ctx = h;
	errand_set(h->loop, &k->look);
}

void
queue_returned_letter_ends(struct queue_role *k, const struct letter *l)
{
	for (struct away *a = k->returned; a != NULL; a = a->next)
		if (a->at == l)
			a->at = l->newer;
}
