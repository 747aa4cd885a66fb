/* STATUS: numbers about a mailbox one is not in */
#include "access/imap/status.h"

#include "access/imap/objectid.h"
#include "access/imap/reach.h"
#include "access/imap/write.h"

enum kind { NUMBER32, NUMBER64, LIMIT, OBJECT };
#define AT(field) offsetof(struct mailbox_status, field)
/* status-att   rfc3501:9; HIGHESTMODSEQ rfc7162:3.1.7; SIZE rfc8438:3; DELETED rfc9051:6.3.11; APPENDLIMIT rfc7889:4; MAILBOXID rfc8474:4.3; DELETED-STORAGE rfc9208:4.1.4 */
/* clang-format off */
static const struct { const char *name; enum kind kind; size_t where; } atts[] = {
	{ "MESSAGES",      NUMBER32, AT(messages)       },
	{ "RECENT",        NUMBER32, AT(recent)         },
	{ "UIDNEXT",       NUMBER32, AT(uidnext)        },
	{ "UIDVALIDITY",   NUMBER32, AT(uidvalidity)    },
	{ "UNSEEN",        NUMBER32, AT(unseen)         },
	{ "HIGHESTMODSEQ", NUMBER64, AT(highest_modseq) },
	{ "SIZE",          NUMBER64, AT(size)           },
	{ "DELETED",       NUMBER32, AT(deleted)        },
	{ "APPENDLIMIT",   LIMIT,    0                  },
	{ "MAILBOXID",     OBJECT,   AT(id)             },
	{ "DELETED-STORAGE", NUMBER64, AT(deleted_size) },
};
/* clang-format on */
#undef AT
enum { HIGHESTMODSEQ = 1 << 5 };

struct status_work {
	const char *name;
	unsigned    items;
};

unsigned
status_items(struct scan *r)
{
	unsigned items = 0;

	scan_expect(r, "(");
	do {
		struct bytes word = read_atom(r);
		size_t       i = 0;
		while (i < COUNT(atts) && !bytes_is(word, atts[i].name))
			i++;
		if (i == COUNT(atts))
			scan_fail(r, "a status item");
		else
			items |= 1u << i;
	} while (scan_ok(r) && scan_skip(r, ' '));
	scan_expect(r, ")");
	return items;
}

/* What this item says; APPENDLIMIT is the same for every mailbox, or NIL. */
static void
write_att(struct imap *s, const struct mailbox_status *status, size_t i)
{
	struct buffer *out = imap_out(s);
	const void    *at = (const char *)status + atts[i].where;
	uint64_t       most = imap_config_of(s)->message_size_limit;

	if (atts[i].kind == OBJECT) {
		buffer_add_char(out, '(');
		objectid_mailbox(out, status->account, status->id);
		buffer_add_char(out, ')');
	} else if (atts[i].kind == LIMIT && most == 0)
		buffer_add_string(out, "NIL");
	else
		buffer_add_number(out, atts[i].kind == LIMIT      ? most
		                       : atts[i].kind == NUMBER32 ? *(const uint32_t *)at
		                                                  : *(const uint64_t *)at);
}

/* "r" is needed (rfc4314:4); what was seen is the reader's own. */
static int
status_of(struct imap *s, const char *name, struct mailbox_status *out)
{
	int             why = 0;
	struct mailbox *m = reach_glance(s, name, RIGHT_READ, &why);
	struct seen    *seen;

	if (m == NULL)
		return why;
	mailbox_status(m, out);
	if (mailbox_account(m) != s->account) {
		if ((seen = seen_take(m, s->facts.account, &why)) != NULL)
			seen_count(seen, out);
		seen_drop(&seen);
	}
	mailbox_drop(&m);
	return why;
}

int
status_write(struct imap *s, const char *name, unsigned items)
{
	struct buffer        *out = imap_out(s);
	struct mailbox_status status;
	bool                  any = false;
	int                   why = status_of(s, name, &status);

	if (why != 0)
		return why;
	buffer_add_string(out, "* STATUS ");
	imap_write_mailbox(s, name);
	buffer_add_string(out, " (");
	for (size_t i = 0; i < COUNT(atts); i++) {
		if (!(items & (1u << i)))
			continue;
		buffer_printf(out, "%s%s ", any ? " " : "", atts[i].name);
		write_att(s, &status, i);
		any = true;
	}
	buffer_add_string(out, ")\r\n");
	return 0;
}

/* status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")" */
static void
status_parse(struct imap *s, struct scan *r)
{
	struct status_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	w->name = imap_read_mailbox(s, r);
	read_space(r);
	w->items = status_items(r);
}

static enum imap_step
status_run(struct imap *s)
{
	struct status_work *w = s->work;
	struct mailbox     *m;
	int                 why;

	if ((m = mailbox_glance(s->account, w->name, &why)) != NULL && !imap_settled(s, m)) {
		mailbox_drop(&m);
		return STEP_WAIT;
	}
	mailbox_drop(&m);
	if (w->items & HIGHESTMODSEQ)
		imap_enable_condstore(s);
	why = status_write(s, w->name, w->items);
	return why == 0 ? imap_ok(s, "Status completed.") : imap_no_errno(s, why);
}

const struct imap_command imap_status = {
	.name = "STATUS",
	.rfc = "rfc9051:6.3.11",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE | NEEDS_NO_MESSAGE,
	.parse = status_parse,
	.run = status_run,
};
