/*
 * A file of users or aliases from another server.  The first byte chooses which; every row that is there has
 * an address with a domain, and something to do with it.
 */
#include <stdlib.h>

#include "command/sheet.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer errors = { 0 };
	struct sheet *s;
	struct bytes  text;

	if (size < 1)
		return 0;
	text = (struct bytes){ (const char *)data + 1, size - 1 };
	s = data[0] & 1 ? sheet_users(text, "f", data[0] & 2 ? "example.com" : NULL, false, &errors)
	                : sheet_aliases(text, "f", data[0] & 2 ? "example.com" : NULL, &errors);
	for (size_t i = 0; i < s->count; i++) {
		const struct sheet_row *r = &s->row[i];
		if (bytes_find(r->address, '@') < 0)
			abort();
		if (r->is_account ? r->password.len + r->hash.len == 0 : r->targets == 0)
			abort();
		for (size_t t = 0; t < r->targets; t++)
			if (bytes_find(r->target[t], '@') < 0)
				abort();
	}
	sheet_close(&s);
	buffer_free(&errors);
	return 0;
}
