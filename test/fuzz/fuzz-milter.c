/* What a filter answers, whatever it is, in a session with a letter: the edits that come of it fit the letter, and the
   letter is still a header and a body. */
#include <stdlib.h>

#include "policy/milter-chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static const char         letter[] = "Received: x\r\nSubject: old\r\nX-A: 1\r\n\r\nHello.\r\n";
static const struct bytes content = { letter, sizeof letter - 1 };
static struct milter_line *line;
static struct buffer       out, body;
static struct bytes        rest;
static bool                connecting;

static void *
begin(void *house, struct milter_line *l)
{
	(void)house;
	line = l;
	connecting = true;
	return &out;
}
static struct buffer *
gather(void *mouth)
{
	return mouth;
}
static size_t
pending(void *mouth)
{
	(void)mouth;
	return 0;
}
static void
patience(void *mouth, int64_t ms)
{
	(void)mouth;
	(void)ms;
}
static void
hang_up(void *mouth)
{
	(void)mouth;
	line = NULL;
}
static int64_t
read_some(void *source, uint64_t from, char *to, size_t room)
{
	struct bytes part = bytes_cut(source == &body ? buffer_bytes(&body) : content, (size_t)from, room);

	for (size_t i = 0; i < part.len; i++)
		to[i] = part.at[i];
	return (int64_t)part.len;
}
static void *
source_open(void *house)
{
	(void)house;
	buffer_reset(&body);
	return &body;
}
static bool
source_add(void *source, struct bytes more)
{
	buffer_add(source, more);
	return true;
}
static void
source_close(void **source)
{
	*source = NULL;
}
static const struct milter_needs needs = { begin,     gather,      pending,    patience,    hang_up,
	                                   read_some, source_open, source_add, source_close };

static void
said(void *ctx, const struct milter_said *s)
{
	(void)ctx;
	if (s->reply != NULL && s->reply[0] != '4' && s->reply[0] != '5')
		abort();
}

static void
made(void *ctx, const struct milter_made *m)
{
	struct buffer whole = { 0 };
	ptrdiff_t     end;

	said(ctx, &m->said);
	if (!edits_fit(&m->edits, content.len, m->body != NULL ? body.len : 0))
		abort();
	edits_apply(&m->edits, content, m->body != NULL ? buffer_bytes(&body) : BYTES(""), &whole);
	end = bytes_starts(buffer_bytes(&whole), BYTES("\r\n"))
	              ? 0
	              : bytes_search(buffer_bytes(&whole), BYTES("\r\n\r\n"));
	if (end < 0 || (m->front.len > 0 && !bytes_ends_nocase(m->front, BYTES("\r\n"))) ||
	    bytes_search(m->front, BYTES("\r\n\r\n")) >= 0)
		abort();
	buffer_free(&whole);
}

static void
answer(void)
{
	while (line != NULL) {
		struct milter_line *l = line;
		size_t              used = 0;

		if (connecting) {
			connecting = false;
			milter_line_connected(l);
			continue;
		}
		if (!l->waits)
			return;
		used = milter_line_heard(l, rest);
		rest = bytes_cut(rest, used, rest.len);
		if (used == 0 && line == l) {
			line = NULL;
			milter_line_lost(l, "end of file");
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	static const char *const    name = "inet:127.0.0.1:1";
	struct milter_settings      s = { .protocol = { (const char *const[]){ "6" }, 1 }, .default_action = DEFAULT_ACCEPT,
		                          .macro_daemon = "d", .macro_v = "v" };
	const struct setting_list   list = { &name, 1 };
	struct buffer               errors = { 0 };
	struct milter_set          *set = milter_set_open(&s, &list, &errors);
	struct milter_chain        *c = milter_chain_open(set, &needs, NULL, said, made, NULL);
	const struct bytes          argument[2] = { BYTES("client"), BYTES("192.0.2.1") };
	static const enum milter_stage stages[] = { STAGE_CONNECT, STAGE_HELO, STAGE_UNKNOWN, STAGE_MAIL, STAGE_RCPT, STAGE_DATA };

	rest = (struct bytes){ (const char *)at, len };
	line = NULL;
	connecting = false;
	for (size_t i = 0; i < COUNT(stages) && !milter_chain_busy(c); i++) {
		milter_chain_event(c, &(struct milter_event){ .stage = stages[i], .argument = argument, .arguments = 2, .family = '4' });
		answer();
	}
	if (!milter_chain_busy(c))
		milter_chain_content(c, &(struct milter_content){ .source = &rest, .len = content.len, .most = 100000 });
	answer();
	if (milter_chain_busy(c))
		abort();
	milter_chain_abort(c);
	milter_chain_close(&c);
	milter_set_drop(&set);
	buffer_free(&out);
	buffer_free(&errors);
	return 0;
}
