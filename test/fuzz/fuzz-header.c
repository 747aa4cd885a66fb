/* Headers: fields follow one another without a gap, unfolding leaves no lines. */
#include <stdlib.h>

#include "message/header.h"
#include "message/subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes in = { (const char *)at, len };
	struct arena *a = arena_open(NULL);
	struct header h = header_of(in);
	const char *before = NULL;
	struct field f;

	while (header_next(&h, &f)) {
		struct bytes line = field_unfold(a, f.value);

		if (before != NULL && f.whole.at != before)
			abort();
		before = f.whole.at + f.whole.len;
		if (f.name.len == 0 || f.name.at != f.whole.at || f.value.at <= f.name.at ||
		    f.value.at + f.value.len != before)
			abort();
		if (bytes_find(line, '\n') >= 0 || bytes_find(line, '\r') >= 0)
			abort();
		(void)subject_base(line, a);
		(void)references_of(f.value, line, a);
		(void)message_id_of(f.value, a);
	}
	if (len > 0 && (h.at < in.at || h.at > in.at + len || (before != NULL && h.at < before)))
		abort();
	arena_close(&a);
	return 0;
}
