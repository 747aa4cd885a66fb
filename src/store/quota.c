#include "store/quota.h"

#include "store/inside.h"

#include "base/journal.h"

#include <errno.h>
#include <inttypes.h>

/* Names in the table `meta`. */
#define BYTES_USED "quota_bytes"
#define MESSAGES_USED "quota_messages"
#define BYTES_LIMIT "quota_bytes_limit"
#define MESSAGES_LIMIT "quota_messages_limit"

int
account_usage_read(struct account *a)
{
	uint64_t bytes = 0, messages = 0;
	int      why = account_meta_get(a, BYTES_USED, &bytes);

	if (why == 0)
		why = account_meta_get(a, MESSAGES_USED, &messages);
	a->counted = why == 0;
	a->usage_changed = false;
	a->usage = a->usage_kept = (struct usage){ bytes, messages };
	if (why != 0 && why != ENOENT)
		return why;
	a->limits = (struct quota_limits){ 0, 0 };
	if ((why = account_meta_get(a, BYTES_LIMIT, &a->limits.bytes)) != 0 && why != ENOENT)
		return why;
	if ((why = account_meta_get(a, MESSAGES_LIMIT, &a->limits.messages)) != 0 && why != ENOENT)
		return why;
	return 0;
}

void
account_uses(struct account *a, int64_t messages, int64_t bytes)
{
	if (!a->counted)
		return;
	a->usage.bytes += (uint64_t)bytes;
	a->usage.messages += (uint64_t)messages;
	a->usage_changed = true;
}

/* The count goes to the disk with the change it counts. */
int
account_usage_flush(struct account *a)
{
	struct quota before, after;
	int          why;

	if (!a->usage_changed)
		return 0;
	if ((why = account_meta_put(a, BYTES_USED, a->usage.bytes)) != 0 ||
	    (why = account_meta_put(a, MESSAGES_USED, a->usage.messages)) != 0)
		return why;
	a->usage_changed = false;
	before = (struct quota){ a->usage_kept.bytes, a->usage_kept.messages, a->limits };
	after = (struct quota){ a->usage.bytes, a->usage.messages, a->limits };
	a->usage_kept = a->usage;
	if (a->store->needs.quota != NULL)
		a->store->needs.quota(a->store->ctx, a->id, &before, &after);
	return 0;
}

/* The whole of one mailbox: what it holds. */
static int
add_mailbox(struct mailbox *m, struct usage *sum)
{
	bool was = m->loaded;
	int  why = mailbox_load(m);

	/* Refused for good: nobody can read it, so it counts for nothing. */
	if (why != 0)
		return why == EBADMSG ? 0 : why;
	sum->bytes += m->bytes;
	sum->messages += m->rows.count;
	if (!was && m->users == 0)
		mailbox_unload(m);
	return 0;
}

int
account_recount(struct account *a, bool *right)
{
	struct usage sum = { 0, 0 };
	int          why;

	for (struct mailbox *m = a->mailboxes; m != NULL; m = m->next)
		if (!m->gone && (why = add_mailbox(m, &sum)) != 0)
			return why;
	*right = a->counted && sum.bytes == a->usage.bytes && sum.messages == a->usage.messages;
	if (*right)
		return 0;
	a->usage = sum;
	a->counted = a->usage_changed = true;
	return 0;
}

int
account_quota(struct account *a, struct quota *out)
{
	bool right;
	int  why;

	if (a->refused != 0)
		return a->refused;
	if (!a->counted &&
	    ((why = account_change(a)) != 0 || (why = account_recount(a, &right)) != 0))
		return why;
	*out = (struct quota){ a->usage.bytes, a->usage.messages, a->limits };
	return 0;
}

int
account_limits(struct account *a, const struct quota_limits *said)
{
	int why;

	if (said->bytes == UINT64_MAX ||
	    (said->bytes == a->limits.bytes && said->messages == a->limits.messages))
		return 0;
	if ((why = account_change(a)) != 0)
		return why;
	a->limits = *said;
	a->usage_changed |= a->counted; /* who is over what is asked anew */
	if ((why = account_meta_put(a, BYTES_LIMIT, said->bytes)) != 0 ||
	    (why = account_meta_put(a, MESSAGES_LIMIT, said->messages)) != 0)
		return account_fail(a, why);
	return 0;
}

int
account_fits(struct account *a, uint64_t bytes, uint64_t messages, uint64_t grace)
{
	struct quota q;
	int          why;

	if (a->limits.bytes == 0 && a->limits.messages == 0)
		return 0;
	if ((why = account_quota(a, &q)) != 0)
		return why;
	if (q.limit.messages != 0 &&
	    (q.messages >= q.limit.messages || messages > q.limit.messages - q.messages))
		return EDQUOT;
	if (q.limit.bytes == 0 || q.bytes + bytes <= q.limit.bytes)
		return 0;
	/* The last letter may stand over by the grace, if there was room at all. */
	return q.bytes < q.limit.bytes && q.bytes + bytes <= q.limit.bytes + grace ? 0 : EDQUOT;
}

/* As many messages as before; where the limit is passed already no more bytes than before. */
int
account_fits_instead(struct account *a, uint64_t bytes, uint64_t gone)
{
	struct quota q;
	int          why;

	if (bytes <= gone || a->limits.bytes == 0)
		return 0;
	if ((why = account_quota(a, &q)) != 0)
		return why;
	return q.bytes + (bytes - gone) <= q.limit.bytes ? 0 : EDQUOT;
}
