/*
 * fact -- one change of a mailbox, as it lies in the table `fact`: history, append-only
 *
 * From:     store/mailbox (made there, replayed there), store/care (forgotten there)
 * Pure: bytes in, values out.  A fact's bytes end with a checksum over its key, too, so that a row
 * that strayed is known.  The kinds and their bytes are in docs/format.md.
 */
#ifndef STORE_FACT_H
#define STORE_FACT_H

#include "store/rows.h"

enum fact_kind {
	FACT_ARRIVED_NARROW = 1, /* as they were written before FACT_ARRIVED          */
	FACT_FLAGS_NARROW = 2, /* and FACT_FLAGS                                      */
	FACT_EXPUNGED = 3,   /* uids                                                  */
	FACT_KEYWORD  = 4,   /* bit, name                                             */
	FACT_MADE     = 5,   /* of the account (mailbox 0): id, use, uidvalidity, name */
	FACT_DELETED  = 6,   /* id, name                                              */
	FACT_RENAMED  = 7,   /* id, name before, name after                           */
	FACT_SUBSCRIBED = 8, /* yes or no, name                                       */
	FACT_ARRIVED  = 9,   /* rows; each has its modseq, the last is the fact's     */
	FACT_FLAGS    = 10,  /* how, flags, keywords, uids                            */
};
struct fact_key { uint64_t mailbox, modseq; enum fact_kind kind; int64_t time; };
/* What fact_read() found; only the fields of the kind are set. */
struct fact {
	struct uid_set uids;         /* FLAGS, EXPUNGED: in the arena           */
	enum flags_how how;
	uint64_t flags;              /* system flags alone                      */
	struct keyset keywords;
	uint64_t from;               /* ARRIVED: mailbox it was copied from, or 0 */
	int      bit;
	struct bytes name;           /* KEYWORD: a view of the data             */
};
void fact_arrived (struct buffer *, uint64_t from, const struct rows *, uint32_t first, uint32_t count);
void fact_flags   (struct buffer *, enum flags_how, uint64_t flags, const struct keyset *, const struct uid_set *);
void fact_expunged(struct buffer *, const struct uid_set *);
void fact_keyword (struct buffer *, int bit, struct bytes name);
void fact_list    (struct buffer *, uint64_t id, uint64_t more, uint64_t uidvalidity, const char *name, const char *other);
/* Puts the checksum behind; the data is then ready for the table. */
void fact_close   (struct buffer *, const struct fact_key *);
/* False: broken.  ARRIVED rows are appended to *rows (may be NULL: then only checked). */
bool fact_read(const struct fact_key *, struct bytes data, struct arena *, struct fact *, struct rows *)
	__attribute__((warn_unused_result));

#endif
