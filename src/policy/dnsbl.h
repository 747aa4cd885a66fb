/*
 * dnsbl -- lists of addresses and names that are kept in the DNS
 *
 * From:     rules that ask them (reject_rbl_client and its kin)
 *
 * A list is written as "zen.spamhaus.org" or "zen.spamhaus.org=127.0.0.[2;4..11]": its domain, and which of its
 * answers count.  A filter is four parts by dots, each a number or [number;from..to;...].
 *
 * dnsbl_parse()    the domain and the filter of such a word; false, with what would be right in *wrong.
 * dnsbl_counts()   whether this address, of an A record, is one the list was asked for.  Without a filter any is
 *     but what dnsbl_refused() knows.
 * dnsbl_refused()  whether it says that the list does not answer to us: lists say 127.255.255.0/24 to who asks through a
 *     public resolver or too often, of every address, and that must not become a refusal of all mail.
 * dnsbl_address()  the name under which the list has an address: its reversed octets or nibbles before the
 *     domain (rfc5782:2.1, rfc5782:2.4).
 * dnsbl_name()     the same of a name (rfc5782:3.1); empty when that is no host's name or too long.
 * See:      rfc5782
 */
#ifndef POLICY_DNSBL_H
#define POLICY_DNSBL_H

#include "base/arena.h"
#include "dns/hostname.h"

struct dnsbl {
	struct bytes word;             /* as it was written                        */
	struct bytes domain, filter;   /* filter "": every answer counts           */
};
bool dnsbl_parse(struct bytes word, struct dnsbl *out, const char **wrong);
bool dnsbl_counts(const struct dnsbl *, struct bytes address);
bool dnsbl_refused(struct bytes address);
struct bytes dnsbl_address(struct arena *, const struct dnsbl *, const struct peer *);
struct bytes dnsbl_name(struct arena *, const struct dnsbl *, struct bytes name);

#endif
