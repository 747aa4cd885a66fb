/*
 * fold-table -- what fold_character() gives, as rows
 *
 * A row has `count` characters, every `step`th from `first`.  Where each becomes one, `to` is what the first
 * becomes and the others follow it at the same distances; else `to` is where the `size` characters stand in the pool.
 * fold_pages[n] is the first row of the characters n * 256 and on; rows do not go from one page into the next.
 */
#ifndef MESSAGE_FOLD_TABLE_H
#define MESSAGE_FOLD_TABLE_H

#include <stdint.h>

enum { FOLD_PAGES = 0x2fb };
struct fold_row {
	uint32_t first;
	uint16_t count;
	uint8_t  step, size;
	uint32_t to;
};
extern const struct fold_row fold_rows[];
extern const uint32_t        fold_pool[];
extern const uint16_t        fold_pages[FOLD_PAGES + 1];

#endif
