#include "access/imap/decoding.h"

enum digest_encoding
decoding_of(const struct letter *l, const struct section *section, const struct section_span *span)
{
	/* BINARY[] is the letter as it is. */
	if (section->depth == 0)
		return ENCODED_BINARY;
	return (enum digest_encoding)digest_part_at(&l->digest, span->part).encoding;
}

static void
decoding_answered(void *who, int why, const struct imap_decoded *answer)
{
	struct decoding *d = who;

	d->open = NULL;
	d->state = why == 0 ? DECODING_HERE : DECODING_FAILED;
	if (why == 0) {
		if (!d->counted) {
			d->total = answer->total;
			d->nul = answer->nul;
		}
		d->counted = true;
		d->coded += answer->coded;
		d->plain += answer->plain;
		buffer_add(&d->part, answer->part);
	}
	imap_wake(d->session);
}

void
decoding_ask(struct decoding *d, struct imap *s, struct letter *l, const struct section_span *span,
             enum digest_encoding encoding, uint64_t from, uint64_t most)
{
	void                    *ctx;
	const struct imap_needs *needs = imap_needs_of(s, &ctx);
	off_t                    at;
	struct imap_coded        coded = { .encoding = encoding,
		                           .fields = d->fields,
		                           .others = d->others,
		                           .len = span->len - d->coded,
		                           .from = from - d->plain,
		                           .counts = !d->counted };

	d->session = s;
	d->state = DECODING_FAILED;
	coded.most = most < DECODING_ROOM ? most : DECODING_ROOM;
	if (letter_again(l) != 0)
		return;
	coded.fd = message_content_fd(l->account, &l->message, &at);
	/* Parts lie in the content, behind what is ours. */
	if (coded.fd < 0 || span->at < letter_own_len(l))
		return;
	coded.at = (uint64_t)at + (span->at - letter_own_len(l)) + d->coded;
	d->open = needs->decode(ctx, &coded, decoding_answered, d);
	if (d->open != NULL)
		d->state = DECODING_ASKED;
}

void
decoding_on(struct decoding *d, struct imap *s, struct letter *l, const struct section_span *span,
            enum digest_encoding encoding, uint64_t from, uint64_t most)
{
	buffer_free(&d->part);
	decoding_ask(d, s, l, span, encoding, from, most);
}

void
decoding_drop(struct decoding *d)
{
	void *ctx;

	if (d->open != NULL)
		imap_needs_of(d->session, &ctx)->decode_drop(d->open);
	d->open = NULL;
	d->state = DECODING_IDLE;
	d->counted = false;
	d->coded = d->plain = 0;
	d->fields = (struct bytes){ 0 };
	buffer_free(&d->part);
}
