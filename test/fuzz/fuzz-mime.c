/* A letter taken apart and searched: ranges lie in one another. */
#include <stdlib.h>

#include "message/mime.h"
#include "message/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes in = { (const char *)at, len };
	struct arena *a = arena_open(NULL);
	struct mime *m = mime_parse(in, a);
	struct mime_value v;

	for (uint32_t i = 0; i < m->parts; i++) {
		const struct digest_part *p = &m->part[i].range;
		const struct digest_part *parent = &m->part[p->parent].range;

		if (p->header_at + p->header_len != p->body_at || p->body_at + p->body_len > len)
			abort();
		if (i > 0 && (p->parent >= i || parent->kind == PART_LEAF ||
		    p->header_at < parent->body_at ||
		    p->body_at + p->body_len > parent->body_at + parent->body_len))
			abort();
	}
	(void)mime_value_parse(in, true, a, &v);
	(void)mime_value_parse(in, false, a, &v);
	(void)letter_says(in, SEARCH_HEADER, BYTES("Subject"), BYTES("x"), a);
	(void)letter_says(in, SEARCH_BODY, BYTES(""), BYTES("hello"), a);
	(void)letter_says(in, SEARCH_TEXT, BYTES(""), bytes_cut(in, 0, 3), a);
	arena_close(&a);
	return 0;
}
