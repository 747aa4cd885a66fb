#include "../unit.h"

#include "base/clock.h"
#include "kit.h"
#include "power.h"

static void
is_safe(void *ctx, int why, uint64_t letter, uint32_t segment, uint64_t at)
{
	(void)ctx;
	(void)letter;
	(void)segment;
	(void)at;
	assert_int_equal(why, 0);
}

static void
put(struct kit *k, struct bytes content)
{
	assert_true(kit_put(k, content, is_safe, NULL) != 0);
	kit_turns(k);
}

struct found {
	struct spool_found f[200];
	size_t             count;
};

static void
find(void *ctx, const struct spool_found *f)
{
	struct found *all = ctx;

	if (all->count < 200)
		all->f[all->count++] = *f;
}

static void
test_numbers_are_never_used_twice(void **state)
{
	struct kit k = { 0 };
	uint32_t   last = 0;

	(void)state;
	kit_folder(&k);
	for (int i = 0; i < 40; i++) {
		uint32_t number;
		uint64_t room;
		int      fd;
		kit_open(&k, 64 * 1024);
		fd = spool_lend(k.spool, false, 0, &number, &room);
		assert_true(fd >= 0);
		assert_true(number > last);
		assert_int_equal(room, 64 * 1024);
		last = number;
		(void)close(fd);
		assert_int_equal(spool_done(k.spool, number, SEGMENT_HEADER), 0);
		if (i % 3 == 0)
			spool_prepare(k.spool);
		kit_close(&k);
	}
	/* Even when the file that says so is damaged. */
	int           fd = openat(k.dir, "numbers", O_WRONLY | O_TRUNC | O_CLOEXEC);
	struct buffer errors = { 0 };
	(void)close(fd);
	k.spool = spool_open(k.dir, 65536, 0, 0600, -1, &errors);
	assert_true(k.spool != NULL && errors.len > 0);
	spool_close(&k.spool);
	buffer_free(&errors);
	kit_remove(&k);
}

static void
test_a_living_writer_keeps_its_segment(void **state)
{
	struct kit           k = { 0 };
	struct spool        *other;
	struct spool_segment row;
	struct found         all = { 0 };
	struct buffer        errors = { 0 };

	(void)state;
	kit_folder(&k);
	kit_open(&k, 64 * 1024);
	put(&k, BYTES("one"));
	/* The queue is started anew while the receiver works on. */
	other = spool_open(k.dir, 64 * 1024, 0, 0600, -1, &errors);
	assert_true(spool_segment_at(other, 0, &row));
	assert_int_equal(row.state, SEGMENT_OPEN);
	put(&k, BYTES("two"));
	assert_int_equal(spool_each_after(other, 0, 0, find, &all), 0);
	assert_int_equal(all.count, 2);
	assert_int_equal(spool_orphan(other, row.number, find, &all), EAGAIN);
	assert_int_equal(spool_orphans(other, find, &all), 0);
	assert_int_equal(all.count, 2);
	/* Now it dies. */
	writer_close(&k.writer);
	all.count = 0;
	assert_int_equal(spool_orphans(other, find, &all), 0);
	assert_int_equal(all.count, 2);
	assert_int_equal(all.f[1].content_len, 3);
	assert_true(spool_segment_at(other, 0, &row));
	assert_int_equal(row.state, SEGMENT_SEALED);
	spool_close(&other);
	kit_close(&k);
	buffer_free(&errors);
	kit_remove(&k);
}

static void
test_checkpoint(void **state)
{
	struct kit   k = { 0 };
	struct found all = { 0 }, rest = { 0 };

	(void)state;
	kit_folder(&k);
	kit_open(&k, 64 * 1024);
	for (int i = 0; i < 30; i++) {
		static char body[8000];
		put(&k, (struct bytes){ body, (size_t)(100 + 200 * i) });
	}
	assert_int_equal(spool_each_after(k.spool, 0, 0, find, &all), 0);
	assert_int_equal(all.count, 30);
	for (size_t i = 0; i + 1 < all.count; i += 7) {
		rest.count = 0;
		/* From this letter's envelope on: it and all after it. */
		assert_int_equal(spool_each_after(k.spool, all.f[i].envelope_segment,
		                                  all.f[i].envelope_at, find, &rest),
		                 0);
		assert_int_equal(rest.count, all.count - i);
		assert_int_equal(rest.f[0].letter, all.f[i].letter);
		assert_int_equal(rest.f[0].content_len, 100 + 200 * i);
	}
	kit_close(&k);
	kit_remove(&k);
}

static void
test_compaction_keeps_ids(void **state)
{
	struct kit          k = { 0 };
	struct found        all = { 0 }, after = { 0 };
	struct letter_place to[30];
	struct buffer       out = { 0 };
	struct arena       *scratch = arena_open(NULL);
	uint32_t            number;

	(void)state;
	kit_folder(&k);
	kit_open(&k, 64 * 1024);
	for (int i = 0; i < 30; i++) {
		char body[200];
		memset(body, 'a' + i % 26, sizeof body);
		put(&k, (struct bytes){ body, sizeof body });
	}
	writer_close(&k.writer);
	spool_close(&k.spool);
	kit_open(&k, 64 * 1024);
	assert_int_equal(spool_each_after(k.spool, 0, 0, find, &all), 0);
	assert_int_equal(all.count, 30);
	number = all.f[0].envelope_segment;
	for (int i = 0; i < 30; i += 3) {
		struct spool_found *f = &all.f[i];
		struct letter_place from = { f->content_segment, f->content_at, f->content_len,
			                     f->envelope_segment, f->envelope_at };
		assert_int_equal(spool_copy(k.spool, f->letter, &from, &to[i]), 0);
	}
	assert_int_equal(spool_copy_end(k.spool), 0);
	assert_int_equal(spool_remove(k.spool, number), 0);
	if (spool_check(k.dir, &out) != 0)
		fail_msg("%.*s", (int)out.len, out.at);
	for (int i = 0; i < 30; i += 3) {
		char         got[200];
		struct bytes packed;
		assert_int_equal(letters_read(spool_letters(k.spool), &to[i], 0, got, 200), 0);
		assert_int_equal(got[199], 'a' + i % 26);
		assert_int_equal(letters_envelope(spool_letters(k.spool), to[i].envelope_segment,
		                                  to[i].envelope_at, all.f[i].letter, scratch,
		                                  &packed),
		                 0);
	}
	/* Copies are no news to a queue that knew their letters. */
	assert_int_equal(spool_each_after(k.spool, number + 1, 0, find, &after), 0);
	assert_int_equal(after.count, 0);
	assert_int_equal(spool_each_after(k.spool, number, 0, find, &after), 0);
	assert_int_equal(after.count, 10);
	arena_close(&scratch);
	buffer_free(&out);
	kit_close(&k);
	kit_remove(&k);
}

static void
test_check_and_dump_name_what_is_wrong(void **state)
{
	struct kit           k = { 0 };
	struct buffer        out = { 0 };
	struct spool_segment row;
	char                 name[24];
	int                  fd;

	(void)state;
	kit_folder(&k);
	kit_open(&k, 64 * 1024);
	put(&k, BYTES("first letter"));
	put(&k, BYTES("second letter"));
	kit_close(&k);
	kit_open(&k, 64 * 1024);
	assert_true(spool_segment_at(k.spool, 0, &row));
	(void)snprintf(name, sizeof name, "%08x.seg", row.number);
	fd = openat(k.dir, name, O_RDWR | O_CLOEXEC);
	assert_true(spool_dump(fd, &out));
	assert_true(bytes_search(buffer_bytes(&out), BYTES("to=<eva@example.org>")) > 0);
	assert_true(bytes_search(buffer_bytes(&out), BYTES("sealed")) > 0);
	buffer_reset(&out);
	assert_int_equal(spool_check(k.dir, &out), 0);
	assert_int_equal(disk_write(fd, "X", 1, SEGMENT_HEADER + RECORD_HEADER + 2), 0);
	assert_int_equal(spool_check(k.dir, &out), 2);
	HOLDS("file and offset",
	      bytes_search(buffer_bytes(&out),
	                   BYTES(".seg: offset 64: a record's checksum is wrong")) > 0);
	(void)close(fd);
	kit_close(&k);
	buffer_free(&out);
	kit_remove(&k);
}

/* ---- the plug ---- */

enum { LETTERS = 12 };
struct promised {
	uint64_t letter[LETTERS * 2];
	char     body[LETTERS * 2];
	size_t   count;
};
struct one {
	struct promised *promised;
	char             body;
};

static void
promise(void *ctx, int why, uint64_t letter, uint32_t segment, uint64_t at)
{
	struct one *o = ctx;

	(void)segment;
	(void)at;
	if (why != 0)
		return;
	o->promised->letter[o->promised->count] = letter;
	o->promised->body[o->promised->count++] = o->body;
}

static void
is_open(void *ctx, int why)
{
	*(int *)ctx = why;
}

/* A letter in a segment of its own. */
static void
put_large(struct kit *k, struct bytes body, struct one *o)
{
	struct buffer         packed = { 0 };
	int                   refused = 0;
	struct writer_stream *s = writer_stream_open(k->writer, body.len, is_open, &refused);
	uint64_t              id;

	(void)writer_stream_add(s, body);
	id = writer_stream_end(&s);
	if (id != 0) {
		kit_envelope(id, body, &packed);
		writer_envelope(k->writer, id, buffer_bytes(&packed), promise, o);
	}
	buffer_free(&packed);
}

/* Three letters at a time into small segments; one in four has a segment of its own.  On a disk that fails a letter
   may find no room: it is promised to nobody. */
static void
work(int dir, void *ctx)
{
	struct kit        k = { .dir = dir, .failing = true };
	static struct one one[LETTERS];
	static char       body[20000];

	journal_open(JOURNAL_FILE, open("/dev/null", O_WRONLY | O_CLOEXEC), false, "test");
	clock_pretend(1700000000);
	kit_open(&k, 48 * 1024);
	writer_at_rest(k.writer);
	for (int i = 0; i < LETTERS; i++) {
		one[i] = (struct one){ ctx, (char)('a' + i) };
		memset(body, 'a' + i, sizeof body);
		clock_pretend(1700000000 + i * 10); /* the writer asks again after a while */
		if (i % 4 == 3)
			put_large(&k, (struct bytes){ body, sizeof body }, &one[i]);
		else if (writer_ready(k.writer, (uint64_t)(500 + 900 * i)))
			(void)kit_put(&k, (struct bytes){ body, (size_t)(500 + 900 * i) }, promise,
			              &one[i]);
		if (i % 3 == 2)
			kit_turns(&k);
		if (i == 7)
			spool_prepare(k.spool);
	}
	kit_turns(&k);
	kit_close(&k);
}

/* Every letter that was promised is found, whole, once. */
static void
recover_and_compare(struct kit *k, const struct promised *p, long step)
{
	struct found  all = { 0 };
	struct buffer out = { 0 };
	int           fd;

	kit_open(k, 48 * 1024);
	assert_int_equal(spool_each_after(k->spool, 0, 0, find, &all), 0);
	for (size_t i = 0; i < p->count; i++) {
		size_t n = 0;
		for (size_t j = 0; j < all.count; j++) {
			char                c = 0, last = 0;
			struct spool_found *f = &all.f[j];
			struct letter_place at = { f->content_segment, f->content_at,
				                   f->content_len, f->envelope_segment,
				                   f->envelope_at };
			if (f->letter != p->letter[i])
				continue;
			n++;
			assert_int_equal(letters_read(spool_letters(k->spool), &at, 0, &c, 1), 0);
			assert_int_equal(letters_read(spool_letters(k->spool), &at,
			                              f->content_len - 1, &last, 1),
			                 0);
			assert_int_equal(c, p->body[i]);
			assert_int_equal(last, p->body[i]);
		}
		if (n != 1)
			fail_msg("step %ld: letter %zu of %zu was promised and found %zu times",
			         step, i, p->count, n);
	}
	if (spool_check(k->dir, &out) != 0)
		fail_msg("step %ld: %.*s", step, (int)out.len, out.at);
	/* Life goes on, with numbers not used before. */
	fd = 0;
	for (size_t j = 0; j < all.count; j++)
		fd = (int)letter_segment(all.f[j].letter) > fd
		             ? (int)letter_segment(all.f[j].letter)
		             : fd;
	writer_at_rest(k->writer);
	assert_true((int)letter_segment(kit_put(k, BYTES("x"), is_safe, NULL)) > fd);
	kit_turns(k);
	buffer_free(&out);
	kit_close(k);
}

static void
pull_the_plug(enum power how)
{
	struct promised *p = power_shared(sizeof *p);

	for (long step = 0;; step++) {
		struct kit k = { 0 };
		char       after[80];
		bool       over;
		kit_folder(&k);
		*p = (struct promised){ .count = 0 };
		(void)snprintf(after, sizeof after, "%s/after", k.path);
		(void)mkdirat(k.dir, "log", 0700);
		(void)snprintf(after, sizeof after, "%s-after", k.path);
		int log = openat(k.dir, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		over = power_run(how, step, log, after, work, p);
		(void)close(log);
		if (!over) {
			struct kit again = { 0 };
			again.dir =
				how != POWER_CUT && how != POWER_TORN
					? openat(k.dir, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
					: open(after, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			assert_true(again.dir >= 0);
			recover_and_compare(&again, p, step);
			if (how >= POWER_EIO && p->count < LETTERS - 9)
				fail_msg("step %ld: only %zu letters were taken", step, p->count);
			(void)close(again.dir);
		}
		(void)power_remove_one(after);
		kit_remove(&k);
		if (over) {
			assert_int_equal(p->count, LETTERS);
			assert_true(step > 30);
			print_message("plug pulled at each of %ld steps\n", step);
			break;
		}
	}
	(void)munmap(p, sizeof *p);
}

static void
test_a_disk_that_fails_at_every_step(void **state)
{
	(void)state;
	pull_the_plug(POWER_EIO);
}

static void
test_a_disk_that_is_full_at_every_step(void **state)
{
	(void)state;
	pull_the_plug(POWER_FULL);
}

static void
test_killed_at_every_step(void **state)
{
	(void)state;
	pull_the_plug(POWER_KILLED);
}

static void
test_power_cut_at_every_step(void **state)
{
	(void)state;
	pull_the_plug(POWER_CUT);
}

static void
test_power_cut_with_torn_sectors_at_every_step(void **state)
{
	(void)state;
	pull_the_plug(POWER_TORN);
}

UNIT(test_numbers_are_never_used_twice, test_a_living_writer_keeps_its_segment, test_checkpoint,
     test_compaction_keeps_ids, test_check_and_dump_name_what_is_wrong,
     test_a_disk_that_fails_at_every_step, test_a_disk_that_is_full_at_every_step,
     test_killed_at_every_step, test_power_cut_at_every_step,
     test_power_cut_with_torn_sectors_at_every_step)
