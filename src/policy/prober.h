/*
 * prober -- as whom other servers are asked about an address
 *
 * From:     role/policy (the questions), role/clerk and the rules (who asks back is let in)
 *
 * A name that never changes ends on the lists of those who send junk; with `ttl_s` its local part has the number of the
 * time that it is of behind it, as double-bounceJQYP@example.com, and is good for that time, the one before and the one after.
 *
 * prober_name()  what it is now; "" nobody.
 * prober_is()    whether the address is that name, or was, or will be.
 *
 * See:      Postfix ADDRESS_VERIFICATION_README
 */
#ifndef POLICY_PROBER_H
#define POLICY_PROBER_H

#include "base/arena.h"

struct prober {
	const char *as;                /* "double-bounce@example.com"; "", "<>" nobody; without a domain one of `origin` */
	const char *origin;
	int64_t ttl_s;                /* 0: for ever the same                    */
};
struct bytes prober_name(const struct prober *, int64_t now_s, struct arena *);
bool prober_is(const struct prober *, int64_t now_s, struct bytes address);

#endif
