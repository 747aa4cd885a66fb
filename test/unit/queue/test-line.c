/* Whose turn it is at one destination: senders take turns, the higher priority first, and nobody is forgotten. */
#include "unit.h"

#include <stdio.h>

#include "base/map.h"
#include "kit.h"
#include "queue/line.h"

static bool
always(const struct recipient *a, const struct recipient *b)
{
	(void)a, (void)b;
	return true;
}

static bool
same_address(const struct recipient *a, const struct recipient *b)
{
	return strcmp(a->address, b->address) == 0;
}

static struct letter *
waits(struct kit *k, struct line *line, uint64_t id, const char *sender, int recipients, int8_t priority)
{
	struct letter *l = kit_letter(k, id, recipients);

	l->sender = sender;
	l->handling.priority = priority;
	for (struct recipient *r = l->first; r != NULL; r = r->next)
		line_join(line, r, sender);
	return l;
}

/* How many transactions go before this letter's. */
static int
before(struct line *line, const struct letter *l)
{
	struct recipient *out[50];
	int               n = 0;

	while (line_take(line, out, COUNT(out), always) > 0 && out[0]->letter != l)
		n++;
	return n;
}

static void
test_order_of_coming(void **state)
{
	struct kit        k;
	struct line       line = { 0 };
	struct recipient *out[50];
	(void)state;

	kit_open(&k);
	HOLDS("nobody", line_take(&line, out, 50, always) == 0 && line_leave(&line) == NULL);
	for (uint64_t id = 1; id <= 5; id++)
		(void)waits(&k, &line, id, "jack@example.com", 1, 0);
	for (uint64_t id = 1; id <= 5; id++)
		HOLDS("one after another", line_take(&line, out, 50, always) == 1 && out[0]->letter->id == id &&
		                                  out[0]->line == NULL);
	HOLDS("nobody is left", line.waiting == 0 && line.lanes == NULL && line.ranks == NULL);
	queue_close(&k.queue);
}

/* A list of 100 000 letters, then a person, then another letter of that person while the list goes on. */
static void
test_a_person_beside_a_list(void **state)
{
	enum { MANY = 100000 };
	struct kit     k;
	struct line    line = { 0 };
	struct letter *l;
	static char    sender[MANY][40];
	int            n;
	(void)state;

	kit_open(&k);
	for (uint64_t id = 1; id <= MANY; id++) {
		(void)snprintf(sender[id - 1], sizeof sender[0], "bounce+%d@list.example", (int)id);
		(void)waits(&k, &line, id, sender[id - 1], 1, 0);
	}
	for (uint64_t id = MANY + 1; id < MANY + 20; id++) {
		l = waits(&k, &line, id, "jack@example.com", 1, 0);
		if ((n = before(&line, l)) > 1)
			fail_msg("%d transactions before a person's letter", n);
	}
	/* A list in one letter, to many recipients, beside a letter of the same sender. */
	(void)waits(&k, &line, MANY + 20, "jill@example.com", 1000, 0);
	l = waits(&k, &line, MANY + 21, "jill@example.com", 1, 0);
	HOLDS("their own list does not delay them", before(&line, l) <= 2);
	while (line_leave(&line) != NULL)
		continue;
	HOLDS("all have left", line.waiting == 0 && line.lanes == NULL);
	queue_close(&k.queue);
}

/* However many come anew, those that were there get one turn of four. */
static void
test_nobody_starves(void **state)
{
	struct kit        k;
	struct line       line = { 0 };
	struct recipient *out[1];
	static char       sender[4000][40];
	uint64_t          id = 1;
	int               old = 0;
	(void)state;

	kit_open(&k);
	for (; id <= 200; id++)
		(void)waits(&k, &line, id, "jack@example.com", 1, 0);
	(void)line_take(&line, out, 1, always);
	for (int turn = 0; turn < 400; turn++) {
		for (int i = 0; i < 4; i++, id++) {
			(void)snprintf(sender[turn * 4 + i], sizeof sender[0], "%c%c%c%c@example.org", 'a' + turn % 20,
			               'a' + turn / 20, 'a' + i, 'x');
			(void)waits(&k, &line, id, sender[turn * 4 + i], 1, 0);
		}
		(void)line_take(&line, out, 1, always);
		old += out[0]->letter->id <= 200;
	}
	HOLDS("every fourth", old >= 99);
	while (line_leave(&line) != NULL)
		continue;
	queue_close(&k.queue);
}

static void
test_priority_first(void **state)
{
	static const struct {
		uint64_t id;
		int8_t   priority;
	} rows[] = { { 1, 0 }, { 2, -3 }, { 3, 9 }, { 4, 4 }, { 5, 9 } };
	static const uint64_t order[] = { 3, 5, 4, 1, 2 };
	struct kit            k;
	struct line           line = { 0 };
	struct recipient     *out[1];
	(void)state;

	kit_open(&k);
	for (size_t i = 0; i < COUNT(rows); i++)
		(void)waits(&k, &line, rows[i].id, "jack@example.com", 1, rows[i].priority);
	for (size_t i = 0; i < COUNT(order); i++)
		HOLDS("rfc6710:4.1", line_take(&line, out, 1, always) == 1 && out[0]->letter->id == order[i]);
	queue_close(&k.queue);
}

/* Recipients of one letter go together, as many as may, and only those of whom it is said. */
static void
test_one_transaction(void **state)
{
	struct kit        k;
	struct line       line = { 0 };
	struct recipient *out[50];
	struct letter    *l;
	(void)state;

	kit_open(&k);
	(void)waits(&k, &line, 1, "jack@example.com", 7, 0);
	HOLDS("five", line_take(&line, out, 5, always) == 5 && line.waiting == 2);
	HOLDS("two", line_take(&line, out, 5, always) == 2 && line.waiting == 0);
	l = waits(&k, &line, 2, "jack@example.com", 4, 0);
	l->first->address = l->first->next->next->address = "other@example.com";
	HOLDS("two of a kind", line_take(&line, out, 50, same_address) == 2 && same_address(out[0], out[1]));
	HOLDS("and two of the other", line_take(&line, out, 50, same_address) == 2 && same_address(out[0], out[1]));
	(void)waits(&k, &line, 3, "jack@example.com", 1, 0);
	(void)waits(&k, &line, 4, "jack@example.com", 1, 0);
	HOLDS("letters do not", line_take(&line, out, 50, always) == 1 && line_take(&line, out, 50, always) == 1);
	queue_close(&k.queue);
}

/* An administrator takes some away. */
static void
test_quit(void **state)
{
	struct kit        k;
	struct line       line = { 0 };
	struct recipient *out[1];
	struct letter    *l[6];
	(void)state;

	kit_open(&k);
	for (uint64_t id = 0; id < 6; id++)
		l[id] = waits(&k, &line, id + 1, id % 2 == 0 ? "jack@example.com" : "jill@example.com", 1, 0);
	line_quit(l[1]->first);
	line_quit(l[3]->first);
	line_quit(l[5]->first);
	line_quit(l[2]->first);
	HOLDS("two are left", line.waiting == 2 && l[2]->first->line == NULL);
	HOLDS("the first", line_take(&line, out, 1, always) == 1 && out[0]->letter == l[0]);
	line_quit(l[4]->first);
	HOLDS("nobody", line.waiting == 0 && line.lanes == NULL && line_take(&line, out, 1, always) == 0);
	line_join(&line, l[0]->first, "jack@example.com");
	HOLDS("and again", line_leave(&line) == l[0]->first && line.lanes == NULL);
	queue_close(&k.queue);
}

/* Of a hundred thousand senders all but the last have their letters taken away: no trace of them is gone through, by nobody. */
static void
test_those_that_quit_leave_nothing(void **state)
{
	enum { MANY = 100000 };
	static char    sender[MANY][40];
	static struct letter *l[MANY];
	struct kit     k;
	struct line    line = { 0 };
	(void)state;

	kit_open(&k);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(sender[i], sizeof sender[0], "jack@%c%d.example", 'a' + i % 26, i);
		l[i] = waits(&k, &line, (uint64_t)i + 1, sender[i], 1, (int8_t)(i % 3));
	}
	HOLDS("each has a lane", map_count(line.lanes) == MANY);
	for (int i = 0; i < MANY - 1; i++) {
		line_quit(l[i]->first);
		if (map_count(line.lanes) != (size_t)(MANY - 1 - i))
			fail_msg("%zu lanes of %d who wait", map_count(line.lanes), MANY - 1 - i);
		if (line_first(&line)->letter->id <= (uint64_t)i + 1)
			fail_msg("one that is gone is the next");
	}
	HOLDS("the last", line_first(&line) == l[MANY - 1]->first && line_leave(&line) == l[MANY - 1]->first);
	HOLDS("nobody", line_first(&line) == NULL && line.lanes == NULL && line.ranks == NULL);
	queue_close(&k.queue);
}

UNIT(test_those_that_quit_leave_nothing, test_quit, test_order_of_coming, test_a_person_beside_a_list, test_nobody_starves, test_priority_first, test_one_transaction)
