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
 * rota_first()  whose turn it is; NULL: nobody waits.
 * rota_leave()  waits no more, or did not.
 * rota_free()   nobody waits, and nothing is kept.
 * rota_turn()   a letter of this party comes: its turn.
 * rota_served() the one with this turn has its place.
 * rota_back()   one of this party waits no more, and was not served: its next has a turn that much earlier.
 */
#ifndef QUEUE_ROTA_H
#define QUEUE_ROTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rota_member {
	int8_t   priority;
	int64_t  turn;
	uint64_t came;
	size_t   place;                /* from 1; 0: it does not wait          */
};
struct rota {
	struct rota_member **at;
	size_t   len, room;
	uint64_t came;
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
struct rota_member *rota_first(const struct rota *);
void rota_leave(struct rota *, struct rota_member *);
void rota_free(struct rota *);

#endif
