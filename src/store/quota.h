/*
 * quota -- how much an account holds, and how much it may (rfc9208)
 *
 * From:     access/imap, delivery, role/keeper
 * Touches:  rows of table `meta` of the account's index
 *
 * What is counted is what a reader sees: each message of each mailbox with its size.  The count is kept with every
 * change, in the same transaction; an index of an older version is counted when first asked.
 *
 * account_quota()   the count and the limits.  0 or errno.
 * account_limits()  the house's word about the limits; remembered in the index for those who come before
 *                   the house says it again.
 * account_fits()    0, or EDQUOT: these would be too much.  `grace` is what the last letter may be over (bytes).
 * account_fits_instead()   the same of one message that comes when another of `gone` bytes goes.
 * account_recount() adds all up anew; *right tells whether that is what was kept.
 */
#ifndef STORE_QUOTA_H
#define STORE_QUOTA_H

#include "store/store.h"

struct quota_limits { uint64_t bytes, messages; };     /* 0: none */
struct quota { uint64_t bytes, messages; struct quota_limits limit; };
/* Limits nobody has said. */
#define QUOTA_UNSAID ((struct quota_limits){ UINT64_MAX, UINT64_MAX })

int account_quota(struct account *, struct quota *);
int account_limits(struct account *, const struct quota_limits *);
int account_fits(struct account *, uint64_t bytes, uint64_t messages, uint64_t grace);
int account_fits_instead(struct account *, uint64_t bytes, uint64_t gone);
int account_recount(struct account *, bool *right);

#endif
