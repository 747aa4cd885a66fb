#include "message/fold.h"

#include <string.h>

#include "message/fold-table.h"

/* Hangul syllables are made of leads, vowels and tails, in order (Unicode 14, 3.12). */
enum {
	SYLLABLES = 0xac00,
	SYLLABLES_END = 0xd7a4,
	LEADS = 0x1100,
	VOWELS = 0x1161,
	TAILS = 0x11a7
};
enum { VOWEL_COUNT = 21, TAIL_COUNT = 28 };

static size_t
fold_hangul(uint32_t c, uint32_t *out)
{
	uint32_t n = c - SYLLABLES, tail = n % TAIL_COUNT;

	out[0] = LEADS + n / (VOWEL_COUNT * TAIL_COUNT);
	out[1] = VOWELS + n / TAIL_COUNT % VOWEL_COUNT;
	out[2] = TAILS + tail;
	return tail == 0 ? 2 : 3;
}

/* The last row of the page that begins at or before c; `low` is its first, `high` behind its last. */
static const struct fold_row *
row_of(uint32_t c, size_t low, size_t high)
{
	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (fold_rows[middle].first <= c)
			low = middle;
		else
			high = middle;
	}
	return &fold_rows[low];
}

size_t
fold_character(uint32_t c, uint32_t out[static FOLD_MOST])
{
	uint32_t               page = c >> 8, away;
	const struct fold_row *r;

	out[0] = c;
	if (c < 0x80) {
		out[0] = c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c;
		return 1;
	}
	if (c >= SYLLABLES && c < SYLLABLES_END)
		return fold_hangul(c, out);
	if (page >= FOLD_PAGES || fold_pages[page] == fold_pages[page + 1])
		return 1;
	r = row_of(c, fold_pages[page], fold_pages[page + 1]);
	away = c - r->first;
	if (c < r->first || away % r->step != 0 || away / r->step >= r->count)
		return 1;
	if (r->size > 1)
		memcpy(out, fold_pool + r->to, r->size * sizeof *out);
	else
		out[0] = r->to + away;
	return r->size;
}
