#include "unit.h"

#include "base/base32.h"

static const struct {
	const char *why, *plain, *encoded;
} pairs[] = {
	{ "rfc4648:10", "", "" },
	{ "rfc4648:10, unpadded", "f", "MY" },
	{ "rfc4648:10, unpadded", "fo", "MZXQ" },
	{ "rfc4648:10, unpadded", "foo", "MZXW6" },
	{ "rfc4648:10, unpadded", "foob", "MZXW6YQ" },
	{ "rfc4648:10", "fooba", "MZXW6YTB" },
	{ "rfc4648:10, unpadded", "foobar", "MZXW6YTBOI" },
};

static void
test_pairs(void **state)
{
	struct buffer out = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		buffer_reset(&out);
		base32_encode(&out, bytes_of(pairs[i].plain));
		SAME(pairs[i].why, buffer_bytes(&out), bytes_of(pairs[i].encoded));
		buffer_reset(&out);
		HOLDS(pairs[i].why, base32_decode(&out, bytes_of(pairs[i].encoded)));
		SAME(pairs[i].why, buffer_bytes(&out), bytes_of(pairs[i].plain));
	}
	buffer_free(&out);
}

static void
test_as_people_type(void **state)
{
	static const struct {
		const char *why, *text, *plain; /* NULL: refused */
	} rows[] = {
		{ "small letters", "mzxw6ytboi", "foobar" },
		{ "groups", "MZXW 6YTB-OI", "foobar" },
		{ "padding of rfc4648", "MZXW6YTBOI======", "foobar" },
		{ "a digit that is no letter", "MZXW1", NULL },
		{ "bits left over", "MZ", NULL },
		{ "a letter too many", "M", NULL },
		{ "padding within", "MZ=XQ", NULL },
	};
	struct buffer out = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		buffer_reset(&out);
		HOLDS(rows[i].why,
		      base32_decode(&out, bytes_of(rows[i].text)) == (rows[i].plain != NULL));
		SAME(rows[i].why, buffer_bytes(&out), bytes_of(rows[i].plain));
	}
	buffer_free(&out);
}

UNIT(test_pairs, test_as_people_type)
