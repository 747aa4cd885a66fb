/*
 * rua -- where a domain wants reports about TLS (rfc8460:3)
 *
 * From:     role/sender, and role/queue, which believes no sender that something is an address
 * Touches:  nothing
 *
 * rua_read()  the addresses of its record at _smtp._tls, RUA_MOST of them: mail addresses, and hosts with paths.  How many; 0: it wants none.
 * rua_is_address()  an address that can stand in an envelope and in a field as it is: nothing in it begins another line, or another address.
 */
#ifndef SMTP_SENDER_RUA_H
#define SMTP_SENDER_RUA_H

#include "dns/answer.h"

enum { RUA_MOST = 4 };
struct rua { bool web; const char *to, *path; };        /* to: "a@example.com", or a host and "/its/path" */
size_t rua_read(const struct answer *, struct arena *, struct rua out[static RUA_MOST]);
bool rua_is_address(struct bytes);

#endif
