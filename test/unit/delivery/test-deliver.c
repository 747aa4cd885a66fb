/* Delivery with a real store and a real log: rows, not copies; once, not twice; and what cannot be read is refused. */
#include "unit.h"

#include <errno.h>
#include <sys/resource.h>

#include "delivery/beenhere.h"
#include "delivery/deliver.h"
#include "message/digest.h"
#include "message/envelope.h"
#include "store/inside.h"
#include "store/kit.h"

static const char content[] = "From: a@b.example\r\nSubject: hello\r\n\r\nThe body.\r\n";
static const char prefix[] = "Received: from x by y;\r\n\tSun, 22 Nov 2026 12:00:00 +0000\r\n";

/* A letter in a segment: content and envelope, each where the caller wants it. */
struct laid {
	uint64_t letter, envelope_at;
};

static struct bytes
packed_of(uint64_t letter, struct bytes text, struct buffer *out)
{
	struct envelope_recipient to = { .address = BYTES("jill@example.com") };
	struct arena             *a = arena_open(NULL);
	struct buffer             digest = { 0 };

	digest_make(text, a, &digest);
	envelope_pack(
		&(struct envelope){
			.letter = letter,
			.arrived_us = 1,
			.sender = BYTES("jack@example.com"),
			.client = BYTES("x[192.0.2.1]"),
			.protocol = BYTES("ESMTP"),
			.content_len = text.len,
			.prefix = BYTES(
				"Received: from x by y;\r\n\tSun, 22 Nov 2026 12:00:00 +0000\r\n"),
			.digest = buffer_bytes(&digest),
			.recipient = &to,
			.recipients = 1 },
		out);
	buffer_free(&digest);
	arena_close(&a);
	return buffer_bytes(out);
}

static struct bytes
packed(uint64_t letter, struct buffer *out)
{
	return packed_of(letter, bytes_of(content), out);
}

static void
put_segment(struct kit *k, uint32_t number, const struct buffer *records)
{
	char name[32], title[SEGMENT_HEADER];
	int  fd;

	(void)snprintf(name, sizeof name, "%08x.seg", number);
	segment_title_make(title, number, 1, SEGMENT_SMALL);
	fd = openat(k->dir, name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	HOLDS("segment",
	      fd >= 0 && pwrite(fd, title, sizeof title, 0) == (ssize_t)sizeof title &&
	              pwrite(fd, records->at, records->len, sizeof title) == (ssize_t)records->len);
	close(fd);
}

static struct laid
lay_text(struct kit *k, uint32_t number, struct bytes text)
{
	struct laid   l = { (uint64_t)number << 32 | SEGMENT_HEADER, 0 };
	struct buffer records = { 0 }, e = { 0 };

	record_add(&records, RECORD_CONTENT, l.letter, text);
	l.envelope_at = SEGMENT_HEADER + records.len;
	record_add(&records, RECORD_ENVELOPE, l.letter, packed_of(l.letter, text, &e));
	put_segment(k, number, &records);
	buffer_free(&records);
	buffer_free(&e);
	return l;
}

static struct laid
lay(struct kit *k, uint32_t number)
{
	return lay_text(k, number, bytes_of(content));
}

static struct delivery
to_jill(const struct laid *l, uint32_t segment)
{
	return (struct delivery){ .letter = l->letter,
		                  .envelope_segment = segment,
		                  .envelope_at = l->envelope_at,
		                  .account = 5,
		                  .sender = BYTES("jack@example.com"),
		                  .address = BYTES("jill@example.com"),
		                  .delivered = BYTES("jill@example.com"),
		                  .original = BYTES("info@example.com") };
}

/* The whole letter as a reader sees it. */
static void
reads(struct kit *k, const char *why, uint64_t account, uint32_t index, const char *head)
{
	struct account *a = kit_take(k, account);
	struct mailbox *m = kit_mailbox(a, "INBOX");
	struct arena   *life = arena_open(NULL);
	struct message  row;
	struct digest   digest;
	struct bytes    before;
	char            whole[1000];
	const char     *wanted = arena_printf(life, "%s%s%s", head, prefix, content);

	HOLDS(why, mailbox_count(m) > index);
	HOLDS(why, message_read(a, mailbox_entry(m, index).message, life, &row) == 0);
	HOLDS(why, message_digest(a, &row, life, &digest, &before) == 0);
	HOLDS(why, row.size == strlen(wanted) &&
	                   message_bytes(a, &row, before, 0, whole, row.size) == 0);
	SAME(why, ((struct bytes){ whole, row.size }), bytes_of(wanted));
	arena_close(&life);
	mailbox_drop(&m);
	account_drop(&a);
}

static uint32_t
count_of(struct kit *k, uint64_t account)
{
	struct account *a = kit_take(k, account);
	struct mailbox *m = kit_mailbox(a, "INBOX");
	uint32_t        n = mailbox_count(m);

	mailbox_drop(&m);
	account_drop(&a);
	return n;
}

/* Its content lies in another segment, which cannot be opened for a moment: that is no damage, and no reason to return it. */
static void
test_what_cannot_be_read_now_is_tried_again(void **state)
{
	struct kit             k = { 0 };
	struct arena          *a = arena_open(NULL);
	struct laid            l = { (uint64_t)1 << 32 | SEGMENT_HEADER, SEGMENT_HEADER };
	struct buffer          record = { 0 }, e = { 0 };
	struct delivery        d = to_jill(&l, 2);
	struct delivery_answer got;
	struct rlimit          all, few;

	(void)state;
	kit_folder(&k);
	kit_open(&k);
	record_add(&record, RECORD_CONTENT, l.letter, bytes_of(content));
	put_segment(&k, 1, &record);
	buffer_reset(&record);
	record_add(&record, RECORD_ENVELOPE, l.letter, packed(l.letter, &e));
	put_segment(&k, 2, &record);
	HOLDS("the envelope's is open already", letters_fd(k.letters, 2) >= 0);
	HOLDS("limit", getrlimit(RLIMIT_NOFILE, &all) == 0);
	few = all;
	few.rlim_cur = (rlim_t)dup(k.dir);
	(void)close((int)few.rlim_cur);
	HOLDS("no descriptors", setrlimit(RLIMIT_NOFILE, &few) == 0);
	got = deliver(k.store, k.letters, &d, a);
	HOLDS("descriptors", setrlimit(RLIMIT_NOFILE, &all) == 0);
	HOLDS("later", got.result == DELIVERY_LATER);
	got = deliver(k.store, k.letters, &d, a);
	HOLDS("delivered", got.result == DELIVERY_DONE);
	reads(&k, "as it is", 5, 0,
	      "Return-Path: <jack@example.com>\r\nX-Original-To: info@example.com\r\nDelivered-To: jill@example.com\r\n");
	buffer_free(&record);
	buffer_free(&e);
	arena_close(&a);
	kit_close(&k);
	kit_remove(&k);
}

static void
test_delivered_once(void **state)
{
	static const char head[] =
		"Return-Path: <jack@example.com>\r\nX-Original-To: info@example.com\r\nDelivered-To: jill@example.com\r\n";
	struct kit    k = { 0 };
	struct arena *a = arena_open(NULL);
	(void)state;

	kit_folder(&k);
	kit_open(&k);
	struct laid            l = lay(&k, 1);
	struct delivery        d = to_jill(&l, 1);
	struct delivery_answer got = deliver(k.store, k.letters, &d, a);
	HOLDS("delivered", got.result == DELIVERY_DONE && !got.again);
	SAME("status", bytes_of(got.status), BYTES("2.0.0"));
	got = deliver(k.store, k.letters, &d, a);
	HOLDS("again, in the same turn", got.result == DELIVERY_DONE && got.again);
	kit_turns(&k);
	reads(&k, "as a reader sees it", 5, 0, head);
	kit_close(&k);
	kit_open(&k);
	got = deliver(k.store, k.letters, &d, a);
	HOLDS("again, after a restart",
	      got.result == DELIVERY_DONE && got.again && count_of(&k, 5) == 1);
	d.account = 6;
	d.sender = BYTES("");
	d.address = d.original = BYTES("zoe@example.com");
	d.delivered = BYTES("zoe+x@example.com");
	d.passed = BYTES("jill@example.com\nlist@example.com\n");
	got = deliver(k.store, k.letters, &d, a);
	HOLDS("to another account it is new",
	      got.result == DELIVERY_DONE && !got.again && count_of(&k, 6) == 1);
	kit_turns(&k);
	reads(&k, "with a head of its own", 6, 0,
	      "Return-Path: <>\r\nX-Original-To: zoe@example.com\r\nDelivered-To: zoe+x@example.com\r\n"
	      "Delivered-To: jill@example.com\r\nDelivered-To: list@example.com\r\n");
	kit_close(&k);
	kit_remove(&k);
	arena_close(&a);
}

/* Content and envelope in two segments; and both copied by compaction while the letter waited. */
static void
test_where_it_lies(void **state)
{
	static const char head[] =
		"Return-Path: <jack@example.com>\r\nX-Original-To: info@example.com\r\nDelivered-To: jill@example.com\r\n";
	struct kit    k = { 0 };
	struct arena *a = arena_open(NULL);
	struct buffer first = { 0 }, second = { 0 }, copy = { 0 }, e = { 0 };
	struct laid   apart = { (uint64_t)1 << 32 | SEGMENT_HEADER, SEGMENT_HEADER },
		    moved = { (uint64_t)9 << 32 | SEGMENT_HEADER, 0 };
	(void)state;

	kit_folder(&k);
	kit_open(&k);
	record_add(&first, RECORD_CONTENT, apart.letter, bytes_of(content));
	put_segment(&k, 1, &first);
	record_add(&second, RECORD_ENVELOPE, apart.letter, packed(apart.letter, &e));
	put_segment(&k, 2, &second);
	struct delivery d = to_jill(&apart, 2);
	HOLDS("apart", deliver(k.store, k.letters, &d, a).result == DELIVERY_DONE);

	buffer_reset(&e);
	record_add(&copy, RECORD_CONTENT, 4711, BYTES("another letter that was copied before"));
	record_add(&copy, RECORD_CONTENT, moved.letter, bytes_of(content));
	moved.envelope_at = SEGMENT_HEADER + copy.len;
	record_add(&copy, RECORD_ENVELOPE, moved.letter, packed(moved.letter, &e));
	put_segment(&k, 3, &copy); /* segment 9 is gone */
	d = to_jill(&moved, 3);
	HOLDS("moved", deliver(k.store, k.letters, &d, a).result == DELIVERY_DONE);
	kit_turns(&k);
	reads(&k, "apart", 5, 0, head);
	reads(&k, "moved", 5, 1, head);
	buffer_free(&first);
	buffer_free(&second);
	buffer_free(&copy);
	buffer_free(&e);
	kit_close(&k);
	kit_remove(&k);
	arena_close(&a);
}

static void
spoil(struct kit *k, uint32_t number, off_t at)
{
	char name[32];
	int  fd;

	(void)snprintf(name, sizeof name, "%08x.seg", number);
	fd = openat(k->dir, name, O_RDWR);
	HOLDS("spoil", fd >= 0 && pwrite(fd, "\xff\xff\xff\xff", 4, at) == 4);
	close(fd);
}

static void
test_what_cannot_be(void **state)
{
	struct kit             k = { 0 };
	struct arena          *a = arena_open(NULL);
	struct delivery_answer got;
	(void)state;

	kit_folder(&k);
	kit_open(&k);
	struct laid l = lay(&k, 1);
	spoil(&k, 1, (off_t)l.envelope_at + RECORD_HEADER + 8);
	struct delivery d = to_jill(&l, 1);
	got = deliver(k.store, k.letters, &d, a);
	HOLDS("a broken envelope: nobody is told that it cannot be, it waits for who looks",
	      got.result == DELIVERY_LATER);
	SAME("status", bytes_of(got.status), BYTES("4.3.0"));
	SAME("why", bytes_of(got.text), BYTES("the letter is damaged in the log"));
	l = lay(&k, 2);
	spoil(&k, 2, SEGMENT_HEADER);
	d = to_jill(&l, 2);
	got = deliver(k.store, k.letters, &d, a);
	HOLDS("content that is not where it should be", got.result == DELIVERY_LATER);
	SAME("why", bytes_of(got.text), BYTES("the letter is damaged in the log"));
	l = lay(&k, 3);
	d = to_jill(&l, 3);
	d.letter ^= 8;
	got = deliver(k.store, k.letters, &d, a);
	HOLDS("the envelope of another letter", got.result == DELIVERY_LATER);
	SAME("why", bytes_of(got.text), BYTES("the letter is damaged in the log"));
	d = to_jill(&l, 7);
	got = deliver(k.store, k.letters, &d, a);
	HOLDS("no such segment: maybe later", got.result == DELIVERY_LATER);
	SAME("status", bytes_of(got.status), BYTES("4.3.0"));
	HOLDS("nothing came of it", count_of(&k, 5) == 0);
	kit_close(&k);
	kit_remove(&k);
	arena_close(&a);
}

static void
test_full_disk(void **state)
{
	struct kit             k = { 0 };
	struct arena          *a = arena_open(NULL);
	struct delivery_answer got;
	(void)state;

	kit_folder(&k);
	kit_open(&k);
	struct laid     l = lay(&k, 1);
	struct delivery d = to_jill(&l, 1);
	store_room_least = UINT64_MAX / 2;
	got = deliver(k.store, k.letters, &d, a);
	HOLDS("later", got.result == DELIVERY_LATER);
	SAME("rfc3463:3.4 mail system full", bytes_of(got.status), BYTES("4.3.1"));
	store_room_least = 0;
	clock_pretend(clock_wall() + 60);
	HOLDS("then it goes", deliver(k.store, k.letters, &d, a).result == DELIVERY_DONE);
	clock_pretend(0);
	kit_turns(&k);
	kit_close(&k);
	kit_remove(&k);
	arena_close(&a);
}

/* A Delivered-To field of this very address, in any case, among those the letter came with. */
static void
test_what_has_been_here(void **state)
{
	static const struct {
		const char *why, *text;
		bool        back;
	} rows[] = {
		{ "it came back", "Delivered-To: jill@example.com\r\n\r\nx\r\n", true },
		{ "case, blanks", "From: a@b\r\ndelivered-TO:   JILL@Example.com \r\n\r\nx\r\n", true },
		{ "folded", "Delivered-To:\r\n jill@example.com\r\n\r\nx\r\n", true },
		{ "by way of others", "Delivered-To: eva@example.com\r\nDelivered-To: jill@example.com\r\n\r\nx\r\n", true },
		{ "somebody else", "Delivered-To: eva@example.com\r\n\r\nx\r\n", false },
		{ "an extension is another name", "Delivered-To: jill+a@example.com\r\n\r\nx\r\n", false },
		{ "only its beginning", "Delivered-To: jill@example.com.example\r\n\r\nx\r\n", false },
		{ "in the body", "From: a@b\r\n\r\nDelivered-To: jill@example.com\r\n", false },
		{ "in a letter inside", "Content-Type: message/rfc822\r\n\r\nDelivered-To: jill@example.com\r\n\r\nx\r\n", false },
		{ "another field", "X-Delivered-To: jill@example.com\r\n\r\nx\r\n", false },
		{ "of as many letters", "Content-Type: jill@example.com\r\n\r\nx\r\n", false },
	};
	struct kit    k = { 0 };
	struct arena *a = arena_open(NULL);
	(void)state;

	kit_folder(&k);
	kit_open(&k);
	for (uint32_t i = 0; i < COUNT(rows); i++) {
		struct bytes        text = bytes_of(rows[i].text);
		struct laid         l = lay_text(&k, i + 1, text);
		struct letter_place place = { .content_segment = i + 1,
			                      .content_at = SEGMENT_HEADER + RECORD_HEADER,
			                      .content_len = text.len };
		struct buffer       packed = { 0 };
		struct digest       d;

		(void)l;
		digest_make(text, a, &packed);
		HOLDS(rows[i].why, digest_view(buffer_bytes(&packed), &d));
		HOLDS(rows[i].why, been_here(k.letters, &place, &d, BYTES("Jill@example.com")) == rows[i].back);
		spoil(&k, i + 1, SEGMENT_HEADER + RECORD_HEADER);
		letters_forget(k.letters, i + 1);
		HOLDS("who cannot read it says so elsewhere", !been_here(k.letters, &place, &d, BYTES("jill@example.com")));
		buffer_free(&packed);
	}
	kit_close(&k);
	kit_remove(&k);
	arena_close(&a);
}

UNIT(test_what_has_been_here, test_what_cannot_be_read_now_is_tried_again, test_delivered_once, test_where_it_lies,
     test_what_cannot_be, test_full_disk)
