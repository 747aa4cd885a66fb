#include "smtp/receiver/connection.h"

#include "base/clock.h"
#include "channel/stream.h"

enum { ONE_SIDED_MS = 2000 }; /* how long who has stopped sending may wait for an answer */

struct connection {
	struct connection *next, **at; /* of all                              */
	struct connection *next_over;  /* of those to be closed at rest        */
	struct loop       *loop;
	struct stream     *stream;
	struct session    *session;
	struct timer      *timer; /* for session_rested(), made when needed */
	bool               over;  /* closed at rest                      */
	bool               end;   /* the client sends no more            */
	int64_t            end_at;
	bool               feeding, again;
	bool               secure; /* STARTTLS was eaten last: the handshake is next */
};
static struct connection *all, *over;
static size_t             count;

static void
end_connection(struct connection *c)
{
	if (c->over)
		return;
	c->over = true;
	c->next_over = over;
	over = c;
	loop_again(c->loop);
}

/* Give the session what has arrived, until it wants no more for now. */
static void
feed(struct connection *c)
{
	if (c->feeding || c->session == NULL) {
		c->again = true;
		return;
	}
	c->feeding = true;
	do {
		struct bytes there = stream_peek(c->stream);
		size_t       used;

		c->again = false;
		if (there.len == 0 || c->over)
			break;
		used = session_take(c->session, there);
		if (used > 0)
			stream_eat(c->stream, used);
		if (c->secure) {
			c->secure = false;
			stream_secure(c->stream, session_config(c->session)->tls);
		}
	} while (c->again);
	c->feeding = false;
	if (c->end && !c->over && !session_waits(c->session)) {
		session_lost(c->session, "end of file");
		end_connection(c);
	}
}

/*
 * What the session wants
 */

static struct buffer *
mouth_out(void *mouth)
{
	struct connection *c = mouth;

	return stream_out(c->stream);
}

static void
mouth_resume(void *mouth)
{
	feed(mouth);
}

static void
mouth_secure(void *mouth)
{
	struct connection *c = mouth;

	if (c->feeding) /* the command is not eaten yet */
		c->secure = true;
	else if (c->session != NULL) /* else connection_open() does it */
		stream_secure(c->stream, session_config(c->session)->tls);
}

static void
mouth_finish(void *mouth)
{
	end_connection(mouth);
}

static void
rested(void *ctx)
{
	struct connection *c = ctx;

	if (!c->over)
		session_rested(c->session);
}

static void
mouth_rest(void *mouth, int64_t ms)
{
	struct connection *c = mouth;

	if (c->timer == NULL)
		c->timer = timer_open(c->loop, rested, c);
	timer_set(c->timer, ms);
}

static bool
mouth_tls(void *mouth, struct tls_facts *facts)
{
	struct connection *c = mouth;

	return stream_tls_facts(c->stream, facts);
}

static void
mouth_channel(void *mouth, struct buffer *out)
{
	struct connection *c = mouth;

	stream_tls_channel(c->stream, out);
}

/* clang-format off */
static const struct session_mouth mouth = {
	.out    = mouth_out,
	.resume = mouth_resume,
	.secure = mouth_secure,
	.finish = mouth_finish,
	.rest   = mouth_rest,
	.tls    = mouth_tls,
	.channel = mouth_channel,
};
/* clang-format on */

/*
 * What the stream tells
 */

static void
arrived(void *ctx)
{
	feed(ctx);
}

static void
secured(void *ctx, bool ok, const char *why)
{
	struct connection *c = ctx;

	if (!c->over)
		session_secured(c->session, ok, why);
}

static void
closed(void *ctx, const char *why)
{
	struct connection *c = ctx;
	bool               half = bytes_is(bytes_of(why), "end of file");

	if (c->over)
		return;
	c->end = true;
	c->end_at = clock_patient_ms();
	if (half) {
		feed(c);
		return;
	}
	session_lost(c->session, why);
	end_connection(c);
}

/* clang-format off */
static const struct stream_events events = {
	.arrived = arrived,
	.secured = secured,
	.closed  = closed,
};
/* clang-format on */

/*
 * Life
 */

struct session *
connection_open(struct loop *loop, int fd, struct receiver_config *config, const struct peer *peer,
                const struct receiver_needs *needs, void *house)
{
	struct connection *c = memory_take(sizeof *c);

	c->loop = loop;
	c->stream = stream_open(loop, fd, &events, c);
	c->next = all;
	c->at = &all;
	if (all != NULL)
		all->at = &c->next;
	all = c;
	count++;
	c->session = session_open(config, peer, needs, house, &mouth, c);
	if (config->set.tls_wrappermode)
		mouth_secure(c);
	return c->session;
}

struct stream *
connection_stream(struct session *s)
{
	for (struct connection *c = all; c != NULL; c = c->next)
		if (c->session == s)
			return c->stream;
	return NULL;
}

static void
close_connection(struct connection *c)
{
	session_close(&c->session);
	if (c->end && stream_pending(c->stream) == 0)
		stream_close(&c->stream);
	else
		stream_finish(&c->stream);
	timer_close(&c->timer);
	*c->at = c->next;
	if (c->next != NULL)
		c->next->at = c->at;
	count--;
	memory_free(c);
}

void
connections_rest(void)
{
	while (over != NULL) {
		struct connection *c = over;

		over = c->next_over;
		close_connection(c);
	}
}

/*
 * Who has sent the end of file may still read (a session from a shell's pipe), or has gone: nothing tells the one from
 * the other.  When all it sent was heard and an answer is still being waited for, it keeps its place a moment longer.
 */
static bool
has_left(const struct connection *c, int64_t now)
{
	return c->end && now - c->end_at >= ONE_SIDED_MS && stream_peek(c->stream).len == 0 &&
	       session_waits(c->session);
}

void
connections_tick(void)
{
	int64_t            now = clock_patient_ms();
	struct connection *next;

	for (struct connection *c = all; c != NULL; c = next) {
		next = c->next;
		if (!c->over && has_left(c, now)) {
			session_lost(c->session, "end of file");
			end_connection(c);
		} else if (!c->over)
			session_tick(c->session, now);
	}
}

void
connections_room(void)
{
	for (struct connection *c = all; c != NULL; c = c->next)
		if (!c->over)
			session_ask_room(c->session);
}

void
connections_each(void (*fn)(void *ctx, struct session *), void *ctx)
{
	for (struct connection *c = all; c != NULL; c = c->next)
		if (!c->over)
			fn(ctx, c->session);
}

void
connections_leave(void)
{
	for (struct connection *c = all; c != NULL; c = c->next)
		if (!c->over)
			session_leave(c->session);
}

size_t
connections_count(void)
{
	return count;
}
