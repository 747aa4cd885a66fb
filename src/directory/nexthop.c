/* nexthop.c -- by which transport mail goes elsewhere, and to which destination (transport(5)) */
#include "base/journal.h"
#include "directory/walk.h"
#include <string.h>

/* "TRANSPORT:DESTINATION" over what was there: an empty transport leaves that, an empty destination is the recipient's domain. */
static void
apply(struct arena *a, struct bytes value, struct bytes domain, struct nexthop *n)
{
	ptrdiff_t    colon;
	struct bytes rest;

	value = bytes_trim(value);
	if (value.len == 0 || bytes_equal(value, BYTES(":")))
		return;
	colon = bytes_find(value, ':');
	rest = colon < 0 ? BYTES("") : bytes_trim(bytes_cut(value, (size_t)colon + 1, SIZE_MAX));
	if (colon != 0)
		n->transport =
			arena_copy(a, bytes_trim(bytes_cut(value, 0,
		                                           colon < 0 ? value.len : (size_t)colon)));
	if (rest.len > 0)
		n->destination = arena_copy(a, rest);
	else if (colon > 0)
		n->destination = arena_copy(a, domain);
}

static bool
is_hold(struct bytes value)
{
	struct bytes rest = bytes_trim(value), name;

	return bytes_split(&rest, ':', &name) && bytes_is(bytes_trim(name), "hold");
}

/* What a setting or a table says: nothing, where it would hold who was let go. */
static struct bytes
unless_held(const struct resolving *r, struct bytes value)
{
	return r->let_go && is_hold(value) ? BYTES("") : value;
}

/* Who has no address is looked for by one word. */
static enum directory_outcome
of_nobody(struct resolving *r, const struct setting_list *tables, const char *as,
          struct bytes *value)
{
	enum table_outcome o = TABLE_NONE;

	for (size_t i = 0; i < tables->count && o == TABLE_NONE; i++)
		o = lookup_find(r->lookups, tables->item[i], bytes_of(as), value);
	return o == TABLE_NONE ? DIRECTORY_NONE : outcome_of(o);
}

/* What a table of senders has; "" nothing, which DUNNO says too. */
static enum directory_outcome
of_sender(struct resolving *r, const struct setting_list *tables, const char *nobody,
          struct bytes sender, struct bytes *value)
{
	enum directory_outcome o;

	*value = BYTES("");
	if (tables->count == 0)
		return DIRECTORY_OK;
	o = sender.len > 0 ? resolve_find(r, tables, sender, value)
	                   : of_nobody(r, tables, nobody, value);
	if (o == DIRECTORY_NONE || (o == DIRECTORY_OK && bytes_is(bytes_trim(*value), "DUNNO"))) {
		*value = BYTES("");
		return DIRECTORY_OK;
	}
	return o;
}

enum directory_outcome
transport_of_sender(struct resolving *r, struct bytes sender, struct bytes *value)
{
	return of_sender(r, &r->rules->sender_transports, r->rules->nobody_transport, sender,
	                 value);
}

/* What is ours by its domain, and another server has it. */
static enum directory_outcome
by_own_class(struct resolving *r, const struct directory_key *k, enum mail_class class,
             struct nexthop *n)
{
	struct bytes           value = bytes_of(r->rules->virtual_transport), detail;
	struct directory_key   bare = *k;
	enum directory_outcome o = DIRECTORY_OK;

	if (class == CLASS_LOCAL) {
		(void)key_bare(r->rules, k, &bare, &detail);
		o = transport_local(r, bare.local, &value);
	}
	*n = (struct nexthop){ .transport = "", .destination = "" };
	if (o == DIRECTORY_OK)
		apply(r->arena, value, k->domain, n);
	return o;
}

/* default_transport or relay_transport; where these name no destination, relayhost, and then the domain. */
static enum directory_outcome
by_class(struct resolving *r, const struct directory_key *k, struct bytes sender, struct nexthop *n)
{
	struct bytes                domain = k->domain;
	const struct resolve_rules *rules = r->rules;
	enum mail_class class;
	struct bytes           value, rest;
	enum directory_outcome o = class_of_domain(r, domain, &class, &value), p;

	if (o != DIRECTORY_OK)
		return o;
	if (class == CLASS_LOCAL || class == CLASS_VIRTUAL_MAILBOX)
		return by_own_class(r, k, class, n);
	*n = (struct nexthop){ .transport = "smtp", .destination = "" };
	value = BYTES("");
	if (class != CLASS_RELAY)
		o = transport_of_sender(r, sender, &value);
	value = unless_held(r, value);
	rest = bytes_of(class == CLASS_RELAY ? rules->relay_transport : rules->default_transport);
	apply(r->arena, unless_held(r, rest), BYTES(""), n);
	apply(r->arena, value, BYTES(""), n);
	if (n->destination[0] != '\0')
		return o;
	p = of_sender(r, &rules->sender_relayhosts, rules->nobody_relayhost, sender, &rest);
	if (rest.len == 0)
		rest = bytes_trim(bytes_of(rules->relayhost));
	n->destination = arena_copy(r->arena, rest.len > 0 ? bytes_trim(rest) : domain);
	return o == DIRECTORY_OK ? p : o;
}

/* transport(5): of the address what `forms` say, then everything. */
static enum table_outcome
find_forms(struct resolving *r, const struct directory_key *k, unsigned forms, struct bytes *value)
{
	const struct setting_list *tables = &r->rules->transport_maps;
	struct lookup_key          key = { .local = k->local,
		                           .domain = k->domain,
		                           .delimiters = bytes_of(r->rules->delimiter),
		                           .owners_parted = !r->rules->owner_special,
		                           .forms = forms,
		                           .bare_parents =
		                                   rules_has(&r->rules->parent_matches, "transport_maps") };
	struct bytes               extension;
	enum table_outcome         o = TABLE_NONE;

	if (tables->count > 0)
		o = lookup_address(r->lookups, tables, &key, value, &extension);
	for (size_t i = 0; i < tables->count && o == TABLE_NONE; i++)
		o = lookup_find(r->lookups, tables->item[i], BYTES("*"), value);
	return o;
}

/* The whole address, the domain and what it is in.  Where a line holds who was let go, the next less exact one counts. */
enum table_outcome
transport_find(struct resolving *r, const struct directory_key *k, struct bytes *value)
{
	static const unsigned forms[] = { LOOKUP_FULL | LOOKUP_BARE, LOOKUP_BARE, 0 };
	enum table_outcome    o = TABLE_NONE;

	for (size_t i = 0; i < COUNT(forms); i++) {
		o = find_forms(r, k, forms[i], value);
		if (o != TABLE_FOUND || !r->let_go || !is_hold(*value))
			return o;
	}
	return TABLE_NONE;
}

static enum directory_outcome
by_table(struct resolving *r, const struct directory_key *k, struct nexthop *n)
{
	struct bytes       value;
	enum table_outcome o = transport_find(r, k, &value);

	if (o == TABLE_FOUND)
		apply(r->arena, value, k->domain, n);
	return o == TABLE_NONE ? DIRECTORY_OK : outcome_of(o);
}

enum directory_outcome
resolve_nexthop(struct resolving *r, struct bytes address, struct bytes sender, struct nexthop *n)
{
	const struct resolve_rules *rules = r->rules;
	struct directory_key        k;
	enum directory_outcome      o, p;

	*n = (struct nexthop){ .transport = "error",
		               .destination = "5.1.3 bad address syntax",
		               .domain_alone = false };
	if (!directory_key(address, rules->myorigin, r->arena, &k) &&
	    !directory_key_of_stranger(address, r->arena, &k))
		return DIRECTORY_OK;
	o = by_class(r, &k, sender, n);
	p = o == DIRECTORY_OK || o == DIRECTORY_WAIT ? by_table(r, &k, n) : o;
	n->domain_alone =
		rules->transport_maps.count == 0 && rules->sender_relayhosts.count == 0 &&
		rules->sender_transports.count == 0 && rules->mailbox_transport_maps.count == 0 &&
		rules->fallback_transport_maps.count == 0 && rules->lifetime_maps.count == 0;
	return o == DIRECTORY_OK ? p : o;
}

/* "30d": as times in settings are. */
static bool
read_time(struct bytes value, uint32_t *seconds)
{
	static const struct {
		char     unit;
		uint32_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
	uint32_t each = 1;
	uint64_t n;

	value = bytes_trim(value);
	for (size_t i = 0; i < COUNT(units) && value.len > 1; i++)
		if (value.at[value.len - 1] == units[i].unit) {
			each = units[i].seconds;
			value.len--;
			break;
		}
	if (!bytes_number(value, &n) || n > (UINT32_MAX - 1) / each)
		return false;
	*seconds = (uint32_t)n * each;
	return *seconds > 0;
}

enum directory_outcome
resolve_lifetime(struct resolving *r, struct bytes address, const char *transport,
                 uint32_t *seconds)
{
	const struct setting_list *tables = &r->rules->lifetime_maps;
	struct bytes               value = { NULL, 0 }, extension;
	enum table_outcome         o = TABLE_NONE;
	struct directory_key       k;
	struct lookup_key          key = { .delimiters = bytes_of(r->rules->delimiter),
		                           .owners_parted = !r->rules->owner_special,
		                           .forms = LOOKUP_FULL | LOOKUP_BARE };

	*seconds = 0;
	if (tables->count == 0)
		return DIRECTORY_OK;
	if (directory_key(address, r->rules->myorigin, r->arena, &k)) {
		key.local = k.local;
		key.domain = k.domain;
		o = lookup_address(r->lookups, tables, &key, &value, &extension);
	}
	for (size_t i = 0; i < tables->count && o == TABLE_NONE; i++)
		o = lookup_find(r->lookups, tables->item[i],
		                bytes_of(arena_printf(r->arena, "%s:", transport)), &value);
	if (o == TABLE_FOUND && !read_time(value, seconds))
		warn_("maximal_queue_lifetime_maps: \"%.*s\" is no time, as 30d is", (int)value.len,
		      value.at);
	return o == TABLE_NONE ? DIRECTORY_OK : outcome_of(o);
}
