#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/random.h"

struct date_case {
	const char *why, *zone;
	int64_t     wall;
	const char *wanted;
};
static const struct date_case dates[] = {
	{ "the header's example", "UTC0", 1795311319, "Sun, 22 Nov 2026 01:35:19 +0000 (UTC)" },
	{ "the beginning", "UTC0", 0, "Thu, 1 Jan 1970 00:00:00 +0000 (UTC)" },
	{ "east", "CST-8", 1795311319, "Sun, 22 Nov 2026 09:35:19 +0800 (CST)" },
	{ "west, half an hour", "NST3:30", 1795311319, "Sat, 21 Nov 2026 22:05:19 -0330 (NST)" },
};

static void
test_dates(void **state)
{
	char out[48];

	(void)state;
	for (size_t i = 0; i < COUNT(dates); i++) {
		(void)setenv("TZ", dates[i].zone, 1);
		tzset();
		clock_rfc5322(dates[i].wall, out, sizeof out);
		SAME(dates[i].why, bytes_of(out), bytes_of(dates[i].wanted));
	}
	clock_rfc5322(INT64_MAX, out, sizeof out);
	HOLDS("a year nobody can write", strlen(out) > 0);
}

static void
test_pretending(void **state)
{
	int64_t patient = clock_patient_ms();

	(void)state;
	clock_pretend(1795311319);
	assert_int_equal(clock_wall(), 1795311319);
	assert_true(clock_wall_us() == INT64_C(1795311319000000));
	assert_true(clock_patient_ms() == INT64_C(1795311319000));
	clock_pretend(0);
	HOLDS("real again", clock_patient_ms() >= patient && clock_patient_ms() < patient + 60000);
	HOLDS("this century", clock_wall() > 1700000000 && clock_wall_us() / 1000000 >= 1700000000);
}

static void
test_random(void **state)
{
	char   word[33] = { 0 }, other[33] = { 0 };
	size_t seen[3] = { 0 };

	(void)state;
	random_word(word, sizeof word);
	random_word(other, sizeof other);
	HOLDS("the room filled, NUL included", strlen(word) == 32);
	HOLDS("never the same", strcmp(word, other) != 0 && random_number() != random_number());
	HOLDS("letters people can tell apart", strcspn(word, "0o1liIO") == 32);
	random_word(word, 1);
	HOLDS("no room but for the NUL", word[0] == '\0');
	for (int i = 0; i < 3000; i++)
		seen[random_below(3)]++;
	for (int i = 0; i < 3; i++)
		assert_in_range(seen[i], 800, 1200);
	HOLDS("one of one", random_below(1) == 0);
}

UNIT(test_dates, test_pretending, test_random)
