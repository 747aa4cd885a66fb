/*
 * house_inner -- what the files of a role's house share: house.c (what the postmaster says, coming to work),
 * house-neighbours.c (the other processes), house-resources.c (what the postmaster gave)
 */
#ifndef ROLE_HOUSE_INNER_H
#define ROLE_HOUSE_INNER_H

#include "base/arena.h"
#include "directory/directory.h"
#include "role/confine.h"
#include "role/house.h"

/* Another process of the house, and our end of the link to it. */
struct neighbour {
	struct home *home;
	enum role    role;
	uint32_t     index;
	struct link *link; /* NULL while it is away                                */
	int          fd;   /* a link for house_call(), or to be opened at work; -1 */
	uint32_t     pid;  /* as the postmaster told it                            */
};

/* One of an operating-system user's keepers: there are as many places as were ever heard of. */
struct user_keeper {
	struct user_keeper *next;
	struct neighbour    neighbour;
};

struct resource {
	struct resource *next;
	char            *name, *text;
	int              fd;
};

/* What only this file knows of a house.  The house comes first. */
struct home {
	struct house            house;
	const struct role_card *card;
	struct link            *postmaster;
	struct neighbour       *neighbour[ROLES];
	uint32_t                neighbours[ROLES];
	struct user_keeper     *user_keepers;
	uint32_t                introduced; /* so many PEERs were heard              */
	struct system_user      user;       /* of a user's keeper                    */
	int                     runner;     /* of a user's keeper, else -1           */
	int                     refused;    /* the exit status when it cannot work   */
	struct resource        *first;
	struct arena           *life;
	const char             *root;    /* before paths in the mail directory    */
	int                     memory;  /* /proc/self/smaps_rollup, or -1        */
	struct timer           *giving;  /* memory back                           */
	size_t                  spare;   /* the least that was unused since the last time */
	bool                    working; /* GO was said and the role could start  */
	bool                    left;    /* the role wants to hear nothing more   */
};

static inline struct home *
home_of(struct house *h)
{
	return (struct home *)h;
}

/* house-neighbours.c */
struct neighbour *neighbour_of(struct home *, enum role, uint32_t index);    /* NULL: nobody has such a place */
/* The same, and a place is made where there is none; NULL: there cannot be one. */
struct neighbour *neighbour_expect(struct home *, enum role, uint32_t index, uint32_t of);
/* Nobody is heard before we are at work: until then its link is not opened. */
void neighbour_meet(struct neighbour *);
void neighbours_meet(struct home *);
void neighbour_lose(struct neighbour *);

/* house-resources.c */
bool resource_is_listening(const char *name);
struct resource *resource_find(struct home *, const char *name);
void resource_forget(struct home *, const struct word_resource *);
void resource_put(struct home *, const struct word_resource *, int fd);

#endif
