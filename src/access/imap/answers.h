/*
 * answers -- what FETCH said of messages, kept to be said again
 *
 * From:     imap/fetch; imap/service owns them all
 *
 * Of a message only flags change.  The words of ENVELOPE, BODYSTRUCTURE, chosen header fields and the like are
 * kept as they were said, a column for each item of each mailbox, and a client that asks again is answered
 * from memory, without its row, its digest or its bytes being read.
 *
 * answers_open()   at most so many bytes; 0: nothing is kept.
 * answers_take()   the column of an item; NULL when nothing is kept.  `item` and `utf8` are all that the
 *                  words depend on besides the message.  Pairs with answers_drop(); it stays there until room is needed or it
 *                  was not asked for in some minutes.
 * answers_find()   false: not kept.  The view is good until the next answers_keep() or answers_drop().
 * answers_keep()   unless it is long, or there is no room.
 */
#ifndef ACCESS_IMAP_ANSWERS_H
#define ACCESS_IMAP_ANSWERS_H

#include "base/bytes.h"
#include "channel/loop.h"
#include "store/store.h"

struct answers;
struct answers_column;
struct answer {
	struct bytes text;
	uint32_t     counted;          /* header bytes the log counts, plus one; 0: none */
};

struct answers *answers_open(struct loop *, size_t most);
void answers_close(struct answers **);
void answers_most(struct answers *, size_t most);      /* a setting is new           */
size_t answers_memory(const struct answers *);
struct answers_column *answers_take(struct answers *, struct mailbox *, struct bytes item, bool utf8);
void answers_drop(struct answers_column **);
bool answers_find(struct answers_column *, uint32_t uid, struct answer *out);
void answers_keep(struct answers_column *, uint32_t uid, const struct answer *);

#endif
