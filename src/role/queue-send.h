/*
 * queue-send -- what the files of the queue role share that send elsewhere
 *
 *     queue-destination.c  transports and destinations, and what is known of each
 *     queue-turn.c         which of them may send now: turns, rate delays, places at senders
 *     queue-send.c         one transaction: it is told to a sender, and what became of it is heard
 *
 * destination_put_off()   everybody in line waits for another time, some in each turn: there may be very many.  True: more are left.
 * destination_learns()    what a sender said of it; hurried: it was given up for others.
 * destination_spaced()    its transport, where that has a delay between any two deliveries; NULL: it has none.
 * destination_next_ms()   when the next may go there, by both delays, patient.
 * turn_take()             it stands behind those that are in turn.
 * turn_again()            what is known of it may have changed: where it waited for a place it is in turn.
 * turn_slots_free()       places may be free: some that wait for one are in turn again.
 * turn_may_have_slot()    whether it may have a place more: one that is full, or has not answered, leaves some for others.
 * turn_is_short()         somebody waits for a place and could have one.
 * turn_open()            nobody is in turn.
 * sending_begin()         a transaction with the next in line.  False: no sender has room.
 * sending_hurry()         others want the place of one whose host has said no word in the time for it: its sender is told.  False: there is none.
 */
#ifndef ROLE_QUEUE_SEND_H
#define ROLE_QUEUE_SEND_H

#include "queue/line.h"
#include "queue/pace.h"
#include "role/queue.h"

enum { DESTINATIONS_IDLE_MOST = 1000 };
/* What is known of a destination. */
enum trust { UNKNOWN, ANSWERS, SILENT };

struct destination {
	char               *key, *nexthop;
	struct transport    transport;
	struct line         line; /* who waits                            */
	struct pace         pace;
	uint32_t            busy;
	enum trust          trust;
	int64_t             next_ms;       /* by its rate delay, patient           */
	int64_t             away_until_ms; /* nobody answers there        */
	char                why[400], status[12];
	struct away        *away;           /* who is put off, until it returns */
	bool                in_turn, given; /* given: its wait for a slot is over */
	struct destination *next;           /* of those in turn, or put off         */
	struct rota_member  place;          /* among those that are short of a slot */
	struct rota        *short_in;
};

bool destination_put_off(struct house *, struct destination *);
void destination_learns(struct house *, struct destination *, const struct word_sent *, bool hurried);
struct transport *destination_spaced(const struct queue_role *, const struct destination *);
int64_t destination_next_ms(const struct queue_role *, const struct destination *);

void turn_take(struct house *, struct destination *);
void turn_again(struct house *, struct destination *);
void turn_slots_free(struct house *);
bool turn_may_have_slot(struct house *, const struct destination *);
bool turn_is_short(struct house *);
void turn_open(struct house *);

bool sending_begin(struct house *, struct destination *, uint32_t run, int64_t run_ms);
bool sending_hurry(struct house *, bool all_taken);

#endif
