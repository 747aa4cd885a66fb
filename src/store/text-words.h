/*
 * text-words -- which words the messages of a block have, so that their text need not be read
 *
 * From:     text.c makes one with each block, text-search.c asks it
 * Touches:  nothing
 *
 * A word is a longest run of ASCII letters and digits and characters of two bytes in UTF-8
 * (accented Latin, Greek, Cyrillic, Hebrew, Arabic), or two neighbours among the longer characters (Chinese, Japanese,
 * Korean, ...), or one of those that stands alone.  Where a needle stands in a text, the words of the needle stand in words of
 * the text; so a needle that is one word needs no text to be looked for, and others only
 * the texts of the messages that have all their words.
 *
 * words_ask()    takes a needle apart.  No terms: words tell nothing about it (blanks and signs only, or
 *                not UTF-8).
 * words_make()   the words of a block's text, appended to *index, and which entries have each, appended to
 *                *places; nothing when the text is so long that they are not worth it.
 * words_find()   sets the bit of each entry that has all terms in a piece of `pieces`; of the places it reads
 *                what it needs.  False: something is not whole.  There are bits for `room` entries.
 */
#ifndef STORE_TEXT_WORDS_H
#define STORE_TEXT_WORDS_H

#include "base/buffer.h"

enum words_piece { WORDS_HEADER = 1, WORDS_BODY = 2 };      /* our own fields are header */
enum { WORDS_TERMS = 6 };
struct words_ask {
	struct { struct bytes word; bool whole; } term[WORDS_TERMS];       /* whole: exactly this word; views of the needle */
	unsigned terms;
	bool     tells;        /* the needle is its only term: who has it, says it */
};
void words_ask(struct bytes needle, struct words_ask *out);

struct text_row;
void words_make(struct bytes text, const struct text_row *, uint32_t rows, struct buffer *index, struct buffer *places);

struct words_section {
	struct bytes index;
	/* The places from `at` on, appended to *out. */
	bool (*places)(void *ctx, uint32_t at, uint32_t len, struct buffer *out);
	void  *ctx;
};
bool words_find(const struct words_section *, const struct words_ask *, unsigned pieces, uint64_t *bits, uint32_t room) __attribute__((warn_unused_result));

#endif
