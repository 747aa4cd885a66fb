/*
 * child -- the processes of the house, as the postmaster has them
 *
 * From:     postmaster
 * To:       house, in the new process
 *
 * A child is a place in the house (receiver 0) that is filled by one process after
 * another.  children_open() knows how many of each there are; child_start() fills a
 * place: executes this binary again, tells settings and resources, links it to all whom
 * it may speak to and says GO.  children_start() does so for all at once, so that none
 * waits for another.
 *
 * Beyond these there are places for the keepers of operating-system users, filled when one is wanted and given back
 * when it has nothing to do: it says so with the number of peers it was introduced to, and when that is all of them it
 * is told to stop; who wants it then waits for the next.
 *
 * When a child dies it is started again after a while: 0.1 s, twice as long each time up to 5 s,
 * from the beginning when it had lived a minute.  The others hear of its successor.
 */
#ifndef ROLE_CHILD_H
#define ROLE_CHILD_H

#include <sys/types.h>

#include "channel/link.h"
#include "role/estate.h"
#include "role/settings.h"
#include "role/wire.h"

/* Those that are there only while the settings give them something to do. */
#define CHILDREN_AT_TIMES (FROM(PAM) | FROM(PROXYMAP) | FROM(CERTIFIER) | FROM(GUIDE))

enum child_state {
	CHILD_AWAY,          /* no process                              */
	CHILD_COMING,        /* started, has not said READY             */
	CHILD_WORKING,
};
struct children;
struct child {
	struct children *all;
	enum role    role;
	uint32_t     index, of;
	enum child_state state;
	pid_t        pid;
	struct link *link;
	struct timer *again;
	int64_t      started_ms, wait_ms;
	uint32_t     restarts;
	char        *cage;             /* as READY said it, NULL before     */
	uint32_t     connections;
	char        *facts;            /* "memory=... key=value"            */
	uint32_t     introduced;       /* to so many peers, this process    */
	uint32_t    *met;              /* a user's keeper: `introduced` of each of the pool when they met last */
	bool         started_well;     /* said READY once                   */
	bool         wanted;           /* resting, and somebody wants it    */
	bool         resting;          /* told to stop since it may rest    */
	bool         anew;             /* told to begin anew                */
};
/* How it is called: a user's keeper by the uid, an owner's by its place in users/. */
static inline uint32_t
child_number(const struct child *c)
{
	return c->role == KEEPER ? c->index & ~KEEPER_OF_USER : c->index;
}
/* A place in the house nobody has now: of a user's keeper that nobody wants. */
static inline bool
child_is_vacant(const struct child *c)
{
	return c->role == POSTMASTER;
}
/* A role that has nothing to do with these settings is not started. */
bool child_is_idle(const struct child *);
struct child_events {
	void (*ready)(void *ctx, struct child *);
	void (*died)(void *ctx, struct child *, int status);      /* of waitpid(2) */
	void (*told)(void *ctx, struct child *, uint32_t ticket); /* its status is new */
};
struct children {
	struct loop  *loop;
	struct child *child;
	size_t        count, pool;     /* the first of them are always there */
	size_t        users;           /* places behind those for operating-system users' keepers */
	uint32_t      shares;          /* as they were told last          */
	const struct common_settings *common;
	struct bytes  text;            /* of main.cf                        */
	const struct estate *estate;
	bool          stopping;        /* nobody is started again           */
	unsigned      wanted;          /* FROM() of those that are not always there, and have something to do */
	const struct child_events *events;
	void         *ctx;
};

void children_open(struct children *, const struct common_settings *);
void children_close(struct children *);
void children_start(struct children *);
/* Whether there is something to do for one of CHILDREN_AT_TIMES: then it is started, else it is stopped. */
void children_want(struct children *, enum role, bool);
/* After waitpid() may have news. */
void children_look(struct children *);
/* Tell these roles what has changed since `before`, then the settings. */
void children_reload(struct children *, unsigned roles, const struct estate *before);
/* One holding that is new, to those who have a right to it; a word without a body to these roles. */
void children_give(struct children *, const struct holding *);
void children_say(struct children *, unsigned roles, uint16_t word);
/* Operating-system users' keepers that run begin anew: directories they are to see are new. */
void children_users_anew(struct children *);
void children_stop(struct children *, unsigned roles);
void children_kill(struct children *, unsigned roles);
size_t children_alive(const struct children *, unsigned roles);
bool children_ready(const struct children *);
/* Asks these for their status; how many were asked. */
size_t children_ask(struct children *, unsigned roles, uint32_t ticket);
uint32_t children_of(const struct common_settings *, enum role);

#endif
