/* COMPRESS: what is said from here is DEFLATE, both ways */
#include "access/imap/session.h"

struct compress_work {
	bool deflate;
};

/* compress = "COMPRESS" SP algorithm; algorithm = "DEFLATE"   rfc4978:4 */
static void
compress_parse(struct imap *s, struct scan *r)
{
	struct compress_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	w->deflate = bytes_is(read_atom(r), "DEFLATE");
}

/* The answer goes as it is; it says all that was to be said before (rfc4978:3). */
static enum imap_step
compress_run(struct imap *s)
{
	const struct compress_work *w = s->work;

	if (!w->deflate)
		return imap_bad(s, "Only DEFLATE is known.");
	if (stream_is_compressed(s->stream))
		return imap_no(s, "[COMPRESSIONACTIVE] DEFLATE is active already.");
	s->compress = true;
	return imap_ok(s, "Begin compression.");
}

const struct imap_command imap_compress = {
	.name = "COMPRESS",
	.rfc = "rfc4978:3",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = compress_parse,
	.run = compress_run,
};
