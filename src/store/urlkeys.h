/*
 * urlkeys -- the secrets by which an account's URLs are signed, one for each mailbox (rfc4467:2.2)
 *
 * From:     access/imap/urlauth
 * Touches:  table `urlkey` of the account's index
 *
 * The keys are the account's whose URLs they sign, also those of mailboxes that somebody else shows it.  A mailbox that is
 * deleted takes the key of its owner along; an id is never given to another mailbox.
 *
 * urlkey_read()   the key; ENOENT: there is none yet.
 * urlkey_make()   a new one instead of whatever there was.
 * urlkey_forget() none is left: nothing that was signed holds any more.
 * What changes is durable after the next barrier.
 */
#ifndef STORE_URLKEYS_H
#define STORE_URLKEYS_H

#include "store/store.h"

enum { URLKEY_LEN = 32 };

int urlkey_read(struct account *, const struct mailbox *, unsigned char out[static URLKEY_LEN]);
int urlkey_make(struct account *, const struct mailbox *, unsigned char out[static URLKEY_LEN]);
int urlkey_forget(struct account *);

#endif
