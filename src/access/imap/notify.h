/*
 * notify -- what a client wants to hear of, at any time and of any of its mailboxes (rfc5465)
 *
 * From:     imap/session, which asks before and after each command
 * To:       store's account_watch
 *
 * Once NOTIFY was used the session tells what is asked for and no more.  What happens is noted when it
 * happens: names and kinds, no mailbox is read for it; it is told between commands, at their end, and in IDLE.
 * More than can be kept is told by NOTIFICATIONOVERFLOW, and then nothing any more (rfc5465:5.8).
 *
 * notify_wants()   the message events the selected mailbox tells of; all of them without NOTIFY.
 * notify_tell()    what was noted of other mailboxes; false: the client must read first.
 * notify_arrived() FETCH of what came into the selected mailbox, from this uid on.
 * notify_close()   forgets all; NULL is well.
 */
#ifndef ACCESS_IMAP_NOTIFY_H
#define ACCESS_IMAP_NOTIFY_H

#include "access/imap/session.h"

enum {
	EVENT_NEW          = 1 << 0,
	EVENT_EXPUNGE      = 1 << 1,
	EVENT_FLAGS        = 1 << 2,
	EVENT_MESSAGES     = EVENT_NEW | EVENT_EXPUNGE | EVENT_FLAGS,
	EVENT_NAME         = 1 << 3,
	EVENT_SUBSCRIPTION = 1 << 4,
	EVENT_METADATA     = 1 << 5,
	EVENT_SERVER       = 1 << 6,
};

unsigned notify_wants(const struct imap *);
bool     notify_at_once(const struct imap *, bool expunges);   /* may be told while nothing runs */
bool     notify_tell(struct imap *);
void     notify_arrived(struct imap *, uint32_t from);
bool     notify_fetches(struct imap *);                    /* false: more to say      */
void     notify_left(struct imap *);                       /* another mailbox is selected */
void     notify_close(struct notify **);

#endif
