/*
 * rows -- the messages of a mailbox as columns: in memory as arrays, on disk packed
 *
 * From:     store/fact (what arrived), store/snapshot (all there is), store/mailbox (the arrays)
 *
 * Packed, each column follows the other (docs/format.md): uids as runs, messages and sizes as numbers of variable
 * length, flags, modseqs and times as runs.  A hundred thousand messages take about half a megabyte.
 * rows_unpack() appends; false on anything broken, and then nothing was appended.
 */
#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include "base/pack.h"
#include "store/keyset.h"
#include "store/store.h"

/* Flags: bits 0 to 7 and, above them, the number of a keyword set. */
struct rows {
	uint32_t *uid, *size, *flags, *saved;
	uint64_t *message, *modseq;
	uint32_t  count, room;
	struct keysets sets;
};
/* ROWS_NARROW: as written before there were more than 56 keywords and SAVEDATE. */
enum rows_form { ROWS_NARROW = 1, ROWS_WIDE = 2 };
void rows_free(struct rows *);
void rows_make_room(struct rows *, uint32_t more);
void rows_add(struct rows *, const struct entry *);
void rows_move(struct rows *, uint32_t to, uint32_t from);
/* Forgets the keyword sets no row has any more. */
void rows_tidy(struct rows *);
uint32_t rows_first_at_least(const struct rows *, uint32_t uid);
void rows_pack(const struct rows *, uint32_t from, uint32_t count, struct buffer *out);
bool rows_unpack(struct unpack *, enum rows_form, struct rows *) __attribute__((warn_unused_result));

/* Numbers of variable length: 7 bits a byte, low first; at most 10 bytes. */
void     pack_number(struct buffer *, uint64_t);
uint64_t unpack_number(struct unpack *);
/* Sets of uids: count, then for each range the gap before it and its width - 1. */
void     pack_uids(struct buffer *, const struct uid_set *);
bool     unpack_uids(struct unpack *, struct arena *, struct uid_set *) __attribute__((warn_unused_result));

/* Sets grow range by range. */
struct uid_list { struct uid_range *range; size_t count, room; };
void uid_list_add(struct uid_list *, uint32_t uid, bool joins);   /* joins: even if uids lie between */
void uid_list_free(struct uid_list *);
struct uid_set uid_list_set(const struct uid_list *);
struct uid_set uid_list_keep(const struct uid_list *, struct arena *);

#endif
