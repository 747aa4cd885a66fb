/*
 * resolver -- asks for names (libunbound underneath)
 *
 * From:     role/verifier
 * Touches:  sockets of its own to the servers it was given, and to no others
 *
 * resolver_open()  a resolver that asks these servers, "127.0.0.1:53" or "[::1]:53", and proves what
 *     they say by the anchors given (without them every answer is insecure).  A server that gives no
 *     signatures at all, not even of the root, makes all answers insecure, unless `strict`: then bogus.
 *     NULL with words in *errors.
 * resolver_ask()   the answer comes by `answered`, once, never from within the call, within `timeout`;
 *     with too many questions open, or a name that is none, at once with ANSWER_LATER or ANSWER_NO_NAME.
 *     The answer is good until `answered` returns.
 *     While the servers are silent, patience is short.
 * lookup_clear()   no answer is wanted any more.  Nothing if none is under way.
 *
 * server_parse()   "127.0.0.1:53", "[::1]:5353", "192.0.2.1": an address and a port (53 if not said).
 *
 * The cache is libunbound's, a few MiB.  The lookup lives in its asker's struct and must be
 * cleared before that goes away; resolver_close() calls nobody back.
 */
#ifndef DNS_RESOLVER_H
#define DNS_RESOLVER_H

#include "base/setting.h"
#include "channel/loop.h"
#include "dns/answer.h"
#include "dns/hostname.h"

struct resolver_settings {
	const struct bytes *server;
	size_t      servers;
	const struct bytes *anchor;    /* DS or DNSKEY records as text             */
	size_t      anchors;
	bool        strict;
	int64_t     timeout;           /* ms                                       */
};
struct resolver;
struct asking;
struct lookup {
	void (*answered)(void *ctx, const struct answer *);
	void *ctx;
	struct asking *asking;         /* the resolver's own                       */
};

struct resolver *resolver_open(struct loop *, const struct resolver_settings *, struct buffer *errors);
void resolver_close(struct resolver **);
void resolver_ask(struct resolver *, struct lookup *, struct bytes name, uint16_t type);
void lookup_clear(struct lookup *);

struct server { char address[48]; uint16_t port; };
bool server_parse(struct bytes, struct server *out);

#endif
