/* transport.c -- other ways for local mail than the mailbox: mailbox_transport and its kin (resolve.h) */
#include "base/journal.h"
#include "directory/walk.h"
#include <string.h>

enum transport { TRANSPORT_OWN, TRANSPORT_ERROR, TRANSPORT_DISCARD, TRANSPORT_VIRTUAL, TRANSPORTS };

/* NAME:REST.  TRANSPORTS: it is none that we have. */
static enum transport
transport_of(struct bytes value, struct bytes *rest)
{
	static const char *const names[TRANSPORTS] = { "local", "error", "discard", "virtual" };
	ptrdiff_t                colon = bytes_find(value, ':');
	struct bytes             name = colon < 0 ? value : bytes_cut(value, 0, (size_t)colon);
	enum transport           t = TRANSPORT_OWN;

	*rest = colon < 0 ? BYTES("") : bytes_trim(bytes_cut(value, (size_t)colon + 1, SIZE_MAX));
	if (value.len == 0)
		return TRANSPORT_OWN;
	while (t < TRANSPORTS && !bytes_is(bytes_trim(name), names[t]))
		t++;
	return t;
}

const char *
transport_fault(const char *value, bool fallback)
{
	struct bytes   rest;
	enum transport t = transport_of(bytes_of(value), &rest);

	if (t == TRANSPORT_VIRTUAL && !fallback)
		return "virtual: is for names that no user has, in fallback_transport; virtual_mailbox_maps are for the others";
	if (t == TRANSPORTS)
		return fallback
		               ? "this version has the transports error:TEXT, discard: and virtual: here"
		               : "this version has the transports error:TEXT, discard: and local: here";
	return NULL;
}

/* "5.1.1 words", or words. */
static const char *
error_reply(struct bytes text, struct arena *a)
{
	bool status = text.len > 5 && (text.at[0] == '4' || text.at[0] == '5') &&
	              text.at[1] == '.' && bytes_find(text, ' ') > 0;

	if (text.len == 0)
		text = BYTES("mail for this name is not taken");
	return arena_printf(a, "%s%.*s", status ? "" : "5.0.0 ", (int)text.len, text.at);
}

/* The table's word for this name, or the setting's; "" none. */
static enum table_outcome
find_way(struct resolving *r, const struct setting_list *maps, const char *otherwise,
         struct bytes user, struct bytes *out)
{
	struct lookup_key  k = { .local = user, .forms = LOOKUP_LOCAL };
	struct bytes       extension;
	enum table_outcome o = TABLE_NONE;

	if (maps->count > 0)
		o = lookup_address(r->lookups, maps, &k, out, &extension);
	if (o == TABLE_NONE)
		*out = bytes_of(otherwise);
	return o == TABLE_NONE ? TABLE_FOUND : o;
}

enum directory_outcome
resolve_mailbox(struct resolving *r, struct bytes user, enum mailbox_way *way, struct bytes *text)
{
	const struct resolve_rules *rules = r->rules;
	struct bytes                value, rest;
	enum table_outcome          o =
		find_way(r, &rules->mailbox_transport_maps, rules->mailbox_transport, user, &value);

	*way = MAILBOX_OWN;
	*text = BYTES("");
	if (o != TABLE_FOUND) {
		*way = MAILBOX_LATER;
		return o == TABLE_WAIT ? DIRECTORY_WAIT : DIRECTORY_OK;
	}
	switch (transport_of(value, &rest)) {
	case TRANSPORT_ERROR:
		*way = MAILBOX_REFUSED;
		*text = bytes_of(error_reply(rest, r->arena));
		return DIRECTORY_OK;
	case TRANSPORT_DISCARD: *way = MAILBOX_DISCARDED; return DIRECTORY_OK;
	case TRANSPORT_OWN: break;
	default:
		warn_("directory: the mail of %.*s waits: mailbox_transport_maps have %.*s: %s",
		      (int)user.len, user.at, (int)value.len, value.at,
		      transport_fault(arena_copy(r->arena, value), false));
		*way = MAILBOX_LATER;
		return DIRECTORY_OK;
	}
	o = find_way(r, &rules->mailbox_command_maps, "", user, text);
	if (o != TABLE_FOUND)
		*way = MAILBOX_LATER;
	else if (text->len > 0)
		*way = MAILBOX_COMMAND;
	return o == TABLE_WAIT ? DIRECTORY_WAIT : DIRECTORY_OK;
}

/* What the value says of a name that nobody has.  NONE: nothing. */
static enum directory_outcome
go(struct walk *w, size_t at, const char *setting, struct bytes value)
{
	struct bytes rest;

	if (value.len > 0)
		resolve_tell(w->r, "%s: %.*s", setting, (int)value.len, value.at);
	switch (transport_of(value, &rest)) {
	case TRANSPORT_OWN: return DIRECTORY_NONE;
	case TRANSPORT_ERROR: w->reply = error_reply(rest, w->a); return DIRECTORY_REFUSED;
	case TRANSPORT_DISCARD: return DIRECTORY_DISCARDED;
	case TRANSPORT_VIRTUAL: return class_deliver(w, at, CLASS_VIRTUAL_MAILBOX, BYTES(""));
	default: break;
	}
	warn_("directory: %.*s in %s: %s", (int)value.len, value.at, setting,
	      transport_fault(arena_copy(w->a, value), true));
	return DIRECTORY_LATER;
}

enum directory_outcome
transport_unknown(struct walk *w, size_t at, struct bytes user)
{
	const struct resolve_rules *rules = w->rules;
	const struct {
		const char                *setting;
		const struct setting_list *maps;
		const char                *otherwise;
	} ways[] = {
		{ "mailbox_transport", &rules->mailbox_transport_maps, rules->mailbox_transport },
		{ "fallback_transport", &rules->fallback_transport_maps, rules->fallback_transport }
	};
	enum directory_outcome o = DIRECTORY_NONE;

	for (size_t i = 0; i < COUNT(ways) && o == DIRECTORY_NONE; i++) {
		struct bytes       value;
		enum table_outcome got =
			find_way(w->r, ways[i].maps, ways[i].otherwise, user, &value);

		o = got == TABLE_FOUND ? go(w, at, ways[i].setting, value) : outcome_of(got);
	}
	return o;
}
