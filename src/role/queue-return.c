/*
 * queue-return -- a destination that was away answers again: what was put off because of it is due, and need not wait until
 * its own patience ends
 *
 * While it is away the letters are kept that wait for it, and the reasons they were put off with; when it is back, these letters
 * are looked through, some in each turn, for recipients with one of the reasons.  If they are more than IDS_MOST, all letters are
 * looked through instead: then there are not many others.  They go through the window as ever, so that a host which has just come
 * back is not run down.
 */
#include "queue/queue.h"
#include "role/queue.h"

#include <stdlib.h>
#include <string.h>

enum { REASONS_MOST = 8, EACH_TURN = 1000, IDS_MOST = 65536, IDS_FIRST = 64, PAGE_TAKES = 300 };

struct away {
	struct away   *next;
	char          *reason[REASONS_MOST];
	size_t         reasons, oldest;
	uint64_t      *id; /* of letters, some twice: they come again with each try */
	size_t         ids, room, looked;
	bool           many; /* they are not kept */
	struct letter *at;   /* the next to be looked at, of all */
	uint64_t letter; /* whose recipients that are not in memory are looked at; 0: nobody's */
	uint32_t from;   /* the number of the next */
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

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Each once, and only letters that are there: then there is room for as many again. */
static void
ids_sift(const struct queue *q, struct away *a)
{
	uint64_t *id;
	size_t    n = 0;

	if (a->ids > 1)
		qsort(a->id, a->ids, sizeof *a->id, by_number);
	for (size_t i = 0; i < a->ids; i++)
		if ((n == 0 || a->id[n - 1] != a->id[i]) && queue_find(q, a->id[i]) != NULL)
			a->id[n++] = a->id[i];
	a->ids = n;
	if (n > IDS_MOST) {
		a->many = true;
		n = a->ids = 0;
	}
	a->room = a->many ? 0 : 2 * n + IDS_FIRST;
	id = a->many ? NULL : memory_take(a->room * sizeof *id);
	if (n > 0)
		memcpy(id, a->id, n * sizeof *id);
	memory_free(a->id);
	a->id = id;
}

void
queue_away_waits(const struct queue *q, struct away **ap, uint64_t letter)
{
	struct away *a = *ap;

	if (a == NULL)
		a = *ap = memory_take(sizeof *a);
	if (a->many || (a->ids > 0 && a->id[a->ids - 1] == letter))
		return;
	if (a->ids == a->room)
		ids_sift(q, a);
	if (!a->many)
		a->id[a->ids++] = letter;
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
	memory_free(a->id);
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

/* The next letter that may wait for it; false: there is none left.  NULL: it is gone. */
static bool
away_next(const struct queue *q, struct away *a, struct letter **out)
{
	if (!a->many) {
		*out = a->looked < a->ids ? queue_find(q, a->id[a->looked]) : NULL;
		return a->looked++ < a->ids;
	}
	*out = a->at;
	if (a->at != NULL)
		a->at = a->at->newer;
	return *out != NULL;
}

struct looking {
	struct queue      *queue;
	const struct away *away;
};

static bool
waits(void *looking, const struct recipient *r)
{
	return waits_for(((const struct looking *)looking)->away, r);
}

static void
release(void *looking, struct recipient *r)
{
	struct queue *q = ((const struct looking *)looking)->queue;

	queue_event(q, r, EVENT_RELEASE, NULL, NULL, queue_now_ms());
}

/* The next letter: those of it that are in memory. */
static bool
returned_letter(struct queue_role *k, struct away *a)
{
	struct looking looking = { k->queue, a };
	struct letter *l;

	if (!away_next(k->queue, a, &l))
		return false;
	for (struct recipient *r = l != NULL ? l->first : NULL; r != NULL; r = r->next)
		if (waits_for(a, r))
			release(&looking, r);
	a->letter = l != NULL && crowd_count(l) > 0 ? l->id : 0;
	a->from = 0;
	return true;
}

/* And some of the others. */
static void
returned_absent(struct house *h, struct away *a)
{
	struct queue  *q = queue_of(h)->queue;
	struct letter *l = queue_find(q, a->letter);
	struct looking looking = { q, a };

	if (l == NULL || !queue_absent_each(h, l, &a->from, waits, release, &looking))
		a->letter = 0;
}

static void
returned_turn(void *house)
{
	struct house      *h = house;
	struct queue_role *k = queue_of(h);
	struct away       *a = k->returned;
	bool               more = a != NULL;

	for (int n = 0; more && n < EACH_TURN; n++) {
		if (a->letter == 0) {
			more = returned_letter(k, a);
			continue;
		}
		returned_absent(h, a);
		n += PAGE_TAKES;
	}
	if (a != NULL && !more) {
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
	if (a == NULL || a->reasons == 0) {
		queue_away_free(&a); /* it was not away for long enough */
		return;
	}
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
