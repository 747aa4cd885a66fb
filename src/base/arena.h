/*
 * arena -- memory with one of three lives: session, transaction, scratch
 *
 * arena_open()   makes a life inside another (NULL: a life of its own).
 * arena_open_for() the same with so many bytes at once, for a life whose size is known.
 * arena_take()   gives zeroed memory, aligned for anything; never NULL.
 * arena_close()  ends it and every life inside it; sets the pointer NULL;
 *                accepts NULL.  It is the only free() there is.
 * arena_clear()  ends what was taken, and every life inside, but keeps the
 *                arena itself, for scratch.
 *
 * Chunks start small (256 bytes) so that an idle session stays small.
 * Panics when memory is out: the process ends, the spool does not mind.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include "base/bytes.h"

struct arena;
struct arena *arena_open(struct arena *outer);
struct arena *arena_open_for(struct arena *outer, size_t room);
void  arena_close(struct arena **);
void  arena_clear(struct arena *);
void *arena_take(struct arena *, size_t) __attribute__((malloc, alloc_size(2), returns_nonnull));
void *arena_take_array(struct arena *, size_t count, size_t each) __attribute__((malloc, returns_nonnull));
char *arena_copy(struct arena *, struct bytes);          /* NUL added           */
struct bytes arena_keep(struct arena *, struct bytes);   /* same, as a view     */
char *arena_printf(struct arena *, const char *form, ...) __attribute__((format(printf, 2, 3)));
struct bytes arena_lower(struct arena *, struct bytes);  /* ASCII lower-cased   */
size_t arena_size(const struct arena *);                 /* bytes held, with inner lives */

/* Outside any life: the few things that grow and shrink by themselves.  They
   never return NULL. memory_free(NULL) is nothing. */
void *memory_take(size_t) __attribute__((malloc, returns_nonnull));   /* zeroed */
void *memory_resize(void *, size_t) __attribute__((returns_nonnull));
void  memory_free(void *);

#endif
