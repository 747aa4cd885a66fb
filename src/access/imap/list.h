/*
 * list -- one line of LIST that other commands say too
 *
 * list_tell()  "* LIST (...) "/" name" of a mailbox, or of a name that is none any more, for rev2's SELECT (rfc9051:6.3.2);
 *              with ("OLDNAME" (given)) when the client called it by another name (rfc9051:6.3.9.7).
 */
#ifndef ACCESS_IMAP_LIST_H
#define ACCESS_IMAP_LIST_H

#include "access/imap/session.h"

void list_tell(struct imap *, const char *name, struct bytes given);

#endif
