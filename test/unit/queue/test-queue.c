/* The queue: a recipient's life, the order of what is due, and how long is waited. */
#include "unit.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"

/* ---- states by events ---- */

/* N W T H D: where it goes; with ! it has been refused, with * it is on the schedule; . cannot be: panics. */
static const char *const events[RECIPIENT_EVENTS] = {
	"due", "resolved", "delivered", "later", "refused", "lost", "hold", "release", "drop", "bounce"
};
/* clang-format off */
static const struct { const char *state; const char *after[RECIPIENT_EVENTS]; } life[RECIPIENT_STATES] = {
	/*              due   resolved delivered later refused lost  hold release drop bounce */
	{ "new",      { "N",  "W*",    "D",     "N*", "D!",   "N*", "H", "N*", "D", "D!" } },
	{ "waiting",  { "T",  "W*",    ".",     ".",  ".",    "W*", "H", "W*", "D", "D!" } },
	{ "trying",   { ".",  ".",     "D",     "W*", "D!",   "W*", "T", "T", "T", "T" } },
	{ "held",     { ".",  "H",     "H",     "H",  "H",    "H",  "H", "W*", "D", "D!" } },
	{ "done",     { ".",  "D",     "D",     "D",  "D",    "D",  "D", "D", "D", "D" } },
};
/* clang-format on */

/* A recipient in this state, beside another that keeps the letter. */
static struct recipient *
in_state(struct kit *k, enum recipient_state s)
{
	struct letter    *l = kit_letter(k, 1, 2);
	struct recipient *r;
	int64_t           wait;

	queue_enter(k->queue, l);
	(void)queue_next(k->queue, NOW_MS, &wait); /* one of the two is asked about */
	r = queue_next(k->queue, NOW_MS, &wait);
	if (s == RECIPIENT_NEW)
		return r;
	queue_event(k->queue, r, EVENT_RESOLVED, NULL, NULL, NOW_MS);
	if (s == RECIPIENT_HELD)
		queue_event(k->queue, r, EVENT_HOLD, NULL, NULL, NOW_MS);
	if (s == RECIPIENT_TRYING || s == RECIPIENT_DONE)
		HOLDS("it is due", queue_next(k->queue, NOW_MS, &wait) == r);
	if (s == RECIPIENT_DONE)
		queue_event(k->queue, r, EVENT_DELIVERED, NULL, NULL, NOW_MS);
	HOLDS("prepared", r->state == s);
	return r;
}

static void
happens(enum recipient_state s, enum recipient_event e)
{
	struct kit        k;
	struct recipient *r;
	int64_t           wait;
	char              got[4] = { 0 };
	size_t            n = 0;

	kit_open(&k);
	r = in_state(&k, s);
	if (e == EVENT_DUE && s == RECIPIENT_WAITING)
		(void)queue_next(k.queue, NOW_MS, &wait);
	else
		queue_event(k.queue, r, e, "4.0.0", "text", NOW_MS);
	got[n++] = "NWTHD"[r->state];
	if (r->refused)
		got[n++] = '!';
	if (r->place.at != 0)
		got[n++] = '*';
	if (strcmp(got, life[s].after[e]) != 0)
		fail_msg("%s, %s: %s, not %s", life[s].state, events[e], got, life[s].after[e]);
	HOLDS("told of refusal once", k.refused == (r->refused ? 1 : 0));
	queue_close(&k.queue);
}

/* It ends the process, as a broken promise must. */
static void
cannot_be(enum recipient_state s, enum recipient_event e)
{
	int   status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct kit        k;
		struct recipient *r;

		kit_open(&k);
		r = in_state(&k, s);
		queue_event(k.queue, r, e, NULL, NULL, NOW_MS);
		_exit(0);
	}
	HOLDS("waited", waitpid(pid, &status, 0) == pid);
	if (!WIFSIGNALED(status))
		fail_msg("%s, %s: was let through", life[s].state, events[e]);
}

static void
test_life(void **state)
{
	(void)state;

	for (int s = 0; s < RECIPIENT_STATES; s++)
		for (int e = 0; e < RECIPIENT_EVENTS; e++)
			if (life[s].after[e][0] == '.')
				cannot_be((enum recipient_state)s, (enum recipient_event)e);
			else
				happens((enum recipient_state)s, (enum recipient_event)e);
}

/* What was held before anybody knew who it is, is asked about when it is released. */
static void
test_held_unknown_is_asked_about(void **state)
{
	struct kit        k;
	struct recipient *r;
	(void)state;

	kit_open(&k);
	r = in_state(&k, RECIPIENT_NEW);
	queue_event(k.queue, r, EVENT_HOLD, NULL, NULL, NOW_MS);
	queue_event(k.queue, r, EVENT_RELEASE, NULL, NULL, NOW_MS);
	HOLDS("new again", r->state == RECIPIENT_NEW && r->place.at != 0);
	queue_event(k.queue, r, EVENT_HOLD, NULL, NULL, NOW_MS);
	queue_event(k.queue, r, EVENT_RESOLVED, NULL, NULL,
	            NOW_MS); /* the answer came while it was held */
	HOLDS("still held", r->state == RECIPIENT_HELD);
	queue_event(k.queue, r, EVENT_RELEASE, NULL, NULL, NOW_MS);
	HOLDS("to be tried", r->state == RECIPIENT_WAITING);
	queue_close(&k.queue);
}

/* ---- letters ---- */

static void
test_finished_when_all_are_done(void **state)
{
	struct kit        k;
	struct recipient *r[3];
	struct letter    *l;
	int64_t           wait;
	(void)state;

	kit_open(&k);
	l = kit_letter(&k, 7, 3);
	HOLDS("known", queue_add(k.queue, 7) == NULL && queue_find(k.queue, 7) == l &&
	                       queue_find(k.queue, 8) == NULL);
	queue_enter(k.queue, l);
	for (int i = 0; i < 3; i++) {
		r[i] = queue_next(k.queue, NOW_MS, &wait);
		HOLDS("asked about", r[i] != NULL && r[i]->state == RECIPIENT_NEW);
	}
	HOLDS("no more", queue_next(k.queue, NOW_MS, &wait) == NULL && wait == -1);
	for (int i = 0; i < 3; i++)
		queue_event(k.queue, r[i], EVENT_RESOLVED, NULL, NULL, NOW_MS);
	for (int i = 0; i < 3; i++)
		HOLDS("tried", queue_next(k.queue, NOW_MS, &wait)->state == RECIPIENT_TRYING);
	queue_event(k.queue, r[0], EVENT_DELIVERED, "2.0.0", "sent", NOW_MS);
	queue_event(k.queue, r[1], EVENT_REFUSED, "5.1.1", "nobody", NOW_MS);
	queue_event(k.queue, r[2], EVENT_DELIVERED, "2.0.0", "sent", NOW_MS);
	HOLDS("not before the sender knows",
	      k.finished == 0 && k.refused == 1 && k.last_refused == r[1]);
	SAME("why", bytes_of(r[1]->status), BYTES("5.1.1"));
	queue_told(k.queue, r[1]);
	HOLDS("now", k.finished == 1 && k.last_finished == 7 && queue_count(k.queue) == 0 &&
	                     queue_oldest(k.queue) == NULL);
	queue_close(&k.queue);
}

static void
test_without_recipients(void **state)
{
	struct kit k;
	(void)state;

	kit_open(&k);
	queue_enter(k.queue, kit_letter(&k, 7, 0));
	HOLDS("finished at once", k.finished == 1 && queue_count(k.queue) == 0);
	queue_close(&k.queue);
}

static void
test_fork(void **state)
{
	struct kit        k;
	struct recipient *r, *twin;
	struct letter    *l;
	int64_t           wait;
	(void)state;

	kit_open(&k);
	l = kit_letter(&k, 7, 1);
	l->first->orcpt = "rfc822;all@example.com";
	l->first->notify = 4;
	queue_enter(k.queue, l);
	r = queue_next(k.queue, NOW_MS, &wait);
	twin = queue_fork(k.queue, r);
	SAME("original", bytes_of(twin->original), bytes_of(r->original));
	SAME("orcpt", bytes_of(twin->orcpt), bytes_of(r->orcpt));
	HOLDS("notify", twin->notify == 4 && twin->state == RECIPIENT_NEW && l->open == 2 &&
	                        l->recipients == 2);
	queue_event(k.queue, twin, EVENT_RESOLVED, NULL, NULL, NOW_MS);
	queue_event(k.queue, r, EVENT_RESOLVED, NULL, NULL, NOW_MS);
	for (int i = 0; i < 2; i++)
		queue_event(k.queue, queue_next(k.queue, NOW_MS, &wait), EVENT_DELIVERED, NULL,
		            NULL, NOW_MS);
	HOLDS("finished after both", k.finished == 1);
	queue_close(&k.queue);
}

/* The list of all letters, in order of coming, whatever goes from its middle. */
static void
test_list(void **state)
{
	struct kit k;
	int64_t    wait;
	uint64_t   seen[5], n = 0;
	(void)state;

	kit_open(&k);
	for (uint64_t id = 1; id <= 5; id++)
		queue_enter(k.queue, kit_letter(&k, id, 1));
	for (int i = 0; i < 5; i++) {
		struct recipient *r = queue_next(k.queue, NOW_MS, &wait);
		queue_event(k.queue, r, EVENT_RESOLVED, NULL, NULL, NOW_MS);
	}
	for (int i = 0; i < 5; i++) {
		struct recipient *r = queue_next(k.queue, NOW_MS, &wait);
		if (r->letter->id % 2 == 1)
			queue_event(k.queue, r, EVENT_DELIVERED, NULL, NULL, NOW_MS);
	}
	for (struct letter *l = queue_oldest(k.queue); l != NULL; l = l->newer)
		seen[n++] = l->id;
	HOLDS("the even ones", n == 2 && seen[0] == 2 && seen[1] == 4);
	queue_close(&k.queue);
}

/* ---- time ---- */

/* Random comings and goings beside a plain list: always one that is due, while there is one. */
static void
test_order_against_a_model(void **state)
{
	enum { LETTERS = 400 };
	struct kit        k;
	struct recipient *r[LETTERS], *next;
	uint32_t          seed = 11;
	int64_t           now = NOW_MS, wait;
	(void)state;

	kit_open(&k);
	for (uint64_t i = 0; i < LETTERS; i++) {
		struct letter *l = kit_letter(&k, i + 1, 1);
		l->heard_us = (int64_t)i;
		r[i] = l->first;
		queue_enter(k.queue, l);
	}
	for (int turn = 0; turn < 20000; turn++) {
		const struct recipient *first = NULL;

		seed = seed * 1664525u + 1013904223u;
		for (int i = 0; i < LETTERS; i++)
			if (r[i]->place.at != 0 &&
			    (first == NULL || r[i]->due_ms < first->due_ms ||
			     (r[i]->due_ms == first->due_ms &&
			      r[i]->letter->heard_us < first->letter->heard_us)))
				first = r[i];
		next = queue_next(k.queue, now, &wait);
		if (first == NULL)
			HOLDS("nothing is due, ever", next == NULL && wait == -1);
		else if (first->due_ms > now)
			HOLDS("not yet, and how long",
			      next == NULL && wait == first->due_ms - now && wait > 0);
		else
			HOLDS("one whose time has come", next != NULL && next->due_ms <= now);
		if (next != NULL && next->state == RECIPIENT_NEW)
			queue_event(k.queue, next, seed & 0x10000 ? EVENT_RESOLVED : EVENT_LATER,
			            NULL, NULL, now);
		else if (next != NULL)
			queue_event(k.queue, next, seed & 0x10000 ? EVENT_LATER : EVENT_LOST, NULL,
			            NULL, now);
		struct recipient *other = r[(seed >> 8) % LETTERS];
		if (seed % 5 == 0)
			queue_event(k.queue, other,
			            other->state == RECIPIENT_HELD ? EVENT_RELEASE : EVENT_HOLD,
			            NULL, NULL, now);
		now += seed >> 16;
		if (now > NOW_MS + 400000LL * 1000)
			now = NOW_MS; /* and the clock is set back, too */
	}
	queue_close(&k.queue);
}

/* Ten thousand letters of a list, each with a sender of its own, then one of a person: it need not wait for them; and
   the order is kept inside each. */
static void
test_turns(void **state)
{
	enum { MANY = 10000 };
	struct kit        k;
	struct recipient *r;
	char              sender[MANY][48];
	uint64_t          last = 0;
	int64_t           wait;
	int               before = 0;
	(void)state;

	kit_open(&k);
	for (uint64_t id = 1; id <= MANY; id++) {
		struct letter *l = kit_letter(&k, id, 1);

		(void)snprintf(sender[id - 1], sizeof sender[0], "news-%d+x=%d@lists.example", (int)id, (int)id);
		l->sender = sender[id - 1];
		queue_enter(k.queue, l);
	}
	queue_enter(k.queue, kit_letter(&k, MANY + 1, 1));
	while ((r = queue_next(k.queue, NOW_MS, &wait))->letter->id != MANY + 1) {
		HOLDS("in order", r->letter->id > last);
		last = r->letter->id;
		before++;
	}
	if (before > 2)
		fail_msg("%d were first", before);
	queue_close(&k.queue);
}

/* One letter to a thousand, one to few from the same sender. */
static void
test_many_and_few(void **state)
{
	struct kit     k;
	struct letter *few;
	int64_t        wait;
	int            before = 0;
	(void)state;

	kit_open(&k);
	queue_enter(k.queue, kit_letter(&k, 1, 1000));
	queue_enter(k.queue, few = kit_letter(&k, 2, 2));
	HOLDS("another party", queue_party(few, few->sender) != queue_party(queue_find(k.queue, 1), few->sender));
	while (queue_next(k.queue, NOW_MS, &wait)->letter != few)
		before++;
	HOLDS("it does not wait for a thousand", before <= 2);
	queue_close(&k.queue);
}

static void
test_parties(void **state)
{
	static const struct {
		const char *why, *a, *b;
		bool        same;
	} rows[] = {
		{ "VERP", "news-1+a=x@l.example", "news-2+b=y@l.example", true },
		{ "another list there", "news-1+a=x@l.example", "chat-2+b=y@l.example", false },
		{ "people", "jack@example.com", "jill@example.com", false },
		{ "another domain", "jack@example.com", "jack@example.org", false },
		{ "a number is all it has", "12@example.com", "13@example.com", false },
		{ "nobody", "", "", true },
	};
	struct kit     k;
	struct letter *l;
	(void)state;

	kit_open(&k);
	l = kit_letter(&k, 1, 1);
	for (size_t i = 0; i < COUNT(rows); i++)
		HOLDS(rows[i].why, (queue_party(l, rows[i].a) == queue_party(l, rows[i].b)) == rows[i].same);
	queue_close(&k.queue);
}

/* What an older queue has put off by a clock that was ahead: not for days, not all at once, and FUTURERELEASE as long as it says. */
static void
test_put_off_by_a_clock_that_was_ahead(void **state)
{
	struct kit k;
	int64_t    wait, soon = INT64_MAX, late = 0;
	(void)state;

	kit_open(&k);
	for (uint64_t id = 1; id <= 200; id++) {
		struct letter *l = kit_letter(&k, id, 1);

		l->first->due_ms = NOW_MS + 86400000;
		l->handling.not_before_us = id == 200 ? (int64_t)(NOW + 90000) * 1000000 : 0;
		queue_enter(k.queue, l);
		soon = id < 200 && l->first->due_ms < soon ? l->first->due_ms : soon;
		late = id < 200 && l->first->due_ms > late ? l->first->due_ms : late;
	}
	HOLDS("within the longest wait", late <= NOW_MS + 4500000 && soon >= NOW_MS);
	HOLDS("scattered", late - soon > 1000000);
	HOLDS("the last as its client wishes", queue_find(k.queue, 200)->first->due_ms == NOW_MS + 90000000);
	HOLDS("few now", queue_next(k.queue, NOW_MS, &wait) == NULL || soon == NOW_MS);
	queue_close(&k.queue);
}

/* The clock is set, ten days on or one back: who waits does as long as before, and nobody's time is over for it. */
static void
test_leap(void **state)
{
	static const int64_t leaps[] = { 864000000, -86400000, 0 };
	int64_t              wait, before;
	(void)state;

	for (size_t i = 0; i < COUNT(leaps); i++) {
		struct kit        k;
		struct recipient *r;

		kit_open(&k);
		for (uint64_t id = 1; id <= 50; id++)
			queue_enter(k.queue, kit_letter(&k, id, 1));
		while ((r = queue_next(k.queue, NOW_MS, &wait)) != NULL)
			queue_event(k.queue, r, EVENT_LATER, "4.4.1", "nobody", NOW_MS);
		before = wait;
		queue_leap(k.queue, leaps[i]);
		HOLDS("none at once", queue_next(k.queue, NOW_MS + leaps[i], &wait) == NULL);
		HOLDS("and as long as before", wait == before);
		r = queue_next(k.queue, NOW_MS + leaps[i] + wait, &wait);
		queue_event(k.queue, r, EVENT_LATER, "4.4.1", "nobody", NOW_MS + leaps[i] + before);
		HOLDS("it is tried on", r->state == RECIPIENT_NEW && !r->refused);
		HOLDS("and ends when it would have", queue_recipient_end(k.queue, r) ==
		                                             NOW_MS + 432000000 + leaps[i]);
		queue_close(&k.queue);
	}
}

static void
test_priority(void **state)
{
	/* rfc6710:4.1: among those that are due the higher goes first; nobody goes before their time. */
	static const int8_t priority[] = { 0, -4, 9, 4, 9 };
	static const uint64_t first[] = { 3, 4, 1, 2 };
	struct kit k;
	int64_t    wait;
	(void)state;

	kit_open(&k);
	for (uint64_t i = 0; i < COUNT(priority); i++) {
		struct letter *l = kit_letter(&k, i + 1, 1);
		l->heard_us = (int64_t)i;
		l->handling.priority = priority[i];
		l->handling.not_before_us = i == 4 ? (NOW_MS + 5000) * 1000 : 0;
		queue_enter(k.queue, l);
	}
	for (size_t i = 0; i < COUNT(first); i++)
		HOLDS("in order", queue_next(k.queue, NOW_MS, &wait)->letter->id == first[i]);
	HOLDS("its client said later (rfc4865)", queue_next(k.queue, NOW_MS, &wait) == NULL && wait == 5000);
	queue_event(k.queue, queue_find(k.queue, 5)->first, EVENT_RELEASE, NULL, NULL, NOW_MS);
	HOLDS("and a flush changes nothing of it", queue_next(k.queue, NOW_MS, &wait) == NULL && wait == 5000);
	HOLDS("then it goes", queue_next(k.queue, NOW_MS + 5000, &wait)->letter->id == 5);
	queue_close(&k.queue);
}

static void
test_deliver_by(void **state)
{
	struct kit     k;
	struct letter *l;
	struct recipient *r;
	int64_t        wait;
	(void)state;

	kit_open(&k);
	l = kit_letter(&k, 1, 1);
	l->handling.by_mode = 'R';
	l->handling.by_us = (NOW_MS + 60000) * 1000;
	queue_enter(k.queue, l);
	r = queue_next(k.queue, NOW_MS, &wait);
	queue_event(k.queue, r, EVENT_RESOLVED, NULL, NULL, NOW_MS);
	r = queue_next(k.queue, NOW_MS, &wait);
	HOLDS("there is time", !queue_past_its_time(r, NOW_MS));
	queue_event(k.queue, r, EVENT_LATER, "4.2.0", "no", NOW_MS);
	HOLDS("looked at when the time is over, not after the usual wait",
	      queue_next(k.queue, NOW_MS, &wait) == NULL && wait == 60000);
	HOLDS("and then it is over", queue_past_its_time(r, NOW_MS + 60000));
	queue_close(&k.queue);
}

static void
test_success_is_reported(void **state)
{
	struct kit     k;
	struct letter *l;
	int64_t        wait;
	(void)state;

	kit_open(&k);
	l = kit_letter(&k, 1, 1);
	l->first->notify = NOTIFY_SUCCESS | NOTIFY_FAILURE;
	queue_enter(k.queue, l);
	queue_event(k.queue, queue_next(k.queue, NOW_MS, &wait), EVENT_RESOLVED, NULL, NULL, NOW_MS);
	queue_event(k.queue, queue_next(k.queue, NOW_MS, &wait), EVENT_DELIVERED, "2.0.0", "ok", NOW_MS);
	HOLDS("its sender is to hear of it", k.reported == 1 && k.refused == 0 && k.finished == 0);
	queue_told(k.queue, k.last_refused);
	HOLDS("and then it ends", k.finished == 1);
	queue_close(&k.queue);
}

/* minimal_ and maximal_backoff_time, give or take an eighth; growing with the letter's age. */
static void
test_backoff(void **state)
{
	/* clang-format off */
	static const struct { const char *why; int64_t age_s, least, most; } rows[] = {
		{ "fresh", 0, 262500, 337501 },
		{ "as old as the least", 300, 262500, 337501 },
		{ "ten minutes old", 600, 525000, 675001 },
		{ "an hour old", 3600, 3150000, 4050001 },
		{ "a day old", 86400, 3500000, 4500001 },
		{ "from the future", -86400, 262500, 337501 },
	};
	/* clang-format on */
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++)
		for (int again = 0; again < 200; again++) {
			struct kit        k;
			struct recipient *r;
			int64_t           now = NOW_MS + rows[i].age_s * 1000, wait;

			kit_open(&k);
			r = in_state(&k, RECIPIENT_TRYING);
			queue_event(k.queue, r, EVENT_LATER, NULL, NULL, now);
			wait = r->due_ms - now;
			if (wait < rows[i].least || wait > rows[i].most)
				fail_msg("%s: %lld ms", rows[i].why, (long long)wait);
			queue_close(&k.queue);
		}
}

/* Settings of nothing must not make a wheel that turns for ever. */
static void
test_no_patience_still_breathes(void **state)
{
	struct kit        k;
	struct recipient *r;
	(void)state;

	kit_open(&k);
	queue_patience(k.queue, &(struct queue_patience){ .lifetime_ms = 1000, .notice_lifetime_ms = 1000 });
	r = in_state(&k, RECIPIENT_TRYING);
	queue_event(k.queue, r, EVENT_LATER, NULL, NULL, NOW_MS);
	HOLDS("a second", r->due_ms - NOW_MS >= 875);
	queue_close(&k.queue);
}

static void
test_expiry(void **state)
{
	/* clang-format off */
	static const struct { const char *why; int64_t age_s; enum recipient_state state, after; const char *sender; } rows[] = {
		{ "just before its time", 431999, RECIPIENT_TRYING, RECIPIENT_WAITING, "a@b" },
		{ "its time has come", 432000, RECIPIENT_TRYING, RECIPIENT_DONE, "a@b" },
		{ "never resolved, and its time has come", 432000, RECIPIENT_NEW, RECIPIENT_DONE, "a@b" },
		{ "never resolved, yet", 400000, RECIPIENT_NEW, RECIPIENT_NEW, "a@b" },
		{ "a notice, just before its own time", 86399, RECIPIENT_TRYING, RECIPIENT_WAITING, "" },
		{ "a notice's time has come", 86400, RECIPIENT_TRYING, RECIPIENT_DONE, "" },
	};
	/* clang-format on */
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct kit        k;
		struct recipient *r;

		kit_open(&k);
		r = in_state(&k, rows[i].state);
		r->letter->sender = rows[i].sender;
		queue_event(k.queue, r, EVENT_LATER, "4.0.0", "x", NOW_MS + rows[i].age_s * 1000);
		HOLDS(rows[i].why, r->state == rows[i].after &&
		                           k.refused == (rows[i].after == RECIPIENT_DONE ? 1 : 0));
		queue_close(&k.queue);
	}
}

/* ---- who is in hand ---- */

static void
test_in_hand(void **state)
{
	/* Known, then each letter one thing more: t is tried, l put off, d delivered, r refused, h held. */
	static const struct { const char *happens; bool in_hand; } rows[] = {
		{ "", true }, { "t", true }, { "tl", false }, { "td", false }, { "tr", false }, { "h", false },
	};
	static const enum recipient_event events_of[] = { ['l'] = EVENT_LATER, ['d'] = EVENT_DELIVERED, ['r'] = EVENT_REFUSED, ['h'] = EVENT_HOLD };
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct kit        k;
		struct recipient *r;
		int64_t           wait;

		kit_open(&k);
		queue_enter(k.queue, kit_letter(&k, 1, 2));
		r = queue_find(k.queue, 1)->first;
		HOLDS("new", queue_in_hand(r, NOW_MS));
		r = queue_next(k.queue, NOW_MS, &wait);
		HOLDS("asked about", queue_in_hand(r, NOW_MS));
		queue_event(k.queue, r, EVENT_RESOLVED, NULL, NULL, NOW_MS);
		for (const char *c = rows[i].happens; *c != '\0'; c++)
			if (*c != 't')
				queue_event(k.queue, r, events_of[(unsigned char)*c], NULL, NULL, NOW_MS);
			else
				while (r->state != RECIPIENT_TRYING)
					HOLDS("due", queue_next(k.queue, NOW_MS, &wait) != NULL);
		if (queue_in_hand(r, NOW_MS) != rows[i].in_hand)
			fail_msg("%s", rows[i].happens);
		queue_close(&k.queue);
	}
}

UNIT(test_in_hand, test_put_off_by_a_clock_that_was_ahead, test_turns, test_many_and_few, test_parties, test_leap, test_priority, test_deliver_by, test_success_is_reported, test_life, test_held_unknown_is_asked_about, test_finished_when_all_are_done,
     test_without_recipients, test_fork, test_list, test_order_against_a_model, test_backoff,
     test_no_patience_still_breathes, test_expiry)
