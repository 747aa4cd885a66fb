/* A dovecot.conf in our words: each line of it is a setting or a remark. */
#include <stdlib.h>

#include "command/dovecot.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct buffer out = { 0 };
	struct bytes  rest, line;

	dovecot_translate((struct bytes){ (const char *)at, len }, &out);
	rest = buffer_bytes(&out);
	while (bytes_split(&rest, '\n', &line))
		if (line.len > 0 && line.at[0] != '#' && bytes_find(line, '=') < 0)
			abort();
	buffer_free(&out);
	return 0;
}
