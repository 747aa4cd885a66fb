/*
 * turns -- whose turn it is among the sessions of a service
 *
 * From:     access/imap, access/pop3
 * To:       channel/loop (one timer, which fires before anything else is waited for)
 *
 * A session that has more to do is queued; each that stood there when the turn began gets its milliseconds.
 *
 * turns_open()   go(session) is called for each in its turn; it may leave or queue itself again.
 * turn_queue()   the session's `go` in the next turn; once, however often it is said.
 * turn_leave()   it is not called any more.
 * turns_begin()  the milliseconds begin now: by go(), and by whatever else wakes a session.
 * turns_over()   they are past: queue yourself, and go back to the loop.
 */
#ifndef ACCESS_TURNS_H
#define ACCESS_TURNS_H

#include "channel/loop.h"

struct turn { void *session; struct turn *next; bool queued; };
struct turns {
	struct timer *timer;
	struct turn  *first, **last;
	int64_t       ends_ms, served_ms;      /* served: when the last queue was through */
	void        (*go)(void *session);
};
void turns_open(struct turns *, struct loop *, void (*go)(void *session));
void turns_close(struct turns *);
void turn_queue(struct turns *, struct turn *, void *session);
void turn_leave(struct turns *, struct turn *);
void turns_begin(struct turns *);
bool turns_over(const struct turns *);

#endif
