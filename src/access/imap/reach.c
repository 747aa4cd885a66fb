#include "access/imap/reach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "access/imap/service.h"
#include "message/casefold.h"

struct reader
reach_reader(const struct imap *s)
{
	return (struct reader){ .account = s->facts.account,
		                .address = s->facts.user,
		                .group = s->facts.group,
		                .groups = s->facts.groups };
}

static const char *
domain_of(const char *address)
{
	const char *at = strrchr(address, '@');

	return at != NULL ? at + 1 : "";
}

/* A member of a group has all rights in what is the group's, unless a mailbox has a row for the members. */
struct members_row {
	const char *group;
	bool        there;
};

static void
is_members_row(void *ctx, const char *who, unsigned rights)
{
	struct members_row *r = ctx;
	(void)rights;

	r->there |= who[0] == '$' && strcmp(who + 1, r->group) == 0;
}

static bool
is_member(const struct imap *s, uint64_t account, const char **group)
{
	for (size_t i = 0; i < s->facts.groups; i++)
		if (s->facts.group_account[i] == account) {
			*group = s->facts.group[i];
			return true;
		}
	return false;
}

static unsigned
rights_at(struct imap *s, struct account *a, uint64_t mailbox)
{
	struct reader      r = reach_reader(s);
	struct members_row row = { 0 };

	/* What is taken from one member, or from all, is taken all the same (rfc4314:2). */
	if (is_member(s, account_id(a), &row.group) &&
	    acl_each(a, mailbox, is_members_row, &row) == 0 && !row.there)
		return rights_of(a, mailbox, &r, RIGHTS_ALL);
	return rights_of(a, mailbox, &r, 0);
}

/* Rights in a mailbox that is not there yet: those of the nearest level above; at the top nobody
   but the owner, or a group's member, has any. */
static unsigned
rights_above(struct imap *s, struct account *a, const char *name)
{
	const char *group, *slash;
	char       *level = arena_copy(s->scratch, bytes_of(name));

	while ((slash = strrchr(level, '/')) != NULL) {
		uint64_t above;
		level[slash - level] = '\0';
		if ((above = account_find(a, level)) != 0)
			return rights_at(s, a, above);
	}
	return account_id(a) == s->facts.account || is_member(s, account_id(a), &group) ? RIGHTS_ALL
	                                                                                : 0;
}

/* The account "jill@example.com" or "jill" stands for; false: nothing of it is shown to anybody. */
static bool
whose(struct imap *s, struct bytes who, bool group, struct share *out)
{
	const char *address;

	if (bytes_find(who, '@') < 0)
		address = arena_printf(s->scratch, "%.*s@%s", (int)who.len, who.at,
		                       domain_of(s->facts.user));
	else
		address = arena_copy(s->scratch, who);
	address = arena_copy(s->scratch, casefold(s->scratch, bytes_of(address)));
	for (size_t i = 0; group && i < s->facts.groups; i++)
		if (strcmp(s->facts.group[i], address) == 0) {
			*out = (struct share){ s->facts.group_account[i], address, true };
			return true;
		}
	return shares_find(s->service->store, address, group, out);
}

/* "jill@example.com/a/b" behind the first level. */
static int
reach_other(struct imap *s, struct bytes rest, bool group, struct reach *out)
{
	const struct imap_needs *needs = &s->service->needs;
	struct bytes             who;
	int                      why = 0;

	if (!s->facts.shares || !bytes_split(&rest, '/', &who) || rest.len == 0)
		return ENOENT;
	if (bytes_find(who, '@') >= 0 &&
	    !bytes_is(bytes_cut(who, (size_t)bytes_find_last(who, '@') + 1, SIZE_MAX),
	              domain_of(s->facts.user)))
		return EXDEV;
	if (!whose(s, who, group, &out->whose) || out->whose.account == s->facts.account)
		return ENOENT;
	if (needs->locate != NULL &&
	    (why = needs->locate(s->service->ctx, out->whose.account, out->whose.address)) != 0)
		return why;
	out->account = account_take(s->service->store, out->whose.account, &why);
	out->name = arena_copy(s->scratch, rest);
	return why;
}

int
reach_name(struct imap *s, const char *name, struct reach *out)
{
	struct bytes all = bytes_of(name);
	bool         group = bytes_starts(all, bytes_of(GROUPS));
	int          why = 0;

	*out = (struct reach){ .name = name, .mailbox = account_find(s->account, name) };
	if (out->mailbox == 0 && (group || bytes_starts(all, bytes_of(OTHERS)))) {
		why = reach_other(s, bytes_cut(all, strlen(group ? GROUPS : OTHERS), SIZE_MAX),
		                  group, out);
		if (why != 0)
			return why;
		out->mailbox = account_find(out->account, out->name);
		out->rights = out->mailbox != 0 ? rights_at(s, out->account, out->mailbox)
		                                : rights_above(s, out->account, out->name);
		return 0;
	}
	out->account = account_take(s->service->store, s->facts.account, &why);
	out->rights = RIGHTS_ALL;
	return why;
}

bool
reach_is_others(struct imap *s, const char *name)
{
	return s->facts.shares &&
	       (bytes_starts(bytes_of(name), bytes_of(GROUPS)) ||
	        bytes_starts(bytes_of(name), bytes_of(OTHERS))) &&
	       account_find(s->account, name) == 0;
}

const char *
reach_full_name(struct imap *s, const char *name)
{
	bool         group = bytes_starts(bytes_of(name), bytes_of(GROUPS));
	size_t       prefix = strlen(group ? GROUPS : OTHERS);
	struct bytes rest, who;

	if (!reach_is_others(s, name))
		return name;
	rest = bytes_of(name + prefix);
	if (!bytes_split(&rest, '/', &who) || who.len == 0 || bytes_find(who, '@') >= 0)
		return name;
	who = casefold(s->scratch, who);
	return arena_printf(s->scratch, "%s%.*s@%s%s%.*s", group ? GROUPS : OTHERS, (int)who.len,
	                    who.at, domain_of(s->facts.user), rest.len > 0 ? "/" : "",
	                    (int)rest.len, rest.at);
}

bool
reach_reserved(const struct imap *s, const char *name)
{
	struct bytes others = BYTES(OTHERS), groups = BYTES(GROUPS);

	return s->facts.shares && (bytes_is(bytes_cut(others, 0, others.len - 1), name) ||
	                           bytes_is(bytes_cut(groups, 0, groups.len - 1), name));
}

void
reach_drop(struct reach *r)
{
	account_drop(&r->account);
}

static struct mailbox *
take(struct imap *s, const char *name, unsigned needs, bool glance, int *why)
{
	struct reach    r;
	struct mailbox *m = NULL;

	if ((*why = reach_name(s, name, &r)) != 0)
		return NULL;
	/* rfc4314:6: who may not even look is told nothing. */
	if (r.rights == 0 || r.mailbox == 0)
		*why = ENOENT;
	else if ((r.rights & needs) != needs)
		*why = r.rights & (RIGHT_LOOKUP | RIGHT_READ) ? EACCES : ENOENT;
	else
		/* What somebody else has seen must be counted. */
		m = glance && r.account == s->account ? mailbox_glance(r.account, r.name, why)
		                                      : mailbox_take(r.account, r.name, why);
	reach_drop(&r);
	return m;
}

struct mailbox *
reach_take(struct imap *s, const char *name, unsigned needs, int *why)
{
	return take(s, name, needs, false, why);
}

struct mailbox *
reach_glance(struct imap *s, const char *name, unsigned needs, int *why)
{
	return take(s, name, needs, true, why);
}

enum imap_step
reach_no_target(struct imap *s, const char *name, int why)
{
	struct reach r = { 0 };
	bool         makes;

	if (why != ENOENT)
		return imap_no_errno(s, why);
	makes = reach_name(s, name, &r) == 0 && r.mailbox == 0 && (r.rights & RIGHT_CREATE);
	reach_drop(&r);
	return makes ? imap_no(s, "[TRYCREATE] Mailbox doesn't exist.") : imap_no_errno(s, why);
}

unsigned
reach_rights(struct imap *s, struct mailbox *m)
{
	struct account *a = mailbox_account(m);

	return account_id(a) == s->facts.account ? RIGHTS_ALL : rights_at(s, a, mailbox_id(m));
}

uint64_t
reach_flags(unsigned rights)
{
	uint64_t may = 0;

	if (rights & RIGHT_WRITE)
		may = ~(uint64_t)(FLAG_SEEN | FLAG_DELETED);
	if (rights & RIGHT_SEEN)
		may |= FLAG_SEEN;
	if (rights & RIGHT_DELETE)
		may |= FLAG_DELETED;
	return may;
}

int
reach_mark_seen(struct imap *s, struct mailbox *m, const struct uid_set *set)
{
	int          why = 0;
	struct seen *seen = seen_take(m, s->facts.account, &why);

	if (seen != NULL)
		why = seen_change(seen, set, true, UINT64_MAX, s->scratch, NULL, NULL);
	seen_drop(&seen);
	return why;
}

bool
reach_may_read(struct imap *s)
{
	return reach_rights(s, s->view->mailbox) & RIGHT_READ;
}

bool
reach_may_expunge(struct imap *s)
{
	return reach_rights(s, s->view->mailbox) & RIGHT_EXPUNGE;
}

/* ---- all there is to see ---- */

static int
by_place(const void *one, const void *other)
{
	const struct mailbox_info *a = one, *b = other;
	bool first = strcmp(a->name, "INBOX") == 0, second = strcmp(b->name, "INBOX") == 0;

	if (first != second)
		return first ? -1 : 1;
	return strcmp(a->name, b->name);
}

struct listing {
	struct mailbox_info *row;
	size_t               count, room;
};

static void
row_add(struct listing *l, const struct mailbox_info *one)
{
	if (l->count == l->room) {
		l->room = l->room ? l->room * 2 : 64;
		l->row = memory_resize(l->row, l->room * sizeof *l->row);
	}
	l->row[l->count++] = *one;
}

/* Who goes down level by level finds the way, through levels that may not be seen themselves (rfc3501:6.3.8). */
static void
levels_to(struct imap *s, const char *name, size_t root, struct listing *l)
{
	for (const char *p = strchr(name + root, '/'); p != NULL; p = strchr(p + 1, '/')) {
		struct mailbox_info level = {
			.name = arena_copy(s->scratch, (struct bytes){ name, (size_t)(p - name) })
		};
		row_add(l, &level);
	}
}

/* What one account shows: each mailbox with "l", and the levels that lead there. */
static void
list_share(struct imap *s, const struct share *share, struct listing *l)
{
	const char          *root = share->group ? GROUPS : OTHERS;
	struct mailbox_info *info;
	size_t               count;
	int                  why;
	struct account      *a = account_take(s->service->store, share->account, &why);

	if (a == NULL)
		return;
	count = account_list(a, s->scratch, &info);
	for (size_t i = 0; i < count; i++) {
		struct mailbox_info *m = &info[i];
		if (!m->exists || !(rights_at(s, a, m->id) & RIGHT_LOOKUP))
			continue;
		m->name = arena_printf(s->scratch, "%s%s/%s", root, share->address, m->name);
		m->subscribed = false;
		m->use = USE_NONE; /* the owner's, not the reader's (rfc6154:2) */
		row_add(l, m);
		levels_to(s, m->name, strlen(root), l);
	}
	account_drop(&a);
}

/* Names that came twice (a subscription, and what is there) become one; who has children says so. */
static size_t
joined(struct mailbox_info *row, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		if (n > 0 && strcmp(row[n - 1].name, row[i].name) == 0) {
			bool subscribed = row[n - 1].subscribed || row[i].subscribed;
			if (row[i].exists)
				row[n - 1] = row[i];
			row[n - 1].subscribed = subscribed;
			continue;
		}
		row[n++] = row[i];
	}
	return n;
}

static void
find_children(struct mailbox_info *row, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(row[i].name);
		if (strncmp(row[i].name, "Other Users", 11) != 0 &&
		    strncmp(row[i].name, "Shared", 6) != 0)
			continue; /* the account's own list says it */
		row[i].has_children = false;
		for (size_t k = i + 1; k < count && strncmp(row[k].name, row[i].name, len) == 0;
		     k++)
			if (row[k].name[len] == '/' && (row[k].exists || row[k].has_children))
				row[i].has_children = true;
	}
}

/* Every account that shows something to this reader, and its groups. */
size_t
reach_shares(struct imap *s, struct share **out)
{
	struct reader r = reach_reader(s);
	struct share *named, *all;
	const char   *group;
	size_t        count, n = 0;

	if (!s->facts.shares)
		return 0;
	count = shares_each(s->service->store, &r, s->scratch, &named);
	all = *out = arena_take_array(s->scratch, count + s->facts.groups + 1, sizeof *all);
	for (size_t i = 0; i < s->facts.groups; i++)
		all[n++] = (struct share){ s->facts.group_account[i], s->facts.group[i], true };
	for (size_t i = 0; i < count; i++)
		if (!is_member(s, named[i].account, &group) &&
		    bytes_is(bytes_of(domain_of(named[i].address)), domain_of(s->facts.user)))
			all[n++] = named[i];
	return n;
}

bool
reach_shows(struct imap *s)
{
	struct share *share;

	return reach_shares(s, &share) > 0;
}

size_t
reach_list(struct imap *s, struct mailbox_info **out)
{
	static const char *const roots[] = { "Other Users", "Shared" };
	struct listing           l = { 0 };
	bool                     any[COUNT(roots)] = { false };
	struct mailbox_info     *own;
	struct share            *share;
	size_t                   shares = reach_shares(s, &share), count, before;

	count = account_list(s->account, s->scratch, &own);
	if (shares == 0) {
		*out = own;
		return count;
	}
	for (size_t i = 0; i < count; i++)
		row_add(&l, &own[i]);
	for (size_t i = 0; i < shares; i++) {
		before = l.count;
		list_share(s, &share[i], &l);
		any[share[i].group] |= l.count > before;
	}
	for (size_t i = 0; i < COUNT(roots); i++)
		if (any[i])
			row_add(&l, &(struct mailbox_info){ .name = roots[i] });
	qsort(l.row, l.count, sizeof *l.row, by_place);
	count = joined(l.row, l.count);
	find_children(l.row, count);
	*out = arena_take_array(s->scratch, count + 1, sizeof **out);
	memcpy(*out, l.row, count * sizeof **out);
	memory_free(l.row);
	return count;
}

/* A name of the reader's own is looked up; of others' all are, as the levels above it come from all. */
bool
reach_list_one(struct imap *s, const char *name, struct mailbox_info *out)
{
	struct mailbox_info *info;
	size_t               count;

	if (!reach_is_others(s, name) && strcmp(name, "Other Users") != 0 &&
	    strcmp(name, "Shared") != 0)
		return account_list_one(s->account, name, out);
	count = reach_list(s, &info);
	for (size_t i = 0; i < count; i++)
		if (strcmp(info[i].name, name) == 0) {
			*out = info[i];
			return true;
		}
	return false;
}
