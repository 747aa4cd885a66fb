/*
 * digests -- the digests of an account's letters, one behind the other
 *
 * From:     store/ahead, store/message; role/keeper-text has them put there, in the background
 * Touches:  accounts/XX/ID/digests (docs/format.md)
 *
 * In the letter log a digest lies behind its letter, and letters of one account lie among those of others.  Who asks for the
 * envelopes of a whole mailbox would read the log from end to end; here they stand without what is between them.
 * docs/decisions/0025 says why there are both.
 *
 * It promises nothing: what is not here is read from the log, and a damaged file is made anew.  The log alone counts:
 * an entry is believed when size, date and the length of what stands before the letter are those of its row.
 *
 * digests_next()   one block more of one open account, of what is safely on the disk; the arena is cleared.  False: there is nothing to do.
 * digests_expect() somebody goes through many messages, and this one will be asked for; false: it is not here.
 * digests_find()   of one that is expected, copies in the arena; false: ask the log.
 * digests_note()   a message has come.
 * digests_left()   rows were dropped, and so many are left: what is mostly of others is made anew.
 * digests_close()  the account is closed.
 */
#ifndef STORE_DIGESTS_H
#define STORE_DIGESTS_H

#include "store/store.h"

enum { DIGESTS_VERSION = 1, DIGESTS_TITLE = 64, DIGESTS_ROWS = 512, DIGESTS_ROW = 48, DIGESTS_LETTERS = 64 };

bool digests_next(struct store *, struct arena *scratch);
bool digests_expect(struct account *, uint64_t message);
bool digests_find(struct account *, const struct message *, struct arena *, struct bytes *packed, struct bytes *prefix);
void digests_note(struct account *);
void digests_left(struct account *, uint64_t rows);
void digests_close(struct account *);

#endif
