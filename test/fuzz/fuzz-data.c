/*
 * Content between 354 and the final dot.  Whatever the pieces, the letter is the same; it has
 * no CR and no LF but in pairs; and it ended at CR LF . CR LF and nowhere else.
 */
#include <stdlib.h>
#include <string.h>

#include "smtp/receiver/content.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct reading {
	struct content c;
	struct buffer  out;
	size_t         used;
	bool           ended;
};

static void
read_all(struct reading *r, struct bytes in, size_t piece, bool submission)
{
	memset(r, 0, sizeof *r);
	content_begin(&r->c);
	r->c.fields.origin = submission ? "example.com" : NULL;
	while (!r->ended && r->used < in.len) {
		size_t used;

		r->ended = content_read(&r->c, bytes_cut(in, r->used, piece), &r->out, &used) ==
		           CONTENT_ENDED;
		if (!r->ended && used != bytes_cut(in, r->used, piece).len)
			abort();
		r->used += used;
	}
}

/* Where the first CR LF . CR LF ends (or . CR LF at the beginning), or 0: nowhere. */
static size_t
true_end(struct bytes in)
{
	ptrdiff_t at;

	if (bytes_starts(in, BYTES(".\r\n")))
		return 3;
	at = bytes_search(in, BYTES("\r\n.\r\n"));
	return at < 0 ? 0 : (size_t)at + 5;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes   in = { (const char *)data + 1, size - 1 };
	struct reading whole, cut;

	if (size < 2)
		return 0;
	read_all(&whole, in, in.len, data[0] & 1);
	read_all(&cut, in, 1 + data[0] / 2, data[0] & 1);
	if (whole.ended != cut.ended || whole.used != cut.used ||
	    !bytes_equal(buffer_bytes(&whole.out), buffer_bytes(&cut.out)) ||
	    whole.c.fields.received != cut.c.fields.received ||
	    whole.c.fields.seen != cut.c.fields.seen)
		abort();
	if (whole.ended != (true_end(in) != 0) || (whole.ended && whole.used != true_end(in)))
		abort();
	for (size_t i = 0; i < whole.out.len; i++) {
		if (whole.out.at[i] == '\n' && (i == 0 || whole.out.at[i - 1] != '\r'))
			abort();
		if (whole.out.at[i] == '\r' &&
		    (i + 1 == whole.out.len || whole.out.at[i + 1] != '\n'))
			abort();
	}
	buffer_free(&whole.out);
	buffer_free(&cut.out);
	return 0;
}
