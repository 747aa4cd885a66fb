/*
 * login-auth -- the doors of programs that ask by Dovecot's auth protocol (access/auth/authserver.h)
 *
 * auth_doors()      as resources say now, after start and each reload.
 * auth_guest_more(), auth_guest_done()  an answer of the clerk for this ticket; false: it is of nobody here.
 * auth_clerk_lost() all that is open fails for now.  auth_doors_close()  at the end.
 */
#ifndef ROLE_LOGIN_AUTH_H
#define ROLE_LOGIN_AUTH_H

#include "role/house.h"

struct auth_doors;
struct auth_doors *auth_doors_open(struct house *, uint32_t (*ticket_new)(struct house *));
void auth_doors_set(struct auth_doors *, bool listen);
void auth_doors_close(struct auth_doors *);
bool auth_ticket_used(const struct auth_doors *, uint32_t ticket);
bool auth_guest_more(struct auth_doors *, uint32_t ticket, struct bytes challenge);
bool auth_guest_done(struct auth_doors *, uint32_t ticket, const struct word_auth_done *);
void auth_clerk_lost(struct auth_doors *);

#endif
