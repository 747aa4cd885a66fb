/*
 * finder -- which messages of a mailbox are as a program says, looked for in turns
 *
 * From:     SEARCH, SORT, THREAD, ESEARCH, which say what was found each in their way
 * To:       store (entries, columns, digests), and verifiers for what only the content can tell
 *
 * finder_open()   begins; memory from the arena; the program's sequence sets and keywords are resolved in this view.
 * finder_go()     does some milliseconds of it: FINDER_MORE another turn is needed, FINDER_WAIT
 *                 imap_wake() will come, FINDER_OVER `found` is whole.
 * finder_limit()  before it goes: only the messages with the highest uids are looked at, as many as the
 *                 limit allows (rfc9738); the lowest of them, 0: all that can be meant.
 * finder_close()  gives back what it holds, at any time.
 *
 * What is cheapest to know is asked first: the mailbox's arrays; the columns, when they are there or
 * so many digests were read that they are worth making; the digest; the content.
 * Letters whose content is asked go to the verifiers many at a time.
 */
#ifndef ACCESS_IMAP_FINDER_H
#define ACCESS_IMAP_FINDER_H

#include "access/imap/program.h"
#include "access/imap/session.h"
#include "store/text.h"

enum { BATCHES = 4, BATCH_LETTERS = 64 };
enum finder_step { FINDER_MORE, FINDER_WAIT, FINDER_OVER };

struct finder;
struct scored { uint32_t uid; uint8_t score; };
struct asked {                         /* a message that waits for a verifier     */
	uint32_t       uid;
	uint64_t       modseq;
	struct imap_extent where;
	enum truth    *value;          /* of each leaf                            */
	bool           settled;
};
struct batch {
	struct finder *finder;
	struct asked   item[BATCH_LETTERS];
	uint8_t        place[BATCH_LETTERS];   /* of the items asked this time     */
	uint32_t       count, asking;
	int            fd;             /* of the file they lie in; -1: empty      */
	uint64_t       device, inode;  /* which file that is                      */
	uint64_t       bytes;
	size_t         leaf;           /* being asked                             */
	struct imap_seek *seek;
	bool           answered;
};
struct finder {
	struct imap    *session;
	struct view    *view;
	struct program *program;
	struct arena   *scratch;
	const struct ranges *within;   /* only these uids are looked at; NULL: all */
	struct ranges   found;         /* uids                                    */
	uint64_t        modseq;        /* highest of those found                  */
	struct scored  *score;         /* of those found, when the program is fuzzy */
	size_t          scores, score_room;
	bool            damaged;       /* some could not be read                  */
	bool            later;         /* a verifier could not be asked           */
	bool            locked;        /* another program has the file; woken when it may be tried again */
	/* its own */
	uint32_t        uid;           /* the last that was looked at             */
	bool            walked;
	uint32_t        digests;       /* read so far                             */
	struct columns *columns;
	bool            filled;
	size_t          leaf;          /* whose column is looked through          */
	uint32_t        row, cursor;
	struct text    *text;
	struct text_ask *ask;          /* of each leaf; `text` NULL: none         */
	size_t          asked;
	bool            marked, texts;
	uint32_t        mark, text_made;
	struct searched message;
	struct letter   letter;
	enum truth     *value;
	struct batch   *batch[BATCHES];
	struct batch   *filling;
};

#define FINDER_LATER "[UNAVAILABLE] The messages cannot be searched now; try again later."

void finder_open(struct finder *, struct imap *, struct view *, struct program *, struct arena *);
uint32_t finder_limit(struct finder *);
enum finder_step finder_go(struct finder *);
/* Of the found, in their order, when it is over; and of one.  Memory from the arena. */
const uint8_t *finder_scores(struct finder *, struct arena *);
uint8_t finder_score(const struct finder *, uint32_t uid);
void finder_close(struct finder *);
/* As many rows of the columns as the turn has time for; true when they are whole. */
bool finder_fill(struct imap *, struct columns *, bool *filled);

#endif
