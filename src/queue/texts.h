/*
 * texts -- strings that many letters share: senders, and why a destination does not take them
 *
 * From:     queue
 * Touches:  nothing
 *
 * texts_take()  one that is equal, in memory once however often it is taken; NUL behind it.
 * texts_drop()  it is taken once less; one that is not of here (a constant, an arena's) is left alone.
 */
#ifndef QUEUE_TEXTS_H
#define QUEUE_TEXTS_H

#include "base/bytes.h"

struct texts;
struct texts *texts_open(void);
void        texts_close(struct texts **);
const char *texts_take(struct texts *, struct bytes);
void        texts_drop(struct texts *, const char *);
size_t      texts_count(const struct texts *);           /* different ones */

#endif
