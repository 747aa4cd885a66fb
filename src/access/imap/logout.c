/* LOGOUT: the client has finished; and the commands that come too late */
#include "access/imap/session.h"

static void
logout_parse(struct imap *s, struct scan *r)
{
	(void)s;
	(void)r;
}

static enum imap_step
logout_run(struct imap *s)
{
	imap_bye(s, "Logging out", "Logged out");
	return imap_ok(s, "Logout completed.");
}

const struct imap_command imap_logout = {
	.name = "LOGOUT",
	.rfc = "rfc9051:6.1.3",
	.in = ANYWHERE,
	.effect = NEEDS_NO_MESSAGE,
	.parse = logout_parse,
	.run = logout_run,
};

/* In these states the client is who it is (rfc3501:6.2): answered BAD before any of it is read. */
const struct imap_command imap_starttls = { .name = "STARTTLS",
	                                    .rfc = "rfc9051:6.2.1",
	                                    .in = NOWHERE };
const struct imap_command imap_authenticate = { .name = "AUTHENTICATE",
	                                        .rfc = "rfc9051:6.2.2",
	                                        .in = NOWHERE };
const struct imap_command imap_login = { .name = "LOGIN", .rfc = "rfc9051:6.2.3", .in = NOWHERE };
