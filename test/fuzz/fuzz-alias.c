/* The value of an alias: it ends, no part is empty or holds a line end, and all parts lie within it. */
#include "directory/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int plain = 0; plain < 2; plain++) {
		struct arena     *a = arena_open(NULL);
		struct bytes      rest = { (const char *)data, size };
		struct alias_part part;
		size_t            before = rest.len, parts = 0;

		while (alias_next(&rest, plain != 0, a, &part)) {
			if (rest.len >= before || ++parts > size || part.text.len > size)
				__builtin_trap();
			if (plain != 0 && part.kind != TARGET_ADDRESS)
				__builtin_trap();
			before = rest.len;
		}
		if (rest.len != 0)
			__builtin_trap();
		arena_close(&a);
	}
	return 0;
}
