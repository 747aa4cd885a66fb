#include "../unit.h"

#include "base/checksum.h"
#include "kit.h"

static const struct {
	const char *why;
	size_t      len;
} bodies[] = {
	{ "nothing in it", 0 },  { "one byte", 1 }, { "seven", 7 },
	{ "a padded eight", 8 }, { "nine", 9 },     { "more", 100 },
};

static void
whole_segment(struct buffer *out)
{
	segment_title_make(buffer_room(out, SEGMENT_HEADER), 5, 1700000000, SEGMENT_SMALL);
	buffer_took(out, SEGMENT_HEADER);
	for (size_t i = 0; i < COUNT(bodies); i++) {
		char body[100];
		memset(body, (int)('a' + i), sizeof body);
		uint64_t id = (uint64_t)5 << 32 | out->len;
		record_add(out, i % 2 ? RECORD_ENVELOPE : RECORD_CONTENT, id,
		           (struct bytes){ body, bodies[i].len });
	}
}

struct found {
	size_t   records;
	uint64_t end;
	size_t   damaged;
};

static bool
see(void *ctx, const struct record *r)
{
	struct found *f = ctx;

	f->records++;
	f->end = r->body_at + record_padded(r->body_len);
	return true;
}

static void
harm(void *ctx, uint64_t at, const char *why)
{
	(void)at;
	(void)why;
	((struct found *)ctx)->damaged++;
}

static int
file_with(const struct kit *k, struct bytes content, size_t zeros)
{
	int fd = openat(k->dir, "00000005.seg", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(disk_write(fd, content.at, content.len, 0), 0);
	assert_int_equal(disk_cut(fd, content.len + zeros), 0);
	return fd;
}

/* Cut, or filled with zeros, at every byte: exactly the whole records are found. */
static void
test_torn_at_every_byte(void **state)
{
	struct kit    k = { 0 };
	struct buffer all = { 0 };
	uint64_t      end[COUNT(bodies) + 1] = { SEGMENT_HEADER };

	(void)state;
	kit_folder(&k);
	whole_segment(&all);
	for (size_t i = 0; i < COUNT(bodies); i++)
		end[i + 1] = end[i] + record_takes(bodies[i].len);
	assert_int_equal(end[COUNT(bodies)], all.len);
	for (size_t cut = SEGMENT_HEADER; cut <= all.len; cut++) {
		for (size_t zeros = 0; zeros < 2; zeros++) {
			struct found f = { 0 };
			uint64_t     good;
			size_t       whole = 0;
			int fd = file_with(&k, (struct bytes){ all.at, cut }, zeros ? 4096 : 0);
			enum segment_end e = segment_scan(fd, 0, true, see, harm, &f, &good);
			/* Zeros in place of zeros make a record whole again: padding, and bodies are never zeros here. */
			while (whole < COUNT(bodies) &&
			       end[whole + 1] - (zeros ? record_padded(bodies[whole].len) -
			                                         bodies[whole].len
			                               : 0) <=
			               cut)
				whole++;
			assert_int_equal(f.records, whole);
			assert_int_equal(good, end[whole]);
			if (cut == good)
				assert_int_equal(e, SEGMENT_END_OPEN);
			else if (!zeros)
				assert_int_equal(e, SEGMENT_END_TORN);
			(void)close(fd);
		}
	}
	buffer_free(&all);
	kit_remove(&k);
}

/* Any byte changed: found out, and in a sealed segment the records behind it are still read when it was in a body. */
static void
test_every_byte_is_watched(void **state)
{
	struct kit    k = { 0 };
	struct buffer all = { 0 };
	uint64_t      used, good;

	(void)state;
	kit_folder(&k);
	whole_segment(&all);
	used = all.len;
	record_add(&all, RECORD_END, used, (struct bytes){ NULL, 0 });
	for (size_t at = 0; at < used; at++) {
		struct found     f = { 0 };
		int              fd;
		enum segment_end e;
		all.at[at] ^= 0x10;
		fd = file_with(&k, buffer_bytes(&all), 0);
		e = segment_scan(fd, 0, true, see, harm, &f, &good);
		if (at < SEGMENT_HEADER)
			assert_int_equal(e, SEGMENT_END_ALIEN);
		else if (f.damaged == 0)
			assert_int_equal(f.records, COUNT(bodies)); /* padding */
		else
			assert_true(f.records < COUNT(bodies));
		if (e == SEGMENT_END_SEALED && f.damaged > 0)
			assert_int_equal(f.records, COUNT(bodies) - 1);
		(void)close(fd);
		all.at[at] ^= 0x10;
	}
	buffer_free(&all);
	kit_remove(&k);
}

/* Whoever cuts a segment behind its last whole record must know that it is the last. */
static void
test_a_disk_that_gives_nothing_is_no_torn_record(void **state)
{
	struct kit    k = { 0 };
	struct buffer all = { 0 };
	struct found  f = { 0 };
	uint64_t      good;
	char          path[80];
	int           fd, bare;

	(void)state;
	kit_folder(&k);
	whole_segment(&all);
	fd = file_with(&k, buffer_bytes(&all), 0);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	/* A descriptor that cannot be read from, as a disk with a fault. */
	bare = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(bare >= 0);
	assert_int_equal(segment_scan(bare, 0, true, see, harm, &f, &good), SEGMENT_END_UNREAD);
	assert_int_equal(good, 0);
	assert_int_equal(f.records, 0);
	(void)close(bare);
	(void)close(fd);
	buffer_free(&all);
	kit_remove(&k);
}

static void
test_a_record_is_read_only_as_itself(void **state)
{
	struct kit    k = { 0 };
	struct buffer all = { 0 };
	struct arena *scratch = arena_open(NULL);
	struct bytes  body;
	uint64_t      id = (uint64_t)5 << 32 | SEGMENT_HEADER;
	int           fd;

	(void)state;
	kit_folder(&k);
	segment_title_make(buffer_room(&all, SEGMENT_HEADER), 5, 0, SEGMENT_OWN);
	buffer_took(&all, SEGMENT_HEADER);
	record_add(&all, RECORD_CONTENT, id, BYTES("hello\r\n"));
	fd = file_with(&k, buffer_bytes(&all), 0);
	HOLDS("it is there",
	      record_read(fd, SEGMENT_HEADER, RECORD_CONTENT, id, scratch, 100, &body) != NULL);
	SAME("its body", body, BYTES("hello\r\n"));
	HOLDS("another letter",
	      record_read(fd, SEGMENT_HEADER, RECORD_CONTENT, id + 8, scratch, 100, &body) == NULL);
	HOLDS("said so", errno == EBADMSG);
	HOLDS("another type",
	      record_read(fd, SEGMENT_HEADER, RECORD_ENVELOPE, id, scratch, 100, &body) == NULL);
	HOLDS("too long",
	      record_read(fd, SEGMENT_HEADER, RECORD_CONTENT, id, scratch, 6, &body) == NULL);
	HOLDS("beyond the end",
	      record_read(fd, 4096, RECORD_CONTENT, id, scratch, 100, &body) == NULL);
	(void)close(fd);
	arena_close(&scratch);
	buffer_free(&all);
	kit_remove(&k);
	(void)kit_open;
	(void)kit_close;
}

UNIT(test_torn_at_every_byte, test_every_byte_is_watched,
     test_a_disk_that_gives_nothing_is_no_torn_record, test_a_record_is_read_only_as_itself)
