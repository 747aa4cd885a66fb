/*
 * snapshot -- a mailbox at one moment, packed whole, so that its history need not be read from the start
 *
 * From:     store/mailbox.   Pure.
 * A broken one is set aside: an older one and the facts since give the same mailbox.
 */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "store/rows.h"

enum { SNAPSHOT_VERSION = 2 };
struct snapshot {
	uint64_t mailbox, modseq;    /* its key; modseq: all facts up to it are in  */
	uint32_t uidnext;
	struct bytes keyword[KEYWORDS_MOST];   /* by bit - KEYWORD_FIRST; views when read */
	int      keywords;
};
void snapshot_pack(const struct snapshot *, const struct rows *, struct buffer *out);
/* Puts the checksum behind; snapshot_pack() has done it. */
void snapshot_close(const struct snapshot *, struct buffer *out);
/* CRC32C over the key and what stands under it. */
uint32_t snapshot_sum(uint64_t mailbox, uint64_t modseq, struct bytes data);
/* mailbox and modseq are set by the caller from the key.  Rows are appended. */
bool snapshot_read(struct bytes data, struct snapshot *, struct rows *) __attribute__((warn_unused_result));

#endif
