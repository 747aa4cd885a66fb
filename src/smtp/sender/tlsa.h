/*
 * tlsa -- how a host can be known by what the name service proves of it (rfc7672)
 *
 * From:     role/sender, before it connects
 * Touches:  nothing; answers come through `ask`, as in route.h
 *
 * tlsa_find()  a pure function of the request and of the answers so far; called again when there is one more.
 *     TLSA_WAIT      an answer is missing; it has been asked for.
 *     TLSA_NONE      nothing is said of the host that is proved: it is as any other (rfc7672:2.2).
 *     TLSA_UNUSABLE  TLSA records are there, none can be used: TLS, with whatever certificate (rfc7672:2.2).
 *     TLSA_FOUND     by these records, under the name `base`; a certificate that is to be for a name is for one of `name`.
 *     TLSA_LATER     it cannot be known now, so nobody may go there now; why, in words.
 */
#ifndef SMTP_SENDER_TLSA_H
#define SMTP_SENDER_TLSA_H

#include "channel/tls.h"
#include "dns/answer.h"

enum { TLSA_NAMES = 3, TLSA_RECORDS_MOST = 100 };
enum tlsa_outcome { TLSA_WAIT, TLSA_NONE, TLSA_UNUSABLE, TLSA_FOUND, TLSA_LATER };
struct tlsa_request {
	const char *host, *domain;     /* domain: the destination's, "" it is not to be believed */
	uint16_t    port;
	bool        v4, v6;
	const struct answer *(*ask)(void *ctx, struct bytes name, uint16_t type);
	void *ctx;
};
struct tlsa {
	const char *base;              /* the host's name that the records are of  */
	const struct tls_record *record;
	size_t      records;
	const char *name[TLSA_NAMES];
	size_t      names;
	const char *why;
};
enum tlsa_outcome tlsa_find(const struct tlsa_request *, struct arena *, struct tlsa *out);
/* The data of a TLSA record (rfc6698:2.1).  False: it is none. */
bool tlsa_read(struct bytes data, struct tls_record *out);
/* The same as text, "3 1 1 AB12...", for reports and for people. */
void tlsa_write(const struct tls_record *, struct buffer *out);

#endif
