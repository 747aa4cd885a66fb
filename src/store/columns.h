/*
 * columns -- what SEARCH, SORT and THREAD ask of every message of a mailbox, in memory
 *
 * From:     access/imap, whose sessions fill them in turns
 * To:       store/message: each row is made once, from the message's digest
 *
 * Strings of one kind stand in one piece of memory, a byte that is in no text between them, so that a
 * word is looked for in all messages at once.  They are folded (message/search.h) but for none.  Rows
 * are in the order of uids; messages expunged later keep theirs until the columns are made anew.
 *
 * columns_take()  those of this mailbox, empty at first; pairs with columns_drop().  They live on after
 *                 the last drop while there is room for all (columns_memory()) and the mailbox is open.
 * columns_fill()  makes at most `most` rows; true when every message has one.
 * columns_find()  the row of a uid at or behind *cursor, or NULL; cheap in the order of uids.
 * column_of()     a row's string; ROW_LONG says that it is only the beginning: ask the digest.
 * column_search() sets the bit of each row from `from` on whose string holds the needle, goes on until
 *                 about `most` bytes were looked at, and returns the row to go on with.
 * ranking_take()  the places of rows 0 to count - 1 in the order of one string (equal strings have the same), as
 *                 somebody worked them out and gave them by ranking_put(); NULL when that was done for fewer than
 *                 `rows`.  Pairs with ranking_drop(); does not change while it is held.
 */
#ifndef STORE_COLUMNS_H
#define STORE_COLUMNS_H

#include "store/store.h"

enum column {
	COLUMN_SUBJECT, COLUMN_FROM, COLUMN_TO, COLUMN_CC, COLUMN_BCC,  /* as the digest has them     */
	COLUMN_BASE,                                                    /* base subject               */
	COLUMN_MAILBOX_FROM, COLUMN_MAILBOX_TO, COLUMN_MAILBOX_CC,      /* addr-mailbox of the first  */
	COLUMN_NAME_FROM, COLUMN_NAME_TO,                               /* as rfc5957:3 shows them    */
	COLUMNS
};
enum row_flag {
	ROW_DAMAGED  = 1 << 0,     /* nothing could be read                         */
	ROW_HAS_DATE = 1 << 1,
	ROW_IS_REPLY = 1 << 2,     /* or forward, by its subject (rfc5256:3)        */
	ROW_LONG     = 1 << 8,     /* ROW_LONG << column                            */
};
struct column_row {
	uint64_t message;
	int64_t  arrived, sent;    /* seconds; sent is 0 without a date             */
	uint64_t id;               /* hash of the message id, 0: none               */
	uint32_t uid, flags, size;
	uint32_t references;       /* where its references end among all            */
	int16_t  zone, sent_zone;  /* minutes east                                  */
	uint32_t end[COLUMNS];     /* where its strings end, the separator included */
};

struct columns;
struct columns *columns_take(struct mailbox *);
void     columns_drop(struct columns **);
bool     columns_fill(struct columns *, uint32_t most);
uint32_t columns_count(const struct columns *);
bool     columns_ready(const struct mailbox *);       /* every message has its row, or all but a few */
const struct column_row *columns_row(const struct columns *, uint32_t index);
const struct column_row *columns_find(const struct columns *, uint32_t uid, uint32_t *cursor);
struct bytes column_of(const struct columns *, const struct column_row *, enum column);
uint32_t column_search(const struct columns *, enum column, struct bytes folded, uint32_t from,
                       size_t most, uint64_t *bits);
/* Hashes of the message ids a row refers to, the oldest first; at most 100, the first and the last. */
size_t   columns_references(const struct columns *, const struct column_row *, const uint64_t **out);
struct ranking { uint32_t users, count; uint32_t place[]; };
struct ranking *ranking_take(const struct columns *, enum column, uint32_t rows);
struct ranking *ranking_make(uint32_t count);          /* held by who made it                */
void     ranking_put(struct columns *, enum column, struct ranking *);
void     ranking_drop(struct ranking **);
/* So many bytes may be kept for mailboxes nobody sorts at the moment; now in use. */
void     columns_memory_most(struct store *, size_t);
size_t   columns_memory(const struct store *);

#endif
