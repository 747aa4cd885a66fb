/* The digests of an account one behind the other: what is found there is what the letter log says, on a file whole or not. */
#include "../unit.h"

#include <fcntl.h>

#include "kit.h"
#include "message/digest.h"
#include "message/envelope.h"
#include "spool/disk.h"
#include "store/digests.h"
#include "store/inside.h"

/* Few, and more than one directory of the file has rows for. */
enum { FEW = 300, MOST = 40 * DIGESTS_LETTERS, MANY = (DIGESTS_ROWS + 3) * DIGESTS_LETTERS };
#define FILE_OF_IT "01/257/digests"

static struct truth {
	uint64_t       id;
	struct arrival arrival;
	struct buffer  digest, prefix;
} truth[MANY];
static unsigned letters;

/* One segment with all letters, as the spool writes them. */
static void
write_letters(struct kit *k)
{
	struct buffer file = { 0 }, content = { 0 }, packed = { 0 };
	struct arena *arena = arena_open(NULL);
	int fd = openat(k->dir, "00000003.seg", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	segment_title_make(buffer_room(&file, SEGMENT_HEADER), 3, 0, SEGMENT_SMALL);
	buffer_took(&file, SEGMENT_HEADER);
	for (unsigned i = 0; i < letters; i++) {
		struct truth   *t = &truth[i];
		struct envelope e = { 0 };
		struct digest   view;

		buffer_reset(&content);
		buffer_reset(&packed);
		buffer_reset(&t->digest);
		buffer_reset(&t->prefix);
		buffer_printf(&content, "From: a%u@example.org\r\nSubject: letter %u\r\nDate: Tue, 14 Nov 2023 22:13:%02u +0000\r\n\r\n%*s\r\n",
		              i, i, i % 60, (int)(i % 50) + 1, "x");
		if (i % 5 > 0)
			buffer_printf(&t->prefix, "Received: %u\r\n", i);
		digest_make(buffer_bytes(&content), arena, &t->digest);
		assert_true(digest_view(buffer_bytes(&t->digest), &view));
		t->id = (uint64_t)3 << 32 | file.len;
		t->arrival = kit_arrival(k, t->id);
		record_add(&file, RECORD_CONTENT, t->id, buffer_bytes(&content));
		t->arrival.place = (struct letter_place){ 3, letter_offset(t->id) + RECORD_HEADER, content.len, 3, file.len };
		t->arrival.prefix_len = (uint32_t)t->prefix.len;
		t->arrival.size = t->arrival.head.len + t->prefix.len + content.len;
		t->arrival.internal_date += i;
		t->arrival.sent_date = view.sent;
		e = (struct envelope){ .letter = t->id, .prefix = buffer_bytes(&t->prefix),
			               .digest = buffer_bytes(&t->digest), .content_len = content.len };
		envelope_pack(&e, &packed);
		record_add(&file, RECORD_ENVELOPE, t->id, buffer_bytes(&packed));
	}
	assert_int_equal(disk_write(fd, file.at, file.len, 0), 0);
	(void)close(fd);
	arena_close(&arena);
	buffer_free(&file);
	buffer_free(&content);
	buffer_free(&packed);
}

static void
begin(struct kit *k, struct account **a, struct mailbox **m, unsigned count)
{
	uint32_t uid;

	letters = count;
	memset(k, 0, sizeof *k);
	kit_folder(k);
	write_letters(k);
	kit_open(k);
	text_wanted(k->store, true);
	*a = kit_take(k, 257);
	*m = kit_mailbox(*a, "INBOX");
	for (unsigned i = 0; i < letters; i++)
		assert_int_equal(mailbox_arrive(*m, &truth[i].arrival, &uid), 0);
}

/* Those of whole blocks. */
static unsigned
whole(void)
{
	return letters / DIGESTS_LETTERS * DIGESTS_LETTERS;
}

static void
end(struct kit *k, struct account **a, struct mailbox **m)
{
	mailbox_drop(m);
	account_drop(a);
	kit_close(k);
	kit_remove(k);
}

static void
reopen(struct kit *k, struct account **a, struct mailbox **m)
{
	mailbox_drop(m);
	account_drop(a);
	kit_again(k);
	text_wanted(k->store, true);
	*a = kit_take(k, 257);
	*m = kit_mailbox(*a, "INBOX");
}

static unsigned
make_all(struct kit *k)
{
	struct arena *scratch = arena_open(NULL);
	unsigned      n = 0;

	while (digests_next(k->store, scratch))
		n++;
	arena_close(&scratch);
	return n;
}

/* How many were found; each digest that is had, from there or from the log, is the right one. */
static unsigned
ask_all(const char *why, struct account *a, bool log_too)
{
	struct arena *arena = arena_open(NULL);
	unsigned      expected = 0;

	for (unsigned i = 0; i < letters; i++) {
		const struct truth *t = &truth[i];
		struct message      m;
		struct digest       got, right;
		struct bytes        prefix;
		bool                is_there = digests_expect(a, t->id);

		expected += is_there;
		if (!is_there && !log_too)
			continue;
		assert_int_equal(message_read(a, t->id, arena, &m), 0);
		HOLDS(why, message_digest(a, &m, arena, &got, &prefix) == 0);
		assert_true(digest_view(buffer_bytes(&t->digest), &right));
		SAME(why, got.envelope, right.envelope);
		SAME(why, got.bodystructure, right.bodystructure);
		SAME(why, got.subject, right.subject);
		SAME(why, prefix, buffer_bytes(&t->prefix));
	}
	arena_close(&arena);
	return expected;
}

static void
cut_log(struct kit *k)
{
	int fd = openat(k->dir, "00000003.seg", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0 && ftruncate(fd, SEGMENT_HEADER) == 0);
	(void)close(fd);
}

static void
test_the_log_is_not_needed(void **state)
{
	struct kit      k;
	struct account *a;
	struct mailbox *m;

	(void)state;
	begin(&k, &a, &m, FEW);
	HOLDS("what is not on the disk is not put there", make_all(&k) == 0);
	kit_settle(&k);
	HOLDS("one call a block, and none for the rest", make_all(&k) == whole() / DIGESTS_LETTERS);
	HOLDS("nothing more to do", make_all(&k) == 0);
	HOLDS("those of whole blocks", ask_all("log and file", a, true) == whole());
	cut_log(&k);
	HOLDS("without the log", ask_all("the file alone", a, false) == whole());
	reopen(&k, &a, &m);
	HOLDS("after a start, without the log", ask_all("the file alone", a, false) == whole());
	end(&k, &a, &m);
}

/* A directory that is full is followed by another, now and after a start. */
static void
test_many(void **state)
{
	struct kit      k;
	struct account *a;
	struct mailbox *m;

	(void)state;
	begin(&k, &a, &m, MANY);
	kit_settle(&k);
	(void)make_all(&k);
	cut_log(&k);
	HOLDS("at once", ask_all("many", a, false) == whole());
	reopen(&k, &a, &m);
	HOLDS("after a start", ask_all("many", a, false) == whole());
	end(&k, &a, &m);
}

/* Each byte of the file wrong in turn, and each length: never a wrong digest, and the file is made anew or goes on. */
static void
test_a_damaged_file_tells_nothing_wrong(void **state)
{
	struct kit      k;
	struct account *a;
	struct mailbox *m;
	struct stat     st;
	unsigned        seed = 11;

	(void)state;
	begin(&k, &a, &m, FEW);
	kit_settle(&k);
	(void)make_all(&k);
	for (unsigned turn = 0; turn < 160; turn++) {
		int  fd = openat(k.dir, FILE_OF_IT, O_RDWR | O_CLOEXEC);
		char byte;
		off_t at;

		assert_true(fd >= 0 && fstat(fd, &st) == 0 && st.st_size > DIGESTS_TITLE + DIGESTS_ROWS * DIGESTS_ROW);
		seed = seed * 1103515245 + 12345;
		at = turn < 40 ? (off_t)(turn * 7)
		     : turn < 80 ? (off_t)(DIGESTS_TITLE + turn * 5)
		                 : (off_t)(seed % (unsigned)st.st_size);
		if (turn % 4 == 3) {
			assert_int_equal(ftruncate(fd, at), 0);
		} else {
			assert_int_equal(pread(fd, &byte, 1, at), 1);
			byte = (char)(byte ^ (1 << (seed >> 20 & 7)));
			assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		}
		(void)close(fd);
		reopen(&k, &a, &m);
		(void)ask_all("damaged", a, true);
		(void)make_all(&k);
		HOLDS("all are there again", ask_all("made anew", a, true) == whole());
	}
	end(&k, &a, &m);
}

/* Ids that a restored log gave again are those of other letters; without the log nothing else can answer. */
static void
test_what_does_not_fit_its_row_is_not_believed(void **state)
{
	static const struct { const char *why; int64_t date, sent; int prefix, content; bool believed; } rows[] = {
		{ "its own row", 0, 0, 0, 0, true },
		{ "came at another time", 1, 0, 0, 0, false },
		{ "was written at another time", 0, -1, 0, 0, false },
		{ "has a longer prefix", 0, 0, 1, 0, false },
		{ "is longer", 0, 0, 0, 1, false },
		{ "its own row again", 0, 0, 0, 0, true },
	};
	struct kit      k;
	struct account *a;
	struct mailbox *m;
	struct arena   *arena = arena_open(NULL);

	(void)state;
	begin(&k, &a, &m, FEW);
	kit_settle(&k);
	(void)make_all(&k);
	cut_log(&k);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct message row;
		struct digest  got;
		struct bytes   prefix;

		assert_int_equal(message_read(a, truth[3].id, arena, &row), 0);
		row.internal_date += rows[i].date;
		row.sent_date += rows[i].sent;
		row.prefix_len += (uint32_t)rows[i].prefix;
		row.place.content_len += (uint64_t)rows[i].content;
		assert_true(digests_expect(a, row.id));
		HOLDS(rows[i].why, (message_digest(a, &row, arena, &got, &prefix) == 0) == rows[i].believed);
	}
	arena_close(&arena);
	end(&k, &a, &m);
}

/* Rows of what was expunged are there for a while, and are no reason to begin anew: that would never end.  When they go, their
   digests go. */
static void
test_most_are_expunged(void **state)
{
	struct kit       k;
	struct account  *a;
	struct mailbox  *m;
	struct arena    *arena = arena_open(NULL);
	struct uid_set   gone;
	struct uid_range r = { 1, MOST }, left = { MOST + 1, MOST + 1 };
	unsigned         n = 0;

	(void)state;
	clock_pretend(1700000000);
	begin(&k, &a, &m, MOST + DIGESTS_LETTERS);
	kit_settle(&k);
	(void)make_all(&k);
	assert_int_equal(mailbox_expunge(m, &(struct uid_set){ &r, 1 }, true, arena, &gone, NULL), 0);
	kit_settle(&k);
	digests_note(a);
	while (n < MOST && digests_next(k.store, arena))
		n++;
	HOLDS("while the rows are there", n == 0);
	HOLDS("all are in it", ask_all("expunged", a, true) == whole());
	for (int hour = 1; hour < 6; hour++) {
		clock_pretend(1700000000 + 3600 * hour);
		reopen(&k, &a, &m);
		for (uint64_t i = 0; i < 300; i++)
			assert_int_equal(mailbox_flags(m, &(struct uid_set){ &left, 1 }, FLAGS_SET, i & 1, UINT64_MAX, NULL, NULL, NULL), 0);
		kit_settle(&k);
		(void)store_sweep(k.store);
		kit_settle(&k);
	}
	HOLDS("when the rows have gone, a block of those that are left", make_all(&k) == 1);
	HOLDS("and no more", make_all(&k) == 0);
	HOLDS("which is found", digests_expect(a, truth[MOST].id) && !digests_expect(a, truth[0].id));
	clock_pretend(0);
	arena_close(&arena);
	end(&k, &a, &m);
}

/* Nothing of a removed account is left, and who has its number next finds nothing of it. */
static void
test_with_the_account_it_goes(void **state)
{
	static const char *const others[] = { "01/257/text", "01/257/mbox-1-2.journal",
		                              "01/257/index.db.damaged-1700000000" };
	struct kit               k;
	struct account          *a;
	struct mailbox          *m;
	struct stat              st;

	(void)state;
	begin(&k, &a, &m, FEW);
	kit_settle(&k);
	(void)make_all(&k);
	for (size_t i = 0; i < COUNT(others); i++) {
		int fd = openat(k.dir, others[i], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		assert_true(fd >= 0 && fstatat(k.dir, FILE_OF_IT, &st, 0) == 0);
		(void)close(fd);
	}
	mailbox_drop(&m);
	account_drop(&a);
	assert_int_equal(account_remove(k.store, 257), 0);
	HOLDS("not where it was", fstatat(k.dir, "01/257", &st, 0) < 0);
	HOLDS("nor where it went", fstatat(k.dir, "01/257.new", &st, 0) < 0);
	a = kit_take(&k, 257);
	m = kit_mailbox(a, "INBOX");
	HOLDS("no other's", !digests_expect(a, truth[0].id));
	end(&k, &a, &m);
}

UNIT(test_with_the_account_it_goes, test_most_are_expunged, test_the_log_is_not_needed, test_many, test_a_damaged_file_tells_nothing_wrong, test_what_does_not_fit_its_row_is_not_believed)
