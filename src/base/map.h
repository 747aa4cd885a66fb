/*
 * map -- things found by their bytes; keyed with SipHash and a secret of this
 * process, so nobody outside can choose keys that collide
 *
 * Keys are copied.  Values are the caller's pointers.
 * map_get() NULL when absent; map_put() returns the old value or NULL;
 * map_drop() returns the value it forgot.  map_next() walks in no order:
 *     for (struct map_place p = { 0 }; map_next(m, &p);) use(p.key, p.value);
 * (dropping the entry at p during the walk is allowed, adding is not).
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/bytes.h"

struct map;
struct map_place { size_t _at; struct bytes key; void *value; };
struct map *map_open(void);
void   map_close(struct map **);
void  *map_get(const struct map *, struct bytes key);
void  *map_put(struct map *, struct bytes key, void *value);
void  *map_drop(struct map *, struct bytes key);
size_t map_count(const struct map *);
bool   map_next(const struct map *, struct map_place *);
/* The same for numbers. */
static inline struct bytes map_number(const uint64_t *n) { return (struct bytes){ (const char *)n, sizeof *n }; }
/* SipHash-2-4 with the secret of this process. */
uint64_t hash_of(struct bytes);
/* The same with a key that is known, for the test vectors. */
uint64_t hash_with(const uint64_t key[2], struct bytes);

#endif
