/*
 * dane -- the TLSA records of a server, for a command (rfc6698, rfc7672)
 *
 * dane_find()  asks the resolver of this system (or of main.cf, where that can be read) for _PORT._tcp.HOST;
 *     each record goes to `each` as it is on the wire.  What was found is told by the enum; DANE_UNPROVED: there are
 *     records, and DNSSEC does not vouch for them.
 */
#ifndef COMMAND_DANE_H
#define COMMAND_DANE_H

#include "command/command.h"

enum dane_found { DANE_NONE, DANE_UNPROVED, DANE_SECURE, DANE_UNKNOWN };
enum dane_found dane_find(struct call *, const char *host, int port, void (*each)(void *ctx, struct bytes record), void *ctx);

#endif
