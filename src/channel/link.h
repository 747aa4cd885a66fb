/*
 * link -- words between two roles over a socket pair
 *
 * A frame is u32 length of body, u16 word, u16 flags, u32 ticket, then the
 * body (base/pack.h).  The ticket ties an answer to its question; its meaning
 * is the asker's.  A frame may carry one descriptor.
 *
 * link_open()   owns fd, as link_close() does away with it.
 *
 * link_say()    gathers; frames go out together before the loop sleeps, or at
 *               once past 64 KiB.  `fd` is dup'ed; -1 for none.  Where no
 *               descriptor can be had (EMFILE) the frame goes without, and
 *               the other side hears of it with -1.
 * link_begin()  gives the buffer to pack a body into, link_end() closes the
 *               frame: no copy.  link_end_fd() with a descriptor.
 * `word`        is called for each frame; it owns fd (-1 if none).  body is
 *               valid during the call.
 * `lost`        the other role is gone, or spoke nonsense (bad frame): close it.
 *               Called once, after the last whole frame; what is said then is
 *               dropped.  Both callbacks may close the link.
 * link_hear_out() another is to take the place of the other role, which is gone: what
 *               it said before and was not read is heard now.  The link may be
 *               closed then, by `word`; `lost` is not called.
 * Bodies are at most LINK_BODY_MOST.  Backlog is not bounded here:
 * askers bound what they have asked (link_pending() tells the bytes waiting).
 *
 * link_call() asks and waits, for the few places that cannot go on without
 * the answer (a TLS signature): on a socket of its own, with a bound in time.
 * An answer that comes after its caller has gone is thrown away by the next.
 * What answers there is an ordinary link.
 *
 * The reader of frames, for tests and fuzzing: frame_read() looks at the front
 * of what has arrived.  FRAME_WHOLE: *frame is filled, *used is how much of
 * `arrived` it takes.  FRAME_SHORT: *used is how many bytes it needs in all
 * (at least LINK_HEAD).  FRAME_NONSENSE: no role of ours wrote this.
 */
#ifndef CHANNEL_LINK_H
#define CHANNEL_LINK_H

#include "channel/loop.h"
#include "base/buffer.h"

enum { LINK_BODY_MOST = 16 << 20, LINK_HEAD = 12 };

struct link;
struct link_events {
	void (*word)(void *ctx, struct link *, uint16_t word, uint32_t ticket, struct bytes body, int fd);
	void (*lost)(void *ctx, struct link *);
};
struct link *link_open(struct loop *, int fd, const struct link_events *, void *ctx);
void link_close(struct link **);
void link_say(struct link *, uint16_t word, uint32_t ticket, struct bytes body, int fd);
struct buffer *link_begin(struct link *, uint16_t word, uint32_t ticket);
void link_end(struct link *);
void link_end_fd(struct link *, int fd);
void link_flush(struct link *);
void link_hear_out(struct link *);
size_t link_pending(const struct link *);
/* False: time ran out (ms), the peer is gone, or nonsense. */
bool link_call(int fd, uint16_t word, struct bytes body, uint16_t *answer, struct buffer *reply, int ms);
/* Two ends, non-blocking, close-on-exec, generous buffers. 0, or -1 with errno. */
int  link_pair(int fd[static 2]);

struct frame { uint16_t word, flags; uint32_t ticket; struct bytes body; };
enum { FRAME_FD = 1 };                          /* flags: a descriptor belongs to it */
enum frame_outcome { FRAME_WHOLE, FRAME_SHORT, FRAME_NONSENSE };
enum frame_outcome frame_read(struct bytes arrived, struct frame *, size_t *used)
	__attribute__((warn_unused_result));

#endif
