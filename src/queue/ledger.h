/*
 * ledger -- queue.db: the queue's working memory across a restart
 *
 * From:     role/queue alone (one connection)
 * Touches:  queue.db, SQLite, through the path given to ledger_open()
 *
 * It holds the letters that stay (their recipients, tries, next times) and, for each
 * segment, how far the queue has heard of its letters: every letter with an envelope up to
 * that point is either in the ledger or finished.  What lies past it is found again by
 * reading the segment.
 *
 * ledger_checkpoint() writes all of it in one durable transaction: letters that are new or have changed
 * and are not finished are stored, those finished since are removed, marks moved.  0 or -1
 * (said in the log): then the old marks hold and nothing is lost.  Of those that have changed only so many
 * are written as `most` says, the oldest change first; 1: some are left for the next.
 */
#ifndef QUEUE_LEDGER_H
#define QUEUE_LEDGER_H

#include "base/buffer.h"
#include "queue/queue.h"

enum { LEDGER_VERSION = 4 };

struct ledger;
/* NULL with words in *errors: cannot be opened, damaged, or of another version. */
struct ledger *ledger_open(const char *path, struct buffer *errors);
void ledger_close(struct ledger **);
/* So many stored letters come into the queue, by age.  How many, or -1; fewer than asked for: all are there now.  Between
   two calls the ledger may be written. */
long ledger_load(struct ledger *, struct queue *, size_t most);
/* Recipients of this letter that are not in memory (queue/crowd.h) are looked at, in order of number from *from on, `most` of
   them: `choose` says which come, and are then in front of the letter's others and on the schedule.  1: there are more behind
   *from, 0: none, -1: it cannot be read. */
enum ledger_choice { LEDGER_PASS, LEDGER_TAKE, LEDGER_STOP };
int ledger_absent(struct ledger *, struct queue *, struct letter *, uint32_t *from, size_t most, enum ledger_choice (*choose)(void *ctx, const struct recipient *), void *ctx);
/* The clock was set by so much: recipients that are not in memory wait as long as they would have.  0 or -1. */
int ledger_leap(struct ledger *, struct queue *, int64_t ms);
/* How far this segment has been heard; 0: never. */
uint64_t ledger_mark(struct ledger *, uint32_t segment);
/* It never goes back.  Durable with the next checkpoint. */
void ledger_mark_set(struct ledger *, uint32_t segment, uint64_t at);
void ledger_segment_gone(struct ledger *, uint32_t segment);
void ledger_finished(struct ledger *, const struct letter *);            /* its rows go with the next checkpoint */
/* What else is kept under a name: durable with the next checkpoint; "" is forgotten.  `each` is told of those whose name
   begins so. */
void ledger_keep(struct ledger *, const char *name, struct bytes value);
void ledger_kept(struct ledger *, const char *prefix, void (*each)(void *ctx, const char *name, struct bytes value), void *ctx);
int  ledger_checkpoint(struct ledger *, struct queue *, size_t most);
/* After many letters have gone: the file gives back the room they had, when what is left is small enough to do so at once. */
void ledger_shrink(struct ledger *);

#endif
