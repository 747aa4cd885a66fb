/* A .forward file of anybody's making: every target is one of its kinds, not empty, and has no NUL. */
#include <stdlib.h>

#include "base/arena.h"
#include "delivery/forward.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct arena         *a = arena_open(NULL);
	struct bytes          text = { (const char *)at, len };
	struct forward_facts  facts = { BYTES("/home/jack"), BYTES("jack"), BYTES("jack"), BYTES("example.com"), text };
	struct forward_target target[FORWARD_TARGETS_MOST];
	struct buffer         path = { 0 };
	bool                  wrong;
	size_t                n = forward_read(text, a, target, &wrong);

	for (size_t i = 0; i < n; i++)
		if (target[i].text.len == 0 || target[i].kind > FORWARD_INCLUDE || bytes_find(target[i].text, '\0') >= 0)
			abort();
	if (forward_path(BYTES("$home/.forward+$extension"), &facts, &path) && bytes_find_last(buffer_bytes(&path), '/') != 10)
		abort();
	buffer_free(&path);
	(void)forward_path(text, &facts, &path);
	buffer_free(&path);
	arena_close(&a);
	return 0;
}
