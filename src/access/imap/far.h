/*
 * far -- messages that lie in files go into another account's letter log: COPY and MOVE between accounts
 *
 * From:     imap/copy
 * To:       what APPEND is made of (imap.h), store
 *
 * far_open()   nothing is read yet.  `from` is what the session has selected; `set` is kept by the caller.
 * far_step()   writes one letter after another to the log, as an APPEND would, with a verifier's digest.  STEP_DONE
 *              with *why 0: all are there; else one could not be read or written.  STEP_WAIT, STEP_AGAIN: call again.
 * far_enter()  all of them into the mailbox in one go, in the order of their uids, or none.  0 or errno.  `source`
 *              is good until far_close().
 * far_close()  forgets those that are under way.  What lies in the log and in no mailbox is removed with its segment.
 */
#ifndef ACCESS_IMAP_FAR_H
#define ACCESS_IMAP_FAR_H

#include "access/imap/session.h"

struct far;
struct far *far_open(struct imap *, struct mailbox *from, const struct uid_set *, struct mailbox *to);
enum imap_step far_step(struct far *, int *why);
int  far_enter(struct far *, const struct copy_as *, struct uid_set *source, struct uid_range *made);
void far_close(struct far **);

#endif
