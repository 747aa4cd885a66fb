/*
 * text-inside -- the text index as its files see it
 *
 *     text.c          the file: reading its directory, adding, syncing
 *     text-words.c    which words the messages of a block have
 *     text-search.c   looking for a needle
 *     text-fields.c   what one field says in every message, kept once somebody asked for it
 *     text-gather.c   a file without the texts of messages that are gone
 *     text-work.c     which messages are still to be put in
 */
#ifndef STORE_TEXT_INSIDE_H
#define STORE_TEXT_INSIDE_H

#include "base/pack.h"
#include "store/text.h"

enum { TEXT_VERSION = 4, TEXT_TITLE = 64, TEXT_HEAD = 44, TEXT_ROW = 24 };
#define TEXT_TOO_LONG ((uint32_t)1 << 31)
#define TEXT_ID_LONG  ((uint64_t)1 << 63)

struct text_head {
	uint32_t text_len, packed_len, entries, filter_log2;
	uint32_t words_len, places_len;            /* 0: it has none (text-words.h) */
	uint32_t table_sum, words_sum, text_sum;
};
struct text_row {
	uint64_t message;
	uint32_t at, own_len, header_len, body_len;
	bool     too_long;
};
struct text_block { uint64_t at; uint32_t first; struct text_head head; };   /* first: its first entry */
struct text_sync { struct text *text; int fd; uint64_t upto; uint32_t generation; int why; };

enum { TEXT_FIELDS = 8 };
struct text_field;

struct text {
	struct account    *account;
	int                fd;
	int                why;        /* it cannot be written                       */
	bool               loaded;
	bool               behind;     /* some messages are perhaps not in it        */
	uint64_t           walked;     /* every message up to this is                */
	uint64_t           end;        /* of the blocks                              */
	uint64_t           proved;     /* synced up to here                          */
	uint32_t           generation; /* another after each drop                    */
	struct text_block *block;
	uint32_t           blocks, blocks_room;
	uint64_t          *message;    /* of each entry                              */
	uint32_t           entries, entries_room;
	uint32_t          *slot;       /* message -> entry + 1                       */
	uint32_t           slots;
	uint32_t           next;       /* entry behind the one that was looked up last: often the next one */
	struct buffer      tail, tail_rows;    /* text and rows not yet a block      */
	uint32_t           tail_first;
	struct text_sync  *sync;
	struct text       *gather;     /* what will take its place: this one without what is gone */
	uint32_t           gathered, gather_made;      /* blocks done; its generation */
	int64_t            sampled_ms; /* not before is it looked whether that is worth it */
	struct buffer      block_text, block_words;    /* of the block being searched */
	struct text_field *field[TEXT_FIELDS];         /* the last one asked is first  */
};

uint64_t text_block_size(const struct text_head *);
bool     text_row_unpack(struct unpack *, uint32_t text_len, struct text_row *);
/* The text of a block, appended; false when it is damaged. */
bool     text_block_read(struct text *, const struct text_block *, struct buffer *out);
void     text_damaged(struct text *, const char *what);
void     text_flush(struct text *);
/* Some work on writing it anew; false: there is none to do. */
bool     text_gather(struct text *);
/* What the other has becomes this one's; the other is to be freed. */
void     text_swap(struct text *, struct text *other);
void     text_free(struct text **);
bool     text_knows(const struct text *, uint64_t message);

/* What is known of a field (folded name); never NULL, but room for more may be gone.  Of a block that is known
   text_field_bits() sets the bits of all entries below `room` that say it; else text_field_learn() is given its text. */
struct text_field *text_field_of(struct text *, struct bytes name);
bool     text_field_bits(const struct text_field *, const struct text *, uint32_t block, struct bytes needle,
                         uint32_t room, uint64_t *bits);
void     text_field_learn(struct text_field *, struct text *, uint32_t block, struct bytes text, struct bytes rows);
void     text_fields_free(struct text *);

/* The bit of a run of three bytes. */
static inline uint32_t
text_filter_bit(const unsigned char *p, uint32_t log2)
{
	uint32_t run = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
	return (run * UINT32_C(2654435761)) >> (32 - log2);
}

#endif
