/*
 * line -- who waits for one destination, and whose turn it is
 *
 * From:     role/queue
 * Touches:  nothing; recipient.line and its two neighbours are ours while it waits
 *
 * Of the highest priority that waits, senders (queue_party()) take turns, one transaction each; one who was not waiting
 * before comes in front of those who were served already, three times of four.  Whoever sends a hundred thousand letters
 * to a destination so delays another's single one by one transaction.  Inside a sender's lane the order is that of coming.
 *
 * line_join()   the recipient waits.
 * line_first()  the next, as far as is known now; NULL: nobody waits.
 * line_take()   the next, and of its lane those behind it that may go with it, up to `most`; they wait no more.  0: nobody.
 * line_leave()  everybody, one after another: NULL when nobody is left.
 * line_quit()   this one waits no more.
 */
#ifndef QUEUE_LINE_H
#define QUEUE_LINE_H

#include "queue/queue.h"

struct map;
struct rank;
struct line {
	struct map  *lanes;            /* of each party and priority           */
	struct rank *ranks;            /* the highest first                    */
	uint32_t     waiting, turns;
	size_t      *all;              /* who waits in this and others; or NULL */
};

void     line_join(struct line *, struct recipient *, const char *sender);
const struct recipient *line_first(const struct line *);
uint32_t line_take(struct line *, struct recipient *out[], uint32_t most,
	bool (*together)(const struct recipient *, const struct recipient *));
struct recipient *line_leave(struct line *);
void     line_quit(struct recipient *);

#endif
