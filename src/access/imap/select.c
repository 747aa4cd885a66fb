/* SELECT and EXAMINE: go into a mailbox */
#include "access/imap/session.h"
#include "access/imap/write.h"

struct select_work {
	const char *name;
	bool        condstore;
	bool        examine;
};

/* select-param = "CONDSTORE"   rfc7162:7; select = "SELECT" SP mailbox [SP "(" params ")"]  rfc4466:2.1 */
static void
select_parse(struct imap *s, struct scan *r)
{
	struct select_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	w->name = read_mailbox(r, s->scratch);
	if (!scan_skip(r, ' '))
		return;
	scan_expect(r, "(");
	scan_expect(r, "CONDSTORE");
	scan_expect(r, ")");
	w->condstore = true;
}

static void
examine_parse(struct imap *s, struct scan *r)
{
	select_parse(s, r);
	((struct select_work *)s->work)->examine = true;
}

static void
selected_news(void *ctx)
{
	struct imap *s = ctx;

	/* Between commands nothing may be said, but for IDLE. */
	if (s->command != NULL && (s->command->effect & PATIENT))
		imap_wake(s);
}

/* The number of the first message without \Seen; 0: none. */
static uint32_t
first_unseen(const struct view *v, const struct mailbox_status *status)
{
	if (status->unseen == 0)
		return 0;
	for (uint32_t i = 0; i < v->count; i++)
		if (!(mailbox_entry(v->mailbox, i).flags & FLAG_SEEN))
			return i + 1;
	return 0;
}

/* rfc3501:6.3.1: FLAGS EXISTS RECENT, then UNSEEN PERMANENTFLAGS UIDNEXT UIDVALIDITY */
static void
tell_mailbox(struct imap *s)
{
	struct buffer        *out = imap_out(s);
	struct view          *v = s->view;
	struct mailbox_status status;
	uint32_t              unseen;

	mailbox_status(v->mailbox, &status);
	v->keywords = keywords_known(v->mailbox);
	buffer_add_string(out, "* FLAGS ");
	write_flags_known(out, v->mailbox, false);
	buffer_add_string(out, "\r\n* OK [PERMANENTFLAGS ");
	if (v->read_only)
		buffer_add_string(out, "()");
	else
		write_flags_known(out, v->mailbox, true);
	buffer_printf(out, "] %s\r\n", v->read_only ? "Read-only mailbox." : "Flags permitted.");
	buffer_printf(out, "* %u EXISTS\r\n* %u RECENT\r\n", v->count, view_recent_count(v));
	if ((unseen = first_unseen(v, &status)) > 0)
		buffer_printf(out, "* OK [UNSEEN %u] First unseen.\r\n", unseen);
	buffer_printf(out, "* OK [UIDVALIDITY %u] UIDs valid\r\n", status.uidvalidity);
	buffer_printf(out, "* OK [UIDNEXT %u] Predicted next UID\r\n", status.uidnext);
	buffer_printf(out, "* OK [HIGHESTMODSEQ %llu] Highest\r\n",
	              (unsigned long long)status.highest_modseq);
}

static enum imap_step
select_run(struct imap *s)
{
	const struct select_work *w = s->work;
	struct mailbox           *mailbox;
	int                       why = 0;

	/* rfc7162:3.2.11: the old mailbox is closed even if the new one is not there. */
	if (s->view != NULL) {
		imap_unselect(s);
		buffer_add_string(imap_out(s), "* OK [CLOSED] Previous mailbox closed.\r\n");
	}
	if (w->condstore)
		s->condstore = true;
	mailbox = mailbox_take(s->account, w->name, &why);
	if (mailbox == NULL)
		return imap_no_errno(s, why);
	s->view = view_open(mailbox, w->examine, selected_news, s);
	tell_mailbox(s);
	return imap_ok(s, "%s completed.",
	               w->examine ? "[READ-ONLY] Examine" : "[READ-WRITE] Select");
}

const struct imap_command imap_select = {
	.name = "SELECT",
	.rfc = "rfc3501:6.3.1",
	.in = ANYWHERE,
	.parse = select_parse,
	.run = select_run,
};

const struct imap_command imap_examine = {
	.name = "EXAMINE",
	.rfc = "rfc3501:6.3.2",
	.in = ANYWHERE,
	.parse = examine_parse,
	.run = select_run,
};
