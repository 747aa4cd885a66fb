/* class.c -- whose an address is that no virtual alias leads away from, and who has it there */
#include "base/journal.h"
#include "directory/table.h"
#include "directory/walk.h"
#include "message/address.h"
#include <string.h>

static const char *const class_names[] = {
	[CLASS_LOCAL] = "local",
	[CLASS_VIRTUAL_ALIAS] = "virtual alias",
	[CLASS_VIRTUAL_MAILBOX] = "virtual mailbox",
	[CLASS_RELAY] = "relay",
	[CLASS_OTHER] = "not ours",
	[CLASS_DIRECTORY] = "the directory's",
};

/* user@[192.0.2.1] */
static bool
is_our_literal(const struct resolve_rules *rules, struct bytes domain)
{
	const struct setting_list *lists[] = { &rules->addresses, &rules->proxy_interfaces };
	struct bytes               inside;

	if (domain.len < 3 || domain.at[0] != '[' || domain.at[domain.len - 1] != ']')
		return false;
	inside = bytes_cut(domain, 1, domain.len - 2);
	if (bytes_starts_nocase(inside, BYTES("IPv6:")))
		inside = bytes_cut(inside, 5, SIZE_MAX);
	for (size_t l = 0; l < COUNT(lists); l++)
		for (size_t i = 0; i < lists[l]->count; i++)
			if (bytes_is(inside, lists[l]->item[i]))
				return true;
	return false;
}

enum directory_outcome
class_is_local(struct resolving *r, struct bytes domain, enum mail_class *out)
{
	struct bytes       value;
	enum table_outcome o = TABLE_FOUND;

	if (!is_our_literal(r->rules, domain) && !bytes_is(domain, r->rules->myorigin))
		o = rules_domain(r, "mydestination", &r->rules->mydestination, domain, &value);
	*out = o == TABLE_FOUND ? CLASS_LOCAL : CLASS_OTHER;
	return o == TABLE_NONE ? DIRECTORY_OK : outcome_of(o);
}

/* The settings of the classes, in the order in which they have a domain. */
struct claim {
	enum mail_class class;
	const char                *setting;
	const struct setting_list *list;
};
enum { CLAIMS = 4 };

static void
claims_of(const struct resolve_rules *rules, struct claim out[static CLAIMS])
{
	out[0] = (struct claim){ CLASS_LOCAL, "mydestination", &rules->mydestination };
	out[1] = (struct claim){ CLASS_VIRTUAL_ALIAS, "virtual_alias_domains",
		                 &rules->virtual_alias_domains };
	out[2] = (struct claim){ CLASS_VIRTUAL_MAILBOX, "virtual_mailbox_domains",
		                 &rules->virtual_mailbox_domains };
	out[3] = (struct claim){ CLASS_RELAY, "relay_domains", &rules->relay_domains };
}

/* By its own name; a parent in relay_domains is none. */
static enum table_outcome
claim_has(struct resolving *r, const struct claim *c, struct bytes domain, bool elsewhere)
{
	struct bytes value;

	for (size_t i = 0; i < c->list->count; i++) {
		const char         *item = c->list->item[i];
		bool                no = item[0] == '!';
		struct setting_list one = { &item, 1 };
		enum table_outcome  o;

		item += no;
		if (table_is_name(item) && !elsewhere && !lookup_is_here(r->lookups, item))
			continue;
		o = rules_domain(r, "", &one, domain, &value);
		if (o == TABLE_FOUND)
			return no ? TABLE_NONE : o;
		if (o == TABLE_WAIT)
			return o;
	}
	return TABLE_NONE;
}

enum directory_outcome
class_claims(struct resolving *r, struct bytes domain, bool directory, bool unknown)
{
	struct claim claim[CLAIMS];
	const char  *first = directory ? "" : NULL;

	claims_of(r->rules, claim);
	for (size_t i = 0; i < CLAIMS; i++) {
		enum mail_class class = claim[i].class;
		enum table_outcome o;

		/* What the directory has may be local, too, and is a virtual mailbox domain. */
		if (directory && (class == CLASS_LOCAL || class == CLASS_VIRTUAL_MAILBOX))
			continue;
		o = claim_has(r, &claim[i], domain, unknown);
		if (o == TABLE_WAIT)
			return DIRECTORY_WAIT;
		if (o != TABLE_FOUND)
			continue;
		if (first == NULL)
			first = claim[i].setting;
		else if (class != CLASS_RELAY || first != claim[0].setting)
			r->claimed(r->ctx, domain, first, claim[i].setting);
	}
	return DIRECTORY_OK;
}

enum directory_outcome
class_of_domain(struct resolving *r, struct bytes domain, enum mail_class *out, struct bytes *value)
{
	struct claim classes[CLAIMS];

	claims_of(r->rules, classes);
	*value = BYTES("");
	*out = CLASS_LOCAL;
	if (is_our_literal(r->rules, domain))
		return DIRECTORY_OK;
	for (size_t i = 0; i < COUNT(classes); i++) {
		enum table_outcome o =
			rules_domain(r, classes[i].setting, classes[i].list, domain, value);
		if (o == TABLE_NONE)
			continue;
		*out = classes[i].class;
		if (o == TABLE_FOUND)
			resolve_tell(r, "%.*s: %s domain (%s)", (int)domain.len, domain.at,
			             class_names[classes[i].class], classes[i].setting);
		return outcome_of(o);
	}
	*out = CLASS_OTHER;
	resolve_tell(r,
	             "%.*s: in none of mydestination, virtual_alias_domains, "
	             "virtual_mailbox_domains, relay_domains and the directory",
	             (int)domain.len, domain.at);
	return DIRECTORY_OK;
}

/* ---- action words ---------------------------------------------------------- */

/* Where the letter goes first; it is for whoever takes it to obey, once. */
static enum directory_outcome
act_filter(struct walk *w, struct bytes way)
{
	if (bytes_find(way, ':') <= 0) {
		warn_("directory: FILTER %.*s needs transport:destination; the mail waits",
		      (int)way.len, way.at);
		return DIRECTORY_LATER;
	}
	resolve_tell(w->r, "FILTER: the letter goes to %.*s first", (int)way.len, way.at);
	w->filter = arena_copy(w->a, way);
	return DIRECTORY_OK;
}

/* The value of a mailbox or of its domain may be a word that says what becomes of the mail.  NONE: it is none. */
static enum directory_outcome
act(struct walk *w, struct bytes value, struct bytes *copy)
{
	struct bytes rest = value, word = { NULL, 0 };
	const char  *text;

	*copy = BYTES("");
	if (!bytes_split(&rest, ' ', &word))
		return DIRECTORY_NONE;
	rest = bytes_trim(rest);
	if (bytes_equal(word, BYTES("REJECT"))) {
		text = rest.len > 0 ? arena_copy(w->a, rest) : "Access denied";
		w->reply = arena_printf(w->a, "5.7.1 %s", text);
		return DIRECTORY_REFUSED;
	}
	if (bytes_equal(word, BYTES("DISCARD")))
		return DIRECTORY_DISCARDED;
	if (bytes_equal(word, BYTES("FILTER")))
		return act_filter(w, rest);
	if (bytes_equal(word, BYTES("BCC")) && rest.len > 0) {
		*copy = rest;
		return DIRECTORY_OK;
	}
	return bytes_equal(word, BYTES("OK")) ? DIRECTORY_OK : DIRECTORY_NONE;
}

/* ---- another server's ---- */

enum directory_outcome
walk_elsewhere(struct walk *w, size_t at)
{
	const struct step *s = &w->todo[at];
	struct address     there = { s->key.typed, s->key.domain };

	return walk_target(w, &(struct directory_target){ .address = address_text(w->a, &there),
	                                                  .sender = s->owner,
	                                                  .entered = s->entered });
}

/* ---- local ------------------------------------------------------------------- */

/* $user and its like in luser_relay. */
static struct bytes
relay_word(const struct walk *w, size_t at, struct bytes name)
{
	const struct directory_key *k = &w->todo[at].key;
	struct directory_key        bare;
	struct bytes                extension = { NULL, 0 };

	(void)key_bare(w->rules, k, &bare, &extension);
	return bytes_is(name, "user")        ? bare.local
	       : bytes_is(name, "local")     ? k->local
	       : bytes_is(name, "extension") ? extension
	       : bytes_is(name, "domain")    ? k->domain
	       : bytes_is(name, "recipient")
	               ? bytes_of(arena_printf(w->a, "%.*s@%.*s", (int)k->local.len, k->local.at,
	                                       (int)k->domain.len, k->domain.at))
	               : BYTES("");
}

/* What is made of it, and where in it the last "@" that is no part of a stranger's words stands; SIZE_MAX: nowhere. */
struct relayed {
	struct buffer text;
	size_t        cut;
};

static void
relay_add(const struct walk *w, size_t at, struct bytes name, struct relayed *out)
{
	buffer_add(&out->text, relay_word(w, at, name));
	if (bytes_is(name, "recipient"))
		out->cut = out->text.len - w->todo[at].key.domain.len - 1;
}

/* What was expanded, as an address: what a stranger wrote into its local part stays in there, in quotes where it needs them. */
static struct bytes
relay_address(const struct walk *w, struct bytes text, size_t cut)
{
	struct address parts = { text, { NULL, 0 } };

	if (cut != SIZE_MAX) {
		parts.local = bytes_cut(text, 0, cut);
		parts.domain = bytes_cut(text, cut + 1, SIZE_MAX);
	} else if (w->rules->append_at_myorigin)
		parts.domain = bytes_of(w->rules->myorigin);
	return address_text(w->a, &parts);
}

static bool
is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void relay_form(const struct walk *, size_t at, struct bytes form, struct relayed *);

/* What stands in braces behind $: a name; "name?text", the text where the name says something; "name:text", where not. */
static void
relay_braces(const struct walk *w, size_t at, struct bytes inside, struct relayed *out)
{
	struct bytes value;
	size_t       n = 0;

	while (n < inside.len && is_word_char(inside.at[n]))
		n++;
	value = relay_word(w, at, bytes_cut(inside, 0, n));
	if (n == inside.len)
		relay_add(w, at, inside, out);
	else if ((inside.at[n] == '?') == (value.len > 0))
		relay_form(w, at, bytes_cut(inside, n + 1, SIZE_MAX), out);
}

/* Braces may stand in braces. */
static size_t
braces_end(struct bytes form, size_t at)
{
	size_t deep = 1;

	for (; at < form.len; at++) {
		deep += form.at[at] == '{';
		deep -= form.at[at] == '}';
		if (deep == 0)
			break;
	}
	return at;
}

static void
relay_form(const struct walk *w, size_t at, struct bytes form, struct relayed *out)
{
	for (size_t i = 0; i < form.len;) {
		size_t end = i + 1;

		if (form.at[i] != '$' || end == form.len) {
			if (form.at[i] == '@')
				out->cut = out->text.len;
			buffer_add_char(&out->text, form.at[i++]);
		} else if (form.at[end] == '{') {
			end = braces_end(form, end + 1);
			relay_braces(w, at, bytes_cut(form, i + 2, end - i - 2), out);
			i = end + 1;
		} else {
			while (end < form.len && is_word_char(form.at[end]))
				end++;
			relay_add(w, at, bytes_cut(form, i + 1, end - i - 1), out);
			i = end;
		}
	}
}

static enum directory_outcome
relay_luser(struct walk *w, size_t at)
{
	struct relayed         to = { .cut = SIZE_MAX };
	enum directory_outcome o;

	relay_form(w, at, bytes_of(w->rules->luser_relay), &to);
	resolve_tell(w->r, "luser_relay: %.*s", (int)to.text.len, to.text.at);
	walk_open(w, at, &w->todo[at].key);
	walk_enter(w, at);
	o = walk_lead(w, at,
	              rules_complete(w->r, relay_address(w, buffer_bytes(&to.text), to.cut),
	                             BYTES(""), BYTES("")),
	              w->todo[at].detail);
	buffer_free(&to.text);
	return o;
}

/* Whether local_recipient_maps let it in; where they are empty everybody is. */
static enum directory_outcome
local_listed(struct walk *w, const struct directory_key *k)
{
	struct bytes      value, extension;
	struct lookup_key key =
		rules_key(w->r, k, CLASS_LOCAL, LOOKUP_FULL | LOOKUP_LOCAL | LOOKUP_DOMAIN);
	const char **item =
		arena_take_array(w->a, w->rules->local_recipient_maps.count, sizeof *item);
	struct setting_list others = { item, 0 };
	struct lookup_key   name = key;
	enum table_outcome  o;

	/* Users have bare names alone. */
	name.forms = LOOKUP_LOCAL;
	for (size_t i = 0; i < w->rules->local_recipient_maps.count; i++) {
		const char         *table = w->rules->local_recipient_maps.item[i];
		struct setting_list one = { &table, 1 };

		if (strstr(table, "unix:passwd.byname") == NULL) {
			item[others.count++] = table;
			continue;
		}
		o = lookup_address(w->r->lookups, &one, &name, &value, &extension);
		if (o != TABLE_NONE)
			return outcome_of(o);
	}
	return outcome_of(lookup_address(w->r->lookups, &others, &key, &value, &extension));
}

/* Another transport has them all; who there is local_recipient_maps say. */
static enum directory_outcome
local_elsewhere(struct walk *w, size_t at)
{
	enum directory_outcome o = DIRECTORY_OK;

	w->table = "local recipient table";
	if (bytes_is(w->todo[at].key.local, w->rules->double_bounce_sender))
		return DIRECTORY_DISCARDED;
	resolve_tell(w->r, "another transport than local: (local_transport, transport_maps)");
	if (at == 0 && w->r->asked_at_rcpt && w->rules->local_recipient_maps.count > 0)
		o = local_listed(w, &w->todo[at].key);
	return o == DIRECTORY_OK ? walk_elsewhere(w, at) : o;
}

/* Nobody reads root's mail as root.  What alias_maps say nothing of goes where postmaster's goes. */
static enum directory_outcome
deliver_root(struct walk *w, size_t at, const struct directory_key *bare)
{
	struct directory_key   k = { BYTES("postmaster"), bare->domain, BYTES("postmaster") };
	enum directory_outcome o = DIRECTORY_NONE;

	resolve_tell(w->r, "root has no alias: as postmaster");
	/* postmaster: root */
	if (!walk_opened(w, &k))
		o = alias_open(w, at, &k);
	if (o == DIRECTORY_NONE)
		o = walk_postmaster(w, &k);
	if (o == DIRECTORY_NONE && !(at == 0 && w->r->asked_at_rcpt))
		return o;
	if (o == DIRECTORY_NONE)
		warn_("directory: mail for root@%.*s is refused: nobody has it; write root: NAME in the file of "
		      "alias_maps, with the name of a user",
		      (int)bare->domain.len, bare->domain.at);
	return o;
}

static enum directory_outcome
deliver_local(struct walk *w, size_t at)
{
	const struct resolve_rules *rules = w->rules;
	struct directory_key        key = w->todo[at].key, bare;
	struct bytes                detail = w->todo[at].detail;
	bool                        parted = key_bare(rules, &key, &bare, &detail);
	bool                        unsaid;
	bool asked = at == 0 && w->r->asked_at_rcpt && rules->local_recipient_maps.count > 0;
	enum directory_outcome o, listed = DIRECTORY_OK;

	w->table = "local recipient table";
	w->barred = false;
	if (bytes_is(key.local, rules->double_bounce_sender))
		return DIRECTORY_DISCARDED; /* an answer to what must not be answered */
	/* Aliases and users whom local_recipient_maps do not have are none; accounts of the directory need not stand there. */
	if (asked && !bytes_is(bare.local, "postmaster"))
		listed = local_listed(w, &key);
	o = listed == DIRECTORY_OK ? alias_open(w, at, &key) : DIRECTORY_NONE;
	if (listed == DIRECTORY_OK && o == DIRECTORY_NONE && parted)
		o = alias_open(w, at, &bare);
	if (listed == DIRECTORY_OK && o == DIRECTORY_NONE)
		o = alias_user(w, at, bare.local, false, detail);
	/* Who logs in without a domain is of the origin. */
	if (o == DIRECTORY_NONE)
		o = walk_person(w, at, &bare, bytes_of(rules->myorigin), detail, &unsaid);
	if (o == DIRECTORY_NONE && bytes_is(bare.local, "postmaster"))
		o = walk_postmaster(w, &bare);
	if (o == DIRECTORY_NONE && listed == DIRECTORY_OK && bytes_is(bare.local, "root"))
		o = deliver_root(w, at, &bare);
	/* Listed among the users, and for nothing. */
	if (asked && o == DIRECTORY_NONE)
		return w->barred ? DIRECTORY_NONE : listed;
	if (o == DIRECTORY_NONE)
		o = transport_unknown(w, at, bare.local);
	if (o == DIRECTORY_NONE && rules->luser_relay[0] != '\0' && !walk_inside(w, at, &key))
		return relay_luser(w, at);
	if (o == DIRECTORY_NONE && at == 0 && w->r->asked_at_rcpt)
		return DIRECTORY_OK; /* nobody says who there is */
	return o;
}

/* ---- virtual mailboxes --------------------------------------------------------- */

/* One account for all that an "@domain" in the table catches: the last name of the path it has. */
static struct bytes
caught(struct walk *w, struct bytes value, struct bytes domain)
{
	struct bytes   part, last = { NULL, 0 };
	struct address a;

	while (bytes_split(&value, '/', &part))
		if (part.len > 0)
			last = part;
	a = (struct address){ arena_lower(w->a, last), domain };
	if (last.len == 0 || bytes_find(last, '@') >= 0 ||
	    bytes_starts(address_text(w->a, &a), BYTES("\"")))
		a.local = BYTES("catch-all");
	return address_text(w->a, &a);
}

static enum directory_outcome
mailbox_found(struct walk *w, size_t at, bool caught_all, struct bytes value,
              struct bytes extension)
{
	struct step           *s = &w->todo[at];
	struct directory_key   bare = s->key;
	struct bytes           detail = s->detail, copy;
	enum directory_outcome o = act(w, value, &copy);
	struct address         address;

	if (o != DIRECTORY_OK && o != DIRECTORY_NONE)
		return o;
	if (extension.len > 0)
		(void)key_bare(w->rules, &s->key, &bare, &detail);
	address = (struct address){ bare.local, bare.domain };
	if (copy.len > 0 && walk_lead(w, at, rules_complete(w->r, copy, BYTES(""), BYTES("")),
	                              BYTES("")) == DIRECTORY_LOOP)
		return DIRECTORY_LOOP;
	return walk_target(w, &(struct directory_target){
				      .address = caught_all && o == DIRECTORY_NONE
	                                                 ? caught(w, value, bare.domain)
	                                                 : address_text(w->a, &address),
				      .detail = detail,
				      .typed = walk_typed(w, at),
				      .sender = s->owner,
				      .entered = s->entered,
				      .shadow = true,
				      .place = o == DIRECTORY_NONE ? value : BYTES(""),
			      });
}

/* In no table, and perhaps a user of a back end all the same. */
static enum directory_outcome
mailbox_person(struct walk *w, size_t at)
{
	struct directory_key   key = w->todo[at].key, bare;
	struct bytes           detail = w->todo[at].detail, whole = detail;
	bool                   unsaid;
	bool                   parted = key_bare(w->rules, &key, &bare, &detail);
	enum directory_outcome o = walk_person(w, at, &key, key.domain, whole, &unsaid);

	return o == DIRECTORY_NONE && parted
	               ? walk_person(w, at, &bare, bare.domain, detail, &unsaid)
	               : o;
}

/* Another transport has them all; virtual_mailbox_maps say who there is, if they say anything. */
static enum directory_outcome
mailbox_elsewhere(struct walk *w, size_t at, struct lookup_key key)
{
	struct bytes           value, extension, copy;
	enum table_outcome     got;
	enum directory_outcome o;

	resolve_tell(w->r, "another transport than virtual: (virtual_transport, transport_maps)");
	if (w->rules->virtual_mailbox_maps.count == 0)
		return walk_elsewhere(w, at);
	got = lookup_address(w->r->lookups, &w->rules->virtual_mailbox_maps, &key, &value,
	                     &extension);
	if (got != TABLE_FOUND)
		return outcome_of(got);
	o = act(w, value, &copy);
	if (o != DIRECTORY_OK && o != DIRECTORY_NONE)
		return o;
	if (copy.len > 0 && walk_lead(w, at, rules_complete(w->r, copy, BYTES(""), BYTES("")),
	                              BYTES("")) == DIRECTORY_LOOP)
		return DIRECTORY_LOOP;
	return walk_elsewhere(w, at);
}

static enum directory_outcome
deliver_mailbox(struct walk *w, size_t at, struct bytes domain_value, bool away)
{
	struct bytes           value, extension = { NULL, 0 }, copy, again, stripped;
	struct lookup_key      key = rules_key(w->r, &w->todo[at].key, CLASS_VIRTUAL_MAILBOX,
	                                       LOOKUP_FULL | LOOKUP_DOMAIN);
	bool                   all;
	enum table_outcome     got;
	enum directory_outcome o = act(w, domain_value, &copy);

	w->table = "virtual mailbox table";
	if (o != DIRECTORY_OK && o != DIRECTORY_NONE)
		return o;
	if (away)
		return mailbox_elsewhere(w, at, key);
	got = lookup_address(w->r->lookups, &w->rules->virtual_mailbox_maps, &key, &value,
	                     &extension);
	if (got == TABLE_NONE && (o = mailbox_person(w, at)) != DIRECTORY_NONE)
		return o;
	if (got == TABLE_NONE && bytes_is(w->todo[at].key.local, "postmaster"))
		return walk_postmaster(w, &w->todo[at].key);
	if (got != TABLE_FOUND)
		return outcome_of(got);
	/* Was it the address, with its extension or without, or its domain alone? */
	key.forms = LOOKUP_FULL;
	all = lookup_address(w->r->lookups, &w->rules->virtual_mailbox_maps, &key, &again,
	                     &stripped) == TABLE_NONE;
	return mailbox_found(w, at, all, value, extension);
}

/* ---- relay, and the choice ---------------------------------------------------------- */

static enum directory_outcome
relay_listed(struct walk *w, size_t at)
{
	struct bytes      value, extension;
	struct lookup_key key =
		rules_key(w->r, &w->todo[at].key, CLASS_RELAY, LOOKUP_FULL | LOOKUP_DOMAIN);
	enum table_outcome o;

	w->table = "relay recipient table";
	if (w->rules->relay_recipient_maps.count == 0)
		return DIRECTORY_OK;
	o = lookup_address(w->r->lookups, &w->rules->relay_recipient_maps, &key, &value,
	                   &extension);
	return o == TABLE_FOUND ? DIRECTORY_OK : outcome_of(o);
}

/* By the transport that has it. */
static enum directory_outcome
deliver_by(struct walk *w, size_t at, enum mail_class class, enum transport_goes goes,
           struct bytes domain_value)
{
	switch (goes) {
	case GOES_LOCAL: return deliver_local(w, at);
	case GOES_VIRTUAL: return deliver_mailbox(w, at, domain_value, false);
	case GOES_AWAY: break;
	}
	return class == CLASS_LOCAL             ? local_elsewhere(w, at)
	       : class == CLASS_VIRTUAL_MAILBOX ? deliver_mailbox(w, at, domain_value, true)
	                                        : walk_elsewhere(w, at);
}

enum directory_outcome
class_mailbox(struct walk *w, size_t at)
{
	return deliver_mailbox(w, at, BYTES(""), false);
}

enum directory_outcome
class_relocated(struct walk *w, size_t at, enum mail_class class)
{
	struct bytes       value, extension;
	struct lookup_key  key;
	enum table_outcome o;

	if (w->rules->relocated_maps.count == 0)
		return DIRECTORY_NONE;
	key = rules_key(w->r, &w->todo[at].key, class, LOOKUP_FULL | LOOKUP_LOCAL | LOOKUP_DOMAIN);
	o = lookup_address(w->r->lookups, &w->rules->relocated_maps, &key, &value, &extension);
	if (o != TABLE_FOUND)
		return outcome_of(o);
	w->reply = arena_printf(w->a, "5.1.6 User has moved to %.*s", (int)value.len, value.at);
	return DIRECTORY_REFUSED;
}

/* What is not ours by its domain, and all the same is delivered here, since transport_maps or default_transport say so.  Who
   may send there is decided as for every domain of others. */
static enum directory_outcome
deliver_other(struct walk *w, size_t at, enum transport_goes goes)
{
	enum directory_outcome o;

	if (goes == GOES_AWAY)
		return DIRECTORY_FOREIGN;
	o = deliver_by(w, at, CLASS_OTHER, goes, BYTES(""));
	return o == DIRECTORY_OK && at == 0 ? DIRECTORY_FOREIGN : o;
}

enum directory_outcome
class_deliver(struct walk *w, size_t at, enum mail_class class, struct bytes domain_value)
{
	enum transport_goes    goes;
	enum directory_outcome o;

	if (class == CLASS_VIRTUAL_ALIAS) {
		w->table = "virtual alias table";
		return bytes_is(w->todo[at].key.local, "postmaster")
		               ? walk_postmaster(w, &w->todo[at].key)
		               : DIRECTORY_NONE;
	}
	if (class == CLASS_DIRECTORY)
		return DIRECTORY_FOREIGN;
	/* A transport that takes nothing says so to those who are in no table, too. */
	o = transport_goes(w, at, class, &goes);
	if (o == DIRECTORY_OK && class == CLASS_RELAY)
		o = relay_listed(w, at);
	if (o != DIRECTORY_OK)
		return o;
	return class == CLASS_OTHER ? deliver_other(w, at, goes)
	                            : deliver_by(w, at, class, goes, domain_value);
}
