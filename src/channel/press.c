#include "channel/press.h"

#include <zlib.h>

#include "base/arena.h"
#include "base/journal.h"

enum {
	RAW = 4 << 10,   /* of the peer's bytes, read at one time     */
	WINDOW_IN = -15, /* the peer chooses; raw DEFLATE             */
	WINDOW_OUT = -13,
	MEMORY_OUT = 6,
	ROOM_LEAST = 1 << 10,
};
struct press {
	z_stream      in, out;
	bool          full; /* the last room was filled: there may be more */
	struct buffer ready;
	unsigned char raw[RAW];
};

struct press *
press_open(void)
{
	struct press *p = memory_take(sizeof *p);

	INSIDE(inflateInit2(&p->in, WINDOW_IN) == Z_OK &&
	       deflateInit2(&p->out, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_OUT, MEMORY_OUT,
	                    Z_DEFAULT_STRATEGY) == Z_OK);
	return p;
}

void
press_close(struct press **pp)
{
	struct press *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	(void)inflateEnd(&p->in);
	(void)deflateEnd(&p->out);
	buffer_free(&p->ready);
	memory_free(p);
}

bool
press_holds(const struct press *p)
{
	return p->full || p->in.avail_in > 0;
}

/* The peer's bytes unfold into what room there is. */
static enum socket_outcome
unfold(struct press *p, struct socket *s, char *to, size_t room, size_t *n)
{
	int why;

	p->in.next_out = (unsigned char *)to + *n;
	p->in.avail_out = (unsigned)(room - *n);
	why = inflate(&p->in, Z_SYNC_FLUSH);
	*n = room - p->in.avail_out;
	p->full = p->in.avail_out == 0;
	if (why == Z_OK || why == Z_BUF_ERROR)
		return SOCKET_MOVED;
	if (why == Z_STREAM_END)
		return SOCKET_END;
	s->why = why == Z_MEM_ERROR ? "no memory to decompress" : "compressed data is broken";
	return SOCKET_BROKEN;
}

enum socket_outcome
press_read(struct press *p, struct socket *s, char *to, size_t room, size_t *n)
{
	enum socket_outcome o = SOCKET_MOVED;
	size_t              got;

	*n = 0;
	while (o == SOCKET_MOVED && *n < room) {
		if (!press_holds(p)) {
			o = socket_read(s, (char *)p->raw, sizeof p->raw, &got);
			if (o != SOCKET_MOVED)
				break;
			p->in.next_in = p->raw;
			p->in.avail_in = (unsigned)got;
		}
		o = unfold(p, s, to, room, n);
	}
	return o;
}

void
press_add(struct press *p, struct bytes plain, bool flush)
{
	p->out.next_in = (unsigned char *)(uintptr_t)plain.at;
	p->out.avail_in = (unsigned)plain.len;
	do {
		size_t room = plain.len / 2 + ROOM_LEAST;
		p->out.next_out = (unsigned char *)buffer_room(&p->ready, room);
		p->out.avail_out = (unsigned)room;
		(void)deflate(&p->out, flush ? Z_SYNC_FLUSH : Z_NO_FLUSH);
		buffer_took(&p->ready, room - p->out.avail_out);
	} while (p->out.avail_out == 0);
}

struct bytes
press_out(const struct press *p)
{
	return buffer_bytes(&p->ready);
}

void
press_gone(struct press *p, size_t n)
{
	buffer_eat(&p->ready, n);
	if (p->ready.len == 0)
		buffer_free(&p->ready);
}
