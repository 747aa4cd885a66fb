/*
 * question -- what a role has asked the verifiers and not yet heard
 *
 * From:     role/keeper (APPEND, SEARCH), role/queue (notices)
 *
 * A question is the first member of the asker's own struct.  question_ask() gives it a
 * ticket, chooses a living verifier and calls `ask`, which says the word.  The first that has not
 * yet enough to do is chosen: few wake-ups for many small letters; a large one has weight.  `answered` comes
 * once: with the answer's body, or NULL when nobody could answer: a question that was open to
 * two verifiers that died is not asked a third time (it may be what killed them).
 * question_drop() forgets it; no callback comes any more.
 */
#ifndef ROLE_QUESTION_H
#define ROLE_QUESTION_H

#include "base/map.h"
#include "role/house.h"

struct question {
	uint32_t ticket, verifier;
	uint32_t weight;               /* of the work; 0 is that of a small letter */
	bool     again;
	void   (*ask)(struct question *);
	void   (*answered)(struct question *, const struct bytes *body);
};
enum { VERIFIERS_MOST = 64, QUESTION_HEAVY = 16 };
struct questions {
	struct house *house;
	struct map   *open;
	uint32_t      next;
	uint32_t      load[VERIFIERS_MOST];
};

void questions_open(struct questions *, struct house *);
void question_ask(struct questions *, struct question *);
void question_drop(struct questions *, struct question *);
bool question_heard(struct questions *, uint32_t ticket, struct bytes body);
void questions_lost(struct questions *, uint32_t verifier);    /* it died             */
void questions_wait_over(struct questions *);                  /* one came            */

#endif
