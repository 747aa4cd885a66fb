/*
 * urlread -- what a signed URL names, opened for somebody who is let to read it (rfc4467:6)
 *
 * From:     imap/urlfetch; role/keeper-url, for a submission server (rfc4468)
 * To:       imap/reach, store/urlkeys, imap/resource
 *
 * urlread_names()  is this a whole URL of ours, with owner, message and token?
 * urlread_open()   with the eyes of its owner, who must still be let to read the mailbox; `reads` are the facts
 *                  of that owner, without groups nobody.  0: the resource is open, to be closed.  Else it is closed:
 *                  EACCES the token is not the one the key makes, or there is no such mailbox; ENOENT and others as
 *                  resource_open().  Looks at neither access nor expiry.
 */
#ifndef ACCESS_IMAP_URLREAD_H
#define ACCESS_IMAP_URLREAD_H

#include "access/imap/resource.h"
#include "access/imap/service.h"

bool urlread_names(const struct imap_url *);
int  urlread_open(struct imap_service *, const struct access_facts *reads, const struct imap_url *, struct arena *,
                  struct resource *out);

#endif
