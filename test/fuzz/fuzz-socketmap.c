/* Replies of programs that keep tables: bounded, and the same when they come in pieces. */
#include <stdlib.h>

#include "directory/socketmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void
try_one(enum socketmap_reply (*read_reply)(struct bytes, struct buffer *), struct bytes in)
{
	struct buffer        value = { 0 }, again = { 0 };
	enum socketmap_reply is = read_reply(in, &value), before;

	if (value.len > in.len)
		abort();
	/* What is whole was short, or empty, before its last byte came. */
	if (is == SOCKETMAP_OK) {
		before = read_reply(bytes_cut(in, 0, in.len - 1), &again);
		if (before != SOCKETMAP_SHORT)
			abort();
	}
	buffer_free(&value);
	buffer_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes in = { (const char *)at, len };

	try_one(socketmap_reply_read, in);
	try_one(tcp_reply_read, in);
	return 0;
}
