/* Letters to many: some of their recipients are in memory, the others in the ledger alone; each has its turn once, and keeps what
   is known of it. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kit.h"
#include "queue/ledger.h"

enum { MOST = 3000 };

static char home[64], path[128];
static int  had[2 * MOST]; /* how often each recipient was delivered */

static void
ledger_begin(struct kit *k)
{
	struct buffer errors = { 0 };

	k->ledger = ledger_open(path, &errors);
	HOLDS("it opens", k->ledger != NULL);
}

static void
fresh(struct kit *k, size_t recipients, uint32_t minimum)
{
	(void)snprintf(home, sizeof home, "/tmp/unit-crowd-XXXXXX");
	HOLDS("a directory of our own", mkdtemp(home) != NULL);
	(void)snprintf(path, sizeof path, "%s/queue.db", home);
	kit_open(k);
	queue_limits(k->queue, &(struct queue_limits){ recipients, minimum });
	ledger_begin(k);
}

static void
cleared(struct kit *k)
{
	static const char *const names[] = { "", "-wal", "-shm", "-journal" };
	char                     name[160];

	queue_close(&k->queue);
	ledger_close(&k->ledger);
	for (size_t i = 0; i < COUNT(names); i++) {
		(void)snprintf(name, sizeof name, "%s%s", path, names[i]);
		(void)unlink(name);
	}
	(void)rmdir(home);
}

/* As after a crash: what the ledger knows. */
static void
again(struct kit *k, size_t recipients, uint32_t minimum)
{
	int finished = k->finished;

	queue_close(&k->queue);
	ledger_close(&k->ledger);
	kit_open(k);
	k->finished = finished;
	queue_limits(k->queue, &(struct queue_limits){ recipients, minimum });
	ledger_begin(k);
	HOLDS("read", ledger_load(k->ledger, k->queue, 100) >= 0);
}

static struct letter *
to_many(struct kit *k, uint64_t id, uint32_t from, uint32_t count)
{
	struct letter *l = queue_add(k->queue, id);
	char           text[40];

	l->arrived_us = (int64_t)NOW * 1000000;
	l->sender = "news@example.com";
	for (uint32_t i = from; i < from + count; i++) {
		(void)snprintf(text, sizeof text, "%u@example.com", i);
		(void)letter_recipient(k->queue, l, bytes_of(text));
	}
	queue_enter(k->queue, l);
	return l;
}

static void
written(struct kit *k)
{
	HOLDS("written", ledger_checkpoint(k->ledger, k->queue, SIZE_MAX) == 0);
}

/* What is due, but for what somebody is at; NULL: nothing is. */
static struct recipient *
next(struct kit *k, int64_t now_ms)
{
	struct recipient *r;
	int64_t           wait = 0;

	clock_pretend(now_ms / 1000);
	for (int n = 0; wait == 0 && n < 100; n++) {
		while ((r = queue_next(k->queue, now_ms, &wait)) != NULL &&
		       r->state == RECIPIENT_NEW)
			queue_event(k->queue, r, EVENT_RESOLVED, NULL, NULL, now_ms);
		if (r != NULL)
			return r;
	}
	return NULL;
}

static size_t
in_memory(const struct kit *k)
{
	size_t n = 0;

	for (const struct letter *l = queue_oldest(k->queue); l != NULL; l = l->newer)
		n += l->alone;
	return n;
}

/* ---- each once ---- */

/* clang-format off */
static const struct {
	const char *name;
	uint32_t    first, second;     /* recipients of two letters                         */
	size_t      most;
	uint32_t    minimum, batch;    /* so many are tried between two checkpoints         */
	uint32_t    restart, defer;    /* after each so many checkpoints; each so manieth is put off the first time */
} rows[] = {
	{ "few, and all are in memory",                              3,    2,    1, 10,   5, 0, 0 },
	{ "as many as the minimum",                                 10,   10,    1, 10,  20, 1, 3 },
	{ "one more than the minimum, and room for one",            11,    1,    1, 10,   3, 0, 0 },
	{ "many, and room for one",                                100,    1,    1,  1,   1, 0, 0 },
	{ "many, and room for some",                               500,  300,   40,  5,  40, 0, 7 },
	{ "the ledger is read again after every checkpoint",       200,  150,   30,  5,  25, 1, 4 },
	{ "the same with nothing but the minimum",                 120,  100,    1,  4,   9, 1, 2 },
	{ "all are put off first",                                 300,    5,   20,  2,  30, 3, 1 },
	{ "more than are looked at, or come, at a time",          3000, 2500, 1200, 10, 900, 4, 5 },
};
/* clang-format on */

static void
each_once(size_t row)
{
	struct kit        k;
	struct recipient *r;
	uint32_t          all = rows[row].first + rows[row].second;
	int64_t           now_ms = NOW_MS;
	int               checkpoints = 0, idle = 0;

	memset(had, 0, sizeof had);
	fresh(&k, rows[row].most, rows[row].minimum);
	(void)to_many(&k, 1, 0, rows[row].first);
	(void)to_many(&k, 2, rows[row].first, rows[row].second);
	while (queue_count(k.queue) > 0 && idle < 50) {
		uint32_t done = 0;

		written(&k);
		if (in_memory(&k) > rows[row].most + 2 * (size_t)rows[row].minimum)
			fail_msg("%s: %zu in memory", rows[row].name, in_memory(&k));
		if (rows[row].restart != 0 && ++checkpoints % (int)rows[row].restart == 0)
			again(&k, rows[row].most, rows[row].minimum);
		while (done < rows[row].batch && (r = next(&k, now_ms)) != NULL) {
			uint32_t number = (uint32_t)atoi(r->original);

			done++;
			if (rows[row].defer != 0 && number % rows[row].defer == 0 &&
			    r->tries == 1) {
				queue_event(k.queue, r, EVENT_LATER, "4.0.0", "later", now_ms);
				continue;
			}
			had[number]++;
			queue_event(k.queue, r, EVENT_DELIVERED, "2.0.0", "ok", now_ms);
		}
		idle = done > 0 ? 0 : idle + 1;
		now_ms += done > 0 ? 0 : 600 * 1000;
	}
	for (uint32_t i = 0; i < all; i++)
		if (had[i] != 1)
			fail_msg("%s: recipient %u had it %d times", rows[row].name, i, had[i]);
	HOLDS("both letters are over", k.finished == 2 && queue_count(k.queue) == 0);
	HOLDS("and could be read", k.unread == 0);
	cleared(&k);
}

static void
test_each_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		each_once(i);
}

/* ---- what is known of them ---- */

static enum ledger_choice
count_held(void *ctx, const struct recipient *r)
{
	*(uint32_t *)ctx += r->state == RECIPIENT_HELD && r->known && strcmp(r->text, "wait") == 0;
	return LEDGER_PASS;
}

static enum ledger_choice
take_even(void *ctx, const struct recipient *r)
{
	(void)ctx;
	return r->number % 2 == 0 ? LEDGER_TAKE : LEDGER_PASS;
}

/* Those that are held do not come by themselves, are seen, and come when they are called, after a restart, too. */
static void
test_held(void **state)
{
	struct kit        k;
	struct recipient *r;
	struct letter    *l;
	uint32_t          from = 0, held = 0, came = 0;
	int64_t           wait;
	(void)state;

	fresh(&k, 1000, 4);
	l = to_many(&k, 1, 0, 44);
	while ((r = next(&k, NOW_MS)) != NULL) {
		queue_event(k.queue, r, EVENT_LOST, "4.7.0", "wait", NOW_MS);
		queue_event(k.queue, r, EVENT_HOLD, NULL, NULL, NOW_MS);
	}
	written(&k);
	for (int round = 0; round < 2; round++) {
		l = queue_oldest(k.queue);
		HOLDS("all but the few have left", l->alone == 0 && crowd_count(l) == 40);
		HOLDS("and are counted", l->recipients == 44 && l->open == 44);
		HOLDS("none is due",
		      queue_next(k.queue, NOW_MS + 86400000, &wait) == NULL && wait == -1);
		from = held = 0;
		HOLDS("seen",
		      ledger_absent(k.ledger, k.queue, l, &from, SIZE_MAX, count_held, &held) == 0);
		HOLDS("as they are", held == 40);
		again(&k, 1000, 4);
	}
	l = queue_oldest(k.queue);
	from = 0;
	HOLDS("called", ledger_absent(k.ledger, k.queue, l, &from, SIZE_MAX, take_even, NULL) == 0);
	HOLDS("half of them", crowd_count(l) == 20 && l->alone == 20);
	for (r = l->first; r != NULL; r = r->next)
		if (r->alone) {
			queue_event(k.queue, r, EVENT_RELEASE, NULL, NULL, NOW_MS);
			came++;
		}
	while ((r = next(&k, NOW_MS)) != NULL) {
		queue_event(k.queue, r, EVENT_DELIVERED, NULL, NULL, NOW_MS);
		came--;
	}
	HOLDS("they were tried", came == 0 && l->open == 24);
	cleared(&k);
}

static enum ledger_choice
is_whole(void *ctx, const struct recipient *r)
{
	*(bool *)ctx = r->account == 77 && strcmp(r->original, "3@example.com") == 0 &&
	               strcmp(r->address, "else@example.org") == 0 && strcmp(r->detail, "d") == 0 &&
	               strcmp(r->orcpt, "rfc822;x") == 0 && strcmp(r->sender, "owner@x") == 0 &&
	               r->notify == 4 && r->tries == 1 && r->known && r->warned && r->asked_for &&
	               r->kept_by == KEPT_NO_MORE &&
	               strcmp(r->status, "4.2.2") == 0 && strcmp(r->text, "full") == 0 &&
	               r->state == RECIPIENT_WAITING && r->due_ms > NOW_MS;
	return LEDGER_PASS;
}

static void
test_everything_is_kept(void **state)
{
	struct kit        k;
	struct recipient *r;
	struct letter    *l;
	bool              whole = false;
	uint32_t          from = 3;
	(void)state;

	fresh(&k, 1000, 3);
	l = to_many(&k, 1, 0, 4);
	while ((r = next(&k, NOW_MS)) != NULL) {
		if (r->number == 3) {
			r->account = 77;
			r->address = "else@example.org";
			r->detail = "d";
			r->orcpt = "rfc822;x";
			r->sender = "owner@x";
			r->notify = 4;
			r->warned = r->asked_for = true;
			r->kept_by = KEPT_NO_MORE;
		}
		queue_event(k.queue, r, EVENT_LATER, "4.2.2", "full", NOW_MS);
	}
	written(&k);
	HOLDS("it has left", crowd_count(l) == 1 && crowd_has(l, 3) && !crowd_has(l, 2));
	HOLDS("seen", ledger_absent(k.ledger, k.queue, l, &from, 1, is_whole, &whole) >= 0);
	HOLDS("as it was", whole);
	cleared(&k);
}

/* Who somebody is at, or asks about, or whose sender is to be told, does not leave. */
static void
test_who_stays(void **state)
{
	struct kit        k;
	struct recipient *r, *trying, *refused, *asked;
	struct letter    *l;
	int64_t           wait;
	(void)state;

	fresh(&k, 100, 1);
	l = to_many(&k, 1, 0, 4);
	HOLDS("the first is always there", (r = l->first->next->next->next) != NULL && !r->alone);
	queue_event(k.queue, r, EVENT_HOLD, NULL, NULL, NOW_MS);
	asked = queue_next(k.queue, NOW_MS, &wait);
	asked->ticket = 7;
	trying = queue_next(k.queue, NOW_MS, &wait);
	queue_event(k.queue, trying, EVENT_RESOLVED, NULL, NULL, NOW_MS);
	refused = queue_next(k.queue, NOW_MS, &wait);
	queue_event(k.queue, refused, EVENT_RESOLVED, NULL, NULL, NOW_MS);
	trying = queue_next(k.queue, NOW_MS, &wait);
	refused = queue_next(k.queue, NOW_MS, &wait);
	queue_event(k.queue, refused, EVENT_REFUSED, "5.1.1", "no", NOW_MS);
	written(&k);
	HOLDS("all are there", l->alone == 3 && crowd_count(l) == 0);
	queue_told(k.queue, refused);
	queue_event(k.queue, trying, EVENT_LATER, "4.0.0", "later", NOW_MS);
	asked->ticket = 0;
	queue_event(k.queue, asked, EVENT_HOLD, NULL, NULL, NOW_MS);
	written(&k);
	HOLDS("now one is over, and two have left",
	      l->alone == 0 && crowd_count(l) == 2 && l->open == 3);
	cleared(&k);
}

/* The clock is set by a day: nobody is due at once, nobody a day later. */
static void
test_leap(void **state)
{
	static const int64_t leaps[] = { INT64_C(86400000), -INT64_C(86400000) };
	(void)state;

	for (size_t i = 0; i < COUNT(leaps); i++) {
		struct kit        k;
		struct recipient *r;
		struct letter    *l;
		int               late = 0;

		fresh(&k, 1000, 2);
		l = to_many(&k, 1, 0, 22);
		while ((r = next(&k, NOW_MS)) != NULL)
			queue_event(k.queue, r, EVENT_LATER, "4.0.0", "later", NOW_MS);
		written(&k);
		HOLDS("they have left", crowd_count(l) == 20);
		clock_pretend((NOW_MS + leaps[i]) / 1000);
		queue_leap(k.queue, leaps[i]);
		HOLDS("in the ledger, too", ledger_leap(k.ledger, k.queue, leaps[i]) == 0);
		HOLDS("nothing is due", next(&k, NOW_MS + leaps[i] + 200 * 1000) == NULL);
		while ((r = next(&k, NOW_MS + leaps[i] + 400 * 1000)) != NULL) {
			queue_event(k.queue, r, EVENT_DELIVERED, NULL, NULL, NOW_MS);
			late++;
		}
		HOLDS("and then all is", late == 22 && k.finished == 1);
		cleared(&k);
	}
}

/* They were put off while the clock was four days ahead: after a start with the right one none waits longer than any may. */
static void
test_the_clock_was_ahead(void **state)
{
	struct kit        k;
	struct recipient *r;
	int64_t           ahead_ms = NOW_MS + INT64_C(345600000);
	int               tried = 0;
	(void)state;

	fresh(&k, 1000, 2);
	(void)to_many(&k, 1, 0, 22);
	while ((r = next(&k, ahead_ms)) != NULL)
		queue_event(k.queue, r, EVENT_LATER, "4.0.0", "later", ahead_ms);
	written(&k);
	HOLDS("they have left", crowd_count(queue_oldest(k.queue)) == 20);
	again(&k, 1000, 2);
	queue_patience(k.queue, &(struct queue_patience){ 300 * 1000, 4000 * 1000, 432000LL * 1000, 86400LL * 1000, false });
	for (int64_t now_ms = NOW_MS; now_ms < NOW_MS + 10000 * 1000; now_ms += 100 * 1000) {
		while ((r = next(&k, now_ms)) != NULL) {
			queue_event(k.queue, r, EVENT_DELIVERED, NULL, NULL, now_ms);
			tried++;
		}
		written(&k);
	}
	HOLDS("all are tried", tried == 22 && k.finished == 1);
	cleared(&k);
}

/* rfc4865: it is wanted in four days, which no setting shortens; after a start nobody of it comes before, and others have the room. */
static void
test_wanted_later(void **state)
{
	struct kit        k;
	struct recipient *r;
	struct letter    *l;
	int64_t           later_ms = NOW_MS + INT64_C(345600000);
	int               tried = 0;
	(void)state;

	fresh(&k, 10, 2);
	clock_pretend(NOW);
	l = queue_add(k.queue, 1);
	l->arrived_us = NOW_MS * 1000;
	l->sender = "news@example.com";
	l->handling.not_before_us = later_ms * 1000;
	for (int i = 0; i < 22; i++)
		letter_recipient(k.queue, l, BYTES("a@example.com"))->due_ms = later_ms;
	queue_enter(k.queue, l);
	written(&k);
	queue_close(&k.queue);
	ledger_close(&k.ledger);
	kit_open(&k);
	queue_limits(k.queue, &(struct queue_limits){ 10, 2 });
	queue_patience(k.queue, &(struct queue_patience){ 300 * 1000, 4000 * 1000, 864000LL * 1000, 864000LL * 1000, false });
	ledger_begin(&k);
	HOLDS("read", ledger_load(k.ledger, k.queue, 100) >= 0);
	l = queue_oldest(k.queue);
	for (int64_t now_ms = NOW_MS; now_ms < later_ms; now_ms += 3600 * 1000) {
		HOLDS("nobody is due", next(&k, now_ms) == NULL);
		written(&k);
		HOLDS("and nobody came", l->alone == 0 && crowd_count(l) == 20);
	}
	for (int64_t now_ms = later_ms; now_ms < later_ms + 1000 * 1000; now_ms += 10 * 1000) {
		while ((r = next(&k, now_ms)) != NULL) {
			queue_event(k.queue, r, EVENT_DELIVERED, NULL, NULL, now_ms);
			tried++;
		}
		written(&k);
	}
	HOLDS("then all are tried", tried == 22 && k.finished == 1);
	cleared(&k);
}

/* Nobody takes it, and all are tried again after a second: there is room for one, and each has it in turn. */
static void
test_turns_of_those_put_off(void **state)
{
	static const struct {
		const char *name;
		size_t      most;
		uint32_t    minimum, count;
	} turns[] = { { "room for one", 1, 1, 8 }, { "room for three", 3, 2, 30 } };
	(void)state;

	for (size_t i = 0; i < COUNT(turns); i++) {
		struct kit        k;
		struct recipient *r;
		int64_t           now_ms = NOW_MS;

		memset(had, 0, sizeof had);
		fresh(&k, turns[i].most, turns[i].minimum);
		queue_patience(k.queue, &(struct queue_patience){ 1000, 1000, 86400000, 86400000, false });
		(void)to_many(&k, 1, 0, turns[i].count);
		for (int round = 0; round < 200; round++) {
			while ((r = next(&k, now_ms)) != NULL) {
				had[atoi(r->original)]++;
				queue_event(k.queue, r, EVENT_LATER, "4.0.0", "later", now_ms);
			}
			written(&k);
			now_ms += 500;
		}
		for (uint32_t n = 0; n < turns[i].count; n++)
			if (had[n] < 2)
				fail_msg("%s: recipient %u was tried %d times", turns[i].name, n, had[n]);
		cleared(&k);
	}
}

UNIT(test_wanted_later, test_the_clock_was_ahead, test_each_once, test_held, test_everything_is_kept, test_who_stays, test_leap, test_turns_of_those_put_off)
