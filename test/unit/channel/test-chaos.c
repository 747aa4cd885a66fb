#include "unit.h"

#include "channel/kit.h"
#include "channel/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct kit kit;

/* Everything at any moment, and every byte in its place. */

enum { PAIRS = 60, CHAOS_BYTES = 400000, PERIOD = 251 };

struct chaos {
	struct stream *stream;
	uint64_t       heard, said;
	bool           finished, closed, wrong;
};

static struct chaos chaos[2 * PAIRS];
static uint32_t     dice_state = 1;
static int          chaos_file;

static uint32_t
dice(uint32_t sides)
{
	dice_state = dice_state * 1664525 + 1013904223;
	return (dice_state >> 8) % sides;
}

static void
chaos_say(struct chaos *c)
{
	uint64_t       left = CHAOS_BYTES - c->said, n = dice(4) == 0 ? dice(90000) : dice(700);
	struct buffer *out;

	if (n > left)
		n = left;
	if (dice(3) == 0) {
		stream_say_file(c->stream, chaos_file, (off_t)(c->said % PERIOD), n);
		c->said += n;
		return;
	}
	out = stream_out(c->stream);
	for (; n > 0; n--)
		buffer_add_char(out, (char)(c->said++ % PERIOD));
}

static void
chaos_hear(struct chaos *c)
{
	struct bytes b = stream_peek(c->stream);
	size_t       n = dice(3) == 0 ? dice((uint32_t)b.len + 1) : b.len;

	for (size_t i = 0; i < n; i++)
		c->wrong |= (uint8_t)b.at[i] != (c->heard + i) % PERIOD;
	c->heard += n;
	stream_eat(c->stream, n);
}

/* Whatever an owner may do; also from within callbacks. */
static void
chaos_act(struct chaos *c)
{
	if (c->stream == NULL)
		return;
	switch (dice(9)) {
	case 0: stream_pause(c->stream); break;
	case 1: stream_resume(c->stream); break;
	case 2: stream_flush(c->stream); break;
	case 3: chaos_hear(c); break;
	case 4: stream_most_unread(c->stream, 1000 + dice(100000)); break;
	case 5: stream_patience(c->stream, dice(20)); break;
	default:
		if (stream_pending(c->stream) < 100000)
			chaos_say(c);
	}
	if (c->said == CHAOS_BYTES && c->heard == CHAOS_BYTES && dice(4) == 0) {
		c->finished = true;
		stream_finish(&c->stream);
	}
}

static void
chaos_arrived(void *ctx)
{
	struct chaos *c = ctx;

	chaos_hear(c);
	chaos_act(c);
}

static void
chaos_event(void *ctx)
{
	chaos_act(ctx);
}

static void
chaos_closed(void *ctx, const char *why)
{
	struct chaos *c = ctx;

	c->closed = true;
	c->wrong |= strcmp(why, "end of file") != 0;
	while (stream_peek(c->stream).len > 0)
		chaos_hear(c);
	stream_close(&c->stream);
}

static void
chaos_rest(void *ctx)
{
	bool left = false;

	(void)ctx;
	for (int i = 0; i < 2 * PAIRS; i++) {
		chaos_act(&chaos[i]);
		if (chaos[i].stream != NULL && dice(3) == 0)
			stream_resume(chaos[i].stream);
		left |= chaos[i].stream != NULL;
	}
	loop_again(kit.loop);
	if (!left)
		kit_done(&kit);
}

static void
test_chaos_loses_no_byte(void **state)
{
	static const struct stream_events chaotic = { .arrived = chaos_arrived,
		                                      .drained = chaos_event,
		                                      .silent = chaos_event,
		                                      .closed = chaos_closed };
	char                              name[] = "/tmp/mansio-unit-XXXXXX";
	struct buffer                     pattern = { 0 };
	int                               fd[2];

	(void)state;
	chaos_file = mkstemp(name);
	unlink(name);
	for (int i = 0; i < 100000 + PERIOD; i++)
		buffer_add_char(&pattern, (char)(i % PERIOD));
	assert_int_equal(write(chaos_file, pattern.at, pattern.len), pattern.len);
	buffer_free(&pattern);
	kit_open(&kit);
	for (int i = 0; i < 2 * PAIRS; i += 2) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		                            fd),
		                 0);
		for (int k = 0; k < 2; k++) {
			chaos[i + k] = (struct chaos){ 0 };
			chaos[i + k].stream = stream_open(kit.loop, fd[k], &chaotic, &chaos[i + k]);
		}
	}
	loop_at_rest(kit.loop, chaos_rest, NULL);
	HOLDS("all come to their end", kit_run(&kit, 40000));
	for (int i = 0; i < 2 * PAIRS; i++) {
		HOLDS("each byte in its place", !chaos[i].wrong);
		HOLDS("all of them", chaos[i].heard == CHAOS_BYTES && chaos[i].said == CHAOS_BYTES);
	}
	close(chaos_file);
	kit_close(&kit);
}

UNIT(test_chaos_loses_no_byte)
