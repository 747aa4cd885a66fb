#include "base/journal.h"
#include "channel/stream_inner.h"
#include "channel/tls_inner.h"

void
stream_begin_shaking(struct stream *s)
{
	s->stage = STAGE_SHAKING;
	socket_secure(&s->socket);
	s->blocked = s->socket.wish != NULL; /* a client speaks first */
	stream_rewatch(s);
}

void
stream_secure(struct stream *s, struct tls *tls)
{
	INSIDE(s->stage == STAGE_CLEAR && s->join == NULL);
	stream_drop_unread(s);
	s->resumed = false;
	socket_promise(&s->socket, tls);
	s->clear_left = stream_pending(s);
	s->stage = STAGE_ANSWERING;
	stream_begin_waiting(s);
	stream_dirty(s);
}

void
stream_secure_to(struct stream *s, struct tls *tls, const struct tls_demand *wish)
{
	s->socket.wish = wish;
	stream_secure(s, tls);
}

void
stream_not_secured(struct stream *s)
{
	struct streams *all = streams_of(s->loop);

	s->stage = STAGE_SECURE;
	stream_break(s);
	if (s->events->secured != NULL) {
		socket_why(&s->socket, all->why, sizeof all->why);
		s->events->secured(s->ctx, false, all->why);
	}
}

void
stream_shake(struct stream *s)
{
	enum socket_outcome o = socket_shake(&s->socket);

	s->blocked = o == SOCKET_WRITE_LATER;
	switch (o) {
	case SOCKET_READ_LATER:
	case SOCKET_WRITE_LATER: stream_rewatch(s); return;
	case SOCKET_MOVED:
		s->stage = STAGE_SECURE;
		stream_begin_waiting(s);
		if (stream_pending(s) > 0)
			stream_dirty(s);
		if (s->events->secured != NULL)
			s->events->secured(s->ctx, true, "");
		if (!s->dead) {
			stream_read_on(s);
			stream_rewatch(s);
		}
		return;
	default: stream_not_secured(s);
	}
}

bool
stream_tls_facts(const struct stream *s, struct tls_facts *out)
{
	if (s->socket.ssl == NULL || s->stage != STAGE_SECURE || s->broken)
		return false;
	tls_describe(s->socket.ssl, out);
	return true;
}

bool
stream_tls_is_for(const struct stream *s, const char *name)
{
	return s->socket.ssl != NULL && s->stage == STAGE_SECURE && !s->broken &&
	       tls_is_for(s->socket.ssl, name);
}

bool
stream_tls_binding(const struct stream *s, const char *type, struct buffer *out)
{
	return s->socket.ssl != NULL && s->stage == STAGE_SECURE && !s->broken &&
	       tls_binding(s->socket.ssl, type, out);
}

void
stream_tls_channel(const struct stream *s, struct buffer *out)
{
	if (s->socket.ssl != NULL && s->stage == STAGE_SECURE && !s->broken)
		tls_channel(s->socket.ssl, out);
}
