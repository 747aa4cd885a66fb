/* mbox and letters: what is passed is as long as was said, in lines that end with CRLF. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "command/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void
add(void *ctx, struct bytes piece)
{
	buffer_add(ctx, piece);
}

static bool
each(void *ctx, struct letter_source *s)
{
	size_t *len = ctx;
	struct buffer whole = { 0 };

	if (!letter_pass(s, add, &whole) || whole.len != s->size || s->end < s->at || s->end > *len)
		abort();
	for (size_t i = 0; i < whole.len; i++)
		if (whole.at[i] == '\n' && (i == 0 || whole.at[i - 1] != '\r'))
			abort();
	buffer_free(&whole);
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	char path[64];
	int fd = memfd_create("source", MFD_CLOEXEC);

	if (fd < 0 || write(fd, at, len) != (ssize_t)len)
		abort();
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (!source_each(path, each, &len))
		abort();
	(void)close(fd);
	return 0;
}
