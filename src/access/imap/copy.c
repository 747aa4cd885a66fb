/* COPY and MOVE: rows of the account's index, whatever the messages weigh */
#include <errno.h>
#include <string.h>

#include "access/imap/session.h"

struct copy_work {
	struct sequence  sequence;
	const char      *name;
	struct mailbox  *to;
	bool             move, some_gone;
	struct uid_set   source;
	struct uid_range made;
};

/* copy = "COPY" SP sequence-set SP mailbox */
static void
copy_parse(struct imap *s, struct scan *r)
{
	struct copy_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	w->sequence = read_sequence(r, s->scratch);
	read_space(r);
	w->name = imap_read_mailbox(s, r);
}

static void
move_parse(struct imap *s, struct scan *r)
{
	copy_parse(s, r);
	((struct copy_work *)s->work)->move = true;
}

static bool
is_trash(struct imap *s, const char *name)
{
	struct mailbox_info *info;
	size_t               count = account_list(s->account, s->scratch, &info);

	for (size_t i = 0; i < count; i++)
		if (info[i].use == USE_TRASH)
			return strcmp(info[i].name, name) == 0;
	return false;
}

static enum imap_step
copy_run(struct imap *s)
{
	struct copy_work *w = s->work;
	struct uid_set    set;
	uint64_t          count;
	int               why = 0;

	w->to = mailbox_take(s->account, w->name, &why);
	if (w->to == NULL && why == ENOENT)
		return imap_no(s, "[TRYCREATE] Mailbox doesn't exist.");
	if (w->to == NULL)
		return imap_no_errno(s, why);
	if (!imap_resolve(s, &w->sequence, s->uid, &set))
		return imap_bad(s, BEYOND_LAST);
	/* rfc2180:4.4: some of what the client counts may be gone. */
	w->some_gone = !s->uid && view_has_gone(s->view, &set);
	why = mailbox_copy(s->view->mailbox, &set, w->to, w->move, s->scratch, &w->source, &w->made,
	                   s->view->watch);
	if (why != 0)
		return imap_no_errno(s, why);
	count = uid_set_size(&w->source);
	if (w->move)
		s->tally.expunged += count;
	if (is_trash(s, w->name))
		s->tally.trashed += count;
	if (count == 0 && w->some_gone)
		return imap_no(s, "[EXPUNGEISSUED] These messages are no longer there.");
	return count > 0 ? STEP_BARRIER : imap_ok(s, "No messages found.");
}

/* resp-code-copy = "COPYUID" SP nz-number SP uid-set SP uid-set   rfc4315:4 */
static void
copy_safe(struct imap *s)
{
	struct copy_work     *w = s->work;
	struct mailbox_status status;
	struct buffer         code = { 0 };
	struct uid_set        made = { &w->made, 1 };

	mailbox_status(w->to, &status);
	buffer_printf(&code, "[COPYUID %u ", status.uidvalidity);
	uid_set_text(&w->source, &code);
	buffer_add_char(&code, ' ');
	uid_set_text(&made, &code);
	buffer_add_char(&code, ']');
	buffer_add_char(&code, '\0');
	if (w->move) {
		/* rfc6851:4.3: before the EXPUNGEs. */
		stream_printf(s->stream, "* OK %s Moved UIDs.\r\n", code.at);
		(void)imap_ok_expunged(s, "Move completed.");
	} else
		(void)imap_ok(s, "%s Copy completed.", code.at);
	buffer_free(&code);
}

static void
copy_drop(struct imap *s)
{
	mailbox_drop(&((struct copy_work *)s->work)->to);
}

const struct imap_command imap_copy = {
	.name = "COPY",
	.rfc = "rfc3501:6.4.7",
	.in = IN_SELECTED,
	.effect = MAY_EXPUNGE | HAS_UID_FORM,
	.parse = copy_parse,
	.run = copy_run,
	.safe = copy_safe,
	.drop = copy_drop,
};

const struct imap_command imap_move = {
	.name = "MOVE",
	.rfc = "rfc6851:3.1",
	.in = IN_SELECTED,
	.effect = MAY_EXPUNGE | HAS_UID_FORM | WRITES_MAILBOX,
	.parse = move_parse,
	.run = copy_run,
	.safe = copy_safe,
	.drop = copy_drop,
};
