/* By which names of ours a copy has come: rows of the text, and what is made of it. */
#include "unit.h"

#include <string.h>

#include "base/buffer.h"
#include "queue/through.h"

static void
test_read(void **state)
{
	static const struct {
		const char *why, *through, *entered, *passed;
	} rows[] = {
		{ "nothing", "", "", "" },
		{ "an alias", "al@x\n", "al@x", "" },
		{ "a .forward", "\ntom@x\n", "", "tom@x\n" },
		{ "both, and more", "al@x\ntom@x\neva@x\n", "al@x", "tom@x\neva@x\n" },
		{ "without an end", "al@x", "al@x", "" },
	};
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		SAME(rows[i].why, through_entered(rows[i].through), bytes_of(rows[i].entered));
		SAME(rows[i].why, through_passed(rows[i].through), bytes_of(rows[i].passed));
	}
}

static void
test_made(void **state)
{
	static const struct {
		const char *why, *through, *enter, *leave, *wanted;
	} rows[] = {
		{ "an alias", "", "al@x", NULL, "al@x\n" },
		{ "none", "", "", NULL, "" },
		{ "an alias within it is the first one's", "al@x\n", "deep@x", NULL, "al@x\n" },
		{ "behind a .forward", "\ntom@x\n", "al@x", NULL, "al@x\ntom@x\n" },
		{ "a .forward", "", NULL, "tom@x", "\ntom@x\n" },
		{ "of a user whom an alias led to", "al@x\n", NULL, "tom@x", "\nal@x\n" },
		{ "in small letters, as what is compared", "Al+X@x\n", NULL, "tom@x", "\nal+x@x\n" },
		{ "the second", "\ntom@x\n", NULL, "eva@x", "\neva@x\ntom@x\n" },
	};
	struct arena *a = arena_open(NULL);
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++)
		SAME(rows[i].why,
		     bytes_of(rows[i].enter != NULL
		                      ? through_enter(rows[i].through, bytes_of(rows[i].enter), a)
		                      : through_leave(rows[i].through, bytes_of(rows[i].leave), a)),
		     bytes_of(rows[i].wanted));
	arena_close(&a);
}

static void
test_has(void **state)
{
	static const struct {
		const char *why, *through, *name;
		bool        has;
	} rows[] = {
		{ "nothing", "", "tom@x", false },
		{ "the alias that was opened is not behind it", "al@x\n", "al@x", false },
		{ "one user's .forward leads to an alias of theirs", "\ntom@x\n", "tom@x", false },
		{ "and to another's, which leads back", "\neva@x\ntom@x\n", "tom@x", true },
		{ "case does not count", "\neva@x\ntom@x\n", "Tom@X", true },
		{ "behind an alias", "al@x\ntom@x\neva@x\n", "eva@x", true },
		{ "a part of a name", "\neva@x\ntom@x\n", "tom@", false },
		{ "no name", "\ntom@x\n", "", false },
	};
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++)
		HOLDS(rows[i].why, through_circles(rows[i].through, bytes_of(rows[i].name)) == rows[i].has);
}

/* A chain of thousands of .forward files: the way is bounded, by whole names. */
static void
test_long(void **state)
{
	struct arena *a = arena_open(NULL);
	const char   *through = "";
	(void)state;

	for (int i = 0; i < 3000; i++)
		through = through_leave(through, bytes_of(arena_printf(a, "user-%d@example.com", i)), a);
	HOLDS("bounded", strlen(through) < 10000);
	HOLDS("the newest is there", strncmp(through, "\nuser-2999@example.com\nuser-2998@example.com\n", 44) == 0);
	HOLDS("the last is whole", strcmp(through + strlen(through) - 13, "@example.com\n") == 0);
	arena_close(&a);
}

UNIT(test_read, test_made, test_has, test_long)
