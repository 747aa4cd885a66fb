/*
 * stream_inner -- the inside of a stream, for stream.c, stream-tls.c, stream-write.c and join.c
 *
 * Unread bytes are `view`.  While `arrived` runs it may point into the scratch
 * of the loop (`borrowed`); afterwards what is left of it is in `kept`.
 *
 * stream_pull()    one turn of reading: as much as is there, up to `room`.
 * stream_push()    writes what can be written.  May end a stream that leaves.
 * stream_pass()    writes at once what arrived elsewhere; gathers the rest.
 * stream_rewatch() asks the loop for what the stream now waits for.
 * stream_later()   goes on in the next turn.
 * stream_dirty()   has something to say at the end of the turn.
 * stream_break()   nothing more can be said or heard: why is in the socket.
 *
 * stream_read_on()       asks the socket and TLS again: there is room, or more is wanted.
 * stream_begin_waiting() patience counts from now on.
 * stream_drop_unread()   what came before the handshake is not for anybody.
 * stream_begin_shaking(), stream_shake(), stream_not_secured(): the handshake, step by step.
 *
 * stream_may_write()  is there something that may go out at this stage?
 * stream_write_some() one write of it, of *n bytes; only when it may.
 * stream_drop_out()   nobody wants it any more.
 */
#ifndef CHANNEL_STREAM_INNER_H
#define CHANNEL_STREAM_INNER_H

#include "channel/loop_inner.h"
#include "channel/press.h"
#include "channel/socket.h"
#include "channel/stream.h"

enum {
	STREAM_READ_MOST = 64 << 10,   /* in one turn                       */
	STREAM_HIGH      = 64 << 10,   /* of pending output, see `drained`  */
	STREAM_WRITE_MOST = 512 << 10, /* in one turn                       */
};

/* A range of a file behind the bytes said before it. */
struct range {
	struct range *next;
	uint64_t      behind;          /* how many bytes were said before, ever */
	int           fd;
	off_t         at;
	uint64_t      len;
};

enum stream_stage {
	STAGE_CLEAR,
	STAGE_ANSWERING,               /* the last bytes in clear go out      */
	STAGE_SHAKING,
	STAGE_SECURE,
};

struct join;

struct stream {
	struct loop   *loop;
	struct watch  *watch;
	struct timer  *timer;          /* one: handshake, patience or leaving */
	const struct stream_events *events;
	void          *ctx;
	struct stream_ear ear;
	struct socket  socket;
	struct errand  errand;
	struct join   *join;
	struct stream *dirty_next, **dirty_before;
	struct stream *leaving_next, **leaving_before;

	struct bytes   view;
	struct buffer  kept;
	size_t         most;
	uint64_t       in_count, out_count;

	struct press  *press;          /* NULL: nothing is compressed         */
	uint64_t       plain_left;     /* to go before that begins            */
	uint64_t       pressed;        /* plain bytes, in this turn           */
	struct buffer  out;
	struct range  *files, **files_end;
	uint64_t       files_len;
	uint64_t       said_gone;      /* bytes of `out` that are gone, ever  */
	uint64_t       clear_left;     /* to go before the handshake begins   */

	int64_t        patience, heard_at, rings_at;
	enum stream_stage stage;
	int            held;           /* callbacks below us on the stack     */
	bool borrowed;                 /* view is in the scratch              */
	bool paused;
	bool resumed;                  /* `arrived` is owed for what is there */
	bool more;                     /* reading goes on in the next turn    */
	bool blocked;                  /* output waits for the socket         */
	bool holding;                  /* and for its owner                   */
	bool read_writes;              /* TLS must write before it reads on   */
	bool high;                     /* was above STREAM_HIGH               */
	bool settling;                 /* and `drained` is for when nothing is left */
	bool drained;                  /* `drained` is owed                   */
	bool end;                      /* the peer sends no more              */
	bool broken;
	bool told;                     /* of `closed`                         */
	bool leaving, lingering;
	bool dead;
};

enum socket_outcome stream_pull(struct stream *, char *to, size_t room, size_t *n);
void stream_push(struct stream *);
void stream_dirty(struct stream *);
void stream_break(struct stream *);
bool stream_may_write(const struct stream *);
enum socket_outcome stream_write_some(struct stream *, size_t *n);
void stream_drop_out(struct stream *);
void stream_pass(struct stream *, struct bytes);
void stream_rewatch(struct stream *);
void stream_later(struct stream *);
void stream_read_on(struct stream *);
void stream_begin_waiting(struct stream *);
void stream_drop_unread(struct stream *);
void stream_begin_shaking(struct stream *);
void stream_shake(struct stream *);
void stream_not_secured(struct stream *);

/* From stream.c to join.c. */
bool join_may_read(const struct stream *);
void join_read(struct stream *);
void join_drained(struct stream *);
void join_ended(struct stream *);
void joins_end(struct join *first);

/* What the streams of one loop share. */
struct streams {
	struct stream *dirty;          /* said something since the last rest */
	struct stream *leaving;
	size_t         leaving_count;
	struct join   *joins;
	char           why[160];
};
struct streams *streams_of(struct loop *);

#endif
