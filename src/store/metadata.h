/*
 * metadata -- notes on mailboxes and on the account (rfc5464)
 *
 * From:     access/imap
 * Touches:  table `metadata` of the account's index
 *
 * A note is an entry ("/shared/comment", "/private/vendor/...") with a value of any bytes.  `reader` is whose
 * it is: 0 for shared ones, the account that reads for private ones.  `mailbox` is a mailbox's id, or 0 for the account itself
 * (the server, as rfc5464 calls it).  Entries are kept in lower case and compared so.
 *
 * metadata_each()  gives entry and value of all of one mailbox that this reader may see: shared ones and its own.
 * metadata_set()   puts them all, or none: a value with `at` NULL takes the entry away.  Durable after the
 *                  next barrier.  EMSGSIZE: a value is larger than `most`; EDQUOT: more than METADATA_MOST.
 */
#ifndef STORE_METADATA_H
#define STORE_METADATA_H

#include "store/store.h"

enum { METADATA_MOST = 200, METADATA_ENTRY_MOST = 1024 };
struct metadata { struct bytes entry, value; };

int metadata_each(struct account *, uint64_t mailbox, uint64_t reader,
                  void (*each)(void *ctx, const struct metadata *), void *ctx);
/* EDQUOT: so many would be too many. */
int metadata_room(struct account *, uint64_t mailbox, uint64_t reader, const struct metadata *, size_t count);
int metadata_set(struct account *, uint64_t mailbox, uint64_t reader, const struct metadata *, size_t count, size_t most);

#endif
