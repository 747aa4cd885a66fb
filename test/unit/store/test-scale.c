/* Large mailboxes and many deliveries: that they work; how long they take is printed, not judged. */
#include "../unit.h"

#include <errno.h>
#include <sqlite3.h>
#include <time.h>

#include "kit.h"
#include "store/inside.h"

#ifdef __SANITIZE_ADDRESS__
enum { MANY = 10000, BATCHES = 40 };
#else
enum { MANY = 100000, BATCHES = 1000 };
#endif

static double
now_ms(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double began_wall, began_cpu;

static void
begin(void)
{
	began_wall = now_ms(CLOCK_MONOTONIC);
	began_cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID);
}

static void
end(const char *what)
{
	print_message("%-44s %8.2f ms, CPU %8.2f ms\n", what, now_ms(CLOCK_MONOTONIC) - began_wall,
	              now_ms(CLOCK_PROCESS_CPUTIME_ID) - began_cpu);
}

static int told;

static void
barrier(void *ctx, int why)
{
	(void)ctx;
	assert_int_equal(why, 0);
	told++;
}

static void
settle(struct kit *k)
{
	store_barrier(k->store, barrier, NULL);
	kit_turns(k);
}

static long
resident_kib(void)
{
	char  line[128];
	long  kib = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (f != NULL)
		(void)fclose(f);
	return kib;
}

/* What a client must hear that was away while a thousand changes happened (rfc7162:3.2.5). */
static void
resync_after_changes(struct mailbox *m, struct arena *arena)
{
	struct mailbox_status status;
	struct uid_set        changed, gone;
	uint64_t              since;

	mailbox_status(m, &status);
	since = status.highest_modseq;
	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t         uid = mailbox_entry(m, i * 7).uid;
		struct uid_range one = { uid, uid };
		assert_int_equal(mailbox_flags(m, &(struct uid_set){ &one, 1 }, FLAGS_REMOVE,
		                               FLAG_FLAGGED, UINT64_MAX, NULL, NULL, NULL),
		                 0);
	}
	begin();
	mailbox_changed(m, since, arena, &changed);
	assert_true(mailbox_vanished(m, since, arena, &gone));
	end("resync after 1 000 changes");
	assert_int_equal(changed.count, 1000);
	assert_int_equal(gone.count, 0);
}

static void
test_a_large_mailbox(void **state)
{
	struct kit            k = { 0 };
	struct arena         *arena = arena_open(NULL);
	struct uid_range      all = { 1, UINT32_MAX }, made;
	struct uid_set        set = { &all, 1 }, source, gone;
	struct mailbox_status status;
	struct account       *a;
	struct mailbox       *m, *to;
	uint32_t              uid;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 1);
	m = kit_mailbox(a, "INBOX");
	begin();
	for (int i = 0; i < MANY; i++) {
		struct arrival v = kit_arrival(&k, 0);
		v.flags = i % 3 ? FLAG_SEEN : 0;
		assert_int_equal(mailbox_arrive(m, &v, &uid), 0);
		if (i % 50 == 49)
			kit_turns(&k);
	}
	end("arrivals, 50 a commit, synced");
	begin();
	assert_int_equal(mailbox_flags(m, &set, FLAGS_ADD, FLAG_FLAGGED, UINT64_MAX, NULL, NULL,
	                               NULL),
	                 0);
	settle(&k);
	end("STORE 1:* +FLAGS");
	to = kit_mailbox(a, "Archive");
	begin();
	assert_int_equal(mailbox_copy(m, &set, to, false, arena, &source, &made, NULL), 0);
	settle(&k);
	end("COPY 1:*");
	begin();
	assert_int_equal(mailbox_copy(to, &set, m, true, arena, &source, &made, NULL), 0);
	settle(&k);
	end("MOVE 1:*");
	begin();
	mailbox_status(m, &status);
	end("STATUS");
	assert_int_equal(status.messages, 2 * MANY);
	begin();
	assert_int_equal(mailbox_expunge(m, &(struct uid_set){ &made, 1 }, true, arena, &gone,
	                                 NULL),
	                 0);
	settle(&k);
	end("EXPUNGE of half");
	resync_after_changes(m, arena);
	mailbox_drop(&m);
	mailbox_drop(&to);
	account_drop(&a);
	kit_close(&k);
	kit_open(&k);
	a = kit_take(&k, 1);
	begin();
	m = kit_mailbox(a, "INBOX");
	end("load from history alone");
	mailbox_drop(&m);
	account_drop(&a);
	begin();
	(void)store_sweep(k.store);
	settle(&k);
	end("snapshot");
	kit_close(&k);
	kit_open(&k);
	begin();
	a = kit_take(&k, 1);
	end("account opened");
	begin();
	m = kit_mailbox(a, "INBOX");
	end("load from a snapshot");
	assert_int_equal(mailbox_count(m), MANY);
	mailbox_drop(&m);
	account_drop(&a);
	kit_close(&k);
	arena_close(&arena);
	kit_remove(&k);
}

static void
test_many_deliveries(void **state)
{
	struct kit      k = { 0 };
	struct account *a[4];
	struct mailbox *m[4];

	(void)state;
	told = 0;
	kit_folder(&k);
	kit_open(&k);
	for (int i = 0; i < 4; i++) {
		a[i] = kit_take(&k, (uint64_t)i + 1);
		m[i] = kit_mailbox(a[i], "INBOX");
	}
	begin();
	for (int b = 0; b < BATCHES; b++) {
		for (int i = 0; i < 50; i++) {
			struct arrival v = kit_arrival(&k, 0);
			uint32_t       uid;
			assert_int_equal(mailbox_arrive(m[i % 4], &v, &uid), 0);
			store_barrier(k.store, barrier, NULL);
		}
		kit_turns(&k);
	}
	assert_int_equal(told, 50 * BATCHES);
	end("deliveries to 4 accounts, 50 a batch");
	print_message("%.0f deliveries a second of CPU\n",
	              50.0 * BATCHES / (now_ms(CLOCK_PROCESS_CPUTIME_ID) - began_cpu) * 1e3);
	for (int i = 0; i < 4; i++) {
		mailbox_drop(&m[i]);
		account_drop(&a[i]);
	}
	kit_close(&k);
	kit_remove(&k);
}

static int
count_of(struct kit *k, uint64_t account, const char *query)
{
	char          path[128];
	sqlite3      *db;
	sqlite3_stmt *s;
	int           n = -1;

	(void)snprintf(path, sizeof path, "%s/%02x/%llu/index.db", k->path,
	               (unsigned)(account & 0xff), (unsigned long long)account);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, query, -1, &s, NULL), SQLITE_OK);
	if (sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int(s, 0);
	(void)sqlite3_finalize(s);
	(void)sqlite3_close(db);
	return n;
}

/* Many letters that came in few commits: few facts, but long ones, which every start would read. */
enum { LONG = 30000 };

static void
test_long_facts_are_worth_a_snapshot(void **state)
{
	struct kit      k = { 0 };
	struct account *a;
	struct mailbox *m;
	uint32_t        uid;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 1);
	m = kit_mailbox(a, "INBOX");
	for (int i = 0; i < LONG; i++) {
		struct arrival v = kit_arrival(&k, 0);
		v.flags = i % 3 ? FLAG_SEEN : 0;
		assert_int_equal(mailbox_arrive(m, &v, &uid), 0);
		if (i % 1000 == 999)
			kit_turns(&k);
	}
	settle(&k);
	mailbox_drop(&m);
	account_drop(&a);
	kit_close(&k);
	assert_int_equal(count_of(&k, 1, "SELECT count(*) FROM snapshot"), 0);
	assert_true(count_of(&k, 1, "SELECT count(*) FROM fact") < 256);
	kit_open(&k);
	a = kit_take(&k, 1);
	m = kit_mailbox(a, "INBOX");
	mailbox_drop(&m);
	account_drop(&a);
	(void)store_sweep(k.store);
	settle(&k);
	kit_close(&k);
	assert_int_equal(count_of(&k, 1, "SELECT count(*) FROM snapshot"), 1);
	kit_open(&k);
	a = kit_take(&k, 1);
	m = kit_mailbox(a, "INBOX");
	assert_int_equal(mailbox_count(m), LONG);
	mailbox_drop(&m);
	account_drop(&a);
	kit_close(&k);
	kit_remove(&k);
}

/* Mailboxes with a snapshot, of an account that is open. */
static int
shots_of(struct account *a)
{
	int n = 0;

	for (struct mailbox *m = a->mailboxes; m != NULL; m = m->next) {
		sqlite3_stmt *s = index_ready(a->index, SNAPSHOT_LAST);
		assert_non_null(s);
		(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
		n += index_row(a->index, s) == 1 && sqlite3_column_type(s, 0) != SQLITE_NULL;
		(void)sqlite3_reset(s);
	}
	return n;
}

/* Who is served by the same process waits for one large mailbox at the most, and what happens between the turns is kept. */
static void
test_large_mailboxes_get_their_snapshots_one_by_one(void **state)
{
	static const char *const name[] = { "INBOX", "Second", "Third", "Goes" };
	struct kit               k = { 0 };
	struct arena            *arena = arena_open(NULL);
	struct uid_range         all = { 1, UINT32_MAX }, made;
	struct uid_set           set = { &all, 1 }, source;
	struct account          *a;
	struct mailbox          *m[4];
	uint32_t                 uid;
	int                      shots = 0, turns = 0, now;
	bool                     more;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 1);
	for (size_t i = 0; i < COUNT(name); i++) {
		if (i > 0)
			assert_int_equal(account_create(a, name[i], USE_NONE), 0);
		m[i] = kit_mailbox(a, name[i]);
	}
	for (int i = 0; i < LONG; i++) {
		struct arrival v = kit_arrival(&k, 0);
		assert_int_equal(mailbox_arrive(m[0], &v, &uid), 0);
		if (i % 1000 == 999)
			kit_turns(&k);
	}
	for (size_t i = 1; i < COUNT(name); i++)
		assert_int_equal(mailbox_copy(m[0], &set, m[i], false, arena, &source, &made, NULL), 0);
	settle(&k);
	for (size_t i = 0; i < COUNT(name); i++)
		mailbox_drop(&m[i]);
	account_drop(&a);
	kit_close(&k);
	kit_open(&k);
	a = kit_take(&k, 1);
	for (size_t i = 0; i < COUNT(name); i++)
		m[i] = kit_mailbox(a, name[i]);
	do {
		more = store_sweep(k.store);
		settle(&k);
		now = shots_of(a);
		HOLDS("one a turn", now <= shots + 1);
		shots = now;
		if (turns == 0) {
			struct arrival v = kit_arrival(&k, 0);
			assert_int_equal(mailbox_arrive(m[0], &v, &uid), 0);
			mailbox_drop(&m[3]);
			assert_int_equal(account_delete(a, "Goes"), 0);
			assert_int_equal(account_create(a, "Comes", USE_NONE), 0);
		}
	} while (more && ++turns < 20);
	HOLDS("it ends", !more);
	HOLDS("all that stayed have one", shots >= 3);
	for (size_t i = 0; i < 3; i++)
		mailbox_drop(&m[i]);
	account_drop(&a);
	kit_close(&k);
	kit_open(&k);
	a = kit_take(&k, 1);
	for (size_t i = 0; i < 3; i++) {
		m[i] = kit_mailbox(a, name[i]);
		assert_int_equal(mailbox_count(m[i]), LONG + (i == 0));
		mailbox_drop(&m[i]);
	}
	a->sweeping = true;
	a->refused = EIO; /* its disk failed between two turns */
	HOLDS("what cannot be swept has no more to do", !store_sweep(k.store));
	account_drop(&a);
	kit_close(&k);
	kit_remove(&k);
	arena_close(&arena);
}

static void
test_many_idle_accounts(void **state)
{
	struct kit k = { 0 };
	long       before = resident_kib();

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	begin();
	for (uint64_t id = 1; id <= 300; id++) {
		struct account *a = kit_take(&k, id);
		struct mailbox *m = kit_mailbox(a, "INBOX");
		mailbox_drop(&m);
		account_drop(&a);
	}
	end("300 accounts made");
	print_message("128 of them open: %ld KiB more\n", resident_kib() - before);
	kit_close(&k);
	kit_remove(&k);
}

UNIT(test_a_large_mailbox, test_many_deliveries, test_long_facts_are_worth_a_snapshot,
     test_large_mailboxes_get_their_snapshots_one_by_one, test_many_idle_accounts)
