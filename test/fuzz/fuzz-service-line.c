/*
 * Lines of a master.cf in a main.cf: what looks like one is read; names of settings and values are words of it without ends
 * of lines, and the advice is bounded by what was written.
 */
#include <stdlib.h>
#include <string.h>

#include "base/service_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void
look(const struct service_line *s, struct arena *a, size_t len)
{
	if (s->pairs > len + 4 || s->name == NULL || s->note == NULL || s->service.len == 0 || s->service.len > len)
		abort();
	for (size_t i = 0; i < s->pairs; i++)
		if (*s->pair[i].name == '\0' || strlen(s->pair[i].name) > 2 * len + 100 || strlen(s->pair[i].value) > 2 * len + 100)
			abort();
	if (strlen(service_line_advice(s, a)) > (2 * s->pairs + 1) * (2 * len + 400))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes        in = { (const char *)at, len };
	struct arena       *a = arena_open(NULL);
	struct service_line s;
	bool                begins = service_line_begins(in);

	if (service_line_read(in, a, &s) != begins)
		abort();
	if (begins)
		look(&s, a, len);
	arena_close(&a);
	return 0;
}
