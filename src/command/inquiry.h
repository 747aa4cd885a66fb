/*
 * inquiry -- questions to the name service, one after the other, for a command
 *
 * From:     command dns, tls
 * Touches:  /etc/resolv.conf and the file of trust anchors; sockets to the resolver; it waits
 *
 * inquiry_open()  asks the resolver of dns_resolver, or of this system where that is empty, and proves answers by
 *     dns_trust_anchor_file unless dns_validation is no.  NULL with words in *errors: there is nobody to ask, or dns_resolver is none.
 * inquiry_ask()   the answer, never NULL, its records in the order of their data, good until inquiry_close(); what was asked before is not asked again. After
 *     INQUIRY_MOST questions, or INQUIRY_MS, all that is new is ANSWER_LATER at once: a command ends.
 * inquiry_name()  the same for the name of an address (PTR).
 */
#ifndef COMMAND_INQUIRY_H
#define COMMAND_INQUIRY_H

#include "channel/peer.h"
#include "dns/resolver.h"
#include "role/settings.h"

enum { INQUIRY_MOST = 400, INQUIRY_MS = 60000 };
struct inquiry;
struct inquiry *inquiry_open(const struct common_settings *, struct buffer *errors);
const struct answer *inquiry_ask(struct inquiry *, struct bytes name, uint16_t type);
const struct answer *inquiry_name(struct inquiry *, const struct peer *);
void inquiry_close(struct inquiry **);

#endif
