/*
 * sender-contact -- a connection to another host, and the session that goes through it
 *
 *     sender-session.c   how it comes about, waits for more, and ends
 *     sender-mouth.c     what the session wants, and what is told of it
 *
 * contact_end()        it is over.  Not from within itself: it goes at the beginning of the next turn.
 * contact_idle()       it waits for another letter, by what makes two alike.
 * contact_send()       the letter of its delivery goes.
 * contact_tls_doubt()  the handshake is over: is it whom we want?  Why not, in words.
 */
#ifndef ROLE_SENDER_CONTACT_H
#define ROLE_SENDER_CONTACT_H

#include "role/sender.h"

struct contact {
	struct contact               *next, **at;
	struct house                 *house;
	struct delivery              *delivery; /* NULL: it waits for one               */
	const struct sender_settings *rows;     /* of its transport               */
	struct arena                 *life;
	int                           fd; /* while it comes about                 */
	struct watch                 *watch;
	struct stream                *stream;
	struct outgoing              *session;
	struct timer                 *timer;
	struct errand                 end;
	struct outgoing_config        config;
	struct setting_list           filter; /* of mechanisms                        */
	uint16_t                      port;
	struct security               security;
	struct tls_demand             wish;
	struct tls                   *secret; /* NULL: no TLS                          */
	const char                   *policy;
	struct reply_filter          *replies; /* NULL: they are read as they are        */
	const char     *gone; /* why it is over, while what it said last still waits */
	const char     *from; /* addresses of ours it comes from          */
	const char     *name, *key, *relay; /* of the host; what makes two alike; for the log  */
	int64_t         made_ms;
	int64_t         taken; /* letters                              */
	bool            idle, keep, closing, leave, secures;
	struct contact *idle_next, *idle_before; /* of the same key */
	bool            met;                     /* its host has answered HELO              */
	enum outgoing_wait waits;                /* for what                                */
	int64_t         heard_ms;                /* it said something last                  */
	bool            wrapped;                 /* TLS from the first byte              */
	bool            by_sts;
	const char     *tls; /* "dane Verified TLSv1.3 with ...", "none" */
};

void contact_end(struct contact *);
void contact_idle(struct contact *);
void contact_send(struct contact *);
const char *contact_tls_doubt(struct contact *);
extern const struct outgoing_needs contact_needs;

#endif
