/* What clamd answers, and where it is said to be. */
#include "base/journal.h"
#include "policy/clamd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes       in = { (const char *)data, size }, name, again;
	struct clamd_place place;
	uint64_t           number;
	int64_t            made;
	enum clamd_answer  whole = clamd_reply(in, false, &name), a;

	INSIDE(name.len <= size || whole == CLAMD_FAILED);
	for (size_t n = 0; n < size && n < 64; n++) {
		a = clamd_reply(bytes_cut(in, 0, n), false, &again);
		INSIDE(a == CLAMD_SHORT || a == whole);
	}
	INSIDE(clamd_reply(in, true, &again) != CLAMD_SHORT);
	if (clamd_version(in, &number, &made))
		INSIDE(made > 0);
	if (clamd_place(in, &place) == NULL)
		INSIDE(place.host.len > 0 && (place.is_path || place.port > 0));
	return 0;
}
