/*
 * keyset -- sets of keywords, each kept once, so that a row needs but the number of its set
 *
 * From:     store/rows, store/keyword
 *
 * A mailbox has at most KEYWORDS_MOST keywords, and far fewer sets of them are in use.  Set 0 is the empty one.
 * keysets_name()  the number of a set, a new one if it is new.
 * keysets_at()    the set of a number; the empty one for numbers never given out.
 * keysets_free()  makes the zeroed, empty state again.
 * Packed: how many keywords, then each as its distance from the one after the last.
 */
#ifndef STORE_KEYSET_H
#define STORE_KEYSET_H

#include "base/map.h"
#include "base/pack.h"

enum { KEYSET_BITS = 256 };
struct keyset { uint64_t word[KEYSET_BITS / 64]; };       /* bit n: keyword KEYWORD_FIRST + n */
struct keysets { struct keyset *set; uint32_t count, room; struct map *place; };

uint32_t keysets_name(struct keysets *, const struct keyset *);
struct keyset keysets_at(const struct keysets *, uint32_t number);
void keysets_free(struct keysets *);
void keyset_add(struct keyset *, int n);
bool keyset_has(const struct keyset *, int n);
struct keyset keyset_both(const struct keyset *, const struct keyset *);     /* in either      */
struct keyset keyset_less(const struct keyset *, const struct keyset *);     /* not in the second */
void keyset_pack(struct buffer *, const struct keyset *);
bool keyset_unpack(struct unpack *, struct keyset *) __attribute__((warn_unused_result));

#endif
