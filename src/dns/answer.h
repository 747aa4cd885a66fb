/*
 * answer -- what was found under a name
 *
 * From:     resolver, out of a packet (rfc1035:4)
 *
 * Every answer says how far it can be trusted (rfc4033:5): secure when a chain of signatures
 * leads to it, bogus when one ought to and does not, insecure where nothing is signed.  Of a bogus answer
 * nothing is told but that: it is a failure for now.
 *
 * answer_parse()  the answer of the packet to the question (name, type), names along CNAMEs followed
 *     (no more than ANSWER_ALIASES).  False: the packet is broken, or has more than ANSWER_RECORDS; but of exchangers and
 *     addresses ANSWER_CHOICE are enough to bring mail there (rfc5321:5.1), and the others are left out.
 * answer_strings() the texts of a TXT record, one behind the other.
 * answer_keep()    a copy with all it points to in the arena; its `why` is never NULL.
 *
 * The record's `data` is as on the wire, names in it uncompressed; where the record begins with a name, or
 * with a preference and a name (PTR CNAME NS, MX), those are ready made; so are the priority and the target of SRV.
 */
#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include "base/arena.h"
#include "base/buffer.h"

enum {
	DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_SOA = 6, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28,
	DNS_SRV = 33, DNS_TLSA = 52,
};
enum { ANSWER_RECORDS = 256, ANSWER_CHOICE = 1024, ANSWER_ALIASES = 16 };

enum answer_status {
	ANSWER_FOUND,                  /* there are records                        */
	ANSWER_NO_RECORD,              /* the name is there, this type is not      */
	ANSWER_NO_NAME,                /* NXDOMAIN                                 */
	ANSWER_LATER,                  /* not to be known now: silence, SERVFAIL, bogus */
};
enum answer_trust { ANSWER_INSECURE, ANSWER_BOGUS, ANSWER_SECURE };

struct answer_record {
	struct bytes data;
	struct bytes name;             /* text, see hostname_text()                */
	uint16_t     preference;
	uint32_t     ttl;
};
struct answer {
	enum answer_status status;
	enum answer_trust  trust;
	struct bytes       name;       /* whose records they are: behind all CNAMEs */
	const struct answer_record *record;
	size_t             records;
	const char        *why;        /* of ANSWER_LATER, in words                */
};

bool answer_parse(struct bytes packet, struct bytes name, uint16_t type, struct arena *, struct answer *out)
	__attribute__((warn_unused_result));
bool answer_strings(const struct answer_record *, struct buffer *out) __attribute__((warn_unused_result));
struct answer answer_keep(struct arena *, const struct answer *);

#endif
