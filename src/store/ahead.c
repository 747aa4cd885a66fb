/* ahead.c -- what a reader of many messages will ask for next is brought from the disk before that (store.h) */
#include "store/digests.h"
#include "store/foreign.h"

/* From the FOLLOWING-th message on in a row, none further than STEP; so many at a time. */
enum { FOLLOWING = 4, STEP = 8, LEAD = 1024 };
/* The envelope stands behind the content, and 4 KiB from there are read at once (spool/segment.c).  How much stands before the content
   its row alone knows. */
enum { BEFORE = 1024, ENVELOPE = 4608 };

/* A letter's id says where its content begins, and its size about where that ends; one that compaction moved is not found
   so, and read without this. */
static uint64_t
content_end(uint64_t letter, uint32_t size)
{
	return letter_offset(letter) + RECORD_HEADER + size;
}

static void
expect(struct account *a, const struct rows *r, uint32_t from, uint32_t end)
{
	struct letters *l = a->store->letters;
	uint64_t        last = r->message[end - 1];
	bool            here = !is_foreign(last) &&
	            letters_are_here(l, letter_segment(last), content_end(last, r->size[end - 1]));

	for (uint32_t i = from; i < end; i++) {
		uint64_t at = content_end(r->message[i], r->size[i]);

		if (!is_foreign(r->message[i]) && !digests_expect(a, r->message[i]) && !here)
			letters_expect(l, letter_segment(r->message[i]),
			               at - (r->size[i] < BEFORE ? r->size[i] : BEFORE),
			               BEFORE + ENVELOPE);
	}
	letters_bring(l);
}

void
mailbox_ahead(struct mailbox *m, uint32_t index)
{
	struct ahead      *a = &m->ahead;
	const struct rows *r = &m->rows;
	uint32_t           end;

	if (index >= r->count)
		return;
	if (index < a->last || index - a->last > STEP)
		*a = (struct ahead){ 0 };
	a->last = index;
	if (++a->steps < FOLLOWING || index + LEAD / 2 < a->end)
		return;
	end = r->count - index > LEAD ? index + LEAD : r->count;
	expect(m->account, r, a->end > index ? a->end : index, end);
	a->end = end;
}
