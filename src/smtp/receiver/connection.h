/*
 * connection -- a session and the stream it speaks through
 *
 * From:     role/receiver, which has accepted the descriptor
 *
 * connection_open()   owns the descriptor; the greeting goes out.
 * connections_rest()  at the end of each turn of the loop: connections that are over are closed.
 * connections_room()  there may be room again: sessions that wait for it ask.
 * connections_tick()  now and then: patience.
 * connections_leave() the server stops: 421 to those with nothing in hand, the others
 *                     after what they are doing.
 * connections_count() how many there are.
 *
 * A client that has closed its half still gets the replies to all that it had sent.
 */
#ifndef SMTP_RECEIVER_CONNECTION_H
#define SMTP_RECEIVER_CONNECTION_H

#include "channel/loop.h"
#include "smtp/receiver/session.h"

struct connection;
struct session *connection_open(struct loop *, int fd, struct receiver_config *, const struct peer *,
                                const struct receiver_needs *, void *house);
void   connections_rest(void);
void   connections_room(void);
void   connections_tick(void);
void   connections_leave(void);
size_t connections_count(void);
void   connections_each(void (*fn)(void *ctx, struct session *), void *ctx);    /* that are not over */
struct stream *connection_stream(struct session *);    /* to be overheard        */

#endif
