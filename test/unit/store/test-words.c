/* The words of a block: what they tell is what a plain look through the texts tells, and they never hide a message. */
#include "unit.h"

#include "base/buffer.h"
#include "store/text-inside.h"
#include "store/text-words.h"

enum { ENTRIES = 70, ROUNDS = 60, NEEDLES = 60 };
static const char *const pieces[] = { "a", "b", "ab", "7", "A", "Z9", " ", ".", "-", "\xff", "\xc3\xa9", "\xd0\x96", "\xe4\xbc\x9a", "\xe8\xae\xae",
	"\xe5\x8c\x97", "\xf0\xa0\x80\x80", "\xef\xbc\x8c", "\xe4", "\x80", "\xc3", "\xf8", "\n" };
static unsigned seed = 11;

static unsigned
any(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static void
any_text(struct buffer *out, unsigned most, unsigned kinds)
{
	for (unsigned n = any(most); n > 0; n--)
		buffer_add(out, bytes_of(pieces[any(kinds)]));
}

static struct text_row row[ENTRIES];

static void
make(struct buffer *text)
{
	for (uint32_t i = 0; i < ENTRIES; i++) {
		row[i] = (struct text_row){ .message = i + 1, .at = (uint32_t)text->len };
		any_text(text, 6, COUNT(pieces));
		row[i].own_len = (uint32_t)text->len - row[i].at;
		any_text(text, 12, COUNT(pieces));
		row[i].header_len = (uint32_t)text->len - row[i].at - row[i].own_len;
		any_text(text, i == 0 ? 4000 : 30, COUNT(pieces));
		row[i].body_len = (uint32_t)text->len - row[i].at - row[i].own_len - row[i].header_len;
	}
}

static bool
says(struct bytes text, const struct text_row *r, unsigned where, struct bytes needle)
{
	size_t header = r->at + r->own_len, body = header + r->header_len;

	return ((where & WORDS_HEADER) && (bytes_search(bytes_cut(text, r->at, r->own_len), needle) >= 0 ||
	                                   bytes_search(bytes_cut(text, header, r->header_len), needle) >= 0)) ||
	       ((where & WORDS_BODY) && bytes_search(bytes_cut(text, body, r->body_len), needle) >= 0);
}

static bool
part(void *ctx, uint32_t at, uint32_t len, struct buffer *out)
{
	const struct buffer *places = ctx;

	buffer_add(out, bytes_cut(buffer_bytes(places), at, len));
	return true;
}

static void
test_words_tell_what_the_text_tells(void **state)
{
	unsigned told = 0, narrowed = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct buffer text = { 0 }, index = { 0 }, places = { 0 };

		make(&text);
		words_make(buffer_bytes(&text), row, ENTRIES, &index, &places);
		for (int i = 0; i < NEEDLES; i++) {
			struct words_section s = { buffer_bytes(&index), part, &places };
			struct buffer        needle = { 0 };
			struct words_ask     q;
			uint64_t             bits[ENTRIES / 64 + 1];
			unsigned             where = 1 + any(3);

			/* Whole characters mostly, as clients send them; sometimes not. */
			any_text(&needle, 6, i % 5 == 0 ? COUNT(pieces) : 17);
			words_ask(buffer_bytes(&needle), &q);
			told += q.tells;
			narrowed += q.terms > 0 && !q.tells;
			if (q.terms > 0)
				HOLDS("whole", words_find(&s, &q, where, bits, ENTRIES));
			for (uint32_t e = 0; q.terms > 0 && e < ENTRIES; e++) {
				bool has = says(buffer_bytes(&text), &row[e], where, buffer_bytes(&needle));
				bool bit = bits[e / 64] >> (e % 64) & 1;
				HOLDS("nothing is hidden", bit || !has);
				HOLDS("what they tell is so", !q.tells || bit == has);
			}
			buffer_free(&needle);
		}
		buffer_free(&text);
		buffer_free(&index);
		buffer_free(&places);
	}
	HOLDS("both happened", told > 500 && narrowed > 500);
}

static void
test_needles_are_taken_apart(void **state)
{
	static const struct { const char *why, *needle; unsigned terms; bool tells; } rows[] = {
		{ "a word", "meeting", 1, true },
		{ "two words", "next meeting", 2, false },
		{ "a word with an accent", "caf\xc3\xa9", 1, true },
		{ "two Chinese characters", "\xe4\xbc\x9a\xe8\xae\xae", 1, true },
		{ "one", "\xe4\xbc\x9a", 1, true },
		{ "three are two pairs", "\xe5\x8c\x97\xe4\xbc\x9a\xe8\xae\xae", 2, false },
		{ "a word and Chinese", "v2\xe4\xbc\x9a\xe8\xae\xae", 2, false },
		{ "a blank at its end", "word ", 1, false },
		{ "signs only", "?! -", 0, false },
		{ "nothing", "", 0, false },
		{ "half a character", "abc\xe4\xbc", 0, false },
		{ "many words: some of them", "a b c d e f g h i j", WORDS_TERMS, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct words_ask q;
		words_ask(bytes_of(rows[i].needle), &q);
		HOLDS(rows[i].why, q.terms == rows[i].terms && q.tells == rows[i].tells);
	}
}

static void
test_a_section_that_is_not_whole_is_refused(void **state)
{
	struct buffer    text = { 0 }, index = { 0 }, places = { 0 };
	struct words_ask q;
	uint64_t         bits[ENTRIES / 64 + 1];
	unsigned         refused = 0;

	(void)state;
	make(&text);
	words_make(buffer_bytes(&text), row, ENTRIES, &index, &places);
	words_ask(BYTES("a"), &q);
	for (size_t len = 0; len < index.len; len += len < 40 ? 1 : 97) {
		struct words_section s = { bytes_cut(buffer_bytes(&index), 0, len), part, &places };
		refused += !words_find(&s, &q, WORDS_BODY, bits, ENTRIES);
	}
	HOLDS("cut ones are refused", refused > 40);
	for (size_t i = 0; i < places.len; i += 13) {
		struct words_section s = { buffer_bytes(&index), part, &places };
		places.at[i] = (char)~places.at[i];
		refused += !words_find(&s, &q, WORDS_BODY, bits, ENTRIES);
		places.at[i] = (char)~places.at[i];
	}
	places.at[0] = (char)~places.at[0];
	HOLDS("a word that many have needs the damaged part", !words_find(&(struct words_section){ buffer_bytes(&index), part, &places }, &q, WORDS_BODY, bits, ENTRIES));
	buffer_free(&text);
	buffer_free(&index);
	buffer_free(&places);
}

UNIT(test_words_tell_what_the_text_tells, test_needles_are_taken_apart, test_a_section_that_is_not_whole_is_refused)
