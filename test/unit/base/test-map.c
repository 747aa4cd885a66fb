#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/map.h"

/* The reference vectors of SipHash-2-4: key 00..0f, input 00, 00 01, ... */
struct sip_case {
	const char *why;
	size_t      len;
	uint64_t    wanted;
};
static const struct sip_case sips[] = {
	{ "no byte", 0, 0x726fdb47dd0e0e31u },
	{ "one", 1, 0x74f839c593dc67fdu },
	{ "seven", 7, 0xab0200f58b01d137u },
	{ "eight", 8, 0x93f5f5799a932462u },
	{ "the paper's appendix A", 15, 0xa129ca6149be45e5u },
	{ "sixty-three", 63, 0x958a324ceb064572u },
};

/* Before anybody has hashed anything here: what a process found out about its secret says nothing of another's. */
static void
test_each_process_has_a_secret_of_its_own(void **state)
{
	uint64_t hash[2] = { 0, 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(hash); i++) {
		int fd[2];

		assert_int_equal(pipe(fd), 0);
		if (fork() == 0) {
			uint64_t mine = hash_of(BYTES("jack@example.com"));

			_exit(write(fd[1], &mine, sizeof mine) == sizeof mine ? 0 : 1);
		}
		assert_int_equal(read(fd[0], &hash[i], sizeof hash[i]), sizeof hash[i]);
		(void)close(fd[0]);
		(void)close(fd[1]);
		(void)wait(NULL);
	}
	HOLDS("two processes, two hashes", hash[0] != hash[1]);
	HOLDS("and a third", hash[0] != hash_of(BYTES("jack@example.com")));
}

/* CVE-2021-33582: whoever knows how names are hashed sends those that fall together.  A thousand that do with a key that is known
   stand apart with the one that is not. */
static void
test_who_knows_the_function_cannot_make_a_crowd(void **state)
{
	enum { PLACES = 1024, CROWD = 1000 };
	static const uint64_t known[2] = { 0, 0 };
	static uint16_t       at[PLACES];
	unsigned              taken = 0, most = 0, found = 0;
	char                  name[40];

	(void)state;
	for (unsigned i = 0; found < CROWD; i++) {
		struct bytes b = { name, (size_t)snprintf(name, sizeof name, "u%u@example.com", i) };

		if (hash_with(known, b) % PLACES != 0)
			continue;
		found++;
		taken += at[hash_of(b) % PLACES]++ == 0;
		if (at[hash_of(b) % PLACES] > most)
			most = at[hash_of(b) % PLACES];
	}
	/* by chance 640 of 1024, and six or seven in the fullest; half and thirty never come */
	HOLDS("they are all over", taken > 512 && most < 30);
}

static void
test_siphash(void **state)
{
	static const uint64_t key[2] = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };
	char                  in[64];

	(void)state;
	for (size_t i = 0; i < sizeof in; i++)
		in[i] = (char)i;
	for (size_t i = 0; i < COUNT(sips); i++)
		HOLDS(sips[i].why,
		      hash_with(key, (struct bytes){ in, sips[i].len }) == sips[i].wanted);
	HOLDS("one secret for all calls", hash_of(BYTES("a")) == hash_of(BYTES("a")));
}

static void
test_put_get_drop(void **state)
{
	struct map *m = map_open();
	int         one = 1, two = 2;
	uint64_t    n = 5, other = 6;

	(void)state;
	assert_null(map_get(m, BYTES("a")));
	assert_null(map_drop(m, BYTES("a")));
	assert_null(map_put(m, BYTES("a"), &one));
	assert_null(map_put(m, BYTES(""), &two));
	assert_null(map_put(m, map_number(&n), &one));
	assert_ptr_equal(map_put(m, BYTES("a"), &two), &one);
	assert_ptr_equal(map_get(m, BYTES("a")), &two);
	assert_ptr_equal(map_get(m, (struct bytes){ NULL, 0 }), &two);
	assert_ptr_equal(map_get(m, map_number(&n)), &one);
	assert_null(map_get(m, map_number(&other)));
	assert_int_equal(map_count(m), 3);
	assert_ptr_equal(map_drop(m, BYTES("a")), &two);
	assert_null(map_get(m, BYTES("a")));
	assert_int_equal(map_count(m), 2);
	map_close(&m);
	assert_null(m);
	map_close(&m);
}

#define MANY ((uint64_t)100000)

static void
test_many_keys(void **state)
{
	static int  values[MANY];
	struct map *m = map_open();
	size_t      seen = 0;

	(void)state;
	for (uint64_t i = 0; i < MANY; i++) {
		char key[32];
		int  n = snprintf(key, sizeof key, "key-%u", (unsigned)i);
		assert_null(map_put(m, (struct bytes){ key, (size_t)n }, &values[i]));
		memset(key, 'x', sizeof key); /* keys are copied */
	}
	assert_int_equal(map_count(m), MANY);
	for (uint64_t i = 0; i < MANY; i++) {
		char key[32];
		int  n = snprintf(key, sizeof key, "key-%u", (unsigned)i);
		assert_ptr_equal(map_get(m, (struct bytes){ key, (size_t)n }), &values[i]);
		if (i % 3 != 0)
			assert_ptr_equal(map_drop(m, (struct bytes){ key, (size_t)n }), &values[i]);
	}
	for (struct map_place p = { 0 }; map_next(m, &p); seen++)
		assert_int_equal(((int *)p.value - values) % 3, 0);
	assert_int_equal(seen, map_count(m));
	assert_int_equal(seen, MANY / 3 + 1);
	map_close(&m);
}

/* A walk that drops what it stands on sees everything once. */
static void
test_dropping_during_a_walk(void **state)
{
	static int  values[1000];
	struct map *m = map_open();
	int         seen = 0;

	(void)state;
	for (uint64_t i = 0; i < COUNT(values); i++)
		(void)map_put(m, map_number(&i), &values[i]);
	for (struct map_place p = { 0 }; map_next(m, &p); seen++) {
		*(int *)p.value += 1;
		assert_ptr_equal(map_drop(m, p.key), p.value);
	}
	assert_int_equal(seen, COUNT(values));
	assert_int_equal(map_count(m), 0);
	for (size_t i = 0; i < COUNT(values); i++)
		assert_int_equal(values[i], 1);
	map_close(&m);
}

/* A queue lives like this: few inside at a time, a great many in all. */
static void
test_coming_and_going(void **state)
{
	struct map *m = map_open();
	int         value;

	(void)state;
	for (uint64_t i = 0; i < 300000; i++) {
		uint64_t old = i - 10;
		assert_null(map_put(m, map_number(&i), &value));
		if (i >= 10)
			assert_ptr_equal(map_drop(m, map_number(&old)), &value);
	}
	assert_int_equal(map_count(m), 10);
	map_close(&m);
}

UNIT(test_each_process_has_a_secret_of_its_own, test_who_knows_the_function_cannot_make_a_crowd, test_siphash, test_put_get_drop, test_many_keys, test_dropping_during_a_walk,
     test_coming_and_going)
