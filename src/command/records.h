/*
 * records -- what the DNS must say of a domain whose mail this server takes and sends
 *
 * From:     command dns
 * Touches:  main.cf, the certificates it names, the kernel's list of interfaces; no name service
 *
 * facts_read()   what is known of us: the name, the addresses the world sees, certificates, where readers come in.  NULL after saying why.
 *     Addresses are those of `addresses` (of --address, by commas), or of proxy_interfaces, or of inet_interfaces as far
 *     as they are no private ones.  What only the administrator can know is in `notes`, a sentence a line.
 * records_of()   every record, in the order of a zone file.  A record of another zone (the host's, the addresses') says so.
 * record_value() the value as a zone file has it, strings in quotes and in pieces of at most 255 bytes (rfc1035:3.3.14).
 * record_same()  whether an answer's record says the same.
 * policy_text()  what https://mta-sts.DOMAIN/.well-known/mta-sts.txt must say (rfc8461:3.2), lines with CRLF.
 *
 * DKIM is left out: nothing is signed yet.
 */
#ifndef COMMAND_RECORDS_H
#define COMMAND_RECORDS_H

#include "channel/peer.h"
#include "command/command.h"
#include "dns/answer.h"

enum { ADDRESSES_MOST = 32, CERTIFICATES_MOST = 64, RECORDS_MOST = 256, RECORD_TTL = 3600 };

/* A certificate of ours, and those above it in its chain, as TLSA sees them (rfc6698:2.1). */
struct certificate {
	struct bytes whole, key;               /* DER of it and of its public key          */
	bool         is_leaf;
};
struct place { unsigned port; bool offered; };
struct facts {
	struct arena *life;
	struct settings *settings;
	struct common_settings common;
	const char   *domain, *shown;          /* A-labels; as people write it             */
	const char   *host;                    /* myhostname, or of --host                 */
	struct peer   address[ADDRESSES_MOST]; /* the world sees                           */
	size_t        addresses;
	struct peer   from[ADDRESSES_MOST];    /* letters leave from here, too             */
	size_t        froms;
	bool          is_private;              /* only private ones were found             */
	const char   *relayhost;               /* "" none                                  */
	struct certificate certificate[CERTIFICATES_MOST];
	size_t        certificates;
	bool          unread;                  /* there are files of them nobody lets us read */
	struct place  service[LISTEN_SERVICES];
	bool          guides, guides_by_tls;   /* mail programs are told how to reach us (role/guide.h) */
	struct buffer notes;
};
struct facts *facts_read(struct call *, const char *domain, const char *host, const char *addresses);
void facts_close(struct facts **);
bool peer_parse(struct bytes, struct peer *out);
bool peer_same(const struct peer *, const struct peer *);
bool peer_private(const struct peer *);

enum record_weight { RECORD_MUST, RECORD_SHOULD, RECORD_MAY };
enum record_zone { ZONE_HERE, ZONE_OF_HOST, ZONE_OF_ADDRESS };
struct record {
	struct bytes  name;                    /* no dot at the end                        */
	uint16_t      type;
	uint32_t      ttl;
	uint16_t      priority, weight, port;
	struct bytes  target;                  /* of MX, SRV, PTR: a name, or "."          */
	struct bytes  data;                    /* of A, AAAA, TXT (whole), TLSA: as in a packet, TXT without lengths */
	enum record_weight must;
	enum record_zone zone;
	const char   *why;                     /* a sentence                               */
};
struct records { struct record one[RECORDS_MOST]; size_t count; };
void records_of(struct facts *, struct records *);
const char *record_type_name(uint16_t type);
void record_value(const struct record *, struct buffer *out);
void record_data_text(uint16_t type, struct bytes data, struct buffer *out);
bool record_same(const struct record *, const struct answer_record *);
void policy_text(const struct facts *, struct buffer *out);
/* The tag of that policy: other when the policy is (rfc8461:3.1). */
const char *policy_tag(const struct facts *);
bool name_within(struct bytes name, struct bytes zone);

#endif
