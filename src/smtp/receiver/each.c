/*
 * LMTP's recipients when the letter is there (rfc2033:4.2): who took it at RCPT and cannot any more is told so, and
 * gets none; the others do.  What is said for each is kept in the order of their RCPT.
 */
#include "smtp/receiver/session_inner.h"

#include "base/journal.h"

static const char *
refusal_of(enum resolved r)
{
	switch (r) {
	case RESOLVED_FULL_NOW: return "452 4.2.2 Quota exceeded (mailbox for user is full)";
	case RESOLVED_FULL: return "552 5.2.2 Quota exceeded (mailbox for user is full)";
	case RESOLVED_UNKNOWN: return "550 5.1.1 User unknown";
	default: return NULL;
	}
}

static void each_next(struct session *);

static void
each_resolved(struct session *s, enum resolved r, const char *table)
{
	struct letter_rcpt *to = &s->letter->rcpt[s->letter->looked++];

	(void)table;
	to->no = refusal_of(r);
	if (to->no != NULL)
		to->no = arena_copy(s->letter->life,
		                    bytes_of(explained(s, "END-OF-MESSAGE", to->address, to->no)));
	s->asked.len = 0;
	if (!s->asking_each)
		each_next(s);
}

/* Those who are left are the letter's. */
static void
each_settled(struct session *s)
{
	struct letter *l = s->letter;
	uint32_t       all = l->rcpts;

	l->answered = l->rcpt;
	l->answers = all;
	l->rcpt = arena_take_array(l->life, all, sizeof *l->rcpt);
	l->rcpt_room = all;
	l->rcpts = 0;
	for (uint32_t i = 0; i < all; i++)
		if (l->answered[i].no == NULL)
			l->rcpt[l->rcpts++] = l->answered[i];
	content_whole(s);
}

/* Answers may come at once, and there may be very many recipients. */
static void
each_next(struct session *s)
{
	struct letter *l = s->letter;
	uint32_t       before;

	s->asking_each = true;
	do {
		before = l->looked;
		if (before == l->rcpts)
			break;
		s->asked = l->rcpt[before].address;
		s->then = each_resolved;
		s->needs->resolve(s->house, s, s->asked);
	} while (l->looked > before);
	s->asking_each = false;
	if (l->looked == l->rcpts)
		each_settled(s);
}

void
content_for_each(struct session *s)
{
	each_next(s);
}
