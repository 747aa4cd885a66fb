/*
 * queue-walk -- a command goes through the letters, some in each turn, however many there are
 *
 * What it says leaves in pieces, no more than the asker hears; meanwhile letters come and go (queue_place_next()).
 */
#include "base/clock.h"
#include "message/envelope.h"
#include "role/queue.h"
#include <string.h>

enum {
	TURN_MS = 4,
	LOOK_AT_CLOCK = 32,
	PIECE = 64 << 10,
	UNHEARD_WAIT_MS = 5,
	LOAD_WAIT_MS = 5,
	LOOKED_AT_EACH = 500,
	DONE_TO_EACH = 5000
};

static void walk_turn(void *);

static void
say_all(struct queue_walk *w)
{
	if (w->said.len > 0)
		caller_say(w->caller, "%.*s", (int)w->said.len, w->said.at);
	buffer_reset(&w->said);
}

static void
walk_close(struct queue_walk *w)
{
	struct arena *life = w->life;

	if (w->end != NULL)
		w->end(w);
	say_all(w);
	queue_place_end(&w->place);
	errand_clear(&w->go);
	timer_close(&w->wait);
	caller_done(w->caller, w->status);
	buffer_free(&w->said);
	arena_close(&life);
}

/* ---- a letter and those of it that are not in memory ----------------------------------------- */

static void
letter_over(struct queue_walk *w)
{
	if (w->after != NULL)
		w->after(w);
	if (w->name != NULL && !w->meant && w->missed != NULL) {
		caller_complain(w->caller, "%s: %s\n", w->name, w->missed);
		w->status = 1;
	}
	w->letter = 0;
}

static void
letter_begin(struct queue_walk *w, struct letter *l, const char *name)
{
	w->letter = l->id;
	w->name = name;
	w->from = 0;
	w->until = NULL;
	w->count = 0;
	w->headed = false;
	w->meant = queue_choice_letter(&w->choice, l) && w->each(w, l);
	l = queue_find(queue_of(w->house)->queue, w->letter);
	if (l == NULL || crowd_count(l) == 0 || !queue_choice_letter(&w->choice, l))
		letter_over(w);
}

/* What acts has them in memory; for who only looks each is a letter for itself. */
static enum ledger_choice
absent_one(void *walk, const struct recipient *r)
{
	struct queue_walk *w = walk;
	struct letter      seen;
	struct recipient   one;

	if (w->acts && !w->choice.dry)
		return w->wants(w, r) ? LEDGER_TAKE : LEDGER_PASS;
	seen = *r->letter;
	one = *r;
	seen.first = &one;
	w->meant = w->each(w, &seen) || w->meant;
	return LEDGER_PASS;
}

static void
letter_more(struct queue_walk *w)
{
	struct queue_role *k = queue_of(w->house);
	struct letter     *l = queue_find(k->queue, w->letter);
	struct recipient  *before = l != NULL ? l->first : NULL;
	size_t             most = w->acts ? DONE_TO_EACH : LOOKED_AT_EACH;
	int                behind = 0;

	if (l != NULL)
		behind = ledger_absent(k->ledger, k->queue, l, &w->from, most, absent_one, w);
	if (behind < 0) {
		caller_complain(w->caller,
		                "queue.db cannot be read: not all recipients were seen\n");
		w->status = 1;
	}
	if (l != NULL && l->first != before) {
		w->until = before;
		w->meant = w->each(w, l) || w->meant;
		(void)queue_save(w->house);
	}
	if (behind > 0)
		return;
	l = queue_find(k->queue, w->letter);
	if (l != NULL && w->again && !w->choice.dry) {
		w->until = NULL;
		w->meant = w->each(w, l) || w->meant;
	}
	letter_over(w);
}

static void
one_named(struct queue_walk *w, const char *text)
{
	struct letter *l;
	uint64_t       id;

	l = letter_id_parse(bytes_of(text), &id) ? queue_find(queue_of(w->house)->queue, id) : NULL;
	if (l != NULL) {
		letter_begin(w, l, text);
		return;
	}
	caller_complain(w->caller, "%s: no letter in the queue has this id\n", text);
	w->status = w->missed != NULL ? 1 : w->status;
}

/* False: there is none left. */
static bool
one_more(struct queue_walk *w)
{
	struct letter *l;

	if (w->letter != 0) {
		letter_more(w);
		return true;
	}
	if (w->choice.ids > 0) {
		if (w->named >= w->choice.ids)
			return false;
		one_named(w, w->choice.id[w->named++]);
		return true;
	}
	l = queue_place_next(&w->place);
	if (l != NULL && queue_choice_letter(&w->choice, l))
		letter_begin(w, l, NULL);
	return l != NULL;
}

/* Who was told that a letter is held, or gone, finds it so after a crash.  True: not all of it is on the disk yet. */
static bool
is_unsaved(struct queue_walk *w)
{
	int more = queue_save(w->house);

	if (more < 0) {
		caller_complain(w->caller,
		                "the disk does not take it: a crash now would undo it\n");
		w->status = 1;
	}
	return more == 1;
}

static void
walk_turn(void *walk)
{
	struct queue_walk *w = walk;
	int64_t            end = clock_patient_ms() + TURN_MS;
	bool               more = !w->over;

	/* What a command means may be among those that are still to come from the ledger. */
	if (queue_of(w->house)->loading && !w->house->leaving &&
	    (w->acts || !caller_gone(w->caller))) {
		queue_of(w->house)->load_hurry = true;
		timer_set(w->wait, LOAD_WAIT_MS);
		return;
	}
	for (int n = 1; more; n++) {
		if ((n % LOOK_AT_CLOCK == 0 || w->letter != 0) && clock_patient_ms() >= end)
			break;
		if (w->said.len >= PIECE)
			break;
		more = one_more(w);
	}
	if (!more && w->acts && !w->house->leaving && (more = is_unsaved(w)))
		w->over = true;
	if (!more || w->house->leaving || (!w->acts && caller_gone(w->caller))) {
		walk_close(w);
		return;
	}
	say_all(w);
	if (w->acts || caller_hears(w->caller))
		timer_set(w->wait, 0);
	else
		timer_set(w->wait, UNHEARD_WAIT_MS);
}

void
queue_walk(struct house *h, struct caller *caller, const struct word_ask *ask,
           const struct queue_walk *how)
{
	struct arena      *life = arena_open(NULL);
	struct queue_walk *w = arena_take(life, sizeof *w);
	const char       **argv = arena_take_array(life, ask->argc + 1, sizeof *argv);
	struct word_ask    kept = { argv, ask->argc, { NULL, 0 } };

	for (uint32_t i = 0; i < ask->argc; i++)
		argv[i] = arena_copy(life, bytes_of(ask->argv[i]));
	*w = *how;
	w->house = h;
	w->caller = caller;
	w->life = life;
	w->go = (struct errand){ .go = walk_turn, .ctx = w };
	w->wait = timer_open(h->loop, walk_turn, w);
	queue_place_begin(queue_of(h)->queue, &w->place);
	w->status = queue_choice_read(caller, &kept, life, &w->choice) ? 0 : 2;
	if (w->status == 0 && w->begin != NULL)
		w->status = w->begin(w);
	if (w->choice.ids == 1 && w->acts && strcmp(w->choice.id[0], "ALL") == 0)
		w->choice.ids = 0;
	if (w->status != 0) {
		w->end = NULL;
		walk_close(w);
	} else {
		errand_set(h->loop, &w->go);
	}
}
