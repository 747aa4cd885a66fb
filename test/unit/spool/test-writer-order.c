/* Letters of one segment are told in the order in which they lie there: the queue remembers how far it
   has heard of each segment, and what lies before that is not looked for after a crash. */
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/journal.h"
#include "spool/writer.h"

struct job {
	void (*run)(void *);
	void (*done)(void *);
	void *ctx;
};
static struct job job[16];
static size_t     jobs;
static uint64_t   told[16], at[16];
static size_t     tolds;

static void
take_job(void *ctx, void (*run)(void *), void (*done)(void *), void *job_ctx)
{
	(void)ctx;
	job[jobs++] = (struct job){ run, done, job_ctx };
}

/* The last that was begun ends first. */
static void
do_last(void)
{
	struct job j = job[--jobs];

	j.run(j.ctx);
	j.done(j.ctx);
}

static void
want(void *ctx, bool own, uint64_t size)
{
	(void)ctx, (void)own, (void)size;
}

static void
done(void *ctx, uint32_t segment, uint64_t used, int why)
{
	(void)ctx, (void)segment, (void)used, (void)why;
}

static void
safe(void *ctx, int why, uint64_t letter, uint32_t segment, uint64_t envelope_at)
{
	(void)ctx, (void)segment;
	HOLDS("no trouble", why == 0);
	at[tolds] = envelope_at;
	told[tolds++] = letter;
}

static void
lend(struct writer *w, uint32_t number, uint64_t room)
{
	char name[] = "/tmp/unit-order-XXXXXX";
	int  fd = mkstemp(name);

	HOLDS("a file", fd >= 0 && unlink(name) == 0);
	writer_lend(w, number, fd, room, false);
}

static void
test_order(void **state)
{
	static const struct writer_needs needs = { .job = take_job, .want = want, .done = done };
	struct writer                   *w = writer_open(&needs, NULL);
	static char                      body[60000];
	struct bytes                     content = { body, sizeof body }, large = { body, 20000 },
		     small = { body, 100 };
	uint64_t x, y;
	(void)state;

	journal_open(JOURNAL_FILE, -1, false, "host");
	/* The content of X fills the first segment: its envelope comes into the second, before Y's. */
	lend(w, 1, SEGMENT_HEADER + record_takes(sizeof body) + 16384 + RECORD_HEADER + 64);
	lend(w, 2, 1 << 20);
	x = writer_content(w, content);
	HOLDS("in the first", letter_segment(x) == 1);
	writer_envelope(w, x, large, safe, NULL);
	y = writer_content(w, small);
	HOLDS("in the second", letter_segment(y) == 2);
	writer_envelope(w, y, small, safe, NULL);
	writer_at_rest(w);
	HOLDS("both are being synced", jobs == 2);
	/* Whichever sync ends first: nobody hears of Y before X. */
	do_last();
	HOLDS("X first", tolds == 0 || told[0] == x);
	do_last();
	HOLDS("both, in order", tolds == 2 && told[0] == x && told[1] == y && at[0] < at[1]);
	writer_close(&w);
}

static void
test_order_the_other_way(void **state)
{
	static const struct writer_needs needs = { .job = take_job, .want = want, .done = done };
	struct writer                   *w = writer_open(&needs, NULL);
	static char                      body[60000];
	uint64_t                         x, y;
	(void)state;

	tolds = jobs = 0;
	lend(w, 1, SEGMENT_HEADER + record_takes(sizeof body) + 16384 + RECORD_HEADER + 64);
	lend(w, 2, 1 << 20);
	x = writer_content(w, (struct bytes){ body, sizeof body });
	writer_envelope(w, x, (struct bytes){ body, 20000 }, safe, NULL);
	y = writer_content(w, (struct bytes){ body, 100 });
	writer_envelope(w, y, (struct bytes){ body, 100 }, safe, NULL);
	writer_at_rest(w);
	HOLDS("both are being synced", jobs == 2);
	struct job first = job[0];
	job[0] = job[1];
	job[1] = first;
	do_last();
	HOLDS("X first", tolds == 0 || told[0] == x);
	do_last();
	HOLDS("both, in order", tolds == 2 && told[0] == x && told[1] == y);
	writer_close(&w);
}

UNIT(test_order, test_order_the_other_way)
