/* What a server might say to a command: no answer hangs it, no value is larger than what came. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "command/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void
read_all(void *ctx, struct client *c, const struct client_answer *a)
{
	struct client_value v;
	struct buffer text = { 0 };
	size_t *most = ctx;

	(void)a;
	do {
		client_next(c, &v);
		buffer_reset(&text);
		if (v.kind == VALUE_STRING || v.kind == VALUE_LITERAL || v.kind == VALUE_ATOM)
			client_gather(c, &v, &text, *most);
		if (text.len > *most)
			abort();
	} while (v.kind != VALUE_END);
	buffer_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct client *c;
	int pair[2];

	if (len > 60000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	if (write(pair[1], at, len) != (ssize_t)len)
		abort();
	(void)shutdown(pair[1], SHUT_WR);
	c = client_over(pair[0]);
	for (int i = 0; i < 100 && client_say(c, read_all, &len, "NOOP") != CLIENT_LOST; i++)
		continue;
	client_close(&c);
	(void)close(pair[1]);
	return 0;
}
