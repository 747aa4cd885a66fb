/*
 * notice -- a delivery status notification, ready to be a letter (rfc3464, rfc3461, rfc6522, rfc6533)
 *
 * From:     role/queue-notice
 *
 * notice_write() appends the whole content (CRLF lines, header, multipart/report with
 * human text, message/delivery-status, and the original header or letter).
 *
 * The human text is in the languages of `speech`, one behind the other; in place of our own words stands the text of a
 * template where there is one.  Behind it each recipient has a paragraph: what was said of it, and what that means.
 * What is not ASCII in it is base64, so that a notice is 8-bit only where the letter is.
 */
#ifndef MESSAGE_NOTICE_H
#define MESSAGE_NOTICE_H

#include "base/buffer.h"
#include "message/notice-template.h"

enum notice_kind { NOTICE_FAILED, NOTICE_DELAYED, NOTICE_DELIVERED, NOTICE_RELAYED, NOTICE_EXPANDED,
	NOTICE_REPORT,                                /* of sendmail -v: what the first try of each came to */
	NOTICE_DELIVERABLE, NOTICE_UNDELIVERABLE,     /* of sendmail -bv: nothing was sent */
	NOTICE_KINDS };
struct notice_recipient {
	struct bytes original;       /* ORCPT as it was said, in xtext; "" none */
	struct bytes final;          /* address        */
	struct bytes status;         /* "5.1.1"        */
	struct bytes diagnostic;     /* "smtp; 550 5.1.1 ..." or our own words */
	struct bytes remote;         /* host, "" none  */
	struct bytes said;           /* its reply, "550 5.1.1 ..."; "" none */
	int64_t until;               /* it is tried till then; 0: not said  */
	int64_t tried;               /* when it was tried last; 0: not said */
	enum notice_kind what;
};
struct notice_words;
struct notice_speech {
	const struct notice_words *words;
	const struct notice_template *template;  /* NULL: our own words            */
	struct bytes text;           /* of the template, its $names put in      */
};
enum { NOTICE_LANGUAGES_MOST = 2 };
struct notice {
	enum notice_kind kind;
	const char *host;            /* our name                          */
	const char *postmaster;      /* who writes, "Name <address>"; "" MAILER-DAEMON */
	struct bytes queue_id;
	struct bytes sender;         /* who gets the notice               */
	struct bytes copy_of;        /* a copy for the postmaster: who got it, "" nobody did */
	bool copy;
	struct bytes envid;          /* as it was said, in xtext; "" none  */
	int64_t arrived, now;
	int64_t by;                  /* DELIVERBY: when it was to be there; 0: not said (rfc2852:5) */
	int64_t released;            /* FUTURERELEASE: when it went; 0: not said (rfc4865:5) */
	int64_t held_for;            /* the same as seconds from its arrival on; 0: a time was said */
	const struct notice_recipient *recipient;
	size_t recipients;
	struct bytes original;       /* content of the letter, or its header */
	struct bytes subject;        /* its subject, UTF-8; "" not known   */
	bool whole;                  /* original is the whole letter         */
	bool utf8;                   /* rfc6533                              */
	struct notice_speech speech[NOTICE_LANGUAGES_MOST];
	size_t speeches;             /* 0: English                           */
};
void notice_write(const struct notice *, struct buffer *out);
/* Whether it can only go where SMTPUTF8 is known: addresses, or fields of what it has of the letter. */
bool notice_wants_utf8(const struct notice *);
enum template_kind notice_template_kind(enum notice_kind);

#endif
