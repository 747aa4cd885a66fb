/*
 * session -- one reader's POP3 session, from the "+OK" of the password to QUIT
 *
 * A verb is a row (verbs.c) with what it takes; what it says is gathered in the
 * stream.  RETR and TOP are carried on in turns: pop3/sending.
 */
#ifndef ACCESS_POP3_SESSION_H
#define ACCESS_POP3_SESSION_H

#include "access/guests.h"
#include "access/hold.h"
#include "access/pop3/pop3.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "base/map.h"
#include "channel/stream.h"

struct pop3;
struct pop3_service {
	struct loop        *loop;
	struct store       *store;
	struct pop3_config  config;
	struct pop3_needs   needs;
	void               *ctx;
	struct guests       guests;
	struct map         *logins;            /* account -> when; see pop3_unwelcome() */
};

/* A message as it was when the session began. */
struct pop3_message { uint64_t message, size; uint32_t uid; bool deleted, seen, touched; };
struct pop3_promise;
struct pop3_sending;
struct pop3 {
	struct pop3_service *service;
	struct guest    guest;                 /* of the service                  */
	struct arena   *life;
	struct access_facts facts;
	struct stream  *stream;
	struct hold     hold;                  /* what was said and may not go out yet */
	bool            cut;                   /* that is not so: nothing more goes out */
	struct buffer   early;                 /* what the login had read ahead   */
	struct account *account;
	struct mailbox *mailbox;
	uint32_t        uidvalidity;
	struct pop3_message *message;
	uint32_t        count, deleted;
	uint32_t        counted;               /* whose sizes are known           */
	bool            settled, settling;     /* all that lies in files is in the mailbox; is being read */
	bool            welcoming;             /* until all are: then "+OK"       */
	uint64_t        size, deleted_size;
	int64_t         bad, bad_in_row;       /* commands answered -ERR          */
	const char     *end;
	bool            utf8;                  /* rfc6856:2                       */
	bool            waiting;               /* for the barrier of QUIT         */
	struct pop3_promise *promise;
	struct pop3_sending *sending;          /* RETR or TOP, LIST or UIDL under way */
	uint32_t        tops, retrs, expunged; /* for the log                     */
	uint64_t        top_bytes, retr_bytes;
};

struct pop3_verb {
	const char *name;
	unsigned    least, most;               /* arguments, numbers all of them  */
	void      (*run)(struct pop3 *, const uint64_t *argument, unsigned count);
	void      (*say)(struct pop3 *, struct bytes argument);    /* instead: what follows is text */
};
extern const struct pop3_verb pop3_verbs[];
extern const size_t pop3_verb_count;

enum { POP3_OUTPUT_MOST = 64 << 10 };

void pop3_say(struct pop3 *, const char *form, ...) __attribute__((format(printf, 2, 3)));
void pop3_error(struct pop3 *, const char *words);          /* "-ERR words", counted        */
/* The message of this number; NULL: said why. */
struct pop3_message *pop3_message_of(struct pop3 *, uint64_t number);
/* rfc2449:8.1: why this account may not open a session now, with its code; NULL: it may. */
const char *pop3_unwelcome(struct pop3 *);
void pop3_quit(struct pop3 *);                              /* the UPDATE state             */
void pop3_end(struct pop3 *, const char *why);
bool pop3_turn_over(struct pop3 *);
bool pop3_full(struct pop3 *);
/* Another program has the mailbox locked.  True: it is waited for, and what waits is tried again; false: no longer. */
bool pop3_locked(struct pop3 *);
void pop3_go(struct pop3 *);
void pop3_finish(struct pop3 *);
void pop3_queue(struct pop3 *);

#endif
