/*
 * receiver-edit -- a letter's content made anew with edits (message/edits.h): in memory, or piece by piece as a new
 * stream in the place of the old, for the rest of the receiver's work goes on meanwhile
 */
#include "role/receiver.h"

#include <errno.h>
#include <unistd.h>

enum {
	PIECE_MOST = 256 << 10,
	TURN_MOST = 1 << 20, /* copied in one turn of the loop             */
};

struct editing {
	struct errand         go_on;
	struct passage       *passage;
	struct edits_walk     walk;
	struct edits_piece    piece;
	int                   file;
	uint64_t              size;
	struct buffer         content; /* the new one, in memory                  */
	struct writer_stream *stream;  /* or this                                 */
	void (*then)(struct passage *, int why);
};

static void
editing_end(struct editing *e, int why)
{
	struct passage *p = e->passage;
	struct letter  *l = p->letter;

	errand_clear(&e->go_on);
	p->editing = NULL;
	if (why != 0) {
		buffer_free(&e->content);
		writer_stream_drop(&e->stream);
	} else {
		writer_stream_drop(&p->stream);
		p->stream = e->stream;
		buffer_free(&l->content);
		l->content = e->content;
		l->streamed = p->stream != NULL;
		l->len = e->size;
		letter_charge(l, l->streamed ? WRITER_SMALL : l->content.len);
	}
	e->then(p, why);
}

static int
put(struct editing *e, struct bytes more)
{
	if (e->stream != NULL)
		return writer_stream_add(e->stream, more);
	buffer_add(&e->content, more);
	return 0;
}

/* So much of a file; the stream's own is good to its end, since nothing more is added to it. */
static int
copy(struct editing *e, int fd, uint64_t at, size_t len)
{
	struct buffer piece = { 0 };
	int           why = 0;

	while (len > 0 && why == 0) {
		ssize_t n = pread(fd, buffer_room(&piece, len), len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			why = n < 0 ? errno : EIO;
			break;
		}
		why = put(e, (struct bytes){ piece.at + piece.len, (size_t)n });
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	buffer_free(&piece);
	return why;
}

/* The front of the piece in hand. */
static int
put_piece(struct editing *e)
{
	struct edits_piece *p = &e->piece;
	size_t              n = p->len < PIECE_MOST ? (size_t)p->len : PIECE_MOST;
	uint64_t            at = 0, len = 0;
	int                 fd, why;

	if (p->of == PIECE_BYTES)
		why = put(e, bytes_cut(p->bytes, (size_t)p->at, n));
	else if (p->of == PIECE_FILE)
		why = copy(e, e->file, p->at, n);
	else if (e->passage->stream == NULL)
		why = put(e,
		          bytes_cut(buffer_bytes(&e->passage->letter->content), (size_t)p->at, n));
	else {
		fd = writer_stream_fd(e->passage->stream, &at, &len);
		why = fd < 0 ? EIO : copy(e, fd, at + p->at, n);
	}
	p->at += n;
	p->len -= n;
	return why;
}

static void
go_on(void *ctx)
{
	struct editing *e = ctx;
	size_t          done = 0;
	int             why = 0;

	while (why == 0 && (e->piece.len > 0 || edits_next(&e->walk, &e->piece))) {
		if (e->stream != NULL && done >= TURN_MOST) {
			errand_set(e->passage->house->loop, &e->go_on);
			return;
		}
		done += e->piece.len < PIECE_MOST ? (size_t)e->piece.len : PIECE_MOST;
		why = put_piece(e);
	}
	editing_end(e, why);
}

static void
lent(void *ctx, int why)
{
	struct editing *e = ctx;

	if (why != 0) {
		editing_end(e, why);
		return;
	}
	e->go_on = (struct errand){ .go = go_on, .ctx = e };
	errand_set(e->passage->house->loop, &e->go_on);
}

void
letter_edit(struct passage *p, const struct edits *edits, int file, uint64_t file_len,
            void (*then)(struct passage *, int why))
{
	struct letter  *l = p->letter;
	struct editing *e = arena_take(l->life, sizeof *e);

	*e = (struct editing){ .passage = p,
		               .walk = edits_walk_of(edits, l->len),
		               .file = file,
		               .size = edits_size(edits, l->len),
		               .then = then };
	if (!edits_fit(edits, l->len, file_len)) {
		then(p, EINVAL);
		return;
	}
	p->editing = e;
	if (e->size <= WRITER_SMALL)
		go_on(e);
	else
		e->stream = writer_stream_open(receiver_of(p->house)->writer, e->size, lent, e);
}

void
letter_edit_drop(struct passage *p)
{
	struct editing *e = p->editing;

	if (e == NULL)
		return;
	p->editing = NULL;
	errand_clear(&e->go_on);
	writer_stream_drop(&e->stream);
	buffer_free(&e->content);
}
