/*
 * sts -- what a domain's policy says of a server, for a command (rfc8461)
 *
 * From:     command tls
 * Touches:  the name service, and the web server of the policy
 *
 * sts_check()  tells whether the policy of `domain` names `host`; without a domain that of the host's own name counts, or of the
 *     nearest above it that has one.  What is wrong goes to the report.  `ctx` says which authorities are trusted.
 */
#ifndef COMMAND_STS_H
#define COMMAND_STS_H

#include <openssl/ssl.h>

#include "command/inquiry.h"
#include "command/tls-report.h"

void sts_check(struct inquiry *, SSL_CTX *, const char *host, const char *domain, struct report *);

#endif
