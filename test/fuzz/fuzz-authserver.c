/*
 * What a program says at the auth socket.  The first byte chooses the pieces; the house answers at once:
 * a request with an initial response is right, others are asked once more.
 */
#include <stdlib.h>

#include "access/auth/authserver.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct fake {
	struct authserver *server;
	struct buffer      out;
	int                open;
};

static struct buffer *
fake_out(void *ctx)
{
	return &((struct fake *)ctx)->out;
}

static void
fake_start(void *ctx, struct authserver *s, const struct authserver_request *q)
{
	struct fake *f = ctx;

	f->open++;
	if (q->service[0] == '\0' || q->mechanism.len == 0)
		abort();
	if (!q->has_initial) {
		authserver_more(s, q->id, BYTES("who?"));
		return;
	}
	f->open--;
	authserver_done(s, q->id, AUTHSERVER_OK, "eva\t@example.com", q->initial);
}

static void
fake_step(void *ctx, struct authserver *s, uint32_t id, struct bytes data)
{
	struct fake *f = ctx;

	f->open--;
	authserver_done(s, id, data.len > 3 ? AUTHSERVER_OK : AUTHSERVER_WRONG, "eva", data);
}

static void
fake_drop(void *ctx, struct authserver *s, uint32_t id)
{
	(void)s;
	(void)id;
	((struct fake *)ctx)->open--;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct authserver_needs needs = { fake_out, fake_start, fake_step, fake_drop };
	static const char *const             names[] = { "PLAIN", "LOGIN", "SCRAM-SHA-256" };
	struct fake                          f = { .open = 0 };
	struct buffer                        in = { 0 };
	size_t                               step, used;

	if (size < 2)
		return 0;
	step = 1 + data[0] + size / 64;
	f.server = authserver_open(&(struct setting_list){ names, COUNT(names) }, 1, 1, &needs, &f);
	for (size_t at = 1; at < size; at += step) {
		buffer_add(&in, bytes_cut((struct bytes){ (const char *)data, size }, at, step));
		if (!authserver_take(f.server, buffer_bytes(&in), &used))
			break;
		buffer_eat(&in, used);
		if (in.len > AUTHSERVER_LINE)
			abort();
	}
	authserver_close(&f.server);
	if (f.open > 0)
		abort();
	buffer_free(&in);
	buffer_free(&f.out);
	return 0;
}
