/*
 * seen -- a reader's own \Seen in a mailbox of somebody else
 *
 * From:     access/imap/view
 * Touches:  table `seen` of the index of the account that owns the mailbox
 *
 * Other flags are one for all; whether a message was seen is each reader's own affair.  Everything is unseen at first.  A change has
 * a modseq of its own, so a client that keeps a cache hears of it.
 *
 * seen_take()    the reader's marks in this mailbox; all sessions of one reader share them.  NULL with *why.
 * seen_entry()   the entry as this reader sees it: \Seen and modseq.
 * seen_change()  marks those of the set that are there and were not changed since; tells the watches that look
 *                with these marks (mailbox_watch_as()).  `modified` as in mailbox_flags().
 * seen_highest() the highest modseq this reader may meet.
 */
#ifndef STORE_SEEN_H
#define STORE_SEEN_H

#include "store/store.h"

struct seen;
struct seen *seen_take(struct mailbox *, uint64_t reader, int *why);
void seen_drop(struct seen **);
struct entry seen_entry(const struct seen *, struct entry);
int seen_change(struct seen *, const struct uid_set *, bool yes, uint64_t unchanged_since, struct arena *,
                struct uid_set *modified, const struct mailbox_watch *by);
uint64_t seen_highest(const struct seen *);
/* What differs in a status for this reader: unseen ones, and the highest modseq; nothing is \Recent. */
void seen_count(const struct seen *, struct mailbox_status *);
void mailbox_watch_as(struct mailbox_watch *, struct seen *);

#endif
