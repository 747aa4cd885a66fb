/*
 * key -- under what an event is found: letters, sessions, refusals, message-ids, addresses
 *
 * A key is a hash with a secret of the store, so that nobody outside can choose names that collide.  It says where to
 * look; event_has_key() says whether an event is meant.  Addresses and ids of refusals are the same in capitals and small
 * letters, an address also with its domain's U-labels and A-labels, a message-id with its brackets and without.
 */
#ifndef CHRONICLE_KEY_H
#define CHRONICLE_KEY_H

#include "chronicle/event.h"

enum key_kind { KEY_LETTER, KEY_SESSION, KEY_REFUSAL, KEY_MESSAGE_ID, KEY_ADDRESS, KEY_GAP };
struct key_secret { uint64_t half[2]; };

uint64_t key_of(const struct key_secret *, enum key_kind, struct bytes value);
uint64_t key_of_number(const struct key_secret *, enum key_kind, uint64_t value);
/* All keys an event has, each once or more. */
void event_keys(const struct key_secret *, const struct event *, void (*each)(void *ctx, uint64_t key), void *ctx);
bool event_has_key(const struct key_secret *, const struct event *, uint64_t key);

#endif
