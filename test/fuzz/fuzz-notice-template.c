/* Files of templates: each ends, none is larger than its file could make it, all text is UTF-8 in whole lines. */
#include "message/encoding.h"
#include "message/notice-template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena           *a = arena_open(NULL);
	struct buffer           errors = { 0 };
	struct notice_templates all;
	bool good = templates_read((struct bytes){ (const char *)data, size }, "f", a, &all, &errors);

	if (good != (errors.len == 0) || all.count > TEMPLATES_MOST)
		__builtin_trap();
	for (size_t i = 0; i < all.count; i++) {
		const struct notice_template *t = &all.one[i];

		if (t->kind >= TEMPLATE_KINDS || t->text.len > 3 * size + 3 * TEMPLATES_MOST ||
		    (t->text.len > 0 && !utf8_valid(t->text)))
			__builtin_trap();
	}
	buffer_free(&errors);
	arena_close(&a);
	return 0;
}
