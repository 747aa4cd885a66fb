/*
 * quota -- what a keeper tells of one account
 *
 * quota_ask()   asks the keeper, who counts anew first if `recount`; false after saying why.
 */
#ifndef COMMAND_QUOTA_H
#define COMMAND_QUOTA_H

#include "command/client.h"

/* Limits of 0: none.  right: the count that was kept was right. */
struct quota_told { uint64_t bytes, bytes_most, messages, messages_most, right; };
bool quota_ask(struct call *, const struct person *, bool recount, struct quota_told *);

#endif
