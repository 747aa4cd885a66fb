/*
 * events -- libunbound's own waiting, done by our loop
 *
 * From:     resolver
 *
 * events_open()   what ub_ctx_create_ub_event() wants: its sockets become watches, its patience
 *     timers.  No thread, no process, no other loop.
 * events_close()  after the context is gone.
 */
#ifndef DNS_EVENTS_H
#define DNS_EVENTS_H

#include "channel/loop.h"

struct ub_event_base;
struct ub_event_base *events_open(struct loop *);
void events_close(struct ub_event_base **);

#endif
