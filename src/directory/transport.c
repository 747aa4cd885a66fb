/* transport.c -- other ways for local mail than the mailbox: mailbox_transport and its kin (resolve.h) */
#include "base/journal.h"
#include "directory/walk.h"
#include "message/status.h"
#include <string.h>

enum transport {
	TRANSPORT_OWN,
	TRANSPORT_ERROR,
	TRANSPORT_DISCARD,
	TRANSPORT_VIRTUAL,
	TRANSPORT_SENT, /* every other name: who sends knows it          */
	TRANSPORTS = TRANSPORT_SENT
};

/* NAME:REST */
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

bool
transport_is_own(const char *value)
{
	struct bytes   rest;
	enum transport t = transport_of(bytes_of(value), &rest);

	return t == TRANSPORT_OWN || t == TRANSPORT_VIRTUAL;
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
	default: break; /* what goes elsewhere does before its keeper is asked */
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
	case TRANSPORT_VIRTUAL: return class_mailbox(w, at);
	default: return walk_elsewhere(w, at);
	}
}

/* A user's mail that another server keeps (a .forward is not read then), or NONE. */
enum directory_outcome
transport_user(struct walk *w, size_t at, struct bytes user, struct bytes detail)
{
	const struct resolve_rules *rules = w->rules;
	const struct step          *s = &w->todo[at];
	struct bytes                value, rest;
	enum table_outcome          o;
	const char                 *delimiter = detail.len > 0 ? rules->delimiter : "";

	if (rules->mailbox_transport_maps.count == 0 && rules->mailbox_transport[0] == '\0')
		return DIRECTORY_NONE;
	o = find_way(w->r, &rules->mailbox_transport_maps, rules->mailbox_transport, user, &value);
	if (o != TABLE_FOUND)
		return outcome_of(o);
	if (transport_of(value, &rest) == TRANSPORT_VIRTUAL)
		return class_mailbox(w, at);
	if (transport_of(value, &rest) != TRANSPORT_SENT)
		return DIRECTORY_NONE;
	resolve_tell(w->r, "mailbox_transport: %.*s", (int)value.len, value.at);
	return walk_target(w, &(struct directory_target){
				      .address = bytes_of(
					      arena_printf(w->a, "%.*s%.1s%.*s@%.*s", (int)user.len,
	                                                   user.at, delimiter, (int)detail.len,
	                                                   detail.at, (int)s->key.domain.len,
	                                                   s->key.domain.at)),
				      .sender = s->owner,
			      });
}

enum directory_outcome
transport_local(struct resolving *r, struct bytes user, struct bytes *value)
{
	const struct resolve_rules *rules = r->rules;
	enum table_outcome          o;

	*value = bytes_of(rules->local_transport);
	if (!transport_is_own(rules->local_transport))
		return DIRECTORY_OK;
	o = find_way(r, &rules->mailbox_transport_maps, rules->mailbox_transport, user, value);
	if (o == TABLE_FOUND && transport_is_own(arena_copy(r->arena, *value)))
		o = find_way(r, &rules->fallback_transport_maps, rules->fallback_transport, user,
		             value);
	return o == TABLE_FOUND ? DIRECTORY_OK : outcome_of(o);
}

/* The reply of error: and retry:, which are said before the letter is taken, as Postfix does; NULL: it is neither.  The status
   is its own or 5.1.1 (4.1.1), and its first digit is that of the code; without
   words those of `otherwise`. */
static const char *
reply_at_rcpt(struct bytes value, struct bytes otherwise, struct arena *a)
{
	ptrdiff_t    colon = bytes_find(value, ':');
	struct bytes name = bytes_trim(bytes_cut(value, 0, colon < 0 ? value.len : (size_t)colon));
	struct bytes text =
		bytes_trim(bytes_cut(value, colon < 0 ? value.len : (size_t)colon + 1, SIZE_MAX));
	struct bytes status = BYTES("5.1.1"), rest = text, word;
	bool         retry = bytes_is(name, "retry");

	if (!retry && !bytes_is(name, "error"))
		return NULL;
	if (bytes_split(&rest, ' ', &word) && status_is(word, "245")) {
		status = word;
		text = bytes_trim(rest);
	} else if (text.len == 0) {
		text = otherwise;
	}
	return arena_printf(a, "%c%.*s %.*s", retry ? '4' : '5', (int)status.len - 1, status.at + 1,
	                    (int)text.len, text.at);
}

enum directory_outcome
transport_goes(struct walk *w, size_t at, enum mail_class class, enum transport_goes *out)
{
	const struct resolve_rules *rules = w->rules;
	const char                 *otherwise = class == CLASS_LOCAL ? rules->local_transport
	                                        : class == CLASS_VIRTUAL_MAILBOX ? rules->virtual_transport
	                                        : class == CLASS_RELAY ? rules->relay_transport
	                                        : class == CLASS_OTHER ? rules->default_transport
	                                                               : "virtual";
	struct bytes                value = { NULL, 0 }, rest;
	struct bytes                words = BYTES("Address is undeliverable"), said;
	const char                 *reply;
	enum table_outcome          o = transport_find(w->r, &w->todo[at].key, &value);
	enum directory_outcome      p;

	if (o != TABLE_FOUND && o != TABLE_NONE)
		return outcome_of(o);
	value = bytes_trim(value);
	if (value.len == 0 || value.at[0] == ':') {
		value = bytes_of(otherwise);
		p = class == CLASS_OTHER && w->r->sender != NULL
		            ? transport_of_sender(w->r, *w->r->sender, &said)
		            : DIRECTORY_NONE;
		if (p != DIRECTORY_OK && p != DIRECTORY_NONE)
			return p;
		if (p == DIRECTORY_OK && said.len > 0)
			value = said;
		words = w->todo[at].key.domain;
	}
	if (value.len == 0 && (class == CLASS_RELAY || class == CLASS_OTHER))
		value = BYTES("smtp"); /* nobody says how: as it goes to everybody else */
	if (at == 0 && (w->r->asked_at_rcpt || w->r->asked_both) &&
	    (reply = reply_at_rcpt(value, words, w->a)) != NULL) {
		/* Who may send to others is asked first, and it is none of ours. */
		w->reply = reply;
		return class == CLASS_OTHER ? DIRECTORY_FOREIGN : DIRECTORY_REFUSED;
	}
	switch (transport_of(value, &rest)) {
	case TRANSPORT_OWN: *out = GOES_LOCAL; break;
	case TRANSPORT_VIRTUAL: *out = GOES_VIRTUAL; break;
	default: *out = GOES_AWAY;
	}
	return DIRECTORY_OK;
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
