#include "unit.h"

#include <string.h>

#include "base/buffer.h"

static void
test_a_zeroed_buffer_is_empty(void **state)
{
	struct buffer b = { 0 };

	(void)state;
	buffer_add(&b, BYTES(""));
	buffer_eat(&b, 0);
	buffer_reset(&b);
	HOLDS("nothing in it", buffer_bytes(&b).len == 0);
	HOLDS("room all the same", buffer_room(&b, 0) != NULL);
	buffer_free(&b);
	buffer_free(&b);
}

static void
test_adding(void **state)
{
	struct buffer b = { 0 };

	(void)state;
	buffer_add(&b, BYTES("a"));
	buffer_add_string(&b, "bc");
	buffer_add_string(&b, NULL);
	buffer_add_char(&b, 'd');
	buffer_printf(&b, "-%s-%d", "e", 5);
	buffer_add_number(&b, 0);
	buffer_add_number(&b, UINT64_MAX);
	memcpy(buffer_room(&b, 100), "xyz", 3);
	buffer_took(&b, 2);
	SAME("all in order", buffer_bytes(&b), BYTES("abcd-e-5018446744073709551615xy"));
	buffer_reset(&b);
	for (int i = 0; i < 100; i++)
		buffer_printf(&b, "%0100d", i);
	HOLDS("printing grows", b.len == 10000 && b.at[9999] == '9' && b.at[9998] == '9');
	buffer_free(&b);
	HOLDS("gives all back", b.at == NULL && b.len == 0);
}

/* A stream that is written at one end and read at the other, for a long time:
   every byte comes out once, in order, and the buffer stays small. */
static void
test_a_stream_through_it(void **state)
{
	struct buffer b = { 0 };
	unsigned      in = 0, out = 0, dice = 7;

	(void)state;
	while (in < 2000000) {
		dice = dice * 1103515245 + 12345;
		for (size_t n = dice >> 16 & 1023; n > 0; n--)
			buffer_add_char(&b, (char)in++);
		dice = dice * 1103515245 + 12345;
		size_t n = dice >> 16 & 2047;
		if (n > b.len)
			n = b.len;
		for (size_t i = 0; i < n; i++)
			assert_int_equal((unsigned char)b.at[i], (unsigned char)out++);
		buffer_eat(&b, n);
	}
	assert_int_equal(in - out, b.len);
	HOLDS("no larger than what was ever inside", b._room <= 32768);
	buffer_free(&b);
}

/* One byte eaten, one added, with much inside: the content must not be moved
   each time. */
static void
test_eating_is_cheap(void **state)
{
	struct buffer b = { 0 };

	(void)state;
	for (int i = 0; i < 1 << 20; i++)
		buffer_add_char(&b, 'x');
	for (int i = 0; i < 3 << 20; i++) {
		buffer_eat(&b, 1);
		buffer_add_char(&b, 'y');
	}
	HOLDS("bounded", b.len == 1 << 20 && b._room <= 4 << 20);
	buffer_free(&b);
}

UNIT(test_a_zeroed_buffer_is_empty, test_adding, test_a_stream_through_it, test_eating_is_cheap)
