/*
 * peername -- the name of a client, as far as it can be believed
 *
 * From:     role/verifier, for a receiver
 *
 * An address has the name its reverse zone gives it; whoever owns the address writes what they like there.
 * It is believed when that name has this address among its own.  Of several names the first that is confirmed
 * is taken, of the first PEERNAMES_TRIED.
 *
 * peername_ask()    `found` comes once, later.
 * peername_in()     the name that hosts(5), given as text, has for it: the first of its line.  Whoever writes that file is believed.
 * peername_clear()  nothing is wanted any more.
 */
#ifndef DNS_PEERNAME_H
#define DNS_PEERNAME_H

#include "dns/resolver.h"

enum { PEERNAMES_TRIED = 4 };
enum peername_class {
	PEERNAME_CONFIRMED,            /* name and reverse are the same            */
	PEERNAME_NONE,                 /* the address has no name                  */
	PEERNAME_FOREIGN,              /* it has one that does not have the address */
	PEERNAME_NO_HOST,              /* it has one that has no address at all    */
	PEERNAME_LATER,                /* not to be known now                      */
};
struct peername {
	enum peername_class class;
	struct bytes name;             /* confirmed, or ""                         */
	struct bytes reverse;          /* what the reverse zone says, or ""        */
};
struct peername_search;
struct peername_search *peername_ask(struct resolver *, const struct peer *,
                                     void (*found)(void *ctx, const struct peername *), void *ctx);
bool peername_in(struct bytes hosts, const struct peer *, struct bytes *name);
void peername_clear(struct peername_search **);

#endif
