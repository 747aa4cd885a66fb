#include "../unit.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <time.h>

#include "kit.h"
#include "message/envelope.h"
#include "spool/disk.h"
#include "store/inside.h"

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
	kit_arrive(&k, m, 0);
	kit_arrive(&k, m, 0);
	HOLDS("rfc3501:6.3.5 INBOX gives its messages away",
	      account_rename(a, "INBOX", "old/mail") == 0);
	assert_int_equal(mailbox_count(m), 0);
	mailbox_drop(&m);
	assert_int_equal(account_status(a, "old/mail", &status), 0);
	assert_int_equal(status.messages, 2);
	validity = status.uidvalidity;
	kit_settle(&k);
	account_drop(&a);
	kit_again(&k);
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

/* INBOX, who watches it, and Work. */
struct desk {
	struct kit            k;
	struct account       *a;
	struct mailbox       *m, *to;
	struct mailbox_watch *w;
	struct heard          h;
	struct arena         *arena;
	int                   work; /* the number of $Work in Work */
};

static void
six_arrive(struct desk *d, const struct arrival *first)
{
	struct mailbox_status status;
	uint32_t              uid;

	for (uint32_t i = 1; i <= 6; i++)
		assert_int_equal(kit_arrive(&d->k, d->m, 0), i);
	assert_int_equal(d->h.count[MAILBOX_ARRIVED], 6);
	HOLDS("the same letter again", mailbox_arrive(d->m, first, &uid) == EEXIST && uid == 0);
	mailbox_status(d->m, &status);
	assert_int_equal(status.messages, 6);
	assert_int_equal(status.uidnext, 7);
	assert_int_equal(status.unseen, 6);
	assert_int_equal(status.first_unseen, 1);
	assert_int_equal(status.recent, 6);
	assert_int_equal(status.size, 6 * first->size);
	assert_int_equal(mailbox_recent(d->m, true), 1);
	assert_int_equal(mailbox_recent(d->m, false), 7);
}

static void
flags_change(struct desk *d)
{
	struct uid_range      some[] = { { 2, 3 }, { 5, 500 } };
	struct uid_set        set = { some, 2 }, modified;
	struct mailbox_status status;
	uint64_t              modseq;

	mailbox_status(d->m, &status);
	modseq = status.highest_modseq;
	assert_int_equal(mailbox_flags(d->m, &set, FLAGS_ADD, FLAG_SEEN, UINT64_MAX, NULL, NULL,
	                               d->w),
	                 0);
	assert_int_equal(d->h.count[MAILBOX_FLAGS], 1);
	assert_int_equal(d->h.last.last, 6);
	mailbox_status(d->m, &status);
	assert_int_equal(status.highest_modseq, modseq + 1);
	assert_int_equal(status.unseen, 2);
	assert_int_equal(mailbox_flags(d->m, &set, FLAGS_ADD, FLAG_SEEN, UINT64_MAX, NULL, NULL,
	                               d->w),
	                 0);
	HOLDS("nothing changed, nothing said", d->h.count[MAILBOX_FLAGS] == 1);
	some[0].first = 1;
	assert_int_equal(mailbox_flags(d->m, &set, FLAGS_SET, FLAG_DELETED, modseq, d->arena,
	                               &modified, d->w),
	                 0);
	HOLDS("rfc7162:3.1.3 changed since",
	      modified.count == 2 && modified.range[0].first == 2 && modified.range[1].last == 6);
	assert_int_equal(mailbox_entry(d->m, 0).flags, FLAG_DELETED);
	assert_int_equal(mailbox_entry(d->m, 1).flags, FLAG_SEEN);
}

static void
keywords_are_named(struct desk *d)
{
	struct uid_range some = { 2, 3 };
	struct uid_set   set = { &some, 1 };
	int              bit = mailbox_keyword(d->m, BYTES("$Work"), true);

	assert_int_equal(bit, KEYWORD_FIRST);
	assert_int_equal(mailbox_keyword(d->m, BYTES("$work"), false), bit);
	assert_int_equal(mailbox_keyword(d->m, BYTES("$None"), false), -1);
	assert_int_equal(mailbox_flags(d->m, &set, FLAGS_ADD, mailbox_flags_with(d->m, 0, bit),
	                               UINT64_MAX, NULL, NULL, NULL),
	                 0);
}

/* Three are copied to Work, then moved there. */
static void
copies_are_made(struct desk *d)
{
	struct uid_range some = { 1, 3 }, made;
	struct uid_set   set = { &some, 1 }, source;
	struct mailbox  *m = d->m, *to;

	assert_int_equal(account_create(d->a, "Work", USE_NONE), 0);
	to = d->to = kit_mailbox(d->a, "Work");
	assert_true(mailbox_keyword(to, BYTES("other"), true) >= 0);
	assert_int_equal(mailbox_copy(m, &set, to, false, d->arena, &source, &made, NULL), 0);
	assert_int_equal(source.count, 1);
	assert_int_equal(made.first, 1);
	assert_int_equal(made.last, 3);
	d->work = mailbox_keyword(to, BYTES("$Work"), false);
	assert_int_equal(d->work, KEYWORD_FIRST + 1);
	assert_int_equal(mailbox_entry(to, 1).flags & SYSTEM_FLAGS, FLAG_SEEN);
	assert_true(mailbox_flags_have(to, mailbox_entry(to, 1).flags, d->work));
	assert_false(mailbox_flags_have(to, mailbox_entry(to, 1).flags, KEYWORD_FIRST));
	assert_int_equal(mailbox_entry(to, 1).message, mailbox_entry(m, 1).message);
	assert_int_equal(mailbox_copy(m, &set, to, true, d->arena, &source, &made, d->w), 0);
	assert_int_equal(made.first, 4);
	assert_int_equal(mailbox_count(m), 3);
	assert_int_equal(mailbox_count(to), 6);
	assert_int_equal(d->h.count[MAILBOX_EXPUNGED], 1);
	HOLDS("a copy into itself",
	      mailbox_copy(to, &set, to, false, d->arena, &source, &made, NULL) == 0 &&
	              made.first == 7 && mailbox_count(to) == 9);
}

static void
some_go(struct desk *d)
{
	struct uid_range some = { 4, 4 };
	struct uid_set   set = { &some, 1 }, gone;

	assert_int_equal(mailbox_flags(d->m, &set, FLAGS_ADD, FLAG_DELETED, UINT64_MAX, NULL, NULL,
	                               NULL),
	                 0);
	assert_int_equal(mailbox_expunge(d->m, NULL, false, d->arena, &gone, d->w), 0);
	assert_int_equal(gone.count, 1);
	assert_int_equal(gone.range[0].first, 4);
	assert_int_equal(mailbox_find(d->m, 4), -1);
	assert_int_equal(mailbox_find(d->m, 6), 1);
	assert_int_equal(mailbox_first_at_least(d->m, 2), 0);
	assert_true(mailbox_vanished(d->m, 0, d->arena, &gone));
	HOLDS("rfc7162:3.2.6 all that went",
	      gone.count == 1 && gone.range[0].first == 1 && gone.range[0].last == 4);
}

static void
all_is_there_again(struct desk *d, const struct arrival *first)
{
	struct mailbox_status status;
	struct account       *a = kit_take(&d->k, 1);
	struct mailbox       *m = kit_mailbox(a, "Work");
	uint32_t              uid;

	assert_int_equal(mailbox_count(m), 9);
	assert_string_equal(mailbox_keyword_name(m, d->work), "$Work");
	assert_int_equal(mailbox_entry(m, 1).flags & SYSTEM_FLAGS, FLAG_SEEN);
	assert_true(mailbox_flags_have(m, mailbox_entry(m, 1).flags, d->work));
	mailbox_drop(&m);
	m = kit_mailbox(a, "INBOX");
	assert_int_equal(mailbox_count(m), 2);
	assert_int_equal(mailbox_recent(m, false), 7);
	mailbox_status(m, &status);
	assert_int_equal(status.uidnext, 7);
	HOLDS("a letter that was moved away came here before",
	      mailbox_arrive(m, first, &uid) == EEXIST);
	assert_int_equal(kit_arrive(&d->k, m, 0), 7);
	mailbox_drop(&m);
	account_drop(&a);
}

static void
test_one_mailbox(void **state)
{
	struct desk    d = { .arena = arena_open(NULL) };
	struct arrival first;

	(void)state;
	kit_folder(&d.k);
	kit_open(&d.k);
	first = kit_arrival(&d.k, (uint64_t)1 << 32 | 64);
	d.a = kit_take(&d.k, 1);
	d.m = kit_mailbox(d.a, "INBOX");
	d.w = mailbox_watch(d.m, hear, &d.h);
	six_arrive(&d, &first);
	flags_change(&d);
	keywords_are_named(&d);
	copies_are_made(&d);
	some_go(&d);
	kit_settle(&d.k);
	mailbox_unwatch(&d.w);
	mailbox_drop(&d.m);
	mailbox_drop(&d.to);
	account_drop(&d.a);
	kit_again(&d.k);
	all_is_there_again(&d, &first);
	kit_close(&d.k);
	arena_close(&d.arena);
	kit_remove(&d.k);
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
		kit_settle(&k);
		if (round % 7 == 3)
			while (store_sweep(k.store))
				kit_turns(&k);
		if (round % 7 == 3)
			(void)store_sweep(k.store);
		kit_turns(&k);
		clock_pretend(now += 900);
		kit_again(&k);
	}
	clock_pretend(0);
	kit_close(&k);
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
			kit_arrive(&k, m, 0);
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
		kit_settle(&k);
		assert_true(store_sweep(k.store) || true);
		kit_settle(&k);
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
		kit_arrive(&k, m, 0);
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
	kit_settle(&k);
	store_room_least = before;
	clock_pretend(later += 10);
	HOLDS("with room all goes on by itself", mailbox_arrive(m, &v, &uid) == 0 && uid == 6);
	kit_settle(&k);
	mailbox_drop(&m);
	mailbox_drop(&to);
	account_drop(&a);
	clock_pretend(0);
	kit_close(&k);
	arena_close(&arena);
	kit_remove(&k);
}

UNIT(test_a_full_disk, test_the_list, test_one_mailbox, test_random_changes_and_replay,
     test_history_is_forgotten_in_its_time)
