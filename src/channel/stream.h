/*
 * stream -- a connection: bytes in, bytes out, TLS or not
 *
 * The stream owns its descriptor.  Reading: `arrived` is called when there is
 * more; stream_peek() shows all unread bytes, stream_eat() takes from the
 * front.  What is not eaten stays; `arrived` is called again only when more
 * comes (or after stream_resume()).  An idle stream holds no buffers.
 * Never more than `most_unread` bytes (default 64 KiB) are held: past it reading stops
 * until something is eaten.
 *
 * Writing: stream_say() gathers; everything said in one turn of the loop goes
 * out with one write before the loop sleeps.  stream_pending() tells how much
 * waits; `drained` is called each time it has fallen below 64 KiB after having been
 * above.  stream_say_file() queues a range of a file behind what was said
 * (sendfile when plain); it is dup'ed, so the caller may close its own.  What
 * stream_out() gives is good until the callback returns.
 *
 * stream_secure() drops every unread byte and all that was read ahead (STARTTLS
 * injection) and begins the handshake once pending output is out; `secured` tells
 * within ten seconds.  What is said from then on waits for it.  After a failure
 * `closed` follows, unless `secured` closed the stream.
 *
 * stream_compress() compresses what is said from then on and takes what comes for compressed
 * (rfc4978); every unread byte is dropped.  stream_is_compressed() tells.  stream_end_compression(): what was
 * said is the last that goes out compressed, and what the peer says from now on is plain; nothing more may be
 * said.  stream_is_settled(): all that was said is gone, and no compressed byte of the peer's is awaited; else
 * stream_settle() has `drained` called once all is gone.
 *
 * stream_patience(ms): `silent` is called when nothing has arrived and nothing
 * that was pending has gone for so long (and again after as long); 0 never.
 * `closed` is called once when the peer is gone or the
 * socket broke ("end of file", "Connection reset by peer", "TLS: ..."); unread
 * bytes can still be peeked in it; the owner calls stream_close() then or later.
 * After "end of file" the peer may still be listening: what is said then is sent.
 * stream_finish() sends what is pending, then closes; no more callbacks.  It
 * waits a moment for the peer to close first, so that the last reply is not
 * lost to a reset; stream_leaving() tells how many are on their way out.
 * Callbacks come from the loop only, never from within a stream_ call.  Any of
 * them may be NULL, and within any of them the owner may close the stream.
 *
 * stream_detach() gives the descriptor away (plain streams only; nothing may
 * be pending): returns it with unread bytes appended to *unread.
 * stream_join() couples two streams: bytes flow both ways with back-pressure
 * until either ends; then both are closed and `done` is called with bytes counted.
 * They have no patience any more.  The end of one is passed on as the end of the
 * other's input when that is plain, so that a last answer still comes back (for
 * some seconds); TLS has no halves, there the end is the end.
 */
#ifndef CHANNEL_STREAM_H
#define CHANNEL_STREAM_H

#include "channel/loop.h"
#include "channel/tls.h"
#include "base/buffer.h"
#include <sys/types.h>

struct stream;
struct stream_events {
	void (*arrived)(void *ctx);
	void (*drained)(void *ctx);
	void (*secured)(void *ctx, bool ok, const char *why);
	void (*silent)(void *ctx);
	void (*closed)(void *ctx, const char *why);
};

struct stream *stream_open(struct loop *, int fd, const struct stream_events *, void *ctx);
void stream_close(struct stream **);
void stream_finish(struct stream **);
struct bytes stream_peek(const struct stream *);
void stream_eat(struct stream *, size_t);
void stream_most_unread(struct stream *, size_t);
void stream_pause(struct stream *);             /* stop calling `arrived` and reading */
void stream_resume(struct stream *);
void stream_say(struct stream *, struct bytes);
void stream_say_string(struct stream *, const char *);
void stream_printf(struct stream *, const char *form, ...) __attribute__((format(printf, 2, 3)));
struct buffer *stream_out(struct stream *);     /* to append in place; it is noticed */
void stream_say_file(struct stream *, int fd, off_t at, uint64_t len);
size_t stream_pending(const struct stream *);
void stream_flush(struct stream *);             /* try to write now                  */
void stream_hold(struct stream *, bool);        /* what was said and is said stays here, until it is let go */
void stream_patience(struct stream *, int64_t ms);
void stream_secure(struct stream *, struct tls *);
/* As the client (tls_open_outgoing()) of a host of whom that is wished, which stays the caller's until `secured`. */
void stream_secure_to(struct stream *, struct tls *, const struct tls_demand *);
void stream_compress(struct stream *);
bool stream_is_compressed(const struct stream *);
void stream_end_compression(struct stream *);
bool stream_is_settled(const struct stream *);
void stream_settle(struct stream *);
bool stream_tls_facts(const struct stream *, struct tls_facts *out);   /* false: plain */
/* Whether the certificate that was shown is for this name; ".example.com": for one below it. */
bool stream_tls_is_for(const struct stream *, const char *name);
/* Channel binding for SCRAM-PLUS, appended: "tls-exporter" (rfc9266), "tls-server-end-point",
   "tls-unique" (rfc5929; TLS 1.2 only).  False where there is none. */
bool stream_tls_binding(const struct stream *, const char *type, struct buffer *out);
/* All of these that there are, and the client's certificate, for tls_channel_read(); nothing when plain. */
void stream_tls_channel(const struct stream *, struct buffer *out);
int  stream_fd(const struct stream *);
/* Somebody overhears what is read and written, without TLS and compression; of files the length alone (`at` NULL). */
struct stream_ear {
	void (*heard)(void *own, bool arrived, struct bytes);
	void (*gone)(void *own);       /* the stream is, or another ear came in its place */
	void *own;
};
void stream_overhear(struct stream *, struct stream_ear);       /* all NULL: nobody any more */
bool stream_is_overheard(const struct stream *);
int  stream_detach(struct stream **, struct buffer *unread);
void stream_counts(const struct stream *, uint64_t *in, uint64_t *out);
void stream_join(struct stream **a, struct stream **b,
                 void (*done)(void *ctx, uint64_t a_to_b, uint64_t b_to_a, const char *why), void *ctx);
/* Joined streams end now (shutdown, kick); `ctx` finds them. Returns how many;
   `done` has been called for each. */
size_t stream_unjoin(struct loop *, void *ctx);
/* The join that `ctx` finds ends and its first stream lives on, with nobody's events (stream_adopt());
   `done` is not called.  All the second was given reaches the first; what the first gave and the
   second did not send is appended to *unsent.  NULL: there is none, or it is broken. */
struct stream *stream_part(struct loop *, void *ctx, struct buffer *unsent);
void stream_adopt(struct stream *, const struct stream_events *, void *ctx);
/* These bytes are the first unread ones; `arrived` follows. */
void stream_unread(struct stream *, struct bytes);
size_t stream_leaving(const struct loop *);     /* finished, still sending */

#endif
