/*
 * guests -- the sessions of a service: who is there, whose turn it is, and whom a word ends
 *
 * From:     access/imap, access/pop3
 * To:       access/turns
 *
 * guests_open()  go(session) is called in the session's turn; end(session, words) when it is to end: it leaves then, or, if
 *                it holds back what is not on disk yet, with that (access/hold).
 * guests_close() all are told these words, and leave at once (`closing`).
 * guest_enter()  the session is there: `guest` lives in it.
 * guest_leave()  it is not, and has no turn any more.
 * guests_kick()  ends those who read this account, 0 all; how many.
 * guests_end()   ends the one of this ticket; false: there is none.
 */
#ifndef ACCESS_GUESTS_H
#define ACCESS_GUESTS_H

#include "access/turns.h"

#include <stdbool.h>
#include <stddef.h>

enum { BAD_ROWS_MOST = 100 };          /* rows of bad commands, as long as may be, that a session is worth in all */

struct guest {
	struct guest *before, *next;   /* all sessions of the service             */
	struct turn   turn;
	void         *session;
	uint32_t      ticket;
	uint64_t      account;
};
struct guests {
	struct guest *first;
	size_t        count;
	struct turns  turns;
	bool          closing;
	void        (*end)(void *session, const char *words);
};
void   guests_open(struct guests *, struct loop *, void (*go)(void *session), void (*end)(void *session, const char *words));
void   guests_close(struct guests *, const char *words);
void   guest_enter(struct guests *, struct guest *, void *session, uint32_t ticket, uint64_t account);
void   guest_leave(struct guests *, struct guest *);
size_t guests_kick(struct guests *, uint64_t account, const char *words);
bool   guests_end(struct guests *, uint32_t ticket, const char *words);

#endif
