/*
 * inquest -- what checks of letters want to know of tables that are elsewhere is asked of role proxymap
 *
 * From:     role/receiver-judge.c, role/sender-refit.c, role/policy-milter.c
 * To:       role proxymap, by TABLE_ASK_ALL
 *
 * Who looks at a letter may be in its hands: it asks nobody, but says what it would know (policy/checks-elsewhere.h), and
 * whoever gave it the letter asks, if the table is one of those the letter is checked by.
 *
 * inquest_open()  one letter's.
 * inquest_ask()   asks what is in `wanted`; `done` comes once, never inside this call.  False: broken, a table not among
 *     `allowed` (so many lists), or more than a letter may ask; nothing is asked then, and why is in the log.
 * inquest_known() all answers so far, packed.  What could not be asked is answered by LATER.
 * inquest_close() `done` comes no more.
 *
 * Many keys go in one word, one word of a letter is open at a time.  Bounded: INQUEST_MOST questions, INQUEST_SIZE bytes of
 * keys and values, and INQUEST_MS from the first question on; past that the answers are LATER.
 * Call inquests_heard() for TABLE_SAID_ALL, _lost() and _met() when proxymap dies and comes: a word that was open is asked of
 * its successor, once.
 */
#ifndef ROLE_INQUEST_H
#define ROLE_INQUEST_H

#include "base/setting.h"
#include "role/house.h"

enum { INQUEST_MOST = 100000, INQUEST_SIZE = 8 << 20, INQUEST_MS = 100000 };

struct inquests;
struct inquests *inquests_open(struct house *);
void inquests_close(struct inquests **);        /* when no letter's is open */
bool inquests_heard(struct inquests *, uint32_t ticket, struct bytes body);
void inquests_lost(struct inquests *);
void inquests_met(struct inquests *);

struct inquest;
struct inquest *inquest_open(struct inquests *, void (*done)(void *ctx), void *ctx);
bool inquest_ask(struct inquest *, struct bytes wanted, const struct setting_list *allowed, size_t lists);
struct bytes inquest_known(struct inquest *);
void inquest_close(struct inquest **);

#endif
