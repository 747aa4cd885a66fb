/*
 * ordering -- messages in the order that SORT asks for (rfc5256:3, rfc5957)
 *
 * From:     SORT, and contexts, which keep a sorted result up to date
 * To:       store/columns, sorter
 *
 * ordering_read()   sort-criteria.
 * ordering_begin()  these uids of a view are to be sorted; memory from the arena.
 * ordering_go()     some milliseconds of it; true when item[0..count) is in order.
 * ordering_close()  gives back the columns, at any time; the order is gone with them.
 *
 * Who sorts many by a string works out the order of all messages once (store/columns.h: ranking), and whoever
 * sorts by it afterwards compares numbers.
 */
#ifndef ACCESS_IMAP_ORDERING_H
#define ACCESS_IMAP_ORDERING_H

#include "access/imap/session.h"
#include "access/imap/sorter.h"
#include "store/columns.h"

enum { CRITERIA_MOST = 15 };
enum by { BY_ARRIVED, BY_SENT, BY_SIZE, BY_TEXT, BY_RELEVANCY };
struct finder;
struct criterion {
	enum by     by;
	enum column column;
	bool        reverse;
};
struct ordering {
	struct criterion  criterion[CRITERIA_MOST];
	size_t            criteria;
	bool              relevancy;   /* is among them                           */
	const struct finder *finder;   /* which knows it                          */
	struct sort_item *item;        /* `number` is the uid                     */
	size_t            count;
	/* its own */
	struct arena     *arena;
	struct columns   *columns;
	bool              filled, gathered, sorted;
	struct ranking   *ranking[CRITERIA_MOST];
	size_t            ranks;       /* criteria that were looked at for it     */
	struct sort_item *all;         /* every row, while its rank is worked out */
	uint32_t          rows, row;
	struct uid_set    uids;
	size_t            range;
	uint32_t          uid, cursor;
	struct sorter     sorter;
};

void ordering_read(struct scan *, struct ordering *);
void ordering_begin(struct ordering *, struct view *, const struct uid_set *, struct arena *);
bool ordering_go(struct ordering *, struct imap *);
void ordering_close(struct ordering *);

#endif
