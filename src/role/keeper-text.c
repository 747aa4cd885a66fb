/*
 * keeper-text -- text indexes are made in the background: letters that came go to a verifier,
 * some at a time, and what it reads in them goes to the index of their account
 */
#include "base/clock.h"
#include "role/keeper.h"
#include "store/digests.h"
#include "store/text.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* Between two questions others are served; while there is nothing to do, it is looked for so often. */
enum { NEXT_MS = 5, IDLE_MS = 500, AGAIN_MS = 5000 };
/* While letters are appended and commands answered, clients wait for processor and disk: these are theirs first, for so long. */
enum { CALM_MS = 100, PUT_OFF_MS = 3000 };

struct indexing {
	struct question   question; /* first                                 */
	struct house     *house;
	struct timer     *timer;
	struct arena     *arena;
	struct text_batch batch;
	int64_t           since; /* it was put off; 0: not    */
	bool              late;  /* no more, until there is nothing to do  */
	uint32_t          alone; /* so many letters are asked about one by one: one of them kills */
	int               fd;
};

static void
indexing_ask(struct question *q)
{
	struct indexing *x = (struct indexing *)q;
	struct link     *l = house_link(x->house, VERIFIER, q->verifier);
	uint32_t         n = x->batch.count;
	struct word_text w = { .letters = n };

	struct letter_extent *letter = arena_take_array(x->arena, n, sizeof *letter);
	for (uint32_t i = 0; i < n; i++)
		letter[i] = (struct letter_extent){ x->batch.letter[i].at, x->batch.letter[i].len };
	w.letter = letter;
	word_pack_text(link_begin(l, WORD_TEXT, q->ticket), &w);
	link_end_fd(l, x->fd);
}

/* False: some must be asked about again. */
static bool
add_all(struct indexing *x, const struct word_texted *w)
{
	struct text *t = text_of(x->batch.account);
	bool         all = true;

	for (uint32_t i = 0; t != NULL && i < x->batch.count; i++) {
		const struct text_letter *l = &x->batch.letter[i];
		const bool too_long = w == NULL || w->letter[i].state == TEXT_TOO_LONG_FOR_IT ||
		                      l->own.len > TEXT_MOST;

		if (w != NULL && w->letter[i].state == TEXT_LATER) {
			all = false;
			continue;
		}
		text_add(t, &(struct text_entry){
				    .message = l->message,
				    .too_long = too_long,
				    .own = l->own,
				    .header = w != NULL ? w->letter[i].header : (struct bytes){ 0 },
				    .body = w != NULL ? w->letter[i].body : (struct bytes){ 0 },
			    });
	}
	return all;
}

/* Without an answer, verifiers died over these letters: then one by one, and which it was is left alone. */
static void
indexing_answered(struct question *q, const struct bytes *body)
{
	struct indexing   *x = (struct indexing *)q;
	struct house      *h = x->house;
	struct word_texted w;
	bool               done = true;

	(void)close(x->fd);
	if (body == NULL && x->batch.count > 1) {
		x->alone = x->batch.count;
		done = false;
	} else if (body == NULL) {
		(void)add_all(x, NULL);
	} else if (word_unpack_texted(*body, x->arena, &w) && w.letters == x->batch.count) {
		done = add_all(x, &w);
	} else
		done = false;
	if (x->alone > 0 && done)
		x->alone--;
	text_done(keeper_of(h)->store, &x->batch, done);
	arena_clear(x->arena);
	timer_set(x->timer, NEXT_MS);
}

static bool
puts_off(struct indexing *x)
{
	struct keeper *k = keeper_of(x->house);
	int64_t        now = clock_patient_ms(), served = imap_service_served(k->imap);

	if (k->appended_ms > served)
		served = k->appended_ms;
	if (now - served >= CALM_MS)
		x->since = 0;
	else if (x->since == 0)
		x->since = now;
	if (x->since != 0 && now - x->since >= PUT_OFF_MS)
		x->late = true;
	return x->since != 0 && !x->late;
}

static void
indexing_due(void *ctx)
{
	struct house    *h = ctx;
	struct keeper   *k = keeper_of(h);
	struct indexing *x = k->indexing;
	bool             more;

	if (puts_off(x)) {
		timer_set(x->timer, CALM_MS);
		return;
	}
	x->batch.most = x->alone > 0 ? 1 : TEXT_LETTERS;
	more = digests_next(k->store, x->arena);
	arena_clear(x->arena);
	more |= text_next(k->store, x->arena, &x->batch);
	if (x->batch.count == 0) {
		arena_clear(x->arena);
		x->late &= more;
		timer_set(x->timer, more ? NEXT_MS : IDLE_MS);
		return;
	}
	x->fd = dup(x->batch.fd);
	if (x->fd < 0) {
		text_done(k->store, &x->batch, false);
		arena_clear(x->arena);
		timer_set(x->timer, AGAIN_MS);
		return;
	}
	x->question.again = false;
	x->question.weight = QUESTION_HEAVY;
	question_ask(&k->questions, &x->question);
}

void
keeper_text_start(struct house *h)
{
	struct indexing *x = memory_take(sizeof *x);

	keeper_of(h)->indexing = x;
	x->house = h;
	x->arena = arena_open(NULL);
	x->question.ask = indexing_ask;
	x->question.answered = indexing_answered;
	x->timer = timer_open(h->loop, indexing_due, h);
	timer_set(x->timer, IDLE_MS);
}

void
keeper_text_stop(struct house *h)
{
	struct indexing *x = keeper_of(h)->indexing;

	if (x == NULL)
		return;
	timer_clear(x->timer);
	if (x->batch.count > 0) {
		question_drop(&keeper_of(h)->questions, &x->question);
		(void)close(x->fd);
		text_done(keeper_of(h)->store, &x->batch, false);
	}
	text_rest(keeper_of(h)->store);
}

/* ---- `mansio mailbox index` ---- */

/* The directory of an index is read in turns before anything is known of it. */
struct leafing {
	struct house   *house;
	struct caller  *caller;
	struct account *account;
	struct timer   *turn;
	bool            drop;
	struct leafing *next;
};

enum { BLOCKS_AT_ONCE = 64 };

static void
leafing_end(struct leafing *l, int status)
{
	struct leafing **at = &keeper_of(l->house)->leafings;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	caller_done(l->caller, status);
	timer_close(&l->turn);
	account_drop(&l->account);
	memory_free(l);
}

static void
leafing_turn(void *ctx)
{
	struct leafing *l = ctx;
	struct text    *t = text_of(l->account);

	if (t == NULL) {
		caller_complain(l->caller,
		                "mansio: search_index is no: there are no text indexes\n");
		leafing_end(l, 1);
		return;
	}
	if (l->drop)
		text_drop(t);
	else if (!text_load(t, BLOCKS_AT_ONCE)) {
		timer_set(l->turn, 1);
		return;
	}
	caller_say(l->caller, "%" PRIu32 " %" PRIu64 "\n", l->drop ? 0 : text_count(t),
	           l->drop ? 0 : text_size(t));
	leafing_end(l, 0);
}

void
keeper_index(struct house *h, struct caller *caller, const struct word_ask *w)
{
	struct keeper  *k = keeper_of(h);
	struct account *a = NULL;
	struct leafing *l;
	uint64_t        id;
	int             why = ENOENT;

	if (bytes_number(bytes_of(w->argv[1]), &id) && house_keeper_of(h, id) == h->index &&
	    (why = keeper_locate(k, id, bytes_of(w->argv[2]))) == 0)
		a = account_take(k->store, id, &why);
	if (a == NULL) {
		caller_complain(caller, "mansio: account %s: %s\n", w->argv[1], strerror(why));
		caller_done(caller, 1);
		return;
	}
	l = memory_take(sizeof *l);
	*l = (struct leafing){ .house = h,
		               .caller = caller,
		               .account = a,
		               .drop = w->argc > 3 && strcmp(w->argv[3], "drop") == 0,
		               .next = k->leafings };
	k->leafings = l;
	l->turn = timer_open(h->loop, leafing_turn, l);
	timer_set(l->turn, 0);
}

void
keeper_indexes_end(struct house *h)
{
	struct keeper *k = keeper_of(h);

	while (k->leafings != NULL) {
		caller_complain(k->leafings->caller, "mansio: the server stops\n");
		leafing_end(k->leafings, 1);
	}
}
