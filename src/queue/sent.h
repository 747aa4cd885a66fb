/*
 * sent -- spool/sent: recipients elsewhere that have their letter, until the ledger knows it
 *
 * From:     role/queue alone
 * Touches:  the file, and for a moment one with ".new" behind its name, through the path given to sent_open()
 *
 * What is delivered here is delivered once, since a mailbox knows its letters.  Another host knows nothing: what it said
 * 250 to must be remembered by us, or it gets a second copy after a crash.  The ledger is written once a second; in
 * between this file says it, a record for each recipient, synced before anything more goes to that host by the same connection.
 *
 * sent_open()    NULL with words in *errors.  What a queue before us has written is there: sent_before().
 * sent_before()  whether this recipient of the letter has it already; then it is forgotten.
 * sent_told(), sent_was_told()  the same of a recipient whose sender knows that it was refused.
 * sent_add()     adds a record; sent_gather() gathers what was added since, sent_sync() writes that and makes it durable: 0 or
 *                errno, then it is gathered again with the next; in any thread, one at a time, and sent_synced() in ours when
 *                that is over.
 * sent_finished() the letter is gone: nothing of it matters any more.
 * sent_keep()    at the beginning, when the queue knows its letters: of others nothing is kept.
 * sent_clear()   after a checkpoint of the ledger: all that was added is in it.  Then the file is emptied (when sent_sync() is not at
 *                it).  But what a queue before us wrote stays until it was asked about, or its letter is gone: where the file has
 *                become long, with the next sync another takes its place that has this alone.  That is whole before it has the
 *                name, so whenever the power fails the one or the other is there.
 *
 * A torn record at the end was never relied on, and is left out.  docs/format.md has the bytes.
 */
#ifndef QUEUE_SENT_H
#define QUEUE_SENT_H

#include "base/buffer.h"

struct sent;
struct sent *sent_open(const char *path, struct buffer *errors);
void sent_close(struct sent **);
bool sent_before(struct sent *, uint64_t letter, const char *address);
void sent_add(struct sent *, uint64_t letter, const char *address);
void sent_told(struct sent *, uint64_t letter, const char *address);
bool sent_was_told(struct sent *, uint64_t letter, const char *address);
bool sent_gather(struct sent *);                   /* false: there is nothing           */
int  sent_sync(struct sent *);
void sent_synced(struct sent *);
void sent_finished(struct sent *, uint64_t letter);
void sent_keep(struct sent *, bool (*known)(void *ctx, uint64_t letter), void *ctx);
void sent_clear(struct sent *);

#endif
