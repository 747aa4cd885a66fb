/*
 * guard -- slows those who guess passwords, and never locks the owner out
 *
 * From:     role/clerk, before and after each attempt to log in
 *
 * guard_ask()     how an attempt from this network for this user may go on: GUARD_GO,
 *                 or GUARD_LATER (too many guesses in the last minute; say so without
 *                 looking at the password).  A network that has logged in to this account within
 *                 30 days always goes on: the delays alone slow a guesser beside the owner.
 * guard_knows()   whether that is so.
 * guard_failed()  counts a failure; how many milliseconds to wait before saying no:
 *                 the given delay, doubled with each failure in a row, up to 15 s.
 * guard_passed()  the network has proved itself: its delay begins anew, and it is known to this account.  True
 *                 when that is worth writing down: it is new, or was written down a day ago or more.
 * guard_recall()  what was written down.
 * guard_banned()  after a failure: for how many milliseconds the network is shut out from now on, 0 not.  So
 *                 many failures within the time earn a ban, and each further one is twice as long, until a
 *                 network has been quiet for as long as the longest.  Never one from which somebody logged in.
 * guard_sentenced() how often it was banned before, as written down.
 *
 * Bounded: 65536 networks and accounts each; the oldest are forgotten.
 */
#ifndef DIRECTORY_GUARD_H
#define DIRECTORY_GUARD_H

#include "base/bytes.h"

struct guard_limits {
	int64_t delay_ms;            /* after the first failure; 0: no delays          */
	int64_t per_network;         /* failures a minute from one network; 0 no limit */
	int64_t per_account;         /* failures a minute for one account; 0 no limit  */
};
enum guard_answer { GUARD_GO, GUARD_LATER };
struct ban_limits {
	int64_t failures, within_ms;  /* 0 failures: nobody is banned                 */
	int64_t time_ms, longest_ms;  /* the first ban; and what it grows to           */
};

struct guard;
struct guard *guard_open(void);
void guard_close(struct guard **);
bool guard_knows(const struct guard *, struct bytes network, struct bytes user, int64_t now_ms);
enum guard_answer guard_ask(struct guard *, const struct guard_limits *, struct bytes network, struct bytes user, int64_t now_ms);
int64_t guard_failed(struct guard *, const struct guard_limits *, struct bytes network, struct bytes user, int64_t now_ms);
bool guard_passed(struct guard *, struct bytes network, struct bytes user, int64_t now_ms);
void guard_recall(struct guard *, struct bytes network, struct bytes user, int64_t at_ms, int64_t now_ms);
int64_t guard_banned(struct guard *, const struct ban_limits *, struct bytes network, int64_t now_ms, uint32_t *times);
void guard_sentenced(struct guard *, struct bytes network, uint32_t times, int64_t until_ms);

#endif
