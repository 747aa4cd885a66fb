/* test-mbox-turns -- an mbox is read and rewritten by the thread, while others have their turns */
#include "../unit.h"

#include <errno.h>
#include <stdio.h>

#include "kit.h"
#include "spool/disk.h"

enum { ACCOUNT = 7, LETTERS = 30, LINES = 250, LINE = 60 };

struct ground {
	struct kit      kit;
	struct account *account;
	struct mailbox *inbox;
	char            place[128];
	size_t          settled, later;
};

/* ---- a verifier that finds the same in every letter ---- */

struct asked {
	void (*answered)(void *who, int why, struct bytes digest);
	void *who;
};

static void
nothing(void *job)
{
	(void)job;
}

static void
answer(void *job)
{
	struct asked *a = job;
	struct buffer digest = { 0 };
	struct arena *arena = arena_open(NULL);

	digest_make(BYTES("Subject: x\r\n\r\n"), arena, &digest);
	a->answered(a->who, 0, buffer_bytes(&digest));
	buffer_free(&digest);
	arena_close(&arena);
	memory_free(a);
}

static void
ask(void *ctx, int fd, uint64_t at, uint64_t len,
    void (*answered)(void *who, int why, struct bytes digest), void *who)
{
	struct asked *a = memory_take(sizeof *a);

	(void)fd, (void)at, (void)len;
	*a = (struct asked){ answered, who };
	kit_job_take(ctx, nothing, answer, a);
}

static void
later(void *ctx)
{
	((struct ground *)ctx)->later++;
}

static void
settled(void *ctx)
{
	((struct ground *)ctx)->settled++;
}

/* ---- the ground ---- */

static void
add_letter(const struct ground *g, unsigned n, unsigned lines)
{
	char  path[160];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/inbox", g->place);
	f = fopen(path, "a");
	assert_non_null(f);
	(void)fprintf(f, "From eva@example.org Sat Jan  3 01:05:34 1996\nSubject: letter %u\n\n",
	              n);
	for (unsigned i = 0; i < lines; i++)
		(void)fprintf(f, "%*s\n", LINE, "x");
	(void)fputs("\n", f);
	assert_int_equal(fclose(f), 0);
}

static void
enter(struct ground *g)
{
	static const struct store_needs needs = {
		.job = kit_job_take, .digest = ask, .later = later, .ours = kit_ours
	};
	char location[160];

	g->kit.letters = letters_open(g->kit.dir);
	g->kit.store = store_open(g->kit.dir, g->kit.letters, g->kit.history_ms, &needs, g);
	g->account = kit_take(&g->kit, ACCOUNT);
	(void)snprintf(location, sizeof location, "mbox:%s", g->place);
	assert_int_equal(account_locate(g->account, location), 0);
}

static void
ground_open(struct ground *g, unsigned letters, unsigned lines)
{
	*g = (struct ground){ .account = NULL };
	kit_folder(&g->kit);
	(void)snprintf(g->place, sizeof g->place, "%s/outside", g->kit.path);
	assert_int_equal(mkdir(g->place, 0700), 0);
	for (unsigned i = 1; i <= letters; i++)
		add_letter(g, i, lines);
	enter(g);
}

static void
ground_close(struct ground *g)
{
	mailbox_drop(&g->inbox);
	account_drop(&g->account);
	kit_close(&g->kit);
	kit_remove(&g->kit);
}

static size_t
marks(const struct ground *g, const char *mark)
{
	static char text[4096];
	char        path[160];
	size_t      n = 0;
	FILE       *f;

	(void)snprintf(path, sizeof path, "%s/inbox", g->place);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(text, sizeof text, f) != NULL)
		n += strstr(text, mark) != NULL;
	assert_int_equal(fclose(f), 0);
	return n;
}

/* ---- reading ---- */

static void
test_a_long_one_is_read_by_the_thread(void **state)
{
	struct ground g;
	(void)state;

	ground_open(&g, LETTERS, LINES);
	g.inbox = kit_mailbox(g.account, "INBOX");
	assert_false(mailbox_sync(g.inbox, settled, &g));
	HOLDS("the turn ends before anything is read",
	      mailbox_count(g.inbox) == 0 && g.kit.jobs == 1);
	kit_turns(&g.kit);
	assert_int_equal(g.settled, 1);
	assert_int_equal(mailbox_count(g.inbox), LETTERS);
	HOLDS("who waited for it does not wait for another", mailbox_sync(g.inbox, settled, &g));
	ground_close(&g);
}

static void
test_what_is_added_meanwhile_comes_too(void **state)
{
	struct ground g;
	(void)state;

	ground_open(&g, LETTERS, LINES);
	g.inbox = kit_mailbox(g.account, "INBOX");
	assert_false(mailbox_sync(g.inbox, settled, &g));
	add_letter(&g, LETTERS + 1, LINES); /* by somebody who knows no locks */
	kit_turns(&g.kit);
	store_later(g.kit.store);
	kit_turns(&g.kit);
	assert_int_equal(g.settled, 1);
	assert_int_equal(mailbox_count(g.inbox), LETTERS + 1);
	ground_close(&g);
}

static void
test_nobody_waits_for_it_any_more(void **state)
{
	struct ground g;
	(void)state;

	ground_open(&g, LETTERS, LINES);
	g.inbox = kit_mailbox(g.account, "INBOX");
	HOLDS("it is being read", g.kit.jobs == 1);
	mailbox_drop(&g.inbox);
	account_drop(&g.account);
	store_close(&g.kit.store);
	assert_int_equal(kit_jobs(&g.kit), 1);
	letters_close(&g.kit.letters);
	kit_remove(&g.kit);
}

/* ---- writing ---- */

static void
flag(struct ground *g, uint32_t uid, enum flags_how how, uint64_t flags)
{
	struct uid_range one = { uid, uid };
	struct uid_set   set = { &one, 1 };

	assert_int_equal(mailbox_flags(g->inbox, &set, how, flags, UINT64_MAX, NULL, NULL, NULL),
	                 0);
}

/* The facts are durable; what they change outside is with the thread. */
static void
facts_only(struct ground *g)
{
	store_at_rest(g->kit.store);
	assert_int_equal(kit_jobs(&g->kit), 1);
	assert_int_equal(g->kit.jobs, 1);
}

static void
test_changes_are_written_by_the_thread(void **state)
{
	struct ground g;
	(void)state;

	ground_open(&g, 3, 1);
	g.inbox = kit_mailbox(g.account, "INBOX");
	kit_turns(&g.kit);
	assert_int_equal(mailbox_count(g.inbox), 3);
	flag(&g, 1, FLAGS_ADD, FLAG_FLAGGED);
	flag(&g, 2, FLAGS_ADD, FLAG_ANSWERED);
	facts_only(&g);
	HOLDS("not in this turn", marks(&g, "X-Status: ") == 0);
	flag(&g, 1, FLAGS_REMOVE, FLAG_FLAGGED); /* changed again while it is written */
	flag(&g, 3, FLAGS_ADD, FLAG_FLAGGED);
	kit_turns(&g.kit);
	store_later(g.kit.store);
	kit_turns(&g.kit);
	HOLDS("the last word stands there",
	      marks(&g, "X-Status: A") == 1 && marks(&g, "X-Status: F") == 1);
	assert_true(mailbox_sync(g.inbox, settled, &g));
	HOLDS("and here", mailbox_entry(g.inbox, 0).flags == 0 &&
	                          mailbox_entry(g.inbox, 1).flags == FLAG_ANSWERED &&
	                          mailbox_entry(g.inbox, 2).flags == FLAG_FLAGGED);
	ground_close(&g);
}

static void
test_expunged_while_it_is_written(void **state)
{
	struct ground    g;
	struct uid_range one = { 2, 2 };
	struct uid_set   set = { &one, 1 }, gone;
	struct arena    *arena = arena_open(NULL);
	(void)state;

	ground_open(&g, 3, 1);
	g.inbox = kit_mailbox(g.account, "INBOX");
	kit_turns(&g.kit);
	flag(&g, 2, FLAGS_ADD, FLAG_FLAGGED);
	facts_only(&g);
	assert_int_equal(mailbox_expunge(g.inbox, &set, true, arena, &gone, NULL), 0);
	kit_turns(&g.kit);
	store_later(g.kit.store);
	kit_turns(&g.kit);
	HOLDS("it is gone there, too",
	      marks(&g, "Subject: letter ") == 2 && marks(&g, "letter 2") == 0);
	assert_true(mailbox_sync(g.inbox, settled, &g));
	assert_int_equal(mailbox_count(g.inbox), 2);
	arena_close(&arena);
	ground_close(&g);
}

UNIT(test_a_long_one_is_read_by_the_thread, test_what_is_added_meanwhile_comes_too,
     test_nobody_waits_for_it_any_more, test_changes_are_written_by_the_thread,
     test_expunged_while_it_is_written)
