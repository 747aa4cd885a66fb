/*
 * redact -- what of people is not kept
 *
 * From:     chronicle/chronicle, before an event is written
 *
 * Addresses: whole; pseudonym: in place of what stands before the @ a word made of it with the store's secret, so that
 * mansio trace ADDRESS still finds its letters and who reads the files sees no names (who holds the secret, which lies in
 * the files, and guesses an address can tell that it is that one); domain: * in its place, and nobody finds them by it.
 * Clients: whole; network: the name is left out and of the address the network stays, /24 or /48; none.
 * Addresses inside of replies and texts are treated as addresses.
 */
#ifndef CHRONICLE_REDACT_H
#define CHRONICLE_REDACT_H

#include "base/arena.h"
#include "chronicle/key.h"

enum redact_addresses { ADDRESSES_WHOLE, ADDRESSES_PSEUDONYM, ADDRESSES_DOMAIN };
enum redact_clients { CLIENTS_WHOLE, CLIENTS_NETWORK, CLIENTS_NONE };
struct redaction { int addresses, clients; };

/* The event as it is kept; its texts in the arena where they changed. */
void event_redact(struct event *, const struct redaction *, const struct key_secret *, struct arena *);
/* One address as it is kept. */
struct bytes address_redact(struct bytes, int how, const struct key_secret *, struct arena *);

#endif
