/* A pipe's setting and an address, of anybody's making: every word of the command ends, and none is empty of its program. */
#include <stdlib.h>

#include "delivery/pipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct arena         *a = arena_open(NULL);
	struct bytes          all = { (const char *)at, len }, setting = { NULL, 0 };
	struct pipe_command   c;
	struct pipe_recipient to[2];
	struct pipe_facts     f = { .nexthop = BYTES("Next.Hop"), .delimiters = "+", .recipient = to, .recipients = 2 };
	struct buffer         words = { 0 }, head = { 0 };
	const char           *why;

	(void)bytes_split(&all, '\n', &setting);
	to[0] = (struct pipe_recipient){ all, setting };
	to[1] = (struct pipe_recipient){ BYTES("\"o d\"@Example.COM"), all };
	f.sender = all;
	if (pipe_read(setting, a, &c, &why)) {
		if (pipe_words(&c, &f, a, &words, &why) && (words.len == 0 || words.at[0] == '\0' || words.at[words.len - 1] != '\0'))
			abort();
		pipe_head(&c, &f, &head);
	} else if (why == NULL) {
		abort();
	}
	buffer_free(&words);
	buffer_free(&head);
	arena_close(&a);
	return 0;
}
