/* What is kept of a mailbox for SELECT and STATUS is what its messages say; the expected values are counted here. */
#include "unit.h"

#include <errno.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "kit.h"
#include "store/inside.h"

enum { FIRST = 1200, MOST = 4000 };

/* The mailbox as this test knows it. */
struct model {
	struct { uint32_t uid, flags; uint64_t size; } row[MOST];
	uint32_t count, uidnext, recent;
};

static struct mailbox_status
model_status(const struct model *o)
{
	struct mailbox_status s = { .messages = o->count, .uidnext = o->uidnext };

	for (uint32_t i = 0; i < o->count; i++) {
		s.size += o->row[i].size;
		s.recent += o->row[i].uid >= o->recent;
		if (o->row[i].flags & FLAG_DELETED) {
			s.deleted++;
			s.deleted_size += o->row[i].size;
		}
		if (!(o->row[i].flags & FLAG_SEEN) && s.unseen++ == 0)
			s.first_unseen = i + 1;
	}
	return s;
}

static bool
same(const struct mailbox_status *a, const struct mailbox_status *b)
{
	return a->messages == b->messages && a->recent == b->recent && a->uidnext == b->uidnext && a->unseen == b->unseen &&
	       a->first_unseen == b->first_unseen && a->deleted == b->deleted && a->size == b->size &&
	       a->deleted_size == b->deleted_size;
}

static void
arrive(struct kit *k, struct mailbox *m, struct model *o)
{
	struct arrival v = kit_arrival(k, 0);
	uint32_t       uid;

	v.size += o->uidnext % 97;
	assert_int_equal(mailbox_arrive(m, &v, &uid), 0);
	assert_int_equal(uid, o->uidnext);
	o->row[o->count].uid = o->uidnext++;
	o->row[o->count].flags = 0;
	o->row[o->count++].size = v.size;
}

static void
flag(struct mailbox *m, struct model *o, uint32_t first, uint32_t last, uint32_t flags)
{
	struct uid_range r = { first, last };

	assert_int_equal(mailbox_flags(m, &(struct uid_set){ &r, 1 }, FLAGS_ADD, flags, UINT64_MAX, NULL, NULL, NULL), 0);
	for (uint32_t i = 0; i < o->count; i++)
		if (o->row[i].uid >= first && o->row[i].uid <= last)
			o->row[i].flags |= flags;
}

static void
expunge(struct mailbox *m, struct model *o)
{
	uint32_t to = 0;

	assert_int_equal(mailbox_expunge(m, NULL, false, NULL, NULL, NULL), 0);
	for (uint32_t i = 0; i < o->count; i++)
		if (!(o->row[i].flags & FLAG_DELETED))
			o->row[to++] = o->row[i];
	o->count = to;
}

/* What a round changes, of everything that changes a count. */
static void
change(struct kit *k, struct mailbox *m, struct model *o, uint32_t round)
{
	uint32_t at = 1 + round * 131 % o->uidnext;

	switch (round % 6) {
	case 0: flag(m, o, at, at + 40, FLAG_SEEN); break;
	case 1: flag(m, o, at, at + 3, FLAG_DELETED); break;
	case 2: expunge(m, o); break;
	case 3:
		for (uint32_t i = 0; i < round; i++)
			arrive(k, m, o);
		break;
	case 4: assert_true(mailbox_keyword(m, BYTES("later"), true) >= KEYWORD_FIRST); break;
	default:
		(void)mailbox_recent(m, true);
		o->recent = o->uidnext;
	}
}

static struct mailbox *
glance(struct account *a)
{
	int             why;
	struct mailbox *m = mailbox_glance(a, "INBOX", &why);

	assert_non_null(m);
	return m;
}

/* A store with a large mailbox, closed. */
static void
begin(struct kit *k, struct model *o)
{
	struct account *a;
	struct mailbox *m;

	kit_folder(k);
	kit_open(k);
	*o = (struct model){ .uidnext = 1, .recent = 1 };
	a = kit_take(k, 5);
	m = kit_mailbox(a, "INBOX");
	for (int i = 0; i < FIRST; i++)
		arrive(k, m, o);
	flag(m, o, 1, 300, FLAG_SEEN);
	mailbox_drop(&m);
	account_drop(&a);
	kit_turns(k);
	kit_close(k);
}

static void
sql(struct kit *k, const char *text)
{
	char     path[128], *error = NULL;
	sqlite3 *db;

	(void)snprintf(path, sizeof path, "%s/05/5/index.db", k->path);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s: %s", text, error);
	sqlite3_close(db);
}

/* By what was kept, then by the messages themselves; then something is changed, and the store ends. */
static void
test_what_is_kept_is_what_is_there(void **state)
{
	struct kit            k = { 0 };
	static struct model   o;
	struct account       *a;
	struct mailbox       *m;
	struct mailbox_status seen, wanted;

	(void)state;
	begin(&k, &o);
	for (uint32_t round = 0; round < 36; round++) {
		kit_open(&k);
		a = kit_take(&k, 5);
		m = glance(a);
		wanted = model_status(&o);
		mailbox_status(m, &seen);
		if (!same(&seen, &wanted))
			fail_msg("round %u, glanced: %u messages for %u", round, seen.messages, wanted.messages);
		assert_int_equal(mailbox_count(m), o.count);
		assert_int_equal(mailbox_wake(m), 0);
		mailbox_status(m, &seen);
		if (!same(&seen, &wanted))
			fail_msg("round %u, read: %u messages for %u", round, seen.messages, wanted.messages);
		assert_int_equal(mailbox_entry(m, o.count - 1).uid, o.row[o.count - 1].uid);
		change(&k, m, &o, round);
		mailbox_drop(&m);
		account_drop(&a);
		kit_turns(&k);
		kit_close(&k);
	}
	kit_remove(&k);
}

/* The change comes to a mailbox of which nobody has read more than the counts. */
static void
test_a_change_reads_the_messages(void **state)
{
	static const struct {
		const char *reason;
		uint32_t    round;
	} rows[] = {
		{ "flags", 0 }, { "arrivals", 9 }, { "a keyword", 4 }, { "recent ones claimed", 5 }, { "expunge", 2 },
	};
	struct kit            k = { 0 };
	static struct model   o;
	struct account       *a;
	struct mailbox       *m;
	struct mailbox_status seen, wanted;

	(void)state;
	begin(&k, &o);
	for (size_t i = 0; i < COUNT(rows); i++) {
		kit_open(&k);
		a = kit_take(&k, 5);
		m = glance(a);
		change(&k, m, &o, rows[i].round);
		mailbox_status(m, &seen);
		wanted = model_status(&o);
		HOLDS(rows[i].reason, same(&seen, &wanted));
		HOLDS(rows[i].reason, mailbox_find(m, o.row[7].uid) == 7);
		HOLDS(rows[i].reason, mailbox_first_at_least(m, UINT32_MAX) == o.count);
		mailbox_drop(&m);
		account_drop(&a);
		kit_turns(&k);
		kit_close(&k);
	}
	kit_remove(&k);
}

/* What may be in the place of the right row: it is not believed, and all is counted. */
static void
test_what_does_not_hold_is_not_believed(void **state)
{
	static const struct {
		const char *reason, *said;
	} rows[] = {
		{ "none", "DELETE FROM tally" },
		{ "its bytes are broken", "UPDATE tally SET data=zeroblob(length(data))" },
		{ "too short", "UPDATE tally SET data=x'0102'" },
		{ "empty", "UPDATE tally SET data=x''" },
		{ "of another modseq", "UPDATE tally SET modseq=modseq-1" },
		{ "its bytes are of another modseq",
		  "INSERT INTO fact SELECT mailbox,modseq+1,99,time,data FROM fact WHERE mailbox=1 ORDER BY modseq DESC LIMIT 1;"
		  "UPDATE tally SET modseq=modseq+1" },
		{ "an index of version 4", "DROP TABLE tally; PRAGMA user_version=4" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct kit            k = { 0 };
		static struct model   o;
		struct account       *a;
		struct mailbox       *m;
		struct mailbox_status seen, wanted;

		begin(&k, &o);
		sql(&k, rows[i].said);
		for (int twice = 0; twice < 2; twice++) {
			kit_open(&k);
			a = kit_take(&k, 5);
			m = glance(a);
			wanted = model_status(&o);
			/* A damaged fact may have given uids away. */
			mailbox_status(m, &seen);
			if (seen.uidnext > wanted.uidnext)
				wanted.uidnext = seen.uidnext;
			HOLDS(rows[i].reason, same(&seen, &wanted));
			mailbox_drop(&m);
			account_drop(&a);
			kit_turns(&k);
			kit_close(&k);
		}
		kit_remove(&k);
	}
}

/* The kept counts go while they are believed. */
static void
unglanced(struct account *a)
{
	sqlite3_stmt *s = index_ready(a->index, TALLY_DROP);

	assert_non_null(s);
	assert_int_equal(sqlite3_bind_int64(s, 1, 1), SQLITE_OK);
	assert_int_equal(index_do(a->index, s), 0);
}

static void
note_lost(void *ctx, enum mailbox_news what, const struct uid_set *set, const struct mailbox_watch *by)
{
	(void)set;
	(void)by;
	*(bool *)ctx |= what == MAILBOX_LOST;
}

/* Its counts are there, its messages cannot be read: that is an error for who asks for them, each time, and nothing else. */
static void
test_who_counts_what_cannot_be_read_goes_on_counting(void **state)
{
	struct kit            k = { 0 };
	static struct model   o;
	struct account       *a;
	struct mailbox       *m;
	struct mailbox_watch *w;
	bool                  lost = false;

	(void)state;
	begin(&k, &o);
	sql(&k, "DELETE FROM snapshot; UPDATE mailbox SET forgotten=1000000");
	kit_open(&k);
	a = kit_take(&k, 5);
	m = glance(a);
	w = mailbox_watch(m, note_lost, &lost);
	assert_int_equal(mailbox_count(m), o.count);
	HOLDS("not yet", !lost);
	assert_int_equal(mailbox_wake(m), EBADMSG);
	HOLDS("counted as before", !lost && mailbox_count(m) == o.count);
	HOLDS("none is there", mailbox_find(m, 1) < 0 && mailbox_entry(m, 3).uid == 0);
	assert_int_equal(mailbox_wake(m), EBADMSG);
	/* Nor are the counts to be had again. */
	kit_turns(&k);
	unglanced(a);
	assert_int_equal(mailbox_wake(m), EBADMSG);
	HOLDS("told", lost);
	HOLDS("nothing is counted", mailbox_count(m) == 0 && mailbox_find(m, 1) < 0 && mailbox_entry(m, 3).uid == 0);
	assert_int_equal(mailbox_wake(m), EBADMSG);
	mailbox_unwatch(&w);
	mailbox_drop(&m);
	account_drop(&a);
	kit_close(&k);
	kit_remove(&k);
}

/* The keeper is told to end while somebody has it open, and ends without closing: the last barrier brought it. */
static void
test_parting_keeps_it(void **state)
{
	struct kit            k = { 0 };
	static struct model   o;
	struct account       *a;
	struct mailbox       *m;
	struct mailbox_status seen, wanted;
	int                   status;
	pid_t                 child;

	(void)state;
	begin(&k, &o);
	if ((child = fork()) == 0) {
		kit_open(&k);
		a = kit_take(&k, 5);
		m = kit_mailbox(a, "INBOX");
		flag(m, &o, 10, 20, FLAG_DELETED);
		store_parting(k.store);
		kit_turns(&k);
		_exit(0);
	}
	assert_true(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	for (uint32_t i = 9; i < 20; i++)
		o.row[i].flags |= FLAG_DELETED;
	/* Nobody could tell but by what is kept. */
	sql(&k, "DELETE FROM snapshot; UPDATE mailbox SET forgotten=1000000");
	kit_open(&k);
	a = kit_take(&k, 5);
	m = glance(a);
	wanted = model_status(&o);
	mailbox_status(m, &seen);
	HOLDS("kept", same(&seen, &wanted));
	mailbox_drop(&m);
	account_drop(&a);
	kit_close(&k);
	kit_remove(&k);
}

/* It is killed while somebody has it open; nothing was changed in between two sweeps before that, or something was. */
static void
test_a_killed_keeper_kept_what_rested(void **state)
{
	static const struct {
		const char *reason;
		int         sweeps;
		bool        kept;
	} rows[] = {
		{ "two sweeps without a change", 3, true },
		{ "a change before the last sweep", 1, false },
		{ "none came", 0, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct kit            k = { 0 };
		static struct model   o;
		struct account       *a;
		struct mailbox       *m;
		struct mailbox_status seen, wanted;
		int                   status, why;
		pid_t                 child;

		begin(&k, &o);
		if ((child = fork()) == 0) {
			kit_open(&k);
			a = kit_take(&k, 5);
			m = kit_mailbox(a, "INBOX");
			(void)store_sweep(k.store);
			flag(m, &o, 10, 20, FLAG_DELETED);
			kit_turns(&k);
			for (int n = 0; n < rows[i].sweeps; n++)
				(void)store_sweep(k.store);
			kit_turns(&k);
			_exit(0);
		}
		assert_true(child > 0 && waitpid(child, &status, 0) == child && status == 0);
		for (uint32_t n = 9; n < 20; n++)
			o.row[n].flags |= FLAG_DELETED;
		/* Nobody could tell but by what is kept. */
		sql(&k, "DELETE FROM snapshot; UPDATE mailbox SET forgotten=1000000");
		kit_open(&k);
		a = kit_take(&k, 5);
		m = mailbox_glance(a, "INBOX", &why);
		HOLDS(rows[i].reason, (m != NULL) == rows[i].kept);
		if (m != NULL) {
			wanted = model_status(&o);
			mailbox_status(m, &seen);
			HOLDS(rows[i].reason, same(&seen, &wanted));
		}
		mailbox_drop(&m);
		account_drop(&a);
		kit_close(&k);
		kit_remove(&k);
	}
}

UNIT(test_what_is_kept_is_what_is_there, test_a_change_reads_the_messages, test_what_does_not_hold_is_not_believed,
     test_who_counts_what_cannot_be_read_goes_on_counting, test_a_killed_keeper_kept_what_rested, test_parting_keeps_it)
