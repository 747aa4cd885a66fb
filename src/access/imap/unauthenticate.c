/* UNAUTHENTICATE: the client is nobody again, and may say who else it is */
#include "access/imap/session.h"

static void
unauthenticate_parse(struct imap *s, struct scan *r)
{
	(void)s;
	(void)r;
}

/* Never NO (rfc8437:3).  All that was enabled goes with the session, compression with its answer; the
   connection goes back to a login then. */
static enum imap_step
unauthenticate_run(struct imap *s)
{
	if (!imap_config_of(s)->rows.unauthenticate)
		return imap_bad(s, "Not here: imap_unauthenticate says no.");
	imap_unselect(s);
	s->leaves = true;
	return imap_ok(s, "Unauthenticated.");
}

const struct imap_command imap_unauthenticate = {
	.name = "UNAUTHENTICATE",
	.rfc = "rfc8437:3",
	.in = ANYWHERE,
	.parse = unauthenticate_parse,
	.run = unauthenticate_run,
};
