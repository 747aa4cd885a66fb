/* Questions to role proxymap: asked once, known for a while, never lost. */

#include "unit.h"

#include <sys/socket.h>
#include <unistd.h>

#include "channel/link.h"
#include "role/enquiry.h"

/* The other side: what it heard, and what it would say. */
static struct {
	struct link *ours, *theirs;
	int          wanted, heard;
	uint32_t     ticket;
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
	(void)ctx;
	(void)l;
	(void)body;
	(void)fd;
	HOLDS("a question", word == WORD_TABLE_ASK);
	world.heard++;
	world.ticket = ticket;
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

struct asker {
	struct enquiry     enquiry;
	int                times;
	enum table_outcome outcome;
	char               value[64];
};

static void
answered(struct enquiry *q, enum table_outcome outcome, struct bytes value)
{
	struct asker *a = (struct asker *)q;

	a->times++;
	a->outcome = outcome;
	(void)bytes_string(value, a->value, sizeof a->value);
}

static void
say(struct enquiries *e, enum table_outcome outcome, const char *value)
{
	struct word_table_said w = { (uint8_t)outcome, bytes_of(value) };
	struct buffer          b = { 0 };

	word_pack_table_said(&b, &w);
	HOLDS("it is understood", enquiries_heard(e, world.ticket, buffer_bytes(&b)));
	buffer_free(&b);
}

static void
test_enquiries(void **state)
{
	static const struct proxymap_settings rows = { .cache_ms = 60000, .cache_most = 4 };
	struct house                          h = { .loop = loop_open() };
	struct enquiries                     *e = enquiries_open(&h, &rows);
	struct arena                         *life = arena_open(NULL);
	struct asker                          a = { .enquiry.answered = answered }, b = a, c = a;
	struct bytes                          value;

	(void)state;
	HOLDS("nothing is known",
	      enquiry_kept(e, "pgsql:x", BYTES("k"), life, &value) == TABLE_WAIT);
	enquiry_ask(e, &a.enquiry, "pgsql:x", BYTES("k"));
	HOLDS("nobody is there: somebody is wanted", world.wanted == 1);
	meet(h.loop);
	enquiries_met(e);
	enquiry_ask(e, &b.enquiry, "pgsql:x", BYTES("k"));
	enquiry_ask(e, &c.enquiry, "pgsql:x", BYTES("k"));
	enquiry_drop(e, &c.enquiry);
	turn(h.loop);
	HOLDS("equal questions are asked once", world.heard == 1);
	say(e, TABLE_FOUND, "v");
	HOLDS("never inside of a call", a.times == 0);
	turn(h.loop);
	HOLDS("all hear it once", a.times == 1 && b.times == 1 && a.outcome == TABLE_FOUND);
	SAME("what was said", bytes_of(b.value), BYTES("v"));
	HOLDS("who dropped it does not", c.times == 0);
	HOLDS("it is known", enquiry_kept(e, "pgsql:x", BYTES("k"), life, &value) == TABLE_FOUND);
	SAME("as it was said", value, BYTES("v"));
	HOLDS("of this table alone",
	      enquiry_kept(e, "pgsql:y", BYTES("k"), life, &value) == TABLE_WAIT);

	enquiry_ask(e, &a.enquiry, "pgsql:x", BYTES("l"));
	turn(h.loop);
	part();
	enquiries_lost(e);
	turn(h.loop);
	HOLDS("death is no answer", a.times == 1);
	HOLDS("and another is wanted, for who was told to leave does not come again",
	      world.wanted == 2);
	meet(h.loop);
	enquiries_met(e);
	turn(h.loop);
	HOLDS("its successor is asked", world.heard == 3);
	part();
	enquiries_lost(e);
	turn(h.loop);
	HOLDS("what two died over is put off", a.times == 2 && a.outcome == TABLE_LATER);
	HOLDS("and nobody is wanted for it", world.wanted == 2);

	meet(h.loop);
	for (char k = '0'; k <= '9'; k++) {
		enquiry_ask(e, &a.enquiry, "pgsql:x", (struct bytes){ &k, 1 });
		turn(h.loop);
		say(e, TABLE_NONE, "");
	}
	HOLDS("of many the last are known",
	      enquiry_kept(e, "pgsql:x", BYTES("9"), life, &value) == TABLE_NONE);
	HOLDS("and the first are not",
	      enquiry_kept(e, "pgsql:x", BYTES("0"), life, &value) == TABLE_WAIT);
	enquiries_forget(e, &rows);
	HOLDS("all is forgotten",
	      enquiry_kept(e, "pgsql:x", BYTES("9"), life, &value) == TABLE_WAIT);
	turn(h.loop);
	part();
	enquiries_close(&e);
	arena_close(&life);
	loop_close(&h.loop);
}

UNIT(test_enquiries)
