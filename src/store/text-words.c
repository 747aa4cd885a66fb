#include "store/text-words.h"

#include <string.h>

#include "base/checksum.h"
#include "base/pack.h"
#include "store/text-inside.h"

/* Words of a longer text are not kept: making them would stop the others. */
enum { TEXT_WORTH = 1 << 20 };
/* Words between two marks; a mark says where words and places of the next ones begin, and the places' checksum. */
enum { MARK_EACH = 32, MARK_SIZE = 12 };
/* So many reads of places in a section, then it is read whole: a part of a word can stand in many words. */
enum { READS_ALONE = 4 };
#define NOWHERE UINT32_MAX

/* ---- taking text apart ---------------------------------------------------------------- */

enum kind { BREAK, LETTER, WIDE };

/* How long the character is, and what; one that is not UTF-8 is a break of one byte. */
static size_t
character(struct bytes text, size_t at, enum kind *kind)
{
	unsigned char c = (unsigned char)text.at[at];
	size_t        len = c < 0xc2 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 1;

	*kind = BREAK;
	if (c < 0x80) {
		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
			*kind = LETTER;
		return 1;
	}
	if (len == 1 || len > text.len - at)
		return 1;
	for (size_t i = 1; i < len; i++)
		if (((unsigned char)text.at[at + i] & 0xc0) != 0x80)
			return 1;
	*kind = len == 2 ? LETTER : WIDE;
	return len;
}

/* One run of characters of a kind, from *at on, and how many they are; false at the end. */
struct run {
	struct bytes text;
	enum kind    kind;
	size_t       characters;
};

static bool
next_run(struct bytes text, size_t *at, struct run *r)
{
	enum kind kind;
	size_t    begin, len;

	do {
		if (*at == text.len)
			return false;
		begin = *at;
		len = character(text, begin, &r->kind);
		*at += len;
	} while (r->kind == BREAK);
	r->characters = 1;
	while (*at < text.len) {
		len = character(text, *at, &kind);
		if (kind != r->kind)
			break;
		*at += len;
		r->characters++;
	}
	r->text = bytes_cut(text, begin, *at - begin);
	return true;
}

/* The words of a run: itself, or each two neighbours. */
static bool
next_word(const struct run *r, size_t *at, struct bytes *word)
{
	enum kind kind;
	size_t    one, two;

	if (*at == r->text.len)
		return false;
	if (r->kind == LETTER || r->characters == 1) {
		*word = r->text;
		*at = r->text.len;
		return true;
	}
	one = character(r->text, *at, &kind);
	two = character(r->text, *at + one, &kind);
	*word = bytes_cut(r->text, *at, one + two);
	*at = *at + one + two == r->text.len ? r->text.len : *at + one;
	return true;
}

/* A character that is cut off may be part of another in the text. */
static bool
is_utf8(struct bytes b)
{
	enum kind kind;

	for (size_t at = 0; at < b.len;) {
		size_t len = character(b, at, &kind);
		if (kind == BREAK && (unsigned char)b.at[at] >= 0x80)
			return false;
		at += len;
	}
	return true;
}

void
words_ask(struct bytes needle, struct words_ask *q)
{
	struct run   r;
	struct bytes word;

	*q = (struct words_ask){ .terms = 0 };
	if (!is_utf8(needle))
		return;
	for (size_t at = 0; next_run(needle, &at, &r);) {
		bool within = r.text.at > needle.at && at < needle.len;

		q->tells |= q->terms == 0 && r.text.len == needle.len &&
		            (r.kind == LETTER || r.characters <= 2);
		for (size_t in = 0; q->terms < WORDS_TERMS && next_word(&r, &in, &word);) {
			q->term[q->terms].word = word;
			q->term[q->terms++].whole = within || (r.kind == WIDE && r.characters > 1);
		}
	}
}

/* ---- making ------------------------------------------------------------------------------ */

struct seen {
	uint32_t next, entry;
	uint8_t  pieces;
};
struct word {
	struct bytes text;
	uint32_t     hash, first, last;
};
struct making {
	struct word *word;
	struct seen *seen;
	uint32_t    *slot;
	uint32_t     words, words_room, seens, seens_room, slots;
};

static uint32_t
word_hash(struct bytes b)
{
	uint64_t h = b.len * UINT64_C(0x9e3779b97f4a7c15);

	for (size_t i = 0; i < b.len; i++)
		h = (h ^ (unsigned char)b.at[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)(h ^ h >> 32);
}

static void
slots_make(struct making *m, uint32_t slots)
{
	memory_free(m->slot);
	m->slots = slots;
	m->slot = memory_take(slots * sizeof *m->slot);
	for (uint32_t i = 0; i < m->words; i++) {
		uint32_t at = m->word[i].hash & (slots - 1);
		while (m->slot[at] != 0)
			at = (at + 1) & (slots - 1);
		m->slot[at] = i + 1;
	}
}

static struct word *
word_of(struct making *m, struct bytes text)
{
	uint32_t hash = word_hash(text), at = hash & (m->slots - 1);

	for (; m->slot[at] != 0; at = (at + 1) & (m->slots - 1)) {
		struct word *w = &m->word[m->slot[at] - 1];
		if (w->hash == hash && bytes_equal(w->text, text))
			return w;
	}
	if (m->words == m->words_room) {
		m->words_room *= 2;
		m->word = memory_resize(m->word, m->words_room * sizeof *m->word);
	}
	m->word[m->words++] = (struct word){ text, hash, NOWHERE, NOWHERE };
	m->slot[at] = m->words;
	if (m->words > m->slots / 2)
		slots_make(m, m->slots * 2);
	return &m->word[m->words - 1];
}

static void
note_word(struct making *m, struct bytes text, uint32_t entry, uint8_t piece)
{
	struct word *w = word_of(m, text);

	if (w->last != NOWHERE && m->seen[w->last].entry == entry) {
		m->seen[w->last].pieces |= piece;
		return;
	}
	if (m->seens == m->seens_room) {
		m->seens_room *= 2;
		m->seen = memory_resize(m->seen, m->seens_room * sizeof *m->seen);
	}
	m->seen[m->seens] = (struct seen){ NOWHERE, entry, piece };
	if (w->last == NOWHERE)
		w->first = m->seens;
	else
		m->seen[w->last].next = m->seens;
	w->last = m->seens++;
}

static void
note_piece(struct making *m, struct bytes text, uint32_t entry, uint8_t piece)
{
	struct run   r;
	struct bytes word;

	for (size_t at = 0; next_run(text, &at, &r);)
		for (size_t in = 0; next_word(&r, &in, &word);)
			note_word(m, word, entry, piece);
}

/* Seven bits a byte, the last one below 128. */
static void
pack_short(struct buffer *out, uint32_t n)
{
	for (; n >= 128; n >>= 7)
		pack_u8(out, (uint8_t)(n | 128));
	pack_u8(out, (uint8_t)n);
}

/* How many, and each: the distance from the one before, and in which pieces. */
static void
pack_places(const struct making *m, const struct word *w, struct buffer *out)
{
	uint32_t count = 0, before = 0;

	for (uint32_t i = w->first; i != NOWHERE; i = m->seen[i].next)
		count++;
	pack_short(out, count);
	for (uint32_t i = w->first; i != NOWHERE; i = m->seen[i].next) {
		pack_short(out, (m->seen[i].entry - before) << 2 | m->seen[i].pieces);
		before = m->seen[i].entry;
	}
}

static void
pack_section(const struct making *m, struct buffer *index, struct buffer *places)
{
	struct buffer words = { 0 };
	size_t        begin = places->len;

	pack_u32(index, m->words);
	pack_u8(&words, 0);
	for (uint32_t i = 0; i < m->words;) {
		size_t from = places->len;

		pack_u32(index, (uint32_t)words.len);
		pack_u32(index, (uint32_t)(from - begin));
		do {
			buffer_add(&words, m->word[i].text);
			pack_u8(&words, 0);
			pack_places(m, &m->word[i], places);
		} while (++i < m->words && i % MARK_EACH != 0);
		pack_u32(index, checksum_of(bytes_cut(buffer_bytes(places), from, places->len)));
	}
	pack_u32(index, (uint32_t)(places->len - begin));
	buffer_add(index, buffer_bytes(&words));
	buffer_free(&words);
}

void
words_make(struct bytes text, const struct text_row *row, uint32_t rows, struct buffer *index,
           struct buffer *places)
{
	struct making m = { .words_room = 1024, .seens_room = 4096 };

	if (text.len > TEXT_WORTH)
		return;
	m.word = memory_take(m.words_room * sizeof *m.word);
	m.seen = memory_take(m.seens_room * sizeof *m.seen);
	slots_make(&m, 4096);
	for (uint32_t i = 0; i < rows; i++) {
		const struct text_row *r = &row[i];
		size_t                 body = r->at + r->own_len + (size_t)r->header_len;

		note_piece(&m, bytes_cut(text, r->at, r->own_len), i, WORDS_HEADER);
		note_piece(&m, bytes_cut(text, r->at + r->own_len, r->header_len), i, WORDS_HEADER);
		note_piece(&m, bytes_cut(text, body, r->body_len), i, WORDS_BODY);
	}
	pack_section(&m, index, places);
	memory_free(m.word);
	memory_free(m.seen);
	memory_free(m.slot);
}

/* ---- finding -------------------------------------------------------------------------------- */

/* Marks and words, and the places of the mark that was asked for last: read alone, or all together when many were. */
struct section {
	const struct words_section *from;
	struct bytes                marks, words;
	uint32_t                    places_len;
	size_t                      mark;
	unsigned                    reads;
	bool                        together;
	struct bytes                here;
	struct buffer               places;
};

static bool
section_of(const struct words_section *from, struct section *s)
{
	struct unpack u = unpack_of(from->index);
	uint64_t      count = unpack_u32(&u);
	uint64_t      marks = (count + MARK_EACH - 1) / MARK_EACH * MARK_SIZE;

	*s = (struct section){ .from = from, .mark = SIZE_MAX };
	s->marks = bytes_cut(u.rest, 0, marks);
	u = unpack_of(bytes_cut(u.rest, marks, u.rest.len));
	s->places_len = unpack_u32(&u);
	s->words = u.rest;
	return !u.broken && s->marks.len == marks && s->words.len > 0 && s->words.at[0] == '\0' &&
	       s->words.at[s->words.len - 1] == '\0';
}

struct mark {
	uint32_t word, place, sum;
};

static struct mark
mark_at(const struct section *s, size_t mark)
{
	struct unpack u = unpack_of(bytes_cut(s->marks, mark * MARK_SIZE, MARK_SIZE));
	struct mark   m = { unpack_u32(&u), unpack_u32(&u), unpack_u32(&u) };

	return m;
}

static bool
unpack_short(struct bytes *b, uint32_t *n)
{
	*n = 0;
	for (unsigned shift = 0; b->len > 0 && shift < 32; shift += 7) {
		unsigned char c = (unsigned char)b->at[0];
		*b = bytes_cut(*b, 1, b->len);
		*n |= (uint32_t)(c & 127) << shift;
		if (c < 128)
			return true;
	}
	return false;
}

static bool
bring_places(struct section *s, uint32_t from, uint32_t end)
{
	if (!s->together && ++s->reads > READS_ALONE) {
		s->together = true;
		buffer_reset(&s->places);
		if (!s->from->places(s->from->ctx, 0, s->places_len, &s->places))
			return false;
	}
	if (s->together) {
		s->here = bytes_cut(buffer_bytes(&s->places), from, end - from);
		return s->here.len == end - from;
	}
	buffer_reset(&s->places);
	if (!s->from->places(s->from->ctx, from, end - from, &s->places))
		return false;
	s->here = buffer_bytes(&s->places);
	return true;
}

static bool
read_places(struct section *s, size_t mark)
{
	struct mark m = mark_at(s, mark);
	bool        last = (mark + 1) * MARK_SIZE == s->marks.len;
	uint32_t    end = last ? s->places_len : mark_at(s, mark + 1).place;

	if (s->mark == mark)
		return true;
	s->mark = SIZE_MAX;
	if (end < m.place || end > s->places_len || !bring_places(s, m.place, end) ||
	    checksum_of(s->here) != m.sum)
		return false;
	s->mark = mark;
	return true;
}

/* The places of the word that begins at `at`. */
static bool
places_of(struct section *s, size_t at, struct bytes *places)
{
	size_t   low = 0, high = s->marks.len / MARK_SIZE, skip = 0;
	uint32_t count, place;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (mark_at(s, middle).word <= at)
			low = middle;
		else
			high = middle;
	}
	if (high == 0 || !read_places(s, low))
		return false;
	for (size_t i = mark_at(s, low).word; i < at; i++)
		skip += s->words.at[i] == '\0';
	*places = s->here;
	while (skip-- > 0) {
		if (!unpack_short(places, &count))
			return false;
		while (count-- > 0)
			if (!unpack_short(places, &place))
				return false;
	}
	return true;
}

static bool
set_places(struct bytes places, unsigned pieces, uint64_t *bits, uint32_t room)
{
	uint32_t count, place, entry = 0;

	if (!unpack_short(&places, &count))
		return false;
	for (; count > 0; count--) {
		if (!unpack_short(&places, &place))
			return false;
		entry += place >> 2;
		if (entry >= room)
			return false;
		if (place & pieces)
			bits[entry / 64] |= (uint64_t)1 << (entry % 64);
	}
	return true;
}

/* All words that have the term in them, or the one that is it. */
static bool
find_term(struct section *s, struct bytes term, bool whole, unsigned pieces, uint64_t *bits,
          uint32_t room)
{
	struct bytes places;
	ptrdiff_t    hit;
	size_t       at = 1;

	while (at < s->words.len &&
	       (hit = bytes_search(bytes_cut(s->words, at, s->words.len), term)) >= 0) {
		size_t      begin = at + (size_t)hit, end = begin + term.len;
		const char *zero = memrchr(s->words.at, '\0', begin);
		size_t      first = (size_t)(zero - s->words.at) + 1;

		at = (size_t)((const char *)memchr(s->words.at + end, '\0', s->words.len - end) -
		              s->words.at) +
		     1;
		if (whole && (first != begin || at != end + 1))
			continue;
		if (!places_of(s, first, &places) || !set_places(places, pieces, bits, room))
			return false;
	}
	return true;
}

bool
words_find(const struct words_section *from, const struct words_ask *q, unsigned pieces,
           uint64_t *bits, uint32_t room)
{
	struct section s;
	size_t         len = room / 64 + 1;
	uint64_t      *one = memory_take(len * sizeof *one);
	bool           whole = section_of(from, &s);

	for (unsigned i = 0; whole && i < q->terms; i++) {
		uint64_t *to = i == 0 ? bits : one;

		memset(to, 0, len * sizeof *to);
		whole = find_term(&s, q->term[i].word, q->term[i].whole, pieces, to, room);
		for (size_t n = 0; i > 0 && n < len; n++)
			bits[n] &= one[n];
	}
	buffer_free(&s.places);
	memory_free(one);
	return whole;
}

#undef NOWHERE
