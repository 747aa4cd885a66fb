/*
 * fold -- letters without regard to case, for all of Unicode (i;unicode-casemap, rfc5051)
 *
 * fold_character() the titlecase of a character, decomposed: one or more characters; how many.
 *                  Hangul syllables become the letters they are written with.
 */
#ifndef MESSAGE_FOLD_H
#define MESSAGE_FOLD_H

#include <stddef.h>
#include <stdint.h>

enum { FOLD_MOST = 18 };
size_t fold_character(uint32_t, uint32_t out[static FOLD_MOST]);

#endif
