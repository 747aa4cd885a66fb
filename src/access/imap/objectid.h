/*
 * objectid -- names of mailboxes, letters and threads that never change (rfc8474)
 *
 * From:     imap/fetch, imap/status, imap/select, imap/program
 * Pure: what is in the account's index and the digest.
 *
 * A mailbox is its account and its number there.  A letter is its id in the log; where one account gave it
 * other lines at its head than another, it is another letter.  A thread is known by the id of the message it
 * began with, so that it is the same in every mailbox and can be told without looking at any other
 * message: the first of References, else of In-Reply-To, else the message's own.
 */
#ifndef ACCESS_IMAP_OBJECTID_H
#define ACCESS_IMAP_OBJECTID_H

#include "access/imap/letter.h"
#include "base/buffer.h"

void objectid_mailbox(struct buffer *, uint64_t account, uint64_t mailbox);
void objectid_email  (struct buffer *, const struct message *);
void objectid_thread (struct buffer *, const struct letter *);    /* after letter_digest() */

#endif
