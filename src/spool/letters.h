/*
 * letters -- reading the letter log: where a letter's bytes are
 *
 * From:     role/queue, role/keeper (store), command store check|dump
 * Keeps a bounded set of segment descriptors open.  Views of it may come in
 * any order; nothing here writes.
 */
#ifndef SPOOL_LETTERS_H
#define SPOOL_LETTERS_H

#include "spool/segment.h"

struct letters;
/* Where a letter lies now (compaction moves it; its id stays). */
struct letter_place {
	uint32_t content_segment;  uint64_t content_at;    /* of the body bytes            */
	uint64_t content_len;
	uint32_t envelope_segment; uint64_t envelope_at;   /* of the record header         */
};
struct letters *letters_open(int dir);                 /* directory of the segments; -1: none */
void letters_close(struct letters **);
/* A descriptor to read from, borrowed until the next call of letters_*.  -1 with errno
   (EBADMSG: no segment, or of an unknown version; said in the log). */
int  letters_fd(struct letters *, uint32_t segment);
/* The packed envelope, checksum verified.  0, or errno (EBADMSG: damaged). */
int  letters_envelope(struct letters *, uint32_t segment, uint64_t at, uint64_t letter,
                      struct arena *, struct bytes *packed);
/* Raw bytes of content, `len` at `at` into out.  0 or errno (EBADMSG: damaged).  The checksum of the
   whole content is verified first, once; of a large one when more than its beginning is read. */
int  letters_read(struct letters *, const struct letter_place *, uint64_t at, void *out, size_t len);
/* These bytes will be read: what stands together is brought from the disk in one piece, the rest between is left there.
   letters_bring() brings the last.  Who says so reads envelopes of letters that lie where they were written.
   letters_are_here(): this byte is in memory, and likely its neighbours are, too: to expect them is no use. */
bool letters_are_here(struct letters *, uint32_t segment, uint64_t at);
void letters_expect(struct letters *, uint32_t segment, uint64_t at, uint64_t len);
void letters_bring(struct letters *);
/* Bytes of a segment that lie in no directory: `fd` is ours now, until letters_forget().  0 or errno (ENFILE). */
int  letters_lend(struct letters *, uint32_t segment, int fd);
/* It may be forgotten when room is needed for another. */
void letters_release(struct letters *, uint32_t segment);
/* What kept a letter from being read, in words for the queue: static, or of strerror().  None of it is a
   reason to return a letter: it is tried again, and somebody looks. */
const char *letters_why(int why);
/* A segment was removed or replaced: forget its descriptor. */
void letters_forget(struct letters *, uint32_t segment);

#endif
