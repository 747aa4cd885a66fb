/* outside.c -- mailboxes whose letters others put there: what is there is waited for */
#include "access/imap/session.h"

static void
outside_settled(void *ctx)
{
	struct imap *s = ctx;

	s->settling = NULL;
	imap_wake(s);
}

bool
imap_settled(struct imap *s, struct mailbox *m)
{
	if (s->settling != NULL)
		return false;
	if (mailbox_sync(m, outside_settled, s))
		return true;
	s->settling = m;
	return false;
}

bool
imap_locked(struct imap *s, struct mailbox *m)
{
	if (s->settling == NULL && mailbox_wait(m, outside_settled, s))
		s->settling = m;
	return s->settling != NULL;
}

void
imap_settling_end(struct imap *s)
{
	if (s->settling != NULL)
		mailbox_sync_drop(s->settling, s);
	s->settling = NULL;
}
