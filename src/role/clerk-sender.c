/*
 * clerk-sender -- whose an address is, for those who want to send as it: SENDER_ASK
 *
 * smtpd_sender_login_maps is asked first, as Postfix does: the address, the same without its
 * extension, the bare name where the domain is our own, @domain; the value is a list of login names.
 * An address that is in none of them belongs to those whom its mail reaches (directory/resolve.h): the account itself,
 * with any extension, whom aliases of the directory and of tables lead to, and the members of a group.  One that reaches nobody here
 * belongs to who has logged in by that very name.
 */
#include "role/clerk-resolve.h"
#include <string.h>

static struct clerk *
clerk_of(struct house *h)
{
	return h->mine;
}

/* "jack" is jack of our own domain. */
static bool
is_user(const struct clerk *c, struct bytes name, struct bytes user)
{
	ptrdiff_t at = bytes_find_last(user, '@');

	if (bytes_equal_nocase(name, user))
		return true;
	return at > 0 && bytes_equal_nocase(name, bytes_cut(user, 0, (size_t)at)) &&
	       bytes_equal_nocase(bytes_cut(user, (size_t)at + 1, SIZE_MAX), bytes_of(c->origin));
}

static bool
lists(const struct clerk *c, struct bytes owners, struct bytes user)
{
	for (size_t i = 0, from = 0; i <= owners.len; i++) {
		bool ends = i == owners.len || strchr(", \t\r\n", owners.at[i]) != NULL;
		if (!ends)
			continue;
		if (i > from && is_user(c, bytes_cut(owners, from, i - from), user))
			return true;
		from = i + 1;
	}
	return false;
}

struct membership {
	struct bytes user;
	bool         is;
};

static void
member_look(void *ctx, const struct group_row *r)
{
	struct membership *m = ctx;

	m->is = m->is || bytes_is(m->user, r->member);
}

/* An operating-system user logs in by the bare name, or with a domain that is ours. */
static bool
is_system_user(const struct clerk *c, const struct directory_target *t, struct bytes user)
{
	ptrdiff_t at = bytes_find_last(t->address, '@');

	return is_system_account(t->account) && system_kind_of(t->account) <= SYSTEM_OWN_MAILBOX &&
	       at > 0 && is_user(c, bytes_cut(t->address, 0, (size_t)at), user);
}

/* One of those whom mail to the address reaches: the account, or a member of the group. */
static enum sender_answer
owned_by(struct clerk *c, const struct directory_target *t, struct bytes user)
{
	struct membership m = { user, is_user(c, t->address, user) || is_system_user(c, t, user) };

	if (!m.is && t->account != 0 && !is_system_account(t->account) &&
	    directory_group_each(c->directory, t->address, member_look, &m) == DIRECTORY_LATER)
		return SENDER_LATER;
	return m.is ? SENDER_OWN : SENDER_OF_ANOTHER;
}

/* Without a table that knows better it is theirs whom its mail reaches, by whatever aliases. */
static enum directory_outcome
owned_here(struct work *w, struct resolving *r, enum sender_answer *out)
{
	struct resolve_answer  found;
	enum directory_outcome o;

	r->as_written = true; /* before it is rewritten it is asked whose it is */
	o = resolve_address(r, w->address, &found);
	/* Where it is nobody's here: a back end may know users of domains that are not ours, and who has logged in has shown who he is. */
	*out = w->user.len > 0 && is_user(clerk_of(w->house), w->address, w->user)
	               ? SENDER_OWN
	               : SENDER_OF_NOBODY;
	if ((o != DIRECTORY_OK && o != DIRECTORY_FOREIGN) || found.count == 0)
		return o;
	*out = SENDER_OF_ANOTHER;
	for (size_t i = 0; i < found.count && w->user.len > 0 && *out == SENDER_OF_ANOTHER; i++)
		*out = owned_by(clerk_of(w->house), &found.target[i], w->user);
	return o;
}

static enum directory_outcome
pass_sender(struct work *w)
{
	struct clerk          *c = clerk_of(w->house);
	struct resolving       r = resolving_of(w);
	struct link           *l = house_link(w->house, w->from, w->index);
	enum sender_answer     said = SENDER_LATER;
	struct bytes           owners;
	enum directory_outcome o = resolve_find(&r, &c->rows.sender_logins, w->address, &owners);

	if (o == DIRECTORY_OK)
		said = w->user.len > 0 && lists(c, owners, w->user) ? SENDER_OWN
		                                                    : SENDER_OF_ANOTHER;
	else if (o == DIRECTORY_NONE)
		o = owned_here(w, &r, &said);
	if (o == DIRECTORY_WAIT && !w->for_good)
		return o;
	if (o == DIRECTORY_WAIT || o == DIRECTORY_LATER)
		said = SENDER_LATER;
	if (l != NULL) {
		pack_u8(link_begin(l, WORD_SENDER_SAID, w->ticket), (uint8_t)said);
		link_end(l);
	}
	return o;
}

bool
hear_sender_ask(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct unpack u = unpack_of(body);
	struct bytes  user = unpack_bytes(&u), address = unpack_bytes(&u);
	struct work  *w;

	if (!unpack_done(&u))
		return false;
	w = work_open(h, from, index, ticket);
	w->user = arena_keep(w->life, user);
	w->address = arena_keep(w->life, address);
	w->pass = pass_sender;
	work_on(w);
	return true;
}
