/*
 * A client's session, whatever the server answers.  The first byte chooses how it talks and how the rest is cut into
 * pieces; what is said and what becomes of the recipients must be the same as for the whole at once, every recipient
 * has one fate, and nothing is said of them after that.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "smtp/sender/outgoing.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const char letter[] = "Subject: x\r\n\r\n.dots\r\nand\rbare\nends\r\n.\r\nlast";

struct mouth {
	struct outgoing            *session;
	struct buffer               said, told;
	bool                        shake, over, asked;
	struct outgoing_transaction t;
	struct outgoing_recipient   rcpt[3];
	unsigned                    fates[3], rounds;
};

static struct buffer *
out(void *ctx)
{
	return &((struct mouth *)ctx)->said;
}

static size_t
pending(void *ctx)
{
	(void)ctx;
	return 0;
}

static size_t
content(void *ctx, uint64_t at, char *to, size_t room)
{
	struct bytes piece =
		bytes_cut((struct bytes){ letter, sizeof letter - 1 }, (size_t)at, room);
	(void)ctx;

	memcpy(to, piece.at, piece.len);
	return piece.len;
}

static void
secure(void *ctx)
{
	((struct mouth *)ctx)->shake = true;
}

static void
wait(void *ctx, enum outgoing_wait what)
{
	(void)ctx, (void)what;
}

/* Several transactions, one after another. */
static void
ready(void *ctx)
{
	struct mouth *m = ctx;

	if (++m->rounds > 3)
		return;
	memset(m->fates, 0, sizeof m->fates);
	for (size_t i = 0; i < COUNT(m->rcpt); i++)
		m->rcpt[i] = (struct outgoing_recipient){ .address = BYTES("b@example.org"),
			                                  .orcpt = BYTES("rfc822;b@example.org"),
			                                  .notify = 2 };
	m->t = (struct outgoing_transaction){ .sender = BYTES("a@example.com"),
		                              .envid = BYTES("e"),
		                              .ret = 'F',
		                              .size = sizeof letter - 1,
		                              .probe = m->rounds == 2,
		                              .origin = { .name = BYTES("x+y.example"),
		                                          .address = BYTES("2001:db8::1") },
		                              .rcpt = m->rcpt,
		                              .rcpts = COUNT(m->rcpt) };
	outgoing_send(m->session, &m->t);
}

static void
failed(void *ctx, enum outgoing_fate f, const char *status, const char *words)
{
	struct mouth *m = ctx;

	m->over = true;
	buffer_printf(&m->told, "failed %d %s %s\n", f, status, words);
}

static void
fate(void *ctx, uint32_t rcpt, enum outgoing_fate f, const char *status, const char *words)
{
	struct mouth *m = ctx;

	if (rcpt >= COUNT(m->fates) || f == FATE_NONE || ++m->fates[rcpt] > 1)
		abort();
	buffer_printf(&m->told, "%u %d %s %s\n", rcpt, f, status, words);
}

static void
done(void *ctx, bool good)
{
	struct mouth *m = ctx;

	for (size_t i = 0; i < COUNT(m->fates); i++)
		if (m->fates[i] != 1)
			abort();
	buffer_add_string(&m->told, good ? "done\n" : "bad\n");
}

static void
over(void *ctx)
{
	((struct mouth *)ctx)->over = true;
}

static bool
binding(void *ctx, const char *type, struct buffer *b)
{
	(void)ctx;
	buffer_add_string(b, type);
	return true;
}

/* One line in three is another; some are waited for, some cannot be told. */
static enum response_filtered
filter(void *ctx, struct bytes line, struct buffer *instead)
{
	struct mouth *m = ctx;

	if (line.len % 5 == 0 && (m->asked = !m->asked))
		return FILTERED_WAIT;
	if (line.len % 7 == 0)
		return FILTERED_LATER;
	if (line.len % 3 == 0)
		buffer_add_string(instead,
		                  line.len % 2 == 0 ? "250-XFORWARD NAME" : "450 4.7.1 no");
	return instead->len > 0 ? FILTERED : FILTERED_NOT;
}

static const struct outgoing_needs needs = { out,   pending, content, secure, binding, wait,
	                                     ready, failed,  fate,    done,   over,    filter };

static void
run(struct mouth *m, unsigned how, struct bytes server, size_t piece)
{
	struct buffer          unread = { 0 };
	struct outgoing_config c = { .host = "mx.example[192.0.2.1]",
		                     .hello = "us.example",
		                     .lmtp = (how & 1) != 0,
		                     .always_ehlo = (how & 16) == 0,
		                     .verify_data = (how & 32) != 0,
		                     .tls = (how & 2) != 0 ? OUTGOING_MAY : OUTGOING_CLEAR,
		                     .auth = true,
		                     .user = (how & 4) != 0 ? "tim" : NULL,
		                     .password = "secret",
		                     .nonce = "n",
		                     .xforward = (how & 64) != 0,
		                     .filters = (how & 128) != 0,
		                     .line_most = (how & 8) != 0 ? 10 : 998 };

	*m = (struct mouth){ .over = false };
	m->session = outgoing_open(&c, &needs, m);
	while (server.len > 0 && !m->over) {
		buffer_add(&unread, bytes_cut(server, 0, piece));
		server = bytes_cut(server, piece, SIZE_MAX);
		do {
			m->shake = false;
			buffer_eat(&unread, outgoing_take(m->session, buffer_bytes(&unread)));
			if (m->shake)
				outgoing_secured(m->session, true, "");
		} while (m->shake || m->asked);
	}
	outgoing_lost(m->session, "end of file", false);
	buffer_free(&unread);
}

static void
end(struct mouth *m)
{
	outgoing_close(&m->session);
	buffer_free(&m->said);
	buffer_free(&m->told);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes server = { (const char *)data + 1, size - 1 };
	struct mouth whole, cut;

	if (size < 2)
		return 0;
	run(&whole, data[0], server, SIZE_MAX);
	run(&cut, data[0], server, 1 + data[0] / 16);
	if (!bytes_equal(buffer_bytes(&whole.told), buffer_bytes(&cut.told)) ||
	    !bytes_equal(buffer_bytes(&whole.said), buffer_bytes(&cut.said)))
		abort();
	end(&whole);
	end(&cut);
	return 0;
}
