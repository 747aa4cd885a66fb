/*
 * segment -- one file of the letter log: records, one after the other
 *
 * The format is in docs/format.md.  File NNNNNNNN.seg (hex number): a header of 64
 * bytes (magic, version, number, made when, purpose, CRC32C), then records, each with a
 * header of 32 bytes (magic, type, letter id, length of body, CRC32C of body, CRC32C of
 * the header) and its body, padded to 8 bytes.  Zeros follow the last record until the
 * preallocated end.  Numbers are never used twice.
 *
 * State of a segment: OPEN (lent to a writer), SEALED (whole, read-only), COMPACTING
 * (its living letters are being copied), GONE.  An open segment found after a crash is read up to the first
 * record that is not whole, cut there, synced and sealed: nothing acknowledged lies beyond,
 * since every acknowledged record lies before the end of a finished fdatasync.
 *
 * segment_scan() walks the records of a file and gives each to `seen`; it tells
 * where it stopped and why.  Used by recovery, check, dump, compaction.
 */
#ifndef SPOOL_SEGMENT_H
#define SPOOL_SEGMENT_H

#include "base/arena.h"
#include "base/buffer.h"

enum { SEGMENT_VERSION = 1, SEGMENT_HEADER = 64, RECORD_HEADER = 32 };
enum record_type {
	RECORD_CONTENT  = 1,    /* a letter's content, CRLF lines             */
	RECORD_ENVELOPE = 2,    /* message/envelope.h, packed                 */
	RECORD_END      = 3,    /* sealed: nothing follows                    */
};
struct record {
	enum record_type type;
	uint64_t letter;
	uint64_t at;            /* of its header in the file                  */
	uint64_t body_at, body_len;
	bool     whole;         /* body read and its checksum right           */
};
enum segment_end {
	SEGMENT_END_SEALED,     /* an END record, as it should be             */
	SEGMENT_END_OPEN,       /* zeros or end of file after a whole record  */
	SEGMENT_END_TORN,       /* a record that is not whole                 */
	SEGMENT_END_ALIEN,      /* not a segment, or of an unknown version    */
	SEGMENT_END_UNREAD,     /* the disk did not give it: what follows may be whole */
};
/* `from` 0: from the first record. `bodies`: read and check bodies too (content in
   chunks).  `seen` returns false to stop.  *good is the offset after the last whole record.
   A torn record inside a sealed segment: told through `damaged` (may be NULL) and,
   if its header is whole, skipped. */
enum segment_end segment_scan(int fd, uint64_t from, bool bodies,
	bool (*seen)(void *ctx, const struct record *),
	void (*damaged)(void *ctx, uint64_t at, const char *why),
	void *ctx, uint64_t *good);
/* Read a record's body with its checksum verified; NULL with errno (EBADMSG: damaged). */
const char *record_read(int fd, uint64_t at, enum record_type, uint64_t letter,
                        struct arena *, uint64_t most, struct bytes *body);
/* ---- the bytes of headers: writer, spool and scan agree here and nowhere else ---- */
enum segment_purpose { SEGMENT_SMALL, SEGMENT_OWN, SEGMENT_COMPACTION };
struct segment_title { uint32_t version, number; int64_t made; enum segment_purpose purpose; };
void segment_title_make(char out[static SEGMENT_HEADER], uint32_t number, int64_t made, enum segment_purpose);
bool segment_title_read(const char in[static SEGMENT_HEADER], struct segment_title *out);
void record_header_make(char out[static RECORD_HEADER], enum record_type, uint64_t letter, uint64_t body_len, uint32_t body_sum);
/* False: not a header, or its checksum is wrong.  *body_sum may be NULL. */
bool record_header_read(const char in[static RECORD_HEADER], struct record *out, uint32_t *body_sum);
static inline uint64_t record_padded(uint64_t body_len) { return (body_len + 7) & ~(uint64_t)7; }
/* What a record with such a body takes in the file. */
static inline uint64_t record_takes(uint64_t body_len) { return RECORD_HEADER + record_padded(body_len); }
/* Whether the file ends with its END record; quick, reads the last 32 bytes. */
bool segment_sealed(int fd, uint64_t size);
/* Appends a whole record to a buffer. */
void record_add(struct buffer *, enum record_type, uint64_t letter, struct bytes body);

static inline uint32_t letter_segment(uint64_t letter) { return (uint32_t)(letter >> 32); }
static inline uint64_t letter_offset(uint64_t letter)  { return letter & 0xffffffffu; }

#endif
