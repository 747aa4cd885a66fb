/*
 * edits -- what is to stand instead of some bytes of a letter
 *
 * From:     role/verifier (header and body checks), role/policy (milters)
 * To:       role/receiver-edit.c, which makes the content anew with them
 *
 * One edit is: `len` bytes at `at` go; `instead` comes in their place, and behind it `file_len` bytes of a file that
 * came with the edits, from `file_at` on (a new body).  Edits stand in the order of the content and do not overlap; of several at one
 * place the first comes first.
 *
 * edits_add()     puts one among those there are, in its place; false when there are too many, or it overlaps another.
 *                 The bytes are not copied.
 * edits_pack(), edits_unpack()  as bytes and back; false when broken, out of order, or too many.  Views point into the
 *                 packed bytes.
 * edits_fit()     whether they are within a content and a file of this size.  Ask it before what follows.
 * edits_size()    of the content with them.
 * edits_apply()   the content with them, appended.
 * edits_next()    the same piece by piece, for what is not in memory; false at the end.
 */
#ifndef MESSAGE_EDITS_H
#define MESSAGE_EDITS_H

#include "base/arena.h"
#include "base/pack.h"

enum { EDITS_MOST = 20000 };

struct edit {
	uint64_t at, len;
	struct bytes instead;
	uint64_t file_at, file_len;
};
struct edits {
	struct edit *edit;
	uint32_t count;
	uint32_t _room;
	struct arena *_life;
};

struct edits edits_in(struct arena *);
bool edits_add(struct edits *, const struct edit *) __attribute__((warn_unused_result));
void edits_pack(const struct edits *, struct buffer *out);
bool edits_unpack(struct bytes packed, struct arena *, struct edits *out) __attribute__((warn_unused_result));
bool edits_fit(const struct edits *, uint64_t content_len, uint64_t file_len);
uint64_t edits_size(const struct edits *, uint64_t content_len);
void edits_apply(const struct edits *, struct bytes content, struct bytes file, struct buffer *out);

/* A piece of the new content: bytes, or a range of the old content or of the file. */
struct edits_piece { enum { PIECE_BYTES, PIECE_CONTENT, PIECE_FILE } of; struct bytes bytes; uint64_t at, len; };
struct edits_walk { const struct edits *edits; uint64_t content_len, at; uint32_t next; unsigned step; };
struct edits_walk edits_walk_of(const struct edits *, uint64_t content_len);
bool edits_next(struct edits_walk *, struct edits_piece *);

#endif
