#include "unit.h"

#include "base/pack.h"

static void
pack_all(struct buffer *b)
{
	pack_u8(b, 0xfe);
	pack_u16(b, 0x1234);
	pack_u32(b, 0x12345678);
	pack_u64(b, UINT64_MAX - 1);
	pack_i64(b, INT64_MIN);
	pack_bool(b, true);
	pack_bool(b, false);
	pack_bytes(b, (struct bytes){ "a\0b", 3 });
	pack_bytes(b, (struct bytes){ NULL, 0 });
	pack_string(b, "word");
	pack_string(b, NULL);
}

/* What pack_all() packed, as far as it is there. */
static void
unpack_all(struct unpack *u, char word[5], char none[1])
{
	(void)unpack_u8(u);
	(void)unpack_u16(u);
	(void)unpack_u32(u);
	(void)unpack_u64(u);
	(void)unpack_i64(u);
	(void)unpack_bool(u);
	(void)unpack_bool(u);
	(void)unpack_bytes(u);
	(void)unpack_bytes(u);
	unpack_string(u, word, 5);
	unpack_string(u, none, 1);
}

static void
test_there_and_back(void **state)
{
	struct buffer b = { 0 };
	char          word[5], none[1];

	(void)state;
	pack_all(&b);
	struct unpack u = unpack_of(buffer_bytes(&b));
	assert_int_equal(unpack_u8(&u), 0xfe);
	assert_int_equal(unpack_u16(&u), 0x1234);
	assert_int_equal(unpack_u32(&u), 0x12345678);
	assert_true(unpack_u64(&u) == UINT64_MAX - 1);
	assert_true(unpack_i64(&u) == INT64_MIN);
	assert_true(unpack_bool(&u));
	assert_false(unpack_bool(&u));
	SAME("with a NUL", unpack_bytes(&u), ((struct bytes){ "a\0b", 3 }));
	assert_int_equal(unpack_bytes(&u).len, 0);
	assert_false(unpack_done(&u));
	unpack_string(&u, word, sizeof word);
	assert_string_equal(word, "word");
	unpack_string(&u, none, sizeof none);
	assert_string_equal(none, "");
	assert_true(unpack_done(&u));
	buffer_free(&b);
}

static void
test_little_endian_without_holes(void **state)
{
	struct buffer b = { 0 };

	(void)state;
	pack_u16(&b, 0x0102);
	pack_u32(&b, 0x03040506);
	pack_string(&b, "x");
	SAME("byte by byte", buffer_bytes(&b), ((struct bytes){ "\2\1\6\5\4\3\1\0\0\0x", 11 }));
	buffer_free(&b);
}

/* Cut anywhere, it is broken, and everything after the cut is 0 or empty. */
static void
test_every_cut_is_noticed(void **state)
{
	struct buffer b = { 0 };
	char          word[5], none[1];

	(void)state;
	pack_all(&b);
	for (size_t n = 0; n < b.len; n++) {
		struct unpack u = unpack_of((struct bytes){ b.at, n });
		unpack_all(&u, word, none);
		HOLDS("cut short", u.broken && !unpack_done(&u));
		HOLDS("nothing ever after", unpack_u64(&u) == 0 && unpack_bytes(&u).len == 0);
	}
	pack_u8(&b, 0);
	struct unpack u = unpack_of(buffer_bytes(&b));
	unpack_all(&u, word, none);
	HOLDS("one byte too many", !u.broken && !unpack_done(&u));
	buffer_free(&b);
}

struct broken_case {
	const char  *why;
	struct bytes in;
	bool         as_bool, as_bytes, as_string; /* which of them is broken */
};
static const struct broken_case broken[] = {
	{ "empty", { NULL, 0 }, true, true, true },
	{ "a bool of 2", { "\2", 1 }, true, true, true },
	{ "a length with nothing behind", { "\1\0\0\0", 4 }, false, true, true },
	{ "a length of 4 GiB", { "\xff\xff\xff\xff", 4 }, true, true, true },
	{ "a string with a NUL", { "\2\0\0\0a\0", 6 }, true, false, true },
	{ "a string that does not fit", { "\4\0\0\0abcd", 8 }, true, false, true },
	{ "a string that just fits", { "\3\0\0\0abc", 7 }, true, false, false },
};

static void
test_broken(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(broken); i++) {
		const struct broken_case *c = &broken[i];
		char                      out[4] = "xxx";
		struct unpack             u = unpack_of(c->in);
		(void)unpack_bool(&u);
		HOLDS(c->why, u.broken == c->as_bool);
		u = unpack_of(c->in);
		(void)unpack_bytes(&u);
		HOLDS(c->why, u.broken == c->as_bytes);
		u = unpack_of(c->in);
		unpack_string(&u, out, sizeof out);
		HOLDS(c->why, u.broken == c->as_string);
		HOLDS(c->why, !c->as_string || out[0] == '\0');
	}
}

UNIT(test_there_and_back, test_little_endian_without_holes, test_every_cut_is_noticed, test_broken)
