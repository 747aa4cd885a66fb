/* CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE: the list of mailboxes changes */
#include <errno.h>
#include <string.h>

#include "access/imap/list.h"
#include "access/imap/objectid.h"
#include "access/imap/reach.h"
#include "access/imap/session.h"
#include "access/imap/write.h"

struct create_work {
	char            *name;
	const char      *to;
	struct bytes     given; /* the new name, as the client spelled it */
	enum mailbox_use use;
	bool             useless;
	const char      *told; /* what it is called now              */
};

static struct create_work *
name_parse(struct imap *s, struct scan *r)
{
	struct create_work *w = s->work = arena_take(s->scratch, sizeof *w);
	const char         *name;
	struct scan         given;

	read_space(r);
	given = *r;
	w->given = read_astring(&given, s->scratch);
	name = imap_read_mailbox(s, r);
	w->name = arena_copy(s->scratch, bytes_of(name));
	return w;
}

/* A name with a "/" behind it means that children will come (rfc3501:6.3.3). */
static void
drop_last_slash(char *name)
{
	size_t len = strlen(name);

	if (len > 1 && name[len - 1] == '/')
		name[len - 1] = '\0';
}

static enum imap_step
after(struct imap *s, int why)
{
	return why == 0 ? STEP_BARRIER : imap_no_errno(s, why);
}

static void
name_safe(struct imap *s)
{
	const struct create_work *w = s->work;
	const char               *name = s->command->name;

	/* rfc9051:6.3.4, 6.3.6: a name that became another one is told. */
	if (s->rev2 && w->told != NULL && !bytes_equal(w->given, bytes_of(w->told)))
		list_tell(s, w->told, w->given);
	(void)imap_ok(s, "%c%.*s completed.", name[0], 20,
	              (const char *)arena_lower(s->scratch, bytes_of(name + 1)).at);
}

/* create-param = "USE" SP "(" [use-attr *(SP use-attr)] ")"   rfc6154:3 */
static void
create_parse(struct imap *s, struct scan *r)
{
	struct create_work *w = name_parse(s, r);
	struct bytes        word;

	drop_last_slash(w->name);
	w->told = w->name;
	if (!scan_skip(r, ' '))
		return;
	scan_expect(r, "(USE (");
	while (scan_ok(r) && !scan_next_is(r, ')')) {
		word = r->rest;
		scan_expect(r, "\\");
		word.len = 1 + read_atom(r).len;
		/* \All and \Flagged would be views of other mailboxes; and one use is enough. */
		if (use_of(word) == USE_NONE || use_of(word) == USE_ALL ||
		    use_of(word) == USE_FLAGGED || w->use != USE_NONE)
			w->useless = true;
		w->use = use_of(word);
		if (!scan_skip(r, ' '))
			break;
	}
	scan_expect(r, "))");
}

static enum imap_step
create_run(struct imap *s)
{
	struct create_work *w = s->work;
	struct reach        at;
	int                 why;

	if (w->useless)
		return imap_no(s, "[USEATTR] This special use is not supported.");
	why = reach_name(s, w->name, &at);

	if (why == 0 && at.mailbox != 0)
		why = at.rights & RIGHT_LOOKUP ? EEXIST : EACCES;
	else if (why == 0 && reach_reserved(s, w->name))
		why = EINVAL;
	else if (why == 0 && !(at.rights & RIGHT_CREATE))
		why = EACCES;
	if (why == 0)
		why = account_create(at.account, at.name,
		                     at.whose.account == 0 ? w->use : USE_NONE);
	reach_drop(&at);
	if (why == EINVAL)
		return imap_no(
			s,
			"[CANNOT] That is no name for a new mailbox: it is empty, a level of it is, or it is kept for something else.");
	return after(s, why == ENOENT ? EACCES : why);
}

/* rfc8474:4.1 */
static void
create_safe(struct imap *s)
{
	struct create_work *w = s->work;
	struct reach        at;
	struct buffer       id = { 0 };

	name_safe(s);
	if (reach_name(s, w->name, &at) == 0 && at.mailbox != 0)
		objectid_mailbox(&id, account_id(at.account), at.mailbox);
	reach_drop(&at);
	if (id.len == 0)
		return;
	buffer_add_char(&id, '\0');
	(void)imap_ok(s, "[MAILBOXID (%s)] Create completed.", id.at);
	buffer_free(&id);
}

const struct imap_command imap_create = {
	.name = "CREATE",
	.rfc = "rfc9051:6.3.4",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = create_parse,
	.run = create_run,
	.safe = create_safe,
};

static void
delete_parse(struct imap *s, struct scan *r)
{
	(void)name_parse(s, r);
}

static enum imap_step
no_inbox(struct imap *s)
{
	return imap_no(s, "[CANNOT] INBOX can't be deleted.");
}

/* The client's own mailbox goes: it is in none then. */
static enum imap_step
delete_run(struct imap *s)
{
	struct create_work *w = s->work;
	struct reach        at;
	bool                own;
	int                 why;

	if (strcmp(w->name, "INBOX") == 0)
		return no_inbox(s);
	if ((why = reach_name(s, w->name, &at)) == 0 && at.whose.account != 0 &&
	    !(at.rights & RIGHT_REMOVE))
		why = at.mailbox != 0 && (at.rights & RIGHT_LOOKUP) ? EACCES : ENOENT;
	if (why != 0) {
		reach_drop(&at);
		return imap_no_errno(s, why);
	}
	own = s->view != NULL && mailbox_account(s->view->mailbox) == at.account &&
	      mailbox_id(s->view->mailbox) == at.mailbox;
	why = account_delete(at.account, at.name);
	reach_drop(&at);
	/* rfc9051:6.3.5: a level that is no mailbox, with others below; INBOX is one, a group's too. */
	if (why == EINVAL)
		return at.mailbox != 0
		               ? no_inbox(s)
		               : imap_no(s,
		                         "[HASCHILDREN] Only the mailboxes below it can be deleted.");
	/* What was refused stays selected. */
	if (own && why == 0) {
		imap_unselect(s);
		buffer_add_string(imap_out(s), "* OK [CLOSED] Previous mailbox closed.\r\n");
	}
	return after(s, why);
}

const struct imap_command imap_delete = {
	.name = "DELETE",
	.rfc = "rfc9051:6.3.5",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = delete_parse,
	.run = delete_run,
	.safe = name_safe,
};

static void
rename_parse(struct imap *s, struct scan *r)
{
	struct create_work *w = name_parse(s, r);
	char               *to;
	struct scan         given;

	read_space(r);
	given = *r;
	w->given = read_astring(&given, s->scratch);
	to = arena_copy(s->scratch, bytes_of(imap_read_mailbox(s, r)));
	drop_last_slash(to);
	w->to = w->told = to;
}

/* "x" on what goes, "k" above where it goes (rfc4314:4); an account's mailboxes stay its own. */
static int
rename_within(struct imap *s, const char *from, const char *to)
{
	struct reach a, b = { 0 };
	int          why = reach_name(s, from, &a);

	if (why == 0 && (why = reach_name(s, to, &b)) == EXDEV)
		why = EINVAL;
	/* Who shows nothing here is not told from who is not there. */
	if (why == 0 &&
	    ((a.whose.account != 0 && (a.rights == 0 || a.mailbox == 0)) ||
	     (b.whose.account != 0 && !(b.rights & RIGHT_CREATE) && a.account != b.account)))
		why = ENOENT;
	if (why == 0 && (a.account != b.account || reach_reserved(s, to)))
		why = EINVAL;
	if (why == 0 && a.whose.account != 0 &&
	    (!(a.rights & RIGHT_REMOVE) || !(b.rights & RIGHT_CREATE)))
		why = EACCES;
	if (why == 0)
		why = account_rename(a.account, a.name, b.name);
	reach_drop(&a);
	reach_drop(&b);
	return why;
}

static enum imap_step
rename_run(struct imap *s)
{
	struct create_work *w = s->work;
	return after(s, rename_within(s, w->name, w->to));
}

const struct imap_command imap_rename = {
	.name = "RENAME",
	.rfc = "rfc9051:6.3.6",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = rename_parse,
	.run = rename_run,
	.safe = name_safe,
};

static enum imap_step
subscribe_run(struct imap *s)
{
	struct create_work *w = s->work;
	return after(s, account_subscribe(s->account, reach_full_name(s, w->name), true));
}

/* A name that was never subscribed is not subscribed afterwards: that is what was asked. */
static enum imap_step
unsubscribe_run(struct imap *s)
{
	struct create_work *w = s->work;
	int                 why = account_subscribe(s->account, w->name, false);

	if (why == ENOENT)
		why = account_subscribe(s->account, reach_full_name(s, w->name), false);
	return after(s, why == ENOENT ? 0 : why);
}

const struct imap_command imap_subscribe = {
	.name = "SUBSCRIBE",
	.rfc = "rfc9051:6.3.7",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = delete_parse,
	.run = subscribe_run,
	.safe = name_safe,
};

const struct imap_command imap_unsubscribe = {
	.name = "UNSUBSCRIBE",
	.rfc = "rfc9051:6.3.8",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = delete_parse,
	.run = unsubscribe_run,
	.safe = name_safe,
};
