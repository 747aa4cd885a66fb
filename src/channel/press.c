#include "channel/press.h"

#include <string.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/journal.h"

enum {
	RAW = 4 << 10,   /* of the peer's bytes, read at one time     */
	WINDOW_IN = -15, /* the peer chooses; raw DEFLATE             */
	WINDOW_OUT = -13,
	MEMORY_OUT = 6,
	ROOM_LEAST = 1 << 10,
	LAST_BLOCK = 64, /* of z_stream.data_type, beside the bits left over */
	BLOCK_END = 128,
	BITS_LEFT = 7,
};
/* How the peer's bytes are meant. */
enum coming {
	UNFOLDS, /* compressed                                          */
	ENDS,    /* compressed up to where they were flushed            */
	PLAIN,   /* as they are                                         */
};
struct press {
	z_stream      in, out;
	enum coming   coming;
	bool          full;   /* the last room was filled: there may be more */
	bool          ending; /* our next flush is our last                  */
	char          newest; /* plain byte of the peer's                    */
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

/* The peer has flushed: what it says next begins with a byte, and may be of another kind. */
static bool
is_flushed(const struct press *p)
{
	return (p->in.data_type & (BLOCK_END | LAST_BLOCK | BITS_LEFT)) == BLOCK_END;
}

/* What comes next is no more of it.  A peer that ends its stream, too, as DEFLATE does it, says so with a block that
   no command begins like. */
static bool
is_at_end(const struct press *p)
{
	return is_flushed(p) && !p->full && (p->in.avail_in == 0 || *p->in.next_in >= ' ');
}

/* The peer's bytes unfold into what room there is, block by block. */
static enum socket_outcome
unfold(struct press *p, struct socket *s, char *to, size_t room, size_t *n)
{
	int why;

	p->in.next_out = (unsigned char *)to + *n;
	p->in.avail_out = (unsigned)(room - *n);
	why = inflate(&p->in, Z_BLOCK);
	if (room - p->in.avail_out > *n)
		p->newest = to[room - p->in.avail_out - 1];
	*n = room - p->in.avail_out;
	p->full = p->in.avail_out == 0;
	if (why == Z_STREAM_END || (why == Z_OK && p->coming == ENDS && is_at_end(p)))
		p->coming = PLAIN;
	if (why == Z_OK || why == Z_BUF_ERROR || why == Z_STREAM_END)
		return SOCKET_MOVED;
	s->why = why == Z_MEM_ERROR ? "no memory to decompress" : "compressed data is broken";
	return SOCKET_BROKEN;
}

static void
pass(struct press *p, char *to, size_t room, size_t *n)
{
	size_t some = p->in.avail_in < room - *n ? p->in.avail_in : room - *n;

	memcpy(to + *n, p->in.next_in, some);
	p->in.next_in += some;
	p->in.avail_in -= (unsigned)some;
	*n += some;
	p->full = false;
}

enum socket_outcome
press_read(struct press *p, struct socket *s, char *to, size_t room, size_t *n)
{
	enum socket_outcome o = SOCKET_MOVED;
	size_t              got;

	*n = 0;
	while (o == SOCKET_MOVED && *n < room &&
	       !(*n > 0 && p->newest == '\n' && (p->coming == PLAIN || is_flushed(p)))) {
		if (!press_holds(p)) {
			o = socket_read(s, (char *)p->raw, sizeof p->raw, &got);
			if (o != SOCKET_MOVED)
				break;
			p->in.next_in = p->raw;
			p->in.avail_in = (unsigned)got;
		}
		if (p->coming == PLAIN)
			pass(p, to, room, n);
		else
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
		(void)deflate(&p->out, !flush ? Z_NO_FLUSH : p->ending ? Z_FINISH : Z_SYNC_FLUSH);
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

void
press_end(struct press *p)
{
	p->ending = true;
	if (p->coming == UNFOLDS)
		p->coming = is_at_end(p) ? PLAIN : ENDS;
}

bool
press_is_over(const struct press *p)
{
	return p->coming == PLAIN;
}

void
press_rest(struct press *p, struct buffer *rest)
{
	buffer_add(rest, (struct bytes){ (const char *)p->in.next_in, p->in.avail_in });
	p->in.avail_in = 0;
}
