/*
 * envelope -- the word the actors of the street share: who sends, to whom, how
 *
 * (IMAP's ENVELOPE of a letter is message/imap-envelope.h.)
 *
 * An envelope is packed once by the receiver (or the keeper for APPEND, or
 * delivery for a notice) and stored in the letter log behind the content.
 * The views of an unpacked envelope point into the packed bytes.
 *
 * A letter as a reader sees it is: head (made for each recipient at delivery:
 * Return-Path, Delivered-To, X-Original-To) + prefix (our trace and result fields,
 * CRLF lines) + content.
 */
#ifndef MESSAGE_ENVELOPE_H
#define MESSAGE_ENVELOPE_H

#include "base/arena.h"
#include "base/pack.h"

enum { ENVELOPE_VERSION = 4, ENVELOPE_RECIPIENTS_MOST = 50000 };

enum envelope_body { BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };
enum envelope_flag {
	ENVELOPE_SMTPUTF8   = 1 << 0,
	ENVELOPE_SUBMITTED  = 1 << 1,   /* by an authenticated user            */
	ENVELOPE_APPENDED   = 1 << 2,   /* by IMAP: has no recipients, never queued */
	ENVELOPE_NOTICE     = 1 << 3,   /* made by us                          */
	ENVELOPE_REQUIRETLS = 1 << 4,   /* rfc8689: only by TLS with a proven peer   */
	ENVELOPE_AS_WRITTEN = 1 << 6,   /* canonical and virtual alias maps are not for it */
	ENVELOPE_ALARM      = 1 << 7,   /* why it is held is news to the postmaster  */
	ENVELOPE_HELD_FOR   = 1 << 8,   /* FUTURERELEASE said how long, not till when    */
	ENVELOPE_REPORT     = 1 << 9,   /* its sender wants to hear what the first try of each recipient came to */
	ENVELOPE_VERIFY     = 1 << 10,  /* nobody gets it: it is asked who would take it, and its sender hears that alone */
	ENVELOPE_WARNING    = 1 << 11,  /* the house warns the postmaster: it comes though the domain is full */
	ENVELOPE_TLS_OPTIONAL = 1 << 5, /* rfc8689:5 TLS-Required: No, and not the other */
};
enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };  /* 0: not said (rfc3461:4.1) */

/* How a letter is to be handled on its way: what its client asked for, and what rules and checks said.
   All zero: nothing was. */
struct handling {
	int64_t      not_before_us; /* FUTURERELEASE (rfc4865): wall clock, 0 at once   */
	int64_t      by_us;         /* DELIVERBY (rfc2852): wall clock                  */
	uint8_t      by_mode;       /* 'R' return it then, 'N' tell the sender, 0 not said */
	bool         by_trace;      /* tell the sender of each relay                    */
	int8_t       priority;      /* MT-PRIORITY (rfc6710): -9 to 9                   */
	struct bytes hold;          /* why it waits for an administrator, "" it does not */
	struct bytes filter;        /* "transport:nexthop" of FILTER and content_filter */
	struct bytes redirect;      /* who gets it instead of its recipients            */
	struct bytes verp;          /* XVERP: the two delimiters, "" none               */
};
/* A letter that whoever has a mailbox here finds aside, and that goes to nobody else until an administrator releases it:
   `hold` begins with this byte, and why stands behind it. */
enum { HOLD_ASIDE = 0x1f };
bool handling_is_aside(const struct handling *);
struct bytes handling_why(const struct handling *);

/* What was promised to who appended a letter by IMAP: the OK rests on the letter log alone, and what the index of the
   account has not kept when everything ends is done again from here (store/receipts.c).  Account 0: nothing was. */
struct receipt {
	uint64_t account, mailbox, modseq;
	uint32_t uidvalidity, uid;
	uint32_t flags;             /* enum mail_flag; no keywords                */
	int64_t  date;              /* INTERNALDATE, seconds                      */
	int32_t  zone;              /* minutes east                               */
};
/* What else is known of who brought it, for commands and hosts that are told.  All "" and 0: nothing is. */
struct origin_facts {
	uint16_t     port;          /* the client's                              */
	struct bytes method;        /* SASL, "PLAIN"                             */
	struct bytes auth_sender;   /* AUTH= of MAIL in xtext (rfc4954:5)        */
	struct bytes solicit;       /* classes of SOLICIT= by comma (rfc3865)    */
};
struct envelope_recipient {
	struct bytes address;       /* as accepted at RCPT, "local@domain"       */
	struct bytes orcpt;         /* "rfc822;..." or ""                         */
	uint8_t      notify;
};
struct envelope {
	uint64_t     letter;        /* id: segment number << 32 | offset of the content record */
	int64_t      arrived_us;    /* wall clock, microseconds                   */
	uint32_t     flags;
	uint8_t      body;          /* enum envelope_body                         */
	uint8_t      ret;           /* 0 not said, 'F' full, 'H' headers          */
	struct bytes sender;        /* "" for <>                                  */
	struct bytes envid;
	struct bytes user;          /* account that submitted, "" none            */
	struct bytes client;        /* "name[address]"; with helo, protocol and port what XFORWARD said, where it did */
	struct bytes helo, protocol;/* "ESMTPS" ...                               */
	struct origin_facts origin;
	uint64_t     content_len;
	struct bytes prefix;        /* header lines put before the content        */
	struct bytes digest;        /* message/digest.h, of the content           */
	struct handling handling;
	struct receipt  receipt;
	const struct envelope_recipient *recipient;
	uint32_t     recipients;
};

void envelope_pack(const struct envelope *, struct buffer *out);
/* False when broken or of an unknown version.  Recipients in the arena, the rest views. */
bool envelope_unpack(struct bytes packed, struct arena *, struct envelope *out) __attribute__((warn_unused_result));
/* The same for the handling alone, which words between roles carry too; false when it cannot be. */
void handling_pack(const struct handling *, struct buffer *out);
bool handling_unpack(struct unpack *, struct handling *out) __attribute__((warn_unused_result));
struct handling handling_keep(struct arena *, const struct handling *);   /* a copy */
/* What was spoken, as Postfix's protocol attribute has it: "ESMTP" for "UTF8SMTPSA".  A view, or a constant. */
struct bytes protocol_plain(struct bytes protocol);
/* "name[192.0.2.1]" in its halves, "" where they are not; a port behind it is neither. */
void client_halves(struct bytes client, struct bytes *name, struct bytes *address);
/* The id as people and logs see it: upper-case hex, "1A0000F3C0", at least 10 digits.
   Room 24.  letter_id_parse() takes it back. */
void letter_id_text(uint64_t letter, char out[static 24]);
bool letter_id_parse(struct bytes, uint64_t *out);

#endif
