/*
 * spool -- the owner of the letter log: makes, lends, seals, recovers, compacts segments
 *
 * From:     role/queue alone.   Touches: the segment directory (descriptor given)
 *
 * spool_open()     reads the directory; segments left open by a crash are recovered (see segment.h).
 *                  A segment whose writer lives on (a lock on the lent descriptor tells) stays open.
 *                  NULL with errno and complaints in *errors when the directory cannot be used; complaints
 *                  about single segments are added to *errors too, and those set aside.
 * spool_lend()     gives number, descriptor and room of a new preallocated segment whose name is
 *                  already durable (directory synced).  The descriptor returned is the caller's: it is
 *                  given to writer_lend() or sent to another role and closed here.  A spare is kept ready
 *                  by spool_prepare() (call it in a job, from one thread at a time), so lending is quick
 *                  and the writer's syncs are, too: a spare is full of written zeros (docs/format.md).
 *                  Without a spare it is a short one, which has its zeros in a moment.
 *                  -1 with errno: ENOSPC when less than `reserve` would stay free.
 * spool_done()     a writer gave a segment back whole: cut at `used`, END record, sync, SEALED; one with
 *                  nothing in it is removed.  What the writer says is checked first; what does not
 *                  fit is recovered like an orphan's.  0 or errno.  Broken by an error (why != 0): call spool_orphan().
 * spool_orphan()   its writer died: recover and seal; each letter with an envelope is told to `found`,
 *                  after a sync of the segment.
 * spool_orphans()  the same for every open segment whose writer is gone; for a peer that died and
 *                  whose segments nobody wrote down (the queue itself was started anew).
 * spool_each_after() every letter with an envelope in any segment at or past the given checkpoint;
 *                  recovery of the queue.  Segments still lent are read up to where they are whole.
 *                  Copies made by compaction are told only if their letter came after the checkpoint.
 *                  A letter may be told twice; letters of IMAP APPEND (ENVELOPE_APPENDED) are told too.
 * spool_remove()   a segment nobody refers to: unlink, sync the directory.
 */
#ifndef SPOOL_SPOOL_H
#define SPOOL_SPOOL_H

#include "spool/letters.h"

struct spool;
struct spool_found {
	uint64_t letter;
	uint32_t envelope_segment; uint64_t envelope_at; uint64_t content_len;
	uint32_t content_segment;  uint64_t content_at;    /* of the body bytes            */
};
typedef void spool_found_fn(void *ctx, const struct spool_found *);
enum segment_state { SEGMENT_OPEN, SEGMENT_SEALED, SEGMENT_COMPACTING, SEGMENT_GONE };
struct spool_segment { uint32_t number; enum segment_state state; uint64_t used, size; int64_t made; bool own; };

struct spool *spool_open(int dir, uint64_t segment_size, uint64_t reserve, int mode, int gid, struct buffer *errors);
void spool_close(struct spool **);
int  spool_lend(struct spool *, bool own, uint64_t size, uint32_t *number, uint64_t *room);
void spool_prepare(struct spool *);
int  spool_done(struct spool *, uint32_t number, uint64_t used);
int  spool_orphan(struct spool *, uint32_t number, spool_found_fn *, void *ctx);
int  spool_orphans(struct spool *, spool_found_fn *, void *ctx);
int  spool_each_after(struct spool *, uint32_t segment, uint64_t at, spool_found_fn *, void *ctx);
int  spool_remove(struct spool *, uint32_t number);
bool spool_segment_at(const struct spool *, size_t index, struct spool_segment *out);
struct letters *spool_letters(struct spool *);
/* Copy one letter (content and envelope, ids kept) into the compaction segment; spool_copy_end()
   syncs and seals it.  *place is where it lies then. */
int  spool_copy(struct spool *, uint64_t letter, const struct letter_place *from, struct letter_place *to);
int  spool_copy_end(struct spool *);
/* The whole check of `mansio store check`: each complaint one line in *out; returns how many. */
size_t spool_check(int dir, struct buffer *out);
/* `mansio store dump`: a segment for a human. */
bool spool_dump(int fd, struct buffer *out);

#endif
