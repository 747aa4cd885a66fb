/*
 * clerk-guard -- who may in with a right password, and what wrong ones lead to
 *
 * From:     role/clerk-login, for each attempt that was checked; role/clerk, for its day
 * To:       receivers and logins (BAN), the directory
 *
 * clerk_admits()  AUTH_OK, or the answer for the outside, with the reason for the log in *why.
 * clerk_passed()  somebody is in: their network is known to the account, the app password was used.
 * clerk_failed()  one failure more; its network may be banned by it.
 * clerk_write_down()  what waits to be written is written now (before a list of it; at the end).
 */
#ifndef ROLE_CLERK_GUARD_H
#define ROLE_CLERK_GUARD_H

#include "directory/protection.h"
#include "role/clerk.h"

/* Before the network of a client that another program speaks for (auth_socket): it is counted by itself. */
#define LENT_MARK '@'

struct admission {
	uint64_t           account;
	struct bytes       user;          /* as the guard counts it                    */
	const char        *network;       /* of peer_network(), maybe behind LENT_MARK */
	const struct peer *peer;
	const char        *service;       /* "imap", "submission" ...                  */
	const struct app_password *device;/* NULL: it was the main password            */
	bool               proved;        /* the password was right: no step towards a ban */
	bool               no_password;   /* but a certificate, a ticket, a token      */
};
enum auth_answer clerk_admits(struct clerk *, const struct admission *, struct arena *, const char **why);
void clerk_passed(struct clerk *, const struct admission *);
void clerk_failed(struct clerk *, const struct admission *, const char *why);
bool clerk_is_banned(struct clerk *, const struct peer *);

struct failure_row { int64_t at; const char *network, *service, *user, *why; };
void clerk_failures_each(struct clerk *, struct bytes user, const char *network, void (*each)(void *, const struct failure_row *), void *);
/* False: it is no network, or cannot be kept. */
bool clerk_ban(struct clerk *, const struct ban *);
enum directory_outcome clerk_unban(struct clerk *, const char *network);

void clerk_guard_open(struct house *);
void clerk_guard_settings(struct clerk *);
void clerk_guard_tell(struct clerk *, struct link *);        /* a receiver or login came */
void clerk_write_down(struct clerk *);

#endif
