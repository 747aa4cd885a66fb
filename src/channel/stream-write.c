/*
 * stream-write -- what was said and is not gone yet: bytes, ranges of files behind them, and both compressed
 *
 * stream.c decides when to write and what follows; here is what one write takes.
 */
#include "base/arena.h"
#include "base/journal.h"
#include "channel/stream_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

enum {
	PRESS_MOST = 64 << 10, /* compressed at one time                    */
	SMALL_FILE = 16 << 10, /* read at once; a packet, not a system call more */
};

/* ---- saying ---- */

static void
drop_files(struct stream *s)
{
	struct range *r;

	while ((r = s->files) != NULL) {
		s->files = r->next;
		(void)close(r->fd);
		memory_free(r);
	}
	s->files_end = &s->files;
	s->files_len = 0;
}

void
stream_drop_out(struct stream *s)
{
	s->said_gone += s->out.len;
	buffer_free(&s->out);
	drop_files(s);
}

void
stream_say(struct stream *s, struct bytes what)
{
	buffer_add(&s->out, what);
	stream_dirty(s);
}

void
stream_say_string(struct stream *s, const char *string)
{
	stream_say(s, bytes_of(string));
}

void
stream_printf(struct stream *s, const char *form, ...)
{
	va_list list;

	va_start(list, form);
	buffer_vprintf(&s->out, form, list);
	va_end(list);
	stream_dirty(s);
}

struct buffer *
stream_out(struct stream *s)
{
	stream_dirty(s);
	return &s->out;
}

size_t
stream_pending(const struct stream *s)
{
	return s->out.len + (size_t)s->files_len + (s->press != NULL ? press_out(s->press).len : 0);
}

/* A small file becomes bytes at once.  True if it did. */
static bool
say_small(struct stream *s, int fd, off_t at, size_t len)
{
	char  *to = buffer_room(&s->out, len);
	size_t have = 0;

	while (have < len) {
		ssize_t n = pread(fd, to + have, len - have, at + (off_t)have);

		if (n <= 0 && !(n < 0 && errno == EINTR))
			return false;
		have += n > 0 ? (size_t)n : 0;
	}
	buffer_took(&s->out, len);
	return true;
}

void
stream_say_file(struct stream *s, int fd, off_t at, uint64_t len)
{
	struct range *r;

	if (len == 0 || s->broken)
		return;
	stream_dirty(s);
	if (len <= SMALL_FILE && say_small(s, fd, at, (size_t)len))
		return;
	r = memory_take(sizeof *r);
	*r = (struct range){ .behind = s->said_gone + s->out.len,
		             .at = at,
		             .len = len,
		             .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0) };
	if (r->fd < 0) {
		s->socket.why = strerrordesc_np(errno);
		memory_free(r);
		stream_break(s);
		return;
	}
	*s->files_end = r;
	s->files_end = &r->next;
	s->files_len += len;
}

/* ---- writing ---- */

bool
stream_may_write(const struct stream *s)
{
	switch (s->stage) {
	case STAGE_CLEAR:
	case STAGE_SECURE: return stream_pending(s) > 0;
	case STAGE_ANSWERING: return s->clear_left > 0;
	default: return false;
	}
}

static void
bytes_gone(struct stream *s, size_t n)
{
	if (s->ear.heard != NULL)
		s->ear.heard(s->ear.own, false, bytes_cut(buffer_bytes(&s->out), 0, n));
	buffer_eat(&s->out, n);
	s->said_gone += n;
	if (s->out.len == 0)
		buffer_free(&s->out);
}

static void
range_gone(struct stream *s, size_t n)
{
	struct range *r = s->files;

	if (s->ear.heard != NULL)
		s->ear.heard(s->ear.own, false, (struct bytes){ NULL, n });
	r->at += (off_t)n;
	r->len -= n;
	s->files_len -= n;
	if (r->len > 0)
		return;
	if ((s->files = r->next) == NULL)
		s->files_end = &s->files;
	(void)close(r->fd);
	memory_free(r);
}

/* Plain bytes up to the next file, or of the file, into the press; where nothing follows, all of
   it can be read at the other end. */
static enum socket_outcome
press_some(struct stream *s)
{
	struct range *r = s->files;
	size_t        len = r != NULL ? (size_t)(r->behind - s->said_gone) : s->out.len;
	char         *scratch = loop_scratch_out(s->loop);
	ssize_t       n;

	if (len > 0) {
		len = len < PRESS_MOST ? len : PRESS_MOST;
		press_add(s->press, (struct bytes){ s->out.at, len },
		          len == s->out.len && r == NULL);
		bytes_gone(s, len);
		s->pressed += len;
		return SOCKET_MOVED;
	}
	INSIDE(r != NULL);
	len = r->len < LOOP_SCRATCH_OUT ? (size_t)r->len : LOOP_SCRATCH_OUT;
	n = pread(r->fd, scratch, len, r->at);
	if (n <= 0) {
		s->socket.why = n < 0 ? strerrordesc_np(errno) : "a file ended too soon";
		return SOCKET_BROKEN;
	}
	press_add(s->press, (struct bytes){ scratch, (size_t)n },
	          (uint64_t)n == r->len && r->next == NULL && s->out.len == 0);
	range_gone(s, (size_t)n);
	s->pressed += (uint64_t)n;
	return SOCKET_MOVED;
}

/* One write of what is compressed. */
static enum socket_outcome
write_pressed(struct stream *s, size_t *n)
{
	enum socket_outcome o = SOCKET_MOVED;

	while (o == SOCKET_MOVED && press_out(s->press).len == 0)
		o = press_some(s);
	if (o == SOCKET_MOVED)
		o = socket_write(&s->socket, press_out(s->press), false, n);
	if (o != SOCKET_MOVED)
		return o;
	press_gone(s->press, *n);
	s->out_count += *n;
	return o;
}

/* One write: bytes up to the next file, or of the file.  In TLS what could not
   be written must come again as it was: nothing here is shorter then. */
enum socket_outcome
stream_write_some(struct stream *s, size_t *n)
{
	struct range       *r = s->files;
	size_t              len = r != NULL ? (size_t)(r->behind - s->said_gone) : s->out.len;
	enum socket_outcome o;

	if (s->press != NULL && s->plain_left == 0)
		return write_pressed(s, n);
	if (len > 0) {
		if (s->press != NULL && len > s->plain_left)
			len = (size_t)s->plain_left;
		if (s->stage == STAGE_ANSWERING && len > s->clear_left)
			len = (size_t)s->clear_left;
		o = socket_write(&s->socket, (struct bytes){ s->out.at, len }, r != NULL, n);
		if (o == SOCKET_MOVED)
			bytes_gone(s, *n);
	} else {
		INSIDE(r != NULL); /* nobody comes here with nothing to say */
		len = r->len < STREAM_WRITE_MOST ? (size_t)r->len : STREAM_WRITE_MOST;
		o = socket_write_file(&s->socket, r->fd, r->at, len, loop_scratch_out(s->loop),
		                      LOOP_SCRATCH_OUT, n);
		if (o == SOCKET_MOVED)
			range_gone(s, *n);
	}
	if (o == SOCKET_MOVED) {
		s->out_count += *n;
		if (s->press != NULL)
			s->plain_left -= *n;
		if (s->stage == STAGE_ANSWERING)
			s->clear_left -= *n;
	}
	return o;
}
