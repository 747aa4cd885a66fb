/* rewrite.c -- what is written instead of an address: canonical_maps, masquerade_domains; and who gets a copy besides */
#include "base/journal.h"
#include "directory/walk.h"
#include "message/address.h"

enum { CANONICAL_DEEP = 10 };

static const char *const class_words[] = {
	[ENVELOPE_SENDER] = "envelope_sender",
	[ENVELOPE_RECIPIENT] = "envelope_recipient",
	[HEADER_SENDER] = "header_sender",
	[HEADER_RECIPIENT] = "header_recipient",
};

/* The tables of a place, in the order they are asked. */
struct canonical {
	const struct setting_list *tables, *classes;
};
static void
canonicals(const struct resolve_rules *rules, enum rewrite_class class,
           struct canonical            out[static 2])
{
	bool sender = class == ENVELOPE_SENDER || class == HEADER_SENDER;

	out[0] = sender ? (struct canonical){ &rules->sender_canonical_maps,
		                              &rules->sender_canonical_classes }
	                : (struct canonical){ &rules->recipient_canonical_maps,
		                              &rules->recipient_canonical_classes };
	out[1] = (struct canonical){ &rules->canonical_maps, &rules->canonical_classes };
}

bool
resolve_rewrites(const struct resolve_rules *rules, enum rewrite_class class)
{
	struct canonical c[2];

	canonicals(rules, class, c);
	for (size_t i = 0; i < COUNT(c); i++)
		if (c[i].tables->count > 0 && rules_has(c[i].classes, class_words[class]))
			return true;
	return rules->masquerade_domains.count > 0 &&
	       rules_has(&rules->masquerade_classes, class_words[class]);
}

/* One address stands for one: of several in a value the first counts, without a name before it. */
static struct bytes
first_of(struct resolving *r, struct bytes value, struct bytes of)
{
	struct alias_part part, next;

	if (!alias_next(&value, true, r->arena, &part))
		return of;
	if (alias_next(&value, true, r->arena, &next))
		warn_("directory: maps have several addresses for %.*s; %.*s, the first, counts",
		      (int)of.len, of.at, (int)part.text.len, part.text.at);
	return part.text;
}

/* Again and again until nothing is found or it stands for itself. */
static enum directory_outcome
canonical(struct resolving *r, const struct setting_list *tables, struct bytes *address)
{
	bool on = rules_has(&r->rules->propagate, "canonical");

	for (int i = 0; i < CANONICAL_DEEP; i++) {
		struct directory_key k;
		struct bytes         value, extension = { NULL, 0 }, was = *address;
		struct lookup_key    key;
		enum mail_class class;
		enum directory_outcome o;

		if (!directory_key(*address, r->rules->myorigin, r->arena, &k) &&
		    !directory_key_of_stranger(*address, r->arena, &k))
			return DIRECTORY_OK;
		o = class_is_local(r, k.domain, &class);
		if (o != DIRECTORY_OK)
			return o;
		key = rules_key(r, &k, class, LOOKUP_FULL | LOOKUP_LOCAL | LOOKUP_DOMAIN);
		o = outcome_of(lookup_address(r->lookups, tables, &key, &value, &extension));
		if (o != DIRECTORY_OK)
			return o == DIRECTORY_NONE ? DIRECTORY_OK : o;
		*address = rules_complete(r, first_of(r, value, was), k.typed,
		                          on ? rules_typed(&k, extension) : BYTES(""));
		resolve_tell(r, "canonical: %.*s is %.*s", (int)was.len, was.at, (int)address->len,
		             address->at);
		if (bytes_equal_nocase(was, *address))
			return DIRECTORY_OK;
	}
	/* As Postfix has it: said, and done with. */
	warn_("directory: canonical maps lead %.*s on and on; it stays so", (int)address->len,
	      address->at);
	return DIRECTORY_OK;
}

static void
masquerade(struct resolving *r, struct bytes *address)
{
	const struct setting_list *list = &r->rules->masquerade_domains;
	ptrdiff_t                  at = bytes_find_last(*address, '@');
	struct bytes               domain = bytes_cut(*address, (size_t)(at + 1), SIZE_MAX);

	if (at < 0 || rules_has(&r->rules->masquerade_exceptions,
	                        arena_copy(r->arena, bytes_cut(*address, 0, (size_t)at))))
		return;
	for (size_t i = 0; i < list->count; i++) {
		bool         no = list->item[i][0] == '!';
		struct bytes name = bytes_of(list->item[i] + no);

		if (bytes_equal_nocase(domain, name))
			return;
		if (domain.len <= name.len || !bytes_ends_nocase(domain, name) ||
		    domain.at[domain.len - name.len - 1] != '.')
			continue;
		if (!no)
			*address = bytes_of(arena_printf(r->arena, "%.*s@%.*s", (int)at,
			                                 address->at, (int)name.len,
			                                 arena_lower(r->arena, name).at));
		return;
	}
}

enum directory_outcome
resolve_rewrite(struct resolving *r, enum rewrite_class class, struct bytes address,
                struct bytes *out)
{
	struct canonical c[2];

	*out = address;
	if (address.len == 0)
		return DIRECTORY_OK;
	canonicals(r->rules, class, c);
	for (size_t i = 0; i < COUNT(c); i++) {
		enum directory_outcome o = DIRECTORY_OK;

		if (c[i].tables->count > 0 && rules_has(c[i].classes, class_words[class]))
			o = canonical(r, c[i].tables, out);
		if (o != DIRECTORY_OK)
			return o;
	}
	if (r->rules->masquerade_domains.count > 0 &&
	    rules_has(&r->rules->masquerade_classes, class_words[class]))
		masquerade(r, out);
	return DIRECTORY_OK;
}

/* ---- copies ----------------------------------------------------------------- */

enum directory_outcome
resolve_find(struct resolving *r, const struct setting_list *tables, struct bytes address,
             struct bytes *value)
{
	struct directory_key k;
	struct bytes         extension;
	struct lookup_key    key;
	enum mail_class class;
	enum directory_outcome o;

	*value = BYTES("");
	if (tables->count == 0 || (!directory_key(address, r->rules->myorigin, r->arena, &k) &&
	                           !directory_key_of_stranger(address, r->arena, &k)))
		return DIRECTORY_NONE;
	o = class_is_local(r, k.domain, &class);
	if (o != DIRECTORY_OK)
		return o;
	key = rules_key(r, &k, class, LOOKUP_FULL | LOOKUP_LOCAL | LOOKUP_DOMAIN);
	return outcome_of(lookup_address(r->lookups, tables, &key, value, &extension));
}

static enum directory_outcome
copy_for(struct resolving *r, const struct setting_list *tables, struct bytes address,
         struct bytes *out)
{
	struct bytes           value;
	enum directory_outcome o = resolve_find(r, tables, address, &value);

	*out = BYTES("");
	if (o != DIRECTORY_OK || bytes_trim(value).len == 0)
		return o == DIRECTORY_NONE ? DIRECTORY_OK : o;
	value = first_of(r, value, address);
	/* A copy has to be for somebody. */
	if (value.at[0] == '@')
		warn_("directory: a copy of mail of %.*s is for \"%.*s\", which is no address",
		      (int)address.len, address.at, (int)value.len, value.at);
	else
		*out = rules_complete(r, value, BYTES(""), BYTES(""));
	return o == DIRECTORY_NONE ? DIRECTORY_OK : o;
}

enum directory_outcome
resolve_bcc_sender(struct resolving *r, struct bytes sender, struct bytes *out, size_t *count)
{
	struct bytes           one;
	enum directory_outcome o = copy_for(r, &r->rules->sender_bcc_maps, sender, &one);

	*count = 0;
	if (one.len > 0)
		out[(*count)++] = one;
	if (r->rules->always_bcc[0] != '\0')
		out[(*count)++] =
			rules_complete(r, bytes_of(r->rules->always_bcc), BYTES(""), BYTES(""));
	return o;
}

enum directory_outcome
resolve_bcc_recipient(struct resolving *r, struct bytes recipient, struct bytes *out)
{
	return copy_for(r, &r->rules->recipient_bcc_maps, recipient, out);
}
