/*
 * rua -- where a domain wants reports about TLS (rfc8460:3)
 *
 * From:     role/sender
 * Touches:  nothing
 *
 * rua_read()  the addresses of its record at _smtp._tls, RUA_MOST of them: mail addresses, and hosts with paths.  How many; 0: it wants none.
 */
#ifndef SMTP_SENDER_RUA_H
#define SMTP_SENDER_RUA_H

#include "dns/answer.h"

enum { RUA_MOST = 4 };
struct rua { bool web; const char *to, *path; };        /* to: "a@example.com", or a host and "/its/path" */
size_t rua_read(const struct answer *, struct arena *, struct rua out[static RUA_MOST]);

#endif
