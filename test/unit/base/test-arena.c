#include "unit.h"

#include <string.h>

#include "base/arena.h"

static void
test_memory_is_zero_and_aligned(void **state)
{
	struct arena *a = arena_open(NULL);

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t n = 0; n < 3000; n += 7) {
			unsigned char *at = arena_take(a, n);
			assert_int_equal((uintptr_t)at % _Alignof(max_align_t), 0);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(at[i], 0);
			memset(at, 0xff, n);
		}
		arena_clear(a); /* what was used must be zero again */
	}
	arena_close(&a);
	assert_null(a);
	arena_close(&a);
}

static void
test_inner_lives_end_with_the_outer(void **state)
{
	struct arena *session = arena_open(NULL);
	struct arena *first = arena_open(session), *second = arena_open(session);
	struct arena *third = arena_open(session), *deep = arena_open(second);
	size_t        all = arena_size(session);

	(void)state;
	assert_int_equal(all, 5 * arena_size(deep));
	(void)arena_take(deep, 100000);
	HOLDS("counted from outside", arena_size(session) >= all + 100000);
	arena_close(&second);
	HOLDS("and no more", arena_size(session) == all - 2 * arena_size(first));
	arena_close(&first);
	arena_close(&third);
	HOLDS("alone again", arena_size(session) == all / 5);
	(void)arena_open(session);
	arena_clear(session);
	HOLDS("clear ends inner lives", arena_size(session) == all / 5);
	(void)arena_open(arena_open(session));
	arena_close(&session);
}

static void
test_an_idle_arena_is_small(void **state)
{
	struct arena *a = arena_open(NULL);

	(void)state;
	assert_in_range(arena_size(a), 1, 256);
	for (int i = 0; i < 1000; i++)
		(void)arena_take(a, 100);
	HOLDS("little is wasted", arena_size(a) < (size_t)2 * 1000 * (112 + 16));
	arena_clear(a);
	assert_in_range(arena_size(a), 1, 256);
	arena_close(&a);
}

/* What is large must not throw away the chunk in use. */
static void
test_large_and_small_side_by_side(void **state)
{
	struct arena *a = arena_open(NULL);
	char         *small[100];

	(void)state;
	for (int i = 0; i < 100; i++) {
		small[i] = arena_take(a, 16);
		memset(small[i], i, 16);
		memset(arena_take(a, 100000), 0xff, 100000);
	}
	for (int i = 0; i < 100; i++)
		HOLDS("not written over", small[i][0] == i && small[i][15] == i);
	HOLDS("little is wasted", arena_size(a) < 100 * 100000 + 100 * 1000);
	arena_close(&a);
}

static void
test_text(void **state)
{
	struct arena *a = arena_open(NULL);
	char          near_by[4] = "abc", long_one[1000];
	struct bytes  kept;

	(void)state;
	kept = arena_keep(a, (struct bytes){ near_by, 3 });
	near_by[0] = 'x';
	SAME("a copy", kept, BYTES("abc"));
	assert_int_equal(kept.at[3], '\0');
	assert_string_equal(arena_copy(a, (struct bytes){ NULL, 0 }), "");
	assert_string_equal(arena_printf(a, "%s-%d", "x", 7), "x-7");
	memset(long_one, 'y', sizeof long_one - 1);
	long_one[sizeof long_one - 1] = '\0';
	HOLDS("longer than its first guess",
	      strlen(arena_printf(a, "%s%s", long_one, long_one)) == 2 * sizeof long_one - 2);
	SAME("lower case", arena_lower(a, BYTES("Ab\xc3\x84Z")), BYTES("ab\xc3\x84z"));
	assert_non_null(arena_take_array(a, 3, 5));
	arena_close(&a);
}

UNIT(test_memory_is_zero_and_aligned, test_inner_lives_end_with_the_outer,
     test_an_idle_arena_is_small, test_large_and_small_side_by_side, test_text)
