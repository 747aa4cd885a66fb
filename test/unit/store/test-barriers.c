#include "../unit.h"

#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>

#include "kit.h"
#include "spool/disk.h"
#include "store/inside.h"

/* ---- news ---- */

struct heard {
	int              count[5];
	struct uid_range last;
};

static void
hear(void *ctx, enum mailbox_news what, const struct uid_set *set, const struct mailbox_watch *by)
{
	struct heard *h = ctx;

	(void)by;
	h->count[what]++;
	if (set->count > 0)
		h->last = set->range[set->count - 1];
}

/* ---- barriers ---- */

static int    order[16];
static size_t ordered;

static void
in_order(void *ctx, int why)
{
	assert_int_equal(why, 0);
	order[ordered++ % COUNT(order)] = (int)(intptr_t)ctx;
}

static void
as_told(void *ctx, int why)
{
	*(int *)ctx = why + 1;
}

static void
test_barriers(void **state)
{
	struct kit            k = { 0 };
	struct account       *a, *b;
	struct mailbox       *m, *n;
	struct heard          h = { 0 };
	struct mailbox_watch *w;
	int                   one = 0, other = 0, all = 0;

	(void)state;
	ordered = 0;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 1);
	b = kit_take(&k, 2);
	m = kit_mailbox(a, "INBOX");
	n = kit_mailbox(b, "INBOX");
	kit_arrive(&k, m, 0);
	store_barrier(k.store, in_order, (void *)(intptr_t)1);
	assert_true(store_dirty(k.store));
	store_at_rest(k.store);
	HOLDS("not before the sync ends", ordered == 0 && k.jobs == 1);
	kit_arrive(&k, m, 0);
	account_barrier(a, in_order, (void *)(intptr_t)2);
	store_at_rest(k.store);
	HOLDS("one sync at a time", k.jobs == 1);
	kit_jobs(&k);
	HOLDS("the second waits for its own", ordered == 1 && order[0] == 1);
	kit_turns(&k);
	HOLDS("then it is told", ordered == 2 && order[1] == 2);
	store_barrier(k.store, in_order, (void *)(intptr_t)3);
	store_at_rest(k.store);
	HOLDS("nothing to sync", ordered == 3 && k.jobs == 0 && !store_dirty(k.store));

	/* Each hears of its own account, or of all. */
	w = mailbox_watch(m, hear, &h);
	kit_arrive(&k, m, 0);
	account_barrier(a, as_told, &one);
	kit_arrive(&k, n, 0);
	account_barrier(b, as_told, &other);
	store_barrier(k.store, as_told, &all);
	kit_turns(&k);
	assert_int_equal(one, 1);
	assert_int_equal(other, 1);
	assert_int_equal(all, 1);
	mailbox_unwatch(&w);
	mailbox_drop(&m);
	mailbox_drop(&n);
	account_drop(&a);
	account_drop(&b);
	kit_close(&k);
	kit_remove(&k);
}

/* ---- a disk that fails ---- */

static int syncs_failing;

static int
sync_fails(const char *what, int fd)
{
	(void)fd;
	return strcmp(what, "sync") == 0 && syncs_failing > 0 && syncs_failing-- > 0 ? EIO : 0;
}

static int syncs;

static int
count_syncs(const char *what, int fd)
{
	(void)fd;
	syncs += strcmp(what, "sync") == 0;
	return 0;
}

/* A keeper is killed between commit and sync: the next one reads what it left, and the power could still take it. */
static void
test_what_a_killed_keeper_left_is_synced_before_it_is_seen(void **state)
{
	struct kit      k = { 0 };
	struct account *a;
	struct mailbox *m;
	int             status;
	pid_t           child;

	(void)state;
	kit_folder(&k);
	if ((child = fork()) == 0) {
		kit_open(&k);
		a = kit_take(&k, 1);
		m = kit_mailbox(a, "INBOX");
		kit_arrive(&k, m, 0);
		store_at_rest(k.store);
		_exit(k.jobs == 1 ? 0 : 1);
	}
	assert_true(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	kit_open(&k);
	disk_step = count_syncs;
	syncs = 0;
	a = kit_take(&k, 1);
	HOLDS("before it is given out", syncs == 1);
	m = kit_mailbox(a, "INBOX");
	assert_int_equal(mailbox_count(m), 1);
	store_look(k.store);
	assert_int_equal(mailbox_entry(m, 0).uid, 1);
	HOLDS("then it may be shown", store_looked(k.store, NULL, NULL) == LOOKED_SAFE);
	disk_step = NULL;
	mailbox_drop(&m);
	account_drop(&a);
	kit_close(&k);
	kit_remove(&k);
}

/* What is told apart when somebody looks at what is not on disk yet. */
static void
test_a_look_says_what_it_saw(void **state)
{
	struct kit            k = { 0 };
	struct account       *a, *b;
	struct mailbox       *m, *n, *other;
	struct uid_range      one = { 1, 1 };
	struct mailbox_status status;
	int                   told = 0;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 1);
	b = kit_take(&k, 2);
	m = kit_mailbox(a, "INBOX");
	other = kit_mailbox(a, "Sent");
	n = kit_mailbox(b, "INBOX");
	kit_arrive(&k, m, 0);
	kit_turns(&k);

	store_look(k.store);
	mailbox_facts(m, &status);
	(void)mailbox_entry(m, 0);
	HOLDS("all is on disk", store_looked(k.store, as_told, &told) == LOOKED_SAFE && told == 0);
	assert_int_equal(mailbox_flags(m, &(struct uid_set){ &one, 1 }, FLAGS_ADD, FLAG_SEEN, UINT64_MAX, NULL, NULL, NULL), 0);
	store_look(k.store);
	mailbox_facts(other, &status);
	HOLDS("another mailbox", store_looked(k.store, as_told, &told) == LOOKED_SAFE);
	store_look(k.store);
	(void)mailbox_entry(m, 0);
	HOLDS("a flag", store_looked(k.store, as_told, &told) == LOOKED_FLAGS && told == 0);
	kit_turns(&k);
	HOLDS("told when it is", told == 1);
	(void)mailbox_entry(m, 0);
	HOLDS("from then on it may be", store_looked(k.store, as_told, &told) == LOOKED_FLAGS);
	kit_turns(&k);
	store_look(k.store);
	(void)mailbox_entry(m, 0);
	HOLDS("after the next look", store_looked(k.store, as_told, &told) == LOOKED_SAFE);
	kit_arrive(&k, m, 0);
	store_look(k.store);
	(void)mailbox_entry(m, 0);
	HOLDS("an old message beside a new one", store_looked(k.store, as_told, &told) == LOOKED_SAFE);
	mailbox_facts(m, &status);
	HOLDS("how many there are", store_looked(k.store, as_told, &told) == LOOKED_DEEP);
	told = 0;
	kit_arrive(&k, n, 0);
	mailbox_facts(n, &status);
	HOLDS("in two accounts", store_looked(k.store, as_told, &told) == LOOKED_DEEP);
	kit_turns(&k);
	HOLDS("both are on disk", told == 1);
	store_look(k.store);
	mailbox_facts(m, &status);
	mailbox_facts(n, &status);
	HOLDS("so all may be shown", store_looked(k.store, as_told, &told) == LOOKED_SAFE);
	mailbox_drop(&m);
	mailbox_drop(&n);
	mailbox_drop(&other);
	account_drop(&a);
	account_drop(&b);
	kit_close(&k);
	kit_remove(&k);
}

/* Who hears of one letter brings the next. */
struct postman {
	struct kit     *kit;
	struct mailbox *mailbox;
	uint64_t        letter;
	int             told;
};

static void
next_comes(void *ctx, int why)
{
	struct postman *p = ctx;

	p->told = why + 1;
	kit_arrive(p->kit, p->mailbox, p->letter);
}

static bool
has(struct mailbox *m, uint64_t letter)
{
	for (uint32_t i = 0; i < mailbox_count(m); i++)
		if (mailbox_entry(m, i).message == letter)
			return true;
	return false;
}

static void
test_a_failed_sync_is_told_to_all_whom_it_takes_something(void **state)
{
	struct kit      k = { 0 };
	struct account *a, *b;
	struct mailbox *m, *n;
	struct postman  first = { .kit = &k, .letter = UINT64_C(3) << 32 | 64 };
	uint64_t        second = UINT64_C(2) << 32 | 64, neighbours = UINT64_C(4) << 32 | 64;
	int             waits = 0, same = 0, neighbour = 0, later = 0;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 1);
	b = kit_take(&k, 2);
	first.mailbox = m = kit_mailbox(a, "INBOX");
	n = kit_mailbox(b, "INBOX");
	kit_settle(&k);
	kit_arrive(&k, m, 0);
	store_barrier(k.store, next_comes, &first);
	store_at_rest(k.store);
	assert_int_equal(k.jobs, 1);
	/* While the first is being synced another is gathered, which is in no commit yet. */
	kit_arrive(&k, m, second);
	store_barrier(k.store, as_told, &waits);
	account_barrier(a, as_told, &same);
	kit_arrive(&k, n, neighbours);
	account_barrier(b, as_told, &neighbour);
	disk_step = sync_fails;
	syncs_failing = 1;
	kit_turns(&k);
	disk_step = NULL;
	assert_int_equal(syncs_failing, 0);
	HOLDS("whoever waited for that sync", first.told == EIO + 1);
	HOLDS("what was gathered meanwhile went, too", !has(m, second));
	HOLDS("and is not said to be kept, though something else is, now",
	      waits == EIO + 1 && same == EIO + 1);
	HOLDS("a neighbour's letter is", neighbour == 1 && has(n, neighbours));
	HOLDS("what came after it is there", has(m, first.letter));
	account_barrier(a, as_told, &later);
	kit_turns(&k);
	HOLDS("and afterwards all is well", later == 1);
	mailbox_drop(&m);
	mailbox_drop(&n);
	account_drop(&a);
	account_drop(&b);
	kit_close(&k);
	kit_remove(&k);
}

static void
test_deliveries_wait_for_company(void **state)
{
	struct kit            k = { 0 };
	struct account       *a;
	struct mailbox       *m;
	struct heard          h = { 0 };
	struct mailbox_watch *w;
	int                   n = 0;

	(void)state;
	ordered = 0;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 1);
	m = kit_mailbox(a, "INBOX");
	HOLDS("nothing waits", !store_patient(k.store));
	kit_arrive(&k, m, 0);
	store_barrier_later(k.store, in_order, (void *)(intptr_t)1);
	HOLDS("a delivery can wait", store_patient(k.store));
	account_barrier(a, in_order, (void *)(intptr_t)2);
	HOLDS("a session cannot", !store_patient(k.store));
	kit_turns(&k);
	HOLDS("both were told", ordered == 2 && order[0] == 1 && !store_patient(k.store));

	do {
		kit_arrive(&k, m, 0);
		store_barrier_later(k.store, in_order, (void *)(intptr_t)3);
	} while (store_patient(k.store) && ++n < 10000);
	HOLDS("many are worth a commit", n > 50 && n < 1000);
	kit_turns(&k);

	kit_arrive(&k, m, 0);
	store_barrier_later(k.store, in_order, (void *)(intptr_t)4);
	HOLDS("the next can wait again", store_patient(k.store));
	w = mailbox_watch(m, hear, &h);
	HOLDS("who looks keeps what was seen", !store_patient(k.store));
	kit_turns(&k);
	kit_arrive(&k, m, 0);
	HOLDS("what is watched is made to last", !store_patient(k.store));
	kit_turns(&k);
	mailbox_unwatch(&w);
	mailbox_drop(&m);
	account_drop(&a);
	kit_close(&k);
	kit_remove(&k);
}

/* ---- checkpoints beside the loop ---- */

static void *
checkpoint_thread(void *job)
{
	index_checkpoint_run(job);
	return NULL;
}

static void
test_checkpoints_run_beside_the_loop(void **state)
{
	struct kit        k = { 0 };
	struct account   *a;
	struct mailbox   *m;
	struct index_job *job;
	uint64_t          letters = 0;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 1);
	m = kit_mailbox(a, "INBOX");
	for (int round = 0; round < 60; round++) {
		pthread_t thread;
		for (int i = 0; i < 20; i++, letters++)
			kit_arrive(&k, m, 0);
		HOLDS("not while changes are gathered", index_checkpoint_ask(a->index) == NULL);
		kit_settle(&k);
		job = index_checkpoint_ask(a->index);
		HOLDS("asked once", job != NULL && index_checkpoint_ask(a->index) == NULL);
		if (round % 3 == 0) {
			/* Taken back before it began. */
			kit_arrive(&k, m, 0);
			letters++;
			index_checkpoint_run(job);
			assert_true(index_wal_pages(a->index) > 0);
		} else {
			assert_int_equal(pthread_create(&thread, NULL, checkpoint_thread, job), 0);
			/* Before it, while it runs, or after it. */
			kit_arrive(&k, m, 0);
			letters++;
			assert_int_equal(pthread_join(thread, NULL), 0);
		}
		index_checkpoint_done(job);
	}
	kit_settle(&k);
	assert_int_equal(index_checkpoint_now(a->index), 0);
	assert_int_equal(index_wal_pages(a->index), 0);
	mailbox_drop(&m);
	account_drop(&a);
	kit_again(&k);
	a = kit_take(&k, 1);
	m = kit_mailbox(a, "INBOX");
	assert_int_equal(mailbox_count(m), letters);
	mailbox_drop(&m);
	account_drop(&a);
	kit_close(&k);
	kit_remove(&k);
}

UNIT(test_what_a_killed_keeper_left_is_synced_before_it_is_seen, test_a_look_says_what_it_saw, test_barriers, test_a_failed_sync_is_told_to_all_whom_it_takes_something,
     test_deliveries_wait_for_company, test_checkpoints_run_beside_the_loop)
