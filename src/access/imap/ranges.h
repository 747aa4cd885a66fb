/*
 * ranges -- a set of numbers as ascending ranges that do not touch
 *
 * A zeroed struct ranges is empty and owns nothing; ranges_free() makes it so
 * again.  ranges_add() at the end is cheap; anywhere else it moves what is behind.
 * ranges_set() shows it as the store wants it, until the next change.
 * ranges_text() writes a sequence-set (rfc3501:9), "1:3,7".
 */
#ifndef ACCESS_IMAP_RANGES_H
#define ACCESS_IMAP_RANGES_H

#include "base/buffer.h"
#include "store/store.h"

struct ranges {
	struct uid_range *at;
	size_t            count, room;
};

void     ranges_add(struct ranges *, uint32_t first, uint32_t last);
void     ranges_add_set(struct ranges *, const struct uid_set *);
bool     ranges_hold(const struct ranges *, uint32_t n);
uint64_t ranges_size(const struct ranges *);              /* how many numbers    */
void     ranges_clip(struct ranges *, uint32_t first, uint32_t last);
void     ranges_drop_first(struct ranges *);              /* the whole first range */
/* The first number of the first range above n; 0: none. */
uint32_t ranges_next(const struct ranges *, uint32_t n);
/* To the end of `out`, the numbers of one that the other does not have. */
void     ranges_differ(const struct ranges *, const struct ranges *other, struct ranges *out);
void     ranges_free(struct ranges *);
struct uid_set ranges_set(const struct ranges *);
uint64_t uid_set_size(const struct uid_set *);
bool     uid_set_holds(const struct uid_set *, uint32_t n);
void     uid_set_text(const struct uid_set *, struct buffer *out);

#endif
