/*
 * clerk-sender -- whose an address is, for those who want to send as it: SENDER_ASK
 *
 * smtpd_sender_login_maps is asked first, as Postfix does: the address, the same without its
 * extension, the bare name where the domain is our own, @domain; the value is a list of login names.
 * An address that is in none of them belongs to those the directory delivers it to: the account itself, with
 * any extension, aliases that lead to it, and the members of a group.
 */
#include "role/clerk.h"
#include "role/tables.h"
#include <string.h>

static struct clerk *
clerk_of(struct house *h)
{
	return h->mine;
}

/* One key in every table, in their order. */
static enum table_outcome
find_key(struct clerk *c, struct bytes key, struct arena *a, struct bytes *value)
{
	for (size_t i = 0; i < c->rows.sender_logins.count; i++) {
		struct table      *t = tables_local(c->tables, c->rows.sender_logins.item[i]);
		enum table_outcome o = t != NULL ? table_find(t, key, a, value) : TABLE_LATER;
		if (o != TABLE_NONE)
			return o;
	}
	return TABLE_NONE;
}

static enum table_outcome
find_owners(struct clerk *c, struct bytes address, struct arena *a, struct bytes *value)
{
	ptrdiff_t    at = bytes_find_last(address, '@'), plus = -1;
	struct bytes local = bytes_cut(address, 0, at < 0 ? address.len : (size_t)at);
	struct bytes domain =
		at < 0 ? bytes_of(c->origin) : bytes_cut(address, (size_t)at + 1, SIZE_MAX);
	struct bytes key[6];
	size_t       keys = 0;

	for (size_t i = 1; i < local.len && plus < 0; i++)
		if (strchr(c->rows.delimiter, local.at[i]) != NULL && local.at[i] != '\0')
			plus = (ptrdiff_t)i;
	key[keys++] = address;
	if (plus > 0)
		key[keys++] = bytes_of(arena_printf(a, "%.*s@%.*s", (int)plus, local.at,
		                                    (int)domain.len, domain.at));
	if (bytes_equal_nocase(domain, bytes_of(c->origin))) {
		key[keys++] = local;
		if (plus > 0)
			key[keys++] = bytes_cut(local, 0, (size_t)plus);
	}
	key[keys++] = bytes_of(arena_printf(a, "@%.*s", (int)domain.len, domain.at));
	for (size_t i = 0; i < keys; i++) {
		enum table_outcome o = find_key(c, key[i], a, value);
		if (o != TABLE_NONE)
			return o;
	}
	return TABLE_NONE;
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

/* Of those the directory delivers to. */
static enum sender_answer
owned_here(struct clerk *c, struct bytes user, struct bytes address, struct arena *a)
{
	struct directory_target *to = NULL;
	size_t                   n = 0;

	switch (directory_resolve(c->directory, address, c->rows.delimiter, c->origin, a, &to,
	                          &n)) {
	case DIRECTORY_OK: break;
	case DIRECTORY_LATER: return SENDER_LATER;
	default: return SENDER_OF_NOBODY;
	}
	for (size_t i = 0; i < n && user.len > 0; i++) {
		struct membership m = { user, bytes_equal_nocase(to[i].address, user) };
		if (!m.is && to[i].account != 0 &&
		    directory_group_each(c->directory, to[i].address, member_look, &m) ==
		            DIRECTORY_LATER)
			return SENDER_LATER;
		if (m.is)
			return SENDER_OWN;
	}
	return SENDER_OF_ANOTHER;
}

static enum sender_answer
owner_of(struct clerk *c, struct bytes user, struct bytes address, struct arena *a)
{
	struct bytes owners;

	switch (find_owners(c, address, a, &owners)) {
	case TABLE_FOUND:
		return user.len > 0 && lists(c, owners, user) ? SENDER_OWN : SENDER_OF_ANOTHER;
	case TABLE_NONE: return owned_here(c, user, address, a);
	default: return SENDER_LATER;
	}
}

bool
hear_sender_ask(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct unpack u = unpack_of(body);
	struct bytes  user = unpack_bytes(&u), address = unpack_bytes(&u);
	struct link  *l = house_link(h, from, index);
	struct arena *a;

	if (!unpack_done(&u))
		return false;
	a = arena_open(NULL);
	if (l != NULL) {
		enum sender_answer o = owner_of(clerk_of(h), user, address, a);
		pack_u8(link_begin(l, WORD_SENDER_SAID, ticket), (uint8_t)o);
		link_end(l);
	}
	arena_close(&a);
	return true;
}
