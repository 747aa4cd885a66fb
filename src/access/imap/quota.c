/* GETQUOTA, GETQUOTAROOT, SETQUOTA: how much is used, and how much may be (rfc9208:4) */
#include "store/quota.h"

#include <errno.h>
#include <string.h>

#include "access/imap/reach.h"
#include "access/imap/service.h"
#include "access/imap/write.h"

/* Each account is a root of its own; others' and groups' have the address behind. */
#define ROOT "User quota"

struct quota_work {
	const char  *name, *root;
	struct reach at;
};

/* quota-root-name = astring */
static void
root_parse(struct imap *s, struct scan *r)
{
	struct quota_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	w->root = arena_copy(s->scratch, read_astring(r, s->scratch));
}

/* quota-list = "(" quota-resource *(SP quota-resource) ")": resources without a limit are not named (rfc9208:4.2.1) */
static int
quota_write(struct imap *s, const char *root, struct account *a)
{
	struct buffer *out = imap_out(s);
	struct quota   q;
	int            why = account_quota(a, &q);

	if (why != 0)
		return why;
	buffer_add_string(out, "* QUOTA ");
	write_string(out, bytes_of(root));
	buffer_add_string(out, " (");
	if (q.limit.bytes != 0)
		buffer_printf(out, "STORAGE %llu %llu",
		              (unsigned long long)((q.bytes + 1023) / 1024),
		              (unsigned long long)(q.limit.bytes / 1024));
	if (q.limit.messages != 0)
		buffer_printf(out, "%sMESSAGE %llu %llu", q.limit.bytes != 0 ? " " : "",
		              (unsigned long long)q.messages, (unsigned long long)q.limit.messages);
	buffer_add_string(out, ")\r\n");
	return 0;
}

/* Usage of others is theirs: GETQUOTA tells of one's own root and of one's groups' (rfc9208:8). */
static struct account *
root_take(struct imap *s, const char *root, int *why)
{
	struct bytes behind = bytes_of(root);

	*why = ENOENT;
	if (strcmp(root, ROOT) == 0)
		return account_take(s->service->store, s->facts.account, why);
	if (!bytes_starts(behind, BYTES(ROOT " ")))
		return NULL;
	behind = bytes_cut(behind, sizeof ROOT, SIZE_MAX);
	for (size_t i = 0; i < s->facts.groups; i++)
		if (bytes_is(behind, s->facts.group[i]))
			return account_take(s->service->store, s->facts.group_account[i], why);
	return NULL;
}

static enum imap_step
getquota_run(struct imap *s)
{
	struct quota_work *w = s->work;
	int                why;
	struct account    *a = root_take(s, w->root, &why);

	if (a == NULL)
		return why == ENOENT ? imap_no(s, "[NONEXISTENT] There is no such quota root.")
		                     : imap_no_errno(s, why);
	why = quota_write(s, w->root, a);
	account_drop(&a);
	return why == 0 ? STEP_BARRIER : imap_no_errno(s, why);
}

static void
quota_safe(struct imap *s)
{
	(void)imap_ok(s, "Quota completed.");
}

const struct imap_command imap_getquota = {
	.name = "GETQUOTA",
	.rfc = "rfc9208:4.1.1",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = root_parse,
	.run = getquota_run,
	.safe = quota_safe,
};

static void
quotaroot_parse(struct imap *s, struct scan *r)
{
	struct quota_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	w->name = imap_read_mailbox(s, r);
}

/* The mailbox need not exist (rfc9208:4.1.2); of others' "r" is needed (rfc9208:6). */
static enum imap_step
quotaroot_run(struct imap *s)
{
	struct quota_work *w = s->work;
	struct buffer     *out = imap_out(s);
	const char        *root = ROOT;
	int                why = reach_name(s, w->name, &w->at);

	if (why == 0 && !(w->at.rights & RIGHT_READ))
		why = w->at.rights & RIGHT_LOOKUP ? EACCES : ENOENT;
	if (why != 0)
		return imap_no_errno(s, why);
	if (w->at.whose.account != 0)
		root = arena_printf(s->scratch, ROOT " %s", w->at.whose.address);
	buffer_add_string(out, "* QUOTAROOT ");
	imap_write_mailbox(s, w->name);
	buffer_add_char(out, ' ');
	write_string(out, bytes_of(root));
	buffer_add_string(out, "\r\n");
	why = quota_write(s, root, w->at.account);
	return why == 0 ? STEP_BARRIER : imap_no_errno(s, why);
}

static void
quotaroot_drop(struct imap *s)
{
	reach_drop(&((struct quota_work *)s->work)->at);
}

const struct imap_command imap_getquotaroot = {
	.name = "GETQUOTAROOT",
	.rfc = "rfc9208:4.1.2",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = quotaroot_parse,
	.run = quotaroot_run,
	.safe = quota_safe,
	.drop = quotaroot_drop,
};
