#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bytes.h"

static void
test_first(void **state)
{
	(void)state;
	assert_true(bytes_is(BYTES("Abc"), "aBC"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_first) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
