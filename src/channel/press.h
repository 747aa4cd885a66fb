/*
 * press -- DEFLATE on both ways of a stream (rfc1951, rfc4978)
 *
 * From:     channel/stream, once stream_compress() was called
 *
 * press_open()   some 100 KiB of state: windows of 8 KiB out, of 32 KiB in.
 * press_read()   reads the socket and gives at most `room` plain bytes; whatever a peer's bytes
 *                would unfold to, no more than that is made of them at one time.  Where the peer flushed
 *                behind a line it stops: who gets that line may end the compression there.
 * press_holds()  plain bytes may be there that the descriptor does not tell of.
 * press_add()    plain bytes on their way out; with `flush` the peer can read all of them.
 * press_out()    what is ready for the socket; press_gone() takes it off.
 * press_end()    the end of both (rfc8437:4.1): what comes from now on is plain, and the next `flush` is our last.
 * press_is_over() of the peer's compressed bytes nothing is to come any more.
 * press_rest()   its plain bytes that were read and not given yet are appended.
 */
#ifndef CHANNEL_PRESS_H
#define CHANNEL_PRESS_H

#include "base/buffer.h"
#include "channel/socket.h"

struct press;
struct press *press_open(void);
void press_close(struct press **);
enum socket_outcome press_read(struct press *, struct socket *, char *to, size_t room, size_t *n)
	__attribute__((warn_unused_result));
bool press_holds(const struct press *);
void press_add(struct press *, struct bytes, bool flush);
struct bytes press_out(const struct press *);
void press_gone(struct press *, size_t);
void press_end(struct press *);
bool press_is_over(const struct press *);
void press_rest(struct press *, struct buffer *);

#endif
