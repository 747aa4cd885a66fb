/*
 * resource -- the bytes an IMAP URL names, one piece after the other
 *
 * From:     imap/append (CATENATE), imap/urlfetch
 * To:       store, through imap/letter
 *
 * resource_open()   finds message and section in the mailbox, which is its own from here.  0, or ENOENT,
 *                   EINVAL (such a URL names nothing of the kind), EBADMSG.  To be closed in any case.
 * resource_again()  in each turn after the first, before it is read.
 * resource_read()   the next bytes, at most `room`; 0 at the end; -1 with errno.
 */
#ifndef ACCESS_IMAP_RESOURCE_H
#define ACCESS_IMAP_RESOURCE_H

#include <sys/types.h>

#include "access/imap/letter.h"
#include "access/imap/section.h"
#include "access/imap/url.h"

struct resource {
	struct mailbox *mailbox;
	struct letter   letter;
	struct section  section;
	struct buffer   fields;        /* gathered, where the span is no range     */
	uint64_t        at, len;       /* what is left                             */
	struct section_span span;      /* all of it; not of gathered fields        */
	bool            gathered;
};

int     resource_open(struct resource *, struct mailbox *, const struct imap_url *, struct arena *);
int     resource_again(struct resource *);
ssize_t resource_read(struct resource *, char *to, size_t room);
void    resource_close(struct resource *);

#endif
