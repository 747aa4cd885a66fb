/*
 * sorter -- a sort that can be put down and taken up again: by the digits of the keys first, where they
 *           are in no order, then by merging
 *
 * To:       SORT and THREAD, which may have a million messages and some milliseconds
 *
 * sorter_open()  `item` is sorted in place; what is equal stays in its order.  `differ` is asked where the
 *                keys are equal: <0, 0, >0; NULL: equal keys are equal.
 * sorter_go()    about `most` comparisons of it; true when it is done.
 */
#ifndef ACCESS_IMAP_SORTER_H
#define ACCESS_IMAP_SORTER_H

#include "base/arena.h"

struct sort_item {
	uint64_t key;
	uint32_t number, row;
};
enum { DIGIT_BITS = 11, DIGITS = 6 };
struct sorter {
	struct sort_item *item, *from, *to;
	size_t            count, width, at;    /* of what is merged; where the pair begins */
	size_t            left, right, next;   /* in the pair                              */
	unsigned          digit;               /* being sorted by; DIGITS: over            */
	uint64_t          differing;           /* bits in which keys differ                */
	uint32_t         *tally;               /* of a digit's values                      */
	bool              tallied;
	int (*differ)(const void *ctx, const struct sort_item *, const struct sort_item *);
	const void       *ctx;
};

void sorter_open(struct sorter *, struct sort_item *item, size_t count, struct arena *,
                 int (*differ)(const void *ctx, const struct sort_item *, const struct sort_item *),
                 const void *ctx);
bool sorter_go(struct sorter *, size_t most);
/* A number as a key of the same order. */
static inline uint64_t sort_key_of(int64_t n) { return (uint64_t)n ^ UINT64_C(0x8000000000000000); }
/* The first bytes of a string as a key: where keys differ strings do, in the same way. */
uint64_t sort_key_of_text(struct bytes);

#endif
