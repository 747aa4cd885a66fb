/* text-search.c -- looking for a needle in the text index (text.h) */
#include <lz4.h>
#include <string.h>

#include "base/checksum.h"
#include "spool/disk.h"
#include "store/inside.h"
#include "store/text-inside.h"

/* Runs of three bytes of the needle that are looked up in a block's filter. */
enum { RUNS_MOST = 8 };

bool
text_block_read(struct text *t, const struct text_block *b, struct buffer *out)
{
	const struct text_head *h = &b->head;
	char                   *packed = memory_take(h->packed_len + (size_t)1);
	uint64_t                at = b->at + text_block_size(h) - h->packed_len;
	char                   *room = buffer_room(out, h->text_len + (size_t)1);
	bool                    right;

	right = disk_read(t->fd, packed, h->packed_len, at) == 0 &&
	        checksum_of((struct bytes){ packed, h->packed_len }) == h->text_sum &&
	        LZ4_decompress_safe(packed, room, (int)h->packed_len, (int)h->text_len) ==
	                (int)h->text_len;
	if (right)
		buffer_took(out, h->text_len);
	memory_free(packed);
	return right;
}

/* The words of a block, which begin `at`. */
struct words_file {
	const struct text *text;
	uint64_t           at;
};

static bool
places_read(void *ctx, uint32_t at, uint32_t len, struct buffer *out)
{
	const struct words_file *f = ctx;

	if (disk_read(f->text->fd, buffer_room(out, len), len, f->at + at) != 0)
		return false;
	buffer_took(out, len);
	return true;
}

/* Which entries have all words of the needle; false when the words are damaged. */
static bool
words_look(const struct text_ask *q, const struct text_block *b, unsigned pieces, uint64_t *bits)
{
	struct text            *t = q->text;
	const struct text_head *h = &b->head;
	uint64_t                at = b->at + text_block_size(h) - h->packed_len - h->places_len;
	struct words_file       file = { t, at };
	struct words_section    section = { .places = places_read, .ctx = &file };

	buffer_reset(&t->block_words);
	if (disk_read(t->fd, buffer_room(&t->block_words, h->words_len), h->words_len,
	              at - h->words_len) != 0)
		return false;
	buffer_took(&t->block_words, h->words_len);
	section.index = buffer_bytes(&t->block_words);
	return checksum_of(section.index) == h->words_sum &&
	       words_find(&section, &q->words, pieces, bits, h->entries);
}

/* ---- asking --------------------------------------------------------------------------------- */

void
text_ask_open(struct text_ask *q, struct text *t, struct arena *arena)
{
	q->text = t;
	q->made = t->generation;
	q->room = t->entries;
	q->bits = arena_take_array(arena, q->room / 64 + 1, sizeof *q->bits);
	q->wanted = arena_take_array(arena, t->blocks / 64 + 1, sizeof *q->wanted);
	q->blocks = t->blocks;
	q->block = 0;
	q->limit = 0;
	words_ask(q->needle.len > 0 ? q->needle : q->field, &q->words);
}

/* The block an entry is in; the number of blocks: in the tail. */
static uint32_t
block_of(const struct text *t, uint32_t entry)
{
	uint32_t low = 0, high = t->blocks;

	if (entry >= t->tail_first)
		return t->blocks;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (t->block[middle].first <= entry)
			low = middle;
		else
			high = middle;
	}
	return low;
}

void
text_want(struct text_ask *q, uint64_t message)
{
	int64_t  place = text_place(q->text, message);
	uint32_t block;

	if (place < 0 || q->made != q->text->generation || (uint32_t)place >= q->room)
		return;
	block = block_of(q->text, (uint32_t)place);
	if (block < q->text->blocks)
		q->wanted[block / 64] |= (uint64_t)1 << (block % 64);
}

void
text_want_all(struct text_ask *q)
{
	for (uint32_t i = 0; i <= q->blocks / 64; i++)
		q->wanted[i] = UINT64_MAX;
}

/* What is looked for in the text: of an empty needle the name of its field. */
static struct bytes
needle_of(const struct text_ask *q)
{
	return q->needle.len > 0 ? q->needle : q->field;
}

static bool
filter_passes(const struct text_ask *q, const struct text_block *b)
{
	struct bytes         needle = needle_of(q);
	const unsigned char *p = (const unsigned char *)needle.at;
	uint64_t             filter = b->at + TEXT_HEAD + (uint64_t)b->head.entries * TEXT_ROW;
	size_t               runs = needle.len < 3 ? 0 : needle.len - 2;
	size_t               step = runs > RUNS_MOST ? runs / RUNS_MOST : 1;

	for (size_t i = 0; i < runs; i += step) {
		uint32_t      bit = text_filter_bit(p + i, b->head.filter_log2);
		unsigned char byte;

		/* What cannot be read is found out when the block is. */
		if (disk_read(q->text->fd, &byte, 1, filter + bit / 8) != 0)
			return true;
		if (!(byte >> (bit % 8) & 1))
			return false;
	}
	return true;
}

/* ---- one entry -------------------------------------------------------------------------------- */

/* "name: value" begins behind the separator before `at`. */
static bool
field_says(const struct text_ask *q, struct bytes header, size_t at)
{
	const char  *before = at > 0 ? memrchr(header.at, SEARCH_SEPARATOR, at) : NULL;
	size_t       begin = before != NULL ? (size_t)(before - header.at) + 1 : 0;
	struct bytes field = bytes_cut(header, begin, header.len);

	if (!bytes_starts_nocase(field, q->field) ||
	    !bytes_starts(bytes_cut(field, q->field.len, 2), BYTES(": ")))
		return false;
	return q->needle.len == 0 || at >= begin + q->field.len + 2;
}

static bool
header_says(const struct text_ask *q, struct bytes header)
{
	struct bytes needle = needle_of(q), rest = header;
	ptrdiff_t    at;

	while ((at = bytes_search(rest, needle)) >= 0) {
		size_t place = (size_t)(rest.at - header.at) + (size_t)at;
		if (field_says(q, header, place))
			return true;
		rest = bytes_cut(header, place + 1, header.len);
	}
	return false;
}

static bool
entry_says(const struct text_ask *q, struct bytes text, const struct text_row *r)
{
	struct bytes own = bytes_cut(text, r->at, r->own_len);
	struct bytes header = bytes_cut(text, r->at + r->own_len, r->header_len);
	struct bytes body =
		bytes_cut(text, r->at + r->own_len + (size_t)r->header_len, r->body_len);

	switch (q->where) {
	case SEARCH_BODY: return bytes_search(body, q->needle) >= 0;
	case SEARCH_TEXT:
		return bytes_search(own, q->needle) >= 0 || bytes_search(header, q->needle) >= 0 ||
		       bytes_search(body, q->needle) >= 0;
	case SEARCH_HEADER:
		return header_says(q, header) || search_own_says(own, q->field, q->needle);
	}
	return false;
}

static void
says(struct text_ask *q, uint32_t entry)
{
	if (entry < q->room)
		q->bits[entry / 64] |= (uint64_t)1 << (entry % 64);
}

/* Entries that hold the needle somewhere are looked at; most texts do not hold it at all.
   `among` tells which may; NULL: any. */
static void
search_text(struct text_ask *q, struct bytes text, struct bytes rows, uint32_t first,
            const uint64_t *among)
{
	struct bytes    needle = needle_of(q);
	struct unpack   u = unpack_of(rows);
	const char     *hit = NULL;
	struct text_row r;

	for (uint32_t entry = 0; u.rest.len > 0 && text_row_unpack(&u, (uint32_t)text.len, &r);
	     entry++) {
		size_t end = (size_t)r.at + r.own_len + r.header_len + r.body_len;

		if (r.too_long || (among != NULL && !(among[entry / 64] >> (entry % 64) & 1)))
			continue;
		if (hit == NULL || hit < text.at + r.at)
			hit = memmem(text.at + r.at, text.len - r.at, needle.at, needle.len);
		if (hit == NULL)
			return;
		if (hit < text.at + end && entry_says(q, text, &r))
			says(q, first + entry);
	}
}

/* What the words of the block tell: true when that is all there is to know.  Else the bits of the entries that
   may say it are set in *among, NULL: of any. */
static bool
search_words(struct text_ask *q, const struct text_block *b, struct buffer *among_bits,
             const uint64_t **among)
{
	unsigned  pieces = q->where == SEARCH_BODY     ? WORDS_BODY
	                   : q->where == SEARCH_HEADER ? WORDS_HEADER
	                                               : WORDS_HEADER | WORDS_BODY;
	size_t    words = b->head.entries / 64 + (size_t)1;
	uint64_t *bits, any = 0;

	*among = NULL;
	if (b->head.words_len == 0 || q->words.terms == 0)
		return false;
	bits = (uint64_t *)(void *)buffer_room(among_bits, words * sizeof *bits);
	if (!words_look(q, b, pieces, bits)) {
		text_damaged(q->text, "the words of a block cannot be read");
		return true;
	}
	for (size_t i = 0; i < words; i++)
		any |= bits[i];
	*among = bits;
	if (!q->words.tells || q->where == SEARCH_HEADER)
		return any == 0;
	for (uint32_t i = 0; any != 0 && i < b->head.entries; i++)
		if (bits[i / 64] >> (i % 64) & 1)
			says(q, b->first + i);
	return true;
}

static void
search_block(struct text_ask *q, const struct text_block *b)
{
	struct text    *t = q->text;
	size_t          len = b->head.entries * (size_t)TEXT_ROW;
	struct buffer   rows = { 0 }, bits = { 0 };
	const uint64_t *among;
	uint32_t        number = (uint32_t)(b - t->block);

	if (q->known != NULL && text_field_bits(q->known, t, number, q->needle, q->room, q->bits))
		return;
	if (!filter_passes(q, b))
		return;
	if (search_words(q, b, &bits, &among)) {
		buffer_free(&bits);
		return;
	}
	buffer_reset(&t->block_text);
	if (disk_read(t->fd, buffer_room(&rows, len), len, b->at + TEXT_HEAD) != 0 ||
	    !text_block_read(t, b, &t->block_text)) {
		text_damaged(t, "a block cannot be read");
	} else {
		buffer_took(&rows, len);
		search_text(q, buffer_bytes(&t->block_text), buffer_bytes(&rows), b->first, among);
		if (q->known != NULL)
			text_field_learn(q->known, t, number, buffer_bytes(&t->block_text),
			                 buffer_bytes(&rows));
	}
	buffer_free(&rows);
	buffer_free(&bits);
}

bool
text_ask_go(struct text_ask *q, uint32_t blocks)
{
	struct text *t = q->text;

	/* Another search may have put others in its place since the last turn. */
	q->known = q->where == SEARCH_HEADER && q->made == t->generation
	                   ? text_field_of(t, q->field)
	                   : NULL;
	for (; q->made == t->generation && q->block < t->blocks && blocks > 0; q->block++) {
		/* A block that came since the beginning was the tail then; after it nothing is asked for. */
		if (t->block[q->block].first >= q->room) {
			q->block = t->blocks;
			break;
		}
		if (q->block < q->blocks && !(q->wanted[q->block / 64] >> (q->block % 64) & 1))
			continue;
		blocks--;
		search_block(q, &t->block[q->block]);
	}
	if (q->made != t->generation)
		return true;
	if (q->block < t->blocks)
		return false;
	if (t->tail_first < q->room)
		search_text(q, buffer_bytes(&t->tail), buffer_bytes(&t->tail_rows), t->tail_first,
		            NULL);
	q->limit = q->room;
	buffer_free(&t->block_text);
	buffer_free(&t->block_words);
	return true;
}
