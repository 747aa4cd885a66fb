/* Addresses of a field and what stands for them: many at once. */
#include "unit.h"

#include <string.h>

#include "role/receiver.h"

/* clang-format off */
static const struct { const char *why, *field, *wanted; } rows[] = {
	{ "each by itself", "To: a@x.example, B@X.example\r\n", "To: a@y.example, b@y.example\r\n" },
	{ "in brackets, with a name", "To: \"a@x.example\" <a@x.example>\r\n", "To: \"a@x.example\" <a@y.example>\r\n" },
	{ "not inside of another", "To: aa@x.example, a@x.example.org\r\n", "To: aa@x.example, a@x.example.org\r\n" },
	{ "one after the other, not one by the other", "To: c@x.example, d@x.example\r\n", "To: d@x.example, e@x.example\r\n" },
	{ "one in quotes", "To: \"o d\"@x.example, a@x.example\r\n", "To: od@y.example, a@y.example\r\n" },
	{ "a quote that does not end", "To: \"a@x.example, a@x.example\r\n", "To: \"a@x.example, a@x.example\r\n" },
	{ "behind a backslash", "To: \"\\\"\" <a@x.example>\r\n", "To: \"\\\"\" <a@y.example>\r\n" },
	{ "nothing at all", "", "" },
};
static const struct { const char *old, *instead; } pairs[] = {
	{ "a@x.example", "a@y.example" }, { "b@x.example", "b@y.example" }, { "c@x.example", "d@x.example" },
	{ "d@x.example", "e@x.example" }, { "\"o d\"@x.example", "od@y.example" },
};
/* clang-format on */

static void
test_many_at_once(void **state)
{
	struct rewrite_pairs *p = rewrite_pairs_open();
	struct bytes          instead[COUNT(pairs)];

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		instead[i] = bytes_of(pairs[i].instead);
		rewrite_pairs_add(p, bytes_of(pairs[i].old), &instead[i]);
	}
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buffer out = { 0 };

		rewrite_pairs_in(p, bytes_of(rows[i].field), &out);
		SAME(rows[i].why, buffer_bytes(&out), bytes_of(rows[i].wanted));
		buffer_free(&out);
	}
	rewrite_pairs_close(&p);
}

UNIT(test_many_at_once)
