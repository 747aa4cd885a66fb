/* A letter that is made one of 7 bits: its edits fit, and no body it changes keeps a byte above 127. */
#include <stdlib.h>

#include "message/seven.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct arena *a = arena_open(NULL);
	struct bytes  content = { (const char *)at, len };
	struct buffer packed = { 0 };
	struct edits  e = edits_in(a);
	struct digest d;

	digest_make(content, a, &packed);
	if (digest_view(buffer_bytes(&packed), &d) && seven_make(content, &d, a, &e)) {
		if (!edits_fit(&e, len, 0))
			abort();
		for (uint32_t i = 0; i < e.count; i++)
			for (size_t k = 0; k < e.edit[i].instead.len; k++)
				if ((unsigned char)e.edit[i].instead.at[k] >= 0x80)
					abort();
	}
	buffer_free(&packed);
	arena_close(&a);
	return 0;
}
