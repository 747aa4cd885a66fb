/*
 * unit -- what every unit test begins with
 *
 * A test is a table of rows whose first column is the reason; HOLDS() and
 * SAME() say it when the row does not hold.  A program ends in
 *     UNIT(test_this, test_that)
 */
#ifndef UNIT_H
#define UNIT_H

/* cmocka wants these four before itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"

#define HOLDS(why, promise)                                        \
	do {                                                       \
		if (!(promise))                                    \
			fail_msg("%s: not so: %s", why, #promise); \
	} while (0)

#define SAME(why, got, wanted) unit_same(why, got, wanted, __FILE__, __LINE__)

static inline void
unit_same(const char *why, struct bytes got, struct bytes wanted, const char *file, int line)
{
	if (bytes_equal(got, wanted))
		return;
	print_error("%s\n     got: %.*s\n  wanted: %.*s\n", why, (int)got.len,
	            got.at == NULL ? "" : got.at, (int)wanted.len,
	            wanted.at == NULL ? "" : wanted.at);
	_fail(file, line);
}

#define UNIT(...)                                                                         \
	int main(void)                                                                    \
	{                                                                                 \
		static const CMUnitTestFunction functions[] = { __VA_ARGS__ };            \
		struct CMUnitTest tests[COUNT(functions)];                                \
		const char *names = #__VA_ARGS__;                                         \
		return unit_run(functions, tests, COUNT(functions), names);               \
	}

static inline int
unit_run(const CMUnitTestFunction *function, struct CMUnitTest *test, size_t count,
         const char *names)
{
	static char  name[64][64];
	struct bytes rest = bytes_of(names), one;

	for (size_t i = 0; i < count && i < COUNT(name) && bytes_split(&rest, ',', &one); i++) {
		(void)bytes_string(bytes_cut(bytes_trim(one), 0, sizeof name[i] - 1), name[i],
		                   sizeof name[i]);
		test[i] = (struct CMUnitTest){ .name = name[i], .test_func = function[i] };
	}
	return _cmocka_run_group_tests("unit", test, count, NULL, NULL);
}

#endif
