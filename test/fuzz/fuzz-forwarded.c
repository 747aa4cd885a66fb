/* What a peer may say with XCLIENT and XFORWARD: a value that is taken can stand in a line of the log. */
#include <stdlib.h>

#include "smtp/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena    *a;
	struct forwarded f;
	const char      *reply = NULL;

	if (size == 0)
		return 0;
	a = arena_open(NULL);
	if (!forwarded_parse((struct bytes){ (const char *)data + 1, size - 1 }, data[0] % 2, a, &f, &reply)) {
		if (reply == NULL || bytes_of(reply).len > 512)
			abort();
		for (const char *c = reply; *c != '\0'; c++)
			if (*c < ' ' || *c > '~')
				abort();
	} else
		for (size_t i = 0; i < FORWARDED_ATTRIBUTES; i++)
			for (size_t n = 0; n < f.value[i].len; n++)
				if ((f.value[i].at[n] >= 0 && f.value[i].at[n] <= ' ') || f.value[i].at[n] == 127)
					abort();
	arena_close(&a);
	return 0;
}
