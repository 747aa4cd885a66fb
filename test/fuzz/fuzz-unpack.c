/*
 * Any bytes, unpacked in an order that the bytes themselves choose: the first
 * byte of each step says which getter is next.  What was unpacked from whole
 * input packs to the same bytes again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void
step(struct unpack *u, struct buffer *again)
{
	char         word[16];
	uint8_t      which = unpack_u8(u);
	struct bytes b;

	pack_u8(again, which);
	switch (which % 8) {
	case 0: pack_u8(again, unpack_u8(u)); break;
	case 1: pack_u16(again, unpack_u16(u)); break;
	case 2: pack_u32(again, unpack_u32(u)); break;
	case 3: pack_u64(again, unpack_u64(u)); break;
	case 4: pack_i64(again, unpack_i64(u)); break;
	case 5: pack_bool(again, unpack_bool(u)); break;
	case 6:
		b = unpack_bytes(u);
		if (u->broken && b.len > 0)
			abort();
		pack_bytes(again, b);
		break;
	default:
		memset(word, 'x', sizeof word);
		unpack_string(u, word, sizeof word);
		if (memchr(word, '\0', sizeof word) == NULL)
			abort();
		pack_string(again, word);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes  all = { (const char *)at, len };
	struct unpack u = unpack_of(all);
	struct buffer again = { 0 };

	while (!u.broken && u.rest.len > 0)
		step(&u, &again);
	if (unpack_done(&u) && !bytes_equal(buffer_bytes(&again), all))
		abort();
	if (u.broken && (unpack_u64(&u) != 0 || unpack_bytes(&u).len != 0 || unpack_done(&u)))
		abort();
	buffer_free(&again);
	return 0;
}
