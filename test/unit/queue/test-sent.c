/* Who has got a letter elsewhere is known after a crash, wherever the file was torn and whatever was done to it then. */
#include "unit.h"

#include "../spool/power.h"

#include "queue/sent.h"

static char path[64];

static struct sent *
opened(void)
{
	struct buffer errors = { 0 };
	struct sent  *s;

	if (path[0] == '\0')
		(void)snprintf(path, sizeof path, "/tmp/mansio-sent-%d", (int)getpid());
	s = sent_open(path, &errors);

	HOLDS("it opens", s != NULL && errors.len == 0);
	return s;
}

/* What was gathered is made durable, or not: 0 or errno. */
static int
synced(struct sent *s)
{
	int why = 0;

	if (sent_gather(s)) {
		why = sent_sync(s);
		sent_synced(s);
	}
	return why;
}

static off_t
size_now(void)
{
	struct stat st = { 0 };

	(void)stat(path, &st);
	return st.st_size;
}

static void
test_sent(void **state)
{
	struct sent *s = opened();
	off_t        whole;
	(void)state;

	HOLDS("nothing is known of a letter at first", !sent_before(s, 7, "a@x"));
	sent_add(s, 7, "a@x");
	sent_add(s, 7, "b@y");
	sent_add(s, 8, "a@x");
	HOLDS("there is something", sent_gather(s));
	HOLDS("it is written", sent_sync(s) == 0);
	sent_synced(s);
	HOLDS("once", !sent_gather(s));
	sent_close(&s);
	whole = size_now();

	for (off_t cut = whole; cut >= 0; cut--) {
		HOLDS("torn", truncate(path, cut) == 0);
		s = opened();
		HOLDS("the last record is whole or not there",
		      sent_before(s, 8, "a@x") == (cut == whole));
		HOLDS("the first too", sent_before(s, 7, "a@x") == (cut >= whole / 3));
		HOLDS("and is forgotten then", !sent_before(s, 7, "a@x"));
		HOLDS("nobody else has it", !sent_before(s, 7, "b@x"));
		sent_clear(s);
		HOLDS("what was not asked about stays", cut < 2 * whole / 3 || size_now() > 0);
		sent_finished(s, 7);
		sent_clear(s);
		HOLDS("until its letter is gone", size_now() == 0 || cut < whole / 3);
		sent_add(s, 9, "c@z");
		HOLDS("it goes on", synced(s) == 0);
		sent_close(&s);
		s = opened();
		HOLDS("behind what is whole", sent_before(s, 9, "c@z"));
		sent_close(&s);
		/* for the next cut all of it again */
		HOLDS("anew", truncate(path, 0) == 0);
		s = opened();
		sent_add(s, 7, "a@x");
		sent_add(s, 7, "b@y");
		sent_add(s, 8, "a@x");
		HOLDS("anew", synced(s) == 0);
		sent_close(&s);
	}
	(void)unlink(path);
}

/* Whose sender knows that it was refused has no letter, and the other way round. */
static void
test_told(void **state)
{
	struct sent *s = opened();
	(void)state;

	sent_told(s, 7, "a@x");
	sent_add(s, 7, "b@y");
	HOLDS("it is written", synced(s) == 0);
	sent_close(&s);
	s = opened();
	HOLDS("it was not sent", !sent_before(s, 7, "a@x"));
	HOLDS("the other was not told", !sent_was_told(s, 7, "b@y"));
	HOLDS("it was told", sent_was_told(s, 7, "a@x"));
	HOLDS("once", !sent_was_told(s, 7, "a@x"));
	HOLDS("the other was sent", sent_before(s, 7, "b@y"));
	sent_finished(s, 7);
	sent_clear(s);
	sent_close(&s);
}

static void
test_damaged(void **state)
{
	struct sent *s;
	int          fd = open(path, O_RDWR | O_CREAT, 0600);
	(void)state;

	HOLDS("rubbish", write(fd, "\1\2\3\4\377\377\377\377rubbish", 15) == 15);
	(void)close(fd);
	s = opened();
	HOLDS("is nothing", !sent_before(s, 0, ""));
	sent_close(&s);
	(void)unlink(path);
}

/* One of the queue before is never asked about, and a hundred thousand are sent after it. */
static void
test_does_not_grow_for_ever(void **state)
{
	struct sent *s;
	char         text[40];
	(void)state;

	(void)unlink(path);
	s = opened();
	sent_add(s, 7, "held@x");
	sent_add(s, 7, "other@x");
	HOLDS("written", synced(s) == 0);
	sent_close(&s);
	s = opened();
	for (uint64_t n = 0; n < 100000; n++) {
		(void)snprintf(text, sizeof text, "somebody-%u@example.com", (unsigned)n);
		sent_add(s, 1000 + n, text);
		if (n % 1000 != 999)
			continue;
		HOLDS("written", synced(s) == 0);
		sent_clear(s);
		HOLDS("it is not long", size_now() < 128 * 1024);
	}
	sent_add(s, 8, "last@x");
	HOLDS("written", synced(s) == 0);
	sent_close(&s);
	s = opened();
	HOLDS("they are still known", sent_before(s, 7, "other@x") && sent_before(s, 7, "held@x") && sent_before(s, 8, "last@x"));
	sent_close(&s);
	(void)unlink(path);
}

/* What is sent while the ledger's checkpoint is written, and a sync of others is under way. */
static void
test_a_checkpoint_meanwhile(void **state)
{
	struct sent *s;
	(void)state;

	(void)unlink(path);
	s = opened();
	sent_add(s, 7, "in-the-ledger@x");
	HOLDS("at work", sent_gather(s));
	sent_add(s, 8, "in-the-ledger@x");
	sent_clear(s);
	sent_add(s, 9, "not-yet@x");
	HOLDS("written", sent_sync(s) == 0);
	HOLDS("nobody looks at what a thread writes", size_now() > 0);
	sent_synced(s);
	HOLDS("it was all in the ledger", size_now() == 0);
	HOLDS("what came since is not", synced(s) == 0 && size_now() > 0);
	sent_close(&s);
	s = opened();
	HOLDS("and is known", sent_before(s, 9, "not-yet@x") && !sent_before(s, 8, "in-the-ledger@x"));
	sent_close(&s);
	(void)unlink(path);
}

static const char *fails;

static int
step(const char *what, int fd)
{
	(void)fd;
	return fails != NULL && strcmp(what, fails) == 0 ? EIO : 0;
}

static const char *const disk_steps[] = { "write", "sync", "rename", "name" };

/* While it is made short the disk refuses a part of that: what is added then is still read after a crash. */
static void
test_disk_refuses(void **state)
{
	char text[40];
	(void)state;

	for (size_t i = 0; i < COUNT(disk_steps); i++) {
		struct sent *s;
		bool         falls_back = strcmp(disk_steps[i], "rename") == 0;

		(void)unlink(path);
		s = opened();
		sent_add(s, 6, "asked-about@x");
		sent_add(s, 7, "held@x");
		HOLDS("written", synced(s) == 0);
		sent_close(&s);
		s = opened();
		HOLDS("known", sent_before(s, 6, "asked-about@x"));
		for (uint64_t n = 0; n < 4000; n++) {
			(void)snprintf(text, sizeof text, "somebody-%u@example.com", (unsigned)n);
			sent_add(s, 1000 + n, text);
		}
		HOLDS("written", synced(s) == 0);
		sent_clear(s);
		sent_add(s, 8, "meanwhile@x");
		disk_step = step;
		fails = disk_steps[i];
		HOLDS("what is not durable is told", (synced(s) == 0) == falls_back);
		fails = NULL;
		disk_step = NULL;
		sent_add(s, 9, "last@x");
		HOLDS("written", synced(s) == 0);
		sent_close(&s);
		s = opened();
		if (!sent_before(s, 7, "held@x") || !sent_before(s, 8, "meanwhile@x") || !sent_before(s, 9, "last@x"))
			fail_msg("%s: somebody who has it is not known", disk_steps[i]);
		sent_close(&s);
	}
	(void)unlink(path);
}

/* The disk was full for a moment: what came then and what comes later stand one behind the other. */
static void
test_full_for_a_moment(void **state)
{
	struct sent *s;
	(void)state;

	for (size_t i = 0; i < 2; i++) {
		(void)unlink(path);
		s = opened();
		sent_add(s, 1, "before@x");
		HOLDS("written", synced(s) == 0);
		sent_add(s, 2, "then@x");
		disk_step = step;
		fails = disk_steps[i];
		HOLDS("not written", synced(s) == EIO);
		disk_step = NULL;
		sent_add(s, 3, "later@x");
		HOLDS("written", synced(s) == 0);
		sent_close(&s);
		s = opened();
		HOLDS("all of them", sent_before(s, 1, "before@x") && sent_before(s, 2, "then@x") && sent_before(s, 3, "later@x"));
		sent_close(&s);
	}
	(void)unlink(path);
}

/* ---- the plug is pulled at every step ------------------------------------------------------------ */

enum { HELD = 100, SENT = 60 };

/* What the child may rely on when it ends. */
struct relied {
	bool sent, in_ledger, eight, nine;
};

static struct sent *
opened_in(int dir)
{
	struct buffer errors = { 0 };
	char          at[64];

	(void)snprintf(at, sizeof at, "/proc/self/fd/%d/sent", dir);
	return sent_open(at, &errors);
}

static void
each(struct sent *s, uint64_t first, int count)
{
	for (int n = 0; n < count; n++)
		sent_add(s, first + (uint64_t)n, "somebody@example.com");
}

/* All is there that was, some are sent, the ledger has them, so the file is made short, and two more are sent. */
static void
a_day(int dir, void *ctx)
{
	struct relied *r = ctx;
	struct sent   *s = opened_in(dir);

	if (s == NULL)
		return;
	(void)sent_before(s, 1, "somebody@example.com");
	each(s, 1000, SENT);
	r->sent = synced(s) == 0;
	r->in_ledger = true;
	sent_clear(s);
	each(s, 8, 1);
	r->eight = synced(s) == 0;
	each(s, 9, 1);
	r->nine = synced(s) == 0;
}

static int
known(struct sent *s, uint64_t first, int count)
{
	int n = 0;

	for (int i = 0; i < count; i++)
		n += sent_before(s, first + (uint64_t)i, "somebody@example.com");
	return n;
}

static const char *const power_words[] = { "killed", "cut", "torn", "EIO", "full" };

/* The state it is found in is that before a step or that behind it.  `first`: there was no file. */
static void
look(enum power how, long at, int dir, const struct relied *r, bool first)
{
	struct sent *s = opened_in(dir);
	int          sent, held;

	if (s == NULL)
		fail_msg("%s at step %ld: it does not open", power_words[how], at);
	sent = known(s, 1000, SENT);
	held = known(s, 101, HELD);
	if (!first && held != HELD)
		fail_msg("%s at step %ld: of %d that are held %d are known", power_words[how], at, HELD, held);
	if (r->sent && !r->in_ledger && sent != SENT)
		fail_msg("%s at step %ld: of %d that were sent %d are known", power_words[how], at, SENT, sent);
	if (r->sent && sent != SENT && sent != 0)
		fail_msg("%s at step %ld: neither before nor after: %d", power_words[how], at, sent);
	if ((r->eight && known(s, 8, 1) != 1) || (r->nine && known(s, 9, 1) != 1))
		fail_msg("%s at step %ld: one that was relied on is not known", power_words[how], at);
	if (known(s, 5000, 1) != 0)
		fail_msg("%s at step %ld: one is known that was not sent", power_words[how], at);
	sent_close(&s);
}

static int
folder(char at[static 64])
{
	(void)snprintf(at, 64, "/tmp/unit-sent-XXXXXX");
	HOLDS("a directory of our own", mkdtemp(at) != NULL);
	return open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void
pull_the_plug(enum power how, bool first)
{
	struct relied *r = power_shared(sizeof *r);
	char           live[64], left[64];
	bool           over = false;
	long           step_at;

	for (step_at = 0; !over; step_at++) {
		int          dir = folder(live), after = folder(left);
		struct sent *s = first ? NULL : opened_in(dir);

		*r = (struct relied){ 0 };
		if (s != NULL) {
			each(s, 1, 1);
			each(s, 101, HELD);
			HOLDS("a queue before", synced(s) == 0);
			sent_close(&s);
		}
		over = power_run(how, step_at, dir, left, a_day, r);
		look(how, step_at, over || how == POWER_KILLED || how >= POWER_EIO ? dir : after, r, first);
		(void)close(dir);
		(void)close(after);
		HOLDS("cleared", power_remove_one(live) == 0 && power_remove_one(left) == 0);
	}
	if (step_at < 10)
		fail_msg("%s: %ld steps are not all that are done", power_words[how], step_at);
}

static void
test_the_plug_is_pulled(void **state)
{
	(void)state;
	for (enum power how = POWER_KILLED; how <= POWER_FULL; how++) {
		pull_the_plug(how, false);
		pull_the_plug(how, true);
	}
}

UNIT(test_told, test_disk_refuses, test_full_for_a_moment, test_a_checkpoint_meanwhile, test_does_not_grow_for_ever, test_sent, test_damaged,
     test_the_plug_is_pulled)
