/* GETQUOTA, GETQUOTAROOT, SETQUOTA: how much is used, and how much may be (rfc9208:4) */
#include "store/quota.h"

#include <errno.h>
#include <string.h>

#include "access/imap/reach.h"
#include "access/imap/service.h"
#include "access/imap/write.h"

/* Each account is a root of its own; others' and groups' have the address behind.  What all accounts of a domain hold together is
   another, of every mailbox in it, where that is limited (rfc9208:3.2); another domain's has its name behind. */
#define ROOT "User quota"
#define DOMAIN_ROOT "Domain quota"

struct quota_work {
	const char         *name, *root;
	struct reach        at;
	struct imap        *session;
	struct imap_limits *asked; /* of the house, about somebody else */
	bool                heard, set, cannot;
	int                 why;
	uint64_t            account;
	struct quota_limits limits;
	struct imap_total  *total; /* of the house, about a domain */
	struct quota        sum;
	bool                found; /* GETQUOTAROOT: the mailbox may be seen */
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
static void
quota_say(struct imap *s, const char *root, const struct quota *held)
{
	struct buffer *out = imap_out(s);
	struct quota   q = *held;

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
}

static int
quota_write(struct imap *s, const char *root, struct account *a)
{
	struct quota q;
	int          why = account_quota(a, &q);

	if (why == 0)
		quota_say(s, root, &q);
	return why;
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
root_no(struct imap *s, int why)
{
	return why == ENOENT ? imap_no(s, "[NONEXISTENT] There is no such quota root.")
	                     : imap_no_errno(s, why);
}

static enum imap_step
root_tell(struct imap *s, struct account *a, int why)
{
	struct quota_work *w = s->work;

	if (a == NULL)
		return root_no(s, why);
	why = quota_write(s, w->root, a);
	account_drop(&a);
	return why == 0 ? STEP_BARRIER : imap_no_errno(s, why);
}

/* The address whose root this is; NULL: it is not the name of a root. */
static const char *
root_address(struct imap *s, const char *root)
{
	if (strcmp(root, ROOT) == 0)
		return s->facts.user;
	return bytes_starts(bytes_of(root), BYTES(ROOT " ")) ? root + sizeof ROOT : NULL;
}

static void
limits_done(void *who, int why, uint64_t account)
{
	struct quota_work *w = who;

	w->asked = NULL;
	w->heard = true;
	w->why = why;
	w->account = account;
	imap_wake(w->session);
}

/* Whoever may change limits may see them, of all. */
static int
limits_ask(struct imap *s, const char *address)
{
	struct quota_work       *w = s->work;
	void                    *ctx;
	const struct imap_needs *needs = imap_needs_of(s, &ctx);

	w->session = s;
	w->asked =
		needs->limits(ctx, &s->facts, address, w->set ? &w->limits : NULL, limits_done, w);
	return w->asked != NULL ? 0 : errno;
}

static void
total_drop(struct imap *s)
{
	struct quota_work *w = s->work;
	void              *ctx;

	if (w->total != NULL)
		imap_needs_of(s, &ctx)->total_drop(w->total);
	w->total = NULL;
}

static void
limits_drop(struct imap *s)
{
	struct quota_work *w = s->work;
	void              *ctx;

	if (w->asked != NULL)
		imap_needs_of(s, &ctx)->limits_drop(w->asked);
	w->asked = NULL;
	total_drop(s);
}

/* ---- of a domain ---- */

static void
total_done(void *who, int why, const struct quota *q)
{
	struct quota_work *w = who;

	w->total = NULL;
	w->heard = true;
	w->why = why;
	w->sum = *q;
	imap_wake(w->session);
}

/* The domain whose root this is, "" the reader's own; NULL: it is no such root. */
static const char *
root_domain(const char *root)
{
	if (strcmp(root, DOMAIN_ROOT) == 0)
		return "";
	return bytes_starts(bytes_of(root), BYTES(DOMAIN_ROOT " ")) ? root + sizeof DOMAIN_ROOT
	                                                            : NULL;
}

static int
total_ask(struct imap *s, const char *domain)
{
	struct quota_work       *w = s->work;
	void                    *ctx;
	const struct imap_needs *needs = imap_needs_of(s, &ctx);

	if (needs->total == NULL)
		return ENOENT;
	w->session = s;
	w->total = needs->total(ctx, &s->facts, domain, w->set ? &w->limits : NULL, total_done, w);
	return w->total != NULL ? 0 : errno;
}

/* Whoever may not ask hears of no such root. */
static enum imap_step
total_run(struct imap *s, const char *domain)
{
	struct quota_work *w = s->work;
	int                why;

	if (w->total != NULL)
		return STEP_WAIT;
	if (!w->heard) {
		why = total_ask(s, domain);
		return why == 0 ? STEP_WAIT : root_no(s, why == EACCES && !w->set ? ENOENT : why);
	}
	if (w->why != 0)
		return root_no(s, w->why);
	quota_say(s, w->root, &w->sum);
	return STEP_BARRIER;
}

static enum imap_step
getquota_run(struct imap *s)
{
	struct quota_work *w = s->work;
	const char        *address = root_address(s, w->root);
	struct account    *a = NULL;
	int                why = ENOENT;

	if (root_domain(w->root) != NULL)
		return total_run(s, root_domain(w->root));
	if (w->asked != NULL)
		return STEP_WAIT;
	if (w->heard && w->why != 0)
		return root_no(s, w->why);
	if (w->heard && w->account == 0)
		return imap_no(s, "[CANNOT] What this account holds cannot be seen from here.");
	if (w->heard)
		a = account_take(s->service->store, w->account, &why);
	else if ((a = root_take(s, w->root, &why)) == NULL && why == ENOENT && address != NULL &&
	         limits_ask(s, address) == 0)
		return STEP_WAIT;
	return root_tell(s, a, why);
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
	.drop = limits_drop,
};

/* ---- SETQUOTA ---- */

/* setquota-resource = resource-name SP resource-limit.  What is not named is not limited any more; a limit
   of nothing, and a resource that is not ours, cannot be set. */
static void
resource_parse(struct scan *r, struct quota_work *w)
{
	struct bytes name = read_atom(r);
	bool         storage = bytes_is(name, "STORAGE");
	uint64_t     limit;

	read_space(r);
	limit = scan_number(r, INT64_MAX);
	w->cannot |= limit == 0 || (!storage && !bytes_is(name, "MESSAGE")) ||
	             (storage && limit > INT64_MAX / 1024);
	if (storage)
		w->limits.bytes = limit * 1024;
	else
		w->limits.messages = limit;
}

/* setquota-list = "(" [setquota-resource *(SP setquota-resource)] ")" */
static void
setquota_parse(struct imap *s, struct scan *r)
{
	struct quota_work *w;

	root_parse(s, r);
	w = s->work;
	w->set = true;
	read_space(r);
	scan_expect(r, "(");
	if (scan_skip(r, ')'))
		return;
	resource_parse(r, w);
	while (scan_ok(r) && scan_skip(r, ' '))
		resource_parse(r, w);
	scan_expect(r, ")");
}

/* rfc9208:4.1.3 */
static enum imap_step
setquota_run(struct imap *s)
{
	struct quota_work *w = s->work;
	const char        *address = root_address(s, w->root);
	struct account    *a;
	int                why;

	if (w->asked != NULL)
		return STEP_WAIT;
	if (!w->heard && address == NULL && root_domain(w->root) == NULL)
		return root_no(s, ENOENT);
	if (!w->heard && w->cannot)
		return imap_no(
			s,
			"[CANNOT] Limits are of STORAGE and MESSAGE, and 1 is the least of them.");
	if (root_domain(w->root) != NULL)
		return total_run(s, root_domain(w->root));
	if (!w->heard)
		return (why = limits_ask(s, address)) == 0 ? STEP_WAIT : imap_no_errno(s, why);
	if (w->why != 0)
		return root_no(s, w->why);
	if (w->account == 0) /* its limit is set, and what it holds cannot be seen from here */
		return imap_ok(s, "Setquota completed.");
	a = account_take(s->service->store, w->account, &why);
	return root_tell(s, a, why);
}

static void
setquota_safe(struct imap *s)
{
	(void)imap_ok(s, "Setquota completed.");
}

const struct imap_command imap_setquota = {
	.name = "SETQUOTA",
	.rfc = "rfc9208:4.1.3",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = setquota_parse,
	.run = setquota_run,
	.safe = setquota_safe,
	.drop = limits_drop,
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
	int                why = w->found ? 0 : reach_name(s, w->name, &w->at);

	if (w->total != NULL)
		return STEP_WAIT;
	if (why == 0 && w->at.whose.account != 0 && w->at.mailbox == 0)
		why = ENOENT; /* as one that may not be seen */
	if (why == 0 && !(w->at.rights & RIGHT_READ))
		why = w->at.rights & RIGHT_LOOKUP ? EACCES : ENOENT;
	if (why != 0)
		return imap_no_errno(s, why);
	w->found = true;
	if (!w->heard && total_ask(s, "") == 0)
		return STEP_WAIT;
	if (w->at.whose.account != 0)
		root = arena_printf(s->scratch, ROOT " %s", w->at.whose.address);
	buffer_add_string(out, "* QUOTAROOT ");
	imap_write_mailbox(s, w->name);
	buffer_add_char(out, ' ');
	write_string(out, bytes_of(root));
	if (w->heard && w->why == 0)
		buffer_add_string(out, " \"" DOMAIN_ROOT "\"");
	buffer_add_string(out, "\r\n");
	why = quota_write(s, root, w->at.account);
	if (why == 0 && w->heard && w->why == 0)
		quota_say(s, DOMAIN_ROOT, &w->sum);
	return why == 0 ? STEP_BARRIER : imap_no_errno(s, why);
}

static void
quotaroot_drop(struct imap *s)
{
	total_drop(s);
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
