/*
 * settling -- files that get their names when they are on the disk
 *
 * From:     command message export
 * Touches:  the files it is told of, and the file system they are in
 *
 * Who hears that all is written may remove what it was written from; and of a file under its last name a later run believes that it
 * is whole.  One sync for many files costs little more than one for one of them.
 *
 * settling_begin()  files of this directory, and those below it in the same file system, from now on.
 * settling_add()    this file is written and closed; it gets its name with some hundred others.
 * settling_end()    all have their names, and the names are on the disk too.
 * settling_above()  the names in the directory of this file are on the disk: for one that synced itself.
 *
 * Fails:    false with errno; what has no name yet is forgotten.
 */
#ifndef COMMAND_SETTLING_H
#define COMMAND_SETTLING_H

#include "base/buffer.h"

struct settling {
	int           disk;            /* the directory; -1: none        */
	struct buffer waiting;         /* pairs of names                 */
	size_t        count;
};

bool settling_begin(struct settling *, const char *directory);
bool settling_add(struct settling *, const char *file, const char *to);
bool settling_end(struct settling *);
bool settling_above(const char *file);
void settling_close(struct settling *);

#endif
