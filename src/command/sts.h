/*
 * sts -- what a domain's policy says of a server, for a command (rfc8461)
 *
 * From:     command tls, dns
 * Touches:  the name service, and the web server of the policy
 *
 * sts_check()  tells whether the policy of `domain` names `host`; without a domain that of the host's own name counts, or of the
 *     nearest above it that has one.  What is wrong goes to the report.  `ctx` says which authorities are trusted.
 * sts_fetch()  what the web server of the domain's policy gives, under the rules senders have (rfc8461:3.3).  NULL, or why
 *     nothing is to be had, the arena's.
 */
#ifndef COMMAND_STS_H
#define COMMAND_STS_H

#include <openssl/ssl.h>

#include "command/inquiry.h"
#include "command/tls-report.h"

const char *sts_fetch(struct inquiry *, SSL_CTX *, const char *domain, struct arena *, struct buffer *text);
void sts_check(struct inquiry *, SSL_CTX *, const char *host, const char *domain, struct report *);

#endif
