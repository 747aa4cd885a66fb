/*
 * tickets -- the keys of TLS session tickets, the same in all processes that have one seed
 *
 * A seed is the number of a period and a secret.  Every period has a key of its own, and its secret is made from
 * the one before it, which is forgotten: processes that began with one seed have the same keys at any time
 * without a word between them, and from what is in memory now no older ticket can be read but those of the
 * period before.
 *
 * tickets_seed()    a new one.
 * tickets_advance() the same, as it is at this second; false: it is of the future or too old, and no more.
 * tickets_open()    from a seed.
 * tickets_now()     the key new tickets are made with; tickets_named() one that opens a ticket of this or
 *                   the period before, NULL: no more.  Both are good until the next call.
 */
#ifndef CHANNEL_TICKETS_H
#define CHANNEL_TICKETS_H

#include "base/bytes.h"

enum { TICKET_SEED = 48, TICKET_NAME = 16, TICKET_SECRET = 32 };
struct ticket_key { unsigned char name[TICKET_NAME], mac[TICKET_SECRET], cipher[TICKET_SECRET]; };
struct tickets;
void tickets_seed(char seed[static TICKET_SEED], int64_t now_s, int64_t period_s);
bool tickets_advance(char seed[static TICKET_SEED], int64_t now_s);
int64_t tickets_period(const char seed[static TICKET_SEED]);
struct tickets *tickets_open(const char seed[static TICKET_SEED]);
const struct ticket_key *tickets_now(struct tickets *, int64_t now_s);
const struct ticket_key *tickets_named(struct tickets *, int64_t now_s, const unsigned char name[static TICKET_NAME], bool *old);
void tickets_close(struct tickets **);

#endif
