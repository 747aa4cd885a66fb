/*
 * clerk-owner -- to whom the mailboxes of users of back ends and of virtual_mailbox_maps belong (role/owner.h): what a back end
 * says (uid, gid), what virtual_uid_maps and virtual_gid_maps say, or mail_uid and mail_gid
 *
 * It is said when the account is made, which is not before the postmaster, who looks names up, has found that it can be.  Mail that is there already belongs to whom it belonged: nobody else's keeper could
 * read it, and so whoever says otherwise later is told in the log how it is, and not obeyed.
 */
#include <string.h>

#include "base/clock.h"
#include "role/clerk-resolve.h"
#include "role/owner.h"

enum { SAID_MOST = 1000, NAME_LONGEST = 64, ASK_AGAIN_MS = 5000 };

/* What the postmaster said of one. */
struct owner_heard {
	bool    heard;
	int64_t at_ms;
	char   *wrong; /* why it cannot be; NULL: it can */
};

static struct clerk *
clerk_of(struct house *h)
{
	return h->mine;
}

/* Once for each, as long as the settings are the same. */
bool
clerk_is_news(struct clerk *c, const char *words)
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
		if (clerk_is_news(clerk_of(h), words))
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
	if (clerk_is_news(clerk_of(h), words))
		warn_("%s", words);
	return false;
}

static const char *
field(struct bytes fields, const char *name, struct arena *a)
{
	struct bytes value;

	return credential_field(fields, name, &value) ? arena_copy(a, value) : "";
}

static struct mail_owner
said_by(struct bytes fields, struct arena *a)
{
	return (struct mail_owner){ field(fields, "uid", a), field(fields, "gid", a) };
}

bool
clerk_owner(struct house *h, struct bytes address, struct bytes fields, struct arena *a,
            const struct mail_owner **out)
{
	static const char unused[] =
		"a back end says uids, which are not used: letters of the letter log belong to our own accounts; "
		"write mail_location, and mailboxes are files that belong to whom it says";
	struct bytes uid;

	*out = NULL;
	if (clerk_lies_outside(h, address, fields, false))
		return choose(h, address, said_by(fields, a), h->common.first_valid_uid, a, out);
	if (credential_field(fields, "uid", &uid) && uid.len > 0 &&
	    clerk_is_news(clerk_of(h), unused))
		note("clerk: %s", unused);
	return true;
}

/* ---- whether it can be ---- */

static struct owner_heard *
heard_of(struct clerk *c, uint32_t number)
{
	uint64_t key = number;

	return c->owners != NULL ? map_get(c->owners, map_number(&key)) : NULL;
}

static void
tell_owner(void *house, const struct owner_row *r)
{
	struct clerk       *c = clerk_of(house);
	struct owner_heard *o = heard_of(c, r->number);
	uint64_t            key = r->number;

	if (c->owners_told <= r->number)
		c->owners_told = r->number + 1;
	if (o == NULL) {
		o = memory_take(sizeof *o);
		if (c->owners == NULL)
			c->owners = map_open();
		(void)map_put(c->owners, map_number(&key), o);
	}
	memory_free(o->wrong);
	*o = (struct owner_heard){ .at_ms = clock_patient_ms() };
	house_owner_say(house, r);
}

/* As heard of this owner: OK, LATER, or WAIT while the postmaster is asked.  What was wrong some time ago is asked again. */
static enum directory_outcome
owner_stands(struct work *w, struct bytes address, uint32_t number, const struct mail_owner *o)
{
	struct clerk             *c = clerk_of(w->house);
	const struct owner_heard *was = heard_of(c, number);
	const char               *words;

	if (was != NULL && was->heard && was->wrong != NULL &&
	    clock_patient_ms() - was->at_ms >= ASK_AGAIN_MS)
		was = NULL;
	if (was == NULL)
		tell_owner(w->house, &(struct owner_row){ number, *o });
	if (was == NULL || !was->heard) {
		w->owner = number;
		return DIRECTORY_WAIT;
	}
	if (was->wrong == NULL)
		return DIRECTORY_OK;
	words = arena_printf(w->life, "%.*s: the mailboxes cannot belong to uid %s%s%s: %s",
	                     (int)address.len, address.at, o->uid, *o->gid != '\0' ? ", gid " : "",
	                     o->gid, was->wrong);
	if (clerk_is_news(c, words))
		warn_("%s", words);
	return DIRECTORY_LATER;
}

static enum directory_outcome
owner_can_be(struct work *w, struct bytes address, const struct mail_owner *o)
{
	uint32_t               number;
	enum directory_outcome got;

	if (o == NULL)
		return DIRECTORY_OK;
	got = directory_owner_number(clerk_of(w->house)->directory, o, &number);
	return got == DIRECTORY_OK ? owner_stands(w, address, number, o) : got;
}

enum directory_outcome
clerk_owner_holds(struct work *w, const struct credential *who)
{
	struct mail_owner      is;
	enum directory_outcome o;

	if (!is_owned_account(who->account))
		return DIRECTORY_OK;
	o = directory_owner(clerk_of(w->house)->directory, account_owner(who->account), w->life,
	                    &is);
	return o == DIRECTORY_OK
	               ? owner_stands(w, bytes_of(who->address), account_owner(who->account), &is)
	               : DIRECTORY_LATER;
}

bool
clerk_owner_is_wrong(struct house *h, const struct credential *who)
{
	const struct owner_heard *was = is_owned_account(who->account)
	                                        ? heard_of(clerk_of(h), account_owner(who->account))
	                                        : NULL;

	return was != NULL && was->wrong != NULL;
}

void
clerk_owner_wait(struct work *w)
{
	struct clerk *c = clerk_of(w->house);

	w->next_waiting = c->owners_waiting;
	c->owners_waiting = w;
}

bool
hear_owner_is(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct clerk       *c = clerk_of(h);
	struct unpack       u = unpack_of(body);
	uint32_t            number = unpack_u32(&u);
	struct bytes        why = unpack_bytes(&u);
	struct owner_heard *o = heard_of(c, number);
	struct work        *w = c->owners_waiting, *next;

	(void)from;
	(void)index;
	(void)ticket;
	if (!unpack_done(&u))
		return false;
	if (o == NULL)
		return true;
	memory_free(o->wrong);
	*o = (struct owner_heard){ .heard = true, .at_ms = clock_patient_ms() };
	if (why.len > 0) {
		o->wrong = memory_take(why.len + 1);
		memcpy(o->wrong, why.at, why.len);
	}
	c->owners_waiting = NULL;
	for (; w != NULL; w = next) {
		next = w->next_waiting;
		if (w->owner != number) {
			clerk_owner_wait(w);
			continue;
		}
		w->owner = 0;
		work_on(w);
	}
	return true;
}

/* ---- what tables say ---- */

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
	if (clerk_is_news(clerk_of(w->house), words))
		warn_("%s", words);
	return DIRECTORY_LATER;
}

static enum directory_outcome
by_tables(struct work *w, const struct directory_target *t, const struct mail_owner **out)
{
	struct clerk          *c = clerk_of(w->house);
	struct mail_owner      said;
	enum directory_outcome o;

	if (!clerk_lies_outside(w->house, t->address, t->fields, t->place.len > 0))
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

/* Where neither is set, a back end that knows the user may tell. */
static enum directory_outcome
by_person(struct work *w, struct directory_target *t, const struct mail_owner **out)
{
	struct clerk           *c = clerk_of(w->house);
	struct directory_target found;
	enum table_outcome      got = TABLE_NONE;
	bool                    unsaid;

	if (t->fields.len == 0 && c->rows.userdb)
		got = chain_person(w->house, w->lookups, t->address, w->life, &found, &unsaid);
	if (got == TABLE_WAIT || got == TABLE_LATER)
		return got == TABLE_WAIT ? DIRECTORY_WAIT : DIRECTORY_LATER;
	if (got == TABLE_FOUND)
		t->fields = found.fields;
	return !clerk_lies_outside(w->house, t->address, t->fields, t->place.len > 0) ||
	                       choose(w->house, t->address, said_by(t->fields, w->life),
	                              w->house->common.first_valid_uid, w->life, out)
	               ? DIRECTORY_OK
	               : DIRECTORY_LATER;
}

enum directory_outcome
clerk_owner_of(struct work *w, struct directory_target *t, const struct mail_owner **out)
{
	struct clerk          *c = clerk_of(w->house);
	struct credential      who;
	enum directory_outcome o =
		directory_credential(c->directory, t->address, c->origin, w->life, &who);

	*out = NULL;
	if (t->source != NULL)
		o = o == DIRECTORY_LATER                                         ? o
		    : clerk_owner(w->house, t->address, t->fields, w->life, out) ? DIRECTORY_OK
		                                                                 : DIRECTORY_LATER;
	else if (o == DIRECTORY_NONE &&
	         c->rules.virtual_uid_maps.count + c->rules.virtual_gid_maps.count > 0)
		o = by_tables(w, t, out);
	else if (o == DIRECTORY_NONE)
		o = by_person(w, t, out);
	else
		return o; /* it is there */
	return o == DIRECTORY_OK ? owner_can_be(w, t->address, *out) : o;
}

/* ---- account set ADDRESS owner UID[:GID] ---- */

/* As it was written: whoever says the same once more makes nothing new, and loses no passwords. */
static bool
is_his(struct clerk *c, const struct credential *who, const struct mail_owner *o)
{
	uint32_t number;

	return directory_owner_number(c->directory, o, &number) == DIRECTORY_OK &&
	       number == account_owner(who->account);
}

static int
own(struct work *w, const struct mail_owner *o)
{
	struct clerk          *c = clerk_of(w->house);
	struct gone_row        row = { .address = "", .at = clock_wall() };
	enum directory_outcome done;
	struct credential      who;
	struct link           *l;

	if (directory_credential(c->directory, w->address, c->origin, w->life, &who) ==
	            DIRECTORY_OK &&
	    is_owned_account(who.account)) {
		if (is_his(c, &who, o)) {
			caller_say(w->caller, "the mailboxes of %.*s belong to %s%s%s already\n",
			           (int)w->address.len, w->address.at, o->uid,
			           *o->gid != '\0' ? ":" : "", o->gid);
			return 0;
		}
		clerk_sessions_end(w->house, w->address,
		                   "The mailboxes of this account belong to another uid now");
	}
	done = directory_account_own(c->directory, w->address, o, &row.id);
	if (done == DIRECTORY_FOREIGN) {
		caller_complain(
			w->caller,
			"mansio: the mailboxes of %.*s belong to no uid but the keepers' own; those of an account made "
			"after mail_uid, virtual_uid_maps or a back end says one do\n",
			(int)w->address.len, w->address.at);
		return 1;
	}
	if (done != DIRECTORY_OK) {
		caller_complain(w->caller, "mansio: %s: %.*s\n",
		                done == DIRECTORY_NONE ? "there is no such account"
		                                       : "the directory failed; the log says how",
		                (int)w->address.len, w->address.at);
		return 1;
	}
	note("clerk: the mailboxes of %.*s belong to %s%s%s now", (int)w->address.len,
	     w->address.at, o->uid, *o->gid != '\0' ? ":" : "", o->gid);
	clerk_total_gone(w->house, row.id);
	/* Nobody else takes its place: what was granted to it stays. */
	if ((l = house_link(w->house, KEEPER, house_keeper_of(w->house, row.id))) != NULL)
		clerk_say_gone(l, &row);
	clerk_tell_limits(w->house, w->address);
	clerk_changed(w->house);
	caller_say(
		w->caller,
		"the mailboxes of %.*s belong to %s%s%s now; give them their files, too: chown -R %s%s%s "
		"the place they lie in. App passwords and recovery codes of the account are void; make new ones\n",
		(int)w->address.len, w->address.at, o->uid, *o->gid != '\0' ? ":" : "", o->gid,
		o->uid, *o->gid != '\0' ? ":" : "", o->gid);
	return 0;
}

static enum directory_outcome
pass_own(struct work *w)
{
	struct bytes              rest = w->user, uid = { NULL, 0 }, gid = { NULL, 0 };
	struct mail_owner         o;
	const struct owner_heard *was;
	enum directory_outcome    can;
	uint32_t                  number;
	uint64_t                  n;

	(void)bytes_split(&rest, ':', &uid);
	(void)bytes_split(&rest, ':', &gid);
	o = (struct mail_owner){ arena_copy(w->life, uid), arena_copy(w->life, gid) };
	if (uid.len == 0 || uid.len > NAME_LONGEST || gid.len > NAME_LONGEST || rest.len > 0) {
		caller_complain(w->caller, "usage: mansio account set ADDRESS owner UID[:GID]\n");
		caller_done(w->caller, 2);
		return DIRECTORY_BAD;
	}
	if (bytes_number(uid, &n) && n < (uint64_t)w->house->common.first_valid_uid) {
		caller_complain(w->caller, "mansio: uid %s is below first_valid_uid, %lld\n", o.uid,
		                (long long)w->house->common.first_valid_uid);
		caller_done(w->caller, 1);
		return DIRECTORY_BAD;
	}
	can = owner_can_be(w, w->address, &o);
	if (can == DIRECTORY_WAIT && !w->for_good)
		return can;
	if (can == DIRECTORY_OK) {
		caller_done(w->caller, own(w, &o));
		return can;
	}
	was = directory_owner_number(clerk_of(w->house)->directory, &o, &number) == DIRECTORY_OK
	              ? heard_of(clerk_of(w->house), number)
	              : NULL;
	caller_complain(w->caller, "mansio: mailboxes cannot belong to %s%s%s: %s\n", o.uid,
	                *o.gid != '\0' ? ":" : "", o.gid,
	                was != NULL && was->wrong != NULL
	                        ? was->wrong
	                        : "the directory failed; the log says how");
	caller_done(w->caller, 1);
	return can;
}

int
run_account_own(struct order *e)
{
	struct work *w = work_open(e->house, COMMAND, 0, 0);

	w->caller = e->caller;
	w->address = arena_keep(w->life, e->first);
	w->user = arena_keep(w->life, e->ask->argc > 4 ? bytes_of(e->ask->argv[4]) : BYTES(""));
	w->pass = pass_own;
	work_on(w);
	return -1;
}

/* ---- what there is ---- */

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
		"%s: its mailboxes belong to %s%s%s%s since they were made, and not to uid %s%s%s, as is said now; "
		"mansio account set %s owner %s%s%s makes it so, when the files are his",
		who->address, *is.uid != '\0' ? "uid " : "the keepers' own account", is.uid,
		*is.gid != '\0' ? ", gid " : "", is.gid, meant->uid,
		*meant->gid != '\0' ? ", gid " : "", meant->gid, who->address, meant->uid,
		*meant->gid != '\0' ? ":" : "", meant->gid);
	if (clerk_is_news(c, words))
		warn_("%s", words);
out:
	arena_close(&a);
}
