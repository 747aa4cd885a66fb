/*
 * quota -- what a keeper tells of one account
 *
 * quota_ask()   asks the keeper, who counts anew first if `recount`; false after saying why.
 * quota_totals_ask()    asks the clerk what all accounts of a domain hold together, or of each that is limited (NULL); false after saying
 *                       why.  quota_totals_next() reads a line of what it said.
 */
#ifndef COMMAND_QUOTA_H
#define COMMAND_QUOTA_H

#include "command/client.h"

/* Limits of 0: none.  right: the count that was kept was right. */
struct quota_told { uint64_t bytes, bytes_most, messages, messages_most, right; };
bool quota_totals_ask(struct call *, const char *domain, struct buffer *said);
bool quota_totals_next(struct bytes *rest, struct bytes *domain, struct quota_told *);
bool quota_ask(struct call *, const struct person *, bool recount, struct quota_told *);

#endif
