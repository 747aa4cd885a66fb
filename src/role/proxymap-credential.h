/*
 * proxymap-credential -- back ends of credentials that other servers keep, in role proxymap
 *
 * From:     role/proxymap
 * To:       the clerk, by CRED_SAID
 *
 * remote_backends_look()   builds those that settings name and whose files are new; the last good one stays.
 * remote_backends_reach()  where they lead.
 * remote_backends_hear()   CRED_ASK: answered out of a lane of the back end.  False: a broken body.
 * remote_backends_user()   the same for TABLE_ASK of "userdb:WORD": is there such a user?  TABLE_SAID with his fields; NONE with
 *                          REMOTE_USERS_UNTOLD where this back end knows nobody without a password.
 * remote_backends_busy()   how many questions are open.
 */
#ifndef ROLE_PROXYMAP_CREDENTIAL_H
#define ROLE_PROXYMAP_CREDENTIAL_H

#include "directory/remote.h"
#include "role/house.h"
#include "role/lanes.h"
#include "role/proxymap.h"

#define REMOTE_USERS "userdb:"
#define REMOTE_USERS_UNTOLD "?"
struct remote_backends;
bool remote_backends_wanted(struct settings *);
/* The rows are looked at whenever something is asked. */
struct remote_backends *remote_backends_open(struct house *, const struct proxymap_settings *);
void remote_backends_look(struct remote_backends *);
void remote_backends_reach(struct remote_backends *, struct reach *);
bool remote_backends_hear(struct remote_backends *, struct lanes *, uint32_t ticket, struct bytes body);
void remote_backends_user(struct remote_backends *, struct lanes *, uint32_t ticket, const char *backend, struct bytes user);
unsigned remote_backends_busy(const struct remote_backends *);

#endif
