/*
 * keeper-decode -- a part without its transfer encoding: content is hostile, so a verifier
 * takes the encoding off (FETCH BINARY), or the fields out of a header that is too long for its digest
 */
#include "role/keeper.h"
#include <errno.h>
#include <unistd.h>

struct imap_decode {
	struct question   question; /* first                                 */
	struct house     *house;
	struct imap_coded coded;
	int               fd;
	struct buffer     fields; /* coded.fields */
	void (*decoded)(void *who, int why, const struct imap_decoded *);
	void *who;
};

static void
decode_free(struct imap_decode *d)
{
	close(d->fd);
	buffer_free(&d->fields);
	memory_free(d);
}

static void
decode_ask(struct question *q)
{
	struct imap_decode *d = (struct imap_decode *)q;
	struct word_decode  w = { (uint8_t)d->coded.encoding,
		                  d->coded.at,
		                  d->coded.len,
		                  d->coded.from,
		                  d->coded.most,
		                  d->coded.counts,
		                  d->coded.fields,
		                  d->coded.others };
	struct link        *l = house_link(d->house, VERIFIER, q->verifier);

	word_pack_decode(link_begin(l, WORD_DECODE, q->ticket), &w);
	link_end_fd(l, d->fd);
}

static void
decode_answered(struct question *q, const struct bytes *body)
{
	struct imap_decode *d = (struct imap_decode *)q;
	struct arena       *scratch = arena_open(NULL);
	struct word_decoded w = { 0 };
	bool whole = body != NULL && word_unpack_decoded(*body, scratch, &w) && w.good &&
	             w.total <= d->coded.len && w.part.len <= d->coded.most &&
	             w.coded <= d->coded.len && w.plain <= w.coded;

	d->decoded(d->who, whole ? 0 : EIO,
	           &(struct imap_decoded){ .total = w.total,
	                                   .nul = w.nul,
	                                   .coded = w.coded,
	                                   .plain = w.plain,
	                                   .part = w.part });
	arena_close(&scratch);
	decode_free(d);
}

struct imap_decode *
keeper_decode(void *ctx, const struct imap_coded                                     *coded,
              void (*decoded)(void *who, int why, const struct imap_decoded *), void *who)
{
	struct imap_decode *d;
	int                 fd = dup(coded->fd);

	if (fd < 0)
		return NULL;
	d = memory_take(sizeof *d);
	*d = (struct imap_decode){
		.house = ctx, .coded = *coded, .fd = fd, .decoded = decoded, .who = who
	};
	buffer_add(&d->fields, coded->fields);
	d->coded.fields = buffer_bytes(&d->fields);
	d->question.ask = decode_ask;
	d->question.answered = decode_answered;
	question_ask(&keeper_of(ctx)->questions, &d->question);
	return d;
}

void
keeper_decode_drop(struct imap_decode *d)
{
	question_drop(&keeper_of(d->house)->questions, &d->question);
	decode_free(d);
}
