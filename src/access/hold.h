/*
 * hold -- what a session said of things that are not on disk yet stays with us until they are
 *
 * From:     access/imap, access/pop3
 * To:       store (store_look()), channel/stream (stream_hold())
 *
 * A delivery is told to whoever has its mailbox open at once, some milliseconds before it is durable.  If the power
 * failed in between, its uid would be another letter's afterwards, and a client that keeps what it has seen would show
 * the one for the other.  So a turn in which a session looked at such a thing sends nothing before the barrier.
 *
 * hold_open()    `over` is called when what was held goes out, or is to be forgotten: `why` is not 0 then.
 * hold_look()    the session's turn begins.
 * hold_seen()    it is over.  True: what it said is held; the session does nothing more until `over`.
 * hold_is_on()   that is so now.
 * hold_close()   nobody waits any more.  What is held would go out: whoever closes while hold_is_on() drops it (stream_close()).
 */
#ifndef ACCESS_HOLD_H
#define ACCESS_HOLD_H

#include "channel/stream.h"
#include "store/store.h"

struct hold_promise;
struct hold {
	struct store  *store;
	struct stream *stream;
	struct hold_promise *promise;          /* NULL: nothing is held           */
	void         (*over)(void *session, int why);
	void          *session;
};
void hold_open(struct hold *, struct store *, struct stream *, void (*over)(void *session, int why), void *session);
void hold_look(struct hold *);
bool hold_seen(struct hold *);
bool hold_is_on(const struct hold *);
void hold_close(struct hold *);

#endif
