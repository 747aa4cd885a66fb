/*
 * crowd -- recipients of letters to many that are not in memory
 *
 * From:     queue, ledger; role/queue through crowd_more()
 * Touches:  nothing but what the ledger reads for it
 *
 * The first recipients of every letter are in memory as long as it is (qmgr_message_recipient_minimum).  The others of a
 * letter to many have a life of their own each.  When the ledger has them as they are (crowd_saved()) those leave that
 * ended, that are held, that wait for another time, and, where there are more than qmgr_message_recipient_limit of all
 * letters, those nobody is at yet; those that are new then are not even begun.  Their rows in the ledger are then all there
 * is of them, and a bit that says so; the letter counts them among its recipients, and is not finished before they are.
 *
 * Of a letter whose first tries are to be reported together (queue_wants_report()) nobody leaves before.
 *
 * In the schedule one stands for all that left, with the time of the earliest: so a letter to many waits for its turn as
 * any.  When that comes queue_needs.more() is called, and crowd_more() brings in those that are due, in order of number,
 * as many as there is room for.  Where there is none the letter is hungry, and has its turn when some have left; letters
 * take turns at that.
 *
 * crowd_absent()  a row of the letter stays in the ledger alone, at the start.
 * crowd_fits()    whether a row that is due may come into memory, at the start.
 * crowd_has()     whether the one of this number is not in memory.
 * crowd_count()   how many are not; crowd_all() of all letters.
 * crowd_take()    this one comes: in front of the others, to be filled in and put on the schedule.
 * crowd_more()    those that are due come.  False: the ledger cannot be read, they are looked for again later.
 * crowd_hungry()  some letter waits for room: what ended should be made durable soon.
 */
#ifndef QUEUE_CROWD_H
#define QUEUE_CROWD_H

#include "queue/queue.h"

struct ledger;
void     crowd_absent(struct queue *, struct letter *, uint32_t number, int64_t due_ms, bool held);
bool     crowd_fits(const struct queue *, const struct letter *);
bool     crowd_has(const struct letter *, uint32_t number);
uint32_t crowd_count(const struct letter *);
size_t   crowd_all(const struct queue *);
struct recipient *crowd_take(struct queue *, struct letter *, uint32_t number, struct bytes original);
bool     crowd_more(struct queue *, struct ledger *, struct letter *, int64_t now_ms);
bool     crowd_hungry(const struct queue *);
/* The queue's: a recipient that is new cannot be begun, and leaves when it is stored; the letter was stored; it is gone; the clock was set. */
bool     crowd_no_room(const struct queue *, const struct recipient *);
void     crowd_saved(struct queue *, struct letter *);
void     crowd_end(struct queue *, struct letter *);
void     crowd_leap(struct letter *, int64_t ms);

#endif
