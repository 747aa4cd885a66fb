/*
 * resync -- what a client that knows an older state must hear (rfc7162:3.2.5, 3.2.6)
 *
 * From:     imap/select (QRESYNC), imap/fetch (CHANGEDSINCE and VANISHED)
 * To:       store, which has the history
 *
 * resync_begin()  finds which uids of `known` (NULL: all) are gone or changed since that modseq.
 *                 Where the history does not reach back so far, all that is not there counts as gone, but
 *                 for uids up to `sure`, of which the client has shown that it knows them rightly.
 *                 Sets are in the command's arena.
 * resync_vanished() says VANISHED (EARLIER); false: the client must read first, call again.
 * resync_match()  the highest uid up to which the client's numbers and uids agree with ours.
 */
#ifndef ACCESS_IMAP_RESYNC_H
#define ACCESS_IMAP_RESYNC_H

#include "access/imap/session.h"

struct resync {
	struct uid_set vanished, changed;
	size_t         told;           /* ranges of `vanished`                    */
};

void     resync_begin(struct imap *, struct resync *, uint64_t since, const struct uid_set *known, uint32_t sure);
bool     resync_vanished(struct imap *, struct resync *);
uint32_t resync_match(struct imap *, const struct sequence *numbers, const struct sequence *uids);
/* What two sets have in common; memory from the arena. */
struct uid_set resync_common(struct arena *, const struct uid_set *, const struct uid_set *);
/* A set the client wrote without "*", ascending or not. */
struct uid_set resync_set(struct arena *, const struct sequence *);

#endif
