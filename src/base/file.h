/*
 * file -- the whole of what a descriptor holds, in and out
 *
 * From:     whoever opened it, with the flags and the rights that are theirs to choose
 * Touches:  the descriptor, which stays open; of one that is no file it waits for more
 *
 * file_read()   appends what comes until the end.  EFBIG: it stopped, since `most` bytes or some more have come.
 * file_write()  puts all of it.  ENOSPC where nothing more is taken.
 *
 * Both give 0 or errno; what was read or written by then stays.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buffer.h"

int file_read(int fd, size_t most, struct buffer *out);
int file_write(int fd, struct bytes);

#endif
