/*
 * clerk-login -- one exchange by which somebody logs in, as clerk-login.c (fronts, SASL, the pool) and
 * clerk-chain.c (the back ends of credentials) have it
 */
#ifndef ROLE_CLERK_LOGIN_H
#define ROLE_CLERK_LOGIN_H

#include "directory/scheme.h"
#include "role/clerk-guard.h"
#include "role/enquiry.h"
#include "sasl/sasl.h"

/* One exchange of a front; found by role, index and ticket. */
struct exchange {
	struct house         *house;
	enum role             role;
	uint32_t              index, ticket;
	struct arena         *life;
	struct sasl          *sasl;
	char                  network[50]; /* LENT_MARK before it: as another program says */
	char                  service[16];
	struct peer           peer;
	struct app_password  *device;  /* that was right; NULL: another credential  */
	bool                  dropped; /* the front is gone; the check still runs   */
	bool                  busy;    /* in the thread pool or waiting for it      */
	struct timer         *pause;   /* a refusal that waits                      */
	int64_t               heard_ms; /* when the front said something last       */
	struct credential     who;
	uint64_t              before;  /* an account that bounds him, too (clerk-system.c); 0 none */
	struct bytes          user, password;
	struct bytes          counted; /* the name the guard counts by              */
	/* The back ends of credentials (clerk-chain.c). */
	bool                  nobody;   /* no back end is asked for such a name     */
	size_t                at;       /* the next to be asked                     */
	const struct credential_backend *asked;
	uint32_t              question; /* what another process was asked, 0 none   */
	struct timer         *patience;
	bool                  hashed;   /* a hash was compared: what nobody costs, too */
	struct bytes          stored;   /* what the pool compares; nothing: nobody's */
	const char           *why_closed; /* of CLOSED, LATER: words for the log      */
	const char           *fallback; /* its scheme where it names none           */
	struct caller        *caller;   /* a command that tries it: no front        */
	const char           *classic;  /* which is doveadm: the name as it was typed */
	struct bytes          last;     /* what goes along with success             */
	bool                  old_hash; /* of the directory, to be made anew        */
	struct password_record fresh;   /* what it is made into                     */
	enum credential_mode  mode;     /* what the back ends are asked           */
	bool                  unsaid;   /* one of them cannot tell who there is   */
	const char           *unsure;   /* nor whether only the password was wrong: words for the log, NULL */
	const char           *wrong;    /* who knows the user says no; the rest is asked whether they answer */
	const char           *late;     /* one does not: said when as much was done as for others */
	bool                  joins;    /* what is known of who has proved it is asked */
	struct bytes          secret_user; /* whose secret was asked for            */
	enum credential_outcome secret; /* and what came of it; WAIT: not asked   */
	struct bytes          fields;   /* what the back end said with PASS         */
	enum scheme_outcome   right;
	const char           *why;
	/* A mechanism (clerk-sasl.c). */
	struct buffer         said;     /* what a slow step answers                 */
	struct bytes          heard;    /* and what it answers to                   */
	bool                  has_heard;
	enum sasl_outcome     outcome;
	struct enquiry        token;    /* to a table that another role asks        */
	size_t                token_at; /* which of oauth_token_maps; counted on    */
	bool                  enquiring;
	bool                  apop;     /* POP3's, not a mechanism: stamp and digest */
	struct bytes          stamp, digest;
	bool                  one_time; /* has the user's chain of one-time passwords */
	struct bytes          master, master_for; /* a master user, and as whom (clerk-master.c) */
	bool                  mastered; /* his password was right                   */
	bool                  proved;  /* the password was right, whatever follows    */
	struct word_auth_done answer;
	struct exchange      *next; /* in the queue of checks                    */
};

/* clerk-login.c: the ends of an exchange, and a comparison in the pool. */
void exchange_refuse(struct exchange *, enum auth_answer, const char *why);
void exchange_welcome(struct exchange *, struct bytes last);
void exchange_later(struct exchange *, const char *why);
/* `stored` "": what nobody has.  chain_compared() is told. */
void exchange_compare(struct exchange *, struct bytes stored, const char *fallback);
void exchange_close(struct exchange *);

/* Who is it?  The guard counts by the directory's own name, however it was typed.  False: the directory cannot say now. */
bool exchange_name(struct exchange *, struct bytes user);
/* True when it will be answered "later": too many have failed. */
bool exchange_guarded(struct exchange *);
/* User and password are known: the back ends are asked. */
void exchange_check(struct exchange *, struct bytes user, struct bytes password);

/* The step that had to wait for what is stored. */
void exchange_again(struct exchange *);
/* clerk-sasl.c: the user's password itself.  LATER while a question is open: exchange_again() comes. */
enum sasl_outcome exchange_secret(struct exchange *, struct bytes user, struct arena *, struct bytes *out);
/* clerk-sasl.c: false, there is no such mechanism here. */
bool exchange_sasl(struct exchange *, const struct word_auth_start *);
void exchange_step(struct exchange *, bool has_input, struct bytes input);
void exchange_forget(struct exchange *);               /* what a mechanism holds of it */

/* clerk-chain.c: user and password are known; the guard lets it go on. */
void chain_begin(struct exchange *);
void chain_compared(struct exchange *);
/* What a mechanism compared by itself is wrong, or nobody's: he is told so, or "later" while a back end is away. */
void chain_doubt(struct exchange *, const char *why);
enum stored {
	STORED_NONE, STORED_FOUND, STORED_LATER,
	STORED_WAIT,                   /* another process was asked: exchange_again() comes, and it is the time to ask once more */
	STORED_ASKED                   /* clerk-chain.c's own                    */
};
/* What is stored for the user where we can read it: a passwd-file's line, a row of SQL or an entry of LDAP, unless the directory has the account.  For the
   mechanisms that compare by themselves; chain_proved() is the end then, and of every exchange that was proved. */
enum stored chain_stored(struct exchange *, struct bytes *stored);
void chain_proved(struct exchange *, struct bytes last);
/* The exchange is over: what was asked for it is void. */
void chain_end(struct exchange *);
/* The hash of e->master in the file of master users, from this network: FOUND, NONE or LATER. */
enum stored chain_master(struct exchange *, struct bytes *hash);

/* What came of the account of who is proved; NONE: it is to be made. */
void chain_account(struct exchange *, struct bytes name, enum directory_outcome);
/* clerk-first.c: he has none yet.  chain_account() hears of it. */
void clerk_first_login(struct exchange *, struct bytes name);

/* clerk-master.c: "user*master", whose password is known.  False: it is no such name. */
bool master_begin(struct exchange *, struct bytes user);
/* The same in two words. */
void master_as(struct exchange *, struct bytes user, struct bytes master, struct bytes password);
void master_compared(struct exchange *);
/* What a command is told of the outcome. */
void exchange_tell_caller(struct exchange *);

#endif
