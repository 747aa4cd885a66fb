/*
 * shares -- which accounts show anything to others, and to whom: known without opening them
 *
 * From:     access/imap
 * Touches:  accounts/shared/ID, a small file for each account that ever granted a right
 *
 * A file has a line "user ADDRESS" or "group ADDRESS", then a line for each identifier that was ever granted something.
 * It is written, and synced, before the right itself: what it names may have no rights any more, but whoever has
 * some is named.  The rights are in the account's index.
 *
 * shares_note()   this account grants something to `who`.
 * shares_find()   the account with this address that shows something to anybody; 0: none, or none that says so.
 * shares_each()   each account that names the reader, one of its groups, or everybody; sorted by address.
 * shares_revoke() whoever had this address is gone: what was granted to it until then (seconds) is void.
 * shares_forget() the account is no more.
 * shares_watch()  `news` comes when an account grants something to an identifier it never did, before it has the right.
 * All look at accounts of this keeper alone (store_needs.ours).
 */
#ifndef STORE_SHARES_H
#define STORE_SHARES_H

#include "store/rights.h"

struct share { uint64_t account; const char *address; bool group; };

int shares_note(struct store *, const struct share *, const char *who);
bool shares_find(struct store *, const char *address, bool group, struct share *out);
size_t shares_each(struct store *, const struct reader *, struct arena *, struct share **out);
void shares_revoke(struct store *, struct bytes address, int64_t until);
void shares_forget(struct store *, uint64_t account);
struct shares_watch;
struct shares_watch *shares_watch(struct store *, void (*news)(void *ctx), void *ctx);
void shares_unwatch(struct store *, struct shares_watch **);

#endif
