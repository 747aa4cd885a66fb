/*
 * limit -- how many messages one command works on (rfc9738)
 *
 * From:     FETCH, STORE, SEARCH, SORT, THREAD, COPY, MOVE, UID EXPUNGE, APPEND
 * To:       the view, which knows what the client counts
 *
 * limit_most()    imap_message_limit, what one command may read or change; 0: no limit.
 * limit_saves()   what one APPEND or COPY may save: the smaller of that and imap_save_limit.
 * limit_lowest()  the lowest of the messages with the highest uids, as many as `most` allows of this
 *                 set; 0: the set is small enough.
 * limit_cut()     leaves only those in the set; returns the same.
 * limit_ok()      the tagged OK; `lowest` not 0: with the code that tells where to go on.
 * limit_apart()   tells that where the tagged line has a code of its own.
 * limit_no()      NO: nothing was done.
 */
#ifndef ACCESS_IMAP_LIMIT_H
#define ACCESS_IMAP_LIMIT_H

#include "access/imap/session.h"

uint32_t limit_most (const struct imap *);
uint32_t limit_saves(const struct imap *);
uint32_t limit_lowest(struct imap *, const struct uid_set *, uint32_t most);
uint32_t limit_cut(struct imap *, struct uid_set *);
enum imap_step limit_ok(struct imap *, uint32_t lowest, const char *word);
void           limit_apart(struct imap *, uint32_t lowest);
enum imap_step limit_no(struct imap *, uint32_t most, uint32_t lowest, const char *words);

#endif
