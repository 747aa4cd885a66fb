#include "unit.h"

#include "base/scan.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void
test_a_grammar(void **state)
{
	struct scan r = scan_of(BYTES("status inbox 42 (UIDNEXT)"));

	(void)state;
	scan_expect(&r, "STATUS ");
	SAME("up to the blank", scan_until(&r, ' '), BYTES("inbox"));
	assert_true(scan_skip(&r, ' '));
	assert_false(scan_skip(&r, ' '));
	assert_int_equal(scan_number(&r, 42), 42);
	scan_expect(&r, " ");
	assert_true(scan_next_is(&r, '('));
	SAME("taken", scan_take(&r, 1), BYTES("("));
	assert_false(scan_skip_word(&r, "uidvalidity"));
	assert_true(scan_skip_word(&r, "uidnext"));
	SAME("none of them", scan_while(&r, is_digit), BYTES(""));
	assert_false(scan_done(&r));
	SAME("all if absent", scan_until(&r, '?'), BYTES(")"));
	scan_end(&r);
	assert_true(scan_done(&r) && scan_ok(&r));
}

/* After the first fault nothing moves and nothing is given. */
static void
test_the_first_fault_is_kept(void **state)
{
	struct bytes line = BYTES("noop 12");
	struct scan  r = scan_of(line);

	(void)state;
	scan_expect(&r, "noop");
	scan_expect(&r, "(");
	scan_fail(&r, "something else");
	assert_string_equal(r.fault, "(");
	assert_ptr_equal(r.fault_at, line.at + 4);
	assert_false(scan_skip(&r, ' '));
	assert_false(scan_next_is(&r, ' '));
	assert_false(scan_skip_word(&r, " 12"));
	assert_int_equal(scan_until(&r, '2').len, 0);
	assert_int_equal(scan_take(&r, 1).len, 0);
	assert_int_equal(scan_number(&r, 100), 0);
	scan_end(&r);
	assert_string_equal(r.fault, "(");
	assert_false(scan_ok(&r) || scan_done(&r));
	SAME("nothing was taken", r.rest, BYTES(" 12"));
}

struct number_case {
	const char *why, *in;
	uint64_t    most, wanted;
	const char *fault;
};
static const struct number_case numbers[] = {
	{ "the largest allowed", "7)", 7, 7, NULL },
	{ "one more", "8)", 7, 0, "a smaller number" },
	{ "beyond 64 bits", "18446744073709551616", UINT64_MAX, 0, "a smaller number" },
	{ "none", ")", 7, 0, "a number" },
	{ "nothing at all", "", 7, 0, "a number" },
	{ "leading zeros", "007", 7, 7, NULL },
};

static void
test_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		const struct number_case *c = &numbers[i];
		struct scan               r = scan_of(bytes_of(c->in));
		HOLDS(c->why, scan_number(&r, c->most) == c->wanted);
		HOLDS(c->why, scan_ok(&r) == (c->fault == NULL));
		if (c->fault != NULL) {
			assert_string_equal(r.fault, c->fault);
			assert_ptr_equal(r.fault_at, c->in);
		}
	}
}

static void
test_taking_too_much(void **state)
{
	struct scan r = scan_of(BYTES("ab"));

	(void)state;
	assert_int_equal(scan_take(&r, 3).len, 0);
	assert_false(scan_ok(&r));
	r = scan_of((struct bytes){ NULL, 0 });
	scan_end(&r);
	assert_true(scan_done(&r));
	scan_expect(&r, "a");
	assert_false(scan_ok(&r));
}

UNIT(test_a_grammar, test_the_first_fault_is_kept, test_numbers, test_taking_too_much)
