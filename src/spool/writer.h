/*
 * writer -- puts letters into segments lent to it, and makes them safe in groups
 *
 * From:     role/receiver (SMTP, LMTP), role/keeper (APPEND), role/queue (notices, compaction)
 * Touches:  only descriptors lent by writer_lend(); opens nothing (it lives in a cage)
 *
 * A small letter:   id = writer_content(w, pieces...);  pack the envelope with that id;
 *                   writer_envelope(w, id, packed, safe, ctx).
 *     Call both in the same turn of the loop, when verdict and digest are known: a content whose
 *     envelope is late is written alone and may lie in a segment that was given back.
 *     Both are gathered in memory and written together; `safe` is called from the loop
 *     when an fdatasync that began after the write has ended: then say 250.
 * A large letter:   s = writer_stream_open(); writer_stream_add() as it comes;
 *                   id = writer_stream_end(); then writer_envelope() as above;
 *                   writer_stream_drop() forgets it.  It has a segment of its own.
 *
 * Group commit: one fdatasync runs at a time for each segment; all that was written meanwhile
 * is covered by the next.  No timer.  writer_at_rest() must be a loop_at_rest hook: it
 * writes what this turn gathered and starts the sync.
 *
 * An error of write or sync: every waiting `safe` gets the errno, the segment is given back
 * as broken and never written again (fsync is never tried twice); ENOSPC likewise.
 *
 * writer_ready()   whether a letter may be put now (false: no segment lent yet, or the
 *                  log is full: answer 452/451, or wait).
 * writer_room()    what is free on the disk of the log, beside the segments lent; false: none is lent, so that is not known.
 */
#ifndef SPOOL_WRITER_H
#define SPOOL_WRITER_H

#include "spool/segment.h"

struct writer;
struct writer_stream;
struct writer_needs {
	/* Run in the thread pool, then `done` in the loop (loop_job). */
	void (*job)(void *ctx, void (*run)(void *), void (*done)(void *), void *job_ctx);
	/* Ask the spool's owner for a segment; writer_lend() will follow, or writer_refuse().
	   `own`: for one large letter of about `size` bytes (0 unknown). */
	void (*want)(void *ctx, bool own, uint64_t size);
	/* This segment is full, finished or broken (why != 0): nothing more will be written by us.
	   `used` bytes of it are good and synced (unless broken). */
	void (*done)(void *ctx, uint32_t segment, uint64_t used, int why);
	/* May be NULL: there is room again after writer_ready() said false. */
	void (*ready)(void *ctx);
};
/* Letters up to this are small.  A larger one may be given to writer_content() too when a segment has
   room for it, but memory is better spent otherwise. */
enum { WRITER_SMALL = 256 * 1024 };
/* Streams are dropped before writer_close(); letters not yet safe then are told nothing. */
struct writer *writer_open(const struct writer_needs *, void *ctx);
void writer_close(struct writer **);
void writer_lend(struct writer *, uint32_t segment, int fd, uint64_t room, bool own);  /* owns fd; header is written */
void writer_refuse(struct writer *, bool own, int why);         /* ENOSPC ...             */
bool writer_ready(struct writer *, uint64_t size);
bool writer_room(const struct writer *, uint64_t *bytes);
void writer_at_rest(struct writer *);
/* Nothing new comes: what is in hand is finished, and every segment goes back by `done`, those of
   streams still open when they end.  Nothing is wanted any more. */
void writer_release(struct writer *);
/* Whether all have gone back.  What waits for a segment was refused with ESHUTDOWN. */
bool writer_idle(const struct writer *);

/* 0 when not ready. */
uint64_t writer_content(struct writer *, struct bytes content);
void writer_envelope(struct writer *, uint64_t letter, struct bytes packed,
                     void (*safe)(void *ctx, int why, uint64_t letter, uint32_t segment, uint64_t envelope_at),
                     void *ctx);
/* `opened` or an errno later, once a segment of its own is lent. */
struct writer_stream *writer_stream_open(struct writer *, uint64_t size,
                     void (*opened)(void *ctx, int why), void *ctx);
int  writer_stream_add(struct writer_stream *, struct bytes);    /* 0 or errno; gathers 256 KiB writes */
uint64_t writer_stream_waiting(const struct writer_stream *);
uint64_t writer_stream_end(struct writer_stream **);             /* the id; 0 on error      */
void writer_stream_drop(struct writer_stream **);
/* For the verifier: the descriptor and place of a streamed content not yet ended; all that was
   added is in the file when it returns.  -1: not opened yet, or broken. */
int  writer_stream_fd(const struct writer_stream *, uint64_t *at, uint64_t *len);

#endif
