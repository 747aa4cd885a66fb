/* CAPABILITY: what we can do */
#include "access/imap/capability.h"

#include "access/imap/session.h"

/* Only what is true of every part of it stands here. */
const char imap_capabilities[] =
	"IMAP4rev1 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN "
	"LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE CONDSTORE QRESYNC ESEARCH WITHIN STATUS=SIZE";

static void
capability_parse(struct imap *s, struct scan *r)
{
	(void)s;
	(void)r;
}

static enum imap_step
capability_run(struct imap *s)
{
	buffer_printf(imap_out(s), "* CAPABILITY %s\r\n", imap_capabilities);
	return imap_ok(s, "Capability completed.");
}

const struct imap_command imap_capability = {
	.name = "CAPABILITY",
	.rfc = "rfc3501:6.1.1",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = capability_parse,
	.run = capability_run,
};
