/*
 * clerk-person -- whom a command of `mansio account` means, and how something can be said of somebody who has no row in the directory:
 * a user of a back end before the first login, and one of the operating system
 *
 * Whom the directory has itself is meant first.  Else the back ends are asked, in their order, as at a login; then who gets the mail of
 * that address.  He gets the row that his first login or letter would have made, or one of those of operating-system users, and the
 * command goes on.  A back end that does not answer is "later", never "no such account".
 */
#include <string.h>

#include "message/casefold.h"
#include "role/clerk-guard.h"
#include "role/clerk-resolve.h"

/* Who was found. */
struct person {
	bool                    system, shadow, unsaid;
	const char             *name; /* of the operating system */
	uint32_t                uid;
	uint64_t                account; /* that is there */
	struct directory_target target;  /* of a back end or table */
};

static struct clerk *
clerk_of(struct house *h)
{
	return h->mine;
}

/* ---- those that are there ---- */

uint64_t
order_account(struct order *e, struct arena *a, struct bytes address, int *status)
{
	struct directory      *d = e->clerk->directory;
	struct credential      who = { .source = "" };
	struct system_row      row;
	enum directory_outcome o = DIRECTORY_OK, system = DIRECTORY_NONE;

	*status = 0;
	if (e->account == 0) {
		e->person = address;
		o = directory_credential(d, address, e->clerk->origin, a, &who);
		if (o != DIRECTORY_LATER && (o != DIRECTORY_OK || *who.source != '\0'))
			system = directory_system_find(d, address, a, &row);
		if (system != DIRECTORY_NONE)
			o = system;
		e->system = system == DIRECTORY_OK;
		if (e->system) {
			e->account = DIRECTORY_SYSTEM_ACCOUNT(row.uid);
			e->person = bytes_of(row.name);
		} else if (o == DIRECTORY_OK) {
			e->account = who.account;
			e->person = bytes_of(who.address);
		}
	}
	e->first = e->person;
	if (o != DIRECTORY_OK)
		*status = order_finish(e, o, "account");
	return e->account;
}

/* ---- those that are to be found ---- */

static enum directory_outcome
outcome_of(enum table_outcome o)
{
	return o == TABLE_FOUND  ? DIRECTORY_OK
	       : o == TABLE_NONE ? DIRECTORY_NONE
	       : o == TABLE_WAIT ? DIRECTORY_WAIT
	                         : DIRECTORY_LATER;
}

/* Users of the operating system log in by PAM alone, which tells nothing without a password. */
static enum directory_outcome
of_backends(struct work *w, struct person *p)
{
	struct clerk          *c = clerk_of(w->house);
	enum directory_outcome o = DIRECTORY_NONE;
	struct bytes           user;

	if (!chain_user(w->house, w->address, w->life, &user))
		return o;
	for (size_t i = 0; i < c->backends && o == DIRECTORY_NONE; i++) {
		if (!credential_backend_asks(&c->backend[i], user, c->origin))
			continue;
		if (c->backend[i].kind == CREDENTIAL_PAM) {
			p->unsaid = true;
			o = clerk_system_user(w, user, &p->name, &p->uid);
			p->system = o == DIRECTORY_OK;
			continue;
		}
		o = outcome_of(chain_person_at(w->house, i, w->lookups, user, w->life, &p->target,
		                               &p->unsaid));
		p->shadow = o == DIRECTORY_OK;
	}
	return o;
}

/* Whom mail for this very address would be laid before. */
static enum directory_outcome
of_mail(struct work *w, struct person *p)
{
	struct resolving               r = resolving_of(w);
	struct resolve_answer          found = { .table = "", .reply = "" };
	const struct directory_target *t;
	enum directory_outcome         o;
	ptrdiff_t                      at;

	if (bytes_find(w->address, '@') < 0) {
		o = clerk_system_user(w, w->address, &p->name, &p->uid);
		p->system = o == DIRECTORY_OK;
		return o;
	}
	r.unmapped = true;
	o = resolve_in_turns(w, &r, &found);
	if (o == DIRECTORY_MORE || o == DIRECTORY_WAIT || o == DIRECTORY_LATER)
		return o;
	t = o == DIRECTORY_OK && found.count == 1 ? &found.target[0] : NULL;
	if (t == NULL || !bytes_equal(casefold(w->life, t->address), casefold(w->life, w->address)))
		return DIRECTORY_NONE;
	at = bytes_find_last(t->address, '@');
	if (is_system_account(t->account) && system_kind_of(t->account) <= SYSTEM_OWN_MAILBOX) {
		p->system = true;
		p->uid = system_uid(t->account);
		p->name = arena_copy(w->life, bytes_cut(t->address, 0, (size_t)at));
		return DIRECTORY_OK;
	}
	p->shadow = t->shadow;
	p->target = *t;
	return t->shadow ? DIRECTORY_OK : DIRECTORY_NONE;
}

static enum directory_outcome
find(struct work *w, struct person *p)
{
	struct clerk          *c = clerk_of(w->house);
	struct credential      who = { .source = "" };
	enum directory_outcome is = directory_credential(c->directory, w->address, c->origin,
	                                                 w->life, &who),
			       o;

	*p = (struct person){ .name = "" };
	if (is == DIRECTORY_LATER)
		return is;
	o = is == DIRECTORY_OK && *who.source == '\0' ? DIRECTORY_NONE : of_backends(w, p);
	if (o == DIRECTORY_NONE && is != DIRECTORY_OK)
		o = of_mail(w, p);
	/* There already, and perhaps nobody's any more: what is said of him harms nobody. */
	if (o == DIRECTORY_NONE && is == DIRECTORY_OK) {
		p->account = who.account;
		p->target.address = bytes_of(who.address);
		o = is;
	}
	return o;
}

/* ---- what goes on ---- */

static enum directory_outcome
make(struct work *w, struct person *p)
{
	struct clerk          *c = clerk_of(w->house);
	enum directory_outcome o = DIRECTORY_OK;

	if (p->system) {
		o = directory_system_put(c->directory, p->name, p->uid);
		p->account = DIRECTORY_SYSTEM_ACCOUNT(p->uid);
		p->target.address = bytes_of(p->name);
		clerk_system_look(w->house);
	} else if (p->shadow) {
		o = clerk_make_account(w, &p->target);
		p->account = p->target.account;
		clerk_owners_tell(w->house);
	}
	return o;
}

/* 0, or the exit status: said. */
static int
said_why_not(struct work *w, enum directory_outcome o, const struct person *p)
{
	int         n = (int)w->address.len;
	const char *x = w->address.at;

	switch (o) {
	case DIRECTORY_OK: return 0;
	case DIRECTORY_EXISTS:
		caller_complain(
			w->caller,
			"mansio: what is said of %s, or of uid %u, was said of another, or before %s was away (mansio account "
			"list shows it); if it is the same person: mansio account set NAME system-user %s, if "
			"not: mansio account delete NAME\n",
			p->name, p->uid, p->name, p->name);
		return 1;
	case DIRECTORY_NONE:
	case DIRECTORY_BAD:
	case DIRECTORY_FOREIGN:
		caller_complain(
			w->caller, "mansio: there is no account %.*s%s\n", n, x,
			p->unsaid
				? " (back ends that tell nothing without a password may know such a user, who has "
				  "an account after the first login)"
				: "");
		return 1;
	default:
		caller_complain(
			w->caller,
			"mansio: who %.*s is cannot be told now: a back end or table that is asked "
			"does not answer; the log says which. Try again later\n",
			n, x);
		return 1;
	}
}

static enum directory_outcome
pass_person(struct work *w)
{
	struct order          *e = w->order;
	struct person          p;
	enum directory_outcome o = find(w, &p);
	int                    status;

	if (o == DIRECTORY_OK)
		o = make(w, &p);
	if (o == DIRECTORY_MORE || (o == DIRECTORY_WAIT && !w->for_good))
		return o;
	status = said_why_not(w, o, &p);
	if (status == 0) {
		e->account = p.account;
		e->system = p.system;
		e->person = p.target.address;
		status = w->then(e);
		if (status == 0)
			clerk_changed(w->house);
	}
	caller_done(w->caller, status);
	return o;
}

/* The question lives as long as the command that asked it; what waits for others needs a copy. */
static struct order *
kept(struct work *w, const struct order *e)
{
	struct order    *copy = arena_take(w->life, sizeof *copy);
	struct word_ask *ask = arena_take(w->life, sizeof *ask);
	const char     **argv = arena_take_array(w->life, e->ask->argc + 1, sizeof *argv);

	for (uint32_t i = 0; i < e->ask->argc; i++)
		argv[i] = arena_copy(w->life, bytes_of(e->ask->argv[i]));
	*ask = (struct word_ask){ argv, e->ask->argc, arena_keep(w->life, e->ask->input) };
	*copy = *e;
	copy->ask = ask;
	copy->first = ask->argc > 2 ? bytes_of(argv[2]) : BYTES("");
	copy->second = ask->argc > 3 ? bytes_of(argv[3]) : BYTES("");
	return copy;
}

static struct bytes
word_of(const struct word_ask *w, uint32_t at)
{
	return at < w->argc ? bytes_of(w->argv[at]) : (struct bytes){ NULL, 0 };
}

/* Commands that say something of somebody the directory may not have yet, by the words behind the verb: where his name stands.  `word`
   NULL: always; "--": any option. */
static const struct {
	const char *verb, *word;
	uint32_t    word_at, name_at;
} said_of[] = {
	{ "suspend", NULL, 0, 2 },       { "set", "--", 3, 2 },      { "set", "enabled", 3, 2 },
	{ "app-password", "add", 2, 3 }, { "totp", "enable", 2, 3 },
};

/* Nobody: it is none of those. */
static struct bytes
of_whom(const struct word_ask *w)
{
	for (size_t i = 0; bytes_is(word_of(w, 0), "account") && i < COUNT(said_of); i++)
		if (bytes_is(word_of(w, 1), said_of[i].verb) &&
		    (said_of[i].word == NULL ||
		     bytes_is(word_of(w, said_of[i].word_at), said_of[i].word) ||
		     (said_of[i].word[0] == '-' &&
		      bytes_starts(word_of(w, said_of[i].word_at), BYTES("--")))))
			return word_of(w, said_of[i].name_at);
	return (struct bytes){ NULL, 0 };
}

bool
order_finds(struct order *e, int (*then)(struct order *))
{
	struct bytes      address = of_whom(e->ask);
	struct arena     *a = arena_open(NULL);
	struct credential who = { .source = "" };
	struct work      *w;
	bool              here = address.len == 0 ||
	            (directory_credential(e->clerk->directory, address, e->clerk->origin, a,
	                                  &who) == DIRECTORY_OK &&
	             *who.source == '\0');

	arena_close(&a);
	if (here)
		return false;
	w = work_open(e->house, COMMAND, 0, 0);
	w->caller = e->caller;
	w->address = arena_keep(w->life, address);
	w->order = kept(w, e);
	w->then = then;
	w->pass = pass_person;
	work_on(w);
	return true;
}
