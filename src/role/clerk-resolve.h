/*
 * clerk-resolve -- one question to the clerk that is answered by a pass over rules
 *
 * From:     clerk-resolve.c (RESOLVE, REWRITE, address test), clerk-lookup.c (address lookup), clerk-sender.c (SENDER_ASK), clerk-domain.c (DOMAIN_ASK)
 *
 * A pass reads the directory, the settings and the answers of tables; it says DIRECTORY_WAIT when one of these has not
 * answered yet, and is made again from its beginning when it has.  In the last pass (`for_good`) what has not answered
 * is to be taken for DIRECTORY_LATER.
 *
 * work_open()  `life` is the work's; what was asked is put into it by the caller.
 * work_on()    passes until none has to wait; the work is gone then.
 */
#ifndef ROLE_CLERK_RESOLVE_H
#define ROLE_CLERK_RESOLVE_H

#include "role/clerk.h"

struct work {
	struct house        *house;
	struct arena        *life;
	struct lookups      *lookups;
	enum role            from;
	uint32_t             index, ticket;
	struct caller       *caller;     /* of `address test`; else NULL            */
	struct lookup_order *lookup;     /* of `address lookup`; else NULL          */
	struct bytes         address;    /* of DOMAIN_ASK: the domain               */
	uint64_t             size;       /* of RESOLVE: the letter's, as it was announced */
	struct bytes         user;       /* of SENDER_ASK: who has logged in, "" nobody; of ROUTE: the sender */
	struct word_rewrite  letter;     /* of REWRITE                              */
	struct buffer        said;       /* what address test tells                 */
	unsigned             passes;
	bool                 forwarded;  /* of ROUTE: its sender may need a name of ours */
	bool                 let_go;     /* no table holds it any more */
	bool                 sent;       /* `user` is the sender of a letter to it */
	bool                 notice;     /* of RESOLVE: the sender is <>             */
	bool                 probe;      /* nothing is sent: whether there is such an address */
	bool                 opened;     /* the address was a name for returned mail */
	bool                 unmapped;   /* canonical and virtual alias maps are not for it */
	bool                 local;      /* of RESOLVE: its domain is taken for one of mydestination */
	bool                 for_good;   /* no pass comes after this one            */
	struct enquiry_round round;      /* questions to tables that are elsewhere  */
	bool                 elsewhere;  /* one was looked at                       */
	/* A long list is gone through in turns. */
	struct walk         *walk;       /* what is left of it                      */
	int64_t              turn_ms;    /* when this turn began                    */
	struct arena        *scratch;    /* its memory, NULL none yet               */
	struct work         *next_long;  /* of those that wait until other long lists are through */
	bool                 is_long;    /* one of those that are gone through now  */
	unsigned             changes;    /* the clerk's, when the list was begun    */
	struct errand        next_turn;
	/* An owner of mailboxes of whom the postmaster is asked, 0 none (clerk-owner.c). */
	uint32_t             owner;
	struct work         *next_waiting;
	struct exchange     *exchange;   /* of a first login (clerk-first.c)        */
	struct order        *order;      /* a command that waits for who is meant (clerk-person.c), */
	int                (*then)(struct order *); /* and how it goes on           */
	/* A pass: WAIT when a table must be asked first. */
	enum directory_outcome (*pass)(struct work *);
};
struct work *work_open(struct house *, enum role from, uint32_t index, uint32_t ticket);
void work_close(struct work **);        /* one that is not begun */
void work_on(struct work *);
struct resolving resolving_of(struct work *);
/* As far as this turn goes. */
enum directory_outcome resolve_in_turns(struct work *, struct resolving *, struct resolve_answer *);

/* ---- clerk-system.c ---- */
/* The operating-system user of that name, as the system writes it: OK, NONE, WAIT or LATER. */
enum directory_outcome clerk_system_user(struct work *, struct bytes who, const char **name, uint32_t *uid);

/* ---- clerk-srs.c ---- */
/* Whom hosts see as the sender of what is forwarded, "" as it was.  OK, LATER, WAIT. */
enum directory_outcome clerk_srs_sender(struct work *, struct resolving *, const char **out);
/* The work's address, when it is such a name, becomes whom it stands for; or why it does not, in *reply. */
enum srs_answer { SRS_ANSWER_NONE, SRS_ANSWER_OPENED, SRS_ANSWER_REFUSED };
enum srs_answer clerk_srs_open(struct work *, const char **reply);

/* The account of who is found in a table or a back end, from now on.  WAIT: something is asked first; anything else than OK: not now. */
enum directory_outcome clerk_make_account(struct work *, struct directory_target *);

/* ---- clerk-owner.c ---- */
/* To whom the mailboxes are to belong: clerk_owner() where a back end knows the user (`source`), else by virtual_uid_maps and
   virtual_gid_maps; OK, WAIT, or LATER, also when they cannot.  *out NULL too where the account of such a one is there. */
enum directory_outcome clerk_owner_of(struct work *, struct directory_target *, const struct mail_owner **out);
/* Whether those of this account still can belong to whom they do: OK, WAIT or LATER. */
enum directory_outcome clerk_owner_holds(struct work *, const struct credential *);
/* One that said WAIT for that. */
void clerk_owner_wait(struct work *);

#endif
