/*
 * verified -- what is known of addresses that were asked of their own servers
 *
 * From:     the rules reject_unverified_sender and reject_unverified_recipient
 * Touches:  policydb
 *
 * What a server said of an address (rfc5321:3.5 is seldom of use: a recipient is offered, and the letter not sent)
 * holds for `positive_expire` or `negative_expire`; from `positive_refresh` or `negative_refresh` on it is asked anew
 * while the old answer still holds; one that was good is ended by no other before it expires.  A question of the last `pending` seconds is not asked again.
 *
 * verified_judge()  what to do with what is known (updated 0: nothing).
 * verified_find()   what is known of the address, and what to do.
 * verified_keep()   what its server said; a refusal or a failure only with `negative`, and where nothing good holds.
 * verified_asked()  that it is being asked.
 * See:      Postfix ADDRESS_VERIFICATION_README
 */
#ifndef POLICY_VERIFIED_H
#define POLICY_VERIFIED_H

#include "base/arena.h"
#include "policy/policydb.h"

struct verified_settings {
	int64_t positive_expire, positive_refresh, negative_expire, negative_refresh;   /* ms */
	bool    negative;              /* refusals are kept too                    */
	int64_t most;
};
enum verified_outcome {
	VERIFIED_GOOD,                 /* it takes letters                         */
	VERIFIED_LATER,                /* its server does not say now              */
	VERIFIED_BAD,                  /* it does not: `text`                      */
	VERIFIED_TODO,                 /* being asked for the first time           */
};
struct verified_known { enum verified_outcome outcome; struct bytes text; int64_t updated, probed; };
enum verified_step { VERIFIED_USE, VERIFIED_USE_AND_ASK, VERIFIED_ASK, VERIFIED_WAIT };

enum { VERIFIED_PENDING_S = 1000 };
enum verified_step verified_judge(const struct verified_settings *, const struct verified_known *, int64_t now);
enum verified_step verified_find(struct policydb *, const struct verified_settings *, struct bytes address, int64_t now, struct arena *, struct verified_known *out);
void verified_keep(struct policydb *, const struct verified_settings *, struct bytes address, enum verified_outcome, struct bytes text, int64_t now);
void verified_asked(struct policydb *, const struct verified_settings *, struct bytes address, int64_t now);
bool verified_sweep(struct policydb *, const struct verified_settings *, int64_t now);
int  verified_list(struct policydb *, struct bytes after, int most,
                   void (*each)(void *ctx, struct bytes address, const struct verified_known *), void *ctx);
int  verified_delete(struct policydb *, struct bytes address);
int  verified_flush(struct policydb *);

#endif
