#include "../unit.h"

#include <errno.h>

#include "kit.h"
#include "message/envelope.h"
#include "spool/disk.h"

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

	kit_settle(&k);
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
	kit_settle(&k);
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

UNIT(test_a_letter_is_read_in_pieces)
