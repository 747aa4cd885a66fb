/*
 * contexts -- results of SEARCH and SORT that the client wants to be kept up to date (rfc5267:4.3)
 *
 * From:     SEARCH and SORT with RETURN (UPDATE); imap/session, when news are told
 * To:       finder, ordering
 *
 * A context has the program, and what was found so far.  What the news touch is looked at again with it, and what came
 * or went is told by ADDTO and REMOVEFROM, with the tag of its command.
 *
 * contexts_named()    is there one of this tag?
 * contexts_add()      keeps one; `order` NULL: of SEARCH.  When there are too many, or `found` is NULL: it is not
 *                     whole, the client is told that there will be no updates.  `fetch`: what FETCH shall tell of each
 *                     new message that comes to it, as the client wrote it (rfc5465:7); empty: nothing.
 * contexts_cancel()   forgets the one of this tag.
 * contexts_expunge()  the messages in `gone` of the view will be told to be expunged now.
 * contexts_go()       some milliseconds of looking again: STEP_DONE all is told, else STEP_AGAIN or STEP_WAIT.
 * contexts_close()    forgets all; another mailbox is selected.
 */
#ifndef ACCESS_IMAP_CONTEXTS_H
#define ACCESS_IMAP_CONTEXTS_H

#include "access/imap/ordering.h"
#include "access/imap/program.h"

struct contexts;
bool contexts_named(const struct imap *, struct bytes tag);
void contexts_add(struct imap *, const struct program *, const struct uid_set *found, const struct ordering *order,
                  struct bytes fetch);
void contexts_cancel(struct imap *, struct bytes tag);
void contexts_expunge(struct imap *);
enum imap_step contexts_go(struct imap *);
void contexts_close(struct imap *);

#endif
