/*
 * notice -- a delivery status notification, ready to be a letter (rfc3464, rfc3461, rfc6522)
 *
 * notice_write() appends the whole content (CRLF lines, header, multipart/report with
 * human text, message/delivery-status, and the original header or letter).
 */
#ifndef MESSAGE_NOTICE_H
#define MESSAGE_NOTICE_H

#include "base/buffer.h"

enum notice_kind { NOTICE_FAILED, NOTICE_DELAYED, NOTICE_DELIVERED, NOTICE_RELAYED };
struct notice_recipient {
	struct bytes original;       /* ORCPT as it was said, in xtext; "" none */
	struct bytes final;          /* address        */
	struct bytes status;         /* "5.1.1"        */
	struct bytes diagnostic;     /* "smtp; 550 5.1.1 ..." or our own words */
	struct bytes remote;         /* host, "" none  */
	struct bytes said;           /* its reply, "550 5.1.1 ..."; "" none */
	int64_t until;               /* it is tried till then; 0: not said  */
	enum notice_kind what;
};
struct notice {
	enum notice_kind kind;
	const char *host;            /* our name                          */
	struct bytes queue_id;
	struct bytes sender;         /* who gets the notice               */
	struct bytes envid;          /* as it was said, in xtext; "" none  */
	int64_t arrived, now;
	const struct notice_recipient *recipient;
	size_t recipients;
	struct bytes original;       /* content of the letter, or its header */
	bool whole;                  /* original is the whole letter         */
	bool utf8;                   /* rfc6533                              */
};
void notice_write(const struct notice *, struct buffer *out);

#endif
