/*
 * inside -- what login.c shares with the files of its protocols
 */
#ifndef ACCESS_LOGIN_INSIDE_H
#define ACCESS_LOGIN_INSIDE_H

#include "access/login/login.h"

enum { LOGIN_LINE_MOST = 8192, LOGIN_LITERAL_MOST = 4096, LOGIN_BAD_MOST = 3, LOGIN_AUTH_LINE_MOST = 12288,
	LOGIN_OUTPUT_MOST = 64 << 10 };       /* as stream.h has it for `drained` */

/* A protocol's words for what every login does. */
struct login_protocol {
	const char *name;
	void (*greet)(struct login *);
	/* One command line (CRLF off), literals inside as "{n}CRLF" bytes. */
	void (*line)(struct login *, struct bytes);
	/* The mechanism's turn is over or needs more. */
	void (*challenge)(struct login *, struct bytes base64);
	void (*refuse)(struct login *, enum login_refusal);
	void (*broken)(struct login *, const char *why);       /* a response that is not base64, or "*" */
	void (*bye)(struct login *, const char *words);
	/* What was said of logins, and is to be said again after one; NULL nothing. */
	void (*offers)(const struct login *, struct buffer *out);
	bool literals;                                         /* lines may go on after {n}   */
};

enum login_room {
	ROOM_COMMAND,          /* the next line is a command                         */
	ROOM_RESPONSE,         /* the next line answers a challenge                  */
	ROOM_LAST,             /* the next line is empty: the client has read the last data */
	ROOM_CLERK,            /* the clerk is asked; lines wait                     */
	ROOM_TLS,              /* a handshake is under way                           */
};
struct login {
	struct loop   *loop;
	struct stream *stream;
	struct timer  *deadline;
	const struct login_protocol *protocol;
	const struct login_config   *config;
	const struct login_needs    *needs;
	void          *ctx, *own;
	struct peer    peer, here;
	char           session[20];
	enum login_room room;
	bool           secure, closing, greeted;
	bool           plain_refused;  /* a password came in the clear */
	int            bad, failures, attempts;
	int64_t        begun_ms;
	size_t         literal_end;    /* the line so far reaches here with its literals    */
	size_t         invited;        /* how far the client was told to go on              */
	char           tag[72];        /* IMAP; POP3: "UTF8"                                */
	char           stamp[96];      /* POP3: what APOP is to sign, "" none               */
	char           method[32];
	char           tried[256];     /* the last name tried, for the log                  */
	struct arena  *welcome;        /* user, while the last data is read                 */
	const char    *user;           /* POP3 USER; or the welcomed one                    */
	uint64_t       account;
	struct bytes   pass;
};

void login_say(struct login *, const char *form, ...) __attribute__((format(printf, 2, 3)));
/* The command is refused by grammar: counted; the third ends the session. */
void login_bad(struct login *);
void login_starttls(struct login *);
bool login_offers_tls(const struct login *);               /* STARTTLS, STLS */
/* Begin: `room` becomes ROOM_CLERK. */
void login_try(struct login *, const struct login_attempt *, struct bytes method);
bool login_plain_allowed(const struct login *);
bool login_mechanism_allowed(const struct login *, struct bytes mechanism, bool *insecure);
/* Mechanism names as the protocol lists them now, each behind `before`. */
void login_mechanisms(const struct login *, const char *before, struct buffer *out);
void login_quit(struct login *);                        /* after what was said has gone */

#endif
