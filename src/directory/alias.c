/*
 * alias.c -- what stands in the value of an alias, and the aliases of local mail
 *
 *     value = part *( "," part )        blanks between parts do as well
 *     part  = address / "\" user / "|" command / "/" path / ":include:" path
 *     A part in quotes may hold blanks and commas; those of a command may begin behind the "|".
 */
#include "base/journal.h"
#include "directory/walk.h"
#include <string.h>

enum { INCLUDES_DEEP = 10 };

static bool
parts_end(char c, bool command)
{
	return c == ',' || c == '\n' || (!command && (c == ' ' || c == '\t' || c == '\r'));
}

/* Quotes around a command, a file or the like; those of an address belong to it. */
static bool
is_quoted_errand(struct bytes rest)
{
	return rest.len > 1 && rest.at[0] == '"' && strchr("|/:\\", rest.at[1]) != NULL;
}

/* One part with its quotes taken off where they are around all of it. */
static struct bytes
part_text(struct bytes *rest, bool plain, struct arena *a)
{
	struct buffer b = { 0 };
	bool          quoted = false, whole = is_quoted_errand(*rest) && !plain;
	bool          command = false;
	size_t        n = 0;
	struct bytes  text;

	for (; n < rest->len && (quoted || !parts_end(rest->at[n], command)); n++) {
		char c = rest->at[n];

		if (c == '"') {
			quoted = !quoted;
			if (whole)
				continue;
		} else if (c == '\\' && n + 1 < rest->len && quoted) {
			if (!whole)
				buffer_add_char(&b, c);
			c = rest->at[++n];
		}
		buffer_add_char(&b, c);
		command = command || (!plain && !whole && b.len == 1 && c == '|');
	}
	*rest = bytes_cut(*rest, n, SIZE_MAX);
	text = arena_keep(a, bytes_trim(buffer_bytes(&b)));
	buffer_free(&b);
	return text;
}

static void
part_kind(struct alias_part *p)
{
	static const struct {
		const char      *front;
		enum target_kind kind;
	} fronts[] = { { "|", TARGET_COMMAND },
		       { "/", TARGET_FILE },
		       { ":include:", TARGET_INCLUDE },
		       { "\\", TARGET_USER } };

	p->kind = TARGET_ADDRESS;
	for (size_t i = 0; i < COUNT(fronts); i++)
		if (bytes_starts_nocase(p->text, bytes_of(fronts[i].front))) {
			p->kind = fronts[i].kind;
			if (p->kind != TARGET_FILE)
				p->text = bytes_trim(
					bytes_cut(p->text, strlen(fronts[i].front), SIZE_MAX));
			return;
		}
}

/* "Jill <jill@example.com>": what stands in the angles, up to the next comma. */
static bool
in_angles(struct bytes *rest, struct bytes *out)
{
	bool   quoted = false;
	size_t open = SIZE_MAX, close = SIZE_MAX, n = 0;

	for (; n < rest->len && (quoted || !parts_end(rest->at[n], true)); n++) {
		if (rest->at[n] == '\\' && quoted)
			n++;
		else if (rest->at[n] == '"')
			quoted = !quoted;
		else if (rest->at[n] == '<' && !quoted)
			open = n;
		else if (rest->at[n] == '>' && !quoted)
			close = n;
	}
	if (open == SIZE_MAX || close == SIZE_MAX || close < open)
		return false;
	*out = bytes_trim(bytes_cut(*rest, open + 1, close - open - 1));
	*rest = bytes_cut(*rest, n, SIZE_MAX);
	return true;
}

bool
alias_next(struct bytes *rest, bool plain, struct arena *a, struct alias_part *out)
{
	out->kind = TARGET_ADDRESS;
	do {
		while (rest->len > 0 && parts_end(rest->at[0], false))
			*rest = bytes_cut(*rest, 1, SIZE_MAX);
		if (rest->len == 0)
			return false;
		if (strchr("|/:", rest->at[0]) == NULL && !is_quoted_errand(*rest) &&
		    in_angles(rest, &out->text))
			return true;
		out->text = part_text(rest, plain, a);
	} while (out->text.len == 0);
	if (!plain)
		part_kind(out);
	return true;
}

/* ---- virtual aliases ------------------------------------------------------- */

enum directory_outcome
alias_virtual(struct walk *w, size_t at, enum mail_class class)
{
	struct directory_key   key = w->todo[at].key;
	struct bytes           value, extension = { NULL, 0 }, detail = w->todo[at].detail;
	struct lookup_key      k;
	struct alias_part      part;
	enum table_outcome     o;
	enum directory_outcome led = DIRECTORY_OK;

	if (w->r->unmapped || w->rules->virtual_alias_maps.count == 0 || walk_inside(w, at, &key))
		return DIRECTORY_NONE;
	if (walk_opened(w, &key))
		return DIRECTORY_OK;
	k = rules_key(w->r, &key, class, LOOKUP_FULL | LOOKUP_LOCAL | LOOKUP_DOMAIN);
	o = lookup_address(w->r->lookups, &w->rules->virtual_alias_maps, &k, &value, &extension);
	if (o != TABLE_FOUND)
		return outcome_of(o);
	walk_open(w, at, &key);
	if (!rules_has(&w->rules->propagate, "virtual"))
		extension = BYTES("");
	while (led == DIRECTORY_OK && alias_next(&value, true, w->a, &part))
		led = ++w->virtuals > (size_t)w->rules->virtuals_most
		              ? walk_ends(w,
		                          "5.2.4 the alias leads to more than %lld addresses "
		                          "(virtual_alias_expansion_limit)",
		                          (long long)w->rules->virtuals_most)
		              : walk_lead(w, at,
		                          rules_complete(w->r, part.text, key.typed,
		                                         rules_typed(&key, extension)),
		                          detail);
	return led;
}

/* ---- local aliases ----------------------------------------------------------- */

/* What the parts of one alias have in common. */
struct opening {
	struct walk *w;
	size_t       at;
	struct bytes name, extension;
	unsigned     deep; /* files within files */
	bool         included, leads_nowhere;
	uint32_t     owner;  /* of the file it stands in, 0 root        */
	uint32_t     reader; /* of the alias file, however deep this is */
	struct bytes file;   /* included, and the line in it            */
	size_t       line;
};

static enum directory_outcome open_parts(struct opening *, struct bytes value);

/* The number of an operating-system user. */
static enum directory_outcome
user_number(struct walk *w, struct bytes user, uint32_t *uid)
{
	struct bytes       line, part = { NULL, 0 };
	uint64_t           number;
	enum table_outcome o = TABLE_NONE;

	for (size_t i = 0; i < w->rules->user_maps.count && o == TABLE_NONE; i++)
		o = lookup_find(w->r->lookups, w->rules->user_maps.item[i], user, &line);
	if (o != TABLE_FOUND)
		return outcome_of(o);
	for (int i = 0; i < 3; i++)
		if (!bytes_split(&line, ':', &part))
			return DIRECTORY_NONE;
	if (!bytes_number(part, &number))
		return DIRECTORY_NONE;
	if (number >= DIRECTORY_SYSTEM_UIDS) {
		resolve_tell(w->r, "%.*s is a user, and uid %llu is too large for a mailbox",
		             (int)user.len, user.at, (unsigned long long)number);
		w->barred = true;
		return DIRECTORY_NONE;
	}
	*uid = (uint32_t)number;
	return DIRECTORY_OK;
}

enum directory_outcome
alias_user(struct walk *w, size_t at, struct bytes user, bool own, struct bytes detail)
{
	const struct step     *s = &w->todo[at];
	uint32_t               uid;
	enum directory_outcome o = user_number(w, user, &uid);

	if (o != DIRECTORY_OK)
		return o;
	o = transport_user(w, at, user, detail);
	if (o != DIRECTORY_NONE)
		return o;
	/* Nobody here becomes such a user, so that the letter could only be returned. */
	if (uid < (uint64_t)w->rules->first_uid) {
		resolve_tell(w->r, "%.*s is a user, and uid %lu is below first_valid_uid",
		             (int)user.len, user.at, (unsigned long)uid);
		w->barred = true;
		return DIRECTORY_NONE;
	}
	return walk_target(
		w,
		&(struct directory_target){
			.account = system_account(own ? SYSTEM_OWN_MAILBOX : SYSTEM_MAILBOX, uid),
			.address = bytes_of(arena_printf(w->a, "%.*s@%.*s", (int)user.len, user.at,
	                                                 (int)s->key.domain.len, s->key.domain.at)),
			.detail = detail,
			.typed = own ? BYTES("") : walk_typed(w, at),
			.sender = s->owner,
			.entered = s->entered,
		});
}

/* A command or a file: as the owner of the file it stands in, unless that is root's; and only from where it may stand. */
static enum directory_outcome
open_errand(struct opening *o, const struct alias_part *p)
{
	struct walk               *w = o->w;
	const struct step         *s = &w->todo[o->at];
	bool                       command = p->kind == TARGET_COMMAND;
	const struct setting_list *from =
		command ? &w->rules->commands_from : &w->rules->files_from;
	const char            *setting = command ? "allow_mail_to_commands" : "allow_mail_to_files";
	const char            *place = o->included ? "include" : "alias";
	uint32_t               uid;
	enum directory_outcome got;

	if (!rules_has(from, place) || p->text.len == 0) {
		warn_("directory: %.*s leads to \"%.*s\", which is not allowed: %s lacks %s",
		      (int)o->name.len, o->name.at, (int)p->text.len, p->text.at, setting, place);
		w->shut = arena_printf(w->a, "5.7.1 mail to %s is not allowed here: %s lacks %s",
		                       command ? "commands" : "files", setting, place);
		return DIRECTORY_OK;
	}
	uid = o->owner;
	got = uid != 0 ? DIRECTORY_OK : user_number(w, bytes_of(w->rules->default_privs), &uid);
	if (got != DIRECTORY_OK)
		return got == DIRECTORY_NONE ? DIRECTORY_LATER : got;
	return walk_target(
		w, &(struct directory_target){
			   .account = system_account(command ? SYSTEM_COMMAND : SYSTEM_FILE, uid),
			   .address = bytes_of(arena_printf(w->a, "%.*s%.*s@%.*s", (int)o->name.len,
	                                                    o->name.at, (int)o->extension.len,
	                                                    o->extension.at, (int)s->key.domain.len,
	                                                    s->key.domain.at)),
			   .detail = p->text,
			   .sender = s->owner,
			   .entered = s->entered,
		   });
}

static uint32_t
owner_of(const struct walk *w, const char *name)
{
	return w->r->owner != NULL ? w->r->owner(w->r->ctx, name) : 0;
}

static enum directory_outcome
open_include(struct opening *o, struct bytes path)
{
	struct opening     inner = *o;
	struct bytes       text;
	enum table_outcome got = TABLE_LATER;
	bool               leads_on = false;
	const char *who = o->reader == 0 ? "" : arena_printf(o->w->a, "%u", (unsigned)o->reader);
	const char *name = arena_printf(o->w->a, ":%s%.*s", who, (int)path.len, path.at);

	inner.deep++;
	inner.included = true;
	if (inner.deep > INCLUDES_DEEP)
		return walk_ends(o->w, "5.4.6 files that aliases include lie more than %d deep",
		                 INCLUDES_DEEP);
	/* Else whoever may write a list could read what only root may, in the bounces of its mail. */
	if (o->leads_nowhere)
		warn_("directory: %.*s: a file that does not belong to root includes %.*s: that is not read",
		      (int)o->name.len, o->name.at, (int)path.len, path.at);
	else if (o->w->r->include != NULL && bytes_starts(path, BYTES("/")))
		got = o->w->r->include(o->w->r->ctx, name, o->w->a, &text, &leads_on);
	inner.leads_nowhere = !leads_on;
	inner.owner = owner_of(o->w, name);
	inner.file = path;
	inner.line = 1;
	resolve_tell(o->w->r, ":include: %.*s: %s", (int)path.len, path.at,
	             got == TABLE_FOUND ? "read" : "cannot be read");
	if (got != TABLE_FOUND)
		return DIRECTORY_LATER;
	return open_parts(&inner, text);
}

static enum directory_outcome
open_part(struct opening *o, const struct alias_part *p)
{
	struct step *s = &o->w->todo[o->at];
	bool         on = rules_has(&o->w->rules->propagate, "alias") &&
	          (!o->included || rules_has(&o->w->rules->propagate, "include"));
	enum directory_outcome got;

	switch (p->kind) {
	case TARGET_COMMAND:
	case TARGET_FILE: return open_errand(o, p);
	case TARGET_INCLUDE: return open_include(o, p->text);
	case TARGET_USER: {
		struct bytes user = arena_lower(o->w->a, p->text);

		got = alias_user(o->w, o->at, user, true, s->detail);
		if (got == DIRECTORY_NONE)
			warn_("directory: %.*s leads to \\%.*s, who does not exist or is below first_valid_uid",
			      (int)o->name.len, o->name.at, (int)user.len, user.at);
		return got == DIRECTORY_NONE ? DIRECTORY_OK : got;
	}
	case TARGET_ADDRESS: break;
	}
	o->w->file = o->file;
	o->w->line = o->line;
	got = walk_lead(o->w, o->at,
	                rules_complete(o->w->r, p->text, o->name, on ? o->extension : BYTES("")),
	                s->detail);
	o->w->file = BYTES("");
	return got;
}

/* An included file: a line with "#" in front says nothing; it is still one. */
static struct bytes
without_remarks(struct bytes text, struct arena *a)
{
	struct buffer b = { 0 };
	struct bytes  line;

	while (bytes_split(&text, '\n', &line)) {
		if (line.len > 0 && line.at[0] != '#')
			buffer_add(&b, line);
		buffer_add_char(&b, '\n');
	}
	text = arena_keep(a, buffer_bytes(&b));
	buffer_free(&b);
	return text;
}

/* How many lines end in what was read of `before`, which `rest` is the end of. */
static size_t
lines_in(struct bytes before, struct bytes rest)
{
	size_t count = 0;

	for (size_t i = 0; i < before.len - rest.len; i++)
		count += before.at[i] == '\n';
	return count;
}

static enum directory_outcome
open_parts(struct opening *o, struct bytes value)
{
	struct bytes           before;
	struct alias_part      part;
	enum directory_outcome got = DIRECTORY_OK;

	if (o->included)
		value = without_remarks(value, o->w->a);
	before = value;
	while (got == DIRECTORY_OK && alias_next(&value, false, o->w->a, &part)) {
		o->line += lines_in(before, value);
		before = value;
		got = open_part(o, &part);
		if (got == DIRECTORY_WAIT) {
			o->w->waits = true;
			got = DIRECTORY_OK;
		}
	}
	return got;
}

/* The sender of what goes through a list: owner-NAME, if there is such an alias. */
static enum directory_outcome
find_owner(struct walk *w, const struct directory_key *k, struct bytes *owner)
{
	struct bytes name =
		bytes_of(arena_printf(w->a, "owner-%.*s", (int)k->local.len, k->local.at));
	struct lookup_key  key = { .local = name, .domain = k->domain, .forms = LOOKUP_LOCAL };
	struct bytes       value, extension;
	struct alias_part  part;
	enum table_outcome o;

	if (!w->rules->owner_special)
		return DIRECTORY_NONE;
	o = lookup_address(w->r->lookups, &w->rules->alias_maps, &key, &value, &extension);
	if (o != TABLE_FOUND)
		return outcome_of(o);
	*owner = rules_complete(w->r, name, BYTES(""), BYTES(""));
	if (w->rules->expand_owner && alias_next(&value, false, w->a, &part) &&
	    part.kind == TARGET_ADDRESS && value.len == 0)
		*owner = rules_complete(w->r, part.text, BYTES(""), BYTES(""));
	return DIRECTORY_OK;
}

enum directory_outcome
alias_open(struct walk *w, size_t at, const struct directory_key *k)
{
	struct lookup_key key = { .local = k->local, .domain = k->domain, .forms = LOOKUP_LOCAL };
	struct opening    o = {
		   .w = w, .at = at, .name = k->local, .extension = w->todo[at].key.typed
	};
	struct bytes           value, extension, owner = { NULL, 0 };
	enum directory_outcome got;

	o.extension = bytes_cut(o.extension, k->local.len, SIZE_MAX);
	if (w->rules->alias_maps.count == 0 || walk_inside(w, at, k))
		return DIRECTORY_NONE;
	if (walk_opened(w, k))
		return DIRECTORY_OK;
	got = DIRECTORY_NONE;
	for (size_t i = 0; got == DIRECTORY_NONE && i < w->rules->alias_maps.count; i++) {
		struct setting_list one = { &w->rules->alias_maps.item[i], 1 };

		got = outcome_of(lookup_address(w->r->lookups, &one, &key, &value, &extension));
		o.owner = o.reader = got == DIRECTORY_OK ? owner_of(w, one.item[0]) : 0;
	}
	if (got != DIRECTORY_OK)
		return got;
	got = find_owner(w, k, &owner);
	if (got != DIRECTORY_OK && got != DIRECTORY_NONE)
		return got;
	walk_open(w, at, k);
	w->todo[at].opens_local = true;
	walk_enter(w, at);
	if (owner.len > 0)
		w->todo[at].owner = owner;
	return open_parts(&o, value);
}
