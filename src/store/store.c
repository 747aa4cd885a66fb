/* store.c -- the accounts that are open, and the group commit of all of them (store.h) */
#include "store/foreign.h"

#include "base/clock.h"
#include "base/journal.h"
#include "spool/disk.h"
#include "store/shares.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

/* Accounts nobody uses stay open up to this many, and up to this long; each takes some 150 KiB. */
enum { IDLE_MOST = 128, IDLE_MS = 20000 };
/* An open account is looked after so often, and when a mailbox has so much history since its last snapshot. */
enum { SWEEP_AGAIN_MS = 3600 * 1000 };
/* A -wal file of so many pages is written back in the thread pool; one of four times as many at once. */
enum { CHECKPOINT_PAGES = 1024 };
/* More accounts than this are synced by one syncfs. */
enum { SYNCS_MOST = 16 };
enum { ROOM_LOOK_MS = 100 };
/* What is left for flags and expunges on a full disk. */
enum { ROOM_LEAST = 1 << 20, ROOM_MOST = 16 << 20 };
/* So many deliveries are worth a commit at once. */
enum { LATER_MOST = 768 };

uint64_t store_room_least = ROOM_MOST;

/* What was committed together, while it is being synced.  The thread touches fd, fds, accounts_fd, why. */
struct batch {
	struct store    *store; /* NULL: closed meanwhile                  */
	struct account **account;
	int             *fd; /* their -wal files; fewer than accounts when some failed */
	int   *lost; /* of each account: why what was committed, or was to be, is not kept */
	size_t count, syncs;
	struct landing **landing; /* of each account: files to be safe before its rows are */
	int             *landed;  /* why not                              */
	int              accounts_fd;
	int              why;
	struct barriers  barriers;
};

struct store *
store_open(int accounts, struct letters *letters, int64_t history_ms,
           const struct store_needs *needs, void *ctx)
{
	struct store *s = memory_take(sizeof *s);

	s->accounts = accounts;
	s->letters = letters;
	s->history_ms = history_ms;
	s->begun = clock_wall();
	s->needs = *needs;
	s->ctx = ctx;
	s->open = map_open();
	s->dirty_last = &s->dirty;
	s->gathering.last = &s->gathering.first;
	s->news = -1;
	return s;
}

void
store_room_keep(uint64_t free_least)
{
	store_room_least = free_least / 4 > ROOM_MOST    ? ROOM_MOST
	                   : free_least / 4 < ROOM_LEAST ? ROOM_LEAST
	                                                 : free_least / 4;
}

/* Nothing that grows is begun on a full disk, so that flags and expunges still find room. */
int
store_room(struct store *s)
{
	uint64_t bytes;
	int64_t  now = clock_patient_ms();

	if (s->room_ms != 0 && now - s->room_ms < ROOM_LOOK_MS && now >= s->room_ms)
		return s->room_why;
	s->room_ms = now;
	s->room_why = disk_room(s->accounts, &bytes);
	if (s->room_why == 0 && bytes < store_room_least)
		s->room_why = ENOSPC;
	return s->room_why;
}

/* ---- which accounts are open ---- */

static void
idle_out(struct account *a)
{
	struct store *s = a->store;

	if (s->idle_newest != a && a->newer == NULL)
		return;
	if (a->newer != NULL)
		a->newer->older = a->older;
	else
		s->idle_newest = a->older;
	if (a->older != NULL)
		a->older->newer = a->newer;
	else
		s->idle_oldest = a->newer;
	a->newer = a->older = NULL;
	s->idle--;
}

static void
idle_in(struct account *a)
{
	struct store *s = a->store;

	a->used_ms = clock_patient_ms();
	a->older = s->idle_newest;
	if (s->idle_newest != NULL)
		s->idle_newest->newer = a;
	else
		s->idle_oldest = a;
	s->idle_newest = a;
	s->idle++;
}

/* It stays open until account_drop(). */
static void
hold(struct account *a)
{
	if (a->users++ == 0)
		idle_out(a);
}

void
store_hold(struct account *a)
{
	hold(a);
}

static bool
busy(const struct account *a)
{
	return a->users > 0 || a->dirty || a->syncing;
}

static void
let_go(struct account *a)
{
	struct store    *s = a->store;
	struct account **p = &s->all;

	idle_out(a);
	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	(void)map_drop(s->open, map_number(&a->id));
	account_close(&a);
}

/* Long open, or with a mailbox whose history has become long. */
static bool
wants_care(const struct account *a, int64_t now)
{
	if (a->sweeping || now - a->swept_ms >= SWEEP_AGAIN_MS)
		return true;
	for (const struct mailbox *m = a->mailboxes; m != NULL; m = m->next)
		if (m->facts > FACTS_WORTH_A_SNAPSHOT)
			return true;
	return false;
}

static void
close_idle(struct store *s)
{
	int64_t now = clock_patient_ms();
	bool    any = s->idle > 0;

	while (s->idle_oldest != NULL &&
	       (s->idle > IDLE_MOST || now - s->idle_oldest->used_ms > IDLE_MS)) {
		if (busy(s->idle_oldest) ||
		    (s->idle <= IDLE_MOST && wants_care(s->idle_oldest, now)))
			return; /* store_sweep() comes first */
		let_go(s->idle_oldest);
	}
	/* Nobody reads and nothing comes: what SQLite had goes back to the system. */
	if (any && s->all == NULL)
		(void)malloc_trim(0);
}

struct account *
account_take(struct store *s, uint64_t id, int *why)
{
	struct account *a = map_get(s->open, map_number(&id));

	*why = 0;
	if (a != NULL && a->refused != 0 && !busy(a)) {
		let_go(a); /* try again from the disk */
		a = NULL;
	}
	if (a == NULL) {
		if (id == 0 || id > INT64_MAX) {
			*why = EINVAL;
			return NULL;
		}
		if ((a = account_open(s, id, true, why)) == NULL)
			return NULL;
		a->swept_ms = clock_patient_ms();
		a->next = s->all;
		s->all = a;
		(void)map_put(s->open, map_number(&id), a);
		idle_in(a);
	}
	if ((*why = a->refused) != 0)
		return NULL;
	hold(a);
	return a;
}

bool
account_is_open(const struct store *s, uint64_t id)
{
	return map_get(s->open, map_number(&id)) != NULL;
}

bool
account_is_there(const struct store *s, uint64_t id)
{
	return account_is_open(s, id) || index_is_there(s->accounts, id);
}

void
account_drop(struct account **ap)
{
	struct account *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	INSIDE(a->users > 0);
	if (--a->users > 0)
		return;
	idle_in(a);
	close_idle(a->store);
}

int
account_remove(struct store *s, uint64_t id)
{
	struct account *a = map_get(s->open, map_number(&id));

	/* At once: what it showed would hide what the next account of its address shows. */
	shares_forget(s, id);
	if (a != NULL && busy(a))
		return EBUSY;
	if (a != NULL)
		let_go(a);
	return index_remove(s->accounts, id);
}

/* ---- group commit ---- */

void
store_note_dirty(struct account *a)
{
	struct store *s = a->store;

	a->dirty = true;
	a->next_dirty = NULL;
	*s->dirty_last = a;
	s->dirty_last = &a->next_dirty;
}

static void
add_barrier(struct barriers *list, struct account *a, void (*fn)(void *ctx, int why), void *ctx)
{
	struct barrier *b = memory_take(sizeof *b);

	*b = (struct barrier){ .fn = fn, .ctx = ctx, .account = a };
	*list->last = b;
	list->last = &b->next;
}

void
store_barrier(struct store *s, void (*fn)(void *ctx, int why), void *ctx)
{
	add_barrier(&s->gathering, NULL, fn, ctx);
	store_hurry(s);
}

void
store_barrier_later(struct store *s, void (*fn)(void *ctx, int why), void *ctx)
{
	add_barrier(&s->gathering, NULL, fn, ctx);
	if (++s->later >= LATER_MOST)
		store_hurry(s);
}

bool
store_patient(const struct store *s)
{
	return !s->hurry && (s->dirty != NULL || s->gathering.first != NULL);
}

void
store_hurry(struct store *s)
{
	s->hurry = true;
}

void
account_barrier(struct account *a, void (*fn)(void *ctx, int why), void *ctx)
{
	add_barrier(&a->store->gathering, a, fn, ctx);
	store_hurry(a->store);
	hold(a);
}

/* ---- what is shown before it is on disk ---- */

void
store_look(struct store *s)
{
	s->looked = 0;
	s->looked_wide = false;
	s->looked_at = LOOKED_SAFE;
}

void
store_looks(struct account *a, enum looked at)
{
	struct store *s = a->store;

	if (s->looked_at < at)
		s->looked_at = at;
	if (s->looked == 0)
		s->looked = a->id;
	else if (s->looked != a->id)
		s->looked_wide = true;
}

enum looked
store_looked(struct store *s, void (*fn)(void *ctx, int why), void *ctx)
{
	struct account *a = s->looked == 0 ? NULL : map_get(s->open, map_number(&s->looked));

	if (a == NULL)
		return LOOKED_SAFE;
	if (s->looked_wide)
		store_barrier(s, fn, ctx);
	else
		account_barrier(a, fn, ctx);
	return s->looked_at;
}

bool
store_dirty(const struct store *s)
{
	return s->dirty != NULL || s->gathering.first != NULL || s->batch != NULL;
}

static int
sync_all(const struct batch *b)
{
	int why = 0;

	for (size_t i = 0; i < b->count; i++)
		if (b->landing[i] != NULL)
			b->landed[i] = landing_do(b->landing[i]);
	if (b->syncs > SYNCS_MOST)
		return syncfs(b->accounts_fd) < 0 ? errno : 0;
	for (size_t i = 0; i < b->syncs; i++) {
		int e = disk_sync(b->fd[i]);
		if (why == 0)
			why = e;
	}
	return why;
}

static void
batch_run(void *job)
{
	struct batch *b = job;

	b->why = sync_all(b);
}

static void
batch_free(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		landing_free(&b->landing[i], b->landed[i] != 0);
	memory_free(b->landing);
	memory_free(b->landed);
	memory_free(b->lost);
	memory_free(b->account);
	memory_free(b->fd);
	memory_free(b);
}

/* What one barrier hears: trouble of its own account, or of any when it asked for all. */
static int
why_for(const struct barrier *b, const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		if (batch->lost[i] != 0 && (b->account == NULL || b->account == batch->account[i]))
			return batch->lost[i];
	return 0;
}

/* After a failed sync the pages may be gone though memory shows them: write all anew before going on.  What came since is lost
   with it, and whoever waits for that, or asked later for what was in this batch, hears so from the next one. */
static void
mend(struct account *a, int why)
{
	warn_("account %llu: its changes could not be synced: %s", (unsigned long long)a->id,
	      strerror(why));
	a->failed = a->lost = why;
	if (!a->dirty)
		store_note_dirty(a);
	if (index_begun(a->index))
		index_rollback(a->index);
	if (index_checkpoint_now(a->index) != 0)
		a->refused = EIO;
	else
		(void)account_reload(a);
}

static void
tell_barriers(struct batch *b)
{
	struct barrier *x, *next;
	int   *why; /* decided for all before the first is called: callbacks make new changes */
	size_t n = 0, i = 0;

	for (x = b->barriers.first; x != NULL; x = x->next)
		n++;
	why = memory_take((n + 1) * sizeof *why);
	for (x = b->barriers.first; x != NULL; x = x->next)
		why[i++] = why_for(x, b);
	for (i = 0; i < b->count; i++)
		b->account[i]->failed = b->account[i]->lost;
	i = 0;
	for (x = b->barriers.first; x != NULL; x = next) {
		next = x->next;
		x->fn(x->ctx, why[i++]);
		account_drop(&x->account);
		memory_free(x);
	}
	memory_free(why);
}

static void ask_checkpoint(struct account *);

static void
batch_done(void *job)
{
	struct batch *b = job;
	struct store *s = b->store;

	if (s == NULL) {
		batch_free(b);
		return;
	}
	s->batch = NULL;
	for (size_t i = 0; i < b->count; i++) {
		int why = b->why != 0 ? b->why : b->landed[i];

		b->account[i]->syncing = false;
		if (b->lost[i] == 0 && why != 0)
			mend(b->account[i], b->lost[i] = why);
		else if (b->lost[i] == 0) {
			b->account[i]->safe = b->account[i]->committed;
			receipts_durable(b->account[i]);
		}
	}
	tell_barriers(b);
	for (size_t i = 0; i < b->count; i++) {
		place_durable(b->account[i]);
		ask_checkpoint(b->account[i]);
		account_drop(&b->account[i]);
	}
	batch_free(b);
	close_idle(s);
}

/* Its transaction ends.  What failed while it was gathered is this batch's to tell. */
static void
commit_one(struct batch *b, struct account *a)
{
	size_t i = b->count++;
	int    why;

	b->account[i] = a;
	if (!index_begun(a->index)) {
		if (a->lost == 0)
			a->failed = a->lost = EIO;
	} else if ((why = account_flush(a)) != 0 || (why = index_commit(a->index)) != 0) {
		a->dirty = true; /* it is in this batch already */
		(void)account_fail(a, why);
		a->dirty = false;
	} else {
		b->landing[i] = a->landing;
		a->landing = NULL;
		b->fd[b->syncs++] = index_wal(a->index);
		a->committed = a->modseq;
		a->syncing = true;
	}
	b->lost[i] = a->lost;
	a->lost = 0;
}

/* Takes the dirty accounts and the barriers; commits; what is to be synced is in the batch. */
static struct batch *
commit_all(struct store *s)
{
	struct batch   *b = memory_take(sizeof *b);
	size_t          n = 0;
	struct account *a, *next;

	for (a = s->dirty; a != NULL; a = a->next_dirty)
		n++;
	b->store = s;
	b->accounts_fd = s->accounts;
	b->account = memory_take((n + 1) * sizeof(struct account *));
	b->fd = memory_take((n + 1) * sizeof *b->fd);
	b->landing = memory_take((n + 1) * sizeof(struct landing *));
	b->landed = memory_take((n + 1) * sizeof *b->landed);
	b->lost = memory_take((n + 1) * sizeof *b->lost);
	for (a = s->dirty; a != NULL; a = next) {
		next = a->next_dirty;
		a->dirty = false;
		hold(a);
		commit_one(b, a);
	}
	s->dirty = NULL;
	s->dirty_last = &s->dirty;
	b->barriers = s->gathering;
	if (b->barriers.first == NULL)
		b->barriers.last = &b->barriers.first;
	s->gathering = (struct barriers){ NULL, NULL };
	s->gathering.last = &s->gathering.first;
	s->later = 0;
	s->hurry = false;
	return b;
}

void
store_at_rest(struct store *s)
{
	struct batch *b;

	if (s->batch != NULL || (s->dirty == NULL && s->gathering.first == NULL))
		return;
	s->batch = b = commit_all(s);
	if (b->syncs == 0) {
		batch_done(b);
		return;
	}
	if (b->count == 1 && b->landing[0] == NULL && s->needs.job_brief != NULL)
		s->needs.job_brief(s->ctx, batch_run, batch_done, b);
	else
		s->needs.job(s->ctx, batch_run, batch_done, b);
}

/* ---- writing back ---- */

static void
ask_checkpoint(struct account *a)
{
	struct store     *s = a->store;
	struct index_job *job;
	uint32_t          pages;

	if (a->dirty || a->refused != 0)
		return;
	pages = index_wal_pages(a->index);
	if (pages > 4 * CHECKPOINT_PAGES)
		(void)index_checkpoint_now(a->index);
	else if (pages > CHECKPOINT_PAGES && (job = index_checkpoint_ask(a->index)) != NULL)
		s->needs.job(s->ctx, index_checkpoint_run, index_checkpoint_done, job);
}

/* ---- the end, and care ---- */

/* Syncs a batch here and now, and tells. */
static void
finish(struct batch *b)
{
	int why = sync_all(b);

	for (size_t i = 0; i < b->count; i++) {
		b->account[i]->syncing = false;
		if (why == 0)
			why = b->landed[i];
		if (why != 0 && b->lost[i] == 0)
			b->account[i]->failed = b->lost[i] = why;
	}
	tell_barriers(b);
}

void
store_close(struct store **sp)
{
	struct store *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	if (s->batch != NULL) {
		/* Its thread may still run; what it does twice hurts nobody.  It frees the batch. */
		finish(s->batch);
		s->batch->store = NULL;
	}
	if (s->dirty != NULL || s->gathering.first != NULL) {
		struct batch *last = commit_all(s);
		finish(last);
		batch_free(last);
	}
	while (s->all != NULL) {
		struct account *a = s->all;
		s->all = a->next;
		account_close(&a);
	}
	contents_close(s);
	if (s->news >= 0)
		(void)close(s->news);
	map_close(&s->watched);
	map_close(&s->open);
	shares_close(s);
	memory_free(s);
}

bool
store_sweep(struct store *s)
{
	int64_t now = clock_patient_ms();
	bool    swept = false, more = false;

	close_idle(s);
	columns_sweep(s, now);
	for (struct account *a = s->all; a != NULL; a = a->next) {
		if (!a->dirty && !a->syncing)
			tallies_rest(a);
		if (a->refused != 0 || a->syncing || !wants_care(a, now)) {
			more |= a->sweeping && a->refused == 0;
			continue;
		}
		if (swept)
			return true;
		a->swept_ms = now;
		swept = account_sweep(a);
		more |= a->sweeping;
	}
	return more;
}
