/* directory/resolve.c -- who gets the mail for an address: the walk from alias to alias */
#include "base/journal.h"
#include "directory/credential.h"
#include "directory/image.h"
#include "directory/walk.h"
#include "message/address.h"
#include "message/envelope.h"
#include <string.h>

/* MANY: from there on they are found by name. */
enum { MANY = 32, ENOUGH_AT_RCPT = 1000, STEPS_TOGETHER = 32, WAITING_MOST = 500 };

/* Room for one more of `each` bytes; most resolutions need only the first few. */
static void *
grown(struct arena *a, void *array, size_t count, size_t *room, size_t each)
{
	void *larger;

	if (count < *room)
		return array;
	*room = *room == 0 ? 2 : *room * 2;
	larger = arena_take_array(a, *room, each);
	if (count > 0)
		memcpy(larger, array, count * each);
	return larger;
}

void
resolve_tell(const struct resolving *r, const char *form, ...)
{
	struct buffer b = { 0 };
	va_list       list;

	if (r->tell == NULL)
		return;
	va_start(list, form);
	buffer_vprintf(&b, form, list);
	va_end(list);
	buffer_add_char(&b, '\0');
	r->tell(r->ctx, b.at);
	buffer_free(&b);
}

static bool
key_equal(const struct directory_key *x, const struct directory_key *y)
{
	return bytes_equal(x->local, y->local) && bytes_equal(x->domain, y->domain);
}

/* An alias met inside itself stands for the account of that name. */
bool
walk_inside(const struct walk *w, size_t at, const struct directory_key *k)
{
	for (at = w->todo[at].parent; at != NOBODY; at = w->todo[at].parent)
		if (key_equal(&w->todo[at].open, k))
			return true;
	return false;
}

static struct bytes
key_name(struct arena *a, const struct directory_key *k)
{
	return bytes_of(arena_printf(a, "%.*s@%.*s", (int)k->local.len, k->local.at,
	                             (int)k->domain.len, k->domain.at));
}

/* Another road led to this alias already: its targets are on the list. */
bool
walk_opened(const struct walk *w, const struct directory_key *k)
{
	if (w->opened != NULL)
		return map_get(w->opened, key_name(w->a, k)) != NULL;
	for (size_t i = 0; i < w->todos; i++)
		if (key_equal(&w->todo[i].open, k))
			return true;
	return false;
}

void
walk_open(struct walk *w, size_t at, const struct directory_key *k)
{
	w->todo[at].open = *k;
	if (w->opened == NULL && w->todos > MANY) {
		w->opened = map_open();
		for (size_t i = 0; i < w->todos; i++)
			if (w->todo[i].open.domain.len > 0)
				(void)map_put(w->opened, key_name(w->a, &w->todo[i].open), w);
	}
	if (w->opened != NULL)
		(void)map_put(w->opened, key_name(w->a, k), w);
}

static bool
same_target(const struct directory_target *x, const struct directory_target *y)
{
	if (x->account != y->account || x->shadow != y->shadow)
		return false;
	if (x->account == 0)
		return bytes_equal(x->address, y->address);
	/* One user may run several commands. */
	return !is_system_account(x->account) || system_kind_of(x->account) <= SYSTEM_OWN_MAILBOX ||
	       bytes_equal(x->detail, y->detail);
}

/* What same_target() compares, in one name. */
static struct bytes
target_name(struct arena *a, const struct directory_target *t)
{
	bool errand =
		is_system_account(t->account) && system_kind_of(t->account) > SYSTEM_OWN_MAILBOX;

	return bytes_of(arena_printf(a, "%llx %d %.*s", (unsigned long long)t->account, t->shadow,
	                             t->account == 0 ? (int)t->address.len
	                             : errand        ? (int)t->detail.len
	                                             : 0,
	                             t->account == 0 ? t->address.at : t->detail.at));
}

static bool
target_is_there(struct walk *w, const struct directory_target *t)
{
	if (w->targets == NULL && w->count > MANY) {
		w->targets = map_open();
		for (size_t i = 0; i < w->count; i++)
			(void)map_put(w->targets, target_name(w->a, &w->target[i]), w);
	}
	if (w->targets != NULL)
		return map_put(w->targets, target_name(w->a, t), w) != NULL;
	for (size_t i = 0; i < w->count; i++)
		if (same_target(&w->target[i], t))
			return true;
	return false;
}

enum directory_outcome
walk_ends(struct walk *w, const char *form, ...)
{
	struct buffer b = { 0 };
	va_list       list;

	va_start(list, form);
	buffer_vprintf(&b, form, list);
	va_end(list);
	w->reply = arena_copy(w->a, buffer_bytes(&b));
	buffer_free(&b);
	return DIRECTORY_LOOP;
}

static enum directory_outcome
too_many(struct walk *w)
{
	return walk_ends(w, "5.2.4 the alias leads to more than %d addresses",
	                 RESOLVE_TARGETS_MOST);
}

/* One copy for each account and each remote address, however many roads lead there. */
enum directory_outcome
walk_target(struct walk *w, const struct directory_target *t)
{
	if (target_is_there(w, t))
		return DIRECTORY_OK;
	if (w->count == RESOLVE_TARGETS_MOST)
		return too_many(w);
	w->target = grown(w->a, w->target, w->count, &w->room, sizeof *w->target);
	w->target[w->count] = *t;
	w->target[w->count++].address = arena_keep(w->a, t->address);
	return DIRECTORY_OK;
}

struct bytes
walk_typed(const struct walk *w, size_t at)
{
	struct address address = { w->todo[at].key.typed, w->todo[at].key.domain };

	return address_text(w->a, &address);
}

void
walk_enter(struct walk *w, size_t at)
{
	if (w->todo[at].entered.len == 0)
		w->todo[at].entered = walk_typed(w, at);
}

enum directory_outcome
walk_step(struct walk *w, size_t from, const struct directory_key *k, struct bytes detail)
{
	struct step s = { .key = *k, .detail = detail, .parent = from };

	if (from != NOBODY) {
		s.depth = w->todo[from].depth + 1;
		s.local = w->todo[from].opens_local;
		s.owner = w->todo[from].owner;
		s.entered = w->todo[from].entered;
	}
	if (s.depth >= (size_t)w->rules->depth_most)
		return walk_ends(
			w,
			"5.4.6 aliases lie %d deep in one another (virtual_alias_recursion_limit)",
			(int)w->rules->depth_most);
	if (w->todos == 2 * (size_t)RESOLVE_TARGETS_MOST)
		return too_many(w);
	w->todo = grown(w->a, w->todo, w->todos, &w->todo_room, sizeof *w->todo);
	w->todo[w->todos++] = s;
	return DIRECTORY_OK;
}

/* Where it stands, not what: who reads the log need not be one who may read that file. */
static void
warn_of_target(const struct walk *w, size_t from)
{
	const struct directory_key *k = &w->todo[from].key;

	if (w->file.len > 0)
		warn_("directory: %.*s:%zu: what alias %.*s leads to is not an address",
		      (int)w->file.len, w->file.at, w->line, (int)k->typed.len, k->typed.at);
	else
		warn_("directory: what %.*s@%.*s leads to is not an address; mansio address "
		      "test shows it",
		      (int)k->typed.len, k->typed.at, (int)k->domain.len, k->domain.at);
}

enum directory_outcome
walk_lead(struct walk *w, size_t from, struct bytes target, struct bytes detail)
{
	struct directory_key k;

	resolve_tell(w->r, "    leads to %.*s", (int)target.len, target.at);
	if (directory_key(target, w->rules->myorigin, w->a, &k))
		return walk_step(w, from, &k, detail);
	warn_of_target(w, from);
	w->broken = true;
	return DIRECTORY_OK;
}

static bool
stays_whole(struct bytes local, bool owners)
{
	return (owners && (bytes_starts_nocase(local, BYTES("owner-")) ||
	                   bytes_ends_nocase(local, BYTES("-request")))) ||
	       bytes_is(local, "mailer-daemon") || bytes_is(local, "double-bounce");
}

bool
key_bare(const struct resolve_rules *rules, const struct directory_key *k,
         struct directory_key *bare, struct bytes *detail)
{
	for (size_t cut = 1; cut < k->local.len; cut++)
		if (strchr(rules->delimiter, k->local.at[cut]) != NULL) {
			if (k->local.at[cut] == '-' && stays_whole(k->local, rules->owner_special))
				break;
			*bare = (struct directory_key){ bytes_cut(k->local, 0, cut), k->domain,
				                        bytes_cut(k->typed, 0, cut) };
			*detail = bytes_cut(k->typed, cut + 1, SIZE_MAX);
			return true;
		}
	*bare = *k;
	return false;
}

/* ---- the directory's own ------------------------------------------------------ */

/* The targets of an alias, from where they are quickly found, else from the database. */
struct targets {
	struct directory *d;
	sqlite3_stmt     *s; /* NULL: they are in `rest` */
	struct bytes      rest;
};

static struct targets
targets_open(struct walk *w, const struct directory_key *k)
{
	struct targets         t = { .d = w->d };
	enum directory_outcome o;

	if (!image_knows(w->d->image, IMAGE_ALIAS, k->local, k->domain, w->a, &o, &t.rest))
		t.s = directory_query(w->d, ALIAS_FIND, k->local, k->domain);
	return t;
}

static enum directory_outcome
targets_next(struct targets *t, struct arena *a, struct bytes *target)
{
	enum directory_outcome o;

	if (t->s == NULL)
		return image_target(&t->rest, target) ? DIRECTORY_OK : DIRECTORY_NONE;
	o = directory_row(t->d, t->s);
	if (o == DIRECTORY_OK)
		*target = arena_keep(a, directory_column(t->s, 0));
	return o;
}

/* The alias of this very name: its targets go on the list. */
static enum directory_outcome
try_alias(struct walk *w, size_t at, const struct directory_key *k, struct bytes detail)
{
	enum directory_outcome o, found = DIRECTORY_NONE;
	struct targets         t;
	struct bytes           target;

	if (walk_inside(w, at, k))
		return DIRECTORY_NONE;
	if (walk_opened(w, k))
		return DIRECTORY_OK;
	t = targets_open(w, k);
	while ((o = targets_next(&t, w->a, &target)) == DIRECTORY_OK) {
		if (found == DIRECTORY_NONE)
			resolve_tell(w->r, "alias %.*s@%.*s of the directory", (int)k->local.len,
			             k->local.at, (int)k->domain.len, k->domain.at);
		found = walk_lead(w, at, target, detail);
		if (found != DIRECTORY_OK)
			break;
	}
	if (t.s != NULL)
		sqlite3_reset(t.s);
	if (o == DIRECTORY_LATER)
		return o;
	if (found == DIRECTORY_OK)
		walk_open(w, at, k);
	return found;
}

enum directory_outcome
walk_person(struct walk *w, size_t at, const struct directory_key *k, struct bytes domain,
            struct bytes detail, bool *unsaid)
{
	struct address          address = { k->local, domain };
	struct directory_target t = { .detail = detail,
		                      .typed = walk_typed(w, at),
		                      .sender = w->todo[at].owner,
		                      .entered = w->todo[at].entered };
	enum table_outcome      o;

	*unsaid = true;
	if (w->r->person == NULL)
		return DIRECTORY_NONE;
	*unsaid = false;
	o = w->r->person(w->r->ctx, address_text(w->a, &address), &t, unsaid);
	t.shadow = true;
	if (o == TABLE_FOUND)
		resolve_tell(w->r, "%.*s is a user of %s", (int)t.address.len, t.address.at,
		             t.source);
	return o == TABLE_FOUND ? walk_target(w, &t) : outcome_of(o);
}

/* An account of ours; `*others`: of somebody whom a back end knew. */
static enum directory_outcome
find_account(struct walk *w, const struct directory_key *k, uint64_t *id, bool *shadow,
             bool *others)
{
	enum directory_outcome o;
	struct bytes           value, source;
	sqlite3_stmt          *s;

	if (image_knows(w->d->image, IMAGE_ACCOUNT, k->local, k->domain, w->a, &o, &value)) {
		if (o == DIRECTORY_OK) {
			memcpy(id, value.at, IMAGE_ID);
			source = bytes_cut(value, IMAGE_ID, SIZE_MAX);
			*shadow = source.len > 0;
			*others = source.len > 0 && credential_is_source(source);
		}
		return o;
	}
	s = directory_query(w->d, ACCOUNT_WHOSE, k->local, k->domain);
	o = directory_row(w->d, s);
	if (o == DIRECTORY_OK) {
		*id = (uint64_t)sqlite3_column_int64(s, 0);
		*shadow = directory_column(s, 1).len > 0;
		*others = credential_is_source(directory_column(s, 1));
	}
	sqlite3_reset(s);
	return o;
}

static enum directory_outcome
target_account(struct walk *w, size_t at, uint64_t id, const struct directory_key *k,
               struct bytes detail)
{
	struct address address = { k->local, k->domain };

	return walk_target(w, &(struct directory_target){ .account = id,
	                                                  .address = address_text(w->a, &address),
	                                                  .detail = detail,
	                                                  .typed = walk_typed(w, at),
	                                                  .sender = w->todo[at].owner,
	                                                  .entered = w->todo[at].entered });
}

enum directory_outcome
walk_postmaster(struct walk *w, const struct directory_key *k)
{
	static const enum directory_query firsts[] = { ACCOUNT_FIRST_OF, ACCOUNT_FIRST };

	if (!bytes_is(k->local, "postmaster") || w->d == NULL)
		return DIRECTORY_NONE;
	for (size_t i = 0; i < COUNT(firsts); i++) {
		sqlite3_stmt          *s = directory_query(w->d, firsts[i], k->domain, BYTES(""));
		enum directory_outcome o = directory_row(w->d, s);

		if (o == DIRECTORY_OK)
			o = walk_target(w, &(struct directory_target){
						   .account = (uint64_t)sqlite3_column_int64(s, 0),
						   .address = directory_column(s, 1),
					   });
		sqlite3_reset(s);
		if (o != DIRECTORY_NONE)
			return o;
	}
	return DIRECTORY_NONE;
}

/* The catch-all of the domain, NONE when the domain is not ours. */
static enum directory_outcome
domain_of(struct walk *w, struct bytes domain, struct bytes *catch_all)
{
	sqlite3_stmt          *s;
	enum directory_outcome o;

	*catch_all = (struct bytes){ NULL, 0 };
	if (w->d == NULL)
		return DIRECTORY_NONE;
	if (image_knows(w->d->image, IMAGE_DOMAIN, BYTES(""), domain, w->a, &o, catch_all))
		return o;
	s = directory_query(w->d, DOMAIN_HAS, domain, BYTES(""));
	o = directory_row(w->d, s);
	if (o == DIRECTORY_OK)
		*catch_all = arena_keep(w->a, directory_column(s, 0));
	sqlite3_reset(s);
	return o;
}

enum directory_outcome
resolve_is_ours(struct resolving *r, struct bytes domain, bool *ours)
{
	struct walk w = { .r = r, .d = r->directory, .rules = r->rules, .a = r->arena };
	enum mail_class class;
	struct bytes           unused;
	enum directory_outcome o = domain_of(&w, domain, &unused);

	*ours = o == DIRECTORY_OK;
	if (o != DIRECTORY_NONE)
		return o;
	o = class_of_domain(r, domain, &class, &unused);
	*ours = o == DIRECTORY_OK && class != CLASS_OTHER && class != CLASS_RELAY;
	return o;
}

static enum directory_outcome
also_local(struct walk *w, size_t at)
{
	struct bytes unused;

	return outcome_of(rules_domain(w->r, "mydestination", &w->rules->mydestination,
	                               w->todo[at].key.domain, &unused));
}

/* A domain of the directory that mydestination names too: who is not in the directory may be in alias_maps, or a
   user of the operating system. */
static enum directory_outcome
try_local(struct walk *w, size_t at)
{
	struct bytes           domain = w->todo[at].key.domain;
	enum directory_outcome o = also_local(w, at);

	if (o != DIRECTORY_OK)
		return o;
	resolve_tell(w->r, "%.*s: local domain too (mydestination)", (int)domain.len, domain.at);
	return class_deliver(w, at, CLASS_LOCAL, BYTES(""));
}

/* A name as it may be an account's: of the directory itself, or of somebody whom a back end knows or knew. */
struct holder {
	struct directory_key   key;
	struct bytes           detail;
	enum directory_outcome account;
	uint64_t               id;
	bool                   shadow, others;
};

/* Of others as long as they know him.  What alias_maps say of a name goes before the operating-system user of that name
   (root: eva), as everywhere; his mail stays where it was before he logged in by another back end. */
static enum directory_outcome
deliver_person(struct walk *w, size_t at, const struct holder *h)
{
	bool                   unsaid;
	enum directory_outcome o = also_local(w, at);

	if (o == DIRECTORY_OK) {
		o = alias_open(w, at, &h->key);
		if (o == DIRECTORY_NONE)
			o = alias_user(w, at, h->key.local, false, h->detail);
	}
	if (o != DIRECTORY_NONE)
		return o;
	if (h->account == DIRECTORY_OK && !h->others)
		return target_account(w, at, h->id, &h->key, h->detail);
	o = walk_person(w, at, &h->key, h->key.domain, h->detail, &unsaid);
	return o == DIRECTORY_NONE && h->account == DIRECTORY_OK && unsaid
	               ? target_account(w, at, h->id, &h->key, h->detail)
	               : o;
}

/* The whole name, then what is left of it without the detail: our own accounts before anybody is asked. */
static enum directory_outcome
deliver_account(struct walk *w, size_t at, struct holder *holder, size_t count)
{
	enum directory_outcome o = DIRECTORY_NONE;

	for (size_t i = 0; i < count; i++) {
		struct holder *h = &holder[i];

		h->account = find_account(w, &h->key, &h->id, &h->shadow, &h->others);
		if (h->account == DIRECTORY_OK && !h->shadow)
			return target_account(w, at, h->id, &h->key, h->detail);
		if (h->account != DIRECTORY_OK && h->account != DIRECTORY_NONE)
			return h->account;
	}
	for (size_t i = 0; i < count && o == DIRECTORY_NONE; i++)
		o = deliver_person(w, at, &holder[i]);
	return o;
}

/* transport_maps may give an address of ours to somebody else. */
static enum directory_outcome
lies_elsewhere(struct walk *w, size_t at)
{
	enum transport_goes    goes = GOES_VIRTUAL;
	enum directory_outcome o = DIRECTORY_OK;

	if (w->rules->transport_maps.count > 0)
		o = transport_goes(w, at, CLASS_DIRECTORY, &goes);
	if (o != DIRECTORY_OK)
		return o;
	return goes == GOES_AWAY ? walk_elsewhere(w, at) : DIRECTORY_NONE;
}

/* An address of a domain of the directory: alias of the whole name, account; the same without the detail.  Tables
   of virtual aliases are asked between aliases and accounts. */
static enum directory_outcome
step_directory(struct walk *w, size_t at, struct bytes catch_all)
{
	struct directory_key   key = w->todo[at].key, bare;
	struct bytes           detail = w->todo[at].detail, whole = detail;
	bool                   parted = key_bare(w->rules, &key, &bare, &detail);
	struct holder          holder[] = { { .key = key, .detail = whole },
		                            { .key = bare, .detail = detail } };
	uint64_t               id;
	bool                   shadow, others;
	enum directory_outcome o = try_alias(w, at, &key, whole), account = DIRECTORY_NONE;

	w->table = "virtual mailbox table";
	/* An account of the whole name goes before an alias of what is left without the detail. */
	if (o == DIRECTORY_NONE && parted)
		account = find_account(w, &key, &id, &shadow, &others);
	if (account == DIRECTORY_LATER)
		return account;
	if (o == DIRECTORY_NONE && account == DIRECTORY_NONE && parted)
		o = try_alias(w, at, &bare, detail);
	if (o == DIRECTORY_NONE)
		o = alias_virtual(w, at, CLASS_DIRECTORY);
	if (o == DIRECTORY_NONE)
		o = lies_elsewhere(w, at);
	if (o == DIRECTORY_NONE)
		o = deliver_account(w, at, holder, parted ? 2 : 1);
	if (o == DIRECTORY_NONE)
		o = class_relocated(w, at, CLASS_DIRECTORY);
	if (o == DIRECTORY_NONE)
		o = try_local(w, at);
	if (o == DIRECTORY_NONE && bytes_is(bare.local, "postmaster")) {
		o = walk_postmaster(w, &bare);
		return o == DIRECTORY_NONE ? DIRECTORY_LATER : o; /* a house without people yet */
	}
	if (o != DIRECTORY_NONE || catch_all.len == 0 || walk_inside(w, at, &key))
		return o;
	resolve_tell(w->r, "catch-all of %.*s", (int)key.domain.len, key.domain.at);
	return walk_lead(w, at, catch_all, detail);
}

/* ---- all others ------------------------------------------------------------------ */

/* user%there@here, there!user@here. */
static bool
rewrite_route(struct walk *w, size_t at)
{
	const struct directory_key *k = &w->todo[at].key;
	ptrdiff_t                   cut;
	const char                 *text;
	struct directory_key        to;

	if (w->rules->percent_hack && (cut = bytes_find_last(k->typed, '%')) > 0)
		text = arena_printf(w->a, "%.*s@%.*s", (int)cut, k->typed.at,
		                    (int)(k->typed.len - (size_t)cut - 1), k->typed.at + cut + 1);
	else if (w->rules->bangpath && (cut = bytes_find(k->typed, '!')) > 0)
		text = arena_printf(w->a, "%.*s@%.*s", (int)(k->typed.len - (size_t)cut - 1),
		                    k->typed.at + cut + 1, (int)cut, k->typed.at);
	else
		return false;
	if (!directory_key(bytes_of(text), NULL, w->a, &to))
		return false;
	resolve_tell(w->r, "means %s", text);
	w->todo[at].key = to;
	return true;
}

static enum directory_outcome
step_tables(struct walk *w, size_t at)
{
	enum mail_class class;
	struct bytes           value;
	enum directory_outcome o = class_of_domain(w->r, w->todo[at].key.domain, &class, &value);

	if (o == DIRECTORY_OK && w->r->local && at == 0)
		return class_deliver(w, at, CLASS_LOCAL, BYTES(""));
	if (o == DIRECTORY_OK && class == CLASS_LOCAL && rewrite_route(w, at))
		o = class_of_domain(w->r, w->todo[at].key.domain, &class, &value);
	if (o != DIRECTORY_OK)
		return o;
	o = DIRECTORY_NONE;
	if (!(w->todo[at].local && class == CLASS_LOCAL))
		o = alias_virtual(w, at, class);
	/* What leads away from a domain of others does not make it ours. */
	if (o == DIRECTORY_OK && class == CLASS_OTHER && at == 0)
		return DIRECTORY_FOREIGN;
	if (o == DIRECTORY_NONE)
		o = class_relocated(w, at, class);
	if (o == DIRECTORY_NONE)
		o = class_deliver(w, at, class, value);
	return o;
}

static enum directory_outcome
resolve_step(struct walk *w, size_t at)
{
	struct bytes           catch_all;
	enum directory_outcome o = domain_of(w, w->todo[at].key.domain, &catch_all);
	bool                   ours = o == DIRECTORY_OK;

	w->table = "virtual mailbox table";
	if (o == DIRECTORY_OK)
		o = step_directory(w, at, catch_all);
	else if (o == DIRECTORY_NONE)
		o = step_tables(w, at);
	if (at == 0 && w->r->claimed != NULL && o != DIRECTORY_WAIT &&
	    class_claims(w->r, w->todo[at].key.domain, ours, o == DIRECTORY_NONE) == DIRECTORY_WAIT)
		return DIRECTORY_WAIT;
	if (o == DIRECTORY_NONE && walk_inside(w, at, &w->todo[at].key))
		w->loop = true;
	return o;
}

/* A target that an alias led to, and what came of it. */
static enum directory_outcome
led_to(struct walk *w, size_t at, struct bytes from, enum directory_outcome o)
{
	struct step    step = w->todo[at];
	struct address there = { step.key.typed, step.key.domain };

	if (o == DIRECTORY_FOREIGN)
		return walk_target(w, &(struct directory_target){
					      .address = address_text(w->a, &there),
					      .sender = step.owner,
					      .entered = step.entered });
	if (o == DIRECTORY_NONE || o == DIRECTORY_REFUSED)
		warn_("directory: %.*s leads to %.*s@%.*s, %s", (int)from.len, from.at,
		      (int)there.local.len, there.local.at, (int)there.domain.len, there.domain.at,
		      w->loop                  ? "and back again"
		      : o == DIRECTORY_REFUSED ? w->reply
		                               : "who does not exist");
	return o;
}

/* What the step came to, for what all of it comes to.  False: that is settled. */
static bool
walk_note(struct walk *w, size_t at, enum directory_outcome *o)
{
	if (at == 0) {
		w->first = *o;
		w->said_table = w->table;
		w->said_reply = w->reply != NULL ? w->reply : "";
	} else {
		/* What is said when nobody is left is what was wrong with the last. */
		if (*o == DIRECTORY_NONE)
			w->said_table = w->table;
		if (*o == DIRECTORY_REFUSED || *o == DIRECTORY_DISCARDED) {
			w->last = *o;
			w->said_reply = w->reply;
		}
		*o = led_to(w, at, w->address, *o);
	}
	if (*o == DIRECTORY_WAIT)
		w->waits = true;
	if (*o == DIRECTORY_LOOP)
		w->said_reply = w->reply;
	return *o != DIRECTORY_LATER && *o != DIRECTORY_LOOP;
}

/* A step that asked and changed nothing else can be gone through again by itself. */
static void
wait_for(struct walk *w, size_t at)
{
	w->waiting = grown(w->a, w->waiting, w->waitings, &w->waiting_room, sizeof *w->waiting);
	w->waiting[w->waitings++] = at;
}

/* One step and what it comes to; false: all of it has come to *o. */
static bool
walk_one(struct walk *w, size_t at, enum directory_outcome *o)
{
	*o = resolve_step(w, at);
	if (*o == DIRECTORY_WAIT && w->r->enough != NULL) {
		wait_for(w, at);
		return true;
	}
	return walk_note(w, at, o);
}

/* Those that had to wait, now that they have their answers: in place, for they may have to wait for others.  */
static bool
walk_resume(struct walk *w, enum directory_outcome *o)
{
	size_t count = w->waitings, *steps = w->waiting;

	w->waitings = w->waiting_room = 0;
	w->waiting = NULL;
	for (size_t i = 0; i < count; i++)
		if (!walk_one(w, steps[i], o))
			return false;
	return true;
}

/* Whether it is time for others. */
static bool
walk_rests(struct walk *w)
{
	struct resolving *r = w->r;

	if (r->enough == NULL)
		return false;
	w->rested = !w->rested && w->at % STEPS_TOGETHER == STEPS_TOGETHER - 1 && r->enough(r->ctx);
	return w->rested;
}

/* All steps; what the first came to is what it is, unless one of the others goes wrong.  MORE: not all of them yet. */
static enum directory_outcome
walk_all(struct walk *w)
{
	struct resolving      *r = w->r;
	enum directory_outcome o;

	if (w->waitings > 0 && !walk_resume(w, &o))
		return o;
	for (; w->at < w->todos && w->waitings < WAITING_MOST; w->at++) {
		if (walk_rests(w))
			return DIRECTORY_MORE;
		if (!walk_one(w, w->at, &o))
			return o;
		/* At RCPT it is enough that a large list has somebody: the queue goes through all of it. */
		if (r->asked_at_rcpt && w->count > 1 && w->at > ENOUGH_AT_RCPT) {
			w->at = w->todos;
			break;
		}
	}
	if (w->waits || w->waitings > 0)
		return DIRECTORY_WAIT;
	/* Who wrote the alias meant somebody: the mail waits for the right address. */
	if (w->first == DIRECTORY_OK && w->count == 0 && w->broken)
		return DIRECTORY_LATER;
	if (w->first == DIRECTORY_OK && w->count == 0 && w->shut != NULL) {
		w->said_reply = w->shut;
		return DIRECTORY_REFUSED;
	}
	/* What is not ours goes on by the name that was written instead of it. */
	if (w->first == DIRECTORY_FOREIGN && w->count == 0 &&
	    (!bytes_equal(w->address, w->asked) || !bytes_equal_nocase(walk_typed(w, 0), w->asked)))
		(void)walk_elsewhere(w, 0);
	if (w->first != DIRECTORY_OK || w->count > 0 || (w->todos < 2 && r->asked_at_rcpt))
		return w->first;
	if (!w->loop)
		return w->last;
	w->said_reply = "5.4.6 aliases run in a circle";
	return DIRECTORY_LOOP;
}

/* OK with the walk at its beginning in r->walk; else why there is none. */
static enum directory_outcome
walk_begin(struct resolving *r, struct bytes address)
{
	struct walk           *w = arena_take(r->arena, sizeof *w);
	enum directory_outcome o;

	*w = (struct walk){ .r = r,
		            .d = r->directory,
		            .rules = r->rules,
		            .a = r->arena,
		            .first = DIRECTORY_BAD,
		            .last = DIRECTORY_NONE,
		            .said_table = "virtual mailbox table",
		            .said_reply = "",
		            .filter = "" };
	if (address.len == 0)
		address = bytes_of(r->rules->empty_recipient);
	w->address = address;
	w->asked = address;
	if (!r->as_written && !r->unmapped && resolve_rewrites(r->rules, ENVELOPE_RECIPIENT)) {
		o = resolve_rewrite(r, ENVELOPE_RECIPIENT, address, &w->address);
		if (o != DIRECTORY_OK)
			return o;
	}
	if (!directory_key(w->address, r->rules->myorigin, r->arena, &w->key) &&
	    !directory_key_of_stranger(w->address, r->arena, &w->key))
		return DIRECTORY_BAD;
	(void)walk_step(w, NOBODY, &w->key, BYTES(""));
	r->walk = w;
	return DIRECTORY_OK;
}

void
resolve_abandon(struct resolving *r)
{
	if (r->walk != NULL) {
		map_close(&r->walk->targets);
		map_close(&r->walk->opened);
	}
	r->walk = NULL;
}

enum directory_outcome
resolve_address(struct resolving *r, struct bytes address, struct resolve_answer *answer)
{
	enum directory_outcome o = r->walk == NULL ? walk_begin(r, address) : DIRECTORY_OK;
	struct walk           *w = r->walk;

	*answer = (struct resolve_answer){ .table = "virtual mailbox table",
		                           .reply = "",
		                           .filter = "" };
	if (o != DIRECTORY_OK)
		return o;
	w->r = r;
	o = walk_all(w);
	/* One that waits inside of a step is begun again with what has been answered. */
	if (o == DIRECTORY_MORE || (o == DIRECTORY_WAIT && r->enough != NULL && !w->waits))
		return o;
	if (o == DIRECTORY_NONE && bytes_is(w->key.local, "postmaster"))
		o = walk_postmaster(w, &w->key); /* rfc5321:4.5.1: always */
	/* It was taken, as it has to be, and nobody is there to read it yet. */
	if (o == DIRECTORY_NONE && bytes_is(w->key.local, "postmaster") && !r->asked_at_rcpt) {
		warn_("directory: mail for postmaster@%.*s waits: nobody has it; write postmaster: NAME in the "
		      "file of alias_maps, with the name of a user",
		      (int)w->key.domain.len, w->key.domain.at);
		o = DIRECTORY_LATER;
	}
	*answer = (struct resolve_answer){ w->target, w->count, w->said_table, w->filter,
		                           w->said_reply };
	resolve_abandon(r);
	return o;
}

/* With the directory alone. */
enum directory_outcome
directory_resolve(struct directory *d, struct bytes address, const char *delimiters,
                  const char *origin, struct arena *a, struct directory_target **targets,
                  size_t *count)
{
	const struct resolve_rules rules = { .delimiter = delimiters,
		                             .myorigin = origin,
		                             .owner_special = true,
		                             .luser_relay = "",
		                             .always_bcc = "",
		                             .depth_most = 21,
		                             .virtuals_most = 1000 };
	struct resolving           r = { .directory = d, .rules = &rules, .arena = a };
	struct resolve_answer      answer;
	enum directory_outcome     o = DIRECTORY_BAD;

	if (address.len > 0)
		o = resolve_address(&r, address, &answer);
	*targets = address.len > 0 ? answer.target : NULL;
	*count = address.len > 0 ? answer.count : 0;
	return o;
}
