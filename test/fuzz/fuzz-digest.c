/* What digest_make() makes digest_view() takes, and its IMAP strings are whole;
   and any bytes at all can be given to digest_view(). */
#include <stdlib.h>

#include "message/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static unsigned long digests;      /* given as such; only counted */

static void
look(const struct digest *d)
{
	for (uint32_t i = 0; i < d->parts; i++) {
		struct digest_part p = digest_part_at(d, i);

		if (p.header_at > d->content_size || p.header_len > d->content_size - p.header_at ||
		    p.body_at > d->content_size || p.body_len > d->content_size - p.body_at)
			abort();
		if (i > 0 && i < 50 && digest_child(d, p.parent, p.number) < 0)
			abort();
	}
	for (uint32_t i = 0; i < d->fields; i++) {
		struct digest_field f = digest_field_at(d, i);

		if (f.at > d->content_size || f.len > d->content_size - f.at)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes in = { (const char *)at, len };
	struct arena *a = arena_open(NULL);
	struct buffer out = { 0 };
	struct digest d;

	if (digest_view(in, &d)) {
		look(&d);
		if (digest_strings_valid(&d))
			digests++;
	}
	buffer_add(&out, BYTES("before"));
	digest_make(in, a, &out);
	buffer_eat(&out, 6);
	if (!digest_view(buffer_bytes(&out), &d))
		abort();
	look(&d);
	if (!digest_strings_valid(&d))
		abort();
	buffer_free(&out);
	arena_close(&a);
	return 0;
}
