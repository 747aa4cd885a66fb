/*
 * letter -- a mail transaction: from MAIL to the reply after the final dot
 *
 * From:     smtp/receiver/session, which makes it and fills it
 * To:       role/receiver, which has it judged and made safe
 *
 * letter_open()   begins one.  letter_drop() ends it, and all it holds.
 * letter_add()    one recipient more.
 * letter_received() appends our Received field (rfc5321:4.4).
 * letter_missing()  appends, for a submission, the fields that are missing (rfc6409:8); the message id made
 *                 so is kept in message_id.
 * letters_in_hand() the bytes of content that all letters of this process hold.
 *
 * When the client goes away before its letter is whole, the letter goes with it.  When the
 * final dot has come the letter goes on alone (session is NULL then): it is
 * delivered, and a client that asks again makes a second one (rfc5321:6.1).
 */
#ifndef SMTP_RECEIVER_LETTER_H
#define SMTP_RECEIVER_LETTER_H

#include "base/arena.h"
#include "channel/peer.h"
#include "message/envelope.h"
#include "smtp/receiver/content.h"
#include "smtp/receiver/settings.h"

struct session;
struct receiver_needs;
struct letter_rcpt {
	struct bytes address;          /* "local@domain"                      */
	struct bytes orcpt;            /* "rfc822;..." as it was said, "" not */
	uint8_t      notify;           /* rfc3461:4.1, 0 not said             */
	const char  *no;               /* LMTP: it is not taken for this one, NULL it is */
	uint8_t      is;               /* enum resolved, if `known`           */
	bool         known;
};
struct letter {
	struct arena   *life;
	struct session *session;       /* NULL: the client has gone           */
	const struct receiver_needs *needs;
	void           *house;
	struct bytes    sender;        /* "" for <>                           */
	bool            submission;
	const char     *header_origin; /* of bare names in its header; NULL: its addresses are not touched */
	bool            chunked;       /* by BDAT                             */
	int64_t         behind;        /* ms its chunks took beyond what smtpd_min_data_rate gives them */
	bool            lowered;       /* not with the priority that was asked for */
	size_t          added;         /* so many bytes of the sender were not written */
	bool            told;          /* the log has heard why it is refused */
	bool            explained;     /* and what is said has its id         */
	struct bytes    refused_by;    /* who says no after the final dot     */
	bool            discard;       /* taken, and thrown away              */
	bool            filtered;      /* mail filters want to see it         */
	uint64_t        number;        /* of the session's transactions       */
	struct bytes    prepend;       /* fields that rules put before it, lines with CRLF */
	uint8_t         body;          /* enum envelope_body                  */
	uint8_t         ret;           /* 0, 'F' or 'H'                       */
	uint32_t        flags;         /* enum envelope_flag, beside what the letter itself says */
	struct bytes    envid;         /* in xtext, "" not said               */
	struct handling handling;
	int64_t         hold_for;      /* seconds it is to wait, 0: till a time, or not */
	struct origin_facts brought;   /* what commands and other hosts are told besides */
	bool            sender_known;  /* whose the sender is was asked; `owner` says it */
	uint8_t         owner;         /* enum owner                          */
	uint64_t        declared;      /* SIZE=, 0 not said                   */
	struct letter_rcpt *rcpt;
	uint32_t        rcpts, rcpt_room;
	struct letter_rcpt *answered;  /* LMTP: all who are told, those who do not get it with them */
	uint32_t        answers, looked;
	struct bytes   *copy;          /* who gets one besides: the client does not hear of them */
	uint32_t        copies;
	bool            rewritten;     /* the house was asked about its addresses */
	struct content  reader;
	struct buffer   content;       /* what is not in the stream (yet)     */
	uint64_t        len;           /* of the whole content                */
	bool            streamed;      /* the house has it in a stream        */
	int             why;           /* errno of the stream, 0 well         */
	void           *held;          /* the house's                         */
	bool            ended;         /* the final dot has come              */
	int64_t         arrived_us;
	/* facts of the session, set at the final dot: it may be gone before the letter */
	struct peer     peer;
	struct bytes    name;          /* of the client, "unknown"            */
	struct bytes    reverse;       /* as its reverse zone says, not confirmed */
	struct bytes    client;        /* "name[address]"                     */
	struct bytes    helo, user, method;
	bool            of_userid;             /* brought by a user of this machine, by sendmail */
	uint32_t        userid;
	struct bytes    called;        /* before it had an id, to whoever asked; "" nobody did */
	struct bytes    origin;        /* for the log: what XFORWARD said     */
	struct bytes    told_client, told_helo, told_protocol;  /* for the envelope: what it said, or what the session knows */
	const char     *protocol;      /* "ESMTPS"                            */
	const struct tls_facts *tls;   /* NULL: plain                         */
	struct receiver_config *config;
	uint64_t        _charged;
};
struct letter *letter_open(struct session *, struct bytes sender);
struct letter_rcpt *letter_add(struct letter *, struct bytes address);
void letter_drop(struct letter **);
void letter_received(struct letter *, const char *id, struct buffer *out);
void letter_missing(struct letter *, const char *id, struct buffer *out);
void letter_charge(struct letter *, uint64_t bytes);   /* what it counts in letters_in_hand() */
uint64_t letters_in_hand(void);

#endif
