/* test-turns -- what takes long with files is done by the thread or some at a time, while others have their turns */
#include "../unit.h"

#include <errno.h>
#include <stdio.h>

#include "kit.h"
#include "spool/disk.h"
#include "store/foreign.h"

enum { ACCOUNT = 7, LETTERS = 30, LINES = 250, LINE = 60 };

struct ground {
	struct kit      kit;
	struct account *account;
	struct mailbox *inbox;
	const char     *driver;
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
	(void)snprintf(location, sizeof location, "%s:%s", g->driver, g->place);
	assert_int_equal(account_locate(g->account, location), 0);
}

static void
ground_open(struct ground *g, unsigned letters, unsigned lines)
{
	*g = (struct ground){ .driver = "mbox" };
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

/* ---- a Maildir ---- */

enum { FILES = 5000 };

static void
name_of(const struct ground *g, unsigned n, const char *flags, char out[static 160])
{
	(void)snprintf(out, 160, "%s/cur/17%08u.x.y:2,%s", g->place, n, flags);
}

static void
maildir_make(struct ground *g)
{
	static const char *const parts[] = { "", "/cur", "/new", "/tmp" };
	char                     path[160];

	*g = (struct ground){ .driver = "maildir" };
	kit_folder(&g->kit);
	(void)snprintf(g->place, sizeof g->place, "%s/outside", g->kit.path);
	for (size_t i = 0; i < COUNT(parts); i++) {
		(void)snprintf(path, sizeof path, "%s%s", g->place, parts[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
}

static void
maildir_open(struct ground *g)
{
	char path[160];

	maildir_make(g);
	for (unsigned i = 0; i < FILES; i++) {
		int fd;
		name_of(g, i, "", path);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_int_equal(write(fd, "Subject: x\n\n", 12), 12);
		assert_int_equal(close(fd), 0);
	}
	enter(g);
}

/* How many turns of store_later() it takes until all is known. */
static unsigned
look_through(struct ground *g)
{
	unsigned turns = 0;

	g->settled = 0;
	if (mailbox_sync(g->inbox, settled, g))
		return 0;
	for (; g->settled == 0 && turns < 100000; turns++) {
		store_later(g->kit.store);
		store_at_rest(g->kit.store);
		(void)kit_jobs(&g->kit);
	}
	kit_turns(&g->kit);
	return turns;
}

static void
look_again(struct ground *g)
{
	g->inbox->folder->looked = 0;
	HOLDS("it ends", look_through(g) < 100000);
}

static bool
lies_there(const struct ground *g, unsigned n, const char *flags)
{
	char path[160];

	name_of(g, n, flags, path);
	return access(path, F_OK) == 0;
}

static void
put_file(const struct ground *g, const char *name, const char *text)
{
	char   path[160];
	size_t len = strlen(text);
	int    fd;

	(void)snprintf(path, sizeof path, "%s/%s", g->place, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	assert_int_equal(close(fd), 0);
}

static void
touch(const struct ground *g, const char *name)
{
	char path[100];

	(void)snprintf(path, sizeof path, "cur/%s", name);
	put_file(g, path, "Subject: x\n\n");
}

static void
test_a_list_of_files_is_read_some_at_a_time(void **state)
{
	struct ground g;
	char          from[160], to[160];
	(void)state;

	maildir_open(&g);
	g.inbox = kit_mailbox(g.account, "INBOX");
	assert_int_equal(mailbox_count(g.inbox), 0);
	HOLDS("not in one turn", look_through(&g) > 2);
	assert_int_equal(mailbox_count(g.inbox), FILES);
	g.inbox->folder->looked =
		clock_patient_ms(); /* just now, however long the machine took for it */
	HOLDS("who waited for it is answered", mailbox_sync(g.inbox, settled, &g));
	g.inbox->folder->looked = 0; /* a second later */
	/* Another look: while it goes on, others and we change flags, and a letter goes. */
	touch(&g, "1800000000.x.y:2,S");
	assert_false(mailbox_sync(g.inbox, settled, &g));
	flag(&g, 1, FLAGS_ADD, FLAG_FLAGGED);
	flag(&g, FILES, FLAGS_ADD, FLAG_FLAGGED);
	name_of(&g, 9, "", from);
	name_of(&g, 9, "R", to);
	assert_int_equal(rename(from, to), 0);
	name_of(&g, 20, "", from);
	assert_int_equal(unlink(from), 0);
	HOLDS("the look goes on", look_through(&g) > 1);
	look_again(&g);
	assert_int_equal(mailbox_count(g.inbox), FILES);
	HOLDS("ours are written", lies_there(&g, 0, "F") && lies_there(&g, FILES - 1, "F"));
	HOLDS("theirs are known",
	      mailbox_entry(g.inbox, 9).flags == FLAG_ANSWERED && lies_there(&g, 9, "R"));
	HOLDS("ours stay", mailbox_entry(g.inbox, 0).flags == FLAG_FLAGGED);
	HOLDS("one went, one came",
	      mailbox_find(g.inbox, 21) < 0 && mailbox_find(g.inbox, FILES + 1) >= 0);
	ground_close(&g);
}

static void
test_a_folder_is_closed_while_its_list_is_read(void **state)
{
	struct ground g;
	(void)state;

	maildir_open(&g);
	g.inbox = kit_mailbox(g.account, "INBOX");
	assert_false(mailbox_sync(g.inbox, settled, &g));
	store_later(g.kit.store);
	mailbox_sync_drop(g.inbox, &g);
	ground_close(&g);
	assert_int_equal(g.settled, 0);
}

static void
tell_uids(const struct ground *g, struct buffer *out)
{
	for (uint32_t i = 0; i < mailbox_count(g->inbox); i++)
		buffer_printf(out, "%u ", mailbox_entry(g->inbox, i).uid);
	buffer_printf(out, "next %u", g->inbox->uidnext);
}

/* What had a uid keeps it; what came after the owner's last look gets one that it never gave (rfc9051:2.3.1.1). */
static void
test_uids_of_a_former_owner(void **state)
{
	static const struct {
		const char *why, *list, *file[4], *uids;
	} rows[] = {
		{ "nothing is fresh",
		  "3 V1234567890 N50\n40 :17000001.a.b\n42 :17000002.c.d\n",
		  { "cur/17000001.a.b:2,S", "cur/17000002.c.d:2," },
		  "40 42 next 50" },
		{ "two came after the last look, one of them with an older name",
		  "3 V1234567890 N50\n40 :17000001.a.b\n42 :17000002.c.d\n",
		  { "cur/17000001.a.b:2,S", "cur/17000002.c.d:2,", "new/17000003.e.f",
		    "new/16000000.g.h" },
		  "40 42 50 51 next 52" },
		{ "all that had uids are gone",
		  "3 V1234567890 N50\n42 :17000002.c.d\n",
		  { "new/17000003.e.f" },
		  "50 next 51" },
		{ "no next uid is told",
		  "3 V1234567890\n42 :17000002.c.d\n",
		  { "new/17000003.e.f", "cur/17000002.c.d:2," },
		  "42 43 next 44" },
		{ "of an older one",
		  "1 1234567890 50\n42 17000002.c.d\n",
		  { "new/17000003.e.f", "cur/17000002.c.d:2," },
		  "42 50 next 51" },
		{ "nothing there", "3 V1234567890 N50\n", { NULL }, "next 50" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ground  g;
		struct buffer  got = { 0 };
		struct arrival v;
		uint32_t       uid;
		maildir_make(&g);
		put_file(&g, "dovecot-uidlist", rows[i].list);
		for (size_t k = 0; k < COUNT(rows[i].file) && rows[i].file[k] != NULL; k++)
			put_file(&g, rows[i].file[k], "Subject: x\n\n");
		enter(&g);
		g.inbox = kit_mailbox(g.account, "INBOX");
		v = kit_arrival(&g.kit, 0);
		HOLDS("a letter that comes meanwhile waits",
		      rows[i].file[0] == NULL || mailbox_arrive(g.inbox, &v, &uid) == EBUSY);
		kit_turns(&g.kit);
		assert_int_equal(g.inbox->uidvalidity, 1234567890);
		tell_uids(&g, &got);
		SAME(rows[i].why, buffer_bytes(&got), bytes_of(rows[i].uids));
		buffer_free(&got);
		mailbox_drop(&g.inbox);
		account_drop(&g.account);
		kit_close(&g.kit);
		enter(&g);
		g.inbox = kit_mailbox(g.account, "INBOX");
		kit_turns(&g.kit);
		tell_uids(&g, &got);
		SAME("and so it stays", buffer_bytes(&got), bytes_of(rows[i].uids));
		HOLDS("nothing waits any more", mailbox_arrive(g.inbox, &v, &uid) != EBUSY);
		buffer_free(&got);
		ground_close(&g);
	}
}

/* Some turns; what is with verifiers then is answered to nobody. */
static void
live_and_die(struct ground *g, unsigned turns)
{
	enter(g);
	g->inbox = kit_mailbox(g->account, "INBOX");
	for (unsigned i = 0; i < turns; i++) {
		store_at_rest(g->kit.store);
		(void)kit_jobs(&g->kit);
	}
	mailbox_drop(&g->inbox);
	account_drop(&g->account);
	store_close(&g->kit.store);
	while (kit_jobs(&g->kit) > 0)
		;
	letters_close(&g->kit.letters);
}

/* Whoever dies between the first and the last of them goes on with the uids of the rest. */
static void
test_uids_of_a_former_owner_are_taken_over_by_many(void **state)
{
	enum { THERE = 30, FRESH = 3, LIVES = 3, TURNS = 12 };

	(void)state;
	for (unsigned turns = 0; turns < TURNS; turns++) {
		struct ground g;
		struct buffer list = { 0 }, wanted = { 0 }, got = { 0 };
		char          name[60];

		maildir_make(&g);
		buffer_add_string(&list, "3 V1234567890 N5000\n");
		for (unsigned i = 0; i < THERE + FRESH; i++) {
			(void)snprintf(name, sizeof name, "cur/17%06u.a.b:2,", i);
			put_file(&g, name, "Subject: x\n\n");
			if (i < THERE)
				buffer_printf(&list, "%u :17%06u.a.b\n", 100 + 7 * i, i);
			buffer_printf(&wanted, "%u ", i < THERE ? 100 + 7 * i : 5000 + i - THERE);
		}
		buffer_printf(&wanted, "next %u", 5000 + FRESH);
		buffer_add_char(&list, '\0');
		put_file(&g, "dovecot-uidlist", list.at);
		for (unsigned i = 0; i < LIVES; i++)
			live_and_die(&g, turns);
		enter(&g);
		g.inbox = kit_mailbox(g.account, "INBOX");
		kit_turns(&g.kit);
		assert_int_equal(g.inbox->uidvalidity, 1234567890);
		tell_uids(&g, &got);
		SAME("each has its own", buffer_bytes(&got), buffer_bytes(&wanted));
		buffer_free(&list);
		buffer_free(&wanted);
		buffer_free(&got);
		ground_close(&g);
	}
}

UNIT(test_a_long_one_is_read_by_the_thread, test_what_is_added_meanwhile_comes_too,
     test_nobody_waits_for_it_any_more, test_changes_are_written_by_the_thread,
     test_expunged_while_it_is_written, test_a_list_of_files_is_read_some_at_a_time,
     test_a_folder_is_closed_while_its_list_is_read, test_uids_of_a_former_owner,
     test_uids_of_a_former_owner_are_taken_over_by_many)
