#include "../unit.h"

#include "kit.h"

static int writes, syncs;

static int
count(const char *what, int fd)
{
	(void)fd;
	writes += strcmp(what, "write") == 0;
	syncs += strcmp(what, "sync") == 0;
	return 0;
}

struct answer {
	int      told, why;
	uint64_t letter, at;
	uint32_t segment;
};

static void
safe(void *ctx, int why, uint64_t letter, uint32_t segment, uint64_t at)
{
	struct answer *a = ctx;

	*a = (struct answer){ a->told + 1, why, letter, at, segment };
}

static void
expect_letter(struct kit *k, const struct answer *a, struct bytes content)
{
	struct arena       *scratch = arena_open(NULL);
	struct letter_place place = { .content_segment = letter_segment(a->letter),
		                      .content_at = letter_offset(a->letter) + RECORD_HEADER,
		                      .content_len = content.len };
	struct bytes        packed;
	struct envelope     e;
	char               *got = arena_take(scratch, content.len + 1);

	assert_int_equal(a->told, 1);
	assert_int_equal(a->why, 0);
	assert_int_equal(letters_envelope(spool_letters(k->spool), a->segment, a->at, a->letter,
	                                  scratch, &packed),
	                 0);
	assert_true(envelope_unpack(packed, scratch, &e));
	assert_int_equal(e.letter, a->letter);
	assert_int_equal(letters_read(spool_letters(k->spool), &place, 0, got, content.len), 0);
	SAME("content", ((struct bytes){ got, content.len }), content);
	arena_close(&scratch);
}

static void
test_one_letter_is_one_write_and_one_sync(void **state)
{
	struct kit    k = { 0 };
	struct answer a = { 0 };

	(void)state;
	kit_folder(&k);
	kit_open(&k, 1 << 20);
	writer_at_rest(k.writer);
	assert_int_equal(k.wants, 1);
	disk_step = count;
	for (int i = 0; i < 3; i++) {
		a = (struct answer){ 0 };
		writes = syncs = 0;
		assert_true(writer_ready(k.writer, 100));
		assert_true(kit_put(&k, BYTES("Subject: x\r\n\r\nhello\r\n"), safe, &a) != 0);
		kit_turns(&k);
		assert_int_equal(writes, 1);
		assert_int_equal(syncs, 1);
		expect_letter(&k, &a, BYTES("Subject: x\r\n\r\nhello\r\n"));
	}
	disk_step = NULL;
	kit_close(&k);
	kit_remove(&k);
}

static void
test_letters_that_come_during_a_sync_share_the_next(void **state)
{
	struct kit    k = { 0 };
	struct answer a[20] = { 0 };

	(void)state;
	kit_folder(&k);
	kit_open(&k, 1 << 20);
	writer_at_rest(k.writer);
	disk_step = count;
	writes = syncs = 0;
	kit_put(&k, BYTES("first"), safe, &a[0]);
	writer_at_rest(k.writer);
	assert_int_equal(k.jobs, 1);
	for (int i = 1; i < 20; i++) {
		kit_put(&k, BYTES("later"), safe, &a[i]);
		if (i % 5 == 0)
			writer_at_rest(k.writer);
	}
	writer_at_rest(k.writer);
	assert_int_equal(k.jobs, 1);
	assert_int_equal(a[0].told, 0);
	kit_jobs(&k);
	assert_int_equal(a[0].told, 1);
	assert_int_equal(a[1].told, 0);
	kit_turns(&k);
	assert_int_equal(syncs, 2);
	assert_int_equal(writes, 5);
	for (int i = 1; i < 20; i++)
		expect_letter(&k, &a[i], BYTES("later"));
	disk_step = NULL;
	kit_close(&k);
	kit_remove(&k);
}

static void
test_a_released_writer_finishes_and_gives_everything_back(void **state)
{
	struct kit    k = { 0 };
	struct answer a = { 0 };

	(void)state;
	kit_folder(&k);
	kit_open(&k, 1 << 20);
	writer_at_rest(k.writer);
	kit_put(&k, BYTES("the last"), safe, &a);
	writer_release(k.writer);
	assert_false(writer_idle(k.writer));
	assert_int_equal(a.told, 0);
	assert_int_equal(k.dones, 0);
	kit_turns(&k);
	expect_letter(&k, &a, BYTES("the last"));
	assert_int_equal(k.dones, 1);
	assert_int_equal(k.broken, 0);
	assert_true(writer_idle(k.writer));

	/* Nothing is wanted any more, and what was asked for before goes back as it comes. */
	k.wants = 0;
	assert_false(writer_ready(k.writer, 100));
	writer_at_rest(k.writer);
	assert_int_equal(k.wants, 0);
	kit_lend(&k, false, 0);
	assert_false(writer_ready(k.writer, 100));
	kit_turns(&k);
	assert_int_equal(k.dones, 2);
	assert_true(writer_idle(k.writer));
	kit_close(&k);
	kit_remove(&k);
}

static void
test_the_next_segment_is_there_before_it_is_needed(void **state)
{
	struct kit k = { 0 };
	enum { LETTERS = 200 };
	static struct answer a[LETTERS];
	static char          body[3000];
	struct buffer        out = { 0 };

	(void)state;
	memset(a, 0, sizeof a);
	memset(body, 'x', sizeof body);
	kit_folder(&k);
	kit_open(&k, 64 * 1024);
	writer_at_rest(k.writer);
	for (int i = 0; i < LETTERS; i++) {
		assert_true(writer_ready(k.writer, sizeof body));
		assert_true(kit_put(&k, (struct bytes){ body, sizeof body }, safe, &a[i]) != 0);
		if (i % 7 == 0)
			kit_turns(&k);
	}
	kit_turns(&k);
	assert_true(k.dones > 5);
	for (int i = 0; i < LETTERS; i++)
		expect_letter(&k, &a[i], (struct bytes){ body, sizeof body });
	kit_close(&k);
	kit_open(&k, 64 * 1024);
	assert_int_equal(spool_check(k.dir, &out), 0);
	kit_close(&k);
	buffer_free(&out);
	kit_remove(&k);
}

static void
test_an_envelope_without_room_waits_for_the_next_segment(void **state)
{
	struct kit      k = { 0 };
	struct answer   a = { 0 }, b = { 0 };
	static char     big[40000];
	struct buffer   packed = { 0 };
	struct envelope e = { .prefix = { big, sizeof big } };
	uint64_t        id;

	(void)state;
	memset(big, 'p', sizeof big);
	kit_folder(&k);
	kit_open(&k, 64 * 1024);
	writer_at_rest(k.writer);
	k.lend_later = true;
	id = writer_content(k.writer, (struct bytes){ big, sizeof big });
	assert_true(id != 0);
	e.letter = id;
	envelope_pack(&e, &packed);
	writer_envelope(k.writer, id, buffer_bytes(&packed), safe, &a);
	kit_turns(&k);
	assert_int_equal(a.told, 0);
	assert_false(writer_ready(k.writer, 40000));
	kit_lend(&k, false, 0);
	assert_int_equal(k.ready, 1);
	kit_turns(&k);
	assert_int_equal(a.told, 1);
	assert_int_equal(a.why, 0);
	assert_int_not_equal(a.segment, letter_segment(id));
	expect_letter(&k, &a, (struct bytes){ big, sizeof big });
	/* And when there will be none it hears so. */
	k.refuse = ENOSPC;
	k.lend_later = false;
	id = writer_content(k.writer, (struct bytes){ big, 2000 });
	e.letter = id;
	buffer_reset(&packed);
	envelope_pack(&e, &packed);
	writer_envelope(k.writer, id, buffer_bytes(&packed), safe, &b);
	kit_turns(&k);
	if (b.told == 0) {
		writer_refuse(k.writer, false, ENOSPC);
		kit_turns(&k);
	}
	assert_int_equal(b.told, 1);
	assert_int_equal(b.why, ENOSPC);
	buffer_free(&packed);
	kit_close(&k);
	kit_remove(&k);
}

static void
test_a_broken_segment_is_given_back(void **state)
{
	struct kit    k = { 0 };
	struct answer a = { 0 }, b = { 0 };
	uint32_t      number;
	uint64_t      room;
	int           fd;

	(void)state;
	kit_folder(&k);
	kit_open(&k, 64 * 1024);
	k.lend_later = true;
	fd = spool_lend(k.spool, false, 0, &number, &room);
	(void)close(fd);
	writer_lend(k.writer, number, open("/dev/full", O_WRONLY | O_CLOEXEC), room, false);
	assert_true(kit_put(&k, BYTES("lost"), safe, &a) != 0);
	kit_turns(&k);
	assert_int_equal(a.told, 1);
	assert_int_not_equal(a.why, 0);
	assert_int_equal(k.broken, 1);
	assert_int_equal(k.last_done, number);
	kit_lend(&k, false, 0);
	assert_true(kit_put(&k, BYTES("kept"), safe, &b) != 0);
	kit_turns(&k);
	expect_letter(&k, &b, BYTES("kept"));
	kit_close(&k);
	kit_remove(&k);
}

static int opened, opened_why;

static void
on_open(void *ctx, int why)
{
	(void)ctx;
	opened++;
	opened_why = why;
}

static void
test_a_large_letter_has_a_segment_of_its_own(void **state)
{
	struct kit            k = { 0 };
	struct answer         a = { 0 };
	struct writer_stream *s;
	struct buffer         packed = { 0 }, whole = { 0 }, out = { 0 };
	uint64_t              id, at, len;
	char                  piece[7001], byte;

	(void)state;
	opened = 0;
	kit_folder(&k);
	kit_open(&k, 64 * 1024);
	k.lend_later = true;
	s = writer_stream_open(k.writer, 700000, on_open, &k);
	memset(piece, 'e', sizeof piece);
	assert_int_equal(writer_stream_add(s, (struct bytes){ piece, sizeof piece }), 0);
	buffer_add(&whole, (struct bytes){ piece, sizeof piece });
	assert_int_equal(opened, 0);
	assert_int_equal(writer_stream_fd(s, &at, &len), -1);
	kit_lend(&k, true, 700000);
	assert_int_equal(opened, 1);
	for (int i = 0; i < 99; i++) {
		memset(piece, 'a' + i % 26, sizeof piece);
		assert_int_equal(writer_stream_add(s, (struct bytes){ piece, sizeof piece }), 0);
		buffer_add(&whole, (struct bytes){ piece, sizeof piece });
		assert_true(writer_stream_waiting(s) < 256 * 1024);
	}
	assert_true(writer_stream_fd(s, &at, &len) >= 0);
	assert_int_equal(len, whole.len);
	assert_int_equal(disk_read(writer_stream_fd(s, &at, &len), &byte, 1, at + len - 1), 0);
	assert_int_equal(byte, piece[0]);
	id = writer_stream_end(&s);
	assert_true(id != 0 && s == NULL);
	kit_envelope(id, buffer_bytes(&whole), &packed);
	writer_envelope(k.writer, id, buffer_bytes(&packed), safe, &a);
	kit_turns(&k);
	expect_letter(&k, &a, buffer_bytes(&whole));
	assert_int_equal(k.dones, 1);
	/* One given up leaves nothing. */
	s = writer_stream_open(k.writer, 0, on_open, &k);
	kit_lend(&k, true, 0);
	writer_stream_add(s, buffer_bytes(&whole));
	writer_stream_drop(&s);
	kit_turns(&k);
	assert_int_equal(k.dones, 2);
	/* Given up before its segment came. */
	s = writer_stream_open(k.writer, 0, on_open, &k);
	writer_stream_drop(&s);
	kit_lend(&k, true, 0);
	kit_turns(&k);
	assert_int_equal(k.dones, 3);
	/* Refused. */
	s = writer_stream_open(k.writer, 0, on_open, &k);
	writer_refuse(k.writer, true, ENOSPC);
	assert_int_equal(opened_why, ENOSPC);
	assert_int_equal(writer_stream_add(s, BYTES("x")), ENOSPC);
	assert_int_equal(writer_stream_end(&s), 0);
	kit_close(&k);
	kit_open(&k, 64 * 1024);
	if (spool_check(k.dir, &out) != 0)
		fail_msg("%.*s", (int)out.len, out.at);
	struct spool_segment row;
	assert_true(spool_segment_at(k.spool, 0, &row));
	assert_true(row.own && row.state == SEGMENT_SEALED);
	assert_false(spool_segment_at(k.spool, 1, &row));
	kit_close(&k);
	buffer_free(&whole);
	buffer_free(&packed);
	buffer_free(&out);
	kit_remove(&k);
}

UNIT(test_one_letter_is_one_write_and_one_sync, test_letters_that_come_during_a_sync_share_the_next,
     test_a_released_writer_finishes_and_gives_everything_back,
     test_the_next_segment_is_there_before_it_is_needed,
     test_an_envelope_without_room_waits_for_the_next_segment, test_a_broken_segment_is_given_back,
     test_a_large_letter_has_a_segment_of_its_own)
