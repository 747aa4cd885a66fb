/*
 * events -- what a role tells the chronicle
 *
 * From:     receiver, queue, sender
 * To:       chronicle (EVENT)
 *
 * event_say()  in one word with all others of this turn, and nobody waits: where the chronicle is away, or slower than
 *              we, events are dropped and their number is told with the next.  The time is put in if it is 0.  Nothing
 *              is said where event_store is no.
 * event_is_told()  whether anything would come of it, for who must gather it first.
 */
#ifndef ROLE_EVENTS_H
#define ROLE_EVENTS_H

#include "chronicle/event.h"
#include "role/house.h"

bool event_is_told(const struct house *);
void event_say(struct house *, const struct event *);

#endif
