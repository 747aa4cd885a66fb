/*
 * loop_inner -- what the neighbours in channel/ share through their loop
 *
 * Two scratches, so that an idle connection holds none: `in` for what is being
 * read (its view lasts for one callback), `out` for pieces of files on their
 * way.  Reading happens only from the loop, so nobody reads inside a reader.
 *
 * A shelf is a neighbour's own state for each loop.  `rest` is called at rest,
 * after every hook of the house (they make output, this sends it) and calls
 * nobody back, so that it need not go round again; `end` when the loop closes.
 */
#ifndef CHANNEL_LOOP_INNER_H
#define CHANNEL_LOOP_INNER_H

#include "channel/loop.h"
#include <stddef.h>

enum {
	LOOP_SCRATCH_IN  = 72 << 10,   /* 64 KiB to read, and what was left before it */
	LOOP_SCRATCH_OUT = 32 << 10,
};
char *loop_scratch_in(struct loop *);
char *loop_scratch_out(struct loop *);

enum loop_shelf { LOOP_STREAMS, LOOP_LINKS, LOOP_SHELVES };
/* NULL before loop_shelve(). */
void *loop_shelf(const struct loop *, enum loop_shelf);
void  loop_shelve(struct loop *, enum loop_shelf, void *thing,
                  void (*rest)(void *thing), void (*end)(void *thing));

#endif
