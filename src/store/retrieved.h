/*
 * retrieved -- when messages were first fetched whole by POP3
 *
 * From:     access/pop3, where messages are kept for a while only after that
 * Touches:  table `retrieved` of the account's index
 *
 * retrieved_note()  this message was, now; what was noted before stays.
 * retrieved_take()  those that were fetched at `until` or before and are still there, ascending; they are
 *                   forgotten with it, for the caller expunges them.
 * 0 or errno; durable after the next barrier.
 */
#ifndef STORE_RETRIEVED_H
#define STORE_RETRIEVED_H

#include "store/store.h"

int retrieved_note(struct mailbox *, uint32_t uid, int64_t now);
int retrieved_take(struct mailbox *, int64_t until, struct arena *, struct uid_set *out);

#endif
