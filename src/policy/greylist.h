/*
 * greylist -- who comes for the first time is asked to come again (rfc6647)
 *
 * From:     the rule check_greylist; `mansio policy greylist`
 * Touches:  policydb
 *
 * A triplet is the network of the client, the sender and the recipient.  One that is new is put off; who tries it again
 * after `delay` and within `window` is let in, and then for as long as letters come at least once in `max_age`.
 * A network that had triplets let in in so many different hours as `allow` says is not asked any more, for as long as it comes.
 *
 * greylist_judge()   the judgement alone: what is known of the triplet (`tries` 0: nothing), and what will be.
 * greylist_ask()     judges and remembers; greylist_look() says the same and remembers nothing.
 * greylist_network() the network a client is counted as: 192.0.2.0/24, 2001:db8::/64.
 * greylist_sender()  the sender as it is counted: in lower case, without what stands behind "+", and each number in the
 *     local part as "#", since lists and services put a new one into every letter (rfc6647:5).
 * greylist_sweep()   takes away what is too old, some at a time: true when there may be more.
 *
 * Bounded: `most` triplets and as many networks; past it the oldest go, those never let in first.
 * See:     rfc6647
 */
#ifndef POLICY_GREYLIST_H
#define POLICY_GREYLIST_H

#include "base/arena.h"
#include "dns/hostname.h"
#include "policy/policydb.h"

struct greylist_settings {
	int64_t delay, window, max_age;   /* ms                                       */
	int64_t bits, bits6;              /* of a network                             */
	int64_t allow;                    /* 0: no network is                         */
	int64_t most;
};
struct greylist_known { int64_t first, last, tries, passed; };     /* seconds since 1970; how often */
enum greylist_verdict {
	GREYLIST_NEW,                  /* seen for the first time: later           */
	GREYLIST_EARLY,                /* not long enough ago: later               */
	GREYLIST_PASSED,               /* it came again: let in, for the first time */
	GREYLIST_KNOWN,                /* was let in before                        */
	GREYLIST_CLIENT,               /* the network is allowed                   */
};
extern const char *const greylist_words[];     /* by verdict, for the log      */
struct greylist_answer { enum greylist_verdict verdict; int64_t wait; };     /* wait: seconds, when it is put off */

enum greylist_verdict greylist_judge(const struct greylist_settings *, struct greylist_known *, int64_t now);

enum { GREYLIST_NETWORK_ROOM = 64 };
void greylist_network(const struct peer *, const struct greylist_settings *, char out[static GREYLIST_NETWORK_ROOM]);
struct bytes greylist_sender(struct arena *, struct bytes sender);

struct greylist_triplet { struct bytes network, sender, recipient; };
void greylist_ask(struct policydb *, const struct greylist_settings *, const struct greylist_triplet *, int64_t now, struct greylist_answer *);
void greylist_look(struct policydb *, const struct greylist_settings *, const struct greylist_triplet *, int64_t now, struct greylist_answer *);
bool greylist_sweep(struct policydb *, const struct greylist_settings *, int64_t now);
int64_t greylist_count(struct policydb *);

/* For the command: up to `most` after this one (all "": from the beginning), in order; how many.  Deleting: "" is any,
   but for the network.  How many went. */
int  greylist_list(struct policydb *, const struct greylist_triplet *after, int most,
                   void (*each)(void *ctx, const struct greylist_triplet *, const struct greylist_known *), void *ctx);
int  greylist_clients(struct policydb *, struct bytes after, int most,
                      void (*each)(void *ctx, struct bytes network, int64_t passed, int64_t last), void *ctx);
int  greylist_delete(struct policydb *, const struct greylist_triplet *);
int  greylist_flush(struct policydb *);

#endif
