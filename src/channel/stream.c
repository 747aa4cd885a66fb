#include "base/arena.h"
#include "base/journal.h"
#include "channel/stream_inner.h"
#include "channel/tls_inner.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	UNREAD_MOST = 64 << 10,
	PRESS_TURN = 128 << 10, /* and in one turn: some milliseconds        */
	MOVE_MOST = 4 << 10,    /* unread bytes that are moved before new ones */
	RECORD = 16 << 10,      /* of TLS                                   */
	SENDING_MS = 30000,     /* a stream that leaves may stand still so long */
	LINGER_MS = 2000,
};

static const struct stream_events nobody = { 0 };

static void due(void *ctx);
static void ready(void *ctx, int bits);
static void work(void *ctx);

/* ---- the streams of a loop ---- */

static void flush_all(void *thing);
static void streams_end(void *thing);

struct streams *
streams_of(struct loop *l)
{
	struct streams *all = loop_shelf(l, LOOP_STREAMS);

	if (all == NULL) {
		all = memory_take(sizeof *all);
		loop_shelve(l, LOOP_STREAMS, all, flush_all, streams_end);
	}
	return all;
}

static void
be_clean(struct stream *s)
{
	if (s->dirty_before == NULL)
		return;
	*s->dirty_before = s->dirty_next;
	if (s->dirty_next != NULL)
		s->dirty_next->dirty_before = s->dirty_before;
	s->dirty_before = NULL;
}

void
stream_dirty(struct stream *s)
{
	struct streams *all = streams_of(s->loop);

	if (s->dirty_before != NULL)
		return;
	s->dirty_next = all->dirty;
	s->dirty_before = &all->dirty;
	if (s->dirty_next != NULL)
		s->dirty_next->dirty_before = &s->dirty_next;
	all->dirty = s;
}

static void
flush_all(void *thing)
{
	struct streams *all = thing;
	struct stream  *s;

	while ((s = all->dirty) != NULL) {
		be_clean(s);
		stream_push(s);
	}
}

static void
be_leaving(struct stream *s)
{
	struct streams *all = streams_of(s->loop);

	s->leaving = true;
	s->leaving_next = all->leaving;
	s->leaving_before = &all->leaving;
	if (s->leaving_next != NULL)
		s->leaving_next->leaving_before = &s->leaving_next;
	all->leaving = s;
	all->leaving_count++;
}

static void
leave_list(struct stream *s)
{
	if (s->leaving_before == NULL)
		return;
	*s->leaving_before = s->leaving_next;
	if (s->leaving_next != NULL)
		s->leaving_next->leaving_before = s->leaving_before;
	s->leaving_before = NULL;
	streams_of(s->loop)->leaving_count--;
}

size_t
stream_leaving(const struct loop *l)
{
	const struct streams *all = loop_shelf(l, LOOP_STREAMS);

	return all != NULL ? all->leaving_count : 0;
}

/* ---- birth and death ---- */

struct stream *
stream_open(struct loop *loop, int fd, const struct stream_events *events, void *ctx)
{
	struct stream *s = memory_take(sizeof *s);

	(void)streams_of(loop);
	s->loop = loop;
	s->events = events;
	s->ctx = ctx;
	s->socket.fd = fd;
	s->most = UNREAD_MOST;
	s->files_end = &s->files;
	s->errand = (struct errand){ .go = work, .ctx = s };
	s->watch = watch_open(loop, fd, ready, s);
	stream_rewatch(s);
	return s;
}

void
stream_drop_unread(struct stream *s)
{
	buffer_free(&s->kept);
	s->view = (struct bytes){ 0 };
	s->borrowed = false;
}

void
stream_overhear(struct stream *s, struct stream_ear ear)
{
	struct stream_ear before = s->ear;

	s->ear = ear;
	if (before.gone != NULL)
		before.gone(before.own);
}

bool
stream_is_overheard(const struct stream *s)
{
	return s->ear.heard != NULL;
}

/* Everything goes but the struct, which waits for callbacks on the stack. */
static void
end(struct stream *s)
{
	if (s->dead)
		return;
	s->dead = true;
	stream_overhear(s, (struct stream_ear){ NULL, NULL, NULL });
	be_clean(s);
	leave_list(s);
	errand_clear(&s->errand);
	watch_close(&s->watch);
	timer_close(&s->timer);
	stream_drop_out(s);
	stream_drop_unread(s);
	press_close(&s->press);
	if (s->socket.fd >= 0)
		socket_close(&s->socket);
	if (s->held == 0)
		memory_free(s);
}

static void
hold(struct stream *s)
{
	s->held++;
}

static void
let_go(struct stream *s)
{
	if (--s->held == 0 && s->dead)
		memory_free(s);
}

static void
streams_end(void *thing)
{
	struct streams *all = thing;

	joins_end(all->joins);
	while (all->leaving != NULL)
		end(all->leaving);
	memory_free(all);
}

void
stream_close(struct stream **sp)
{
	struct stream *s = *sp;

	*sp = NULL;
	if (s != NULL)
		end(s);
}

/* ---- waiting ---- */

static bool
may_read(const struct stream *s)
{
	if (s->end || s->broken || s->stage == STAGE_ANSWERING || s->stage == STAGE_SHAKING)
		return false;
	if (s->leaving)
		return true;
	if (s->join != NULL)
		return join_may_read(s);
	return !s->paused && s->view.len < s->most;
}

void
stream_rewatch(struct stream *s)
{
	int bits = 0;

	if (s->dead)
		return;
	if (s->stage == STAGE_SHAKING)
		bits = s->blocked ? LOOP_WRITE : LOOP_READ;
	else if (s->read_writes)
		bits = LOOP_WRITE;
	else
		bits = (may_read(s) ? LOOP_READ : 0) | (s->blocked ? LOOP_WRITE : 0);
	watch_want(s->watch, s->broken ? 0 : bits);
}

void
stream_later(struct stream *s)
{
	errand_set(s->loop, &s->errand);
}

/* The timer rings no later than asked; due() looks what time it is. */
static void
ring_by(struct stream *s, int64_t ms)
{
	int64_t at = loop_now_ms(s->loop) + ms;

	if (s->rings_at != 0 && s->rings_at <= at)
		return;
	if (s->timer == NULL)
		s->timer = timer_open(s->loop, due, s);
	s->rings_at = at;
	timer_set(s->timer, ms);
}

/* When what we now wait for has lasted too long; 0 for never. */
static int64_t
limit(const struct stream *s)
{
	if (s->stage == STAGE_ANSWERING || s->stage == STAGE_SHAKING)
		return tls_patience(s->socket.tls);
	if (s->leaving)
		return s->lingering ? LINGER_MS : SENDING_MS;
	return s->join != NULL || s->broken ? 0 : s->patience;
}

void
stream_begin_waiting(struct stream *s)
{
	s->heard_at = loop_now_ms(s->loop);
	if (limit(s) > 0)
		ring_by(s, limit(s));
}

void
stream_patience(struct stream *s, int64_t ms)
{
	s->patience = ms;
	if (s->stage == STAGE_CLEAR || s->stage == STAGE_SECURE)
		stream_begin_waiting(s);
}

static void
sign_of_life(struct stream *s)
{
	s->heard_at = loop_now_ms(s->loop);
}

/* ---- reading ---- */

struct bytes
stream_peek(const struct stream *s)
{
	return s->view;
}

/* Bytes are here that poll does not see. */
static bool
holds(const struct stream *s)
{
	return socket_holds(&s->socket) || (s->press != NULL && press_holds(s->press));
}

/* There is room again, or we look again: ask the socket, and TLS. */
void
stream_read_on(struct stream *s)
{
	if (!may_read(s))
		return;
	if (holds(s)) {
		s->more = true;
		stream_later(s);
	}
	stream_rewatch(s);
}

void
stream_eat(struct stream *s, size_t n)
{
	bool was_full = s->view.len >= s->most;

	INSIDE(n <= s->view.len);
	s->view = (struct bytes){ s->view.at + n, s->view.len - n };
	if (s->view.len == 0)
		stream_drop_unread(s);
	if (was_full)
		stream_read_on(s);
}

void
stream_most_unread(struct stream *s, size_t most)
{
	s->most = most;
	stream_read_on(s);
}

/* The watch goes on: each change costs two system calls, and most pauses are
   over before anything comes.  ready() takes it back when something does. */
void
stream_pause(struct stream *s)
{
	s->paused = true;
}

void
stream_resume(struct stream *s)
{
	s->paused = false;
	s->resumed = s->view.len > 0;
	if (s->resumed || (s->end && !s->told))
		stream_later(s);
	stream_read_on(s);
}

/* TLS gives a record at a time.  A full one is hardly the last; after a short
   one with nothing behind it, poll tells when there is more. */
enum socket_outcome
stream_pull(struct stream *s, char *to, size_t room, size_t *n)
{
	enum socket_outcome o;
	size_t              got = 0;

	*n = 0;
	s->more = false;
	do {
		if (s->press != NULL) {
			o = press_read(s->press, &s->socket, to, room, n);
			break;
		}
		o = socket_read(&s->socket, to + *n, room - *n, &got);
		if (o != SOCKET_MOVED)
			break;
		*n += got;
	} while (s->socket.ssl != NULL && *n < room && (got == RECORD || socket_holds(&s->socket)));
	if (*n > 0) {
		sign_of_life(s);
		s->in_count += *n;
		if (s->ear.heard != NULL)
			s->ear.heard(s->ear.own, true, (struct bytes){ to, *n });
	}
	if (s->read_writes != (o == SOCKET_WRITE_LATER)) {
		s->read_writes = o == SOCKET_WRITE_LATER;
		stream_rewatch(s);
	}
	if (o == SOCKET_MOVED && holds(s)) {
		s->more = true;
		stream_later(s);
	}
	return o;
}

/* Unread bytes go to `kept`, once the scratch they are in will be used again. */
static void
settle(struct stream *s)
{
	if (s->dead || !s->borrowed)
		return;
	s->borrowed = false;
	buffer_add(&s->kept, s->view);
	s->view = buffer_bytes(&s->kept);
}

static void
arrived(struct stream *s)
{
	s->resumed = false;
	if (s->events->arrived != NULL)
		s->events->arrived(s->ctx);
	settle(s);
}

/* New bytes behind few old ones: all in the scratch, so that the usual line
   needs no memory. */
static enum socket_outcome
read_to_scratch(struct stream *s, size_t room)
{
	char               *scratch = loop_scratch_in(s->loop);
	size_t              n, old = s->view.len;
	enum socket_outcome o;

	o = stream_pull(s, scratch + old, room, &n);
	if (n > 0) {
		if (old > 0)
			memcpy(scratch, s->view.at, old);
		buffer_free(&s->kept);
		s->view = (struct bytes){ scratch, old + n };
		s->borrowed = true;
		arrived(s);
	}
	return o;
}

/* New bytes behind many old ones: the old ones stay where they are. */
static enum socket_outcome
read_to_kept(struct stream *s, size_t room)
{
	enum socket_outcome o;
	size_t              n;

	buffer_eat(&s->kept, s->kept.len - s->view.len);
	o = stream_pull(s, buffer_room(&s->kept, room), room, &n);
	buffer_took(&s->kept, n);
	s->view = buffer_bytes(&s->kept);
	if (n > 0)
		arrived(s);
	return o;
}

void
stream_break(struct stream *s)
{
	if (s->broken)
		return;
	s->broken = true;
	s->blocked = false;
	stream_drop_out(s);
	stream_later(s);
}

static void
read_turn(struct stream *s)
{
	size_t              room = s->most - s->view.len;
	enum socket_outcome o;

	if (room > STREAM_READ_MOST)
		room = STREAM_READ_MOST;
	o = s->view.len <= MOVE_MOST ? read_to_scratch(s, room) : read_to_kept(s, room);
	if (s->dead)
		return;
	if (o == SOCKET_END) {
		s->end = true;
		stream_later(s);
	} else if (o == SOCKET_BROKEN) {
		stream_break(s);
	}
}

/* What a stream that leaves still gets is not for anybody; but a peer that
   waits for us to take it would not take our last words. */
static void
read_away(struct stream *s)
{
	ssize_t n = recv(s->socket.fd, loop_scratch_in(s->loop), STREAM_READ_MOST, MSG_DONTWAIT);

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	s->end = true;
	if (n < 0 || s->lingering)
		end(s);
	else
		stream_rewatch(s);
}

static void
read_some(struct stream *s)
{
	if (s->leaving)
		read_away(s);
	else if (s->join != NULL)
		join_read(s);
	else
		read_turn(s);
}

/* ---- writing ---- */

static void say_goodbye(struct stream *);

/* What follows when output has gone. */
static void
after_writing(struct stream *s)
{
	if (s->high && stream_pending(s) < (s->settling ? 1 : STREAM_HIGH)) {
		s->high = s->settling = false;
		s->drained = true;
		stream_later(s);
	}
	if (s->stage == STAGE_ANSWERING && s->clear_left == 0)
		stream_begin_shaking(s);
	else if (stream_pending(s) > 0)
		return;
	else if (s->leaving && !s->lingering)
		say_goodbye(s);
	else if (s->join != NULL)
		join_drained(s);
}

void
stream_push(struct stream *s)
{
	size_t sum = 0, n;

	if (s->broken) {
		stream_drop_out(s);
		return;
	}
	if (s->blocked || s->holding)
		return;
	s->high = s->high || stream_pending(s) >= STREAM_HIGH;
	s->pressed = 0;
	while (stream_may_write(s)) {
		enum socket_outcome o = SOCKET_WRITE_LATER;

		if (sum < STREAM_WRITE_MOST && s->pressed < PRESS_TURN)
			o = stream_write_some(s, &n);
		if (o == SOCKET_WRITE_LATER) {
			s->blocked = true;
			stream_rewatch(s);
			break;
		}
		if (o != SOCKET_MOVED) {
			if (o != SOCKET_BROKEN)
				s->socket.why = "output was refused";
			stream_break(s);
			return;
		}
		sum += n;
	}
	if (sum > 0)
		sign_of_life(s);
	after_writing(s);
}

void
stream_flush(struct stream *s)
{
	hold(s);
	stream_push(s);
	let_go(s);
}

void
stream_hold(struct stream *s, bool yes)
{
	s->holding = yes;
	if (!yes)
		stream_dirty(s);
}

/* Bytes on their way through: no copy while the socket takes them. */
void
stream_pass(struct stream *s, struct bytes what)
{
	size_t n;

	while (what.len > 0 && stream_pending(s) == 0 && !s->blocked && !s->broken) {
		switch (socket_write(&s->socket, what, false, &n)) {
		case SOCKET_MOVED:
			what = (struct bytes){ what.at + n, what.len - n };
			s->out_count += n;
			break;
		case SOCKET_BROKEN: stream_break(s); return;
		default:
			s->blocked = true;
			stream_rewatch(s);
			break;
		}
	}
	if (what.len > 0 && !s->broken)
		stream_say(s, what);
}

/* ---- DEFLATE ---- */

void
stream_compress(struct stream *s)
{
	INSIDE(s->press == NULL && s->join == NULL);
	s->plain_left = stream_pending(s);
	stream_drop_unread(s);
	s->press = press_open();
	stream_read_on(s);
}

bool
stream_is_compressed(const struct stream *s)
{
	return s->press != NULL;
}

void
stream_end_compression(struct stream *s)
{
	press_end(s->press);
	stream_read_on(s);
}

bool
stream_is_settled(const struct stream *s)
{
	return stream_pending(s) == 0 && (s->press == NULL || press_is_over(s->press));
}

void
stream_settle(struct stream *s)
{
	s->high = s->settling = true;
}

/* ---- another owner ---- */

void
stream_adopt(struct stream *s, const struct stream_events *events, void *ctx)
{
	s->events = events;
	s->ctx = ctx;
	stream_read_on(s);
}

void
stream_unread(struct stream *s, struct bytes first)
{
	struct buffer both = { 0 };

	buffer_add(&both, first);
	buffer_add(&both, s->view);
	buffer_free(&s->kept);
	s->kept = both;
	s->view = buffer_bytes(&s->kept);
	s->borrowed = false;
	s->resumed = s->view.len > 0;
	if (s->resumed)
		stream_later(s);
}

/* ---- leaving ---- */

/* A descriptor closed with bytes unread makes the kernel send a reset, and the
   peer would lose our last words: so the peer may close first, for a moment. */
static void
say_goodbye(struct stream *s)
{
	socket_bye(&s->socket);
	if (s->end) {
		end(s);
		return;
	}
	s->lingering = true;
	stream_begin_waiting(s);
	stream_rewatch(s);
}

void
stream_finish(struct stream **sp)
{
	struct stream *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	s->events = &nobody;
	s->join = NULL;
	stream_drop_unread(s);
	if (s->broken || s->stage == STAGE_SHAKING) {
		end(s);
		return;
	}
	if (s->stage == STAGE_ANSWERING) {
		s->stage = STAGE_CLEAR; /* no handshake any more */
	}
	be_leaving(s);
	stream_begin_waiting(s);
	stream_dirty(s);
}

int
stream_detach(struct stream **sp, struct buffer *unread)
{
	struct stream *s = *sp;
	int            fd = s->socket.fd;

	*sp = NULL;
	INSIDE(s->stage == STAGE_CLEAR && stream_pending(s) == 0);
	buffer_add(unread, s->view);
	if (s->press != NULL)
		press_rest(s->press, unread);
	s->socket.fd = -1;
	end(s);
	return fd;
}

int
stream_fd(const struct stream *s)
{
	return s->socket.fd;
}

void
stream_counts(const struct stream *s, uint64_t *in, uint64_t *out)
{
	*in = s->in_count;
	*out = s->out_count;
}

/* ---- from the loop ---- */

static void
tell_closed(struct stream *s)
{
	struct streams *all = streams_of(s->loop);

	s->told = true;
	if (s->leaving) {
		if (s->broken || s->lingering)
			end(s); /* else its last words go first */
	} else if (s->join != NULL) {
		join_ended(s);
	} else if (s->events->closed != NULL) {
		if (s->broken)
			socket_why(&s->socket, all->why, sizeof all->why);
		s->events->closed(s->ctx, s->broken ? all->why : "end of file");
	}
}

/* What was owed to the owner, in the order it happened. */
static void
work(void *ctx)
{
	struct stream *s = ctx;

	hold(s);
	if (s->drained) {
		s->drained = false;
		if (s->events->drained != NULL)
			s->events->drained(s->ctx);
	}
	if (!s->dead && s->resumed && !s->paused && s->view.len > 0)
		arrived(s);
	if (!s->dead && s->more && may_read(s))
		read_some(s);
	if (!s->dead && (s->broken || (s->end && !s->paused)) && !s->told)
		tell_closed(s);
	let_go(s);
}

static void
ready(void *ctx, int bits)
{
	struct stream *s = ctx;

	hold(s);
	if (s->stage == STAGE_SHAKING) {
		stream_shake(s);
		bits = 0;
	}
	if ((bits & LOOP_WRITE) && s->blocked) {
		s->blocked = false;
		stream_push(s);
		stream_rewatch(s);
	}
	if (!s->dead && ((bits & LOOP_READ) || (bits != 0 && s->read_writes))) {
		if (may_read(s))
			read_some(s);
		else
			stream_rewatch(s);
	}
	let_go(s);
}

static void
due(void *ctx)
{
	struct stream *s = ctx;
	int64_t        most = limit(s), waited = loop_now_ms(s->loop) - s->heard_at;

	s->rings_at = 0;
	if (most <= 0)
		return;
	if (waited < most) {
		ring_by(s, most - waited);
		return;
	}
	hold(s);
	if (s->leaving) {
		end(s);
	} else if (s->stage == STAGE_ANSWERING || s->stage == STAGE_SHAKING) {
		s->socket.why = "the handshake took too long";
		s->socket.tls_why = true;
		stream_not_secured(s);
	} else {
		stream_begin_waiting(s);
		if (s->events->silent != NULL)
			s->events->silent(s->ctx);
	}
	let_go(s);
}
