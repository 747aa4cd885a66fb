/*
 * daybook -- the file events are written into as they come
 *
 * From:     chronicle/chronicle
 * Touches:  one file, NUMBER.daybook
 *
 * A head, then frames: each is what came at one time, with its length and checksum.  Nothing is synced: what a power cut
 * leaves half written is cut off when the file is opened again.  Frames stand together in blocks of some 64 KiB, and for
 * each block memory knows the keys in it.  A daybook that is full becomes a volume (volume.h).
 *
 * daybook_make()   a new one; NULL with errno.
 * daybook_open()   one that is there: read, its end cut off where it is torn.  *cut bytes were lost so.  NULL with errno:
 *                  EBADMSG is no daybook.
 * daybook_add()    a frame of events, each with its u16 length before it, at most DAYBOOK_FRAME_MOST.  0 or errno, and
 *                  then the file is as it was.
 * daybook_block()  the rows of a block, appended.  False: cannot be read.
 */
#ifndef CHRONICLE_DAYBOOK_H
#define CHRONICLE_DAYBOOK_H

#include "base/buffer.h"
#include "chronicle/key.h"

enum { DAYBOOK_MOST = 16 << 20, DAYBOOK_FRAME_MOST = 64 << 10, DAYBOOK_BLOCK = 64 << 10, DAYBOOK_HEAD = 32 };

/* Where a key is found: 48 bits of it, and the number of the block. */
typedef uint64_t key_place;
static inline key_place key_place_of(uint64_t key, uint32_t block) { return (key & ~UINT64_C(0xffff)) | block; }
static inline bool key_place_is(key_place p, uint64_t key) { return ((p ^ key) & ~UINT64_C(0xffff)) == 0; }

struct daybook {
	int           fd;
	uint64_t      number, size;
	struct key_secret secret;
	struct buffer places;          /* of key_place, in order of coming           */
	struct buffer blocks;          /* of u64: where each begins in the file      */
	int64_t       first_us, last_us;
	uint64_t      events;
	uint64_t      seen[4096];      /* keys of the last block, to write each once */
};

struct daybook *daybook_make(int directory, uint64_t number, const struct key_secret *);
struct daybook *daybook_open(int directory, uint64_t number, uint64_t *cut);
void daybook_close(struct daybook **);
int  daybook_add(struct daybook *, struct bytes rows);
uint32_t daybook_blocks(const struct daybook *);
bool daybook_block(const struct daybook *, uint32_t block, struct buffer *out);
void daybook_name(uint64_t number, char out[static 32]);

/* The reader of frames, for fuzzing: the next of them off the front; false at the end or where it is torn. */
bool daybook_frame(struct bytes *rest, struct bytes *rows);

#endif
