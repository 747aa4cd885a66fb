/* Names for returned mail: nothing opens that was not made here, and what was made opens to what it was made of. */
#include "directory/srs.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const secret[] = { "sesame", "older" };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct srs_settings set = { .domain = "fwd.example.net",
		                          .secrets = { secret, 2 },
		                          .age_ms = INT64_C(21) * 86400 * 1000,
		                          .hash_length = 4 };
	const int64_t now = INT64_C(20779) * 86400;
	struct arena *a = arena_open(NULL);
	struct bytes  text = { (const char *)data, size }, made, out, again;

	if (memchr(data, 0, size) != NULL || size > 4096) {
		arena_close(&a);
		return 0;
	}
	if (srs_make(&set, text, now, a, &made)) {
		if (made.len > 512 || !bytes_ends_nocase(made, BYTES("@fwd.example.net")))
			__builtin_trap();
		if (srs_open(&set, made, now, a, &out) != SRS_OPENED)
			__builtin_trap();
		if (!srs_is(text) && !bytes_equal(out, text))
			__builtin_trap();
	}
	text = bytes_of(arena_printf(a, "%.*s@fwd.example.net", (int)size, (const char *)data));
	if (srs_open(&set, text, now, a, &out) == SRS_OPENED && !srs_is(out) &&
	    (!srs_make(&set, out, now, a, &again) && out.len < 200 && out.at[0] != '"'))
		__builtin_trap();
	arena_close(&a);
	return 0;
}
