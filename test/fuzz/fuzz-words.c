/* The words of a block of a text index: what is on the disk may be anything, and is refused or asked within its bounds.
   The first byte says how much of the input is needle, the second how much of the rest is places; checksums are made
   right, or the fuzzer would never come past them. */
#include "base/checksum.h"
#include "base/pack.h"
#include "store/text-inside.h"
#include "store/text-words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ENTRIES = 100, MARK = 12, EACH = 32 };

static bool
part(void *ctx, uint32_t at, uint32_t len, struct buffer *out)
{
	const struct bytes *places = ctx;

	if (at > places->len || len > places->len - at)
		return false;
	buffer_add(out, bytes_cut(*places, at, len));
	return true;
}

static uint32_t
number(const char *at)
{
	struct unpack u = unpack_of((struct bytes){ at, 4 });

	return unpack_u32(&u);
}

/* Each mark gets the sum of the places up to the next one's. */
static void
sums_right(struct buffer *index, struct bytes places)
{
	size_t marks = index->len < 4 ? 0 : (number(index->at) + (size_t)EACH - 1) / EACH;

	for (size_t i = 0; i < marks && 4 + (i + 1) * MARK + (i + 1 < marks ? 8 : 4) <= index->len; i++) {
		char    *mark = index->at + 4 + i * MARK;
		uint32_t from = number(mark + 4), end = number(mark + MARK + (i + 1 < marks ? 4 : 0));
		uint32_t sum = from > end ? 0 : checksum_of(bytes_cut(places, from, end - from));

		for (int n = 0; n < 4; n++)
			mark[8 + n] = (char)(sum >> 8 * n);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes         in = { (const char *)data, size }, needle, places;
	struct buffer        index = { 0 };
	struct words_section s = { .places = part, .ctx = &places };
	struct words_ask     q;
	uint64_t             bits[ENTRIES / 64 + 1];

	if (size < 2)
		return 0;
	needle = bytes_cut(in, 2, data[0] % 24);
	in = bytes_cut(in, 2 + needle.len, in.len);
	places = bytes_cut(in, in.len * data[1] / 255, in.len);
	buffer_add(&index, bytes_cut(in, 0, in.len - places.len));
	sums_right(&index, places);
	s.index = buffer_bytes(&index);
	words_ask(needle, &q);
	if (q.terms > 0 && words_find(&s, &q, WORDS_HEADER | WORDS_BODY, bits, ENTRIES))
		for (uint32_t i = ENTRIES; i < (ENTRIES / 64 + 1) * 64; i++)
			if (bits[i / 64] >> (i % 64) & 1)
				__builtin_trap();
	buffer_free(&index);
	return 0;
}
