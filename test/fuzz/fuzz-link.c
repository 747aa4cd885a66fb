/*
 * Any bytes to the reader of frames, and the same bytes to a link through a
 * socket, in pieces that the first byte chooses: both hear the same words, and
 * the link is lost where the reader finds nonsense.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

struct heard {
	struct loop  *loop;
	struct link  *link;
	struct timer *turn;         /* ends a run that has nothing more to hear */
	struct bytes  rest;         /* what the link has yet to hear */
	bool          lost;
};

static void
promise(bool kept)
{
	if (!kept)
		abort();
}

static void
heard_word(void *ctx, struct link *l, uint16_t word, uint32_t ticket, struct bytes body, int fd)
{
	struct heard *h = ctx;
	struct frame f;
	size_t used;

	(void)l;
	promise(frame_read(h->rest, &f, &used) == FRAME_WHOLE);
	promise(f.word == word && f.ticket == ticket && bytes_equal(f.body, body));
	promise(f.flags == 0 && fd < 0);
	h->rest = bytes_cut(h->rest, used, h->rest.len);
}

static void
heard_lost(void *ctx, struct link *l)
{
	struct heard *h = ctx;

	(void)l;
	h->lost = true;
	loop_stop(h->loop);
}

static void
turn_over(void *ctx)
{
	struct heard *h = ctx;

	loop_stop(h->loop);
}

static const struct link_events events = { heard_word, heard_lost };

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct heard h = { 0 };
	struct bytes piece, all = { (const char *)at, len };
	enum frame_outcome o;
	struct frame f;
	size_t each, used;
	int fd[2];

	if (len < 1 || len > 32 << 10)
		return 0;
	each = at[0] == 0 ? len : at[0];
	all = h.rest = bytes_cut(all, 1, len);
	promise(link_pair(fd) == 0);
	h.loop = loop_open();
	h.turn = timer_open(h.loop, turn_over, &h);
	h.link = link_open(h.loop, fd[0], &events, &h);
	while (all.len > 0 && !h.lost) {
		piece = bytes_cut(all, 0, each);
		promise(send(fd[1], piece.at, piece.len, MSG_NOSIGNAL) == (ssize_t)piece.len);
		all = bytes_cut(all, piece.len, all.len);
		timer_set(h.turn, 0);
		loop_run(h.loop);
	}
	close(fd[1]);
	if (!h.lost)
		loop_run(h.loop);
	o = frame_read(h.rest, &f, &used);
	promise(o == FRAME_NONSENSE || o == FRAME_SHORT || (f.flags & FRAME_FD) != 0);
	link_close(&h.link);
	timer_close(&h.turn);
	loop_close(&h.loop);
	return 0;
}
