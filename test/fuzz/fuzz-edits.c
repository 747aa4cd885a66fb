/* Edits of a letter: any bytes are refused or packed again to the same, and what they make is as long as they say. */
#include "base/journal.h"
#include "message/edits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes  in = { (const char *)data, size };
	struct arena *arena = arena_open(NULL);
	struct buffer again = { 0 }, out = { 0 };
	struct edits  e, sorted = edits_in(arena);

	if (edits_unpack(in, arena, &e)) {
		edits_pack(&e, &again);
		INSIDE(bytes_equal(buffer_bytes(&again), in));
		for (uint32_t i = e.count; i > 0; i--)
			INSIDE(edits_add(&sorted, &e.edit[i - 1]) || e.edit[i - 1].len == 0);
		if (edits_fit(&e, size, size)) {
			edits_apply(&e, in, in, &out);
			INSIDE(out.len == edits_size(&e, size));
			INSIDE(edits_fit(&sorted, size, size));
		}
	}
	buffer_free(&again);
	buffer_free(&out);
	arena_close(&arena);
	return 0;
}
