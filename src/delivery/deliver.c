#include "delivery/deliver.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "message/envelope.h"
#include "spool/disk.h"
#include "store/quota.h"
#include <errno.h>
#include <string.h>

void
delivery_passed(struct bytes passed, struct buffer *out)
{
	struct bytes name;

	while (bytes_split(&passed, '\n', &name))
		if (name.len > 0)
			buffer_printf(out, "Delivered-To: %.*s\r\n", (int)name.len, name.at);
}

struct bytes
delivery_head(struct bytes sender, struct bytes original, struct bytes delivered,
              struct bytes passed, struct arena *a)
{
	struct buffer head = { 0 };
	struct bytes  kept;

	buffer_printf(&head, "Return-Path: <%.*s>\r\n", (int)sender.len, sender.at);
	if (original.len > 0)
		buffer_printf(&head, "X-Original-To: %.*s\r\n", (int)original.len, original.at);
	delivery_passed(delivered, &head);
	delivery_passed(passed, &head);
	kept = arena_keep(a, buffer_bytes(&head));
	buffer_free(&head);
	return kept;
}

static struct delivery_answer
answer_of(int why, struct arena *a)
{
	switch (why) {
	case ENOSPC:
	case EDQUOT:
		return (struct delivery_answer){ DELIVERY_LATER, false, "4.3.1",
			                         "mail system is full" };
	case EBUSY:
		return (struct delivery_answer){ DELIVERY_LOCKED, false, "4.2.0",
			                         "another program has locked the mailbox" };
	case EBADMSG:
		return (struct delivery_answer){ DELIVERY_LATER, false, "4.3.0",
			                         "the mailbox is damaged" };
	default:
		return (struct delivery_answer){ DELIVERY_LATER, false, "4.3.0",
			                         arena_printf(a, "mailbox is not available: %s",
			                                      strerror(why)) };
	}
}

/* 0: the content of this letter lies there.  EBADMSG: it does not; else it cannot be known now. */
static int
content_at(struct letters *letters, uint64_t letter, uint32_t segment, uint64_t at, uint64_t len)
{
	char          header[RECORD_HEADER];
	struct record r;
	int           fd = letters_fd(letters, segment), why;

	if (fd < 0)
		return errno == ENOENT ? EBADMSG : errno;
	if ((why = disk_read(fd, header, sizeof header, at)) != 0)
		return why;
	return record_header_read(header, &r, NULL) && r.type == RECORD_CONTENT &&
	                       r.letter == letter && r.body_len == len
	               ? 0
	               : EBADMSG;
}

/* The content lies where the id says; or, copied by compaction, right before its envelope. */
static int
content_place(struct letters *letters, const struct delivery *d, uint64_t len,
              struct letter_place *out)
{
	uint64_t takes = record_takes(len), at = letter_offset(d->letter);
	uint32_t segment = letter_segment(d->letter);
	int      why = content_at(letters, d->letter, segment, at, len);

	if (why == EBADMSG && d->envelope_at >= SEGMENT_HEADER + takes) {
		segment = d->envelope_segment;
		at = d->envelope_at - takes;
		why = content_at(letters, d->letter, segment, at, len);
	}
	if (why != 0)
		return why;
	*out = (struct letter_place){ segment, at + RECORD_HEADER, len, d->envelope_segment,
		                      d->envelope_at };
	return 0;
}

/* Where the pieces lie, from the envelope record that was stored with the content. */
static int
arrival_of(struct letters *letters, const struct delivery *d, struct arena *a, struct arrival *out,
           uint32_t *flags)
{
	struct envelope envelope;
	struct digest   digest;
	struct bytes    packed;
	int why = letters_envelope(letters, d->envelope_segment, d->envelope_at, d->letter, a,
	                           &packed);

	if (why != 0)
		return why;
	if (!envelope_unpack(packed, a, &envelope) || !digest_view(envelope.digest, &digest))
		return EBADMSG;
	*out = (struct arrival){
		.letter = d->letter,
		.head = delivery_head(d->sender, d->original, d->delivered, d->passed, a),
		.prefix_len = (uint32_t)envelope.prefix.len,
		.internal_date = clock_wall(),
		.sent_date = digest.sent,
		.arrived_us = envelope.arrived_us,
	};
	*flags = envelope.flags;
	out->size = out->head.len + envelope.prefix.len + envelope.content_len;
	return content_place(letters, d, envelope.content_len, &out->place);
}

/* The last letter may be over by the grace. */
static bool
is_full(struct account *account, const struct delivery *d, uint64_t size)
{
	struct quota q;

	return account_quota(account, &q) == 0 &&
	       account_fits(account, size, 1, q.limit.bytes / 100 * d->grace) == EDQUOT;
}

/* rfc3463:3.3: X.2.2 mailbox full */
static struct delivery_answer
full_answer(const struct delivery *d, const char *text)
{
	if (d->full_later)
		return (struct delivery_answer){ DELIVERY_LATER, false, "4.2.2", text };
	return (struct delivery_answer){ DELIVERY_REFUSED, false, "5.2.2", text };
}

/* Whether this letter, which has not come before, may come: by what the account may hold, and then by what others say. */
static bool
may_come(struct account *account, const struct delivery *d, uint64_t size, uint32_t flags,
         struct delivery_answer *no)
{
	int why = 0;

	if (is_full(account, d, size))
		*no = full_answer(d, "Quota exceeded (mailbox for user is full)");
	else if (d->room == NULL || (flags & ENVELOPE_WARNING) != 0 ||
	         (why = d->room(d->ctx, d->account, d->letter, size)) == 0)
		return true;
	else if (why == EDQUOT)
		*no = full_answer(d, "Quota exceeded (the domain holds all it may)");
	else
		*no = (struct delivery_answer){ DELIVERY_LOCKED, false, "4.2.2",
			                        "cannot tell now how much the domain holds" };
	return false;
}

static struct mailbox *
place_of(struct account *account, const char *name, int *why)
{
	struct mailbox *m = mailbox_take(account, name, why);

	if (m != NULL || *why != ENOENT || (*why = account_create(account, name, USE_NONE)) != 0)
		return m;
	(void)account_subscribe(account, name, true);
	return mailbox_take(account, name, why);
}

struct delivery_answer
deliver(struct store *store, struct letters *letters, const struct delivery *d, struct arena *a)
{
	struct account        *account = NULL;
	struct mailbox        *inbox = NULL;
	struct arrival         arrival;
	struct message         before;
	uint32_t               uid;
	struct delivery_answer no;
	uint32_t               flags = 0;
	int                    why = arrival_of(letters, d, a, &arrival, &flags);

	if (why != 0)
		return (struct delivery_answer){ DELIVERY_LATER, false, "4.3.0", letters_why(why) };
	account = account_take(store, d->account, &why);
	if (account == NULL)
		return answer_of(why, a);
	inbox = place_of(account, d->aside != NULL ? d->aside : "INBOX", &why);
	/* One that came before is there, full or not. */
	if (inbox != NULL && message_read(account, d->letter, a, &before) == ENOENT &&
	    !may_come(account, d, arrival.size, flags, &no)) {
		mailbox_drop(&inbox);
		account_drop(&account);
		return no;
	}
	if (inbox != NULL)
		why = mailbox_arrive(inbox, &arrival, &uid);
	mailbox_drop(&inbox);
	account_drop(&account);
	if (why != 0 && why != EEXIST)
		return answer_of(why, a);
	return (struct delivery_answer){ DELIVERY_DONE, why == EEXIST, "2.0.0",
		                         "delivered to mailbox" };
}
