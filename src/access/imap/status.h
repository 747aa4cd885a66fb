/*
 * status -- numbers about a mailbox one is not in (rfc3501:6.3.10)
 *
 * status_items()  reads "(" status-att *(SP status-att) ")"; bits for status_write().
 * status_write()  "* STATUS name (...)" of a mailbox; 0, or errno and nothing written.
 */
#ifndef ACCESS_IMAP_STATUS_H
#define ACCESS_IMAP_STATUS_H

#include "access/imap/session.h"

unsigned status_items(struct scan *);
int  status_write(struct imap *, const char *name, unsigned items);

#endif
