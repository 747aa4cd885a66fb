/*
 * letter -- one message of a mailbox, as much of it loaded as is asked
 *
 * From:     imap/fetch, imap/search
 * To:       store
 *
 * letter_begin()  forgets the last one; nothing is read yet.  Memory is the letter's own and
 *                 is used again for the next.
 * letter_row()    the row: sizes and dates.        0 or errno (EBADMSG: damaged)
 * letter_digest() the digest and the prefix too.   0 or errno
 * letter_again()  where it lies now: compaction may move it from one turn to the next.  0 or errno
 * letter_own()    head and prefix in one piece (after letter_digest(); after letter_row() where there is no prefix).
 * letter_read()   bytes at..at+len of the whole letter.
 * letter_take()   bytes at..at+len of the whole letter, in memory; NULL with errno.
 */
#ifndef ACCESS_IMAP_LETTER_H
#define ACCESS_IMAP_LETTER_H

#include "store/store.h"

enum letter_depth { LETTER_UNREAD, LETTER_ROW, LETTER_DIGEST };
struct letter {
	struct account *account;
	struct arena   *arena;
	uint64_t        id;
	enum letter_depth depth;
	int             why;           /* it could not be read                    */
	struct message  message;
	struct digest   digest;
	struct bytes    prefix, own;
};

void letter_read_open(struct letter *, struct account *, struct arena *outer);
void letter_begin(struct letter *, uint64_t id);
int  letter_row(struct letter *);
int  letter_digest(struct letter *);
int  letter_again(struct letter *);
/* When it came into the mailbox, seconds (after letter_row()). */
int64_t letter_saved(const struct letter *, const struct entry *);
struct bytes letter_own(const struct letter *);
int  letter_read(struct letter *, uint64_t at, void *out, size_t len);     /* 0 or errno */
const char *letter_take(struct letter *, uint64_t at, size_t len);
uint64_t letter_own_len(const struct letter *);
void letter_close(struct letter *);

#endif
