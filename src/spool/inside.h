/*
 * inside -- the spool as its two files see it
 *
 *     spool.c   the directory of segments: made, lent, sealed, recovered
 *     copy.c    compaction: what lives is copied into a segment of its own
 */
#ifndef SPOOL_INSIDE_H
#define SPOOL_INSIDE_H

#include <pthread.h>

#include "spool/spool.h"

enum { SPOOL_CHUNK = 256 * 1024 };      /* read and written at one time */

struct spool {
	int                   dir;
	uint64_t              size, reserve;
	int                   mode, gid;
	struct letters       *letters;
	pthread_mutex_t       lock; /* guards what follows: spool_prepare() runs beside the loop */
	struct spool_segment *segment; /* in order of number                         */
	size_t                count, room;
	uint32_t next, numbered; /* next < numbered: numbers below numbered are durably ours */
	int      spare_fd;
	uint32_t spare;
	struct {
		int      fd;
		uint32_t number;
		uint64_t used;
	} copy; /* the segment compaction copies into; fd -1: none */
};

/* A new segment: number, file, name on disk.  Its descriptor, or -1 with errno. */
int  spool_make_new(struct spool *, enum segment_purpose, uint64_t size, bool zeros, uint32_t *number);
/* Under the lock. */
void spool_row_add(struct spool *, struct spool_segment);
int  spool_seal(int fd, uint64_t used);
void spool_row_sealed(struct spool *, uint32_t number, uint64_t used);

#endif
