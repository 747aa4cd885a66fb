/*
 * outgoing -- one SMTP or LMTP session with another host's server, seen from the client (rfc5321, rfc2033)
 *
 * From:     role/sender, which connects and brings bytes; a test or a fuzzer does as well
 * To:       the house, through struct outgoing_needs
 * Touches:  no descriptor and no clock; it never waits
 *
 * outgoing_open()    after connecting: the greeting is waited for.
 * outgoing_take()    understands what has arrived and returns how much of it is used up.  Bytes that nobody has
 *     asked for end the session.
 * outgoing_send()    a transaction; only when `ready` was said.  Every recipient's fate is told by `fate`, once, and as soon
 *     as it is known; then `done`.  The transaction must live until then.
 * outgoing_quit()    the session is not wanted any more.
 * outgoing_drained() there is room for more content.
 * outgoing_secured() the handshake is over.
 * outgoing_lost()    the connection is gone, or patience is over: recipients without a fate get one.
 *
 * A session that cannot be used says `failed` instead of `ready`.  Within needs->fate, done, failed and ready the session
 * must not be closed; in the turn after it may.
 *
 * What a fate means:
 *     FATE_DELIVERED  the server has taken it
 *     FATE_REFUSED    it will never work (5yz)
 *     FATE_ELSEWHERE  not here and now; another host of the same destination may be asked at once
 *     FATE_LATER      not now.  After a final dot whose answer never came this is the fate, so that whether there are two copies depends
 *                     on that server alone: a window no client can close (rfc1047)
 */
#ifndef SMTP_SENDER_OUTGOING_H
#define SMTP_SENDER_OUTGOING_H

#include "base/buffer.h"
#include "base/setting.h"
#include "channel/tls.h"
#include "smtp/history.h"
#include "smtp/sender/response.h"

enum outgoing_fate { FATE_NONE, FATE_DELIVERED, FATE_REFUSED, FATE_ELSEWHERE, FATE_LATER };
/* What is waited for; each has its time in the settings. */
enum outgoing_wait { WAIT_GREETING, WAIT_HELLO, WAIT_STARTTLS, WAIT_AUTH, WAIT_MAIL, WAIT_RCPT, WAIT_DATA_INIT,
                     WAIT_DATA_CONTENT, WAIT_PAUSE, WAIT_DATA_DONE, WAIT_RSET, WAIT_QUIT, WAIT_XFORWARD, WAIT_NOTHING, WAITS };
/* What an answer to EHLO offers. */
enum outgoing_offer { OFFERS_PIPELINING = 1, OFFERS_SIZE = 2, OFFERS_8BITMIME = 4, OFFERS_STARTTLS = 8, OFFERS_AUTH = 16,
                      OFFERS_CHUNKING = 32, OFFERS_DSN = 64, OFFERS_SMTPUTF8 = 128, OFFERS_REQUIRETLS = 256, OFFERS_BINARYMIME = 512,
                      OFFERS_ENHANCED = 1024, OFFERS_DELIVERBY = 2048, OFFERS_PRIORITY = 4096, OFFERS_XFORWARD = 8192,
                      OFFERS_NO_SOLICITING = 16384 };
unsigned outgoing_offer_named(struct bytes keyword);     /* 0: none of these */
/* What is done where a firewall has put stars into the greeting. */
enum outgoing_pix { PIX_DISABLE_ESMTP = 1, PIX_DELAY_DOTCRLF = 2 };
unsigned outgoing_pix_named(struct bytes word);          /* 0: none of these */

enum outgoing_tls { OUTGOING_CLEAR, OUTGOING_MAY, OUTGOING_ENCRYPT };
struct outgoing_config {
	const char *host;              /* "mx.example.com[192.0.2.1]", for words   */
	const char *hello;             /* what we call ourselves                   */
	bool        lmtp, never_ehlo;
	bool        always_ehlo;       /* not only to who greets with ESMTP        */
	bool        verify_data;       /* a probe ends behind DATA, not before it  */
	bool        secured;           /* TLS came first                           */
	int         tls;               /* enum outgoing_tls                        */
	unsigned    discard;           /* enum outgoing_offer that are not believed */
	unsigned    pix;               /* enum outgoing_pix                        */
	bool        pix_delay;         /* the letter is old enough for the second of them */
	int64_t     line_most;         /* longer lines of a letter are folded; 0: as they are */
	bool        skip_5xx_greeting, skip_quit;
	bool        auth;              /* log in; without user and password: where they are not set it is left out */
	const char *user, *password;   /* NULL: none for this host                 */
	uint16_t    port;              /* and where: OAUTHBEARER tells it           */
	const char *server;            /* the host's name alone                    */
	unsigned    demands, demands_tls;  /* enum supplicant_demand, outside and inside TLS */
	unsigned    demands_verified;      /* and inside that of a host which has proved its name */
	bool        verified;              /* it has, before the session begins  */
	bool        xforward, dummy_auth, filters;   /* filters: needs->filter is asked */
	const struct setting_list *filter; /* of mechanisms; NULL: all            */
	const char *nonce;             /* of a test; NULL: by chance               */
	bool        auth_soft;         /* a refused login is no reason to return mail */
	const char *login_refused;     /* what this host said a while ago to the same user and password: they are not tried; NULL: nothing */
	unsigned    history;           /* enum fault_class the postmaster wants to hear of */
	const char *own;               /* our name: a host that answers with it is ourselves, and mail would go round.  NULL: it is not looked at */
	const char *destination;       /* whose mail that would be                 */
	bool        best;              /* no other host is better: then it comes back */
};

struct outgoing_recipient {
	struct bytes address, orcpt;   /* orcpt in xtext, as it was said          */
	uint8_t      notify;           /* message/envelope.h                       */
	uint8_t      fate;             /* enum outgoing_fate                       */
	bool         taken;            /* RCPT was answered with 2yz               */
};
/* Of the client a letter came from; "": not known. */
struct outgoing_origin { struct bytes name, address, port, protocol, helo, ident, source; };
struct outgoing_transaction {
	struct outgoing_origin origin; /* with config.xforward                    */
	struct bytes sender, envid;    /* envid in xtext, as it was said          */
	uint8_t      ret;              /* 'F', 'H', 0                              */
	bool         eight_bit, binary, utf8, require_tls;
	bool         seven;            /* may be made one of 7 bits for a host that takes no other */
	bool         wants_data;       /* said: the host offers CHUNKING and knows nothing of it; then it may be sent there again, by DATA */
	bool         wants_seven;      /* said: it must be; then it may be sent there again */
	bool         probe;            /* ends before the letter: may they be sent to? */
	uint8_t      by_mode;          /* rfc2852: 'R', 'N', 0 not said            */
	bool         by_trace;
	int64_t      by;               /* seconds that are left                    */
	int8_t       priority;         /* rfc6710                                 */
	struct bytes solicit;          /* rfc3865, "" none                        */
	uint64_t     size;
	struct outgoing_recipient *rcpt;
	uint32_t     rcpts;
};

struct outgoing_needs {
	struct buffer *(*out)(void *mouth);
	size_t (*pending)(void *mouth);            /* bytes said that have not gone      */
	/* The letter from `at`: how many bytes there are in `to`; 0: it cannot be read. */
	size_t (*content)(void *mouth, uint64_t at, char *to, size_t room);
	void (*secure)(void *mouth);               /* outgoing_secured() will follow     */
	/* What binds a login to this TLS (channel/stream.h), appended; false: nothing of that type. */
	bool (*binding)(void *mouth, const char *type, struct buffer *out);
	void (*wait)(void *mouth, enum outgoing_wait);
	void (*ready)(void *mouth);
	void (*failed)(void *mouth, enum outgoing_fate, const char *status, const char *words);
	void (*fate)(void *mouth, uint32_t rcpt, enum outgoing_fate, const char *status, const char *words);
	/* Every recipient has a fate; `good`: after `ready` there may be another transaction. */
	void (*done)(void *mouth, bool good);
	void (*over)(void *mouth);                 /* the connection is to be closed     */
	/* With config.filters: what stands instead of a line of an answer.  After FILTERED_WAIT outgoing_take() is
	   called again when it is known. */
	enum response_filtered (*filter)(void *mouth, struct bytes line, struct buffer *instead);
};

struct outgoing;
struct outgoing *outgoing_open(const struct outgoing_config *, const struct outgoing_needs *, void *mouth);
size_t   outgoing_take(struct outgoing *, struct bytes arrived);
void     outgoing_send(struct outgoing *, struct outgoing_transaction *);
void     outgoing_drained(struct outgoing *);
void     outgoing_secured(struct outgoing *, bool ok, const char *why);
/* The host has proved its name: said before outgoing_secured(). */
void     outgoing_verified(struct outgoing *);
void     outgoing_lost(struct outgoing *, const char *why, bool patience);
void     outgoing_quit(struct outgoing *);
/* The time of WAIT_PAUSE is over, and the end of the letter is said; false: it was not what was waited for. */
bool     outgoing_paused(struct outgoing *);
/* What the host calls itself in its answer to EHLO or HELO, "" until then. */
const char *outgoing_name(const struct outgoing *);
/* enum outgoing_pix that this greeting asks for. */
unsigned outgoing_pix(const struct outgoing *);
unsigned outgoing_offers(const struct outgoing *);
/* Whether STARTTLS was offered in the clear. */
bool     outgoing_offers_tls(const struct outgoing *);
/* Whether STARTTLS was agreed and the handshake failed: without TLS the host may be tried once more. */
bool     outgoing_handshake_failed(const struct outgoing *);
/* The user or password was not right (535). */
bool     outgoing_login_refused(const struct outgoing *);
/* The host answers with our own name (config.own). */
bool     outgoing_met_itself(const struct outgoing *);
/* What was said by both. */
const struct history *outgoing_history(const struct outgoing *);
/* Nothing of the last transaction was answered. */
bool     outgoing_is_unheard(const struct outgoing *);
void     outgoing_close(struct outgoing **);

#endif
