/* What checks of a letter want to know of tables elsewhere: many keys in one word, bounded, and nobody waits for the dead. */

#include "unit.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "channel/link.h"
#include "directory/table.h"
#include "policy/checks-elsewhere.h"
#include "role/inquest.h"

/* The other side, and what it heard last. */
static struct {
	struct link *ours, *theirs;
	int          wanted, heard;
	uint32_t     ticket, keys;
	char         table[64];
} world;

struct link *
house_link(struct house *h, enum role role, uint32_t index)
{
	(void)h;
	(void)index;
	return role == PROXYMAP ? world.ours : NULL;
}

void
house_proxymap_want(struct house *h)
{
	(void)h;
	world.wanted++;
}

static void
their_word(void *ctx, struct link *l, uint16_t word, uint32_t ticket, struct bytes body, int fd)
{
	struct word_table_ask_all w;
	struct arena             *life = arena_open(NULL);

	(void)ctx;
	(void)l;
	(void)fd;
	HOLDS("a question", word == WORD_TABLE_ASK_ALL && word_unpack_table_ask_all(body, life, &w));
	world.heard++;
	world.ticket = ticket;
	world.keys = w.keys;
	(void)bytes_string(bytes_of(w.table), world.table, sizeof world.table);
	arena_close(&life);
}

static void
no_word(void *ctx, struct link *l, uint16_t word, uint32_t ticket, struct bytes body, int fd)
{
	(void)ctx;
	(void)l;
	(void)word;
	(void)ticket;
	(void)body;
	(void)fd;
}

static void
lost(void *ctx, struct link *l)
{
	(void)ctx;
	(void)l;
}

static const struct link_events their_events = { their_word, lost }, our_events = { no_word, lost };

static void
meet(struct loop *loop)
{
	int fd[2];

	assert_int_equal(link_pair(fd), 0);
	world.ours = link_open(loop, fd[0], &our_events, NULL);
	world.theirs = link_open(loop, fd[1], &their_events, NULL);
}

static void
part(void)
{
	link_close(&world.ours);
	link_close(&world.theirs);
}

static void
enough(void *ctx)
{
	loop_stop(ctx);
}

/* Some turns of the loop. */
static void
turn(struct loop *loop)
{
	struct timer *t = timer_open(loop, enough, loop);

	timer_set(t, 20);
	loop_run(loop);
	timer_close(&t);
}

static const char *const       tables[] = { "pgsql:a", "pgsql:b" };
static const struct setting_list allowed = { (const char **)(uintptr_t)tables, COUNT(tables) };

struct letter {
	struct inquests *all;
	struct inquest  *inquest;
	int              done;
};

static void
done(void *ctx)
{
	((struct letter *)ctx)->done++;
}

/* So many keys of a table, of so many bytes each. */
static bool
ask(struct letter *l, const char *table, uint32_t count, size_t size)
{
	struct elsewhere_question *q = memory_take((count + 1) * sizeof *q);
	struct arena              *life = arena_open(NULL);
	struct buffer              packed = { 0 };
	bool                       good;

	for (uint32_t i = 0; i < count; i++) {
		char  *key = arena_take(life, size + 1);
		size_t n = (size_t)snprintf(key, size + 1, "%0*u", (int)size, i);

		q[i] = (struct elsewhere_question){ bytes_of(table), { key, n }, { NULL, 0 }, CHECK_WAIT };
	}
	elsewhere_pack(q, count, &packed);
	good = inquest_ask(l->inquest, buffer_bytes(&packed), &allowed, 1);
	buffer_free(&packed);
	arena_close(&life);
	memory_free(q);
	return good;
}

/* Proxymap answers the first of what it was asked. */
static void
say(struct letter *l, uint32_t answers, enum table_outcome outcome, const char *value)
{
	struct word_table_said    *one = memory_take((answers + 1) * sizeof *one);
	struct word_table_said_all w = { one, answers };
	struct buffer              b = { 0 };

	for (uint32_t i = 0; i < answers; i++)
		one[i] = (struct word_table_said){ (uint8_t)outcome, bytes_of(value) };
	word_pack_table_said_all(&b, &w);
	HOLDS("it is understood", inquests_heard(l->all, world.ticket, buffer_bytes(&b)));
	buffer_free(&b);
	memory_free(one);
}

/* How many are answered so. */
static uint32_t
known(struct letter *l, enum check_answer answer)
{
	struct arena              *life = arena_open(NULL);
	uint32_t                   count = 0, n = 0;
	struct elsewhere_question *q = elsewhere_unpack(arena_keep(life, inquest_known(l->inquest)), life, &count);

	for (uint32_t i = 0; q != NULL && i < count; i++)
		n += q[i].answer == answer;
	arena_close(&life);
	return n;
}

static void
ground_close(struct house *h, struct letter *l)
{
	inquests_close(&l->all);
	loop_close(&h->loop);
}

static void
letter_begins(struct letter *l)
{
	l->done = 0;
	l->inquest = inquest_open(l->all, done, l);
}

static void
test_questions_and_answers(void **state)
{
	struct house  h = { .loop = loop_open() };
	struct letter l = { .all = inquests_open(&h) };

	(void)state;
	letter_begins(&l);
	HOLDS("a table that is not the letter's", !ask(&l, "pgsql:c", 1, 3) && world.wanted == 0);
	HOLDS("nothing", !ask(&l, "pgsql:a", 0, 3));
	HOLDS("nobody is there: somebody is wanted", ask(&l, "pgsql:a", 3, 3) && world.wanted == 1);
	meet(h.loop);
	inquests_met(l.all);
	turn(h.loop);
	HOLDS("all keys in one word", world.heard == 1 && world.keys == 3);
	SAME("of the table", bytes_of(world.table), BYTES("pgsql:a"));
	say(&l, 2, TABLE_FOUND, "v");
	HOLDS("never inside of a call", l.done == 0);
	turn(h.loop);
	HOLDS("what is missing is asked again", l.done == 0 && world.heard == 2 && world.keys == 1);
	say(&l, 1, TABLE_NONE, "");
	turn(h.loop);
	HOLDS("all are answered", l.done == 1 && known(&l, CHECK_SAYS) == 2 && known(&l, CHECK_NOTHING) == 1);
	HOLDS("another table in a word of its own", ask(&l, "pgsql:b", 1, 3));
	turn(h.loop);
	say(&l, 1, TABLE_LATER, "gone fishing");
	turn(h.loop);
	HOLDS("what cannot be known is said to be so", l.done == 2 && known(&l, CHECK_LATER) == 1 && known(&l, CHECK_SAYS) == 2);
	HOLDS("and nothing more is asked for this letter", !ask(&l, "pgsql:a", 1, 3) && world.heard == 3);
	inquest_close(&l.inquest);
	part();
	ground_close(&h, &l);
}

static void
test_who_is_asked_dies(void **state)
{
	struct house  h = { .loop = loop_open() };
	struct letter l = { .all = inquests_open(&h) };

	(void)state;
	world.heard = world.wanted = 0;
	letter_begins(&l);
	meet(h.loop);
	HOLDS("asked", ask(&l, "pgsql:a", 2, 3));
	turn(h.loop);
	part();
	inquests_lost(l.all);
	HOLDS("another is wanted, for who was told to leave does not come again",
	      world.wanted == 1);
	meet(h.loop);
	inquests_met(l.all);
	turn(h.loop);
	HOLDS("its successor is asked", l.done == 0 && world.heard == 2);
	part();
	inquests_lost(l.all);
	turn(h.loop);
	HOLDS("what two died over is put off", l.done == 1 && known(&l, CHECK_LATER) == 2);
	HOLDS("and nobody is wanted for it", world.wanted == 1);
	inquest_close(&l.inquest);

	letter_begins(&l);
	meet(h.loop);
	HOLDS("asked", ask(&l, "pgsql:a", 2, 3));
	turn(h.loop);
	inquest_close(&l.inquest);
	say(&l, 2, TABLE_FOUND, "too late");
	turn(h.loop);
	HOLDS("who has gone hears nothing", l.done == 0);
	part();
	ground_close(&h, &l);
}

static void
test_a_letter_asks_only_so_much(void **state)
{
	struct house  h = { .loop = loop_open() };
	struct letter l = { .all = inquests_open(&h) };

	(void)state;
	letter_begins(&l);
	HOLDS("too many", !ask(&l, "pgsql:a", INQUEST_MOST + 1, 6));
	inquest_close(&l.inquest);
	letter_begins(&l);
	HOLDS("too long", !ask(&l, "pgsql:a", 9, 1 << 20));
	inquest_close(&l.inquest);

	letter_begins(&l);
	meet(h.loop);
	world.heard = 0;
	HOLDS("more than go in one word", ask(&l, "pgsql:a", TABLE_ASK_ALL_MOST + 1, 6));
	turn(h.loop);
	HOLDS("are asked word by word", world.heard == 1 && world.keys <= TABLE_ASK_ALL_MOST);
	say(&l, world.keys, TABLE_NONE, "");
	turn(h.loop);
	HOLDS("the rest", world.heard == 2 && l.done == 0);
	say(&l, world.keys, TABLE_NONE, "");
	turn(h.loop);
	HOLDS("all", l.done == 1 && known(&l, CHECK_NOTHING) == TABLE_ASK_ALL_MOST + 1);
	inquest_close(&l.inquest);
	part();
	ground_close(&h, &l);
}

UNIT(test_questions_and_answers, test_who_is_asked_dies, test_a_letter_asks_only_so_much)
