/*
 * rota -- who waits for a place that others have, and who gets the next
 *
 * From:     role/queue
 * Touches:  nothing
 *
 * Who waits is a part of something of the caller's.  First is the highest priority, then the earliest turn, then who came first.
 * Turns are numbers of letters: each of a party (queue_party()) has one behind the party's last, and none is before what was
 * served last.  So who comes with a single letter stands beside the next of everybody else, however much that one has.
 *
 * rota_join()   waits, or is there already: with these, if they are better than what it had.
 * rota_waits()  whether it does.
 * rota_first()  whose turn it is; NULL: nobody waits.
 * rota_count()  so many wait; rota_some(): one of them by its number from 1 to that, the first first, the others as it comes.
 * rota_leave()  waits no more, or did not.
 * rota_free()   nobody waits, and nothing is kept.
 * rota_turn()   a letter of this party comes: its turn.
 * rota_served() the one with this turn has its place.
 * rota_back()   one of this party waits no more, and was not served: its next has a turn that much earlier.
 */
#ifndef QUEUE_ROTA_H
#define QUEUE_ROTA_H

#include <stdint.h>

#include "queue/heap.h"

struct rota_member {
	struct heap_place place;
	int8_t   priority;
	int64_t  turn;
	uint64_t came;
};
struct rota {
	struct heap heap;
	uint64_t    came;
};

struct map;
struct rota_turns {
	struct map *last;              /* party -> the turn of its last letter */
	size_t      most;
	int64_t     served;
};

int64_t rota_turn(struct rota_turns *, uint64_t party);
void rota_served(struct rota_turns *, int64_t turn);
void rota_back(struct rota_turns *, uint64_t party);
void rota_join(struct rota *, struct rota_member *, int8_t priority, int64_t turn);
bool rota_waits(const struct rota_member *);
struct rota_member *rota_first(const struct rota *);
size_t rota_count(const struct rota *);
struct rota_member *rota_some(const struct rota *, size_t number);
void rota_leave(struct rota *, struct rota_member *);
void rota_free(struct rota *);

#endif
