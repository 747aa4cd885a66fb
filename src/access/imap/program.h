/*
 * program -- what SEARCH asks, as keys and a short program that joins them
 *
 * program_read()   search-key *(SP search-key) of rfc3501:9 with those of rfc5032 and
 *                  rfc7162: leaves, and steps that join them in the order of a stack.
 * program_truth()  what is known so far from the leaves' values.
 *
 * A leaf is judged with as much of the letter as is loaded, cheapest first, until
 * the whole is known; what only the content can tell is asked of a verifier.
 *
 * Of FUZZY a text is found, too, when each of its words is, anywhere and in any order, with its accents or without.
 * program_score()  how well it was found, 1 to 100: 100 is all of the text as it stands.
 *
 * leaf_column()    the column that answers it (store/columns.h), COLUMNS: none.
 * leaf_asks_digest(), leaf_asks_content(): the flags and sizes of the mailbox do not answer it.
 */
#ifndef ACCESS_IMAP_PROGRAM_H
#define ACCESS_IMAP_PROGRAM_H

#include "access/imap/grammar.h"
#include "access/imap/letter.h"
#include "message/search.h"
#include "store/columns.h"

enum truth { FALSE, TRUE, UNKNOWN };
enum { LEAVES_MOST = 1000, FIELDS_DIGESTED = 5 };

struct leaf;
struct searched {                      /* one message under judgement             */
	const struct mailbox *mailbox;
	struct entry   entry;
	bool           recent;
	struct letter *letter;
	const struct column_row *row;  /* or NULL                                 */
	uint32_t       row_at;
	int64_t        text_at;        /* its entry in the text index, or -1      */
	int64_t        now;            /* seconds, for OLDER and YOUNGER          */
	struct arena  *scratch;
	struct bytes   folded[FIELDS_DIGESTED];   /* fields of the digest, once folded */
};
/* UNKNOWN: not with what is loaded of the letter. */
typedef enum truth judge_fn(const struct leaf *, struct searched *);
enum key_takes { TAKES_NOTHING, TAKES_STRING, TAKES_FIELD, TAKES_DATE, TAKES_NUMBER, TAKES_KEYWORD,
                 TAKES_SEQUENCE, TAKES_UIDS, TAKES_UID, TAKES_MODSEQ, TAKES_OBJECTID };
struct search_key {
	const char       *name;
	enum key_takes    takes;
	judge_fn         *judge;
	uint64_t          flags, wanted;   /* for flag keys                        */
};
struct leaf {
	const struct search_key *key;
	struct bytes    text, folded;  /* the needle                              */
	struct bytes    field;         /* HEADER                                  */
	uint64_t        number;        /* sizes, days, seconds, modseqs; of the keyword, 0: this
	                                  mailbox has none                        */
	struct sequence sequence;
	struct uid_set  set;           /* of the sequence, once resolved          */
	struct bytes    keyword;
	bool            fuzzy;         /* all of a text that may be found in pieces */
	uint32_t        pieces;        /* so many leaves behind it are its words  */
	const uint64_t *hits;          /* bits of the rows whose column says it   */
	uint32_t        hits_rows;     /* so many rows were looked at             */
	const uint64_t *texts;         /* bits of the entries whose text says it  */
	uint32_t        texts_limit;   /* of so many                              */
};
/* JOIN_FUZZY stands for what is read, never for a step. */
enum join { JOIN_LEAF, JOIN_ALL, JOIN_EITHER, JOIN_NOT, JOIN_FUZZY };
struct program_step { enum join join; uint32_t n; };       /* the leaf, or how many are joined */
struct program {
	struct leaf         *leaf;
	size_t               leaves, most;
	struct program_step *step;
	size_t               steps;
	enum truth          *stack;
	size_t               open_fuzzy; /* while it is read                      */
	struct bytes         charset;  /* of the texts; empty: UTF-8              */
	bool                 fuzzy;    /* a FUZZY key stands in it (rfc6203)      */
	bool                 modseq;   /* a MODSEQ key stands in it               */
	bool                 numbers;  /* message numbers do                      */
};

void program_read(struct scan *, struct arena *, struct program *);
/* Messages elsewhere cannot be meant, by the uids and numbers named; its leaves' sets are resolved. */
struct uid_set program_uids(const struct program *, struct arena *);
/* A copy that lives with the arena.  Message numbers and "$" are what they are now. */
void program_keep(const struct program *, struct arena *, struct program *out);
uint8_t program_score(const struct program *, const enum truth *value);
enum truth program_truth(const struct program *, const enum truth *value);
enum column leaf_column(const struct leaf *);
bool leaf_asks_digest(const struct leaf *);
bool leaf_asks_content(const struct leaf *);
/* How a verifier is asked about this leaf. */
enum search_where leaf_where(const struct leaf *, struct bytes *field);

#endif
