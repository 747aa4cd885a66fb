/*
 * fetch_inner -- what FETCH's own files know of one another; nobody else includes it
 *
 * fetch-items.c   writes each item of one message; the table of all there are.
 * fetch.c         reads the command, walks the messages, and keeps what was said (imap/answers).
 *
 * fetch_clip()    what "<from.most>" leaves of so many bytes.
 * fetch_tally()   counts them for the log.
 * fetch_page_flush() gives what was written so far to the stream.
 * fetch_is_whole() all of the letter: its row says how much that is.
 * fetch_decodes() BINARY and its kind: without the transfer encoding (rfc3516).
 */
#ifndef ACCESS_IMAP_FETCH_INNER_H
#define ACCESS_IMAP_FETCH_INNER_H

#include "access/imap/answers.h"
#include "access/imap/decoding.h"
#include "access/imap/letter.h"
#include "access/imap/resync.h"
#include "access/imap/returns.h"
#include "access/imap/section.h"
#include "access/imap/session.h"
#include "access/imap/write.h"

enum { ITEMS_MOST = 128, DAMAGED_SAID_MOST = 20 };

struct fetch_item;
struct fetch_work;
/* Write one item of the message at w->letter; false: it cannot be read. */
typedef bool item_fn(struct imap *, struct fetch_work *, const struct fetch_item *);
struct fetch_att {
	const char       *name;
	item_fn          *write;
	enum letter_depth needs;
	bool              sees;    /* sets \Seen                               */
	bool              bracket; /* a section in [] follows the name         */
	bool              lasts;   /* its words never change: kept (imap/answers) */
	enum section_what what;    /* of the old names for sections            */
};
struct fetch_item {
	const struct fetch_att *att;
	struct section          section;
	struct bytes            label;
	struct answers_column  *kept;  /* NULL: not of those that are kept         */
	bool                    known; /* of the message in hand                   */
};
struct fetch_work {
	struct sequence   sequence;
	struct fetch_item item[ITEMS_MOST];
	size_t            items;
	bool              changed, vanished, sees, stored, some_gone;
	uint64_t          changed_since;
	struct uid_set    set;
	struct partial    partial;
	uint32_t          lowest;  /* below it nothing was looked at (rfc9738)  */
	struct resync     resync;
	struct flags_said flags_said;
	size_t            range; /* where we are in the set              */
	bool              down;  /* and that from the highest uid        */
	uint32_t          uid;
	bool              begun;
	struct entry      entry;
	struct letter     letter;
	struct buffer     page;    /* the answer for one message           */
	bool              flushed; /* some of it is with the stream        */
	bool              again;   /* w->entry is asked for once more      */
	bool              locked;  /* another program did not let us read some */
	uint32_t          damaged[DAMAGED_SAID_MOST];
	size_t            damages;
	bool              decodes, unknown_cte;
	bool              at_once; /* nobody is there who waits for a verifier: what needs one is not told of */
	bool              writing; /* the answer for w->entry is under way  */
	size_t            at;      /* and this item is next                */
	struct decoding   decoding;
	struct buffer     far; /* fields a verifier found                   */
	bool              begun_literal;
	uint64_t          coded_at, coded_left; /* of its decoded bytes             */
};

extern const struct fetch_att fetch_atts[];
extern const size_t fetch_att_count;
/* With those of our own, and the empty line. */
void fetch_put_far(struct imap *, struct fetch_work *, const struct section *, const struct section_span *header);
item_fn fetch_put_section, fetch_put_preview, fetch_put_binary_size;
void     fetch_page_flush(struct imap *, struct fetch_work *);
uint64_t fetch_clip(const struct section *, uint64_t len, uint64_t *from);
void     fetch_tally(struct imap *, const struct section *, uint64_t len);
bool     fetch_is_whole(const struct section *);
bool     fetch_decodes(const struct fetch_att *);

#endif
