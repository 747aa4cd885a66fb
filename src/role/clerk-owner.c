/*
 * clerk-owner -- to whom the mailboxes of users of back ends and of virtual_mailbox_maps belong (role/owner.h): what a back end
 * says (uid, gid), what virtual_uid_maps and virtual_gid_maps say, or mail_uid and mail_gid
 *
 * It is said when the account is made.  Mail that is there already belongs to whom it belonged: nobody else's keeper could
 * read it, and so whoever says otherwise later is told in the log how it is, and not obeyed.
 */
#include <string.h>

#include "role/clerk-resolve.h"
#include "role/owner.h"

enum { SAID_MOST = 1000, NAME_LONGEST = 64 };

static struct clerk *
clerk_of(struct house *h)
{
	return h->mine;
}

/* Once for each, as long as the settings are the same. */
static bool
is_news(struct clerk *c, const char *words)
{
	if (c->owners_said == NULL)
		c->owners_said = map_open();
	return map_count(c->owners_said) < SAID_MOST &&
	       map_put(c->owners_said, bytes_of(words), c) == NULL;
}

static bool
choose(struct house *h, struct bytes address, struct mail_owner said, int64_t least,
       struct arena *a, const struct mail_owner **out)
{
	struct mail_owner *o = arena_take(a, sizeof *o);
	const char        *words;
	uint64_t           n;

	*out = NULL;
	if (*said.uid == '\0')
		said.uid = h->common.mail_uid;
	if (*said.gid == '\0')
		said.gid = h->common.mail_gid;
	if (*said.uid == '\0')
		return true;
	if (strlen(said.uid) > NAME_LONGEST || strlen(said.gid) > NAME_LONGEST) {
		words = arena_printf(
			a,
			"%.*s: the mailboxes cannot belong to a uid or gid of more than %d bytes",
			(int)address.len, address.at, NAME_LONGEST);
		if (is_news(clerk_of(h), words))
			warn_("%s", words);
		return false;
	}
	*o = said;
	*out = o;
	if ((!bytes_number(bytes_of(o->uid), &n) || n >= (uint64_t)least) &&
	    (!bytes_number(bytes_of(o->gid), &n) || n != 0))
		return true;
	words = arena_printf(
		a, "%.*s: the mailboxes cannot belong to uid %s%s%s: %s", (int)address.len,
		address.at, o->uid, *o->gid != '\0' ? ", gid " : "", o->gid,
		*o->gid != '\0' && bytes_is(bytes_of(o->gid), "0")
			? "not to the group of root"
			: arena_printf(a, "the smallest that may be is %lld (%s)", (long long)least,
	                               least == h->common.first_valid_uid ? "first_valid_uid"
	                                                                  : "virtual_minimum_uid"));
	if (is_news(clerk_of(h), words))
		warn_("%s", words);
	return false;
}

static const char *
field(struct bytes fields, const char *name, struct arena *a)
{
	struct bytes value;

	return credential_field(fields, name, &value) ? arena_copy(a, value) : "";
}

bool
clerk_owner(struct house *h, struct bytes address, struct bytes fields, struct arena *a,
            const struct mail_owner **out)
{
	struct mail_owner said = { field(fields, "uid", a), field(fields, "gid", a) };

	*out = NULL;
	return !clerk_lies_outside(h, address, fields, false) ||
	       choose(h, address, said, h->common.first_valid_uid, a, out);
}

/* What a table has for this address; NONE is for somebody to mend. */
static enum directory_outcome
number_of(struct work *w, const char *setting, const struct setting_list *maps,
          const struct directory_target *t, const char **out)
{
	ptrdiff_t         at = bytes_find_last(t->address, '@');
	struct bytes      value = BYTES(""), extension;
	struct lookup_key key = {
		.local = bytes_cut(t->address, 0, at < 0 ? t->address.len : (size_t)at),
		.domain = at < 0 ? BYTES("") : bytes_cut(t->address, (size_t)at + 1, SIZE_MAX),
		.delimiters = bytes_of(clerk_of(w->house)->rules.delimiter),
		.forms = LOOKUP_FULL | LOOKUP_DOMAIN,
	};
	const char *words;

	*out = "";
	if (maps->count == 0)
		return DIRECTORY_OK;
	switch (lookup_address(w->lookups, maps, &key, &value, &extension)) {
	case TABLE_FOUND: *out = arena_copy(w->life, bytes_trim(value)); return DIRECTORY_OK;
	case TABLE_WAIT: return DIRECTORY_WAIT;
	case TABLE_NONE: break;
	default: return DIRECTORY_LATER;
	}
	words = arena_printf(w->life, "recipient %.*s: not found in %s; the mail waits",
	                     (int)t->address.len, t->address.at, setting);
	if (is_news(clerk_of(w->house), words))
		warn_("%s", words);
	return DIRECTORY_LATER;
}

enum directory_outcome
clerk_owner_by_tables(struct work *w, const struct directory_target *t,
                      const struct mail_owner **out)
{
	struct clerk          *c = clerk_of(w->house);
	struct credential      who;
	struct mail_owner      said;
	enum directory_outcome o =
		directory_credential(c->directory, t->address, c->origin, w->life, &who);

	*out = NULL;
	if (o != DIRECTORY_NONE)
		return o; /* it is there */
	if (!clerk_lies_outside(w->house, t->address, BYTES(""), t->place.len > 0))
		return DIRECTORY_OK;
	if ((o = number_of(w, "virtual_uid_maps", &c->rules.virtual_uid_maps, t, &said.uid)) !=
	            DIRECTORY_OK ||
	    (o = number_of(w, "virtual_gid_maps", &c->rules.virtual_gid_maps, t, &said.gid)) !=
	            DIRECTORY_OK)
		return o;
	return choose(w->house, t->address, said,
	              *said.uid != '\0' ? w->house->common.virtual_minimum_uid
	                                : w->house->common.first_valid_uid,
	              w->life, out)
	               ? DIRECTORY_OK
	               : DIRECTORY_LATER;
}

/* ---- what there is ---- */

static void
tell_owner(void *house, const struct owner_row *r)
{
	clerk_of(house)->owners_told = r->number + 1;
	house_owner_say(house, r);
}

void
clerk_owners_tell(struct house *h)
{
	struct clerk *c = clerk_of(h);

	(void)directory_owner_each(c->directory, c->owners_told, tell_owner, h);
}

void
clerk_owners_again(struct house *h)
{
	clerk_of(h)->owners_told = 0;
	map_close(&clerk_of(h)->owners_said);
	clerk_owners_tell(h);
}

void
clerk_owned(struct house *h, const struct credential *who, const struct mail_owner *meant)
{
	struct clerk     *c = clerk_of(h);
	struct arena     *a;
	struct mail_owner is = { "", "" };
	const char       *words;

	if (is_owned_account(who->account) && account_owner(who->account) >= c->owners_told)
		clerk_owners_tell(h);
	if (meant == NULL || is_system_account(who->account))
		return;
	a = arena_open(NULL);
	if (is_owned_account(who->account) &&
	    directory_owner(c->directory, account_owner(who->account), a, &is) != DIRECTORY_OK)
		goto out;
	if (strcmp(is.uid, meant->uid) == 0 && strcmp(is.gid, meant->gid) == 0)
		goto out;
	words = arena_printf(
		a,
		"%s: its mailboxes belong to %s%s%s%s since they were made, and not to uid %s%s%s, as is said now",
		who->address, *is.uid != '\0' ? "uid " : "the keepers' own account", is.uid,
		*is.gid != '\0' ? ", gid " : "", is.gid, meant->uid,
		*meant->gid != '\0' ? ", gid " : "", meant->gid);
	if (is_news(c, words))
		warn_("%s", words);
out:
	arena_close(&a);
}
