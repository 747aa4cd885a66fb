#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "chronicle/chronicle.h"
#include "chronicle/volume.h"

static const int64_t day_zero = 1795305600; /* a midnight, UTC */

static char directory[64];

static int
make(void **state)
{
	(void)state;
	(void)snprintf(directory, sizeof directory, "/tmp/mansio-unit-XXXXXX");
	clock_pretend(day_zero);
	return mkdtemp(directory) == NULL ? -1 : 0;
}

static void
path_of(char path[static 200], const char *name)
{
	(void)snprintf(path, 200, "%s/%s", directory, name);
}

static int
drop(void **state)
{
	DIR           *dir = opendir(directory);
	struct dirent *e;
	char           path[200];

	(void)state;
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		(void)snprintf(path, sizeof path, "%s/%.100s", directory, e->d_name);
		(void)unlink(path);
	}
	if (dir != NULL)
		(void)closedir(dir);
	clock_pretend(0);
	return rmdir(directory);
}

static struct chronicle *
open_with(const struct chronicle_limits *limits)
{
	struct buffer     errors = { 0 };
	struct chronicle *c = chronicle_open(directory, limits, &errors);

	assert_non_null(c);
	buffer_free(&errors);
	return c;
}

static struct chronicle *
open_it(void)
{
	static const struct chronicle_limits none = { 0 };

	return open_with(&none);
}

/* A letter's life in three events. */
static void
add_letter(struct chronicle *c, uint64_t id, const char *to)
{
	struct event e = { .kind = LIFE_ENTERED, .at_us = clock_wall_us(), .letter = id, .number = 1000 };

	e.text[TEXT_SENDER] = BYTES("eva@example.org");
	e.text[TEXT_RECIPIENT] = bytes_of(to);
	chronicle_add(c, &e);
	e = (struct event){ .kind = LIFE_ATTEMPT, .at_us = clock_wall_us(), .letter = id, .number = 1 };
	e.text[TEXT_RECIPIENT] = bytes_of(to);
	e.text[TEXT_HOW] = BYTES("sent");
	chronicle_add(c, &e);
	chronicle_add(c, &(struct event){ .kind = LIFE_REMOVED, .at_us = clock_wall_us(), .letter = id });
	chronicle_flush(c);
}

struct seen {
	size_t   count;
	uint64_t letter[64];
	uint8_t  kind[64];
	uint64_t number;
};

static bool
see(void *ctx, const struct event *e)
{
	struct seen *s = ctx;

	if (s->count < COUNT(s->letter)) {
		s->letter[s->count] = e->letter;
		s->kind[s->count] = e->kind;
	}
	s->count++;
	s->number = e->number;
	return true;
}

static struct seen
all_of(struct chronicle *c, uint64_t key)
{
	struct chronicle_walk w = { .key = key, .next = UINT64_MAX };
	struct seen           s = { 0 };

	while (chronicle_walk(c, &w, see, &s))
		continue;
	return s;
}

static size_t
count_of(struct chronicle *c, uint64_t letter)
{
	return all_of(c, chronicle_key_number(c, KEY_LETTER, letter)).count;
}

static void
pack_all(struct chronicle *c)
{
	while (chronicle_turn(c)) {
		chronicle_pack(c);
		chronicle_packed(c);
	}
}

static void
test_found_again(void **state)
{
	struct chronicle *c = open_it();
	struct seen       s;

	(void)state;
	for (uint64_t i = 1; i <= 50; i++)
		add_letter(c, i, i % 10 == 0 ? "jack@example.com" : "jill@example.com");
	assert_int_equal(count_of(c, 7), 3);
	assert_int_equal(count_of(c, 51), 0);
	s = all_of(c, chronicle_key(c, KEY_ADDRESS, BYTES("Jack@example.com")));
	assert_int_equal(s.count, 10);
	HOLDS("the newest first", s.letter[0] == 50 && s.letter[9] == 10 && s.kind[0] == LIFE_ATTEMPT);
	chronicle_close(&c);
	c = open_it();
	assert_int_equal(count_of(c, 7), 3);
	add_letter(c, 51, "jack@example.com");
	assert_int_equal(all_of(c, chronicle_key(c, KEY_ADDRESS, BYTES("jack@example.com"))).count, 12);
	chronicle_close(&c);
}

/* What a day has is packed when the next one comes, and told as before. */
static void
test_packed_away(void **state)
{
	struct chronicle       *c = open_it();
	struct chronicle_counts n;
	struct seen             s;
	char                    path[200];

	(void)state;
	for (uint64_t i = 1; i <= 20000; i++)
		add_letter(c, i, i % 100 == 0 ? "jack@example.com" : "jill@example.com");
	assert_false(chronicle_turn(c));
	clock_pretend(day_zero + 86400);
	pack_all(c);
	add_letter(c, 20001, "jack@example.com");
	path_of(path, "0000000001.volume");
	assert_int_equal(access(path, R_OK), 0);
	path_of(path, "0000000001.daybook");
	assert_int_equal(access(path, F_OK), -1);
	for (uint64_t i = 1; i <= 20001; i += 500)
		assert_int_equal(count_of(c, i), 3);
	s = all_of(c, chronicle_key(c, KEY_ADDRESS, BYTES("jack@example.com")));
	assert_int_equal(s.count, 402);
	HOLDS("the newest first, over files", s.letter[0] == 20001 && s.letter[2] == 20000 && s.letter[4] == 19900);
	chronicle_close(&c);
	c = open_it();
	assert_int_equal(count_of(c, 20000), 3);
	chronicle_count(c, &n);
	assert_int_equal(n.events, 60003);
	assert_int_equal(n.files, 2);
	chronicle_close(&c);
}

static void
spoil(const char *name, off_t from_end, const void *bytes, size_t len, bool truncates)
{
	char        path[200];
	struct stat st;
	int         fd;

	path_of(path, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	if (truncates)
		assert_int_equal(ftruncate(fd, st.st_size - from_end), 0);
	else
		assert_int_equal(pwrite(fd, bytes, len, st.st_size - from_end), len);
	(void)close(fd);
}

/* kill -9 leaves whole writes; a power cut leaves less, zeros, or what was there before. */
static void
test_torn(void **state)
{
	static const char zeros[4096];
	static const struct {
		const char *why;
		off_t       from_end;
		const char *bytes;
		size_t      len;
		bool        truncates;
		size_t      second; /* events of the second letter that are left */
	} rows[] = {
		{ "nothing happened", 0, "", 0, false, 3 },
		{ "one byte is missing", 1, "", 0, true, 0 },
		{ "the last frame has only its head", 144, "", 0, true, 0 },
		{ "zeros behind the end", 0, zeros, sizeof zeros, false, 3 },
		{ "the end is zeros", 40, zeros, 40, false, 0 },
		{ "a byte is another", 20, "!", 1, false, 0 },
		{ "a frame behind the end that says it is large", 0, "\xff\xff\xff\xff\0\0\0\0", 8, false, 3 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct chronicle *c = open_it();

		add_letter(c, 1, "jill@example.com");
		add_letter(c, 2, "jill@example.com");
		chronicle_close(&c);
		spoil("0000000001.daybook", rows[i].from_end, rows[i].bytes, rows[i].len, rows[i].truncates);
		c = open_it();
		HOLDS(rows[i].why, count_of(c, 1) == 3 && count_of(c, 2) == rows[i].second);
		add_letter(c, 3, "jill@example.com");
		chronicle_close(&c);
		c = open_it();
		HOLDS(rows[i].why, count_of(c, 1) == 3 && count_of(c, 3) == 3);
		chronicle_close(&c);
		(void)drop(NULL);
		assert_int_equal(make(NULL), 0);
	}
}

/* A file that is no daybook or volume is set aside, the others serve. */
static void
test_damaged_file(void **state)
{
	struct chronicle *c = open_it();
	char              path[200];

	(void)state;
	add_letter(c, 1, "jill@example.com");
	clock_pretend(day_zero + 86400);
	pack_all(c);
	add_letter(c, 2, "jill@example.com");
	chronicle_close(&c);
	spoil("0000000001.volume", 10, "!", 1, false);
	c = open_it();
	assert_int_equal(count_of(c, 1), 0);
	assert_int_equal(count_of(c, 2), 3);
	path_of(path, "0000000001.volume.damaged");
	assert_int_equal(access(path, F_OK), 0);
	chronicle_close(&c);
}

/* Stopped between the volume's coming and the daybook's going. */
static void
test_packed_twice(void **state)
{
	struct chronicle *c = open_it();
	char              path[200];

	(void)state;
	add_letter(c, 1, "jill@example.com");
	clock_pretend(day_zero + 86400);
	assert_true(chronicle_turn(c));
	chronicle_pack(c);
	chronicle_close(&c);
	c = open_it();
	assert_int_equal(count_of(c, 1), 3);
	path_of(path, "0000000001.daybook");
	assert_int_equal(access(path, F_OK), -1);
	chronicle_close(&c);
}

static void
test_forgotten(void **state)
{
	const struct chronicle_limits month = { .lifetime_s = 30 * 86400 }, small = { .size_most = 1 };
	struct chronicle             *c = open_with(&month);

	(void)state;
	for (int d = 0; d < 40; d++) {
		clock_pretend(day_zero + d * 86400);
		add_letter(c, (uint64_t)d + 1, "jill@example.com");
		pack_all(c);
		chronicle_sweep(c);
	}
	assert_int_equal(count_of(c, 8), 0);
	assert_int_equal(count_of(c, 11), 3);
	assert_int_equal(count_of(c, 40), 3);
	chronicle_limit(c, &small);
	chronicle_sweep(c);
	assert_int_equal(count_of(c, 39), 0);
	HOLDS("what is being written stays", count_of(c, 40) == 3);
	chronicle_close(&c);
}

/* Nothing can be written: events are dropped and counted, and a gap tells of it when there is room again. */
static void
test_no_room(void **state)
{
	const struct chronicle_limits much = { .free_least = UINT64_MAX }, none = { 0 };
	struct chronicle             *c = open_with(&none);
	struct chronicle_counts       n;
	struct seen                   s;

	(void)state;
	add_letter(c, 1, "jill@example.com");
	chronicle_limit(c, &much);
	for (int i = 0; i < 20000; i++) /* the disk is looked at now and then */
		add_letter(c, 2, "jill@example.com");
	chronicle_count(c, &n);
	HOLDS("they are counted", n.dropped > 0 && n.dropped < 60000);
	chronicle_lost(c, 5);
	chronicle_limit(c, &none);
	add_letter(c, 3, "jill@example.com");
	s = all_of(c, chronicle_key_number(c, KEY_GAP, 0));
	assert_int_equal(s.count, 1);
	assert_int_equal(s.number, n.dropped + 5);
	assert_int_equal(count_of(c, 1), 3);
	assert_int_equal(count_of(c, 3), 3);
	chronicle_close(&c);
}

/* A rogue speaker's times are ours. */
static void
test_times(void **state)
{
	struct chronicle_walk w = { .since_us = (day_zero - 60) * 1000000, .until_us = (day_zero + 60) * 1000000, .next = UINT64_MAX };
	struct chronicle     *c = open_it();
	struct seen           s = { 0 };

	(void)state;
	chronicle_add(c, &(struct event){ .kind = LIFE_REMOVED, .letter = 9, .at_us = INT64_MAX });
	chronicle_add(c, &(struct event){ .kind = LIFE_REMOVED, .letter = 9, .at_us = INT64_MIN });
	chronicle_flush(c);
	w.key = chronicle_key_number(c, KEY_LETTER, 9);
	while (chronicle_walk(c, &w, see, &s))
		continue;
	assert_int_equal(s.count, 2);
	chronicle_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found_again, make, drop),
		cmocka_unit_test_setup_teardown(test_packed_away, make, drop),
		cmocka_unit_test_setup_teardown(test_torn, make, drop),
		cmocka_unit_test_setup_teardown(test_damaged_file, make, drop),
		cmocka_unit_test_setup_teardown(test_packed_twice, make, drop),
		cmocka_unit_test_setup_teardown(test_forgotten, make, drop),
		cmocka_unit_test_setup_teardown(test_no_room, make, drop),
		cmocka_unit_test_setup_teardown(test_times, make, drop),
	};

	return cmocka_run_group_tests_name("chronicle", tests, NULL, NULL);
}
