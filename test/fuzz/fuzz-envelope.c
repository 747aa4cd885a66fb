/* The envelope of a letter: any bytes are refused or packed again to the same. */
#include "base/journal.h"
#include "message/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes    in = { (const char *)data, size };
	struct arena   *arena = arena_open(NULL);
	struct buffer   again = { 0 };
	struct envelope e;

	if (envelope_unpack(in, arena, &e)) {
		envelope_pack(&e, &again);
		INSIDE(bytes_equal(buffer_bytes(&again), in));
	}
	buffer_free(&again);
	arena_close(&arena);
	return 0;
}
