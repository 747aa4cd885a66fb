/* Many keywords: words of flags that name sets of them, in memory and packed, and what was packed before there were. */
#include "../unit.h"

#include "kit.h"
#include "store/fact.h"
#include "store/snapshot.h"

static void
test_flags_as_they_were_packed_before(void **state)
{
	struct fact_key key = {
		.mailbox = 1, .modseq = 9, .kind = FACT_FLAGS_NARROW, .time = 1234
	};
	struct arena *arena = arena_open(NULL);
	struct buffer data = { 0 };
	struct rows   rows = { 0 };
	struct fact   f;
	struct keyset set;

	(void)state;
	/* docs/format.md, kind 2: add; \Seen and bits 8 and 63; one range 3:4 */
	pack_u8(&data, FLAGS_ADD);
	pack_number(&data, 1 | 1u << 8 | (uint64_t)1 << 63);
	pack_number(&data, 1);
	pack_number(&data, 3);
	pack_number(&data, 1);
	fact_close(&data, &key);
	assert_true(fact_read(&key, buffer_bytes(&data), arena, &f, NULL));
	assert_int_equal(f.flags, FLAG_SEEN);
	assert_true(keyset_has(&f.keywords, 0) && keyset_has(&f.keywords, 55));
	assert_false(keyset_has(&f.keywords, 1));

	/* kind 1: two rows in five columns */
	key.kind = FACT_ARRIVED_NARROW;
	buffer_reset(&data);
	buffer_add(&data,
	           (struct bytes){ "\x00\x02\x01\x02\x0a\x02\x64\x65\x81\x04\x02\x12\x01\x02\x01",
	                           15 });
	fact_close(&data, &key);
	assert_true(fact_read(&key, buffer_bytes(&data), arena, &f, &rows));
	assert_int_equal(rows.count, 2);
	assert_int_equal(rows.uid[1], 2);
	assert_int_equal(rows.message[0], 5);
	assert_int_equal(rows.message[1], 6);
	assert_int_equal(rows.size[1], 101);
	assert_int_equal(rows.modseq[0], 9);
	assert_int_equal(rows.modseq[1], 10);
	HOLDS("saved when the fact was written", rows.saved[0] == 1234 && rows.saved[1] == 1234);
	assert_int_equal(rows.flags[0] & SYSTEM_FLAGS, FLAG_SEEN);
	set = keysets_at(&rows.sets, rows.flags[0] >> KEYWORD_FIRST);
	assert_true(keyset_has(&set, 1) && !keyset_has(&set, 0));
	rows_free(&rows);
	buffer_free(&data);
	arena_close(&arena);
}

static void
test_sets_are_packed_and_refused(void **state)
{
	static const struct {
		const char *why, *bytes;
		size_t      len;
		bool        right;
	} cases[] = {
		{ "none", "\x00", 1, true },
		{ "the first and the third", "\x02\x00\x01", 3, true },
		{ "the last", "\x01\xc7\x01", 3, true },
		{ "one beyond it", "\x01\xc8\x01", 3, false },
		{ "two whose distances lead beyond", "\x02\xc7\x01\x00", 4, false },
		{ "cut short", "\x02\x00", 2, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct unpack u = unpack_of((struct bytes){ cases[i].bytes, cases[i].len });
		struct buffer again = { 0 };
		struct keyset set;
		HOLDS(cases[i].why, keyset_unpack(&u, &set) == cases[i].right);
		if (!cases[i].right)
			continue;
		keyset_pack(&again, &set);
		SAME(cases[i].why, buffer_bytes(&again),
		     ((struct bytes){ cases[i].bytes, cases[i].len }));
		buffer_free(&again);
	}
}

static void
test_rows_are_tidied(void **state)
{
	struct rows   r = { 0 };
	struct keyset set = { { 0 } };

	(void)state;
	for (int i = 0; i < 100; i++) {
		keyset_add(&set, i);
		assert_int_equal(keysets_name(&r.sets, &set), i + 1);
	}
	rows_add(&r, &(struct entry){ .uid = 1, .flags = FLAG_SEEN | 50 << KEYWORD_FIRST });
	rows_add(&r, &(struct entry){ .uid = 2, .flags = 0 });
	rows_tidy(&r);
	assert_int_equal(r.sets.count, 1);
	set = keysets_at(&r.sets, r.flags[0] >> KEYWORD_FIRST);
	HOLDS("the same set", keyset_has(&set, 49) && !keyset_has(&set, 50));
	assert_int_equal(r.flags[0] & SYSTEM_FLAGS, FLAG_SEEN);
	assert_int_equal(r.flags[1], 0);
	rows_free(&r);
}

static void
flag(struct mailbox *m, uint32_t uid, enum flags_how how, uint64_t flags)
{
	struct uid_range one = { uid, uid };
	struct uid_set   set = { &one, 1 };

	assert_int_equal(mailbox_flags(m, &set, how, flags, UINT64_MAX, NULL, NULL, NULL), 0);
}

/* Two hundred (threats.md), over a restart by facts and over one by a snapshot. */
static void
test_two_hundred_keywords(void **state)
{
	struct kit       k = { 0 };
	struct account  *a;
	struct mailbox  *m, *to;
	struct arena    *arena = arena_open(NULL);
	struct uid_range all = { 1, UINT32_MAX }, made;
	struct uid_set   set = { &all, 1 }, source;
	uint64_t         flags = 0;
	uint32_t         uid;
	int              keyword = 0;

	(void)state;
	k.history_ms = 1000;
	kit_folder(&k);
	kit_open(&k);
	a = kit_take(&k, 1);
	m = kit_mailbox(a, "INBOX");
	for (int i = 0; i < 3; i++) {
		struct arrival v = kit_arrival(&k, 0);
		assert_int_equal(mailbox_arrive(m, &v, &uid), 0);
	}
	for (int i = 0; i < KEYWORDS_MOST; i++) {
		char name[16];
		(void)snprintf(name, sizeof name, "k%d", i);
		keyword = mailbox_keyword(m, bytes_of(name), true);
		assert_int_equal(keyword, KEYWORD_FIRST + i);
		flags = mailbox_flags_with(m, flags, keyword);
	}
	assert_int_equal(mailbox_keyword(m, BYTES("more"), true), -1);
	flag(m, 1, FLAGS_ADD, flags);
	flag(m, 2, FLAGS_SET, mailbox_flags_with(m, FLAG_FLAGGED, keyword));
	flag(m, 1, FLAGS_REMOVE, mailbox_flags_with(m, 0, KEYWORD_FIRST + 70));
	to = kit_mailbox(a, "Archive");
	assert_int_equal(mailbox_copy(m, &set, to, false, arena, &source, &made, NULL), 0);
	for (int round = 0; round < 2; round++) {
		struct entry one = mailbox_entry(m, 0), two = mailbox_entry(m, 1);
		HOLDS("all but the one",
		      mailbox_flags_have(m, one.flags, keyword) &&
		              mailbox_flags_have(m, one.flags, KEYWORD_FIRST) &&
		              !mailbox_flags_have(m, one.flags, KEYWORD_FIRST + 70));
		HOLDS("set means no others",
		      mailbox_flags_have(m, two.flags, keyword) &&
		              !mailbox_flags_have(m, two.flags, KEYWORD_FIRST) &&
		              (two.flags & SYSTEM_FLAGS) == FLAG_FLAGGED);
		HOLDS("the third has none", mailbox_entry(m, 2).flags == 0);
		two = mailbox_entry(to, 1);
		keyword = mailbox_keyword(to, BYTES("k199"), false);
		HOLDS("copied by name", mailbox_flags_have(to, two.flags, keyword) &&
		                                !mailbox_flags_have(to, two.flags, KEYWORD_FIRST));
		keyword = mailbox_keyword(m, BYTES("k199"), false);
		assert_int_equal(keyword, KEYWORD_FIRST + 199);
		mailbox_drop(&m);
		mailbox_drop(&to);
		account_drop(&a);
		kit_turns(&k);
		if (round == 1)
			break;
		kit_close(&k);
		kit_open(&k);
		a = kit_take(&k, 1);
		m = kit_mailbox(a, "INBOX");
		to = kit_mailbox(a, "Archive");
	}
	kit_close(&k);
	kit_remove(&k);
	arena_close(&arena);
}

static void
test_a_snapshot_holds_them(void **state)
{
	struct snapshot shot = { .mailbox = 1, .modseq = 5, .uidnext = 9 }, again = shot;
	struct rows     rows = { 0 }, read = { 0 };
	struct buffer   data = { 0 };
	struct keyset   set = { { 0 } };

	(void)state;
	keyset_add(&set, 3);
	keyset_add(&set, 199);
	rows_add(&rows,
	         &(struct entry){ 4, FLAG_SEEN | keysets_name(&rows.sets, &set) << KEYWORD_FIRST,
	                          77, 5, 1000, 4000000000 });
	snapshot_pack(&shot, &rows, &data);
	assert_true(snapshot_read(buffer_bytes(&data), &again, &read));
	assert_int_equal(read.count, 1);
	assert_int_equal(read.saved[0], 4000000000);
	set = keysets_at(&read.sets, read.flags[0] >> KEYWORD_FIRST);
	HOLDS("both", keyset_has(&set, 3) && keyset_has(&set, 199) && !keyset_has(&set, 4));
	rows_free(&rows);
	rows_free(&read);
	buffer_free(&data);
}

UNIT(test_flags_as_they_were_packed_before, test_sets_are_packed_and_refused, test_rows_are_tidied,
     test_two_hundred_keywords, test_a_snapshot_holds_them)
