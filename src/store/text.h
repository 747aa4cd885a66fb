/*
 * text -- the text index of an account: all that SEARCH may look at, folded, beside the mailboxes
 *
 * From:     access/imap/finder asks; role/keeper-text has it made, in the background
 * Touches:  accounts/XX/ID/text (docs/format.md)
 *
 * An append-only file of blocks.  Each message has one entry, whatever mailboxes hold it: our own fields,
 * its header, its body, as letter_text() (message/search.h) gives them.  Before the text of a block
 * stands which runs of three bytes it has, so that most blocks are never read, and which words (text-words.h), so
 * that most texts are not.  What the index says of a message
 * is what a verifier would say; of a message that is not in it, it says nothing.
 *
 * It promises nothing: a file that is not whole is cut where it stops being so, a damaged one
 * is dropped and made again.
 *
 * text_of()       the index of an account, NULL when none is wanted.  Borrowed; lives as long as the account is open.
 * text_load()     reads some of the directory of blocks; true when all is known.  Before that nothing else
 *                 may be asked.
 * text_place()    the entry of a message, or -1: not in the index (or too long for it: ask a verifier).
 * text_add()      puts a message in; what is there already stays.
 * text_drop()     forgets everything; it is made anew.
 *
 * A search goes through the blocks that were marked (text_want(), text_want_all()), some at each call, and sets
 * the bit of each entry that says it.  text_ask_go() is true at its end; then bits of entries below `limit`
 * count.  A limit of 0: the index was dropped meanwhile, nothing is known.
 */
#ifndef STORE_TEXT_H
#define STORE_TEXT_H

#include "message/search.h"
#include "store/store.h"
#include "store/text-words.h"

/* A longer text is not kept; its message is always read. */
enum { TEXT_MOST = 4 << 20 };

struct text;
struct text_field;
struct text *text_of(struct account *);
bool     text_load(struct text *, uint32_t blocks);
int64_t  text_place(struct text *, uint64_t message);
uint32_t text_count(const struct text *);
/* Places are those of before unless this changed: then all was forgotten. */
uint32_t text_generation(const struct text *);
uint64_t text_size(const struct text *);              /* bytes of the file and of what is not yet there */

struct text_ask {
	struct text      *text;
	enum search_where where;
	struct bytes      field, needle;   /* folded; a needle may be empty for a field */
	uint64_t         *bits;        /* room for text_count() of the beginning, made by text_ask_open() */
	uint32_t          limit;
	/* its own */
	uint64_t         *wanted;
	struct words_ask  words;
	struct text_field *known;      /* of this turn                            */
	uint32_t          block, blocks, room, made;
};
void text_ask_open(struct text_ask *, struct text *, struct arena *);
void text_want(struct text_ask *, uint64_t message);
void text_want_all(struct text_ask *);
bool text_ask_go(struct text_ask *, uint32_t blocks);

/* ---- making it ---------------------------------------------------------- */
struct text_entry { uint64_t message; bool too_long; struct bytes own, header, body; };
void text_add(struct text *, const struct text_entry *);
void text_drop(struct text *);

/* Letters that wait to be put in, of one open account and one file.  The account is taken. */
enum { TEXT_LETTERS = 64 };
struct text_batch {
	struct account *account;
	struct arena   *arena;
	uint32_t        most;          /* at most so many; 0: TEXT_LETTERS        */
	uint32_t        count;
	struct text_letter { uint64_t message; struct bytes own; uint64_t at, len; } letter[TEXT_LETTERS];
	int             fd;            /* borrowed until the next call of the store */
	/* its own */
	uint32_t        generation;
	uint64_t        device, inode, bytes, from, upto;
};
/* False: nothing to do now.  True with a count of 0: call again soon. */
bool text_next(struct store *, struct arena *, struct text_batch *);
/* All of the batch have an entry, or could not be had (`done` false: try again later). */
void text_done(struct store *, struct text_batch *, bool done);
/* What waits in memory is written: the keeper ends. */
void text_rest(struct store *);
/* Whether indexes are wanted (`search_index`). */
void text_wanted(struct store *, bool);

#endif
