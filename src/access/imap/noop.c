/* NOOP and CHECK: say what happened while the client was away */
#include "access/imap/session.h"

static void
noop_parse(struct imap *s, struct scan *r)
{
	(void)s;
	(void)r;
}

static enum imap_step
noop_run(struct imap *s)
{
	if (s->view != NULL && !imap_settled(s, s->view->mailbox))
		return STEP_WAIT;
	return imap_ok(s, "NOOP completed.");
}

const struct imap_command imap_noop = {
	.name = "NOOP",
	.rfc = "rfc9051:6.1.2",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE | NEEDS_NO_MESSAGE,
	.parse = noop_parse,
	.run = noop_run,
};

/* A checkpoint: what anybody changed is on disk when we answer. */
static enum imap_step
check_run(struct imap *s)
{
	if (!imap_settled(s, s->view->mailbox))
		return STEP_WAIT;
	return STEP_BARRIER;
}

static void
check_safe(struct imap *s)
{
	(void)imap_ok(s, "Check completed.");
}

const struct imap_command imap_check = {
	.name = "CHECK",
	.rfc = "rfc3501:6.4.1",
	.in = IN_SELECTED,
	.effect = MAY_EXPUNGE | NEEDS_NO_MESSAGE,
	.parse = noop_parse,
	.run = check_run,
	.safe = check_safe,
};
