/* What is expected is brought from the disk, and what lies far between is not: mincore(2) tells. */
#include "../unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "spool/letters.h"

enum { SEGMENT = 7, SIZE = 8 << 20, PAGE = 4096, PAGES = SIZE / PAGE, RANGES = 5 };

struct ahead_case {
	const char *why;
	struct { uint64_t at, len; } range[RANGES];
	uint32_t    here[4], away[4];          /* pages, plus one */
};
static const struct ahead_case cases[] = {
	{ "one range", { { 1 << 20, 3 * PAGE } }, { 257, 258, 259 }, { 1, 640, 1025, PAGES } },
	{ "neighbours are joined", { { 1 << 20, PAGE }, { (1 << 20) + 3 * PAGE, PAGE } }, { 257, 258, 259, 260 }, { 1, 640 } },
	{ "what lies far between stays", { { 1 << 20, PAGE }, { 3 << 20, PAGE }, { 6 << 20, PAGE } }, { 257, 769, 1537 }, { 500, 1100, PAGES } },
	{ "in any order", { { 6 << 20, PAGE }, { 1 << 20, PAGE } }, { 257, 1537 }, { 500, 1100 } },
	{ "beyond the end is nothing", { { SIZE - PAGE, PAGE }, { SIZE + (1 << 20), PAGE } }, { PAGES }, { 1, 640 } },
};

static bool
is_in_memory(unsigned char *map, uint32_t page)
{
	unsigned char says = 0;

	assert_int_equal(mincore(map + (size_t)(page - 1) * PAGE, PAGE, &says), 0);
	return says & 1;
}

/* The disk takes its time. */
static bool
comes(unsigned char *map, uint32_t page)
{
	for (int i = 0; i < 2000 && !is_in_memory(map, page); i++)
		(void)nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
	return is_in_memory(map, page);
}

static void
test_what_is_expected_is_brought(void **state)
{
	char           name[] = "/var/tmp/mansio-ahead-XXXXXX", *text = malloc(SIZE);
	unsigned char *map;
	int            fd = mkstemp(name);

	(void)state;
	assert_true(fd >= 0 && text != NULL);
	(void)unlink(name);
	memset(text, 'x', SIZE);
	assert_int_equal(write(fd, text, SIZE), SIZE);
	free(text);
	assert_int_equal(fdatasync(fd), 0);
	map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct ahead_case *c = &cases[i];
		struct letters          *l = letters_open(-1);

		assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
		if (is_in_memory(map, 1)) {
			letters_close(&l);
			(void)munmap(map, SIZE);
			(void)close(fd);
			skip(); /* all files are in memory here */
		}
		assert_int_equal(letters_lend(l, SEGMENT, dup(fd)), 0);
		for (size_t k = 0; k < RANGES && c->range[k].len > 0; k++)
			letters_expect(l, SEGMENT, c->range[k].at, c->range[k].len);
		letters_bring(l);
		for (size_t k = 0; k < COUNT(c->here) && c->here[k] > 0; k++)
			HOLDS(c->why, comes(map, c->here[k]));
		for (size_t k = 0; k < COUNT(c->away) && c->away[k] > 0; k++)
			HOLDS(c->why, !is_in_memory(map, c->away[k]));
		HOLDS("what was brought is here", letters_are_here(l, SEGMENT, (uint64_t)(c->here[0] - 1) * PAGE));
		HOLDS("a segment that nobody has is not", !letters_are_here(l, SEGMENT + 1, 0));
		letters_expect(l, SEGMENT + 1, 0, PAGE);
		letters_bring(l);
		letters_close(&l);
	}
	(void)munmap(map, SIZE);
	(void)close(fd);
}

UNIT(test_what_is_expected_is_brought)
