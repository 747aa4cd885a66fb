/* Codes of rfc3463, where words begin with one. */
#include "unit.h"

#include "message/status.h"

/* clang-format off */
static const struct status_case { const char *why, *text; size_t len; bool refuses; } cases[] = {
	{ "rfc3463:3.2 one by itself", "5.1.1", 5, true },
	{ "rfc3463:3.2 before words", "5.1.1 no such user", 5, false },
	{ "rfc3463:2 three digits", "4.123.999", 9, true },
	{ "rfc3463:2 and no more", "4.1234.1", 0, false },
	{ "rfc3463:2 the class is one digit", "55.1.1", 0, false },
	{ "rfc3463:2 success is no refusal", "2.0.0", 5, false },
	{ "two numbers", "5.1", 0, false },
	{ "four numbers", "5.1.1.1", 0, false },
	{ "digits alone", "55555", 0, false },
	{ "dots alone", "5....", 0, false },
	{ "nothing behind the dot", "5.1.", 0, false },
	{ "a letter at its end", "5.1.1x", 0, false },
	{ "a code of rfc5321", "550 no", 0, false },
	{ "nothing", "", 0, false },
};
/* clang-format on */

static void
test_codes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		HOLDS(cases[i].why, status_len(bytes_of(cases[i].text)) == cases[i].len);
		HOLDS(cases[i].why, status_is(bytes_of(cases[i].text), "45") == cases[i].refuses);
	}
}

UNIT(test_codes)
