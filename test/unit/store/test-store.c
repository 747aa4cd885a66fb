#include "../unit.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <time.h>

#include "kit.h"
#include "message/envelope.h"
#include "spool/disk.h"
#include "store/inside.h"

static int told, told_why;

static void
barrier(void *ctx, int why)
{
	(void)ctx;
	told++;
	if (why != 0)
		told_why = why;
}

static void
settle(struct kit *k)
{
	told = told_why = 0;
	store_barrier(k->store, barrier, NULL);
	kit_turns(k);
	assert_int_equal(told, 1);
	assert_int_equal(told_why, 0);
}

static void
again(struct kit *k)
{
	kit_close(k);
	kit_open(k);
}

static uint32_t
arrive(struct kit *k, struct mailbox *m, uint64_t letter)
{
	struct arrival v = kit_arrival(k, letter);
	uint32_t       uid;

	assert_int_equal(mailbox_arrive(m, &v, &uid), 0);
	return uid;
}

/* ---- the list ---- */

static void
expect_list(struct account *a, const char *wanted)
{
	struct arena        *arena = arena_open(NULL);
	struct buffer        got = { 0 };
	struct mailbox_info *info;
	size_t               n = account_list(a, arena, &info);

	for (size_t i = 0; i < n; i++)
		buffer_printf(&got, "%s%s%s%s%s", i > 0 ? " " : "", info[i].name,
		              info[i].exists ? "" : "!", info[i].subscribed ? "*" : "",
		              info[i].has_children ? "+" : "");
	SAME("the list", buffer_bytes(&got), bytes_of(wanted));
	buffer_free(&got);
	arena_close(&arena);
}

static void
test_the_list(void **state)
{
	struct kit            k = { 0 };
	struct account       *a;
	struct mailbox       *m;
	struct mailbox_status status;
	uint32_t              validity;
	int                   why;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 7);
	expect_list(a, "INBOX* Archive* Drafts* Junk* Sent* Trash*");
	HOLDS("rfc3501:6.3.3 it exists", account_create(a, "inbox", USE_NONE) == EEXIST);
	HOLDS("rfc3501:6.3.3 levels above are made", account_create(a, "a/b/c", USE_NONE) == 0);
	HOLDS("rfc3501:6.3.3 the separator at the end", account_create(a, "d/", USE_NONE) == 0);
	expect_list(a, "INBOX* Archive* Drafts* Junk* Sent* Trash* a+ a/b+ a/b/c d");
	HOLDS("an empty level", account_create(a, "x//y", USE_NONE) == EINVAL);
	HOLDS("a level that begins nowhere", account_create(a, "/y", USE_NONE) == EINVAL);
	HOLDS("not UTF-8", account_create(a, "\xff", USE_NONE) == EINVAL);
	HOLDS("a control character", account_create(a, "x\n", USE_NONE) == EINVAL);
	HOLDS("too deep",
	      account_create(a, "1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1", USE_NONE) == EINVAL);
	HOLDS("INBOX in any case also above", account_create(a, "inbox/x", USE_NONE) == 0);
	HOLDS("rfc3501:6.3.4 INBOX stays", account_delete(a, "InBox") == EINVAL);
	HOLDS("rfc3501:6.3.4 nothing there", account_delete(a, "nothing") == ENOENT);
	HOLDS("rfc3501:6.3.4 with children the level stays", account_delete(a, "a/b") == 0);
	expect_list(a, "INBOX*+ Archive* Drafts* INBOX/x Junk* Sent* Trash* a+ a/b!+ a/b/c d");
	HOLDS("rfc3501:6.3.4 a level with children that is no mailbox",
	      account_delete(a, "a/b") == EINVAL);
	HOLDS("rfc3501:6.3.5 children go along", account_rename(a, "a", "z/w") == 0);
	expect_list(
		a, "INBOX*+ Archive* Drafts* INBOX/x Junk* Sent* Trash* d z+ z/w+ z/w/b!+ z/w/b/c");
	HOLDS("rfc3501:6.3.5 no such", account_rename(a, "a", "q") == ENOENT);
	HOLDS("rfc3501:6.3.5 the new name is taken", account_rename(a, "d", "Sent") == EEXIST);
	HOLDS("into itself", account_rename(a, "z", "z/w/q") == EINVAL);
	HOLDS("a level alone", account_rename(a, "z/w/b", "k") == 0);
	expect_list(a, "INBOX*+ Archive* Drafts* INBOX/x Junk* Sent* Trash* d k!+ k/c z+ z/w");
	HOLDS("rfc3501:6.3.6 names need no mailbox", account_subscribe(a, "gone", true) == 0);
	HOLDS("rfc3501:6.3.7", account_subscribe(a, "Junk", false) == 0);
	HOLDS("not subscribed", account_subscribe(a, "Junk", false) == ENOENT);
	m = kit_mailbox(a, "INBOX");
	arrive(&k, m, 0);
	arrive(&k, m, 0);
	HOLDS("rfc3501:6.3.5 INBOX gives its messages away",
	      account_rename(a, "INBOX", "old/mail") == 0);
	assert_int_equal(mailbox_count(m), 0);
	mailbox_drop(&m);
	assert_int_equal(account_status(a, "old/mail", &status), 0);
	assert_int_equal(status.messages, 2);
	validity = status.uidvalidity;
	settle(&k);
	account_drop(&a);
	again(&k);
	a = kit_take(&k, 7);
	expect_list(
		a,
		"INBOX*+ Archive* Drafts* INBOX/x Junk Sent* Trash* d gone!* k!+ k/c old+ old/mail z+ z/w");
	assert_int_equal(account_delete(a, "old/mail"), 0);
	HOLDS("it is gone", mailbox_take(a, "old/mail", &why) == NULL && why == ENOENT);
	assert_int_equal(account_create(a, "old/mail", USE_NONE), 0);
	assert_int_equal(account_status(a, "old/mail", &status), 0);
	assert_int_equal(status.messages, 0);
	HOLDS("rfc3501:2.3.1.1 another uidvalidity", status.uidvalidity > validity);
	account_drop(&a);
	kit_close(&k);
	kit_remove(&k);
}

/* ---- one mailbox ---- */

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

static void
test_one_mailbox(void **state)
{
	struct kit            k = { 0 };
	struct account       *a;
	struct mailbox       *m, *to;
	struct mailbox_watch *w;
	struct mailbox_status status;
	struct heard          h = { 0 };
	struct arena         *arena = arena_open(NULL);
	struct uid_range      some[] = { { 2, 3 }, { 5, 500 } }, made;
	struct uid_set        set = { some, 2 }, source, gone, modified;
	struct arrival        v;
	uint64_t              modseq;
	uint32_t              uid;
	int                   bit, work;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 1);
	m = kit_mailbox(a, "INBOX");
	w = mailbox_watch(m, hear, &h);
	for (uint32_t i = 1; i <= 6; i++)
		assert_int_equal(arrive(&k, m, 0), i);
	assert_int_equal(h.count[MAILBOX_ARRIVED], 6);
	v = kit_arrival(&k, (uint64_t)1 << 32 | 64);
	HOLDS("the same letter again", mailbox_arrive(m, &v, &uid) == EEXIST && uid == 0);
	mailbox_status(m, &status);
	assert_int_equal(status.messages, 6);
	assert_int_equal(status.uidnext, 7);
	assert_int_equal(status.unseen, 6);
	assert_int_equal(status.first_unseen, 1);
	assert_int_equal(status.recent, 6);
	assert_int_equal(status.size, 6 * v.size);
	assert_int_equal(mailbox_recent(m, true), 1);
	assert_int_equal(mailbox_recent(m, false), 7);

	modseq = status.highest_modseq;
	assert_int_equal(mailbox_flags(m, &set, FLAGS_ADD, FLAG_SEEN, UINT64_MAX, NULL, NULL, w),
	                 0);
	assert_int_equal(h.count[MAILBOX_FLAGS], 1);
	assert_int_equal(h.last.last, 6);
	mailbox_status(m, &status);
	assert_int_equal(status.highest_modseq, modseq + 1);
	assert_int_equal(status.unseen, 2);
	assert_int_equal(mailbox_flags(m, &set, FLAGS_ADD, FLAG_SEEN, UINT64_MAX, NULL, NULL, w),
	                 0);
	HOLDS("nothing changed, nothing said", h.count[MAILBOX_FLAGS] == 1);
	some[0].first = 1;
	assert_int_equal(mailbox_flags(m, &set, FLAGS_SET, FLAG_DELETED, modseq, arena, &modified,
	                               w),
	                 0);
	HOLDS("rfc7162:3.1.3 changed since",
	      modified.count == 2 && modified.range[0].first == 2 && modified.range[1].last == 6);
	assert_int_equal(mailbox_entry(m, 0).flags, FLAG_DELETED);
	assert_int_equal(mailbox_entry(m, 1).flags, FLAG_SEEN);

	bit = mailbox_keyword(m, BYTES("$Work"), true);
	assert_int_equal(bit, KEYWORD_FIRST);
	assert_int_equal(mailbox_keyword(m, BYTES("$work"), false), bit);
	assert_int_equal(mailbox_keyword(m, BYTES("$None"), false), -1);
	some[0] = (struct uid_range){ 2, 3 };
	set.count = 1;
	assert_int_equal(mailbox_flags(m, &set, FLAGS_ADD, mailbox_flags_with(m, 0, bit),
	                               UINT64_MAX, NULL, NULL, NULL),
	                 0);

	assert_int_equal(account_create(a, "Work", USE_NONE), 0);
	to = kit_mailbox(a, "Work");
	assert_true(mailbox_keyword(to, BYTES("other"), true) >= 0);
	some[0] = (struct uid_range){ 1, 3 };
	assert_int_equal(mailbox_copy(m, &set, to, false, arena, &source, &made, NULL), 0);
	assert_int_equal(source.count, 1);
	assert_int_equal(made.first, 1);
	assert_int_equal(made.last, 3);
	work = mailbox_keyword(to, BYTES("$Work"), false);
	assert_int_equal(work, KEYWORD_FIRST + 1);
	assert_int_equal(mailbox_entry(to, 1).flags & SYSTEM_FLAGS, FLAG_SEEN);
	assert_true(mailbox_flags_have(to, mailbox_entry(to, 1).flags, work));
	assert_false(mailbox_flags_have(to, mailbox_entry(to, 1).flags, KEYWORD_FIRST));
	assert_int_equal(mailbox_entry(to, 1).message, mailbox_entry(m, 1).message);
	assert_int_equal(mailbox_copy(m, &set, to, true, arena, &source, &made, w), 0);
	assert_int_equal(made.first, 4);
	assert_int_equal(mailbox_count(m), 3);
	assert_int_equal(mailbox_count(to), 6);
	assert_int_equal(h.count[MAILBOX_EXPUNGED], 1);
	HOLDS("a copy into itself",
	      mailbox_copy(to, &set, to, false, arena, &source, &made, NULL) == 0 &&
	              made.first == 7 && mailbox_count(to) == 9);

	some[0] = (struct uid_range){ 4, 4 };
	assert_int_equal(mailbox_flags(m, &set, FLAGS_ADD, FLAG_DELETED, UINT64_MAX, NULL, NULL,
	                               NULL),
	                 0);
	assert_int_equal(mailbox_expunge(m, NULL, false, arena, &gone, w), 0);
	assert_int_equal(gone.count, 1);
	assert_int_equal(gone.range[0].first, 4);
	assert_int_equal(mailbox_find(m, 4), -1);
	assert_int_equal(mailbox_find(m, 6), 1);
	assert_int_equal(mailbox_first_at_least(m, 2), 0);
	assert_true(mailbox_vanished(m, 0, arena, &gone));
	HOLDS("rfc7162:3.2.6 all that went",
	      gone.count == 1 && gone.range[0].first == 1 && gone.range[0].last == 4);
	settle(&k);
	mailbox_unwatch(&w);
	mailbox_drop(&m);
	mailbox_drop(&to);
	account_drop(&a);
	again(&k);

	a = kit_take(&k, 1);
	m = kit_mailbox(a, "Work");
	assert_int_equal(mailbox_count(m), 9);
	assert_string_equal(mailbox_keyword_name(m, work), "$Work");
	assert_int_equal(mailbox_entry(m, 1).flags & SYSTEM_FLAGS, FLAG_SEEN);
	assert_true(mailbox_flags_have(m, mailbox_entry(m, 1).flags, work));
	mailbox_drop(&m);
	m = kit_mailbox(a, "INBOX");
	assert_int_equal(mailbox_count(m), 2);
	assert_int_equal(mailbox_recent(m, false), 7);
	mailbox_status(m, &status);
	assert_int_equal(status.uidnext, 7);
	HOLDS("a letter that was moved away came here before",
	      mailbox_arrive(m, &v, &uid) == EEXIST);
	assert_int_equal(arrive(&k, m, 0), 7);
	mailbox_drop(&m);
	account_drop(&a);
	kit_close(&k);
	arena_close(&arena);
	kit_remove(&k);
}

/* ---- random changes against a simple model ---- */

enum { MODEL_BOXES = 3, MODEL_MOST = 4000 };
struct model_row {
	uint32_t uid;
	uint64_t message, flags, modseq;
};
struct model {
	struct model_row row[MODEL_MOST];
	uint32_t         count, uidnext;
};
static struct model      model[MODEL_BOXES];
static const char *const box_names[MODEL_BOXES] = { "INBOX", "Sent", "Trash" };

static bool
in(const struct uid_set *s, uint32_t uid)
{
	for (size_t i = 0; i < s->count; i++)
		if (uid >= s->range[i].first && uid <= s->range[i].last)
			return true;
	return false;
}

static unsigned dice_state = 1;

static unsigned
dice(unsigned n)
{
	dice_state = dice_state * 1103515245u + 12345u;
	return (dice_state >> 8) % n;
}

static struct uid_set
some_uids(struct uid_range range[8], uint32_t most)
{
	uint32_t at = 0;
	size_t   n = 0;

	while (n < 1 + dice(8)) {
		uint32_t first = at + 1 + dice(most / 3 + 1), last = first + dice(most / 4 + 1);
		range[n++] = (struct uid_range){ first, last };
		at = last;
	}
	return (struct uid_set){ range, n };
}

static void
compare(struct mailbox *m, const struct model *x)
{
	struct mailbox_status s;

	assert_int_equal(mailbox_count(m), x->count);
	mailbox_status(m, &s);
	assert_int_equal(s.uidnext, x->uidnext);
	for (uint32_t i = 0; i < x->count; i++) {
		struct entry e = mailbox_entry(m, i);
		assert_int_equal(e.uid, x->row[i].uid);
		assert_int_equal(e.message, x->row[i].message);
		assert_int_equal(e.flags, x->row[i].flags);
		assert_int_equal(e.modseq, x->row[i].modseq);
		assert_true(e.modseq <= s.highest_modseq);
	}
}

static void
model_expunge(struct model *x, const struct uid_set *s, bool any)
{
	uint32_t to = 0;

	for (uint32_t i = 0; i < x->count; i++)
		if (!in(s, x->row[i].uid) || (!any && !(x->row[i].flags & FLAG_DELETED)))
			x->row[to++] = x->row[i];
	x->count = to;
}

static void
one_change(struct kit *k, struct account *a, struct mailbox *box[MODEL_BOXES])
{
	unsigned         which = dice(MODEL_BOXES), what = dice(10);
	struct model    *x = &model[which];
	struct mailbox  *m = box[which];
	struct uid_range range[8], made;
	struct uid_set   s = some_uids(range, x->uidnext), source;
	struct arena    *arena = arena_open(NULL);

	if (what < 5 && x->count < MODEL_MOST / 2) {
		for (unsigned n = dice(12); n > 0; n--) {
			struct arrival v = kit_arrival(k, 0);
			uint32_t       uid;
			v.flags = dice(2) ? 0 : FLAG_SEEN;
			assert_int_equal(mailbox_arrive(m, &v, &uid), 0);
			assert_int_equal(uid, x->uidnext);
			x->row[x->count++] = (struct model_row){ x->uidnext++, v.letter, v.flags,
				                                 account_modseq(a) };
		}
	} else if (what < 7) {
		enum flags_how how = (enum flags_how)dice(3);
		uint64_t       flags = dice(32),
			 since = dice(2) ? UINT64_MAX
		                         : account_modseq(a) -
		                                   dice(40) % (unsigned)account_modseq(a);
		assert_int_equal(mailbox_flags(m, &s, how, flags, since, NULL, NULL, NULL), 0);
		for (uint32_t i = 0; i < x->count; i++) {
			uint64_t now = how == FLAGS_ADD      ? x->row[i].flags | flags
			               : how == FLAGS_REMOVE ? x->row[i].flags & ~flags
			                                     : flags;
			if (!in(&s, x->row[i].uid) || x->row[i].modseq > since ||
			    now == x->row[i].flags)
				continue;
			x->row[i].flags = now;
			x->row[i].modseq = account_modseq(a);
		}
	} else if (what < 8) {
		bool any = dice(2);
		assert_int_equal(mailbox_expunge(m, &s, any, arena, NULL, NULL), 0);
		model_expunge(x, &s, any);
	} else if (x->count < MODEL_MOST / 4) {
		unsigned      other = dice(MODEL_BOXES);
		bool          move = dice(2) && other != which;
		struct model *y = &model[other];
		uint32_t      n = y->count < MODEL_MOST / 2 ? x->count : 0;
		if (n > 0)
			assert_int_equal(mailbox_copy(m, &s, box[other], move, arena, &source,
			                              &made, NULL),
			                 0);
		for (uint32_t i = 0; i < n && y->count < MODEL_MOST; i++)
			if (in(&s, x->row[i].uid))
				y->row[y->count++] = (struct model_row){
					y->uidnext++, x->row[i].message, x->row[i].flags,
					mailbox_entry(box[other], mailbox_count(box[other]) - 1)
						.modseq
				};
		if (move && n > 0)
			model_expunge(x, &s, true);
	}
	arena_close(&arena);
}

static void
test_random_changes_and_replay(void **state)
{
	struct kit k = { 0 };
	int64_t    now = 1700000000;

	(void)state;
	for (int i = 0; i < MODEL_BOXES; i++)
		model[i] = (struct model){ .uidnext = 1 };
	kit_folder(&k);
	kit_open(&k);
	clock_pretend(now);
	for (int round = 0; round < 60; round++) {
		struct account *a = kit_take(&k, 300);
		struct mailbox *box[MODEL_BOXES];
		for (int i = 0; i < MODEL_BOXES; i++) {
			box[i] = kit_mailbox(a, box_names[i]);
			compare(box[i], &model[i]);
		}
		for (int i = 0; i < 25; i++) {
			one_change(&k, a, box);
			if (dice(4) == 0)
				kit_turns(&k);
		}
		for (int i = 0; i < MODEL_BOXES; i++) {
			compare(box[i], &model[i]);
			mailbox_drop(&box[i]);
		}
		account_drop(&a);
		settle(&k);
		if (round % 7 == 3)
			while (store_sweep(k.store))
				kit_turns(&k);
		if (round % 7 == 3)
			(void)store_sweep(k.store);
		kit_turns(&k);
		clock_pretend(now += 900);
		again(&k);
	}
	clock_pretend(0);
	kit_close(&k);
	kit_remove(&k);
}

/* ---- damage ---- */

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

/* Its older history is forgotten: what version 3 kept of a mailbox is all there is of it. */
static void
test_a_mailbox_of_version_3(void **state)
{
	struct kit       k = { 0 };
	struct account  *a;
	struct mailbox  *m;
	struct uid_range r = { 3, 3 };

	(void)state;
	kit_folder(&k);
	clock_pretend(1700000000);
	for (int round = 0; round < 2; round++) {
		kit_open(&k);
		a = kit_take(&k, 5);
		m = kit_mailbox(a, "INBOX");
		for (uint32_t i = 0; i < 300; i++) {
			arrive(&k, m, 0);
			settle(&k);
		}
		assert_int_equal(mailbox_flags(m, &(struct uid_set){ &r, 1 }, FLAGS_ADD,
		                               FLAG_FLAGGED, UINT64_MAX, NULL, NULL, NULL),
		                 0);
		settle(&k);
		mailbox_drop(&m);
		account_drop(&a);
		(void)store_sweep(k.store);
		settle(&k);
		kit_close(&k);
	}
	sql(&k,
	    "ALTER TABLE snapshot RENAME TO newer;"
	    "CREATE TABLE snapshot(mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, time INTEGER NOT NULL,"
	    " data BLOB NOT NULL, PRIMARY KEY(mailbox, modseq)) WITHOUT ROWID;"
	    "INSERT INTO snapshot SELECT mailbox,modseq,time,data FROM newer; DROP TABLE newer;"
	    "DELETE FROM fact WHERE modseq<=(SELECT max(modseq) FROM snapshot);"
	    "PRAGMA user_version=3");
	for (int round = 0; round < 2; round++) {
		kit_open(&k);
		a = kit_take(&k, 5);
		m = kit_mailbox(a, "INBOX");
		assert_int_equal(mailbox_count(m), 600);
		assert_int_equal(mailbox_entry(m, 2).flags, FLAG_FLAGGED);
		assert_int_equal(mailbox_entry(m, 3).flags, 0);
		mailbox_drop(&m);
		account_drop(&a);
		kit_close(&k);
	}
	kit_remove(&k);
}

static void
test_damage_is_set_aside(void **state)
{
	struct kit      k = { 0 };
	struct account *a;
	struct mailbox *m;
	struct buffer   out = { 0 };
	char            path[128];
	int             fd, why;

	(void)state;
	kit_folder(&k);
	clock_pretend(1700000000);
	kit_open(&k);
	for (int round = 0; round < 2; round++) {
		a = kit_take(&k, 5);
		m = kit_mailbox(a, "INBOX");
		for (int i = 0; i < 300; i++) {
			arrive(&k, m, 0);
			if (i % 2)
				settle(&k);
		}
		for (uint32_t i = 1; i < 260; i++) {
			struct uid_range r = { i, i };
			assert_int_equal(mailbox_flags(m, &(struct uid_set){ &r, 1 }, FLAGS_ADD,
			                               round ? FLAG_FLAGGED : FLAG_SEEN, UINT64_MAX,
			                               NULL, NULL, NULL),
			                 0);
		}
		mailbox_drop(&m);
		account_drop(&a);
		(void)store_sweep(k.store);
		settle(&k);
		again(&k);
	}
	kit_close(&k);
	/* The newest snapshot: the one before it and the history give the same. */
	sql(&k,
	    "UPDATE snapshot SET data=zeroblob(length(data)) WHERE modseq=(SELECT max(modseq) FROM snapshot)");
	kit_open(&k);
	a = kit_take(&k, 5);
	m = kit_mailbox(a, "INBOX");
	assert_int_equal(mailbox_count(m), 600);
	assert_int_equal(mailbox_entry(m, 0).flags, FLAG_SEEN | FLAG_FLAGGED);
	mailbox_drop(&m);
	account_drop(&a);
	kit_close(&k);
	/* One fact: the rest is served, uids are not given away twice, the check says so. */
	sql(&k,
	    "DELETE FROM snapshot; UPDATE fact SET data=zeroblob(20) WHERE modseq=(SELECT max(modseq) FROM fact WHERE kind=9)");
	kit_open(&k);
	a = kit_take(&k, 5);
	m = kit_mailbox(a, "INBOX");
	assert_true(mailbox_count(m) >= 590 && mailbox_count(m) < 600);
	assert_true(arrive(&k, m, 0) > 60000);
	assert_true(store_check_account(a, &out) > 0);
	HOLDS("in words",
	      bytes_search(buffer_bytes(&out),
	                   BYTES("05/5/index.db: mailbox INBOX: part of its history is damaged")) >=
	              0);
	mailbox_drop(&m);
	account_drop(&a);
	kit_close(&k);
	/* One as the version before this one left it. */
	sql(&k,
	    "ALTER TABLE message DROP COLUMN mark; ALTER TABLE message DROP COLUMN email;"
	    "DROP TABLE snapshot; CREATE TABLE snapshot(mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, time INTEGER NOT NULL,"
	    " data BLOB NOT NULL, PRIMARY KEY(mailbox, modseq)) WITHOUT ROWID; PRAGMA user_version=2");
	kit_open(&k);
	a = kit_take(&k, 5);
	m = kit_mailbox(a, "INBOX");
	HOLDS("is brought up", arrive(&k, m, 0) > 60000);
	mailbox_drop(&m);
	account_drop(&a);
	kit_close(&k);
	/* A version from the future. */
	sql(&k, "PRAGMA user_version=1000");
	kit_open(&k);
	HOLDS("refused", account_take(k.store, 5, &why) == NULL && why == EBADMSG);
	kit_close(&k);
	sql(&k, "PRAGMA user_version=4");
	/* The file itself. */
	(void)snprintf(path, sizeof path, "%s/05/5/index.db", k.path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(disk_write(fd, "garbage instead of a database", 29, 0), 0);
	(void)close(fd);
	kit_open(&k);
	buffer_reset(&out);
	HOLDS("check does not touch it",
	      store_check(k.dir, k.letters, &out) == 1 && access(path, F_OK) == 0);
	HOLDS("refused", account_take(k.store, 5, &why) == NULL && why == EBADMSG);
	HOLDS("put aside", access(path, F_OK) < 0);
	HOLDS("not made anew", account_take(k.store, 5, &why) == NULL && why == EBADMSG);
	a = kit_take(&k, 6);
	HOLDS("others are served", a != NULL);
	account_drop(&a);
	kit_close(&k);
	clock_pretend(0);
	buffer_free(&out);
	kit_remove(&k);
}

/* ---- history ---- */

static void
test_history_is_forgotten_in_its_time(void **state)
{
	struct kit      k = { 0 };
	struct account *a;
	struct mailbox *m;
	struct arena   *arena = arena_open(NULL);
	struct uid_set  gone;
	struct message  row;
	uint64_t        first = (uint64_t)1 << 32 | 64;
	int64_t         now = 1700000000;
	uint32_t        left = 0;

	(void)state;
	kit_folder(&k);
	k.history_ms = 2 * 3600 * 1000;
	for (int hour = 0; hour < 12; hour++) {
		clock_pretend(now + 3600 * hour);
		kit_open(&k);
		a = kit_take(&k, 9);
		m = kit_mailbox(a, "INBOX");
		if (hour == 0)
			assert_int_equal(account_create(a, "Old", USE_NONE), 0);
		if (hour == 1)
			assert_int_equal(account_delete(a, "Old"), 0);
		for (int i = 0; i < 200; i++)
			arrive(&k, m, 0);
		for (uint32_t i = 0; i < 150; i++) {
			struct uid_range r = { (uint32_t)hour * 200 + i + 1,
				               (uint32_t)hour * 200 + i + 1 };
			assert_int_equal(mailbox_expunge(m, &(struct uid_set){ &r, 1 }, true, arena,
			                                 &gone, NULL),
			                 0);
		}
		/* One fact after the other, so that each hour is worth a snapshot. */
		for (uint32_t i = 150; i < 200; i++) {
			struct uid_range r = { (uint32_t)hour * 200 + i + 1,
				               (uint32_t)hour * 200 + i + 1 };
			for (int j = 0; j < 3; j++)
				assert_int_equal(mailbox_flags(m, &(struct uid_set){ &r, 1 },
				                               FLAGS_SET, (uint64_t)1 << j,
				                               UINT64_MAX, NULL, NULL, NULL),
				                 0);
		}
		left = mailbox_count(m);
		mailbox_drop(&m);
		account_drop(&a);
		settle(&k);
		assert_true(store_sweep(k.store) || true);
		settle(&k);
		kit_close(&k);
	}
	kit_open(&k);
	a = kit_take(&k, 9);
	m = kit_mailbox(a, "INBOX");
	assert_int_equal(mailbox_count(m), left);
	assert_int_equal(left, 12 * 50);
	HOLDS("the beginning is forgotten", !mailbox_vanished(m, 0, arena, &gone));
	HOLDS("the last hours are not",
	      mailbox_vanished(m, mailbox_entry(m, left - 60).modseq, arena, &gone) &&
	              gone.count > 0);
	HOLDS("rows of long ago are gone", message_read(a, first, arena, &row) == ENOENT);
	HOLDS("rows of messages in the mailbox are not",
	      message_read(a, mailbox_entry(m, 0).message, arena, &row) == 0);
	HOLDS("nor of those expunged just now",
	      message_read(a, k.next_letter - 4096 * 200, arena, &row) == 0);
	mailbox_drop(&m);
	account_drop(&a);
	kit_close(&k);
	clock_pretend(0);
	arena_close(&arena);
	kit_remove(&k);
}

/* ---- letters ---- */

static void
put_letter(struct kit *k, struct arrival *v, struct buffer *content)
{
	struct buffer   digest = { 0 }, packed = { 0 }, file = { 0 };
	struct arena   *arena = arena_open(NULL);
	struct envelope e = { .prefix = BYTES("Received: by us\r\n") };
	uint64_t        id = (uint64_t)3 << 32 | SEGMENT_HEADER;
	int fd = openat(k->dir, "00000003.seg", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	buffer_add_string(content,
	                  "From: adam@example.org\r\nSubject: apples\r\n\r\nDo you like them?\r\n");
	digest_make(buffer_bytes(content), arena, &digest);
	e.letter = id;
	e.digest = buffer_bytes(&digest);
	e.content_len = content->len;
	envelope_pack(&e, &packed);
	segment_title_make(buffer_room(&file, SEGMENT_HEADER), 3, 0, SEGMENT_SMALL);
	buffer_took(&file, SEGMENT_HEADER);
	record_add(&file, RECORD_CONTENT, id, buffer_bytes(content));
	*v = kit_arrival(k, id);
	v->place = (struct letter_place){ 3, SEGMENT_HEADER + RECORD_HEADER, content->len, 3,
		                          file.len };
	v->prefix_len = (uint32_t)e.prefix.len;
	v->size = v->head.len + e.prefix.len + content->len;
	record_add(&file, RECORD_ENVELOPE, id, buffer_bytes(&packed));
	assert_int_equal(disk_write(fd, file.at, file.len, 0), 0);
	(void)close(fd);
	arena_close(&arena);
	buffer_free(&digest);
	buffer_free(&packed);
	buffer_free(&file);
}

static size_t referred;

static void
refer(void *ctx, uint64_t account, uint64_t letter, const struct letter_place *place)
{
	(void)ctx;
	(void)account;
	(void)letter;
	(void)place;
	referred++;
}

static void
test_a_letter_is_read_in_pieces(void **state)
{
	struct kit          k = { 0 };
	struct arena       *arena = arena_open(NULL);
	struct buffer       content = { 0 }, whole = { 0 }, out = { 0 };
	struct account     *a;
	struct mailbox     *m;
	struct arrival      v;
	struct message      row;
	struct digest       digest;
	struct bytes        prefix;
	struct letter_place to;
	uint32_t            uid;
	char                got[512];
	off_t               at;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	put_letter(&k, &v, &content);
	a = kit_take(&k, 258);
	m = kit_mailbox(a, "INBOX");
	assert_int_equal(mailbox_arrive(m, &v, &uid), 0);
	assert_int_equal(message_read(a, v.letter, arena, &row), 0);
	assert_int_equal(row.size, v.size);
	assert_int_equal(row.zone, 60);
	assert_int_equal(row.internal_date, 1700000000);
	SAME("head", row.head, v.head);
	assert_int_equal(message_digest(a, &row, arena, &digest, &prefix), 0);
	SAME("subject", digest.subject, BYTES("apples"));
	buffer_add(&whole, v.head);
	buffer_add(&whole, prefix);
	buffer_add(&whole, buffer_bytes(&content));
	assert_int_equal(whole.len, v.size);
	for (size_t from = 0; from < whole.len; from += 3)
		for (size_t len = 0; len <= whole.len - from; len += 5) {
			assert_int_equal(message_bytes(a, &row, prefix, from, got, len), 0);
			assert_memory_equal(got, whole.at + from, len);
		}
	assert_int_equal(message_bytes(a, &row, prefix, 1, got, whole.len), EINVAL);
	assert_true(message_content_fd(a, &row, &at) >= 0);
	assert_int_equal(at, SEGMENT_HEADER + RECORD_HEADER);
	if (store_check_account(a, &out) != 0)
		fail_msg("%.*s", (int)out.len, out.at);
	assert_int_equal(message_read(a, 12345, arena, &row), ENOENT);

	settle(&k);
	referred = 0;
	assert_int_equal(store_refers(k.store, 3, refer, NULL), 0);
	assert_int_equal(referred, 1);
	assert_int_equal(store_refers(k.store, 4, refer, NULL), 0);
	k.others = true;
	assert_int_equal(store_refers(k.store, 3, refer, NULL), 0);
	k.others = false;
	assert_int_equal(referred, 1);
	to = v.place;
	to.content_segment = to.envelope_segment = 4;
	to.content_at += 8;
	assert_int_equal(store_moved(k.store, &v.letter, &to, 1), 0);
	settle(&k);
	referred = 0;
	assert_int_equal(store_refers(k.store, 4, refer, NULL), 0);
	assert_int_equal(referred, 1);
	assert_int_equal(store_refers(k.store, 3, refer, NULL), 0);
	assert_int_equal(referred, 1);
	assert_int_equal(message_read(a, v.letter, arena, &row), 0);
	assert_int_equal(row.place.content_segment, 4);
	assert_int_equal(row.place.content_at, v.place.content_at + 8);
	HOLDS("not where the index says", store_check_account(a, &out) == 2);
	HOLDS("file, letter and place",
	      bytes_search(buffer_bytes(&out),
	                   BYTES("02/258/index.db: mailbox INBOX, uid 1: letter 0300000040")) >= 0);
	mailbox_drop(&m);
	account_drop(&a);
	assert_int_equal(account_remove(k.store, 258), 0);
	assert_int_equal(faccessat(k.dir, "02/258", F_OK, 0), -1);
	a = kit_take(&k, 258);
	m = kit_mailbox(a, "INBOX");
	assert_int_equal(mailbox_count(m), 0);
	mailbox_drop(&m);
	account_drop(&a);
	kit_close(&k);
	arena_close(&arena);
	buffer_free(&content);
	buffer_free(&whole);
	buffer_free(&out);
	kit_remove(&k);
}

/* ---- a full disk ---- */

static void
test_a_full_disk(void **state)
{
	struct kit       k = { 0 };
	struct account  *a;
	struct mailbox  *m, *to;
	struct uid_range r = { 1, 3 }, made;
	struct uid_set   set = { &r, 1 }, source;
	struct arena    *arena = arena_open(NULL);
	struct arrival   v;
	uint64_t         before = store_room_least;
	uint32_t         uid;
	int64_t          later = 1700000000;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	clock_pretend(later);
	a = kit_take(&k, 1);
	m = kit_mailbox(a, "INBOX");
	to = kit_mailbox(a, "Trash");
	for (int i = 0; i < 5; i++)
		arrive(&k, m, 0);
	store_room_least = UINT64_MAX;
	clock_pretend(later += 10);
	v = kit_arrival(&k, 0);
	HOLDS("nothing comes in", mailbox_arrive(m, &v, &uid) == ENOSPC);
	HOLDS("nothing is copied",
	      mailbox_copy(m, &set, to, false, arena, &source, &made, NULL) == ENOSPC);
	HOLDS("no mailbox is made", account_create(a, "x", USE_NONE) == ENOSPC);
	HOLDS("a message can be moved to Trash",
	      mailbox_copy(m, &set, to, true, arena, &source, &made, NULL) == 0);
	HOLDS("and expunged", mailbox_expunge(to, NULL, true, arena, NULL, NULL) == 0);
	HOLDS("flags can change",
	      mailbox_flags(m, &(struct uid_set){ &(struct uid_range){ 4, 4 }, 1 }, FLAGS_ADD,
	                    FLAG_SEEN, UINT64_MAX, NULL, NULL, NULL) == 0);
	HOLDS("a mailbox can go", account_delete(a, "Archive") == 0);
	settle(&k);
	store_room_least = before;
	clock_pretend(later += 10);
	HOLDS("with room all goes on by itself", mailbox_arrive(m, &v, &uid) == 0 && uid == 6);
	settle(&k);
	mailbox_drop(&m);
	mailbox_drop(&to);
	account_drop(&a);
	clock_pretend(0);
	kit_close(&k);
	arena_close(&arena);
	kit_remove(&k);
}

UNIT(test_a_full_disk, test_the_list, test_one_mailbox, test_random_changes_and_replay,
     test_a_mailbox_of_version_3, test_damage_is_set_aside, test_history_is_forgotten_in_its_time,
     test_a_letter_is_read_in_pieces)
