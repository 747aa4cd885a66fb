/*
 * volume -- a daybook that is full, packed small, with its index; it never changes
 *
 * From:     chronicle/chronicle
 * Touches:  one file, NUMBER.volume
 *
 * Head, blocks (LZ4, each with its lengths and checksum), where each of them is, the sorted places of keys, foot.
 *
 * volume_write()  makes it of a daybook, safely: it is on disk whole or not there.  In a thread: touches the daybook only
 *                 to read.  0 or errno.
 * volume_open()   NULL with errno; EBADMSG: it is no volume, or damaged in its foot.
 * volume_blocks_of() the numbers of blocks where the key may be, ascending, as u32 appended.  False: damaged.
 * volume_block()  the rows of a block, appended.  False: damaged, or cannot be read.
 */
#ifndef CHRONICLE_VOLUME_H
#define CHRONICLE_VOLUME_H

#include "chronicle/daybook.h"

enum { VOLUME_BLOCKS_MOST = 1 << 16, VOLUME_FOOT = 76 };

struct volume {
	int      fd;
	uint64_t number, size, events;
	int64_t  first_us, last_us;
	uint64_t blocks_at, places_at;
	uint32_t blocks, places;
	struct key_secret secret;
};

int  volume_write(int directory, const struct daybook *);
struct volume *volume_open(int directory, uint64_t number);
void volume_close(struct volume **);
bool volume_blocks_of(const struct volume *, uint64_t key, struct buffer *out);
bool volume_block(const struct volume *, uint32_t block, struct buffer *out);
void volume_name(uint64_t number, char out[static 32]);

#endif
