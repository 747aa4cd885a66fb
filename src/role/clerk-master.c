/*
 * clerk-master -- a master user, who logs in as somebody else: "jack@example.com*admin" with the password of admin, or
 * as jack@example.com by PLAIN's authorization identity (rfc4616:2)
 *
 * Master users are lines of a passwd-file that is asked for nothing else.  They show their own password, so only by
 * mechanisms that show one; an account that is disabled, suspended, or not for this network or protocol stays so.  The log
 * tells of both names, failures count for the master user's, and their network is not one that the user is known from.
 */
#include "base/journal.h"
#include "role/clerk-login.h"
#include "role/house.h"
#include <string.h>

void
master_as(struct exchange *e, struct bytes user, struct bytes master, struct bytes password)
{
	const struct clerk *c = e->house->mine;
	char                between = *c->rows.master_separator;
	struct bytes        hash = { NULL, 0 };

	e->password = arena_keep(e->life, password);
	e->master = arena_lower(e->life, master);
	e->master_for = arena_keep(e->life, user);
	e->user =
		bytes_of(arena_printf(e->life, "%.*s%c%.*s", (int)user.len, user.at,
	                              between != '\0' ? between : '*', (int)master.len, master.at));
	e->counted = e->master;
	e->asked = NULL;
	if (exchange_guarded(e))
		return;
	/* Nobody's hash costs the same time. */
	if (chain_master(e, &hash) == STORED_LATER)
		exchange_later(e, "the file of master users is not good");
	else
		exchange_compare(e, hash, "CRYPT");
}

bool
master_begin(struct exchange *e, struct bytes user)
{
	struct clerk *c = e->house->mine;
	const char   *separator = c->rows.master_separator;
	ptrdiff_t     at = *separator != '\0' ? bytes_find(user, *separator) : -1;

	if (at <= 0 || (size_t)at + 1 == user.len ||
	    *e->house->common.auth_master_passwd_file == '\0')
		return false;
	master_as(e, bytes_cut(user, 0, (size_t)at), bytes_cut(user, (size_t)at + 1, SIZE_MAX),
	          e->password);
	return true;
}

void
master_compared(struct exchange *e)
{
	struct bytes master = e->master;

	if (e->right == SCHEME_BROKEN)
		warn_("auth: the password of the master user %.*s: %s", (int)master.len, master.at,
		      e->why);
	if (e->right != SCHEME_RIGHT) {
		exchange_refuse(e, AUTH_BAD, "password mismatch");
		return;
	}
	e->hashed = false;
	e->stored = e->user = (struct bytes){ NULL, 0 };
	if (!exchange_name(e, e->master_for)) {
		exchange_later(e, "directory is not available");
		return;
	}
	note("auth: master user <%.*s> as user=<%.*s> by %s from %s", (int)master.len, master.at,
	     (int)e->counted.len, e->counted.at, e->service, e->network);
	e->mastered = true;
	chain_proved(e, BYTES(""));
}
