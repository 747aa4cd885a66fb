/*
 * outgoing_inner -- what the files of one outgoing session share: outgoing (from the greeting on), login, transaction
 */
#ifndef SMTP_SENDER_OUTGOING_INNER_H
#define SMTP_SENDER_OUTGOING_INNER_H

#include "sasl/supplicant.h"
#include "smtp/sender/outgoing.h"

enum outgoing_phase {
	PHASE_GREETING, PHASE_EHLO, PHASE_HELO, PHASE_STARTTLS, PHASE_SHAKING, PHASE_AUTH,
	PHASE_READY,
	PHASE_XFORWARD,                /* it is told of the client               */
	PHASE_ENVELOPE,                /* MAIL, RCPT and perhaps DATA are answered */
	PHASE_CONTENT,                 /* the letter goes                          */
	PHASE_PAUSE,                   /* its end waits                            */
	PHASE_END,                     /* its end was said                         */
	PHASE_RSET, PHASE_QUIT, PHASE_OVER,
	PHASES
};
struct outgoing {
	struct outgoing_config       config;
	const struct outgoing_needs *needs;
	void           *mouth;
	enum outgoing_phase phase;
	struct response heard;
	struct history  history;
	struct buffer   words;         /* scratch of what is told                  */
	unsigned        offers;
	uint64_t        size_most;     /* 0: not said                              */
	char            mechanisms[512], name[256];
	unsigned        pix;           /* enum outgoing_pix, when the greeting asked for it */
	bool            offered_tls, secure, handshake_failed, authenticated, login_refused, met_itself;
	unsigned        xforward;      /* 1 << enum of xforward.c: what it takes   */
	int             xforward_step;
	/* of a login */
	struct arena   *login_life;
	struct supplicant_facts login_facts;
	struct supplicant *login;
	int             auth_step;
	/* of a transaction */
	struct outgoing_transaction *t;
	bool            said_mail, said_data, heard_mail, heard_data, good_mail, chunk;
	uint32_t        said_rcpts, heard_rcpts, taken, answered;
	uint64_t        content_at;
	bool            line_start, held_cr;
	int64_t         column;
};

/* The greeting is over: it logs in where it has to. */
void outgoing_log_in(struct outgoing *);
void outgoing_hear_auth(struct outgoing *);

/* What XFORWARD of EHLO takes, a word of it; whether there is anything to say by it; and the next of it, false: that was all. */
void outgoing_xforward_offer(struct outgoing *, struct bytes words);
bool outgoing_xforward_say(struct outgoing *);
void outgoing_hear_xforward(struct outgoing *);
/* MAIL and what follows. */
void outgoing_say_envelope(struct outgoing *);

void outgoing_hear_envelope(struct outgoing *);
void outgoing_hear_content(struct outgoing *);
void outgoing_hear_end(struct outgoing *);
void outgoing_hear_rset(struct outgoing *);
/* All that has no fate yet gets this one, and the session ends. */
void outgoing_transaction_lost(struct outgoing *, enum outgoing_fate, const char *status, const char *words);

void outgoing_say(struct outgoing *, const char *form, ...) __attribute__((format(printf, 2, 3)));
/* The same of a line that is in `out` already, but for its end. */
void outgoing_said_line(struct outgoing *, struct buffer *out, size_t from);
void outgoing_wait_for(struct outgoing *, enum outgoing_wait);
void outgoing_ready(struct outgoing *);
void outgoing_end(struct outgoing *);
/* Nothing will come of this session; it takes its leave. */
void outgoing_fail(struct outgoing *, enum outgoing_fate, const char *status, const char *words);
/* "host X said: 550 ... (in reply to MAIL FROM command)", good until the next. */
const char *outgoing_said(struct outgoing *, const char *command);
/* What an answer means that is not the one hoped for, and its status. */
enum outgoing_fate outgoing_fate_of(const struct response *, char status[static 12]);

#endif
