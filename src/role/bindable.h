/*
 * bindable -- addresses that connections of ours can come from: smtp_bind_address, smtp_bind_address6 and smtp_bind_address_maps
 *
 * From:     role/sender-host, which binds; config check, which says before mail waits what cannot be bound
 * Touches:  the kernel's list of addresses, by a socket that is closed again
 *
 * bindable_read()   "192.0.2.1", "2001:db8::1" or either in brackets; false: it is none.
 * bindable_fault()  what is wrong with the first of these words, by blanks, that is none, or none of this machine; NULL: nothing.
 */
#ifndef ROLE_BINDABLE_H
#define ROLE_BINDABLE_H

#include "base/arena.h"
#include <sys/socket.h>

bool bindable_read(struct bytes word, struct sockaddr_storage *, socklen_t *len);
const char *bindable_fault(struct bytes words, struct arena *);

#endif
