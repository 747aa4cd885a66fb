/*
 * dnsfilter -- records of the DNS that are taken for not there (smtpd_dns_reply_filter, smtp_dns_reply_filter)
 *
 * From:     role/policy, before the rules hear of an answer; role/sender, before hosts are made of it
 *
 * dnsfilter_line()   a record as the tables have it: "example.com. 3600 IN MX 10 mx.example.com."
 * dnsfilter_apply()  for the setting `name`: the answer without the records for which a table says IGNORE, perhaps with none; a null MX stays.
 *                    False: somebody is asked about a record, and it is to be called again then.
 *                    With what is in no order, and a table that cannot be asked, it is ANSWER_LATER.  `out` lives as `in` and the arena.
 *
 * See:      postconf(5) smtp_dns_reply_filter
 */
#ifndef POLICY_DNSFILTER_H
#define POLICY_DNSFILTER_H

#include "dns/answer.h"

enum dnsfilter_found { DNSFILTER_NONE, DNSFILTER_FOUND, DNSFILTER_LATER, DNSFILTER_WAIT };
typedef enum dnsfilter_found dnsfilter_find(void *ctx, struct bytes line, struct arena *, struct bytes *value);

void dnsfilter_line(const struct answer *, size_t record, uint16_t type, struct buffer *out);
bool dnsfilter_apply(const char *name, const struct answer *in, uint16_t type, dnsfilter_find *find, void *ctx, struct arena *, struct answer *out);

#endif
