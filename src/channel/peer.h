/*
 * peer -- who is at the other end of a socket
 */
#ifndef CHANNEL_PEER_H
#define CHANNEL_PEER_H

#include "base/bytes.h"
#include <sys/socket.h>

struct peer {
	int      family;           /* AF_INET, AF_INET6, AF_UNIX       */
	uint16_t port;
	uint8_t  raw[16];          /* address, network order; v4 in the first four; v4-mapped v6 becomes v4 */
	char     text[48];         /* "127.0.0.1", "2001:db8::1", "local" for AF_UNIX */
};
bool peer_of(int fd, struct peer *out);             /* getpeername          */
bool peer_here(int fd, struct peer *out);           /* getsockname          */
bool peer_from(const struct sockaddr_storage *, struct peer *out);
/* "10.0.0.0/8", "[2001:db8::]/32", "192.0.2.1", "[::1]"; host bits must be zero. */
struct network { int family; uint8_t raw[16]; int bits; };
bool network_parse(struct bytes, struct network *out, const char **wrong);
bool network_holds(const struct network *, const struct peer *);
/* The network a limit counts by: the address for v4, its /64 for v6, as text. */
void peer_network(const struct peer *, char out[static 48]);
/* The same, of so many bits: an address of IPv4 by itself is 32. */
void peer_network_of(const struct peer *, unsigned four, unsigned six, char out[static 48]);

#endif
