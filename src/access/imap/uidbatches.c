/* UIDBATCHES: ranges of uids with so many messages in each, from the newest down (rfc10022:3.1) */
#include "access/imap/session.h"

enum { BATCH_LEAST = 500, SPAN_MOST = 100000 };

struct batches_work {
	uint32_t size, first, last; /* which batches, from 1; last 0: all         */
	uint32_t at, high;
};

/* uidbatches = "UIDBATCHES" SP nz-number [SP nz-number ":" nz-number]   rfc10022:5 */
static void
uidbatches_parse(struct imap *s, struct scan *r)
{
	struct batches_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	w->size = read_nz_number(r);
	w->first = w->at = 1;
	if (!scan_skip(r, ' '))
		return;
	w->first = read_nz_number(r);
	scan_expect(r, ":");
	w->last = read_nz_number(r);
}

/* The lowest uid of a batch: below the last of them there is nothing but 1. */
static uint32_t
low_of(const struct imap *s, const struct batches_work *w, uint32_t batch)
{
	uint64_t newer = (uint64_t)batch * w->size;

	return newer >= view_count(s->view)
	               ? 1
	               : view_uid(s->view, view_count(s->view) - (uint32_t)newer + 1);
}

static enum imap_step
uidbatches_run(struct imap *s)
{
	struct batches_work *w = s->work;
	struct buffer       *out = imap_out(s);
	uint32_t             high = 0, low;
	bool                 any = false;

	if (w->last != 0 && w->last < w->first)
		return imap_bad(s, "[CLIENTBUG] Batches are numbered upwards.");
	/* rfc10022:3.1.3: as the least and the most that a server must give. */
	if (w->size < BATCH_LEAST)
		return imap_no(s, "[TOOFEW] A batch has at least %d messages.", BATCH_LEAST);
	if (w->last != 0 && (uint64_t)(w->last - w->first + 1) * w->size > SPAN_MOST)
		return imap_no(s, "[TOOMANY] These batches have more than %d messages.", SPAN_MOST);
	buffer_printf(out, "* UIDBATCHES (TAG \"%.*s\")", (int)s->tag.len, s->tag.at);
	if (view_count(s->view) > 0 && ((uint64_t)(w->first - 1) * w->size) < view_count(s->view))
		high = w->first == 1 ? view_last_uid(s->view) : low_of(s, w, w->first - 1) - 1;
	for (uint32_t k = w->first; high > 0 && (w->last == 0 || k <= w->last); k++) {
		low = low_of(s, w, k);
		buffer_printf(out, "%s%u:%u", any ? "," : " ", high, low);
		any = true;
		high = low - 1;
	}
	buffer_add_string(out, "\r\n");
	return imap_ok(s, "Uidbatches completed.");
}

const struct imap_command imap_uidbatches = {
	.name = "UIDBATCHES",
	.rfc = "rfc10022:3.1",
	.in = IN_SELECTED,
	.parse = uidbatches_parse,
	.run = uidbatches_run,
};
