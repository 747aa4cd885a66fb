/*
 * url -- an IMAP URL: where a message or a piece of one lies (rfc5092:11)
 *
 * url_read()  imap://user;AUTH=x@host/mailbox;UIDVALIDITY=n/;UID=n/;SECTION=s/;PARTIAL=a.b
 *             ;EXPIRE=date;URLAUTH=access:mechanism:token, or relative: from "/mailbox" or from
 *             ";UID=" on (rfc4469:2).  Values are decoded.  False: malformed.  Touches nothing.
 *
 * A URL has at most URL_MOST bytes.
 */
#ifndef ACCESS_IMAP_URL_H
#define ACCESS_IMAP_URL_H

#include "base/arena.h"
#include "base/scan.h"

enum { URL_MOST = 4096 };
struct imap_url {
	struct bytes server;           /* host and port, "": relative              */
	struct bytes user;
	struct bytes mailbox;          /* UTF-8; "": the selected one              */
	uint32_t     uidvalidity, uid; /* 0: not said                              */
	struct bytes section;          /* as between the brackets of BODY[]        */
	bool         partial;
	uint64_t     from, most;       /* most 0: to the end                       */
	struct bytes expire;           /* date-time of rfc3339, "": never          */
	struct bytes access;           /* "user+fred"; "": no URLAUTH              */
	struct bytes mechanism, token;
	struct bytes rump;             /* the URL up to and with the access        */
};

bool url_read(struct bytes text, struct arena *, struct imap_url *out);

#endif
