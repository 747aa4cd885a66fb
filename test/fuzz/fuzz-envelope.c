/* The envelope of a letter: any bytes are refused or packed again to the same, those of an older version to
   what says the same. */
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
		if (in.at[0] > 1)
			INSIDE(bytes_equal(buffer_bytes(&again), in));
		else
			INSIDE(envelope_unpack(buffer_bytes(&again), arena, &e));
	}
	buffer_free(&again);
	arena_close(&arena);
	return 0;
}
