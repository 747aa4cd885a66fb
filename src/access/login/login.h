/*
 * login -- a reader who has not said who they are: IMAP and POP3 up to authentication
 *
 * From:     role/login, which accepted the connection
 * To:       a keeper, through role/login, with the stream and what was learned
 * Touches:  its own stream
 *
 * login_open()      owns the stream's descriptor; greets (after the TLS handshake where TLS comes first).
 * login_answer()    what the clerk said to needs.authenticate or needs.step: AUTH_MORE
 *                   is login_challenge(), the end is login_welcome() or login_refuse().
 * login_welcome()   the client is who it says: once it has read the last data of the
 *                   mechanism the session is given away by needs.hand_over, and is gone here.
 * login_again()     owns a stream that comes back from a keeper (UNAUTHENTICATE, rfc8437).
 * login_close()     the house is closing: BYE.
 *
 * Bounds: a line of 8 KiB, a literal of 4 KiB, three bad commands, `timeout` in
 * all: a deadline, not idleness.  No state and no byte from before STARTTLS is kept.
 * See:      rfc3501:6.1, 6.2; rfc1939:4, rfc2449, rfc2595, rfc5034, rfc4959 (SASL-IR), rfc7888 (LITERAL+)
 */
#ifndef ACCESS_LOGIN_LOGIN_H
#define ACCESS_LOGIN_LOGIN_H

#include "base/arena.h"
#include "base/setting.h"
#include "channel/peer.h"
#include "channel/stream.h"

struct login;
struct pop3_settings;
enum login_ssl { LOGIN_SSL_YES, LOGIN_SSL_REQUIRED, LOGIN_SSL_NO };
struct login_settings {                /* rows */
	bool        disable_plaintext_auth;
	int         ssl;               /* enum login_ssl                              */
	int64_t     timeout_ms;
	int64_t     failures_most;     /* attempts before the connection is closed        */
	const char *greeting;
	bool        apop;              /* POP3 offers APOP                                */
	int64_t     per_address;       /* unauthenticated connections from one address    */
	int         proxy;             /* not 0: a header of the PROXY protocol comes first */
	int64_t     proxy_timeout;
	struct setting_list mechanisms;
};
extern const struct setting_table login_setting_table;

struct login_attempt {
	struct bytes mechanism;        /* "": user and password are set; "APOP": user, stamp as initial, digest as password */
	bool         has_initial;
	struct bytes initial, user, password;
};
struct login_result {                  /* what hand_over gives to the keeper                */
	const char *user, *method, *tag;
	uint64_t    account;
	struct bytes pass;              /* what the keeper wants to be shown                 */
	const char  *offers;            /* POP3: lines for CAPA after the login, "" none     */
	const char *service, *who, *how; /* for the log: behind `who` comes the keeper's mpid= */
};
enum login_refusal { LOGIN_WRONG, LOGIN_TEMPORARY, LOGIN_NO_MECHANISM, LOGIN_SYNTAX, LOGIN_DISABLED };

struct login_needs {
	void (*authenticate)(void *ctx, struct login *, const struct login_attempt *);
	void (*step)(void *ctx, struct login *, struct bytes response);
	void (*forget)(void *ctx, struct login *);        /* the client gave up: no answer is wanted */
	/* The stream is the role's from here; the login is gone when it returns. */
	void (*hand_over)(void *ctx, struct login *, struct stream *, const struct login_result *);
	void (*over)(void *ctx, struct login *);           /* it is gone                    */
};
struct login_protocol;                 /* a card: imap.c, pop3.c */
extern const struct login_protocol login_imap, login_pop3;

struct login_config {
	struct login_settings rows;
	const char *syslog_name;       /* "mansio": lines come from mansio/imap-login         */
	struct tls *tls;               /* NULL: no STARTTLS                                 */
	const struct pop3_settings *pop3;      /* for POP3's CAPA                           */
};
struct login *login_open(struct loop *, int fd, const struct login_protocol *, bool tls_first,
                         const struct login_config *, const struct peer *, const struct login_needs *, void *ctx);
/* A stream whose client has logged in and out again: it is not greeted.  What it sent beyond is
   unread in the stream. */
struct login *login_again(struct loop *, struct stream *, const struct login_protocol *, bool secure,
                          const struct login_config *, const struct peer *, const struct login_needs *, void *ctx);
void login_close(struct login **, const char *words);
void login_challenge(struct login *, struct bytes);
/* `pass`: what the house wants back at hand_over. */
void login_welcome(struct login *, const char *user, uint64_t account, struct bytes pass, struct bytes last);
void login_refuse(struct login *, enum login_refusal, const char *user, const char *why);
const char *login_session(const struct login *);      /* the id for the log            */
const struct peer *login_peer(const struct login *);
const struct peer *login_here(const struct login *);
const char *login_protocol_name(const struct login *);
bool login_secure(const struct login *);
struct stream *login_stream(struct login *);           /* to be overheard               */
bool login_offers_binding(const struct login *);       /* a mechanism that binds the channel */
void login_channel(const struct login *, struct buffer *);     /* as stream_tls_channel() */
void  login_tie(struct login *, void *own);            /* the role's own, found again by */
void *login_tied(const struct login *);

#endif
