#include "base/buffer.h"
#include "kit.h"
#include "store/metadata.h"
#include "store/quota.h"
#include "store/rights.h"
#include "store/seen.h"
#include "store/shares.h"
#include "unit.h"
#include <errno.h>

static void
settled(void *ctx, int why)
{
	*(int *)ctx = why;
}

static void
settle(struct kit *k)
{
	int why = -1;

	store_barrier(k->store, settled, &why);
	kit_turns(k);
	assert_int_equal(why, 0);
}

static void
again(struct kit *k)
{
	kit_close(k);
	kit_open(k);
}

static uint32_t
arrive_flagged(struct kit *k, struct mailbox *m, uint64_t letter, uint64_t flags)
{
	struct arrival v = kit_arrival(k, letter);
	uint32_t       uid;

	v.flags = flags;
	assert_int_equal(mailbox_arrive(m, &v, &uid), 0);
	return uid;
}

/* ---- rights ---- */

static void
test_letters_of_rights(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *in, *out; } rows[] = {
		{ "rfc4314:2.1.1 d is te, and is said again", "lrswida", "lrswiteda" },
		{ "rfc4314:2.1.1 k brings c", "lrswik", "lrswikc" },
		{ "rfc4314:2.1.1 c is kx", "c", "kxc" },
		{ "all", "lrswipkxtea", "lrswipkxtecda" },
		{ "none", "", "" },
		{ "a letter that is no right", "lz", NULL },
		{ "digits are none", "0", NULL },
		{ "capitals are none", "L", NULL },
	};
	/* clang-format on */
	char     text[RIGHTS_WRITTEN];
	unsigned bits;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		HOLDS(rows[i].why,
		      rights_read(bytes_of(rows[i].in), &bits) == (rows[i].out != NULL));
		if (rows[i].out == NULL)
			continue;
		rights_write(bits, text);
		SAME(rows[i].why, bytes_of(text), bytes_of(rows[i].out));
	}
}

static void
test_who_may_do_what(void **state)
{
	static const char *const sales[] = { "sales@example.com" };
	const struct reader      jill = { 2, "jill@example.com", NULL, 0 };
	const struct reader      adam = { 3, "adam@example.com", sales, 1 };
	const struct reader      owner = { 7, "jack@example.com", NULL, 0 };
	struct kit               k = { 0 };
	struct account          *a;
	struct mailbox_status    inbox, made;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 7);
	assert_int_equal(account_status(a, "INBOX", &inbox), 0);
	HOLDS("the owner has all", rights_of(a, inbox.id, &owner, 0) == RIGHTS_ALL);
	HOLDS("a stranger has none", rights_of(a, inbox.id, &jill, 0) == 0);
	HOLDS("nobody sees anything", !acl_any(a));
	HOLDS("a row that is not there", acl_set(a, inbox.id, "jill@example.com", 0) == ENOENT);
	assert_int_equal(acl_set(a, inbox.id, "jill@example.com", RIGHT_LOOKUP | RIGHT_READ), 0);
	assert_int_equal(acl_set(a, inbox.id, "$sales@example.com", RIGHT_LOOKUP | RIGHT_INSERT),
	                 0);
	assert_int_equal(acl_set(a, inbox.id, "anyone", RIGHT_LOOKUP), 0);
	assert_int_equal(acl_set(a, inbox.id, "-adam@example.com", RIGHT_INSERT), 0);
	HOLDS("rfc4314:2 rights add up",
	      rights_of(a, inbox.id, &jill, 0) == (RIGHT_LOOKUP | RIGHT_READ));
	HOLDS("rfc4314:2 a negative row takes away",
	      rights_of(a, inbox.id, &adam, 0) == RIGHT_LOOKUP);
	HOLDS("from what a member has, too",
	      rights_of(a, inbox.id, &adam, RIGHTS_ALL) == (RIGHTS_ALL & ~(unsigned)RIGHT_INSERT));
	assert_int_equal(account_create(a, "INBOX/work", USE_NONE), 0);
	assert_int_equal(account_status(a, "INBOX/work", &made), 0);
	HOLDS("rfc4314:4 a new mailbox inherits",
	      rights_of(a, made.id, &jill, 0) == (RIGHT_LOOKUP | RIGHT_READ));
	settle(&k);
	account_drop(&a);
	again(&k);
	a = kit_take(&k, 7);
	HOLDS("kept", rights_of(a, made.id, &jill, 0) == (RIGHT_LOOKUP | RIGHT_READ));
	assert_int_equal(account_delete(a, "INBOX/work"), 0);
	HOLDS("rfc4314:4 gone with the mailbox", rights_of(a, made.id, &jill, 0) == 0);
	assert_int_equal(acl_set(a, inbox.id, "-jill@example.com", RIGHT_INSERT), 0);
	assert_int_equal(acl_revoke(a, BYTES("jill@example.com"), 1), 0);
	HOLDS("granted later than that", rights_of(a, inbox.id, &jill, 0) & RIGHT_READ);
	assert_int_equal(acl_revoke(a, BYTES("jill@example.com"), INT64_MAX), 0);
	HOLDS("an address that is gone", rights_of(a, inbox.id, &jill, 0) == RIGHT_LOOKUP);
	HOLDS("and what was taken from it", acl_set(a, inbox.id, "-jill@example.com", 0) == ENOENT);
	HOLDS("others stay", rights_of(a, inbox.id, &adam, 0) == RIGHT_LOOKUP);
	assert_int_equal(acl_revoke(a, BYTES("sales@example.com"), INT64_MAX), 0);
	HOLDS("a group that is gone", acl_set(a, inbox.id, "$sales@example.com", 0) == ENOENT);
	account_drop(&a);
	kit_close(&k);
	kit_remove(&k);
}

/* ---- metadata ---- */

static void
gather(void *ctx, const struct metadata *m)
{
	buffer_printf(ctx, "%.*s=%.*s;", (int)m->entry.len, m->entry.at, (int)m->value.len,
	              m->value.at);
}

static void
expect_notes(struct account *a, uint64_t mailbox, uint64_t reader, const char *why,
             const char *wanted)
{
	struct buffer got = { 0 };

	assert_int_equal(metadata_each(a, mailbox, reader, gather, &got), 0);
	SAME(why, buffer_bytes(&got), bytes_of(wanted));
	buffer_free(&got);
}

static int
note_put(struct account *a, uint64_t mailbox, uint64_t reader, const char *entry, const char *value)
{
	struct metadata m = { bytes_of(entry),
		              value == NULL ? (struct bytes){ NULL, 0 } : bytes_of(value) };

	return metadata_set(a, mailbox, reader, &m, 1, 64);
}

static void
test_notes(void **state)
{
	struct kit            k = { 0 };
	struct account       *a;
	char                  entry[32];
	struct mailbox_status inbox, old;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 7);
	assert_int_equal(account_status(a, "INBOX", &inbox), 0);
	assert_int_equal(note_put(a, inbox.id, 0, "/shared/comment", "ours"), 0);
	assert_int_equal(note_put(a, inbox.id, 7, "/private/comment", "mine"), 0);
	assert_int_equal(note_put(a, inbox.id, 8, "/private/comment", "hers"), 0);
	expect_notes(a, inbox.id, 7, "rfc5464:3.3 private ones are each reader's",
	             "/private/comment=mine;/shared/comment=ours;");
	expect_notes(a, inbox.id, 9, "others see what is shared", "/shared/comment=ours;");
	HOLDS("rfc5464:4.3 too large",
	      note_put(a, inbox.id, 0, "/shared/x",
	               "0123456789012345678901234567890123456789012345678901234567890123456789") ==
	              EMSGSIZE);
	assert_int_equal(account_rename(a, "INBOX", "old"), 0);
	assert_int_equal(account_status(a, "old", &old), 0);
	expect_notes(a, old.id, 9, "rfc5464:4.1 RENAME INBOX copies", "/shared/comment=ours;");
	expect_notes(a, inbox.id, 9, "rfc5464:4.1 and keeps", "/shared/comment=ours;");
	assert_int_equal(note_put(a, inbox.id, 0, "/shared/comment", NULL), 0);
	expect_notes(a, inbox.id, 9, "taken away", "");
	for (int i = 0; i < METADATA_MOST; i++) {
		(void)snprintf(entry, sizeof entry, "/shared/%d", i);
		assert_int_equal(note_put(a, 0, 0, entry, ""), 0);
	}
	HOLDS("rfc5464:4.3 too many", note_put(a, 0, 0, "/shared/more", "") == EDQUOT);
	HOLDS("one that is there may change", note_put(a, 0, 0, "/shared/0", "new") == 0);
	settle(&k);
	account_drop(&a);
	again(&k);
	a = kit_take(&k, 7);
	expect_notes(a, old.id, 7, "kept", "/private/comment=mine;/shared/comment=ours;");
	assert_int_equal(account_delete(a, "old"), 0);
	expect_notes(a, old.id, 7, "rfc5464:4.1 gone with the mailbox", "");
	account_drop(&a);
	kit_close(&k);
	kit_remove(&k);
}

/* ---- quota ---- */

static void
expect_usage(struct account *a, const char *why, uint64_t messages, uint64_t bytes)
{
	struct quota q;
	bool         right;

	assert_int_equal(account_quota(a, &q), 0);
	HOLDS(why, q.messages == messages);
	HOLDS(why, q.bytes == bytes);
	assert_int_equal(account_recount(a, &right), 0);
	HOLDS(why, right);
}

static void
test_usage_follows_every_change(void **state)
{
	struct kit       k = { 0 };
	struct account  *a;
	struct mailbox  *inbox, *other;
	struct arena    *arena = arena_open(NULL);
	struct uid_range two = { 1, 2 }, made;
	struct uid_set   set = { &two, 1 }, source;
	uint64_t         one;
	uint32_t         uid;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 7);
	inbox = kit_mailbox(a, "INBOX");
	other = kit_mailbox(a, "Archive");
	expect_usage(a, "empty", 0, 0);
	for (int i = 0; i < 3; i++) {
		struct arrival v = kit_arrival(&k, 0);
		one = v.size;
		assert_int_equal(mailbox_arrive(inbox, &v, &uid), 0);
	}
	expect_usage(a, "three came", 3, 3 * one);
	assert_int_equal(mailbox_copy(inbox, &set, other, false, arena, &source, &made, NULL), 0);
	expect_usage(a, "a copy counts as it does for readers", 5, 5 * one);
	assert_int_equal(mailbox_copy(inbox, &set, other, true, arena, &source, &made, NULL), 0);
	expect_usage(a, "a move changes nothing", 5, 5 * one);
	settle(&k);
	mailbox_drop(&inbox);
	mailbox_drop(&other);
	account_drop(&a);
	again(&k);
	a = kit_take(&k, 7);
	expect_usage(a, "the same after a restart", 5, 5 * one);
	assert_int_equal(account_limits(a, &(struct quota_limits){ 6 * one, 0 }), 0);
	HOLDS("what fits", account_fits(a, one, 1, 0) == 0);
	HOLDS("what does not", account_fits(a, one + 1, 1, 0) == EDQUOT);
	HOLDS("the last letter may be over by the grace", account_fits(a, one + 1, 1, 1) == 0);
	HOLDS("rfc8508:3.4 instead of another, by the difference", account_fits_instead(a, 2 * one, one) == 0);
	HOLDS("a byte more", account_fits_instead(a, 2 * one + 1, one) == EDQUOT);
	assert_int_equal(account_limits(a, &(struct quota_limits){ one, 5 }), 0);
	HOLDS("over the limit, and no more than before", account_fits_instead(a, one, one) == 0);
	HOLDS("over the limit, and more than before", account_fits_instead(a, one + 1, one) == EDQUOT);
	assert_int_equal(account_limits(a, &(struct quota_limits){ 0, 5 }), 0);
	HOLDS("messages are limited, too", account_fits(a, 1, 1, 0) == EDQUOT);
	HOLDS("a limit nobody said changes nothing",
	      account_limits(a, &QUOTA_UNSAID) == 0 && account_fits(a, 1, 1, 0) == EDQUOT);
	assert_int_equal(account_delete(a, "Archive"), 0);
	expect_usage(a, "a mailbox goes with what is in it", 1, one);
	settle(&k);
	account_drop(&a);
	again(&k);
	a = kit_take(&k, 7);
	HOLDS("the limit is remembered",
	      account_fits(a, 1, 5, 0) == EDQUOT && account_fits(a, 1, 4, 0) == 0);
	account_drop(&a);
	arena_close(&arena);
	kit_close(&k);
	kit_remove(&k);
}

/* ---- seen ---- */

struct told {
	unsigned flags;
};

static void
hear(void *ctx, enum mailbox_news what, const struct uid_set *set, const struct mailbox_watch *by)
{
	(void)set;
	(void)by;
	((struct told *)ctx)->flags += what == MAILBOX_FLAGS;
}

static void
expect_seen(struct mailbox *m, const struct seen *s, const char *why, const char *wanted)
{
	struct buffer got = { 0 };

	for (uint32_t i = 0; i < mailbox_count(m); i++)
		buffer_add_char(&got,
		                seen_entry(s, mailbox_entry(m, i)).flags & FLAG_SEEN ? '1' : '0');
	SAME(why, buffer_bytes(&got), bytes_of(wanted));
	buffer_free(&got);
}

static void
test_each_reader_has_its_own_seen(void **state)
{
	struct kit            k = { 0 };
	struct account       *a;
	struct mailbox       *m;
	struct seen          *jill, *adam;
	struct mailbox_watch *watch[2];
	struct told           told[2] = { { 0 }, { 0 } };
	struct uid_range      range[] = { { 2, 4 }, { 6, 6 } }, three = { 3, 3 };
	struct uid_set        set = { range, 2 }, one = { &three, 1 }, modified;
	struct arena         *arena = arena_open(NULL);
	uint64_t              modseq;
	int                   why;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 7);
	m = kit_mailbox(a, "INBOX");
	for (int i = 0; i < 8; i++)
		(void)arrive_flagged(&k, m, 0, FLAG_SEEN);
	jill = seen_take(m, 2, &why);
	adam = seen_take(m, 3, &why);
	watch[0] = mailbox_watch(m, hear, &told[0]);
	mailbox_watch_as(watch[0], jill);
	watch[1] = mailbox_watch(m, hear, &told[1]);
	expect_seen(m, jill, "nothing was seen by others", "00000000");
	assert_int_equal(seen_change(jill, &set, true, UINT64_MAX, arena, NULL, NULL), 0);
	expect_seen(m, jill, "marked", "01110100");
	expect_seen(m, adam, "not by him", "00000000");
	HOLDS("the owner's is the owner's", mailbox_entry(m, 1).flags == FLAG_SEEN);
	HOLDS("news for her alone", told[0].flags == 1 && told[1].flags == 0);
	modseq = seen_entry(jill, mailbox_entry(m, 1)).modseq;
	HOLDS("rfc7162:3.1 a change has a modseq", modseq > mailbox_entry(m, 1).modseq);
	HOLDS("and is the highest", seen_highest(jill) == modseq);
	assert_int_equal(seen_change(jill, &one, false, UINT64_MAX, arena, NULL, NULL), 0);
	expect_seen(m, jill, "one of the middle taken back", "01010100");
	HOLDS("nothing changes, nothing is told",
	      seen_change(jill, &one, false, UINT64_MAX, arena, NULL, NULL) == 0 &&
	              told[0].flags == 2);
	assert_int_equal(seen_change(jill, &set, false, modseq, arena, &modified, NULL), 0);
	HOLDS("rfc7162:3.1.3 UNCHANGEDSINCE", modified.count == 1 && modified.range[0].first == 3);
	expect_seen(m, jill, "all but that", "00000000");
	assert_int_equal(seen_change(jill, &set, true, UINT64_MAX, arena, NULL, NULL), 0);
	settle(&k);
	modseq = account_modseq(a);
	mailbox_unwatch(&watch[0]);
	mailbox_unwatch(&watch[1]);
	seen_drop(&jill);
	seen_drop(&adam);
	mailbox_drop(&m);
	account_drop(&a);
	again(&k);
	a = kit_take(&k, 7);
	HOLDS("no modseq is given twice", account_modseq(a) >= modseq);
	m = kit_mailbox(a, "INBOX");
	jill = seen_take(m, 2, &why);
	expect_seen(m, jill, "kept", "01110100");
	seen_drop(&jill);
	mailbox_drop(&m);
	account_drop(&a);
	arena_close(&arena);
	kit_close(&k);
	kit_remove(&k);
}

/* A plain array of marks, changed at random beside ours. */
static void
test_marks_equal_a_plain_array(void **state)
{
	struct kit      k = { 0 };
	struct account *a;
	struct mailbox *m;
	struct seen    *s;
	struct arena   *arena = arena_open(NULL);
	bool            plain[61] = { false };
	unsigned        seed = 20261122;
	int             why;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 7);
	m = kit_mailbox(a, "INBOX");
	for (int i = 0; i < 60; i++)
		(void)arrive_flagged(&k, m, 0, 0);
	s = seen_take(m, 2, &why);
	for (int round = 0; round < 300; round++) {
		struct uid_range range[2];
		struct uid_set   set = { range, 2 };
		bool             yes = (seed = seed * 1103515245 + 12345) >> 16 & 1;
		uint32_t         at = 1;

		for (int i = 0; i < 2; i++) {
			uint32_t gap = (seed = seed * 1103515245 + 12345) >> 16 & 15;
			uint32_t width = (seed = seed * 1103515245 + 12345) >> 16 & 15;
			range[i] = (struct uid_range){ at + gap, at + gap + width };
			at = at + gap + width + 2;
			for (uint32_t u = range[i].first; u <= range[i].last && u <= 60; u++)
				plain[u] = yes;
		}
		assert_int_equal(seen_change(s, &set, yes, UINT64_MAX, arena, NULL, NULL), 0);
		for (uint32_t u = 1; u <= 60; u++)
			HOLDS("as the plain array", ((seen_entry(s, mailbox_entry(m, u - 1)).flags &
			                              FLAG_SEEN) != 0) == plain[u]);
		arena_clear(arena);
	}
	settle(&k);
	seen_drop(&s);
	s = seen_take(m, 2, &why);
	for (uint32_t u = 1; u <= 60; u++)
		HOLDS("read again", ((seen_entry(s, mailbox_entry(m, u - 1)).flags & FLAG_SEEN) !=
		                     0) == plain[u]);
	seen_drop(&s);
	mailbox_drop(&m);
	account_drop(&a);
	arena_close(&arena);
	kit_close(&k);
	kit_remove(&k);
}

/* ---- across accounts ---- */

static void
test_a_copy_into_another_account(void **state)
{
	struct kit       k = { 0 };
	struct account  *jack, *jill;
	struct mailbox  *from, *to, *inbox;
	struct arena    *arena = arena_open(NULL);
	struct uid_range all = { 1, UINT32_MAX }, made;
	struct uid_set   set = { &all, 1 }, source;
	struct arrival   v;
	struct message   message;
	uint64_t         letter = (uint64_t)9 << 32 | 64;
	uint32_t         uid, after = 0;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	jack = kit_take(&k, 7);
	jill = kit_take(&k, 8);
	from = kit_mailbox(jack, "INBOX");
	to = kit_mailbox(jill, "Archive");
	inbox = kit_mailbox(jill, "INBOX");
	(void)arrive_flagged(&k, from, letter, FLAG_SEEN | FLAG_FLAGGED);
	(void)arrive_flagged(&k, from, 0, 0);
	HOLDS("one at a time", mailbox_bring(from, &set, to, &after, 1) == EAGAIN);
	HOLDS("the other", mailbox_bring(from, &set, to, &after, 1) == 0);
	assert_int_equal(mailbox_copy_as(from, &set, to, false,
	                                 &(struct copy_as){ .keep = FLAG_FLAGGED }, arena, &source,
	                                 &made, NULL),
	                 0);
	HOLDS("two", made.last - made.first == 1);
	HOLDS("only the flags that may go along", mailbox_entry(to, 0).flags == FLAG_FLAGGED);
	HOLDS("her own row", message_read(jill, letter, arena, &message) == 0);
	HOLDS("the same size", mailbox_entry(to, 0).size == message.size);
	expect_usage(jill, "counted where it lies", 2, 2 * message.size);
	settle(&k);
	v = kit_arrival(&k, letter);
	HOLDS("her own delivery of the letter is still to come",
	      mailbox_arrive(inbox, &v, &uid) == 0);
	HOLDS("and comes once", mailbox_arrive(inbox, &v, &uid) == EEXIST);
	settle(&k);
	mailbox_drop(&from);
	mailbox_drop(&to);
	mailbox_drop(&inbox);
	account_drop(&jack);
	account_drop(&jill);
	again(&k);
	jill = kit_take(&k, 8);
	to = kit_mailbox(jill, "Archive");
	HOLDS("kept", mailbox_count(to) == 2);
	mailbox_drop(&to);
	account_drop(&jill);
	arena_close(&arena);
	kit_close(&k);
	kit_remove(&k);
}

/* The next account of its address is there before the last session of the old one has gone. */
static void
test_what_a_deleted_account_shows_is_nobodys(void **state)
{
	struct kit      k;
	struct account *old;
	struct share    of_old = { 7, "jack@example.com", false }, found;
	struct share    of_new = { 9, "jack@example.com", false };
	(void)state;

	kit_folder(&k);
	kit_open(&k);
	old = kit_take(&k, 7);
	assert_int_equal(shares_note(k.store, &of_old, "jill@example.com"), 0);
	HOLDS("shown", shares_find(k.store, "jack@example.com", false, &found));
	HOLDS("a session has it", account_remove(k.store, 7) == EBUSY);
	HOLDS("and yet it shows nothing",
	      !shares_find(k.store, "jack@example.com", false, &found));
	assert_int_equal(shares_note(k.store, &of_new, "jill@example.com"), 0);
	account_drop(&old);
	settle(&k);
	HOLDS("removed", account_remove(k.store, 7) == 0);
	HOLDS("the next is found", shares_find(k.store, "jack@example.com", false, &found));
	assert_int_equal(found.account, 9);
	kit_close(&k);
	kit_remove(&k);
}

UNIT(test_letters_of_rights, test_who_may_do_what, test_notes, test_usage_follows_every_change,
     test_each_reader_has_its_own_seen, test_marks_equal_a_plain_array,
     test_a_copy_into_another_account, test_what_a_deleted_account_shows_is_nobodys)
