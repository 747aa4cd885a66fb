#include "../unit.h"

#include <errno.h>

#include "../spool/power.h"
#include "kit.h"
#include "store/inside.h"

enum { ROUNDS = 6, EACH = 3 };
struct promised {
	uint64_t letter[2][ROUNDS * EACH];
	size_t   letters[2];
	uint64_t seen;     /* this letter has \Seen                            */
	uint64_t gone[2];  /* these may be expunged                            */
	bool     expunged; /* and are                                          */
	bool     folder;
};
struct one {
	struct promised *p;
	int              account;
	uint64_t         letter[EACH], seen;
	bool             expunged, folder;
};

static void
promise(void *ctx, int why)
{
	struct one *o = ctx;

	if (why != 0)
		return;
	for (int i = 0; i < EACH; i++)
		o->p->letter[o->account][o->p->letters[o->account]++] = o->letter[i];
	if (o->seen > 0)
		o->p->seen = o->seen;
	if (o->expunged)
		o->p->expunged = true;
	if (o->folder)
		o->p->folder = true;
}

static void
checkpoint(struct kit *k, uint64_t id)
{
	int             why;
	struct account *a = account_take(k->store, id, &why);

	if (a != NULL)
		(void)index_checkpoint_now(a->index);
	account_drop(&a);
}

static void
complained(void *ctx, const char *what)
{
	fail_msg("%s: %s", (const char *)ctx, what);
}

/* One account's part of a round; on a disk that fails anything may be refused, and is promised to nobody. */
static void
one_part(struct kit *k, struct one *o, int round, struct arena *arena)
{
	int             why = 0, others;
	uint32_t        uid;
	struct account *a = account_take(k->store, (uint64_t)(o->account + 1), &why);
	struct mailbox *m = a != NULL ? mailbox_take(a, "INBOX", &why) : NULL;

	for (int j = 0; j < EACH; j++) {
		struct arrival v = kit_arrival(k, 0);
		o->letter[j] = v.letter;
		if (m != NULL && why == 0)
			why = mailbox_arrive(m, &v, &uid);
	}
	if (m != NULL && o->account == 0 && round == 2) {
		struct uid_range r = { 1, 4 };
		others = mailbox_flags(m, &(struct uid_set){ &r, 1 }, FLAGS_ADD, FLAG_SEEN,
		                       UINT64_MAX, NULL, NULL, NULL);
		o->seen = others == 0 && mailbox_find(m, 3) >= 0
		                  ? mailbox_entry(m, (uint32_t)mailbox_find(m, 3)).message
		                  : 0;
	}
	if (m != NULL && o->account == 0 && round == 3) {
		struct uid_range r = { 1, 2 };
		struct uid_set   gone;
		for (uint32_t x = 0; x < 2 && x < mailbox_count(m); x++)
			o->p->gone[x] =
				mailbox_entry(m, x).uid < 3 ? mailbox_entry(m, x).message : 0;
		others = mailbox_expunge(m, &(struct uid_set){ &r, 1 }, true, arena, &gone, NULL);
		o->expunged = others == 0 && gone.count > 0;
	}
	if (a != NULL && o->account == 0 && round == 4)
		o->folder = account_create(a, "new", USE_NONE) == 0;
	if (m != NULL && why == 0)
		account_barrier(a, promise, o);
	mailbox_drop(&m);
	account_drop(&a);
}

static void
deliver(int dir, void *ctx)
{
	static struct one one[ROUNDS][2];
	struct kit        k = { .dir = dir, .next_letter = (uint64_t)1 << 32 | 64 };
	struct arena     *arena = arena_open(NULL);

	journal_open(JOURNAL_FILE, open("/dev/null", O_WRONLY | O_CLOEXEC), false, "test");
	kit_open(&k);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 2; i++) {
			one[round][i] = (struct one){ .p = ctx, .account = i };
			one_part(&k, &one[round][i], round, arena);
		}
		kit_turns(&k);
		if (round == 3)
			checkpoint(&k, 1);
	}
	kit_close(&k);
	arena_close(&arena);
}

static void
expect_promises(struct kit *k, const struct promised *p, long step)
{
	char note[32];

	(void)snprintf(note, sizeof note, "step %ld", step);
	kit_open(k);
	for (int i = 0; i < 2; i++) {
		struct account       *a = kit_take(k, (uint64_t)(i + 1));
		struct mailbox       *m = kit_mailbox(a, "INBOX");
		struct mailbox_status s;
		for (size_t j = 0; j < p->letters[i]; j++) {
			struct arrival v = kit_arrival(k, p->letter[i][j]);
			uint32_t       uid, n = 0;
			bool           expunged =
				i == 0 && (v.letter == p->gone[0] || v.letter == p->gone[1]);
			for (uint32_t x = 0; x < mailbox_count(m); x++)
				n += mailbox_entry(m, x).message == p->letter[i][j];
			if (n > 1 || (n == 0 && !expunged) || (n == 1 && expunged && p->expunged))
				fail_msg("step %ld: account %d, letter %zu is there %u times", step,
				         i, j, n);
			/* The queue brings it again: exactly once all the same. */
			if (mailbox_arrive(m, &v, &uid) != EEXIST)
				fail_msg("step %ld: account %d, letter %zu came twice", step, i, j);
		}
		for (uint32_t x = 0; x < mailbox_count(m) && i == 0; x++)
			HOLDS(note, mailbox_entry(m, x).message != p->seen ||
			                    (mailbox_entry(m, x).flags & FLAG_SEEN));
		if (i == 0 && p->folder)
			assert_int_equal(account_status(a, "new", &s), 0);
		assert_true(kit_arrive(k, m, (uint64_t)9 << 32 | 64) > 0);
		assert_int_equal(index_check(a->index, complained, note), 0);
		mailbox_drop(&m);
		account_drop(&a);
	}
	kit_settle(k);
	kit_close(k);
}

/* Under a sanitizer each way takes every third step, and together they take all. */
#ifdef __SANITIZE_ADDRESS__
enum { STRIDE = 3 };
#else
enum { STRIDE = 1 };
#endif

static void
pull_the_plug(enum power how)
{
	struct promised *p = power_shared(sizeof *p);

	for (long step = (long)how % STRIDE;; step += STRIDE) {
		struct kit k = { 0 };
		char       after[96];
		bool       over;
		int        accounts;
		kit_folder(&k);
		*p = (struct promised){ .folder = false };
		assert_int_equal(mkdirat(k.dir, "accounts", 0700), 0);
		(void)snprintf(after, sizeof after, "%s-after", k.path);
		accounts = openat(k.dir, "accounts", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		over = power_run(how, step, accounts, after, deliver, p);
		if (!over) {
			struct kit again = { .next_letter = (uint64_t)8 << 32 | 64 };
			again.dir = how != POWER_CUT && how != POWER_TORN
			                    ? openat(k.dir, "accounts",
			                             O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			                    : open(after, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			assert_true(again.dir >= 0);
			expect_promises(&again, p, step);
			/* Two steps failed; three rounds at most may have suffered from it. */
			for (int i = 0; i < 2 && how >= POWER_EIO; i++)
				if (p->letters[i] < (ROUNDS - 3) * EACH)
					fail_msg(
						"step %ld: account %d: only %zu letters were taken",
						step, i, p->letters[i]);
			(void)close(again.dir);
		}
		(void)close(accounts);
		(void)power_remove_one(after);
		kit_remove(&k);
		if (over) {
			assert_int_equal(p->letters[0], ROUNDS * EACH);
			assert_int_equal(p->letters[1], ROUNDS * EACH);
			print_message("plug pulled at %ld of %ld steps\n", step / STRIDE, step);
			break;
		}
	}
	(void)munmap(p, sizeof *p);
}

static void
test_killed_at_every_step(void **state)
{
	(void)state;
	pull_the_plug(POWER_KILLED);
}

static void
test_power_cut_at_every_step(void **state)
{
	(void)state;
	pull_the_plug(POWER_CUT);
}

static void
test_power_cut_with_torn_sectors_at_every_step(void **state)
{
	(void)state;
	pull_the_plug(POWER_TORN);
}

static void
test_a_disk_that_fails_at_every_step(void **state)
{
	(void)state;
	pull_the_plug(POWER_EIO);
}

static void
test_a_disk_that_is_full_at_every_step(void **state)
{
	(void)state;
	pull_the_plug(POWER_FULL);
}

UNIT(test_a_disk_that_fails_at_every_step, test_a_disk_that_is_full_at_every_step,
     test_killed_at_every_step, test_power_cut_at_every_step,
     test_power_cut_with_torn_sectors_at_every_step)
