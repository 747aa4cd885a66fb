/*
 * hostname -- names of hosts as text, and the names addresses are looked up under
 *
 * hostname_valid()    whether it is a name a host may have: labels of letters, digits, - and _
 *     of at most 63, at most 255 in all, no dot at either end, not all digits (rfc1123:2.1;
 *     the underscore is not a host's, but people have it).
 * hostname_reverse()  the name under which an address has its name: 4.3.2.1.in-addr.arpa
 *     (rfc1035:3.5) or the nibbles of ip6.arpa (rfc3596:2.5).  False for what is no IP address.
 * hostname_text()     a name as a packet has it, without compression, as text: no dot at the end,
 *     "." for the root; a dot within a label, a backslash and whatever is not printable become \DDD
 *     (rfc1035:5.1), so that no such text passes for the name of a host.
 */
#ifndef DNS_HOSTNAME_H
#define DNS_HOSTNAME_H

#include "base/buffer.h"
#include "channel/peer.h"

enum { HOSTNAME_MOST = 255, LABEL_MOST = 63, REVERSE_ROOM = 80 };

bool hostname_valid(struct bytes);
bool hostname_reverse(const struct peer *, char out[static REVERSE_ROOM]);
bool hostname_text(struct bytes wire, struct buffer *out);

#endif
