/* SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS: who else may do what with a mailbox (rfc4314:3) */
#include <errno.h>
#include <string.h>

#include "access/imap/reach.h"
#include "access/imap/service.h"
#include "access/imap/write.h"
#include "message/casefold.h"
#include "message/domain.h"

struct acl_work {
	const char  *name, *who;
	char         how; /* '+', '-', or 0: instead of what was */
	unsigned     rights;
	struct reach at;
};

static void
acl_drop(struct imap *s)
{
	reach_drop(&((struct acl_work *)s->work)->at);
}

static void
mailbox_parse(struct imap *s, struct scan *r)
{
	struct acl_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	w->name = imap_read_mailbox(s, r);
}

/* identifier = astring */
static void
identifier_parse(struct imap *s, struct scan *r)
{
	struct bytes who;

	mailbox_parse(s, r);
	read_space(r);
	who = read_astring(r, s->scratch);
	if (scan_ok(r) && (who.len == 0 || who.len > IDENTIFIER_MOST - 260 ||
	                   bytes_find(who, '\n') >= 0 || bytes_find(who, '\0') >= 0))
		scan_fail(r, "an identifier");
	((struct acl_work *)s->work)->who = arena_copy(s->scratch, who);
}

/* mod-rights = astring, [+ / -] rights   rfc4314:7 */
static void
setacl_parse(struct imap *s, struct scan *r)
{
	struct acl_work *w;
	struct bytes     text;

	identifier_parse(s, r);
	w = s->work;
	read_space(r);
	text = read_astring(r, s->scratch);
	if (text.len > 0 && (text.at[0] == '+' || text.at[0] == '-')) {
		w->how = text.at[0];
		text = bytes_cut(text, 1, SIZE_MAX);
	}
	if (scan_ok(r) && !rights_read(text, &w->rights))
		scan_fail(r, "rights of lrswipkxtecda");
}

/* The address whose mailboxes these are. */
static const char *
owner_of(struct imap *s, const struct reach *at)
{
	return at->whose.account != 0 ? at->whose.address : s->facts.user;
}

/* As it is kept: folded as names of accounts are, with the domain, which must be the owner's.  NULL: of another. */
static const char *
identifier_of(struct imap *s, const struct reach *at, const char *given)
{
	const char  *domain = strrchr(owner_of(s, at), '@');
	const char  *minus = given[0] == '-' ? "-" : "";
	const char  *dollar = "";
	struct bytes name = casefold(s->scratch, bytes_of(given + strlen(minus)));
	struct bytes its;
	ptrdiff_t    sign;

	if (bytes_is(name, "anyone") || bytes_is(name, "authenticated"))
		return arena_printf(s->scratch, "%s%.*s", minus, (int)name.len, name.at);
	if (bytes_starts(name, BYTES("$"))) {
		dollar = "$";
		name = bytes_cut(name, 1, SIZE_MAX);
	}
	domain = domain != NULL ? domain + 1 : "";
	if ((sign = bytes_find_last(name, '@')) >= 0) {
		if (!domain_canonical(bytes_cut(name, (size_t)sign + 1, SIZE_MAX), s->scratch,
		                      &its) ||
		    !bytes_is(its, domain))
			return NULL;
		name = bytes_cut(name, 0, (size_t)sign);
	}
	return arena_printf(s->scratch, "%s%s%.*s@%s", minus, dollar, (int)name.len, name.at,
	                    domain);
}

/* The mailbox, if it is there and the reader has these rights; else the answer is given. */
static bool
acl_reach(struct imap *s, struct acl_work *w, unsigned needs)
{
	int why = reach_name(s, w->name, &w->at);

	if (why == 0 && (w->at.mailbox == 0 || w->at.rights == 0))
		why = ENOENT;
	if (why == 0 && (w->at.rights & needs) != needs)
		why = w->at.rights & RIGHT_LOOKUP ? EACCES : ENOENT;
	if (why != 0)
		(void)imap_no_errno(s, why);
	return why == 0;
}

/* ---- changing ---- */

struct own_row {
	const char *who;
	unsigned    rights;
};

static void
take_row(void *ctx, const char *who, unsigned rights)
{
	struct own_row *o = ctx;

	if (strcmp(who, o->who) == 0)
		o->rights = rights;
}

static enum imap_step
acl_change(struct imap *s, struct acl_work *w, const char *who)
{
	struct own_row row = { .who = who };
	struct share   mine = { s->facts.account, s->facts.user, false };
	int            why = acl_each(w->at.account, w->at.mailbox, take_row, &row);

	if (w->how == '+')
		row.rights |= w->rights;
	else if (w->how == '-')
		row.rights &= ~w->rights;
	else
		row.rights = w->rights;
	if (why == 0 && row.rights != 0)
		why = shares_note(s->service->store,
		                  w->at.whose.account != 0 ? &w->at.whose : &mine, who);
	if (why == 0)
		why = acl_set(w->at.account, w->at.mailbox, who, row.rights);
	if (why == 0)
		account_tell_rights(w->at.account, w->at.name);
	if (why == ENOENT)
		why = 0; /* it had none */
	return why == 0 ? STEP_BARRIER : imap_no_errno(s, why);
}

static enum imap_step
setacl_run(struct imap *s)
{
	struct acl_work *w = s->work;
	const char      *who;

	if (!acl_reach(s, w, RIGHT_ADMIN))
		return STEP_DONE;
	if (!s->facts.shares)
		return imap_no(s, "[CANNOT] Mailboxes are not shared here.");
	if ((who = identifier_of(s, &w->at, w->who)) == NULL)
		return imap_no_errno(s, EXDEV);
	if (strcmp(who + (who[0] == '-'), owner_of(s, &w->at)) == 0)
		return imap_no(s, "[CANNOT] The owner of a mailbox keeps all rights.");
	return acl_change(s, w, who);
}

static void
acl_safe(struct imap *s)
{
	(void)imap_ok(s, "%s completed.",
	              bytes_is(bytes_of(s->command->name), "SETACL") ? "Setacl" : "Deleteacl");
}

const struct imap_command imap_setacl = {
	.name = "SETACL",
	.rfc = "rfc4314:3.1",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = setacl_parse,
	.run = setacl_run,
	.safe = acl_safe,
	.drop = acl_drop,
};

const struct imap_command imap_deleteacl = {
	.name = "DELETEACL",
	.rfc = "rfc4314:3.2",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = identifier_parse,
	.run = setacl_run,
	.safe = acl_safe,
	.drop = acl_drop,
};

/* ---- reading ---- */

static void
write_row(void *ctx, const char *who, unsigned rights)
{
	struct buffer *out = ctx;
	char           text[RIGHTS_WRITTEN];

	rights_write(rights, text);
	buffer_add_char(out, ' ');
	write_astring(out, bytes_of(who));
	buffer_printf(out, " %s", text);
}

/* acl-data = "ACL" SP mailbox *(SP identifier SP rights) */
static enum imap_step
getacl_run(struct imap *s)
{
	struct acl_work *w = s->work;
	struct buffer   *out = imap_out(s);
	int              why;

	if (!acl_reach(s, w, RIGHT_ADMIN))
		return STEP_DONE;
	buffer_add_string(out, "* ACL ");
	imap_write_mailbox(s, w->name);
	if (w->at.whose.group)
		write_row(out, arena_printf(s->scratch, "$%s", w->at.whose.address), RIGHTS_ALL);
	else
		write_row(out, owner_of(s, &w->at), RIGHTS_ALL);
	why = acl_each(w->at.account, w->at.mailbox, write_row, out);
	buffer_add_string(out, "\r\n");
	return why == 0 ? imap_ok(s, "Getacl completed.") : imap_no_errno(s, why);
}

const struct imap_command imap_getacl = {
	.name = "GETACL",
	.rfc = "rfc4314:3.3",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = mailbox_parse,
	.run = getacl_run,
	.drop = acl_drop,
};

/* listrights-data = "LISTRIGHTS" SP mailbox SP identifier SP rights *(SP rights) */
static enum imap_step
listrights_run(struct imap *s)
{
	struct acl_work *w = s->work;
	struct buffer   *out = imap_out(s);
	const char      *who;
	bool             owner;

	if (!acl_reach(s, w, RIGHT_ADMIN))
		return STEP_DONE;
	if ((who = identifier_of(s, &w->at, w->who)) == NULL)
		return imap_no_errno(s, EXDEV);
	owner = strcmp(who, owner_of(s, &w->at)) == 0;
	buffer_add_string(out, "* LISTRIGHTS ");
	imap_write_mailbox(s, w->name);
	buffer_add_char(out, ' ');
	write_astring(out, bytes_of(w->who));
	buffer_add_string(out,
	                  owner ? " lrswipkxtecda\r\n" : " \"\" l r s w i p k x t e c d a\r\n");
	return imap_ok(s, "Listrights completed.");
}

const struct imap_command imap_listrights = {
	.name = "LISTRIGHTS",
	.rfc = "rfc4314:3.4",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = identifier_parse,
	.run = listrights_run,
	.drop = acl_drop,
};

/* myrights-data = "MYRIGHTS" SP mailbox SP rights */
bool
myrights_write(struct imap *s, const char *name)
{
	enum {
		ANY = RIGHT_LOOKUP | RIGHT_READ | RIGHT_INSERT | RIGHT_CREATE | RIGHT_REMOVE |
		      RIGHT_ADMIN
	};
	struct reach at;
	char         text[RIGHTS_WRITTEN];
	int          why = reach_name(s, name, &at);
	bool         may = why == 0 && at.mailbox != 0 && (at.rights & ANY) != 0;

	if (may) {
		rights_write(at.rights, text);
		buffer_add_string(imap_out(s), "* MYRIGHTS ");
		imap_write_mailbox(s, name);
		buffer_printf(imap_out(s), " %s\r\n", text);
	}
	reach_drop(&at);
	return may;
}

static enum imap_step
myrights_run(struct imap *s)
{
	struct acl_work *w = s->work;

	if (!myrights_write(s, w->name))
		return imap_no_errno(s, ENOENT);
	return imap_ok(s, "Myrights completed.");
}

const struct imap_command imap_myrights = {
	.name = "MYRIGHTS",
	.rfc = "rfc4314:3.5",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = mailbox_parse,
	.run = myrights_run,
};
