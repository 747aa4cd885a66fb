/*
 * owner -- a stream whose owner writes down what happens, and the peer at its other end
 *
 * begin() and begin_tcp() give the peer, end() puts all away; turn() is one turn of the loop.
 */
#ifndef UNIT_CHANNEL_OWNER_H
#define UNIT_CHANNEL_OWNER_H

#include "unit.h"

#include "channel/kit.h"
#include "channel/stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct kit kit;

/* An owner that writes down what happens: A arrived, D drained, T silent, C closed. */
struct owner {
	struct stream *stream;
	struct buffer  got;
	char           what[64], why[64];
	bool           leave_it, pause_it, close_it, finish_it;
	uint64_t       until;          /* bytes; then the run is over */
	const char    *answer;
};

static struct owner o;

static inline void
happened(struct owner *w, char c)
{
	size_t n = strlen(w->what);

	if (n + 1 < sizeof w->what && (n == 0 || w->what[n - 1] != c))
		w->what[n] = c;
}

static inline void
on_arrived(void *ctx)
{
	struct owner *w = ctx;
	struct bytes b = stream_peek(w->stream);

	happened(w, 'A');
	if (!w->leave_it) {
		buffer_add(&w->got, b);
		stream_eat(w->stream, b.len);
	}
	if (w->answer != NULL)
		stream_say_string(w->stream, w->answer);
	if (w->pause_it)
		stream_pause(w->stream);
	if (w->close_it)
		stream_close(&w->stream);
	else if (w->finish_it)
		stream_finish(&w->stream);
	if (w->got.len >= w->until)
		kit_done(&kit);
}

static inline void on_drained(void *ctx) { happened(ctx, 'D'); kit_done(&kit); }
static inline void on_silent(void *ctx)  { happened(ctx, 'T'); kit_done(&kit); }

static inline void
on_closed(void *ctx, const char *why)
{
	struct owner *w = ctx;

	happened(w, 'C');
	snprintf(w->why, sizeof w->why, "%s", why);
	kit_done(&kit);
}

static const struct stream_events events = {
	.arrived = on_arrived, .drained = on_drained, .silent = on_silent, .closed = on_closed
};

/* The peer is a bare descriptor, which does not block either. */
static inline int
begin(void)
{
	int fd[2];

	kit_open(&kit);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	o = (struct owner){ .until = 1 };
	o.stream = stream_open(kit.loop, fd[0], &events, &o);
	return fd[1];
}

/* A TCP peer, for what unix sockets do not do. */
static inline int
begin_tcp(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;
	int door = socket(AF_INET, SOCK_STREAM, 0), peer = socket(AF_INET, SOCK_STREAM, 0), fd;

	kit_open(&kit);
	assert_int_equal(bind(door, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(door, 1), 0);
	assert_int_equal(getsockname(door, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(connect(peer, (struct sockaddr *)&at, len), 0);
	fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(door);
	o = (struct owner){ .until = 1 };
	o.stream = stream_open(kit.loop, fd, &events, &o);
	return peer;
}

static inline void
end(int peer)
{
	if (peer >= 0)
		close(peer);
	stream_close(&o.stream);
	stream_close(&o.stream);
	buffer_free(&o.got);
	kit_close(&kit);
}

/* One turn, and whatever comes of it. */
static inline void
turn(void)
{
	(void)kit_run(&kit, 2);
}

static inline void
put(int fd, struct bytes what)
{
	assert_int_equal(send(fd, what.at, what.len, MSG_NOSIGNAL), what.len);
}

static inline struct bytes
take(int fd)
{
	static char at[1 << 16];
	ssize_t n = recv(fd, at, sizeof at, MSG_DONTWAIT);

	return (struct bytes){ at, n < 0 ? 0 : (size_t)n };
}

#endif
