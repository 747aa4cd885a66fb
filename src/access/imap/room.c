#include "access/imap/room.h"

#include <errno.h>

#include "access/imap/session.h"

static void
room_answered(void *who, int why)
{
	struct room *r = who;

	r->heard = true;
	/* What another has in hand may not come after all: who reads may try again. */
	r->why = why == EDQUOT || why == EAGAIN ? EUSERS : why;
	imap_wake(r->session);
}

int
room_ask(struct imap *s, struct room *r, uint64_t account, uint64_t bytes, uint64_t messages)
{
	void                    *ctx;
	const struct imap_needs *needs = imap_needs_of(s, &ctx);

	*r = (struct room){ .session = s };
	if (needs->room == NULL || (bytes == 0 && messages == 0))
		return 0;
	r->asked = needs->room(ctx, &s->facts, account, bytes, messages, room_answered, r);
	return r->asked != NULL ? room_state(r) : errno;
}

int
room_state(const struct room *r)
{
	return r->asked == NULL ? 0 : r->heard ? r->why : EINPROGRESS;
}

void
room_end(struct room *r, bool came)
{
	void             *ctx;
	struct imap_room *asked = r->asked;

	r->asked = NULL;
	if (asked != NULL)
		imap_needs_of(r->session, &ctx)->room_end(asked, came);
}
