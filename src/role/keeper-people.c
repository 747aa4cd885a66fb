/*
 * keeper-people -- what the clerk says about accounts: how much they may hold, where, and who is in which group
 */
#include "role/keeper.h"

#include <inttypes.h>
#include <string.h>

#include "store/quota.h"

/* What an account says of itself, or a domain of its accounts; -1, "": nothing. */
struct limits {
	int64_t bytes, messages;
	char    location[];
};
struct group {
	uint64_t    account;
	char        address[400];
	struct map *member; /* addresses */
};

/* ---- limits ---- */

static int64_t
said(const struct limits *own, const struct limits *domain, size_t which, int64_t otherwise)
{
	int64_t n = own != NULL ? (which == 0 ? own->bytes : own->messages) : -1;

	if (n < 0 && domain != NULL)
		n = which == 0 ? domain->bytes : domain->messages;
	return n < 0 ? otherwise : n;
}

static const struct limits *
of_domain(const struct keeper *k, struct bytes address)
{
	ptrdiff_t at = bytes_find_last(address, '@');

	return at < 0 ? NULL : map_get(k->limits, bytes_cut(address, (size_t)at, SIZE_MAX));
}

const char *
keeper_location(const struct keeper *k, uint64_t id, struct bytes address)
{
	const struct limits *own = map_get(k->limits, map_number(&id));
	const struct limits *domain = of_domain(k, address);

	return own != NULL && *own->location != '\0'         ? own->location
	       : domain != NULL && *domain->location != '\0' ? domain->location
	                                                     : k->common.mail_location;
}

void
keeper_limit(struct house *h, uint64_t id, struct bytes address)
{
	struct keeper       *k = keeper_of(h);
	const struct limits *own = map_get(k->limits, map_number(&id));
	const struct limits *domain = of_domain(k, address);
	struct quota_limits  all = {
		 (uint64_t)said(own, domain, 0, k->rows.quota_storage),
		 (uint64_t)said(own, domain, 1, k->rows.quota_messages),
	};
	int             why;
	struct account *a;

	if ((all.bytes != 0 || all.messages != 0) && map_get(k->named, map_number(&id)) == NULL) {
		char *copy = memory_take(address.len + 1);
		if (address.len > 0)
			memcpy(copy, address.at, address.len);
		(void)map_put(k->named, map_number(&id), copy);
	}
	a = account_take(k->store, id, &why);
	if (a != NULL && (why = account_limits(a, &all)) != 0)
		warn_("account %" PRIu64 ": its limits cannot be kept: %s", id, strerror(why));
	if (a != NULL &&
	    (all.bytes != 0 || all.messages != 0 || map_get(k->full, map_number(&id)) != NULL))
		keeper_quota_look(h, a);
	if (a != NULL)
		keeper_total_look(h, a, address);
	account_drop(&a);
}

bool
hear_limits(struct house *h, struct bytes body)
{
	struct keeper *k = keeper_of(h);
	struct unpack  u = unpack_of(body);
	uint64_t       id = unpack_u64(&u);
	struct bytes   name = unpack_bytes(&u), location;
	int64_t        bytes = unpack_i64(&u), messages = unpack_i64(&u);
	struct limits *l;
	char           key[300];

	location = unpack_bytes(&u);
	if (!unpack_done(&u) || name.len >= sizeof key - 1)
		return false;
	if (id == 0 && name.len == 0) {
		k->told = true;
		if (map_count(k->totals) > 0)
			keeper_limits_again(h);
		(void)keeper_deliver_early(h);
		keeper_admit_early(h);
		keeper_early_over(h);
		return true;
	}
	l = memory_take(sizeof *l + location.len + 1);
	*l = (struct limits){ .bytes = bytes, .messages = messages };
	(void)bytes_string(location, l->location, location.len + 1);
	key[0] = '@';
	if (name.len > 0)
		memcpy(key + 1, name.at, name.len);
	memory_free(map_put(k->limits,
	                    id != 0 ? map_number(&id) : (struct bytes){ key, name.len + 1 }, l));
	/* One that is open, or full, hears at once; others when they are needed next. */
	if (id != 0 && (account_is_open(k->store, id) || map_get(k->full, map_number(&id)) != NULL))
		keeper_limit(h, id, name);
	if (id != 0 && account_is_open(k->store, id))
		keeper_locate_again(h, id, name);
	return true;
}

struct inhabitant {
	uint64_t account;
	char    *user;
};
struct inhabitants {
	struct house *house;
	struct buffer all; /* struct inhabitant */
};

static void
limit_again(void *ctx, uint32_t ticket, const struct access_facts *facts, const char *state)
{
	struct inhabitants *r = ctx;
	size_t              len = strlen(facts->user) + 1;
	struct inhabitant   one = { facts->account, memcpy(memory_take(len), facts->user, len) };

	(void)ticket;
	(void)state;
	keeper_limit(r->house, facts->account, bytes_of(facts->user));
	buffer_add(&r->all, (struct bytes){ (const char *)&one, sizeof one });
}

/* A domain's limits, or those of main.cf, are new: for the accounts somebody reads, and for the full ones,
   for whom nothing comes in that would look. */
void
keeper_limits_again(struct house *h)
{
	struct keeper     *k = keeper_of(h);
	struct buffer      full = { 0 };
	struct inhabitants readers = { .house = h };

	imap_service_each(k->imap, limit_again, &readers);
	pop3_service_each(k->pop3, limit_again, &readers);
	for (size_t at = 0; at < readers.all.len; at += sizeof(struct inhabitant)) {
		struct inhabitant one;
		memcpy(&one, readers.all.at + at, sizeof one);
		keeper_locate_again(h, one.account, bytes_of(one.user));
		memory_free(one.user);
	}
	buffer_free(&readers.all);
	for (struct map_place p = { 0 }; map_next(k->full, &p);)
		buffer_add(&full, p.key);
	for (size_t at = 0; at < full.len; at += sizeof(uint64_t)) {
		uint64_t    id;
		const char *address;
		memcpy(&id, full.at + at, sizeof id);
		address = map_get(k->named, map_number(&id));
		if (address != NULL)
			keeper_limit(h, id, bytes_of(address));
	}
	buffer_free(&full);
}

/* ---- groups ---- */

static void
group_free(struct group *g)
{
	map_close(&g->member);
	memory_free(g);
}

bool
hear_group(struct house *h, struct bytes body)
{
	struct keeper *k = keeper_of(h);
	struct unpack  u = unpack_of(body);
	uint64_t       id = unpack_u64(&u);
	struct bytes   address = unpack_bytes(&u), member;
	bool           begins = unpack_bool(&u);
	struct group  *g = map_get(k->groups, map_number(&id));

	member = unpack_bytes(&u);
	if (!unpack_done(&u) || id == 0 || address.len >= sizeof g->address)
		return false;
	if (g == NULL) {
		g = memory_take(sizeof *g);
		g->account = id;
		g->member = map_open();
		(void)bytes_string(address, g->address, sizeof g->address);
		(void)map_put(k->groups, map_number(&id), g);
	} else if (begins) {
		map_close(&g->member);
		g->member = map_open();
	}
	if (member.len > 0)
		(void)map_put(g->member, member, g);
	return true;
}

/* The groups this reader is a member of, into the facts; memory from the arena. */
void
keeper_groups(struct house *h, struct access_facts *facts, struct arena *arena)
{
	struct keeper *k = keeper_of(h);
	const char   **address = arena_take_array(arena, map_count(k->groups) + 1, sizeof *address);
	uint64_t      *account = arena_take_array(arena, map_count(k->groups) + 1, sizeof *account);

	facts->shares = house_shares(h);
	for (struct map_place p = { 0 }; facts->shares && map_next(k->groups, &p);) {
		const struct group *g = p.value;
		if (house_keeper_of(h, g->account) != h->index ||
		    map_get(k->gone, map_number(&g->account)) != NULL ||
		    map_get(g->member, bytes_of(facts->user)) == NULL)
			continue;
		address[facts->groups] = arena_copy(arena, bytes_of(g->address));
		account[facts->groups++] = g->account;
	}
	facts->group = address;
	facts->group_account = account;
}

static void
groups_of(void *house, struct access_facts *facts, struct arena *arena)
{
	keeper_groups(house, facts, arena);
}

void
keeper_people_new(struct house *h)
{
	keeper_limits_again(h);
	imap_service_groups(keeper_of(h)->imap, groups_of, h);
}

void
keeper_people_close(struct keeper *k)
{
	for (struct map_place p = { 0 }; map_next(k->groups, &p);)
		group_free(p.value);
	map_close(&k->groups);
	for (struct map_place p = { 0 }; map_next(k->limits, &p);)
		memory_free(p.value);
	map_close(&k->limits);
	for (struct map_place p = { 0 }; map_next(k->named, &p);)
		memory_free(p.value);
	map_close(&k->named);
	map_close(&k->full);
	keeper_totals_close(k);
	map_close(&k->limits_asked);
	map_close(&k->places);
	buffer_free(&k->places_asked);
}
